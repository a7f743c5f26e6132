#include "clock.h"

#include <stdbool.h>
#include <time.h>

atomic_ullong clock_published_ms;

static uint64_t base_ms;   /* [c] wall minus boot-time clock at start */
static uint32_t started;   /* [c] */
static atomic_bool frozen; /* [a] tests only */

static uint64_t read_ms(clockid_t id)
{
    struct timespec t = {0};

    (void)clock_gettime(id, &t); /* cannot fail for these clocks */
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void clock_init(void)
{
    base_ms = read_ms(CLOCK_REALTIME) - read_ms(CLOCK_BOOTTIME);
    clock_tick();
    started = clock_seconds();
}

void clock_tick(void)
{
    unsigned long long now, seen;

    if (atomic_load_explicit(&frozen, memory_order_relaxed)) {
        return;
    }
    now = base_ms + read_ms(CLOCK_BOOTTIME);
    seen = clock_ms();
    /* Several loops tick; the greatest reading wins. */
    while (seen < now && !atomic_compare_exchange_weak_explicit(
                             &clock_published_ms, &seen, now,
                             memory_order_relaxed, memory_order_relaxed)) {
    }
}

struct mono clock_mono(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (struct mono){(uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec};
}

void clock_freeze(uint64_t ms)
{
    atomic_store_explicit(&frozen, true, memory_order_relaxed);
    atomic_store_explicit(&clock_published_ms, ms, memory_order_relaxed);
    if (started == 0) {
        started = (uint32_t)(ms / 1000);
    }
}

uint32_t clock_started(void)
{
    return started;
}

void clock_set_started(uint32_t seconds)
{
    started = seconds;
}
