/* Unit tests of access hints: what is noted, sent, taken and left alone. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/version.h"
#include "rep/hints.h"
#include "store.h"

enum { ROOM = 8192, THREADS = 4, READS = 20000, KEYS = 500 };

#define START_MS UINT64_C(1800000000000)

static struct rep_hints *hints;
static struct mono now;
static uint8_t buf[ROOM];

static void setup_rate(size_t rate)
{
    struct store_config config = store_config_default();

    hash_init();
    clock_freeze(START_MS);
    version_init(VERSION_COUNTING, 0);
    ck_assert(store_init(&config));
    now.ns = UINT64_C(5000000000);
    hints = rep_hints_new(rate);
    ck_assert_ptr_nonnull(hints);
    rep_hints_watch(hints, true);
}

static void setup(void)
{
    setup_rate(REP_HINTS_RATE);
}

static void teardown(void)
{
    rep_hints_free(hints);
    store_fini();
}

static struct store_key key_of(const char *name)
{
    return store_key(name, strlen(name));
}

static void put(const char *name)
{
    struct store_key key = key_of(name);
    struct store_attrs attrs = {0};

    ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, "v", 1, NULL),
                     STORE_OK);
}

static void get(const char *name)
{
    struct store_key key = key_of(name);
    struct item *it = store_hold(&key, NULL);

    ck_assert_ptr_nonnull(it);
    store_hit(it);
    store_release(it);
}

static unsigned hits_of(const char *name)
{
    struct store_key key = key_of(name);
    struct item *it = store_hold(&key, NULL);
    unsigned hits;

    ck_assert_ptr_nonnull(it);
    hits = atomic_load(&it->heat) & 3U;
    store_release(it);
    return hits;
}

static size_t drain(uint64_t after_ms)
{
    now.ns += after_ms * 1000000;
    return rep_hints_drain(hints, now, buf, ROOM);
}

static struct rep_hints_figures figures(void)
{
    struct rep_hints_figures f;

    rep_hints_figures(hints, &f);
    return f;
}

static bool payload_is(size_t n, const char *bytes, size_t len)
{
    return n == len && memcmp(buf, bytes, len) == 0;
}

START_TEST(only_rises_are_noted)
{
    put("k");
    for (int i = 0; i < 100; i++) {
        get("k");
    }
    ck_assert_uint_eq(figures().noted, 3);
    ck_assert_uint_eq(figures().dropped, 0);
}
END_TEST

START_TEST(nothing_is_noted_unwatched)
{
    rep_hints_watch(hints, false);
    put("k");
    get("k");
    ck_assert_uint_eq(figures().noted, 0);
    rep_hints_watch(hints, true);
    get("k");
    ck_assert_uint_eq(figures().noted, 1);
}
END_TEST

START_TEST(writes_are_not_noted)
{
    put("k");
    put("k");
    ck_assert_uint_eq(hits_of("k"), 1);
    ck_assert_uint_eq(figures().noted, 0);
}
END_TEST

START_TEST(a_payload_is_what_the_header_says)
{
    size_t n;

    put("user:17");
    get("user:17");
    n = drain(100);
    ck_assert(payload_is(n, "\1\7\7user:17", 10));
    ck_assert_uint_eq(drain(0), 0);
    ck_assert_uint_eq(figures().bytes, 10 + REP_HINTS_HEAD);
    ck_assert_uint_eq(figures().sent, 1);
}
END_TEST

START_TEST(keys_share_what_they_begin_with)
{
    static const char *const name[] = {"user:17", "user:1", "user:18", "x"};
    size_t len = 1, n;

    for (int i = 0; i < 4; i++) {
        put(name[i]);
        get(name[i]);
        len += strlen(name[i]) + 1;
    }
    n = drain(100);
    ck_assert_uint_gt(n, 1 + 4 * 1 + 6 + 1 + 1 + 1 - 1);
    ck_assert_uint_lt(n, len);
    ck_assert(rep_hints_apply(hints, buf, n, NULL, NULL));
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(hits_of(name[i]), 2);
    }
}
END_TEST

START_TEST(digits_go_in_halves_of_bytes)
{
    size_t n;

    put("0123456789abcdef1");
    get("0123456789abcdef1");
    n = drain(100);
    ck_assert(
        payload_is(n, "\1\x0f\x11\x01\x23\x45\x67\x89\xab\xcd\xef\x10", 12));
    ck_assert(rep_hints_apply(hints, buf, n, NULL, NULL));
    ck_assert_uint_eq(hits_of("0123456789abcdef1"), 2);
}
END_TEST

/* Keys of many shapes, each followed by every other. */
START_TEST(what_was_packed_is_unpacked)
{
    static const char *const part[] = {"",  "0",       "9f",     "abc",
                                       "g", "0123456", "-",      "ffffffff",
                                       "A", "deadbee", "user:1", "00zz"};
    char name[64];
    size_t n;

    for (int i = 0; i < 12 * 12 * 12; i++) {
        (void)snprintf(name, sizeof(name), "k%s%s%s", part[i / 144],
                       part[i / 12 % 12], part[i % 12]);
        put(name);
        get(name);
        get(name);
        if (i % 100 == 99 || i == 12 * 12 * 12 - 1) {
            for (n = drain(100); n > 0; n = drain(0)) {
                ck_assert(rep_hints_apply(hints, buf, n, NULL, NULL));
            }
        }
    }
    ck_assert_uint_eq(figures().absent, 0);
    ck_assert_uint_eq(figures().applied, figures().sent);
    ck_assert_uint_gt(figures().sent, 1000);
}
END_TEST

