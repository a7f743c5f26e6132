#include "systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

enum { FIRST_FD = 3, SOCKETS_MAX = 64 };

static struct {
    struct {
        int fd; /* -1: taken */
        enum systemd_use use;
    } sockets[SOCKETS_MAX];
    size_t count;
    struct sockaddr_un notify;
    socklen_t notify_len; /* 0: nobody wants to know */
    uint64_t watchdog_us; /* 0: not so often */
} self;

/* ---- sockets ------------------------------------------------------- */

static int socket_option(int fd, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

static bool adopt(int fd, const char *name, size_t n, char *error, size_t room)
{
    static const char replication[] = "replication";
    bool named = n == strlen(replication) && memcmp(name, replication, n) == 0;

    if (socket_option(fd, SO_TYPE) != SOCK_STREAM ||
        socket_option(fd, SO_ACCEPTCONN) != 1) {
        (void)snprintf(error, room,
                       "descriptor %d of LISTEN_FDS is no listening stream "
                       "socket (ListenStream= and Accept=no make one)",
                       fd);
        return false;
    }
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        (void)snprintf(error, room, "descriptor %d of LISTEN_FDS: fcntl: %s",
                       fd, strerror(errno));
        return false;
    }
    self.sockets[self.count].fd = fd;
    self.sockets[self.count].use =
        named ? SYSTEMD_REPLICATION : SYSTEMD_CLIENTS;
    self.count++;
    return true;
}

static bool is_for_us(const char *pid)
{
    uint64_t v;

    return pid != NULL && util_parse_u64(pid, strlen(pid), &v) &&
           v == (uint64_t)getpid();
}

static bool take_sockets(const char *fds, const char *names, char *error,
                         size_t room)
{
    uint32_t n;

    if (!util_parse_u32(fds, strlen(fds), &n) || n > SOCKETS_MAX) {
        (void)snprintf(error, room,
                       "LISTEN_FDS must be a number up to %d, got %s",
                       SOCKETS_MAX, fds);
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        size_t len = strcspn(names, ":");

        if (!adopt(FIRST_FD + (int)i, names, len, error, room)) {
            return false;
        }
        names += len + (names[len] != '\0');
    }
    return true;
}

size_t systemd_count(enum systemd_use use)
{
    size_t n = 0;

    for (size_t i = 0; i < self.count; i++) {
        n += self.sockets[i].fd >= 0 && self.sockets[i].use == use;
    }
    return n;
}

int systemd_take(enum systemd_use use)
{
    for (size_t i = 0; i < self.count; i++) {
        int fd = self.sockets[i].fd;

        if (fd >= 0 && self.sockets[i].use == use) {
            self.sockets[i].fd = -1;
            return fd;
        }
    }
    return -1;
}

/* ---- state --------------------------------------------------------- */

/* A path, or with '@' a name that is in no file system. */
static void remember_notify(const char *path)
{
    size_t n = strlen(path);

    if ((path[0] != '/' && path[0] != '@') || n < 2 ||
        n >= sizeof(self.notify.sun_path)) {
        log_print(0, "NOTIFY_SOCKET %s cannot be used\n", path);
        return;
    }
    self.notify.sun_family = AF_UNIX;
    memcpy(self.notify.sun_path, path, n);
    if (path[0] == '@') {
        self.notify.sun_path[0] = '\0';
    }
    self.notify_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

static void remember_watchdog(const char *us, const char *pid)
{
    if (pid != NULL && !is_for_us(pid)) {
        return;
    }
    if (!util_parse_u64(us, strlen(us), &self.watchdog_us)) {
        log_print(0, "WATCHDOG_USEC must be a number, got %s\n", us);
    }
}

uint64_t systemd_watchdog_us(void)
{
    return self.notify_len > 0 ? self.watchdog_us : 0;
}

void systemd_tell(const char *state)
{
    int fd;

    if (self.notify_len == 0) {
        return;
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        sendto(fd, state, strlen(state), MSG_NOSIGNAL,
               (const struct sockaddr *)&self.notify, self.notify_len) < 0) {
        log_print(1, "failed to tell the service manager %s: %s\n", state,
                  strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

void systemd_tell_reloading(void)
{
    char text[64];
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   (uint64_t)now.tv_sec * 1000000 +
                       (uint64_t)now.tv_nsec / 1000);
    systemd_tell(text);
}

/* ---- both ---------------------------------------------------------- */

bool systemd_init(char *error, size_t n)
{
    const char *fds = getenv("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    const char *notify = getenv("NOTIFY_SOCKET");
    const char *watchdog = getenv("WATCHDOG_USEC");
    bool good = true;

    if (fds != NULL && is_for_us(getenv("LISTEN_PID"))) {
        good = take_sockets(fds, names != NULL ? names : "", error, n);
    }
    if (notify != NULL) {
        remember_notify(notify);
    }
    if (watchdog != NULL) {
        remember_watchdog(watchdog, getenv("WATCHDOG_PID"));
    }
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    return good;
}
