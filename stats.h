/*
 * stats - the `stats` command: every figure, in stock's order and format.
 *
 * Layer:     4. Includes layers 0-3 and command.h, prefix.h.
 * Threads:   any worker; figures are read without stopping anyone.
 * Ownership: functions borrow their arguments.
 */
#ifndef STATS_H
#define STATS_H

#include "base/util.h"
#include "command.h"

enum stats_group {
    STATS_GENERAL,
    STATS_SETTINGS,
    STATS_CONNS,
    STATS_EXTSTORE,
    STATS_ITEMS,
    STATS_SLABS,
    STATS_SIZES,
    STATS_REPLICATION, /* only where the host has it */
};

typedef void stats_row(void *ctx, const char *name, const char *value);

/* Calls `each` with every row of a group. False: out of memory. */
bool stats_rows(const struct command_host *host, enum stats_group group,
                stats_row *each, void *ctx) MUST_CHECK;

/* What `stats reset` does. */
void stats_clear(void);

/* Answers `stats` with the words in req->rest. COMMAND_DONE or
 * COMMAND_FULL. */
enum command_result stats_run(struct command *cmd, int fd,
                              const struct request *req) MUST_CHECK;

#endif
