/* The flags of meta commands: what is parsed lies in the line and within its
 * bounds, tokens never break a line, and base64 comes back. */
#include <stdlib.h>
#include <string.h>

#include "proto/meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

static bool within(const char *p, size_t n, const char *line, size_t size)
{
    return p >= line && n <= size && p + n <= line + size;
}

static unsigned bits_in(uint64_t v)
{
    return (unsigned)__builtin_popcountll(v);
}

static void check_parsed(const struct meta *m, const char *line, size_t size)
{
    demand(m->n <= META_FLAGS_MAX && bits_in(m->has) == m->n);
    for (unsigned i = 0; i < m->n; i++) {
        demand(meta_has(m, m->order[i]));
    }
    demand(m->nkey > 0);
    if (meta_has(m, 'b')) {
        demand(m->key == m->decoded && m->nkey <= META_DECODED_MAX);
    } else {
        demand(within(m->key, m->nkey, line, size));
        demand(m->nkey <= KEY_MAX_LENGTH && !memchr(m->key, ' ', m->nkey));
    }
    if (meta_has(m, 'O')) {
        demand(m->nopaque <= META_OPAQUE_MAX);
        demand(within(m->opaque, m->nopaque, line, size));
    }
}

/* One token: no space but the first and the one before b, no line end. */
static void check_key_token(const struct meta *m)
{
    char buf[META_REPLY_MAX];
    size_t n = (size_t)(meta_put_key(buf, m->key, m->nkey, false) - buf);
    size_t marked = meta_key_is_binary(m->key, m->nkey) ? 2 : 0;

    demand(n < META_REPLY_MAX && buf[0] == ' ' && buf[1] == 'k');
    demand(memchr(buf + 1, ' ', n - 1 - marked) == NULL);
    demand(memchr(buf, '\n', n) == NULL && memchr(buf, '\r', n) == NULL);
}

static void check_line(const char *line, size_t size, unsigned skip)
{
    struct meta m, again;
    enum reply reply = meta_parse(line, line + size, skip, &m);

    demand(reply < REPLY_COUNT && (!m.malformed || reply == REPLY_BAD_FORMAT));
    if (reply != REPLY_NONE) {
        return;
    }
    check_parsed(&m, line, size);
    check_key_token(&m);
    demand(meta_parse(line, line + size, skip, &again) == REPLY_NONE);
    demand(again.has == m.has && memcmp(again.order, m.order, m.n) == 0);
}

static void check_base64(const char *p, size_t n)
{
    char text[META_ENCODED_MAX], out[META_DECODED_MAX];
    size_t len;

    n = n < KEY_MAX_LENGTH ? n : KEY_MAX_LENGTH;
    len = (size_t)(meta_encode(text, p, n) - text);
    if (len <= KEY_MAX_LENGTH) {
        demand(meta_decode(text, len, out) == n && memcmp(out, p, n) == 0);
    }
    len = meta_decode(p, n, out);
    demand(len <= n / 4 * 3 + 3 && len <= META_DECODED_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    const char *lf = size == 0 ? NULL : memchr(p, '\n', size);
    size_t line = lf == NULL ? size : (size_t)(lf - p);
    struct meta m;

    check_line(p, line, 0);
    check_line(p, line, 1);
    if (meta_parse_debug(p, p + line, &m) == REPLY_NONE) {
        demand(m.nkey > 0);
    }
    check_base64(p, size);
    return 0;
}
