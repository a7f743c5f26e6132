#include "version.h"

#include <stdatomic.h>

#include "clock.h"

enum {
    LOW_BITS = VERSION_SLOT_BITS + VERSION_COUNTER_BITS,
    PLACE_BITS = 12, /* of the counter */
};

static enum version_mode mode; /* [c] */
static uint64_t scatter;       /* [c] see version_scatter */
static atomic_uchar slot;      /* [a] */
static atomic_ullong last;     /* [a] greatest drawn or received */

void version_init(enum version_mode new_mode, uint8_t new_slot)
{
    mode = new_mode;
    scatter = 0;
    /* No thread runs yet. */
    atomic_store_explicit(&slot, new_slot, memory_order_relaxed);
    atomic_store_explicit(&last, 0, memory_order_relaxed);
}

void version_scatter(uint64_t seed)
{
    scatter = seed;
}

uint64_t version_at_ms(uint64_t ms)
{
    return ms <= VERSION_EPOCH_MS ? 0 : (ms - VERSION_EPOCH_MS) << LOW_BITS;
}

uint64_t version_ms(uint64_t v)
{
    return (v >> LOW_BITS) + VERSION_EPOCH_MS;
}

/* Where the counter begins in the millisecond of `v`. (Multiplicative hashing:
 * Knuth, The Art of Computer Programming, volume 3, 6.4.) */
static uint64_t place_in_ms(uint64_t v)
{
    uint64_t ms = v >> LOW_BITS;
    uint64_t place = ms * scatter >> (64 - PLACE_BITS);

    return ms << LOW_BITS | place << VERSION_SLOT_BITS;
}

/* The least version above `seen` with our slot, not before the clock, nor
 * before our place in its millisecond. */
static uint64_t hybrid_after(uint64_t seen, uint64_t now)
{
    uint64_t step = ((seen >> VERSION_SLOT_BITS) + 1) << VERSION_SLOT_BITS;
    uint64_t next = step > now ? step : now;
    uint64_t place = place_in_ms(next);

    return (next > place ? next : place) |
           atomic_load_explicit(&slot, memory_order_relaxed);
}

uint64_t version_next(void)
{
    unsigned long long seen, next;
    uint64_t now;

    if (mode == VERSION_COUNTING) {
        return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
    }
    now = version_at_ms(clock_ms());
    seen = atomic_load_explicit(&last, memory_order_relaxed);
    do {
        next = hybrid_after(seen, now);
    } while (!atomic_compare_exchange_weak_explicit(
        &last, &seen, next, memory_order_relaxed, memory_order_relaxed));
    return next;
}

void version_observe(uint64_t v)
{
    unsigned long long seen = atomic_load_explicit(&last, memory_order_relaxed);

    while (seen < v &&
           !atomic_compare_exchange_weak_explicit(
               &last, &seen, v, memory_order_relaxed, memory_order_relaxed)) {
    }
}

uint64_t version_last(void)
{
    return atomic_load_explicit(&last, memory_order_relaxed);
}

uint8_t version_slot(void)
{
    return atomic_load_explicit(&slot, memory_order_relaxed);
}

void version_set_slot(uint8_t new_slot)
{
    atomic_store_explicit(&slot, new_slot, memory_order_relaxed);
}

bool version_is_hybrid(void)
{
    return mode == VERSION_HYBRID;
}
