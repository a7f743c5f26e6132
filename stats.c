#include "stats.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/product.h"
#include "counters.h"
#include "crawler.h"
#include "mover.h"
#include "prefix.h"
#include "proto/meta.h"
#include "proto/text.h"
#include "rebalance.h"
#include "reply.h"
#include "settings.h"
#include "store.h"
#include "store_stats.h"
#include "watch.h"

enum {
    ROW_MAX = 128,              /* a row's value that is formatted */
    DUMP_MAX = 2 * 1024 * 1024, /* bytes of a cachedump */
    DUMP_LINE_REST = 64,        /* of a cachedump line beside the key */
    RESERVED_FDS = 5,           /* a worker */
    UPTIME_HEAD_START = 2,      /* stock's uptime starts at two seconds */
    CLOCK_HEAD_START = 62,      /* its clock a minute before that */
};

/* ---- rows, whatever becomes of them ------------------------------------- */

struct rows {
    stats_row *row;
    void *ctx;
    bool failed; /* out of memory */
};

static void row_text(struct rows *t, const char *name, const char *value)
{
    t->row(t->ctx, name, value);
}

static void row(struct rows *t, const char *name, const char *format, ...)
    PRINTF(3, 4);

static void row(struct rows *t, const char *name, const char *format, ...)
{
    char value[ROW_MAX];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(value, sizeof(value), format, ap); /* cut when too long */
    va_end(ap);
    row_text(t, name, value);
}

static void row_u64(struct rows *t, const char *name, uint64_t value)
{
    row(t, name, "%" PRIu64, value);
}

/* ---- stats ------------------------------------------------------------ */

static void process_rows(struct rows *t, const struct command_host *host)
{
    struct rusage use = {0};

    (void)getrusage(RUSAGE_SELF, &use); /* cannot fail for this process */
    row(t, "pid", "%ld", (long)getpid());
    row_u64(t, "uptime", clock_seconds() - clock_started() + UPTIME_HEAD_START);
    row_u64(t, "time", clock_seconds());
    row_text(t, "version", PRODUCT_BASE_VERSION);
    row_text(t, "libevent", host->libevent_version);
    row_u64(t, "pointer_size", 8 * sizeof(void *));
    row(t, "rusage_user", "%ld.%06ld", (long)use.ru_utime.tv_sec,
        (long)use.ru_utime.tv_usec);
    row(t, "rusage_system", "%ld.%06ld", (long)use.ru_stime.tv_sec,
        (long)use.ru_stime.tv_usec);
}

static void connection_rows(struct rows *t, const struct command_host *host,
                            const struct counters_sum *c)
{
    row(t, "max_connections", "%d", settings.maxconns);
    row_u64(t, "curr_connections", host->gauge(GAUGE_CURR_CONNECTIONS));
    row_u64(t, "total_connections", c->total_connections);
    if (settings.maxconns_fast) {
        row_u64(t, "rejected_connections", c->rejected_connections);
    }
    row_u64(t, "connection_structures",
            host->gauge(GAUGE_CONNECTION_STRUCTURES));
    row_u64(t, "response_obj_oom", c->response_obj_oom);
    row_u64(t, "response_obj_count", 0); /* replies are no objects here */
    row_u64(t, "response_obj_bytes", 0);
    row_u64(t, "read_buf_count", host->gauge(GAUGE_READ_BUF_COUNT));
    row_u64(t, "read_buf_bytes", host->gauge(GAUGE_READ_BUF_BYTES));
    row_u64(t, "read_buf_bytes_free", host->gauge(GAUGE_READ_BUF_FREE));
    row_u64(t, "read_buf_oom", c->read_buf_oom);
    row(t, "reserved_fds", "%d", RESERVED_FDS * settings.num_threads);
}

