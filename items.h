/*
 * items - the layout of an item in its chunk, and how to read one.
 *
 * An item is one chunk of slab memory: a 40-byte header, up to three optional
 * fields, the key, the value (without line end). A value too large for one
 * chunk lies in a chain of further chunks (struct item_chunk).
 *
 * A ref names a chunk in 40 bits: its byte offset in the reserved range
 * divided by 8; 0 names nothing. Refs survive a move of the range.
 *
 * Layer:     2. Includes layers 0-1 and slabs.h.
 * Threads:   any; each field names its protection.
 * Ownership: an item belongs to the index while linked; a thread that keeps a
 *            pointer beyond its stripe lock holds a reference.
 *
 * [c] constant while the item lives   [a] atomic
 * [I] the item's stripe lock          [L] the class's LRU lock
 */
#ifndef ITEMS_H
#define ITEMS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

typedef uint64_t item_ref; /* 40 bits used */

/* What a chunk is at the moment; [a], changed under the stripe lock of the
 * item it belongs to (or by the only owner), to and from free under the lock of
 * the slabs. A release: the page mover, which has no lock when it looks, reads
 * of a linked item whose stripe it is. */
enum item_kind {
    ITEM_FREE,     /* on its class's free list */
    ITEM_DRAINED,  /* free, on no list: its page is to leave the class */
    ITEM_RESERVED, /* allocated, being filled, not in the index */
    ITEM_LINKED,   /* in the index */
    ITEM_UNLINKED, /* out of the index, still referenced */
    ITEM_CHUNK,    /* a piece of a large value */
};

enum item_bits {
    ITEM_HAS_FLAGS = 1 << 0,  /* 4 bytes of client flags are stored */
    ITEM_HAS_CAS = 1 << 1,    /* 8 bytes of visible cas are stored */
    ITEM_B64KEY = 1 << 2,     /* the key was given in base64 */
    ITEM_FETCHED = 1 << 3,    /* hit since stored */
    ITEM_STALE = 1 << 4,      /* marked by meta delete */
    ITEM_TOKEN_SENT = 1 << 5, /* a winner was told to recache */
    ITEM_TOUCHED = 1 << 6,    /* expiry lengthened since this version */
    ITEM_CHAINED = 1 << 7,    /* the value lies in chunks */
};

/* Queues of struct item.heat. */
enum item_queue { ITEM_SMALL, ITEM_MAIN, ITEM_TEMP, ITEM_NO_QUEUE };

struct item {
    uint64_t version;     /* [I] the change that made this state */
    uint32_t next_lo;     /* [L] refs of the neighbours in the queue */
    uint32_t prev_lo;     /* [L] */
    uint8_t next_hi;      /* [L] */
    uint8_t prev_hi;      /* [L] */
    atomic_ushort refs;   /* [a] the index holds one */
    uint32_t exptime;     /* [I] Unix seconds, 0 never */
    atomic_uint accessed; /* [a] Unix seconds of the last access */
    uint32_t nbytes;      /* [I] bytes of value */
    uint8_t nkey;         /* [c] */
    uint8_t slab_class;   /* [c] */
    atomic_uchar heat;    /* [a] hits 2 bits, queue 2 bits */
    atomic_uchar kind;    /* [a] enum item_kind */
    uint16_t bits;        /* [I] enum item_bits */
    uint16_t stripe;      /* [c] */
};

_Static_assert(sizeof(struct item) == 40, "an item header is 40 bytes");

/* A piece of a large value; its data follows. Same places for refs, class,
 * kind and stripe as in struct item. */
struct item_chunk {
    uint64_t next;      /* [I] ref of the next piece, 0 at the end */
    uint64_t head;      /* [I] ref of the item */
    uint32_t spare;     /*     unused */
    uint32_t used;      /* [I] bytes of data */
    uint32_t capacity;  /* [c] */
    uint32_t unused;    /*     unused */
    uint8_t reserved;   /*     unused */
    uint8_t slab_class; /* [c] */
    uint8_t unused2;    /*     unused */
    atomic_uchar kind;  /* [a] ITEM_CHUNK, or free or reserved */
    uint16_t unused3;   /*     unused */
    uint16_t stripe;    /* [c] */
    unsigned char data[];
};

