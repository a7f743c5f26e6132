#include "rep/log.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/lock.h"
#include "base/version.h"

/*
 * A record is {version 8, op, nkey, source, target, key}, unaligned. It
 * begins at position modulo `bytes` and never wraps: the ring has room for
 * the longest one behind its end, and the next record begins where this one
 * would have ended had it wrapped.
 */
enum {
    HEADER = 12,
    RECORD_MAX = HEADER + KEY_MAX_LENGTH,
    PIECE = 4096,             /* bytes copied in one hold */
    MERGE = REP_LOG_BATCH * 2 /* places of the table that finds repeats */
};

/* [R] LOCK_REP_LOG   [a] atomic   [c] constant after creation */
struct reader {
    bool open;               /* [R] */
    uint64_t acked;          /* [R] */
    bool lost, lost_touch;   /* [R] something was overwritten unacked */
    uint64_t lost_version;   /* [R] least, UINT64_MAX: touches only */
    uint64_t resend_end;     /* [R] position after the last resend */
    uint64_t resend_version; /* [R] least version of unacked resends */
};

struct rep_log {
    struct lock lock;
    bool sleeping;                  /* [R] the reader wants a call of wake */
    unsigned char *ring;            /* [c] the array; its bytes [R] */
    uint64_t bytes;                 /* [c] */
    uint64_t head, oldest;          /* [R] positions */
    uint64_t head_at;               /* [R] head modulo bytes */
    uint64_t oldest_at;             /* [R] oldest modulo bytes */
    uint64_t acked_all;             /* [R] least acked of the open readers */
    uint64_t flushed;               /* [R] */
    uint64_t appended;              /* [R] entries */
    uint64_t overwritten;           /* [R] entries lost by some reader */
    atomic_uint open;               /* [a] open readers; written under R */
    atomic_bool relay;              /* [a] */
    atomic_ullong low;              /* [a] rep_log_set_low */
    struct rep_floor *floors;       /* [c] */
    void (*wake)(void *ctx);        /* [c] after start */
    void *wake_ctx;                 /* [c] after start */
    struct store_observer observer; /* [c] */
    struct reader readers[REP_LOG_READERS];
};

struct record {
    uint64_t version;
    uint8_t op, nkey, source, target;
};

static void record_get(const unsigned char *p, struct record *rec)
{
    memcpy(&rec->version, p, 8);
    rec->op = p[8];
    rec->nkey = p[9];
    rec->source = p[10];
    rec->target = p[11];
}

static struct reader *reader_of(struct rep_log *log, int reader)
{
    assert(reader >= 0 && reader < REP_LOG_READERS &&
           log->readers[reader].open);
    return &log->readers[reader];
}

/* ---- appending ---------------------------------------------------------- */

/* The record at `pos` goes: whoever has not acknowledged it lost it. */
static void lose_locked(struct rep_log *log, uint64_t pos,
                        const struct record *rec)
{
    bool anybody = false;

    lock_assert(LOCK_REP_LOG);
    for (unsigned i = 0; i < REP_LOG_READERS; i++) {
        struct reader *r = &log->readers[i];

        if (!r->open || pos < r->acked ||
            (rec->source == i + 1 && rec->target == 0)) {
            continue;
        }
        r->lost = anybody = true;
        if (rec->op == STORE_OP_TOUCH) {
            r->lost_touch = true;
        } else if (rec->version < r->lost_version) {
            r->lost_version = rec->version;
        }
    }
    log->overwritten += anybody;
}

static void drop_oldest_locked(struct rep_log *log)
{
    struct record rec;
    uint64_t len;

    record_get(log->ring + log->oldest_at, &rec);
    if (log->oldest >= log->acked_all) {
        lose_locked(log, log->oldest, &rec);
    }
    len = HEADER + (uint64_t)rec.nkey;
    log->oldest += len;
    log->oldest_at += len;
    if (log->oldest_at >= log->bytes) {
        log->oldest_at -= log->bytes;
    }
}

