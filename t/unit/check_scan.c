/* Unit tests of rep/scan: what goes to a peer, scanned and live. */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/scan.h"

#define START_MS UINT64_C(1800000000000)
#define NOW      1800000000U
#define ROOM     (REP_SCAN_ROOM + 1)

static struct rep_floor *floors;
static struct rep_log *rlog;
static struct rep_peer peer;
static struct rep_out out;
static struct rep_log_batch batch;
static uint64_t pos;
static char buf[ROOM];
static char sent[8 * 1024 * 1024]; /* all that went out, as a string */
static size_t sent_n;

static void setup(void)
{
    struct store_config config = store_config_default();

    clock_freeze(START_MS);
    version_init(VERSION_HYBRID, 3);
    hash_init();
    config.item_size_max = 4 * MIB;
    ck_assert(store_init(&config));
    floors = rep_floor_new(MIB);
    rlog = rep_log_new(MIB, floors);
    store_observe(rep_log_observer(rlog));
    peer = (struct rep_peer){.dialect = WIRE_OURS,
                             .item_size_max = 4 * MIB,
                             .floors = floors,
                             .log = rlog};
    peer.reader = rep_log_open(rlog, &pos);
    ck_assert_int_ge(peer.reader, 0);
    rep_out_init(&out, buf, ROOM);
    sent_n = 0;
}

static void teardown(void)
{
    rep_out_fini(&out);
    store_observe(NULL);
    rep_log_free(rlog);
    rep_floor_free(floors);
    store_fini();
}

static uint64_t set_until(const char *name, const char *value, uint32_t exptime)
{
    struct store_key key = store_key(name, strlen(name));
    struct store_attrs attrs = {7, exptime};
    uint64_t cas = 0;

    ck_assert_int_eq(
        store_set(&key, &attrs, STORE_SET, value, strlen(value), &cas),
        STORE_OK);
    return cas;
}

static uint64_t set(const char *name, const char *value)
{
    return set_until(name, value, 0);
}

static void set_big(const char *name, size_t n)
{
    struct store_key key = store_key(name, strlen(name));
    struct store_attrs attrs = {0, 0};
    char *value = malloc(n);

    for (size_t i = 0; i < n; i++) {
        value[i] = (char)('a' + i % 23);
    }
    ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, value, n, NULL),
                     STORE_OK);
    free(value);
}

static void delete_key(const char *name)
{
    struct store_key key = store_key(name, strlen(name));

    (void)!store_delete(&key, 0, NULL);
}

static void keep(const char *p, size_t n)
{
    ck_assert_uint_lt(sent_n + n, sizeof(sent));
    memcpy(sent + sent_n, p, n);
    sent_n += n;
    sent[sent_n] = '\0';
}

/* Sends what is in the buffer, a large value in pieces of odd sizes. */
static void send_all(void)
{
    keep(out.buf, out.len);
    rep_out_clear(&out);
    while (out.big != NULL) {
        struct iovec iov[2];
        unsigned n = rep_out_value(&out, iov, 2);
        size_t part;

        ck_assert_uint_ge(n, 1);
        part = iov[0].iov_len < 70001 ? iov[0].iov_len : 70001;
        keep(iov[0].iov_base, part);
        rep_out_sent_value(&out, part);
    }
}

static uint64_t scan_from(uint64_t threshold, bool touched, uint64_t flushed)
{
    struct rep_scan scan;
    enum rep_scan_status status;
    int steps = 0;

    sent_n = 0;
    sent[0] = '\0';
    rep_scan_begin(&scan, threshold, touched);
    if (flushed != 0) {
        scan.flushed_since = flushed;
    }
    do {
        status = rep_scan_step(&scan, &peer, &out);
        send_all();
        ck_assert_int_lt(++steps, 100000);
    } while (status == REP_SCAN_MORE);
    return scan.items;
}

static uint64_t scan_all(void)
{
    return scan_from(0, false, 0);
}

static void live(void)
{
    unsigned i = 0;

    sent_n = 0;
    sent[0] = '\0';
    while (rep_log_read(rlog, peer.reader, pos, &batch) == REP_LOG_OK) {
        for (i = 0; !rep_scan_live(&peer, &batch, &i, &out);) {
            send_all();
        }
        send_all();
        pos = batch.next;
    }
}

