#include "rep/auth.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/lock.h"

#define LABEL_LEN 16
#define MAC_LEN   32 /* of HMAC-SHA256 */

/* Everything before and between the two hellos in what H hashes. */
#define FRAME_LEN (LABEL_LEN + 1 + 2 * REP_AUTH_NONCE + 2 * 2)

static const char proof_label[LABEL_LEN + 1] = "repcached3 proof";
static const char batch_label[LABEL_LEN + 1] = "repcached3 batch";

_Static_assert(REP_AUTH_PROOF == MAC_LEN, "a proof is a whole HMAC");
_Static_assert(FRAME_LEN == 85, "as the header says");

/* Passes on whether libcrypto did it. What it notes of a failure, for this
 * thread, would be taken for that of a later call. */
static bool done(bool ok)
{
    if (!ok) {
        ERR_clear_error();
    }
    return ok;
}

/* Zeroed memory, or NULL. */
static void *new_zeroed(size_t n)
{
    void *p = OPENSSL_zalloc(n);

    return done(p != NULL) ? p : NULL;
}

/* ---- the secret ------------------------------------------------------- */

/* The first is what a dialler proves. */
struct secrets {
    unsigned n;
    struct secret {
        size_t n;
        uint8_t bytes[REP_AUTH_SECRET_MAX];
    } list[REP_AUTH_SECRETS];
};

struct rep_auth_secret {
    struct lock lock; /* QUEUE: of the rest */
    struct secrets all;
};

static void add_secret(struct secrets *all, const void *bytes, size_t n)
{
    struct secret *one = &all->list[all->n++];

    assert(all->n <= REP_AUTH_SECRETS && n >= REP_AUTH_SECRET_MIN &&
           n <= REP_AUTH_SECRET_MAX);
    one->n = n;
    memcpy(one->bytes, bytes, n);
}

struct rep_auth_secret *rep_auth_secret_new(const void *bytes, size_t n)
{
    struct rep_auth_secret *secret = new_zeroed(sizeof(*secret));

    if (secret != NULL) {
        add_secret(&secret->all, bytes, n);
    }
    return secret;
}

void rep_auth_secret_become(struct rep_auth_secret *secret,
                            struct rep_auth_secret *other)
{
    lock_take(&secret->lock, LOCK_QUEUE);
    secret->all = other->all;
    lock_drop(&secret->lock, LOCK_QUEUE);
    rep_auth_secret_free(other);
}

unsigned rep_auth_secret_count(struct rep_auth_secret *secret)
{
    unsigned n;

    lock_take(&secret->lock, LOCK_QUEUE);
    n = secret->all.n;
    lock_drop(&secret->lock, LOCK_QUEUE);
    return n;
}

void rep_auth_secret_free(struct rep_auth_secret *secret)
{
    OPENSSL_clear_free(secret, sizeof(*secret));
}

/* Reads to the end of the file or of `room`; negative errno when it cannot. */
static ssize_t read_all(int fd, uint8_t *buf, size_t room)
{
    size_t n = 0;

    while (n < room) {
        ssize_t got = read(fd, buf + n, room - n);

        if (got == 0) {
            break;
        }
        if (got > 0) {
            n += (size_t)got;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return (ssize_t)n;
}

/* Whether the open file may hold a secret. */
static bool check_file(int fd, const char *path, char *why)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        (void)snprintf(why, REP_AUTH_WHY, "rep_secret_file %s: %s", path,
                       strerror(errno));
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        (void)snprintf(why, REP_AUTH_WHY,
                       "rep_secret_file must be a regular file, %s is none",
                       path);
        return false;
    }
    if ((st.st_mode & 077) != 0) {
        (void)snprintf(why, REP_AUTH_WHY,
                       "rep_secret_file may be accessible to its owner only, "
                       "its mode is %03o: chmod 600 %s",
                       (unsigned)(st.st_mode & 0777), path);
        return false;
    }
    return true;
}

