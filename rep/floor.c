#include "rep/floor.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "base/version.h"

enum { CACHE_LINE = 64, WAYS = 4 };

struct line {
    struct rep_floor_entry way[WAYS]; /* [F] version 0: free */
};

_Static_assert(sizeof(struct line) == CACHE_LINE, "a line is one cache line");

/* [F] the shard's lock   [a] atomic   [c] constant after creation */
struct shard {
    _Alignas(CACHE_LINE) struct lock lock;
    atomic_ullong past;    /* [a] greatest version dropped; written under F */
    atomic_ullong count;   /* [a] floors held; written under F */
    atomic_ullong dropped; /* [a] floors dropped; written under F */
    /* [a] greatest version dropped unacknowledged; written under F */
    _Alignas(CACHE_LINE) atomic_ullong missed[REP_FLOOR_WATCHERS];
};

#define NOBODY UINT64_MAX /* the low mark without a watcher */

struct rep_floor {
    struct shard shards[REP_FLOOR_SHARDS];
    atomic_ullong low[REP_FLOOR_WATCHERS];     /* [a] or NOBODY */
    _Alignas(CACHE_LINE) atomic_ullong passed; /* [a] left no floor */
    atomic_int top;     /* [a] watchers from here on are nobody */
    atomic_bool any;    /* [a] never false again */
    struct line *lines; /* [c] the array; inside `memory`, aligned */
    void *memory;       /* [c] */
    uint64_t per_shard; /* [c] lines of a shard, below 2^32 */
};

/* A line's number rises with the hash: a walk by line is a walk by hash. All
 * lines of a shard belong to one cell and the other way round, whatever their
 * number: rounding down twice is rounding down once. */
static uint64_t line_of(const struct rep_floor *t, uint64_t hash)
{
    uint64_t total = t->per_shard * REP_FLOOR_SHARDS;

    return (hash >> 32) * total >> 32;
}

static struct shard *shard_of(struct rep_floor *t, uint64_t hash)
{
    return &t->shards[rep_floor_cell(t, hash)];
}

size_t rep_floor_default_bytes(size_t memory_limit)
{
    size_t bytes = memory_limit / 64;

    if (bytes < MIB) {
        return MIB;
    }
    return bytes > 256 * MIB ? 256 * MIB : bytes;
}

struct rep_floor *rep_floor_new(size_t bytes)
{
    size_t per_shard = bytes / sizeof(struct line) / REP_FLOOR_SHARDS;
    struct rep_floor *t = aligned_alloc(CACHE_LINE, sizeof(*t));

    if (t == NULL) {
        return NULL;
    }
    memset(t, 0, sizeof(*t));
    /* Line numbers are computed in 64 bits from 32 of the hash. */
    per_shard = per_shard == 0 ? 1 : per_shard;
    per_shard = per_shard > UINT32_MAX / REP_FLOOR_SHARDS
                    ? UINT32_MAX / REP_FLOOR_SHARDS
                    : per_shard;
    /* calloc, unlike aligned_alloc, leaves fresh pages untouched. */
    t->memory = calloc(per_shard * REP_FLOOR_SHARDS + 1, sizeof(struct line));
    if (t->memory == NULL) {
        free(t);
        return NULL;
    }
    t->per_shard = per_shard;
    for (int i = 0; i < REP_FLOOR_WATCHERS; i++) {
        atomic_store_explicit(&t->low[i], NOBODY, memory_order_relaxed);
    }
    t->lines =
        (struct line *)(((uintptr_t)t->memory + sizeof(struct line) - 1) &
                        ~(uintptr_t)(sizeof(struct line) - 1));
    return t;
}

void rep_floor_free(struct rep_floor *t)
{
    if (t != NULL) {
        free(t->memory);
        free(t);
    }
}

bool rep_floor_any(const struct rep_floor *t)
{
    /* Partner: the store in insert_locked. */
    return atomic_load_explicit(&t->any, memory_order_relaxed);
}

void rep_floor_prefetch(const struct rep_floor *t, uint64_t hash)
{
    PREFETCH(&t->lines[line_of(t, hash)]);
}

