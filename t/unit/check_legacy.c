/* Unit tests of rep/legacy: what the lines of a peer of repcached 2.x do to
 * the store. */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/legacy.h"

#define START_MS UINT64_C(1800000000000)
#define NOW      1800000000U
#define U(v)     ((unsigned long long)(v))

static struct rep_floor *floors;
static struct rep_log *rlog;
static struct rep_legacy *l;
static struct rep_legacy_config config;
static struct rep_log_batch batch;
static struct wire_msg control;
static uint64_t pos;

static void setup(void)
{
    struct store_config store = store_config_default();

    clock_freeze(START_MS);
    version_init(VERSION_HYBRID, 3);
    hash_init();
    store.item_size_max = 2 * MIB;
    ck_assert(store_init(&store));
    floors = rep_floor_new(MIB);
    rlog = rep_log_new(MIB, floors);
    store_observe(rep_log_observer(rlog));
    config = (struct rep_legacy_config){.floors = floors, .log = rlog};
    config.reader = rep_log_open(rlog, &pos);
    l = rep_legacy_new(&config);
}

static void begin(uint64_t unlinked_since)
{
    rep_legacy_free(l);
    config.unlinked_since = unlinked_since;
    l = rep_legacy_new(&config);
}

static void teardown(void)
{
    rep_legacy_free(l);
    store_observe(NULL);
    rep_log_free(rlog);
    rep_floor_free(floors);
    store_fini();
}

static enum rep_legacy_status feed_bytes(const char *p, size_t n)
{
    enum rep_legacy_status status;
    size_t used = 0;

    status = rep_legacy_feed(l, p, n, &used, &control);
    if (status == REP_LEGACY_MORE) {
        ck_assert_uint_eq(used, n);
    }
    return status;
}

/* Feeds whole lines, formatted. */
static enum rep_legacy_status PRINTF(1, 2) feed(const char *format, ...)
{
    static char line[4096];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    return feed_bytes(line, (size_t)n);
}

static uint64_t set(const char *name, const char *value)
{
    struct store_key key = store_key(name, strlen(name));
    struct store_attrs attrs = {7, 0};
    uint64_t cas = 0;

    ck_assert_int_eq(
        store_set(&key, &attrs, STORE_SET, value, strlen(value), &cas),
        STORE_OK);
    return cas;
}

static void delete_key(const char *name)
{
    struct store_key key = store_key(name, strlen(name));

    (void)!store_delete(&key, 0, NULL);
}

/* "value flags exptime version" of a key, or "none". */
static const char *get(const char *name)
{
    static char text[256];
    struct store_key key = store_key(name, strlen(name));
    struct item *it = store_hold(&key, NULL);

    if (it == NULL) {
        return "none";
    }
    ck_assert_uint_lt(it->nbytes, 100);
    (void)snprintf(text, sizeof(text), "%.*s %u %u %llu", (int)it->nbytes,
                   item_data(it), item_flags(it), it->exptime, U(it->version));
    store_release(it);
    return text;
}

static const char *state(const char *value, unsigned flags, uint32_t exptime,
                         uint64_t version)
{
    static char text[256];

    (void)snprintf(text, sizeof(text), "%s %u %u %llu", value, flags, exptime,
                   U(version));
    return text;
}

/* Takes what is in the log for the peer since the last call. */
static unsigned to_peer(void)
{
    enum rep_log_status s = rep_log_read(rlog, config.reader, pos, &batch);

    pos = batch.next;
    return s == REP_LOG_OK ? batch.n : 0;
}

/* ---- pieces ---- */

static char *make_rep(const char *key, size_t nbytes, size_t *n)
{
    char *text = malloc(nbytes + 200);
    int head = sprintf(text, "rep %s 5 0 %zu 4711\r\n", key, nbytes);

    for (size_t i = 0; i < nbytes; i++) {
        text[(size_t)head + i] = (char)('a' + i % 23);
    }
    memcpy(text + head + nbytes, "\r\n", 2);
    *n = (size_t)head + nbytes + 2;
    return text;
}

static void ck_value(const char *name, size_t nbytes)
{
    struct store_key key = store_key(name, strlen(name));
    struct item *it = store_hold(&key, NULL);
    char *value = malloc(nbytes + 1);

    ck_assert_ptr_nonnull(it);
    ck_assert_uint_eq(it->nbytes, nbytes);
    item_copy_out(it, 0, value, nbytes);
    store_release(it);
    for (size_t i = 0; i < nbytes; i++) {
        ck_assert_int_eq(value[i], (char)('a' + i % 23));
    }
    free(value);
}

/* Feeds through a buffer that keeps what was not used, `cut` new bytes a
 * time. */
