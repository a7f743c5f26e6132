/*
 * restart_meta - the text that tells the next process what its memory file
 * holds: a line `Tmain`, then lines `K<name> <value>`.
 *
 * Layer:     2. Includes layer 0 only.
 * Threads:   pure functions.
 * Ownership: what is reported points into the caller's text.
 */
#ifndef RESTART_META_H
#define RESTART_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

#define RESTART_META_TEXT 32   /* room of a value that is text */
#define RESTART_META_MAX  4096 /* bytes of the whole text */

struct restart_meta {
    /* Settings that have to be the same again. */
    char slab_config[RESTART_META_TEXT];
    uint64_t maxbytes;
    uint64_t chunk_size;
    uint64_t item_size_max;
    uint64_t slab_chunk_size_max;
    uint64_t slab_page_size;
    bool use_cas;
    bool slab_reassign;
    char layout[RESTART_META_TEXT]; /* of the memory */

    /* Unix seconds. */
    uint64_t current_time; /* but this: seconds that the cache lived */
    uint64_t process_started;
    uint64_t stop_time;
    uint64_t oldest_live; /* of the last flush */

    uint64_t current_cas; /* last version */
    uint64_t mmap_oldbase;

    /* What lies behind the pages of the file. */
    uint64_t pages;
    uint64_t tail;      /* bytes */
    uint64_t tail_hash; /* over them */
    uint64_t stamp;     /* they begin with it */
};

enum restart_meta_status {
    RESTART_META_OK,
    RESTART_META_MISSING, /* lines */
    RESTART_META_CORRUPT,
};

/* What reading met; the text is a part of the line. */
enum restart_meta_report {
    RESTART_META_NO_TAG,       /* nothing there */
    RESTART_META_TAG_UNKNOWN,  /* the tag */
    RESTART_META_LINE_INVALID, /* the line */
    RESTART_META_KEY_UNKNOWN,  /* the name; it is ignored */
};

typedef void restart_meta_tell(void *ctx, enum restart_meta_report what,
                               const char *text, size_t n);

enum restart_meta_status restart_meta_parse(const char *text, size_t n,
                                            struct restart_meta *out,
                                            restart_meta_tell *tell,
                                            void *ctx) MUST_CHECK;

/* Writes it to `buf`, RESTART_META_MAX bytes; returns how many. */
size_t restart_meta_format(char *buf, const struct restart_meta *meta);

/* The name of the first setting that `now` has otherwise, with the value it had
 * in `value`, RESTART_META_TEXT bytes; NULL: none. */
const char *restart_meta_differs(const struct restart_meta *old,
                                 const struct restart_meta *now, char *value);

#endif
