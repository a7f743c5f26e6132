/* Unit tests of base/version. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/version.h"

#define NOW   (VERSION_EPOCH_MS + 1000000)
#define COUNT 20000

START_TEST(counting_gives_one_two_three)
{
    version_init(VERSION_COUNTING, 7);
    ck_assert_uint_eq(version_next(), 1);
    ck_assert_uint_eq(version_next(), 2);
    ck_assert_uint_eq(version_next(), 3);
    ck_assert_uint_eq(version_last(), 3);
    ck_assert(!version_is_hybrid());
}
END_TEST

START_TEST(hybrid_carries_time_and_slot)
{
    uint64_t v;

    clock_freeze(NOW);
    version_init(VERSION_HYBRID, 42);
    v = version_next();
    ck_assert(version_is_hybrid());
    ck_assert_uint_eq(version_ms(v), NOW);
    ck_assert_uint_eq(v & ((1U << VERSION_SLOT_BITS) - 1), 42);
    ck_assert_uint_eq(version_slot(), 42);
    ck_assert_uint_eq(version_last(), v);
}
END_TEST

START_TEST(hybrid_rises_while_the_clock_stands)
{
    uint64_t last = 0;

    clock_freeze(NOW);
    version_init(VERSION_HYBRID, 255);
    for (int i = 0; i < COUNT; i++) {
        uint64_t v = version_next();

        ck_assert_uint_gt(v, last);
        ck_assert_uint_eq(v & 255, 255);
        last = v;
    }
    /* 2^14 versions fit a millisecond; the rest carried into the next. */
    ck_assert_uint_eq(version_ms(last), NOW + 1);
}
END_TEST

/* Of `scatter`, in slot 5, `n` milliseconds after NOW. */
static uint64_t first_of(uint64_t scatter, unsigned n)
{
    clock_freeze(NOW + n);
    version_init(VERSION_HYBRID, 5);
    version_scatter(scatter);
    return version_next();
}

START_TEST(scattered_nodes_of_one_slot_draw_the_same_by_chance_alone)
{
    const uint64_t a = 0x9e3779b97f4a7c15U, b = 0xd1342543de82ef95U;
    unsigned same = 0;

    for (unsigned n = 0; n < COUNT; n++) {
        uint64_t v = first_of(a, n);

        ck_assert_uint_eq(version_ms(v), NOW + n);
        ck_assert_uint_eq(v & 255, 5);
        ck_assert_uint_lt(v - version_at_ms(NOW + n), UINT64_C(4096) << 8);
        same += v == first_of(b, n);
    }
    ck_assert_uint_lt(same, 20); /* 5 are to be expected */
}
END_TEST

START_TEST(scattered_versions_rise_by_one_within_a_millisecond)
{
    uint64_t v = first_of(0xd1342543de82ef95U, 0);

    for (unsigned i = 1; i < 1000; i++) {
        ck_assert_uint_eq(version_next(), v + (i << 8));
    }
}
END_TEST

START_TEST(scattered_versions_carry_into_the_next_millisecond)
{
    uint64_t last = first_of(0xd1342543de82ef95U, 0);

    for (int i = 0; i < COUNT; i++) {
        uint64_t v = version_next();

        ck_assert_uint_gt(v, last);
        last = v;
    }
    ck_assert_uint_eq(version_ms(last), NOW + 1);
}
END_TEST

/* Lifted by the clock of a third, they part again. */
START_TEST(scattered_nodes_part_behind_a_clock_they_hear)
{
    uint64_t heard = version_at_ms(NOW + 50), a;

    (void)first_of(0x9e3779b97f4a7c15U, 0);
    version_observe(heard);
    a = version_next();
    (void)first_of(0xd1342543de82ef95U, 0);
    version_observe(heard);
    ck_assert_uint_ne(version_next(), a);
    ck_assert_uint_eq(version_ms(a), NOW + 50);
    ck_assert_uint_gt(a, heard);
}
END_TEST

START_TEST(hybrid_rises_when_the_clock_goes_back)
{
    uint64_t v;

    clock_freeze(NOW);
    version_init(VERSION_HYBRID, 1);
    v = version_next();
    clock_freeze(NOW - 5000);
    ck_assert_uint_gt(version_next(), v);
}
END_TEST

START_TEST(hybrid_follows_the_clock)
{
    clock_freeze(NOW);
    version_init(VERSION_HYBRID, 1);
    ck_assert_uint_eq(version_ms(version_next()), NOW);
    clock_freeze(NOW + 77);
    ck_assert_uint_eq(version_ms(version_next()), NOW + 77);
}
END_TEST

