/* Unit tests of base/lock. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/lock.h"

enum { THREADS = 4, ROUNDS = 50000 };

static struct lock lock;
static unsigned long shared; /* guarded by `lock` */

START_TEST(free_lock_can_be_taken_and_dropped)
{
    lock_take(&lock, LOCK_LRU);
    lock_assert(LOCK_LRU);
    lock_drop(&lock, LOCK_LRU);
    ck_assert_uint_eq(atomic_load(&lock.state), 0);
}
END_TEST

START_TEST(try_fails_on_a_taken_lock)
{
    ck_assert(lock_try(&lock, LOCK_LRU));
    ck_assert(!lock_try(&lock, LOCK_LRU));
    lock_drop(&lock, LOCK_LRU);
    ck_assert(lock_try(&lock, LOCK_LRU));
    lock_drop(&lock, LOCK_LRU);
}
END_TEST

START_TEST(rising_ranks_are_allowed)
{
    static const enum lock_rank ranks[] = {LOCK_STRIPE,  LOCK_LRU,
                                           LOCK_SLABS,   LOCK_FLOOR,
                                           LOCK_REP_LOG, LOCK_QUEUE};
    enum { N = sizeof(ranks) / sizeof(ranks[0]) };
    struct lock locks[N] = {0};

    for (int i = 0; i < N; i++) {
        lock_take(&locks[i], ranks[i]);
    }
    for (int i = 0; i < N; i++) {
        lock_assert(ranks[i]);
        lock_drop(&locks[i], ranks[i]);
    }
}
END_TEST

START_TEST(try_may_go_against_the_order)
{
    struct lock high = {0};

    lock_take(&high, LOCK_QUEUE);
    ck_assert(lock_try(&lock, LOCK_STRIPE));
    lock_drop(&lock, LOCK_STRIPE);
    lock_drop(&high, LOCK_QUEUE);
}
END_TEST

static void *add_many(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        lock_take(&lock, LOCK_SLABS);
        shared++;
        lock_drop(&lock, LOCK_SLABS);
    }
    return NULL;
}

START_TEST(holders_exclude_each_other)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert_uint_eq(shared, (unsigned long)THREADS * ROUNDS);
    ck_assert_uint_eq(atomic_load(&lock.state), 0);
}
END_TEST

static void *take_once(void *unused)
{
    (void)unused;
    lock_take(&lock, LOCK_SLABS);
    shared = 1;
    lock_drop(&lock, LOCK_SLABS);
    return NULL;
}

/* The waiter marks the lock with 2 before it sleeps: only then is it dropped,
 * so that the wake-up is what ends the wait. */
START_TEST(sleeper_is_woken)
{
    pthread_t waiter;

    lock_take(&lock, LOCK_SLABS);
    ck_assert_int_eq(pthread_create(&waiter, NULL, take_once, NULL), 0);
    while (atomic_load(&lock.state) != 2) {
    }
    ck_assert_uint_eq(shared, 0);
    lock_drop(&lock, LOCK_SLABS);
    ck_assert_int_eq(pthread_join(waiter, NULL), 0);
    ck_assert_uint_eq(shared, 1);
}
END_TEST

#ifdef LOCK_DEBUG

START_TEST(falling_rank_aborts)
{
    struct lock high = {0};

    lock_take(&high, LOCK_QUEUE);
    lock_take(&lock, LOCK_STRIPE);
}
END_TEST

START_TEST(second_lock_of_a_rank_aborts)
{
    struct lock other = {0};

    lock_take(&lock, LOCK_STRIPE);
    lock_take(&other, LOCK_STRIPE);
}
END_TEST

START_TEST(dropping_what_is_not_held_aborts)
{
    lock_drop(&lock, LOCK_STRIPE);
}
END_TEST

START_TEST(assert_aborts_without_the_lock)
{
    lock_assert(LOCK_STRIPE);
}
END_TEST

static void add_debug_tests(TCase *tc)
{
    tcase_add_test_raise_signal(tc, falling_rank_aborts, SIGABRT);
    tcase_add_test_raise_signal(tc, second_lock_of_a_rank_aborts, SIGABRT);
    tcase_add_test_raise_signal(tc, dropping_what_is_not_held_aborts, SIGABRT);
    tcase_add_test_raise_signal(tc, assert_aborts_without_the_lock, SIGABRT);
}

#else

static void add_debug_tests(TCase *tc)
{
    (void)tc; /* ranks are checked in debug builds only */
}

#endif

int main(void)
{
    Suite *s = suite_create("lock");
    TCase *tc = tcase_create("lock");
    SRunner *sr;
    int failed;

    tcase_add_test(tc, free_lock_can_be_taken_and_dropped);
    tcase_add_test(tc, try_fails_on_a_taken_lock);
    tcase_add_test(tc, rising_ranks_are_allowed);
    tcase_add_test(tc, try_may_go_against_the_order);
    tcase_add_test(tc, holders_exclude_each_other);
    tcase_add_test(tc, sleeper_is_woken);
    add_debug_tests(tc);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
