#include "lru.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "assoc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/lock.h"
#include "slabs.h"

enum {
    STEPS = 16,       /* items passed over before the tail goes regardless */
    FORCED = 64,      /* tails tried then: busy ones are passed over */
    DEAD_SEARCH = 5,  /* tails looked at for dead items without eviction */
    GHOST_SLOTS = 15, /* hashes of a ghost line */
    GHOST_MIN = 64,   /* items below which a class needs no ghost */
};

struct ghost_line {
    uint32_t hash[GHOST_SLOTS]; /* 0 free */
    uint32_t cursor;            /* where the oldest is */
};

_Static_assert(sizeof(struct ghost_line) == 64, "a line is a cache line");

struct queue {
    uint64_t head, tail; /* [L] refs, 0 empty */
    uint64_t count;      /* [L] */
};

struct lru_class {
    _Alignas(64) struct lock lock;
    struct queue queue[ITEM_NO_QUEUE];
    struct ghost_line *ghost;  /* [L] NULL until the first eviction */
    uint64_t ghost_lines;      /* [L] */
    uint64_t ghost_for;        /* [L] items of the class it was made for */
    struct lru_stats counted;  /* [L] counters only */
    atomic_ullong warm;        /* [a] items of main with hits */
    atomic_ullong requested;   /* [a] bytes of linked items */
    atomic_ullong outofmemory; /* [a] */
};

static struct lru_class classes[SLABS_CLASS_MAX + 1];
static struct lru_config cfg; /* [c] */
static atomic_uint small_pct; /* [a] lru_set_small_pct */
atomic_int lru_temp_ttl;

void lru_init(const struct lru_config *config)
{
    cfg = *config;
    memset(classes, 0, sizeof(classes));
    lru_set_small_pct(cfg.small_pct);
    lru_set_temp_ttl(cfg.temp_ttl);
}

void lru_set_small_pct(unsigned pct)
{
    atomic_store_explicit(&small_pct, pct, memory_order_relaxed);
}

void lru_set_temp_ttl(int ttl)
{
    atomic_store_explicit(&lru_temp_ttl, ttl, memory_order_relaxed);
}

/* Whether an item belongs into the queue of those that live a short time. */
static bool is_temporary(const struct item *it)
{
    int ttl = atomic_load_explicit(&lru_temp_ttl, memory_order_relaxed);

    return UNLIKELY(ttl >= 0) && it->exptime != 0 &&
           (int64_t)it->exptime - clock_seconds() <= ttl;
}

static void ghost_free(struct lru_class *c)
{
    if (c->ghost != NULL) {
        (void)munmap(c->ghost, c->ghost_lines * sizeof(*c->ghost));
        c->ghost = NULL;
    }
}

void lru_fini(void)
{
    for (size_t i = 0; i <= SLABS_CLASS_MAX; i++) {
        ghost_free(&classes[i]);
    }
}

static struct lru_class *class_of(const struct item *it)
{
    return &classes[item_is_chained(it) ? slabs_last_class() : it->slab_class];
}

/* ---- heat: [a], changed under the item's stripe lock only ---- */

static unsigned heat_of(const struct item *it)
{
    return atomic_load_explicit(&it->heat, memory_order_relaxed);
}

static enum item_queue queue_of(const struct item *it)
{
    return (enum item_queue)(heat_of(it) >> 2 & 3);
}

static void heat_set(struct item *it, enum item_queue q, unsigned hits)
{
    atomic_store_explicit(&it->heat, (unsigned char)((unsigned)q << 2 | hits),
                          memory_order_relaxed);
}

static void warm_add(struct lru_class *c, int delta)
{
    (void)atomic_fetch_add_explicit(
        &c->warm, (unsigned long long)(long long)delta, memory_order_relaxed);
}

void lru_hit(struct item *it)
{
    unsigned hits = lru_hits(it);
    enum item_queue q = queue_of(it);

    if (hits == LRU_HITS_MAX) {
        return;
    }
    heat_set(it, q, hits + 1);
    if (hits == 0 && q == ITEM_MAIN) {
        warm_add(class_of(it), 1);
    }
}

/* ---- queues ---- */

static struct item *at(uint64_t ref)
{
    return ref == 0 ? NULL : slabs_ptr(ref);
}

static uint64_t next_ref(const struct item *it)
{
    return (uint64_t)it->next_hi << 32 | it->next_lo;
}

