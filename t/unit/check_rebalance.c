/* Pages that move, through the real store: what is in them stays what it was.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/version.h"
#include "rebalance.h"
#include "store.h"
#include "store_stats.h"

enum { SMALL = 1000, LARGE = 700000 };

#define START_MS UINT64_C(1800000000000)

static struct rebalance_stats stats;
static unsigned removed; /* told to the observer */

static void on_removed(void *ctx, const char *key, size_t nkey,
                       uint64_t version)
{
    (void)ctx;
    (void)key;
    (void)nkey;
    (void)version;
    removed++;
}

static uint64_t on_change(void *ctx, const struct store_change *change)
{
    (void)ctx;
    return change->version != 0 ? change->version : version_next();
}

static uint64_t on_floor(void *ctx, const char *key, size_t nkey)
{
    (void)ctx;
    (void)key;
    (void)nkey;
    return 0;
}

static const struct store_observer observer = {
    .change = on_change,
    .removed = on_removed,
    .floor = on_floor,
};

static void start(size_t limit, bool evict)
{
    struct store_config config = store_config_default();

    hash_init();
    clock_freeze(START_MS);
    version_init(VERSION_COUNTING, 0);
    config.memory_limit = limit;
    config.evict = evict;
    ck_assert(store_init(&config));
    store_observe(&observer);
    rebalance_stats_reset();
    removed = 0;
}

static char value[LARGE];

static void fill_value(int i, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        value[k] = (char)(k * 7 + (size_t)i);
    }
}

static enum store_status put(int i, size_t n, uint32_t exptime)
{
    char buf[32];
    struct store_key key = store_key(buf, (size_t)sprintf(buf, "key%d", i));
    struct store_attrs attrs = {.flags = (uint32_t)i, .exptime = exptime};

    fill_value(i, n);
    return store_set(&key, &attrs, STORE_SET, value, n, NULL);
}

static struct item *hold(int i)
{
    char buf[32];
    struct store_key key = store_key(buf, (size_t)sprintf(buf, "key%d", i));

    return store_hold(&key, NULL);
}

/* Whether it is there, and as it was put. */
static bool is_whole(int i, size_t n)
{
    struct item *it = hold(i);
    bool whole;

    if (it == NULL) {
        return false;
    }
    fill_value(i, n);
    whole = item_value_equals(it, value, n) && item_flags(it) == (uint32_t)i;
    store_release(it);
    ck_assert(whole);
    return true;
}

static void drop(int i)
{
    char buf[32];
    struct store_key key = store_key(buf, (size_t)sprintf(buf, "key%d", i));

    ck_assert_int_eq(store_delete(&key, 0, NULL), STORE_OK);
}

static uint64_t pages(unsigned slab_class)
{
    struct store_class_stats s;

    ck_assert(store_class_stats(slab_class, &s));
    return s.total_pages;
}

/* Moves a page; how it ended. */
static enum rebalance_state move(unsigned src, unsigned dst)
{
    enum rebalance_state state;

    ck_assert(rebalance_begin(src, dst));
    do {
        state = rebalance_step();
    } while (state == REBALANCE_MORE || state == REBALANCE_WAIT);
    rebalance_stats(&stats);
    return state;
}

START_TEST(items_are_copied_and_nothing_is_lost)
{
    unsigned c;
    struct store_totals totals;

    start(64 * MIB, true);
    c = store_class_of(5, 1, SMALL);
    for (int i = 0; i < 4000; i++) {
        ck_assert_int_eq(put(i, SMALL, 0), STORE_OK);
    }
    for (int i = 0; i < 4000; i += 2) {
        drop(i);
    }
    ck_assert_uint_eq(pages(c), 5);
    ck_assert_int_eq(move(c, 0), REBALANCE_DONE);
    ck_assert_int_eq(move(c, c + 5), REBALANCE_DONE);
    ck_assert_uint_eq(pages(c), 3);
    ck_assert_uint_eq(pages(c + 5), 1);
    store_totals(&totals);
    ck_assert_uint_eq(totals.pool_pages, 1);
    ck_assert_uint_gt(stats.rescues, 500);
    ck_assert_uint_eq(stats.moved, 2);
    for (int i = 1; i < 4000; i += 2) {
        ck_assert(is_whole(i, SMALL));
    }
    /* What moved can be written over, found and freed as before. */
    for (int i = 1; i < 4000; i += 2) {
        drop(i);
    }
    store_totals(&totals);
    ck_assert_uint_eq(totals.curr_items, 0);
    ck_assert_uint_eq(totals.bytes, 0);
    ck_assert_uint_eq(totals.evictions, 0);
    store_fini();
}
END_TEST

