/*
 * conn - client connections: bytes in, requests run, replies out.
 *
 * The connections of one worker form a set, which owns what they share: read
 * slots, output buffer, command state. One pass of the worker's loop gathers
 * the bytes of up to eight readable connections, then runs their requests, so
 * that the cache misses of all overlap; each connection sends once.
 *
 * A connection owns memory only while it holds part of a request (spill,
 * upload), unsent output (pending) or a request that waits for room (held).
 *
 * Layer:     5. Includes layers 0-4.
 * Threads:   a set belongs to one worker; only the functions that say so may
 *            be called from others.
 * Locks:     QUEUE around the list of a set, for `stats conns`.
 * Ownership: a set owns its connections, a connection its descriptor.
 */
#ifndef CONN_H
#define CONN_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/util.h"
#include "command.h"
#include "tls.h"

enum conn_transport { CONN_TCP, CONN_UNIX, CONN_UDP };
enum conn_protocol { CONN_AUTO, CONN_ASCII, CONN_BINARY };

/* The names of `stats conns` and -vvv. */
enum conn_state {
    CONN_LISTENING, /* listen.c's sockets; never a struct conn's */
    CONN_NEW_CMD,   /* between requests */
    CONN_WAITING,   /* about to wait for bytes */
    CONN_READ,      /* waiting for bytes */
    CONN_PARSE_CMD, /* its bytes are in a slot; requests run */
    CONN_NREAD,     /* a value is coming in */
    CONN_SWALLOW,   /* a refused value is coming in, or what may be one */
    CONN_WATCH,     /* it belongs to a stream */
    CONN_MWRITE,    /* the peer does not read: waiting to send */
    CONN_CLOSING,   /* to be closed once its output is sent */
    CONN_CLOSED,
};

const char *conn_state_name(enum conn_state state);

struct conn_set; /* the connections of one worker */

/* Gives an empty set on `base`, with counters of its own; NULL when out of
 * memory. Borrows both arguments for good. */
struct conn_set *conn_set_new(struct event_base *base,
                              const struct command_host *host);

/* How the set is woken, by any thread, holding LOCK_QUEUE: `wake` takes no
 * lock and makes the worker call conn_set_woken. Before the set has any
 * connection. */
void conn_set_on_wake(struct conn_set *set, void (*wake)(void *ctx), void *ctx);

/* Those of its connections that watch may have something to send. */
void conn_set_woken(struct conn_set *set);

/* Closes every connection and frees the set. */
void conn_set_free(struct conn_set *set);

/* Takes `fd`, which does not block, and serves it. */
void conn_open(struct conn_set *set, int fd, enum conn_transport transport,
               enum conn_protocol protocol, enum tls_kind tls);

/* Runs what the pass gathered and frees what it closed. The worker calls it
 * after each turn of its loop. True: there is more to run, do not sleep. */
bool conn_set_pass(struct conn_set *set);

/* Closes connections idle for longer than the setting; once a second. */
void conn_set_sweep(struct conn_set *set);

/* ---- from any thread ----------------------------------------------- */

/* Connections open; structures allocated. */
size_t conn_set_open_count(struct conn_set *set);
size_t conn_set_structures(struct conn_set *set);

/* Input that connections keep because it cannot run yet. */
struct conn_spilled {
    size_t count; /* pieces */
    size_t bytes;
};

/* Adds what those of the set keep. */
void conn_set_spilled(struct conn_set *set, struct conn_spilled *sum);

/* Connections closed by all sets since the start. */
uint64_t conn_closed_count(void);

/* What `stats conns` tells of one descriptor. */
struct conn_view {
    int fd;
    bool datagrams; /* a socket of udp.h */
    enum conn_state state;
    uint32_t idle_seconds;
    struct sockaddr_storage local;
    struct sockaddr_storage peer; /* AF_UNSPEC: none */
};

/* Fills in at most `room` views, in no order; returns how many. */
size_t conn_set_view(struct conn_set *set, struct conn_view *views,
                     size_t room);

#define CONN_SLOTS 8 /* read slots a worker */

#endif
