#include "rep/core.h"

#include <assert.h>
#include <stdlib.h>

#include "rep/core_state.h"

/* Configured peers' connections without a hello, apart from strangers. */
#define UNPROVEN_CONFIGURED 4

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
    core->quiet_since = core->now;
    if (core->config.peers == 0) {
        core_say_listening(core);
    }
}

/* Strangers get a bounded number of places; the oldest loses its own. */
static void make_room(struct rep_core *core, bool configured)
{
    struct core_conn *oldest = NULL;
    unsigned n = 0;

    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct core_conn *c = &core->conns[i];

        if (c->state != CORE_ACCEPTED ||
            (c->peer != CORE_NO_PEER) != configured) {
            continue;
        }
        n++;
        if (oldest == NULL || c->since < oldest->since) {
            oldest = c;
        }
    }
    if (n >= (configured ? UNPROVEN_CONFIGURED : REP_CORE_UNPROVEN)) {
        core_conn_refuse(core, oldest);
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
    c->peer = ev->configured ? ev->peer : CORE_NO_PEER;
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

/* Our own hello came back. The accepting end answers it, so that the dialling
 * end learns which peer leads to ourselves. */
static void on_self(struct rep_core *core, struct core_conn *c)
{
    if (!c->dialled) {
        core_emit(core, REP_DO_HELLO, c->id);
        return;
    }
    core_emit(core, REP_DO_CLOSE, c->id);
    core_conn_forget(core, c, true, REP_CORE_SELF_MS);
}

static bool slot_is_taken(const struct rep_core *core, uint8_t slot)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        const struct core_conn *c = &core->conns[i];

        if (c->state != CORE_FREE && c->run != 0 && c->slot == slot) {
            return true;
        }
    }
    return false;
}

/* Who heard of our old slot could move to the new one: they dial, or are
 * dialled, again, and compare. */
static void part_from_others(struct rep_core *core, const struct core_conn *but)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct core_conn *c = &core->conns[i];

        if (c == but || c->legacy) {
            continue;
        }
        if (c->state == CORE_LINKED) {
            core_link_cut(core, c);
        } else if (c->state == CORE_DIALLED || c->state == CORE_WAITING) {
            core_conn_refuse(core, c);
        }
    }
}

/* Two nodes of one slot could draw the same version: the greater run moves. */
static void avoid_slot(struct rep_core *core, struct core_conn *c, uint8_t slot)
{
    c->slot = slot;
    if (slot != core->config.slot || core->config.run < c->run) {
        return;
    }
    part_from_others(core, c);
    do {
        core->config.slot = (uint8_t)core_draw(core);
    } while (slot_is_taken(core, core->config.slot));
    core_emit(core, REP_DO_SLOT, c->id)->slot = core->config.slot;
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
    if (ev->run == core->config.run) {
        on_self(core, c);
        return;
    }
    core_remember_hello(core, c->addr);
    if (ev->skew > REP_CORE_SKEW_MAX_MS) {
        core_conn_refuse(core, c);
        return;
    }
    avoid_slot(core, c, ev->slot);
    twin = find_twin(core, c);
    if (twin != NULL && twin->state == CORE_LINKED) {
        core_keep_one(core, twin, c);
        return;
    }
    if (twin != NULL) {
        core_conn_refuse(core, twin);
    }
    core_admit(core, c, false);
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
        c->spoke = true;
        core_admit(core, c, true);
        return;
    case CORE_ACCEPTED:
        c->spoke = true;
        if (c->trusted && !core_said_hello_before(core, c->addr)) {
            core_admit(core, c, true);
        } else {
            core_conn_refuse(core, c);
        }
        return;
    }
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
        if (core->conns[i].state == CORE_LINKED && core->conns[i].asked) {
            return;
        }
    }
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        if (core->conns[i].state == CORE_WAITING) {
            core_turn_away(core, &core->conns[i]);
        }
    }
}

static void on_closed(struct rep_core *core, struct core_conn *c)
{
    if (c->state == CORE_LINKED) {
        core_link_down(core, c);
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
    if (c->peer != CORE_NO_PEER) {
        core->peers[c->peer].copied = true;
    }
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
            core_conn_refuse(core, c);
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
        core_conn_refuse(core, c);
        return;
    case REP_EV_HEARD:
        on_heard(core, c);
        return;
    case REP_EV_CLOSED:
        on_closed(core, c);
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

enum rep_link_status rep_core_status(const struct rep_core *core)
{
    bool dialing = false;

    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        const struct core_conn *c = &core->conns[i];

        if (c->state == CORE_LINKED) {
            return c->announced && !c->scanning && c->received ? REP_LINKED
                                                               : REP_COPYING;
        }
    }
    for (unsigned i = 0; i < core->config.peers; i++) {
        dialing = dialing || core->peers[i].state == CORE_DIAL_PENDING ||
                  core->peers[i].state == CORE_DIAL_OPEN ||
                  core->peers[i].state == CORE_DIAL_SLEEPING;
    }
    return dialing ? REP_DIALING : REP_LISTENING;
}
