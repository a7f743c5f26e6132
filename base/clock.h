/*
 * clock - one notion of time for the whole process, read once a pass.
 *
 * Process time is the wall clock at start plus the boot-time clock since: it
 * never jumps, and a suspended machine catches up. Event loops call
 * clock_tick() once a turn; everybody else reads what was published, with a
 * resolution of the turn. Unit tests freeze it and move it by hand.
 *
 * Layer:   0.
 * Threads: any; the published value is one atomic that only grows.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

/* Monotonic time; a struct, so that it cannot be mixed with seconds or TTLs. */
struct mono {
    uint64_t ns;
};

/* Milliseconds since the Unix epoch, process time. [a] clock_tick. */
extern atomic_ullong clock_published_ms;

/* Samples the wall clock. Called once at start, before threads. */
void clock_init(void);

/* Reads the boot-time clock once and publishes. */
void clock_tick(void);

/* Reads the monotonic clock. */
struct mono clock_mono(void);

/* Stops the clock at `ms`; from then on only this moves it. Tests only. */
void clock_freeze(uint64_t ms);

/* Unix milliseconds as of the last tick. */
static inline uint64_t clock_ms(void)
{
    return atomic_load_explicit(&clock_published_ms, memory_order_relaxed);
}

/* Unix seconds as of the last tick. */
static inline uint32_t clock_seconds(void)
{
    return (uint32_t)(clock_ms() / 1000);
}

/* Unix seconds at which the process started, or the first of those whose cache
 * it has (set before threads). */
uint32_t clock_started(void);
void clock_set_started(uint32_t seconds);

#endif
