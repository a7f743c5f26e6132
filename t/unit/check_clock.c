/* Unit tests of base/clock. */
#include <check.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

START_TEST(init_publishes_the_wall_clock)
{
    time_t before = time(NULL);

    clock_init();
    /* The two clocks round apart by a second at most. */
    ck_assert_uint_ge(clock_seconds() + 1, (uint64_t)before);
    ck_assert_uint_le(clock_seconds(), (uint64_t)time(NULL) + 1);
    ck_assert_uint_eq(clock_started(), clock_seconds());
}
END_TEST

START_TEST(tick_never_goes_back)
{
    uint64_t last;

    clock_init();
    last = clock_ms();
    for (int i = 0; i < 10000; i++) {
        clock_tick();
        ck_assert_uint_ge(clock_ms(), last);
        last = clock_ms();
    }
}
END_TEST

START_TEST(tick_does_not_undo_a_later_reading)
{
    uint64_t ahead;

    clock_init();
    ahead = clock_ms() + 3600 * 1000;
    atomic_store(&clock_published_ms, ahead);
    clock_tick();
    ck_assert_uint_eq(clock_ms(), ahead);
}
END_TEST

START_TEST(frozen_clock_moves_by_hand_only)
{
    clock_freeze(1700000000999ULL);
    ck_assert_uint_eq(clock_ms(), 1700000000999ULL);
    ck_assert_uint_eq(clock_seconds(), 1700000000);
    clock_tick();
    ck_assert_uint_eq(clock_ms(), 1700000000999ULL);
    clock_freeze(1700000001000ULL);
    ck_assert_uint_eq(clock_seconds(), 1700000001);
}
END_TEST

START_TEST(first_freeze_is_the_start_of_the_process)
{
    clock_freeze(1700000000500ULL);
    clock_freeze(1700000100500ULL);
    ck_assert_uint_eq(clock_started(), 1700000000);
}
END_TEST

START_TEST(mono_grows)
{
    struct mono a = clock_mono();
    struct mono b;

    do {
        b = clock_mono();
        ck_assert_uint_ge(b.ns, a.ns);
    } while (b.ns == a.ns);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("clock");
    TCase *tc = tcase_create("clock");
    SRunner *sr;
    int failed;

    tcase_add_test(tc, init_publishes_the_wall_clock);
    tcase_add_test(tc, tick_never_goes_back);
    tcase_add_test(tc, tick_does_not_undo_a_later_reading);
    tcase_add_test(tc, frozen_clock_moves_by_hand_only);
    tcase_add_test(tc, first_freeze_is_the_start_of_the_process);
    tcase_add_test(tc, mono_grows);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
