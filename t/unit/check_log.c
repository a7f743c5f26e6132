/* Unit tests of rep/log. The store is played by the tests. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/log.h"

enum { SETS = 20000 }; /* of each thread */

static struct rep_floor *floors;
static struct rep_log *rlog;
static const struct store_observer *ob;
static struct rep_log_batch batch;
static int wakes;

static void on_wake(void *ctx)
{
    ck_assert_ptr_eq(ctx, &wakes);
    wakes++;
}

static void start(size_t bytes, size_t floor_bytes)
{
    clock_freeze(1800000000000ULL);
    version_init(VERSION_HYBRID, 3);
    hash_init();
    floors = rep_floor_new(floor_bytes);
    rlog = rep_log_new(bytes, floors);
    ck_assert_ptr_nonnull(rlog);
    ob = rep_log_observer(rlog);
    wakes = 0;
    rep_log_on_wake(rlog, on_wake, &wakes);
}

static void setup(void)
{
    start(64 * KIB, MIB);
}

static void setup_small(void)
{
    start(REP_LOG_BYTES_MIN, MIB);
}

static void setup_few_floors(void)
{
    start(64 * KIB, 0); /* a line of four a cell */
}

static void teardown(void)
{
    rep_log_free(rlog);
    rep_floor_free(floors);
}

static uint64_t change(enum store_op op, const char *name, uint64_t version,
                       uint32_t source)
{
    struct store_key key;
    struct store_change c = {.op = op, .version = version, .source = source};

    if (name != NULL) {
        key = store_key(name, strlen(name));
        c.key = &key;
    }
    return ob->change(ob->ctx, &c);
}

static uint64_t set(const char *name)
{
    return change(STORE_OP_ITEM, name, 0, 0);
}

static void set_numbered(int from, int to)
{
    char name[32];

    for (int i = from; i < to; i++) {
        (void)snprintf(name, sizeof(name), "key-%06d", i);
        (void)set(name);
    }
}

static void ack_all(int reader)
{
    rep_log_ack(rlog, reader, rep_log_head(rlog));
}

static uint64_t low(int reader)
{
    uint64_t raised = rep_log_raise_low(rlog, reader);

    ck_assert_uint_eq(rep_log_low(rlog, reader), raised);
    return raised;
}

/* What is in the batch, as "key key | key" with flushes as bars. */
static const char *keys(void)
{
    static char text[4096];
    size_t n = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < batch.n; i++) {
        const struct rep_log_entry *e = &batch.entry[i];

        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s",
                              i > 0 ? " " : "", e->key != NULL ? e->nkey : 1,
                              e->key != NULL ? e->key : "|");
    }
    return text;
}

START_TEST(versions_rise_with_and_without_readers)
{
    uint64_t pos;
    uint64_t a = set("a");
    uint64_t b = set("b");

    ck_assert_uint_gt(b, a);
    ck_assert_int_ge(rep_log_open(rlog, &pos), 0);
    ck_assert_uint_gt(set("a"), b);
    ck_assert_uint_eq(a & 255, 3);
}
END_TEST

START_TEST(nothing_is_appended_without_a_reader)
{
    struct rep_log_stats st;
    uint64_t pos;
    int r;

    (void)set("a");
    (void)change(STORE_OP_FLUSH, NULL, 0, 0);
    rep_log_stats(rlog, &st);
    ck_assert_uint_eq(st.appended, 0);
    r = rep_log_open(rlog, &pos);
    (void)set("b");
    ck_assert_int_eq(rep_log_read(rlog, r, pos, &batch), REP_LOG_OK);
    ck_assert_str_eq(keys(), "b");
    rep_log_close(rlog, r);
    (void)set("c");
    rep_log_stats(rlog, &st);
    ck_assert_uint_eq(st.appended, 1);
    ck_assert_uint_eq(st.bytes, 64 * KIB);
}
END_TEST

START_TEST(entries_come_in_order_with_their_versions)
{
    uint64_t pos, va, vb, vf;
    int r = rep_log_open(rlog, &pos);

    va = set("a");
    vb = change(STORE_OP_DELETE, "b", 0, 0);
    vf = change(STORE_OP_FLUSH, NULL, 0, 0);
    ck_assert_int_eq(rep_log_read(rlog, r, pos, &batch), REP_LOG_OK);
    ck_assert_str_eq(keys(), "a b |");
    ck_assert_uint_eq(batch.entry[0].version, va);
    ck_assert_int_eq(batch.entry[0].op, STORE_OP_ITEM);
    ck_assert_uint_eq(batch.entry[0].hv, hash_key("a", 1));
    ck_assert_uint_eq(batch.entry[1].version, vb);
    ck_assert_int_eq(batch.entry[1].op, STORE_OP_DELETE);
    ck_assert_uint_eq(batch.entry[2].version, vf);
    ck_assert_int_eq(batch.entry[2].op, STORE_OP_FLUSH);
    ck_assert_uint_eq(batch.next, rep_log_head(rlog));
    ck_assert_int_eq(rep_log_read(rlog, r, batch.next, &batch), REP_LOG_END);
    ck_assert_uint_eq(batch.n, 0);
}
END_TEST

