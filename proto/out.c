#include "proto/out.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct out_pending {
    unsigned first, n; /* entries gone, entries used */
    size_t bytes;      /* unsent */
    struct iovec *iov;
    struct out_ref *refs;
};

bool out_init(struct out *out)
{
    *out = (struct out){.buf = malloc(OUT_BYTES),
                        .iov = malloc(OUT_VECTORS * sizeof(*out->iov)),
                        .refs = malloc(OUT_VECTORS * sizeof(*out->refs)),
                        .room = OUT_VECTORS};
    if (out->buf == NULL || out->iov == NULL || out->refs == NULL) {
        out_fini(out);
        return false;
    }
    return true;
}

void out_fini(struct out *out)
{
    out_discard(out);
    free(out->buf);
    free(out->iov);
    free(out->refs);
    *out = (struct out){0};
}

void out_bytes(struct out *out, const void *p, size_t n)
{
    memcpy(out->buf + out->len, p, n);
    out->len += n;
}

/* Makes room for `room` entries. */
static bool grow(struct out *out, unsigned room)
{
    struct iovec *iov = realloc(out->iov, room * sizeof(*iov));
    struct out_ref *refs;

    if (iov == NULL) {
        return false;
    }
    out->iov = iov;
    refs = realloc(out->refs, room * sizeof(*refs));
    if (refs == NULL) {
        return false;
    }
    out->refs = refs;
    out->room = room;
    return true;
}

bool out_can_ref(struct out *out, unsigned pieces)
{
    /* Bytes before them and bytes behind may need an entry each. */
    unsigned need = out->n + pieces + 2;

    if (out->referenced >= OUT_REF_MAX) {
        return false;
    }
    if (LIKELY(need <= out->room)) {
        return true;
    }
    return out->referenced == 0 && grow(out, need);
}

/* Turns the bytes copied since the last entry into one. */
static void seal(struct out *out)
{
    if (out->len > out->cut) {
        out->iov[out->n] =
            (struct iovec){out->buf + out->cut, out->len - out->cut};
        out->refs[out->n] = (struct out_ref){NULL, NULL};
        out->n++;
        out->cut = out->len;
    }
}

/* iovec has no const: the kernel only reads what is sent. */
static void *without_const(const void *p)
{
    return (void *)(uintptr_t)p;
}

void out_ref(struct out *out, const void *p, size_t n, void *owner,
             out_done *done)
{
    seal(out);
    out->iov[out->n] = (struct iovec){without_const(p), n};
    out->refs[out->n] = (struct out_ref){owner, done};
    out->n++;
    out->referenced += n;
}

void out_malloced(struct out *out, char *p, size_t n)
{
    if (n <= out_space(out)) {
        out_bytes(out, p, n);
        free(p);
        return;
    }
    out_ref(out, p, n, p, free);
}

static unsigned at_most_send_max(unsigned n)
{
    return n < OUT_SEND_MAX ? n : OUT_SEND_MAX;
}

unsigned out_vectors(struct out *out, const struct iovec **iov)
{
    seal(out);
    *iov = out->iov + out->first;
    return at_most_send_max(out->n - out->first);
}

/* Takes `n` sent bytes off the entries from *first on, drops the references
 * of those that are gone, and moves *first. */
static void take_sent(struct iovec *iov, const struct out_ref *refs,
                      unsigned *first, unsigned entries, size_t n)
{
    unsigned i = *first;

    for (; i < entries && n >= iov[i].iov_len; i++) {
        n -= iov[i].iov_len;
        if (refs[i].done != NULL) {
            refs[i].done(refs[i].owner);
        }
    }
    if (n > 0) {
        iov[i].iov_base = (char *)iov[i].iov_base + n;
        iov[i].iov_len -= n;
    }
    *first = i;
}

static void drop_refs(const struct out_ref *refs, unsigned first,
                      unsigned entries)
{
    for (unsigned i = first; i < entries; i++) {
        if (refs[i].done != NULL) {
            refs[i].done(refs[i].owner);
        }
    }
}

static void reset(struct out *out)
{
    out->len = 0;
    out->cut = 0;
    out->first = 0;
    out->n = 0;
    out->referenced = 0;
}

void out_sent(struct out *out, size_t n)
{
    take_sent(out->iov, out->refs, &out->first, out->n, n);
    if (out->first == out->n && out->cut == out->len) {
        reset(out);
    }
}

void out_discard(struct out *out)
{
    drop_refs(out->refs, out->first, out->n);
    reset(out);
}

/* Bytes of unsent entries that lie in the worker's own buffer; a reference
 * is told apart by where it points. */
static bool is_copied(const struct out *out, unsigned i)
{
    const char *p = out->iov[i].iov_base;

    return p >= out->buf && p < out->buf + OUT_BYTES;
}

static size_t copied_bytes(const struct out *out)
{
    size_t n = 0;

    for (unsigned i = out->first; i < out->n; i++) {
        n += is_copied(out, i) ? out->iov[i].iov_len : 0;
    }
    return n;
}

struct out_pending *out_move(struct out *out)
{
    unsigned n;
    struct out_pending *to;
    char *copy;

    seal(out);
    n = out->n - out->first;
    to = malloc(sizeof(*to) + n * (sizeof(*to->iov) + sizeof(*to->refs)) +
                copied_bytes(out));
    if (to == NULL) {
        return NULL;
    }
    *to = (struct out_pending){.n = n};
    to->iov = (struct iovec *)(void *)(to + 1);
    to->refs = (struct out_ref *)(void *)(to->iov + n);
    copy = (char *)(to->refs + n);
    for (unsigned i = 0; i < n; i++) {
        struct iovec *iov = &out->iov[out->first + i];

        to->iov[i] = *iov;
        to->refs[i] = out->refs[out->first + i];
        to->bytes += iov->iov_len;
        if (is_copied(out, out->first + i)) {
            memcpy(copy, iov->iov_base, iov->iov_len);
            to->iov[i].iov_base = copy;
            copy += iov->iov_len;
        }
    }
    reset(out);
    return to;
}

unsigned out_pending_vectors(struct out_pending *p, const struct iovec **iov)
{
    *iov = p->iov + p->first;
    return at_most_send_max(p->n - p->first);
}

bool out_pending_sent(struct out_pending *p, size_t n)
{
    take_sent(p->iov, p->refs, &p->first, p->n, n);
    p->bytes -= n;
    return p->first == p->n;
}

size_t out_pending_bytes(const struct out_pending *p)
{
    return p->bytes;
}

void out_pending_free(struct out_pending *p)
{
    if (p != NULL) {
        drop_refs(p->refs, p->first, p->n);
        free(p);
    }
}
