/*
 * command - what a request does: requests in, replies out.
 *
 * Runs one request against the store and appends its reply to the worker's
 * output. Knows no socket: what only the edge can do (list connections, stop
 * the daemon) it asks of struct command_host.
 *
 * Layer:     4. Includes layers 0-3.
 * Threads:   one struct command a worker; calls stay on its thread.
 * Ownership: functions borrow their arguments unless they say takes or gives.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/util.h"
#include "counters.h"
#include "proto/binary.h"
#include "proto/out.h"
#include "proto/request.h"
#include "store.h"

/* Figures only the edge knows. */
enum command_gauge {
    GAUGE_CURR_CONNECTIONS,
    GAUGE_CONNECTION_STRUCTURES,
    GAUGE_READ_BUF_COUNT,
    GAUGE_READ_BUF_BYTES,
    GAUGE_READ_BUF_FREE,
};

/* What commands need of the edge. Set once before threads start. */
struct command_host {
    /* Calls `row` for every connection's rows of `stats conns`, in order.
     * False: no memory. */
    bool (*stats_conns)(void (*row)(void *ctx, const char *name,
                                    const char *value),
                        void *ctx);
    /* Rows of replication for `stats` and `stats replication`; NULL in plain
     * builds. */
    void (*stats_replication)(bool full,
                              void (*row)(void *ctx, const char *name,
                                          const char *value),
                              void *ctx);
    void (*shutdown)(bool graceful); /* wakes the main loop; returns */
    bool (*accepting)(void);         /* stat accepting_conns */
    uint64_t (*gauge)(enum command_gauge which);
    /* Reads certificates again; false with the answer to the client. */
    bool (*refresh_certs)(char *why, size_t n);
    uint32_t (*certs_refreshed)(void); /* Unix second; 0: not yet */
    const char *libevent_version;      /* the row of `stats` */
};

struct stream; /* stream.h */

struct command {
    struct out *out;           /* the worker's */
    struct counters *counters; /* the worker's */
    const struct command_host *host;
    struct stream *stream;   /* set by a command that answers STREAM */
    void (*wake)(void *ctx); /* wakes the worker, from any thread */
    void *wake_ctx;
};

struct upload_meta;

/* A value on its way in: all of it did not fit the read. The connection keeps
 * a copy of this until command_upload_end. */
struct upload {
    struct item *item; /* owned; NULL: the bytes are swallowed */
    size_t nbytes;     /* of value; ntail more bytes arrive */
    size_t got;        /* arrived so far */
    char tail[2];      /* the last two, which must be CR LF, stored or not */
    uint8_t ntail;     /* 2; of the binary protocol 0 */
    bool binary;       /* that protocol's */
    struct binary_tag tag; /* with `binary` */
    uint8_t verb;          /* enum verb; with `binary` enum binary_verb */
    uint8_t answer;        /* enum reply once swallowed; NONE: commit */
    bool noreply;
    uint64_t cas;
    uint64_t hv;
    struct upload_meta *meta; /* owned: of ms; else NULL */
};

enum command_result {
    COMMAND_DONE,   /* answered; *used bytes of data were consumed */
    COMMAND_FULL,   /* output is full: send it, then run the same request */
    COMMAND_UPLOAD, /* *upload was filled in, *used bytes of data taken */
    COMMAND_STREAM, /* answered; the connection is cmd->stream's, takes it */
    /* From here on the connection ends. */
    COMMAND_CLOSE,   /* answered; close once that is sent */
    COMMAND_HANG_UP, /* the same, but the peer may be sending the rest of a
                        refused value: let it, and run nothing of that */
    COMMAND_DROP,    /* close at once */
};

/* Hashes the key of a keyed request (GET family: the first) and prefetches its
 * stripe; does nothing for others. */
void command_prepare(struct request *req);

/* Runs `req`. `data` and `avail` are the bytes that follow its line. `fd` is
 * only for -vv lines. */
enum command_result command_run(struct command *cmd, int fd,
                                struct request *req, const char *data,
                                size_t avail, size_t *used,
                                struct upload *upload) MUST_CHECK;

/* Where the next bytes of an upload go: into the item, then the tail; a value
 * that is swallowed has no room of its own (length 0) before its tail: feed
 * it. When memory runs out on the way it turns into one by itself. */
struct iovec upload_room(struct upload *upload) MUST_CHECK;

/* `n` bytes were read into upload_room(). */
void upload_filled(struct upload *upload, size_t n);

/* Copies from `p`, at most what is missing; returns the bytes taken. */
size_t upload_feed(struct upload *upload, const char *p, size_t n);

static inline bool upload_complete(const struct upload *upload)
{
    return upload->got == upload->nbytes + upload->ntail;
}

/* Checks the tail, stores, answers. COMMAND_DONE, COMMAND_FULL or, when the
 * value did not end where it should, COMMAND_HANG_UP. */
enum command_result command_upload_end(struct command *cmd, int fd,
                                       struct upload *upload) MUST_CHECK;

/* The connection died: frees what it owns. */
void upload_abandon(struct upload *upload);

#endif
