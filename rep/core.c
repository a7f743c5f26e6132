#include "rep/core.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NO_PEER  UINT32_MAX
#define NEVER    UINT64_MAX
#define KNOWN    64  /* addresses that said hello, remembered */
#define LATE_MS  300 /* a timer this late: the process was not running */
#define GRACE_MS 100 /* then it reads this long before it judges */

/* Configured peers' connections without a hello, apart from strangers. */
#define UNPROVEN_CONFIGURED 4

#define TO(state) (1U << (state))

enum conn_state {
    CONN_FREE,
    CONN_ACCEPTED, /* has to prove itself */
    CONN_DIALLED,  /* our hello went out; the first line is awaited */
    CONN_WAITING,  /* said hello; an occupant is asked for a sign of life */
    CONN_LINKED,
};

static const struct {
    const char *name;
    unsigned to; /* states that may follow */
} conn_states[] = {
    [CONN_FREE] = {"free", TO(CONN_ACCEPTED) | TO(CONN_DIALLED)},
    [CONN_ACCEPTED] = {"accepted",
                       TO(CONN_WAITING) | TO(CONN_LINKED) | TO(CONN_FREE)},
    [CONN_DIALLED] = {"dialled",
                      TO(CONN_WAITING) | TO(CONN_LINKED) | TO(CONN_FREE)},
    [CONN_WAITING] = {"waiting", TO(CONN_LINKED) | TO(CONN_FREE)},
    [CONN_LINKED] = {"linked", TO(CONN_FREE)},
};

struct conn {
    enum conn_state state;
    uint32_t id;
    unsigned peer;  /* configured peer, or NO_PEER */
    uint64_t addr;  /* as the edge names it */
    uint64_t run;   /* after its hello */
    uint64_t since; /* ms at which the state began */
    uint64_t heard; /* ms of the last bytes */
    uint64_t beat;  /* ms of our last beat */
    uint64_t lost;  /* least version lost while a scan runs */
    bool dialled;
    bool loud;      /* dialled, and the connect line was printed */
    bool trusted;   /* may be a silent legacy peer */
    bool spoke;     /* sent something */
    bool legacy;    /* LINKED: repcached 2.x */
    bool firm;      /* LINKED by more than silence */
    bool asked;     /* LINKED: a newcomer waits for a sign of life */
    bool scanning;  /* LINKED: our scan runs */
    bool behind;    /* LINKED: `lost` has to be scanned, too */
    bool announced; /* LINKED: our copy is complete */
    bool received;  /* LINKED: the peer's copy is complete */
};

enum dial_state {
    DIAL_IDLE, /* linked, or not planned yet */
    DIAL_SLEEPING,
    DIAL_PENDING, /* resolving, connecting */
    DIAL_OPEN,    /* a connection of it awaits the first line */
};

struct peer {
    enum dial_state state;
    uint64_t at;      /* SLEEPING: ms of the next attempt */
    uint32_t backoff; /* ms */
    bool said;        /* the present failure was printed */
    bool loud;        /* the attempt under way is printed */
    bool next;        /* the last address led nowhere */
    bool absent;      /* it refused: nobody there to wait for */
    bool copied;      /* its copy came */
};

struct rep_core {
    struct rep_core_config config;
    uint64_t now;
    uint64_t random;
    uint64_t timer;       /* ms asked for by the last TIMER, or NEVER */
    uint64_t judge_after; /* ms; before, nobody is called silent */
    uint64_t quiet_since; /* ms since which there has been no link */
    uint64_t stop_at;     /* stopping: ms of the bound */
    bool started, serving, stopping, ended;
    bool said_listening;
    uint64_t known[KNOWN];
    unsigned nknown; /* ever remembered */
    struct peer peers[REP_CORE_PEERS];
    struct conn conns[REP_CORE_CONNS];
    struct rep_action actions[REP_CORE_ACTIONS];
    size_t nactions;
};

struct rep_core *rep_core_new(const struct rep_core_config *config)
{
    struct rep_core *core = calloc(1, sizeof(*core));

