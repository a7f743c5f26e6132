/*
 * process - what a daemon is to its system: limits, user, memory, -d, pid
 * file.
 *
 * All follow the settings: a function whose option was not given does
 * nothing. Failures end the process with stock's texts and exit codes.
 *
 * Layer:     6. Includes layers 0-1.
 * Threads:   the main thread, before and after the others run.
 * Ownership: takes and gives nothing.
 */
#ifndef PROCESS_H
#define PROCESS_H

/* Sees to it that descriptors 0 to 2 exist, so that no socket becomes one. */
void process_standard_files(void);

/* -L: checks that the kernel gives large pages to those who ask. */
void process_check_large_pages(void);

/* -r and -c: limits of core files and descriptors; -k: of locked memory. */
void process_set_limits(void);

/* -u: finds the user, so that a wrong name fails before anything is done. */
void process_find_user(void);

/* -d: continues in a child. The parent waits until process_ready() and ends
 * then; when the child ends before, with its exit code. */
void process_daemonise(void);

/* -u: becomes the user and gives it the unix socket. */
void process_drop_privileges(void);

/* -k. Once the store has its range. */
void process_lock_memory(void);

/* -P, and at the end: removes it, when a daemon. */
void process_write_pid_file(void);
void process_remove_pid_file(void);

/* -d: start-up succeeded; lets the parent and the terminal go. */
void process_ready(void);

#endif
