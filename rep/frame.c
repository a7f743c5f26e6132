#include "rep/frame.h"

#include <assert.h>
#include <string.h>

#define BITS_ALL (FRAME_HAS_CAS * 2U - 1U)

/* ---- the table ---------------------------------------------------------- */

/* What ends a message (in this order), and what must hold for it. */
enum has {
    HAS_CAS = 1 << 0,     /* when FRAME_HAS_CAS is set */
    HAS_KEY = 1 << 1,     /* nkey bytes */
    HAS_BYTES = 1 << 2,   /* nbytes bytes */
    HAS_VERSION = 1 << 3, /* not 0, below 2^63 */
    IS_CONTROL = 1 << 4,  /* may use the reserve */
};

/* How the fields before those are read and written, at the byte behind the
 * type; the caller saw to it that all of them are there, or fit. */
struct message {
    void (*read)(const uint8_t *p, struct frame_msg *msg);
    uint8_t *(*write)(uint8_t *p, const struct frame_msg *msg);
    uint8_t size; /* of type and fields */
    uint8_t has;
};

static void read_item(const uint8_t *p, struct frame_msg *msg)
{
    msg->bits = p[0];
    msg->nkey = p[1];
    msg->hops = p[2];
    msg->flags = get_u32(p + 3);
    msg->exptime = get_u32(p + 7);
    msg->nbytes = get_u32(p + 11);
    msg->version = get_u64(p + 15);
}

static uint8_t *write_item(uint8_t *p, const struct frame_msg *msg)
{
    *p++ = msg->bits;
    *p++ = msg->nkey;
    *p++ = msg->hops;
    p = wr_u32(p, msg->flags);
    p = wr_u32(p, msg->exptime);
    p = wr_u32(p, msg->nbytes);
    return wr_u64(p, msg->version);
}

/* PART, HINTS */
static void read_length(const uint8_t *p, struct frame_msg *msg)
{
    msg->nbytes = get_u16(p);
}

static uint8_t *write_length(uint8_t *p, const struct frame_msg *msg)
{
    return wr_u16(p, (uint16_t)msg->nbytes);
}

/* DELETE, OFFER */
static void read_relayed(const uint8_t *p, struct frame_msg *msg)
{
    msg->nkey = p[0];
    msg->hops = p[1];
    msg->version = get_u64(p + 2);
}

static uint8_t *write_relayed(uint8_t *p, const struct frame_msg *msg)
{
    *p++ = msg->nkey;
    *p++ = msg->hops;
    return wr_u64(p, msg->version);
}

/* WANT, GONE */
static void read_touch(const uint8_t *p, struct frame_msg *msg)
{
    msg->nkey = p[0];
    msg->hops = p[1];
    msg->exptime = get_u32(p + 2);
    msg->version = get_u64(p + 6);
}

static uint8_t *write_touch(uint8_t *p, const struct frame_msg *msg)
{
    *p++ = msg->nkey;
    *p++ = msg->hops;
    p = wr_u32(p, msg->exptime);
    return wr_u64(p, msg->version);
}

/* FLOOR, and FLUSH_AT: its time lies where the hash of a floor does. */
static void read_floor(const uint8_t *p, struct frame_msg *msg)
{
    msg->hops = p[0];
    msg->hash = get_u64(p + 1);
    msg->version = get_u64(p + 9);
}

static uint8_t *write_floor(uint8_t *p, const struct frame_msg *msg)
{
    *p++ = msg->hops;
    p = wr_u64(p, msg->hash);
    return wr_u64(p, msg->version);
}

static void read_barrier(const uint8_t *p, struct frame_msg *msg)
{
    msg->hops = p[0];
    msg->version = get_u64(p + 1);
}

static uint8_t *write_barrier(uint8_t *p, const struct frame_msg *msg)
{
    *p++ = msg->hops;
    return wr_u64(p, msg->version);
}

static void read_missed(const uint8_t *p, struct frame_msg *msg)
{
    msg->cell = get_u16(p);
    msg->cells = get_u16(p + 2);
    msg->version = get_u64(p + 4);
}

static uint8_t *write_missed(uint8_t *p, const struct frame_msg *msg)
{
    p = wr_u16(p, msg->cell);
    p = wr_u16(p, msg->cells);
    return wr_u64(p, msg->version);
}

/* POSITION, ACK, SCAN_ACK, PING, RESUME: one number, by whatever name. */
static void read_number(const uint8_t *p, struct frame_msg *msg)
{
    msg->position = get_u64(p);
}

static uint8_t *write_number(uint8_t *p, const struct frame_msg *msg)
{
    return wr_u64(p, msg->position);
}

static void read_scan_point(const uint8_t *p, struct frame_msg *msg)
{
    msg->cursor = get_u64(p);
    msg->version = get_u64(p + 8);
}

