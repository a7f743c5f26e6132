/*
 * dump - `lru_crawler metadump` and `mgdump`: every key there is, while
 * everybody else goes on.
 *
 * A dump walks the index a buffer at a time, when its reader has taken the
 * one before. Several run beside each other and beside the crawler.
 *
 * Layer:     4. Includes layers 0-3 and command.h.
 * Threads:   the worker that owns the command.
 * Ownership: functions borrow their arguments.
 */
#ifndef DUMP_H
#define DUMP_H

#include <stdbool.h>

#include "base/util.h"
#include "command.h"
#include "proto/request.h"

/* Whether this lru_crawler command asks for a dump. */
bool dump_is_meant(const struct request *req) MUST_CHECK;

/* Runs it: COMMAND_STREAM with cmd->stream, or an error was answered. */
enum command_result dump_run(struct command *cmd, int fd,
                             const struct request *req) MUST_CHECK;

#endif
