#include "conn_guard.h"

#include "base/log.h"
#include "command_binary.h"
#include "proto/binary.h"
#include "reply_binary.h"
#include "saslauth.h"
#include "settings.h"

enum { OPCODE_VERSION = 0x0b, OPCODE_LIST = 0x20, OPCODE_AUTH, OPCODE_STEP };

/* Longest answer of a mechanism that is sent, header included. */
#define ANSWER_ROOM (16 * KIB)

static void refuse(struct conn *c, const struct ahead *a, enum binary_code code)
{
    reply_binary_error(&c->set->command, c->fd, &a->binary.tag, code, NULL);
}

/* "authenticated() in cmd ...": what is allowed before, too. */
static bool may_run(const struct conn *c, const struct binary_request *req)
{
    bool known = c->guard->sasl != NULL && saslauth_is_known(c->guard->sasl);
    bool allowed =
        known || req->tag.opcode == OPCODE_VERSION ||
        (req->tag.opcode >= OPCODE_LIST && req->tag.opcode <= OPCODE_STEP);

    log_print(2, "authenticated() in cmd 0x%02x is %s\n", req->tag.opcode,
              allowed ? "true" : "false");
    return allowed;
}

static void answer(struct conn *c, const struct ahead *a,
                   enum saslauth_status status, struct saslauth_text text)
{
    static const char welcome[] = "Authenticated";
    struct command *cmd = &c->set->command;

    if (status == SASLAUTH_MORE && text.len <= ANSWER_ROOM - BINARY_HEADER) {
        reply_binary_more(cmd, c->fd, &a->binary.tag, text.ptr,
                          (uint32_t)text.len);
        return;
    }
    COUNT(c->set->counters, auth_cmds);
    if (status == SASLAUTH_OK) {
        reply_binary_value(cmd, c->fd, &a->binary.tag, 0, welcome,
                           sizeof(welcome) - 1);
        return;
    }
    COUNT(c->set->counters, auth_errors);
    refuse(c, a, BINARY_AUTH_ERROR);
}

/* One step of an exchange; its value is at hand. */
static void attempt(struct conn *c, const struct ahead *a)
{
    const struct binary_request *req = &a->binary;
    struct saslauth_text mechanism = {req->key, req->nkey};
    struct saslauth_text data = {conn_slot(c)->buf + a->data, req->nbytes};
    struct saslauth_text text;
    enum saslauth_status status =
        req->tag.opcode == OPCODE_AUTH
            ? saslauth_start(c->guard->sasl, mechanism, data, &text)
            : saslauth_step(c->guard->sasl, data, &text);

    answer(c, a, status, text);
}

static void list(struct conn *c, const struct ahead *a)
{
    struct saslauth_text names = saslauth_list(c->guard->sasl);

    if (names.len > ANSWER_ROOM - BINARY_HEADER) {
        refuse(c, a, BINARY_AUTH_ERROR);
        return;
    }
    reply_binary_value(&c->set->command, c->fd, &a->binary.tag, 0, names.ptr,
                       (uint32_t)names.len);
}

/* Whether the request has the parts it needs, and no other. */
static bool is_shaped(const struct ahead *a)
{
    const struct binary_request *req = &a->binary;
    size_t extras = a->data - a->start - BINARY_HEADER - req->nkey;

    if (req->tag.opcode == OPCODE_LIST) {
        return extras + req->nkey + req->nbytes == 0;
    }
    return extras == 0 && req->nkey > 0;
}

/* A request of the exchange, whose value is at hand. */
static enum turn run(struct conn *c, const struct ahead *a)
{
    struct guard *guard = conn_guard(c);

    if (guard != NULL && guard->sasl == NULL) {
        guard->sasl = saslauth_new();
    }
    if (guard == NULL || guard->sasl == NULL) {
        COUNT(c->set->counters, malloc_fails);
        refuse(c, a, BINARY_NO_MEMORY);
    } else if (a->binary.nkey > SASLAUTH_MECHANISM_MAX) {
        refuse(c, a, BINARY_INVALID);
    } else if (a->binary.tag.opcode == OPCODE_LIST) {
        list(c, a);
    } else {
        attempt(c, a);
    }
    conn_slot(c)->pos = a->data + a->binary.nbytes;
    return TURN_GO;
}

static enum turn run_when_whole(struct conn *c, const struct ahead *a)
{
    size_t whole = a->data - a->start + a->binary.nbytes;

    if (!is_shaped(a)) {
        refuse(c, a, BINARY_INVALID);
        return TURN_HANG_UP;
    }
    if (whole > SLOT_BYTES) {
        refuse(c, a, BINARY_NO_MEMORY);
        return TURN_HANG_UP;
    }
    conn_slot(c)->pos = a->start;
    if (conn_slot(c)->len - a->start < whole) {
        return TURN_HUNGRY;
    }
    if (out_space(&c->set->out) < ANSWER_ROOM) {
        enum turn turn = conn_make_room(c);

        if (turn != TURN_GO) {
            return turn;
        }
    }
    return run(c, a);
}

enum turn conn_sasl_run(struct conn *c, struct ahead *a)
{
    const struct binary_request *req = &a->binary;

    if (req->misframed) {
        return conn_run_one(c, a);
    }
    if (out_space(&c->set->out) < OUT_SMALL_REPLY) {
        enum turn turn = conn_make_room(c);

        if (turn != TURN_GO) {
            conn_slot(c)->pos = a->start;
            return turn;
        }
    }
    if (!may_run(c, req)) {
        refuse(c, a, BINARY_AUTH_ERROR);
        return TURN_HANG_UP;
    }
    if (req->misshapen || req->tag.opcode < OPCODE_LIST ||
        req->tag.opcode > OPCODE_STEP) {
        return conn_run_one(c, a);
    }
    return run_when_whole(c, a);
}
