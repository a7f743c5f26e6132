#ifndef REP_RUNS_H
#define REP_RUNS_H
#include <stdbool.h>
#include <stdint.h>
#include "rep/floor.h"
#include "rep/log.h"
struct rep_run {
    uint64_t run, node; int reader; bool linked, legacy, known;
    uint64_t processed, acked;
    struct { bool owed; uint64_t before, threshold, cursor; bool touched; } scan;
    uint64_t told[REP_FLOOR_SHARDS];
    uint64_t low, linked_at;
};
struct rep_runs;
struct rep_runs *rep_runs_new(struct rep_log *, struct rep_floor *, unsigned expected);
void rep_runs_free(struct rep_runs *);
struct rep_run *rep_runs_meet(struct rep_runs *, uint64_t run, uint64_t node);
struct rep_run *rep_runs_meet_legacy(struct rep_runs *, uint64_t node);
void rep_runs_part(struct rep_runs *, struct rep_run *);
void rep_runs_settled(struct rep_runs *, struct rep_run *);
void rep_runs_move(struct rep_runs *);
#endif
