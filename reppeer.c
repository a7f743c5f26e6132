#include "reppeer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HOST 256 /* bytes of a host, its end included */

struct peer {
    unsigned number;      /* [c] */
    int port;             /* [c] */
    char host[HOST];      /* [c] */
    char name[HOST + 10]; /* [c] "host:port" */
    struct repdial *dial; /* replication thread */
};

static struct peer peers[REP_CORE_PEERS];
static unsigned npeers;                   /* [c] */
static const struct reppeer_calls *calls; /* [c] */

/* ---- the list of -x --------------------------------------------------- */

static bool take_host(struct peer *p, const char *host, size_t n)
{
    if (n == 0 || n >= HOST) {
        return false;
    }
    memcpy(p->host, host, n);
    p->host[n] = '\0';
    return true;
}

static bool take_port(struct peer *p, const char *text, size_t n)
{
    uint32_t port;

    if (!util_parse_u32(text, n, &port) || port < 1 || port > UINT16_MAX) {
        return false;
    }
    p->port = (int)port;
    return true;
}

/* "[address]" or "[address]:port" */
static bool parse_bracketed(struct peer *p, const char *text, size_t n)
{
    const char *close = memchr(text, ']', n);
    const char *end = text + n;

    if (close == NULL || !take_host(p, text + 1, (size_t)(close - text - 1))) {
        return false;
    }
    return close + 1 == end ||
           (close[1] == ':' &&
            take_port(p, close + 2, (size_t)(end - close - 2)));
}

/* "host", "host:port", or an IPv6 address, which has more than one colon */
static bool parse_plain(struct peer *p, const char *text, size_t n)
{
    const char *colon = memchr(text, ':', n);
    const char *end = text + n;

    if (colon == NULL ||
        memchr(colon + 1, ':', (size_t)(end - colon - 1)) != NULL) {
        return take_host(p, text, n);
    }
    return take_host(p, text, (size_t)(colon - text)) &&
           take_port(p, colon + 1, (size_t)(end - colon - 1));
}

static void make_name(struct peer *p)
{
    bool v6 = strchr(p->host, ':') != NULL;

    (void)snprintf(p->name, sizeof(p->name), v6 ? "[%s]:%d" : "%s:%d", p->host,
                   p->port);
}

static bool is_named(const struct peer *p)
{
    for (unsigned i = 0; i < npeers; i++) {
        if (strcasecmp(peers[i].name, p->name) == 0) {
            return true;
        }
    }
    return false;
}

static bool parse_one(const char *text, size_t len, int port, char *error,
                      size_t n)
{
    struct peer *p = &peers[npeers];

    if (npeers == REP_CORE_PEERS) {
        (void)snprintf(error, n, "-x: at most %d peers can be named",
                       REP_CORE_PEERS);
        return false;
    }
    p->number = npeers;
    p->port = port;
    if (len == 0 || !(text[0] == '[' ? parse_bracketed(p, text, len)
                                     : parse_plain(p, text, len))) {
        (void)snprintf(error, n,
                       "-x: \"%.*s\" is not a peer, <host>, <host>:<port> or "
                       "[<address>]:<port>",
                       (int)len, text);
        return false;
    }
    make_name(p);
    if (is_named(p)) {
        (void)snprintf(error, n, "-x: %s is named twice", p->name);
        return false;
    }
    npeers++;
    return true;
}

bool reppeer_parse(const char *list, int port, char *error, size_t n)
{
    bool more = list != NULL;

    while (more) {
        size_t len = strcspn(list, ",");

        if (!parse_one(list, len, port, error, n)) {
            return false;
        }
        more = list[len] != '\0';
        list += len + 1;
    }
    return true;
}

unsigned reppeer_count(void)
{
    return npeers;
}

const char *reppeer_name(unsigned peer)
{
    assert(peer < npeers);
    return peers[peer].name;
}

/* ---- dialling --------------------------------------------------------- */

static void on_connected(void *ctx, int fd, const struct sockaddr *addr,
                         bool loud)
{
    const struct peer *p = ctx;

    (void)loud;
    calls->connected(p->number, fd, addr);
}

static void on_failed(void *ctx, enum repdial_failure failure, const char *why)
{
    const struct peer *p = ctx;

    calls->failed(p->number, failure, why);
}

bool reppeer_open(struct event_base *base, const struct reppeer_calls *to)
{
    static const struct repdial_calls ours = {on_connected, on_failed};

    calls = to;
    for (unsigned i = 0; i < npeers; i++) {
        struct peer *p = &peers[i];

        p->dial = repdial_new(base, p->host, p->port, &ours, p);
        if (p->dial == NULL) {
            return false;
        }
    }
    return true;
}

void reppeer_close(void)
{
    for (unsigned i = 0; i < npeers; i++) {
        repdial_free(peers[i].dial);
        peers[i].dial = NULL;
    }
}

void reppeer_dial(unsigned peer, bool loud, bool next)
{
    assert(peer < npeers);
    repdial_start(peers[peer].dial, loud, next);
}

void reppeer_undial(unsigned peer)
{
    assert(peer < npeers);
    repdial_cancel(peers[peer].dial);
}

/* An address that one peer alone has is its own, whatever the port: there may
 * be a relay on the way. */
void reppeer_identify(const struct sockaddr *addr, uint16_t port,
                      struct rep_event *ev)
{
    unsigned found = 0;

    ev->peer = REP_CORE_NO_PEER;
    ev->exact = false;
    for (unsigned i = 0; i < npeers && !ev->exact; i++) {
        if (!repdial_knows(peers[i].dial, addr)) {
            continue;
        }
        found++;
        ev->peer = i;
        ev->exact = port != 0 && peers[i].port == port;
    }
    ev->configured = ev->exact || found == 1 || (found > 1 && port == 0);
    if (!ev->exact && found > 1) {
        ev->peer = REP_CORE_NO_PEER;
    }
}
