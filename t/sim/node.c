/* A node: what the daemon keeps in static variables, and the edge of its
 * replication, which is replication.c and replink.c without sockets. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/version.h"
#include "bits.h"
#include "rep/keep.h"
#include "sim.h"
#include "store_internal.h"

#define WALL_MS     1800000000000ULL
#define NEVER       UINT64_MAX
#define LOG_BYTES   4096
#define FLOOR_BYTES (8 * KIB) /* more than SIM_KEYS can fill */
#define EVENTS      256
#define KEPT_MAX    (64 * KIB)
#define SENDS       2
#define PIECES      16
#define DIAL_MS     1000 /* then a dial into a hole has failed */

struct sim_node sim_nodes[SIM_NODES];

/* Of each node, a ring of those that wait. */
static struct rep_event events[SIM_NODES][EVENTS];

/* What sim_select exchanges beside the memory. */
static struct statics {
    struct store store;
    uint64_t last;
    uint64_t scatter;
    uint8_t slot;
} statics[SIM_NODES];

static unsigned selected;

/* What a node that was stopped left for its next start. */
static struct kept {
    bool is;
    uint8_t p[KEPT_MAX];
    size_t n;
} kept[SIM_NODES];

static void keep(void)
{
    struct statics *s = &statics[selected];

    memcpy((void *)&s->store, (const void *)&store, sizeof(store));
    s->last = version_last();
    s->slot = version_slot();
}

static uint64_t clock_of(unsigned node)
{
    return (uint64_t)((int64_t)(WALL_MS + sim_now) + sim_plan.skew[node]);
}

struct sim_node *sim_select(unsigned node)
{
    if (node != selected) {
        keep();
        memcpy((void *)&store, (const void *)&statics[node].store,
               sizeof(store));
        version_init(VERSION_HYBRID, statics[node].slot);
        version_scatter(statics[node].scatter);
        version_observe(statics[node].last);
        sim_memory_select(node);
        selected = node;
    }
    clock_freeze(clock_of(node));
    return &sim_nodes[node];
}

/* ---- the observer: the log's, watched -------------------------------------
 */

static uint64_t on_change(void *ctx, const struct store_change *change)
{
    struct sim_node *n = ctx;
    const struct store_observer *o = rep_log_observer(n->log);
    uint64_t known = sim_oracle_known(n->id, change);
    uint64_t version = o->change(o->ctx, change);

    sim_oracle_change(n->id, change, version, known);
    return version;
}

static void on_removed(void *ctx, const char *key, size_t nkey,
                       uint64_t version)
{
    struct sim_node *n = ctx;
    const struct store_observer *o = rep_log_observer(n->log);

    sim_oracle_removed(n->id, key, nkey, version);
    o->removed(o->ctx, key, nkey, version);
}

static uint64_t on_floor(void *ctx, const char *key, size_t nkey)
{
    struct sim_node *n = ctx;
    const struct store_observer *o = rep_log_observer(n->log);

    return o->floor(o->ctx, key, nkey);
}

/* ---- links ------------------------------------------------------------------
 */

static void settle_link(struct sim_node *n, int i)
{
    struct rep_link_figures f;

    if (!rep_link_is_closed(n->links[i])) {
        return;
    }
    rep_link_figures(n->links[i], &f);
    if (f.reader >= 0) {
        n->unlinked_since = version_last();
    }
    n->items_sent += f.items_sent;
    if (f.error != NULL) {
        sim_trace("%u: link ends: %s", n->id, f.error);
    }
    sim_net_close(n->conn[i], n->end[i]);
    rep_link_free(n->links[i]);
    n->links[i] = NULL;
    n->used &= ~(UINT64_C(1) << i);
}

void sim_node_settle(unsigned node)
{
    struct sim_node *n = sim_select(node);

    for (int i = sim_first_bit(n->used); i >= 0;
         i = sim_next_bit(n->used, i + 1)) {
        settle_link(n, i);
    }
}

struct rep_link *sim_node_link(unsigned node, unsigned conn, unsigned end)
{
    struct sim_node *n = &sim_nodes[node];

    for (int i = sim_first_bit(n->used); i >= 0;
         i = sim_next_bit(n->used, i + 1)) {
        if (n->conn[i] == conn && n->end[i] == end) {
            return n->links[i];
        }
    }
    return NULL;
}

