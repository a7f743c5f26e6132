/* Who knows everything: each state a client's write made, what each node ever
 * learned, and what must hold of them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "bits.h"
#include "sim.h"
#include "store_internal.h"

#define WRITES      8192 /* a key */
#define EXPIRY_SLOP 6000 /* ms by which two nodes may differ (14) */

struct write {
    uint64_t version, hash;
};

static struct {
    unsigned n;
    struct write list[WRITES];
} writes[SIM_KEYS];

/* Greatest versions. */
struct learned {
    uint64_t item, floor;
};

static struct knows {
    struct learned key[SIM_KEYS];
    uint64_t removed[SIM_KEYS]; /* greatest version that went unasked */
    uint64_t logged[SIM_KEYS], logged_pos[SIM_KEYS]; /* its newest change */
} knows[SIM_NODES];

static char names[SIM_KEYS][KEY_MAX_LENGTH + 1];
static uint64_t drew[SIM_NODES][SIM_KEYS]; /* its last version of its own */
static bool misread; /* some link has a wrong notion of a clock */
static size_t name_length;
static uint64_t agreed[SIM_KEYS];

void sim_oracle_reset(void)
{
    name_length = sim_has(SIM_OVERRUN) ? 200 : 3;
    for (unsigned k = 0; k < SIM_KEYS; k++) {
        memset(names[k], 'a' + (int)k, name_length);
        agreed[k] = hash_key_agreed(names[k], name_length);
        writes[k].n = 0;
    }
    memset(knows, 0, sizeof(knows));
    memset(drew, 0, sizeof(drew));
    misread = false;
}

void sim_oracle_skew(unsigned node, unsigned peer, int64_t skew)
{
    int64_t real = sim_plan.skew[peer] - sim_plan.skew[node];

    misread = misread || llabs(skew - real) > 1000;
}

void sim_oracle_lost(unsigned node)
{
    memset(&knows[node], 0, sizeof(knows[node]));
    memset(&drew[node], 0, sizeof(drew[node]));
}

const char *sim_key_name(unsigned key)
{
    return names[key];
}

size_t sim_key_length(unsigned key)
{
    (void)key;
    return name_length;
}

int sim_key_find(const char *key, size_t nkey)
{
    assert(nkey == name_length && key[0] >= 'a' && key[0] < 'a' + SIM_KEYS);
    return key[0] - 'a';
}

