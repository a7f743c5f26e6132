/* Unit tests of listen_spec: the grammar of -l. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "listen_spec.h"

static struct listen_text text(const char *s)
{
    return (struct listen_text){s, strlen(s)};
}

static bool same(struct listen_text got, const char *expected)
{
    return got.len == strlen(expected) &&
           memcmp(got.ptr, expected, got.len) == 0;
}

START_TEST(an_element_is_read)
{
    static const struct {
        const char *text;
        const char *host;
        int port; /* -9: none */
        enum listen_protocol protocol;
        enum listen_tls tls;
        const char *tag;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1", -9, 0, 0, NULL},
        {"host:5", "host", 5, 0, 0, NULL},
        {"host: +5 ", "host", 5, 0, 0, NULL},
        {"host:-1", "host", -1, 0, 0, NULL},
        {"host:99999", "host", 99999, 0, 0, NULL},
        {"*:0", "*", 0, 0, 0, NULL},
        {":5", "", 5, 0, 0, NULL},
        {"::1", "::1", -9, 0, 0, NULL},
        {"a:b:c:d", "a:b:c:d", -9, 0, 0, NULL},
        {"[::1]", "::1", -9, 0, 0, NULL},
        {"[::1]:7", "::1", 7, 0, 0, NULL},
        {"[::1]7", "::1", -9, 0, 0, NULL},
        {"notls:h", "h", -9, 0, LISTEN_TLS_NONE, NULL},
        {"btls:h", "h", -9, 0, LISTEN_TLS_BASIC, NULL},
        {"mtls:h", "h", -9, 0, LISTEN_TLS_MUTUAL, NULL},
        {"proto[ascii]:h", "h", -9, LISTEN_ASCII, 0, NULL},
        {"proto[]:h", "h", -9, LISTEN_ASCII, 0, NULL},
        {"proto[b]:h", "h", -9, LISTEN_BINARY, 0, NULL},
        {"proto[nego]:h", "h", -9, LISTEN_NEGOTIATING, 0, NULL},
        {"proto[asciix]:h", "h", -9, 0, 0, NULL},
        {"tag[12345678]:h", "h", -9, 0, 0, "12345678"},
        {"tag_a_:h:3", "h", 3, 0, 0, "a"},
        {"mtls:proto[b]:tag[t]:[::1]:9", "::1", 9, LISTEN_BINARY,
         LISTEN_TLS_MUTUAL, "t"},
        /* The order is fixed: this is a host of a strange name. */
        {"tag[t]:proto[b]:h:5", "proto[b]:h:5", -9, 0, 0, "t"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct listen_spec spec;
        struct listen_text fault;

        ck_assert_msg(listen_spec_parse(text(rows[i].text), &spec, &fault) ==
                          LISTEN_SPEC_OK,
                      "%s", rows[i].text);
        ck_assert_msg(same(spec.host, rows[i].host), "%s", rows[i].text);
        ck_assert_msg(spec.has_port == (rows[i].port != -9), "%s",
                      rows[i].text);
        ck_assert_msg(!spec.has_port || spec.port == rows[i].port, "%s",
                      rows[i].text);
        ck_assert_msg(spec.protocol == rows[i].protocol, "%s", rows[i].text);
        ck_assert_msg(spec.tls == rows[i].tls, "%s", rows[i].text);
        ck_assert_msg(rows[i].tag == NULL ? spec.tag.ptr == NULL
                                          : same(spec.tag, rows[i].tag),
                      "%s", rows[i].text);
    }
}
END_TEST

START_TEST(a_fault_is_named)
{
    static const struct {
        const char *text;
        enum listen_spec_status status;
        const char *fault;
    } rows[] = {
        {"proto[x:h", LISTEN_SPEC_BAD_PROTOCOL, "[x:h"},
        {"proto[", LISTEN_SPEC_BAD_PROTOCOL, "["},
        {"proto[proxy]:h", LISTEN_SPEC_PROXY, "proto[proxy"},
        {"proto[p]:h", LISTEN_SPEC_PROXY, "proto[p"},
        {"tag[a:h", LISTEN_SPEC_BAD_TAG, "[a:h"},
        {"tag_ah", LISTEN_SPEC_BAD_TAG, "_ah"},
        {"tag[]:h", LISTEN_SPEC_TAG_LENGTH, ""},
        {"tag[123456789]:h", LISTEN_SPEC_TAG_LENGTH, "123456789"},
        {"[::1", LISTEN_SPEC_BAD_IPV6, "[::1"},
        {"h:", LISTEN_SPEC_BAD_PORT, ""},
        {"h:-", LISTEN_SPEC_BAD_PORT, "-"},
        {"h:+-5", LISTEN_SPEC_BAD_PORT, "+-5"},
        {"h:5x", LISTEN_SPEC_BAD_PORT, "5x"},
        {"h:99999999999999999999", LISTEN_SPEC_BAD_PORT,
         "99999999999999999999"},
        {"[::1]:5:6", LISTEN_SPEC_BAD_PORT, "5:6"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct listen_spec spec;
        struct listen_text fault;

        ck_assert_msg(listen_spec_parse(text(rows[i].text), &spec, &fault) ==
                          rows[i].status,
                      "%s", rows[i].text);
        ck_assert_msg(same(fault, rows[i].fault), "%s: %.*s", rows[i].text,
                      (int)fault.len, fault.ptr);
    }
}
END_TEST

START_TEST(a_fault_leaves_what_comes_before_it)
{
    struct listen_spec spec;
    struct listen_text fault;

    ck_assert(listen_spec_parse(text("btls:tag[]:h"), &spec, &fault) !=
              LISTEN_SPEC_OK);
    ck_assert_int_eq(spec.tls, LISTEN_TLS_BASIC);
}
END_TEST

START_TEST(a_list_is_cut_at_commas_and_semicolons)
{
    struct listen_text list = text(",a;;b:1,[::1],");
    struct listen_text element;
    static const char *const expected[] = {"a", "b:1", "[::1]"};

    for (int i = 0; i < 3; i++) {
        ck_assert(listen_spec_next(&list, &element));
        ck_assert(same(element, expected[i]));
    }
    ck_assert(!listen_spec_next(&list, &element));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listen_spec");
    TCase *tc = tcase_create("core");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tc, an_element_is_read);
    tcase_add_test(tc, a_fault_is_named);
    tcase_add_test(tc, a_fault_leaves_what_comes_before_it);
    tcase_add_test(tc, a_list_is_cut_at_commas_and_semicolons);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
