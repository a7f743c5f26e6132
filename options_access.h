/*
 * options_access - whether the options that say who may come in go together:
 * -S, -Y, -Z.
 *
 * Layer:   6. Includes layers 0-1.
 * Threads: the main thread, before any other starts.
 */
#ifndef OPTIONS_ACCESS_H
#define OPTIONS_ACCESS_H

/* Ends the process when they do not; sets the protocol that they imply. */
void options_check_access(void);

#endif
