/*
 * task - a thread for work in the background: it does a slice, sleeps as long
 * as the slice said, or until it is kicked.
 *
 * Layer:     0.
 * Threads:   start and stop by one thread at a time; kick by any, at any time.
 * Locks:     a mutex of its own, under which nothing is called.
 * Ownership: the caller's memory, for as long as the task runs.
 */
#ifndef BASE_TASK_H
#define BASE_TASK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "util.h" /* MUST_CHECK */

#define TASK_FOREVER UINT64_MAX

/* One slice of the work. Returns the nanoseconds until the next: 0 at once,
 * TASK_FOREVER: when kicked. */
typedef uint64_t task_slice(void *ctx);

struct task {
    const char *name; /* of the thread; at most 15 bytes */
    task_slice *slice;
    void *ctx;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t woken;
    bool running, kicked, stopping; /* under the mutex */
};

#define TASK_INIT(its_name, its_slice, its_ctx)                                \
    {                                                                          \
        .name = (its_name), .slice = (its_slice), .ctx = (its_ctx),            \
        .mutex = PTHREAD_MUTEX_INITIALIZER,                                    \
    }

/* What every thread of a task calls before its first slice; NULL: nothing.
 * Before tasks start. */
void task_on_begin(void (*begin)(void));

/* False: there is no thread to be had. */
bool task_start(struct task *task) MUST_CHECK;

/* Ends the sleep it is in, or the next one. */
void task_kick(struct task *task);

/* Waits for the end of the slice. Does nothing when it is not running. */
void task_stop(struct task *task);

bool task_is_running(struct task *task);

#endif
