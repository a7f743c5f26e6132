#include "replication.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/version.h"
#include "privileges.h"
#include "rep/frame.h"
#include "rep/hints.h"
#include "rep/pace.h"
#include "rep/rate.h"
#include "rep/runs.h"
#include "repbind.h"
#include "repdial.h"
#include "replink.h"
#include "repmemory.h"
#include "reppeer.h"
#include "repstats.h"
#include "reptrust.h"
#include "settings.h"
#include "store.h"
#include "store_stats.h"

#define LINKS      (REP_CORE_CONNS + 16) /* with those about to be freed */
#define EVENTS     256                   /* waiting for rep/core */
#define PUBLISH_NS 10000000              /* between two looks at the figures */

/* A connection, and what rep/core is told of its other end. */
struct line {
    struct replink *link; /* NULL: a free place */
    struct sockaddr_storage addr;
    uint16_t port; /* on which the other end listens; 0: not known */
    bool dialled;
    unsigned peer; /* in the figures, REP_CORE_NO_PEER: of nobody configured */
};

/* [r] replication thread only  [c] constant after set-up  [V] view_lock */
static struct {
    bool running;                /* main thread: the thread exists */
    pthread_t thread;            /* main thread */
    struct rep_keep memory;      /* its parts: theirs; run: [c]; the rest [r] */
    uint64_t was;                /* [c] the run that it goes on from; 0: none */
    struct rep_core *core;       /* [r] */
    struct event_base *base;     /* [r] */
    struct replink_env env;      /* [c] */
    void (*on_serve)(void *ctx); /* [c] */
    void *on_serve_ctx;          /* [c] */
    int wake;                    /* [c] eventfd: the log, or the end */
    atomic_bool stop; /* [a] set by replication_stop, read after `wake` */

    struct event *woken, *timer;     /* [r] */
    struct line lines[LINKS];        /* [r] */
    uint32_t last_id;                /* [r] */
    struct rep_event events[EVENTS]; /* [r] ring: waiting for rep/core */
    unsigned events_at, nevents;     /* [r] */
    bool stepping;                   /* [r] inside perform */
    bool stopping, ended;            /* [r] */
    struct rep_pace pace;            /* [r] */
    uint64_t published_at;           /* [r] ns */
    struct rep_hints *hints;         /* [c] */
    struct rep_sweep sweep;          /* [r] once started */
    struct rep_rate copy_rate;       /* [r] once started */
    struct repstats view;            /* [r] */

    struct lock view_lock;     /* QUEUE */
    struct repstats published; /* [V] */
} self = {.wake = -1};

static void post(void *ctx, const struct rep_event *event);

static uint64_t now_ms(void)
{
    return clock_mono().ns / 1000000;
}

static void post_kind(enum rep_event_kind kind)
{
    struct rep_event ev = {.kind = kind};

    post(NULL, &ev);
}

/* Why something failed, with a configured peer or (REP_CORE_NO_PEER) another.
 */
static void note_error(unsigned peer, const char *why)
{
    (void)snprintf(self.view.error, REPSTATS_ERROR, "%s", why);
    if (peer != REP_CORE_NO_PEER) {
        (void)snprintf(self.view.peer[peer].error, REPSTATS_ERROR, "%s", why);
    }
}

/* ---- links ------------------------------------------------------------ */

static struct line *find_line(uint32_t id)
{
    for (unsigned i = 0; i < LINKS; i++) {
        struct line *line = &self.lines[i];

        if (line->link != NULL && replink_id(line->link) == id) {
            return line;
        }
    }
    return NULL;
}

static struct replink *find_link(uint32_t id)
{
    const struct line *line = find_line(id);

    return line != NULL ? line->link : NULL;
}

static socklen_t length_of(const struct sockaddr *addr)
{
    return addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                       : sizeof(struct sockaddr_in);
}

static uint64_t address_id(const struct sockaddr *addr)
{
    char name[REPDIAL_NAME];

    repdial_format(addr, false, name);
    return hash_key_agreed(name, strlen(name));
}

/* Takes `fd`; 0 when there is no room for it. */
static uint32_t add_link(int fd, bool dialled, const struct sockaddr *addr)
{
    char name[REPDIAL_NAME];

    repdial_format(addr, true, name);
    for (unsigned i = 0; i < LINKS; i++) {
        struct line *line = &self.lines[i];

        if (line->link == NULL) {
            *line = (struct line){.dialled = dialled, .peer = REP_CORE_NO_PEER};
            memcpy(&line->addr, addr, length_of(addr));
            line->link = replink_new(&self.env, fd, ++self.last_id, dialled,
                                     address_id(addr), name);
            return line->link != NULL ? self.last_id : 0;
        }
    }
    close(fd);
    return 0;
}

