/*
 * rep_log - the bounded log of changes: versions and keys (values: rep/fresh).
 *
 * Workers append through the observer of the store; the replication thread
 * reads. A position is a byte offset in an endless stream, of which the last
 * `bytes` bytes are kept: the oldest entries make room, no worker ever waits
 * for a peer. A reader whose position was overwritten gets REP_LOG_GONE and
 * must scan; the least version it lost is kept for it until taken.
 *
 * A reader is a run of a peer, linked or away: one that is away keeps its
 * place, is told afterwards what it lost, and costs nothing meanwhile. Reader
 * r is watcher r of the floors as long as it is open.
 *
 * Local versions are drawn under the lock of the log, so their order in it is
 * version order. Without an open reader nothing is appended: a reader begins at
 * the head of that moment, and everything before it is found by a scan begun
 * after rep_log_open, because a change looks for readers under the stripe lock
 * that the scan takes, too (a flush, made before it is recorded, under the
 * log's).
 *
 * Layer:     4. Includes store.h, rep/floor.h and layer 0.
 * Threads:   the observer from any worker, with a source or an old version
 *            from the replication thread only; the rest from there, too,
 *            except figures.
 * Locks:     takes LOCK_REP_LOG and (apart from it) LOCK_FLOOR; runs under
 *            STRIPE or LRU. The wake call-back runs under STRIPE.
 * Ownership: functions borrow their arguments unless they say takes or gives.
 */
#ifndef REP_LOG_H
#define REP_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h" /* MUST_CHECK */
#include "rep/floor.h"
#include "store.h"

/* Most readers (runs of peers) at a time. */
#define REP_LOG_READERS REP_FLOOR_WATCHERS

#define REP_LOG_BYTES_MIN 4096
#define REP_LOG_BATCH     512         /* entries of a batch at most */
#define REP_LOG_BATCH_RAW (16 * 1024) /* bytes of log in a batch at most */

/* An op of the log's own: a floor known by hash, whose bytes are the key. */
#define REP_LOG_OP_FLOOR (STORE_OP_FLUSH + 1)

struct rep_log;

enum rep_log_status {
    REP_LOG_OK = 0,
    REP_LOG_END,  /* nothing newer yet */
    REP_LOG_GONE, /* overwritten: scan, reading on from rep_log_oldest */
};

struct rep_log_entry {
    uint64_t pos;     /* reading again from here gives this entry again */
    uint64_t version; /* the greatest of the merged entries */
    uint64_t hv;      /* hash_key(); of a floor no key's */
    uint64_t place;   /* as in store_change */
    const char *key;  /* in the batch; NULL for FLUSH */
    uint8_t nkey;
    uint8_t op;     /* enum store_op, or REP_LOG_OP_FLOOR */
    uint8_t source; /* reader + 1 it came from: not sent there; 0 local */
    uint8_t target; /* reader + 1 it is only for; 0 everyone */
    uint8_t hops;   /* from where it was made; 0 here; the least of merged */
    uint16_t fresh; /* rep_log_fresh */
};

/* The source of store_change for what `reader` sent, `hops` links from where
 * it was made. */
static inline uint32_t rep_log_source(int reader, uint8_t hops)
{
    return (uint32_t)(reader + 1) | (uint32_t)hops << 8;
}

/* What one read gives: entries in log order, a key written many times only
 * once, at its last place, never merged across a flush. Entries that must not
 * go to the reader are left out already. */
struct rep_log_batch {
    unsigned n;
    uint64_t next; /* position after the batch */
    struct rep_log_entry entry[REP_LOG_BATCH];
    char raw[REP_LOG_BATCH_RAW];
};

/* Gives a log of `bytes` bytes (at least REP_LOG_BYTES_MIN) whose removals go
 * to `floors`, or NULL when out of memory. Borrows `floors` for its life. */
struct rep_log *rep_log_new(size_t bytes, struct rep_floor *floors);

/* Takes `log`; NULL is allowed. No other thread may still use it. */
void rep_log_free(struct rep_log *log);

/* The observer to give to store_observe. */
const struct store_observer *rep_log_observer(struct rep_log *log);

/* Sets what is called, under a stripe lock, by the first append after
 * rep_log_sleep. Before threads start. */
void rep_log_on_wake(struct rep_log *log, void (*wake)(void *ctx), void *ctx);

/* Opens a reader that begins (and has acknowledged up to) the head; -1 when
 * all are in use. *pos receives the head. It watches the floors, and its low
 * mark is 0: so is that of all, until the next rep_log_set_low. */
