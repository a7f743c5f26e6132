/*
 * repdial - dialling one peer: the name, its addresses, a connection.
 *
 * The name is resolved at every attempt, by a thread of its own, so that a
 * slow resolver stops nobody. Addresses are tried one after the other, IPv4
 * first, as repcached did; those of the last answer are remembered.
 *
 * Layer:     5. Includes layer 0.
 * Threads:   the one that runs `base`; resolving has its own short-lived ones.
 * Locks:     QUEUE around the answer of a resolving thread.
 * Ownership: a connection that came about belongs to the call-back.
 */
#ifndef REPDIAL_H
#define REPDIAL_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/util.h"

#define REPDIAL_NAME 64 /* room for an address and port */

enum repdial_failure {
    REPDIAL_REFUSED, /* every address refused, or nobody is at it */
    REPDIAL_SILENT,  /* at least one did not answer, or no name service */
    REPDIAL_UNKNOWN, /* the name does not exist */
};

struct repdial_calls {
    /* Takes `fd`, which does not block. `loud`: the line that it connects was
     * printed. */
    void (*connected)(void *ctx, int fd, const struct sockaddr *addr,
                      bool loud);
    void (*failed)(void *ctx, enum repdial_failure failure, const char *why);
};

struct repdial;

/* Gives a dialler of `host` (a name or an address), or NULL when out of
 * memory. Borrows `base`, `host` and `calls` for its life. */
struct repdial *repdial_new(struct event_base *base, const char *host, int port,
                            const struct repdial_calls *calls, void *ctx);

/* Takes `dial`; NULL is allowed. */
void repdial_free(struct repdial *dial);

/* Begins one attempt. Exactly one call-back follows, perhaps before this
 * returns, unless it is cancelled. `next`: begin with the address after the one
 * that was connected last. `loud`: print at -v. */
void repdial_start(struct repdial *dial, bool loud, bool next);
void repdial_cancel(struct repdial *dial);

/* `addr` is one of the peer's, by the last answer. */
bool repdial_knows(const struct repdial *dial, const struct sockaddr *addr);

/* Writes "1.2.3.4:5" or "[::1]:5"; `with_port` false: the address alone. */
void repdial_format(const struct sockaddr *addr, bool with_port,
                    char name[REPDIAL_NAME]);

void repdial_set_port(struct sockaddr *addr, uint16_t port);

/* The same host, whatever the ports. */
bool repdial_same_host(const struct sockaddr *a, const struct sockaddr *b);

#endif
