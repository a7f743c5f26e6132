/*
 * reply_binary - answers of the binary protocol, with the lines -vv shows of
 * them.
 *
 * Layer:     4. Includes layers 0-3 and command.h.
 * Threads:   the worker that owns the command.
 * Ownership: functions borrow their arguments. The caller made sure of
 *            OUT_SMALL_REPLY bytes of room.
 */
#ifndef REPLY_BINARY_H
#define REPLY_BINARY_H

#include <stdint.h>

#include "command.h"
#include "proto/binary.h"

/* The -vv lines of a request's header. */
void reply_binary_echo_request(int fd, const char *header);

/* Those of an answer's. */
void reply_binary_echo(int fd, const char *header);

/* Success without more to say than a cas, which a quiet request is not told. */
void reply_binary_done(struct command *cmd, int fd,
                       const struct binary_tag *tag, uint64_t cas);

/* Success with `n` bytes of value. */
void reply_binary_value(struct command *cmd, int fd,
                        const struct binary_tag *tag, uint64_t cas,
                        const void *value, uint32_t n);

/* What an exchange of SASL goes on with. */
void reply_binary_more(struct command *cmd, int fd,
                       const struct binary_tag *tag, const void *value,
                       uint32_t n);

/* An error, in words of its own when `text` is not NULL. */
void reply_binary_error(struct command *cmd, int fd,
                        const struct binary_tag *tag, enum binary_code code,
                        const char *text);

#endif
