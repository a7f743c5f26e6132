/* Unit tests of rep/say: states of keys as messages. */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/say.h"

#define START_MS UINT64_C(1800000000000)
#define NOW      1800000000U
#define U(v)     ((unsigned long long)(v))
#define V(n)     (version_at_ms(START_MS + 1000) + ((uint64_t)(n) << 8) + 9)
#define ROOM     (256 * KIB)

enum { TEXT = 1024 * 1024, CELLS = 16, READERS = 2 };

static struct rep_floor *floors;
static struct rep_log *rlog;
static struct rep_log_batch batch;
static struct rep_out out;
static struct rep_say say;
static uint8_t buf[ROOM];
static uint64_t missed[CELLS];
static uint64_t pos[READERS];
static int readers[READERS];
static char text[TEXT];
static struct frame_msg last;

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
    rep_log_set_relay(rlog, true);
    store_observe(rep_log_observer(rlog));
    for (int i = 0; i < READERS; i++) {
        readers[i] = rep_log_open(rlog, &pos[i]);
        ck_assert_int_ge(readers[i], 0);
    }
    rep_out_init(&out, buf, ROOM, NULL);
    say = (struct rep_say){.out = &out,
                           .floors = floors,
                           .log = rlog,
                           .item_size_max = MIB,
                           .hops_max = 2,
                           .credit = 10};
}

static void teardown(void)
{
    rep_out_fini(&out);
    store_observe(NULL);
    rep_log_free(rlog);
    rep_floor_free(floors);
    store_fini();
}

/* ---- what was said ------------------------------------------------------ */

static const char *const names[] = {
    [FRAME_ITEM_BEGIN] = "begin",
    [FRAME_DELETE] = "delete",
    [FRAME_TOUCH] = "touch",
    [FRAME_OFFER] = "offer",
};

static void write_down(const struct frame_msg *msg)
{
    size_t n = strlen(text);
    char *p = text + n;
    size_t room = sizeof(text) - n;

    ck_assert_uint_gt(room, 1024);
    if (msg->type == FRAME_ITEM) {
        (void)snprintf(p, room, "item %.*s=%.*s@%llu+%u; ", msg->nkey, msg->key,
                       msg->nbytes < 100 ? (int)msg->nbytes : 0,
                       (const char *)msg->bytes, U(msg->version), msg->hops);
    } else if (msg->type == FRAME_BARRIER) {
        (void)snprintf(p, room, "barrier %llu+%u; ", U(msg->version),
                       msg->hops);
    } else if (msg->type == FRAME_FLUSH_AT) {
        (void)snprintf(p, room, "flush %llu %llu+%u; ", U(msg->at_ms),
                       U(msg->version), msg->hops);
    } else if (msg->type == FRAME_FLOOR) {
        (void)snprintf(p, room, "floor %llx@%llu+%u; ", U(msg->hash),
                       U(msg->version), msg->hops);
    } else {
        (void)snprintf(p, room, "%s %.*s@%llu+%u; ", names[msg->type],
                       msg->nkey, msg->key, U(msg->version), msg->hops);
    }
    last = *msg;
}

/* All that was said since the last look. */
static const char *said(void)
{
    struct frame_stream parts = {0};
    struct frame_batch b;
    struct frame_msg msg;

    rep_out_close(&out);
    text[0] = '\0';
    for (size_t at = 0; at < out.len; at += b.used) {
        ck_assert_int_eq(frame_batch(buf + at, out.len - at, false, &b),
                         FRAME_OK);
        while (frame_next(&b.body, &parts, &msg) == FRAME_OK) {
            write_down(&msg);
        }
    }
    rep_out_clear(&out);
    return text;
}

static void PRINTF(1, 2) ck_said(const char *format, ...)
{
    char want[4096];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(want, sizeof(want), format, ap);
    va_end(ap);
    ck_assert_str_eq(said(), want);
}

/* ---- the store ---------------------------------------------------------- */

static uint64_t set_until(const char *name, const char *value, uint32_t exptime)
{
    struct store_key key = store_key(name, strlen(name));
    struct store_attrs attrs = {0, exptime};
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

static uint64_t set_large(const char *name, size_t n)
{
    static char value[2 * 1024 * 1024];
    struct store_key key = store_key(name, strlen(name));
    struct store_attrs attrs = {0, 0};
    uint64_t cas = 0;

    ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, value, n, &cas),
                     STORE_OK);
    return cas;
}

