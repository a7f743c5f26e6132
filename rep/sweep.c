#include "rep/sweep.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum {
    SWEEP_KEYS = 64, /* items removed by one step */
    FIRST_SIZE = 256 /* places of a set */
};

/* ---- sets -----------------------------------------------------------------
 */

/* The place of a hash: its own, or a free one. */
static struct rep_sweep_floor *place_of(const struct rep_sweep_set *set,
                                        uint64_t hash)
{
    size_t i =
        (size_t)hash_bytes(&hash, sizeof(hash), set->seed) & (set->size - 1);

    while (set->place[i].version != 0 && set->place[i].hash != hash) {
        i = (i + 1) & (set->size - 1);
    }
    return &set->place[i];
}

static uint64_t find(const struct rep_sweep_set *set, uint64_t hash)
{
    return set->n > 0 ? place_of(set, hash)->version : 0;
}

static bool grow(struct rep_sweep_set *set)
{
    struct rep_sweep_set larger = *set;

    larger.size = set->size == 0 ? FIRST_SIZE : set->size * 2;
    larger.place = calloc(larger.size, sizeof(*larger.place));
    if (larger.place == NULL) {
        return false;
    }
    for (size_t i = 0; i < set->size; i++) {
        if (set->place[i].version != 0) {
            *place_of(&larger, set->place[i].hash) = set->place[i];
        }
    }
    free(set->place);
    *set = larger;
    return true;
}

static bool add(struct rep_sweep_set *set, uint64_t hash, uint64_t version)
{
    struct rep_sweep_floor *p;

    if (set->n * 2 >= set->size && !grow(set)) {
        return false;
    }
    p = place_of(set, hash);
    set->n += p->version == 0;
    p->hash = hash;
    p->version = version > p->version ? version : p->version;
    set->below = version > set->below ? version : set->below;
    return true;
}

static void clear(struct rep_sweep_set *set)
{
    free(set->place);
    *set = (struct rep_sweep_set){0};
}

/* ---- walks ----------------------------------------------------------------
 */

void rep_sweep_init(struct rep_sweep *s)
{
    *s = (struct rep_sweep){.floors = REP_SWEEP_FLOORS,
                            .items = REP_SWEEP_ITEMS,
                            .next = {.seed = hash_random()}};
}

void rep_sweep_fini(struct rep_sweep *s)
{
    clear(&s->now);
    clear(&s->next);
}

bool rep_sweep_ask(struct rep_sweep *s, uint64_t hash, uint64_t version)
{
    return s->next.n < REP_SWEEP_MOST && add(&s->next, hash, version);
}

struct found {
    const struct rep_sweep_set *floors;
    unsigned n;
    struct {
        char key[KEY_MAX_LENGTH];
        uint8_t nkey;
        uint64_t floor;
    } list[SWEEP_KEYS];
};

static bool visit(void *ctx, struct item *it)
{
    struct found *f = ctx;
    uint64_t floor;

    if (it->version >= f->floors->below) {
        return true;
    }
    floor = find(f->floors, hash_key_agreed(item_key(it), it->nkey));
    if (floor <= it->version) {
        return true;
    }
    if (f->n == SWEEP_KEYS) {
        return false;
    }
    memcpy(f->list[f->n].key, item_key(it), it->nkey);
    f->list[f->n].nkey = it->nkey;
    f->list[f->n].floor = floor;
    f->n++;
    return true;
}

/* The walk over what has come takes its turn; false: nothing has. */
static bool begin(struct rep_sweep *s)
{
    if (s->next.n == 0) {
        return false;
    }
    s->now = s->next;
    s->next = (struct rep_sweep_set){.seed = s->now.seed};
    s->walking = true;
    s->cursor = (struct store_cursor){0};
    return true;
}

bool rep_sweep_step(struct rep_sweep *s)
{
    struct found f;

    if (!s->walking && !begin(s)) {
        return false;
    }
    f.floors = &s->now;
    f.n = 0;
    (void)store_walk(&s->cursor, s->items, visit, &f);
    for (unsigned i = 0; i < f.n; i++) {
        struct store_key key = store_key(f.list[i].key, f.list[i].nkey);

        /* Whose floor it was is not known here: a change of ours, which also
         * tells who sent it, at the cost of one line. What is newer by now
         * stays. */
        (void)!store_apply_floor(&key, f.list[i].floor, 0);
    }
    if (s->cursor.done) {
        s->walking = false;
        clear(&s->now);
    }
    return rep_sweep_pending(s);
}
