/* Unit tests of text: one line in, one request out. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/text.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static struct request req;
static size_t used;

static enum text_status parse(const char *line)
{
    return text_parse(line, strlen(line), &req, &used);
}

static void parses(const char *line)
{
    ck_assert_msg(parse(line) == TEXT_OK, "%s", line);
    ck_assert_uint_eq(used, strlen(line));
}

static void refuses(const char *line, enum reply refusal, bool noreply)
{
    parses(line);
    ck_assert_msg(req.verb == VERB_ERROR && req.refusal == refusal &&
                      req.noreply == noreply,
                  "%s: verb %d refusal %d noreply %d", line, req.verb,
                  req.refusal, req.noreply);
}

START_TEST(storage_line_fills_the_request)
{
    static const char line[] = "set  key 5   60 7 noreply  \r\n";

    parses(line);
    ck_assert_int_eq(req.verb, VERB_SET);
    ck_assert_uint_eq(req.nkey, 3);
    ck_assert_mem_eq(req.key, "key", 3);
    ck_assert_uint_eq(req.flags, 5);
    ck_assert_int_eq(req.exptime, 60);
    ck_assert_uint_eq(req.nbytes, 7);
    ck_assert(req.has_data);
    ck_assert(req.noreply);
    ck_assert_ptr_eq(req.line, line);
    ck_assert_uint_eq(req.line_len, strlen(line) - 2);
}
END_TEST

START_TEST(cas_line_has_a_unique)
{
    parses("cas k 1 -2 3 18446744073709551615\r\n");
    ck_assert_int_eq(req.verb, VERB_CAS);
    ck_assert_int_eq(req.exptime, -2);
    ck_assert(req.number == UINT64_MAX);
    refuses("cas k 1 2 3\r\n", REPLY_BAD_FORMAT, false);
    ck_assert(req.has_data);
    ck_assert_uint_eq(req.nbytes, 3);
    refuses("cas k 1 2 3 -1 noreply\r\n", REPLY_BAD_FORMAT, true);
}
END_TEST

START_TEST(verbs_are_told_apart)
{
    static const struct {
        const char *line;
        enum verb verb;
    } lines[] = {
        {"get k\r\n", VERB_GET},
        {"gets k\r\n", VERB_GETS},
        {"gat 1 k\r\n", VERB_GAT},
        {"gats 1 k\r\n", VERB_GATS},
        {"set k 0 0 1\r\n", VERB_SET},
        {"add k 0 0 1\r\n", VERB_ADD},
        {"replace k 0 0 1\r\n", VERB_REPLACE},
        {"append k 0 0 1\r\n", VERB_APPEND},
        {"prepend k 0 0 1\r\n", VERB_PREPEND},
        {"cas k 0 0 1 1\r\n", VERB_CAS},
        {"incr k 1\r\n", VERB_INCR},
        {"decr k 1\r\n", VERB_DECR},
        {"delete k\r\n", VERB_DELETE},
        {"touch k 1\r\n", VERB_TOUCH},
        {"flush_all\r\n", VERB_FLUSH_ALL},
        {"  flush_all\r\n", VERB_FLUSH_ALL},
        {"version\r\n", VERB_VERSION},
        {"verbosity 1\r\n", VERB_VERBOSITY},
        {" verbosity 1\r\n", VERB_VERBOSITY},
        {"stats\r\n", VERB_STATS},
        {"shutdown\r\n", VERB_SHUTDOWN},
        {" shutdown\r\n", VERB_SHUTDOWN},
        {"cache_memlimit 9\r\n", VERB_CACHE_MEMLIMIT},
        {"mn\r\n", VERB_NOOP},
        {"quit\r\n", VERB_QUIT},
        {"GET / HTTP/1.0\r\n", VERB_DROP},
        {"getx k\r\n", VERB_ERROR},
        {"ge k\r\n", VERB_ERROR},
        {" set k 0 0 1\r\n", VERB_ERROR},
        {" delete k\r\n", VERB_ERROR},
        {"GET k\r\n", VERB_ERROR},
        {"get\tk\r\n", VERB_ERROR},
        {"HTTP/1.0\r\n", VERB_ERROR},
    };

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        parses(lines[i].line);
        ck_assert_msg(req.verb == lines[i].verb, "%s", lines[i].line);
    }
}
END_TEST

START_TEST(a_line_ends_at_the_line_feed)
{
    parses("get k\n");
    ck_assert_uint_eq(req.nkey, 1);
    parses("get k\r\r\n");
    ck_assert_uint_eq(req.nkey, 2); /* only one CR belongs to the end */
    ck_assert(text_parse("mn\r\nmn\r\n", 8, &req, &used) == TEXT_OK);
    ck_assert_uint_eq(used, 4);
    ck_assert(parse("get k\r") == TEXT_MORE);
    ck_assert(parse("") == TEXT_MORE);
}
END_TEST

