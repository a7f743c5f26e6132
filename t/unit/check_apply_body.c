/* Unit tests of rep/apply: the order of messages, values in parts, and what
 * ends the link. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "store_stats.h"
#include "t/unit/applying.h"

/* ---- order ---- */

/* Around the number of messages that are gathered together. */
START_TEST(control_and_states_keep_their_order)
{
    for (unsigned n = 1; n < 40; n++) {
        struct frame_msg msg;
        char want[128];

        for (unsigned i = 0; i < n; i++) {
            msg = item_msg("k", "x", V(n * 100 + i));
            put(&msg);
        }
        msg = number_msg(FRAME_POSITION, n);
        put(&msg);
        msg = key_msg(FRAME_OFFER, "other", V(99999));
        put(&msg);
        msg = number_msg(FRAME_PING, n);
        put(&msg);
        refuse = 3; /* the ping ends it */
        msg = key_msg(FRAME_DELETE, "k", V(n * 100 + 99));
        put(&msg);
        ck_assert_int_eq(feed(), REP_APPLY_STOPPED);
        (void)snprintf(
            want, sizeof(want), "control - %u; want other %llu; control - %u; ",
            FRAME_POSITION * 1000 + n, U(V(99999)), FRAME_PING * 1000 + n);
        ck_assert_str_eq(heard(), want);
        ck_assert_str_eq(get("k"), state("x", 5, 0, V(n * 100 + n - 1)));
    }
}
END_TEST

START_TEST(every_message_that_is_no_state_goes_to_the_caller)
{
    static const enum frame_type types[] = {
        FRAME_POSITION, FRAME_ACK,  FRAME_SCAN_ACK, FRAME_SCAN_POINT,
        FRAME_COPY_END, FRAME_PING, FRAME_PONG,     FRAME_BUSY,
        FRAME_ERROR,    FRAME_BYE,  FRAME_RESUME};
    struct frame_msg msg = key_msg(FRAME_WANT, "k", V(1));
    char want[64];

    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert_str_eq(heard(), saying("control", "k", FRAME_WANT));
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        msg = number_msg(types[i], 0);
        msg.bytes = (const uint8_t *)"";
        ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
        (void)snprintf(want, sizeof(want), "control - %u; ", types[i] * 1000);
        ck_assert_str_eq(heard(), want);
    }
    msg = (struct frame_msg){
        .type = FRAME_MISSED, .cell = 1, .cells = 64, .version = 1};
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert_str_ne(heard(), "");
}
END_TEST

START_TEST(an_answer_too_many_ends_the_link)
{
    struct frame_msg msg = key_msg(FRAME_OFFER, "a", V(1));

    refuse = 2;
    put(&msg);
    msg.key = "b";
    put(&msg);
    msg = item_msg("k", "x", V(3));
    put(&msg);
    ck_assert_int_eq(feed(), REP_APPLY_BAD);
    ck_assert_str_eq(get("k"), "none");
    miss("a", V(50));
    refuse = 1;
    ck_assert_int_eq(feed_key(FRAME_OFFER, "a", V(9)), REP_APPLY_BAD);
}
END_TEST

/* ---- the lines of -vv ---- */

static char *printed(FILE *to)
{
    static char text[4096];
    size_t n;

    rewind(to);
    n = fread(text, 1, sizeof(text) - 1, to);
    text[n] = '\0';
    return text;
}

