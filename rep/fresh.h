/*
 * rep_fresh - the values of the newest changes, as messages ready to be sent.
 *
 * The log has versions and keys; the state of a key is looked up when it is
 * sent. That costs a lock and some cache misses. A small value is therefore
 * written here, as a message of rep/frame, by the worker that stores it and has
 * it at hand. There are two buffers: workers fill one, the replication thread
 * sends from the other, and once a turn they change places. What is not here
 * (large, no room, of an earlier turn) is looked up, so nothing depends on it.
 *
 * What is here is the state of one version; a later one has its own entry in
 * the log.
 *
 * Layer:     4. Includes store_change.h, rep/frame.h.
 * Threads:   put: any worker. The rest: the replication thread.
 * Locks:     put and turn are called under LOCK_REP_LOG; the others take none.
 * Ownership: what a view shows is borrowed until the next turn.
 */
#ifndef REP_FRESH_H
#define REP_FRESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store_change.h"

/* Bytes of a value at most: to copy more costs what looking it up does. */
#define REP_FRESH_VALUE 512

struct rep_fresh;

/* `bytes` is the size of a buffer (more than is of use is not taken), whose
 * pages are not touched before they are needed. NULL: out of memory. */
struct rep_fresh *rep_fresh_new(size_t bytes);
void rep_fresh_free(struct rep_fresh *fresh); /* NULL is allowed */

/* Keeps the message of a local change, of which `version` was drawn. Returns
 * where it is, 0 when it is not kept. */
uint16_t rep_fresh_put(struct rep_fresh *fresh,
                       const struct store_change *change, uint64_t version);

/* The buffer that is sent from: of entries of the log from `from` up to `to`.
 */
struct rep_fresh_view {
    const uint8_t *buffer;
    uint64_t from, to;
};

/* The buffers change places: `view`, all zero before the first turn, shows what
 * was put since the last one, of entries up to position `head`. */
void rep_fresh_turn(struct rep_fresh *fresh, uint64_t head,
                    struct rep_fresh_view *view);

/* Whether it shows what put kept of the entry at position `pos`. */
static inline bool rep_fresh_shows(const struct rep_fresh_view *view,
                                   uint64_t pos)
{
    return pos >= view->from && pos < view->to;
}

/* The message that put said is `at`, and its bytes. */
const uint8_t *rep_fresh_get(const struct rep_fresh_view *view, uint16_t at,
                             size_t *n);

/* The bits of a message (rep/frame) for those of an item. */
uint8_t rep_fresh_bits(unsigned item_bits);

#endif