START_TEST(the_highest_rises_go_first)
{
    size_t n;

    put("a");
    put("b");
    get("a");
    for (int i = 0; i < 3; i++) {
        get("b");
    }
    n = drain(100);
    ck_assert(payload_is(n, "\3\1b", 3));
    n = drain(0);
    ck_assert(payload_is(n, "\2\1b", 3));
    n = drain(0);
    ck_assert_uint_gt(n, 4);
    ck_assert_uint_eq(buf[0], 1);
    ck_assert_uint_eq(drain(0), 0);
}
END_TEST

START_TEST(a_key_goes_once_a_round)
{
    size_t n;

    put("k");
    get("k");
    put("l"); /* keeps nothing of k */
    ck_assert_int_eq(
        store_delete(&(struct store_key){"k", 1, hash_key("k", 1)}, 0, NULL),
        STORE_OK);
    put("k");
    get("k");
    ck_assert_uint_eq(figures().noted, 2);
    n = drain(100);
    ck_assert(payload_is(n, "\1\1k", 3));
    ck_assert_uint_eq(figures().sent, 1);
}
END_TEST

/* What is read faster than the budget allows is dropped, and counted. */
START_TEST(the_budget_holds)
{
    uint64_t bytes = 0;
    char name[32];
    size_t n;

    teardown();
    setup_rate(10000);
    n = drain(1000);
    ck_assert_uint_eq(n, 0);
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(name, sizeof(name), "%d:some key", i * 7919);
        put(name);
        get(name);
        if (i % 20 == 0) {
            for (n = drain(10); n > 0; n = drain(0)) {
                bytes += n + REP_HINTS_HEAD;
            }
        }
    }
    /* 10 s, and at most what a quarter of a second saved up before. */
    ck_assert_uint_le(bytes, 10000 * 10 + 2500);
    ck_assert_uint_ge(bytes, 10000 * 9);
    ck_assert_uint_eq(figures().bytes, bytes);
    ck_assert_uint_gt(figures().dropped, 5000);
    ck_assert_uint_ge(figures().noted + figures().dropped, 20000);
    ck_assert_uint_le(figures().sent + figures().dropped, 20000);
}
END_TEST

/* A round of which only a part fits does not name the same keys each time. */
START_TEST(the_budget_favours_no_key)
{
    bool seen_low = false, seen_high = false;
    char name[260];

    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 10; i++) {
            (void)snprintf(name, sizeof(name), "%c_%d%0200d", 'a' + i, round,
                           i);
            put(name);
            get(name);
        }
        if (rep_hints_drain(hints, now, buf, REP_HINTS_ROOM_MIN) > 0) {
            seen_low = seen_low || buf[3] < 'd';
            seen_high = seen_high || buf[3] > 'f';
        }
        now.ns += 20000000;
    }
    ck_assert(seen_low);
    ck_assert(seen_high);
}
END_TEST

static int absent_n;
static char absent_key[251];

static void on_absent(void *ctx, const char *key, size_t nkey)
{
    ck_assert_ptr_eq(ctx, &absent_n);
    absent_n++;
    memcpy(absent_key, key, nkey);
    absent_key[nkey] = '\0';
}

