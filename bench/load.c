/*
 * load - a loop of text requests, and what they cost the server.
 *
 * One thread, one epoll, C connections which each keep P requests in flight.
 * Reported are requests a second, the CPU microseconds the server's process
 * spent on each (steady where wall time is not), the same for each of its
 * threads that did anything, and latencies of a batch.
 *
 * With -r the loop is open: batches begin when their time has come, whatever
 * became of those before, and latency counts from that time, so that a server
 * that stops for a while cannot hide it.
 *
 * load -p PORT [-s SERVER_PID] [-c connections] [-P pipeline]
 *      [-m get|set|mget|delete|read (9 gets, 1 set)] [-M keys of a multiget]
 *      [-k keys] [-v value bytes] [-t seconds] [-r requests a second]
 *      [-w] (store all keys first)
 *
 * SIGUSR1: forget what was counted and begin anew. SIGTERM: end, and report.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    KEY = 16,
    LINE = 64,
    SAMPLES = 1 << 22,
    EVENTS = 64,
    THREADS = 64,
    SLACK_NS = 1000, /* of the kernel's timers */
};
enum mode { GET, SET, MGET, DELETE, READ };

struct conn {
    int fd;
    char *out, *in;
    size_t out_len, out_off, in_len, in_cap;
    unsigned waiting;
    uint64_t begun;
    struct conn *next; /* of the idle ones */
};

static struct {
    int port, server;
    unsigned conns, pipeline, mget;
    enum mode mode;
    uint64_t keys;
    size_t value;
    double seconds, rate;
    bool warm;
} opt = {.conns = 50,
         .pipeline = 1,
         .mget = 50,
         .seconds = 3,
         .keys = 100000,
         .value = 100};

static char *value;
static uint32_t *samples;
static uint64_t requests, batches, hits, errors;
static struct conn *idle;   /* -r: those that wait for their time */
static double due, spacing; /* -r: ns, of the next batch; between two */
static volatile sig_atomic_t asked_anew, asked_end;

static struct thread {
    int tid;
    uint64_t ns;
} threads[THREADS];
static unsigned nthreads;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void *grab(size_t n)
{
    void *p = malloc(n);

    if (p == NULL) {
        die("malloc");
    }
    return p;
}