static void touch(const char *name, uint32_t exptime)
{
    struct store_key key = store_key(name, strlen(name));
    struct item *it = store_touch_hold(&key, exptime, NULL);

    ck_assert_ptr_nonnull(it);
    store_release(it);
}

static void delete_key(const char *name)
{
    struct store_key key = store_key(name, strlen(name));

    (void)!store_delete(&key, 0, NULL);
}

/* What reader 1 sent, over so many links. */
static void receive(const char *name, const char *value, uint64_t version,
                    uint8_t hops)
{
    struct store_key key = store_key(name, strlen(name));
    const struct store_incoming in = {
        .version = version, .source = rep_log_source(readers[1], hops)};

    ck_assert_int_eq(store_apply(&key, &in, value, strlen(value)),
                     STORE_APPLIED);
}

static enum rep_said say_item(const char *name)
{
    struct store_key key = store_key(name, strlen(name));
    struct item *it = store_hold(&key, NULL);
    enum rep_said result;

    ck_assert_ptr_nonnull(it);
    result = rep_say_item(&say, it);
    store_release(it);
    return result;
}

static enum rep_said say_below(const char *name, bool touched)
{
    struct store_key key = store_key(name, strlen(name));
    struct item *it = store_hold(&key, NULL);
    enum rep_said result;

    ck_assert_ptr_nonnull(it);
    result = rep_say_below(&say, it, touched);
    store_release(it);
    return result;
}

/* Says the log to reader 0, up to the first that is not said. */
static enum rep_said live(void)
{
    enum rep_said result = REP_SAID;

    while (result == REP_SAID &&
           rep_log_read(rlog, readers[0], pos[0], &batch) == REP_LOG_OK) {
        for (unsigned i = 0; i < batch.n && result == REP_SAID; i++) {
            rep_say_ahead(&batch, i);
            result = rep_say_entry(&say, &batch.entry[i]);
        }
        pos[0] = batch.next;
    }
    return result;
}

/* The peer missed everything in the cell of this key up to `version`. */
static void miss(const char *name, uint64_t version)
{
    uint64_t hash = hash_key_agreed(name, strlen(name));

    say.cells = CELLS;
    say.missed = missed;
    missed[(hash >> 32) * CELLS >> 32] = version;
}

/* ---- items -------------------------------------------------------------- */

START_TEST(an_item_is_said_with_all_it_has)
{
    struct store_key key = store_key("k", 1);
    const struct store_incoming in = {.attrs = {77, NOW + 100},
                                      .version = V(1),
                                      .cas = 1234,
                                      .bits = ITEM_B64KEY | ITEM_STALE |
                                              ITEM_TOKEN_SENT | ITEM_TOUCHED};

    ck_assert_int_eq(store_apply(&key, &in, "value", 5), STORE_APPLIED);
    ck_assert_int_eq(say_item("k"), REP_SAID);
    ck_said("item k=value@%llu+0; ", U(V(1)));
    ck_assert_uint_eq(last.flags, 77);
    ck_assert_uint_eq(last.exptime, NOW + 100);
    ck_assert_uint_eq(last.cas, 1234);
    ck_assert_uint_eq(last.bits, FRAME_B64KEY | FRAME_STALE | FRAME_TOKEN_SENT |
                                     FRAME_TOUCHED | FRAME_HAS_CAS);
    ck_assert_uint_eq(say.items, 1);
}
END_TEST

START_TEST(a_cas_that_is_the_version_is_left_out)
{
    uint64_t v = set("k", "1");

    ck_assert_int_eq(say_item("k"), REP_SAID);
    ck_said("item k=1@%llu+0; ", U(v));
    ck_assert_uint_eq(last.bits, 0);
}
END_TEST

START_TEST(what_is_too_large_there_is_a_floor)
{
    /* -I counts 59 bytes and the key beside the value. */
    static const size_t fits = 1024 - 59 - 1;
    uint64_t v;

    say.item_size_max = 1024;
    (void)set_large("k", fits);
    ck_assert_int_eq(say_item("k"), REP_SAID);
    (void)said();
    ck_assert_int_eq(last.type, FRAME_ITEM);
    v = set_large("k", fits + 1);
    ck_assert_int_eq(say_item("k"), REP_SAID);
    ck_said("delete k@%llu+0; ", U(v));
    ck_assert_uint_eq(say.removals, 1);
    touch("k", 0);
    ck_assert_int_eq(say_below("k", true), REP_SAID);
    ck_said("%s", "");
}
END_TEST

