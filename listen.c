#include "listen.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "conn.h"
#include "counters.h"
#include "listen_spec.h"
#include "listen_udp.h"
#include "settings.h"
#include "slot.h"
#include "sockname.h"
#include "systemd.h"
#include "thread.h"

#define LISTENER_MAGIC 0x6c73746eU
#define ACCEPT_TURN    64    /* connections accepted in a turn */
#define RESUME_US      10000 /* between looks for free descriptors */

/* [c] constant once made  [m] main thread  [Q] under listeners_lock */
struct listener {
    uint32_t magic;                /* [c] */
    int fd;                        /* [c] */
    enum conn_transport transport; /* [c] */
    enum conn_protocol protocol;   /* [c] */
    enum tls_kind tls;             /* [c] */
    uint32_t since;                /* [c] Unix second, from listen_open on */
    struct event event;            /* [m] */
    STAILQ_ENTRY(listener) link;   /* [Q] */
};

STAILQ_HEAD(listener_queue, listener);

static struct lock listeners_lock; /* QUEUE */
static struct listener_queue listeners = STAILQ_HEAD_INITIALIZER(listeners);
static atomic_size_t listener_count; /* [a] main thread; curr_connections */
static atomic_bool accepting;        /* [a] main thread; stats */

/* The main thread's; made by listen_bind. */
static struct counters *counters;
static struct event resume;  /* runs while descriptors have run out */
static uint64_t closed_seen; /* conn_closed_count when accept last failed */
static struct mono disabled_at;

/* ---- accepting ----------------------------------------------------- */

/* Stops or starts accepting; the queue of the kernel shrinks meanwhile, so
 * that further clients are refused early. */
static void set_accepting(bool on)
{
    struct listener *l;

    STAILQ_FOREACH (l, &listeners, link) {
        if (on ? event_add(&l->event, NULL) != 0 : event_del(&l->event) != 0) {
            log_print(1, "Couldn't update event\n");
        }
        (void)listen(l->fd, on ? settings.backlog : 0);
    }
    atomic_store_explicit(&accepting, on, memory_order_relaxed);
}

static void accept_pause(void)
{
    const struct timeval soon = {.tv_usec = RESUME_US};

    if (!atomic_load_explicit(&accepting, memory_order_relaxed)) {
        return;
    }
    log_print(1, "Too many open connections\n");
    COUNT(counters, listen_disabled_num);
    disabled_at = clock_mono();
    set_accepting(false);
    (void)event_add(&resume, &soon);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    if (conn_closed_count() == closed_seen) {
        return;
    }
    (void)event_del(&resume);
    counter_add(&counters->time_in_listen_disabled_us,
                (clock_mono().ns - disabled_at.ns) / 1000);
    set_accepting(true);
}

static void reject(int fd)
{
    static const char text[] = "ERROR Too many open connections\r\n";

    /* Best effort: the connection ends either way. */
    (void)send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL);
    (void)close(fd);
    COUNT(counters, rejected_connections);
}

/* Accepts one connection; false when there is none, or no more for now. */
static bool accept_one(const struct listener *l)
{
    int fd;

    closed_seen = conn_closed_count();
    fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        if (settings.maxconns_fast && fd >= settings.maxconns - 1) {
            reject(fd);
        } else {
            thread_hand_over(fd, l->transport, l->protocol, l->tls);
        }
        return true;
    }
    if (errno == EINTR || errno == ECONNABORTED) {
        return true;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
        bool exhausted = errno == EMFILE || errno == ENFILE;

        log_print(0, "accept4(): %s\n", strerror(errno));
        if (exhausted) {
            accept_pause();
        }
    }
    return false;
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    const struct listener *l = arg;

    (void)fd;
    (void)what;
    assert(l->magic == LISTENER_MAGIC);
    clock_tick();
    for (int i = 0; i < ACCEPT_TURN && accept_one(l); i++) {
    }
}

/* ---- sockets ------------------------------------------------------- */

static void set_option(int fd, int level, int option, const void *value,
                       socklen_t size)
{
    if (setsockopt(fd, level, option, value, size) != 0) {
        log_print(0, "setsockopt(): %s\n", strerror(errno));
    }
}