/* Whether a line of so many bytes is a secret. */
static bool check_line(size_t n, const char *path, char *why)
{
    if (n < REP_AUTH_SECRET_MIN) {
        (void)snprintf(why, REP_AUTH_WHY,
                       "rep_secret_file must hold at least %d bytes, got %zu: "
                       "head -c 32 /dev/urandom | base64 > %s",
                       REP_AUTH_SECRET_MIN, n, path);
        return false;
    }
    if (n > REP_AUTH_SECRET_MAX) {
        (void)snprintf(why, REP_AUTH_WHY,
                       "rep_secret_file must hold at most %d bytes, %s has "
                       "more",
                       REP_AUTH_SECRET_MAX, path);
        return false;
    }
    return true;
}

/* The lines of what was read, which is one byte more than secrets and their
 * newlines when the file is too long. */
static bool take_lines(struct secrets *all, const uint8_t *p, size_t n,
                       const char *path, char *why)
{
    const uint8_t *end;
    size_t len;

    do {
        end = memchr(p, '\n', n);
        len = end != NULL ? (size_t)(end - p) : n;
        if (!check_line(len, path, why)) {
            return false;
        }
        if (all->n == REP_AUTH_SECRETS) {
            (void)snprintf(why, REP_AUTH_WHY,
                           "rep_secret_file must hold at most %d lines, %s has "
                           "more",
                           REP_AUTH_SECRETS, path);
            return false;
        }
        add_secret(all, p, len);
        len += end != NULL;
        p += len;
        n -= len;
    } while (n > 0);
    return true;
}

static struct rep_auth_secret *take_bytes(const uint8_t *buf, size_t n,
                                          const char *path, char *why)
{
    struct rep_auth_secret *secret = new_zeroed(sizeof(*secret));

    if (secret == NULL) {
        (void)snprintf(why, REP_AUTH_WHY, "rep_secret_file %s: out of memory",
                       path);
        return NULL;
    }
    if (!take_lines(&secret->all, buf, n, path, why)) {
        rep_auth_secret_free(secret);
        return NULL;
    }
    return secret;
}

struct rep_auth_secret *rep_auth_secret_load(const char *path, char *why)
{
    struct rep_auth_secret *secret = NULL;
    uint8_t buf[REP_AUTH_SECRETS * (REP_AUTH_SECRET_MAX + 1) + 1];
    /* Opening a FIFO would wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t n;

    if (fd < 0) {
        (void)snprintf(why, REP_AUTH_WHY, "rep_secret_file %s: %s", path,
                       strerror(errno));
        return NULL;
    }
    if (!check_file(fd, path, why)) {
        goto out;
    }
    n = read_all(fd, buf, sizeof(buf));
    if (n < 0) {
        (void)snprintf(why, REP_AUTH_WHY, "rep_secret_file %s: %s", path,
                       strerror((int)-n));
        goto out;
    }
    secret = take_bytes(buf, (size_t)n, path, why);
out:
    OPENSSL_cleanse(buf, sizeof(buf));
    (void)close(fd); /* it was only read */
    return secret;
}

/* ---- the handshake ---------------------------------------------------- */

enum auth_state {
    AUTH_START,
    AUTH_HALF,  /* one hello is known */
    AUTH_ASKED, /* both are known, the peer's proof is not */
    AUTH_PROVEN,
    AUTH_SPENT, /* the link has been made */
    AUTH_FAILED,
};

#define TO(state) (1U << (state))

/* States that may follow. */
static const unsigned auth_states[] = {
    [AUTH_START] = TO(AUTH_HALF) | TO(AUTH_FAILED),
    [AUTH_HALF] = TO(AUTH_ASKED) | TO(AUTH_FAILED),
    [AUTH_ASKED] = TO(AUTH_PROVEN) | TO(AUTH_FAILED),
    [AUTH_PROVEN] = TO(AUTH_SPENT) | TO(AUTH_FAILED),
    [AUTH_SPENT] = TO(AUTH_FAILED),
    [AUTH_FAILED] = 0,
};

/* What one end said. */
struct side {
    uint8_t nonce[REP_AUTH_NONCE];
    uint8_t hello[REP_AUTH_HELLO_MAX];
    size_t n; /* bytes of the hello */
};

