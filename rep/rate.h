/*
 * rep_rate - so many bytes a second, and not more.
 *
 * What is written is paid for with time: until that has passed nothing more is
 * allowed. So a little more than was due may be written at once, and the next
 * waits for it.
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
    uint64_t due;     /* ns: when all that was written is paid for */
};

static inline bool rep_rate_allows(const struct rep_rate *rate, uint64_t now)
{
    return rate == NULL || rate->bytes_s == 0 || now >= rate->due;
}

/* `n` bytes (less than 2^34) were written at `now`, nanoseconds. */
static inline void rep_rate_pay(struct rep_rate *rate, uint64_t now, size_t n)
{
    if (rate != NULL && rate->bytes_s != 0) {
        rate->due = (rate->due > now ? rate->due : now) +
                    (uint64_t)n * 1000000000 / rate->bytes_s;
    }
}

#endif
