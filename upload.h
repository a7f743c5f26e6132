/*
 * upload - requests that bring a value: set, add, replace, append, prepend,
 * cas, and refused ones whose value is swallowed.
 *
 * A value that is at hand as a whole is stored in one step. Otherwise it goes
 * straight into a reserved item, as struct upload (command.h).
 *
 * Layer:     4. Includes layers 0-3, command.h, lookup.h, prefix.h, reply.h.
 * Threads:   the worker that owns the command.
 * Ownership: functions borrow their arguments.
 */
#ifndef UPLOAD_H
#define UPLOAD_H

#include <stddef.h>

#include "command.h"

/* The bytes behind the request's line. */
struct upload_input {
    const char *data;
    size_t avail;
};

/* Runs a request with data, good or refused; as command_run. */
enum command_result upload_run(struct command *cmd, int fd,
                               const struct request *req,
                               const struct upload_input *in, size_t *used,
                               struct upload *upload) MUST_CHECK;

/* Counts a compare-and-store by its outcome. */
void upload_count_cas(struct command *cmd, enum store_status status,
                      unsigned slab_class);

/* The -vv line of one that found another cas than `got`. */
void upload_log_cas_failure(const struct store_key *key, uint64_t got);

#endif
