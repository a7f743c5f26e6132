#include <string.h>

#include "slabs.h"
#include "store_internal.h"

enum { NUMBER_MAX = UTIL_U64_DIGITS };

/* ---- arithmetic ---- */

static uint64_t arith_result(uint64_t value, bool incr, uint64_t delta)
{
    if (incr) {
        return value + delta;
    }
    return delta > value ? 0 : value - delta;
}

/* Writes `n` digits over the value where nobody else reads it: padded with
 * spaces to the old length, or grown within the chunk. */
static bool arith_in_place(struct item *it, const struct store_key *key,
                           const char *digits, size_t n)
{
    bool grows = n > it->nbytes;
    size_t more = grows ? n - it->nbytes : 0;

    if (!store_unshared(it) ||
        item_size(it) + more > slabs_chunk_size(it->slab_class)) {
        return false;
    }
    it->version = store_record_locked(STORE_OP_ITEM, key, it, 0, 0);
    item_set_cas(it, 0);
    memcpy(item_data(it), digits, n);
    if (grows) {
        it->nbytes = (uint32_t)n;
        it->bits &= (uint16_t) ~(ITEM_STALE | ITEM_TOKEN_SENT | ITEM_FETCHED);
        lru_resized(it, (int64_t)more);
    } else {
        memset(item_data(it) + n, ' ', it->nbytes - n);
    }
    return true;
}

/* Stores the digits as a new item in the place of the one of version `seen`;
 * STORE_EXISTS when that changed meanwhile. */
static enum store_status arith_replace(const struct store_new *n,
                                       const char *digits, uint64_t seen,
                                       uint64_t *cas)
{
    enum store_status status = STORE_EXISTS;
    struct item *it = store_make(n), *old;
    struct assoc_stripe *s;

    if (it == NULL) {
        return STORE_NO_MEMORY;
    }
    memcpy(item_data(it), digits, n->nbytes);
    s = assoc_take(assoc_stripe_of(n->key->hv));
    old = store_live_locked(s, n->key, NULL);
    if (old != NULL && old->version == seen) {
        it->exptime = old->exptime;
        status = store_link_local_locked(s, n->key, old, it) ? STORE_OK
                                                             : STORE_NO_MEMORY;
        if (status == STORE_OK && cas != NULL) {
            *cas = item_cas(it);
        }
    }
    assoc_drop(s);
    if (status != STORE_OK) {
        store_cancel(it);
    }
    return status;
}

static bool arith_value(const struct item *it, uint64_t *value)
{
    return !item_is_chained(it) && it->nbytes > 0 &&
           util_parse_stored_number(item_data(it), it->nbytes, value);
}

enum store_status store_arith(const struct store_key *key, bool incr,
                              uint64_t delta, uint64_t *result, uint64_t *cas,
                              struct store_found *found)
{
    enum store_status status;

    do {
        enum store_miss why;
        struct item *it = store_hold(key, &why);
        struct store_new new = {.key = key};
        char digits[NUMBER_MAX];
        uint64_t value, seen;

        store_tell(found, why, it);
        if (it == NULL) {
            return STORE_NOT_FOUND;
        }
        if (cas != NULL && *cas != 0 && *cas != item_cas(it)) {
            store_release(it);
            return STORE_EXISTS;
        }
        if (!arith_value(it, &value)) {
            store_release(it);
            return STORE_NON_NUMERIC;
        }
        *result = arith_result(value, incr, delta);
        new.nbytes = (size_t)(util_format_u64(digits, *result) - digits);
        if (arith_in_place(it, key, digits, new.nbytes)) {
            if (cas != NULL) {
                *cas = item_cas(it);
            }
            store_release(it);
            return STORE_OK;
        }
        seen = it->version;
        new.attrs.flags = item_flags(it);
        store_release(it);
        status = arith_replace(&new, digits, seen, cas);
    } while (status == STORE_EXISTS);
    return status;
}

/* ---- expiry ---- */

/* Moves key and value up by the 8 bytes of a visible cas. */
static bool make_cas_room(struct item *it)
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

/* A shorter life is a change that peers must learn of, so it draws a version;
 * clients still see the cas they know. false: there is no room for both. */
static bool shorten(struct item *it, const struct store_key *key,
                    uint32_t exptime)
{
    uint64_t cas = item_cas(it);

    if (cas != 0 && !make_cas_room(it)) {
        return false;
    }
    it->version = store_record_locked(STORE_OP_ITEM, key, it, 0, 0);
    item_set_cas(it, cas);
    it->exptime = exptime;
    it->bits &= (uint16_t)~ITEM_TOUCHED;
    return true;
}

static bool touch_in_place(struct item *it, const struct store_key *key,
                           uint32_t exptime)
{
    bool longer = exptime == 0 || (it->exptime != 0 && exptime > it->exptime);

    if (exptime == it->exptime) {
        return true;
    }
    if (store.observer != NULL && !longer) {
        return shorten(it, key, exptime);
    }
    it->exptime = exptime;
    if (store.observer != NULL) {
        it->bits |= ITEM_TOUCHED;
        (void)store_record_locked(STORE_OP_TOUCH, key, it, it->version, 0);
    }
    return true;
}

/* What the copy below is made of, read while the item was held. */
struct original {
    struct item *it; /* referenced */
    struct store_view value;
    struct store_attrs attrs;
    uint64_t version;
    unsigned bits;
};

static struct original original_of(struct item *it)
{
    return (struct original){
        .it = it,
        .value = store_view(it),
        .attrs = {.flags = item_flags(it), .exptime = it->exptime},
        .version = it->version,
        .bits = it->bits & (ITEM_B64KEY | ITEM_FETCHED | ITEM_STALE |
                            ITEM_TOKEN_SENT | ITEM_TOUCHED),
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
    it->bits |= (uint16_t)from->bits;
    it->version = from->version;
    s = assoc_take(assoc_stripe_of(key->hv));
    old = store_live_locked(s, key, NULL);
    if (old == from->it && old->version == from->version) {
        it->exptime = old->exptime;
        assoc_replace(s, key->hv, old, it);
        lru_replace(old, it, key->hv);
        atomic_store_explicit(&it->kind, ITEM_LINKED, memory_order_relaxed);
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

struct item *store_touch_hold(const struct store_key *key, uint32_t exptime,
                              enum store_miss *why)
{
    for (;;) {
        struct item *it = store_hold(key, why);
        struct original from;
        bool copied = false;

        if (it == NULL || touch_in_place(it, key, exptime)) {
            return it;
        }
        from = original_of(it);
        if (store_ref(it)) {
            store_release(it);
            copied = copy_with_cas(key, &from);
            store_unref(it);
        } else {
            store_release(it);
        }
        if (!copied) {
            /* Dying early is allowed, living on is not. */
            (void)!store_delete(key, 0, NULL);
        }
    }
}
