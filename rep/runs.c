#include "rep/runs.h"

#include <assert.h>
#include <stdlib.h>

struct rep_runs {
    struct rep_log *log;
    unsigned expected;
    uint64_t links; /* so far */
    bool legacy;    /* one was met */
    struct rep_run run[REP_RUNS];
    unsigned n_met;
    uint64_t met[REP_RUNS]; /* nodes, until there are enough */
};

struct rep_runs *rep_runs_new(struct rep_log *log, unsigned expected)
{
    struct rep_runs *runs = calloc(1, sizeof(*runs));

    if (runs == NULL) {
        return NULL;
    }
    runs->log = log;
    runs->expected = expected > 1 ? expected : 1;
    for (unsigned i = 0; i < REP_RUNS; i++) {
        runs->run[i].reader = -1;
    }
    return runs;
}

static bool in_use(const struct rep_run *r)
{
    return r->reader >= 0;
}

static void forget(struct rep_runs *runs, struct rep_run *r)
{
    rep_log_close(runs->log, r->reader);
    *r = (struct rep_run){.reader = -1};
}

void rep_runs_free(struct rep_runs *runs)
{
    if (runs == NULL) {
        return;
    }
    for (unsigned i = 0; i < REP_RUNS; i++) {
        if (in_use(&runs->run[i])) {
            forget(runs, &runs->run[i]);
        }
    }
    free(runs);
}

/* ---- meeting ------------------------------------------------------------ */

static void meet_node(struct rep_runs *runs, uint64_t node)
{
    for (unsigned i = 0; i < runs->n_met; i++) {
        if (runs->met[i] == node) {
            return;
        }
    }
    if (runs->n_met < REP_RUNS) {
        runs->met[runs->n_met++] = node;
    }
}

static struct rep_run *find(struct rep_runs *runs, uint64_t run)
{
    for (unsigned i = 0; i < REP_RUNS; i++) {
        struct rep_run *r = &runs->run[i];

        if (in_use(r) && !r->legacy && r->run == run) {
            return r;
        }
    }
    return NULL;
}

/* A free record, or that of the run which is away for longest, forgotten. */
static struct rep_run *make_room(struct rep_runs *runs)
{
    struct rep_run *oldest = NULL;

    for (unsigned i = 0; i < REP_RUNS; i++) {
        struct rep_run *r = &runs->run[i];

        if (!in_use(r)) {
            return r;
        }
        if (!r->linked &&
            (oldest == NULL || r->linked_at < oldest->linked_at)) {
            oldest = r;
        }
    }
    if (oldest != NULL) {
        forget(runs, oldest);
    }
    return oldest;
}

static struct rep_run *make(struct rep_runs *runs)
{
    struct rep_run *r = make_room(runs);
    uint64_t pos;
    int reader = r == NULL ? -1 : rep_log_open(runs->log, &pos);

    if (reader < 0) {
        return NULL;
    }
    *r = (struct rep_run){.reader = reader, .scan.before = UINT64_MAX};
    return r;
}

static void link_now(struct rep_runs *runs, struct rep_run *r, uint64_t node)
{
    meet_node(runs, node);
    r->node = node;
    r->linked = true;
    r->linked_at = ++runs->links;
}

/* The record of a run that went on as another; not while it is linked: then
 * somebody else has the name of the other, too. */
static struct rep_run *find_former(struct rep_runs *runs, uint64_t was)
{
    struct rep_run *r = was != 0 ? find(runs, was) : NULL;

    return r != NULL && !r->linked ? r : NULL;
}

struct rep_run *rep_runs_meet(struct rep_runs *runs, uint64_t run, uint64_t was,
                              uint64_t node)
{
    struct rep_run *r = find(runs, run);

    if (r == NULL) {
        r = find_former(runs, was);
    }
    if (r == NULL) {
        r = make(runs);
    } else if (r->linked) {
        return NULL;
    }
    if (r != NULL) {
        r->run = run;
        link_now(runs, r, node);
    }
    return r;
}

struct rep_run *rep_runs_meet_legacy(struct rep_runs *runs, uint64_t node)
{
    struct rep_run *r = make(runs);

    if (r != NULL) {
        r->legacy = runs->legacy = true;
        link_now(runs, r, node);
    }
    return r;
}

void rep_runs_part(struct rep_runs *runs, struct rep_run *run)
{
    assert(run->linked);
    run->linked = false;
    if (run->legacy) {
        forget(runs, run);
    }
}

void rep_runs_settled(struct rep_runs *runs, struct rep_run *run)
{
    assert(run->linked);
    run->settled = !run->legacy;
    for (unsigned i = 0; i < REP_RUNS && run->settled; i++) {
        struct rep_run *r = &runs->run[i];

        if (in_use(r) && !r->linked && r->node == run->node) {
            forget(runs, r);
        }
    }
}

/* ---- low marks ---------------------------------------------------------- */

static void move(struct rep_runs *runs, struct rep_run *r)
{
    if (!r->settled) {
        return;
    }
    /* It may have fallen, also while it is away. */
    r->low = r->linked && !r->scan.owed
                 ? rep_log_raise_low(runs->log, r->reader)
                 : rep_log_low(runs->log, r->reader);
}

void rep_runs_move(struct rep_runs *runs)
{
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < REP_RUNS; i++) {
        struct rep_run *r = &runs->run[i];

        if (in_use(r)) {
            move(runs, r);
            least = r->low < least ? r->low : least;
        }
    }
    if (runs->legacy || runs->n_met < runs->expected) {
        least = 0;
    }
    rep_log_set_low(runs->log, least);
}

/* ---- over a restart ----------------------------------------------------- */

const struct rep_run *rep_runs_next(const struct rep_runs *runs,
                                    const struct rep_run *before)
{
    const struct rep_run *next = NULL;

    for (unsigned i = 0; i < REP_RUNS; i++) {
        const struct rep_run *r = &runs->run[i];

        if (in_use(r) && !r->legacy &&
            (before == NULL || r->linked_at > before->linked_at) &&
            (next == NULL || r->linked_at < next->linked_at)) {
            next = r;
        }
    }
    return next;
}

uint64_t rep_runs_met(const struct rep_runs *runs, unsigned i)
{
    return i < runs->n_met ? runs->met[i] : 0;
}

bool rep_runs_met_legacy(const struct rep_runs *runs)
{
    return runs->legacy;
}

struct rep_run *rep_runs_restore(struct rep_runs *runs,
                                 const struct rep_run *record)
{
    struct rep_run *r = NULL;
    int reader;

    /* All are away, so it would push out another one. */
    if (find(runs, record->run) == NULL && runs->links < REP_RUNS) {
        r = make(runs);
    }
    if (r != NULL) {
        reader = r->reader;
        *r = *record;
        r->reader = reader;
        r->linked = r->legacy = false;
        r->low = 0;
        r->linked_at = ++runs->links;
    }
    return r;
}

void rep_runs_restore_met(struct rep_runs *runs, uint64_t node, bool legacy)
{
    runs->legacy = runs->legacy || legacy;
    if (node != 0) {
        meet_node(runs, node);
    }
}
