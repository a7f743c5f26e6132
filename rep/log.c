#include "rep/log.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/lock.h"
#include "base/version.h"

/*
 * A record is {version 8, nkey, op, source, target, hops, place 5, key}. It
 * begins at position modulo `bytes` and never wraps: the ring has room for
 * the longest one behind its end, and the next record begins where this one
 * would have ended had it wrapped.
 *
 * The least version of each segment of positions is kept beside: the low mark
 * of a reader is the least of those it has not acknowledged wholly.
 */
enum {
    CACHE_LINE = 64,
    HEADER = 18,
    RECORD_MAX = HEADER + KEY_MAX_LENGTH,
    PIECE = 4096,              /* bytes copied in one hold */
    MERGE = REP_LOG_BATCH * 2, /* places of the table that finds repeats */
    SEGMENTS = 64
};

/* [R] LOCK_REP_LOG   [a] atomic   [c] constant after creation
 * [r] the replication thread */
struct reader {
    bool open;             /* [R] */
    bool lost, lost_touch; /* [R] something was overwritten unacked */
    uint64_t acked;        /* [R] */
    uint64_t lost_version; /* [R] least, UINT64_MAX: touches only */
    uint64_t low;          /* [R] rep_log_low */
};

/* The table of keys of a batch, to merge repeats. A place counts when its
 * entry points back at it: so it is never cleared. */
struct merge {
    bool voids;            /* [r] an entry was merged into a later one */
    unsigned from;         /* [r] the first entry after a flush */
    uint16_t entry[MERGE]; /* [r] of a place */
    uint16_t place[REP_LOG_BATCH]; /* [r] of an entry */
};

struct rep_log {
    /* What every append writes. */
    _Alignas(CACHE_LINE) struct lock lock;
    bool sleeping;        /* [R] the reader wants a call of wake */
    atomic_ullong head;   /* [a] position; written under R */
    uint64_t head_at;     /* [R] head modulo bytes */
    uint64_t oldest;      /* [R] position */
    uint64_t oldest_at;   /* [R] oldest modulo bytes */
    uint64_t segment_end; /* [R] of the segment of the newest record */
    uint64_t acked_all;   /* [R] least acked of the open readers */
    uint64_t appended;    /* [R] entries */

    /* What it only reads. */
    _Alignas(CACHE_LINE) unsigned char *ring; /* [c] its bytes [R] */
    uint64_t bytes;                           /* [c] */
    struct rep_floor *floors;                 /* [c] */
    void (*wake)(void *ctx);                  /* [c] after start */
    void *wake_ctx;                           /* [c] after start */
    struct store_observer observer;           /* [c] */
    unsigned segment_shift;                   /* [c] */
    atomic_uint open;  /* [a] open readers; written under R */
    atomic_bool relay; /* [a] */

    /* What it rarely writes. */
    _Alignas(CACHE_LINE) uint64_t least[SEGMENTS]; /* [R] versions, or MAX */
    uint64_t unlost_at;   /* [R] least acked of those that lost nothing */
    uint64_t lost_below;  /* [R] greatest lost_version of the others */
    bool touches_lost;    /* [R] all the others have lost_touch */
    unsigned top;         /* [R] readers from here on are not open */
    uint64_t overwritten; /* [R] entries lost by some reader */
    struct reader readers[REP_LOG_READERS];

    /* What is the replication thread's. */
    _Alignas(CACHE_LINE) atomic_ullong low; /* [a] rep_log_set_low */
    struct merge merge;
};

struct record {
    uint64_t version;
    uint8_t nkey, op, source, target, hops;
    uint64_t place; /* 40 bits */
};

static void record_get(const unsigned char *p, struct record *rec)
{
    uint32_t low;

    memcpy(&rec->version, p, 8);
    rec->nkey = p[8];
    rec->op = p[9];
    rec->source = p[10];
    rec->target = p[11];
    rec->hops = p[12];
    memcpy(&low, p + 13, 4);
    rec->place = (uint64_t)p[17] << 32 | low;
}

static void record_put(unsigned char *p, const struct record *rec)
{
    uint32_t low = (uint32_t)rec->place;

    memcpy(p, &rec->version, 8);
    p[8] = rec->nkey;
    p[9] = rec->op;
    p[10] = rec->source;
    p[11] = rec->target;
    p[12] = rec->hops;
    memcpy(p + 13, &low, 4);
    p[17] = (unsigned char)(rec->place >> 32);
}

