/* A cache that outlives its process: what is put behind the pages, and how the
 * next process finds its way through them. */
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/version.h"
#include "restart.h"
#include "store_internal.h"
#include "store_restart.h"

enum { QUEUES = ITEM_NO_QUEUE, DROP_AT_ONCE = 64 };

/* What the last process left beside the cache, not ours to read. */
static struct {
    const uint8_t *p; /* [m] NULL: nothing */
    size_t n;
} kept;

static const struct restart_meta *found; /* [m] NULL: a clean start */

/* ---- the metadata -------------------------------------------------------- */

/* What has to be the same for the pages to be read. */
static void settings_of(const struct store_config *config,
                        struct restart_meta *out)
{
    *out = (struct restart_meta){
        .maxbytes = config->memory_limit,
        .chunk_size = config->chunk_min,
        .item_size_max = config->item_size_max,
        .slab_chunk_size_max = config->chunk_max,
        .slab_page_size = SLABS_PAGE,
        .use_cas = config->cas,
        .slab_reassign = config->slab_reassign,
    };
    if (config->chunk_sizes_n > 0) {
        (void)snprintf(out->slab_config, RESTART_META_TEXT, "sizes-%016llx",
                       (unsigned long long)hash_bytes(
                           config->chunk_sizes,
                           config->chunk_sizes_n * sizeof(uint32_t), 0));
    } else {
        (void)snprintf(out->slab_config, RESTART_META_TEXT, "%.10g",
                       config->growth_factor);
    }
    (void)snprintf(out->layout, RESTART_META_TEXT, "repcached-2-%s",
                   version_is_hybrid() ? "hybrid" : "counting");
}

bool store_restart_open(const struct store_config *config)
{
    struct restart_meta now;

    if (!restart_open(config->memory_file)) {
        return false;
    }
    settings_of(config, &now);
    found = restart_find(&now);
    kept.p = NULL;
    return found != NULL || store_restart_clear();
}

bool store_restart_clear(void)
{
    found = NULL;
    return restart_clear(store.config.memory_limit / SLABS_PAGE * SLABS_PAGE);
}

int store_restart_fd(void)
{
    return restart_fd();
}

bool store_restart_found(void)
{
    return found != NULL;
}

/* ---- saving -------------------------------------------------------------- */

static void put_pages(size_t pages)
{
    (void)restart_put_u64(pages);
    for (size_t i = 0; i < pages; i++) {
        uint8_t owner = (uint8_t)slabs_page_class(i);

        (void)restart_put(&owner, 1);
    }
}

static void put_class(unsigned slab_class)
{
    struct lru_kept queue[QUEUES];

    lru_keep(slab_class, queue);
    (void)restart_put_u64(slabs_fresh(slab_class));
    for (int q = 0; q < QUEUES; q++) {
        (void)restart_put_u64(queue[q].head);
        (void)restart_put_u64(queue[q].tail);
        (void)restart_put_u64(queue[q].count);
    }
}

static void put_flushes(void)
{
    (void)restart_put_u64(store_barrier());
    (void)restart_put_u64(store.flush_version);
    (void)restart_put_u64(store.flush_at);
    (void)restart_put_u64(atomic_load(&store.pending_at));
}

bool store_save_begin(void)
{
    struct restart_meta meta;

    if (restart_fd() < 0) {
        return false;
    }
    settings_of(&store.config, &meta);
    meta.current_time = clock_seconds() - clock_started();
    meta.process_started = clock_started();
    meta.stop_time = clock_seconds();
    meta.oldest_live = atomic_load(&store.flushed);
    meta.current_cas = version_last();
    meta.mmap_oldbase = (uint64_t)(uintptr_t)slabs_base;
    meta.pages = slabs_pages();
    restart_save_begin(&meta);
    put_pages(meta.pages);
    (void)restart_put_u64(slabs_last_class());
    for (unsigned i = 1; i <= slabs_last_class(); i++) {
        put_class(i);
    }
    put_flushes();
    return true;
}

bool store_save_put(const void *p, size_t n)
{
    return restart_put(p, n);
}

bool store_save_end(void)
{
    return restart_save_end();
}

/* ---- restoring: what makes sense ----------------------------------------- */

/* Chunks of values in pieces: those whose item is there, and those that an
 * item led to. Each belongs to one item, so equal numbers are equal sets. */
struct walk {
    uint64_t last;   /* greatest version */
    uint64_t linked; /* items */
    uint64_t owned, claimed;
};

static enum item_kind kind_of(const struct item *it)
{
    return (enum item_kind)atomic_load_explicit(&it->kind,
                                                memory_order_relaxed);
}

static bool makes_sense(const struct item *it, unsigned slab_class,
                        const struct walk *w)
{
    return it->slab_class == slab_class && it->nkey >= 1 &&
           it->nkey <= KEY_MAX_LENGTH && it->version >= 1 &&
           it->version <= w->last &&
           item_size(it) <= slabs_chunk_size(slab_class);
}