/* Returns whether the reader sleeps: the caller wakes it without the lock. */
static bool append_locked(struct rep_log *log, const struct record *rec,
                          const char *key)
{
    uint64_t len = HEADER + (uint64_t)rec->nkey;
    unsigned char *p = log->ring + log->head_at;
    bool wake = log->sleeping;

    lock_assert(LOCK_REP_LOG);
    while (log->head + len - log->oldest > log->bytes) {
        drop_oldest_locked(log);
    }
    memcpy(p, &rec->version, 8);
    p[8] = rec->op;
    p[9] = rec->nkey;
    p[10] = rec->source;
    p[11] = rec->target;
    if (rec->nkey != 0) {
        memcpy(p + HEADER, key, rec->nkey);
    }
    log->head += len;
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
                         .source = (uint8_t)change->source};
    const char *key = NULL;
    bool wake = false;

    if (change->key != NULL) {
        key = change->key->ptr;
        rec.nkey = (uint8_t)change->key->len;
    }
    lock_take(&log->lock, LOCK_REP_LOG);
    rec.version = version_of(change);
    if (change->op == STORE_OP_FLUSH && change->version == 0) {
        log->flushed = rec.version;
    }
    if (is_logged(log, change)) {
        wake = append_locked(log, &rec, key);
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

    assert(change->source <= REP_LOG_READERS);
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

static void on_removed(void *ctx, const char *key, size_t nkey,
                       uint64_t version)
{
    struct rep_log *log = ctx;

    /* Partner: rep_log_set_low. A late value only leaves a floor too many.
     * What a flush killed needs none: the barrier is its floor. */
    if (version < atomic_load_explicit(&log->low, memory_order_relaxed) ||
        version <= store_barrier()) {
        return;
    }
    (void)rep_floor_raise(log->floors, hash_key_agreed(key, nkey), version);
}

static uint64_t on_floor(void *ctx, const char *key, size_t nkey)
{
    struct rep_log *log = ctx;

    return rep_floor_get(log->floors, hash_key_agreed(key, nkey));
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
    log = calloc(1, sizeof(*log));
    if (log == NULL) {
        return NULL;
    }
    log->ring = malloc(bytes + RECORD_MAX);
    if (log->ring == NULL) {
        free(log);
        return NULL;
    }
    log->bytes = bytes;
    log->floors = floors;
    log->acked_all = UINT64_MAX;
    log->observer = (struct store_observer){.ctx = log,
                                            .change = on_change,
                                            .removed = on_removed,
                                            .floor = on_floor,
                                            .raise_floor = on_raise_floor};
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

static void readers_changed_locked(struct rep_log *log)
{
    unsigned open = 0;

    lock_assert(LOCK_REP_LOG);
    log->acked_all = UINT64_MAX;
    for (int i = 0; i < REP_LOG_READERS; i++) {
        const struct reader *r = &log->readers[i];

        if (r->open) {
            open++;
            log->acked_all =
                r->acked < log->acked_all ? r->acked : log->acked_all;
        }
    }
    /* Partner: the load in on_change. */
    atomic_store_explicit(&log->open, open, memory_order_relaxed);
}

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
        log->readers[found] = (struct reader){.open = true,
                                              .acked = log->head,
                                              .lost_version = UINT64_MAX,
                                              .resend_version = UINT64_MAX};
        *pos = log->head;
        readers_changed_locked(log);
    }
    lock_drop(&log->lock, LOCK_REP_LOG);
    return found;
}

void rep_log_close(struct rep_log *log, int reader)
{
    lock_take(&log->lock, LOCK_REP_LOG);
    reader_of(log, reader)->open = false;
    readers_changed_locked(log);
    lock_drop(&log->lock, LOCK_REP_LOG);
}

void rep_log_set_relay(struct rep_log *log, bool relay)
{
    /* Partner: the load in on_change. */
    atomic_store_explicit(&log->relay, relay, memory_order_relaxed);
}