static void command_rows(struct rows *t, const struct counters_sum *c)
{
    row_u64(t, "cmd_get", c->cmd_get);
    row_u64(t, "cmd_set", c->cmd_set);
    row_u64(t, "cmd_flush", c->cmd_flush);
    row_u64(t, "cmd_touch", c->cmd_touch);
    row_u64(t, "cmd_meta", c->cmd_meta);
    row_u64(t, "get_hits", c->get_hits);
    row_u64(t, "get_misses", c->get_misses);
    row_u64(t, "get_expired", c->get_expired);
    row_u64(t, "get_flushed", c->get_flushed);
    row_u64(t, "delete_misses", c->delete_misses);
    row_u64(t, "delete_hits", c->delete_hits);
    row_u64(t, "incr_misses", c->incr_misses);
    row_u64(t, "incr_hits", c->incr_hits);
    row_u64(t, "decr_misses", c->decr_misses);
    row_u64(t, "decr_hits", c->decr_hits);
    row_u64(t, "cas_misses", c->cas_misses);
    row_u64(t, "cas_hits", c->cas_hits);
    row_u64(t, "cas_badval", c->cas_badval);
    row_u64(t, "touch_hits", c->touch_hits);
    row_u64(t, "touch_misses", c->touch_misses);
    row_u64(t, "store_too_large", c->store_too_large);
    row_u64(t, "store_no_memory", c->store_no_memory);
    row_u64(t, "auth_cmds", c->auth_cmds);
    row_u64(t, "auth_errors", c->auth_errors);
}

static void network_rows(struct rows *t, const struct command_host *host,
                         const struct counters_sum *c)
{
    if (settings.idle_timeout != 0) {
        row_u64(t, "idle_kicks", c->idle_kicks);
    }
    row_u64(t, "bytes_read", c->bytes_read);
    row_u64(t, "bytes_written", c->bytes_written);
    row_u64(t, "limit_maxbytes", store_limit());
    row_u64(t, "accepting_conns", host->accepting() ? 1 : 0);
    row_u64(t, "listen_disabled_num", c->listen_disabled_num);
    row_u64(t, "time_in_listen_disabled_us", c->time_in_listen_disabled_us);
    row(t, "threads", "%d", settings.num_threads);
    row_u64(t, "conn_yields", c->conn_yields);
}

/* The power of two that the index has room for. */
static uint64_t power_level(uint64_t slots)
{
    return slots == 0 ? 0 : (uint64_t)(63 - __builtin_clzll(slots));
}

static void index_rows(struct rows *t, const struct store_totals *s)
{
    row_u64(t, "hash_power_level", power_level(s->index_slots));
    row_u64(t, "hash_bytes", s->hash_bytes);
    row_u64(t, "hash_is_expanding", 0); /* it grows a stripe at a time */
}

static void tls_rows(struct rows *t, const struct command_host *host,
                     const struct counters_sum *c)
{
    uint32_t refreshed;

    if (!settings.ssl_enabled) {
        return;
    }
    if (settings.ssl_session_cache) {
        row_u64(t, "ssl_new_sessions", c->ssl_new_sessions);
    }
    row_u64(t, "ssl_handshake_errors", c->ssl_handshake_errors);
    row_u64(t, "ssl_proto_errors", c->ssl_proto_errors);
    refreshed = host->certs_refreshed();
    row_u64(t, "time_since_server_cert_refresh",
            clock_seconds() - (refreshed != 0
                                   ? refreshed
                                   : clock_started() - CLOCK_HEAD_START));
}

static void mover_rows(struct rows *t)
{
    struct rebalance_stats r;

    rebalance_stats(&r);
    row_u64(t, "slab_reassign_rescues", r.rescues);
    row_u64(t, "slab_reassign_chunk_rescues", r.chunk_rescues);
    row_u64(t, "slab_reassign_inline_reclaim", r.inline_reclaim);
    row_u64(t, "slab_reassign_busy_items", r.busy_items);
    row_u64(t, "slab_reassign_busy_deletes", r.busy_deletes);
    row_u64(t, "slab_reassign_busy_nomem", r.busy_nomem);
    row_text(t, "slab_reassign_last_busy_status", r.last_busy);
    row_u64(t, "slab_reassign_running", mover_is_running() ? 1 : 0);
    row_u64(t, "slabs_moved", r.moved);
}

