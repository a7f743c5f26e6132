/* Unit tests of rep/keep, and of what it restores in floor, log and runs. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/keep.h"

enum { NODE = 70, PEER = 7, OTHER = 8, SAVED_MAX = 200000 };

static struct rep_keep k;
static const struct store_observer *ob;
static uint8_t saved[SAVED_MAX];
static size_t nsaved, room;

static void make(void)
{
    k = (struct rep_keep){.floors = rep_floor_new(64 * KIB)};
    k.log = rep_log_new(64 * KIB, k.floors);
    k.runs = rep_runs_new(k.log, 0);
    ck_assert_ptr_nonnull(k.runs);
    ob = rep_log_observer(k.log);
}

static void drop(void)
{
    rep_runs_free(k.runs);
    rep_log_free(k.log);
    rep_floor_free(k.floors);
}

static void setup(void)
{
    clock_freeze(1800000000000ULL);
    version_init(VERSION_HYBRID, 3);
    hash_init();
    room = SAVED_MAX;
    make();
}

static bool put(const void *p, size_t n)
{
    if (nsaved + n > room) {
        return false;
    }
    memcpy(saved + nsaved, p, n);
    nsaved += n;
    return true;
}

static bool load(size_t n)
{
    return rep_keep_load(&k, saved, n);
}

/* Another life. */
static void again(void)
{
    nsaved = 0;
    k.run = 99;
    k.unlinked_since = 5;
    ck_assert(rep_keep_save(&k, put));
    drop();
    make();
    ck_assert(load(nsaved));
    ck_assert_uint_eq(k.run, 99);
    ck_assert_uint_eq(k.unlinked_since, 5);
}

static uint64_t set(const char *name, enum store_op op)
{
    struct store_key key = store_key(name, strlen(name));
    struct store_change c = {.op = op, .key = &key};

    return ob->change(ob->ctx, &c);
}

static struct rep_run *meet(uint64_t run, uint64_t was)
{
    struct rep_run *r = rep_runs_meet(k.runs, run, was, NODE);

    ck_assert_ptr_nonnull(r);
    return r;
}

/* A run that has its copy, and acknowledged all there is. */
static struct rep_run *settle(uint64_t run)
{
    struct rep_run *r = meet(run, 0);

    r->known = true;
    r->processed = 1234;
    r->told[5] = 55;
    r->acked = rep_log_head(k.log);
    rep_log_ack(k.log, r->reader, r->acked);
    rep_runs_settled(k.runs, r);
    rep_runs_move(k.runs);
    return r;
}

START_TEST(a_run_that_has_all_is_owed_nothing)
{
    struct rep_run *r = settle(PEER);
    uint64_t head, version, low;
    bool touched;

    (void)set("one", STORE_OP_ITEM);
    (void)set("two", STORE_OP_ITEM);
    head = rep_log_head(k.log);
    ck_assert_uint_gt(head, 0);
    r->acked = head;
    rep_log_ack(k.log, r->reader, head);
    rep_runs_move(k.runs);
    low = r->low;
    again();
    r = meet(PEER, 0);
    ck_assert(r->known);
    ck_assert(r->settled);
    ck_assert_uint_eq(r->processed, 1234);
    ck_assert_uint_eq(r->told[5], 55);
    ck_assert_uint_eq(r->acked, head);
    ck_assert_uint_eq(r->low, low);
    ck_assert_uint_eq(rep_log_head(k.log), head);
    ck_assert_uint_eq(rep_log_oldest(k.log), head);
    ck_assert_uint_eq(rep_log_acked(k.log, r->reader), head);
    ck_assert(!rep_log_take_lost(k.log, r->reader, &version, &touched));
}
END_TEST

