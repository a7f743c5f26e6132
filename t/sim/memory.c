/* The memory of the nodes: slabs.h and lru.h for the real store, and an index
 * of eight stripes. Chunks of all nodes lie in one arena; each node may hold a
 * given number of each class. Which item makes room is drawn. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "assoc.h"
#include "lru.h"
#include "sim.h"
#include "slabs.h"
#include "store_internal.h"

#define ARENA       ((size_t)48 * MIB)
#define STRIPES     8
#define SIM_CLASSES 3
#define ITEMS       256

static const size_t chunk_sizes[SIM_CLASSES + 1] = {0, 384, 1024, 16 * KIB};

struct queued {
    struct item *it;
    uint64_t hv;
};

static struct memory {
    unsigned used[SIM_CLASSES + 1], limit[SIM_CLASSES + 1];
    struct queued queue[ITEMS];
    unsigned n;
    struct assoc_stripe *stripes;
} memories[SIM_NODES], *memory;

struct free_chunk {
    struct free_chunk *next;
};

static struct free_chunk *free_chunks[SIM_CLASSES + 1];
static size_t fresh; /* bytes of the arena ever used */
static struct lru_config hooks;

char *slabs_base;

/* ---- store_internal.h: no memory lies in a file ---------------------------
 */

bool store_restart_open(const struct store_config *config)
{
    return config->memory_file == NULL;
}

bool store_restart_found(void)
{
    return false;
}

bool store_restart_load(void)
{
    return false;
}

bool store_restart_clear(void)
{
    return false;
}

void store_restart_close(void)
{
}

int store_restart_fd(void)
{
    return -1;
}

/* ---- slabs.h --------------------------------------------------------------
 */

bool slabs_init(const struct slabs_config *config)
{
    (void)config;
    return true;
}

void slabs_fini(void)
{
}

unsigned slabs_class(size_t size)
{
    for (unsigned c = 1; c <= SIM_CLASSES; c++) {
        if (size <= chunk_sizes[c]) {
            return c;
        }
    }
    return 0;
}

size_t slabs_chunk_size(unsigned slab_class)
{
    return slab_class <= SIM_CLASSES ? chunk_sizes[slab_class] : 0;
}

unsigned slabs_last_class(void)
{
    return SIM_CLASSES;
}

void *slabs_alloc(unsigned slab_class)
{
    struct free_chunk *c = free_chunks[slab_class];

    if (memory->used[slab_class] >= memory->limit[slab_class]) {
        return NULL;
    }
    memory->used[slab_class]++;
    if (c != NULL) {
        free_chunks[slab_class] = c->next;
        return c;
    }
    c = (void *)(slabs_base + fresh);
    fresh += chunk_sizes[slab_class];
    if (fresh > ARENA) {
        abort();
    }
    return c;
}

void slabs_free(void *chunk, unsigned slab_class)
{
    struct free_chunk *c = chunk;

    assert(memory->used[slab_class] > 0);
    memory->used[slab_class]--;
    c->next = free_chunks[slab_class];
    free_chunks[slab_class] = c;
}

/* ---- lru.h -----------------------------------------------------------------
 */

void lru_init(const struct lru_config *config)
{
    hooks = *config;
}

void lru_fini(void)
{
}

void lru_link(struct item *it, uint64_t hv)
{
    assert(memory->n < ITEMS);
    memory->queue[memory->n++] = (struct queued){it, hv};
}

static struct queued *find(const struct item *it)
{
    for (unsigned i = 0; i < memory->n; i++) {
        if (memory->queue[i].it == it) {
            return &memory->queue[i];
        }
    }
    abort();
}

void lru_unlink(struct item *it)
{
    struct queued *q = find(it);

    *q = memory->queue[--memory->n];
}

void lru_replace(struct item *old, struct item *it, uint64_t hv)
{
    *find(old) = (struct queued){it, hv};
}

/* There is one queue. */
atomic_int lru_temp_ttl = -1;

void lru_set_temp_ttl(int ttl)
{
    atomic_store(&lru_temp_ttl, ttl);
}

void lru_set_small_pct(unsigned pct)
{
    (void)pct;
}

void lru_requeue(struct item *it)
{
    (void)it;
}

void lru_hit(struct item *it)
{
    (void)it;
}

void lru_resized(const struct item *it, int64_t delta)
{
    (void)it;
    (void)delta;
}

void lru_out_of_memory(unsigned slab_class)
{
    (void)slab_class;
}

void lru_expired(const struct item *it)
{
    (void)it;
}

