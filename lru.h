/*
 * lru - which item goes when a class is full: S3-FIFO, per slab class.
 *
 * New items enter a small queue, a tenth of the class; its tail is passed to
 * the main queue if it was hit, and evicted otherwise, leaving its hash in a
 * ghost table. What the ghost knows enters the main queue at once. The main
 * queue's tail goes round again while it has hits left. A hit raises a 2-bit
 * counter in the item and moves nothing. (Yang et al., "FIFO queues are all
 * you need for cache eviction", SOSP 2023; the threshold is one hit, not the
 * paper's two: doc/decisions.)
 *
 * Items that live for a short time only may stand in a third queue, from which
 * nothing is evicted (lru_set_temp_ttl).
 *
 * Chained items stand in the queues of the last class, where most of their
 * memory is.
 *
 * Layer:     2. Includes layers 0-1, items.h, slabs.h and assoc.h.
 * Threads:   any, after lru_init.
 * Locks:     takes LOCK_LRU of one class. lru_evict then tries the stripe of
 *            its victim against the order, and calls hooks holding both.
 * Ownership: queues borrow items.
 */
#ifndef LRU_H
#define LRU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"
#include "items.h"

struct lru_config {
    bool evict;         /* false: only dead items make room (-M) */
    unsigned small_pct; /* share of the class of the small queue */
    int temp_ttl;       /* see lru_set_temp_ttl */
    /* Whether an item is dead; its stripe is held. */
    bool (*dead)(const struct item *it);
    /* Takes an item, already out of its queue, out of the index and frees it;
     * its stripe and the LRU lock are held. */
    void (*drop)(struct item *it, uint64_t hv);
    /* An item is about to be evicted that is not dead; the same locks. */
    void (*evicting)(const struct item *it);
};

void lru_init(const struct lru_config *config);
void lru_fini(void);

/* Any time, any thread: the share of the small queue. */
void lru_set_small_pct(unsigned pct);

/* The same: items that have at most `ttl` seconds to live when they are stored
 * stand in a queue of their own, never evicted, only reclaimed. Below 0: none
 * do, and those there stay until they expire. */
void lru_set_temp_ttl(int ttl);

/* All three with the item's stripe held. */
void lru_link(struct item *it, uint64_t hv);
void lru_unlink(struct item *it);
/* `it` takes the place of `old`, and a hit more. */
void lru_replace(struct item *old, struct item *it, uint64_t hv);

/* `it`, a copy of `old` with its heat, takes its place. Stripe held. */
void lru_moved(struct item *old, struct item *it);

/* Counts a hit. Stripe held; takes no lock. */
void lru_hit(struct item *it);

/* Hits counted and not used up yet. They stay at LRU_HITS_MAX, so that most
 * hits of a hot item change nothing. */
#define LRU_HITS_MAX 3U

static inline unsigned lru_hits(const struct item *it)
{
    return atomic_load_explicit(&it->heat, memory_order_relaxed) & 3U;
}

extern atomic_int lru_temp_ttl; /* [a] lru_set_temp_ttl */

/* An item was written over: moves it to the queue that its new expiry asks
 * for. Stripe held. */
void lru_requeue(struct item *it);

static inline void lru_written_over(struct item *it)
{
    unsigned heat = atomic_load_explicit(&it->heat, memory_order_relaxed);

    if (UNLIKELY(atomic_load_explicit(&lru_temp_ttl, memory_order_relaxed) >=
                     0 ||
                 (heat >> 2 & 3) == ITEM_TEMP)) {
        lru_requeue(it);
    }
}

/* The value's size changed in place by `delta` bytes. Stripe held. */
void lru_resized(const struct item *it, int64_t delta);

/* Makes room in a class: frees at least one of its items. false: none could
 * go. No lock held. */
bool lru_evict(unsigned slab_class);

/* A store that could not get memory. */
void lru_out_of_memory(unsigned slab_class);

/* Counts a dead item that a lookup removed. Stripe held. */
void lru_expired(const struct item *it);

struct lru_stats {
    uint64_t small, main, main_hot, temp; /* items; main_hot within main */
    uint32_t age_small, age_main;         /* seconds, of the tails */
    uint64_t mem_requested;
    uint64_t evicted, evicted_nonzero, evicted_time, evicted_unfetched;
    uint64_t evicted_active, outofmemory, reclaimed, expired_unfetched;
    uint64_t reflocked, moves_to_cold, moves_to_warm, moves_within_lru;
    uint64_t direct_reclaims;
};

void lru_stats(unsigned slab_class, struct lru_stats *out);
void lru_stats_reset(void);

/* Calls `visit` for the items of a class, newest first, with their stripes
 * held, until it returns false; items whose stripe is busy are left out. */
void lru_visit(unsigned slab_class, bool (*visit)(void *ctx, struct item *it),
               void *ctx);

/* A queue of a class while no process runs. */
struct lru_kept {
    uint64_t head, tail; /* refs, 0 empty */
    uint64_t count;
};

/* Both while no other thread runs. Items remember their places themselves:
 * lru_adopt follows them, and believes nothing. false: they make no sense. */
void lru_keep(unsigned slab_class, struct lru_kept out[ITEM_NO_QUEUE]);
bool lru_adopt(unsigned slab_class,
               const struct lru_kept in[ITEM_NO_QUEUE]) MUST_CHECK;

#endif
