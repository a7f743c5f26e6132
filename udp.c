#include "udp.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "command_binary.h"
#include "conn_internal.h"
#include "proto/text.h"
#include "proto/udp.h"
#include "reply.h"
#include "reply_binary.h"
#include "stream.h"

#define UDP_MAGIC   0x75647021U
#define REQUEST_MAX (64 * KIB)

enum { TURN_DATAGRAMS = 32 }; /* read before others have their turn */

/* A series of datagrams under way. */
struct series {
    uint16_t seq;
    uint16_t count;
};

/* [c] constant after udp_open  [a] atomic  [w] owning worker only
 * [Q] changed by the owning worker under the set's lock */
struct udp {
    uint32_t magic;               /* [c] */
    int fd;                       /* [c] */
    struct event event;           /* [w] */
    struct conn_set *set;         /* [c] */
    LIST_ENTRY(udp) link;         /* [Q] set->udps */
    atomic_uint last;             /* [a] Unix second of the last request */
    struct sockaddr_storage peer; /* [w] who asks */
    socklen_t peer_len;           /* [w] */
    uint16_t id;                  /* [w] of the request */
    bool binary;                  /* [w] its protocol */
    bool in_line;                 /* [w] keys of `line` are left */
    struct request line;          /* [w] a get under way */
    struct out_pending *pending;  /* [w] output under way, or NULL */
    struct series series;         /* [w] where that stands */
    size_t len, pos;              /* [w] bytes of the datagram; consumed */
    char buf[REQUEST_MAX];        /* [w] */
};

/* How a datagram goes on. */
enum next {
    NEXT_GO,
    NEXT_BLOCKED, /* its output waits */
    NEXT_END,     /* nothing more of it runs */
};

static struct udp *udp_cast(void *arg)
{
    struct udp *u = arg;

    assert(u->magic == UDP_MAGIC);
    return u;
}

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

static bool watch(struct udp *u, bool writing)
{
    return event_assign(&u->event, u->set->base, u->fd,
                        (writing ? EV_WRITE : EV_READ) | EV_PERSIST,
                        writing ? on_writable : on_readable, u) == 0 &&
           event_add(&u->event, NULL) == 0;
}

/* ---- output ---------------------------------------------------------- */

/* One datagram. False: the kernel has no room. What is lost otherwise is lost,
 * as datagrams are. */
static bool send_datagram(struct udp *u, const char *datagram, size_t n)
{
    ssize_t sent;

    do {
        sent = sendto(u->fd, datagram, n, MSG_NOSIGNAL,
                      (const struct sockaddr *)&u->peer, u->peer_len);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
        counter_add(&u->set->counters->bytes_written, (uint64_t)sent);
        return true;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return false;
    }
    log_print(1, "Failed to write, and not due to blocking: %s\n",
              strerror(errno));
    return true;
}

/* Copies at most `room` bytes from the pieces; returns how many. */
static size_t gather(char *to, size_t room, const struct iovec *iov, unsigned n)
{
    size_t got = 0;

    for (unsigned i = 0; i < n && got < room; i++) {
        size_t part = iov[i].iov_len < room - got ? iov[i].iov_len : room - got;

        memcpy(to + got, iov[i].iov_base, part);
        got += part;
    }
    return got;
}

/* The next datagram of the series, out of `iov`. Returns the bytes of reply
 * sent, 0 when there is no room. */
static size_t send_next(struct udp *u, const struct iovec *iov, unsigned n)
{
    char datagram[UDP_DATAGRAM_MAX];
    char *payload = udp_format(datagram, u->id, u->series.seq, u->series.count);
    size_t got = gather(payload, UDP_PAYLOAD_MAX, iov, n);

    if (!send_datagram(u, datagram, UDP_FRAME + got)) {
        return 0;
    }
    u->series.seq++;
    return got;
}

