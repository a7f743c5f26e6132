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

/* Answers `stats` with the words in req->rest. COMMAND_DONE or
 * COMMAND_FULL. */
enum command_result stats_run(struct command *cmd, int fd,
                              const struct request *req) MUST_CHECK;

#endif
