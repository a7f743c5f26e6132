#include "rep/link.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "rep/link_internal.h"
#include "store_stats.h"

/* While we do not read, we are heard that often: half of what a peer grants
 * that looks for a place (rep/core), with the least rep_timeout. */
#define SIGN_NS UINT64_C(250000000)

void link_tell(struct rep_link *link, enum rep_event_kind kind)
{
    struct rep_event ev = {.kind = kind, .conn = link->id};

    link->env->event(link->env->ctx, &ev);
}

/* ---- life ------------------------------------------------------------- */

struct rep_link *rep_link_new(const struct rep_link_env *env, uint32_t id,
                              bool dialled, int fd, uint64_t addr)
{
    struct rep_link *link = calloc(1, sizeof(*link));

    if (link == NULL) {
        return NULL;
    }
    link->env = env;
    link->fd = fd;
    link->id = id;
    link->addr = addr;
    link->dialled = dialled;
    link->in = link->first;
    link->in_room = LINK_FIRST_BYTES;
    link->figures.reader = -1;
    return link;
}

/* Drops what only a link that carries changes has. */
static void end(struct rep_link *link)
{
    if (link->run == NULL) {
        return;
    }
    if (link->figures.legacy) {
        link_legacy_end(link);
    } else {
        link_v3_end(link);
    }
    rep_runs_part(link->env->runs, link->run);
    link->run = NULL;
}

void rep_link_close(struct rep_link *link)
{
    if (link->phase == LINK_CLOSED) {
        return;
    }
    if (!link->failed) {
        link_v3_part(link, 0);
    }
    rep_link_figures(link, &link->figures);
    link->figures.linked = false;
    link->phase = LINK_CLOSED;
    end(link);
}

void rep_link_free(struct rep_link *link)
{
    if (link == NULL) {
        return;
    }
    rep_link_close(link);
    link_first_free(link);
    rep_apply_free(link->v3.apply);
    if (link->in != link->first) {
        free(link->in);
    }
    free(link->buf);
    free(link->batch);
    free(link->v3.answers.ring);
    free(link->v3.missed);
    free(link->v3.later);
    free(link->v3.hints);
    free(link);
}

uint32_t rep_link_id(const struct rep_link *link)
{
    return link->id;
}

bool rep_link_is_closed(const struct rep_link *link)
{
    return link->phase == LINK_CLOSED;
}

void rep_link_fail(struct rep_link *link, const char *why)
{
    if (link->phase != LINK_CLOSED) {
        link->failed = true;
        link->figures.error = link_first_why(link, why);
        rep_link_close(link);
        link_tell(link, REP_EV_CLOSED);
    }
}

/* ---- in --------------------------------------------------------------- */

void link_took(struct rep_link *link, size_t n)
{
    link->in_len -= n;
    memmove(link->in, link->in + n, link->in_len);
}

static void feed(struct rep_link *link)
{
    link->unfed = link->yields = false;
    if (link->figures.legacy) {
        link_legacy_feed(link);
    } else {
        link_v3_feed(link);
    }
}

bool rep_link_reads(const struct rep_link *link)
{
    return link->phase == LINK_FIRST || link->phase == LINK_PROOF ||
           (link->phase == LINK_LINKED && !link->unfed);
}

struct iovec rep_link_room(struct rep_link *link)
{
    return (struct iovec){link->in + link->in_len,
                          link->in_room - link->in_len};
}

void rep_link_got(struct rep_link *link, size_t n, uint64_t now)
{
    link->now = now;
    link->in_len += n;
    link->figures.bytes_received += (uint64_t)n;
    link_tell(link, REP_EV_HEARD);
    if (link->phase == LINK_LINKED) {
        feed(link);
    } else {
        link_first_look(link);
    }
}

void link_copy_received(struct rep_link *link)
{
    link->end_came = false;
    link->figures.received = true;
    link->figures.received_copies++;
    link_tell(link, REP_EV_COPY_RECEIVED);
}

/* It is not the peer that is silent, we do not listen: it is not answered,
 * either, and has to hear that we are there. */
