#include <assert.h>
#include <string.h>

#include "rep/core_state.h"

/* ---- small things --------------------------------------------------- */

struct rep_action *core_emit(struct rep_core *core, enum rep_action_kind kind,
                             uint32_t conn)
{
    struct rep_action *a;

    assert(core->nactions < REP_CORE_ACTIONS);
    a = &core->actions[core->nactions++];
    *a = (struct rep_action){.kind = kind, .conn = conn};
    return a;
}

void core_print(struct rep_core *core, enum rep_line line, uint32_t conn)
{
    core_emit(core, REP_DO_PRINT, conn)->line = line;
}

/* splitmix64: Steele, Lea, Flood, OOPSLA 2014. */
uint64_t core_draw(struct rep_core *core)
{
    uint64_t z = core->random += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* Between half of `ms` and all of it. */
uint64_t core_jitter(struct rep_core *core, uint32_t ms)
{
    return ms / 2 + core_draw(core) % (ms / 2 + 1);
}

unsigned core_count_peers(const struct rep_core *core)
{
    unsigned n = 0;

    for (unsigned i = 0; i < core->config.peers; i++) {
        n += !core->peers[i].self;
    }
    return n;
}

static unsigned places(const struct rep_core *core)
{
    unsigned n = core_count_peers(core);

    return n > 1 ? n : 1;
}

#define TO(state) (1U << (state))

static const struct {
    const char *name;
    unsigned to; /* states that may follow */
} conn_states[] = {
    [CORE_FREE] = {"free", TO(CORE_ACCEPTED) | TO(CORE_DIALLED)},
    [CORE_ACCEPTED] = {"accepted",
                       TO(CORE_WAITING) | TO(CORE_LINKED) | TO(CORE_FREE)},
    [CORE_DIALLED] = {"dialled",
                      TO(CORE_WAITING) | TO(CORE_LINKED) | TO(CORE_FREE)},
    [CORE_WAITING] = {"waiting", TO(CORE_LINKED) | TO(CORE_FREE)},
    [CORE_LINKED] = {"linked", TO(CORE_FREE)},
};

void core_conn_set_state(struct rep_core *core, struct core_conn *c,
                         enum core_conn_state state)
{
    assert((conn_states[c->state].to & TO(state)) != 0);
    c->state = state;
    c->since = core->now;
    if (c >= core->conns + core->top) {
        core->top = (unsigned)(c - core->conns) + 1;
    }
    while (core->top > 0 && core->conns[core->top - 1].state == CORE_FREE) {
        core->top--;
    }
}

struct core_conn *core_conn_find(struct rep_core *core, uint32_t id)
{
    for (unsigned i = 0; i < core->top; i++) {
        struct core_conn *c = &core->conns[i];

        if (c->state != CORE_FREE && c->id == id) {
            return c;
        }
    }
    return NULL;
}

struct core_conn *core_conn_add(struct rep_core *core,
                                const struct rep_event *ev,
                                enum core_conn_state state)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct core_conn *c = &core->conns[i];

        if (c->state == CORE_FREE) {
            *c = (struct core_conn){.id = ev->conn, .addr = ev->addr};
            c->peer = REP_CORE_NO_PEER;
            c->heard = core->now;
            core_conn_set_state(core, c, state);
            return c;
        }
    }
    return NULL;
}

bool core_said_hello_before(const struct rep_core *core, uint64_t addr)
{
    unsigned n = core->nknown < CORE_KNOWN ? core->nknown : CORE_KNOWN;

    for (unsigned i = 0; i < n; i++) {
        if (core->known[i] == addr) {
            return true;
        }
    }
    return false;
}

void core_remember_hello(struct rep_core *core, uint64_t addr)
{
    if (!core_said_hello_before(core, addr)) {
        core->known[core->nknown++ % CORE_KNOWN] = addr;
    }
}

/* Silence of this connection will make it a legacy peer. */
bool core_may_stay_silent(const struct rep_core *core,
                          const struct core_conn *c)
{
    return c->trusted && !c->spoke && !core->config.no_legacy &&
           !core_said_hello_before(core, c->addr);
}

unsigned core_count_linked(const struct rep_core *core)
{
    unsigned n = 0;

    for (unsigned i = 0; i < core->top; i++) {
        n += core->conns[i].state == CORE_LINKED;
    }
    return n;
}

/* By its number, or by the run that a dial to it has met: two names may lead
 * to one node, which has one link. */
bool core_is_link_of(const struct rep_core *core, const struct core_conn *c,
                     unsigned peer)
{
    return c->state == CORE_LINKED &&
           (c->peer == peer ||
            (c->run != 0 && c->run == core->peers[peer].run));
}

