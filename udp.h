/*
 * udp - clients that ask in datagrams.
 *
 * A datagram holds whole requests, text or binary by its first byte. Each
 * reply, and each key of a get that is found, is a series of datagrams of its
 * own. Nothing is kept from one datagram to the next: a request that is not
 * all there is no request.
 *
 * Several workers share a socket; each has a descriptor of its own for it. A
 * worker whose reply the kernel has no room for reads no further datagram
 * until it has sent that.
 *
 * Layer:     5. Includes layers 0-4 and conn_internal.h.
 * Threads:   the worker that owns the set, except for what is marked otherwise.
 * Locks:     QUEUE around the list of a set, for `stats conns`.
 * Ownership: a set owns its sockets.
 */
#ifndef UDP_H
#define UDP_H

#include <stddef.h>

#include "conn.h"

/* Takes `fd`, bound and not blocking, and serves it. */
void udp_open(struct conn_set *set, int fd);

/* Closes all sockets of the set. */
void udp_close_all(struct conn_set *set);

/* From any thread, with the set's lock: fills in at most `room` views. */
size_t udp_view_locked(const struct conn_set *set, struct conn_view *views,
                       size_t room);

#endif
