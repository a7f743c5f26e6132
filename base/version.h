/*
 * version - the cas ids: a hybrid logical clock, or a plain counter.
 *
 * Hybrid (builds with replication): 41 bits of milliseconds since 2024, 14
 * bits of counter, which carries into them, 8 bits of slot that are the
 * node's own; below 2^63. Always rising on a node, moved past every version
 * received, never the same on two linked nodes. (Kulkarni et al., "Logical
 * Physical Clocks", OPODIS 2014.)
 * Counting (plain builds): 1, 2, 3, as stock memcached does.
 *
 * Layer:   0.
 * Threads: any; one atomic.
 */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#include <stdbool.h>
#include <stdint.h>

#define VERSION_SLOT_BITS    8
#define VERSION_COUNTER_BITS 14
#define VERSION_EPOCH_MS     1704067200000ULL /* 2024-01-01T00:00:00Z */

enum version_mode { VERSION_COUNTING, VERSION_HYBRID };

/* Starts over. Before threads start, or in a test. */
void version_init(enum version_mode mode, uint8_t slot);

/* Hybrid: from now on the counter begins each millisecond at one of 4,096
 * places that `seed`, odd and the node's own, draws for it; at 0 before. Nodes
 * that have not met may have one slot: what they write to one key in the same
 * millisecond still has two versions, but for one case in 4,096; unless both
 * had heard a later version of a third. Before threads start. */
void version_scatter(uint64_t seed);

/* Draws the next version: above everything drawn or received. */
uint64_t version_next(void);

/* Moves the clock to at least `v`, before what carries `v` becomes visible. */
void version_observe(uint64_t v);

/* The greatest version drawn or received. */
uint64_t version_last(void);

/* Hybrid: the least version of millisecond `ms` (Unix), slot 0. */
uint64_t version_at_ms(uint64_t ms);

/* Hybrid: Unix milliseconds of `v`. */
uint64_t version_ms(uint64_t v);

uint8_t version_slot(void);
void version_set_slot(uint8_t slot);
bool version_is_hybrid(void);

#endif
