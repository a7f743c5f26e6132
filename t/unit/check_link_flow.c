/* Unit tests of rep/link, v3: offers, large values, touches, clocks. */
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

static const char *last_of(const char *text, const char *part)
{
    const char *found = NULL;

    for (const char *p = text; (p = strstr(p, part)) != NULL; p++) {
        found = p;
    }
    return found;
}

/* Both stand in `text`, the first `a` before the last `b`. */
static void ck_precedes(const char *text, const char *a, const char *b)
{
    ck_assert_msg(has(text, a) && has(text, b) &&
                      strstr(text, a) < last_of(text, b),
                  "not %s before %s in %s", a, b, text);
}

static uint32_t exptime_of(const char *name)
{
    struct store_key key = store_key(name, strlen(name));
    struct item *it = store_hold(&key, NULL);
    uint32_t exptime;

    ck_assert_ptr_nonnull(it);
    exptime = it->exptime;
    store_release(it);
    return exptime;
}

static void send_pong(uint64_t echo, uint64_t clock)
{
    struct frame_msg msg = number_msg(FRAME_PONG, clock);

    msg.echo_ms = echo;
    send_one(&msg);
}

/* ---- offers ------------------------------------------------------------- */

/* A link whose peer missed all that we hold, in its first batch. */
static void link_missed(void)
{
    const struct frame_msg missed = {
        .type = FRAME_MISSED, .cells = 1, .version = V(1)};
    const struct frame_msg resume = number_msg(FRAME_RESUME, 0);

    connect_as(false);
    greet();
    say(&missed);
    say(&resume);
    send_batch();
}

START_TEST(what_the_peer_missed_is_offered)
{
    uint64_t v = set("k", "1");

    link_missed();
    ck_heard("resume 0; offer k@%llu; scan 0; end; ping %llu; ", U(v),
             U(START_MS));
    send_key(FRAME_WANT, "k", v);
    ck_heard("item k=1@%llu; ", U(v));
    ck_assert_uint_eq(figures().partial_items, 0);
}
END_TEST

START_TEST(only_what_is_not_above_it_is_offered)
{
    uint64_t v = set("k", "1"), above;
    const struct frame_msg missed = {
        .type = FRAME_MISSED, .cells = 1, .version = v};
    const struct frame_msg resume = number_msg(FRAME_RESUME, 0);

    above = set("above", "2");
    connect_as(false);
    greet();
    say(&missed);
    say(&resume);
    send_batch();
    (void)heard();
    ck_assert_uint_eq(count(FRAME_OFFER), 1);
    ck_assert_uint_eq(count(FRAME_ITEM), 1);
    ck_assert_uint_gt(above, v);
}
END_TEST

START_TEST(offers_wait_for_credit)
{
    enum { N = 3000 };

    (void)set_many("key", N);
    link_missed();
    (void)heard();
    ck_assert_uint_eq(count(FRAME_OFFER), OFFERS);
    ck_assert_uint_eq(count(FRAME_ITEM), 0);
    ck_assert_uint_eq(count(FRAME_PING), 1);
    ck_assert_uint_eq(count(FRAME_COPY_END), 0);
    ck_assert(rep_link_sleep(lnk));
    send_pong(heard_ping, clock_ms());
    ck_assert_uint_eq(count(FRAME_OFFER), 2 * OFFERS);
    ck_assert_uint_eq(count(FRAME_PING), 2);
    ck_assert_uint_eq(count(FRAME_COPY_END), 0);
    send_pong(heard_ping, clock_ms());
    ck_assert_uint_eq(count(FRAME_OFFER), N);
    ck_assert_uint_eq(count(FRAME_COPY_END), 1);
}
END_TEST

START_TEST(without_credit_the_peer_is_still_answered)
{
    (void)set_many("key", 3000);
    link_missed();
    (void)heard();
    send_number(FRAME_PING, START_MS);
    send_number(FRAME_POSITION, 500);
    ck_heard("pong %llu; ack 500; ", U(START_MS));
}
END_TEST

START_TEST(a_pong_of_an_earlier_ping_gives_no_credit)
{
    (void)set_many("key", 3000);
    link_missed();
    (void)heard();
    send_pong(heard_ping - 1, clock_ms());
    ck_assert_uint_eq(count(FRAME_OFFER), OFFERS);
}
END_TEST

