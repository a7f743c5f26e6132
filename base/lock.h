/*
 * lock - a word-sized mutex with a rank.
 *
 * Locks are taken in rising rank, and never two of one rank; only a trylock
 * may go against the order. Builds with LOCK_DEBUG keep the ranks held by
 * each thread and abort on a wrong order, naming both.
 *
 * The mutex has three states (free, taken, taken with sleepers) on a futex:
 * U. Drepper, "Futexes Are Tricky", mutex 2. It costs about 10 ns less than a
 * pthread mutex because it is inlined.
 *
 * Layer:   0.
 * Threads: any.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "util.h" /* LIKELY, MUST_CHECK */

/* doc/architecture.md says why this order. */
enum lock_rank {
    LOCK_STRIPE = 10,
    LOCK_LRU = 30,
    LOCK_SLABS = 40,
    LOCK_FLOOR = 45,
    LOCK_REP_LOG = 50,
    LOCK_QUEUE = 60,
};

struct lock {
    atomic_uint state; /* 0 free, 1 taken, 2 taken and somebody sleeps */
};

#ifdef LOCK_DEBUG
void lock_rank_take(enum lock_rank rank, bool tried);
void lock_rank_drop(enum lock_rank rank);
bool lock_rank_held(enum lock_rank rank);
#else
static inline void lock_rank_take(enum lock_rank rank, bool tried)
{
    (void)rank;
    (void)tried;
}
static inline void lock_rank_drop(enum lock_rank rank)
{
    (void)rank;
}
static inline bool lock_rank_held(enum lock_rank rank)
{
    (void)rank;
    return true;
}
#endif

/* The slow halves: wait until taken; wake one sleeper. */
void lock_wait(struct lock *l);
void lock_wake(struct lock *l);

static inline bool lock_try(struct lock *l, enum lock_rank rank) MUST_CHECK;
static inline bool lock_try(struct lock *l, enum lock_rank rank)
{
    unsigned free_state = 0;

    /* Acquire pairs with the release in lock_drop. */
    if (!atomic_compare_exchange_strong_explicit(&l->state, &free_state, 1,
                                                 memory_order_acquire,
                                                 memory_order_relaxed)) {
        return false;
    }
    lock_rank_take(rank, true);
    return true;
}

static inline void lock_take(struct lock *l, enum lock_rank rank)
{
    unsigned free_state = 0;

    lock_rank_take(rank, false);
    if (UNLIKELY(!atomic_compare_exchange_strong_explicit(
            &l->state, &free_state, 1, memory_order_acquire,
            memory_order_relaxed))) {
        lock_wait(l);
    }
}

static inline void lock_drop(struct lock *l, enum lock_rank rank)
{
    lock_rank_drop(rank);
    /* Release pairs with the acquire in lock_take and lock_try. */
    if (UNLIKELY(atomic_exchange_explicit(&l->state, 0, memory_order_release) ==
                 2)) {
        lock_wake(l);
    }
}

/* The caller holds a lock of this rank (checked in debug builds). */
static inline void lock_assert(enum lock_rank rank)
{
    assert(lock_rank_held(rank));
    (void)rank;
}

#endif