bool lru_evict(unsigned slab_class)
{
    unsigned begin = memory->n > 0 ? sim_below(memory->n) : 0;

    for (unsigned i = 0; i < memory->n; i++) {
        struct queued *q = &memory->queue[(begin + i) % memory->n];
        struct queued victim = *q;
        struct assoc_stripe *s;

        if ((item_is_chained(q->it) ? SIM_CLASSES : q->it->slab_class) !=
            slab_class) {
            continue;
        }
        s = assoc_try(q->it->stripe);
        if (s == NULL) {
            continue;
        }
        *q = memory->queue[--memory->n];
        hooks.drop(victim.it, victim.hv);
        assoc_drop(s);
        return true;
    }
    return false;
}

/* ---- the index
 * ---------------------------------------------------------------- */

uint64_t __real_hash_key(const char *key, size_t nkey);
uint64_t __wrap_hash_key(const char *key, size_t nkey);
bool __wrap_assoc_init(void);
void __wrap_assoc_fini(void);
size_t __wrap_store_walk(struct store_cursor *cursor, size_t most,
                         store_visit *visit, void *ctx);

uint64_t __wrap_hash_key(const char *key, size_t nkey)
{
    return __real_hash_key(key, nkey) & (((uint64_t)STRIPES << 52) - 1);
}

/* As assoc_init would make each stripe. */
static void stripes_new(struct memory *m)
{
    m->stripes = aligned_alloc(64, STRIPES * sizeof(*m->stripes));
    assert(m->stripes != NULL);
    memset(m->stripes, 0, STRIPES * sizeof(*m->stripes));
    for (unsigned i = 0; i < STRIPES; i++) {
        struct assoc_line *lines = aligned_alloc(64, 3 * sizeof(*lines));

        assert(lines != NULL);
        memset(lines, 0, 3 * sizeof(*lines));
        atomic_init(&m->stripes[i].lines, lines);
        atomic_init(&m->stripes[i].n, 2);
        m->stripes[i].fresh = 2;
        m->stripes[i].end = 3;
    }
}

static void stripes_free(struct memory *m)
{
    if (m->stripes != NULL) {
        for (unsigned i = 0; i < STRIPES; i++) {
            free(atomic_load(&m->stripes[i].lines));
        }
    }
    free(m->stripes);
    m->stripes = NULL;
}

bool __wrap_assoc_init(void)
{
    return true;
}

void __wrap_assoc_fini(void)
{
}

/* store_walk over the stripes there are, in short holds of any length. */
size_t __wrap_store_walk(struct store_cursor *cursor, size_t most,
                         store_visit *visit, void *ctx)
{
    size_t visited = 0;
    bool stopped = false;

    if (sim_has(SIM_SLOW) && most > 4) {
        most = 1 + sim_below(4);
    }
    while (!cursor->done && visited < most && !stopped) {
        struct assoc_stripe *s = assoc_take(cursor->stripe);

        visited +=
            assoc_visit_bucket(s, &cursor->fragment, visit, ctx, &stopped);
        assoc_drop(s);
        if (cursor->fragment >= 1U << ASSOC_FRAGMENT) {
            cursor->fragment = 0;
            cursor->stripe++;
            cursor->done = cursor->stripe == STRIPES;
        }
    }
    return visited;
}

void __wrap_store_totals(struct store_totals *out);
void __wrap_store_totals(struct store_totals *out)
{
    *out = (struct store_totals){.curr_items = memory->n};
}

/* ---- nodes
 * ---------------------------------------------------------------------- */

void sim_memory_reset(void)
{
    if (slabs_base == NULL) {
        slabs_base = aligned_alloc(64, ARENA);
        assert(slabs_base != NULL);
    }
    fresh = 64; /* ref 0 names nothing */
    memset(free_chunks, 0, sizeof(free_chunks));
    for (unsigned i = 0; i < SIM_NODES; i++) {
        stripes_free(&memories[i]);
        memories[i] = (struct memory){0};
    }
}

void sim_memory_select(unsigned node)
{
    memory = &memories[node];
    assoc_stripes = memory->stripes;
}

void sim_memory_lose(unsigned node)
{
    sim_memory_select(node);
    while (memory->n > 0) {
        item_free(memory->queue[--memory->n].it);
    }
    stripes_free(memory);
    stripes_new(memory);
    sim_memory_select(node);
}

void sim_memory_limit(unsigned node, unsigned slab_class, unsigned chunks)
{
    memories[node].limit[slab_class] = chunks;
}
