/* What is said on a v3 link: answers, the log, scans, marks of progress. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/version.h"
#include "rep/link_internal.h"

#define POSITION_NS 10000000 /* between two positions while changes come */

/* A cursor on the wire: the number of the scan, then 48 bits of rep_scan. */
#define CURSOR_BITS 48
#define CURSOR_END  ((UINT64_C(1) << CURSOR_BITS) - 1)

/* ---- life ------------------------------------------------------------- */

static int32_t first_shift(struct rep_link *link)
{
    int64_t skew = link->figures.skew_ms;

    link->figures.shift_ms = skew > 2000 || skew < -2000 ? skew : 0;
    return (int32_t)(-link->figures.shift_ms / 1000);
}

bool link_v3_begin(struct rep_link *link)
{
    struct link_v3 *v = &link->v3;
    const struct rep_apply_config config = {
        .reader = link->run->reader,
        .fd = link->fd,
        .floors = link->env->floors,
        .sweep = link->env->sweep,
        .log = link->env->log,
        .hints = link->env->hints,
    };
    struct rep_apply_calls calls = link_v3_calls;

    calls.ctx = link;
    rep_out_init(&v->out, link->buf, LINK_OUT_BYTES, link->sealed);
    v->say = (struct rep_say){
        .out = &v->out,
        .floors = link->env->floors,
        .log = link->env->log,
        .item_size_max = link->hello.item_size_max,
        .hops_max = link->env->hops_max,
        .credit = LINK_OFFERS,
    };
    v->position = UINT64_MAX;
    v->starved = true; /* until its RESUME comes */
    v->apply = rep_apply_new(&config, &calls);
    if (v->apply == NULL) {
        return false;
    }
    rep_apply_shift(v->apply, first_shift(link));
    /* rep/core has taken nobody whose clock is too far ahead. */
    version_observe(version_at_ms(link->hello.clock_ms));
    return true;
}

void link_v3_end(struct rep_link *link)
{
    rep_out_fini(&link->v3.out);
    link->run->scan.touched |= link->v3.touches_later;
}

void link_v3_part(struct rep_link *link, uint16_t code)
{
    struct link_v3 *v = &link->v3;
    struct frame_msg msg = {.type = code == 0 ? FRAME_BYE : FRAME_ERROR,
                            .code = code};
    uint8_t *start = (uint8_t *)link->words;
    uint8_t batch[FRAME_HEAD + FRAME_RESERVED + FRAME_TAG + 64];
    struct frame_out out;
    size_t n;

    /* Not into the middle of a batch, nor behind words that never left. */
    if (link->phase != LINK_LINKED || link->figures.legacy ||
        link->sent < v->out.len || link->words_sent < link->words_len) {
        return;
    }
    frame_begin(&out, batch, sizeof(batch), &v->out.stream);
    if (!frame_put(&out, &msg)) {
        return;
    }
    n = frame_end(&out);
    if (link->sealed != NULL) {
        if (!rep_auth_seal(link->sealed, batch, n, batch + n)) {
            return;
        }
        n += FRAME_TAG;
    }
    memcpy(start, batch, n);
    link->words_sent = 0;
    link->words_len = n;
}

/* ---- what is due: catching up ------------------------------------------- */

void link_v3_lost(struct rep_link *link, uint64_t version, bool touched)
{
    struct rep_run *run = link->run;

    if (!run->scan.owed) {
        run->scan.owed = true;
        run->scan.before = REP_SCAN_NONE;
        run->scan.threshold = version;
        run->scan.cursor = 0;
        run->scan.touched = touched;
        return;
    }
    if (version < run->scan.before) {
        run->scan.before = version;
    }
    link->v3.touches_later |= touched;
}

/* Everything: it knows nothing of this run, or less than it once had. */
static void owe_all(struct rep_link *link)
{
    struct rep_run *run = link->run;
    uint64_t version;
    bool touched;

    run->scan.owed = true;
    run->scan.before = REP_SCAN_NONE;
    run->scan.threshold = 0;
    run->scan.cursor = 0;
    run->scan.touched = false;
    /* What the log has up to here is found by the scan. */
    link->pos = rep_log_head(link->env->log);
    (void)!rep_log_take_lost(link->env->log, run->reader, &version, &touched);
}

