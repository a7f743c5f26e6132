#include "authfile.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <unistd.h>

#include "base/lock.h"

static struct lock table_lock; /* QUEUE */
static struct authfile_table table;

/* ---- parsing ---------------------------------------------------------- */

/* One line without its end; false when it has no colon. */
static bool parse_line(const char *p, size_t n, struct authfile_user *out)
{
    const char *colon = memchr(p, ':', n);

    if (colon == NULL) {
        return false;
    }
    out->nuser = (uint8_t)(colon - p);
    out->npass = (uint8_t)(n - 1 - out->nuser);
    memcpy(out->text, p, out->nuser);
    memcpy(out->text + out->nuser, colon + 1, out->npass);
    return true;
}

bool authfile_parse(const char *p, size_t n, struct authfile_table *out)
{
    const char *end = p + n;

    *out = (struct authfile_table){0};
    while (p < end && out->n < AUTHFILE_USERS) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        const char *stop = lf != NULL ? lf : end;
        size_t len;

        if (lf != NULL && stop > p && stop[-1] == '\r') {
            stop--;
        }
        len = (size_t)(stop - p);
        if (!parse_line(p, len < AUTHFILE_LINE ? len : AUTHFILE_LINE,
                        &out->user[out->n])) {
            return false;
        }
        out->n++;
        p = lf == NULL || len > AUTHFILE_LINE ? end : lf + 1;
    }
    return out->n > 0;
}

bool authfile_find(const struct authfile_table *users, const char *user,
                   size_t nuser, const char *pass, size_t npass)
{
    bool found = false;

    for (unsigned i = 0; i < users->n; i++) {
        const struct authfile_user *u = &users->user[i];

        /* Only the lengths may be told apart by the time this takes. */
        if (u->nuser == nuser && u->npass == npass) {
            int differs = CRYPTO_memcmp(u->text, user, nuser) |
                          CRYPTO_memcmp(u->text + nuser, pass, npass);

            found = (differs == 0) | found;
        }
    }
    return found;
}

/* ---- the table in force ----------------------------------------------- */

/* Bytes read, at most `room`; -1 with errno. */
static ssize_t read_file(int fd, char *buf, size_t room)
{
    size_t got = 0;
    ssize_t n;

    do {
        n = read(fd, buf + got, room - got);
        got += n > 0 ? (size_t)n : 0;
    } while ((n > 0 && got < room) || (n < 0 && errno == EINTR));
    return n < 0 ? -1 : (ssize_t)got;
}

enum authfile_status authfile_load(const char *path)
{
    enum authfile_status status = AUTHFILE_MALFORMED;
    struct authfile_table fresh;
    char text[AUTHFILE_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int error;
    ssize_t n;

    if (fd < 0) {
        return AUTHFILE_OPEN;
    }
    n = read_file(fd, text, sizeof(text));
    error = errno;
    (void)close(fd);
    if (n < 0) {
        errno = error;
        return AUTHFILE_READ;
    }
    if (authfile_parse(text, (size_t)n, &fresh)) {
        lock_take(&table_lock, LOCK_QUEUE);
        OPENSSL_cleanse(&table, sizeof(table));
        table = fresh;
        lock_drop(&table_lock, LOCK_QUEUE);
        status = AUTHFILE_OK;
    }
    OPENSSL_cleanse(&fresh, sizeof(fresh));
    OPENSSL_cleanse(text, sizeof(text));
    return status;
}

bool authfile_check(const char *user, size_t nuser, const char *pass,
                    size_t npass)
{
    bool found;

    lock_take(&table_lock, LOCK_QUEUE);
    found = authfile_find(&table, user, nuser, pass, npass);
    lock_drop(&table_lock, LOCK_QUEUE);
    return found;
}
