#include "rep/core.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "rep/core_state.h"

/* Configured peers' connections without a hello, apart from strangers. */
#define UNPROVEN_CONFIGURED REP_CORE_PEERS

struct rep_core *rep_core_new(const struct rep_core_config *config)
{
    struct rep_core *core = calloc(1, sizeof(*core));

    if (core == NULL) {
        return NULL;
    }
    assert(config->peers <= REP_CORE_PEERS);
    core->config = *config;
    core->random = config->seed;
    core->timer = CORE_NEVER;
    for (unsigned i = 0; i < REP_CORE_PEERS; i++) {
        core->peers[i].backoff = REP_CORE_DIAL_MIN_MS;
    }
    return core;
}

void rep_core_free(struct rep_core *core)
{
    free(core);
}
/* ---- events ---------------------------------------------------------- */

static void on_start(struct rep_core *core)
{
    core->started = true;
    for (unsigned i = 0; i < core->config.peers; i++) {
        core->peers[i].quiet_since = core->now;
    }
    if (core->config.peers == 0) {
        core_say_listening(core);
    }
    if (core->config.serve_early) {
        core->serving = true;
        core_emit(core, REP_DO_SERVE, 0);
    }
}

/* Strangers get a bounded number of places; the oldest loses its own. */
static void make_room(struct rep_core *core, bool configured)
{
    struct core_conn *oldest = NULL;
    unsigned n = 0;

    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct core_conn *c = &core->conns[i];

        if (c->state != CORE_ACCEPTED || c->configured != configured) {
            continue;
        }
        n++;
        if (oldest == NULL || c->since < oldest->since) {
            oldest = c;
        }
    }
    if (n >= (configured ? UNPROVEN_CONFIGURED : REP_CORE_UNPROVEN)) {
        core_conn_refuse(core, oldest, REP_REFUSAL_NONE);
    }
}

/* Whose the accepted connection is: as far as the edge can tell by now, or by
 * the run that has answered a dial of ours. */
static void identify(const struct rep_core *core, struct core_conn *c,
                     const struct rep_event *ev)
{
    c->configured = ev->configured;
    c->peer = ev->configured ? ev->peer : REP_CORE_NO_PEER;
    c->exact = ev->exact && c->peer != REP_CORE_NO_PEER;
    assert(c->peer == REP_CORE_NO_PEER || c->peer < core->config.peers);
    for (unsigned i = 0; i < core->config.peers && !c->exact; i++) {
        if (c->run != 0 && c->run == core->peers[i].run) {
            c->peer = i;
            c->configured = c->exact = true;
        }
    }
}

static void on_accepted(struct rep_core *core, const struct rep_event *ev)
{
    struct core_conn *c = NULL;

    if (!core->stopping) {
        make_room(core, ev->configured);
        c = core_conn_add(core, ev, CORE_ACCEPTED);
    }
    if (c == NULL) {
        core_emit(core, REP_DO_CLOSE, ev->conn);
        return;
    }
    identify(core, c, ev);
    c->trusted = ev->trusted;
}

static void on_connected(struct rep_core *core, const struct rep_event *ev)
{
    struct core_peer *p = &core->peers[ev->peer];
    struct core_conn *c;

    assert(ev->peer < core->config.peers);
    if (p->state != CORE_DIAL_PENDING || core->stopping) {
        core_emit(core, REP_DO_CLOSE, ev->conn);
        return;
    }
    c = core_conn_add(core, ev, CORE_DIALLED);
    if (c == NULL) {
        core_emit(core, REP_DO_CLOSE, ev->conn);
        core_dial_failed(core, ev->peer, false, 0);
        return;
    }
    c->dialled = true;
    c->configured = true;
    c->exact = true;
    c->loud = p->loud;
    c->peer = ev->peer;
    p->state = CORE_DIAL_OPEN;
    core_emit(core, REP_DO_HELLO, c->id);
}