START_TEST(an_entry_tells_where_its_item_lay)
{
    const uint64_t places[] = {0, 1, UINT64_C(0x80ffeeddcc),
                               (UINT64_C(1) << 40) - 1};
    const char *names[] = {"a", "bb", "ccc", "dddd"};
    uint64_t pos;
    int reader = rep_log_open(rlog, &pos);

    for (int i = 0; i < 4; i++) {
        struct store_key key = store_key(names[i], strlen(names[i]));
        struct store_change c = {
            .op = STORE_OP_ITEM, .key = &key, .place = places[i]};

        (void)ob->change(ob->ctx, &c);
    }
    ck_assert_int_eq(rep_log_read(rlog, reader, pos, &batch), REP_LOG_OK);
    ck_assert_str_eq(keys(), "a bb ccc dddd");
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(batch.entry[i].place, places[i]);
    }
}
END_TEST

START_TEST(reading_again_from_an_entry_gives_it_again)
{
    uint64_t pos;
    int r = rep_log_open(rlog, &pos);

    (void)set("a");
    (void)set("bb");
    (void)set("ccc");
    ck_assert_int_eq(rep_log_read(rlog, r, pos, &batch), REP_LOG_OK);
    ck_assert_int_eq(rep_log_read(rlog, r, batch.entry[1].pos, &batch),
                     REP_LOG_OK);
    ck_assert_str_eq(keys(), "bb ccc");
}
END_TEST

START_TEST(repeats_are_sent_once_at_their_last_place)
{
    uint64_t pos, last;
    int r = rep_log_open(rlog, &pos);

    (void)set("a");
    (void)set("b");
    last = set("a");
    (void)change(STORE_OP_TOUCH, "b", 1, 0);
    ck_assert_int_eq(rep_log_read(rlog, r, pos, &batch), REP_LOG_OK);
    ck_assert_str_eq(keys(), "a b");
    ck_assert_uint_eq(batch.entry[0].version, last);
    /* More than a touch happened to b, and newer than the touch says. */
    ck_assert_int_eq(batch.entry[1].op, STORE_OP_ITEM);
    ck_assert_uint_gt(batch.entry[1].version, 1);
}
END_TEST

START_TEST(repeats_are_never_merged_across_a_flush)
{
    uint64_t pos;
    int r = rep_log_open(rlog, &pos);

    (void)set("a");
    (void)set("a");
    (void)change(STORE_OP_FLUSH, NULL, 0, 0);
    (void)set("a");
    ck_assert_int_eq(rep_log_read(rlog, r, pos, &batch), REP_LOG_OK);
    ck_assert_str_eq(keys(), "a | a");
}
END_TEST

START_TEST(many_keys_come_in_several_batches)
{
    uint64_t pos;
    unsigned total = 0;
    int r = rep_log_open(rlog, &pos);
    char name[32];

    set_numbered(0, 1500);
    while (rep_log_read(rlog, r, pos, &batch) == REP_LOG_OK) {
        for (unsigned i = 0; i < batch.n; i++) {
            (void)snprintf(name, sizeof(name), "key-%06u", total++);
            ck_assert_uint_eq(batch.entry[i].nkey, strlen(name));
            ck_assert(memcmp(batch.entry[i].key, name, strlen(name)) == 0);
        }
        pos = batch.next;
    }
    ck_assert_uint_eq(total, 1500);
}
END_TEST