START_TEST(page_of_the_pool_serves_another_class)
{
    unsigned c;
    struct store_totals totals;

    start(64 * MIB, true);
    c = store_class_of(5, 1, SMALL);
    for (int i = 0; i < 2000; i++) {
        ck_assert_int_eq(put(i, SMALL, 0), STORE_OK);
    }
    for (int i = 0; i < 1200; i++) {
        drop(i);
    }
    ck_assert_int_eq(move(c, 0), REBALANCE_DONE);
    ck_assert_int_eq(move(0, c + 3), REBALANCE_DONE);
    ck_assert(!rebalance_begin(0, c));
    ck_assert_uint_eq(pages(c + 3), 1);
    store_totals(&totals);
    ck_assert_uint_eq(totals.pool_pages, 0);
    ck_assert_uint_eq(totals.malloced, 3 * MIB);
    store_fini();
}
END_TEST

START_TEST(class_keeps_its_last_page)
{
    unsigned c;

    start(64 * MIB, true);
    c = store_class_of(5, 1, SMALL);
    ck_assert_int_eq(put(1, SMALL, 0), STORE_OK);
    ck_assert(!rebalance_begin(c, 0));
    ck_assert(!rebalance_begin(c + 1, 0));
    store_fini();
}
END_TEST

START_TEST(pieces_and_heads_of_large_values_move)
{
    unsigned head, last;

    start(64 * MIB, true);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(put(i, LARGE, 0), STORE_OK);
    }
    last = store_class_max();
    head = store_class_of(5, 1, 20);
    for (int i = 0; i < 20; i += 3) {
        drop(i);
    }
    ck_assert_int_eq(move(last, head), REBALANCE_DONE);
    ck_assert_int_eq(move(last, head), REBALANCE_DONE);
    ck_assert_int_eq(move(head, 0), REBALANCE_DONE);
    ck_assert_uint_gt(stats.chunk_rescues, 0);
    for (int i = 0; i < 20; i++) {
        ck_assert(i % 3 == 0 || is_whole(i, LARGE));
    }
    for (int i = 0; i < 20; i++) {
        if (i % 3 != 0) {
            drop(i);
        }
    }
    store_fini();
}
END_TEST

START_TEST(full_class_evicts_to_give_a_page)
{
    unsigned c;
    struct store_totals totals;
    uint64_t before;
    unsigned whole = 0;

    start(8 * MIB, true);
    for (int i = 0; i < 20000; i++) {
        ck_assert_int_eq(put(i, SMALL, 0), STORE_OK);
    }
    c = store_class_of(5, 1, SMALL);
    before = pages(c);
    removed = 0;
    ck_assert_int_eq(move(c, c + 5), REBALANCE_DONE);
    ck_assert_uint_eq(pages(c), before - 1);
    ck_assert_uint_gt(removed, 0); /* as evictions: a floor each */
    for (int i = 0; i < 20000; i++) {
        whole += is_whole(i, SMALL);
    }
    store_totals(&totals);
    ck_assert_uint_eq(whole, totals.curr_items);
    store_fini();
}
END_TEST

START_TEST(without_evictions_a_full_class_keeps_its_page)
{
    unsigned c;
    struct store_totals before, after;

    start(8 * MIB, false);
    for (int i = 0; put(i, SMALL, 0) == STORE_OK; i++) {
    }
    c = store_class_of(5, 1, SMALL);
    store_totals(&before);
    ck_assert_int_eq(move(c, 0), REBALANCE_FAILED);
    ck_assert_uint_gt(stats.busy_nomem, 0);
    store_totals(&after);
    ck_assert_uint_eq(after.curr_items, before.curr_items);
    ck_assert_uint_eq(after.malloced, before.malloced);
    for (int i = 0; i < 100; i++) {
        ck_assert(is_whole(i, SMALL));
        drop(i);
    }
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(put(i, SMALL, 0), STORE_OK);
    }
    store_fini();
}
END_TEST

START_TEST(dead_items_are_reclaimed)
{
    unsigned c;
    struct store_totals totals;

    start(64 * MIB, true);
    for (int i = 0; i < 3000; i++) {
        ck_assert_int_eq(put(i, SMALL, START_MS / 1000 + 10), STORE_OK);
    }
    c = store_class_of(5, 1, SMALL);
    clock_freeze(START_MS + 11000);
    ck_assert_int_eq(move(c, 0), REBALANCE_DONE);
    store_totals(&totals);
    ck_assert_uint_gt(totals.reclaimed, 900);
    ck_assert_uint_eq(stats.rescues, 0);
    ck_assert_uint_eq(removed, totals.reclaimed);
    store_fini();
}
END_TEST

