/*
 * repstats - what `stats` says of replication: the figures of the links, kept
 * beyond their ends, as rows.
 *
 * The replication thread fills a struct repstats; whoever asks gets a copy and
 * makes the rows. The first rows are of the whole: sums, and where a sum means
 * nothing the least good. When more than one peer is configured, or linked,
 * each follows, its rows named peer_<number>_...; the number of a configured
 * peer is its place among the -x.
 *
 * Layer:     5. Includes layers 0-4.
 * Threads:   any; the struct belongs to one at a time.
 * Locks:     those of the log and the floors.
 * Ownership: borrows the log and the floors.
 */
#ifndef REPSTATS_H
#define REPSTATS_H

#include <stdbool.h>
#include <stdint.h>

#include "rep/core.h"
#include "rep/floor.h"
#include "rep/hints.h"
#include "rep/link.h"
#include "rep/log.h"

#define REPSTATS_PEERS (2 * REP_CORE_PEERS) /* configured ones, and others */
#define REPSTATS_NAME  300                  /* room for a name and a port */
#define REPSTATS_ERROR 96

struct repstats_peer {
    bool shown;      /* it is a node of its own */
    bool configured; /* an -x names it */
    enum rep_link_status status;
    struct rep_link_figures now;  /* of its link; not `linked`: it has none */
    struct rep_link_figures past; /* sums of those that ended */
    char name[REPSTATS_NAME];     /* of the last link, or as -x has it */
    char error[REPSTATS_ERROR];   /* "": none */
};

struct repstats {
    struct rep_log *log;
    struct rep_floor *floors;
    struct rep_hints *hints;
    uint64_t run; /* ours */
    enum rep_link_status status;
    struct rep_link_figures past; /* of all links that ended */
    char last[REPSTATS_NAME];     /* who was linked last */
    char error[REPSTATS_ERROR];
    unsigned npeers;
    struct repstats_peer peer[REPSTATS_PEERS]; /* configured ones first */
};

/* Copies what is in use of `from`. */
void repstats_copy(struct repstats *to, const struct repstats *from);

/* Adds what a link did to what others did. */
void repstats_add(struct rep_link_figures *sum,
                  const struct rep_link_figures *link);

/* Calls `row` for each row. Not `full`: those that repcached adds to `stats`;
 * full: those of `stats replication`. */
void repstats_rows(const struct repstats *stats, bool full,
                   void (*row)(void *ctx, const char *name, const char *value),
                   void *ctx);

#endif
