/*
 * rep_apply - the receiving half of v3: messages of one peer into the store.
 *
 * The body of a batch goes in whole; its messages are applied in order. The
 * version decides: a state older than ours makes ours go back, so that both
 * end the same. States of which this node may have removed something newer
 * without a trace are refused by `gone`; offers and touches are answered by
 * `want`. What is no state goes to `control`, in its turn. The value of
 * ITEM_BEGIN flows into a reserved item.
 *
 * Layer:     4. Includes store.h and rep/{floor,frame,log,sweep}.h.
 * Threads:   the replication thread.
 * Locks:     those of the store, FLOOR and REP_LOG; holds none when it calls
 *            back, nor on return.
 * Ownership: owns the item it is receiving until committed.
 */
#ifndef REP_APPLY_H
#define REP_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/util.h"
#include "rep/floor.h"
#include "rep/frame.h"
#include "rep/hints.h"
#include "rep/log.h"
#include "rep/sweep.h"
#include "store.h"

/* A version further ahead of our clock ends the link. */
#define REP_APPLY_AHEAD_MS (24ULL * 3600 * 1000)

struct rep_apply;

struct rep_apply_config {
    int reader;               /* the peer's, of rep_log; watcher of floors */
    int fd;                   /* names the link in the lines of -vv */
    struct rep_floor *floors; /* borrowed */
    struct rep_sweep *sweep;  /* borrowed; for floors that come by hash */
    struct rep_log *log;      /* borrowed */
    struct rep_hints *hints;  /* borrowed; NULL: none are taken */
};

/* Keys and messages point into the body: copy what is kept. None of the three
 * may free the receiver. */
struct rep_apply_calls {
    void *ctx;
    /* A message that is no state. false: stop, the link has ended. */
    bool (*control)(void *ctx, const struct frame_msg *msg);
    /* An answer to send, behind those before it. false: too many at once, the
     * peer broke its credit. `hops`: of what it answers. */
    bool (*want)(void *ctx, const char *key, uint8_t nkey, uint64_t version,
                 uint8_t hops);
    bool (*gone)(void *ctx, const char *key, uint8_t nkey, uint64_t version);
};

/* Gives the receiver of one link, or NULL when out of memory. */
struct rep_apply *rep_apply_new(const struct rep_apply_config *config,
                                const struct rep_apply_calls *calls);

/* Takes `ap`; NULL is allowed. A half-received value is dropped. */
void rep_apply_free(struct rep_apply *ap);

/* From now on so much is added to expiries: their clock to ours. 0 at first. */
void rep_apply_shift(struct rep_apply *ap, int32_t seconds);

enum rep_apply_status {
    REP_APPLY_OK,      /* all of it is applied */
    REP_APPLY_FULL,    /* so it is, but it brought floors by hash: no more of
                        * that peer as long as rep_sweep_is_full */
    REP_APPLY_STOPPED, /* `control` said so; what follows was not looked at */
    REP_APPLY_BAD,     /* not the protocol: close the link */
    REP_APPLY_MEMORY,  /* none for a floor by hash: close the link */
    REP_APPLY_CLOCK,   /* a version too far ahead: close the link */
};

/* Applies the messages of one batch, up to the first that is refused. */
enum rep_apply_status rep_apply_body(struct rep_apply *ap,
                                     struct rd *body) MUST_CHECK;

struct rep_apply_stats {
    uint64_t items, deletes, floors, flushes; /* received */
    uint64_t touches, offers, gone;           /* received */
    uint64_t stale;      /* ours was newer: conflicts won */
    uint64_t lost;       /* items here that the peer did not know of, replaced
                            by newer ones of it: conflicts lost */
    uint64_t unstorable; /* kept as floors */
    uint64_t bytes;
};

void rep_apply_stats(const struct rep_apply *ap, struct rep_apply_stats *out);

#endif
