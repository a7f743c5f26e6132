#include "rep/legacy.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/version.h"

enum {
    GATHER = 16,        /* changes looked up ahead together */
    SENT_PLACES = 16384 /* keys remembered as sent to the peer */
};

/* Where the data of a line goes when it does not lie whole in the buffer. */
enum data_state { DATA_NONE, DATA_FILL, DATA_SKIP };

struct sent {
    uint64_t hv;
    uint64_t ms;
};

struct rep_legacy {
    struct rep_legacy_config config;
    bool copying; /* the peer's first copy is still arriving */

    enum data_state data;
    struct item *it;     /* FILL: reserved, ours */
    size_t filled;       /* FILL: bytes of value in it */
    uint64_t left;       /* bytes still to come, CR LF included */
    struct wire_msg big; /* FILL: its line; key points to big_key */
    char big_key[KEY_MAX_LENGTH];

    uint64_t scan_sent_ms; /* when a scan sent something last */
    struct sent sent[SENT_PLACES];
    struct rep_legacy_stats stats;
};

/* A change whose bytes are all there. */
struct change {
    struct wire_msg msg;
    const char *data;
    struct store_key key;
};

static uint32_t source_of(const struct rep_legacy *l)
{
    return rep_log_source(l->config.reader, 0);
}

struct rep_legacy *rep_legacy_new(const struct rep_legacy_config *config)
{
    struct rep_legacy *l = calloc(1, sizeof(*l));

    if (l != NULL) {
        l->config = *config;
        l->copying = true;
    }
    return l;
}

void rep_legacy_free(struct rep_legacy *l)
{
    if (l != NULL && l->it != NULL) {
        store_cancel(l->it);
    }
    free(l);
}

void rep_legacy_copied(struct rep_legacy *l)
{
    l->copying = false;
}

void rep_legacy_stats(const struct rep_legacy *l, struct rep_legacy_stats *out)
{
    *out = l->stats;
}

/* ---- the lines of -vv --------------------------------------------------- */

static void print_line(const struct rep_legacy *l, const struct wire_msg *msg)
{
    log_print(2, "<%d %.*s\n", l->config.fd, (int)msg->line_len, msg->line);
}

/* What a client would have been answered; nothing is on this link. */
static void print_answer(const struct rep_legacy *l, const char *answer)
{
    log_print(2, "REP>%d %s\n", l->config.fd, answer);
}

static void print_stored(const struct rep_legacy *l, enum store_applied applied)
{
    if (applied == STORE_UNSTORABLE) {
        print_answer(l, "SERVER_ERROR out of memory storing object");
    } else {
        print_answer(l, applied == STORE_STALE ? "NOT_STORED" : "STORED");
    }
}

/* ---- conflicts ---------------------------------------------------------- */

void rep_legacy_note_sent(struct rep_legacy *l,
                          const struct rep_log_batch *batch, unsigned from,
                          unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        const struct rep_log_entry *e = &batch->entry[i];

        if (e->op != STORE_OP_FLUSH && e->op != REP_LOG_OP_FLOOR) {
            l->sent[e->hv % SENT_PLACES] = (struct sent){e->hv, clock_ms()};
        }
    }
}

void rep_legacy_note_scan(struct rep_legacy *l)
{
    l->scan_sent_ms = clock_ms();
}

static bool is_recent(uint64_t ms)
{
    return ms != 0 && ms + REP_LEGACY_RECENT_MS > clock_ms();
}

/* Its change and ours may have crossed: then it holds ours now, and we hold
 * its. Sending back what we hold makes both the same. */
static void settle_conflict(struct rep_legacy *l, const struct store_key *key)
{
    const struct sent *sent = &l->sent[key->hv % SENT_PLACES];

    if (!l->copying && (is_recent(l->scan_sent_ms) ||
                        (sent->hv == key->hv && is_recent(sent->ms)))) {
        rep_log_resend(l->config.log, l->config.reader, key, version_last(), 0);
    }
}

/* ---- values ------------------------------------------------------------- */

/* The low half of its cas tells the store when our own value comes back. */
static struct store_incoming incoming(const struct rep_legacy *l,
                                      const struct wire_msg *msg)
{
    return (struct store_incoming){
        .attrs = {msg->flags, msg->exptime},
        .version = msg->cas,
        .source = source_of(l),
        .local = true,
    };
}

/* Counts what the store said. */
static void judge(struct rep_legacy *l, enum store_applied applied,
                  const struct store_key *key)
{
    l->stats.stale += applied == STORE_STALE;
    l->stats.unstorable += applied == STORE_UNSTORABLE;
    settle_conflict(l, key);
}

/* The key is gone, now. */
static enum store_applied apply_floor(struct rep_legacy *l,
                                      const struct store_key *key)
{
    enum store_applied applied =
        store_apply_floor(key, version_next(), source_of(l));

    judge(l, applied, key);
    return applied;
}

