/* Unit tests of authfile: what a file says, and whom it lets in. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authfile.h"

static struct authfile_table table;

static bool parse(const char *text)
{
    return authfile_parse(text, strlen(text), &table);
}

static bool has(const char *user, const char *pass)
{
    return authfile_find(&table, user, strlen(user), pass, strlen(pass));
}

START_TEST(each_line_is_a_user)
{
    ck_assert(parse("a:b\ncc:dd\r\ne:f"));
    ck_assert_uint_eq(table.n, 3);
    ck_assert(has("a", "b") && has("cc", "dd") && has("e", "f"));
    ck_assert(!has("a", "dd") && !has("c", "cdd") && !has("ccd", "d"));
    ck_assert(!has("", "") && !has("a", "") && !has("ab", ""));
}
END_TEST

START_TEST(the_first_colon_divides)
{
    ck_assert(parse("a:b:c d\n:p\nu:\n:\n"));
    ck_assert(has("a", "b:c d") && has("", "p") && has("u", "") && has("", ""));
    ck_assert(!has("a:b", "c d"));
}
END_TEST

START_TEST(every_line_that_counts_needs_a_colon)
{
    static const char *const bad[] = {"",         "\n",      "a\n",   "a:b\n\n",
                                      "a:b\nc\n", "\na:b\n", "a:b\nc"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!parse(bad[i]), "%zu", i);
    }
}
END_TEST

START_TEST(what_follows_eight_users_is_not_looked_at)
{
    ck_assert(parse("1:a\n2:a\n3:a\n4:a\n5:a\n6:a\n7:a\n8:a\nnonsense\n"));
    ck_assert_uint_eq(table.n, AUTHFILE_USERS);
    ck_assert(has("8", "a"));
}
END_TEST

START_TEST(what_follows_a_long_line_is_not_looked_at)
{
    char pass[AUTHFILE_LINE + 1];
    char text[2 * AUTHFILE_LINE];

    memset(pass, 'p', sizeof(pass));
    pass[AUTHFILE_LINE - 2] = '\0'; /* with "u:" the longest line */
    (void)snprintf(text, sizeof(text), "u:%s\nv:q\n", pass);
    ck_assert(parse(text));
    ck_assert(has("u", pass) && has("v", "q"));
    (void)snprintf(text, sizeof(text), "u:%sp\nv:q\n", pass);
    ck_assert(parse(text));
    ck_assert(has("u", pass));
    ck_assert(!has("v", "q"));
    memset(text, 'u', AUTHFILE_LINE);
    (void)snprintf(text + AUTHFILE_LINE, AUTHFILE_LINE, ":p\n");
    ck_assert(!parse(text));
}
END_TEST

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(a_load_that_fails_changes_nothing)
{
    char path[] = "authfile-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(authfile_load(path), AUTHFILE_MALFORMED);
    ck_assert(!authfile_check("a", 1, "b", 1));
    write_file(path, "a:b\n");
    ck_assert_int_eq(authfile_load(path), AUTHFILE_OK);
    ck_assert(authfile_check("a", 1, "b", 1));
    write_file(path, "c:d\n\n");
    ck_assert_int_eq(authfile_load(path), AUTHFILE_MALFORMED);
    ck_assert(authfile_check("a", 1, "b", 1));
    ck_assert(!authfile_check("c", 1, "d", 1));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(authfile_load(path), AUTHFILE_OPEN);
    ck_assert_int_eq(authfile_load("."), AUTHFILE_READ);
    ck_assert(authfile_check("a", 1, "b", 1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("authfile");
    TCase *tests = tcase_create("authfile");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tests, each_line_is_a_user);
    tcase_add_test(tests, the_first_colon_divides);
    tcase_add_test(tests, every_line_that_counts_needs_a_colon);
    tcase_add_test(tests, what_follows_eight_users_is_not_looked_at);
    tcase_add_test(tests, what_follows_a_long_line_is_not_looked_at);
    tcase_add_test(tests, a_load_that_fails_changes_nothing);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
