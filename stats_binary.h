/*
 * stats_binary - `stat` of the binary protocol: a packet a row, and an empty
 * one at the end.
 *
 * Layer:     4. Includes layers 0-3, command.h, prefix.h, reply_binary.h,
 *            stats.h.
 * Threads:   any worker.
 * Ownership: functions borrow their arguments.
 */
#ifndef STATS_BINARY_H
#define STATS_BINARY_H

#include "base/util.h"
#include "command.h"
#include "proto/binary.h"

/* Answers with the group that the key of the request names. COMMAND_DONE or
 * COMMAND_FULL. */
enum command_result
stats_binary_run(struct command *cmd, int fd,
                 const struct binary_request *req) MUST_CHECK;

#endif
