/* Unit tests of rep/apply: what a peer's lines do to the store. */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/apply.h"
#include "rep/scan.h"

#define START_MS UINT64_C(1800000000000)
#define NOW      1800000000U
#define U(v)     ((unsigned long long)(v))
/* Versions of another node, a little ahead of what we draw. */
#define V(n) (version_at_ms(START_MS + 1000) + ((uint64_t)(n) << 8) + 9)

static struct rep_floor *floors;
static struct rep_log *rlog;
static struct rep_apply *ap;
static struct rep_apply_config config;
static struct rep_sweep sweep;
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
    rep_sweep_init(&sweep, floors);
    config = (struct rep_apply_config){
        .dialect = WIRE_OURS, .floors = floors, .sweep = &sweep, .log = rlog};
    config.reader = rep_log_open(rlog, &pos);
    ap = rep_apply_new(&config);
}

static void use_legacy(uint64_t unlinked_since)
{
    rep_apply_free(ap);
    config.dialect = WIRE_LEGACY;
    config.unlinked_since = unlinked_since;
    ap = rep_apply_new(&config);
}

static void teardown(void)
{
    rep_apply_free(ap);
    store_observe(NULL);
    rep_log_free(rlog);
    rep_floor_free(floors);
    store_fini();
}

static enum rep_apply_status feed_bytes(const char *p, size_t n)
{
    enum rep_apply_status status;
    size_t used = 0;

    status = rep_apply_feed(ap, p, n, &used, &control);
    if (status == REP_APPLY_MORE) {
        ck_assert_uint_eq(used, n);
    }
    return status;
}

/* Feeds whole lines, formatted. */
static enum rep_apply_status PRINTF(1, 2) feed(const char *format, ...)
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

/* ---- OURS ---- */

START_TEST(a_newer_item_is_taken_with_its_version)
{
    (void)set("k", "old");
    ck_assert_int_eq(feed("rep k 5 %u 3 %llu\r\nnew\r\n", NOW + 9, U(V(1))),
                     REP_APPLY_MORE);
    ck_assert_str_eq(get("k"), state("new", 5, NOW + 9, V(1)));
    ck_assert_uint_gt(set("other", "x"), V(1)); /* the clock moved */
}
END_TEST

START_TEST(what_is_applied_is_not_sent_back)
{
    ck_assert_int_eq(feed("rep k 5 0 3 %llu\r\nnew\r\ndelete d %llu\r\n"
                          "flush_all 0 %llu\r\n",
                          U(V(1)), U(V(2)), U(V(3))),
                     REP_APPLY_MORE);
    ck_assert_uint_eq(to_peer(), 0);
    ck_assert_uint_eq(store_barrier(), V(3));
}
END_TEST

START_TEST(an_older_item_makes_ours_go_back)
{
    uint64_t v;

    ck_assert_int_eq(feed("rep k 5 0 3 %llu\r\none\r\n", U(V(1))),
                     REP_APPLY_MORE);
    v = set("k", "ours");
    (void)to_peer();
    ck_assert_int_eq(feed("rep k 5 0 3 %llu\r\ntwo\r\n", U(V(2) - 255)),
                     REP_APPLY_MORE);
    ck_assert_str_eq(get("k"), state("ours", 7, 0, v));
    ck_assert_uint_eq(to_peer(), 1);
    ck_assert_uint_eq(batch.entry[0].target, config.reader + 1);
}
END_TEST

START_TEST(an_item_older_than_our_delete_makes_the_delete_go_back)
{
    struct rep_peer peer = {.dialect = WIRE_OURS,
                            .reader = config.reader,
                            .item_size_max = MIB,
                            .floors = floors,
                            .log = rlog};
    char *buf = malloc(REP_SCAN_ROOM);
    char want[100];
    struct rep_out out;
    unsigned i = 0;
    uint64_t d;

    ck_assert_int_eq(feed("rep k 5 0 3 %llu\r\none\r\n", U(V(1))),
                     REP_APPLY_MORE);
    delete_key("k");
    d = version_last();
    (void)to_peer();
    ck_assert_int_eq(feed("rep k 5 0 3 %llu\r\none\r\n", U(V(1))),
                     REP_APPLY_MORE);
    ck_assert_str_eq(get("k"), "none");
    ck_assert_uint_eq(to_peer(), 1);
    rep_out_init(&out, buf, REP_SCAN_ROOM);
    ck_assert(rep_scan_live(&peer, &batch, &i, &out));
    (void)snprintf(want, sizeof(want), "delete k %llu\r\n", U(d));
    ck_assert_uint_eq(out.len, strlen(want));
    ck_assert(memcmp(buf, want, out.len) == 0);
    free(buf);
}
END_TEST

