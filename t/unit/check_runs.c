/* Unit tests of rep/runs: records of runs, and the low marks they lead to. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/runs.h"

static struct rep_floor *floors;
static struct rep_log *rlog;
static const struct store_observer *ob;
static struct rep_runs *runs;

static void start(unsigned expected)
{
    clock_freeze(1800000000000ULL);
    version_init(VERSION_HYBRID, 3);
    hash_init();
    floors = rep_floor_new(MIB);
    rlog = rep_log_new(64 * KIB, floors);
    ob = rep_log_observer(rlog);
    runs = rep_runs_new(rlog, expected);
    ck_assert_ptr_nonnull(runs);
}

static void setup(void)
{
    start(0); /* one at least */
}

static void setup_three(void)
{
    start(3);
}

static void teardown(void)
{
    rep_runs_free(runs);
    rep_log_free(rlog);
    rep_floor_free(floors);
}

static uint64_t change(const char *name, uint64_t version, uint32_t source)
{
    struct store_key key = store_key(name, strlen(name));
    struct store_change c = {
        .op = STORE_OP_ITEM, .key = &key, .version = version, .source = source};

    return ob->change(ob->ctx, &c);
}

static uint64_t set(const char *name)
{
    return change(name, 0, 0);
}

/* Whether a removal leaves a floor: it does unless all have acknowledged it. */
static bool leaves_floor(uint64_t version)
{
    static unsigned n;
    char name[32];
    size_t len = (size_t)snprintf(name, sizeof(name), "removed-%u", n++);

    ob->removed(ob->ctx, name, len, version);
    return ob->floor(ob->ctx, name, len) == version;
}

static struct rep_run *meet(uint64_t run, uint64_t node)
{
    struct rep_run *r = rep_runs_meet(runs, run, 0, node);

    ck_assert_ptr_nonnull(r);
    ck_assert(r->linked);
    ck_assert_uint_eq(r->run, run);
    ck_assert_uint_eq(r->node, node);
    return r;
}

static void ack(const struct rep_run *r)
{
    rep_log_ack(rlog, r->reader, rep_log_head(rlog));
}

/* Meets a run that settles and has acknowledged everything, a set included. */
static struct rep_run *meet_settled(uint64_t run, uint64_t node)
{
    struct rep_run *r = meet(run, node);

    rep_runs_settled(runs, r);
    (void)set("met");
    ack(r);
    rep_runs_move(runs);
    return r;
}

START_TEST(a_new_run_has_nothing)
{
    struct rep_run *r;

    (void)set("a");
    rep_log_set_low(rlog, 2000);
    ob->removed(ob->ctx, "x", 1, 1999);
    r = meet(7, 70);
    ck_assert(!r->legacy);
    ck_assert(!r->known);
    ck_assert(!r->scan.owed);
    ck_assert_uint_eq(r->scan.before, UINT64_MAX);
    ck_assert_uint_eq(r->processed, 0);
    ck_assert_uint_eq(r->low, 0);
    ck_assert_uint_eq(r->acked, rep_log_head(rlog));
    ck_assert_uint_eq(rep_log_acked(rlog, r->reader), rep_log_head(rlog));
    /* It begins with what is past. */
    ck_assert_uint_ge(rep_floor_missed(floors, r->reader, 9), 1999);
}
END_TEST

START_TEST(a_run_that_comes_back_has_its_record)
{
    struct rep_run *r = meet(7, 70);
    struct rep_run *other = meet(8, 80);
    int reader = r->reader;
    uint64_t at = rep_log_head(rlog);

    ck_assert_ptr_ne(r, other);
    ck_assert_int_ne(reader, other->reader);
    r->known = true;
    r->processed = 55;
    r->scan.owed = true;
    r->scan.threshold = 44;
    rep_runs_part(runs, r);
    ck_assert(!r->linked);
    (void)set("a");
    ck_assert_ptr_eq(meet(7, 71), r); /* it may have moved */
    ck_assert_int_eq(r->reader, reader);
    ck_assert(r->known);
    ck_assert_uint_eq(r->processed, 55);
    ck_assert_uint_eq(r->scan.threshold, 44);
    ck_assert_uint_eq(rep_log_acked(rlog, reader), at);
}
END_TEST

START_TEST(a_run_is_linked_once)
{
    struct rep_run *r = meet(7, 70);

    ck_assert_ptr_null(rep_runs_meet(runs, 7, 0, 70));
    ck_assert(r->linked);
    rep_runs_part(runs, r);
    ck_assert_ptr_eq(meet(7, 70), r);
}
END_TEST

START_TEST(low_is_0_until_a_run_has_settled)
{
    struct rep_run *r = meet(7, 70);
    uint64_t v = set("a");

    ack(r);
    rep_runs_move(runs);
    ck_assert_uint_eq(r->low, 0);
    ck_assert(leaves_floor(v - 1));
    rep_runs_settled(runs, r);
    rep_runs_move(runs);
    ck_assert_uint_eq(r->low, v);
    ck_assert(!leaves_floor(v - 1));
    ck_assert(leaves_floor(v));
}
END_TEST

