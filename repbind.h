/*
 * repbind - the addresses of the replication port: those we listen on, and
 * those from which a silent repcached 2.x is believed.
 *
 * Layer:     5. Includes layers 0-1.
 * Threads:   repbind_parse_legacy before threads start; the rest one at a
 *            time.
 * Ownership: the caller owns struct repbind, which owns its descriptors.
 */
#ifndef REPBIND_H
#define REPBIND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/util.h"

#define REPBIND_MAX 32 /* listening sockets */

struct repbind {
    int fd[REPBIND_MAX];
    unsigned n;
};

/* Listens on settings.rep_listen_port at the addresses of settings.inter,
 * all without. All of them, or none and the reason in `error`. */
bool repbind_open(struct repbind *bound, char *error, size_t n) MUST_CHECK;

void repbind_close(struct repbind *bound);

/* Takes in the value of -o rep_legacy=: addresses, joined by commas, or
 * `any`; NULL: none. False with the reason in `error`. */
bool repbind_parse_legacy(const char *list, char *error, size_t n) MUST_CHECK;

/* rep_legacy= names this address. */
bool repbind_is_legacy(const struct sockaddr *addr);

#endif
