/*
 * rep_sweep - carries out floors of which only the hash is known.
 *
 * The store's index cannot look up an agreed hash, so a walk over the store
 * removes what such floors forbid, some thousands of items a step. It belongs
 * to the node, not to a link: a floor that has come stands, whether or not
 * the link that brought it still does. Floors are kept here until they are
 * carried out: the table of floors may let go of them before. Their number is
 * bounded: who brings many waits while rep_sweep_is_full.
 *
 * Layer:     4. Includes store.h.
 * Threads:   the replication thread.
 * Locks:     takes STRIPE and FLOOR through the store; holds none on return.
 * Ownership: the caller holds the struct; rep_sweep_init begins,
 *            rep_sweep_fini frees what it holds.
 */
#ifndef REP_SWEEP_H
#define REP_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "store.h"

/* With so many for the next walk it is full: what links bring until they wait
 * fits. The most: a set has no more than 2^20 places, 16 MiB. */
#define REP_SWEEP_FLOORS ((size_t)5 << 16)
#define REP_SWEEP_MOST   ((size_t)1 << 19)
/* Items looked at by one step. */
#define REP_SWEEP_ITEMS 4096

/* A set of floors by hash, open addressing. */
struct rep_sweep_set {
    size_t n, size; /* in use; places, a power of two, or 0 */
    uint64_t seed;  /* of the places: peers choose the hashes */
    uint64_t below; /* the greatest version */
    struct rep_sweep_floor {
        uint64_t hash, version; /* version 0: free */
    } * place;
};

struct rep_sweep {
    size_t floors, items; /* of the above; tests set less */
    bool walking;
    struct store_cursor cursor;
    struct rep_sweep_set now;  /* of the walk */
    struct rep_sweep_set next; /* came since it began */
};

void rep_sweep_init(struct rep_sweep *s);
void rep_sweep_fini(struct rep_sweep *s);

/* A floor has come by hash. False: out of memory, or there are REP_SWEEP_MOST
 * because links broke and came back; it is not kept. */
bool rep_sweep_ask(struct rep_sweep *s, uint64_t hash,
                   uint64_t version) MUST_CHECK;

/* True: who brings floors stops behind the batch that it is at, or they would
 * have no bound. Steps alone end that. */
static inline bool rep_sweep_is_full(const struct rep_sweep *s)
{
    return s->next.n >= s->floors;
}

/* True until all that was asked for is carried out. */
static inline bool rep_sweep_pending(const struct rep_sweep *s)
{
    return s->walking || s->next.n > 0;
}

/* A slice of it; the same answer as rep_sweep_pending afterwards. */
bool rep_sweep_step(struct rep_sweep *s);

#endif