static void feed_cut(const char *text, size_t n, size_t cut)
{
    static char in[REP_LEGACY_BUFFER];
    size_t have = 0, used;

    while (n > 0) {
        size_t part = cut < sizeof(in) - have ? cut : sizeof(in) - have;

        part = part < n ? part : n;
        ck_assert_uint_gt(part, 0); /* the buffer is never stuck */
        memcpy(in + have, text, part);
        have += part;
        text += part;
        n -= part;
        ck_assert_int_eq(rep_legacy_feed(l, in, have, &used, &control),
                         REP_LEGACY_MORE);
        memmove(in, in + used, have - used);
        have -= used;
    }
    ck_assert_uint_eq(have, 0);
}

START_TEST(values_of_all_sizes_arrive_in_any_cut)
{
    static const size_t sizes[] = {
        0,      1,      100, REP_LEGACY_WHOLE_MAX, REP_LEGACY_WHOLE_MAX + 1,
        100000, 1500000};
    static const size_t cuts[] = {1, 7, 4096, REP_LEGACY_BUFFER};

    rep_legacy_copied(l);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (size_t c = sizes[s] > 1000000; c < 4; c++) {
            size_t n;
            char *text = make_rep("key", sizes[s], &n);

            feed_cut(text, n, cuts[c]);
            ck_value("key", sizes[s]);
            free(text);
        }
    }
    ck_assert_int_eq(feed("delete key\r\n"), REP_LEGACY_MORE);
    ck_assert_str_eq(get("key"), "none");
}
END_TEST

START_TEST(a_value_too_large_for_us_removes_the_key)
{
    struct rep_legacy_stats st;
    size_t n;
    char *text = make_rep("k", 3 * 1024 * 1024, &n);

    (void)set("k", "older");
    feed_cut(text, n, 10000);
    free(text);
    ck_assert_str_eq(get("k"), "none");
    ck_assert_uint_gt(rep_floor_get(floors, hash_key_agreed("k", 1)), 0);
    ck_assert_int_eq(feed("rep l 5 0 1 99\r\nx\r\n"), REP_LEGACY_MORE);
    ck_assert(strncmp(get("l"), "x 5", 3) == 0);
    rep_legacy_stats(l, &st);
    ck_assert_uint_eq(st.unstorable, 1);
}
END_TEST

START_TEST(a_broken_end_of_a_large_value_ends_the_link)
{
    size_t n;
    char *text = make_rep("k", 100000, &n);

    text[n - 2] = 'x';
    ck_assert_int_eq(feed_bytes(text, n), REP_LEGACY_BAD);
    free(text);
    ck_assert_str_eq(get("k"), "none");
    rep_legacy_free(l); /* with the half-received item */
    l = NULL;
}
END_TEST

START_TEST(control_lines_go_to_the_caller_in_order)
{
    static const char text[] = "rep k 5 0 1 99\r\nx\r\nmarugoto_end\r\n"
                               "rep l 5 0 1 98\r\ny\r\n";
    size_t used = 0;

    ck_assert_int_eq(
        rep_legacy_feed(l, text, sizeof(text) - 1, &used, &control),
        REP_LEGACY_CONTROL);
    ck_assert_int_eq(control.op, WIRE_END);
    ck_assert(strncmp(get("k"), "x 5", 3) == 0);
    ck_assert_str_eq(get("l"), "none");
    ck_assert_uint_eq(used, strstr(text, "rep l") - text);
    ck_assert_int_eq(feed_bytes(text + used, sizeof(text) - 1 - used),
                     REP_LEGACY_MORE);
    ck_assert(strncmp(get("l"), "y 5", 3) == 0);
    ck_assert_int_eq(feed("repcached3 2 run=1\r\n"), REP_LEGACY_CONTROL);
    ck_assert_int_eq(control.op, WIRE_HELLO);
}
END_TEST

/* ---- the rules ---- */

START_TEST(a_change_is_a_write_of_its_own)
{
    uint64_t before;

    begin(0);
    rep_legacy_copied(l);
    before = set("k", "ours");
    (void)to_peer();
    ck_assert_int_eq(feed("rep k -1 0 6 12\r\ntheirs\r\n"), REP_LEGACY_MORE);
    ck_assert_uint_gt(version_last(), before);
    ck_assert_str_eq(get("k"), state("theirs", UINT32_MAX, 0, version_last()));
    ck_assert_int_eq(feed("delete k\r\n"), REP_LEGACY_MORE);
    ck_assert_str_eq(get("k"), "none");
    ck_assert_uint_eq(to_peer(), 0); /* nothing goes back */
}
END_TEST

START_TEST(our_own_value_come_back_brings_its_expiry_only)
{
    uint64_t v;

    begin(0);
    v = set("k", "ours");
    rep_legacy_copied(l);
    ck_assert_int_eq(feed("rep k 7 %u 4 %u\r\nours\r\n", NOW + 50, (unsigned)v),
                     REP_LEGACY_MORE);
    ck_assert_str_eq(get("k"), state("ours", 7, NOW + 50, v));
}
END_TEST

