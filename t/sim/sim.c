/* Random schedules of replication in virtual time.
 *
 *   SIM_SCHEDULES=n  so many (default: for SIM_SECONDS)
 *   SIM_SECONDS=s    for so long (default 6)
 *   SIM_SEED=n       the first seed (default 1); with SIM_TRACE=1 that one
 *                    alone, told step by step
 *   SIM_PROGRESS=n   tells after every n schedules how far it is
 *   SIM_BREAKS=n     schedules within which a broken rule has to be caught
 *                    (default 40000; 0: none is broken)
 *   SIM_BREAK=n      with SIM_TRACE: this rule is broken, from 1
 *   SIM_FEATURES=n   the features allowed (sim.h)
 *
 * A schedule depends on its seed alone: many are run as several processes, each
 * with a SIM_SEED and SIM_SCHEDULES of its own.
 */
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"

#define FAILURES 5 /* told of */

uint64_t sim_now;

static uint64_t state;
static bool tracing;
static char failure[256];
static unsigned allowed = SIM_ALL;

/* ---- random, trace, failure -------------------------------------------------
 */

/* splitmix64: Steele, Lea, Flood, OOPSLA 2014. */
uint64_t sim_random(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

unsigned sim_below(unsigned n)
{
    return (unsigned)((sim_random() >> 32) * n >> 32);
}

bool sim_chance(unsigned percent)
{
    return sim_below(100) < percent;
}

void sim_trace(const char *format, ...)
{
    va_list args;

    if (!tracing) {
        return;
    }
    printf("# %7llu  ", (unsigned long long)sim_now);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    printf("\n");
}

void sim_fail(const char *format, ...)
{
    va_list args;

    if (failure[0] != '\0') {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(failure, sizeof(failure), format, args);
    va_end(args);
    sim_trace("FAILED: %s", failure);
}

bool sim_failed(void)
{
    return failure[0] != '\0';
}

/* ---- running
 * ------------------------------------------------------------------ */

static const char *const feature_names[] = {
    "evict", "expire", "touch", "flush",   "later",   "crash", "skew",  "big",
    "few",   "mesh",   "slow",  "overrun", "trusted", "meta",  "chain", "keep",
};

/* An assertion of the code under test: the seed has to be told. */
static char last_words[64];

static void on_abort(int signal)
{
    (void)signal;
    (void)!write(STDOUT_FILENO, last_words, sizeof(last_words));
    _exit(2);
}

const char *sim_run(uint64_t seed)
{
    failure[0] = '\0';
    (void)snprintf(last_words, sizeof(last_words),
                   "\nBail out! aborted in seed %-20llu\n",
                   (unsigned long long)seed);
    state = seed * 0x2545f4914f6cdd1dU;
    sim_plan_make(seed, allowed);
    sim_schedule();
    return failure[0] != '\0' ? failure : NULL;
}

static void tell_failure(uint64_t seed)
{
    printf("# seed %llu (", (unsigned long long)seed);
    for (unsigned i = 0; i < sizeof(feature_names) / sizeof(char *); i++) {
        if (sim_has(1U << i)) {
            printf(" %s", feature_names[i]);
        }
    }
    printf(" %u keys %u steps): %s\n", sim_plan.keys, sim_plan.steps, failure);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *s = getenv(name);

    return s == NULL || *s == '\0' ? otherwise : strtoull(s, NULL, 10);
}

static double seconds(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void tell_progress(uint64_t done, unsigned failed, double took)
{
    printf("# %llu schedules, %.0f a second, %u failed\n",
           (unsigned long long)done, (double)done / took, failed);
    (void)fflush(stdout); /* somebody may be waiting */
}

static unsigned run_sound(uint64_t first)
{
    uint64_t every = number("SIM_PROGRESS", UINT64_MAX);
    uint64_t schedules = number("SIM_SCHEDULES", UINT64_MAX);
    double budget =
        schedules != UINT64_MAX ? 1e9 : (double)number("SIM_SECONDS", 6);
    double start = seconds();
    unsigned failed = 0;
    uint64_t i = 0;

    for (; i < schedules && seconds() - start < budget; i++) {
        if (sim_run(first + i) != NULL && failed++ < FAILURES) {
            tell_failure(first + i);
        }
        if ((i + 1) % every == 0) {
            tell_progress(i + 1, failed, seconds() - start);
        }
    }
    tell_progress(i, failed, seconds() - start);
    printf("%s 1 - every schedule ends as it must\n",
           failed == 0 ? "ok" : "not ok");
    if (failed > 0) {
        printf("# replay: SIM_TRACE=1 SIM_SEED=<seed>\n");
    }
    return failed;
}

/* A rule that is broken shows within some thousand schedules. */
static unsigned run_broken(int rule, uint64_t most)
{
    uint64_t i = 0;
    const char *how = NULL;

    sim_break = rule;
    while (i < most && how == NULL) {
        how = sim_run(++i);
    }
    sim_break = -1;
    printf("%s %d - broken and caught: %s\n", how != NULL ? "ok" : "not ok",
           rule + 2, sim_break_name(rule));
    if (how != NULL) {
        printf("# seed %llu: %s\n", (unsigned long long)i, how);
    }
    return how == NULL;
}

int main(void)
{
    uint64_t first = number("SIM_SEED", 1);
    unsigned failed = 0;
    uint64_t breaks;
    int rules;

    if (number("SIM_CORE", 0) == 0) {
        (void)signal(SIGABRT, on_abort);
    }
    /* The buffers of links come and go: not by system calls. */
    (void)mallopt(M_MMAP_THRESHOLD, 64 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
    allowed = (unsigned)number("SIM_FEATURES", SIM_ALL);
    if (number("SIM_TRACE", 0) != 0) {
        tracing = true;
        sim_break = (int)number("SIM_BREAK", 0) - 1;
        if (sim_run(first) != NULL) {
            tell_failure(first);
            return 1;
        }
        return 0;
    }
    breaks = number("SIM_BREAKS", 40000);
    rules = breaks == 0 ? 0 : (int)sim_breaks();
    printf("1..%d\n", rules + 1);
    failed += run_sound(first);
    for (int i = 0; i < rules; i++) {
        failed += run_broken(i, breaks);
    }
    return failed == 0 ? 0 : 1;
}