static uint64_t prev_ref(const struct item *it)
{
    return (uint64_t)it->prev_hi << 32 | it->prev_lo;
}

static void set_next(struct item *it, uint64_t ref)
{
    it->next_lo = (uint32_t)ref;
    it->next_hi = (uint8_t)(ref >> 32);
}

static void set_prev(struct item *it, uint64_t ref)
{
    it->prev_lo = (uint32_t)ref;
    it->prev_hi = (uint8_t)(ref >> 32);
}

static void push_locked(struct queue *q, struct item *it)
{
    uint64_t ref = slabs_ref(it);

    set_prev(it, 0);
    set_next(it, q->head);
    if (q->head != 0) {
        set_prev(at(q->head), ref);
    } else {
        q->tail = ref;
    }
    q->head = ref;
    q->count++;
}

static void take_out_locked(struct queue *q, struct item *it)
{
    uint64_t next = next_ref(it), prev = prev_ref(it);

    if (next != 0) {
        set_prev(at(next), prev);
    } else {
        q->tail = prev;
    }
    if (prev != 0) {
        set_next(at(prev), next);
    } else {
        q->head = next;
    }
    q->count--;
}

/* ---- ghost ---- */

static uint64_t live_locked(const struct lru_class *c)
{
    return c->queue[ITEM_SMALL].count + c->queue[ITEM_MAIN].count;
}

static struct ghost_line *ghost_line(const struct lru_class *c, uint64_t hv)
{
    return &c->ghost[((hv >> 32) * c->ghost_lines) >> 32];
}

static uint32_t ghost_hash(uint64_t hv)
{
    return (uint32_t)hv == 0 ? 1 : (uint32_t)hv;
}

/* Makes the ghost fit the class: nine tenths as many hashes as items. Without
 * memory the class does without. */
