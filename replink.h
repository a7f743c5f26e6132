/*
 * replink - one connection of replication: bytes to rep/apply, the log and
 * the scan to bytes.
 *
 * Knows how, not whether: it tells what it sees as events of rep/core and
 * does what replication.c passes on from there. Reading never stops because
 * writing is blocked, except that a connection not yet linked reads no more
 * than its first line. Work comes in bounded slices: replink_turn.
 *
 * Layer:     5. Includes layers 0-4.
 * Threads:   the replication thread.
 * Locks:     those of the store and rep/log; holds none on return.
 * Ownership: owns its descriptor and everything queued on it.
 */
#ifndef REPLINK_H
#define REPLINK_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "rep/core.h"
#include "rep/floor.h"
#include "rep/log.h"
#include "rep/wire.h"

#define REPLINK_NAME 64 /* room for "[address]:port" */

/* What all links share; borrowed for their life. */
struct replink_env {
    struct event_base *base;
    struct rep_floor *floors;
    struct rep_log *log;
    /* Something happened on a link. May close the link before it returns. */
    void (*event)(void *ctx, const struct rep_event *event);
    void *ctx;
    unsigned timeout_ms; /* after which the kernel gives a dead host up */
};

struct replink;

/* Takes `fd`, a connected socket that does not block, and begins to read.
 * NULL when out of memory: `fd` is closed. */
struct replink *replink_new(const struct replink_env *env, int fd, uint32_t id,
                            bool dialled, const char *name);

/* Takes `link`; not from inside its own events. */
void replink_free(struct replink *link);

uint32_t replink_id(const struct replink *link);
const char *replink_name(const struct replink *link);

/* Ends the connection; the object stays until replink_free. */
void replink_close(struct replink *link);
bool replink_is_closed(const struct replink *link);

/* ---- actions ---------------------------------------------------------- */

void replink_hello(struct replink *link, const struct wire_hello *hello);

/* From here on it carries changes. `unlinked_since`: the last version of the
 * time before. False when out of memory or of readers of the log. */
bool replink_begin(struct replink *link, bool legacy,
                   uint64_t unlinked_since) MUST_CHECK;

void replink_scan(struct replink *link, uint64_t version);
void replink_announce(struct replink *link);
void replink_beat(struct replink *link);
void replink_drain(struct replink *link);

/* ---- the loop --------------------------------------------------------- */

enum replink_work {
    REPLINK_IDLE, /* everything is sent */
    REPLINK_WAIT, /* the socket or a flush will tell */
    REPLINK_BUSY, /* take another turn */
};

/* Does a slice of the work. */
enum replink_work replink_turn(struct replink *link);

/* Nothing is in the log for it: the next change will call the wake-up. */
bool replink_sleep(struct replink *link) MUST_CHECK;

/* ---- figures ---------------------------------------------------------- */

struct replink_figures {
    bool linked, legacy, announced, received, caught_up;
    int reader;
    uint64_t run;   /* of the peer; 0: legacy */
    uint64_t pos;   /* sent up to here */
    uint64_t acked; /* processed by the peer up to here */
    uint64_t items_sent, items_received, bytes_sent, bytes_received;
    uint64_t full_copies, partial_copies, received_copies;
    uint64_t conflicts_won;
    uint64_t lag_us;
    int64_t skew_ms;
    const char *error; /* why it ended; NULL: the peer closed it */
};

void replink_figures(const struct replink *link, struct replink_figures *out);

#endif
