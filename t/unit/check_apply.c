/* Unit tests of rep/apply: what a peer's states do to the store. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "t/unit/applying.h"

/* ---- items ---- */

START_TEST(a_newer_item_is_taken_with_its_version)
{
    struct frame_msg msg = item_msg("k", "new", V(1));

    msg.exptime = NOW + 9;
    (void)set("k", "old");
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), state("new", 5, NOW + 9, V(1)));
    ck_assert_uint_gt(set("other", "x"), V(1)); /* the clock moved */
}
END_TEST

/* Also past what changes nothing here. */
START_TEST(the_clock_moves_past_every_version)
{
    struct frame_msg msg = floor_msg("k", V(20));

    ck_assert_int_eq(feed_key(FRAME_OFFER, "k", V(10)), REP_APPLY_OK);
    ck_assert_uint_eq(version_last(), V(10));
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert_uint_eq(version_last(), V(20));
}
END_TEST

START_TEST(what_is_applied_is_not_sent_back)
{
    struct frame_msg msg = item_msg("k", "new", V(1));

    put(&msg);
    msg = key_msg(FRAME_DELETE, "d", V(2));
    put(&msg);
    msg = (struct frame_msg){.type = FRAME_BARRIER, .version = V(3)};
    put(&msg);
    ck_assert_int_eq(feed(), REP_APPLY_OK);
    ck_assert_uint_eq(to_peer(), 0);
    ck_assert_uint_eq(store_barrier(), V(3));
    ck_assert_str_eq(get("k"), "none");
}
END_TEST

START_TEST(an_older_item_makes_ours_go_back)
{
    uint64_t v;

    ck_assert_int_eq(feed_item("k", "one", V(1)), REP_APPLY_OK);
    v = set("k", "ours");
    (void)to_peer();
    ck_assert_int_eq(feed_item("k", "two", V(2) - 255), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), state("ours", 7, 0, v));
    ck_assert_uint_eq(to_peer(), 1);
    ck_assert_uint_eq(batch.entry[0].target, config.reader + 1);
    /* Of an absence as old as the peer's item that item would be the winner. */
    ck_assert_uint_gt(batch.entry[0].version, V(2) - 255);
    ck_assert_uint_lt(batch.entry[0].version, v);
    ck_assert_uint_eq(stats().stale, 1);
}
END_TEST

START_TEST(an_item_older_than_our_delete_makes_the_delete_go_back)
{
    uint64_t d;

    ck_assert_int_eq(feed_item("k", "one", V(1)), REP_APPLY_OK);
    delete_key("k");
    d = version_last();
    (void)to_peer();
    ck_assert_int_eq(feed_item("k", "one", V(1)), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), "none");
    ck_assert_uint_eq(floor_of("k"), d);
    ck_assert_uint_eq(to_peer(), 1);
}
END_TEST

START_TEST(the_same_item_again_does_nothing)
{
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(feed_item("k", "one", V(1)), REP_APPLY_OK);
        ck_assert_uint_eq(to_peer(), 0);
    }
    ck_assert_str_eq(get("k"), state("one", 5, 0, V(1)));
    ck_assert_str_eq(heard(), "");
}
END_TEST

START_TEST(a_visible_cas_is_kept_beside_the_version)
{
    struct frame_msg msg = item_msg("k", "one", V(1));

    msg.bits = FRAME_HAS_CAS;
    msg.cas = 4711;
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert_uint_eq(item_cas_of("k"), 4711);
    ck_assert_str_eq(get("k"), state("one", 5, 0, V(1)));
    msg.version = V(2);
    msg.cas = V(2);
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert_uint_eq(item_cas_of("k"), V(2));
}
END_TEST

START_TEST(the_bits_of_an_item_are_kept)
{
    static const struct {
        uint8_t frame;
        unsigned item;
    } bits[] = {{FRAME_B64KEY, ITEM_B64KEY},
                {FRAME_STALE, ITEM_STALE},
                {FRAME_TOKEN_SENT, ITEM_TOKEN_SENT},
                {FRAME_TOUCHED, ITEM_TOUCHED},
                {15, ITEM_B64KEY | ITEM_STALE | ITEM_TOKEN_SENT | ITEM_TOUCHED},
                {0, 0}};
    struct frame_msg msg = item_msg("k", "one", V(1));

    /* New, then written over what is there. */
    for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        msg.bits = bits[i].frame;
        msg.version = V(i + 1);
        ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
        ck_assert_uint_eq(item_bits_of("k"), bits[i].item);
    }
}
END_TEST

