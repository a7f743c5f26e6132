/*
 * rep_wire - the lines of the replication link: bytes to structs and back.
 *
 * What two of ours say first, and all that a repcached 2.x says. Between two
 * of ours rep/frame takes over behind the hellos. Every line ends in CR LF (a
 * bare LF is taken, too):
 *
 *   2.x    rep <key> <flags> <exptime> <bytes> <cas>, then data CR LF
 *          delete <key> | flush_all | flush_all <at> | marugoto_end
 *   hello  repcached3 <dialect> <field>=<value> ...
 *          repcached3 <dialect> refused=<word>     an acceptor's, instead
 *
 * Layer:     3. Includes layer 0 only.
 * Threads:   pure functions.
 * Ownership: what is parsed points into the caller's bytes.
 */
#ifndef REP_WIRE_H
#define REP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

#define WIRE_LINE_MAX  1024 /* bytes of a line, end included */
#define WIRE_HELLO_MAX 512  /* bytes of a hello, end included */
#define WIRE_VALUE_MAX GIB  /* bytes of a value */

/* Room that any formatted line (without data) fits in. */
#define WIRE_LINE_ROOM 512

/* The greatest dialect we speak in a hello. */
#define WIRE_DIALECT 2

enum wire_status {
    WIRE_OK,   /* one line; *used bytes of it (its data follows) */
    WIRE_MORE, /* no whole line yet */
    WIRE_BAD,  /* not to be continued: close the link */
};

enum wire_op {
    WIRE_UNKNOWN, /* skip the line, and its data when has_data */
    WIRE_HELLO,   /* see wire_parse_hello */
    WIRE_REP,
    WIRE_DELETE,
    WIRE_FLUSH,    /* now */
    WIRE_FLUSH_AT, /* at Unix second `exptime` */
    WIRE_END,      /* marugoto_end */
};

struct wire_msg {
    uint8_t op;    /* enum wire_op */
    uint8_t nkey;  /* REP, DELETE */
    bool has_data; /* `nbytes` of data and CR LF follow the line */
    uint32_t flags;
    uint32_t exptime; /* Unix seconds, 0 never */
    uint32_t nbytes;
    uint64_t cas;
    const char *key;  /* REP, DELETE */
    const char *line; /* without line end, for -vv */
    uint32_t line_len;
};

/* Parses the line at `p`: exactly one or nothing. What is not understood is
 * UNKNOWN; a value over WIRE_VALUE_MAX, a line over WIRE_LINE_MAX or a `rep`
 * whose length cannot be told is BAD. */
enum wire_status wire_parse(const char *p, size_t n, struct wire_msg *msg,
                            size_t *used) MUST_CHECK;

#define WIRE_NONCE 32 /* bytes */

/* Why an acceptor does not say what it is. */
enum wire_refusal {
    WIRE_WELCOME,
    WIRE_BUSY,     /* all its peers are there; or a word of a later version */
    WIRE_STRANGER, /* the dialler is none of its peers */
    WIRE_SELF,     /* the dialler is itself: never dial it again */
    WIRE_CLOCK,    /* the dialler's clock is over 24 hours ahead */
};

/* What a node says of itself first. */
struct wire_hello {
    uint8_t refused;  /* enum wire_refusal; else only `dialect` is set */
    uint32_t dialect; /* the greatest it speaks */
    uint64_t run;     /* random id of this life of its store, not 0 */
    uint64_t was;     /* the run that it goes on from, 0: none */
    uint8_t slot;
    uint64_t slots[4];      /* bit per slot in use, its own and its peers' */
    uint64_t item_size_max; /* -I; larger items are sent as floors */
    uint64_t items;         /* it holds about so many; 0: it does not say */
    uint64_t clock_ms;      /* its Unix milliseconds */
    bool copying;           /* it has no complete copy yet */
    uint16_t port;          /* its replication port, 0 unknown */
    bool has_nonce;         /* it has a secret */
    uint8_t nonce[WIRE_NONCE];
};

/* Parses a line that WIRE_HELLO was given for. Unknown fields are ignored;
 * false when a needed one is missing or any known one is malformed or twice.
 * A refusal needs no field but its own: look at out->refused first. */
bool wire_parse_hello(const char *line, size_t n,
                      struct wire_hello *out) MUST_CHECK;

/* What the first bytes of an unknown connection are: OK when the first line
 * is a hello, MORE while it may still become one, BAD otherwise. The same tells
 * a refusal from the proof that a dialler awaits. */
enum wire_status wire_sniff_hello(const char *p, size_t n) MUST_CHECK;

/* A sentence for the log of who was refused. */
const char *wire_refusal_text(enum wire_refusal why);

static inline bool wire_slot_used(const struct wire_hello *h, uint8_t slot)
{
    return (h->slots[slot / 64] >> (slot % 64) & 1) != 0;
}

static inline void wire_slot_use(struct wire_hello *h, uint8_t slot)
{
    h->slots[slot / 64] |= UINT64_C(1) << (slot % 64);
}

/* What `rep` says of an item. */
struct wire_item {
    const char *key;
    size_t nkey;
    uint32_t flags;
    uint32_t exptime;
    uint32_t nbytes;
    uint64_t cas;
};

/* Each writes one line with CR LF at `buf` (WIRE_LINE_ROOM bytes) and returns
 * the end. */
char *wire_format_hello(char *buf, const struct wire_hello *hello);
char *wire_format_refusal(char *buf, enum wire_refusal why);
char *wire_format_rep(char *buf, const struct wire_item *item);
char *wire_format_delete(char *buf, const char *key, size_t nkey);
char *wire_format_flush(char *buf);
char *wire_format_flush_at(char *buf, uint32_t at);
char *wire_format_end(char *buf);

#endif
