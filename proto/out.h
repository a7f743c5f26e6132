/*
 * out - a worker's reply buffer: copied bytes, and references to large values.
 *
 * Replies of a whole batch are appended here and leave with one system call.
 * Small values are copied; a large one is referenced, with a function that
 * drops the reference once the kernel has its bytes (or the connection died).
 *
 * Layer:     3. Includes layer 0 only.
 * Threads:   the owning worker.
 * Ownership: owns its bytes; calls `done(owner)` exactly once a reference.
 */
#ifndef PROTO_OUT_H
#define PROTO_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/util.h"

#define OUT_BYTES       (64 * KIB)
#define OUT_VECTORS     64
#define OUT_SEND_MAX    1024 /* pieces one sendmsg takes: UIO_MAXIOV */
#define OUT_REF_MAX     MIB  /* referenced bytes before a flush */
#define OUT_SMALL_REPLY 512  /* any reply without a value fits */

typedef void out_done(void *owner);

struct out_ref {
    void *owner;
    out_done *done; /* NULL: bytes that a later entry's owner keeps */
};

struct out {
    char *buf;            /* OUT_BYTES */
    size_t len;           /* bytes used in buf */
    size_t cut;           /* bytes of buf already in vectors */
    struct iovec *iov;    /* sealed pieces, in order */
    struct out_ref *refs; /* beside iov; done NULL for bytes */
    unsigned first;       /* entries sent */
    unsigned n;           /* entries used, sent ones included */
    unsigned room;        /* entries there are; grows for one huge value */
    size_t referenced;    /* bytes behind references */
};

/* Gives its buffers; false when out of memory. */
bool out_init(struct out *out) MUST_CHECK;

/* Drops what is unsent and frees. */
void out_fini(struct out *out);

/* Room left for copied bytes. A reply is begun only when its worst case fits:
 * otherwise the caller answers COMMAND_FULL and is called again. */
static inline size_t out_space(const struct out *out)
{
    return OUT_BYTES - out->len;
}

/* Where to write; then out_wrote with the new end. */
static inline char *out_tail(struct out *out)
{
    return out->buf + out->len;
}

static inline void out_wrote(struct out *out, const char *end)
{
    out->len = (size_t)(end - out->buf);
}

/* Appends bytes; the caller checked out_space. */
void out_bytes(struct out *out, const void *p, size_t n);

/* Whether `pieces` more references fit before a flush is due. False although
 * nothing is referenced: out of memory, a flush will not help. */
bool out_can_ref(struct out *out, unsigned pieces) MUST_CHECK;

/* Whether any were made since the last flush; without, out_can_ref fails only
 * for want of memory. */
static inline bool out_has_refs(const struct out *out)
{
    return out->n > 0;
}

/* Appends a reference to `n` bytes at `p`, without copying. Takes `owner` when
 * `done` is not NULL. The caller checked out_can_ref. */
void out_ref(struct out *out, const void *p, size_t n, void *owner,
             out_done *done);

/* Appends malloced bytes; takes `p`. The caller checked out_can_ref(1). */
void out_malloced(struct out *out, char *p, size_t n);

/* Whether anything is unsent. */
static inline bool out_is_empty(const struct out *out)
{
    return out->len == 0 && out->n == 0;
}

/* Bytes appended since it was empty, none of which were sent. */
static inline size_t out_bytes_whole(const struct out *out)
{
    return out->len + out->referenced;
}

/* Seals what was copied since and gives the unsent pieces in order, at most
 * OUT_SEND_MAX: after out_sent ask out_is_empty. */
unsigned out_vectors(struct out *out, const struct iovec **iov);

/* The first `n` bytes were sent: drops their references. When all were, the
 * buffer is empty again. */
void out_sent(struct out *out, size_t n);

/* Drops everything unsent. */
void out_discard(struct out *out);

/* Moves everything unsent into `to`, fresh memory owned by a connection whose
 * peer reads slowly: bytes are copied, references move. `to` is malloced and
 * freed by out_pending_free; NULL when out of memory (nothing moved). */
struct out_pending *out_move(struct out *out) MUST_CHECK;

struct out_pending; /* unsent output of one connection */
unsigned out_pending_vectors(struct out_pending *p, const struct iovec **iov);
bool out_pending_sent(struct out_pending *p, size_t n); /* true: all gone */
size_t out_pending_bytes(const struct out_pending *p);
void out_pending_free(struct out_pending *p);

#endif
