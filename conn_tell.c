#include "conn_stream.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "counters.h"
#include "settings.h"
#include "udp.h"
#include "watch.h"

/* ---- all of them ------------------------------------------------------ */

void conn_set_sweep(struct conn_set *set)
{
    uint32_t now = clock_seconds();
    struct conn *c = LIST_FIRST(&set->open);

    while (settings.idle_timeout > 0 && c != NULL) {
        struct conn *next = LIST_NEXT(c, link);
        uint32_t last = atomic_load_explicit(&c->last, memory_order_relaxed);

        if (c->transport == CONN_TCP && c->seat == 0 &&
            c->parked->pending == NULL && c->parked->stream == NULL &&
            now > last && now - last > (uint32_t)settings.idle_timeout) {
            log_print(2, "Closing idle fd %d\n", c->fd);
            COUNT(set->counters, idle_kicks);
            c->reason = CONN_IDLE;
            conn_close(c);
        }
        c = next;
    }
}

size_t conn_set_open_count(struct conn_set *set)
{
    return atomic_load_explicit(&set->open_count, memory_order_relaxed);
}

size_t conn_set_structures(struct conn_set *set)
{
    return atomic_load_explicit(&set->structures, memory_order_relaxed);
}

/* ---- stats conns ----------------------------------------------------- */

static void view_conn(struct conn *c, struct conn_view *view)
{
    socklen_t local = sizeof(view->local);
    socklen_t peer = sizeof(view->peer);
    uint32_t now = clock_seconds();
    uint32_t last = atomic_load_explicit(&c->last, memory_order_relaxed);

    *view = (struct conn_view){
        .fd = c->fd,
        .state = atomic_load_explicit(&c->state, memory_order_relaxed),
        .idle_seconds = now > last ? now - last : 0};
    /* A reset connection has no peer any more: AF_UNSPEC remains. */
    (void)getsockname(c->fd, (struct sockaddr *)&view->local, &local);
    (void)getpeername(c->fd, (struct sockaddr *)&view->peer, &peer);
}

size_t conn_set_view(struct conn_set *set, struct conn_view *views, size_t room)
{
    struct conn *c;
    size_t n = 0;

    lock_take(&set->lock, LOCK_QUEUE);
    LIST_FOREACH (c, &set->open, link) {
        if (n < room) {
            view_conn(c, &views[n++]);
        }
    }
    n += udp_view_locked(set, views + n, room - n);
    lock_drop(&set->lock, LOCK_QUEUE);
    return n;
}

/* ---- connevents ------------------------------------------------------ */

void conn_note_peer(struct conn *c)
{
    struct sockaddr_in6 peer = {0};
    const struct sockaddr_in *v4 = (const void *)&peer;
    socklen_t len = sizeof(peer);

    if (c->transport != CONN_TCP ||
        getpeername(c->fd, (struct sockaddr *)&peer, &len) != 0) {
        return;
    }
    if (peer.sin6_family == AF_INET6) {
        c->peer = peer.sin6_addr;
        c->peer_port = peer.sin6_port;
    } else if (peer.sin6_family == AF_INET) {
        /* As one of IPv6 (RFC 4291, 2.5.5.2). */
        c->peer.s6_addr[10] = c->peer.s6_addr[11] = UINT8_MAX;
        memcpy(&c->peer.s6_addr[12], &v4->sin_addr, sizeof(v4->sin_addr));
        c->peer_port = v4->sin_port;
    }
}

/* Who is at the other end, as connevents have it. */
struct who {
    char ip[INET6_ADDRSTRLEN];
    unsigned port;
    const char *transport;
};

static struct who who_is(const struct conn *c)
{
    struct who who = {
        .ip = "unknown", .port = ntohs(c->peer_port), .transport = "tcp"};

    if (c->transport == CONN_UNIX) {
        who = (struct who){.ip = "unix", .transport = "local"};
    } else if (IN6_IS_ADDR_V4MAPPED(&c->peer)) {
        (void)inet_ntop(AF_INET, &c->peer.s6_addr[12], who.ip, sizeof(who.ip));
    } else if (c->peer_port != 0) {
        (void)inet_ntop(AF_INET6, &c->peer, who.ip, sizeof(who.ip));
    }
    return who;
}

void conn_tell_new(const struct conn *c)
{
    if (watch_wanted(WATCH_CONNEVENTS)) {
        struct who who = who_is(c);

        watch_event(WATCH_CONNEVENTS,
                    "type=conn_new rip=%s rport=%u transport=%s cfd=%d", who.ip,
                    who.port, who.transport, c->fd);
    }
}

void conn_tell_closed(const struct conn *c)
{
    static const char *const reasons[] = {
        [CONN_NORMAL] = "normal",
        [CONN_ERROR] = "error",
        [CONN_IDLE] = "idle_timeout",
        [CONN_SHUTDOWN] = "shutdown",
    };

    if (watch_wanted(WATCH_CONNEVENTS)) {
        struct who who = who_is(c);

        watch_event(WATCH_CONNEVENTS,
                    "type=conn_close rip=%s rport=%u transport=%s reason=%s "
                    "cfd=%d",
                    who.ip, who.port, who.transport, reasons[c->reason], c->fd);
    }
}
