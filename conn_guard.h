/*
 * conn_guard - what stands between a connection and its requests: a password
 * to be told (-Y, -S), and TLS.
 *
 * Layer:     5. Includes conn_internal.h.
 * Threads:   the owning worker.
 * Locks:     none.
 * Ownership: the connection owns its guard, and the guard what it points to.
 */
#ifndef CONN_GUARD_H
#define CONN_GUARD_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/util.h" /* MUST_CHECK */
#include "conn_internal.h"

/* Those that speak in clear and need not say who they are share one that stays
 * empty. [w] */
struct guard {
    struct textauth *auth; /* what it says before it is known, or NULL */
    struct saslauth *sasl; /* who it is, once it began to say */
    struct tls *tls;       /* NULL: it speaks in clear */
};

/* The connection begins with the shared guard. */
void conn_guard_begin(struct conn *c);

/* Gives it one of its own, or the one it has; NULL: out of memory. */
struct guard *conn_guard(struct conn *c) MUST_CHECK;

/* The connection ends: frees it, once the TLS of it has ended. */
void conn_guard_end(struct conn *c);

/* ---- who it is ------------------------------------------------------ */

/* Reads what the slot holds until the client is known, which TURN_GO says. */
enum turn conn_auth_run(struct conn *c) MUST_CHECK;

/* Runs one request with -S, of the binary protocol: if the client may have it
 * run. */
enum turn conn_sasl_run(struct conn *c, struct ahead *a) MUST_CHECK;

/* It is known, or gone. */
void conn_auth_end(struct conn *c);

/* ---- TLS ------------------------------------------------------------ */

/* Gives the set its stage, if there is to be TLS. */
bool conn_tls_stage(struct conn_set *set) MUST_CHECK;

/* Begins the handshake, after which it is watched for bytes. */
bool conn_tls_begin(struct conn *c, enum tls_kind kind) MUST_CHECK;

/* As recv and sendmsg: bytes; no room to send is 0. */
ssize_t conn_tls_read(struct conn *c, const struct iovec *iov, unsigned n);
ssize_t conn_tls_send(struct conn *c, const struct iovec *iov, unsigned n);

/* Its turn is over: sees to what no event of its socket will tell. */
bool conn_tls_wait(struct conn *c) MUST_CHECK;

/* Says goodbye; what comes from now on is of no interest. */
void conn_tls_end(struct conn *c);

#endif