    if (core == NULL) {
        return NULL;
    }
    assert(config->peers <= REP_CORE_PEERS);
    core->config = *config;
    core->random = config->seed;
    core->timer = NEVER;
    for (unsigned i = 0; i < REP_CORE_PEERS; i++) {
        core->peers[i].backoff = REP_CORE_DIAL_MIN_MS;
    }
    return core;
}

void rep_core_free(struct rep_core *core)
{
    free(core);
}

/* ---- small things --------------------------------------------------- */

static struct rep_action *emit(struct rep_core *core, enum rep_action_kind kind,
                               uint32_t conn)
{
    struct rep_action *a;

    assert(core->nactions < REP_CORE_ACTIONS);
    a = &core->actions[core->nactions++];
    *a = (struct rep_action){.kind = kind, .conn = conn};
    return a;
}

static void print(struct rep_core *core, enum rep_line line, uint32_t conn)
{
    emit(core, REP_DO_PRINT, conn)->line = line;
}

/* splitmix64: Steele, Lea, Flood, OOPSLA 2014. */
static uint64_t draw(struct rep_core *core)
{
    uint64_t z = core->random += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* Between half of `ms` and all of it. */
static uint64_t jitter(struct rep_core *core, uint32_t ms)
{
    return ms / 2 + draw(core) % (ms / 2 + 1);
}

static uint32_t beat_every(const struct rep_core *core)
{
    return core->config.timeout / 4;
}

/* How long an occupant may take to answer a beat when it is asked to. */
static uint32_t probe_for(const struct rep_core *core)
{
    return core->config.timeout / 2 < 1000 ? core->config.timeout / 2 : 1000;
}

static unsigned slots(const struct rep_core *core)
{
    return core->config.peers > 1 ? core->config.peers : 1;
}

static void conn_set_state(struct rep_core *core, struct conn *c,
                           enum conn_state state)
{
    assert((conn_states[c->state].to & TO(state)) != 0);
    c->state = state;
    c->since = core->now;
}

static struct conn *conn_find(struct rep_core *core, uint32_t id)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct conn *c = &core->conns[i];

        if (c->state != CONN_FREE && c->id == id) {
            return c;
        }
    }
    return NULL;
}

static struct conn *conn_add(struct rep_core *core, const struct rep_event *ev,
                             enum conn_state state)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct conn *c = &core->conns[i];

        if (c->state == CONN_FREE) {
            *c = (struct conn){.id = ev->conn, .addr = ev->addr};
            c->peer = NO_PEER;
            c->heard = core->now;
            conn_set_state(core, c, state);
            return c;
        }
    }
    return NULL;
}

static bool said_hello_before(const struct rep_core *core, uint64_t addr)
{
    unsigned n = core->nknown < KNOWN ? core->nknown : KNOWN;

    for (unsigned i = 0; i < n; i++) {
        if (core->known[i] == addr) {
            return true;
        }
    }
    return false;
}

static void remember_hello(struct rep_core *core, uint64_t addr)
{
    if (!said_hello_before(core, addr)) {
        core->known[core->nknown++ % KNOWN] = addr;
    }
}

/* Silence of this connection will make it a legacy peer. */
static bool may_stay_silent(const struct rep_core *core, const struct conn *c)
{
    return c->trusted && !c->spoke && !said_hello_before(core, c->addr);
}

static unsigned count_linked(const struct rep_core *core)
{
    unsigned n = 0;

    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        n += core->conns[i].state == CONN_LINKED;
    }
    return n;
}

/* The peer has a connection that is surely its own. */
static bool peer_has_link(const struct rep_core *core, unsigned peer)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        const struct conn *c = &core->conns[i];

        if (c->state == CONN_LINKED && c->firm && c->peer == peer) {
            return true;
        }
    }
    return false;
}

/* ---- ends of things ------------------------------------------------- */

static void say_listening(struct rep_core *core)
{
    if (!core->said_listening && !core->stopping) {
        core->said_listening = true;
        emit(core, REP_DO_LISTENING, 0);
    }
}

