/*
 * missratio - read-through traffic, and the share of it that misses.
 *
 * Keys are drawn from a Zipf distribution; a miss is followed by a set. After a
 * warm-up the misses are counted. The draws depend on the seed alone, so two
 * servers see the same requests in the same order; which keys are the popular
 * ones does not depend on it.
 *
 * missratio -p PORT [-k keys] [-v value bytes] [-z exponent] [-n requests]
 *           [-w warm-up requests] [-b gets in flight] [-s seed]
 *           [-r requests a second]
 *           [-x] (no traffic: weighs the keys that are there, without a get)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { KEY = 16, LINE = 64 };

static struct {
    int port;
    uint64_t keys, count, warm, seed;
    size_t value, batch;
    double exponent, rate;
    bool weigh;
} opt = {.keys = 2000000,
         .count = 6000000,
         .warm = 6000000,
         .seed = 1,
         .value = 100,
         .batch = 64,
         .exponent = 0.99};

static struct {
    double *below; /* below[k]: probability of a rank up to k */
    uint32_t *key; /* rank -> key, so that neighbours are not alike */
} zipf;

static uint64_t state;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void *grab(size_t n)
{
    void *p = calloc(1, n);

    if (p == NULL) {
        die("malloc");
    }
    return p;
}

static uint64_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void zipf_init(void)
{
    double sum = 0;

    zipf.below = grab(opt.keys * sizeof(*zipf.below));
    zipf.key = grab(opt.keys * sizeof(*zipf.key));
    for (uint64_t i = 0; i < opt.keys; i++) {
        sum += 1.0 / pow((double)(i + 1), opt.exponent);
        zipf.below[i] = sum;
        zipf.key[i] = (uint32_t)i;
    }
    for (uint64_t i = opt.keys - 1; i > 0; i--) {
        uint64_t j = draw() % (i + 1);
        uint32_t kept = zipf.key[i];
        zipf.key[i] = zipf.key[j];
        zipf.key[j] = kept;
    }
}

static uint32_t zipf_draw(void)
{
    double u =
        (double)(draw() >> 11) / 9007199254740992.0 * zipf.below[opt.keys - 1];
    uint64_t low = 0, high = opt.keys - 1;

    while (low < high) {
        uint64_t mid = (low + high) / 2;
        if (zipf.below[mid] < u) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return zipf.key[low];
}

static int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)opt.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        die("connect");
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static void write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w <= 0) {
            die("write");
        }
        p += w;
        n -= (size_t)w;
    }
}

/* Reads the answers to `n` single gets into hit[]. */
static void read_answers(int fd, char *in, size_t cap, bool *hit, size_t n)
{
    size_t len = 0, at = 0, answered = 0;

    memset(hit, 0, n * sizeof(*hit));
    while (answered < n) {
        char *nl = memchr(in + at, '\n', len - at);
        size_t line = nl == NULL ? 0 : (size_t)(nl + 1 - (in + at));
        bool found = line > 6 && memcmp(in + at, "VALUE ", 6) == 0;
        line += found ? opt.value + 2 : 0;
        if (line == 0 || at + line > len) {
            ssize_t got = read(fd, in + len, cap - len);
            if (got <= 0) {
                die("read");
            }
            len += (size_t)got;
            continue;
        }
        hit[answered] |= found;
        answered += !found; /* END */
        at += line;
    }
}

static size_t put_sets(char *out, const uint32_t *key, const bool *hit,
                       size_t n)
{
    char *at = out;

    for (size_t i = 0; i < n; i++) {
        if (hit[i]) {
            continue;
        }
        at +=
            sprintf(at, "set key:%012u 0 0 %zu noreply\r\n", key[i], opt.value);
        memset(at, 'v', opt.value);
        at += opt.value;
        at += sprintf(at, "\r\n");
    }
    return (size_t)(at - out);
}