/* The text as printf makes it is all that was sent. */
static void PRINTF(1, 2) ck_sent(const char *format, ...)
{
    char want[4096];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(want, sizeof(want), format, ap);
    va_end(ap);
    ck_assert_str_eq(sent, want);
}

#define U(v) ((unsigned long long)(v))

START_TEST(scan_of_nothing_sends_nothing)
{
    ck_assert_uint_eq(scan_all(), 0);
    ck_sent("%s", "");
    peer.dialect = WIRE_LEGACY;
    ck_assert_uint_eq(scan_all(), 0);
    ck_sent("%s", "");
}
END_TEST

START_TEST(scan_sends_items_with_their_versions)
{
    uint64_t v = set_until("k", "value", NOW + 100);

    ck_assert_uint_eq(scan_all(), 1);
    ck_sent("rep k 7 %u 5 %llu\r\nvalue\r\n", NOW + 100, U(v));
    peer.dialect = WIRE_LEGACY;
    ck_assert_uint_eq(scan_all(), 1);
    ck_sent("rep k 7 %u 5 %llu\r\nvalue\r\n", NOW + 100, U(v));
}
END_TEST

START_TEST(scan_leaves_out_what_is_below_the_threshold)
{
    uint64_t v;

    (void)set("old", "1");
    v = set("new", "2");
    ck_assert_uint_eq(scan_from(v, false, 0), 1);
    ck_sent("rep new 7 0 1 %llu\r\n2\r\n", U(v));
    ck_assert_uint_eq(scan_from(v + 1, false, 0), 0);
    ck_sent("%s", "");
}
END_TEST

START_TEST(scan_with_the_touch_flag_sends_touched_items_below_it)
{
    uint64_t v = set_until("k", "1", NOW + 10);
    struct store_key key = store_key("k", 1);
    struct item *it = store_touch_hold(&key, NOW + 50, NULL);

    ck_assert_ptr_nonnull(it);
    store_release(it);
    (void)set("other", "2");
    ck_assert_uint_eq(scan_from(UINT64_MAX, true, 0), 1);
    ck_sent("rep k 7 %u 1 %llu\r\n1\r\n", NOW + 50, U(v));
}
END_TEST

START_TEST(scan_of_many_items_sends_each_once)
{
    enum { N = 20000 };
    char name[32];
    const char *p;
    unsigned seen = 0;

    for (unsigned i = 0; i < N; i++) {
        (void)snprintf(name, sizeof(name), "key-%u", i);
        (void)set(name, "x");
    }
    ck_assert_uint_eq(scan_all(), N);
    for (p = sent; (p = strstr(p, "rep key-")) != NULL; p++) {
        seen++;
    }
    ck_assert_uint_eq(seen, N);
}
END_TEST

START_TEST(scan_sends_expired_items_as_deletes)
{
    uint64_t v = set_until("k", "1", NOW + 1);

    clock_freeze(START_MS + 2000);
    ck_assert_uint_eq(scan_all(), 0);
    ck_sent("delete k %llu\r\n", U(v));
    peer.dialect = WIRE_LEGACY;
    ck_assert_uint_eq(scan_all(), 0);
    ck_sent("%s", "");
}
END_TEST

START_TEST(scan_sends_floors_of_what_is_gone)
{
    uint64_t f;

    (void)set("k", "1");
    delete_key("k");
    f = rep_floor_get(floors, hash_key_agreed("k", 1));
    ck_assert_uint_ne(f, 0);
    (void)scan_all();
    ck_sent("floor %016llx %llu\r\n", U(hash_key_agreed("k", 1)), U(f));
    (void)scan_from(f + 1, false, 0);
    ck_sent("%s", "");
    peer.dialect = WIRE_LEGACY;
    (void)scan_all();
    ck_sent("%s", "");
}
END_TEST

START_TEST(scan_sends_the_barrier_first)
{
    uint64_t v;

    (void)set("dead", "1");
    store_flush(0);
    v = set("k", "2");
    (void)scan_all();
    ck_sent("flush_all 0 %llu\r\nrep k 7 0 1 %llu\r\n2\r\n", U(store_barrier()),
            U(v));
}
END_TEST