static uint8_t *write_scan_point(uint8_t *p, const struct frame_msg *msg)
{
    return wr_u64(wr_u64(p, msg->cursor), msg->version);
}

static void read_pong(const uint8_t *p, struct frame_msg *msg)
{
    msg->echo_ms = get_u64(p);
    msg->clock_ms = get_u64(p + 8);
}

static uint8_t *write_pong(uint8_t *p, const struct frame_msg *msg)
{
    return wr_u64(wr_u64(p, msg->echo_ms), msg->clock_ms);
}

/* CANCEL, COPY_END, BUSY, BYE */
static void read_nothing(const uint8_t *p, struct frame_msg *msg)
{
    (void)p;
    (void)msg;
}

static uint8_t *write_nothing(uint8_t *p, const struct frame_msg *msg)
{
    (void)msg;
    return p;
}

static void read_error(const uint8_t *p, struct frame_msg *msg)
{
    msg->code = get_u16(p);
    msg->nbytes = p[2];
}

static uint8_t *write_error(uint8_t *p, const struct frame_msg *msg)
{
    p = wr_u16(p, msg->code);
    *p++ = (uint8_t)msg->nbytes;
    return p;
}

#define STATE (HAS_KEY | HAS_VERSION)

static const struct message messages[] = {
    [FRAME_ITEM] = {read_item, write_item, FRAME_ITEM_HEAD,
                    STATE | HAS_CAS | HAS_BYTES},
    [FRAME_ITEM_BEGIN] = {read_item, write_item, FRAME_ITEM_HEAD,
                          STATE | HAS_CAS},
    [FRAME_ITEM_PART] = {read_length, write_length, 3, HAS_BYTES},
    [FRAME_ITEM_CANCEL] = {read_nothing, write_nothing, 1, 0},
    [FRAME_DELETE] = {read_relayed, write_relayed, 11, STATE},
    [FRAME_FLOOR] = {read_floor, write_floor, 18, HAS_VERSION},
    [FRAME_TOUCH] = {read_touch, write_touch, 15, STATE},
    [FRAME_BARRIER] = {read_barrier, write_barrier, 10, HAS_VERSION},
    [FRAME_FLUSH_AT] = {read_floor, write_floor, 18, HAS_VERSION},
    [FRAME_OFFER] = {read_relayed, write_relayed, 11, STATE},
    [FRAME_WANT] = {read_relayed, write_relayed, 11, STATE | IS_CONTROL},
    [FRAME_GONE] = {read_relayed, write_relayed, 11, STATE | IS_CONTROL},
    [FRAME_MISSED] = {read_missed, write_missed, 13, HAS_VERSION},
    [FRAME_POSITION] = {read_number, write_number, 9, 0},
    [FRAME_ACK] = {read_number, write_number, 9, IS_CONTROL},
    [FRAME_SCAN_POINT] = {read_scan_point, write_scan_point, 17, 0},
    [FRAME_SCAN_ACK] = {read_number, write_number, 9, IS_CONTROL},
    [FRAME_COPY_END] = {read_nothing, write_nothing, 1, 0},
    [FRAME_PING] = {read_number, write_number, 9, IS_CONTROL},
    [FRAME_PONG] = {read_pong, write_pong, 17, IS_CONTROL},
    [FRAME_BUSY] = {read_nothing, write_nothing, 1, IS_CONTROL},
    [FRAME_ERROR] = {read_error, write_error, 4, IS_CONTROL | HAS_BYTES},
    [FRAME_BYE] = {read_nothing, write_nothing, 1, IS_CONTROL},
    [FRAME_RESUME] = {read_number, write_number, 9, IS_CONTROL},
};

static const struct message hints = {read_length, write_length, 3, HAS_BYTES};

_Static_assert(FRAME_WHOLE_MAX + FRAME_ITEM_HEAD + 8 + KEY_MAX_LENGTH <=
                   FRAME_BODY_MAX - FRAME_RESERVED,
               "a whole value leaves the reserve alone");
_Static_assert(FRAME_HINTS_MAX <= UINT16_MAX, "their length has 16 bits");

/* NULL: not a message of this dialect. */
static const struct message *find_message(unsigned type)
{
    if (type < sizeof(messages) / sizeof(messages[0])) {
        return messages[type].read != NULL ? &messages[type] : NULL;
    }
    return type == FRAME_HINTS ? &hints : NULL;
}

/* ---- what may be said --------------------------------------------------- */

/* The text goes into logs: printable ASCII, and nothing else. */
static bool is_text(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] < ' ' || p[i] > '~') {
            return false;
        }
    }
    return n <= FRAME_TEXT_MAX;
}

