/*
 * rep_rate - so many bytes a second, and not more, for all who share them.
 *
 * What is written is paid for with time: until that has passed nothing more is
 * allowed. So a little more than was due may be written at once, and the next
 * waits for it. Each who shares the rate pays for itself, its part of it.
 *
 * Layer:     4. Includes layer 0.
 * Threads:   the replication thread.
 */
#ifndef REP_RATE_H
#define REP_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* It wrote `n` bytes (less than 2^34) at `now`: moves what it has paid until.
 */
static inline void rep_rate_pay(const struct rep_rate *rate, uint64_t *due,
                                uint64_t now, uint64_t n)
{
    uint64_t part;

    if (rep_rate_limits(rate)) {
        part = rate->bytes_s / (rate->sharers > 1 ? rate->sharers : 1);
        *due =
            (*due > now ? *due : now) + n * 1000000000 / (part > 0 ? part : 1);
    }
}

#endif
