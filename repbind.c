#include "repbind.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "listen_spec.h"
#include "settings.h"
#include "systemd.h"

#define BACKLOG     64
#define MAX_SOCKETS 32
#define ACCEPTS     16     /* a turn */
#define PAUSE_US    100000 /* without descriptors, before the next accept */

static struct {
    int fd[MAX_SOCKETS];
    unsigned n;
    struct event *accepting[MAX_SOCKETS]; /* all of them, or none */
    unsigned naccepting;
    struct event_base *base; /* NULL until repbind_start */
    struct event *resume;
    void (*accepted)(int fd, const struct sockaddr *addr);
} self;

/* ---- listening -------------------------------------------------------- */

/* Listens on a socket address: 0 or an errno. */
static int listen_on(const struct addrinfo *ai)
{
    static const int on = 1;
    int error;
    int fd =
        socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return errno;
    }
    /* Without these it could only fail where it works today. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (ai->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (self.n < MAX_SOCKETS && bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
        listen(fd, BACKLOG) == 0) {
        self.fd[self.n++] = fd;
        return 0;
    }
    error = self.n < MAX_SOCKETS ? errno : EMFILE;
    close(fd);
    return error;
}

/* Listens on every address of `host` (NULL: all); at least one must do, and
 * none may be taken. 0 or an errno. */
static int listen_on_host(const char *host)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    unsigned before = self.n;
    int error = 0;
    char port[8];

    (void)snprintf(port, sizeof(port), "%d", settings.rep_listen_port);
    if (getaddrinfo(host, port, &hints, &list) != 0) {
        return EADDRNOTAVAIL;
    }
    for (struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
        int failed = listen_on(ai);

        error = failed != 0 ? failed : error;
    }
    freeaddrinfo(list);
    return error == EADDRINUSE || self.n == before ? error : 0;
}

/* The address of an element of -l; empty for one that has none, of which the
 * client port complains. */
static void host_of(struct listen_text element, char *host, size_t room)
{
    struct listen_spec spec;
    struct listen_text fault;

    if (listen_spec_parse(element, &spec, &fault) != LISTEN_SPEC_OK) {
        spec.host.len = 0;
    }
    (void)snprintf(host, room, "%.*s", (int)spec.host.len, spec.host.ptr);
}

/* The same address twice (with two client ports) is one listener of ours. */
static bool listed_before(const char *text, struct listen_text element,
                          const char *host)
{
    struct listen_text list = {text, (size_t)(element.ptr - text)};
    struct listen_text other;

    while (listen_spec_next(&list, &other)) {
        char its[256];

        host_of(other, its, sizeof(its));
        if (strcmp(its, host) == 0) {
            return true;
        }
    }
    return false;
}

static int listen_on_list(const char *text)
{
    struct listen_text list = {text, strlen(text)};
    struct listen_text element;
    int error = 0;

    while (error == 0 && listen_spec_next(&list, &element)) {
        char host[256];

        host_of(element, host, sizeof(host));
        if (host[0] != '\0' && !listed_before(text, element, host)) {
            error = listen_on_host(strcmp(host, "*") == 0 ? NULL : host);
        }
    }
    return error;
}

static void close_all(void)
{
    while (self.n > 0) {
        close(self.fd[--self.n]);
    }
}

/* The sockets a service manager has opened under our name stand for -X and
 * rep_listen=. */
static int take_over(void)
{
    int fd;

    while ((fd = systemd_take(SYSTEMD_REPLICATION)) >= 0) {
        if (self.n == MAX_SOCKETS) {
            close(fd);
            return EMFILE;
        }
        self.fd[self.n++] = fd;
    }
    return 0;
}

static int listen_where_said(void)
{
    const char *list =
        settings.rep_listen != NULL ? settings.rep_listen : settings.inter;

    if (systemd_count(SYSTEMD_REPLICATION) > 0) {
        return take_over();
    }
    return list != NULL ? listen_on_list(list) : listen_on_host(NULL);
}

bool repbind_open(char *error, size_t n)
{
    int failed;

    assert(self.n == 0);
    failed = listen_where_said();
    if (failed != 0) {
        close_all();
        (void)snprintf(error, n,
                       "failed to listen on replication port %d: %s "
                       "(-X takes another one)",
                       settings.rep_listen_port, strerror(failed));
        return false;
    }
    return true;
}

