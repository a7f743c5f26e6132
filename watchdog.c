#include "watchdog.h"

#include <event2/event_struct.h>

#include "systemd.h"
#include "thread.h"

static struct event timer;

static void on_time(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    (void)ctx;
    if (!threads_answered()) {
        return; /* and they are not asked again until they did */
    }
    systemd_tell("WATCHDOG=1");
    threads_ask();
}

bool watchdog_start(struct event_base *base)
{
    enum { SECOND_US = 1000000 };
    uint64_t half = systemd_watchdog_us() / 2;
    const struct timeval pace = {.tv_sec = (time_t)(half / SECOND_US),
                                 .tv_usec = (suseconds_t)(half % SECOND_US)};

    if (half == 0) {
        return true;
    }
    threads_ask();
    return event_assign(&timer, base, -1, EV_PERSIST, on_time, NULL) == 0 &&
           event_add(&timer, &pace) == 0;
}

void watchdog_stop(void)
{
    if (event_initialized(&timer)) {
        (void)event_del(&timer);
    }
}