/* Follows a small ring through hundreds of laps, keys of all lengths. */
START_TEST(reading_goes_on_across_the_end_of_the_ring)
{
    char name[KEY_MAX_LENGTH];
    uint64_t pos;
    int r = rep_log_open(rlog, &pos);

    for (unsigned i = 0; i < 20000; i++) {
        unsigned len = 1 + i * 7 % KEY_MAX_LENGTH;
        struct store_key key;
        struct store_change c = {.op = STORE_OP_ITEM, .key = &key};
        uint64_t v;

        memset(name, 'a' + (int)(i % 26), len);
        key = store_key(name, len);
        v = ob->change(ob->ctx, &c);
        if (i % 3 != 0) {
            continue; /* read several at a time */
        }
        do {
            ck_assert_int_eq(rep_log_read(rlog, r, pos, &batch), REP_LOG_OK);
            ck_assert_uint_ge(batch.n, 1);
            pos = batch.next;
        } while (pos < rep_log_head(rlog));
        ck_assert_uint_eq(batch.entry[batch.n - 1].version, v);
        ck_assert_uint_eq(batch.entry[batch.n - 1].nkey, len);
        ck_assert(memcmp(batch.entry[batch.n - 1].key, name, len) == 0);
        rep_log_ack(rlog, r, pos);
    }
    ck_assert_uint_gt(pos, 100 * REP_LOG_BYTES_MIN);
    ck_assert_uint_le(rep_log_head(rlog) - rep_log_oldest(rlog),
                      REP_LOG_BYTES_MIN);
}
END_TEST

START_TEST(a_reader_that_fell_behind_is_told_what_it_lost)
{
    uint64_t pos, first, lost;
    bool touched;
    int r = rep_log_open(rlog, &pos);

    first = set("first");
    ck_assert(!rep_log_take_lost(rlog, r, &lost, &touched));
    set_numbered(0, 1000);
    ck_assert_int_eq(rep_log_read(rlog, r, pos, &batch), REP_LOG_GONE);
    ck_assert(rep_log_take_lost(rlog, r, &lost, &touched));
    ck_assert_uint_eq(lost, first);
    ck_assert(!touched);
    ck_assert(!rep_log_take_lost(rlog, r, &lost, &touched));
    rep_log_put_lost(rlog, r, first, true);
    ck_assert(rep_log_take_lost(rlog, r, &lost, &touched));
    ck_assert_uint_eq(lost, first);
    ck_assert(touched);
    ck_assert_int_eq(rep_log_read(rlog, r, rep_log_oldest(rlog), &batch),
                     REP_LOG_OK);
}
END_TEST

START_TEST(what_was_acknowledged_is_not_lost)
{
    uint64_t pos, lost;
    struct rep_log_stats st;
    bool touched;
    int r = rep_log_open(rlog, &pos);

    (void)set("first");
    rep_log_ack(rlog, r, rep_log_head(rlog));
    for (int i = 0; i < 1000; i++) {
        set_numbered(i, i + 1);
        rep_log_ack(rlog, r, rep_log_head(rlog));
    }
    ck_assert(!rep_log_take_lost(rlog, r, &lost, &touched));
    rep_log_stats(rlog, &st);
    ck_assert_uint_eq(st.overwritten, 0);
    ck_assert_uint_eq(st.appended, 1001);
}
END_TEST

static void set_numbered_acked(int from, int to, int reader)
{
    for (int i = from; i < to; i++) {
        set_numbered(i, i + 1);
        ack_all(reader);
    }
}

/* Runs of peers that are away lose entries while others keep up. */
START_TEST(every_reader_is_told_what_it_lost_itself)
{
    uint64_t pos, lost, va, vb, vc;
    struct rep_log_stats st;
    bool touched;
    int a = rep_log_open(rlog, &pos);
    int up = rep_log_open(rlog, &pos);
    int b, c;

    va = set("a");
    set_numbered_acked(0, 500, up); /* a has lost */
    b = rep_log_open(rlog, &pos);
    vb = set("b");
    set_numbered_acked(0, 500, up); /* and b */
    c = rep_log_open(rlog, &pos);
    vc = set("c");
    (void)change(STORE_OP_TOUCH, "t", 3, 0);
    set_numbered_acked(0, 500, up); /* and c, and all a touch */
    ck_assert(rep_log_take_lost(rlog, a, &lost, &touched));
    ck_assert_uint_eq(lost, va);
    ck_assert(touched);
    ck_assert(rep_log_take_lost(rlog, b, &lost, &touched));
    ck_assert_uint_eq(lost, vb);
    ck_assert(touched);
    ck_assert(rep_log_take_lost(rlog, c, &lost, &touched));
    ck_assert_uint_eq(lost, vc);
    ck_assert(touched);
    ck_assert(!rep_log_take_lost(rlog, up, &lost, &touched));
    rep_log_stats(rlog, &st);
    ck_assert_uint_gt(st.overwritten, 1000);
    /* From the time it took on it loses anew. */
    vc = set("c");
    set_numbered(0, 500);
    ck_assert(rep_log_take_lost(rlog, c, &lost, &touched));
    ck_assert_uint_lt(lost, vc);
    ck_assert_uint_gt(lost, vb);
    ck_assert(!touched);
}
END_TEST

