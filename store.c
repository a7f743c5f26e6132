#include "store.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/version.h"
#include "slabs.h"
#include "store_internal.h"

enum {
    EVICT_TRIES = 10,       /* rounds of eviction before giving up */
    STOCK_HEADER = 51,      /* what stock counts for an item of no bytes */
    RELATIVE_MAX = 2592000, /* 30 days: longer expiries are absolute */
    WALK_HOLD = 64,         /* items visited in one hold of a stripe */
};

struct store store;

/* Who is told when an item gets warmer. */
static struct {
    store_rose *rose;    /* [c] NULL: nobody ever */
    void *ctx;           /* [c] */
    atomic_bool watched; /* [a] false: nobody now */
} heat;

struct store_config store_config_default(void)
{
    return (struct store_config){
        .memory_limit = 64 * MIB,
        .item_size_max = MIB,
        .chunk_max = 512 * KIB,
        .chunk_min = 48,
        .growth_factor = 1.25,
        .hot_lru_pct = 20,
        .temp_ttl = -1,
        .evict = true,
        .cas = true,
    };
}

/* ---- life ---- */

static bool dead(const struct item *it)
{
    return store_dead(it) != STORE_HIT;
}

/* Drops the index's reference; the last one frees. */
void store_put(struct item *it)
{
    /* Acquire-release: the thread that frees sees all that others wrote. */
    if (atomic_fetch_sub_explicit(&it->refs, 1, memory_order_acq_rel) == 1) {
        item_free(it);
    }
}

void store_removed_locked(const struct item *it)
{
    if (store.observer != NULL) {
        store.observer->removed(store.observer->ctx, item_key(it), it->nkey,
                                it->version);
    }
}

/* The hook of lru_evict: stripe and LRU lock held, out of its queue already. */
static void drop_evicted(struct item *it, uint64_t hv)
{
    struct assoc_stripe *s = &assoc_stripes[it->stripe];

    store_removed_locked(it);
    assoc_remove(s, hv, it);
    atomic_store_explicit(&it->kind, ITEM_UNLINKED, memory_order_relaxed);
    store_put(it);
}

static void (*on_eviction)(const struct item *it); /* [c] NULL: nobody */

static void evicting(const struct item *it)
{
    if (on_eviction != NULL) {
        on_eviction(it);
    }
}

void store_on_eviction(void (*evicted)(const struct item *it))
{
    on_eviction = evicted;
}

static bool make_empty(const struct store_config *config)
{
    struct slabs_config slabs = {
        .limit = config->memory_limit,
        .chunk_min = config->chunk_min,
        .chunk_max = config->chunk_max,
        .factor = config->growth_factor,
        .sizes = config->chunk_sizes,
        .sizes_n = config->chunk_sizes_n,
        .preallocate = config->preallocate && config->memory_file == NULL,
        .backed = config->memory_file != NULL,
        .fd = store_restart_fd(),
    };
    struct lru_config lru = {
        .evict = config->evict,
        .small_pct = config->hot_lru_pct / 2,
        .temp_ttl = config->temp_ttl,
        .dead = dead,
        .drop = drop_evicted,
        .evicting = evicting,
    };

    lru_init(&lru);
    if (!slabs_init(&slabs)) {
        return false;
    }
    if (!assoc_init()) {
        (void)fprintf(stderr, "Failed to init hashtable.\n");
        slabs_fini();
        return false;
    }
    return true;
}

static void unmake(void)
{
    lru_fini();
    assoc_fini();
    slabs_fini();
}

/* What was found in the file, or, if that cannot be, an empty cache. */
static bool restore(const struct store_config *config)
{
    if (store_restart_load()) {
        return true;
    }
    unmake();
    return store_restart_clear() && make_empty(config);
}

bool store_init(const struct store_config *config)
{
    store.config = *config;
    store.observer = NULL;
    atomic_store(&store.barrier, 0);
    atomic_store(&store.flushed, 0);
    atomic_store(&store.pending_at, 0);
    store.flush_version = 0;
    store.flush_at = 0;
    items_init(config->cas);
    if (config->memory_file != NULL && !store_restart_open(config)) {
        return false;
    }
    if (make_empty(config) && (!store_restart_found() || restore(config))) {
        return true;
    }
    store_restart_close();
    return false;
}

void store_fini(void)
{
    unmake();
    store_restart_close();
}