static uint64_t head_of(const struct rep_log *log)
{
    /* Whoever reads an entry takes the lock. */
    return atomic_load_explicit(&log->head, memory_order_relaxed);
}

static struct reader *reader_of(struct rep_log *log, int reader)
{
    assert(reader >= 0 && reader < REP_LOG_READERS &&
           log->readers[reader].open);
    return &log->readers[reader];
}

static uint64_t least_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Whether the record goes to the reader. */
static bool is_for(const struct record *rec, unsigned reader)
{
    return rec->target == 0 ? rec->source != reader + 1
                            : rec->target == reader + 1;
}

/* ---- appending ---------------------------------------------------------- */

/* Sums up the readers. */
static void readers_changed_locked(struct rep_log *log)
{
    unsigned open = 0;

    lock_assert(LOCK_REP_LOG);
    log->acked_all = log->unlost_at = UINT64_MAX;
    log->lost_below = 0;
    log->touches_lost = true;
    for (unsigned i = 0; i < log->top; i++) {
        const struct reader *r = &log->readers[i];

        if (!r->open) {
            continue;
        }
        open++;
        log->acked_all = least_of(log->acked_all, r->acked);
        if (!r->lost) {
            log->unlost_at = least_of(log->unlost_at, r->acked);
            continue;
        }
        log->touches_lost = log->touches_lost && r->lost_touch;
        if (r->lost_version > log->lost_below) {
            log->lost_below = r->lost_version;
        }
    }
    /* Partner: the load in is_logged. */
    if (atomic_load_explicit(&log->open, memory_order_relaxed) != open) {
        atomic_store_explicit(&log->open, open, memory_order_relaxed);
    }
}

/* Whether somebody loses more with the oldest record than before. Of readers
 * that are away, and have lost what is older, nobody does: so they cost
 * nothing. */
static bool loses_locked(const struct rep_log *log, const struct record *rec)
{
    return log->oldest >= log->unlost_at ||
           (rec->op == STORE_OP_TOUCH ? !log->touches_lost
                                      : rec->version < log->lost_below);
}

/* The oldest record goes: whoever has not acknowledged it lost it. */
static void lose_locked(struct rep_log *log, const struct record *rec)
{
    lock_assert(LOCK_REP_LOG);
    for (unsigned i = 0; i < log->top; i++) {
        struct reader *r = &log->readers[i];

        if (!r->open || log->oldest < r->acked || !is_for(rec, i)) {
            continue;
        }
        r->lost = true;
        if (rec->op == STORE_OP_TOUCH) {
            r->lost_touch = true;
        } else {
            r->lost_version = least_of(r->lost_version, rec->version);
        }
    }
    readers_changed_locked(log);
}

static void drop_oldest_locked(struct rep_log *log)
{
    struct record rec;
    uint64_t len;

    record_get(log->ring + log->oldest_at, &rec);
    if (log->oldest >= log->acked_all) {
        log->overwritten++;
        if (UNLIKELY(loses_locked(log, &rec))) {
            lose_locked(log, &rec);
        }
    }
    len = HEADER + (uint64_t)rec.nkey;
    log->oldest += len;
    log->oldest_at += len;
    if (log->oldest_at >= log->bytes) {
        log->oldest_at -= log->bytes;
    }
}

/* A change that was made earlier: the low marks of those that it goes to fall
 * to its version, before it is visible, so that no removal is taken for
 * acknowledged that is not. (Touches change no version, and a flush needs no
 * floors.) */
static void lower_locked(struct rep_log *log, const struct record *rec)
{
    bool counts = rec->op == STORE_OP_ITEM || rec->op == STORE_OP_DELETE;

    lock_assert(LOCK_REP_LOG);
    for (unsigned i = 0; i < log->top && counts; i++) {
        struct reader *r = &log->readers[i];

        if (!r->open || rec->version >= r->low || !is_for(rec, i)) {
            continue;
        }
        r->low = rec->version;
        rep_floor_set_low(log->floors, (int)i, r->low);
        if (r->low < atomic_load_explicit(&log->low, memory_order_relaxed)) {
            rep_log_set_low(log, r->low);
        }
    }
}

