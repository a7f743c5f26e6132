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
#include "proto/binary.h"
#include "proto/request.h"
#include "store.h"
#include "watch.h"

/* Prints the -vvv line of a look-up. */
void lookup_log(const struct store_key *key, enum store_miss why);

/* Looks the key up for the -vvv line of it alone. */
void lookup_show(struct command *cmd, const struct store_key *key);

/* The same for those who watch fetchers, alone. */
void lookup_tell_of(int fd, const struct store_key *key);

/* What those who watch are told of an item; NULL: there is none. Held. */
static inline struct watch_item lookup_seen(int fd, const struct store_key *key,
                                            const struct item *it)
{
    return (struct watch_item){.key = key->ptr,
                               .nkey = key->len,
                               .slab_class = it != NULL ? it->slab_class : 0,
                               .nbytes = it != NULL ? it->nbytes : 0,
                               .fd = fd};
}

/* What a look-up found, from the item that is held. */
static inline struct store_found lookup_found(enum store_miss why,
                                              const struct item *it)
{
    return (struct store_found){.why = why,
                                .slab_class = it != NULL ? it->slab_class : 0,
                                .nbytes = it != NULL ? it->nbytes : 0};
}

/* Slow halves of the two below. */
void lookup_tell_found(int fd, const struct store_key *key,
                       const struct store_found *found);
void lookup_tell_removed(int fd, const struct store_key *key,
                         const struct store_found *found, const char *by);

/* Tells those who watch fetchers of a look-up by any command. No stripe
 * held. */
static inline void lookup_tell(int fd, const struct store_key *key,
                               const struct store_found *found)
{
    if (watch_wanted(WATCH_FETCHERS)) {
        lookup_tell_found(fd, key, found);
    }
}

/* Tells those who watch deletions; `by` is delete or md. */
static inline void lookup_tell_deleted(int fd, const struct store_key *key,
                                       const struct store_found *found,
                                       const char *by)
{
    if (watch_wanted(WATCH_DELETIONS)) {
        lookup_tell_removed(fd, key, found, by);
    }
}

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

/* The key of a request of the binary protocol that has one. */
static inline struct store_key
lookup_binary_key(const struct binary_request *req)
{
    return (struct store_key){req->key, req->nkey,
                              req->hv != 0 ? req->hv
                                           : hash_key(req->key, req->nkey)};
}

/* The key of a request that has one. */
static inline struct store_key lookup_key(const struct request *req)
{
    return (struct store_key){req->key, req->nkey,
                              req->hv != 0 ? req->hv
                                           : hash_key(req->key, req->nkey)};
}

#endif
