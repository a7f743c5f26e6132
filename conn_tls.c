#include "conn_guard.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "settings.h"
#include "tls.h"
#include "watch.h"

static void on_handshake(evutil_socket_t fd, short what, void *arg);
static void on_room(evutil_socket_t fd, short what, void *arg);

/* Calls back when the socket is readable, or writable. */
static bool wait_on(struct conn *c, bool writing, event_callback_fn call)
{
    (void)event_del(&c->event);
    return event_assign(&c->event, c->set->base, c->fd,
                        (writing ? EV_WRITE : EV_READ) | EV_PERSIST, call,
                        c) == 0 &&
           event_add(&c->event, NULL) == 0;
}

/* What broke a connection, at -v and to watchers. */
static void tell_broken(struct conn *c, const char *when)
{
    char why[TLS_WHY];

    if (!log_wanted(1) && !watch_wanted(WATCH_CONNEVENTS)) {
        return;
    }
    tls_why(c->guard->tls, why);
    log_print(1, "<%d TLS %s: %s\n", c->fd, when, why);
    if (watch_wanted(WATCH_CONNEVENTS)) {
        watch_event(WATCH_CONNEVENTS, "type=conntlserr fd=%d msg=%s", c->fd,
                    why);
    }
}

bool conn_tls_stage(struct conn_set *set)
{
    if (settings.ssl_enabled) {
        set->stage.iov_len = settings.ssl_wbuf_size;
        set->stage.iov_base = malloc(set->stage.iov_len);
    }
    return !settings.ssl_enabled || set->stage.iov_base != NULL;
}

/* ---- the handshake ---------------------------------------------------- */

bool conn_tls_begin(struct conn *c, enum tls_kind kind)
{
    struct guard *guard = conn_guard(c);

    if (guard == NULL) {
        return false;
    }
    guard->tls = tls_new(c->fd, kind);
    return guard->tls != NULL &&
           event_assign(&c->event, c->set->base, c->fd, EV_READ | EV_PERSIST,
                        on_handshake, c) == 0 &&
           event_add(&c->event, NULL) == 0;
}

/* Bytes that are here already wake nobody: gives it a turn. */
static bool queue_what_is_here(struct conn *c)
{
    if (!tls_has_more(c->guard->tls)) {
        return true;
    }
    if (conn_park(c) == NULL) {
        return false;
    }
    conn_queue_run(c);
    return true;
}

static void on_handshake(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = conn_cast(arg);
    bool alive = false;

    (void)fd;
    (void)what;
    switch (tls_handshake(c->guard->tls)) {
    case TLS_OK:
        counter_add(&c->set->counters->ssl_new_sessions,
                    tls_sessions(c->guard->tls));
        (void)event_del(&c->event);
        alive = conn_watch(c, false) && queue_what_is_here(c);
        break;
    case TLS_WANTS_READ:
        alive = wait_on(c, false, on_handshake);
        break;
    case TLS_WANTS_WRITE:
        alive = wait_on(c, true, on_handshake);
        break;
    case TLS_ENDED:
    case TLS_BROKEN:
        COUNT(c->set->counters, ssl_handshake_errors);
        tell_broken(c, "handshake");
        break;
    }
    if (!alive) {
        conn_close(c);
    }
}

/* ---- bytes ------------------------------------------------------------ */

ssize_t conn_tls_read(struct conn *c, const struct iovec *iov, unsigned n)
{
    size_t got = 0;

    switch (tls_read(c->guard->tls, iov, n, &got)) {
    case TLS_OK:
        return (ssize_t)got;
    case TLS_ENDED:
        return 0;
    case TLS_WANTS_WRITE:
        c->answering = true;
        break;
    case TLS_WANTS_READ:
        break;
    case TLS_BROKEN:
        COUNT(c->set->counters, ssl_proto_errors);
        tell_broken(c, "read");
        errno = EPROTO;
        return -1;
    }
    errno = EAGAIN;
    return -1;
}

ssize_t conn_tls_send(struct conn *c, const struct iovec *iov, unsigned n)
{
    size_t sent = 0;

    switch (tls_write(c->guard->tls, iov, n, &c->set->stage, &sent)) {
    case TLS_OK:
    case TLS_WANTS_WRITE:
        counter_add(&c->set->counters->bytes_written, sent);
        return (ssize_t)sent;
    case TLS_WANTS_READ: /* only where a client may begin anew */
    case TLS_ENDED:
    case TLS_BROKEN:
        break;
    }
    COUNT(c->set->counters, ssl_proto_errors);
    tell_broken(c, "write");
    return -1;
}

/* There is room for what TLS itself has to say: reads on. */
static void on_room(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = conn_cast(arg);

    (void)fd;
    (void)what;
    c->answering = false;
    (void)event_del(&c->event);
    if (conn_park(c) == NULL || !conn_watch(c, false)) {
        conn_close(c);
        return;
    }
    conn_queue_run(c);
}

bool conn_tls_wait(struct conn *c)
{
    if (c->parked->pending != NULL) {
        return true;
    }
    return c->answering ? wait_on(c, true, on_room) : queue_what_is_here(c);
}

void conn_tls_end(struct conn *c)
{
    if (c->guard->tls != NULL) {
        tls_part(c->guard->tls);
        tls_free(c->guard->tls);
        c->guard->tls = NULL;
    }
}
