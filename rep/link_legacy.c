/* A link with a repcached 2.x: its commands, with all their limits. */
#include "base/log.h"
#include "rep/link_internal.h"

/* ---- life ------------------------------------------------------------- */

bool link_legacy_begin(struct rep_link *link)
{
    struct rep_legacy_config config = {
        .reader = link->run->reader,
        .fd = link->fd,
        .unlinked_since = link->legacy.unlinked_since,
        .floors = link->env->floors,
        .log = link->env->log,
    };

    rep_text_init(&link->legacy.out, link->buf, LINK_OUT_BYTES);
    link->legacy.apply = rep_legacy_new(&config);
    return link->legacy.apply != NULL;
}

void link_legacy_end(struct rep_link *link)
{
    rep_text_fini(&link->legacy.out);
    rep_legacy_free(link->legacy.apply);
    link->legacy.apply = NULL;
}

/* ---- in --------------------------------------------------------------- */

static void on_control(struct rep_link *link, const struct wire_msg *msg)
{
    if (msg->op == WIRE_HELLO) {
        link_tell(link, REP_EV_HELLO); /* it was upgraded */
    } else if (msg->op == WIRE_END) {
        log_print(2, "<%d marugoto_end\n", link->fd);
        link->end_came = true;
    }
}

void link_legacy_feed(struct rep_link *link)
{
    size_t at = 0;
    enum rep_legacy_status status = REP_LEGACY_CONTROL;

    while (status == REP_LEGACY_CONTROL) {
        struct wire_msg msg;
        size_t used = 0;

        status = rep_legacy_feed(link->legacy.apply, link->in + at,
                                 link->in_len - at, &used, &msg);
        at += used;
        if (status == REP_LEGACY_CONTROL) {
            on_control(link, &msg);
        }
        if (link->phase != LINK_LINKED) {
            return;
        }
    }
    if (status == REP_LEGACY_BAD) {
        rep_link_fail(link, "the peer sent what cannot be understood");
        return;
    }
    link_took(link, at);
    if (at > 0 && !link->legacy.firm) {
        link->legacy.firm = true;
        link_tell(link, REP_EV_LEGACY);
    }
}

/* ---- out -------------------------------------------------------------- */

/* Writes entries of the batch; true when the whole batch is written. */
static bool say_batch(struct rep_link *link)
{
    unsigned from = link->at;

    while (link->at < link->batch->n &&
           rep_text_entry(&link->legacy.out, &link->batch->entry[link->at])) {
        link->at++;
    }
    rep_legacy_note_sent(link->legacy.apply, link->batch, from, link->at);
    return link->at == link->batch->n;
}

/* The state of every key in the log, as far as there is room. */
static void fill_live(struct rep_link *link)
{
    link->caught_up = false;
    link->legacy.out.room = link->scanning ? LINK_LIVE_BYTES : LINK_OUT_BYTES;
    for (int batches = 0; batches < 64; batches++) {
        if (link->batch->next <= link->pos && !link_next_batch(link)) {
            break;
        }
        if (link->batch->next <= link->pos) {
            continue; /* resumed after a loss */
        }
        if (!say_batch(link)) {
            break;
        }
        link_batch_written(link);
        rep_log_ack(link->env->log, link->run->reader, link->pos);
    }
    link->legacy.out.room = LINK_OUT_BYTES;
}

static bool scan_item(void *ctx, struct item *it)
{
    struct rep_link *link = ctx;
    struct rep_text_out *out = &link->legacy.out;

    return out->len < link->slice && rep_text_item(out, it);
}

/* 2.x has nothing for an expired item but deleting, which it need not: its
 * older one was replaced when ours was sent. */
static bool scan_expired(void *ctx, struct item *it)
{
    (void)ctx;
    (void)it;
    return true;
}

static const struct rep_scan_calls calls = {
    .item = scan_item,
    .expired = scan_expired,
};

/* The flush before the scan: one it has not heard of since the last link. */
static bool begin_scan(struct rep_link *link)
{
    const struct rep_scan_plan plan = {.before = REP_SCAN_NONE,
                                       .threshold = link->scan_version};
    uint64_t since = link->scan_version != 0 ? link->scan_version - 1
                                             : link->legacy.unlinked_since;

    if (!rep_text_flush(&link->legacy.out,
                        since != 0 && store_barrier() > since)) {
        return false;
    }
    link->scan_wanted = false;
    link->scanning = true;
    rep_scan_begin(&link->scan, &plan);
    return true;
}

/* A piece of the scan. */
static void step_scan(struct rep_link *link)
{
    const struct rep_rate *rate = link->env->copy_rate;
    struct rep_text_out *out = &link->legacy.out;
    enum rep_scan_status status;

    link->slice = UINT64_MAX;
    if (rep_rate_limits(rate)) {
        link->slice = out->len + rep_rate_slice(rate);
        out->room = out->len + REP_TEXT_ROOM;
    }
    rep_legacy_note_scan(link->legacy.apply);
    status = rep_scan_step(&link->scan, link->env->floors, &calls, link);
    out->room = LINK_OUT_BYTES;
    if (status == REP_SCAN_DONE) {
        link->scanning = false;
        link_tell(link, REP_EV_SCAN_DONE);
    }
}

/* As far as its rate allows. */
static void write_copy(struct rep_link *link)
{
    const struct rep_text_out *out = &link->legacy.out;

    if (link->scan_wanted && !begin_scan(link)) {
        return;
    }
    link->held = link->scanning && !rep_rate_allows(link->env->copy_rate,
                                                    link->copy_due, link->now);
    if (link->scanning && !link->held && out->big == NULL &&
        out->room - out->len >= REP_TEXT_ROOM) {
        step_scan(link);
    }
}

static size_t to_be_sent(const struct rep_text_out *out)
{
    return out->len + (out->big != NULL ? (size_t)out->big_left : 0);
}

/* What a copy writes is counted, and charged for its rate. */
static void fill_scan(struct rep_link *link)
{
    const struct rep_text_out *out = &link->legacy.out;
    uint64_t items = out->items, removals = out->removals;
    size_t before = to_be_sent(out), written;

    write_copy(link);
    written = to_be_sent(out) - before;
    rep_rate_pay(link->env->copy_rate, &link->copy_due, link->now, written);
    link_wrote_copy(link, out->items - items, out->removals - removals,
                    written);
}

void link_legacy_fill(struct rep_link *link)
{
    rep_text_clear(&link->legacy.out);
    fill_live(link);
    if (link->phase == LINK_LINKED) {
        fill_scan(link);
    }
    /* 2.x expects the end of a copy only of the one it dialled. */
    if (link->phase == LINK_LINKED && link->announce_wanted &&
        link->pos >= link->announce_at &&
        (link->dialled || rep_text_end(&link->legacy.out))) {
        link_announced(link);
    }
}

bool link_legacy_is_idle(const struct rep_link *link)
{
    return link->caught_up && (!link->scanning || link->held) &&
           !link->scan_wanted && !link->announce_wanted;
}
