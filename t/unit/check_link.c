/* Unit tests of rep/link, v3: catching up, marks of progress. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "t/unit/linking.h"

/* Some tests run with pieces of these sizes. */
static const size_t cuts[] = {1, 7, SIZE_MAX};

enum { CUTS = sizeof(cuts) / sizeof(cuts[0]) };

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

/* A link of a run that was linked before, from where it has got to. */
static void link_again(void)
{
    link_from(false, rep_log_acked(rlog, figures().reader));
}

/* ---- the first batch ---------------------------------------------------- */

START_TEST(resume_is_all_that_is_said_until_the_peers_came)
{
    uint64_t v = set("k", "value");

    cut = cuts[_i % CUTS];
    connect_as(_i >= CUTS);
    greet();
    ck_heard("resume 0; ");
    (void)set("k2", "value");
    rep_link_beat(lnk);
    ck_heard("%s", "");
    ck_assert(rep_link_all_written(lnk));
    ck_assert(rep_link_sleep(lnk));
    delete_key("k2");
    send_number(FRAME_RESUME, 0);
    ck_assert(has(heard(), "item k=value@"));
    ck_assert_uint_eq(get("k") != NULL && v > 0, 1);
}
END_TEST

START_TEST(what_floors_do_not_tell_any_more_is_missed)
{
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t hash = hash_key_agreed((const char *)&i, sizeof(i));

        (void)rep_floor_raise(floors, hash, 1000 + i);
    }
    connect_as(false);
    greet();
    ck_assert_uint_eq(count(FRAME_MISSED), REP_FLOOR_SHARDS);
    ck_assert_uint_eq(count(FRAME_RESUME), 1);
    forget();
    /* Its offers have come when it answers what is asked behind its copy. */
    send_number(FRAME_RESUME, 0);
    send_number(FRAME_COPY_END, 0);
    settle();
    disconnect();
    link_again();
    ck_assert_uint_eq(count(FRAME_MISSED), 0);
    /* Not told to the end: all of it again. */
    disconnect();
    peer_hello.run++;
    link_from(false, 0);
    ck_assert_uint_eq(count(FRAME_MISSED), REP_FLOOR_SHARDS);
    disconnect();
    forget();
    link_from(false, 0);
    ck_assert_uint_eq(count(FRAME_MISSED), REP_FLOOR_SHARDS);
}
END_TEST

START_TEST(what_is_missed_later_is_told_later)
{
    link_up();
    rep_link_beat(lnk);
    ck_assert_uint_eq(count(FRAME_MISSED), 0);
    settle();
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t hash = hash_key_agreed((const char *)&i, sizeof(i));

        (void)rep_floor_raise(floors, hash, version_next());
    }
    rep_link_beat(lnk);
    ck_assert_uint_ge(count(FRAME_MISSED), 1);
    ck_assert_uint_eq(count(FRAME_PING), 1);
}
END_TEST

/* Everything that may not stand there. */
static const struct frame_msg not_first[] = {
    {.type = FRAME_ITEM, .nkey = 1, .key = "k", .version = 1000},
    {.type = FRAME_ITEM_BEGIN,
     .nkey = 1,
     .key = "k",
     .version = 1000,
     .nbytes = 9},
    {.type = FRAME_DELETE, .nkey = 1, .key = "k", .version = 1000},
    {.type = FRAME_FLOOR, .hash = 1, .version = 1000},
    {.type = FRAME_TOUCH, .nkey = 1, .key = "k", .version = 1000},
    {.type = FRAME_BARRIER, .version = 1000},
    {.type = FRAME_FLUSH_AT, .at_ms = 1900000000000, .version = 1000},
    {.type = FRAME_OFFER, .nkey = 1, .key = "k", .version = 1000},
    {.type = FRAME_WANT, .nkey = 1, .key = "k", .version = 1000},
    {.type = FRAME_GONE, .nkey = 1, .key = "k", .version = 1000},
    {.type = FRAME_POSITION, .position = 0},
    {.type = FRAME_ACK, .position = 0},
    {.type = FRAME_SCAN_POINT, .cursor = 0},
    {.type = FRAME_SCAN_ACK, .cursor = 0},
    {.type = FRAME_COPY_END},
    {.type = FRAME_PING, .clock_ms = START_MS},
    {.type = FRAME_PONG, .clock_ms = START_MS},
    {.type = FRAME_HINTS, .nbytes = 4, .bytes = (const uint8_t *)"\1\0\1k"},
};

