/*
 * watchdog - tells a service manager that the daemon is alive, if it wants to
 * know (WatchdogSec= of systemd).
 *
 * That is told at twice the pace asked for, by the main loop, and only when
 * every worker has answered since it was told last. So one that hangs is found
 * within one interval at least, and the manager acts within two.
 *
 * Layer:     5. Includes systemd.h, thread.h, layer 0.
 * Threads:   the main thread, after threads_start.
 * Ownership: borrows the event base until watchdog_stop.
 */
#ifndef WATCHDOG_H
#define WATCHDOG_H

#include <event2/event.h>
#include <stdbool.h>

#include "base/util.h"

/* Begins to tell; nothing where nobody asked for it. False: no memory. */
bool watchdog_start(struct event_base *base) MUST_CHECK;

/* Before threads_stop. */
void watchdog_stop(void);

#endif
