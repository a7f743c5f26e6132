/*
 * counters - the counters of each worker, summed on read.
 *
 * A worker adds to its own set with plain relaxed loads and stores; readers
 * sum all sets. `stats reset` stores the sums as a baseline that is taken off
 * from then on, so that no worker is disturbed.
 *
 * Layer:   1. Includes layer 0 only.
 * Threads: a set is written by the thread that owns it, read by any.
 */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/util.h"

#define COUNTERS_CLASSES 64

/* Hits by the place of the item, for `stats items`, in stock's words. */
enum hits_to { HITS_HOT, HITS_WARM, HITS_COLD, HITS_TEMP, HITS_PLACES };

/* Counted per slab class for `stats slabs`. */
enum class_counter {
    CLASS_GET_HITS,
    CLASS_CMD_SET,
    CLASS_DELETE_HITS,
    CLASS_INCR_HITS,
    CLASS_DECR_HITS,
    CLASS_CAS_HITS,
    CLASS_CAS_BADVAL,
    CLASS_TOUCH_HITS,
    CLASS_COUNTERS
};

struct counters {
#define COUNTER(name) atomic_ullong name;
#include "stats.def"
#undef COUNTER
    atomic_ullong by_class[COUNTERS_CLASSES][CLASS_COUNTERS];
    atomic_ullong hits_to[COUNTERS_CLASSES][HITS_PLACES];
};

/* Sums of all sets since the last reset. */
struct counters_sum {
#define COUNTER(name) uint64_t name;
#include "stats.def"
#undef COUNTER
    uint64_t by_class[COUNTERS_CLASSES][CLASS_COUNTERS];
    uint64_t hits_to[COUNTERS_CLASSES][HITS_PLACES];
};

/* Gives a zeroed set that takes part in the sums until the process ends;
 * NULL when out of memory. */
struct counters *counters_new(void);

/* Adds to one counter; by the owning thread only. */
static inline void counter_add(atomic_ullong *counter, uint64_t n)
{
    atomic_store_explicit(
        counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
        memory_order_relaxed);
}

#define COUNT(set, name) counter_add(&(set)->name, 1)

/* Sums all sets less the baseline. */
void counters_sum(struct counters_sum *out);

/* Makes the present sums the baseline. */
void counters_reset(void);

#endif