START_TEST(low_rises_with_acknowledgements_and_never_falls)
{
    struct rep_run *r = meet_settled(7, 70);
    uint64_t low = r->low;
    uint64_t v = 0;

    for (int i = 0; i < 10000; i++) {
        v = set("a");
        rep_runs_move(runs);
        ck_assert_uint_ge(r->low, low);
        ck_assert_uint_le(r->low, v);
        low = r->low;
        if (i % 7 == 0) {
            ack(r);
            rep_runs_move(runs);
            ck_assert_uint_eq(r->low, v);
            ck_assert(!leaves_floor(v - 1));
            low = v;
        }
    }
}
END_TEST

START_TEST(low_stays_while_a_scan_is_owed)
{
    struct rep_run *r = meet_settled(7, 70);
    uint64_t low = r->low;
    uint64_t v = set("a");

    r->scan.owed = true;
    ack(r);
    rep_runs_move(runs);
    ck_assert_uint_eq(r->low, low);
    r->scan.owed = false;
    rep_runs_move(runs);
    ck_assert_uint_eq(r->low, v);
}
END_TEST

START_TEST(low_stays_while_away)
{
    struct rep_run *r = meet_settled(7, 70);
    uint64_t low = r->low;
    uint64_t v;

    rep_runs_part(runs, r);
    for (int i = 0; i < 10000; i++) { /* several laps of the log */
        v = set("a");
    }
    rep_runs_move(runs);
    ck_assert_uint_eq(r->low, low);
    ck_assert(leaves_floor(v));
    ck_assert(!leaves_floor(low - 1));
    ck_assert_ptr_eq(meet(7, 70), r);
    rep_runs_move(runs);
    ck_assert_uint_ge(r->low, low);
    ck_assert_uint_le(r->low, v - 9999 * (1 << VERSION_SLOT_BITS));
}
END_TEST

START_TEST(the_least_low_of_all_counts)
{
    struct rep_run *a = meet_settled(7, 70);
    struct rep_run *b = meet_settled(8, 80);
    struct rep_run *c;
    uint64_t old = version_last();
    uint64_t v = set("a");

    ack(a);
    ack(b);
    rep_runs_move(runs);
    ck_assert(!leaves_floor(v - 1));
    rep_runs_part(runs, b);
    v = set("b");
    ack(a);
    rep_runs_move(runs);
    ck_assert_uint_eq(a->low, v);
    ck_assert_uint_gt(b->low, old);
    ck_assert_uint_lt(b->low, v);
    ck_assert(leaves_floor(v - 1));
    ck_assert(!leaves_floor(old));
    /* One that has not settled has acknowledged nothing. */
    c = meet(9, 90);
    ck_assert(leaves_floor(old)); /* at once */
    rep_runs_move(runs);
    ck_assert(leaves_floor(old));
    rep_runs_part(runs, c);
    rep_runs_move(runs);
    ck_assert(leaves_floor(old));
}
END_TEST

START_TEST(an_older_change_to_a_run_that_is_away_lowers_its_mark)
{
    struct rep_run *a = meet_settled(7, 70);
    struct rep_run *b = meet_settled(8, 80);
    uint64_t old, v;

    rep_log_set_relay(rlog, true);
    old = set("a");
    v = set("b");
    ack(a);
    ack(b);
    rep_runs_move(runs);
    rep_runs_part(runs, b);
    ck_assert(!leaves_floor(v - 1));
    (void)change("c", old, rep_log_source(a->reader, 1));
    ck_assert(leaves_floor(old)); /* at once */
    rep_runs_move(runs);
    ck_assert(leaves_floor(old));
    ck_assert_uint_eq(a->low, v);
    ck_assert_uint_eq(b->low, old);
}
END_TEST

START_TEST(nodes_that_are_expected_have_to_be_met)
{
    struct rep_run *a = meet_settled(7, 70);
    uint64_t v = version_last();
    struct rep_run *b, *c;

    ck_assert_uint_eq(a->low, v);
    ck_assert(leaves_floor(v - 1));
    /* Another run of one node is no other node. */
    rep_runs_part(runs, a);
    b = meet_settled(8, 70);
    c = meet_settled(9, 90);
    ck_assert(leaves_floor(v - 1));
    (void)meet_settled(10, 100);
    ck_assert(!leaves_floor(v - 1));
    /* They were met, and are remembered. */
    rep_runs_part(runs, b);
    rep_runs_part(runs, c);
    rep_runs_move(runs);
    ck_assert(!leaves_floor(v - 1));
}
END_TEST

