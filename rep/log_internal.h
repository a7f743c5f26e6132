/*
 * log_internal - what the pieces of rep/log share: its records, and the ring.
 *
 * log.c appends, and keeps the readers' places and low marks; log_read.c reads.
 * Only these include this header.
 *
 * Layer:     4. Includes rep/log.h and what the pieces stand on.
 * Threads:   as rep/log.h.
 * Locks:     as rep/log.h.
 */
#ifndef REP_LOG_INTERNAL_H
#define REP_LOG_INTERNAL_H

#include <stdatomic.h>
#include <string.h>

#include "base/lock.h"
#include "rep/fresh.h"
#include "rep/log.h"

/*
 * A record is {version 8, nkey, op, source, target, hops, place 5, fresh 2,
 * key}. It begins at position modulo `bytes` and never wraps: the ring has room
 * for the longest one behind its end, and the next record begins where this one
 * would have ended had it wrapped.
 *
 * The least version of each segment of positions is kept beside: the low mark
 * of a reader is the least of those it has not acknowledged wholly.
 */
enum {
    LOG_CACHE_LINE = 64,
    LOG_HEADER = 20,
    LOG_RECORD_MAX = LOG_HEADER + KEY_MAX_LENGTH,
    LOG_PIECE = 4096,              /* bytes copied in one hold */
    LOG_MERGE = REP_LOG_BATCH * 2, /* places of the table that finds repeats */
    LOG_SEGMENTS = 64
};

/* [R] LOCK_REP_LOG   [a] atomic   [c] constant after creation
 * [r] the replication thread */
struct log_reader {
    bool open;             /* [R] */
    bool lost, lost_touch; /* [R] something was overwritten unacked */
    uint64_t acked;        /* [R] */
    uint64_t lost_version; /* [R] least, UINT64_MAX: touches only */
    uint64_t low;          /* [R] rep_log_low */
};

/* The table of keys of a batch, to merge repeats. A place counts when its
 * entry points back at it: so it is never cleared. */
struct log_merge {
    bool voids;                /* [r] an entry was merged into a later one */
    unsigned from;             /* [r] the first entry after a flush */
    uint16_t entry[LOG_MERGE]; /* [r] of a place */
    uint16_t place[REP_LOG_BATCH]; /* [r] of an entry */
};

struct rep_log {
    /* What every append writes. */
    _Alignas(LOG_CACHE_LINE) struct lock lock;
    bool sleeping;        /* [R] the reader wants a call of wake */
    atomic_ullong head;   /* [a] position; written under R */
    uint64_t head_at;     /* [R] head modulo bytes */
    uint64_t oldest;      /* [R] position */
    uint64_t oldest_at;   /* [R] oldest modulo bytes */
    uint64_t segment_end; /* [R] of the segment of the newest record */
    uint64_t acked_all;   /* [R] least acked of the open readers */
    uint64_t appended;    /* [R] entries */

    /* What it only reads. */
    _Alignas(LOG_CACHE_LINE) unsigned char *ring; /* [c] its bytes [R] */
    uint64_t bytes;                               /* [c] */
    struct rep_floor *floors;                     /* [c] */
    struct rep_fresh *fresh;                      /* [c] */
    void (*wake)(void *ctx);                      /* [c] after start */
    void *wake_ctx;                               /* [c] after start */
    struct store_observer observer;               /* [c] */
    unsigned segment_shift;                       /* [c] */
    atomic_uint open;  /* [a] open readers; written under R */
    atomic_bool relay; /* [a] */

    /* What it rarely writes. */
    /* [R] versions, or MAX */
    _Alignas(LOG_CACHE_LINE) uint64_t least[LOG_SEGMENTS];
    uint64_t unlost_at;   /* [R] least acked of those that lost nothing */
    uint64_t lost_below;  /* [R] greatest lost_version of the others */
    bool touches_lost;    /* [R] all the others have lost_touch */
    unsigned top;         /* [R] readers from here on are not open */
    uint64_t overwritten; /* [R] entries lost by some reader */
    struct log_reader readers[REP_LOG_READERS];

    /* What is the replication thread's. */
    _Alignas(LOG_CACHE_LINE) atomic_ullong low; /* [a] rep_log_set_low */
    struct rep_fresh_view view;                 /* [r] */
    struct log_merge merge;
};

struct log_record {
    uint64_t version;
    uint8_t nkey, op, source, target, hops;
    uint64_t place; /* 40 bits */
    uint16_t fresh; /* rep_fresh_put */
};

static inline void log_record_get(const unsigned char *p,
                                  struct log_record *rec)
{
    uint32_t low;

    memcpy(&rec->version, p, 8);
    rec->nkey = p[8];
    rec->op = p[9];
    rec->source = p[10];
    rec->target = p[11];
    rec->hops = p[12];
    memcpy(&low, p + 13, 4);
    rec->place = (uint64_t)p[17] << 32 | low;
    memcpy(&rec->fresh, p + 18, 2);
}

static inline uint64_t log_head_of(const struct rep_log *log)
{
    /* Whoever reads an entry takes the lock. */
    return atomic_load_explicit(&log->head, memory_order_relaxed);
}

static inline uint64_t log_least_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Whether the record goes to the reader. */
static inline bool log_is_for(const struct log_record *rec, unsigned reader)
{
    return rec->target == 0 ? rec->source != reader + 1
                            : rec->target == reader + 1;
}

#endif