START_TEST(expiries_are_shifted_to_our_clock)
{
    struct frame_msg msg = item_msg("a", "x", V(1));

    rep_apply_shift(ap, -100);
    msg.exptime = NOW + 500;
    put(&msg);
    msg = item_msg("b", "y", V(2));
    put(&msg);
    msg = (struct frame_msg){.type = FRAME_FLUSH_AT,
                             .at_ms = (NOW + 600) * UINT64_C(1000),
                             .version = V(3)};
    put(&msg);
    ck_assert_int_eq(feed(), REP_APPLY_OK);
    ck_assert_str_eq(get("a"), state("x", 5, NOW + 400, V(1)));
    ck_assert_str_eq(get("b"), state("y", 5, 0, V(2)));
    /* A flush is not: its barrier has to be the same everywhere. */
    ck_assert_uint_eq(store_flush_time(), NOW + 600);
    ck_assert_int_eq(feed_touch("a", NOW + 700, V(1)), REP_APPLY_OK);
    ck_assert_str_eq(get("a"), state("x", 5, NOW + 600, V(1)));
}
END_TEST

/* ---- conflicts ---- */

START_TEST(an_unknown_change_replaced_is_a_conflict_lost)
{
    (void)set("known", "ours");
    ack_all();
    (void)rep_log_raise_low(rlog, config.reader);
    (void)set("k", "ours");
    (void)set("acked", "ours");
    ck_assert_int_eq(feed_item("k", "theirs", V(1)), REP_APPLY_OK);
    ck_assert_uint_eq(stats().lost, 1);
    ack_all();
    ck_assert_int_eq(feed_item("acked", "theirs", V(2)), REP_APPLY_OK);
    /* What came from the peer itself is none, nor is what was flushed. */
    ck_assert_int_eq(feed_item("k", "again", V(3)), REP_APPLY_OK);
    (void)set("dead", "ours");
    store_flush(0);
    ck_assert_int_eq(feed_item("dead", "theirs", V(900)), REP_APPLY_OK);
    ck_assert_uint_eq(stats().lost, 1);
    ck_assert_uint_eq(stats().stale, 0);
}
END_TEST

START_TEST(the_last_change_is_acknowledged_when_all_is)
{
    uint64_t v = set("k", "ours");
    struct frame_msg msg = item_msg("k", "theirs", v + 256);

    ack_all();
    ck_assert_uint_eq(version_last(), v);
    (void)rep_log_raise_low(rlog, config.reader);
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert_uint_eq(stats().lost, 0);
    ck_assert(strncmp(get("k"), "theirs", 6) == 0);
}
END_TEST

/* A change made upon ours comes right behind the word that ours came. */
START_TEST(an_acknowledgement_before_it_makes_it_none)
{
    struct frame_msg msg;
    uint64_t v;

    (void)set("k", "ours");
    ack_all();
    (void)rep_log_raise_low(rlog, config.reader);
    for (int i = 0; i < 2; i++) {
        v = set("k", "ours");
        msg = number_msg(FRAME_ACK, rep_log_head(rlog));
        if (i == 0) {
            put(&msg);
        }
        msg = item_msg("k", "theirs", v + 256 + 9);
        ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
        ck_assert_uint_eq(stats().lost, i);
    }
}
END_TEST

/* ---- deletes, floors, flushes ---- */

START_TEST(a_delete_removes_what_is_older_only)
{
    uint64_t newer;

    (void)set("k", "old");
    (void)to_peer();
    ck_assert_int_eq(feed_key(FRAME_DELETE, "k", V(1)), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), "none");
    ck_assert_uint_eq(floor_of("k"), V(1));
    newer = set("k", "newer");
    (void)to_peer();
    ck_assert_int_eq(feed_key(FRAME_DELETE, "k", V(1)), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), state("newer", 7, 0, newer));
    ck_assert_uint_eq(to_peer(), 1); /* ours goes back */
    ck_assert_uint_eq(stats().deletes, 2);
}
END_TEST

