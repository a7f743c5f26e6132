/* The decisions of replication on a model network, in virtual time: some nodes
 * and random schedules of what can happen to them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "rep/core.h"

#define TIMEOUT 5000

#define NODES  4
#define CONNS  3000
#define EVENTS 4096

enum what { TO_CORE, DIAL_ARRIVES, MESSAGE };
enum message { M_HELLO, M_LINES, M_COPY, M_BEAT, M_PONG, M_FIN };

/* What a node can tell of who dials in. */
enum sight { NOTHING, ONE_OF_THEM, THE_ADDRESS, ALL };

struct node {
    struct rep_core *core;
    uint64_t run, timer;
    unsigned life; /* counts restarts */
    unsigned peer[NODES], npeers;
    unsigned dial[NODES]; /* counts: a cancelled one arrives in vain */
    enum sight sight;
    enum rep_refusal refused; /* the last word it was turned away with */
    bool alive, serving;
};

/* Side 0 dialled, side 1 accepted. */
struct end {
    unsigned node;
    bool open, linked, legacy, copied_in, heard_hello;
    uint64_t free_at;        /* of the next message */
    unsigned sent;           /* messages */
    uint8_t held[16], nheld; /* came before the link was up */
};

static struct {
    unsigned nodes;
    struct node node[NODES];
    struct end end[CONNS][2];
    unsigned nconns;
    bool cut;       /* nothing gets through */
    unsigned sharp; /* the least that nodes can tell */
    uint64_t now, random;
    struct event {
        uint64_t at;
        enum what what;
        unsigned node, life, conn, side, serial, peer;
        struct rep_event ev;
        enum message message;
        enum rep_refusal refusal;
    } queue[EVENTS];
    unsigned nqueue;
} net;

static uint64_t chance(uint64_t below)
{
    net.random ^= net.random << 13;
    net.random ^= net.random >> 7;
    net.random ^= net.random << 17;
    return net.random % below;
}

static struct event *schedule(uint64_t at, enum what what, unsigned node)
{
    struct event *e = &net.queue[net.nqueue++];

    ck_assert_uint_lt(net.nqueue, EVENTS);
    memset(e, 0, sizeof(*e));
    e->at = at;
    e->what = what;
    e->node = node;
    e->life = net.node[node].life;
    return e;
}

static void net_step(unsigned n, struct rep_event ev);

/* ---- connections ------------------------------------------------------ */

static struct event *send_message(unsigned conn, unsigned from,
                                  enum message message)
{
    struct end *e = &net.end[conn][from];
    struct event *ev;

    e->free_at = (e->free_at > net.now ? e->free_at : net.now) + 1 + chance(20);
    ev = schedule(e->free_at, MESSAGE, net.end[conn][!from].node);
    ev->serial = ++e->sent;
    ev->conn = conn;
    ev->side = !from;
    ev->message = message;
    return ev;
}

static void net_close(unsigned conn, unsigned side, enum rep_refusal refusal)
{
    struct end *e = &net.end[conn][side];

    if (e->open) {
        e->open = false;
        e->linked = false;
        send_message(conn, side, M_FIN)->refusal = refusal;
    }
}

static void net_ended(unsigned conn, unsigned side, enum rep_refusal refusal)
{
    struct end *e = &net.end[conn][side];

    e->open = false;
    e->linked = false;
    if (refusal != REP_REFUSAL_NONE) {
        net.node[e->node].refused = refusal;
    }
    net_step(e->node, (struct rep_event){.kind = REP_EV_CLOSED,
                                         .conn = conn,
                                         .refusal = refusal});
}

static unsigned peer_number(const struct node *node, unsigned other)
{
    for (unsigned i = 0; i < node->npeers; i++) {
        if (node->peer[i] == other) {
            return i;
        }
    }
    return REP_CORE_NO_PEER;
}