START_TEST(what_is_missed_later_is_offered_then)
{
    uint64_t v = set("k", "1");

    link_up();
    send_missed(0, v);
    ck_assert(has(heard(), "offer k@"));
    ck_assert_uint_eq(count(FRAME_COPY_END), 0);
    ck_assert_uint_eq(count(FRAME_SCAN_POINT), 1);
    ck_assert_uint_eq(count(FRAME_POSITION), 0);
}
END_TEST

START_TEST(what_is_missed_by_who_has_all_else_is_offered_alone)
{
    const struct frame_msg missed = {
        .type = FRAME_MISSED, .cells = 1, .version = V(1)};
    struct frame_msg resume;

    (void)set_many("key", OFFERS + 1);
    link_up();
    disconnect();
    connect_as(false);
    greet();
    resume = number_msg(FRAME_RESUME, head());
    say(&missed);
    say(&resume);
    send_batch();
    ck_assert_uint_eq(count(FRAME_OFFER), OFFERS);
    ck_assert_uint_eq(count(FRAME_COPY_END), 0);
    send_pong(heard_ping, clock_ms());
    ck_assert_uint_eq(count(FRAME_OFFER), OFFERS + 1);
    ck_assert_uint_eq(count(FRAME_COPY_END), 1);
    ck_assert_uint_eq(count(FRAME_ITEM), 0);
    ck_assert_uint_eq(figures().full_copies, 0);
}
END_TEST

/* Its floor is kept no more, and nobody told the peer. */
START_TEST(what_was_removed_here_is_answered_by_gone)
{
    uint64_t old = version_next();

    for (unsigned i = 0; i < 10000; i++) {
        uint64_t hash = hash_key_agreed((const char *)&i, sizeof(i));

        (void)rep_floor_raise(floors, hash, version_next());
    }
    link_up();
    send_key(FRAME_OFFER, "k", old);
    ck_heard("gone k@%llu; ", U(old));
    send_key(FRAME_OFFER, "k", V(1));
    ck_heard("want k@%llu; ", U(V(1)));
}
END_TEST

START_TEST(cells_do_not_change)
{
    const struct frame_msg missed = {
        .type = FRAME_MISSED, .cells = 2, .version = 7};

    link_missed();
    ck_assert(figures().linked);
    send_one(&missed);
    ck_ended(FRAME_ERROR_MALFORMED);
}
END_TEST

START_TEST(what_is_gone_there_goes_here)
{
    uint64_t v = set("k", "1");

    link_missed();
    (void)heard();
    send_key(FRAME_GONE, "k", v);
    ck_assert_str_eq(get("k"), "none");
    ck_assert_uint_eq(floor_of("k"), v + 1);
    ck_heard("delete k@%llu; ", U(v + 1)); /* a change of our own */
}
END_TEST

START_TEST(absence_is_an_answer_to_want)
{
    link_up();
    send_key(FRAME_WANT, "k", 1000);
    ck_heard("delete k@1000; position %llu; ", U(head()));
    send_key(FRAME_WANT, "k", 1); /* only a wish */
    ck_heard("position %llu; ", U(head()));
}
END_TEST

START_TEST(a_wish_is_granted)
{
    uint64_t v = set("k", "1");

    link_up();
    send_key(FRAME_WANT, "k", 1);
    ck_heard("item k=1@%llu; position %llu; ", U(v), U(head()));
}
END_TEST

START_TEST(all_offers_within_the_credit_are_answered)
{
    char name[32];

    link_up();
    window = 0;
    for (unsigned i = 0; i < OFFERS; i++) {
        struct frame_msg offer;

        (void)snprintf(name, sizeof(name), "key-%u", i);
        offer = key_msg(FRAME_OFFER, name, V(i));
        say(&offer);
    }
    send_number(FRAME_PING, START_MS);
    window = SIZE_MAX;
    (void)heard();
    ck_assert_uint_eq(count(FRAME_WANT), OFFERS);
    ck_assert_uint_eq(count(FRAME_PONG), 1);
}
END_TEST