/* The bounds of single messages beyond those of the table. */
static bool is_sound(const struct frame_msg *msg)
{
    switch (msg->type) {
    case FRAME_ITEM:
        return msg->bits <= BITS_ALL;
    case FRAME_ITEM_BEGIN:
        return msg->bits <= BITS_ALL && msg->nbytes != 0 &&
               msg->nbytes <= FRAME_VALUE_MAX;
    case FRAME_ITEM_PART:
        return msg->nbytes != 0 && msg->nbytes <= UINT16_MAX;
    case FRAME_MISSED:
        return msg->cell < msg->cells && msg->cells <= FRAME_CELLS_MAX;
    case FRAME_SCAN_POINT:
        return msg->version >> 63 == 0;
    case FRAME_ERROR:
        return is_text(msg->bytes, msg->nbytes);
    case FRAME_HINTS:
        return msg->nbytes != 0 && msg->nbytes <= FRAME_HINTS_MAX;
    default: /* the table says it all */
        return true;
    }
}

static bool is_in_bounds(const struct message *m, const struct frame_msg *msg)
{
    if ((m->has & HAS_VERSION) != 0 &&
        (msg->version == 0 || msg->version >> 63 != 0)) {
        return false;
    }
    if ((m->has & HAS_KEY) != 0 &&
        (msg->nkey == 0 || msg->nkey > KEY_MAX_LENGTH)) {
        return false;
    }
    return is_sound(msg);
}

/* Follows the value that travels in parts; false when `msg` is out of turn. */
static bool follow(struct frame_stream *stream, const struct frame_msg *msg)
{
    uint32_t left = stream->left;

    switch (msg->type) {
    case FRAME_ITEM_BEGIN:
        stream->left = msg->nbytes;
        return left == 0;
    case FRAME_ITEM_PART:
        stream->left = left - msg->nbytes;
        return left >= msg->nbytes;
    case FRAME_ITEM_CANCEL:
        stream->left = 0;
        return left != 0;
    default:
        return true;
    }
}

/* ---- reading ------------------------------------------------------------ */

enum frame_status frame_batch(const uint8_t *p, size_t n, bool tagged,
                              struct frame_batch *out)
{
    struct rd r = {p, p + n, false};
    uint32_t len = rd_u32(&r);
    size_t tag = tagged ? FRAME_TAG : 0;

    if (r.bad) {
        return FRAME_MORE;
    }
    if (len == 0 || len > FRAME_BODY_MAX) {
        return FRAME_BAD;
    }
    if (n - FRAME_HEAD < len + tag) {
        return FRAME_MORE;
    }
    out->body = (struct rd){r.p, r.p + len, false};
    out->tag = tagged ? r.p + len : NULL;
    out->used = FRAME_HEAD + len + tag;
    return FRAME_OK;
}

static bool has_cas(const struct message *m, const struct frame_msg *msg)
{
    return (m->has & HAS_CAS) != 0 && (msg->bits & FRAME_HAS_CAS) != 0;
}

/* Bytes of a message, all but the value or text at its end. */
static size_t head_size(const struct message *m, const struct frame_msg *msg)
{
    return m->size + (has_cas(m, msg) ? 8U : 0) +
           ((m->has & HAS_KEY) != 0 ? msg->nkey : 0U);
}

static size_t whole_size(const struct message *m, const struct frame_msg *msg)
{
    return head_size(m, msg) + ((m->has & HAS_BYTES) != 0 ? msg->nbytes : 0U);
}

/* A message whose type is known: what it is long is told by its fields. */
static bool take(struct rd *r, const struct message *m, struct frame_msg *msg)
{
    const uint8_t *p = r->p;
    size_t n = (size_t)(r->end - p), size;

    if (n < m->size) {
        return false;
    }
    m->read(p + 1, msg);
    size = whole_size(m, msg);
    if (n < size) {
        return false;
    }
    r->p = p + size;
    p += m->size;
    if (has_cas(m, msg)) {
        msg->cas = get_u64(p);
        p += sizeof(msg->cas);
    }
    if ((m->has & HAS_KEY) != 0) {
        msg->key = (const char *)p;
        p += msg->nkey;
    }
    if ((m->has & HAS_BYTES) != 0) {
        msg->bytes = p;
    }
    return is_in_bounds(m, msg);
}

/* Whether a message of a later version was skipped. */
static bool skip(struct rd *r)
{
    size_t n = (size_t)(r->end - r->p), size;

    if (r->p[0] <= FRAME_HINTS || n < hints.size) {
        return false;
    }
    size = hints.size + (size_t)get_u16(r->p + 1);
    if (n < size) {
        return false;
    }
    r->p += size;
    return true;
}

enum frame_status frame_next(struct rd *body, struct frame_stream *stream,
                             struct frame_msg *msg)
{
    const struct message *m;

