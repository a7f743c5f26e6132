#include "restart.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"

enum {
    PIECE = 65536, /* bytes of the tail hashed, and written, at once */
    STAMP = 8,     /* bytes */
};

/* [m] main thread, no other running */
static struct {
    char path[PATH_MAX]; /* [m] */
    char meta_path[PATH_MAX];
    int fd; /* [m] -1: none */

    struct restart_meta found; /* [m] */
    uint8_t *tail;             /* [m] NULL: none */

    /* saving */
    struct restart_meta meta;
    bool failed;
    uint64_t page_size;
    size_t piece_len;
    uint8_t piece[PIECE];
} self = {.fd = -1};

/* ---- the file ------------------------------------------------------------ */

static bool say(const char *what)
{
    log_print(0, "%s: %s\n", what, strerror(errno));
    return false;
}

bool restart_open(const char *path)
{
    size_t n = strlen(path);

    if (n + sizeof(".meta.tmp") > PATH_MAX) {
        errno = ENAMETOOLONG;
        return say("failed to open file for mmap");
    }
    memcpy(self.path, path, n + 1);
    (void)snprintf(self.meta_path, PATH_MAX, "%.*s.meta", (int)n, path);
    self.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0700);
    if (self.fd < 0) {
        return say("failed to open file for mmap");
    }
    if (flock(self.fd, LOCK_EX | LOCK_NB) != 0) {
        (void)say("failed to lock the memory file: another process has it");
        restart_close();
        return false;
    }
    return true;
}

void restart_close(void)
{
    restart_tail_free();
    if (self.fd >= 0) {
        (void)close(self.fd); /* what matters was synced */
        self.fd = -1;
    }
}

int restart_fd(void)
{
    return self.fd;
}

bool restart_cut(uint64_t keep, uint64_t bytes)
{
    if (ftruncate(self.fd, (off_t)keep) != 0 ||
        (bytes > keep && ftruncate(self.fd, (off_t)bytes) != 0)) {
        return say("ftruncate failed");
    }
    return true;
}

bool restart_clear(uint64_t bytes)
{
    restart_tail_free();
    return restart_cut(0, bytes);
}

/* The entry of a directory is on the disk, or gone from it. Where a directory
 * cannot be synced nothing better can be done. */
