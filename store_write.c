#include <string.h>

#include "slabs.h"
#include "store_internal.h"

bool store_fits_in_place(const struct item *old, const struct store_new *n)
{
    unsigned bits = store_bits_for(n);

    return (bits & ITEM_CHAINED) == 0 && !item_is_chained(old) &&
           slabs_class(item_size_for(bits, n->key->len, n->nbytes)) ==
               old->slab_class &&
           store_unshared(old);
}

void store_overwrite_locked(struct item *old, const struct store_new *n,
                            const void *value)
{
    size_t before = item_total_size(old);
    unsigned bits = store_bits_for(n);

    old->bits = (uint16_t)bits;
    memset(item_extra(old), 0, item_extra_size(bits));
    item_set_flags(old, n->attrs.flags);
    memcpy(item_key(old), n->key->ptr, n->key->len);
    memcpy(item_data(old), value, n->nbytes);
    old->nbytes = (uint32_t)n->nbytes;
    old->exptime = n->attrs.exptime;
    lru_resized(old, (int64_t)item_total_size(old) - (int64_t)before);
    lru_written_over(old);
    lru_hit(old);
    store_mark_accessed(old);
    assoc_stripes[old->stripe].links++;
}

bool store_link_locked(struct assoc_stripe *s, const struct store_key *key,
                       struct item *old, struct item *it,
                       const struct store_change *change)
{
    if (old == NULL && !assoc_insert(s, key->hv, it)) {
        return false;
    }
    if (change->version == 0 && change->source == 0) {
        store_record_item_locked(key, it);
    } else {
        it->version = store_record_locked(change->op, key, it, change->version,
                                          change->source);
    }
    atomic_store_explicit(&it->kind, ITEM_LINKED, memory_order_release);
    if (old == NULL) {
        lru_link(it, key->hv);
        return true;
    }
    assoc_replace(s, key->hv, old, it);
    lru_replace(old, it, key->hv);
    atomic_store_explicit(&old->kind, ITEM_UNLINKED, memory_order_relaxed);
    store_put(old);
    return true;
}

bool store_link_local_locked(struct assoc_stripe *s,
                             const struct store_key *key, struct item *old,
                             struct item *it)
{
    return store_link_locked(s, key, old, it,
                             &(struct store_change){.op = STORE_OP_ITEM});
}

enum store_status store_mode_allows(enum store_mode mode,
                                    const struct item *old)
{
    switch (mode) {
    case STORE_SET:
        return STORE_OK;
    case STORE_ADD:
        return old == NULL ? STORE_OK : STORE_NOT_STORED;
    case STORE_REPLACE:
    case STORE_APPEND:
    case STORE_PREPEND:
        return old != NULL ? STORE_OK : STORE_NOT_STORED;
    case STORE_CAS:
        return old != NULL ? STORE_OK : STORE_NOT_FOUND;
    }
    return STORE_NOT_STORED;
}

static enum store_status
mode_allows(enum store_mode mode, const struct item *old, const uint64_t *cas)
{
    if (mode == STORE_CAS && old != NULL &&
        (*cas == 0 || *cas != item_cas(old))) {
        return STORE_EXISTS;
    }
    return store_mode_allows(mode, old);
}

/* Mode SET that cannot store removes the key, as stock does: a cache must not
 * go on serving what the client meant to replace. */
static enum store_status refuse(const struct store_key *key,
                                enum store_mode mode, enum store_status why)
{
    if (mode == STORE_SET) {
        (void)!store_delete(key, 0, NULL);
    }
    return why;
}

enum store_status store_reserve(const struct store_key *key,
                                const struct store_attrs *attrs,
                                enum store_mode mode, size_t n,
                                struct item **out)
{
    struct store_new new = {.key = key, .attrs = *attrs, .nbytes = n};

    if (store_too_large(&new)) {
        return refuse(key, mode, STORE_TOO_LARGE);
    }
    *out = store_make(&new);
    return *out == NULL ? refuse(key, mode, STORE_NO_MEMORY) : STORE_OK;
}

