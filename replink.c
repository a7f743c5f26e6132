#include "replink.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"

#define MAGIC  0x7265706cU /* "repl" */
#define READS  4           /* reads a turn */
#define SENDS  2           /* sends a turn */
#define PIECES 64          /* iovecs of a send */
#define UNSENT 262144      /* bytes the kernel may hold that did not leave */

struct replink {
    uint32_t magic;
    const struct replink_env *env;
    struct rep_link *link;
    struct event *readable, *writable;
    int fd;       /* -1 once closed */
    bool reading; /* `readable` is armed */
    bool blocked; /* the socket takes nothing; `writable` is armed */
    char name[REPLINK_NAME];
};

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

static struct replink *cast(void *arg)
{
    struct replink *link = arg;

    assert(link->magic == MAGIC);
    return link;
}

/* ---- life ------------------------------------------------------------- */

/* A host that died must not keep its place. The peer's silence is judged by
 * rep/core; the kernel only ends what that does not see, a legacy link, and
 * gives a lossy network the time to recover. */
static void set_options(int fd, unsigned timeout_ms)
{
    unsigned dead_ms = 3 * timeout_ms;
    int on = 1;
    int idle = 1;
    int interval = 1;
    int count = (int)(timeout_ms / 1000) > 1 ? (int)(timeout_ms / 1000) : 1;
    int unsent = UNSENT;

    /* Each is an improvement only: a kernel without it still carries data. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval,
                     sizeof(interval));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms,
                     sizeof(dead_ms));
    /* On a slow link what was handed over cannot be overtaken any more. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent,
                     sizeof(unsent));
}

/* Arms or disarms `readable` as the link wants. */
static bool follow_reading(struct replink *self)
{
    bool wanted = !rep_link_is_closed(self->link) && rep_link_reads(self->link);

    if (wanted == self->reading) {
        return true;
    }
    self->reading = wanted;
    return (wanted ? event_add(self->readable, NULL)
                   : event_del(self->readable)) == 0;
}

/* The last words, if they can be said at once. */
static void part(struct replink *self)
{
    struct iovec iov;

    if (rep_link_out(self->link, &iov, 1, clock_mono().ns) == 1) {
        (void)!send(self->fd, iov.iov_base, iov.iov_len,
                    MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

/* After any call to the link: does with the socket what became of it. */
static void settle(struct replink *self)
{
    if (!follow_reading(self)) {
        rep_link_fail(self->link, "out of memory");
    }
    if (rep_link_is_closed(self->link) && self->fd >= 0) {
        part(self);
        (void)event_del(self->readable);
        (void)event_del(self->writable);
        self->reading = false;
        close(self->fd);
        self->fd = -1;
    }
}

static bool set_up(struct replink *self, uint32_t id, bool dialled,
                   uint64_t addr)
{
    self->link = rep_link_new(&self->env->link, id, dialled, self->fd, addr);
    self->readable = event_new(self->env->base, self->fd, EV_READ | EV_PERSIST,
                               on_readable, self);
    self->writable =
        event_new(self->env->base, self->fd, EV_WRITE, on_writable, self);
    return self->link != NULL && self->readable != NULL &&
           self->writable != NULL && follow_reading(self);
}

struct replink *replink_new(const struct replink_env *env, int fd, uint32_t id,
                            bool dialled, uint64_t addr, const char *name)
{
    struct replink *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        close(fd);
        return NULL;
    }
    self->magic = MAGIC;
    self->env = env;
    self->fd = fd;
    (void)snprintf(self->name, sizeof(self->name), "%s", name);
    set_options(fd, env->timeout_ms);
    if (!set_up(self, id, dialled, addr)) {
        replink_free(self);
        return NULL;
    }
    return self;
}

void replink_close(struct replink *self)
{
    rep_link_close(self->link);
    settle(self);
}

void replink_free(struct replink *self)
{
    if (self->readable != NULL) {
        event_free(self->readable);
    }
    if (self->writable != NULL) {
        event_free(self->writable);
    }
    if (self->fd >= 0) {
        close(self->fd);
    }
    rep_link_free(self->link);
    free(self);
}

uint32_t replink_id(const struct replink *self)
{
    return rep_link_id(self->link);
}

const char *replink_name(const struct replink *self)
{
    return self->name;
}

bool replink_is_closed(const struct replink *self)
{
    return rep_link_is_closed(self->link);
}

/* ---- in --------------------------------------------------------------- */

/* Reads once; false when there is no more for now. */
static bool read_once(struct replink *self)
{
    struct iovec room = rep_link_room(self->link);
    ssize_t n = recv(self->fd, room.iov_base, room.iov_len, 0);

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        return false;
    }
    if (n <= 0) {
        rep_link_fail(self->link, n == 0 ? NULL : strerror(errno));
        return false;
    }
    rep_link_got(self->link, (size_t)n, clock_mono().ns);
    return (size_t)n == room.iov_len && rep_link_reads(self->link);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct replink *self = cast(arg);
    bool more = true;

    (void)fd;
    (void)what;
    for (int i = 0; i < READS && more; i++) {
        more = read_once(self);
    }
    settle(self);
}

/* ---- out -------------------------------------------------------------- */

/* Sends once; true when there is no more, now or at all. */
static bool send_once(struct replink *self)
{
    struct iovec iov[PIECES];
    struct msghdr msg = {.msg_iov = iov};
    ssize_t sent;

    msg.msg_iovlen = rep_link_out(self->link, iov, PIECES, clock_mono().ns);
    if (msg.msg_iovlen == 0) {
        return rep_link_is_closed(self->link) ||
               rep_link_all_written(self->link);
    }
    sent = sendmsg(self->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        self->blocked = true;
        if (event_add(self->writable, NULL) != 0) {
            rep_link_fail(self->link, "out of memory");
        }
        return true;
    }
    if (sent < 0 && errno != EINTR) {
        rep_link_fail(self->link, strerror(errno));
        return true;
    }
    rep_link_sent(self->link, sent > 0 ? (size_t)sent : 0);
    return rep_link_all_written(self->link);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct replink *self = cast(arg);

    (void)fd;
    (void)what;
    self->blocked = false; /* the turn that follows sends */
}

static enum replink_work pump(struct replink *self)
{
    bool done = false;

    for (int i = 0; i < SENDS && !self->blocked && !done && self->fd >= 0;
         i++) {
        done = send_once(self);
    }
    if (rep_link_is_closed(self->link)) {
        return REPLINK_IDLE;
    }
    if (self->blocked) {
        return REPLINK_WAIT;
    }
    return done ? REPLINK_IDLE : REPLINK_BUSY;
}

/* ---- actions ---------------------------------------------------------- */

void replink_hello(struct replink *self)
{
    rep_link_hello(self->link);
    (void)pump(self);
    settle(self);
}

void replink_refuse(struct replink *self, enum wire_refusal refusal)
{
    rep_link_refuse(self->link, refusal);
    (void)pump(self);
    rep_link_close(self->link); /* sent or not */
    settle(self);
}

bool replink_begin(struct replink *self, bool legacy, uint64_t unlinked_since)
{
    return rep_link_begin(self->link, legacy, unlinked_since) &&
           follow_reading(self);
}

void replink_catch_up(struct replink *self)
{
    rep_link_catch_up(self->link);
}

void replink_scan(struct replink *self, uint64_t version)
{
    rep_link_scan(self->link, version);
}

void replink_announce(struct replink *self)
{
    rep_link_announce(self->link);
}

void replink_beat(struct replink *self)
{
    rep_link_beat(self->link);
}

bool replink_takes_hints(const struct replink *self)
{
    return rep_link_takes_hints(self->link);
}

void replink_hints(struct replink *self, const uint8_t *payload, size_t n)
{
    rep_link_hints(self->link, payload, n);
}

void replink_drain(struct replink *self)
{
    rep_link_drain(self->link);
}

/* ---- the loop --------------------------------------------------------- */

/* Bytes that the kernel holds; one that cannot tell holds none. */
static size_t unsent(const struct replink *self)
{
    int n = 0;

    return ioctl(self->fd, SIOCOUTQ, &n) == 0 && n > 0 ? (size_t)n : 0;
}

enum replink_work replink_turn(struct replink *self)
{
    struct rep_link_figures figures;
    enum replink_work work;

    rep_link_work(self->link);
    work = pump(self);
    rep_link_figures(self->link, &figures);
    if (figures.draining && !rep_link_is_closed(self->link)) {
        rep_link_drained(self->link, unsent(self));
    }
    settle(self);
    return rep_link_is_closed(self->link) ? REPLINK_IDLE : work;
}

bool replink_sleep(struct replink *self)
{
    return self->blocked || rep_link_sleep(self->link);
}

void replink_figures(const struct replink *self, struct rep_link_figures *out)
{
    rep_link_figures(self->link, out);
}