const struct core_conn *core_link_of(const struct rep_core *core, unsigned peer,
                                     bool firm)
{
    for (unsigned i = 0; i < core->top; i++) {
        const struct core_conn *c = &core->conns[i];

        if (core_is_link_of(core, c, peer) && (c->firm || !firm)) {
            return c;
        }
    }
    return NULL;
}

/* The occupant of the place that is the configured peer's own. */
static const struct core_conn *occupant(const struct rep_core *core,
                                        const struct core_conn *c)
{
    return c->peer != REP_CORE_NO_PEER ? core_link_of(core, c->peer, false)
                                       : NULL;
}

static bool has_place(const struct rep_core *core, const struct core_conn *c)
{
    return core_count_linked(core) < places(core) && occupant(core, c) == NULL;
}

bool core_competes(const struct rep_core *core, const struct core_conn *c,
                   const struct core_conn *old)
{
    const struct core_conn *own = occupant(core, c);

    if (old->state != CORE_LINKED || (old->configured && !c->configured)) {
        return false;
    }
    if (own != NULL) {
        return old == own;
    }
    /* What nobody calls its own may be given to anybody. */
    return c->peer == REP_CORE_NO_PEER || old->peer == REP_CORE_NO_PEER;
}

void core_note_copied(struct rep_core *core, const struct core_conn *c)
{
    for (unsigned i = 0; i < core->config.peers; i++) {
        core->peers[i].copied =
            core->peers[i].copied || core_is_link_of(core, c, i);
    }
}

/* ---- ends of things ------------------------------------------------- */

void core_say_listening(struct rep_core *core)
{
    if (!core->said_listening && !core->stopping) {
        core->said_listening = true;
        core_emit(core, REP_DO_LISTENING, 0);
    }
}

/* The attempt came to nothing: the next one after a longer wait. */
void core_dial_failed(struct rep_core *core, unsigned peer, bool absent,
                      uint32_t at_least)
{
    struct core_peer *p = &core->peers[peer];
    uint64_t wait = core_jitter(core, p->backoff);

    p->state = CORE_DIAL_SLEEPING;
    p->at = core->now + (wait > at_least ? wait : at_least);
    p->backoff = p->backoff * 2 < REP_CORE_DIAL_MAX_MS ? p->backoff * 2
                                                       : REP_CORE_DIAL_MAX_MS;
    p->absent = absent;
    p->said = true;
    if (core_count_linked(core) == 0) {
        core_say_listening(core);
    }
}

/* Forgets an unproven or waiting connection; its dial failed with it. */
void core_conn_forget(struct rep_core *core, struct core_conn *c, bool absent,
                      uint32_t at_least)
{
    bool dial = c->dialled && c->peer != REP_CORE_NO_PEER &&
                core->peers[c->peer].state == CORE_DIAL_OPEN;
    unsigned peer = c->peer;

    core_conn_set_state(core, c, CORE_FREE);
    if (dial && !core->stopping) {
        core->peers[peer].next = true;
        core_dial_failed(core, peer, absent, at_least);
    }
}

struct rep_action *core_conn_refuse(struct rep_core *core, struct core_conn *c,
                                    enum rep_refusal why)
{
    bool may_read = !c->dialled && c->run != 0;
    struct rep_action *a = core_emit(core, REP_DO_CLOSE, c->id);

    a->refusal = may_read ? why : REP_REFUSAL_NONE;
    core_conn_forget(core, c, false, 0);
    return a;
}

void core_turn_away(struct rep_core *core, struct core_conn *c)
{
    core_print(core, REP_LINE_ALREADY, c->id);
    core_conn_refuse(core, c,
                     c->configured || core->config.peers == 0
                         ? REP_REFUSAL_BUSY
                         : REP_REFUSAL_STRANGER);
}

static void link_up(struct rep_core *core, struct core_conn *c, bool legacy);

/* A place became free: who waits for it longest takes it. */
static void admit_waiting(struct rep_core *core)
{
    struct core_conn *first = NULL;

    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct core_conn *c = &core->conns[i];

        if (c->state == CORE_WAITING && has_place(core, c) &&
            (first == NULL || c->since < first->since)) {
            first = c;
        }
    }
    if (first != NULL) {
        link_up(core, first, false);
    }
}

static void end_link(struct rep_core *core, struct core_conn *c)
{
    for (unsigned i = 0; i < core->config.peers; i++) {
        /* A link on which nothing came, as of a peer that wants a secret of us,
         * is none: its copy is not waited for any longer. */
        if (core_is_link_of(core, c, i) && c->heard > c->since) {
            core->peers[i].quiet_since = core->now;
        }
    }
    core_conn_set_state(core, c, CORE_FREE);
    if (!core->stopping) {
        core_print(core, REP_LINE_CLOSE, c->id);
        core_say_listening(core);
    }
}

