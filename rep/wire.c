#include "rep/wire.h"

#include <string.h>

enum { FIELDS = 7, HASH_DIGITS = 16, SLOT_DIGITS = 64 };

static const char HELLO_WORD[] = "repcached3 ";
enum { HELLO_WORD_LEN = sizeof(HELLO_WORD) - 1 };

/* ---- words -------------------------------------------------------------- */

struct word {
    const char *p;
    size_t n;
};

/* Splits at single or repeated spaces; returns how many words there are, at
 * most FIELDS (the last one then may hold more). */
static unsigned split(const char *p, const char *end, struct word *words)
{
    unsigned n = 0;

    while (n < FIELDS) {
        const char *stop;

        while (p < end && *p == ' ') {
            p++;
        }
        if (p == end) {
            break;
        }
        for (stop = p; stop < end && *stop != ' '; stop++) {
        }
        words[n++] = (struct word){p, (size_t)(stop - p)};
        p = stop;
    }
    return n;
}

static bool word_is(struct word w, const char *text, size_t n)
{
    return w.n == n && memcmp(w.p, text, n) == 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly 16 lower-case digits. */
static bool parse_hex(const char *p, size_t n, uint64_t *out)
{
    uint64_t v = 0;

    if (n != HASH_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        int d = hex_digit(p[i]);

        if (d < 0) {
            return false;
        }
        v = v << 4 | (unsigned)d;
    }
    *out = v;
    return true;
}

static char *put_hex(char *buf, uint64_t v)
{
    for (int i = HASH_DIGITS - 1; i >= 0; i--) {
        buf[i] = "0123456789abcdef"[v & 15];
        v >>= 4;
    }
    return buf + HASH_DIGITS;
}

/* Client flags; repcached 2.3.1 writes those of 2^31 and above as negative
 * 32-bit numbers. */
static bool parse_flags(struct word w, uint32_t *out)
{
    int32_t negative;

    if (w.n > 0 && w.p[0] == '-') {
        if (!util_parse_s32(w.p, w.n, &negative)) {
            return false;
        }
        *out = (uint32_t)negative;
        return true;
    }
    return util_parse_u32(w.p, w.n, out);
}

/* Absolute seconds. repcached counts in 32 bits with a sign: a negative time
 * is one long past. */
static bool parse_time(struct word w, uint32_t *out)
{
    int32_t negative;

    if (w.n > 0 && w.p[0] == '-') {
        if (!util_parse_s32(w.p, w.n, &negative)) {
            return false;
        }
        *out = 1;
        return true;
    }
    return util_parse_u32(w.p, w.n, out);
}

static bool take_key(struct word w, struct wire_msg *msg)
{
    if (w.n == 0 || w.n > KEY_MAX_LENGTH) {
        return false;
    }
    msg->key = w.p;
    msg->nkey = (uint8_t)w.n;
    return true;
}

/* ---- lines -------------------------------------------------------------- */

/* Each takes the words of its line and says whether they are right. A line
 * with data says so even then, when its length can be told. */

static bool parse_rep(const struct word *w, unsigned n, struct wire_msg *msg)
{
    if (n < 6 || !util_parse_u32(w[4].p, w[4].n, &msg->nbytes)) {
        return false;
    }
    msg->has_data = true;
    return n == 6 && take_key(w[1], msg) && parse_flags(w[2], &msg->flags) &&
           parse_time(w[3], &msg->exptime) &&
           util_parse_u64(w[5].p, w[5].n, &msg->cas);
}

static bool parse_delete(const struct word *w, unsigned n, struct wire_msg *msg)
{
    return n == 2 && take_key(w[1], msg);
}

static bool parse_flush(const struct word *w, unsigned n, struct wire_msg *msg)
{
    if (n > 1 && !parse_time(w[1], &msg->exptime)) {
        return false;
    }
    if (msg->exptime != 0) {
        msg->op = WIRE_FLUSH_AT;
    }
    return n <= 2;
}

static bool parse_end(const struct word *w, unsigned n, struct wire_msg *msg)
{
    (void)w;
    (void)msg;
    return n == 1;
}

/* A hello's fields are read by wire_parse_hello. */
static bool parse_nothing(const struct word *w, unsigned n,
                          struct wire_msg *msg)
{
    (void)w;
    (void)n;
    (void)msg;
    return true;
}

static const struct command {
    const char *word;
    uint8_t len;
    uint8_t op;
    bool (*parse)(const struct word *w, unsigned n, struct wire_msg *msg);
} commands[] = {
    {"rep", 3, WIRE_REP, parse_rep},
    {"delete", 6, WIRE_DELETE, parse_delete},
    {"flush_all", 9, WIRE_FLUSH, parse_flush},
    {"marugoto_end", 12, WIRE_END, parse_end},
    {"repcached3", 10, WIRE_HELLO, parse_nothing},
};

static const struct command *find_command(struct word w)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (word_is(w, commands[i].word, commands[i].len)) {
            return &commands[i];
        }
    }
    return NULL;
}