int rep_log_open(struct rep_log *log, uint64_t *pos) MUST_CHECK;

/* Forgets a reader: what it has not read is nobody's any more. */
void rep_log_close(struct rep_log *log, int reader);

/* Changes applied from one peer are appended for the others, too. */
void rep_log_set_relay(struct rep_log *log, bool relay);

/* Position after the last entry; of the oldest entry kept. */
uint64_t rep_log_head(struct rep_log *log);
uint64_t rep_log_oldest(struct rep_log *log);

/* Fills `batch` from `pos` on. OK with batch->n == 0 is possible (all left
 * out): go on from batch->next. */
enum rep_log_status rep_log_read(struct rep_log *log, int reader, uint64_t pos,
                                 struct rep_log_batch *batch) MUST_CHECK;

/* Begins a turn of the replication thread: rep_log_fresh has what was appended
 * since the last one, and no more what was before. */
void rep_log_turn(struct rep_log *log);

/* The item of an entry as it was at its version, a message of rep/frame of *n
 * bytes; NULL: to be looked up. Until the next turn. */
const uint8_t *rep_log_fresh(const struct rep_log *log,
                             const struct rep_log_entry *e, size_t *n);

/* True when there is nothing after `pos`: the next append will call wake.
 * False: read on. */
bool rep_log_sleep(struct rep_log *log, uint64_t pos) MUST_CHECK;

/* The reader needs nothing before `pos` any more (the peer has processed it;
 * a peer without acknowledgements: it was sent). Never moves back. */
void rep_log_ack(struct rep_log *log, int reader, uint64_t pos);

/* Where that is: it may be read on from there after a link ended, unless it
 * was overwritten (rep_log_read tells). */
uint64_t rep_log_acked(struct rep_log *log, int reader);

/* Takes what was overwritten unacknowledged by `reader` since the last call:
 * false when nothing was, or all of it was acknowledged after all. *version
 * receives the least version lost (the threshold of the scan that makes up for
 * it; UINT64_MAX when only touches were lost), *touched whether a touch was. */
bool rep_log_take_lost(struct rep_log *log, int reader, uint64_t *version,
                       bool *touched) MUST_CHECK;

/* Gives it back: the scan for it was broken off. */
void rep_log_put_lost(struct rep_log *log, int reader, uint64_t version,
                      bool touched);

/* Appends an entry for `reader` alone: the present state of the key will be
 * sent to it, absence at least as old as `version`. `hops` as in an entry. */
void rep_log_resend(struct rep_log *log, int reader,
                    const struct store_key *key, uint64_t version,
                    uint8_t hops);

/* The same for a key that the reader would like to have: nothing is said of
 * one that is absent, and nothing is amiss if the entry is overwritten. */
void rep_log_wish(struct rep_log *log, int reader, const struct store_key *key);

/* A floor that came from `reader` by its hash, `hops` links from where it was
 * made: raises it, and appends it for the others (relay). False: no news. */
bool rep_log_raise_floor(struct rep_log *log, int reader, uint64_t hash,
                         uint64_t version, uint8_t hops);

/* The low mark of `reader`: it has acknowledged every version below, at most
 * the clock. It begins with 0, rises by rep_log_raise_low and falls when an
 * older change, relayed or sent again, is on its way to it. */
uint64_t rep_log_low(struct rep_log *log, int reader);

/* Raises it to what the reader has acknowledged by now, tells the floors, and
 * gives it. Only while no scan is owed to the reader, or under way. */
uint64_t rep_log_raise_low(struct rep_log *log, int reader);

/* Removals below `low` leave no floor: every peer has acknowledged them. 0
 * (the beginning): all removals do. The least rep_log_low of all peers, told
 * anew when one of them moved. */
void rep_log_set_low(struct rep_log *log, uint64_t low);

/* Over a restart, while no other thread runs: positions go on from there, as if
 * all before was overwritten. Before anything is appended or opened. */
void rep_log_start_at(struct rep_log *log, uint64_t pos);

/* Figures; any thread. */
struct rep_log_stats {
    uint64_t appended;    /* entries */
    uint64_t overwritten; /* of them before all had acknowledged them */
    uint64_t bytes;
};

void rep_log_stats(struct rep_log *log, struct rep_log_stats *out);

/* Bytes after `pos`: how far a reader is behind. */
uint64_t rep_log_behind(struct rep_log *log, uint64_t pos);

#endif
