/* Unit tests of the store: what clients see, without a peer. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/version.h"
#include "store.h"
#include "store_stats.h"

#define START_MS UINT64_C(1800000000000)

static struct store_config config;

static void setup(void)
{
    hash_init();
    clock_freeze(START_MS);
    version_init(VERSION_COUNTING, 0);
    config = store_config_default();
    config.item_size_max = 32 * MIB;
    ck_assert(store_init(&config));
}

static void restart(void)
{
    store_fini();
    ck_assert(store_init(&config));
}

static struct store_key key_of(const char *name)
{
    return store_key(name, strlen(name));
}

static enum store_status put_as(const char *name, const char *value,
                                enum store_mode mode, uint64_t *cas)
{
    struct store_key key = key_of(name);
    struct store_attrs attrs = {.flags = 5};

    return store_set(&key, &attrs, mode, value, strlen(value), cas);
}

static uint64_t put(const char *name, const char *value)
{
    uint64_t cas = 0;

    ck_assert_int_eq(put_as(name, value, STORE_SET, &cas), STORE_OK);
    return cas;
}

static bool holds(const char *name, const char *value)
{
    struct store_key key = key_of(name);
    struct item *it = store_hold(&key, NULL);
    bool same;

    if (it == NULL) {
        return value == NULL;
    }
    same = value != NULL && item_value_equals(it, value, strlen(value));
    store_release(it);
    return same;
}

static enum store_miss miss_of(const char *name)
{
    struct store_key key = key_of(name);
    enum store_miss why;
    struct item *it = store_hold(&key, &why);

    if (it != NULL) {
        store_release(it);
    }
    return why;
}

START_TEST(set_then_get)
{
    struct store_key key = key_of("k");
    struct item *it;

    put("k", "value");
    it = store_hold(&key, NULL);
    ck_assert_ptr_nonnull(it);
    ck_assert_uint_eq(item_flags(it), 5);
    ck_assert_uint_eq(it->nbytes, 5);
    store_release(it);
    ck_assert(holds("k", "value"));
    ck_assert(holds("absent", NULL));
}
END_TEST

START_TEST(modes_store_or_refuse)
{
    ck_assert_int_eq(put_as("k", "a", STORE_REPLACE, NULL), STORE_NOT_STORED);
    ck_assert_int_eq(put_as("k", "a", STORE_APPEND, NULL), STORE_NOT_STORED);
    ck_assert_int_eq(put_as("k", "a", STORE_ADD, NULL), STORE_OK);
    ck_assert_int_eq(put_as("k", "b", STORE_ADD, NULL), STORE_NOT_STORED);
    ck_assert(holds("k", "a"));
    ck_assert_int_eq(put_as("k", "b", STORE_REPLACE, NULL), STORE_OK);
    ck_assert_int_eq(put_as("k", "c", STORE_APPEND, NULL), STORE_OK);
    ck_assert_int_eq(put_as("k", "a", STORE_PREPEND, NULL), STORE_OK);
    ck_assert(holds("k", "abc"));
}
END_TEST

START_TEST(cas_compares)
{
    uint64_t first = put("k", "a"), cas = first, none = 0;

    ck_assert_int_eq(put_as("gone", "x", STORE_CAS, &cas), STORE_NOT_FOUND);
    ck_assert_int_eq(put_as("k", "b", STORE_CAS, &none), STORE_EXISTS);
    cas = first;
    ck_assert_int_eq(put_as("k", "b", STORE_CAS, &cas), STORE_OK);
    ck_assert_uint_gt(cas, first);
    ck_assert_int_eq(put_as("k", "c", STORE_CAS, &first), STORE_EXISTS);
    ck_assert(holds("k", "b"));
}
END_TEST

START_TEST(without_cas_every_cas_is_refused)
{
    uint64_t cas = 1;

    config.cas = false;
    restart();
    ck_assert_uint_eq(put("k", "a"), 0);
    ck_assert_int_eq(put_as("k", "b", STORE_CAS, &cas), STORE_EXISTS);
}
END_TEST

START_TEST(delete_removes)
{
    struct store_key key = key_of("k");
    uint64_t cas = put("k", "a");

    ck_assert_int_eq(store_delete(&key, cas + 1, NULL), STORE_EXISTS);
    ck_assert_int_eq(store_delete(&key, cas, NULL), STORE_OK);
    ck_assert_int_eq(store_delete(&key, 0, NULL), STORE_NOT_FOUND);
    ck_assert(holds("k", NULL));
}
END_TEST

static enum store_status arith(const char *name, bool incr, uint64_t delta,
                               uint64_t *result)
{
    struct store_key key = key_of(name);

    return store_arith(&key, incr, delta, result, NULL, NULL);
}

START_TEST(arithmetic_pads_grows_wraps_and_stops_at_zero)
{
    uint64_t r;

    ck_assert_int_eq(arith("k", true, 1, &r), STORE_NOT_FOUND);
    put("k", "10");
    ck_assert_int_eq(arith("k", false, 1, &r), STORE_OK);
    ck_assert_uint_eq(r, 9);
    ck_assert(holds("k", "9 "));
    ck_assert_int_eq(arith("k", true, 999, &r), STORE_OK);
    ck_assert(holds("k", "1008"));
    ck_assert_int_eq(arith("k", false, 2000, &r), STORE_OK);
    ck_assert(holds("k", "0   "));
    put("k", "18446744073709551615");
    ck_assert_int_eq(arith("k", true, 2, &r), STORE_OK);
    ck_assert_uint_eq(r, 1);
}
END_TEST

START_TEST(arithmetic_replaces_an_item_that_is_being_read)
{
    struct store_key key = key_of("k");
    struct item *it;
    uint64_t r;

    put("k", "41");
    it = store_hold(&key, NULL);
    ck_assert(store_ref(it));
    store_release(it);
    ck_assert_int_eq(arith("k", true, 1, &r), STORE_OK);
    ck_assert_int_eq(memcmp(item_data(it), "41", 2), 0);
    store_unref(it);
    ck_assert(holds("k", "42"));
}
END_TEST

START_TEST(arithmetic_refuses_what_is_no_number)
{
    static const char *const bad[] = {"",    "abc",  "-5",
                                      "1.5", "12ab", "18446744073709551616"};
    static const char *const good[] = {" 12", "+12", "012", "12 junk"};
    uint64_t r;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put("k", bad[i]);
        ck_assert_int_eq(arith("k", true, 1, &r), STORE_NON_NUMERIC);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        put("k", good[i]);
        ck_assert_int_eq(arith("k", true, 1, &r), STORE_OK);
        ck_assert_uint_eq(r, 13);
    }
}
END_TEST

/* ---- time ---- */