/* Reads one line's words into `msg`. */
static enum wire_status parse_line(const char *p, const char *end,
                                   struct wire_msg *msg)
{
    struct word words[FIELDS];
    unsigned n = split(p, end, words);
    const struct command *command = n > 0 ? find_command(words[0]) : NULL;

    if (command == NULL) {
        return WIRE_OK; /* unknown */
    }
    msg->op = command->op;
    if (!command->parse(words, n, msg)) {
        msg->op = WIRE_UNKNOWN;
    }
    /* Of a broken `rep` of unknown length the data would be taken for
     * commands. */
    if (msg->nbytes > WIRE_VALUE_MAX ||
        (command->op == WIRE_REP && !msg->has_data)) {
        return WIRE_BAD;
    }
    return WIRE_OK;
}

enum wire_status wire_parse(const char *p, size_t n, struct wire_msg *msg,
                            size_t *used)
{
    const char *lf = memchr(p, '\n', n < WIRE_LINE_MAX ? n : WIRE_LINE_MAX);
    const char *end = lf;

    if (lf == NULL) {
        return n < WIRE_LINE_MAX ? WIRE_MORE : WIRE_BAD;
    }
    if (end > p && end[-1] == '\r') {
        end--;
    }
    *msg = (struct wire_msg){.line = p, .line_len = (uint32_t)(end - p)};
    *used = (size_t)(lf + 1 - p);
    return parse_line(p, end, msg);
}

/* ---- hello -------------------------------------------------------------- */

enum hello_field {
    HELLO_RUN,
    HELLO_SLOT,
    HELLO_SLOTS,
    HELLO_ITEM_MAX,
    HELLO_CLOCK,
    HELLO_FLAGS,
    HELLO_PORT,
    HELLO_NONCE,
    HELLO_REFUSED,
    HELLO_ITEMS,
    HELLO_WAS,
    HELLO_FIELDS
};

static const char *const hello_names[HELLO_FIELDS] = {
    [HELLO_RUN] = "run",         [HELLO_SLOT] = "slot",
    [HELLO_SLOTS] = "slots",     [HELLO_ITEM_MAX] = "item_size_max",
    [HELLO_CLOCK] = "clock",     [HELLO_FLAGS] = "flags",
    [HELLO_PORT] = "port",       [HELLO_NONCE] = "nonce",
    [HELLO_REFUSED] = "refused", [HELLO_ITEMS] = "items",
    [HELLO_WAS] = "was",
};

static const struct {
    const char *word, *text;
} refusals[] = {
    [WIRE_WELCOME] = {"", "the peer takes the link"},
    [WIRE_BUSY] = {"busy", "the peer refuses: it has all the peers it was told "
                           "of (-x)"},
    [WIRE_STRANGER] = {"stranger", "the peer refuses: this node is none of the "
                                   "peers it was told of (-x)"},
    [WIRE_SELF] = {"self", "the peer refuses: it is this node itself"},
    [WIRE_CLOCK] = {"clock", "the peer refuses: the clock of this node is over "
                             "24 hours ahead of its own"},
};

enum { REFUSALS = sizeof(refusals) / sizeof(refusals[0]) };

static const unsigned HELLO_NEEDED = 1U << HELLO_RUN | 1U << HELLO_SLOT |
                                     1U << HELLO_ITEM_MAX | 1U << HELLO_CLOCK;

static bool parse_slots(struct word w, struct wire_hello *h)
{
    if (w.n != SLOT_DIGITS) {
        return false;
    }
    for (unsigned i = 0; i < 4; i++) {
        if (!parse_hex(w.p + (size_t)i * HASH_DIGITS, HASH_DIGITS,
                       &h->slots[i])) {
            return false;
        }
    }
    return true;
}

