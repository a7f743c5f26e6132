#include "proto/text.h"

#include <string.h>

enum {
    TOKENS_MAX = 23,      /* recognised in a line, keys of get excepted */
    LEADING_SPACES = 100, /* before a get that may outgrow TEXT_LINE_MAX */
};

/* The first byte of every binary request. */
#define BINARY_MAGIC '\x80'

/* Longest value a line may announce: its CR LF must fit 31 bits too. */
#define LENGTH_MAX (INT32_MAX - 2)

struct token {
    const char *p;
    size_t n;
};

/* A walk over the tokens of a line. */
struct scan {
    const char *p, *end;
    unsigned seen; /* tokens passed */
};

static inline const char *skip_spaces(const char *p, const char *end)
{
    while (p < end && *p == ' ') {
        p++;
    }
    return p;
}

static inline const char *find_space(const char *p, const char *end)
{
    const char *space = memchr(p, ' ', (size_t)(end - p));

    return space == NULL ? end : space;
}

static inline bool next_token(struct scan *s, struct token *t)
{
    const char *p = skip_spaces(s->p, s->end);
    const char *e = p;

    if (p == s->end || s->seen == TOKENS_MAX) {
        return false;
    }
    while (e < s->end && *e != ' ') {
        e++;
    }
    *t = (struct token){p, (size_t)(e - p)};
    s->p = e;
    s->seen++;
    return true;
}

static inline bool token_is(const struct token *t, const char *word, size_t n)
{
    return t->n == n && memcmp(t->p, word, n) == 0;
}

/* Whether the last token that counts from here on is noreply. */
static bool ends_in_noreply(struct scan s)
{
    struct token t = {NULL, 0};

    while (next_token(&s, &t)) {
    }
    return token_is(&t, "noreply", 7);
}

static struct scan whole_line(const struct request *req)
{
    return (struct scan){req->line, req->line + req->line_len, 0};
}

static void refuse(struct request *req, enum reply reply)
{
    req->verb = VERB_ERROR;
    req->refusal = (uint8_t)reply;
}

/* Refuses as a mistake that noreply hides. */
static void refuse_quietly(struct request *req, enum reply reply)
{
    req->noreply = ends_in_noreply(whole_line(req));
    refuse(req, reply);
}

/* Refuses a line whose value follows, nobody knows how long. */
static void refuse_and_hang_up(struct request *req, enum reply reply)
{
    refuse(req, reply);
    req->hang_up = true;
}

/* A number of at most nine plain digits, without the rules of the others. */
static inline bool short_number(const struct token *t, uint32_t *out)
{
    uint32_t v = 0;

    if (t->n > 9) {
        return false;
    }
    for (size_t i = 0; i < t->n; i++) {
        unsigned d = (unsigned)(unsigned char)t->p[i] - '0';

        if (d > 9) {
            return false;
        }
        v = v * 10 + d;
    }
    *out = v;
    return true;
}

static inline bool parse_flags(const struct token *t, uint32_t *out)
{
    return short_number(t, out) || util_parse_flags(t->p, t->n, out);
}

static inline bool parse_exptime(const struct token *t, int32_t *out)
{
    uint32_t v;

    if (short_number(t, &v)) {
        *out = (int32_t)v;
        return true;
    }
    return util_parse_exptime(t->p, t->n, out);
}

static inline bool parse_length(const struct token *t, uint32_t *out)
{
    int32_t v;

    if (short_number(t, out)) {
        return true;
    }
    if (!util_parse_s32(t->p, t->n, &v) || v < 0 || v > LENGTH_MAX) {
        return false;
    }
    *out = (uint32_t)v;
    return true;
}

/* Sets the key; false when it is too long. */
static inline bool take_key(struct request *req, const struct token *t)
{
    if (t->n > KEY_MAX_LENGTH) {
        return false;
    }
    req->key = t->p;
    req->nkey = (uint8_t)t->n;
    return true;
}

