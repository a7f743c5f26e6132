/* Unit tests of a cache that outlives its process: restart, restart_meta and
 * store_restart, with files that are damaged in every way. */
#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/version.h"
#include "lru.h"
#include "restart.h"
#include "store.h"
#include "store_restart.h"
#include "store_stats.h"

#define START_MS UINT64_C(1800000000000)
#define LARGE    900000

/* ---- memory that runs out ----------------------------------------------- */

static long fail_in = -1; /* allocations until one fails; -1 none */

static bool fails(void)
{
    return fail_in >= 0 && fail_in-- == 0;
}

/* The linker's names: see Makefile.am. */
void *__real_aligned_alloc(size_t align, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n)
{
    return fails() ? NULL : __real_aligned_alloc(align, n);
}

void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
    return fails() ? MAP_FAILED : __real_mmap(at, n, prot, flags, fd, off);
}

/* ---- lives --------------------------------------------------------------- */

static char dir[PATH_MAX], path[PATH_MAX + 8], meta_path[PATH_MAX + 16];
static struct store_config config;
static char large[LARGE];

static void begin(void)
{
    hash_init(); /* another seed each time */
    version_init(VERSION_COUNTING, 0);
}

static void setup(void)
{
    /* Where nothing has to reach a disk, if there is such a place. */
    (void)snprintf(dir, sizeof(dir), "%s/restart-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/m", dir);
    (void)snprintf(meta_path, sizeof(meta_path), "%s.meta", path);
    config = store_config_default();
    config.memory_limit = 39 * MIB;
    config.memory_file = path;
    for (size_t i = 0; i < LARGE; i++) {
        large[i] = (char)('a' + i % 23);
    }
    clock_freeze(START_MS);
    begin();
    ck_assert(store_init(&config));
}

static void teardown(void)
{
    store_fini();
    (void)unlink(path);
    (void)unlink(meta_path);
    (void)rmdir(dir);
}

static void save(void)
{
    ck_assert(store_save_begin());
    ck_assert(store_save_end());
    store_fini();
}

static void again(void)
{
    save();
    begin();
    ck_assert(store_init(&config));
    store_restored();
}

static struct store_key key_of(const char *name)
{
    return store_key(name, strlen(name));
}

static void put_bytes(const char *name, uint32_t flags, const char *value,
                      size_t n)
{
    struct store_key key = key_of(name);
    struct store_attrs attrs = {.flags = flags};

    ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, value, n, NULL),
                     STORE_OK);
}

static void put(const char *name, const char *value)
{
    put_bytes(name, 0, value, strlen(value));
}

static bool holds_bytes(const char *name, uint32_t flags, const char *value,
                        size_t n)
{
    static char buf[LARGE];
    struct store_key key = key_of(name);
    struct item *it = store_hold(&key, NULL);
    bool same = false;

    if (it != NULL) {
        same = it->nbytes == n && n <= sizeof(buf) && item_flags(it) == flags;
        if (same) {
            item_copy_out(it, 0, buf, n);
            same = memcmp(buf, value, n) == 0;
        }
        store_release(it);
    }
    return same;
}

static bool holds(const char *name, const char *value)
{
    return holds_bytes(name, 0, value, strlen(value));
}

static uint64_t items(void)
{
    struct store_totals totals;

    store_totals(&totals);
    return totals.curr_items;
}

/* ---- what is kept -------------------------------------------------------- */

START_TEST(items_are_there_again)
{
    uint64_t last;

    put("plain", "value");
    put_bytes("flags", 77, "x", 1);
    put_bytes("empty", 0, "", 0);
    put_bytes("large", 5, large, LARGE);
    put("last", "x");
    last = version_last();
    again();
    ck_assert(holds("plain", "value"));
    ck_assert(holds_bytes("flags", 77, "x", 1));
    ck_assert(holds_bytes("empty", 0, "", 0));
    ck_assert(holds_bytes("large", 5, large, LARGE));
    ck_assert_uint_eq(items(), 5);
    ck_assert_uint_eq(version_last(), last);
    for (int i = 0; i < 3; i++) {
        again();
        ck_assert(holds_bytes("large", 5, large, LARGE));
        put_bytes("large", 5, large, LARGE);
    }
}
END_TEST