START_TEST(short_lines_are_refused)
{
    refuses("\n", REPLY_BAD_FORMAT, false);
    refuses("\r\n", REPLY_BAD_FORMAT, false);
    refuses("a\r\n", REPLY_BAD_FORMAT, false);
    refuses("mn\n", REPLY_BAD_FORMAT, false);
    refuses("ab\r\n", REPLY_ERROR, false);
    refuses("    \r\n", REPLY_ERROR, false);
}
END_TEST

START_TEST(data_of_unknown_length_is_the_end)
{
    static const char *const verbs[] = {"set",    "add",     "replace",
                                        "append", "prepend", "cas"};
    static const char *const rests[] = {
        "",           " k",          " k 0",
        " k 0 0",     " k 0 0 x",    " k 0 0 -1",
        "  0 0 5",    " k 0 0 1x",   " k 0 0 2147483646",
        " k 0 0 1.0", " k 0 0 0x10", " k 0 0 99999999999 noreply"};
    char line[100];

    for (size_t v = 0; v < COUNT_OF(verbs); v++) {
        for (size_t i = 0; i < COUNT_OF(rests); i++) {
            (void)snprintf(line, sizeof(line), "%s%s\r\n", verbs[v], rests[i]);
            refuses(line, REPLY_BAD_FORMAT, false);
            ck_assert_msg(req.hang_up && !req.has_data, "%s", line);
        }
    }
    parses("set k 0 0 2147483645\r\n");
    ck_assert_uint_eq(req.nbytes, 2147483645);
    ck_assert(!req.hang_up);
    parses("set k 0 0 -\r\n");
    ck_assert_uint_eq(req.nbytes, 0);
    ck_assert(req.has_data && !req.hang_up);
}
END_TEST

START_TEST(lines_without_data_are_not_the_end)
{
    static const char *const lines[] = {
        "get\r\n",       "gat x k\r\n",  "incr k\r\n", "incr k x\r\n",
        "touch k\r\n",   "delete\r\n",   "a\r\n",      "nonsense k 5\r\n",
        "verbosity\r\n", "sets k 5\r\n", "mx k x\r\n", "ma\r\n"};

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        parses(lines[i]);
        ck_assert_int_eq(req.verb, VERB_ERROR);
        ck_assert_msg(!req.hang_up && !req.has_data, "%s", lines[i]);
    }
}
END_TEST

START_TEST(a_meta_line_names_a_key)
{
    static const struct {
        const char *line;
        enum verb verb;
    } lines[] = {{"mg key v t\r\n", VERB_META_GET},
                 {"md key q\r\n", VERB_META_DELETE},
                 {"ma  key\r\n", VERB_META_ARITH},
                 {"me key b x\n", VERB_META_DEBUG},
                 {"ms key 5 noreply\r\n", VERB_META_SET}};

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        parses(lines[i].line);
        ck_assert_int_eq(req.verb, lines[i].verb);
        ck_assert_uint_eq(req.nkey, 3);
        ck_assert_mem_eq(req.key, "key", 3);
        ck_assert_ptr_eq(req.rest, req.key);
        ck_assert(!req.noreply);
        ck_assert_int_eq(req.has_data, req.verb == VERB_META_SET);
    }
    ck_assert_uint_eq(req.nbytes, 5);
    refuses("mg \r\n", REPLY_BAD_FORMAT, false);
    refuses("me\r\n", REPLY_BAD_FORMAT, false);
}
END_TEST

START_TEST(a_meta_set_without_a_length_is_the_last_line)
{
    static const char *const lines[] = {"ms k\r\n", "ms k S5\r\n",
                                        "ms k -1\r\n", "ms k 2147483646\r\n"};

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        refuses(lines[i], REPLY_BAD_FORMAT, false);
        ck_assert(!req.has_data && req.hang_up);
    }
}
END_TEST

START_TEST(binary_requests_are_not_lines)
{
    ck_assert(parse("\x80") == TEXT_BAD);
    ck_assert(parse("\x80\n") == TEXT_BAD);
    ck_assert(parse("\x80\x01 flush_all\r\nflush_all\r\n") == TEXT_BAD);
    refuses("\x81\x01 flush_all\r\n", REPLY_ERROR, false);
    parses("get \x80\r\n");
    ck_assert_int_eq(req.verb, VERB_GET);
}
END_TEST