/* The least version of the segment of a position. */
static uint64_t *least_at(struct rep_log *log, uint64_t pos)
{
    return &log->least[(pos >> log->segment_shift) % SEGMENTS];
}

/* Notes the version of a record that begins at `pos`. */
static void note_version_locked(struct rep_log *log, uint64_t pos,
                                const struct record *rec)
{
    uint64_t *least;

    lock_assert(LOCK_REP_LOG);
    while (UNLIKELY(pos >= log->segment_end)) {
        *least_at(log, log->segment_end) = UINT64_MAX;
        log->segment_end += UINT64_C(1) << log->segment_shift;
    }
    least = least_at(log, pos);
    if (rec->version < *least && rec->op != STORE_OP_TOUCH) {
        *least = rec->version;
    }
}

/* Returns whether the reader sleeps: the caller wakes it without the lock. */
static bool append_locked(struct rep_log *log, const struct record *rec,
                          const char *key)
{
    uint64_t len = HEADER + (uint64_t)rec->nkey;
    unsigned char *p = log->ring + log->head_at;
    uint64_t head = head_of(log);
    bool wake = log->sleeping;

    lock_assert(LOCK_REP_LOG);
    while (head + len - log->oldest > log->bytes) {
        drop_oldest_locked(log);
    }
    record_put(p, rec);
    if (rec->nkey != 0) {
        memcpy(p + HEADER, key, rec->nkey);
    }
    note_version_locked(log, head, rec);
    /* Partner: the loads of head_of without the lock. */
    atomic_store_explicit(&log->head, head + len, memory_order_relaxed);
    log->head_at += len;
    if (log->head_at >= log->bytes) {
        log->head_at -= log->bytes;
    }
    log->appended++;
    log->sleeping = false;
    return wake;
}

/* The version of a change: the peer's, or drawn. A touch draws none; without
 * the item's it counts as old as can be told. */
static uint64_t version_of(const struct store_change *change)
{
    if (change->version != 0) {
        return change->version;
    }
    return change->op == STORE_OP_TOUCH ? version_last() : version_next();
}

/* Whether a change is to be appended. Both loads pair with the stores of
 * rep_log_open and rep_log_set_relay and may be late: a scan begun after
 * rep_log_open takes the stripe lock that a change holds, so it either finds
 * the change or made it see the reader. */
static bool is_logged(const struct rep_log *log,
                      const struct store_change *change)
{
    return atomic_load_explicit(&log->open, memory_order_relaxed) > 0 &&
           (change->source == 0 ||
            atomic_load_explicit(&log->relay, memory_order_relaxed));
}

static uint64_t change_logged(struct rep_log *log,
                              const struct store_change *change)
{
    struct record rec = {.op = (uint8_t)change->op,
                         .source = (uint8_t)change->source,
                         .hops = (uint8_t)(change->source >> 8),
                         .place = change->place};
    const char *key = NULL;
    bool wake = false;

    if (change->key != NULL) {
        key = change->key->ptr;
        rec.nkey = (uint8_t)change->key->len;
    }
    lock_take(&log->lock, LOCK_REP_LOG);
    rec.version = version_of(change);
    if (is_logged(log, change)) {
        wake = append_locked(log, &rec, key);
        if (change->version != 0) {
            lower_locked(log, &rec);
        }
    }
    lock_drop(&log->lock, LOCK_REP_LOG);
    if (wake && log->wake != NULL) {
        log->wake(log->wake_ctx);
    }
    return rec.version;
}

static uint64_t on_change(void *ctx, const struct store_change *change)
{
    struct rep_log *log = ctx;
    uint64_t version;

    assert((change->source & 255) <= REP_LOG_READERS);
    if (change->version != 0 && change->op != STORE_OP_TOUCH) {
        version_observe(change->version);
    }
    /* A flush holds no stripe lock, so only the log's lock orders it with
     * rep_log_open. */
    version = change->op == STORE_OP_FLUSH || is_logged(log, change)
                  ? change_logged(log, change)
                  : version_of(change);
    if (change->op == STORE_OP_DELETE) {
        (void)rep_floor_raise(
            log->floors, hash_key_agreed(change->key->ptr, change->key->len),
            version);
    }
    return version;
}

