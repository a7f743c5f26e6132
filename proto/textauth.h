/*
 * textauth - what a text client says before it is known: bytes to attempts.
 *
 * An attempt is "set KEY FLAGS EXPTIME LENGTH" and as value "user password".
 * Nothing else is understood, so no byte of a refused attempt can run.
 *
 * Layer:     3. Includes layer 0.
 * Threads:   pure functions; a struct belongs to one connection.
 * Ownership: allocates nothing; the caller clears the struct, which holds a
 *            password.
 */
#ifndef PROTO_TEXTAUTH_H
#define PROTO_TEXTAUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

#define TEXTAUTH_LINE_MAX  2048  /* as of any line */
#define TEXTAUTH_VALUE_MAX 16384 /* announced; a longer one is swallowed */
#define TEXTAUTH_TOKEN_MAX 256   /* kept of it: no user has a longer one */

struct textauth {
    bool in_value;
    bool space;      /* the value has one, `nuser` bytes into it */
    uint32_t length; /* of the value, announced */
    uint64_t got;    /* of value and line end */
    uint32_t nuser;
    char tail[2];
    char token[TEXTAUTH_TOKEN_MAX];
};

enum textauth_status {
    TEXTAUTH_MORE,         /* all was consumed that could be */
    TEXTAUTH_CLOSE,        /* no attempt: end it without a word */
    TEXTAUTH_NO_ATTEMPT,   /* some other line */
    TEXTAUTH_TOO_LONG,     /* the value came, and is too long */
    TEXTAUTH_NO_END,       /* it does not end with CR LF */
    TEXTAUTH_NO_SEPARATOR, /* it has no space */
    TEXTAUTH_ATTEMPT, /* `token` has the pair, if length says that it fits */
};

/* Takes bytes up to the end of an attempt, or of a line that is none; *used
 * receives how many. Begin with a zeroed struct, and after an attempt. */
enum textauth_status textauth_feed(struct textauth *auth, const char *p,
                                   size_t n, size_t *used) MUST_CHECK;

#endif
