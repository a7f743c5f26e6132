/*
 * listen_udp - the sockets clients send datagrams to, from their binding until
 * workers have them.
 *
 * Layer:     5. Includes thread.h, conn.h and layers 0-1.
 * Threads:   the main thread.
 * Ownership: owns its descriptors until listen_udp_open.
 */
#ifndef LISTEN_UDP_H
#define LISTEN_UDP_H

#include <netdb.h>
#include <stdio.h>

#include "base/util.h"

/* Binds one address. 0 or a negative errno. */
int listen_udp_bind(const struct addrinfo *ai) MUST_CHECK;

/* Gives each socket to as many workers as the settings say. 0 or a negative
 * errno. */
int listen_udp_open(void) MUST_CHECK;

/* Writes the lines of the port file. */
void listen_udp_write_ports(FILE *file);

/* Closes what no worker has; forgets all. */
void listen_udp_close(void);

#endif
