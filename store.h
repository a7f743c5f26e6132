/*
 * store - the only door to the cache.
 *
 * Commands and incoming replication both come through here. Looking up holds
 * the key's stripe lock until store_release: between the two the item may be
 * read and copied, and nothing may block, allocate or call the store again.
 * Writing is reserve, fill, commit; or store_set with the whole value at hand.
 *
 * Every change of a key draws a version under its stripe lock. An observer,
 * when set, draws it and records the change in the same hold, so that what
 * it records is exactly what happened, in order.
 *
 * Time is clock_seconds(). An item is dead when its expiry is not after now,
 * or its version is not above the barrier of the last flush.
 *
 * Layer:     2. Includes layers 0-1 and items.h.
 * Threads:   any, after store_init.
 * Locks:     STRIPE, then LRU, SLABS; the observer runs under STRIPE or LRU.
 * Ownership: functions borrow their arguments unless they say takes or gives.
 */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/hash.h"
#include "base/util.h"
#include "items.h"
#include "store_change.h"

struct store_config {
    size_t memory_limit;         /* bytes; -m */
    size_t item_size_max;        /* bytes of the whole item; -I */
    size_t chunk_max;            /* bytes of the largest chunk */
    size_t chunk_min;            /* -n: key, value and flags of class 1 */
    double growth_factor;        /* -f */
    const uint32_t *chunk_sizes; /* in their place; see slabs_config.sizes */
    size_t chunk_sizes_n;
    unsigned hot_lru_pct;    /* the small queue is half of it */
    int temp_ttl;            /* see store_set_temp_ttl */
    bool evict;              /* false with -M */
    bool cas;                /* false with -C: clients see cas 0 */
    bool preallocate;        /* -L: commit all memory at start */
    bool track_sizes;        /* keep the histogram of stats sizes */
    const char *memory_file; /* -e: the cache lies there; NULL: nowhere */
    bool slab_reassign;      /* that of a kept cache has to be the same */
};

/* The defaults of the options; the only place tests take them from. */
struct store_config store_config_default(void);

/* Makes the cache. false with a line on standard error when the memory cannot
 * be had. Once; store_fini allows another. */
bool store_init(const struct store_config *config) MUST_CHECK;
void store_fini(void); /* no other thread may use the store */

/* ---- keys ---------------------------------------------------------- */

struct store_key {
    const char *ptr; /* borrowed */
    size_t len;      /* 1..250 */
    uint64_t hv;     /* hash_key() */
};

static inline struct store_key store_key(const char *ptr, size_t len)
{
    return (struct store_key){ptr, len, hash_key(ptr, len)};
}

/* Three hints that let cache misses of several keys overlap, to be called in
 * this order some tens of nanoseconds apart; each may be left out. */
void store_prefetch_stripe(uint64_t hv);
void store_prefetch_bucket(uint64_t hv);
void store_prefetch_item(uint64_t hv);

/* The same for one of which a change told where it lay. A hint: it may be
 * another's by now. */
void store_prefetch_place(uint64_t place);

/* ---- reading ------------------------------------------------------- */

enum store_miss {
    STORE_HIT,     /* an item is returned */
    STORE_ABSENT,  /* nothing there */
    STORE_EXPIRED, /* there was one, dead by its expiry (now removed) */
    STORE_FLUSHED, /* there was one, dead by a flush (now removed) */
};

/* Returns the live item with its stripe held, or NULL with nothing held.
 * Counts no access. `why` may be NULL. */
struct item *store_hold(const struct store_key *key, enum store_miss *why);

/* Counts an access: warms the item for eviction, sets `fetched`, moves the
 * access time. Stripe held. */
void store_hit(struct item *it);

/* An item is about to get warmer by an access: to level 1, 2 or 3 (most hits
 * find it at 3 already and tell nobody). Its stripe is held. */
typedef void store_rose(void *ctx, const struct item *it, unsigned level);

/* Sets who is told of accesses that make a difference to eviction. Before
 * threads start; nobody is told until store_watch_rises(true). */
void store_on_rise(store_rose *rose, void *ctx);

/* Any time, any thread. A call may still be under way when it returns. */
void store_watch_rises(bool on);

/* Makes the item of a key warmer for eviction as so many accesses do, without
 * being one: not fetched, access time as it was, nobody told. False: absent. */
bool store_warm(const struct store_key *key, unsigned hits);

/* Ends the hold that store_hold began. */
void store_release(struct item *it);

/* Takes a reference for use beyond the hold; false when it has too many (the
 * caller treats it as a miss). Stripe held. */
bool store_ref(struct item *it) MUST_CHECK;

/* Drops a reference. No stripe held by this thread. */
void store_unref(struct item *it);

