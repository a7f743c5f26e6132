#include "conn_guard.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "conn_stream.h"
#include "counters.h"
#include "proto/binary.h"
#include "proto/out.h"
#include "proto/textauth.h"
#include "settings.h"
#include "stream.h"
#include "udp.h"
#include "watch.h"

#define CONN_MAGIC     0x636f6e6eU
#define CONN_SET_MAGIC 0x73657473U

#define PASS_REQUESTS 32  /* gathered requests that start a run */
#define UPLOAD_TURN   MIB /* bytes of upload read in a turn */

#define POOL_BLOCK 32 /* connections allocated together */

/* After we hung up: to the next bytes, and to the last that are read. */
#define HANG_UP_SECONDS 5

struct conn_block {
    struct conn_block *next;
    struct conn conns[POOL_BLOCK];
};

static atomic_ullong closed_count; /* [a] conn_close; conn_closed_count */

struct conn *conn_cast(void *arg)
{
    struct conn *c = arg;

    assert(c->magic == CONN_MAGIC);
    return c;
}

/* ---- states -------------------------------------------------------- */

#define TO(state) (1U << CONN_##state)

static const struct {
    const char *name;
    unsigned to; /* states that may follow */
} states[] = {
    [CONN_LISTENING] = {"conn_listening", 0},
    [CONN_NEW_CMD] = {"conn_new_cmd",
                      TO(WAITING) | TO(PARSE_CMD) | TO(MWRITE) | TO(CLOSING)},
    [CONN_WAITING] = {"conn_waiting", TO(READ)},
    [CONN_READ] = {"conn_read", TO(PARSE_CMD) | TO(CLOSING)},
    [CONN_PARSE_CMD] = {"conn_parse_cmd", TO(NEW_CMD) | TO(WAITING) |
                                              TO(NREAD) | TO(SWALLOW) |
                                              TO(WATCH) | TO(CLOSING)},
    [CONN_NREAD] = {"conn_nread", TO(NEW_CMD) | TO(SWALLOW) | TO(CLOSING)},
    [CONN_SWALLOW] = {"conn_swallow", TO(NEW_CMD) | TO(CLOSING)},
    [CONN_WATCH] = {"conn_watch", TO(NEW_CMD) | TO(CLOSING)},
    [CONN_MWRITE] = {"conn_mwrite", TO(NEW_CMD) | TO(SWALLOW) | TO(CLOSING)},
    [CONN_CLOSING] = {"conn_closing", TO(CLOSED)},
    [CONN_CLOSED] = {"conn_closed", 0},
};

const char *conn_state_name(enum conn_state state)
{
    return states[state].name;
}

static enum conn_state conn_state(struct conn *c)
{
    return atomic_load_explicit(&c->state, memory_order_relaxed);
}

void conn_set_state(struct conn *c, enum conn_state to)
{
    enum conn_state from = conn_state(c);

    if (from == to) {
        return;
    }
    assert((states[from].to & (1U << to)) != 0);
    if (UNLIKELY(log_wanted(3))) {
        log_print(3, "%d: going from %s to %s\n", c->fd, states[from].name,
                  states[to].name);
    }
    atomic_store_explicit(&c->state, (unsigned char)to, memory_order_relaxed);
}

/* Back to waiting for bytes, by the stations stock passes. */
static void conn_rest(struct conn *c)
{
    if (conn_state(c) == CONN_READ) {
        return;
    }
    if (conn_state(c) != CONN_WAITING) {
        conn_set_state(c, CONN_NEW_CMD);
        conn_set_state(c, CONN_WAITING);
    }
    conn_set_state(c, CONN_READ);
}

/* ---- life ---------------------------------------------------------- */

static struct conn *pool_get(struct conn_set *set)
{
    struct conn *c = LIST_FIRST(&set->pool);
    struct conn_block *block;

    if (c == NULL) {
        block = malloc(sizeof(*block));
        if (block == NULL) {
            return NULL;
        }
        block->next = set->blocks;
        set->blocks = block;
        for (int i = 0; i < POOL_BLOCK; i++) {
            LIST_INSERT_HEAD(&set->pool, &block->conns[i], link);
        }
        atomic_fetch_add_explicit(&set->structures, POOL_BLOCK,
                                  memory_order_relaxed);
        c = LIST_FIRST(&set->pool);
    }
    LIST_REMOVE(c, link);
    return c;
}

