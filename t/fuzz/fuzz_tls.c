/* What clients send to a TLS port, through tls, conn and a store: bytes as they
 * are, or those of a client that does speak TLS, some of them changed on the
 * way. The connection ends with its bytes, whatever they were, and where none
 * was changed the client is answered.
 *
 * Of the input, the first byte says who may come in and whether there is such a
 * client, the second where the bytes are cut; with a client, the next says how
 * many bytes change, three bytes for each: where, and to what; the rest is what
 * is sent. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serving.h"
#include "settings.h"
#include "tls.h"

enum { HEADER = 2, INPUT_MAX = 16384, CHANGES_MAX = 7, ROUNDS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char cert_path[SERVING_PATH];
static SSL_CTX *client_ctx;

/* The client that speaks TLS. */
static struct {
    SSL *ssl;
    BIO *in, *out; /* what it hears, what it says */
    const uint8_t *change;
    unsigned changes; /* those that are left of them */
    size_t said;      /* bytes so far */
    bool changed;     /* what it said is not what is heard */
    uint32_t seed;
} client;

/* ---- a certificate for both ------------------------------------------- */

static X509 *make_cert(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);

    demand(X509_set_version(cert, 2) == 1);
    demand(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1);
    demand(X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL);
    demand(X509_gmtime_adj(X509_getm_notAfter(cert), 360000000) != NULL);
    demand(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                      (const unsigned char *)"fuzz", -1, -1,
                                      0) == 1);
    demand(X509_set_issuer_name(cert, name) == 1);
    demand(X509_set_pubkey(cert, key) == 1);
    demand(X509_sign(cert, key, EVP_sha256()) > 0);
    return cert;
}

static void write_cert(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_cert(key);
    BIO *text = BIO_new(BIO_s_mem());
    char *p;
    long n;

    demand(text != NULL && PEM_write_bio_X509(text, cert) == 1);
    demand(PEM_write_bio_PrivateKey(text, key, NULL, NULL, 0, NULL, NULL) == 1);
    n = BIO_get_mem_data(text, &p);
    serving_file(p, (size_t)n, cert_path);
    BIO_free(text);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void init(void)
{
    static bool done;
    char why[TLS_WHY];

    if (done) {
        return;
    }
    write_cert();
    settings.ssl_enabled = true;
    settings.ssl_chain_cert = cert_path;
    settings.ssl_key = cert_path;
    settings.ssl_ca_cert = cert_path;
    settings.ssl_verify_mode = SSL_VERIFY_NONE;
    demand(tls_init(why));
    serving_init();
    client_ctx = SSL_CTX_new(TLS_client_method());
    demand(client_ctx != NULL);
    demand(SSL_CTX_use_certificate_chain_file(client_ctx, cert_path) == 1);
    demand(SSL_CTX_use_PrivateKey_file(client_ctx, cert_path,
                                       SSL_FILETYPE_PEM) == 1);
    done = true;
}

/* ---- bytes -------------------------------------------------------------- */

static bool take(void)
{
    char buf[16384];
    ssize_t n = recv(serving.client, buf, sizeof(buf), 0);

    if (n > 0 && client.ssl != NULL) {
        demand(BIO_write(client.in, buf, (int)n) == (int)n);
    }
    return n > 0;
}

static void send_piece(const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(serving.client, p, n, MSG_NOSIGNAL);

        if (sent < 0 && errno != EAGAIN) {
            return; /* closed */
        }
        p += sent < 0 ? 0 : sent;
        n -= sent < 0 ? 0 : (size_t)sent;
        serving_settle(take);
    }
}

static void send_cut(const uint8_t *p, size_t n, uint32_t *seed)
{
    while (n > 0) {
        size_t piece = *seed == 0 ? n : 1 + serving_draw(seed) % 200;

        piece = piece > n ? n : piece;
        send_piece(p, piece);
        p += piece;
        n -= piece;
    }
}