static void on_dial_failed(struct rep_core *core, const struct rep_event *ev)
{
    assert(ev->peer < core->config.peers);
    if (core->peers[ev->peer].state == CORE_DIAL_PENDING && !core->stopping) {
        core_dial_failed(core, ev->peer, ev->cause != REP_SILENT, 0);
    }
}

/* A dial led to ourselves. */
static void dialled_self(struct rep_core *core, struct core_conn *c)
{
    core->peers[c->peer].self = true;
    core_conn_forget(core, c, true, REP_CORE_SELF_MS);
}

static void on_self(struct rep_core *core, struct core_conn *c)
{
    if (!c->dialled) {
        core_conn_refuse(core, c, REP_REFUSAL_SELF);
        return;
    }
    core_emit(core, REP_DO_CLOSE, c->id);
    dialled_self(core, c);
}

static struct core_conn *find_twin(struct rep_core *core,
                                   const struct core_conn *c)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct core_conn *old = &core->conns[i];

        if (old != c && old->run == c->run && !old->legacy &&
            (old->state == CORE_LINKED || old->state == CORE_WAITING)) {
            return old;
        }
    }
    return NULL;
}

/* A run that goes on from another says so: that one has ended in good order,
 * also where its link has not. Of a stranger elsewhere nobody believes it. */
static void end_former(struct rep_core *core, const struct core_conn *c,
                       uint64_t was)
{
    for (unsigned i = 0; i < REP_CORE_CONNS && was != 0; i++) {
        struct core_conn *old = &core->conns[i];

        if (old != c && old->state == CORE_LINKED && !old->legacy &&
            old->run == was && old->addr == c->addr) {
            (void)core_link_cut(core, old);
        }
    }
}

static void on_hello(struct rep_core *core, struct core_conn *c,
                     const struct rep_event *ev)
{
    struct core_conn *twin;

    if (c->state == CORE_LINKED && c->legacy) {
        core_remember_hello(core, c->addr);
        core_link_cut(core, c);
        return;
    }
    if (c->state == CORE_LINKED || c->state == CORE_WAITING) {
        return;
    }
    c->spoke = true;
    c->run = ev->run;
    if (c->dialled) {
        core->peers[c->peer].run = ev->run;
        core->peers[c->peer].self = false;
    } else {
        identify(core, c, ev);
    }
    if (ev->run == core->config.run) {
        on_self(core, c);
        return;
    }
    core_remember_hello(core, c->addr);
    if (ev->skew > REP_CORE_SKEW_MAX_MS) {
        core_conn_refuse(core, c, REP_REFUSAL_CLOCK);
        return;
    }
    end_former(core, c, ev->was);
    c->slot = ev->slot;
    memcpy(c->slots, ev->slots, sizeof(c->slots));
    twin = find_twin(core, c);
    if (twin != NULL && twin->state == CORE_LINKED) {
        core_keep_one(core, twin, c);
        return;
    }
    if (twin != NULL) {
        core_conn_refuse(core, twin, REP_REFUSAL_NONE);
    }
    core_admit(core, c, false);
}

/* It says that it is repcached 2.x: who was dialled may be, who dialled only
 * where one is expected. */
static bool is_believed(const struct rep_core *core, const struct core_conn *c)
{
    return !core->config.no_legacy &&
           (c->dialled ||
            (c->trusted && !core_said_hello_before(core, c->addr)));
}

static void on_legacy(struct rep_core *core, struct core_conn *c)
{
    switch (c->state) {
    case CORE_FREE:
    case CORE_WAITING:
        return;
    case CORE_LINKED:
        c->firm = true;
        return;
    case CORE_DIALLED:
    case CORE_ACCEPTED:
        c->spoke = true;
        if (is_believed(core, c)) {
            core_admit(core, c, true);
        } else {
            core_conn_refuse(core, c, REP_REFUSAL_NONE);
        }
        return;
    }
}

