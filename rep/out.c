#include "rep/out.h"

#include <assert.h>
#include <string.h>

enum {
    PART = 16 * 1024, /* bytes of a part: what follows waits for one */
    LEAST = 1024      /* a batch with less room is not worth its head */
};

void rep_out_init(struct rep_out *out, void *buf, size_t room,
                  struct rep_auth_link *auth)
{
    assert(room >= REP_OUT_ROOM);
    *out = (struct rep_out){.buf = buf, .room = room, .auth = auth};
}

static void drop_large(struct rep_out *out)
{
    store_unref(out->large);
    out->large = NULL;
}

void rep_out_fini(struct rep_out *out)
{
    if (out->large != NULL) {
        drop_large(out);
    }
}

void rep_out_clear(struct rep_out *out)
{
    assert(!out->open);
    out->len = 0;
    out->wrap = 0;
}

void rep_out_close(struct rep_out *out)
{
    uint8_t *start = out->buf + out->len;
    size_t n;

    if (!out->open) {
        return;
    }
    out->open = false;
    n = frame_end(&out->frame);
    out->wrap += n > 0 ? FRAME_HEAD : 0;
    if (n > 0 && out->auth != NULL) {
        out->failed =
            !rep_auth_seal(out->auth, start, n, start + n) || out->failed;
        n += FRAME_TAG;
        out->wrap += FRAME_TAG;
    }
    out->len += n;
}

size_t rep_out_size(const struct rep_out *out)
{
    return out->len +
           (out->open ? (size_t)(out->frame.p - out->frame.start) : 0);
}

size_t rep_out_said(const struct rep_out *out)
{
    return rep_out_size(out) - out->wrap - (out->open ? FRAME_HEAD : 0);
}

/* The batch to write to, a new one when `full`; false: no room for one. */
static bool open_batch(struct rep_out *out, bool full)
{
    if (out->open && !full) {
        return true;
    }
    rep_out_close(out);
    if (out->room <
        out->len + FRAME_HEAD + FRAME_RESERVED + FRAME_TAG + LEAST) {
        return false;
    }
    frame_begin(&out->frame, out->buf + out->len, out->room - out->len,
                &out->stream);
    out->open = true;
    return true;
}

bool rep_out_put(struct rep_out *out, const struct frame_msg *msg)
{
    return (open_batch(out, false) && frame_put(&out->frame, msg)) ||
           (open_batch(out, true) && frame_put(&out->frame, msg));
}

uint8_t *rep_out_put_head(struct rep_out *out, const struct frame_msg *msg)
{
    uint8_t *p =
        open_batch(out, false) ? frame_put_head(&out->frame, msg) : NULL;

    if (p == NULL && open_batch(out, true)) {
        p = frame_put_head(&out->frame, msg);
    }
    return p;
}

bool rep_out_put_item(struct rep_out *out, const uint8_t *item, size_t n)
{
    return (open_batch(out, false) && frame_put_item(&out->frame, item, n)) ||
           (open_batch(out, true) && frame_put_item(&out->frame, item, n));
}

/* ---- the large value ---------------------------------------------------- */

bool rep_out_begin_large(struct rep_out *out, const struct frame_msg *msg,
                         struct item *it)
{
    assert(out->large == NULL);
    /* A batch made for it has the room; then only the reference can fail. */
    if (!(open_batch(out, false) &&
          frame_size(msg) <= frame_room(&out->frame)) &&
        !open_batch(out, true)) {
        return false;
    }
    if (!store_ref(it) || !rep_out_put(out, msg)) {
        return false;
    }
    out->large = it;
    out->left = it->nbytes;
    out->value = store_view(it);
    out->chunk = out->value.first;
    out->at = 0;
    return true;
}

/* Copies the next `n` bytes of the value. */
static void copy_next(struct rep_out *out, uint8_t *p, size_t n)
{
    out->left -= (uint32_t)n;
    if (out->value.data != NULL) {
        memcpy(p, out->value.data + out->at, n);
        out->at += (uint32_t)n;
        return;
    }
    while (n > 0) {
        size_t part = out->chunk->used - out->at;

        part = part < n ? part : n;
        memcpy(p, out->chunk->data + out->at, part);
        p += part;
        n -= part;
        out->at += (uint32_t)part;
        if (out->at == out->chunk->used && out->left + n > 0) {
            out->chunk = item_chunk_next(out->chunk);
            out->at = 0;
        }
    }
}

void rep_out_parts(struct rep_out *out)
{
    while (out->large != NULL) {
        struct frame_msg part = {
            .type = FRAME_ITEM_PART,
            .nbytes = out->left < PART ? out->left : PART,
        };
        uint8_t *p = rep_out_put_head(out, &part);

        if (p == NULL) {
            return;
        }
        copy_next(out, p, part.nbytes);
        if (out->left == 0) {
            drop_large(out);
        }
    }
}
