/*
 * upload_meta - ms: the terms on which its value is stored, and its reply.
 *
 * Layer:     4. Includes layers 0-3 and command.h.
 * Threads:   the worker that owns the command.
 * Ownership: functions borrow their arguments unless they say gives or takes.
 */
#ifndef UPLOAD_META_H
#define UPLOAD_META_H

#include "command.h"
#include "proto/meta.h"
#include "store_meta.h"

/* What is to be known of an ms when its value has come and its line is gone. */
struct upload_meta {
    struct meta meta; /* points into the two below */
    char key[KEY_MAX_LENGTH];
    char opaque[META_OPAQUE_MAX];
};

/* Reads key and flags. REPLY_NONE, or why it is refused. */
enum reply upload_meta_parse(const struct request *req,
                             struct meta *m) MUST_CHECK;

struct store_terms upload_meta_terms(const struct meta *m);

/* Whether it compares a cas, and is counted as cas is. */
bool upload_meta_compares(const struct meta *m);

/* Gives a malloced copy, or NULL when out of memory. */
struct upload_meta *upload_meta_keep(const struct meta *m);

/* Answers with what became of `n` bytes of value. */
void upload_meta_answer(struct command *cmd, int fd, const struct meta *m,
                        enum store_status status, size_t n,
                        const struct store_stored *stored);

#endif