enum { NOT_FIRST = sizeof(not_first) / sizeof(not_first[0]) };

START_TEST(nothing_may_come_before_resume)
{
    connect_as(false);
    greet();
    send_one(&not_first[_i]);
    ck_ended(FRAME_ERROR_MALFORMED);
    ck_assert_str_eq(get("k"), "none");
    ck_assert_uint_eq(floor_of("k"), 0);
    ck_assert_str_eq(told(), "hello; closed; ");
}
END_TEST

START_TEST(an_end_may_come_before_resume)
{
    static const enum frame_type ends[] = {FRAME_BYE, FRAME_BUSY, FRAME_ERROR};

    connect_as(false);
    greet();
    send_number(ends[_i], 1);
    ck_ended(-1);
}
END_TEST

START_TEST(resume_comes_once)
{
    link_from(false, 0);
    ck_assert(figures().linked);
    send_number(FRAME_RESUME, 0);
    ck_ended(FRAME_ERROR_MALFORMED);
}
END_TEST

START_TEST(resume_stands_in_the_first_batch)
{
    connect_as(false);
    greet();
    send_missed(0, 1000);
    send_number(FRAME_RESUME, 0);
    ck_ended(FRAME_ERROR_MALFORMED);
}
END_TEST

/* ---- what is sent first ------------------------------------------------- */

START_TEST(a_run_that_is_not_known_gets_everything)
{
    uint64_t v, f;

    (void)set("gone", "1");
    delete_key("gone");
    v = set("k", "value");
    f = floor_of("gone");
    ck_assert_uint_ne(f, 0);
    cut = cuts[_i];
    link_from(false, _i == 0 ? 0 : 12345); /* whatever it says */
    ck_heard("resume 0; item k=value@%llu; floor %llu; scan 0; end; ", U(v),
             U(f));
    ck_assert_uint_eq(figures().full_copies, 1);
    ck_assert_uint_eq(figures().partial_copies, 0);
    ck_assert_uint_eq(figures().full_items, 2);
    send_number(FRAME_SCAN_ACK, heard_cursor);
    ck_heard("position %llu; ", U(head()));
}
END_TEST

/* Its messages, whatever is sent beside them. */
START_TEST(a_small_copy_is_counted_to_the_byte)
{
    const char *secret = "a secret that both know";
    struct frame_msg item = item_msg("k", "value", set("k", "value"));
    struct frame_msg floor = {.type = FRAME_FLOOR, .hash = 1};
    struct frame_msg point = {.type = FRAME_SCAN_POINT};
    size_t want = frame_size(&item) + frame_size(&floor) + frame_size(&point);

    if (_i == 1) {
        use_secrets(secret, secret);
    }
    delete_key("gone");
    link_from(false, 0);
    (void)heard();
    ck_assert_uint_eq(figures().full_items, 2);
    ck_assert_uint_eq(figures().full_bytes, want);
    send_number(FRAME_SCAN_ACK, heard_cursor);
    (void)set_many("live", 100);
    (void)heard();
    ck_assert_uint_eq(figures().full_items, 2);
    ck_assert_uint_eq(figures().full_bytes, want);
    ck_assert_uint_eq(figures().partial_bytes, 0);
}
END_TEST

START_TEST(the_barrier_comes_before_a_copy)
{
    uint64_t version;
    uint32_t at;

    store_flush(0);
    store_flush(NOW + 60);
    ck_assert(store_flush_pending(&version, &at));
    link_from(false, 0);
    ck_heard("resume 0; barrier %llu; flush %llu; scan 0; end; ",
             U(store_barrier()), U(version));
}
END_TEST

START_TEST(a_run_that_is_known_gets_the_log)
{
    uint64_t a, b;

    (void)set("old", "1");
    link_up();
    a = set("a", "1");
    disconnect();
    b = set("b", "2");
    cut = cuts[_i];
    link_again();
    ck_heard("resume 0; item a=1@%llu; item b=2@%llu; end; position %llu; ",
             U(a), U(b), U(head()));
    ck_assert_uint_eq(figures().full_copies, 0);
}
END_TEST