/* Its address, with the port at which it can be dialled if that is known. */
static void name_line(const struct line *line, char name[REPSTATS_NAME])
{
    struct sockaddr_storage addr = line->addr;
    char text[REPDIAL_NAME];

    if (!line->dialled) {
        repdial_set_port((struct sockaddr *)&addr, line->port);
    }
    repdial_format((struct sockaddr *)&addr, line->dialled || line->port != 0,
                   text);
    (void)snprintf(name, REPSTATS_NAME, "%s", text);
}

/* What a link did stays in the figures after its end. */
static void settle(const struct line *line)
{
    struct rep_link_figures f;

    replink_figures(line->link, &f);
    repstats_add(&self.view.past, &f);
    if (line->peer != REP_CORE_NO_PEER) {
        repstats_add(&self.view.peer[line->peer].past, &f);
    }
    if (f.error != NULL) {
        note_error(line->peer, f.error);
    }
    if (f.reader >= 0) {
        self.memory.unlinked_since = version_last();
    }
}

static void reap_links(void)
{
    for (unsigned i = 0; i < LINKS; i++) {
        struct line *line = &self.lines[i];

        if (line->link != NULL && replink_is_closed(line->link)) {
            settle(line);
            replink_free(line->link);
            line->link = NULL;
        }
    }
}

/* ---- in: listeners, dials, timers --------------------------------------- */

static void accepted(int fd, const struct sockaddr *addr)
{
    struct rep_event ev = {
        .kind = REP_EV_ACCEPTED,
        .conn = add_link(fd, false, addr),
        .addr = address_id(addr),
    };

    if (ev.conn != 0) {
        reppeer_identify(addr, 0, &ev);
        ev.trusted = ev.configured || reptrust_is_legacy(addr);
        post(NULL, &ev);
    }
}

/* Whom a hello came from, now that the port on which it listens is known. */
static void identify(struct rep_event *ev)
{
    struct line *line = find_line(ev->conn);

    if (line != NULL && !line->dialled) {
        line->port = ev->port;
        reppeer_identify((struct sockaddr *)&line->addr, ev->port, ev);
    }
}

static void on_dial_connected(unsigned peer, int fd,
                              const struct sockaddr *addr)
{
    struct rep_event ev = {
        .kind = REP_EV_CONNECTED,
        .peer = peer,
        .conn = add_link(fd, true, addr),
        .addr = address_id(addr),
    };

    if (ev.conn == 0) {
        ev.kind = REP_EV_DIAL_FAILED;
        ev.cause = REP_SILENT;
    }
    post(NULL, &ev);
}

static void on_dial_failed(unsigned peer, enum repdial_failure failure,
                           const char *why)
{
    static const enum rep_cause causes[] = {
        [REPDIAL_REFUSED] = REP_REFUSED,
        [REPDIAL_SILENT] = REP_SILENT,
        [REPDIAL_UNKNOWN] = REP_UNKNOWN_HOST,
    };
    struct rep_event ev = {
        .kind = REP_EV_DIAL_FAILED, .peer = peer, .cause = causes[failure]};

    if (why != NULL) {
        note_error(peer, why);
    }
    post(NULL, &ev);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    post_kind(REP_EV_TICK);
}

static void on_woken(evutil_socket_t fd, short what, void *arg)
{
    eventfd_t count;

    (void)what;
    (void)arg;
    (void)eventfd_read((int)fd, &count); /* only resets the count */
    if (atomic_load_explicit(&self.stop, memory_order_acquire) &&
        !self.stopping) {
        self.stopping = true;
        post_kind(REP_EV_STOP);
    }
}

/* From a worker, under a stripe lock. */
static void wake(void *ctx)
{
    (void)ctx;
    (void)eventfd_write(self.wake, 1); /* fails only when full: awake */
}

/* ---- out: what rep/core decided --------------------------------------- */

static void do_listening(void)
{
    repbind_again();
    reptrust_warn(repbind_is_public());
    if (repbind_is_open()) {
        log_print(1, "replication: listen\n");
        repbind_print();
    }
}

