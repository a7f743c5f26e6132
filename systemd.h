/*
 * systemd - what a service manager hands over, and what it is told.
 *
 * Sockets: the protocol of sd_listen_fds(3). Those named "replication" are the
 * replication port, the others are for clients. State: that of sd_notify(3).
 * Both are a few lines, stable, and meant to be spoken without a library.
 *
 * Without such a manager all of this does nothing.
 *
 * Layer:     5. Includes layer 0.
 * Threads:   the main thread.
 * Ownership: owns the sockets nobody has taken.
 */
#ifndef SYSTEMD_H
#define SYSTEMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

enum systemd_use { SYSTEMD_CLIENTS, SYSTEMD_REPLICATION };

/* Reads the environment, and takes it out, so that no child is misled. Before
 * -d forks. False with the reason in `error` when it is wrong. */
bool systemd_init(char *error, size_t n) MUST_CHECK;

/* How many listening sockets were handed over for a use. */
size_t systemd_count(enum systemd_use use);

/* Gives one of them; -1 when none is left. It neither blocks nor outlives an
 * exec. */
int systemd_take(enum systemd_use use);

/* Within how many microseconds the manager wants to hear "WATCHDOG=1", each
 * time; 0: it does not. */
uint64_t systemd_watchdog_us(void);

/* Tells the manager, e.g. "READY=1"; a failure is of no consequence. */
void systemd_tell(const char *state);

/* The same as "RELOADING=1", with the time it wants to hear. "READY=1" ends
 * it. */
void systemd_tell_reloading(void);

#endif