START_TEST(the_same_item_again_does_nothing)
{
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(feed("rep k 5 0 3 %llu\r\none\r\n", U(V(1))),
                         REP_APPLY_MORE);
        ck_assert_uint_eq(to_peer(), 0);
    }
    ck_assert_str_eq(get("k"), state("one", 5, 0, V(1)));
}
END_TEST

START_TEST(a_delete_removes_what_is_older_only)
{
    uint64_t newer;

    (void)set("k", "old");
    (void)to_peer();
    ck_assert_int_eq(feed("delete k %llu\r\n", U(V(1))), REP_APPLY_MORE);
    ck_assert_str_eq(get("k"), "none");
    ck_assert_uint_eq(rep_floor_get(floors, hash_key_agreed("k", 1)), V(1));
    newer = set("k", "newer");
    (void)to_peer();
    ck_assert_int_eq(feed("delete k %llu\r\n", U(V(1))), REP_APPLY_MORE);
    ck_assert_str_eq(get("k"), state("newer", 7, 0, newer));
    ck_assert_uint_eq(to_peer(), 1); /* ours goes back */
}
END_TEST

START_TEST(a_visible_cas_is_kept_beside_the_version)
{
    struct store_key key = store_key("k", 1);
    struct item *it;

    ck_assert_int_eq(feed("rep k 5 0 3 %llu 4711\r\none\r\n", U(V(1))),
                     REP_APPLY_MORE);
    it = store_hold(&key, NULL);
    ck_assert_ptr_nonnull(it);
    ck_assert_uint_eq(it->version, V(1));
    ck_assert_uint_eq(item_cas(it), 4711);
    store_release(it);
}
END_TEST

START_TEST(expiries_are_shifted_to_our_clock)
{
    rep_apply_free(ap);
    config.expiry_shift = -100;
    ap = rep_apply_new(&config);
    ck_assert_int_eq(feed("rep a 5 %u 1 %llu\r\nx\r\nrep b 5 0 1 %llu\r\ny\r\n"
                          "flush_all %u %llu\r\n",
                          NOW + 500, U(V(1)), U(V(2)), NOW + 600, U(V(3))),
                     REP_APPLY_MORE);
    ck_assert_str_eq(get("a"), state("x", 5, NOW + 400, V(1)));
    ck_assert_str_eq(get("b"), state("y", 5, 0, V(2)));
    /* A flush is not: its barrier has to be the same everywhere. */
    ck_assert_uint_eq(store_flush_time(), NOW + 600);
}
END_TEST

START_TEST(floors_by_hash_refuse_and_remove)
{
    uint64_t kept;

    (void)set("gone", "1");
    kept = set("kept", "2");
    (void)set("newer", "3");
    ck_assert(!rep_sweep_step(&sweep));
    ck_assert_int_eq(feed("floor %016llx %llu\r\nfloor %016llx %llu\r\n",
                          U(hash_key_agreed("gone", 4)), U(V(5)),
                          U(hash_key_agreed("kept", 4)), U(kept)),
                     REP_APPLY_MORE);
    while (rep_sweep_step(&sweep)) {
    }
    ck_assert_str_eq(get("gone"), "none");
    ck_assert_str_eq(get("kept"), state("2", 7, 0, kept));
    ck_assert_str_ne(get("newer"), "none");
    ck_assert_int_eq(feed("rep gone 5 0 1 %llu\r\nx\r\n", U(V(4))),
                     REP_APPLY_MORE);
    ck_assert_str_eq(get("gone"), "none");
}
END_TEST

