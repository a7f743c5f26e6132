/*
 * stream - what a connection is handed over to that leaves request processing:
 * one who watches events, or the dump of all keys.
 *
 * The connection's worker asks for output while the peer takes it, a buffer at
 * a time, so that neither a slow reader nor a long dump stops anybody.
 *
 * Layer:     4. Includes layers 0-3.
 * Threads:   the worker that owns the connection.
 * Ownership: the connection owns its stream; the kind's `end` takes it.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>

#include "proto/out.h"

struct stream;

enum stream_state {
    STREAM_MORE, /* send this, then ask again */
    STREAM_IDLE, /* nothing for now: the worker will be woken */
    STREAM_END,  /* that was all: the connection takes requests again */
};

struct stream_kind {
    bool for_good; /* never ends: what the peer says is not heard */
    /* Appends to an empty output, at most what it has room for. */
    enum stream_state (*fill)(struct stream *stream, struct out *out);
    void (*end)(struct stream *stream); /* takes it */
};

/* The first member of every stream. */
struct stream {
    const struct stream_kind *kind;
};

#endif
