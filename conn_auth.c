#include "conn_guard.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "authfile.h"
#include "base/clock.h"
#include "proto/textauth.h"
#include "reply.h"
#include "saslauth.h"

static struct guard none; /* never written to */

void conn_guard_begin(struct conn *c)
{
    c->guard = &none;
}

struct guard *conn_guard(struct conn *c)
{
    if (c->guard == &none) {
        struct guard *guard = calloc(1, sizeof(*guard));

        if (guard == NULL) {
            COUNT(c->set->counters, malloc_fails);
            return NULL;
        }
        c->guard = guard;
    }
    return c->guard;
}

void conn_auth_end(struct conn *c)
{
    struct guard *guard = c->guard;

    if (guard->auth != NULL) {
        OPENSSL_cleanse(guard->auth, sizeof(*guard->auth));
        free(guard->auth);
        guard->auth = NULL;
    }
    if (guard->sasl != NULL) {
        saslauth_free(guard->sasl);
        guard->sasl = NULL;
    }
}

void conn_guard_end(struct conn *c)
{
    conn_auth_end(c);
    if (c->guard != &none) {
        free(c->guard);
        c->guard = &none;
    }
}

static void refuse(struct conn *c, const char *text)
{
    reply_text(&c->set->command, c->fd, false, text);
}

/* A user and a password: from here on what comes are commands, or another
 * attempt. */
static void attempt(struct conn *c)
{
    struct textauth *auth = c->guard->auth;
    struct counters *counters = c->set->counters;

    COUNT(counters, auth_cmds);
    /* One that is longer than any in the file was not kept as a whole. */
    if (auth->length <= AUTHFILE_LINE &&
        authfile_check(auth->token, auth->nuser, auth->token + auth->nuser + 1,
                       auth->length - auth->nuser - 1)) {
        conn_auth_end(c);
        atomic_store_explicit(&c->last, clock_seconds(), memory_order_relaxed);
        reply_fixed(&c->set->command, c->fd, false, REPLY_STORED);
        return;
    }
    COUNT(counters, auth_errors);
    refuse(c, "CLIENT_ERROR authentication failure");
}

/* Answers one line or attempt. */
static enum turn answer(struct conn *c, enum textauth_status status)
{
    switch (status) {
    case TEXTAUTH_MORE:
        return TURN_HUNGRY;
    case TEXTAUTH_CLOSE:
        return TURN_CLOSE;
    case TEXTAUTH_NO_ATTEMPT:
        refuse(c, "CLIENT_ERROR unauthenticated");
        break;
    case TEXTAUTH_TOO_LONG:
        refuse(c, "CLIENT_ERROR auth token too long");
        break;
    case TEXTAUTH_NO_END:
        refuse(c, "CLIENT_ERROR bad command line termination");
        break;
    case TEXTAUTH_NO_SEPARATOR:
        refuse(c, "CLIENT_ERROR bad authentication token format");
        break;
    case TEXTAUTH_ATTEMPT:
        attempt(c);
        break;
    }
    return TURN_GO;
}

enum turn conn_make_room(struct conn *c)
{
    switch (conn_flush(c)) {
    case SENT_ALL:
        return TURN_GO;
    case SENT_BLOCKED:
        return TURN_BLOCKED;
    case SENT_BROKEN:
        break;
    }
    return TURN_DROP;
}

enum turn conn_auth_run(struct conn *c)
{
    struct slot *slot = conn_slot(c);
    enum turn turn = TURN_GO;

    while (turn == TURN_GO && c->guard->auth != NULL) {
        size_t used = 0;

        if (out_space(&c->set->out) < OUT_SMALL_REPLY) {
            turn = conn_make_room(c);
            continue;
        }
        turn = answer(c, textauth_feed(c->guard->auth, slot->buf + slot->pos,
                                       slot->len - slot->pos, &used));
        slot->pos += used;
    }
    return turn;
}