START_TEST(a_large_value_is_begun_and_a_second_waits)
{
    uint64_t v = set_large("one", 100000);

    (void)set_large("two", 100000);
    (void)set("small", "1");
    ck_assert_int_eq(say_item("one"), REP_SAID);
    ck_said("begin one@%llu+0; ", U(v));
    ck_assert_uint_eq(last.nbytes, 100000);
    ck_assert_int_eq(say_item("two"), REP_SAID_BUSY);
    ck_assert_int_eq(say_item("small"), REP_SAID);
    ck_assert_uint_eq(say.items, 2);
    ck_assert_ptr_nonnull(out.large);
}
END_TEST

START_TEST(a_full_buffer_is_told)
{
    unsigned n = 0;

    (void)set("k", "0123456789");
    touch("k", NOW + 1000);
    while (say_item("k") == REP_SAID) {
        n++;
    }
    ck_assert_uint_gt(n, 1000);
    ck_assert_uint_eq(say.items, n);
    (void)said();
    ck_assert_int_eq(say_item("k"), REP_SAID);
    (void)said();
    while (rep_say_delete(&say, "k", 1, 5, 0)) {
    }
    ck_assert(!rep_say_floor(&say, 1, 5, 0));
    (void)said();
    ck_assert(rep_say_floor(&say, 1, 5, 0));
    ck_said("floor 1@5+0; ");
}
END_TEST

/* ---- missed ------------------------------------------------------------- */

START_TEST(what_was_missed_is_offered)
{
    uint64_t v = set("k", "1");

    miss("k", v);
    ck_assert_int_eq(say_item("k"), REP_SAID);
    ck_said("offer k@%llu+0; ", U(v));
    ck_assert_uint_eq(say.credit, 9);
    ck_assert_int_eq(say_below("k", false), REP_SAID);
    ck_said("offer k@%llu+0; ", U(v));
    miss("k", v - 1);
    ck_assert_int_eq(say_item("k"), REP_SAID);
    ck_said("item k=1@%llu+0; ", U(v));
    ck_assert_int_eq(say_below("k", false), REP_SAID);
    ck_said("%s", "");
}
END_TEST

START_TEST(other_cells_are_not_missed)
{
    uint64_t v = set("k", "1");
    uint64_t hash = hash_key_agreed("k", 1);

    miss("k", 0);
    missed[((hash >> 32) * CELLS >> 32) ^ 1] = v;
    ck_assert_int_eq(say_item("k"), REP_SAID);
    ck_said("item k=1@%llu+0; ", U(v));
}
END_TEST

START_TEST(without_credit_nothing_is_offered)
{
    uint64_t v = set("k", "1");

    miss("k", v);
    say.credit = 0;
    ck_assert_int_eq(say_item("k"), REP_SAID_FULL);
    ck_assert_int_eq(say_below("k", false), REP_SAID_FULL);
    ck_said("%s", "");
    say.credit = 1;
    ck_assert_int_eq(say_item("k"), REP_SAID);
    ck_said("offer k@%llu+0; ", U(v));
    ck_assert_uint_eq(say.credit, 0);
}
END_TEST

START_TEST(below_the_threshold_only_touched_ones_are_said)
{
    uint64_t v = set_until("k", "1", NOW + 10);

    ck_assert_int_eq(say_below("k", true), REP_SAID);
    ck_said("%s", "");
    touch("k", NOW + 500);
    ck_assert_int_eq(say_below("k", false), REP_SAID);
    ck_said("%s", "");
    ck_assert_int_eq(say_below("k", true), REP_SAID);
    ck_said("touch k@%llu+0; ", U(v));
    ck_assert_uint_eq(last.exptime, NOW + 500);
}
END_TEST

/* ---- the log ------------------------------------------------------------ */

START_TEST(the_log_gives_present_states)
{
    uint64_t v, f;

    (void)set("a", "1");
    (void)set("gone", "1");
    v = set("a", "22");
    delete_key("gone");
    f = version_last();
    ck_assert_int_eq(live(), REP_SAID);
    ck_said("item a=22@%llu+0; delete gone@%llu+0; ", U(v), U(f));
}
END_TEST

