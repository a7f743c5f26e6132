/* A schedule: what a seed makes of clients, network, crashes and time. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "sim.h"
#include "store_meta.h"

#define HEAL_MS   25000 /* everything heals within */
#define QUIET_MS  4000  /* then nothing is sent for so long */
#define PATIENT   16    /* one schedule of so many takes all of HEAL_MS */
#define IDLE_MS   1000  /* then everybody has a turn all the same */
#define STEPS_MAX 20000

struct sim_plan sim_plan;

/* What the present dialect cannot keep: when a schedule has all of `with`,
 * `without` is taken out of it. */
static const struct limit {
    unsigned with, without;
    const char *why;
} limits[] = {
    {SIM_TRUSTED, SIM_TRUSTED, "the legacy dialect draws new versions"},
    {SIM_CHAIN | SIM_FEW_FLOORS, SIM_FEW_FLOORS,
     "what was missed is told the neighbour alone"},
    {SIM_CHAIN | SIM_CRASH, SIM_EVICT | SIM_EXPIRE,
     "the same of what the middle acknowledged before it died"},
};

static bool are_beside(unsigned a, unsigned b)
{
    return !sim_has(SIM_CHAIN) || a == b + 1;
}

/* Who dials whom; node 1 is the middle of a chain. */
static void draw_dials(struct sim_plan *p)
{
    for (unsigned a = 0; a < p->nodes; a++) {
        if (sim_has(SIM_SKEW)) {
            p->skew[a] = (int64_t)sim_below(60000);
        }
        for (unsigned b = 0; b < a; b++) {
            unsigned who = p->nodes > 2 ? 3 : 1 + sim_below(3);

            who = are_beside(a, b) ? who : 0;
            p->dials[a] |= (who & 1) << b;
            p->dials[b] |= (who >> 1) << a;
        }
    }
}

void sim_plan_make(uint64_t seed, unsigned allowed)
{
    struct sim_plan *p = &sim_plan;

    *p = (struct sim_plan){.seed = seed};
    /* A schedule of few features says more when it fails. */
    p->features = (unsigned)sim_random() & (unsigned)sim_random();
    if (sim_chance(50)) {
        p->features |= (unsigned)sim_random();
    }
    p->features &= SIM_ALL & allowed;
    if (!sim_has(SIM_MESH)) {
        p->features &= ~(unsigned)SIM_CHAIN;
    }
    /* Most is asked of one whose middle has no room, and lives. */
    if (sim_has(SIM_CHAIN) && sim_chance(50)) {
        p->features |= (SIM_EVICT | SIM_OVERRUN) & allowed;
        p->features &= ~(unsigned)(SIM_CRASH | SIM_FLUSH | SIM_FLUSH_LATER);
    }
    /* Where more is lost than the log holds floors go by their hash. */
    if (sim_has(SIM_KEEP) && sim_chance(50)) {
        p->features |= SIM_OVERRUN & allowed;
    }
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if ((p->features & limits[i].with) == limits[i].with) {
            p->features &= ~limits[i].without;
        }
    }
    p->nodes = sim_has(SIM_MESH) ? 3 : 2;
    p->keys = 1 + sim_below(SIM_KEYS);
    p->steps = 20 + sim_below(sim_chance(20) ? 600 : 200);
    draw_dials(p);
}

/* ---- clients ----------------------------------------------------------------
 */

static uint32_t draw_expiry(void)
{
    if (!sim_has(SIM_EXPIRE) || sim_chance(50)) {
        return sim_chance(80) ? 0 : store_exptime(100 + sim_below(100));
    }
    return store_exptime(1 + sim_below(8));
}

static size_t draw_size(void)
{
    if (sim_has(SIM_BIG) && sim_chance(5)) {
        return sim_chance(20) ? 66000 + sim_below(20000) : 9000;
    }
    if (sim_has(SIM_BIG) && sim_chance(10)) {
        return 20000;
    }
    return sim_chance(80) ? 8 + sim_below(20) : 8 + sim_below(600);
}

static void write_value(const struct store_key *key, enum store_mode mode)
{
    static char value[128 * KIB];
    struct store_attrs attrs = {sim_chance(70) ? 0 : sim_below(4),
                                draw_expiry()};
    size_t n = draw_size();
    uint64_t cas = 0;

    if (value[0] == '\0') {
        memset(value, 'x', sizeof(value));
    }
    (void)snprintf(value, 8, "%07x", (unsigned)(sim_random() & 0xfffffff));
    value[7] = '.';
    (void)!store_set(key, &attrs, mode, value, n, &cas);
}