/* An old item as append works on it: referenced, read under its stripe lock. */
struct seen {
    struct item *it;
    struct store_view value;
    uint64_t version;
    uint64_t cas;
    uint32_t flags;
};

/* References the live item; false: none, or it has too many references. */
static bool see(const struct store_key *key, struct seen *seen)
{
    struct item *it = store_hold(key, NULL);
    bool referenced;

    if (it == NULL) {
        return false;
    }
    *seen = (struct seen){.it = it,
                          .value = store_view(it),
                          .version = it->version,
                          .cas = item_cas(it),
                          .flags = item_flags(it)};
    referenced = store_ref(it);
    store_release(it);
    return referenced;
}

/* Builds a new item of two values; NULL: no memory. */
static struct item *join(const struct store_new *n,
                         const struct store_view *first,
                         const struct store_view *second)
{
    struct item *it = store_make(n);
    size_t filled = 0;

    if (it == NULL) {
        return NULL;
    }
    if (!store_fill_view(it, &filled, first) ||
        !store_fill_view(it, &filled, second)) {
        store_cancel(it);
        return NULL;
    }
    store_filled(it);
    return it;
}

/* One try of append. STORE_EXISTS: the old item changed meanwhile. */
static enum store_status concat_once(const struct store_key *key,
                                     const struct seen *seen, struct item *it,
                                     struct store_stored *stored)
{
    enum store_status status = STORE_EXISTS;
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(key->hv));
    struct item *old = store_live_locked(s, key, NULL);

    if (old == seen->it && old->version == seen->version) {
        it->exptime = old->exptime;
        status = store_link_local_locked(s, key, old, it) ? STORE_OK
                                                          : STORE_NOT_STORED;
        *stored = (struct store_stored){item_cas(it), it->nbytes};
    }
    assoc_drop(s);
    return status;
}

/* The two values as one item; NULL: no room. */
static struct item *concat_item(const struct store_key *key,
                                const struct store_terms *terms,
                                const struct seen *seen,
                                const struct store_view *add)
{
    struct store_new new = {.key = key,
                            .attrs = {.flags = seen->flags},
                            .bits = terms->new_cas != 0 ? ITEM_HAS_CAS : 0U,
                            .nbytes = seen->value.nbytes + add->nbytes};
    bool append = terms->mode == STORE_APPEND;
    struct item *it;

    if (store_too_large(&new)) {
        return NULL;
    }
    it = join(&new, append ? &seen->value : add, append ? add : &seen->value);
    if (it != NULL) {
        item_set_cas(it, terms->new_cas);
    }
    return it;
}

/* Never allocates under the stripe lock, so it works on a referenced old item
 * and tries again when that was replaced. */
enum store_status store_concat(const struct store_key *key,
                               const struct store_terms *terms,
                               const struct item *added,
                               struct store_stored *stored)
{
    struct store_view add = store_view(added);
    enum store_status status;

    do {
        struct seen seen;
        struct item *it;

        if (!see(key, &seen)) {
            return STORE_NOT_STORED;
        }
        if (terms->compare && terms->cas != seen.cas) {
            store_unref(seen.it);
            return STORE_EXISTS;
        }
        it = concat_item(key, terms, &seen, &add);
        status =
            it == NULL ? STORE_NOT_STORED : concat_once(key, &seen, it, stored);
        if (it != NULL && status != STORE_OK) {
            store_cancel(it);
        }
        store_unref(seen.it);
    } while (status == STORE_EXISTS);
    return status;
}

/* Takes the value that is to be joined to what is there. */
static enum store_status commit_joined(struct item *it,
                                       const struct store_key *key,
                                       enum store_mode mode, uint64_t *cas)
{
    struct store_terms terms = {.mode = mode,
                                .compare = cas != NULL && *cas != 0,
                                .cas = cas != NULL ? *cas : 0};
    struct store_stored stored;
    enum store_status status = store_concat(key, &terms, it, &stored);