static uint32_t add_link(struct sim_node *n, unsigned conn, unsigned end)
{
    int i = sim_first_bit(~n->used);

    if (i < 0 || i >= SIM_LINKS) {
        return 0;
    }
    n->links[i] = rep_link_new(&n->env, ++n->last_id, end == 0, (int)conn,
                               sim_net_peer(conn, end) + 1);
    if (n->links[i] == NULL) {
        return 0;
    }
    n->used |= UINT64_C(1) << i;
    n->conn[i] = (uint8_t)conn;
    n->end[i] = (uint8_t)end;
    return n->last_id;
}

/* ---- what rep/core decides
 * ---------------------------------------------------- */

/* SIM_LINKS: there is none. */
static int find_link(const struct sim_node *n, uint32_t id)
{
    for (int i = sim_first_bit(n->used); i >= 0;
         i = sim_next_bit(n->used, i + 1)) {
        if (rep_link_id(n->links[i]) == id) {
            return i;
        }
    }
    return SIM_LINKS;
}

static void post(void *ctx, const struct rep_event *event);

/* What this node says of itself. */
static void hello(void *ctx, struct wire_hello *out)
{
    const struct sim_node *n = ctx;

    *out = (struct wire_hello){
        .dialect = WIRE_DIALECT,
        .run = n->run,
        .was = n->was,
        .slot = version_slot(),
        .item_size_max = store.config.item_size_max,
        .clock_ms = clock_ms(),
    };
    rep_core_slots(n->core, out->slots);
}

static void do_link(struct sim_node *n, int i, bool legacy)
{
    struct rep_event ev = {.kind = REP_EV_CLOSED,
                           .conn = rep_link_id(n->links[i])};

    sim_trace("%u: link %u with %u%s", n->id, ev.conn,
              sim_net_peer(n->conn[i], n->end[i]), legacy ? " legacy" : "");
    if (!rep_link_begin(n->links[i], legacy, n->unlinked_since)) {
        rep_link_close(n->links[i]);
        post(n, &ev);
    }
}

static void perform_on_link(struct sim_node *n, const struct rep_action *a)
{
    int i = find_link(n, a->conn);

    if (i == SIM_LINKS) {
        return;
    }
    if (a->kind == REP_DO_CLOSE) {
        sim_trace("%u: close link %u", n->id, a->conn);
        rep_link_close(n->links[i]);
    } else if (a->kind == REP_DO_HELLO) {
        rep_link_hello(n->links[i]);
    } else if (a->kind == REP_DO_CATCH_UP) {
        rep_link_catch_up(n->links[i]);
    } else if (a->kind == REP_DO_LINK) {
        do_link(n, i, a->legacy);
    } else if (a->kind == REP_DO_SCAN) {
        sim_trace("%u: link %u scans from %llx", n->id, a->conn,
                  (unsigned long long)a->version);
        rep_link_scan(n->links[i], a->version);
    } else if (a->kind == REP_DO_CATCH_UP) {
        sim_trace("%u: link %u catches up", n->id, a->conn);
        rep_link_scan(n->links[i], 0);
    } else if (a->kind == REP_DO_ANNOUNCE) {
        rep_link_announce(n->links[i]);
    } else if (a->kind == REP_DO_BEAT) {
        rep_link_beat(n->links[i]);
    } else if (a->kind == REP_DO_DRAIN) {
        rep_link_drain(n->links[i]);
    }
}

static void perform(struct sim_node *n, const struct rep_action *a)
{
    switch (a->kind) {
    case REP_DO_LISTENING:
    case REP_DO_PRINT:
    case REP_DO_END:
        return;
    case REP_DO_DIAL:
        n->dial_at[a->peer] = sim_now + 1 + sim_below(20);
        return;
    case REP_DO_UNDIAL:
        n->dial_at[a->peer] = NEVER;
        return;
    case REP_DO_SLOT:
        version_set_slot(a->slot);
        return;
    case REP_DO_SERVE:
        sim_trace("%u: serves", n->id);
        n->serving = true;
        return;
    case REP_DO_TIMER:
        n->timer = a->at;
        return;
    case REP_DO_CLOSE:
    case REP_DO_HELLO:
    case REP_DO_LINK:
    case REP_DO_CATCH_UP:
    case REP_DO_SCAN:
    case REP_DO_ANNOUNCE:
    case REP_DO_BEAT:
    case REP_DO_DRAIN:
        perform_on_link(n, a);
        return;
    }
}

static unsigned peer_of(const struct sim_node *n, unsigned other)
{
    for (unsigned p = 0; p < n->npeers; p++) {
        if (n->peers[p] == other) {
            return p;
        }
    }
    return REP_CORE_NO_PEER;
}