START_TEST(a_sweep_removes_thousands)
{
    enum { N = 10000 };
    char name[32];
    int turns = 0;

    for (int i = 0; i < N; i++) {
        (void)snprintf(name, sizeof(name), "key-%d", i);
        (void)set(name, "x");
        if (i % 2 == 0) {
            ck_assert_int_eq(feed("floor %016llx %llu\r\n",
                                  U(hash_key_agreed(name, strlen(name))),
                                  U(V(900000 + i))),
                             REP_APPLY_MORE);
        }
    }
    while (rep_sweep_step(&sweep)) {
        ck_assert_int_lt(++turns, 1000);
    }
    for (int i = 0; i < N; i++) {
        (void)snprintf(name, sizeof(name), "key-%d", i);
        /* After the first floor our versions were above theirs: those of
         * odd numbers stay, the others went where the floor was newer. */
        if (i % 2 != 0) {
            ck_assert_str_ne(get(name), "none");
        } else {
            ck_assert_str_eq(get(name), "none");
        }
    }
}
END_TEST

START_TEST(control_lines_go_to_the_caller_in_order)
{
    static const char text[] = "rep k 5 0 1 99\r\nx\r\nping\r\nrep l 5 0 1 "
                               "98\r\ny\r\n";
    size_t used = 0;

    ck_assert_int_eq(
        rep_apply_feed(ap, text, sizeof(text) - 1, &used, &control),
        REP_APPLY_CONTROL);
    ck_assert_int_eq(control.op, WIRE_PING);
    ck_assert_str_eq(get("k"), state("x", 5, 0, 99));
    ck_assert_str_eq(get("l"), "none");
    ck_assert_uint_eq(used, strstr(text, "rep l") - text);
    ck_assert_int_eq(feed_bytes(text + used, sizeof(text) - 1 - used),
                     REP_APPLY_MORE);
    ck_assert_str_eq(get("l"), state("y", 5, 0, 98));
    ck_assert_int_eq(feed("marugoto_end\r\n"), REP_APPLY_CONTROL);
    ck_assert_int_eq(control.op, WIRE_END);
    ck_assert_int_eq(feed("position 7\r\n"), REP_APPLY_CONTROL);
    ck_assert_uint_eq(control.position, 7);
}
END_TEST

START_TEST(nonsense_ends_the_link)
{
    ck_assert_int_eq(feed("delete k\r\n"), REP_APPLY_BAD);
    ck_assert_int_eq(feed("rep k 5 0 1 99\r\nxyz\r\n"), REP_APPLY_BAD);
    /* A version that would drag our clock along. */
    ck_assert_int_eq(
        feed("delete k %llu\r\n",
             U(version_at_ms(START_MS + REP_APPLY_AHEAD_MS + 1000))),
        REP_APPLY_BAD);
    ck_assert_int_eq(
        feed("delete k %llu\r\n",
             U(version_at_ms(START_MS + REP_APPLY_AHEAD_MS - 1000))),
        REP_APPLY_MORE);
}
END_TEST

/* ---- pieces ---- */

static char *make_rep(const char *key, size_t nbytes, uint64_t version,
                      size_t *n)
{
    char *text = malloc(nbytes + 200);
    int head =
        sprintf(text, "rep %s 5 0 %zu %llu\r\n", key, nbytes, U(version));

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
    static char in[REP_APPLY_BUFFER];
    size_t have = 0, used;

    while (n > 0) {
        size_t part = cut < sizeof(in) - have ? cut : sizeof(in) - have;

        part = part < n ? part : n;
        ck_assert_uint_gt(part, 0); /* the buffer is never stuck */
        memcpy(in + have, text, part);
        have += part;
        text += part;
        n -= part;
        ck_assert_int_eq(rep_apply_feed(ap, in, have, &used, &control),
                         REP_APPLY_MORE);
        memmove(in, in + used, have - used);
        have -= used;
    }
    ck_assert_uint_eq(have, 0);
}

START_TEST(values_of_all_sizes_arrive_in_any_cut)
{
    static const size_t sizes[] = {
        0,      1,      100, REP_APPLY_WHOLE_MAX, REP_APPLY_WHOLE_MAX + 1,
        100000, 1500000};
    static const size_t cuts[] = {1, 7, 4096, REP_APPLY_BUFFER};
    uint64_t version = V(1);

    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (size_t c = 0; c < 4; c++) {
            size_t n;
            char *text = make_rep("key", sizes[s], version, &n);

            version += 256;
            feed_cut(text, n, cuts[c]);
            ck_value("key", sizes[s]);
            free(text);
        }
    }
    ck_assert_int_eq(feed("delete key %llu\r\n", U(version)), REP_APPLY_MORE);
    ck_assert_str_eq(get("key"), "none");
}
END_TEST