/* What is left of the output waits for room. */
static enum next block(struct udp *u)
{
    u->pending = out_move(&u->set->out);
    if (u->pending == NULL) {
        COUNT(u->set->counters, malloc_fails);
        COUNT(u->set->counters, response_obj_oom);
        out_discard(&u->set->out);
        return NEXT_END;
    }
    (void)event_del(&u->event);
    if (!watch(u, true)) {
        out_pending_free(u->pending);
        u->pending = NULL;
        return NEXT_END;
    }
    return NEXT_BLOCKED;
}

/* Sends the worker's output as one series. */
static enum next send_series(struct udp *u)
{
    struct out *out = &u->set->out;

    while (!out_is_empty(out)) {
        const struct iovec *iov;
        unsigned n = out_vectors(out, &iov);
        size_t sent = send_next(u, iov, n);

        if (sent == 0) {
            return block(u);
        }
        out_sent(out, sent);
    }
    return NEXT_GO;
}

/* More than can be numbered is not sent, and said so. */
static void refuse_long(struct udp *u)
{
    static const struct binary_tag no_tag;

    log_print(1, "A reply is too long for datagrams\n");
    out_discard(&u->set->out);
    if (u->binary) {
        reply_binary_error(&u->set->command, u->fd, &no_tag, BINARY_TOO_LARGE,
                           NULL);
    } else {
        reply_fixed(&u->set->command, u->fd, false, REPLY_TOO_LARGE);
    }
}

/* A reply is complete. */
static enum next end_reply(struct udp *u)
{
    struct out *out = &u->set->out;

    if (udp_count(out_bytes_whole(out)) > UDP_COUNT_MAX) {
        refuse_long(u);
    }
    u->series =
        (struct series){.count = (uint16_t)udp_count(out_bytes_whole(out))};
    return send_series(u);
}

/* A frame that frames nothing is what quit is answered with. */
static void send_empty(struct udp *u)
{
    char datagram[UDP_FRAME];

    (void)udp_format(datagram, u->id, 0, 0);
    (void)send_datagram(u, datagram, sizeof(datagram));
}

/* ---- requests -------------------------------------------------------- */

/* A request ran. Nothing closes a socket that all share: where a connection
 * would be closed, the rest of the datagram is not looked at. */
static enum next after(struct udp *u, enum command_result result,
                       struct upload *upload)
{
    enum next next;

    if (result == COMMAND_UPLOAD) {
        upload_abandon(upload);
    }
    if (result == COMMAND_STREAM) { /* not in datagrams */
        u->set->command.stream->kind->end(u->set->command.stream);
    }
    if (result == COMMAND_DROP || result == COMMAND_FULL ||
        result == COMMAND_STREAM) {
        out_discard(&u->set->out);
    }
    if (result == COMMAND_CLOSE && out_is_empty(&u->set->out)) {
        send_empty(u);
    }
    next = end_reply(u);
    if (result != COMMAND_DONE) {
        u->pos = u->len; /* should the reply have to wait */
        u->in_line = false;
        return next == NEXT_GO ? NEXT_END : next;
    }
    return next;
}

/* Runs one text request whose data, if any, is there. */
static enum next run_text(struct udp *u, struct request *req, const char *data,
                          size_t avail, size_t *used)
{
    struct upload upload;
    enum command_result result =
        command_run(&u->set->command, u->fd, req, data, avail, used, &upload);

    return after(u, result, &upload);
}

static bool is_get(const struct request *req)
{
    return req->verb >= VERB_GET && req->verb <= VERB_GATS;
}

/* Whether a key is too long: the line is refused before any is answered. */
static bool has_long_key(const struct request *line)
{
    struct request req = *line;
    const char *key;
    size_t n;

    while (text_next_key(&req, &key, &n)) {
        if (n > KEY_MAX_LENGTH) {
            return true;
        }
    }
    return false;
}

/* Answers the next key of a get line as a request of its own: only the last
 * brings END. */
static enum next run_key(struct udp *u)
{
    struct request req = u->line;
    struct request rest;
    const char *key, *more;
    size_t n, more_n, used;