void core_link_down(struct rep_core *core, struct core_conn *c)
{
    end_link(core, c);
    if (!core->stopping) {
        admit_waiting(core);
    }
}

struct rep_action *core_link_cut(struct rep_core *core, struct core_conn *c)
{
    core_link_down(core, c);
    return core_emit(core, REP_DO_CLOSE, c->id);
}

/* ---- slots -------------------------------------------------------------- */

enum { SLOT_DRAWS = 64 };

static bool has_slot(const uint64_t slots[REP_CORE_SLOTS], uint8_t slot)
{
    return (slots[slot / 64] >> (slot % 64) & 1) != 0;
}

/* One of those that said hello has it. */
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

/* One of those that said hello knows somebody who has it. */
static bool slot_is_known(const struct rep_core *core, uint8_t slot)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        const struct core_conn *c = &core->conns[i];

        if (c->state != CORE_FREE && c->run != 0 && has_slot(c->slots, slot)) {
            return true;
        }
    }
    return false;
}

/* One that nobody has; of those that somebody is said to have, rather any than
 * none, since a hello may name them all. There are more slots than conns. */
static uint8_t draw_slot(struct rep_core *core)
{
    unsigned draws = 0;
    uint8_t slot;

    do {
        slot = (uint8_t)core_draw(core);
    } while (slot_is_taken(core, slot) ||
             (draws++ < SLOT_DRAWS && slot_is_known(core, slot)));
    return slot;
}

void rep_core_slots(const struct rep_core *core, uint64_t slots[REP_CORE_SLOTS])
{
    memset(slots, 0, REP_CORE_SLOTS * sizeof(*slots));
    slots[core->config.slot / 64] |= UINT64_C(1) << (core->config.slot % 64);
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        const struct core_conn *c = &core->conns[i];

        if (c->state == CORE_LINKED && !c->legacy) {
            slots[c->slot / 64] |= UINT64_C(1) << (c->slot % 64);
        }
    }
}

/* Who heard of our old slot could move to the new one: they dial, or are
 * dialled, again, and compare. Links last: none who waits takes their place. */
static void part_from_others(struct rep_core *core, const struct core_conn *but)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct core_conn *c = &core->conns[i];

        if (c != but &&
            (c->state == CORE_DIALLED || c->state == CORE_WAITING)) {
            core_conn_refuse(core, c, REP_REFUSAL_NONE);
        }
    }
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct core_conn *c = &core->conns[i];

        if (c != but && c->state == CORE_LINKED && !c->legacy) {
            core_link_cut(core, c);
        }
    }
}

static bool is_linked_beside(const struct rep_core *core,
                             const struct core_conn *but)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        const struct core_conn *c = &core->conns[i];

        if (c != but && c->state == CORE_LINKED) {
            return true;
        }
    }
    return false;
}

/* Two nodes of one slot could draw the same version. Of two that meet, the
 * greater run moves. Who has no link yet moves away from a node it has not met,
 * too; one that has leaves that to their meeting, since moving costs links. */
static bool must_move(const struct rep_core *core, const struct core_conn *c)
{
    uint8_t ours = core->config.slot;

    if (c->slot == ours) {
        return core->config.run > c->run;
    }
    return has_slot(c->slots, ours) && !is_linked_beside(core, c);
}

/* Only for one that is taken: who is not moves nobody. */
static void avoid_slot(struct rep_core *core, const struct core_conn *c)
{
    if (must_move(core, c)) {
        part_from_others(core, c);
        core->config.slot = draw_slot(core);
        core_emit(core, REP_DO_SLOT, c->id)->slot = core->config.slot;
    }
}

/* ---- beginnings ------------------------------------------------------ */

static void peer_linked(struct rep_core *core, unsigned peer,
                        const struct core_conn *c)
{
    struct core_peer *p = &core->peers[peer];

    p->backoff = REP_CORE_DIAL_MIN_MS;
    p->absent = false;
    p->next = false;
    p->said = false;
    if (c->dialled) {
        p->state = CORE_DIAL_IDLE;
    }
}

static void link_lines(struct rep_core *core, const struct core_conn *c)
{
    if (!c->dialled) {
        core_print(core, REP_LINE_ACCEPT, c->id);
        return;
    }
    if (!c->loud) {
        core_print(core, REP_LINE_CONNECT, c->id);
    }
    core_print(core, REP_LINE_COPYING, c->id);
}

void core_begin_scan(struct rep_core *core, struct core_conn *c,
                     uint64_t version)
{
    c->scanning = true;
    core_emit(core, REP_DO_SCAN, c->id)->version = version;
}

/* Who is taken for repcached 2.x because it said nothing is told hello all the
 * same: 2.x ignores it, and one of ours whose hello is late learns from it that
 * what follows is not for it. */
