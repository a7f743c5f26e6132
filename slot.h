/*
 * slot - one connection's bytes for one turn, parsed ahead.
 *
 * Requests are parsed up to sixteen at a time before the first of them runs,
 * each once, so that the cache misses of their keys overlap. A get line that
 * is longer than a slot is cut into pieces that run one after the other. Binary
 * requests that wait for room are parsed again instead: they are all there.
 *
 * Layer:     4. Includes command.h, command_binary.h, store.h, layers 0-3.
 * Threads:   the owning worker.
 * Ownership: borrows the buffer; *held is malloced, owned by the connection.
 */
#ifndef SLOT_H
#define SLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"
#include "proto/binary.h"
#include "proto/request.h"
#include "proto/text.h"

#define SLOT_BYTES (16 * KIB)
#define SLOT_AHEAD 16 /* requests parsed before the first of them runs */

/* A parsed request and where it lies in its slot. */
struct ahead {
    union {
        struct request req;
        struct binary_request binary; /* in a slot that is */
    };
    size_t start; /* of its line, or header */
    size_t data;  /* past its line, or key */
};

struct slot {
    char *buf;               /* SLOT_BYTES */
    size_t len;              /* bytes there */
    size_t pos;              /* bytes consumed */
    bool binary;             /* whose requests: set before looking ahead */
    unsigned count;          /* parsed requests */
    unsigned next;           /* the next of them to run */
    enum text_status status; /* why there are not more of them */
    struct ahead ahead[SLOT_AHEAD];
};

/* A text request that waits for room in the output, or the part already run of
 * a get line that is longer than a slot. */
struct held {
    struct ahead ahead;
    const char *base; /* where offset 0 was when its pointers were made */
    bool between;     /* long get: all keys seen so far are answered */
};

/* Empties the slot, then puts `n` bytes there. */
void slot_fill(struct slot *slot, const char *p, size_t n);

/* Parses what comes at `pos`, at most SLOT_AHEAD requests, and stops behind
 * the first that names no key or whose value is not all there. A request held
 * in *held comes first; *held is freed where the line it was kept for is
 * passed over. */
void slot_look_ahead(struct slot *slot, struct held **held);

/* Hints for the keys of all parsed requests, the first before the second. */
void slot_prefetch_buckets(const struct slot *slot);
void slot_prefetch_items(const struct slot *slot);

/* Copies `a` to *held, which it allocates when there is none; `between` as in
 * struct held. False when out of memory. */
bool slot_hold(const struct slot *slot, const struct ahead *a, bool between,
               struct held **held) MUST_CHECK;

#endif
