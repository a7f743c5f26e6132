/* Unit tests of rep/link: hellos, refusals, secrets. In every cut. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "t/unit/linking.h"

#define SECRET "a secret that both know"
#define OTHER  "a secret that one knows"

/* Each test runs with pieces of these sizes. */
static const size_t cuts[] = {1, 7, SIZE_MAX};

enum { CUTS = sizeof(cuts) / sizeof(cuts[0]) };

/* ---- hello -------------------------------------------------------------- */

START_TEST(a_dialler_speaks_first)
{
    struct wire_hello hello;
    const char *line;

    cut = cuts[_i];
    connect_as(true);
    line = heard_line();
    ck_assert(wire_parse_hello(line, strlen(line), &hello));
    ck_assert_uint_eq(hello.dialect, WIRE_DIALECT);
    ck_assert_uint_eq(hello.run, RUN);
    ck_assert(!hello.has_nonce);
    ck_assert_uint_eq(unheard(), 0);
    ck_assert(rep_link_all_written(lnk));
}
END_TEST

START_TEST(an_acceptor_is_silent_until_it_has_heard_a_hello)
{
    cut = cuts[_i];
    connect_as(false);
    ck_assert_uint_eq(unheard(), 0);
    feed("repcached3 2 run=00", 19);
    ck_assert_uint_eq(unheard(), 0);
    connect_as(false);
    say_hello();
    ck_assert_int_eq(strncmp(heard_line(), "repcached3 2 ", 13), 0);
    ck_assert_str_eq(told(), "hello; ");
    ck_assert(figures().linked);
}
END_TEST

START_TEST(a_hello_tells_who_it_is)
{
    cut = cuts[_i];
    peer_hello.clock_ms = START_MS + 5000;
    connect_as(true);
    greet();
    ck_assert_str_eq(told(), "hello; ");
    ck_assert_uint_eq(last_hello()->run, PEER_RUN);
    ck_assert_uint_eq(last_hello()->slot, PEER_SLOT);
    ck_assert_uint_eq(last_hello()->port, 12345);
    ck_assert_int_eq(last_hello()->skew, 5000);
    ck_assert_uint_eq(figures().run, PEER_RUN);
    ck_assert_uint_eq(figures().dialect, WIRE_DIALECT);
    ck_assert(!figures().legacy);
}
END_TEST

START_TEST(nothing_is_read_until_it_is_decided)
{
    cut = cuts[_i];
    decide = false;
    connect_as(true);
    say_hello();
    ck_assert_str_eq(told(), "hello; ");
    ck_assert(!rep_link_reads(lnk));
}
END_TEST

START_TEST(what_follows_a_hello_at_once_is_not_lost)
{
    char bytes[1024];
    struct frame_stream parts = {0};
    const struct frame_msg resume = number_msg(FRAME_RESUME, 0);
    const struct frame_msg item = item_msg("k", "value", V(1));
    struct frame_out out;
    size_t n;

    cut = cuts[_i];
    connect_as(false);
    n = (size_t)(wire_format_hello(bytes, &peer_hello) - bytes);
    frame_begin(&out, (uint8_t *)bytes + n,
                FRAME_HEAD + FRAME_RESERVED + FRAME_TAG + 1, &parts);
    ck_assert(frame_put(&out, &resume));
    n += frame_end(&out);
    feed(bytes, n);
    ck_assert(figures().linked);
    send_one(&item);
    ck_assert_str_eq(get("k"), "value");
}
END_TEST

START_TEST(a_later_dialect_is_spoken_to_in_ours)
{
    cut = cuts[_i];
    peer_hello.dialect = 3;
    connect_as(false);
    greet();
    ck_assert_uint_eq(figures().dialect, WIRE_DIALECT);
}
END_TEST