/* Changes what is due of the `n` bytes that the client says next. */
static void change(uint8_t *p, size_t n)
{
    for (; client.changes > 0; client.changes--, client.change += 3) {
        size_t at = (size_t)client.change[0] << 8 | client.change[1];

        if (at >= client.said + n) {
            break;
        }
        if (at >= client.said && client.change[2] != 0) {
            p[at - client.said] ^= client.change[2];
            client.changed = true;
        }
    }
    client.said += n;
}

/* What the client has to say goes out, and the answer in. */
static void carry(void)
{
    uint8_t buf[16384];
    int n;

    while ((n = BIO_read(client.out, buf, sizeof(buf))) > 0) {
        change(buf, (size_t)n);
        send_cut(buf, (size_t)n, &client.seed);
    }
    serving_settle(take);
}

/* ---- a client ----------------------------------------------------------- */

static void client_begin(const uint8_t *p, unsigned changes, uint32_t seed)
{
    client.ssl = SSL_new(client_ctx);
    client.in = BIO_new(BIO_s_mem());
    client.out = BIO_new(BIO_s_mem());
    demand(client.ssl != NULL && client.in != NULL && client.out != NULL);
    SSL_set_bio(client.ssl, client.in, client.out); /* takes them */
    SSL_set_connect_state(client.ssl);
    client.change = p;
    client.changes = changes;
    client.said = 0;
    client.changed = false;
    client.seed = seed;
}

static bool client_connect(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        int rc = SSL_do_handshake(client.ssl);
        int error = SSL_get_error(client.ssl, rc);

        carry();
        if (rc == 1 || error != SSL_ERROR_WANT_READ ||
            conn_set_open_count(serving.set) == 0) {
            ERR_clear_error();
            return rc == 1;
        }
    }
    return false;
}

/* Reads on until nothing comes; what came at last is left in `last`. */
static void client_read(char last[4])
{
    char buf[16384];
    int n;

    carry();
    while ((n = SSL_read(client.ssl, buf, sizeof(buf))) > 0) {
        for (int i = 0; i < n; i++) {
            memmove(last, last + 1, 3);
            last[3] = buf[i];
        }
        carry();
    }
    ERR_clear_error();
}

/* Sends the commands, then a question if they leave the connection open. */
static void client_ask(const uint8_t *p, size_t n)
{
    char last[4] = "";

    if (n > 0 && SSL_write(client.ssl, p, (int)n) > 0) {
        client_read(last);
    }
    ERR_clear_error();
    if (n > 0 || client.changed) {
        return;
    }
    demand(SSL_write(client.ssl, "mn\r\n", 4) == 4);
    client_read(last);
    demand(client.changed || memcmp(last, "MN\r\n", 4) == 0);
}

static void run_client(const uint8_t *p, size_t n, uint32_t seed)
{
    unsigned changes = n == 0 ? 0 : p[0] % (CHANGES_MAX + 1);

    p += n > 0;
    n -= n > 0;
    changes = changes * 3 > n ? (unsigned)n / 3 : changes;
    client_begin(p, changes, seed);
    if (client_connect()) {
        client_ask(p + (size_t)changes * 3, n - (size_t)changes * 3);
    } else {
        demand(client.changed);
    }
    SSL_free(client.ssl);
    client.ssl = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum tls_kind kinds[] = {TLS_CLIENT, TLS_BASIC, TLS_MUTUAL,
                                          TLS_CLIENT};
    uint32_t seed;

    if (size < HEADER || size > INPUT_MAX) {
        return 0;
    }
    init();
    seed = data[1];
    serving_begin(SOCK_STREAM, false);
    conn_open(serving.set, serving.server, CONN_UNIX, CONN_AUTO,
              kinds[data[0] & 3]);
    if ((data[0] & 4) != 0) {
        run_client(data + HEADER, size - HEADER, seed);
    } else {
        send_cut(data + HEADER, size - HEADER, &seed);
    }
    (void)shutdown(serving.client, SHUT_WR); /* it may be closed */
    serving_settle(take);
    demand(conn_set_open_count(serving.set) == 0);
    demand(close(serving.client) == 0);
    serving_end();
    return 0;
}
