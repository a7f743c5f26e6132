#include "watch.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "counters.h"

enum {
    LINE_BYTES = 1280,   /* longest line: a key of 250 bytes makes 750 */
    KEY_BYTES = 3 * 250, /* a key, every byte of it escaped */
    MARK_BYTES = 32,     /* skipped=N */
};

/* [c] constant once added  [W] under watchers_lock */
struct watcher {
    unsigned streams;        /* [c] */
    void (*wake)(void *ctx); /* [c] */
    void *ctx;               /* [c] */
    size_t room;             /* [c] of buf */
    size_t start;            /* [W] where the oldest byte is */
    size_t len;              /* [W] bytes there */
    uint64_t missed;         /* [W] lines since the last that fitted */
    char buf[];              /* [W] a ring */
};

/* The lines of one thread that wait to be delivered. */
struct line_head {
    uint16_t stream; /* enum watch_stream */
    uint16_t len;    /* of the text that follows */
};

struct lines {
    size_t room;
    size_t len;
    uint64_t dropped; /* that did not fit, not counted yet */
    char buf[];
};

atomic_uint watch_streams;

static struct lock watchers_lock;              /* QUEUE */
static struct watcher *watchers[WATCHERS_MAX]; /* [W] */
static unsigned watcher_count;                 /* [W] */
static struct counters *counted;               /* [W] */
static atomic_ullong last_gid;                 /* [a] */
static _Thread_local struct lines *mine;       /* NULL: delivered at once */

bool watch_init(void)
{
    if (counted == NULL) {
        counted = counters_new();
    }
    return counted != NULL;
}

/* ---- watchers ------------------------------------------------------ */

static void announce_locked(void)
{
    unsigned all = 0;

    lock_assert(LOCK_QUEUE);
    for (unsigned i = 0; i < watcher_count; i++) {
        all |= watchers[i]->streams;
    }
    /* Whoever reads the old value tells one event more or less. */
    atomic_store_explicit(&watch_streams, all, memory_order_relaxed);
}

enum watch_status watch_add(unsigned streams, size_t bytes,
                            void (*wake)(void *ctx), void *ctx,
                            struct watcher **out)
{
    struct watcher *w = malloc(sizeof(*w) + bytes);
    enum watch_status status = WATCH_OK;

    if (w == NULL || counted == NULL) {
        free(w);
        return WATCH_NO_MEMORY;
    }
    *w = (struct watcher){
        .streams = streams, .wake = wake, .ctx = ctx, .room = bytes};
    lock_take(&watchers_lock, LOCK_QUEUE);
    if (watcher_count == WATCHERS_MAX) {
        status = WATCH_TOO_MANY;
    } else {
        watchers[watcher_count++] = w;
        announce_locked();
    }
    lock_drop(&watchers_lock, LOCK_QUEUE);
    if (status != WATCH_OK) {
        free(w);
        return status;
    }
    *out = w;
    return WATCH_OK;
}

void watch_remove(struct watcher *w)
{
    lock_take(&watchers_lock, LOCK_QUEUE);
    for (unsigned i = 0; i < watcher_count; i++) {
        if (watchers[i] == w) {
            watchers[i] = watchers[--watcher_count];
            break;
        }
    }
    announce_locked();
    lock_drop(&watchers_lock, LOCK_QUEUE);
    free(w);
}

unsigned watch_count(void)
{
    unsigned n;

    lock_take(&watchers_lock, LOCK_QUEUE);
    n = watcher_count;
    lock_drop(&watchers_lock, LOCK_QUEUE);
    return n;
}

size_t watch_read(struct watcher *w, char *buf, size_t room)
{
    size_t n, first;

    lock_take(&watchers_lock, LOCK_QUEUE);
    n = w->len < room ? w->len : room;
    first = w->room - w->start < n ? w->room - w->start : n;
    memcpy(buf, w->buf + w->start, first);
    memcpy(buf + first, w->buf, n - first);
    w->len -= n;
    w->start = w->len == 0 ? 0 : (w->start + n) % w->room;
    lock_drop(&watchers_lock, LOCK_QUEUE);
    return n;
}