_Static_assert(offsetof(struct item_chunk, data) == sizeof(struct item),
               "a chunk header is as large as an item header");

/* Most references an item may have before a get counts as a miss. */
#define ITEM_REFS_MAX 60000

static inline char *item_extra(const struct item *it)
{
    return (char *)(uintptr_t)(it + 1);
}

/* Bytes of the optional fields that `bits` asks for. */
static inline size_t item_extra_size(unsigned bits)
{
    return (bits & ITEM_HAS_CAS ? 8U : 0U) + (bits & ITEM_CHAINED ? 8U : 0U) +
           (bits & ITEM_HAS_FLAGS ? 4U : 0U);
}

static inline char *item_key(const struct item *it)
{
    return item_extra(it) + item_extra_size(it->bits);
}

/* The value; not for chained items, see item_chunk_first. */
static inline char *item_data(const struct item *it)
{
    return item_key(it) + it->nkey;
}

/* Client flags. */
uint32_t item_flags(const struct item *it);

/* The version unless another cas was chosen. */
uint64_t item_stored_cas(const struct item *it);

/* The cas clients see: that, or 0 when none is shown. */
uint64_t item_cas(const struct item *it);

static inline bool item_is_chained(const struct item *it)
{
    return (it->bits & ITEM_CHAINED) != 0;
}

/* Bytes in its chunk (chained: the head alone). */
size_t item_size(const struct item *it);

/* Bytes the item counts for in stats: all its parts and the header. */
size_t item_total_size(const struct item *it);

/* The ref of the first piece of a chained item; 0: none, or not chained. */
uint64_t item_chain_ref(const struct item *it);

/* The pieces of a chained item, in order; NULL at the end. */
struct item_chunk *item_chunk_first(const struct item *it);
struct item_chunk *item_chunk_next(const struct item_chunk *chunk);

/* Chosen once at start: false makes item_cas give 0 (-C). */
void items_init(bool show_cas);

/* Bytes in one chunk that an item of this shape takes. */
static inline size_t item_size_for(unsigned bits, size_t nkey, size_t nbytes)
{
    return sizeof(struct item) + item_extra_size(bits) + nkey +
           (bits & ITEM_CHAINED ? 0 : nbytes);
}

/* Sets up a fresh chunk as a reserved item of one reference; the bits say
 * which optional fields it has (zeroed). */
struct item_shape {
    const char *key;
    size_t nkey;
    size_t nbytes;
    unsigned bits;
    unsigned slab_class;
    uint32_t stripe;
};
void item_make(struct item *it, const struct item_shape *shape);

/* Writes the optional fields; the item has room for them. */
void item_set_flags(struct item *it, uint32_t flags);
void item_set_cas(struct item *it, uint64_t cas); /* 0: the version */

/* Adds one chunk to the end of a chained item; NULL when memory ran out.
 * `left` bytes of value are still to come. */
struct item_chunk *item_chunk_add(struct item *it, struct item_chunk *last,
                                  size_t left);

/* Puts `to`, a copy, in the place of a piece of a chained item. */
void item_chunk_replace(struct item *it, const struct item_chunk *chunk,
                        struct item_chunk *to);

/* Frees the item's memory; takes `it`, to which nothing refers any more. */
void item_free(struct item *it);

/* Copies `n` bytes of the value from `offset`; works for both shapes. */
void item_copy_out(const struct item *it, size_t offset, void *buf, size_t n);

/* Whether the value of `it` equals `n` bytes at `p`. */
bool item_value_equals(const struct item *it, const void *p, size_t n);

#endif
