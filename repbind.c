#include "repbind.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "repdial.h"
#include "settings.h"

#define BACKLOG    64
#define LEGACY_MAX 16 /* addresses of rep_legacy= */

static struct sockaddr_storage legacy[LEGACY_MAX]; /* [c] */
static unsigned nlegacy;                           /* [c] */
static bool legacy_any;                            /* [c] */

/* ---- rep_legacy= ------------------------------------------------------ */

static bool parse_legacy_one(const char *text, size_t len, char *error,
                             size_t n)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *ai = NULL;
    char host[64];

    if (len >= sizeof(host) || nlegacy == LEGACY_MAX) {
        (void)snprintf(error, n, "rep_legacy takes at most %d addresses",
                       LEGACY_MAX);
        return false;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    if (strcmp(host, "any") == 0) {
        legacy_any = true;
        return true;
    }
    if (getaddrinfo(host, NULL, &hints, &ai) != 0) {
        (void)snprintf(error, n,
                       "rep_legacy must be `any` or IP addresses joined by "
                       "commas, got \"%s\"",
                       host);
        return false;
    }
    memcpy(&legacy[nlegacy++], ai->ai_addr, ai->ai_addrlen);
    freeaddrinfo(ai);
    return true;
}

bool repbind_parse_legacy(const char *list, char *error, size_t n)
{
    while (list != NULL && *list != '\0') {
        size_t len = strcspn(list, ",;");

        if (len > 0 && !parse_legacy_one(list, len, error, n)) {
            return false;
        }
        list += len + (list[len] != '\0');
    }
    return true;
}

bool repbind_is_legacy(const struct sockaddr *addr)
{
    for (unsigned i = 0; i < nlegacy; i++) {
        if (repdial_same_host((const struct sockaddr *)&legacy[i], addr)) {
            return true;
        }
    }
    return legacy_any;
}

/* ---- listening -------------------------------------------------------- */

/* Takes a socket address and listens on it: 0 or an errno. */
static int listen_on(struct repbind *bound, const struct addrinfo *ai)
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
    if (bound->n < REPBIND_MAX && bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
        listen(fd, BACKLOG) == 0) {
        bound->fd[bound->n++] = fd;
        return 0;
    }
    error = bound->n < REPBIND_MAX ? errno : EMFILE;
    close(fd);
    return error;
}

/* Listens on every address of `host` (NULL: all); at least one must do, and
 * none may be taken. 0 or an errno. */
static int listen_on_host(struct repbind *bound, const char *host)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    unsigned before = bound->n;
    int error = 0;
    char port[8];

    (void)snprintf(port, sizeof(port), "%d", settings.rep_listen_port);
    if (getaddrinfo(host, port, &hints, &list) != 0) {
        return EADDRNOTAVAIL;
    }
    for (struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
        int failed = listen_on(bound, ai);

        error = failed != 0 ? failed : error;
    }
    freeaddrinfo(list);
    return error == EADDRINUSE || bound->n == before ? error : 0;
}

/* The address of an element of -l, without what precedes and follows it:
 * "notls:proto[x]:host:port", "[v6]:port", "v6". */
static void host_of(const char *element, size_t len, char *host, size_t room)
{
    static const char *const prefixes[] = {"notls:", "btls:", "mtls:"};
    const char *end = element + len;
    const char *colon;

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        size_t n = strlen(prefixes[i]);

        if (len > n && strncmp(element, prefixes[i], n) == 0) {
            element += n;
        }
    }
    while (strncmp(element, "proto[", 6) == 0 ||
           strncmp(element, "tag[", 4) == 0) {
        const char *close = memchr(element, ']', (size_t)(end - element));

        if (close == NULL || close + 1 >= end) {
            break;
        }
        element = close + 2; /* "]:" */
    }
    colon = memchr(element, ':', (size_t)(end - element));
    if (element < end && *element == '[') {
        const char *close = memchr(element, ']', (size_t)(end - element));

        element++;
        end = close != NULL ? close : end;
    } else if (colon != NULL &&
               memchr(colon + 1, ':', (size_t)(end - colon - 1)) == NULL) {
        end = colon;
    }
    (void)snprintf(host, room, "%.*s", (int)(end - element), element);
}

/* The same address twice (with two client ports) is one listener of ours. */
static bool listed_before(const char *list, const char *element,
                          const char *host)
{
    while (list < element) {
        char other[256];
        size_t len = strcspn(list, ",;");

        host_of(list, len, other, sizeof(other));
        if (strcmp(other, host) == 0) {
            return true;
        }
        list += len + 1;
    }
    return false;
}

static int listen_on_list(struct repbind *bound, const char *list)
{
    const char *at = list;
    int error = 0;

    while (*at != '\0' && error == 0) {
        char host[256];
        size_t len = strcspn(at, ",;");

        host_of(at, len, host, sizeof(host));
        if (host[0] != '\0' && !listed_before(list, at, host)) {
            error = listen_on_host(bound, strcmp(host, "*") == 0 ? NULL : host);
        }
        at += len + (at[len] != '\0');
    }
    return error;
}

bool repbind_open(struct repbind *bound, char *error, size_t n)
{
    int failed;

    assert(bound->n == 0);
    failed = settings.inter != NULL ? listen_on_list(bound, settings.inter)
                                    : listen_on_host(bound, NULL);
    if (failed != 0) {
        repbind_close(bound);
        (void)snprintf(error, n,
                       "failed to listen on replication port %d: %s "
                       "(-X takes another one)",
                       settings.rep_listen_port, strerror(failed));
        return false;
    }
    return true;
}

void repbind_close(struct repbind *bound)
{
    for (unsigned i = 0; i < bound->n; i++) {
        close(bound->fd[i]);
    }
    bound->n = 0;
}
