/* Unit tests of rep/wire. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "rep/wire.h"

static struct wire_msg msg;
static size_t used;

static enum wire_status parse(const char *line)
{
    used = 0;
    return wire_parse(line, strlen(line), &msg, &used);
}

static void ck_line(const char *buf, const char *end, const char *want)
{
    ck_assert_uint_eq((size_t)(end - buf), strlen(want));
    ck_assert(memcmp(buf, want, strlen(want)) == 0);
}

/* ---- 2.x ---- */

START_TEST(legacy_rep_has_five_arguments)
{
    const char *line = "rep t 7 1795171083 1 2\r\nx\r\n";

    ck_assert_int_eq(parse(line), WIRE_OK);
    ck_assert_int_eq(msg.op, WIRE_REP);
    ck_assert_uint_eq(msg.nkey, 1);
    ck_assert_int_eq(msg.key[0], 't');
    ck_assert_uint_eq(msg.flags, 7);
    ck_assert_uint_eq(msg.exptime, 1795171083);
    ck_assert_uint_eq(msg.nbytes, 1);
    ck_assert_uint_eq(msg.cas, 2);
    ck_assert(msg.has_data);
    ck_assert_uint_eq(used, strlen(line) - 3);
}
END_TEST

START_TEST(legacy_flags_may_be_negative)
{
    ck_assert_int_eq(parse("rep k -1 0 3 9\r\n"), WIRE_OK);
    ck_assert_int_eq(msg.op, WIRE_REP);
    ck_assert_uint_eq(msg.flags, UINT32_MAX);
    ck_assert_int_eq(parse("rep k -2147483648 0 3 9\r\n"), WIRE_OK);
    ck_assert_uint_eq(msg.flags, 0x80000000U);
    ck_assert_int_eq(parse("rep k 4294967295 0 3 9\r\n"), WIRE_OK);
    ck_assert_uint_eq(msg.flags, UINT32_MAX);
}
END_TEST

START_TEST(legacy_cas_has_64_bits)
{
    ck_assert_int_eq(parse("rep k 0 0 3 18446744073709551615\r\n"), WIRE_OK);
    ck_assert_uint_eq(msg.cas, UINT64_MAX);
}
END_TEST

START_TEST(legacy_other_commands)
{
    ck_assert_int_eq(parse("delete abc\r\n"), WIRE_OK);
    ck_assert_int_eq(msg.op, WIRE_DELETE);
    ck_assert_uint_eq(msg.nkey, 3);
    ck_assert(!msg.has_data);
    ck_assert_int_eq(parse("flush_all \r\n"), WIRE_OK);
    ck_assert_int_eq(msg.op, WIRE_FLUSH);
    ck_assert_int_eq(parse("flush_all\n"), WIRE_OK);
    ck_assert_int_eq(msg.op, WIRE_FLUSH);
    ck_assert_uint_eq(used, 10);
    ck_assert_int_eq(parse("flush_all 1795171083\r\n"), WIRE_OK);
    ck_assert_int_eq(msg.op, WIRE_FLUSH_AT);
    ck_assert_uint_eq(msg.exptime, 1795171083);
    ck_assert_int_eq(parse("marugoto_end\r\n"), WIRE_OK);
    ck_assert_int_eq(msg.op, WIRE_END);
}
END_TEST

START_TEST(legacy_skips_what_it_does_not_know)
{
    static const char *const lines[] = {
        "\r\n",
        "\n",
        "hello\r\n",
        "get a\r\n",
        "delete\r\n",
        "ping\r\n",
        "delete a 7\r\n",
        "ack 5\r\n",
        "floor 0123456789abcdef 7\r\n",
        "flush_all x\r\n",
        "marugoto_end now\r\n",
        "REP k 0 0 1 2\r\n",
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        ck_assert_int_eq(parse(lines[i]), WIRE_OK);
        ck_assert_int_eq(msg.op, WIRE_UNKNOWN);
        ck_assert(!msg.has_data);
        ck_assert_uint_eq(used, strlen(lines[i]));
    }
}
END_TEST

