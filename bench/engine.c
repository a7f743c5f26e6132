/*
 * engine - the cost of the store alone, without sockets or a protocol:
 * nanoseconds of thread CPU time per operation.
 *
 * engine [keys]: stores `keys` items of 100 bytes, then reads them at random,
 * one at a time and in batches of 16 whose cache misses overlap, and writes
 * over them. Keys are made beforehand.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/version.h"
#include "store.h"

enum { VALUE = 100, BATCH = 16, OPS = 4000000, KEY = 16 };

static double cpu_ns(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t draw(void)
{
    static uint64_t x = 88172645463325252U;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

/* Copies a value out, as a reply does. */
static unsigned use(struct item *it, char *out)
{
    if (it == NULL) {
        return 0;
    }
    store_hit(it);
    memcpy(out, item_data(it), VALUE);
    store_release(it);
    return 1;
}

static unsigned get_single(const char *keys, size_t n, char *out)
{
    unsigned hits = 0;

    for (int i = 0; i < OPS; i++) {
        struct store_key key = store_key(keys + draw() % n * KEY, KEY);

        hits += use(store_hold(&key, NULL), out);
    }
    return hits;
}

static unsigned get_batched(const char *keys, size_t n, char *out)
{
    unsigned hits = 0;

    for (int i = 0; i < OPS; i += BATCH) {
        struct store_key key[BATCH];

        for (int k = 0; k < BATCH; k++) {
            key[k] = store_key(keys + draw() % n * KEY, KEY);
            store_prefetch_stripe(key[k].hv);
        }
        for (int k = 0; k < BATCH; k++) {
            store_prefetch_bucket(key[k].hv);
        }
        for (int k = 0; k < BATCH; k++) {
            store_prefetch_item(key[k].hv);
        }
        for (int k = 0; k < BATCH; k++) {
            hits += use(store_hold(&key[k], NULL), out);
        }
    }
    return hits;
}

static unsigned set_over(const char *keys, size_t n, const char *value)
{
    const struct store_attrs attrs = {0};
    unsigned stored = 0;

    for (int i = 0; i < OPS; i++) {
        struct store_key key = store_key(keys + draw() % n * KEY, KEY);

        stored +=
            store_set(&key, &attrs, STORE_SET, value, VALUE, NULL) == STORE_OK;
    }
    return stored;
}

static char *make_keys(size_t n)
{
    char *keys = malloc(n * KEY + 1);

    for (size_t i = 0; keys != NULL && i < n; i++) {
        (void)sprintf(keys + i * KEY, "key:%012zu", i);
    }
    return keys;
}

static bool store_all(const char *keys, size_t n, const char *value)
{
    const struct store_attrs attrs = {0};

    for (size_t i = 0; i < n; i++) {
        struct store_key key = store_key(keys + i * KEY, KEY);

        if (store_set(&key, &attrs, STORE_SET, value, VALUE, NULL) !=
            STORE_OK) {
            return false;
        }
    }
    return true;
}

static void report(const char *what, double before, unsigned done)
{
    (void)printf("%-12s %7.1f ns  (%u of %d)\n", what,
                 (cpu_ns() - before) / OPS, done, OPS);
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    struct store_config config = store_config_default();
    char value[VALUE] = {0};
    char *keys = make_keys(n);
    double before;

    hash_init();
    clock_init();
    version_init(VERSION_COUNTING, 0);
    config.memory_limit = n * 400 + 64 * MIB;
    if (keys == NULL || n == 0 || !store_init(&config)) {
        free(keys);
        return EXIT_FAILURE;
    }
    if (!store_all(keys, n, value)) {
        store_fini();
        free(keys);
        return EXIT_FAILURE;
    }
    before = cpu_ns();
    report("get single", before, get_single(keys, n, value));
    before = cpu_ns();
    report("get of 16", before, get_batched(keys, n, value));
    before = cpu_ns();
    report("set over", before, set_over(keys, n, value));
    store_fini();
    free(keys);
    return EXIT_SUCCESS;
}
