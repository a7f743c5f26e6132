/*
 * tls - encrypted connections: the certificates, and what OpenSSL does with
 * one socket.
 *
 * Everything here returns at once; a connection says what it waits for. What
 * a listener asks of its clients is part of their sessions, so that one made
 * without a certificate cannot be resumed where one is due.
 *
 * Layer:     5. Includes layers 0-1.
 * Threads:   init and fini from the main thread, refresh from any; a struct
 *            tls belongs to one thread.
 * Locks:     QUEUE around the certificates in force, which a refresh replaces
 *            as a whole. Connections keep those they began with.
 * Ownership: a struct tls borrows its descriptor.
 */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/util.h"

/* Who is at the other end. */
enum tls_kind {
    TLS_NONE,   /* it speaks in clear */
    TLS_CLIENT, /* shows what ssl_verify_mode asks for */
    TLS_BASIC,  /* need not show anything */
    TLS_MUTUAL, /* shows a certificate */
    TLS_DIALER, /* a peer that dialled us; it and we show one */
    TLS_DIALED, /* a peer that we dialled */
};

enum tls_status {
    TLS_OK = 0,
    TLS_WANTS_READ,  /* wait until the socket is readable */
    TLS_WANTS_WRITE, /* until it is writable */
    TLS_ENDED,       /* the peer sends no more */
    TLS_BROKEN,      /* tls_why says why */
};

#define TLS_WHY 256 /* room for a reason */

/* Reads the certificates that the settings name, for clients with -Z and for
 * peers with -o rep_tls. False with the whole message in `why`; OpenSSL's
 * further remarks have been printed. */
bool tls_init(char why[TLS_WHY]) MUST_CHECK;
void tls_fini(void);

/* Reads them again. False as above: what was in force still is. */
bool tls_refresh(char why[TLS_WHY]) MUST_CHECK;

/* Unix second of the last refresh; 0: none. */
uint32_t tls_refreshed(void);

/* ---- one connection --------------------------------------------------- */

struct tls;

/* NULL when out of memory. */
struct tls *tls_new(int fd, enum tls_kind kind);

/* Takes `tls`; NULL is allowed. */
void tls_free(struct tls *tls);

/* TLS_OK: both know each other. Until then neither of the next two. */
enum tls_status tls_handshake(struct tls *tls) MUST_CHECK;

/* Reads what is there into the vectors until they are full. *got is more than
 * 0 only with TLS_OK; what stopped it then is told by the next call. */
enum tls_status tls_read(struct tls *tls, const struct iovec *iov, unsigned n,
                         size_t *got) MUST_CHECK;

/* More can be read, or the end, although the socket need not say so. */
bool tls_has_more(const struct tls *tls);

/* Sends from the vectors until the socket is full. Small pieces are gathered
 * in `stage`. After less than all it has to be called with the same bytes
 * next. */
enum tls_status tls_write(struct tls *tls, const struct iovec *iov, unsigned n,
                          const struct iovec *stage, size_t *sent) MUST_CHECK;

/* Says that nothing more will be sent, if that can be said at once. */
void tls_part(struct tls *tls);

/* Sessions that it may resume later, told at the end of the handshake. */
unsigned tls_sessions(const struct tls *tls);

/* What made it TLS_BROKEN. */
void tls_why(const struct tls *tls, char why[TLS_WHY]);

#endif
