/* What the peer says on a v3 link. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/version.h"
#include "rep/hints.h"
#include "rep/link_internal.h"

/* What all links may bring when the sweep is nearly full: a batch each. */
enum { FLOOR_LEAST = 18 /* bytes */ };
static_assert(REP_SWEEP_FLOORS +
                      REP_CORE_CONNS * (FRAME_BODY_MAX / FLOOR_LEAST + 1) <=
                  REP_SWEEP_MOST,
              "a link is cut though it waits as it is told to");

#define SHIFT_MS 2000 /* a smaller change of the skew shifts no expiry */
#define ECHO_MS  2000 /* a pong later than that tells no time: half of it */

/* ---- answers ------------------------------------------------------------ */

static bool answer_want(void *ctx, const char *key, uint8_t nkey,
                        uint64_t version, uint8_t hops)
{
    const struct frame_msg msg = {.type = FRAME_WANT,
                                  .nkey = nkey,
                                  .hops = hops,
                                  .version = version,
                                  .key = key};

    return link_answer(ctx, &msg);
}

static bool answer_gone(void *ctx, const char *key, uint8_t nkey,
                        uint64_t version)
{
    const struct frame_msg msg = {
        .type = FRAME_GONE, .nkey = nkey, .version = version, .key = key};

    return link_answer(ctx, &msg);
}

/* A key that is read there and not held here. Only a wish: left out when
 * there are many, so that answers that are due find room. */
static void on_absent(void *ctx, const char *key, size_t nkey)
{
    const struct rep_link *link = ctx;

    if (link->v3.answers.n < LINK_ANSWERS - LINK_OFFERS) {
        (void)!answer_want(ctx, key, (uint8_t)nkey, 1, 0);
    }
}

/* The peer takes an offer, or (version 1) would like to have the key. */
static void on_want(struct rep_link *link, const struct frame_msg *msg)
{
    struct store_key key = store_key(msg->key, msg->nkey);

    if (msg->version == 1) {
        rep_log_wish(link->env->log, link->run->reader, &key);
    } else {
        rep_log_resend(link->env->log, link->run->reader, &key, msg->version,
                       msg->hops);
    }
}

/* ---- clocks ---------------------------------------------------------------
 */

static void set_skew(struct rep_link *link, int64_t skew)
{
    int64_t change = skew - link->figures.shift_ms;

    link->figures.skew_ms = skew;
    if (change > SHIFT_MS || change < -SHIFT_MS) {
        link->figures.shift_ms = skew;
        rep_apply_shift(link->v3.apply, (int32_t)(-skew / 1000));
    }
}

static bool is_ahead(struct rep_link *link, uint64_t clock)
{
    uint64_t now = clock_ms();

    if (clock <= now || clock - now <= (uint64_t)REP_CORE_SKEW_MAX_MS) {
        return false;
    }
    link_v3_part(link, FRAME_ERROR_CLOCK);
    rep_link_fail(link, "the peer's clock is over 24 hours ahead");
    return true;
}

/* Versions drawn here from now on are above what the peer draws by now. */
static void follow_clock(uint64_t theirs)
{
    version_observe(version_at_ms(theirs));
}

static void on_pong(struct rep_link *link, const struct frame_msg *msg)
{
    struct link_v3 *v = &link->v3;
    uint64_t now = clock_ms();

    if (msg->echo_ms <= now && now - msg->echo_ms <= ECHO_MS) {
        set_skew(link, (int64_t)(msg->clock_ms -
                                 (msg->echo_ms + (now - msg->echo_ms) / 2)));
    }
    if (v->mark != 0 && msg->echo_ms >= v->mark) {
        v->mark = 0;
        v->say.credit += v->mark_offers;
    }
    /* Its offers came, and what we answered to them has arrived. */
    if (v->told_mark != 0 && msg->echo_ms >= v->told_mark) {
        v->told_mark = 0;
        if (!v->told_more) {
            memcpy(link->run->told, v->told, sizeof(v->told));
        }
    }
}

/* ---- copies and positions ---------------------------------------------------
 */