/* ---- floors ------------------------------------------------------------- */

/* Whether everybody has acknowledged what is removed. */
static bool is_acknowledged(struct rep_log *log, uint64_t version)
{
    if (version >= atomic_load_explicit(&log->low, memory_order_relaxed)) {
        return false;
    }
    rep_floor_pass(log->floors, version);
    /* Again: either this sees what rep_log_open sets, or the watcher that it
     * makes begins with what was passed. Partner: rep_log_set_low. */
    return version < atomic_load(&log->low);
}

static void on_removed(void *ctx, const char *key, size_t nkey,
                       uint64_t version)
{
    struct rep_log *log = ctx;

    /* What a flush killed needs none: the barrier is its floor. */
    if (version > store_barrier() && !is_acknowledged(log, version)) {
        (void)rep_floor_raise(log->floors, hash_key_agreed(key, nkey), version);
    }
}

static uint64_t on_floor(void *ctx, const char *key, size_t nkey)
{
    struct rep_log *log = ctx;

    return rep_floor_any(log->floors)
               ? rep_floor_get(log->floors, hash_key_agreed(key, nkey))
               : 0;
}

static bool on_raise_floor(void *ctx, const char *key, size_t nkey,
                           uint64_t version)
{
    struct rep_log *log = ctx;

    version_observe(version);
    return rep_floor_raise(log->floors, hash_key_agreed(key, nkey), version);
}

/* ---- life --------------------------------------------------------------- */

struct rep_log *rep_log_new(size_t bytes, struct rep_floor *floors)
{
    struct rep_log *log;

    assert(bytes >= REP_LOG_BYTES_MIN);
    log = aligned_alloc(CACHE_LINE, sizeof(*log));
    if (log == NULL) {
        return NULL;
    }
    memset(log, 0, sizeof(*log));
    log->ring = malloc(bytes + RECORD_MAX);
    if (log->ring == NULL) {
        free(log);
        return NULL;
    }
    log->bytes = bytes;
    log->floors = floors;
    /* What is kept may begin and end within a segment. */
    while (bytes >> log->segment_shift > SEGMENTS - 2) {
        log->segment_shift++;
    }
    log->observer = (struct store_observer){.ctx = log,
                                            .change = on_change,
                                            .removed = on_removed,
                                            .floor = on_floor,
                                            .raise_floor = on_raise_floor};
    lock_take(&log->lock, LOCK_REP_LOG);
    readers_changed_locked(log);
    lock_drop(&log->lock, LOCK_REP_LOG);
    return log;
}

void rep_log_free(struct rep_log *log)
{
    if (log != NULL) {
        free(log->ring);
        free(log);
    }
}

const struct store_observer *rep_log_observer(struct rep_log *log)
{
    return &log->observer;
}

void rep_log_on_wake(struct rep_log *log, void (*wake)(void *ctx), void *ctx)
{
    log->wake = wake;
    log->wake_ctx = ctx;
}

/* ---- readers ------------------------------------------------------------ */

int rep_log_open(struct rep_log *log, uint64_t *pos)
{
    int found = -1;

    lock_take(&log->lock, LOCK_REP_LOG);
    for (int i = 0; i < REP_LOG_READERS && found < 0; i++) {
        if (!log->readers[i].open) {
            found = i;
        }
    }
    if (found >= 0) {
        *pos = head_of(log);
        log->readers[found] = (struct reader){
            .open = true, .acked = *pos, .lost_version = UINT64_MAX};
        log->top = (unsigned)found >= log->top ? (unsigned)found + 1 : log->top;
        readers_changed_locked(log);
    }
    lock_drop(&log->lock, LOCK_REP_LOG);
    if (found >= 0) {
        /* In this order: is_acknowledged says why. */
        rep_log_set_low(log, 0);
        rep_floor_watch(log->floors, found);
    }
    return found;
}

void rep_log_close(struct rep_log *log, int reader)
{
    lock_take(&log->lock, LOCK_REP_LOG);
    reader_of(log, reader)->open = false;
    while (log->top > 0 && !log->readers[log->top - 1].open) {
        log->top--;
    }
    readers_changed_locked(log);
    lock_drop(&log->lock, LOCK_REP_LOG);
    rep_floor_unwatch(log->floors, reader);
}

