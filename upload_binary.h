/*
 * upload_binary - requests of the binary protocol that bring a value: set,
 * add, replace, append, prepend, and unknown ones whose value is swallowed.
 *
 * As upload.h, whose functions take the bytes in; here values have no line
 * end, and so nothing to be checked behind them.
 *
 * Layer:     4. Includes layers 0-3, command.h, lookup.h, prefix.h,
 *            reply_binary.h, upload.h.
 * Threads:   the worker that owns the command.
 * Ownership: functions borrow their arguments.
 */
#ifndef UPLOAD_BINARY_H
#define UPLOAD_BINARY_H

#include <stddef.h>

#include "command.h"
#include "proto/binary.h"
#include "upload.h"

/* Runs a request with a value, to be stored or, of an unknown one, not; as
 * command_run. */
enum command_result upload_binary_run(struct command *cmd, int fd,
                                      const struct binary_request *req,
                                      const struct upload_input *in,
                                      size_t *used,
                                      struct upload *upload) MUST_CHECK;

/* A value has arrived: stores, answers. */
enum command_result upload_binary_end(struct command *cmd, int fd,
                                      struct upload *upload) MUST_CHECK;

#endif
