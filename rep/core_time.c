#include "rep/core_state.h"

#define LATE_MS  300 /* a timer this late: the process was not running */
#define GRACE_MS 100 /* then it reads this long before it judges */

/* ---- silence ---------------------------------------------------------- */

static uint32_t beat_every(const struct rep_core *core)
{
    return core->config.timeout / 4;
}

/* How long an occupant may take to answer a beat when it is asked to. */
static uint32_t probe_for(const struct rep_core *core)
{
    return core->config.timeout / 2 < 1000 ? core->config.timeout / 2 : 1000;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* When the silence of `c` is to be judged. */
static uint64_t silence_deadline(const struct rep_core *core,
                                 const struct core_conn *c)
{
    switch (c->state) {
    case CORE_FREE:
        return CORE_NEVER;
    case CORE_ACCEPTED:
        return later(c->since + (core_may_stay_silent(core, c)
                                     ? REP_CORE_SILENT_MS
                                     : REP_CORE_UNPROVEN_MS),
                     core->judge_after);
    case CORE_DIALLED:
        return later(c->since + core->config.timeout, core->judge_after);
    case CORE_WAITING:
        return later(c->since + probe_for(core), core->judge_after);
    case CORE_LINKED:
        return c->legacy || core->stopping
                   ? CORE_NEVER
                   : later(c->heard + core->config.timeout, core->judge_after);
    }
    return CORE_NEVER;
}

static uint64_t beat_deadline(const struct rep_core *core,
                              const struct core_conn *c)
{
    return c->state == CORE_LINKED && !c->legacy ? c->beat + beat_every(core)
                                                 : CORE_NEVER;
}

/* The occupant gave no sign of life: its place goes to who waits for it. */
static void drop_asked(struct rep_core *core, const struct core_conn *waiting)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct core_conn *c = &core->conns[i];

        if (c->asked && core_competes(core, waiting, c)) {
            core_link_cut(core, c);
            return;
        }
    }
}

static void judge_silence(struct rep_core *core, struct core_conn *c)
{
    switch (c->state) {
    case CORE_FREE:
        return;
    case CORE_ACCEPTED:
        if (core_may_stay_silent(core, c)) {
            core_admit(core, c, true);
        } else {
            core_conn_refuse(core, c, REP_REFUSAL_NONE);
        }
        return;
    case CORE_DIALLED:
        core_conn_refuse(core, c, REP_REFUSAL_NONE)->silent = true;
        return;
    case CORE_WAITING:
        drop_asked(core, c);
        if (c->state == CORE_WAITING) {
            core_turn_away(core, c);
        }
        return;
    case CORE_LINKED:
        core_link_cut(core, c)->silent = true;
        return;
    }
}

void core_on_tick(struct rep_core *core)
{
    if (core->timer != CORE_NEVER && core->now > core->timer + LATE_MS) {
        /* What the peers sent meanwhile is still unread. */
        core->judge_after = core->now + GRACE_MS;
    }
    /* It has fired, perhaps a little early: whatever is still to come has to
     * be asked for again. */
    core->timer = CORE_NEVER;
    for (unsigned i = 0; i < core->top; i++) {
        struct core_conn *c = &core->conns[i];

        if (core->now >= silence_deadline(core, c)) {
            judge_silence(core, c);
        }
        if (core->now >= beat_deadline(core, c)) {
            c->beat = core->now;
            core_emit(core, REP_DO_BEAT, c->id);
        }
    }
}

/* ---- what follows from the state ------------------------------------- */

static void plan_dial(struct rep_core *core, unsigned peer)
{
    struct core_peer *p = &core->peers[peer];
    struct rep_action *a;

    if (core_link_of(core, peer, true) != NULL) {
        if (p->state == CORE_DIAL_PENDING) {
            /* It has sent no hello: the other side cannot have chosen it. */
            core_emit(core, REP_DO_UNDIAL, 0)->peer = peer;
        }
        p->state = p->state == CORE_DIAL_OPEN ? CORE_DIAL_OPEN : CORE_DIAL_IDLE;
        return;
    }
    if (p->state == CORE_DIAL_IDLE) {
        p->state = CORE_DIAL_SLEEPING;
        p->at = p->dialled ? core->now + core_jitter(core, REP_CORE_DIAL_MIN_MS)
                           : core->now;
    }
    if (p->state == CORE_DIAL_SLEEPING && core->now >= p->at) {
        p->state = CORE_DIAL_PENDING;
        p->dialled = true;
        p->loud = !p->said;
        a = core_emit(core, REP_DO_DIAL, 0);
        a->peer = peer;
        a->loud = p->loud;
        a->next = p->next;
        p->next = false;
    }
}

/* When to give up waiting for the copy of a peer: after twice the timeout
 * without a link that may bring it. Our own dialect notices silence by itself;
 * where nobody is, nothing can come from. */
static uint64_t copy_deadline(const struct rep_core *core, unsigned peer)
{
    const struct core_peer *p = &core->peers[peer];
    const struct core_conn *c = core_link_of(core, peer, true);
    uint64_t wait = 2 * (uint64_t)core->config.timeout;

    if (p->copied || (c == NULL && p->absent)) {
        return 0;
    }
    if (c == NULL) {
        return p->quiet_since + wait;
    }
    return c->legacy ? later(p->quiet_since, c->heard) + wait : CORE_NEVER;
}

/* When to serve: no copy is left that could be waited for. */
static uint64_t serve_deadline(const struct rep_core *core)
{
    uint64_t at = 0;

    for (unsigned i = 0; i < core->config.peers; i++) {
        at = later(at, copy_deadline(core, i));
    }
    return at;
}

static void plan_end(struct rep_core *core)
{
    if (core_count_linked(core) != 0 && core->now < core->stop_at) {
        return;
    }
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct core_conn *c = &core->conns[i];

        if (c->state != CORE_FREE) {
            core_emit(core, REP_DO_CLOSE, c->id);
            core_conn_set_state(core, c, CORE_FREE);
        }
    }
    core->ended = true;
    core_emit(core, REP_DO_END, 0);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_deadline(const struct rep_core *core)
{
    uint64_t at = core->stopping ? core->stop_at : CORE_NEVER;

    if (!core->serving && !core->stopping) {
        at = sooner(at, serve_deadline(core));
    }
    for (unsigned i = 0; i < core->config.peers; i++) {
        if (core->peers[i].state == CORE_DIAL_SLEEPING) {
            at = sooner(at, core->peers[i].at);
        }
    }
    for (unsigned i = 0; i < core->top; i++) {
        at = sooner(at, silence_deadline(core, &core->conns[i]));
        at = sooner(at, beat_deadline(core, &core->conns[i]));
    }
    return at;
}

void core_plan(struct rep_core *core)
{
    uint64_t at;

    if (core->ended || !core->started) {
        return;
    }
    if (core->stopping) {
        plan_end(core);
    } else {
        for (unsigned i = 0; i < core->config.peers; i++) {
            plan_dial(core, i);
        }
        if (!core->serving && core->now >= serve_deadline(core)) {
            core->serving = true;
            core_emit(core, REP_DO_SERVE, 0);
        }
    }
    at = core->ended ? CORE_NEVER : next_deadline(core);
    if (at != core->timer && at != CORE_NEVER) {
        core_emit(core, REP_DO_TIMER, 0)->at = at;
    }
    core->timer = at;
}