START_TEST(what_is_no_hello_is_nonsense)
{
    static const char *const lines[] = {
        "repcached3 1 run=0000000000002222 slot=9 item_size_max=1 clock=1",
        "repcached3 2 slot=9 item_size_max=1048576 clock=1800000000000",
        "repcached3 2 run=0000000000000000 slot=9 item_size_max=1 clock=1",
        "repcached3 x",
        "get k",
        "",
    };

    cut = cuts[_i % CUTS];
    connect_as(_i % 2 == 0);
    say_line(lines[_i / CUTS]);
    ck_assert_str_eq(told(), "nonsense; ");
    ck_assert(rep_link_is_closed(lnk));
    ck_assert_str_ne(error_text(), "");
}
END_TEST

START_TEST(a_first_line_without_an_end_is_nonsense)
{
    static const char *const begins[] = {"repcached3 2 ", "rep "};
    char line[4096];

    cut = cuts[_i % CUTS];
    memset(line, 'x', sizeof(line));
    memcpy(line, begins[_i / CUTS], strlen(begins[_i / CUTS]));
    connect_as(false);
    feed(line, sizeof(line));
    ck_assert_str_eq(told(), "nonsense; ");
}
END_TEST

START_TEST(a_command_of_2_x_makes_a_legacy_link)
{
    cut = cuts[_i];
    connect_as(true);
    (void)heard_line();
    say_line("rep k 0 0 5 17\r\nvalue");
    ck_assert_int_eq(strncmp(told(), "legacy; ", 8), 0);
    ck_assert(figures().legacy);
    ck_assert_uint_eq(figures().dialect, 0);
    ck_assert_str_eq(get("k"), "value");
}
END_TEST

START_TEST(a_hello_on_a_legacy_link_is_told)
{
    cut = cuts[_i];
    connect_as(true);
    say_line("delete k");
    (void)told();
    decide = false;
    say_hello();
    ck_assert_str_eq(told(), "hello; ");
}
END_TEST

START_TEST(a_clock_far_away_is_told_as_it_is)
{
    static const struct {
        uint64_t clock;
        bool ahead;
    } clocks[] = {
        {START_MS + 2 * DAY_MS, true}, {0, false}, {UINT64_MAX, true}};

    decide = false;
    peer_hello.clock_ms = clocks[_i].clock;
    connect_as(false);
    say_hello();
    ck_assert_str_eq(told(), "hello; ");
    ck_assert_int_eq(last_hello()->skew > REP_CORE_SKEW_MAX_MS,
                     clocks[_i].ahead);
}
END_TEST

/* ---- refusals ----------------------------------------------------------- */

static const struct {
    const char *word;
    enum rep_refusal refusal;
} words[] = {{"busy", REP_REFUSAL_BUSY},
             {"stranger", REP_REFUSAL_STRANGER},
             {"self", REP_REFUSAL_SELF},
             {"clock", REP_REFUSAL_CLOCK},
             {"tuesday", REP_REFUSAL_BUSY}};

enum { WORDS = sizeof(words) / sizeof(words[0]) };

START_TEST(a_refusal_is_told_with_its_word)
{
    char line[64];

    cut = cuts[_i % CUTS];
    connect_as(true);
    (void)snprintf(line, sizeof(line), "repcached3 2 refused=%s",
                   words[_i / CUTS].word);
    say_line(line);
    ck_assert_str_eq(told(), "closed; ");
    ck_assert_int_eq(last_refusal(), words[_i / CUTS].refusal);
    ck_assert(rep_link_is_closed(lnk));
    ck_assert_str_ne(error_text(), "");
}
END_TEST

START_TEST(a_refusal_needs_no_dialect_of_ours)
{
    connect_as(true);
    say_line("repcached3 7 refused=stranger mood=bad");
    ck_assert_str_eq(told(), "closed; ");
    ck_assert_int_eq(last_refusal(), REP_REFUSAL_STRANGER);
}
END_TEST

START_TEST(who_is_refused_hears_it_before_the_link_closes)
{
    char line[64];

    cut = cuts[_i];
    decide = false;
    connect_as(false);
    say_hello();
    rep_link_refuse(lnk, WIRE_STRANGER);
    ck_assert(!rep_link_is_closed(lnk));
    ck_assert(!rep_link_reads(lnk));
    (void)snprintf(line, sizeof(line), "%s", heard_line());
    ck_assert_str_eq(line, "repcached3 2 refused=stranger");
    ck_assert(rep_link_is_closed(lnk));
    ck_assert_uint_eq(unheard(), 0);
    ck_assert_str_eq(told(), "hello; ");
}
END_TEST

