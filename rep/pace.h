/*
 * rep_pace - when the replication thread takes its next turn.
 *
 * While changes come, the log is read every REP_PACE_NS, whatever arrives:
 * workers need not wake the thread for each, and acknowledgements do not make
 * it send the few that came since. Over REP_PACE_CROWD a second, half as often:
 * what a turn costs beside them is then theirs to bear. Where nothing changes
 * and a copy waits for its rate, when it may go on.
 *
 * Each turn: rep_pace_begin, rep_pace_add for every link; rep_pace_end if there
 * is nothing more to do at once.
 *
 * Layer:     4. Includes rep/link.h.
 * Threads:   the replication thread.
 * Source:    the numbers are ours, by bench/replication-cost and -lag;
 *            REP_PACE_HELD_NS bounds how late an event is seen.
 */
#ifndef REP_PACE_H
#define REP_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "rep/link.h"

#define REP_PACE_NS    UINT64_C(500000)
#define REP_PACE_CROWD UINT64_C(128000) /* items a second */
#define REP_PACE_HELD_NS                                                       \
    UINT64_C(3000000) /* nobody looks at events meanwhile */

struct rep_pace {
    uint64_t pause; /* ns until the next turn */
    unsigned copying;
    uint64_t read, sent; /* of all links: positions in the log; items */
    /* When rep_pace_end came last: the same, and the time (ns). */
    uint64_t read_before, sent_before, before;
    uint64_t held; /* the first copy may go on (ns); 0: none is held */
};

static inline void rep_pace_begin(struct rep_pace *p)
{
    *p = (struct rep_pace){.read_before = p->read_before,
                           .sent_before = p->sent_before,
                           .before = p->before};
}

static inline void rep_pace_add(struct rep_pace *p,
                                const struct rep_link_figures *f)
{
    p->read += f->pos;
    p->sent += f->items_sent;
    p->copying += f->copying;
    if (f->held && (p->held == 0 || f->held_until < p->held)) {
        p->held = f->held_until;
    }
}

/* A link that ended has taken its items with it. */
static inline bool rep_pace_is_crowded(const struct rep_pace *p, uint64_t now)
{
    return p->sent > p->sent_before && (p->sent - p->sent_before) * 1000000000 >
                                           (now - p->before) * REP_PACE_CROWD;
}

/* Whether the next turn comes after `pause`; else when something happens. */
static inline bool rep_pace_end(struct rep_pace *p, uint64_t now)
{
    bool changes = p->read != p->read_before;

    p->pause = rep_pace_is_crowded(p, now) ? 2 * REP_PACE_NS : REP_PACE_NS;
    if (!changes && p->held > now + p->pause) {
        p->pause = p->held - now;
    }
    if (p->pause > REP_PACE_HELD_NS) {
        p->pause = REP_PACE_HELD_NS;
    }
    p->read_before = p->read;
    p->sent_before = p->sent;
    p->before = now;
    return changes || p->held != 0;
}

#endif