uint64_t rep_floor_get(struct rep_floor *t, uint64_t hash)
{
    uint64_t at = line_of(t, hash);
    struct shard *shard = shard_of(t, hash);
    const struct line *line = &t->lines[at];
    uint64_t version = 0;

    lock_take(&shard->lock, LOCK_FLOOR);
    for (int i = 0; i < WAYS; i++) {
        if (line->way[i].hash == hash) {
            version =
                line->way[i].version > version ? line->way[i].version : version;
        }
    }
    lock_drop(&shard->lock, LOCK_FLOOR);
    return version;
}

/* Written under the shard's lock only; atomic for the readers of figures. */
static void add(atomic_ullong *counter, uint64_t n)
{
    atomic_store_explicit(
        counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
        memory_order_relaxed);
}

/* Written under the shard's lock only; atomic for those who read it without. */
static void raise_to(atomic_ullong *mark, uint64_t version)
{
    if (atomic_load_explicit(mark, memory_order_relaxed) < version) {
        atomic_store_explicit(mark, version, memory_order_relaxed);
    }
}

/* Notes that a floor of `version` is not kept. Shard locked. A low mark read
 * late is a lower one, and only tells of a floor too many. */
static void drop_locked(struct rep_floor *t, struct shard *shard,
                        uint64_t version)
{
    int top = atomic_load_explicit(&t->top, memory_order_relaxed);

    lock_assert(LOCK_FLOOR);
    add(&shard->dropped, 1);
    raise_to(&shard->past, version);
    for (int i = 0; i < top; i++) {
        if (version >= atomic_load_explicit(&t->low[i], memory_order_relaxed)) {
            raise_to(&shard->missed[i], version);
        }
    }
}

/* Puts a new floor into the free or the lowest place. Shard locked. */
static void insert_locked(struct rep_floor *t, struct line *line, uint64_t hash,
                          uint64_t version)
{
    struct shard *shard = shard_of(t, hash);
    struct rep_floor_entry *lowest = &line->way[0];

    lock_assert(LOCK_FLOOR);
    for (int i = 1; i < WAYS; i++) {
        if (line->way[i].version < lowest->version) {
            lowest = &line->way[i];
        }
    }
    if (!rep_floor_any(t)) {
        atomic_store_explicit(&t->any, true, memory_order_relaxed);
    }
    if (lowest->version == 0) {
        add(&shard->count, 1);
    } else if (lowest->version >= version) {
        drop_locked(t, shard, version);
        return;
    } else {
        drop_locked(t, shard, lowest->version);
    }
    *lowest = (struct rep_floor_entry){hash, version};
}

bool rep_floor_raise(struct rep_floor *t, uint64_t hash, uint64_t version)
{
    struct shard *shard = shard_of(t, hash);
    struct line *line = &t->lines[line_of(t, hash)];
    struct rep_floor_entry *held = NULL;
    bool raised = false;

    if (version == 0) {
        return false;
    }
    lock_take(&shard->lock, LOCK_FLOOR);
    for (int i = 0; i < WAYS; i++) {
        if (line->way[i].hash == hash && line->way[i].version != 0) {
            held = &line->way[i];
        }
    }
    if (held == NULL) {
        insert_locked(t, line, hash, version);
        raised = true;
    } else if (held->version < version) {
        held->version = version;
        raised = true;
    }
    lock_drop(&shard->lock, LOCK_FLOOR);
    return raised;
}

/* Copies what a line holds at or above `threshold`. */
static size_t copy_line(struct rep_floor *t, uint64_t at, uint64_t threshold,
                        struct rep_floor_entry *out)
{
    struct shard *shard = &t->shards[at / t->per_shard];
    const struct line *line = &t->lines[at];
    size_t n = 0;

    lock_take(&shard->lock, LOCK_FLOOR);
    for (int i = 0; i < WAYS; i++) {
        if (line->way[i].version != 0 && line->way[i].version >= threshold) {
            out[n++] = line->way[i];
        }
    }
    lock_drop(&shard->lock, LOCK_FLOOR);
    return n;
}

