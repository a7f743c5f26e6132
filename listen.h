/*
 * listen - the sockets clients connect to.
 *
 * Binding and listening are two steps: all sockets are bound while the process
 * still has its privileges, and clients are refused, not kept waiting, until
 * the node serves.
 *
 * The order of main: listen_host, thread_set_host, listen_bind, drop
 * privileges, threads_start, listen_open (perhaps much later), event loop,
 * listen_close, threads_stop.
 *
 * Layer:     5. Includes thread.h, conn.h and layers 0-4.
 * Threads:   the main thread; the functions in struct command_host any.
 * Ownership: owns its descriptors.
 */
#ifndef LISTEN_H
#define LISTEN_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"
#include "command.h"

/* Room for the message of listen_bind. */
#define LISTEN_MESSAGE 1024

/* Fills in stats_conns, accepting and gauge; leaves the rest alone. */
void listen_host(struct command_host *host);

/* Binds all sockets that the settings ask for. False with the whole last line,
 * without its newline, in `message` (exit with EX_OSERR); details have been
 * printed. */
bool listen_bind(char message[LISTEN_MESSAGE]) MUST_CHECK;

/* Listens on all of them, accepts on `base`, and writes the port file that
 * MEMCACHED_PORT_FILENAME names. False as above. */
bool listen_open(struct event_base *base,
                 char message[LISTEN_MESSAGE]) MUST_CHECK;

/* Closes all. Nothing when none are open. */
void listen_close(void);

#endif
