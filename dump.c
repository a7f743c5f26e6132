#include "dump.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/meta.h"
#include "proto/text.h"
#include "reply.h"
#include "settings.h"
#include "store.h"
#include "store_stats.h"
#include "stream.h"

enum {
    CLASSES = 63,      /* 1 to this may be asked for */
    LINE_BYTES = 1024, /* longest line: a key of 250 bytes makes 750 */
    END_BYTES = 8,
    TURN = 4096, /* items looked at in a turn, be they of the class or not */
    STEP = 64,   /* between looks at what is left of the turn */
};

struct dump {
    struct stream stream; /* first */
    struct store_cursor cursor;
    uint64_t classes; /* a bit for each that is wanted */
    bool meta;        /* metadump */
    struct out *out;  /* while it is being filled */
};

/* ---- lines ----------------------------------------------------------- */

/* Values in pieces are counted where most of their memory is. */
static unsigned class_of(const struct item *it)
{
    return item_is_chained(it) ? store_class_max() : it->slab_class;
}

static char *put_meta(char *p, const struct item *it)
{
    uint32_t accessed =
        atomic_load_explicit(&it->accessed, memory_order_relaxed);
    int64_t exptime = it->exptime == 0 ? -1 : (int64_t)it->exptime;

    memcpy(p, "key=", 4);
    p = util_uri_encode(p + 4, item_key(it), it->nkey);
    p += snprintf(p, LINE_BYTES / 4,
                  " exp=%" PRId64 " la=%" PRIu32 " cas=%" PRIu64
                  " fetch=%s cls=%u size=%zu flags=%" PRIu32 " \n",
                  exptime, accessed, item_cas(it),
                  it->bits & ITEM_FETCHED ? "yes" : "no", class_of(it),
                  item_total_size(it), item_flags(it));
    return p;
}

static char *put_mg(char *p, const struct item *it)
{
    memcpy(p, "mg ", 3);
    p += 3;
    if (it->bits & ITEM_B64KEY) {
        p = meta_encode(p, item_key(it), it->nkey);
        memcpy(p, " b", 2);
        p += 2;
    } else {
        memcpy(p, item_key(it), it->nkey);
        p += it->nkey;
    }
    memcpy(p, "\r\n", 2);
    return p + 2;
}

/* Stripe held. */
static bool visit(void *ctx, struct item *it)
{
    struct dump *d = ctx;
    char *tail = out_tail(d->out);

    if (out_space(d->out) < LINE_BYTES + END_BYTES) {
        return false;
    }
    if ((d->classes & 1ULL << class_of(it)) != 0 &&
        store_dead(it) == STORE_HIT) {
        out_wrote(d->out, d->meta ? put_meta(tail, it) : put_mg(tail, it));
    }
    return true;
}

/* ---- the stream ------------------------------------------------------ */

static enum stream_state fill(struct stream *stream, struct out *out)
{
    struct dump *d = (struct dump *)stream;
    size_t seen = 0;

    d->out = out;
    while (!d->cursor.done && seen < TURN &&
           out_space(out) >= LINE_BYTES + END_BYTES) {
        seen += store_walk(&d->cursor, STEP, visit, d) + 1;
    }
    if (!d->cursor.done) {
        return STREAM_MORE;
    }
    if (d->meta) {
        out_bytes(out, "END\r\n", 5);
    } else {
        out_bytes(out, "EN\r\n", 4);
    }
    return STREAM_END;
}

static void end(struct stream *stream)
{
    free(stream);
}

static const struct stream_kind kind = {.fill = fill, .end = end};

/* ---- the command ----------------------------------------------------- */

static bool word_is(const char *word, size_t n, const char *name)
{
    return n == strlen(name) && memcmp(word, name, n) == 0;
}

static bool word_begins(const char *word, size_t n, const char *name)
{
    return n <= strlen(name) && memcmp(word, name, n) == 0;
}

/* all, hash, or numbers of classes with commas between; 0: neither. */
static uint64_t classes_of(const char *word, size_t n)
{
    uint64_t classes = 0;

    if (word_is(word, n, "all") || word_is(word, n, "hash")) {
        return UINT64_MAX;
    }
    while (n > 0) {
        const char *comma = memchr(word, ',', n);
        size_t len = comma == NULL ? n : (size_t)(comma - word);
        uint32_t id;

        if (len > 0) {
            if (!util_parse_u32(word, len, &id) || id < 1 || id > CLASSES) {
                return 0;
            }
            classes |= 1ULL << id;
        }
        len += comma == NULL ? 0 : 1;
        word += len;
        n -= len;
    }
    return classes;
}

/* The words of the command; false: not just two. */
struct words {
    const char *what, *which;
    size_t what_len, which_len; /* 0: missing */
};

static bool split(const struct request *req, struct words *w)
{
    struct request args = *req;
    const char *more;
    size_t n;

    *w = (struct words){0};
    if (!text_next_key(&args, &w->what, &w->what_len)) {
        return false;
    }
    return text_next_key(&args, &w->which, &w->which_len) &&
           !text_next_key(&args, &more, &n);
}

bool dump_is_meant(const struct request *req)
{
    struct words w;

    (void)split(req, &w);
    return w.what_len > 0 && (word_begins(w.what, w.what_len, "metadump") ||
                              word_begins(w.what, w.what_len, "mgdump"));
}

static const char *begin(struct command *cmd, bool meta, uint64_t classes)
{
    struct dump *d = malloc(sizeof(*d));

    if (d == NULL) {
        COUNT(cmd->counters, malloc_fails);
        return "SERVER_ERROR out of memory";
    }
    *d = (struct dump){
        .stream = {.kind = &kind}, .classes = classes, .meta = meta};
    cmd->stream = &d->stream;
    return NULL;
}

static const char *refusal_of(const struct command *cmd, bool meta,
                              uint64_t classes)
{
    if (!settings.dump_enabled) {
        return meta ? "ERROR metadump not allowed"
                    : "ERROR key dump not allowed";
    }
    if (!out_is_empty(cmd->out)) {
        return meta ? "ERROR cannot pipeline other commands before metadump"
                    : "ERROR cannot pipeline other commands before mgdump";
    }
    return classes == 0 ? "BADCLASS invalid class id" : NULL;
}

enum command_result dump_run(struct command *cmd, int fd,
                             const struct request *req)
{
    const char *refusal = "ERROR";
    struct words w;

    if (split(req, &w)) {
        bool meta = word_begins(w.what, w.what_len, "metadump");
        uint64_t classes = classes_of(w.which, w.which_len);

        refusal = refusal_of(cmd, meta, classes);
        if (refusal == NULL) {
            refusal = begin(cmd, meta, classes);
        }
    }
    reply_text(cmd, fd, refusal != NULL && req->noreply,
               refusal == NULL ? "OK" : refusal);
    return refusal == NULL ? COMMAND_STREAM : COMMAND_DONE;
}
