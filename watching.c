#include "watching.h"

#include <stdlib.h>
#include <string.h>

#include "proto/text.h"
#include "reply.h"
#include "settings.h"
#include "stream.h"
#include "watch.h"

struct watching {
    struct stream stream; /* first */
    struct watcher *watcher;
};

static enum stream_state fill(struct stream *stream, struct out *out)
{
    struct watching *w = (struct watching *)stream;
    char *tail = out_tail(out);
    size_t room = out_space(out);
    size_t n = watch_read(w->watcher, tail, room);

    out_wrote(out, tail + n);
    return n == room ? STREAM_MORE : STREAM_IDLE;
}

static void end(struct stream *stream)
{
    struct watching *w = (struct watching *)stream;

    watch_remove(w->watcher);
    free(w);
}

static const struct stream_kind kind = {
    .for_good = true, .fill = fill, .end = end};

/* The stream that a word, or its beginning, means; 0: none. */
static unsigned stream_of(const char *word, size_t n)
{
    static const struct {
        const char *name;
        enum watch_stream stream;
    } rows[] = {
        {"rawcmds", WATCH_RAWCMDS},     {"evictions", WATCH_EVICTIONS},
        {"fetchers", WATCH_FETCHERS},   {"mutations", WATCH_MUTATIONS},
        {"sysevents", WATCH_SYSEVENTS}, {"connevents", WATCH_CONNEVENTS},
        {"proxyreqs", WATCH_PROXYREQS}, {"proxyevents", WATCH_PROXYEVENTS},
        {"proxyuser", WATCH_PROXYUSER}, {"deletions", WATCH_DELETIONS},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (n <= strlen(rows[i].name) && memcmp(word, rows[i].name, n) == 0) {
            return (unsigned)rows[i].stream;
        }
    }
    return 0;
}

/* All that are asked for; 0: one of them is unknown. */
static unsigned streams_of(const struct request *req)
{
    struct request args = *req;
    unsigned streams = 0;
    const char *word;
    size_t n;

    while (text_next_key(&args, &word, &n)) {
        unsigned one = stream_of(word, n);

        if (one == 0) {
            return 0;
        }
        streams |= one;
    }
    return streams == 0 ? WATCH_FETCHERS : streams;
}

static const char *begin(struct command *cmd, unsigned streams)
{
    struct watching *w = malloc(sizeof(*w));
    enum watch_status status =
        w == NULL ? WATCH_NO_MEMORY
                  : watch_add(streams, settings.watcher_logbuf_size, cmd->wake,
                              cmd->wake_ctx, &w->watcher);

    switch (status) {
    case WATCH_OK:
        w->stream.kind = &kind;
        cmd->stream = &w->stream;
        return NULL;
    case WATCH_TOO_MANY:
        free(w);
        return "WATCHER_TOO_MANY log watcher limit reached";
    case WATCH_NO_MEMORY:
        break;
    }
    free(w);
    COUNT(cmd->counters, malloc_fails);
    return "WATCHER_FAILED failed to add log watcher";
}

enum command_result watching_run(struct command *cmd, int fd,
                                 const struct request *req)
{
    unsigned streams = streams_of(req);
    const char *refusal;

    if (!settings.watch_enabled) {
        refusal = "CLIENT_ERROR watch commands not allowed";
    } else if (!out_is_empty(cmd->out)) {
        refusal = "ERROR cannot pipeline other commands before watch";
    } else if (streams == 0) {
        refusal = "ERROR";
    } else {
        refusal = begin(cmd, streams);
    }
    reply_text(cmd, fd, false, refusal == NULL ? "OK" : refusal);
    return refusal == NULL ? COMMAND_STREAM : COMMAND_DONE;
}

void watching_evicted(const struct item *it)
{
    if (watch_wanted(WATCH_EVICTIONS)) {
        const struct watch_evicted evicted = {
            .key = item_key(it),
            .nkey = it->nkey,
            .slab_class = it->slab_class,
            .nbytes = it->nbytes,
            .exptime = it->exptime,
            .accessed =
                atomic_load_explicit(&it->accessed, memory_order_relaxed),
            .fetched = (it->bits & ITEM_FETCHED) != 0,
        };

        watch_eviction(&evicted);
    }
}
