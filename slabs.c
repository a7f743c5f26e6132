#include "slabs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/lock.h"
#include "items.h"

/* A power of two far above any -m: 1 TiB, less where address space is dear. */
#if defined(__SANITIZE_THREAD__)
#define RESERVE (256 * GIB)
#else
#define RESERVE (1024 * GIB)
#endif

/* Below this the classes are closer together: small items are many, and what
 * a wide step wastes there is most of the memory. */
#define FINE_STEP_LIMIT  (4 * KIB)
#define CLASS_TABLE_UNIT 8

struct slab_class {
    size_t chunk;    /* [c] bytes */
    size_t per_page; /* [c] chunks */
    uint64_t free;   /* [S] ref of the first free chunk; linked by next */
    char *fresh;     /* [S] uncarved rest of the newest page */
    size_t fresh_n;  /* [S] chunks left there */
    uint64_t free_n; /* [S] chunks on the free list */
    uint64_t pages;  /* [S] */
};

char *slabs_base;

static char *first_page; /* [c] one page in, so that ref 0 is no chunk */
static size_t reserved;  /* [c] bytes */
static struct slab_class classes[SLABS_CLASS_MAX + 1]; /* 1..last */
static unsigned last_class;                            /* [c] */
static uint8_t small_class[SLABS_PAGE / 256 + 1];      /* [c] by size / 256 */
static bool preallocated;                              /* [c] */

static struct lock lock;
static size_t limit;     /* [S] bytes */
static size_t committed; /* [S] bytes from first_page */
static size_t unowned;   /* [S] committed bytes no class has yet */

static size_t round_up(size_t n)
{
    return (n + CLASS_TABLE_UNIT - 1) / CLASS_TABLE_UNIT * CLASS_TABLE_UNIT;
}

static void add_class(size_t chunk)
{
    struct slab_class *c = &classes[++last_class];

    *c = (struct slab_class){.chunk = chunk, .per_page = SLABS_PAGE / chunk};
}

static void make_classes(const struct slabs_config *config)
{
    double fine = 1.0 + 0.4 * (config->factor - 1.0);
    size_t size = round_up(32 + config->chunk_min);

    last_class = 0;
    while (last_class < SLABS_CLASS_MAX - 1) {
        double step = size < FINE_STEP_LIMIT ? fine : config->factor;
        size_t next = round_up((size_t)((double)size * step));

        if ((double)size > (double)config->chunk_max / step) {
            break;
        }
        add_class(size);
        size = next > size ? next : size + CLASS_TABLE_UNIT;
    }
    add_class(config->chunk_max);
}

/* small_class[i]: the least class for any size above 256 * (i - 1). */
static void index_classes(void)
{
    unsigned c = 1;

    for (size_t i = 0; i < sizeof(small_class); i++) {
        size_t least = i == 0 ? 1 : (i - 1) * 256 + 1;

        while (c < last_class && classes[c].chunk < least) {
            c++;
        }
        small_class[i] = (uint8_t)c;
    }
}

unsigned slabs_class(size_t size)
{
    unsigned c;

    if (size > classes[last_class].chunk) {
        return 0;
    }
    c = small_class[(size + 255) / 256];
    while (classes[c].chunk < size) {
        c++;
    }
    return c;
}

size_t slabs_chunk_size(unsigned slab_class)
{
    return slab_class == 0 || slab_class > last_class
               ? 0
               : classes[slab_class].chunk;
}

unsigned slabs_last_class(void)
{
    return last_class;
}