/* Of the threads in the background; rows of work that is done elsewhere here
 * are 0: tools look for them. */
static void background_rows(struct rows *t, const struct command_host *host,
                            const struct counters_sum *c)
{
    if (settings.slab_reassign) {
        mover_rows(t);
    }
    if (crawler_is_enabled()) {
        row_u64(t, "lru_crawler_running", crawler_is_running() ? 1 : 0);
        row_u64(t, "lru_crawler_starts", crawler_starts());
    }
    if (settings.lru_maintainer) {
        row_u64(t, "lru_maintainer_juggles", 0);
    }
    row_u64(t, "malloc_fails", c->malloc_fails);
    row_u64(t, "log_worker_dropped", c->log_worker_dropped);
    row_u64(t, "log_worker_written", c->log_worker_written);
    row_u64(t, "log_watcher_skipped", c->log_watcher_skipped);
    row_u64(t, "log_watcher_sent", c->log_watcher_sent);
    row_u64(t, "log_watchers", watch_count());
    tls_rows(t, host, c);
    row_u64(t, "unexpected_napi_ids", c->unexpected_napi_ids);
    row_u64(t, "round_robin_fallback", c->round_robin_fallback);
}

static uint64_t all_reflocked(void)
{
    struct store_class_stats s;
    uint64_t sum = 0;

    for (unsigned c = 1; c <= store_class_max(); c++) {
        sum += store_class_stats(c, &s) ? s.lrutail_reflocked : 0;
    }
    return sum;
}

static void item_rows(struct rows *t, const struct store_totals *s)
{
    struct crawler_stats crawls;

    crawler_stats(0, &crawls);
    row_u64(t, "bytes", s->bytes);
    row_u64(t, "curr_items", s->curr_items);
    row_u64(t, "total_items", s->total_items);
    row_u64(t, "slab_global_page_pool", s->pool_pages);
    row_u64(t, "expired_unfetched", s->expired_unfetched);
    row_u64(t, "evicted_unfetched", s->evicted_unfetched);
    if (settings.lru_maintainer) {
        row_u64(t, "evicted_active", s->evicted_active);
    }
    row_u64(t, "evictions", s->evictions);
    row_u64(t, "reclaimed", s->reclaimed);
    row_u64(t, "crawler_reclaimed", crawls.reclaimed);
    row_u64(t, "crawler_items_checked", crawls.checked);
    row_u64(t, "lrutail_reflocked", all_reflocked());
    if (settings.lru_maintainer) {
        row_u64(t, "moves_to_cold", s->moves_to_cold);
        row_u64(t, "moves_to_warm", s->moves_to_warm);
        row_u64(t, "moves_within_lru", s->moves_within_lru);
        row_u64(t, "direct_reclaims", s->direct_reclaims);
        row_u64(t, "lru_bumps_dropped", 0);
    }
}

static void all_general(struct rows *t, const struct command_host *host)
{
    struct counters_sum c;
    struct store_totals s;

    counters_sum(&c);
    store_totals(&s);
    process_rows(t, host);
    connection_rows(t, host, &c);
    command_rows(t, &c);
    network_rows(t, host, &c);
    index_rows(t, &s);
    background_rows(t, host, &c);
    item_rows(t, &s);
    if (host->stats_replication != NULL) {
        host->stats_replication(false, t->row, t->ctx);
    }
}

/* ---- stats items, slabs, sizes, settings, conns, replication ----------- */

