/*
 * replication - the edge of replication: sockets, timers, the rep thread.
 *
 * Does what rep/core decides: listens, dials, moves bytes between links and
 * rep/wire, feeds changes of rep/log and copies of rep/scan to the peer. One
 * thread with its own libevent base owns all of it; another resolves names.
 *
 * memcached.c calls, in this order:
 *   replication_init   after store_init and version_init(VERSION_HYBRID, ..),
 *                      before any thread: makes floors and log and sets the
 *                      store's observer
 *   replication_bind   with the other sockets, before privileges drop
 *   replication_start  after the fork of -d, with workers ready
 *   replication_reload when secrets are to be read again
 *   replication_stop   after the workers stopped taking requests
 *   replication_save   where the cache is kept over a restart
 *   replication_fini   last
 *
 * Layer:     5. Includes layers 0-4.
 * Threads:   init, bind, start, reload and stop from the main thread; stats
 * from any. Locks:     QUEUE, for the figures of replication_stats. Ownership:
 * functions borrow their arguments unless they say takes or gives.
 */
#ifndef REPLICATION_H
#define REPLICATION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"

/* Checks the settings of replication, reads the secret, makes the floors and
 * the log and installs the store's observer. false with the reason in `error`,
 * `n` bytes, no newline. */
bool replication_init(char *error, size_t n) MUST_CHECK;

/* Listens on the replication port, so that ports below 1024 work, and warns of
 * one that is open to others without a secret. A peer that connects before
 * replication_start waits in the backlog. false with the reason in `error`, `n`
 * bytes, no newline. */
bool replication_bind(char *error, size_t n) MUST_CHECK;

/* Starts the threads. `on_serve` is called exactly once, from the replication
 * thread, when the client port may open: without -x, or with
 * -o rep_serve_early, at once. It must not block and must itself be
 * thread-safe: write an eventfd or a pipe that the main loop reads. false with
 * the reason in `error` (`n` bytes). */
bool replication_start(void (*on_serve)(void *ctx), void *ctx, char *error,
                       size_t n) MUST_CHECK;

/* Reads the secret again: links that come later follow it. */
void replication_reload(void);

/* Sends what is queued to the peer, for at most about two seconds, ends the
 * threads and closes the sockets. Prints `replication: cleanup complete` at
 * -v. Does nothing when replication_start was not called. */
void replication_stop(void);

/* Hands over what the next run of this node has to know to go on from this one,
 * in pieces; replication_init finds it in store_kept. False: `put` was. */
bool replication_save(bool (*put)(const void *p, size_t n)) MUST_CHECK;

/* Frees what replication_init made. */
void replication_fini(void);

/* Calls `row` for each row; for command_host.stats_replication. Not `full`:
 * the rows repcached adds to `stats`. Full: those of `stats replication`. */
void replication_stats(bool full,
                       void (*row)(void *ctx, const char *name,
                                   const char *value),
                       void *ctx);

#endif
