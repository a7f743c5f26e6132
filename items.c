#include "items.h"

#include <string.h>

#include "slabs.h"

static bool cas_shown = true; /* [c] */

void items_init(bool show_cas)
{
    cas_shown = show_cas;
}

/* The optional fields, in this order: cas, chain, flags. */
static char *cas_field(const struct item *it)
{
    return item_extra(it);
}

static char *chain_field(const struct item *it)
{
    return item_extra(it) + (it->bits & ITEM_HAS_CAS ? 8 : 0);
}

static char *flags_field(const struct item *it)
{
    return chain_field(it) + (it->bits & ITEM_CHAINED ? 8 : 0);
}

uint32_t item_flags(const struct item *it)
{
    uint32_t flags = 0;

    if (it->bits & ITEM_HAS_FLAGS) {
        memcpy(&flags, flags_field(it), sizeof(flags));
    }
    return flags;
}

uint64_t item_stored_cas(const struct item *it)
{
    uint64_t cas = 0;

    if (it->bits & ITEM_HAS_CAS) {
        memcpy(&cas, cas_field(it), sizeof(cas));
    }
    return cas == 0 ? it->version : cas;
}

uint64_t item_cas(const struct item *it)
{
    return cas_shown ? item_stored_cas(it) : 0;
}

void item_set_flags(struct item *it, uint32_t flags)
{
    if (it->bits & ITEM_HAS_FLAGS) {
        memcpy(flags_field(it), &flags, sizeof(flags));
    }
}

void item_set_cas(struct item *it, uint64_t cas)
{
    if (it->bits & ITEM_HAS_CAS) {
        memcpy(cas_field(it), &cas, sizeof(cas));
    }
}

uint64_t item_chain_ref(const struct item *it)
{
    uint64_t ref = 0;

    if (item_is_chained(it)) {
        memcpy(&ref, chain_field(it), sizeof(ref));
    }
    return ref;
}

struct item_chunk *item_chunk_first(const struct item *it)
{
    uint64_t ref = item_chain_ref(it);

    return ref == 0 ? NULL : slabs_ptr(ref);
}

struct item_chunk *item_chunk_next(const struct item_chunk *chunk)
{
    return chunk->next == 0 ? NULL : slabs_ptr(chunk->next);
}

size_t item_size(const struct item *it)
{
    return item_size_for(it->bits, it->nkey, it->nbytes);
}

size_t item_total_size(const struct item *it)
{
    return item_size(it) + (item_is_chained(it) ? it->nbytes : 0);
}

void item_make(struct item *it, const struct item_shape *shape)
{
    /* Not the kind, which the page mover may be reading. */
    memset(it, 0, offsetof(struct item, kind));
    memset(item_extra(it), 0, item_extra_size(shape->bits));
    atomic_init(&it->refs, 1);
    it->nbytes = (uint32_t)shape->nbytes;
    it->nkey = (uint8_t)shape->nkey;
    it->slab_class = (uint8_t)shape->slab_class;
    it->bits = (uint16_t)shape->bits;
    it->stripe = (uint16_t)shape->stripe;
    atomic_init(&it->heat, (unsigned char)(ITEM_NO_QUEUE << 2));
    atomic_store_explicit(&it->kind, ITEM_RESERVED, memory_order_relaxed);
    memcpy(item_key(it), shape->key, shape->nkey);
}

/* A chunk for `left` more bytes: the best fitting class for the last piece,
 * or a largest chunk when that class has no memory. */
static struct item_chunk *chunk_alloc(size_t left)
{
    unsigned last = slabs_last_class();
    unsigned c = slabs_class(sizeof(struct item_chunk) + left);
    struct item_chunk *chunk = NULL;

    if (c != 0 && c != last) {
        chunk = slabs_alloc(c);
    }
    if (chunk == NULL) {
        c = last;
        chunk = slabs_alloc(c);
    }
    if (chunk != NULL) {
        memset(chunk, 0, offsetof(struct item_chunk, kind));
        chunk->slab_class = (uint8_t)c;
        chunk->capacity =
            (uint32_t)(slabs_chunk_size(c) - sizeof(struct item_chunk));
    }
    return chunk;
}

struct item_chunk *item_chunk_add(struct item *it, struct item_chunk *last,
                                  size_t left)
{
    struct item_chunk *chunk = chunk_alloc(left);
    uint64_t ref;

    if (chunk == NULL) {
        return NULL;
    }
    ref = slabs_ref(chunk);
    chunk->head = slabs_ref(it);
    chunk->stripe = it->stripe;
    atomic_store_explicit(&chunk->kind, ITEM_CHUNK, memory_order_release);
    if (last == NULL) {
        memcpy(chain_field(it), &ref, sizeof(ref));
    } else {
        last->next = ref;
    }
    return chunk;
}

void item_chunk_replace(struct item *it, const struct item_chunk *chunk,
                        struct item_chunk *to)
{
    uint64_t old = slabs_ref(chunk), ref = slabs_ref(to);
    struct item_chunk *before = item_chunk_first(it);

    if (before == chunk) {
        memcpy(chain_field(it), &ref, sizeof(ref));
        return;
    }
    while (before->next != old) {
        before = item_chunk_next(before);
    }
    before->next = ref;
}

void item_free(struct item *it)
{
    struct item_chunk *chunk = item_chunk_first(it);

    while (chunk != NULL) {
        struct item_chunk *next = item_chunk_next(chunk);

        slabs_free(chunk, chunk->slab_class);
        chunk = next;
    }
    slabs_free(it, it->slab_class);
}

void item_copy_out(const struct item *it, size_t offset, void *buf, size_t n)
{
    const struct item_chunk *chunk = item_chunk_first(it);
    char *to = buf;

    if (!item_is_chained(it)) {
        memcpy(to, item_data(it) + offset, n);
        return;
    }
    for (; n > 0; chunk = item_chunk_next(chunk)) {
        size_t part = chunk->used;

        if (offset >= part) {
            offset -= part;
            continue;
        }
        part = part - offset < n ? part - offset : n;
        memcpy(to, chunk->data + offset, part);
        to += part;
        n -= part;
        offset = 0;
    }
}

bool item_value_equals(const struct item *it, const void *p, size_t n)
{
    const struct item_chunk *chunk = item_chunk_first(it);
    const char *at = p;

    if (it->nbytes != n) {
        return false;
    }
    if (!item_is_chained(it)) {
        return memcmp(item_data(it), at, n) == 0;
    }
    for (; chunk != NULL; chunk = item_chunk_next(chunk)) {
        if (memcmp(chunk->data, at, chunk->used) != 0) {
            return false;
        }
        at += chunk->used;
    }
    return true;
}
