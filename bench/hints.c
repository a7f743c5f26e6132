/*
 * hints - the hit ratio of a standby at fail-over, with and without access
 * hints, over its master's.
 *
 * hints [bytes a second [shape [heal [requests a second [m requests]]]]]
 *
 * A master serves read-through traffic (a miss is followed by a set) of 2 M
 * keys of 16 bytes, Zipf 0.99, with room for a tenth of them. A second process
 * applies its sets and hints, in that order each 10 ms of simulated time, and
 * sees no get. Shape 0: keys with a common prefix and a number; 1: keys of
 * which nothing can be left out. Heal 1: the standby is given what it is
 * hinted at and does not hold. At the end both serve the same traffic: the
 * share of all requests that would hit at that moment, exactly, and hits
 * counted over the next second, 10 s and 30 s.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/version.h"
#include "rep/hints.h"
#include "store.h"
#include "store_stats.h"

enum {
    KEYS = 2000000,
    KEY = 16,
    VALUE = 100,
    MEGABYTES = 30, /* hold 196,590 items */
    GUIDE = 1 << 20,
    TICKS = 100, /* a second */
    ROOM = 8192,
    SPANS = 3,
};

static struct {
    double rate, requests_s;
    int shape, heal;
    uint64_t requests;
} opt = {REP_HINTS_RATE, 100000, 0, 1, 12000000};

/* What a side had at the end. */
struct result {
    double exact, span[SPANS];
    struct rep_hints_figures hints;
    struct store_totals totals;
};

static const uint64_t span_s[SPANS] = {1, 10, 30};

static double *below;         /* probability of a rank up to this */
static uint32_t *key_of_rank; /* so that neighbours are not alike */
static uint32_t guide[GUIDE + 1];
static uint64_t state = UINT64_C(88172645463325252);

static uint64_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void *grab(size_t n)
{
    void *p = malloc(n);

    if (p == NULL) {
        perror("malloc");
        exit(EXIT_FAILURE);
    }
    return p;
}

static void zipf_init(double exponent)
{
    double sum = 0;
    uint32_t rank = 0;

    below = grab(KEYS * sizeof(*below));
    key_of_rank = grab(KEYS * sizeof(*key_of_rank));
    for (uint32_t i = 0; i < KEYS; i++) {
        sum += 1 / pow(i + 1, exponent);
        below[i] = sum;
        key_of_rank[i] = i;
    }
    for (uint32_t i = KEYS - 1; i > 0; i--) {
        uint32_t j = (uint32_t)(draw() % (i + 1)), kept = key_of_rank[i];

        key_of_rank[i] = key_of_rank[j];
        key_of_rank[j] = kept;
        below[i] /= sum;
    }
    below[0] /= sum;
    for (uint32_t g = 0; g < GUIDE; g++) {
        while (below[rank] < (double)g / GUIDE) {
            rank++;
        }
        guide[g] = rank;
    }
}

static uint32_t zipf_draw(void)
{
    double u = (double)(draw() >> 11) / 9007199254740992.0;
    uint32_t rank = guide[(uint32_t)(u * GUIDE)];

    while (rank < KEYS - 1 && below[rank] < u) {
        rank++;
    }
    return key_of_rank[rank];
}

/* ---- both sides ---- */

static struct store_key make_key(char *buf, uint32_t k)
{
    uint64_t mixed = (k + 1) * UINT64_C(0x9e3779b97f4a7c15);

    if (opt.shape == 0) {
        (void)snprintf(buf, KEY + 1, "key:%012u", k);
    } else {
        (void)snprintf(buf, KEY + 1, "%016llx", (unsigned long long)mixed);
    }
    return store_key(buf, KEY);
}

static bool lookup(uint32_t k, bool hit)
{
    char buf[KEY + 1];
    struct store_key key = make_key(buf, k);
    struct item *it = store_hold(&key, NULL);

    if (it == NULL) {
        return false;
    }
    if (hit) {
        store_hit(it);
    }
    store_release(it);
    return true;
}

static void set_key(const struct store_key *key)
{
    static const char value[VALUE];
    const struct store_attrs attrs = {0};

    if (store_set(key, &attrs, STORE_SET, value, VALUE, NULL) != STORE_OK) {
        exit(EXIT_FAILURE);
    }
}

static void set(uint32_t k)
{
    char buf[KEY + 1];
    struct store_key key = make_key(buf, k);

    set_key(&key);
}

static void measure(struct result *r)
{
    uint64_t hits = 0, done = 0;

    for (uint32_t i = 0; i < KEYS; i++) {
        if (lookup(key_of_rank[i], false)) {
            r->exact += below[i] - (i == 0 ? 0 : below[i - 1]);
        }
    }
    state = UINT64_C(0x1234567);
    for (int span = 0; span < SPANS; span++) {
        for (; done < span_s[span] * (uint64_t)opt.requests_s; done++) {
            uint32_t k = zipf_draw();

            if (lookup(k, true)) {
                hits++;
            } else {
                set(k);
            }
        }
        r->span[span] = (double)hits / (double)done;
    }
}

