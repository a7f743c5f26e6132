#include "slabs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Divides a page: memory that is fetched at a time. */
#define TOUCH (32 * KIB)
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

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
static bool backed; /* [c] the pages lie in a file */
static int file;    /* [c] it */

static struct lock lock;
static size_t limit;     /* [S] bytes */
static size_t committed; /* [S] bytes from first_page */
static size_t unowned;   /* [S] committed bytes no class has yet */
static uint8_t *owner;   /* [S] class of each page of the range, 0: none */

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

/* A byte for each page of the range; those never touched cost nothing. */
static bool reserve_owners(void)
{
    void *p = mmap(NULL, reserved / SLABS_PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    owner = p == MAP_FAILED ? NULL : p;
    return owner != NULL;
}

/* Room in the file, so that no write to a page meets a full disk. */
static bool extend_file(size_t offset, size_t bytes)
{
    struct stat st;

    if (fallocate(file, 0, (off_t)offset, (off_t)bytes) == 0) {
        return true;
    }
    /* Where the file system cannot promise it, the size has to do. */
    return errno == EOPNOTSUPP && fstat(file, &st) == 0 &&
           ((size_t)st.st_size >= offset + bytes ||
            ftruncate(file, (off_t)(offset + bytes)) == 0);
}

static bool map_file(char *at, size_t bytes)
{
    size_t offset = (size_t)(at - first_page);

    return extend_file(offset, bytes) &&
           mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
                (off_t)offset) != MAP_FAILED;
}