/* With relay the log is not in the order of versions. */
START_TEST(an_older_loss_after_a_newer_one_is_told)
{
    uint64_t pos, lost;
    bool touched;
    int a = rep_log_open(rlog, &pos);
    int b = rep_log_open(rlog, &pos);

    rep_log_set_relay(rlog, true);
    set_numbered(0, 100);
    (void)change(STORE_OP_ITEM, "old", 5, rep_log_source(b, 1));
    set_numbered(0, 1000);
    ck_assert(rep_log_take_lost(rlog, a, &lost, &touched));
    ck_assert_uint_eq(lost, 5);
    ck_assert(rep_log_take_lost(rlog, b, &lost, &touched));
    ck_assert_uint_gt(lost, 5);
}
END_TEST

START_TEST(a_reader_that_was_away_reads_on)
{
    uint64_t pos;
    int r = rep_log_open(rlog, &pos);

    (void)set("a");
    ck_assert_uint_eq(rep_log_acked(rlog, r), pos);
    ack_all(r);
    ck_assert_uint_eq(rep_log_acked(rlog, r), rep_log_head(rlog));
    /* Away: nobody reads, nobody is woken. */
    (void)set("b");
    (void)set("c");
    ck_assert_int_eq(wakes, 0);
    ck_assert_int_eq(rep_log_read(rlog, r, rep_log_acked(rlog, r), &batch),
                     REP_LOG_OK);
    ck_assert_str_eq(keys(), "b c");
    set_numbered(0, 1000);
    ck_assert_int_eq(rep_log_read(rlog, r, rep_log_acked(rlog, r), &batch),
                     REP_LOG_GONE);
}
END_TEST

START_TEST(what_arrived_after_it_was_overwritten_is_not_lost)
{
    uint64_t pos, lost, v;
    bool touched;
    int r = rep_log_open(rlog, &pos);

    (void)set("first");
    (void)change(STORE_OP_TOUCH, "t", 3, 0);
    pos = rep_log_head(rlog); /* read so far */
    set_numbered(0, 500);
    rep_log_ack(rlog, r, pos); /* but no further */
    ck_assert(rep_log_take_lost(rlog, r, &lost, &touched));
    rep_log_put_lost(rlog, r, lost, touched);
    ack_all(r);
    ck_assert(!rep_log_take_lost(rlog, r, &lost, &touched));
    ck_assert_uint_eq(low(r), version_last());
    v = set("second");
    set_numbered(0, 500);
    ck_assert(rep_log_take_lost(rlog, r, &lost, &touched));
    ck_assert_uint_eq(lost, v);
    ck_assert(!touched);
}
END_TEST

START_TEST(a_lost_touch_sets_the_flag_only)
{
    uint64_t pos, lost, second;
    bool touched;
    int r = rep_log_open(rlog, &pos);

    (void)change(STORE_OP_TOUCH, "t", 5, 0);
    second = set("second");
    set_numbered(0, 1000);
    ck_assert(rep_log_take_lost(rlog, r, &lost, &touched));
    ck_assert(touched);
    ck_assert_uint_eq(lost, second);
}
END_TEST

START_TEST(a_peers_own_changes_do_not_go_back_to_it)
{
    uint64_t pos_a, pos_b, lost;
    bool touched;
    int a = rep_log_open(rlog, &pos_a);
    int b = rep_log_open(rlog, &pos_b);

    ck_assert_int_ne(a, b);
    /* Without relay: not appended at all. */
    (void)change(STORE_OP_ITEM, "x", 77, (uint32_t)a + 1);
    ck_assert_uint_eq(rep_log_head(rlog), pos_a);
    rep_log_set_relay(rlog, true);
    ck_assert_uint_eq(change(STORE_OP_ITEM, "x", 78, (uint32_t)a + 1), 78);
    ck_assert_int_eq(rep_log_read(rlog, a, pos_a, &batch), REP_LOG_OK);
    ck_assert_str_eq(keys(), "");
    ck_assert_int_eq(rep_log_read(rlog, b, pos_b, &batch), REP_LOG_OK);
    ck_assert_str_eq(keys(), "x");
    /* Nor is it lost to it when overwritten. */
    rep_log_ack(rlog, b, rep_log_head(rlog));
    for (int i = 0; i < 1000; i++) {
        (void)change(STORE_OP_ITEM, "x", 79, (uint32_t)a + 1);
        rep_log_ack(rlog, b, rep_log_head(rlog));
    }
    ck_assert(!rep_log_take_lost(rlog, a, &lost, &touched));
}
END_TEST

