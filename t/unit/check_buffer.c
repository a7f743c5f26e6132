/* Unit tests of base/buffer. */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

/* Sanitizers end the process where others have no memory. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static const char letters[] = "0123456789abcdef";

START_TEST(pieces_follow_each_other)
{
    struct buffer b = {0};

    buffer_append(&b, "abc", 3);
    buffer_append(&b, "", 0);
    memcpy(buffer_grow(&b, 2), "de", 2);
    ck_assert_uint_eq(b.len, 5);
    ck_assert_mem_eq(b.p, "abcde", 5);
    buffer_free(&b);
    ck_assert_ptr_null(b.p);
}
END_TEST

START_TEST(it_grows_and_keeps_what_was_there)
{
    enum { TIMES = 40000, EACH = 16 };
    struct buffer b = {0};

    for (int i = 0; i < TIMES; i++) {
        buffer_append(&b, letters, EACH);
    }
    ck_assert(!b.failed);
    ck_assert_uint_eq(b.len, (size_t)TIMES * EACH);
    for (size_t i = 0; i < b.len; i += EACH) {
        ck_assert_mem_eq(b.p + i, letters, EACH);
    }
    buffer_free(&b);
}
END_TEST

START_TEST(one_piece_may_be_larger_than_twice_the_room)
{
    enum { LARGE = 1000000 };
    struct buffer b = {0};

    buffer_append(&b, letters, 1);
    memset(buffer_grow(&b, LARGE), 'x', LARGE);
    ck_assert_uint_eq(b.len, LARGE + 1);
    ck_assert_int_eq(b.p[LARGE], 'x');
    buffer_free(&b);
}
END_TEST

START_TEST(without_memory_what_follows_is_dropped)
{
    struct buffer b = {0};

    buffer_append(&b, "abc", 3);
    ck_assert_ptr_null(buffer_grow(&b, SIZE_MAX / 4));
    ck_assert(b.failed);
    buffer_append(&b, "def", 3);
    ck_assert_ptr_null(buffer_grow(&b, 1));
    ck_assert_uint_eq(b.len, 3);
    ck_assert_mem_eq(b.p, "abc", 3);
    buffer_free(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("buffer");
    TCase *tc = tcase_create("buffer");
    SRunner *sr;
    int failed;

    tcase_add_test(tc, pieces_follow_each_other);
    tcase_add_test(tc, it_grows_and_keeps_what_was_there);
    tcase_add_test(tc, one_piece_may_be_larger_than_twice_the_room);
    tcase_add_loop_test(tc, without_memory_what_follows_is_dropped, SANITIZED,
                        1);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