    if (!text_next_key(&u->line, &key, &n)) {
        u->in_line = false;
        return NEXT_GO;
    }
    rest = u->line;
    req.more = text_next_key(&rest, &more, &more_n);
    req.hv = 0;
    req.key = key;
    req.nkey = (uint8_t)n;
    req.rest = key;
    req.end = key + n;
    u->line.echoed = true;
    return run_text(u, &req, NULL, 0, &used);
}

static enum next refuse_line(struct udp *u, const struct request *req)
{
    reply_fixed(&u->set->command, u->fd, req->noreply, REPLY_BAD_FORMAT);
    return end_reply(u);
}

/* A value that is not all there never comes: what does is somebody else's. */
static enum next refuse_value(struct udp *u, const struct request *req)
{
    reply_fixed(&u->set->command, u->fd, req->noreply, REPLY_BAD_CHUNK);
    u->pos = u->len;
    return end_reply(u);
}

/* Whether nobody can have meant this line, of so many bytes with its end, as a
 * request. It may be a reply: all of them begin so. */
static bool is_no_command(const struct request *req, size_t line)
{
    return req->verb == VERB_ERROR &&
           (req->refusal == REPLY_ERROR || line < TEXT_SHORT_LINE);
}

static enum next next_line(struct udp *u)
{
    struct request req;
    size_t line = 0, used = 0;
    size_t at = u->pos;
    enum next next;

    /* What is no whole line is passed over without a word. */
    if (text_parse(u->buf + at, u->len - at, &req, &line) != TEXT_OK) {
        return NEXT_END;
    }
    u->pos = at + line;
    /* An answer might be answered: two daemons would talk for ever. Nor must
     * the values in a reply be run. */
    if (is_no_command(&req, line)) {
        return NEXT_END;
    }
    if (req.has_data && u->len - u->pos < req.nbytes + (size_t)2) {
        return refuse_value(u, &req);
    }
    if (!is_get(&req)) {
        command_prepare(&req);
        if (req.has_data) {
            u->pos += req.nbytes + (size_t)2;
        }
        next = run_text(u, &req, u->buf + at + line, u->len - at - line, &used);
        return next;
    }
    if (has_long_key(&req)) {
        return refuse_line(u, &req);
    }
    u->line = req;
    u->in_line = true;
    return NEXT_GO;
}

static enum next next_packet(struct udp *u)
{
    struct command *cmd = &u->set->command;
    struct binary_request req;
    struct upload upload;
    size_t packet = 0, used = 0;
    size_t at = u->pos;
    enum command_result result;

    if (binary_parse(u->buf + at, u->len - at, &req, &packet) !=
        BINARY_PARSED) {
        return NEXT_END;
    }
    at += packet;
    if (u->len - at < req.nbytes) {
        u->pos = u->len;
        reply_binary_error(cmd, u->fd, &req.tag, BINARY_INVALID, NULL);
        return end_reply(u);
    }
    u->pos = at + req.nbytes;
    command_binary_prepare(&req);
    result = command_binary_run(cmd, u->fd, &req, u->buf + at, u->len - at,
                                &used, &upload);
    return after(u, result, &upload);
}

/* Runs what is left of the datagram. False: its output waits. */
static bool run_datagram(struct udp *u)
{
    enum next next = NEXT_GO;

    while (next == NEXT_GO && (u->in_line || u->pos < u->len)) {
        if (u->in_line) {
            next = run_key(u);
        } else {
            next = u->binary ? next_packet(u) : next_line(u);
        }
    }
    return next != NEXT_BLOCKED;
}

/* ---- input ----------------------------------------------------------- */

