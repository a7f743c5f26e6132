/* Unit tests of util: the number syntaxes of the protocols. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

struct sample {
    const char *text;
    bool good;
    long long value; /* as the type's bits */
};

START_TEST(u32_takes_up_to_eleven_digits)
{
    static const struct sample samples[] = {
        {"0", true, 0},           {"4294967295", true, 4294967295},
        {"4294967296", false, 0}, {"00000000001", true, 1},
        {"", false, 0},           {"000000000001", false, 0},
        {"-1", false, 0},         {"+1", false, 0},
        {"1x", false, 0},         {" 1", false, 0},
    };

    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        const struct sample *s = &samples[i];
        uint32_t v = 0;

        ck_assert_msg(util_parse_u32(s->text, strlen(s->text), &v) == s->good,
                      "%s", s->text);
        ck_assert_uint_eq(v, (uint32_t)s->value);
    }
}
END_TEST

START_TEST(u64_takes_up_to_22_digits)
{
    static const struct sample samples[] = {
        {"0", true, 0},
        {"18446744073709551615", true, -1},
        {"18446744073709551616", false, 0},
        {"99999999999999999999", false, 0},
        {"0000000000000000000001", true, 1},
        {"00000000000000000000001", false, 0},
        {"", false, 0},
        {"-0", false, 0},
        {"1 ", false, 0},
    };

    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        const struct sample *s = &samples[i];
        uint64_t v = 0;

        ck_assert_msg(util_parse_u64(s->text, strlen(s->text), &v) == s->good,
                      "%s", s->text);
        ck_assert_uint_eq(v, (uint64_t)s->value);
    }
}
END_TEST

START_TEST(s32_takes_a_lone_minus_for_zero)
{
    static const struct sample samples[] = {
        {"2147483647", true, 2147483647},
        {"2147483648", false, 0},
        {"-2147483648", true, -2147483648LL},
        {"-2147483649", false, 0},
        {"-", true, 0},
        {"--1", false, 0},
        {"+1", false, 0},
        {"", false, 0},
        {"99999999999", false, 0},
        {"000000000012", false, 0},
    };

    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        const struct sample *s = &samples[i];
        int32_t v = 0;

        ck_assert_msg(util_parse_s32(s->text, strlen(s->text), &v) == s->good,
                      "%s", s->text);
        ck_assert_int_eq(v, s->value);
    }
}
END_TEST

START_TEST(flags_wrap_as_in_stock)
{
    static const struct sample samples[] = {
        {"4294967295", true, 4294967295},
        {"4294967296", true, 0},
        {"4294967297", true, 1},
        {"18446744073709551615", true, 4294967295},
        {"18446744073709551616", false, 0},
        {"+7", true, 7},
        {"-1", false, 0},
        {"-18446744073709551615", true, 1},
        {"-9223372036854775809", true, 4294967295},
        {"-0", true, 0},
        {"", false, 0},
        {"+", false, 0},
        {"1a", false, 0},
        {"0x1", false, 0},
    };

    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        const struct sample *s = &samples[i];
        uint32_t v = 0;

        ck_assert_msg(util_parse_flags(s->text, strlen(s->text), &v) == s->good,
                      "%s", s->text);
        ck_assert_uint_eq(v, (uint32_t)s->value);
    }
}
END_TEST

START_TEST(exptimes_wrap_as_in_stock)
{
    static const struct sample samples[] = {
        {"4294967296", true, 0},
        {"4294967295", true, -1},
        {"2147483648", true, -2147483648LL},
        {"9999999999", true, 1410065407},
        {"-1", true, -1},
        {"+5", true, 5},
        {"9223372036854775807", true, -1},
        {"9223372036854775808", false, 0},
        {"-9223372036854775808", true, 0},
        {"-9223372036854775809", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"1.5", false, 0},
    };

    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        const struct sample *s = &samples[i];
        int32_t v = 0;

        ck_assert_msg(util_parse_exptime(s->text, strlen(s->text), &v) ==
                          s->good,
                      "%s", s->text);
        ck_assert_int_eq(v, s->value);
    }
}
END_TEST

