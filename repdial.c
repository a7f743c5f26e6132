#include "repdial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"

#define ADDRESSES 8 /* of one name, at most */
/* For one address. A second SYN goes after 1 s; to wait long for a third would
 * keep a network that is well again waiting. */
#define CONNECT_WAIT_MS 1200

struct address {
    struct sockaddr_storage ss;
    socklen_t len;
};

struct answer {
    struct address address[ADDRESSES];
    unsigned n;
    int error; /* of getaddrinfo */
};

/* One question to the resolver. The thread that answers it may outlive the
 * interest in it: whoever lets go of it last frees it. */
struct lookup {
    char *host;           /* [c] */
    char port[8];         /* [c] */
    int wake;             /* [c] a duplicate of the dialler's eventfd */
    struct lock lock;     /* QUEUE: guards the two below */
    unsigned holders;     /* [lock] */
    bool done;            /* [lock] */
    struct answer answer; /* written by the thread before `done` */
};

struct repdial {
    struct event_base *base;
    const char *host;
    char port[8];
    const struct repdial_calls *calls;
    void *ctx;

    struct event *answered; /* on `wake` */
    int wake;
    struct lookup *lookup; /* under way, or NULL */

    struct answer known; /* the last good answer */
    unsigned first;      /* address to begin with */
    unsigned tried;      /* in this attempt */
    bool loud;
    bool silent; /* an address of this attempt did not answer */
    const char *why;
    int fd;
    struct event *connecting; /* on `fd`, or NULL */
};

void repdial_format(const struct sockaddr *addr, bool with_port,
                    char name[REPDIAL_NAME])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    unsigned port = 0;

    if (addr->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, addr, sizeof(in6));
        (void)inet_ntop(AF_INET6, &in6.sin6_addr, ip, sizeof(ip));
        port = ntohs(in6.sin6_port);
    } else if (addr->sa_family == AF_INET) {
        struct sockaddr_in in4;

        memcpy(&in4, addr, sizeof(in4));
        (void)inet_ntop(AF_INET, &in4.sin_addr, ip, sizeof(ip));
        port = ntohs(in4.sin_port);
    }
    if (!with_port) {
        (void)snprintf(name, REPDIAL_NAME, "%s", ip);
    } else if (addr->sa_family == AF_INET6) {
        (void)snprintf(name, REPDIAL_NAME, "[%s]:%u", ip, port);
    } else {
        (void)snprintf(name, REPDIAL_NAME, "%s:%u", ip, port);
    }
}

void repdial_set_port(struct sockaddr *addr, uint16_t port)
{
    uint16_t value = htons(port);

    if (addr->sa_family == AF_INET6) {
        memcpy((char *)addr + offsetof(struct sockaddr_in6, sin6_port), &value,
               sizeof(value));
    } else if (addr->sa_family == AF_INET) {
        memcpy((char *)addr + offsetof(struct sockaddr_in, sin_port), &value,
               sizeof(value));
    }
}

bool repdial_same_host(const struct sockaddr *a, const struct sockaddr *b)
{
    char x[REPDIAL_NAME];
    char y[REPDIAL_NAME];

    repdial_format(a, false, x);
    repdial_format(b, false, y);
    return a->sa_family == b->sa_family && strcmp(x, y) == 0;
}

/* ---- names ------------------------------------------------------------ */

static void add_family(struct answer *answer, const struct addrinfo *list,
                       int family)
{
    for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
        if (ai->ai_family == family && answer->n < ADDRESSES) {
            struct address *a = &answer->address[answer->n++];

            memcpy(&a->ss, ai->ai_addr, ai->ai_addrlen);
            a->len = ai->ai_addrlen;
        }
    }
}

static void resolve(const char *host, const char *port, int flags,
                    struct answer *answer)
{
    struct addrinfo hints = {.ai_flags = flags, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;

    memset(answer, 0, sizeof(*answer));
    answer->error = getaddrinfo(host, port, &hints, &list);
    if (answer->error == 0) {
        add_family(answer, list, AF_INET);
        add_family(answer, list, AF_INET6);
        freeaddrinfo(list);
    }
}

static void lookup_put(struct lookup *lookup)
{
    unsigned left;

    lock_take(&lookup->lock, LOCK_QUEUE);
    left = --lookup->holders;
    lock_drop(&lookup->lock, LOCK_QUEUE);
    if (left == 0) {
        close(lookup->wake);
        free(lookup->host);
        free(lookup);
    }
}

static void *resolver(void *arg)
{
    struct lookup *lookup = arg;
    uint64_t one = 1;

    (void)prctl(PR_SET_NAME, "mc-resolver");
    resolve(lookup->host, lookup->port, 0, &lookup->answer);
    lock_take(&lookup->lock, LOCK_QUEUE);
    lookup->done = true;
    lock_drop(&lookup->lock, LOCK_QUEUE);
    while (write(lookup->wake, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
    lookup_put(lookup);
    return NULL;
}

static struct lookup *lookup_new(const struct repdial *dial)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));

