#include <string.h>

#include "slabs.h"
#include "store_internal.h"

enum { NUMBER_MAX = UTIL_U64_DIGITS };

/* What an item that takes a number of no more bytes keeps. */
#define KEPT (ITEM_B64KEY | ITEM_STALE | ITEM_TOKEN_SENT | ITEM_FETCHED)

struct digits {
    char p[NUMBER_MAX];
    size_t n;
};

static struct digits digits_of(uint64_t number)
{
    struct digits d;

    d.n = (size_t)(util_format_u64(d.p, number) - d.p);
    return d;
}

/* Writes the digits and pads them with spaces to `n` bytes. */
static void write_padded(char *to, size_t n, const struct digits *d)
{
    memcpy(to, d->p, d->n);
    if (n > d->n) {
        memset(to + d->n, ' ', n - d->n);
    }
}

static uint64_t result_of(uint64_t value, const struct store_sum *sum)
{
    if (sum->incr) {
        return value + sum->delta;
    }
    return sum->delta > value ? 0 : value - sum->delta;
}

/* Writes the digits over the value where nobody else reads it: padded to the
 * old length, or grown within the chunk. */
static bool sum_in_place(struct item *it, const struct store_key *key,
                         const struct store_sum *sum, const struct digits *d)
{
    size_t more = d->n > it->nbytes ? d->n - it->nbytes : 0;

    if (!store_unshared(it) ||
        item_size(it) + more > slabs_chunk_size(it->slab_class) ||
        (sum->new_cas != 0 && (it->bits & ITEM_HAS_CAS) == 0)) {
        return false;
    }
    item_set_cas(it, sum->new_cas);
    if (sum->touch) {
        it->exptime = sum->exptime;
    }
    if (more > 0) {
        it->nbytes = (uint32_t)d->n;
        it->bits &= (uint16_t)~KEPT;
        lru_resized(it, (int64_t)more);
        assoc_stripes[it->stripe].links++; /* as if it had been replaced */
    }
    write_padded(item_data(it), it->nbytes, d);
    store_record_item_locked(key, it);
    return true;
}

/* Stores the digits as a new item in the place of the one of version `seen`;
 * STORE_EXISTS when that changed meanwhile. */
static enum store_status sum_replace(const struct store_new *n,
                                     const struct store_sum *sum,
                                     const struct digits *d, uint64_t seen,
                                     uint64_t *cas)
{
    enum store_status status = STORE_EXISTS;
    struct item *it = store_make(n), *old;
    struct assoc_stripe *s;

    if (it == NULL) {
        return STORE_NO_MEMORY;
    }
    write_padded(item_data(it), n->nbytes, d);
    item_set_cas(it, sum->new_cas);
    s = assoc_take(assoc_stripe_of(n->key->hv));
    old = store_live_locked(s, n->key, NULL);
    if (old != NULL && old->version == seen) {
        it->exptime = sum->touch ? sum->exptime : old->exptime;
        it->bits |= it->nbytes == old->nbytes ? old->bits & KEPT : 0;
        status = store_link_local_locked(s, n->key, old, it) ? STORE_OK
                                                             : STORE_NO_MEMORY;
        *cas = item_cas(it);
    }
    assoc_drop(s);
    if (status != STORE_OK) {
        store_cancel(it);
    }
    return status;
}

/* Asked before the cas is compared, as stock does. */
static bool may_be_number(const struct item *it)
{
    return !item_is_chained(it) && it->nbytes > 0;
}

/* Changes the number of an item, held; ends the hold. STORE_EXISTS: somebody
 * else changed it in between, so that it is to be tried again. */
static enum store_status sum_item(struct item *it, const struct store_key *key,
                                  const struct store_sum *sum,
                                  struct store_result *result)
{
    struct store_new new = {.key = key};
    struct digits d;
    uint64_t number, seen = it->version;

    if (!util_parse_stored_number(item_data(it), it->nbytes, &number)) {
        store_release(it);
        return STORE_NON_NUMERIC;
    }
    result->exptime = it->exptime;
    result->number = result_of(number, sum);
    d = digits_of(result->number);
    if (sum_in_place(it, key, sum, &d)) {
        result->cas = item_cas(it);
        store_release(it);
        return STORE_OK;
    }
    new.nbytes = d.n > it->nbytes ? d.n : it->nbytes;
    new.attrs.flags = item_flags(it);
    new.bits = sum->new_cas != 0 ? ITEM_HAS_CAS : 0U;
    store_release(it);
    return sum_replace(&new, sum, &d, seen, &result->cas);
}

/* The number that an absent key begins with. STORE_EXISTS: it is there now. */
static enum store_status sum_begin(const struct store_key *key,
                                   const struct store_sum *sum,
                                   struct store_result *result)
{
    struct store_terms terms = {.attrs = {.exptime = sum->vivify_exptime},
                                .mode = STORE_ADD,
                                .new_cas = sum->new_cas};
    struct digits d = digits_of(sum->initial);
    struct store_stored stored = {0};
    enum store_status status = store_set_on(key, &terms, d.p, d.n, &stored);

    *result = (struct store_result){
        .number = sum->initial, .cas = stored.cas, .made = true};
    if (status == STORE_NOT_STORED) {
        return STORE_EXISTS;
    }
    return status == STORE_OK ? STORE_OK : STORE_NO_MEMORY;
}

enum store_status store_sum(const struct store_key *key,
                            const struct store_sum *sum,
                            struct store_result *result,
                            struct store_found *found)
{
    enum store_status status;

    do {
        enum store_miss why;
        struct item *it = store_hold(key, &why);

        result->made = false;
        store_tell(found, why, it);
        if (it == NULL) {
            status =
                sum->vivify ? sum_begin(key, sum, result) : STORE_NOT_FOUND;
        } else if (!may_be_number(it)) {
            store_release(it);
            return STORE_NON_NUMERIC;
        } else if (sum->cas != 0 && sum->cas != item_cas(it)) {
            store_release(it);
            return STORE_EXISTS;
        } else {
            status = sum_item(it, key, sum, result);
        }
    } while (status == STORE_EXISTS);
    return status;
}

enum store_status store_arith(const struct store_key *key, bool incr,
                              uint64_t delta, uint64_t *result, uint64_t *cas,
                              struct store_found *found)
{
    struct store_sum sum = {
        .incr = incr, .delta = delta, .cas = cas != NULL ? *cas : 0};
    struct store_result done;
    enum store_status status = store_sum(key, &sum, &done, found);

    if (status == STORE_OK) {
        *result = done.number;
        if (cas != NULL) {
            *cas = done.cas;
        }
    }
    return status;
}
