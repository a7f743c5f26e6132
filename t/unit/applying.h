/*
 * applying - a peer without a link, for tests of rep/apply: messages go in,
 * against the real store, floors and log, and a frozen clock.
 *
 * Layer:   tests; includes layers 0-4.
 * Threads: one.
 */
#ifndef T_UNIT_APPLYING_H
#define T_UNIT_APPLYING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/version.h"
#include "rep/apply.h"

#define START_MS UINT64_C(1800000000000)
#define NOW      1800000000U
#define U(v)     ((unsigned long long)(v))
/* Versions of another node, a little ahead of what we draw. */
#define V(n) (version_at_ms(START_MS + 1000) + ((uint64_t)(n) << 8) + 9)

enum { SLOT = 3, ITEM_MAX = 2 * 1024 * 1024 };

extern struct rep_floor *floors;
extern struct rep_log *rlog;
extern struct rep_apply *ap;
extern struct rep_apply_config config;
extern struct rep_sweep sweep;
extern struct rep_log_batch batch; /* of to_peer */

/* The fixtures; the small one has few floors, so that some are dropped. */
void setup(void);
void setup_small(void);
void teardown(void);

/* ---- what the receiver says ---- */

/* All calls since the last look, "want k 17; " each; controls without a key
 * as 1000 times their type and their number. */
const char *heard(void);

/* "want k 17; " */
const char *saying(const char *what, const char *key, uint64_t n);

/* Answers and controls from this one on fail; 0: none. */
extern unsigned refuse;

/* Forgets what was said. */
void hush(void);

/* ---- bodies ---- */

extern uint8_t body[FRAME_BATCH_MAX]; /* the batch that is being written */
extern struct frame_out out;
extern struct frame_stream sender;

void put(const struct frame_msg *msg);

/* Ends the batch and feeds its body. */
enum rep_apply_status feed(void);
enum rep_apply_status feed_bytes(const uint8_t *p, size_t n);
enum rep_apply_status feed_one(const struct frame_msg *msg);

struct frame_msg item_msg(const char *key, const char *value, uint64_t version);

/* DELETE, TOUCH, OFFER, GONE, WANT */
struct frame_msg key_msg(enum frame_type type, const char *key,
                         uint64_t version);
struct frame_msg floor_msg(const char *key, uint64_t version);
struct frame_msg number_msg(enum frame_type type, uint64_t n);

enum rep_apply_status feed_item(const char *key, const char *value,
                                uint64_t version);
enum rep_apply_status feed_key(enum frame_type type, const char *key,
                               uint64_t version);
enum rep_apply_status feed_touch(const char *key, uint32_t exptime,
                                 uint64_t version);

/* ---- the store ---- */

uint64_t set(const char *name, const char *value);
void delete_key(const char *name);

/* "value flags exptime version" of a key, or "none"; and such a text. */
const char *get(const char *name);
const char *state(const char *value, unsigned flags, uint32_t exptime,
                  uint64_t version);
uint64_t floor_of(const char *name);
unsigned item_bits_of(const char *name);
uint64_t item_cas_of(const char *name);

/* Takes what is in the log for the peer since the last call. */
unsigned to_peer(void);
void ack_all(void);
struct rep_apply_stats stats(void);

/* What P missed in the cell of a key becomes `version`: the floor of another
 * key of the cell is dropped. Wants the small fixture. */
void miss(const char *name, uint64_t version);

#endif