    if (status == STORE_OK && cas != NULL) {
        *cas = stored.cas;
    }
    store_cancel(it);
    return status;
}

enum store_status store_commit(struct item *it, const struct store_key *key,
                               enum store_mode mode, uint64_t *cas)
{
    enum store_status status;
    struct assoc_stripe *s;
    struct item *old;

    store_filled(it);
    if (mode == STORE_APPEND || mode == STORE_PREPEND) {
        return commit_joined(it, key, mode, cas);
    }
    s = assoc_take(assoc_stripe_of(key->hv));
    old = store_live_locked(s, key, NULL);
    status = mode_allows(mode, old, cas);
    if (status == STORE_OK && !store_link_local_locked(s, key, old, it)) {
        status = STORE_NO_MEMORY;
    }
    if (status == STORE_OK && cas != NULL) {
        *cas = item_cas(it);
    }
    if (status == STORE_NOT_STORED && old != NULL) {
        lru_hit(old); /* a refused add warms what is there */
    }
    assoc_drop(s);
    if (status != STORE_OK) {
        store_cancel(it);
    }
    return status == STORE_NO_MEMORY ? refuse(key, mode, status) : status;
}

/* Writes over the present item where that is possible: no allocation, no LRU
 * lock. false: the long way. */
static bool set_in_place(const struct store_new *n, enum store_mode mode,
                         const void *value, uint64_t *cas)
{
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(n->key->hv));
    struct item *old = store_live_locked(s, n->key, NULL);
    bool fits = old != NULL && mode_allows(mode, old, cas) == STORE_OK &&
                store_fits_in_place(old, n);

    if (fits) {
        store_overwrite_locked(old, n, value);
        store_record_item_locked(n->key, old);
        if (cas != NULL) {
            *cas = item_cas(old);
        }
    }
    assoc_drop(s);
    return fits;
}

enum store_status store_set(const struct store_key *key,
                            const struct store_attrs *attrs,
                            enum store_mode mode, const void *value, size_t n,
                            uint64_t *cas)
{
    struct store_new new = {.key = key, .attrs = *attrs, .nbytes = n};
    enum store_status status;
    struct item *it;
    size_t filled = 0;

    if (store_too_large(&new)) {
        return refuse(key, mode, STORE_TOO_LARGE);
    }
    if ((mode == STORE_SET || mode == STORE_REPLACE || mode == STORE_CAS) &&
        set_in_place(&new, mode, value, cas)) {
        return STORE_OK;
    }
    status = store_reserve(key, attrs, mode, n, &it);
    if (status != STORE_OK) {
        return status;
    }
    if (!store_fill(it, &filled, value, n)) {
        store_cancel(it);
        return refuse(key, mode, STORE_NO_MEMORY);
    }
    return store_commit(it, key, mode, cas);
}

enum store_status store_delete(const struct store_key *key, uint64_t cas,
                               struct store_found *found)
{
    return store_delete_if(key, cas != 0 ? &cas : NULL, found);
}

enum store_status store_delete_if(const struct store_key *key,
                                  const uint64_t *cas,
                                  struct store_found *found)
{
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(key->hv));
    enum store_miss why;
    struct item *it = store_live_locked(s, key, &why);
    enum store_status status = it == NULL ? STORE_NOT_FOUND : STORE_OK;

    store_tell(found, why, it);
    if (it != NULL && cas != NULL && *cas != item_cas(it)) {
        assoc_drop(s);
        return STORE_EXISTS;
    }
    /* Also of an absent key: a peer may hold what we have evicted. */
    if (store.observer != NULL) {
        (void)store_record_locked(STORE_OP_DELETE, key, NULL, 0, 0);
    }
    if (it != NULL) {
        store_unlink_locked(s, it, key->hv);
    }
    assoc_drop(s);
    return status;
}