/* One batch of gets, then the sets of what missed; gives the misses. */
static size_t batch(int fd, char *out, char *in, size_t cap)
{
    uint32_t *key = grab(opt.batch * sizeof(*key));
    bool *hit = grab(opt.batch * sizeof(*hit));
    size_t n = 0, misses = 0;

    for (size_t i = 0; i < opt.batch; i++) {
        key[i] = zipf_draw();
        n += (size_t)sprintf(out + n, "get key:%012u\r\n", key[i]);
    }
    write_all(fd, out, n);
    read_answers(fd, in, cap, hit, opt.batch);
    write_all(fd, out, put_sets(out, key, hit, opt.batch));
    for (size_t i = 0; i < opt.batch; i++) {
        misses += !hit[i];
    }
    free(key);
    free(hit);
    return misses;
}

/* Waits until `requests` are due, when they have a rate. */
static void pace(const struct timespec *begun, uint64_t requests)
{
    double s = opt.rate > 0 ? (double)requests / opt.rate : 0;
    struct timespec at = *begun;

    if (s <= 0) {
        return;
    }
    at.tv_sec += (time_t)s;
    at.tv_nsec += (long)((s - floor(s)) * 1e9);
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static double traffic(int fd, uint64_t count)
{
    size_t cap = opt.batch * (opt.value + 2 * LINE);
    char *out = grab(cap), *in = grab(cap);
    uint64_t misses = 0, sent = 0;
    struct timespec begun = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &begun);
    for (; sent < count; sent += opt.batch) {
        misses += batch(fd, out, in, cap);
        pace(&begun, sent + opt.batch);
    }
    free(out);
    free(in);
    return sent == 0 ? 0 : (double)misses / (double)sent;
}

/* Reads `n` answers to incr, which refuses values of letters. */
static void read_refusals(FILE *in, bool *there, size_t n)
{
    char line[2 * LINE];

    for (size_t i = 0; i < n; i++) {
        if (fgets(line, sizeof(line), in) == NULL) {
            die("read");
        }
        there[i] = strncmp(line, "NOT_FOUND", 9) != 0;
    }
}

/* The share of all requests that would hit now. Asked with incr, which is
 * refused, so that nothing is counted as used. */
static double weigh(int fd)
{
    FILE *in = fdopen(fd, "r");
    char *out = grab(opt.batch * LINE);
    bool *there = grab(opt.batch * sizeof(*there));
    double sum = 0;

    if (in == NULL) {
        die("fdopen");
    }
    for (uint64_t rank = 0; rank < opt.keys; rank += opt.batch) {
        size_t len = 0, n = 0;

        for (; n < opt.batch && rank + n < opt.keys; n++) {
            len += (size_t)sprintf(out + len, "incr key:%012u 1\r\n",
                                   zipf.key[rank + n]);
        }
        write_all(fd, out, len);
        read_refusals(in, there, n);
        for (size_t i = 0; i < n; i++) {
            double before = rank + i == 0 ? 0 : zipf.below[rank + i - 1];

            sum += there[i] ? zipf.below[rank + i] - before : 0;
        }
    }
    free(out);
    free(there);
    return sum / zipf.below[opt.keys - 1];
}

static bool parse(int c)
{
    const char *arg = optarg != NULL ? optarg : "";
    uint64_t n = strtoull(arg, NULL, 10);

    switch (c) {
    case 'p':
        opt.port = (int)n;
        return true;
    case 'k':
        opt.keys = n;
        return true;
    case 'v':
        opt.value = n;
        return true;
    case 'n':
        opt.count = n;
        return true;
    case 'w':
        opt.warm = n;
        return true;
    case 'b':
        opt.batch = n;
        return true;
    case 's':
        opt.seed = n;
        return true;
    case 'r':
        opt.rate = strtod(arg, NULL);
        return true;
    case 'x':
        opt.weigh = true;
        return true;
    case 'z':
        opt.exponent = strtod(arg, NULL);
        return true;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "p:k:v:n:w:b:s:z:r:x")) != -1) {
        if (!parse(c)) {
            return 2;
        }
    }
    if (opt.port == 0 || opt.keys == 0 || opt.batch == 0) {
        (void)fprintf(stderr, "usage: missratio -p PORT ...\n");
        return 2;
    }
    state = 88172645463325252U;
    zipf_init();
    state += opt.seed * 2654435761U;
    int fd = dial();
    if (opt.weigh) {
        (void)printf("hitratio %.4f\n", weigh(fd));
        return 0;
    }
    (void)traffic(fd, opt.warm);
    (void)printf("missratio %.4f\n", traffic(fd, opt.count));
    return 0;
}
