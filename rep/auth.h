/*
 * rep_auth - two nodes prove to each other that they hold one secret, and
 * then authenticate every batch of bytes on their link.
 *
 * H is HMAC-SHA256 keyed with the secret; of what it hashes, the head says
 * what for and for whom, the rest is the conversation so far:
 *
 *    offset  bytes
 *    0       16     "repcached3 proof", or "repcached3 batch" for a key
 *    16      1      'D' or 'A': the dialler's proof, or the key of the batches
 *                   that the dialler writes; or the acceptor's
 *    17      32     nonce of the dialler
 *    49      32     nonce of the acceptor
 *    81      2      d, length of the dialler's hello, big-endian
 *    83      d      the dialler's hello as sent, its line end included
 *    83+d    2      a, length of the acceptor's hello, big-endian
 *    85+d    a      the acceptor's hello as sent, its line end included
 *
 * A secret is used whole, without the newline at its end. There may be two, for
 * the time in which one is changed: a dialler proves the first, an acceptor
 * takes either and answers with the same one. A proof is the 32 bytes of H. The
 * dialler proves first; the acceptor answers only a right proof, so that a
 * stranger who dials learns nothing that H made.
 * Roles and both nonces are in H: a proof sent back, or recorded and sent
 * again, is wrong. A batch is followed by its tag: the first 16 bytes of
 * HMAC-SHA256(key of the direction, s || batch), where s is the number of
 * batches written before in that direction, 8 bytes big-endian. t/unit/vectors/
 * auth.txt has examples.
 *
 *    dialler   START --our hello--> HALF --their hello, send proof--> ASKED
 *              ASKED --their right proof--> PROVEN
 *    acceptor  START --their hello--> HALF --our hello--> ASKED
 *              ASKED --their right proof, send proof--> PROVEN
 *    both      PROVEN --rep_auth_link_new--> SPENT
 *              anything else --> FAILED, where it stays
 *
 * Layer:     3. Includes layer 0 and libcrypto only.
 * Threads:   one at a time for each struct; secrets any.
 * Locks:     takes LOCK_QUEUE, of secrets; calls nothing while holding it.
 * Ownership: functions borrow their arguments unless they say takes or gives.
 */
#ifndef REP_AUTH_H
#define REP_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

#define REP_AUTH_SECRET_MIN 16   /* bytes */
#define REP_AUTH_SECRET_MAX 4096 /* bytes */
#define REP_AUTH_SECRETS    2    /* accepted at a time */
#define REP_AUTH_HELLO_MAX  512  /* bytes of a hello, end included */
#define REP_AUTH_NONCE      32   /* bytes */
#define REP_AUTH_PROOF      32   /* bytes */
#define REP_AUTH_TAG        16   /* bytes */

/* Room for the reason why a file was refused. */
#define REP_AUTH_WHY 512

/* ---- the secret ------------------------------------------------------- */

struct rep_auth_secret;

/* Gives the secrets in the file at `path`, one or two lines. NULL when the file
 * is refused: `why` (REP_AUTH_WHY bytes) is then a line that
 * names the remedy. A file that others may read or write is refused. */
struct rep_auth_secret *rep_auth_secret_load(const char *path, char *why);

/* Gives a secret of these bytes, or NULL when out of memory. `n` is from
 * REP_AUTH_SECRET_MIN to REP_AUTH_SECRET_MAX. */
struct rep_auth_secret *rep_auth_secret_new(const void *bytes, size_t n);

/* Takes `other`: handshakes that begin from now on have what was in it. */
void rep_auth_secret_become(struct rep_auth_secret *secret,
                            struct rep_auth_secret *other);

/* How many are accepted. */
unsigned rep_auth_secret_count(struct rep_auth_secret *secret);

/* Takes `secret` and wipes it; NULL is allowed. */
void rep_auth_secret_free(struct rep_auth_secret *secret);

/* ---- the handshake ---------------------------------------------------- */

enum rep_auth_role { REP_AUTH_DIALLER, REP_AUTH_ACCEPTOR };

enum rep_auth_status {
    REP_AUTH_WAIT = 0, /* for the next event */
    REP_AUTH_PROVEN,   /* the peer has the secret: rep_auth_link_new */
    /* Any other: close the connection. */
    REP_AUTH_ORDER,     /* an event that was not due */
    REP_AUTH_HELLO,     /* a hello empty or over REP_AUTH_HELLO_MAX */
    REP_AUTH_NO_NONCE,  /* the peer's hello has none: it uses no secret */
    REP_AUTH_OUR_NONCE, /* the peer sent our own nonce back */
    REP_AUTH_WRONG,     /* the proof is wrong */
    REP_AUTH_CRYPTO,    /* libcrypto failed, which is out of memory */
};

/* What a status says, for the log. */
const char *rep_auth_text(enum rep_auth_status status);

enum rep_auth_kind {
    REP_AUTH_OURS,   /* our hello is sent */
    REP_AUTH_THEIRS, /* their hello came, with `nonce` */
    REP_AUTH_PROVES, /* their proof came */
};

struct rep_auth_event {
    enum rep_auth_kind kind;
    const uint8_t *nonce; /* THEIRS: REP_AUTH_NONCE bytes; NULL: it has none */
    const void *bytes;    /* the hello as sent, or the proof */
    size_t n;
};

struct rep_auth;

/* Draws the nonce of one hello; false when the system has no random bytes. A
 * nonce is never used for a second connection. */
bool rep_auth_draw_nonce(uint8_t nonce[REP_AUTH_NONCE]) MUST_CHECK;

/* Gives the handshake of one connection, or NULL when out of memory. Copies
 * what it is given; `nonce` is that of our hello. */
struct rep_auth *rep_auth_new(struct rep_auth_secret *secret,
                              enum rep_auth_role role,
                              const uint8_t nonce[REP_AUTH_NONCE]);

/* Takes `auth` and wipes it; NULL is allowed. */
void rep_auth_free(struct rep_auth *auth);

/* Takes note of an event. *send becomes our proof (REP_AUTH_PROOF bytes that
 * live as long as `auth`) when it is to be sent now, else NULL. The acceptor
 * sends its proof when PROVEN. Once failed, the first cause is repeated. */
enum rep_auth_status rep_auth_step(struct rep_auth *auth,
                                   const struct rep_auth_event *ev,
                                   const uint8_t **send) MUST_CHECK;

/* ---- the batches of a proven link ------------------------------------- */

struct rep_auth_link;

/* Gives the two directions of a link, or NULL when out of memory. Only when
 * PROVEN, and once. Does not keep `auth`. */
struct rep_auth_link *rep_auth_link_new(struct rep_auth *auth);

/* Takes `link` and wipes it; NULL is allowed. */
void rep_auth_link_free(struct rep_auth_link *link);

/* Writes the tag of the next batch to send. After false, which is out of
 * memory, nothing can be sealed any more: close the connection. */
bool rep_auth_seal(struct rep_auth_link *link, const void *batch, size_t n,
                   uint8_t tag[REP_AUTH_TAG]) MUST_CHECK;

/* Whether this is the next batch of the peer, unaltered. After false nothing
 * is right any more: close the connection, use nothing of the batch. */
bool rep_auth_open(struct rep_auth_link *link, const void *batch, size_t n,
                   const uint8_t tag[REP_AUTH_TAG]) MUST_CHECK;

#endif
