#include "upload_binary.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "lookup.h"
#include "mutation.h"
#include "prefix.h"
#include "reply_binary.h"
#include "settings.h"
#include "store_stats.h"

/* With a cas, set, add and replace are all one: what is there must have it. */
static enum store_mode mode_of(enum binary_verb verb, uint64_t cas)
{
    static const uint8_t modes[] = {
        [BINARY_SET] = STORE_SET,         [BINARY_ADD] = STORE_ADD,
        [BINARY_REPLACE] = STORE_REPLACE, [BINARY_APPEND] = STORE_APPEND,
        [BINARY_PREPEND] = STORE_PREPEND,
    };
    bool joins = verb == BINARY_APPEND || verb == BINARY_PREPEND;

    return cas != 0 && !joins ? STORE_CAS : (enum store_mode)modes[verb];
}

/* Of a value that the mode did not want. */
static enum binary_code not_stored_code(enum binary_verb verb)
{
    switch (verb) {
    case BINARY_ADD:
        return BINARY_EXISTS;
    case BINARY_REPLACE:
        return BINARY_NOT_FOUND;
    case BINARY_SET:
    case BINARY_APPEND:
    case BINARY_PREPEND:
    case BINARY_UNKNOWN:
    case BINARY_GET:
    case BINARY_GAT:
    case BINARY_TOUCH:
    case BINARY_DELETE:
    case BINARY_INCR:
    case BINARY_DECR:
    case BINARY_FLUSH:
    case BINARY_NOOP:
    case BINARY_VERSION:
    case BINARY_STAT:
    case BINARY_QUIT:
        break;
    }
    return BINARY_NOT_STORED;
}

static void answer(struct command *cmd, int fd, const struct binary_tag *tag,
                   enum binary_verb verb, enum store_status status,
                   uint64_t cas)
{
    switch (status) {
    case STORE_OK:
        reply_binary_done(cmd, fd, tag, cas);
        return;
    case STORE_NOT_STORED:
        reply_binary_error(cmd, fd, tag, not_stored_code(verb), NULL);
        return;
    case STORE_EXISTS:
        reply_binary_error(cmd, fd, tag, BINARY_EXISTS, NULL);
        return;
    case STORE_NOT_FOUND:
        reply_binary_error(cmd, fd, tag, BINARY_NOT_FOUND, NULL);
        return;
    case STORE_TOO_LARGE:
        reply_binary_error(cmd, fd, tag, BINARY_TOO_LARGE, NULL);
        return;
    case STORE_NO_MEMORY:
    case STORE_NON_NUMERIC: /* no store says so */
        break;
    }
    reply_binary_error(cmd, fd, tag, BINARY_NO_MEMORY,
                       "Out of memory allocating item");
}

/* The answer to a value that was swallowed. */
static void answer_refusal(struct command *cmd, int fd,
                           const struct binary_tag *tag, enum reply refusal)
{
    if (refusal == REPLY_TOO_LARGE) {
        reply_binary_error(cmd, fd, tag, BINARY_TOO_LARGE, NULL);
    } else if (refusal == REPLY_NO_MEMORY_READ) {
        reply_binary_error(cmd, fd, tag, BINARY_NO_MEMORY,
                           "Out of memory during read");
    } else if (refusal == REPLY_NO_MEMORY_STORE) {
        reply_binary_error(cmd, fd, tag, BINARY_NO_MEMORY,
                           "Out of memory allocating item");
    } else {
        reply_binary_error(cmd, fd, tag, BINARY_UNKNOWN_COMMAND, NULL);
    }
}

/* Without cas ids (-C) nobody can ask for one. */
static uint64_t cas_of(const struct binary_request *req)
{
    return settings.use_cas ? req->cas : 0;
}

static struct store_attrs attrs_of(const struct binary_request *req)
{
    return (struct store_attrs){
        .flags = req->flags,
        .exptime = req->exptime == 0 ? 0 : store_exptime(req->exptime),
    };
}

/* What could not be given room is not counted at all. */
static void count(struct command *cmd, enum store_mode mode,
                  enum store_status status, unsigned slab_class)
{
    if (status == STORE_TOO_LARGE || status == STORE_NO_MEMORY) {
        return;
    }
    COUNT(cmd->counters, cmd_set);
    lookup_count_class(cmd, slab_class, CLASS_CMD_SET);
    if (mode == STORE_CAS) {
        upload_count_cas(cmd, status, slab_class);
    }
}

static void tell(int fd, const struct binary_request *req,
                 enum store_status status)
{
    struct store_key key = lookup_binary_key(req);
    const struct store_terms terms = {
        .attrs = attrs_of(req),
        .mode = mode_of((enum binary_verb)req->verb, cas_of(req))};

    mutation_tell_terms(fd, &key, &terms, status, req->nbytes);
}

/* A set that finds no room removes what was there, with a cas or without. */
static void drop_unstored(enum binary_verb verb, enum store_mode mode,
                          const struct store_key *key, enum store_status status)
{
    if (verb == BINARY_SET && mode == STORE_CAS &&
        (status == STORE_TOO_LARGE || status == STORE_NO_MEMORY)) {
        (void)!store_delete(key, 0, NULL);
    }
}