struct order {
    char names[400];
    size_t n;
};

static bool note_name(void *ctx, struct item *it)
{
    struct order *order = ctx;

    memcpy(order->names + order->n, item_key(it), it->nkey);
    order->n += it->nkey;
    return order->n + KEY_MAX_LENGTH < sizeof(order->names);
}

START_TEST(queues_are_as_they_were)
{
    struct order before = {.n = 0}, after = {.n = 0};
    struct store_class_stats was, is;
    char name[8];

    for (int i = 0; i < 50; i++) {
        (void)snprintf(name, sizeof(name), "k%d", i * 7 % 50);
        put(name, "v");
        if (i % 3 == 0) {
            struct store_key key = key_of(name);
            struct item *it = store_hold(&key, NULL);

            store_hit(it);
            store_release(it);
        }
    }
    lru_visit(1, note_name, &before);
    ck_assert(store_class_stats(1, &was));
    again();
    lru_visit(1, note_name, &after);
    ck_assert(store_class_stats(1, &is));
    ck_assert_uint_gt(before.n, 100);
    ck_assert_uint_eq(before.n, after.n);
    ck_assert(memcmp(before.names, after.names, after.n) == 0);
    ck_assert_uint_eq(was.mem_requested, is.mem_requested);
    ck_assert_uint_eq(was.used_chunks, is.used_chunks);
    ck_assert_uint_eq(was.free_chunks, is.free_chunks);
}
END_TEST

START_TEST(half_uploads_leave_nothing)
{
    struct store_key key = key_of("half");
    struct store_attrs attrs = {0};
    struct store_class_stats stats;
    struct item *it;

    put("k", "v");
    ck_assert_int_eq(store_reserve(&key, &attrs, STORE_SET, LARGE, &it),
                     STORE_OK);
    ck_assert_uint_gt(store_room(it, 0).iov_len, 0);
    again();
    ck_assert_uint_eq(items(), 1);
    ck_assert(holds("k", "v"));
    ck_assert(store_class_stats(store_class_max(), &stats));
    ck_assert_uint_eq(stats.used_chunks, 0);
    ck_assert(store_class_stats(1, &stats));
    ck_assert_uint_eq(stats.used_chunks, 1);
}
END_TEST

START_TEST(time_goes_on_meanwhile)
{
    struct store_key key = key_of("short");
    struct store_attrs attrs = {.exptime = (uint32_t)(START_MS / 1000) + 10};
    uint32_t started = clock_started();

    ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, "x", 1, NULL),
                     STORE_OK);
    put("flushed", "x");
    store_flush(0);
    put("long", "x");
    store_flush((uint32_t)(START_MS / 1000) + 100);
    save();
    clock_freeze(START_MS + 11000);
    begin();
    ck_assert(store_init(&config));
    store_restored();
    ck_assert_uint_eq(items(), 1);
    ck_assert(holds("long", "x"));
    ck_assert_uint_eq(clock_started(), started);
    ck_assert_uint_eq(store_flush_time(), START_MS / 1000 + 100);
    clock_freeze(START_MS + 100000);
    store_tick();
    ck_assert(!holds("long", "x"));
    clock_freeze(START_MS);
}
END_TEST

START_TEST(what_others_put_beside_comes_back)
{
    static char beside[1000000];
    const void *kept;
    size_t n;

    memset(beside, 'b', sizeof(beside));
    ck_assert(store_save_begin());
    ck_assert(store_save_put(beside, sizeof(beside)));
    ck_assert(store_save_end());
    ck_assert_ptr_null(store_kept(&n));
    store_fini();
    begin();
    ck_assert(store_init(&config));
    kept = store_kept(&n);
    ck_assert_ptr_nonnull(kept);
    ck_assert_uint_eq(n, sizeof(beside));
    ck_assert(memcmp(kept, beside, n) == 0);
    store_restored();
    ck_assert_ptr_null(store_kept(&n));
}
END_TEST

