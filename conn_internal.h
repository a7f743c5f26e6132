/*
 * conn_internal - what the files of conn share; nobody else includes it.
 *
 * conn.c is the life of connections, their input and output; conn_run.c runs
 * their requests; conn_auth.c listens to those of whom nothing is known yet;
 * conn_tls.c stands between the requests and an encrypted socket;
 * conn_stream.c sends what streams have; conn_tell.c tells who is there;
 * conn_spill.c keeps input that cannot run yet.
 *
 * Layer:   5. Includes layers 0-4 and conn.h.
 * Threads: the owning worker, except for what is marked otherwise.
 * Locks:   QUEUE in each set.
 */
#ifndef CONN_INTERNAL_H
#define CONN_INTERNAL_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/lock.h"
#include "base/util.h"
#include "command.h"
#include "conn.h"
#include "counters.h"
#include "proto/out.h"
#include "slot.h"

/* What a connection keeps from one turn to the next, only while it must. Those
 * that keep nothing share one that stays empty. [w] */
struct parked {
    TAILQ_ENTRY(conn) queue; /* set->runnable */
    uint32_t queued_pass;    /* pass in which it was queued */
    bool queued;             /* on set->runnable */
    uint32_t spill_len;      /* bytes of unconsumed input */
    uint32_t spill_room;
    char *spill;                 /* the input, or NULL */
    struct held *held;           /* a request under way, or NULL */
    struct out_pending *pending; /* output under way, or NULL */
    struct upload *upload;       /* a value under way, or NULL */
    struct stream *stream;       /* to which it was handed over, or NULL */
    LIST_ENTRY(conn) watching;   /* set->watching, while that is for good */
};

/* Why a connection ends, for those who watch connevents. */
enum conn_reason {
    CONN_NORMAL,
    CONN_ERROR,
    CONN_IDLE,
    CONN_SHUTDOWN,
};

/* [c] constant after conn_open  [a] atomic  [w] owning worker only
 * [Q] changed by the owning worker under the set's lock */
struct conn {
    uint32_t magic;        /* [c] */
    int fd;                /* [c] */
    struct event event;    /* [w] */
    struct conn_set *set;  /* [c] */
    LIST_ENTRY(conn) link; /* [Q] set->open, set->dead or the pool */
    struct parked *parked; /* [w] change it after conn_park only */
    struct guard *guard;   /* [w] change it after conn_guard only */
    struct in6_addr peer;  /* [c] of TCP: its address, or :: unknown */
    in_port_t peer_port;   /* [c] in the order of the network */
    uint8_t seat;          /* [w] of its slot in this pass, from 1; 0: none */
    atomic_uint last;      /* [a] Unix second of the last request */
    atomic_uchar state;    /* [a] enum conn_state; conn_set_state */
    uint8_t transport;     /* [c] enum conn_transport */
    uint8_t protocol;      /* [w] enum conn_protocol */
    uint8_t reason;        /* [w] enum conn_reason */
    bool eof;              /* [w] the peer sends no more */
    bool closing;          /* [w] close once pending is sent */
    bool hanging_up;       /* [w] the same, but by conn_hang_up */
    bool answering;        /* [w] TLS has to send before it reads on */
};

_Static_assert(sizeof(struct conn) <= sizeof(struct event) + 80,
               "an idle connection stays under 300 bytes");

LIST_HEAD(conn_list, conn);
LIST_HEAD(udp_list, udp);
TAILQ_HEAD(conn_queue, conn);

struct guard;
struct conn_block;

struct conn_set {
    uint32_t magic;                  /* [c] */
    struct event_base *base;         /* [c] */
    struct counters *counters;       /* [c] */
    struct out out;                  /* [w] */
    struct command command;          /* [w] */
    unsigned taken;                  /* [w] slots in use */
    unsigned gathered;               /* [w] requests parsed in them */
    uint32_t pass;                   /* [w] */
    struct slot *slots;              /* [w] CONN_SLOTS */
    struct conn *seated[CONN_SLOTS]; /* [w] whose bytes are in them */
    char *buffers;                   /* [c] the memory of the slots */
    struct iovec stage;              /* [c] small pieces for TLS, or empty */
    struct conn_queue runnable;      /* [w] their spill can run */
    struct conn_list watching;       /* [w] those with a stream for good */
    struct conn_list dead;           /* [w] closed in this pass */
    struct conn_list pool;           /* [w] free structures */
    struct conn_block *blocks;       /* [w] all structures */
    struct lock lock;                /* QUEUE */
    struct conn_list open;           /* [Q] */
    struct udp_list udps;            /* [Q] sockets of udp.h */
    atomic_size_t open_count;        /* [a] */
    atomic_size_t structures;        /* [a] */
    size_t spill_limit;              /* [c] bytes that conn_spill may keep */
    atomic_size_t spill_bytes;       /* [a] that it keeps, by the worker */
    atomic_size_t spills;            /* [a] in so many pieces */
};

struct conn *conn_cast(void *arg);

/* Its slot of this pass. */
static inline struct slot *conn_slot(const struct conn *c)
{
    return &c->set->slots[c->seat - 1];
}

void conn_set_state(struct conn *c, enum conn_state to);

/* Waits for bytes from now on, or for room to send. */
bool conn_watch(struct conn *c, bool writing) MUST_CHECK;

/* Gives it a turn in the next pass; it has a struct parked of its own. */
void conn_queue_run(struct conn *c);

/* Closes now; the structure lives until the pass ends, because this may run
 * inside one of its own call-backs. */
void conn_close(struct conn *c);

/* Gives the connection a struct parked of its own, or the one it has; NULL,
 * counted, when out of memory. */
struct parked *conn_park(struct conn *c) MUST_CHECK;

/* Sets the limit of what the connections of the set may keep of input, as
 * -o read_buf_mem_limit says. */
void conn_spill_limit(struct conn_set *set);

/* Keeps `n` bytes of input until its next turn, in place of those it kept. 0:
 * none. False, counted, when there is no room for them: it is to be closed. */
bool conn_spill_keep(struct conn *c, const char *p, size_t n) MUST_CHECK;

/* Frees what it keeps. */
void conn_spill_drop(struct conn *c);

/* A value is on its way in, and some of it has not arrived. */
static inline bool conn_is_uploading(const struct conn *c)
{
    const struct upload *upload = c->parked->upload;

    return upload != NULL && !upload_complete(upload);
}

enum sent { SENT_ALL, SENT_BLOCKED, SENT_BROKEN };

/* Sends the worker's output as this connection's. What the peer has no room
 * for moves into the connection, which is not read until that is gone. */
enum sent conn_flush(struct conn *c) MUST_CHECK;

/* How a connection's turn goes on. */
enum turn {
    TURN_GO,      /* with the next request */
    TURN_HUNGRY,  /* it needs more bytes */
    TURN_YIELD,   /* it had its share: others first */
    TURN_STREAM,  /* it is handed over to set->command.stream */
    TURN_BLOCKED, /* its peer does not read */
    TURN_CLOSE,   /* close once all is sent */
    TURN_HANG_UP, /* the same; read what still comes, but run none of it */
    TURN_DROP,    /* close at once, unsent replies are lost */
};

/* Runs what the connection's slot holds, within its budget: never TURN_GO. */
enum turn conn_run(struct conn *c) MUST_CHECK;

/* Runs one request of it. */
enum turn conn_run_one(struct conn *c, struct ahead *a) MUST_CHECK;

/* Sends, where an answer may not fit. */
enum turn conn_make_room(struct conn *c) MUST_CHECK;

#endif