static void ghost_fit_locked(struct lru_class *c)
{
    uint64_t items = live_locked(c);
    void *p;

    if (items < GHOST_MIN || (c->ghost != NULL && items < c->ghost_for * 2 &&
                              items > c->ghost_for / 2)) {
        return;
    }
    ghost_free(c);
    c->ghost_for = items;
    c->ghost_lines = (items * 9 / 10 + GHOST_SLOTS - 1) / GHOST_SLOTS;
    p = mmap(NULL, c->ghost_lines * sizeof(struct ghost_line),
             PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    c->ghost = p == MAP_FAILED ? NULL : p;
}

static void ghost_add_locked(struct lru_class *c, uint64_t hv)
{
    struct ghost_line *line;

    ghost_fit_locked(c);
    if (c->ghost == NULL) {
        return;
    }
    line = ghost_line(c, hv);
    line->hash[line->cursor] = ghost_hash(hv);
    line->cursor = (line->cursor + 1) % GHOST_SLOTS;
}

/* Whether the ghost knows `hv`; forgets it. */
static bool ghost_take_locked(struct lru_class *c, uint64_t hv)
{
    struct ghost_line *line;

    if (c->ghost == NULL) {
        return false;
    }
    line = ghost_line(c, hv);
    for (int i = 0; i < GHOST_SLOTS; i++) {
        if (line->hash[i] == ghost_hash(hv)) {
            line->hash[i] = 0;
            return true;
        }
    }
    return false;
}

/* ---- linking ---- */

static void requested_add(struct lru_class *c, int64_t n)
{
    (void)atomic_fetch_add_explicit(&c->requested, (unsigned long long)n,
                                    memory_order_relaxed);
}

void lru_resized(const struct item *it, int64_t delta)
{
    if (delta != 0) {
        requested_add(class_of(it), delta);
    }
}

void lru_link(struct item *it, uint64_t hv)
{
    struct lru_class *c = class_of(it);
    enum item_queue q;

    requested_add(c, (int64_t)item_total_size(it));
    lock_take(&c->lock, LOCK_LRU);
    if (is_temporary(it)) {
        q = ITEM_TEMP;
    } else {
        q = ghost_take_locked(c, hv) ? ITEM_MAIN : ITEM_SMALL;
    }
    heat_set(it, q, 0);
    push_locked(&c->queue[q], it);
    lock_drop(&c->lock, LOCK_LRU);
}

static void unlink_locked(struct lru_class *c, struct item *it)
{
    enum item_queue q = queue_of(it);

    take_out_locked(&c->queue[q], it);
    if (q == ITEM_MAIN && lru_hits(it) > 0) {
        warm_add(c, -1);
    }
    heat_set(it, ITEM_NO_QUEUE, 0);
    requested_add(c, -(int64_t)item_total_size(it));
}

void lru_unlink(struct item *it)
{
    struct lru_class *c = class_of(it);

    lock_take(&c->lock, LOCK_LRU);
    unlink_locked(c, it);
    lock_drop(&c->lock, LOCK_LRU);
}

/* The neighbours of `old` now lead to `it`. */
static void swap_locked(struct queue *q, struct item *old, struct item *it)
{
    uint64_t ref = slabs_ref(it), next = next_ref(old), prev = prev_ref(old);

    set_next(it, next);
    set_prev(it, prev);
    if (next != 0) {
        set_prev(at(next), ref);
    } else {
        q->tail = ref;
    }
    if (prev != 0) {
        set_next(at(prev), ref);
    } else {
        q->head = ref;
    }
}

void lru_replace(struct item *old, struct item *it, uint64_t hv)
{
    struct lru_class *c = class_of(old);
    unsigned hits = lru_hits(old);
    enum item_queue q;

    if (class_of(it) != c ||
        UNLIKELY(is_temporary(it) != (queue_of(old) == ITEM_TEMP))) {
        lru_unlink(old);
        lru_link(it, hv);
        lru_hit(it);
        return;
    }
    requested_add(c,
                  (int64_t)item_total_size(it) - (int64_t)item_total_size(old));
    lock_take(&c->lock, LOCK_LRU);
    q = queue_of(old);
    swap_locked(&c->queue[q], old, it);
    heat_set(it, q, hits);
    heat_set(old, ITEM_NO_QUEUE, 0);
    lock_drop(&c->lock, LOCK_LRU);
    lru_hit(it);
}

void lru_moved(struct item *old, struct item *it)
{
    struct lru_class *c = class_of(old);

    lock_take(&c->lock, LOCK_LRU);
    swap_locked(&c->queue[queue_of(old)], old, it);
    heat_set(old, ITEM_NO_QUEUE, 0);
    lock_drop(&c->lock, LOCK_LRU);
}

/* ---- moving within a class ---- */

/* Pushes an item to the head of a queue, with `hits` left. Stripe held. */
static void move_locked(struct lru_class *c, struct item *it,
                        enum item_queue to, unsigned hits)
{
    enum item_queue from = queue_of(it);
    bool was_warm = from == ITEM_MAIN && lru_hits(it) > 0;
    bool is_warm = to == ITEM_MAIN && hits > 0;

    take_out_locked(&c->queue[from], it);
    push_locked(&c->queue[to], it);
    heat_set(it, to, hits);
    if (was_warm != is_warm) {
        warm_add(c, is_warm ? 1 : -1);
    }
}

void lru_requeue(struct item *it)
{
    struct lru_class *c = class_of(it);
    bool temporary = is_temporary(it);

    if (temporary != (queue_of(it) == ITEM_TEMP)) {
        lock_take(&c->lock, LOCK_LRU);
        move_locked(c, it, temporary ? ITEM_TEMP : ITEM_SMALL, lru_hits(it));
        lock_drop(&c->lock, LOCK_LRU);
    }
}

/* ---- eviction ---- */

static bool unshared(const struct item *it)
{
    /* Only the index refers to it; acquire pairs with store_unref. */
    return atomic_load_explicit(&it->refs, memory_order_acquire) == 1;
}

static uint64_t hv_of(const struct item *it)
{
    return hash_key(item_key(it), it->nkey);
}

static void reclaim_locked(struct lru_class *c, struct item *it)
{
    c->counted.reclaimed++;
    if ((it->bits & ITEM_FETCHED) == 0) {
        c->counted.expired_unfetched++;
    }
    unlink_locked(c, it);
    cfg.drop(it, hv_of(it));
}

static void victim_locked(struct lru_class *c, struct item *it)
{
    struct lru_stats *n = &c->counted;
    uint64_t hv = hv_of(it);

    n->evicted++;
    n->evicted_nonzero += it->exptime != 0;
    n->evicted_unfetched += (it->bits & ITEM_FETCHED) == 0;
    n->evicted_active += lru_hits(it) > 0;
    n->evicted_time = clock_seconds() -
                      atomic_load_explicit(&it->accessed, memory_order_relaxed);
    n->direct_reclaims++;
    cfg.evicting(it);
    if (queue_of(it) == ITEM_SMALL) {
        ghost_add_locked(c, hv);
    }
    unlink_locked(c, it);
    cfg.drop(it, hv);
}

/* Frees a dead item among the last few of a queue. */
static bool reclaim_tail_locked(struct lru_class *c, enum item_queue q,
                                int depth)
{
    struct item *it = at(c->queue[q].tail);

    for (; it != NULL && depth > 0; depth--) {
        struct item *before = at(prev_ref(it));
        struct assoc_stripe *s = assoc_try(it->stripe);
        bool gone = s != NULL && cfg.dead(it) && unshared(it);

        if (gone) {
            reclaim_locked(c, it);
        }
        if (s != NULL) {
            assoc_drop(s);
        }
        if (gone) {
            return true;
        }
        it = before;
    }
    return false;
}

/* The queue whose tail is next. */
static enum item_queue turn_locked(const struct lru_class *c)
{
    uint64_t small = c->queue[ITEM_SMALL].count;
    uint64_t main = c->queue[ITEM_MAIN].count;

    return small > 0 &&
                   (main == 0 ||
                    small * 100 >
                        (small + main) * atomic_load_explicit(
                                             &small_pct, memory_order_relaxed))
               ? ITEM_SMALL
               : ITEM_MAIN;
}

/* One tail: passed on when it has hits (unless `force`), evicted otherwise.
 * Returns whether memory was freed. Its stripe is held. */
static bool judge_locked(struct lru_class *c, struct item *it, bool force)
{
    unsigned hits = lru_hits(it);
    enum item_queue q = queue_of(it);

    if (!unshared(it)) {
        c->counted.reflocked++;
        move_locked(c, it, q, hits);
        return false;
    }
    if (cfg.dead(it)) {
        reclaim_locked(c, it);
        return true;
    }
    if (hits > 0 && !force) {
        if (q == ITEM_SMALL) {
            c->counted.moves_to_warm++;
            move_locked(c, it, ITEM_MAIN, 0);
        } else {
            c->counted.moves_within_lru++;
            c->counted.moves_to_cold += hits == 1;
            move_locked(c, it, ITEM_MAIN, hits - 1);
        }
        return false;
    }
    victim_locked(c, it);
    return true;
}

/* A tail whose stripe somebody holds goes round again. */
static void pass_busy_locked(struct lru_class *c, struct queue *q,
                             struct item *it)
{
    c->counted.reflocked++;
    take_out_locked(q, it);
    push_locked(q, it);
}

static bool evict_locked(struct lru_class *c)
{
    for (int i = 0; i < STEPS + FORCED; i++) {
        struct queue *q = &c->queue[turn_locked(c)];
        struct item *it = at(q->tail);
        struct assoc_stripe *s;
        bool freed;

        if (it == NULL) {
            return false;
        }
        s = assoc_try(it->stripe);
        if (s == NULL) {
            pass_busy_locked(c, q, it);
            continue;
        }
        freed = judge_locked(c, it, i >= STEPS);
        assoc_drop(s);
        if (freed) {
            return true;
        }
    }
    return false;
}

bool lru_evict(unsigned slab_class)
{
    struct lru_class *c = &classes[slab_class];
    int depth = cfg.evict ? 1 : DEAD_SEARCH;
    bool freed;

    lock_take(&c->lock, LOCK_LRU);
    freed = reclaim_tail_locked(c, ITEM_TEMP, DEAD_SEARCH) ||
            reclaim_tail_locked(c, ITEM_SMALL, depth) ||
            reclaim_tail_locked(c, ITEM_MAIN, depth) ||
            (cfg.evict && evict_locked(c));
    lock_drop(&c->lock, LOCK_LRU);
    return freed;
}

void lru_expired(const struct item *it)
{
    struct lru_class *c = class_of(it);

    lock_take(&c->lock, LOCK_LRU);
    c->counted.reclaimed++;
    if ((it->bits & ITEM_FETCHED) == 0) {
        c->counted.expired_unfetched++;
    }
    lock_drop(&c->lock, LOCK_LRU);
}

void lru_out_of_memory(unsigned slab_class)
{
    (void)atomic_fetch_add_explicit(&classes[slab_class].outofmemory, 1,
                                    memory_order_relaxed);
}

/* ---- figures ---- */

static uint32_t age_locked(const struct queue *q)
{
    const struct item *it = at(q->tail);

    return it == NULL
               ? 0
               : clock_seconds() -
                     atomic_load_explicit(&it->accessed, memory_order_relaxed);
}

void lru_stats(unsigned slab_class, struct lru_stats *out)
{
    struct lru_class *c = &classes[slab_class];

    lock_take(&c->lock, LOCK_LRU);
    *out = c->counted;
    out->small = c->queue[ITEM_SMALL].count;
    out->main = c->queue[ITEM_MAIN].count;
    out->temp = c->queue[ITEM_TEMP].count;
    out->age_small = age_locked(&c->queue[ITEM_SMALL]);
    out->age_main = age_locked(&c->queue[ITEM_MAIN]);
    lock_drop(&c->lock, LOCK_LRU);
    out->main_hot = atomic_load_explicit(&c->warm, memory_order_relaxed);
    out->mem_requested =
        atomic_load_explicit(&c->requested, memory_order_relaxed);
    out->outofmemory =
        atomic_load_explicit(&c->outofmemory, memory_order_relaxed);
}

void lru_stats_reset(void)
{
    for (size_t i = 0; i <= SLABS_CLASS_MAX; i++) {
        struct lru_class *c = &classes[i];

        lock_take(&c->lock, LOCK_LRU);
        memset(&c->counted, 0, sizeof(c->counted));
        lock_drop(&c->lock, LOCK_LRU);
        atomic_store_explicit(&c->outofmemory, 0, memory_order_relaxed);
    }
}

static bool visit_queue_locked(const struct queue *q,
                               bool (*visit)(void *ctx, struct item *it),
                               void *ctx)
{
    for (struct item *it = at(q->head); it != NULL; it = at(next_ref(it))) {
        struct assoc_stripe *s = assoc_try(it->stripe);
        bool more;

        if (s == NULL) {
            continue;
        }
        more = visit(ctx, it);
        assoc_drop(s);
        if (!more) {
            return false;
        }
    }
    return true;
}

void lru_visit(unsigned slab_class, bool (*visit)(void *ctx, struct item *it),
               void *ctx)
{
    struct lru_class *c = &classes[slab_class];

    lock_take(&c->lock, LOCK_LRU);
    if (visit_queue_locked(&c->queue[ITEM_SMALL], visit, ctx)) {
        (void)visit_queue_locked(&c->queue[ITEM_MAIN], visit, ctx);
    }
    lock_drop(&c->lock, LOCK_LRU);
}

/* ---- over a restart ------------------------------------------------------ */

void lru_keep(unsigned slab_class, struct lru_kept out[ITEM_NO_QUEUE])
{
    const struct lru_class *c = &classes[slab_class];

    for (int q = 0; q < ITEM_NO_QUEUE; q++) {
        out[q] = (struct lru_kept){c->queue[q].head, c->queue[q].tail,
                                   c->queue[q].count};
    }
}

/* The item at `ref`, if it can stand in that queue behind `prev`. */
static struct item *follow(const struct lru_class *c, enum item_queue q,
                           uint64_t ref, uint64_t prev)
{
    struct item *it = slabs_chunk_at(ref);

    return it != NULL &&
                   atomic_load_explicit(&it->kind, memory_order_relaxed) ==
                       ITEM_LINKED &&
                   class_of(it) == c && queue_of(it) == q &&
                   prev_ref(it) == prev
               ? it
               : NULL;
}

/* Each item has one item before it, and one queue: nothing is met twice. */
static bool adopt_queue_locked(struct lru_class *c, enum item_queue q,
                               const struct lru_kept *in)
{
    uint64_t ref = in->head, prev = 0;

    for (uint64_t i = 0; i < in->count; i++) {
        struct item *it = follow(c, q, ref, prev);

        if (it == NULL) {
            return false;
        }
        requested_add(c, (int64_t)item_total_size(it));
        if (q == ITEM_MAIN && lru_hits(it) > 0) {
            warm_add(c, 1);
        }
        prev = ref;
        ref = next_ref(it);
    }
    c->queue[q] = (struct queue){in->head, in->tail, in->count};
    return ref == 0 && prev == in->tail;
}

bool lru_adopt(unsigned slab_class, const struct lru_kept in[ITEM_NO_QUEUE])
{
    struct lru_class *c = &classes[slab_class];
    bool ok = true;

    lock_take(&c->lock, LOCK_LRU);
    for (int q = 0; q < ITEM_NO_QUEUE && ok; q++) {
        ok = adopt_queue_locked(c, (enum item_queue)q, &in[q]);
    }
    lock_drop(&c->lock, LOCK_LRU);
    return ok;
}
