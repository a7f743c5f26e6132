#include "assoc.h"

#include <stdlib.h>
#include <sys/mman.h>

enum {
    FIRST_BUCKETS = 2,
    MAP_FROM = 4096, /* bytes; larger arrays come from mmap: see lines_new */
    FULL_BUCKET = 3, /* growth begins above this many items a bucket */
    VISIT_MAX = 256, /* items of one bucket put in order at a time */
    VISIT_AHEAD = 2, /* buckets whose items are fetched early */
    EXPECT_FILL = 4, /* items a bucket of a table made for those on their way */
    EXPECT_MAX = 16384, /* its buckets: 1.2 MB, filled within a millisecond */
};

struct assoc_stripe *assoc_stripes;

static atomic_uint expected; /* [a] buckets of a table: assoc_expect, grow */

static struct assoc_line *lines_of(const struct assoc_stripe *s)
{
    return atomic_load_explicit(&s->lines, memory_order_relaxed);
}

static uint32_t buckets_of(const struct assoc_stripe *s)
{
    return atomic_load_explicit(&s->n, memory_order_relaxed);
}

/* Whole pages from mmap: malloc of these sizes was seen to stall for 13 ms
 * while it trimmed or consolidated its heap. All of it is about to be filled:
 * the kernel fetches its memory in one go. */
static struct assoc_line *lines_new(size_t n)
{
    size_t bytes = n * sizeof(struct assoc_line);
    void *p;

    if (bytes >= MAP_FROM) {
        p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        return p == MAP_FAILED ? NULL : p;
    }
    p = aligned_alloc(64, bytes);
    if (p != NULL) {
        memset(p, 0, bytes);
    }
    return p;
}

static void lines_free(struct assoc_line *lines, size_t n)
{
    size_t bytes = n * sizeof(struct assoc_line);

    if (bytes >= MAP_FROM) {
        (void)munmap(lines, bytes); /* only fails on bad arguments */
    } else {
        free(lines);
    }
}

/* Gives `s` an empty table of `n` buckets and `spare` overflow lines. */
static bool table_new(struct assoc_stripe *s, uint32_t n, uint32_t spare)
{
    struct assoc_line *lines = lines_new((size_t)n + spare);

    if (lines == NULL) {
        return false;
    }
    atomic_store_explicit(&s->lines, lines, memory_order_relaxed);
    atomic_store_explicit(&s->n, n, memory_order_relaxed);
    s->fresh = n;
    s->end = n + spare;
    s->free_line = 0;
    return true;
}

static uint32_t spare_for(uint32_t n)
{
    return n / 8 + 1;
}

bool assoc_init(void)
{
    assoc_stripes = aligned_alloc(64, ASSOC_STRIPES * sizeof(*assoc_stripes));
    if (assoc_stripes == NULL) {
        return false;
    }
    memset(assoc_stripes, 0, ASSOC_STRIPES * sizeof(*assoc_stripes));
    for (int i = 0; i < ASSOC_STRIPES; i++) {
        if (!table_new(&assoc_stripes[i], FIRST_BUCKETS,
                       spare_for(FIRST_BUCKETS))) {
            assoc_fini();
            return false;
        }
    }
    return true;
}

void assoc_fini(void)
{
    for (int i = 0; i < ASSOC_STRIPES; i++) {
        struct assoc_stripe *s = &assoc_stripes[i];

        if (lines_of(s) != NULL) {
            lines_free(lines_of(s), s->end);
        }
    }
    free(assoc_stripes);
    assoc_stripes = NULL;
}

static uint64_t slot_for(uint64_t fragment, uint64_t ref)
{
    return fragment << 40 | ref;
}

/* An overflow line, emptied; 0 when none is spare. */
static uint32_t spare_take(struct assoc_stripe *s)
{
    uint32_t line = s->free_line;

    if (line != 0) {
        s->free_line = lines_of(s)[line].next;
        lines_of(s)[line].next = 0;
    } else if (s->fresh < s->end) {
        line = s->fresh++;
    }
    return line;
}

/* Puts a slot into its bucket; false when that needs a line and none is
 * spare. */
static bool slot_put(struct assoc_stripe *s, uint64_t slot)
{
    struct assoc_line *line = assoc_bucket(s, (uint32_t)(slot >> 40));
    uint32_t spare;

    while (line->next != 0) {
        line = lines_of(s) + line->next;
    }
    for (int i = 0; i < ASSOC_SLOTS; i++) {
        if (line->slot[i] == 0) {
            line->slot[i] = slot;
            return true;
        }
    }
    spare = spare_take(s);
    if (spare == 0) {
        return false;
    }
    line->next = spare;
    lines_of(s)[spare].slot[0] = slot;
    return true;
}