static void do_print(const struct rep_action *a)
{
    static const char *const lines[] = {
        [REP_LINE_ACCEPT] = "accept",
        [REP_LINE_COPYING] = "marugoto copying",
        [REP_LINE_START] = "start",
        [REP_LINE_CLOSE] = "close",
        [REP_LINE_ALREADY] = "already connected",
    };
    const struct replink *link = find_link(a->conn);

    if (a->line == REP_LINE_CONNECT) {
        log_print(1, "replication: connect (peer=%s)\n",
                  link != NULL ? replink_name(link) : "?");
        return;
    }
    log_print(1, "replication: %s\n", lines[a->line]);
}

/* What this node says of itself now. */
static void say_hello(void *ctx, struct wire_hello *out)
{
    struct store_totals totals;

    (void)ctx;
    store_totals(&totals);
    *out = (struct wire_hello){
        .dialect = WIRE_DIALECT,
        .run = self.memory.run,
        .was = self.was,
        .slot = version_slot(),
        .item_size_max = settings.item_size_max,
        .items = totals.curr_items,
        .clock_ms = clock_ms(),
        .port = (uint16_t)settings.rep_listen_port,
    };
    rep_core_slots(self.core, out->slots);
}

static void do_link(struct replink *link, bool legacy)
{
    struct rep_event ev = {.kind = REP_EV_CLOSED, .conn = replink_id(link)};

    if (!replink_begin(link, legacy, self.memory.unlinked_since)) {
        note_error(find_line(ev.conn)->peer, "out of memory for a link");
        replink_close(link);
        post(NULL, &ev);
    }
}

static void do_close(struct replink *link, const struct rep_action *a)
{
    unsigned peer = find_line(a->conn)->peer;

    if (a->silent) {
        note_error(peer, "the peer was silent for as long as rep_timeout");
    }
    if (a->refusal == REP_REFUSAL_CLOCK) {
        note_error(peer, "the peer's clock is over 24 hours ahead");
    }
    if (a->refusal == REP_REFUSAL_NONE) {
        replink_close(link);
    } else {
        replink_refuse(link, (enum wire_refusal)a->refusal);
    }
}

