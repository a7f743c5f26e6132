/* Unit tests of replink: how long a peer that takes nothing is waited for. */
#include "replink.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "t/unit/linking.h"

enum {
    TIMEOUT_MS = 70, /* the kernel looks rarely: 12 of it are 1.4 s */
    VALUES = 4,      /* more than the kernel takes */
    VALUE = 1000000,
    RECEIVED = 200000, /* room for what a packet may hold */
    SENT = 4096
};

static struct replink_env link_env;
static struct replink *self;
static int peer_fd;

/* What rep/core and the edge do, as far as a link needs it. */
static void on_event(void *ctx, const struct rep_event *ev)
{
    (void)ctx;
    if (ev->kind == REP_EV_HELLO) {
        replink_hello(self);
        ck_assert(replink_begin(self, false, 0));
        replink_catch_up(self);
    }
}

static void limit(int fd, int option, int n)
{
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, option, &n, sizeof(n)), 0);
}

/* A connection; the accepted end is `self`'s. */
static int connected(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t n = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int fd;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, n), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&at, &n), 0);
    peer_fd = socket(AF_INET, SOCK_STREAM, 0);
    limit(peer_fd, SO_RCVBUF, RECEIVED);
    ck_assert_int_eq(connect(peer_fd, (struct sockaddr *)&at, n), 0);
    fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    ck_assert_int_ge(fd, 0);
    limit(fd, SO_SNDBUF, SENT);
    close(listener);
    return fd;
}

static void setup_socket(void)
{
    setup();
    env.event = on_event;
    link_env = (struct replink_env){
        .link = env, .base = event_base_new(), .timeout_ms = TIMEOUT_MS};
    for (char key[] = "0"; key[0] < '0' + VALUES; key[0]++) {
        (void)set_large(key, VALUE);
    }
    self = replink_new(&link_env, connected(), 1, false, 1, "peer");
    ck_assert_ptr_nonnull(self);
}

static void teardown_socket(void)
{
    replink_free(self);
    close(peer_fd);
    event_base_free(link_env.base);
    teardown();
}

static void say_all(const void *p, size_t n)
{
    ck_assert_int_eq(write(peer_fd, p, n), (ssize_t)n);
}

static void say_first_words(void)
{
    const struct frame_msg resume = {.type = FRAME_RESUME};
    uint8_t batch[FRAME_BATCH_MAX];
    struct frame_stream stream = {0};
    struct frame_out out;
    char line[WIRE_LINE_ROOM];

    say_all(line, (size_t)(wire_format_hello(line, &peer_hello) - line));
    frame_begin(&out, batch, sizeof(batch), &stream);
    ck_assert(frame_put(&out, &resume));
    say_all(batch, frame_end(&out));
}

static struct rep_link_figures seen(void)
{
    struct rep_link_figures f;

    replink_figures(self, &f);
    return f;
}

/* Waits for an event, until `ms` have passed. */
static void await_event(uint64_t ms)
{
    const struct timeval tv = {.tv_sec = (time_t)(ms / 1000),
                               .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

    ck_assert_int_eq(event_base_loopexit(link_env.base, &tv), 0);
    ck_assert_int_ge(event_base_loop(link_env.base, EVLOOP_ONCE), 0);
}

static uint64_t ms_since(uint64_t start)
{
    return (clock_mono().ns - start) / 1000000;
}

/* The loop of the replication thread for so long, or to the end of the link. */
static uint64_t turn_for(unsigned ms)
{
    uint64_t start = clock_mono().ns, passed = 0;

    while (!replink_is_closed(self) && passed < ms) {
        await_event(replink_turn(self) == REPLINK_BUSY ? 0 : ms - passed);
        passed = ms_since(start);
    }
    return passed;
}

/* The kernel gives up a host that takes nothing for 3 times the timeout; a
 * peer that is heard is rep/core's to judge, and may sweep. */
START_TEST(a_peer_that_takes_nothing_is_waited_for_but_not_for_ever)
{
    uint64_t sent, ms;

    say_first_words();
    ms = turn_for(10 * TIMEOUT_MS);
    ck_assert_msg(!replink_is_closed(self), "ended: %s", seen().error);
    ck_assert(seen().linked);
    sent = seen().bytes_sent;
    ck_assert_uint_gt(sent, 1000);
    ck_assert_uint_lt(sent, VALUES * VALUE / 2);
    ms += turn_for(10000);
    ck_assert(replink_is_closed(self));
    ck_assert_uint_ge(ms, 12 * TIMEOUT_MS);
    ck_assert_uint_eq(seen().bytes_sent, sent);
    ck_assert_str_eq(seen().error, strerror(ETIMEDOUT));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("replink");
    TCase *t = tcase_create("patience");
    SRunner *r;
    int failed;

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup_socket, teardown_socket);
    tcase_add_test(t, a_peer_that_takes_nothing_is_waited_for_but_not_for_ever);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