    if (lookup == NULL) {
        return NULL;
    }
    lookup->host = strdup(dial->host);
    lookup->wake = dup(dial->wake);
    memcpy(lookup->port, dial->port, sizeof(lookup->port));
    lookup->holders = 1;
    if (lookup->host == NULL || lookup->wake < 0) {
        if (lookup->wake >= 0) {
            close(lookup->wake);
        }
        free(lookup->host);
        free(lookup);
        return NULL;
    }
    return lookup;
}

/* Sets a thread to work on it; false when there is none to be had. */
static bool ask(struct repdial *dial)
{
    pthread_t thread;

    dial->lookup = lookup_new(dial);
    if (dial->lookup == NULL) {
        return false;
    }
    dial->lookup->holders = 2;
    if (pthread_create(&thread, NULL, resolver, dial->lookup) != 0) {
        dial->lookup->holders = 1;
        lookup_put(dial->lookup);
        dial->lookup = NULL;
        return false;
    }
    (void)pthread_detach(thread);
    return true;
}

/* ---- addresses -------------------------------------------------------- */

static void try_address(struct repdial *dial);

static void hang_up(struct repdial *dial)
{
    if (dial->connecting != NULL) {
        event_free(dial->connecting);
        dial->connecting = NULL;
    }
    if (dial->fd >= 0) {
        close(dial->fd);
        dial->fd = -1;
    }
}

static const struct address *present(const struct repdial *dial)
{
    return &dial->known
                .address[(dial->first + dial->tried - 1) % dial->known.n];
}

static const struct sockaddr *present_addr(const struct repdial *dial)
{
    return (const struct sockaddr *)&present(dial)->ss;
}

/* The first address is announced at once, the others when they answer. */
static void print_connect(struct repdial *dial)
{
    char name[REPDIAL_NAME];

    if (dial->loud) {
        repdial_format(present_addr(dial), true, name);
        log_print(1, "replication: connect (peer=%s)\n", name);
    }
}

static void address_failed(struct repdial *dial, int error)
{
    char name[REPDIAL_NAME];

    hang_up(dial);
    dial->why = strerror(error);
    if (error == ETIMEDOUT) {
        dial->silent = true;
    }
    if (dial->loud && dial->tried == 1) {
        repdial_format(present_addr(dial), true, name);
        log_print(1, "replication: can't connect %s\n", name);
    }
    try_address(dial);
}

static void connected(struct repdial *dial)
{
    int fd = dial->fd;
    unsigned index = (dial->first + dial->tried - 1) % dial->known.n;

    if (dial->tried > 1) {
        print_connect(dial);
    }
    event_free(dial->connecting);
    dial->connecting = NULL;
    dial->fd = -1;
    dial->first = index;
    dial->calls->connected(
        dial->ctx, fd, (const struct sockaddr *)&dial->known.address[index].ss,
        dial->loud);
}

static void on_connecting(evutil_socket_t fd, short what, void *arg)
{
    struct repdial *dial = arg;
    int error = 0;
    socklen_t len = sizeof(error);

    if ((what & EV_TIMEOUT) != 0) {
        error = ETIMEDOUT;
    } else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        error = errno;
    }
    if (error != 0) {
        address_failed(dial, error);
    } else {
        connected(dial);
    }
}

/* Begins to connect; 0 or an errno. */
static int begin_connect(struct repdial *dial)
{
    const struct address *a = present(dial);
    struct timeval wait = {.tv_sec = CONNECT_WAIT_MS / 1000,
                           .tv_usec = CONNECT_WAIT_MS % 1000 * 1000};

    dial->fd =
        socket(a->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd < 0) {
        return errno;
    }
    if (connect(dial->fd, present_addr(dial), a->len) != 0 &&
        errno != EINPROGRESS) {
        return errno;
    }
    dial->connecting =
        event_new(dial->base, dial->fd, EV_WRITE, on_connecting, dial);
    if (dial->connecting == NULL || event_add(dial->connecting, &wait) != 0) {
        return ENOMEM;
    }
    return 0;
}

