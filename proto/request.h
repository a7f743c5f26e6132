/*
 * request - what a client asks, whatever protocol it used to say so.
 *
 * A parser fills one of these from bytes and points into them: a request is
 * valid only while those bytes stay where they are.
 *
 * Layer:     3. Includes layer 0 only.
 * Ownership: pointers are borrowed from the input buffer.
 */
#ifndef PROTO_REQUEST_H
#define PROTO_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verb {
    VERB_ERROR, /* the line is refused: `refusal` says how */
    VERB_GET,
    VERB_GETS,
    VERB_GAT,
    VERB_GATS,
    VERB_SET,
    VERB_ADD,
    VERB_REPLACE,
    VERB_APPEND,
    VERB_PREPEND,
    VERB_CAS,
    VERB_INCR,
    VERB_DECR,
    VERB_DELETE,
    VERB_TOUCH,
    VERB_META_GET,
    VERB_META_SET,
    VERB_META_DELETE,
    VERB_META_ARITH,
    VERB_META_DEBUG, /* from VERB_GET to here a key is named */
    VERB_FLUSH_ALL,
    VERB_VERSION,
    VERB_VERBOSITY,
    VERB_STATS,
    VERB_SHUTDOWN,
    VERB_CACHE_MEMLIMIT,
    VERB_SLABS,
    VERB_LRU,
    VERB_LRU_CRAWLER,
    VERB_EXTSTORE,
    VERB_REFRESH_CERTS,
    VERB_WATCH,
    VERB_NOOP, /* mn */
    VERB_QUIT,
    VERB_DROP, /* close without a word: HTTP */
};

/* The fixed replies, which each protocol words in its own way. */
enum reply {
    REPLY_NONE,
    REPLY_STORED,
    REPLY_NOT_STORED,
    REPLY_EXISTS,
    REPLY_NOT_FOUND,
    REPLY_DELETED,
    REPLY_TOUCHED,
    REPLY_OK,
    REPLY_RESET,
    REPLY_ERROR,
    REPLY_BAD_FORMAT,      /* CLIENT_ERROR bad command line format */
    REPLY_BAD_DELETE,      /* ... Usage: delete <key> [noreply] */
    REPLY_BAD_CHUNK,       /* CLIENT_ERROR bad data chunk */
    REPLY_BAD_DELTA,       /* CLIENT_ERROR invalid numeric delta argument */
    REPLY_BAD_EXPTIME,     /* CLIENT_ERROR invalid exptime argument */
    REPLY_NON_NUMERIC,     /* CLIENT_ERROR cannot increment or decrement ... */
    REPLY_TOO_LARGE,       /* SERVER_ERROR object too large for cache */
    REPLY_NO_MEMORY_STORE, /* SERVER_ERROR out of memory storing object */
    REPLY_NO_MEMORY_READ,  /* SERVER_ERROR Out of memory during read */
    REPLY_NO_MEMORY,       /* SERVER_ERROR out of memory */
    REPLY_NO_MEMORY_STATS, /* SERVER_ERROR out of memory writing stats */
    REPLY_NO_MEMORY_GET,   /* ... out of memory writing get response */
    REPLY_MANY_FLAGS,      /* CLIENT_ERROR options flags are too long */
    REPLY_DUPLICATE_FLAG,  /* CLIENT_ERROR duplicate flag */
    REPLY_BAD_FLAG,        /* CLIENT_ERROR invalid flag */
    REPLY_BAD_MA_FLAG,     /* CLIENT_ERROR invalid or duplicate flag */
    REPLY_BAD_KEY64,       /* CLIENT_ERROR error decoding key */
    REPLY_BAD_TOKEN,       /* CLIENT_ERROR bad token in command line format */
    REPLY_BAD_META_DELTA,  /* CLIENT_ERROR invalid numeric delta value */
    REPLY_BAD_INITIAL,     /* CLIENT_ERROR invalid numeric initial value */
    REPLY_BAD_OPAQUE,      /* CLIENT_ERROR opaque token too long */
    REPLY_BAD_MS_MODE,     /* CLIENT_ERROR invalid mode for ms M token */
    REPLY_BAD_MA_MODE,     /* CLIENT_ERROR invalid mode for ma M token */
    REPLY_NO_MEMORY_ITEM,  /* ... Out of memory allocating new item */
    REPLY_REFS_OVERFLOW,   /* SERVER_ERROR refcount overflow during fetch */
    REPLY_COUNT
};

struct request {
    uint8_t verb;    /* enum verb */
    uint8_t refusal; /* enum reply: with VERB_ERROR, the answer; with
                        VERB_FLUSH_ALL a delay that is no number */
    bool noreply;    /* the fixed replies are not sent */
    bool has_data;   /* `nbytes` and CR LF of value follow the line; with
                        VERB_ERROR they are swallowed before the answer */
    bool hang_up;    /* with VERB_ERROR: a value of unknown length follows the
                        line, so that nothing behind it may run */
    bool more;       /* a get line longer than the buffer goes on after `end`:
                        no END yet. command_run makes the verb VERB_ERROR when
                        it refused the line: the rest of it is skipped */
    bool echoed;     /* its -vv line was printed */
    uint8_t nkey;
    int32_t exptime; /* as the client gave it */
    uint32_t flags;
    uint32_t nbytes;   /* of value */
    uint64_t number;   /* cas unique, delta, verbosity level, MiB */
    uint64_t hv;       /* hash_key(), filled in by command_prepare */
    const char *key;   /* first key */
    const char *rest;  /* get family: from the first key on, moved on as keys
                          are answered; meta: from the key on; others:
                          arguments after the verb */
    const char *end;   /* of rest, line end excluded */
    const char *line;  /* whole line, for -vv */
    uint32_t line_len; /* without line end; a byte follows it in memory */
};

#endif