static bool reserve_range(size_t least)
{
    for (reserved = RESERVE; reserved >= least; reserved /= 2) {
        void *p = mmap(NULL, reserved, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (p != MAP_FAILED) {
            slabs_base = p;
            first_page = slabs_base + SLABS_PAGE;
            return true;
        }
    }
    return false;
}

/* Makes the next `bytes` of the range usable. */
static bool commit_locked(size_t bytes)
{
    lock_assert(LOCK_SLABS);
    if (SLABS_PAGE + committed + bytes > reserved ||
        mprotect(first_page + committed, bytes, PROT_READ | PROT_WRITE) != 0) {
        return false;
    }
    committed += bytes;
    unowned += bytes;
    return true;
}

/* Gives the class one page; `force` also beyond the limit. */
static bool grow_locked(struct slab_class *c, bool force)
{
    if (unowned == 0 && !((force || committed + SLABS_PAGE <= limit) &&
                          commit_locked(SLABS_PAGE))) {
        return false;
    }
    c->fresh = first_page + committed - unowned;
    c->fresh_n = c->per_page;
    unowned -= SLABS_PAGE;
    c->pages++;
    return true;
}

static bool preallocate_locked(void)
{
    if (limit < (last_class + 1) * SLABS_PAGE) {
        (void)fprintf(stderr,
                      "Error while preallocating slab memory!\n"
                      "If using -L or other prealloc options, max memory must "
                      "be at least %u megabytes.\n",
                      last_class + 1);
        return false;
    }
    if (!commit_locked(limit)) {
        (void)fprintf(stderr, "cannot allocate %zu bytes: %s\n", limit,
                      strerror(errno));
        return false;
    }
    /* A hint: without huge pages everything works the same. */
    (void)madvise(first_page, limit, MADV_HUGEPAGE);
    for (unsigned i = 1; i <= last_class; i++) {
        if (!grow_locked(&classes[i], false)) {
            return false;
        }
    }
    return true;
}

bool slabs_init(const struct slabs_config *config)
{
    bool ok = true;

    limit = config->limit / SLABS_PAGE * SLABS_PAGE;
    committed = unowned = 0;
    preallocated = config->preallocate;
    make_classes(config);
    index_classes();
    if (!reserve_range((last_class + 2) * SLABS_PAGE)) {
        (void)fprintf(stderr, "cannot reserve address space: %s\n",
                      strerror(errno));
        return false;
    }
    if (preallocated) {
        lock_take(&lock, LOCK_SLABS);
        ok = preallocate_locked();
        lock_drop(&lock, LOCK_SLABS);
    }
    return ok;
}

void slabs_fini(void)
{
    (void)munmap(slabs_base, reserved); /* only fails on bad arguments */
    slabs_base = NULL;
}

static void *take_free_locked(struct slab_class *c)
{
    struct item *it = slabs_ptr(c->free);

    c->free = (uint64_t)it->next_hi << 32 | it->next_lo;
    c->free_n--;
    return it;
}

static void *take_fresh_locked(struct slab_class *c)
{
    char *p = c->fresh;

    c->fresh += c->chunk;
    c->fresh_n--;
    return p;
}

void *slabs_alloc(unsigned slab_class)
{
    struct slab_class *c = &classes[slab_class];
    void *chunk = NULL;

    lock_take(&lock, LOCK_SLABS);
    if (c->free != 0) {
        chunk = take_free_locked(c);
    } else if (c->fresh_n > 0 ||
               (grow_locked(c, c->pages == 0) && c->fresh_n > 0)) {
        chunk = take_fresh_locked(c);
    }
    lock_drop(&lock, LOCK_SLABS);
    return chunk;
}

void slabs_free(void *chunk, unsigned slab_class)
{
    struct slab_class *c = &classes[slab_class];
    struct item *it = chunk;

    lock_take(&lock, LOCK_SLABS);
    atomic_store_explicit(&it->kind, ITEM_FREE, memory_order_relaxed);
    it->next_lo = (uint32_t)c->free;
    it->next_hi = (uint8_t)(c->free >> 32);
    c->free = slabs_ref(chunk);
    c->free_n++;
    lock_drop(&lock, LOCK_SLABS);
}

void slabs_stats(unsigned slab_class, struct slabs_stats *out)
{
    const struct slab_class *c = &classes[slab_class];

    lock_take(&lock, LOCK_SLABS);
    *out = (struct slabs_stats){
        .chunk_size = c->chunk,
        .chunks_per_page = c->per_page,
        .pages = c->pages,
        .free = c->free_n + c->fresh_n,
    };
    out->used = out->pages * out->chunks_per_page - out->free;
    lock_drop(&lock, LOCK_SLABS);
}

uint64_t slabs_malloced(void)
{
    uint64_t n;

    lock_take(&lock, LOCK_SLABS);
    n = committed - unowned;
    lock_drop(&lock, LOCK_SLABS);
    return n;
}

uint64_t slabs_pool_pages(void)
{
    uint64_t n;

    lock_take(&lock, LOCK_SLABS);
    n = unowned / SLABS_PAGE;
    lock_drop(&lock, LOCK_SLABS);
    return n;
}

bool slabs_set_limit(size_t bytes)
{
    if (preallocated) {
        return false;
    }
    lock_take(&lock, LOCK_SLABS);
    limit = bytes / SLABS_PAGE * SLABS_PAGE;
    lock_drop(&lock, LOCK_SLABS);
    return true;
}

size_t slabs_limit(void)
{
    size_t n;

    lock_take(&lock, LOCK_SLABS);
    n = limit;
    lock_drop(&lock, LOCK_SLABS);
    return n;
}
