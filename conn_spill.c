#include "conn_internal.h"

#include <stdlib.h>
#include <string.h>

#include "settings.h"

/* ---- how much there may be ------------------------------------------- */

void conn_spill_limit(struct conn_set *set)
{
    size_t share = settings.read_buf_mem_limit / (size_t)settings.num_threads;
    size_t slots = (size_t)CONN_SLOTS * SLOT_BYTES;

    if (settings.read_buf_mem_limit == 0) {
        set->spill_limit = SIZE_MAX;
    } else if (share < slots + SLOT_BYTES) {
        set->spill_limit = SLOT_BYTES; /* somebody has to get in a request */
    } else {
        set->spill_limit = share - slots;
    }
}

/* The worker alone writes: no more than a load and a store. */
static void add(atomic_size_t *sum, size_t n)
{
    size_t now = atomic_load_explicit(sum, memory_order_relaxed);

    atomic_store_explicit(sum, now + n, memory_order_relaxed);
}

void conn_set_spilled(struct conn_set *set, struct conn_spilled *sum)
{
    sum->count += atomic_load_explicit(&set->spills, memory_order_relaxed);
    sum->bytes += atomic_load_explicit(&set->spill_bytes, memory_order_relaxed);
}

/* ---- of one connection ----------------------------------------------- */

void conn_spill_drop(struct conn *c)
{
    struct parked *parked = c->parked;

    if (parked->spill != NULL) {
        add(&c->set->spills, (size_t)-1);
        add(&c->set->spill_bytes, (size_t)0 - parked->spill_room);
        free(parked->spill);
        parked->spill = NULL;
        parked->spill_room = 0;
        parked->spill_len = 0;
    }
}

/* Makes room for `n` bytes; what was there is lost. */
static bool make_room(struct conn *c, size_t n)
{
    enum { UNIT = 64 };
    struct conn_set *set = c->set;
    struct parked *parked = c->parked;
    size_t room = (n + UNIT - 1) / UNIT * UNIT;

    if (n <= parked->spill_room) {
        return true;
    }
    conn_spill_drop(c);
    if (atomic_load_explicit(&set->spill_bytes, memory_order_relaxed) + room >
        set->spill_limit) {
        return false;
    }
    parked->spill = malloc(room);
    if (parked->spill == NULL) {
        COUNT(set->counters, malloc_fails);
        return false;
    }
    parked->spill_room = (uint32_t)room;
    add(&set->spills, 1);
    add(&set->spill_bytes, room);
    return true;
}

bool conn_spill_keep(struct conn *c, const char *p, size_t n)
{
    if (n == 0) {
        conn_spill_drop(c);
        return true;
    }
    if (conn_park(c) == NULL) {
        return false;
    }
    if (!make_room(c, n)) {
        COUNT(c->set->counters, read_buf_oom);
        c->reason = CONN_ERROR;
        return false;
    }
    memcpy(c->parked->spill, p, n);
    c->parked->spill_len = (uint32_t)n;
    return true;
}
