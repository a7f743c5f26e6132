#include "rep/link.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "rep/apply.h"
#include "rep/scan.h"
#include "store.h"

#define FIRST_BYTES 1024          /* room for what a stranger may say */
#define IN_BYTES    (64 * KIB)    /* read at once */
#define OUT_BYTES   (256 * KIB)   /* sent at once */
#define LIVE_BYTES  (128 * KIB)   /* of it for the log while a scan runs */
#define CONTROL     (4 * KIB)     /* kept free for acks and the like */
#define SHIFT_MS    2000          /* a smaller skew shifts no expiry */
#define LEGACY_MAX  (1024 * 1024) /* larger values go as deletes */

_Static_assert(IN_BYTES >= REP_APPLY_BUFFER, "a line and its value fit");
_Static_assert(LIVE_BYTES >= REP_SCAN_ROOM + CONTROL, "progress is sure");

enum phase {
    PHASE_FIRST,  /* its first line is awaited */
    PHASE_SAID,   /* it came; rep/core decides */
    PHASE_LINKED, /* carries changes */
    PHASE_CLOSED,
};

struct rep_link {
    enum phase phase;
    const struct rep_link_env *env;
    int fd; /* of the lines of -vv */
    uint32_t id;
    bool dialled;
    uint64_t now; /* ns: when bytes came or were asked for */

    /* in */
    char *in; /* `first` until linked */
    size_t in_len, in_room;
    bool unfed;    /* bytes in `in` that nobody looked at */
    bool firm;     /* LEGACY: a command came */
    bool end_came; /* marugoto_end; counts when the sweep is done */
    struct rep_apply *apply;
    struct wire_hello hello; /* the peer's */

    /* out */
    struct rep_peer peer;
    struct rep_out out;
    char *buf;   /* of `out` */
    size_t sent; /* bytes of out.buf already sent */
    struct rep_log_batch *batch;
    unsigned at;  /* entries of the batch already written */
    uint64_t pos; /* of the log: read up to here */
    bool caught_up;
    bool touched; /* touches were lost, too */
    bool scan_wanted, scanning;
    uint64_t scan_version;
    struct rep_scan scan;
    uint64_t scan_items;
    bool announce_wanted;
    uint64_t announce_at; /* once the log is sent up to here */
    bool copy_said;       /* `marugoto start` was printed */
    bool ping_due, pong_due, ack_due;
    uint64_t ack;
    bool answered;     /* the peer has acknowledged one */
    uint64_t position; /* the last one sent; UINT64_MAX: none yet */
    bool draining, drain_told;
    uint64_t drain_at;
    uint64_t unlinked_since;

    struct {
        bool on;
        uint64_t pos, ns;
    } sample; /* of the lag */
    struct rep_link_figures figures;
    char first[FIRST_BYTES];
};

static void tell(struct rep_link *link, enum rep_event_kind kind)
{
    struct rep_event ev = {.kind = kind, .conn = link->id};

    link->env->event(link->env->ctx, &ev);
}

/* ---- life ------------------------------------------------------------- */

struct rep_link *rep_link_new(const struct rep_link_env *env, uint32_t id,
                              bool dialled, int fd)
{
    struct rep_link *link = calloc(1, sizeof(*link));

    if (link == NULL) {
        return NULL;
    }
    link->env = env;
    link->fd = fd;
    link->id = id;
    link->dialled = dialled;
    link->in = link->first;
    link->in_room = FIRST_BYTES;
    link->position = UINT64_MAX;
    link->peer.reader = -1;
    return link;
}

void rep_link_close(struct rep_link *link)
{
    if (link->phase == PHASE_CLOSED) {
        return;
    }
    rep_link_figures(link, &link->figures);
    link->phase = PHASE_CLOSED;
    if (link->peer.reader >= 0) {
        rep_out_fini(&link->out);
        rep_apply_free(link->apply);
        link->apply = NULL;
        rep_log_close(link->env->log, link->peer.reader);
    }
}

void rep_link_free(struct rep_link *link)
{
    if (link == NULL) {
        return;
    }
    rep_link_close(link);
    if (link->in != link->first) {
        free(link->in);
    }
    free(link->buf);
    free(link->batch);
    free(link);
}

uint32_t rep_link_id(const struct rep_link *link)
{
    return link->id;
}