/* What it has not acknowledged is in the log, or was lost. */
static void owe_rest(struct rep_link *link)
{
    struct rep_run *run = link->run;
    uint64_t version = 0;
    uint64_t oldest = rep_log_oldest(link->env->log);
    bool touched = false;

    link->pos = rep_log_acked(link->env->log, run->reader);
    link->pos = link->pos > oldest ? link->pos : oldest;
    if (rep_log_take_lost(link->env->log, run->reader, &version, &touched)) {
        link_v3_lost(link, version, touched);
    }
}

void link_v3_catch_up(struct rep_link *link)
{
    struct link_v3 *v = &link->v3;
    struct rep_run *run = link->run;
    bool all;

    if (!v->resumed || !v->catch_up) {
        return;
    }
    v->catch_up = false;
    v->starved = false;
    all = !run->known || v->resume < run->acked ||
          v->resume > rep_log_head(link->env->log);
    if (all) {
        owe_all(link);
    } else {
        owe_rest(link);
    }
    link->batch->n = 0;
    link->batch->next = link->pos;
    link_begin_copy(link, all);
    run->known = true;
    if (v->offers_due && !run->scan.owed) {
        link_v3_lost(link, REP_SCAN_NONE, false);
    }
    link->scan_wanted = run->scan.owed;
    if (!run->scan.owed) {
        link_tell(link, REP_EV_SCAN_DONE);
    }
}

/* ---- the scan --------------------------------------------------------------
 */

static bool slice_is_used(const struct rep_link *link)
{
    return rep_out_size(&link->v3.out) >= link->slice;
}

static bool scan_item(void *ctx, struct item *it)
{
    struct rep_link *link = ctx;
    struct link_v3 *v = &link->v3;

    /* A large value that changed goes before those of the copy. */
    if (slice_is_used(link) ||
        (v->nlater > 0 && it->nbytes > FRAME_WHOLE_MAX)) {
        return false;
    }
    return rep_say_item(&v->say, it) == REP_SAID;
}

/* An older one that lives longer may be held there. */
static bool scan_expired(void *ctx, struct item *it)
{
    struct rep_link *link = ctx;

    return !slice_is_used(link) && rep_say_delete(&link->v3.say, item_key(it),
                                                  it->nkey, it->version, 0);
}

static bool scan_below(void *ctx, struct item *it)
{
    struct rep_link *link = ctx;

    return !slice_is_used(link) &&
           rep_say_below(&link->v3.say, it, link->run->scan.touched) ==
               REP_SAID;
}

static bool scan_floor(void *ctx, uint64_t hash, uint64_t version)
{
    struct rep_link *link = ctx;

    return !slice_is_used(link) &&
           rep_say_floor(&link->v3.say, hash, version, 0);
}

static bool looks_below(const struct rep_link *link)
{
    return link->run->scan.touched || link->v3.cells != 0;
}

/* From here on the record says what would be owed if the link broke. */
static bool begin_scan(struct rep_link *link)
{
    struct rep_run *run = link->run;
    const struct rep_scan_plan plan = {
        .before = run->scan.before,
        .threshold = run->scan.threshold,
        .cursor = run->scan.cursor,
        .walk_all = looks_below(link),
    };

    if (!rep_say_flush(&link->v3.say, 0)) {
        return false;
    }
    link->v3.offers_due = false;
    rep_scan_begin(&link->scan, &plan);
    link->scan_wanted = false;
    link->scanning = true;
    link->v3.scans++;
    link->v3.scan_written = false;
    run->scan.threshold = link->scan.plan.threshold;
    run->scan.before = REP_SCAN_NONE;
    run->scan.cursor = rep_scan_cursor(&link->scan);
    link->v3.scan_point = run->scan.cursor;
    run->scan.touched |= link->v3.touches_later;
    link->v3.touches_later = false;
    return true;
}