START_TEST(floors_by_hash_refuse_and_remove)
{
    uint64_t kept;
    struct frame_msg msg;

    (void)set("gone", "1");
    kept = set("kept", "2");
    (void)set("newer", "3");
    ck_assert(!rep_sweep_step(&sweep));
    msg = floor_msg("gone", V(5));
    put(&msg);
    msg = floor_msg("kept", kept);
    put(&msg);
    ck_assert_int_eq(feed(), REP_APPLY_OK);
    while (rep_sweep_step(&sweep)) {
    }
    ck_assert_str_eq(get("gone"), "none");
    ck_assert_str_eq(get("kept"), state("2", 7, 0, kept));
    ck_assert_str_ne(get("newer"), "none");
    ck_assert_int_eq(feed_item("gone", "x", V(4)), REP_APPLY_OK);
    ck_assert_str_eq(get("gone"), "none");
    ck_assert_uint_eq(stats().floors, 2);
}
END_TEST

/* A third node may hold what this one does not. */
START_TEST(with_relay_floors_by_hash_are_logged_for_others)
{
    struct frame_msg msg = floor_msg("k", V(5));
    uint64_t at;
    int other = rep_log_open(rlog, &at);

    msg.hops = 1;
    rep_log_set_relay(rlog, true);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    }
    ck_assert_int_eq(rep_log_read(rlog, other, at, &batch), REP_LOG_OK);
    ck_assert_uint_eq(batch.n, 1);
    ck_assert_int_eq(batch.entry[0].op, REP_LOG_OP_FLOOR);
    ck_assert_uint_eq(batch.entry[0].version, V(5));
    ck_assert_uint_eq(batch.entry[0].hops, 2);
    ck_assert_uint_eq(to_peer(), 0);
}
END_TEST

START_TEST(a_sweep_removes_thousands)
{
    enum { N = 10000 };
    char name[32];
    int turns = 0;

    for (int i = 0; i < N; i++) {
        struct frame_msg msg;

        (void)snprintf(name, sizeof(name), "key-%d", i);
        (void)set(name, "x");
        msg = floor_msg(name, V(900000 + i));
        if (i % 2 == 0) {
            ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
        }
    }
    while (rep_sweep_step(&sweep)) {
        ck_assert_int_lt(++turns, 1000);
    }
    for (int i = 0; i < N; i++) {
        (void)snprintf(name, sizeof(name), "key-%d", i);
        ck_assert_int_eq(strcmp(get(name), "none") == 0, i % 2 == 0);
    }
}
END_TEST

/* Those of one body are taken; what comes behind it has to wait. */
START_TEST(floors_by_hash_are_too_many_at_a_time)
{
    struct frame_msg msg;
    char name[32];

    sweep.floors = 3;
    for (int i = 0; i < 2; i++) {
        (void)snprintf(name, sizeof(name), "key-%d", i);
        (void)set(name, "x");
        msg = floor_msg(name, V(i));
        ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    }
    for (int i = 2; i < 5; i++) {
        (void)snprintf(name, sizeof(name), "key-%d", i);
        msg = floor_msg(name, V(i));
        put(&msg);
    }
    ck_assert_int_eq(feed(), REP_APPLY_FULL);
    ck_assert(rep_sweep_is_full(&sweep));
    ck_assert_uint_eq(stats().floors, 5);
    ck_assert_int_eq(feed_item("item", "x", V(9)), REP_APPLY_OK);
    (void)rep_sweep_step(&sweep);
    ck_assert(!rep_sweep_is_full(&sweep));
    while (rep_sweep_step(&sweep)) {
    }
    ck_assert_str_eq(get("key-0"), "none");
    ck_assert_str_eq(get("key-1"), "none");
}
END_TEST

/* A peer that chose them to fall upon one place would take a minute here. */
START_TEST(places_of_floors_cannot_be_chosen)
{
    for (uint64_t i = 1; i <= REP_SWEEP_FLOORS; i++) {
        ck_assert(rep_sweep_ask(&sweep, i << 32, V(1)));
    }
    ck_assert(rep_sweep_is_full(&sweep));
}
END_TEST

START_TEST(floors_by_hash_have_a_bound)
{
    struct frame_msg msg;
    uint64_t n = 0;

    while (rep_sweep_ask(&sweep, n, V(1))) {
        n++;
    }
    ck_assert_uint_eq(n, REP_SWEEP_MOST);
    ck_assert_uint_eq(sweep.next.size, 1 << 20);
    msg = floor_msg("one more", V(2));
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_MEMORY);
    (void)rep_sweep_step(&sweep);
    ck_assert(rep_sweep_ask(&sweep, n, V(1)));
}
END_TEST

