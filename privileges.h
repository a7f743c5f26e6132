/*
 * privileges - the system calls a thread may make once it serves
 * (-o drop_privileges), by seccomp.
 *
 * A call that is in no list of a thread's role ends the process: with a line
 * on standard error and code 1, where it can. Threads that a thread starts
 * keep its lists.
 *
 * Layer:   5. Includes layer 0.
 * Threads: each drops its own.
 */
#ifndef PRIVILEGES_H
#define PRIVILEGES_H

#include <stdbool.h>

#include "base/util.h"

enum privileges_role {
    PRIVILEGES_MAIN,   /* accepts, and ends the process in order */
    PRIVILEGES_WORKER, /* talks to clients that are there */
    PRIVILEGES_DIALS,  /* also opens sockets and resolves names */
};

/* What this process goes on doing. */
enum privileges_need {
    PRIVILEGES_FILES = 1, /* threads read files: secrets, certificates, users */
    PRIVILEGES_ASKS = 2,  /* workers ask a service of this host who is known */
    PRIVILEGES_KEEPS = 4, /* memory is a file, which main keeps at the end */
};

/* Says from now on what privileges_drop does: `enabled`: anything at all;
 * `needs`: of enum privileges_need. Before threads start. */
void privileges_init(bool enabled, unsigned needs);

/* Whether this build can. */
bool privileges_available(void);

/* Leaves the calling thread the calls of `role`. False when the kernel
 * refuses: all stays as it was. */
bool privileges_drop(enum privileges_role role) MUST_CHECK;

#endif
