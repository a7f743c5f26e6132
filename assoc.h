/*
 * assoc - the index: which chunk holds a key.
 *
 * 4096 stripes, each a lock and a hash table of its own: there is no global
 * phase and no growth thread. The top 12 bits of the hash choose the stripe,
 * the next 24 are the key's fragment. Bucket = fragment * n / 2^24, so buckets
 * are in fragment order at every n, and a walk by fragment is not disturbed by
 * growth. A bucket is one cache line of 7 slots {fragment 24, ref 40} and the
 * number of an overflow line; all lines of a chain but the last are full.
 *
 * Layer:     2. Includes layers 0-1, items.h and slabs.h.
 * Threads:   any; all but the prefetches need the stripe's lock.
 * Locks:     callers take LOCK_STRIPE by assoc_take; never two at once.
 * Ownership: the index borrows items; store counts its reference.
 */
#ifndef ASSOC_H
#define ASSOC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/lock.h"
#include "base/util.h"
#include "items.h"
#include "slabs.h"

#define ASSOC_STRIPES  4096
#define ASSOC_SLOTS    7
#define ASSOC_FRAGMENT 24 /* bits */
#define ASSOC_REF_MASK ((UINT64_C(1) << 40) - 1)

struct assoc_line {
    uint64_t slot[ASSOC_SLOTS]; /* fragment << 40 | ref; 0 free */
    uint32_t next;              /* overflow line, 0 none */
    uint32_t spare;
};

struct assoc_stripe {
    _Alignas(64) struct lock lock;
    /* Both [I]; atomic because prefetches read them without the lock. */
    atomic_uint n; /* buckets; lines from n on are for overflow */
    _Atomic(struct assoc_line *) lines;
    uint32_t fresh;     /* [I] first overflow line never used */
    uint32_t end;       /* [I] lines there are */
    uint32_t free_line; /* [I] overflow lines given back, by next; 0 none */
    uint32_t count;     /* [I] items */
    uint64_t links;     /* [I] items ever linked here */
};

_Static_assert(sizeof(struct assoc_line) == 64, "a bucket is a cache line");
_Static_assert(sizeof(struct assoc_stripe) == 64, "a stripe is a cache line");

/* [c] after assoc_init. */
extern struct assoc_stripe *assoc_stripes;

bool assoc_init(void) MUST_CHECK;
void assoc_fini(void);

static inline uint32_t assoc_stripe_of(uint64_t hv)
{
    return (uint32_t)(hv >> 52);
}

static inline uint32_t assoc_fragment(uint64_t hv)
{
    return (uint32_t)(hv >> 28) & ((1U << ASSOC_FRAGMENT) - 1);
}

static inline struct assoc_stripe *assoc_take(uint32_t stripe)
{
    lock_take(&assoc_stripes[stripe].lock, LOCK_STRIPE);
    return &assoc_stripes[stripe];
}

/* NULL when somebody else holds it. Allowed against the lock order. */
static inline struct assoc_stripe *assoc_try(uint32_t stripe)
{
    struct assoc_stripe *s = &assoc_stripes[stripe];

    return lock_try(&s->lock, LOCK_STRIPE) ? s : NULL;
}

static inline void assoc_drop(struct assoc_stripe *s)
{
    lock_drop(&s->lock, LOCK_STRIPE);
}

static inline struct assoc_line *assoc_bucket(const struct assoc_stripe *s,
                                              uint32_t fragment)
{
    uint64_t n = atomic_load_explicit(&s->n, memory_order_relaxed);

    return atomic_load_explicit(&s->lines, memory_order_relaxed) +
           ((fragment * n) >> ASSOC_FRAGMENT);
}

/* The item with this key, dead or alive, or NULL. */
static inline struct item *assoc_find(const struct assoc_stripe *s, uint64_t hv,
                                      const char *key, size_t nkey)
{
    const struct assoc_line *line = assoc_bucket(s, assoc_fragment(hv));
    uint64_t fragment = assoc_fragment(hv);

    for (;;) {
        for (int i = 0; i < ASSOC_SLOTS; i++) {
            uint64_t slot = line->slot[i];
            struct item *it;

            if (slot >> 40 != fragment || slot == 0) {
                continue;
            }
            it = slabs_ptr(slot & ASSOC_REF_MASK);
            if (it->nkey == nkey && memcmp(item_key(it), key, nkey) == 0) {
                return it;
            }
        }
        if (line->next == 0) {
            return NULL;
        }
        line =
            atomic_load_explicit(&s->lines, memory_order_relaxed) + line->next;
    }
}

/* So many items are on their way: a table that grows is made large enough for
 * its share at once. Any thread; a hint. */
void assoc_expect(uint64_t items);

/* Adds an item whose key is not there. false when out of memory. */
bool assoc_insert(struct assoc_stripe *s, uint64_t hv,
                  const struct item *it) MUST_CHECK;

/* Puts `it` in the place of `old`, which has the same key. */
void assoc_replace(struct assoc_stripe *s, uint64_t hv, const struct item *old,
                   const struct item *it);

/* Takes out an item that is there. */
void assoc_remove(struct assoc_stripe *s, uint64_t hv, const struct item *it);

/* As much as the small items have that most are. */
static inline void assoc_prefetch_ref(item_ref ref)
{
    const char *p = slabs_ptr(ref);

    PREFETCH(p);
    PREFETCH(p + 64);
    PREFETCH(p + 128);
}

/* Prefetches the first item that may have this key; skips a busy stripe. */
void assoc_prefetch_item(uint64_t hv);

/* Visits the items of one bucket from `*fragment` on, in fragment order, and
 * moves it to the next bucket's first, or to 2^24 at the end. A visit that
 * returns false leaves *fragment at that item; others of the same fragment
 * (one pair in 16 million of a stripe) may then be visited again. Returns how
 * many it visited. */
unsigned assoc_visit_bucket(const struct assoc_stripe *s, uint32_t *fragment,
                            bool (*visit)(void *ctx, struct item *it),
                            void *ctx, bool *stopped);

/* Sums over all stripes; takes each lock in turn. */
struct assoc_totals {
    uint64_t items, links, bytes, slots;
};
void assoc_totals(struct assoc_totals *out);

#endif
