/*
 * reptrust - whom the replication port believes: who proves the secret, and
 * the addresses from which a silent repcached 2.x is expected.
 *
 * Layer:     5. Includes layers 0-1, rep/auth.h and repdial.h.
 * Threads:   init and fini from the main thread while no other runs, reload
 *            from there, too; the rest any.
 * Ownership: owns the secret.
 */
#ifndef REPTRUST_H
#define REPTRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/util.h"
#include "rep/auth.h"

/* Takes in -o rep_secret_file= and -o rep_legacy=: `any`, `off`, or addresses
 * with commas between. False with the reason in `error`. */
bool reptrust_init(char *error, size_t n) MUST_CHECK;
void reptrust_fini(void);

/* Reads the secret again, if there is one; a file that is refused changes
 * nothing. */
void reptrust_reload(void);

/* NULL: there is none. */
struct rep_auth_secret *reptrust_secret(void);

/* repcached 2.x may be a peer at all. */
bool reptrust_allows_legacy(void);

/* A line, once, when the port is bound where others reach it (`is_public`) and
 * nobody has to prove anything. */
void reptrust_warn(bool is_public);

/* rep_legacy= names this address. */
bool reptrust_is_legacy(const struct sockaddr *addr);

#endif
