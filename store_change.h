/*
 * store_change - what the store tells its observer.
 *
 * Layer:     2. Includes items.h; store.h includes this.
 * Threads:   the observer is called by whoever changes the store.
 * Locks:     as each call says.
 * Ownership: everything told is borrowed for the call.
 */
#ifndef STORE_CHANGE_H
#define STORE_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "items.h"

struct store_key;

enum store_op {
    STORE_OP_ITEM,   /* the key has a new state */
    STORE_OP_TOUCH,  /* the expiry grew, the version stays */
    STORE_OP_DELETE, /* the key is gone */
    STORE_OP_FLUSH,  /* a barrier; no key */
};

struct store_change {
    enum store_op op;
    const struct store_key *key; /* NULL for FLUSH */
    uint64_t version; /* applied changes: the peer's; 0: draw a new one */
    uint32_t source;  /* applied changes: the caller's, opaque here; local 0 */
    uint64_t place;   /* 40 bits: of the item, store_prefetch_place; 0 none */
    /* Local changes: what the key has now, complete but for its version and
     * the cas that follows from that; the observer may read it. NULL: it has
     * nothing, or is not complete yet. */
    const struct item *item;
};

struct store_observer {
    void *ctx;
    /* A change is about to become visible. Returns its version: drawn now for
     * local changes, `change->version` for applied ones. Stripe held (FLUSH:
     * none). TOUCH draws none: its result is not used. */
    uint64_t (*change)(void *ctx, const struct store_change *change);
    /* An item went without a change: evicted, expired, refused. */
    void (*removed)(void *ctx, const char *key, size_t nkey, uint64_t version);
    /* Nothing older than this may be stored for the key; 0: anything. */
    uint64_t (*floor)(void *ctx, const char *key, size_t nkey);
};

#endif
