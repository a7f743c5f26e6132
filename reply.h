/*
 * reply - fixed and one-line answers, with the lines -vv shows of them.
 *
 * Layer:     4. Includes layers 0-3 and command.h.
 * Threads:   the worker that owns the command.
 * Ownership: functions borrow their arguments. The caller made sure of
 *            OUT_SMALL_REPLY bytes of room.
 */
#ifndef REPLY_H
#define REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "command.h"
#include "proto/request.h"

/* The -vv line of an answer, given without line end. */
void reply_echo(int fd, bool noreply, const char *text, size_t n);

/* Answers with a fixed reply. */
void reply_fixed(struct command *cmd, int fd, bool noreply, enum reply reply);

/* The same for those that -vv does not show. */
void reply_silently(struct command *cmd, bool noreply, enum reply reply);

/* Answers with a line of its own, given without line end. */
void reply_text(struct command *cmd, int fd, bool noreply, const char *text);

#endif
