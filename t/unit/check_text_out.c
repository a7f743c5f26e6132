/* Unit tests of rep/text_out: what a repcached 2.x is told. */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/text_out.h"

#define START_MS UINT64_C(1800000000000)
#define NOW      1800000000U
#define ROOM     (REP_TEXT_ROOM + 1)
#define U(v)     ((unsigned long long)(v))

static struct rep_floor *floors;
static struct rep_log *rlog;
static struct rep_text_out out;
static struct rep_log_batch batch;
static uint64_t pos;
static int reader;
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
    reader = rep_log_open(rlog, &pos);
    ck_assert_int_ge(reader, 0);
    rep_text_init(&out, buf, ROOM);
}

static void teardown(void)
{
    rep_text_fini(&out);
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

static char nth(size_t i)
{
    return (char)('a' + i % 23);
}

static uint64_t set_big(const char *name, size_t n)
{
    struct store_key key = store_key(name, strlen(name));
    struct store_attrs attrs = {0, 0};
    char *value = malloc(n);
    uint64_t cas = 0;

    ck_assert_ptr_nonnull(value);
    for (size_t i = 0; i < n; i++) {
        value[i] = nth(i);
    }
    ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, value, n, &cas),
                     STORE_OK);
    free(value);
    return cas;
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
    rep_text_clear(&out);
    while (out.big != NULL) {
        struct iovec iov[2];
        unsigned n = rep_text_value(&out, iov, 2);
        size_t part;

        ck_assert_uint_ge(n, 1);
        part = iov[0].iov_len < 70001 ? iov[0].iov_len : 70001;
        keep(iov[0].iov_base, part);
        rep_text_sent_value(&out, part);
    }
}

static void hush(void)
{
    sent_n = 0;
    sent[0] = '\0';
}

/* Everything that is in the log. */
static void live(void)
{
    hush();
    while (rep_log_read(rlog, reader, pos, &batch) == REP_LOG_OK) {
        for (unsigned i = 0; i < batch.n; i++) {
            while (!rep_text_entry(&out, &batch.entry[i])) {
                send_all();
            }
        }
        send_all();
        pos = batch.next;
    }
}

/* The item of a key, as a scan gives it. */
static bool say(const char *name)
{
    struct store_key key = store_key(name, strlen(name));
    struct item *it = store_hold(&key, NULL);
    bool done;

    ck_assert_ptr_nonnull(it);
    done = rep_text_item(&out, it);
    store_release(it);
    return done;
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

/* ---- items -------------------------------------------------------------- */

START_TEST(an_item_is_rep_with_its_cas)
{
    uint64_t v = set_until("k", "value", NOW + 100);

    ck_assert(say("k"));
    send_all();
    ck_sent("rep k 7 %u 5 %llu\r\nvalue\r\n", NOW + 100, U(v));
    ck_assert_uint_eq(out.items, 1);
    ck_assert_uint_eq(out.removals, 0);
}
END_TEST

START_TEST(its_cas_is_told_when_clients_see_none)
{
    uint64_t v = set_until("k", "value", NOW + 100);

    items_init(false);
    ck_assert(say("k"));
    items_init(true);
    send_all();
    ck_sent("rep k 7 %u 5 %llu\r\nvalue\r\n", NOW + 100, U(v));
}
END_TEST

START_TEST(what_2_x_cannot_take_is_a_delete)
{
    (void)set_big("big", 1100 * 1024);
    ck_assert(say("big"));
    send_all();
    ck_sent("%s", "delete big\r\n");
    ck_assert_uint_eq(out.removals, 1);
    ck_assert_uint_eq(out.items, 0);
}
END_TEST

START_TEST(keys_that_no_line_can_name_are_left_out)
{
    static const char *const names[] = {"a b", "a\r\nflush_all", "a\nb", " "};
    const struct store_key nul = store_key("a\0b", 3);
    const struct store_attrs attrs = {0, 0};
    uint64_t v = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)set(names[i], "1");
        ck_assert(say(names[i]));
    }
    ck_assert_int_eq(store_set(&nul, &attrs, STORE_SET, "1", 1, &v), STORE_OK);
    delete_key(names[0]);
    v = set("tab\tone", "1");
    live();
    ck_sent("rep tab\tone 7 0 1 %llu\r\n1\r\n", U(v));
}
END_TEST

