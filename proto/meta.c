#include "proto/meta.h"

#include <string.h>

enum {
    WORDS_MAX = 23,      /* of a line, verb included, that are looked at */
    FLAG_WORDS_MAX = 20, /* and that a line may have */
    NO_DIGIT = 0x80,     /* in `digits`: not of the alphabet */
    PAD = 0x40           /* in `digits`: the padding */
};

/* ---- base64 ----------------------------------------------------------- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz"
                               "0123456789+/";

static unsigned digit_of(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (unsigned)(c - 'A');
    }
    if (c >= 'a' && c <= 'z') {
        return (unsigned)(c - 'a') + 26;
    }
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0') + 52;
    }
    if (c == '+' || c == '/') {
        return c == '+' ? 62 : 63;
    }
    return c == '=' ? PAD : NO_DIGIT;
}

/* Four digits, of which padding is worth 0 wherever it stands; 3 bytes less
 * one for each padding, or 0 when there is too much of it. */
static size_t decode_block(const unsigned *block, char *out)
{
    unsigned v = 0;
    size_t padding = 0;

    for (int i = 0; i < 4; i++) {
        padding += block[i] == PAD;
        v = v << 6 | (block[i] & (PAD - 1));
    }
    if (padding > 2) {
        return 0;
    }
    for (size_t i = 0; i < 3 - padding; i++) {
        out[i] = (char)(v >> (16 - 8 * i) & 0xff);
    }
    return 3 - padding;
}

size_t meta_decode(const char *p, size_t n, char *out)
{
    unsigned block[4];
    size_t digits = 0, done = 0;
    bool going = true;

    for (size_t i = 0; i < n; i++) {
        unsigned digit = digit_of(p[i]);
        size_t bytes;

        if (digit == NO_DIGIT) {
            continue;
        }
        block[digits++ % 4] = digit;
        if (digits % 4 != 0 || !going) {
            continue;
        }
        bytes = decode_block(block, out + done);
        if (bytes == 0) {
            return 0;
        }
        done += bytes;
        going = bytes == 3; /* what follows padding is only counted */
    }
    return digits % 4 == 0 ? done : 0;
}

char *meta_encode(char *out, const char *p, size_t n)
{
    const unsigned char *from = (const unsigned char *)p;

    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        unsigned v = (unsigned)from[i] << 16;

        v |= left > 1 ? (unsigned)from[i + 1] << 8 : 0U;
        v |= left > 2 ? from[i + 2] : 0U;
        *out++ = alphabet[v >> 18];
        *out++ = alphabet[v >> 12 & 63];
        *out++ = left > 1 ? alphabet[v >> 6 & 63] : '=';
        *out++ = left > 2 ? alphabet[v & 63] : '=';
    }
    return out;
}

bool meta_key_is_binary(const char *key, size_t nkey)
{
    return memchr(key, ' ', nkey) != NULL || memchr(key, '\n', nkey) != NULL ||
           memchr(key, '\r', nkey) != NULL;
}

/* ---- flags ------------------------------------------------------------ */

struct word {
    const char *p;
    size_t n;
};

static bool next_word(const char **at, const char *end, struct word *w)
{
    const char *p = *at;

    while (p < end && *p == ' ') {
        p++;
    }
    w->p = p;
    while (p < end && *p != ' ') {
        p++;
    }
    w->n = (size_t)(p - w->p);
    *at = p;
    return w->n > 0;
}

/* Whether a word may be a flag at all. */
static bool begins_a_flag(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'z');
}

static enum reply read_key64(struct meta *m)
{
    size_t n = meta_decode(m->key, m->nkey, m->decoded);

    if (n == 0) {
        return REPLY_BAD_KEY64;
    }
    m->key = m->decoded;
    m->nkey = (uint8_t)n;
    return REPLY_NONE;
}

static enum reply read_u64(const struct word *arg, uint64_t *out,
                           enum reply wrong)
{
    return util_parse_u64(arg->p, arg->n, out) ? REPLY_NONE : wrong;
}

static enum reply read_time(const struct word *arg, int32_t *out)
{
    return util_parse_s32(arg->p, arg->n, out) ? REPLY_NONE : REPLY_BAD_TOKEN;
}

static enum reply read_opaque(struct meta *m, const struct word *arg)
{
    if (arg->n > META_OPAQUE_MAX) {
        return REPLY_BAD_OPAQUE;
    }
    m->opaque = arg->p;
    m->nopaque = (uint8_t)arg->n;
    return REPLY_NONE;
}

/* What the letter's argument, perhaps empty, says. */
static enum reply read_flag(struct meta *m, char letter, const struct word *arg)
{
    switch (letter) {
    case 'b':
        return read_key64(m);
    case 'C':
        return read_u64(arg, &m->cas, REPLY_BAD_TOKEN);
    case 'D':
        return read_u64(arg, &m->delta, REPLY_BAD_META_DELTA);
    case 'E':
        return read_u64(arg, &m->new_cas, REPLY_BAD_TOKEN);
    case 'F':
        return util_parse_u32(arg->p, arg->n, &m->flags) ? REPLY_NONE
                                                         : REPLY_BAD_FORMAT;
    case 'J':
        return read_u64(arg, &m->initial, REPLY_BAD_INITIAL);
    case 'M':
        m->mode = arg->n > 0 ? arg->p[0] : '\0';
        return REPLY_NONE;
    case 'N':
        return read_time(arg, &m->vivify);
    case 'O':
        return read_opaque(m, arg);
    case 'R':
        return read_time(arg, &m->recache);
    case 'T':
        return read_time(arg, &m->ttl);
    default:
        return REPLY_NONE;
    }
}