/* ---- what is damaged ----------------------------------------------------- */

struct file {
    char *p;
    size_t n;
};

static struct file read_file(const char *name)
{
    struct file f = {0};
    struct stat st;
    int fd = open(name, O_RDONLY);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    f.n = (size_t)st.st_size;
    f.p = malloc(f.n + 1);
    ck_assert_ptr_nonnull(f.p);
    ck_assert_int_eq(pread(fd, f.p, f.n, 0), (ssize_t)f.n);
    (void)close(fd);
    return f;
}

static void write_file(const char *name, const char *p, size_t n)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
    (void)close(fd);
}

/* Some of everything: items of two classes, one of them freed, a value in
 * pieces. */
static void fill(void)
{
    struct store_key gone = key_of("gone");

    put("first", "value");
    put("gone", "value");
    put_bytes("flags", 9, "value", 5);
    put_bytes("large", 5, large, LARGE);
    put_bytes("wide", 0, large, 3000);
    ck_assert_int_eq(store_delete(&gone, 0, NULL), STORE_OK);
}

static bool read_item(void *ctx, struct item *it)
{
    static char buf[MIB];

    (void)ctx;
    ck_assert_uint_le(it->nbytes, sizeof(buf));
    item_copy_out(it, 0, buf, it->nbytes);
    return true;
}

/* Does what clients do to whatever is there. */
static void use(void)
{
    struct store_cursor cursor = {0};

    (void)store_walk(&cursor, SIZE_MAX, read_item, NULL);
    fill();
    put("first", "other");
    ck_assert(holds("first", "other"));
    ck_assert(holds_bytes("large", 5, large, LARGE));
    for (unsigned i = 1; i <= store_class_max(); i++) {
        while (lru_evict(i)) {
        }
    }
    ck_assert_uint_eq(items(), 0);
}

/* A start with these two files: a cache comes up. */
static bool survives(struct file memory, struct file meta)
{
    bool restored;

    write_file(path, memory.p, memory.n);
    write_file(meta_path, meta.p, meta.n);
    begin();
    ck_assert(store_init(&config));
    ck_assert_int_ne(access(meta_path, F_OK), 0);
    restored = items() > 0;
    store_restored();
    use();
    store_fini();
    return restored;
}

START_TEST(no_byte_of_the_metadata_is_trusted)
{
    struct file memory, meta;
    unsigned restored = 0;

    fill();
    save();
    memory = read_file(path);
    meta = read_file(meta_path);
    ck_assert(survives(memory, meta));
    for (size_t i = 0; i < meta.n; i += 3) {
        meta.p[i] ^= (char)(1 << i % 7);
        restored += survives(memory, meta);
        meta.p[i] ^= (char)(1 << i % 7);
    }
    /* Times, and where the memory lay, are for people. */
    ck_assert_uint_lt(restored, 40);
    for (size_t n = 0; n < meta.n; n += 23) {
        ck_assert(!survives(memory, (struct file){meta.p, n}));
    }
    free(memory.p);
    free(meta.p);
    ck_assert(store_init(&config));
}
END_TEST

/* Bytes of a chunk that mean something, and where the chunks are. */
START_TEST(no_header_in_the_pages_is_trusted)
{
    static const uint8_t flips[] = {0x01, 0x80, 0xff};
    struct file memory, meta;
    size_t chunk[8], n = 0;

    fill();
    for (size_t at = 0; n < 3; n++, at += 80) {
        chunk[n] = at; /* first, gone, flags */
    }
    save();
    memory = read_file(path);
    meta = read_file(meta_path);
    /* Each further page begins with a head or a piece. */
    for (size_t at = MIB; at + MIB <= memory.n && n < 8; at += MIB) {
        chunk[n++] = at;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < 60; k++) {
            char *byte = &memory.p[chunk[i] + k];
            uint8_t flip = flips[(i + k) % 3];

            *byte = (char)(*byte ^ flip);
            (void)survives(memory, meta);
            *byte = (char)(*byte ^ flip);
        }
    }
    ck_assert(survives(memory, meta));
    free(memory.p);
    free(meta.p);
    ck_assert(store_init(&config));
}
END_TEST