void store_set_hot_pct(unsigned pct)
{
    lru_set_small_pct(pct / 2);
}

void store_set_temp_ttl(int ttl)
{
    lru_set_temp_ttl(ttl);
}

void store_observe(const struct store_observer *observer)
{
    store.observer = observer;
}

static uint64_t record(const struct store_change *change)
{
    if (store.observer != NULL) {
        return store.observer->change(store.observer->ctx, change);
    }
    if (change->version != 0) {
        version_observe(change->version);
        return change->version;
    }
    return version_next();
}

uint64_t store_record_locked(enum store_op op, const struct store_key *key,
                             const struct item *it, uint64_t version,
                             uint32_t source)
{
    return record(
        &(struct store_change){.op = op,
                               .key = key,
                               .version = version,
                               .source = source,
                               .place = it != NULL ? slabs_ref(it) : 0});
}

void store_record_item_locked(const struct store_key *key, struct item *it)
{
    it->version = record(&(struct store_change){
        .op = STORE_OP_ITEM, .key = key, .place = slabs_ref(it), .item = it});
}

/* ---- looking up ---- */

void store_prefetch_stripe(uint64_t hv)
{
    PREFETCH(&assoc_stripes[assoc_stripe_of(hv)]);
}

void store_prefetch_bucket(uint64_t hv)
{
    PREFETCH(
        assoc_bucket(&assoc_stripes[assoc_stripe_of(hv)], assoc_fragment(hv)));
}

void store_prefetch_item(uint64_t hv)
{
    assoc_prefetch_item(hv);
}

void store_prefetch_place(uint64_t place)
{
    assoc_prefetch_ref(place);
}

enum store_miss store_dead(const struct item *it)
{
    if (it->exptime != 0 && it->exptime <= clock_seconds()) {
        return STORE_EXPIRED;
    }
    if (it->version <=
        atomic_load_explicit(&store.barrier, memory_order_relaxed)) {
        return STORE_FLUSHED;
    }
    return STORE_HIT;
}

void store_unlink_locked(struct assoc_stripe *s, struct item *it, uint64_t hv)
{
    lru_unlink(it);
    assoc_remove(s, hv, it);
    atomic_store_explicit(&it->kind, ITEM_UNLINKED, memory_order_relaxed);
    store_put(it);
}

void store_reclaim_locked(struct assoc_stripe *s, struct item *it, uint64_t hv)
{
    lru_expired(it);
    store_removed_locked(it);
    store_unlink_locked(s, it, hv);
}

bool store_reclaim(struct item *it)
{
    if (!store_unshared(it)) {
        return false;
    }
    store_reclaim_locked(&assoc_stripes[it->stripe], it,
                         hash_key(item_key(it), it->nkey));
    return true;
}

struct item *store_live_locked(struct assoc_stripe *s,
                               const struct store_key *key,
                               enum store_miss *why)
{
    struct item *it = assoc_find(s, key->hv, key->ptr, key->len);
    enum store_miss state = it == NULL ? STORE_ABSENT : store_dead(it);

    if (UNLIKELY(state == STORE_EXPIRED || state == STORE_FLUSHED)) {
        store_reclaim_locked(s, it, key->hv);
        it = NULL;
    }
    if (why != NULL) {
        *why = state;
    }
    return it;
}

struct item *store_hold(const struct store_key *key, enum store_miss *why)
{
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(key->hv));
    struct item *it = store_live_locked(s, key, why);

    if (it == NULL) {
        assoc_drop(s);
    }
    return it;
}

void store_release(struct item *it)
{
    assoc_drop(&assoc_stripes[it->stripe]);
}

void store_mark_accessed(struct item *it)
{
    uint32_t now = clock_seconds();

    if (atomic_load_explicit(&it->accessed, memory_order_relaxed) != now) {
        atomic_store_explicit(&it->accessed, now, memory_order_relaxed);
    }
}

void store_hit(struct item *it)
{
    if (UNLIKELY(atomic_load_explicit(&heat.watched, memory_order_relaxed)) &&
        lru_hits(it) < LRU_HITS_MAX) {
        heat.rose(heat.ctx, it, lru_hits(it) + 1);
    }
    lru_hit(it);
    if ((it->bits & ITEM_FETCHED) == 0) {
        it->bits |= ITEM_FETCHED;
    } else {
        store_mark_accessed(it);
    }
}