/* Whom `n` takes the dialling side of `conn` for, once its hello is there. */
static void net_identify(unsigned n, unsigned conn, struct rep_event *ev)
{
    const struct node *node = &net.node[n];
    unsigned peer = peer_number(node, net.end[conn][0].node);
    bool hello = ev->kind == REP_EV_HELLO;

    ev->peer = REP_CORE_NO_PEER;
    if (peer == REP_CORE_NO_PEER || node->sight == NOTHING) {
        return;
    }
    ev->configured = true;
    if (node->sight == THE_ADDRESS || (node->sight == ALL && hello)) {
        ev->peer = peer;
        ev->exact = node->sight == ALL;
    }
}

static void net_hello(unsigned n, unsigned conn, unsigned side)
{
    struct rep_event ev = {.kind = REP_EV_HELLO, .conn = conn};
    const struct node *from = &net.node[net.end[conn][!side].node];

    net.end[conn][side].heard_hello = true;
    ev.run = from->run;
    ev.slot = (uint8_t)net.end[conn][!side].node;
    if (side == 1) {
        net_identify(n, conn, &ev);
    }
    net_step(n, ev);
}

static void net_receive(unsigned conn, unsigned side, const struct event *msg)
{
    struct end *e = &net.end[conn][side];

    if (!e->open) {
        return;
    }
    if (msg->message == M_FIN) {
        net_ended(conn, side, msg->refusal);
        return;
    }
    /* Who dialled never takes a node of ours for repcached 2.x. */
    ck_assert(msg->message != M_LINES || side == 1 || e->heard_hello);
    if (msg->message != M_HELLO && !e->linked) {
        ck_assert_uint_lt(e->nheld, sizeof(e->held));
        e->held[e->nheld++] = (uint8_t)msg->message;
        return;
    }
    net_step(e->node, (struct rep_event){.kind = REP_EV_HEARD, .conn = conn});
    if (msg->message == M_BEAT && e->open) {
        send_message(conn, side, M_PONG);
    } else if (msg->message == M_HELLO) {
        net_hello(e->node, conn, side);
    } else if (msg->message == M_LINES && e->open) {
        net_close(conn, side, REP_REFUSAL_NONE);
        net_ended(conn, side, REP_REFUSAL_NONE);
    } else if (msg->message == M_COPY && e->open) {
        e->copied_in = true;
        net_step(e->node, (struct rep_event){.kind = REP_EV_COPY_RECEIVED,
                                             .conn = conn});
    }
}

static void net_link(unsigned conn, unsigned side, bool legacy)
{
    struct end *e = &net.end[conn][side];

    e->linked = true;
    e->legacy = legacy;
    if (legacy) {
        send_message(conn, side, M_LINES);
    }
    for (unsigned i = 0; i < e->nheld; i++) {
        struct event *ev = schedule(net.now + i, MESSAGE, e->node);

        ev->conn = conn;
        ev->side = side;
        ev->message = (enum message)e->held[i];
    }
    e->nheld = 0;
}

/* ---- nodes ------------------------------------------------------------ */

static void net_do_on_conn(unsigned n, const struct rep_action *a)
{
    unsigned side = net.end[a->conn][0].node == n ? 0 : 1;
    struct event *e;

    if (a->kind == REP_DO_CLOSE) {
        net_close(a->conn, side, a->refusal);
    } else if (a->kind == REP_DO_HELLO) {
        send_message(a->conn, side, M_HELLO);
    } else if (a->kind == REP_DO_LINK) {
        net_link(a->conn, side, a->legacy);
    } else if (a->kind == REP_DO_SCAN || a->kind == REP_DO_CATCH_UP) {
        e = schedule(net.now + chance(200), TO_CORE, n);
        e->side = side;
        e->ev = (struct rep_event){.kind = REP_EV_SCAN_DONE, .conn = a->conn};
    } else if (a->kind == REP_DO_ANNOUNCE) {
        if (!net.end[a->conn][side].legacy) {
            send_message(a->conn, side, M_COPY);
        }
    } else if (a->kind == REP_DO_BEAT) {
        send_message(a->conn, side, M_BEAT);
    }
}