/* ---- delivery ------------------------------------------------------ */

/* The caller made sure of the room. Wakes before the bytes are there: whoever
 * comes to read them waits for the lock. */
static void put_locked(struct watcher *w, const char *p, size_t n)
{
    size_t at = (w->start + w->len) % w->room;
    size_t first = w->room - at < n ? w->room - at : n;

    if (w->len == 0) {
        w->wake(w->ctx);
    }
    memcpy(w->buf + at, p, first);
    memcpy(w->buf, p + first, n - first);
    w->len += n;
}

/* Gives a watcher a line, and before it the number of those it missed. */
static void tell_locked(struct watcher *w, const char *line, size_t n)
{
    char mark[MARK_BYTES];
    size_t mark_len = 0;

    if (w->missed > 0) {
        mark_len = (size_t)snprintf(mark, sizeof(mark), "skipped=%" PRIu64 "\n",
                                    w->missed);
    }
    if (mark_len + n > w->room - w->len) {
        w->missed++;
        COUNT(counted, log_watcher_skipped);
        return;
    }
    if (mark_len > 0) {
        put_locked(w, mark, mark_len);
        w->missed = 0;
    }
    put_locked(w, line, n);
    COUNT(counted, log_watcher_sent);
}

static void deliver_locked(unsigned stream, const char *line, size_t n)
{
    lock_assert(LOCK_QUEUE);
    COUNT(counted, log_worker_written);
    for (unsigned i = 0; i < watcher_count; i++) {
        if ((watchers[i]->streams & stream) != 0) {
            tell_locked(watchers[i], line, n);
        }
    }
}

static void deliver_lines_locked(const struct lines *lines)
{
    struct line_head head;

    for (size_t at = 0; at < lines->len; at += sizeof(head) + head.len) {
        memcpy(&head, lines->buf + at, sizeof(head));
        deliver_locked(head.stream, lines->buf + at + sizeof(head), head.len);
    }
    counter_add(&counted->log_worker_dropped, lines->dropped);
}

void watch_flush(void)
{
    if (mine == NULL || (mine->len == 0 && mine->dropped == 0)) {
        return;
    }
    lock_take(&watchers_lock, LOCK_QUEUE);
    deliver_lines_locked(mine);
    lock_drop(&watchers_lock, LOCK_QUEUE);
    mine->len = 0;
    mine->dropped = 0;
}

static void deliver_now(unsigned stream, const char *line, size_t n)
{
    lock_take(&watchers_lock, LOCK_QUEUE);
    deliver_locked(stream, line, n);
    lock_drop(&watchers_lock, LOCK_QUEUE);
}

void watch_thread_begin(size_t bytes)
{
    mine = bytes == 0 ? NULL : malloc(sizeof(*mine) + bytes);
    if (mine != NULL) {
        *mine = (struct lines){.room = bytes};
    }
}

void watch_thread_end(void)
{
    watch_flush();
    free(mine);
    mine = NULL;
}

/* ---- lines --------------------------------------------------------- */

/* A line under construction. What does not fit is cut: only texts of other
 * libraries can be that long. */
struct line {
    size_t len;
    char text[LINE_BYTES];
};

static void line_add(struct line *l, const char *format, ...) PRINTF(2, 3);
static void line_add_list(struct line *l, const char *format, va_list ap)
    PRINTF(2, 0);

static void line_add_list(struct line *l, const char *format, va_list ap)
{
    size_t room = sizeof(l->text) - 1 - l->len; /* one for the line end */
    int n = vsnprintf(l->text + l->len, room, format, ap);

    if (n > 0) {
        l->len += (size_t)n < room ? (size_t)n : room - 1;
    }
}

static void line_add(struct line *l, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    line_add_list(l, format, ap);
    va_end(ap);
}

static void line_begin(struct line *l)
{
    uint64_t now = clock_ms();

    l->len = 0;
    line_add(l, "ts=%" PRIu64 ".%" PRIu64 " gid=%llu ", now / 1000,
             now % 1000 * 1000,
             atomic_fetch_add_explicit(&last_gid, 1, memory_order_relaxed) + 1);
}

