#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 8192 };

static bool make_room(struct buffer *b, size_t n)
{
    size_t room = b->room == 0 ? FIRST_ROOM : b->room;
    char *grown;

    while (room - b->len < n) {
        room *= 2;
    }
    if (room != b->room) {
        grown = realloc(b->p, room);
        if (grown == NULL) {
            return false;
        }
        b->p = grown;
        b->room = room;
    }
    return true;
}

char *buffer_grow(struct buffer *b, size_t n)
{
    b->failed = b->failed || !make_room(b, n);
    if (b->failed) {
        return NULL;
    }
    b->len += n;
    return b->p + b->len - n;
}

void buffer_append(struct buffer *b, const void *p, size_t n)
{
    char *to = buffer_grow(b, n);

    if (to != NULL && n > 0) {
        memcpy(to, p, n);
    }
}

void buffer_free(struct buffer *b)
{
    free(b->p);
    *b = (struct buffer){0};
}
