/*
 * link_internal - what the pieces of rep/link share.
 *
 * link.c is what the edge calls; link_first.c speaks until both sides know who
 * they are; link_v3.c and link_legacy.c carry changes, each in its dialect.
 * Only these include this header.
 *
 * Layer:     4. Includes rep/link.h and what the pieces stand on.
 * Threads:   as rep/link.h.
 * Ownership: as rep/link.h.
 */
#ifndef REP_LINK_INTERNAL_H
#define REP_LINK_INTERNAL_H

#include "rep/auth.h"
#include "rep/frame.h"
#include "rep/legacy.h"
#include "rep/link.h"
#include "rep/link_state.h"
#include "rep/rate.h"
#include "rep/runs.h"
#include "rep/scan.h"
#include "rep/text_out.h"
#include "rep/wire.h"

#define LINK_FIRST_BYTES 1024                /* what a stranger may say */
#define LINK_IN_BYTES    ((size_t)256 * KIB) /* read at once */
#define LINK_OUT_BYTES   ((size_t)256 * KIB) /* sent at once */
#define LINK_LIVE_BYTES  ((size_t)128 * KIB) /* of it, while a scan runs */
#define LINK_MARK_BYTES  ((size_t)8 * KIB) /* kept free for a batch of marks */
#define LINK_WORDS       (WIRE_HELLO_MAX + 128) /* hello, proof, last words */

enum link_phase {
    LINK_FIRST,  /* its first line is awaited */
    LINK_PROOF,  /* its proof is awaited */
    LINK_SAID,   /* it came; rep/core decides */
    LINK_LINKED, /* carries changes */
    LINK_CLOSED,
};

struct link_legacy {
    struct rep_legacy *apply;
    struct rep_text_out out;
    bool firm;               /* a command came */
    uint64_t unlinked_since; /* the last version of the time before */
};

struct rep_link {
    enum link_phase phase;
    const struct rep_link_env *env;
    int fd; /* of the lines of -vv */
    uint32_t id;
    uint64_t addr;
    bool dialled;
    uint64_t now; /* ns: when bytes came or were asked for */

    /* in */
    char *in; /* `first` until linked */
    size_t in_len, in_room;
    bool unfed;    /* `in` waits to be looked at; no more is read */
    bool yields;   /* it waits for room in the sweep, too */
    uint64_t sign; /* ns: the peer was last told that we are there, for that */
    bool end_came; /* the peer's copy; counts when the sweep is done */

    /* the first words, and the last */
    struct wire_hello hello; /* the peer's */
    struct rep_auth *auth;
    struct rep_auth_link *sealed;
    const uint8_t *proof; /* ours, not sent yet */
    bool said;            /* our hello is written */
    bool leaving;         /* closes when the words are sent */
    bool failed;          /* nothing polite is left to be said */
    size_t words_len, words_sent;
    char words[LINK_WORDS];

    /* out */
    struct rep_run *run; /* once linked */
    char *buf;
    size_t sent; /* bytes of the output already sent */
    struct rep_log_batch *batch;
    unsigned at;  /* entries of the batch already written */
    uint64_t pos; /* of the log: read up to here */
    bool caught_up;
    bool scan_wanted, scanning;
    bool held;         /* a copy waits for its rate */
    uint64_t copy_due; /* ns: the copy is paid for until then */
    uint64_t slice;    /* bytes of output after which a scan lets others run */
    uint64_t scan_version;
    struct rep_scan scan;
    uint64_t copied; /* items written by scans, without floors */
    bool announce_wanted;
    uint64_t announce_at; /* once the log is sent up to here */
    bool copy_said;       /* `marugoto start` was printed */
    bool draining, drain_told;
    uint64_t drain_at;

    struct link_v3 v3;
    struct link_legacy legacy;
    struct rep_link_figures figures;
    char first[LINK_FIRST_BYTES];
};

/* ---- link.c ----------------------------------------------------------------
 */

void link_tell(struct rep_link *link, enum rep_event_kind kind);

/* Drops the first `n` bytes that came. */
void link_took(struct rep_link *link, size_t n);

/* Reads the next batch of the log when the present one is written; false when
 * there is none now, or the link ended. A loss is told as an event. */
bool link_next_batch(struct rep_link *link);

/* The batch is written. */
void link_batch_written(struct rep_link *link);

/* The peer's copy has come and counts. */
void link_copy_received(struct rep_link *link);

/* Our copy is complete: prints what repcached printed. */
void link_announced(struct rep_link *link);

/* Counts a copy that begins, of everything or of a part; what was written of
 * it: items, floors and deletes, bytes. */
void link_begin_copy(struct rep_link *link, bool full);
void link_wrote_copy(struct rep_link *link, uint64_t items, uint64_t removals,
                     size_t bytes);

/* ---- link_first.c ----------------------------------------------------------
 */

void link_first_look(struct rep_link *link);
void link_first_free(struct rep_link *link);

/* Why it failed, as far as the first words tell more than `why`. */
const char *link_first_why(const struct rep_link *link, const char *why);

/* ---- link_hear.c
 * --------------------------------------------------------------- */

void link_v3_feed(struct rep_link *link);

extern const struct rep_apply_calls link_v3_calls; /* ctx: to be set */

/* ---- link_v3.c
 * --------------------------------------------------------------- */

/* Queues an answer; false when too many wait. */
bool link_answer(struct rep_link *link,
                 const struct frame_msg *answer) MUST_CHECK;

bool link_v3_begin(struct rep_link *link) MUST_CHECK;
void link_v3_end(struct rep_link *link);
void link_v3_catch_up(struct rep_link *link);
void link_v3_lost(struct rep_link *link, uint64_t version, bool touched);
/* The peer has processed all of the scan before the cursor; false: it has no
 * reason to say so. */
bool link_v3_scanned(struct rep_link *link, uint64_t cursor) MUST_CHECK;
void link_v3_fill(struct rep_link *link);
bool link_v3_is_idle(const struct rep_link *link);
/* A batch that ends the link, in `words`: BYE (code 0), or an ERROR. */
void link_v3_part(struct rep_link *link, uint16_t code);

/* ---- link_legacy.c
 * ------------------------------------------------------------ */

bool link_legacy_begin(struct rep_link *link) MUST_CHECK;
void link_legacy_end(struct rep_link *link);
void link_legacy_feed(struct rep_link *link);
void link_legacy_fill(struct rep_link *link);
bool link_legacy_is_idle(const struct rep_link *link);

#endif