START_TEST(hints_touch_only_the_hits)
{
    struct store_key key = key_of("k");
    unsigned bits, accessed;
    uint64_t version;
    struct item *it;

    put("k");
    it = store_hold(&key, NULL);
    bits = it->bits;
    accessed = atomic_load(&it->accessed);
    version = it->version;
    store_release(it);
    clock_freeze(START_MS + 5000);
    ck_assert(rep_hints_apply(hints, (const uint8_t *)"\2\1k", 3, NULL, NULL));
    ck_assert_uint_eq(hits_of("k"), 2);
    it = store_hold(&key, NULL);
    ck_assert_uint_eq(it->bits, bits);
    ck_assert_uint_eq(atomic_load(&it->accessed), accessed);
    ck_assert_uint_eq(it->version, version);
    store_release(it);
    ck_assert(rep_hints_apply(hints, (const uint8_t *)"\3\1k", 3, NULL, NULL));
    ck_assert_uint_eq(hits_of("k"), 3);
    ck_assert_uint_eq(figures().applied, 2);
}
END_TEST

START_TEST(hints_raise_no_hints)
{
    put("k");
    ck_assert(rep_hints_apply(hints, (const uint8_t *)"\1\1k", 3, NULL, NULL));
    ck_assert_uint_eq(figures().noted, 0);
    ck_assert_uint_eq(drain(100), 0);
}
END_TEST

START_TEST(what_is_not_here_is_told)
{
    struct store_attrs dead = {.exptime = (uint32_t)(START_MS / 1000) + 1};
    struct store_key key = key_of("ax");

    absent_n = 0;
    put("ay");
    ck_assert_int_eq(store_set(&key, &dead, STORE_SET, "v", 1, NULL), STORE_OK);
    clock_freeze(START_MS + 5000);
    ck_assert(rep_hints_apply(hints, (const uint8_t *)"\1\2ax\x11y", 6,
                              on_absent, &absent_n));
    ck_assert_int_eq(absent_n, 1);
    ck_assert_str_eq(absent_key, "ax");
    ck_assert_uint_eq(figures().absent, 1);
    ck_assert_uint_eq(figures().applied, 1);
}
END_TEST

START_TEST(what_was_absent_is_as_hot_once_it_comes)
{
    struct store_key key = key_of("k"), other = key_of("other");

    absent_n = 0;
    put("other");
    ck_assert(rep_hints_apply(hints, (const uint8_t *)"\3\1k", 3, on_absent,
                              &absent_n));
    ck_assert_int_eq(absent_n, 1);
    put("k");
    rep_hints_arrived(hints, &other);
    rep_hints_arrived(NULL, &key);
    ck_assert_uint_eq(hits_of("k"), 0);
    rep_hints_arrived(hints, &key);
    ck_assert_uint_eq(hits_of("k"), 3);
    ck_assert_uint_eq(hits_of("other"), 0);
    /* Once. */
    ck_assert_int_eq(store_delete(&key, 0, NULL), STORE_OK);
    put("k");
    rep_hints_arrived(hints, &key);
    ck_assert_uint_eq(hits_of("k"), 0);
    ck_assert_uint_eq(figures().noted, 0);
}
END_TEST

static const struct {
    const char *bytes;
    size_t n;
    bool good;
} payloads[] = {
    {"", 0, false},
    {"\1", 1, true}, /* no key: senseless, and harmless */
    {"\0\1k", 3, false},
    {"\4\1k", 3, false},
    {"\1\1k", 3, true},
    {"\1\1", 2, false},
    {"\1\2k", 3, false},
    {"\1\x11k", 3, false},    /* shares with nothing */
    {"\1\0", 2, false},       /* an empty key */
    {"\1\1k\x10", 4, true},   /* the same again */
    {"\1\1k\x20", 4, false},  /* shares more than there is */
    {"\1\1k\x80\1", 5, true}, /* the same again, told in full */
    {"\1\1k\x80\2", 5, false},
    {"\1\1k\x80", 4, false},
    {"\1\1k\xf1m", 5, false}, /* shares less than nothing */
    {"\1\1k\x11l\xf1m", 7, true},
    {"\1\7\1k", 4, true},
    {"\1\7\2k", 4, false},
    {"\1\7", 2, false},
    {"\1\7\0", 3, false},
    {"\1\x0a\x1f", 3, true}, /* in halves */
    {"\1\x0b\x1f\x30", 4, true},
    {"\1\x0b\x1f\x34", 4, false}, /* the last half is nobody's */
    {"\1\x0b\x1f", 3, false},
    {"\1\x0f\3\x1f", 4, false},
};

START_TEST(malformed_payloads_are_refused)
{
    /* In memory of its own size, so that reading beyond it is noticed. */
    uint8_t *copy = malloc(payloads[_i].n + (payloads[_i].n == 0));

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, payloads[_i].bytes, payloads[_i].n);
    ck_assert(rep_hints_apply(hints, copy, payloads[_i].n, NULL, NULL) ==
              payloads[_i].good);
    free(copy);
}
END_TEST