bool link_v3_scanned(struct rep_link *link, uint64_t cursor)
{
    struct rep_run *run = link->run;
    uint64_t at = cursor & CURSOR_END;

    /* It says what it was told, and never goes back. */
    if (cursor >> CURSOR_BITS != link->v3.scans || !run->scan.owed ||
        at > link->v3.scan_point || at < run->scan.cursor) {
        return false;
    }
    if (at != CURSOR_END) {
        run->scan.cursor = at;
        return true;
    }
    link->v3.scan_written = false;
    run->scan.owed =
        run->scan.before != REP_SCAN_NONE || link->v3.touches_later;
    run->scan.threshold = run->scan.before;
    run->scan.before = REP_SCAN_NONE;
    run->scan.cursor = 0;
    run->scan.touched = link->v3.touches_later;
    link->v3.touches_later = false;
    return true;
}

static bool put_scan_point(struct rep_link *link, uint64_t cursor)
{
    struct frame_msg msg = {
        .type = FRAME_SCAN_POINT,
        .version = link->run->scan.threshold == REP_SCAN_NONE
                       ? version_last() /* nothing of that sort */
                       : link->run->scan.threshold,
        .cursor = (uint64_t)link->v3.scans << CURSOR_BITS | cursor,
    };

    if (!rep_out_put(&link->v3.out, &msg)) {
        return false;
    }
    link->v3.scan_point = cursor;
    return true;
}

static enum rep_scan_status step_scan(struct rep_link *link,
                                      const struct rep_scan_calls *calls)
{
    struct link_v3 *v = &link->v3;
    bool had_large = v->out.large != NULL;
    enum rep_scan_status status =
        rep_scan_step(&link->scan, link->env->floors, calls, link);

    if (!had_large && v->out.large != NULL) {
        v->large_pos = UINT64_MAX; /* of no entry of the log */
    }
    return status;
}

/* One that follows begins when the peer has processed the one before. What was
 * lost before that began was in it: then nothing is left to be scanned. */
static void want_scan(struct rep_link *link)
{
    struct link_v3 *v = &link->v3;
    const struct rep_run *run = link->run;

    if (v->offers_due && !run->scan.owed) {
        link_v3_lost(link, REP_SCAN_NONE, false); /* nothing but offers */
        link->scan_wanted = true;
        link->figures.copying_all = false;
    }
    if (!link->scan_wanted || link->scanning || v->scan_written) {
        return;
    }
    if (run->scan.owed) {
        (void)!begin_scan(link);
        return;
    }
    link->scan_wanted = false;
    link_tell(link, REP_EV_SCAN_DONE);
}

static void fill_scan(struct rep_link *link)
{
    const struct rep_scan_calls calls = {
        .item = scan_item,
        .expired = scan_expired,
        .below = looks_below(link) ? scan_below : NULL,
        .floor = scan_floor,
    };
    struct link_v3 *v = &link->v3;
    enum rep_scan_status status;

    if (!link->scanning) {
        return;
    }
    status = step_scan(link, &calls);
    /* A large value under way belongs to what was passed over. */
    link->v3.out.room = LINK_OUT_BYTES;
    if (status == REP_SCAN_MORE) {
        if (v->out.large == NULL &&
            rep_scan_cursor(&link->scan) > v->scan_point) {
            (void)!put_scan_point(link, rep_scan_cursor(&link->scan));
        }
        return;
    }
    if (v->out.large == NULL && put_scan_point(link, CURSOR_END)) {
        link->scanning = false;
        v->scan_written = true;
        link_tell(link, REP_EV_SCAN_DONE);
    }
}

/* The large value under way is of no entry of the log. */
static bool is_copying_large(const struct rep_link *link)
{
    return link->v3.out.large != NULL && link->v3.large_pos == UINT64_MAX;
}

/* In slices, if it has a rate (a large value: in batches); but the rest of a
 * large value whose end another one waits for is no copy. */
static void write_copy(struct rep_link *link, bool allowed, bool hurries)
{
    const struct rep_rate *rate = link->env->copy_rate;
    struct rep_out *out = &link->v3.out;
    size_t before = rep_out_size(out);

    link->slice = UINT64_MAX;
    if (rep_rate_limits(rate) && !hurries) {
        link->slice = before + rep_rate_slice(rate);
        if (out->room > before + FRAME_BATCH_MAX) {
            out->room = before + FRAME_BATCH_MAX;
        }
    }
    if (is_copying_large(link)) {
        rep_out_parts(out);
    }
    if (allowed) {
        fill_scan(link);
    }
}