START_TEST(legacy_broken_rep_says_how_much_to_skip)
{
    ck_assert_int_eq(parse("rep k x 0 3 9\r\n"), WIRE_OK);
    ck_assert_int_eq(msg.op, WIRE_UNKNOWN);
    ck_assert(msg.has_data);
    ck_assert_uint_eq(msg.nbytes, 3);
    ck_assert_int_eq(parse("rep k 0 0 3 9 9\r\n"), WIRE_OK);
    ck_assert_int_eq(msg.op, WIRE_UNKNOWN);
    ck_assert(msg.has_data);
    /* Without a length its data would be read as commands. */
    ck_assert_int_eq(parse("rep k 0 0 x 9\r\n"), WIRE_BAD);
    ck_assert_int_eq(parse("rep k 0 0\r\n"), WIRE_BAD);
}
END_TEST

START_TEST(values_over_a_gigabyte_end_the_link)
{
    ck_assert_int_eq(parse("rep k 0 0 1073741824 9\r\n"), WIRE_OK);
    ck_assert_int_eq(parse("rep k 0 0 1073741825 9\r\n"), WIRE_BAD);
    ck_assert_int_eq(parse("rep k x 0 1073741825 9\r\n"), WIRE_BAD);
}
END_TEST

START_TEST(keys_have_at_most_250_bytes)
{
    char line[400];
    size_t n;

    for (size_t nkey = 250; nkey <= 251; nkey++) {
        memcpy(line, "rep ", 4);
        memset(line + 4, 'k', nkey);
        n = 4 + nkey;
        memcpy(line + n, " 0 0 1 5\r\n", 10);
        ck_assert_int_eq(wire_parse(line, n + 10, &msg, &used), WIRE_OK);
        ck_assert_int_eq(msg.op, nkey == 250 ? WIRE_REP : WIRE_UNKNOWN);
    }
}
END_TEST

START_TEST(every_cut_of_a_line_needs_more)
{
    static const char line[] = "rep key 1 2 3 4567\r\n";

    for (size_t n = 0; n < sizeof(line) - 1; n++) {
        ck_assert_int_eq(wire_parse(line, n, &msg, &used), WIRE_MORE);
    }
    ck_assert_int_eq(wire_parse(line, sizeof(line) - 1, &msg, &used), WIRE_OK);
}
END_TEST

START_TEST(a_line_may_not_grow_for_ever)
{
    char line[WIRE_LINE_MAX + 1];

    memset(line, 'a', sizeof(line));
    ck_assert_int_eq(wire_parse(line, WIRE_LINE_MAX - 1, &msg, &used),
                     WIRE_MORE);
    ck_assert_int_eq(wire_parse(line, WIRE_LINE_MAX, &msg, &used), WIRE_BAD);
    line[WIRE_LINE_MAX - 1] = '\n';
    ck_assert_int_eq(wire_parse(line, WIRE_LINE_MAX, &msg, &used), WIRE_OK);
    line[WIRE_LINE_MAX - 1] = 'a';
    line[WIRE_LINE_MAX] = '\n';
    ck_assert_int_eq(wire_parse(line, WIRE_LINE_MAX + 1, &msg, &used),
                     WIRE_BAD);
}
END_TEST

/* ---- writing ---- */

START_TEST(legacy_lines_are_repcacheds_to_the_letter)
{
    char buf[WIRE_LINE_ROOM];
    struct wire_item item = {"t", 1, 4294967295U, 1795171083, 1, 2};

    ck_line(buf, wire_format_rep(buf, &item),
            "rep t 4294967295 1795171083 1 2\r\n");
    ck_line(buf, wire_format_delete(buf, "abc", 3), "delete abc\r\n");
    ck_line(buf, wire_format_flush(buf), "flush_all \r\n");
    ck_line(buf, wire_format_flush_at(buf, 1795171083),
            "flush_all 1795171083\r\n");
    ck_line(buf, wire_format_end(buf), "marugoto_end\r\n");
}
END_TEST