START_TEST(scan_sends_a_pending_flush)
{
    uint64_t version;
    uint32_t at;

    store_flush(NOW + 60);
    ck_assert(store_flush_pending(&version, &at));
    (void)scan_all();
    ck_sent("flush_all %u %llu\r\n", NOW + 60, U(version));
    peer.dialect = WIRE_LEGACY;
    (void)scan_all();
    ck_sent("flush_all %u\r\n", NOW + 60);
}
END_TEST

START_TEST(legacy_scan_flushes_only_for_a_flush_it_missed)
{
    uint64_t before = version_next();

    peer.dialect = WIRE_LEGACY;
    store_flush(0);
    (void)scan_all(); /* never linked: it has nothing of ours */
    ck_sent("%s", "");
    (void)scan_from(0, false, before);
    ck_sent("%s", "flush_all \r\n");
    (void)scan_from(0, false, store_barrier());
    ck_sent("%s", "");
    /* An overrun that lost the flush's entry. */
    (void)scan_from(store_barrier(), false, 0);
    ck_sent("%s", "flush_all \r\n");
}
END_TEST

START_TEST(items_too_large_for_the_peer_go_as_deletes)
{
    uint64_t v;

    set_big("big", 1100 * 1024);
    peer.item_size_max = MIB;
    (void)scan_all();
    v = version_last();
    ck_sent("delete big %llu\r\n", U(v));
    peer.dialect = WIRE_LEGACY;
    (void)scan_all();
    ck_sent("%s", "delete big\r\n");
}
END_TEST

START_TEST(large_values_go_by_reference_and_whole)
{
    static const size_t sizes[] = {REP_SCAN_COPY_MAX, REP_SCAN_COPY_MAX + 1,
                                   300001, 3 * 1024 * 1024};

    for (size_t s = 0; s < 4; s++) {
        char head[64];
        size_t n;

        set_big("big", sizes[s]);
        ck_assert_uint_eq(scan_all(), 1);
        n = (size_t)snprintf(head, sizeof(head), "rep big 0 0 %zu %llu\r\n",
                             sizes[s], U(version_last()));
        ck_assert_uint_eq(sent_n, n + sizes[s] + 2);
        ck_assert(memcmp(sent, head, n) == 0);
        for (size_t i = 0; i < sizes[s]; i++) {
            ck_assert_int_eq(sent[n + i], (char)('a' + i % 23));
        }
        ck_assert(memcmp(sent + sent_n - 2, "\r\n", 2) == 0);
    }
}
END_TEST

START_TEST(a_large_value_stays_what_it_was_while_it_is_sent)
{
    struct rep_scan scan;
    struct iovec iov[1];
    struct item *it;

    set_big("big", 100000);
    rep_scan_begin(&scan, 0, false);
    (void)!rep_scan_step(&scan, &peer, &out);
    it = out.big;
    ck_assert_ptr_nonnull(it);
    ck_assert_uint_eq(out.big_left, 100002);
    (void)set("big", "small");
    /* Nothing more is written behind it. */
    keep(out.buf, out.len);
    rep_out_clear(&out);
    (void)!rep_scan_step(&scan, &peer, &out);
    ck_assert_uint_eq(out.len, 0);
    ck_assert_uint_eq(rep_out_value(&out, iov, 1), 1);
    ck_assert_int_eq(((char *)iov[0].iov_base)[22], 'w');
    rep_out_fini(&out);
    ck_assert_ptr_null(out.big);
}
END_TEST

START_TEST(live_sends_present_states)
{
    uint64_t v, f;

    (void)set("a", "1");
    (void)set("gone", "1");
    v = set("a", "22");
    delete_key("gone");
    f = version_last();
    live();
    ck_sent("rep a 7 0 2 %llu\r\n22\r\ndelete gone %llu\r\n", U(v), U(f));
    peer.dialect = WIRE_LEGACY;
    (void)set("a", "3");
    delete_key("a");
    live();
    ck_sent("%s", "delete a\r\n");
}
END_TEST

START_TEST(live_sends_deletes_of_absent_keys)
{
    delete_key("never");
    live();
    ck_sent("delete never %llu\r\n", U(version_last()));
}
END_TEST

START_TEST(live_sends_what_expired_as_a_delete)
{
    uint64_t v = set_until("k", "1", NOW + 1);

    clock_freeze(START_MS + 2000);
    live();
    ck_sent("delete k %llu\r\n", U(v));
}
END_TEST