START_TEST(flushes_come_with_their_version)
{
    struct frame_msg msg = {.type = FRAME_FLUSH_AT,
                            .at_ms = (NOW + 5) * UINT64_C(1000),
                            .version = V(2)};
    uint64_t version;
    uint32_t at;

    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert(store_flush_pending(&version, &at));
    ck_assert_uint_eq(version, V(2));
    ck_assert_uint_eq(at, NOW + 5);
    (void)set("k", "1");
    msg = (struct frame_msg){.type = FRAME_BARRIER, .version = V(900)};
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert(!store_flush_pending(&version, &at));
    ck_assert_str_eq(get("k"), "none");
    ck_assert_uint_eq(stats().flushes, 2);
}
END_TEST

/* ---- touches ---- */

START_TEST(a_touch_lengthens_the_same_version_only)
{
    uint64_t newer;

    ck_assert_int_eq(feed_item("k", "v", V(5)), REP_APPLY_OK);
    ck_assert_int_eq(feed_touch("k", NOW + 50, V(5)), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), state("v", 5, 0, V(5))); /* never is later */
    newer = set("newer", "v");
    ck_assert_int_eq(feed_touch("newer", 0, newer - 1), REP_APPLY_OK);
    ck_assert_str_eq(get("newer"), state("v", 7, 0, newer));
    ck_assert_str_eq(heard(), "");
    ck_assert_uint_eq(stats().touches, 2);
    ck_assert_uint_eq(stats().stale, 0);
}
END_TEST

START_TEST(a_later_expiry_wins_by_more_than_two_seconds)
{
    struct frame_msg msg = item_msg("k", "v", V(5));

    msg.exptime = NOW + 50;
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert_int_eq(feed_touch("k", NOW + 52, V(5)), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), state("v", 5, NOW + 50, V(5)));
    ck_assert_uint_eq(item_bits_of("k"), 0);
    ck_assert_int_eq(feed_touch("k", NOW + 53, V(5)), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), state("v", 5, NOW + 53, V(5)));
    ck_assert_uint_eq(item_bits_of("k"), ITEM_TOUCHED);
    ck_assert_int_eq(feed_touch("k", NOW + 20, V(5)), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), state("v", 5, NOW + 53, V(5)));
    /* The whole item brings it as well. */
    msg.exptime = 0;
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), state("v", 5, 0, V(5)));
    ck_assert_str_eq(heard(), "");
    ck_assert_uint_eq(to_peer(), 0);
}
END_TEST

START_TEST(a_touch_of_what_is_not_held_wants_it)
{
    ck_assert_int_eq(feed_touch("none", NOW + 9, V(1)), REP_APPLY_OK);
    ck_assert_str_eq(heard(), saying("want", "none", V(1)));
    ck_assert_int_eq(feed_item("old", "v", V(1)), REP_APPLY_OK);
    ck_assert_int_eq(feed_touch("old", NOW + 9, V(2)), REP_APPLY_OK);
    ck_assert_str_eq(heard(), saying("want", "old", V(2)));
    ck_assert_str_eq(get("old"), state("v", 5, 0, V(1)));
    /* Not what could not be taken. */
    ck_assert_int_eq(feed_key(FRAME_DELETE, "deleted", V(9)), REP_APPLY_OK);
    ck_assert_int_eq(feed_touch("deleted", NOW + 9, V(8)), REP_APPLY_OK);
    ck_assert(store_apply_barrier(V(20), 0));
    ck_assert_int_eq(feed_touch("flushed", NOW + 9, V(20)), REP_APPLY_OK);
    ck_assert_str_eq(heard(), "");
}
END_TEST

/* A third node has to hear of an expiry that came from a peer. */
START_TEST(with_relay_later_expiries_are_logged_for_others)
{
    struct frame_msg msg = item_msg("k", "v", V(5));
    uint64_t at;
    int other = rep_log_open(rlog, &at);

    msg.exptime = NOW + 10;
    msg.hops = 2;
    rep_log_set_relay(rlog, true);
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert_int_eq(rep_log_read(rlog, other, at, &batch), REP_LOG_OK);
    ck_assert_uint_eq(batch.n, 1);
    ck_assert_uint_eq(batch.entry[0].hops, 3);
    at = rep_log_head(rlog);
    ck_assert_int_eq(feed_touch("k", NOW + 20, V(5)), REP_APPLY_OK);
    ck_assert_int_eq(rep_log_read(rlog, other, at, &batch), REP_LOG_OK);
    ck_assert_uint_eq(batch.n, 1);
    ck_assert_int_eq(batch.entry[0].op, STORE_OP_TOUCH);
    ck_assert_uint_eq(batch.entry[0].source, config.reader + 1);
    ck_assert_uint_eq(batch.entry[0].hops, 1);
    at = batch.next;
    msg.exptime = NOW + 30;
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert_int_eq(rep_log_read(rlog, other, at, &batch), REP_LOG_OK);
    ck_assert_uint_eq(batch.n, 1);
    ck_assert_int_eq(batch.entry[0].op, STORE_OP_TOUCH);
    ck_assert_uint_eq(to_peer(), 0);
}
END_TEST