START_TEST(too_many_offers_close_the_link)
{
    char name[32];

    link_up();
    window = 0;
    for (unsigned i = 0; i < 4 * OFFERS && figures().linked; i++) {
        struct frame_msg offer;

        (void)snprintf(name, sizeof(name), "key-%u", i);
        offer = key_msg(FRAME_OFFER, name, V(i));
        send_one(&offer);
    }
    window = SIZE_MAX;
    ck_ended(FRAME_ERROR_MALFORMED);
}
END_TEST

/* ---- large values ------------------------------------------------------- */

START_TEST(a_large_value_goes_in_parts)
{
    static const size_t sizes[] = {FRAME_WHOLE_MAX, FRAME_WHOLE_MAX + 1, 300001,
                                   1500000};
    size_t n = sizes[_i];
    uint64_t v;

    link_up();
    v = set_large("k", n);
    (void)heard();
    ck_assert_uint_eq(heard_value, n);
    ck_assert_uint_eq(count(FRAME_ITEM_BEGIN), n > FRAME_WHOLE_MAX);
    ck_assert_uint_eq(count(FRAME_POSITION), 1);
    ck_assert_uint_eq(heard_position, head());
    ck_assert_uint_gt(v, 0);
}
END_TEST

START_TEST(others_pass_between_its_parts)
{
    const char *text;

    link_up();
    (void)set_large("big", 1500000);
    window = 100000;
    ck_assert(has(heard(), "begin big 1500000@"));
    ck_assert_uint_eq(count(FRAME_POSITION), 0); /* not yet */
    (void)set("small", "1");
    delete_key("gone");
    send_number(FRAME_PING, START_MS);
    window = SIZE_MAX;
    text = heard();
    ck_precedes(text, "pong", "item small=1@");
    ck_precedes(text, "item small=1@", "part");
    ck_precedes(text, "delete gone@", "part");
    ck_assert_ptr_null(strstr(strstr(text, "position"), "part"));
    ck_assert_uint_eq(heard_position, head());
}
END_TEST

START_TEST(a_second_large_value_waits_for_the_first)
{
    const char *text;
    static const size_t sizes[] = {100000, 1000000};

    link_up();
    (void)set_large("one", sizes[_i]);
    (void)set_large("two", sizes[_i]);
    (void)set("small", "1");
    text = heard();
    ck_precedes(text, "begin one", "begin two");
    ck_precedes(text, "item small=1@", "begin two");
    ck_assert_uint_eq(heard_value, 2 * sizes[_i] + 1);
    ck_assert_uint_eq(heard_position, head());
    ck_assert(rep_link_sleep(lnk));
}
END_TEST

START_TEST(positions_stay_before_a_value_that_waits)
{
    link_up();
    (void)set_large("one", 1000000);
    (void)set_large("two", 1000000);
    window = 1100000;
    (void)heard();
    ck_assert_uint_eq(count(FRAME_ITEM_BEGIN), 2); /* the second under way */
    ck_assert_uint_eq(count(FRAME_POSITION), 0);
    window = SIZE_MAX;
    (void)heard();
    ck_assert_uint_eq(heard_position, head());
}
END_TEST

START_TEST(many_large_values_all_go)
{
    enum { N = 40, SIZE = 100000 };
    char name[32];

    link_up();
    for (unsigned i = 0; i < N; i++) {
        (void)snprintf(name, sizeof(name), "big-%u", i);
        (void)set_large(name, SIZE);
    }
    (void)set("small", "1");
    (void)heard();
    ck_assert_uint_eq(count(FRAME_ITEM_BEGIN), N);
    ck_assert_uint_eq(count(FRAME_ITEM), 1);
    ck_assert_uint_eq(heard_value, (size_t)N * SIZE + 1);
    ck_assert_uint_eq(heard_position, head());
}
END_TEST

START_TEST(a_value_replaced_while_under_way_is_sent_as_it_was)
{
    uint64_t v;

    link_up();
    (void)set_large("k", 1500000);
    window = 100000;
    (void)heard();
    v = set("k", "small");
    window = SIZE_MAX;
    ck_assert(has(heard(), "item k=small@"));
    ck_assert_uint_eq(heard_value, 1500000 + 5);
    ck_assert_uint_gt(v, 0);
}
END_TEST