void store_on_rise(store_rose *rose, void *ctx)
{
    heat.rose = rose;
    heat.ctx = ctx;
}

void store_watch_rises(bool on)
{
    atomic_store_explicit(&heat.watched, on && heat.rose != NULL,
                          memory_order_relaxed);
}

bool store_warm(const struct store_key *key, unsigned hits)
{
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(key->hv));
    struct item *it = assoc_find(s, key->hv, key->ptr, key->len);
    bool live = it != NULL && store_dead(it) == STORE_HIT;

    for (; live && hits > 0; hits--) {
        lru_hit(it);
    }
    assoc_drop(s);
    return live;
}

bool store_ref(struct item *it)
{
    lock_assert(LOCK_STRIPE);
    if (atomic_load_explicit(&it->refs, memory_order_relaxed) >=
        ITEM_REFS_MAX) {
        return false;
    }
    (void)atomic_fetch_add_explicit(&it->refs, 1, memory_order_relaxed);
    return true;
}

void store_unref(struct item *it)
{
    store_put(it);
}

/* ---- making items ---- */

uint32_t store_exptime(int64_t client_exptime)
{
    uint32_t now = clock_seconds();

    if (client_exptime == 0) {
        return 0;
    }
    if (client_exptime < 0) {
        return now - 1;
    }
    return client_exptime <= RELATIVE_MAX ? now + (uint32_t)client_exptime
                                          : (uint32_t)client_exptime;
}

bool store_too_large(const struct store_new *n)
{
    return STOCK_HEADER + (store.config.cas ? 8U : 0U) + n->key->len +
               n->nbytes + (n->attrs.flags != 0 ? 4U : 0U) >
           store.config.item_size_max;
}

unsigned store_bits_for(const struct store_new *n)
{
    unsigned bits = n->bits | (n->attrs.flags != 0 ? ITEM_HAS_FLAGS : 0U);

    if (slabs_class(item_size_for(bits, n->key->len, n->nbytes)) == 0) {
        bits |= ITEM_CHAINED | ITEM_HAS_CAS;
    }
    return bits;
}

/* Makes room in a class. The heads of values in pieces lie in any class, but
 * all of them queue in the last one: that is where to look for a head's room
 * when nothing else in its class can go. */
static bool make_room(unsigned slab_class, bool chained)
{
    return lru_evict(slab_class) || (chained && lru_evict(slabs_last_class()));
}

static void *alloc_evicting(unsigned slab_class, bool chained)
{
    void *p = slabs_alloc(slab_class);

    for (int i = 0; p == NULL && i < EVICT_TRIES; i++) {
        if (!make_room(slab_class, chained)) {
            break;
        }
        p = slabs_alloc(slab_class);
    }
    if (p == NULL) {
        lru_out_of_memory(slab_class);
    }
    return p;
}

static struct item_shape shape_of(const struct store_new *n)
{
    struct item_shape shape = {
        .key = n->key->ptr,
        .nkey = n->key->len,
        .nbytes = n->nbytes,
        .bits = store_bits_for(n),
        .stripe = assoc_stripe_of(n->key->hv),
    };

    shape.slab_class =
        slabs_class(item_size_for(shape.bits, shape.nkey, shape.nbytes));
    return shape;
}

static struct item *make_of(struct item *it, const struct item_shape *shape,
                            const struct store_new *n)
{
    if (it == NULL) {
        return NULL;
    }
    item_make(it, shape);
    item_set_flags(it, n->attrs.flags);
    it->exptime = n->attrs.exptime;
    atomic_store_explicit(&it->accessed, clock_seconds(), memory_order_relaxed);
    return it;
}

struct item *store_make(const struct store_new *n)
{
    struct item_shape shape = shape_of(n);
    bool chained = (shape.bits & ITEM_CHAINED) != 0;

    return make_of(alloc_evicting(shape.slab_class, chained), &shape, n);
}

struct item *store_make_free(const struct store_new *n)
{
    struct item_shape shape = shape_of(n);

    if ((shape.bits & ITEM_CHAINED) != 0) {
        return NULL;
    }
    return make_of(slabs_alloc(shape.slab_class), &shape, n);
}

/* While an item is being filled its queue links are free: `next` is the ref of
 * the last chunk, `prev_lo` the offset at which that begins. */
static struct item_chunk *filling(const struct item *it)
{
    uint64_t ref = (uint64_t)it->next_hi << 32 | it->next_lo;

