#include "saslauth.h"

#include <pthread.h>
#include <sasl/sasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define SERVICE        "memcached"
#define CONFIG         "memcached.conf"
#define PATH_MAX_BYTES 4096

struct saslauth {
    sasl_conn_t *conn;
    bool begun; /* an exchange is under way */
    bool known;
};

static char host[256]; /* [c] ours, which some mechanisms name */

/* ---- what the library asks -------------------------------------------- */

static bool holds_config(const char *folder)
{
    char path[PATH_MAX_BYTES];
    struct stat st;

    return (size_t)snprintf(path, sizeof(path), "%s/%s", folder, CONFIG) <
               sizeof(path) &&
           stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The folder of the configuration, or NULL. */
static const char *find_config(void)
{
    static const char *const usual[] = {
        "/etc/sasl",
        "/etc/sasl/" CONFIG,
        "/etc/sasl2",
        "/etc/sasl2/" CONFIG,
    };
    const char *chosen = getenv("SASL_CONF_PATH");

    if (chosen != NULL) {
        return holds_config(chosen) ? chosen : NULL;
    }
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        if (holds_config(usual[i])) {
            return usual[i];
        }
    }
    return NULL;
}

/* Never at the levels that show passwords. */
static int on_log(void *context, int level, const char *message)
{
    bool grave = level == SASL_LOG_ERR || level == SASL_LOG_FAIL ||
                 level == SASL_LOG_WARN;

    (void)context;
    if (grave || level == SASL_LOG_NOTE || level == SASL_LOG_DEBUG) {
        log_print(grave ? 1 : 2, "SASL (severity %d): %s\n", level, message);
    }
    return SASL_OK;
}

/* The library's type for all of them; which has what arguments its id says. */
typedef int (*callback)(void);
typedef void (*anything)(void); /* which any function may be cast to */

static const sasl_callback_t callbacks[] = {
    {SASL_CB_LOG, (callback)(anything)on_log, NULL},
    {SASL_CB_LIST_END, NULL, NULL},
};

/* ---- its locks -------------------------------------------------------- */

static void *mutex_new(void)
{
    pthread_mutex_t *mutex = malloc(sizeof(*mutex));

    if (mutex != NULL && pthread_mutex_init(mutex, NULL) != 0) {
        free(mutex);
        mutex = NULL;
    }
    return mutex;
}

static int mutex_lock(void *mutex)
{
    return pthread_mutex_lock(mutex) == 0 ? SASL_OK : SASL_FAIL;
}

static int mutex_unlock(void *mutex)
{
    return pthread_mutex_unlock(mutex) == 0 ? SASL_OK : SASL_FAIL;
}

static void mutex_free(void *mutex)
{
    (void)pthread_mutex_destroy(mutex);
    free(mutex);
}

/* ---- the library ------------------------------------------------------ */

bool saslauth_is_built(void)
{
    return true;
}

/* Unlike the callback for it this copies the path, and leaks none. */
static bool use_config(const char *folder)
{
    char path[PATH_MAX_BYTES];

    (void)snprintf(path, sizeof(path), "%s", folder); /* holds_config */
    return sasl_set_path(SASL_PATH_TYPE_CONFIG, path) == SASL_OK;
}

bool saslauth_init(void)
{
    const char *folder = find_config();

    if (folder == NULL) {
        log_print(1, "Failed to locate a config path\n");
        return false;
    }
    log_print(1, "Reading configuration from: <%s>\n", folder);
    if (gethostname(host, sizeof(host) - 1) != 0) {
        host[0] = '\0';
    }
    sasl_set_mutex(mutex_new, mutex_lock, mutex_unlock, mutex_free);
    if (!use_config(folder) ||
        sasl_server_init(callbacks, SERVICE) != SASL_OK) {
        return false;
    }
    log_print(1, "Initialized SASL.\n");
    return true;
}

void saslauth_fini(void)
{
    sasl_done();
}

/* ---- one client ------------------------------------------------------- */

/* A conversation that nothing was said in. */
static bool renew(struct saslauth *auth)
{
    /* No layer of the mechanism is ever put on the bytes that follow. */
    static const sasl_security_properties_t plain = {0};

    sasl_dispose(&auth->conn);
    auth->known = false;
    auth->begun = false;
    return sasl_server_new(SERVICE, host[0] != '\0' ? host : NULL, NULL, NULL,
                           NULL, NULL, 0, &auth->conn) == SASL_OK &&
           sasl_setprop(auth->conn, SASL_SEC_PROPS, &plain) == SASL_OK;
}

struct saslauth *saslauth_new(void)
{
    struct saslauth *auth = calloc(1, sizeof(*auth));

    if (auth != NULL && !renew(auth)) {
        saslauth_free(auth);
        auth = NULL;
    }
    return auth;
}

void saslauth_free(struct saslauth *auth)
{
    if (auth != NULL) {
        sasl_dispose(&auth->conn);
        free(auth);
    }
}

struct saslauth_text saslauth_list(struct saslauth *auth)
{
    struct saslauth_text list = {"", 0};
    const char *text;
    unsigned len;

    if (sasl_listmech(auth->conn, NULL, "", " ", "", &text, &len, NULL) ==
        SASL_OK) {
        list = (struct saslauth_text){text, len};
    }
    return list;
}

static enum saslauth_status conclude(struct saslauth *auth, int result)
{
    log_print(1, "sasl result code:  %d\n", result);
    auth->known = result == SASL_OK;
    auth->begun = result == SASL_CONTINUE;
    if (auth->known) {
        return SASLAUTH_OK;
    }
    if (auth->begun) {
        return SASLAUTH_MORE;
    }
    log_print(1, "Unknown sasl response:  %d\n", result);
    return SASLAUTH_NO;
}

enum saslauth_status saslauth_start(struct saslauth *auth,
                                    struct saslauth_text mechanism,
                                    struct saslauth_text data,
                                    struct saslauth_text *answer)
{
    char name[SASLAUTH_MECHANISM_MAX + 1];
    const char *out = NULL;
    unsigned n = 0;
    int result;

    *answer = (struct saslauth_text){"", 0};
    (void)snprintf(name, sizeof(name), "%.*s", (int)mechanism.len,
                   mechanism.ptr);
    log_print(1, "mech:  ``%s'' with %zu bytes of data\n", name, data.len);
    if (!renew(auth)) {
        return SASLAUTH_NO;
    }
    result = sasl_server_start(auth->conn, name, data.len > 0 ? data.ptr : NULL,
                               (unsigned)data.len, &out, &n);
    if (out != NULL) {
        *answer = (struct saslauth_text){out, n};
    }
    return conclude(auth, result);
}

enum saslauth_status saslauth_step(struct saslauth *auth,
                                   struct saslauth_text data,
                                   struct saslauth_text *answer)
{
    const char *out = NULL;
    unsigned n = 0;
    int result;

    *answer = (struct saslauth_text){"", 0};
    auth->known = false;
    if (!auth->begun) {
        return SASLAUTH_NO;
    }
    result =
        sasl_server_step(auth->conn, data.ptr, (unsigned)data.len, &out, &n);
    if (out != NULL) {
        *answer = (struct saslauth_text){out, n};
    }
    return conclude(auth, result);
}

bool saslauth_is_known(const struct saslauth *auth)
{
    return auth->known;
}