/* ---- secrets ------------------------------------------------------------ */

START_TEST(two_who_have_the_secret_link)
{
    cut = cuts[_i % CUTS];
    use_secrets(SECRET, SECRET);
    link_from(_i >= CUTS, 0);
    settle();
    ck_assert(figures().linked);
    (void)set("k", "ours");
    ck_assert_ptr_nonnull(strstr(heard(), "item k=ours@"));
    ck_assert_str_eq(get("k"), "ours");
}
END_TEST

START_TEST(an_acceptor_proves_nothing_to_who_is_wrong)
{
    cut = cuts[_i];
    use_secrets(SECRET, OTHER);
    connect_as(false);
    say_hello();
    ck_assert_uint_gt(strlen(heard_line()), 1);
    ck_assert_str_eq(told(), ""); /* nobody is told before the proof */
    say_proof(true);              /* of what it has */
    ck_assert_str_eq(told(), "nonsense; ");
    ck_assert_uint_eq(unheard(), 0);
}
END_TEST

START_TEST(a_dialler_takes_no_wrong_proof)
{
    cut = cuts[_i];
    use_secrets(SECRET, SECRET);
    connect_as(true);
    (void)heard_line();
    say_hello();
    ck_assert(heard_proof());
    say_proof(false);
    ck_assert_str_eq(told(), "nonsense; ");
    ck_assert_uint_eq(unheard(), 0);
}
END_TEST

START_TEST(who_has_a_secret_takes_nobody_without)
{
    bool dialled = _i >= CUTS;

    cut = cuts[_i % CUTS];
    use_secrets(SECRET, NULL);
    connect_as(dialled);
    (void)heard_line();
    say_hello();
    ck_assert_str_eq(told(), "nonsense; ");
    ck_assert_uint_eq(unheard(), 0);
}
END_TEST

START_TEST(who_has_no_secret_ignores_the_others)
{
    bool dialled = _i >= CUTS;
    struct wire_hello hello;
    const char *line;

    cut = cuts[_i % CUTS];
    use_secrets(NULL, SECRET);
    connect_as(dialled);
    if (!dialled) {
        say_hello();
    }
    line = heard_line();
    ck_assert(wire_parse_hello(line, strlen(line), &hello));
    ck_assert(!hello.has_nonce); /* from which it learns that */
    if (dialled) {
        say_hello();
    }
    ck_assert_str_eq(told(), "hello; ");
}
END_TEST

START_TEST(with_a_secret_nobody_is_legacy)
{
    cut = cuts[_i];
    use_secrets(SECRET, SECRET);
    connect_as(true);
    (void)heard_line();
    say_line("delete k");
    ck_assert_str_eq(told(), "nonsense; ");
}
END_TEST

START_TEST(a_nonce_sent_back_is_refused)
{
    struct wire_hello hello;
    char line[WIRE_LINE_ROOM];
    const char *said;
    size_t n;

    cut = cuts[_i];
    use_secrets(SECRET, SECRET);
    connect_as(true);
    said = heard_line();
    ck_assert(wire_parse_hello(said, strlen(said), &hello));
    ck_assert(hello.has_nonce);
    hello.run = PEER_RUN;
    n = (size_t)(wire_format_hello(line, &hello) - line);
    feed(line, n);
    ck_assert_str_eq(told(), "nonsense; ");
    ck_assert_uint_eq(unheard(), 0);
}
END_TEST

START_TEST(a_refusal_may_stand_where_a_proof_would)
{
    cut = cuts[_i];
    use_secrets(SECRET, SECRET);
    connect_as(true);
    (void)heard_line();
    say_hello();
    ck_assert(heard_proof());
    say_line("repcached3 2 refused=stranger");
    ck_assert_str_eq(told(), "closed; ");
    ck_assert_str_eq(error_text(), wire_refusal_text(WIRE_STRANGER));
}
END_TEST