START_TEST(next_is_above_what_was_observed)
{
    uint64_t peer;

    clock_freeze(NOW);
    version_init(VERSION_HYBRID, 1);
    /* A peer ahead of us, in a slot above ours. */
    peer = version_at_ms(NOW + 60000) | 200;
    version_observe(peer);
    ck_assert_uint_eq(version_last(), peer);
    ck_assert_uint_gt(version_next(), peer);
    ck_assert_uint_eq(version_last() & 255, 1);
}
END_TEST

START_TEST(observing_the_past_changes_nothing)
{
    uint64_t v;

    clock_freeze(NOW);
    version_init(VERSION_HYBRID, 1);
    v = version_next();
    version_observe(v - 1);
    version_observe(0);
    ck_assert_uint_eq(version_last(), v);
}
END_TEST

START_TEST(two_slots_never_draw_the_same)
{
    uint64_t a, b;

    clock_freeze(NOW);
    version_init(VERSION_HYBRID, 1);
    a = version_next();
    version_init(VERSION_HYBRID, 2);
    b = version_next();
    ck_assert_uint_ne(a, b);
    ck_assert_uint_eq(version_ms(a), version_ms(b));
}
END_TEST

START_TEST(slot_can_move)
{
    clock_freeze(NOW);
    version_init(VERSION_HYBRID, 1);
    version_set_slot(9);
    ck_assert_uint_eq(version_next() & 255, 9);
}
END_TEST

START_TEST(times_before_the_epoch_are_zero)
{
    ck_assert_uint_eq(version_at_ms(0), 0);
    ck_assert_uint_eq(version_at_ms(VERSION_EPOCH_MS), 0);
    ck_assert_uint_gt(version_at_ms(VERSION_EPOCH_MS + 1), 0);
}
END_TEST

START_TEST(versions_stay_below_the_sign_bit)
{
    /* 41 bits of milliseconds: almost seventy years. */
    uint64_t end = version_at_ms(VERSION_EPOCH_MS + (1ULL << 41) - 1);

    ck_assert_uint_lt(end, 1ULL << 63);
    ck_assert_uint_eq(version_ms(end), VERSION_EPOCH_MS + (1ULL << 41) - 1);
}
END_TEST

static void *draw_many(void *out)
{
    uint64_t *versions = out;

    for (int i = 0; i < COUNT; i++) {
        versions[i] = version_next();
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

START_TEST(threads_never_draw_the_same)
{
    static uint64_t drawn[2 * COUNT];
    pthread_t other;

    clock_freeze(NOW);
    version_init(VERSION_HYBRID, 3);
    version_scatter(0x9e3779b97f4a7c15U);
    ck_assert_int_eq(pthread_create(&other, NULL, draw_many, drawn), 0);
    (void)draw_many(drawn + COUNT);
    ck_assert_int_eq(pthread_join(other, NULL), 0);
    qsort(drawn, 2 * COUNT, sizeof(drawn[0]), by_value);
    for (int i = 1; i < 2 * COUNT; i++) {
        ck_assert_uint_lt(drawn[i - 1], drawn[i]);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("version");
    TCase *tc = tcase_create("version");
    SRunner *sr;
    int failed;

    tcase_add_test(tc, counting_gives_one_two_three);
    tcase_add_test(tc, hybrid_carries_time_and_slot);
    tcase_add_test(tc, hybrid_rises_while_the_clock_stands);
    tcase_add_test(tc,
                   scattered_nodes_of_one_slot_draw_the_same_by_chance_alone);
    tcase_add_test(tc, scattered_versions_rise_by_one_within_a_millisecond);
    tcase_add_test(tc, scattered_versions_carry_into_the_next_millisecond);
    tcase_add_test(tc, scattered_nodes_part_behind_a_clock_they_hear);
    tcase_add_test(tc, hybrid_rises_when_the_clock_goes_back);
    tcase_add_test(tc, hybrid_follows_the_clock);
    tcase_add_test(tc, next_is_above_what_was_observed);
    tcase_add_test(tc, observing_the_past_changes_nothing);
    tcase_add_test(tc, two_slots_never_draw_the_same);
    tcase_add_test(tc, slot_can_move);
    tcase_add_test(tc, times_before_the_epoch_are_zero);
    tcase_add_test(tc, versions_stay_below_the_sign_bit);
    tcase_add_test(tc, threads_never_draw_the_same);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
