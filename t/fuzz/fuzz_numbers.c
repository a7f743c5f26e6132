/* The number syntaxes against the C library, which stock memcached uses. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* What parses is what strtoull reads, and prints back. */
static void check_unsigned(const char *text, size_t n)
{
    char digits[UTIL_U64_DIGITS];
    uint64_t v, back;
    uint32_t small;

    if (util_parse_u64(text, n, &v)) {
        demand(v == strtoull(text, NULL, 10));
        demand(util_parse_u64(
            digits, (size_t)(util_format_u64(digits, v) - digits), &back));
        demand(back == v);
    }
    if (util_parse_u32(text, n, &small)) {
        demand(small == strtoull(text, NULL, 10));
    }
}

static void check_signed(const char *text, size_t n)
{
    uint32_t flags;
    int32_t v;

    if (util_parse_s32(text, n, &v)) {
        demand(v == strtoll(text, NULL, 10));
    }
    errno = 0;
    if (util_parse_exptime(text, n, &v)) {
        demand(v == (int32_t)strtoll(text, NULL, 10) && errno == 0);
    }
    errno = 0;
    if (util_parse_flags(text, n, &flags)) {
        demand(flags == (uint32_t)strtoull(text, NULL, 10) && errno == 0);
    }
}

static void check_stored(const char *text, size_t n)
{
    char *end;
    uint64_t v;
    unsigned long long expected;
    bool good;

    errno = 0;
    expected = strtoull(text, &end, 10);
    good = end != text && errno == 0 && memchr(text, '-', n) == NULL &&
           (end == text + n || isspace((unsigned char)*end));
    if (memchr(text, '-', n) == NULL && memchr(text, 0, n) == NULL) {
        demand(util_parse_stored_number(text, n, &v) == good);
        demand(!good || v == expected);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[64];
    double d;

    if (size >= sizeof(text)) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    check_unsigned(text, size);
    check_signed(text, size);
    check_stored(text, size);
    if (util_parse_double(text, size, &d)) {
        demand(d == strtod(text, NULL));
    }
    return 0;
}