START_TEST(each_change_prints_its_line_and_its_answer)
{
    FILE *to = tmpfile();
    int keep = dup(STDERR_FILENO);
    char want[1024];
    struct frame_msg msg;

    ck_assert_ptr_nonnull(to);
    msg = item_msg("k", "x", V(1));
    msg.exptime = NOW + 9;
    put(&msg);
    msg = item_msg("a\n", "yy", V(2));
    msg.bits = FRAME_HAS_CAS | FRAME_B64KEY;
    msg.cas = 4711;
    put(&msg);
    msg = item_msg("k", "old", V(1) - 1);
    put(&msg);
    msg = key_msg(FRAME_DELETE, "k", V(3));
    put(&msg);
    msg = key_msg(FRAME_DELETE, "k", V(3));
    put(&msg);
    msg = (struct frame_msg){.type = FRAME_BARRIER, .version = V(4)};
    put(&msg);
    ck_assert_int_ge(dup2(fileno(to), STDERR_FILENO), 0);
    atomic_store(&log_verbosity, 2);
    ck_assert_int_eq(feed(), REP_APPLY_OK);
    atomic_store(&log_verbosity, 1);
    ck_assert_int_eq(feed_item("quiet", "x", V(5)), REP_APPLY_OK);
    ck_assert_int_ge(dup2(keep, STDERR_FILENO), 0);
    (void)close(keep);
    (void)snprintf(want, sizeof(want),
                   "<7 rep k 5 %u 1 %llu\nREP>7 STORED\n"
                   "<7 rep a? 5 0 2 %llu 4711\nREP>7 STORED\n"
                   "<7 rep k 5 0 3 %llu\nREP>7 NOT_STORED\n"
                   "<7 delete k %llu\nREP>7 DELETED\n"
                   "<7 delete k %llu\nREP>7 NOT_FOUND\n"
                   "<7 flush_all 0 %llu\nREP>7 OK\n",
                   NOW + 9, U(V(1)), U(V(2)), U(V(1) - 1), U(V(3)), U(V(3)),
                   U(V(4)));
    ck_assert_str_eq(printed(to), want);
    (void)fclose(to);
}
END_TEST

/* ---- what ends the link ---- */

START_TEST(a_clock_far_ahead_ends_the_link)
{
    uint64_t edge = version_at_ms(START_MS + REP_APPLY_AHEAD_MS + 1);
    static const enum frame_type types[] = {
        FRAME_DELETE, FRAME_TOUCH, FRAME_OFFER, FRAME_WANT, FRAME_GONE};
    struct frame_msg msg;

    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        msg = item_msg("before", "x", V(i + 1));
        put(&msg);
        ck_assert_int_eq(feed_key(types[i], "k", edge), REP_APPLY_CLOCK);
        ck_assert_str_eq(get("before"), state("x", 5, 0, V(i + 1)));
        ck_assert_str_eq(heard(), "");
    }
    ck_assert_int_eq(feed_item("k", "x", edge), REP_APPLY_CLOCK);
    ck_assert_uint_lt(version_last(), edge);
    ck_assert_str_eq(get("k"), "none");
    ck_assert_int_eq(feed_item("k", "x", edge - 1), REP_APPLY_OK);
}
END_TEST

START_TEST(nonsense_ends_the_link_and_spares_what_came_before)
{
    struct frame_msg msg = item_msg("k", "x", V(1));
    size_t n;

    put(&msg);
    n = frame_end(&out);
    frame_begin(&out, body, sizeof(body), &sender);
    body[n] = 0x7f;
    ck_assert_int_eq(feed_bytes(body + FRAME_HEAD, n + 1 - FRAME_HEAD),
                     REP_APPLY_BAD);
    ck_assert_str_eq(get("k"), state("x", 5, 0, V(1)));
    /* A flush at no second of ours. */
    msg = (struct frame_msg){
        .type = FRAME_FLUSH_AT, .at_ms = 999, .version = V(1)};
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_BAD);
    msg.at_ms = (UINT64_C(1) << 32) * 1000;
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_BAD);
    ck_assert_uint_eq(stats().flushes, 0);
    /* Parts of nothing. */
    body[0] = FRAME_ITEM_CANCEL;
    ck_assert_int_eq(feed_bytes(body, 1), REP_APPLY_BAD);
    memcpy(body, "\x03\x00\x01x", 4);
    ck_assert_int_eq(feed_bytes(body, 4), REP_APPLY_BAD);
}
END_TEST

START_TEST(a_body_cut_short_applies_whole_messages_only)
{
    static uint8_t copy[256];
    struct frame_msg msg = item_msg("a", "xyz", V(1));
    size_t first, n;

    put(&msg);
    first = frame_size(&msg);
    msg = item_msg("b", "xyz", V(2));
    put(&msg);
    n = frame_end(&out) - FRAME_HEAD;
    ck_assert_uint_lt(n, sizeof(copy));
    for (size_t cut = 1; cut <= n; cut++) {
        /* A buffer of just this size, so that a read too far is seen. */
        uint8_t *p = malloc(cut);

        memcpy(p, body + FRAME_HEAD, cut);
        delete_key("a");
        delete_key("b");
        ck_assert_int_eq(feed_bytes(p, cut), cut == first || cut == n
                                                 ? REP_APPLY_OK
                                                 : REP_APPLY_BAD);
        free(p);
        ck_assert_uint_eq(stats().items,
                          (cut >= first ? cut - first + 1 : 0) + (cut == n));
    }
}
END_TEST