static void net_do(unsigned n, const struct rep_action *a)
{
    struct node *node = &net.node[n];
    struct event *e;

    switch (a->kind) {
    case REP_DO_DIAL:
        e = schedule(net.now + 1 + chance(20), DIAL_ARRIVES, n);
        e->peer = a->peer;
        e->serial = ++node->dial[a->peer];
        return;
    case REP_DO_UNDIAL:
        node->dial[a->peer]++;
        return;
    case REP_DO_SERVE:
        ck_assert(!node->serving);
        node->serving = true;
        return;
    case REP_DO_TIMER:
        node->timer = a->at;
        return;
    case REP_DO_CLOSE:
    case REP_DO_HELLO:
    case REP_DO_LINK:
    case REP_DO_CATCH_UP:
    case REP_DO_SCAN:
    case REP_DO_ANNOUNCE:
    case REP_DO_BEAT:
        net_do_on_conn(n, a);
        return;
    case REP_DO_LISTENING:
    case REP_DO_SLOT:
    case REP_DO_PRINT:
    case REP_DO_DRAIN:
    case REP_DO_END:
        return;
    }
}

static void net_step(unsigned n, struct rep_event ev)
{
    struct rep_action actions[REP_CORE_ACTIONS];
    size_t count = 0;
    const struct rep_action *a =
        rep_core_step(net.node[n].core, &ev, net.now, &count);

    memcpy(actions, a, count * sizeof(*a));
    for (size_t i = 0; i < count; i++) {
        net_do(n, &actions[i]);
    }
}

static void net_start(unsigned n, uint64_t run)
{
    struct node *node = &net.node[n];
    struct rep_core_config config = {.run = run,
                                     .seed = chance(1 << 30),
                                     .timeout = TIMEOUT,
                                     .peers = node->npeers,
                                     .slot = (uint8_t)n};

    rep_core_free(node->core);
    node->core = rep_core_new(&config);
    ck_assert_ptr_nonnull(node->core);
    node->run = run;
    node->timer = 0;
    node->serving = false;
    node->alive = true;
    node->life++;
    node->sight = (enum sight)(net.sharp + chance(4 - net.sharp));
    net_step(n, (struct rep_event){.kind = REP_EV_START});
}

/* A crash; the kernel of a host that lives on says so to the other side. */
static void net_kill(unsigned n, bool host_too)
{
    net.node[n].alive = false;
    net.node[n].timer = 0;
    net.node[n].life++;
    for (unsigned i = 1; i <= net.nconns; i++) {
        for (unsigned side = 0; side < 2; side++) {
            struct end *e = &net.end[i][side];

            if (e->node == n && host_too) {
                e->open = false;
                e->linked = false;
            } else if (e->node == n) {
                net_close(i, side, REP_REFUSAL_NONE);
            }
        }
    }
}

static void net_dial_arrives(unsigned n, unsigned peer)
{
    unsigned to = net.node[n].peer[peer];
    struct rep_event ev = {
        .kind = REP_EV_CONNECTED, .peer = peer, .addr = to + 1};
    struct rep_event in = {.kind = REP_EV_ACCEPTED, .addr = n + 1};

    if (net.cut || !net.node[to].alive) {
        ev.kind = REP_EV_DIAL_FAILED;
        ev.cause = net.cut ? REP_SILENT : REP_REFUSED;
        net_step(n, ev);
        return;
    }
    ev.conn = ++net.nconns;
    ck_assert_uint_lt(ev.conn, CONNS);
    memset(net.end[ev.conn], 0, sizeof(net.end[ev.conn]));
    net.end[ev.conn][0] = (struct end){.node = n, .open = true};
    net.end[ev.conn][1] = (struct end){.node = to, .open = true};
    in.conn = ev.conn;
    net_identify(to, ev.conn, &in);
    in.trusted = in.configured;
    net_step(to, in);
    net_step(n, ev);
}

