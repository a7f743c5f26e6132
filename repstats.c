#include "repstats.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/product.h"
#include "base/util.h"
#include "settings.h"

void repstats_copy(struct repstats *to, const struct repstats *from)
{
    memcpy(to, from,
           offsetof(struct repstats, peer) +
               from->npeers * sizeof(from->peer[0]));
}

void repstats_add(struct rep_link_figures *sum,
                  const struct rep_link_figures *link)
{
    sum->items_sent += link->items_sent;
    sum->items_received += link->items_received;
    sum->bytes_sent += link->bytes_sent;
    sum->bytes_received += link->bytes_received;
    sum->full_copies += link->full_copies;
    sum->partial_copies += link->partial_copies;
    sum->received_copies += link->received_copies;
    sum->full_items += link->full_items;
    sum->partial_items += link->partial_items;
    sum->full_bytes += link->full_bytes;
    sum->partial_bytes += link->partial_bytes;
    sum->conflicts_won += link->conflicts_won;
    sum->conflicts_lost += link->conflicts_lost;
}

/* ---- what is told ------------------------------------------------------ */

/* Of one peer, or of all of them. */
struct told {
    enum rep_link_status status;
    const char *dialect;
    const char *name;
    const char *error;
    uint64_t run;
    uint64_t behind; /* bytes of the log */
    bool in_sync;
    struct rep_link_figures sum; /* lag and skew: the worst */
};

static uint64_t behind_of(const struct repstats *stats,
                          const struct repstats_peer *p)
{
    return p->now.linked ? rep_log_behind(stats->log, p->now.pos) : 0;
}

static bool is_in_sync(const struct repstats *stats,
                       const struct repstats_peer *p)
{
    return p->now.linked && p->status == REP_LINKED &&
           behind_of(stats, p) == 0 &&
           (p->now.legacy || p->now.acked >= p->now.pos);
}

static const char *dialect_of(const struct rep_link_figures *link)
{
    const char *linked = link->legacy ? "legacy" : "repcached3";

    return link->linked ? linked : "none";
}

static void tell_peer(const struct repstats *stats,
                      const struct repstats_peer *p, struct told *told)
{
    *told = (struct told){
        .status = p->status,
        .dialect = dialect_of(&p->now),
        .name = p->name,
        .error = p->error,
        .run = p->now.run,
        .behind = behind_of(stats, p),
        .in_sync = is_in_sync(stats, p),
        .sum = p->past,
    };
    repstats_add(&told->sum, &p->now);
    told->sum.lag_us = p->now.lag_us;
    told->sum.lag_p99_us = p->now.lag_p99_us;
    told->sum.skew_ms = p->now.skew_ms;
}

/* Adds the link of `p` to what is told of all. */
static void tell_of(const struct repstats *stats, const struct repstats_peer *p,
                    struct told *told)
{
    uint64_t behind = behind_of(stats, p);
    const char *dialect = dialect_of(&p->now);
    int64_t skew = p->now.skew_ms;

    repstats_add(&told->sum, &p->now);
    told->in_sync = told->in_sync && is_in_sync(stats, p);
    told->behind = behind > told->behind ? behind : told->behind;
    if (p->now.lag_us > told->sum.lag_us) {
        told->sum.lag_us = p->now.lag_us;
        told->sum.lag_p99_us = p->now.lag_p99_us;
    }
    if (p->now.lag_p99_us > told->sum.lag_p99_us) {
        told->sum.lag_p99_us = p->now.lag_p99_us;
    }
    if (imaxabs(skew) > imaxabs(told->sum.skew_ms)) {
        told->sum.skew_ms = skew;
    }
    if (strcmp(told->dialect, "none") == 0) {
        told->dialect = dialect;
    } else if (strcmp(told->dialect, dialect) != 0) {
        told->dialect = "mixed";
    }
}

/* `names` holds those of all who are linked, with commas between. */
static void tell_all(const struct repstats *stats, struct told *told,
                     char *names, size_t n)
{
    size_t used = 0;

    *told = (struct told){
        .status = stats->status,
        .dialect = "none",
        .name = stats->last,
        .error = stats->error,
        .run = stats->run,
        .in_sync = stats->status == REP_LINKED,
        .sum = stats->past,
    };
    for (unsigned i = 0; i < stats->npeers; i++) {
        const struct repstats_peer *p = &stats->peer[i];

        if (!p->shown || !p->now.linked) {
            continue;
        }
        tell_of(stats, p, told);
        if (used < n) {
            used += (size_t)snprintf(names + used, n - used, "%s%s",
                                     used > 0 ? "," : "", p->name);
            told->name = names;
        }
    }
}

/* ---- rows -------------------------------------------------------------- */

struct rows {
    void (*row)(void *ctx, const char *name, const char *value);
    void *ctx;
    const char *prefix; /* of the names */
};

static void PRINTF(3, 4)
    add_row(const struct rows *rows, const char *name, const char *format, ...)
{
    char prefixed[64];
    char value[REPSTATS_PEERS * REPSTATS_NAME];
    va_list args;

    (void)snprintf(prefixed, sizeof(prefixed), "%s%s", rows->prefix, name);
    va_start(args, format);
    (void)vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    rows->row(rows->ctx, prefixed, value);
}

static void add_count(const struct rows *rows, const char *name, uint64_t n)
{
    add_row(rows, name, "%" PRIu64, n);
}

/* Free places of a queue of the length that -q asked for: the log has bytes,
 * so its free share is told in places. */
