#include "rep/fresh.h"

#include <stdlib.h>
#include <string.h>

#include "rep/frame.h"
#include "store.h"

/*
 * A message follows its length, in units of UNIT bytes from the beginning of
 * the buffer. Nothing is at 0, which means that there is none.
 */
enum { UNIT = 8, LENGTH = 4 };

#define BUFFER_MAX ((size_t)UINT16_MAX * UNIT)

/* [R] LOCK_REP_LOG   [c] constant */
struct rep_fresh {
    uint8_t *memory; /* [c] two buffers */
    size_t size;     /* [c] of each */
    uint8_t *filled; /* [R] the one that workers write to */
    size_t used;     /* [R] bytes of it */
};

struct rep_fresh *rep_fresh_new(size_t bytes)
{
    struct rep_fresh *f = calloc(1, sizeof(*f));

    if (f == NULL) {
        return NULL;
    }
    f->size = (bytes < BUFFER_MAX ? bytes : BUFFER_MAX) / UNIT * UNIT;
    f->memory = malloc(2 * f->size);
    if (f->memory == NULL) {
        free(f);
        return NULL;
    }
    f->filled = f->memory;
    f->used = UNIT;
    return f;
}

void rep_fresh_free(struct rep_fresh *fresh)
{
    if (fresh != NULL) {
        free(fresh->memory);
        free(fresh);
    }
}

uint8_t rep_fresh_bits(unsigned item_bits)
{
    unsigned bits = 0;

    bits |= item_bits & ITEM_B64KEY ? FRAME_B64KEY : 0U;
    bits |= item_bits & ITEM_STALE ? FRAME_STALE : 0U;
    bits |= item_bits & ITEM_TOKEN_SENT ? FRAME_TOKEN_SENT : 0U;
    bits |= item_bits & ITEM_TOUCHED ? FRAME_TOUCHED : 0U;
    return (uint8_t)bits;
}

uint16_t rep_fresh_put(struct rep_fresh *fresh,
                       const struct store_change *change, uint64_t version)
{
    const struct item *it = change->item;
    uint8_t *p = fresh->filled + fresh->used;
    size_t at = fresh->used, n;

    if (it == NULL || it->nbytes > REP_FRESH_VALUE ||
        (it->bits & (ITEM_CHAINED | ITEM_HAS_CAS)) != 0 ||
        fresh->size - at <
            LENGTH + FRAME_ITEM_HEAD + it->nkey + it->nbytes + UNIT) {
        return 0;
    }
    n = frame_item(p + LENGTH, &(struct frame_msg){
                                   .type = FRAME_ITEM,
                                   .bits = rep_fresh_bits(it->bits),
                                   .nkey = it->nkey,
                                   .flags = item_flags(it),
                                   .exptime = it->exptime,
                                   .nbytes = it->nbytes,
                                   .version = version,
                                   .key = change->key->ptr,
                                   .bytes = (const uint8_t *)item_data(it),
                               });
    memcpy(p, &(uint32_t){(uint32_t)n}, LENGTH);
    fresh->used += (LENGTH + n + UNIT - 1) / UNIT * UNIT;
    return (uint16_t)(at / UNIT);
}

void rep_fresh_turn(struct rep_fresh *fresh, uint64_t head,
                    struct rep_fresh_view *view)
{
    uint8_t *other = fresh->memory;

    *view = (struct rep_fresh_view){fresh->filled, view->to, head};
    fresh->filled = fresh->filled == other ? other + fresh->size : other;
    fresh->used = UNIT;
}

const uint8_t *rep_fresh_get(const struct rep_fresh_view *view, uint16_t at,
                             size_t *n)
{
    const uint8_t *p = view->buffer + (size_t)at * UNIT;
    uint32_t len;

    memcpy(&len, p, LENGTH);
    *n = len;
    return p + LENGTH;
}