struct rep_auth {
    struct secrets secrets;      /* as they were when it began */
    unsigned used;               /* which of them both ends use */
    enum rep_auth_role role;     /* ours */
    enum auth_state state;       /* auth_set_state */
    enum rep_auth_status failed; /* why, when AUTH_FAILED */
    struct side sides[2];        /* by role */
    uint8_t proof[REP_AUTH_PROOF];
};

static void auth_set_state(struct rep_auth *auth, enum auth_state state)
{
    assert((auth_states[auth->state] & TO(state)) != 0);
    auth->state = state;
}

static enum rep_auth_role peer_role(const struct rep_auth *auth)
{
    return auth->role == REP_AUTH_DIALLER ? REP_AUTH_ACCEPTOR
                                          : REP_AUTH_DIALLER;
}

const char *rep_auth_text(enum rep_auth_status status)
{
    switch (status) {
    case REP_AUTH_WAIT:
        return "waiting for the peer's proof";
    case REP_AUTH_PROVEN:
        return "the peer has the secret";
    case REP_AUTH_ORDER:
        return "a message of the handshake out of order";
    case REP_AUTH_HELLO:
        return "a hello of a wrong length";
    case REP_AUTH_NO_NONCE:
        return "the peer has no rep_secret_file";
    case REP_AUTH_OUR_NONCE:
        return "our own nonce came back";
    case REP_AUTH_WRONG:
        return "wrong proof: the peer's rep_secret_file differs";
    case REP_AUTH_CRYPTO:
        return "out of memory";
    }
    return "";
}

bool rep_auth_draw_nonce(uint8_t nonce[REP_AUTH_NONCE])
{
    return done(RAND_bytes(nonce, REP_AUTH_NONCE) == 1);
}

struct rep_auth *rep_auth_new(struct rep_auth_secret *secret,
                              enum rep_auth_role role,
                              const uint8_t nonce[REP_AUTH_NONCE])
{
    struct rep_auth *auth = new_zeroed(sizeof(*auth));

    if (auth != NULL) {
        lock_take(&secret->lock, LOCK_QUEUE);
        auth->secrets = secret->all;
        lock_drop(&secret->lock, LOCK_QUEUE);
        auth->role = role;
        auth->state = AUTH_START;
        memcpy(auth->sides[role].nonce, nonce, REP_AUTH_NONCE);
    }
    return auth;
}

void rep_auth_free(struct rep_auth *auth)
{
    OPENSSL_clear_free(auth, sizeof(*auth));
}

/* Computes H for `label` and `role`, with the secret that is used. */
static bool hash_talk(const struct rep_auth *auth, const char *label,
                      enum rep_auth_role role, uint8_t out[MAC_LEN])
{
    uint8_t buf[FRAME_LEN + 2 * REP_AUTH_HELLO_MAX];
    const struct secret *secret = &auth->secrets.list[auth->used];
    uint8_t *p = buf;

    memcpy(p, label, LABEL_LEN);
    p += LABEL_LEN;
    *p++ = role == REP_AUTH_DIALLER ? 'D' : 'A';
    for (unsigned i = 0; i < 2; i++) {
        memcpy(p, auth->sides[i].nonce, REP_AUTH_NONCE);
        p += REP_AUTH_NONCE;
    }
    for (unsigned i = 0; i < 2; i++) {
        const struct side *side = &auth->sides[i];

        p = wr_u16(p, (uint16_t)side->n);
        memcpy(p, side->hello, side->n);
        p += side->n;
    }
    return done(HMAC(EVP_sha256(), secret->bytes, (int)secret->n, buf,
                     (size_t)(p - buf), out, NULL) != NULL);
}

/* Keeps a hello, and moves on. */
static enum rep_auth_status take_hello(struct rep_auth *auth,
                                       enum rep_auth_role role,
                                       const struct rep_auth_event *ev)
{
    struct side *side = &auth->sides[role];

    if (ev->n == 0 || ev->n > REP_AUTH_HELLO_MAX) {
        return REP_AUTH_HELLO;
    }
    memcpy(side->hello, ev->bytes, ev->n);
    side->n = ev->n;
    auth_set_state(auth, auth->state == AUTH_START ? AUTH_HALF : AUTH_ASKED);
    return REP_AUTH_WAIT;
}

