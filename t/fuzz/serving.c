#include "serving.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "crawler.h"
#include "prefix.h"
#include "settings.h"
#include "store.h"
#include "watch.h"

#define NOW_MS  1800000000000ULL
#define MEMORY  (8 * MIB)
#define TURNS   20000 /* more of them are an endless loop */
#define SETTLED 3     /* turns in which nothing happens */

struct serving serving;

static void stop(bool graceful)
{
    (void)graceful;
}

static bool accepts(void)
{
    return true;
}

static uint64_t gauge(enum command_gauge which)
{
    return (uint64_t)which;
}

static bool conns(void (*row)(void *ctx, const char *name, const char *value),
                  void *ctx)
{
    row(ctx, "5:addr", "unix:");
    return true;
}

static bool refresh(char *why, size_t n)
{
    (void)snprintf(why, n, "SERVER_ERROR no certificates");
    return false;
}

static uint32_t never(void)
{
    return 0;
}

static void wake(void *ctx)
{
    (void)ctx;
    serving.woken = true;
}

void serving_init(void)
{
    static const struct command_host host = {.stats_conns = conns,
                                             .shutdown = stop,
                                             .accepting = accepts,
                                             .gauge = gauge,
                                             .refresh_certs = refresh,
                                             .certs_refreshed = never,
                                             .libevent_version = "x"};

    /* What -vvv says is made, and nobody reads it. */
    stderr = fopen("/dev/null", "w");
    demand(stderr != NULL);
    settings.maxbytes = MEMORY;
    hash_init();
    clock_freeze(NOW_MS);
    demand(watch_init());
    watch_thread_begin(settings.worker_logbuf_size);
    serving.base = event_base_new();
    demand(serving.base != NULL);
    serving.set = conn_set_new(serving.base, &host);
    demand(serving.set != NULL);
    conn_set_on_wake(serving.set, wake, NULL);
}

static void make_store(void)
{
    struct store_config config = store_config_default();

    config.memory_limit = MEMORY;
    demand(store_init(&config));
    version_init(VERSION_COUNTING, 0);
}

void serving_begin(int type, bool fresh)
{
    static bool made;
    int pair[2];

    if (fresh && made) {
        store_fini();
    }
    if (fresh || !made) {
        make_store();
    }
    made = true;
    store_flush(0);
    demand(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) ==
           0);
    serving.client = pair[0];
    serving.server = pair[1];
    serving.nheard = 0;
}

void serving_hear(const void *p, size_t n)
{
    if (serving.nheard + n > serving.room) {
        serving.room = (serving.nheard + n) * 2;
        serving.heard = realloc(serving.heard, serving.room);
        demand(serving.heard != NULL);
    }
    memcpy(serving.heard + serving.nheard, p, n);
    serving.nheard += n;
}

/* One turn of the worker's loop. True: more to do. */
static bool turn(void)
{
    (void)event_base_loop(serving.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
    if (serving.woken) {
        serving.woken = false;
        conn_set_woken(serving.set);
    }
    return conn_set_pass(serving.set) || serving.woken;
}

/* Bytes that the server has not read; it may have closed. */
static bool unread(void)
{
    int n = 0;

    return ioctl(serving.server, FIONREAD, &n) == 0 && n > 0;
}

void serving_settle(bool (*take)(void))
{
    int idle = 0;

    for (int i = 0; idle < SETTLED; i++) {
        bool more = turn() || unread();

        while (take()) {
            more = true;
        }
        idle = more ? 0 : idle + 1;
        demand(i < TURNS);
    }
}

void serving_file(const void *text, size_t n, char path[SERVING_PATH])
{
    int fd = memfd_create("fuzz", 0);

    demand(fd >= 0 && write(fd, text, n) == (ssize_t)n);
    (void)snprintf(path, SERVING_PATH, "/proc/self/fd/%d", fd);
}

void serving_end(void)
{
    crawler_disable();
    prefix_enable(false);
    prefix_clear();
}
