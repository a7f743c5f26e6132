#include "secrets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "authfile.h"
#include "base/log.h"
#include "settings.h"

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
    if (settings.auth_file != NULL) {
        load_auth_file();
    }
}

void secrets_reload(void)
{
    if (settings.auth_file != NULL) {
        /* Without a word, as in stock: who wrote it sees what works. */
        (void)!authfile_load(settings.auth_file);
    }
}