START_TEST(what_was_not_acknowledged_is_lost_from_the_low_mark_on)
{
    static struct rep_log_batch batch;
    struct rep_run *r = settle(PEER);
    uint64_t first, version, acked = r->acked;
    bool touched = false;

    first = set("one", STORE_OP_ITEM);
    (void)set("two", STORE_OP_ITEM);
    rep_runs_move(k.runs);
    again();
    r = meet(PEER, 0);
    ck_assert_uint_eq(r->acked, acked);
    ck_assert_int_eq(rep_log_read(k.log, r->reader, acked, &batch),
                     REP_LOG_GONE);
    ck_assert(rep_log_take_lost(k.log, r->reader, &version, &touched));
    ck_assert_uint_le(version, first);
    ck_assert_uint_gt(version, 0);
    ck_assert(touched);
    /* The log goes on from there. */
    version = set("three", STORE_OP_ITEM);
    ck_assert_int_eq(
        rep_log_read(k.log, r->reader, rep_log_oldest(k.log), &batch),
        REP_LOG_OK);
    ck_assert_uint_eq(batch.n, 1);
    ck_assert_uint_eq(batch.entry[0].version, version);
    rep_log_ack(k.log, r->reader, rep_log_head(k.log));
    rep_runs_move(k.runs);
    ck_assert_uint_gt(r->low, first);
}
END_TEST

START_TEST(a_long_log_goes_on)
{
    static struct rep_log_batch batch;
    struct rep_run *r = settle(PEER);
    uint64_t head;

    for (int i = 0; i < 10000; i++) { /* around the ring, some times */
        (void)set("the key of a record", STORE_OP_ITEM);
    }
    head = rep_log_head(k.log);
    r->acked = head;
    rep_log_ack(k.log, r->reader, head);
    again();
    r = meet(PEER, 0);
    for (int i = 0; i < 5000; i++) {
        (void)set("the key of a record", STORE_OP_ITEM);
        ck_assert_int_eq(rep_log_read(k.log, r->reader, head, &batch),
                         REP_LOG_OK);
        ck_assert_uint_eq(batch.n, 1);
        head = batch.next;
        rep_log_ack(k.log, r->reader, head);
    }
}
END_TEST

START_TEST(an_unsettled_run_and_a_scan_are_owed_still)
{
    struct rep_run *r = meet(PEER, 0);
    uint64_t version;
    bool touched;

    r->known = true;
    r->scan.owed = true;
    r->scan.touched = true;
    r->scan.threshold = 17;
    r->scan.before = 4;
    r->scan.cursor = 1000;
    rep_log_put_lost(k.log, r->reader, 33, false);
    again();
    r = meet(PEER, 0);
    ck_assert(!r->settled);
    ck_assert(r->scan.owed);
    ck_assert(r->scan.touched);
    ck_assert_uint_eq(r->scan.threshold, 17);
    ck_assert_uint_eq(r->scan.before, 4);
    ck_assert_uint_eq(r->scan.cursor, 1000);
    ck_assert(rep_log_take_lost(k.log, r->reader, &version, &touched));
    ck_assert_uint_eq(version, 33);
    ck_assert(!touched);
}
END_TEST

START_TEST(floors_and_what_was_dropped_of_them_are_kept)
{
    struct rep_run *r = settle(PEER);
    struct rep_floor_stats was, is;
    uint64_t past = 0;
    int reader;

    for (uint64_t i = 1; i <= 20000; i++) {
        (void)rep_floor_raise(k.floors, i * 0x9e3779b97f4a7c15U,
                              version_next());
    }
    rep_floor_stats(k.floors, &was);
    ck_assert_uint_gt(was.dropped, 0);
    for (unsigned i = 0; i < REP_FLOOR_SHARDS; i++) {
        past += rep_floor_past(k.floors, i) + 3 * i;
    }
    r->told[0] = rep_floor_missed(k.floors, r->reader, 0);
    ck_assert_uint_gt(r->told[0], 0);
    again();
    rep_floor_stats(k.floors, &is);
    ck_assert_uint_eq(was.count, is.count);
    ck_assert_uint_eq(is.dropped, 0);
    for (unsigned i = 0; i < REP_FLOOR_SHARDS; i++) {
        past -= rep_floor_past(k.floors, i) + 3 * i;
    }
    ck_assert_uint_eq(past, 0);
    r = meet(PEER, 0);
    ck_assert_uint_eq(rep_floor_missed(k.floors, r->reader, 0), r->told[0]);
    /* One that is new begins with what is past. */
    reader = meet(OTHER, 0)->reader;
    ck_assert_uint_eq(rep_floor_missed(k.floors, reader, 9),
                      rep_floor_past(k.floors, 9));
}
END_TEST