START_TEST(other_bad_words_swallow_the_data)
{
    refuses("set k x 0 4\r\n", REPLY_BAD_FORMAT, false);
    ck_assert(req.has_data);
    ck_assert_uint_eq(req.nbytes, 4);
    refuses("set k 0 x 4 noreply\r\n", REPLY_BAD_FORMAT, true);
    ck_assert(req.has_data);
    refuses("set k 18446744073709551616 0 4\r\n", REPLY_BAD_FORMAT, false);
    refuses("set k 0 9223372036854775808 4\r\n", REPLY_BAD_FORMAT, false);
    parses("set k +7 +8 4\r\n");
    ck_assert_uint_eq(req.flags, 7);
    ck_assert_int_eq(req.exptime, 8);
    parses("set k 4294967297 4294967295 4\r\n");
    ck_assert_uint_eq(req.flags, 1);
    ck_assert_int_eq(req.exptime, -1);
}
END_TEST

static void key_line(char *line, const char *before, size_t n,
                     const char *after)
{
    size_t len = strlen(before);

    memcpy(line, before, len);
    memset(line + len, 'k', n);
    memcpy(line + len + n, after, strlen(after) + 1);
}

START_TEST(keys_have_at_most_250_bytes)
{
    char line[400];

    key_line(line, "set ", 250, " 0 0 1\r\n");
    parses(line);
    ck_assert_int_eq(req.verb, VERB_SET);
    ck_assert_uint_eq(req.nkey, 250);
    key_line(line, "set ", 251, " 0 0 1\r\n");
    refuses(line, REPLY_BAD_FORMAT, false);
    ck_assert(req.has_data);
    key_line(line, "incr ", 251, " x\r\n");
    refuses(line, REPLY_BAD_FORMAT, false);
    key_line(line, "touch ", 251, " x noreply\r\n");
    refuses(line, REPLY_BAD_FORMAT, true);
    key_line(line, "delete ", 251, "\r\n");
    refuses(line, REPLY_BAD_FORMAT, false);
    key_line(line, "get ", 251, "\r\n");
    parses(line); /* refused when its turn comes */
    ck_assert_int_eq(req.verb, VERB_GET);
    ck_assert_uint_eq(req.nkey, 0);
}
END_TEST

START_TEST(only_the_last_of_23_words_is_noreply)
{
    static const char junk[] =
        " j j j j j j j j j j j j j j j j j j j j j j j j";
    char line[200];

    for (int words = 6; words < 30; words++) {
        (void)snprintf(line, sizeof(line), "set k 0 0 1%.*s noreply\r\n",
                       2 * (words - 6), junk);
        parses(line);
        ck_assert_msg(req.noreply == (words <= 23), "%d words", words);
    }
    parses("set k 0 0 1 noreply j\r\n");
    ck_assert(!req.noreply);
    parses("delete noreply\r\n");
    ck_assert(req.noreply);
    parses("get k noreply\r\n");
    ck_assert(req.noreply);
    parses("get knoreply\r\n");
    ck_assert(!req.noreply);
    parses("gat 0 k noreply\r\n");
    ck_assert(!req.noreply);
    parses("version noreply\r\n");
    ck_assert(!req.noreply);
    refuses("foo noreply\r\n", REPLY_ERROR, true);
}
END_TEST

START_TEST(delete_takes_a_zero_and_noreply)
{
    parses("delete k 0\r\n");
    ck_assert_int_eq(req.verb, VERB_DELETE);
    parses("delete k 0 noreply\r\n");
    ck_assert_int_eq(req.verb, VERB_DELETE);
    ck_assert(req.noreply);
    refuses("delete k 1\r\n", REPLY_BAD_DELETE, false);
    refuses("delete k 00\r\n", REPLY_BAD_DELETE, false);
    refuses("delete k 1 noreply\r\n", REPLY_BAD_DELETE, true);
    refuses("delete k noreply 0\r\n", REPLY_BAD_DELETE, false);
    refuses("delete\r\n", REPLY_BAD_FORMAT, false);
}
END_TEST

