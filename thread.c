#include "thread.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "counters.h"
#include "napi.h"
#include "privileges.h"
#include "settings.h"
#include "store.h"
#include "udp.h"
#include "watch.h"

#define WORKER_MAGIC 0x776f726bU

enum message_kind {
    MESSAGE_OPEN,  /* serve this connection */
    MESSAGE_SWEEP, /* close idle connections */
    MESSAGE_ASK,   /* give a sign of life */
    MESSAGE_STOP,
};

struct message {
    STAILQ_ENTRY(message) link;
    enum message_kind kind;
    int fd; /* OPEN: owned */
    enum conn_transport transport;
    enum conn_protocol protocol;
    enum tls_kind tls;
};

STAILQ_HEAD(message_queue, message);

/* [c] constant once the thread runs  [w] its thread only  [Q] its lock */
struct worker {
    uint32_t magic;                /* [c] */
    pthread_t thread;              /* [c] */
    struct event_base *base;       /* [c] */
    struct conn_set *set;          /* [c] */
    int wake_fd;                   /* [c] eventfd */
    struct event wake;             /* [w] */
    bool stopping;                 /* [w] */
    struct lock lock;              /* QUEUE */
    struct message_queue messages; /* [Q] */
    atomic_bool asked;             /* [a] for a sign of life, not given yet */
};

static struct worker *workers;
static unsigned worker_count;     /* those that run */
static unsigned next_worker;      /* main thread: whose turn it is */
static struct napi queues;        /* main thread; -N */
static struct counters *counters; /* main thread's, for -N */
static struct event tick;
static const struct command_host *host;

void thread_set_host(const struct command_host *its)
{
    host = its;
}

/* ---- messages ------------------------------------------------------ */

static void worker_wake(struct worker *w)
{
    const uint64_t one = 1;
    ssize_t n;

    /* Full (EAGAIN) is as good: the worker will wake. */
    do {
        n = write(w->wake_fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
}

/* Copies the message; false when out of memory. */
static bool worker_tell(struct worker *w, const struct message *message)
{
    struct message *copy = malloc(sizeof(*copy));

    if (copy == NULL) {
        return false;
    }
    *copy = *message;
    lock_take(&w->lock, LOCK_QUEUE);
    STAILQ_INSERT_TAIL(&w->messages, copy, link);
    lock_drop(&w->lock, LOCK_QUEUE);
    worker_wake(w);
    return true;
}

static void worker_obey(struct worker *w, const struct message *message)
{
    switch (message->kind) {
    case MESSAGE_OPEN:
        if (message->transport == CONN_UDP) {
            udp_open(w->set, message->fd);
        } else {
            conn_open(w->set, message->fd, message->transport,
                      message->protocol, message->tls);
        }
        break;
    case MESSAGE_SWEEP:
        conn_set_sweep(w->set);
        break;
    case MESSAGE_ASK:
        /* Pairs with threads_answered, which wants no more than this. */
        atomic_store_explicit(&w->asked, false, memory_order_relaxed);
        break;
    case MESSAGE_STOP:
        w->stopping = true;
        break;
    }
}

/* For those who watch. */
static void wake_of(void *arg)
{
    worker_wake(arg);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    struct message_queue messages = STAILQ_HEAD_INITIALIZER(messages);
    struct message *message;
    uint64_t count;

    (void)what;
    assert(w->magic == WORKER_MAGIC);
    while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR) {
    }
    lock_take(&w->lock, LOCK_QUEUE);
    STAILQ_CONCAT(&messages, &w->messages);
    lock_drop(&w->lock, LOCK_QUEUE);
    while ((message = STAILQ_FIRST(&messages)) != NULL) {
        STAILQ_REMOVE_HEAD(&messages, link);
        worker_obey(w, message);
        free(message);
    }
    conn_set_woken(w->set);
}

static unsigned in_turn(void)
{
    next_worker = (next_worker + 1) % worker_count;
    return next_worker;
}

/* The worker of the queue by which `fd` came in, with -N. */
static unsigned by_queue(int fd)
{
    unsigned id = 0;
    unsigned worker = 0;
    socklen_t len = sizeof(id);

    /* Of a socket that no card serves there is none. */
    (void)getsockopt(fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, &id, &len);
    switch (napi_choose(&queues, id, &worker)) {
    case NAPI_CHOSEN:
        break;
    case NAPI_UNEXPECTED:
        COUNT(counters, unexpected_napi_ids);
        break;
    case NAPI_NO_QUEUE:
        COUNT(counters, round_robin_fallback);
        return in_turn();
    }
    return worker;
}

void thread_hand_over(int fd, enum conn_transport transport,
                      enum conn_protocol protocol, enum tls_kind tls)
{
    const struct message message = {.kind = MESSAGE_OPEN,
                                    .fd = fd,
                                    .transport = transport,
                                    .protocol = protocol,
                                    .tls = tls};

    assert(worker_count > 0);
    if (!worker_tell(&workers[queues.workers > 0 ? by_queue(fd) : in_turn()],
                     &message)) {
        (void)close(fd);
    }
}

/* ---- a worker ------------------------------------------------------ */

/* One turn of the loop is one pass: the call-backs gather, then the gathered
 * requests run. */
static void *worker_main(void *arg)
{
    struct worker *w = arg;
    bool busy = false;

    assert(w->magic == WORKER_MAGIC);
    (void)prctl(PR_SET_NAME, "mc-worker");
    if (!privileges_drop(PRIVILEGES_WORKER)) {
        log_print(0, "Failed to set a seccomp profile on a worker thread\n");
        exit(EXIT_FAILURE);
    }
    watch_thread_begin(settings.worker_logbuf_size);
    while (!w->stopping) {
        (void)event_base_loop(w->base,
                              EVLOOP_ONCE | (busy ? EVLOOP_NONBLOCK : 0));
        busy = conn_set_pass(w->set);
    }
    watch_thread_end();
    return NULL;
}

/* A base without locks and without timers: it never reads a clock. */
static struct event_base *worker_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config != NULL) {
        if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK |
                                              EVENT_BASE_FLAG_NO_CACHE_TIME) ==
            0) {
            base = event_base_new_with_config(config);
        }
        event_config_free(config);
    }
    return base;
}