START_TEST(longest_lines_fit_their_room_and_come_back)
{
    char key[KEY_MAX_LENGTH];
    char buf[WIRE_LINE_ROOM];
    struct wire_item item = {.key = key,
                             .nkey = sizeof(key),
                             .flags = UINT32_MAX,
                             .exptime = UINT32_MAX,
                             .nbytes = (uint32_t)WIRE_VALUE_MAX,
                             .cas = UINT64_MAX};
    char *end;

    memset(key, 'k', sizeof(key));
    end = wire_format_rep(buf, &item);
    ck_assert_uint_le((size_t)(end - buf), sizeof(buf));
    ck_assert_int_eq(wire_parse(buf, (size_t)(end - buf), &msg, &used),
                     WIRE_OK);
    ck_assert_uint_eq(msg.flags, UINT32_MAX);
    ck_assert_uint_eq(msg.exptime, UINT32_MAX);
    ck_assert_uint_eq(msg.nbytes, WIRE_VALUE_MAX);
    ck_assert_uint_eq(msg.cas, UINT64_MAX);
    ck_assert_uint_eq(msg.nkey, 250);
}
END_TEST

/* ---- hello ---- */

static struct wire_hello sample(void)
{
    struct wire_hello h = {.dialect = WIRE_DIALECT,
                           .run = 0x0123456789abcdefULL,
                           .was = 0xfedcba9876543210ULL,
                           .slot = 200,
                           .item_size_max = MIB,
                           .items = 123456789012,
                           .clock_ms = 1795171083123ULL,
                           .copying = true,
                           .port = 11212,
                           .has_nonce = true};

    for (unsigned i = 0; i < WIRE_NONCE; i++) {
        h.nonce[i] = (uint8_t)(i * 37 + 5);
    }
    wire_slot_use(&h, 0);
    wire_slot_use(&h, 200);
    wire_slot_use(&h, 255);
    return h;
}

START_TEST(hello_comes_back_as_it_was_said)
{
    struct wire_hello said = sample(), heard;
    char buf[WIRE_LINE_ROOM];
    char *end = wire_format_hello(buf, &said);
    size_t n = (size_t)(end - buf);

    ck_assert_uint_lt(n, WIRE_HELLO_MAX);
    ck_assert_int_eq(wire_sniff_hello(buf, n), WIRE_OK);
    for (size_t i = 1; i < n; i++) {
        ck_assert_int_eq(wire_sniff_hello(buf, i), WIRE_MORE);
    }
    ck_assert_int_eq(wire_parse(buf, n, &msg, &used), WIRE_OK);
    ck_assert_int_eq(msg.op, WIRE_HELLO);
    ck_assert_uint_eq(used, n);
    ck_assert(wire_parse_hello(msg.line, msg.line_len, &heard));
    ck_assert_uint_eq(heard.dialect, said.dialect);
    ck_assert_uint_eq(heard.run, said.run);
    ck_assert_uint_eq(heard.was, said.was);
    ck_assert_uint_eq(heard.slot, said.slot);
    ck_assert_uint_eq(heard.item_size_max, said.item_size_max);
    ck_assert_uint_eq(heard.clock_ms, said.clock_ms);
    ck_assert_uint_eq(heard.items, said.items);
    ck_assert(heard.copying);
    ck_assert_int_eq(heard.refused, WIRE_WELCOME);
    ck_assert_uint_eq(heard.port, said.port);
    ck_assert(heard.has_nonce);
    ck_assert(memcmp(heard.nonce, said.nonce, WIRE_NONCE) == 0);
    for (unsigned i = 0; i < 256; i++) {
        ck_assert_int_eq(wire_slot_used(&heard, (uint8_t)i),
                         i == 0 || i == 200 || i == 255);
    }
}
END_TEST

