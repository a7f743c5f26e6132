#include "reptrust.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "repdial.h"
#include "settings.h"

#define LEGACY_MAX 16 /* addresses of rep_legacy= */

static struct {
    struct rep_auth_secret *secret;
    struct sockaddr_storage legacy[LEGACY_MAX];
    unsigned nlegacy;
    bool any, off;
} self; /* [c] */

/* ---- rep_legacy= ------------------------------------------------------ */

static bool parse_one(const char *text, size_t len, char *error, size_t n)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *ai = NULL;
    char host[64] = "";

    if (len < sizeof(host)) {
        memcpy(host, text, len);
    }
    if (strcmp(host, "any") == 0) {
        self.any = true;
        return true;
    }
    if (strcmp(host, "off") == 0) {
        self.off = true;
        return true;
    }
    if (host[0] == '\0' || getaddrinfo(host, NULL, &hints, &ai) != 0) {
        (void)snprintf(error, n,
                       "rep_legacy must be any, off, or IP addresses with "
                       "commas between, got \"%.*s\"",
                       (int)len, text);
        return false;
    }
    if (self.nlegacy == LEGACY_MAX) {
        freeaddrinfo(ai);
        (void)snprintf(error, n, "rep_legacy takes at most %d addresses",
                       LEGACY_MAX);
        return false;
    }
    memcpy(&self.legacy[self.nlegacy++], ai->ai_addr, ai->ai_addrlen);
    freeaddrinfo(ai);
    return true;
}

static bool parse_legacy(const char *list, char *error, size_t n)
{
    bool more = list != NULL;

    while (more) {
        size_t len = strcspn(list, ",;");

        if (!parse_one(list, len, error, n)) {
            return false;
        }
        more = list[len] != '\0';
        list += len + 1;
    }
    if (self.off && (self.any || self.nlegacy > 0)) {
        (void)snprintf(error, n,
                       "rep_legacy=off goes with no other value of it");
        return false;
    }
    return true;
}

/* ---- the interface ---------------------------------------------------- */

bool reptrust_init(char *error, size_t n)
{
    char why[REP_AUTH_WHY];

    if (!parse_legacy(settings.rep_legacy, error, n)) {
        return false;
    }
    if (settings.rep_tls && settings.rep_legacy != NULL && !self.off) {
        (void)snprintf(error, n,
                       "rep_tls and rep_legacy do not go together: "
                       "repcached 2.x speaks no TLS");
        return false;
    }
    if (settings.rep_secret_file == NULL) {
        return true;
    }
    if (settings.rep_legacy != NULL && !self.off) {
        (void)snprintf(error, n,
                       "rep_secret_file and rep_legacy do not go together: "
                       "repcached 2.x cannot prove a secret");
        return false;
    }
    self.secret = rep_auth_secret_load(settings.rep_secret_file, why);
    if (self.secret == NULL) {
        (void)snprintf(error, n, "%s", why);
        return false;
    }
    return true;
}

void reptrust_fini(void)
{
    rep_auth_secret_free(self.secret);
    self.secret = NULL;
}

void reptrust_reload(void)
{
    struct rep_auth_secret *read;
    char why[REP_AUTH_WHY];

    if (self.secret == NULL) {
        return;
    }
    read = rep_auth_secret_load(settings.rep_secret_file, why);
    if (read == NULL) {
        log_print(0, "Could not reload the secret on SIGHUP: %s\n", why);
        return;
    }
    rep_auth_secret_become(self.secret, read);
    log_print(1, "replication: rep_secret_file read again (secrets=%u)\n",
              rep_auth_secret_count(self.secret));
}

struct rep_auth_secret *reptrust_secret(void)
{
    return self.secret;
}

void reptrust_warn(bool is_public)
{
    static bool warned;

    if (warned || !is_public || self.secret != NULL || settings.rep_tls) {
        return;
    }
    warned = true;
    log_print(0,
              "WARNING: whoever reaches replication port %d can read and write "
              "the whole cache: set -o rep_secret_file, or keep the port "
              "private by -o rep_listen or -l.\n",
              settings.rep_listen_port);
}

bool reptrust_allows_legacy(void)
{
    return self.secret == NULL && !settings.rep_tls && !self.off;
}

bool reptrust_is_legacy(const struct sockaddr *addr)
{
    for (unsigned i = 0; i < self.nlegacy; i++) {
        if (repdial_same_host((const struct sockaddr *)&self.legacy[i], addr)) {
            return true;
        }
    }
    return self.any;
}
