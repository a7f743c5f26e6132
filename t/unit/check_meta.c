/* Unit tests of meta: flags of a line, base64, tokens. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/meta.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static struct meta m;

static enum reply parse(const char *words)
{
    return meta_parse(words, words + strlen(words), 0, &m);
}

START_TEST(flags_are_kept_in_order_with_their_arguments)
{
    ck_assert_int_eq(parse("key t T30 O123 C7 E8 D9 F10 J11 N-1 R5 MAB v "),
                     REPLY_NONE);
    ck_assert_uint_eq(m.n, 12);
    ck_assert_mem_eq(m.order, "tTOCEDFJNRMv", 12);
    ck_assert_uint_eq(m.nkey, 3);
    ck_assert_mem_eq(m.key, "key", 3);
    ck_assert_uint_eq(m.nopaque, 3);
    ck_assert_mem_eq(m.opaque, "123", 3);
    ck_assert_uint_eq(m.cas, 7);
    ck_assert_uint_eq(m.new_cas, 8);
    ck_assert_uint_eq(m.delta, 9);
    ck_assert_uint_eq(m.flags, 10);
    ck_assert_uint_eq(m.initial, 11);
    ck_assert_int_eq(m.ttl, 30);
    ck_assert_int_eq(m.vivify, -1);
    ck_assert_int_eq(m.recache, 5);
    ck_assert_int_eq(m.mode, 'A');
    ck_assert(meta_has(&m, 'v') && meta_has(&m, 'T') && !meta_has(&m, 'q'));
}
END_TEST

START_TEST(what_is_not_given_has_its_default)
{
    ck_assert_int_eq(parse("k"), REPLY_NONE);
    ck_assert_uint_eq(m.n, 0);
    ck_assert_uint_eq(m.has, 0);
    ck_assert_uint_eq(m.delta, 1);
    ck_assert_uint_eq(m.initial + m.cas + m.new_cas + m.flags, 0);
    ck_assert_int_eq(m.mode, 0);
    ck_assert_int_eq(parse("k M O"), REPLY_NONE);
    ck_assert_int_eq(m.mode, 0);
    ck_assert_uint_eq(m.nopaque, 0);
}
END_TEST

START_TEST(what_follows_a_flag_without_argument_is_ignored)
{
    ck_assert_int_eq(parse("k v7 s5 qq kx Pzz Lz"), REPLY_NONE);
    ck_assert_mem_eq(m.order, "vsqkPL", 6);
    ck_assert_int_eq(parse("k vv v"), REPLY_DUPLICATE_FLAG);
}
END_TEST

static const struct wrong {
    const char *words;
    enum reply reply;
    bool malformed;
} wrongs[] = {
    {"", REPLY_BAD_FORMAT, true},
    {"   ", REPLY_BAD_FORMAT, true},
    {"k !", REPLY_BAD_FORMAT, true},
    {"k c ,", REPLY_BAD_FORMAT, true},
    {"k {", REPLY_BAD_FORMAT, true},
    {"k ~", REPLY_BAD_FORMAT, true},
    {"k \x7f", REPLY_BAD_FORMAT, true},
    {"k \x80", REPLY_BAD_FORMAT, true},
    {"k @", REPLY_BAD_FORMAT, true},
    {"k Zx c c Cx !", REPLY_BAD_FORMAT, true},
    {"k 1", REPLY_BAD_FLAG, false},
    {"k [", REPLY_BAD_FLAG, false},
    {"k `", REPLY_BAD_FLAG, false},
    {"k _", REPLY_BAD_FLAG, false},
    {"k Z", REPLY_BAD_FLAG, false},
    {"k a", REPLY_BAD_FLAG, false},
    {"k Z Cx", REPLY_BAD_FLAG, false},
    {"k Cx Z", REPLY_BAD_FLAG, false},
    {"k c c Z", REPLY_DUPLICATE_FLAG, false},
    {"k T1 T2", REPLY_DUPLICATE_FLAG, false},
    {"k C", REPLY_BAD_TOKEN, false},
    {"k C-1", REPLY_BAD_TOKEN, false},
    {"k C18446744073709551616", REPLY_BAD_TOKEN, false},
    {"k E", REPLY_BAD_TOKEN, false},
    {"k Ex", REPLY_BAD_TOKEN, false},
    {"k N", REPLY_BAD_TOKEN, false},
    {"k N2147483648", REPLY_BAD_TOKEN, false},
    {"k R1x", REPLY_BAD_TOKEN, false},
    {"k T", REPLY_BAD_TOKEN, false},
    {"k T99999999999", REPLY_BAD_TOKEN, false},
    {"k D", REPLY_BAD_META_DELTA, false},
    {"k Dx", REPLY_BAD_META_DELTA, false},
    {"k Jx", REPLY_BAD_INITIAL, false},
    {"k F", REPLY_BAD_FORMAT, false},
    {"k F-1", REPLY_BAD_FORMAT, false},
    {"k F4294967296", REPLY_BAD_FORMAT, false},
    {"k O12345678901234567890123456789012", REPLY_BAD_OPAQUE, false},
    {"k b", REPLY_BAD_KEY64, false},
    {"Zg== b Dx", REPLY_BAD_META_DELTA, false},
    {"k Dx Jx Cx", REPLY_BAD_TOKEN, false},
    {"k Cx Jx Dx", REPLY_BAD_META_DELTA, false},
    {"k Jx Fx", REPLY_BAD_INITIAL, false},
    {"k Fx Jx", REPLY_BAD_INITIAL, false},
    {"k c f h k l s t v q u T1 R1 N1 P L O C1 D1 J1", REPLY_MANY_FLAGS, false},
    {"k 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 !", REPLY_MANY_FLAGS,
     false},
    {"k 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 !", REPLY_BAD_FORMAT, true},
};

START_TEST(mistakes_are_named)
{
    const struct wrong *w = &wrongs[_i];
    enum reply reply = parse(w->words);

    ck_assert_msg(reply == w->reply && m.malformed == w->malformed,
                  "%s: reply %d, malformed %d", w->words, reply, m.malformed);
}
END_TEST

START_TEST(limits_are_within)
{
    ck_assert_int_eq(parse("k O1234567890123456789012345678901"), REPLY_NONE);
    ck_assert_uint_eq(m.nopaque, META_OPAQUE_MAX);
    ck_assert_int_eq(parse("k c f h k l s t v q u T1 R1 N1 P L O C1 D1"),
                     REPLY_NONE);
    ck_assert_uint_eq(m.n, META_FLAGS_MAX);
    ck_assert_int_eq(parse("k F4294967295 C18446744073709551615 T-2147483648"),
                     REPLY_NONE);
    ck_assert_int_eq(m.ttl, INT32_MIN);
    ck_assert_uint_eq(m.flags, UINT32_MAX);
    ck_assert_int_eq(parse("k T-"), REPLY_NONE);
    ck_assert_int_eq(m.ttl, 0);
}
END_TEST

START_TEST(keys_end_at_250_bytes)
{
    char words[300] = "";

    memset(words, 'k', sizeof(words));
    memcpy(words + 250, " c", 2);
    ck_assert_int_eq(meta_parse(words, words + 252, 0, &m), REPLY_NONE);
    ck_assert_uint_eq(m.nkey, 250);
    memcpy(words + 250, "k c", 3);
    ck_assert_int_eq(meta_parse(words, words + 253, 0, &m), REPLY_BAD_FORMAT);
    ck_assert(!m.malformed);
    memcpy(words + 250, "k !", 3);
    ck_assert_int_eq(meta_parse(words, words + 253, 0, &m), REPLY_BAD_FORMAT);
    ck_assert(m.malformed);
    memcpy(words + 250, "k Z", 3);
    ck_assert_int_eq(meta_parse(words, words + 253, 0, &m), REPLY_BAD_FORMAT);
}
END_TEST

START_TEST(words_before_the_flags_are_skipped)
{
    static const char ms[] = "k 17 T5 c";
    static const char many[] = "k 1 c f h k l s t v q u T1 R1 N1 P L O C1 D1";

    ck_assert_int_eq(meta_parse(ms, ms + strlen(ms), 1, &m), REPLY_NONE);
    ck_assert_mem_eq(m.order, "Tc", 2);
    ck_assert_int_eq(meta_parse(many, many + strlen(many), 1, &m),
                     REPLY_MANY_FLAGS);
    ck_assert_int_eq(meta_parse(many, many + strlen(many) - 3, 1, &m),
                     REPLY_NONE);
    ck_assert_int_eq(meta_parse("k", &"k"[1], 1, &m), REPLY_BAD_FORMAT);
}
END_TEST

static enum reply debug(const char *words)
{
    return meta_parse_debug(words, words + strlen(words), &m);
}

START_TEST(me_decodes_with_a_word_behind_b)
{
    ck_assert_int_eq(debug("Zm9v b"), REPLY_NONE);
    ck_assert_uint_eq(m.nkey, 4);
    ck_assert_int_eq(debug("Zm9v b x"), REPLY_NONE);
    ck_assert_uint_eq(m.nkey, 3);
    ck_assert_mem_eq(m.key, "foo", 3);
    ck_assert_int_eq(debug("Zm9v bb x"), REPLY_NONE);
    ck_assert_uint_eq(m.nkey, 4);
    ck_assert_int_eq(debug("Zm9v x b"), REPLY_NONE);
    ck_assert_uint_eq(m.nkey, 4);
    ck_assert_int_eq(debug("Zm9 b x"), REPLY_BAD_FORMAT);
    ck_assert_int_eq(debug("k ! c c"), REPLY_NONE);
    ck_assert_int_eq(debug(""), REPLY_BAD_FORMAT);
}
END_TEST

static const struct {
    const char *in, *out;
} decodes[] = {
    {"Zm9v", "foo"},
    {"Zg==", "f"},
    {"Zm8=", "fo"},
    {"Zm!9v", "foo"},
    {"!Z.m\x80-9v", "foo"},
    {"Zg==Zm9v", "f"},
    {"Zm9vZg==", "foof"},
    {"Zm9vYmFy", "foobar"},
    {"", ""},
    {"Zm9", ""},
    {"Zm9vZ", ""},
    {"Z===", ""},
    {"====", ""},
    {"Zm9vZ===", ""},
    {"!!!", ""},
    {"Zg==Z", ""},
    {"+/+/", "\xfb\xff\xbf"},
};

START_TEST(base64_is_decoded)
{
    char out[META_DECODED_MAX];
    size_t n = meta_decode(decodes[_i].in, strlen(decodes[_i].in), out);

    ck_assert_msg(n == strlen(decodes[_i].out), "%s: %zu", decodes[_i].in, n);
    ck_assert_mem_eq(out, decodes[_i].out, n);
}
END_TEST

START_TEST(base64_comes_back)
{
    char bytes[KEY_MAX_LENGTH], out[META_DECODED_MAX];
    char text[META_ENCODED_MAX];

    for (size_t n = 0; n <= KEY_MAX_LENGTH; n++) {
        size_t len;

        for (size_t i = 0; i < n; i++) {
            bytes[i] = (char)(rand() & 0xff);
        }
        len = (size_t)(meta_encode(text, bytes, n) - text);
        ck_assert_uint_eq(len, (n + 2) / 3 * 4);
        if (len <= KEY_MAX_LENGTH) {
            ck_assert_uint_eq(meta_decode(text, len, out), n);
            ck_assert_mem_eq(out, bytes, n);
        }
    }
}
END_TEST

START_TEST(a_long_key_decodes_within_its_room)
{
    char words[KEY_MAX_LENGTH + 2] = "";

    memset(words, 'A', 248);
    memcpy(words + 248, " b", 2);
    ck_assert_int_eq(meta_parse(words, words + 250, 0, &m), REPLY_NONE);
    ck_assert_uint_eq(m.nkey, META_DECODED_MAX);
}
END_TEST

static const char *text_of(char *buf, const char *end)
{
    buf[end - buf] = '\0';
    return buf;
}

START_TEST(tokens_are_written)
{
    char buf[META_REPLY_MAX];

    ck_assert_str_eq(text_of(buf, meta_put_number(buf, 'c', UINT64_MAX)),
                     " c18446744073709551615");
    ck_assert_str_eq(text_of(buf, meta_put_text(buf, 'O', NULL, 0)), " O");
    ck_assert_str_eq(text_of(buf, meta_put_key(buf, "foo", 3, false)), " kfoo");
    ck_assert_str_eq(text_of(buf, meta_put_key(buf, "foo", 3, true)),
                     " kZm9v b");
}
END_TEST

START_TEST(a_key_never_breaks_a_line)
{
    char buf[META_REPLY_MAX];

    ck_assert_str_eq(text_of(buf, meta_put_key(buf, "a b", 3, false)),
                     " kYSBi b");
    ck_assert_str_eq(text_of(buf, meta_put_key(buf, "\r\n", 2, false)),
                     " kDQo= b");
    ck_assert(!meta_key_is_binary("a\tb\xff", 4));
    ck_assert(meta_key_is_binary("a\n", 2));
}
END_TEST

START_TEST(the_key_comes_back_as_it_was_sent)
{
    char buf[META_REPLY_MAX];

    ck_assert_int_eq(parse("Zm!9v b"), REPLY_NONE);
    ck_assert_str_eq(text_of(buf, meta_put_sent_key(buf, &m)), " kZm9v b");
    ck_assert_int_eq(parse("Zm!9v"), REPLY_NONE);
    ck_assert_str_eq(text_of(buf, meta_put_sent_key(buf, &m)), " kZm!9v");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("meta");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_test(tc, flags_are_kept_in_order_with_their_arguments);
    tcase_add_test(tc, what_is_not_given_has_its_default);
    tcase_add_test(tc, what_follows_a_flag_without_argument_is_ignored);
    tcase_add_loop_test(tc, mistakes_are_named, 0, COUNT_OF(wrongs));
    tcase_add_test(tc, limits_are_within);
    tcase_add_test(tc, keys_end_at_250_bytes);
    tcase_add_test(tc, words_before_the_flags_are_skipped);
    tcase_add_test(tc, me_decodes_with_a_word_behind_b);
    tcase_add_loop_test(tc, base64_is_decoded, 0, COUNT_OF(decodes));
    tcase_add_test(tc, base64_comes_back);
    tcase_add_test(tc, a_long_key_decodes_within_its_room);
    tcase_add_test(tc, tokens_are_written);
    tcase_add_test(tc, a_key_never_breaks_a_line);
    tcase_add_test(tc, the_key_comes_back_as_it_was_sent);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
