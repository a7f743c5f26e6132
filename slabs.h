/*
 * slabs - item memory: one reserved range, pages of 1 MiB, classes of chunks.
 *
 * The whole range is reserved at start and committed page by page, so a chunk
 * is named by its offset (a ref, items.h). A page belongs to one class and is
 * carved from its start as chunks are needed; freed chunks go to the class's
 * free list. Pages that no class has any more are in the pool; those that the
 * system got back while memory was above the limit are committed again when
 * they are wanted. With a file (-e) the pages are those of the file, in order.
 *
 * Layer:     2. Includes layers 0-1 only.
 * Threads:   any, after slabs_init.
 * Locks:     takes LOCK_SLABS; calls nothing while holding it.
 * Ownership: slabs_alloc gives a chunk, slabs_free takes it.
 */
#ifndef SLABS_H
#define SLABS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

#define SLABS_PAGE      MIB
#define SLABS_CLASS_MAX 63

struct slabs_config {
    size_t limit;     /* bytes, rounded down to pages */
    size_t chunk_min; /* first chunk is 32 + this */
    size_t chunk_max; /* largest chunk */
    double factor;    /* above 1 */
    /* Borrowed by slabs_init: sizes, ascending, in place of those that follow
     * from chunk_min and factor. */
    const uint32_t *sizes;
    size_t sizes_n;   /* 0: none */
    bool preallocate; /* commit everything, one page to each class */
    bool backed;      /* the pages lie in the file `fd`, and outlive us */
    int fd;           /* borrowed until slabs_fini; read and write */
};

/* [c] start of the reserved range. */
extern char *slabs_base;

/* false, with a line on standard error, when the memory cannot be had. */
bool slabs_init(const struct slabs_config *config) MUST_CHECK;
void slabs_fini(void);

static inline void *slabs_ptr(uint64_t ref)
{
    return slabs_base + ref * 8;
}

static inline uint64_t slabs_ref(const void *p)
{
    return (uint64_t)((const char *)p - slabs_base) / 8;
}

/* The smallest class whose chunks hold `size` bytes; 0 when none does. */
unsigned slabs_class(size_t size);

/* Bytes of a chunk; 0 when there is no such class. */
size_t slabs_chunk_size(unsigned slab_class);

/* The last class, whose chunks are chunk_max bytes. */
unsigned slabs_last_class(void);

/* A chunk, or NULL: the class has none free and memory is at its limit. The
 * first page of a class is given beyond the limit. */
void *slabs_alloc(unsigned slab_class);

void slabs_free(void *chunk, unsigned slab_class);

/* The same from the memory the class has: it gets no page for it. */
void *slabs_alloc_owned(unsigned slab_class);

/* ---- pages that leave their class: one at a time, by one thread -------- */

/* The oldest page of the class is to go: its chunks are given to nobody any
 * more, once slabs_drain_unlist has seen them all. false: the class would be
 * left without a page. */
bool slabs_drain_begin(unsigned slab_class) MUST_CHECK;

/* Takes some of its free chunks off the free list; false: that was all. */
bool slabs_drain_unlist(void) MUST_CHECK;

/* Its chunks, from 0 on; NULL at the end. */
void *slabs_drain_chunk(size_t i);

/* How many of them are in use. */
size_t slabs_drain_left(void);

/* The page, of which nothing is in use, goes to class `dst`; 0: to the pool. */
void slabs_drain_end(unsigned dst);

/* It stays after all. */
void slabs_drain_cancel(void);

/* A page of the pool goes to a class; false: there is none. */
bool slabs_pool_give(unsigned slab_class) MUST_CHECK;

/* Gives pages of the pool back to the system while there is more memory than
 * the limit allows. Returns whether that is still so. */
bool slabs_trim(void);

struct slabs_stats {
    size_t chunk_size, chunks_per_page;
    uint64_t pages, used, free;
};

void slabs_stats(unsigned slab_class, struct slabs_stats *out);
uint64_t slabs_malloced(void);   /* bytes of pages in use, the pool's too */
uint64_t slabs_pool_pages(void); /* pages no class owns */
bool slabs_full(void);           /* all that the limit allows is in use */

/* false when memory was preallocated, or lies in a file. Lowered, it frees what
 * is in the pool. */
bool slabs_set_limit(size_t bytes) MUST_CHECK;
size_t slabs_limit(void);

/* ---- pages that outlive the process: no other thread runs ------------- */

/* Pages committed, the class of one (0: of none), where the first lies. */
size_t slabs_pages(void);
unsigned slabs_page_class(size_t page);
uint64_t slabs_page_ref(size_t page);

/* The ref of the first chunk of a class that was never carved; 0: none. */
uint64_t slabs_fresh(unsigned slab_class);

/* Takes over pages that lie in the file: whose each is, and for each class
 * from 1 what slabs_fresh was. Nothing is free but what was never carved. Only
 * right after slabs_init. false: no memory, or it makes no sense. */
bool slabs_adopt(const uint8_t *page_class, size_t pages,
                 const uint64_t *fresh) MUST_CHECK;

/* The chunk that begins at `ref`, which may be any number; NULL: none does, or
 * it was never carved. */
void *slabs_chunk_at(uint64_t ref);

#endif
