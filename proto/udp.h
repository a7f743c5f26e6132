/*
 * udp - the frame in front of each datagram: a request's, which is one
 * datagram, and those of a reply, which may be several.
 *
 * Layer:     3. Includes layer 0 only.
 * Threads:   pure functions.
 * Source:    the protocol as memcached's users know it; doc/compatibility.md.
 */
#ifndef PROTO_UDP_H
#define PROTO_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

#define UDP_FRAME        8
#define UDP_DATAGRAM_MAX 1400 /* of a reply; a request may fill 64 KiB */
#define UDP_PAYLOAD_MAX  (UDP_DATAGRAM_MAX - UDP_FRAME)
#define UDP_COUNT_MAX    65535 /* datagrams of a reply */

/* Whether the datagram at `p` is a request, and its id. Part of one in several
 * is none. */
bool udp_parse(const char *p, size_t n, uint16_t *id) MUST_CHECK;

/* Writes the frame of datagram `seq` of `count` and returns its end. */
char *udp_format(char *buf, uint16_t id, uint16_t seq, uint16_t count);

/* The datagrams that `n` bytes of reply take; 0 for none. */
static inline size_t udp_count(size_t n)
{
    return (n + UDP_PAYLOAD_MAX - 1) / UDP_PAYLOAD_MAX;
}

#endif
