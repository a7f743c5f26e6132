/*
 * watching - the command `watch`: which streams, and who may.
 *
 * Layer:     4. Includes layers 0-3 and command.h.
 * Threads:   the worker that owns the command.
 * Ownership: functions borrow their arguments.
 */
#ifndef WATCHING_H
#define WATCHING_H

#include "base/util.h"
#include "command.h"
#include "proto/request.h"

/* COMMAND_STREAM with cmd->stream, or an error was answered. */
enum command_result watching_run(struct command *cmd, int fd,
                                 const struct request *req) MUST_CHECK;

/* For store_on_eviction: tells those who watch evictions. */
void watching_evicted(const struct item *it);

#endif