START_TEST(a_value_too_large_for_us_becomes_a_floor)
{
    struct rep_apply_stats st;
    size_t n;
    char *text = make_rep("k", 3 * 1024 * 1024, V(7), &n);

    (void)set("k", "older");
    feed_cut(text, n, 10000);
    free(text);
    ck_assert_str_eq(get("k"), "none");
    ck_assert_uint_eq(rep_floor_get(floors, hash_key_agreed("k", 1)), V(7));
    ck_assert_int_eq(feed("rep l 5 0 1 99\r\nx\r\n"), REP_APPLY_MORE);
    ck_assert_str_eq(get("l"), state("x", 5, 0, 99));
    rep_apply_stats(ap, &st);
    ck_assert_uint_eq(st.unstorable, 1);
}
END_TEST

START_TEST(a_broken_end_of_a_large_value_ends_the_link)
{
    size_t n;
    char *text = make_rep("k", 100000, V(1), &n);

    text[n - 2] = 'x';
    ck_assert_int_eq(feed_bytes(text, n), REP_APPLY_BAD);
    free(text);
    ck_assert_str_eq(get("k"), "none");
    rep_apply_free(ap); /* with the half-received item */
    ap = NULL;
}
END_TEST

/* ---- LEGACY ---- */

START_TEST(a_legacy_change_is_a_write_of_its_own)
{
    uint64_t before;

    use_legacy(0);
    rep_apply_copied(ap);
    before = set("k", "ours");
    (void)to_peer();
    ck_assert_int_eq(feed("rep k -1 0 6 12\r\ntheirs\r\n"), REP_APPLY_MORE);
    ck_assert_uint_gt(version_last(), before);
    ck_assert_str_eq(get("k"), state("theirs", UINT32_MAX, 0, version_last()));
    ck_assert_int_eq(feed("delete k\r\n"), REP_APPLY_MORE);
    ck_assert_str_eq(get("k"), "none");
    ck_assert_uint_eq(to_peer(), 0); /* nothing goes back */
}
END_TEST

START_TEST(our_own_value_come_back_brings_its_expiry_only)
{
    uint64_t v;

    use_legacy(0);
    v = set("k", "ours");
    rep_apply_copied(ap);
    ck_assert_int_eq(feed("rep k 7 %u 4 %u\r\nours\r\n", NOW + 50, (unsigned)v),
                     REP_APPLY_MORE);
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
    use_legacy(since);
    ck_assert_int_eq(
        feed("rep old 1 0 1 5\r\nx\r\nrep changed 1 0 1 6\r\ny\r\n"
             "rep removed 1 0 1 7\r\nz\r\nrep new 1 0 1 8\r\nw\r\n"),
        REP_APPLY_MORE);
    ck_assert_str_eq(get("changed"), state("2", 7, 0, v));
    ck_assert_str_eq(get("removed"), "none");
    ck_assert(strncmp(get("old"), "x 1", 3) == 0);
    ck_assert(strncmp(get("new"), "w 1", 3) == 0);
    /* Live, it always wins. */
    rep_apply_copied(ap);
    ck_assert_int_eq(feed("rep changed 1 0 1 6\r\ny\r\n"), REP_APPLY_MORE);
    ck_assert(strncmp(get("changed"), "y 1", 3) == 0);
}
END_TEST

START_TEST(its_first_copy_does_not_undo_a_flush)
{
    uint64_t since;

    (void)set("k", "1");
    since = version_last();
    store_flush(0);
    use_legacy(since);
    ck_assert_int_eq(feed("rep k 1 0 1 5\r\nx\r\n"), REP_APPLY_MORE);
    ck_assert_str_eq(get("k"), "none");
}
END_TEST

