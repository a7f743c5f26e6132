#include "rep/low.h"

/* The place of the run, made with 0. Without room for it the newest place is
 * shared, and 0 for good. */
static uint64_t *place_of(struct rep_low *low, uint64_t run)
{
    for (unsigned i = 0; i < low->n; i++) {
        if (low->runs[i].run == run) {
            return &low->runs[i].low;
        }
    }
    if (low->n == REP_LOW_RUNS) {
        low->runs[low->n - 1].run = 0;
        low->runs[low->n - 1].low = 0;
        return NULL;
    }
    low->runs[low->n].run = run;
    low->runs[low->n].low = 0;
    return &low->runs[low->n++].low;
}

void rep_low_move(struct rep_low *low, struct rep_log *log,
                  const struct rep_link_figures *figures)
{
    uint64_t least = UINT64_MAX;
    uint64_t *own;

    if (!figures->linked) {
        return;
    }
    own = place_of(low, figures->run);
    if (own != NULL && !figures->legacy && figures->received &&
        figures->announced && figures->acked != 0) {
        *own = rep_log_raise_low(log, figures->reader);
    }
    for (unsigned i = 0; i < low->n; i++) {
        least = low->runs[i].low < least ? low->runs[i].low : least;
    }
    rep_log_set_low(log, least);
}
