/* Unit tests of slot: bytes in any cut become requests, each parsed once. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slot.h"

static struct slot slot;
static struct held *held;

static void set_up(void)
{
    slot = (struct slot){.buf = malloc(SLOT_BYTES)};
    held = NULL;
}

static void tear_down(void)
{
    free(slot.buf);
    free(held);
}

static void look_at(const char *text)
{
    slot_fill(&slot, text, strlen(text));
    slot_look_ahead(&slot, &held);
}

/* As the connection does when all parsed requests have run. */
static void run_all(void)
{
    const struct ahead *last = &slot.ahead[slot.count - 1];

    slot.pos = last->data;
    ck_assert(!last->req.more || slot_hold(&slot, last, true, &held));
}

static void keep_rest(const char *next)
{
    size_t rest = slot.len - slot.pos;
    size_t n = strlen(next);
    char *bytes = malloc(rest + n);

    memcpy(bytes, slot.buf + slot.pos, rest);
    memcpy(bytes + rest, next, n);
    slot_fill(&slot, bytes, rest + n);
    free(bytes);
    slot_look_ahead(&slot, &held);
}

START_TEST(nothing_is_parsed_of_no_bytes)
{
    look_at("");
    ck_assert_uint_eq(slot.count, 0);
    ck_assert_int_eq(slot.status, TEXT_MORE);
}
END_TEST

START_TEST(keyed_requests_are_parsed_in_order)
{
    look_at("get a\r\nset b 0 0 2\r\nxx\r\nincr c 1\r\nget d");
    ck_assert_uint_eq(slot.count, 3);
    ck_assert_int_eq(slot.ahead[0].req.verb, VERB_GET);
    ck_assert_int_eq(slot.ahead[1].req.verb, VERB_SET);
    ck_assert_uint_eq(slot.ahead[1].start, 7);
    ck_assert_mem_eq(slot.buf + slot.ahead[1].data, "xx\r\n", 4);
    ck_assert_int_eq(slot.ahead[2].req.verb, VERB_INCR);
    ck_assert_uint_eq(slot.ahead[2].start, slot.ahead[1].data + 4);
    ck_assert_int_eq(slot.status, TEXT_MORE);
}
END_TEST

START_TEST(look_ahead_stops_behind_what_names_no_key)
{
    look_at("get a\r\nversion\r\nget b\r\n");
    ck_assert_uint_eq(slot.count, 2);
    ck_assert_int_eq(slot.ahead[1].req.verb, VERB_VERSION);
}
END_TEST

START_TEST(look_ahead_stops_behind_data_of_unknown_length)
{
    look_at("get a\r\nset b 0 0 x\r\nget c\r\n");
    ck_assert_uint_eq(slot.count, 2);
    ck_assert(slot.ahead[1].req.hang_up);
}
END_TEST

START_TEST(look_ahead_stops_at_a_value_not_all_there)
{
    look_at("set a 0 0 5\r\nxxxxx\r");
    ck_assert_uint_eq(slot.count, 1);
    ck_assert_uint_eq(slot.ahead[0].data, 13);
    look_at("set a 0 0 4294967295\r\n");
    ck_assert_uint_eq(slot.count, 1);
}
END_TEST

START_TEST(at_most_sixteen_are_parsed_ahead)
{
    char text[40 * 8] = "";

    for (int i = 0; i < 40; i++) {
        memcpy(text + (size_t)i * 7, "get a\r\n", 8);
    }
    look_at(text);
    ck_assert_uint_eq(slot.count, SLOT_AHEAD);
    slot.pos = slot.ahead[SLOT_AHEAD - 1].data;
    slot_look_ahead(&slot, &held);
    ck_assert_uint_eq(slot.count, SLOT_AHEAD);
    ck_assert_uint_eq(slot.ahead[0].start, (size_t)SLOT_AHEAD * 7);
}
END_TEST

START_TEST(endless_line_is_bad)
{
    char text[TEXT_LINE_MAX + 2];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    look_at(text);
    ck_assert_uint_eq(slot.count, 0);
    ck_assert_int_eq(slot.status, TEXT_BAD);
}
END_TEST

START_TEST(held_request_moves_with_its_bytes)
{
    struct ahead a;

    look_at("get x\r\nget key another\r\n");
    a = slot.ahead[1];
    a.req.rest += 3; /* "key" is answered */
    ck_assert(slot_hold(&slot, &a, false, &held));
    slot_fill(&slot, "get key another\r\nget z\r\n", 24);
    slot_look_ahead(&slot, &held);
    ck_assert_uint_eq(slot.count, 1);
    ck_assert_ptr_eq(slot.ahead[0].req.rest, slot.buf + 7);
    ck_assert_ptr_eq(slot.ahead[0].req.end, slot.buf + 15);
    ck_assert_ptr_eq(slot.ahead[0].req.line, slot.buf);
    ck_assert_uint_eq(slot.ahead[0].start, 0);
    ck_assert_uint_eq(slot.ahead[0].data, 17);
}
END_TEST

START_TEST(held_request_without_key_has_none_after_its_move)
{
    look_at("version\r\n");
    slot.ahead[0].req.key = NULL;
    ck_assert(slot_hold(&slot, &slot.ahead[0], false, &held));
    slot_look_ahead(&slot, &held);
    ck_assert_ptr_null(slot.ahead[0].req.key);
}
END_TEST

