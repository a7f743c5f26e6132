/*
 * store_restart - a cache that outlives its process (-e).
 *
 * store_init restores what the last process left in the memory file.
 *
 * Layer:     2. Includes layer 0 only.
 * Threads:   the main thread, while no other runs.
 * Ownership: lends what was kept until store_restored.
 */
#ifndef STORE_RESTART_H
#define STORE_RESTART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"

/* What the last process left beside the cache that store_init restored; NULL:
 * nothing, or nothing was restored. Until store_restored. */
const void *store_kept(size_t *n);

/* Whoever needs that has it: drops what died meanwhile, telling the observer.
 * Once, before threads start. */
void store_restored(void);

/* Leaves the cache to the next process, with what is put between the two.
 * False: without -e, or after an error, which the last one tells. The cache
 * must not change any more. */
bool store_save_begin(void) MUST_CHECK;
bool store_save_put(const void *p, size_t n);
bool store_save_end(void) MUST_CHECK;

#endif
