/*
 * command_meta - the meta commands that bring no value: mg, md, ma, me. (For
 * ms see upload_meta.h.)
 *
 * Layer:     4. Includes layers 0-3 and command.h.
 * Threads:   the worker that owns the command.
 * Ownership: functions borrow their arguments.
 */
#ifndef COMMAND_META_H
#define COMMAND_META_H

#include "command.h"

/* Runs a request of one of their verbs; as command_run. */
enum command_result command_meta_run(struct command *cmd, int fd,
                                     const struct request *req) MUST_CHECK;

#endif