/* ---- offers ---- */

START_TEST(an_offer_of_what_would_be_taken_is_wanted)
{
    ck_assert_int_eq(feed_key(FRAME_OFFER, "none", V(1)), REP_APPLY_OK);
    ck_assert_str_eq(heard(), saying("want", "none", V(1)));
    ck_assert_int_eq(feed_item("old", "v", V(1)), REP_APPLY_OK);
    ck_assert_int_eq(feed_key(FRAME_OFFER, "old", V(2)), REP_APPLY_OK);
    ck_assert_str_eq(heard(), saying("want", "old", V(2)));
    ck_assert_int_eq(feed_key(FRAME_DELETE, "d", V(3)), REP_APPLY_OK);
    ck_assert_int_eq(feed_key(FRAME_OFFER, "d", V(3)), REP_APPLY_OK);
    ck_assert_str_eq(heard(), saying("want", "d", V(3)));
    ck_assert_uint_eq(stats().offers, 3);
}
END_TEST

START_TEST(an_offer_of_what_is_held_is_not_answered)
{
    uint64_t newer = set("newer", "v");

    (void)to_peer();
    ck_assert_int_eq(feed_item("same", "v", V(1)), REP_APPLY_OK);
    ck_assert_int_eq(feed_key(FRAME_OFFER, "same", V(1)), REP_APPLY_OK);
    ck_assert_int_eq(feed_key(FRAME_OFFER, "newer", newer - 1), REP_APPLY_OK);
    ck_assert_int_eq(feed_key(FRAME_DELETE, "d", V(3)), REP_APPLY_OK);
    ck_assert_int_eq(feed_key(FRAME_OFFER, "d", V(2)), REP_APPLY_OK);
    ck_assert(store_apply_barrier(V(20), 0));
    ck_assert_int_eq(feed_key(FRAME_OFFER, "flushed", V(20)), REP_APPLY_OK);
    ck_assert_str_eq(heard(), "");
    ck_assert_uint_eq(to_peer(), 1); /* the flush */
    ck_assert_uint_eq(stats().stale, 0);
}
END_TEST

/* ---- missed ---- */

START_TEST(what_may_have_been_removed_here_is_gone)
{
    struct frame_msg msg;

    miss("k", V(50));
    ck_assert_int_eq(feed_key(FRAME_OFFER, "k", V(50)), REP_APPLY_OK);
    ck_assert_str_eq(heard(), saying("gone", "k", V(50)));
    ck_assert_int_eq(feed_item("k", "v", V(49)), REP_APPLY_OK);
    ck_assert_str_eq(heard(), saying("gone", "k", V(49)));
    ck_assert_int_eq(feed_touch("k", NOW + 9, V(48)), REP_APPLY_OK);
    ck_assert_str_eq(heard(), saying("gone", "k", V(48)));
    msg = item_msg("k", "value", V(47));
    msg.type = FRAME_ITEM_BEGIN;
    put(&msg);
    msg = (struct frame_msg){.type = FRAME_ITEM_PART,
                             .nbytes = 5,
                             .bytes = (const uint8_t *)"value"};
    put(&msg);
    ck_assert_int_eq(feed(), REP_APPLY_OK);
    ck_assert_str_eq(heard(), saying("gone", "k", V(47)));
    ck_assert_str_eq(get("k"), "none");
    ck_assert_uint_eq(floor_of("k"), 0);
    ck_assert_uint_eq(to_peer(), 0);
    /* Newer than all that was missed: nothing of it can be older. */
    ck_assert_int_eq(feed_key(FRAME_OFFER, "k", V(51)), REP_APPLY_OK);
    ck_assert_str_eq(heard(), saying("want", "k", V(51)));
    ck_assert_int_eq(feed_item("k", "v", V(51)), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), state("v", 5, 0, V(51)));
}
END_TEST

