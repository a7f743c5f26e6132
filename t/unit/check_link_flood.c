/* Unit tests of rep/link, v3: hints, and output that is blocked. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "t/unit/linking.h"

enum { OFFERS = 1024 }; /* unanswered at most */

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

/* ---- hints -------------------------------------------------------------- */

static const uint8_t hints[] = {3, 6, 'u', 's', 'e', 'r', ':', '1', 0x51, '2'};

START_TEST(hints_go_when_nothing_else_waits)
{
    link_from(false, 0);
    ck_assert(rep_link_takes_hints(lnk));
    window = 0;
    (void)set_many("key", 10000);
    (void)heard();
    window = SIZE_MAX;
    settle();
    rep_link_hints(lnk, hints, sizeof(hints));
    ck_assert(!rep_link_takes_hints(lnk)); /* one at a time */
    ck_heard("hints %zu; ", sizeof(hints));
    ck_assert(rep_link_takes_hints(lnk));
}
END_TEST

START_TEST(hints_are_left_out_while_a_copy_is_under_way)
{
    (void)set_many("key", 20000);
    window = 100000;
    link_from(false, 0);
    (void)heard();
    rep_link_hints(lnk, hints, sizeof(hints));
    window = 300000;
    (void)heard();
    ck_assert_uint_eq(count(FRAME_HINTS), 0);
    window = SIZE_MAX;
    ck_assert_uint_eq(count(FRAME_HINTS), 0);
}
END_TEST

static void send_hints(const uint8_t *p, size_t n)
{
    const struct frame_msg msg = {
        .type = FRAME_HINTS, .nbytes = (uint32_t)n, .bytes = p};

    send_one(&msg);
}

START_TEST(what_is_hinted_at_and_absent_is_wished_for)
{
    env.hints = rep_hints_new(REP_HINTS_RATE);
    link_up();
    (void)set("user:2", "held");
    settle();
    send_hints(hints, sizeof(hints));
    ck_heard("want user:1@1; ");
    rep_link_free(lnk);
    lnk = NULL;
    rep_hints_free(env.hints);
}
END_TEST

START_TEST(malformed_hints_end_the_link)
{
    static const uint8_t wrong[] = {3, 0x11, 'x'};

    env.hints = rep_hints_new(REP_HINTS_RATE);
    link_up();
    send_hints(wrong, sizeof(wrong));
    ck_ended(FRAME_ERROR_MALFORMED);
    rep_link_free(lnk);
    lnk = NULL;
    rep_hints_free(env.hints);
}
END_TEST

START_TEST(hints_are_ignored_by_who_wants_none)
{
    link_up();
    send_hints(hints, sizeof(hints));
    ck_heard("%s", "");
    ck_assert(figures().linked);
}
END_TEST

START_TEST(wishes_leave_room_for_answers)
{
    uint8_t payload[1 + 1000 * 5];
    size_t n = 0;
    char key[8];

    env.hints = rep_hints_new(REP_HINTS_RATE);
    link_up();
    window = 0;
    for (unsigned i = 0; i < 5000; i++) {
        if (n == 0) {
            payload[n++] = 3;
        }
        payload[n++] = 4;
        (void)snprintf(key, sizeof(key), "%04u", i);
        memcpy(payload + n, key, 4);
        n += 4;
        if (i % 1000 == 999) {
            send_hints(payload, n);
            n = 0;
        }
    }
    for (unsigned i = 0; i < OFFERS; i++) {
        struct frame_msg offer;

        (void)snprintf(key, sizeof(key), "o%u", i);
        offer = key_msg(FRAME_OFFER, key, V(i));
        say(&offer);
    }
    send_batch();
    window = SIZE_MAX;
    (void)heard();
    ck_assert(figures().linked);
    ck_assert_uint_ge(count(FRAME_WANT), OFFERS + 1);
    ck_assert_uint_le(count(FRAME_WANT), 2 * OFFERS);
    rep_link_free(lnk);
    lnk = NULL;
    rep_hints_free(env.hints);
}
END_TEST

