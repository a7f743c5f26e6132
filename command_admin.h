/*
 * command_admin - the commands that tune the cache's background work: slabs,
 * lru, lru_crawler, extstore.
 *
 * Layer:     4. Includes layers 0-3 and command.h.
 * Threads:   the worker that owns the command.
 * Ownership: functions borrow their arguments. The caller made sure of
 *            OUT_SMALL_REPLY bytes of room.
 */
#ifndef COMMAND_ADMIN_H
#define COMMAND_ADMIN_H

#include "command.h"
#include "proto/request.h"

/* Each answers one request of its verb. */
void admin_slabs(struct command *cmd, int fd, const struct request *req);
void admin_lru(struct command *cmd, int fd, const struct request *req);
void admin_lru_crawler(struct command *cmd, int fd, const struct request *req);
void admin_extstore(struct command *cmd, int fd, const struct request *req);

#endif
