/* The rules, each broken in turn: functions that rep/ and the store call are
 * wrapped at link time, so that the product carries no hooks. That an unknown
 * run has missed what was removed without a floor (6) is not among them: three
 * nodes remember all runs that hold anything, so that none is unknown. Nor is
 * that floors by hash are carried out before a node stops (9), for which see
 * t/50-pair-restart-floors.t: too rarely does one that came last remove
 * something here. */
#include <string.h>

#include "base/version.h"
#include "rep/apply.h"
#include "rep/link_internal.h"
#include "rep/scan.h"
#include "sim.h"

int sim_break = -1;

enum rule {
    OBSERVE_VERSIONS,
    DELETES_LEAVE_FLOORS,
    REMOVALS_LEAVE_FLOORS,
    FLOORS_REFUSE,
    FLOORS_REMOVE,
    LOSSES_ARE_SCANNED,
    LOSSES_KEEP_THE_LEAST,
    SCAN_SENDS_FLOORS,
    SCAN_SENDS_FLUSHES,
    SCAN_SENDS_EVERYTHING,
    HASH_FLOORS_SWEEP,
    BARRIERS_APPLY,
    LATER_FLUSHES_APPLY,
    ABSENCE_IS_SENT,
    ACKS_AFTER_PROCESSING,
    FLUSHES_TRAVEL,
    CHANGES_ARE_RELAYED,
    SLOTS_MOVE,
    TOUCHES_TRAVEL,
    HOPS_COUNT,
    LATER_LOSSES_BEFORE_CURSOR,
    SCANS_RESUME,
    LOG_RESUMES,
    MISSED_IS_TOLD,
    GONE_IS_ANSWERED,
    WANT_IS_ANSWERED,
    RUNS_ARE_TOLD_APART,
    MARKS_TRAVEL,
    CAS_IDS_TRAVEL,
    HASH_FLOORS_ARE_RELAYED,
    KEEP_FLOORS,
    KEEP_MISSED,
    KEEP_LOST,
    RULES
};

static const char *const names[RULES] = {
    [OBSERVE_VERSIONS] = "received versions move the clock (1.1)",
    [DELETES_LEAVE_FLOORS] = "a delete leaves a floor (3.1)",
    [REMOVALS_LEAVE_FLOORS] = "a removal leaves a floor (3.2)",
    [FLOORS_REFUSE] = "a floor refuses older items (2.1)",
    [FLOORS_REMOVE] = "a floor removes older items (2.2)",
    [LOSSES_ARE_SCANNED] = "what was overwritten is scanned (4.4)",
    [LOSSES_KEEP_THE_LEAST] = "the least version lost is kept (4.4)",
    [SCAN_SENDS_FLOORS] = "a scan sends floors (5.3)",
    [SCAN_SENDS_FLUSHES] = "a scan sends barrier and pending flush (5.3)",
    [SCAN_SENDS_EVERYTHING] = "a scan of an unknown run starts at 0 (5.1)",
    [HASH_FLOORS_SWEEP] = "floors known by hash are carried out (2.2)",
    [BARRIERS_APPLY] = "a barrier applies (7)",
    [LATER_FLUSHES_APPLY] = "a delayed flush applies (7)",
    [ABSENCE_IS_SENT] = "an absent key goes as a floor (4.2)",
    [ACKS_AFTER_PROCESSING] = "only what was answered is acknowledged (4.3)",
    [CHANGES_ARE_RELAYED] = "applied changes are sent to the third (10.1)",
    [SLOTS_MOVE] = "linked nodes have different slots (1.3)",
    [TOUCHES_TRAVEL] = "a later expiry is sent (8.2)",
    [HOPS_COUNT] = "what was relayed is relayed so far only (10.1)",
    [LATER_LOSSES_BEFORE_CURSOR] = "a scan resumed gives later losses (5.6)",
    [SCANS_RESUME] = "a broken scan is resumed (5.6)",
    [LOG_RESUMES] = "the log is read on from what was acknowledged (4.5)",
    [MISSED_IS_TOLD] = "who was away too long is told (6.1)",
    [GONE_IS_ANSWERED] = "what is offered and was removed is gone (6.2)",
    [WANT_IS_ANSWERED] = "what is offered and lacks is wanted (6.4)",
    [RUNS_ARE_TOLD_APART] = "a new run is sent everything (5.1)",
    [MARKS_TRAVEL] = "a mark is one with its version",
    [CAS_IDS_TRAVEL] = "a cas of a client's choice is one with its version",
    [FLUSHES_TRAVEL] = "a live flush is sent (7)",
    [HASH_FLOORS_ARE_RELAYED] = "a floor known by hash is passed on (10.1)",
    [KEEP_FLOORS] = "a restart in good order keeps floors (9)",
    [KEEP_MISSED] = "and who missed those that were dropped (9)",
    [KEEP_LOST] = "and from where on a peer has to be scanned for (9)",
};