/* <key> <flags> <exptime> <length>, and <unique> for cas */
static void parse_storage(struct request *req, struct scan s)
{
    struct token key, flags, exptime, length, unique;
    bool good;

    if (!next_token(&s, &key) || !next_token(&s, &flags) ||
        !next_token(&s, &exptime) || !next_token(&s, &length) ||
        !parse_length(&length, &req->nbytes)) {
        refuse_and_hang_up(req, REPLY_BAD_FORMAT);
        return;
    }
    req->has_data = true;
    good = take_key(req, &key) && parse_flags(&flags, &req->flags) &&
           parse_exptime(&exptime, &req->exptime);
    if (good && req->verb == VERB_CAS) {
        good = next_token(&s, &unique) &&
               util_parse_u64(unique.p, unique.n, &req->number);
    }
    if (!good) {
        refuse_quietly(req, REPLY_BAD_FORMAT);
        return;
    }
    req->noreply = ends_in_noreply(s);
}

/* Whether a list of keys ends in the word noreply. It is a key all the same. */
static bool keys_end_in_noreply(const char *p, const char *end)
{
    while (end > p && end[-1] == ' ') {
        end--;
    }
    return end - p >= 7 && memcmp(end - 7, "noreply", 7) == 0 &&
           (end - p == 7 || end[-8] == ' ');
}

/* The first key, which is left in `rest`. */
static inline void first_key(struct request *req)
{
    const char *e = find_space(req->rest, req->end);
    size_t n = (size_t)(e - req->rest);

    req->key = req->rest;
    /* Above 250 it is refused when its turn comes. */
    req->nkey = (uint8_t)(n > KEY_MAX_LENGTH ? 0 : n);
}

/* <key>, and flags, which are read when it runs. */
static void parse_meta(struct request *req, struct scan s)
{
    req->rest = skip_spaces(s.p, s.end);
    if (req->rest == s.end) {
        refuse(req, REPLY_BAD_FORMAT);
        return;
    }
    first_key(req);
}

/* <key> <length>, and flags. */
static void parse_meta_set(struct request *req, struct scan s)
{
    struct token key, length;

    if (!next_token(&s, &key) || !next_token(&s, &length) ||
        !parse_length(&length, &req->nbytes)) {
        refuse_and_hang_up(req, REPLY_BAD_FORMAT);
        return;
    }
    req->has_data = true;
    req->rest = key.p;
    first_key(req);
}

static void parse_get(struct request *req, struct scan s)
{
    req->rest = skip_spaces(s.p, s.end);
    if (req->rest == s.end) {
        refuse(req, REPLY_BAD_FORMAT);
        return;
    }
    if (s.end[-1] == 'y' || s.end[-1] == ' ') {
        req->noreply = keys_end_in_noreply(s.p, s.end);
    }
    first_key(req);
}

static void parse_gat(struct request *req, struct scan s)
{
    struct token exptime;

    if (!next_token(&s, &exptime)) {
        refuse(req, REPLY_BAD_FORMAT);
        return;
    }
    req->rest = skip_spaces(s.p, s.end);
    if (req->rest == s.end) {
        refuse(req, REPLY_BAD_FORMAT);
        return;
    }
    if (!util_parse_s32(exptime.p, exptime.n, &req->exptime)) {
        refuse(req, REPLY_BAD_EXPTIME);
        return;
    }
    first_key(req);
}

static void parse_arith(struct request *req, struct scan s)
{
    struct token key, delta;

    if (!next_token(&s, &key) || !next_token(&s, &delta)) {
        refuse(req, REPLY_BAD_FORMAT);
        return;
    }
    if (!take_key(req, &key)) {
        refuse_quietly(req, REPLY_BAD_FORMAT);
        return;
    }
    if (!util_parse_u64(delta.p, delta.n, &req->number)) {
        refuse_quietly(req, REPLY_BAD_DELTA);
        return;
    }
    req->noreply = ends_in_noreply(s);
}