static unsigned class_at(uint64_t ref)
{
    return slabs_page_class(ref * 8 / SLABS_PAGE - 1);
}

static bool is_chunk_of(const struct item_chunk *chunk, uint64_t ref,
                        uint64_t head)
{
    size_t room;

    if (chunk == NULL ||
        atomic_load_explicit(&chunk->kind, memory_order_relaxed) !=
            ITEM_CHUNK ||
        chunk->head != head || chunk->slab_class != class_at(ref)) {
        return false;
    }
    room = slabs_chunk_size(chunk->slab_class) - sizeof(*chunk);
    return chunk->capacity == room && chunk->used > 0 && chunk->used <= room;
}

/* Takes the pieces of a value: they make up the whole of it. */
static bool claim_chunks(const struct item *it, struct walk *w)
{
    uint64_t head = slabs_ref(it), left = it->nbytes;
    uint64_t ref = item_chain_ref(it);

    while (ref != 0) {
        struct item_chunk *chunk = slabs_chunk_at(ref);

        if (!is_chunk_of(chunk, ref, head) || chunk->used > left) {
            return false;
        }
        chunk->stripe = it->stripe;
        left -= chunk->used;
        w->claimed++;
        ref = chunk->next;
    }
    return left == 0;
}

/* Puts an item into the index; the seed of the hash is another one than it
 * was. false: no memory, or its key is there. */
static bool index_item(struct item *it)
{
    struct store_key key = store_key(item_key(it), it->nkey);
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(key.hv));
    bool ok = assoc_find(s, key.hv, key.ptr, key.len) == NULL &&
              assoc_insert(s, key.hv, it);

    it->stripe = (uint16_t)assoc_stripe_of(key.hv);
    atomic_store_explicit(&it->refs, 1, memory_order_relaxed);
    assoc_drop(s);
    return ok;
}

static bool restore_item(struct item *it, unsigned slab_class, struct walk *w)
{
    w->linked++;
    return makes_sense(it, slab_class, w) && index_item(it) &&
           (!item_is_chained(it) || claim_chunks(it, w));
}

/* Whether a piece is of a value that is there. */
static bool is_owned(const struct item *it)
{
    const struct item_chunk *chunk = (const void *)it;
    const struct item *head = slabs_chunk_at(chunk->head);

    return head != NULL && kind_of(head) == ITEM_LINKED;
}

static bool restore_chunk(struct item *it, unsigned slab_class, struct walk *w)
{
    switch (kind_of(it)) {
    case ITEM_FREE:
    case ITEM_DRAINED:
    case ITEM_RESERVED:
    case ITEM_UNLINKED:
        return true;
    case ITEM_LINKED:
        return restore_item(it, slab_class, w);
    case ITEM_CHUNK:
        w->owned += is_owned(it);
        return true;
    }
    return false;
}

/* What is nobody's: free, or of an item that was never linked, or no more. */
static bool free_chunk(struct item *it, unsigned slab_class, struct walk *w)
{
    enum item_kind kind = kind_of(it);

    (void)w;
    if (kind != ITEM_LINKED && !(kind == ITEM_CHUNK && is_owned(it))) {
        slabs_free(it, slab_class);
    }
    return true;
}

typedef bool visit_chunk(struct item *it, unsigned slab_class, struct walk *w);

static bool visit_page(size_t page, visit_chunk *visit, struct walk *w)
{
    unsigned slab_class = slabs_page_class(page);
    size_t size = slabs_chunk_size(slab_class);
    uint64_t ref = slabs_page_ref(page);

    for (size_t i = 0; size > 0 && i < SLABS_PAGE / size; i++) {
        struct item *it = slabs_chunk_at(ref + i * size / 8);

        if (it == NULL) {
            break; /* the rest was never carved */
        }
        if (!visit(it, slab_class, w)) {
            return false;
        }
    }
    return true;
}

static bool visit_pages(visit_chunk *visit, struct walk *w)
{
    for (size_t i = 0; i < slabs_pages(); i++) {
        if (!visit_page(i, visit, w)) {
            return false;
        }
    }
    return true;
}

/* ---- restoring: the tail ------------------------------------------------- */

struct tail {
    const uint8_t *owner;
    uint64_t pages;
    uint64_t fresh[SLABS_CLASS_MAX + 1];
    struct lru_kept queue[SLABS_CLASS_MAX + 1][QUEUES];
    uint64_t barrier, flush_version;
    uint64_t flush_at, pending_at;
};