/* ---- output that is blocked --------------------------------------------- */

START_TEST(input_goes_on_while_output_is_blocked)
{
    enum { N = 20000 };
    char name[32];

    link_up();
    window = 0;
    for (unsigned i = 0; i < N; i++) {
        struct frame_msg msg;

        (void)snprintf(name, sizeof(name), "key-%u", i % 100);
        msg = item_msg(name, "value", V(i));
        say(&msg);
        msg = number_msg(FRAME_POSITION, i);
        say(&msg);
        msg = number_msg(FRAME_PING, START_MS + i);
        say(&msg);
        msg = (struct frame_msg){.type = FRAME_SCAN_POINT, .cursor = i};
        say(&msg);
    }
    send_batch();
    ck_assert(figures().linked);
    ck_assert_uint_eq(figures().items_received, N);
    window = SIZE_MAX;
    ck_heard("pong %llu; scanned %u; ack %u; ", U(START_MS + N - 1), N - 1,
             N - 1);
}
END_TEST

START_TEST(states_that_lose_are_answered_though_output_is_blocked)
{
    enum { N = 5000 };
    uint64_t v;

    link_up();
    v = set("k", "ours");
    settle();
    window = 0;
    for (unsigned i = 0; i < N; i++) {
        struct frame_msg msg = item_msg("k", "theirs", 1000 + i);

        say(&msg);
    }
    send_batch();
    window = SIZE_MAX;
    ck_assert(has(heard(), "item k=ours@"));
    ck_assert_uint_le(count(FRAME_ITEM), N / 100);
    ck_assert_uint_eq(figures().conflicts_won, N);
    ck_assert_uint_gt(v, 0);
}
END_TEST

/* ---- floors by hash ----------------------------------------------------- */

static void send_floor(uint64_t hash, uint64_t version)
{
    const struct frame_msg msg = {
        .type = FRAME_FLOOR, .hash = hash, .version = version};

    send_one(&msg);
}

/* More than the sweep has room for; then `k` and what is to be answered. */
static void send_floors(void)
{
    for (unsigned i = 0; i < 20; i++) {
        send_floor(i, V(i));
    }
    send_floor(hash_key_agreed("k", 1), V(30));
    send_number(FRAME_PING, START_MS + 7);
    send_number(FRAME_POSITION, 500);
}

START_TEST(who_brings_too_many_floors_by_hash_waits_for_the_sweep)
{
    unsigned turns = 0;

    sweep.floors = 4;
    sweep.items = 8;
    link_up();
    (void)set_many("key", 100);
    (void)set("k", "1");
    settle();
    forget();
    hold();
    send_floors();
    let_go();
    for (; !rep_link_reads(lnk); turns++) {
        ck_assert_uint_eq(sweep.next.n, 4);
        signs_of_life = 0;
        rep_link_work(lnk);
        ck_assert_uint_eq(signs_of_life, 1); /* or it were taken for silent */
        rep_link_beat(lnk);
        ck_assert_uint_eq(count(FRAME_PING), turns + 1);
        ck_assert_uint_eq(count(FRAME_PONG) + count(FRAME_ACK), 0);
        while (rep_sweep_is_full(&sweep)) {
            (void)rep_sweep_step(&sweep);
        }
        rep_link_work(lnk);
    }
    ck_assert_uint_eq(turns, 21 / 4);
    ck_assert(figures().linked);
    while (rep_sweep_step(&sweep)) {
    }
    ck_assert_str_eq(get("k"), "none");
    ck_assert_str_ne(get("key-1"), "none");
    ck_assert_uint_eq(count(FRAME_PONG), 1);
    ck_assert_uint_eq(count(FRAME_ACK), 1);
}
END_TEST

