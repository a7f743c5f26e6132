#include "replink.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "settings.h"
#include "tls.h"

#define MAGIC  0x7265706cU /* "repl" */
#define READS  4           /* reads a turn */
#define SENDS  2           /* sends a turn */
#define PIECES 64          /* iovecs of a send */
#define UNSENT 262144      /* bytes the kernel may hold that did not leave */
#define STAGE  16384       /* bytes that TLS encrypts together */
/* Of rep_timeout: how long the kernel tries. */
#define LOST_TIMES 3  /* until it is linked, or with a 2.x */
#define BUSY_TIMES 12 /* a v3 link */

/* Small pieces for TLS. The replication thread is one. */
static char stage_bytes[STAGE];
static const struct iovec stage = {stage_bytes, STAGE};

struct replink {
    uint32_t magic;
    const struct replink_env *env;
    struct rep_link *link;
    struct event *readable, *writable;
    int fd;            /* -1 once closed */
    bool reading;      /* `readable` is armed */
    bool blocked;      /* the socket takes nothing; `writable` is armed */
    struct tls *tls;   /* NULL: in clear */
    bool greeting;     /* TLS is not agreed upon: `blocked` until it is */
    char why[TLS_WHY]; /* TLS broke */
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

/* The kernel drops the connection when what was sent is not acknowledged, or
 * not taken, for so long. */
static void limit_unacked(int fd, unsigned ms)
{
    /* Without it, or over INT_MAX: as long as it tries. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

/* A host that died must not keep its place. The peer's silence is judged by
 * rep/core; the kernel only ends what that does not see, what is not linked yet
 * and a legacy link, and gives a lossy network the time to recover. */
static void set_options(int fd, unsigned timeout_ms)
{
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
    limit_unacked(fd, LOST_TIMES * timeout_ms);
    /* On a slow link what was handed over cannot be overtaken any more. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent,
                     sizeof(unsent));
}

/* What TLS holds already no event of the socket tells of. */
static void wake_reader(struct replink *self)
{
    if (self->tls != NULL && self->reading && !self->greeting &&
        tls_has_more(self->tls)) {
        event_active(self->readable, EV_READ, 0);
    }
}

/* Arms or disarms `readable` as the link wants. */
static bool follow_reading(struct replink *self)
{
    bool wanted = !rep_link_is_closed(self->link) && rep_link_reads(self->link);

    if (wanted == self->reading) {
        return true;
    }
    self->reading = wanted;
    if (wanted) {
        wake_reader(self);
    }
    return (wanted ? event_add(self->readable, NULL)
                   : event_del(self->readable)) == 0;
}

/* The last words, if they can be said at once. */
static void part(struct replink *self)
{
    struct iovec iov;
    size_t sent;

    if (self->greeting ||
        rep_link_out(self->link, &iov, 1, clock_mono().ns) != 1) {
        return;
    }
    if (self->tls != NULL) {
        (void)!tls_write(self->tls, &iov, 1, &stage, &sent);
    } else {
        (void)!send(self->fd, iov.iov_base, iov.iov_len,
                    MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static void close_fd(struct replink *self)
{
    /* What nobody takes is not kept for minutes. */
    limit_unacked(self->fd, LOST_TIMES * self->env->timeout_ms);
    if (self->tls != NULL) {
        tls_part(self->tls);
        tls_free(self->tls);
        self->tls = NULL;
    }
    close(self->fd);
    self->fd = -1;
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
        close_fd(self);
    }
}

/* Before anything else the two agree upon TLS: begins when the socket can be
 * written, which is at once. */
static bool begin_tls(struct replink *self, bool dialled)
{
    if (!settings.rep_tls) {
        return true;
    }
    self->tls = tls_new(self->fd, dialled ? TLS_DIALED : TLS_DIALER);
    self->greeting = true;
    self->blocked = true;
    return self->tls != NULL && event_add(self->writable, NULL) == 0;
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
           self->writable != NULL && begin_tls(self, dialled) &&
           follow_reading(self);
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
        close_fd(self);
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

/* ---- TLS --------------------------------------------------------------- */

static void fail_tls(struct replink *self, const char *what)
{
    char why[TLS_WHY];

    tls_why(self->tls, why);
    (void)snprintf(self->why, sizeof(self->why), "TLS %s: %.200s", what, why);
    rep_link_fail(self->link, self->why);
}

/* A system call would have said -1 and this errno. */
static ssize_t not_now(struct replink *self, enum tls_status status)
{
    errno = EAGAIN;
    if (status == TLS_WANTS_WRITE && event_add(self->writable, NULL) != 0) {
        errno = ENOMEM;
    }
    return -1;
}

static void greet(struct replink *self)
{
    enum tls_status status = tls_handshake(self->tls);

    switch (status) {
    case TLS_OK:
        self->greeting = false;
        self->blocked = false; /* the turn that follows sends */
        wake_reader(self);
        break;
    case TLS_WANTS_READ:
        break;
    case TLS_WANTS_WRITE:
        if (not_now(self, status) < 0 && errno == ENOMEM) {
            rep_link_fail(self->link, "out of memory");
        }
        break;
    case TLS_ENDED:
    case TLS_BROKEN:
        fail_tls(self, "handshake");
        break;
    }
}

/* As recv; a broken connection has its reason told already. */
static ssize_t receive(struct replink *self, const struct iovec *room)
{
    enum tls_status status;
    size_t n = 0;

    if (self->tls == NULL) {
        return recv(self->fd, room->iov_base, room->iov_len, 0);
    }
    status = tls_read(self->tls, room, 1, &n);
    if (status == TLS_BROKEN) {
        fail_tls(self, "read");
        errno = EPROTO;
        return -1;
    }
    return status == TLS_OK || status == TLS_ENDED ? (ssize_t)n
                                                   : not_now(self, status);
}

/* As sendmsg. */
static ssize_t transmit(struct replink *self, const struct msghdr *msg)
{
    enum tls_status status;
    size_t n = 0;

    if (self->tls == NULL) {
        return sendmsg(self->fd, msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    status = tls_write(self->tls, msg->msg_iov, (unsigned)msg->msg_iovlen,
                       &stage, &n);
    if (n > 0 || status == TLS_OK) {
        return (ssize_t)n;
    }
    if (status == TLS_WANTS_WRITE) {
        errno = EAGAIN;
        return -1;
    }
    fail_tls(self, "write");
    errno = EPROTO;
    return -1;
}

/* ---- in --------------------------------------------------------------- */

/* Reads once; false when there is no more for now. */
static bool read_once(struct replink *self)
{
    struct iovec room = rep_link_room(self->link);
    ssize_t n = receive(self, &room);

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
    if (self->greeting) {
        greet(self);
        more = false;
    }
    for (int i = 0; i < READS && more; i++) {
        more = read_once(self);
    }
    wake_reader(self);
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
    sent = transmit(self, &msg);
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
    if (self->greeting) {
        greet(self);
        settle(self);
        return;
    }
    self->blocked = false; /* the turn that follows sends */
    if (self->tls != NULL && self->reading) {
        event_active(self->readable, EV_READ, 0); /* it may have waited, too */
    }
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
    /* From here on rep/core judges silence, and a peer that takes nothing may
     * be well: it sweeps (rep/link.h). But not for ever: what waits for it
     * holds memory, that of a large value too. */
    if (!legacy) {
        limit_unacked(self->fd, BUSY_TIMES * self->env->timeout_ms);
    }
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

void replink_await(struct replink *self, uint64_t until)
{
    struct pollfd p = {.fd = self->fd, .events = POLLIN};
    struct timespec left = {0};
    uint64_t now = clock_mono().ns;

    while (self->reading && !self->greeting && now < until &&
           rep_link_awaits(self->link)) {
        left.tv_nsec = (long)(until - now);
        if (ppoll(&p, 1, &left, NULL) != 1) {
            return; /* the rest of the time is the caller's */
        }
        on_readable(self->fd, EV_READ, self);
        now = clock_mono().ns;
    }
}

bool replink_sleep(struct replink *self)
{
    return self->blocked || rep_link_sleep(self->link);
}

void replink_figures(const struct replink *self, struct rep_link_figures *out)
{
    rep_link_figures(self->link, out);
    if (self->blocked) { /* what the socket keeps waiting copies nothing */
        out->copying = false;
        out->held = false;
    }
    if (self->why[0] != '\0') {
        out->error = self->why;
    }
}