/* ---- parts ---- */

static uint8_t *make_value(size_t n)
{
    uint8_t *value = malloc(n + 1);

    for (size_t i = 0; i < n; i++) {
        value[i] = (uint8_t)('a' + i % 23);
    }
    return value;
}

static void ck_value(const char *name, size_t nbytes)
{
    struct store_key key = store_key(name, strlen(name));
    struct item *it = store_hold(&key, NULL);
    uint8_t *value = make_value(nbytes);

    ck_assert_ptr_nonnull(it);
    ck_assert(item_value_equals(it, value, nbytes));
    store_release(it);
    free(value);
}

static struct frame_msg begin_msg(const char *key, size_t nbytes,
                                  uint64_t version)
{
    struct frame_msg msg = item_msg(key, "", version);

    msg.type = FRAME_ITEM_BEGIN;
    msg.nbytes = (uint32_t)nbytes;
    return msg;
}

/* Sends the bytes from `at` to `end` in parts of `cut`, another message
 * between them; every part is a body of its own. */
static enum rep_apply_status feed_parts(size_t at, size_t end, size_t cut)
{
    uint8_t *value = make_value(end);
    enum rep_apply_status status = REP_APPLY_OK;

    while (at < end && status == REP_APPLY_OK) {
        size_t part = end - at < cut ? end - at : cut;
        struct frame_msg msg = number_msg(FRAME_PING, 0);

        put(&msg);
        msg = (struct frame_msg){.type = FRAME_ITEM_PART,
                                 .nbytes = (uint32_t)part,
                                 .bytes = value + at};
        status = feed_one(&msg);
        at += part;
        hush();
    }
    free(value);
    return status;
}

START_TEST(values_of_all_sizes_arrive_in_any_parts)
{
    static const size_t sizes[] = {1, 100, 8192, 100000, 600000, 1500000};
    static const size_t cuts[] = {1, 1000, 60000};

    for (unsigned s = 0; s < 6; s++) {
        for (unsigned c = 0; c < 3; c++) {
            struct frame_msg msg = begin_msg("big", sizes[s], V(1 + s * 3 + c));

            if (cuts[c] == 1 && sizes[s] > 10000) {
                continue;
            }
            msg.bits = FRAME_HAS_CAS | FRAME_STALE;
            msg.cas = 4711 + c;
            ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
            ck_assert_int_eq(feed_parts(0, sizes[s], cuts[c]), REP_APPLY_OK);
            ck_value("big", sizes[s]);
            ck_assert_uint_eq(item_cas_of("big"), 4711 + c);
            ck_assert_uint_eq(item_bits_of("big"), ITEM_STALE);
        }
    }
    ck_assert_uint_eq(to_peer(), 0);
    ck_assert_int_eq(feed_key(FRAME_DELETE, "big", V(99)), REP_APPLY_OK);
    ck_assert_str_eq(get("big"), "none");
}
END_TEST

START_TEST(a_value_in_parts_is_judged_when_it_is_complete)
{
    struct frame_msg msg = begin_msg("k", 100000, V(5));
    struct rep_apply_stats st;

    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert_int_eq(feed_parts(0, 50000, 10000), REP_APPLY_OK);
    ck_assert_int_eq(feed_item("k", "newer", V(6)), REP_APPLY_OK);
    ck_assert_int_eq(feed_parts(50000, 100000, 10000), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), state("newer", 5, 0, V(6)));
    st = stats();
    ck_assert_uint_eq(st.items, 2);
    ck_assert_uint_eq(st.stale, 1);
    ck_assert_uint_eq(to_peer(), 1);
}
END_TEST

/* Of the class that large values lie in. */
static uint64_t chunks_used(void)
{
    struct store_class_stats st;

    ck_assert(store_class_stats(store_class_of(1, 0, 1000000), &st));
    return st.used_chunks;
}

