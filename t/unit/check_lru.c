/* Unit tests of eviction, through the store: what goes and what stays. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/version.h"
#include "store.h"
#include "store_stats.h"

enum { VALUE = 1000 };

#define START_MS UINT64_C(1800000000000)

static void setup(void)
{
    struct store_config config = store_config_default();

    hash_init();
    clock_freeze(START_MS);
    version_init(VERSION_COUNTING, 0);
    config.memory_limit = 8 * MIB;
    ck_assert(store_init(&config));
}

static struct store_key key_of(char *buf, const char *prefix, int i)
{
    return store_key(buf, (size_t)sprintf(buf, "%s%d", prefix, i));
}

static void put(const char *prefix, int i, uint32_t exptime)
{
    char buf[32], value[VALUE] = {0};
    struct store_key key = key_of(buf, prefix, i);
    struct store_attrs attrs = {.exptime = exptime};

    ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, value, VALUE, NULL),
                     STORE_OK);
}

static bool get(const char *prefix, int i)
{
    char buf[32];
    struct store_key key = key_of(buf, prefix, i);
    struct item *it = store_hold(&key, NULL);

    if (it != NULL) {
        store_hit(it);
        store_release(it);
    }
    return it != NULL;
}

static int held(const char *prefix, int n)
{
    int found = 0;

    for (int i = 0; i < n; i++) {
        found += get(prefix, i) ? 1 : 0;
    }
    return found;
}

static struct store_class_stats class_of_value(void)
{
    struct store_class_stats c;

    for (unsigned i = 1; i <= store_class_max(); i++) {
        ck_assert(store_class_stats(i, &c));
        if (c.used_chunks > 0) {
            return c;
        }
    }
    ck_abort_msg("no class in use");
    return c;
}

START_TEST(what_is_hit_outlives_a_scan)
{
    /* Mixed with others: a run of hit tails longer than one eviction may pass
     * over would cost some of them. */
    for (int i = 0; i < 5000; i++) {
        put(i % 10 == 0 ? "hot" : "filler", i % 10 == 0 ? i / 10 : i, 0);
    }
    ck_assert_int_eq(held("hot", 500), 500);
    for (int i = 0; i < 100000; i++) {
        put("scan", i, 0);
        if (i % 4 == 0) {
            (void)get("hot", (i / 4) % 500);
        }
    }
    ck_assert_int_ge(held("hot", 500), 495);
}
END_TEST

START_TEST(what_is_not_hit_goes_first)
{
    for (int i = 0; i < 3000; i++) {
        put("cold", i, 0);
        put("hot", i, 0);
        ck_assert(get("hot", i));
    }
    for (int i = 0; i < 4000; i++) {
        put("new", i, 0);
    }
    ck_assert_int_lt(held("cold", 3000), held("hot", 3000));
}
END_TEST

START_TEST(the_ghost_sends_what_comes_back_to_the_main_queue)
{
    struct store_class_stats before, after;

    for (int i = 0; i < 20000; i++) {
        put("k", i, 0);
    }
    before = class_of_value();
    /* The last to be evicted are the ones the ghost still knows. */
    for (int i = 11000; i < 12000; i++) {
        ck_assert(!get("k", i));
        put("k", i, 0);
    }
    after = class_of_value();
    ck_assert_uint_gt(after.number_main_cold + after.number_main_hot,
                      before.number_main_cold + before.number_main_hot + 500);
}
END_TEST

START_TEST(dead_tails_go_before_live_ones)
{
    for (int i = 0; i < 3000; i++) {
        put("dying", i, clock_seconds() + 10);
    }
    for (int i = 0; i < 3000; i++) {
        put("live", i, 0);
    }
    clock_freeze(START_MS + 20000);
    for (int i = 0; i < 3000; i++) {
        put("new", i, 0);
    }
    ck_assert_int_eq(held("live", 3000), 3000);
    ck_assert_int_eq(held("new", 3000), 3000);
    ck_assert_uint_gt(class_of_value().reclaimed, 1000);
}
END_TEST

START_TEST(gauges_add_up)
{
    struct store_class_stats c;

    for (int i = 0; i < 15000; i++) {
        put("k", i % 9000, 0);
        (void)get("k", (i * 7919) % 9000);
    }
    c = class_of_value();
    ck_assert_uint_eq(c.number_small + c.number_main_hot + c.number_main_cold,
                      c.used_chunks);
    ck_assert_uint_eq(c.used_chunks + c.free_chunks,
                      c.total_pages * c.chunks_per_page);
    ck_assert_uint_gt(c.evicted, 0);
    /* A tenth of the class, give or take the item on its way. */
    ck_assert_uint_le(c.number_small, c.used_chunks / 10 + 2);
    store_stats_reset();
    ck_assert_uint_eq(class_of_value().evicted, 0);
    ck_assert_uint_eq(class_of_value().used_chunks, c.used_chunks);
}
END_TEST

static bool count_visit(void *ctx, struct item *it)
{
    int *n = ctx;

    ck_assert_uint_eq(it->nbytes, VALUE);
    return ++*n < 100;
}

START_TEST(a_class_can_be_listed_up_to_a_limit)
{
    int n = 0;

    for (int i = 0; i < 1000; i++) {
        put("k", i, 0);
    }
    for (unsigned i = 1; i <= store_class_max(); i++) {
        store_dump_class(i, count_visit, &n);
    }
    ck_assert_int_eq(n, 100);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lru");
    TCase *t = tcase_create("lru");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, store_fini);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    tcase_add_test(t, what_is_hit_outlives_a_scan);
    tcase_add_test(t, what_is_not_hit_goes_first);
    tcase_add_test(t, the_ghost_sends_what_comes_back_to_the_main_queue);
    tcase_add_test(t, dead_tails_go_before_live_ones);
    tcase_add_test(t, gauges_add_up);
    tcase_add_test(t, a_class_can_be_listed_up_to_a_limit);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