static int compare_lags(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void note_lag(struct rep_link *link, uint64_t us)
{
    struct link_v3 *v = &link->v3;

    link->figures.lag_us = us;
    v->lags[v->nlags++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
    if (v->nlags == LINK_LAGS) {
        qsort(v->lags, LINK_LAGS, sizeof(v->lags[0]), compare_lags);
        link->figures.lag_p99_us = v->lags[LINK_LAGS * 99 / 100];
        v->nlags = 0;
    }
}

/* Whether this position was told and not acknowledged yet; no other one need
 * be where an entry begins. */
static bool take_position(struct link_v3 *v, uint64_t position)
{
    unsigned i = 0;

    while (i < v->npositions && v->positions[i] != position) {
        i++;
    }
    if (i == v->npositions) {
        return false;
    }
    v->npositions -= i + 1;
    memmove(v->positions, v->positions + i + 1,
            v->npositions * sizeof(v->positions[0]));
    return true;
}

static bool on_ack(struct rep_link *link, uint64_t position)
{
    struct link_v3 *v = &link->v3;

    if (!take_position(v, position)) {
        return false;
    }
    rep_log_ack(link->env->log, link->run->reader, position);
    v->answered = true;
    if (position > link->run->acked) {
        link->run->acked = position;
        link->figures.acked = position;
    }
    if (v->sample.on && position >= v->sample.pos) {
        v->sample.on = false;
        note_lag(link, (link->now - v->sample.ns) / 1000);
    }
    if (link->figures.received && link->figures.announced &&
        !link->run->scan.owed) {
        rep_runs_settled(link->env->runs, link->run);
    }
    return true;
}

static bool on_missed(struct rep_link *link, const struct frame_msg *msg)
{
    struct link_v3 *v = &link->v3;

    if (v->cells != 0 && v->cells != msg->cells) {
        return false;
    }
    if (v->missed == NULL) {
        v->missed = calloc(msg->cells, sizeof(*v->missed));
    }
    if (v->missed == NULL) {
        return false;
    }
    v->cells = v->say.cells = msg->cells;
    v->say.missed = v->missed;
    if (msg->version > v->missed[msg->cell]) {
        v->missed[msg->cell] = msg->version;
        v->offers_due = true;
    }
    return true;
}

static bool on_resume(struct rep_link *link, uint64_t position)
{
    if (link->v3.resumed) {
        return false;
    }
    link->v3.resumed = true;
    link->v3.resume = position;
    link_v3_catch_up(link);
    return true;
}

static bool on_copy_end(struct rep_link *link)
{
    if (link->end_came || link->figures.received) {
        return false;
    }
    log_print(2, "<%d marugoto_end\n", link->fd);
    link->end_came = true;
    return true;
}

/* ---- messages
 * ----------------------------------------------------------------- */

static bool on_hints(struct rep_link *link, const struct frame_msg *msg)
{
    return link->env->hints == NULL ||
           rep_hints_apply(link->env->hints, msg->bytes, msg->nbytes, on_absent,
                           link);
}

static bool is_farewell(const struct frame_msg *msg)
{
    return msg->type == FRAME_BUSY || msg->type == FRAME_ERROR ||
           msg->type == FRAME_BYE;
}

static const char *const errors[] = {
    [FRAME_ERROR_MALFORMED] = "the peer could not understand what we sent",
    [FRAME_ERROR_TAG] = "the peer found a wrong signature",
    [FRAME_ERROR_CLOCK] = "our clock is over 24 hours ahead of the peer's",
    [FRAME_ERROR_STRANGER] = "the peer does not know this node",
    [FRAME_ERROR_SELF] = "the peer is this node",
    [FRAME_ERROR_DUPLICATE] = "the peer keeps another connection",
    [FRAME_ERROR_RESOURCES] = "the peer is out of memory or descriptors",
};

static bool on_end(struct rep_link *link, const struct frame_msg *msg)
{
    const char *why = NULL; /* it said farewell */

    if (msg->type == FRAME_BUSY) {
        why = wire_refusal_text(WIRE_BUSY);
    } else if (msg->type == FRAME_ERROR) {
        why = msg->code < sizeof(errors) / sizeof(errors[0]) &&
                      errors[msg->code] != NULL
                  ? errors[msg->code]
                  : "the peer reports an error";
    }
    rep_link_fail(link, why);
    return false;
}

static bool malformed(struct rep_link *link)
{
    link_v3_part(link, FRAME_ERROR_MALFORMED);
    rep_link_fail(link, "the peer sent what cannot be understood");
    return false;
}

/* Messages that are no states; false: out of turn, or the link has ended. */
static bool hear(struct rep_link *link, const struct frame_msg *msg)
{
    struct link_v3 *v = &link->v3;

    switch ((enum frame_type)msg->type) {
    case FRAME_MISSED:
        return on_missed(link, msg);
    case FRAME_RESUME:
        return on_resume(link, msg->position);
    case FRAME_POSITION:
        v->ack = msg->position;
        v->ack_due = true;
        return true;
    case FRAME_ACK:
        return on_ack(link, msg->position);
    case FRAME_SCAN_POINT:
        v->scan_ack = msg->cursor;
        v->scan_ack_due = true;
        return true;
    case FRAME_SCAN_ACK:
        return link_v3_scanned(link, msg->cursor);
    case FRAME_WANT:
        on_want(link, msg);
        return true;
    case FRAME_COPY_END:
        return on_copy_end(link);
    case FRAME_PING:
        if (is_ahead(link, msg->clock_ms)) {
            return false;
        }
        follow_clock(msg->clock_ms);
        v->pong_echo = msg->clock_ms;
        v->pong_due = true;
        return true;
    case FRAME_PONG:
        if (is_ahead(link, msg->clock_ms)) {
            return false;
        }
        follow_clock(msg->clock_ms);
        on_pong(link, msg);
        return true;
    case FRAME_HINTS:
        return on_hints(link, msg);
    case FRAME_BUSY:
    case FRAME_ERROR:
    case FRAME_BYE:
        return on_end(link, msg);
    case FRAME_ITEM:
    case FRAME_ITEM_BEGIN:
    case FRAME_ITEM_PART:
    case FRAME_ITEM_CANCEL:
    case FRAME_DELETE:
    case FRAME_FLOOR:
    case FRAME_TOUCH:
    case FRAME_BARRIER:
    case FRAME_FLUSH_AT:
    case FRAME_OFFER:
    case FRAME_GONE:
        break; /* states: rep/apply's */
    }
    return false;
}

static bool on_control(void *ctx, const struct frame_msg *msg)
{
    struct rep_link *link = ctx;

    if (hear(link, msg)) {
        return true;
    }
    return link->phase == LINK_LINKED ? malformed(link) : false;
}

const struct rep_apply_calls link_v3_calls = {
    .control = on_control,
    .want = answer_want,
    .gone = answer_gone,
};

/* ---- batches
 * -------------------------------------------------------------------- */

/* Before its RESUME the peer says MISSED at most, or that it leaves. */
static bool begins_well(const struct rep_link *link, struct rd body)
{
    struct frame_stream stream = {0};
    struct frame_msg msg;
    enum frame_status status = FRAME_OK;

    while (!link->v3.resumed && status == FRAME_OK) {
        status = frame_next(&body, &stream, &msg);
        if (status != FRAME_OK || msg.type == FRAME_RESUME) {
            return status == FRAME_OK;
        }
        if (msg.type != FRAME_MISSED && !is_farewell(&msg)) {
            return false;
        }
        if (is_farewell(&msg)) {
            return true;
        }
    }
    return status == FRAME_OK;
}

/* One batch whose bytes are all there; false: the link has ended. */
static bool take_batch(struct rep_link *link, const uint8_t *p,
                       struct frame_batch *batch)
{
    if (link->sealed != NULL &&
        !rep_auth_open(link->sealed, p, batch->used - FRAME_TAG, batch->tag)) {
        link_v3_part(link, FRAME_ERROR_TAG);
        rep_link_fail(link, "the peer's signature is wrong");
        return false;
    }
    if (!begins_well(link, batch->body)) {
        return malformed(link);
    }
    switch (rep_apply_body(link->v3.apply, &batch->body)) {
    case REP_APPLY_OK:
        return link->phase == LINK_LINKED;
    case REP_APPLY_FULL:
        link->unfed = link->yields = true;
        return link->phase == LINK_LINKED;
    case REP_APPLY_STOPPED:
        return false;
    case REP_APPLY_BAD:
        return malformed(link);
    case REP_APPLY_MEMORY:
        link_v3_part(link, FRAME_ERROR_RESOURCES);
        rep_link_fail(link, "out of memory");
        return false;
    case REP_APPLY_CLOCK:
        link_v3_part(link, FRAME_ERROR_CLOCK);
        rep_link_fail(link, "the peer's clock is over 24 hours ahead");
        return false;
    }
    return false;
}

void link_v3_feed(struct rep_link *link)
{
    size_t at = 0;
    enum frame_status status;

    do {
        const uint8_t *p = (const uint8_t *)link->in + at;
        struct frame_batch batch;

        status =
            frame_batch(p, link->in_len - at, link->sealed != NULL, &batch);
        if (status == FRAME_OK) {
            if (!take_batch(link, p, &batch)) {
                return;
            }
            at += batch.used;
        }
    } while (status == FRAME_OK && !link->unfed);
    if (status == FRAME_BAD) {
        (void)malformed(link);
        return;
    }
    link_took(link, at);
}
