/*
 * mutation - what those who watch are told of stores, by any protocol.
 *
 * A store is told in two lines: the look-up that comes before it, to those who
 * watch fetchers, and its outcome, to those who watch mutations. Ask watch.h
 * before what costs more than a test.
 *
 * Layer:     4. Includes layers 0-3, command.h, lookup.h.
 * Threads:   the worker that owns the command, holding no lock.
 * Ownership: functions borrow their arguments.
 */
#ifndef MUTATION_H
#define MUTATION_H

#include <stddef.h>
#include <stdint.h>

#include "lookup.h"
#include "store.h"
#include "store_meta.h"

/* A store that is over. */
struct mutation {
    int fd;
    enum store_mode mode;
    enum store_status status;
    uint32_t exptime;    /* Unix second, 0 never */
    unsigned slab_class; /* 0: there was no room for it */
    uint32_t nbytes;     /* of the value that was sent */
};

/* Tells of it. Of one that may have kept something of what was there before the
 * item is looked at. */
void mutation_tell(const struct store_key *key, const struct mutation *m);

/* The same of a store by ms on these terms, whose value has `n` bytes. */
void mutation_tell_terms(int fd, const struct store_key *key,
                         const struct store_terms *terms,
                         enum store_status status, size_t n);

/* The same of what is told only if somebody watches. */
static inline void mutation_tell_on(int fd, const struct store_key *key,
                                    const struct store_terms *terms,
                                    enum store_status status, size_t n)
{
    if (watch_wanted(WATCH_MUTATIONS)) {
        mutation_tell_terms(fd, key, terms, status, n);
    }
}

/* Tells of a number that came to be because it was to be changed. */
void mutation_tell_number(int fd, const struct store_key *key, uint64_t number,
                          uint32_t exptime);

/* Tells of the look-up before a store. */
static inline void mutation_tell_lookup(int fd, const struct store_key *key)
{
    if (watch_wanted(WATCH_FETCHERS)) {
        lookup_tell_of(fd, key);
    }
}

#endif
