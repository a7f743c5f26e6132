/* Unit tests of base/bytes. */
#include <check.h>
#include <stdlib.h>

#include "base/bytes.h"

static const uint8_t sample[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
                                 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f};

static struct rd over(const uint8_t *p, size_t n)
{
    return (struct rd){.p = p, .end = p + n};
}

START_TEST(numbers_are_read_big_endian_in_order)
{
    struct rd r = over(sample, sizeof(sample));

    ck_assert_uint_eq(rd_u8(&r), 0x01);
    ck_assert_uint_eq(rd_u16(&r), 0x0203);
    ck_assert_uint_eq(rd_u32(&r), 0x04050607);
    ck_assert_uint_eq(rd_u64(&r), 0x08090a0b0c0d0e0fULL);
    ck_assert(rd_done(&r));
}
END_TEST

START_TEST(done_is_false_while_bytes_are_left)
{
    struct rd r = over(sample, 3);

    ck_assert_uint_eq(rd_u16(&r), 0x0102);
    ck_assert(!rd_done(&r));
    ck_assert_uint_eq(rd_u8(&r), 0x03);
    ck_assert(rd_done(&r));
}
END_TEST

START_TEST(empty_input_is_done_at_once)
{
    struct rd r = over(sample, 0);

    ck_assert(rd_done(&r));
}
END_TEST

START_TEST(short_read_gives_zero_and_takes_nothing)
{
    for (size_t have = 0; have < 8; have++) {
        struct rd r = over(sample, have);

        ck_assert_uint_eq(rd_u64(&r), 0);
        ck_assert(r.bad);
        ck_assert_ptr_eq(r.p, sample);
        ck_assert(!rd_done(&r));
    }
}
END_TEST

START_TEST(error_is_sticky_even_when_bytes_would_suffice)
{
    struct rd r = over(sample, 3);

    ck_assert_uint_eq(rd_u32(&r), 0);
    ck_assert_uint_eq(rd_u8(&r), 0);
    ck_assert_uint_eq(rd_u16(&r), 0);
    ck_assert_ptr_null(rd_bytes(&r, 0));
    ck_assert(!rd_done(&r));
}
END_TEST

START_TEST(bytes_are_borrowed_from_the_buffer)
{
    struct rd r = over(sample, 5);

    ck_assert_ptr_eq(rd_bytes(&r, 0), sample);
    ck_assert_ptr_eq(rd_bytes(&r, 5), sample);
    ck_assert(rd_done(&r));
    ck_assert_ptr_null(rd_bytes(&r, 1));
}
END_TEST

START_TEST(length_near_the_top_of_size_t_is_short)
{
    struct rd r = over(sample, 5);

    ck_assert_ptr_null(rd_bytes(&r, SIZE_MAX));
    ck_assert(r.bad);
}
END_TEST

START_TEST(writers_return_the_end_and_read_back)
{
    uint8_t buf[2 + 4 + 8 + 1] = {[14] = 0xee};
    uint8_t *p =
        wr_u64(wr_u32(wr_u16(buf, 0xbeef), 0xdeadc0de), UINT64_MAX - 1);
    struct rd r = over(buf, 14);

    ck_assert_ptr_eq(p, buf + 14);
    ck_assert_uint_eq(buf[0], 0xbe);
    ck_assert_uint_eq(buf[14], 0xee);
    ck_assert_uint_eq(rd_u16(&r), 0xbeef);
    ck_assert_uint_eq(rd_u32(&r), 0xdeadc0de);
    ck_assert_uint_eq(rd_u64(&r), UINT64_MAX - 1);
    ck_assert(rd_done(&r));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bytes");
    TCase *tc = tcase_create("bytes");
    SRunner *sr;
    int failed;

    tcase_add_test(tc, numbers_are_read_big_endian_in_order);
    tcase_add_test(tc, done_is_false_while_bytes_are_left);
    tcase_add_test(tc, empty_input_is_done_at_once);
    tcase_add_test(tc, short_read_gives_zero_and_takes_nothing);
    tcase_add_test(tc, error_is_sticky_even_when_bytes_would_suffice);
    tcase_add_test(tc, bytes_are_borrowed_from_the_buffer);
    tcase_add_test(tc, length_near_the_top_of_size_t_is_short);
    tcase_add_test(tc, writers_return_the_end_and_read_back);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