    return ref == 0 ? NULL : slabs_ptr(ref);
}

static struct item_chunk *next_chunk(struct item *it, struct item_chunk *last,
                                     size_t filled)
{
    size_t left = it->nbytes - filled;
    struct item_chunk *chunk = item_chunk_add(it, last, left);
    uint64_t ref;

    for (int i = 0; chunk == NULL && i < EVICT_TRIES; i++) {
        if (!lru_evict(slabs_last_class())) {
            break;
        }
        chunk = item_chunk_add(it, last, left);
    }
    if (chunk == NULL) {
        lru_out_of_memory(slabs_last_class());
        return NULL;
    }
    ref = slabs_ref(chunk);
    it->next_lo = (uint32_t)ref;
    it->next_hi = (uint8_t)(ref >> 32);
    it->prev_lo = (uint32_t)filled;
    return chunk;
}

struct iovec store_room(struct item *it, size_t filled)
{
    size_t left = it->nbytes - filled;
    struct item_chunk *chunk;
    size_t room;

    if (!item_is_chained(it)) {
        return (struct iovec){item_data(it) + filled, left};
    }
    chunk = filling(it);
    if (chunk != NULL) {
        chunk->used = (uint32_t)filled - it->prev_lo;
    }
    if (left > 0 && (chunk == NULL || chunk->used == chunk->capacity)) {
        chunk = next_chunk(it, chunk, filled);
    }
    if (chunk == NULL) {
        return (struct iovec){NULL, 0};
    }
    room = chunk->capacity - chunk->used;
    return (struct iovec){chunk->data + chunk->used, room < left ? room : left};
}

bool store_fill(struct item *it, size_t *filled, const void *p, size_t n)
{
    const char *from = p;

    while (n > 0) {
        struct iovec room = store_room(it, *filled);
        size_t part = room.iov_len < n ? room.iov_len : n;

        if (part == 0) {
            return false;
        }
        memcpy(room.iov_base, from, part);
        *filled += part;
        from += part;
        n -= part;
    }
    return true;
}

struct store_view store_view(const struct item *it)
{
    return (struct store_view){
        .data = item_is_chained(it) ? NULL : item_data(it),
        .first = item_chunk_first(it),
        .nbytes = it->nbytes,
    };
}

bool store_fill_view(struct item *it, size_t *filled,
                     const struct store_view *from)
{
    if (from->data != NULL) {
        return store_fill(it, filled, from->data, from->nbytes);
    }
    for (const struct item_chunk *chunk = from->first; chunk != NULL;
         chunk = item_chunk_next(chunk)) {
        if (!store_fill(it, filled, chunk->data, chunk->used)) {
            return false;
        }
    }
    return true;
}

void store_filled(struct item *it)
{
    struct item_chunk *chunk = item_is_chained(it) ? filling(it) : NULL;

    if (chunk != NULL) {
        chunk->used = it->nbytes - it->prev_lo;
    }
}

void store_cancel(struct item *it)
{
    item_free(it);
}

/* ---- walking ---- */

/* Visits within one hold of the cursor's stripe; false: stopped. */
static bool walk_stripe(struct store_cursor *cursor, store_visit *visit,
                        void *ctx, size_t *visited)
{
    struct assoc_stripe *s = assoc_take(cursor->stripe);
    unsigned n = 0;
    bool stopped = false;

    while (!stopped && n < WALK_HOLD &&
           cursor->fragment < 1U << ASSOC_FRAGMENT) {
        n += assoc_visit_bucket(s, &cursor->fragment, visit, ctx, &stopped);
    }
    assoc_drop(s);
    *visited += n;
    if (cursor->fragment >= 1U << ASSOC_FRAGMENT) {
        cursor->fragment = 0;
        cursor->stripe++;
        cursor->done = cursor->stripe == ASSOC_STRIPES;
    }
    return !stopped;
}

size_t store_walk(struct store_cursor *cursor, size_t most, store_visit *visit,
                  void *ctx)
{
    size_t visited = 0;

    /* A cursor may have been told to somebody, and come back. */
    cursor->done = cursor->done || cursor->stripe >= ASSOC_STRIPES;
    while (!cursor->done && visited < most) {
        if (!walk_stripe(cursor, visit, ctx, &visited)) {
            break;
        }
    }
    return visited;
}
