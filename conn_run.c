#include "conn_guard.h"

#include <stdlib.h>

#include "base/log.h"
#include "command_binary.h"
#include "proto/request.h"
#include "proto/text.h"
#include "settings.h"

/* Keys a connection may have answered in a turn, in units of -R: about the
 * time stock spends on -R of them. */
#define BUDGET_FACTOR 8

static enum turn hold(struct conn *c, const struct ahead *a, bool between,
                      enum turn turn)
{
    struct parked *parked = conn_park(c);

    if (parked == NULL) {
        return TURN_DROP;
    }
    if (!slot_hold(conn_slot(c), a, between, &parked->held)) {
        COUNT(c->set->counters, malloc_fails);
        return TURN_DROP;
    }
    return turn;
}

static enum turn run_full(struct conn *c, const struct ahead *a)
{
    switch (conn_flush(c)) {
    case SENT_ALL:
        return TURN_GO;
    case SENT_BLOCKED:
        conn_slot(c)->pos = a->start;
        return conn_slot(c)->binary ? TURN_BLOCKED
                                    : hold(c, a, false, TURN_BLOCKED);
    case SENT_BROKEN:
        break;
    }
    return TURN_DROP;
}

static enum turn begin_upload(struct conn *c, struct upload *upload)
{
    struct parked *parked = conn_park(c);
    struct upload *copy = parked == NULL ? NULL : malloc(sizeof(*copy));

    if (copy == NULL) {
        COUNT(c->set->counters, malloc_fails);
        upload_abandon(upload);
        return TURN_DROP;
    }
    *copy = *upload;
    parked->upload = copy;
    conn_set_state(c, upload->item != NULL ? CONN_NREAD : CONN_SWALLOW);
    return TURN_HUNGRY;
}

/* A request is answered: forgets it, or, of a get line that goes on, where
 * it stands. */
static enum turn run_done(struct conn *c, const struct ahead *a)
{
    if (UNLIKELY(conn_slot(c)->binary)) {
        return TURN_GO;
    }
    if (UNLIKELY(a->req.more)) {
        return hold(c, a, true, TURN_GO);
    }
    if (UNLIKELY(c->parked->held != NULL)) {
        free(c->parked->held);
        c->parked->held = NULL;
    }
    return TURN_GO;
}

static enum command_result run_request(struct conn *c, struct ahead *a,
                                       size_t *used, struct upload *upload)
{
    struct command *cmd = &c->set->command;
    const char *data = conn_slot(c)->buf + a->data;
    size_t avail = conn_slot(c)->len - a->data;

    if (UNLIKELY(conn_slot(c)->binary)) {
        return command_binary_run(cmd, c->fd, &a->binary, data, avail, used,
                                  upload);
    }
    return command_run(cmd, c->fd, &a->req, data, avail, used, upload);
}

enum turn conn_run_one(struct conn *c, struct ahead *a)
{
    struct slot *slot = conn_slot(c);
    struct upload upload;

    for (;;) {
        size_t used = 0;
        enum command_result result = run_request(c, a, &used, &upload);

        if (result == COMMAND_FULL) {
            enum turn turn = run_full(c, a);

            if (turn != TURN_GO) {
                return turn;
            }
            continue;
        }
        slot->pos = a->data + used;
        switch (result) {
        case COMMAND_FULL:
        case COMMAND_DONE:
            return run_done(c, a);
        case COMMAND_UPLOAD:
            return begin_upload(c, &upload);
        case COMMAND_STREAM:
            return TURN_STREAM;
        case COMMAND_CLOSE:
            return TURN_CLOSE;
        case COMMAND_HANG_UP:
            return TURN_HANG_UP;
        case COMMAND_DROP:
            return TURN_DROP;
        }
    }
}

/* Stores a value that has arrived; nothing while some of it is missing. */
static enum turn run_upload(struct conn *c)
{
    enum command_result result;

    if (!upload_complete(c->parked->upload)) {
        return TURN_HUNGRY;
    }
    for (;;) {
        result = command_upload_end(&c->set->command, c->fd, c->parked->upload);
        if (result != COMMAND_FULL) {
            break;
        }
        switch (conn_flush(c)) {
        case SENT_ALL:
            break;
        case SENT_BLOCKED:
            return TURN_BLOCKED;
        case SENT_BROKEN:
            return TURN_DROP;
        }
    }
    free(c->parked->upload);
    c->parked->upload = NULL;
    conn_set_state(c, CONN_NEW_CMD);
    conn_set_state(c, CONN_PARSE_CMD);
    return result == COMMAND_HANG_UP ? TURN_HANG_UP : TURN_GO;
}

static void log_bad_magic(const struct slot *slot)
{
    unsigned magic = (unsigned char)slot->buf[slot->pos];

    if (magic != BINARY_REQUEST) {
        log_print(1, "Invalid magic:  %x\n", magic);
    }
}

/* The look-ahead is used up: the next one, or why there is none. */
static enum turn look_further(struct conn *c)
{
    struct slot *slot = conn_slot(c);

    slot_look_ahead(slot, &c->parked->held);
    if (slot->count > 1) {
        slot_prefetch_buckets(slot);
        slot_prefetch_items(slot);
    }
    if (slot->count > 0) {
        return TURN_GO;
    }
    if (slot->status != TEXT_BAD) {
        return TURN_HUNGRY;
    }
    if (slot->binary) {
        log_bad_magic(slot);
        return TURN_HANG_UP; /* what was right is answered */
    }
    return TURN_DROP;
}

/* Keys that running `a` answered: `gets` is cmd_get before. */
static int64_t keys_of(const struct conn *c, const struct ahead *a,
                       uint64_t gets)
{
    if (conn_slot(c)->binary ||
        (a->req.verb != VERB_GET && a->req.verb != VERB_GETS)) {
        return 1;
    }
    return (int64_t)(atomic_load_explicit(&c->set->counters->cmd_get,
                                          memory_order_relaxed) -
                     gets);
}

static enum turn run_requests(struct conn *c)
{
    struct conn_set *set = c->set;
    struct slot *slot = conn_slot(c);
    int64_t budget = (int64_t)settings.reqs_per_event * BUDGET_FACTOR;
    enum turn turn = TURN_GO;

    while (turn == TURN_GO) {
        struct ahead *a = &slot->ahead[slot->next];
        uint64_t gets;

        /* A request that consumed other bytes than expected invalidates what
         * was parsed behind it. */
        if (slot->next == slot->count || a->start != slot->pos) {
            turn = look_further(c);
            if (turn != TURN_GO) {
                return turn;
            }
            a = &slot->ahead[0];
        }
        if (budget <= 0) {
            return TURN_YIELD;
        }
        gets =
            atomic_load_explicit(&set->counters->cmd_get, memory_order_relaxed);
        slot->next++;
        turn = UNLIKELY(slot->binary && settings.sasl) ? conn_sasl_run(c, a)
                                                       : conn_run_one(c, a);
        budget -= keys_of(c, a, gets);
    }
    return turn;
}

enum turn conn_run(struct conn *c)
{
    enum turn turn = TURN_GO;

    if (UNLIKELY(c->guard->auth != NULL)) {
        turn = conn_auth_run(c);
    } else if (c->parked->upload != NULL) {
        turn = run_upload(c);
    }
    return turn == TURN_GO ? run_requests(c) : turn;
}