void rep_log_start_at(struct rep_log *log, uint64_t pos)
{
    lock_take(&log->lock, LOCK_REP_LOG);
    assert(head_of(log) == 0 && log->top == 0);
    atomic_store_explicit(&log->head, pos, memory_order_relaxed);
    log->oldest = pos;
    log->head_at = log->oldest_at = pos % log->bytes;
    log->segment_end = pos >> log->segment_shift << log->segment_shift;
    lock_drop(&log->lock, LOCK_REP_LOG);
}

void rep_log_set_relay(struct rep_log *log, bool relay)
{
    /* Partner: the load in on_change. */
    atomic_store_explicit(&log->relay, relay, memory_order_relaxed);
}

static void forgive_locked(struct reader *r)
{
    lock_assert(LOCK_REP_LOG);
    r->lost = r->lost_touch = false;
    r->lost_version = UINT64_MAX;
}

void rep_log_ack(struct rep_log *log, int reader, uint64_t pos)
{
    struct reader *r;

    lock_take(&log->lock, LOCK_REP_LOG);
    r = reader_of(log, reader);
    assert(pos <= head_of(log));
    if (pos > r->acked) {
        r->acked = pos;
        /* What was overwritten after it was read, and arrived. */
        if (r->lost && pos >= log->oldest) {
            forgive_locked(r);
        }
        readers_changed_locked(log);
    }
    lock_drop(&log->lock, LOCK_REP_LOG);
}

uint64_t rep_log_acked(struct rep_log *log, int reader)
{
    uint64_t pos;

    lock_take(&log->lock, LOCK_REP_LOG);
    pos = reader_of(log, reader)->acked;
    lock_drop(&log->lock, LOCK_REP_LOG);
    return pos;
}

bool rep_log_take_lost(struct rep_log *log, int reader, uint64_t *version,
                       bool *touched)
{
    struct reader *r;
    bool lost;

    lock_take(&log->lock, LOCK_REP_LOG);
    r = reader_of(log, reader);
    lost = r->lost;
    *version = r->lost_version;
    *touched = r->lost_touch;
    forgive_locked(r);
    readers_changed_locked(log);
    lock_drop(&log->lock, LOCK_REP_LOG);
    return lost;
}

void rep_log_put_lost(struct rep_log *log, int reader, uint64_t version,
                      bool touched)
{
    struct reader *r;

    lock_take(&log->lock, LOCK_REP_LOG);
    r = reader_of(log, reader);
    r->lost = true;
    r->lost_touch |= touched;
    r->lost_version = least_of(r->lost_version, version);
    readers_changed_locked(log);
    lock_drop(&log->lock, LOCK_REP_LOG);
}

static void append_for(struct rep_log *log, int reader, enum store_op op,
                       const struct store_key *key, uint64_t version,
                       uint8_t hops)
{
    struct record rec = {.version = version,
                         .hops = hops,
                         .nkey = (uint8_t)key->len,
                         .op = (uint8_t)op,
                         .target = (uint8_t)(reader + 1)};
    bool wake;

    lock_take(&log->lock, LOCK_REP_LOG);
    assert(reader_of(log, reader)->open);
    wake = append_locked(log, &rec, key->ptr);
    lower_locked(log, &rec);
    lock_drop(&log->lock, LOCK_REP_LOG);
    if (wake && log->wake != NULL) {
        log->wake(log->wake_ctx);
    }
}

void rep_log_resend(struct rep_log *log, int reader,
                    const struct store_key *key, uint64_t version, uint8_t hops)
{
    append_for(log, reader, STORE_OP_ITEM, key, version, hops);
}

/* Like a touch: it is no loss when it is overwritten, and says nothing of a
 * key that is absent. */
void rep_log_wish(struct rep_log *log, int reader, const struct store_key *key)
{
    append_for(log, reader, STORE_OP_TOUCH, key, version_last(), 0);
}

/* ---- positions ---------------------------------------------------------- */

uint64_t rep_log_head(struct rep_log *log)
{
    return head_of(log);
}