START_TEST(a_file_of_another_size_or_tail_is_refused)
{
    struct file memory, meta;
    size_t tail;

    fill();
    save();
    memory = read_file(path);
    meta = read_file(meta_path);
    tail = memory.n % MIB;
    ck_assert_uint_gt(tail, 8);
    for (size_t cut = 1; cut < memory.n; cut = cut * 3 + 1) {
        ck_assert(!survives((struct file){memory.p, memory.n - cut}, meta));
    }
    ck_assert(!survives((struct file){memory.p, 0}, meta));
    ck_assert(!survives((struct file){memory.p, memory.n + 1}, meta));
    for (size_t i = 0; i < tail; i += 1 + tail / 50) {
        char *byte = &memory.p[memory.n - tail + i];

        *byte = (char)(*byte ^ 4);
        ck_assert(!survives(memory, meta));
        *byte = (char)(*byte ^ 4);
    }
    ck_assert(survives(memory, meta));
    free(memory.p);
    free(meta.p);
    ck_assert(store_init(&config));
}
END_TEST

START_TEST(without_memory_it_starts_clean_or_not_at_all)
{
    struct file memory, meta;
    bool whole = false;
    int refused = 0, clean = 0;
    char name[16];

    for (int i = 0; i < 100000; i++) {
        (void)snprintf(name, sizeof(name), "k%d", i);
        put(name, "v");
    }
    save();
    memory = read_file(path);
    meta = read_file(meta_path);
    /* Each stripe allocates; few of them will do. */
    for (long i = 0; !whole; i += i < 8 ? 1 : 1511) {
        bool up;

        write_file(path, memory.p, memory.n);
        write_file(meta_path, meta.p, meta.n);
        begin();
        fail_in = i;
        up = store_init(&config);
        whole = fail_in >= 0;
        fail_in = -1;
        refused += !up;
        if (up) {
            clean += items() == 0;
            ck_assert(items() == 0 || items() == 100000);
            store_fini();
        }
    }
    ck_assert_int_gt(refused, 3);
    ck_assert_int_gt(clean, 1);
    free(memory.p);
    free(meta.p);
    ck_assert(store_init(&config));
}
END_TEST

START_TEST(a_full_disk_saves_nothing)
{
    struct rlimit before, limit;

    put("k", "v");
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = MIB; /* the pages fit, their tail does not */
    (void)signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert(store_save_begin());
    ck_assert(!store_save_end());
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_ne(access(meta_path, F_OK), 0);
    store_fini();
    begin();
    ck_assert(store_init(&config));
    ck_assert_uint_eq(items(), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("restart");
    TCase *t = tcase_create("kept");
    TCase *d = tcase_create("damaged");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, items_are_there_again);
    tcase_add_test(t, queues_are_as_they_were);
    tcase_add_test(t, half_uploads_leave_nothing);
    tcase_add_test(t, time_goes_on_meanwhile);
    tcase_add_test(t, what_others_put_beside_comes_back);
    suite_add_tcase(s, d);
    tcase_add_checked_fixture(d, setup, teardown);
    tcase_set_timeout(d, 120);
    tcase_add_test(d, no_byte_of_the_metadata_is_trusted);
    tcase_add_test(d, no_header_in_the_pages_is_trusted);
    tcase_add_test(d, a_file_of_another_size_or_tail_is_refused);
    tcase_add_test(d, without_memory_it_starts_clean_or_not_at_all);
    tcase_add_test(d, a_full_disk_saves_nothing);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