START_TEST(large_values_go_by_reference_and_whole)
{
    static const size_t sizes[] = {REP_TEXT_COPY_MAX, REP_TEXT_COPY_MAX + 1,
                                   300001, 1000 * 1024};
    size_t n = sizes[_i];
    uint64_t v = set_big("big", n);
    unsigned wrong = 0;
    char head[64];
    size_t head_n = (size_t)snprintf(head, sizeof(head),
                                     "rep big 0 0 %zu %llu\r\n", n, U(v));

    ck_assert(say("big"));
    ck_assert_int_eq(out.big != NULL, n > REP_TEXT_COPY_MAX);
    send_all();
    ck_assert_uint_eq(sent_n, head_n + n + 2);
    ck_assert(memcmp(sent, head, head_n) == 0);
    for (size_t i = 0; i < n; i++) {
        wrong += sent[head_n + i] != nth(i) ? 1U : 0U;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert(memcmp(sent + sent_n - 2, "\r\n", 2) == 0);
}
END_TEST

START_TEST(a_large_value_stays_what_it_was_while_it_is_sent)
{
    struct iovec iov[1];

    (void)set_big("big", 100000);
    (void)set("k", "1");
    ck_assert(say("big"));
    ck_assert_uint_eq(out.big_left, 100002);
    (void)set("big", "small");
    /* Nothing more is written behind it. */
    ck_assert(!say("k"));
    ck_assert(!rep_text_end(&out));
    ck_assert(!rep_text_flush(&out, true));
    keep(out.buf, out.len);
    rep_text_clear(&out);
    ck_assert(!say("k"));
    ck_assert_uint_eq(rep_text_value(&out, iov, 1), 1);
    ck_assert_int_eq(((char *)iov[0].iov_base)[22], nth(22));
    rep_text_sent_value(&out, 100001);
    ck_assert_uint_eq(rep_text_value(&out, iov, 1), 1);
    ck_assert_uint_eq(iov[0].iov_len, 1);
    rep_text_sent_value(&out, 1);
    ck_assert_ptr_null(out.big);
    ck_assert(say("k"));
}
END_TEST

START_TEST(an_end_lets_the_value_go)
{
    (void)set_big("big", 100000);
    ck_assert(say("big"));
    rep_text_fini(&out);
    ck_assert_ptr_null(out.big);
    rep_text_fini(&out);
}
END_TEST

START_TEST(a_full_buffer_takes_no_more)
{
    unsigned n = 0;

    (void)set("k", "0123456789");
    while (say("k")) {
        n++;
    }
    ck_assert_uint_le(out.len, ROOM);
    ck_assert_uint_gt(n, 100);
    send_all();
    ck_assert(say("k"));
}
END_TEST

START_TEST(the_end_of_a_copy_is_told)
{
    ck_assert(rep_text_end(&out));
    send_all();
    ck_sent("%s", "marugoto_end\r\n");
}
END_TEST

/* ---- the log ------------------------------------------------------------ */

START_TEST(the_log_gives_present_states)
{
    uint64_t v;

    (void)set("a", "1");
    (void)set("gone", "1");
    v = set("a", "22");
    delete_key("gone");
    live();
    ck_sent("rep a 7 0 2 %llu\r\n22\r\ndelete gone\r\n", U(v));
}
END_TEST

START_TEST(what_is_absent_is_a_delete)
{
    delete_key("never");
    live();
    ck_sent("%s", "delete never\r\n");
}
END_TEST

START_TEST(a_floor_by_hash_is_left_out)
{
    const uint64_t hash = hash_key_agreed("k", 1);
    uint64_t at;
    int other = rep_log_open(rlog, &at);

    rep_log_set_relay(rlog, true);
    ck_assert(rep_log_raise_floor(rlog, other, hash, version_next(), 1));
    delete_key("x");
    live();
    ck_sent("%s", "delete x\r\n");
}
END_TEST

START_TEST(what_expired_is_a_delete)
{
    (void)set_until("k", "1", NOW + 1);
    clock_freeze(START_MS + 2000);
    live();
    ck_sent("%s", "delete k\r\n");
}
END_TEST

START_TEST(a_touch_brings_the_item)
{
    uint64_t v = set_until("k", "1", NOW + 10);
    struct store_key key = store_key("k", 1);
    struct item *it;

    live();
    it = store_touch_hold(&key, NOW + 50, NULL);
    ck_assert_ptr_nonnull(it);
    store_release(it);
    live();
    ck_sent("rep k 7 %u 1 %llu\r\n1\r\n", NOW + 50, U(v));
}
END_TEST

START_TEST(saying_counts_no_hit)
{
    struct store_key key = store_key("k", 1);
    struct item *it;

    (void)set("k", "1");
    live();
    ck_assert(say("k"));
    it = store_hold(&key, NULL);
    ck_assert_ptr_nonnull(it);
    ck_assert_int_eq(it->bits & ITEM_FETCHED, 0);
    ck_assert_int_eq(atomic_load(&it->heat) & 3, 0);
    store_release(it);
}
END_TEST

START_TEST(the_log_goes_on_after_a_full_buffer)
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

/* ---- flushes ------------------------------------------------------------ */

START_TEST(a_flush_is_told)
{
    store_flush(0);
    live();
    ck_sent("%s", "flush_all \r\n");
}
END_TEST

START_TEST(a_flush_to_come_is_told_with_its_second)
{
    store_flush(NOW + 60);
    live();
    ck_sent("flush_all %u\r\n", NOW + 60);
    ck_assert(rep_text_flush(&out, false));
    send_all();
    ck_sent("flush_all %u\r\nflush_all %u\r\n", NOW + 60, NOW + 60);
}
END_TEST

START_TEST(a_flush_whose_time_came_unsaid_is_told_as_one_now)
{
    store_flush(NOW + 1);
    clock_freeze(START_MS + 1000);
    store_tick();
    live();
    ck_sent("%s", "flush_all \r\n");
}
END_TEST

START_TEST(a_flush_that_was_told_before_is_not_told_again)
{
    store_flush(NOW + 1);
    live();
    ck_sent("flush_all %u\r\n", NOW + 1);
    clock_freeze(START_MS + 1000);
    store_tick(); /* 2.x has a clock, too */
    live();
    ck_sent("%s", "");
}
END_TEST

START_TEST(a_flush_before_one_to_come)
{
    store_flush(0);
    store_flush(NOW + 60);
    live();
    ck_assert_ptr_nonnull(strstr(sent, "flush_all \r\n"));
    ck_assert_ptr_nonnull(strstr(sent, "flush_all 1800000060\r\n"));
    hush();
    ck_assert(rep_text_flush(&out, true));
    send_all();
    ck_sent("flush_all \r\nflush_all %u\r\n", NOW + 60);
}
END_TEST

START_TEST(without_a_flush_nothing_is_told_of_one)
{
    ck_assert(rep_text_flush(&out, false));
    send_all();
    ck_sent("%s", "");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("text_out");
    TCase *t = tcase_create("text_out");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, an_item_is_rep_with_its_cas);
    tcase_add_test(t, its_cas_is_told_when_clients_see_none);
    tcase_add_test(t, what_2_x_cannot_take_is_a_delete);
    tcase_add_loop_test(t, large_values_go_by_reference_and_whole, 0, 4);
    tcase_add_test(t, keys_that_no_line_can_name_are_left_out);
    tcase_add_test(t, a_large_value_stays_what_it_was_while_it_is_sent);
    tcase_add_test(t, an_end_lets_the_value_go);
    tcase_add_test(t, a_full_buffer_takes_no_more);
    tcase_add_test(t, the_end_of_a_copy_is_told);
    tcase_add_test(t, the_log_gives_present_states);
    tcase_add_test(t, what_is_absent_is_a_delete);
    tcase_add_test(t, a_floor_by_hash_is_left_out);
    tcase_add_test(t, what_expired_is_a_delete);
    tcase_add_test(t, a_touch_brings_the_item);
    tcase_add_test(t, saying_counts_no_hit);
    tcase_add_test(t, the_log_goes_on_after_a_full_buffer);
    tcase_add_test(t, a_flush_is_told);
    tcase_add_test(t, a_flush_to_come_is_told_with_its_second);
    tcase_add_test(t, a_flush_whose_time_came_unsaid_is_told_as_one_now);
    tcase_add_test(t, a_flush_that_was_told_before_is_not_told_again);
    tcase_add_test(t, a_flush_before_one_to_come);
    tcase_add_test(t, without_a_flush_nothing_is_told_of_one);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
