/*
 * rep_core - what replication decides: when to dial, whom to believe, which
 * of two connections to keep, when to catch up, when to serve.
 *
 * A pure step function: (state, event, now) -> actions. It knows no socket,
 * no clock and no store; replication.c turns what happens into events and
 * performs the actions, in order. A connection is a number that the edge
 * chose; it stays known here from the event that brought it until
 * REP_DO_CLOSE names it or REP_EV_CLOSED reports its end.
 *
 * One peer has one connection. Two completed hellos of the same run: the one
 * dialled by the lower run id stays, of two with the same dialler the newer,
 * so that both ends choose alike. A configured peer has a place of its own,
 * which others may have while it is away; who configured nobody has one place.
 * A stranger proves nothing by silence: only an address the edge calls trusted
 * may become a legacy peer that way.
 *
 * Layer:     4. Includes layer 0 only.
 * Threads:   one at a time; the replication thread.
 * Ownership: functions borrow their arguments unless they say takes or gives.
 */
#ifndef REP_CORE_H
#define REP_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

#define REP_CORE_PEERS   8   /* most configured peers */
#define REP_CORE_CONNS   48  /* most connections known at a time */
#define REP_CORE_ACTIONS 128 /* most actions of one step */

#define REP_CORE_NO_PEER UINT32_MAX

#define REP_CORE_SLOTS 4 /* numbers of 64 bits: one bit for each slot */

#define REP_CORE_UNPROVEN    16   /* strangers who have not said hello */
#define REP_CORE_UNPROVEN_MS 3000 /* how long they may take */
#define REP_CORE_SILENT_MS   1000 /* then a trusted silent one is legacy */
#define REP_CORE_DIAL_MIN_MS 100
#define REP_CORE_DIAL_MAX_MS 1000
#define REP_CORE_SELF_MS     5000 /* a name that leads to ourselves */
#define REP_CORE_DRAIN_MS    2000
#define REP_CORE_SKEW_MAX_MS (24LL * 3600 * 1000)

struct rep_core_config {
    uint64_t run;     /* id of this life of the store */
    uint64_t seed;    /* of the jitter */
    uint32_t timeout; /* ms: a silent peer is down */
    unsigned peers;   /* how many are dialled: peer numbers 0.. */
    uint8_t slot;     /* of our versions */
    bool serve_early; /* open the client port before a copy came */
    bool no_legacy;   /* repcached 2.x is nobody's peer */
};

enum rep_event_kind {
    REP_EV_START,         /* once, first */
    REP_EV_TICK,          /* the time of REP_DO_TIMER has come */
    REP_EV_ACCEPTED,      /* conn, addr, peer, configured, trusted */
    REP_EV_CONNECTED,     /* conn, peer, addr: a dial got through */
    REP_EV_DIAL_FAILED,   /* peer, cause */
    REP_EV_HELLO,         /* conn, run, was, slot, slots, skew, port: a hello;
                           * accepted: peer, configured, exact, as now known */
    REP_EV_LEGACY,        /* conn: a command of repcached 2.x came */
    REP_EV_NONSENSE,      /* conn: its first line was neither */
    REP_EV_HEARD,         /* conn: bytes came; or it is not read, which must not
                           * count against it: while it is not, nobody else
                           * gets its place, even if it is dead */
    REP_EV_CLOSED,        /* conn, refusal: ended by the other side, in those
                           * words if it said any, or by an error */
    REP_EV_SCAN_DONE,     /* conn: the scan, or all it caught up on, was sent */
    REP_EV_COPY_RECEIVED, /* conn: the peer's copy has ended */
    REP_EV_OVERRUN,       /* conn, version: changes from it on were lost */
    REP_EV_STOP,          /* the process ends */
    REP_EV_DRAINED,       /* conn: all that was queued has arrived */
};

enum rep_cause { REP_REFUSED, REP_SILENT, REP_UNKNOWN_HOST };

/* What an acceptor tells who said hello and is turned away. */
enum rep_refusal {
    REP_REFUSAL_NONE,
    REP_REFUSAL_BUSY,     /* the place is taken */
    REP_REFUSAL_STRANGER, /* nobody configured it, and no place is free */
    REP_REFUSAL_SELF,     /* it is the acceptor itself */
    REP_REFUSAL_CLOCK,    /* its clock is too far ahead */
};