static void feed_later(struct rep_link *link)
{
    if (link->now - link->sign >= SIGN_NS) {
        link->sign = link->now;
        link->v3.ping_due = true;
    }
    link_tell(link, REP_EV_HEARD);
}

void rep_link_work(struct rep_link *link)
{
    if (link->phase == LINK_LINKED && link->unfed) {
        if (link->yields && rep_sweep_is_full(link->env->sweep)) {
            feed_later(link);
        } else {
            feed(link);
        }
    }
    /* The copy counts when floors that came by hash are carried out. */
    if (link->phase == LINK_LINKED && link->end_came &&
        !rep_sweep_pending(link->env->sweep)) {
        if (link->figures.legacy) {
            rep_legacy_copied(link->legacy.apply);
        } else {
            link->v3.told_due = true;
        }
        link_copy_received(link);
    }
}

/* ---- actions ---------------------------------------------------------- */

static bool allocate(struct rep_link *link)
{
    char *in = malloc(LINK_IN_BYTES);

    link->buf = malloc(LINK_OUT_BYTES);
    link->batch = malloc(sizeof(*link->batch));
    if (in == NULL || link->buf == NULL || link->batch == NULL) {
        free(in);
        return false;
    }
    link->batch->n = 0;
    memcpy(in, link->in, link->in_len);
    link->in = in;
    link->in_room = LINK_IN_BYTES;
    return true;
}

bool rep_link_begin(struct rep_link *link, bool legacy, uint64_t unlinked_since)
{
    /* A peer at another port of one host is another one. */
    uint64_t node =
        link->addr + (uint64_t)link->hello.port * 0x9e3779b97f4a7c15U;

    if (link->phase == LINK_CLOSED) {
        return true; /* its end is already on its way to rep/core */
    }
    if (!allocate(link)) {
        return false;
    }
    link->run = legacy ? rep_runs_meet_legacy(link->env->runs, node)
                       : rep_runs_meet(link->env->runs, link->hello.run,
                                       link->hello.was, node);
    if (link->run == NULL) {
        return false;
    }
    link->figures.legacy = legacy;
    link->figures.reader = link->run->reader;
    link->figures.acked = link->run->acked;
    link->pos = rep_log_acked(link->env->log, link->run->reader);
    link->batch->next = link->pos;
    link->legacy.unlinked_since = unlinked_since;
    if (legacy ? !link_legacy_begin(link) : !link_v3_begin(link)) {
        return false;
    }
    store_expect(link->hello.items);
    link->phase = LINK_LINKED;
    link->unfed = link->in_len > 0;
    return true;
}

/* A full copy for a peer that dialled: the lines of repcached. */
static void say_copy(struct rep_link *link)
{
    struct store_totals totals;

    store_totals(&totals);
    link->copy_said = totals.curr_items > 0;
    if (link->copy_said) {
        log_print(1, "replication: marugoto start\n");
    }
}

void link_begin_copy(struct rep_link *link, bool full)
{
    link->figures.copying_all = full;
    if (!full) {
        link->figures.partial_copies++;
        return;
    }
    link->figures.full_copies++;
    if (!link->dialled) {
        say_copy(link);
    }
}

void link_wrote_copy(struct rep_link *link, uint64_t items, uint64_t removals,
                     size_t bytes)
{
    struct rep_link_figures *f = &link->figures;

    link->copied += items;
    *(f->copying_all ? &f->full_items : &f->partial_items) += items + removals;
    *(f->copying_all ? &f->full_bytes : &f->partial_bytes) += bytes;
}

void rep_link_scan(struct rep_link *link, uint64_t version)
{
    if (link->phase != LINK_LINKED) {
        return;
    }
    link->scan_wanted = true;
    link->scan_version = version;
    link_begin_copy(link, version == 0);
}

void rep_link_catch_up(struct rep_link *link)
{
    if (link->phase == LINK_LINKED) {
        link->v3.catch_up = true;
        link_v3_catch_up(link);
    }
}

