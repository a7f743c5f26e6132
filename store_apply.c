#include <string.h>

#include "base/version.h"
#include "store_internal.h"

/* An incoming value: bytes, or an item being filled. */
struct incoming {
    const struct store_key *key;
    const struct store_incoming *in;
    const void *bytes;       /* NULL: in `item` */
    const struct item *item; /* NULL: in `bytes` */
    size_t n;
};

/* Orders two values of one length, the same way on every node. */
static int compare_bytes(const struct item *held, const struct incoming *x)
{
    char ours[512], theirs[512];
    int order = 0;

    for (size_t at = 0; at < x->n && order == 0; at += sizeof(ours)) {
        size_t part = x->n - at < sizeof(ours) ? x->n - at : sizeof(ours);

        item_copy_out(held, at, ours, part);
        if (x->bytes != NULL) {
            memcpy(theirs, (const char *)x->bytes + at, part);
        } else {
            item_copy_out(x->item, at, theirs, part);
        }
        order = memcmp(theirs, ours, part);
    }
    return order;
}

/* Above zero: the incoming state wins; by flags, length, bytes. */
static int compare_state(const struct item *held, const struct incoming *x)
{
    uint32_t flags = item_flags(held);

    if (x->in->attrs.flags != flags) {
        return x->in->attrs.flags > flags ? 1 : -1;
    }
    if (x->n != held->nbytes) {
        return x->n > held->nbytes ? 1 : -1;
    }
    return compare_bytes(held, x);
}

/* Equal states: the later expiry is taken when it is later by over 2 s, which
 * two clocks corrected to within that cannot take for a change. */
static void take_later_expiry(struct item *held, uint32_t theirs)
{
    bool later = theirs == 0 ? held->exptime != 0
                             : held->exptime != 0 && theirs > held->exptime + 2;

    if (later) {
        held->exptime = theirs;
        held->bits |= ITEM_TOUCHED;
    }
}

static uint64_t floor_of(const struct store_key *key)
{
    return store.observer == NULL
               ? 0
               : store.observer->floor(store.observer->ctx, key->ptr, key->len);
}

/* What becomes of an incoming versioned state beside the item held (dead or
 * alive, or NULL). */
static enum store_applied judge_locked(struct item *held,
                                       const struct incoming *x)
{
    uint64_t v = x->in->version;
    int order;

    if (v <= store_barrier() || v < floor_of(x->key)) {
        return STORE_STALE;
    }
    if (held == NULL || v > held->version) {
        return STORE_APPLIED;
    }
    if (v < held->version) {
        return STORE_STALE;
    }
    order = compare_state(held, x);
    if (order == 0) {
        take_later_expiry(held, x->in->attrs.exptime);
        return STORE_APPLIED_SAME;
    }
    return order > 0 ? STORE_APPLIED : STORE_STALE;
}

/* A legacy peer sends the low half of a cas that may be ours: then its value
 * is ours come back, and only the expiry is news. */
static enum store_applied judge_legacy_locked(struct item *held,
                                              const struct incoming *x)
{
    if (held != NULL && (uint32_t)held->version == (uint32_t)x->in->version &&
        compare_state(held, x) == 0) {
        held->exptime = x->in->attrs.exptime;
        return STORE_APPLIED_SAME;
    }
    return STORE_APPLIED;
}

static enum store_applied judge(struct item *held, const struct incoming *x)
{
    return x->in->local ? judge_legacy_locked(held, x) : judge_locked(held, x);
}

static struct store_change change_of(const struct store_incoming *in)
{
    return (struct store_change){.op = STORE_OP_ITEM,
                                 .version = in->local ? 0 : in->version,
                                 .source = in->source};
}

static struct store_new new_of(const struct store_key *key,
                               const struct store_incoming *in, size_t n)
{
    bool own_cas = !in->local && in->cas != 0 && in->cas != in->version;

    return (struct store_new){.key = key,
                              .attrs = in->attrs,
                              .bits = own_cas ? ITEM_HAS_CAS : 0,
                              .nbytes = n};
}

/* What cannot be stored becomes a floor: better absent than old. */
static enum store_applied unstorable(const struct store_key *key,
                                     const struct store_incoming *in)
{
    if (in->local) {
        (void)!store_delete(key, 0, NULL);
    } else {
        (void)!store_apply_floor(key, in->version, in->source);
    }
    return STORE_UNSTORABLE;
}

enum store_applied store_apply_item(struct item *it,
                                    const struct store_key *key,
                                    const struct store_incoming *in)
{
    struct incoming x = {.key = key, .in = in, .item = it, .n = it->nbytes};
    struct store_change change = change_of(in);
    enum store_applied verdict;
    struct assoc_stripe *s;
    struct item *held;
    bool linked = false;

    store_filled(it);
    item_set_cas(it, in->local ? 0 : in->cas);
    s = assoc_take(assoc_stripe_of(key->hv));
    held = assoc_find(s, key->hv, key->ptr, key->len);
    verdict = judge(held, &x);
    if (verdict == STORE_APPLIED) {
        linked = store_link_locked(s, key, held, it, &change);
    }
    assoc_drop(s);
    if (!linked) {
        store_cancel(it);
    }
    return verdict == STORE_APPLIED && !linked ? unstorable(key, in) : verdict;
}

/* The verdict, carried out at once where that needs no memory; *done tells. */
static enum store_applied apply_in_place(const struct incoming *x,
                                         const struct store_new *new,
                                         bool *done)
{
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(x->key->hv));
    struct item *held = assoc_find(s, x->key->hv, x->key->ptr, x->key->len);
    enum store_applied verdict = judge(held, x);
    struct store_change change = change_of(x->in);

    *done = verdict != STORE_APPLIED;
    if (!*done && held != NULL && store_fits_in_place(held, new)) {
        store_overwrite_locked(held, new, x->bytes,
                               store_record_locked(STORE_OP_ITEM, x->key,
                                                   change.version,
                                                   change.source));
        item_set_cas(held, x->in->local ? 0 : x->in->cas);
        *done = true;
    }
    assoc_drop(s);
    return verdict;
}

enum store_applied store_apply(const struct store_key *key,
                               const struct store_incoming *in,
                               const void *value, size_t n)
{
    struct incoming x = {.key = key, .in = in, .bytes = value, .n = n};
    struct store_new new = new_of(key, in, n);
    enum store_applied verdict;
    struct item *it;
    size_t filled = 0;
    bool done;

    if (store_too_large(&new)) {
        return unstorable(key, in);
    }
    verdict = apply_in_place(&x, &new, &done);
    if (done) {
        return verdict;
    }
    it = store_make(&new);
    if (it == NULL) {
        return unstorable(key, in);
    }
    if (!store_fill(it, &filled, value, n)) {
        store_cancel(it);
        return unstorable(key, in);
    }
    return store_apply_item(it, key, in);
}

enum store_applied store_apply_floor(const struct store_key *key,
                                     uint64_t version, uint32_t source)
{
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(key->hv));
    struct item *held = assoc_find(s, key->hv, key->ptr, key->len);
    enum store_applied verdict = STORE_APPLIED_SAME;

    if (held != NULL && held->version >= version) {
        assoc_drop(s);
        return STORE_STALE;
    }
    /* Recording the delete raises the floor as well. */
    if (held != NULL || version > floor_of(key)) {
        (void)store_record_locked(STORE_OP_DELETE, key, version, source);
        verdict = STORE_APPLIED;
    }
    if (held != NULL) {
        store_unlink_locked(s, held, key->hv);
    }
    assoc_drop(s);
    return verdict;
}
