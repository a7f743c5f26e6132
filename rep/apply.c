#include "rep/apply.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/version.h"

enum { GATHER = 16 }; /* messages looked up ahead together */

/* The value that travels in parts; one at a time, as rep/frame sees to. */
struct big {
    struct frame_msg msg; /* its ITEM_BEGIN; the key points to `key` */
    char key[KEY_MAX_LENGTH];
    struct item *it; /* reserved, ours; NULL: refused, or none under way */
    size_t filled;   /* bytes of the value that have come */
};

struct rep_apply {
    struct rep_apply_config config;
    struct rep_apply_calls calls;
    int32_t shift;
    bool verbose;     /* for this body: the lines of -vv are wanted */
    uint64_t unacked; /* see unacked_now */
    struct frame_stream stream;
    struct big big;
    struct rep_apply_stats stats;
};

struct change {
    struct frame_msg msg;
    struct store_key key; /* when it has one */
};

struct rep_apply *rep_apply_new(const struct rep_apply_config *config,
                                const struct rep_apply_calls *calls)
{
    struct rep_apply *ap = calloc(1, sizeof(*ap));

    if (ap != NULL) {
        ap->config = *config;
        ap->calls = *calls;
    }
    return ap;
}

static void drop_big(struct rep_apply *ap)
{
    if (ap->big.it != NULL) {
        store_cancel(ap->big.it);
        ap->big.it = NULL;
    }
}

void rep_apply_free(struct rep_apply *ap)
{
    if (ap != NULL) {
        drop_big(ap);
    }
    free(ap);
}

void rep_apply_shift(struct rep_apply *ap, int32_t seconds)
{
    ap->shift = seconds;
}

void rep_apply_stats(const struct rep_apply *ap, struct rep_apply_stats *out)
{
    *out = ap->stats;
}

/* ---- the lines of -vv --------------------------------------------------- */

/* Keys given in base64 may hold anything: no line breaks in our lines. */
static const char *printable(const struct frame_msg *msg)
{
    static _Thread_local char key[KEY_MAX_LENGTH + 1];

    assert(msg->key != NULL);
    for (unsigned i = 0; i < msg->nkey; i++) {
        unsigned char c = (unsigned char)msg->key[i];

        key[i] = c <= ' ' || c == 0x7f ? '?' : (char)c;
    }
    key[msg->nkey] = '\0';
    return key;
}

#define U(v) ((unsigned long long)(v))

static void print_item(int fd, const struct frame_msg *msg)
{
    if ((msg->bits & FRAME_HAS_CAS) != 0) {
        log_print(2, "<%d rep %s %u %u %u %llu %llu\n", fd, printable(msg),
                  msg->flags, msg->exptime, msg->nbytes, U(msg->version),
                  U(msg->cas));
    } else {
        log_print(2, "<%d rep %s %u %u %u %llu\n", fd, printable(msg),
                  msg->flags, msg->exptime, msg->nbytes, U(msg->version));
    }
}

/* As repcached printed the line of each change that it received. */
static void print_state(int fd, const struct frame_msg *msg)
{
    switch (msg->type) {
    case FRAME_ITEM:
    case FRAME_ITEM_BEGIN:
        print_item(fd, msg);
        break;
    case FRAME_DELETE:
        log_print(2, "<%d delete %s %llu\n", fd, printable(msg),
                  U(msg->version));
        break;
    case FRAME_FLOOR:
        log_print(2, "<%d floor %016llx %llu\n", fd, U(msg->hash),
                  U(msg->version));
        break;
    case FRAME_TOUCH:
        log_print(2, "<%d touch %s %u %llu\n", fd, printable(msg), msg->exptime,
                  U(msg->version));
        break;
    case FRAME_BARRIER:
        log_print(2, "<%d flush_all 0 %llu\n", fd, U(msg->version));
        break;
    case FRAME_FLUSH_AT:
        log_print(2, "<%d flush_all %llu %llu\n", fd, U(msg->at_ms / 1000),
                  U(msg->version));
        break;
    case FRAME_OFFER:
        log_print(2, "<%d offer %s %llu\n", fd, printable(msg),
                  U(msg->version));
        break;
    case FRAME_GONE:
        log_print(2, "<%d gone %s %llu\n", fd, printable(msg), U(msg->version));
        break;
    default: /* no state */
        break;
    }
}