void rep_log_ack(struct rep_log *log, int reader, uint64_t pos)
{
    struct reader *r;

    lock_take(&log->lock, LOCK_REP_LOG);
    r = reader_of(log, reader);
    assert(pos <= log->head);
    if (pos > r->acked) {
        r->acked = pos;
        readers_changed_locked(log);
    }
    if (r->acked >= r->resend_end) {
        r->resend_version = UINT64_MAX;
    }
    lock_drop(&log->lock, LOCK_REP_LOG);
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
    r->lost = r->lost_touch = false;
    r->lost_version = UINT64_MAX;
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
    r->lost_version = version < r->lost_version ? version : r->lost_version;
    lock_drop(&log->lock, LOCK_REP_LOG);
}

void rep_log_resend(struct rep_log *log, int reader,
                    const struct store_key *key, uint64_t version)
{
    struct record rec = {.version = version,
                         .op = STORE_OP_ITEM,
                         .nkey = (uint8_t)key->len,
                         .target = (uint8_t)(reader + 1)};
    struct reader *r;
    bool wake;

    lock_take(&log->lock, LOCK_REP_LOG);
    r = reader_of(log, reader);
    wake = append_locked(log, &rec, key->ptr);
    r->resend_end = log->head;
    r->resend_version =
        version < r->resend_version ? version : r->resend_version;
    lock_drop(&log->lock, LOCK_REP_LOG);
    if (wake && log->wake != NULL) {
        log->wake(log->wake_ctx);
    }
}

/* ---- positions ---------------------------------------------------------- */

uint64_t rep_log_head(struct rep_log *log)
{
    uint64_t pos;

    lock_take(&log->lock, LOCK_REP_LOG);
    pos = log->head;
    lock_drop(&log->lock, LOCK_REP_LOG);
    return pos;
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
    sleep = pos == log->head;
    log->sleeping = log->sleeping || sleep;
    lock_drop(&log->lock, LOCK_REP_LOG);
    return sleep;
}

/* The version of the first entry the reader has not acknowledged: those after
 * it are newer, unless changes of other peers are among them. */
static uint64_t first_unacked_locked(struct rep_log *log,
                                     const struct reader *r)
{
    struct record rec;

    lock_assert(LOCK_REP_LOG);
    if (r->acked == log->head) {
        return version_last();
    }
    if (r->acked < log->oldest ||
        atomic_load_explicit(&log->relay, memory_order_relaxed)) {
        return 0; /* not known */
    }
    record_get(log->ring + r->acked % log->bytes, &rec);
    return rec.version;
}

uint64_t rep_log_low(struct rep_log *log, int reader)
{
    const struct reader *r;
    uint64_t low;

    lock_take(&log->lock, LOCK_REP_LOG);
    r = reader_of(log, reader);
    low = first_unacked_locked(log, r);
    low = r->resend_version < low ? r->resend_version : low;
    lock_drop(&log->lock, LOCK_REP_LOG);
    return low;
}

void rep_log_set_low(struct rep_log *log, uint64_t low)
{
    /* Partner: the load in on_removed. */
    atomic_store_explicit(&log->low, low, memory_order_relaxed);
}

