/* Unit tests of binary: bytes to requests, headers of replies to bytes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "proto/binary.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static char packet[BINARY_PACKET_MAX + 64];
static struct binary_request req;
static size_t used;

/* Makes a packet of these lengths, its extras and key counting bytes; returns
 * its length without the value. */
static size_t make(unsigned opcode, size_t extras, size_t nkey, size_t value)
{
    uint8_t *p = (uint8_t *)packet;

    memset(packet, 0, sizeof(packet));
    p[0] = BINARY_REQUEST;
    p[1] = (uint8_t)opcode;
    (void)wr_u16(p + 2, (uint16_t)nkey);
    p[4] = (uint8_t)extras;
    (void)wr_u32(p + 8, (uint32_t)(extras + nkey + value));
    memcpy(p + 12, "\xde\xad\xbe\xef", 4);
    (void)wr_u64(p + 16, 0x0102030405060708U);
    for (size_t i = 0; i < extras; i++) {
        p[BINARY_HEADER + i] = (uint8_t)(i + 1);
    }
    memset(p + BINARY_HEADER + extras, 'k', nkey);
    return BINARY_HEADER + extras + nkey;
}

static void parses(size_t n)
{
    ck_assert_int_eq(binary_parse(packet, n, &req, &used), BINARY_PARSED);
    ck_assert_uint_eq(used, n);
}

/* The lengths of one well formed request of each opcode. */
static const struct good {
    unsigned opcode;
    enum binary_verb verb;
    size_t extras, nkey, value;
    bool quiet, with_key;
} goods[] = {
    {0x00, BINARY_GET, 0, 3, 0, false, false},
    {0x01, BINARY_SET, 8, 3, 5, false, false},
    {0x02, BINARY_ADD, 8, 3, 5, false, false},
    {0x03, BINARY_REPLACE, 8, 3, 5, false, false},
    {0x04, BINARY_DELETE, 0, 3, 0, false, false},
    {0x05, BINARY_INCR, 20, 3, 0, false, false},
    {0x06, BINARY_DECR, 20, 3, 0, false, false},
    {0x07, BINARY_QUIT, 0, 0, 0, false, false},
    {0x08, BINARY_FLUSH, 4, 0, 0, false, false},
    {0x09, BINARY_GET, 0, 3, 0, true, false},
    {0x0a, BINARY_NOOP, 0, 0, 0, false, false},
    {0x0b, BINARY_VERSION, 0, 0, 0, false, false},
    {0x0c, BINARY_GET, 0, 3, 0, false, true},
    {0x0d, BINARY_GET, 0, 3, 0, true, true},
    {0x0e, BINARY_APPEND, 0, 3, 5, false, false},
    {0x0f, BINARY_PREPEND, 0, 3, 5, false, false},
    {0x10, BINARY_STAT, 0, 3, 0, false, false},
    {0x11, BINARY_SET, 8, 3, 5, true, false},
    {0x12, BINARY_ADD, 8, 3, 5, true, false},
    {0x13, BINARY_REPLACE, 8, 3, 5, true, false},
    {0x14, BINARY_DELETE, 0, 3, 0, true, false},
    {0x15, BINARY_INCR, 20, 3, 0, true, false},
    {0x16, BINARY_DECR, 20, 3, 0, true, false},
    {0x17, BINARY_QUIT, 0, 0, 0, true, false},
    {0x18, BINARY_FLUSH, 0, 0, 0, true, false},
    {0x19, BINARY_APPEND, 0, 3, 5, true, false},
    {0x1a, BINARY_PREPEND, 0, 3, 5, true, false},
    {0x1c, BINARY_TOUCH, 4, 3, 0, false, false},
    {0x1d, BINARY_GAT, 4, 3, 0, false, false},
    {0x1e, BINARY_GAT, 4, 3, 0, true, false},
    {0x23, BINARY_GAT, 4, 3, 0, false, true},
    {0x24, BINARY_GAT, 4, 3, 0, true, true},
};