START_TEST(changes_that_cross_are_settled_by_sending_theirs_back)
{
    use_legacy(0);
    rep_apply_copied(ap);
    (void)set("k", "ours");
    ck_assert_uint_eq(to_peer(), 1);
    rep_apply_note_sent(ap, &batch, 0, batch.n);
    ck_assert_int_eq(feed("rep k 1 0 6 5\r\ntheirs\r\n"), REP_APPLY_MORE);
    ck_assert_uint_eq(to_peer(), 1);
    ck_assert(strncmp(get("k"), "theirs", 6) == 0);
    /* Long after: no conflict. */
    clock_freeze(START_MS + REP_APPLY_RECENT_MS);
    ck_assert_int_eq(feed("rep k 1 0 6 6\r\ntheir2\r\n"), REP_APPLY_MORE);
    ck_assert_uint_eq(to_peer(), 0);
    /* While a scan goes out, any may cross. */
    rep_apply_note_scan(ap);
    ck_assert_int_eq(feed("delete other\r\n"), REP_APPLY_MORE);
    ck_assert_uint_eq(to_peer(), 1);
}
END_TEST

START_TEST(legacy_flushes_are_ours)
{
    use_legacy(0);
    (void)set("k", "1");
    (void)to_peer();
    ck_assert_int_eq(feed("flush_all \r\n"), REP_APPLY_MORE);
    ck_assert_str_eq(get("k"), "none");
    (void)set("k", "2");
    ck_assert_str_ne(get("k"), "none");
    ck_assert_int_eq(feed("flush_all %u\r\n", NOW + 5), REP_APPLY_MORE);
    ck_assert_uint_eq(store_flush_time(), NOW + 5);
    ck_assert_str_ne(get("k"), "none");
    ck_assert_uint_eq(to_peer(), 1); /* the set alone */
    clock_freeze(START_MS + 5000);
    store_tick();
    ck_assert_str_eq(get("k"), "none");
}
END_TEST

START_TEST(legacy_skips_unknown_lines_and_their_data)
{
    struct rep_apply_stats st;

    use_legacy(0);
    ck_assert_int_eq(feed("STORED\r\nget a\r\nrep k x 0 9 1\r\ndelete l\n\r\n"
                          "rep l 1 0 1 2\r\ny\r\n"),
                     REP_APPLY_MORE);
    ck_assert(strncmp(get("l"), "y 1", 3) == 0);
    rep_apply_stats(ap, &st);
    ck_assert_uint_eq(st.skipped, 3);
    ck_assert_uint_eq(st.items, 1);
    ck_assert_uint_eq(st.deletes, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("apply");
    TCase *t = tcase_create("apply");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_newer_item_is_taken_with_its_version);
    tcase_add_test(t, what_is_applied_is_not_sent_back);
    tcase_add_test(t, an_older_item_makes_ours_go_back);
    tcase_add_test(t, an_item_older_than_our_delete_makes_the_delete_go_back);
    tcase_add_test(t, the_same_item_again_does_nothing);
    tcase_add_test(t, a_delete_removes_what_is_older_only);
    tcase_add_test(t, a_visible_cas_is_kept_beside_the_version);
    tcase_add_test(t, expiries_are_shifted_to_our_clock);
    tcase_add_test(t, floors_by_hash_refuse_and_remove);
    tcase_add_test(t, a_sweep_removes_thousands);
    tcase_add_test(t, control_lines_go_to_the_caller_in_order);
    tcase_add_test(t, nonsense_ends_the_link);
    tcase_add_test(t, values_of_all_sizes_arrive_in_any_cut);
    tcase_add_test(t, a_value_too_large_for_us_becomes_a_floor);
    tcase_add_test(t, a_broken_end_of_a_large_value_ends_the_link);
    tcase_add_test(t, a_legacy_change_is_a_write_of_its_own);
    tcase_add_test(t, our_own_value_come_back_brings_its_expiry_only);
    tcase_add_test(t, its_first_copy_replaces_nothing_changed_while_unlinked);
    tcase_add_test(t, its_first_copy_does_not_undo_a_flush);
    tcase_add_test(t, changes_that_cross_are_settled_by_sending_theirs_back);
    tcase_add_test(t, legacy_flushes_are_ours);
    tcase_add_test(t, legacy_skips_unknown_lines_and_their_data);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