START_TEST(item_in_use_waits_and_is_removed_at_last)
{
    unsigned c;
    struct item *it;
    enum rebalance_state state = REBALANCE_MORE;

    start(64 * MIB, true);
    for (int i = 0; i < 2000; i++) {
        ck_assert_int_eq(put(i, SMALL, 0), STORE_OK);
    }
    c = store_class_of(5, 1, SMALL);
    it = hold(5);
    ck_assert(store_ref(it));
    store_release(it);
    for (int i = 1000; i < 2000; i++) {
        drop(i);
    }
    ck_assert(rebalance_begin(c, 0));
    for (int passes = 0; passes < 5100; passes += state == REBALANCE_WAIT) {
        state = rebalance_step();
        ck_assert_int_ne(state, REBALANCE_DONE);
        ck_assert_int_ne(state, REBALANCE_FAILED);
        ck_assert(passes >= 4900 || is_whole(5, SMALL));
    }
    rebalance_stats(&stats);
    ck_assert_uint_eq(stats.busy_deletes, 1);
    ck_assert_str_eq(stats.last_busy, "busy_floating");
    ck_assert(!is_whole(5, SMALL));
    store_unref(it);
    while (state == REBALANCE_MORE || state == REBALANCE_WAIT) {
        state = rebalance_step();
    }
    ck_assert_int_eq(state, REBALANCE_DONE);
    store_fini();
}
END_TEST

START_TEST(upload_pins_its_page_until_it_is_given_up)
{
    unsigned c;
    struct item *it;
    struct store_key key = store_key("up", 2);
    struct store_attrs attrs = {0};

    start(64 * MIB, true);
    ck_assert_int_eq(store_reserve(&key, &attrs, STORE_SET, SMALL, &it),
                     STORE_OK);
    for (int i = 0; i < 2000; i++) {
        ck_assert_int_eq(put(i, SMALL, 0), STORE_OK);
    }
    for (int i = 0; i < 2000; i += 2) {
        drop(i);
    }
    c = store_class_of(5, 1, SMALL);
    ck_assert_int_eq(move(c, 0), REBALANCE_FAILED);
    ck_assert_str_eq(stats.last_busy, "busy_uploading");
    store_cancel(it);
    for (int i = 1; i < 2000; i += 2) {
        ck_assert(is_whole(i, SMALL));
    }
    ck_assert_int_eq(move(c, 0), REBALANCE_DONE);
    store_fini();
}
END_TEST

START_TEST(memory_above_a_lowered_limit_goes_back)
{
    unsigned c;
    struct store_totals totals;

    start(64 * MIB, true);
    for (int i = 0; i < 20000; i++) {
        ck_assert_int_eq(put(i, SMALL, 0), STORE_OK);
    }
    c = store_class_of(5, 1, SMALL);
    ck_assert(store_set_limit(10 * MIB));
    while (rebalance_trim()) {
        ck_assert_int_eq(move(c, 0), REBALANCE_DONE);
    }
    store_totals(&totals);
    ck_assert_uint_eq(totals.malloced, 10 * MIB);
    ck_assert_uint_eq(totals.pool_pages, 0);
    /* And comes back when it is allowed again. */
    ck_assert(store_set_limit(64 * MIB));
    for (int i = 0; i < 20000; i++) {
        ck_assert_int_eq(put(i, SMALL, 0), STORE_OK);
        ck_assert(is_whole(i, SMALL));
    }
    store_totals(&totals);
    ck_assert_uint_eq(totals.curr_items, 20000);
    store_fini();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rebalance");
    TCase *tcase = tcase_create("pages");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, items_are_copied_and_nothing_is_lost);
    tcase_add_test(tcase, page_of_the_pool_serves_another_class);
    tcase_add_test(tcase, class_keeps_its_last_page);
    tcase_add_test(tcase, pieces_and_heads_of_large_values_move);
    tcase_add_test(tcase, full_class_evicts_to_give_a_page);
    tcase_add_test(tcase, without_evictions_a_full_class_keeps_its_page);
    tcase_add_test(tcase, dead_items_are_reclaimed);
    tcase_add_test(tcase, item_in_use_waits_and_is_removed_at_last);
    tcase_add_test(tcase, upload_pins_its_page_until_it_is_given_up);
    tcase_add_test(tcase, memory_above_a_lowered_limit_goes_back);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