static enum rep_auth_status on_theirs(struct rep_auth *auth,
                                      const struct rep_auth_event *ev,
                                      const uint8_t **send)
{
    enum rep_auth_role peer = peer_role(auth);
    enum rep_auth_status status;

    if (ev->nonce == NULL) {
        return REP_AUTH_NO_NONCE;
    }
    /* Roles make a reflected proof wrong anyway; this says why. */
    if (memcmp(ev->nonce, auth->sides[auth->role].nonce, REP_AUTH_NONCE) == 0) {
        return REP_AUTH_OUR_NONCE;
    }
    memcpy(auth->sides[peer].nonce, ev->nonce, REP_AUTH_NONCE);
    status = take_hello(auth, peer, ev);
    if (status == REP_AUTH_WAIT && auth->role == REP_AUTH_DIALLER) {
        if (!hash_talk(auth, proof_label, auth->role, auth->proof)) {
            return REP_AUTH_CRYPTO;
        }
        *send = auth->proof;
    }
    return status;
}

/* Finds the secret by which the peer's proof is right, and uses it from now on.
 * A dialler has said by its own proof which one that is; an acceptor tries them
 * all, also when one was right, so that time tells no more than their number.
 */
static enum rep_auth_status check_proof(struct rep_auth *auth,
                                        const struct rep_auth_event *ev)
{
    unsigned tried = auth->role == REP_AUTH_ACCEPTOR ? auth->secrets.n : 1;
    enum rep_auth_status status = REP_AUTH_WRONG;
    unsigned right = 0;

    for (auth->used = 0; auth->used < tried; auth->used++) {
        uint8_t proof[MAC_LEN];

        if (!hash_talk(auth, proof_label, peer_role(auth), proof)) {
            return REP_AUTH_CRYPTO;
        }
        if (ev->n == REP_AUTH_PROOF &&
            CRYPTO_memcmp(proof, ev->bytes, REP_AUTH_PROOF) == 0) {
            status = REP_AUTH_PROVEN;
            right = auth->used;
        }
        /* Who has been refused must not find the answer in our memory. */
        OPENSSL_cleanse(proof, sizeof(proof));
    }
    auth->used = right;
    return status;
}

static enum rep_auth_status on_proof(struct rep_auth *auth,
                                     const struct rep_auth_event *ev,
                                     const uint8_t **send)
{
    enum rep_auth_status status = check_proof(auth, ev);

    if (status != REP_AUTH_PROVEN) {
        return status;
    }
    if (auth->role == REP_AUTH_ACCEPTOR) {
        if (!hash_talk(auth, proof_label, auth->role, auth->proof)) {
            return REP_AUTH_CRYPTO;
        }
        *send = auth->proof;
    }
    auth_set_state(auth, AUTH_PROVEN);
    return REP_AUTH_PROVEN;
}

/* Whether an event of this kind is due. */
static bool is_due(const struct rep_auth *auth, enum rep_auth_kind kind)
{
    bool dialler = auth->role == REP_AUTH_DIALLER;

    switch (auth->state) {
    case AUTH_START:
        return kind == (dialler ? REP_AUTH_OURS : REP_AUTH_THEIRS);
    case AUTH_HALF:
        return kind == (dialler ? REP_AUTH_THEIRS : REP_AUTH_OURS);
    case AUTH_ASKED:
        return kind == REP_AUTH_PROVES;
    case AUTH_PROVEN:
    case AUTH_SPENT:
    case AUTH_FAILED:
        return false;
    }
    return false;
}

