/*
 * options_internal - what the files of options share; nobody else includes it.
 *
 * options.c has the table and the parser; options_take.c what values become;
 * options_check.c the checks that need all options; options_help.c -h, -i and
 * -V.
 *
 * Layer:     6. Includes layer 0.
 * Threads:   the main thread, before any other starts.
 * Ownership: keeps pointers into argv.
 */
#ifndef OPTIONS_INTERNAL_H
#define OPTIONS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"

#ifdef ENABLE_REPLICATION
#define IS_PAIR true
#else
#define IS_PAIR false
#endif

enum option_kind {
    INT,     /* leading digits, as atoi reads them; 0 without any */
    MEBI,    /* the same in megabytes */
    OCTAL,   /* the same in base 8 */
    FLOAT,   /* as atof */
    TEXT,    /* borrowed from argv */
    LIST,    /* appended with a comma; the value may have commas itself */
    ON,      /* no argument: the setting becomes true */
    OFF,     /* no argument: the setting becomes false */
    CALL,    /* whatever .call makes of it */
    NOTHING, /* accepted */
    REFUSED, /* its feature is not built in */
};

enum option_build { ANY, PAIR, PLAIN };

enum { KEY_DUMPING = 256, PORT_MAX = 65535 };

struct option_row {
    int key;          /* letter; 0: a suboption */
    const char *name; /* long name; NULL: none */
    const char *arg;  /* what -h calls the argument; NULL: none */
    enum option_kind kind;
    enum option_build build; /* where the option exists */
    size_t offset;           /* of the setting */
    void (*call)(char *arg); /* CALL; INT: once it is set */
    int min, max;            /* INT with .bad */
    double above, most;      /* FLOAT with .bad; most 0: no limit */
    const char *missing;     /* suboptions: said without a value */
    const char *bad;         /* said when out of range; REFUSED: what is
                              * not built in */
    const char *idle;        /* why it changes nothing here */
    const char *help;        /* %s: the present value; NULL: unlisted */
};

/* What was given and is looked at when all options are known. */
struct options_given {
    bool chunk_max;         /* slab_chunk_max */
    const char *slab_sizes; /* as text, or NULL */
    int item_max;           /* -I as read; -1: not given */
};

extern struct options_given options_given;

/* Row `i` of the letters, or of the suboptions of -o; NULL behind the last.
 * Rows of other builds are left out of what the parser accepts: see
 * option_in_build. */
const struct option_row *options_letter(size_t i);
const struct option_row *options_sub(size_t i);

/* The row of `text`, NAME or NAME=VALUE, or NULL. */
const struct option_row *options_find_sub(const char *text);

/* Cuts the first suboption off a list that is not empty, where it stands:
 * settings may point into argv. */
char *options_cut_sub(char **list);

/* The suboption was on the command line. */
bool options_sub_given(size_t i);

static inline bool option_in_build(const struct option_row *row)
{
    return row->build == ANY || (row->build == PAIR) == IS_PAIR;
}

/* Ends the process when options do not go together, in stock's order; then
 * warns of what has no effect. */
void options_check(void);

/* ---- rows of kind CALL: each is given the argument, "" without one ---- */

void options_take_cookie(char *arg);
void options_warn_of_threads(char *arg);
void options_take_port(char *arg);
void options_take_udp(char *arg);
void options_take_listen(char *arg);
void options_take_verbose(char *arg);
_Noreturn void options_show_help(char *arg);
_Noreturn void options_show_license(char *arg);
_Noreturn void options_show_version(char *arg);
void options_take_delimiter(char *arg);
void options_take_protocol(char *arg);
void options_take_item_max(char *arg);
void options_take_rep_ports(char *arg);
void options_take_chunk_max(char *arg);
void options_take_unchunked(char *arg);
void options_take_no_modern(char *arg);
void options_take_rep_log(char *arg);
void options_take_rep_floors(char *arg);
void options_take_rep_copy_rate(char *arg);
void options_say_deprecated(char *arg);
void options_take_hashpower(char *arg);
void options_take_hash_algorithm(char *arg);
void options_take_automove(char *arg);
void options_take_no_automove(char *arg);
void options_take_maintainer(char *arg);
void options_take_no_maintainer(char *arg);
void options_take_tocrawl(char *arg);
void options_take_temporary_ttl(char *arg);
void options_take_slab_sizes(char *arg);
void options_take_read_buf_limit(char *arg);
void options_take_ssl_keyformat(char *arg);
void options_take_ssl_verify_mode(char *arg);
void options_take_ssl_wbuf_size(char *arg);
void options_take_ssl_min_version(char *arg);
void options_take_watcher_logbuf(char *arg);
void options_take_worker_logbuf(char *arg);

#endif
