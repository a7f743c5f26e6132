/*
 * options_value - what the values of options are read as: numbers, sizes, and
 * lists that several options add to.
 *
 * Layer:     6. Includes layer 0.
 * Threads:   the main thread, before any other starts.
 * Ownership: keeps pointers into argv; owns the lists it had to copy.
 */
#ifndef OPTIONS_VALUE_H
#define OPTIONS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a number as atoi does (stock's scripts rely on it), unlike the
 * protocol, whose parsers are in base/util. */
int options_number(const char *arg, int base);

/* Digits only, for the few options that are strict; `name` is what the message
 * says that ends the process otherwise. */
uint32_t options_strict_number(const char *arg, const char *name);

/* Bytes, or with a suffix k, m or g what that says; 4 KiB to 64 GiB. Ends the
 * process otherwise. */
size_t options_size(const char *arg, const char *name);

/* `element` is one of the list already. */
bool options_is_listed(const char *list, const char *element);

/* Appends `arg` to a list that is a setting. */
void options_append(const char **list, const char *arg);

/* Frees what was copied; those settings become NULL. */
void options_drop_lists(void);

#endif