/* Nothing held: whether its copy may bring the key. */
static bool copy_may_add(const struct rep_legacy *l,
                         const struct store_key *key)
{
    uint64_t since = l->config.unlinked_since;
    uint64_t floor =
        rep_floor_get(l->config.floors, hash_key_agreed(key->ptr, key->len));

    /* A node that was never linked flushed nothing of the peer's. */
    return floor <= since && (since == 0 || store_barrier() <= since);
}

/* Whether its first copy meets a change made here while unlinked. */
static bool copy_is_older(const struct rep_legacy *l,
                          const struct store_key *key)
{
    struct item *it;
    bool ours_newer;

    if (!l->copying) {
        return false;
    }
    it = store_hold(key, NULL);
    if (it == NULL) {
        return !copy_may_add(l, key);
    }
    ours_newer = it->version > l->config.unlinked_since;
    store_release(it);
    return ours_newer;
}

static void apply_item(struct rep_legacy *l, const struct change *c)
{
    struct store_incoming in = incoming(l, &c->msg);

    enum store_applied applied = STORE_STALE;

    l->stats.items++;
    if (copy_is_older(l, &c->key)) {
        l->stats.stale++;
    } else {
        applied = store_apply(&c->key, &in, c->data, c->msg.nbytes);
        judge(l, applied, &c->key);
    }
    print_stored(l, applied);
}

/* ---- values that arrive in pieces --------------------------------------- */

static struct store_key big_key(const struct rep_legacy *l)
{
    return store_key(l->big.key, l->big.nkey);
}

/* It cannot be stored: what was here may not be served either. */
static void refuse_big(struct rep_legacy *l)
{
    struct store_key key = big_key(l);

    l->stats.unstorable++;
    (void)apply_floor(l, &key);
    print_stored(l, STORE_UNSTORABLE);
    l->data = DATA_SKIP;
}

static void begin_data(struct rep_legacy *l, const struct wire_msg *msg)
{
    struct store_incoming in = incoming(l, msg);
    struct store_key key;

    l->left = (uint64_t)msg->nbytes + 2;
    l->filled = 0;
    l->data = DATA_SKIP;
    print_line(l, msg);
    if (msg->op != WIRE_REP) {
        l->stats.skipped++;
        return;
    }
    l->big = *msg;
    memcpy(l->big_key, msg->key, msg->nkey);
    l->big.key = l->big_key;
    l->data = DATA_FILL;
    key = big_key(l);
    if (store_reserve(&key, &in.attrs, STORE_ADD, msg->nbytes, &l->it) !=
        STORE_OK) {
        l->it = NULL;
        refuse_big(l);
    }
}

/* All bytes are there. */
static void finish_big(struct rep_legacy *l)
{
    struct store_key key = big_key(l);
    struct store_incoming in = incoming(l, &l->big);
    struct item *it = l->it;
    enum store_applied applied = STORE_STALE;

    l->stats.items++;
    l->it = NULL;
    if (copy_is_older(l, &key)) {
        l->stats.stale++;
        store_cancel(it);
    } else {
        applied = store_apply_item(it, &key, &in);
        judge(l, applied, &key);
    }
    print_stored(l, applied);
}

/* Copies value bytes into the item; returns how many it took. */
static size_t fill_value(struct rep_legacy *l, const char *p, size_t n)
{
    size_t taken = 0;

    while (taken < n && l->filled < l->big.nbytes) {
        struct iovec room = store_room(l->it, l->filled);
        size_t want = l->big.nbytes - l->filled;
        size_t part;

        if (room.iov_len == 0) {
            store_cancel(l->it);
            l->it = NULL;
            refuse_big(l);
            break;
        }
        want = want < n - taken ? want : n - taken;
        part = room.iov_len < want ? room.iov_len : want;
        memcpy(room.iov_base, p + taken, part);
        l->filled += part;
        taken += part;
    }
    l->left -= taken;
    return taken;
}

/* Takes bytes of the data under way; false when its end is not CR LF. */
static bool take_data(struct rep_legacy *l, const char *p, size_t n,
                      size_t *used)
{
    size_t at = l->data == DATA_FILL ? fill_value(l, p, n) : 0;

    if (l->data == DATA_SKIP) {
        uint64_t rest = l->left > 2 ? l->left - 2 : 0;
        size_t part = rest < n - at ? (size_t)rest : n - at;

        at += part;
        l->left -= part;
    }
    while (l->left <= 2 && l->left > 0 && at < n) {
        if (p[at] != (l->left == 2 ? '\r' : '\n')) {
            return false;
        }
        at++;
        l->left--;
    }
    if (l->left == 0) {
        if (l->data == DATA_FILL) {
            finish_big(l);
        }
        l->data = DATA_NONE;
    }
    *used += at;
    return true;
}

