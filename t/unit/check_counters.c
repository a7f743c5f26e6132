/* Unit tests of counters. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "counters.h"

enum { ROUNDS = 100000 };

START_TEST(new_set_counts_from_zero)
{
    struct counters_sum sum;
    struct counters *c = counters_new();

    ck_assert_ptr_nonnull(c);
    counters_sum(&sum);
#define COUNTER(name) ck_assert_uint_eq(sum.name, 0);
#include "stats.def"
#undef COUNTER
}
END_TEST

START_TEST(sets_are_summed)
{
    struct counters_sum sum;
    struct counters *a = counters_new();
    struct counters *b = counters_new();

    COUNT(a, cmd_get);
    COUNT(b, cmd_get);
    counter_add(&b->bytes_read, 1000);
    counters_sum(&sum);
    ck_assert_uint_eq(sum.cmd_get, 2);
    ck_assert_uint_eq(sum.bytes_read, 1000);
    ck_assert_uint_eq(sum.cmd_set, 0);
}
END_TEST

START_TEST(class_counters_are_kept_apart)
{
    struct counters_sum sum;
    struct counters *a = counters_new();

    counter_add(&a->by_class[1][CLASS_GET_HITS], 3);
    counter_add(&a->by_class[COUNTERS_CLASSES - 1][CLASS_TOUCH_HITS], 5);
    counter_add(&a->hits_to[2][1], 7);
    counters_sum(&sum);
    ck_assert_uint_eq(sum.by_class[1][CLASS_GET_HITS], 3);
    ck_assert_uint_eq(sum.by_class[1][CLASS_CMD_SET], 0);
    ck_assert_uint_eq(sum.by_class[2][CLASS_GET_HITS], 0);
    ck_assert_uint_eq(sum.by_class[COUNTERS_CLASSES - 1][CLASS_TOUCH_HITS], 5);
    ck_assert_uint_eq(sum.hits_to[2][1], 7);
}
END_TEST

START_TEST(reset_starts_every_counter_again)
{
    struct counters_sum sum;
    struct counters *a = counters_new();

#define COUNTER(name) COUNT(a, name);
#include "stats.def"
#undef COUNTER
    counter_add(&a->by_class[4][CLASS_CMD_SET], 9);
    counter_add(&a->hits_to[4][0], 9);
    counters_reset();
    counters_sum(&sum);
#define COUNTER(name) ck_assert_uint_eq(sum.name, 0);
#include "stats.def"
#undef COUNTER
    ck_assert_uint_eq(sum.by_class[4][CLASS_CMD_SET], 0);
    ck_assert_uint_eq(sum.hits_to[4][0], 0);
}
END_TEST

START_TEST(counting_goes_on_after_a_reset)
{
    struct counters_sum sum;
    struct counters *a = counters_new();

    counter_add(&a->cmd_get, 10);
    counters_reset();
    counter_add(&a->cmd_get, 2);
    counters_sum(&sum);
    ck_assert_uint_eq(sum.cmd_get, 2);
    counters_reset();
    counters_sum(&sum);
    ck_assert_uint_eq(sum.cmd_get, 0);
}
END_TEST

static void *count_many(void *set)
{
    struct counters *c = set;

    for (int i = 0; i < ROUNDS; i++) {
        COUNT(c, cmd_get);
    }
    return NULL;
}

START_TEST(owners_count_while_others_read)
{
    struct counters_sum sum;
    struct counters *a = counters_new();
    struct counters *b = counters_new();
    pthread_t thread;
    uint64_t last = 0;

    ck_assert_int_eq(pthread_create(&thread, NULL, count_many, a), 0);
    for (int i = 0; i < 100; i++) {
        counters_sum(&sum);
        ck_assert_uint_ge(sum.cmd_get, last);
        last = sum.cmd_get;
    }
    (void)count_many(b);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    counters_sum(&sum);
    ck_assert_uint_eq(sum.cmd_get, 2 * ROUNDS);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("counters");
    TCase *tc = tcase_create("counters");
    SRunner *sr;
    int failed;

    tcase_add_test(tc, new_set_counts_from_zero);
    tcase_add_test(tc, sets_are_summed);
    tcase_add_test(tc, class_counters_are_kept_apart);
    tcase_add_test(tc, reset_starts_every_counter_again);
    tcase_add_test(tc, counting_goes_on_after_a_reset);
    tcase_add_test(tc, owners_count_while_others_read);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
