/*
 * crawl_plan - when a class should be crawled next, from what a crawl saw:
 * pure.
 *
 * A crawl notes of each item when it will expire. The next is due when a
 * hundredth of them will have, but no more than a minute later than the
 * interval before, and after an hour at the latest.
 *
 * Layer:     2. Includes layer 0 only.
 * Threads:   pure functions.
 */
#ifndef CRAWL_PLAN_H
#define CRAWL_PLAN_H

#include <stdint.h>

enum {
    CRAWL_MINUTES = 60,      /* looked ahead */
    CRAWL_LONGEST = 3600 + 5 /* seconds between two crawls of a class */
};

struct crawl_tally {
    uint64_t seen;                  /* alive */
    uint64_t minute[CRAWL_MINUTES]; /* of them, which expire in this one */
};

/* Notes an item that lives on, for so many seconds; 0: for ever. */
void crawl_note(struct crawl_tally *tally, uint32_t seconds);

/* Of those seen, how many will have expired in so many seconds. */
uint64_t crawl_expiring(const struct crawl_tally *tally, uint32_t seconds);

/* How many must have expired for a crawl to be worth it. */
uint64_t crawl_worth(const struct crawl_tally *tally);

/* Seconds until the class is due again; `before` is what this last said. */
uint32_t crawl_interval(const struct crawl_tally *tally, uint32_t before);

#endif