/* What a copy writes is counted, and limited by its rate. */
static void fill_copy(struct rep_link *link)
{
    const struct rep_rate *rate = link->env->copy_rate;
    const struct rep_say *say = &link->v3.say;
    uint64_t items = say->items, removals = say->removals;
    size_t before = rep_out_said(&link->v3.out), written;
    bool allowed = rep_rate_allows(rate, link->copy_due, link->now);
    bool hurries = is_copying_large(link) && link->v3.nlater > 0;

    want_scan(link);
    link->held =
        (link->scanning || is_copying_large(link)) && !allowed && !hurries;
    if (!link->held) {
        write_copy(link, allowed, hurries);
    }
    written = rep_out_said(&link->v3.out) - before;
    rep_rate_pay(rate, &link->copy_due, link->now, written);
    link_wrote_copy(link, say->items - items, say->removals - removals,
                    written);
}

/* ---- control
 * ----------------------------------------------------------------- */

bool link_answer(struct rep_link *link, const struct frame_msg *answer)
{
    struct link_answers *a = &link->v3.answers;
    struct link_answer *slot;

    if (a->ring == NULL) {
        a->ring = malloc(LINK_ANSWERS * sizeof(*a->ring)); /* mostly idle */
    }
    if (a->ring == NULL || a->n == LINK_ANSWERS) {
        return false;
    }
    slot = &a->ring[(a->first + a->n++) % LINK_ANSWERS];
    slot->msg = *answer;
    slot->msg.key = slot->key;
    memcpy(slot->key, answer->key, answer->nkey);
    return true;
}

/* Tells what we lost floors of that this run has not acknowledged: it offers
 * what it holds of that. */
static bool put_missed(struct rep_link *link)
{
    struct link_v3 *v = &link->v3;
    struct frame_msg msg = {.type = FRAME_MISSED, .cells = LINK_CELLS};

    for (unsigned cell = 0; cell < LINK_CELLS; cell++) {
        msg.cell = (uint16_t)cell;
        msg.version =
            rep_floor_missed(link->env->floors, link->run->reader, cell);
        if (msg.version <= v->told[cell]) {
            continue;
        }
        if (!rep_out_put(&v->out, &msg)) {
            return false;
        }
        v->told[cell] = msg.version;
        v->told_more = v->began;
    }
    return true;
}

/* The first batch: what it missed since we told it last, and how much of its
 * log we have processed. */
static void fill_first(struct rep_link *link)
{
    struct link_v3 *v = &link->v3;
    const struct frame_msg resume = {.type = FRAME_RESUME,
                                     .position = link->run->processed};

    memcpy(v->told, link->run->told, sizeof(v->told));
    v->began = put_missed(link) && rep_out_put(&v->out, &resume);
}

static bool put_ping(struct rep_link *link)
{
    struct link_v3 *v = &link->v3;
    uint64_t now = clock_ms();
    struct frame_msg msg = {.type = FRAME_PING};

    msg.clock_ms = now > v->ping ? now : v->ping + 1;
    if (!rep_out_put(&v->out, &msg)) {
        return false;
    }
    v->ping = msg.clock_ms;
    v->ping_due = false;
    if (v->mark == 0 && v->say.credit < LINK_OFFERS) {
        v->mark = v->ping;
        v->mark_offers = LINK_OFFERS - v->say.credit;
    }
    if (v->told_due && v->answers.n == 0) {
        v->told_due = false;
        v->told_mark = v->ping;
    }
    return true;
}

static void put_pong(struct rep_link *link)
{
    struct frame_msg msg = {.type = FRAME_PONG,
                            .clock_ms = clock_ms(),
                            .echo_ms = link->v3.pong_echo};

    link->v3.pong_due = !rep_out_put(&link->v3.out, &msg);
}

