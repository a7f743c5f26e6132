#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "automove.h"

enum { CLASSES = 5, WINDOW = 4 };

static struct automove *a;
static struct automove_class class[CLASSES + 1];
static struct automove_move move;

static void start(void)
{
    a = automove_new(CLASSES, WINDOW);
    ck_assert_ptr_nonnull(a);
    memset(class, 0, sizeof(class));
    for (unsigned c = 1; c <= CLASSES; c++) {
        class[c] = (struct automove_class){
            .pages = 4, .per_page = 100, .free_chunks = 10, .age = 100};
    }
}

static void stop(void)
{
    automove_free(a);
}

/* Seconds in which class `c` evicts so many, by turns or all the time. */
static void pass(unsigned seconds, unsigned c, unsigned evicted)
{
    for (unsigned i = 0; i < seconds; i++) {
        class[c].evicted += evicted;
        automove_sample(a, class);
    }
}

static bool decide(bool full)
{
    return automove_decide(a, class, full, 0.8, &move);
}

START_TEST(class_with_free_pages_gives_one_once_memory_is_full)
{
    class[3].free_chunks = 251;
    pass(WINDOW, 1, 0);
    ck_assert(!decide(false));
    ck_assert(decide(true));
    ck_assert_uint_eq(move.src, 3);
    ck_assert_uint_eq(move.dst, 0);
    class[3].free_chunks = 250;
    ck_assert(!decide(true));
}
END_TEST

START_TEST(class_that_needed_memory_keeps_its_pages)
{
    class[3].free_chunks = 300;
    pass(WINDOW, 1, 0);
    class[3].pages++;
    pass(1, 1, 0);
    ck_assert(!decide(true));
    pass(WINDOW - 1, 1, 0);
    ck_assert(!decide(true));
    pass(1, 1, 0);
    ck_assert(decide(true));
    class[3].outofmemory++;
    pass(1, 1, 0);
    ck_assert(!decide(true));
}
END_TEST

START_TEST(nothing_is_decided_before_the_window_is_full)
{
    class[3].free_chunks = 300;
    pass(WINDOW - 1, 1, 0);
    ck_assert(!decide(true));
}
END_TEST

START_TEST(oldest_gives_to_the_youngest_that_evicts)
{
    class[2].age = 900;
    class[4].age = 10;
    pass(WINDOW, 4, 50);
    ck_assert(decide(true));
    ck_assert_uint_eq(move.src, 2);
    ck_assert_uint_eq(move.dst, 4);
}
END_TEST

START_TEST(ages_must_differ_by_the_ratio)
{
    class[4].age = 90;
    pass(WINDOW, 4, 50);
    ck_assert(!decide(true)); /* 90 is not below 0.8 of 100 */
    class[4].age = 79;
    pass(WINDOW, 4, 50);
    ck_assert(decide(true));
    ck_assert_uint_eq(move.dst, 4);
}
END_TEST

START_TEST(class_of_two_pages_gives_none_by_age)
{
    for (unsigned c = 1; c <= CLASSES; c++) {
        class[c].pages = 2;
    }
    class[2].age = 900;
    class[4].age = 10;
    pass(WINDOW, 4, 50);
    ck_assert(!decide(true));
    class[5].pages = 3;
    ck_assert(decide(true));
    ck_assert_uint_eq(move.src, 5);
}
END_TEST

START_TEST(class_that_stopped_evicting_gets_none)
{
    class[2].age = 900;
    class[4].age = 10;
    pass(WINDOW, 4, 50);
    class[4].evicted += 0;
    pass(1, 4, 0);
    ck_assert(!decide(true));
}
END_TEST

START_TEST(few_evictions_beside_many_get_none)
{
    class[2].age = 900;
    class[4].age = 10;
    class[5].age = 20;
    /* Class 5 evicts all the time; 4 once, a little. */
    pass(WINDOW - 1, 5, 1000);
    class[4].evicted += 1;
    pass(1, 5, 1000);
    ck_assert(decide(true));
    ck_assert_uint_eq(move.dst, 5);
}
END_TEST

START_TEST(reset_counters_begin_anew)
{
    class[2].age = 900;
    class[4].age = 10;
    class[4].evicted = 100000;
    pass(WINDOW, 4, 0);
    class[4].evicted = 0; /* stats reset */
    pass(WINDOW, 4, 0);
    ck_assert(!decide(true));
}
END_TEST

START_TEST(donor_is_who_has_a_page_free_or_is_oldest)
{
    class[2].age = 900;
    ck_assert_uint_eq(automove_donor(class, CLASSES), 2);
    class[4].free_chunks = 100;
    ck_assert_uint_eq(automove_donor(class, CLASSES), 4);
    class[4].pages = 1;
    ck_assert_uint_eq(automove_donor(class, CLASSES), 2);
    for (unsigned c = 1; c <= CLASSES; c++) {
        class[c].pages = 1;
    }
    ck_assert_uint_eq(automove_donor(class, CLASSES), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("automove");
    TCase *tcase = tcase_create("decisions");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, start, stop);
    tcase_add_test(tcase, class_with_free_pages_gives_one_once_memory_is_full);
    tcase_add_test(tcase, class_that_needed_memory_keeps_its_pages);
    tcase_add_test(tcase, nothing_is_decided_before_the_window_is_full);
    tcase_add_test(tcase, oldest_gives_to_the_youngest_that_evicts);
    tcase_add_test(tcase, ages_must_differ_by_the_ratio);
    tcase_add_test(tcase, class_of_two_pages_gives_none_by_age);
    tcase_add_test(tcase, class_that_stopped_evicting_gets_none);
    tcase_add_test(tcase, few_evictions_beside_many_get_none);
    tcase_add_test(tcase, reset_counters_begin_anew);
    tcase_add_test(tcase, donor_is_who_has_a_page_free_or_is_oldest);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