/* It is not proven: the dialler dials again, whatever it says. */
START_TEST(with_a_secret_a_refusal_is_not_believed)
{
    bool for_proof = _i >= CUTS;

    cut = cuts[_i % CUTS];
    use_secrets(SECRET, SECRET);
    connect_as(true);
    (void)heard_line();
    if (for_proof) {
        say_hello();
        ck_assert(heard_proof());
    }
    say_line("repcached3 2 refused=self");
    ck_assert_str_eq(told(), "closed; ");
    ck_assert_int_eq(last_refusal(), REP_REFUSAL_NONE);
    ck_assert_str_eq(error_text(), wire_refusal_text(WIRE_SELF));
}
END_TEST

START_TEST(an_acceptor_refuses_where_its_proof_would_stand)
{
    char line[64];

    cut = cuts[_i];
    use_secrets(SECRET, SECRET);
    decide = false;
    connect_as(false);
    say_hello();
    ck_assert_uint_gt(strlen(heard_line()), 1);
    ck_assert_str_eq(told(), "");
    say_proof(true);
    ck_assert_str_eq(told(), "hello; ");
    ck_assert_uint_eq(unheard(), 0);
    rep_link_refuse(lnk, WIRE_BUSY);
    (void)snprintf(line, sizeof(line), "%s", heard_line());
    ck_assert_str_eq(line, "repcached3 2 refused=busy");
    ck_assert_uint_eq(unheard(), 0);
    ck_assert(rep_link_is_closed(lnk));
}
END_TEST

START_TEST(with_a_secret_a_dialler_knows_itself_by_the_hello)
{
    cut = cuts[_i];
    use_secrets(SECRET, SECRET);
    peer_hello.run = RUN;
    decide = false;
    connect_as(true);
    (void)heard_line();
    say_hello();
    ck_assert_str_eq(told(), "hello; ");
    ck_assert_uint_eq(last_hello()->run, RUN);
}
END_TEST

START_TEST(a_proof_that_never_ends_is_nonsense)
{
    char line[4096];

    cut = cuts[_i];
    memset(line, 'x', sizeof(line));
    memcpy(line, "repcached3 ", 11);
    use_secrets(SECRET, SECRET);
    connect_as(true);
    (void)heard_line();
    say_hello();
    ck_assert(heard_proof());
    feed(line, sizeof(line)); /* there is room while it reads */
    ck_assert_str_eq(told(), "nonsense; ");
}
END_TEST

START_TEST(a_secret_that_differs_is_told_of)
{
    use_secrets(SECRET, OTHER);
    connect_as(true);
    (void)heard_line();
    say_hello();
    (void)heard_proof(); /* is wrong */
    disconnect();
    ck_assert_ptr_nonnull(strstr(error_text(), "rep_secret_file"));
    /* It has one, and we have none: it finds our hello wrong. */
    use_secrets(NULL, SECRET);
    connect_as(true);
    (void)heard_line();
    disconnect();
    ck_assert_ptr_nonnull(strstr(error_text(), "rep_secret_file"));
    connect_as(false);
    say_hello();
    ck_assert(figures().linked);
    disconnect();
    ck_assert_ptr_nonnull(strstr(error_text(), "rep_secret_file"));
    /* Neither has one: no reason to speak of it. */
    use_secrets(NULL, NULL);
    link_from(false, 0);
    disconnect();
    ck_assert_str_eq(error_text(), "");
}
END_TEST

/* ---- ends --------------------------------------------------------------- */

START_TEST(an_end_is_told_once)
{
    connect_as(false);
    rep_link_fail(lnk, "broken");
    rep_link_fail(lnk, "twice");
    rep_link_close(lnk);
    ck_assert_str_eq(told(), "closed; ");
    ck_assert_str_eq(error_text(), "broken");
    ck_assert(!rep_link_reads(lnk));
    ck_assert_uint_eq(unheard(), 0);
    rep_link_free(NULL);
}
END_TEST