/* Where a value lies. Taken while its item is held, it may be read without
 * for as long as the item is referenced; the item's header may not: its bits,
 * which tell the same, change with every hit. */
struct store_view {
    const char *data;               /* NULL: in chunks */
    const struct item_chunk *first; /* of them */
    size_t nbytes;
};
struct store_view store_view(const struct item *it);

/* ---- writing ------------------------------------------------------- */

enum store_status {
    STORE_OK,
    STORE_NOT_STORED,  /* the mode refuses: add to present, replace absent */
    STORE_EXISTS,      /* cas differs */
    STORE_NOT_FOUND,   /* cas, delete, touch, incr of an absent key */
    STORE_TOO_LARGE,   /* above item_size_max */
    STORE_NO_MEMORY,   /* no chunk, and eviction impossible */
    STORE_NON_NUMERIC, /* incr of something else */
};

enum store_mode {
    STORE_SET,
    STORE_ADD,
    STORE_REPLACE,
    STORE_APPEND,
    STORE_PREPEND,
    STORE_CAS,
};

/* Converts a client's expiry (0 never, up to 30 days relative, above
 * absolute, negative at once) to Unix seconds for the functions below. */
uint32_t store_exptime(int64_t client_exptime);

struct store_attrs {
    uint32_t flags;
    uint32_t exptime; /* Unix seconds, 0 never: see store_exptime */
};

/* Stores `n` bytes in one step: the fast path of a complete small request.
 * On refusal nothing changed, except that TOO_LARGE and NO_MEMORY in mode SET
 * remove the key, as stock does. `cas` is compared in mode CAS, and when not 0
 * in modes APPEND and PREPEND; it receives the item's cas when stored; NULL is
 * allowed but in mode CAS. */
enum store_status store_set(const struct store_key *key,
                            const struct store_attrs *attrs,
                            enum store_mode mode, const void *value, size_t n,
                            uint64_t *cas) MUST_CHECK;

/* Gives an item with room for `n` bytes of value, in *out, for filling by
 * store_room. On TOO_LARGE and NO_MEMORY in mode SET the key is removed. */
enum store_status store_reserve(const struct store_key *key,
                                const struct store_attrs *attrs,
                                enum store_mode mode, size_t n,
                                struct item **out) MUST_CHECK;

/* Where the bytes of the value from `filled` on go: the next contiguous room.
 * Chained items get their chunks here as data arrives: a zero-length result
 * means that memory ran out (never when the item is not chained). */
struct iovec store_room(struct item *it, size_t filled) MUST_CHECK;

/* Takes `it`, filled, and links it. */
enum store_status store_commit(struct item *it, const struct store_key *key,
                               enum store_mode mode, uint64_t *cas) MUST_CHECK;

/* Takes a reserved item and frees it. */
void store_cancel(struct item *it);

/* What a change found at its key. */
struct store_found {
    enum store_miss why;
    unsigned slab_class; /* of the item; 0: none */
    uint32_t nbytes;     /* of its value, as it was found */
};

/* Deletes; with cas != 0 only that one (EXISTS otherwise). `found` may be
 * NULL. */
enum store_status store_delete(const struct store_key *key, uint64_t cas,
                               struct store_found *found) MUST_CHECK;

/* Adds (or subtracts, not below 0) and gives the result; refuses a value that
 * is not a number, is empty or chained. `hit` counts for no LRU. With
 * cas != NULL and *cas != 0 compares it; receives the new cas. `found` may be
 * NULL. */
enum store_status store_arith(const struct store_key *key, bool incr,
                              uint64_t delta, uint64_t *result, uint64_t *cas,
                              struct store_found *found) MUST_CHECK;

/* Sets a new expiry (Unix seconds, 0 never) and returns the item held, as
 * store_hold does, or NULL when absent. */
struct item *store_touch_hold(const struct store_key *key, uint32_t exptime,
                              enum store_miss *why);

/* Everything older than this moment dies. `at` = 0: now; otherwise when that
 * Unix second arrives, replacing an earlier delayed flush. */
void store_flush(uint32_t at);

/* Carries out a delayed flush whose time has come; call once a second. */
void store_tick(void);

/* Unix second of the flush that is due, or of the last one; 0 never. */
uint32_t store_flush_time(void);

/* ---- replication's side ------------------------------------------- */

/* Before threads start; NULL takes it away. Without one, versions are drawn
 * by version_next() and nothing is recorded. Borrows `observer` for good. */
void store_observe(const struct store_observer *observer);

/* About so many items may be on their way: the index will grow at once. */
void store_expect(uint64_t items);

