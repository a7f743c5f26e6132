#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/version.h"
#include "rep/log_internal.h"

/* A log has buffers for fresh values of this part of its bytes. */
enum { FRESH_SHARE = 16 };

static void log_record_put(unsigned char *p, const struct log_record *rec)
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
    memcpy(p + 18, &rec->fresh, 2);
}

static struct log_reader *reader_of(struct rep_log *log, int reader)
{
    assert(reader >= 0 && reader < REP_LOG_READERS &&
           log->readers[reader].open);
    return &log->readers[reader];
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
        const struct log_reader *r = &log->readers[i];

        if (!r->open) {
            continue;
        }
        open++;
        log->acked_all = log_least_of(log->acked_all, r->acked);
        if (!r->lost) {
            log->unlost_at = log_least_of(log->unlost_at, r->acked);
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
static bool loses_locked(const struct rep_log *log,
                         const struct log_record *rec)
{
    return log->oldest >= log->unlost_at ||
           (rec->op == STORE_OP_TOUCH ? !log->touches_lost
                                      : rec->version < log->lost_below);
}

/* The oldest record goes: whoever has not acknowledged it lost it. */
static void lose_locked(struct rep_log *log, const struct log_record *rec)
{
    lock_assert(LOCK_REP_LOG);
    for (unsigned i = 0; i < log->top; i++) {
        struct log_reader *r = &log->readers[i];

        if (!r->open || log->oldest < r->acked || !log_is_for(rec, i)) {
            continue;
        }
        r->lost = true;
        if (rec->op == STORE_OP_TOUCH) {
            r->lost_touch = true;
        } else {
            r->lost_version = log_least_of(r->lost_version, rec->version);
        }
    }
    readers_changed_locked(log);
}

static void drop_oldest_locked(struct rep_log *log)
{
    struct log_record rec;
    uint64_t len;

    log_record_get(log->ring + log->oldest_at, &rec);
    if (log->oldest >= log->acked_all) {
        log->overwritten++;
        if (UNLIKELY(loses_locked(log, &rec))) {
            lose_locked(log, &rec);
        }
    }
    len = LOG_HEADER + (uint64_t)rec.nkey;
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
static void lower_locked(struct rep_log *log, const struct log_record *rec)
{
    bool counts = rec->op != STORE_OP_TOUCH && rec->op != STORE_OP_FLUSH;

    lock_assert(LOCK_REP_LOG);
    for (unsigned i = 0; i < log->top && counts; i++) {
        struct log_reader *r = &log->readers[i];

        if (!r->open || rec->version >= r->low || !log_is_for(rec, i)) {
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
    return &log->least[(pos >> log->segment_shift) % LOG_SEGMENTS];
}

/* Notes the version of a record that begins at `pos`. */
static void note_version_locked(struct rep_log *log, uint64_t pos,
                                const struct log_record *rec)
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
static bool append_locked(struct rep_log *log, const struct log_record *rec,
                          const char *key)
{
    uint64_t len = LOG_HEADER + (uint64_t)rec->nkey;
    unsigned char *p = log->ring + log->head_at;
    uint64_t head = log_head_of(log);
    bool wake = log->sleeping;

    lock_assert(LOCK_REP_LOG);
    while (head + len - log->oldest > log->bytes) {
        drop_oldest_locked(log);
    }
    log_record_put(p, rec);
    if (rec->nkey != 0) {
        memcpy(p + LOG_HEADER, key, rec->nkey);
    }
    note_version_locked(log, head, rec);
    /* Partner: the loads of log_head_of without the lock. */
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
    struct log_record rec = {.op = (uint8_t)change->op,
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
        rec.fresh = rep_fresh_put(log->fresh, change, rec.version);
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

/* ---- life --------------------------------------------------------------- */

struct rep_log *rep_log_new(size_t bytes, struct rep_floor *floors)
{
    struct rep_log *log;

    assert(bytes >= REP_LOG_BYTES_MIN);
    log = aligned_alloc(LOG_CACHE_LINE, sizeof(*log));
    if (log == NULL) {
        return NULL;
    }
    memset(log, 0, sizeof(*log));
    log->ring = malloc(bytes + LOG_RECORD_MAX);
    log->fresh = rep_fresh_new(bytes / FRESH_SHARE);
    if (log->ring == NULL || log->fresh == NULL) {
        rep_log_free(log);
        return NULL;
    }
    log->bytes = bytes;
    log->floors = floors;
    /* What is kept may begin and end within a segment. */
    while (bytes >> log->segment_shift > LOG_SEGMENTS - 2) {
        log->segment_shift++;
    }
    log->observer = (struct store_observer){.ctx = log,
                                            .change = on_change,
                                            .removed = on_removed,
                                            .floor = on_floor};
    lock_take(&log->lock, LOCK_REP_LOG);
    readers_changed_locked(log);
    lock_drop(&log->lock, LOCK_REP_LOG);
    return log;
}

void rep_log_free(struct rep_log *log)
{
    if (log != NULL) {
        rep_fresh_free(log->fresh);
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
        *pos = log_head_of(log);
        log->readers[found] = (struct log_reader){
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
    assert(log_head_of(log) == 0 && log->top == 0);
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

static void forgive_locked(struct log_reader *r)
{
    lock_assert(LOCK_REP_LOG);
    r->lost = r->lost_touch = false;
    r->lost_version = UINT64_MAX;
}

void rep_log_ack(struct rep_log *log, int reader, uint64_t pos)
{
    struct log_reader *r;

    lock_take(&log->lock, LOCK_REP_LOG);
    r = reader_of(log, reader);
    assert(pos <= log_head_of(log));
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
    struct log_reader *r;
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
    struct log_reader *r;

    lock_take(&log->lock, LOCK_REP_LOG);
    r = reader_of(log, reader);
    r->lost = true;
    r->lost_touch |= touched;
    r->lost_version = log_least_of(r->lost_version, version);
    readers_changed_locked(log);
    lock_drop(&log->lock, LOCK_REP_LOG);
}

/* Appends what is no news of the store's. */
static void append_old(struct rep_log *log, const struct log_record *rec,
                       const char *key)
{
    bool wake;

    lock_take(&log->lock, LOCK_REP_LOG);
    assert(rec->target == 0 || log->readers[rec->target - 1].open);
    wake = append_locked(log, rec, key);
    lower_locked(log, rec);
    lock_drop(&log->lock, LOCK_REP_LOG);
    if (wake && log->wake != NULL) {
        log->wake(log->wake_ctx);
    }
}

static void append_for(struct rep_log *log, int reader, enum store_op op,
                       const struct store_key *key, uint64_t version,
                       uint8_t hops)
{
    struct log_record rec = {.version = version,
                             .hops = hops,
                             .nkey = (uint8_t)key->len,
                             .op = (uint8_t)op,
                             .target = (uint8_t)(reader + 1)};

    append_old(log, &rec, key->ptr);
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

/* Logged before it is raised: the table may let go of it at once, and then
 * tells by the low marks who missed it. */
bool rep_log_raise_floor(struct rep_log *log, int reader, uint64_t hash,
                         uint64_t version, uint8_t hops)
{
    struct log_record rec = {.version = version,
                             .hops = hops,
                             .nkey = sizeof(hash),
                             .op = REP_LOG_OP_FLOOR,
                             .source = (uint8_t)(reader + 1)};
    const struct store_change relayed = {.source = rec.source};

    if (rep_floor_get(log->floors, hash) >= version) {
        return false;
    }
    if (is_logged(log, &relayed)) {
        append_old(log, &rec, (const char *)&hash);
    }
    (void)rep_floor_raise(log->floors, hash, version);
    return true;
}

/* ---- positions ---------------------------------------------------------- */

uint64_t rep_log_head(struct rep_log *log)
{
    return log_head_of(log);
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
    sleep = pos == log_head_of(log);
    log->sleeping = log->sleeping || sleep;
    lock_drop(&log->lock, LOCK_REP_LOG);
    return sleep;
}

/* ---- low marks ---------------------------------------------------------- */

/* The least version that the reader has not acknowledged, or less. What it
 * lost and took is the scan's. */
static uint64_t least_unacked_locked(struct rep_log *log,
                                     const struct log_reader *r)
{
    uint64_t step = UINT64_C(1) << log->segment_shift;
    uint64_t at = r->acked > log->oldest ? r->acked : log->oldest;
    /* Drawn and not yet appended is nothing: that takes the lock. */
    uint64_t low = version_last();

    lock_assert(LOCK_REP_LOG);
    if (at < log_head_of(log)) {
        for (at -= at % step; at < log->segment_end; at += step) {
            low = log_least_of(low, *least_at(log, at));
        }
    }
    return r->lost ? log_least_of(low, r->lost_version) : low;
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
    struct log_reader *r;
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
