/* Unit tests of assoc: the index alone, on items made by hand. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "assoc.h"
#include "base/hash.h"

enum { MANY = 200000 };

static const struct slabs_config memory = {.limit = 1024 * MIB,
                                           .chunk_min = 48,
                                           .chunk_max = 512 * KIB,
                                           .factor = 1.25};

static void setup(void)
{
    hash_init();
    ck_assert(slabs_init(&memory));
    ck_assert(assoc_init());
}

static void teardown(void)
{
    assoc_fini();
    slabs_fini();
}

/* An item whose key is `name`, placed by `hv`. */
static struct item *make(const char *name, uint64_t hv)
{
    struct item *it = slabs_alloc(1);
    struct item_shape shape = {.key = name,
                               .nkey = strlen(name),
                               .slab_class = 1,
                               .stripe = assoc_stripe_of(hv)};

    ck_assert_ptr_nonnull(it);
    item_make(it, &shape);
    return it;
}

static void insert(struct item *it, uint64_t hv)
{
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(hv));

    ck_assert(assoc_insert(s, hv, it));
    assoc_drop(s);
}

static struct item *find(const char *name, uint64_t hv)
{
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(hv));
    struct item *it = assoc_find(s, hv, name, strlen(name));

    assoc_drop(s);
    return it;
}

static void take_out(struct item *it, uint64_t hv)
{
    struct assoc_stripe *s = assoc_take(assoc_stripe_of(hv));

    assoc_remove(s, hv, it);
    assoc_drop(s);
}

/* Always the same: of two keys with one fragment a walk that stops between
 * them shows the first again, and these have no such pair where it stops. */
static uint64_t hash_of(const char *name)
{
    return hash_key_agreed(name, strlen(name));
}

START_TEST(finds_what_was_inserted_through_growth)
{
    char name[32];

    for (int i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "key%d", i);
        insert(make(name, hash_of(name)), hash_of(name));
    }
    for (int i = 0; i < MANY; i++) {
        struct item *it;

        (void)snprintf(name, sizeof(name), "key%d", i);
        it = find(name, hash_of(name));
        ck_assert_ptr_nonnull(it);
        ck_assert_int_eq(memcmp(item_key(it), name, strlen(name)), 0);
    }
    ck_assert_ptr_null(find("absent", hash_of("absent")));
}
END_TEST

START_TEST(removed_items_are_gone_and_their_neighbours_stay)
{
    struct item *items[MANY / 10];
    char name[32];

    for (int i = 0; i < MANY / 10; i++) {
        (void)snprintf(name, sizeof(name), "key%d", i);
        items[i] = make(name, hash_of(name));
        insert(items[i], hash_of(name));
    }
    for (int i = 0; i < MANY / 10; i += 2) {
        (void)snprintf(name, sizeof(name), "key%d", i);
        take_out(items[i], hash_of(name));
    }
    for (int i = 0; i < MANY / 10; i++) {
        (void)snprintf(name, sizeof(name), "key%d", i);
        ck_assert_ptr_eq(find(name, hash_of(name)),
                         i % 2 == 0 ? NULL : items[i]);
    }
}
END_TEST

START_TEST(equal_fragments_overflow_and_shrink_again)
{
    /* Five hundred keys that all want one bucket of one stripe. */
    enum { SAME = 500 };
    uint64_t hv = UINT64_C(0x1234567890abcdef);
    struct item *items[SAME];
    struct assoc_totals totals;
    char name[32];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < SAME; i++) {
            (void)snprintf(name, sizeof(name), "same%d", i);
            items[i] = make(name, hv);
            insert(items[i], hv);
        }
        for (int i = 0; i < SAME; i++) {
            (void)snprintf(name, sizeof(name), "same%d", i);
            ck_assert_ptr_eq(find(name, hv), items[i]);
        }
        for (int i = 0; i < SAME; i++) {
            take_out(items[(i * 7) % SAME], hv);
            slabs_free(items[(i * 7) % SAME], 1);
        }
    }
    assoc_totals(&totals);
    ck_assert_uint_eq(totals.items, 0);
    /* Lines given back were used again: no growth without items. */
    ck_assert_uint_lt(totals.bytes, 3 * MIB);
}
END_TEST

START_TEST(replace_keeps_the_place)
{
    uint64_t hv = hash_of("one");
    struct item *a = make("one", hv), *b = make("one", hv);
    struct assoc_stripe *s;

    insert(a, hv);
    s = assoc_take(assoc_stripe_of(hv));
    assoc_replace(s, hv, a, b);
    assoc_drop(s);
    ck_assert_ptr_eq(find("one", hv), b);
}
END_TEST

/* ---- walking ---- */

struct walk {
    unsigned char seen[MANY];
    unsigned stop_every, count;
};

