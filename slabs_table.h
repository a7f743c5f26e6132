/*
 * slabs_table - the sizes of chunks: which classes there are, and which one an
 * item goes to. What others ask of it is in slabs.h.
 *
 * Layer:     2. Includes layers 0-1, items.h and slabs.h.
 * Threads:   made once, before threads start; constant from then on.
 */
#ifndef SLABS_TABLE_H
#define SLABS_TABLE_H

#include "slabs.h"

void slabs_table_make(const struct slabs_config *config);

/* How many classes stock would have. It gives each a page of the file at once;
 * we do not, but refuse what it refuses. */
unsigned slabs_table_stock(const struct slabs_config *config);

#endif
