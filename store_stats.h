/*
 * store_stats - figures of the cache, and what is listed of a class.
 *
 * Layer:     2. Includes store.h.
 * Threads:   any, after store_init; figures of several counters are not of
 *            one moment.
 * Locks:     takes STRIPE, LRU and SLABS, one after the other.
 * Ownership: functions borrow their arguments.
 */
#ifndef STORE_STATS_H
#define STORE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h" /* MUST_CHECK */
#include "store.h"

#define STORE_CLASSES 64 /* 0 is the page pool; 1..63 */

struct store_totals {
    uint64_t curr_items, bytes, total_items;
    uint64_t evictions, reclaimed, expired_unfetched, evicted_unfetched;
    uint64_t evicted_active, direct_reclaims, outofmemory, tailrepairs;
    uint64_t lrutail_reflocked;
    uint64_t moves_to_cold, moves_to_warm, moves_within_lru;
    uint64_t hash_bytes, index_slots; /* index memory; places for items */
    uint64_t malloced, pool_pages;    /* bytes of pages; pages unassigned */
};

struct store_class_stats {
    uint32_t chunk_size, chunks_per_page;
    uint64_t total_pages, used_chunks, free_chunks;
    uint64_t number_small, number_main_hot, number_main_cold, number_temp;
    uint32_t age_hot, age_warm, age; /* seconds: small, main, oldest tail */
    uint64_t mem_requested;
    uint64_t evicted, evicted_nonzero, evicted_time, outofmemory, tailrepairs;
    uint64_t reclaimed, expired_unfetched, evicted_unfetched, evicted_active;
    uint64_t lrutail_reflocked, moves_to_cold, moves_to_warm;
    uint64_t moves_within_lru, direct_reclaims;
};

void store_totals(struct store_totals *out);

/* false when the class does not exist. */
bool store_class_stats(unsigned slab_class, struct store_class_stats *out);

/* The class an item of this shape is stored in; the last one when chained. */
unsigned store_class_of(size_t nkey, uint32_t flags, size_t nbytes);

/* Greatest class in use by the table. */
unsigned store_class_max(void);

/* Zeroes the counters (not the gauges) of the two above. */
void store_stats_reset(void);

/* Histogram of item sizes in steps of 32 bytes, when track_sizes is on:
 * calls `visit` with each size that has items, ascending. False: no memory. */
bool store_sizes(void (*visit)(void *ctx, uint32_t size, uint64_t count),
                 void *ctx) MUST_CHECK;

/* Items of a class from the recently used end, for cachedump: calls `visit`
 * with the stripe held until it returns false. */
void store_dump_class(unsigned slab_class, store_visit *visit, void *ctx);

/* New memory limit in bytes; false when memory was preallocated. */
bool store_set_limit(size_t bytes) MUST_CHECK;
size_t store_limit(void);

/* Sets who is told of items that are evicted alive; they are read in the call,
 * under their stripe and an LRU lock. Before threads start. */
void store_on_eviction(void (*evicted)(const struct item *it));

#endif
