/*
 * authfile - the users and passwords of -Y.
 *
 * A line of the file is "user:password". At most AUTHFILE_LINE bytes of a line
 * count, nothing behind a longer one does, and neither does what follows the
 * first AUTHFILE_USERS lines: memcached's limits, which files may rely on.
 *
 * Layer:     4. Includes layer 0.
 * Threads:   check from any; load from one at a time.
 * Locks:     QUEUE around the table, which a load replaces as a whole.
 * Ownership: the table is static; secrets are cleared when they are replaced.
 */
#ifndef AUTHFILE_H
#define AUTHFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

#define AUTHFILE_USERS 8
#define AUTHFILE_LINE  255

/* Any file that can matter fits. */
#define AUTHFILE_BYTES (AUTHFILE_USERS * (AUTHFILE_LINE + 2))

struct authfile_user {
    uint8_t nuser, npass;
    char text[AUTHFILE_LINE]; /* user, then password */
};

struct authfile_table {
    unsigned n;
    struct authfile_user user[AUTHFILE_USERS];
};

/* Parses the first bytes of a file, at most AUTHFILE_BYTES. False when one of
 * the lines that count has no colon, or there is none. */
bool authfile_parse(const char *p, size_t n,
                    struct authfile_table *out) MUST_CHECK;

/* Whether `out` has the pair, as long as comparing takes whatever differs. */
bool authfile_find(const struct authfile_table *table, const char *user,
                   size_t nuser, const char *pass, size_t npass) MUST_CHECK;

/* ---- the table that is in force --------------------------------------- */

enum authfile_status {
    AUTHFILE_OK = 0,
    AUTHFILE_OPEN,      /* errno says why */
    AUTHFILE_READ,      /* the same */
    AUTHFILE_MALFORMED, /* no entry, or a line without a colon */
};

/* Reads the file; on success what it says is in force, else what was. */
enum authfile_status authfile_load(const char *path) MUST_CHECK;

/* Whether the pair may enter. */
bool authfile_check(const char *user, size_t nuser, const char *pass,
                    size_t npass) MUST_CHECK;

#endif
