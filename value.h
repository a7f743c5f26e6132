/*
 * value - how a reply carries the value of an item, and what a retrieval of
 * one counts: the same for every protocol.
 *
 * Small values are copied while their item is held, large ones sent from where
 * they lie.
 *
 * Layer:     4. Includes layers 0-3, command.h and lookup.h.
 * Threads:   the worker that owns the command.
 * Ownership: value_ref takes a reference of its caller's.
 */
#ifndef VALUE_H
#define VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"
#include "command.h"
#include "counters.h"
#include "lookup.h"
#include "proto/out.h"
#include "store.h"

/* Values up to this are copied, larger ones sent from where they lie: the
 * crossover measured between 1 and 2 KiB pipelined, 4 to 8 KiB alone. */
#define VALUE_COPY_MAX (2 * KIB)

/* Whether to copy it. Stripe held. */
static inline bool value_is_small(const struct item *it)
{
    return it->nbytes <= VALUE_COPY_MAX && !item_is_chained(it);
}

/* Where a value lies, as read while its item was held: a reference keeps the
 * value in place, but others go on changing the header's bits. */
struct value {
    const char *data;         /* NULL: in pieces */
    struct item_chunk *first; /* of them */
    size_t n;                 /* bytes when not in pieces */
    unsigned pieces;          /* references that value_ref makes */
};

struct value value_of(const struct item *it);

/* Appends the value piece by piece; the last piece takes the reference on
 * `it`. The caller checked out_can_ref for all pieces. */
void value_ref(struct out *out, const struct value *v, struct item *it);

/* Where a hit finds the item, before it warms it. */
static inline enum hits_to value_place(const struct item *it)
{
    static const uint8_t places[] = {
        [ITEM_SMALL] = HITS_HOT,
        [ITEM_MAIN] = HITS_WARM,
        [ITEM_TEMP] = HITS_TEMP,
        [ITEM_NO_QUEUE] = HITS_COLD,
    };
    unsigned heat = atomic_load_explicit(&it->heat, memory_order_relaxed);
    unsigned queue = heat >> 2 & 3;

    return queue == ITEM_MAIN && (heat & 3) == 0 ? HITS_COLD
                                                 : (enum hits_to)places[queue];
}

/* A retrieval that found its key, or not; `touch`: that set its expiry. */
static inline void value_count_hit(struct command *cmd, bool touch,
                                   unsigned slab_class, enum hits_to place)
{
    struct counters *c = cmd->counters;

    if (touch) {
        COUNT(c, cmd_touch);
        COUNT(c, touch_hits);
        lookup_count_class(cmd, slab_class, CLASS_TOUCH_HITS);
        return;
    }
    COUNT(c, cmd_get);
    COUNT(c, get_hits);
    lookup_count_class(cmd, slab_class, CLASS_GET_HITS);
    counter_add(&c->hits_to[slab_class][place], 1);
}

void value_count_miss(struct command *cmd, bool touch);

#endif
