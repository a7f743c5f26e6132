/* Unit tests of rep/floor. */
#include <check.h>
#include <stdlib.h>

#include "rep/floor.h"

/* Hashes spread over all shards. */
static uint64_t spread(uint64_t i)
{
    return i * UINT64_C(0x9e3779b97f4a7c15);
}

START_TEST(default_size_is_a_64th_within_1_and_256_mib)
{
    ck_assert_uint_eq(rep_floor_default_bytes(0), MIB);
    ck_assert_uint_eq(rep_floor_default_bytes(64 * MIB), MIB);
    ck_assert_uint_eq(rep_floor_default_bytes(1024 * MIB), 16 * MIB);
    ck_assert_uint_eq(rep_floor_default_bytes(1024 * GIB), 256 * MIB);
}
END_TEST

START_TEST(a_floor_only_rises)
{
    struct rep_floor *t = rep_floor_new(MIB);

    ck_assert_uint_eq(rep_floor_get(t, 7), 0);
    ck_assert(rep_floor_raise(t, 7, 100));
    ck_assert_uint_eq(rep_floor_get(t, 7), 100);
    ck_assert(!rep_floor_raise(t, 7, 100));
    ck_assert(!rep_floor_raise(t, 7, 99));
    ck_assert(rep_floor_raise(t, 7, 101));
    ck_assert_uint_eq(rep_floor_get(t, 7), 101);
    ck_assert_uint_eq(rep_floor_get(t, 8), 0);
    rep_floor_free(t);
}
END_TEST

START_TEST(hash_zero_is_a_hash_and_version_zero_no_floor)
{
    struct rep_floor *t = rep_floor_new(MIB);

    ck_assert(!rep_floor_raise(t, 0, 0));
    ck_assert_uint_eq(rep_floor_get(t, 0), 0);
    ck_assert(rep_floor_raise(t, 0, 5));
    ck_assert_uint_eq(rep_floor_get(t, 0), 5);
    ck_assert(rep_floor_raise(t, UINT64_MAX, 6));
    ck_assert_uint_eq(rep_floor_get(t, UINT64_MAX), 6);
    rep_floor_free(t);
}
END_TEST

static uint64_t past(const struct rep_floor *t, uint64_t hash)
{
    return rep_floor_past(t, rep_floor_cell(t, hash));
}

static uint64_t missed(const struct rep_floor *t, int watcher, uint64_t hash)
{
    return rep_floor_missed(t, watcher, rep_floor_cell(t, hash));
}

START_TEST(full_line_drops_its_lowest_and_remembers_it)
{
    struct rep_floor *t = rep_floor_new(0); /* a line of four a shard */
    uint64_t hash = 1000;

    for (uint64_t i = 0; i < 4; i++) {
        ck_assert(rep_floor_raise(t, hash + i, 40 - i));
    }
    ck_assert_uint_eq(past(t, hash), 0);
    ck_assert(rep_floor_raise(t, hash + 9, 50));
    ck_assert_uint_eq(rep_floor_get(t, hash + 3), 0); /* was 37 */
    ck_assert_uint_eq(rep_floor_get(t, hash + 2), 38);
    ck_assert_uint_eq(rep_floor_get(t, hash + 9), 50);
    ck_assert_uint_eq(past(t, hash), 37);
    /* Lower than all that are held: it is the one dropped. */
    ck_assert(rep_floor_raise(t, hash + 10, 20));
    ck_assert_uint_eq(rep_floor_get(t, hash + 10), 0);
    ck_assert_uint_eq(past(t, hash), 37);
    /* A held one rises in place and drops nothing. */
    ck_assert(rep_floor_raise(t, hash + 2, 60));
    ck_assert_uint_eq(past(t, hash), 37);
    /* Another shard has dropped nothing. */
    ck_assert_uint_eq(past(t, ~hash), 0);
    rep_floor_free(t);
}
END_TEST

/* Fills the line that all small hashes share in such a table, so that each
 * higher floor drops the lowest. */
static void fill_line(struct rep_floor *t, uint64_t version)
{
    for (uint64_t i = 0; i < 4; i++) {
        ck_assert(rep_floor_raise(t, version + i, version + i));
    }
}