static void store_whole(struct command *cmd, int fd,
                        const struct binary_request *req, const char *data)
{
    enum binary_verb verb = (enum binary_verb)req->verb;
    enum store_mode mode = mode_of(verb, cas_of(req));
    struct store_key key = lookup_binary_key(req);
    struct store_attrs attrs = attrs_of(req);
    uint64_t cas = cas_of(req);
    enum store_status status;

    mutation_tell_lookup(fd, &key);
    status = store_set(&key, &attrs, mode, data, req->nbytes, &cas);
    if (watch_wanted(WATCH_MUTATIONS)) {
        tell(fd, req, status);
    }
    drop_unstored(verb, mode, &key, status);
    count(cmd, mode, status, store_class_of(key.len, attrs.flags, req->nbytes));
    if (UNLIKELY(status == STORE_EXISTS && log_wanted(2))) {
        upload_log_cas_failure(&key, req->cas);
    }
    answer(cmd, fd, &req->tag, verb, status, cas);
}

/* Begins an upload: into an item, or to be swallowed. */
static void begin(int fd, const struct binary_request *req,
                  struct upload *upload)
{
    enum binary_verb verb = (enum binary_verb)req->verb;
    enum store_mode mode = mode_of(verb, cas_of(req));
    struct store_key key = lookup_binary_key(req);
    struct store_attrs attrs = attrs_of(req);
    enum store_status status;

    status = store_reserve(&key, &attrs, mode, req->nbytes, &upload->item);
    upload->hv = key.hv;
    if (status != STORE_OK) {
        upload->item = NULL;
        upload->answer =
            status == STORE_TOO_LARGE ? REPLY_TOO_LARGE : REPLY_NO_MEMORY_STORE;
        if (watch_wanted(WATCH_MUTATIONS)) {
            tell(fd, req, status);
        }
        drop_unstored(verb, mode, &key, status);
    }
}

static void log_store(int fd, const struct binary_request *req)
{
    static const char *const names[] = {[BINARY_SET] = "SET",
                                        [BINARY_ADD] = "ADD",
                                        [BINARY_REPLACE] = "REPLACE"};

    if (req->verb >= BINARY_SET && req->verb <= BINARY_REPLACE) {
        log_print(2, "<%d %s %.*s Value len is %" PRIu32 "\n", fd,
                  names[req->verb], (int)req->nkey, req->key, req->nbytes);
    } else {
        log_print(2, "Value len is %" PRIu32 "\n", req->nbytes);
    }
}

/* What goes with every store, before it. */
static void note_store(struct command *cmd, int fd,
                       const struct binary_request *req)
{
    struct store_key key;

    if (UNLIKELY(prefix_enabled())) {
        prefix_count(req->key, req->nkey, settings.prefix_delimiter,
                     PREFIX_SET);
    }
    if (UNLIKELY(log_wanted(2))) {
        log_store(fd, req);
    }
    if (UNLIKELY(log_wanted(3))) {
        key = lookup_binary_key(req);
        lookup_show(cmd, &key);
    }
}

enum command_result upload_binary_run(struct command *cmd, int fd,
                                      const struct binary_request *req,
                                      const struct upload_input *in,
                                      size_t *used, struct upload *upload)
{
    bool stores = req->verb != BINARY_UNKNOWN;

    if (stores) {
        note_store(cmd, fd, req);
    }
    if (LIKELY(in->avail >= req->nbytes)) {
        *used = req->nbytes;
        if (LIKELY(stores)) {
            store_whole(cmd, fd, req, in->data);
        } else {
            answer_refusal(cmd, fd, &req->tag, REPLY_ERROR);
        }
        return COMMAND_DONE;
    }
    *upload = (struct upload){.nbytes = req->nbytes,
                              .binary = true,
                              .tag = req->tag,
                              .verb = req->verb,
                              .answer = REPLY_ERROR,
                              .cas = cas_of(req)};
    if (stores) {
        upload->answer = REPLY_NONE;
        begin(fd, req, upload);
    }
    *used = upload_feed(upload, in->data, in->avail);
    return COMMAND_UPLOAD;
}

/* Links the filled item; takes it. */
static void commit(struct command *cmd, int fd, struct upload *upload)
{
    enum binary_verb verb = (enum binary_verb)upload->verb;
    enum store_mode mode = mode_of(verb, upload->cas);
    struct item *it = upload->item;
    unsigned slab_class = it->slab_class;
    char copy[KEY_MAX_LENGTH]; /* the item may be gone before its key is */
    struct store_key key = {copy, it->nkey, upload->hv};
    uint64_t cas = upload->cas;
    struct mutation m = {.fd = fd,
                         .mode = mode,
                         .exptime = it->exptime,
                         .slab_class = slab_class,
                         .nbytes = it->nbytes};

    memcpy(copy, item_key(it), it->nkey);
    mutation_tell_lookup(fd, &key);
    m.status = store_commit(it, &key, mode, &cas);
    if (watch_wanted(WATCH_MUTATIONS)) {
        mutation_tell(&key, &m);
    }
    upload->item = NULL;
    count(cmd, mode, m.status, slab_class);
    if (UNLIKELY(m.status == STORE_EXISTS && log_wanted(2))) {
        upload_log_cas_failure(&key, upload->cas);
    }
    answer(cmd, fd, &upload->tag, verb, m.status, cas);
}

enum command_result upload_binary_end(struct command *cmd, int fd,
                                      struct upload *upload)
{
    if (upload->item != NULL) {
        commit(cmd, fd, upload);
    } else {
        answer_refusal(cmd, fd, &upload->tag, (enum reply)upload->answer);
    }
    return COMMAND_DONE;
}
