/*
 * listen_spec - the grammar of -l: what an element of the list asks for.
 *
 *   list     = element *( ( "," | ";" ) element )
 *   element  = [ "notls:" | "btls:" | "mtls:" ] [ "proto[" NAME "]:" ]
 *              [ "tag[" NAME "]:" | "tag_" NAME "_:" ] host [ ":" port ]
 *
 * Pure functions: nothing is allocated, nothing is printed. What they give
 * points into the list.
 *
 * Layer:   3. Includes layer 0.
 * Threads: pure functions.
 */
#ifndef LISTEN_SPEC_H
#define LISTEN_SPEC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"

struct listen_text {
    const char *ptr;
    size_t len;
};

enum listen_tls {
    LISTEN_TLS_UNSAID,
    LISTEN_TLS_NONE,   /* notls: */
    LISTEN_TLS_BASIC,  /* btls: the client shows no certificate */
    LISTEN_TLS_MUTUAL, /* mtls: it has to */
};

enum listen_protocol {
    LISTEN_PROTOCOL_UNSAID, /* or a name nobody knows, as in stock */
    LISTEN_ASCII,
    LISTEN_BINARY,
    LISTEN_NEGOTIATING,
};

struct listen_spec {
    enum listen_tls tls;
    enum listen_protocol protocol;
    struct listen_text tag;  /* ptr NULL: none */
    struct listen_text host; /* without brackets; "*" is every address */
    bool has_port;
    int port; /* may be out of range: it wraps, as in stock */
};

enum listen_spec_status {
    LISTEN_SPEC_OK = 0,
    LISTEN_SPEC_BAD_PROTOCOL, /* no "]:" */
    LISTEN_SPEC_PROXY,        /* a protocol that is known, and not here */
    LISTEN_SPEC_BAD_TAG,      /* no end of the tag */
    LISTEN_SPEC_TAG_LENGTH,   /* not 1 to 8 characters */
    LISTEN_SPEC_BAD_IPV6,     /* no "]" */
    LISTEN_SPEC_BAD_PORT,     /* no number */
};

/* Takes the next element off `list`; false when none is left. Elements
 * without text are skipped. */
bool listen_spec_next(struct listen_text *list,
                      struct listen_text *element) MUST_CHECK;

/* Parses one element. On failure `spec` has what comes before the fault, and
 * *fault the text a message quotes. */
enum listen_spec_status listen_spec_parse(struct listen_text element,
                                          struct listen_spec *spec,
                                          struct listen_text *fault) MUST_CHECK;

#endif
