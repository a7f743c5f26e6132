/* Unit tests of napi: workers and the queues of the network card. */
#include <check.h>
#include <stdlib.h>

#include "napi.h"

static unsigned chosen(struct napi *napi, unsigned id, enum napi_choice how)
{
    unsigned worker = 99;

    ck_assert_int_eq(napi_choose(napi, id, &worker), how);
    return worker;
}

START_TEST(each_queue_has_a_worker)
{
    struct napi napi = {.workers = 3};

    for (int round = 0; round < 2; round++) {
        ck_assert_uint_eq(chosen(&napi, 700, NAPI_CHOSEN), 0);
        ck_assert_uint_eq(chosen(&napi, 5, NAPI_CHOSEN), 1);
        ck_assert_uint_eq(chosen(&napi, 9, NAPI_CHOSEN), 2);
    }
}
END_TEST

START_TEST(a_connection_of_no_queue_chooses_none)
{
    struct napi napi = {.workers = 1};

    ck_assert_uint_eq(chosen(&napi, 0, NAPI_NO_QUEUE), 99);
    ck_assert_uint_eq(chosen(&napi, 4, NAPI_CHOSEN), 0);
}
END_TEST

START_TEST(a_queue_too_many_starts_anew)
{
    struct napi napi = {.workers = 2};

    ck_assert_uint_eq(chosen(&napi, 1, NAPI_CHOSEN), 0);
    ck_assert_uint_eq(chosen(&napi, 2, NAPI_CHOSEN), 1);
    ck_assert_uint_eq(chosen(&napi, 3, NAPI_UNEXPECTED), 0);
    ck_assert_uint_eq(chosen(&napi, 2, NAPI_CHOSEN), 1);
    ck_assert_uint_eq(chosen(&napi, 3, NAPI_CHOSEN), 0);
    ck_assert_uint_eq(chosen(&napi, 1, NAPI_UNEXPECTED), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("napi");
    TCase *tc = tcase_create("core");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tc, each_queue_has_a_worker);
    tcase_add_test(tc, a_connection_of_no_queue_chooses_none);
    tcase_add_test(tc, a_queue_too_many_starts_anew);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