/* ---- the stream: words: a key to set, or IS_HINTS, length, payload ---- */

#define IS_HINTS 0x80000000U

static void absent(void *ctx, const char *ptr, size_t len)
{
    struct store_key key = store_key(ptr, len);

    if (opt.heal != 0) {
        set_key(&key);
        (void)store_warm(&key, *(const uint8_t *)ctx);
    }
}

static void standby(FILE *in, struct rep_hints *h, struct result *r)
{
    uint8_t buf[ROOM];
    uint32_t word;

    while (fread(&word, sizeof(word), 1, in) == 1) {
        size_t n = word & ~IS_HINTS;

        if ((word & IS_HINTS) == 0) {
            set(word);
        } else if (fread(buf, 1, n, in) != n ||
                   !rep_hints_apply(h, buf, n, absent, buf)) {
            exit(EXIT_FAILURE);
        }
    }
    measure(r);
    rep_hints_figures(h, &r->hints);
    store_totals(&r->totals);
}

static void put(FILE *out, const void *p, size_t n)
{
    if (fwrite(p, 1, n, out) != n) {
        perror("fwrite");
        exit(EXIT_FAILURE);
    }
}

static void master(FILE *out, struct rep_hints *h, struct result *r)
{
    const uint64_t tick = (uint64_t)opt.requests_s / TICKS;
    struct mono now = {UINT64_C(1000000000)};
    uint8_t buf[ROOM];

    rep_hints_watch(h, opt.rate > 0);
    for (uint64_t i = 1; i <= opt.requests; i++) {
        uint32_t k = zipf_draw();

        if (!lookup(k, true)) {
            set(k);
            put(out, &k, sizeof(k));
        }
        if (i % tick == 0) {
            size_t n;

            now.ns += UINT64_C(1000000000) / TICKS;
            while ((n = rep_hints_drain(h, now, buf, ROOM)) > 0) {
                uint32_t word = IS_HINTS | (uint32_t)n;

                put(out, &word, sizeof(word));
                put(out, buf, n);
            }
        }
    }
    rep_hints_watch(h, false);
    if (fclose(out) != 0) {
        exit(EXIT_FAILURE);
    }
    measure(r);
    rep_hints_figures(h, &r->hints);
    store_totals(&r->totals);
}

static void report(const struct result *m, const struct result *s)
{
    double seconds = (double)opt.requests / opt.requests_s;

    (void)printf("items %llu, %llu; rises %.0f/s, sent %.0f/s in %.0f B/s, "
                 "absent %.1f %%\n",
                 (unsigned long long)m->totals.curr_items,
                 (unsigned long long)s->totals.curr_items,
                 (double)(m->hints.sent + m->hints.dropped) / seconds,
                 (double)m->hints.sent / seconds,
                 (double)m->hints.bytes / seconds,
                 100 * (double)s->hints.absent / ((double)m->hints.sent + 1));
    (void)printf("at fail-over  %.4f of %.4f = %.4f\n", s->exact, m->exact,
                 s->exact / m->exact);
    for (int i = 0; i < SPANS; i++) {
        (void)printf("first %2d s    %.4f of %.4f = %.4f\n", (int)span_s[i],
                     s->span[i], m->span[i], s->span[i] / m->span[i]);
    }
}

static void options(int argc, char **argv)
{
    opt.rate = argc > 1 ? atof(argv[1]) : opt.rate;
    opt.shape = argc > 2 ? atoi(argv[2]) : opt.shape;
    opt.heal = argc > 3 ? atoi(argv[3]) : opt.heal;
    opt.requests_s = argc > 4 ? atof(argv[4]) : opt.requests_s;
    opt.requests = argc > 5 ? (uint64_t)(atof(argv[5]) * 1e6) : opt.requests;
}

int main(int argc, char **argv)
{
    struct store_config config = store_config_default();
    struct result *side = mmap(NULL, 2 * sizeof(*side), PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct rep_hints *h;
    int fd[2], status = 0;
    pid_t pid;

    options(argc, argv);
    hash_init();
    clock_init();
    version_init(VERSION_COUNTING, 0);
    zipf_init(0.99);
    config.memory_limit = MEGABYTES * MIB;
    if (side == MAP_FAILED || pipe(fd) != 0 || (pid = fork()) < 0 ||
        !store_init(&config) ||
        (h = rep_hints_new(opt.rate < 1 ? 1 : (size_t)opt.rate)) == NULL) {
        return EXIT_FAILURE;
    }
    if (pid == 0) {
        (void)close(fd[1]);
        standby(fdopen(fd[0], "r"), h, &side[1]);
        _exit(EXIT_SUCCESS);
    }
    (void)close(fd[0]);
    master(fdopen(fd[1], "w"), h, &side[0]);
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        return EXIT_FAILURE;
    }
    report(&side[0], &side[1]);
    rep_hints_free(h);
    store_fini();
    return EXIT_SUCCESS;
}
