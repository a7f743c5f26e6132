/* The store under several threads: what each reads must be whole, and what is
 * left must add up. Data races are the thread sanitizer's to find. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/version.h"
#include "store.h"
#include "store_stats.h"

enum { THREADS = 4, STEPS = 100000, KEYS = 60000, SMALL = 700, BIG = 1200000 };

static char big_value[BIG];

static void setup(void)
{
    struct store_config config = store_config_default();

    hash_init();
    clock_freeze(UINT64_C(1800000000000));
    version_init(VERSION_HYBRID, 3);
    config.memory_limit = 8 * MIB;
    config.item_size_max = 2 * MIB;
    memset(big_value, 'b', sizeof(big_value));
    ck_assert(store_init(&config));
}

struct worker {
    uint64_t random;
    uint64_t added; /* to the shared counter */
    size_t torn;
};

static uint64_t draw(struct worker *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random;
}

/* Every value but the counter's (the only key of 7 bytes) is one letter
 * repeated: anything else was torn. */
static bool is_whole(const struct item *it)
{
    char first, byte;
    size_t n = it->nbytes;

    if (n == 0) {
        return true;
    }
    item_copy_out(it, 0, &first, 1);
    for (size_t i = 0; i < n; i += n / 16 + 1) {
        item_copy_out(it, i, &byte, 1);
        if (byte != first) {
            return false;
        }
    }
    return true;
}

static void read_key(struct worker *w, const struct store_key *key)
{
    struct item *it = store_hold(key, NULL);

    if (it == NULL) {
        return;
    }
    store_hit(it);
    w->torn += is_whole(it) || key->len == 7 ? 0 : 1;
    if (draw(w) % 4 == 0 && store_ref(it)) {
        size_t n = it->nbytes;
        const char *data = item_is_chained(it) ? NULL : item_data(it);

        store_release(it);
        /* Outside the lock a referenced value stands still. */
        w->torn +=
            data != NULL && key->len != 7 && n > 1 && data[0] != data[n - 1]
                ? 1
                : 0;
        store_unref(it);
        return;
    }
    store_release(it);
}

static void write_key(struct worker *w, const struct store_key *key)
{
    struct store_attrs attrs = {.flags = (uint32_t)draw(w) % 2};
    char value[SMALL];
    size_t n = draw(w) % sizeof(value);

    memset(value, 'a' + (int)(draw(w) % 26), sizeof(value));
    (void)!store_set(key, &attrs, STORE_SET, value, n, NULL);
}

static void write_big(struct worker *w)
{
    struct store_key key = store_key("big", 3);
    struct store_attrs attrs = {0};

    if (draw(w) % 2 == 0) {
        (void)!store_set(&key, &attrs, STORE_SET, big_value, BIG / 2, NULL);
    } else {
        (void)!store_set(&key, &attrs, STORE_APPEND, big_value, 1000, NULL);
    }
    read_key(w, &key);
}

/* Read as well, so that eviction passes the counter over. */
static void count_up(struct worker *w)
{
    struct store_key key = store_key("counter", 7);
    uint64_t result;

    if (store_arith(&key, true, 1, &result, NULL, NULL) == STORE_OK) {
        w->added++;
    }
    read_key(w, &key);
}

static void touch(struct worker *w, const struct store_key *key)
{
    struct item *it = store_touch_hold(
        key, clock_seconds() + 10 + (uint32_t)(draw(w) % 100), NULL);

    if (it != NULL) {
        w->torn += is_whole(it) ? 0 : 1;
        store_release(it);
    }
}

static void *work(void *arg)
{
    struct worker *w = arg;

    for (int i = 0; i < STEPS; i++) {
        char name[24];
        int n = snprintf(name, sizeof(name), "key-%u-k",
                         (unsigned)(draw(w) % KEYS));
        struct store_key key = store_key(name, (size_t)n);

        switch (draw(w) % 64) {
        case 0:
            write_big(w);
            break;
        case 1:
            (void)!store_delete(&key, 0, NULL);
            break;
        case 2:
        case 3:
            touch(w, &key);
            break;
        case 4:
        case 5:
            count_up(w);
            break;
        default:
            if (i % 2 == 0) {
                read_key(w, &key);
            } else {
                write_key(w, &key);
            }
        }
    }
    return NULL;
}

static uint64_t counter_value(void)
{
    struct store_key key = store_key("counter", 7);
    struct item *it = store_hold(&key, NULL);
    uint64_t value;

    ck_assert_ptr_nonnull(it);
    ck_assert(util_parse_stored_number(item_data(it), it->nbytes, &value));
    store_release(it);
    return value;
}

static bool count_items(void *ctx, struct item *it)
{
    size_t *n = ctx;

    ck_assert_uint_eq(atomic_load(&it->refs), 1);
    ++*n;
    return true;
}

static void add_up(void)
{
    struct store_cursor cursor = {0};
    struct store_class_stats c;
    struct store_totals t;
    uint64_t queued = 0;
    size_t n = 0;

    while (!cursor.done) {
        (void)store_walk(&cursor, 1000, count_items, &n);
    }
    store_totals(&t);
    for (unsigned i = 1; i <= store_class_max(); i++) {
        ck_assert(store_class_stats(i, &c));
        queued += c.number_small + c.number_main_hot + c.number_main_cold;
    }
    ck_assert_uint_eq(t.curr_items, n);
    ck_assert_uint_gt(t.evictions, 0);
    ck_assert_uint_eq(queued, n);
}

START_TEST(nothing_is_torn_lost_or_leaked)
{
    struct store_key key = store_key("counter", 7);
    struct store_attrs attrs = {0};
    struct worker workers[THREADS] = {{0}};
    pthread_t threads[THREADS];
    uint64_t added = 0;

    ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, "0", 1, NULL),
                     STORE_OK);
    for (size_t i = 0; i < THREADS; i++) {
        workers[i].random = 88172645463325252U + i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &workers[i]),
                         0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_uint_eq(workers[i].torn, 0);
        added += workers[i].added;
    }
    ck_assert_uint_gt(added, 0);
    ck_assert_uint_eq(counter_value(), added);
    add_up();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store_threads");
    TCase *t = tcase_create("store_threads");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, store_fini);
    tcase_set_timeout(t, 120);
    suite_add_tcase(s, t);
    tcase_add_test(t, nothing_is_torn_lost_or_leaked);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