bool rep_link_is_closed(const struct rep_link *link)
{
    return link->phase == PHASE_CLOSED;
}

void rep_link_fail(struct rep_link *link, const char *why)
{
    if (link->phase != PHASE_CLOSED) {
        link->figures.error = why;
        rep_link_close(link);
        tell(link, REP_EV_CLOSED);
    }
}

/* ---- the first line --------------------------------------------------- */

static void said_hello(struct rep_link *link, const struct wire_msg *msg,
                       size_t used)
{
    struct rep_event ev = {.kind = REP_EV_HELLO, .conn = link->id};

    if (!wire_parse_hello(msg->line, msg->line_len, &link->hello) ||
        link->hello.dialect < WIRE_OURS) {
        tell(link, REP_EV_NONSENSE);
        return;
    }
    link->in_len -= used;
    memmove(link->in, link->in + used, link->in_len);
    link->figures.skew_ms = (int64_t)(link->hello.clock_ms - clock_ms());
    link->figures.run = link->hello.run;
    ev.run = link->hello.run;
    ev.slot = link->hello.slot;
    ev.skew = link->figures.skew_ms;
    link->env->event(link->env->ctx, &ev);
}

static bool is_legacy_command(uint8_t op)
{
    return op == WIRE_REP || op == WIRE_DELETE || op == WIRE_FLUSH ||
           op == WIRE_FLUSH_AT || op == WIRE_END;
}

/* What the first line is decides who this is; a legacy command stays in the
 * buffer, to be carried out once the link is up. */
static void look_at_first(struct rep_link *link)
{
    struct wire_msg msg;
    size_t used = 0;
    enum wire_status hello = wire_sniff_hello(link->in, link->in_len);
    enum wire_status line;

    if (hello == WIRE_MORE && link->in_len < link->in_room) {
        return;
    }
    line = wire_parse(hello == WIRE_OK ? WIRE_OURS : WIRE_LEGACY, link->in,
                      link->in_len, &msg, &used);
    if (line == WIRE_MORE && link->in_len < link->in_room) {
        return;
    }
    link->phase = PHASE_SAID;
    if (line == WIRE_OK && hello == WIRE_OK) {
        said_hello(link, &msg, used);
    } else if (line == WIRE_OK && is_legacy_command(msg.op)) {
        tell(link, REP_EV_LEGACY);
    } else {
        tell(link, REP_EV_NONSENSE);
    }
}

/* ---- in --------------------------------------------------------------- */

static void on_ack(struct rep_link *link, uint64_t position)
{
    rep_log_ack(link->env->log, link->peer.reader, position);
    link->answered = true;
    if (position > link->figures.acked) {
        link->figures.acked = position;
    }
    if (link->sample.on && position >= link->sample.pos) {
        link->sample.on = false;
        link->figures.lag_us = (link->now - link->sample.ns) / 1000;
    }
}

static void on_control(struct rep_link *link, const struct wire_msg *msg)
{
    switch ((enum wire_op)msg->op) {
    case WIRE_HELLO:
        tell(link, REP_EV_HELLO);
        return;
    case WIRE_END:
        log_print(2, "<%d marugoto_end\n", link->fd);
        link->end_came = true;
        return;
    case WIRE_POSITION:
        link->ack = msg->position;
        link->ack_due = true;
        return;
    case WIRE_ACK:
        on_ack(link, msg->position);
        return;
    case WIRE_PING:
        link->pong_due = true;
        return;
    case WIRE_UNKNOWN:
    case WIRE_REP:
    case WIRE_DELETE:
    case WIRE_FLOOR:
    case WIRE_FLUSH:
    case WIRE_FLUSH_AT:
    case WIRE_PONG:
        return;
    }
}

static void feed(struct rep_link *link)
{
    size_t at = 0;
    enum rep_apply_status status = REP_APPLY_CONTROL;

    link->unfed = false;
    while (status == REP_APPLY_CONTROL) {
        struct wire_msg msg;
        size_t used = 0;

        status = rep_apply_feed(link->apply, link->in + at, link->in_len - at,
                                &used, &msg);
        at += used;
        if (status == REP_APPLY_CONTROL) {
            on_control(link, &msg);
        }
        if (link->phase != PHASE_LINKED) {
            return;
        }
    }
    if (status == REP_APPLY_BAD) {
        rep_link_fail(link, "the peer sent what cannot be understood");
        return;
    }
    link->in_len -= at;
    memmove(link->in, link->in + at, link->in_len);
    if (at > 0 && link->figures.legacy && !link->firm) {
        link->firm = true;
        tell(link, REP_EV_LEGACY);
    }
}

