#include "crawler.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/task.h"
#include "crawl_plan.h"
#include "settings.h"
#include "store.h"
#include "store_stats.h"
#include "watch.h"

enum {
    AT_A_TIME = 1000, /* items between two pauses */
    MANUAL_HOLD = 60, /* seconds without crawls of its own after a BUSY */
};

#define US     UINT64_C(1000)
#define SECOND UINT64_C(1000000000)
#define ALL    (~UINT64_C(1)) /* classes are bits 1..63 */

static uint64_t slice(void *ctx);

static struct task task = TASK_INIT("mc-itemcrawler", slice, NULL);

/* Starting and stopping, one at a time. */
static pthread_mutex_t switching = PTHREAD_MUTEX_INITIALIZER;

/* [Q] under the lock */
static struct {
    struct lock lock;
    uint64_t asked; /* classes */
    bool running;
    uint32_t hold_until; /* Unix second, see MANUAL_HOLD */
} shared;

/* [w] the thread's own, for one crawl and between them */
static struct {
    struct store_cursor cursor;
    uint64_t classes;
    uint32_t tocrawl;                /* of each class; 0: all */
    uint64_t checked[STORE_CLASSES]; /* in this crawl */
    uint64_t reclaimed[STORE_CLASSES];
    uint32_t begun;                /* Unix second */
    uint32_t ended[STORE_CLASSES]; /* that of the one before */
    struct crawl_tally tally[STORE_CLASSES];
    uint32_t interval[STORE_CLASSES]; /* s */
    uint32_t due[STORE_CLASSES];      /* Unix second */
    uint64_t barrier;                 /* of the last crawl */
} own;

/* [a] written by the thread, and by a reset */
static struct {
    atomic_ullong checked[STORE_CLASSES], reclaimed[STORE_CLASSES];
    atomic_ullong starts;
} counted;