enum rep_auth_status rep_auth_step(struct rep_auth *auth,
                                   const struct rep_auth_event *ev,
                                   const uint8_t **send)
{
    enum rep_auth_status status = REP_AUTH_ORDER;

    *send = NULL;
    if (auth->state == AUTH_FAILED) {
        return auth->failed;
    }
    if (is_due(auth, ev->kind)) {
        switch (ev->kind) {
        case REP_AUTH_OURS:
            status = take_hello(auth, auth->role, ev);
            break;
        case REP_AUTH_THEIRS:
            status = on_theirs(auth, ev, send);
            break;
        case REP_AUTH_PROVES:
            status = on_proof(auth, ev, send);
            break;
        }
    }
    if (status > REP_AUTH_PROVEN) {
        auth->failed = status;
        auth_set_state(auth, AUTH_FAILED);
    }
    return status;
}

/* ---- the batches of a proven link ------------------------------------- */

/* One direction. */
struct chain {
    EVP_MAC_CTX *mac; /* keyed; NULL when broken */
    uint64_t seq;     /* batches so far */
};

struct rep_auth_link {
    struct chain sent, received;
};

static void chain_fini(struct chain *chain)
{
    EVP_MAC_CTX_free(chain->mac); /* wipes the key */
    chain->mac = NULL;
}

/* Keys the batches that `writer` writes. */
static bool chain_init(struct chain *chain, const struct rep_auth *auth,
                       enum rep_auth_role writer)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    uint8_t key[MAC_LEN];
    bool ok;

    chain->seq = 0;
    chain->mac = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac); /* the context holds it */
    ok = chain->mac != NULL && hash_talk(auth, batch_label, writer, key) &&
         EVP_MAC_init(chain->mac, key, sizeof(key), params) == 1;
    OPENSSL_cleanse(key, sizeof(key));
    return done(ok);
}

/* The tag of the next batch. A context that failed is not used again: it may
 * hold half a batch. */
static bool chain_next(struct chain *chain, const void *batch, size_t n,
                       uint8_t out[MAC_LEN])
{
    uint8_t seq[sizeof(chain->seq)];
    size_t len = 0;
    bool ok;

    if (chain->mac == NULL) {
        return false;
    }
    (void)wr_u64(seq, chain->seq);
    /* Without a key: begins anew with the one it has, at half the cost. */
    ok = EVP_MAC_init(chain->mac, NULL, 0, NULL) == 1 &&
         EVP_MAC_update(chain->mac, seq, sizeof(seq)) == 1 &&
         EVP_MAC_update(chain->mac, batch, n) == 1 &&
         EVP_MAC_final(chain->mac, out, &len, MAC_LEN) == 1 && len == MAC_LEN;
    chain->seq++; /* 2^64 batches do not happen */
    if (!done(ok)) {
        chain_fini(chain);
    }
    return ok;
}

struct rep_auth_link *rep_auth_link_new(struct rep_auth *auth)
{
    struct rep_auth_link *link = new_zeroed(sizeof(*link));

    auth_set_state(auth, AUTH_SPENT);
    if (link != NULL && (!chain_init(&link->sent, auth, auth->role) ||
                         !chain_init(&link->received, auth, peer_role(auth)))) {
        rep_auth_link_free(link);
        link = NULL;
    }
    return link;
}

void rep_auth_link_free(struct rep_auth_link *link)
{
    if (link != NULL) {
        chain_fini(&link->sent);
        chain_fini(&link->received);
        OPENSSL_free(link);
    }
}

bool rep_auth_seal(struct rep_auth_link *link, const void *batch, size_t n,
                   uint8_t tag[REP_AUTH_TAG])
{
    uint8_t mac[MAC_LEN];

    if (!chain_next(&link->sent, batch, n, mac)) {
        return false;
    }
    memcpy(tag, mac, REP_AUTH_TAG);
    return true;
}

bool rep_auth_open(struct rep_auth_link *link, const void *batch, size_t n,
                   const uint8_t tag[REP_AUTH_TAG])
{
    uint8_t mac[MAC_LEN];

    if (!chain_next(&link->received, batch, n, mac)) {
        return false;
    }
    if (CRYPTO_memcmp(mac, tag, REP_AUTH_TAG) != 0) {
        chain_fini(&link->received);
        OPENSSL_cleanse(mac, sizeof(mac));
        return false;
    }
    return true;
}
