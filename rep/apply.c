#include "rep/apply.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/version.h"

enum {
    GATHER = 16,        /* changes looked up ahead together */
    SENT_PLACES = 16384 /* keys remembered as sent to a legacy peer */
};

/* Where the data of a line goes when it does not lie whole in the buffer. */
enum data_state { DATA_NONE, DATA_FILL, DATA_SKIP };

struct sent {
    uint64_t hv;
    uint64_t ms;
};

struct rep_apply {
    struct rep_apply_config config;
    bool copying; /* LEGACY: the peer's first copy is still arriving */

    enum data_state data;
    struct item *it;     /* FILL: reserved, ours */
    size_t filled;       /* FILL: bytes of value in it */
    uint64_t left;       /* bytes still to come, CR LF included */
    struct wire_msg big; /* FILL: its line; key points to big_key */
    char big_key[KEY_MAX_LENGTH];

    uint64_t scan_sent_ms;         /* LEGACY: when a scan sent something last */
    struct sent sent[SENT_PLACES]; /* LEGACY */
    struct rep_apply_stats stats;
};

/* A change whose bytes are all there. */
struct change {
    struct wire_msg msg;
    const char *data;
    struct store_key key;
};

static uint32_t source_of(const struct rep_apply *ap)
{
    return (uint32_t)ap->config.reader + 1;
}

static bool is_legacy(const struct rep_apply *ap)
{
    return ap->config.dialect == WIRE_LEGACY;
}

struct rep_apply *rep_apply_new(const struct rep_apply_config *config)
{
    struct rep_apply *ap = calloc(1, sizeof(*ap));

    if (ap != NULL) {
        ap->config = *config;
        ap->copying = is_legacy(ap);
    }
    return ap;
}

void rep_apply_free(struct rep_apply *ap)
{
    if (ap != NULL && ap->it != NULL) {
        store_cancel(ap->it);
    }
    free(ap);
}

void rep_apply_copied(struct rep_apply *ap)
{
    ap->copying = false;
}

void rep_apply_stats(const struct rep_apply *ap, struct rep_apply_stats *out)
{
    *out = ap->stats;
}

/* ---- the lines of -vv --------------------------------------------------- */

static void print_line(const struct rep_apply *ap, const struct wire_msg *msg)
{
    log_print(2, "<%d %.*s\n", ap->config.fd, (int)msg->line_len, msg->line);
}

/* What a client would have been answered; nothing is on this link. */
static void print_answer(const struct rep_apply *ap, const char *answer)
{
    log_print(2, "REP>%d %s\n", ap->config.fd, answer);
}

static void print_stored(const struct rep_apply *ap, enum store_applied applied)
{
    switch (applied) {
    case STORE_APPLIED:
    case STORE_APPLIED_SAME:
        print_answer(ap, "STORED");
        break;
    case STORE_STALE:
        print_answer(ap, "NOT_STORED");
        break;
    case STORE_UNSTORABLE:
        print_answer(ap, "SERVER_ERROR out of memory storing object");
        break;
    }
}

/* ---- conflicts with a legacy peer --------------------------------------- */

void rep_apply_note_sent(struct rep_apply *ap,
                         const struct rep_log_batch *batch, unsigned from,
                         unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        const struct rep_log_entry *e = &batch->entry[i];

        if (e->key != NULL) {
            ap->sent[e->hv % SENT_PLACES] = (struct sent){e->hv, clock_ms()};
        }
    }
}

void rep_apply_note_scan(struct rep_apply *ap)
{
    ap->scan_sent_ms = clock_ms();
}

static bool is_recent(uint64_t ms)
{
    return ms != 0 && ms + REP_APPLY_RECENT_MS > clock_ms();
}

/* Its change and ours may have crossed: then it holds ours now, and we hold
 * its. Sending back what we hold makes both the same. */
static void settle_conflict(struct rep_apply *ap, const struct store_key *key)
{
    const struct sent *sent = &ap->sent[key->hv % SENT_PLACES];

    if (!ap->copying && (is_recent(ap->scan_sent_ms) ||
                         (sent->hv == key->hv && is_recent(sent->ms)))) {
        rep_log_resend(ap->config.log, ap->config.reader, key, version_last());
    }
}

