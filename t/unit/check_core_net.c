/* The decisions of replication on a model network, in virtual time: two nodes
 * and random schedules of what can happen to them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "rep/core.h"

#define TIMEOUT 5000

#define CONNS  400
#define EVENTS 4096

enum what { TO_CORE, DIAL_ARRIVES, MESSAGE };
enum message { M_HELLO, M_COPY, M_BEAT, M_FIN };

struct node {
    struct rep_core *core;
    uint64_t run, timer;
    unsigned life; /* counts restarts */
    unsigned dial; /* counts dials: a cancelled one arrives in vain */
    bool alive, dials, serving, knows_peer;
};

struct end {
    unsigned life; /* of the node, when it opened */
    bool open, linked, legacy, copied_in;
    uint64_t free_at;        /* of the next message */
    unsigned sent;           /* messages */
    uint8_t held[16], nheld; /* came before the link was up */
};

static struct {
    struct node node[2];
    struct end end[CONNS][2]; /* by node */
    unsigned nconns;
    bool cut; /* nothing gets through */
    uint64_t now, random;
    struct event {
        uint64_t at;
        enum what what;
        unsigned node, life, conn, serial;
        struct rep_event ev;
        enum message message;
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

static void send_message(unsigned from, unsigned conn, enum message message)
{
    struct end *e = &net.end[conn][from];
    struct event *ev;

    e->free_at = (e->free_at > net.now ? e->free_at : net.now) + 1 + chance(20);
    ev = schedule(e->free_at, MESSAGE, !from);
    ev->serial = ++e->sent;
    ev->conn = conn;
    ev->message = message;
}

static void net_close(unsigned n, unsigned conn)
{
    if (net.end[conn][n].open) {
        net.end[conn][n].open = false;
        net.end[conn][n].linked = false;
        send_message(n, conn, M_FIN);
    }
}

static void net_receive(unsigned n, unsigned conn, enum message message)
{
    struct end *e = &net.end[conn][n];

    if (!e->open) {
        return;
    }
    if (message == M_FIN) {
        e->open = false;
        e->linked = false;
        net_step(n, (struct rep_event){.kind = REP_EV_CLOSED, .conn = conn});
        return;
    }
    if (message != M_HELLO && !e->linked) {
        ck_assert_uint_lt(e->nheld, sizeof(e->held));
        e->held[e->nheld++] = (uint8_t)message;
        return;
    }
    net_step(n, (struct rep_event){.kind = REP_EV_HEARD, .conn = conn});
    if (message == M_HELLO) {
        net_step(n, (struct rep_event){.kind = REP_EV_HELLO,
                                       .conn = conn,
                                       .run = net.node[!n].run,
                                       .slot = (uint8_t)!n});
    } else if (message == M_COPY && e->open) {
        e->copied_in = true;
        net_step(
            n, (struct rep_event){.kind = REP_EV_COPY_RECEIVED, .conn = conn});
    }
}

static void net_link(unsigned n, unsigned conn)
{
    struct end *e = &net.end[conn][n];

    e->linked = true;
    for (unsigned i = 0; i < e->nheld; i++) {
        struct event *ev = schedule(net.now + i, MESSAGE, n);

        ev->conn = conn;
        ev->message = (enum message)e->held[i];
    }
    e->nheld = 0;
}

static void net_later(unsigned n, uint64_t ms, enum rep_event_kind kind,
                      unsigned conn)
{
    struct event *e = schedule(net.now + ms, TO_CORE, n);

    e->ev = (struct rep_event){.kind = kind, .conn = conn};
}

static void net_do(unsigned n, const struct rep_action *a)
{
    struct node *node = &net.node[n];

    switch (a->kind) {
    case REP_DO_DIAL:
        schedule(net.now + 1 + chance(20), DIAL_ARRIVES, n)->serial =
            ++node->dial;
        return;
    case REP_DO_UNDIAL:
        node->dial++;
        return;
    case REP_DO_CLOSE:
        net_close(n, a->conn);
        return;
    case REP_DO_HELLO:
        send_message(n, a->conn, M_HELLO);
        return;
    case REP_DO_LINK:
        /* Legacy: a cut held its hello up; that will end this link. */
        net.end[a->conn][n].legacy = a->legacy;
        net_link(n, a->conn);
        return;
    case REP_DO_SCAN:
        net_later(n, chance(200), REP_EV_SCAN_DONE, a->conn);
        return;
    case REP_DO_ANNOUNCE:
        if (!net.end[a->conn][n].legacy) {
            send_message(n, a->conn, M_COPY);
        }
        return;
    case REP_DO_BEAT:
        send_message(n, a->conn, M_BEAT);
        return;
    case REP_DO_SERVE:
        ck_assert(!node->serving);
        node->serving = true;
        return;
    case REP_DO_TIMER:
        node->timer = a->at;
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
                                     .peers = node->dials ? 1 : 0,
                                     .slot = (uint8_t)n};

    rep_core_free(node->core);
    node->core = rep_core_new(&config);
    ck_assert_ptr_nonnull(node->core);
    node->run = run;
    node->timer = 0;
    node->serving = false;
    node->alive = true;
    node->life++;
    node->dial++;
    node->knows_peer = node->dials && chance(2) == 0;
    net_step(n, (struct rep_event){.kind = REP_EV_START});
}

/* A crash; the kernel of a host that lives on says so to the other side. */
static void net_kill(unsigned n, bool host_too)
{
    net.node[n].alive = false;
    net.node[n].timer = 0;
    net.node[n].life++;
    for (unsigned i = 1; i <= net.nconns; i++) {
        if (host_too) {
            net.end[i][n].open = false;
            net.end[i][n].linked = false;
        } else {
            net_close(n, i);
        }
    }
}

static void net_dial_arrives(unsigned n, unsigned serial)
{
    struct rep_event ev = {.kind = REP_EV_CONNECTED, .addr = 1};
    unsigned conn;

    if (serial != net.node[n].dial) {
        return;
    }
    if (net.cut || !net.node[!n].alive) {
        ev.kind = REP_EV_DIAL_FAILED;
        ev.cause = net.cut ? REP_SILENT : REP_REFUSED;
        net_step(n, ev);
        return;
    }
    conn = ++net.nconns;
    ck_assert_uint_lt(conn, CONNS);
    memset(net.end[conn], 0, sizeof(net.end[conn]));
    net.end[conn][0].open = true;
    net.end[conn][1].open = true;
    net_step(!n, (struct rep_event){.kind = REP_EV_ACCEPTED,
                                    .conn = conn,
                                    .addr = 1,
                                    .configured = net.node[!n].knows_peer,
                                    .trusted = net.node[!n].knows_peer});
    ev.conn = conn;
    net_step(n, ev);
}

/* A connection keeps its order, and what a cut held up comes after it. */
static bool net_hold_up(struct event e)
{
    uint64_t at = net.cut ? net.now + 50 : net.now;
    bool first = !net.cut;
    struct event *again;

    for (unsigned i = 0; i < net.nqueue; i++) {
        const struct event *other = &net.queue[i];

        if (other->what == MESSAGE && other->node == e.node &&
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
    switch (e.what) {
    case TO_CORE:
        if (e.life == net.node[e.node].life &&
            net.end[e.ev.conn][e.node].open) {
            net_step(e.node, e.ev);
        }
        return;
    case DIAL_ARRIVES:
        if (e.life == net.node[e.node].life) {
            net_dial_arrives(e.node, e.serial);
        }
        return;
    case MESSAGE:
        if (!net.end[e.conn][e.node].open) {
            return; /* a reset would answer; the sender finds out by silence */
        }
        if (!net_hold_up(e)) {
            net_receive(e.node, e.conn, e.message);
        }
        return;
    }
}

/* The next thing to happen: an event, or a node's timer. */
static bool net_next(uint64_t end)
{
    unsigned first = net.nqueue;
    uint64_t at = end + 1;
    unsigned ticks = 2;
    struct event e;

    for (unsigned i = 0; i < net.nqueue; i++) {
        if (net.queue[i].at < at) {
            at = net.queue[i].at;
            first = i;
        }
    }
    for (unsigned n = 0; n < 2; n++) {
        if (net.node[n].timer != 0 && net.node[n].timer < at) {
            at = net.node[n].timer;
            ticks = n;
        }
    }
    if (ticks < 2) {
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

static uint64_t new_run(unsigned n, bool swapped)
{
    return (chance(1 << 20) << 2) + 2 + (n ^ (swapped ? 1U : 0U));
}

static void net_begin(uint64_t seed, bool a_dials, bool b_dials)
{
    memset(&net, 0, sizeof(net));
    net.now = 1000;
    net.random = seed * 0x9e3779b97f4a7c15U + 1;
    net.node[0].dials = a_dials;
    net.node[1].dials = b_dials;
}

static void net_end(void)
{
    rep_core_free(net.node[0].core);
    rep_core_free(net.node[1].core);
    memset(&net, 0, sizeof(net));
}

/* Linked once, on the same connection, both copies done. */
static void assert_one_link(uint64_t seed)
{
    unsigned links = 0;

    for (unsigned n = 0; n < 2; n++) {
        ck_assert_msg(rep_core_status(net.node[n].core) == REP_LINKED,
                      "seed %llu: node %u is not linked",
                      (unsigned long long)seed, n);
        ck_assert_msg(net.node[n].serving, "seed %llu: node %u does not serve",
                      (unsigned long long)seed, n);
    }
    for (unsigned i = 1; i <= net.nconns; i++) {
        struct end *e = net.end[i];

        ck_assert_msg(e[0].open == e[1].open && e[0].linked == e[1].linked &&
                          e[0].open == e[0].linked,
                      "seed %llu: connection %u is half open",
                      (unsigned long long)seed, i);
        links += e[0].linked;
        ck_assert(!e[0].linked || (e[0].copied_in && e[1].copied_in));
    }
    ck_assert_msg(links == 1, "seed %llu: %u links", (unsigned long long)seed,
                  links);
}

START_TEST(simultaneous_starts_link_within_two_seconds)
{
    for (uint64_t seed = 1; seed <= 500; seed++) {
        for (unsigned swapped = 0; swapped < 2; swapped++) {
            net_begin(seed, true, true);
            net_start(0, swapped ? 9 : 5);
            net_run(chance(10));
            net_start(1, swapped ? 5 : 9);
            net_run(2000);
            assert_one_link(seed);
            net_end();
        }
    }
}
END_TEST

static void random_fault(bool swapped)
{
    unsigned n = (unsigned)chance(2);

    switch (chance(6)) {
    case 0: /* a reset */
        if (net.nconns > 0) {
            net_step(n, (struct rep_event){.kind = REP_EV_CLOSED,
                                           .conn = net.nconns});
            net_close(n, net.nconns);
        }
        break;
    case 1:
        net_kill(n, false);
        net_run(chance(300));
        net_start(n, new_run(n, swapped));
        break;
    case 2: /* power loss: nobody says so */
        net_kill(n, true);
        net_start(n, new_run(n, swapped));
        break;
    case 3:
        net.cut = true;
        break;
    default:
        net.cut = false;
        break;
    }
}

START_TEST(random_schedules_end_linked_once)
{
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        bool swapped = (seed & 1) != 0;
        unsigned dials = (unsigned)(seed / 2 % 3) + 1;

        net_begin(seed, (dials & 1) != 0, (dials & 2) != 0);
        net_start(0, new_run(0, swapped));
        net_start(1, new_run(1, swapped));
        for (int i = 0; i < 12; i++) {
            net_run(chance(2500));
            random_fault(swapped);
        }
        net.cut = false;
        net_run(20000);
        assert_one_link(seed);
        net_end();
    }
}
END_TEST

/* A restarted node answers no client before its peer's copy is there. */
START_TEST(restarted_node_is_complete_before_it_serves)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        unsigned n = (unsigned)(seed & 1);
        unsigned before;

        net_begin(seed, true, true);
        net_start(0, new_run(0, false));
        net_start(1, new_run(1, false));
        net_run(3000);
        assert_one_link(seed);
        net_kill(n, false);
        before = net.nconns;
        net_start(n, new_run(n, false));
        for (int ms = 0; ms < 3000 && !net.node[n].serving; ms++) {
            net_run(1);
        }
        ck_assert(net.node[n].serving);
        bool copied = false;
        for (unsigned i = before + 1; i <= net.nconns; i++) {
            copied = copied || net.end[i][n].copied_in;
        }
        ck_assert_msg(copied, "seed %llu", (unsigned long long)seed);
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
    tcase_add_test(model, random_schedules_end_linked_once);
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
