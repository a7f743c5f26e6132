/* Unit tests of rep/scan: what is given, where it stops, how it goes on. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/log.h"
#include "rep/scan.h"

#define START_MS UINT64_C(1800000000000)
#define NOW      1800000000U
#define IN_48    (UINT64_C(1) << 48)

enum { NAME = 32, MOST = 30000 };

/* What was given, in order. */
struct given {
    char what; /* 'i' item, 'x' expired, 'b' below, 'f' floor */
    char name[NAME];
    uint64_t version, hash;
};

static struct rep_floor *floors;
static struct rep_log *rlog;
static struct given given[MOST];
static unsigned n_given;
static unsigned room; /* of these; then call-backs refuse */

static void start(size_t floor_bytes)
{
    struct store_config config = store_config_default();

    clock_freeze(START_MS);
    version_init(VERSION_HYBRID, 3);
    hash_init();
    ck_assert(store_init(&config));
    floors = rep_floor_new(floor_bytes);
    rlog = rep_log_new(MIB, floors);
    store_observe(rep_log_observer(rlog));
    room = MOST;
    n_given = 0;
}

static void setup(void)
{
    start(MIB);
}

static void teardown(void)
{
    store_observe(NULL);
    rep_log_free(rlog);
    rep_floor_free(floors);
    store_fini();
}

static uint64_t set_until(const char *name, uint32_t exptime)
{
    struct store_key key = store_key(name, strlen(name));
    struct store_attrs attrs = {0, exptime};
    uint64_t cas = 0;

    ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, "x", 1, &cas),
                     STORE_OK);
    return cas;
}

static uint64_t set(const char *name)
{
    return set_until(name, 0);
}

/* Returns the version of the last. */
static uint64_t set_many(const char *prefix, unsigned n)
{
    char name[NAME];
    uint64_t version = 0;

    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(name, sizeof(name), "%s-%u", prefix, i);
        version = set(name);
    }
    return version;
}

/* Floors of hashes that lie all over the table; the version of the first is
 * `from`, then one more each. */
static void raise_many(unsigned n, uint64_t from)
{
    for (unsigned i = 0; i < n; i++) {
        ck_assert(rep_floor_raise(
            floors, hash_key_agreed((const char *)&i, sizeof(i)), from + i));
    }
}

/* ---- the call-backs ----------------------------------------------------- */

static bool take(char what, const char *name, size_t n, uint64_t version,
                 uint64_t hash)
{
    struct given *g = &given[n_given];

    if (n_given == room) {
        return false;
    }
    *g = (struct given){.what = what, .version = version, .hash = hash};
    ck_assert_uint_lt(n, sizeof(g->name));
    memcpy(g->name, name, n);
    n_given++;
    return true;
}

static bool take_item(void *ctx, struct item *it)
{
    ck_assert_ptr_eq(ctx, &room);
    return take('i', item_key(it), it->nkey, it->version, 0);
}

static bool take_expired(void *ctx, struct item *it)
{
    ck_assert_ptr_eq(ctx, &room);
    return take('x', item_key(it), it->nkey, it->version, 0);
}

static bool take_below(void *ctx, struct item *it)
{
    ck_assert_ptr_eq(ctx, &room);
    return take('b', item_key(it), it->nkey, it->version, 0);
}

static bool take_floor(void *ctx, uint64_t hash, uint64_t version)
{
    ck_assert_ptr_eq(ctx, &room);
    return take('f', "", 0, version, hash);
}

static const struct rep_scan_calls without_below = {
    .item = take_item, .expired = take_expired, .floor = take_floor};
static const struct rep_scan_calls with_below = {.item = take_item,
                                                 .expired = take_expired,
                                                 .below = take_below,
                                                 .floor = take_floor};

/* ---- scanning ----------------------------------------------------------- */

static void begin(struct rep_scan *scan, uint64_t before, uint64_t threshold,
                  uint64_t cursor)
{
    const struct rep_scan_plan plan = {
        .before = before, .threshold = threshold, .cursor = cursor};

    n_given = 0;
    rep_scan_begin(scan, &plan);
}

static enum rep_scan_status step(struct rep_scan *scan)
{
    uint64_t before = rep_scan_cursor(scan);
    enum rep_scan_status status =
        rep_scan_step(scan, floors, &without_below, &room);

    ck_assert_uint_ge(rep_scan_cursor(scan), before);
    ck_assert_uint_lt(rep_scan_cursor(scan), IN_48);
    return status;
}

/* To the end; the number of steps. */
static unsigned finish(struct rep_scan *scan)
{
    unsigned steps = 1;

    while (step(scan) == REP_SCAN_MORE) {
        ck_assert_uint_lt(++steps, 100000);
    }
    return steps;
}