START_TEST(longest_hello_is_under_512_bytes)
{
    struct wire_hello h = {
        .dialect = UINT32_MAX,
        .run = UINT64_MAX,
        .was = UINT64_MAX,
        .slot = UINT8_MAX,
        .slots = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
        .item_size_max = UINT64_MAX,
        .clock_ms = UINT64_MAX,
        .items = UINT64_MAX,
        .copying = true,
        .port = UINT16_MAX,
        .has_nonce = true,
    };
    char buf[WIRE_LINE_ROOM];

    ck_assert_uint_lt((size_t)(wire_format_hello(buf, &h) - buf),
                      WIRE_HELLO_MAX);
}
END_TEST

static bool hello_ok(const char *line)
{
    struct wire_hello h;

    return wire_parse_hello(line, strlen(line), &h);
}

#define FIELDS "run=0123456789abcdef slot=1 item_size_max=9 clock=8"

START_TEST(hello_ignores_unknown_fields_only)
{
    ck_assert(hello_ok("repcached3 1 " FIELDS));
    ck_assert(
        hello_ok("repcached3 2 " FIELDS " colour=red odd flags=a,copying"));
    ck_assert(!hello_ok("repcached3 " FIELDS));
    ck_assert(!hello_ok("repcached3 0 " FIELDS));
    ck_assert(!hello_ok("repcached3 1 " FIELDS " slot=2"));   /* twice */
    ck_assert(!hello_ok("repcached3 1 " FIELDS " slots=12")); /* short */
    ck_assert(!hello_ok("repcached3 1 slot=1 item_size_max=9 clock=8"));
    ck_assert(!hello_ok("repcached3 1 run=0123456789abcdef slot=256 "
                        "item_size_max=9 clock=8"));
    ck_assert(!hello_ok("repcached3 1 run=0000000000000000 slot=1 "
                        "item_size_max=9 clock=8"));
    ck_assert(hello_ok("repcached3 2 " FIELDS " port=65535"));
    ck_assert(!hello_ok("repcached3 2 " FIELDS " port=65536"));
    ck_assert(!hello_ok("repcached3 2 " FIELDS " port="));
    ck_assert(hello_ok("repcached3 2 " FIELDS " was=fedcba9876543210"));
    ck_assert(!hello_ok("repcached3 2 " FIELDS " was=0000000000000000"));
    ck_assert(!hello_ok("repcached3 2 " FIELDS " was=1"));
    ck_assert(!hello_ok("repcached3"));
    ck_assert(!hello_ok("repcached4 1 " FIELDS));
}
END_TEST

#define NONCE "00112233445566778899aabbccddeeff"

START_TEST(hello_nonce_has_32_bytes)
{
    static const char line[] = "repcached3 2 " FIELDS " nonce=" NONCE NONCE;
    struct wire_hello h;

    ck_assert(wire_parse_hello(line, sizeof(line) - 1, &h));
    ck_assert(h.has_nonce);
    ck_assert_uint_eq(h.nonce[1], 0x11);
    ck_assert_uint_eq(h.nonce[31], 0xff);
    ck_assert(!wire_parse_hello(line, sizeof(line) - 2, &h));
    ck_assert(!hello_ok("repcached3 2 " FIELDS " nonce="));
    ck_assert(!hello_ok("repcached3 2 " FIELDS " nonce=" NONCE NONCE "00"));
    ck_assert(!hello_ok("repcached3 2 " FIELDS " nonce=G0112233445566778899aab"
                        "bccddeeff" NONCE));
    ck_assert(wire_parse_hello("repcached3 2 " FIELDS,
                               sizeof("repcached3 2 " FIELDS) - 1, &h));
    ck_assert(!h.has_nonce);
}
END_TEST

static enum wire_refusal refusal(const char *line)
{
    struct wire_hello h;

    ck_assert_msg(wire_parse_hello(line, strlen(line), &h), "%s", line);
    ck_assert_uint_eq(h.run, 0);
    return (enum wire_refusal)h.refused;
}