/* The attempt came to nothing: the next one after a longer wait. */
static void dial_failed(struct rep_core *core, unsigned peer, bool absent,
                        uint32_t at_least)
{
    struct peer *p = &core->peers[peer];
    uint64_t wait = jitter(core, p->backoff);

    p->state = DIAL_SLEEPING;
    p->at = core->now + (wait > at_least ? wait : at_least);
    p->backoff = p->backoff * 2 < REP_CORE_DIAL_MAX_MS ? p->backoff * 2
                                                       : REP_CORE_DIAL_MAX_MS;
    p->absent = absent;
    p->said = true;
    say_listening(core);
}

/* Forgets an unproven or waiting connection; its dial failed with it. */
static void conn_forget(struct rep_core *core, struct conn *c, bool absent,
                        uint32_t at_least)
{
    bool dial = c->dialled && c->peer != NO_PEER &&
                core->peers[c->peer].state == DIAL_OPEN;
    unsigned peer = c->peer;

    conn_set_state(core, c, CONN_FREE);
    if (dial && !core->stopping) {
        core->peers[peer].next = true;
        dial_failed(core, peer, absent, at_least);
    }
}

static void conn_refuse(struct rep_core *core, struct conn *c)
{
    emit(core, REP_DO_CLOSE, c->id);
    conn_forget(core, c, false, 0);
}

static void turn_away(struct rep_core *core, struct conn *c)
{
    print(core, REP_LINE_ALREADY, c->id);
    conn_refuse(core, c);
}

static void link_up(struct rep_core *core, struct conn *c, bool legacy);

/* A place became free: the longest waiting newcomer takes it. */
static void admit_waiting(struct rep_core *core)
{
    struct conn *first = NULL;

    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct conn *c = &core->conns[i];

        if (c->state == CONN_WAITING &&
            (first == NULL || c->since < first->since)) {
            first = c;
        }
    }
    if (first != NULL && count_linked(core) < slots(core)) {
        link_up(core, first, false);
    }
}

/* The link has ended. */
static void link_down(struct rep_core *core, struct conn *c)
{
    conn_set_state(core, c, CONN_FREE);
    core->quiet_since = core->now;
    if (core->stopping) {
        return;
    }
    print(core, REP_LINE_CLOSE, c->id);
    say_listening(core);
    admit_waiting(core);
}

static void link_cut(struct rep_core *core, struct conn *c)
{
    link_down(core, c);
    emit(core, REP_DO_CLOSE, c->id);
}

/* ---- beginnings ------------------------------------------------------ */

static void peer_linked(struct rep_core *core, unsigned peer,
                        const struct conn *c)
{
    struct peer *p = &core->peers[peer];

    p->backoff = REP_CORE_DIAL_MIN_MS;
    p->absent = false;
    p->next = false;
    p->said = false;
    if (c->dialled) {
        p->state = DIAL_IDLE;
    }
}

static void link_lines(struct rep_core *core, const struct conn *c)
{
    if (!c->dialled) {
        print(core, REP_LINE_ACCEPT, c->id);
        return;
    }
    if (!c->loud) {
        print(core, REP_LINE_CONNECT, c->id);
    }
    print(core, REP_LINE_COPYING, c->id);
}

static void begin_scan(struct rep_core *core, struct conn *c, uint64_t version)
{
    c->scanning = true;
    emit(core, REP_DO_SCAN, c->id)->version = version;
}

/* A legacy peer that we dialled takes whatever comes for newer than its own:
 * ours waits until its copy has come, and been compared. */
static void link_up(struct rep_core *core, struct conn *c, bool legacy)
{
    struct rep_action *a;

    if (!legacy && !c->dialled) {
        emit(core, REP_DO_HELLO, c->id);
    }
    conn_set_state(core, c, CONN_LINKED);
    c->legacy = legacy;
    c->firm = !legacy || c->dialled || c->spoke;
    c->heard = core->now;
    c->beat = core->now;
    /* A legacy peer that dialled sends no copy. */
    c->received = legacy && !c->dialled;
    core->said_listening = false;
    if (c->peer != NO_PEER) {
        peer_linked(core, c->peer, c);
    }
    link_lines(core, c);
    a = emit(core, REP_DO_LINK, c->id);
    a->legacy = legacy;
    if (c->received || !legacy) {
        begin_scan(core, c, 0);
    }
}