static void class_row(struct rows *t, const char *group, unsigned slab_class,
                      const char *name, uint64_t value)
{
    char full[ROW_MAX];

    (void)snprintf(full, sizeof(full), "%s%u:%s", group, slab_class, name);
    row_u64(t, full, value);
}

static bool temp_is_shown(void)
{
    bool shown;

    settings_take();
    shown = settings.temp_lru;
    settings_drop();
    return shown;
}

static void queue_rows(struct rows *t, unsigned c,
                       const struct store_class_stats *s)
{
    if (!settings.lru_maintainer) {
        class_row(t, "items:", c, "age", s->age);
        return;
    }
    class_row(t, "items:", c, "number_hot", s->number_small);
    class_row(t, "items:", c, "number_warm", s->number_main_hot);
    class_row(t, "items:", c, "number_cold", s->number_main_cold);
    if (temp_is_shown()) {
        class_row(t, "items:", c, "number_temp", s->number_temp);
    }
    class_row(t, "items:", c, "age_hot", s->age_hot);
    class_row(t, "items:", c, "age_warm", s->age_warm);
    class_row(t, "items:", c, "age", s->age);
}

static void move_rows(struct rows *t, unsigned c,
                      const struct store_class_stats *s,
                      const struct counters_sum *sum)
{
    const uint64_t *hits = sum->hits_to[c];

    class_row(t, "items:", c, "moves_to_cold", s->moves_to_cold);
    class_row(t, "items:", c, "moves_to_warm", s->moves_to_warm);
    class_row(t, "items:", c, "moves_within_lru", s->moves_within_lru);
    class_row(t, "items:", c, "direct_reclaims", s->direct_reclaims);
    class_row(t, "items:", c, "hits_to_hot", hits[HITS_HOT]);
    class_row(t, "items:", c, "hits_to_warm", hits[HITS_WARM]);
    class_row(t, "items:", c, "hits_to_cold", hits[HITS_COLD]);
    class_row(t, "items:", c, "hits_to_temp", hits[HITS_TEMP]);
}

static void items_class(struct rows *t, unsigned c,
                        const struct store_class_stats *s,
                        const struct counters_sum *sum)
{
    struct crawler_stats crawls;
    uint64_t number = s->number_small + s->number_main_hot +
                      s->number_main_cold + s->number_temp;

    if (number == 0) {
        return;
    }
    crawler_stats(c, &crawls);
    class_row(t, "items:", c, "number", number);
    queue_rows(t, c, s);
    class_row(t, "items:", c, "mem_requested", s->mem_requested);
    class_row(t, "items:", c, "evicted", s->evicted);
    class_row(t, "items:", c, "evicted_nonzero", s->evicted_nonzero);
    class_row(t, "items:", c, "evicted_time", s->evicted_time);
    class_row(t, "items:", c, "outofmemory", s->outofmemory);
    class_row(t, "items:", c, "tailrepairs", s->tailrepairs);
    class_row(t, "items:", c, "reclaimed", s->reclaimed);
    class_row(t, "items:", c, "expired_unfetched", s->expired_unfetched);
    class_row(t, "items:", c, "evicted_unfetched", s->evicted_unfetched);
    if (settings.lru_maintainer) {
        class_row(t, "items:", c, "evicted_active", s->evicted_active);
    }
    class_row(t, "items:", c, "crawler_reclaimed", crawls.reclaimed);
    class_row(t, "items:", c, "crawler_items_checked", crawls.checked);
    class_row(t, "items:", c, "lrutail_reflocked", s->lrutail_reflocked);
    if (settings.lru_maintainer) {
        move_rows(t, c, s, sum);
    }
}

static void all_items(struct rows *t, const struct command_host *host)
{
    struct counters_sum sum;
    struct store_class_stats s;

    (void)host;
    counters_sum(&sum);
    for (unsigned c = 1; c <= store_class_max(); c++) {
        if (store_class_stats(c, &s)) {
            items_class(t, c, &s, &sum);
        }
    }
}

