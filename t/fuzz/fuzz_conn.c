/* The bytes of a whole connection, through conn, command and a store: however
 * they are cut, they are answered alike, and the end of them ends it.
 *
 * The first byte says which protocol the port speaks, and whether clients have
 * to authenticate themselves; the second, where the bytes are cut. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "authfile.h"
#include "base/log.h"
#include "serving.h"
#include "settings.h"

enum { HEADER = 2, INPUT_MAX = 65536, LINE = 2048 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t users[] = "bob:secret\nann:other\n";
static struct settings first;

/* Who may come in: the table is loaded from a file. */
static void load_users(void)
{
    char path[SERVING_PATH];

    serving_file(users, sizeof(users) - 1, path);
    demand(authfile_load(path) == AUTHFILE_OK);
}

static void init(void)
{
    static bool done;

    if (!done) {
        serving_init();
        load_users();
        first = settings;
        done = true;
    }
}

static bool take(void)
{
    char buf[16384];
    ssize_t n = recv(serving.client, buf, sizeof(buf), 0);

    if (n > 0) {
        serving_hear(buf, (size_t)n);
    }
    return n > 0;
}

/* Sends a piece; none where the daemon has closed. */
static void send_piece(const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(serving.client, p, n, MSG_NOSIGNAL);

        if (sent < 0 && errno != EAGAIN) {
            return;
        }
        p += sent < 0 ? 0 : sent;
        n -= sent < 0 ? 0 : (size_t)sent;
        serving_settle(take);
    }
}

/* What was answered, and whether the daemon closed by itself. */
struct answer {
    char *p;
    size_t n;
    bool closed;
};

static struct answer converse(const uint8_t *p, size_t n, uint8_t mode,
                              uint32_t seed, bool fresh)
{
    struct answer answer;

    settings = first;
    settings.auth_file = (mode & 4) != 0 ? "users" : NULL;
    settings.reqs_per_event = (mode & 8) != 0 ? 1 : settings.reqs_per_event;
    atomic_store(&log_verbosity, (mode & 16) != 0 ? 3 : 0);
    serving_begin(SOCK_STREAM, fresh);
    conn_open(serving.set, serving.server, CONN_UNIX, (mode & 3) % 3, TLS_NONE);
    while (n > 0) {
        size_t piece =
            seed == 0 ? n : 1 + serving_draw(&seed) % (n < 64 ? n : 64);

        piece = piece > n ? n : piece;
        send_piece(p, piece);
        p += piece;
        n -= piece;
    }
    serving_settle(take);
    answer.closed = conn_set_open_count(serving.set) == 0;
    (void)shutdown(serving.client, SHUT_WR); /* it may be closed */
    serving_settle(take);
    demand(conn_set_open_count(serving.set) == 0);
    demand(close(serving.client) == 0);
    answer.n = serving.nheard;
    answer.p = malloc(answer.n + 1);
    demand(answer.p != NULL);
    memcpy(answer.p, serving.heard == NULL ? "" : serving.heard, answer.n);
    serving_end();
    return answer;
}

static bool has(const uint8_t *p, size_t n, const char *word, size_t len)
{
    return memmem(p, n, word, len) != NULL;
}

/* Figures tell how often was read, and how long that took. */
static bool tells_figures(const uint8_t *p, size_t n)
{
    return has(p, n, "stats", 5) || has(p, n, "watch", 5) ||
           has(p, n, "crawler", 7) || has(p, n, "\x80\x10", 2);
}

/* Cas ids count on, but in a cache of its own. */
static bool tells_cas(const uint8_t *p, size_t n)
{
    return has(p, n, "\x80", 1) || has(p, n, "ts ", 3) || has(p, n, "cas", 3) ||
           has(p, n, " c", 2) || has(p, n, " C", 2);
}

/* Whether the answer depends on what arrives together: a key that is too long
 * takes the unsent answers with it, and a line that is may come whole. */
static bool has_long_line(const uint8_t *p, size_t n)
{
    size_t line = 0, word = 0;

    for (size_t i = 0; i < n && line <= LINE && word <= KEY_MAX_LENGTH; i++) {
        line = p[i] == '\n' ? 0 : line + 1;
        word = p[i] == '\n' || p[i] == ' ' ? 0 : word + 1;
    }
    return line > LINE || word > KEY_MAX_LENGTH;
}

/* The same, but that a connection which the daemon drops loses what was not
 * sent by then. */
static void compare(const struct answer *a, const struct answer *b)
{
    size_t n = a->n < b->n ? a->n : b->n;

    demand(a->closed == b->closed);
    demand(a->closed || a->n == b->n);
    demand(memcmp(a->p, b->p, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct answer whole, cut;
    const uint8_t *p = data + HEADER;
    bool fresh;

    if (size < HEADER || size > INPUT_MAX) {
        return 0;
    }
    init();
    size -= HEADER;
    fresh = tells_cas(p, size);
    whole = converse(p, size, data[0], 0, fresh);
    cut = converse(p, size, data[0], data[1] + 1U, fresh);
    if (!tells_figures(p, size) && !has_long_line(p, size)) {
        compare(&whole, &cut);
    }
    free(whole.p);
    free(cut.p);
    return 0;
}