START_TEST(client_expiry_is_relative_up_to_30_days)
{
    uint32_t now = clock_seconds();

    ck_assert_uint_eq(store_exptime(0), 0);
    ck_assert_uint_eq(store_exptime(10), now + 10);
    ck_assert_uint_eq(store_exptime(2592000), now + 2592000);
    ck_assert_uint_eq(store_exptime(2592001), 2592001);
    ck_assert_uint_lt(store_exptime(-1), now);
    ck_assert_uint_ne(store_exptime(-1), 0);
}
END_TEST

START_TEST(get_after_expiry_misses)
{
    struct store_key key = key_of("k");
    struct store_attrs attrs = {.exptime = store_exptime(10)};

    ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, "v", 1, NULL),
                     STORE_OK);
    clock_freeze(START_MS + 9999);
    ck_assert_int_eq(miss_of("k"), STORE_HIT);
    clock_freeze(START_MS + 10000);
    ck_assert_int_eq(miss_of("k"), STORE_EXPIRED);
    ck_assert_int_eq(miss_of("k"), STORE_ABSENT);
}
END_TEST

START_TEST(touch_moves_the_expiry_and_keeps_the_cas)
{
    struct store_key key = key_of("k");
    uint64_t cas = put("k", "v");
    struct item *it = store_touch_hold(&key, store_exptime(5), NULL);

    ck_assert_ptr_nonnull(it);
    ck_assert_uint_eq(item_cas(it), cas);
    store_release(it);
    clock_freeze(START_MS + 5000);
    ck_assert_int_eq(miss_of("k"), STORE_EXPIRED);
    ck_assert_ptr_null(store_touch_hold(&key, 0, NULL));
}
END_TEST

START_TEST(flush_kills_what_was_there_and_not_what_comes)
{
    put("old", "v");
    store_flush(0);
    put("new", "v");
    ck_assert_int_eq(miss_of("old"), STORE_FLUSHED);
    ck_assert(holds("new", "v"));
}
END_TEST

START_TEST(delayed_flush_waits_for_its_second)
{
    put("k", "v");
    store_flush(clock_seconds() + 3);
    ck_assert_uint_eq(store_flush_time(), clock_seconds() + 3);
    clock_freeze(START_MS + 2999);
    store_tick();
    ck_assert(holds("k", "v"));
    clock_freeze(START_MS + 3000);
    store_tick();
    ck_assert_int_eq(miss_of("k"), STORE_FLUSHED);
    put("k", "w");
    store_tick();
    ck_assert(holds("k", "w"));
}
END_TEST

START_TEST(a_new_flush_replaces_the_delayed_one)
{
    store_flush(clock_seconds() + 3);
    store_flush(0);
    put("k", "v");
    clock_freeze(START_MS + 10000);
    store_tick();
    ck_assert(holds("k", "v"));
}
END_TEST