static bool is_known(unsigned opcode)
{
    for (size_t i = 0; i < COUNT_OF(goods); i++) {
        if (goods[i].opcode == opcode) {
            return true;
        }
    }
    return false;
}

START_TEST(each_opcode_is_parsed)
{
    for (size_t i = 0; i < COUNT_OF(goods); i++) {
        const struct good *g = &goods[i];
        size_t n = make(g->opcode, g->extras, g->nkey, g->value);

        parses(n);
        ck_assert_msg(req.verb == g->verb && req.tag.opcode == g->opcode &&
                          req.tag.quiet == g->quiet &&
                          req.with_key == g->with_key,
                      "opcode %02x", g->opcode);
        ck_assert(!req.misframed && !req.misshapen && !req.surplus);
        ck_assert_uint_eq(req.nkey, g->nkey);
        ck_assert_uint_eq(req.nbytes, g->value);
        ck_assert_uint_eq(req.cas, 0x0102030405060708U);
        ck_assert_mem_eq(&req.tag.opaque, "\xde\xad\xbe\xef", 4);
        ck_assert(g->nkey == 0 || memcmp(req.key, "kkk", 3) == 0);
    }
}
END_TEST

START_TEST(extras_are_read)
{
    parses(make(0x01, 8, 1, 0));
    ck_assert_uint_eq(req.flags, 0x01020304U);
    ck_assert_uint_eq(req.exptime, 0x05060708U);
    parses(make(0x1d, 4, 1, 0));
    ck_assert_uint_eq(req.exptime, 0x01020304U);
    parses(make(0x08, 4, 0, 0));
    ck_assert_uint_eq(req.exptime, 0x01020304U);
    parses(make(0x08, 0, 0, 0));
    ck_assert_uint_eq(req.exptime, 0);
    parses(make(0x05, 20, 1, 0));
    ck_assert_uint_eq(req.delta, 0x0102030405060708U);
    ck_assert_uint_eq(req.initial, 0x090a0b0c0d0e0f10U);
    ck_assert_uint_eq(req.exptime, 0x11121314U);
}
END_TEST

START_TEST(nothing_is_parsed_before_the_key_is_there)
{
    for (size_t i = 0; i < COUNT_OF(goods); i++) {
        const struct good *g = &goods[i];
        size_t n = make(g->opcode, g->extras, g->nkey, g->value);

        for (size_t cut = 0; cut < n; cut++) {
            ck_assert_int_eq(binary_parse(packet, cut, &req, &used),
                             BINARY_MORE);
        }
    }
}
END_TEST

/* Parts that may be of any length are not varied. */
START_TEST(other_shapes_are_refused)
{
    for (size_t i = 0; i < COUNT_OF(goods); i++) {
        const struct good *g = &goods[i];
        bool stat = g->verb == BINARY_STAT;

        parses(make(g->opcode, g->extras + 1, g->nkey, g->value));
        ck_assert_msg(req.misshapen && req.refusal == BINARY_INVALID,
                      "extras of %02x", g->opcode);
        parses(make(g->opcode, g->extras, g->nkey == 0 ? 1 : 0, g->value));
        ck_assert_msg(req.misshapen == !stat, "key of %02x", g->opcode);
        parses(make(g->opcode, g->extras, g->nkey, g->value + 1));
        ck_assert_msg(req.misshapen ==
                          (g->value == 0 && g->verb != BINARY_GAT &&
                           g->verb != BINARY_TOUCH && !stat),
                      "value of %02x", g->opcode);
        ck_assert_msg(req.surplus == (g->verb == BINARY_GAT ||
                                      g->verb == BINARY_TOUCH || stat),
                      "surplus of %02x", g->opcode);
        ck_assert(!req.surplus || req.nbytes == 0);
    }
}
END_TEST

START_TEST(unknown_opcodes_keep_their_value)
{
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        if (!is_known(opcode)) {
            parses(make(opcode, 7, 9, 11));
            ck_assert_int_eq(req.verb, BINARY_UNKNOWN);
            ck_assert(!req.misframed && !req.misshapen);
            ck_assert_uint_eq(req.nbytes, 11);
        }
    }
}
END_TEST