/* Rows of one class; false when it has no page. */
static bool slabs_rows(struct rows *t, unsigned c,
                       const struct store_class_stats *s, const uint64_t *by)
{
    static const char *const names[CLASS_COUNTERS] = {
        [CLASS_GET_HITS] = "get_hits",       [CLASS_CMD_SET] = "cmd_set",
        [CLASS_DELETE_HITS] = "delete_hits", [CLASS_INCR_HITS] = "incr_hits",
        [CLASS_DECR_HITS] = "decr_hits",     [CLASS_CAS_HITS] = "cas_hits",
        [CLASS_CAS_BADVAL] = "cas_badval",   [CLASS_TOUCH_HITS] = "touch_hits",
    };

    if (s->total_pages == 0) {
        return false;
    }
    class_row(t, "", c, "chunk_size", s->chunk_size);
    class_row(t, "", c, "chunks_per_page", s->chunks_per_page);
    class_row(t, "", c, "total_pages", s->total_pages);
    class_row(t, "", c, "total_chunks", s->total_pages * s->chunks_per_page);
    class_row(t, "", c, "used_chunks", s->used_chunks);
    class_row(t, "", c, "free_chunks", s->free_chunks);
    class_row(t, "", c, "free_chunks_end", 0);
    for (size_t i = 0; i < CLASS_COUNTERS; i++) {
        class_row(t, "", c, names[i], by[i]);
    }
    return true;
}

static void all_slabs(struct rows *t, const struct command_host *host)
{
    struct counters_sum sum;
    struct store_class_stats s;
    struct store_totals totals;
    uint64_t active = 0;

    (void)host;
    counters_sum(&sum);
    store_totals(&totals);
    for (unsigned c = 1; c <= store_class_max(); c++) {
        if (store_class_stats(c, &s) && slabs_rows(t, c, &s, sum.by_class[c])) {
            active++;
        }
    }
    row_u64(t, "active_slabs", active);
    row_u64(t, "total_malloced", totals.malloced);
}

static void sizes_row(void *ctx, uint32_t size, uint64_t count)
{
    char name[UTIL_U64_DIGITS + 1];

    (void)snprintf(name, sizeof(name), "%" PRIu32, size);
    row_u64(ctx, name, count);
}

static void all_sizes(struct rows *t, const struct command_host *host)
{
    (void)host;
    if (settings.track_sizes) {
        t->failed = !store_sizes(sizes_row, t);
    } else {
        row_text(t, "sizes_status", "disabled");
    }
}

/* The figures that move at run time come without a value. */
static void settings_row(void *ctx, const char *name, const char *value)
{
    uint32_t at;

    if (value != NULL) {
        row_text(ctx, name, value);
    } else if (strcmp(name, "maxbytes") == 0) {
        row_u64(ctx, name, store_limit());
    } else if (strcmp(name, "verbosity") == 0) {
        row(ctx, name, "%d",
            atomic_load_explicit(&log_verbosity, memory_order_relaxed));
    } else if (strcmp(name, "oldest") == 0) {
        at = store_flush_time();
        row_u64(ctx, name,
                at == 0 ? 0 : at - clock_started() + CLOCK_HEAD_START);
    } else {
        row_text(ctx, name, prefix_enabled() ? "yes" : "no");
    }
}

static void all_settings(struct rows *t, const struct command_host *host)
{
    (void)host;
    settings_visit(settings_row, t);
}

static void all_conns(struct rows *t, const struct command_host *host)
{
    t->failed = !host->stats_conns(t->row, t->ctx);
}

static void all_replication(struct rows *t, const struct command_host *host)
{
    host->stats_replication(true, t->row, t->ctx);
}

typedef void all_rows(struct rows *t, const struct command_host *host);