static void put_acks(struct rep_link *link)
{
    struct link_v3 *v = &link->v3;
    struct frame_msg ack = {.type = FRAME_ACK, .position = v->ack};
    struct frame_msg scan_ack = {.type = FRAME_SCAN_ACK, .cursor = v->scan_ack};

    if (v->scan_ack_due) {
        v->scan_ack_due = !rep_out_put(&v->out, &scan_ack);
    }
    if (v->ack_due && rep_out_put(&v->out, &ack)) {
        v->ack_due = false;
        link->run->processed = v->ack;
    }
}

/* Answers first, in the order of what they answer: nobody's ack waits for a
 * copy. */
static void fill_control(struct rep_link *link)
{
    struct link_v3 *v = &link->v3;
    struct link_answers *a = &v->answers;

    while (a->n > 0) {
        if (!rep_out_put(&v->out, &a->ring[a->first].msg)) {
            return;
        }
        a->first = (a->first + 1) % LINK_ANSWERS;
        a->n--;
    }
    if (v->pong_due) {
        put_pong(link);
    }
    if (!rep_sweep_pending(link->env->sweep)) {
        put_acks(link);
    }
    if (v->ping_due) {
        /* What we dropped while it was not up to date is missed, too. */
        if (link->run->scan.owed || put_missed(link)) {
            (void)!put_ping(link);
        }
    }
}

/* ---- the log
 * ------------------------------------------------------------------- */

/* A large value while another is under way: its key waits, others pass. */
static bool put_off(struct rep_link *link, const struct rep_log_entry *e)
{
    struct link_v3 *v = &link->v3;
    struct link_later *later;

    if (v->later == NULL) {
        v->later = calloc(LINK_LATER, sizeof(*v->later));
    }
    if (v->later == NULL || v->nlater == LINK_LATER) {
        return false;
    }
    later = &v->later[v->nlater++];
    later->entry = *e;
    later->entry.pos = link->pos;
    later->entry.fresh = 0; /* it goes with the entry's own position */
    memcpy(later->key, e->key, e->nkey);
    return true;
}

/* Not sent is everything from `pos` on while its value is under way: an entry
 * stands for earlier ones of its batch, too. */
static enum rep_said say_entry(struct rep_link *link,
                               const struct rep_log_entry *e, uint64_t pos)
{
    struct link_v3 *v = &link->v3;
    bool had_large = v->out.large != NULL;
    enum rep_said said = rep_say_entry(&v->say, e);

    if (said == REP_SAID && !had_large && v->out.large != NULL) {
        v->large_pos = pos;
    }
    return said;
}

/* Values that waited, now that none is under way. */
static void fill_later(struct rep_link *link)
{
    struct link_v3 *v = &link->v3;

    while (v->nlater > 0 && v->out.large == NULL) {
        v->later[0].entry.key = v->later[0].key;
        if (say_entry(link, &v->later[0].entry, v->later[0].entry.pos) !=
            REP_SAID) {
            return;
        }
        v->nlater--;
        memmove(&v->later[0], &v->later[1], v->nlater * sizeof(v->later[0]));
    }
}

/* Writes entries of the batch; true when the whole batch is written. */
static bool say_batch(struct rep_link *link)
{
    const struct rep_log_batch *batch = link->batch;

    for (; link->at < batch->n; link->at++) {
        const struct rep_log_entry *e = &batch->entry[link->at];
        enum rep_said said;

        rep_say_ahead(batch, link->at);
        said = say_entry(link, e, link->pos);
        if (said == REP_SAID_FULL ||
            (said == REP_SAID_BUSY && !put_off(link, e))) {
            return false;
        }
    }
    return true;
}

/* The state of every key in the log, as far as there is room. */
static void fill_live(struct rep_link *link)
{
    link->caught_up = false;
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
    }
    if (link->caught_up) {
        link->v3.read_end = link->now;
    }
}

/* ---- marks
 * ---------------------------------------------------------------------- */

/* All entries up to here are sent: those of values that wait are not. */
static uint64_t sent_up_to(const struct rep_link *link)
{
    const struct link_v3 *v = &link->v3;
    uint64_t pos = link->pos;

    if (v->out.large != NULL && v->large_pos < pos) {
        pos = v->large_pos;
    }
    for (unsigned i = 0; i < v->nlater; i++) {
        pos = v->later[i].entry.pos < pos ? v->later[i].entry.pos : pos;
    }
    return pos;
}