START_TEST(what_was_sent_and_not_acknowledged_is_sent_again)
{
    uint64_t v;

    link_up();
    v = set("k", "1");
    ck_heard("item k=1@%llu; position %llu; ", U(v), U(head()));
    disconnect();
    link_again();
    ck_heard("resume 0; item k=1@%llu; end; position %llu; ", U(v), U(head()));
}
END_TEST

/* The acknowledgement was lost: its RESUME is ahead of what we know. */
START_TEST(a_run_may_have_processed_more_than_it_acknowledged)
{
    link_up();
    (void)set("k", "1");
    (void)heard();
    disconnect();
    link_from(false, head());
    ck_assert_uint_eq(count(FRAME_SCAN_POINT), 0);
    ck_assert_uint_eq(figures().full_copies, 0);
}
END_TEST

START_TEST(a_run_that_fell_off_the_log_gets_what_was_lost)
{
    uint64_t v, lost;

    v = set("old", "1");
    link_up();
    disconnect();
    lost = set("first", "1");
    (void)set_many("key", 500);
    link_again();
    (void)heard();
    ck_assert_uint_ge(count(FRAME_ITEM), 501);
    ck_assert_uint_eq(count(FRAME_SCAN_POINT), 1);
    ck_assert_uint_eq(figures().full_copies, 0);
    ck_assert_uint_eq(figures().partial_copies, 1);
    forget();
    /* Again, to see the threshold. */
    disconnect();
    link_again();
    ck_assert(!has(heard(), "item old="));
    ck_assert_uint_lt(v, lost);
    ck_assert_uint_eq(count(FRAME_POSITION), 0);
    send_number(FRAME_SCAN_ACK, heard_cursor);
    ck_assert_uint_eq(count(FRAME_POSITION), 1);
    ck_assert_uint_eq(heard_position, head());
}
END_TEST

START_TEST(a_scan_that_broke_off_goes_on)
{
    enum { N = 20000 };
    unsigned points_n, first, total;
    struct point p;

    (void)set_many("key", N);
    link_from(false, 0);
    ck_assert_uint_eq(count(FRAME_ITEM), N);
    points_n = count(FRAME_SCAN_POINT);
    ck_assert_uint_ge(points_n, 3);
    p = points[points_n / 2 - 1];
    ck_assert_uint_gt(p.items, 0);
    ck_assert_uint_lt(p.items, N);
    send_number(FRAME_SCAN_ACK, p.cursor);
    disconnect();
    forget();
    link_from(false, 0);
    first = count(FRAME_ITEM);
    total = first + p.items;
    ck_assert_uint_ge(total, N);
    ck_assert_uint_lt(total, N + 200); /* of the stripe where it broke off */
    ck_assert_uint_eq(count(FRAME_COPY_END), 1);
    /* Nothing of it was acknowledged: all that again. */
    disconnect();
    forget();
    link_from(false, 0);
    ck_assert_uint_eq(count(FRAME_ITEM), first);
    ck_assert_uint_eq(count(FRAME_POSITION), 0);
    send_number(FRAME_SCAN_ACK, heard_cursor);
    settle();
    disconnect();
    link_again();
    ck_assert_uint_eq(count(FRAME_ITEM), 0);
}
END_TEST

START_TEST(a_run_that_knows_less_than_it_did_gets_everything)
{
    uint64_t v;

    link_up();
    (void)set("k", "1");
    settle();
    ck_assert_uint_gt(rep_log_acked(rlog, figures().reader), 1);
    disconnect();
    v = set("k", "2");
    link_from(false, rep_log_acked(rlog, figures().reader) - 1);
    ck_heard("resume 0; item k=2@%llu; scan 0; end; ", U(v));
    ck_assert_uint_eq(figures().full_copies, 1);
}
END_TEST

START_TEST(a_run_that_knows_more_than_there_is_gets_everything)
{
    uint64_t v = set("k", "1");

    link_up();
    disconnect();
    link_from(false, head() + 1);
    ck_heard("resume 0; item k=1@%llu; scan 0; end; ", U(v));
}
END_TEST

START_TEST(another_run_of_the_node_gets_everything)
{
    link_up();
    (void)set("k", "1");
    disconnect();
    peer_hello.run++;
    link_from(false, head());
    ck_assert_uint_eq(count(FRAME_SCAN_POINT), 1);
    ck_assert_uint_eq(figures().full_copies, 1);
}
END_TEST

