/*
 * store_meta - what only some protocols ask of the store: conditions on the
 * cas, a cas of the client's choice, items that come to be by being looked up,
 * marks for items that are to be made anew.
 *
 * An item is stale once somebody said so, until it is replaced. Whoever looks
 * up a stale one, or one near its end, first wins: it is to make the item
 * anew, and others who look it up are told that somebody does.
 *
 * All of it replicates: where a mark, or an earlier end, changes and nothing
 * else, a version is drawn and clients go on seeing the cas they know.
 *
 * Layer:     2. Includes store.h.
 * Threads:   any, after store_init.
 * Locks:     as store.h.
 * Ownership: functions borrow their arguments unless they say takes or gives.
 */
#ifndef STORE_META_H
#define STORE_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "store.h"

/* ---- storing ------------------------------------------------------- */

/* On what terms a value is stored. */
struct store_terms {
    struct store_attrs attrs;
    enum store_mode mode;    /* any but CAS */
    bool compare;            /* the present cas is to be `cas`; not in ADD */
    bool older;              /* or above that, which stores a stale item that
                                ends when the present one does */
    bool b64key;             /* the key was given in base64 */
    bool vivify;             /* APPEND, PREPEND: to nothing, too */
    uint32_t vivify_exptime; /* of what that makes */
    uint64_t cas;            /* never equal when 0 */
    uint64_t new_cas;        /* for clients to see; 0: the version */
};

/* What was stored. */
struct store_stored {
    uint64_t cas;
    size_t nbytes; /* of its whole value */
};

/* As store_set, store_reserve and store_commit, except that TOO_LARGE and
 * NO_MEMORY remove the key in every mode. `stored` is set on OK. */
enum store_status store_set_on(const struct store_key *key,
                               const struct store_terms *terms,
                               const void *value, size_t n,
                               struct store_stored *stored) MUST_CHECK;
enum store_status store_reserve_on(const struct store_key *key,
                                   const struct store_terms *terms, size_t n,
                                   struct item **out) MUST_CHECK;
enum store_status store_commit_on(struct item *it, const struct store_key *key,
                                  const struct store_terms *terms,
                                  struct store_stored *stored) MUST_CHECK;

/* ---- looking up ---------------------------------------------------- */

/* What a look-up does beside. */
struct store_fetch {
    bool vivify;             /* an absent key becomes an empty item, won */
    bool touch;              /* the expiry becomes `exptime` */
    bool recache;            /* win when it ends before `threshold`... */
    bool recache_touched;    /* ...of the new expiry, not of the old */
    uint32_t threshold;      /* of `recache`, as an expiry */
    uint32_t exptime;        /* of `touch` */
    uint32_t vivify_exptime; /* of `vivify` */
    uint64_t vivify_cas;     /* of `vivify`; 0: the version */
};

/* What it met. */
struct store_fetched {
    enum store_miss why; /* HIT: also of one that it made */
    bool made;           /* it was not there */
    bool won;
    bool no_memory;   /* to make one */
    bool sent;        /* somebody else had won */
    bool stale;       /* it is */
    uint32_t exptime; /* before */
};

/* Whether a look-up of this item, held, would change more than its heat. */
bool store_fetch_changes(const struct item *it,
                         const struct store_fetch *fetch);

/* What a look-up that changes nothing meets. */
struct store_fetched store_fetch_seen(const struct item *it);

/* As store_hold, and does what `fetch` says in the same hold. */
struct item *store_fetch_hold(const struct store_key *key,
                              const struct store_fetch *fetch,
                              struct store_fetched *fetched);

/* ---- removing, marking --------------------------------------------- */

struct store_mark {
    bool compare;     /* the present cas is to be `cas` */
    bool stale;       /* mark it: it gets a new cas */
    bool empty;       /* it loses value and flags, not its cas */
    bool touch;       /* `exptime`; else it keeps its end or, empty, has none */
    uint32_t exptime; /* of `touch` */
    uint32_t flags;   /* of `empty` */
    uint64_t cas;     /* of `compare` */
    uint64_t new_cas; /* for clients to see; 0: as said above */
};

/* Deletes unless `mark` says stale or empty. OK, NOT_FOUND, EXISTS (another
 * cas), NO_MEMORY. */
enum store_status store_mark(const struct store_key *key,
                             const struct store_mark *mark,
                             struct store_found *found) MUST_CHECK;

/* ---- arithmetic ---------------------------------------------------- */

struct store_sum {
    bool incr;
    bool touch;              /* the expiry becomes `exptime` */
    bool vivify;             /* an absent key becomes `initial` */
    uint32_t exptime;        /* of `touch` */
    uint32_t vivify_exptime; /* of `vivify` */
    uint64_t delta;
    uint64_t initial; /* of `vivify` */
    uint64_t cas;     /* the present cas is to be this one; 0: any */
    uint64_t new_cas; /* for clients to see; 0: the version */
};

struct store_result {
    uint64_t number;
    uint64_t cas;
    uint32_t exptime; /* before */
    bool made;        /* it was not there */
};

/* As store_arith; with `vivify`, NO_MEMORY and result->made: to make one. */
enum store_status store_sum(const struct store_key *key,
                            const struct store_sum *sum,
                            struct store_result *result,
                            struct store_found *found) MUST_CHECK;

#endif
