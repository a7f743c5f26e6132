/*
 * hash - XXH3 (libxxhash, 64 bits) of keys.
 *
 * Layer:   0.
 * Threads: hash_init before any other thread starts; the rest is pure.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Draws the seed of this process from the kernel. */
void hash_init(void);

/* For the index: seeded, so that clients cannot choose colliding keys. */
uint64_t hash_key(const char *key, size_t nkey);

/* For what travels between nodes: the same everywhere, never seeded. */
uint64_t hash_key_agreed(const char *key, size_t nkey);

/* The same of any bytes, continuing from what was hashed before. */
uint64_t hash_bytes(const void *p, size_t n, uint64_t before);

/* 64 random bits from the kernel, for run ids and nonces. */
uint64_t hash_random(void);

#endif