/* What a client would have been answered; nothing is on this link. */
static void print_answer(const struct rep_apply *ap, const char *answer)
{
    if (ap->verbose) {
        log_print(2, "REP>%d %s\n", ap->config.fd, answer);
    }
}

static void print_stored(const struct rep_apply *ap, enum store_applied applied)
{
    switch (applied) {
    case STORE_APPLIED:
    case STORE_APPLIED_OVER:
    case STORE_APPLIED_SAME:
        print_answer(ap, "STORED");
        break;
    case STORE_STALE:
    case STORE_MISSED:
    case STORE_WANTED:
        print_answer(ap, "NOT_STORED");
        break;
    case STORE_UNSTORABLE:
        print_answer(ap, "SERVER_ERROR out of memory storing object");
        break;
    }
}

/* ---- what the store is told --------------------------------------------- */

static uint32_t shifted(const struct rep_apply *ap, uint32_t exptime)
{
    int64_t at = (int64_t)exptime + ap->shift;

    if (exptime == 0) {
        return 0; /* never */
    }
    if (at < 1) {
        return 1;
    }
    return at > UINT32_MAX ? UINT32_MAX : (uint32_t)at;
}

static uint8_t next_hops(const struct frame_msg *msg)
{
    return msg->hops < UINT8_MAX ? (uint8_t)(msg->hops + 1) : UINT8_MAX;
}

/* Where a change came from, for rep/log: the peer, and the nodes it passed. */
static uint32_t source_of(const struct rep_apply *ap,
                          const struct frame_msg *msg)
{
    return rep_log_source(ap->config.reader, next_hops(msg));
}

static uint16_t bits_of(const struct frame_msg *msg)
{
    unsigned bits = 0;

    bits |= (msg->bits & FRAME_B64KEY) != 0 ? ITEM_B64KEY : 0U;
    bits |= (msg->bits & FRAME_STALE) != 0 ? ITEM_STALE : 0U;
    bits |= (msg->bits & FRAME_TOKEN_SENT) != 0 ? ITEM_TOKEN_SENT : 0U;
    bits |= (msg->bits & FRAME_TOUCHED) != 0 ? ITEM_TOUCHED : 0U;
    return (uint16_t)bits;
}

/* Whether something newer may have been removed here that the peer was never
 * told of, and of which no floor tells any more. */
static bool was_missed(void *ctx, const struct store_key *key, uint64_t version)
{
    const struct rep_apply *ap = ctx;
    uint64_t hash = hash_key_agreed(key->ptr, key->len);
    unsigned cell = rep_floor_cell(ap->config.floors, hash);

    return version <=
           rep_floor_missed(ap->config.floors, ap->config.reader, cell);
}

/* Of ITEM, BEGIN, TOUCH, OFFER: the fields that a message has not are 0. */
static struct store_incoming incoming(struct rep_apply *ap,
                                      const struct frame_msg *msg)
{
    return (struct store_incoming){
        .attrs = {msg->flags, shifted(ap, msg->exptime)},
        .version = msg->version,
        .cas = msg->cas != msg->version ? msg->cas : 0,
        .source = source_of(ap, msg),
        .bits = bits_of(msg),
        .unacked = ap->unacked,
        .missed = was_missed,
        .missed_ctx = ap,
    };
}

static enum rep_apply_status answered(bool ok)
{
    return ok ? REP_APPLY_OK : REP_APPLY_BAD;
}

/* The peer has `version`, and lacks what is here: it goes back, and counts as
 * one more hop, so that nodes that evict each other's items come to rest.
 * Should that be gone by then, without a floor, it was newer all the same. */
static void resend(const struct rep_apply *ap, const struct store_key *key,
                   uint64_t version, uint8_t hops)
{
    rep_log_resend(ap->config.log, ap->config.reader, key, version + 1, hops);
}

