/*
 * rep_link - one connection of replication without its socket: bytes in,
 * bytes out, events to rep/core.
 *
 * What arrives goes to rep/apply, what the log and the scan hold comes out.
 * Knows how, not whether: it tells what it sees as events of rep/core and
 * does what the edge passes on from there. Input is taken whether or not
 * output is blocked, except that a connection not yet linked takes no more
 * than its first line. The edge owns the connection: it hands over what it
 * read (rep_link_room, rep_link_got), sends what rep_link_out gives, and
 * closes when rep_link_is_closed after any call.
 *
 * Layer:     4. Includes rep/{core,floor,log,sweep,wire}.h.
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
#include "rep/core.h"
#include "rep/floor.h"
#include "rep/log.h"
#include "rep/sweep.h"
#include "rep/wire.h"

/* What all links share; borrowed for their life. */
struct rep_link_env {
    struct rep_floor *floors;
    struct rep_sweep *sweep; /* the edge steps it while it is pending */
    struct rep_log *log;
    /* Something happened on a link. May close the link before it returns. */
    void (*event)(void *ctx, const struct rep_event *event);
    void *ctx;
};

struct rep_link;

/* Gives a connection that has said nothing yet, or NULL when out of memory.
 * `id` names it to rep/core, `fd` in the lines of -vv. */
struct rep_link *rep_link_new(const struct rep_link_env *env, uint32_t id,
                              bool dialled, int fd);

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

/* From here on it carries changes. `unlinked_since`: the last version of the
 * time before. False when out of memory or of readers of the log. */
bool rep_link_begin(struct rep_link *link, bool legacy,
                    uint64_t unlinked_since) MUST_CHECK;

void rep_link_scan(struct rep_link *link, uint64_t version);
void rep_link_announce(struct rep_link *link);
void rep_link_beat(struct rep_link *link);
void rep_link_drain(struct rep_link *link);

/* ---- in --------------------------------------------------------------- */

/* False: what comes waits in the kernel until rep/core has decided. */
bool rep_link_reads(const struct rep_link *link) MUST_CHECK;

/* Where the next bytes go; never empty while rep_link_reads. */
struct iovec rep_link_room(struct rep_link *link);

/* `n` bytes came there, at `now` (nanoseconds, monotonic). */
void rep_link_got(struct rep_link *link, size_t n, uint64_t now);

/* Carries on with what arrived before. */
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

/* Nothing is in the log for it: the next change will call the wake-up. */
bool rep_link_sleep(struct rep_link *link) MUST_CHECK;

/* ---- figures ---------------------------------------------------------- */

struct rep_link_figures {
    bool linked, legacy, announced, received, caught_up, draining;
    unsigned dialect; /* spoken on it; 0: legacy, or not known */
    int reader;
    uint64_t run;   /* of the peer; 0: legacy */
    uint64_t pos;   /* sent up to here */
    uint64_t acked; /* processed by the peer up to here */
    uint64_t items_sent, items_received, bytes_sent, bytes_received;
    uint64_t full_copies, partial_copies, received_copies;
    uint64_t full_items, partial_items, full_bytes, partial_bytes; /* sent */
    uint64_t conflicts_won, conflicts_lost;
    uint64_t lag_us;
    int64_t skew_ms;
    const char *error; /* why it ended; NULL: the peer closed it */
};

void rep_link_figures(const struct rep_link *link,
                      struct rep_link_figures *out);

#endif