static void link_up(struct rep_core *core, struct core_conn *c, bool legacy)
{
    struct rep_action *a;

    core_conn_set_state(core, c, CORE_LINKED);
    if (!legacy) {
        avoid_slot(core, c);
    }
    if (!c->dialled && (!legacy || !c->spoke)) {
        core_emit(core, REP_DO_HELLO, c->id);
    }
    c->legacy = legacy;
    c->firm = !legacy || c->dialled || c->spoke;
    c->heard = core->now;
    c->beat = core->now;
    /* A legacy peer that dialled sends no copy. */
    c->received = legacy && !c->dialled;
    core->said_listening = false;
    if (c->peer != REP_CORE_NO_PEER) {
        peer_linked(core, c->peer, c);
    }
    link_lines(core, c);
    a = core_emit(core, REP_DO_LINK, c->id);
    a->legacy = legacy;
    /* A legacy peer that we dialled takes whatever comes for newer than its
     * own: ours waits until its copy has come, and been compared. */
    if (!legacy) {
        c->scanning = true;
        core_emit(core, REP_DO_CATCH_UP, c->id);
    } else if (c->received) {
        core_begin_scan(core, c, 0);
    }
}

/* `c` is the same node as `other`, of which more may be known. */
static void learn_from(struct core_conn *c, const struct core_conn *other)
{
    if (c->peer == REP_CORE_NO_PEER && other->configured) {
        c->peer = other->peer;
        c->configured = true;
    }
    c->exact = c->exact || (other->exact && other->peer == c->peer);
}

/* Puts `c` in the place of `old`, without the lines of an end. */
static void link_replace(struct rep_core *core, struct core_conn *old,
                         struct core_conn *c)
{
    learn_from(c, old);
    core_emit(core, REP_DO_CLOSE, old->id);
    core_conn_set_state(core, old, CORE_FREE);
    link_up(core, c, false);
}

/* Two connections of one run: both ends must keep the same. */
void core_keep_one(struct rep_core *core, struct core_conn *old,
                   struct core_conn *c)
{
    bool ours_is_lower = core->config.run < c->run;
    bool keep_new = old->dialled == c->dialled || c->dialled == ours_is_lower;

    if (keep_new) {
        link_replace(core, old, c);
        return;
    }
    learn_from(old, c);
    if (old->received) {
        core_note_copied(core, old);
    }
    if (!c->dialled) {
        core_emit(core, REP_DO_HELLO, c->id); /* it may need that proof */
    }
    core_emit(core, REP_DO_CLOSE, c->id);
    if (c->dialled && c->peer != REP_CORE_NO_PEER) {
        core->peers[c->peer].state = CORE_DIAL_IDLE;
    }
    core_conn_set_state(core, c, CORE_FREE);
}

/* An occupant that has to make room for `c` without being asked: one that
 * silence alone brought in, one nobody configured, for a configured one, or one
 * that is not as surely the peer that both say they are. */
static struct core_conn *find_yielding(struct rep_core *core,
                                       const struct core_conn *c)
{
    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct core_conn *old = &core->conns[i];

        if (core_competes(core, c, old) &&
            (!old->firm || (c->configured && !old->configured) ||
             (c->exact && !old->exact && c->peer == old->peer))) {
            return old;
        }
    }
    return NULL;
}

/* Asks the occupants for a sign of life: true if any can give one. */
static bool ask_occupants(struct rep_core *core, const struct core_conn *c)
{
    bool any = false;

    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        struct core_conn *old = &core->conns[i];

        if (core_competes(core, c, old) && !old->legacy) {
            old->asked = true;
            old->beat = core->now;
            core_emit(core, REP_DO_BEAT, old->id);
            any = true;
        }
    }
    return any;
}

static unsigned count_waiting(const struct rep_core *core)
{
    unsigned n = 0;

    for (unsigned i = 0; i < REP_CORE_CONNS; i++) {
        n += core->conns[i].state == CORE_WAITING;
    }
    return n;
}

/* `c` proved to be a peer: a place for it, if there is one. */
void core_admit(struct rep_core *core, struct core_conn *c, bool legacy)
{
    struct core_conn *old;

    if (has_place(core, c)) {
        link_up(core, c, legacy);
        return;
    }
    old = find_yielding(core, c);
    if (old != NULL && (!legacy || c->spoke)) {
        end_link(core, old);
        core_emit(core, REP_DO_CLOSE, old->id);
        link_up(core, c, legacy);
        return;
    }
    if (!legacy && count_waiting(core) < CORE_WAITERS &&
        ask_occupants(core, c)) {
        core_conn_set_state(core, c, CORE_WAITING);
        return;
    }
    core_turn_away(core, c);
}