START_TEST(keys_have_at_most_250_bytes)
{
    parses(make(0x00, 0, 250, 0));
    ck_assert(!req.misshapen);
    parses(make(0x00, 0, 251, 0));
    ck_assert(req.misshapen && req.refusal == BINARY_INVALID);
    parses(make(0x50, 0, 251, 0)); /* of unknown requests too */
    ck_assert(req.misshapen && req.refusal == BINARY_INVALID);
}
END_TEST

START_TEST(a_body_is_at_least_its_parts_and_at_most_a_gigabyte)
{
    size_t n = make(0x00, 0, 5, 0);

    (void)wr_u32((uint8_t *)packet + 8, 4);
    parses(n);
    ck_assert(req.misframed && req.refusal == BINARY_UNKNOWN_COMMAND);
    n = make(0x01, 8, 5, 0);
    (void)wr_u32((uint8_t *)packet + 8, 1U << 30);
    parses(n);
    ck_assert(!req.misframed && req.nbytes == (1U << 30) - 13);
    (void)wr_u32((uint8_t *)packet + 8, (1U << 30) + 1);
    parses(n);
    ck_assert(req.misframed && req.refusal == BINARY_INVALID);
}
END_TEST

START_TEST(other_bytes_are_no_request)
{
    size_t n = make(0x00, 0, 5, 0);

    packet[0] = (char)BINARY_RESPONSE;
    ck_assert_int_eq(binary_parse(packet, BINARY_HEADER - 1, &req, &used),
                     BINARY_MORE);
    ck_assert_int_eq(binary_parse(packet, n, &req, &used), BINARY_BAD);
    (void)make(0x00, 0, BINARY_PACKET_MAX - BINARY_HEADER, 0);
    ck_assert_int_eq(binary_parse(packet, BINARY_HEADER, &req, &used),
                     BINARY_MORE);
    (void)make(0x00, 0, BINARY_PACKET_MAX - BINARY_HEADER + 1, 0);
    ck_assert_int_eq(binary_parse(packet, BINARY_HEADER, &req, &used),
                     BINARY_BAD);
}
END_TEST

START_TEST(reply_headers_are_formatted)
{
    static const char expected[] = "\x81\x0d\x00\x03\x04\x00\x00\x82"
                                   "\x00\x00\x01\x07\xde\xad\xbe\xef"
                                   "\x01\x02\x03\x04\x05\x06\x07\x08"
                                   "\x00\x00\x00\x05";
    const struct binary_reply reply = {.nextras = 4,
                                       .code = BINARY_NO_MEMORY,
                                       .nkey = 3,
                                       .nbytes = 256,
                                       .cas = 0x0102030405060708U};
    struct binary_tag tag = {.opcode = 0x0d};
    char buf[64];
    char *end;

    memcpy(&tag.opaque, "\xde\xad\xbe\xef", 4);
    end = binary_u32(binary_reply_header(buf, &tag, &reply), 5);
    ck_assert_int_eq(end - buf, sizeof(expected) - 1);
    ck_assert_mem_eq(buf, expected, sizeof(expected) - 1);
    ck_assert_str_eq(binary_text(BINARY_OK), "");
    ck_assert_str_eq(binary_text(BINARY_EXISTS), "Data exists for key.");
}
END_TEST

static Suite *binary_suite(void)
{
    Suite *suite = suite_create("binary");
    TCase *tc = tcase_create("packets");

    tcase_add_test(tc, each_opcode_is_parsed);
    tcase_add_test(tc, extras_are_read);
    tcase_add_test(tc, nothing_is_parsed_before_the_key_is_there);
    tcase_add_test(tc, other_shapes_are_refused);
    tcase_add_test(tc, unknown_opcodes_keep_their_value);
    tcase_add_test(tc, keys_have_at_most_250_bytes);
    tcase_add_test(tc, a_body_is_at_least_its_parts_and_at_most_a_gigabyte);
    tcase_add_test(tc, other_bytes_are_no_request);
    tcase_add_test(tc, reply_headers_are_formatted);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(binary_suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