static void parse_touch(struct request *req, struct scan s)
{
    struct token key, exptime;

    if (!next_token(&s, &key) || !next_token(&s, &exptime)) {
        refuse(req, REPLY_BAD_FORMAT);
        return;
    }
    if (!take_key(req, &key)) {
        refuse_quietly(req, REPLY_BAD_FORMAT);
        return;
    }
    if (!util_parse_s32(exptime.p, exptime.n, &req->exptime)) {
        refuse_quietly(req, REPLY_BAD_EXPTIME);
        return;
    }
    req->noreply = ends_in_noreply(s);
}

/* What may follow the key: 0, noreply, or both. The 0 was a time once;
 * libmemcached's conformance test wants every other word refused. */
static bool delete_words_allowed(struct scan s)
{
    struct token t;
    bool more = next_token(&s, &t);

    if (more && token_is(&t, "0", 1)) {
        more = next_token(&s, &t);
    }
    if (more && token_is(&t, "noreply", 7)) {
        more = next_token(&s, &t);
    }
    return !more;
}

static void parse_delete(struct request *req, struct scan s)
{
    struct token key;

    if (!next_token(&s, &key)) {
        refuse(req, REPLY_BAD_FORMAT);
        return;
    }
    if (skip_spaces(s.p, s.end) != s.end && !delete_words_allowed(s)) {
        refuse_quietly(req, REPLY_BAD_DELETE);
        return;
    }
    if (!take_key(req, &key)) {
        refuse_quietly(req, REPLY_BAD_FORMAT);
        return;
    }
    req->noreply = ends_in_noreply(whole_line(req));
}

static void parse_flush_all(struct request *req, struct scan s)
{
    struct token delay;

    req->noreply = ends_in_noreply(whole_line(req));
    /* A lone noreply is no delay. A bad delay is left to the command, which
     * counts it and first asks whether flushing is allowed at all. */
    if (next_token(&s, &delay) &&
        !(req->noreply && skip_spaces(s.p, s.end) == s.end &&
          token_is(&delay, "noreply", 7)) &&
        !util_parse_s32(delay.p, delay.n, &req->exptime)) {
        req->refusal = REPLY_BAD_EXPTIME;
    }
}

static void parse_level(struct request *req, struct scan s)
{
    struct token t;
    uint32_t v;

    if (!next_token(&s, &t) || !util_parse_u32(t.p, t.n, &v)) {
        refuse_quietly(req, req->verb == VERB_VERBOSITY ? REPLY_BAD_FORMAT
                                                        : REPLY_ERROR);
        return;
    }
    req->number = v;
    req->noreply = ends_in_noreply(s);
}

static void parse_admin(struct request *req, struct scan s)
{
    req->rest = skip_spaces(s.p, s.end);
    req->noreply = ends_in_noreply(s);
}

/* Neither arguments nor noreply count. */
static void parse_plain(struct request *req, struct scan s)
{
    req->rest = skip_spaces(s.p, s.end);
}