/* Puts every slot of `lines` into the (new) table of `s`. */
static bool refill(struct assoc_stripe *s, const struct assoc_line *lines,
                   uint32_t used)
{
    for (uint32_t i = 0; i < used; i++) {
        for (int k = 0; k < ASSOC_SLOTS; k++) {
            if (lines[i].slot[k] != 0 && !slot_put(s, lines[i].slot[k])) {
                return false;
            }
        }
    }
    return true;
}

void assoc_expect(uint64_t items)
{
    uint64_t buckets = items / (ASSOC_STRIPES * EXPECT_FILL);

    atomic_store_explicit(
        &expected, (unsigned)(buckets < EXPECT_MAX ? buckets : EXPECT_MAX),
        memory_order_relaxed);
}

static uint32_t larger(uint32_t buckets)
{
    uint32_t wanted = atomic_load_explicit(&expected, memory_order_relaxed);
    uint32_t n = buckets + buckets / 2;

    return n > wanted ? n : wanted;
}

/* Builds the table anew, half as large again when the items justify it, and
 * otherwise (many equal fragments) with more overflow lines only. */
static bool grow(struct assoc_stripe *s)
{
    struct assoc_stripe old = {.fresh = s->fresh, .end = s->end};
    struct assoc_line *lines = lines_of(s);
    uint32_t buckets = buckets_of(s), free_line = s->free_line;
    uint32_t n = buckets, spare = (s->end - buckets) * 2;

    if (s->count > FULL_BUCKET * buckets) {
        n = larger(buckets);
        spare = spare_for(n);
    }
    for (;; spare *= 2) {
        if (!table_new(s, n, spare)) {
            atomic_store_explicit(&s->lines, lines, memory_order_relaxed);
            atomic_store_explicit(&s->n, buckets, memory_order_relaxed);
            s->fresh = old.fresh;
            s->end = old.end;
            s->free_line = free_line;
            return false;
        }
        /* Lines given back are empty, so all used ones can be read. */
        if (refill(s, lines, old.fresh)) {
            lines_free(lines, old.end);
            return true;
        }
        lines_free(lines_of(s), s->end);
    }
}

bool assoc_insert(struct assoc_stripe *s, uint64_t hv, const struct item *it)
{
    uint64_t slot = slot_for(assoc_fragment(hv), slabs_ref(it));

    lock_assert(LOCK_STRIPE);
    while (!slot_put(s, slot)) {
        if (!grow(s)) {
            return false;
        }
    }
    s->count++;
    s->links++;
    return true;
}

/* The place of `it`, and in *last and *before the last line of its chain and
 * the one that leads to it (NULL: it is the bucket). */
static uint64_t *locate(struct assoc_stripe *s, uint64_t hv,
                        const struct item *it, struct assoc_line **last,
                        struct assoc_line **before)
{
    uint64_t slot = slot_for(assoc_fragment(hv), slabs_ref(it));
    uint64_t *found = NULL;

    *before = NULL;
    *last = assoc_bucket(s, assoc_fragment(hv));
    for (;;) {
        for (int i = 0; i < ASSOC_SLOTS; i++) {
            if ((*last)->slot[i] == slot) {
                found = &(*last)->slot[i];
            }
        }
        if ((*last)->next == 0) {
            break;
        }
        *before = *last;
        *last = lines_of(s) + (*last)->next;
    }
    assert(found != NULL);
    return found;
}

void assoc_replace(struct assoc_stripe *s, uint64_t hv, const struct item *old,
                   const struct item *it)
{
    struct assoc_line *last, *before;

    lock_assert(LOCK_STRIPE);
    *locate(s, hv, old, &last, &before) =
        slot_for(assoc_fragment(hv), slabs_ref(it));
    s->links++;
}

void assoc_remove(struct assoc_stripe *s, uint64_t hv, const struct item *it)
{
    struct assoc_line *last, *before;
    uint64_t *hole;
    int top = ASSOC_SLOTS - 1;

    lock_assert(LOCK_STRIPE);
    hole = locate(s, hv, it, &last, &before);
    while (last->slot[top] == 0) {
        top--;
    }
    *hole = last->slot[top];
    last->slot[top] = 0;
    if (top == 0 && before != NULL) {
        last->next = s->free_line;
        s->free_line = before->next;
        before->next = 0;
    }
    s->count--;
}