static void add_plain(const struct rows *rows, uint64_t behind)
{
    uint64_t queue = (uint64_t)settings.rep_queue;
    uint64_t used = behind < settings.rep_log ? behind : settings.rep_log;

    add_row(rows, "replication", "MASTER");
    add_row(rows, "repcached_version", "%s", PRODUCT_VERSION);
    add_count(rows, "repcached_qi_free",
              queue - (uint64_t)((double)used * (double)queue /
                                 (double)settings.rep_log));
}

/* Changes in so many bytes of the log, about: all there ever were were as long
 * as these. */
static uint64_t keys_in(const struct repstats *stats, uint64_t bytes)
{
    uint64_t written = rep_log_head(stats->log);
    struct rep_log_stats log;

    rep_log_stats(stats->log, &log);
    if (written == 0) {
        return 0;
    }
    return (uint64_t)((double)bytes * (double)log.appended / (double)written +
                      0.999);
}

static void add_state(const struct rows *rows, const struct repstats *stats,
                      const struct told *t)
{
    static const char *const names[] = {
        [REP_LISTENING] = "listening",
        [REP_DIALING] = "dialing",
        [REP_COPYING] = "copying",
        [REP_LINKED] = "linked",
    };

    add_row(rows, "link_status", "%s", names[t->status]);
    add_row(rows, "dialect", "%s", t->dialect);
    add_row(rows, "peer", "%s", t->name[0] != '\0' ? t->name : "none");
    if (t->run != 0) {
        add_row(rows, "run_id", "%016" PRIx64, t->run);
    } else {
        add_row(rows, "run_id", "none");
    }
    add_count(rows, "in_sync", t->in_sync);
    add_count(rows, "queued_keys", keys_in(stats, t->behind));
    add_count(rows, "queued_bytes", t->behind);
}

static void add_sums(const struct rows *rows, const struct rep_link_figures *s)
{
    add_count(rows, "items_sent", s->items_sent);
    add_count(rows, "items_received", s->items_received);
    add_count(rows, "bytes_sent", s->bytes_sent);
    add_count(rows, "bytes_received", s->bytes_received);
    add_count(rows, "full_copies_sent", s->full_copies);
    add_count(rows, "partial_copies_sent", s->partial_copies);
    add_count(rows, "copies_received", s->received_copies);
    add_count(rows, "full_copy_items", s->full_items);
    add_count(rows, "full_copy_bytes", s->full_bytes);
    add_count(rows, "partial_copy_items", s->partial_items);
    add_count(rows, "partial_copy_bytes", s->partial_bytes);
    add_count(rows, "conflicts_won", s->conflicts_won);
    add_count(rows, "conflicts_lost", s->conflicts_lost);
}

static void add_floors(const struct rows *rows, const struct repstats *stats)
{
    struct rep_floor_stats floors;

    rep_floor_stats(stats->floors, &floors);
    add_count(rows, "floors_held", floors.count);
    add_count(rows, "floors_dropped", floors.dropped);
}

static void add_hints(const struct rows *rows, const struct repstats *stats)
{
    struct rep_hints_figures hints;

    rep_hints_figures(stats->hints, &hints);
    add_count(rows, "hints_sent", hints.sent);
    add_count(rows, "hints_dropped", hints.dropped);
    add_count(rows, "hints_received", hints.applied + hints.absent);
    add_count(rows, "hints_absent", hints.absent);
}

static void add_end(const struct rows *rows, const struct told *t)
{
    add_row(rows, "lag_ms", "%.3f", (double)t->sum.lag_us / 1000.0);
    add_row(rows, "lag_p99_ms", "%.3f", (double)t->sum.lag_p99_us / 1000.0);
    add_row(rows, "clock_skew_ms", "%" PRId64, t->sum.skew_ms);
    add_row(rows, "last_error", "%s", t->error[0] != '\0' ? t->error : "none");
}

static bool are_several(const struct repstats *stats)
{
    unsigned configured = 0;
    unsigned linked = 0;

    for (unsigned i = 0; i < stats->npeers; i++) {
        const struct repstats_peer *p = &stats->peer[i];

        configured += p->shown && p->configured;
        linked += p->shown && p->now.linked;
    }
    return configured > 1 || linked > 1;
}

static void add_peers(struct rows *rows, const struct repstats *stats)
{
    for (unsigned i = 0; i < stats->npeers; i++) {
        char prefix[32];
        struct told told;

        if (!stats->peer[i].shown) {
            continue;
        }
        (void)snprintf(prefix, sizeof(prefix), "peer_%u_", i);
        rows->prefix = prefix;
        tell_peer(stats, &stats->peer[i], &told);
        add_state(rows, stats, &told);
        add_sums(rows, &told.sum);
        add_end(rows, &told);
    }
}

void repstats_rows(const struct repstats *stats, bool full,
                   void (*row)(void *ctx, const char *name, const char *value),
                   void *ctx)
{
    struct rows rows = {row, ctx, ""};
    char names[REPSTATS_PEERS * REPSTATS_NAME];
    struct told told;

    tell_all(stats, &told, names, sizeof(names));
    if (!full) {
        add_plain(&rows, told.behind);
        return;
    }
    add_state(&rows, stats, &told);
    add_sums(&rows, &told.sum);
    add_floors(&rows, stats);
    add_hints(&rows, stats);
    add_end(&rows, &told);
    if (are_several(stats)) {
        add_peers(&rows, stats);
    }
}
