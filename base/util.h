/*
 * util - compiler helpers, sizes, and the number syntaxes of the protocol.
 *
 * Numbers from outside are parsed here and nowhere else. Every parser takes a
 * byte range without a terminator, rejects empty input, garbage and overflow,
 * and leaves *out alone when it returns false.
 *
 * Layer:   0.
 * Threads: pure functions.
 */
#ifndef BASE_UTIL_H
#define BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK   __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define LIKELY(x)    __builtin_expect(!!(x), 1)
#define UNLIKELY(x)  __builtin_expect(!!(x), 0)
#define PREFETCH(p)  __builtin_prefetch(p)

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* Longest key in bytes. */
#define KEY_MAX_LENGTH 250

/* Longest decimal of 64 bits, without terminator. */
#define UTIL_U64_DIGITS 20

/* Digits only, at most 11 characters. */
bool util_parse_u32(const char *p, size_t n, uint32_t *out) MUST_CHECK;

/* Digits only, at most 22 characters. */
bool util_parse_u64(const char *p, size_t n, uint64_t *out) MUST_CHECK;

/* Optional '-', then digits, at most 11 characters; a lone '-' is 0. */
bool util_parse_s32(const char *p, size_t n, int32_t *out) MUST_CHECK;

/* Client flags of the classic set family, with C's strtoul as stock uses it:
 * one '+' or '-' allowed, up to 2^64-1, refused when '-' gives a value with
 * its top bit set; the low 32 bits are kept. */
bool util_parse_flags(const char *p, size_t n, uint32_t *out) MUST_CHECK;

/* Expiry of the classic set family: C's strtol, one sign allowed, 64-bit
 * overflow refused; the low 32 bits are kept as a signed number. */
bool util_parse_exptime(const char *p, size_t n, int32_t *out) MUST_CHECK;

/* A decimal fraction of at most 31 characters (strtod, all of it). */
bool util_parse_double(const char *p, size_t n, double *out) MUST_CHECK;

/* Writes `v` in decimal without terminator and returns the end. `buf` has
 * room for UTIL_U64_DIGITS bytes. */
char *util_format_u64(char *buf, uint64_t v);

/* Writes `n` bytes as a URI has them, all but ASCII letters, digits and -._~ as
 * %XX, without terminator, and returns the end: at most 3 * n bytes. */
char *util_uri_encode(char *buf, const char *p, size_t n);

/* The number at the start of a stored value, as incr reads it: leading white
 * space, one '+', digits, then the end, or white space or NUL and anything. */
bool util_parse_stored_number(const char *p, size_t n,
                              uint64_t *out) MUST_CHECK;

#endif