START_TEST(numbers_are_checked)
{
    parses("incr k 18446744073709551615\r\n");
    ck_assert(req.number == UINT64_MAX);
    refuses("incr k 18446744073709551616\r\n", REPLY_BAD_DELTA, false);
    refuses("incr k -1\r\n", REPLY_BAD_DELTA, false);
    refuses("decr k noreply\r\n", REPLY_BAD_DELTA, true);
    refuses("incr k\r\n", REPLY_BAD_FORMAT, false);
    refuses("touch k 2147483648\r\n", REPLY_BAD_EXPTIME, false);
    refuses("gat 2147483648 k\r\n", REPLY_BAD_EXPTIME, false);
    refuses("gat 1\r\n", REPLY_BAD_FORMAT, false);
    refuses("verbosity x\r\n", REPLY_BAD_FORMAT, false);
    refuses("verbosity noreply\r\n", REPLY_BAD_FORMAT, true);
    refuses("cache_memlimit -1\r\n", REPLY_ERROR, false);
    parses("flush_all noreply\r\n");
    ck_assert_int_eq(req.refusal, REPLY_NONE);
    parses("flush_all x\r\n");
    ck_assert_int_eq(req.verb, VERB_FLUSH_ALL);
    ck_assert_int_eq(req.refusal, REPLY_BAD_EXPTIME);
}
END_TEST

START_TEST(unfinished_lines_have_a_limit)
{
    static char line[TEXT_LINE_MAX + 200];

    memset(line, 'x', sizeof(line));
    ck_assert(text_parse(line, TEXT_LINE_MAX, &req, &used) == TEXT_MORE);
    ck_assert(text_parse(line, TEXT_LINE_MAX + 1, &req, &used) == TEXT_BAD);
    memcpy(line, "get ", 4);
    ck_assert(text_parse(line, sizeof(line), &req, &used) == TEXT_MORE);
    memset(line, ' ', 100);
    memcpy(line + 100, "gets ", 5);
    ck_assert(text_parse(line, sizeof(line), &req, &used) == TEXT_MORE);
    memset(line, ' ', 101);
    memcpy(line + 101, "gets ", 5);
    ck_assert(text_parse(line, sizeof(line), &req, &used) == TEXT_BAD);
    line[sizeof(line) - 1] = '\n'; /* whole lines may be longer */
    ck_assert(text_parse(line, sizeof(line), &req, &used) == TEXT_OK);
}
END_TEST

START_TEST(keys_are_split_one_by_one)
{
    static const char *const expected[] = {"a", "bb", "ccc"};
    const char *key;
    size_t n;

    parses("get  a bb   ccc  \r\n");
    for (size_t i = 0; i < 3; i++) {
        ck_assert(text_next_key(&req, &key, &n));
        ck_assert_uint_eq(n, strlen(expected[i]));
        ck_assert_mem_eq(key, expected[i], n);
    }
    ck_assert(!text_next_key(&req, &key, &n));
    ck_assert(!text_next_key(&req, &key, &n));
}
END_TEST

static size_t count_keys(void)
{
    const char *key;
    size_t n, count = 0;

    while (text_next_key(&req, &key, &n)) {
        count++;
    }
    return count;
}

START_TEST(a_long_get_comes_in_pieces)
{
    bool last;

    ck_assert(text_parse_get_head("gets a b par", 12, &req, &used) == TEXT_OK);
    ck_assert_uint_eq(used, 9);
    ck_assert_int_eq(req.verb, VERB_GETS);
    ck_assert(req.more);
    ck_assert_uint_eq(count_keys(), 2);
    ck_assert(text_parse_more_keys("par", 3, &req, &used, &last) == TEXT_MORE);
    ck_assert(!last);
    ck_assert(text_parse_more_keys("partial c d", 11, &req, &used, &last) ==
              TEXT_OK);
    ck_assert_uint_eq(used, 10);
    ck_assert_uint_eq(count_keys(), 2);
    ck_assert(req.more);
    ck_assert(text_parse_more_keys("d e\r\nmn", 7, &req, &used, &last) ==
              TEXT_OK);
    ck_assert(last);
    ck_assert(!req.more);
    ck_assert_uint_eq(used, 5);
    ck_assert_uint_eq(count_keys(), 2);
    ck_assert(text_parse_get_head("get par", 7, &req, &used) == TEXT_MORE);
    ck_assert(text_parse_get_head(" get par ", 9, &req, &used) == TEXT_BAD);
}
END_TEST

START_TEST(a_cr_alone_makes_no_key_too_long)
{
    char line[600];
    size_t n;
    bool last;

    key_line(line, "get a ", 250, "\r");
    n = strlen(line);
    ck_assert(text_parse_get_head(line, n, &req, &used) == TEXT_OK);
    ck_assert_uint_eq(used, 6);
    ck_assert_uint_eq(count_keys(), 1);
    ck_assert(text_parse_more_keys(line + 6, n - 6, &req, &used, &last) ==
              TEXT_MORE);
    key_line(line, "get a ", 251, "\r");
    ck_assert(text_parse_get_head(line, n + 1, &req, &used) == TEXT_OK);
    ck_assert_uint_eq(used, n + 1);
}
END_TEST