/* Puts `c` in the place of `old`, without the lines of an end. */
static void link_replace(struct rep_core *core, struct conn *old,
                         struct conn *c)
{
    if (c->peer == NO_PEER) {
        c->peer = old->peer;
    }
    emit(core, REP_DO_CLOSE, old->id);
    conn_set_state(core, old, CONN_FREE);
    link_up(core, c, false);
}

/* Two connections of one run: both ends must keep the same. */
static void keep_one(struct rep_core *core, struct conn *old, struct conn *c)
{
    bool ours_is_lower = core->config.run < c->run;
    bool keep_new = old->dialled == c->dialled || c->dialled == ours_is_lower;

    if (keep_new) {
        link_replace(core, old, c);
        return;
    }
    if (old->peer == NO_PEER && c->peer != NO_PEER) {
        old->peer = c->peer; /* proven to be the one we dial */
        core->peers[c->peer].copied = old->received;
    }
    emit(core, REP_DO_CLOSE, c->id);
    if (c->dialled && c->peer != NO_PEER) {
        core->peers[c->peer].state = DIAL_IDLE;
    }
    conn_set_state(core, c, CONN_FREE);
}

/* An occupant that has to make room for `c` without being asked: one that
 * silence alone brought in, or one nobody configured, for a configured one. */
static struct conn *find_yielding(struct rep_core *core, const struct conn *c)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct conn *old = &core->conns[i];

        if (old->state == CONN_LINKED &&
            (!old->firm || (old->peer == NO_PEER && c->peer != NO_PEER))) {
            return old;
        }
    }
    return NULL;
}

/* Asks the occupants for a sign of life: true if any can give one. */
static bool ask_occupants(struct rep_core *core)
{
    bool any = false;

    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct conn *old = &core->conns[i];

        if (old->state == CONN_LINKED && !old->legacy) {
            old->asked = true;
            old->beat = core->now;
            emit(core, REP_DO_BEAT, old->id);
            any = true;
        }
    }
    return any;
}

/* `c` proved to be a peer: a place for it, if there is one. */
static void admit(struct rep_core *core, struct conn *c, bool legacy)
{
    struct conn *old;

    if (count_linked(core) < slots(core)) {
        link_up(core, c, legacy);
        return;
    }
    old = find_yielding(core, c);
    if (old != NULL && (!legacy || c->spoke)) {
        link_cut(core, old);
        if (c->state != CONN_LINKED) {
            link_up(core, c, legacy);
        }
        return;
    }
    if (!legacy && ask_occupants(core)) {
        conn_set_state(core, c, CONN_WAITING);
        return;
    }
    turn_away(core, c);
}

/* ---- events ---------------------------------------------------------- */

static void on_start(struct rep_core *core)
{
    core->started = true;
    core->quiet_since = core->now;
    if (core->config.peers == 0) {
        say_listening(core);
    }
}

/* Strangers get a bounded number of places; the oldest loses its own. */
static void make_room(struct rep_core *core, bool configured)
{
    struct conn *oldest = NULL;
    unsigned n = 0;

    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct conn *c = &core->conns[i];

        if (c->state != CONN_ACCEPTED || (c->peer != NO_PEER) != configured) {
            continue;
        }
        n++;
        if (oldest == NULL || c->since < oldest->since) {
            oldest = c;
        }
    }
    if (n >= (configured ? UNPROVEN_CONFIGURED : REP_CORE_UNPROVEN)) {
        conn_refuse(core, oldest);
    }
}

static void on_accepted(struct rep_core *core, const struct rep_event *ev)
{
    struct conn *c = NULL;

    if (!core->stopping) {
        make_room(core, ev->configured);
        c = conn_add(core, ev, CONN_ACCEPTED);
    }
    if (c == NULL) {
        emit(core, REP_DO_CLOSE, ev->conn);
        return;
    }
    c->peer = ev->configured ? ev->peer : NO_PEER;
    c->trusted = ev->trusted;
}

