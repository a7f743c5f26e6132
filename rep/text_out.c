#include "rep/text_out.h"

#include <string.h>

#include <assert.h>

/* repcached 2.x resets the link at an item over 1 MiB; its header, the text of
 * the flags and the line ends count, too. */
#define ITEM_MAX (1024 * 1024 - 256)

void rep_text_init(struct rep_text_out *out, char *buf, size_t room)
{
    assert(room >= REP_TEXT_ROOM);
    *out = (struct rep_text_out){.buf = buf, .room = room};
}

void rep_text_clear(struct rep_text_out *out)
{
    out->len = 0;
}

void rep_text_fini(struct rep_text_out *out)
{
    if (out->big != NULL) {
        store_unref(out->big);
        out->big = NULL;
    }
}

/* ---- the large value ------------------------------------------------------
 */

/* One iovec, or none when it ends before `skip`, which it shortens. The kernel
 * does not write to it. */
static unsigned add_piece(struct iovec *iov, const void *p, size_t n,
                          size_t *skip)
{
    if (*skip >= n) {
        *skip -= n;
        return 0;
    }
    *iov = (struct iovec){(char *)(uintptr_t)p + *skip, n - *skip};
    *skip = 0;
    return 1;
}

unsigned rep_text_value(const struct rep_text_out *out, struct iovec *iov,
                        unsigned most)
{
    const struct store_view *v = &out->value;
    unsigned n = 0;
    size_t skip;

    if (out->big == NULL || most == 0) {
        return 0;
    }
    skip = v->nbytes + 2 - out->big_left;
    if (v->data != NULL) {
        n = add_piece(&iov[0], v->data, v->nbytes, &skip);
    }
    for (const struct item_chunk *c = v->first; c != NULL && n < most;
         c = item_chunk_next(c)) {
        n += add_piece(&iov[n], c->data, c->used, &skip);
    }
    /* Full before the end of the value: more pieces come next time. */
    if (n < most) {
        n += add_piece(&iov[n], "\r\n", 2, &skip);
    }
    return n;
}

void rep_text_sent_value(struct rep_text_out *out, size_t n)
{
    assert(out->big != NULL && n <= out->big_left);
    out->big_left -= (uint32_t)n;
    if (out->big_left == 0) {
        rep_text_fini(out);
    }
}

/* ---- lines ------------------------------------------------------------------
 */

static char *tail(const struct rep_text_out *out)
{
    return out->buf + out->len;
}

static void wrote(struct rep_text_out *out, const char *end)
{
    out->len = (size_t)(end - out->buf);
}

static bool has_room(const struct rep_text_out *out, size_t n)
{
    return out->big == NULL && out->room - out->len >= n;
}

/* Whether a line can name the key: those of the binary protocol, and of meta
 * commands, may hold anything, a line end and a command behind it too. */
static bool can_name(const char *key, size_t nkey)
{
    static const char breaks[] = {' ', '\r', '\n', '\0'};

    for (size_t i = 0; i < sizeof(breaks); i++) {
        if (memchr(key, breaks[i], nkey) != NULL) {
            return false;
        }
    }
    return true;
}

static void put_delete(struct rep_text_out *out, const char *key, size_t nkey)
{
    wrote(out, wire_format_delete(tail(out), key, nkey));
    out->removals++;
}

static void put_rep(struct rep_text_out *out, const struct item *it)
{
    struct wire_item line = {.key = item_key(it),
                             .nkey = it->nkey,
                             .flags = item_flags(it),
                             .exptime = it->exptime,
                             .nbytes = it->nbytes,
                             .cas = item_stored_cas(it)};

    wrote(out, wire_format_rep(tail(out), &line));
    out->items++;
}

bool rep_text_item(struct rep_text_out *out, struct item *it)
{
    bool copied = it->nbytes <= REP_TEXT_COPY_MAX;
    char *p;

    if (!can_name(item_key(it), it->nkey)) {
        return true;
    }
    if (!has_room(out, WIRE_LINE_ROOM + (copied ? it->nbytes + 2U : 0U))) {
        return false;
    }
    if ((uint64_t)it->nbytes + it->nkey > ITEM_MAX) {
        put_delete(out, item_key(it), it->nkey);
        return true;
    }
    if (copied) {
        put_rep(out, it);
        p = tail(out);
        item_copy_out(it, 0, p, it->nbytes);
        p[it->nbytes] = '\r';
        p[it->nbytes + 1] = '\n';
        wrote(out, p + it->nbytes + 2);
        return true;
    }
    /* While it is referenced nobody changes it in place. */
    if (!store_ref(it)) {
        return false;
    }
    put_rep(out, it);
    out->big = it;
    out->value = store_view(it);
    out->big_left = it->nbytes + 2;
    return true;
}

bool rep_text_flush(struct rep_text_out *out, bool now)
{
    uint64_t version;
    uint32_t at;

    if (!has_room(out, 2 * WIRE_LINE_ROOM)) {
        return false;
    }
    if (now) {
        wrote(out, wire_format_flush(tail(out)));
    }
    if (store_flush_pending(&version, &at)) {
        wrote(out, wire_format_flush_at(tail(out), at));
    }
    return true;
}

bool rep_text_end(struct rep_text_out *out)
{
    if (!has_room(out, WIRE_LINE_ROOM)) {
        return false;
    }
    wrote(out, wire_format_end(tail(out)));
    return true;
}

/* ---- entries of the log -----------------------------------------------------
 */

/* This one only: of a later flush its own entry tells. A delayed one that is
 * neither pending nor in the barrier was carried out: its time came. */
static bool put_flush_entry(struct rep_text_out *out,
                            const struct rep_log_entry *e)
{
    uint64_t pending;
    uint32_t at;

    if (store_barrier_is_delayed(e->version)) {
        return true; /* it was told before, and has a clock */
    }
    return rep_text_flush(out, store_barrier() >= e->version ||
                                   !store_flush_pending(&pending, &at));
}

bool rep_text_entry(struct rep_text_out *out, const struct rep_log_entry *e)
{
    struct store_key key = {e->key, e->nkey, e->hv};
    struct item *it;
    bool done;

    if (!has_room(out, 3 * WIRE_LINE_ROOM)) {
        return false;
    }
    if (e->op == STORE_OP_FLUSH) {
        return put_flush_entry(out, e);
    }
    /* A 2.x cannot be told of a hash, either. */
    if (e->op == REP_LOG_OP_FLOOR || !can_name(e->key, e->nkey)) {
        return true;
    }
    it = store_hold(&key, NULL);
    if (it == NULL) {
        put_delete(out, e->key, e->nkey);
        return true;
    }
    done = rep_text_item(out, it);
    store_release(it);
    return done;
}