static void try_address(struct repdial *dial)
{
    int error;

    if (dial->tried >= dial->known.n) {
        dial->calls->failed(dial->ctx,
                            dial->silent ? REPDIAL_SILENT : REPDIAL_REFUSED,
                            dial->why);
        return;
    }
    dial->tried++;
    if (dial->tried == 1) {
        print_connect(dial);
    }
    error = begin_connect(dial);
    if (error != 0) {
        address_failed(dial, error); /* at most ADDRESSES deep */
    }
}

static void name_failed(struct repdial *dial, int error)
{
    bool unknown = error == EAI_NONAME
#ifdef EAI_NODATA
                   || error == EAI_NODATA
#endif
        ;

    if (dial->loud) {
        log_print(1, "replication: can't resolve %s: %s\n", dial->host,
                  gai_strerror(error));
    }
    dial->calls->failed(dial->ctx, unknown ? REPDIAL_UNKNOWN : REPDIAL_SILENT,
                        gai_strerror(error));
}

static void take_answer(struct repdial *dial, const struct answer *answer)
{
    if (answer->error != 0 || answer->n == 0) {
        name_failed(dial, answer->error != 0 ? answer->error : EAI_NONAME);
        return;
    }
    dial->known = *answer;
    dial->first %= dial->known.n;
    try_address(dial);
}

static void on_answered(evutil_socket_t fd, short what, void *arg)
{
    struct repdial *dial = arg;
    uint64_t count;
    struct answer answer;
    bool done;

    (void)what;
    (void)!read(fd, &count, sizeof(count)); /* only resets the count */
    if (dial->lookup == NULL) {
        return; /* an answer nobody waits for any more */
    }
    lock_take(&dial->lookup->lock, LOCK_QUEUE);
    done = dial->lookup->done;
    lock_drop(&dial->lookup->lock, LOCK_QUEUE);
    if (!done) {
        return;
    }
    answer = dial->lookup->answer;
    lookup_put(dial->lookup);
    dial->lookup = NULL;
    take_answer(dial, &answer);
}

/* ---- the interface ---------------------------------------------------- */

struct repdial *repdial_new(struct event_base *base, const char *host, int port,
                            const struct repdial_calls *calls, void *ctx)
{
    struct repdial *dial = calloc(1, sizeof(*dial));

    if (dial == NULL) {
        return NULL;
    }
    dial->base = base;
    dial->host = host;
    (void)snprintf(dial->port, sizeof(dial->port), "%d", port);
    dial->calls = calls;
    dial->ctx = ctx;
    dial->fd = -1;
    dial->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (dial->wake >= 0) {
        dial->answered = event_new(base, dial->wake, EV_READ | EV_PERSIST,
                                   on_answered, dial);
    }
    if (dial->answered == NULL || event_add(dial->answered, NULL) != 0) {
        repdial_free(dial);
        return NULL;
    }
    return dial;
}

void repdial_cancel(struct repdial *dial)
{
    hang_up(dial);
    if (dial->lookup != NULL) {
        lookup_put(dial->lookup);
        dial->lookup = NULL;
    }
}

void repdial_free(struct repdial *dial)
{
    if (dial == NULL) {
        return;
    }
    repdial_cancel(dial);
    if (dial->answered != NULL) {
        event_free(dial->answered);
    }
    if (dial->wake >= 0) {
        close(dial->wake);
    }
    free(dial);
}

void repdial_start(struct repdial *dial, bool loud, bool next)
{
    struct answer answer;

    repdial_cancel(dial);
    dial->loud = loud;
    dial->silent = false;
    dial->tried = 0;
    dial->why = NULL;
    if (next) {
        dial->first++;
    }
    resolve(dial->host, dial->port, AI_NUMERICHOST, &answer);
    if (answer.error == 0) {
        take_answer(dial, &answer);
    } else if (!ask(dial)) {
        name_failed(dial, EAI_MEMORY);
    }
}

bool repdial_knows(const struct repdial *dial, const struct sockaddr *addr)
{
    for (unsigned i = 0; i < dial->known.n; i++) {
        if (repdial_same_host(
                (const struct sockaddr *)&dial->known.address[i].ss, addr)) {
            return true;
        }
    }
    return false;
}
