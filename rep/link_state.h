/*
 * link_state - what a v3 link remembers beside its bytes: answers that wait,
 * what was told and heard of missed floors, offers under way, the lag.
 *
 * Layer:     4. Includes rep/{apply,floor,frame,log,out,say}.h.
 * Threads:   as rep/link.h.
 * Ownership: rep/link.c frees what is allocated on first use.
 */
#ifndef REP_LINK_STATE_H
#define REP_LINK_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rep/apply.h"
#include "rep/floor.h"
#include "rep/frame.h"
#include "rep/log.h"
#include "rep/out.h"
#include "rep/say.h"

#define LINK_OFFERS    1024 /* unanswered at most, by each side */
#define LINK_ANSWERS   2048 /* waiting to be sent: those and wishes of ours */
#define LINK_POSITIONS 64   /* unacknowledged at most */
#define LINK_CELLS     REP_FLOOR_SHARDS
#define LINK_LATER     16 /* large values that wait for the one under way */
#define LINK_LAGS      256

/* Answers to be sent, in order: WANT and GONE. */
struct link_answer {
    struct frame_msg msg; /* its key is `key` */
    char key[KEY_MAX_LENGTH];
};

struct link_answers {
    unsigned first, n;
    struct link_answer *ring; /* LINK_ANSWERS of them, once there is one */
};

/* A key whose large value waits for another to be sent. */
struct link_later {
    struct rep_log_entry entry; /* its key is `key` */
    char key[KEY_MAX_LENGTH];
};

struct link_v3 {
    struct rep_apply *apply; /* until the link is freed: it may be at work */
    struct rep_out out;
    struct rep_say say;

    bool began;    /* our first batch is written */
    bool resumed;  /* the peer's RESUME came */
    bool catch_up; /* rep/core asked for what is due */
    bool starved;  /* nothing can be sent until the peer answers */
    uint64_t resume;

    bool ping_due, pong_due, ack_due, scan_ack_due;
    uint64_t pong_echo; /* number of the ping to be answered */
    uint64_t ack, scan_ack;
    uint64_t ping; /* number of the last ping sent, rising */
    struct link_answers answers;

    uint64_t position;   /* the last one sent; UINT64_MAX: none yet */
    unsigned npositions; /* told and not acknowledged */
    uint64_t positions[LINK_POSITIONS];
    uint64_t position_ns; /* when that was */
    bool answered;        /* the peer has acknowledged one */
    uint64_t large_pos;   /* of the entry whose value is under way */

    uint8_t scans;       /* numbers the scans of this link */
    uint64_t scan_point; /* the last told of it */
    bool scan_written;   /* the scan is written whole, its end not answered */
    bool touches_later;  /* touches were lost since it began */

    uint64_t mark;        /* a ping under way; 0: none */
    unsigned mark_offers; /* offers that its answer settles */

    unsigned cells;            /* of `missed` */
    uint64_t *missed;          /* what the peer lost floors up to */
    bool offers_due;           /* it said so while a scan was under way */
    uint64_t told[LINK_CELLS]; /* what we told it of ours */
    bool told_more;            /* some of it after the first batch */
    bool told_due;             /* its offers have come: ask, then remember */
    uint64_t told_mark;        /* the ping that asks; 0: none */

    unsigned nlater;
    struct link_later *later; /* LINK_LATER of them, once there is one */

    size_t nhints;
    uint8_t *hints; /* FRAME_HINTS_MAX bytes, once there are some */

    uint64_t read_end;     /* ns: when the log was last read to its end */
    uint64_t sample_since; /* the time before; 0: it slept until now */
    struct {
        bool on;
        uint64_t pos, ns;
    } sample; /* of the lag */
    unsigned nlags;
    uint32_t lags[LINK_LAGS]; /* us */
};

#endif