START_TEST(an_overrun_while_linked_is_scanned_for)
{
    uint64_t first;

    link_up();
    window = 0;
    first = set("key", "1");
    (void)set_many("key", 1000);
    window = SIZE_MAX;
    ck_assert(has(heard(), "item key=1@"));
    ck_assert_uint_ge(count(FRAME_ITEM), 1001);
    ck_assert_uint_eq(count(FRAME_POSITION), 0);
    ck_assert_str_eq(told(), "overrun; scan done; ");
    ck_assert_uint_eq(count(FRAME_COPY_END), 0);
    send_number(FRAME_SCAN_ACK, heard_cursor);
    ck_assert_uint_eq(count(FRAME_POSITION), 1);
    ck_assert_uint_gt(first, 0);
}
END_TEST

/* Its own bytes, those of a value in parts, too; not the live changes. */
START_TEST(a_scan_in_the_middle_of_a_link_counts_as_a_partial_copy)
{
    uint64_t sent;

    link_up();
    (void)heard();
    (void)set_large("live", 1000000);
    (void)heard();
    ck_assert_uint_eq(figures().partial_bytes, 0);
    sent = figures().bytes_sent;
    ck_assert_uint_gt(sent, 1000000);
    window = 0;
    (void)set_large("large", 1000000);
    (void)set_many("key", 1000);
    window = SIZE_MAX;
    (void)heard();
    ck_assert_uint_eq(figures().partial_copies, 1);
    ck_assert_uint_ge(figures().partial_items, 1001);
    ck_assert_uint_gt(figures().partial_bytes, 1000000 + 1000 * 30);
    ck_assert_uint_lt(figures().partial_bytes, figures().bytes_sent - sent);
    /* Behind it all is live again. */
    send_number(FRAME_SCAN_ACK, heard_cursor);
    (void)heard();
    sent = figures().partial_bytes;
    (void)set_many("more", 10);
    (void)heard();
    ck_assert_uint_eq(figures().partial_bytes, sent);
}
END_TEST

START_TEST(what_is_lost_while_a_scan_runs_is_scanned_for_after_it)
{
    enum { N = 30000 };

    (void)set_many("key", N);
    window = 300000;
    link_from(false, 0);
    (void)heard();
    (void)set_many("new", 1000);
    window = SIZE_MAX;
    (void)heard();
    ck_assert_uint_eq(count(FRAME_COPY_END), 0);
    send_number(FRAME_SCAN_ACK, heard_cursor);
    (void)heard();
    ck_assert_uint_eq(count(FRAME_COPY_END), 1);
    ck_assert_uint_eq(count(FRAME_POSITION), 0);
    send_number(FRAME_SCAN_ACK, heard_cursor);
    ck_assert_uint_eq(count(FRAME_POSITION), 1);
    ck_assert_uint_eq(heard_position, head());
    ck_assert_uint_ge(count(FRAME_ITEM), N + 1000);
}
END_TEST

/* ---- positions ---------------------------------------------------------- */

START_TEST(a_position_follows_what_was_sent)
{
    uint64_t v;

    link_up();
    cut = cuts[_i];
    pass_ms(1000);
    v = set("k", "1");
    ck_heard("item k=1@%llu; position %llu; ", U(v), U(head()));
    ck_heard("%s", "");
    ck_assert_uint_lt(figures().acked, head());
    send_number(FRAME_ACK, head());
    ck_assert_uint_eq(figures().acked, head());
    ck_assert_uint_eq(rep_log_acked(rlog, figures().reader), head());
    ck_assert_uint_gt(figures().lag_us, 0);
    ck_heard("%s", "");
}
END_TEST

START_TEST(while_changes_come_positions_are_rare)
{
    link_up();
    pass_ms(1000);
    (void)set("a", "1");
    ck_assert_uint_eq(count(FRAME_POSITION), 1);
    window = 600000; /* two buffers, and not all of it */
    (void)set_many("keys of all sizes", 20000);
    (void)heard();
    ck_assert_uint_eq(count(FRAME_POSITION), 1);
    window = SIZE_MAX;
    ck_assert_uint_eq(count(FRAME_POSITION), 2); /* behind the last */
    ck_assert_uint_eq(heard_position, head());
}
END_TEST