/* What follows from what the store said. */
static enum rep_apply_status settle(struct rep_apply *ap,
                                    enum store_applied applied,
                                    const struct store_key *key,
                                    const struct frame_msg *msg)
{
    switch (applied) {
    case STORE_APPLIED:
    case STORE_APPLIED_SAME:
        break;
    case STORE_APPLIED_OVER:
        ap->stats.lost++;
        break;
    case STORE_STALE:
        ap->stats.stale++;
        resend(ap, key, msg->version, next_hops(msg));
        break;
    case STORE_UNSTORABLE:
        ap->stats.unstorable++;
        break;
    case STORE_MISSED:
        return answered(ap->calls.gone(ap->calls.ctx, key->ptr,
                                       (uint8_t)key->len, msg->version));
    case STORE_WANTED:
        return answered(ap->calls.want(ap->calls.ctx, key->ptr,
                                       (uint8_t)key->len, msg->version,
                                       msg->hops));
    }
    return REP_APPLY_OK;
}

/* ---- values that arrive in parts ---------------------------------------- */

static struct store_key big_key(const struct rep_apply *ap)
{
    return store_key(ap->big.msg.key, ap->big.msg.nkey);
}

/* It cannot be stored: nothing older may be served here either. */
static enum rep_apply_status refuse_big(struct rep_apply *ap)
{
    struct store_key key = big_key(ap);
    uint64_t version = ap->big.msg.version;

    drop_big(ap);
    ap->stats.unstorable++;
    print_stored(ap, STORE_UNSTORABLE);
    return settle(ap,
                  store_apply_floor(&key, version, source_of(ap, &ap->big.msg)),
                  &key, &ap->big.msg);
}

static enum rep_apply_status begin_big(struct rep_apply *ap,
                                       const struct change *c)
{
    struct store_incoming in = incoming(ap, &c->msg);
    struct big *big = &ap->big;

    assert(c->msg.key != NULL);
    big->msg = c->msg;
    memcpy(big->key, c->msg.key, c->msg.nkey);
    big->msg.key = big->key;
    big->filled = 0;
    if (store_apply_reserve(&c->key, &in, c->msg.nbytes, &big->it) !=
        STORE_OK) {
        return refuse_big(ap);
    }
    return REP_APPLY_OK;
}

/* False: memory ran out. */
static bool fill_big(struct big *big, const uint8_t *p, size_t n)
{
    size_t filled = big->filled;

    while (n > 0) {
        struct iovec room = store_room(big->it, filled);
        size_t part = room.iov_len < n ? room.iov_len : n;

        if (part == 0) {
            return false;
        }
        memcpy(room.iov_base, p, part);
        filled += part;
        p += part;
        n -= part;
    }
    return true;
}

/* An item was taken, or not. */
static enum rep_apply_status settle_item(struct rep_apply *ap,
                                         enum store_applied applied,
                                         const struct store_key *key,
                                         const struct frame_msg *msg)
{
    if (applied == STORE_APPLIED || applied == STORE_APPLIED_OVER) {
        rep_hints_arrived(ap->config.hints, key);
    }
    ap->stats.items++;
    print_stored(ap, applied);
    return settle(ap, applied, key, msg);
}

/* All bytes are there. */
static enum rep_apply_status finish_big(struct rep_apply *ap)
{
    struct store_key key = big_key(ap);
    struct store_incoming in = incoming(ap, &ap->big.msg);
    struct item *it = ap->big.it;
    enum store_applied applied;

    ap->big.it = NULL;
    applied = store_apply_item(it, &key, &in);
    return settle_item(ap, applied, &key, &ap->big.msg);
}

/* The parts of a value that was refused are swallowed. */
static enum rep_apply_status take_part(struct rep_apply *ap,
                                       const struct frame_msg *msg)
{
    struct big *big = &ap->big;

    if (big->it == NULL) {
        return REP_APPLY_OK;
    }
    if (!fill_big(big, msg->bytes, msg->nbytes)) {
        return refuse_big(ap);
    }
    big->filled += msg->nbytes;
    return big->filled == big->msg.nbytes ? finish_big(ap) : REP_APPLY_OK;
}

/* ---- control ------------------------------------------------------------ */

/* Our versions from this one on are unknown to the peer; 0: it cannot be told.
 * Low marks may lag behind, except where it matters most: in times when there
 * are few changes. */
static uint64_t unacked_now(const struct rep_apply *ap)
{
    struct rep_log *log = ap->config.log;
    int reader = ap->config.reader;
    uint64_t last = version_last(); /* before the head, which holds it then */

    return rep_log_acked(log, reader) == rep_log_head(log)
               ? last + 1
               : rep_log_low(log, reader);
}

