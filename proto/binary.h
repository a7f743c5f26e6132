/*
 * binary - the binary protocol: bytes to requests, headers of replies to
 * bytes.
 *
 * A packet is a header of 24 bytes, then extras, key and value. A request is
 * parsed once its header, extras and key are there; its value follows it.
 *
 * Layer:     3. Includes layer 0 only.
 * Threads:   pure functions.
 * Ownership: pointers are borrowed from the input buffer: a request is valid
 *            only while those bytes stay where they are.
 * Source:    the protocol as memcached's users know it; doc/compatibility.md.
 */
#ifndef PROTO_BINARY_H
#define PROTO_BINARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

#define BINARY_REQUEST    0x80 /* the first byte of one */
#define BINARY_RESPONSE   0x81
#define BINARY_HEADER     24
#define BINARY_PACKET_MAX (16 * KIB) /* of header, extras and key */
#define BINARY_BODY_MAX   (1U << 30)
#define BINARY_EXTRAS_MAX 20

/* An expiry of incr and decr: do not create what is absent. */
#define BINARY_NO_CREATE 0xffffffffU

/* What a request wants, whatever its opcode says of how to answer. */
enum binary_verb {
    BINARY_UNKNOWN,
    BINARY_GET,
    BINARY_GAT,
    BINARY_TOUCH,
    BINARY_SET,
    BINARY_ADD,
    BINARY_REPLACE,
    BINARY_APPEND,
    BINARY_PREPEND,
    BINARY_DELETE,
    BINARY_INCR,
    BINARY_DECR,
    BINARY_FLUSH,
    BINARY_NOOP,
    BINARY_VERSION,
    BINARY_STAT,
    BINARY_QUIT,
};

enum binary_code {
    BINARY_OK = 0x0000,
    BINARY_NOT_FOUND = 0x0001,
    BINARY_EXISTS = 0x0002,
    BINARY_TOO_LARGE = 0x0003,
    BINARY_INVALID = 0x0004,
    BINARY_NOT_STORED = 0x0005,
    BINARY_NON_NUMERIC = 0x0006,
    BINARY_AUTH_ERROR = 0x0020,
    BINARY_AUTH_MORE = 0x0021,
    BINARY_UNKNOWN_COMMAND = 0x0081,
    BINARY_NO_MEMORY = 0x0082,
};

/* What an answer needs of its request. */
struct binary_tag {
    uint32_t opaque; /* as its bytes lie; goes back unchanged */
    uint8_t opcode;  /* as sent: the answer repeats it */
    bool quiet;      /* what goes without saying is not said */
};

struct binary_request {
    struct binary_tag tag;
    uint8_t verb;     /* enum binary_verb */
    bool with_key;    /* a retrieval answers with the key */
    bool echoed;      /* its -vv lines were printed */
    bool misframed;   /* lengths that cannot be: `refusal` says how to answer,
                        and the connection ends; nothing below is filled in */
    bool misshapen;   /* a known opcode without the parts it needs, or a key
                         that is too long: the same */
    bool surplus;     /* bytes follow that are no part of the request and that
                         nobody may run: the connection ends behind it */
    uint16_t refusal; /* enum binary_code, where one of the two is set */
    uint16_t nkey;
    uint32_t nbytes;   /* of value, which follows */
    uint32_t flags;    /* set, add, replace */
    uint32_t exptime;  /* 0: none given */
    uint64_t cas;      /* 0: any */
    uint64_t delta;    /* incr, decr */
    uint64_t initial;  /* the same, where there is nothing yet */
    uint64_t hv;       /* hash_key(), filled in by binary_prepare */
    const char *key;   /* nkey bytes */
    const char *start; /* of the header, for -vv */
};

enum binary_status {
    BINARY_PARSED, /* one request; *used bytes without its value */
    BINARY_MORE,   /* need more bytes */
    BINARY_BAD,    /* not a request, or more than a buffer holds: close */
};

/* Parses the request at `p`. Consumes one without its value, or nothing;
 * allocates nothing. What is wrong with it, short of being none, is told in
 * `req`, so that it can be answered. */
enum binary_status binary_parse(const char *p, size_t n,
                                struct binary_request *req,
                                size_t *used) MUST_CHECK;

/* A request that names a key and is worth looking up ahead. */
static inline bool binary_is_keyed(const struct binary_request *req)
{
    return req->verb >= BINARY_GET && req->verb <= BINARY_DECR &&
           !req->misframed && !req->misshapen;
}

/* One that brings a value to store. */
static inline bool binary_has_value(const struct binary_request *req)
{
    return req->verb >= BINARY_SET && req->verb <= BINARY_PREPEND;
}

/* The lengths and the rest of a reply's header. */
struct binary_reply {
    uint8_t nextras;
    uint16_t code; /* enum binary_code */
    uint16_t nkey;
    uint32_t nbytes; /* of value, or of an error's text */
    uint64_t cas;
};

/* Writes a header of BINARY_HEADER bytes and returns its end. */
char *binary_reply_header(char *buf, const struct binary_tag *tag,
                          const struct binary_reply *reply);

/* Big-endian numbers behind it; each returns the end. */
char *binary_u32(char *buf, uint32_t v);
char *binary_u64(char *buf, uint64_t v);

/* The wording of a code; "" for BINARY_OK. */
const char *binary_text(enum binary_code code);

#endif
