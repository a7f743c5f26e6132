/*
 * Feeds a fuzz target every file of its corpus, with any compiler, so that
 * `make check` keeps what fuzzing once found. A target that crashes fails.
 *
 * replay_<name>.t reads $srcdir/t/fuzz/corpus/<name>, or the folder given.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the name of this program says: replay_<name>.t. */
static bool corpus_path(const char *program, char *path, size_t room)
{
    const char *base = strrchr(program, '/');
    const char *srcdir = getenv("srcdir");
    const char *name = strstr(base == NULL ? program : base, "replay_");
    const char *end = name == NULL ? NULL : strrchr(name, '.');
    int n;

    if (end == NULL) {
        return false;
    }
    name += strlen("replay_");
    n = snprintf(path, room, "%s/t/fuzz/corpus/%.*s",
                 srcdir == NULL ? "." : srcdir, (int)(end - name), name);
    return n > 0 && (size_t)n < room;
}

/* Runs the target on one file, in memory of exactly its size, so that a
 * sanitizer sees the first byte beyond. */
static bool feed(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = -1;
    bool ok = false;

    if (f == NULL) {
        return false;
    }
    if (fseek(f, 0, SEEK_END) == 0) {
        size = ftell(f);
    }
    if (size >= 0 && fseek(f, 0, SEEK_SET) == 0) {
        data = malloc(size == 0 ? 1 : (size_t)size);
    }
    if (data != NULL && fread(data, 1, (size_t)size, f) == (size_t)size) {
        (void)LLVMFuzzerTestOneInput(data, (size_t)size);
        ok = true;
    }
    free(data);
    (void)fclose(f); /* opened for reading */
    return ok;
}

static int replay(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int files = 0, unread = 0;

    if (dir == NULL) {
        (void)printf("Bail out! %s: %s\n", folder, strerror(errno));
        return -1;
    }
    while ((entry = readdir(dir)) != NULL) {
        char path[PATH_MAX];
        int n = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);

        if (entry->d_name[0] == '.') {
            continue;
        }
        if (n < 0 || (size_t)n >= sizeof(path) || !feed(path)) {
            (void)printf("# cannot read %s\n", entry->d_name);
            unread++;
        }
        files++;
    }
    (void)closedir(dir);
    return unread > 0 ? -1 : files;
}

int main(int argc, char **argv)
{
    char folder[PATH_MAX];
    int files;

    if (argc > 1) {
        (void)snprintf(folder, sizeof(folder), "%s", argv[1]);
    } else if (!corpus_path(argv[0], folder, sizeof(folder))) {
        (void)printf("Bail out! not named replay_<name>.t\n");
        return EXIT_FAILURE;
    }
    (void)printf("1..1\n");
    (void)fflush(stdout); /* the plan is out even if the target crashes */
    files = replay(folder);
    (void)printf("%s 1 - %d inputs of %s\n", files > 0 ? "ok" : "not ok", files,
                 folder);
    return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
