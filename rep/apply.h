/*
 * rep_apply - the receiving half: lines of one peer into the store.
 *
 * Bytes go in as they arrive, in any cut; whole changes are applied at once,
 * large values flow into a reserved item. Dialect OURS: the version decides;
 * a stale state makes ours go back to the peer, so that both end the same.
 * LEGACY: what arrives is a local write with a new version, except that its
 * first copy replaces nothing that changed here since the link was lost, and
 * that a value equal to ours brings its expiry only. A key sent to a legacy
 * peer in the last REP_APPLY_RECENT_MS and then received from it is a
 * conflict: theirs is applied and sent back, so that both hold it.
 *
 * Layer:     4. Includes store.h and rep/{floor,log,sweep,wire}.h.
 * Threads:   the replication thread.
 * Locks:     those of the store, FLOOR and REP_LOG; holds none on return.
 * Ownership: owns the item it is receiving until committed.
 */
#ifndef REP_APPLY_H
#define REP_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "rep/floor.h"
#include "rep/log.h"
#include "rep/sweep.h"
#include "rep/wire.h"
#include "store.h"

/* Values above this flow into the item piece by piece; the buffer that bytes
 * are fed from must hold this and a line. */
#define REP_APPLY_WHOLE_MAX (8 * KIB)
#define REP_APPLY_BUFFER    (REP_APPLY_WHOLE_MAX + WIRE_LINE_MAX + 2)

#define REP_APPLY_RECENT_MS 5000

/* A version further ahead of our clock ends the link. */
#define REP_APPLY_AHEAD_MS (24ULL * 3600 * 1000)

struct rep_apply;

struct rep_apply_config {
    enum wire_dialect dialect;
    int reader;               /* the peer's, of rep_log */
    int fd;                   /* names the link in the lines of -vv */
    int32_t expiry_shift;     /* added to expiries: their clock to ours */
    uint64_t unlinked_since;  /* LEGACY: last version when the link was lost */
    struct rep_floor *floors; /* borrowed */
    struct rep_sweep *sweep;  /* borrowed; for floors that come by hash */
    struct rep_log *log;      /* borrowed */
};

/* Gives the receiver of one link, or NULL when out of memory. */
struct rep_apply *rep_apply_new(const struct rep_apply_config *config);

/* Takes `ap`; NULL is allowed. A half-received value is dropped. */
void rep_apply_free(struct rep_apply *ap);

enum rep_apply_status {
    REP_APPLY_MORE,    /* all that was complete is applied; keep the rest */
    REP_APPLY_CONTROL, /* *msg is for the caller; feed the rest again */
    REP_APPLY_BAD,     /* close the link */
};

/* Applies what is complete in the `n` bytes at `p`; *used receives how many
 * were consumed (always valid). CONTROL: HELLO, END, POSITION, ACK, PING,
 * PONG; *msg points into `p`. */
enum rep_apply_status rep_apply_feed(struct rep_apply *ap, const char *p,
                                     size_t n, size_t *used,
                                     struct wire_msg *msg) MUST_CHECK;

/* LEGACY: the peer's first copy ended; from now on it always wins. */
void rep_apply_copied(struct rep_apply *ap);

/* LEGACY: these entries were sent just now. */
void rep_apply_note_sent(struct rep_apply *ap,
                         const struct rep_log_batch *batch, unsigned from,
                         unsigned to);

/* LEGACY: part of a scan was sent just now. Begin the scan after the peer's
 * copy has ended, or our older values would replace its newer ones. */
void rep_apply_note_scan(struct rep_apply *ap);

struct rep_apply_stats {
    uint64_t items, deletes, floors, flushes; /* received */
    uint64_t stale;      /* ours was newer: conflicts won */
    uint64_t unstorable; /* kept as floors */
    uint64_t skipped;    /* lines not understood */
    uint64_t bytes;
};

void rep_apply_stats(const struct rep_apply *ap, struct rep_apply_stats *out);

#endif