/* ---- values ------------------------------------------------------------- */

static uint32_t shifted(const struct rep_apply *ap, uint32_t exptime)
{
    int64_t at = (int64_t)exptime + ap->config.expiry_shift;

    if (exptime == 0) {
        return 0; /* never */
    }
    if (at < 1) {
        return 1;
    }
    return at > UINT32_MAX ? UINT32_MAX : (uint32_t)at;
}

static struct store_incoming incoming(const struct rep_apply *ap,
                                      const struct wire_msg *msg)
{
    struct store_incoming in = {
        .attrs = {msg->flags, shifted(ap, msg->exptime)},
        .source = source_of(ap),
        .local = is_legacy(ap),
    };

    if (is_legacy(ap)) {
        in.version = msg->cas; /* tells the store our own come back */
    } else {
        in.version = msg->version;
        in.cas = msg->cas != msg->version ? msg->cas : 0;
    }
    return in;
}

/* What the store said; a state older than ours makes ours go back. */
static void judge(struct rep_apply *ap, enum store_applied applied,
                  const struct store_key *key, uint64_t version)
{
    switch (applied) {
    case STORE_APPLIED:
    case STORE_APPLIED_SAME:
        break;
    case STORE_STALE:
        ap->stats.stale++;
        if (!is_legacy(ap)) {
            rep_log_resend(ap->config.log, ap->config.reader, key, version);
        }
        break;
    case STORE_UNSTORABLE:
        ap->stats.unstorable++;
        break;
    }
    if (is_legacy(ap)) {
        settle_conflict(ap, key);
    }
}

/* Nothing older than the peer's change; a legacy peer's is now. */
static enum store_applied
apply_floor(struct rep_apply *ap, const struct store_key *key, uint64_t version)
{
    enum store_applied applied;

    if (is_legacy(ap)) {
        version = version_next();
    }
    applied = store_apply_floor(key, version, source_of(ap));
    judge(ap, applied, key, version);
    return applied;
}

/* LEGACY, nothing held: whether its copy may bring the key. */
static bool copy_may_add(const struct rep_apply *ap,
                         const struct store_key *key)
{
    uint64_t since = ap->config.unlinked_since;
    uint64_t floor =
        rep_floor_get(ap->config.floors, hash_key_agreed(key->ptr, key->len));

    /* A node that was never linked flushed nothing of the peer's. */
    return floor <= since && (since == 0 || store_barrier() <= since);
}

/* LEGACY: whether its first copy meets a change made here while unlinked. */
static bool copy_is_older(const struct rep_apply *ap,
                          const struct store_key *key)
{
    struct item *it;
    bool ours_newer;

    if (!ap->copying) {
        return false;
    }
    it = store_hold(key, NULL);
    if (it == NULL) {
        return !copy_may_add(ap, key);
    }
    ours_newer = it->version > ap->config.unlinked_since;
    store_release(it);
    return ours_newer;
}

static void apply_item(struct rep_apply *ap, const struct change *c)
{
    struct store_incoming in = incoming(ap, &c->msg);

    enum store_applied applied = STORE_STALE;

    ap->stats.items++;
    if (copy_is_older(ap, &c->key)) {
        ap->stats.stale++;
    } else {
        applied = store_apply(&c->key, &in, c->data, c->msg.nbytes);
        judge(ap, applied, &c->key, in.version);
    }
    print_stored(ap, applied);
}

/* ---- values that arrive in pieces --------------------------------------- */

static struct store_key big_key(const struct rep_apply *ap)
{
    return store_key(ap->big.key, ap->big.nkey);
}

/* It cannot be stored: nothing older may be served here either. */
static void refuse_big(struct rep_apply *ap)
{
    struct store_key key = big_key(ap);

    ap->stats.unstorable++;
    (void)apply_floor(ap, &key, ap->big.version);
    print_stored(ap, STORE_UNSTORABLE);
    ap->data = DATA_SKIP;
}