START_TEST(the_lag_is_measured)
{
    link_up();
    for (unsigned i = 0; i < 256; i++) {
        ck_assert(rep_link_sleep(lnk));
        pass_ms(1000);
        (void)set("k", "1");
        (void)heard();
        pass_ms(i == 255 ? 50 : 5);
        send_number(FRAME_ACK, heard_position);
    }
    ck_assert_uint_ge(figures().lag_us, 50000);
    ck_assert_uint_ge(figures().lag_p99_us, 5000);
    ck_assert_uint_lt(figures().lag_p99_us, 50000);
}
END_TEST

/* More changes than can be sent, without an end. */
START_TEST(full_buffers_have_room_for_a_position)
{
    link_up();
    pass_ms(1000);
    (void)set_many("key", 20000);
    window = 600000; /* two buffers, and not all of it */
    (void)heard();
    ck_assert_uint_lt(count(FRAME_ITEM), 20000);
    ck_assert_uint_ge(count(FRAME_POSITION), 1);
}
END_TEST

START_TEST(no_position_is_sent_while_a_scan_is_owed)
{
    link_from(false, 0);
    (void)heard();
    (void)set("k", "1");
    (void)heard();
    ck_assert_uint_eq(count(FRAME_ITEM), 1);
    ck_assert_uint_eq(count(FRAME_POSITION), 0);
    send_number(FRAME_SCAN_ACK, heard_cursor);
    ck_heard("position %llu; ", U(head()));
}
END_TEST

START_TEST(what_nobody_said_is_not_acknowledged)
{
    link_up();
    (void)set("k", "1");
    (void)heard();
    send_number(FRAME_ACK, heard_position + 1);
    ck_ended(FRAME_ERROR_MALFORMED);
}
END_TEST

START_TEST(nothing_is_acknowledged_before_the_first_position)
{
    link_from(false, 0);
    (void)heard();
    send_number(FRAME_ACK, 0);
    ck_ended(FRAME_ERROR_MALFORMED);
}
END_TEST

/* A position within an entry is none. */
START_TEST(a_position_made_up_harms_nothing)
{
    link_up();
    (void)set("k", "1");
    (void)set("k2", "2");
    (void)heard();
    send_number(FRAME_ACK, heard_position - 3);
    (void)heard();
    disconnect();
    link_from(false, head());
    (void)set("k3", "3");
    ck_assert(has(heard(), "item k3=3@"));
    ck_assert(figures().linked);
}
END_TEST

START_TEST(positions_of_the_peer_are_acknowledged_in_order)
{
    const struct frame_msg item = item_msg("k", "1", V(1));
    const struct frame_msg position = number_msg(FRAME_POSITION, 500);

    link_up();
    cut = cuts[_i];
    say(&item);
    say(&position);
    send_batch();
    ck_heard("ack 500; ");
    disconnect();
    connect_as(false);
    greet();
    ck_heard("resume 500; ");
}
END_TEST

START_TEST(an_ack_that_never_left_is_not_told_as_processed)
{
    link_up();
    window = 0;
    send_number(FRAME_POSITION, 500);
    disconnect();
    window = SIZE_MAX;
    connect_as(false);
    greet();
    ck_heard("resume 0; ");
}
END_TEST

START_TEST(floors_by_hash_are_carried_out_before_an_ack)
{
    struct frame_msg floor = {
        .type = FRAME_FLOOR, .hash = hash_key_agreed("k", 1), .version = V(1)};
    const struct frame_msg position = number_msg(FRAME_POSITION, 500);
    const struct frame_msg point = {.type = FRAME_SCAN_POINT, .cursor = 7};

    link_up();
    (void)set("k", "1");
    settle();
    say(&floor);
    say(&point);
    say(&position);
    send_batch();
    ck_heard("%s", "");
    while (rep_sweep_step(&sweep)) {
    }
    ck_assert_str_eq(get("k"), "none");
    ck_assert(has(heard(), "scanned 7; ack 500; "));
}
END_TEST

START_TEST(answers_leave_before_the_ack_of_what_came_later)
{
    const struct frame_msg offer = key_msg(FRAME_OFFER, "k", V(1));
    const struct frame_msg position = number_msg(FRAME_POSITION, 500);
    const struct frame_msg ping = number_msg(FRAME_PING, START_MS);

    link_up();
    say(&offer);
    say(&ping);
    say(&position);
    send_batch();
    ck_heard("want k@%llu; pong %llu; ack 500; ", U(V(1)), U(START_MS));
}
END_TEST

/* ---- scans -------------------------------------------------------------- */

