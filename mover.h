/*
 * mover - the thread that moves pages from class to class: when asked to, when
 * automove says so, and when there is more memory than the limit allows.
 *
 * Layer:   4. Includes layers 0-2.
 * Threads: any; the work is done by a thread of its own, mc-slabmaint.
 * Locks:   a LOCK_QUEUE; calls nothing while holding it.
 */
#ifndef MOVER_H
#define MOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

enum mover_status {
    MOVER_OK,       /* it will be done */
    MOVER_BUSY,     /* with another page */
    MOVER_BADCLASS, /* there is no such class */
    MOVER_NOSPARE,  /* the source would be left without a page */
    MOVER_SAME,     /* nothing to move */
    MOVER_DISABLED, /* no_slab_reassign */
};

/* False: there is no thread to be had. */
bool mover_start(void) MUST_CHECK;
void mover_stop(void);

/* Asks for a page of `src` (0: the pool, -1: any class that has two) to go to
 * `dst` (0: the pool). */
enum mover_status mover_ask(int32_t src, int32_t dst) MUST_CHECK;

/* The settings of automove, or the memory limit, were changed. */
void mover_retune(void);

bool mover_is_running(void); /* a page is under way */

#endif