static enum rep_apply_status control(struct rep_apply *ap,
                                     const struct frame_msg *msg)
{
    if (!ap->calls.control(ap->calls.ctx, msg)) {
        return REP_APPLY_STOPPED;
    }
    if (msg->type == FRAME_ACK) {
        ap->unacked = unacked_now(ap);
    }
    return REP_APPLY_OK;
}

/* ---- states ------------------------------------------------------------- */

static enum rep_apply_status apply_item(struct rep_apply *ap,
                                        const struct change *c)
{
    struct store_incoming in = incoming(ap, &c->msg);
    enum store_applied applied =
        store_apply(&c->key, &in, c->msg.bytes, c->msg.nbytes);

    return settle_item(ap, applied, &c->key, &c->msg);
}

static enum rep_apply_status apply_delete(struct rep_apply *ap,
                                          const struct change *c)
{
    enum store_applied applied =
        store_apply_floor(&c->key, c->msg.version, source_of(ap, &c->msg));

    ap->stats.deletes++;
    print_answer(ap, applied == STORE_APPLIED ? "DELETED" : "NOT_FOUND");
    return settle(ap, applied, &c->key, &c->msg);
}

/* What we offered was removed there; others that hold it have to hear it from
 * us. Should ours be newer by now, it is on its way. */
static enum rep_apply_status apply_gone(struct rep_apply *ap,
                                        const struct change *c)
{
    enum store_applied applied =
        store_apply_floor(&c->key, c->msg.version + 1, 0);

    ap->stats.gone++;
    print_answer(ap, applied == STORE_APPLIED ? "DELETED" : "NOT_FOUND");
    return REP_APPLY_OK;
}

static enum rep_apply_status apply_touch(struct rep_apply *ap,
                                         const struct change *c)
{
    struct store_incoming in = incoming(ap, &c->msg);
    enum store_applied applied = store_apply_touch(&c->key, &in);

    ap->stats.touches++;
    print_answer(ap, applied == STORE_APPLIED ? "TOUCHED" : "NOT_FOUND");
    return applied == STORE_STALE ? REP_APPLY_OK
                                  : settle(ap, applied, &c->key, &c->msg);
}

static enum rep_apply_status apply_offer(struct rep_apply *ap,
                                         const struct change *c)
{
    struct store_incoming in = incoming(ap, &c->msg);
    enum store_applied applied = store_weigh(&c->key, &in);

    ap->stats.offers++;
    if (applied != STORE_STALE) {
        return settle(ap, applied, &c->key, &c->msg);
    }
    /* Who offers what we may have forgotten may not have ours, either. */
    if (was_missed(ap, &c->key, in.version)) {
        resend(ap, &c->key, in.version, next_hops(&c->msg));
    }
    return REP_APPLY_OK;
}

/* A floor of which only the hash is known. The store's index cannot look that
 * up, so a sweep finds what it removes; asked first, since what the table knows
 * is taken for done. Nodes beyond this one may hold what this one does not. */
static enum rep_apply_status apply_hash_floor(struct rep_apply *ap,
                                              const struct frame_msg *msg)
{
    ap->stats.floors++;
    if (rep_floor_get(ap->config.floors, msg->hash) >= msg->version) {
        return REP_APPLY_OK;
    }
    if (!rep_sweep_ask(ap->config.sweep, msg->hash, msg->version)) {
        return REP_APPLY_MEMORY;
    }
    (void)rep_log_raise_floor(ap->config.log, ap->config.reader, msg->hash,
                              msg->version, next_hops(msg));
    return REP_APPLY_OK;
}

static void apply_flush(struct rep_apply *ap, const struct frame_msg *msg)
{
    uint32_t source = source_of(ap, msg);

    ap->stats.flushes++;
    if (msg->type == FRAME_BARRIER) {
        (void)store_apply_barrier(msg->version, source);
    } else {
        /* Not shifted: the barrier it leads to has to be the same here. */
        store_apply_flush_at(msg->version, (uint32_t)(msg->at_ms / 1000),
                             source);
    }
    print_answer(ap, "OK");
}

static enum rep_apply_status apply(struct rep_apply *ap, const struct change *c)
{
    const struct frame_msg *msg = &c->msg;