START_TEST(a_scan_of_another_number_is_not_answered)
{
    link_from(false, 0);
    (void)heard();
    send_number(FRAME_SCAN_ACK, heard_cursor + (UINT64_C(1) << 48));
    ck_ended(FRAME_ERROR_MALFORMED);
}
END_TEST

START_TEST(a_scan_is_not_answered_twice)
{
    link_from(false, 0);
    (void)heard();
    send_number(FRAME_SCAN_ACK, heard_cursor);
    ck_assert(figures().linked);
    send_number(FRAME_SCAN_ACK, heard_cursor);
    ck_ended(FRAME_ERROR_MALFORMED);
}
END_TEST

START_TEST(the_end_of_a_scan_is_not_answered_before_it_is_told)
{
    (void)set_many("key", 20000);
    window = 100000;
    link_from(false, 0);
    (void)heard();
    send_number(FRAME_SCAN_ACK,
                (UINT64_C(1) << 48) + ((UINT64_C(1) << 48) - 1));
    ck_assert(rep_link_is_closed(lnk));
}
END_TEST

START_TEST(a_cursor_made_up_harms_nothing)
{
    static const uint64_t cursors[] = {4096, 0xffffffff, UINT64_C(1) << 40,
                                       (UINT64_C(1) << 47) + 0xffffffff};

    (void)set_many("key", 20000);
    link_from(false, 0);
    (void)heard();
    send_number(FRAME_SCAN_ACK, (UINT64_C(1) << 48) + cursors[_i]);
    disconnect();
    link_from(false, 0);
    (void)set("k", "1");
    ck_assert(has(heard(), "item k=1@"));
}
END_TEST

START_TEST(full_buffers_have_room_for_a_scan_point)
{
    char name[32];

    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof(name), "key-%u", i);
        (void)set_large(name, 20000);
    }
    link_from(false, 0);
    (void)heard();
    ck_assert_uint_eq(count(FRAME_ITEM), 200);
    ck_assert_uint_ge(count(FRAME_SCAN_POINT), 10);
}
END_TEST

START_TEST(scan_points_are_answered)
{
    const struct frame_msg point = {
        .type = FRAME_SCAN_POINT, .cursor = 77, .version = 5};

    link_up();
    send_one(&point);
    ck_heard("scanned 77; ");
}
END_TEST

START_TEST(what_expired_is_told_as_a_floor)
{
    uint64_t v = set_until("k", "1", NOW + 1);

    clock_freeze(START_MS + 2000);
    link_from(false, 0);
    ck_assert_ptr_nonnull(strstr(heard(), "delete k@"));
    ck_assert_uint_gt(v, 0);
}
END_TEST

/* ---- ends of copies ----------------------------------------------------- */

START_TEST(the_end_of_a_copy_is_told_once)
{
    link_from(false, 0);
    ck_assert_uint_eq(count(FRAME_COPY_END), 1);
    send_number(FRAME_SCAN_ACK, heard_cursor);
    rep_link_scan(lnk, 0); /* as after an overrun */
    (void)heard();
    ck_assert_uint_eq(count(FRAME_COPY_END), 1);
}
END_TEST

START_TEST(the_peers_copy_ends_once)
{
    link_from(false, 0);
    (void)told();
    send_number(FRAME_COPY_END, 0);
    ck_assert_str_eq(told(), "received; ");
    ck_assert(figures().received);
    send_number(FRAME_COPY_END, 0);
    ck_ended(FRAME_ERROR_MALFORMED);
}
END_TEST

START_TEST(the_peers_copy_counts_when_its_floors_are_carried_out)
{
    const struct frame_msg floor = {
        .type = FRAME_FLOOR, .hash = 1, .version = V(1)};

    (void)set("k", "1");
    link_from(false, 0);
    (void)heard();
    (void)told();
    say(&floor);
    send_number(FRAME_COPY_END, 0);
    ck_assert_str_eq(told(), "");
    while (rep_sweep_step(&sweep)) {
    }
    rep_link_work(lnk);
    ck_assert_str_eq(told(), "received; ");
}
END_TEST

START_TEST(both_copies_acknowledged_the_low_mark_rises)
{
    int reader;

    (void)set("k", "1");
    link_from(false, 0);
    reader = figures().reader;
    send_number(FRAME_COPY_END, 0);
    (void)heard();
    rep_runs_move(runs);
    ck_assert_uint_eq(rep_log_low(rlog, reader), 0);
    send_number(FRAME_SCAN_ACK, heard_cursor);
    settle();
    rep_runs_move(runs);
    ck_assert_uint_gt(rep_log_low(rlog, reader), 0);
}
END_TEST