static uint64_t now_ns(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static uint64_t draw(void)
{
    static uint64_t x = 88172645463325252U;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

/* The thread's CPU since the call before for it, which is kept. */
static uint64_t thread_spent(int tid, uint64_t ns)
{
    uint64_t spent = ns;
    unsigned i = 0;

    while (i < nthreads && threads[i].tid != tid) {
        i++;
    }
    if (i == nthreads && nthreads < THREADS) {
        threads[nthreads++].tid = tid;
    }
    if (i < nthreads) {
        spent = ns - threads[i].ns;
        threads[i].ns = ns;
    }
    return spent;
}

static uint64_t read_ns(const char *path)
{
    FILE *f = fopen(path, "r");
    unsigned long long ns = 0;

    if (f == NULL) {
        return 0; /* the thread has ended */
    }
    if (fscanf(f, "%llu", &ns) != 1) {
        ns = 0;
    }
    (void)fclose(f);
    return ns;
}

/* CPU nanoseconds of all threads of the server since the last call, dead ones
 * left out. `show`: prints each thread's share, in us a request. */
static uint64_t server_spent(bool show)
{
    char path[LINE];
    uint64_t sum = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/task", opt.server);
    DIR *dir = opt.server != 0 ? opendir(path) : NULL;
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char name[2 * LINE + sizeof(entry->d_name)];
        uint64_t spent;

        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(name, sizeof(name), "%s/%s/schedstat", path,
                       entry->d_name);
        spent = thread_spent(atoi(entry->d_name), read_ns(name));
        sum += spent;
        if (show && requests > 0) {
            (void)printf("thread_%s %.4f ", entry->d_name,
                         (double)spent / 1e3 / (double)requests);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return sum;
}

/* ---- requests ------------------------------------------------------------ */

static char *put(char *at, const char *text, size_t n)
{
    memcpy(at, text, n);
    return at + n;
}

static char *put_key(char *at, uint64_t k)
{
    memcpy(at, "key:000000000000", KEY);
    for (char *p = at + KEY - 1; k != 0; p--, k /= 10) {
        *p = (char)('0' + k % 10);
    }
    return at + KEY;
}

static char *put_set(char *at, uint64_t k, bool quiet)
{
    at = put(at, "set ", 4);
    at = put_key(at, k);
    at += sprintf(at, " 0 0 %zu%s\r\n", opt.value, quiet ? " noreply" : "");
    at = put(at, value, opt.value);
    return put(at, "\r\n", 2);
}

static char *put_get(char *at, unsigned keys)
{
    at = put(at, "get", 3);
    for (unsigned i = 0; i < keys; i++) {
        *at++ = ' ';
        at = put_key(at, draw() % opt.keys);
    }
    return put(at, "\r\n", 2);
}

static char *put_delete(char *at, uint64_t k)
{
    at = put(at, "delete ", 7);
    at = put_key(at, k);
    return put(at, "\r\n", 2);
}

static char *put_request(char *at)
{
    switch (opt.mode) {
    case SET:
        return put_set(at, draw() % opt.keys, false);
    case DELETE:
        return put_delete(at, draw() % opt.keys);
    case READ:
        return draw() % 10 == 0 ? put_set(at, draw() % opt.keys, false)
                                : put_get(at, 1);
    case GET:
        return put_get(at, 1);
    case MGET:
        return put_get(at, opt.mget);
    }
    return at;
}

static size_t request_bytes(void)
{
    size_t stored = opt.mode == SET || opt.mode == READ ? opt.value : 0;

    return stored + (opt.mode == MGET ? opt.mget : 1) * (KEY + 1) + LINE;
}

static void fill(struct conn *c, uint64_t begun)
{
    char *at = c->out;

    for (unsigned i = 0; i < opt.pipeline; i++) {
        at = put_request(at);
    }
    c->out_len = (size_t)(at - c->out);
    c->out_off = 0;
    c->waiting = opt.pipeline;
    c->begun = begun;
}

static void flush(struct conn *c)
{
    while (c->out_off < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_off, c->out_len - c->out_off,
                         MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n < 0) {
            die("send");
        }
        c->out_off += (size_t)n;
    }
}

/* ---- replies ------------------------------------------------------------- */

/* The bytes of one whole reply line with its value, 0 when not there yet. */
static size_t eat_line(struct conn *c, const char *p, size_t n)
{
    const char *nl = memchr(p, '\n', n);

    if (nl == NULL) {
        return 0;
    }
    size_t line = (size_t)(nl + 1 - p);
    if (line > 6 && memcmp(p, "VALUE ", 6) == 0) {
        line += opt.value + 2;
        hits += line <= n;
        return line <= n ? line : 0;
    }
    errors += memcmp(p, "END\r", 4) != 0 && memcmp(p, "STOR", 4) != 0 &&
              memcmp(p, "DELE", 4) != 0 && memcmp(p, "NOT_", 4) != 0;
    c->waiting--;
    return line;
}

static void eat(struct conn *c)
{
    size_t at = 0, n;

    while (c->waiting > 0 &&
           (n = eat_line(c, c->in + at, c->in_len - at)) != 0) {
        at += n;
    }
    memmove(c->in, c->in + at, c->in_len - at);
    c->in_len -= at;
}

static void done(struct conn *c)
{
    uint64_t ns = now_ns() - c->begun;

    samples[batches++ % SAMPLES] =
        ns / 100 > UINT32_MAX ? UINT32_MAX : (uint32_t)(ns / 100);
    requests += opt.pipeline;
    if (opt.rate > 0) {
        c->next = idle;
        idle = c;
        return;
    }
    fill(c, now_ns());
    flush(c);
}

static void on_ready(struct conn *c)
{
    flush(c);
    ssize_t n = recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        die("server closed");
    }
    if (n < 0) {
        return;
    }
    c->in_len += (size_t)n;
    eat(c);
    if (c->waiting == 0) {
        done(c);
    }
}

/* ---- set-up -------------------------------------------------------------- */

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

static void warm_up(void)
{
    enum { BLOCK = 1 << 20 };
    char *block = grab(BLOCK + opt.value + LINE), *at = block;
    int fd = dial();
    uint64_t begun = now_ns();

    for (uint64_t k = 0; k < opt.keys; k++) {
        at = put_set(at, k, true);
        if (at - block >= BLOCK || k + 1 == opt.keys) {
            write_all(fd, block, (size_t)(at - block));
            at = block;
        }
    }
    write_all(fd, "version\r\n", 9);
    if (read(fd, block, LINE) <= 0) {
        die("read");
    }
    (void)fprintf(stderr, "%llu keys stored in %.2f s\n",
                  (unsigned long long)opt.keys,
                  (double)(now_ns() - begun) / 1e9);
    (void)close(fd);
    free(block);
}

static struct conn *open_all(int ep)
{
    struct conn *conns = calloc(opt.conns, sizeof(*conns));
    size_t reply = (opt.value + LINE) * (opt.mode == MGET ? opt.mget : 1);

    if (conns == NULL) {
        die("calloc");
    }
    for (unsigned i = 0; i < opt.conns; i++) {
        struct conn *c = &conns[i];
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

        c->fd = dial();
        c->out = grab(opt.pipeline * request_bytes());
        c->in_cap = opt.pipeline * reply + 65536;
        c->in = grab(c->in_cap);
        if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0 ||
            epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) != 0) {
            die("epoll_ctl");
        }
        if (opt.rate > 0) {
            c->next = idle;
            idle = c;
        } else {
            fill(c, now_ns());
            flush(c);
        }
    }
    return conns;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double percentile(size_t n, double share)
{
    return n == 0 ? 0 : samples[(size_t)((double)(n - 1) * share)] / 10.0;
}

