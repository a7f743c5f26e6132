/* The log as its readers have it: batches, in which a key is only once. */
#include <sys/uio.h>

#include "base/hash.h"
#include "rep/log_internal.h"

/* Copies bytes from `pos` on, in one short hold. The last record of the piece
 * may be cut off. */
static enum rep_log_status copy_piece(struct rep_log *log, uint64_t pos,
                                      char *buf, size_t *len)
{
    enum rep_log_status status = REP_LOG_OK;
    uint64_t at = pos % log->bytes;
    uint64_t n = log_least_of(*len, LOG_PIECE);
    uint64_t head = log_head_of(log);

    if (pos == head) {
        return REP_LOG_END;
    }
    lock_take(&log->lock, LOCK_REP_LOG);
    head = log_head_of(log);
    if (pos < log->oldest || pos > head) {
        status = REP_LOG_GONE;
    } else {
        n = log_least_of(n, head - pos);
        n = log_least_of(n, log->bytes + LOG_RECORD_MAX - at);
        memcpy(buf, log->ring + at, n);
    }
    lock_drop(&log->lock, LOCK_REP_LOG);
    *len = n;
    return status;
}

/* Finds the place of `e`'s key: taken by an earlier entry (*old), or free. */
static unsigned merge_find(const struct log_merge *m,
                           struct rep_log_batch *batch,
                           const struct rep_log_entry *e,
                           struct rep_log_entry **old)
{
    unsigned place = (unsigned)(e->hv % LOG_MERGE);

    for (*old = NULL;; place = (place + 1) % LOG_MERGE) {
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
    if (old->version > e->version) {
        e->version = old->version;
        e->fresh = 0;
    }
    e->op = e->op == STORE_OP_TOUCH ? old->op : e->op;
    e->hops = old->hops < e->hops ? old->hops : e->hops;
    e->source = old->source == 0 ? 0 : e->source;
    e->target = e->target == 0 ? old->target : e->target;
    old->nkey = 0; /* void: batch_compact takes it out */
}

static void batch_add(struct rep_log_batch *batch, struct log_merge *m,
                      const struct log_record *rec, const char *key)
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
    e->fresh = rec->fresh;
    if (rec->op == STORE_OP_FLUSH) {
        e->hv = 0;
        e->key = NULL;
        m->from = batch->n + 1; /* never merge across a flush */
    } else {
        /* The bytes of a floor's hash may be a key, too. */
        e->hv = rec->op == REP_LOG_OP_FLOOR ? ~hash_key(key, e->nkey)
                                            : hash_key(key, e->nkey);
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
    struct log_record rec;
    size_t used = 0, len;

    while (batch->n < REP_LOG_BATCH && piece.iov_len - used >= LOG_HEADER &&
           batch->next < lap_end) {
        log_record_get((const unsigned char *)p + used, &rec);
        len = LOG_HEADER + (size_t)rec.nkey;
        if (piece.iov_len - used < len) {
            break;
        }
        if (!rep_fresh_shows(&log->view, batch->next)) {
            rec.fresh = 0;
        }
        if (log_is_for(&rec, (unsigned)reader)) {
            batch_add(batch, &log->merge, &rec, p + used + LOG_HEADER);
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

void rep_log_turn(struct rep_log *log)
{
    lock_take(&log->lock, LOCK_REP_LOG);
    rep_fresh_turn(log->fresh, log_head_of(log), &log->view);
    lock_drop(&log->lock, LOCK_REP_LOG);
}

const uint8_t *rep_log_fresh(const struct rep_log *log,
                             const struct rep_log_entry *e, size_t *n)
{
    return e->fresh != 0 && rep_fresh_shows(&log->view, e->pos)
               ? rep_fresh_get(&log->view, e->fresh, n)
               : NULL;
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
             REP_LOG_BATCH_RAW - filled >= LOG_RECORD_MAX);
    if (log->merge.voids) {
        batch_compact(batch);
    }
    /* What came before an end or a gap is good. */
    return batch->next > pos ? REP_LOG_OK : status;
}
