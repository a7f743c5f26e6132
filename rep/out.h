/*
 * rep_out - what one v3 link writes: batches in a buffer, and one large value
 * under way.
 *
 * Messages go into an open batch; when it is full it is closed, signed if
 * there is a secret, and the next one begins behind it, until the buffer is
 * full. A value too large for a batch goes in parts: its item is referenced
 * and parts are copied as there is room, between other messages.
 *
 * Layer:     4. Includes store.h, rep/frame.h, rep/auth.h.
 * Threads:   the replication thread.
 * Locks:     none; rep_out_begin_large is called with the item's stripe held.
 * Ownership: borrows the buffer; owns the reference to the large item.
 */
#ifndef REP_OUT_H
#define REP_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "rep/auth.h"
#include "rep/frame.h"
#include "store.h"

/* A buffer must have at least this much room to be sure of progress. */
#define REP_OUT_ROOM ((size_t)FRAME_BATCH_MAX)

struct rep_out {
    uint8_t *buf;
    size_t len;  /* bytes of closed batches */
    size_t wrap; /* of these: heads and tags */
    size_t room; /* messages may be written up to here */
    bool open;   /* `frame` is a batch behind them */
    bool failed; /* a batch could not be signed: close the link */
    struct frame_out frame;
    struct frame_stream stream;
    struct rep_auth_link *auth; /* borrowed; NULL: no tags */

    struct item *large; /* its value is under way; NULL: none */
    uint32_t left;      /* bytes of it to come */
    struct store_view value;
    const struct item_chunk *chunk; /* of it that is being written */
    uint32_t at; /* bytes of the chunk (or of the value) written */
};

/* `room` is at least REP_OUT_ROOM. */
void rep_out_init(struct rep_out *out, void *buf, size_t room,
                  struct rep_auth_link *auth);

/* Drops the large item: the link is gone. */
void rep_out_fini(struct rep_out *out);

/* All was sent: the buffer is empty again. */
void rep_out_clear(struct rep_out *out);

/* Appends a message; false, with nothing written, when there is no room. */
bool rep_out_put(struct rep_out *out, const struct frame_msg *msg) MUST_CHECK;

/* The same for ITEM without its value: returns where its bytes go, or NULL. */
uint8_t *rep_out_put_head(struct rep_out *out,
                          const struct frame_msg *msg) MUST_CHECK;

/* The same for a whole ITEM that frame_item wrote. */
bool rep_out_put_item(struct rep_out *out, const uint8_t *item,
                      size_t n) MUST_CHECK;

/* Puts BEGIN and references the item, whose parts rep_out_parts writes. False:
 * no room, or the item has too many references. Only while `large` is NULL. */
bool rep_out_begin_large(struct rep_out *out, const struct frame_msg *msg,
                         struct item *it) MUST_CHECK;

/* Writes parts of the large value while there is room. */
void rep_out_parts(struct rep_out *out);

/* Bytes written since the buffer was empty, those of the open batch, too. */
size_t rep_out_size(const struct rep_out *out);

/* The same of messages alone: without heads and tags. */
size_t rep_out_said(const struct rep_out *out);

/* Closes the open batch: what is in `buf` may be sent up to `len`. */
void rep_out_close(struct rep_out *out);

#endif