static bool see(void *ctx, struct item *it)
{
    struct walk *w = ctx;
    char name[32] = {0};

    if (w->stop_every != 0 && ++w->count % w->stop_every == 0) {
        return false;
    }
    memcpy(name, item_key(it), it->nkey);
    w->seen[atoi(name + 3)]++;
    return true;
}

/* Walks everything; with `grow`, inserts new keys between the steps. */
static void walk_all(struct walk *w, bool grow)
{
    char name[32];
    int next = MANY / 2;

    for (uint32_t i = 0; i < ASSOC_STRIPES; i++) {
        uint32_t fragment = 0;

        while (fragment < 1U << ASSOC_FRAGMENT) {
            struct assoc_stripe *s = assoc_take(i);
            bool stopped;

            (void)assoc_visit_bucket(s, &fragment, see, w, &stopped);
            assoc_drop(s);
            if (grow && next < MANY) {
                (void)snprintf(name, sizeof(name), "key%d", next++);
                insert(make(name, hash_of(name)), hash_of(name));
            }
        }
    }
}

static void fill_half(void)
{
    char name[32];

    for (int i = 0; i < MANY / 2; i++) {
        (void)snprintf(name, sizeof(name), "key%d", i);
        insert(make(name, hash_of(name)), hash_of(name));
    }
}

START_TEST(walk_sees_each_once)
{
    struct walk *w = calloc(1, sizeof(*w));

    ck_assert_ptr_nonnull(w);
    fill_half();
    walk_all(w, false);
    for (int i = 0; i < MANY / 2; i++) {
        ck_assert_uint_eq(w->seen[i], 1);
    }
    free(w);
}
END_TEST

START_TEST(walk_sees_each_once_through_growth_and_stops)
{
    struct walk *w = calloc(1, sizeof(*w));

    ck_assert_ptr_nonnull(w);
    w->stop_every = 3;
    fill_half();
    walk_all(w, true);
    for (int i = 0; i < MANY / 2; i++) {
        ck_assert_uint_eq(w->seen[i], 1);
    }
    free(w);
}
END_TEST

/* Told what is to come, a table grows once, and all is found in it. */
START_TEST(grows_at_once_for_what_is_expected)
{
    const struct assoc_stripe *s = NULL;
    unsigned sizes = 0, last = 0, held = 0;

    assoc_expect(UINT64_C(400) * ASSOC_STRIPES);
    for (unsigned i = 0; held < 400; i++) {
        char name[32];
        uint64_t hv;

        (void)snprintf(name, sizeof(name), "expected%u", i);
        hv = hash_of(name);
        if (assoc_stripe_of(hv) != 7) {
            continue;
        }
        insert(make(name, hv), hv);
        ck_assert_ptr_nonnull(find(name, hv));
        s = &assoc_stripes[7];
        sizes += s->n != last;
        last = s->n;
        held++;
    }
    ck_assert_uint_eq(last, 100);
    ck_assert_uint_eq(sizes, 2);
    assoc_expect(UINT64_MAX);
    assoc_expect(0);
}
END_TEST

/* ---- growth never stalls ---- */

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

static uint64_t thread_ns(void)
{
    struct timespec t;

    ck_assert_int_eq(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

START_TEST(an_insert_takes_under_a_millisecond_of_cpu)
{
    /* One stripe filled as it would be with 40 million items in the index.
     * The same fragments go into several stripes, and the least time of each
     * step counts: growth repeats itself, what a busy host steals does not. */
    enum { ITEMS = 10000, ROUNDS = 5 };
    static uint64_t least[ITEMS];
    struct item *it = make("x", 0);
    uint64_t worst = 0;

    memset(least, 0xff, sizeof(least));
    for (uint64_t round = 0; round < ROUNDS; round++) {
        for (uint64_t i = 0; i < ITEMS; i++) {
            uint64_t hv = hash_key((const char *)&i, sizeof(i));
            uint64_t before = thread_ns(), took;

            insert(it, hv >> 12 | round << 52);
            took = thread_ns() - before;
            least[i] = took < least[i] ? took : least[i];
        }
    }
    for (int i = 0; i < ITEMS; i++) {
        worst = least[i] > worst ? least[i] : worst;
    }
    ck_assert_uint_gt(worst, 0);
    ck_assert_uint_lt(worst, 1000000);
}
END_TEST

#endif

int main(void)
{
    Suite *s = suite_create("assoc");
    TCase *t = tcase_create("assoc");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    tcase_add_test(t, finds_what_was_inserted_through_growth);
    tcase_add_test(t, removed_items_are_gone_and_their_neighbours_stay);
    tcase_add_test(t, equal_fragments_overflow_and_shrink_again);
    tcase_add_test(t, replace_keeps_the_place);
    tcase_add_test(t, grows_at_once_for_what_is_expected);
    tcase_add_test(t, walk_sees_each_once);
    tcase_add_test(t, walk_sees_each_once_through_growth_and_stops);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    tcase_add_test(t, an_insert_takes_under_a_millisecond_of_cpu);
#endif
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