static void report(uint64_t ns, uint64_t cpu)
{
    size_t n = batches < SAMPLES ? batches : SAMPLES;

    qsort(samples, n, sizeof(*samples), compare);
    (void)printf("requests %llu requests_s %.0f cpu_us %.4f server_cpu %.3f "
                 "p50_us %.1f p99_us %.1f p999_us %.1f max_us %.1f hits %llu "
                 "errors %llu\n",
                 (unsigned long long)requests,
                 (double)requests * 1e9 / (double)ns,
                 (double)cpu / 1e3 / (double)(requests ? requests : 1),
                 (double)cpu / (double)ns, percentile(n, 0.5),
                 percentile(n, 0.99), percentile(n, 0.999), percentile(n, 1),
                 (unsigned long long)hits, (unsigned long long)errors);
}

/* Begins the batches whose time has come, as far as connections are idle;
 * gives how long to wait for the next at most. */
static struct timespec start_due(uint64_t now)
{
    struct timespec wait = {.tv_nsec = 100000000};

    while (opt.rate > 0 && idle != NULL && due <= (double)now) {
        struct conn *c = idle;

        idle = c->next;
        fill(c, (uint64_t)due);
        flush(c);
        due += spacing;
    }
    if (opt.rate > 0 && idle != NULL && due - (double)now < 1e8) {
        wait.tv_nsec = (long)(due - (double)now) + 1;
    }
    return wait;
}

static void on_signal(int signal)
{
    asked_anew = signal == SIGUSR1 ? 1 : asked_anew;
    asked_end = signal == SIGTERM ? 1 : asked_end;
}

static uint64_t begin_anew(void)
{
    asked_anew = 0;
    requests = batches = hits = 0;
    (void)server_spent(false);
    return now_ns();
}

static void run(int ep)
{
    struct epoll_event events[EVENTS];
    uint64_t begun = begin_anew(), now = begun;

    due = (double)now;
    spacing = opt.rate > 0 ? opt.pipeline * 1e9 / opt.rate : 0;
    while (now < begun + (uint64_t)(opt.seconds * 1e9) && !asked_end) {
        struct timespec wait = start_due(now);
        int n = epoll_pwait2(ep, events, EVENTS, &wait, NULL);

        for (int i = 0; i < n; i++) {
            on_ready(events[i].data.ptr);
        }
        if (asked_anew) {
            begun = begin_anew();
        }
        now = now_ns();
    }
    report(now - begun, server_spent(true));
}

static enum mode mode_of(const char *arg)
{
    static const char *const names[] = {[GET] = "get",
                                        [SET] = "set",
                                        [MGET] = "mget",
                                        [DELETE] = "delete",
                                        [READ] = "read"};
    unsigned i = READ;

    while (i > GET && strcmp(arg, names[i]) != 0) {
        i--;
    }
    return (enum mode)i;
}

static bool parse(int c)
{
    const char *arg = optarg != NULL ? optarg : "";
    unsigned long n = strtoul(arg, NULL, 10);

    switch (c) {
    case 'p':
        opt.port = (int)n;
        return true;
    case 's':
        opt.server = (int)n;
        return true;
    case 'c':
        opt.conns = (unsigned)n;
        return true;
    case 'P':
        opt.pipeline = (unsigned)n;
        return true;
    case 'M':
        opt.mget = (unsigned)n;
        return true;
    case 'k':
        opt.keys = n;
        return true;
    case 'v':
        opt.value = n;
        return true;
    case 't':
        opt.seconds = strtod(arg, NULL);
        return true;
    case 'r':
        opt.rate = strtod(arg, NULL);
        return true;
    case 'w':
        opt.warm = true;
        return true;
    case 'm':
        opt.mode = mode_of(arg);
        return true;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "p:s:c:P:m:M:k:v:t:r:w")) != -1) {
        if (!parse(c)) {
            return 2;
        }
    }
    if (opt.port == 0 || opt.keys == 0 || opt.pipeline == 0) {
        (void)fprintf(stderr, "usage: load -p PORT ...; see load.c\n");
        return 2;
    }
    value = grab(opt.value + 1);
    memset(value, 'v', opt.value);
    samples = grab(SAMPLES * sizeof(*samples));
    if (opt.warm) {
        warm_up();
    }
    (void)prctl(PR_SET_TIMERSLACK, SLACK_NS);
    (void)signal(SIGUSR1, on_signal);
    (void)signal(SIGTERM, on_signal);
    if (opt.seconds > 0) {
        int ep = epoll_create1(0);
        struct conn *conns = open_all(ep);
        run(ep);
        free(conns);
    }
    return errors != 0;
}