uint64_t rep_log_oldest(struct rep_log *log)
{
    uint64_t pos;

    lock_take(&log->lock, LOCK_REP_LOG);
    pos = log->oldest;
    lock_drop(&log->lock, LOCK_REP_LOG);
    return pos;
}

uint64_t rep_log_behind(struct rep_log *log, uint64_t pos)
{
    uint64_t head = rep_log_head(log);

    return pos < head ? head - pos : 0;
}

bool rep_log_sleep(struct rep_log *log, uint64_t pos)
{
    bool sleep;

    lock_take(&log->lock, LOCK_REP_LOG);
    sleep = pos == head_of(log);
    log->sleeping = log->sleeping || sleep;
    lock_drop(&log->lock, LOCK_REP_LOG);
    return sleep;
}

/* ---- low marks ---------------------------------------------------------- */

/* The least version that the reader has not acknowledged, or less. What it
 * lost and took is the scan's. */
static uint64_t least_unacked_locked(struct rep_log *log,
                                     const struct reader *r)
{
    uint64_t step = UINT64_C(1) << log->segment_shift;
    uint64_t at = r->acked > log->oldest ? r->acked : log->oldest;
    /* Drawn and not yet appended is nothing: that takes the lock. */
    uint64_t low = version_last();

    lock_assert(LOCK_REP_LOG);
    if (at < head_of(log)) {
        for (at -= at % step; at < log->segment_end; at += step) {
            low = least_of(low, *least_at(log, at));
        }
    }
    return r->lost ? least_of(low, r->lost_version) : low;
}

uint64_t rep_log_low(struct rep_log *log, int reader)
{
    uint64_t low;

    lock_take(&log->lock, LOCK_REP_LOG);
    low = reader_of(log, reader)->low;
    lock_drop(&log->lock, LOCK_REP_LOG);
    return low;
}

uint64_t rep_log_raise_low(struct rep_log *log, int reader)
{
    struct reader *r;
    uint64_t low;

    lock_take(&log->lock, LOCK_REP_LOG);
    r = reader_of(log, reader);
    low = least_unacked_locked(log, r);
    if (low > r->low) {
        r->low = low;
        rep_floor_set_low(log->floors, reader, low);
    }
    low = r->low;
    lock_drop(&log->lock, LOCK_REP_LOG);
    return low;
}

void rep_log_set_low(struct rep_log *log, uint64_t low)
{
    /* Partner: the loads in is_acknowledged. */
    if (atomic_load_explicit(&log->low, memory_order_relaxed) != low) {
        atomic_store(&log->low, low);
    }
}

void rep_log_stats(struct rep_log *log, struct rep_log_stats *out)
{
    lock_take(&log->lock, LOCK_REP_LOG);
    out->appended = log->appended;
    out->overwritten = log->overwritten;
    out->bytes = log->bytes;
    lock_drop(&log->lock, LOCK_REP_LOG);
}

/* ---- reading ------------------------------------------------------------ */

/* Copies bytes from `pos` on, in one short hold. The last record of the piece
 * may be cut off. */
static enum rep_log_status copy_piece(struct rep_log *log, uint64_t pos,
                                      char *buf, size_t *len)
{
    enum rep_log_status status = REP_LOG_OK;
    uint64_t at = pos % log->bytes;
    uint64_t n = least_of(*len, PIECE);
    uint64_t head = head_of(log);

    if (pos == head) {
        return REP_LOG_END;
    }
    lock_take(&log->lock, LOCK_REP_LOG);
    head = head_of(log);
    if (pos < log->oldest || pos > head) {
        status = REP_LOG_GONE;
    } else {
        n = least_of(n, head - pos);
        n = least_of(n, log->bytes + RECORD_MAX - at);
        memcpy(buf, log->ring + at, n);
    }
    lock_drop(&log->lock, LOCK_REP_LOG);
    *len = n;
    return status;
}

/* Finds the place of `e`'s key: taken by an earlier entry (*old), or free. */
static unsigned merge_find(const struct merge *m, struct rep_log_batch *batch,
                           const struct rep_log_entry *e,
                           struct rep_log_entry **old)
{
    unsigned place = (unsigned)(e->hv % MERGE);