START_TEST(hops_travel_with_a_change)
{
    uint64_t pos;
    int a = rep_log_open(rlog, &pos);
    int b = rep_log_open(rlog, &pos);
    int r = rep_log_open(rlog, &pos);

    rep_log_set_relay(rlog, true);
    (void)change(STORE_OP_ITEM, "x", 78, rep_log_source(a, 3));
    (void)change(STORE_OP_ITEM, "y", 79, rep_log_source(a, 255));
    (void)change(STORE_OP_ITEM, "x", 80, rep_log_source(b, 2));
    (void)change(STORE_OP_ITEM, "x", 81, rep_log_source(b, 4));
    (void)set("z");
    ck_assert_int_eq(rep_log_read(rlog, r, pos, &batch), REP_LOG_OK);
    ck_assert_str_eq(keys(), "y x z");
    ck_assert_uint_eq(batch.entry[0].hops, 255);
    ck_assert_uint_eq(batch.entry[0].source, (unsigned)a + 1);
    ck_assert_uint_eq(batch.entry[1].hops, 2);
    ck_assert_uint_eq(batch.entry[1].version, 81);
    ck_assert_uint_eq(batch.entry[2].hops, 0);
    ck_assert_uint_eq(batch.entry[2].source, 0);
    /* What came from it is left out before anything is merged. */
    ck_assert_int_eq(rep_log_read(rlog, b, pos, &batch), REP_LOG_OK);
    ck_assert_str_eq(keys(), "x y z");
    ck_assert_uint_eq(batch.entry[0].hops, 3);
}
END_TEST

/* The table that finds repeats is never cleared: what an earlier batch left
 * must not be taken for this one's. */
START_TEST(repeats_are_those_of_the_batch)
{
    uint64_t pos;
    int r = rep_log_open(rlog, &pos);

    for (int lap = 0; lap < 50; lap++) {
        unsigned n = 0;

        set_numbered(lap, lap + 100);
        set_numbered(lap + 50, lap + 150);
        ck_assert_int_eq(rep_log_read(rlog, r, pos, &batch), REP_LOG_OK);
        ck_assert_uint_eq(batch.n, 150);
        for (unsigned i = 0; i < batch.n; i++) {
            char name[32];

            (void)snprintf(name, sizeof(name), "key-%06d", lap + (int)n++);
            ck_assert(memcmp(batch.entry[i].key, name, 10) == 0);
        }
        pos = batch.next;
    }
}
END_TEST

START_TEST(a_resend_goes_to_one_reader)
{
    uint64_t pos_a, pos_b;
    int a = rep_log_open(rlog, &pos_a);
    int b = rep_log_open(rlog, &pos_b);
    struct store_key key = store_key("k", 1);

    rep_log_resend(rlog, b, &key, 55, 0);
    ck_assert_int_eq(rep_log_read(rlog, a, pos_a, &batch), REP_LOG_OK);
    ck_assert_str_eq(keys(), "");
    ck_assert_int_eq(rep_log_read(rlog, b, pos_b, &batch), REP_LOG_OK);
    ck_assert_str_eq(keys(), "k");
    ck_assert_uint_eq(batch.entry[0].version, 55);
}
END_TEST

START_TEST(applied_changes_keep_their_version_and_move_the_clock)
{
    uint64_t ahead = version_at_ms(clock_ms() + 5000);

    ck_assert_uint_eq(change(STORE_OP_ITEM, "x", ahead, 1), ahead);
    ck_assert_uint_gt(set("y"), ahead);
    (void)change(STORE_OP_DELETE, "z", ahead + (1U << 20), 1);
    ck_assert_uint_gt(set("y"), ahead + (1U << 20));
}
END_TEST

START_TEST(deletes_leave_floors)
{
    uint64_t v = change(STORE_OP_DELETE, "gone", 0, 0);

    ck_assert_uint_eq(ob->floor(ob->ctx, "other", 5), 0);
    (void)change(STORE_OP_DELETE, "gone", v - 1, 1);
    ck_assert_uint_eq(ob->floor(ob->ctx, "gone", 4), v);
    (void)change(STORE_OP_DELETE, "gone", v + 1, 1);
    ck_assert_uint_eq(rep_floor_get(floors, hash_key_agreed("gone", 4)), v + 1);
}
END_TEST