static void write_number(const struct store_key *key)
{
    struct store_attrs attrs = {0, draw_expiry()};
    uint64_t result = 0;
    char digits[8];

    if (store_arith(key, true, sim_below(1000), &result, NULL, NULL) ==
        STORE_OK) {
        return;
    }
    (void)snprintf(digits, sizeof(digits), "%u", sim_below(1000));
    (void)!store_set(key, &attrs, STORE_SET, digits, strlen(digits), NULL);
}

static void touch(const struct store_key *key)
{
    struct item *it = store_touch_hold(key, draw_expiry(), NULL);

    if (it != NULL) {
        store_release(it);
    }
}

static void look(const struct store_key *key)
{
    struct item *it = store_hold(key, NULL);

    if (it != NULL) {
        store_release(it);
    }
}

/* What only some protocols ask for. Cas ids are few, so that some are met, or
 * greater than all versions. */
static uint64_t draw_cas(void)
{
    return sim_chance(40) ? 0 : sim_chance(80) ? 1 + sim_below(4) : UINT64_MAX;
}

static void store_on_terms(const struct store_key *key)
{
    static const enum store_mode modes[] = {STORE_SET, STORE_REPLACE,
                                            STORE_APPEND, STORE_PREPEND};
    struct store_terms terms = {.attrs = {sim_below(4), draw_expiry()},
                                .mode = modes[sim_below(4)],
                                .compare = sim_chance(40),
                                .older = sim_chance(50),
                                .b64key = sim_chance(20),
                                .vivify = sim_chance(50),
                                .vivify_exptime = draw_expiry(),
                                .cas = draw_cas(),
                                .new_cas = draw_cas()};
    struct store_stored stored;
    char value[16];

    (void)snprintf(value, sizeof(value), "%08x", (unsigned)sim_random());
    (void)!store_set_on(key, &terms, value, 8, &stored);
}

static void fetch(const struct store_key *key)
{
    struct store_fetch how = {.vivify = sim_chance(50),
                              .touch = sim_chance(30),
                              .recache = sim_chance(50),
                              .threshold = 150,
                              .exptime = draw_expiry(),
                              .vivify_exptime = draw_expiry(),
                              .vivify_cas = draw_cas()};
    struct store_fetched fetched;
    struct item *it = store_fetch_hold(key, &how, &fetched);

    if (it != NULL) {
        store_release(it);
    }
}

static void mark(const struct store_key *key)
{
    struct store_mark how = {.compare = sim_chance(20),
                             .stale = sim_chance(70),
                             .empty = sim_chance(40),
                             .touch = sim_chance(30),
                             .exptime = draw_expiry(),
                             .flags = sim_below(4),
                             .cas = draw_cas(),
                             .new_cas = draw_cas()};

    (void)!store_mark(key, &how, NULL);
}

static void sum_on_terms(const struct store_key *key)
{
    struct store_sum how = {.incr = sim_chance(50),
                            .touch = sim_chance(30),
                            .vivify = sim_chance(60),
                            .exptime = draw_expiry(),
                            .vivify_exptime = draw_expiry(),
                            .delta = sim_below(1000),
                            .initial = sim_below(1000),
                            .cas = sim_chance(80) ? 0 : draw_cas(),
                            .new_cas = draw_cas()};
    struct store_result result;

    (void)!store_sum(key, &how, &result, NULL);
}

static void write_meta(const struct store_key *key)
{
    static void (*const kinds[])(const struct store_key *) = {
        store_on_terms, fetch, mark, sum_on_terms};

    kinds[sim_below(4)](key);
}

static void flush(void)
{
    if (sim_has(SIM_FLUSH_LATER) && sim_chance(50)) {
        store_flush(clock_seconds() + 1 + sim_below(6));
    } else if (sim_has(SIM_FLUSH)) {
        store_flush(0);
    }
}

/* Deletes of keys that nobody else names push floors out of the table: those
 * of a line share the upper half of the hash. */
