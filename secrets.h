/*
 * secrets - the files that say who may come in: read at start, and again when
 * they have changed.
 *
 * Layer:   6. Includes layers 0-5.
 * Threads: load and reload from the main thread.
 */
#ifndef SECRETS_H
#define SECRETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* There are any, that may be read again. */
bool secrets_are_used(void);

/* Ends the process with a message when a file cannot be used. */
void secrets_load(void);

/* SIGHUP. What cannot be used changes nothing. */
void secrets_reload(void);

/* Drops them; nobody may use them any more. */
void secrets_fini(void);

/* ---- from any thread --------------------------------------------------- */

/* The command refresh_certs. False with its answer in `why`. */
bool secrets_refresh(char *why, size_t n);

/* Unix second at which certificates were read again; 0: never. */
uint32_t secrets_refreshed(void);

#endif
