/*
 * linking - one link of rep/link and a scripted peer, for tests: bytes go both
 * ways in any cut, against the real store, floors, log and runs, and a frozen
 * clock. What rep/core would do is done at once, unless a test takes it over.
 *
 * Layer:   tests; includes layers 0-4.
 * Threads: one.
 */
#ifndef T_UNIT_LINKING_H
#define T_UNIT_LINKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/util.h"
#include "base/version.h"
#include "rep/auth.h"
#include "rep/frame.h"
#include "rep/link.h"
#include "rep/wire.h"

#define START_MS  UINT64_C(1800000000000)
#define NOW       1800000000U
#define U(v)      ((unsigned long long)(v))
#define RUN       UINT64_C(0x1111)
#define PEER_RUN  UINT64_C(0x2222)
#define PEER_SLOT 9
/* Versions of the peer, a little ahead of what we draw. */
#define V(n)   (version_at_ms(START_MS + 1000) + ((uint64_t)(n) << 8) + PEER_SLOT)
#define DAY_MS (24ULL * 3600 * 1000)

extern struct rep_floor *floors;
extern struct rep_log *rlog;
extern struct rep_runs *runs;
extern struct rep_sweep sweep;
extern struct rep_link_env env;
extern struct rep_link *lnk;

/* The fixtures: as usual; with few floors and a log of a few dozen changes. */
void setup(void);
void setup_small(void);
void teardown(void);

/* ---- the connection ----------------------------------------------------- */

extern size_t cut;    /* most bytes of one piece, both ways */
extern size_t window; /* bytes the link may send until it is blocked */
extern bool decide;   /* links, catches up, announces: what rep/core says */
extern bool works;    /* what was fed is worked on at once, not by pump() */

/* A new connection. A dialler says hello. */
void connect_as(bool dialled);

/* Its end, as the edge finds out: the peer closed it. */
void disconnect(void);

/* Gives the link bytes; what it does not read any more is dropped. */
void feed(const void *p, size_t n);

/* Time that the link measures passes; nothing else sees it. */
void pass_ms(unsigned ms);

/* What is fed meanwhile comes in one piece, when let_go is called. */
void hold(void);
void let_go(void);

/* How often rep/core was told that the peer is there. */
extern unsigned signs_of_life;

/* Takes what the link has to say; a closed one its last words. */
void pump(void);

/* What the link told rep/core since the last look: "hello ...; legacy; ". */
const char *told(void);

const struct rep_event *last_hello(void);
enum rep_refusal last_refusal(void);
struct rep_link_figures figures(void);
const char *error_text(void); /* "" for none */

/* ---- the peer ----------------------------------------------------------- */

extern struct wire_hello peer_hello; /* what the peer says of itself */

/* Before connect_as: the secrets of the two; NULL none. */
void use_secrets(const char *ours, const char *theirs);

/* Says hello; without a line end it may be cut short by the caller. */
void say_hello(void);
void say_line(const char *line);
void say_proof(bool right);

/* The line that the link said, without its end: "" none, "?" no whole one. */
const char *heard_line(void);

/* Whether the next 32 bytes that the link said are its right proof. */
bool heard_proof(void);

/* All that a legacy link said since the last look, as a string. */
const char *heard_text(void);

/* Bytes that the link said and nobody looked at. */
size_t unheard(void);

/* The first words, up to the link: the other side of connect_as. */
void greet(void);

/* connect_as, greet, RESUME from `resume`; nothing is answered yet. */
void link_from(bool dialled, uint64_t resume);

/* The same with an empty copy each way, all answered: nothing is under way. */
void link_up(void);

/* Answers all that waits until nothing new comes. */
void settle(void);

/* ---- batches ------------------------------------------------------------ */

/* Appends a message to the open batch of the peer, or to the next one. */
void say(const struct frame_msg *msg);

/* Sends the batch, the next one with a wrong tag if `spoil`. */
extern bool spoil;
void send_batch(void);
void send_one(const struct frame_msg *msg);

struct frame_msg item_msg(const char *key, const char *value, uint64_t version);
/* DELETE, TOUCH, OFFER, GONE, WANT */
struct frame_msg key_msg(enum frame_type type, const char *key,
                         uint64_t version);
/* RESUME, POSITION, ACK, SCAN_ACK, PING, BARRIER, ERROR, ... */
struct frame_msg number_msg(enum frame_type type, uint64_t n);

void send_number(enum frame_type type, uint64_t n);
void send_key(enum frame_type type, const char *key, uint64_t version);
void send_missed(unsigned cell, uint64_t version); /* of one cell in all: 0 */

/* Messages since the last look, "resume 0; item k=value@17; ", the first 256 KB
 * of that; with `answers` POSITION, SCAN_POINT and PING are answered when they
 * come. */
const char *heard(void);
extern bool answers;

/* As heard(); a message of each kind since the last forget(). */
unsigned count(enum frame_type type);
void forget(void);

/* Numbers of what was heard last. */
extern uint64_t heard_position, heard_cursor, heard_ping, heard_resume;
extern size_t heard_value; /* bytes of values, in parts or not */

/* Of SCAN_POINTs since forget(): the first of them, and how many items, floors
 * and deletes came before each. */
enum { POINTS = 256 };
extern struct point {
    uint64_t cursor;
    unsigned items, floors;
} points[POINTS];

/* All that was heard is this, as printf makes it. */
void ck_heard(const char *format, ...) PRINTF(1, 2);

/* The link has ended, with this ERROR in its last words (0: BYE, -1: none). */
void ck_ended(int code);

/* ---- the store ---------------------------------------------------------- */

uint64_t set_until(const char *name, const char *value, uint32_t exptime);
uint64_t set(const char *name, const char *value);
uint64_t set_large(const char *name, size_t n);
uint64_t set_many(const char *prefix, unsigned n); /* version of the last */
void delete_key(const char *name);
void touch(const char *name, uint32_t exptime);

/* "value", or "none" */
const char *get(const char *name);
uint64_t floor_of(const char *name);
uint64_t head(void); /* of the log */
uint64_t chunks_used(void);

#endif