START_TEST(what_expired_is_told_with_its_version)
{
    uint64_t v = set_until("k", "1", NOW + 1);

    clock_freeze(START_MS + 2000);
    ck_assert_int_eq(live(), REP_SAID);
    ck_said("delete k@%llu+0; ", U(v));
}
END_TEST

START_TEST(a_touch_is_said_without_the_value)
{
    uint64_t v = set_until("k", "1", NOW + 10);

    (void)live();
    (void)said();
    touch("k", NOW + 500);
    ck_assert_int_eq(live(), REP_SAID);
    ck_said("touch k@%llu+0; ", U(v));
    /* With a change before it, the whole state. */
    v = set_until("k", "2", NOW + 10);
    touch("k", NOW + 500);
    ck_assert_int_eq(live(), REP_SAID);
    ck_said("item k=2@%llu+0; ", U(v));
}
END_TEST

START_TEST(a_touch_of_what_is_gone_says_nothing_new)
{
    (void)set_until("k", "1", NOW + 10);
    (void)live();
    (void)said();
    touch("k", NOW + 20);
    clock_freeze(START_MS + 30000); /* it expires, and leaves a floor */
    ck_assert_int_eq(live(), REP_SAID);
    ck_assert_ptr_nonnull(strstr(said(), "delete k@"));
    rep_log_wish(rlog, readers[0],
                 &(struct store_key){"x", 1, hash_key("x", 1)});
    ck_assert_int_eq(live(), REP_SAID);
    ck_said("%s", "");
}
END_TEST

START_TEST(what_came_from_another_peer_is_offered)
{
    receive("k", "theirs", V(1), 1);
    ck_assert_int_eq(live(), REP_SAID);
    ck_said("offer k@%llu+1; ", U(V(1)));
    ck_assert_uint_eq(say.credit, 9);
}
END_TEST

START_TEST(without_credit_the_log_waits)
{
    receive("k", "theirs", V(1), 1);
    say.credit = 0;
    ck_assert_int_eq(live(), REP_SAID_FULL);
    ck_said("%s", "");
}
END_TEST

START_TEST(what_has_passed_many_nodes_goes_no_further)
{
    receive("near", "1", V(1), 2);
    receive("far", "1", V(2), 3);
    ck_assert_int_eq(live(), REP_SAID);
    ck_said("offer near@%llu+2; ", U(V(1)));
}
END_TEST

START_TEST(a_delete_passed_on_keeps_its_hops)
{
    struct store_key key = store_key("k", 1);

    (void)!store_apply_floor(&key, V(1), rep_log_source(readers[1], 2));
    ck_assert_int_eq(live(), REP_SAID);
    ck_said("delete k@%llu+2; ", U(V(1)));
}
END_TEST

START_TEST(a_floor_by_hash_is_passed_on_as_it_is_by_now)
{
    const uint64_t hash = hash_key_agreed("k", 1);

    ck_assert(rep_log_raise_floor(rlog, readers[1], hash, V(1), 2));
    (void)rep_floor_raise(floors, hash, V(3));
    ck_assert(rep_log_raise_floor(rlog, readers[1], 7, V(2), 3)); /* too far */
    ck_assert_int_eq(live(), REP_SAID);
    ck_said("floor %llx@%llu+2; ", U(hash), U(V(3)));
    ck_assert_uint_eq(say.removals, 1);
}
END_TEST

START_TEST(what_was_wanted_is_said_whole)
{
    struct store_key key = store_key("k", 1);

    receive("k", "theirs", V(1), 1);
    ck_assert_int_eq(live(), REP_SAID);
    (void)said();
    miss("k", V(1));
    rep_log_resend(rlog, readers[0], &key, V(1), 1);
    ck_assert_int_eq(live(), REP_SAID);
    ck_said("item k=theirs@%llu+1; ", U(V(1)));
    /* However far it has come; the peer asked for it. */
    rep_log_resend(rlog, readers[0], &key, V(1), 9);
    ck_assert_int_eq(live(), REP_SAID);
    ck_said("item k=theirs@%llu+9; ", U(V(1)));
    /* Together with a change that would be offered. */
    rep_log_resend(rlog, readers[0], &key, V(1), 1);
    receive("k", "newer", V(2), 1);
    ck_assert_int_eq(live(), REP_SAID);
    ck_said("item k=newer@%llu+1; ", U(V(2)));
}
END_TEST

