/* When a class is crawled next. The crawl itself: t/30-crawler.t. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "crawl_plan.h"

static struct crawl_tally tally;

static void setup(void)
{
    memset(&tally, 0, sizeof(tally));
}

static void note(int n, uint32_t seconds)
{
    for (int i = 0; i < n; i++) {
        crawl_note(&tally, seconds);
    }
}

/* What the interval comes to after many crawls that all saw the same. */
static uint32_t settled(void)
{
    uint32_t interval = 0;

    for (int i = 0; i < 100; i++) {
        interval = crawl_interval(&tally, interval);
    }
    return interval;
}

START_TEST(what_never_expires_is_crawled_once_an_hour)
{
    note(1000, 0);
    ck_assert_uint_eq(settled(), 3605);
    ck_assert_uint_eq(tally.seen, 1000);
}
END_TEST

START_TEST(empty_class_is_crawled_once_an_hour)
{
    ck_assert_uint_eq(settled(), 3605);
}
END_TEST

START_TEST(a_hundredth_is_worth_a_crawl)
{
    note(980, 0);
    note(10, 130);
    ck_assert_uint_eq(crawl_expiring(&tally, 120), 0);
    ck_assert_uint_eq(crawl_expiring(&tally, 180), 10);
    ck_assert_uint_eq(settled(), 180);
    note(20, 0); /* 10 of 1010 are less */
    ck_assert_uint_eq(settled(), 3605);
}
END_TEST

START_TEST(expiries_of_many_minutes_add_up)
{
    note(960, 0);
    for (uint32_t m = 0; m < 40; m++) {
        note(1, m * 60 + 30);
    }
    ck_assert_uint_eq(settled(), 11 * 60);
}
END_TEST

START_TEST(interval_grows_by_a_minute_and_falls_at_once)
{
    note(1000, 0);
    ck_assert_uint_eq(crawl_interval(&tally, 0), 60);
    ck_assert_uint_eq(crawl_interval(&tally, 60), 120);
    ck_assert_uint_eq(crawl_interval(&tally, 3600), 3605);
    note(1000, 59);
    ck_assert_uint_eq(crawl_interval(&tally, 3605), 60);
}
END_TEST

START_TEST(beyond_the_hour_is_not_looked_at)
{
    note(1000, 3600);
    note(1000, UINT32_MAX);
    ck_assert_uint_eq(settled(), 3605);
    note(1000, 3599);
    ck_assert_uint_eq(crawl_expiring(&tally, 3600), 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crawler");
    TCase *tcase = tcase_create("plan");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, what_never_expires_is_crawled_once_an_hour);
    tcase_add_test(tcase, empty_class_is_crawled_once_an_hour);
    tcase_add_test(tcase, a_hundredth_is_worth_a_crawl);
    tcase_add_test(tcase, expiries_of_many_minutes_add_up);
    tcase_add_test(tcase, interval_grows_by_a_minute_and_falls_at_once);
    tcase_add_test(tcase, beyond_the_hour_is_not_looked_at);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