bool rep_link_takes_hints(const struct rep_link *link)
{
    return link->phase == LINK_LINKED && !link->figures.legacy &&
           link->v3.nhints == 0;
}

void rep_link_hints(struct rep_link *link, const uint8_t *payload, size_t n)
{
    struct link_v3 *v = &link->v3;

    if (!rep_link_takes_hints(link)) {
        return;
    }
    if (v->hints == NULL) {
        v->hints = malloc(FRAME_HINTS_MAX);
    }
    if (v->hints != NULL) {
        memcpy(v->hints, payload, n);
        v->nhints = n;
    }
}

void rep_link_announce(struct rep_link *link)
{
    if (link->phase == LINK_LINKED) {
        link->announce_wanted = true;
        link->announce_at = rep_log_head(link->env->log);
    }
}

static uint64_t items_sent(const struct rep_link *link)
{
    return link->figures.legacy
               ? link->legacy.out.items + link->legacy.out.removals
               : link->v3.say.items + link->v3.say.removals;
}

void link_announced(struct rep_link *link)
{
    link->announce_wanted = false;
    link->figures.announced = true;
    if (link->copy_said) {
        log_print(1, "replication: marugoto %llu\n",
                  (unsigned long long)link->copied);
        log_print(1, "replication: marugoto owari\n");
    }
}

void rep_link_beat(struct rep_link *link)
{
    link->v3.ping_due = true;
}

void rep_link_drain(struct rep_link *link)
{
    link->draining = true;
    link->drain_at = rep_log_head(link->env->log);
}

/* ---- the log ---------------------------------------------------------- */

/* The log went over entries we had not read: a scan makes up for them. */
static void on_gone(struct rep_link *link)
{
    struct rep_event ev = {.kind = REP_EV_OVERRUN, .conn = link->id};
    bool touched = false;

    link->pos = rep_log_oldest(link->env->log);
    if (!rep_log_take_lost(link->env->log, link->run->reader, &ev.version,
                           &touched)) {
        return;
    }
    if (!link->figures.legacy) {
        link_v3_lost(link, ev.version, touched);
    }
    link->env->event(link->env->ctx, &ev);
}

bool link_next_batch(struct rep_link *link)
{
    switch (rep_log_read(link->env->log, link->run->reader, link->pos,
                         link->batch)) {
    case REP_LOG_OK:
        link->at = 0;
        return true;
    case REP_LOG_END:
        link->caught_up = true;
        return false;
    case REP_LOG_GONE:
        on_gone(link);
        return link->phase == LINK_LINKED;
    }
    return false;
}

void link_batch_written(struct rep_link *link)
{
    link->pos = link->batch->next;
    link->batch->n = 0;
    link->at = 0;
}

/* ---- out -------------------------------------------------------------- */

static bool has_words(const struct rep_link *link)
{
    return link->words_sent < link->words_len;
}

static size_t out_len(const struct rep_link *link)
{
    return link->figures.legacy ? link->legacy.out.len : link->v3.out.len;
}

static bool has_output(const struct rep_link *link)
{
    return link->sent < out_len(link) ||
           (link->figures.legacy && link->legacy.out.big != NULL);
}

static void fill(struct rep_link *link)
{
    link->sent = 0;
    if (link->figures.legacy) {
        link_legacy_fill(link);
    } else {
        link_v3_fill(link);
    }
}

void rep_link_sent(struct rep_link *link, size_t n)
{
    size_t of_buf;

    link->figures.bytes_sent += n;
    if (has_words(link)) {
        link->words_sent += n;
        assert(link->words_sent <= link->words_len);
        if (link->leaving && !has_words(link)) {
            rep_link_close(link);
        }
        return;
    }
    if (link->phase != LINK_LINKED) {
        return;
    }
    of_buf = out_len(link) - link->sent;
    if (n <= of_buf) {
        link->sent += n;
        return;
    }
    link->sent = out_len(link);
    rep_text_sent_value(&link->legacy.out, n - of_buf);
}

