/*
 * rep_rate - so many bytes a second, and not more, for all who share them.
 *
 * What is written is paid for with time: until that has passed nothing more is
 * allowed. So a little more than was due may be written at once, a slice, and
 * the next waits for it. Each who shares the rate pays for itself, its part of
 * it. Who comes a little late, as a thread does that looks now and then, has
 * lost nothing by it.
 *
 * Layer:     4. Includes layer 0.
 * Threads:   the replication thread.
 */
#ifndef REP_RATE_H
#define REP_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A slice, unless one of REP_RATE_SLICES a second is larger. */
#define REP_RATE_SLICE  UINT64_C(16384)
#define REP_RATE_SLICES 1024
/* Being late is made up for as far as this (ns). */
#define REP_RATE_LATE_NS UINT64_C(5000000)

/* NULL, to the functions: no limit. */
struct rep_rate {
    uint64_t bytes_s; /* 0: no limit */
    unsigned sharers; /* who write at present; 0 counts as 1 */
};

static inline bool rep_rate_limits(const struct rep_rate *rate)
{
    return rate != NULL && rate->bytes_s != 0;
}

/* Whether the one that has paid until `due` (ns) may write at `now`. */
static inline bool rep_rate_allows(const struct rep_rate *rate, uint64_t due,
                                   uint64_t now)
{
    return !rep_rate_limits(rate) || now >= due;
}

/* Bytes a second for each who shares it, at least 1. */
static inline uint64_t rep_rate_part(const struct rep_rate *rate)
{
    uint64_t part = rate->bytes_s / (rate->sharers > 1 ? rate->sharers : 1);

    return part > 0 ? part : 1;
}

/* Bytes after which one that writes should let others have the processor. */
static inline uint64_t rep_rate_slice(const struct rep_rate *rate)
{
    uint64_t slice;

    if (!rep_rate_limits(rate)) {
        return UINT64_MAX;
    }
    slice = rep_rate_part(rate) / REP_RATE_SLICES;
    return slice > REP_RATE_SLICE ? slice : REP_RATE_SLICE;
}

/* It wrote `n` bytes (less than 2^34) at `now`: moves what it has paid until.
 */
static inline void rep_rate_pay(const struct rep_rate *rate, uint64_t *due,
                                uint64_t now, uint64_t n)
{
    if (rep_rate_limits(rate)) {
        if (*due + REP_RATE_LATE_NS < now) {
            *due = now;
        }
        *due += n * 1000000000 / rep_rate_part(rate);
    }
}

#endif