static void look_at_input(struct rep_link *link)
{
    switch (link->phase) {
    case PHASE_FIRST:
        look_at_first(link);
        return;
    case PHASE_SAID:
    case PHASE_CLOSED:
        return;
    case PHASE_LINKED:
        feed(link);
        return;
    }
}

bool rep_link_reads(const struct rep_link *link)
{
    return link->phase == PHASE_FIRST || link->phase == PHASE_LINKED;
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
    tell(link, REP_EV_HEARD);
    look_at_input(link);
}

/* The copy counts when floors that came by hash are carried out. */
static void copy_received(struct rep_link *link)
{
    link->end_came = false;
    link->figures.received = true;
    link->figures.received_copies++;
    rep_apply_copied(link->apply);
    tell(link, REP_EV_COPY_RECEIVED);
}

void rep_link_work(struct rep_link *link)
{
    if (link->phase == PHASE_LINKED && link->unfed) {
        feed(link);
    }
    if (link->phase == PHASE_LINKED && link->end_came &&
        !rep_sweep_pending(link->env->sweep)) {
        copy_received(link);
    }
}

/* ---- actions ---------------------------------------------------------- */

static bool allocate(struct rep_link *link)
{
    char *in = malloc(IN_BYTES);

    link->buf = malloc(OUT_BYTES);
    link->batch = calloc(1, sizeof(*link->batch));
    if (in == NULL || link->buf == NULL || link->batch == NULL) {
        free(in);
        return false;
    }
    memcpy(in, link->in, link->in_len);
    link->in = in;
    link->in_room = IN_BYTES;
    rep_out_init(&link->out, link->buf, OUT_BYTES);
    return true;
}

static int32_t expiry_shift(const struct rep_link *link)
{
    int64_t skew = link->figures.skew_ms;

    return skew > SHIFT_MS || skew < -SHIFT_MS ? (int32_t)(-skew / 1000) : 0;
}

static bool begin_apply(struct rep_link *link, bool legacy)
{
    struct rep_apply_config config = {
        .dialect = legacy ? WIRE_LEGACY : WIRE_OURS,
        .reader = link->peer.reader,
        .fd = link->fd,
        .expiry_shift = legacy ? 0 : expiry_shift(link),
        .unlinked_since = link->unlinked_since,
        .floors = link->env->floors,
        .sweep = link->env->sweep,
        .log = link->env->log,
    };

    link->apply = rep_apply_new(&config);
    return link->apply != NULL;
}

bool rep_link_begin(struct rep_link *link, bool legacy, uint64_t unlinked_since)
{
    if (link->phase == PHASE_CLOSED) {
        return true; /* its end is already on its way to rep/core */
    }
    if (!allocate(link)) {
        return false;
    }
    link->unlinked_since = unlinked_since;
    link->figures.legacy = legacy;
    link->peer = (struct rep_peer){
        .dialect = legacy ? WIRE_LEGACY : WIRE_OURS,
        .item_size_max = legacy ? LEGACY_MAX : link->hello.item_size_max,
        .floors = link->env->floors,
        .log = link->env->log,
    };
    link->peer.reader = rep_log_open(link->env->log, &link->pos);
    if (link->peer.reader < 0 || !begin_apply(link, legacy)) {
        return false;
    }
    link->phase = PHASE_LINKED;
    link->unfed = link->in_len > 0;
    return true;
}

void rep_link_scan(struct rep_link *link, uint64_t version)
{
    if (link->phase != PHASE_LINKED) {
        return;
    }
    link->scan_wanted = true;
    link->scan_version = version;
    if (version != 0) {
        link->figures.partial_copies++;
        return;
    }
    link->figures.full_copies++;
    if (!link->dialled) {
        struct store_totals totals;

        store_totals(&totals);
        link->copy_said = totals.curr_items > 0;
        if (link->copy_said) {
            log_print(1, "replication: marugoto start\n");
        }
    }
}

void rep_link_announce(struct rep_link *link)
{
    if (link->phase == PHASE_LINKED) {
        link->announce_wanted = true;
        link->announce_at = rep_log_head(link->env->log);
    }
}