static bool parse_slot(struct word w, struct wire_hello *h)
{
    uint32_t slot;

    if (!util_parse_u32(w.p, w.n, &slot) || slot > UINT8_MAX) {
        return false;
    }
    h->slot = (uint8_t)slot;
    return true;
}

static bool parse_port(struct word w, struct wire_hello *h)
{
    uint32_t port;

    if (!util_parse_u32(w.p, w.n, &port) || port > UINT16_MAX) {
        return false;
    }
    h->port = (uint16_t)port;
    return true;
}

static bool parse_nonce(struct word w, struct wire_hello *h)
{
    if (w.n != 2 * (size_t)WIRE_NONCE) {
        return false;
    }
    for (size_t i = 0; i < WIRE_NONCE; i++) {
        int high = hex_digit(w.p[2 * i]);
        int low = hex_digit(w.p[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        h->nonce[i] = (uint8_t)(high * 16 + low);
    }
    h->has_nonce = true;
    return true;
}

/* Words of later versions are taken for the one that is no final answer. */
static bool parse_refusal(struct word w, struct wire_hello *h)
{
    h->refused = WIRE_BUSY;
    for (unsigned i = WIRE_BUSY; i < REFUSALS; i++) {
        if (word_is(w, refusals[i].word, strlen(refusals[i].word))) {
            h->refused = (uint8_t)i;
        }
    }
    return w.n > 0;
}

/* Comma-separated names; unknown ones are ignored. */
static void parse_hello_flags(struct word w, struct wire_hello *h)
{
    const char *end = w.p + w.n;
    const char *p = w.p;

    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma != NULL ? comma : end;

        if (word_is((struct word){p, (size_t)(stop - p)}, "copying", 7)) {
            h->copying = true;
        }
        p = comma != NULL ? comma + 1 : end;
    }
}

static bool parse_hello_value(enum hello_field field, struct word w,
                              struct wire_hello *h)
{
    switch (field) {
    case HELLO_RUN:
        return parse_hex(w.p, w.n, &h->run) && h->run != 0;
    case HELLO_SLOT:
        return parse_slot(w, h);
    case HELLO_SLOTS:
        return parse_slots(w, h);
    case HELLO_ITEM_MAX:
        return util_parse_u64(w.p, w.n, &h->item_size_max);
    case HELLO_CLOCK:
        return util_parse_u64(w.p, w.n, &h->clock_ms);
    case HELLO_FLAGS:
        parse_hello_flags(w, h);
        return true;
    case HELLO_PORT:
        return parse_port(w, h);
    case HELLO_NONCE:
        return parse_nonce(w, h);
    case HELLO_REFUSED:
        return parse_refusal(w, h);
    case HELLO_ITEMS:
        return util_parse_u64(w.p, w.n, &h->items);
    case HELLO_WAS:
        return parse_hex(w.p, w.n, &h->was) && h->was != 0;
    case HELLO_FIELDS:
        break;
    }
    return false;
}

/* Takes one `name=value` in; false when it is a known one and wrong. */
static bool parse_hello_field(struct word w, struct wire_hello *h,
                              unsigned *seen)
{
    const char *eq = memchr(w.p, '=', w.n);
    size_t name = eq != NULL ? (size_t)(eq - w.p) : w.n;

    for (unsigned i = 0; eq != NULL && i < HELLO_FIELDS; i++) {
        if (strlen(hello_names[i]) != name ||
            memcmp(hello_names[i], w.p, name) != 0) {
            continue;
        }
        if ((*seen & 1U << i) != 0) {
            return false;
        }
        *seen |= 1U << i;
        return parse_hello_value((enum hello_field)i,
                                 (struct word){eq + 1, w.n - name - 1}, h);
    }
    return true; /* unknown fields are a later version's */
}

/* Splits the next word off; n is 0 at the end. */
static struct word next_word(const char **p, const char *end)
{
    const char *start = *p;

    while (start < end && *start == ' ') {
        start++;
    }
    *p = start;
    while (*p < end && **p != ' ') {
        (*p)++;
    }
    return (struct word){start, (size_t)(*p - start)};
}

bool wire_parse_hello(const char *line, size_t n, struct wire_hello *out)
{
    const char *end = line + n;
    const char *p = line + HELLO_WORD_LEN;
    unsigned seen = 0;
    struct word w;

    *out = (struct wire_hello){0};
    if (n < HELLO_WORD_LEN || n + 2 > WIRE_HELLO_MAX ||
        memcmp(line, HELLO_WORD, HELLO_WORD_LEN) != 0) {
        return false;
    }
    w = next_word(&p, end);
    if (!util_parse_u32(w.p, w.n, &out->dialect) || out->dialect == 0) {
        return false;
    }
    for (w = next_word(&p, end); w.n > 0; w = next_word(&p, end)) {
        if (!parse_hello_field(w, out, &seen)) {
            return false;
        }
    }
    if (out->refused != WIRE_WELCOME) {
        *out = (struct wire_hello){.refused = out->refused,
                                   .dialect = out->dialect};
        return true;
    }
    return (seen & HELLO_NEEDED) == HELLO_NEEDED;
}

enum wire_status wire_sniff_hello(const char *p, size_t n)
{
    size_t head = n < HELLO_WORD_LEN ? n : (size_t)HELLO_WORD_LEN;

    if (memcmp(p, HELLO_WORD, head) != 0) {
        return WIRE_BAD;
    }
    if (memchr(p, '\n', n < WIRE_HELLO_MAX ? n : WIRE_HELLO_MAX) != NULL) {
        return WIRE_OK;
    }
    return n < WIRE_HELLO_MAX ? WIRE_MORE : WIRE_BAD;
}

/* ---- writing ------------------------------------------------------------ */

static char *put(char *p, const char *text, size_t n)
{
    memcpy(p, text, n);
    return p + n;
}

#define PUT(p, literal) put(p, literal, sizeof(literal) - 1)

static char *put_number(char *p, uint64_t v)
{
    *p++ = ' ';
    return util_format_u64(p, v);
}

static char *put_end(char *p)
{
    return PUT(p, "\r\n");
}

static char *put_nonce(char *p, const uint8_t *nonce)
{
    for (int i = 0; i < WIRE_NONCE; i++) {
        *p++ = "0123456789abcdef"[nonce[i] >> 4];
        *p++ = "0123456789abcdef"[nonce[i] & 15];
    }
    return p;
}

char *wire_format_hello(char *buf, const struct wire_hello *h)
{
    char *p = PUT(buf, "repcached3");

    p = put_number(p, h->dialect);
    p = put_hex(PUT(p, " run="), h->run);
    p = util_format_u64(PUT(p, " slot="), h->slot);
    p = PUT(p, " slots=");
    for (unsigned i = 0; i < 4; i++) {
        p = put_hex(p, h->slots[i]);
    }
    p = util_format_u64(PUT(p, " item_size_max="), h->item_size_max);
    p = util_format_u64(PUT(p, " clock="), h->clock_ms);
    if (h->items != 0) {
        p = util_format_u64(PUT(p, " items="), h->items);
    }
    if (h->copying) {
        p = PUT(p, " flags=copying");
    }
    if (h->port != 0) {
        p = util_format_u64(PUT(p, " port="), h->port);
    }
    if (h->was != 0) {
        p = put_hex(PUT(p, " was="), h->was);
    }
    if (h->has_nonce) {
        p = put_nonce(PUT(p, " nonce="), h->nonce);
    }
    return put_end(p);
}

char *wire_format_refusal(char *buf, enum wire_refusal why)
{
    char *p = put_number(PUT(buf, "repcached3"), WIRE_DIALECT);

    p = PUT(p, " refused=");
    return put_end(put(p, refusals[why].word, strlen(refusals[why].word)));
}

const char *wire_refusal_text(enum wire_refusal why)
{
    return refusals[why].text;
}

char *wire_format_rep(char *buf, const struct wire_item *item)
{
    char *p = put(PUT(buf, "rep "), item->key, item->nkey);

    p = put_number(p, item->flags);
    p = put_number(p, item->exptime);
    p = put_number(p, item->nbytes);
    return put_end(put_number(p, item->cas));
}

char *wire_format_delete(char *buf, const char *key, size_t nkey)
{
    return put_end(put(PUT(buf, "delete "), key, nkey));
}

char *wire_format_flush(char *buf)
{
    return PUT(buf, "flush_all \r\n");
}

char *wire_format_flush_at(char *buf, uint32_t at)
{
    return put_end(put_number(PUT(buf, "flush_all"), at));
}

char *wire_format_end(char *buf)
{
    return PUT(buf, "marugoto_end\r\n");
}