static unsigned scan_from(uint64_t threshold)
{
    struct rep_scan scan;

    begin(&scan, REP_SCAN_NONE, threshold, 0);
    return finish(&scan);
}

/* Scans until `most` were given; the cursor of that moment. */
static uint64_t break_off_at(unsigned most)
{
    struct rep_scan scan;

    begin(&scan, REP_SCAN_NONE, 0, 0);
    room = most;
    while (n_given < most) {
        ck_assert_int_eq(step(&scan), REP_SCAN_MORE);
    }
    room = MOST;
    return rep_scan_cursor(&scan);
}

static void scan_below(uint64_t threshold)
{
    const struct rep_scan_plan plan = {
        .before = REP_SCAN_NONE, .threshold = threshold, .walk_all = true};
    struct rep_scan scan;

    n_given = 0;
    rep_scan_begin(&scan, &plan);
    ck_assert_int_eq(rep_scan_step(&scan, floors, &with_below, &room),
                     REP_SCAN_DONE);
}

static unsigned count(char what)
{
    unsigned n = 0;

    for (unsigned i = 0; i < n_given; i++) {
        n += given[i].what == what ? 1U : 0U;
    }
    return n;
}

static int compare(const void *a, const void *b)
{
    const struct given *x = a;
    const struct given *y = b;

    if (x->hash != y->hash) {
        return x->hash < y->hash ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

/* How many different ones; sorts them. */
static unsigned different(void)
{
    unsigned n = n_given > 0 ? 1 : 0;

    qsort(given, n_given, sizeof(given[0]), compare);
    for (unsigned i = 1; i < n_given; i++) {
        n += compare(&given[i - 1], &given[i]) != 0 ? 1U : 0U;
    }
    return n;
}

/* "ia xb ", floors as "f17 " */
static const char *all(void)
{
    static char text[1024];
    size_t len = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < n_given; i++) {
        const struct given *g = &given[i];

        len += (size_t)(g->what == 'f'
                            ? snprintf(text + len, sizeof(text) - len, "f%llu ",
                                       (unsigned long long)g->version)
                            : snprintf(text + len, sizeof(text) - len, "%c%s ",
                                       g->what, g->name));
        ck_assert_uint_lt(len, sizeof(text));
    }
    return text;
}

/* ---- what is given ------------------------------------------------------ */

START_TEST(nothing_is_done_at_once)
{
    ck_assert_uint_eq(scan_from(0), 1);
    ck_assert_str_eq(all(), "");
}
END_TEST

START_TEST(items_from_the_threshold_on)
{
    uint64_t v;

    (void)set("old");
    v = set("new");
    (void)scan_from(v);
    ck_assert_str_eq(all(), "inew ");
    ck_assert_uint_eq(given[0].version, v);
    (void)scan_from(v + 1);
    ck_assert_str_eq(all(), "");
    (void)scan_from(0);
    ck_assert_uint_eq(count('i'), 2);
}
END_TEST

START_TEST(an_expired_item_is_given_as_such)
{
    uint64_t v = set_until("k", NOW + 1);

    clock_freeze(START_MS + 2000);
    (void)scan_from(v);
    ck_assert_str_eq(all(), "xk ");
    (void)scan_from(v + 1);
    ck_assert_str_eq(all(), "");
}
END_TEST

START_TEST(what_a_flush_killed_is_not_given)
{
    (void)set("k");
    store_flush(0);
    (void)scan_from(0);
    ck_assert_str_eq(all(), "");
}
END_TEST

START_TEST(items_below_are_given_alive_and_when_asked_for)
{
    uint64_t v;

    (void)set("dead");
    store_flush(0);
    (void)set_until("expired", NOW + 1);
    (void)set("low");
    v = set("high");
    clock_freeze(START_MS + 2000);
    scan_below(v + 1);
    ck_assert_uint_eq(count('b'), 2);
    ck_assert_uint_eq(n_given, 2);
    scan_below(v);
    ck_assert_uint_eq(count('b'), 1);
    ck_assert_uint_eq(count('i'), 1);
    ck_assert_uint_eq(n_given, 2);
    (void)scan_from(v + 1);
    ck_assert_uint_eq(n_given, 0);
}
END_TEST

START_TEST(floors_from_the_threshold_on)
{
    raise_many(3, 10);
    (void)scan_from(12);
    ck_assert_str_eq(all(), "f12 ");
    (void)scan_from(0);
    ck_assert_uint_eq(count('f'), 3);
    ck_assert_uint_eq(different(), 3);
}
END_TEST

START_TEST(floors_that_the_barrier_tells_are_not_given)
{
    raise_many(1, version_next());
    store_flush(0);
    (void)scan_from(0);
    ck_assert_str_eq(all(), "");
    ck_assert(rep_floor_raise(floors, 77, store_barrier() + 1));
    (void)scan_from(0);
    ck_assert_uint_eq(count('f'), 1);
}
END_TEST

START_TEST(a_threshold_of_none_gives_only_what_is_below)
{
    raise_many(3, 10);
    (void)set("k");
    scan_below(REP_SCAN_NONE);
    ck_assert_str_eq(all(), "bk ");
}
END_TEST

START_TEST(floors_are_left_out_for_those_who_do_not_know_them)
{
    const struct rep_scan_calls no_floors = {.item = take_item,
                                             .expired = take_expired};
    struct rep_scan scan;

    raise_many(3, 10);
    (void)set("k");
    begin(&scan, REP_SCAN_NONE, 0, 0);
    ck_assert_int_eq(rep_scan_step(&scan, floors, &no_floors, &room),
                     REP_SCAN_DONE);
    ck_assert_str_eq(all(), "ik ");
}
END_TEST

/* ---- slices ------------------------------------------------------------- */

START_TEST(many_items_are_given_once_in_slices)
{
    enum { N = 20000 };

    (void)set_many("key", N);
    ck_assert_uint_ge(scan_from(0), N / 4096);
    ck_assert_uint_eq(n_given, N);
    ck_assert_uint_eq(different(), N);
}
END_TEST

START_TEST(floors_are_looked_at_in_slices)
{
    rep_floor_free(floors);
    floors = rep_floor_new(64 * MIB); /* 2^20 lines, nearly all empty */
    raise_many(100, 10);
    ck_assert_uint_ge(scan_from(0), 4);
    ck_assert_uint_eq(n_given, 100);
}
END_TEST

START_TEST(what_is_refused_comes_again)
{
    enum { ITEMS = 500, FLOORS = 500 };
    struct rep_scan scan;

    (void)set_many("key", ITEMS);
    raise_many(FLOORS, 10);
    begin(&scan, REP_SCAN_NONE, 0, 0);
    for (room = 0; step(&scan) == REP_SCAN_MORE; room += 70) {
        ck_assert_uint_lt(room, MOST - 70);
    }
    ck_assert_uint_eq(count('i'), ITEMS); /* floors may come twice */
    ck_assert_uint_eq(different(), ITEMS + FLOORS);
}
END_TEST

START_TEST(an_expired_item_that_is_refused_comes_again)
{
    struct rep_scan scan;

    (void)set_until("k", NOW + 1);
    clock_freeze(START_MS + 2000);
    begin(&scan, REP_SCAN_NONE, 0, 0);
    room = 0;
    ck_assert_int_eq(step(&scan), REP_SCAN_MORE);
    room = 1;
    ck_assert_int_eq(step(&scan), REP_SCAN_DONE);
    ck_assert_str_eq(all(), "xk ");
}
END_TEST

/* ---- going on ----------------------------------------------------------- */

START_TEST(a_scan_goes_on_at_its_cursor)
{
    enum { N = 10000, FLOORS = 100 };
    static const unsigned cuts[] = {1, 5000, N - 1};

    (void)set_many("key", N);
    raise_many(FLOORS, 10);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t cursor = break_off_at(cuts[i]);
        struct rep_scan scan;
        unsigned before = n_given;

        begin(&scan, REP_SCAN_NONE, 0, cursor);
        ck_assert_uint_eq(rep_scan_cursor(&scan), cursor);
        (void)finish(&scan);
        /* Together all; of the stripe where it broke off some twice. */
        ck_assert_uint_ge(before + n_given, N + FLOORS);
        ck_assert_uint_le(before + n_given, N + FLOORS + 100);
    }
}
END_TEST