static void sync_directory(void)
{
    char dir[PATH_MAX];
    char *slash;
    int fd;

    memcpy(dir, self.path, sizeof(dir));
    slash = strrchr(dir, '/');
    if (slash == NULL) {
        memcpy(dir, ".", 2);
    } else {
        slash[slash == dir ? 1 : 0] = '\0';
    }
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

/* ---- what was left ------------------------------------------------------- */

static void tell(void *ctx, enum restart_meta_report what, const char *text,
                 size_t n)
{
    int len = (int)n;

    (void)ctx;
    switch (what) {
    case RESTART_META_NO_TAG:
        log_print(0, "[restart] Failed to read a tag from metadata file\n");
        return;
    case RESTART_META_TAG_UNKNOWN:
        log_print(0,
                  "[restart] internal handler for metadata tag not found: "
                  "%.*s:\n",
                  len, text);
        return;
    case RESTART_META_LINE_INVALID:
        log_print(0, "[restart] invalid metadata line:\n\n%.*s\n", len, text);
        return;
    case RESTART_META_KEY_UNKNOWN:
        log_print(0, "[restart] unknown/unhandled key: %.*s\n", len, text);
        return;
    }
}

/* Reads `n` bytes from `at` on. */
static bool read_all(int fd, void *buf, size_t n, uint64_t at)
{
    uint8_t *p = buf;

    while (n > 0) {
        ssize_t got = pread(fd, p, n, (off_t)at);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        p += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return true;
}

static bool write_all(int fd, const void *buf, size_t n, uint64_t at)
{
    const uint8_t *p = buf;

    while (n > 0) {
        ssize_t put = pwrite(fd, p, n, (off_t)at);

        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        p += put;
        at += (uint64_t)put;
        n -= (size_t)put;
    }
    return true;
}

/* The text of the metadata, which is deleted; false: none. One that cannot be
 * deleted is not used: it would be there again, when it is not true any more.
 */
static bool read_meta(char *text, size_t *n)
{
    int fd = open(self.meta_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got;

    if (fd < 0) {
        log_print(0, "[restart] no metadata save file, starting with a clean "
                     "cache\n");
        return false;
    }
    got = read(fd, text, RESTART_META_MAX);
    (void)close(fd); /* nothing was written */
    *n = got < 0 ? 0 : (size_t)got;
    if (unlink(self.meta_path) != 0) {
        return say("[restart] cannot delete the metadata file");
    }
    sync_directory();
    return true;
}

/* Whether the meta fits the settings. */
static bool is_compatible(const struct restart_meta *now)
{
    char value[RESTART_META_TEXT];
    const char *name = restart_meta_differs(&self.found, now, value);

    if (name == NULL && self.found.stop_time > clock_seconds()) {
        name = "stop_time";
        (void)snprintf(value, sizeof(value), "%llu",
                       (unsigned long long)self.found.stop_time);
    }
    if (name != NULL) {
        log_print(0,
                  "[restart] restart incompatible due to setting for [%s] "
                  "[old value: %s]\n",
                  name, value);
    }
    return name == NULL;
}

static uint64_t hash_tail(const uint8_t *p, uint64_t n)
{
    uint64_t hash = 0;

    for (uint64_t at = 0; at < n; at += PIECE) {
        hash = hash_bytes(p + at, n - at < PIECE ? n - at : PIECE, hash);
    }
    return hash;
}

/* Takes the mark off the tail, for good. */
static bool invalidate(uint64_t at)
{
    static const uint8_t none[STAMP];

    return write_all(self.fd, none, STAMP, at) && fdatasync(self.fd) == 0;
}

/* Whether file and tail are those that the meta tells of; the tail is read. */
static bool is_whole(void)
{
    const struct restart_meta *m = &self.found;
    struct stat st;
    uint64_t at;
    void *p;

    if (m->pages > SIZE_MAX / 4 / m->slab_page_size || m->tail < STAMP ||
        m->tail > SIZE_MAX / 4) {
        return false;
    }
    at = m->pages * m->slab_page_size;
    if (fstat(self.fd, &st) != 0 || (uint64_t)st.st_size != at + m->tail) {
        return false;
    }
    p = mmap(NULL, m->tail, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
             -1, 0);
    if (p == MAP_FAILED) {
        return false;
    }
    self.tail = p;
    return read_all(self.fd, self.tail, m->tail, at) &&
           get_u64(self.tail) == m->stamp && m->stamp != 0 &&
           hash_tail(self.tail, m->tail) == m->tail_hash && invalidate(at);
}

const struct restart_meta *restart_find(const struct restart_meta *now)
{
    char text[RESTART_META_MAX];
    enum restart_meta_status status;
    size_t n;

    if (!read_meta(text, &n)) {
        return NULL;
    }
    status = restart_meta_parse(text, n, &self.found, tell, NULL);
    if (status == RESTART_META_CORRUPT) {
        log_print(0, "[restart] corrupt metadata file\n");
    } else if (status == RESTART_META_MISSING || !is_compatible(now)) {
        log_print(0, "[restart] missing some metadata lines\n");
        status = RESTART_META_MISSING;
    } else if (!is_whole()) {
        log_print(0, "[restart] the memory file is not the one that the "
                     "metadata tells of\n");
        status = RESTART_META_CORRUPT;
    }
    if (status != RESTART_META_OK) {
        restart_tail_free();
        log_print(0, "[restart] failed to validate metadata, starting with a "
                     "clean cache\n");
        return NULL;
    }
    return &self.found;
}

const uint8_t *restart_tail(size_t *n)
{
    *n = self.tail != NULL ? self.found.tail - STAMP : 0;
    return self.tail != NULL ? self.tail + STAMP : NULL;
}

void restart_tail_free(void)
{
    if (self.tail != NULL) {
        (void)munmap(self.tail, self.found.tail); /* only bad arguments fail */
        self.tail = NULL;
    }
}

/* ---- saving -------------------------------------------------------------- */

void restart_save_begin(const struct restart_meta *meta)
{
    self.meta = *meta;
    self.meta.tail = self.meta.tail_hash = 0;
    do {
        self.meta.stamp = hash_random();
    } while (self.meta.stamp == 0);
    self.piece_len = 0;
    self.failed =
        ftruncate(self.fd, (off_t)(meta->pages * meta->slab_page_size)) != 0;
    (void)restart_put_u64(self.meta.stamp);
}

static void flush_piece(void)
{
    struct restart_meta *m = &self.meta;
    uint64_t at = m->pages * m->slab_page_size + m->tail;

    self.failed =
        self.failed || !write_all(self.fd, self.piece, self.piece_len, at);
    m->tail_hash = hash_bytes(self.piece, self.piece_len, m->tail_hash);
    m->tail += self.piece_len;
    self.piece_len = 0;
}

bool restart_put(const void *p, size_t n)
{
    const uint8_t *from = p;

    while (n > 0 && !self.failed) {
        size_t room = PIECE - self.piece_len;
        size_t part = n < room ? n : room;

        memcpy(self.piece + self.piece_len, from, part);
        self.piece_len += part;
        from += part;
        n -= part;
        if (self.piece_len == PIECE) {
            flush_piece();
        }
    }
    return !self.failed;
}

bool restart_put_u64(uint64_t v)
{
    uint8_t buf[sizeof(v)];

    (void)wr_u64(buf, v);
    return restart_put(buf, sizeof(buf));
}

/* Written beside, and named when it is whole. */
static bool write_meta(void)
{
    char text[RESTART_META_MAX], draft[PATH_MAX];
    size_t n = restart_meta_format(text, &self.meta);
    bool ok;
    int fd;

    (void)snprintf(draft, sizeof(draft), "%.*s.tmp", PATH_MAX - 5,
                   self.meta_path);
    (void)unlink(draft); /* one of a process that was killed here */
    fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    ok = write_all(fd, text, n, 0) && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    if (!ok || rename(draft, self.meta_path) != 0) {
        (void)unlink(draft);
        return false;
    }
    sync_directory();
    return true;
}

bool restart_save_end(void)
{
    if (self.piece_len > 0) {
        flush_piece();
    }
    /* The pages, too: the meta must not outlive a crash that they do not. */
    if (self.failed || fsync(self.fd) != 0 || !write_meta()) {
        return say("[restart] failed to save the cache");
    }
    return true;
}