static struct parked nothing; /* never written to */

struct parked *conn_park(struct conn *c)
{
    if (c->parked == &nothing) {
        struct parked *parked = calloc(1, sizeof(*parked));

        if (parked == NULL) {
            COUNT(c->set->counters, malloc_fails);
            return NULL;
        }
        c->parked = parked;
    }
    return c->parked;
}

void conn_queue_run(struct conn *c)
{
    struct parked *parked = c->parked;

    assert(parked != &nothing);
    if (!parked->queued) {
        parked->queued = true;
        parked->queued_pass = c->set->pass;
        TAILQ_INSERT_TAIL(&c->set->runnable, c, parked->queue);
    }
}

static void queue_leave(struct conn *c)
{
    if (c->parked->queued) {
        TAILQ_REMOVE(&c->set->runnable, c, parked->queue);
        c->parked->queued = false;
    }
}

/* Frees what holds nothing any more. */
static void conn_unpark(struct conn *c)
{
    struct parked *parked = c->parked;

    if (parked != &nothing && !parked->queued && parked->spill == NULL &&
        parked->held == NULL && parked->pending == NULL &&
        parked->upload == NULL && parked->stream == NULL) {
        free(parked);
        c->parked = &nothing;
    }
}

static void drop_parked(struct conn *c)
{
    struct parked *parked = c->parked;

    if (parked == &nothing) {
        return;
    }
    queue_leave(c);
    conn_stream_end(c);
    if (parked->upload != NULL) {
        upload_abandon(parked->upload);
        free(parked->upload);
    }
    if (parked->pending != NULL) {
        out_pending_free(parked->pending);
    }
    conn_spill_drop(c);
    free(parked->held);
    free(parked);
    c->parked = &nothing;
}

void conn_close(struct conn *c)
{
    struct conn_set *set = c->set;

    conn_set_state(c, CONN_CLOSING);
    log_print(2, "<%d connection closed.\n", c->fd);
    (void)event_del(&c->event);
    lock_take(&set->lock, LOCK_QUEUE);
    LIST_REMOVE(c, link);
    lock_drop(&set->lock, LOCK_QUEUE);
    conn_set_state(c, CONN_CLOSED);
    conn_tls_end(c);
    conn_tell_closed(c);
    (void)close(c->fd);
    drop_parked(c);
    conn_guard_end(c);
    atomic_fetch_sub_explicit(&set->open_count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&closed_count, 1, memory_order_relaxed);
    LIST_INSERT_HEAD(&set->dead, c, link);
}

