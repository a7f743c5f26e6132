/*
 * memcached - the daemon: set-up, signals, tear-down.
 *
 * The order matters. All sockets are bound while the process still has its
 * privileges; threads and event bases are made after the fork of -d; the
 * client port listens only when the node serves.
 */
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/task.h"
#include "base/version.h"
#include "command.h"
#include "crawler.h"
#include "listen.h"
#include "mover.h"
#include "options.h"
#include "prefix.h"
#include "privileges.h"
#include "process.h"
#include "secrets.h"
#include "settings.h"
#include "store.h"
#include "store_restart.h"
#include "store_stats.h"
#include "systemd.h"
#include "thread.h"
#include "watch.h"
#include "watchdog.h"
#include "watching.h"

/* What a build without replication lacks; nothing else here knows. */
#ifdef ENABLE_REPLICATION
#include "replication.h"
#define HOOK(name) replication_##name
#define VERSIONS   VERSION_HYBRID
#else
#define HOOK(name) NULL
#define VERSIONS   VERSION_COUNTING
#endif

typedef void row_visit(void *ctx, const char *name, const char *value);

static const struct {
    bool (*init)(char *error, size_t n);
    bool (*bind)(char *error, size_t n);
    bool (*start)(void (*on_serve)(void *ctx), void *ctx, char *error,
                  size_t n);
    void (*reload)(void);
    void (*stop)(void);
    bool (*save)(bool (*put)(const void *p, size_t n));
    void (*fini)(void);
    void (*stats)(bool full, row_visit *row, void *ctx);
} replication = {HOOK(init), HOOK(bind), HOOK(start), HOOK(reload),
                 HOOK(stop), HOOK(save), HOOK(fini),  HOOK(stats)};

enum { LINE_MAX_BYTES = 1024 };

/* Of an event loop and what wakes it: epoll, eventfd, libevent's pipe. */
enum { FDS_LOOP = 4 };

static struct command_host host;

/* [m] main thread only, but wake_fd, which is constant once made. */
static struct {
    struct event_base *base;
    struct event *signals[4];
    struct event *wake;
    int wake_fd;
    bool serving;
    bool set_up;
    bool graceful; /* SIGUSR1 */
} self = {.wake_fd = -1};

/* ---- serving and stopping ------------------------------------------ */

/* All is set up and the client port is open. What is left to do is known. */
static void begin_service(void)
{
    systemd_tell("READY=1\nSTATUS=Serving");
    if (!privileges_drop(PRIVILEGES_MAIN)) {
        log_fatal(EXIT_FAILURE,
                  "Failed to set a seccomp profile on the main thread\n");
    }
}

/* Opens the client port. */
static void serve(void)
{
    char message[LISTEN_MESSAGE];

    if (self.serving) {
        return;
    }
    self.serving = true;
    if (!listen_open(self.base, message)) {
        log_fatal(EX_OSERR, "%s\n", message);
    }
    if (self.set_up) {
        begin_service();
    }
}

/* From the replication thread: the node is complete. */
static void on_serve(void *ctx)
{
    (void)ctx;
    (void)eventfd_write(self.wake_fd, 1); /* fails only when full */
}

static void on_wake(evutil_socket_t fd, short what, void *ctx)
{
    eventfd_t count;

    (void)what;
    (void)ctx;
    if (eventfd_read((int)fd, &count) == 0) {
        serve();
    }
}

static void reload_secrets(void)
{
    secrets_reload();
    if (replication.reload != NULL) {
        replication.reload();
    }
}

/* A node that does not serve yet is not ready after it either. */
static void reload(void)
{
    if (!self.serving || !self.set_up) {
        reload_secrets();
        return;
    }
    systemd_tell_reloading();
    reload_secrets();
    systemd_tell("READY=1");
}

static void on_signal(evutil_socket_t sig, short what, void *ctx)
{
    (void)what;
    (void)ctx;
    if (sig == SIGHUP) {
        reload();
        return;
    }
    self.graceful = sig == SIGUSR1;
    (void)event_base_loopbreak(self.base);
}

/* From any thread, for the shutdown command: the main loop hears of it as of
 * any signal. */
static void stop(bool graceful)
{
    (void)kill(getpid(), graceful ? SIGUSR1 : SIGINT);
}

