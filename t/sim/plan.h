/*
 * plan - what a seed draws: nodes, who dials whom, and what may happen.
 *
 * Layer:     tests.
 * Threads:   one.
 */
#ifndef T_SIM_PLAN_H
#define T_SIM_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_NODES 3
#define SIM_KEYS  12

/* What a schedule may contain; a limit takes one out (plan.c). */
enum sim_feature {
    SIM_EVICT = 1 << 0,       /* less room than keys */
    SIM_EXPIRE = 1 << 1,      /* short expiries */
    SIM_TOUCH = 1 << 2,       /* expiries changed */
    SIM_FLUSH = 1 << 3,       /* flush_all */
    SIM_FLUSH_LATER = 1 << 4, /* flush_all <seconds> */
    SIM_CRASH = 1 << 5,       /* a store lost, a new run */
    SIM_SKEW = 1 << 6,        /* clocks up to 60 s apart */
    SIM_BIG = 1 << 7,         /* values in pieces */
    SIM_FEW_FLOORS = 1 << 8,  /* floors are dropped */
    SIM_MESH = 1 << 9,        /* three nodes */
    SIM_SLOW = 1 << 10,       /* little room in the sockets */
    SIM_OVERRUN = 1 << 11,    /* the log holds a dozen changes */
    SIM_TRUSTED = 1 << 12,    /* silence for 1 s makes a legacy peer */
    SIM_META = 1 << 13,       /* marks, cas ids of a client's choice */
    SIM_CHAIN = 1 << 14,      /* of a mesh: its ends do not see each other */
    SIM_KEEP = 1 << 15,       /* a stop in good order, and a start with all */
    SIM_ALL = (1 << 16) - 1,
};

struct sim_plan {
    uint64_t seed;
    unsigned features;
    unsigned nodes, keys, steps;
    unsigned dials[SIM_NODES]; /* bit per node that this one dials */
    int64_t skew[SIM_NODES];   /* ms */
};

extern struct sim_plan sim_plan;

static inline bool sim_has(unsigned feature)
{
    return (sim_plan.features & feature) != 0;
}

/* Whether node `a` dials node `b`. */
static inline bool sim_dials(unsigned a, unsigned b)
{
    return (sim_plan.dials[a] >> b & 1) != 0;
}

void sim_plan_make(uint64_t seed, unsigned allowed);
/* Runs the plan. */
void sim_schedule(void);

#endif