static uint64_t greater(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static unsigned long long llu(uint64_t v)
{
    return v;
}

/* ---- what nodes learn
 * -------------------------------------------------------- */

static const char *const ops[] = {
    [STORE_OP_ITEM] = "item",
    [STORE_OP_TOUCH] = "touch",
    [STORE_OP_DELETE] = "floor",
    [STORE_OP_FLUSH] = "flush",
};

/* The newest state the node has learned of the key. */
uint64_t sim_oracle_known(unsigned node, const struct store_change *change)
{
    uint64_t known = store_barrier();
    int key;

    if (change->key != NULL) {
        key = sim_key_find(change->key->ptr, change->key->len);
        known = greater(known, knows[node].key[key].item);
        known = greater(known, knows[node].key[key].floor);
    }
    return known;
}

void sim_oracle_change(unsigned node, const struct store_change *change,
                       uint64_t version, uint64_t known)
{
    struct knows *k = &knows[node];
    int key;

    if (change->key == NULL) {
        sim_trace("%u: flush %llx from %u", node, llu(version), change->source);
        return;
    }
    key = sim_key_find(change->key->ptr, change->key->len);
    sim_trace("%u: %s %c %llx from %u", node, ops[change->op], 'a' + key,
              llu(version), change->source);
    if (change->op == STORE_OP_TOUCH) {
        return;
    }
    if (change->version == 0) {
        drew[node][key] = version;
    }
    if (change->version == 0 && version <= known) {
        sim_fail("node %u drew %llx for key %c, not above %llx", node,
                 llu(version), 'a' + key, llu(known));
    }
    if (change->op == STORE_OP_ITEM) {
        k->key[key].item = greater(k->key[key].item, version);
    } else {
        k->key[key].floor = greater(k->key[key].floor, version);
    }
    if (change->source == 0) {
        k->logged[key] = version;
        k->logged_pos[key] = rep_log_head(sim_nodes[node].log);
    }
}

void sim_oracle_removed(unsigned node, const char *key, size_t nkey,
                        uint64_t version)
{
    int k = sim_key_find(key, nkey);

    sim_trace("%u: removed %c %llx", node, 'a' + k, llu(version));
    knows[node].removed[k] = greater(knows[node].removed[k], version);
}

void sim_oracle_hash_floor(const struct rep_floor *floors, uint64_t hash,
                           uint64_t version)
{
    for (unsigned n = 0; n < sim_plan.nodes; n++) {
        for (unsigned k = 0; k < sim_plan.keys; k++) {
            if (sim_nodes[n].floors == floors && agreed[k] == hash &&
                knows[n].key[k].floor < version) {
                sim_trace("%u: floor %c %llx", n, 'a' + k, llu(version));
                knows[n].key[k].floor = version;
            }
        }
    }
}

/* ---- what clients wrote
 * --------------------------------------------------------- */

static struct item *raw(unsigned node, unsigned key)
{
    struct store_key k = store_key(names[key], name_length);

    (void)sim_select(node);
    return assoc_find(&assoc_stripes[assoc_stripe_of(k.hv)], k.hv, k.ptr,
                      k.len);
}

/* Of all that is one with a version: value, flags, cas, marks. */
static uint64_t hash_of(const struct item *it)
{
    static unsigned char value[256 * KIB];
    const uint64_t rest[] = {item_flags(it), item_stored_cas(it),
                             it->bits &
                                 (ITEM_B64KEY | ITEM_STALE | ITEM_TOKEN_SENT)};

    item_copy_out(it, 0, value, it->nbytes);
    return hash_bytes(value, it->nbytes, hash_bytes(rest, sizeof(rest), 0));
}

static bool was_written(unsigned key, uint64_t version, uint64_t hash)
{
    for (unsigned i = writes[key].n; i-- > 0;) {
        if (writes[key].list[i].version == version &&
            writes[key].list[i].hash == hash) {
            return true;
        }
    }
    return false;
}

void sim_oracle_wrote(unsigned node, unsigned key)
{
    const struct item *it = raw(node, key);
    struct write w;

    if (it == NULL || it->version != drew[node][key]) {
        return;
    }
    drew[node][key] = 0; /* what comes back from others is theirs */
    w = (struct write){it->version, hash_of(it)};
    if (was_written(key, w.version, w.hash)) {
        return;
    }
    assert(writes[key].n < WRITES);
    writes[key].list[writes[key].n++] = w;
}

/* ---- acknowledgements
 * --------------------------------------------------------------- */

static bool find_reader(const struct rep_log *log, int reader, unsigned *node,
                        unsigned *peer, uint64_t *run)
{
    for (*node = 0; *node < sim_plan.nodes; (*node)++) {
        const struct sim_node *n = &sim_nodes[*node];

        if (n->log != log) {
            continue;
        }
        for (int i = sim_next_bit(n->used, 0); i >= 0;
             i = sim_next_bit(n->used, i + 1)) {
            struct rep_link_figures f;

            rep_link_figures(n->links[i], &f);
            if (f.linked && f.reader == reader && !f.legacy) {
                *peer = sim_net_peer(n->conn[i], n->end[i]);
                *run = f.run;
                return true;
            }
        }
    }
    return false;
}

static uint64_t barrier_of(unsigned node)
{
    (void)sim_select(node);
    return store_barrier();
}

/* The table of floors has let go of it, which who was away is told. */
static bool is_forgotten(unsigned node, unsigned key, uint64_t version)
{
    const struct rep_floor *floors = sim_nodes[node].floors;

    return version <= knows[node].key[key].floor &&
           rep_floor_past(floors, rep_floor_cell(floors, agreed[key])) >=
               version;
}

/* What the peer has lost floors of is offered to it: that it wants the state,
 * or that it is gone, comes behind the acknowledgement. */
static bool is_offered(unsigned peer, unsigned key, uint64_t version)
{
    const struct rep_floor *floors = sim_nodes[peer].floors;
    unsigned cell = rep_floor_cell(floors, agreed[key]);

    for (int w = 0; w < REP_FLOOR_WATCHERS; w++) {
        if (rep_floor_missed(floors, w, cell) >= version) {
            return true;
        }
    }
    return false;
}

/* acked[P] = p: P's states reach ours at p, or were lawfully removed. */
void sim_oracle_acked(const struct rep_log *log, int reader, uint64_t pos)
{
    unsigned node, peer;
    uint64_t run, barrier;

    if (!find_reader(log, reader, &node, &peer, &run) ||
        sim_nodes[peer].run != run || !sim_nodes[peer].up) {
        return;
    }
    barrier = barrier_of(peer);
    barrier = greater(barrier, barrier_of(node)); /* whose turn it is */
    for (unsigned k = 0; k < sim_plan.keys; k++) {
        const struct learned *l = &knows[peer].key[k];
        uint64_t version = knows[node].logged[k];

        if (version > knows[node].removed[k] &&
            !is_forgotten(node, k, version) && !is_offered(peer, k, version) &&
            knows[node].logged_pos[k] <= pos &&
            greater(l->item, l->floor) < version && barrier < version) {
            sim_fail("node %u acknowledged %llu to %u without %llx of key %c",
                     peer, llu(pos), node, llu(version), 'a' + (int)k);
        }
    }
}

/* ---- at the end
 * ------------------------------------------------------------------------ */

struct newest {
    uint64_t item, floor;
    bool removed; /* an item of that version went unasked somewhere */
};

static struct newest newest_of(unsigned key)
{
    struct newest w = {0, 0, false};

    for (unsigned n = 0; n < sim_plan.nodes; n++) {
        w.item = greater(w.item, knows[n].key[key].item);
        w.floor = greater(w.floor, knows[n].key[key].floor);
    }
    for (unsigned n = 0; n < sim_plan.nodes; n++) {
        w.removed = w.removed || knows[n].removed[key] >= w.item;
    }
    return w;
}

static const struct item *live(unsigned node, unsigned key)
{
    const struct item *it = raw(node, key);

    return it != NULL && store_dead(it) == STORE_HIT ? it : NULL;
}

/* Expiry of the item in everybody's time, ms; 0 never. */
static int64_t expiry(unsigned node, const struct item *it)
{
    return it->exptime == 0 ? 0
                            : (int64_t)it->exptime * 1000 - sim_plan.skew[node];
}

static void check_item(unsigned node, unsigned key, const struct newest *w)
{
    const struct item *it = live(node, key);

    if (it == NULL) {
        return;
    }
    if (it->version < greater(w->item, w->floor)) {
        sim_fail("node %u holds %llx of key %c, newest is item %llx, "
                 "floor %llx",
                 node, llu(it->version), 'a' + (int)key, llu(w->item),
                 llu(w->floor));
    }
    if (!was_written(key, it->version, hash_of(it))) {
        sim_fail("node %u holds bytes of key %c nobody wrote at %llx", node,
                 'a' + (int)key, llu(it->version));
    }
}

/* Both hold it: the same bytes, the same life. */
static void compare(unsigned a, unsigned b, unsigned key,
                    const struct newest *w)
{
    const struct item *x = live(a, key), *y = live(b, key);
    int64_t ours, theirs;
    uint64_t hash;

    if (x == NULL || y == NULL || x->version != y->version) {
        return;
    }
    (void)sim_select(a);
    hash = hash_of(x);
    (void)sim_select(b);
    if (hash != hash_of(y)) {
        sim_fail("nodes %u and %u hold other bytes of key %c at %llx", a, b,
                 'a' + (int)key, llu(x->version));
    }
    if (w->removed) {
        return; /* what comes back brings the life it left with */
    }
    ours = expiry(a, x);
    theirs = expiry(b, y);
    if ((ours == 0) != (theirs == 0) ||
        (!misread && llabs(ours - theirs) > 5000)) {
        sim_fail("key %c expires at %lld on %u, at %lld on %u", 'a' + (int)key,
                 (long long)ours, a, (long long)theirs, b);
    }
}

/* Somebody's item of that version has expired, or a flush took it. */
static bool died(unsigned key, uint64_t version)
{
    for (unsigned n = 0; n < sim_plan.nodes; n++) {
        const struct item *it = raw(n, key);

        if (version <= store_barrier() ||
            (it != NULL && it->version == version)) {
            return true;
        }
    }
    return false;
}

/* Whether the newest state is an item that nobody let go. */
static bool is_owed(const struct newest *w)
{
    if (w->removed || w->floor > w->item || w->item == 0) {
        return false;
    }
    /* A node that had no room for it refused it, which leaves such a floor. */
    return w->floor < w->item || !sim_has(SIM_BIG) || !sim_has(SIM_EVICT);
}

static bool expires_soon(unsigned node, const struct item *it)
{
    (void)sim_select(node);
    return it->exptime != 0 &&
           (uint64_t)it->exptime * 1000 < clock_ms() + EXPIRY_SLOP;
}

/* Somebody holds what is owed to all: everybody does. */
static void check_everywhere(unsigned key, const struct newest *w)
{
    const struct item *held = NULL;
    unsigned holder = 0;

    for (unsigned n = 0; n < sim_plan.nodes; n++) {
        const struct item *it = live(n, key);

        if (it != NULL && it->version == w->item) {
            held = it;
            holder = n;
        }
    }
    if (held == NULL) {
        if (!died(key, w->item)) {
            sim_fail("nobody holds %llx of key %c", llu(w->item),
                     'a' + (int)key);
        }
        return;
    }
    if (misread && held->exptime != 0) {
        return; /* it may have ended elsewhere */
    }
    for (unsigned n = 0; n < sim_plan.nodes; n++) {
        if (live(n, key) == NULL && !expires_soon(holder, held)) {
            sim_fail("node %u lacks %llx of key %c, which %u holds", n,
                     llu(w->item), 'a' + (int)key, holder);
        }
    }
}

static void check_flushes(void)
{
    uint64_t barrier, version, other;
    uint32_t at, other_at;

    (void)sim_select(0);
    barrier = store_barrier();
    (void)store_flush_register(&version, &at);
    for (unsigned n = 1; n < sim_plan.nodes; n++) {
        (void)sim_select(n);
        if (store_barrier() != barrier) {
            sim_fail("barrier %llx on 0, %llx on %u", llu(barrier),
                     llu(store_barrier()), n);
        }
        (void)store_flush_register(&other, &other_at);
        if (other != version || other_at != at) {
            sim_fail("nodes 0 and %u know different flushes", n);
        }
    }
}

/* Versions of two linked nodes are never the same. */
static void check_slots(void)
{
    for (unsigned a = 0; a < sim_plan.nodes; a++) {
        for (unsigned b = 0; b < a; b++) {
            uint8_t slot;

            /* The ends of a chain may meet the middle at one time. */
            if (!sim_dials(a, b) && !sim_dials(b, a)) {
                continue;
            }
            (void)sim_select(a);
            slot = version_slot();
            (void)sim_select(b);
            if (version_slot() == slot) {
                sim_fail("nodes %u and %u draw in slot %u", a, b, slot);
            }
        }
    }
}

void sim_oracle_check(void)
{
    check_slots();
    check_flushes();
    for (unsigned k = 0; k < sim_plan.keys; k++) {
        struct newest w = newest_of(k);

        for (unsigned n = 0; n < sim_plan.nodes; n++) {
            check_item(n, k, &w);
        }
        for (unsigned n = 1; n < sim_plan.nodes; n++) {
            compare(0, n, k, &w);
        }
        if (is_owed(&w)) {
            check_everywhere(k, &w);
        }
    }
}
