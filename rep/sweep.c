#include "rep/sweep.h"

#include <string.h>

#include "base/hash.h"

enum {
    SWEEP_ITEMS = 4096, /* items looked at by one step */
    SWEEP_KEYS = 64     /* items removed by one step */
};

void rep_sweep_init(struct rep_sweep *s, struct rep_floor *floors)
{
    *s = (struct rep_sweep){.floors = floors};
}

void rep_sweep_ask(struct rep_sweep *s, uint64_t version)
{
    s->again = true;
    s->below = version > s->below ? version : s->below;
}

struct found {
    const struct rep_sweep *sweep;
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

    if (it->version >= f->sweep->below) {
        return true;
    }
    floor = rep_floor_get(f->sweep->floors,
                          hash_key_agreed(item_key(it), it->nkey));
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

bool rep_sweep_step(struct rep_sweep *s)
{
    struct found f;

    if (!s->walking) {
        if (!s->again) {
            return false;
        }
        s->walking = true;
        s->again = false;
        s->cursor = (struct store_cursor){0};
    }
    f.sweep = s;
    f.n = 0;
    (void)store_walk(&s->cursor, SWEEP_ITEMS, visit, &f);
    for (unsigned i = 0; i < f.n; i++) {
        struct store_key key = store_key(f.list[i].key, f.list[i].nkey);

        /* Whose floor it was is not known here: a change of ours, which also
         * tells who sent it, at the cost of one line. What is newer by now
         * stays. */
        (void)!store_apply_floor(&key, f.list[i].floor, 0);
    }
    s->walking = !s->cursor.done;
    return rep_sweep_pending(s);
}