static void read_class(struct rd *in, unsigned slab_class, struct tail *out)
{
    out->fresh[slab_class] = rd_u64(in);
    for (int q = 0; q < QUEUES; q++) {
        out->queue[slab_class][q].head = rd_u64(in);
        out->queue[slab_class][q].tail = rd_u64(in);
        out->queue[slab_class][q].count = rd_u64(in);
    }
}

static bool read_tail(struct tail *out)
{
    struct rd in;
    size_t n;

    in = (struct rd){.p = restart_tail(&n)};
    in.end = in.p + n;
    out->pages = rd_u64(&in);
    if (out->pages != found->pages) {
        return false;
    }
    out->owner = rd_bytes(&in, out->pages);
    if (rd_u64(&in) != slabs_last_class()) {
        return false;
    }
    for (unsigned i = 1; i <= slabs_last_class(); i++) {
        read_class(&in, i, out);
    }
    out->barrier = rd_u64(&in);
    out->flush_version = rd_u64(&in);
    out->flush_at = rd_u64(&in);
    out->pending_at = rd_u64(&in);
    kept.p = in.p;
    kept.n = (size_t)(in.end - in.p);
    return !in.bad;
}

/* Every item stands in one queue: those of all of them are as many. */
static bool restore_queues(const struct tail *tail, uint64_t linked)
{
    uint64_t queued = 0;

    for (unsigned i = 1; i <= slabs_last_class(); i++) {
        if (!lru_adopt(i, tail->queue[i])) {
            return false;
        }
        for (int q = 0; q < QUEUES; q++) {
            queued += tail->queue[i][q].count;
        }
    }
    return queued == linked;
}

static void restore_figures(const struct tail *tail)
{
    version_observe(found->current_cas);
    clock_set_started((uint32_t)found->process_started);
    atomic_store(&store.barrier, tail->barrier);
    atomic_store(&store.flushed, (unsigned)found->oldest_live);
    atomic_store(&store.pending_at, (unsigned)tail->pending_at);
    store.flush_version = tail->flush_version;
    store.flush_at = (uint32_t)tail->flush_at;
}

static bool restore(void)
{
    struct walk w = {.last = found->current_cas};
    struct tail tail = {0};

    if (!read_tail(&tail) || !slabs_adopt(tail.owner, tail.pages, tail.fresh) ||
        !visit_pages(restore_chunk, &w) || w.owned != w.claimed ||
        !restore_queues(&tail, w.linked)) {
        return false;
    }
    (void)visit_pages(free_chunk, &w);
    restore_figures(&tail);
    return restart_cut(tail.pages * SLABS_PAGE, store.config.memory_limit);
}

static void say_when(const char *what)
{
    struct timeval now = {0};

    (void)gettimeofday(&now, NULL); /* cannot fail */
    log_print(1, "[restart] recovery %s [%lld.%06lld]\n", what,
              (long long)now.tv_sec, (long long)now.tv_usec);
}

bool store_restart_load(void)
{
    bool ok;

    log_print(1, "[restart] original memory base: [0x%llx] new base: [%p]\n",
              (unsigned long long)found->mmap_oldbase, (void *)slabs_base);
    say_when("start");
    ok = restore();
    if (ok) {
        say_when("end");
    } else {
        kept.p = NULL;
        log_print(0, "[restart] failed to restore the items, starting with a "
                     "clean cache\n");
    }
    return ok;
}

void store_restart_close(void)
{
    kept.p = NULL;
    found = NULL;
    restart_close();
}

/* ---- beside the cache ---------------------------------------------------- */

const void *store_kept(size_t *n)
{
    *n = kept.n;
    return kept.p;
}

/* ---- what died meanwhile ------------------------------------------------- */

struct dead {
    struct item *it[DROP_AT_ONCE];
    unsigned n;
};

static bool note_dead(void *ctx, struct item *it)
{
    struct dead *dead = ctx;

    if (dead->n == DROP_AT_ONCE) {
        return false;
    }
    if (store_dead(it) != STORE_HIT) {
        dead->it[dead->n++] = it;
    }
    return true;
}

static void drop_dead_of(struct assoc_stripe *s)
{
    uint32_t fragment = 0;

    while (fragment < 1U << ASSOC_FRAGMENT) {
        struct dead dead = {.n = 0};
        bool stopped = false;

        while (!stopped && fragment < 1U << ASSOC_FRAGMENT) {
            (void)assoc_visit_bucket(s, &fragment, note_dead, &dead, &stopped);
        }
        for (unsigned i = 0; i < dead.n; i++) {
            struct item *it = dead.it[i];

            store_reclaim_locked(s, it, hash_key(item_key(it), it->nkey));
        }
    }
}

void store_restored(void)
{
    for (uint32_t i = 0; found != NULL && i < ASSOC_STRIPES; i++) {
        struct assoc_stripe *s = assoc_take(i);

        drop_dead_of(s);
        assoc_drop(s);
    }
    kept.p = NULL;
    restart_tail_free();
}