START_TEST(what_was_given_and_what_follows_is_all)
{
    enum { N = 4000 };
    struct rep_scan scan;
    uint64_t cursor;

    (void)set_many("key", N);
    cursor = break_off_at(N / 2);
    begin(&scan, REP_SCAN_NONE, 0, cursor);
    n_given = N / 2; /* keeps those */
    (void)finish(&scan);
    ck_assert_uint_eq(different(), N);
}
END_TEST

START_TEST(before_the_cursor_only_what_was_lost_since)
{
    enum { N = 2000 };
    uint64_t cursor, last;
    struct rep_scan scan;
    unsigned rest;

    last = set_many("key", N);
    cursor = break_off_at(N / 2);
    begin(&scan, REP_SCAN_NONE, 0, cursor);
    (void)finish(&scan);
    rest = n_given;

    (void)set_many("new", N);
    begin(&scan, last + 1, 0, cursor);
    ck_assert_uint_eq(rep_scan_cursor(&scan), 0);
    (void)finish(&scan);
    ck_assert_uint_eq(different(), rest + N);
}
END_TEST

START_TEST(behind_the_cursor_the_lower_threshold_holds)
{
    uint64_t low = set("low"), high = set("high");
    struct rep_scan scan;

    /* Everything lies behind cursor 0. */
    begin(&scan, low, high, 0);
    ck_assert_uint_eq(scan.plan.threshold, low);
    (void)finish(&scan);
    ck_assert_uint_eq(n_given, 2);
    begin(&scan, high, low, 0);
    ck_assert_uint_eq(scan.plan.threshold, low);
    (void)finish(&scan);
    ck_assert_uint_eq(n_given, 2);
}
END_TEST