    for (*old = NULL;; place = (place + 1) % MERGE) {
        unsigned i = m->entry[place];

        if (i < m->from || i >= batch->n || m->place[i] != place) {
            return place;
        }
        *old = &batch->entry[i];
        if ((*old)->hv == e->hv && (*old)->nkey == e->nkey &&
            memcmp((*old)->key, e->key, e->nkey) == 0) {
            return place;
        }
        *old = NULL;
    }
}

/* Moves what an earlier entry of the key said into `e` and voids it. The
 * present state is sent, so only the greatest version matters, and that a
 * change was more than a touch, made here, or wanted. */
static void merge_into(struct rep_log_entry *e, struct rep_log_entry *old)
{
    e->version = old->version > e->version ? old->version : e->version;
    e->op = e->op == STORE_OP_TOUCH ? old->op : e->op;
    e->hops = old->hops < e->hops ? old->hops : e->hops;
    e->source = old->source == 0 ? 0 : e->source;
    e->target = e->target == 0 ? old->target : e->target;
    old->nkey = 0; /* void: batch_compact takes it out */
}

static void batch_add(struct rep_log_batch *batch, struct merge *m,
                      const struct record *rec, const char *key)
{
    struct rep_log_entry *e = &batch->entry[batch->n];
    struct rep_log_entry *old;
    unsigned place;

    e->pos = batch->next;
    e->version = rec->version;
    e->key = key;
    e->nkey = rec->nkey;
    e->op = rec->op;
    e->source = rec->source;
    e->target = rec->target;
    e->hops = rec->hops;
    e->place = rec->place;
    if (rec->op == STORE_OP_FLUSH) {
        e->hv = 0;
        e->key = NULL;
        m->from = batch->n + 1; /* never merge across a flush */
    } else {
        e->hv = hash_key(key, e->nkey);
        place = merge_find(m, batch, e, &old);
        if (old != NULL) {
            merge_into(e, old);
            m->voids = true;
        }
        m->entry[place] = (uint16_t)batch->n;
        m->place[batch->n] = (uint16_t)place;
    }
    batch->n++;
}

/* Takes the whole records of a piece in; returns bytes used. Stops behind the
 * record that crosses the end of the ring: the next one begins elsewhere. */
static size_t take_piece(struct rep_log *log, int reader,
                         struct rep_log_batch *batch, struct iovec piece)
{
    const char *p = piece.iov_base;
    uint64_t lap_end = (batch->next / log->bytes + 1) * log->bytes;
    struct record rec;
    size_t used = 0, len;

    while (batch->n < REP_LOG_BATCH && piece.iov_len - used >= HEADER &&
           batch->next < lap_end) {
        record_get((const unsigned char *)p + used, &rec);
        len = HEADER + (size_t)rec.nkey;
        if (piece.iov_len - used < len) {
            break;
        }
        if (is_for(&rec, (unsigned)reader)) {
            batch_add(batch, &log->merge, &rec, p + used + HEADER);
        }
        used += len;
        batch->next += len;
    }
    return used;
}

/* Closes the gaps that merging left. */
static void batch_compact(struct rep_log_batch *batch)
{
    unsigned n = 0;

    for (unsigned i = 0; i < batch->n; i++) {
        const struct rep_log_entry *e = &batch->entry[i];

        if (e->nkey != 0 || e->op == STORE_OP_FLUSH) {
            batch->entry[n++] = *e;
        }
    }
    batch->n = n;
}

enum rep_log_status rep_log_read(struct rep_log *log, int reader, uint64_t pos,
                                 struct rep_log_batch *batch)
{
    enum rep_log_status status;
    size_t filled = 0;

    log->merge.from = 0;
    log->merge.voids = false;
    batch->n = 0;
    batch->next = pos;
    do {
        struct iovec piece = {batch->raw + filled, REP_LOG_BATCH_RAW - filled};

        status = copy_piece(log, batch->next, piece.iov_base, &piece.iov_len);
        if (status == REP_LOG_OK) {
            filled += take_piece(log, reader, batch, piece);
        }
    } while (status == REP_LOG_OK && batch->n < REP_LOG_BATCH &&
             REP_LOG_BATCH_RAW - filled >= RECORD_MAX);
    if (log->merge.voids) {
        batch_compact(batch);
    }
    /* What came before an end or a gap is good. */
    return batch->next > pos ? REP_LOG_OK : status;
}
