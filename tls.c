#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "settings.h"

#define SESSIONS_OF "memcached" /* the context id of sessions */

struct tls {
    SSL *ssl;
    unsigned sessions;
    bool drained; /* the last read found nothing complete */
    bool ended;   /* the peer said goodbye; the next read tells */
    bool broken;
    bool known;      /* the handshake is done */
    const char *why; /* broken: in OpenSSL's words, or NULL */
    int error;       /* broken: errno, or 0 */
};

static struct lock contexts_lock; /* QUEUE */
static SSL_CTX *clients;          /* [Q] with -Z */
static SSL_CTX *peers;            /* [Q] with -o rep_tls */
static atomic_uint refreshed;     /* [a] tls_refresh; tls_refreshed */

/* ---- certificates ----------------------------------------------------- */

/* OpenSSL's remarks beside the first, which is the message. */
static void say(char why[TLS_WHY], const char *what, const char *path)
{
    char text[TLS_WHY / 2];
    unsigned long first = ERR_get_error();

    ERR_error_string_n(first, text, sizeof(text));
    ERR_print_errors_fp(stderr);
    if (path == NULL) {
        (void)snprintf(why, TLS_WHY, "%s: %s", what, text);
    } else {
        (void)snprintf(why, TLS_WHY, "%s: %.*s : %s", what, TLS_WHY / 2 - 40,
                       path, text);
    }
}

/* memcached says so of a file that was not named, too. */
static const char *named(const char *path)
{
    return path != NULL ? path : "(null)";
}

static bool load_chain(SSL_CTX *ctx, char why[TLS_WHY])
{
    if (settings.ssl_chain_cert == NULL ||
        SSL_CTX_use_certificate_chain_file(ctx, settings.ssl_chain_cert) != 1) {
        say(why, "Error loading the certificate chain",
            named(settings.ssl_chain_cert));
        return false;
    }
    if (settings.ssl_key == NULL ||
        SSL_CTX_use_PrivateKey_file(ctx, settings.ssl_key,
                                    settings.ssl_keyformat) != 1) {
        say(why, "Error loading the key", named(settings.ssl_key));
        return false;
    }
    if (SSL_CTX_check_private_key(ctx) != 1) {
        say(why, "Error validating the certificate", NULL);
        return false;
    }
    return true;
}

/* Whose certificates are believed, and named to whom shall show one. */
static bool load_ca(SSL_CTX *ctx, char why[TLS_WHY])
{
    STACK_OF(X509_NAME) * names;

    if (settings.ssl_ca_cert == NULL) {
        return true;
    }
    names = SSL_load_client_CA_file(settings.ssl_ca_cert);
    if (names == NULL ||
        SSL_CTX_load_verify_locations(ctx, settings.ssl_ca_cert, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        say(why, "Error loading the CA certificate", settings.ssl_ca_cert);
        return false;
    }
    SSL_CTX_set_client_CA_list(ctx, names); /* takes it */
    return true;
}

static bool set_ciphers(SSL_CTX *ctx, char why[TLS_WHY])
{
    if (settings.ssl_ciphers != NULL &&
        SSL_CTX_set_cipher_list(ctx, settings.ssl_ciphers) != 1) {
        ERR_clear_error();
        (void)snprintf(why, TLS_WHY,
                       "Error setting the provided cipher(s): %.150s",
                       settings.ssl_ciphers);
        return false;
    }
    return true;
}

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls *tls = SSL_get_app_data(ssl);

    (void)session;
    tls->sessions++;
    return 0; /* no reference is kept */
}

static void set_options(SSL_CTX *ctx)
{
    static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION,
                                   TLS1_3_VERSION};

    (void)SSL_CTX_set_min_proto_version(ctx,
                                        versions[settings.ssl_min_version]);
    /* A request says how long it is: a stream that is cut short is told from
     * one that ends without what only some clients send. */
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                    SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1); /* one system call for many records */
#ifdef SSL_OP_ENABLE_KTLS
    if (settings.ssl_kernel_tls) {
        (void)SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS);
    }
#endif
    (void)SSL_CTX_set_session_cache_mode(ctx, settings.ssl_session_cache
                                                  ? SSL_SESS_CACHE_SERVER
                                                  : SSL_SESS_CACHE_OFF);
    SSL_CTX_sess_set_new_cb(ctx, on_new_session);
}

