#include "rebalance.h"

#include <stdatomic.h>
#include <string.h>

#include "base/hash.h"
#include "items.h"
#include "slabs.h"
#include "store_internal.h"

enum {
    SLICE = 128,           /* chunks looked at in one step */
    EVICT_TRIES = 4,       /* evictions for one copy before the next pass */
    PASSES_KIND = 5000,    /* until what is in use is removed from the cache */
    PASSES_MAX = 10000,    /* until the page is given up */
    PASSES_NO_MEMORY = 20, /* the same where nothing can be evicted */
};

enum busy {
    BUSY_NONE,
    BUSY_UPLOADING, /* being filled by a client, or by a peer */
    BUSY_ACTIVE,    /* referenced: its value is on its way out */
    BUSY_FLOATING,  /* out of the index, still referenced */
    BUSY_NO_MEMORY,
};

/* [w] the one thread that moves */
static struct {
    unsigned src, dst;
    bool given;     /* it was in the pool: nothing is left to be done */
    bool no_memory; /* in this pass a copy found no room */
    bool unlisting;
    size_t next;     /* chunk */
    unsigned passes; /* in a row that freed nothing */
    size_t left;     /* chunks in use when the pass began */
} work;

/* [a] written by that thread, and by a reset */
static struct {
    atomic_ullong rescues, chunk_rescues, inline_reclaim, busy_items;
    atomic_ullong busy_deletes, busy_nomem, moved;
    atomic_uint last_busy; /* enum busy */
} counted;

