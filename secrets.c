#include "secrets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "authfile.h"
#include "base/log.h"
#include "saslauth.h"
#include "settings.h"
#include "tls.h"

static bool has_certificates(void)
{
    return settings.ssl_enabled || settings.rep_tls;
}

bool secrets_are_used(void)
{
    return has_certificates() || settings.auth_file != NULL ||
           settings.rep_secret_file != NULL;
}

static void load_auth_file(void)
{
    const char *path = settings.auth_file;
    enum authfile_status status = authfile_load(path);
    const char *why = strerror(errno);

    switch (status) {
    case AUTHFILE_OK:
        return;
    case AUTHFILE_OPEN:
        log_fatal(EXIT_FAILURE,
                  "Could not open authfile [%s] for reading, error %s: %s\n",
                  path, why, why);
    case AUTHFILE_READ:
        log_fatal(EXIT_FAILURE, "Could not read authfile [%s], error %s\n",
                  path, why);
    case AUTHFILE_MALFORMED:
        log_fatal(EXIT_FAILURE,
                  "Authfile [%s] has a malformed entry. Should be "
                  "'user:password'",
                  path);
    }
}

void secrets_load(void)
{
    char why[TLS_WHY];

    if (has_certificates() && !tls_init(why)) {
        log_fatal(EX_USAGE, "%s\n", why);
    }
    if (settings.sasl && !saslauth_init()) {
        log_fatal(EXIT_FAILURE, "Error initializing sasl.\n");
    }
    if (settings.auth_file != NULL) {
        load_auth_file();
    }
}

void secrets_reload(void)
{
    char why[TLS_WHY];

    errno = 0;
    if (has_certificates() && !tls_refresh(why)) {
        log_print(0, "Could not reload TLS certificates on SIGHUP: %s: %s\n",
                  why, strerror(errno));
    }
    if (settings.auth_file != NULL) {
        /* Without a word, as in stock: who wrote it sees what works. */
        (void)!authfile_load(settings.auth_file);
    }
}

bool secrets_refresh(char *why, size_t n)
{
    char message[TLS_WHY];

    if (!settings.ssl_enabled) {
        (void)snprintf(why, n, "Error TLS not enabled");
        return false;
    }
    if (!tls_refresh(message)) {
        (void)snprintf(why, n, "%s", message);
        return false;
    }
    return true;
}

uint32_t secrets_refreshed(void)
{
    return tls_refreshed();
}

void secrets_fini(void)
{
    tls_fini();
    if (settings.sasl) {
        saslauth_fini();
    }
}
