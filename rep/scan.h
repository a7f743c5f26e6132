/*
 * rep_scan - the sending half: present states of keys as lines for one peer.
 *
 * A scan walks the store and writes every state at or above a threshold; a
 * live entry writes the present state of one key. Both fill a buffer of the
 * caller's, straight from the item, under its stripe lock. A value over
 * REP_SCAN_COPY_MAX is not copied: the buffer ends with its line, the item is
 * handed out with a reference, and nothing more is written until the caller
 * has sent the value and called rep_out_sent_value.
 *
 * Sending a state twice or late is harmless: the version decides.
 *
 * Layer:     4. Includes store.h, rep/floor.h, rep/log.h, rep/wire.h.
 * Threads:   the replication thread.
 * Locks:     takes STRIPE through the store, FLOOR; holds none on return.
 * Ownership: rep_out owns the reference to a large item until it was sent.
 */
#ifndef REP_SCAN_H
#define REP_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/util.h"
#include "rep/floor.h"
#include "rep/log.h"
#include "rep/wire.h"
#include "store.h"

#define REP_SCAN_COPY_MAX (64 * KIB)
/* A buffer must have at least this much room to be sure of progress. */
#define REP_SCAN_ROOM (REP_SCAN_COPY_MAX + 2 * WIRE_LINE_ROOM)

/* How states are written for one peer. */
struct rep_peer {
    enum wire_dialect dialect;
    int reader;               /* of rep_log */
    uint64_t item_size_max;   /* the peer's; larger items go as floors */
    struct rep_floor *floors; /* borrowed */
    struct rep_log *log;      /* borrowed */
};

/* Where they are written. Fill with rep_out_init. */
struct rep_out {
    char *buf;
    size_t len, room;
    struct item *big;  /* its value follows buf, then CR LF; NULL: none */
    uint32_t big_left; /* bytes of it not sent yet, CR LF included */
    uint64_t items;    /* items written */
    uint64_t floors;   /* deletes and floors written */
};

void rep_out_init(struct rep_out *out, char *buf, size_t room);

/* The caller has sent `buf`: it is empty again (counts stay). */
void rep_out_clear(struct rep_out *out);

/* Pieces of the large value (and its CR LF) still to be sent after `buf`, at
 * most `most`; their count. They stay valid until rep_out_sent_value. */
unsigned rep_out_value(const struct rep_out *out, struct iovec *iov,
                       unsigned most);

/* `n` more bytes of them were sent. At the end drops the item. */
void rep_out_sent_value(struct rep_out *out, size_t n);

/* Drops the large item, sent or not: the link is gone. */
void rep_out_fini(struct rep_out *out);

enum rep_scan_status {
    REP_SCAN_MORE, /* call again, after sending when the buffer is full */
    REP_SCAN_DONE, /* everything was written */
};

struct rep_scan {
    uint64_t threshold;
    uint64_t flushed_since; /* LEGACY: a flush after this version is sent */
    bool touched;           /* also touched items below the threshold */
    uint8_t phase;
    struct store_cursor cursor;
    struct rep_floor_cursor floors;
    uint64_t items; /* items written, for "marugoto <n>" */
};

/* Begins a scan of everything at or above `threshold` (0: all). */
void rep_scan_begin(struct rep_scan *scan, uint64_t threshold, bool touched);

/* Writes on until the buffer is full, a large value is handed out, some
 * thousands of items were looked at, or all is written. The line marugoto_end
 * is the caller's. */
enum rep_scan_status rep_scan_step(struct rep_scan *scan,
                                   const struct rep_peer *peer,
                                   struct rep_out *out) MUST_CHECK;

/* Writes the present state of batch->entry[*i] and further entries and moves
 * *i past what was written. True when the whole batch is; false: send, then
 * call again. */
bool rep_scan_live(const struct rep_peer *peer,
                   const struct rep_log_batch *batch, unsigned *i,
                   struct rep_out *out) MUST_CHECK;

#endif
