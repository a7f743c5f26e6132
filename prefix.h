/*
 * prefix - use of the cache by key prefix, for `stats detail`.
 *
 * A prefix is what a key has before the first delimiter; keys without one are
 * not counted. At most PREFIX_MAX prefixes are kept, later ones are ignored.
 * Switched off, it costs the caller one branch.
 *
 * Layer:     4. Includes layers 0-1 only.
 * Threads:   any.
 * Locks:     takes LOCK_QUEUE; calls nothing while holding it.
 * Ownership: functions borrow their arguments unless they say gives.
 */
#ifndef PREFIX_H
#define PREFIX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

#define PREFIX_MAX 65536

enum prefix_event {
    PREFIX_GET, /* a lookup that missed */
    PREFIX_HIT, /* a lookup that hit: counts as get too */
    PREFIX_SET,
    PREFIX_DELETE,
    PREFIX_EVENTS
};

extern atomic_bool prefix_on; /* [a] prefix_enable */

static inline bool prefix_enabled(void)
{
    return atomic_load_explicit(&prefix_on, memory_order_relaxed);
}

/* Starts or stops counting; keeps what was counted. */
void prefix_enable(bool on);

/* Counts one event of `key`; out of memory it is not counted. */
void prefix_count(const char *key, size_t nkey, char delimiter,
                  enum prefix_event event);

/* Forgets everything. */
void prefix_clear(void);

/* Gives the lines of `stats detail dump` with END as malloced text of *len
 * bytes; NULL when out of memory. */
char *prefix_dump(size_t *len) MUST_CHECK;

#endif
