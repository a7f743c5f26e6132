#include "rep/scan.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"

enum {
    WALK_ITEMS = 4096, /* items looked at by one step */
    FLOOR_LINE = 48,   /* "floor", 16 digits, 20 digits, CR LF */
    FLOORS = 64,       /* floors taken at a time */
    FLOOR_ROUNDS = 64, /* times of that by one step */
    /* repcached 2.x resets the link at an item over 1 MiB; its header, the
     * text of the flags and the line ends count, too. */
    LEGACY_ITEM_MAX = 1024 * 1024 - 256,
    /* What -I counts for an item beside key, value and flags. */
    ITEM_OVERHEAD = 59,
    /* Entries of a batch that are looked up ahead. */
    AHEAD_STRIPE = 12,
    AHEAD_BUCKET = 8,
    AHEAD_ITEM = 4
};

enum { PHASE_FLUSH, PHASE_ITEMS, PHASE_FLOORS, PHASE_DONE };

/* ---- output ------------------------------------------------------------- */

void rep_out_init(struct rep_out *out, char *buf, size_t room)
{
    assert(room >= REP_SCAN_ROOM);
    *out = (struct rep_out){.buf = buf, .room = room};
}

void rep_out_clear(struct rep_out *out)
{
    out->len = 0;
}

/* One iovec, or none when it begins before `skip`, which it shortens. */
static unsigned add_piece(struct iovec *iov, void *p, size_t n, size_t *skip)
{
    if (*skip >= n) {
        *skip -= n;
        return 0;
    }
    *iov = (struct iovec){(char *)p + *skip, n - *skip};
    *skip = 0;
    return 1;
}

unsigned rep_out_value(const struct rep_out *out, struct iovec *iov,
                       unsigned most)
{
    static char line_end[2] = {'\r', '\n'};
    const struct item *it = out->big;
    unsigned n = 0;
    size_t skip;

    if (it == NULL) {
        return 0;
    }
    skip = (size_t)it->nbytes + 2 - out->big_left;
    if (!item_is_chained(it)) {
        n +=
            n < most ? add_piece(&iov[n], item_data(it), it->nbytes, &skip) : 0;
    } else {
        for (struct item_chunk *c = item_chunk_first(it); c != NULL && n < most;
             c = item_chunk_next(c)) {
            n += add_piece(&iov[n], c->data, c->used, &skip);
        }
    }
    /* Full before the end of the value: more pieces come next time. */
    if (n < most) {
        n += add_piece(&iov[n], line_end, sizeof(line_end), &skip);
    }
    return n;
}

void rep_out_sent_value(struct rep_out *out, size_t n)
{
    assert(out->big != NULL && n <= out->big_left);
    out->big_left -= (uint32_t)n;
    if (out->big_left == 0) {
        rep_out_fini(out);
    }
}

void rep_out_fini(struct rep_out *out)
{
    if (out->big != NULL) {
        store_unref(out->big);
        out->big = NULL;
    }
}

static char *tail(const struct rep_out *out)
{
    return out->buf + out->len;
}

static void wrote(struct rep_out *out, const char *end)
{
    out->len = (size_t)(end - out->buf);
}

static bool has_room(const struct rep_out *out, size_t n)
{
    return out->big == NULL && out->room - out->len >= n;
}

/* ---- states ------------------------------------------------------------- */

/* "Nothing older than": room was checked. */
static void emit_delete(const struct rep_peer *peer, struct rep_out *out,
                        const char *key, size_t nkey, uint64_t version)
{
    wrote(out,
          wire_format_delete(peer->dialect, tail(out), key, nkey, version));
    out->floors++;
}

static bool too_large(const struct rep_peer *peer, const struct item *it)
{
    uint64_t size = (uint64_t)it->nbytes + it->nkey;

    if (peer->dialect == WIRE_LEGACY) {
        return size > LEGACY_ITEM_MAX;
    }
    return size + ITEM_OVERHEAD + (it->bits & ITEM_HAS_FLAGS ? 4U : 0U) >
           peer->item_size_max;
}

static void emit_rep_line(const struct rep_peer *peer, struct rep_out *out,
                          const struct item *it)
{
    uint64_t cas = item_cas(it);
    bool legacy = peer->dialect == WIRE_LEGACY;
    struct wire_item line = {.key = item_key(it),
                             .nkey = it->nkey,
                             .flags = item_flags(it),
                             .exptime = it->exptime,
                             .nbytes = it->nbytes,
                             .version = legacy ? cas : it->version,
                             .cas = cas != it->version ? cas : 0};

    wrote(out, wire_format_rep(peer->dialect, tail(out), &line));
    out->items++;
}