unsigned sim_breaks(void)
{
    return RULES;
}

const char *sim_break_name(int rule)
{
    return names[rule];
}

static bool broken(enum rule rule)
{
    return sim_break == (int)rule;
}

void __real_version_observe(uint64_t v);
void __wrap_version_observe(uint64_t v);
void __wrap_version_observe(uint64_t v)
{
    if (!broken(OBSERVE_VERSIONS)) {
        __real_version_observe(v);
    }
}

bool __real_rep_floor_raise(struct rep_floor *t, uint64_t hash, uint64_t v);
bool __wrap_rep_floor_raise(struct rep_floor *t, uint64_t hash, uint64_t v);
bool __wrap_rep_floor_raise(struct rep_floor *t, uint64_t hash, uint64_t v)
{
    sim_oracle_hash_floor(t, hash, v);
    if (broken(DELETES_LEAVE_FLOORS) || (sim_keeping && broken(KEEP_FLOORS))) {
        return true;
    }
    return __real_rep_floor_raise(t, hash, v);
}

void __real_rep_log_set_low(struct rep_log *log, uint64_t low);
void __wrap_rep_log_set_low(struct rep_log *log, uint64_t low);
void __wrap_rep_log_set_low(struct rep_log *log, uint64_t low)
{
    __real_rep_log_set_low(log,
                           broken(REMOVALS_LEAVE_FLOORS) ? UINT64_MAX : low);
}

uint64_t __real_rep_floor_get(struct rep_floor *t, uint64_t hash);
uint64_t __wrap_rep_floor_get(struct rep_floor *t, uint64_t hash);
uint64_t __wrap_rep_floor_get(struct rep_floor *t, uint64_t hash)
{
    return broken(FLOORS_REFUSE) ? 0 : __real_rep_floor_get(t, hash);
}

enum store_applied __real_store_apply(const struct store_key *key,
                                      const struct store_incoming *in,
                                      const void *value, size_t n);
enum store_applied __wrap_store_apply(const struct store_key *key,
                                      const struct store_incoming *in,
                                      const void *value, size_t n);
enum store_applied __wrap_store_apply(const struct store_key *key,
                                      const struct store_incoming *in,
                                      const void *value, size_t n)
{
    struct store_incoming other = *in;

    if (broken(MARKS_TRAVEL)) {
        other.bits = 0;
    }
    if (broken(CAS_IDS_TRAVEL)) {
        other.cas = 0;
    }
    return __real_store_apply(key, &other, value, n);
}

enum store_applied __real_store_apply_floor(const struct store_key *key,
                                            uint64_t v, uint32_t source);
enum store_applied __wrap_store_apply_floor(const struct store_key *key,
                                            uint64_t v, uint32_t source);
enum store_applied __wrap_store_apply_floor(const struct store_key *key,
                                            uint64_t v, uint32_t source)
{
    return broken(FLOORS_REMOVE) ? STORE_APPLIED_SAME
                                 : __real_store_apply_floor(key, v, source);
}

bool __real_rep_log_take_lost(struct rep_log *log, int reader, uint64_t *v,
                              bool *touched);
bool __wrap_rep_log_take_lost(struct rep_log *log, int reader, uint64_t *v,
                              bool *touched);
bool __wrap_rep_log_take_lost(struct rep_log *log, int reader, uint64_t *v,
                              bool *touched)
{
    bool lost = __real_rep_log_take_lost(log, reader, v, touched);

    if (lost && broken(LOSSES_KEEP_THE_LEAST)) {
        *v = version_last();
    }
    return lost && !broken(LOSSES_ARE_SCANNED);
}