/* ---- time ------------------------------------------------------------- */

/* A connection keeps its order, and what a cut held up comes after it. */
static bool net_hold_up(struct event e)
{
    uint64_t at = net.cut ? net.now + 50 : net.now;
    bool first = !net.cut;
    struct event *again;

    for (unsigned i = 0; i < net.nqueue; i++) {
        const struct event *other = &net.queue[i];

        if (other->what == MESSAGE && other->side == e.side &&
            other->conn == e.conn && other->serial < e.serial) {
            at = other->at > at ? other->at : at;
            first = false;
        }
    }
    if (first) {
        return false;
    }
    again = schedule(at, MESSAGE, e.node);
    *again = e;
    again->at = at;
    return true;
}

static void net_deliver(struct event e)
{
    const struct node *node = &net.node[e.node];

    switch (e.what) {
    case TO_CORE:
        if (e.life == node->life && net.end[e.ev.conn][e.side].open) {
            net_step(e.node, e.ev);
        }
        return;
    case DIAL_ARRIVES:
        if (e.life == node->life && e.serial == node->dial[e.peer]) {
            net_dial_arrives(e.node, e.peer);
        }
        return;
    case MESSAGE:
        /* To a closed end: a reset would answer; silence tells, too. */
        if (net.end[e.conn][e.side].open && !net_hold_up(e)) {
            net_receive(e.conn, e.side, &e);
        }
        return;
    }
}

/* The next thing to happen: an event, or a node's timer. */
static bool net_next(uint64_t end)
{
    unsigned first = net.nqueue;
    uint64_t at = end + 1;
    unsigned ticks = NODES;
    struct event e;

    for (unsigned i = 0; i < net.nqueue; i++) {
        if (net.queue[i].at < at) {
            at = net.queue[i].at;
            first = i;
        }
    }
    for (unsigned n = 0; n < net.nodes; n++) {
        if (net.node[n].timer != 0 && net.node[n].timer < at) {
            at = net.node[n].timer;
            ticks = n;
        }
    }
    if (ticks < NODES) {
        net.now = at > net.now ? at : net.now;
        net.node[ticks].timer = 0;
        net_step(ticks, (struct rep_event){.kind = REP_EV_TICK});
        return true;
    }
    if (first == net.nqueue) {
        return false;
    }
    e = net.queue[first];
    /* Keeps the order of what happens at one moment. */
    memmove(&net.queue[first], &net.queue[first + 1],
            (net.nqueue - first - 1) * sizeof(e));
    net.nqueue--;
    net.now = e.at > net.now ? e.at : net.now;
    net_deliver(e);
    return true;
}

static void net_run(uint64_t ms)
{
    uint64_t end = net.now + ms;

    while (net_next(end)) {
    }
    net.now = end;
}

/* ---- what is checked -------------------------------------------------- */

static uint64_t new_run(unsigned n)
{
    return (chance(1 << 20) << 2) + NODES + n;
}

static void net_begin(uint64_t seed, unsigned nodes)
{
    memset(&net, 0, sizeof(net));
    net.nodes = nodes;
    net.now = 1000;
    net.random = seed * 0x9e3779b97f4a7c15U + 1;
}

static void net_dials(unsigned n, unsigned other)
{
    net.node[n].peer[net.node[n].npeers++] = other;
}

static void begin_pair(uint64_t seed, bool a_dials, bool b_dials)
{
    net_begin(seed, 2);
    if (a_dials) {
        net_dials(0, 1);
    }
    if (b_dials) {
        net_dials(1, 0);
    }
}

static void begin_mesh(uint64_t seed, unsigned nodes)
{
    net_begin(seed, nodes);
    for (unsigned n = 0; n < nodes; n++) {
        for (unsigned i = 1; i < nodes; i++) {
            net_dials(n, (n + i) % nodes);
        }
    }
}

