/*
 * lookup - what every command that looks up a key does beside it: counting,
 * and the lines of -vvv.
 *
 * Layer:     4. Includes layers 0-3 and command.h.
 * Threads:   the worker that owns the command.
 * Ownership: functions borrow their arguments.
 */
#ifndef LOOKUP_H
#define LOOKUP_H

#include "base/log.h"
#include "command.h"
#include "counters.h"
#include "proto/request.h"
#include "store.h"

/* Prints the -vvv line of a look-up. */
void lookup_log(const struct store_key *key, enum store_miss why);

/* Looks the key up for the -vvv line of it alone. */
void lookup_show(struct command *cmd, const struct store_key *key);

/* Counts what a look-up by any command found dead. No stripe held. */
static inline void lookup_count(struct command *cmd,
                                const struct store_key *key,
                                enum store_miss why)
{
    if (UNLIKELY(why == STORE_EXPIRED)) {
        COUNT(cmd->counters, get_expired);
    } else if (UNLIKELY(why == STORE_FLUSHED)) {
        COUNT(cmd->counters, get_flushed);
    }
    if (UNLIKELY(log_wanted(3))) {
        lookup_log(key, why);
    }
}

static inline void lookup_count_class(struct command *cmd, unsigned slab_class,
                                      enum class_counter which)
{
    counter_add(&cmd->counters->by_class[slab_class][which], 1);
}

/* A number was found, or not, to be changed. */
void lookup_count_arith(struct command *cmd, bool incr, bool hit,
                        unsigned slab_class);

/* The key of a request that has one. */
static inline struct store_key lookup_key(const struct request *req)
{
    return (struct store_key){req->key, req->nkey,
                              req->hv != 0 ? req->hv
                                           : hash_key(req->key, req->nkey)};
}

#endif