void rep_link_beat(struct rep_link *link)
{
    link->ping_due = true;
}

void rep_link_drain(struct rep_link *link)
{
    link->draining = true;
    link->drain_at = rep_log_head(link->env->log);
}

/* ---- out -------------------------------------------------------------- */

static bool has_output(const struct rep_link *link)
{
    return link->sent < link->out.len || link->out.big != NULL;
}

static char *out_end(struct rep_link *link)
{
    return link->out.buf + link->out.len;
}

static void out_until(struct rep_link *link, const char *end)
{
    link->out.len = (size_t)(end - link->out.buf);
}

/* Answers first: nobody's ack waits for a copy. */
static void fill_control(struct rep_link *link)
{
    if (link->peer.dialect == WIRE_LEGACY) {
        link->ping_due = false;
        return;
    }
    if (link->pong_due) {
        link->pong_due = false;
        out_until(link, wire_format_pong(out_end(link)));
    }
    if (link->ping_due) {
        link->ping_due = false;
        out_until(link, wire_format_ping(out_end(link)));
    }
    if (link->ack_due && !rep_sweep_pending(link->env->sweep)) {
        link->ack_due = false;
        out_until(link, wire_format_ack(out_end(link), link->ack));
    }
}

/* The log went over entries we had not read: a scan makes up for them. */
static void on_gone(struct rep_link *link)
{
    struct rep_event ev = {.kind = REP_EV_OVERRUN, .conn = link->id};
    bool touched = false;

    link->pos = rep_log_oldest(link->env->log);
    if (rep_log_take_lost(link->env->log, link->peer.reader, &ev.version,
                          &touched)) {
        link->touched = link->touched || touched;
        link->env->event(link->env->ctx, &ev);
    }
}

/* Reads the next batch; false when there is none now. */
static bool next_batch(struct rep_link *link)
{
    switch (rep_log_read(link->env->log, link->peer.reader, link->pos,
                         link->batch)) {
    case REP_LOG_OK:
        link->at = 0;
        return true;
    case REP_LOG_END:
        link->caught_up = true;
        return false;
    case REP_LOG_GONE:
        on_gone(link);
        return link->phase == PHASE_LINKED;
    }
    return false;
}

static void batch_written(struct rep_link *link)
{
    link->pos = link->batch->next;
    link->batch->n = 0;
    link->at = 0;
    if (link->peer.dialect == WIRE_LEGACY) {
        rep_log_ack(link->env->log, link->peer.reader, link->pos);
    }
}

/* The state of every key in the log, as far as there is room. */
static void fill_live(struct rep_link *link)
{
    link->caught_up = false;
    link->out.room = link->scanning ? LIVE_BYTES : OUT_BYTES;
    for (int batches = 0; batches < 64; batches++) {
        unsigned from = link->at;
        bool whole;

        if (link->batch->next <= link->pos && !next_batch(link)) {
            break;
        }
        if (link->batch->next <= link->pos) {
            continue; /* resumed after a loss */
        }
        whole = rep_scan_live(&link->peer, link->batch, &link->at, &link->out);
        if (link->peer.dialect == WIRE_LEGACY) {
            rep_apply_note_sent(link->apply, link->batch, from, link->at);
        }
        if (!whole) {
            break;
        }
        batch_written(link);
    }
    link->out.room = OUT_BYTES;
}

/* A flush that was drawn but has not reached the store yet must not be
 * missed by the scan. */
static bool flush_settled(struct rep_link *link)
{
    uint64_t flushed = rep_log_flushed(link->env->log);
    uint64_t pending = 0;
    uint32_t at = 0;

    return store_barrier() >= flushed ||
           (store_flush_pending(&pending, &at) && pending >= flushed);
}

static void fill_scan(struct rep_link *link)
{
    if (link->scan_wanted && flush_settled(link)) {
        link->scan_wanted = false;
        link->scanning = true;
        rep_scan_begin(&link->scan, link->scan_version, link->touched);
        link->scan.flushed_since = link->unlinked_since;
        link->touched = false;
    }
    if (!link->scanning || link->out.big != NULL ||
        link->out.room - link->out.len < REP_SCAN_ROOM) {
        return;
    }
    if (link->peer.dialect == WIRE_LEGACY) {
        rep_apply_note_scan(link->apply);
    }
    if (rep_scan_step(&link->scan, &link->peer, &link->out) == REP_SCAN_DONE) {
        link->scanning = false;
        link->scan_items += link->scan.items;
        tell(link, REP_EV_SCAN_DONE);
    }
}