START_TEST(no_key_grows_beyond_250)
{
    uint8_t payload[1 + 2 + 250 + 3] = {1, 7, 250};

    memset(payload + 3, 'k', 250);
    ck_assert(rep_hints_apply(hints, payload, 253, NULL, NULL));
    payload[253] = 0x81;
    payload[254] = 250;
    payload[255] = 'k';
    ck_assert(!rep_hints_apply(hints, payload, 256, NULL, NULL));
    ck_assert_uint_eq(figures().absent, 2);
}
END_TEST

START_TEST(the_longest_key_travels)
{
    char name[251];
    size_t n;

    memset(name, 'x', 250);
    name[250] = '\0';
    put(name);
    get(name);
    now.ns += 1000000000;
    n = rep_hints_drain(hints, now, buf, REP_HINTS_ROOM_MIN);
    ck_assert_uint_eq(n, 253);
    ck_assert(rep_hints_apply(hints, buf, n, NULL, NULL));
    ck_assert_uint_eq(hits_of(name), 2);
}
END_TEST

/* ---- threads ---- */

static atomic_int running;

static void *read_and_delete(void *arg)
{
    unsigned x = *(const unsigned *)arg;
    char name[16];

    for (int i = 0; i < READS; i++) {
        struct store_key key;
        struct item *it;

        x = x * 1103515245U + 12345U;
        (void)snprintf(name, sizeof(name), "k%u", x / 65536 % KEYS);
        key = key_of(name);
        it = store_hold(&key, NULL);
        if (it != NULL) {
            store_hit(it);
            store_release(it);
        }
        if (it == NULL || i % 8 == 0) {
            (void)!store_delete(&key, 0, NULL);
            put(name);
        }
    }
    (void)atomic_fetch_sub(&running, 1);
    return NULL;
}

/* Workers read while this thread drains, applies and changes its mind. */
static void run_workers(void)
{
    unsigned seed[THREADS];
    pthread_t thread[THREADS];
    unsigned turns = 0;

    atomic_store(&running, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        seed[i] = i + 1;
        ck_assert_int_eq(
            pthread_create(&thread[i], NULL, read_and_delete, &seed[i]), 0);
    }
    while (atomic_load(&running) > 0) {
        size_t n = drain(100);

        if (n > 0) {
            ck_assert(rep_hints_apply(hints, buf, n, NULL, NULL));
        }
        (void)figures();
        rep_hints_watch(hints, ++turns % 4 != 0);
    }
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    }
    rep_hints_watch(hints, true);
}

START_TEST(workers_note_while_hints_are_drained_and_applied)
{
    struct rep_hints_figures f = {0};

    /* On a busy machine the workers may be done before this thread has its
     * first turn: then they run again. */
    for (int round = 0; round < 100 && f.sent == 0; round++) {
        run_workers();
        f = figures();
    }
    ck_assert_uint_gt(f.sent, 0);
    ck_assert_uint_le(f.sent, f.noted);
    ck_assert_uint_eq(f.applied + f.absent, f.sent);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hints");
    TCase *t = tcase_create("hints");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    tcase_add_test(t, only_rises_are_noted);
    tcase_add_test(t, nothing_is_noted_unwatched);
    tcase_add_test(t, writes_are_not_noted);
    tcase_add_test(t, a_payload_is_what_the_header_says);
    tcase_add_test(t, keys_share_what_they_begin_with);
    tcase_add_test(t, digits_go_in_halves_of_bytes);
    tcase_add_test(t, what_was_packed_is_unpacked);
    tcase_add_test(t, the_highest_rises_go_first);
    tcase_add_test(t, a_key_goes_once_a_round);
    tcase_add_test(t, the_budget_holds);
    tcase_add_test(t, the_budget_favours_no_key);
    tcase_add_test(t, hints_touch_only_the_hits);
    tcase_add_test(t, hints_raise_no_hints);
    tcase_add_test(t, what_is_not_here_is_told);
    tcase_add_test(t, what_was_absent_is_as_hot_once_it_comes);
    tcase_add_loop_test(t, malformed_payloads_are_refused, 0,
                        (int)(sizeof(payloads) / sizeof(*payloads)));
    tcase_add_test(t, no_key_grows_beyond_250);
    tcase_add_test(t, the_longest_key_travels);
    tcase_add_test(t, workers_note_while_hints_are_drained_and_applied);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