static void bury_dead(struct conn_set *set)
{
    struct conn *c;

    while ((c = LIST_FIRST(&set->dead)) != NULL) {
        LIST_REMOVE(c, link);
        c->magic = 0;
        LIST_INSERT_HEAD(&set->pool, c, link);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);
static void on_ignored(evutil_socket_t fd, short what, void *arg);

bool conn_watch(struct conn *c, bool writing)
{
    return event_assign(&c->event, c->set->base, c->fd,
                        (writing ? EV_WRITE : EV_READ) | EV_PERSIST,
                        writing ? on_writable : on_readable, c) == 0 &&
           event_add(&c->event, NULL) == 0;
}

/* All is sent and nothing more may run. To close with input unread would reset
 * the connection, and a peer that still writes would lose our answer to that:
 * ends our half, and waits for the end of the other, but not for long. */
static void conn_hang_up(struct conn *c)
{
    const struct timeval patience = {.tv_sec = HANG_UP_SECONDS};

    drop_parked(c);
    conn_tls_end(c);
    conn_set_state(c, CONN_SWALLOW);
    atomic_store_explicit(&c->last, clock_seconds(), memory_order_relaxed);
    (void)event_del(&c->event);
    if (c->eof || shutdown(c->fd, SHUT_WR) != 0 ||
        event_assign(&c->event, c->set->base, c->fd, EV_READ | EV_PERSIST,
                     on_ignored, c) != 0 ||
        event_add(&c->event, &patience) != 0) {
        conn_close(c);
    }
}

static void conn_refuse(struct conn_set *set, int fd)
{
    COUNT(set->counters, malloc_fails);
    (void)close(fd);
}

/* What it has to pass before its requests run, and what wakes it. */
static bool conn_greet(struct conn *c, enum tls_kind tls)
{
    struct guard *guard;

    if (settings.auth_file != NULL) {
        guard = conn_guard(c);
        if (guard == NULL) {
            return false;
        }
        guard->auth = calloc(1, sizeof(*guard->auth));
        if (guard->auth == NULL) {
            return false;
        }
    }
    return tls == TLS_NONE ? conn_watch(c, false) : conn_tls_begin(c, tls);
}

void conn_open(struct conn_set *set, int fd, enum conn_transport transport,
               enum conn_protocol protocol, enum tls_kind tls)
{
    struct conn *c = pool_get(set);

    if (c == NULL) {
        conn_refuse(set, fd);
        return;
    }
    *c = (struct conn){.magic = CONN_MAGIC,
                       .fd = fd,
                       .set = set,
                       .parked = &nothing,
                       .last = clock_seconds(),
                       .state = CONN_NEW_CMD,
                       .transport = (uint8_t)transport,
                       .protocol = (uint8_t)protocol};
    conn_guard_begin(c);
    if (!conn_greet(c, tls)) {
        conn_tls_end(c);
        conn_guard_end(c);
        c->magic = 0;
        LIST_INSERT_HEAD(&set->pool, c, link);
        conn_refuse(set, fd);
        return;
    }
    lock_take(&set->lock, LOCK_QUEUE);
    LIST_INSERT_HEAD(&set->open, c, link);
    lock_drop(&set->lock, LOCK_QUEUE);
    atomic_fetch_add_explicit(&set->open_count, 1, memory_order_relaxed);
    COUNT(set->counters, total_connections);
    conn_note_peer(c);
    conn_tell_new(c);
    if (protocol == CONN_ASCII) {
        log_print(2, "<%d new ascii client connection.\n", fd);
    } else if (protocol == CONN_BINARY) {
        log_print(2, "<%d new binary client connection.\n", fd);
    } else {
        log_print(2, "<%d new auto-negotiating client connection\n", fd);
    }
}

/* ---- output -------------------------------------------------------- */

/* One system call. Bytes sent, 0 when the peer has no room, -1 when the
 * connection is broken. */
static ssize_t send_vectors(struct conn *c, const struct iovec *iov, unsigned n)
{
    struct msghdr msg = {.msg_iovlen = n};
    ssize_t sent;

    if (UNLIKELY(c->guard->tls != NULL)) {
        return conn_tls_send(c, iov, n);
    }
    do {
        if (n == 1) {
            sent = send(c->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
        } else {
            /* The kernel does not write to it. */
            msg.msg_iov = (struct iovec *)(uintptr_t)iov;
            sent = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
        }
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return 0;
        }
        log_print(1, "Failed to write, and not due to blocking: %s\n",
                  strerror(errno));
        c->reason = CONN_ERROR;
        return -1;
    }
    counter_add(&c->set->counters->bytes_written, (uint64_t)sent);
    return sent;
}

static size_t iov_bytes(const struct iovec *iov, unsigned n)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < n; i++) {
        bytes += iov[i].iov_len;
    }
    return bytes;
}

enum sent conn_flush(struct conn *c)
{
    struct out *out = &c->set->out;
    struct parked *parked;
    bool whole = true;

    while (whole && !out_is_empty(out)) {
        const struct iovec *iov;
        unsigned n = out_vectors(out, &iov);
        size_t offered = iov_bytes(iov, n);
        ssize_t sent = send_vectors(c, iov, n);

        if (sent < 0) {
            out_discard(out);
            return SENT_BROKEN;
        }
        out_sent(out, (size_t)sent);
        whole = (size_t)sent == offered;
    }
    if (LIKELY(whole)) {
        return SENT_ALL;
    }
    parked = conn_park(c);
    if (parked == NULL) {
        out_discard(out);
        return SENT_BROKEN;
    }
    parked->pending = out_move(out);
    if (parked->pending == NULL) {
        COUNT(c->set->counters, malloc_fails);
        COUNT(c->set->counters, response_obj_oom);
        out_discard(out);
        return SENT_BROKEN;
    }
    (void)event_del(&c->event);
    return conn_watch(c, true) ? SENT_BLOCKED : SENT_BROKEN;
}