START_TEST(removals_leave_floors_unless_all_have_acknowledged_them)
{
    ob->removed(ob->ctx, "a", 1, 1000);
    ck_assert_uint_eq(ob->floor(ob->ctx, "a", 1), 1000);
    ck_assert_uint_eq(rep_floor_past(floors, 5), 0);
    rep_log_set_low(rlog, 2000);
    ob->removed(ob->ctx, "b", 1, 1999);
    ck_assert_uint_eq(ob->floor(ob->ctx, "b", 1), 0);
    ck_assert_uint_ge(rep_floor_past(floors, 5), 1999);
    ob->removed(ob->ctx, "b", 1, 2000);
    ck_assert_uint_eq(ob->floor(ob->ctx, "b", 1), 2000);
}
END_TEST

START_TEST(a_new_reader_has_acknowledged_nothing)
{
    uint64_t pos;
    int r;

    rep_log_set_low(rlog, 2000);
    ob->removed(ob->ctx, "a", 1, 1000);
    r = rep_log_open(rlog, &pos);
    /* It may hold what left no floor before it came. */
    ck_assert_uint_ge(rep_floor_missed(floors, r, 0), 1000);
    /* From now on removals leave one. */
    ck_assert_uint_eq(rep_log_low(rlog, r), 0);
    ob->removed(ob->ctx, "b", 1, 1000);
    ck_assert_uint_eq(ob->floor(ob->ctx, "b", 1), 1000);
}
END_TEST

/* To the segment of the log: all that is acknowledged up to there. */
START_TEST(low_is_at_most_the_least_version_not_acknowledged)
{
    uint64_t pos, first, second, mark, lost;
    bool touched;
    int r = rep_log_open(rlog, &pos);

    first = set("first");
    ck_assert_uint_eq(rep_log_low(rlog, r), 0);
    ck_assert_uint_eq(low(r), first);
    set_numbered(0, 100);
    ck_assert_uint_eq(low(r), first);
    ck_assert_int_eq(rep_log_read(rlog, r, pos, &batch), REP_LOG_OK);
    rep_log_ack(rlog, r, batch.entry[50].pos);
    mark = low(r);
    ck_assert_uint_le(mark, batch.entry[50].version);
    ck_assert_uint_gt(mark, batch.entry[40].version);
    rep_log_ack(rlog, r, rep_log_head(rlog));
    mark = low(r);
    ck_assert_uint_eq(mark, version_last());
    /* What comes is newer: it does not fall. A touch changes no version. */
    (void)change(STORE_OP_TOUCH, "first", first, 0);
    second = set("second");
    ck_assert_uint_ge(low(r), mark);
    ck_assert_uint_le(low(r), second);
    /* What is lost is not acknowledged. */
    set_numbered(0, 1000);
    ck_assert_uint_ge(low(r), mark);
    ck_assert_uint_le(low(r), second);
    ck_assert(rep_log_take_lost(rlog, r, &lost, &touched));
    ck_assert_uint_eq(lost, second);
}
END_TEST

START_TEST(low_rises_lap_after_lap)
{
    /* Longer than a segment: those without a record must not hold it back. */
    char name[KEY_MAX_LENGTH + 1] = {0};
    uint64_t pos, v[3] = {0};
    int r = rep_log_open(rlog, &pos);

    memset(name, 'k', KEY_MAX_LENGTH);
    for (int i = 0; i < 2000; i++) {
        v[i % 3] = set(name);
        (void)set("b");
        ck_assert_uint_le(low(r), v[i % 3]);
        ck_assert_uint_ge(low(r), v[(i + 2) % 3]);
        ack_all(r);
    }
    ck_assert_uint_eq(low(r), version_last());
}
END_TEST

