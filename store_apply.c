#include <string.h>

#include "base/version.h"
#include "store_internal.h"

enum { LEAST_ITEM = 64 }; /* bytes that an item takes at the very least */

void store_expect(uint64_t items)
{
    uint64_t most = store.config.memory_limit / LEAST_ITEM;

    assoc_expect(items < most ? items : most);
}

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

/* What repcached 2.x knows of an item, too: flags, length, bytes. */
static int compare_value(const struct item *held, const struct incoming *x)
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

/* Above zero: the incoming state wins; by its value, cas, and marks. */
static int compare_state(const struct item *held, const struct incoming *x)
{
    const unsigned marks = ITEM_B64KEY | ITEM_STALE | ITEM_TOKEN_SENT;
    unsigned ours = held->bits & marks, theirs = x->in->bits & marks;
    uint64_t cas = x->in->cas != 0 ? x->in->cas : x->in->version;
    int order = compare_value(held, x);

    if (order != 0) {
        return order;
    }
    if (cas != item_stored_cas(held)) {
        return cas > item_stored_cas(held) ? 1 : -1;
    }
    return (int)theirs - (int)ours;
}

/* The later expiry is taken when it is later by over 2 s, which two clocks
 * corrected to within that cannot take for a change. Others may have to hear
 * of it. */
static bool take_later_expiry(struct item *held, const struct store_key *key,
                              const struct store_incoming *in)
{
    uint32_t theirs = in->attrs.exptime;
    bool later = theirs == 0 ? held->exptime != 0
                             : held->exptime != 0 && theirs > held->exptime + 2;

    if (later) {
        held->exptime = theirs;
        held->bits |= ITEM_TOUCHED;
        (void)store_record_locked(STORE_OP_TOUCH, key, held, held->version,
                                  in->source);
    }
    return later;
}

static uint64_t floor_of(const struct store_key *key)
{
    return store.observer == NULL
               ? 0
               : store.observer->floor(store.observer->ctx, key->ptr, key->len);
}

/* What becomes of an incoming version beside the item held (dead or alive, or
 * NULL): MISSED, STALE, WANTED, or APPLIED_SAME when they are equal. */
static enum store_applied weigh_locked(const struct item *held,
                                       const struct store_key *key,
                                       const struct store_incoming *in)
{
    uint64_t v = in->version, floor = floor_of(key);

    if (held == NULL && floor == 0 && in->missed != NULL &&
        in->missed(in->missed_ctx, key, v)) {
        return STORE_MISSED;
    }
    if (v <= store_barrier() || v < floor) {
        return STORE_STALE;
    }
    if (held == NULL || v > held->version) {
        return STORE_WANTED;
    }
    return v < held->version ? STORE_STALE : STORE_APPLIED_SAME;
}

/* Whether taking `in` undoes a change made here that its sender did not know
 * of. The low bits of a version tell who drew it. */
static bool is_over(const struct item *held, const struct store_incoming *in)
{
    return held != NULL && in->unacked != 0 && held->version >= in->unacked &&
           (uint8_t)held->version == version_slot() &&
           store_dead(held) == STORE_HIT;
}

/* The same for the whole state of an item: APPLIED, or APPLIED_OVER, instead
 * of WANTED, and equal versions are told apart. */
static enum store_applied judge_locked(struct item *held,
                                       const struct incoming *x)
{
    enum store_applied verdict = weigh_locked(held, x->key, x->in);

    if (verdict == STORE_APPLIED_SAME) {
        int order = compare_state(held, x);

        if (order == 0) {
            (void)take_later_expiry(held, x->key, x->in);
            return STORE_APPLIED_SAME;
        }
        verdict = order > 0 ? STORE_WANTED : STORE_STALE;
    }
    if (verdict == STORE_WANTED) {
        verdict = is_over(held, x->in) ? STORE_APPLIED_OVER : STORE_APPLIED;
    }
    return verdict;
}

static bool has_low_cas(const struct item *held, uint64_t low)
{
    return (uint32_t)held->version == (uint32_t)low ||
           (uint32_t)item_stored_cas(held) == (uint32_t)low;
}

/* A legacy peer sends the low half of a cas that may be ours: then its value
 * is ours come back, and only the expiry is news. */
static enum store_applied judge_legacy_locked(struct item *held,
                                              const struct incoming *x)
{
    if (held != NULL && has_low_cas(held, x->in->version) &&
        compare_value(held, x) == 0) {
        held->exptime = x->in->attrs.exptime;
        return STORE_APPLIED_SAME;
    }
    return STORE_APPLIED;
}

