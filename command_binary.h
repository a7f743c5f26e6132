/*
 * command_binary - what requests of the binary protocol do: the same as those
 * of the text protocol, on the same store.
 *
 * Layer:     4. Includes layers 0-3 and command.h.
 * Threads:   the worker that owns the command.
 * Ownership: functions borrow their arguments.
 */
#ifndef COMMAND_BINARY_H
#define COMMAND_BINARY_H

#include <stddef.h>

#include "base/util.h"
#include "command.h"
#include "proto/binary.h"

/* Hashes the key of a keyed request and prefetches its stripe; does nothing
 * for others. */
void command_binary_prepare(struct binary_request *req);

/* Runs `req`; `data` and `avail` are the bytes that follow it. As command_run.
 */
enum command_result command_binary_run(struct command *cmd, int fd,
                                       struct binary_request *req,
                                       const char *data, size_t avail,
                                       size_t *used,
                                       struct upload *upload) MUST_CHECK;

#endif
