/*
 * meta - the flags of the meta commands (mg, ms, md, ma, me): bytes to structs,
 * and the tokens of their replies back to bytes.
 *
 * A flag is one letter with its argument behind it. The order in which they
 * were given is kept: replies return tokens in it, and mg and ma obey T, N and
 * R in it. Keys given in base64 are decoded here.
 *
 * Layer:     3. Includes layer 0 and proto/request.h.
 * Threads:   pure functions.
 * Ownership: what is parsed points into the caller's line, but for `decoded`.
 */
#ifndef PROTO_META_H
#define PROTO_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "proto/request.h"

#define META_FLAGS_MAX  18 /* of one line */
#define META_OPAQUE_MAX 31

/* Bytes of a key once decoded from at most KEY_MAX_LENGTH, and of any key
 * once encoded. */
#define META_DECODED_MAX (KEY_MAX_LENGTH / 4 * 3)
#define META_ENCODED_MAX ((KEY_MAX_LENGTH + 2) / 3 * 4)

/* Any reply fits, without a value: the numbers of all tokens, a key in base64
 * and an opaque. */
#define META_REPLY_MAX 512

struct meta {
    uint64_t has;               /* letters given: see meta_has */
    const char *key;            /* as it came, or in `decoded` */
    uint8_t nkey;               /* bytes of it */
    uint8_t n;                  /* flags */
    uint8_t nopaque;            /* O, letter excluded */
    char order[META_FLAGS_MAX]; /* letters, as they were given */
    char mode;                  /* M: first byte; 0 when it has none */
    bool malformed;             /* refused line: not even flags */
    const char *opaque;         /* O */
    uint64_t cas;               /* C */
    uint64_t new_cas;           /* E; default 0 */
    uint64_t delta;             /* D; default 1 */
    uint64_t initial;           /* J; default 0 */
    uint32_t flags;             /* F; default 0 */
    int32_t ttl;                /* T; default 0 */
    int32_t vivify;             /* N */
    int32_t recache;            /* R */
    char decoded[META_DECODED_MAX];
};

/* Reads key and flags between `p` and `end`; `skip` words lie between them.
 * REPLY_NONE, or what is wrong. */
enum reply meta_parse(const char *p, const char *end, unsigned skip,
                      struct meta *m) MUST_CHECK;

/* Whether the flag of this letter was given. */
static inline bool meta_has(const struct meta *m, char letter)
{
    return (m->has >> (letter - 'A') & 1) != 0;
}

/* Whether the key of me is in base64: a word `b`, and another behind it. Reads
 * key and words as meta_parse. */
enum reply meta_parse_debug(const char *p, const char *end,
                            struct meta *m) MUST_CHECK;

/* Decodes `n` bytes, at most KEY_MAX_LENGTH, to at most META_DECODED_MAX;
 * returns how many, 0 when they are no base64. Bytes outside the alphabet are
 * passed over. */
size_t meta_decode(const char *p, size_t n, char *out);

/* Encodes at most KEY_MAX_LENGTH bytes to at most META_ENCODED_MAX; returns
 * the end. */
char *meta_encode(char *out, const char *p, size_t n);

/* Whether a key cannot stand in a line as it is. */
bool meta_key_is_binary(const char *key, size_t nkey);

/* Tokens, each with a space before it; all return the end. */
char *meta_put_number(char *p, char letter, uint64_t v);
char *meta_put_text(char *p, char letter, const char *text, size_t n);

/* The key of an item, in base64 (and so marked) when `encode` is set or it is
 * binary. */
char *meta_put_key(char *p, const char *key, size_t nkey, bool encode);

/* The key in the form that the request had, though without what decoding
 * passed over. */
char *meta_put_sent_key(char *p, const struct meta *m);

#endif