static void watch_signals(void)
{
    static const int watched[] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    /* A peer gone is seen by the writer. */
    if (sigaction(SIGPIPE, &ignore, NULL) != 0) {
        log_fatal(EX_OSERR, "failed to ignore SIGPIPE; sigaction: %s\n",
                  strerror(errno));
    }
    for (int i = 0; i < 4; i++) {
        self.signals[i] = evsignal_new(self.base, watched[i], on_signal, NULL);
        if (self.signals[i] == NULL || event_add(self.signals[i], NULL) != 0) {
            log_fatal(EX_OSERR, "failed to watch signal %d\n", watched[i]);
        }
    }
}

static void make_loop(void)
{
    struct event_config *config = event_config_new();

    if (config != NULL) {
        (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        self.base = event_base_new_with_config(config);
        event_config_free(config);
    }
    self.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (self.base == NULL || self.wake_fd < 0) {
        log_fatal(EXIT_FAILURE, "failed to make the event loop: %s\n",
                  strerror(errno));
    }
    self.wake =
        event_new(self.base, self.wake_fd, EV_READ | EV_PERSIST, on_wake, NULL);
    if (self.wake == NULL || event_add(self.wake, NULL) != 0) {
        log_fatal(EXIT_FAILURE, "failed to make the event loop\n");
    }
    watch_signals();
}

/* ---- set-up -------------------------------------------------------- */

static void tell_classes(void)
{
    struct store_class_stats stats;

    for (unsigned i = 1; log_wanted(2) && i <= store_class_max(); i++) {
        if (store_class_stats(i, &stats)) {
            log_print(2, "slab class %3u: chunk size %9u perslab %7u\n", i,
                      stats.chunk_size, stats.chunks_per_page);
        }
    }
}

static void make_store(void)
{
    struct store_config config = store_config_default();
    char error[LINE_MAX_BYTES];

    config.memory_limit = settings.maxbytes;
    config.item_size_max = settings.item_size_max;
    config.chunk_max = settings.slab_chunk_max;
    config.chunk_sizes_n = options_slab_sizes(&config.chunk_sizes);
    config.chunk_min = (size_t)settings.chunk_size;
    config.growth_factor = settings.growth_factor;
    config.hot_lru_pct = (unsigned)settings.hot_lru_pct;
    config.temp_ttl =
        settings.temp_lru ? (int)settings.temporary_ttl : config.temp_ttl;
    config.evict = settings.evictions;
    config.cas = settings.use_cas;
    config.preallocate = settings.large_pages;
    config.track_sizes = settings.track_sizes;
    config.slab_reassign = settings.slab_reassign;
    config.memory_file = settings.memory_file;

    store_on_eviction(watching_evicted);
    hash_init();
    clock_init();
    version_init(VERSIONS, (uint8_t)hash_random());
    version_scatter(hash_random() | 1);
    if (!store_init(&config)) {
        exit(EXIT_FAILURE); /* it said why */
    }
    tell_classes();
    if (replication.init != NULL && !replication.init(error, sizeof(error))) {
        log_fatal(EXIT_FAILURE, "%s\n", error);
    }
    store_restored();
}

static void bind_clients(void)
{
    char message[LISTEN_MESSAGE];

    if (!listen_bind(message)) {
        log_fatal(EX_OSERR, "%s\n", message);
    }
}

static void bind_replication(void)
{
    char message[LISTEN_MESSAGE];

    if (replication.bind != NULL &&
        !replication.bind(message, sizeof(message))) {
        log_fatal(EX_OSERR, "%s\n", message);
    }
}

static void begin_task(void)
{
    if (!privileges_drop(PRIVILEGES_WORKER)) {
        log_fatal(EXIT_FAILURE,
                  "Failed to set a seccomp profile on a thread\n");
    }
}

/* Threads inherit a mask in which only the main thread hears signals. */
static void start_threads(void)
{
    char error[LINE_MAX_BYTES];
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    if (!threads_start(self.base, (unsigned)settings.num_threads)) {
        exit(EXIT_FAILURE); /* it said why */
    }
    task_on_begin(begin_task);
    if (!mover_start() || (settings.lru_crawler && !crawler_enable())) {
        log_fatal(EXIT_FAILURE, "failed to start the background threads\n");
    }
    if (replication.start != NULL &&
        !replication.start(on_serve, NULL, error, sizeof(error))) {
        log_fatal(EXIT_FAILURE, "%s\n", error);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Descriptors are given lowest first: the next one tells whether `more` of
 * ours and a client's fit below the limit. */
static void require_descriptors(int more)
{
    int fd = dup(STDERR_FILENO);

    if (fd < 0 || fd > settings.maxconns - 2 - more) {
        log_fatal(EXIT_FAILURE,
                  "Maxconns setting is too low, use -c to increase.\n");
    }
    (void)close(fd);
}

/* SIGHUP reads secrets again; a method of SASL reads its users whenever one
 * comes, or asks who keeps them. */
static unsigned needs(void)
{
    unsigned all = secrets_are_used() ? PRIVILEGES_FILES : 0;

    all |= settings.sasl ? PRIVILEGES_FILES | PRIVILEGES_ASKS : 0U;
    return all | (settings.memory_file != NULL ? PRIVILEGES_KEEPS : 0U);
}

static void set_up(void)
{
    char error[LINE_MAX_BYTES];
    int loops;

    if (!systemd_init(error, sizeof(error))) {
        log_fatal(EX_OSERR, "%s\n", error);
    }

    process_standard_files();
    /* The files may be readable with the rights of the start only. */
    secrets_load();
    process_check_large_pages();
    process_set_limits();
    process_find_user();
    process_daemonise();

    listen_host(&host);
    host.shutdown = stop;
    host.stats_replication = replication.stats;
    host.refresh_certs = secrets_refresh;
    host.certs_refreshed = secrets_refreshed;
    host.libevent_version = event_get_version();
    prefix_enable(settings.detail_enabled);
    thread_set_host(&host);
    if (!watch_init()) {
        log_fatal(EXIT_FAILURE, "Failed to allocate memory for watchers\n");
    }
    /* Before the store: a cache that was kept is not lost for a taken port. */
    bind_clients();
    make_store();
    bind_replication();
    process_drop_privileges();
    process_lock_memory();

    loops = settings.num_threads + 1 + (replication.start != NULL);
    /* libevent ends the process, with words of its own, when it has none. */
    require_descriptors(FDS_LOOP * loops);
    make_loop();
    privileges_init(settings.drop_privileges, needs());
    start_threads();
    require_descriptors(0);
    if (replication.start == NULL || settings.rep_peers == NULL ||
        settings.rep_serve_early) {
        serve(); /* on_serve comes too late for who waits for -d */
    }
    process_write_pid_file();
    process_ready();
    if (!watchdog_start(self.base)) {
        log_fatal(EXIT_FAILURE, "failed to start the watchdog\n");
    }
    self.set_up = true;
    if (self.serving) {
        begin_service();
    } else {
        systemd_tell("STATUS=Waiting for the copy of a peer");
    }
}

/* ---- tear-down ----------------------------------------------------- */

/* Without -e there is nothing to be kept. */
static void save(void)
{
    if (!self.graceful || settings.memory_file == NULL) {
        return;
    }
    if (!store_save_begin() ||
        (replication.save != NULL && !replication.save(store_save_put)) ||
        !store_save_end()) {
        log_print(0, "[restart] the next start will have a clean cache\n");
    }
}

static void tear_down(void)
{
    int level = self.graceful ? 1 : INT_MAX;

    systemd_tell("STOPPING=1");
    watchdog_stop();
    log_print(level, "asking workers to stop\n");
    listen_close();
    log_print(level, "asking background threads to stop\n");
    crawler_disable();
    log_print(level, "stopped lru crawler\n");
    mover_stop();
    log_print(level, "stopped slab mover\n");
    log_print(level, "closing connections\n");
    log_print(level, "reaping worker threads\n");
    threads_stop();
    if (replication.stop != NULL) {
        replication.stop();
    }
    log_print(level, "all background threads stopped\n");

    for (size_t i = 0; i < 4; i++) {
        event_free(self.signals[i]);
    }
    event_free(self.wake);
    (void)close(self.wake_fd);
    event_base_free(self.base);
    libevent_global_shutdown();
    save();
    if (replication.fini != NULL) {
        replication.fini();
    }
    store_fini();
    secrets_fini();
    process_remove_pid_file();
    options_fini();
}

int main(int argc, char **argv)
{
    options_parse(argc, argv);
    set_up();
    if (event_base_dispatch(self.base) < 0) {
        log_fatal(EXIT_FAILURE, "Exiting on error\n");
    }
    if (self.graceful) {
        log_print(0, "Gracefully stopping\n");
    } else {
        log_print(1, "Exiting normally\n");
    }
    tear_down();
    return EXIT_SUCCESS;
}