/* A live item; stripe held. False: no room, nothing written. */
static bool emit_item(const struct rep_peer *peer, struct rep_out *out,
                      struct item *it)
{
    bool copied = it->nbytes <= REP_SCAN_COPY_MAX;
    char *p;

    if (!has_room(out, WIRE_LINE_ROOM + (copied ? it->nbytes + 2U : 0U))) {
        return false;
    }
    if (too_large(peer, it)) {
        emit_delete(peer, out, item_key(it), it->nkey, it->version);
        return true;
    }
    if (copied) {
        emit_rep_line(peer, out, it);
        p = tail(out);
        item_copy_out(it, 0, p, it->nbytes);
        p[it->nbytes] = '\r';
        p[it->nbytes + 1] = '\n';
        wrote(out, p + it->nbytes + 2);
        return true;
    }
    /* While it is referenced nobody changes it in place. */
    if (!store_ref(it)) {
        return false;
    }
    emit_rep_line(peer, out, it);
    out->big = it;
    out->big_left = it->nbytes + 2;
    return true;
}

static void emit_barrier(const struct rep_peer *peer, struct rep_out *out,
                         uint64_t version)
{
    wrote(out, wire_format_flush(peer->dialect, tail(out), version));
}

/* Up to three short lines. 2.x is told of a delayed flush while it is to come;
 * ours also afterwards, for one that it replaced may still be to come there. */
static void emit_flush_lines(const struct rep_peer *peer, struct rep_out *out,
                             bool now)
{
    bool ours = peer->dialect == WIRE_OURS;
    uint64_t barrier = store_barrier();
    uint64_t version;
    uint32_t at;

    if (now) {
        emit_barrier(peer, out, barrier);
    }
    if (!(ours ? store_flush_register(&version, &at)
               : store_flush_pending(&version, &at))) {
        return;
    }
    if (at != 0) {
        wrote(out, wire_format_flush_at(peer->dialect, tail(out), at, version));
    } else if (version != barrier) {
        emit_barrier(peer, out, version);
    }
}

/* ---- live --------------------------------------------------------------- */

/* A flush was made before it was recorded, so it shows. LEGACY tells of this
 * one only: of a later one its own entry does. A delayed one that is neither
 * pending nor in the barrier was carried out: its time came. */
static void emit_live_flush(const struct rep_peer *peer, struct rep_out *out,
                            const struct rep_log_entry *e)
{
    uint64_t barrier = store_barrier();
    uint64_t pending;
    uint32_t at;
    bool now = barrier != 0;

    if (peer->dialect == WIRE_LEGACY) {
        if (store_barrier_is_delayed(e->version)) {
            return; /* it was told before, and has a clock */
        }
        now = barrier >= e->version || !store_flush_pending(&pending, &at);
    }
    emit_flush_lines(peer, out, now);
}

/* Nothing there: at least as old as the entry, and as any floor. (What a look
 * at it found expired has just left one.) */
static void emit_absent(const struct rep_peer *peer, struct rep_out *out,
                        const struct rep_log_entry *e)
{
    uint64_t version = e->version;
    uint64_t floor =
        rep_floor_get(peer->floors, hash_key_agreed(e->key, e->nkey));

    version = floor > version ? floor : version;
    if (peer->dialect == WIRE_OURS && e->target != 0 &&
        version <= store_barrier()) {
        /* It sent what our flush killed: the barrier is what it lacks. */
        emit_flush_lines(peer, out, true);
    }
    emit_delete(peer, out, e->key, e->nkey, version);
}

static bool emit_entry(const struct rep_peer *peer,
                       const struct rep_log_entry *e, struct rep_out *out)
{
    struct store_key key = {e->key, e->nkey, e->hv};
    struct item *it;
    bool done;

    if (!has_room(out, 3 * WIRE_LINE_ROOM)) {
        return false;
    }
    if (e->op == STORE_OP_FLUSH) {
        emit_live_flush(peer, out, e);
        return true;
    }
    it = store_hold(&key, NULL);
    if (it == NULL) {
        emit_absent(peer, out, e);
        return true;
    }
    done = emit_item(peer, out, it);
    store_release(it);
    return done;
}

static void look_ahead(const struct rep_log_batch *batch, unsigned i)
{
    if (i + AHEAD_STRIPE < batch->n) {
        store_prefetch_stripe(batch->entry[i + AHEAD_STRIPE].hv);
    }
    if (i + AHEAD_BUCKET < batch->n) {
        store_prefetch_bucket(batch->entry[i + AHEAD_BUCKET].hv);
    }
    if (i + AHEAD_ITEM < batch->n) {
        store_prefetch_item(batch->entry[i + AHEAD_ITEM].hv);
    }
}