/* Makes the next `bytes` of the range usable. */
static bool commit_locked(size_t bytes)
{
    char *at = first_page + committed;

    lock_assert(LOCK_SLABS);
    if (SLABS_PAGE + committed + bytes > reserved ||
        !(backed ? map_file(at, bytes)
                 : mprotect(at, bytes, PROT_READ | PROT_WRITE) == 0)) {
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
    owner[(size_t)(c->fresh - first_page) / SLABS_PAGE] =
        (uint8_t)(c - classes);
    unowned -= SLABS_PAGE;
    c->pages++;
    return true;
}

static void say_too_small(unsigned least)
{
    (void)fprintf(stderr,
                  "Error while preallocating slab memory!\n"
                  "If using -L or other prealloc options, max memory must "
                  "be at least %u megabytes.\n",
                  least);
}

static bool preallocate_locked(void)
{
    if (limit < (last_class + 1) * SLABS_PAGE) {
        say_too_small(last_class + 1);
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

/* Stock gives each of its classes a page of the file at once. We do not, but
 * refuse what it refuses. */
static bool is_too_small_for_stock(const struct slabs_config *config)
{
    double size = 48.0 + (double)config->chunk_min;
    unsigned least = 1;

    for (; least < SLABS_CLASS_MAX &&
           size <= (double)config->chunk_max / config->factor;
         least++) {
        size = (double)round_up((size_t)size);
        size *= config->factor;
    }
    if (limit >= least * SLABS_PAGE) {
        return false;
    }
    say_too_small(least);
    return true;
}

bool slabs_init(const struct slabs_config *config)
{
    bool ok = true;

    limit = config->limit / SLABS_PAGE * SLABS_PAGE;
    committed = unowned = 0;
    preallocated = config->preallocate;
    backed = config->backed;
    file = config->fd;
    make_classes(config);
    index_classes();
    if (backed && is_too_small_for_stock(config)) {
        return false;
    }
    if (!reserve_range((last_class + 2) * SLABS_PAGE) || !reserve_owners()) {
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
    /* Both only fail on bad arguments. */
    (void)munmap(owner, reserved / SLABS_PAGE);
    (void)munmap(slabs_base, reserved);
    slabs_base = NULL;
}

static void *take_free_locked(struct slab_class *c)
{
    struct item *it = slabs_ptr(c->free);

    c->free = (uint64_t)it->next_hi << 32 | it->next_lo;
    c->free_n--;
    return it;
}

/* A small chunk that begins the next TOUCH bytes fetches the memory of all of
 * them: a page fault for every few items takes longer than all the rest of
 * storing them. A hint: a kernel that cannot (before 5.14) takes the faults. */
static void touch_locked(const struct slab_class *c)
{
    size_t begin = (size_t)(c->fresh - first_page);
    size_t window = (begin + c->chunk - 1) / TOUCH * TOUCH;

    lock_assert(LOCK_SLABS);
    if (begin <= window && c->chunk <= FINE_STEP_LIMIT && !preallocated &&
        !backed) {
        (void)madvise(first_page + window, TOUCH, MADV_POPULATE_WRITE);
    }
}

static void *take_fresh_locked(struct slab_class *c)
{
    char *p = c->fresh;

    touch_locked(c);

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
    if (preallocated || backed) {
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

/* ---- pages that outlive the process ------------------------------------- */

size_t slabs_pages(void)
{
    return (size_t)(slabs_malloced() + slabs_pool_pages() * SLABS_PAGE) /
           SLABS_PAGE;
}

unsigned slabs_page_class(size_t page)
{
    return owner[page];
}

uint64_t slabs_page_ref(size_t page)
{
    return slabs_ref(first_page + page * SLABS_PAGE);
}

uint64_t slabs_fresh(unsigned slab_class)
{
    const struct slab_class *c = &classes[slab_class];

    return c->fresh_n == 0 ? 0 : slabs_ref(c->fresh);
}

/* The chunk at `ref` of a page that has an owner, carved or not. */
static char *chunk_at(uint64_t ref, struct slab_class **of)
{
    uint64_t at = ref < reserved / 8 ? ref * 8 : 0; /* bytes in the range */
    size_t page = at / SLABS_PAGE, in_page = at % SLABS_PAGE;

    if (page == 0 || (page - 1) * SLABS_PAGE >= committed ||
        owner[page - 1] == 0) {
        return NULL;
    }
    *of = &classes[owner[page - 1]];
    if (in_page % (*of)->chunk != 0 ||
        in_page / (*of)->chunk >= (*of)->per_page) {
        return NULL;
    }
    return slabs_base + at;
}

void *slabs_chunk_at(uint64_t ref)
{
    struct slab_class *c;
    char *chunk = chunk_at(ref, &c);

    /* What is not carved reaches to the end of its page. */
    return chunk != NULL && c->fresh_n > 0 && chunk >= c->fresh &&
                   chunk < c->fresh + c->fresh_n * c->chunk
               ? NULL
               : chunk;
}

static bool adopt_fresh(struct slab_class *c, uint64_t ref)
{
    struct slab_class *of;
    char *chunk = chunk_at(ref, &of);
    size_t in_page;

    if (chunk == NULL || of != c) {
        return false;
    }
    in_page = (size_t)(chunk - first_page) % SLABS_PAGE;
    c->fresh = chunk;
    c->fresh_n = c->per_page - in_page / c->chunk;
    return true;
}

static bool adopt_page(size_t page, unsigned slab_class)
{
    if (slab_class == 0 || slab_class > last_class) {
        return false;
    }
    owner[page] = (uint8_t)slab_class;
    classes[slab_class].pages++;
    return true;
}

bool slabs_adopt(const uint8_t *page_class, size_t pages, const uint64_t *fresh)
{
    bool ok;

    lock_take(&lock, LOCK_SLABS);
    ok = pages < reserved / SLABS_PAGE &&
         (pages == 0 || commit_locked(pages * SLABS_PAGE));
    for (size_t i = 0; ok && i < pages; i++) {
        ok = adopt_page(i, page_class[i]);
    }
    unowned = 0;
    for (unsigned i = 1; ok && i <= last_class; i++) {
        ok = fresh[i] == 0 || adopt_fresh(&classes[i], fresh[i]);
    }
    lock_drop(&lock, LOCK_SLABS);
    return ok;
}