void __real_rep_scan_begin(struct rep_scan *scan,
                           const struct rep_scan_plan *plan);
void __wrap_rep_scan_begin(struct rep_scan *scan,
                           const struct rep_scan_plan *plan);
void __wrap_rep_scan_begin(struct rep_scan *scan,
                           const struct rep_scan_plan *plan)
{
    struct rep_scan_plan other = *plan;

    if (plan->threshold == 0 && broken(SCAN_SENDS_EVERYTHING)) {
        other.threshold = version_last();
    }
    if (broken(LATER_LOSSES_BEFORE_CURSOR)) {
        other.before = REP_SCAN_NONE;
    }
    __real_rep_scan_begin(scan, &other);
    scan->floors.done = scan->floors.done || broken(SCAN_SENDS_FLOORS);
}

bool __real_rep_say_flush(struct rep_say *say, uint8_t hops);
bool __wrap_rep_say_flush(struct rep_say *say, uint8_t hops);
bool __wrap_rep_say_flush(struct rep_say *say, uint8_t hops)
{
    return broken(SCAN_SENDS_FLUSHES) || __real_rep_say_flush(say, hops);
}

bool __real_rep_sweep_ask(struct rep_sweep *s, uint64_t hash, uint64_t v);
bool __wrap_rep_sweep_ask(struct rep_sweep *s, uint64_t hash, uint64_t v);
bool __wrap_rep_sweep_ask(struct rep_sweep *s, uint64_t hash, uint64_t v)
{
    return broken(HASH_FLOORS_SWEEP) || __real_rep_sweep_ask(s, hash, v);
}

bool __real_store_apply_barrier(uint64_t v, uint32_t source);
bool __wrap_store_apply_barrier(uint64_t v, uint32_t source);
bool __wrap_store_apply_barrier(uint64_t v, uint32_t source)
{
    return !broken(BARRIERS_APPLY) && __real_store_apply_barrier(v, source);
}

void __real_store_apply_flush_at(uint64_t v, uint32_t at, uint32_t source);
void __wrap_store_apply_flush_at(uint64_t v, uint32_t at, uint32_t source);
void __wrap_store_apply_flush_at(uint64_t v, uint32_t at, uint32_t source)
{
    if (!broken(LATER_FLUSHES_APPLY)) {
        __real_store_apply_flush_at(v, at, source);
    }
}

enum rep_said __real_rep_say_entry(struct rep_say *say,
                                   const struct rep_log_entry *e);
enum rep_said __wrap_rep_say_entry(struct rep_say *say,
                                   const struct rep_log_entry *e);
enum rep_said __wrap_rep_say_entry(struct rep_say *say,
                                   const struct rep_log_entry *e)
{
    struct rep_log_entry other = *e;

    if ((e->op == STORE_OP_DELETE && broken(ABSENCE_IS_SENT)) ||
        (e->op == STORE_OP_FLUSH && broken(FLUSHES_TRAVEL)) ||
        (e->op == STORE_OP_TOUCH && broken(TOUCHES_TRAVEL))) {
        return REP_SAID;
    }
    other.hops = broken(HOPS_COUNT) ? 0 : e->hops;
    return __real_rep_say_entry(say, &other);
}

void __real_rep_log_ack(struct rep_log *log, int reader, uint64_t pos);
void __wrap_rep_log_ack(struct rep_log *log, int reader, uint64_t pos);
void __wrap_rep_log_ack(struct rep_log *log, int reader, uint64_t pos)
{
    if (broken(ACKS_AFTER_PROCESSING)) {
        pos = rep_log_head(log);
    }
    sim_oracle_acked(log, reader, pos);
    __real_rep_log_ack(log, reader, pos);
}

void __real_rep_log_set_relay(struct rep_log *log, bool relay);
void __wrap_rep_log_set_relay(struct rep_log *log, bool relay);
void __wrap_rep_log_set_relay(struct rep_log *log, bool relay)
{
    __real_rep_log_set_relay(log, relay && !broken(CHANGES_ARE_RELAYED));
}