size_t rep_floor_walk(struct rep_floor *t, struct rep_floor_cursor *cursor,
                      uint64_t threshold, struct rep_floor_entry *out,
                      size_t most)
{
    uint64_t total = t->per_shard * REP_FLOOR_SHARDS;
    size_t n = 0;

    assert(most >= WAYS); /* or the walk would never move */
    for (int i = 0; i < REP_FLOOR_WALK && cursor->line < total; i++) {
        if (most - n < WAYS) {
            return n;
        }
        n += copy_line(t, cursor->line, threshold, out + n);
        cursor->line++;
    }
    cursor->done = cursor->line >= total;
    return n;
}

/* ---- what is not held any more ---------------------------------------- */

static void set_top(struct rep_floor *t)
{
    int top = REP_FLOOR_WATCHERS;

    while (top > 0 && atomic_load_explicit(&t->low[top - 1],
                                           memory_order_relaxed) == NOBODY) {
        top--;
    }
    /* Partner: the load in drop_locked. */
    atomic_store_explicit(&t->top, top, memory_order_relaxed);
}

void rep_floor_watch(struct rep_floor *t, int watcher)
{
    assert(watcher >= 0 && watcher < REP_FLOOR_WATCHERS);
    rep_floor_set_low(t, watcher, 0);
    set_top(t);
    for (unsigned i = 0; i < REP_FLOOR_SHARDS; i++) {
        struct shard *shard = &t->shards[i];

        /* What is dropped later sees the low mark; earlier, is past. */
        lock_take(&shard->lock, LOCK_FLOOR);
        atomic_store_explicit(&shard->missed[watcher], rep_floor_past(t, i),
                              memory_order_relaxed);
        lock_drop(&shard->lock, LOCK_FLOOR);
    }
}

void rep_floor_unwatch(struct rep_floor *t, int watcher)
{
    rep_floor_set_low(t, watcher, NOBODY);
    set_top(t);
}

void rep_floor_set_low(struct rep_floor *t, int watcher, uint64_t low)
{
    /* Partner: the load in drop_locked. */
    if (atomic_load_explicit(&t->low[watcher], memory_order_relaxed) != low) {
        atomic_store_explicit(&t->low[watcher], low, memory_order_relaxed);
    }
}

void rep_floor_pass(struct rep_floor *t, uint64_t version)
{
    const uint64_t ms =
        (UINT64_C(1) << (VERSION_SLOT_BITS + VERSION_COUNTER_BITS)) - 1;
    unsigned long long seen = atomic_load(&t->passed);

    /* Sequentially consistent, as the load in rep_floor_past: rep/log lets
     * only those removals go without a floor that a watcher to come sees. */
    while (seen < version &&
           !atomic_compare_exchange_weak(&t->passed, &seen, version | ms)) {
    }
}

uint64_t rep_floor_past(const struct rep_floor *t, unsigned cell)
{
    uint64_t past =
        atomic_load_explicit(&t->shards[cell].past, memory_order_relaxed);
    uint64_t passed = atomic_load(&t->passed);

    return past > passed ? past : passed;
}

uint64_t rep_floor_missed(const struct rep_floor *t, int watcher, unsigned cell)
{
    /* Partner: the store in drop_locked. */
    return atomic_load_explicit(&t->shards[cell].missed[watcher],
                                memory_order_relaxed);
}

static void raise_in(struct shard *shard, atomic_ullong *mark, uint64_t version)
{
    lock_take(&shard->lock, LOCK_FLOOR);
    raise_to(mark, version);
    lock_drop(&shard->lock, LOCK_FLOOR);
}

void rep_floor_raise_past(struct rep_floor *t, unsigned cell, uint64_t version)
{
    raise_in(&t->shards[cell], &t->shards[cell].past, version);
}

void rep_floor_raise_missed(struct rep_floor *t, int watcher, unsigned cell,
                            uint64_t version)
{
    raise_in(&t->shards[cell], &t->shards[cell].missed[watcher], version);
}

void rep_floor_stats(const struct rep_floor *t, struct rep_floor_stats *out)
{
    *out = (struct rep_floor_stats){.places =
                                        t->per_shard * REP_FLOOR_SHARDS * WAYS};
    for (int i = 0; i < REP_FLOOR_SHARDS; i++) {
        /* Partner: the stores in add(). */
        out->count +=
            atomic_load_explicit(&t->shards[i].count, memory_order_relaxed);
        out->dropped +=
            atomic_load_explicit(&t->shards[i].dropped, memory_order_relaxed);
    }
}