START_TEST(a_run_takes_the_record_of_the_one_it_names)
{
    struct rep_run *r = settle(PEER);
    int reader = r->reader;

    rep_runs_part(k.runs, r);
    r = meet(OTHER, PEER);
    ck_assert_uint_eq(r->run, OTHER);
    ck_assert_int_eq(r->reader, reader);
    ck_assert(r->known);
    ck_assert_uint_eq(r->processed, 1234);
    /* Once: who comes second with that name is a stranger. */
    r = meet(OTHER + 1, PEER);
    ck_assert(!r->known);
    ck_assert_int_ne(r->reader, reader);
    /* Nor is one that is linked robbed of it. */
    r = meet(OTHER + 2, OTHER);
    ck_assert(!r->known);
}
END_TEST

START_TEST(sixteen_runs_have_room)
{
    for (uint64_t i = 1; i <= REP_RUNS; i++) {
        rep_runs_part(k.runs, rep_runs_meet(k.runs, i, 0, i));
    }
    again();
    for (uint64_t i = 1; i <= REP_RUNS; i++) {
        struct rep_run *r = rep_runs_meet(k.runs, i, 0, i);

        ck_assert_ptr_nonnull(r);
        ck_assert_uint_eq(r->linked_at, REP_RUNS + i);
    }
}
END_TEST

START_TEST(what_is_cut_short_is_refused)
{
    (void)settle(PEER);
    (void)set("gone", STORE_OP_DELETE);
    nsaved = 0;
    ck_assert(rep_keep_save(&k, put));
    ck_assert_uint_gt(nsaved, 1500);
    for (size_t n = 0; n < nsaved; n++) {
        drop();
        make();
        ck_assert(!load(n));
    }
    saved[7] ^= 3; /* another form */
    drop();
    make();
    ck_assert(!load(nsaved));
}
END_TEST

START_TEST(nothing_that_is_read_is_trusted)
{
    (void)settle(PEER);
    (void)set("one", STORE_OP_ITEM);
    (void)set("gone", STORE_OP_DELETE);
    nsaved = 0;
    ck_assert(rep_keep_save(&k, put));
    for (size_t i = 0; i < nsaved; i++) {
        saved[i] ^= 0x81;
        drop();
        make();
        if (load(nsaved)) {
            (void)meet(PEER, 0);
            (void)set("two", STORE_OP_ITEM);
            rep_runs_move(k.runs);
        }
        saved[i] ^= 0x81;
    }
}
END_TEST

START_TEST(a_save_that_fails_is_told)
{
    (void)settle(PEER);
    (void)set("gone", STORE_OP_DELETE);
    nsaved = 0;
    ck_assert(rep_keep_save(&k, put));
    for (room = 0; room < nsaved; room += 97) {
        size_t all = nsaved;

        nsaved = 0;
        ck_assert(!rep_keep_save(&k, put));
        nsaved = all;
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("keep");
    TCase *t = tcase_create("keep");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, drop);
    tcase_add_test(t, a_run_that_has_all_is_owed_nothing);
    tcase_add_test(t, what_was_not_acknowledged_is_lost_from_the_low_mark_on);
    tcase_add_test(t, a_long_log_goes_on);
    tcase_add_test(t, an_unsettled_run_and_a_scan_are_owed_still);
    tcase_add_test(t, floors_and_what_was_dropped_of_them_are_kept);
    tcase_add_test(t, a_run_takes_the_record_of_the_one_it_names);
    tcase_add_test(t, sixteen_runs_have_room);
    tcase_add_test(t, what_is_cut_short_is_refused);
    tcase_add_test(t, nothing_that_is_read_is_trusted);
    tcase_add_test(t, a_save_that_fails_is_told);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
