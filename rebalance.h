/*
 * rebalance - moves one page from its class to another, or to the pool.
 *
 * The page is drained: none of its free chunks is given out any more, and each
 * item in it is copied to another chunk of its class, which may evict for it,
 * or reclaimed when it is dead. What somebody is using is tried again in the
 * next pass; items used for too long are removed from the cache, and once they
 * stay in use even then the page keeps its class.
 *
 * Beside everything else: a slice holds one lock at a time, shortly.
 *
 * Layer:     2. Includes layers 0-1 and the insides of the store.
 * Threads:   one; the figures by any.
 * Locks:     a stripe, then LRU or SLABS.
 */
#ifndef REBALANCE_H
#define REBALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

enum rebalance_state {
    REBALANCE_MORE,   /* call again */
    REBALANCE_WAIT,   /* the same, after a pause: what is left is in use */
    REBALANCE_DONE,   /* the page is where it should be */
    REBALANCE_FAILED, /* it stays where it was */
};

/* Begins with the oldest page of `src` (0: the pool), which then goes to `dst`
 * (0: the pool). false: the class would be left without one. */
bool rebalance_begin(unsigned src, unsigned dst) MUST_CHECK;

/* A slice of the work. */
enum rebalance_state rebalance_step(void) MUST_CHECK;

/* Leaves the page where it was. */
void rebalance_cancel(void);

/* All memory that is allowed is taken. */
bool rebalance_memory_full(void);

/* Pages of the pool go back to the system as long as there is more memory than
 * is allowed; true: there still is. */
bool rebalance_trim(void);

struct rebalance_stats {
    uint64_t rescues;        /* items copied */
    uint64_t chunk_rescues;  /* pieces of large values copied */
    uint64_t inline_reclaim; /* chunks of the page that evictions freed */
    uint64_t busy_items;     /* found in use */
    uint64_t busy_deletes;   /* removed, since they stayed in use */
    uint64_t busy_nomem;     /* no chunk to be had for a copy */
    const char *last_busy;   /* why the last one was left for later */
    uint64_t moved;          /* pages */
};
void rebalance_stats(struct rebalance_stats *out);
void rebalance_stats_reset(void);

#endif