START_TEST(doubles_are_whole_words)
{
    double v = 0;

    ck_assert(util_parse_double("1.25", 4, &v));
    ck_assert_double_eq(v, 1.25);
    ck_assert(util_parse_double("1.259", 4, &v)); /* no terminator needed */
    ck_assert_double_eq(v, 1.25);
    ck_assert(util_parse_double("-2", 2, &v));
    ck_assert(!util_parse_double("", 0, &v));
    ck_assert(!util_parse_double(" 1", 2, &v));
    ck_assert(!util_parse_double("1x", 2, &v));
    ck_assert(!util_parse_double("nan", 3, &v));
    ck_assert(!util_parse_double("1e999", 5, &v));
    ck_assert(!util_parse_double("00000000000000000000000000000001", 32, &v));
    ck_assert(util_parse_double("0000000000000000000000000000001", 31, &v));
}
END_TEST

START_TEST(stored_numbers_end_at_white_space)
{
    static const struct sample samples[] = {
        {"12", true, 12},
        {"  12", true, 12},
        {"\t12", true, 12},
        {"+12", true, 12},
        {"0012", true, 12},
        {"12 ", true, 12},
        {"12 a", true, 12},
        {"12\r\n", true, 12},
        {"18446744073709551615", true, -1},
        {"18446744073709551616", false, 0},
        {"-5", false, 0},
        {"1.5", false, 0},
        {"12ab", false, 0},
        {"", false, 0},
        {"   ", false, 0},
        {"+", false, 0},
        {"+ 1", false, 0},
    };

    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        const struct sample *s = &samples[i];
        uint64_t v = 0;

        ck_assert_msg(util_parse_stored_number(s->text, strlen(s->text), &v) ==
                          s->good,
                      "%s", s->text);
        ck_assert_uint_eq(v, (uint64_t)s->value);
    }
}
END_TEST

START_TEST(stored_numbers_end_at_nul)
{
    uint64_t v = 0;

    ck_assert(util_parse_stored_number("12\0ab", 5, &v));
    ck_assert_uint_eq(v, 12);
    ck_assert(!util_parse_stored_number("\0", 1, &v));
}
END_TEST

START_TEST(formatted_numbers_parse_back)
{
    char buf[UTIL_U64_DIGITS];

    for (int shift = 0; shift < 64; shift++) {
        for (int around = -1; around <= 1; around++) {
            uint64_t v = ((uint64_t)1 << shift) + (uint64_t)around, back;
            char *end = util_format_u64(buf, v);

            ck_assert(end > buf && end <= buf + sizeof(buf));
            ck_assert(util_parse_u64(buf, (size_t)(end - buf), &back));
            ck_assert(back == v);
            ck_assert(buf[0] != '0' || end == buf + 1);
        }
    }
    for (uint64_t v = 0; v < 100000; v++) {
        uint64_t back;
        char *end = util_format_u64(buf, v);

        ck_assert(util_parse_u64(buf, (size_t)(end - buf), &back) && back == v);
    }
}
END_TEST

START_TEST(uris_keep_letters_digits_and_four_signs)
{
    static const char keys[] = "aZ09-._~ %/+\0\xff";
    char buf[3 * sizeof(keys)];
    char *end = util_uri_encode(buf, keys, sizeof(keys) - 1);

    *end = '\0';
    ck_assert_str_eq(buf, "aZ09-._~%20%25%2F%2B%00%FF");
    ck_assert_ptr_eq(util_uri_encode(buf, keys, 0), buf);
}
END_TEST

static Suite *util_suite(void)
{
    Suite *suite = suite_create("util");
    TCase *tc = tcase_create("numbers");

    tcase_add_test(tc, u32_takes_up_to_eleven_digits);
    tcase_add_test(tc, u64_takes_up_to_22_digits);
    tcase_add_test(tc, s32_takes_a_lone_minus_for_zero);
    tcase_add_test(tc, flags_wrap_as_in_stock);
    tcase_add_test(tc, exptimes_wrap_as_in_stock);
    tcase_add_test(tc, doubles_are_whole_words);
    tcase_add_test(tc, stored_numbers_end_at_white_space);
    tcase_add_test(tc, stored_numbers_end_at_nul);
    tcase_add_test(tc, formatted_numbers_parse_back);
    tcase_add_test(tc, uris_keep_letters_digits_and_four_signs);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(util_suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