static void on_connected(struct rep_core *core, const struct rep_event *ev)
{
    struct peer *p = &core->peers[ev->peer];
    struct conn *c;

    assert(ev->peer < core->config.peers);
    if (p->state != DIAL_PENDING || core->stopping) {
        emit(core, REP_DO_CLOSE, ev->conn);
        return;
    }
    c = conn_add(core, ev, CONN_DIALLED);
    if (c == NULL) {
        emit(core, REP_DO_CLOSE, ev->conn);
        dial_failed(core, ev->peer, false, 0);
        return;
    }
    c->dialled = true;
    c->loud = p->loud;
    c->peer = ev->peer;
    p->state = DIAL_OPEN;
    emit(core, REP_DO_HELLO, c->id);
}

static void on_dial_failed(struct rep_core *core, const struct rep_event *ev)
{
    assert(ev->peer < core->config.peers);
    if (core->peers[ev->peer].state == DIAL_PENDING && !core->stopping) {
        dial_failed(core, ev->peer, ev->cause != REP_SILENT, 0);
    }
}

/* Our own hello came back. The accepting end answers it, so that the dialling
 * end learns which peer leads to ourselves. */
static void on_self(struct rep_core *core, struct conn *c)
{
    if (!c->dialled) {
        emit(core, REP_DO_HELLO, c->id);
        return;
    }
    emit(core, REP_DO_CLOSE, c->id);
    conn_forget(core, c, true, REP_CORE_SELF_MS);
}

/* Two nodes of one slot could draw the same version: the greater run moves. */
static void avoid_slot(struct rep_core *core, const struct conn *c,
                       uint8_t slot)
{
    if (slot == core->config.slot && core->config.run > c->run) {
        core->config.slot = (uint8_t)(slot + 1 + draw(core) % 255);
        emit(core, REP_DO_SLOT, c->id)->slot = core->config.slot;
    }
}

static struct conn *find_twin(struct rep_core *core, const struct conn *c)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct conn *old = &core->conns[i];

        if (old != c && old->run == c->run && !old->legacy &&
            (old->state == CONN_LINKED || old->state == CONN_WAITING)) {
            return old;
        }
    }
    return NULL;
}

static void on_hello(struct rep_core *core, struct conn *c,
                     const struct rep_event *ev)
{
    struct conn *twin;

    if (c->state == CONN_LINKED && c->legacy) {
        remember_hello(core, c->addr);
        link_cut(core, c);
        return;
    }
    if (c->state == CONN_LINKED || c->state == CONN_WAITING) {
        return;
    }
    c->spoke = true;
    c->run = ev->run;
    if (ev->run == core->config.run) {
        on_self(core, c);
        return;
    }
    remember_hello(core, c->addr);
    if (ev->skew > REP_CORE_SKEW_MAX_MS) {
        conn_refuse(core, c);
        return;
    }
    avoid_slot(core, c, ev->slot);
    twin = find_twin(core, c);
    if (twin != NULL && twin->state == CONN_LINKED) {
        keep_one(core, twin, c);
        return;
    }
    if (twin != NULL) {
        conn_refuse(core, twin);
    }
    admit(core, c, false);
}

static void on_legacy(struct rep_core *core, struct conn *c)
{
    switch (c->state) {
    case CONN_FREE:
    case CONN_WAITING:
        return;
    case CONN_LINKED:
        c->firm = true;
        return;
    case CONN_DIALLED:
        c->spoke = true;
        admit(core, c, true);
        return;
    case CONN_ACCEPTED:
        c->spoke = true;
        if (c->trusted && !said_hello_before(core, c->addr)) {
            admit(core, c, true);
        } else {
            conn_refuse(core, c);
        }
        return;
    }
}

/* An occupant lives: nobody need wait for its place any longer. */
static void on_heard(struct rep_core *core, struct conn *c)
{
    c->spoke = true;
    c->heard = core->now;
    if (!c->asked) {
        return;
    }
    c->asked = false;
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        if (core->conns[i].state == CONN_LINKED && core->conns[i].asked) {
            return;
        }
    }
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        if (core->conns[i].state == CONN_WAITING) {
            turn_away(core, &core->conns[i]);
        }
    }
}

static void on_closed(struct rep_core *core, struct conn *c)
{
    if (c->state == CONN_LINKED) {
        link_down(core, c);
    } else {
        conn_forget(core, c, false, 0);
    }
}