static void add_beginnings(Suite *s)
{
    TCase *t = tcase_create("beginnings");
    TCase *small = tcase_create("little room");

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, resume_is_all_that_is_said_until_the_peers_came, 0,
                        2 * CUTS);
    tcase_add_loop_test(t, nothing_may_come_before_resume, 0, NOT_FIRST);
    tcase_add_loop_test(t, an_end_may_come_before_resume, 0, 3);
    tcase_add_test(t, resume_comes_once);
    tcase_add_test(t, resume_stands_in_the_first_batch);
    tcase_add_loop_test(t, a_run_that_is_not_known_gets_everything, 0, CUTS);
    tcase_add_loop_test(t, a_small_copy_is_counted_to_the_byte, 0, 2);
    tcase_add_test(t, the_barrier_comes_before_a_copy);
    tcase_add_loop_test(t, a_run_that_is_known_gets_the_log, 0, CUTS);
    tcase_add_test(t, what_was_sent_and_not_acknowledged_is_sent_again);
    tcase_add_test(t, a_run_may_have_processed_more_than_it_acknowledged);
    tcase_add_test(t, a_scan_that_broke_off_goes_on);
    tcase_add_test(t, a_run_that_knows_less_than_it_did_gets_everything);
    tcase_add_test(t, a_run_that_knows_more_than_there_is_gets_everything);
    tcase_add_test(t, another_run_of_the_node_gets_everything);
    suite_add_tcase(s, small);
    tcase_set_timeout(small, 30);
    tcase_add_checked_fixture(small, setup_small, teardown);
    tcase_add_test(small, what_floors_do_not_tell_any_more_is_missed);
    tcase_add_test(small, what_is_missed_later_is_told_later);
    tcase_add_test(small, a_run_that_fell_off_the_log_gets_what_was_lost);
    tcase_add_test(small, an_overrun_while_linked_is_scanned_for);
    tcase_add_test(small,
                   a_scan_in_the_middle_of_a_link_counts_as_a_partial_copy);
    tcase_add_test(small,
                   what_is_lost_while_a_scan_runs_is_scanned_for_after_it);
}

static void add_marks(Suite *s)
{
    TCase *t = tcase_create("marks");

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, a_position_follows_what_was_sent, 0, CUTS);
    tcase_add_test(t, while_changes_come_positions_are_rare);
    tcase_add_test(t, the_lag_is_measured);
    tcase_add_test(t, full_buffers_have_room_for_a_position);
    tcase_add_test(t, full_buffers_have_room_for_a_scan_point);
    tcase_add_test(t, no_position_is_sent_while_a_scan_is_owed);
    tcase_add_test(t, what_nobody_said_is_not_acknowledged);
    tcase_add_test(t, nothing_is_acknowledged_before_the_first_position);
    tcase_add_test(t, a_position_made_up_harms_nothing);
    tcase_add_loop_test(t, positions_of_the_peer_are_acknowledged_in_order, 0,
                        CUTS);
    tcase_add_test(t, an_ack_that_never_left_is_not_told_as_processed);
    tcase_add_test(t, floors_by_hash_are_carried_out_before_an_ack);
    tcase_add_test(t, answers_leave_before_the_ack_of_what_came_later);
    tcase_add_test(t, a_scan_of_another_number_is_not_answered);
    tcase_add_test(t, a_scan_is_not_answered_twice);
    tcase_add_test(t, the_end_of_a_scan_is_not_answered_before_it_is_told);
    tcase_add_loop_test(t, a_cursor_made_up_harms_nothing, 0, 4);
    tcase_add_test(t, scan_points_are_answered);
    tcase_add_test(t, what_expired_is_told_as_a_floor);
    tcase_add_test(t, the_end_of_a_copy_is_told_once);
    tcase_add_test(t, the_peers_copy_ends_once);
    tcase_add_test(t, the_peers_copy_counts_when_its_floors_are_carried_out);
    tcase_add_test(t, both_copies_acknowledged_the_low_mark_rises);
}

int main(void)
{
    Suite *s = suite_create("link");
    SRunner *r;
    int failed;

    add_beginnings(s);
    add_marks(s);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
