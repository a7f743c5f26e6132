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
#include "slabs_table.h"

/* A power of two far above any -m: 1 TiB, less where address space is dear. */
#if defined(__SANITIZE_THREAD__)
#define RESERVE (256 * GIB)
#else
#define RESERVE (1024 * GIB)
#endif

/* Divides a page: memory that is fetched at a time. */
#define TOUCH     (32 * KIB)
#define TOUCH_FOR (4 * KIB) /* chunks up to this */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
enum { SLICE = 256 }; /* chunks looked at in one hold of the lock */

/* Pages by number, which is where they are in the range; 0 is none. */
struct page_list {
    uint32_t first, last;
    size_t n;
};

struct slab_class {
    size_t chunk;    /* [c] bytes */
    size_t per_page; /* [c] chunks */
    /* [S] ref of the first free chunk; linked by next, and by prev except
     * that of the first, which is left as it was. */
    uint64_t free;
    char *fresh;     /* [S] uncarved rest of the newest page */
    size_t fresh_n;  /* [S] chunks left there */
    uint64_t free_n; /* [S] chunks on the free list */
    uint64_t pages;  /* [S] all it has: carved, spare and draining ones */
    struct page_list carved; /* [S] oldest first */
    struct page_list spare;  /* [S] given to it, not begun */
};

/* The page on its way out of its class; first 0: none. */
struct drain {
    uint32_t page;   /* [S] */
    char *start;     /* [S] its bytes; NULL: no page */
    unsigned from;   /* [S] class */
    bool carved;     /* [S] false: it was a spare one, without chunks */
    size_t left;     /* [S] chunks in use */
    size_t unlisted; /* [S] chunks whose place in the free list is settled */
};

char *slabs_base;

static char *first_page; /* [c] one page in, so that ref 0 is no chunk */
static size_t reserved;  /* [c] bytes */
static struct slab_class classes[SLABS_CLASS_MAX + 1]; /* 1..last */
static bool preallocated;                              /* [c] */
static bool backed; /* [c] the pages lie in a file */
static int file;    /* [c] it */

static struct lock lock;
static size_t limit;          /* [S] bytes */
static size_t committed;      /* [S] bytes from first_page */
static size_t unowned;        /* [S] committed bytes no class had yet */
static uint32_t *next_page;   /* [S] by number: the one behind in its list */
static uint8_t *owner;        /* [S] class that carves the page, 0: none */
static struct page_list pool; /* [S] pages that no class has any more */
static struct page_list released; /* [S] those that the system got back */
static struct drain drain;        /* [S] written by the page mover alone */

/* ---- pages ---- */

static char *page_start(uint32_t page)
{
    return slabs_base + page * SLABS_PAGE;
}

static void list_add_locked(struct page_list *list, uint32_t page)
{
    next_page[page] = 0;
    if (list->first == 0) {
        list->first = page;
    } else {
        next_page[list->last] = page;
    }
    list->last = page;
    list->n++;
}

static void list_add_first_locked(struct page_list *list, uint32_t page)
{
    next_page[page] = list->first;
    list->last = list->first == 0 ? page : list->last;
    list->first = page;
    list->n++;
}

/* The first page; 0: none. */
static uint32_t list_take_locked(struct page_list *list)
{
    uint32_t page = list->first;

    if (page != 0) {
        list->first = next_page[page];
        list->n--;
    }
    return page;
}

static size_t links_size(void)
{
    return reserved / SLABS_PAGE * sizeof(*next_page);
}

