/* What `stats replication` says of one peer and of several. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "repstats.h"
#include "settings.h"

static struct repstats stats;
static char text[16384]; /* "name value" a line */

static void keep(void *ctx, const char *name, const char *value)
{
    size_t used = strlen(text);

    (void)ctx;
    (void)snprintf(text + used, sizeof(text) - used, "%s %s\n", name, value);
}

static void ask(bool full)
{
    text[0] = '\0';
    repstats_rows(&stats, full, keep, NULL);
}

#define IS(row)                                                                \
    ck_assert_msg(strncmp(text, row "\n", sizeof(row)) == 0 ||                 \
                      strstr(text, "\n" row "\n") != NULL,                     \
                  "no row \"%s\" in\n%s", row, text)
#define IS_NOT(part)                                                           \
    ck_assert_msg(strstr(text, part) == NULL, "\"%s\" in\n%s", part, text)

static void set_up(void)
{
    settings.rep_log = 64 * KIB;
    settings.rep_queue = 8192;
    memset(&stats, 0, sizeof(stats));
    stats.floors = rep_floor_new(64 * KIB);
    stats.log = rep_log_new(64 * KIB, stats.floors);
    stats.hints = rep_hints_new(REP_HINTS_RATE);
    ck_assert(stats.log != NULL && stats.hints != NULL);
    stats.run = 0xabc;
}

static void tear_down(void)
{
    rep_hints_free(stats.hints);
    rep_log_free(stats.log);
    rep_floor_free(stats.floors);
}

static struct repstats_peer *add_peer(const char *name, bool configured)
{
    struct repstats_peer *p = &stats.peer[stats.npeers++];

    p->shown = true;
    p->configured = configured;
    p->status = REP_DIALING;
    (void)snprintf(p->name, sizeof(p->name), "%s", name);
    return p;
}

static struct repstats_peer *add_linked(const char *name, bool configured)
{
    struct repstats_peer *p = add_peer(name, configured);

    p->status = REP_LINKED;
    p->now = (struct rep_link_figures){
        .linked = true, .run = 0xdef, .items_sent = 5, .lag_us = 1500};
    return p;
}

START_TEST(nobody_is_listened_for)
{
    ask(true);
    IS("link_status listening");
    IS("dialect none");
    IS("peer none");
    IS("run_id 0000000000000abc");
    IS("in_sync 0");
    IS("queued_bytes 0");
    IS("floors_held 0");
    IS("last_error none");
    IS_NOT("peer_0");
    ask(false);
    ck_assert_str_eq(text, "replication MASTER\nrepcached_version 3.0.0\n"
                           "repcached_qi_free 8192\n");
}
END_TEST

START_TEST(one_peer_is_told_as_a_whole)
{
    struct repstats_peer *p = add_linked("10.0.0.2:11212", true);

    stats.status = REP_LINKED;
    stats.past.items_sent = 7;
    p->past.items_sent = 7;
    p->now.conflicts_lost = 3;
    p->now.skew_ms = -20;
    ask(true);
    IS("link_status linked");
    IS("dialect repcached3");
    IS("peer 10.0.0.2:11212");
    IS("in_sync 1");
    IS("items_sent 12");
    IS("conflicts_lost 3");
    IS("lag_ms 1.500");
    IS("clock_skew_ms -20");
    IS_NOT("peer_0");
}
END_TEST

START_TEST(changes_behind_are_counted)
{
    struct repstats_peer *p = add_linked("10.0.0.2:11212", true);
    struct store_key key = store_key("key", 3);
    uint64_t pos;
    int reader = rep_log_open(stats.log, &pos);

    for (int i = 0; i < 100; i++) {
        if (i == 90) {
            p->now.pos = rep_log_head(stats.log);
        }
        rep_log_wish(stats.log, reader, &key);
    }
    ask(true);
    IS("queued_bytes 230");
    IS("queued_keys 10");
}
END_TEST

