/*
 * rep_legacy - the receiving half towards a peer of repcached 2.x: its lines
 * into the store.
 *
 * Bytes go in as they arrive, in any cut; whole changes are applied at once,
 * large values flow into a reserved item. What arrives is a local write with
 * a new version, except that its first copy replaces nothing that changed
 * here since the link was lost, and that a value equal to ours brings its
 * expiry only. A key sent to the peer in the last REP_LEGACY_RECENT_MS and
 * then received from it is a conflict: theirs is applied and sent back, so
 * that both hold it.
 *
 * Layer:     4. Includes store.h and rep/{floor,log,wire}.h.
 * Threads:   the replication thread.
 * Locks:     those of the store, FLOOR and REP_LOG; holds none on return.
 * Ownership: owns the item it is receiving until committed.
 */
#ifndef REP_LEGACY_H
#define REP_LEGACY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "rep/floor.h"
#include "rep/log.h"
#include "rep/wire.h"
#include "store.h"

/* Values above this flow into the item piece by piece; the buffer that bytes
 * are fed from must hold this and a line. */
#define REP_LEGACY_WHOLE_MAX (8 * KIB)
#define REP_LEGACY_BUFFER    (REP_LEGACY_WHOLE_MAX + WIRE_LINE_MAX + 2)

#define REP_LEGACY_RECENT_MS 5000

struct rep_legacy;

struct rep_legacy_config {
    int reader;               /* the peer's, of rep_log */
    int fd;                   /* names the link in the lines of -vv */
    uint64_t unlinked_since;  /* last version when the link was lost */
    struct rep_floor *floors; /* borrowed */
    struct rep_log *log;      /* borrowed */
};

/* Gives the receiver of one link, or NULL when out of memory. */
struct rep_legacy *rep_legacy_new(const struct rep_legacy_config *config);

/* Takes `l`; NULL is allowed. A half-received value is dropped. */
void rep_legacy_free(struct rep_legacy *l);

enum rep_legacy_status {
    REP_LEGACY_MORE,    /* all that was complete is applied; keep the rest */
    REP_LEGACY_CONTROL, /* *msg is for the caller; feed the rest again */
    REP_LEGACY_BAD,     /* close the link */
};

/* Applies what is complete in the `n` bytes at `p`; *used receives how many
 * were consumed (always valid). CONTROL: HELLO, END; *msg points into `p`. */
enum rep_legacy_status rep_legacy_feed(struct rep_legacy *l, const char *p,
                                       size_t n, size_t *used,
                                       struct wire_msg *msg) MUST_CHECK;

/* The peer's first copy ended; from now on it always wins. */
void rep_legacy_copied(struct rep_legacy *l);

/* These entries were sent just now. */
void rep_legacy_note_sent(struct rep_legacy *l,
                          const struct rep_log_batch *batch, unsigned from,
                          unsigned to);

/* Part of a scan was sent just now. Begin the scan after the peer's
 * copy has ended, or our older values would replace its newer ones. */
void rep_legacy_note_scan(struct rep_legacy *l);

struct rep_legacy_stats {
    uint64_t items, deletes, flushes; /* received */
    uint64_t stale;                   /* of its first copy, older than ours */
    uint64_t unstorable;              /* the key was removed instead */
    uint64_t skipped;                 /* lines not understood */
    uint64_t bytes;
};

void rep_legacy_stats(const struct rep_legacy *l, struct rep_legacy_stats *out);

#endif
