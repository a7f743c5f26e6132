#include "value.h"

struct value value_of(const struct item *it)
{
    struct value v = {.first = item_chunk_first(it), .n = it->nbytes};

    if (!item_is_chained(it)) {
        v.data = item_data(it);
        v.pieces = 1;
    }
    for (struct item_chunk *c = v.first; c != NULL; c = item_chunk_next(c)) {
        v.pieces++;
    }
    return v;
}

static void unref_item(void *owner)
{
    store_unref(owner);
}

void value_ref(struct out *out, const struct value *v, struct item *it)
{
    struct item_chunk *c, *next;

    if (v->data != NULL) {
        out_ref(out, v->data, v->n, it, unref_item);
        return;
    }
    for (c = v->first; c != NULL; c = next) {
        next = item_chunk_next(c);
        out_ref(out, c->data, c->used, next == NULL ? it : NULL,
                next == NULL ? unref_item : NULL);
    }
}

void value_count_miss(struct command *cmd, bool touch)
{
    if (touch) {
        COUNT(cmd->counters, cmd_touch);
        COUNT(cmd->counters, touch_misses);
    } else {
        COUNT(cmd->counters, cmd_get);
        COUNT(cmd->counters, get_misses);
    }
}