/* The place of one who is away is held by another: still one link. */
START_TEST(another_in_the_place_of_the_one_is_no_second)
{
    add_peer("host:11212", true);
    add_linked("10.0.0.9:11212", false);
    stats.status = REP_LINKED;
    ask(true);
    IS("link_status linked");
    IS("peer 10.0.0.9:11212");
    IS_NOT("peer_0");
}
END_TEST

START_TEST(several_are_told_one_by_one)
{
    struct repstats_peer *one = add_linked("[::1]:1", true);
    struct repstats_peer *two = add_linked("b:2", true);
    struct repstats_peer *away = add_peer("c:3", true);

    stats.status = REP_DIALING;
    two->now.legacy = true;
    two->now.run = 0;
    two->now.lag_us = 2500;
    two->now.skew_ms = -50;
    one->now.skew_ms = 20;
    away->past.items_sent = 9;
    stats.past.items_sent = 9;
    (void)snprintf(away->error, sizeof(away->error), "gone");
    ask(true);
    IS("link_status dialing");
    IS("dialect mixed");
    IS("peer [::1]:1,b:2");
    IS("in_sync 0");
    IS("items_sent 19");
    IS("lag_ms 2.500");
    IS("clock_skew_ms -50");
    IS("peer_0_link_status linked");
    IS("peer_0_dialect repcached3");
    IS("peer_0_peer [::1]:1");
    IS("peer_0_run_id 0000000000000def");
    IS("peer_0_in_sync 1");
    IS("peer_0_clock_skew_ms 20");
    IS("peer_1_dialect legacy");
    IS("peer_1_run_id none");
    IS("peer_1_items_sent 5");
    IS("peer_2_link_status dialing");
    IS("peer_2_peer c:3");
    IS("peer_2_items_sent 9");
    IS("peer_2_last_error gone");
}
END_TEST

START_TEST(one_behind_makes_all_out_of_sync)
{
    struct repstats_peer *p;

    add_linked("a:1", true);
    p = add_linked("b:2", true);
    stats.status = REP_LINKED;
    ask(true);
    IS("in_sync 1");
    p->now.pos = 10;
    ask(true);
    IS("in_sync 0");
    IS("peer_0_in_sync 1");
    IS("peer_1_in_sync 0");
}
END_TEST

/* Another name of the first, or of ourselves. */
START_TEST(what_is_no_node_of_its_own_is_left_out)
{
    add_linked("a:1", true);
    add_peer("a-again:1", true)->shown = false;
    stats.status = REP_LINKED;
    ask(true);
    IS("in_sync 1");
    IS_NOT("peer_0");
    add_linked("b:2", true);
    ask(true);
    IS("peer a:1,b:2");
    IS("peer_2_peer b:2");
    IS_NOT("peer_1");
}
END_TEST

START_TEST(copy_keeps_what_is_in_use)
{
    static struct repstats copy;

    add_linked("a:1", true);
    add_linked("b:2", true);
    memset(&copy, 0, sizeof(copy));
    repstats_copy(&copy, &stats);
    ck_assert_uint_eq(copy.npeers, 2);
    ck_assert_str_eq(copy.peer[1].name, "b:2");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("repstats");
    TCase *rows = tcase_create("rows");

    tcase_add_checked_fixture(rows, set_up, tear_down);
    tcase_add_test(rows, nobody_is_listened_for);
    tcase_add_test(rows, one_peer_is_told_as_a_whole);
    tcase_add_test(rows, changes_behind_are_counted);
    tcase_add_test(rows, another_in_the_place_of_the_one_is_no_second);
    tcase_add_test(rows, several_are_told_one_by_one);
    tcase_add_test(rows, one_behind_makes_all_out_of_sync);
    tcase_add_test(rows, what_is_no_node_of_its_own_is_left_out);
    tcase_add_test(rows, copy_keeps_what_is_in_use);
    suite_add_tcase(s, rows);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(suite());
    int failed;

    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