/* Losses while the scan ran have to be scanned before it counts. */
static void on_scan_done(struct rep_core *core, struct conn *c)
{
    if (c->state != CONN_LINKED || !c->scanning) {
        return;
    }
    if (c->behind) {
        c->behind = false;
        emit(core, REP_DO_SCAN, c->id)->version = c->lost;
        return;
    }
    c->scanning = false;
    if (!c->announced) {
        c->announced = true;
        emit(core, REP_DO_ANNOUNCE, c->id);
    }
}

static void on_overrun(struct rep_core *core, struct conn *c, uint64_t version)
{
    if (c->state != CONN_LINKED) {
        return;
    }
    if (c->scanning) {
        c->lost = c->behind && c->lost < version ? c->lost : version;
        c->behind = true;
        return;
    }
    begin_scan(core, c, version);
}

static void on_copy_received(struct rep_core *core, struct conn *c)
{
    if (c->state != CONN_LINKED || c->received) {
        return;
    }
    c->received = true;
    if (c->peer != NO_PEER) {
        core->peers[c->peer].copied = true;
    }
    if (c->dialled) {
        print(core, REP_LINE_START, c->id);
    }
    if (c->legacy) {
        begin_scan(core, c, 0);
    }
}

static void on_stop(struct rep_core *core)
{
    core->stopping = true;
    core->stop_at = core->now + REP_CORE_DRAIN_MS;
    for (unsigned i = 0; i < core->config.peers; i++) {
        if (core->peers[i].state == DIAL_PENDING) {
            emit(core, REP_DO_UNDIAL, 0)->peer = i;
        }
        core->peers[i].state = DIAL_IDLE;
    }
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct conn *c = &core->conns[i];

        if (c->state == CONN_LINKED) {
            emit(core, REP_DO_DRAIN, c->id);
        } else if (c->state != CONN_FREE) {
            conn_refuse(core, c);
        }
    }
}

/* ---- time ------------------------------------------------------------ */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* When the silence of `c` is to be judged. */
static uint64_t silence_deadline(const struct rep_core *core,
                                 const struct conn *c)
{
    switch (c->state) {
    case CONN_FREE:
        return NEVER;
    case CONN_ACCEPTED:
        return later(c->since + (may_stay_silent(core, c)
                                     ? REP_CORE_SILENT_MS
                                     : REP_CORE_UNPROVEN_MS),
                     core->judge_after);
    case CONN_DIALLED:
        return later(c->since + core->config.timeout, core->judge_after);
    case CONN_WAITING:
        return later(c->since + probe_for(core), core->judge_after);
    case CONN_LINKED:
        return c->legacy || core->stopping
                   ? NEVER
                   : later(c->heard + core->config.timeout, core->judge_after);
    }
    return NEVER;
}

static uint64_t beat_deadline(const struct rep_core *core, const struct conn *c)
{
    return c->state == CONN_LINKED && !c->legacy ? c->beat + beat_every(core)
                                                 : NEVER;
}

/* The occupant gave no sign of life: its place goes to who waits for it. */
static void drop_asked(struct rep_core *core)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct conn *c = &core->conns[i];

        if (c->state == CONN_LINKED && c->asked) {
            link_cut(core, c);
            return;
        }
    }
}

static void judge_silence(struct rep_core *core, struct conn *c)
{
    switch (c->state) {
    case CONN_FREE:
        return;
    case CONN_ACCEPTED:
        if (may_stay_silent(core, c)) {
            admit(core, c, true);
        } else {
            conn_refuse(core, c);
        }
        return;
    case CONN_DIALLED:
        conn_refuse(core, c);
        return;
    case CONN_WAITING:
        drop_asked(core);
        if (c->state == CONN_WAITING) {
            turn_away(core, c);
        }
        return;
    case CONN_LINKED:
        link_cut(core, c);
        return;
    }
}

static void on_tick(struct rep_core *core)
{
    if (core->timer != NEVER && core->now > core->timer + LATE_MS) {
        /* What the peers sent meanwhile is still unread. */
        core->judge_after = core->now + GRACE_MS;
    }
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct conn *c = &core->conns[i];

        if (core->now >= silence_deadline(core, c)) {
            judge_silence(core, c);
        }
        if (core->now >= beat_deadline(core, c)) {
            c->beat = core->now;
            emit(core, REP_DO_BEAT, c->id);
        }
    }
}

