/*
 * secrets - the files that say who may come in: read at start, and again when
 * they have changed.
 *
 * Layer:   6. Includes layers 0-5.
 * Threads: load and reload from the main thread.
 */
#ifndef SECRETS_H
#define SECRETS_H

/* Ends the process with a message when a file cannot be used. */
void secrets_load(void);

/* SIGHUP. What cannot be used changes nothing. */
void secrets_reload(void);

#endif
