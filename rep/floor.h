/*
 * rep_floor - a bounded table of floors: "nothing older than this version".
 *
 * A floor is {agreed hash of a key, version}. The memory is fixed at creation
 * and kept from birth. The table is set-associative: a line of four floors a
 * hash may lie in; a full line drops its lowest version first, and the shard
 * remembers the greatest version it ever dropped. Every operation touches one
 * line. Two keys of one agreed hash share a floor, which is safe: it can only
 * refuse or remove more (a miss), never less.
 *
 * The hashes are divided into cells, one a shard. Of each the table remembers
 * what no floor tells any more: `past`, the greatest version removed without a
 * kept floor, and for each watcher (a run of a peer, linked or away) `missed`,
 * the greatest floor dropped that the watcher had not acknowledged. What a
 * watcher offers at or below that, and nobody holds here, may be something
 * that was removed. Both are told before the floor is gone: read them after
 * rep_floor_get.
 *
 * Layer:     2. Includes layer 0 only.
 * Threads:   any; watchers come, go and move in the replication thread.
 * Locks:     takes LOCK_FLOOR (one per shard); calls nothing while holding it.
 * Ownership: functions borrow their arguments unless they say takes or gives.
 */
#ifndef REP_FLOOR_H
#define REP_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h" /* MUST_CHECK */

#define REP_FLOOR_SHARDS   64   /* and cells */
#define REP_FLOOR_WALK     4096 /* lines looked at by one rep_floor_walk */
#define REP_FLOOR_WATCHERS 16   /* watcher r is reader r of rep/log */

struct rep_floor;

/* One floor, as a walk gives it. */
struct rep_floor_entry {
    uint64_t hash;    /* hash_key_agreed() */
    uint64_t version; /* never 0 */
};

/* A walk over all floors by hash; zeroed to begin. A floor that stays
 * throughout is seen exactly once. */
struct rep_floor_cursor {
    uint64_t line;
    bool done;
};

/* The default size for a memory limit: 1/64 of it, 1 to 256 MiB. */
size_t rep_floor_default_bytes(size_t memory_limit);

/* Gives a table of at most `bytes` bytes (at least one line a shard), or NULL
 * when out of memory. */
struct rep_floor *rep_floor_new(size_t bytes);

/* Takes `t`; NULL is allowed. No other thread may still use it. */
void rep_floor_free(struct rep_floor *t);

/* The floor of `hash`, 0 when there is none. */
uint64_t rep_floor_get(struct rep_floor *t, uint64_t hash);

/* Whether there ever was a floor: until then nobody need ask for one. Whoever
 * asks for a key's holds what its floors are raised under. */
bool rep_floor_any(const struct rep_floor *t);

/* A hint: rep_floor_get, or raise, will be called for this hash soon. */
void rep_floor_prefetch(const struct rep_floor *t, uint64_t hash);

/* Raises the floor of `hash` to `version`; false when it was there already.
 * (True also when the table had no place: the version then counts as
 * dropped.) */
bool rep_floor_raise(struct rep_floor *t, uint64_t hash, uint64_t version);

/* Gives up to `most` floors at or above `threshold` and moves the cursor,
 * looking at a bounded number of lines; 0 with cursor->done unset only means
 * that none was found yet. */
size_t rep_floor_walk(struct rep_floor *t, struct rep_floor_cursor *cursor,
                      uint64_t threshold, struct rep_floor_entry *out,
                      size_t most);

/* ---- what is not held any more ---------------------------------------- */

/* The cell of a hash, from 0: it rises with the hash, alike in every table. */
static inline unsigned rep_floor_cell(const struct rep_floor *t, uint64_t hash)
{
    (void)t;
    return (unsigned)((hash >> 32) * REP_FLOOR_SHARDS >> 32);
}

/* The watcher counts from now on: what it missed begins with what is past, and
 * it has acknowledged nothing. */
void rep_floor_watch(struct rep_floor *t, int watcher);
void rep_floor_unwatch(struct rep_floor *t, int watcher);

/* Floors at or above `low` are unacknowledged by the watcher. */
void rep_floor_set_low(struct rep_floor *t, int watcher, uint64_t low);

/* Something of at most `version` was removed and left no floor: it is past in
 * every cell (rounded up to the end of its millisecond, so that a stream of
 * removals rarely writes). */
void rep_floor_pass(struct rep_floor *t, uint64_t version);

/* Greatest version removed without a floor that is kept; 0: none. */
uint64_t rep_floor_past(const struct rep_floor *t, unsigned cell);

/* Greatest floor dropped unacknowledged by the watcher, or past before it
 * watched. Only rises. */
uint64_t rep_floor_missed(const struct rep_floor *t, int watcher,
                          unsigned cell);

/* The same marks as a last process left them: each only rises. */
void rep_floor_raise_past(struct rep_floor *t, unsigned cell, uint64_t version);
void rep_floor_raise_missed(struct rep_floor *t, int watcher, unsigned cell,
                            uint64_t version);

/* Figures: floors held, places, floors dropped since the start. */
struct rep_floor_stats {
    uint64_t count, places, dropped;
};

void rep_floor_stats(const struct rep_floor *t, struct rep_floor_stats *out);

#endif
