#include "listen_udp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "conn.h"
#include "settings.h"
#include "sockname.h"
#include "thread.h"

#define SEND_BUFFER (256 * MIB) /* asked for; the kernel has a limit */

/* [m] main thread */
struct bound {
    int fd; /* [m] -1: handed over */
    bool v6;
    uint16_t port;
    STAILQ_ENTRY(bound) link; /* [m] */
};

STAILQ_HEAD(bound_queue, bound);

static struct bound_queue sockets = STAILQ_HEAD_INITIALIZER(sockets);

static void set_option(int fd, int level, int option, int value)
{
    if (setsockopt(fd, level, option, &value, sizeof(value)) != 0) {
        log_print(0, "setsockopt(): %s\n", strerror(errno));
    }
}

/* Replies may be many datagrams. */
static void grow_send_buffer(int fd)
{
    int before = 0;
    socklen_t len = sizeof(before);

    (void)getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &before, &len);
    set_option(fd, SOL_SOCKET, SO_SNDBUF, (int)SEND_BUFFER);
    log_print(2, "<%d send buffer was %d, now %d\n", fd, before,
              (int)SEND_BUFFER);
}

static int add(int fd, int family)
{
    struct bound *b = malloc(sizeof(*b));

    if (b == NULL) {
        (void)close(fd);
        return -ENOMEM;
    }
    *b = (struct bound){.fd = fd, .v6 = family == AF_INET6};
    b->port = sockname_port(fd, &family);
    STAILQ_INSERT_TAIL(&sockets, b, link);
    return 0;
}

int listen_udp_bind(const struct addrinfo *ai)
{
    int fd =
        socket(ai->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    if (fd < 0) {
        return -errno;
    }
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (ai->ai_family == AF_INET6) {
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    grow_send_buffer(fd);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0) {
        error = errno;
        (void)close(fd);
        return -error;
    }
    return add(fd, ai->ai_family);
}

static int hand_over(struct bound *b)
{
    for (int i = 1; i < settings.num_threads_per_udp; i++) {
        int fd = fcntl(b->fd, F_DUPFD_CLOEXEC, 0);

        if (fd < 0) {
            return -errno;
        }
        thread_hand_over(fd, CONN_UDP, CONN_AUTO, TLS_NONE);
    }
    thread_hand_over(b->fd, CONN_UDP, CONN_AUTO, TLS_NONE);
    b->fd = -1;
    return 0;
}

int listen_udp_open(void)
{
    struct bound *b;
    int error = 0;

    STAILQ_FOREACH (b, &sockets, link) {
        if (error == 0) {
            error = hand_over(b);
        }
    }
    return error;
}

void listen_udp_write_ports(FILE *file)
{
    const struct bound *b;

    STAILQ_FOREACH (b, &sockets, link) {
        (void)fprintf(file, "UDP INET%s: %u\n", b->v6 ? "6" : "",
                      (unsigned)b->port);
    }
}

void listen_udp_close(void)
{
    struct bound *b;

    while ((b = STAILQ_FIRST(&sockets)) != NULL) {
        STAILQ_REMOVE_HEAD(&sockets, link);
        if (b->fd >= 0) {
            (void)close(b->fd);
        }
        free(b);
    }
}
