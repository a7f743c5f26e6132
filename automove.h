/*
 * automove - decides which page should change its class: pure, once a second.
 *
 * Of each class a window of samples is kept. A class with more free memory than
 * it needs gives pages to the pool once all memory is taken. Otherwise the
 * class whose items live longest gives one to a class that evicts what is much
 * younger.
 *
 * Layer:     2. Includes layer 0 only.
 * Threads:   one at a time.
 * Ownership: automove_new gives, automove_free takes.
 */
#ifndef AUTOMOVE_H
#define AUTOMOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

struct automove;

/* What one class is like now; counters are totals since start. */
struct automove_class {
    uint64_t evicted, outofmemory;
    uint64_t pages, free_chunks, per_page;
    uint32_t age; /* seconds since the next victim was used */
};

struct automove_move {
    unsigned src, dst; /* dst 0: the pool */
};

/* For classes 1..`classes` and windows of so many samples; NULL: no memory. */
struct automove *automove_new(unsigned classes, unsigned window);
void automove_free(struct automove *a);

/* Takes a sample, of classes 1 and on. */
void automove_sample(struct automove *a, const struct automove_class *class);

/* True: *move is to be done, as far as the window says. `full`: all memory that
 * is allowed is taken. A class gives a page to another when the age of what it
 * evicts next, times `ratio`, is still above the other's. */
bool automove_decide(const struct automove *a,
                     const struct automove_class *class, bool full,
                     double ratio, struct automove_move *move);

/* The class that would miss a page least, whatever the window says; 0: none
 * has two. */
unsigned automove_donor(const struct automove_class *class, unsigned classes);

#endif
