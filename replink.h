/*
 * replink - the socket of one connection of replication.
 *
 * Moves bytes between the socket and rep/link, which knows what they mean.
 * Reads as long as rep/link does, whether or not writing is blocked. Work
 * comes in bounded slices: replink_turn.
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
#include "rep/link.h"
#include "rep/wire.h"

#define REPLINK_NAME 64 /* room for "[address]:port" */

/* What all links share; borrowed for their life. */
struct replink_env {
    struct rep_link_env link;
    struct event_base *base;
    unsigned timeout_ms; /* after which the kernel gives a dead host up */
};

struct replink;

/* Takes `fd`, a connected socket that does not block, and begins to read.
 * NULL when out of memory: `fd` is closed. `addr` as in rep/link.h. */
struct replink *replink_new(const struct replink_env *env, int fd, uint32_t id,
                            bool dialled, uint64_t addr, const char *name);

/* Takes `link`; not from inside its own events. */
void replink_free(struct replink *link);

uint32_t replink_id(const struct replink *link);
const char *replink_name(const struct replink *link);

/* Ends the connection; the object stays until replink_free. */
void replink_close(struct replink *link);
bool replink_is_closed(const struct replink *link);

/* ---- actions ---------------------------------------------------------- */

void replink_hello(struct replink *link);
void replink_refuse(struct replink *link, enum wire_refusal refusal);

/* From here on it carries changes. `unlinked_since`: the last version of the
 * time before. False when out of memory or of readers of the log. */
bool replink_begin(struct replink *link, bool legacy,
                   uint64_t unlinked_since) MUST_CHECK;

void replink_catch_up(struct replink *link);
void replink_scan(struct replink *link, uint64_t version);
bool replink_takes_hints(const struct replink *link);
void replink_hints(struct replink *link, const uint8_t *payload, size_t n);
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

/* Waits, up to the time `until` (ns, monotonic), for the acknowledgement by
 * which the lag is measured, if there is one to come, and takes it. */
void replink_await(struct replink *link, uint64_t until);

/* Nothing is there for it: the next change will call the wake-up. */
bool replink_sleep(struct replink *link) MUST_CHECK;

/* ---- figures ---------------------------------------------------------- */

void replink_figures(const struct replink *link, struct rep_link_figures *out);

#endif