START_TEST(a_value_is_dropped_when_cancelled_or_the_link_ends)
{
    struct frame_msg msg = begin_msg("k", 1000000, V(5));
    struct frame_msg cancel = {.type = FRAME_ITEM_CANCEL};

    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert_int_eq(feed_parts(0, 700000, 50000), REP_APPLY_OK);
    ck_assert_uint_gt(chunks_used(), 0);
    ck_assert_int_eq(feed_one(&cancel), REP_APPLY_OK);
    ck_assert_uint_eq(chunks_used(), 0);
    ck_assert_str_eq(get("k"), "none");
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert_int_eq(feed_parts(0, 700000, 50000), REP_APPLY_OK);
    rep_apply_free(ap);
    ap = NULL;
    ck_assert_uint_eq(chunks_used(), 0);
    ck_assert_str_eq(get("k"), "none");
    ck_assert_uint_eq(floor_of("k"), 0);
}
END_TEST

START_TEST(a_second_value_in_parts_ends_the_link)
{
    struct frame_msg msg = begin_msg("k", 1000, V(5));

    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    sender.left = 0; /* the sender forgets it */
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_BAD);
}
END_TEST

START_TEST(a_value_too_large_for_us_becomes_a_floor)
{
    struct frame_msg msg = begin_msg("k", ITEM_MAX + 1, V(7));

    (void)set("k", "older");
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), "none");
    ck_assert_uint_eq(floor_of("k"), V(7));
    ck_assert_int_eq(feed_parts(0, ITEM_MAX + 1, 60000), REP_APPLY_OK);
    ck_assert_int_eq(feed_item("l", "x", V(8)), REP_APPLY_OK);
    ck_assert_str_eq(get("l"), state("x", 5, 0, V(8)));
    ck_assert_uint_eq(stats().unstorable, 1);
    ck_assert_uint_eq(stats().items, 1);
}
END_TEST

/* The memory goes while the value is on its way. */
START_TEST(a_value_that_memory_ran_out_for_becomes_a_floor)
{
    enum { BIG = 2000000 };
    struct store_config store = store_config_default();
    struct frame_msg msg = begin_msg("k", BIG, V(7));

    store_fini();
    store.item_size_max = ITEM_MAX;
    store.memory_limit = 2 * MIB;
    store.evict = false;
    ck_assert(store_init(&store));
    store_observe(rep_log_observer(rlog));
    ck_assert_int_eq(feed_one(&msg), REP_APPLY_OK);
    ck_assert_int_eq(feed_parts(0, BIG, 60000), REP_APPLY_OK);
    ck_assert_str_eq(get("k"), "none");
    ck_assert_uint_eq(floor_of("k"), V(7));
    ck_assert_uint_eq(stats().unstorable, 1);
    ck_assert_int_eq(feed_item("l", "x", V(8)), REP_APPLY_OK);
    ck_assert_str_eq(get("l"), state("x", 5, 0, V(8)));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("apply_body");
    TCase *t = tcase_create("apply_body");
    TCase *missed = tcase_create("missed");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    suite_add_tcase(s, missed);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_checked_fixture(missed, setup_small, teardown);
    tcase_add_test(t, control_and_states_keep_their_order);
    tcase_add_test(t, every_message_that_is_no_state_goes_to_the_caller);
    tcase_add_test(missed, an_answer_too_many_ends_the_link);
    tcase_add_test(t, a_clock_far_ahead_ends_the_link);
    tcase_add_test(t, nonsense_ends_the_link_and_spares_what_came_before);
    tcase_add_test(t, a_body_cut_short_applies_whole_messages_only);
    tcase_add_test(t, values_of_all_sizes_arrive_in_any_parts);
    tcase_add_test(t, a_value_in_parts_is_judged_when_it_is_complete);
    tcase_add_test(t, a_value_is_dropped_when_cancelled_or_the_link_ends);
    tcase_add_test(t, a_second_value_in_parts_ends_the_link);
    tcase_add_test(t, a_value_too_large_for_us_becomes_a_floor);
    tcase_add_test(t, a_value_that_memory_ran_out_for_becomes_a_floor);
    tcase_add_test(t, each_change_prints_its_line_and_its_answer);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
