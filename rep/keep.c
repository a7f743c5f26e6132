#include "rep/keep.h"

#include "base/bytes.h"

enum {
    FORMAT = 1,
    WALKED = 256, /* floors handed over at a time */
    /* Parts of a record and of the whole, with their ends. */
    FLAG_KNOWN = 1,
    FLAG_SETTLED = 2,
    FLAG_OWED = 4,
    FLAG_TOUCHED = 8,
    FLAG_LOST = 16,
    FLAG_LOST_TOUCH = 32,
};

/* ---- saving -------------------------------------------------------------- */

struct out {
    bool (*put)(const void *p, size_t n);
    bool failed;
};

static void put_u64(struct out *out, uint64_t v)
{
    uint8_t buf[sizeof(v)];

    (void)wr_u64(buf, v);
    out->failed = out->failed || !out->put(buf, sizeof(buf));
}

/* What a reader lost and has not been scanned for. */
struct lost {
    bool any, touch;
    uint64_t version;
};

static uint64_t flags_of(const struct rep_run *r, const struct lost *lost)
{
    return (r->known ? FLAG_KNOWN : 0U) | (r->settled ? FLAG_SETTLED : 0U) |
           (r->scan.owed ? FLAG_OWED : 0U) |
           (r->scan.touched ? FLAG_TOUCHED : 0U) |
           (lost->any ? FLAG_LOST : 0U) | (lost->touch ? FLAG_LOST_TOUCH : 0U);
}

/* The log is not kept: what was not acknowledged of it is lost, and none of it
 * is older than the low mark. */
static struct lost lost_of(const struct rep_keep *keep, const struct rep_run *r)
{
    uint64_t low = rep_log_low(keep->log, r->reader);
    struct lost lost;

    lost.any =
        rep_log_take_lost(keep->log, r->reader, &lost.version, &lost.touch);
    if (rep_log_acked(keep->log, r->reader) < rep_log_head(keep->log)) {
        lost.any = lost.touch = true;
        lost.version = low < lost.version ? low : lost.version;
    }
    return lost;
}

static void put_run(struct out *out, const struct rep_keep *keep,
                    const struct rep_run *r)
{
    struct lost lost = lost_of(keep, r);

    put_u64(out, r->run);
    put_u64(out, r->node);
    put_u64(out, flags_of(r, &lost));
    put_u64(out, r->acked);
    put_u64(out, r->processed);
    put_u64(out, r->scan.before);
    put_u64(out, r->scan.threshold);
    put_u64(out, r->scan.cursor);
    put_u64(out, lost.version);
    for (unsigned i = 0; i < REP_FLOOR_SHARDS; i++) {
        put_u64(out, r->told[i]);
        put_u64(out, rep_floor_missed(keep->floors, r->reader, i));
    }
}

/* In the order in which they linked last; 0 ends them. */
static void put_runs(struct out *out, const struct rep_keep *keep)
{
    const struct rep_run *r = NULL;

    while ((r = rep_runs_next(keep->runs, r)) != NULL) {
        put_run(out, keep, r);
    }
    put_u64(out, 0);
    for (unsigned i = 0; rep_runs_met(keep->runs, i) != 0; i++) {
        put_u64(out, rep_runs_met(keep->runs, i));
    }
    put_u64(out, 0);
    put_u64(out, rep_runs_met_legacy(keep->runs));
}

static void put_floors(struct out *out, struct rep_floor *floors)
{
    struct rep_floor_cursor cursor = {0};
    struct rep_floor_entry entry[WALKED];

    for (unsigned i = 0; i < REP_FLOOR_SHARDS; i++) {
        put_u64(out, rep_floor_past(floors, i));
    }
    while (!cursor.done && !out->failed) {
        size_t n = rep_floor_walk(floors, &cursor, 0, entry, WALKED);

        for (size_t i = 0; i < n; i++) {
            put_u64(out, entry[i].version);
            put_u64(out, entry[i].hash);
        }
    }
    put_u64(out, 0);
}

