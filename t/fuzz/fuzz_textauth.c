/* Fuzzes what a text client says before it is known: the same bytes in other
 * pieces are the same attempts, and every byte is consumed once. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/textauth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* What the bytes up to `n` amount to, when at most `piece` more of them are at
 * hand each time; adds up the outcomes. */
static uint64_t feed_all(const char *p, size_t n, size_t piece)
{
    struct textauth auth = {0};
    size_t at = 0, have = 0;
    uint64_t sum = 0;

    for (;;) {
        size_t used = 0;
        enum textauth_status status =
            textauth_feed(&auth, p + at, have - at, &used);

        demand(used <= have - at);
        at += used;
        if (status == TEXTAUTH_CLOSE) {
            return sum * 31 + TEXTAUTH_CLOSE;
        }
        if (status == TEXTAUTH_MORE) {
            demand(have - at <= TEXTAUTH_LINE_MAX);
            if (have == n) {
                return sum * 31 + auth.in_value;
            }
            have = n - have < piece ? n : have + piece;
            continue;
        }
        demand(used > 0 && !auth.in_value);
        if (status == TEXTAUTH_ATTEMPT) {
            demand(auth.length <= TEXTAUTH_VALUE_MAX);
            demand(auth.nuser < auth.length);
            demand(auth.nuser >= TEXTAUTH_TOKEN_MAX ||
                   auth.token[auth.nuser] == ' ');
            sum = sum * 31 + auth.nuser;
        }
        sum = sum * 31 + status;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    uint64_t whole = feed_all(p, size, TEXTAUTH_LINE_MAX);

    /* Longer input may have a line that is too long, which is told only of one
     * that is not whole. */
    if (size <= TEXTAUTH_LINE_MAX) {
        demand(feed_all(p, size, 1) == whole);
        demand(feed_all(p, size, 7) == whole);
    }
    return 0;
}
