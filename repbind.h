/*
 * repbind - the replication port: the sockets that listen on it, and what
 * connects there.
 *
 * Out of descriptors it stops accepting for a while, and always goes on.
 *
 * Layer:     5. Includes layers 0-1.
 * Threads:   check and open from the main thread before repbind_start, the rest
 *            from the one that runs its `base`.
 * Ownership: owns the sockets until somebody's call-back takes a connection.
 */
#ifndef REPBIND_H
#define REPBIND_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/util.h"

/* Whether -o rep_listen= is a list of addresses. False with the reason in
 * `error`. */
bool repbind_check(char *error, size_t n) MUST_CHECK;

/* Listens on settings.rep_listen_port at the addresses of settings.rep_listen,
 * without those at those of settings.inter, without those at all. All of them,
 * or none and the reason in `error`. */
bool repbind_open(char *error, size_t n) MUST_CHECK;
bool repbind_is_open(void);

/* Others than this host can reach it. */
bool repbind_is_public(void);

/* Prints a line for each socket at -vv. */
void repbind_print(void);

/* Hands what connects to `accepted`, which takes the descriptor. Without open
 * sockets it begins with those of repbind_again. False when out of memory. */
bool repbind_start(struct event_base *base,
                   void (*accepted)(int fd,
                                    const struct sockaddr *addr)) MUST_CHECK;

/* Opens the sockets if they are not: the port may have become free. */
void repbind_again(void);

/* Ends accepting and closes the sockets. */
void repbind_stop(void);

#endif
