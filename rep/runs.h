/*
 * rep_runs - what is remembered of each run of a peer.
 *
 * A run is one life of a peer's store. Its record is made when it is met and
 * outlives the link: a run that comes back is sent what it has not
 * acknowledged, and what it has determines which removals need a floor. While
 * the record lasts, a reader of the log keeps its place and watches the
 * floors. It is forgotten when a later run of the same node has settled, or
 * for room: then a run that comes back after all is a new one.
 *
 * Low mark of a run: it has acknowledged every version below. 0 until both
 * copies are complete and acknowledged; as it is while the run is away. The
 * least of all is told to the log.
 *
 * Layer:     4. Includes rep/log.h.
 * Threads:   the replication thread.
 * Locks:     takes what rep/log takes.
 * Ownership: records are borrowed from the table, and stay where they are;
 *            one that is not linked may be forgotten by the next call.
 */
#ifndef REP_RUNS_H
#define REP_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include "rep/log.h"

/* Records; each has a reader of the log. */
#define REP_RUNS REP_LOG_READERS

struct rep_run {
    uint64_t run;  /* 0: a legacy peer */
    uint64_t node; /* what outlives its runs: address and port */
    int reader;    /* of the log, and watcher of the floors; -1: no record */
    bool linked;
    bool legacy;

    /* Kept here for the link; all but the first begin with 0. */
    uint64_t acked;     /* position of our log that it has processed */
    uint64_t processed; /* position of its log that we have processed */
    bool known;         /* it was linked before, positions exchanged */
    uint64_t told[REP_FLOOR_SHARDS]; /* missed, by cell, as it was told and has
                                        offered what it held */
    struct {                         /* what a scan owes it */
        bool owed;                   /* false: nothing */
        bool touched;
        uint64_t before;    /* threshold below the cursor, UINT64_MAX: none */
        uint64_t threshold; /* from the cursor on */
        uint64_t cursor;    /* acknowledged up to here, as the scan has it */
    } scan;

    bool settled;
    uint64_t low;
    uint64_t linked_at; /* order of linking */
};

struct rep_runs;

/* Gives an empty table, or NULL when out of memory. Borrows `log` for its
 * life. `expected` nodes (at least 1) have to be met before the least low mark
 * is more than 0: they may hold what we remove. */
struct rep_runs *rep_runs_new(struct rep_log *log, unsigned expected);

/* Takes `runs`; NULL is allowed. */
void rep_runs_free(struct rep_runs *runs);

/* The record of a run that links now; `was`: the run that it goes on from (0:
 * none), whose record it takes over. It is made when it is not there: its
 * reader begins at the head, it has missed what is past, acknowledged nothing.
 * NULL: the run is linked already, or there is no room, all being linked. */
struct rep_run *rep_runs_meet(struct rep_runs *runs, uint64_t run, uint64_t was,
                              uint64_t node) MUST_CHECK;

/* The same for a peer without runs. It acknowledges nothing: the least low
 * mark is 0 for good. */
struct rep_run *rep_runs_meet_legacy(struct rep_runs *runs,
                                     uint64_t node) MUST_CHECK;

/* The link ended. A legacy peer's record is forgotten. */
void rep_runs_part(struct rep_runs *runs, struct rep_run *run);

/* Both copies are complete and acknowledged: earlier runs of the node are
 * forgotten. May be told again. */
void rep_runs_settled(struct rep_runs *runs, struct rep_run *run);

/* Moves the low marks of linked runs that have settled and are owed no scan,
 * and tells the log the least of all. Once a turn. */
void rep_runs_move(struct rep_runs *runs);

/* ---- over a restart: while no other thread runs ----------------------- */

/* The record behind `before` (NULL: the first) in the order in which they
 * linked last, those of legacy peers left out; NULL at the end. */
const struct rep_run *rep_runs_next(const struct rep_runs *runs,
                                    const struct rep_run *before);

/* Node i that was met, 0 behind the last; whether one of them was legacy. */
uint64_t rep_runs_met(const struct rep_runs *runs, unsigned i);
bool rep_runs_met_legacy(const struct rep_runs *runs);

/* Makes a record like that one, of a run that is away, with a reader of its
 * own; NULL: no room, or it is there. */
struct rep_run *rep_runs_restore(struct rep_runs *runs,
                                 const struct rep_run *record) MUST_CHECK;
void rep_runs_restore_met(struct rep_runs *runs, uint64_t node, bool legacy);

#endif
