/*
 * rep_low - below which version a removal needs no floor.
 *
 * Every peer has acknowledged what is older than the least of the versions it
 * has not: nobody holds anything that a removal of it would have to keep down.
 * A peer is a run of its store. One that was met counts from then on, with 0
 * until both copies are complete and the link has acknowledged something; one
 * that went away counts with what it had acknowledged then: it may come back.
 *
 * Layer:     4. Includes rep/link.h, rep/log.h.
 * Threads:   the replication thread.
 * Ownership: the caller holds the struct; zeroed to begin.
 */
#ifndef REP_LOW_H
#define REP_LOW_H

#include <stdint.h>

#include "rep/link.h"
#include "rep/log.h"

#define REP_LOW_RUNS 16

struct rep_low {
    struct {
        uint64_t run;
        uint64_t low;
    } runs[REP_LOW_RUNS];
    unsigned n;
};

/* Takes note of what a linked peer has acknowledged and tells the log. */
void rep_low_move(struct rep_low *low, struct rep_log *log,
                  const struct rep_link_figures *figures);

#endif