static void count(atomic_ullong *counter)
{
    (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ---- asking ---------------------------------------------------------- */

bool crawler_enable(void)
{
    bool started = false;

    (void)pthread_mutex_lock(&switching);
    if (!task_is_running(&task)) {
        log_print(3, "Starting LRU crawler background thread\n");
        started = task_start(&task);
    }
    settings_take();
    settings.lru_crawler = settings.lru_crawler || started;
    settings_drop();
    (void)pthread_mutex_unlock(&switching);
    return started;
}

static void set_running(bool running)
{
    lock_take(&shared.lock, LOCK_QUEUE);
    shared.running = running;
    lock_drop(&shared.lock, LOCK_QUEUE);
}

void crawler_disable(void)
{
    (void)pthread_mutex_lock(&switching);
    if (task_is_running(&task)) {
        task_stop(&task);
        own.classes = 0;
        log_print(3, "LRU crawler thread stopping\n");
    }
    lock_take(&shared.lock, LOCK_QUEUE);
    shared.running = false;
    shared.asked = 0;
    lock_drop(&shared.lock, LOCK_QUEUE);
    settings_take();
    settings.lru_crawler = false;
    settings_drop();
    (void)pthread_mutex_unlock(&switching);
}

bool crawler_is_enabled(void)
{
    return task_is_running(&task);
}

bool crawler_is_running(void)
{
    bool running;

    lock_take(&shared.lock, LOCK_QUEUE);
    running = shared.running || shared.asked != 0;
    lock_drop(&shared.lock, LOCK_QUEUE);
    return running;
}

enum crawler_status crawler_crawl(uint64_t classes)
{
    bool busy;

    if (!crawler_is_enabled()) {
        return CRAWLER_DISABLED;
    }
    if ((classes & ALL) == 0) {
        return CRAWLER_NOT_STARTED;
    }
    lock_take(&shared.lock, LOCK_QUEUE);
    busy = shared.running || shared.asked != 0;
    if (busy) {
        shared.hold_until = clock_seconds() + MANUAL_HOLD;
    } else {
        shared.asked = classes & ALL;
    }
    lock_drop(&shared.lock, LOCK_QUEUE);
    if (!busy) {
        task_kick(&task);
    }
    return busy ? CRAWLER_BUSY : CRAWLER_OK;
}

/* ---- a crawl --------------------------------------------------------- */

static void begin(uint64_t classes)
{
    own.cursor = (struct store_cursor){0};
    own.classes = classes;
    settings_take();
    own.tocrawl = settings.lru_crawler_tocrawl;
    settings_drop();
    own.begun = clock_seconds();
    own.barrier = store_barrier();
    memset(own.checked, 0, sizeof(own.checked));
    memset(own.reclaimed, 0, sizeof(own.reclaimed));
    memset(own.tally, 0, sizeof(own.tally));
    count(&counted.starts);
    for (unsigned c = 1; log_wanted(3) && c <= store_class_max(); c++) {
        if (classes >> c & 1) {
            log_print(3, "Kicking LRU crawler off for LRU %u\n", c);
        }
    }
}

/* The class in whose queues the item stands. */
static unsigned class_of(const struct item *it)
{
    return item_is_chained(it) ? store_class_max() : it->slab_class;
}

/* Printed with the stripe held, by those who asked for everything. */
static void tell(const struct item *it, unsigned slab_class)
{
    if (log_wanted(2)) {
        log_print(2,
                  "LRU crawler found an expired item (flags: %u, slab: %u): "
                  "%.*s\n",
                  it->bits, slab_class, (int)it->nkey, item_key(it));
    }
}

static bool visit(void *ctx, struct item *it)
{
    unsigned c = class_of(it);
    uint32_t now = clock_seconds();

    (void)ctx;
    if ((own.classes >> c & 1) == 0 ||
        (own.tocrawl != 0 && own.checked[c] >= own.tocrawl)) {
        return true;
    }
    own.checked[c]++;
    count(&counted.checked[c]);
    if (store_dead(it) == STORE_HIT) {
        crawl_note(&own.tally[c], it->exptime == 0 ? 0 : it->exptime - now);
        return true;
    }
    tell(it, c);
    if (store_reclaim(it)) {
        own.reclaimed[c]++;
        count(&counted.reclaimed[c]);
    }
    return true;
}

/* The walk is one of all queues; stock's is of one, and names it. */
static void tell_watchers(unsigned c, uint32_t now)
{
    uint32_t since = own.ended[c] == 0 ? 0 : own.begun - own.ended[c];

    if (!watch_wanted(WATCH_SYSEVENTS) || own.checked[c] == 0) {
        return;
    }
    watch_event(
        WATCH_SYSEVENTS,
        "type=lru_crawler crawler=%u lru=cold low_mark=%" PRIu64
        " next_reclaims=%" PRIu64 " since_run=%" PRIu32 " next_run=%" PRIu32
        " elapsed=%" PRIu32 " examined=%" PRIu64 " reclaimed=%" PRIu64,
        c, crawl_worth(&own.tally[c]),
        crawl_expiring(&own.tally[c], own.interval[c]), since, own.interval[c],
        now - own.begun, own.checked[c], own.reclaimed[c]);
}

static void finish(void)
{
    uint32_t now = clock_seconds();

    for (unsigned c = 1; c <= store_class_max(); c++) {
        if ((own.classes >> c & 1) == 0) {
            continue;
        }
        own.interval[c] = crawl_interval(&own.tally[c], own.interval[c]);
        own.due[c] = now + own.interval[c];
        tell_watchers(c, now);
        own.ended[c] = now;
        log_print(3, "Nothing left to crawl for %u\n", c);
    }
    set_running(false);
    log_print(3, "LRU crawler thread sleeping\n");
}

/* ---- when ------------------------------------------------------------ */

/* All classes, when one with items is due, since a walk passes all of them
 * anyway, or when all that was there before was flushed. */
static uint64_t due(void)
{
    struct store_class_stats s;
    uint32_t now = clock_seconds();

    if (store_barrier() != own.barrier) {
        return ALL;
    }
    for (unsigned c = 1; c <= store_class_max(); c++) {
        if (own.due[c] <= now &&
            (own.due[c] == 0 ||
             (store_class_stats(c, &s) && s.used_chunks > 0))) {
            return ALL;
        }
    }
    return 0;
}

/* The classes to begin with; 0: none. From then on a crawl is running. */
static uint64_t take_classes(void)
{
    uint64_t automatic = settings.lru_maintainer ? due() : 0;
    uint64_t classes;

    lock_take(&shared.lock, LOCK_QUEUE);
    classes = shared.asked;
    shared.asked = 0;
    if (classes == 0 && clock_seconds() >= shared.hold_until) {
        classes = automatic;
    }
    shared.running = classes != 0;
    lock_drop(&shared.lock, LOCK_QUEUE);
    return classes;
}

static uint64_t pause_of(void)
{
    uint64_t us;

    settings_take();
    us = (uint64_t)settings.lru_crawler_sleep;
    settings_drop();
    return us * US;
}

static uint64_t slice(void *ctx)
{
    uint64_t classes;

    (void)ctx;
    if (own.classes == 0) {
        classes = take_classes();
        if (classes == 0) {
            return SECOND;
        }
        begin(classes);
    }
    (void)store_walk(&own.cursor, AT_A_TIME, visit, NULL);
    if (!own.cursor.done) {
        return pause_of();
    }
    finish();
    own.classes = 0;
    return 0;
}

/* ---- figures --------------------------------------------------------- */

void crawler_stats(unsigned slab_class, struct crawler_stats *out)
{
    unsigned from = slab_class, to = slab_class;

    if (slab_class == 0) {
        from = 1;
        to = store_class_max();
    }
    *out = (struct crawler_stats){0};
    for (unsigned c = from; c <= to; c++) {
        out->checked +=
            atomic_load_explicit(&counted.checked[c], memory_order_relaxed);
        out->reclaimed +=
            atomic_load_explicit(&counted.reclaimed[c], memory_order_relaxed);
    }
}

uint64_t crawler_starts(void)
{
    return atomic_load_explicit(&counted.starts, memory_order_relaxed);
}

void crawler_stats_reset(void)
{
    for (unsigned c = 0; c < STORE_CLASSES; c++) {
        atomic_store_explicit(&counted.checked[c], 0, memory_order_relaxed);
        atomic_store_explicit(&counted.reclaimed[c], 0, memory_order_relaxed);
    }
    atomic_store_explicit(&counted.starts, 0, memory_order_relaxed);
}
