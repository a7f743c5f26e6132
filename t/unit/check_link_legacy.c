/* Unit tests of rep/link with a repcached 2.x: its commands, both ways. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "t/unit/linking.h"

/* Some tests run with pieces of these sizes. */
static const size_t cuts[] = {1, 7, SIZE_MAX};

enum { CUTS = sizeof(cuts) / sizeof(cuts[0]) };

/* A link that a 2.x dialled, which nothing tells but the edge. */
static void link_accepted(void)
{
    connect_as(false);
    ck_assert(rep_link_begin(lnk, true, 0));
    rep_link_scan(lnk, 0);
}

/* One that we dialled; its copy has ended. */
static void link_dialled(void)
{
    connect_as(true);
    (void)heard_line();
    say_line("marugoto_end");
    ck_assert(figures().legacy);
    (void)told();
}

static void ck_lines(const char *want)
{
    ck_assert_str_eq(heard_text(), want);
}

START_TEST(who_dialled_gets_a_copy_and_its_end)
{
    char want[128];
    uint64_t v = set("k", "value");

    cut = cuts[_i];
    decide = false;
    link_accepted();
    (void)snprintf(want, sizeof(want), "rep k 0 0 5 %llu\r\nvalue\r\n", U(v));
    ck_lines(want);
    ck_assert_str_eq(told(), "scan done; ");
    ck_assert_uint_eq(figures().full_copies, 1);
    rep_link_announce(lnk);
    ck_lines("marugoto_end\r\n");
    ck_assert(figures().announced);
    ck_assert_uint_eq(figures().full_items, 1);
    ck_assert_uint_eq(figures().full_bytes, strlen(want));
    ck_assert(rep_link_all_written(lnk));
    ck_assert(rep_link_sleep(lnk));
}
END_TEST

START_TEST(who_was_dialled_copies_first)
{
    uint64_t v = set("ours", "1");
    char want[128];

    cut = cuts[_i];
    connect_as(true);
    (void)heard_line();
    say_line("rep theirs 0 0 1 5\r\n2");
    ck_assert_str_eq(get("theirs"), "2");
    ck_assert_ptr_null(strstr(heard_text(), "ours"));
    ck_assert_str_eq(told(), "legacy; legacy; "); /* now it is firm */
    say_line("marugoto_end");
    ck_assert_str_eq(told(), "received; ");
    ck_assert(figures().received);
    (void)snprintf(want, sizeof(want), "rep ours 0 0 1 %llu\r\n1\r\n", U(v));
    ck_assert_ptr_nonnull(strstr(heard_text(), want));
    ck_assert_str_eq(told(), "scan done; ");
    ck_assert(figures().announced);
    ck_lines(""); /* no end: it expects none */
}
END_TEST

START_TEST(changes_are_told_as_they_come)
{
    char want[128];
    uint64_t v;

    link_dialled();
    (void)heard_text();
    cut = cuts[_i];
    v = set("k", "1");
    (void)snprintf(want, sizeof(want), "rep k 0 0 1 %llu\r\n1\r\n", U(v));
    ck_lines(want);
    /* Sent is as good as processed. */
    ck_assert_uint_eq(rep_log_acked(rlog, figures().reader), head());
    delete_key("k");
    ck_lines("delete k\r\n");
    store_flush(0);
    ck_lines("flush_all \r\n");
    ck_assert_uint_eq(figures().items_sent, 2);
}
END_TEST

START_TEST(its_commands_are_obeyed)
{
    link_dialled();
    cut = cuts[_i];
    say_line("rep k 5 0 5 17\r\nvalue");
    ck_assert_str_eq(get("k"), "value");
    say_line("delete k");
    ck_assert_str_eq(get("k"), "none");
    (void)set("x", "1");
    say_line("flush_all ");
    ck_assert_str_eq(get("x"), "none");
    ck_assert_uint_eq(figures().items_received, 2);
}
END_TEST

START_TEST(a_large_value_goes_whole_both_ways)
{
    static char line[200100];
    const char *text;
    size_t n;

    link_dialled();
    (void)heard_text();
    cut = cuts[_i] == 1 ? 1000 : cuts[_i];
    (void)set_large("big", 200000);
    (void)set("small", "1");
    text = heard_text();
    ck_assert_int_eq(strncmp(text, "rep big 0 0 200000 ", 19), 0);
    ck_assert_ptr_nonnull(strstr(text, "xx\r\nrep small "));
    n = (size_t)snprintf(line, sizeof(line), "rep theirs 0 0 200000 7\r\n");
    memset(line + n, 'y', 200000);
    memcpy(line + n + 200000, "\r\n", 2);
    feed(line, n + 200002);
    ck_assert_str_eq(get("theirs"), "200000 bytes");
}
END_TEST

