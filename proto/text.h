/*
 * text - the classic text protocol: bytes to requests, replies to bytes.
 *
 * Layer:     3. Includes layer 0 and proto/ only.
 * Threads:   pure functions.
 * Source:    the protocol as memcached's users know it; doc/compatibility.md.
 */
#ifndef PROTO_TEXT_H
#define PROTO_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "proto/request.h"

enum text_status {
    TEXT_OK,   /* one request; *used bytes of line (its data follows) */
    TEXT_MORE, /* no whole line yet: need more bytes */
    TEXT_BAD,  /* too long a line, or another protocol's bytes: close */
};

/* An unfinished line of this many bytes is tolerated, one more is not, unless
 * it is a get or gets (after at most 100 spaces). */
#define TEXT_LINE_MAX 2048

/* Every command has this many bytes, line end included. */
#define TEXT_SHORT_LINE 4

/* Parses the line at `p`. Consumes exactly one line or nothing; allocates
 * nothing. All syntax is checked here: a refused line is TEXT_OK with
 * VERB_ERROR and the refusal. A value that belongs to it is to be swallowed
 * (has_data) or, when nobody knows how long it is, not to be read (hang_up). */
enum text_status text_parse(const char *p, size_t n, struct request *req,
                            size_t *used) MUST_CHECK;

/* The start of a `get` line too long for a buffer: parses the keys complete
 * so far into `req` (get or gets, rest/end around whole keys) and sets *used
 * past them; the caller continues with the keys that follow by
 * text_parse_more_keys. TEXT_MORE when not even one key is complete. */
enum text_status text_parse_get_head(const char *p, size_t n,
                                     struct request *req,
                                     size_t *used) MUST_CHECK;
/* Continuation of the same `req`, which must be kept from piece to piece (not
 * the bytes it points at): `last` is set when the line end was reached. Each
 * piece is then run as a request of its own; req->more says whether END is
 * due. TEXT_MORE when `p` begins with an incomplete key. */
enum text_status text_parse_more_keys(const char *p, size_t n,
                                      struct request *req, size_t *used,
                                      bool *last) MUST_CHECK;

/* Splits the next key off req->rest; false at the end. Keys over 250 bytes
 * are returned too, with their length. */
bool text_next_key(struct request *req, const char **key, size_t *nkey);

/* The wording of a fixed reply, with CR LF; *len receives its length. */
const char *text_reply(enum reply reply, size_t *len);

/* Longest header of a value: VALUE, key, flags, length, cas, CR LF. */
#define TEXT_VALUE_HEADER_MAX (6 + 250 + 1 + 10 + 1 + 10 + 1 + 20 + 2)

/* Writes "VALUE <key> <flags> <bytes>[ <cas>]\r\n" and returns the end. */
char *text_value_header(char *buf, const char *key, size_t nkey, uint32_t flags,
                        uint32_t nbytes, const uint64_t *cas);

#endif
