#include <string.h>

#include "slabs.h"
#include "store_internal.h"

/* ---- expiry ---- */

bool store_cas_room_locked(struct item *it)
{
    const char *key = item_key(it);
    uint32_t flags = item_flags(it);

    if (it->bits & ITEM_HAS_CAS) {
        return true;
    }
    if (!store_unshared(it) ||
        item_size(it) + 8 > slabs_chunk_size(it->slab_class)) {
        return false;
    }
    it->bits |= ITEM_HAS_CAS;
    memmove(item_key(it), key, (size_t)it->nkey + it->nbytes);
    item_set_flags(it, flags);
    lru_resized(it, 8);
    return true;
}

bool store_change_quietly_locked(struct item *it, const struct store_key *key,
                                 unsigned marks, uint32_t exptime)
{
    uint64_t cas = item_stored_cas(it);

    if (store.observer != NULL) {
        if (!store_cas_room_locked(it)) {
            return false;
        }
        it->version = store_record_locked(STORE_OP_ITEM, key, it, 0, 0);
        item_set_cas(it, cas);
        it->bits &= (uint16_t)~ITEM_TOUCHED;
    }
    it->exptime = exptime;
    it->bits |= (uint16_t)marks;
    return true;
}

bool store_touch_locked(struct item *it, const struct store_key *key,
                        uint32_t exptime)
{
    bool longer = exptime == 0 || (it->exptime != 0 && exptime > it->exptime);

    if (exptime == it->exptime) {
        return true;
    }
    if (store.observer != NULL && !longer) {
        return store_change_quietly_locked(it, key, 0, exptime);
    }
    it->exptime = exptime;
    if (store.observer != NULL) {
        it->bits |= ITEM_TOUCHED;
        (void)store_record_locked(STORE_OP_TOUCH, key, it, it->version, 0);
    }
    return true;
}

/* What the copy below takes over beside value and attributes. */
#define KEPT                                                                   \
    (ITEM_B64KEY | ITEM_FETCHED | ITEM_STALE | ITEM_TOKEN_SENT | ITEM_TOUCHED)

/* What it is made of, read while the item was held. */
struct original {
    struct item *it; /* referenced */
    struct store_view value;
    struct store_attrs attrs;
    uint64_t version;
};

static struct original original_of(struct item *it)
{
    return (struct original){
        .it = it,
        .value = store_view(it),
        .attrs = {.flags = item_flags(it), .exptime = it->exptime},
        .version = it->version,
    };
}

/* Replaces an item by a copy that has room for a visible cas, unless it has
 * changed: the caller looks again either way. false: no memory. */
static bool copy_with_cas(const struct store_key *key,
                          const struct original *from)
{
    struct store_new new = {.key = key,
                            .attrs = from->attrs,
                            .bits = ITEM_HAS_CAS,
                            .nbytes = from->value.nbytes};
    struct item *it = store_make(&new), *old;
    struct assoc_stripe *s;
    size_t filled = 0;

    if (it == NULL) {
        return false;
    }
    if (!store_fill_view(it, &filled, &from->value)) {
        store_cancel(it);
        return false;
    }
    store_filled(it); /* the room for the cas may have put it in pieces */
    it->version = from->version;
    s = assoc_take(assoc_stripe_of(key->hv));
    old = store_live_locked(s, key, NULL);
    if (old == from->it && old->version == from->version) {
        it->exptime = old->exptime;
        it->bits |= (uint16_t)(old->bits & KEPT);
        assoc_replace(s, key->hv, old, it);
        lru_replace(old, it, key->hv);
        atomic_store_explicit(&it->kind, ITEM_LINKED, memory_order_release);
        atomic_store_explicit(&old->kind, ITEM_UNLINKED, memory_order_relaxed);
        store_put(old);
        it = NULL;
    }
    assoc_drop(s);
    if (it != NULL) {
        store_cancel(it);
    }
    return true;
}

bool store_cas_room(struct item *it, const struct store_key *key)
{
    struct original from = original_of(it);
    bool referenced = store_ref(it), copied;

    store_release(it);
    if (!referenced) {
        return false;
    }
    copied = copy_with_cas(key, &from);
    store_unref(it);
    return copied;
}

struct item *store_touch_hold(const struct store_key *key, uint32_t exptime,
                              enum store_miss *why)
{
    for (;;) {
        struct item *it = store_hold(key, why);

        if (it == NULL || store_touch_locked(it, key, exptime)) {
            return it;
        }
        if (!store_cas_room(it, key)) {
            /* Dying early is allowed, living on is not. */
            (void)!store_delete(key, 0, NULL);
        }
    }
}