START_TEST(low_falls_when_an_older_change_is_on_its_way)
{
    struct store_key key = store_key("k", 1);
    uint64_t pos, va, vb;
    int a = rep_log_open(rlog, &pos);
    int b = rep_log_open(rlog, &pos);
    int fresh = rep_log_open(rlog, &pos);

    rep_log_set_relay(rlog, true);
    va = set("a");
    vb = set("b");
    rep_log_ack(rlog, a, rep_log_head(rlog));
    rep_log_ack(rlog, b, rep_log_head(rlog));
    ck_assert_uint_eq(low(a), vb);
    ck_assert_uint_eq(low(b), vb);
    rep_log_set_low(rlog, vb);
    /* Relayed from a to b. It may be gone before the mark is told anew. */
    (void)change(STORE_OP_ITEM, "x", va, rep_log_source(a, 1));
    ck_assert_uint_eq(rep_log_low(rlog, a), vb);
    ck_assert_uint_eq(rep_log_low(rlog, b), va);
    ck_assert_uint_eq(rep_log_low(rlog, fresh), 0);
    ob->removed(ob->ctx, "x", 1, va);
    ck_assert_uint_eq(ob->floor(ob->ctx, "x", 1), va);
    ck_assert_uint_eq(low(b), va);
    rep_log_ack(rlog, b, rep_log_head(rlog));
    ck_assert_uint_eq(low(b), vb);
    /* An old floor of our own goes to all, but a touch changes no version. */
    (void)change(STORE_OP_TOUCH, "t", 5, 0);
    ck_assert_uint_eq(rep_log_low(rlog, a), vb);
    (void)change(STORE_OP_DELETE, "d", va, 0);
    ck_assert_uint_eq(rep_log_low(rlog, a), va);
    ck_assert_uint_eq(rep_log_low(rlog, b), va);
    rep_log_ack(rlog, a, rep_log_head(rlog));
    rep_log_ack(rlog, b, rep_log_head(rlog));
    ck_assert_uint_eq(low(a), vb);
    ck_assert_uint_eq(low(b), vb);
    /* Sent again, to one. */
    rep_log_resend(rlog, a, &key, 44, 0);
    ck_assert_uint_eq(low(a), 44);
    ck_assert_uint_eq(rep_log_low(rlog, b), vb);
    rep_log_ack(rlog, a, rep_log_head(rlog));
    ck_assert_uint_eq(low(a), vb);
}
END_TEST

START_TEST(the_floors_know_the_low_mark_of_a_reader)
{
    uint64_t pos, v = set("a");
    int r = rep_log_open(rlog, &pos);
    unsigned cell = rep_floor_cell(floors, 1);

    ck_assert_uint_eq(low(r), v);
    /* A line of four: each more drops the least. */
    for (uint64_t i = 0; i < 5; i++) {
        (void)rep_floor_raise(floors, i, v - 9 + i);
    }
    ck_assert_uint_eq(rep_floor_past(floors, cell), v - 9);
    ck_assert_uint_eq(rep_floor_missed(floors, r, cell), 0);
    for (uint64_t i = 0; i < 5; i++) {
        (void)rep_floor_raise(floors, 10 + i, v + i);
    }
    ck_assert_uint_eq(rep_floor_missed(floors, r, cell), v);
    rep_log_close(rlog, r);
    (void)rep_floor_raise(floors, 20, v + 9);
    ck_assert_uint_eq(rep_floor_past(floors, cell), v + 1);
    ck_assert_uint_eq(rep_floor_missed(floors, r, cell), v);
}
END_TEST

START_TEST(wake_is_called_once_and_only_when_asked)
{
    uint64_t pos;
    int r = rep_log_open(rlog, &pos);

    (void)set("a");
    ck_assert_int_eq(wakes, 0);
    ck_assert(!rep_log_sleep(rlog, pos)); /* there is something to read */
    (void)set("b");
    ck_assert_int_eq(wakes, 0);
    ck_assert(rep_log_sleep(rlog, rep_log_head(rlog)));
    (void)set("c");
    (void)set("d");
    ck_assert_int_eq(wakes, 1);
    ck_assert_int_eq(rep_log_read(rlog, r, pos, &batch), REP_LOG_OK);
    ck_assert_str_eq(keys(), "a b c d");
    ck_assert_uint_eq(rep_log_behind(rlog, pos), batch.next - pos);
    ck_assert_uint_eq(rep_log_behind(rlog, batch.next), 0);
}
END_TEST

static void *write_some(void *arg)
{
    char name[32];
    uint64_t last = 0;

    for (int i = 0; i < SETS; i++) {
        uint64_t v;

        (void)snprintf(name, sizeof(name), "%s-%d", (const char *)arg, i);
        v = set(name);
        ck_assert_uint_gt(v, last);
        last = v;
        ob->removed(ob->ctx, name, strlen(name), v);
    }
    return NULL;
}