void __real_version_set_slot(uint8_t slot);
void __wrap_version_set_slot(uint8_t slot);
void __wrap_version_set_slot(uint8_t slot)
{
    if (!broken(SLOTS_MOVE)) {
        __real_version_set_slot(slot);
    }
}

uint64_t __real_rep_log_acked(struct rep_log *log, int reader);
uint64_t __wrap_rep_log_acked(struct rep_log *log, int reader);
uint64_t __wrap_rep_log_acked(struct rep_log *log, int reader)
{
    return broken(LOG_RESUMES) ? rep_log_head(log)
                               : __real_rep_log_acked(log, reader);
}

void __real_rep_runs_part(struct rep_runs *runs, struct rep_run *run);
void __wrap_rep_runs_part(struct rep_runs *runs, struct rep_run *run);
void __wrap_rep_runs_part(struct rep_runs *runs, struct rep_run *run)
{
    if (broken(SCANS_RESUME)) {
        run->scan.owed = false;
    }
    __real_rep_runs_part(runs, run);
}

struct rep_run *__real_rep_runs_meet(struct rep_runs *runs, uint64_t run,
                                     uint64_t was, uint64_t node);
struct rep_run *__wrap_rep_runs_meet(struct rep_runs *runs, uint64_t run,
                                     uint64_t was, uint64_t node);
struct rep_run *__wrap_rep_runs_meet(struct rep_runs *runs, uint64_t run,
                                     uint64_t was, uint64_t node)
{
    return __real_rep_runs_meet(runs, broken(RUNS_ARE_TOLD_APART) ? node : run,
                                was, node);
}

bool __real_rep_log_raise_floor(struct rep_log *log, int reader, uint64_t hash,
                                uint64_t v, uint8_t hops);
bool __wrap_rep_log_raise_floor(struct rep_log *log, int reader, uint64_t hash,
                                uint64_t v, uint8_t hops);
bool __wrap_rep_log_raise_floor(struct rep_log *log, int reader, uint64_t hash,
                                uint64_t v, uint8_t hops)
{
    return __real_rep_log_raise_floor(
        log, reader, hash, v,
        broken(HASH_FLOORS_ARE_RELAYED) ? UINT8_MAX : hops);
}

void __real_rep_floor_raise_missed(struct rep_floor *t, int watcher,
                                   unsigned cell, uint64_t v);
void __wrap_rep_floor_raise_missed(struct rep_floor *t, int watcher,
                                   unsigned cell, uint64_t v);
void __wrap_rep_floor_raise_missed(struct rep_floor *t, int watcher,
                                   unsigned cell, uint64_t v)
{
    if (!broken(KEEP_MISSED)) {
        __real_rep_floor_raise_missed(t, watcher, cell, v);
    }
}

void __real_rep_log_put_lost(struct rep_log *log, int reader, uint64_t v,
                             bool touched);
void __wrap_rep_log_put_lost(struct rep_log *log, int reader, uint64_t v,
                             bool touched);
void __wrap_rep_log_put_lost(struct rep_log *log, int reader, uint64_t v,
                             bool touched)
{
    if (!sim_keeping || !broken(KEEP_LOST)) {
        __real_rep_log_put_lost(log, reader, v, touched);
    }
}

uint64_t __real_rep_floor_missed(const struct rep_floor *t, int watcher,
                                 unsigned cell);
uint64_t __wrap_rep_floor_missed(const struct rep_floor *t, int watcher,
                                 unsigned cell);
uint64_t __wrap_rep_floor_missed(const struct rep_floor *t, int watcher,
                                 unsigned cell)
{
    return broken(MISSED_IS_TOLD) ? 0
                                  : __real_rep_floor_missed(t, watcher, cell);
}

bool __real_link_answer(struct rep_link *link, const struct frame_msg *answer);
bool __wrap_link_answer(struct rep_link *link, const struct frame_msg *answer);
bool __wrap_link_answer(struct rep_link *link, const struct frame_msg *answer)
{
    if ((answer->type == FRAME_GONE && broken(GONE_IS_ANSWERED)) ||
        (answer->type == FRAME_WANT && broken(WANT_IS_ANSWERED))) {
        return true;
    }
    return __real_link_answer(link, answer);
}