/* ---- size ---- */

START_TEST(sizes_are_refused_as_stock_refuses_them)
{
    /* The largest values for a one byte key, -I 1m. */
    struct store_key key = key_of("k");
    struct store_attrs plain = {0}, flagged = {.flags = 1};
    char *value = calloc(1, MIB);

    config.item_size_max = MIB;
    restart();
    ck_assert_ptr_nonnull(value);
    ck_assert_int_eq(store_set(&key, &plain, STORE_SET, value, 1048516, NULL),
                     STORE_OK);
    ck_assert_int_eq(store_set(&key, &plain, STORE_SET, value, 1048517, NULL),
                     STORE_TOO_LARGE);
    ck_assert(holds("k", NULL));
    ck_assert_int_eq(store_set(&key, &flagged, STORE_SET, value, 1048512, NULL),
                     STORE_OK);
    ck_assert_int_eq(store_set(&key, &flagged, STORE_ADD, value, 1048513, NULL),
                     STORE_TOO_LARGE);
    ck_assert_int_eq(miss_of("k"), STORE_HIT);
    free(value);
}
END_TEST

START_TEST(large_values_are_chained_and_whole)
{
    enum { SIZE = 20 * 1024 * 1024 + 13 };
    struct store_key key = key_of("big");
    struct store_attrs attrs = {.flags = 77};
    char *value = malloc(SIZE + 4), tail[4];
    struct item *it;

    ck_assert_ptr_nonnull(value);
    for (size_t i = 0; i < SIZE; i++) {
        value[i] = (char)(i * 7 + i / 1000);
    }
    ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, value, SIZE, NULL),
                     STORE_OK);
    ck_assert_int_eq(store_set(&key, &attrs, STORE_APPEND, "tail", 4, NULL),
                     STORE_OK);
    memcpy(value + SIZE, "tail", 4);
    it = store_hold(&key, NULL);
    ck_assert(item_is_chained(it));
    ck_assert(item_value_equals(it, value, SIZE + 4));
    item_copy_out(it, SIZE, tail, 4);
    ck_assert_int_eq(memcmp(tail, "tail", 4), 0);
    ck_assert_uint_eq(item_flags(it), 77);
    store_release(it);
    free(value);
}
END_TEST

static struct store_totals totals(void)
{
    struct store_totals t;

    store_totals(&t);
    return t;
}

static uint64_t chunks_in_use(void)
{
    struct store_class_stats c;
    uint64_t n = 0;

    for (unsigned i = 1; i <= store_class_max(); i++) {
        ck_assert(store_class_stats(i, &c));
        n += c.used_chunks;
    }
    return n;
}

START_TEST(memory_comes_back_from_every_way_to_die)
{
    struct store_key key = key_of("k");
    struct store_attrs attrs = {0};
    char *value = calloc(1, 3 * MIB);
    struct item *it;

    ck_assert_ptr_nonnull(value);
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(
            store_set(&key, &attrs, STORE_SET, value, 3 * MIB, NULL), STORE_OK);
        ck_assert_int_eq(
            store_set(&key, &attrs, STORE_PREPEND, value, 999, NULL), STORE_OK);
        put("k", "small");
    }
    ck_assert_int_eq(store_delete(&key, 0, NULL), STORE_OK);
    ck_assert_int_eq(store_reserve(&key, &attrs, STORE_SET, 2 * MIB, &it),
                     STORE_OK);
    ck_assert_uint_gt(store_room(it, 0).iov_len, 0);
    store_cancel(it);
    ck_assert_uint_eq(chunks_in_use(), 0);
    ck_assert_uint_eq(totals().curr_items, 0);
    ck_assert_uint_eq(totals().bytes, 0);
    free(value);
}
END_TEST

/* ---- full memory ---- */

static void fill(int n, const char *prefix)
{
    char name[32], value[1001];

    memset(value, 'x', 1000);
    value[1000] = '\0';
    for (int i = 0; i < n; i++) {
        (void)snprintf(name, sizeof(name), "%s%d", prefix, i);
        put(name, value);
    }
}

START_TEST(a_full_store_evicts_and_goes_on)
{
    config.memory_limit = 8 * MIB;
    restart();
    fill(20000, "k");
    ck_assert_uint_gt(totals().evictions, 10000);
    ck_assert_uint_gt(totals().curr_items, 6000);
    ck_assert(!holds("k19999", NULL));
}
END_TEST

/* Heads of values in pieces fill their class, where none of them queues. */
START_TEST(a_full_class_of_heads_evicts_too)
{
    char name[32], value[1101];

    config.memory_limit = 64 * MIB;
    config.chunk_max = 1024;
    restart();
    memset(value, 'x', 1100);
    value[1100] = '\0';
    for (int i = 0; i < 60000; i++) {
        (void)snprintf(name, sizeof(name), "key%d", i);
        put(name, value);
    }
    ck_assert_uint_gt(totals().evictions, 1000);
    ck_assert(holds("key59999", value));
}
END_TEST

