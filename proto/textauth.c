#include "proto/textauth.h"

#include <string.h>

#define SHORT_LINE 6 /* bytes before the LF; a shorter line ends it */
#define TOKENS     5

/* The next token of a line; false at its end. */
static bool next_token(const char **p, const char *end, const char **token,
                       size_t *n)
{
    const char *e;

    while (*p < end && **p == ' ') {
        (*p)++;
    }
    e = *p < end ? memchr(*p, ' ', (size_t)(end - *p)) : NULL;
    e = e != NULL ? e : end;
    *token = *p;
    *n = (size_t)(e - *p);
    *p = e;
    return *n > 0;
}

/* "set k f e LENGTH ...", without the line end. */
static bool parse_line(const char *p, const char *end, uint32_t *length)
{
    const char *token;
    size_t n;

    for (int i = 0; i < TOKENS; i++) {
        if (!next_token(&p, end, &token, &n) ||
            (i == 0 && (n < 3 || memcmp(token, "set", 3) != 0))) {
            return false;
        }
    }
    return util_parse_u32(token, n, length);
}

static enum textauth_status feed_line(struct textauth *auth, const char *p,
                                      size_t n, size_t *used)
{
    const char *lf = memchr(p, '\n', n);

    if (lf == NULL) {
        return n > TEXTAUTH_LINE_MAX ? TEXTAUTH_CLOSE : TEXTAUTH_MORE;
    }
    *used = (size_t)(lf - p) + 1;
    if (lf - p < SHORT_LINE) {
        return TEXTAUTH_CLOSE;
    }
    if (lf[-1] != '\r' || !parse_line(p, lf - 1, &auth->length)) {
        return TEXTAUTH_NO_ATTEMPT;
    }
    auth->in_value = true;
    auth->space = false;
    auth->got = 0;
    auth->nuser = 0;
    return TEXTAUTH_MORE;
}

/* Looks at the next bytes of the value itself. */
static void take_value(struct textauth *auth, const char *p, size_t n)
{
    if (!auth->space) {
        const char *space = memchr(p, ' ', n);

        auth->space = space != NULL;
        auth->nuser += (uint32_t)(space != NULL ? (size_t)(space - p) : n);
    }
    if (auth->got < TEXTAUTH_TOKEN_MAX) {
        size_t room = TEXTAUTH_TOKEN_MAX - (size_t)auth->got;

        memcpy(auth->token + auth->got, p, n < room ? n : room);
    }
    auth->got += n;
}

static size_t feed_value(struct textauth *auth, const char *p, size_t n)
{
    size_t used = 0;

    if (auth->got < auth->length) {
        uint64_t left = auth->length - auth->got;

        used = left < n ? (size_t)left : n;
        take_value(auth, p, used);
    }
    while (used < n && auth->got >= auth->length &&
           auth->got < (uint64_t)auth->length + 2) {
        auth->tail[auth->got++ - auth->length] = p[used++];
    }
    return used;
}

static enum textauth_status judge(const struct textauth *auth)
{
    if (auth->length > TEXTAUTH_VALUE_MAX) {
        return TEXTAUTH_TOO_LONG;
    }
    if (auth->tail[0] != '\r' || auth->tail[1] != '\n') {
        return TEXTAUTH_NO_END;
    }
    return auth->space ? TEXTAUTH_ATTEMPT : TEXTAUTH_NO_SEPARATOR;
}

enum textauth_status textauth_feed(struct textauth *auth, const char *p,
                                   size_t n, size_t *used)
{
    *used = 0;
    if (n == 0) {
        return TEXTAUTH_MORE;
    }
    if (!auth->in_value) {
        enum textauth_status status = feed_line(auth, p, n, used);

        if (status != TEXTAUTH_MORE || *used == 0) {
            return status;
        }
    }
    *used += feed_value(auth, p + *used, n - *used);
    if (auth->got < (uint64_t)auth->length + 2) {
        return TEXTAUTH_MORE;
    }
    auth->in_value = false;
    return judge(auth);
}