START_TEST(settling_forgets_earlier_runs_of_the_node)
{
    struct rep_run *old = meet_settled(7, 70);
    struct rep_run *other = meet(8, 80);
    struct rep_run *twin = meet(9, 70);
    struct rep_run *now;
    uint64_t v;

    rep_runs_settled(runs, other);
    rep_runs_part(runs, old);
    rep_runs_part(runs, other);
    now = meet(10, 70);
    ck_assert_ptr_ne(now, old);
    v = set("a");
    rep_runs_move(runs);
    ck_assert_uint_gt(old->low, 0); /* not yet */
    ck_assert_int_ge(old->reader, 0);
    rep_runs_settled(runs, now);
    ck_assert_int_lt(old->reader, 0);
    ck_assert_int_ge(other->reader, 0);
    ck_assert_int_ge(twin->reader, 0); /* it is linked */
    rep_runs_part(runs, twin);
    rep_runs_settled(runs, now);
    ck_assert_int_lt(twin->reader, 0);
    ck_assert_ptr_eq(meet(8, 80), other);
    ack(now);
    ack(other);
    rep_runs_move(runs);
    ck_assert(!leaves_floor(v - 1));
    /* Had it come back, it would have been a new one. */
    ck_assert_uint_eq(meet(7, 70)->low, 0);
}
END_TEST

START_TEST(a_legacy_peer_counts_with_0_for_good)
{
    struct rep_run *a = meet_settled(7, 70);
    struct rep_run *l = rep_runs_meet_legacy(runs, 80);
    uint64_t v = version_last();

    ck_assert_ptr_nonnull(l);
    ck_assert(l->legacy);
    ck_assert(l->linked);
    ck_assert_uint_eq(l->run, 0);
    ck_assert_int_ge(l->reader, 0);
    rep_runs_settled(runs, l);
    ack(a);
    ack(l);
    rep_runs_move(runs);
    ck_assert_uint_eq(l->low, 0);
    ck_assert(leaves_floor(v - 1));
    ck_assert_int_ge(a->reader, 0);
    /* It has no run to come back as. */
    rep_runs_part(runs, l);
    ck_assert_int_lt(l->reader, 0);
    rep_runs_move(runs);
    ck_assert_uint_gt(a->low, 0);
    ck_assert(leaves_floor(v - 1));
}
END_TEST

START_TEST(the_one_away_for_longest_makes_room)
{
    struct rep_run *r[REP_RUNS];

    for (unsigned i = 0; i < REP_RUNS; i++) {
        r[i] = meet(100 + i, i);
    }
    ck_assert_ptr_null(rep_runs_meet(runs, 7, 0, 70));
    ck_assert_ptr_null(rep_runs_meet_legacy(runs, 70));
    rep_runs_part(runs, r[3]);
    rep_runs_part(runs, r[5]);
    rep_runs_part(runs, r[4]);
    ck_assert_ptr_eq(meet(103, 3), r[3]); /* linked again: the newest */
    rep_runs_part(runs, r[3]);
    ck_assert_ptr_eq(meet(7, 70), r[4]);
    ck_assert_ptr_eq(meet(8, 80), r[5]);
    ck_assert_ptr_eq(meet(103, 3), r[3]);
    ck_assert_ptr_null(rep_runs_meet(runs, 104, 0, 4)); /* forgotten */
}
END_TEST

START_TEST(a_run_that_was_forgotten_has_missed_what_left_no_floor)
{
    struct rep_run *r = meet_settled(7, 70);
    struct rep_run *last = NULL;
    uint64_t v = set("a");

    ack(r);
    rep_runs_part(runs, r);
    for (unsigned i = 0; i < REP_RUNS; i++) {
        last = meet_settled(100 + i, i);
    }
    ck_assert(!leaves_floor(v - 1));
    ck_assert_uint_lt(rep_floor_missed(floors, last->reader, 0), v - 1);
    rep_runs_part(runs, last);
    r = meet(7, 70);
    ck_assert(!r->settled);
    ck_assert_uint_ge(rep_floor_missed(floors, r->reader, 0), v - 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("runs");
    TCase *t = tcase_create("runs");
    TCase *three = tcase_create("three");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_new_run_has_nothing);
    tcase_add_test(t, a_run_that_comes_back_has_its_record);
    tcase_add_test(t, a_run_is_linked_once);
    tcase_add_test(t, low_is_0_until_a_run_has_settled);
    tcase_add_test(t, low_rises_with_acknowledgements_and_never_falls);
    tcase_add_test(t, low_stays_while_a_scan_is_owed);
    tcase_add_test(t, low_stays_while_away);
    tcase_add_test(t, the_least_low_of_all_counts);
    tcase_add_test(t, an_older_change_to_a_run_that_is_away_lowers_its_mark);
    tcase_add_test(t, settling_forgets_earlier_runs_of_the_node);
    tcase_add_test(t, a_legacy_peer_counts_with_0_for_good);
    tcase_add_test(t, the_one_away_for_longest_makes_room);
    tcase_add_test(t, a_run_that_was_forgotten_has_missed_what_left_no_floor);
    suite_add_tcase(s, three);
    tcase_add_checked_fixture(three, setup_three, teardown);
    tcase_add_test(three, nodes_that_are_expected_have_to_be_met);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
