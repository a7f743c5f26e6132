#include "slot.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "command_binary.h"
#include "store.h"

/* Verbs whose cache misses are worth overlapping: they name a key. */
static bool is_keyed(const struct request *req)
{
    return req->verb >= VERB_GET && req->verb <= VERB_META_DEBUG;
}

/* The hash of the key that a parsed request names; false: it names none. */
static inline bool hash_of(const struct slot *slot, unsigned i, uint64_t *hv)
{
    const struct ahead *a = &slot->ahead[i];

    if (UNLIKELY(slot->binary)) {
        *hv = a->binary.hv;
        return binary_is_keyed(&a->binary);
    }
    *hv = a->req.hv;
    return is_keyed(&a->req);
}

void slot_prefetch_buckets(const struct slot *slot)
{
    uint64_t hv;

    for (unsigned i = slot->next; i < slot->count; i++) {
        if (hash_of(slot, i, &hv)) {
            store_prefetch_bucket(hv);
        }
    }
}

void slot_prefetch_items(const struct slot *slot)
{
    uint64_t hv;

    for (unsigned i = slot->next; i < slot->count; i++) {
        if (hash_of(slot, i, &hv)) {
            store_prefetch_item(hv);
        }
    }
}

static enum text_status as_text_status(enum binary_status status)
{
    static const uint8_t statuses[] = {[BINARY_PARSED] = TEXT_OK,
                                       [BINARY_MORE] = TEXT_MORE,
                                       [BINARY_BAD] = TEXT_BAD};

    return (enum text_status)statuses[status];
}

static void look_at_packets(struct slot *slot)
{
    size_t at = slot->pos;
    bool going = true;

    while (going && slot->count < SLOT_AHEAD && at < slot->len) {
        struct ahead *a = &slot->ahead[slot->count];
        size_t used = 0;

        slot->status = as_text_status(
            binary_parse(slot->buf + at, slot->len - at, &a->binary, &used));
        if (slot->status != TEXT_OK) {
            return;
        }
        command_binary_prepare(&a->binary);
        slot->count++;
        a->start = at;
        a->data = at + used;
        going = binary_is_keyed(&a->binary) &&
                slot->len - a->data >= a->binary.nbytes;
        at = a->data + a->binary.nbytes;
    }
}

static void look_at_lines(struct slot *slot)
{
    size_t at = slot->pos;
    bool going = true;

    slot->status = TEXT_MORE;
    while (going && slot->count < SLOT_AHEAD && at < slot->len) {
        struct ahead *a = &slot->ahead[slot->count];
        size_t used = 0;

        slot->status =
            text_parse(slot->buf + at, slot->len - at, &a->req, &used);
        if (slot->status != TEXT_OK) {
            return;
        }
        command_prepare(&a->req);
        slot->count++;
        a->start = at;
        a->data = at + used;
        at = a->data;
        going = is_keyed(&a->req);
        if (a->req.has_data) {
            going = going && slot->len - at >= a->req.nbytes + (size_t)2;
            at += a->req.nbytes + (size_t)2;
        }
    }
}

/* Puts `req`, made by hand, where look-ahead would have. */
static void look_at_one(struct slot *slot, const struct request *req,
                        size_t used)
{
    slot->ahead[0] = (struct ahead){
        .req = *req, .start = slot->pos, .data = slot->pos + used};
    slot->count = 1;
    slot->status = TEXT_OK;
    command_prepare(&slot->ahead[0].req);
}

/* A whole slot without a key: refuses the line. */
static void look_at_no_key(struct slot *slot)
{
    const char *at = slot->buf + slot->pos;
    struct request req = {.verb = VERB_ERROR,
                          .refusal = REPLY_BAD_FORMAT,
                          .more = true,
                          .key = at,
                          .rest = at,
                          .end = at,
                          .line = at};

    look_at_one(slot, &req, slot->len - slot->pos);
}

static bool slot_is_full(const struct slot *slot)
{
    return slot->pos == 0 && slot->len == SLOT_BYTES;
}

static void look_at_long_get(struct slot *slot)
{
    struct request req = {0};
    size_t used = 0;

    if (text_parse_get_head(slot->buf, slot->len, &req, &used) == TEXT_OK) {
        req.more = true;
        look_at_one(slot, &req, used);
    } else {
        look_at_no_key(slot);
    }
}

/* Goes on in a get line of which part is answered. */
static void look_at_more_keys(struct slot *slot, const struct held *held)
{
    struct request req = held->ahead.req;
    const char *at = slot->buf + slot->pos;
    size_t n = slot->len - slot->pos;
    size_t used = 0;
    bool last = false;

    req.line = at;
    req.line_len = 0;
    if (n == 0) {
        slot->status = TEXT_MORE;
        return;
    }
    slot->status = text_parse_more_keys(at, n, &req, &used, &last);
    if (slot->status == TEXT_OK) {
        req.more = !last;
        look_at_one(slot, &req, used);
    }
}

/* The line was refused: passes over the rest of it. */
static void skip_line(struct slot *slot, struct held **held)
{
    char *at = slot->buf + slot->pos;
    char *lf = memchr(at, '\n', slot->len - slot->pos);

    if (lf == NULL) {
        slot->pos = slot->len;
        return;
    }
    slot->pos += (size_t)(lf - at) + 1;
    free(*held);
    *held = NULL;
}

static const char *move_pointer(const char *p, const char *from, const char *to)
{
    return p == NULL ? NULL : to + (p - from);
}

/* Continues the request that waited for room in the output. */
static void look_at_held(struct slot *slot, const struct held *held)
{
    struct ahead *a = &slot->ahead[0];

    *a = held->ahead;
    a->req.key = move_pointer(a->req.key, held->base, slot->buf);
    a->req.rest = move_pointer(a->req.rest, held->base, slot->buf);
    a->req.end = move_pointer(a->req.end, held->base, slot->buf);
    a->req.line = move_pointer(a->req.line, held->base, slot->buf);
    slot->count = 1;
    slot->status = TEXT_OK;
}

void slot_look_ahead(struct slot *slot, struct held **held)
{
    slot->count = 0;
    slot->next = 0;
    slot->status = TEXT_MORE;
    if (UNLIKELY(slot->binary)) {
        look_at_packets(slot);
        return;
    }
    if (*held != NULL && !(*held)->between) {
        look_at_held(slot, *held);
        return;
    }
    if (*held != NULL && (*held)->ahead.req.verb == VERB_ERROR) {
        skip_line(slot, held);
    }
    if (*held != NULL) {
        look_at_more_keys(slot, *held);
        return;
    }
    look_at_lines(slot);
    if (slot->count == 0 && slot->status == TEXT_MORE && slot_is_full(slot)) {
        look_at_long_get(slot);
    }
}

void slot_fill(struct slot *slot, const char *p, size_t n)
{
    slot->len = n;
    slot->pos = 0;
    slot->count = 0;
    slot->next = 0;
    slot->status = TEXT_MORE;
    if (n > 0) {
        memcpy(slot->buf, p, n);
    }
}

bool slot_hold(const struct slot *slot, const struct ahead *a, bool between,
               struct held **held)
{
    if (*held == NULL) {
        *held = malloc(sizeof(**held));
    }
    if (*held == NULL) {
        return false;
    }
    **held = (struct held){
        .ahead = {.req = a->req, .start = 0, .data = a->data - a->start},
        .base = slot->buf + a->start,
        .between = between};
    return true;
}
