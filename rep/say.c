#include "rep/say.h"

#include <string.h>

#include "base/hash.h"
#include "rep/fresh.h"

enum {
    /* What -I counts for an item beside key, value and flags. */
    ITEM_OVERHEAD = 59,
    /* Entries of a batch that are looked up ahead. */
    AHEAD_STRIPE = 12,
    AHEAD_BUCKET = 6,
    AHEAD_ITEM = 12
};

static bool too_large(const struct rep_say *say, const struct item *it)
{
    return (uint64_t)it->nbytes + it->nkey + ITEM_OVERHEAD +
               (it->bits & ITEM_HAS_FLAGS ? 4U : 0U) >
           say->item_size_max;
}

static struct frame_msg message_of(const struct item *it, uint8_t hops)
{
    struct frame_msg msg = {
        .type = FRAME_ITEM,
        .bits = rep_fresh_bits(it->bits),
        .nkey = it->nkey,
        .hops = hops,
        .flags = item_flags(it),
        .exptime = it->exptime,
        .nbytes = it->nbytes,
        .version = it->version,
        .key = item_key(it),
    };
    uint64_t cas = item_stored_cas(it);

    if (cas != it->version) {
        msg.bits |= FRAME_HAS_CAS;
        msg.cas = cas;
    }
    return msg;
}

bool rep_say_delete(struct rep_say *say, const char *key, uint8_t nkey,
                    uint64_t version, uint8_t hops)
{
    struct frame_msg msg = {
        .type = FRAME_DELETE,
        .nkey = nkey,
        .hops = hops,
        .version = version,
        .key = key,
    };

    if (!rep_out_put(say->out, &msg)) {
        return false;
    }
    say->removals++;
    return true;
}

bool rep_say_floor(struct rep_say *say, uint64_t hash, uint64_t version,
                   uint8_t hops)
{
    struct frame_msg msg = {
        .type = FRAME_FLOOR, .hops = hops, .version = version, .hash = hash};

    if (!rep_out_put(say->out, &msg)) {
        return false;
    }
    say->removals++;
    return true;
}

bool rep_say_flush(struct rep_say *say, uint8_t hops)
{
    struct frame_msg barrier = {
        .type = FRAME_BARRIER, .hops = hops, .version = store_barrier()};
    struct frame_msg later = {.type = FRAME_FLUSH_AT, .hops = hops};
    uint32_t at = 0;

    if (barrier.version != 0 && !rep_out_put(say->out, &barrier)) {
        return false;
    }
    /* Told after its time, too: one that it replaced may be to come there. */
    if (!store_flush_register(&later.version, &at)) {
        return true;
    }
    if (at != 0) {
        later.at_ms = (uint64_t)at * 1000;
        return rep_out_put(say->out, &later);
    }
    if (later.version != barrier.version) {
        barrier.version = later.version;
        return rep_out_put(say->out, &barrier);
    }
    return true;
}

/* ---- items; stripe held ---------------------------------------------------
 */

static enum rep_said say_touch(struct rep_say *say, const struct item *it,
                               uint8_t hops)
{
    struct frame_msg msg = {
        .type = FRAME_TOUCH,
        .nkey = it->nkey,
        .hops = hops,
        .exptime = it->exptime,
        .version = it->version,
        .key = item_key(it),
    };

    if (say->credit == 0 || !rep_out_put(say->out, &msg)) {
        return REP_SAID_FULL;
    }
    say->credit--;
    say->items++;
    return REP_SAID;
}

/* Names the item: a peer that lacks it wants it. One that was touched goes
 * with its expiry, since its version is what it was. */
static enum rep_said offer(struct rep_say *say, const struct item *it,
                           uint8_t hops)
{
    struct frame_msg msg = {
        .type = FRAME_OFFER,
        .nkey = it->nkey,
        .hops = hops,
        .version = it->version,
        .key = item_key(it),
    };

    if ((it->bits & ITEM_TOUCHED) != 0) {
        return say_touch(say, it, hops);
    }
    if (say->credit == 0 || !rep_out_put(say->out, &msg)) {
        return REP_SAID_FULL;
    }
    say->credit--;
    say->items++;
    return REP_SAID;
}

static enum rep_said say_value(struct rep_say *say, struct item *it,
                               uint8_t hops)
{
    struct frame_msg msg = message_of(it, hops);
    uint8_t *p;

    if (it->nbytes > FRAME_WHOLE_MAX) {
        if (say->out->large != NULL) {
            return REP_SAID_BUSY;
        }
        msg.type = FRAME_ITEM_BEGIN;
        if (!rep_out_begin_large(say->out, &msg, it)) {
            return REP_SAID_FULL;
        }
    } else {
        p = rep_out_put_head(say->out, &msg);
        if (p == NULL) {
            return REP_SAID_FULL;
        }
        item_copy_out(it, 0, p, it->nbytes);
    }
    say->items++;
    return REP_SAID;
}

static bool was_missed(const struct rep_say *say, const struct item *it)
{
    uint64_t hash;

    if (say->cells == 0) {
        return false;
    }
    hash = hash_key_agreed(item_key(it), it->nkey);
    return it->version <= say->missed[(hash >> 32) * say->cells >> 32];
}