START_TEST(refusals_come_back_as_they_were_said)
{
    char buf[WIRE_LINE_ROOM];

    for (int why = WIRE_BUSY; why <= WIRE_CLOCK; why++) {
        char *end = wire_format_refusal(buf, (enum wire_refusal)why);

        ck_assert_int_eq(wire_sniff_hello(buf, (size_t)(end - buf)), WIRE_OK);
        end[-2] = '\0';
        ck_assert_int_eq(refusal(buf), why);
        ck_assert_str_ne(wire_refusal_text((enum wire_refusal)why),
                         wire_refusal_text(WIRE_WELCOME));
    }
    ck_line(buf, wire_format_refusal(buf, WIRE_STRANGER),
            "repcached3 2 refused=stranger\r\n");
}
END_TEST

START_TEST(refusal_is_told_apart_whatever_else_is_said)
{
    ck_assert_int_eq(refusal("repcached3 2 refused=self"), WIRE_SELF);
    ck_assert_int_eq(refusal("repcached3 9 refused=tired"), WIRE_BUSY);
    ck_assert_int_eq(refusal("repcached3 2 " FIELDS " refused=clock"),
                     WIRE_CLOCK);
    ck_assert(!hello_ok("repcached3 2 refused="));
    ck_assert(!hello_ok("repcached3 2 refused"));
    ck_assert(!hello_ok("repcached3 2 refused=busy refused=self"));
    ck_assert(!hello_ok("repcached3 refused=busy"));
}
END_TEST

START_TEST(hello_over_512_bytes_is_refused)
{
    char line[600];
    size_t n = strlen("repcached3 1 " FIELDS " x=");
    struct wire_hello h;

    memset(line, 'y', sizeof(line));
    memcpy(line, "repcached3 1 " FIELDS " x=", n);
    ck_assert(wire_parse_hello(line, WIRE_HELLO_MAX - 2, &h));
    ck_assert(!wire_parse_hello(line, WIRE_HELLO_MAX - 1, &h));
    ck_assert_int_eq(wire_sniff_hello(line, WIRE_HELLO_MAX - 1), WIRE_MORE);
    ck_assert_int_eq(wire_sniff_hello(line, WIRE_HELLO_MAX), WIRE_BAD);
}
END_TEST

START_TEST(a_stranger_is_told_from_its_first_bytes)
{
    ck_assert_int_eq(wire_sniff_hello("G", 1), WIRE_BAD);
    ck_assert_int_eq(wire_sniff_hello("rep ", 4), WIRE_BAD);
    ck_assert_int_eq(wire_sniff_hello("rep", 3), WIRE_MORE);
    ck_assert_int_eq(wire_sniff_hello("repcached31\n", 12), WIRE_BAD);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("wire");
    TCase *t = tcase_create("wire");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_add_test(t, legacy_rep_has_five_arguments);
    tcase_add_test(t, legacy_flags_may_be_negative);
    tcase_add_test(t, legacy_cas_has_64_bits);
    tcase_add_test(t, legacy_other_commands);
    tcase_add_test(t, legacy_skips_what_it_does_not_know);
    tcase_add_test(t, legacy_broken_rep_says_how_much_to_skip);
    tcase_add_test(t, values_over_a_gigabyte_end_the_link);
    tcase_add_test(t, keys_have_at_most_250_bytes);
    tcase_add_test(t, every_cut_of_a_line_needs_more);
    tcase_add_test(t, a_line_may_not_grow_for_ever);
    tcase_add_test(t, legacy_lines_are_repcacheds_to_the_letter);
    tcase_add_test(t, longest_lines_fit_their_room_and_come_back);
    tcase_add_test(t, hello_comes_back_as_it_was_said);
    tcase_add_test(t, longest_hello_is_under_512_bytes);
    tcase_add_test(t, hello_ignores_unknown_fields_only);
    tcase_add_test(t, hello_nonce_has_32_bytes);
    tcase_add_test(t, refusals_come_back_as_they_were_said);
    tcase_add_test(t, refusal_is_told_apart_whatever_else_is_said);
    tcase_add_test(t, hello_over_512_bytes_is_refused);
    tcase_add_test(t, a_stranger_is_told_from_its_first_bytes);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