static const struct command_row {
    const char *name;
    uint8_t len;
    uint8_t verb;
    bool indented; /* recognised after leading spaces too */
    void (*parse)(struct request *req, struct scan s);
} command_rows[] = {
    {"get", 3, VERB_GET, false, parse_get},
    {"set", 3, VERB_SET, false, parse_storage},
    {"gets", 4, VERB_GETS, false, parse_get},
    {"add", 3, VERB_ADD, false, parse_storage},
    {"cas", 3, VERB_CAS, false, parse_storage},
    {"incr", 4, VERB_INCR, false, parse_arith},
    {"decr", 4, VERB_DECR, false, parse_arith},
    {"delete", 6, VERB_DELETE, false, parse_delete},
    {"touch", 5, VERB_TOUCH, false, parse_touch},
    {"gat", 3, VERB_GAT, false, parse_gat},
    {"gats", 4, VERB_GATS, false, parse_gat},
    {"replace", 7, VERB_REPLACE, false, parse_storage},
    {"append", 6, VERB_APPEND, false, parse_storage},
    {"prepend", 7, VERB_PREPEND, false, parse_storage},
    {"mn", 2, VERB_NOOP, false, parse_plain},
    {"mg", 2, VERB_META_GET, false, parse_meta},
    {"ms", 2, VERB_META_SET, false, parse_meta_set},
    {"md", 2, VERB_META_DELETE, false, parse_meta},
    {"ma", 2, VERB_META_ARITH, false, parse_meta},
    {"me", 2, VERB_META_DEBUG, false, parse_meta},
    {"version", 7, VERB_VERSION, false, parse_plain},
    {"stats", 5, VERB_STATS, false, parse_plain},
    {"watch", 5, VERB_WATCH, false, parse_plain},
    {"quit", 4, VERB_QUIT, false, parse_plain},
    {"flush_all", 9, VERB_FLUSH_ALL, true, parse_flush_all},
    {"verbosity", 9, VERB_VERBOSITY, true, parse_level},
    {"cache_memlimit", 14, VERB_CACHE_MEMLIMIT, true, parse_level},
    {"shutdown", 8, VERB_SHUTDOWN, true, parse_admin},
    {"slabs", 5, VERB_SLABS, true, parse_admin},
    {"lru", 3, VERB_LRU, true, parse_admin},
    {"lru_crawler", 11, VERB_LRU_CRAWLER, true, parse_admin},
    {"extstore", 8, VERB_EXTSTORE, true, parse_admin},
    {"refresh_certs", 13, VERB_REFRESH_CERTS, true, parse_plain},
};

static void parse_unknown(struct request *req)
{
    struct scan s = whole_line(req);
    struct token t = {NULL, 0};

    while (next_token(&s, &t)) {
    }
    if (s.seen >= 2 && t.n >= 5 && memcmp(t.p, "HTTP/", 5) == 0) {
        req->verb = VERB_DROP; /* a browser is fooling somebody */
        return;
    }
    refuse(req, REPLY_ERROR);
    req->noreply = token_is(&t, "noreply", 7);
}

static void parse_line(struct request *req, const char *end)
{
    size_t rows = sizeof(command_rows) / sizeof(command_rows[0]);
    const char *p = req->line;
    bool indented = p < end && *p == ' ';
    struct token verb;
    struct scan s = {p, end, 0};

    if (!next_token(&s, &verb)) {
        refuse(req, REPLY_ERROR);
        return;
    }
    for (size_t i = 0; i < rows; i++) {
        const struct command_row *row = &command_rows[i];

        if (row->len == verb.n && row->name[0] == verb.p[0] &&
            (row->indented || !indented) &&
            memcmp(row->name, verb.p, verb.n) == 0) {
            req->verb = row->verb;
            row->parse(req, s);
            return;
        }
    }
    parse_unknown(req);
}

/* `get ` or `gets ` at `p`: the length of that with the space, else 0. */
static size_t get_word(const char *p, size_t n)
{
    if (n >= 4 && memcmp(p, "get ", 4) == 0) {
        return 4;
    }
    return n >= 5 && memcmp(p, "gets ", 5) == 0 ? 5 : 0;
}

static enum text_status unfinished(const char *p, size_t n)
{
    size_t spaces;

    if (n <= TEXT_LINE_MAX) {
        return TEXT_MORE;
    }
    spaces = (size_t)(skip_spaces(p, p + n) - p);
    return spaces <= LEADING_SPACES && get_word(p + spaces, n - spaces) != 0
               ? TEXT_MORE
               : TEXT_BAD;
}

/* The line end that `lf` closes, CR included. */
static const char *line_end(const char *p, const char *lf)
{
    return lf > p && lf[-1] == '\r' ? lf - 1 : lf;
}