/* Nothing is acknowledged while a scan is: it may bring what the log lost.
 * While changes come, every POSITION_NS will do; behind the last one, at
 * once. */
static void put_position(struct rep_link *link, bool moved)
{
    struct link_v3 *v = &link->v3;
    struct frame_msg msg = {.type = FRAME_POSITION,
                            .position = sent_up_to(link)};
    uint64_t since = v->sample_since != 0 ? v->sample_since : link->now;

    v->sample_since = v->read_end;
    if (link->run->scan.owed || msg.position == v->position ||
        (moved && link->now - v->position_ns < POSITION_NS) ||
        v->npositions == LINK_POSITIONS || !rep_out_put(&v->out, &msg)) {
        return;
    }
    v->position = msg.position;
    v->positions[v->npositions++] = msg.position;
    v->position_ns = link->now;
    if (moved && !v->sample.on) {
        v->sample.on = true;
        v->sample.pos = msg.position;
        v->sample.ns = since;
    }
}

static void put_copy_end(struct rep_link *link)
{
    const struct frame_msg msg = {.type = FRAME_COPY_END};

    if (link->announce_wanted && sent_up_to(link) >= link->announce_at &&
        rep_out_put(&link->v3.out, &msg)) {
        link_announced(link);
    }
}

static void put_hints(struct rep_link *link)
{
    struct link_v3 *v = &link->v3;
    const struct frame_msg msg = {
        .type = FRAME_HINTS, .nbytes = (uint32_t)v->nhints, .bytes = v->hints};

    /* Left out first when anything else waits. */
    if (v->nhints == 0 || (!link->caught_up && !link->scanning)) {
        return;
    }
    if (!link->scanning) {
        (void)!rep_out_put(&v->out, &msg);
    }
    v->nhints = 0;
}

static void fill_marks(struct rep_link *link, bool moved)
{
    struct link_v3 *v = &link->v3;

    put_copy_end(link);
    put_position(link, moved);
    put_hints(link);
    if (v->mark == 0 && (v->say.credit < LINK_OFFERS || v->told_due)) {
        (void)!put_ping(link);
    }
}

/* Nothing can be written until the peer says something. */
static bool is_starved(const struct rep_link *link)
{
    const struct link_v3 *v = &link->v3;

    return !v->resumed ||
           (v->say.credit == 0 && v->mark != 0 && v->out.large == NULL);
}

void link_v3_fill(struct rep_link *link)
{
    struct link_v3 *v = &link->v3;
    uint64_t pos = link->pos;

    rep_out_clear(&v->out);
    if (!v->began) {
        fill_first(link);
    }
    if (v->resumed && !v->catch_up) {
        fill_control(link);
        v->out.room = (link->scanning ? LINK_LIVE_BYTES : LINK_OUT_BYTES) -
                      LINK_MARK_BYTES;
        fill_later(link);
        fill_live(link);
        v->out.room = LINK_OUT_BYTES - LINK_MARK_BYTES;
        if (link->phase == LINK_LINKED) {
            if (!is_copying_large(link)) {
                rep_out_parts(&v->out);
            }
            fill_copy(link);
        }
        v->out.room = LINK_OUT_BYTES;
        if (link->phase == LINK_LINKED) {
            fill_marks(link, link->pos != pos);
        }
    }
    rep_out_close(&v->out);
    v->starved = is_starved(link);
    if (v->out.failed) {
        rep_link_fail(link, "a batch could not be signed");
    }
}

bool link_v3_is_idle(const struct rep_link *link)
{
    const struct link_v3 *v = &link->v3;

    if (v->starved) {
        return v->began;
    }
    return link->caught_up && (!link->scanning || link->held) &&
           (v->out.large == NULL || (link->held && is_copying_large(link))) &&
           (!link->scan_wanted || v->scan_written) &&
           (!link->announce_wanted || sent_up_to(link) < link->announce_at) &&
           v->answers.n == 0 && v->nlater == 0;
}
