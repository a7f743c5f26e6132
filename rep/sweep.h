/*
 * rep_sweep - carries out floors of which only the hash is known.
 *
 * The store's index cannot look up an agreed hash, so a walk over the store
 * removes what such floors forbid, some thousands of items a step. It belongs
 * to the node, not to a link: a floor that has come stands, whether or not
 * the link that brought it still does, and whoever sends it again will find
 * it known.
 *
 * Layer:     4. Includes store.h, rep/floor.h.
 * Threads:   the replication thread.
 * Locks:     takes STRIPE and FLOOR through the store; holds none on return.
 * Ownership: the caller holds the struct; rep_sweep_init begins.
 */
#ifndef REP_SWEEP_H
#define REP_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"
#include "rep/floor.h"
#include "store.h"

struct rep_sweep {
    struct rep_floor *floors; /* borrowed */
    bool walking;
    bool again;     /* floors came since the walk began */
    uint64_t below; /* greatest floor that came by hash */
    struct store_cursor cursor;
};

void rep_sweep_init(struct rep_sweep *s, struct rep_floor *floors);

/* A floor of `version` has been raised by hash. */
void rep_sweep_ask(struct rep_sweep *s, uint64_t version);

/* True until all that was asked for is carried out. */
static inline bool rep_sweep_pending(const struct rep_sweep *s)
{
    return s->walking || s->again;
}

/* A slice of it; the same answer as rep_sweep_pending afterwards. */
bool rep_sweep_step(struct rep_sweep *s);

#endif