START_TEST(a_large_value_of_a_scan)
{
    (void)set_large("one", 1000000);
    (void)set_large("two", 1000000);
    (void)set_many("key", 100);
    link_from(false, 0);
    window = 500000;
    (void)heard();
    (void)set_large("three", 1000000);
    (void)set("live", "1");
    window = SIZE_MAX;
    (void)heard();
    ck_assert_uint_ge(heard_value, 3000000 + 101); /* live ones twice */
    ck_assert_uint_eq(count(FRAME_COPY_END), 1);
    send_number(FRAME_SCAN_ACK, heard_cursor);
    ck_heard("position %llu; ", U(head()));
}
END_TEST

START_TEST(a_link_that_ends_lets_a_large_value_go)
{
    uint64_t before;

    link_up();
    before = chunks_used();
    (void)set_large("k", 1500000);
    (void)set_large("later", 1500000);
    window = 100000;
    (void)heard();
    delete_key("k");
    delete_key("later");
    ck_assert_uint_gt(chunks_used(), before); /* it is being sent */
    disconnect();
    ck_assert_uint_eq(chunks_used(), before);
}
END_TEST

START_TEST(what_is_too_large_for_the_peer_goes_as_a_floor)
{
    uint64_t v;

    peer_hello.item_size_max = 1024;
    link_up();
    v = set_large("k", 2000);
    ck_heard("delete k@%llu; position %llu; ", U(v), U(head()));
}
END_TEST

/* Says a value of `n` bytes in parts, or all but the last of it. */
static void say_large(const char *key, uint64_t version, uint32_t n, bool whole)
{
    static const uint8_t bytes[16384];
    struct frame_msg msg = key_msg(FRAME_ITEM_BEGIN, key, version);
    const struct frame_msg small = item_msg("small", "1", version + 256);
    const struct frame_msg ping = number_msg(FRAME_PING, START_MS);

    msg.nbytes = n;
    say(&msg);
    msg = (struct frame_msg){.type = FRAME_ITEM_PART, .bytes = bytes};
    for (uint32_t left = n; left > 0; left -= msg.nbytes) {
        msg.nbytes = left < sizeof(bytes) ? left : sizeof(bytes);
        if (left == msg.nbytes && !whole) {
            break;
        }
        say(&msg);
        say(&small);
        say(&ping);
    }
    send_batch();
}

START_TEST(a_large_value_of_the_peer_is_put_together)
{
    static const size_t cuts[] = {7, 1000, SIZE_MAX};

    link_up();
    cut = cuts[_i];
    say_large("k", V(1), 300001, true);
    ck_assert_str_eq(get("k"), "300001 bytes");
    ck_assert_str_eq(get("small"), "1");
    ck_assert_uint_eq(figures().items_received, 1 + (300001 / 16384 + 1));
}
END_TEST

START_TEST(half_a_value_is_dropped_with_the_link)
{
    link_up();
    say_large("k", V(1), 300001, false);
    disconnect();
    ck_assert_str_eq(get("k"), "none");
    link_from(false, head());
    say_large("k", V(1), 300001, true);
    ck_assert_str_eq(get("k"), "300001 bytes");
}
END_TEST

/* ---- expiries ----------------------------------------------------------- */

START_TEST(a_touch_goes_without_the_value)
{
    uint64_t v = set_until("k", "1", NOW + 10);

    link_up();
    touch("k", NOW + 500);
    ck_heard("touch k %u@%llu; ping %llu; position %llu; ", NOW + 500, U(v),
             U(START_MS + 1), U(head()));
}
END_TEST

START_TEST(a_touch_of_what_is_not_held_is_answered_by_want)
{
    struct frame_msg msg = key_msg(FRAME_TOUCH, "k", V(1));

    link_up();
    msg.exptime = NOW + 500;
    send_one(&msg);
    ck_heard("want k@%llu; ", U(V(1)));
}
END_TEST

/* Later expiries for so many keys. */
static void touch_many(unsigned from, unsigned to)
{
    char name[32];

    for (unsigned i = from; i < to; i++) {
        (void)snprintf(name, sizeof(name), "key-%u", i);
        touch(name, NOW + 500);
    }
}

/* So many that expire soon, before the link. */
static void link_with_expiring(unsigned n)
{
    char name[32];

    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(name, sizeof(name), "key-%u", i);
        (void)set_until(name, "x", NOW + 10);
    }
    link_up();
}

