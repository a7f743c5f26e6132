/*
 * rep_link - one connection of replication without its socket: bytes in,
 * bytes out, events to rep/core.
 *
 * What arrives goes to rep/apply, what the log and the scan hold comes out.
 * Knows how, not whether: it tells what it sees as events of rep/core and
 * does what the edge passes on from there. Input is taken whether or not
 * output is blocked, except that a connection not yet linked takes no more
 * than its first line, and one that brought many floors by hash nothing until
 * the sweep, which waits for nobody, has room for more. The edge owns the
 * connection: it hands over what it read (rep_link_room, rep_link_got), sends
 * what rep_link_out gives, from the first words on, and closes when
 * rep_link_is_closed after any call, but first sends once what rep_link_out
 * gives then: the last words.
 *
 * Layer:     4. Includes rep/{auth,core,floor,hints,log,runs,sweep,wire}.h.
 * Threads:   the replication thread.
 * Locks:     those of the store and rep/log; holds none on return.
 * Ownership: owns its buffers and everything queued in them.
 */
#ifndef REP_LINK_H
#define REP_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/util.h"
#include "rep/auth.h"
#include "rep/core.h"
#include "rep/floor.h"
#include "rep/hints.h"
#include "rep/log.h"
#include "rep/runs.h"
#include "rep/sweep.h"
#include "rep/wire.h"

/* What all links share; borrowed for their life. */
struct rep_link_env {
    struct rep_floor *floors;
    struct rep_sweep *sweep; /* the edge steps it while it is pending */
    struct rep_log *log;
    struct rep_runs *runs;
    struct rep_hints *hints;          /* NULL: none are applied */
    struct rep_auth_secret *secret;   /* NULL: everybody is believed */
    const struct rep_rate *copy_rate; /* of all copies; NULL: no limit */
    uint64_t run;                     /* ours */
    uint8_t hops_max; /* what has passed more nodes is not passed on */
    /* What this node says of itself now, but for the nonce. */
    void (*hello)(void *ctx, struct wire_hello *out);
    /* Something happened on a link. May close the link before it returns. */
    void (*event)(void *ctx, const struct rep_event *event);
    void *ctx;
};

struct rep_link;

/* Gives a connection that has said nothing yet, or NULL when out of memory.
 * `id` names it to rep/core, `fd` in the lines of -vv; `addr` is the same for
 * all connections with one address, whatever the ports. */
struct rep_link *rep_link_new(const struct rep_link_env *env, uint32_t id,
                              bool dialled, int fd, uint64_t addr);

/* Takes `link`; NULL is allowed. Not from inside its own events. */
void rep_link_free(struct rep_link *link);

uint32_t rep_link_id(const struct rep_link *link);

/* Ends it; the object stays until rep_link_free. */
void rep_link_close(struct rep_link *link);
bool rep_link_is_closed(const struct rep_link *link);

/* The connection is gone, `why` (static; NULL: the peer closed it): ends it
 * and tells rep/core, once. */
void rep_link_fail(struct rep_link *link, const char *why);

/* ---- actions ---------------------------------------------------------- */

/* Says what is due of the first words: our hello; an acceptor that has said
 * it, because a secret has to be proven first, its proof. */
void rep_link_hello(struct rep_link *link);

/* Says why the peer is not taken, in the place of that; then the link closes
 * by itself. */
void rep_link_refuse(struct rep_link *link, enum wire_refusal refusal);

/* From here on it carries changes. `unlinked_since`, LEGACY: the last version
 * of the time before. False when out of memory or of places for runs. */
bool rep_link_begin(struct rep_link *link, bool legacy,
                    uint64_t unlinked_since) MUST_CHECK;

/* v3: sends what the peer lacks, then tells REP_EV_SCAN_DONE. */
void rep_link_catch_up(struct rep_link *link);

/* Everything from this version on was lost, or is to be sent. */
void rep_link_scan(struct rep_link *link, uint64_t version);

/* Keys that are read here, for a standby: lost when anything else waits. `n`
 * is at most FRAME_HINTS_MAX. */
bool rep_link_takes_hints(const struct rep_link *link);
void rep_link_hints(struct rep_link *link, const uint8_t *payload, size_t n);

void rep_link_announce(struct rep_link *link);
void rep_link_beat(struct rep_link *link);
void rep_link_drain(struct rep_link *link);

/* ---- in --------------------------------------------------------------- */

/* False: what comes waits in the kernel, until rep/core has decided or
 * rep_link_work finds the sweep no longer full. */
bool rep_link_reads(const struct rep_link *link) MUST_CHECK;

/* Where the next bytes go; never empty while rep_link_reads. */
struct iovec rep_link_room(struct rep_link *link);

/* `n` bytes came there, at `now` (nanoseconds, monotonic). */
void rep_link_got(struct rep_link *link, size_t n, uint64_t now);

/* Carries on with what arrived before; while it reads nothing because the
 * sweep is full tells rep/core each time that the peer is there, and the peer
 * four times a second that we are. */
void rep_link_work(struct rep_link *link);

/* ---- out -------------------------------------------------------------- */

/* Pieces to be sent next, at most `most`, made when none are left: their
 * count, valid until rep_link_sent. 0 may mean that more come at once: see
 * rep_link_all_written. */
unsigned rep_link_out(struct rep_link *link, struct iovec *iov, unsigned most,
                      uint64_t now);

/* `n` bytes of them were sent. */
void rep_link_sent(struct rep_link *link, size_t n);

/* Nothing is left to be sent, or to be looked for. */
bool rep_link_all_written(const struct rep_link *link) MUST_CHECK;

/* Tells rep/core, once, when what rep_link_drain asked for has arrived: the
 * peer has processed it or, LEGACY, `unsent` of it are left in the kernel. */
void rep_link_drained(struct rep_link *link, size_t unsent);

/* The acknowledgement by which lag is measured is under way. */
bool rep_link_awaits(const struct rep_link *link) MUST_CHECK;

/* Nothing is there for it: the next change will call the wake-up. */
bool rep_link_sleep(struct rep_link *link) MUST_CHECK;

/* ---- figures ---------------------------------------------------------- */

struct rep_link_figures {
    bool linked, legacy, announced, received, caught_up, draining;
    bool copying;        /* a copy is being written */
    bool held;           /* it waits for its rate... */
    bool copying_all;    /* the last copy begun is, or was, a full one */
    uint64_t held_until; /* ...up to then (ns, monotonic) */
    uint32_t dialect;    /* of v3; 0: legacy, or not known */
    int reader;          /* of the log; -1: it never carried changes */
    uint64_t run;        /* of the peer; 0: legacy */
    uint64_t pos;        /* sent up to here */
    uint64_t acked;      /* processed by the peer up to here */
    uint64_t items_sent, items_received, bytes_sent, bytes_received;
    uint64_t full_copies, partial_copies, received_copies;
    uint64_t full_items, full_bytes;       /* written by scans: floors, too */
    uint64_t partial_items, partial_bytes; /* the same */
    uint64_t conflicts_won, conflicts_lost;
    uint64_t lag_us;     /* last measured: change made to acknowledged */
    uint64_t lag_p99_us; /* of the last 256 */
    int64_t skew_ms;     /* its clock less ours */
    int64_t shift_ms;    /* of it, what expiries are corrected by */
    const char *error;   /* why it ended; NULL: the peer closed it */
};

void rep_link_figures(const struct rep_link *link,
                      struct rep_link_figures *out);

#endif