bool rep_scan_live(const struct rep_peer *peer,
                   const struct rep_log_batch *batch, unsigned *i,
                   struct rep_out *out)
{
    for (; *i < batch->n; (*i)++) {
        look_ahead(batch, *i);
        if (!emit_entry(peer, &batch->entry[*i], out)) {
            return false;
        }
    }
    return true;
}

/* ---- scan --------------------------------------------------------------- */

void rep_scan_begin(struct rep_scan *scan, uint64_t threshold, bool touched)
{
    *scan =
        (struct rep_scan){.threshold = threshold,
                          .flushed_since = threshold != 0 ? threshold - 1 : 0,
                          .touched = touched,
                          .phase = PHASE_FLUSH};
}

struct visit {
    const struct rep_scan *scan;
    const struct rep_peer *peer;
    struct rep_out *out;
    bool full;
};

static bool is_wanted(const struct rep_scan *scan, const struct item *it)
{
    return it->version >= scan->threshold ||
           (scan->touched && (it->bits & ITEM_TOUCHED) != 0);
}

/* An expired item goes as a floor, for the peer may hold an older one that
 * lives longer. 2.x has nothing for that but deleting, which it need not: its
 * older one was replaced when ours was sent. */
static bool visit_expired(const struct visit *v, const struct item *it)
{
    if (v->peer->dialect == WIRE_LEGACY) {
        return true;
    }
    if (!has_room(v->out, WIRE_LINE_ROOM)) {
        return false;
    }
    emit_delete(v->peer, v->out, item_key(it), it->nkey, it->version);
    return true;
}

static bool visit_item(void *ctx, struct item *it)
{
    struct visit *v = ctx;
    bool done = true;

    if (!is_wanted(v->scan, it)) {
        return true;
    }
    switch (store_dead(it)) {
    case STORE_HIT:
        done = emit_item(v->peer, v->out, it);
        break;
    case STORE_EXPIRED:
        done = visit_expired(v, it);
        break;
    case STORE_ABSENT:
    case STORE_FLUSHED: /* the barrier was sent */
        break;
    }
    v->full = !done;
    return done;
}

static bool scan_flush(const struct rep_scan *scan, const struct rep_peer *peer,
                       struct rep_out *out)
{
    uint64_t barrier;

    if (!has_room(out, 2 * WIRE_LINE_ROOM)) {
        return false;
    }
    barrier = store_barrier();
    emit_flush_lines(peer, out,
                     peer->dialect == WIRE_OURS
                         ? barrier != 0
                         : scan->flushed_since != 0 &&
                               barrier > scan->flushed_since);
    return true;
}

static bool scan_items(struct rep_scan *scan, const struct rep_peer *peer,
                       struct rep_out *out)
{
    struct visit v = {scan, peer, out, false};
    uint64_t before = out->items;

    (void)store_walk(&scan->cursor, WALK_ITEMS, visit_item, &v);
    scan->items += out->items - before;
    return scan->cursor.done && !v.full;
}

static bool scan_floors(struct rep_scan *scan, const struct rep_peer *peer,
                        struct rep_out *out)
{
    struct rep_floor_entry floors[FLOORS];
    uint64_t barrier = store_barrier(); /* is the floor of all below it */
    uint64_t threshold =
        barrier >= scan->threshold ? barrier + 1 : scan->threshold;

    for (int i = 0; i < FLOOR_ROUNDS && !scan->floors.done; i++) {
        size_t n;

        if (!has_room(out, (size_t)FLOORS * FLOOR_LINE)) {
            return false;
        }
        n = rep_floor_walk(peer->floors, &scan->floors, threshold, floors,
                           FLOORS);
        for (size_t k = 0; k < n; k++) {
            wrote(out, wire_format_floor(tail(out), floors[k].hash,
                                         floors[k].version));
        }
        out->floors += n;
    }
    return scan->floors.done;
}

enum rep_scan_status rep_scan_step(struct rep_scan *scan,
                                   const struct rep_peer *peer,
                                   struct rep_out *out)
{
    if (scan->phase == PHASE_FLUSH && scan_flush(scan, peer, out)) {
        scan->phase = PHASE_ITEMS;
    }
    if (scan->phase == PHASE_ITEMS && scan_items(scan, peer, out)) {
        scan->phase = peer->dialect == WIRE_OURS ? PHASE_FLOORS : PHASE_DONE;
    }
    if (scan->phase == PHASE_FLOORS && scan_floors(scan, peer, out)) {
        scan->phase = PHASE_DONE;
    }
    return scan->phase == PHASE_DONE ? REP_SCAN_DONE : REP_SCAN_MORE;
}