/* What is not held is wanted: a touch is as good as an offer. */
START_TEST(touches_wait_for_credit)
{
    enum { N = 3000 };

    link_with_expiring(N);
    touch_many(0, N);
    ck_assert_uint_eq(count(FRAME_TOUCH), OFFERS);
    ck_assert_uint_eq(count(FRAME_ITEM), 0);
    send_pong(heard_ping, clock_ms());
    ck_assert_uint_eq(count(FRAME_TOUCH), 2 * OFFERS);
    ck_assert_uint_lt(heard_position, head());
    send_pong(heard_ping, clock_ms());
    ck_assert_uint_eq(count(FRAME_TOUCH), N);
    ck_assert_uint_eq(heard_position, head());
}
END_TEST

START_TEST(a_pong_gives_credit_for_what_came_before_its_ping)
{
    uint64_t ping;

    link_with_expiring(2200);
    touch_many(0, 600);
    ck_assert_uint_eq(count(FRAME_TOUCH), 600);
    ping = heard_ping;
    touch_many(600, 2200);
    ck_assert_uint_eq(count(FRAME_TOUCH), OFFERS);
    send_pong(ping, clock_ms());
    ck_assert_uint_eq(count(FRAME_TOUCH), OFFERS + 600);
}
END_TEST

START_TEST(touches_within_the_credit_are_answered)
{
    char name[32];

    link_up();
    window = 0;
    for (unsigned i = 0; i < OFFERS; i++) {
        struct frame_msg msg;

        (void)snprintf(name, sizeof(name), "key-%u", i);
        msg = key_msg(FRAME_TOUCH, name, V(i));
        say(&msg);
    }
    send_batch();
    window = SIZE_MAX;
    ck_assert_uint_eq(count(FRAME_WANT), OFFERS);
}
END_TEST

START_TEST(expiries_are_shifted_by_the_clocks)
{
    static const int skews[] = {3600, -3600, 1};
    struct frame_msg item = item_msg("k", "1", V(1));
    int64_t shift = skews[_i] == 1 ? 0 : skews[_i];

    peer_hello.clock_ms = (uint64_t)((int64_t)START_MS + skews[_i] * 1000LL);
    link_up();
    item.exptime = NOW + 10000;
    send_one(&item);
    ck_assert_int_eq(exptime_of("k"), NOW + 10000 - shift);
}
END_TEST

START_TEST(a_pong_tells_the_clock)
{
    struct frame_msg item = item_msg("k", "1", V(1));

    link_up();
    rep_link_beat(lnk);
    (void)heard();
    clock_freeze(START_MS + 200);
    send_pong(heard_ping, START_MS + 100 - 60000);
    ck_assert_int_eq(figures().skew_ms, -60000);
    ck_assert_int_eq(figures().shift_ms, -60000);
    item.exptime = NOW + 10000;
    send_one(&item);
    ck_assert_int_eq(exptime_of("k"), NOW + 10060);
}
END_TEST

START_TEST(a_late_pong_tells_no_clock)
{
    link_up();
    rep_link_beat(lnk);
    (void)heard();
    clock_freeze(START_MS + 10000);
    send_pong(heard_ping, START_MS - 60000);
    ck_assert_int_eq(figures().skew_ms, 0);
    send_pong(heard_ping + 1000000, START_MS - 60000); /* of no ping */
    ck_assert_int_eq(figures().skew_ms, 0);
}
END_TEST

START_TEST(a_clock_too_far_ahead_ends_the_link)
{
    static const uint64_t clocks[] = {START_MS + DAY_MS + 1, UINT64_MAX,
                                      UINT64_C(1) << 63};
    struct frame_msg msg = {.nkey = 1, .key = "k"};

    link_up();
    rep_link_beat(lnk);
    (void)heard();
    if (_i % 3 == 0) {
        send_number(FRAME_PING, clocks[_i / 3]);
    } else if (_i % 3 == 1) {
        send_pong(heard_ping, clocks[_i / 3]);
    } else {
        msg.type = FRAME_DELETE;
        msg.version = version_at_ms(START_MS + DAY_MS + 10);
        send_one(&msg);
    }
    ck_ended(FRAME_ERROR_CLOCK);
    ck_assert_uint_lt(version_last(), version_at_ms(START_MS + DAY_MS));
}
END_TEST

