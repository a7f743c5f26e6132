/*
 * buffer - bytes that grow at their end.
 *
 * When memory runs out that is remembered, and what follows is dropped, so that
 * one look at `failed` at the end is enough.
 *
 * Layer:     0.
 * Threads:   one at a time.
 * Ownership: owns `p`, from malloc, until it is taken out or buffer_free.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

/* Empty when all is zero. */
struct buffer {
    char *p;
    size_t len;
    size_t room;
    bool failed; /* out of memory */
};

/* Where the next `n` bytes are to be put, or NULL. They count as there. */
char *buffer_grow(struct buffer *b, size_t n);

void buffer_append(struct buffer *b, const void *p, size_t n);

void buffer_free(struct buffer *b);

#endif
