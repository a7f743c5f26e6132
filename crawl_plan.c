#include "crawl_plan.h"

enum { MINUTE = 60, WORTH = 100 }; /* one of so many is worth a crawl */

void crawl_note(struct crawl_tally *tally, uint32_t seconds)
{
    tally->seen++;
    if (seconds > 0 && seconds / MINUTE < CRAWL_MINUTES) {
        tally->minute[seconds / MINUTE]++;
    }
}

uint64_t crawl_expiring(const struct crawl_tally *tally, uint32_t seconds)
{
    uint64_t sum = 0;

    for (uint32_t m = 0; m < CRAWL_MINUTES && (m + 1) * MINUTE <= seconds;
         m++) {
        sum += tally->minute[m];
    }
    return sum;
}

uint64_t crawl_worth(const struct crawl_tally *tally)
{
    return tally->seen / WORTH + 1;
}

uint32_t crawl_interval(const struct crawl_tally *tally, uint32_t before)
{
    uint32_t next = MINUTE;

    while (next < CRAWL_MINUTES * MINUTE &&
           crawl_expiring(tally, next) < crawl_worth(tally)) {
        next += MINUTE;
    }
    if (next == CRAWL_MINUTES * MINUTE) {
        next = CRAWL_LONGEST;
    }
    return next > before + MINUTE ? before + MINUTE : next;
}
