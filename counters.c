#include "counters.h"

#include <stdlib.h>
#include <string.h>

#include "base/lock.h"

struct set {
    struct counters counters; /* first: a set is its counters */
    struct set *next;         /* [c] */
};

static struct lock lock;             /* QUEUE: guards the two below */
static struct set *sets;             /* grows only */
static struct counters_sum baseline; /* sums at the last reset */

struct counters *counters_new(void)
{
    struct set *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    lock_take(&lock, LOCK_QUEUE);
    s->next = sets;
    sets = s;
    lock_drop(&lock, LOCK_QUEUE);
    return &s->counters;
}

static void add_arrays(struct counters_sum *out, const struct counters *c)
{
    for (int i = 0; i < COUNTERS_CLASSES; i++) {
        for (int k = 0; k < CLASS_COUNTERS; k++) {
            out->by_class[i][k] +=
                atomic_load_explicit(&c->by_class[i][k], memory_order_relaxed);
        }
        for (int k = 0; k < 4; k++) {
            out->hits_to[i][k] +=
                atomic_load_explicit(&c->hits_to[i][k], memory_order_relaxed);
        }
    }
}

static void sum_locked(struct counters_sum *out)
{
    lock_assert(LOCK_QUEUE);
    memset(out, 0, sizeof(*out));
    for (const struct set *s = sets; s != NULL; s = s->next) {
#define COUNTER(name)                                                          \
    out->name += atomic_load_explicit(&s->counters.name, memory_order_relaxed);
#include "stats.def"
#undef COUNTER
        add_arrays(out, &s->counters);
    }
}

void counters_sum(struct counters_sum *out)
{
    lock_take(&lock, LOCK_QUEUE);
    sum_locked(out);
#define COUNTER(name) out->name -= baseline.name;
#include "stats.def"
#undef COUNTER
    for (int i = 0; i < COUNTERS_CLASSES; i++) {
        for (int k = 0; k < CLASS_COUNTERS; k++) {
            out->by_class[i][k] -= baseline.by_class[i][k];
        }
        for (int k = 0; k < 4; k++) {
            out->hits_to[i][k] -= baseline.hits_to[i][k];
        }
    }
    lock_drop(&lock, LOCK_QUEUE);
}

void counters_reset(void)
{
    lock_take(&lock, LOCK_QUEUE);
    sum_locked(&baseline);
    lock_drop(&lock, LOCK_QUEUE);
}