/* NULL with the message in `why`. */
static SSL_CTX *context_new(char why[TLS_WHY])
{
    SSL_CTX *ctx;

    ERR_clear_error();
    ctx = SSL_CTX_new(TLS_method());
    if (ctx == NULL) {
        say(why, "Error making a TLS context", NULL);
        return NULL;
    }
    set_options(ctx);
    if (!load_chain(ctx, why) || !set_ciphers(ctx, why) || !load_ca(ctx, why)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/* Peers keep no sessions: each link is proven anew. */
static SSL_CTX *peer_context_new(char why[TLS_WHY])
{
    SSL_CTX *ctx;

    if (settings.ssl_ca_cert == NULL) {
        (void)snprintf(why, TLS_WHY,
                       "rep_tls needs ssl_ca_cert, of which both nodes have "
                       "a certificate");
        return NULL;
    }
    ctx = context_new(why);
    if (ctx != NULL) {
        (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        (void)SSL_CTX_set_num_tickets(ctx, 0);
        (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    }
    return ctx;
}

static void replace(SSL_CTX **which, SSL_CTX *fresh)
{
    SSL_CTX *before;

    lock_take(&contexts_lock, LOCK_QUEUE);
    before = *which;
    *which = fresh;
    lock_drop(&contexts_lock, LOCK_QUEUE);
    SSL_CTX_free(before);
}

/* All of them, or none. */
static bool load(char why[TLS_WHY])
{
    SSL_CTX *for_clients = NULL;

    if (settings.ssl_enabled) {
        for_clients = context_new(why);
        if (for_clients == NULL) {
            return false;
        }
    }
    if (settings.rep_tls) {
        SSL_CTX *for_peers = peer_context_new(why);

        if (for_peers == NULL) {
            SSL_CTX_free(for_clients);
            return false;
        }
        replace(&peers, for_peers);
    }
    if (for_clients != NULL) {
        replace(&clients, for_clients);
    }
    return true;
}

bool tls_init(char why[TLS_WHY])
{
#if !defined(SSL_OP_ENABLE_KTLS) || defined(OPENSSL_NO_KTLS)
    if (settings.ssl_kernel_tls) {
        (void)snprintf(why, TLS_WHY, "Kernel TLS offload is not available");
        return false;
    }
#endif
    return load(why);
}

void tls_fini(void)
{
    replace(&clients, NULL);
    replace(&peers, NULL);
}

bool tls_refresh(char why[TLS_WHY])
{
    if (!load(why)) {
        return false;
    }
    atomic_store_explicit(&refreshed, clock_seconds(), memory_order_relaxed);
    return true;
}

uint32_t tls_refreshed(void)
{
    return atomic_load_explicit(&refreshed, memory_order_relaxed);
}

/* ---- one connection --------------------------------------------------- */

static SSL *session_new(enum tls_kind kind)
{
    SSL_CTX *ctx;
    SSL *ssl;

    lock_take(&contexts_lock, LOCK_QUEUE);
    ctx = kind == TLS_DIALER || kind == TLS_DIALED ? peers : clients;
    (void)SSL_CTX_up_ref(ctx); /* so that a refresh need not wait for us */
    lock_drop(&contexts_lock, LOCK_QUEUE);
    ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    return ssl;
}

/* What the other end has to show. Sessions of one kind are none of another. */
static bool set_kind(SSL *ssl, enum tls_kind kind)
{
    static const int must = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    char id[] = SESSIONS_OF "?";
    unsigned len = sizeof(SESSIONS_OF) - 1;

    if (kind == TLS_CLIENT) {
        SSL_set_verify(ssl, settings.ssl_verify_mode, NULL);
    } else {
        SSL_set_verify(ssl, kind == TLS_BASIC ? SSL_VERIFY_NONE : must, NULL);
        id[len++] = (char)('0' + kind);
    }
    if (kind == TLS_DIALED) {
        SSL_set_connect_state(ssl);
    } else {
        SSL_set_accept_state(ssl);
    }
    return SSL_set_session_id_context(ssl, (const unsigned char *)id, len) == 1;
}

struct tls *tls_new(int fd, enum tls_kind kind)
{
    struct tls *tls = calloc(1, sizeof(*tls));

    if (tls == NULL) {
        return NULL;
    }
    tls->ssl = session_new(kind);
    if (tls->ssl == NULL || SSL_set_fd(tls->ssl, fd) != 1 ||
        SSL_set_app_data(tls->ssl, tls) != 1 || !set_kind(tls->ssl, kind)) {
        ERR_clear_error();
        tls_free(tls);
        return NULL;
    }
    return tls;
}

void tls_free(struct tls *tls)
{
    if (tls != NULL) {
        SSL_free(tls->ssl);
        free(tls);
    }
}

static void note_why(struct tls *tls, int error)
{
    unsigned long first = ERR_get_error();

    tls->broken = true;
    tls->error = error;
    tls->why = first != 0 ? ERR_reason_error_string(first) : NULL;
    ERR_clear_error();
}

/* What a call of OpenSSL that returned `result`, not success, means. */
static enum tls_status status_of(struct tls *tls, int result)
{
    int error = errno;

    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_ENDED;
    default:
        note_why(tls, error);
        return TLS_BROKEN;
    }
}

enum tls_status tls_handshake(struct tls *tls)
{
    int result;
    enum tls_status status;

    ERR_clear_error();
    errno = 0;
    result = SSL_do_handshake(tls->ssl);
    if (result == 1) {
        tls->known = true;
        return TLS_OK;
    }
    status = status_of(tls, result);
    if (status == TLS_ENDED) {
        note_why(tls, 0);
        return TLS_BROKEN;
    }
    return status;
}

static enum tls_status read_once(struct tls *tls, void *buf, size_t room,
                                 size_t *got)
{
    enum tls_status status;
    int result;

    ERR_clear_error();
    errno = 0;
    result = SSL_read_ex(tls->ssl, buf, room, got);
    if (result == 1) {
        tls->drained = false;
        return TLS_OK;
    }
    *got = 0;
    status = status_of(tls, result);
    tls->drained = true;
    tls->ended = status == TLS_ENDED;
    return status;
}

enum tls_status tls_read(struct tls *tls, const struct iovec *iov, unsigned n,
                         size_t *got)
{
    enum tls_status status = TLS_OK;
    size_t at = 0;

    *got = 0;
    for (unsigned i = 0; i < n && status == TLS_OK;) {
        size_t once = 0;

        if (at == iov[i].iov_len) {
            at = 0;
            i++;
            continue;
        }
        status = read_once(tls, (char *)iov[i].iov_base + at,
                           iov[i].iov_len - at, &once);
        at += once;
        *got += once;
        /* What is not here yet is not asked for. */
        if (!SSL_has_pending(tls->ssl)) {
            break;
        }
    }
    return *got > 0 ? TLS_OK : status;
}

bool tls_has_more(const struct tls *tls)
{
    return tls->ended || (!tls->drained && SSL_has_pending(tls->ssl) == 1);
}

/* The next bytes to send: a piece that fills the stage where it lies, else
 * what the stage takes of several. `skip` bytes of the first are sent. */
static struct iovec gather(const struct iovec *iov, unsigned n, size_t skip,
                           const struct iovec *stage)
{
    struct iovec out = {(char *)iov->iov_base + skip, iov->iov_len - skip};

    if (n == 1 || out.iov_len >= stage->iov_len) {
        return out;
    }
    out = (struct iovec){stage->iov_base, 0};
    for (unsigned i = 0; i < n && out.iov_len < stage->iov_len; i++) {
        size_t room = stage->iov_len - out.iov_len;
        size_t len = iov[i].iov_len - skip;

        len = len < room ? len : room;
        memcpy((char *)out.iov_base + out.iov_len,
               (const char *)iov[i].iov_base + skip, len);
        out.iov_len += len;
        skip = 0;
    }
    return out;
}

enum tls_status tls_write(struct tls *tls, const struct iovec *iov, unsigned n,
                          const struct iovec *stage, size_t *sent)
{
    size_t skip = 0;
    unsigned i = 0;

    *sent = 0;
    while (i < n) {
        size_t once = 0;
        struct iovec next;
        int result;

        if (skip >= iov[i].iov_len) {
            skip -= iov[i++].iov_len;
            continue;
        }
        next = gather(iov + i, n - i, skip, stage);
        ERR_clear_error();
        errno = 0;
        result = SSL_write_ex(tls->ssl, next.iov_base, next.iov_len, &once);
        if (result != 1) {
            return status_of(tls, result);
        }
        skip += once;
        *sent += once;
    }
    return TLS_OK;
}

void tls_part(struct tls *tls)
{
    if (tls->known && !tls->broken) {
        ERR_clear_error();
        (void)SSL_shutdown(tls->ssl); /* sent or not, it ends */
        ERR_clear_error();
    }
}

unsigned tls_sessions(const struct tls *tls)
{
    return tls->sessions;
}

void tls_why(const struct tls *tls, char why[TLS_WHY])
{
    long verified = SSL_get_verify_result(tls->ssl);
    const char *text = tls->why;

    if (text == NULL) {
        text = tls->error != 0 ? strerror(tls->error) : "connection closed";
    }
    if (verified == X509_V_OK) {
        (void)snprintf(why, TLS_WHY, "%s", text);
    } else {
        (void)snprintf(why, TLS_WHY, "%s: %s", text,
                       X509_verify_cert_error_string(verified));
    }
}
