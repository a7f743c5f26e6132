#include "options_access.h"

#include <openssl/ssl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/log.h"
#include "base/util.h"
#include "options_internal.h"
#include "options_value.h"
#include "saslauth.h"
#include "settings.h"

enum { TLS_NEWEST = 3, WBUF_MAX_KIB = 65536 };

/* ---- values ----------------------------------------------------------- */

void options_take_ssl_keyformat(char *arg)
{
    settings.ssl_keyformat = (int)options_strict_number(arg, "ssl_keyformat");
}

void options_take_ssl_verify_mode(char *arg)
{
    /* The bits by which OpenSSL knows them, which `stats settings` shows. */
    static const int bits[] = {
        SSL_VERIFY_NONE,
        SSL_VERIFY_PEER,
        SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
        SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT |
            SSL_VERIFY_CLIENT_ONCE,
    };
    uint32_t mode = options_strict_number(arg, "ssl_verify_mode");

    if (mode >= sizeof(bits) / sizeof(bits[0])) {
        log_fatal(EXIT_FAILURE,
                  "Invalid ssl_verify_mode. Use help to see valid options.\n");
    }
    settings.ssl_verify_mode = bits[mode];
}

void options_take_ssl_wbuf_size(char *arg)
{
    uint32_t kib = options_strict_number(arg, "ssl_wbuf_size");

    if (kib < 1 || kib > WBUF_MAX_KIB) {
        log_fatal(EXIT_FAILURE,
                  "ssl_wbuf_size must be 1 to %d kilobytes, got %s\n",
                  WBUF_MAX_KIB, arg);
    }
    settings.ssl_wbuf_size = kib * KIB;
}

void options_take_ssl_min_version(char *arg)
{
    uint32_t version = options_strict_number(arg, "ssl_min_version");

    if (version > TLS_NEWEST) {
        log_fatal(EXIT_FAILURE,
                  "Invalid ssl_min_version. Use help to see valid options.\n");
    }
    settings.ssl_min_version = (int)version;
}

/* ---- together --------------------------------------------------------- */

static void check_sasl(void)
{
    if (!settings.sasl) {
        return;
    }
    if (!saslauth_is_built()) {
        log_fatal(EX_USAGE, "This server is not built with SASL support.\n");
    }
    if (!settings.binding_given) {
        settings.binding_protocol = SETTINGS_BINARY;
    }
    if (settings.binding_protocol != SETTINGS_BINARY) {
        log_fatal(EX_USAGE, "ERROR: You cannot allow the ASCII protocol while "
                            "using SASL.\n");
    }
    if (settings.udpport != 0) {
        log_fatal(EX_USAGE, "ERROR: Cannot enable UDP while using binary SASL "
                            "authentication.\n");
    }
}

static void check_auth_file(void)
{
    if (settings.auth_file == NULL) {
        return;
    }
    if (!settings.binding_given && !settings.sasl) {
        settings.binding_protocol = SETTINGS_ASCII;
    }
    if (settings.binding_protocol != SETTINGS_ASCII) {
        log_fatal(EX_USAGE, "ERROR: You cannot allow the BINARY protocol while "
                            "using ascii authentication tokens.\n");
    }
    if (settings.udpport != 0) {
        log_fatal(EX_USAGE, "Cannot use UDP with ascii authentication enabled "
                            "(-U 0 to disable)\n");
    }
}

void options_check_access(void)
{
    check_sasl();
    check_auth_file();
    if (settings.ssl_enabled && settings.port == 0) {
        log_fatal(EX_USAGE,
                  "ERROR: You cannot enable SSL without a TCP port.\n");
    }
}