    if (body->bad) {
        return FRAME_BAD;
    }
    do {
        if (body->p == body->end) {
            return FRAME_END;
        }
    } while (skip(body));
    *msg = (struct frame_msg){.type = body->p[0]};
    m = find_message(msg->type);
    if (m == NULL || !take(body, m, msg) || !follow(stream, msg)) {
        body->bad = true;
        return FRAME_BAD;
    }
    return FRAME_OK;
}

/* ---- writing ------------------------------------------------------------ */

bool frame_is_control(enum frame_type type)
{
    const struct message *m = find_message(type);

    return m != NULL && (m->has & IS_CONTROL) != 0;
}

void frame_begin(struct frame_out *out, uint8_t *buf, size_t room,
                 struct frame_stream *stream)
{
    assert(room > FRAME_HEAD + FRAME_RESERVED + FRAME_TAG);
    room = room < FRAME_BATCH_MAX ? room : FRAME_BATCH_MAX;
    out->start = buf;
    out->p = buf + FRAME_HEAD;
    out->end = buf + room - FRAME_TAG;
    out->stream = stream;
}

size_t frame_room_control(const struct frame_out *out)
{
    return (size_t)(out->end - out->p);
}

size_t frame_room(const struct frame_out *out)
{
    size_t room = frame_room_control(out);

    return room > FRAME_RESERVED ? room - FRAME_RESERVED : 0;
}

size_t frame_size(const struct frame_msg *msg)
{
    const struct message *m = find_message(msg->type);

    assert(m != NULL);
    return whole_size(m, msg);
}

/* In words, of which the last may overlap: of a memcpy of less than 256 bytes
 * compilers make a string instruction, which takes longer than all the rest. */
static uint8_t *put_key(uint8_t *p, const char *key, size_t n)
{
    size_t i = 0;

    for (; i + sizeof(uint64_t) <= n; i += sizeof(uint64_t)) {
        memcpy(p + i, key + i, sizeof(uint64_t));
    }
    if (i > 0) {
        memcpy(p + n - sizeof(uint64_t), key + n - sizeof(uint64_t),
               sizeof(uint64_t));
    } else {
        for (; i < n; i++) {
            p[i] = (uint8_t)key[i];
        }
    }
    return p + n;
}

/* Writes all but the bytes at the end; out->p moves past those, too. */
static uint8_t *put(struct frame_out *out, const struct message *m,
                    const struct frame_msg *msg)
{
    size_t size = whole_size(m, msg);
    uint8_t *p = out->p;
    bool in_turn;

    if (size > ((m->has & IS_CONTROL) != 0 ? frame_room_control(out)
                                           : frame_room(out))) {
        return NULL;
    }
    in_turn = follow(out->stream, msg);
    assert(in_turn);
    out->p = p + size;
    *p++ = msg->type;
    p = m->write(p, msg);
    if (has_cas(m, msg)) {
        p = wr_u64(p, msg->cas);
    }
    if ((m->has & HAS_KEY) != 0) {
        p = put_key(p, msg->key, msg->nkey);
    }
    return p;
}

bool frame_put(struct frame_out *out, const struct frame_msg *msg)
{
    const struct message *m = find_message(msg->type);
    uint8_t *p;

    assert(m != NULL && is_in_bounds(m, msg));
    p = put(out, m, msg);
    if (p != NULL && p < out->p) {
        memcpy(p, msg->bytes, msg->nbytes);
    }
    return p != NULL;
}

uint8_t *frame_put_head(struct frame_out *out, const struct frame_msg *msg)
{
    const struct message *m = find_message(msg->type);

    assert(msg->type == FRAME_ITEM || msg->type == FRAME_ITEM_PART);
    assert(is_in_bounds(m, msg));
    return put(out, m, msg);
}

size_t frame_item(uint8_t *p, const struct frame_msg *msg)
{
    uint8_t *start = p;

    assert(is_in_bounds(&messages[FRAME_ITEM], msg));
    *p++ = FRAME_ITEM;
    p = write_item(p, msg);
    p = put_key(p, msg->key, msg->nkey);
    memcpy(p, msg->bytes, msg->nbytes);
    return (size_t)(p - start) + msg->nbytes;
}

bool frame_put_item(struct frame_out *out, const uint8_t *item, size_t n)
{
    if (n > frame_room(out)) {
        return false;
    }
    memcpy(out->p, item, n);
    out->p += n;
    return true;
}

size_t frame_end(struct frame_out *out)
{
    size_t body = (size_t)(out->p - out->start) - FRAME_HEAD;

    if (body == 0) {
        return 0;
    }
    (void)wr_u32(out->start, (uint32_t)body);
    return FRAME_HEAD + body;
}
