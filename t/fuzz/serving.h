/*
 * serving - a worker's connections without a worker, for fuzzing: bytes go in
 * at one end of a pair of sockets, and what the daemon would answer comes out.
 * The clock stands still, and every input begins with an empty cache.
 *
 * Layer:     tests; includes layers 0-5.
 * Threads:   one.
 * Ownership: what was heard is valid until the next serving_begin.
 */
#ifndef T_FUZZ_SERVING_H
#define T_FUZZ_SERVING_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "conn.h"

struct serving {
    struct event_base *base;
    struct conn_set *set;
    int client, server; /* the two ends */
    bool woken;         /* those who watch have something to read */
    char *heard;        /* what serving_hear was given */
    size_t nheard, room;
};

extern struct serving serving;

/* Once a process; settings are as they are to be, but for the memory. */
void serving_init(void);

/* A cache that is empty, with `fresh` a new one, whose cas ids count from 1,
 * and a pair of sockets of `type`. */
void serving_begin(int type, bool fresh);

/* Adds to what was heard. */
void serving_hear(const void *p, size_t n);

/* Turns of the worker until nothing happens any more. `take` reads what comes,
 * and is called until it gives false: there was nothing. */
void serving_settle(bool (*take)(void));

/* What may outlive an input ends. */
void serving_end(void);

#define SERVING_PATH 64

/* Makes a file without a name that holds `text`; gives a path to it. */
void serving_file(const void *text, size_t n, char path[SERVING_PATH]);

static inline void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* Deals numbers out of a byte of the input. */
static inline unsigned serving_draw(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 16;
}

#endif