/* Nothing is lost but what is told, and log order is version order. */
START_TEST(workers_append_while_others_read)
{
    pthread_t worker[2];
    uint64_t pos, away, last = 0, lost, taken = 0;
    bool touched;
    int r = rep_log_open(rlog, &pos);
    int gone = rep_log_open(rlog, &away);
    struct rep_log_stats st = {0};

    ck_assert_int_eq(pthread_create(&worker[0], NULL, write_some, "a"), 0);
    ck_assert_int_eq(pthread_create(&worker[1], NULL, write_some, "b"), 0);
    while (st.appended < 2 * SETS || pos < rep_log_head(rlog)) {
        if (rep_log_read(rlog, r, pos, &batch) == REP_LOG_GONE) {
            bool told = pos < taken; /* with what was lost before */

            pos = rep_log_oldest(rlog);
            told |= rep_log_take_lost(rlog, r, &lost, &touched);
            taken = rep_log_oldest(rlog);
            ck_assert(told);
        }
        for (unsigned i = 0; i < batch.n; i++) {
            ck_assert_uint_gt(batch.entry[i].version, last);
            last = batch.entry[i].version;
        }
        pos = batch.n > 0 ? batch.next : pos;
        rep_log_ack(rlog, r, pos);
        rep_log_set_low(rlog, rep_log_raise_low(rlog, r));
        ck_assert_uint_le(rep_log_low(rlog, r), version_last());
        rep_log_stats(rlog, &st);
    }
    ck_assert_int_eq(pthread_join(worker[0], NULL), 0);
    ck_assert_int_eq(pthread_join(worker[1], NULL), 0);
    ck_assert_uint_eq(last, version_last());
    ck_assert(rep_log_take_lost(rlog, gone, &lost, &touched));
    ck_assert_uint_eq(rep_log_acked(rlog, gone), away);
}
END_TEST

START_TEST(readers_are_limited_and_come_back)
{
    uint64_t pos;
    int last = -1;

    for (int i = 0; i < REP_LOG_READERS; i++) {
        last = rep_log_open(rlog, &pos);
        ck_assert_int_ge(last, 0);
    }
    ck_assert_int_eq(rep_log_open(rlog, &pos), -1);
    rep_log_close(rlog, 5);
    ck_assert_int_eq(rep_log_open(rlog, &pos), 5);
}
END_TEST

START_TEST(a_position_never_written_is_gone)
{
    uint64_t pos;
    int r = rep_log_open(rlog, &pos);

    (void)set("a");
    ck_assert_int_eq(rep_log_read(rlog, r, rep_log_head(rlog) + 1, &batch),
                     REP_LOG_GONE);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("log");
    TCase *t = tcase_create("log");
    TCase *ring = tcase_create("ring");
    TCase *few = tcase_create("few floors");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, versions_rise_with_and_without_readers);
    tcase_add_test(t, nothing_is_appended_without_a_reader);
    tcase_add_test(t, entries_come_in_order_with_their_versions);
    tcase_add_test(t, an_entry_tells_where_its_item_lay);
    tcase_add_test(t, reading_again_from_an_entry_gives_it_again);
    tcase_add_test(t, repeats_are_sent_once_at_their_last_place);
    tcase_add_test(t, repeats_are_never_merged_across_a_flush);
    tcase_add_test(t, many_keys_come_in_several_batches);
    tcase_add_test(t, hops_travel_with_a_change);
    tcase_add_test(t, repeats_are_those_of_the_batch);
    tcase_add_test(t, a_resend_goes_to_one_reader);
    tcase_add_test(t, applied_changes_keep_their_version_and_move_the_clock);
    tcase_add_test(t, deletes_leave_floors);
    tcase_add_test(t, removals_leave_floors_unless_all_have_acknowledged_them);
    tcase_add_test(t, a_new_reader_has_acknowledged_nothing);
    tcase_add_test(t, low_falls_when_an_older_change_is_on_its_way);
    tcase_add_test(t, wake_is_called_once_and_only_when_asked);
    tcase_add_test(t, readers_are_limited_and_come_back);
    tcase_add_test(t, a_position_never_written_is_gone);
    suite_add_tcase(s, ring);
    tcase_add_checked_fixture(ring, setup_small, teardown);
    tcase_add_test(ring, reading_goes_on_across_the_end_of_the_ring);
    tcase_add_test(ring, a_reader_that_fell_behind_is_told_what_it_lost);
    tcase_add_test(ring, what_was_acknowledged_is_not_lost);
    tcase_add_test(ring, a_lost_touch_sets_the_flag_only);
    tcase_add_test(ring, a_peers_own_changes_do_not_go_back_to_it);
    tcase_add_test(ring, every_reader_is_told_what_it_lost_itself);
    tcase_add_test(ring, what_arrived_after_it_was_overwritten_is_not_lost);
    tcase_add_test(ring, an_older_loss_after_a_newer_one_is_told);
    tcase_add_test(ring, a_reader_that_was_away_reads_on);
    tcase_add_test(ring, low_is_at_most_the_least_version_not_acknowledged);
    tcase_add_test(ring, low_rises_lap_after_lap);
    tcase_add_test(ring, workers_append_while_others_read);
    suite_add_tcase(s, few);
    tcase_add_checked_fixture(few, setup_few_floors, teardown);
    tcase_add_test(few, the_floors_know_the_low_mark_of_a_reader);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
