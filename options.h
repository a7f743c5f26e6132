/*
 * options - the command line: a row per option, from which come the parser,
 * the checks and the text of -h.
 *
 * Parses as stock memcached does: leading digits of a number count, the last
 * repetition wins, and -h, -i and -V act when they are reached.
 *
 * Layer:     6. Includes layers 0-1.
 * Threads:   the main thread, before any other starts.
 * Ownership: keeps pointers into argv.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stddef.h>
#include <stdint.h>

/* Fills settings and log_verbosity from the command line. Ends the process
 * with a message when an option is wrong, or after -h, -i or -V. */
void options_parse(int argc, char **argv);

/* The sizes of -o slab_sizes, ascending; returns how many. */
size_t options_slab_sizes(const uint32_t **sizes);

/* Frees what the parser allocated. */
void options_fini(void);

#endif