/* ---- what follows from the state ------------------------------------- */

static void plan_dial(struct rep_core *core, unsigned peer)
{
    struct peer *p = &core->peers[peer];
    struct rep_action *a;

    if (peer_has_link(core, peer)) {
        if (p->state == DIAL_PENDING) {
            /* It has sent no hello: the other side cannot have chosen it. */
            emit(core, REP_DO_UNDIAL, 0)->peer = peer;
        }
        p->state = p->state == DIAL_OPEN ? DIAL_OPEN : DIAL_IDLE;
        return;
    }
    if (p->state == DIAL_IDLE) {
        p->state = DIAL_SLEEPING;
        p->at = core->quiet_since == core->now && !p->copied
                    ? core->now
                    : core->now + jitter(core, REP_CORE_DIAL_MIN_MS);
    }
    if (p->state == DIAL_SLEEPING && core->now >= p->at) {
        p->state = DIAL_PENDING;
        p->loud = !p->said;
        a = emit(core, REP_DO_DIAL, 0);
        a->peer = peer;
        a->loud = p->loud;
        a->next = p->next;
        p->next = false;
    }
}

static uint64_t serve_deadline(const struct rep_core *core)
{
    return count_linked(core) != 0
               ? NEVER
               : core->quiet_since + 2 * (uint64_t)core->config.timeout;
}

/* Nobody is left whose copy could still be waited for. */
static bool may_serve(const struct rep_core *core)
{
    for (unsigned i = 0; i < core->config.peers; i++) {
        const struct peer *p = &core->peers[i];

        if (!p->copied && !(p->absent && !peer_has_link(core, i))) {
            return core->now >= serve_deadline(core);
        }
    }
    return true;
}

static void plan_end(struct rep_core *core)
{
    if (count_linked(core) != 0 && core->now < core->stop_at) {
        return;
    }
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct conn *c = &core->conns[i];

        if (c->state != CONN_FREE) {
            emit(core, REP_DO_CLOSE, c->id);
            conn_set_state(core, c, CONN_FREE);
        }
    }
    core->ended = true;
    emit(core, REP_DO_END, 0);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_deadline(const struct rep_core *core)
{
    uint64_t at = core->stopping ? core->stop_at : NEVER;

    if (!core->serving && !core->stopping) {
        at = sooner(at, serve_deadline(core));
    }
    for (unsigned i = 0; i < core->config.peers; i++) {
        if (core->peers[i].state == DIAL_SLEEPING) {
            at = sooner(at, core->peers[i].at);
        }
    }
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        at = sooner(at, silence_deadline(core, &core->conns[i]));
        at = sooner(at, beat_deadline(core, &core->conns[i]));
    }
    return at;
}

static void plan(struct rep_core *core)
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
        if (!core->serving && may_serve(core)) {
            core->serving = true;
            emit(core, REP_DO_SERVE, 0);
        }
    }
    at = core->ended ? NEVER : next_deadline(core);
    if (at != core->timer && at != NEVER) {
        emit(core, REP_DO_TIMER, 0)->at = at;
    }
    core->timer = at;
}

static void dispatch_conn(struct rep_core *core, const struct rep_event *ev)
{
    struct conn *c = conn_find(core, ev->conn);

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
        conn_refuse(core, c);
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
            emit(core, REP_DO_CLOSE, c->id);
            conn_set_state(core, c, CONN_FREE);
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
        on_tick(core);
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
    plan(core);
    *n = core->nactions;
    return core->actions;
}

enum rep_link_status rep_core_status(const struct rep_core *core)
{
    bool dialing = false;

    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        const struct conn *c = &core->conns[i];

        if (c->state == CONN_LINKED) {
            return c->announced && !c->scanning && c->received ? REP_LINKED
                                                               : REP_COPYING;
        }
    }
    for (unsigned i = 0; i < core->config.peers; i++) {
        dialing = dialing || core->peers[i].state == DIAL_PENDING ||
                  core->peers[i].state == DIAL_OPEN ||
                  core->peers[i].state == DIAL_SLEEPING;
    }
    return dialing ? REP_DIALING : REP_LISTENING;
}