START_TEST(watchers_miss_what_they_had_not_acknowledged)
{
    struct rep_floor *t = rep_floor_new(0);

    rep_floor_watch(t, 0);
    rep_floor_watch(t, 15);
    rep_floor_set_low(t, 15, 12);
    fill_line(t, 10);
    fill_line(t, 20); /* drops 10 to 13 */
    ck_assert_uint_eq(past(t, 1), 13);
    ck_assert_uint_eq(missed(t, 0, 1), 13);
    ck_assert_uint_eq(missed(t, 15, 1), 13);
    ck_assert_uint_eq(missed(t, 0, ~UINT64_C(0)), 0);
    rep_floor_set_low(t, 0, 22);
    rep_floor_set_low(t, 15, 24);
    fill_line(t, 30); /* drops 20 to 23 */
    ck_assert_uint_eq(past(t, 1), 23);
    ck_assert_uint_eq(missed(t, 0, 1), 23);
    ck_assert_uint_eq(missed(t, 15, 1), 13);
    /* What is dropped because it is lower than all others counts, too. */
    ck_assert(rep_floor_raise(t, 99, 29));
    ck_assert_uint_eq(missed(t, 15, 1), 29);
    rep_floor_free(t);
}
END_TEST

START_TEST(a_watcher_begins_with_what_is_past)
{
    struct rep_floor *t = rep_floor_new(0);

    fill_line(t, 10);
    fill_line(t, 20); /* drops 10 to 13 */
    rep_floor_watch(t, 3);
    ck_assert_uint_eq(missed(t, 3, 1), 13);
    ck_assert_uint_eq(missed(t, 3, ~UINT64_C(0)), 0);
    rep_floor_set_low(t, 3, 100);
    fill_line(t, 30);
    ck_assert_uint_eq(missed(t, 3, 1), 13);
    /* Nobody counts between; whoever comes begins with all of it, and with
     * nothing acknowledged. */
    rep_floor_unwatch(t, 3);
    fill_line(t, 40);
    ck_assert_uint_eq(missed(t, 3, 1), 13);
    rep_floor_watch(t, 3);
    ck_assert_uint_eq(missed(t, 3, 1), 33);
    fill_line(t, 50);
    ck_assert_uint_eq(missed(t, 3, 1), 43);
    rep_floor_free(t);
}
END_TEST

START_TEST(what_left_no_floor_is_past_everywhere)
{
    struct rep_floor *t = rep_floor_new(MIB);
    uint64_t ms = UINT64_C(5) << 22;

    rep_floor_watch(t, 0);
    rep_floor_pass(t, ms + 7);
    for (unsigned cell = 0; cell < REP_FLOOR_SHARDS; cell++) {
        /* At least that, and no more than its millisecond. */
        ck_assert_uint_ge(rep_floor_past(t, cell), ms + 7);
        ck_assert_uint_lt(rep_floor_past(t, cell), ms + (1U << 22));
        /* Only those that had acknowledged it let it go. */
        ck_assert_uint_eq(rep_floor_missed(t, 0, cell), 0);
    }
    rep_floor_pass(t, 3);
    ck_assert_uint_ge(past(t, 1), ms + 7);
    rep_floor_watch(t, 1);
    ck_assert_uint_eq(missed(t, 1, 1), past(t, 1));
    rep_floor_free(t);
}
END_TEST

/* The cells are the shards, whatever the number of lines: a drop is told of
 * the cell of the floor that is gone. */
START_TEST(a_hash_lies_in_the_shard_of_its_cell)
{
    static const uint64_t near[] = {0, 1, UINT64_C(1) << 32, UINT64_MAX};

    for (size_t lines = 1; lines < 1000; lines += lines < 10 ? 1 : 89) {
        struct rep_floor *t = rep_floor_new(lines * 64 * REP_FLOOR_SHARDS);

        for (unsigned cell = 0; cell < REP_FLOOR_SHARDS; cell++) {
            for (size_t i = 0; i < 4; i++) {
                uint64_t hash = ((uint64_t)cell << 58) +
                                (near[i] & ((UINT64_C(1) << 58) - 1));

                ck_assert_uint_eq(rep_floor_cell(t, hash), cell);
                ck_assert_uint_eq(hash >> 58, cell);
            }
            /* The first and the last line of the cell drop a floor each. */
            for (uint64_t i = 1; i <= 5; i++) {
                uint64_t last = ((uint64_t)cell << 58) | (~UINT64_C(0) >> 6);

                (void)rep_floor_raise(t, ((uint64_t)cell << 58) + i, i);
                (void)rep_floor_raise(t, last - i, i + cell);
            }
            ck_assert_uint_ge(rep_floor_past(t, cell), 1 + cell);
            ck_assert_uint_eq(
                rep_floor_past(t, (cell + 1) % REP_FLOOR_SHARDS) != 0,
                cell + 1 == REP_FLOOR_SHARDS);
        }
        rep_floor_free(t);
    }
}
END_TEST