/* Reads a datagram; false when there is none. */
static bool read_datagram(struct udp *u)
{
    ssize_t n;

    u->peer_len = sizeof(u->peer);
    n = recvfrom(u->fd, u->buf, sizeof(u->buf), 0, (struct sockaddr *)&u->peer,
                 &u->peer_len);

    u->in_line = false;
    u->pos = 0;
    u->len = 0;
    if (n < 0) {
        /* An error of an earlier reply is told here: it is over. */
        return errno == ECONNREFUSED || errno == EINTR;
    }
    counter_add(&u->set->counters->bytes_read, (uint64_t)n);
    if (udp_parse(u->buf, (size_t)n, &u->id)) {
        u->len = (size_t)n;
        u->pos = UDP_FRAME;
        u->binary = (unsigned char)u->buf[UDP_FRAME] == BINARY_REQUEST;
        atomic_store_explicit(&u->last, clock_seconds(), memory_order_relaxed);
    }
    return true;
}

static void read_datagrams(struct udp *u)
{
    for (int i = 0; i < TURN_DATAGRAMS && read_datagram(u); i++) {
        if (!run_datagram(u)) {
            return;
        }
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct udp *u = udp_cast(arg);

    (void)fd;
    (void)what;
    clock_tick();
    read_datagrams(u);
}

/* Goes on with the series, then with the datagram, then with others. */
static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct udp *u = udp_cast(arg);
    const struct iovec *iov;
    bool done = false;

    (void)fd;
    (void)what;
    clock_tick();
    while (!done) {
        unsigned n = out_pending_vectors(u->pending, &iov);
        size_t sent = send_next(u, iov, n);

        if (sent == 0) {
            return;
        }
        done = out_pending_sent(u->pending, sent);
    }
    out_pending_free(u->pending);
    u->pending = NULL;
    (void)event_del(&u->event);
    if (watch(u, false)) {
        (void)run_datagram(u);
    }
}

/* ---- the set --------------------------------------------------------- */

void udp_open(struct conn_set *set, int fd)
{
    struct udp *u = malloc(sizeof(*u));

    if (u == NULL) {
        COUNT(set->counters, malloc_fails);
        (void)close(fd);
        return;
    }
    memset(u, 0, offsetof(struct udp, buf));
    u->magic = UDP_MAGIC;
    u->fd = fd;
    u->set = set;
    u->last = clock_seconds();
    if (!watch(u, false)) {
        COUNT(set->counters, malloc_fails);
        (void)close(fd);
        free(u);
        return;
    }
    lock_take(&set->lock, LOCK_QUEUE);
    LIST_INSERT_HEAD(&set->udps, u, link);
    lock_drop(&set->lock, LOCK_QUEUE);
    atomic_fetch_add_explicit(&set->open_count, 1, memory_order_relaxed);
    COUNT(set->counters, total_connections);
    log_print(2, "<%d server listening (udp)\n", fd);
}

void udp_close_all(struct conn_set *set)
{
    struct udp *u;

    while ((u = LIST_FIRST(&set->udps)) != NULL) {
        lock_take(&set->lock, LOCK_QUEUE);
        LIST_REMOVE(u, link);
        lock_drop(&set->lock, LOCK_QUEUE);
        (void)event_del(&u->event);
        (void)close(u->fd);
        out_pending_free(u->pending);
        free(u);
        atomic_fetch_sub_explicit(&set->open_count, 1, memory_order_relaxed);
    }
}

size_t udp_view_locked(const struct conn_set *set, struct conn_view *views,
                       size_t room)
{
    uint32_t now = clock_seconds();
    const struct udp *u;
    size_t n = 0;

    LIST_FOREACH (u, &set->udps, link) {
        struct conn_view *view = &views[n];
        uint32_t last = atomic_load_explicit(&u->last, memory_order_relaxed);
        socklen_t len = sizeof(view->local);

        if (n == room) {
            break;
        }
        *view = (struct conn_view){.fd = u->fd,
                                   .datagrams = true,
                                   .state = CONN_READ,
                                   .idle_seconds = now > last ? now - last : 0};
        (void)getsockname(u->fd, (struct sockaddr *)&view->local, &len);
        n++;
    }
    return n;
}