enum text_status text_parse(const char *p, size_t n, struct request *req,
                            size_t *used)
{
    const char *lf = memchr(p, '\n', n);
    const char *end;

    /* A value in binary requests would be read as lines. */
    if (UNLIKELY(n > 0 && *p == BINARY_MAGIC)) {
        return TEXT_BAD;
    }
    if (lf == NULL) {
        return unfinished(p, n);
    }
    end = line_end(p, lf);
    *used = (size_t)(lf - p) + 1;
    *req = (struct request){
        .line = p, .line_len = (uint32_t)(end - p), .rest = end, .end = end};
    if (UNLIKELY(*used < TEXT_SHORT_LINE)) {
        refuse(req, REPLY_BAD_FORMAT);
    } else {
        parse_line(req, end);
    }
    return TEXT_OK;
}

/* Makes `req` hold the whole keys at `p`; returns where they end. A piece of
 * a key that is too long already counts as one; a CR may be half a line end. */
static const char *whole_keys(const char *p, size_t n, struct request *req)
{
    const char *end = p + n;
    const char *last = end;
    bool cr = n > 0 && end[-1] == '\r';

    while (last > p && last[-1] != ' ') {
        last--;
    }
    if (end - last <= KEY_MAX_LENGTH + (cr ? 1 : 0)) {
        end = last;
    }
    req->rest = skip_spaces(p, end);
    req->end = end;
    first_key(req);
    return end;
}

enum text_status text_parse_get_head(const char *p, size_t n,
                                     struct request *req, size_t *used)
{
    size_t word = get_word(p, n);

    if (word == 0) {
        return TEXT_BAD;
    }
    *req = (struct request){.verb = word == 4 ? VERB_GET : VERB_GETS,
                            .line = p,
                            .line_len = (uint32_t)n - 1, /* as said there */
                            .more = true};
    *used = (size_t)(whole_keys(p + word, n - word, req) - p);
    return req->rest == req->end ? TEXT_MORE : TEXT_OK;
}

enum text_status text_parse_more_keys(const char *p, size_t n,
                                      struct request *req, size_t *used,
                                      bool *last)
{
    const char *lf = memchr(p, '\n', n);

    *last = lf != NULL;
    req->line = p;
    if (lf != NULL) {
        *used = (size_t)(lf - p) + 1;
        req->rest = p;
        req->end = line_end(p, lf);
        first_key(req);
        req->more = false;
    } else {
        *used = (size_t)(whole_keys(p, n, req) - p);
    }
    req->line_len = *used == 0 ? 0 : (uint32_t)*used - 1;
    return *used == 0 ? TEXT_MORE : TEXT_OK;
}

bool text_next_key(struct request *req, const char **key, size_t *nkey)
{
    const char *p = skip_spaces(req->rest, req->end);
    const char *e;

    if (p == req->end) {
        req->rest = p;
        return false;
    }
    e = find_space(p, req->end);
    *key = p;
    *nkey = (size_t)(e - p);
    req->rest = e;
    return true;
}