START_TEST(live_counts_no_hit)
{
    struct store_key key = store_key("k", 1);
    struct item *it;

    (void)set("k", "1");
    live();
    (void)scan_all();
    it = store_hold(&key, NULL);
    ck_assert_ptr_nonnull(it);
    ck_assert_int_eq(it->bits & ITEM_FETCHED, 0);
    ck_assert_int_eq(atomic_load(&it->heat) & 3, 0);
    store_release(it);
}
END_TEST

START_TEST(live_sends_flushes)
{
    uint64_t v = set("k", "1"), version;
    uint32_t at;

    store_flush(0);
    live();
    ck_sent("delete k %llu\r\nflush_all 0 %llu\r\n", U(v), U(store_barrier()));
    store_flush(NOW + 60);
    ck_assert(store_flush_pending(&version, &at));
    live();
    ck_sent("flush_all 0 %llu\r\nflush_all %u %llu\r\n", U(store_barrier()),
            NOW + 60, U(version));
}
END_TEST

START_TEST(live_sends_flushes_to_a_legacy_peer)
{
    peer.dialect = WIRE_LEGACY;
    store_flush(0);
    live();
    ck_sent("%s", "flush_all \r\n");
    store_flush(NOW + 60);
    live();
    ck_sent("flush_all %u\r\n", NOW + 60);
    /* Its time came before it was sent. */
    store_flush(NOW + 1);
    clock_freeze(START_MS + 1000);
    store_tick();
    live();
    ck_sent("%s", "flush_all \r\n");
}
END_TEST

START_TEST(a_resend_of_what_is_absent_tells_the_newest_floor)
{
    struct store_key key = store_key("k", 1);

    delete_key("k");
    live();
    rep_log_resend(rlog, peer.reader, &key, 5);
    live();
    ck_sent("delete k %llu\r\n", U(version_last()));
}
END_TEST

START_TEST(a_resend_of_what_a_flush_killed_tells_the_barrier)
{
    struct store_key key = store_key("k", 1);

    store_flush(0);
    live();
    rep_log_resend(rlog, peer.reader, &key, 5);
    live();
    ck_sent("flush_all 0 %llu\r\ndelete k 5\r\n", U(store_barrier()));
}
END_TEST

START_TEST(live_goes_on_after_a_full_buffer)
{
    enum { N = 3000 };
    char name[32];
    unsigned seen = 0;

    for (unsigned i = 0; i < N; i++) {
        (void)snprintf(name, sizeof(name), "key-%u", i);
        (void)set(name, "0123456789012345678901234567890123456789");
    }
    live();
    for (const char *p = sent; (p = strstr(p, "rep key-")) != NULL; p++) {
        seen++;
    }
    ck_assert_uint_eq(seen, N);
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
    tcase_add_test(t, scan_of_nothing_sends_nothing);
    tcase_add_test(t, scan_sends_items_with_their_versions);
    tcase_add_test(t, scan_leaves_out_what_is_below_the_threshold);
    tcase_add_test(t, scan_with_the_touch_flag_sends_touched_items_below_it);
    tcase_add_test(t, scan_of_many_items_sends_each_once);
    tcase_add_test(t, scan_sends_expired_items_as_deletes);
    tcase_add_test(t, scan_sends_floors_of_what_is_gone);
    tcase_add_test(t, scan_sends_the_barrier_first);
    tcase_add_test(t, scan_sends_a_pending_flush);
    tcase_add_test(t, legacy_scan_flushes_only_for_a_flush_it_missed);
    tcase_add_test(t, items_too_large_for_the_peer_go_as_deletes);
    tcase_add_test(t, large_values_go_by_reference_and_whole);
    tcase_add_test(t, a_large_value_stays_what_it_was_while_it_is_sent);
    tcase_add_test(t, live_sends_present_states);
    tcase_add_test(t, live_sends_deletes_of_absent_keys);
    tcase_add_test(t, live_sends_what_expired_as_a_delete);
    tcase_add_test(t, live_counts_no_hit);
    tcase_add_test(t, live_sends_flushes);
    tcase_add_test(t, live_sends_flushes_to_a_legacy_peer);
    tcase_add_test(t, a_resend_of_what_is_absent_tells_the_newest_floor);
    tcase_add_test(t, a_resend_of_what_a_flush_killed_tells_the_barrier);
    tcase_add_test(t, live_goes_on_after_a_full_buffer);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