static void crowd(const struct sim_node *n, const struct store_key *key)
{
    uint64_t hash = hash_key_agreed(key->ptr, key->len);

    for (unsigned i = 0; i < 4; i++) {
        (void)rep_floor_raise(n->floors, hash ^ (1 + sim_below(1U << 20)),
                              version_next());
    }
}

static void write_something(const struct store_key *key, unsigned what)
{
    if (what < 45) {
        write_value(key, STORE_SET);
    } else if (what < 50) {
        write_value(key, sim_chance(50) ? STORE_ADD : STORE_REPLACE);
    } else if (what < 55) {
        write_value(key, sim_chance(50) ? STORE_APPEND : STORE_PREPEND);
    } else {
        write_number(key);
    }
}

static void operate(void)
{
    unsigned node = sim_below(sim_plan.nodes);
    unsigned k = sim_below(sim_plan.keys);
    struct sim_node *n = sim_select(node);
    struct store_key key = store_key(sim_key_name(k), sim_key_length(k));
    unsigned what = sim_below(100);

    if (!n->up || !n->serving) {
        return;
    }
    if (sim_has(SIM_FEW_FLOORS) && sim_chance(10)) {
        crowd(n, &key);
    } else if (sim_has(SIM_TOUCH) && sim_chance(30)) {
        touch(&key);
    } else if (sim_has(SIM_META) && sim_chance(40)) {
        write_meta(&key);
    } else if (what < 62) {
        write_something(&key, what);
    } else if (what < 80) {
        (void)!store_delete(&key, 0, NULL);
    } else if (what < 84) {
        flush();
    } else {
        look(&key);
    }
    sim_oracle_wrote(node, k);
}

/* ---- faults
 * -------------------------------------------------------------------- */

/* While it comes to its end things arrive that it has no turn for. */
static void stop(unsigned node)
{
    for (unsigned n = sim_below(16); n > 0; n--) {
        (void)sim_net_deliver(true);
    }
    sim_trace("stop %u", node);
    if (sim_nodes[node].up) {
        sim_node_stop(node);
    }
}

static void fault(void)
{
    unsigned a = sim_below(sim_plan.nodes);
    unsigned b = (a + 1 + sim_below(sim_plan.nodes - 1)) % sim_plan.nodes;

    switch (sim_below(6)) {
    case 0:
        sim_trace("cut %u-%u", a, b);
        sim_net_cut(a, b);
        return;
    case 1:
        sim_trace("hole %u-%u", a, b);
        sim_net_path(a, b, SIM_PATH_HOLE);
        return;
    case 2:
        sim_trace("refuse %u-%u", a, b);
        sim_net_cut(a, b);
        sim_net_path(a, b, SIM_PATH_REFUSES);
        return;
    case 3:
        if (sim_has(SIM_KEEP) && sim_nodes[a].up && sim_chance(50)) {
            stop(a);
        } else if (sim_has(SIM_CRASH) && sim_nodes[a].up) {
            sim_trace("crash %u", a);
            sim_node_crash(a);
        }
        return;
    case 4:
        if (!sim_nodes[a].up) {
            sim_node_start(a);
        }
        return;
    default:
        sim_trace("heal %u-%u", a, b);
        sim_net_path(a, b, SIM_PATH_UP);
        return;
    }
}

/* ---- time
 * ------------------------------------------------------------------------ */

static void pass(uint64_t ms)
{
    sim_now += ms;
    for (unsigned i = 0; i < sim_plan.nodes; i++) {
        sim_node_time(i);
    }
}

static uint64_t draw_time(void)
{
    unsigned how = sim_below(100);

    if (how < 60) {
        return sim_below(2);
    }
    if (how < 94) {
        return sim_below(20);
    }
    return sim_below(how < 99 ? 500 : 7000);
}

static void step(void)
{
    unsigned what = sim_below(100);

    pass(draw_time());
    if (what < 35) {
        /* In one moment more than the log holds. */
        unsigned n = sim_has(SIM_OVERRUN) && sim_chance(8) ? 30 : 1;

        for (unsigned i = 0; i < n; i++) {
            operate();
        }
    } else if (what < 62) {
        (void)sim_node_turn(sim_below(sim_plan.nodes));
    } else if (what < 96) {
        (void)sim_net_deliver(sim_chance(60));
    } else {
        fault();
    }
}

