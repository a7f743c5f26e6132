/* Unit tests of udp: replies larger than the kernel has room for wait, and come
 * whole and in order. A pair of unix sockets stands for the network: it keeps
 * what was sent and is full soon. */
#include <check.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "conn.h"
#include "proto/udp.h"
#include "store.h"
#include "udp.h"

#define BIG     1000000
#define ID      0x0107
#define QUIET   200 /* loops without a datagram that end a test */
#define AT_ONCE 7   /* datagrams taken before the worker goes on */

static struct event_base *base;
static struct conn_set *set;
static struct command_host host;
static int client;

static void store(const char *name, size_t n)
{
    struct store_key key = store_key(name, strlen(name));
    struct store_attrs attrs = {0, 0};
    char *value = malloc(n);
    uint64_t cas = 0;

    ck_assert_ptr_nonnull(value);
    for (size_t i = 0; i < n; i++) {
        value[i] = (char)('a' + i % 23);
    }
    ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, value, n, &cas),
                     STORE_OK);
    free(value);
}

static void set_up(void)
{
    struct store_config config = store_config_default();
    int fds[2];

    hash_init();
    version_init(VERSION_COUNTING, 0);
    ck_assert(store_init(&config));
    base = event_base_new();
    ck_assert_ptr_nonnull(base);
    set = conn_set_new(base, &host);
    ck_assert_ptr_nonnull(set);
    ck_assert_int_eq(
        socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
        0);
    client = fds[0];
    udp_open(set, fds[1]);
}

static void tear_down(void)
{
    conn_set_free(set);
    event_base_free(base);
    ck_assert_int_eq(close(client), 0);
    store_fini();
}

static void ask(const char *lines)
{
    char datagram[1024];
    char *end = udp_format(datagram, ID, 0, 1);
    size_t n = strlen(lines);

    memcpy(end, lines, n);
    ck_assert_int_eq(send(client, datagram, UDP_FRAME + n, 0),
                     (ssize_t)(UDP_FRAME + n));
}

/* What came: whole series, one behind the other. */
struct heard {
    size_t bytes, series;
    uint16_t next; /* datagram of the series */
};

static unsigned two(const char *p)
{
    return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

/* Takes the next datagram; false when there is none. */
static bool hear(struct heard *heard)
{
    char datagram[2 * UDP_DATAGRAM_MAX];
    ssize_t n = recv(client, datagram, sizeof(datagram), 0);
    unsigned seq, count;

    if (n < 0) {
        return false;
    }
    ck_assert_int_gt(n, UDP_FRAME);
    seq = two(datagram + 2);
    count = two(datagram + 4);
    ck_assert_uint_eq(two(datagram), ID);
    ck_assert_uint_eq(seq, heard->next);
    ck_assert_uint_lt(seq, count);
    ck_assert(seq + 1 == count || n == UDP_DATAGRAM_MAX);
    heard->next = (uint16_t)(seq + 1 == count ? 0 : seq + 1);
    heard->series += seq == 0;
    heard->bytes += (size_t)n - UDP_FRAME;
    return true;
}

static struct heard hear_all(void)
{
    struct heard heard = {0};

    for (int quiet = 0; quiet < QUIET; quiet++) {
        (void)event_base_loop(base, EVLOOP_NONBLOCK);
        for (int i = 0; i < AT_ONCE && hear(&heard); i++) {
            quiet = 0;
        }
    }
    ck_assert_uint_eq(heard.next, 0);
    return heard;
}

START_TEST(a_reply_that_must_wait_comes_whole)
{
    struct heard heard;

    store("big", BIG);
    ask("get big\r\n");
    heard = hear_all();
    ck_assert_uint_eq(heard.series, 1);
    ck_assert_uint_eq(heard.bytes, strlen("VALUE big 0 1000000\r\n") + BIG +
                                       strlen("\r\nEND\r\n"));
}
END_TEST

START_TEST(what_comes_behind_it_waits_too)
{
    struct heard heard;

    store("big", BIG);
    store("k", 1);
    ask("get big k big\r\nmn\r\nget big\r\n");
    ask("get big k\r\n");
    heard = hear_all();
    ck_assert_uint_eq(heard.series, 7);
    ck_assert_uint_eq(heard.bytes,
                      4 * (strlen("VALUE big 0 1000000\r\n\r\n") + BIG) +
                          2 * strlen("VALUE k 0 1\r\na\r\n") +
                          3 * strlen("END\r\n") + strlen("MN\r\n"));
}
END_TEST

START_TEST(a_socket_closes_while_a_reply_waits)
{
    store("big", BIG);
    ask("get big\r\n");
    (void)event_base_loop(base, EVLOOP_NONBLOCK);
}
END_TEST

static Suite *udp_suite(void)
{
    Suite *suite = suite_create("udp");
    TCase *tc = tcase_create("replies");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_reply_that_must_wait_comes_whole);
    tcase_add_test(tc, what_comes_behind_it_waits_too);
    tcase_add_test(tc, a_socket_closes_while_a_reply_waits);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(udp_suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