/* The edge knows whom a hello came from. */
static void complete_hello(struct sim_node *n, struct rep_event *ev)
{
    int i = find_link(n, ev->conn);
    unsigned other = sim_net_peer(n->conn[i], n->end[i]);

    ev->peer = peer_of(n, other);
    ev->configured = ev->exact = sim_dials(n->id, other);
    sim_oracle_skew(n->id, other, ev->skew);
}

static void post(void *ctx, const struct rep_event *event)
{
    struct sim_node *n = ctx;
    struct rep_event *ring = events[n->id];
    struct rep_event *queued = &ring[(n->events_at + n->nevents++) % EVENTS];

    assert(n->nevents <= EVENTS);
    *queued = *event;
    if (queued->kind == REP_EV_HELLO) {
        complete_hello(n, queued);
    }
    if (n->stepping) {
        return;
    }
    n->stepping = true;
    while (n->nevents > 0) {
        struct rep_event ev = ring[n->events_at];
        const struct rep_action *actions;
        size_t count = 0;

        n->events_at = (n->events_at + 1) % EVENTS;
        n->nevents--;
        actions = rep_core_step(n->core, &ev, sim_now, &count);
        for (size_t i = 0; i < count; i++) {
            perform(n, &actions[i]);
        }
    }
    n->stepping = false;
}

/* ---- connections
 * ---------------------------------------------------------------- */

bool sim_node_accept(unsigned node, unsigned conn, unsigned from)
{
    struct sim_node *n = sim_select(node);
    struct rep_event ev = {
        .kind = REP_EV_ACCEPTED,
        .conn = add_link(n, conn, 1),
        .peer = peer_of(n, from),
        .addr = from + 1,
        .configured = sim_dials(node, from),
        .trusted = sim_has(SIM_TRUSTED) && sim_dials(node, from),
    };

    if (ev.conn == 0) {
        return false;
    }
    post(n, &ev);
    sim_node_settle(node);
    return true;
}

static void dial(struct sim_node *n, unsigned peer)
{
    unsigned to = n->peers[peer];
    struct rep_event ev = {
        .kind = REP_EV_DIAL_FAILED, .peer = peer, .addr = to + 1};
    enum sim_path path = sim_net_path_of(n->id, to);
    int conn = -1;

    if (path == SIM_PATH_HOLE) {
        ev.cause = REP_SILENT;
    } else if (path == SIM_PATH_UP && sim_nodes[to].up) {
        conn = sim_net_connect(n->id, to);
    }
    if (conn >= 0) {
        ev.conn = add_link(n, (unsigned)conn, 0);
        if (ev.conn == 0) {
            sim_net_close((unsigned)conn, 0);
        } else {
            ev.kind = REP_EV_CONNECTED;
        }
    }
    post(n, &ev);
}

void sim_node_time(unsigned node)
{
    struct sim_node *n = &sim_nodes[node];

    if (!n->up ||
        (sim_now < sim_node_next(n) && clock_of(node) / 1000 == n->second)) {
        return;
    }
    sim_select(node)->idle_at = 0;
    if (clock_seconds() != n->second) {
        n->second = clock_seconds();
        store_tick();
    }
    if (sim_now >= n->timer) {
        n->timer = NEVER;
        post(n, &(struct rep_event){.kind = REP_EV_TICK});
    }
    for (unsigned p = 0; p < n->npeers; p++) {
        if (sim_now >= n->dial_at[p]) {
            n->dial_at[p] = NEVER;
            dial(n, p);
        }
    }
    sim_node_settle(node);
}

uint64_t sim_node_next(const struct sim_node *n)
{
    uint64_t at = n->timer;

    for (unsigned p = 0; p < n->npeers; p++) {
        at = n->dial_at[p] < at ? n->dial_at[p] : at;
    }
    return n->up ? at : NEVER;
}

static unsigned neighbours(unsigned node)
{
    unsigned count = 0;

    for (unsigned i = 0; i < sim_plan.nodes; i++) {
        count += sim_dials(node, i) || sim_dials(i, node);
    }
    return count;
}

static bool is_link_at_rest(const struct rep_link *link, uint64_t head)
{
    struct rep_link_figures f;

    rep_link_figures(link, &f);
    return f.linked && f.announced && f.received && f.caught_up &&
           f.acked >= head;
}