/* Everybody does what it can; true: there was something. */
static bool work(void)
{
    bool busy = false;

    for (unsigned i = 0; i < sim_plan.nodes; i++) {
        busy = (sim_nodes[i].idle_at != sim_now && sim_node_turn(i)) || busy;
    }
    while (sim_net_deliver(true)) {
        busy = true;
    }
    return busy;
}

/* How long nobody has anything to do. */
static uint64_t idle(void)
{
    uint64_t next = sim_now + IDLE_MS;

    for (unsigned i = 0; i < sim_plan.nodes; i++) {
        uint64_t at = sim_node_next(&sim_nodes[i]);

        next = at < next ? at : next;
    }
    return next > sim_now ? next - sim_now : 1;
}

/* Time passes only when nobody can do any more, until `end`. */
static void run_until(uint64_t end)
{
    unsigned steps = 0;

    for (unsigned i = 0; i < sim_plan.nodes; i++) {
        sim_nodes[i].idle_at = 0;
    }
    while (sim_now < end) {
        pass(work() ? 0 : idle());
        if (++steps > STEPS_MAX) {
            sim_fail("no end of work at one moment");
            return;
        }
    }
}

/* ---- the whole
 * --------------------------------------------------------------------- */

static void begin(void)
{
    sim_now = 1000;
    sim_net_reset();
    sim_node_reset();
    sim_oracle_reset();
    for (unsigned i = 0; i < sim_plan.nodes; i++) {
        unsigned few = 1 + sim_below(sim_plan.keys);

        sim_memory_limit(i, 1, sim_has(SIM_EVICT) ? few : 60);
        sim_memory_limit(i, 2, sim_has(SIM_EVICT) ? few : 60);
        sim_memory_limit(i, 3, sim_has(SIM_EVICT) ? 16 : 120);
    }
    for (unsigned i = 0; i < sim_plan.nodes; i++) {
        sim_node_start(i);
    }
}

static uint64_t items_sent(void)
{
    uint64_t sent = 0;

    for (unsigned i = 0; i < sim_plan.nodes; i++) {
        sent += sim_node_items_sent(i);
    }
    return sent;
}

static bool at_rest(void)
{
    for (unsigned i = 0; i < sim_plan.nodes; i++) {
        if (!sim_node_is_at_rest(i)) {
            return false;
        }
    }
    return sim_net_is_quiet();
}

/* Until nothing but beats is left that could happen, and nothing else has for
 * QUIET_MS: what would follow is more of them. True: so it was. */
static bool run_until_rest(uint64_t end)
{
    uint64_t since = sim_now, sent = items_sent();

    while (sim_now < end && !sim_failed()) {
        run_until(sim_now + 1);
        if (!at_rest() || items_sent() != sent) {
            since = sim_now;
            sent = items_sent();
        } else if (sim_now >= since + QUIET_MS) {
            return true;
        }
    }
    return false;
}

static void heal(void)
{
    sim_trace("-- heals");
    for (unsigned a = 0; a < sim_plan.nodes; a++) {
        for (unsigned b = 0; b < a; b++) {
            sim_net_path(a, b, SIM_PATH_UP);
        }
        if (!sim_nodes[a].up) {
            sim_node_start(a);
        }
    }
}

static void check_quiet(void)
{
    uint64_t before[SIM_NODES] = {0};

    for (unsigned i = 0; i < SIM_NODES; i++) {
        before[i] = sim_node_items_sent(i);
    }
    run_until(sim_now + QUIET_MS);
    for (unsigned i = 0; i < sim_plan.nodes; i++) {
        if (sim_node_items_sent(i) != before[i]) {
            sim_fail("node %u goes on sending", i);
        }
        if (rep_core_status(sim_nodes[i].core) != REP_LINKED) {
            sim_fail("node %u is not linked", i);
        }
    }
}

void sim_schedule(void)
{
    begin();
    run_until(sim_now + (sim_chance(70) ? 200 : 0));
    for (unsigned i = 0; i < sim_plan.steps && !sim_failed(); i++) {
        step();
    }
    heal();
    if (sim_below(PATIENT) == 0) {
        run_until(sim_now + HEAL_MS);
        check_quiet();
    } else if (!run_until_rest(sim_now + HEAL_MS)) {
        check_quiet();
    }
    sim_trace("-- checks");
    sim_oracle_check();
}
