/* Unit tests of stats and prefix. */
#include "t/unit/talk.h"

#define BAD "CLIENT_ERROR bad command line format\r\n"

static bool conns(void (*row)(void *ctx, const char *name, const char *value),
                  void *ctx)
{
    row(ctx, "7:state", "conn_listening");
    return true;
}

static bool no_memory(void (*row)(void *ctx, const char *name,
                                  const char *value),
                      void *ctx)
{
    (void)row;
    (void)ctx;
    return false;
}

static void replication(bool full,
                        void (*row)(void *ctx, const char *name,
                                    const char *value),
                        void *ctx)
{
    row(ctx, full ? "link_status" : "replication", "MASTER");
}

/* ---- stats ------------------------------------------------------------------
 */

START_TEST(stats_words_match_as_stock_matches_them)
{
    static const struct {
        const char *in, *expected;
    } words[] = {
        {"stats foo\r\nstats i\r\nstats noreply\r\nstats itemsx\r\n",
         "ERROR\r\nERROR\r\nERROR\r\nERROR\r\n"},
        {"stats sizes_enable\r\nstats replication\r\n", "ERROR\r\nERROR\r\n"},
        {"stats r\r\nstats reset x\r\n", "RESET\r\nRESET\r\n"},
        {"stats e\r\nstats extstore\r\n", "END\r\nEND\r\n"},
        {"stats conns\r\n", "STAT 7:state conn_listening\r\nEND\r\n"},
        {"stats sizes\r\n", "STAT sizes_status disabled\r\nEND\r\n"},
        {"stats detail\r\nstats detail x\r\n",
         "CLIENT_ERROR usage: stats detail on|off|dump\r\n"
         "CLIENT_ERROR usage: stats detail on|off|dump\r\n"},
        {"stats cachedump\r\nstats c 1\r\n",
         "CLIENT_ERROR bad command line\r\nCLIENT_ERROR bad command line\r\n"},
        {"stats cachedump x 1\r\nstats cachedump 64 1\r\n",
         BAD "CLIENT_ERROR Illegal slab id\r\n"},
        {"stats cachedump 1 0\r\nstats cachedump 0 0\r\n", "END\r\nEND\r\n"},
    };

    host.stats_conns = conns;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        ck_assert_str_eq(talk(words[i].in), words[i].expected);
    }
    ck_assert_ptr_nonnull(strstr(talk("stats s\r\n"), "STAT maxbytes "));
    host.stats_conns = no_memory;
    ck_assert_str_eq(talk("stats conns\r\n"),
                     "SERVER_ERROR out of memory writing stats\r\n");
}
END_TEST

START_TEST(stats_rows_come_in_order)
{
    static const char *const rows[] = {
        "STAT pid ",
        "STAT uptime 2\r\n",
        "STAT version 1.6.45\r\n",
        "STAT libevent 2.1.12-stable\r\n",
        "STAT curr_connections 100\r\n",
        "STAT cmd_get 0\r\n",
        "STAT limit_maxbytes 67108864\r\n",
        "STAT accepting_conns 1\r\n",
        "STAT hash_power_level ",
        "STAT bytes 0\r\n",
        "STAT curr_items 0\r\n",
        "STAT evictions 0\r\n",
        "STAT replication MASTER\r\nEND\r\n",
    };
    const char *at;

    host.stats_replication = replication;
    at = talk("stats\r\n");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        at = strstr(at, rows[i]);
        ck_assert_msg(at != NULL, "%s", rows[i]);
    }
    ck_assert_str_eq(talk("stats replication\r\n"),
                     "STAT link_status MASTER\r\nEND\r\n");
}
END_TEST

START_TEST(reset_zeroes_counters_but_not_gauges)
{
    (void)talk("set a:1 0 0 1\r\n1\r\nget a:1\r\n");
    ck_assert_str_eq(talk("stats detail on\r\nget a:1\r\nstats reset\r\n"),
                     "OK\r\nVALUE a:1 0 1\r\n1\r\nEND\r\nRESET\r\n");
    ck_assert_uint_eq(stat_value("stats\r\n", "cmd_get"), 0);
    ck_assert_uint_eq(stat_value("stats\r\n", "total_items"), 0);
    ck_assert_uint_eq(stat_value("stats\r\n", "curr_items"), 1);
    ck_assert_str_eq(talk("stats detail dump\r\n"), "END\r\n");
}
END_TEST

START_TEST(detail_counts_by_prefix)
{
    (void)talk("get a:0\r\nstats detail on\r\nset a:1 0 0 1\r\nx\r\n"
               "get a:1 a:2 plain\r\ndelete a:1\r\ntouch a:1 0\r\n"
               "incr a:1 1\r\nstats detail off\r\nget a:1\r\n");
    ck_assert_str_eq(talk("stats detail dump\r\n"),
                     "PREFIX a get 2 hit 1 set 1 del 1\r\nEND\r\n");
    (void)talk("stats reset\r\nstats detail on\r\nget :x\r\n");
    ck_assert_str_eq(talk("stats detail d\r\n"),
                     "PREFIX  get 1 hit 0 set 0 del 0\r\nEND\r\n");
}
END_TEST

START_TEST(cachedump_lists_items)
{
    (void)talk("set abc 0 0 3\r\nxyz\r\nset t 0 100 1\r\nx\r\n");
    (void)talk("stats cachedump 1 0\r\n");
    ck_assert_ptr_nonnull(strstr(answers, "ITEM abc [3 b; 0 s]\r\n"));
    ck_assert_ptr_nonnull(strstr(answers, "ITEM t [1 b; 1800000100 s]\r\n"));
    ck_assert_str_eq(answers + answered - 5, "END\r\n");
    (void)talk("stats cachedump 1 1\r\n");
    ck_assert_ptr_null(strstr(strstr(answers, "ITEM") + 1, "ITEM"));
}
END_TEST

static Suite *stats_suite(void)
{
    Suite *suite = suite_create("stats");
    TCase *tc = tcase_create("with a cache of defaults");

    tcase_add_checked_fixture(tc, start, stop);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, stats_words_match_as_stock_matches_them);
    tcase_add_test(tc, stats_rows_come_in_order);
    tcase_add_test(tc, reset_zeroes_counters_but_not_gauges);
    tcase_add_test(tc, detail_counts_by_prefix);
    tcase_add_test(tc, cachedump_lists_items);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(stats_suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
