/*
 * rep_frame - the messages of dialect 2 (v3): bytes to structs and back.
 *
 * After the hellos (and proofs) each direction is a sequence of batches: a
 * length, whole messages, and the tag of rep/auth when there is a secret.
 * doc/replication-protocol.md specifies every byte and what a receiver does;
 * t/unit/vectors/frames.txt holds examples.
 *
 * Reading: frame_batch finds a whole batch, frame_next takes one message after
 * the other out of its body. Writing: frame_begin, frame_put..., frame_end.
 * The only state is what is missing of a value that travels in parts: one
 * struct frame_stream, zeroed, for each direction of a link.
 *
 * Every message has one encoding: what was read and is put again gives the
 * same bytes (hints of later versions, which are skipped, aside). The payload
 * of HINTS is bytes here; rep/hints makes and reads it.
 *
 * Layer:     3. Includes layer 0 only.
 * Threads:   pure functions.
 * Ownership: what is parsed points into the caller's bytes.
 */
#ifndef REP_FRAME_H
#define REP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/util.h"

#define FRAME_DIALECT   2    /* what a hello calls this */
#define FRAME_HEAD      4    /* bytes before the body of a batch */
#define FRAME_TAG       16   /* bytes after it, when authenticated */
#define FRAME_VALUE_MAX GIB  /* bytes of a value */
#define FRAME_HINTS_MAX 8192 /* bytes of one HINTS */
#define FRAME_TEXT_MAX  200  /* bytes of the text of an ERROR */
#define FRAME_CELLS_MAX 4096 /* cells of MISSED */

#define FRAME_BODY_MAX  (64 * KIB)
#define FRAME_BATCH_MAX (FRAME_HEAD + FRAME_BODY_MAX + FRAME_TAG)

/* Of every batch this much is for control messages alone: see
 * frame_is_control. At least 15 of the longest. */
#define FRAME_RESERVED (4 * KIB)

/* A value up to this (less than a body, less the reserve, the longest key and
 * head) fits in one ITEM of an otherwise empty batch. */
#define FRAME_WHOLE_MAX (59 * KIB)
#define FRAME_ITEM_HEAD 24 /* bytes of an ITEM before cas, key and value */

enum frame_type {
    FRAME_ITEM = 1,
    FRAME_ITEM_BEGIN, /* value follows in PARTs */
    FRAME_ITEM_PART,
    FRAME_ITEM_CANCEL, /* the value begun will not be completed */
    FRAME_DELETE,
    FRAME_FLOOR,
    FRAME_TOUCH,
    FRAME_BARRIER,
    FRAME_FLUSH_AT,
    FRAME_OFFER,
    FRAME_WANT,
    FRAME_GONE,
    FRAME_MISSED,
    FRAME_POSITION,
    FRAME_ACK,
    FRAME_SCAN_POINT,
    FRAME_SCAN_ACK,
    FRAME_COPY_END,
    FRAME_PING,
    FRAME_PONG,
    FRAME_BUSY,
    FRAME_ERROR,
    FRAME_BYE,
    FRAME_RESUME, /* your log was processed up to here */
    /* From here on types carry a length: unknown ones are skipped. */
    FRAME_HINTS = 0x80,
};

enum frame_bits {
    FRAME_B64KEY = 1 << 0,
    FRAME_STALE = 1 << 1,
    FRAME_TOKEN_SENT = 1 << 2,
    FRAME_TOUCHED = 1 << 3,
    FRAME_HAS_CAS = 1 << 4, /* clients see `cas`, not the version */
};

/* Why a link is closed; codes of later versions are taken, too. */
enum frame_error {
    FRAME_ERROR_MALFORMED = 1, /* bytes that the protocol does not allow */
    FRAME_ERROR_TAG,           /* a batch that the secret did not sign */
    FRAME_ERROR_CLOCK,         /* a clock over 24 hours ahead */
    FRAME_ERROR_STRANGER,      /* not a configured peer of this node */
    FRAME_ERROR_SELF,          /* the same run */
    FRAME_ERROR_DUPLICATE,     /* another connection of the two is kept */
    FRAME_ERROR_RESOURCES,     /* out of memory or descriptors */
};