static void worker_fini(struct worker *w)
{
    struct message *message;

    while ((message = STAILQ_FIRST(&w->messages)) != NULL) {
        STAILQ_REMOVE_HEAD(&w->messages, link);
        if (message->kind == MESSAGE_OPEN) {
            (void)close(message->fd);
        }
        free(message);
    }
    if (w->set != NULL) {
        conn_set_free(w->set);
    }
    /* Until now somebody may have woken those who watch. */
    if (w->wake_fd >= 0) {
        (void)event_del(&w->wake);
        (void)close(w->wake_fd);
    }
    if (w->base != NULL) {
        event_base_free(w->base);
    }
    w->magic = 0;
}

static bool worker_prepare(struct worker *w)
{
    w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (w->wake_fd < 0) {
        log_print(0, "failed creating eventfd for worker thread: %s\n",
                  strerror(errno));
        return false;
    }
    w->base = worker_base();
    if (w->base == NULL) {
        log_print(0, "Can't allocate event base\n");
        return false;
    }
    w->set = conn_set_new(w->base, host);
    if (w->set == NULL) {
        log_print(0, "Failed to allocate memory for connections\n");
        return false;
    }
    conn_set_on_wake(w->set, wake_of, w);
    if (event_assign(&w->wake, w->base, w->wake_fd, EV_READ | EV_PERSIST,
                     on_wake, w) != 0 ||
        event_add(&w->wake, NULL) != 0) {
        log_print(0, "Can't monitor libevent notify pipe\n");
        return false;
    }
    return true;
}

/* Signals are the main thread's. */
static int worker_start(struct worker *w)
{
    sigset_t all;
    sigset_t before;
    int error;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&w->thread, NULL, worker_main, w);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        log_print(0, "Can't create thread: %s\n", strerror(error));
    }
    return error;
}