static const struct group {
    const char *name;
    bool whole;    /* may not be shortened */
    all_rows *all; /* NULL: it has none */
} groups[] = {
    [STATS_GENERAL] = {"", true, all_general},
    [STATS_SETTINGS] = {"settings", false, all_settings},
    [STATS_CONNS] = {"conns", false, all_conns},
    [STATS_EXTSTORE] = {"extstore", false, NULL},
    [STATS_ITEMS] = {"items", true, all_items},
    [STATS_SLABS] = {"slabs", true, all_slabs},
    [STATS_SIZES] = {"sizes", true, all_sizes},
    [STATS_REPLICATION] = {"replication", true, all_replication},
};

bool stats_rows(const struct command_host *host, enum stats_group group,
                stats_row *each, void *ctx)
{
    struct rows t = {.row = each, .ctx = ctx};

    if (groups[group].all != NULL) {
        groups[group].all(&t, host);
    }
    return !t.failed;
}

void stats_clear(void)
{
    counters_reset();
    store_stats_reset();
    rebalance_stats_reset();
    crawler_stats_reset();
    prefix_clear();
}

/* ---- as text --------------------------------------------------------------
 */

static void text_row(void *ctx, const char *name, const char *value)
{
    struct buffer *b = ctx;

    buffer_append(b, "STAT ", 5);
    buffer_append(b, name, strlen(name));
    buffer_append(b, " ", 1);
    buffer_append(b, value, strlen(value));
    buffer_append(b, "\r\n", 2);
}

/* Answers with the rows and END. */
static void stats_send(struct command *cmd, int fd, enum stats_group group)
{
    struct buffer b = {0};
    bool good = stats_rows(cmd->host, group, text_row, &b);

    buffer_append(&b, "END\r\n", 5);
    if (!good || b.failed) {
        buffer_free(&b);
        reply_fixed(cmd, fd, false, REPLY_NO_MEMORY_STATS);
        return;
    }
    out_malloced(cmd->out, b.p, b.len);
}

static void stats_reset(struct command *cmd, int fd)
{
    stats_clear();
    reply_fixed(cmd, fd, false, REPLY_RESET);
}

/* ---- words -------------------------------------------------------------- */

struct word {
    const char *p;
    size_t n; /* 0: there is none */
};

static struct word next_word(struct request *args)
{
    struct word w = {"", 0};

    if (!text_next_key(args, &w.p, &w.n)) {
        w.n = 0;
    }
    return w;
}

static bool word_is(const struct word *w, const char *name)
{
    return w->n == strlen(name) && memcmp(w->p, name, w->n) == 0;
}

/* Whether the word is `name` or its beginning. */
static bool word_begins(const struct word *w, const char *name)
{
    return w->n > 0 && w->n <= strlen(name) && memcmp(w->p, name, w->n) == 0;
}

/* ---- stats detail ------------------------------------------------------ */

static void detail_dump(struct command *cmd, int fd)
{
    size_t n;
    char *text = prefix_dump(&n);

    if (text == NULL) {
        reply_fixed(cmd, fd, false, REPLY_NO_MEMORY_STATS);
        return;
    }
    out_malloced(cmd->out, text, n);
}

static void stats_detail(struct command *cmd, int fd, struct request *args)
{
    struct word what = next_word(args);

    if (!settings.dump_enabled) {
        reply_text(cmd, fd, false, "CLIENT_ERROR stats detail not allowed");
    } else if (word_begins(&what, "on")) {
        prefix_enable(true);
        reply_fixed(cmd, fd, false, REPLY_OK);
    } else if (word_begins(&what, "off")) {
        prefix_enable(false);
        reply_fixed(cmd, fd, false, REPLY_OK);
    } else if (word_begins(&what, "dump")) {
        detail_dump(cmd, fd);
    } else {
        reply_text(cmd, fd, false,
                   "CLIENT_ERROR usage: stats detail on|off|dump");
    }
}

/* ---- stats cachedump --------------------------------------------------- */

