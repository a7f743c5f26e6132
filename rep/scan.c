#include "rep/scan.h"

enum {
    WALK_ITEMS = 4096, /* items looked at by one step */
    FLOORS = 64,       /* floors taken at a time */
    FLOOR_ROUNDS = 64  /* times of that by one step */
};

/* A cursor is the stripe of the walk over items, then this and the line of the
 * walk over floors. */
#define IN_FLOORS (UINT64_C(1) << 47)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void rep_scan_begin(struct rep_scan *scan, const struct rep_scan_plan *plan)
{
    bool in_floors = (plan->cursor & IN_FLOORS) != 0;
    bool from_start = plan->before != REP_SCAN_NONE || plan->walk_all;

    *scan = (struct rep_scan){.plan = *plan};
    /* After the cursor both thresholds hold. */
    scan->plan.threshold = least(plan->before, plan->threshold);
    scan->stripe = in_floors ? UINT32_MAX : (uint32_t)plan->cursor;
    scan->line = in_floors ? plan->cursor & ~IN_FLOORS : 0;
    if (from_start) {
        return;
    }
    scan->items.stripe = in_floors ? 0 : scan->stripe;
    scan->items.done = in_floors;
    scan->floors.line = scan->line;
}

uint64_t rep_scan_cursor(const struct rep_scan *scan)
{
    return scan->items.done ? IN_FLOORS | scan->floors.line
                            : scan->items.stripe;
}

struct visit {
    const struct rep_scan *scan;
    const struct rep_scan_calls *calls;
    void *ctx;
    bool full;
};

static uint64_t threshold_of(const struct rep_scan *scan, const struct item *it)
{
    return it->stripe < scan->stripe ? scan->plan.before : scan->plan.threshold;
}

static bool visit_item(void *arg, struct item *it)
{
    struct visit *v = arg;
    bool wanted = it->version >= threshold_of(v->scan, it);
    bool done = true;

    if (!wanted && v->calls->below == NULL) {
        return true;
    }
    switch (store_dead(it)) {
    case STORE_HIT:
        done =
            wanted ? v->calls->item(v->ctx, it) : v->calls->below(v->ctx, it);
        break;
    case STORE_EXPIRED:
        done = !wanted || v->calls->expired(v->ctx, it);
        break;
    case STORE_ABSENT:
    case STORE_FLUSHED: /* the barrier tells */
        break;
    }
    v->full = !done;
    return done;
}

/* The walk over floors looks at many lines at a time: where `before` might
 * hold for some of them only, both do. */
static uint64_t floor_threshold(const struct rep_scan *scan)
{
    uint64_t barrier = store_barrier(); /* is the floor of all below it */
    uint64_t threshold = scan->floors.line + REP_FLOOR_WALK <= scan->line
                             ? scan->plan.before
                             : scan->plan.threshold;

    return barrier >= threshold ? barrier + 1 : threshold;
}

static bool give_floors(struct rep_scan *scan, struct rep_floor *floors,
                        const struct rep_scan_calls *calls, void *ctx)
{
    struct rep_floor_entry found[FLOORS];

    for (int i = 0; i < FLOOR_ROUNDS && !scan->floors.done; i++) {
        struct rep_floor_cursor before = scan->floors;
        size_t n = rep_floor_walk(floors, &scan->floors, floor_threshold(scan),
                                  found, FLOORS);

        for (size_t k = 0; k < n; k++) {
            if (!calls->floor(ctx, found[k].hash, found[k].version)) {
                scan->floors = before; /* some come twice */
                return false;
            }
        }
    }
    return scan->floors.done;
}

enum rep_scan_status rep_scan_step(struct rep_scan *scan,
                                   struct rep_floor *floors,
                                   const struct rep_scan_calls *calls,
                                   void *ctx)
{
    struct visit v = {scan, calls, ctx, false};

    if (!scan->items.done) {
        (void)store_walk(&scan->items, WALK_ITEMS, visit_item, &v);
        if (!scan->items.done || v.full) {
            return REP_SCAN_MORE;
        }
    }
    if (calls->floor == NULL || scan->plan.threshold == REP_SCAN_NONE) {
        return REP_SCAN_DONE;
    }
    return give_floors(scan, floors, calls, ctx) ? REP_SCAN_DONE
                                                 : REP_SCAN_MORE;
}
