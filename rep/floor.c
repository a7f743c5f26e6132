#include "rep/floor.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/lock.h"

enum {
    WAYS = 4,         /* floors of a line, which is one cache line */
    WALK_LINES = 4096 /* lines looked at by one walk */
};

struct line {
    struct rep_floor_entry way[WAYS]; /* [F] version 0: free */
};

_Static_assert(sizeof(struct line) == 64, "a line is one cache line");

/* [F] the shard's lock   [a] atomic   [c] constant after creation */
struct shard {
    struct lock lock;
    atomic_ullong missed;  /* [a] greatest version dropped; written under F */
    atomic_ullong count;   /* [a] floors held; written under F */
    atomic_ullong dropped; /* [a] floors dropped; written under F */
    char pad[32];          /* shards share no cache line */
};

_Static_assert(sizeof(struct shard) == 64, "a shard is one cache line");

struct rep_floor {
    struct shard shards[REP_FLOOR_SHARDS];
    struct line *lines; /* [c] the array; inside `memory`, aligned */
    void *memory;       /* [c] */
    uint64_t per_shard; /* [c] lines of a shard, below 2^32 */
};

/* A line's number rises with the hash: a walk by line is a walk by hash. */
static uint64_t line_of(const struct rep_floor *t, uint64_t hash)
{
    uint64_t total = t->per_shard * REP_FLOOR_SHARDS;

    return (hash >> 32) * total >> 32;
}

static struct shard *shard_of(struct rep_floor *t, uint64_t line)
{
    return &t->shards[line / t->per_shard];
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
    struct rep_floor *t = calloc(1, sizeof(*t));

    if (t == NULL) {
        return NULL;
    }
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

uint64_t rep_floor_get(struct rep_floor *t, uint64_t hash)
{
    uint64_t at = line_of(t, hash);
    struct shard *shard = shard_of(t, at);
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

/* Notes that a floor of `version` is not kept. Shard locked. */
static void drop_locked(struct shard *shard, uint64_t version)
{
    lock_assert(LOCK_FLOOR);
    add(&shard->dropped, 1);
    if (atomic_load_explicit(&shard->missed, memory_order_relaxed) < version) {
        /* Read without the lock by rep_floor_missed. */
        atomic_store_explicit(&shard->missed, version, memory_order_relaxed);
    }
}

/* Puts a new floor into the free or the lowest place. Shard locked. */
static void insert_locked(struct shard *shard, struct line *line, uint64_t hash,
                          uint64_t version)
{
    struct rep_floor_entry *lowest = &line->way[0];

    lock_assert(LOCK_FLOOR);
    for (int i = 1; i < WAYS; i++) {
        if (line->way[i].version < lowest->version) {
            lowest = &line->way[i];
        }
    }
    if (lowest->version == 0) {
        add(&shard->count, 1);
    } else if (lowest->version >= version) {
        drop_locked(shard, version);
        return;
    } else {
        drop_locked(shard, lowest->version);
    }
    *lowest = (struct rep_floor_entry){hash, version};
}

bool rep_floor_raise(struct rep_floor *t, uint64_t hash, uint64_t version)
{
    uint64_t at = line_of(t, hash);
    struct shard *shard = shard_of(t, at);
    struct line *line = &t->lines[at];
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
        insert_locked(shard, line, hash, version);
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
    struct shard *shard = shard_of(t, at);
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
    for (int i = 0; i < WALK_LINES && cursor->line < total; i++) {
        if (most - n < WAYS) {
            return n;
        }
        n += copy_line(t, cursor->line, threshold, out + n);
        cursor->line++;
    }
    cursor->done = cursor->line >= total;
    return n;
}

uint64_t rep_floor_missed(const struct rep_floor *t, uint64_t hash)
{
    const struct shard *shard = &t->shards[line_of(t, hash) / t->per_shard];

    /* Partner: the store in drop_locked. */
    return atomic_load_explicit(&shard->missed, memory_order_relaxed);
}

uint64_t rep_floor_missed_any(const struct rep_floor *t)
{
    uint64_t greatest = 0;

    for (int i = 0; i < REP_FLOOR_SHARDS; i++) {
        uint64_t v =
            atomic_load_explicit(&t->shards[i].missed, memory_order_relaxed);

        greatest = v > greatest ? v : greatest;
    }
    return greatest;
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