START_TEST(a_cursor_among_the_floors_passes_the_items_over)
{
    enum { ITEMS = 100, FLOORS = 2000 };
    struct rep_scan scan;
    uint64_t cursor;

    (void)set_many("key", ITEMS);
    raise_many(FLOORS, 10);
    cursor = break_off_at(ITEMS + FLOORS / 2);
    begin(&scan, REP_SCAN_NONE, 0, cursor);
    ck_assert_uint_eq(rep_scan_cursor(&scan), cursor);
    (void)finish(&scan);
    ck_assert_uint_eq(count('i'), 0);
    ck_assert_uint_ge(count('f'), FLOORS / 2);
    ck_assert_uint_le(count('f'), FLOORS / 2 + 64);
}
END_TEST

START_TEST(a_cursor_among_the_floors_with_something_lost)
{
    enum { ITEMS = 100, FLOORS = 2000 };
    uint64_t lost;
    struct rep_scan scan;
    uint64_t cursor;

    (void)set_many("key", ITEMS);
    raise_many(FLOORS, 10);
    cursor = break_off_at(ITEMS + FLOORS - 70);
    lost = set("lost");
    ck_assert(rep_floor_raise(floors, 1, lost)); /* in the first line */
    begin(&scan, lost, 0, cursor);
    (void)finish(&scan);
    ck_assert_uint_eq(count('i'), 1);
    ck_assert_uint_ge(count('f'), 70 + 1);
    ck_assert_uint_le(count('f'), FLOORS / 2); /* a slice of old ones, too */
}
END_TEST

START_TEST(the_last_cursor_of_all_leaves_nothing)
{
    struct rep_scan scan;
    uint64_t cursor;

    (void)set_many("key", 100);
    raise_many(100, 10);
    begin(&scan, REP_SCAN_NONE, 0, 0);
    (void)finish(&scan);
    cursor = rep_scan_cursor(&scan);
    begin(&scan, REP_SCAN_NONE, 0, cursor);
    ck_assert_int_eq(step(&scan), REP_SCAN_DONE);
    ck_assert_uint_eq(n_given, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("scan");
    TCase *t = tcase_create("scan");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, nothing_is_done_at_once);
    tcase_add_test(t, items_from_the_threshold_on);
    tcase_add_test(t, an_expired_item_is_given_as_such);
    tcase_add_test(t, what_a_flush_killed_is_not_given);
    tcase_add_test(t, items_below_are_given_alive_and_when_asked_for);
    tcase_add_test(t, floors_from_the_threshold_on);
    tcase_add_test(t, floors_that_the_barrier_tells_are_not_given);
    tcase_add_test(t, a_threshold_of_none_gives_only_what_is_below);
    tcase_add_test(t, floors_are_left_out_for_those_who_do_not_know_them);
    tcase_add_test(t, many_items_are_given_once_in_slices);
    tcase_add_test(t, floors_are_looked_at_in_slices);
    tcase_add_test(t, what_is_refused_comes_again);
    tcase_add_test(t, an_expired_item_that_is_refused_comes_again);
    tcase_add_test(t, a_scan_goes_on_at_its_cursor);
    tcase_add_test(t, what_was_given_and_what_follows_is_all);
    tcase_add_test(t, before_the_cursor_only_what_was_lost_since);
    tcase_add_test(t, behind_the_cursor_the_lower_threshold_holds);
    tcase_add_test(t, a_cursor_among_the_floors_passes_the_items_over);
    tcase_add_test(t, a_cursor_among_the_floors_with_something_lost);
    tcase_add_test(t, the_last_cursor_of_all_leaves_nothing);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