/* Accepted sockets inherit all of them. */
static void set_options(int fd, int family)
{
    static const int on = 1;
    static const struct linger no_linger = {0, 0};

    set_option(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    set_option(fd, SOL_SOCKET, SO_LINGER, &no_linger, sizeof(no_linger));
    if (family != AF_UNIX) {
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    if (settings.sock_cookie_id != 0) {
        set_option(fd, SOL_SOCKET, SO_MARK, &settings.sock_cookie_id,
                   sizeof(settings.sock_cookie_id));
    }
}

/* Takes the bound `fd` as a listener; 0 or a negative errno. */
static int add_listener(int fd, enum conn_transport transport,
                        enum conn_protocol protocol, enum tls_kind tls)
{
    struct listener *l = calloc(1, sizeof(*l));

    if (l == NULL) {
        (void)close(fd);
        return -ENOMEM;
    }
    l->magic = LISTENER_MAGIC;
    l->fd = fd;
    l->transport = transport;
    l->protocol = protocol;
    l->tls = tls;
    lock_take(&listeners_lock, LOCK_QUEUE);
    STAILQ_INSERT_TAIL(&listeners, l, link);
    lock_drop(&listeners_lock, LOCK_QUEUE);
    atomic_fetch_add_explicit(&listener_count, 1, memory_order_relaxed);
    return 0;
}

/* A new socket bound to `addr`; negative errno on failure. */
static int bound_socket(int family, const struct sockaddr *addr, socklen_t len)
{
    static const int on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    if (fd < 0) {
        return -errno;
    }
    set_options(fd, family);
    if (family == AF_INET6) {
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (bind(fd, addr, len) != 0) {
        error = errno;
        (void)close(fd);
        return -error;
    }
    return fd;
}

/* ---- TCP ----------------------------------------------------------- */

/* One thing -l names. */
struct element {
    const char *host; /* NULL: every address */
    int port;
    enum conn_protocol protocol;
    enum tls_kind tls;
    enum conn_transport transport; /* TCP or UDP */
};

/* Binds one address. 0, -EADDRINUSE (perhaps another one is free), or another
 * error, which has been printed; a family the kernel lacks counts as in use. */
static int bind_address(const struct addrinfo *ai, const struct element *e)
{
    bool udp = e->transport == CONN_UDP;
    int fd = udp ? listen_udp_bind(ai)
                 : bound_socket(ai->ai_family, ai->ai_addr, ai->ai_addrlen);

    if (fd >= 0) {
        return udp ? 0 : add_listener(fd, CONN_TCP, e->protocol, e->tls);
    }
    if (fd == -EMFILE || fd == -ENFILE) {
        log_print(0, "server_socket: %s\n", strerror(-fd));
        return fd;
    }
    if (fd == -EAFNOSUPPORT) {
        return -EADDRINUSE;
    }
    if (fd != -EADDRINUSE) {
        log_print(0, "bind(): %s\n", strerror(-fd));
    }
    return fd;
}

/* Binds every address of the element; 0 when one of them could be, else a
 * negative errno, or 1 for what has none. */
static int bind_element(const struct element *e)
{
    const struct addrinfo hints = {
        .ai_flags = AI_PASSIVE,
        .ai_family = AF_UNSPEC,
        .ai_socktype = e->transport == CONN_UDP ? SOCK_DGRAM : SOCK_STREAM};
    struct addrinfo *list;
    char port[16];
    int result = -EADDRINUSE;
    int error;

    (void)snprintf(port, sizeof(port), "%d", e->port == -1 ? 0 : e->port);
    error = getaddrinfo(e->host, port, &hints, &list);
    if (error != 0) {
        log_print(0, "getaddrinfo(): %s\n",
                  error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
        return 1;
    }
    for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
        int one = bind_address(ai, e);

        if (one != 0 && one != -EADDRINUSE) {
            result = one;
            break;
        }
        if (one == 0) {
            result = 0;
        }
    }
    freeaddrinfo(list);
    return result;
}

/* ---- the grammar of -l --------------------------------------------- */

static enum tls_kind tls_of(enum listen_tls said)
{
    if (!settings.ssl_enabled) {
        return TLS_NONE;
    }
    switch (said) {
    case LISTEN_TLS_NONE:
        return TLS_NONE;
    case LISTEN_TLS_BASIC:
        return TLS_BASIC;
    case LISTEN_TLS_MUTUAL:
        return TLS_MUTUAL;
    case LISTEN_TLS_UNSAID:
        break;
    }
    return TLS_CLIENT;
}

/* What no parser can know: the process has no TLS. */
static bool tls_refused(enum listen_tls tls)
{
    static const char *const names[] = {
        [LISTEN_TLS_NONE] = "notls",
        [LISTEN_TLS_BASIC] = "btls",
        [LISTEN_TLS_MUTUAL] = "otls", /* as stock prints it */
    };

    if (tls == LISTEN_TLS_UNSAID || settings.ssl_enabled) {
        return false;
    }
    log_print(0, "'%s' option is valid only when SSL is enabled\n", names[tls]);
    return true;
}

static void tell_fault(enum listen_spec_status status, struct listen_text fault)
{
    static const char *const texts[] = {
        [LISTEN_SPEC_BAD_PROTOCOL] = "Invalid protocol spec",
        [LISTEN_SPEC_PROXY] = "Server not built with proxy",
        [LISTEN_SPEC_BAD_TAG] = "Invalid tag in socket config",
        [LISTEN_SPEC_TAG_LENGTH] = ("Listener tags must be between 1 and 8 "
                                    "characters"),
        [LISTEN_SPEC_BAD_IPV6] = "Invalid IPV6 address",
        [LISTEN_SPEC_BAD_PORT] = "Invalid port number",
    };

    log_print(0, "%s: \"%.*s\"%s", texts[status], (int)fault.len, fault.ptr,
              status == LISTEN_SPEC_BAD_IPV6 ? "" : "\n"); /* as in stock */
}

/* A listener of -Y is a text one. */
static bool auth_refused(enum listen_protocol said)
{
    if (settings.auth_file == NULL) {
        return false;
    }
    if (said == LISTEN_NEGOTIATING) {
        log_print(0, "WARNING: negotiating ports are ascii only when ascii "
                     "authentication enabled\n");
    }
    if (said == LISTEN_BINARY) {
        log_print(0, "Cannot use binary protocol when ascii authentication "
                     "enabled\n");
    }
    return said == LISTEN_BINARY;
}

/* Names and passwords are of binary packets: text is let in as if nobody had
 * asked for them. Stock does that without a word. */
static void warn_of_text(struct listen_text element,
                         enum conn_protocol protocol)
{
    if (settings.sasl && protocol != CONN_BINARY) {
        log_print(0,
                  "WARNING: %.*s lets in text commands without authentication: "
                  "-S asks binary clients alone\n",
                  (int)element.len, element.ptr);
    }
}

/* What -B says. */
static enum conn_protocol bound_protocol(void)
{
    static const uint8_t protocols[] = {
        [SETTINGS_AUTO] = CONN_AUTO,
        [SETTINGS_ASCII] = CONN_ASCII,
        [SETTINGS_BINARY] = CONN_BINARY,
    };

    return (enum conn_protocol)protocols[settings.binding_protocol];
}

static enum conn_protocol protocol_of(enum listen_protocol said)
{
    switch (said) {
    case LISTEN_ASCII:
        return CONN_ASCII;
    case LISTEN_NEGOTIATING:
        return settings.auth_file != NULL ? CONN_ASCII : CONN_AUTO;
    case LISTEN_BINARY:
        return CONN_BINARY;
    case LISTEN_PROTOCOL_UNSAID:
        break;
    }
    return bound_protocol();
}

static int port_setting(enum conn_transport transport)
{
    return transport == CONN_UDP ? settings.udpport : settings.port;
}

/* Turns one element of the list into what is bound. `host` has room for all
 * of it. False, said, when it cannot be. */
static bool read_element(struct listen_text text, char *host, struct element *e)
{
    struct listen_spec spec;
    struct listen_text fault;
    enum listen_spec_status status = listen_spec_parse(text, &spec, &fault);

    if (tls_refused(spec.tls) || auth_refused(spec.protocol)) {
        return false;
    }
    if (status != LISTEN_SPEC_OK) {
        tell_fault(status, fault);
        return false;
    }
    memcpy(host, spec.host.ptr, spec.host.len);
    host[spec.host.len] = '\0';
    e->host = strcmp(host, "*") == 0 ? NULL : host;
    e->port = spec.has_port ? spec.port : port_setting(e->transport);
    e->protocol = protocol_of(spec.protocol);
    e->tls = tls_of(spec.tls);
    warn_of_text(text, e->protocol);
    return true;
}

/* Binds every element of the list: as bind_element. */
static int bind_list(const char *text, enum conn_transport transport)
{
    struct listen_text list = {text, strlen(text)};
    struct listen_text one;
    char *host = malloc(list.len + 1);
    int result = 0;

    if (host == NULL) {
        return -ENOMEM;
    }
    while (result == 0 && listen_spec_next(&list, &one)) {
        struct element e = {.transport = transport};

        result = read_element(one, host, &e) ? bind_element(&e) : 1;
    }
    free(host);
    return result;
}

/* The last line of a process that cannot listen. */
static void describe_failure(char message[LISTEN_MESSAGE],
                             enum conn_transport transport, int error)
{
    const char *why = strerror(error);

    if (settings.socketpath != NULL) {
        (void)snprintf(message, LISTEN_MESSAGE,
                       "failed to listen on UNIX socket: %s: %s",
                       settings.socketpath, why);
    } else if (settings.inter != NULL) {
        (void)snprintf(message, LISTEN_MESSAGE,
                       "failed to listen on one of interface(s) %s: %s",
                       settings.inter, why);
    } else {
        (void)snprintf(message, LISTEN_MESSAGE,
                       "failed to listen on %s port %d: %s",
                       transport == CONN_UDP ? "UDP" : "TCP",
                       port_setting(transport), why);
    }
}

static bool bind_ports(char message[LISTEN_MESSAGE],
                       enum conn_transport transport)
{
    const struct element every = {.port = port_setting(transport),
                                  .protocol = bound_protocol(),
                                  .transport = transport,
                                  .tls = tls_of(LISTEN_TLS_UNSAID)};
    int error;

    if (every.port == 0) {
        return true;
    }
    error = settings.inter == NULL ? bind_element(&every)
                                   : bind_list(settings.inter, transport);
    if (error == 0) {
        return true;
    }
    /* 1 stands for no errno at all, which reads "Success". */
    describe_failure(message, transport, error == 1 ? 0 : -error);
    return false;
}

/* ---- unix socket --------------------------------------------------- */

/* A socket file that an earlier process left is removed; nothing else is. */
static int bind_path(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct stat st;
    mode_t before;
    int fd;

    if (strlen(path) >= sizeof(addr.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(addr.sun_path, path, strlen(path));
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        (void)unlink(path);
    }
    before = umask((mode_t) ~((unsigned)settings.access & 0777U));
    fd = bound_socket(AF_UNIX, (const struct sockaddr *)&addr, sizeof(addr));
    (void)umask(before);
    return fd;
}

static bool bind_unix(char message[LISTEN_MESSAGE])
{
    int fd = bind_path(settings.socketpath);

    if (fd >= 0) {
        fd = add_listener(fd, CONN_UNIX, bound_protocol(), TLS_NONE);
    } else {
        log_print(0, "bind(): %s\n", strerror(-fd));
    }
    if (fd == 0) {
        return true;
    }
    describe_failure(message, CONN_UNIX, -fd);
    return false;
}

/* ---- handed over --------------------------------------------------- */

/* The sockets a service manager has opened stand for -l, -p and -s. */
static bool take_over(char message[LISTEN_MESSAGE])
{
    int fd;

    while ((fd = systemd_take(SYSTEMD_CLIENTS)) >= 0) {
        struct sockaddr_storage addr = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof(addr);
        int error;

        (void)getsockname(fd, (struct sockaddr *)&addr, &len);
        set_options(fd, addr.ss_family);
        error =
            addr.ss_family == AF_UNIX
                ? add_listener(fd, CONN_UNIX,
                               protocol_of(LISTEN_PROTOCOL_UNSAID), TLS_NONE)
                : add_listener(fd, CONN_TCP,
                               protocol_of(LISTEN_PROTOCOL_UNSAID),
                               tls_of(LISTEN_TLS_UNSAID));
        if (error != 0) {
            (void)snprintf(message, LISTEN_MESSAGE,
                           "failed to take over a socket: %s",
                           strerror(-error));
            return false;
        }
    }
    return true;
}

bool listen_bind(char message[LISTEN_MESSAGE])
{
    counters = counters_new();
    if (counters == NULL) {
        describe_failure(message, CONN_TCP, ENOMEM);
        return false;
    }
    if (systemd_count(SYSTEMD_CLIENTS) > 0) {
        return take_over(message);
    }
    if (settings.socketpath != NULL) {
        return bind_unix(message);
    }
    return bind_ports(message, CONN_TCP) && bind_ports(message, CONN_UDP);
}

/* ---- opening ------------------------------------------------------- */

static void write_ports(FILE *file)
{
    const struct listener *l;

    STAILQ_FOREACH (l, &listeners, link) {
        int family;
        uint16_t port = sockname_port(l->fd, &family);

        if (family == AF_UNIX) {
            continue;
        }
        (void)fprintf(file, "TCP INET%s: %u\n", family == AF_INET6 ? "6" : "",
                      (unsigned)port);
    }
    listen_udp_write_ports(file);
}

/* For whoever asked for a port chosen by the kernel. */
static void publish_ports(void)
{
    const char *name = getenv("MEMCACHED_PORT_FILENAME");
    char temporary[4096];
    FILE *file;

    if (name == NULL || settings.socketpath != NULL ||
        (size_t)snprintf(temporary, sizeof(temporary), "%s.lck", name) >=
            sizeof(temporary)) {
        return;
    }
    file = fopen(temporary, "a");
    if (file == NULL) {
        log_print(0, "Failed to open \"%s\": %s\n", temporary, strerror(errno));
        return;
    }
    write_ports(file);
    if (fclose(file) != 0 || rename(temporary, name) != 0) {
        log_print(0, "Failed to write \"%s\": %s\n", name, strerror(errno));
    }
}

/* 0, or a negative errno. */
static int listener_open(struct listener *l, struct event_base *base)
{
    static const char *const names[] = {[CONN_AUTO] = "auto-negotiate",
                                        [CONN_ASCII] = "ascii",
                                        [CONN_BINARY] = "binary"};

    if (listen(l->fd, settings.backlog) != 0) {
        int error = errno;

        log_print(0, "listen(): %s\n", strerror(error));
        return -error;
    }
    if (event_assign(&l->event, base, l->fd, EV_READ | EV_PERSIST,
                     on_acceptable, l) != 0 ||
        event_add(&l->event, NULL) != 0) {
        return -ENOMEM;
    }
    l->since = clock_seconds();
    log_print(2, "<%d server listening (%s)\n", l->fd, names[l->protocol]);
    COUNT(counters, total_connections);
    return 0;
}

bool listen_open(struct event_base *base, char message[LISTEN_MESSAGE])
{
    struct listener *l;
    int error =
        event_assign(&resume, base, -1, EV_PERSIST, on_resume, NULL) == 0
            ? 0
            : -EINVAL;

    STAILQ_FOREACH (l, &listeners, link) {
        if (error == 0) {
            error = listener_open(l, base);
        }
    }
    if (error != 0) {
        describe_failure(message, CONN_TCP, -error);
        return false;
    }
    error = listen_udp_open();
    if (error != 0) {
        describe_failure(message, CONN_UDP, -error);
        return false;
    }
    atomic_store_explicit(&accepting, true, memory_order_relaxed);
    publish_ports();
    return true;
}

void listen_close(void)
{
    struct listener *l;

    if (event_initialized(&resume)) {
        (void)event_del(&resume);
    }
    atomic_store_explicit(&accepting, false, memory_order_relaxed);
    listen_udp_close();
    lock_take(&listeners_lock, LOCK_QUEUE);
    while ((l = STAILQ_FIRST(&listeners)) != NULL) {
        STAILQ_REMOVE_HEAD(&listeners, link);
        if (event_initialized(&l->event)) {
            (void)event_del(&l->event);
        }
        (void)close(l->fd);
        free(l);
        atomic_fetch_sub_explicit(&listener_count, 1, memory_order_relaxed);
    }
    lock_drop(&listeners_lock, LOCK_QUEUE);
}

/* ---- what commands ask --------------------------------------------- */

static bool is_accepting(void)
{
    return atomic_load_explicit(&accepting, memory_order_relaxed);
}

static uint64_t gauge(enum command_gauge which)
{
    uint64_t slots = (uint64_t)settings.num_threads * CONN_SLOTS;
    size_t open = threads_open_count() +
                  atomic_load_explicit(&listener_count, memory_order_relaxed);
    struct conn_spilled spilled;

    threads_spilled(&spilled);
    switch (which) {
    case GAUGE_CURR_CONNECTIONS:
        /* One listener is discounted, as in stock. */
        return open > 0 ? open - 1 : 0;
    case GAUGE_CONNECTION_STRUCTURES:
        return threads_structures() +
               atomic_load_explicit(&listener_count, memory_order_relaxed);
    case GAUGE_READ_BUF_COUNT:
        return slots + spilled.count;
    case GAUGE_READ_BUF_BYTES:
        return slots * SLOT_BYTES + spilled.bytes;
    case GAUGE_READ_BUF_FREE:
        return (slots - 1) * SLOT_BYTES; /* who asks has one */
    }
    return 0;
}

static size_t view_listeners(struct conn_view *views, size_t room)
{
    const struct listener *l;
    size_t n = 0;

    lock_take(&listeners_lock, LOCK_QUEUE);
    STAILQ_FOREACH (l, &listeners, link) {
        socklen_t len = sizeof(views->local);

        if (n == room) {
            break;
        }
        views[n] =
            (struct conn_view){.fd = l->fd,
                               .state = CONN_LISTENING,
                               .idle_seconds = clock_seconds() - l->since};
        (void)getsockname(l->fd, (struct sockaddr *)&views[n].local, &len);
        n++;
    }
    lock_drop(&listeners_lock, LOCK_QUEUE);
    return n;
}

static int by_fd(const void *a, const void *b)
{
    const struct conn_view *left = a;
    const struct conn_view *right = b;

    return (left->fd > right->fd) - (left->fd < right->fd);
}

#define ADDRESS_MAX 160

static void format_address(char text[ADDRESS_MAX],
                           const struct sockaddr_storage *addr, bool peer,
                           const char *transport)
{
    char ip[INET6_ADDRSTRLEN] = "";

    if (addr->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)addr;

        (void)inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
        (void)snprintf(text, ADDRESS_MAX, "%s:%s:%u", transport, ip,
                       (unsigned)ntohs(in->sin_port));
    } else if (addr->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;

        (void)inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
        (void)snprintf(text, ADDRESS_MAX, "%s6:[%s]:%u", transport, ip,
                       (unsigned)ntohs(in6->sin6_port));
    } else if (addr->ss_family == AF_UNIX && !peer) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)addr;

        (void)snprintf(text, ADDRESS_MAX, "unix:%.*s",
                       (int)sizeof(un->sun_path), un->sun_path);
    } else {
        (void)snprintf(text, ADDRESS_MAX, "?:<AF 0>");
    }
}

typedef void row_function(void *ctx, const char *name, const char *value);

static void rows_of(const struct conn_view *view, row_function *row, void *ctx)
{
    char name[64];
    char value[ADDRESS_MAX];
    bool client = view->state != CONN_LISTENING && !view->datagrams;
    const char *transport = view->datagrams ? "udp" : "tcp";

    if (view->datagrams) {
        (void)snprintf(name, sizeof(name), "%d:UDP", view->fd);
        row(ctx, name, "UDP");
    }
    (void)snprintf(name, sizeof(name), "%d:addr", view->fd);
    format_address(value, client ? &view->peer : &view->local, client,
                   transport);
    row(ctx, name, value);
    if (client) {
        (void)snprintf(name, sizeof(name), "%d:listen_addr", view->fd);
        format_address(value, &view->local, false, transport);
        row(ctx, name, value);
    }
    (void)snprintf(name, sizeof(name), "%d:state", view->fd);
    row(ctx, name, conn_state_name(view->state));
    (void)snprintf(name, sizeof(name), "%d:secs_since_last_cmd", view->fd);
    (void)snprintf(value, sizeof(value), "%u", view->idle_seconds);
    row(ctx, name, value);
}

static bool stats_conns(row_function *row, void *ctx)
{
    /* Room for some that come meanwhile; more of them are left out. */
    size_t room = threads_open_count() +
                  atomic_load_explicit(&listener_count, memory_order_relaxed) +
                  16;
    struct conn_view *views = malloc(room * sizeof(*views));
    size_t n;

    if (views == NULL) {
        return false;
    }
    n = view_listeners(views, room);
    n += threads_view(views + n, room - n);
    qsort(views, n, sizeof(*views), by_fd);
    for (size_t i = 0; i < n; i++) {
        rows_of(&views[i], row, ctx);
    }
    free(views);
    return true;
}

void listen_host(struct command_host *host)
{
    host->stats_conns = stats_conns;
    host->accepting = is_accepting;
    host->gauge = gauge;
}