START_TEST(a_resend_of_what_is_absent_tells_the_newest_floor)
{
    struct store_key key = store_key("k", 1);

    delete_key("k");
    (void)live();
    (void)said();
    rep_log_resend(rlog, readers[0], &key, 5, 0);
    ck_assert_int_eq(live(), REP_SAID);
    ck_said("delete k@%llu+0; ", U(version_last()));
}
END_TEST

START_TEST(a_resend_of_what_a_flush_killed_tells_the_barrier)
{
    struct store_key key = store_key("k", 1);

    store_flush(0);
    (void)live();
    (void)said();
    rep_log_resend(rlog, readers[0], &key, 5, 0);
    ck_assert_int_eq(live(), REP_SAID);
    ck_said("barrier %llu+0; delete k@5+0; ", U(store_barrier()));
}
END_TEST

START_TEST(saying_counts_no_hit)
{
    struct store_key key = store_key("k", 1);
    struct item *it;

    (void)set("k", "1");
    (void)live();
    (void)say_item("k");
    it = store_hold(&key, NULL);
    ck_assert_ptr_nonnull(it);
    ck_assert_int_eq(it->bits & ITEM_FETCHED, 0);
    ck_assert_int_eq(atomic_load(&it->heat) & 3, 0);
    store_release(it);
}
END_TEST

/* ---- flushes ------------------------------------------------------------ */

START_TEST(flushes_are_said)
{
    uint64_t version;
    uint32_t at;

    ck_assert(rep_say_flush(&say, 0));
    ck_said("%s", ""); /* there was none */
    store_flush(0);
    ck_assert_int_eq(live(), REP_SAID);
    ck_said("barrier %llu+0; ", U(store_barrier()));
    store_flush(NOW + 60);
    ck_assert(store_flush_pending(&version, &at));
    ck_assert_int_eq(live(), REP_SAID);
    ck_said("barrier %llu+0; flush %llu %llu+0; ", U(store_barrier()),
            U((NOW + 60) * UINT64_C(1000)), U(version));
}
END_TEST

START_TEST(a_flush_carried_out_is_still_told_as_it_was_made)
{
    uint64_t version;
    uint32_t at;

    store_flush(NOW + 1);
    ck_assert(store_flush_pending(&version, &at));
    clock_freeze(START_MS + 1000);
    store_tick();
    ck_assert(rep_say_flush(&say, 2));
    ck_said("barrier %llu+2; flush %llu %llu+2; ", U(store_barrier()),
            U((NOW + 1) * UINT64_C(1000)), U(version));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("say");
    TCase *t = tcase_create("say");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, an_item_is_said_with_all_it_has);
    tcase_add_test(t, a_cas_that_is_the_version_is_left_out);
    tcase_add_test(t, what_is_too_large_there_is_a_floor);
    tcase_add_test(t, a_large_value_is_begun_and_a_second_waits);
    tcase_add_test(t, a_full_buffer_is_told);
    tcase_add_test(t, what_was_missed_is_offered);
    tcase_add_test(t, other_cells_are_not_missed);
    tcase_add_test(t, without_credit_nothing_is_offered);
    tcase_add_test(t, below_the_threshold_only_touched_ones_are_said);
    tcase_add_test(t, the_log_gives_present_states);
    tcase_add_test(t, what_expired_is_told_with_its_version);
    tcase_add_test(t, a_touch_is_said_without_the_value);
    tcase_add_test(t, a_touch_of_what_is_gone_says_nothing_new);
    tcase_add_test(t, what_came_from_another_peer_is_offered);
    tcase_add_test(t, without_credit_the_log_waits);
    tcase_add_test(t, what_has_passed_many_nodes_goes_no_further);
    tcase_add_test(t, a_delete_passed_on_keeps_its_hops);
    tcase_add_test(t, a_floor_by_hash_is_passed_on_as_it_is_by_now);
    tcase_add_test(t, what_was_wanted_is_said_whole);
    tcase_add_test(t, a_resend_of_what_is_absent_tells_the_newest_floor);
    tcase_add_test(t, a_resend_of_what_a_flush_killed_tells_the_barrier);
    tcase_add_test(t, saying_counts_no_hit);
    tcase_add_test(t, flushes_are_said);
    tcase_add_test(t, a_flush_carried_out_is_still_told_as_it_was_made);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
