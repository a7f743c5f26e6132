/*
 * store_internal - what the files of the store share; nobody else includes it.
 *
 * store.c, store_write.c, store_update.c, store_arith.c and store_meta.c are
 * the client's side, store_apply.c the peer's, store_stats.c the figures,
 * store_restart.c what outlives the process.
 *
 * Layer:   2. Includes layers 0-1, store.h, assoc.h, lru.h and
 *          store_meta.h.
 * Locks:   functions named _locked want the key's stripe held.
 */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "assoc.h"
#include "lru.h"
#include "store.h"
#include "store_meta.h"
#include "store_stats.h"

struct store {
    struct store_config config;            /* [c] */
    const struct store_observer *observer; /* [c] NULL: nobody watches */
    atomic_ullong barrier;  /* [a] items up to this version are dead */
    atomic_uint flushed;    /* [a] Unix second before the last flush, 0 never */
    struct lock flush_lock; /* QUEUE: guards the three below */
    uint64_t flush_version; /* of the newest flush_all */
    uint32_t flush_at;      /* Unix second it is for, 0: at once */
    atomic_uint pending_at; /* Unix second of the flush to come, 0 none */
};

extern struct store store;

/* Everything that makes an item but its value. */
struct store_new {
    const struct store_key *key;
    struct store_attrs attrs;
    unsigned bits; /* wanted beside what the attributes need */
    size_t nbytes;
};

/* Draws a version for a change, or passes the peer's on, and records it. `it`
 * is what the key will have, NULL for nothing. */
uint64_t store_record_locked(enum store_op op, const struct store_key *key,
                             const struct item *it, uint64_t version,
                             uint32_t source);

/* The same for a local change that has made `it` what it is to be but for its
 * version, which it gets here. */
void store_record_item_locked(const struct store_key *key, struct item *it);

/* Whether `n` would go over the item size limit, counted as stock counts. */
bool store_too_large(const struct store_new *n);

/* Allocates, evicting when needed. NULL: no memory. No lock held. */
struct item *store_make(const struct store_new *n);

/* The same without evicting, so that a stripe may be held. NULL: take the long
 * way; always for one in pieces. */
struct item *store_make_free(const struct store_new *n);

/* Appends bytes to a reserved item; false when memory ran out. */
bool store_fill(struct item *it, size_t *filled, const void *p, size_t n);

bool store_fill_view(struct item *it, size_t *filled,
                     const struct store_view *from);

/* The last chunk of a filled item learns how much it holds. */
void store_filled(struct item *it);

/* The optional fields an item needs. One in pieces always has room for a
 * visible cas, so that its head never has to be moved for one. */
unsigned store_bits_for(const struct store_new *n);

/* Only the index refers to the item: it may be changed in place. */
static inline bool store_unshared(const struct item *it)
{
    /* Acquire pairs with the release in store_put: other readers are done. */
    return atomic_load_explicit(&it->refs, memory_order_acquire) == 1;
}

/* Drops a reference; the last one frees. */
void store_put(struct item *it);

void store_mark_accessed(struct item *it);

/* Whether a state of this shape may be written over `old`. */
bool store_fits_in_place(const struct item *old, const struct store_new *n);
/* Writes it, but for its version. */
void store_overwrite_locked(struct item *old, const struct store_new *n,
                            const void *value);

/* Puts `it` in the index in the place of `old` (NULL: none). Takes the index's
 * reference. false when out of memory: `it` is still the caller's. */
bool store_link_locked(struct assoc_stripe *s, const struct store_key *key,
                       struct item *old, struct item *it,
                       const struct store_change *change);

/* The same for a local change, which draws its version. */
bool store_link_local_locked(struct assoc_stripe *s,
                             const struct store_key *key, struct item *old,
                             struct item *it);

/* Takes an item out of the index and the queues, and drops its reference. */
void store_unlink_locked(struct assoc_stripe *s, struct item *it, uint64_t hv);

/* Whether a mode, other than CAS, allows to store beside `old` (or NULL). */
enum store_status store_mode_allows(enum store_mode mode,
                                    const struct item *old);

/* As store_delete, and may ask for a cas of 0, which -C shows. NULL: any. */
enum store_status store_delete_if(const struct store_key *key,
                                  const uint64_t *cas,
                                  struct store_found *found);

/* APPEND and PREPEND: stores what is there joined with the value `added`,
 * which stays the caller's. NOT_STORED: nothing there, or no room. */
enum store_status store_concat(const struct store_key *key,
                               const struct store_terms *terms,
                               const struct item *added,
                               struct store_stored *stored);

/* Gives the item room for a visible cas where it is, when that is possible. */
bool store_cas_room_locked(struct item *it);

/* Ends the hold of the item and replaces it by a copy that has such room,
 * unless it has changed by then: look again. false: no memory. */
bool store_cas_room(struct item *it, const struct store_key *key);

/* Adds marks and sets the expiry, neither of which clients see as a change of
 * the item. When somebody watches it is one all the same: it draws a version,
 * and clients still see the cas they know. false: no room for both. */
bool store_change_quietly_locked(struct item *it, const struct store_key *key,
                                 unsigned marks, uint32_t exptime);

/* Sets the expiry. false as above. */
bool store_touch_locked(struct item *it, const struct store_key *key,
                        uint32_t exptime);

/* Tells the observer that an item goes without a change. */
void store_removed_locked(const struct item *it);

/* Counts, and takes out, a dead item. */
void store_reclaim_locked(struct assoc_stripe *s, struct item *it, uint64_t hv);

/* The live item of the key; a dead one is removed. */
struct item *store_live_locked(struct assoc_stripe *s,
                               const struct store_key *key,
                               enum store_miss *why);

/* The memory file of store_init. Open: false with a line. Then it is empty, or
 * something was found that store_restart_load is to restore, once slabs, queues
 * and index are there and empty; if it cannot they are to be made anew, and the
 * file to be cleared. */
bool store_restart_open(const struct store_config *config) MUST_CHECK;
bool store_restart_found(void);
bool store_restart_load(void) MUST_CHECK;
bool store_restart_clear(void) MUST_CHECK;
void store_restart_close(void);
int store_restart_fd(void);

/* Tells what a look-up found: its outcome, and the item or NULL. */
static inline void store_tell(struct store_found *found, enum store_miss why,
                              const struct item *it)
{
    if (found != NULL) {
        found->why = why;
        found->slab_class = it != NULL ? it->slab_class : 0;
        found->nbytes = it != NULL ? it->nbytes : 0;
    }
}

#endif
