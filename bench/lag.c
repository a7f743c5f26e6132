/*
 * lag - how long a change takes from one server to the other, from outside.
 *
 * A key is set at A; once A has answered, B is asked for it until it has the
 * new value. The time between the two answers is the lag, too long by up to
 * one question and its pause (the round trips are reported, too: the floor of
 * what can be seen). Then a pause of random length, and again.
 *
 * lag -a PORT -b PORT [-t seconds] [-g mean pause in us between two probes]
 *     [-q pause in us between two questions]
 *
 * SIGTERM ends it early. Reported are microseconds: of the lag, of the sets at
 * A and of the gets at B.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    SAMPLES = 1 << 20,
    LINE = 128,
    DIGITS = 16,
    PATIENCE_S = 60,
    SLACK_NS = 1000, /* of the kernel's timers */
};

struct series {
    uint32_t *us10; /* tenths of a microsecond */
    size_t n;
};

static struct {
    int a, b;
    double seconds;
    unsigned gap_us, pause_us;
} opt = {.seconds = 10, .gap_us = 500, .pause_us = 20};

static struct series lags, sets, gets;
static volatile sig_atomic_t asked_end;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void on_signal(int signal)
{
    (void)signal;
    asked_end = 1;
}

static uint64_t now_ns(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void pause_for(uint64_t us)
{
    struct timespec t = {.tv_sec = (time_t)(us / 1000000),
                         .tv_nsec = (long)(us % 1000000 * 1000)};

    (void)nanosleep(&t, NULL);
}

/* ---- figures ------------------------------------------------------------- */

static void series_init(struct series *s)
{
    s->us10 = malloc(SAMPLES * sizeof(*s->us10));
    if (s->us10 == NULL) {
        die("malloc");
    }
}

static void series_add(struct series *s, uint64_t ns)
{
    if (s->n < SAMPLES) {
        s->us10[s->n++] =
            ns / 100 > UINT32_MAX ? UINT32_MAX : (uint32_t)(ns / 100);
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double share(const struct series *s, double part)
{
    return s->n == 0 ? 0 : s->us10[(size_t)((double)(s->n - 1) * part)] / 10.0;
}

static void series_report(const char *name, struct series *s)
{
    qsort(s->us10, s->n, sizeof(*s->us10), compare);
    (void)printf("%s_n %zu %s_p50 %.1f %s_p99 %.1f %s_p999 %.1f %s_max %.1f ",
                 name, s->n, name, share(s, 0.5), name, share(s, 0.99), name,
                 share(s, 0.999), name, share(s, 1));
}

/* ---- talking ------------------------------------------------------------- */

static int dial(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        die("connect");
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

/* Sends a request and reads until the answer ends with `end`; false when the
 * user has had enough. */
static bool ask(int fd, const char *request, char *answer, const char *end)
{
    size_t n = strlen(request), len = 0, tail = strlen(end);

    if (send(fd, request, n, MSG_NOSIGNAL) != (ssize_t)n) {
        die("send");
    }
    do {
        ssize_t got = recv(fd, answer + len, LINE - 1 - len, 0);

        if (got < 0 && errno == EINTR && !asked_end) {
            continue;
        }
        if (got <= 0 && !asked_end) {
            die("recv");
        }
        if (got <= 0) {
            return false;
        }
        len += (size_t)got;
    } while (len < tail || memcmp(answer + len - tail, end, tail) != 0);
    answer[len] = '\0';
    return true;
}

/* One question; true when B has it. */
static bool seen(int b, const char *value, uint64_t *at)
{
    char answer[LINE];
    uint64_t begun = now_ns();

    if (!ask(b, "get lag:probe\r\n", answer, "END\r\n")) {
        return false;
    }
    *at = now_ns();
    series_add(&gets, *at - begun);
    return strstr(answer, value) != NULL;
}

static void probe(int a, int b, uint64_t number)
{
    char request[LINE], answer[LINE], value[DIGITS + 1];
    uint64_t begun, answered, at = 0;

    (void)snprintf(value, sizeof(value), "%016llx", (unsigned long long)number);
    (void)snprintf(request, sizeof(request), "set lag:probe 0 0 %d\r\n%s\r\n",
                   DIGITS, value);
    begun = now_ns();
    if (!ask(a, request, answer, "\r\n")) {
        return;
    }
    answered = now_ns();
    if (strcmp(answer, "STORED\r\n") != 0) {
        (void)fprintf(stderr, "A answers %s", answer);
        exit(1);
    }
    series_add(&sets, answered - begun);
    while (!seen(b, value, &at)) {
        if (asked_end) {
            at = now_ns();
            break; /* it has taken this long at least */
        }
        pause_for(opt.pause_us);
    }
    series_add(&lags, at - answered);
}

static bool parse(int c)
{
    switch (c) {
    case 'a':
        opt.a = atoi(optarg);
        return true;
    case 'b':
        opt.b = atoi(optarg);
        return true;
    case 't':
        opt.seconds = strtod(optarg, NULL);
        return true;
    case 'g':
        opt.gap_us = (unsigned)atoi(optarg);
        return true;
    case 'q':
        opt.pause_us = (unsigned)atoi(optarg);
        return true;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART */
    uint64_t number = now_ns(), end;
    int c, a, b;

    while ((c = getopt(argc, argv, "a:b:t:g:q:")) != -1) {
        if (!parse(c)) {
            return 2;
        }
    }
    if (opt.a == 0 || opt.b == 0) {
        (void)fprintf(stderr, "usage: lag -a PORT -b PORT ...; see lag.c\n");
        return 2;
    }
    (void)prctl(PR_SET_TIMERSLACK, SLACK_NS);
    (void)sigaction(SIGTERM, &action, NULL);
    series_init(&lags);
    series_init(&sets);
    series_init(&gets);
    a = dial(opt.a);
    b = dial(opt.b);
    srandom((unsigned)number);
    end = now_ns() + (uint64_t)(opt.seconds * 1e9);
    while (!asked_end && now_ns() < end) {
        probe(a, b, number++);
        pause_for((uint64_t)random() % (2 * (uint64_t)opt.gap_us + 1));
    }
    series_report("lag", &lags);
    series_report("set", &sets);
    series_report("get", &gets);
    (void)printf("\n");
    return 0;
}
