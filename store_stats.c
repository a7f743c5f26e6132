#include <stdlib.h>
#include <string.h>

#include "slabs.h"
#include "store_internal.h"

enum { SIZE_STEP = 32, WALK_BATCH = 1024 };

static void add_class(struct store_totals *out, const struct lru_stats *c)
{
    out->bytes += c->mem_requested;
    out->evictions += c->evicted;
    out->reclaimed += c->reclaimed;
    out->expired_unfetched += c->expired_unfetched;
    out->evicted_unfetched += c->evicted_unfetched;
    out->evicted_active += c->evicted_active;
    out->direct_reclaims += c->direct_reclaims;
    out->outofmemory += c->outofmemory;
    out->lrutail_reflocked += c->reflocked;
    out->moves_to_cold += c->moves_to_cold;
    out->moves_to_warm += c->moves_to_warm;
    out->moves_within_lru += c->moves_within_lru;
}

/* [a] items ever linked, as of the last reset. */
static atomic_ullong links_before;

void store_totals(struct store_totals *out)
{
    struct assoc_totals index;

    memset(out, 0, sizeof(*out));
    assoc_totals(&index);
    out->curr_items = index.items;
    out->total_items =
        index.links - atomic_load_explicit(&links_before, memory_order_relaxed);
    out->hash_bytes = index.bytes;
    out->index_slots = index.slots;
    for (unsigned i = 1; i <= slabs_last_class(); i++) {
        struct lru_stats c;

        lru_stats(i, &c);
        add_class(out, &c);
    }
    out->malloced = slabs_malloced();
    out->pool_pages = slabs_pool_pages();
}

unsigned store_class_of(size_t nkey, uint32_t flags, size_t nbytes)
{
    unsigned bits = flags != 0 ? ITEM_HAS_FLAGS : 0;
    unsigned slab_class = slabs_class(item_size_for(bits, nkey, nbytes));

    return slab_class != 0 ? slab_class : slabs_last_class();
}

bool store_class_stats(unsigned slab_class, struct store_class_stats *out)
{
    struct slabs_stats slabs;
    struct lru_stats lru;

    if (slab_class == 0 || slab_class > slabs_last_class()) {
        return false;
    }
    slabs_stats(slab_class, &slabs);
    lru_stats(slab_class, &lru);
    *out = (struct store_class_stats){
        .chunk_size = (uint32_t)slabs.chunk_size,
        .chunks_per_page = (uint32_t)slabs.chunks_per_page,
        .total_pages = slabs.pages,
        .used_chunks = slabs.used,
        .free_chunks = slabs.free,
        .number_small = lru.small,
        .number_main_hot = lru.main_hot,
        .number_main_cold = lru.main - lru.main_hot,
        .number_temp = lru.temp,
        .age_hot = lru.age_small,
        .age_warm = lru.age_main,
        .age = lru.main > 0 ? lru.age_main : lru.age_small,
        .mem_requested = lru.mem_requested,
        .evicted = lru.evicted,
        .evicted_nonzero = lru.evicted_nonzero,
        .evicted_time = lru.evicted_time,
        .outofmemory = lru.outofmemory,
        .reclaimed = lru.reclaimed,
        .expired_unfetched = lru.expired_unfetched,
        .evicted_unfetched = lru.evicted_unfetched,
        .evicted_active = lru.evicted_active,
        .lrutail_reflocked = lru.reflocked,
        .moves_to_cold = lru.moves_to_cold,
        .moves_to_warm = lru.moves_to_warm,
        .moves_within_lru = lru.moves_within_lru,
        .direct_reclaims = lru.direct_reclaims,
    };
    return true;
}

unsigned store_class_max(void)
{
    return slabs_last_class();
}

void store_stats_reset(void)
{
    struct assoc_totals index;

    assoc_totals(&index);
    atomic_store_explicit(&links_before, index.links, memory_order_relaxed);
    lru_stats_reset();
}

struct histogram {
    uint64_t *count;
    size_t steps;
};

static bool count_size(void *ctx, struct item *it)
{
    struct histogram *h = ctx;
    size_t step = (item_total_size(it) + SIZE_STEP - 1) / SIZE_STEP;

    h->count[step < h->steps ? step : h->steps - 1]++;
    return true;
}

/* Counted by a walk when it is asked for: keeping the histogram would cost
 * every store something, for a figure that is hardly ever read. */
bool store_sizes(void (*visit)(void *ctx, uint32_t size, uint64_t count),
                 void *ctx)
{
    struct histogram h = {.steps = store.config.item_size_max / SIZE_STEP + 64};
    struct store_cursor cursor = {0};

    if (!store.config.track_sizes) {
        return true;
    }
    h.count = calloc(h.steps, sizeof(*h.count));
    if (h.count == NULL) {
        return false;
    }
    while (!cursor.done) {
        (void)store_walk(&cursor, WALK_BATCH, count_size, &h);
    }
    for (size_t i = 0; i < h.steps; i++) {
        if (h.count[i] != 0) {
            visit(ctx, (uint32_t)(i * SIZE_STEP), h.count[i]);
        }
    }
    free(h.count);
    return true;
}

void store_dump_class(unsigned slab_class, store_visit *visit, void *ctx)
{
    if (slab_class >= 1 && slab_class <= slabs_last_class()) {
        lru_visit(slab_class, visit, ctx);
    }
}

bool store_set_limit(size_t bytes)
{
    return slabs_set_limit(bytes);
}

size_t store_limit(void)
{
    return slabs_limit();
}