bool rep_keep_save(const struct rep_keep *keep,
                   bool (*put)(const void *p, size_t n))
{
    struct out out = {.put = put};

    put_u64(&out, FORMAT);
    put_u64(&out, keep->run);
    put_u64(&out, keep->unlinked_since);
    put_u64(&out, rep_log_head(keep->log));
    put_runs(&out, keep);
    put_floors(&out, keep->floors);
    return !out.failed;
}

/* ---- loading ------------------------------------------------------------- */

/* Its reader begins at the head, with what it lost. The low mark follows from
 * that, unless a scan is owed: then it is 0 until that was made. */
static bool make_run(const struct rep_keep *keep, const struct rep_run *record,
                     const struct lost *lost, const uint64_t *missed)
{
    struct rep_run *r = rep_runs_restore(keep->runs, record);

    if (r == NULL) {
        return false;
    }
    if (lost->any) {
        rep_log_put_lost(keep->log, r->reader, lost->version, lost->touch);
    }
    for (unsigned i = 0; i < REP_FLOOR_SHARDS; i++) {
        rep_floor_raise_missed(keep->floors, r->reader, i, missed[i]);
    }
    if (r->settled && !r->scan.owed) {
        r->low = rep_log_raise_low(keep->log, r->reader);
    }
    return true;
}

/* The rest of a record, whose run was read. Its reader watches the floors
 * before there are any: what it missed is told, not what is past. */
static bool load_run(struct rd *in, const struct rep_keep *keep, uint64_t run)
{
    struct rep_run r = {.run = run, .node = rd_u64(in)};
    uint64_t flags = rd_u64(in), missed[REP_FLOOR_SHARDS];
    struct lost lost = {(flags & FLAG_LOST) != 0,
                        (flags & FLAG_LOST_TOUCH) != 0, 0};

    r.known = (flags & FLAG_KNOWN) != 0;
    r.settled = (flags & FLAG_SETTLED) != 0;
    r.scan.owed = (flags & FLAG_OWED) != 0;
    r.scan.touched = (flags & FLAG_TOUCHED) != 0;
    r.acked = rd_u64(in);
    r.processed = rd_u64(in);
    r.scan.before = rd_u64(in);
    r.scan.threshold = rd_u64(in);
    r.scan.cursor = rd_u64(in);
    lost.version = rd_u64(in);
    for (unsigned i = 0; i < REP_FLOOR_SHARDS; i++) {
        r.told[i] = rd_u64(in);
        missed[i] = rd_u64(in);
    }
    return !in->bad && make_run(keep, &r, &lost, missed);
}

static bool load_runs(struct rd *in, const struct rep_keep *keep)
{
    uint64_t run, node;

    while ((run = rd_u64(in)) != 0) {
        if (!load_run(in, keep, run)) {
            return false;
        }
    }
    while ((node = rd_u64(in)) != 0) {
        rep_runs_restore_met(keep->runs, node, false);
    }
    if (rd_u64(in) != 0) {
        rep_runs_restore_met(keep->runs, 0, true);
    }
    return !in->bad;
}

static bool load_floors(struct rd *in, struct rep_floor *floors)
{
    uint64_t version;

    for (unsigned i = 0; i < REP_FLOOR_SHARDS; i++) {
        rep_floor_raise_past(floors, i, rd_u64(in));
    }
    while ((version = rd_u64(in)) != 0) {
        uint64_t hash = rd_u64(in);

        if (in->bad) {
            return false;
        }
        (void)rep_floor_raise(floors, hash, version);
    }
    return rd_done(in);
}

bool rep_keep_load(struct rep_keep *keep, const void *p, size_t n)
{
    struct rd in = {.p = p, .end = (const uint8_t *)p + n};

    if (rd_u64(&in) != FORMAT) {
        return false;
    }
    keep->run = rd_u64(&in);
    keep->unlinked_since = rd_u64(&in);
    rep_log_start_at(keep->log, rd_u64(&in));
    return !in.bad && load_runs(&in, keep) && load_floors(&in, keep->floors);
}