START_TEST(a_clock_long_past_is_taken)
{
    link_up();
    rep_link_beat(lnk);
    (void)heard();
    clock_freeze(START_MS + 200);
    send_number(FRAME_PING, 0);
    send_pong(heard_ping, 0);
    ck_assert(figures().linked);
    ck_assert_int_eq(figures().skew_ms, -(int64_t)(START_MS + 100));
}
END_TEST

START_TEST(pings_are_answered_with_their_number)
{
    link_up();
    send_number(FRAME_PING, START_MS + 17);
    ck_heard("pong %llu; ", U(START_MS + 17));
}
END_TEST

START_TEST(pings_rise_though_the_clock_stands)
{
    uint64_t first;

    link_up();
    rep_link_beat(lnk);
    ck_assert_uint_eq(count(FRAME_PING), 1);
    first = heard_ping;
    rep_link_beat(lnk);
    ck_assert_uint_eq(count(FRAME_PING), 2);
    ck_assert_uint_gt(heard_ping, first);
}
END_TEST

static void add_offers(Suite *s)
{
    TCase *t = tcase_create("offers");
    TCase *few = tcase_create("few floors");

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, what_the_peer_missed_is_offered);
    tcase_add_test(t, only_what_is_not_above_it_is_offered);
    tcase_add_test(t, offers_wait_for_credit);
    tcase_add_test(t, without_credit_the_peer_is_still_answered);
    tcase_add_test(t, a_pong_of_an_earlier_ping_gives_no_credit);
    tcase_add_test(t, what_is_missed_later_is_offered_then);
    tcase_add_test(t, what_is_missed_by_who_has_all_else_is_offered_alone);
    tcase_add_test(t, cells_do_not_change);
    tcase_add_test(t, what_is_gone_there_goes_here);
    tcase_add_test(t, absence_is_an_answer_to_want);
    tcase_add_test(t, a_wish_is_granted);
    tcase_add_test(t, all_offers_within_the_credit_are_answered);
    tcase_add_test(t, too_many_offers_close_the_link);
    suite_add_tcase(s, few);
    tcase_set_timeout(few, 30);
    tcase_add_checked_fixture(few, setup_small, teardown);
    tcase_add_test(few, what_was_removed_here_is_answered_by_gone);
}

static void add_large(Suite *s)
{
    TCase *t = tcase_create("large values");

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, a_large_value_goes_in_parts, 0, 4);
    tcase_add_test(t, others_pass_between_its_parts);
    tcase_add_loop_test(t, a_second_large_value_waits_for_the_first, 0, 2);
    tcase_add_test(t, positions_stay_before_a_value_that_waits);
    tcase_add_test(t, many_large_values_all_go);
    tcase_add_test(t, a_value_replaced_while_under_way_is_sent_as_it_was);
    tcase_add_test(t, a_large_value_of_a_scan);
    tcase_add_test(t, a_link_that_ends_lets_a_large_value_go);
    tcase_add_test(t, what_is_too_large_for_the_peer_goes_as_a_floor);
    tcase_add_loop_test(t, a_large_value_of_the_peer_is_put_together, 0, 3);
    tcase_add_test(t, half_a_value_is_dropped_with_the_link);
}

static void add_times(Suite *s)
{
    TCase *t = tcase_create("times");

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_touch_goes_without_the_value);
    tcase_add_test(t, a_touch_of_what_is_not_held_is_answered_by_want);
    tcase_add_test(t, touches_wait_for_credit);
    tcase_add_test(t, a_pong_gives_credit_for_what_came_before_its_ping);
    tcase_add_test(t, touches_within_the_credit_are_answered);
    tcase_add_loop_test(t, expiries_are_shifted_by_the_clocks, 0, 3);
    tcase_add_test(t, a_pong_tells_the_clock);
    tcase_add_test(t, a_late_pong_tells_no_clock);
    tcase_add_loop_test(t, a_clock_too_far_ahead_ends_the_link, 0, 9);
    tcase_add_test(t, a_clock_long_past_is_taken);
    tcase_add_test(t, pings_are_answered_with_their_number);
    tcase_add_test(t, pings_rise_though_the_clock_stands);
}

int main(void)
{
    Suite *s = suite_create("link_flow");
    SRunner *r;
    int failed;

    add_offers(s);
    add_large(s);
    add_times(s);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
