/*
 * log - lines on standard error, by verbosity.
 *
 * The lines of -v, -vv and -vvv are part of the product's interface: the
 * layer that decides prints them, once. Standard error is unbuffered and one
 * call writes one line.
 *
 * Layer:   0.
 * Threads: any.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>

#include "util.h" /* PRINTF */

extern atomic_int log_verbosity; /* [a] options, the verbosity command */

/* Whether lines of `level` (1 for -v, 2 for -vv, 3 for -vvv) are wanted. */
static inline bool log_wanted(int level)
{
    return atomic_load_explicit(&log_verbosity, memory_order_relaxed) >= level;
}

/* Prints as printf does when `level` is wanted; level 0 always. The format
 * ends in a newline where the line does. */
void log_print(int level, const char *format, ...) PRINTF(2, 3);

/* Prints and ends the process with `code`. For layer 6 only. */
_Noreturn void log_fatal(int code, const char *format, ...) PRINTF(2, 3);

#endif