START_TEST(a_closed_one_does_nothing_any_more)
{
    connect_as(false);
    rep_link_close(lnk);
    rep_link_hello(lnk);
    rep_link_refuse(lnk, WIRE_BUSY);
    ck_assert(rep_link_begin(lnk, false, 0));
    rep_link_catch_up(lnk);
    rep_link_scan(lnk, 0);
    rep_link_announce(lnk);
    rep_link_beat(lnk);
    rep_link_drain(lnk);
    rep_link_work(lnk);
    rep_link_drained(lnk, 0);
    ck_assert(!rep_link_takes_hints(lnk));
    ck_assert(rep_link_all_written(lnk));
    ck_assert(rep_link_sleep(lnk));
    ck_assert_str_eq(told(), "");
    ck_assert_uint_eq(unheard(), 0);
}
END_TEST

static void add_hellos(Suite *s)
{
    TCase *t = tcase_create("hello");

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, a_dialler_speaks_first, 0, CUTS);
    tcase_add_loop_test(t, an_acceptor_is_silent_until_it_has_heard_a_hello, 0,
                        CUTS);
    tcase_add_loop_test(t, a_hello_tells_who_it_is, 0, CUTS);
    tcase_add_loop_test(t, nothing_is_read_until_it_is_decided, 0, CUTS);
    tcase_add_loop_test(t, what_follows_a_hello_at_once_is_not_lost, 0, CUTS);
    tcase_add_loop_test(t, a_later_dialect_is_spoken_to_in_ours, 0, CUTS);
    tcase_add_loop_test(t, what_is_no_hello_is_nonsense, 0, 6 * CUTS);
    tcase_add_loop_test(t, a_first_line_without_an_end_is_nonsense, 0,
                        2 * CUTS);
    tcase_add_loop_test(t, a_command_of_2_x_makes_a_legacy_link, 0, CUTS);
    tcase_add_loop_test(t, a_hello_on_a_legacy_link_is_told, 0, CUTS);
    tcase_add_loop_test(t, a_clock_far_away_is_told_as_it_is, 0, 3);
    tcase_add_loop_test(t, a_refusal_is_told_with_its_word, 0, WORDS * CUTS);
    tcase_add_test(t, a_refusal_needs_no_dialect_of_ours);
    tcase_add_loop_test(t, who_is_refused_hears_it_before_the_link_closes, 0,
                        CUTS);
    tcase_add_test(t, an_end_is_told_once);
    tcase_add_test(t, a_closed_one_does_nothing_any_more);
}

static void add_secrets(Suite *s)
{
    TCase *t = tcase_create("secret");

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, two_who_have_the_secret_link, 0, 2 * CUTS);
    tcase_add_loop_test(t, an_acceptor_proves_nothing_to_who_is_wrong, 0, CUTS);
    tcase_add_loop_test(t, a_dialler_takes_no_wrong_proof, 0, CUTS);
    tcase_add_loop_test(t, who_has_a_secret_takes_nobody_without, 0, 2 * CUTS);
    tcase_add_loop_test(t, who_has_no_secret_ignores_the_others, 0, 2 * CUTS);
    tcase_add_loop_test(t, with_a_secret_nobody_is_legacy, 0, CUTS);
    tcase_add_loop_test(t, a_nonce_sent_back_is_refused, 0, CUTS);
    tcase_add_loop_test(t, a_refusal_may_stand_where_a_proof_would, 0, CUTS);
    tcase_add_loop_test(t, with_a_secret_a_refusal_is_not_believed, 0,
                        2 * CUTS);
    tcase_add_loop_test(t, an_acceptor_refuses_where_its_proof_would_stand, 0,
                        CUTS);
    tcase_add_loop_test(t, with_a_secret_a_dialler_knows_itself_by_the_hello, 0,
                        CUTS);
    tcase_add_loop_test(t, a_proof_that_never_ends_is_nonsense, 0, CUTS);
    tcase_add_test(t, a_secret_that_differs_is_told_of);
}

int main(void)
{
    Suite *s = suite_create("link_first");
    SRunner *r;
    int failed;

    add_hellos(s);
    add_secrets(s);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
