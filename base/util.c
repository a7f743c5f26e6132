#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DOUBLE_CHARS = 31, LONG_CHARS = 63 };

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Reads digits up to the end; false on anything else or past 64 bits. */
static bool digits(const char *p, size_t n, uint64_t *out)
{
    uint64_t v = 0;

    if (n == 0) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned d = (unsigned)(unsigned char)p[i] - '0';

        if (d > 9 || __builtin_mul_overflow(v, 10U, &v) ||
            __builtin_add_overflow(v, d, &v)) {
            return false;
        }
    }
    *out = v;
    return true;
}

bool util_parse_u32(const char *p, size_t n, uint32_t *out)
{
    uint64_t v;

    if (n > 11 || !digits(p, n, &v) || v > UINT32_MAX) {
        return false;
    }
    *out = (uint32_t)v;
    return true;
}

bool util_parse_u64(const char *p, size_t n, uint64_t *out)
{
    return n <= 22 && digits(p, n, out);
}

bool util_parse_s32(const char *p, size_t n, int32_t *out)
{
    bool negative = n > 0 && p[0] == '-';
    uint64_t v = 0;

    if (n == 0 || n > 11) {
        return false;
    }
    if (negative) {
        p++;
        n--;
    }
    if (n > 0 && !digits(p, n, &v)) {
        return false;
    }
    if (v > (uint64_t)INT32_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *out = (int32_t)(negative ? -(int64_t)v : (int64_t)v);
    return true;
}

/* Splits one sign off and reads the magnitude. */
static bool signed_digits(const char *p, size_t n, bool *negative, uint64_t *v)
{
    *negative = n > 0 && p[0] == '-';
    if (n > 0 && (p[0] == '-' || p[0] == '+')) {
        p++;
        n--;
    }
    return digits(p, n, v);
}

bool util_parse_flags(const char *p, size_t n, uint32_t *out)
{
    bool negative;
    uint64_t v;

    if (!signed_digits(p, n, &negative, &v)) {
        return false;
    }
    if (negative) {
        v = 0 - v;
        if (v >> 63) {
            return false;
        }
    }
    *out = (uint32_t)v;
    return true;
}

bool util_parse_exptime(const char *p, size_t n, int32_t *out)
{
    bool negative;
    uint64_t v;

    if (!signed_digits(p, n, &negative, &v)) {
        return false;
    }
    if (v > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    v = negative ? 0 - v : v;
    *out = (int32_t)(uint32_t)v;
    return true;
}

bool util_parse_double(const char *p, size_t n, double *out)
{
    char buf[DOUBLE_CHARS + 1];
    char *end;
    double v;

    if (n == 0 || n > DOUBLE_CHARS || is_space(p[0])) {
        return false;
    }
    memcpy(buf, p, n);
    buf[n] = '\0';
    errno = 0;
    v = strtod(buf, &end);
    if (end != buf + n || errno == ERANGE || v != v) {
        return false;
    }
    *out = v;
    return true;
}

bool util_parse_stored_number(const char *p, size_t n, uint64_t *out)
{
    size_t end;

    while (n > 0 && is_space(p[0])) {
        p++;
        n--;
    }
    if (n > 0 && p[0] == '+') {
        p++;
        n--;
    }
    for (end = 0; end < n && p[end] != '\0' && !is_space(p[end]); end++) {
    }
    return digits(p, end, out);
}

char *util_format_u64(char *buf, uint64_t v)
{
    static const char pairs[] = "00010203040506070809"
                                "10111213141516171819"
                                "20212223242526272829"
                                "30313233343536373839"
                                "40414243444546474849"
                                "50515253545556575859"
                                "60616263646566676869"
                                "70717273747576777879"
                                "80818283848586878889"
                                "90919293949596979899";
    char tmp[UTIL_U64_DIGITS];
    char *p = tmp + sizeof(tmp);
    size_t n;

    while (v >= 100) {
        unsigned two = (unsigned)(v % 100) * 2;

        v /= 100;
        *--p = pairs[two + 1];
        *--p = pairs[two];
    }
    if (v >= 10) {
        *--p = pairs[v * 2 + 1];
        *--p = pairs[v * 2];
    } else {
        *--p = (char)('0' + v);
    }
    n = (size_t)(tmp + sizeof(tmp) - p);
    memcpy(buf, p, n);
    return buf + n;
}

static bool stays_in_uri(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

char *util_uri_encode(char *buf, const char *p, size_t n)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];

        if (stays_in_uri(c)) {
            *buf++ = (char)c;
        } else {
            *buf++ = '%';
            *buf++ = digits[c >> 4];
            *buf++ = digits[c & 15];
        }
    }
    return buf;
}