/* Node 0 dials all others; some of them dial it. */
static void begin_star(uint64_t seed)
{
    net_begin(seed, NODES);
    for (unsigned n = 1; n < NODES; n++) {
        net_dials(0, n);
        if (chance(2) == 0) {
            net_dials(n, 0);
        }
    }
}

/* Two who dial each other, and one whom neither of them names. They can tell
 * a peer by its address, or the one who came first would stay. */
static void begin_stranger(uint64_t seed)
{
    begin_pair(seed, true, true);
    net.nodes = 3;
    net.sharp = ONE_OF_THEM;
    net_dials(2, 0);
    net_dials(2, 1);
}

static void net_end(void)
{
    for (unsigned n = 0; n < NODES; n++) {
        rep_core_free(net.node[n].core);
    }
    memset(&net, 0, sizeof(net));
}

static unsigned count_links(uint64_t seed, unsigned a, unsigned b)
{
    unsigned links = 0;

    for (unsigned i = 1; i <= net.nconns; i++) {
        const struct end *e = net.end[i];

        if (!(e[0].node == a && e[1].node == b) &&
            !(e[0].node == b && e[1].node == a)) {
            continue;
        }
        ck_assert_msg(e[0].linked == e[1].linked &&
                          (!e[0].linked || (e[0].copied_in && e[1].copied_in)),
                      "seed %llu: connection %u is half a link",
                      (unsigned long long)seed, i);
        links += e[0].linked;
    }
    return links;
}

/* Who names another, or is named by it, has one link with it. */
static void assert_all_linked(uint64_t seed, unsigned nodes)
{
    for (unsigned n = 0; n < nodes; n++) {
        ck_assert_msg(rep_core_status(net.node[n].core) == REP_LINKED,
                      "seed %llu: node %u is not linked",
                      (unsigned long long)seed, n);
        ck_assert_msg(net.node[n].serving, "seed %llu: node %u does not serve",
                      (unsigned long long)seed, n);
        for (unsigned other = n + 1; other < nodes; other++) {
            bool named = peer_number(&net.node[n], other) != REP_CORE_NO_PEER ||
                         peer_number(&net.node[other], n) != REP_CORE_NO_PEER;

            ck_assert_msg(count_links(seed, n, other) == named,
                          "seed %llu: %u links of %u and %u",
                          (unsigned long long)seed, count_links(seed, n, other),
                          n, other);
        }
    }
}

static void random_fault(void)
{
    unsigned n = (unsigned)chance(net.nodes);
    unsigned conn = net.nconns - (unsigned)chance(net.nodes);

    switch (chance(6)) {
    case 0: /* a reset */
        if (conn > 0 && conn <= net.nconns) {
            unsigned side = (unsigned)chance(2);

            net_close(conn, side, REP_REFUSAL_NONE);
            net_step(net.end[conn][side].node,
                     (struct rep_event){.kind = REP_EV_CLOSED, .conn = conn});
        }
        break;
    case 1:
        net_kill(n, false);
        net_run(chance(300));
        net_start(n, new_run(n));
        break;
    case 2: /* power loss: nobody says so */
        net_kill(n, true);
        net_start(n, new_run(n));
        break;
    case 3:
        net.cut = true;
        break;
    default:
        net.cut = false;
        break;
    }
}

/* Starts all, lets faults happen, and gives them time to recover. */
static void live_through(unsigned faults)
{
    for (unsigned n = 0; n < net.nodes; n++) {
        net_start(n, new_run(n));
    }
    for (unsigned i = 0; i < faults; i++) {
        net_run(chance(2500));
        random_fault();
    }
    net.cut = false;
    net_run(20000);
}