static void add(atomic_ullong *counter, uint64_t n)
{
    (void)atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t value(atomic_ullong *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static unsigned kind_of(const struct item *it)
{
    /* Acquire pairs with the release of who made it that. */
    return atomic_load_explicit(&it->kind, memory_order_acquire);
}

/* ---- copies --------------------------------------------------------- */

/* All of an item but the links of its queue, which others may be changing. */
static void copy_item(struct item *to, const struct item *from)
{
    const size_t head = offsetof(struct item, next_lo);
    const size_t rest = offsetof(struct item, refs);

    memcpy(to, from, head);
    memcpy((char *)to + rest, (const char *)from + rest,
           item_size(from) - rest);
}

static void move_item(struct assoc_stripe *s, struct item *it, struct item *to)
{
    copy_item(to, it);
    for (struct item_chunk *c = item_chunk_first(to); c != NULL;
         c = item_chunk_next(c)) {
        c->head = slabs_ref(to);
    }
    assoc_replace(s, hash_key(item_key(it), it->nkey), it, to);
    lru_moved(it, to);
    slabs_free(it, it->slab_class);
    add(&counted.rescues, 1);
}

static void move_chunk(struct item *head, struct item_chunk *chunk,
                       struct item_chunk *to)
{
    memcpy(to, chunk, sizeof(*chunk) + chunk->used);
    item_chunk_replace(head, chunk, to);
    slabs_free(chunk, chunk->slab_class);
    add(&counted.chunk_rescues, 1);
}

/* ---- one chunk ------------------------------------------------------ */

/* What has been in use for so long goes from the cache; its memory comes when
 * it is let go. */
static void remove_used(struct assoc_stripe *s, struct item *it)
{
    store_removed_locked(it);
    store_unlink_locked(s, it, hash_key(item_key(it), it->nkey));
    add(&counted.busy_deletes, 1);
}

/* Moves an item, or its chunk, out of the page. Its stripe is held, and it is
 * linked. */
static enum busy move_locked(struct assoc_stripe *s, struct item *it,
                             struct item_chunk *chunk)
{
    void *to;

    if (store_dead(it) != STORE_HIT && store_unshared(it)) {
        store_reclaim_locked(s, it, hash_key(item_key(it), it->nkey));
        return BUSY_NONE;
    }
    if (!store_unshared(it)) {
        if (work.passes >= PASSES_KIND) {
            remove_used(s, it);
        }
        return BUSY_ACTIVE;
    }
    to = slabs_alloc_owned(work.src);
    if (to == NULL) {
        return BUSY_NO_MEMORY;
    }
    if (chunk != NULL) {
        move_chunk(it, chunk, to);
    } else {
        move_item(s, it, to);
    }
    return BUSY_NONE;
}

/* The item of a chunk that is linked: itself, or the head of its chain. NULL:
 * there is none (any more). The stripe is held. */
static struct item *linked_item(struct item *it, struct item_chunk **chunk)
{
    struct item *head;

    *chunk = NULL;
    if (kind_of(it) == ITEM_LINKED) {
        return it;
    }
    if (kind_of(it) != ITEM_CHUNK) {
        return NULL;
    }
    *chunk = (struct item_chunk *)(void *)it;
    head = slabs_ptr((*chunk)->head);
    /* Chunks are freed before their head: if this one is still there once the
     * head was looked at, what was seen is its head, and not what came after
     * it. A linked one cannot go while its stripe is held. */
    return kind_of(head) == ITEM_LINKED && kind_of(it) == ITEM_CHUNK ? head
                                                                     : NULL;
}

static enum busy move_once(struct item *it)
{
    unsigned kind = kind_of(it);
    struct assoc_stripe *s;
    struct item_chunk *chunk;
    struct item *item;
    enum busy busy;

    if (kind == ITEM_DRAINED) {
        return BUSY_NONE;
    }
    if (kind == ITEM_RESERVED) {
        return BUSY_UPLOADING;
    }
    if (kind == ITEM_UNLINKED) {
        return BUSY_FLOATING;
    }
    /* Constant: nobody gets a chunk of this page again. */
    s = assoc_take(it->stripe);
    item = linked_item(it, &chunk);
    busy = item != NULL ? move_locked(s, item, chunk) : BUSY_UPLOADING;
    assoc_drop(s);
    return busy;
}

/* Makes room for a copy. Items in pieces stand in the queues of the last
 * class. */
static bool make_room(void)
{
    size_t before = slabs_drain_left();
    bool freed = lru_evict(work.src) || (work.src != slabs_last_class() &&
                                         lru_evict(slabs_last_class()));

    if (freed && slabs_drain_left() < before) {
        add(&counted.inline_reclaim, 1);
    }
    return freed;
}

static void move_out(struct item *it)
{
    enum busy busy = move_once(it);

    for (int i = 0; busy == BUSY_NO_MEMORY && i < EVICT_TRIES; i++) {
        if (!make_room()) {
            break;
        }
        busy = move_once(it);
    }
    if (busy == BUSY_NO_MEMORY) {
        work.no_memory = true;
        add(&counted.busy_nomem, 1);
    } else if (busy != BUSY_NONE) {
        add(&counted.busy_items, 1);
    }
    if (busy != BUSY_NONE) {
        atomic_store_explicit(&counted.last_busy, busy, memory_order_relaxed);
    }
}

/* ---- passes --------------------------------------------------------- */

bool rebalance_begin(unsigned src, unsigned dst)
{
    work.given = src == 0;
    if (!(work.given ? slabs_pool_give(dst) : slabs_drain_begin(src))) {
        return false;
    }
    work.src = src;
    work.dst = dst;
    work.unlisting = true;
    work.next = 0;
    work.passes = 0;
    return true;
}

static enum rebalance_state pass_ended(void)
{
    size_t left = slabs_drain_left();

    work.next = 0;
    if (left == 0) {
        slabs_drain_end(work.dst);
        (void)slabs_trim();
        add(&counted.moved, 1);
        return REBALANCE_DONE;
    }
    work.passes = left < work.left ? 0 : work.passes + 1;
    if (work.passes >= (work.no_memory ? PASSES_NO_MEMORY : PASSES_MAX)) {
        slabs_drain_cancel();
        return REBALANCE_FAILED;
    }
    return REBALANCE_WAIT;
}

enum rebalance_state rebalance_step(void)
{
    if (work.given) {
        add(&counted.moved, 1);
        return REBALANCE_DONE;
    }
    if (work.unlisting) {
        work.unlisting = slabs_drain_unlist();
        return REBALANCE_MORE;
    }
    if (work.next == 0) {
        work.left = slabs_drain_left();
        work.no_memory = false;
    }
    for (int i = 0; i < SLICE; i++) {
        struct item *it = slabs_drain_chunk(work.next);

        if (it == NULL) {
            return pass_ended();
        }
        work.next++;
        if (kind_of(it) != ITEM_DRAINED) {
            move_out(it);
        }
    }
    return REBALANCE_MORE;
}

void rebalance_cancel(void)
{
    if (!work.given) {
        slabs_drain_cancel();
    }
}

bool rebalance_memory_full(void)
{
    return slabs_full();
}

bool rebalance_trim(void)
{
    return slabs_trim();
}

/* ---- figures -------------------------------------------------------- */

void rebalance_stats(struct rebalance_stats *out)
{
    static const char *const why[] = {
        [BUSY_NONE] = "none",          [BUSY_UPLOADING] = "busy_uploading",
        [BUSY_ACTIVE] = "busy_active", [BUSY_FLOATING] = "busy_floating",
        [BUSY_NO_MEMORY] = "busy",
    };

    *out = (struct rebalance_stats){
        .rescues = value(&counted.rescues),
        .chunk_rescues = value(&counted.chunk_rescues),
        .inline_reclaim = value(&counted.inline_reclaim),
        .busy_items = value(&counted.busy_items),
        .busy_deletes = value(&counted.busy_deletes),
        .busy_nomem = value(&counted.busy_nomem),
        .last_busy =
            why[atomic_load_explicit(&counted.last_busy, memory_order_relaxed)],
        .moved = value(&counted.moved),
    };
}

void rebalance_stats_reset(void)
{
    atomic_ullong *const all[] = {
        &counted.rescues,    &counted.chunk_rescues, &counted.inline_reclaim,
        &counted.busy_items, &counted.busy_deletes,  &counted.busy_nomem,
        &counted.moved,
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        atomic_store_explicit(all[i], 0, memory_order_relaxed);
    }
    atomic_store_explicit(&counted.last_busy, BUSY_NONE, memory_order_relaxed);
}