bool sim_node_is_at_rest(unsigned node)
{
    const struct sim_node *n = sim_select(node);
    uint64_t head = rep_log_head(n->log);
    bool pending = atomic_load(&store.pending_at) != 0;
    unsigned links = 0;

    if (!n->up || !n->serving || pending || rep_sweep_pending(&n->sweep) ||
        rep_core_status(n->core) != REP_LINKED) {
        return false;
    }
    for (unsigned p = 0; p < n->npeers; p++) {
        if (n->dial_at[p] != NEVER) {
            return false;
        }
    }
    for (int i = sim_first_bit(n->used); i >= 0;
         i = sim_next_bit(n->used, i + 1)) {
        if (!is_link_at_rest(n->links[i], head)) {
            return false;
        }
        links++;
    }
    return links == neighbours(node);
}

/* ---- the loop
 * --------------------------------------------------------------------- */

/* True: there is more to do at once. */
static bool turn_link(struct sim_node *n, int i)
{
    struct rep_link *link = n->links[i];
    bool more = false, said = true;

    rep_link_work(link);
    for (int k = 0; k < SENDS && said && !rep_link_is_closed(link); k++) {
        struct iovec iov[PIECES];
        unsigned pieces = rep_link_out(link, iov, PIECES, sim_now * 1000000);
        size_t total = 0, sent;

        for (unsigned p = 0; p < pieces; p++) {
            total += iov[p].iov_len;
        }
        sent =
            pieces > 0 ? sim_net_write(n->conn[i], n->end[i], iov, pieces) : 0;
        rep_link_sent(link, sent);
        if (sent < total) {
            return more; /* blocked */
        }
        more = !rep_link_all_written(link) || more;
        said = pieces > 0;
    }
    return more || said;
}

bool sim_node_turn(unsigned node)
{
    struct sim_node *n = sim_select(node);
    bool busy = n->up && rep_sweep_step(&n->sweep);

    if (n->up) {
        rep_log_turn(n->log);
    }
    for (int i = sim_first_bit(n->used); i >= 0 && n->up;
         i = sim_next_bit(n->used, i + 1)) {
        struct rep_link_figures f;

        busy = turn_link(n, i) || busy;
        rep_link_figures(n->links[i], &f);
        if (f.linked) {
            sim_oracle_skew(n->id, sim_net_peer(n->conn[i], n->end[i]),
                            f.skew_ms);
        }
    }
    if (n->up) {
        rep_runs_move(n->runs);
    }
    sim_node_settle(node);
    busy = busy || (n->up && rep_sweep_pending(&n->sweep));
    n->idle_at = busy ? 0 : sim_now;
    return busy;
}

uint64_t sim_node_items_sent(unsigned node)
{
    const struct sim_node *n = &sim_nodes[node];
    uint64_t sent = n->items_sent;

    for (int i = sim_first_bit(n->used); i >= 0;
         i = sim_next_bit(n->used, i + 1)) {
        struct rep_link_figures f;

        rep_link_figures(n->links[i], &f);
        sent += f.items_sent;
    }
    return sent;
}

/* ---- life
 * ---------------------------------------------------------------------------
 */

static void release(struct sim_node *n)
{
    for (unsigned i = 0; i < SIM_LINKS; i++) {
        rep_link_free(n->links[i]);
        n->links[i] = NULL;
    }
    n->used = 0;
    rep_core_free(n->core);
    rep_runs_free(n->runs);
    rep_sweep_fini(&n->sweep);
    rep_log_free(n->log);
    rep_floor_free(n->floors);
    n->core = NULL;
    n->runs = NULL;
    n->log = NULL;
    n->floors = NULL;
}

void sim_node_reset(void)
{
    for (unsigned i = 0; i < SIM_NODES; i++) {
        (void)sim_select(i);
        release(&sim_nodes[i]);
    }
    for (unsigned i = 0; i < SIM_NODES; i++) {
        memset(&sim_nodes[i], 0, sizeof(sim_nodes[i]));
        sim_nodes[i].id = i;
        kept[i].is = false;
    }
    sim_memory_reset();
    sim_memory_select(selected);
}

/* In one of few slots, so that some are the same. In half of the schedules two
 * nodes then write a key at one version before they meet, and settle that when
 * they do. The ends of a chain never meet: theirs are always scattered. */
static void begin_versions(const struct sim_node *n, uint64_t last)
{
    bool scattered = sim_has(SIM_CHAIN) || sim_plan.seed % 2 == 0;
    uint64_t *scatter = &statics[n->id].scatter;

    *scatter = scattered ? n->run | 1 : 0;
    version_init(VERSION_HYBRID, (uint8_t)sim_below(4));
    version_scatter(*scatter);
    version_observe(last);
}

static void new_store(const struct sim_node *n)
{
    struct store_config config = store_config_default();

    config.item_size_max = 256 * KIB;
    sim_memory_lose(n->id);
    if (!store_init(&config)) {
        abort();
    }
    begin_versions(n, 0);
}

