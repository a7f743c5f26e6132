/*
 * watch - events for those who watch: what happens to items and connections.
 *
 * Threads that cause events write them as lines to a buffer of their own, as
 * long as somebody watches the stream they belong to; watch_flush moves them
 * into the buffers of the watchers. Both are bounded: what does not fit is
 * dropped and counted, and a watcher hears how much it missed. Nobody waits.
 *
 * Ask watch_wanted before telling anything: one relaxed load.
 *
 * Layer:     1. Includes layers 0-1.
 * Threads:   any; a watcher is read and removed by the thread that added it.
 * Locks:     takes LOCK_QUEUE. Only watch_eviction may be called with locks of
 *            lower ranks held; the other events with none.
 * Ownership: functions borrow their arguments unless they say takes or gives.
 */
#ifndef WATCH_H
#define WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

enum watch_stream {
    WATCH_RAWCMDS = 1 << 0, /* this and proxy...: nothing is ever told */
    WATCH_EVICTIONS = 1 << 1,
    WATCH_FETCHERS = 1 << 2,
    WATCH_MUTATIONS = 1 << 3,
    WATCH_SYSEVENTS = 1 << 4,
    WATCH_CONNEVENTS = 1 << 5,
    WATCH_PROXYREQS = 1 << 6,
    WATCH_PROXYEVENTS = 1 << 7,
    WATCH_PROXYUSER = 1 << 8,
    WATCH_DELETIONS = 1 << 9,
};

#define WATCHERS_MAX 20

/* The streams that somebody watches. */
extern atomic_uint watch_streams; /* [a] watch_add, watch_remove */

/* Whether anybody wants to hear of such an event. */
static inline bool watch_wanted(enum watch_stream stream)
{
    return UNLIKELY(
        (atomic_load_explicit(&watch_streams, memory_order_relaxed) &
         (unsigned)stream) != 0);
}

/* Before threads start; false when out of memory. */
bool watch_init(void) MUST_CHECK;

/* ---- events -------------------------------------------------------- */

/* Which item, and whose request: `fd` of the connection. */
struct watch_item {
    const char *key;
    size_t nkey;
    unsigned slab_class; /* 0: there is none */
    uint32_t nbytes;     /* of value */
    int fd;
};

/* As enum store_miss has them. */
enum watch_got { WATCH_FOUND, WATCH_NOT_FOUND, WATCH_EXPIRED, WATCH_FLUSHED };

/* WATCH_FETCHERS: a key was looked up, whatever for. */
void watch_item_get(const struct watch_item *it, enum watch_got got);

/* WATCH_MUTATIONS: a value was to be stored. `status` and `cmd` in the words
 * of the stream: stored not_stored exists not_found too_large no_memory; add
 * set replace append prepend cas. `exptime` is a Unix second, 0 never. */
void watch_item_store(const struct watch_item *it, const char *status,
                      const char *cmd, uint32_t exptime);

/* WATCH_DELETIONS, by `delete` or `md`. */
void watch_item_deleted(const struct watch_item *it, const char *cmd);

struct watch_evicted {
    const char *key;
    size_t nkey;
    unsigned slab_class;
    uint32_t nbytes;
    uint32_t exptime;  /* Unix second, 0 never */
    uint32_t accessed; /* Unix second */
    bool fetched;
};

/* WATCH_EVICTIONS. Never waits and allocates nothing. */
void watch_eviction(const struct watch_evicted *it);

/* Events of other streams: the line from `type=` on, without its end. */
void watch_event(enum watch_stream stream, const char *format, ...)
    PRINTF(2, 3);

/* ---- threads ------------------------------------------------------- */

/* Gives the calling thread a buffer of so many bytes; without one (none wanted,
 * or out of memory) each event goes to the watchers at once. */
void watch_thread_begin(size_t bytes);

/* Delivers what the thread's buffer holds, and frees it. */
void watch_thread_end(void);

/* Delivers what the thread's buffer holds; does nothing when that is nothing.
 * To be called when the thread has done a batch of work. */
void watch_flush(void);

/* ---- watchers ------------------------------------------------------ */

struct watcher;

enum watch_status { WATCH_OK, WATCH_TOO_MANY, WATCH_NO_MEMORY };

/* Adds a watcher of these streams with a buffer of `bytes`. `wake(ctx)` is
 * called when an empty buffer is about to get bytes, by any thread, holding
 * LOCK_QUEUE, and never after watch_remove. It must take no lock. */
enum watch_status watch_add(unsigned streams, size_t bytes,
                            void (*wake)(void *ctx), void *ctx,
                            struct watcher **out) MUST_CHECK;

/* Takes up to `room` bytes out of the watcher's buffer. 0: it is empty. */
size_t watch_read(struct watcher *w, char *buf, size_t room);

/* Takes `w`. */
void watch_remove(struct watcher *w);

/* How many there are. */
unsigned watch_count(void);

#endif