/* An occupant whose place `c` waits for has not answered yet. */
static bool is_hopeful(const struct rep_core *core, const struct core_conn *c)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        if (core->conns[i].asked && core_competes(core, c, &core->conns[i])) {
            return true;
        }
    }
    return false;
}

/* An occupant lives: nobody need wait for its place any longer. */
static void on_heard(struct rep_core *core, struct core_conn *c)
{
    c->spoke = true;
    c->heard = core->now;
    if (!c->asked) {
        return;
    }
    c->asked = false;
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct core_conn *waiting = &core->conns[i];

        if (waiting->state == CORE_WAITING && !is_hopeful(core, waiting)) {
            core_turn_away(core, waiting);
        }
    }
}

static void on_closed(struct rep_core *core, struct core_conn *c,
                      enum rep_refusal refusal)
{
    if (c->state == CORE_LINKED) {
        core_link_down(core, c);
    } else if (c->dialled && refusal == REP_REFUSAL_SELF) {
        dialled_self(core, c);
    } else {
        core_conn_forget(core, c, false, 0);
    }
}

/* Losses while the scan ran have to be scanned before it counts. */
static void on_scan_done(struct rep_core *core, struct core_conn *c)
{
    if (c->state != CORE_LINKED || !c->scanning) {
        return;
    }
    if (c->behind) {
        c->behind = false;
        core_emit(core, REP_DO_SCAN, c->id)->version = c->lost;
        return;
    }
    c->scanning = false;
    if (!c->announced) {
        c->announced = true;
        core_emit(core, REP_DO_ANNOUNCE, c->id);
    }
}

static void on_overrun(struct rep_core *core, struct core_conn *c,
                       uint64_t version)
{
    if (c->state != CORE_LINKED) {
        return;
    }
    if (c->scanning) {
        c->lost = c->behind && c->lost < version ? c->lost : version;
        c->behind = true;
        return;
    }
    core_begin_scan(core, c, version);
}

static void on_copy_received(struct rep_core *core, struct core_conn *c)
{
    if (c->state != CORE_LINKED || c->received) {
        return;
    }
    c->received = true;
    core_note_copied(core, c);
    if (c->dialled) {
        core_print(core, REP_LINE_START, c->id);
    }
    if (c->legacy) {
        core_begin_scan(core, c, 0);
    }
}

static void on_stop(struct rep_core *core)
{
    core->stopping = true;
    core->stop_at = core->now + REP_CORE_DRAIN_MS;
    for (unsigned i = 0; i < core->config.peers; i++) {
        if (core->peers[i].state == CORE_DIAL_PENDING) {
            core_emit(core, REP_DO_UNDIAL, 0)->peer = i;
        }
        core->peers[i].state = CORE_DIAL_IDLE;
    }
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct core_conn *c = &core->conns[i];

        if (c->state == CORE_LINKED) {
            core_emit(core, REP_DO_DRAIN, c->id);
        } else if (c->state != CORE_FREE) {
            core_conn_refuse(core, c, REP_REFUSAL_NONE);
        }
    }
}

static void dispatch_conn(struct rep_core *core, const struct rep_event *ev)
{
    struct core_conn *c = core_conn_find(core, ev->conn);

    if (c == NULL) {
        return; /* closed by us while the event was on its way */
    }
    switch (ev->kind) {
    case REP_EV_HELLO:
        on_hello(core, c, ev);
        return;
    case REP_EV_LEGACY:
        on_legacy(core, c);
        return;
    case REP_EV_NONSENSE:
        core_conn_refuse(core, c, REP_REFUSAL_NONE);
        return;
    case REP_EV_HEARD:
        on_heard(core, c);
        return;
    case REP_EV_CLOSED:
        on_closed(core, c, ev->refusal);
        return;
    case REP_EV_SCAN_DONE:
        on_scan_done(core, c);
        return;
    case REP_EV_COPY_RECEIVED:
        on_copy_received(core, c);
        return;
    case REP_EV_OVERRUN:
        on_overrun(core, c, ev->version);
        return;
    case REP_EV_DRAINED:
        if (core->stopping) {
            core_emit(core, REP_DO_CLOSE, c->id);
            core_conn_set_state(core, c, CORE_FREE);
        }
        return;
    case REP_EV_START:
    case REP_EV_TICK:
    case REP_EV_ACCEPTED:
    case REP_EV_CONNECTED:
    case REP_EV_DIAL_FAILED:
    case REP_EV_STOP:
        return;
    }
}

