/*
 * rep_keep - what replication knows, over a restart that keeps the cache (-e).
 *
 * Floors, what of them was dropped, how far the log had come, and the records
 * of runs with their places in it: all that makes the next run of this node go
 * on where the last one ended. The log itself is not kept: what a run had not
 * acknowledged of it is lost to it, and a scan from its low mark makes up.
 *
 * Layer:     4. Includes rep/runs.h and layer 0.
 * Threads:   the main thread, while no other runs.
 * Ownership: functions borrow their arguments.
 */
#ifndef REP_KEEP_H
#define REP_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "rep/runs.h"

struct rep_keep {
    struct rep_floor *floors;
    struct rep_log *log;
    struct rep_runs *runs;
    uint64_t run;            /* the run that ends; loaded: that ended */
    uint64_t unlinked_since; /* last version of the last link */
};

/* Hands over all of it, in pieces. False: `put` was false. */
bool rep_keep_save(const struct rep_keep *keep,
                   bool (*put)(const void *p, size_t n)) MUST_CHECK;

/* Fills floors, log and runs, all new. False: it makes no sense, or there is
 * no memory; they may be half full then. */
bool rep_keep_load(struct rep_keep *keep, const void *p, size_t n) MUST_CHECK;

#endif