static void watch_store(struct sim_node *n)
{
    n->observer = (struct store_observer){.ctx = n,
                                          .change = on_change,
                                          .removed = on_removed,
                                          .floor = on_floor};
    store_observe(&n->observer);
}

/* ---- what a node keeps -----------------------------------------------------
 */

bool sim_keeping;

static bool put_kept(const void *p, size_t n)
{
    struct kept *k = &kept[selected];

    assert(k->n + n <= KEPT_MAX);
    memcpy(k->p + k->n, p, n);
    k->n += n;
    return true;
}

static struct rep_keep parts_of(const struct sim_node *n)
{
    return (struct rep_keep){.floors = n->floors,
                             .log = n->log,
                             .runs = n->runs,
                             .run = n->run,
                             .unlinked_since = n->unlinked_since};
}

/* The store stays as it is. As replication_stop does, and replication_save. */
void sim_node_stop(unsigned node)
{
    struct sim_node *n = sim_select(node);
    struct rep_keep parts;

    n->up = n->serving = false;
    for (int i = sim_first_bit(n->used); i >= 0;
         i = sim_next_bit(n->used, i + 1)) {
        rep_link_close(n->links[i]);
    }
    sim_net_died(node, false);
    sim_keeping = true;
    while (rep_sweep_step(&n->sweep)) {
    }
    parts = parts_of(n);
    kept[node].is = true;
    kept[node].n = 0;
    if (!rep_keep_save(&parts, put_kept)) {
        abort();
    }
    sim_keeping = false;
    release(n);
    store_observe(NULL);
}

static void go_on(struct sim_node *n)
{
    struct rep_keep parts = parts_of(n);
    uint64_t last = version_last();

    begin_versions(n, last);
    sim_keeping = true;
    if (!rep_keep_load(&parts, kept[n->id].p, kept[n->id].n)) {
        abort();
    }
    sim_keeping = false;
    kept[n->id].is = false;
    n->was = parts.run;
    n->unlinked_since = parts.unlinked_since;
}

/* ---- start and end ---------------------------------------------------------
 */

static void begin_anew(struct sim_node *n)
{
    new_store(n);
    sim_oracle_lost(n->id);
}

void sim_node_start(unsigned node)
{
    struct sim_node *n = sim_select(node);
    struct rep_core_config config = {.timeout = 5000};
    struct rep_event start = {.kind = REP_EV_START};

    sim_trace("%u: starts%s", node, kept[node].is ? " with its cache" : "");
    memset(n, 0, sizeof(*n));
    n->id = node;
    n->up = true;
    do {
        n->run = sim_random();
    } while (n->run == 0);
    n->timer = NEVER;
    n->floors = rep_floor_new(sim_has(SIM_FEW_FLOORS) ? 4096 : FLOOR_BYTES);
    n->log =
        rep_log_new(sim_has(SIM_OVERRUN) ? LOG_BYTES : 64 * KIB, n->floors);
    for (unsigned i = 0; i < sim_plan.nodes; i++) {
        if (sim_dials(node, i)) {
            n->dial_at[n->npeers] = NEVER;
            n->peers[n->npeers++] = i;
        }
    }
    n->runs = rep_runs_new(n->log, n->npeers > 0 ? n->npeers : 1);
    if (kept[node].is) {
        go_on(n);
    } else {
        begin_anew(n);
    }
    rep_log_set_relay(n->log, n->npeers > 1);
    watch_store(n);
    n->env = (struct rep_link_env){.floors = n->floors,
                                   .sweep = &n->sweep,
                                   .log = n->log,
                                   .runs = n->runs,
                                   .run = n->run,
                                   .hops_max = (uint8_t)(2 * (n->npeers + 2)),
                                   .hello = hello,
                                   .event = post,
                                   .ctx = n};
    rep_sweep_init(&n->sweep);
    n->sweep.floors = 1 + sim_below(4);
    n->sweep.items = 1 + sim_below(SIM_KEYS);
    config.run = n->run;
    config.seed = sim_random();
    config.peers = n->npeers;
    config.slot = version_slot();
    n->core = rep_core_new(&config);
    n->second = clock_seconds();
    post(n, &start);
}

void sim_node_crash(unsigned node)
{
    struct sim_node *n = sim_select(node);

    n->up = n->serving = false;
    sim_net_died(node, sim_chance(30));
    release(n);
    sim_memory_lose(node);
    sim_oracle_lost(node);
}
