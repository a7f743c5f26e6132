/*
 * crawler - the thread that walks all items and frees the dead ones.
 *
 * It runs when asked to, and by itself when crawl_plan says that it is worth
 * it. It walks the index (store_walk), beside everything else.
 *
 * Layer:   4. Includes layers 0-2.
 * Threads: any; the work is done by a thread of its own, mc-itemcrawler.
 * Locks:   a LOCK_QUEUE, under which nothing is called; store_walk's.
 */
#ifndef CRAWLER_H
#define CRAWLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

enum crawler_status {
    CRAWLER_OK,
    CRAWLER_BUSY,        /* with another crawl */
    CRAWLER_NOT_STARTED, /* no class was named */
    CRAWLER_DISABLED,    /* the thread does not run */
};

/* Starts the thread. False: it runs, or there is none to be had. */
bool crawler_enable(void) MUST_CHECK;

/* Ends it, with the crawl it is in. */
void crawler_disable(void);

bool crawler_is_enabled(void);
bool crawler_is_running(void); /* a crawl is under way */

/* Asks for a crawl of the classes whose bits are set. */
enum crawler_status crawler_crawl(uint64_t classes) MUST_CHECK;

struct crawler_stats {
    uint64_t checked, reclaimed; /* items */
};

/* Of one class; 0: of all. */
void crawler_stats(unsigned slab_class, struct crawler_stats *out);
uint64_t crawler_starts(void);
void crawler_stats_reset(void);

#endif
