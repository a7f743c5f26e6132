/*
 * saslauth - who a client of the binary protocol is, by Cyrus SASL (-S).
 *
 * The mechanisms, where passwords are and all else is said by the library's
 * own memcached.conf: in the folder $SASL_CONF_PATH, else in /etc/sasl or
 * /etc/sasl2.
 *
 * A build without the library has the same functions, and saslauth_is_built
 * says so: saslauth_none.c.
 *
 * Layer:     4. Includes layer 0.
 * Threads:   init and fini from the main thread; a struct belongs to one.
 * Ownership: what it answers is valid until the next call.
 */
#ifndef SASLAUTH_H
#define SASLAUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"

#define SASLAUTH_MECHANISM_MAX 32

bool saslauth_is_built(void);

/* False when the library cannot be used, which it said at -v. */
bool saslauth_init(void) MUST_CHECK;
void saslauth_fini(void);

/* The exchange with one client. */
struct saslauth;

struct saslauth_text {
    const char *ptr;
    size_t len;
};

enum saslauth_status {
    SASLAUTH_OK = 0,
    SASLAUTH_MORE, /* the answer goes to the client, who goes on */
    SASLAUTH_NO,
};

/* NULL when out of memory. */
struct saslauth *saslauth_new(void);

/* Takes `auth`; NULL is allowed. */
void saslauth_free(struct saslauth *auth);

/* The names of the mechanisms with spaces between; "" when none is there. */
struct saslauth_text saslauth_list(struct saslauth *auth);

/* Begins anew with this mechanism, of at most SASLAUTH_MECHANISM_MAX bytes. */
enum saslauth_status saslauth_start(struct saslauth *auth,
                                    struct saslauth_text mechanism,
                                    struct saslauth_text data,
                                    struct saslauth_text *answer) MUST_CHECK;

/* Goes on; without a beginning it is SASLAUTH_NO. */
enum saslauth_status saslauth_step(struct saslauth *auth,
                                   struct saslauth_text data,
                                   struct saslauth_text *answer) MUST_CHECK;

/* The last exchange ended well, and no other began. */
bool saslauth_is_known(const struct saslauth *auth);

#endif
