/*
 * rep_text_out - states of keys as commands of repcached 2.x.
 *
 * They fill a buffer of the caller's, straight from the item, under its stripe
 * lock. A value over REP_TEXT_COPY_MAX is not copied: the buffer ends with its
 * line, the item is held by a reference, and nothing more is written until the
 * caller has sent the value and called rep_text_sent_value.
 *
 * Layer:     4. Includes store.h, rep/log.h, rep/wire.h.
 * Threads:   the replication thread.
 * Locks:     takes STRIPE through the store; holds none on return.
 * Ownership: owns the reference to a large item until it was sent.
 */
#ifndef REP_TEXT_OUT_H
#define REP_TEXT_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/util.h"
#include "rep/log.h"
#include "rep/wire.h"
#include "store.h"

#define REP_TEXT_COPY_MAX (64 * KIB)
/* A buffer must have at least this much room to be sure of progress. */
#define REP_TEXT_ROOM (REP_TEXT_COPY_MAX + 2 * WIRE_LINE_ROOM)

/* Fill with rep_text_init. */
struct rep_text_out {
    char *buf;
    size_t len, room;
    struct item *big;        /* its value follows buf, then CR LF; NULL: none */
    struct store_view value; /* that */
    uint32_t big_left;       /* bytes of it not sent yet, CR LF included */
    uint64_t items;          /* figures: items written */
    uint64_t removals;       /* deletes written */
};

void rep_text_init(struct rep_text_out *out, char *buf, size_t room);

/* Drops the large item, sent or not: the link is gone. */
void rep_text_fini(struct rep_text_out *out);

/* The caller has sent `buf`: it is empty again (counts stay). */
void rep_text_clear(struct rep_text_out *out);

/* Pieces of the large value (and its CR LF) still to be sent after `buf`, at
 * most `most`; their count. They stay valid until rep_text_sent_value. */
unsigned rep_text_value(const struct rep_text_out *out, struct iovec *iov,
                        unsigned most);

/* `n` more bytes of them were sent. At the end drops the item. */
void rep_text_sent_value(struct rep_text_out *out, size_t n);

/* Each of these returns false when there is no room: nothing is written. Nor is
 * anything, though true is returned, of a key that no line can name. */

/* A live item, its stripe held; one that 2.x cannot take as a delete. */
bool rep_text_item(struct rep_text_out *out, struct item *it) MUST_CHECK;

/* The present state of the key of an entry, or the flush it records. */
bool rep_text_entry(struct rep_text_out *out,
                    const struct rep_log_entry *e) MUST_CHECK;

/* A pending delayed flush; before it, if `now`, a flush. */
bool rep_text_flush(struct rep_text_out *out, bool now) MUST_CHECK;

bool rep_text_end(struct rep_text_out *out) MUST_CHECK; /* marugoto_end */

#endif