START_TEST(without_eviction_a_full_store_refuses)
{
    char name[32], value[1001];
    enum store_status status = STORE_OK;

    config.memory_limit = 2 * MIB;
    config.evict = false;
    restart();
    memset(value, 'x', 1000);
    value[1000] = '\0';
    for (int i = 0; i < 4000 && status == STORE_OK; i++) {
        (void)snprintf(name, sizeof(name), "k%d", i);
        status = put_as(name, value, STORE_SET, NULL);
    }
    ck_assert_int_eq(status, STORE_NO_MEMORY);
    ck_assert(!holds("k0", NULL));
    ck_assert_uint_eq(totals().evictions, 0);
}
END_TEST

START_TEST(referenced_items_are_not_evicted)
{
    struct store_key key = key_of("kept");
    struct item *it;

    config.memory_limit = 4 * MIB;
    restart();
    put("kept", "precious");
    it = store_hold(&key, NULL);
    ck_assert(store_ref(it));
    store_release(it);
    for (int i = 0; i < 200000; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "f%d", i);
        put(name, "precious");
    }
    ck_assert_int_eq(memcmp(item_data(it), "precious", 8), 0);
    ck_assert(holds("kept", "precious"));
    store_unref(it);
}
END_TEST

START_TEST(a_change_tells_what_it_found)
{
    struct store_key key = key_of("k");
    struct store_found found;
    uint64_t result;

    ck_assert_int_eq(store_arith(&key, true, 1, &result, NULL, &found),
                     STORE_NOT_FOUND);
    ck_assert_int_eq(found.why, STORE_ABSENT);
    ck_assert_uint_eq(found.slab_class, 0);
    put("k", "1");
    ck_assert_int_eq(store_arith(&key, true, 1, &result, NULL, &found),
                     STORE_OK);
    ck_assert_int_eq(found.why, STORE_HIT);
    ck_assert_uint_eq(found.slab_class, store_class_of(1, 5, 1));
    store_flush(0);
    ck_assert_int_eq(store_delete(&key, 0, &found), STORE_NOT_FOUND);
    ck_assert_int_eq(found.why, STORE_FLUSHED);
    put("k", "1");
    ck_assert_int_eq(store_delete(&key, 0, &found), STORE_OK);
    ck_assert_uint_eq(found.slab_class, store_class_of(1, 5, 1));
}
END_TEST

static bool nod(void *ctx, struct item *it)
{
    size_t *bytes = ctx;

    *bytes += it->nbytes;
    return true;
}

START_TEST(walk_sees_what_is_there)
{
    struct store_cursor cursor = {0};
    size_t seen = 0, bytes = 0;

    fill(5000, "w");
    while (!cursor.done) {
        seen += store_walk(&cursor, 100, nod, &bytes);
    }
    ck_assert_uint_eq(seen, 5000);
    ck_assert_uint_eq(bytes, 5000 * 1000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store");
    TCase *t = tcase_create("store");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, store_fini);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    tcase_add_test(t, set_then_get);
    tcase_add_test(t, modes_store_or_refuse);
    tcase_add_test(t, cas_compares);
    tcase_add_test(t, without_cas_every_cas_is_refused);
    tcase_add_test(t, delete_removes);
    tcase_add_test(t, arithmetic_pads_grows_wraps_and_stops_at_zero);
    tcase_add_test(t, arithmetic_replaces_an_item_that_is_being_read);
    tcase_add_test(t, arithmetic_refuses_what_is_no_number);
    tcase_add_test(t, client_expiry_is_relative_up_to_30_days);
    tcase_add_test(t, get_after_expiry_misses);
    tcase_add_test(t, touch_moves_the_expiry_and_keeps_the_cas);
    tcase_add_test(t, flush_kills_what_was_there_and_not_what_comes);
    tcase_add_test(t, delayed_flush_waits_for_its_second);
    tcase_add_test(t, a_new_flush_replaces_the_delayed_one);
    tcase_add_test(t, sizes_are_refused_as_stock_refuses_them);
    tcase_add_test(t, large_values_are_chained_and_whole);
    tcase_add_test(t, memory_comes_back_from_every_way_to_die);
    tcase_add_test(t, a_full_store_evicts_and_goes_on);
    tcase_add_test(t, a_full_class_of_heads_evicts_too);
    tcase_add_test(t, without_eviction_a_full_store_refuses);
    tcase_add_test(t, referenced_items_are_not_evicted);
    tcase_add_test(t, a_change_tells_what_it_found);
    tcase_add_test(t, walk_sees_what_is_there);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