START_TEST(whatever_is_not_held_is_not_above_past)
{
    struct rep_floor *t = rep_floor_new(64 * 1024); /* 4,096 places */
    struct rep_floor_stats st;
    uint64_t held = 0;

    rep_floor_watch(t, 7);
    for (uint64_t i = 1; i <= 20000; i++) {
        (void)rep_floor_raise(t, spread(i), i);
    }
    for (uint64_t i = 1; i <= 20000; i++) {
        uint64_t floor = rep_floor_get(t, spread(i));

        held += floor != 0;
        ck_assert(floor == i || i <= past(t, spread(i)));
        ck_assert_uint_eq(past(t, spread(i)), missed(t, 7, spread(i)));
    }
    rep_floor_stats(t, &st);
    ck_assert_uint_eq(st.places, 4096);
    ck_assert_uint_eq(st.count, held);
    ck_assert_uint_eq(st.dropped, 20000 - held);
    ck_assert_uint_gt(held, 3900);
    rep_floor_free(t);
}
END_TEST

START_TEST(walk_gives_each_at_or_above_the_threshold_once)
{
    enum { N = 5000 };
    struct rep_floor *t = rep_floor_new(MIB);
    struct rep_floor_cursor cursor = {0};
    struct rep_floor_entry got[7];
    unsigned *seen = calloc(N + 1, sizeof(*seen));
    uint64_t last = 0;

    for (uint64_t i = 1; i <= N; i++) {
        (void)rep_floor_raise(t, spread(i), i);
    }
    while (!cursor.done) {
        size_t n = rep_floor_walk(t, &cursor, 1001, got, 7);

        for (size_t k = 0; k < n; k++) {
            ck_assert_uint_eq(got[k].hash, spread(got[k].version));
            /* By hash, as far as 2^14 lines tell. */
            ck_assert_uint_ge(got[k].hash >> 50, last);
            last = got[k].hash >> 50;
            seen[got[k].version]++;
        }
    }
    for (uint64_t i = 1; i <= N; i++) {
        ck_assert_uint_eq(seen[i], i >= 1001);
    }
    free(seen);
    rep_floor_free(t);
}
END_TEST

START_TEST(walk_of_an_empty_table_ends)
{
    struct rep_floor *t = rep_floor_new(16 * MIB);
    struct rep_floor_cursor cursor = {0};
    struct rep_floor_entry got[4];
    int calls = 0;

    while (!cursor.done) {
        ck_assert_uint_eq(rep_floor_walk(t, &cursor, 0, got, 4), 0);
        ck_assert_int_lt(++calls, 1000);
    }
    ck_assert_int_gt(calls, 1); /* it is bounded per call */
    rep_floor_free(t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("floor");
    TCase *t = tcase_create("floor");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_add_test(t, default_size_is_a_64th_within_1_and_256_mib);
    tcase_add_test(t, a_floor_only_rises);
    tcase_add_test(t, hash_zero_is_a_hash_and_version_zero_no_floor);
    tcase_add_test(t, full_line_drops_its_lowest_and_remembers_it);
    tcase_add_test(t, watchers_miss_what_they_had_not_acknowledged);
    tcase_add_test(t, a_watcher_begins_with_what_is_past);
    tcase_add_test(t, what_left_no_floor_is_past_everywhere);
    tcase_add_test(t, a_hash_lies_in_the_shard_of_its_cell);
    tcase_add_test(t, whatever_is_not_held_is_not_above_past);
    tcase_add_test(t, walk_gives_each_at_or_above_the_threshold_once);
    tcase_add_test(t, walk_of_an_empty_table_ends);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