static void announce(struct rep_link *link)
{
    link->announce_wanted = false;
    link->figures.announced = true;
    if (link->peer.dialect == WIRE_OURS || !link->dialled) {
        out_until(link, wire_format_end(out_end(link)));
    }
    if (link->copy_said) {
        log_print(1, "replication: marugoto %llu\n",
                  (unsigned long long)link->scan_items);
        log_print(1, "replication: marugoto owari\n");
    }
}

/* What may be said only when all before it is written. */
static void fill_marks(struct rep_link *link)
{
    if (link->out.big != NULL ||
        link->out.room - link->out.len < 2 * WIRE_LINE_ROOM) {
        return;
    }
    if (link->announce_wanted && link->pos >= link->announce_at) {
        announce(link);
    }
    if (link->peer.dialect == WIRE_OURS && link->caught_up && !link->scanning &&
        !link->scan_wanted && link->pos != link->position) {
        link->position = link->pos;
        out_until(link, wire_format_position(out_end(link), link->pos));
        if (!link->sample.on) {
            link->sample.on = true;
            link->sample.pos = link->pos;
            link->sample.ns = link->now;
        }
    }
}

static void fill(struct rep_link *link)
{
    link->sent = 0;
    rep_out_clear(&link->out);
    fill_control(link);
    fill_live(link);
    if (link->phase == PHASE_LINKED) {
        fill_scan(link);
    }
    if (link->phase == PHASE_LINKED) {
        fill_marks(link);
    }
}

void rep_link_sent(struct rep_link *link, size_t n)
{
    size_t of_buf = link->out.len - link->sent;

    link->figures.bytes_sent += n;
    if (n <= of_buf) {
        link->sent += n;
        return;
    }
    link->sent = link->out.len;
    rep_out_sent_value(&link->out, n - of_buf);
}

unsigned rep_link_out(struct rep_link *link, struct iovec *iov, unsigned most,
                      uint64_t now)
{
    unsigned n = 0;

    link->now = now;
    if (link->phase == PHASE_LINKED && !has_output(link)) {
        fill(link);
    }
    if (link->phase != PHASE_LINKED) {
        return 0;
    }
    if (link->sent < link->out.len) {
        iov[n].iov_base = link->out.buf + link->sent;
        iov[n].iov_len = link->out.len - link->sent;
        n++;
    }
    if (link->out.big != NULL) {
        n += rep_out_value(&link->out, iov + n, most - n);
    }
    return n;
}

bool rep_link_all_written(const struct rep_link *link)
{
    return link->caught_up && !has_output(link) && !link->scanning &&
           !link->scan_wanted && !link->announce_wanted;
}

/* Ours: the peer has processed it. Legacy: its kernel has it. */
static bool is_drained(const struct rep_link *link, size_t unsent)
{
    if (!rep_link_all_written(link) || link->pos < link->drain_at) {
        return false;
    }
    if (link->peer.dialect == WIRE_OURS) {
        return link->answered && link->figures.acked >= link->drain_at;
    }
    return unsent == 0;
}

void rep_link_drained(struct rep_link *link, size_t unsent)
{
    if (link->phase == PHASE_LINKED && link->draining && !link->drain_told &&
        is_drained(link, unsent)) {
        link->drain_told = true;
        tell(link, REP_EV_DRAINED);
    }
}

bool rep_link_sleep(struct rep_link *link)
{
    return link->phase != PHASE_LINKED ||
           rep_log_sleep(link->env->log, link->pos);
}

/* ---- figures ---------------------------------------------------------- */

void rep_link_figures(const struct rep_link *link, struct rep_link_figures *out)
{
    *out = link->figures;
    out->linked = link->phase == PHASE_LINKED;
    out->reader = link->peer.reader;
    out->pos = link->pos;
    out->caught_up = link->caught_up;
    out->draining = link->draining;
    out->items_sent = link->out.items + link->out.floors;
    if (link->apply != NULL) {
        struct rep_apply_stats stats;

        rep_apply_stats(link->apply, &stats);
        out->items_received = stats.items + stats.deletes + stats.floors;
        out->conflicts_won = stats.stale;
    }
}