static void do_timer(uint64_t at)
{
    uint64_t now = now_ms();
    uint64_t ms = at > now ? at - now : 0;
    struct timeval tv = {.tv_sec = (time_t)(ms / 1000),
                         .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

    (void)event_add(self.timer, &tv);
}

/* Those that name a connection; it may be gone by now. */
static void perform_on_link(const struct rep_action *a)
{
    struct replink *link = find_link(a->conn);

    if (link == NULL) {
        return;
    }
    if (a->kind == REP_DO_CLOSE) {
        do_close(link, a);
    } else if (a->kind == REP_DO_HELLO) {
        replink_hello(link);
    } else if (a->kind == REP_DO_LINK) {
        do_link(link, a->legacy);
    } else if (a->kind == REP_DO_SCAN) {
        replink_scan(link, a->version);
    } else if (a->kind == REP_DO_CATCH_UP) {
        replink_catch_up(link);
    } else if (a->kind == REP_DO_ANNOUNCE) {
        replink_announce(link);
    } else if (a->kind == REP_DO_BEAT) {
        replink_beat(link);
    } else if (a->kind == REP_DO_DRAIN) {
        replink_drain(link);
    }
}

/* Which lines are the links of which configured peers, as rep/core has it. Two
 * names may lead to one node: the first of them gets the figures. */
static void number_lines(void)
{
    for (unsigned i = reppeer_count(); i-- > 0;) {
        struct line *line = find_line(rep_core_peer_conn(self.core, i));

        if (line != NULL) {
            line->peer = i;
        }
    }
}

static void view_line(struct repstats_peer *p, const struct line *line)
{
    replink_figures(line->link, &p->now);
    name_line(line, p->name);
    (void)snprintf(self.view.last, REPSTATS_NAME, "%s", p->name);
}

static void view_peer(unsigned peer)
{
    struct repstats_peer *p = &self.view.peer[peer];
    const struct line *line = find_line(rep_core_peer_conn(self.core, peer));

    p->shown = !rep_core_peer_is_self(self.core, peer) &&
               (line == NULL || line->peer == peer);
    p->status = rep_core_peer_status(self.core, peer);
    memset(&p->now, 0, sizeof(p->now));
    if (line != NULL && line->peer == peer) {
        view_line(p, line);
    }
}

/* A link with one whom no -x names. */
static void view_other(const struct line *line)
{
    struct repstats_peer *p = &self.view.peer[self.view.npeers];
    struct rep_link_figures f;

    replink_figures(line->link, &f);
    if (f.linked && self.view.npeers < REPSTATS_PEERS) {
        self.view.npeers++;
        *p = (struct repstats_peer){.shown = true};
        p->status = rep_core_conn_status(self.core, replink_id(line->link));
        view_line(p, line);
    }
}

static void publish(void)
{
    number_lines();
    self.view.status = rep_core_status(self.core);
    self.view.npeers = reppeer_count();
    for (unsigned i = 0; i < reppeer_count(); i++) {
        view_peer(i);
    }
    for (unsigned i = 0; i < LINKS; i++) {
        const struct line *line = &self.lines[i];

        if (line->link != NULL && line->peer == REP_CORE_NO_PEER) {
            view_other(line);
        }
    }
    lock_take(&self.view_lock, LOCK_QUEUE);
    repstats_copy(&self.published, &self.view);
    lock_drop(&self.view_lock, LOCK_QUEUE);
}

static void perform(const struct rep_action *a)
{
    switch (a->kind) {
    case REP_DO_LISTENING:
        do_listening();
        return;
    case REP_DO_DIAL:
        repbind_again();
        reppeer_dial(a->peer, a->loud, a->next);
        return;
    case REP_DO_UNDIAL:
        reppeer_undial(a->peer);
        return;
    case REP_DO_SLOT:
        version_set_slot(a->slot);
        return;
    case REP_DO_SERVE:
        publish(); /* who is served reads no older figures */
        self.on_serve(self.on_serve_ctx);
        return;
    case REP_DO_PRINT:
        do_print(a);
        return;
    case REP_DO_TIMER:
        do_timer(a->at);
        return;
    case REP_DO_END:
        self.ended = true;
        return;
    case REP_DO_CLOSE:
    case REP_DO_HELLO:
    case REP_DO_LINK:
    case REP_DO_CATCH_UP:
    case REP_DO_SCAN:
    case REP_DO_ANNOUNCE:
    case REP_DO_BEAT:
    case REP_DO_DRAIN:
        perform_on_link(a);
        return;
    }
}

/* Queues the event; what performing its actions brings waits its turn, so
 * that rep/core is never entered from inside its own actions. */
static void post(void *ctx, const struct rep_event *event)
{
    struct rep_event *queued;

    (void)ctx;
    assert(self.nevents < EVENTS);
    queued = &self.events[(self.events_at + self.nevents++) % EVENTS];
    *queued = *event;
    if (queued->kind == REP_EV_HELLO) {
        identify(queued);
    }
    if (self.stepping) {
        return;
    }
    self.stepping = true;
    while (self.nevents > 0) {
        struct rep_event ev = self.events[self.events_at];
        const struct rep_action *actions;
        size_t n = 0;

        self.events_at = (self.events_at + 1) % EVENTS;
        self.nevents--;
        actions = rep_core_step(self.core, &ev, now_ms(), &n);
        for (size_t i = 0; i < n; i++) {
            perform(&actions[i]);
        }
    }
    self.stepping = false;
}

/* ---- the loop --------------------------------------------------------- */

/* Figures are for people: they need not cost anything. */
static void publish_sometimes(void)
{
    uint64_t now = clock_mono().ns;

    if (now - self.published_at >= PUBLISH_NS) {
        self.published_at = now;
        publish();
    }
}

/* One message of what was read here lately goes to every peer. A peer that is
 * busy goes without. */
static void spread_hints(void)
{
    uint8_t payload[FRAME_HINTS_MAX];
    bool linked = false;
    size_t n;

    for (unsigned i = 0; i < LINKS; i++) {
        linked = linked || (self.lines[i].link != NULL &&
                            replink_takes_hints(self.lines[i].link));
    }
    rep_hints_watch(self.hints, linked);
    n = linked ? rep_hints_drain(self.hints, clock_mono(), payload,
                                 sizeof(payload))
               : 0;
    for (unsigned i = 0; i < LINKS && n > 0; i++) {
        if (self.lines[i].link != NULL) {
            replink_hints(self.lines[i].link, payload, n);
        }
    }
}

/* What comes after a turn. */
enum next {
    NEXT_TURN,  /* there is more to do at once */
    NEXT_PACED, /* let changes gather first */
    NEXT_EVENT, /* sleep until something happens */
};

static enum next sleep_or_turn(void)
{
    bool asleep = true;

    for (unsigned i = 0; i < LINKS; i++) {
        struct replink *link = self.lines[i].link;

        asleep = (link == NULL || replink_sleep(link)) && asleep;
    }
    if (!asleep) {
        return NEXT_TURN;
    }
    publish();
    return NEXT_EVENT;
}

/* Gives every link a slice. */
static enum next turn(void)
{
    bool busy = rep_sweep_step(&self.sweep);

    rep_log_turn(self.memory.log);
    spread_hints();
    rep_pace_begin(&self.pace);
    for (unsigned i = 0; i < LINKS; i++) {
        struct rep_link_figures f;

        if (self.lines[i].link == NULL) {
            continue;
        }
        busy = replink_turn(self.lines[i].link) == REPLINK_BUSY || busy;
        replink_figures(self.lines[i].link, &f);
        rep_pace_add(&self.pace, &f);
    }
    self.copy_rate.sharers = self.pace.copying;
    reap_links();
    rep_runs_move(self.memory.runs);
    publish_sometimes();
    if (busy || rep_sweep_pending(&self.sweep)) {
        return NEXT_TURN;
    }
    return rep_pace_end(&self.pace, clock_mono().ns) || self.stopping
               ? NEXT_PACED
               : sleep_or_turn();
}

/* Only the acknowledgement that the lag is measured by is taken when it comes.
 * To wait for a timer among events would cost as much as the rest of a turn. */
static void pace(void)
{
    uint64_t until = clock_mono().ns + self.pace.pause;
    const struct timespec t = {.tv_sec = (time_t)(until / 1000000000),
                               .tv_nsec = (long)(until % 1000000000)};

    for (unsigned i = 0; i < LINKS; i++) {
        if (self.lines[i].link != NULL) {
            replink_await(self.lines[i].link, until);
        }
    }
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void *run_thread(void *arg)
{
    enum next next = NEXT_TURN;

    (void)arg;
    (void)prctl(PR_SET_NAME, "mc-replication");
    if (!privileges_drop(PRIVILEGES_DIALS)) {
        log_print(0, "Failed to set a seccomp profile on the replication "
                     "thread\n");
        exit(EXIT_FAILURE);
    }
    /* Or the kernel adds 50 us to each pace. */
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    post_kind(REP_EV_START);
    while (!self.ended) {
        if (next == NEXT_PACED) {
            pace();
        }
        (void)event_base_loop(self.base, next == NEXT_EVENT
                                             ? EVLOOP_ONCE
                                             : EVLOOP_ONCE | EVLOOP_NONBLOCK);
        clock_tick();
        next = turn();
    }
    reap_links();
    return NULL;
}

/* ---- set-up and tear-down --------------------------------------------- */

/* What can be told before the first turn. */
static void begin_view(void)
{
    self.view.log = self.memory.log;
    self.view.floors = self.memory.floors;
    self.view.hints = self.hints;
    self.view.run = self.memory.run;
    self.view.npeers = reppeer_count();
    for (unsigned i = 0; i < reppeer_count(); i++) {
        self.view.peer[i].shown = self.view.peer[i].configured = true;
        (void)snprintf(self.view.peer[i].name, REPSTATS_NAME, "%s",
                       reppeer_name(i));
    }
    repstats_copy(&self.published, &self.view);
}

bool replication_init(char *error, size_t n)
{
    if (!reppeer_parse(settings.rep_peers, settings.rep_connect_port, error,
                       n) ||
        !repbind_check(error, n) || !reptrust_init(error, n)) {
        return false;
    }
    if (settings.rep_floors == 0) {
        settings.rep_floors = rep_floor_default_bytes(settings.maxbytes);
    }
    self.hints = rep_hints_new(REP_HINTS_RATE);
    if (!repmemory_new(&self.memory, reppeer_count()) || self.hints == NULL) {
        (void)snprintf(error, n,
                       "failed to allocate the replication log; "
                       "lower -o rep_log or rep_floors");
        return false;
    }
    self.was = self.memory.run;
    do {
        self.memory.run = hash_random();
    } while (self.memory.run == 0);
    rep_sweep_init(&self.sweep);
    rep_log_on_wake(self.memory.log, wake, NULL);
    rep_log_set_relay(self.memory.log, reppeer_count() > 1);
    store_observe(rep_log_observer(self.memory.log));
    begin_view();
    return true;
}

bool replication_bind(char *error, size_t n)
{
    bool bound = repbind_open(error, n);

    reptrust_warn(repbind_is_public());
    /* One who dials may share a host with its peer and find the port taken:
     * it binds once the peer is gone. */
    return bound || reppeer_count() > 0;
}

static bool make_base(void)
{
    struct event_config *config = event_config_new();

    if (config == NULL) {
        return false;
    }
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    self.base = event_base_new_with_config(config);
    event_config_free(config);
    self.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (self.base == NULL || self.wake < 0) {
        return false;
    }
    self.woken =
        event_new(self.base, self.wake, EV_READ | EV_PERSIST, on_woken, NULL);
    self.timer = evtimer_new(self.base, on_timer, NULL);
    return self.woken != NULL && self.timer != NULL &&
           event_add(self.woken, NULL) == 0;
}

static bool make_core(void)
{
    static const struct reppeer_calls calls = {on_dial_connected,
                                               on_dial_failed};
    struct rep_core_config config = {
        .run = self.memory.run,
        .seed = hash_random(),
        .timeout = (uint32_t)settings.rep_timeout * 1000,
        .peers = reppeer_count(),
        .slot = version_slot(),
        .serve_early = settings.rep_serve_early,
        .no_legacy = !reptrust_allows_legacy(),
    };

    self.core = rep_core_new(&config);
    return self.core != NULL && reppeer_open(self.base, &calls);
}

bool replication_start(void (*on_serve)(void *ctx), void *ctx, char *error,
                       size_t n)
{
    self.on_serve = on_serve;
    self.on_serve_ctx = ctx;
    self.copy_rate.bytes_s = settings.rep_copy_rate;
    if (!make_base() || !make_core() || !repbind_start(self.base, accepted)) {
        (void)snprintf(error, n, "failed to start replication: %s",
                       strerror(errno));
        return false;
    }
    self.env = (struct replink_env){
        .link = {.floors = self.memory.floors,
                 .sweep = &self.sweep,
                 .log = self.memory.log,
                 .runs = self.memory.runs,
                 .copy_rate = &self.copy_rate,
                 .hints = self.hints,
                 .secret = reptrust_secret(),
                 .run = self.memory.run,
                 /* Around a ring of all that are known, and once more. */
                 .hops_max = (uint8_t)(2 * (reppeer_count() + 2)),
                 .hello = say_hello,
                 .event = post},
        .base = self.base,
        .timeout_ms = (unsigned)settings.rep_timeout * 1000,
    };
    if (pthread_create(&self.thread, NULL, run_thread, NULL) != 0) {
        (void)snprintf(error, n, "failed to start the replication thread");
        return false;
    }
    self.running = true;
    return true;
}

static void free_loop(void)
{
    repbind_stop();
    reppeer_close();
    rep_core_free(self.core);
    event_free(self.woken);
    event_free(self.timer);
    event_base_free(self.base);
}

void replication_stop(void)
{
    if (!self.running) {
        return;
    }
    /* Release pairs with the acquire in on_woken. */
    atomic_store_explicit(&self.stop, true, memory_order_release);
    wake(NULL);
    (void)pthread_join(self.thread, NULL);
    self.running = false;
    /* Floors that came by their hash are carried out: what the table has, and
     * it is kept, is taken for done when it comes again. */
    while (rep_sweep_step(&self.sweep)) {
    }
    free_loop();
    reptrust_fini();
    store_observe(NULL);
    rep_hints_watch(self.hints, false);
    close(self.wake);
    log_print(1, "replication: cleanup complete\n");
}

bool replication_save(bool (*put)(const void *p, size_t n))
{
    return rep_keep_save(&self.memory, put);
}

void replication_reload(void)
{
    reptrust_reload();
}

void replication_fini(void)
{
    rep_sweep_fini(&self.sweep);
    repmemory_free(&self.memory);
}

void replication_stats(bool full,
                       void (*row)(void *ctx, const char *name,
                                   const char *value),
                       void *ctx)
{
    struct repstats copy;

    lock_take(&self.view_lock, LOCK_QUEUE);
    repstats_copy(&copy, &self.published);
    lock_drop(&self.view_lock, LOCK_QUEUE);
    repstats_rows(&copy, full, row, ctx);
}