bool repbind_is_open(void)
{
    return self.n > 0;
}

/* ---- rep_listen= ------------------------------------------------------ */

/* "host", "address" or "[address]"; the port is that of -X. */
static bool is_address(const char *text, size_t n)
{
    const char *colon = memchr(text, ':', n);

    if (text[0] == '[') {
        return memchr(text, ']', n) == text + n - 1;
    }
    return colon == NULL ||
           memchr(colon + 1, ':', (size_t)(text + n - colon - 1)) != NULL;
}

bool repbind_check(char *error, size_t n)
{
    const char *at = settings.rep_listen;
    bool more = at != NULL;

    while (more) {
        size_t len = strcspn(at, ",;");

        if (len == 0 || !is_address(at, len)) {
            (void)snprintf(error, n,
                           "rep_listen must be addresses with commas between, "
                           "got \"%.*s\" (-X sets the port)",
                           (int)len, at);
            return false;
        }
        more = at[len] != '\0';
        at += len + 1;
    }
    return true;
}

/* ---- what is so ------------------------------------------------------- */

static bool is_loopback(int fd)
{
    struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(ss);

    if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0) {
        return false;
    }
    if (ss.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, &ss, sizeof(in6));
        return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
    }
    if (ss.ss_family == AF_INET) {
        struct sockaddr_in in4;

        memcpy(&in4, &ss, sizeof(in4));
        return ntohl(in4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    return false;
}

bool repbind_is_public(void)
{
    for (unsigned i = 0; i < self.n; i++) {
        if (!is_loopback(self.fd[i])) {
            return true;
        }
    }
    return false;
}

void repbind_print(void)
{
    for (unsigned i = 0; i < self.n; i++) {
        log_print(2, "<%d server listening (replication)\n", self.fd[i]);
    }
}

/* ---- accepting -------------------------------------------------------- */

/* Without descriptors a listener would be ready all the time: it is left alone
 * for a while. If nothing would end that while, it is not. */
static void pause_accepting(void)
{
    struct timeval pause = {.tv_usec = PAUSE_US};

    if (event_add(self.resume, &pause) != 0) {
        return;
    }
    for (unsigned i = 0; i < self.naccepting; i++) {
        (void)event_del(self.accepting[i]);
    }
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    bool all = true;

    (void)fd;
    (void)what;
    (void)arg;
    for (unsigned i = 0; i < self.naccepting; i++) {
        all = event_add(self.accepting[i], NULL) == 0 && all;
    }
    if (!all) {
        /* Another while, another try. There is room for this timer: it has
         * just left it. */
        pause_accepting();
    }
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
    (void)what;
    (void)arg;
    for (int i = 0; i < ACCEPTS; i++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof(ss);
        int fd = accept4(listener, (struct sockaddr *)&ss, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            self.accepted(fd, (struct sockaddr *)&ss);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
                   errno == ENOBUFS) {
            pause_accepting();
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
    }
}

static void stop_accepting(void)
{
    while (self.naccepting > 0) {
        event_free(self.accepting[--self.naccepting]);
    }
}

/* At all of the sockets, or at none. */
static bool accept_at_all(void)
{
    while (self.naccepting < self.n) {
        struct event *ev = event_new(self.base, self.fd[self.naccepting],
                                     EV_READ | EV_PERSIST, on_accept, NULL);

        if (ev == NULL) {
            stop_accepting();
            return false;
        }
        self.accepting[self.naccepting++] = ev;
        if (event_add(ev, NULL) != 0) {
            stop_accepting();
            return false;
        }
    }
    return true;
}

bool repbind_start(struct event_base *base,
                   void (*accepted)(int fd, const struct sockaddr *addr))
{
    self.base = base;
    self.accepted = accepted;
    self.resume = evtimer_new(base, on_resume, NULL);
    return self.resume != NULL && accept_at_all();
}

void repbind_again(void)
{
    char error[128];

    if (self.n == 0 && repbind_open(error, sizeof(error)) && !accept_at_all()) {
        close_all(); /* until the next time */
    }
}

void repbind_stop(void)
{
    stop_accepting();
    if (self.resume != NULL) {
        event_free(self.resume);
        self.resume = NULL;
    }
    close_all();
}