/* ---- all ----------------------------------------------------------- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    const struct message sweep = {.kind = MESSAGE_SWEEP};

    (void)fd;
    (void)what;
    (void)arg;
    clock_tick();
    store_tick();
    for (unsigned i = 0; settings.idle_timeout > 0 && i < worker_count; i++) {
        /* One that is lost for lack of memory is sent again in a second. */
        (void)worker_tell(&workers[i], &sweep);
    }
}

void threads_ask(void)
{
    const struct message ask = {.kind = MESSAGE_ASK};

    for (unsigned i = 0; i < worker_count; i++) {
        atomic_store_explicit(&workers[i].asked, true, memory_order_relaxed);
        if (!worker_tell(&workers[i], &ask)) {
            /* No memory: nothing can be said of it until the next time. */
            atomic_store_explicit(&workers[i].asked, false,
                                  memory_order_relaxed);
        }
    }
}

bool threads_answered(void)
{
    for (unsigned i = 0; i < worker_count; i++) {
        if (atomic_load_explicit(&workers[i].asked, memory_order_relaxed)) {
            return false;
        }
    }
    return true;
}

static bool tick_start(struct event_base *base)
{
    const struct timeval second = {.tv_sec = 1};

    if (event_assign(&tick, base, -1, EV_PERSIST, on_tick, NULL) != 0 ||
        event_add(&tick, &second) != 0) {
        log_print(0, "Can't start the clock\n");
        return false;
    }
    return true;
}

/* -N: as many workers as there are queues are tied to them. */
static bool queues_prepare(void)
{
    if (settings.num_napi_ids == 0) {
        return true;
    }
    queues.workers = (unsigned)settings.num_napi_ids < NAPI_WORKERS_MAX
                         ? (unsigned)settings.num_napi_ids
                         : NAPI_WORKERS_MAX;
    counters = counters_new();
    return counters != NULL;
}

bool threads_start(struct event_base *base, unsigned n)
{
    workers = calloc(n, sizeof(*workers));
    if (workers == NULL || !queues_prepare()) {
        log_print(0, "Can't allocate thread descriptors\n");
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        struct worker *w = &workers[i];

        w->magic = WORKER_MAGIC;
        w->wake_fd = -1;
        STAILQ_INIT(&w->messages);
        if (!worker_prepare(w) || worker_start(w) != 0) {
            worker_fini(w);
            threads_stop();
            return false;
        }
        worker_count = i + 1;
    }
    if (!tick_start(base)) {
        threads_stop();
        return false;
    }
    return true;
}

/* Asks until there is memory for the message: a worker that is not told can
 * not be waited for. */
static void worker_stop(struct worker *w)
{
    const struct message stop = {.kind = MESSAGE_STOP};

    while (!worker_tell(w, &stop)) {
        (void)usleep(1000);
    }
}

void threads_stop(void)
{
    if (event_initialized(&tick)) {
        (void)event_del(&tick);
    }
    for (unsigned i = 0; i < worker_count; i++) {
        worker_stop(&workers[i]);
    }
    for (unsigned i = 0; i < worker_count; i++) {
        (void)pthread_join(workers[i].thread, NULL);
    }
    for (unsigned i = 0; i < worker_count; i++) {
        worker_fini(&workers[i]);
    }
    worker_count = 0;
    free(workers);
    workers = NULL;
}

size_t threads_open_count(void)
{
    size_t n = 0;

    for (unsigned i = 0; i < worker_count; i++) {
        n += conn_set_open_count(workers[i].set);
    }
    return n;
}

size_t threads_structures(void)
{
    size_t n = 0;

    for (unsigned i = 0; i < worker_count; i++) {
        n += conn_set_structures(workers[i].set);
    }
    return n;
}

void threads_spilled(struct conn_spilled *sum)
{
    *sum = (struct conn_spilled){0};
    for (unsigned i = 0; i < worker_count; i++) {
        conn_set_spilled(workers[i].set, sum);
    }
}

size_t threads_view(struct conn_view *views, size_t room)
{
    size_t n = 0;

    for (unsigned i = 0; i < worker_count; i++) {
        n += conn_set_view(workers[i].set, views + n, room - n);
    }
    return n;
}