/* A slot full of one get line, its last key cut. */
static void look_at_long_line(void)
{
    size_t n = 0;

    slot_fill(&slot, NULL, 0);
    n += (size_t)snprintf(slot.buf, SLOT_BYTES, "get   ");
    while (n < SLOT_BYTES) {
        slot.buf[n] = " key"[(n - 6) % 4];
        n++;
    }
    slot.len = n;
    slot_look_ahead(&slot, &held);
}

START_TEST(long_get_runs_in_pieces)
{
    struct request req;
    const char *key;
    size_t nkey;
    size_t keys = 0;

    look_at_long_line();
    ck_assert_uint_eq(slot.count, 1);
    req = slot.ahead[0].req;
    ck_assert(req.more);
    while (text_next_key(&req, &key, &nkey)) {
        ck_assert(nkey == 3 && memcmp(key, "key", 3) == 0);
        keys++;
    }
    ck_assert_uint_eq(keys, (SLOT_BYTES - 6) / 4);
    run_all();
    keep_rest("ey last\r\nversion\r\n");
    ck_assert_uint_eq(slot.count, 1);
    req = slot.ahead[0].req;
    ck_assert_int_eq(req.verb, VERB_GET);
    ck_assert(!req.more);
    ck_assert(text_next_key(&req, &key, &nkey));
    ck_assert_uint_eq(nkey, 3);
    ck_assert(text_next_key(&req, &key, &nkey));
    ck_assert_mem_eq(key, "last", 4);
    ck_assert(!text_next_key(&req, &key, &nkey));
}
END_TEST

START_TEST(long_get_waits_for_a_whole_key)
{
    look_at_long_line();
    run_all();
    keep_rest("e");
    ck_assert_uint_eq(slot.count, 0);
    ck_assert_int_eq(slot.status, TEXT_MORE);
    keep_rest("y\r\n");
    ck_assert_uint_eq(slot.count, 1);
    ck_assert(!slot.ahead[0].req.more);
}
END_TEST

START_TEST(refused_long_get_is_passed_over)
{
    look_at_long_line();
    slot.ahead[0].req.verb = VERB_ERROR; /* as command_run leaves it */
    run_all();
    keep_rest("more keys");
    ck_assert_uint_eq(slot.count, 0);
    ck_assert_uint_eq(slot.pos, slot.len);
    slot_fill(&slot, " to come\r\nversion\r\n", 19);
    slot_look_ahead(&slot, &held);
    ck_assert_ptr_null(held);
    ck_assert_uint_eq(slot.count, 1);
    ck_assert_int_eq(slot.ahead[0].req.verb, VERB_VERSION);
}
END_TEST

START_TEST(key_longer_than_a_slot_is_a_key)
{
    struct request req;
    const char *key;
    size_t nkey;

    slot_fill(&slot, "get ", 4);
    memset(slot.buf + 4, 'k', SLOT_BYTES - 4);
    slot.len = SLOT_BYTES;
    slot_look_ahead(&slot, &held);
    ck_assert_uint_eq(slot.count, 1);
    req = slot.ahead[0].req;
    ck_assert(req.more);
    ck_assert(text_next_key(&req, &key, &nkey));
    ck_assert_uint_gt(nkey, KEY_MAX_LENGTH);
}
END_TEST

START_TEST(slot_of_spaces_is_refused)
{
    slot_fill(&slot, "get", 3);
    memset(slot.buf + 3, ' ', SLOT_BYTES - 3);
    slot.len = SLOT_BYTES;
    slot_look_ahead(&slot, &held);
    ck_assert_uint_eq(slot.count, 1);
    ck_assert_int_eq(slot.ahead[0].req.verb, VERB_ERROR);
    ck_assert_int_eq(slot.ahead[0].req.refusal, REPLY_BAD_FORMAT);
    ck_assert(slot.ahead[0].req.more);
    ck_assert_uint_eq(slot.ahead[0].data, SLOT_BYTES);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("slot");
    TCase *tc = tcase_create("slot");
    SRunner *sr;
    int failed;

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, nothing_is_parsed_of_no_bytes);
    tcase_add_test(tc, keyed_requests_are_parsed_in_order);
    tcase_add_test(tc, look_ahead_stops_behind_what_names_no_key);
    tcase_add_test(tc, look_ahead_stops_behind_data_of_unknown_length);
    tcase_add_test(tc, look_ahead_stops_at_a_value_not_all_there);
    tcase_add_test(tc, at_most_sixteen_are_parsed_ahead);
    tcase_add_test(tc, endless_line_is_bad);
    tcase_add_test(tc, held_request_moves_with_its_bytes);
    tcase_add_test(tc, held_request_without_key_has_none_after_its_move);
    tcase_add_test(tc, long_get_runs_in_pieces);
    tcase_add_test(tc, long_get_waits_for_a_whole_key);
    tcase_add_test(tc, refused_long_get_is_passed_over);
    tcase_add_test(tc, key_longer_than_a_slot_is_a_key);
    tcase_add_test(tc, slot_of_spaces_is_refused);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