struct rep_event {
    enum rep_event_kind kind;
    uint32_t conn;
    unsigned peer; /* whose number this is; REP_CORE_NO_PEER: cannot tell */
    uint64_t addr; /* the same for two connections from one address */
    bool
        configured; /* it may be a configured peer, though which is not known */
    bool exact;     /* `peer` by address and port */
    bool trusted;   /* configured, or one of rep_legacy= */
    enum rep_cause cause;
    enum rep_refusal refusal;
    uint64_t run;
    uint64_t was;  /* the run that it goes on from; 0: none */
    uint16_t port; /* on which it listens, 0: it did not say; for the edge */
    uint8_t slot;
    uint64_t slots[REP_CORE_SLOTS]; /* bit per slot in use where it stands */
    int64_t skew;                   /* ms by which the peer's clock is ahead */
    uint64_t version;
};

enum rep_action_kind {
    REP_DO_LISTENING, /* say that we listen; bind what is not bound yet */
    REP_DO_DIAL,      /* peer, loud, next: resolve and connect */
    REP_DO_UNDIAL,    /* peer: forget the dial under way */
    REP_DO_CLOSE,     /* conn, refusal: at once, unread bytes too; with a
                       * refusal, when that is said */
    REP_DO_HELLO,     /* conn: send ours */
    REP_DO_SLOT,      /* slot: draw versions in it from now on */
    REP_DO_LINK,      /* conn, legacy: obey its lines, send it the log */
    REP_DO_CATCH_UP,  /* conn: send what it lacks, then REP_EV_SCAN_DONE */
    REP_DO_SCAN,      /* conn, version: send everything from it on */
    REP_DO_ANNOUNCE,  /* conn: say that the copy is complete */
    REP_DO_BEAT,      /* conn: let the peer hear us */
    REP_DO_SERVE,     /* open the client port */
    REP_DO_PRINT,     /* line, conn */
    REP_DO_TIMER,     /* at: wake us then; replaces the one before */
    REP_DO_DRAIN,     /* conn: send what is queued, then REP_EV_DRAINED */
    REP_DO_END,       /* nothing left to do */
};

enum rep_line {
    REP_LINE_ACCEPT,
    REP_LINE_CONNECT,
    REP_LINE_COPYING,
    REP_LINE_START,
    REP_LINE_CLOSE,
    REP_LINE_ALREADY,
};

struct rep_action {
    enum rep_action_kind kind;
    uint32_t conn;
    unsigned peer;
    bool loud;   /* DIAL: print that we dial and that it failed */
    bool next;   /* DIAL: begin with the address after the last one */
    bool legacy; /* LINK */
    bool silent; /* CLOSE: because nothing came from there for too long */
    enum rep_refusal refusal;
    uint8_t slot;
    enum rep_line line;
    uint64_t version;
    uint64_t at;
};

enum rep_link_status {
    REP_LISTENING, /* nobody to dial, nobody there */
    REP_DIALING,
    REP_COPYING, /* linked, one of the two copies not complete */
    REP_LINKED,
};

struct rep_core;

/* Gives a core, or NULL when out of memory. */
struct rep_core *rep_core_new(const struct rep_core_config *config);

/* Takes `core`; NULL is allowed. */
void rep_core_free(struct rep_core *core);

/* Takes one step and returns the actions, valid until the next; sets *n.
 * `now` is in milliseconds and never falls. */
const struct rep_action *rep_core_step(struct rep_core *core,
                                       const struct rep_event *event,
                                       uint64_t now, size_t *n);

/* Of the whole: the least good of its peers; with one configured peer or none,
 * of whoever is linked. Of one configured peer. Of one connection: COPYING or
 * LINKED, LISTENING when it is not linked. */
enum rep_link_status rep_core_status(const struct rep_core *core);
enum rep_link_status rep_core_peer_status(const struct rep_core *core,
                                          unsigned peer);
enum rep_link_status rep_core_conn_status(const struct rep_core *core,
                                          uint32_t conn);

/* Sets the bits of the slots in use that a hello tells: ours, and those of the
 * peers that are linked. */
void rep_core_slots(const struct rep_core *core,
                    uint64_t slots[REP_CORE_SLOTS]);

/* The connection by which a configured peer is linked; 0: by none. Two peers
 * that turned out to be one node have one. */
uint32_t rep_core_peer_conn(const struct rep_core *core, unsigned peer);

/* The name of the peer leads to ourselves: nobody is missed there. */
bool rep_core_peer_is_self(const struct rep_core *core, unsigned peer);

#endif