static enum store_applied judge(struct item *held, const struct incoming *x)
{
    return x->in->local ? judge_legacy_locked(held, x) : judge_locked(held, x);
}

static bool is_taken(enum store_applied verdict)
{
    return verdict == STORE_APPLIED || verdict == STORE_APPLIED_OVER;
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
                              .bits = in->bits | (own_cas ? ITEM_HAS_CAS : 0U),
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

enum store_status store_apply_reserve(const struct store_key *key,
                                      const struct store_incoming *in, size_t n,
                                      struct item **out)
{
    struct store_new new = new_of(key, in, n);

    *out = NULL;
    if (store_too_large(&new)) {
        return STORE_TOO_LARGE;
    }
    *out = store_make(&new);
    return *out == NULL ? STORE_NO_MEMORY : STORE_OK;
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
    if (is_taken(verdict)) {
        linked = store_link_locked(s, key, held, it, &change);
    }
    assoc_drop(s);
    if (!linked) {
        store_cancel(it);
    }
    return is_taken(verdict) && !linked ? unstorable(key, in) : verdict;
}

static void overwrite_locked(struct item *held, const struct incoming *x,
                             const struct store_new *new)
{
    struct store_change change = change_of(x->in);

    store_overwrite_locked(held, new, x->bytes);
    held->version = store_record_locked(STORE_OP_ITEM, x->key, held,
                                        change.version, change.source);
    item_set_cas(held, x->in->local ? 0 : x->in->cas);
}

/* A new item where there is memory for it without evicting. */
static bool link_locked(struct assoc_stripe *s, struct item *held,
                        const struct incoming *x, const struct store_new *new)
{
    struct store_change change = change_of(x->in);
    struct item *it = store_make_free(new);

    if (it == NULL) {
        return false;
    }
    memcpy(item_data(it), x->bytes, x->n);
    item_set_cas(it, x->in->local ? 0 : x->in->cas);
    if (!store_link_locked(s, x->key, held, it, &change)) {
        store_cancel(it);
        return false;
    }
    return true;
}

/* The verdict, carried out in the same hold where that needs no eviction: one
 * look at index and floors for nearly every item; *done tells. */
static enum store_applied apply_at_once(const struct incoming *x,
                                        const struct store_new *new, bool *done)
{
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(x->key->hv));
    struct item *held = assoc_find(s, x->key->hv, x->key->ptr, x->key->len);
    enum store_applied verdict = judge(held, x);

    *done = !is_taken(verdict);
    if (!*done && held != NULL && store_fits_in_place(held, new)) {
        overwrite_locked(held, x, new);
        *done = true;
    }
    if (!*done) {
        *done = link_locked(s, held, x, new);
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
    verdict = apply_at_once(&x, &new, &done);
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

enum store_applied store_apply_touch(const struct store_key *key,
                                     const struct store_incoming *in)
{
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(key->hv));
    struct item *held = assoc_find(s, key->hv, key->ptr, key->len);
    enum store_applied verdict = weigh_locked(held, key, in);

    if (verdict == STORE_APPLIED_SAME && take_later_expiry(held, key, in)) {
        verdict = STORE_APPLIED;
    }
    assoc_drop(s);
    return verdict;
}

enum store_applied store_weigh(const struct store_key *key,
                               const struct store_incoming *in)
{
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(key->hv));
    enum store_applied verdict =
        weigh_locked(assoc_find(s, key->hv, key->ptr, key->len), key, in);

    assoc_drop(s);
    return verdict;
}

enum store_applied store_apply_floor(const struct store_key *key,
                                     uint64_t version, uint32_t source)
{
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(key->hv));
    struct item *held = assoc_find(s, key->hv, key->ptr, key->len);
    enum store_applied verdict = STORE_APPLIED_SAME;

    if (held != NULL && held->version >= version) {
        /* The floor of the version itself: there it expired, or had no room. */
        verdict = held->version > version ? STORE_STALE : STORE_APPLIED_SAME;
        assoc_drop(s);
        return verdict;
    }
    /* Recording the delete raises the floor as well. */
    if (held != NULL || version > floor_of(key)) {
        (void)store_record_locked(STORE_OP_DELETE, key, NULL, version, source);
        verdict = STORE_APPLIED;
    }
    if (held != NULL) {
        store_unlink_locked(s, held, key->hv);
    }
    assoc_drop(s);
    return verdict;
}
