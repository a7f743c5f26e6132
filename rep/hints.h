/*
 * rep_hints - which keys are read here, for a standby that nobody reads.
 *
 * Eviction goes by two bits of hits in an item; most hits find them full and
 * change nothing. Hints name the keys whose bits rose. Workers note them in
 * bounded rings, where what does not fit is left out; the replication thread
 * drains rounds of them into messages within a budget of bytes, the highest
 * rises first. The receiver raises the hits of its own items, and is told
 * what it does not hold: asking its peer for those, and raising their hits once
 * they come, is what keeps it from losing what the peer always hits.
 * doc/decisions/004 has figures.
 *
 * A message (the payload of HINTS): a byte, the hits the keys rose to (1 to
 * 3); then each key without what it begins with like the one before, lengths
 * in a byte, digits in halves of bytes (doc/replication-protocol.md).
 *
 * Layer:     4. Includes store.h and layer 0.
 * Threads:   rises are noted by any worker; drain and apply by the replication
 *            thread; figures by any.
 * Locks:     takes LOCK_QUEUE, under STRIPE.
 * Ownership: functions borrow their arguments unless they say takes or gives.
 */
#ifndef REP_HINTS_H
#define REP_HINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/util.h" /* MUST_CHECK */
#include "store.h"

#define REP_HINTS_RATE     (64 * KIB) /* bytes a second to a peer, heads too */
#define REP_HINTS_HEAD     3   /* bytes of a message before the payload */
#define REP_HINTS_ROOM_MIN 256 /* least room for a payload */
#define REP_HINTS_ROUND_MS 10  /* keys are sorted and sent together */

struct rep_hints;

/* Gives an empty one that may send `rate` bytes a second, or NULL when out of
 * memory. The only one of the process, before threads start: the store tells
 * it of rises from rep_hints_watch(true) on. */
struct rep_hints *rep_hints_new(size_t rate);

/* Takes `h`; NULL is allowed. No other thread may still use it. */
void rep_hints_free(struct rep_hints *h);

/* While no peer wants hints nothing is noted. */
void rep_hints_watch(struct rep_hints *h, bool on);

/* Fills `buf`, of `room` bytes, with the payload of one message, and returns
 * its length; 0: nothing to send, or no budget, at `now`. Call until 0; the
 * same payload goes to every peer. What is not fetched by the next round, for
 * want of budget or because other messages went first, is left out. Without
 * changes nothing is evicted: calling it when changes are sent is enough. */
size_t rep_hints_drain(struct rep_hints *h, struct mono now, uint8_t *buf,
                       size_t room) MUST_CHECK;

/* A key that was hinted at and is not held here. */
typedef void rep_hints_absent(void *ctx, const char *key, size_t nkey);

/* Raises the hits of the items that a payload names, and nothing else of them.
 * False: malformed; what came before the fault was applied. `absent` may be
 * NULL; it may call the store. */
bool rep_hints_apply(struct rep_hints *h, const uint8_t *payload, size_t n,
                     rep_hints_absent *absent, void *ctx) MUST_CHECK;

/* An item came from a peer: what it was hinted at while it was absent counts
 * now. Without that it begins as one that nobody reads, and is evicted again
 * before the next hint. `h` may be NULL. */
void rep_hints_arrived(struct rep_hints *h, const struct store_key *key);

struct rep_hints_figures {
    uint64_t noted;   /* rises that found room */
    uint64_t dropped; /* rises that did not, or were left out later */
    uint64_t sent;    /* keys in messages */
    uint64_t bytes;   /* of messages, heads too */
    uint64_t applied; /* keys received and held here */
    uint64_t absent;  /* keys received and not held here */
};

void rep_hints_figures(struct rep_hints *h, struct rep_hints_figures *out);

#endif
