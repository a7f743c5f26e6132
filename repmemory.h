/*
 * repmemory - what replication remembers: floors, log, records of runs. New,
 * or, with a cache that was kept (-e), as the last run of this node left it.
 *
 * Layer:     5. Includes layers 0-4.
 * Threads:   the main thread, while no other runs.
 * Ownership: repmemory_new gives, repmemory_free takes.
 */
#ifndef REPMEMORY_H
#define REPMEMORY_H

#include <stdbool.h>

#include "base/util.h"
#include "rep/keep.h"

/* Makes all three, for so many peers. `run` is the run that it goes on from, 0:
 * none. Once store_init is done. false: no memory, and nothing is made. */
bool repmemory_new(struct rep_keep *out, unsigned peers) MUST_CHECK;

void repmemory_free(const struct rep_keep *memory);

#endif