/* One message. Only the members named beside its type mean anything. */
struct frame_msg {
    uint8_t type;     /* enum frame_type */
    uint8_t bits;     /* ITEM, BEGIN: enum frame_bits */
    uint8_t nkey;     /* of `key` */
    uint8_t hops;     /* ITEM, BEGIN, DELETE, FLOOR, TOUCH, BARRIER, FLUSH_AT,
                         OFFER, WANT: nodes it has passed; GONE: 0 */
    uint32_t flags;   /* ITEM, BEGIN: the client's */
    uint32_t exptime; /* ITEM, BEGIN, TOUCH: sender's Unix seconds, 0 never */
    uint32_t nbytes;  /* ITEM, PART, ERROR, HINTS: of `bytes`; BEGIN: of the
                         value */
    uint64_t version; /* all states, OFFER, WANT, GONE, MISSED; SCAN_POINT: the
                         threshold, 0 for everything */
    const char *key;  /* ITEM, BEGIN, DELETE, TOUCH, OFFER, WANT, GONE */
    const uint8_t *bytes; /* ITEM, PART: value; ERROR: text; HINTS: payload */
    union {
        uint64_t cas;      /* ITEM, BEGIN with FRAME_HAS_CAS */
        uint64_t hash;     /* FLOOR: hash_key_agreed() */
        uint64_t at_ms;    /* FLUSH_AT: sender's Unix milliseconds */
        uint64_t position; /* POSITION, ACK, RESUME */
        uint64_t cursor;   /* SCAN_POINT, SCAN_ACK */
        uint64_t clock_ms; /* PING, PONG: sender's Unix milliseconds */
    };
    union {
        uint64_t echo_ms; /* PONG: clock_ms of the ping */
        struct {
            uint16_t cell, cells; /* MISSED: cell < cells */
        };
        uint16_t code; /* ERROR: enum frame_error */
    };
};

enum frame_status {
    FRAME_OK,
    FRAME_MORE, /* frame_batch: not all there yet */
    FRAME_END,  /* frame_next: the body is used up */
    FRAME_BAD,  /* close the link */
};

struct frame_stream {
    uint32_t left; /* bytes of the value begun that no PART has brought */
};

struct frame_batch {
    struct rd body;
    const uint8_t *tag; /* FRAME_TAG bytes, or NULL; it signs all before it */
    size_t used;        /* bytes of the batch, head and tag included */
};

/* Is there a whole batch in the `n` bytes at `p`? Its tag is not checked. BAD
 * is told from the head alone, before the body arrives. */
enum frame_status frame_batch(const uint8_t *p, size_t n, bool tagged,
                              struct frame_batch *out) MUST_CHECK;

/* Takes the next message. After BAD it stays BAD. */
enum frame_status frame_next(struct rd *body, struct frame_stream *stream,
                             struct frame_msg *msg) MUST_CHECK;

/* An open batch. */
struct frame_out {
    uint8_t *start; /* of the head */
    uint8_t *p;     /* where the next message goes */
    uint8_t *end;   /* of the body at most */
    struct frame_stream *stream;
};

/* Opens a batch of at most `room` bytes at `buf`, the place for a tag always
 * included. `room` is over FRAME_HEAD + FRAME_RESERVED + FRAME_TAG. */
void frame_begin(struct frame_out *out, uint8_t *buf, size_t room,
                 struct frame_stream *stream);

/* Answers, and what keeps the link alive or ends it: may use the reserve. */
bool frame_is_control(enum frame_type type);

/* Bytes that the other messages, or control messages, may still take. */
size_t frame_room(const struct frame_out *out);
size_t frame_room_control(const struct frame_out *out);

/* Bytes of this message on the wire, its value included. */
size_t frame_size(const struct frame_msg *msg);

/* Appends a message that is within the bounds (asserted); false, with nothing
 * written, when there is no room in this batch. */
bool frame_put(struct frame_out *out, const struct frame_msg *msg) MUST_CHECK;

/* The same for ITEM and PART with the value left out: returns where its
 * `nbytes` bytes go, NULL when there is no room. */
uint8_t *frame_put_head(struct frame_out *out,
                        const struct frame_msg *msg) MUST_CHECK;

/* Writes an ITEM with no chosen cas; returns its bytes. Appends such bytes. */
size_t frame_item(uint8_t *p, const struct frame_msg *msg);
bool frame_put_item(struct frame_out *out, const uint8_t *item,
                    size_t n) MUST_CHECK;

/* Closes the batch and returns its bytes, without tag; 0 when it is empty and
 * nothing is to be sent. A tag, if any, goes right after them. */
size_t frame_end(struct frame_out *out);

#endif
