#include "conn_internal.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "authfile.h"
#include "base/clock.h"
#include "proto/textauth.h"
#include "reply.h"
#include "saslauth.h"

void conn_auth_end(struct conn *c)
{
    if (c->auth != NULL) {
        OPENSSL_cleanse(c->auth, sizeof(*c->auth));
        free(c->auth);
        c->auth = NULL;
    }
    saslauth_free(c->sasl);
    c->sasl = NULL;
}

static void refuse(struct conn *c, const char *text)
{
    reply_text(&c->set->command, c->fd, false, text);
}

/* A user and a password: from here on what comes are commands, or another
 * attempt. */
static void attempt(struct conn *c)
{
    struct textauth *auth = c->auth;
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
    struct slot *slot = c->slot;
    enum turn turn = TURN_GO;

    while (turn == TURN_GO && c->auth != NULL) {
        size_t used = 0;

        if (out_space(&c->set->out) < OUT_SMALL_REPLY) {
            turn = conn_make_room(c);
            continue;
        }
        turn = answer(c, textauth_feed(c->auth, slot->buf + slot->pos,
                                       slot->len - slot->pos, &used));
        slot->pos += used;
    }
    return turn;
}