const char *text_reply(enum reply reply, size_t *len)
{
#define ROW(text)                                                              \
    {                                                                          \
        text "\r\n", sizeof(text "\r\n") - 1                                   \
    }
    static const struct {
        const char *text;
        size_t len;
    } replies[REPLY_COUNT] = {
        [REPLY_NONE] = {"", 0},
        [REPLY_STORED] = ROW("STORED"),
        [REPLY_NOT_STORED] = ROW("NOT_STORED"),
        [REPLY_EXISTS] = ROW("EXISTS"),
        [REPLY_NOT_FOUND] = ROW("NOT_FOUND"),
        [REPLY_DELETED] = ROW("DELETED"),
        [REPLY_TOUCHED] = ROW("TOUCHED"),
        [REPLY_OK] = ROW("OK"),
        [REPLY_RESET] = ROW("RESET"),
        [REPLY_ERROR] = ROW("ERROR"),
        [REPLY_BAD_FORMAT] = ROW("CLIENT_ERROR bad command line format"),
        [REPLY_BAD_DELETE] = ROW("CLIENT_ERROR bad command line format.  "
                                 "Usage: delete <key> [noreply]"),
        [REPLY_BAD_CHUNK] = ROW("CLIENT_ERROR bad data chunk"),
        [REPLY_BAD_DELTA] = ROW("CLIENT_ERROR invalid numeric delta argument"),
        [REPLY_BAD_EXPTIME] = ROW("CLIENT_ERROR invalid exptime argument"),
        [REPLY_NON_NUMERIC] = ROW("CLIENT_ERROR cannot increment or decrement "
                                  "non-numeric value"),
        [REPLY_TOO_LARGE] = ROW("SERVER_ERROR object too large for cache"),
        [REPLY_NO_MEMORY_STORE] =
            ROW("SERVER_ERROR out of memory storing object"),
        [REPLY_NO_MEMORY_READ] = ROW("SERVER_ERROR Out of memory during read"),
        [REPLY_NO_MEMORY] = ROW("SERVER_ERROR out of memory"),
        [REPLY_NO_MEMORY_STATS] =
            ROW("SERVER_ERROR out of memory writing stats"),
        [REPLY_NO_MEMORY_GET] =
            ROW("SERVER_ERROR out of memory writing get response"),
        [REPLY_MANY_FLAGS] = ROW("CLIENT_ERROR options flags are too long"),
        [REPLY_DUPLICATE_FLAG] = ROW("CLIENT_ERROR duplicate flag"),
        [REPLY_BAD_FLAG] = ROW("CLIENT_ERROR invalid flag"),
        [REPLY_BAD_MA_FLAG] = ROW("CLIENT_ERROR invalid or duplicate flag"),
        [REPLY_BAD_KEY64] = ROW("CLIENT_ERROR error decoding key"),
        [REPLY_BAD_TOKEN] =
            ROW("CLIENT_ERROR bad token in command line format"),
        [REPLY_BAD_META_DELTA] =
            ROW("CLIENT_ERROR invalid numeric delta value"),
        [REPLY_BAD_INITIAL] = ROW("CLIENT_ERROR invalid numeric initial value"),
        [REPLY_BAD_OPAQUE] = ROW("CLIENT_ERROR opaque token too long"),
        [REPLY_BAD_MS_MODE] = ROW("CLIENT_ERROR invalid mode for ms M token"),
        [REPLY_BAD_MA_MODE] = ROW("CLIENT_ERROR invalid mode for ma M token"),
        [REPLY_NO_MEMORY_ITEM] =
            ROW("SERVER_ERROR Out of memory allocating new item"),
        [REPLY_REFS_OVERFLOW] =
            ROW("SERVER_ERROR refcount overflow during fetch"),
    };
#undef ROW

    *len = replies[reply].len;
    return replies[reply].text;
}

/* Most flags are 0 and most lengths have up to four digits. */
static inline char *format_small(char *p, uint32_t v)
{
    if (v < 10) {
        *p = (char)('0' + v);
        return p + 1;
    }
    return util_format_u64(p, v);
}

char *text_value_header(char *buf, const char *key, size_t nkey, uint32_t flags,
                        uint32_t nbytes, const uint64_t *cas)
{
    char *p = buf;

    memcpy(p, "VALUE ", 6);
    memcpy(p + 6, key, nkey);
    p += 6 + nkey;
    *p++ = ' ';
    p = format_small(p, flags);
    *p++ = ' ';
    p = format_small(p, nbytes);
    if (cas != NULL) {
        *p++ = ' ';
        p = util_format_u64(p, *cas);
    }
    memcpy(p, "\r\n", 2);
    return p + 2;
}
