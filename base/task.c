#include "task.h"

#include <sys/prctl.h>
#include <time.h>

enum { SECOND = 1000000000 };

static void (*on_begin)(void); /* constant once tasks run */

static struct timespec after(uint64_t ns)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
    ns += (uint64_t)t.tv_nsec;
    t.tv_sec += (time_t)(ns / SECOND);
    t.tv_nsec = (long)(ns % SECOND);
    return t;
}

/* Sleeps; false: it is to stop. */
static bool task_sleep(struct task *task, uint64_t ns)
{
    struct timespec end = {0};
    bool stopping;
    int rc = 0;

    if (ns != TASK_FOREVER) {
        end = after(ns);
    }
    (void)pthread_mutex_lock(&task->mutex);
    while (ns > 0 && rc == 0 && !task->kicked && !task->stopping) {
        rc = ns == TASK_FOREVER
                 ? pthread_cond_wait(&task->woken, &task->mutex)
                 : pthread_cond_timedwait(&task->woken, &task->mutex, &end);
    }
    task->kicked = false;
    stopping = task->stopping;
    (void)pthread_mutex_unlock(&task->mutex);
    return !stopping;
}

static void *task_main(void *arg)
{
    struct task *task = arg;

    (void)prctl(PR_SET_NAME, task->name);
    if (on_begin != NULL) {
        on_begin();
    }
    while (task_sleep(task, task->slice(task->ctx))) {
    }
    return NULL;
}

static bool make_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attr;
    bool made;

    if (pthread_condattr_init(&attr) != 0) {
        return false;
    }
    made = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
           pthread_cond_init(condition, &attr) == 0;
    (void)pthread_condattr_destroy(&attr);
    return made;
}

void task_on_begin(void (*begin)(void))
{
    on_begin = begin;
}

bool task_start(struct task *task)
{
    if (!make_condition(&task->woken)) {
        return false;
    }
    (void)pthread_mutex_lock(&task->mutex);
    task->stopping = task->kicked = false;
    task->running = pthread_create(&task->thread, NULL, task_main, task) == 0;
    (void)pthread_mutex_unlock(&task->mutex);
    if (!task->running) {
        (void)pthread_cond_destroy(&task->woken);
    }
    return task->running;
}

void task_kick(struct task *task)
{
    (void)pthread_mutex_lock(&task->mutex);
    if (task->running) {
        task->kicked = true;
        (void)pthread_cond_signal(&task->woken);
    }
    (void)pthread_mutex_unlock(&task->mutex);
}

void task_stop(struct task *task)
{
    bool was;

    (void)pthread_mutex_lock(&task->mutex);
    was = task->running;
    task->running = false;
    task->stopping = true;
    if (was) {
        (void)pthread_cond_signal(&task->woken);
    }
    (void)pthread_mutex_unlock(&task->mutex);
    if (was) {
        (void)pthread_join(task->thread, NULL);
        (void)pthread_cond_destroy(&task->woken);
    }
}

bool task_is_running(struct task *task)
{
    bool running;

    (void)pthread_mutex_lock(&task->mutex);
    running = task->running;
    (void)pthread_mutex_unlock(&task->mutex);
    return running;
}