void assoc_prefetch_item(uint64_t hv)
{
    struct assoc_stripe *s = assoc_try(assoc_stripe_of(hv));
    const struct assoc_line *line;

    if (s == NULL) {
        return;
    }
    line = assoc_bucket(s, assoc_fragment(hv));
    for (int i = 0; i < ASSOC_SLOTS; i++) {
        if (line->slot[i] >> 40 == assoc_fragment(hv)) {
            assoc_prefetch_ref(line->slot[i] & ASSOC_REF_MASK);
            break;
        }
    }
    assoc_drop(s);
}

/* Slots sort by fragment, since it is their top bits. */
static void sort_slots(uint64_t *v, unsigned n)
{
    for (unsigned i = 1; i < n; i++) {
        uint64_t x = v[i];
        unsigned k = i;

        for (; k > 0 && v[k - 1] > x; k--) {
            v[k] = v[k - 1];
        }
        v[k] = x;
    }
}

/* Slots of one bucket from fragment `from` up to but without `next`. */
struct collected {
    uint64_t slot[VISIT_MAX];
    unsigned n;
    uint32_t from, next;
};

/* Beyond VISIT_MAX (only crafted hashes reach it) the greatest fragments are
 * left for the next call. */
static void collect_slot(struct collected *c, uint64_t slot)
{
    if (slot == 0 || slot >> 40 < c->from || slot >> 40 >= c->next) {
        return;
    }
    if (c->n == VISIT_MAX) {
        sort_slots(c->slot, c->n);
        c->next = (uint32_t)(c->slot[--c->n] >> 40);
        c->next = c->next > c->from ? c->next : c->from + 1; /* move on */
    }
    c->slot[c->n++] = slot;
}

static void collect(const struct assoc_stripe *s, struct collected *c)
{
    const struct assoc_line *line = assoc_bucket(s, c->from);

    for (;;) {
        for (int i = 0; i < ASSOC_SLOTS; i++) {
            collect_slot(c, line->slot[i]);
        }
        if (line->next == 0) {
            break;
        }
        line = lines_of(s) + line->next;
    }
    sort_slots(c->slot, c->n);
}

/* So that the cache misses of a walk overlap. */
static void prefetch_bucket(const struct assoc_stripe *s, uint64_t bucket)
{
    const struct assoc_line *line = lines_of(s) + bucket;

    if (bucket >= buckets_of(s)) {
        return;
    }
    for (int i = 0; i < ASSOC_SLOTS; i++) {
        if (line->slot[i] != 0) {
            assoc_prefetch_ref(line->slot[i] & ASSOC_REF_MASK);
        }
    }
}

unsigned assoc_visit_bucket(const struct assoc_stripe *s, uint32_t *fragment,
                            bool (*visit)(void *ctx, struct item *it),
                            void *ctx, bool *stopped)
{
    uint64_t n = buckets_of(s);
    uint64_t bucket = (*fragment * n) >> ASSOC_FRAGMENT;
    struct collected c;

    lock_assert(LOCK_STRIPE);
    prefetch_bucket(s, bucket + VISIT_AHEAD);
    c.n = 0;
    c.from = *fragment;
    /* The least fragment of the bucket behind this one, rounded up. */
    c.next = (uint32_t)((((bucket + 1) << ASSOC_FRAGMENT) + n - 1) / n);
    collect(s, &c);
    for (unsigned i = 0; i < c.n && c.slot[i] >> 40 < c.next; i++) {
        if (!visit(ctx, slabs_ptr(c.slot[i] & ASSOC_REF_MASK))) {
            *fragment = (uint32_t)(c.slot[i] >> 40);
            *stopped = true;
            return i;
        }
    }
    *fragment = c.next;
    *stopped = false;
    return c.n;
}

void assoc_totals(struct assoc_totals *out)
{
    *out = (struct assoc_totals){.bytes = ASSOC_STRIPES *
                                          sizeof(struct assoc_stripe)};
    for (uint32_t i = 0; i < ASSOC_STRIPES; i++) {
        struct assoc_stripe *s = assoc_take(i);

        out->items += s->count;
        out->links += s->links;
        out->slots += (uint64_t)buckets_of(s) * ASSOC_SLOTS;
        out->bytes += s->end * sizeof(struct assoc_line);
        assoc_drop(s);
    }
}