START_TEST(who_brings_none_is_heard_while_the_sweep_is_full)
{
    const struct frame_msg item = item_msg("theirs", "1", V(1));

    sweep.floors = 1;
    link_up();
    ck_assert(rep_sweep_ask(&sweep, 1, V(1)));
    ck_assert(rep_sweep_is_full(&sweep));
    send_one(&item);
    ck_assert(rep_link_reads(lnk));
    ck_assert_str_eq(get("theirs"), "1");
}
END_TEST

/* Bytes behind its hello wait for a turn, not for the sweep. */
START_TEST(who_begins_while_the_sweep_is_full_is_heard)
{
    sweep.floors = 1;
    ck_assert(rep_sweep_ask(&sweep, 1, V(1)));
    connect_as(false);
    hold();
    say_hello();
    send_number(FRAME_RESUME, 0);
    send_key(FRAME_OFFER, "wanted", V(1));
    let_go();
    ck_assert_uint_gt(strlen(heard_line()), 1);
    ck_assert(figures().linked);
    ck_assert(rep_link_reads(lnk));
    rep_link_beat(lnk);
    ck_assert_uint_eq(count(FRAME_PING), 1);
    ck_assert_uint_eq(count(FRAME_WANT), 1);
    ck_assert(rep_sweep_is_full(&sweep));
}
END_TEST

START_TEST(who_is_not_read_hears_that_we_are_there)
{
    sweep.floors = 1;
    link_up();
    send_floor(1, V(1));
    ck_assert(!rep_link_reads(lnk));
    (void)heard();
    forget();
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(count(FRAME_PING), i);
        pass_ms(250);
        pump();
        ck_assert_uint_eq(count(FRAME_PING), i + 1);
    }
    (void)rep_sweep_step(&sweep);
    pump();
    ck_assert(rep_link_reads(lnk));
    pass_ms(250);
    pump();
    ck_assert_uint_eq(count(FRAME_PING), 4);
}
END_TEST

START_TEST(a_floor_for_which_there_is_no_room_ends_the_link)
{
    uint64_t i = 0;

    link_up();
    while (rep_sweep_ask(&sweep, i, V(1))) {
        i++;
    }
    ck_assert_uint_eq(i, REP_SWEEP_MOST);
    send_floor(i, V(1));
    ck_ended(FRAME_ERROR_RESOURCES);
    ck_assert_str_eq(error_text(), "out of memory");
}
END_TEST

START_TEST(what_came_from_the_peer_does_not_go_back)
{
    const struct frame_msg item = item_msg("k", "1", V(1));

    rep_log_set_relay(rlog, true);
    link_up();
    send_one(&item);
    ck_assert(!has(heard(), "item k"));
    ck_assert_uint_eq(count(FRAME_OFFER), 0);
}
END_TEST

static void add_tests(Suite *s)
{
    TCase *t = tcase_create("hints and floods");

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, hints_go_when_nothing_else_waits);
    tcase_add_test(t, hints_are_left_out_while_a_copy_is_under_way);
    tcase_add_test(t, what_is_hinted_at_and_absent_is_wished_for);
    tcase_add_test(t, malformed_hints_end_the_link);
    tcase_add_test(t, hints_are_ignored_by_who_wants_none);
    tcase_add_test(t, wishes_leave_room_for_answers);
    tcase_add_test(t, input_goes_on_while_output_is_blocked);
    tcase_add_test(t, states_that_lose_are_answered_though_output_is_blocked);
    tcase_add_test(t, who_brings_too_many_floors_by_hash_waits_for_the_sweep);
    tcase_add_test(t, who_brings_none_is_heard_while_the_sweep_is_full);
    tcase_add_test(t, who_begins_while_the_sweep_is_full_is_heard);
    tcase_add_test(t, who_is_not_read_hears_that_we_are_there);
    tcase_add_test(t, a_floor_for_which_there_is_no_room_ends_the_link);
    tcase_add_test(t, what_came_from_the_peer_does_not_go_back);
}

int main(void)
{
    Suite *s = suite_create("link_flood");
    SRunner *r;
    int failed;

    add_tests(s);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