static void line_add_key(struct line *l, const char *key, size_t nkey)
{
    char escaped[KEY_BYTES];
    char *end = util_uri_encode(escaped, key, nkey);

    line_add(l, " key=%.*s", (int)(end - escaped), escaped);
}

/* Keeps the line for the next flush; `may_flush`: or flushes to make room. */
static void line_end(struct line *l, enum watch_stream stream, bool may_flush)
{
    struct line_head head = {.stream = (uint16_t)stream};
    size_t whole;

    l->text[l->len++] = '\n';
    if (mine == NULL) {
        deliver_now(stream, l->text, l->len);
        return;
    }
    whole = sizeof(head) + l->len;
    if (whole > mine->room - mine->len && may_flush) {
        watch_flush();
    }
    if (whole > mine->room - mine->len) {
        mine->dropped++;
        return;
    }
    head.len = (uint16_t)l->len;
    memcpy(mine->buf + mine->len, &head, sizeof(head));
    memcpy(mine->buf + mine->len + sizeof(head), l->text, l->len);
    mine->len += whole;
}

/* ---- events -------------------------------------------------------- */

void watch_item_get(const struct watch_item *it, enum watch_got got)
{
    static const char *const words[] = {
        [WATCH_FOUND] = "found",
        [WATCH_NOT_FOUND] = "not_found",
        [WATCH_EXPIRED] = "expired",
        [WATCH_FLUSHED] = "flushed",
    };
    struct line l;

    line_begin(&l);
    line_add(&l, "type=item_get");
    line_add_key(&l, it->key, it->nkey);
    line_add(&l, " status=%s clsid=%u cfd=%d size=%" PRIu32, words[got],
             it->slab_class, it->fd, it->nbytes);
    line_end(&l, WATCH_FETCHERS, true);
}

/* One that is over comes out as a huge number, as from others. */
static uint32_t ttl_of(uint32_t exptime)
{
    return exptime == 0 ? 0 : exptime - clock_seconds();
}

void watch_item_store(const struct watch_item *it, const char *status,
                      const char *cmd, uint32_t exptime)
{
    struct line l;

    line_begin(&l);
    line_add(&l, "type=item_store");
    line_add_key(&l, it->key, it->nkey);
    line_add(&l, " status=%s cmd=%s ttl=%" PRIu32, status, cmd,
             ttl_of(exptime));
    line_add(&l, " clsid=%u cfd=%d size=%" PRIu32, it->slab_class, it->fd,
             it->nbytes);
    line_end(&l, WATCH_MUTATIONS, true);
}

void watch_item_deleted(const struct watch_item *it, const char *cmd)
{
    struct line l;

    line_begin(&l);
    line_add(&l, "type=deleted");
    line_add_key(&l, it->key, it->nkey);
    line_add(&l, " cmd=%s clsid=%u size=%" PRIu32, cmd, it->slab_class,
             it->nbytes);
    line_end(&l, WATCH_DELETIONS, true);
}

void watch_eviction(const struct watch_evicted *it)
{
    uint32_t now = clock_seconds();
    int64_t ttl = it->exptime == 0 ? -1 : (int64_t)it->exptime - now;
    struct line l;

    line_begin(&l);
    line_add(&l, "type=eviction");
    line_add_key(&l, it->key, it->nkey);
    line_add(&l, " fetch=%s ttl=%" PRId64 " la=%" PRIu32,
             it->fetched ? "yes" : "no", ttl, now - it->accessed);
    line_add(&l, " clsid=%u size=%" PRIu32, it->slab_class, it->nbytes);
    line_end(&l, WATCH_EVICTIONS, false);
}

void watch_event(enum watch_stream stream, const char *format, ...)
{
    struct line l;
    va_list ap;

    line_begin(&l);
    va_start(ap, format);
    line_add_list(&l, format, ap);
    va_end(ap);
    line_end(&l, stream, true);
}
