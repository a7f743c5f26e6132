/*
 * restart - the memory file, and what lies beside it while no process runs.
 *
 * FILE holds the pages of the cache. A process that ends in good order puts
 * behind them a tail, which tells what the pages do not, and then writes
 * FILE.meta, which makes both valid. The next one reads and deletes that, and
 * takes the mark off the tail, before it touches anything: a cache is restored
 * once, or not at all. What does not fit together is told, and not restored.
 *
 * Layer:     2. Includes layers 0-1 and restart_meta.h.
 * Threads:   the main thread, while no other runs.
 * Ownership: keeps the descriptor and the tail until told otherwise.
 */
#ifndef RESTART_H
#define RESTART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "restart_meta.h"

/* Opens FILE for this process alone; false, with a line on standard error,
 * when that fails. */
bool restart_open(const char *path) MUST_CHECK;
void restart_close(void);
int restart_fd(void);

/* What the last process left, if it fits the settings in `now` and is whole;
 * NULL: nothing. It is not valid any more then. */
const struct restart_meta *restart_find(const struct restart_meta *now);

/* The tail that was found, behind its stamp; NULL without one. */
const uint8_t *restart_tail(size_t *n);
void restart_tail_free(void);

/* Empties the file, but for its size: `bytes`. false with a line. */
bool restart_clear(uint64_t bytes) MUST_CHECK;

/* The same behind the first `keep` bytes; never smaller than that. */
bool restart_cut(uint64_t keep, uint64_t bytes) MUST_CHECK;

/* Leaves all to the next process: what is put goes into the tail, behind the
 * pages that `meta` tells of. restart_save_end completes the meta. All are
 * false after an error, which the last tells with a line. */
void restart_save_begin(const struct restart_meta *meta);
bool restart_put(const void *p, size_t n);
bool restart_put_u64(uint64_t v);
bool restart_save_end(void) MUST_CHECK;

#endif
