/*
 * reppeer - the peers that -x names: what they are called, who dials them, and
 * whose an address is.
 *
 * A peer is HOST, HOST:PORT, an IPv6 address, or [ADDRESS]:PORT; HOST is a name
 * or an address. Its number is its place in the list. Two peers may share an
 * address: their ports tell them apart, once a hello told the port.
 *
 * Layer:     5. Includes layers 0-1, rep/core.h and repdial.h.
 * Threads:   reppeer_parse before threads start, reppeer_count and reppeer_name
 *            any after that, the rest the one that runs `base`.
 * Ownership: owns the diallers; borrows its arguments.
 */
#ifndef REPPEER_H
#define REPPEER_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/util.h"
#include "rep/core.h"
#include "repdial.h"

struct reppeer_calls {
    /* Takes `fd`, which does not block. */
    void (*connected)(unsigned peer, int fd, const struct sockaddr *addr);
    void (*failed)(unsigned peer, enum repdial_failure failure,
                   const char *why);
};

/* Takes in the value of -x: peers, joined by commas; NULL: none. `port` is that
 * of a peer that names none. False with the reason in `error`. */
bool reppeer_parse(const char *list, int port, char *error,
                   size_t n) MUST_CHECK;

/* How many there are; "host:port" of one. */
unsigned reppeer_count(void);
const char *reppeer_name(unsigned peer);

/* Makes the diallers, which call `calls` (for their life) from `base`; false
 * when out of memory. reppeer_close takes them, made or not. */
bool reppeer_open(struct event_base *base,
                  const struct reppeer_calls *calls) MUST_CHECK;
void reppeer_close(void);

/* As repdial_start and repdial_cancel. */
void reppeer_dial(unsigned peer, bool loud, bool next);
void reppeer_undial(unsigned peer);

/* Sets peer, configured and exact of an event: whose `addr` is, when it listens
 * on `port` (0: it did not tell). */
void reppeer_identify(const struct sockaddr *addr, uint16_t port,
                      struct rep_event *ev);

#endif