unsigned rep_link_out(struct rep_link *link, struct iovec *iov, unsigned most,
                      uint64_t now)
{
    unsigned n = 0;

    link->now = now;
    if (has_words(link)) {
        *iov = (struct iovec){link->words + link->words_sent,
                              link->words_len - link->words_sent};
        return 1;
    }
    if (link->phase == LINK_LINKED && !has_output(link)) {
        fill(link);
    }
    if (link->phase != LINK_LINKED) {
        return 0;
    }
    if (link->sent < out_len(link)) {
        iov[n].iov_base = link->buf + link->sent;
        iov[n].iov_len = out_len(link) - link->sent;
        n++;
    }
    if (link->figures.legacy) {
        n += rep_text_value(&link->legacy.out, iov + n, most - n);
    }
    return n;
}

bool rep_link_all_written(const struct rep_link *link)
{
    if (has_words(link)) {
        return false;
    }
    if (link->phase != LINK_LINKED) {
        return true;
    }
    if (has_output(link)) {
        return false;
    }
    return link->figures.legacy ? link_legacy_is_idle(link)
                                : link_v3_is_idle(link);
}

/* Ours: the peer has processed it. Legacy: its kernel has it. */
static bool is_drained(const struct rep_link *link, size_t unsent)
{
    if (!rep_link_all_written(link) || link->pos < link->drain_at) {
        return false;
    }
    if (!link->figures.legacy) {
        return link->v3.answered && link->figures.acked >= link->drain_at;
    }
    return unsent == 0;
}

void rep_link_drained(struct rep_link *link, size_t unsent)
{
    if (link->phase == LINK_LINKED && link->draining && !link->drain_told &&
        is_drained(link, unsent)) {
        link->drain_told = true;
        link_tell(link, REP_EV_DRAINED);
    }
}

bool rep_link_awaits(const struct rep_link *link)
{
    return link->phase == LINK_LINKED && link->v3.sample.on;
}

/* It began behind its turn, and nothing will come that wakes it. */
static bool is_new(const struct rep_link *link)
{
    return link->phase == LINK_LINKED &&
           (link->unfed || (!link->figures.legacy && !link->v3.began));
}

bool rep_link_sleep(struct rep_link *link)
{
    if (is_new(link)) {
        return false;
    }
    if (link->phase != LINK_LINKED || link->v3.starved) {
        return true;
    }
    if (!rep_log_sleep(link->env->log, link->pos)) {
        return false;
    }
    link->v3.sample_since = 0;
    link->v3.read_end = 0;
    return true;
}

/* ---- figures ---------------------------------------------------------- */

static void figures_of_legacy(const struct rep_link *link,
                              struct rep_link_figures *out)
{
    struct rep_legacy_stats stats;

    if (link->legacy.apply != NULL) {
        rep_legacy_stats(link->legacy.apply, &stats);
        out->items_received = stats.items + stats.deletes;
        out->conflicts_won = stats.stale;
    }
}

static void figures_of_v3(const struct rep_link *link,
                          struct rep_link_figures *out)
{
    struct rep_apply_stats stats;

    if (link->v3.apply != NULL) {
        rep_apply_stats(link->v3.apply, &stats);
        out->items_received =
            stats.items + stats.touches + stats.deletes + stats.floors;
        out->conflicts_won = stats.stale;
        out->conflicts_lost = stats.lost;
    }
}

void rep_link_figures(const struct rep_link *link, struct rep_link_figures *out)
{
    *out = link->figures;
    if (link->phase == LINK_CLOSED) {
        return;
    }
    out->linked = link->phase == LINK_LINKED;
    out->pos = link->pos;
    out->caught_up = link->caught_up;
    out->draining = link->draining;
    out->copying = link->scanning;
    out->held = link->held;
    out->held_until = link->copy_due;
    if (link->run != NULL) {
        out->items_sent = items_sent(link);
    }
    if (link->run != NULL && link->figures.legacy) {
        figures_of_legacy(link, out);
    } else if (link->run != NULL) {
        figures_of_v3(link, out);
    }
}