static void apply_flush(struct rep_legacy *l, const struct wire_msg *msg)
{
    uint64_t version = version_next();

    l->stats.flushes++;
    if (msg->op == WIRE_FLUSH) {
        (void)store_apply_barrier(version, source_of(l));
    } else {
        store_apply_flush_at(version, msg->exptime, source_of(l));
    }
}

/* ---- feeding ------------------------------------------------------------ */

static void apply_delete(struct rep_legacy *l, const struct change *c)
{
    l->stats.deletes++;
    print_answer(l, apply_floor(l, &c->key) == STORE_APPLIED ? "DELETED"
                                                             : "NOT_FOUND");
}

static void apply_change(struct rep_legacy *l, const struct change *c)
{
    print_line(l, &c->msg);
    switch (c->msg.op) {
    case WIRE_REP:
        apply_item(l, c);
        break;
    case WIRE_DELETE:
        apply_delete(l, c);
        break;
    case WIRE_FLUSH:
    case WIRE_FLUSH_AT:
        apply_flush(l, &c->msg);
        print_answer(l, "OK");
        break;
    default:
        l->stats.skipped++;
        break;
    }
}

static bool is_control(const struct wire_msg *msg)
{
    return msg->op == WIRE_HELLO || msg->op == WIRE_END;
}

/* Why gathering stopped. */
enum stop { STOP_FULL, STOP_MORE, STOP_CONTROL, STOP_DATA, STOP_BAD };

struct gather {
    struct change list[GATHER];
    unsigned n;
    struct wire_msg msg; /* with CONTROL and DATA */
};

/* Takes one line in, with its data when that is small. */
static enum stop gather_line(struct gather *g, const char *p, size_t n,
                             size_t *used)
{
    struct change *c = &g->list[g->n];
    size_t len = 0;

    switch (wire_parse(p, n, &c->msg, &len)) {
    case WIRE_OK:
        break;
    case WIRE_MORE:
        return STOP_MORE;
    case WIRE_BAD:
        return STOP_BAD;
    }
    if (is_control(&c->msg) || (c->msg.has_data && c->msg.op != WIRE_REP) ||
        c->msg.nbytes > REP_LEGACY_WHOLE_MAX) {
        g->msg = c->msg;
        *used += len;
        return is_control(&c->msg) ? STOP_CONTROL : STOP_DATA;
    }
    if (c->msg.has_data) {
        c->data = p + len;
        len += (size_t)c->msg.nbytes + 2;
        if (n < len) {
            return STOP_MORE;
        }
        if (p[len - 2] != '\r' || p[len - 1] != '\n') {
            return STOP_BAD;
        }
    }
    if (c->msg.key != NULL) {
        c->key = store_key(c->msg.key, c->msg.nkey);
        store_prefetch_stripe(c->key.hv);
    }
    *used += len;
    g->n++;
    return STOP_FULL;
}

static enum stop gather(struct gather *g, const char *p, size_t n, size_t *used)
{
    enum stop stop = STOP_FULL;

    g->n = 0;
    while (g->n < GATHER && stop == STOP_FULL) {
        stop = gather_line(g, p + *used, n - *used, used);
    }
    return stop;
}

/* Applies what was gathered, its cache misses overlapping. */
static void run(struct rep_legacy *l, const struct gather *g)
{
    for (unsigned i = 0; i < g->n; i++) {
        if (g->list[i].msg.key != NULL) {
            store_prefetch_bucket(g->list[i].key.hv);
        }
    }
    for (unsigned i = 0; i < g->n; i++) {
        if (g->list[i].msg.key != NULL) {
            store_prefetch_item(g->list[i].key.hv);
        }
    }
    for (unsigned i = 0; i < g->n; i++) {
        apply_change(l, &g->list[i]);
    }
}

static enum rep_legacy_status feed(struct rep_legacy *l, const char *p,
                                   size_t n, size_t *used, struct wire_msg *msg)
{
    struct gather g;

    for (;;) {
        enum stop stop;

        if (l->data != DATA_NONE) {
            if (!take_data(l, p + *used, n - *used, used)) {
                return REP_LEGACY_BAD;
            }
            if (l->data != DATA_NONE) {
                return REP_LEGACY_MORE;
            }
        }
        stop = gather(&g, p, n, used);
        run(l, &g);
        switch (stop) {
        case STOP_FULL:
            break;
        case STOP_MORE:
            return REP_LEGACY_MORE;
        case STOP_BAD:
            return REP_LEGACY_BAD;
        case STOP_CONTROL:
            *msg = g.msg;
            return REP_LEGACY_CONTROL;
        case STOP_DATA:
            begin_data(l, &g.msg);
            break;
        }
    }
}

enum rep_legacy_status rep_legacy_feed(struct rep_legacy *l, const char *p,
                                       size_t n, size_t *used,
                                       struct wire_msg *msg)
{
    enum rep_legacy_status status;

    *used = 0;
    status = feed(l, p, n, used, msg);
    l->stats.bytes += *used;
    return status;
}