void conn_resume(struct conn *c)
{
    struct parked *parked = c->parked;

    (void)event_del(&c->event);
    if (!conn_watch(c, false)) {
        conn_close(c);
        return;
    }
    if (!conn_is_uploading(c)) {
        conn_rest(c);
        if (parked->spill_len > 0 || parked->held != NULL ||
            parked->upload != NULL) {
            conn_queue_run(c);
        }
    }
    if (UNLIKELY(c->guard->tls != NULL) && !conn_tls_wait(c)) {
        conn_close(c);
        return;
    }
    conn_unpark(c);
}

/* The peer has read everything: takes input again, first what is here. */
static void conn_drained(struct conn *c)
{
    struct parked *parked = c->parked;

    out_pending_free(parked->pending);
    parked->pending = NULL;
    if (c->hanging_up) {
        conn_hang_up(c);
    } else if (c->closing) {
        conn_close(c);
    } else if (parked->stream != NULL) {
        conn_stream_go_on(c);
    } else {
        conn_resume(c);
    }
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = conn_cast(arg);
    const struct iovec *iov;
    unsigned n = out_pending_vectors(c->parked->pending, &iov);
    ssize_t sent = send_vectors(c, iov, n);

    (void)fd;
    (void)what;
    if (sent < 0) {
        conn_close(c);
    } else if (out_pending_sent(c->parked->pending, (size_t)sent)) {
        conn_drained(c);
    }
}

/* ---- input --------------------------------------------------------- */

/* Takes the connection's bytes into a slot, ahead of what will be read. */
static void take_slot(struct conn *c)
{
    struct conn_set *set = c->set;

    set->seated[set->taken++] = c;
    c->seat = (uint8_t)set->taken;
    slot_fill(conn_slot(c), c->parked->spill, c->parked->spill_len);
    if (c->parked->spill_len > 0) {
        c->parked->spill_len = 0;
    }
    queue_leave(c);
}

/* Keeps the unconsumed bytes for the next turn. */
static bool keep_rest(struct conn *c)
{
    const struct slot *slot = conn_slot(c);
    size_t rest = slot->len - slot->pos;

    if (LIKELY(rest == 0 && c->parked->spill == NULL)) {
        return true;
    }
    return conn_spill_keep(c, slot->buf + slot->pos, rest);
}

/* What a read brought: notes the end of the stream; returns the bytes. */
static size_t conn_got(struct conn *c, ssize_t n)
{
    if (n > 0) {
        counter_add(&c->set->counters->bytes_read, (uint64_t)n);
        return (size_t)n;
    }
    if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
        c->eof = true;
        c->reason = n == 0 ? c->reason : CONN_ERROR;
    }
    return 0;
}

static void read_slot(struct conn *c)
{
    struct slot *slot = conn_slot(c);
    struct iovec room = {slot->buf + slot->len, SLOT_BYTES - slot->len};

    if (room.iov_len > 0) {
        slot->len +=
            conn_got(c, LIKELY(c->guard->tls == NULL)
                            ? recv(c->fd, room.iov_base, room.iov_len, 0)
                            : conn_tls_read(c, &room, 1));
    }
}

void conn_read_away(struct conn *c)
{
    struct conn_set *set = c->set;
    struct iovec room = {set->slots[set->taken].buf, SLOT_BYTES};

    assert(set->taken < CONN_SLOTS);
    if (set->taken == 0) {
        clock_tick();
    }
    (void)conn_got(c, c->guard->tls == NULL
                          ? recv(c->fd, room.iov_base, room.iov_len, 0)
                          : conn_tls_read(c, &room, 1));
}

/* Bytes, or none for a while, after we hung up. */
static void on_ignored(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = conn_cast(arg);
    uint32_t since = atomic_load_explicit(&c->last, memory_order_relaxed);

    (void)fd;
    if ((what & EV_READ) != 0) {
        conn_read_away(c);
    }
    if (c->eof || (what & EV_TIMEOUT) != 0 ||
        clock_seconds() > since + HANG_UP_SECONDS) {
        conn_close(c);
    }
}

/* Reads a value straight into its item; what follows it into the slot. */
static void read_upload(struct conn *c)
{
    struct slot *slot = conn_slot(c);
    struct upload *upload = c->parked->upload;
    size_t total = 0;

    while (total < UPLOAD_TURN) {
        struct iovec iov[2] = {upload_room(upload), {slot->buf, SLOT_BYTES}};
        size_t room = iov[0].iov_len;
        size_t n = conn_got(c, LIKELY(c->guard->tls == NULL)
                                   ? readv(c->fd, iov, 2)
                                   : conn_tls_read(c, iov, 2));

        if (room > 0 && n > 0) {
            upload_filled(upload, n < room ? n : room);
        }
        slot->len = n > room ? n - room : 0;
        slot->pos = upload_feed(upload, slot->buf, slot->len);
        total += n;
        if (n < room + SLOT_BYTES || upload_complete(upload)) {
            return;
        }
    }
}