START_TEST(a_link_that_ends_lets_a_large_value_go)
{
    uint64_t before;

    link_dialled();
    (void)heard_text();
    before = chunks_used();
    (void)set_large("k", 500000);
    window = 100000;
    (void)heard_text();
    delete_key("k");
    ck_assert_uint_gt(chunks_used(), before); /* it is being sent */
    disconnect();
    ck_assert_uint_eq(chunks_used(), before);
}
END_TEST

START_TEST(a_flush_while_it_was_away_is_told_before_a_copy)
{
    uint64_t since = version_next();
    char want[128];
    uint64_t v;

    decide = false;
    store_flush(0);
    v = set("k", "1");
    connect_as(false);
    ck_assert(rep_link_begin(lnk, true, since));
    rep_link_scan(lnk, 0);
    (void)snprintf(want, sizeof(want),
                   "flush_all \r\nrep k 0 0 1 %llu\r\n1\r\n", U(v));
    ck_lines(want);
}
END_TEST

START_TEST(what_fell_off_the_log_is_scanned_for)
{
    link_dialled();
    (void)heard_text();
    (void)told();
    window = 0;
    (void)set("first", "1");
    (void)set_many("key", 500);
    window = SIZE_MAX;
    ck_assert_ptr_nonnull(strstr(heard_text(), "rep first "));
    ck_assert_str_eq(told(), "overrun; scan done; ");
    ck_assert_uint_eq(figures().partial_copies, 1);
}
END_TEST

START_TEST(nonsense_ends_the_link)
{
    link_dialled();
    say_line("rep k 0 0 99999999999 1");
    ck_assert(rep_link_is_closed(lnk));
    ck_assert_str_eq(told(), "closed; ");
    ck_assert_str_ne(error_text(), "");
}
END_TEST

START_TEST(it_is_drained_when_the_kernel_has_nothing_left)
{
    link_dialled();
    (void)heard_text();
    (void)told();
    (void)set("k", "1");
    rep_link_drain(lnk);
    rep_link_drained(lnk, 0);
    ck_assert_str_eq(told(), "");
    (void)heard_text();
    rep_link_drained(lnk, 10);
    ck_assert_str_eq(told(), "");
    rep_link_drained(lnk, 0);
    ck_assert_str_eq(told(), "drained; ");
    rep_link_close(lnk);
    ck_lines(""); /* 2.x knows no last words */
}
END_TEST

START_TEST(it_is_sent_no_hints_and_remembered_by_nobody)
{
    link_dialled();
    ck_assert(!rep_link_takes_hints(lnk));
    (void)heard_text();
    rep_link_beat(lnk);
    ck_lines("");
    ck_assert_uint_eq(figures().run, 0);
    disconnect();
    link_accepted(); /* a full copy again */
    ck_assert_uint_eq(figures().full_copies, 1);
}
END_TEST

static void add_tests(Suite *s)
{
    TCase *t = tcase_create("legacy");
    TCase *small = tcase_create("a small log");

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, who_dialled_gets_a_copy_and_its_end, 0, CUTS);
    tcase_add_loop_test(t, who_was_dialled_copies_first, 0, CUTS);
    tcase_add_loop_test(t, changes_are_told_as_they_come, 0, CUTS);
    tcase_add_loop_test(t, its_commands_are_obeyed, 0, CUTS);
    tcase_add_loop_test(t, a_large_value_goes_whole_both_ways, 0, CUTS);
    tcase_add_test(t, a_link_that_ends_lets_a_large_value_go);
    tcase_add_test(t, a_flush_while_it_was_away_is_told_before_a_copy);
    tcase_add_test(t, nonsense_ends_the_link);
    tcase_add_test(t, it_is_drained_when_the_kernel_has_nothing_left);
    tcase_add_test(t, it_is_sent_no_hints_and_remembered_by_nobody);
    suite_add_tcase(s, small);
    tcase_set_timeout(small, 30);
    tcase_add_checked_fixture(small, setup_small, teardown);
    tcase_add_test(small, what_fell_off_the_log_is_scanned_for);
}

int main(void)
{
    Suite *s = suite_create("link_legacy");
    SRunner *r;
    int failed;

    add_tests(s);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