/* The letters that mean something to one command or another. */
static bool is_known(char letter)
{
    return strchr("bcfhklqstuvxCDEFIJLMNOPRT", letter) != NULL;
}

/* One flag. REPLY_BAD_FLAG and REPLY_DUPLICATE_FLAG end the reading. */
static enum reply take_flag(struct meta *m, const struct word *flag)
{
    char letter = flag->p[0];
    struct word arg = {flag->p + 1, flag->n - 1};

    if (letter < 'A' || !is_known(letter)) {
        return REPLY_BAD_FLAG;
    }
    if (meta_has(m, letter)) {
        return REPLY_DUPLICATE_FLAG;
    }
    m->has |= UINT64_C(1) << (letter - 'A');
    m->order[m->n++] = letter;
    return read_flag(m, letter, &arg);
}

static enum reply malformed(struct meta *m)
{
    m->malformed = true;
    return REPLY_BAD_FORMAT;
}

/* Reads the key, which may be too long, and passes over `skip` words. */
static bool take_key(const char **at, const char *end, unsigned skip,
                     struct meta *m, bool *fits)
{
    struct word w;

    if (!next_word(at, end, &w)) {
        return false;
    }
    *fits = w.n <= KEY_MAX_LENGTH;
    m->key = w.p;
    m->nkey = (uint8_t)(*fits ? w.n : 0);
    for (; skip > 0; skip--) {
        if (!next_word(at, end, &w)) {
            return false;
        }
    }
    return true;
}

static void clear(struct meta *m)
{
    m->has = 0;
    m->n = 0;
    m->nopaque = 0;
    m->mode = '\0';
    m->malformed = false;
    m->opaque = NULL;
    m->cas = 0;
    m->new_cas = 0;
    m->delta = 1;
    m->initial = 0;
    m->flags = 0;
    m->ttl = 0;
    m->vivify = 0;
    m->recache = 0;
}

enum reply meta_parse(const char *p, const char *end, unsigned skip,
                      struct meta *m)
{
    enum reply wrong = REPLY_NONE;
    unsigned words = 2 + skip;
    struct word w;
    bool fits;

    clear(m);
    if (!take_key(&p, end, skip, m, &fits)) {
        return malformed(m);
    }
    for (; words < WORDS_MAX && next_word(&p, end, &w); words++) {
        enum reply reply;

        if (!begins_a_flag(w.p[0])) {
            return malformed(m);
        }
        if (words >= FLAG_WORDS_MAX || !fits || wrong == REPLY_BAD_FLAG ||
            wrong == REPLY_DUPLICATE_FLAG) {
            continue; /* only whether all of them are words for flags */
        }
        reply = take_flag(m, &w);
        /* The last mistake is told; that of F only when there is no other. */
        if (reply != REPLY_NONE &&
            (reply != REPLY_BAD_FORMAT || wrong == REPLY_NONE)) {
            wrong = reply;
        }
    }
    if (!fits) {
        return REPLY_BAD_FORMAT;
    }
    return words > FLAG_WORDS_MAX ? REPLY_MANY_FLAGS : wrong;
}

enum reply meta_parse_debug(const char *p, const char *end, struct meta *m)
{
    struct word word, another;
    bool fits;

    clear(m);
    if (!take_key(&p, end, 0, m, &fits) || !fits) {
        return REPLY_BAD_FORMAT;
    }
    if (next_word(&p, end, &word) && word.n == 1 && word.p[0] == 'b' &&
        next_word(&p, end, &another) && read_key64(m) != REPLY_NONE) {
        return REPLY_BAD_FORMAT;
    }
    return REPLY_NONE;
}

/* ---- replies ---------------------------------------------------------- */

char *meta_put_number(char *p, char letter, uint64_t v)
{
    *p++ = ' ';
    *p++ = letter;
    return util_format_u64(p, v);
}

char *meta_put_text(char *p, char letter, const char *text, size_t n)
{
    *p++ = ' ';
    *p++ = letter;
    if (n > 0) {
        memcpy(p, text, n);
    }
    return p + n;
}

char *meta_put_key(char *p, const char *key, size_t nkey, bool encode)
{
    if (!encode && !meta_key_is_binary(key, nkey)) {
        return meta_put_text(p, 'k', key, nkey);
    }
    *p++ = ' ';
    *p++ = 'k';
    p = meta_encode(p, key, nkey);
    memcpy(p, " b", 2);
    return p + 2;
}

char *meta_put_sent_key(char *p, const struct meta *m)
{
    if (meta_has(m, 'b')) {
        return meta_put_key(p, m->key, m->nkey, true);
    }
    return meta_put_text(p, 'k', m->key, m->nkey);
}