struct dump {
    char *text; /* DUMP_MAX bytes: nothing is allocated under a stripe */
    size_t len;
    uint32_t left; /* items still wanted */
};

static bool dump_item(void *ctx, struct item *it)
{
    struct dump *d = ctx;

    if (d->left == 0 || DUMP_MAX - d->len < it->nkey + (size_t)DUMP_LINE_REST) {
        return false;
    }
    if ((it->bits & ITEM_B64KEY) != 0 ||
        meta_key_is_binary(item_key(it), it->nkey)) {
        return true;
    }
    memcpy(d->text + d->len, "ITEM ", 5);
    memcpy(d->text + d->len + 5, item_key(it), it->nkey);
    d->len += 5U + it->nkey;
    d->len += (size_t)snprintf(d->text + d->len, DUMP_MAX - d->len,
                               " [%" PRIu32 " b; %" PRIu32 " s]\r\n",
                               it->nbytes, it->exptime);
    d->left--;
    return true;
}

static void dump_class(struct command *cmd, int fd, uint32_t slab_class,
                       uint32_t limit)
{
    struct dump d = {.text = malloc(DUMP_MAX),
                     .left = limit == 0 ? UINT32_MAX : limit};
    char *fitting;

    if (d.text == NULL) {
        reply_fixed(cmd, fd, false, REPLY_NO_MEMORY_STATS);
        return;
    }
    if (slab_class > 0) {
        store_dump_class(slab_class, dump_item, &d);
    }
    memcpy(d.text + d.len, "END\r\n", 5);
    d.len += 5;
    fitting = realloc(d.text, d.len);
    out_malloced(cmd->out, fitting != NULL ? fitting : d.text, d.len);
}

static void stats_cachedump(struct command *cmd, int fd, struct request *args)
{
    struct word slab_class = next_word(args);
    struct word limit = next_word(args);
    uint32_t c, n;

    if (!settings.dump_enabled) {
        reply_text(cmd, fd, false, "CLIENT_ERROR stats cachedump not allowed");
    } else if (limit.n == 0) {
        reply_text(cmd, fd, false, "CLIENT_ERROR bad command line");
    } else if (!util_parse_u32(slab_class.p, slab_class.n, &c) ||
               !util_parse_u32(limit.p, limit.n, &n)) {
        reply_fixed(cmd, fd, false, REPLY_BAD_FORMAT);
    } else if (c >= STORE_CLASSES) {
        reply_text(cmd, fd, false, "CLIENT_ERROR Illegal slab id");
    } else {
        dump_class(cmd, fd, c, n);
    }
}

/* ---- the command --------------------------------------------------------- */

static void run_named(struct command *cmd, int fd, struct request *args,
                      const struct word *name)
{
    if (word_begins(name, "reset")) {
        stats_reset(cmd, fd);
        return;
    }
    if (word_begins(name, "detail")) {
        stats_detail(cmd, fd, args);
        return;
    }
    if (word_begins(name, "cachedump")) {
        stats_cachedump(cmd, fd, args);
        return;
    }
    for (unsigned i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (!(groups[i].whole ? word_is(name, groups[i].name)
                              : word_begins(name, groups[i].name))) {
            continue;
        }
        if (i == STATS_REPLICATION && cmd->host->stats_replication == NULL) {
            break;
        }
        stats_send(cmd, fd, (enum stats_group)i);
        return;
    }
    reply_fixed(cmd, fd, false, REPLY_ERROR);
}

enum command_result stats_run(struct command *cmd, int fd,
                              const struct request *req)
{
    struct request args = *req;
    struct word name = next_word(&args);

    if (!out_can_ref(cmd->out, 1)) {
        return COMMAND_FULL;
    }
    if (name.n == 0) {
        stats_send(cmd, fd, STATS_GENERAL);
    } else {
        run_named(cmd, fd, &args, &name);
    }
    return COMMAND_DONE;
}