START_TEST(its_first_copy_replaces_nothing_changed_while_unlinked)
{
    uint64_t since, v;

    (void)set("old", "1");
    (void)set("removed", "1");
    since = version_last();
    v = set("changed", "2");
    delete_key("removed");
    begin(since);
    ck_assert_int_eq(
        feed("rep old 1 0 1 5\r\nx\r\nrep changed 1 0 1 6\r\ny\r\n"
             "rep removed 1 0 1 7\r\nz\r\nrep new 1 0 1 8\r\nw\r\n"),
        REP_LEGACY_MORE);
    ck_assert_str_eq(get("changed"), state("2", 7, 0, v));
    ck_assert_str_eq(get("removed"), "none");
    ck_assert(strncmp(get("old"), "x 1", 3) == 0);
    ck_assert(strncmp(get("new"), "w 1", 3) == 0);
    /* Live, it always wins. */
    rep_legacy_copied(l);
    ck_assert_int_eq(feed("rep changed 1 0 1 6\r\ny\r\n"), REP_LEGACY_MORE);
    ck_assert(strncmp(get("changed"), "y 1", 3) == 0);
}
END_TEST

START_TEST(its_first_copy_does_not_undo_a_flush)
{
    uint64_t since;

    (void)set("k", "1");
    since = version_last();
    store_flush(0);
    begin(since);
    ck_assert_int_eq(feed("rep k 1 0 1 5\r\nx\r\n"), REP_LEGACY_MORE);
    ck_assert_str_eq(get("k"), "none");
}
END_TEST

START_TEST(changes_that_cross_are_settled_by_sending_theirs_back)
{
    begin(0);
    rep_legacy_copied(l);
    (void)set("k", "ours");
    ck_assert_uint_eq(to_peer(), 1);
    rep_legacy_note_sent(l, &batch, 0, batch.n);
    ck_assert_int_eq(feed("rep k 1 0 6 5\r\ntheirs\r\n"), REP_LEGACY_MORE);
    ck_assert_uint_eq(to_peer(), 1);
    ck_assert(strncmp(get("k"), "theirs", 6) == 0);
    /* Long after: no conflict. */
    clock_freeze(START_MS + REP_LEGACY_RECENT_MS);
    ck_assert_int_eq(feed("rep k 1 0 6 6\r\ntheir2\r\n"), REP_LEGACY_MORE);
    ck_assert_uint_eq(to_peer(), 0);
    /* While a scan goes out, any may cross. */
    rep_legacy_note_scan(l);
    ck_assert_int_eq(feed("delete other\r\n"), REP_LEGACY_MORE);
    ck_assert_uint_eq(to_peer(), 1);
}
END_TEST

START_TEST(flushes_are_ours)
{
    begin(0);
    (void)set("k", "1");
    (void)to_peer();
    ck_assert_int_eq(feed("flush_all \r\n"), REP_LEGACY_MORE);
    ck_assert_str_eq(get("k"), "none");
    (void)set("k", "2");
    ck_assert_str_ne(get("k"), "none");
    ck_assert_int_eq(feed("flush_all %u\r\n", NOW + 5), REP_LEGACY_MORE);
    ck_assert_uint_eq(store_flush_time(), NOW + 5);
    ck_assert_str_ne(get("k"), "none");
    ck_assert_uint_eq(to_peer(), 1); /* the set alone */
    clock_freeze(START_MS + 5000);
    store_tick();
    ck_assert_str_eq(get("k"), "none");
}
END_TEST

START_TEST(unknown_lines_and_their_data_are_skipped)
{
    struct rep_legacy_stats st;

    begin(0);
    ck_assert_int_eq(feed("STORED\r\nget a\r\nrep k x 0 9 1\r\ndelete l\n\r\n"
                          "rep l 1 0 1 2\r\ny\r\n"),
                     REP_LEGACY_MORE);
    ck_assert(strncmp(get("l"), "y 1", 3) == 0);
    rep_legacy_stats(l, &st);
    ck_assert_uint_eq(st.skipped, 3);
    ck_assert_uint_eq(st.items, 1);
    ck_assert_uint_eq(st.deletes, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("legacy");
    TCase *t = tcase_create("legacy");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, values_of_all_sizes_arrive_in_any_cut);
    tcase_add_test(t, a_value_too_large_for_us_removes_the_key);
    tcase_add_test(t, a_broken_end_of_a_large_value_ends_the_link);
    tcase_add_test(t, control_lines_go_to_the_caller_in_order);
    tcase_add_test(t, a_change_is_a_write_of_its_own);
    tcase_add_test(t, our_own_value_come_back_brings_its_expiry_only);
    tcase_add_test(t, its_first_copy_replaces_nothing_changed_while_unlinked);
    tcase_add_test(t, its_first_copy_does_not_undo_a_flush);
    tcase_add_test(t, changes_that_cross_are_settled_by_sending_theirs_back);
    tcase_add_test(t, flushes_are_ours);
    tcase_add_test(t, unknown_lines_and_their_data_are_skipped);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
