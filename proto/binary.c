#include "proto/binary.h"

#include <string.h>

#include "base/bytes.h"

/* What the parts of a request must be. */
enum part {
    NONE,
    SOME,
    ANY,
    UNREAD, /* value: nobody asks; what there is is not part of the request */
};

enum { NO_EXTRAS, FLUSH_EXTRAS = 0xff }; /* flush: none, or an expiry */

enum {
    EXPTIME_EXTRAS = 4,
    STORE_EXTRAS = 8,
    ARITH_EXTRAS = 20,
};

_Static_assert((int)ARITH_EXTRAS == (int)BINARY_EXTRAS_MAX, "the most");

static const struct row {
    uint8_t verb; /* enum binary_verb; UNKNOWN where there is no row */
    uint8_t extras;
    uint8_t key;   /* enum part */
    uint8_t value; /* the same */
    bool quiet;
    bool with_key;
} rows[] = {
    [0x00] = {BINARY_GET, NO_EXTRAS, SOME, NONE, false, false},
    [0x01] = {BINARY_SET, STORE_EXTRAS, SOME, ANY, false, false},
    [0x02] = {BINARY_ADD, STORE_EXTRAS, SOME, ANY, false, false},
    [0x03] = {BINARY_REPLACE, STORE_EXTRAS, SOME, ANY, false, false},
    [0x04] = {BINARY_DELETE, NO_EXTRAS, SOME, NONE, false, false},
    [0x05] = {BINARY_INCR, ARITH_EXTRAS, SOME, NONE, false, false},
    [0x06] = {BINARY_DECR, ARITH_EXTRAS, SOME, NONE, false, false},
    [0x07] = {BINARY_QUIT, NO_EXTRAS, NONE, NONE, false, false},
    [0x08] = {BINARY_FLUSH, FLUSH_EXTRAS, NONE, NONE, false, false},
    [0x09] = {BINARY_GET, NO_EXTRAS, SOME, NONE, true, false},
    [0x0a] = {BINARY_NOOP, NO_EXTRAS, NONE, NONE, false, false},
    [0x0b] = {BINARY_VERSION, NO_EXTRAS, NONE, NONE, false, false},
    [0x0c] = {BINARY_GET, NO_EXTRAS, SOME, NONE, false, true},
    [0x0d] = {BINARY_GET, NO_EXTRAS, SOME, NONE, true, true},
    [0x0e] = {BINARY_APPEND, NO_EXTRAS, SOME, ANY, false, false},
    [0x0f] = {BINARY_PREPEND, NO_EXTRAS, SOME, ANY, false, false},
    [0x10] = {BINARY_STAT, NO_EXTRAS, ANY, UNREAD, false, false},
    [0x11] = {BINARY_SET, STORE_EXTRAS, SOME, ANY, true, false},
    [0x12] = {BINARY_ADD, STORE_EXTRAS, SOME, ANY, true, false},
    [0x13] = {BINARY_REPLACE, STORE_EXTRAS, SOME, ANY, true, false},
    [0x14] = {BINARY_DELETE, NO_EXTRAS, SOME, NONE, true, false},
    [0x15] = {BINARY_INCR, ARITH_EXTRAS, SOME, NONE, true, false},
    [0x16] = {BINARY_DECR, ARITH_EXTRAS, SOME, NONE, true, false},
    [0x17] = {BINARY_QUIT, NO_EXTRAS, NONE, NONE, true, false},
    [0x18] = {BINARY_FLUSH, FLUSH_EXTRAS, NONE, NONE, true, false},
    [0x19] = {BINARY_APPEND, NO_EXTRAS, SOME, ANY, true, false},
    [0x1a] = {BINARY_PREPEND, NO_EXTRAS, SOME, ANY, true, false},
    [0x1c] = {BINARY_TOUCH, EXPTIME_EXTRAS, SOME, UNREAD, false, false},
    [0x1d] = {BINARY_GAT, EXPTIME_EXTRAS, SOME, UNREAD, false, false},
    [0x1e] = {BINARY_GAT, EXPTIME_EXTRAS, SOME, UNREAD, true, false},
    [0x23] = {BINARY_GAT, EXPTIME_EXTRAS, SOME, UNREAD, false, true},
    [0x24] = {BINARY_GAT, EXPTIME_EXTRAS, SOME, UNREAD, true, true},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

/* ---- requests --------------------------------------------------------- */

/* The lengths a header tells. */
struct lengths {
    size_t key, extras;
    uint64_t body;
};

static bool part_fits(enum part part, uint64_t n)
{
    switch (part) {
    case NONE:
        return n == 0;
    case SOME:
        return n > 0;
    case ANY:
    case UNREAD:
        break;
    }
    return true;
}

static bool extras_fit(const struct row *row, size_t n)
{
    return row->extras == FLUSH_EXTRAS ? n == 0 || n == EXPTIME_EXTRAS
                                       : n == row->extras;
}

static bool shape_fits(const struct row *row, const struct lengths *has)
{
    return extras_fit(row, has->extras) &&
           part_fits((enum part)row->key, has->key) &&
           part_fits((enum part)row->value, has->body - has->key - has->extras);
}

/* `p` holds the extras of a request whose shape fits. */
static void read_extras(struct binary_request *req, const uint8_t *p, size_t n)
{
    if (n == EXPTIME_EXTRAS) {
        req->exptime = get_u32(p);
    } else if (n == STORE_EXTRAS) {
        req->flags = get_u32(p);
        req->exptime = get_u32(p + 4);
    } else if (n == ARITH_EXTRAS) {
        req->delta = get_u64(p);
        req->initial = get_u64(p + 8);
        req->exptime = get_u32(p + 16);
    }
}

static void misframe(struct binary_request *req, enum binary_code code)
{
    req->misframed = true;
    req->refusal = (uint16_t)code;
}

/* Fills in what the opcode says, and whether all it needs is there. */
static void read_opcode(struct binary_request *req, const uint8_t *body,
                        const struct lengths *has)
{
    const struct row *row =
        &rows[req->tag.opcode < ROWS ? req->tag.opcode : 0x1b];

    req->verb = row->verb;
    req->tag.quiet = row->quiet;
    req->with_key = row->with_key;
    req->key = (const char *)body + has->extras;
    req->nkey = (uint16_t)has->key;
    if (has->key > KEY_MAX_LENGTH ||
        (row->verb != BINARY_UNKNOWN && !shape_fits(row, has))) {
        req->misshapen = true;
        req->refusal = BINARY_INVALID;
        return;
    }
    req->nbytes = (uint32_t)(has->body - has->key - has->extras);
    if (row->value == UNREAD && req->nbytes > 0) {
        req->surplus = true;
        req->nbytes = 0;
    }
    if (row->verb != BINARY_UNKNOWN) {
        read_extras(req, body, has->extras);
    }
}

enum binary_status binary_parse(const char *p, size_t n,
                                struct binary_request *req, size_t *used)
{
    const uint8_t *header = (const uint8_t *)p;
    struct lengths has;
    size_t packet;

    if (n < BINARY_HEADER) {
        return BINARY_MORE;
    }
    if (header[0] != BINARY_REQUEST) {
        return BINARY_BAD;
    }
    has = (struct lengths){get_u16(header + 2), header[4], get_u32(header + 8)};
    packet = BINARY_HEADER + has.extras + has.key;
    if (packet > BINARY_PACKET_MAX) {
        return BINARY_BAD;
    }
    if (n < packet) {
        return BINARY_MORE;
    }
    *used = packet;
    *req = (struct binary_request){
        .tag = {.opcode = header[1]}, .cas = get_u64(header + 16), .start = p};
    memcpy(&req->tag.opaque, header + 12, sizeof(req->tag.opaque));
    if (has.key + has.extras > has.body) {
        misframe(req, BINARY_UNKNOWN_COMMAND);
    } else if (has.body > BINARY_BODY_MAX) {
        misframe(req, BINARY_INVALID);
    } else {
        read_opcode(req, header + BINARY_HEADER, &has);
    }
    return BINARY_PARSED;
}

/* ---- replies ---------------------------------------------------------- */

char *binary_u32(char *buf, uint32_t v)
{
    return (char *)wr_u32((uint8_t *)buf, v);
}

char *binary_u64(char *buf, uint64_t v)
{
    return (char *)wr_u64((uint8_t *)buf, v);
}

char *binary_reply_header(char *buf, const struct binary_tag *tag,
                          const struct binary_reply *reply)
{
    uint8_t *p = (uint8_t *)buf;

    *p++ = BINARY_RESPONSE;
    *p++ = tag->opcode;
    p = wr_u16(p, reply->nkey);
    *p++ = reply->nextras;
    *p++ = 0; /* data type */
    p = wr_u16(p, reply->code);
    p = wr_u32(p, reply->nextras + reply->nkey + reply->nbytes);
    memcpy(p, &tag->opaque, sizeof(tag->opaque));
    return (char *)wr_u64(p + sizeof(tag->opaque), reply->cas);
}

const char *binary_text(enum binary_code code)
{
    switch (code) {
    case BINARY_AUTH_MORE:
    case BINARY_OK:
        break;
    case BINARY_NOT_FOUND:
        return "Not found";
    case BINARY_EXISTS:
        return "Data exists for key.";
    case BINARY_TOO_LARGE:
        return "Too large.";
    case BINARY_INVALID:
        return "Invalid arguments";
    case BINARY_NOT_STORED:
        return "Not stored.";
    case BINARY_NON_NUMERIC:
        return "Non-numeric server-side value for incr or decr";
    case BINARY_AUTH_ERROR:
        return "Auth failure.";
    case BINARY_UNKNOWN_COMMAND:
        return "Unknown command";
    case BINARY_NO_MEMORY:
        return "Out of memory";
    }
    return "";
}