uint64_t rep_log_flushed(struct rep_log *log)
{
    uint64_t version;

    lock_take(&log->lock, LOCK_REP_LOG);
    version = log->flushed;
    lock_drop(&log->lock, LOCK_REP_LOG);
    return version;
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

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Copies bytes from `pos` on, in one short hold. The last record of the piece
 * may be cut off. */
static enum rep_log_status copy_piece(struct rep_log *log, uint64_t pos,
                                      char *buf, size_t *len)
{
    enum rep_log_status status = REP_LOG_OK;
    uint64_t at = pos % log->bytes;
    uint64_t n = least(*len, PIECE);

    lock_take(&log->lock, LOCK_REP_LOG);
    if (pos == log->head) {
        status = REP_LOG_END;
    } else if (pos < log->oldest || pos > log->head) {
        status = REP_LOG_GONE;
    } else {
        n = least(n, log->head - pos);
        n = least(n, log->bytes + RECORD_MAX - at);
        memcpy(buf, log->ring + at, n);
    }
    lock_drop(&log->lock, LOCK_REP_LOG);
    *len = n;
    return status;
}

/* The table of keys of the batch, to merge repeats. */
struct merge {
    uint16_t place[MERGE]; /* index + 1 of the entry; 0 free */
};

/* Finds the place of `e`'s key: taken by an earlier entry, or free. */
static uint16_t *merge_find(struct merge *m, const struct rep_log_batch *batch,
                            const struct rep_log_entry *e)
{
    size_t i = (size_t)(e->hv % MERGE);

    while (m->place[i] != 0) {
        const struct rep_log_entry *old = &batch->entry[m->place[i] - 1];

        if (old->hv == e->hv && old->nkey == e->nkey &&
            memcmp(old->key, e->key, e->nkey) == 0) {
            break;
        }
        i = (i + 1) % MERGE;
    }
    return &m->place[i];
}

/* Moves what an earlier entry of the key said into `e` and voids it. The
 * present state is sent, so only the greatest version matters, and that a
 * change was more than a touch. */
static void merge_into(struct rep_log_entry *e, struct rep_log_entry *old)
{
    e->version = old->version > e->version ? old->version : e->version;
    e->op = e->op == STORE_OP_TOUCH ? old->op : e->op;
    old->nkey = 0; /* void: batch_compact takes it out */
}

static void batch_add(struct rep_log_batch *batch, struct merge *m,
                      const struct record *rec, const struct rep_log_entry *at)
{
    struct rep_log_entry *e = &batch->entry[batch->n];
    uint16_t *place;

    *e = *at;
    e->version = rec->version;
    e->op = rec->op;
    e->nkey = rec->nkey;
    e->source = rec->source;
    e->target = rec->target;
    if (rec->op == STORE_OP_FLUSH) {
        e->key = NULL;
        memset(m, 0, sizeof(*m)); /* never merge across a flush */
    } else {
        e->hv = hash_key(e->key, e->nkey);
        place = merge_find(m, batch, e);
        if (*place != 0) {
            merge_into(e, &batch->entry[*place - 1]);
        }
        *place = (uint16_t)(batch->n + 1);
    }
    batch->n++;
}

/* Takes the whole records of a piece in; returns bytes used. Stops behind the
 * record that crosses the end of the ring: the next one begins elsewhere. */
static size_t take_piece(struct rep_log *log, int reader,
                         struct rep_log_batch *batch, struct merge *m,
                         struct iovec piece)
{
    const char *p = piece.iov_base;
    uint64_t lap_end = (batch->next / log->bytes + 1) * log->bytes;
    struct rep_log_entry at = {0};
    struct record rec;
    size_t used = 0, len;

    while (batch->n < REP_LOG_BATCH && piece.iov_len - used >= HEADER &&
           batch->next < lap_end) {
        record_get((const unsigned char *)p + used, &rec);
        len = HEADER + (size_t)rec.nkey;
        if (piece.iov_len - used < len) {
            break;
        }
        at.pos = batch->next;
        at.key = p + used + HEADER;
        if (rec.target == reader + 1 ||
            (rec.target == 0 && rec.source != reader + 1)) {
            batch_add(batch, m, &rec, &at);
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
    struct merge merge = {{0}};
    size_t filled = 0;

    batch->n = 0;
    batch->next = pos;
    do {
        struct iovec piece = {batch->raw + filled, REP_LOG_BATCH_RAW - filled};

        status = copy_piece(log, batch->next, piece.iov_base, &piece.iov_len);
        if (status == REP_LOG_OK) {
            filled += take_piece(log, reader, batch, &merge, piece);
        }
    } while (status == REP_LOG_OK && batch->n < REP_LOG_BATCH &&
             REP_LOG_BATCH_RAW - filled >= RECORD_MAX);
    batch_compact(batch);
    /* What came before an end or a gap is good. */
    return batch->next > pos ? REP_LOG_OK : status;
}