/* Its turn is over and it stays open: waits for bytes, for room to send, or
 * for its next turn. */
static void conn_wait(struct conn *c, enum turn turn)
{
    if (turn == TURN_YIELD) {
        COUNT(c->set->counters, conn_yields);
    }
    if (conn_is_uploading(c)) {
        return;
    }
    if (c->parked->pending != NULL) {
        conn_set_state(c, CONN_NEW_CMD);
        conn_set_state(c, CONN_MWRITE);
        return;
    }
    if (turn == TURN_YIELD) {
        conn_queue_run(c);
    }
    conn_rest(c);
}

/* What follows the request that made a stream runs after it. */
static void conn_hand_over(struct conn *c)
{
    if (keep_rest(c)) {
        conn_stream_begin(c);
    } else {
        struct stream *stream = c->set->command.stream;

        out_discard(&c->set->out);
        stream->kind->end(stream);
        conn_close(c);
    }
}

/* Sends, and leaves the connection as its turn ended. */
static void conn_settle(struct conn *c, enum turn turn)
{
    bool hang_up = turn == TURN_HANG_UP;
    bool last =
        turn == TURN_CLOSE || hang_up || (turn == TURN_HUNGRY && c->eof);
    enum sent sent;

    if (turn == TURN_DROP || hang_up) {
        c->reason = CONN_ERROR;
    }
    if (turn == TURN_DROP) {
        out_discard(&c->set->out);
        conn_close(c);
        return;
    }
    if (turn == TURN_STREAM) {
        conn_hand_over(c);
        return;
    }
    sent = turn == TURN_BLOCKED ? SENT_BLOCKED : conn_flush(c);
    if (hang_up && sent == SENT_ALL) {
        conn_hang_up(c);
        return;
    }
    if (sent == SENT_BROKEN || (last && sent == SENT_ALL)) {
        conn_close(c);
        return;
    }
    c->closing = last;
    c->hanging_up = hang_up;
    if (!last && !keep_rest(c)) {
        conn_close(c);
        return;
    }
    conn_wait(c, turn);
    if (UNLIKELY(c->guard->tls != NULL) && !conn_tls_wait(c)) {
        conn_close(c);
        return;
    }
    conn_unpark(c);
}

/* The first byte of an undecided connection decides for all its life. */
static void negotiate(struct conn *c)
{
    c->protocol = conn_slot(c)->binary ? CONN_BINARY : CONN_ASCII;
    log_print(2, "%d: Client using the %s protocol\n", c->fd,
              conn_slot(c)->binary ? "binary" : "ascii");
}

/* -vvv, and the moment at which an undecided connection becomes one of text,
 * or a binary one. */
static void conn_begin(struct conn *c)
{
    enum conn_state state = conn_state(c);

    if (state != CONN_NREAD && state != CONN_SWALLOW) {
        conn_rest(c);
        conn_set_state(c, CONN_PARSE_CMD);
    }
    if (UNLIKELY(c->protocol == CONN_AUTO)) {
        negotiate(c);
    }
}

/* One connection's turn. */
static void run_conn(struct conn *c)
{
    const struct slot *slot = conn_slot(c);

    if (slot->len == 0 && c->parked->upload == NULL) {
        if (c->eof || (c->guard->tls != NULL && !conn_tls_wait(c))) {
            conn_close(c);
        }
        conn_unpark(c);
        return;
    }
    conn_begin(c);
    if (slot->count > 0 || c->parked->upload != NULL) {
        atomic_store_explicit(&c->last, clock_seconds(), memory_order_relaxed);
    }
    conn_settle(c, conn_run(c));
}

static void run_slots(struct conn_set *set)
{
    if (set->gathered > 1) {
        for (unsigned i = 0; i < set->taken; i++) {
            slot_prefetch_buckets(&set->slots[i]);
        }
        for (unsigned i = 0; i < set->taken; i++) {
            slot_prefetch_items(&set->slots[i]);
        }
    }
    for (unsigned i = 0; i < set->taken; i++) {
        run_conn(set->seated[i]);
        set->seated[i]->seat = 0;
    }
    set->taken = 0;
    set->gathered = 0;
}