enum rep_said rep_say_item(struct rep_say *say, struct item *it)
{
    if (was_missed(say, it)) {
        return offer(say, it, 0);
    }
    if (too_large(say, it)) {
        return rep_say_delete(say, item_key(it), it->nkey, it->version, 0)
                   ? REP_SAID
                   : REP_SAID_FULL;
    }
    return say_value(say, it, 0);
}

enum rep_said rep_say_below(struct rep_say *say, struct item *it, bool touched)
{
    if (was_missed(say, it)) {
        return offer(say, it, 0);
    }
    if (touched && (it->bits & ITEM_TOUCHED) != 0 && !too_large(say, it)) {
        return say_touch(say, it, 0);
    }
    return REP_SAID;
}

/* ---- entries of the log ----------------------------------------------------
 */

/* Nothing there: at least as old as the entry, and as any floor. (What a look
 * at it found expired has just left one.) A touch tells no such version: what
 * it touched was evicted, or deleted by a later entry. */
static bool say_absent(struct rep_say *say, const struct rep_log_entry *e)
{
    uint64_t version = e->op == STORE_OP_TOUCH ? 0 : e->version;
    uint64_t floor =
        rep_floor_get(say->floors, hash_key_agreed(e->key, e->nkey));

    version = floor > version ? floor : version;
    if (version == 0) {
        return true;
    }
    /* It sent what our flush killed: the barrier is what it lacks. */
    if (e->target != 0 && version <= store_barrier() &&
        !rep_say_flush(say, e->hops)) {
        return false;
    }
    return rep_say_delete(say, e->key, e->nkey, version, e->hops);
}

static enum rep_said say_present(struct rep_say *say,
                                 const struct rep_log_entry *e, struct item *it)
{
    bool wanted = e->target != 0; /* it asked, or sent something older */

    if (!wanted && was_missed(say, it)) {
        return offer(say, it, e->hops);
    }
    if (too_large(say, it)) {
        return rep_say_delete(say, e->key, e->nkey, it->version, e->hops)
                   ? REP_SAID
                   : REP_SAID_FULL;
    }
    if (!wanted && e->op == STORE_OP_TOUCH) {
        return say_touch(say, it, e->hops);
    }
    if (!wanted && e->source != 0) {
        return offer(say, it, e->hops);
    }
    return say_value(say, it, e->hops);
}

/* One that was relayed. As for a key, what is known by now. */
static bool say_hash(struct rep_say *say, const struct rep_log_entry *e)
{
    uint64_t hash, floor;

    memcpy(&hash, e->key, sizeof(hash));
    floor = rep_floor_get(say->floors, hash);
    return rep_say_floor(say, hash, floor > e->version ? floor : e->version,
                         e->hops);
}

/* The entry so far ahead, if its key will be looked up. */
static const struct rep_log_entry *ahead(const struct rep_log_batch *batch,
                                         unsigned i)
{
    const struct rep_log_entry *e = i < batch->n ? &batch->entry[i] : NULL;

    return e != NULL && e->fresh == 0 && e->op != REP_LOG_OP_FLOOR ? e : NULL;
}

void rep_say_ahead(const struct rep_log_batch *batch, unsigned i)
{
    const struct rep_log_entry *e = ahead(batch, i + AHEAD_STRIPE);

    if (e != NULL) {
        store_prefetch_stripe(e->hv);
    }
    e = ahead(batch, i + AHEAD_BUCKET);
    if (e != NULL) {
        store_prefetch_bucket(e->hv);
    }
    e = ahead(batch, i + AHEAD_ITEM);
    if (e != NULL) {
        store_prefetch_place(e->place);
    }
}

/* As it was at that version: what became of it since has an entry of its own.
 * NULL: its present state has to be seen. */
static const uint8_t *fresh_of(const struct rep_say *say,
                               const struct rep_log_entry *e, size_t *n)
{
    const uint8_t *item = e->target == 0 && say->cells == 0
                              ? rep_log_fresh(say->log, e, n)
                              : NULL;

    return item != NULL && *n + ITEM_OVERHEAD <= say->item_size_max ? item
                                                                    : NULL;
}

enum rep_said rep_say_entry(struct rep_say *say, const struct rep_log_entry *e)
{
    struct store_key key = {e->key, e->nkey, e->hv};
    enum rep_said said;
    struct item *it;
    size_t n = 0;
    const uint8_t *fresh = fresh_of(say, e, &n);

    if (fresh != NULL) {
        if (!rep_out_put_item(say->out, fresh, n)) {
            return REP_SAID_FULL;
        }
        say->items++;
        return REP_SAID;
    }
    if (e->hops > say->hops_max && e->target == 0) {
        return REP_SAID;
    }
    if (e->op == STORE_OP_FLUSH) {
        return rep_say_flush(say, e->hops) ? REP_SAID : REP_SAID_FULL;
    }
    if (e->op == REP_LOG_OP_FLOOR) {
        return say_hash(say, e) ? REP_SAID : REP_SAID_FULL;
    }
    it = store_hold(&key, NULL);
    if (it == NULL) {
        return say_absent(say, e) ? REP_SAID : REP_SAID_FULL;
    }
    said = say_present(say, e, it);
    store_release(it);
    return said;
}
