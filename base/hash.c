#include "hash.h"

#include <stdlib.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t seed;

uint64_t hash_random(void)
{
    uint64_t v;

    /* Eight bytes are never cut short once the pool is initialised. */
    if (getrandom(&v, sizeof(v), 0) != (ssize_t)sizeof(v)) {
        abort();
    }
    return v;
}

void hash_init(void)
{
    seed = hash_random();
}

uint64_t hash_key(const char *key, size_t nkey)
{
    return XXH3_64bits_withSeed(key, nkey, seed);
}

uint64_t hash_bytes(const void *p, size_t n, uint64_t before)
{
    return XXH3_64bits_withSeed(p, n, before);
}

uint64_t hash_key_agreed(const char *key, size_t nkey)
{
    return XXH3_64bits(key, nkey);
}