START_TEST(what_is_held_decides_though_something_was_missed)
{
    ck_assert_int_eq(feed_item("k", "v", V(5)), REP_APPLY_OK);
    miss("k", V(50));
    /* Held older: wanted, and taken. */
    ck_assert_int_eq(feed_key(FRAME_OFFER, "k", V(6)), REP_APPLY_OK);
    ck_assert_str_eq(heard(), saying("want", "k", V(6)));
    ck_assert_int_eq(feed_item("k", "w", V(6)), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), state("w", 5, 0, V(6)));
    /* Held newer: ours is sent. */
    ck_assert_int_eq(feed_key(FRAME_OFFER, "k", V(5)), REP_APPLY_OK);
    ck_assert_uint_eq(to_peer(), 1);
    ck_assert_uint_eq(batch.entry[0].target, config.reader + 1);
    /* A floor is held, too. */
    ck_assert_int_eq(feed_key(FRAME_DELETE, "k", V(60)), REP_APPLY_OK);
    ck_assert_int_eq(feed_key(FRAME_OFFER, "k", V(40)), REP_APPLY_OK);
    ck_assert_uint_eq(to_peer(), 1);
    ck_assert_str_eq(heard(), "");
}
END_TEST

START_TEST(gone_drops_the_key_and_tells_everybody)
{
    uint64_t newer;

    ck_assert_int_eq(feed_item("k", "v", V(5)), REP_APPLY_OK);
    ck_assert_int_eq(feed_key(FRAME_GONE, "k", V(5)), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), "none");
    ck_assert_uint_eq(floor_of("k"), V(5) + 1);
    ck_assert_uint_eq(to_peer(), 1);
    ck_assert_int_eq(batch.entry[0].op, STORE_OP_DELETE);
    ck_assert_uint_eq(batch.entry[0].version, V(5) + 1);
    ck_assert_uint_eq(batch.entry[0].source, 0);
    newer = set("k", "newer");
    (void)to_peer();
    ck_assert_int_eq(feed_key(FRAME_GONE, "k", V(5)), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), state("newer", 7, 0, newer));
    ck_assert_uint_eq(to_peer(), 0);
    ck_assert_str_eq(heard(), "");
    ck_assert_uint_eq(stats().gone, 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("apply");
    TCase *t = tcase_create("apply");
    TCase *missed = tcase_create("missed");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    suite_add_tcase(s, missed);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_checked_fixture(missed, setup_small, teardown);
    tcase_add_test(t, a_newer_item_is_taken_with_its_version);
    tcase_add_test(t, the_clock_moves_past_every_version);
    tcase_add_test(t, what_is_applied_is_not_sent_back);
    tcase_add_test(t, an_older_item_makes_ours_go_back);
    tcase_add_test(t, an_item_older_than_our_delete_makes_the_delete_go_back);
    tcase_add_test(t, the_same_item_again_does_nothing);
    tcase_add_test(t, a_visible_cas_is_kept_beside_the_version);
    tcase_add_test(t, the_bits_of_an_item_are_kept);
    tcase_add_test(t, expiries_are_shifted_to_our_clock);
    tcase_add_test(t, an_unknown_change_replaced_is_a_conflict_lost);
    tcase_add_test(t, an_acknowledgement_before_it_makes_it_none);
    tcase_add_test(t, the_last_change_is_acknowledged_when_all_is);
    tcase_add_test(t, a_delete_removes_what_is_older_only);
    tcase_add_test(t, floors_by_hash_refuse_and_remove);
    tcase_add_test(t, with_relay_floors_by_hash_are_logged_for_others);
    tcase_add_test(t, a_sweep_removes_thousands);
    tcase_add_test(t, floors_by_hash_are_too_many_at_a_time);
    tcase_add_test(t, places_of_floors_cannot_be_chosen);
    tcase_add_test(t, floors_by_hash_have_a_bound);
    tcase_add_test(t, flushes_come_with_their_version);
    tcase_add_test(t, a_touch_lengthens_the_same_version_only);
    tcase_add_test(t, a_later_expiry_wins_by_more_than_two_seconds);
    tcase_add_test(t, a_touch_of_what_is_not_held_wants_it);
    tcase_add_test(t, with_relay_later_expiries_are_logged_for_others);
    tcase_add_test(t, an_offer_of_what_would_be_taken_is_wanted);
    tcase_add_test(t, an_offer_of_what_is_held_is_not_answered);
    tcase_add_test(missed, what_may_have_been_removed_here_is_gone);
    tcase_add_test(missed, what_is_held_decides_though_something_was_missed);
    tcase_add_test(t, gone_drops_the_key_and_tells_everybody);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
