/*
 * sim - nodes, a network and time that exist only in memory.
 *
 * Runs the real store and the real rep/ of two or three nodes in one process,
 * in virtual time, and checks what must hold when all is healed. Beneath the
 * store its memory and its eviction are models (memory.c implements slabs.h
 * and lru.h: a few small classes with a bounded number of chunks, any item may
 * be evicted); the index is assoc.c with eight stripes. What the daemon keeps
 * once, in static variables, is exchanged by sim_select. The edge is a model:
 * node.c does for a node what replication.c and replink.c do for the daemon,
 * net.c moves bytes in any cut, at any time, or not. oracle.c knows every
 * write and what every node ever learned. breaks.c breaks one rule at a time.
 *
 * Everything follows from one seed. No clock, no socket, no thread.
 *
 * Layer:     tests.
 * Threads:   one.
 * Ownership: static; sim_reset begins anew.
 */
#ifndef T_SIM_SIM_H
#define T_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan.h"
#include "rep/core.h"
#include "rep/floor.h"
#include "rep/link.h"
#include "rep/log.h"
#include "rep/runs.h"
#include "store.h"

#define SIM_LINKS 48
#define SIM_CONNS 64

extern uint64_t sim_now; /* virtual milliseconds, the same for all */

/* ---- random, trace, failure (sim.c) ------------------------------------- */

uint64_t sim_random(void);
unsigned sim_below(unsigned n);
bool sim_chance(unsigned percent);
void sim_trace(const char *format, ...) PRINTF(1, 2);

void sim_fail(const char *format, ...) PRINTF(1, 2); /* the first is kept */
bool sim_failed(void);

/* ---- memory.c: slabs.h and lru.h ---------------------------------------- */

void sim_memory_reset(void);
void sim_memory_select(unsigned node);
void sim_memory_lose(unsigned node); /* all it held */
void sim_memory_limit(unsigned node, unsigned slab_class, unsigned chunks);

/* ---- node.c -------------------------------------------------------------- */

struct sim_node {
    unsigned id;
    bool up, serving;
    uint64_t run, was;
    struct rep_floor *floors;
    struct rep_log *log;
    struct rep_core *core;
    struct rep_runs *runs;
    struct rep_sweep sweep;
    struct store_observer observer;
    struct rep_link_env env;
    uint64_t used; /* bit per link there is */
    struct rep_link *links[SIM_LINKS];
    uint8_t conn[SIM_LINKS]; /* of the link, and its end */
    uint8_t end[SIM_LINKS];
    uint32_t last_id;
    unsigned events_at, nevents;
    bool stepping;
    uint64_t idle_at; /* when its turn found nothing to do */
    uint64_t timer;   /* ms; UINT64_MAX none */
    uint32_t second;
    unsigned npeers;
    unsigned peers[SIM_NODES]; /* configured peer -> node */
    uint64_t dial_at[SIM_NODES];
    uint64_t unlinked_since;
    uint64_t items_sent; /* of ended links */
};

extern struct sim_node sim_nodes[SIM_NODES];
/* Makes the statics of the daemon those of the node. */
struct sim_node *sim_select(unsigned node);

void sim_node_reset(void);
void sim_node_start(unsigned node);
void sim_node_crash(unsigned node);
/* In good order: the next start goes on with what it has (rep/keep). */
void sim_node_stop(unsigned node);
void sim_node_time(unsigned node); /* timers, dials, the flush that is due */
bool sim_node_turn(unsigned node); /* every link a slice; true: more to do */
/* The time at which sim_node_time has something to do next. */
uint64_t sim_node_next(const struct sim_node *n);
bool sim_node_accept(unsigned node, unsigned conn, unsigned from);
struct rep_link *sim_node_link(unsigned node, unsigned conn, unsigned end);
void sim_node_settle(unsigned node);
/* Linked with all others, all acknowledged, nothing planned or pending. */
bool sim_node_is_at_rest(unsigned node);
uint64_t sim_node_items_sent(unsigned node);

/* ---- net.c --------------------------------------------------------------- */

enum sim_path { SIM_PATH_UP, SIM_PATH_HOLE, SIM_PATH_REFUSES };

void sim_net_reset(void);
void sim_net_path(unsigned a, unsigned b, enum sim_path path);
enum sim_path sim_net_path_of(unsigned a, unsigned b);
/* A new connection's number, or -1. End 0 dialled. */
int sim_net_connect(unsigned from, unsigned to);
unsigned sim_net_peer(unsigned conn, unsigned end);
size_t sim_net_write(unsigned conn, unsigned end, const struct iovec *iov,
                     unsigned n);
void sim_net_close(unsigned conn, unsigned end);
/* Resets those of a pair; those of a dead node (`hole`: nobody is told). */
void sim_net_cut(unsigned a, unsigned b);
void sim_net_died(unsigned node, bool hole);
/* Delivers something to somebody; false when nothing can be. `all`: whole. */
bool sim_net_deliver(bool all);
bool sim_net_is_quiet(void); /* nothing could be delivered */

/* ---- oracle.c -------------------------------------------------------- */

void sim_oracle_reset(void);
void sim_oracle_lost(unsigned node);
const char *sim_key_name(unsigned key);
size_t sim_key_length(unsigned key);
int sim_key_find(const char *key, size_t nkey);

/* From the observer of a node and from rep_floor. `known`: what the node knew
 * of the key before. */
uint64_t sim_oracle_known(unsigned node, const struct store_change *change);
void sim_oracle_change(unsigned node, const struct store_change *change,
                       uint64_t version, uint64_t known);
void sim_oracle_removed(unsigned node, const char *key, size_t nkey,
                        uint64_t version);
void sim_oracle_floor(unsigned node, int key, uint64_t version);
void sim_oracle_hash_floor(const struct rep_floor *floors, uint64_t hash,
                           uint64_t version);
/* A client's operation on the key has ended: what it left is noted. */
void sim_oracle_wrote(unsigned node, unsigned key);
void sim_oracle_acked(const struct rep_log *log, int reader, uint64_t pos);
/* A link took the clocks for `skew` apart. One hello measures that, however
 * late: expiries are compared only where none was. */
void sim_oracle_skew(unsigned node, unsigned peer, int64_t skew);
/* Everything is healed and quiet. */
void sim_oracle_check(void);

/* ---- breaks.c -------------------------------------------------------- */

/* What is called belongs to a restart that keeps the cache. */
extern bool sim_keeping;

extern int sim_break; /* index of the broken rule, -1 none */
unsigned sim_breaks(void);
const char *sim_break_name(int rule);

/* ---- sim.c --------------------------------------------------------- */

/* Makes and runs the plan of a seed; the failure, or NULL (sim.c). */
const char *sim_run(uint64_t seed);

#endif