START_TEST(simultaneous_starts_link_within_two_seconds)
{
    for (uint64_t seed = 1; seed <= 500; seed++) {
        for (unsigned swapped = 0; swapped < 2; swapped++) {
            begin_pair(seed, true, true);
            net_start(0, swapped ? 9 : 5);
            net_run(chance(10));
            net_start(1, swapped ? 5 : 9);
            net_run(2000);
            assert_all_linked(seed, 2);
            net_end();
        }
    }
}
END_TEST

START_TEST(simultaneous_mesh_links_within_two_seconds)
{
    for (uint64_t seed = 1; seed <= 500; seed++) {
        begin_mesh(seed, 3 + seed % 2);
        for (unsigned n = 0; n < net.nodes; n++) {
            net_start(n, new_run(n));
            net_run(chance(10));
        }
        net_run(2000);
        assert_all_linked(seed, net.nodes);
        net_end();
    }
}
END_TEST

START_TEST(random_schedules_end_linked_once)
{
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        unsigned dials = (unsigned)(seed / 2 % 3) + 1;

        begin_pair(seed, (dials & 1) != 0, (dials & 2) != 0);
        live_through(12);
        assert_all_linked(seed, 2);
        net_end();
    }
}
END_TEST

START_TEST(random_schedules_of_a_mesh_end_linked)
{
    for (uint64_t seed = 1; seed <= 700; seed++) {
        begin_mesh(seed, 3 + seed % 2);
        live_through(12);
        assert_all_linked(seed, net.nodes);
        net_end();
    }
}
END_TEST

START_TEST(random_schedules_of_a_star_end_linked)
{
    for (uint64_t seed = 1; seed <= 700; seed++) {
        begin_star(seed);
        live_through(12);
        assert_all_linked(seed, net.nodes);
        net_end();
    }
}
END_TEST

START_TEST(stranger_never_keeps_a_place_of_a_pair)
{
    for (uint64_t seed = 1; seed <= 700; seed++) {
        begin_stranger(seed);
        live_through(12);
        assert_all_linked(seed, 2);
        ck_assert_uint_eq(count_links(seed, 0, 2), 0);
        ck_assert_uint_eq(count_links(seed, 1, 2), 0);
        ck_assert_int_eq(rep_core_status(net.node[2].core), REP_DIALING);
        ck_assert_int_eq(net.node[2].refused, REP_REFUSAL_STRANGER);
        net_end();
    }
}
END_TEST

/* A restarted node answers no client before the copy of everybody is there. */
START_TEST(restarted_node_is_complete_before_it_serves)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        unsigned nodes = 2 + (unsigned)seed % 3;
        unsigned n = (unsigned)chance(nodes);
        unsigned before, copies = 0;

        begin_mesh(seed, nodes);
        live_through(0);
        net_run(3000);
        assert_all_linked(seed, nodes);
        net_kill(n, false);
        before = net.nconns;
        net_start(n, new_run(n));
        for (int ms = 0; ms < 3000 && !net.node[n].serving; ms++) {
            net_run(1);
        }
        ck_assert(net.node[n].serving);
        for (unsigned i = before + 1; i <= net.nconns; i++) {
            for (unsigned side = 0; side < 2; side++) {
                const struct end *e = &net.end[i][side];

                copies += e->node == n && e->copied_in;
            }
        }
        ck_assert_msg(copies >= nodes - 1, "seed %llu",
                      (unsigned long long)seed);
        net_end();
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("core_net");
    TCase *model = tcase_create("model");

    tcase_set_timeout(model, 120);
    tcase_add_test(model, simultaneous_starts_link_within_two_seconds);
    tcase_add_test(model, simultaneous_mesh_links_within_two_seconds);
    tcase_add_test(model, random_schedules_end_linked_once);
    tcase_add_test(model, random_schedules_of_a_mesh_end_linked);
    tcase_add_test(model, random_schedules_of_a_star_end_linked);
    tcase_add_test(model, stranger_never_keeps_a_place_of_a_pair);
    tcase_add_test(model, restarted_node_is_complete_before_it_serves);
    suite_add_tcase(s, model);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(suite());
    int failed;

    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
