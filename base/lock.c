#include "lock.h"

#include <linux/futex.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPINS = 100 };

static void futex(struct lock *l, int op, unsigned value)
{
    /* EAGAIN and EINTR only mean: look again, and the callers do. */
    (void)syscall(SYS_futex, &l->state, op | FUTEX_PRIVATE_FLAG, value, NULL,
                  NULL, 0);
}

static void spin_hint(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

void lock_wait(struct lock *l)
{
    unsigned seen;

    /* Holds last well under a microsecond: sleeping costs more. */
    for (int i = 0; i < SPINS; i++) {
        seen = 0;
        if (atomic_compare_exchange_weak_explicit(&l->state, &seen, 1,
                                                  memory_order_acquire,
                                                  memory_order_relaxed)) {
            return;
        }
        spin_hint();
    }
    while (atomic_exchange_explicit(&l->state, 2, memory_order_acquire) != 0) {
        futex(l, FUTEX_WAIT, 2);
    }
}

void lock_wake(struct lock *l)
{
    futex(l, FUTEX_WAKE, 1);
}

#ifdef LOCK_DEBUG

/* One bit a rank; the ranks are multiples of five up to 60. */
static _Thread_local uint32_t held;

static uint32_t bit(enum lock_rank rank)
{
    return 1U << ((unsigned)rank / 5);
}

void lock_rank_take(enum lock_rank rank, bool tried)
{
    if (!tried && held >= bit(rank)) {
        (void)fprintf(stderr, "lock order: rank %d taken while holding 0x%x\n",
                      (int)rank, (unsigned)held);
        abort();
    }
    held |= bit(rank);
}

void lock_rank_drop(enum lock_rank rank)
{
    if ((held & bit(rank)) == 0) {
        (void)fprintf(stderr, "lock order: rank %d dropped, not held\n",
                      (int)rank);
        abort();
    }
    held &= ~bit(rank);
}

bool lock_rank_held(enum lock_rank rank)
{
    return (held & bit(rank)) != 0;
}

#endif
