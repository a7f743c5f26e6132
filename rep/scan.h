/*
 * rep_scan - the walk over everything that a peer may lack.
 *
 * A scan gives every item and floor at or above a threshold, in the order of
 * the hash, to call-backs that write it down for the peer. It runs beside
 * everything else, in slices; saying a state twice or late is harmless. A scan
 * that broke off goes on at its cursor: up to there only what was lost since
 * is given (`before`), from there on everything from the threshold.
 *
 * Layer:     4. Includes store.h, rep/floor.h.
 * Threads:   the replication thread.
 * Locks:     takes STRIPE through the store, FLOOR; holds none on return.
 * Ownership: the caller holds the struct.
 */
#ifndef REP_SCAN_H
#define REP_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "rep/floor.h"
#include "store.h"

#define REP_SCAN_NONE UINT64_MAX /* a threshold that nothing reaches */

/* What is done with what a scan finds. Each returns false when there is no
 * room now: it comes again. Items are given with their stripe held. */
struct rep_scan_calls {
    bool (*item)(void *ctx, struct item *it);    /* at or above, alive */
    bool (*expired)(void *ctx, struct item *it); /* at or above, expired */
    bool (*below)(void *ctx, struct item *it);   /* below, alive; or NULL */
    bool (*floor)(void *ctx, uint64_t hash, uint64_t version); /* or NULL */
};

/* What a scan has to give. */
struct rep_scan_plan {
    uint64_t before;    /* threshold before the cursor, or NONE */
    uint64_t threshold; /* from the cursor on; 0: everything */
    uint64_t cursor;    /* rep_scan_cursor of one that broke off; 0 */
    bool walk_all;      /* `below` wants all items */
};

enum rep_scan_status {
    REP_SCAN_MORE, /* call again, after sending when the buffer is full */
    REP_SCAN_DONE, /* everything was given */
};

struct rep_scan {
    struct rep_scan_plan plan;
    struct store_cursor items;
    struct rep_floor_cursor floors;
    uint32_t stripe; /* `before` holds below this one */
    uint64_t line;   /* of the floors, and this */
};

/* Begins a scan. */
void rep_scan_begin(struct rep_scan *scan, const struct rep_scan_plan *plan);

/* Goes on until a call-back returns false, some thousands of items were
 * looked at, or all is given. */
enum rep_scan_status rep_scan_step(struct rep_scan *scan,
                                   struct rep_floor *floors,
                                   const struct rep_scan_calls *calls,
                                   void *ctx) MUST_CHECK;

/* Where it is, in 48 bits, rising: all before it was given. */
uint64_t rep_scan_cursor(const struct rep_scan *scan);

#endif