static void begin_data(struct rep_apply *ap, const struct wire_msg *msg)
{
    struct store_incoming in = incoming(ap, msg);
    struct store_key key;

    ap->left = (uint64_t)msg->nbytes + 2;
    ap->filled = 0;
    ap->data = DATA_SKIP;
    print_line(ap, msg);
    if (msg->op != WIRE_REP) {
        ap->stats.skipped++;
        return;
    }
    ap->big = *msg;
    memcpy(ap->big_key, msg->key, msg->nkey);
    ap->big.key = ap->big_key;
    ap->data = DATA_FILL;
    key = big_key(ap);
    if (store_reserve(&key, &in.attrs, STORE_ADD, msg->nbytes, &ap->it) !=
        STORE_OK) {
        ap->it = NULL;
        refuse_big(ap);
    }
}

/* All bytes are there. */
static void finish_big(struct rep_apply *ap)
{
    struct store_key key = big_key(ap);
    struct store_incoming in = incoming(ap, &ap->big);
    struct item *it = ap->it;
    enum store_applied applied = STORE_STALE;

    ap->stats.items++;
    ap->it = NULL;
    if (copy_is_older(ap, &key)) {
        ap->stats.stale++;
        store_cancel(it);
    } else {
        applied = store_apply_item(it, &key, &in);
        judge(ap, applied, &key, in.version);
    }
    print_stored(ap, applied);
}

/* Copies value bytes into the item; returns how many it took. */
static size_t fill_value(struct rep_apply *ap, const char *p, size_t n)
{
    size_t taken = 0;

    while (taken < n && ap->filled < ap->big.nbytes) {
        struct iovec room = store_room(ap->it, ap->filled);
        size_t want = ap->big.nbytes - ap->filled;
        size_t part;

        if (room.iov_len == 0) {
            store_cancel(ap->it);
            ap->it = NULL;
            refuse_big(ap);
            break;
        }
        want = want < n - taken ? want : n - taken;
        part = room.iov_len < want ? room.iov_len : want;
        memcpy(room.iov_base, p + taken, part);
        ap->filled += part;
        taken += part;
    }
    ap->left -= taken;
    return taken;
}

/* Takes bytes of the data under way; false when its end is not CR LF. */
static bool take_data(struct rep_apply *ap, const char *p, size_t n,
                      size_t *used)
{
    size_t at = ap->data == DATA_FILL ? fill_value(ap, p, n) : 0;

    if (ap->data == DATA_SKIP) {
        uint64_t rest = ap->left > 2 ? ap->left - 2 : 0;
        size_t part = rest < n - at ? (size_t)rest : n - at;

        at += part;
        ap->left -= part;
    }
    while (ap->left <= 2 && ap->left > 0 && at < n) {
        if (p[at] != (ap->left == 2 ? '\r' : '\n')) {
            return false;
        }
        at++;
        ap->left--;
    }
    if (ap->left == 0) {
        if (ap->data == DATA_FILL) {
            finish_big(ap);
        }
        ap->data = DATA_NONE;
    }
    *used += at;
    return true;
}

/* ---- flushes and floors ------------------------------------------------- */

static void apply_flush(struct rep_apply *ap, const struct wire_msg *msg)
{
    uint64_t version = is_legacy(ap) ? version_next() : msg->version;

    ap->stats.flushes++;
    if (msg->op == WIRE_FLUSH) {
        (void)store_apply_barrier(version, source_of(ap));
    } else {
        /* Not shifted: the barrier it leads to has to be the same here. */
        store_apply_flush_at(version, msg->exptime, source_of(ap));
    }
}

/* A floor of which only the hash is known. The store's index cannot look that
 * up, so a sweep finds what it removes. */
static void apply_hash_floor(struct rep_apply *ap, const struct wire_msg *msg)
{
    ap->stats.floors++;
    version_observe(msg->version);
    if (rep_floor_raise(ap->config.floors, msg->hash, msg->version)) {
        rep_sweep_ask(ap->config.sweep, msg->version);
    }
}

/* ---- feeding ------------------------------------------------------------ */

static void apply_delete(struct rep_apply *ap, const struct change *c)
{
    ap->stats.deletes++;
    print_answer(ap, apply_floor(ap, &c->key, c->msg.version) == STORE_APPLIED
                         ? "DELETED"
                         : "NOT_FOUND");
}