enum store_applied {
    STORE_APPLIED,      /* the incoming state is now ours */
    STORE_APPLIED_OVER, /* and replaced one of ours that `unacked` meant */
    STORE_APPLIED_SAME, /* equal already, perhaps a later expiry taken */
    STORE_STALE,        /* ours is newer: nothing changed */
    STORE_UNSTORABLE,   /* no room or too large: kept as a floor instead */
    STORE_MISSED,       /* `missed` said so: nothing changed */
    STORE_WANTED,       /* touch, weigh: this version would be taken */
};

struct store_incoming {
    struct store_attrs attrs;
    uint64_t version;
    uint64_t cas;     /* visible cas, 0: the version */
    uint32_t source;  /* as in store_change */
    uint16_t bits;    /* ITEM_B64KEY, STALE, TOKEN_SENT, TOUCHED to be kept */
    bool local;       /* a legacy peer's: takes a new version and always wins */
    uint64_t unacked; /* from this version on the peer does not know ours: see
                         APPLIED_OVER; 0: it knows all */
    /* Nothing is held, not even a floor: whether something newer may have been
     * removed here. Stripe held. NULL: no. */
    bool (*missed)(void *ctx, const struct store_key *key, uint64_t version);
    void *missed_ctx;
};

/* Applies an item from a peer, whole value at hand. */
enum store_applied store_apply(const struct store_key *key,
                               const struct store_incoming *in,
                               const void *value, size_t n) MUST_CHECK;

/* The same for a value that arrives in pieces: reserve (or as clients do, mode
 * ADD), fill, apply. The last takes `it`. */
enum store_status store_apply_reserve(const struct store_key *key,
                                      const struct store_incoming *in, size_t n,
                                      struct item **out) MUST_CHECK;
enum store_applied store_apply_item(struct item *it,
                                    const struct store_key *key,
                                    const struct store_incoming *in) MUST_CHECK;

/* Nothing older than `version` for this key: removes an older item, leaves a
 * floor. `source` as in store_change. */
enum store_applied store_apply_floor(const struct store_key *key,
                                     uint64_t version,
                                     uint32_t source) MUST_CHECK;

/* A peer's expiry for the item of this version: APPLIED when later by over 2 s,
 * else APPLIED_SAME. */
enum store_applied
store_apply_touch(const struct store_key *key,
                  const struct store_incoming *in) MUST_CHECK;

/* What would become of such an item: APPLIED_SAME when it is held. */
enum store_applied store_weigh(const struct store_key *key,
                               const struct store_incoming *in) MUST_CHECK;

/* A peer's flush: the barrier rises to `version`. False: it was there. One
 * that was made at once takes an older delayed flush away. */
bool store_apply_barrier(uint64_t version, uint32_t source);

/* A peer's delayed flush, newest version wins. */
void store_apply_flush_at(uint64_t version, uint32_t at, uint32_t source);

/* The barrier: items up to and including this version are dead. */
uint64_t store_barrier(void);

/* Whether this is the barrier that a delayed flush led to when its second
 * came: it says nothing of what store_flush_register gives. */
bool store_barrier_is_delayed(uint64_t version);

/* The newest flush_all that clients made anywhere, carried out or not, and the
 * second it is for (0: at once); false when there was none. It is what nodes
 * agree on: newest wins, and one made at once takes a delayed one away. */
bool store_flush_register(uint64_t *version, uint32_t *at);

/* The pending delayed flush: false when there is none. */
bool store_flush_pending(uint64_t *version, uint32_t *at);

/* ---- tuning, any time ----------------------------------------------- */
/* hot_lru_pct of the configuration. */
void store_set_hot_pct(unsigned pct);

/* Items stored with at most so many seconds to live are never evicted. Below 0:
 * no difference is made. */
void store_set_temp_ttl(int ttl);

/* ---- walking ------------------------------------------------------- */

/* A walk over all items by hash that runs beside everything else. What stays
 * throughout is seen exactly once, growth of the index included (a stop between
 * two keys of equal hash bits may show one twice). Zeroed to begin. */
struct store_cursor {
    uint32_t stripe;
    uint32_t fragment;
    bool done;
};

/* Called with the stripe held; no blocking, allocating or store calls.
 * Returns false to stop before this item: it comes first next time. */
typedef bool store_visit(void *ctx, struct item *it);

/* Visits up to about `most` items (dead ones included), dropping locks every
 * 64, and moves the cursor. Returns how many it visited. */
size_t store_walk(struct store_cursor *cursor, size_t most, store_visit *visit,
                  void *ctx);

/* From a visit: frees a dead item; false when somebody is using it. */
bool store_reclaim(struct item *it);

/* Whether the item is dead by expiry or flush. Stripe held. */
enum store_miss store_dead(const struct item *it);

#endif