/* Memory for the lists of pages, touched as pages come. */
static bool reserve_links(void)
{
    void *p = mmap(NULL, links_size(), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    next_page = p == MAP_FAILED ? NULL : p;
    if (next_page == NULL) {
        (void)munmap(slabs_base, reserved);
    }
    return next_page != NULL;
}

static bool reserve_range(size_t least)
{
    for (reserved = RESERVE; reserved >= least; reserved /= 2) {
        void *p = mmap(NULL, reserved, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (p != MAP_FAILED) {
            slabs_base = p;
            first_page = slabs_base + SLABS_PAGE;
            return reserve_links();
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

/* Bytes that the system has given and not got back. */
static size_t held_locked(void)
{
    return committed - released.n * SLABS_PAGE;
}

/* A page for a class; `force`: also beyond the limit. 0: none. */
static uint32_t page_take_locked(bool force)
{
    uint32_t page = list_take_locked(&pool);
    char *start;

    if (page != 0) {
        return page;
    }
    if (unowned == 0) {
        if (!force && held_locked() + SLABS_PAGE > limit) {
            return 0;
        }
        page = list_take_locked(&released);
        if (page != 0 || !commit_locked(SLABS_PAGE)) {
            return page;
        }
    }
    start = first_page + committed - unowned;
    unowned -= SLABS_PAGE;
    return (uint32_t)((size_t)(start - slabs_base) / SLABS_PAGE);
}

/* Lets the class carve a page: one it has, or a new one unless `owned`. */
static bool grow_locked(struct slab_class *c, bool owned)
{
    uint32_t page = list_take_locked(&c->spare);

    if (page == 0 && !owned) {
        page = page_take_locked(c->pages == 0);
        c->pages += page != 0;
    }
    if (page == 0) {
        return false;
    }
    list_add_locked(&c->carved, page);
    c->fresh = page_start(page);
    c->fresh_n = c->per_page;
    owner[page - 1] = (uint8_t)(c - classes);
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
    if (limit < (slabs_last_class() + 1) * SLABS_PAGE) {
        say_too_small(slabs_last_class() + 1);
        return false;
    }
    if (!commit_locked(limit)) {
        (void)fprintf(stderr, "cannot allocate %zu bytes: %s\n", limit,
                      strerror(errno));
        return false;
    }
    /* A hint: without huge pages everything works the same. */
    (void)madvise(first_page, limit, MADV_HUGEPAGE);
    for (unsigned i = 1; i <= slabs_last_class(); i++) {
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
    pool = released = (struct page_list){0};
    drain = (struct drain){0};
    preallocated = config->preallocate;
    backed = config->backed;
    file = config->fd;
    slabs_table_make(config);
    memset(classes, 0, sizeof(classes));
    for (unsigned i = 1; i <= slabs_last_class(); i++) {
        classes[i].chunk = slabs_chunk_size(i);
        classes[i].per_page = SLABS_PAGE / classes[i].chunk;
    }
    if (backed && limit < slabs_table_stock(config) * SLABS_PAGE) {
        say_too_small(slabs_table_stock(config));
        return false;
    }
    if (!reserve_range((slabs_last_class() + 2) * SLABS_PAGE) ||
        !reserve_owners()) {
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
    (void)munmap(next_page, links_size());
    slabs_base = NULL;
    next_page = NULL;
}

/* ---- chunks ---- */

static uint64_t next_free(const struct item *it)
{
    return (uint64_t)it->next_hi << 32 | it->next_lo;
}

static uint64_t prev_free(const struct item *it)
{
    return (uint64_t)it->prev_hi << 32 | it->prev_lo;
}

static void set_next_free(struct item *it, uint64_t ref)
{
    it->next_lo = (uint32_t)ref;
    it->next_hi = (uint8_t)(ref >> 32);
}

static void set_prev_free(struct item *it, uint64_t ref)
{
    it->prev_lo = (uint32_t)ref;
    it->prev_hi = (uint8_t)(ref >> 32);
}

static void set_kind(struct item *it, enum item_kind kind)
{
    atomic_store_explicit(&it->kind, (unsigned char)kind, memory_order_relaxed);
}

static void free_push_locked(struct slab_class *c, struct item *it)
{
    uint64_t ref = slabs_ref(it);

    set_kind(it, ITEM_FREE);
    set_next_free(it, c->free);
    if (c->free != 0) {
        set_prev_free(slabs_ptr(c->free), ref);
    }
    c->free = ref;
    c->free_n++;
}

static struct item *free_pop_locked(struct slab_class *c)
{
    struct item *it = slabs_ptr(c->free);

    c->free = next_free(it);
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
    if (begin <= window && c->chunk <= TOUCH_FOR && !preallocated && !backed) {
        (void)madvise(first_page + window, TOUCH, MADV_POPULATE_WRITE);
    }
}

static void free_remove_locked(struct slab_class *c, struct item *it)
{
    uint64_t next = next_free(it);

    if (c->free == slabs_ref(it)) {
        c->free = next;
    } else {
        set_next_free(slabs_ptr(prev_free(it)), next);
        if (next != 0) {
            set_prev_free(slabs_ptr(next), prev_free(it));
        }
    }
    c->free_n--;
}

static struct item *fresh_take_locked(struct slab_class *c)
{
    char *p = c->fresh;

    touch_locked(c);
    c->fresh += c->chunk;
    c->fresh_n--;
    return (struct item *)(void *)p;
}

static void *alloc(struct slab_class *c, bool owned)
{
    struct item *it = NULL;

    lock_take(&lock, LOCK_SLABS);
    if (c->free != 0) {
        it = free_pop_locked(c);
    } else if (c->fresh_n > 0 || (grow_locked(c, owned) && c->fresh_n > 0)) {
        it = fresh_take_locked(c);
    }
    if (it != NULL) {
        set_kind(it, ITEM_RESERVED); /* the page mover sees it is in use */
    }
    lock_drop(&lock, LOCK_SLABS);
    return it;
}

void *slabs_alloc(unsigned slab_class)
{
    return alloc(&classes[slab_class], false);
}

void *slabs_alloc_owned(unsigned slab_class)
{
    return alloc(&classes[slab_class], true);
}

static bool is_draining_locked(const void *chunk)
{
    return (uintptr_t)chunk - (uintptr_t)drain.start < SLABS_PAGE;
}

void slabs_free(void *chunk, unsigned slab_class)
{
    lock_take(&lock, LOCK_SLABS);
    if (UNLIKELY(is_draining_locked(chunk))) {
        set_kind(chunk, ITEM_DRAINED);
        drain.left--;
    } else {
        free_push_locked(&classes[slab_class], chunk);
    }
    lock_drop(&lock, LOCK_SLABS);
}

/* ---- pages that leave their class ---- */

bool slabs_drain_begin(unsigned slab_class)
{
    struct slab_class *c = &classes[slab_class];
    bool spare;

    lock_take(&lock, LOCK_SLABS);
    if (c->pages < 2) {
        lock_drop(&lock, LOCK_SLABS);
        return false;
    }
    spare = c->spare.first != 0;
    drain = (struct drain){
        .page = list_take_locked(spare ? &c->spare : &c->carved),
        .from = slab_class,
        .carved = !spare,
        .left = spare ? 0 : c->per_page,
    };
    drain.start = page_start(drain.page);
    lock_drop(&lock, LOCK_SLABS);
    return true;
}

void *slabs_drain_chunk(size_t i)
{
    const struct slab_class *c = &classes[drain.from];

    return drain.carved && i < c->per_page ? drain.start + i * c->chunk : NULL;
}

bool slabs_drain_unlist(void)
{
    struct slab_class *c = &classes[drain.from];
    struct item *it;

    lock_take(&lock, LOCK_SLABS);
    for (int n = 0; n < SLICE; n++) {
        it = slabs_drain_chunk(drain.unlisted);
        if (it == NULL) {
            break;
        }
        drain.unlisted++;
        if (atomic_load_explicit(&it->kind, memory_order_relaxed) ==
            ITEM_FREE) {
            free_remove_locked(c, it);
            set_kind(it, ITEM_DRAINED);
            drain.left--;
        }
    }
    it = slabs_drain_chunk(drain.unlisted);
    lock_drop(&lock, LOCK_SLABS);
    return it != NULL;
}

size_t slabs_drain_left(void)
{
    size_t left;

    lock_take(&lock, LOCK_SLABS);
    left = drain.left;
    lock_drop(&lock, LOCK_SLABS);
    return left;
}

static void give_locked(uint32_t page, unsigned dst)
{
    owner[page - 1] = 0;
    if (dst == 0) {
        list_add_locked(&pool, page);
    } else {
        list_add_locked(&classes[dst].spare, page);
        classes[dst].pages++;
    }
}

void slabs_drain_end(unsigned dst)
{
    lock_take(&lock, LOCK_SLABS);
    assert(drain.left == 0);
    classes[drain.from].pages--;
    give_locked(drain.page, dst);
    drain = (struct drain){0};
    lock_drop(&lock, LOCK_SLABS);
}

/* From the first hold on chunks of the page go to the free list again; those
 * that were free by then follow in slices. */
void slabs_drain_cancel(void)
{
    struct drain was = drain;
    struct slab_class *c = &classes[was.from];
    size_t i = 0, most = was.carved ? c->per_page : 0;

    do {
        lock_take(&lock, LOCK_SLABS);
        if (drain.page != 0) {
            list_add_first_locked(was.carved ? &c->carved : &c->spare,
                                  was.page);
            drain = (struct drain){0};
        }
        for (size_t end = i + SLICE; i < end && i < most; i++) {
            struct item *it = (struct item *)(void *)(was.start + i * c->chunk);

            if (atomic_load_explicit(&it->kind, memory_order_relaxed) ==
                ITEM_DRAINED) {
                free_push_locked(c, it);
            }
        }
        lock_drop(&lock, LOCK_SLABS);
    } while (i < most);
}

bool slabs_pool_give(unsigned slab_class)
{
    uint32_t page;

    lock_take(&lock, LOCK_SLABS);
    page = list_take_locked(&pool);
    if (page != 0) {
        give_locked(page, slab_class);
    }
    lock_drop(&lock, LOCK_SLABS);
    return page != 0;
}

/* Whether there is more than the limit allows, and it can be helped. */
static bool over_locked(void)
{
    return !preallocated && !backed && held_locked() > limit;
}

/* A page of the pool that is beyond the limit; 0: none. */
static uint32_t excess_take_locked(void)
{
    return over_locked() ? list_take_locked(&pool) : 0;
}

bool slabs_trim(void)
{
    bool over;

    for (;;) {
        uint32_t page;
        bool gone;

        lock_take(&lock, LOCK_SLABS);
        page = excess_take_locked();
        over = over_locked();
        lock_drop(&lock, LOCK_SLABS);
        if (page == 0) {
            return over;
        }
        /* Refused where memory is locked (-k): then it stays ours. */
        gone = madvise(page_start(page), SLABS_PAGE, MADV_DONTNEED) == 0;
        lock_take(&lock, LOCK_SLABS);
        list_add_locked(gone ? &released : &pool, page);
        lock_drop(&lock, LOCK_SLABS);
        if (!gone) {
            return over;
        }
    }
}

/* ---- figures ---- */

/* Free chunks of a class, wherever they are. */
static uint64_t free_locked(const struct slab_class *c)
{
    uint64_t n = c->free_n + c->fresh_n + c->spare.n * c->per_page;

    if (drain.page != 0 && &classes[drain.from] == c) {
        n += c->per_page - drain.left;
    }
    return n;
}

void slabs_stats(unsigned slab_class, struct slabs_stats *out)
{
    const struct slab_class *c = &classes[slab_class];

    lock_take(&lock, LOCK_SLABS);
    *out = (struct slabs_stats){
        .chunk_size = c->chunk,
        .chunks_per_page = c->per_page,
        .pages = c->pages,
        .free = free_locked(c),
    };
    out->used = out->pages * out->chunks_per_page - out->free;
    lock_drop(&lock, LOCK_SLABS);
}

uint64_t slabs_malloced(void)
{
    uint64_t n;

    lock_take(&lock, LOCK_SLABS);
    n = held_locked() - unowned;
    lock_drop(&lock, LOCK_SLABS);
    return n;
}

uint64_t slabs_pool_pages(void)
{
    uint64_t n;

    lock_take(&lock, LOCK_SLABS);
    n = pool.n + unowned / SLABS_PAGE;
    lock_drop(&lock, LOCK_SLABS);
    return n;
}

bool slabs_full(void)
{
    bool full;

    lock_take(&lock, LOCK_SLABS);
    full = unowned == 0 && held_locked() + SLABS_PAGE > limit;
    lock_drop(&lock, LOCK_SLABS);
    return full;
}

bool slabs_set_limit(size_t bytes)
{
    if (preallocated || backed) {
        return false;
    }
    lock_take(&lock, LOCK_SLABS);
    limit = bytes / SLABS_PAGE * SLABS_PAGE;
    lock_drop(&lock, LOCK_SLABS);
    (void)slabs_trim();
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
    size_t n;

    lock_take(&lock, LOCK_SLABS);
    n = committed / SLABS_PAGE;
    lock_drop(&lock, LOCK_SLABS);
    return n;
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

/* The page that is not carved to its end is the newest. */
static bool adopt_fresh_locked(struct slab_class *c, uint64_t ref)
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
    list_add_locked(&c->carved, (uint32_t)(ref * 8 / SLABS_PAGE));
    return true;
}

/* Page 1 is the first. One without an owner is in the pool. */
static bool adopt_page_locked(uint32_t page, unsigned slab_class,
                              const uint64_t *fresh)
{
    struct slab_class *c = &classes[slab_class];

    if (slab_class > slabs_last_class()) {
        return false;
    }
    owner[page - 1] = (uint8_t)slab_class;
    if (slab_class == 0) {
        list_add_locked(&pool, page);
        return true;
    }
    c->pages++;
    if (fresh[slab_class] * 8 / SLABS_PAGE != page) {
        list_add_locked(&c->carved, page);
    }
    return true;
}

bool slabs_adopt(const uint8_t *page_class, size_t pages, const uint64_t *fresh)
{
    bool ok;

    lock_take(&lock, LOCK_SLABS);
    ok = pages < reserved / SLABS_PAGE &&
         (pages == 0 || commit_locked(pages * SLABS_PAGE));
    for (size_t i = 0; ok && i < pages; i++) {
        ok = adopt_page_locked((uint32_t)i + 1, page_class[i], fresh);
    }
    unowned = 0;
    for (unsigned i = 1; ok && i <= slabs_last_class(); i++) {
        ok = fresh[i] == 0 || adopt_fresh_locked(&classes[i], fresh[i]);
    }
    lock_drop(&lock, LOCK_SLABS);
    return ok;
}