static void apply_change(struct rep_apply *ap, const struct change *c)
{
    print_line(ap, &c->msg);
    switch ((enum wire_op)c->msg.op) {
    case WIRE_REP:
        apply_item(ap, c);
        break;
    case WIRE_DELETE:
        apply_delete(ap, c);
        break;
    case WIRE_FLOOR:
        apply_hash_floor(ap, &c->msg);
        break;
    case WIRE_FLUSH:
    case WIRE_FLUSH_AT:
        apply_flush(ap, &c->msg);
        print_answer(ap, "OK");
        break;
    case WIRE_UNKNOWN:
        ap->stats.skipped++;
        break;
    case WIRE_HELLO:
    case WIRE_END:
    case WIRE_POSITION:
    case WIRE_ACK:
    case WIRE_PING:
    case WIRE_PONG:
        break; /* the caller's */
    }
}

static bool is_control(const struct wire_msg *msg)
{
    switch ((enum wire_op)msg->op) {
    case WIRE_HELLO:
    case WIRE_END:
    case WIRE_POSITION:
    case WIRE_ACK:
    case WIRE_PING:
    case WIRE_PONG:
        return true;
    case WIRE_UNKNOWN:
    case WIRE_REP:
    case WIRE_DELETE:
    case WIRE_FLOOR:
    case WIRE_FLUSH:
    case WIRE_FLUSH_AT:
        break;
    }
    return false;
}

/* A version far ahead would drag our clock along for good. */
static bool is_sane(const struct wire_msg *msg)
{
    return msg->version == 0 ||
           version_ms(msg->version) <= clock_ms() + REP_APPLY_AHEAD_MS;
}

/* Why gathering stopped. */
enum stop { STOP_FULL, STOP_MORE, STOP_CONTROL, STOP_DATA, STOP_BAD };

struct gather {
    struct change list[GATHER];
    unsigned n;
    struct wire_msg msg; /* with CONTROL and DATA */
};

/* Takes one line in, with its data when that is small. */
static enum stop gather_line(const struct rep_apply *ap, struct gather *g,
                             const char *p, size_t n, size_t *used)
{
    struct change *c = &g->list[g->n];
    size_t len = 0;

    switch (wire_parse(ap->config.dialect, p, n, &c->msg, &len)) {
    case WIRE_OK:
        break;
    case WIRE_MORE:
        return STOP_MORE;
    case WIRE_BAD:
        return STOP_BAD;
    }
    if (!is_sane(&c->msg)) {
        return STOP_BAD;
    }
    if (is_control(&c->msg) || (c->msg.has_data && c->msg.op != WIRE_REP) ||
        c->msg.nbytes > REP_APPLY_WHOLE_MAX) {
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

static enum stop gather(const struct rep_apply *ap, struct gather *g,
                        const char *p, size_t n, size_t *used)
{
    enum stop stop = STOP_FULL;

    g->n = 0;
    while (g->n < GATHER && stop == STOP_FULL) {
        stop = gather_line(ap, g, p + *used, n - *used, used);
    }
    return stop;
}

/* Applies what was gathered, its cache misses overlapping. */
static void run(struct rep_apply *ap, const struct gather *g)
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
        apply_change(ap, &g->list[i]);
    }
}

static enum rep_apply_status feed(struct rep_apply *ap, const char *p, size_t n,
                                  size_t *used, struct wire_msg *msg)
{
    struct gather g;

    for (;;) {
        enum stop stop;

        if (ap->data != DATA_NONE) {
            if (!take_data(ap, p + *used, n - *used, used)) {
                return REP_APPLY_BAD;
            }
            if (ap->data != DATA_NONE) {
                return REP_APPLY_MORE;
            }
        }
        stop = gather(ap, &g, p, n, used);
        run(ap, &g);
        switch (stop) {
        case STOP_FULL:
            break;
        case STOP_MORE:
            return REP_APPLY_MORE;
        case STOP_BAD:
            return REP_APPLY_BAD;
        case STOP_CONTROL:
            *msg = g.msg;
            return REP_APPLY_CONTROL;
        case STOP_DATA:
            begin_data(ap, &g.msg);
            break;
        }
    }
}

enum rep_apply_status rep_apply_feed(struct rep_apply *ap, const char *p,
                                     size_t n, size_t *used,
                                     struct wire_msg *msg)
{
    enum rep_apply_status status;

    *used = 0;
    status = feed(ap, p, n, used, msg);
    ap->stats.bytes += *used;
    return status;
}