const struct rep_action *rep_core_step(struct rep_core *core,
                                       const struct rep_event *ev, uint64_t now,
                                       size_t *n)
{
    core->now = now;
    core->nactions = 0;
    switch (ev->kind) {
    case REP_EV_START:
        on_start(core);
        break;
    case REP_EV_TICK:
        core_on_tick(core);
        break;
    case REP_EV_ACCEPTED:
        on_accepted(core, ev);
        break;
    case REP_EV_CONNECTED:
        on_connected(core, ev);
        break;
    case REP_EV_DIAL_FAILED:
        on_dial_failed(core, ev);
        break;
    case REP_EV_STOP:
        on_stop(core);
        break;
    case REP_EV_HELLO:
    case REP_EV_LEGACY:
    case REP_EV_NONSENSE:
    case REP_EV_HEARD:
    case REP_EV_CLOSED:
    case REP_EV_SCAN_DONE:
    case REP_EV_COPY_RECEIVED:
    case REP_EV_OVERRUN:
    case REP_EV_DRAINED:
        dispatch_conn(core, ev);
        break;
    }
    core_plan(core);
    *n = core->nactions;
    return core->actions;
}

/* ---- what is so ------------------------------------------------------ */

static enum rep_link_status conn_status(const struct core_conn *c)
{
    return c->announced && !c->scanning && c->received ? REP_LINKED
                                                       : REP_COPYING;
}

uint32_t rep_core_peer_conn(const struct rep_core *core, unsigned peer)
{
    const struct core_conn *c = core_link_of(core, peer, false);

    return c != NULL ? c->id : 0;
}

enum rep_link_status rep_core_peer_status(const struct rep_core *core,
                                          unsigned peer)
{
    const struct core_conn *c = core_link_of(core, peer, false);

    if (c != NULL) {
        return conn_status(c);
    }
    return core->peers[peer].state != CORE_DIAL_IDLE ? REP_DIALING
                                                     : REP_LISTENING;
}

bool rep_core_peer_is_self(const struct rep_core *core, unsigned peer)
{
    return core->peers[peer].self;
}

enum rep_link_status rep_core_conn_status(const struct rep_core *core,
                                          uint32_t conn)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        const struct core_conn *c = &core->conns[i];

        if (c->state == CORE_LINKED && c->id == conn) {
            return conn_status(c);
        }
    }
    return REP_LISTENING;
}

static enum rep_link_status least_good_peer(const struct rep_core *core)
{
    enum rep_link_status least = REP_LINKED;

    for (unsigned i = 0; i < core->config.peers; i++) {
        enum rep_link_status status = rep_core_peer_status(core, i);

        least = status < least && !core->peers[i].self ? status : least;
    }
    return least;
}

enum rep_link_status rep_core_status(const struct rep_core *core)
{
    unsigned peers = core_count_peers(core);
    unsigned links = core_count_linked(core);
    enum rep_link_status least = REP_LINKED;

    if (links == 0 && peers == 0) {
        return REP_LISTENING;
    }
    if (links == 0 || peers > 1) {
        least = least_good_peer(core);
    }
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        const struct core_conn *c = &core->conns[i];

        if (c->state == CORE_LINKED && conn_status(c) < least) {
            least = conn_status(c);
        }
    }
    return least;
}