static bool speaks_binary(const struct conn *c)
{
    const struct slot *slot = conn_slot(c);

    return c->protocol == CONN_BINARY ||
           (UNLIKELY(c->protocol == CONN_AUTO) && slot->len > 0 &&
            (unsigned char)slot->buf[0] == BINARY_REQUEST);
}

/* Its slot is filled: looks at what is there, and runs all slots when that is
 * much. */
static void gather(struct conn *c)
{
    struct conn_set *set = c->set;

    conn_slot(c)->binary = speaks_binary(c);
    if (!conn_is_uploading(c) && LIKELY(c->guard->auth == NULL)) {
        slot_look_ahead(conn_slot(c), &c->parked->held);
        set->gathered += conn_slot(c)->count;
    }
    if (set->taken == CONN_SLOTS || set->gathered >= PASS_REQUESTS) {
        run_slots(set);
    }
}

static void read_some(struct conn *c)
{
    if (conn_is_uploading(c)) {
        read_upload(c);
    } else {
        read_slot(c);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = conn_cast(arg);

    (void)fd;
    (void)what;
    if (c->set->taken == 0) {
        clock_tick();
    }
    take_slot(c);
    read_some(c);
    gather(c);
}

/* ---- the set ------------------------------------------------------- */

bool conn_set_pass(struct conn_set *set)
{
    struct conn *c;

    run_slots(set);
    /* What is queued in this pass waits for the next: others come first. */
    while ((c = TAILQ_FIRST(&set->runnable)) != NULL &&
           c->parked->queued_pass != set->pass) {
        clock_tick();
        if (c->parked->stream != NULL) {
            queue_leave(c);
            conn_stream_run(c);
            continue;
        }
        take_slot(c);
        if (UNLIKELY(c->guard->tls != NULL)) {
            read_some(c); /* what no event will tell of */
        }
        gather(c);
    }
    run_slots(set);
    bury_dead(set);
    watch_flush();
    set->pass++;
    return !TAILQ_EMPTY(&set->runnable);
}

static bool set_init_slots(struct conn_set *set)
{
    set->slots = calloc(CONN_SLOTS, sizeof(*set->slots));
    set->buffers = malloc(CONN_SLOTS * SLOT_BYTES);
    if (set->slots == NULL || set->buffers == NULL) {
        return false;
    }
    for (size_t i = 0; i < CONN_SLOTS; i++) {
        set->slots[i].buf = set->buffers + i * SLOT_BYTES;
    }
    return true;
}

struct conn_set *conn_set_new(struct event_base *base,
                              const struct command_host *host)
{
    struct conn_set *set = calloc(1, sizeof(*set));

    if (set == NULL) {
        return NULL;
    }
    set->magic = CONN_SET_MAGIC;
    set->base = base;
    TAILQ_INIT(&set->runnable);
    LIST_INIT(&set->dead);
    LIST_INIT(&set->pool);
    LIST_INIT(&set->open);
    LIST_INIT(&set->udps);
    LIST_INIT(&set->watching);
    conn_spill_limit(set);
    set->counters = counters_new();
    if (set->counters == NULL || !out_init(&set->out)) {
        free(set);
        return NULL;
    }
    if (!set_init_slots(set) || !conn_tls_stage(set)) {
        conn_set_free(set);
        return NULL;
    }
    set->command = (struct command){
        .out = &set->out, .counters = set->counters, .host = host};
    return set;
}

void conn_set_free(struct conn_set *set)
{
    struct conn_block *block;
    struct conn *c;

    while ((c = LIST_FIRST(&set->open)) != NULL) {
        c->reason = CONN_SHUTDOWN;
        conn_close(c);
    }
    udp_close_all(set);
    while ((block = set->blocks) != NULL) {
        set->blocks = block->next;
        free(block);
    }
    out_fini(&set->out);
    free(set->slots);
    free(set->buffers);
    free(set->stage.iov_base);
    set->magic = 0;
    free(set);
}

/* ---- from any thread ----------------------------------------------- */

uint64_t conn_closed_count(void)
{
    return atomic_load_explicit(&closed_count, memory_order_relaxed);
}