/* -vv looks at the byte behind a line. */
START_TEST(behind_a_line_lies_a_byte)
{
    static const char keys[] = "get a b ";
    bool last;

    ck_assert(text_parse_get_head(keys, 8, &req, &used) == TEXT_OK);
    ck_assert_uint_lt(req.line_len, 8);
    ck_assert(text_parse_more_keys(keys + 4, 4, &req, &used, &last) == TEXT_OK);
    ck_assert_uint_lt(req.line_len, 4);
    ck_assert(text_parse_more_keys("b\n", 2, &req, &used, &last) == TEXT_OK);
    ck_assert_uint_lt(req.line_len, 2);
}
END_TEST

START_TEST(a_piece_of_an_over_long_key_is_a_key)
{
    char line[400];
    const char *key;
    size_t n;

    key_line(line, "get a ", 251, "");
    ck_assert(text_parse_get_head(line, strlen(line), &req, &used) == TEXT_OK);
    ck_assert_uint_eq(used, strlen(line));
    ck_assert(text_next_key(&req, &key, &n));
    ck_assert(text_next_key(&req, &key, &n));
    ck_assert_uint_eq(n, 251);
}
END_TEST

START_TEST(replies_end_in_a_line_end)
{
    size_t n;

    for (int reply = REPLY_NONE + 1; reply < REPLY_COUNT; reply++) {
        const char *text = text_reply((enum reply)reply, &n);

        ck_assert_msg(text != NULL, "reply %d has no text", reply);
        ck_assert_uint_eq(n, strlen(text));
        ck_assert_str_eq(text + n - 2, "\r\n");
    }
    (void)text_reply(REPLY_NONE, &n);
    ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(value_headers_are_formatted)
{
    char buf[TEXT_VALUE_HEADER_MAX];
    char longest[250];
    uint64_t cas = UINT64_MAX;
    char *end = text_value_header(buf, "key", 3, 0, 10, NULL);

    ck_assert_uint_eq((size_t)(end - buf), 16);
    ck_assert_mem_eq(buf, "VALUE key 0 10\r\n", 16);
    end = text_value_header(buf, "k", 1, UINT32_MAX, 9, &cas);
    ck_assert_mem_eq(buf, "VALUE k 4294967295 9 18446744073709551615\r\n", 43);
    ck_assert_uint_eq((size_t)(end - buf), 43);
    memset(longest, 'k', sizeof(longest));
    end = text_value_header(buf, longest, 250, UINT32_MAX, UINT32_MAX, &cas);
    ck_assert_uint_eq((size_t)(end - buf), sizeof(buf));
}
END_TEST

static Suite *text_suite(void)
{
    Suite *suite = suite_create("text");
    TCase *tc = tcase_create("lines");

    tcase_add_test(tc, storage_line_fills_the_request);
    tcase_add_test(tc, cas_line_has_a_unique);
    tcase_add_test(tc, verbs_are_told_apart);
    tcase_add_test(tc, a_line_ends_at_the_line_feed);
    tcase_add_test(tc, short_lines_are_refused);
    tcase_add_test(tc, data_of_unknown_length_is_the_end);
    tcase_add_test(tc, lines_without_data_are_not_the_end);
    tcase_add_test(tc, a_meta_line_names_a_key);
    tcase_add_test(tc, a_meta_set_without_a_length_is_the_last_line);
    tcase_add_test(tc, binary_requests_are_not_lines);
    tcase_add_test(tc, other_bad_words_swallow_the_data);
    tcase_add_test(tc, keys_have_at_most_250_bytes);
    tcase_add_test(tc, only_the_last_of_23_words_is_noreply);
    tcase_add_test(tc, delete_takes_a_zero_and_noreply);
    tcase_add_test(tc, numbers_are_checked);
    tcase_add_test(tc, unfinished_lines_have_a_limit);
    tcase_add_test(tc, keys_are_split_one_by_one);
    tcase_add_test(tc, a_long_get_comes_in_pieces);
    tcase_add_test(tc, a_cr_alone_makes_no_key_too_long);
    tcase_add_test(tc, behind_a_line_lies_a_byte);
    tcase_add_test(tc, a_piece_of_an_over_long_key_is_a_key);
    tcase_add_test(tc, replies_end_in_a_line_end);
    tcase_add_test(tc, value_headers_are_formatted);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(text_suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