    if (ap->verbose) {
        print_state(ap->config.fd, msg);
    }
    switch (msg->type) {
    case FRAME_ITEM:
        return apply_item(ap, c);
    case FRAME_ITEM_BEGIN:
        return begin_big(ap, c);
    case FRAME_ITEM_PART:
        return take_part(ap, msg);
    case FRAME_ITEM_CANCEL:
        drop_big(ap);
        return REP_APPLY_OK;
    case FRAME_DELETE:
        return apply_delete(ap, c);
    case FRAME_FLOOR:
        return apply_hash_floor(ap, msg);
    case FRAME_TOUCH:
        return apply_touch(ap, c);
    case FRAME_BARRIER:
    case FRAME_FLUSH_AT:
        apply_flush(ap, msg);
        return REP_APPLY_OK;
    case FRAME_OFFER:
        return apply_offer(ap, c);
    case FRAME_GONE:
        return apply_gone(ap, c);
    default:
        return control(ap, msg);
    }
}

/* ---- bodies ------------------------------------------------------------- */

struct gather {
    struct change list[GATHER];
    unsigned n;
    bool end;        /* of the body */
    uint64_t newest; /* version among them */
};

/* The second of a flush has 32 bits in the store. */
static bool is_second(const struct frame_msg *msg)
{
    return msg->type != FRAME_FLUSH_AT ||
           (msg->at_ms >= 1000 && msg->at_ms / 1000 <= UINT32_MAX);
}

static void prefetch_floor(const struct rep_apply *ap,
                           const struct store_key *key)
{
    if (rep_floor_any(ap->config.floors)) {
        rep_floor_prefetch(ap->config.floors,
                           hash_key_agreed(key->ptr, key->len));
    }
}

/* Reads the next messages. What came before one that is refused is gathered. */
static enum rep_apply_status gather(struct rep_apply *ap, struct rd *body,
                                    uint64_t limit, struct gather *g)
{
    g->n = 0;
    g->newest = 0;
    while (g->n < GATHER) {
        struct change *c = &g->list[g->n];
        enum frame_status status = frame_next(body, &ap->stream, &c->msg);

        if (status == FRAME_END) {
            g->end = true;
            return REP_APPLY_OK;
        }
        if (status != FRAME_OK || !is_second(&c->msg)) {
            return REP_APPLY_BAD;
        }
        if (c->msg.version >= limit) {
            return REP_APPLY_CLOCK;
        }
        g->newest = c->msg.version > g->newest ? c->msg.version : g->newest;
        if (c->msg.key != NULL) {
            c->key = store_key(c->msg.key, c->msg.nkey);
            store_prefetch_stripe(c->key.hv);
            prefetch_floor(ap, &c->key);
        }
        g->n++;
    }
    return REP_APPLY_OK;
}

/* Applies what was gathered, its cache misses overlapping. */
static enum rep_apply_status run(struct rep_apply *ap, const struct gather *g)
{
    enum rep_apply_status status = REP_APPLY_OK;

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
    version_observe(g->newest);
    for (unsigned i = 0; i < g->n && status == REP_APPLY_OK; i++) {
        status = apply(ap, &g->list[i]);
    }
    return status;
}

/* What is to follow a body that was applied. */
static enum rep_apply_status applied(const struct rep_apply *ap,
                                     uint64_t floors)
{
    return ap->stats.floors > floors && rep_sweep_is_full(ap->config.sweep)
               ? REP_APPLY_FULL
               : REP_APPLY_OK;
}

enum rep_apply_status rep_apply_body(struct rep_apply *ap, struct rd *body)
{
    uint64_t limit = version_at_ms(clock_ms() + REP_APPLY_AHEAD_MS + 1);
    uint64_t floors = ap->stats.floors;
    enum rep_apply_status status, gathered;
    struct gather g = {.end = false};

    ap->verbose = log_wanted(2);
    ap->unacked = unacked_now(ap);
    ap->stats.bytes += (uint64_t)(body->end - body->p);
    do {
        gathered = gather(ap, body, limit, &g);
        status = run(ap, &g);
    } while (status == REP_APPLY_OK && gathered == REP_APPLY_OK && !g.end);
    if (status != REP_APPLY_OK || gathered != REP_APPLY_OK) {
        return status != REP_APPLY_OK ? status : gathered;
    }
    return applied(ap, floors);
}
