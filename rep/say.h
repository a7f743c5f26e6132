/*
 * rep_say - states of keys as messages of v3, for one peer.
 *
 * What the log or a scan names is said as it is now: an item, a floor, an
 * expiry. Items that came from another peer, and those that this peer has
 * told us it may have forgotten (MISSED), are offered instead of sent, as far
 * as the credit goes. Saying a state twice or late is harmless.
 *
 * Layer:     4. Includes store.h, rep/{floor,log,out}.h.
 * Threads:   the replication thread.
 * Locks:     takes STRIPE through the store, FLOOR; holds none on return.
 * Ownership: borrows what the struct points to.
 */
#ifndef REP_SAY_H
#define REP_SAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"
#include "rep/floor.h"
#include "rep/log.h"
#include "rep/out.h"
#include "store.h"

struct rep_say {
    struct rep_out *out;
    struct rep_floor *floors;
    uint64_t item_size_max; /* the peer's; larger items go as floors */
    struct rep_log *log;    /* borrowed: of the entries */
    uint8_t hops_max;       /* what has passed more nodes goes no further */
    unsigned cells;         /* of `missed`; 0: the peer missed nothing */
    const uint64_t *missed; /* by cell: offer what is not above it */
    unsigned credit;        /* offers and touches that may still be sent */
    uint64_t items;         /* figures: items, touches and offers said */
    uint64_t removals;      /* floors said */
};

enum rep_said {
    REP_SAID,
    REP_SAID_FULL, /* no room, or no credit: send, then again */
    REP_SAID_BUSY, /* a large value, and one is under way */
};

/* The present state of what an entry of the log names: a key, a hash, or the
 * flushes. */
enum rep_said rep_say_entry(struct rep_say *say,
                            const struct rep_log_entry *e) MUST_CHECK;

/* Lets the cache misses of the entries behind entry[i] overlap. */
void rep_say_ahead(const struct rep_log_batch *batch, unsigned i);

/* A live item; its stripe is held. */
enum rep_said rep_say_item(struct rep_say *say, struct item *it) MUST_CHECK;

/* A live item of which the peer has the value: its expiry if it was touched,
 * an offer if the peer missed what may have removed it. Its stripe is held. */
enum rep_said rep_say_below(struct rep_say *say, struct item *it,
                            bool touched) MUST_CHECK;

/* Nothing older than this. False: no room. */
bool rep_say_delete(struct rep_say *say, const char *key, uint8_t nkey,
                    uint64_t version, uint8_t hops) MUST_CHECK;
bool rep_say_floor(struct rep_say *say, uint64_t hash, uint64_t version,
                   uint8_t hops) MUST_CHECK;

/* The barrier, and the delayed flush. False: no room; some may be said. */
bool rep_say_flush(struct rep_say *say, uint8_t hops) MUST_CHECK;

#endif
