#include "upload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "lookup.h"
#include "mutation.h"
#include "prefix.h"
#include "reply.h"
#include "settings.h"
#include "store_stats.h"
#include "upload_binary.h"
#include "upload_meta.h"

/* ---- set, add, replace, append, prepend, cas ------------------------- */

static enum store_mode mode_of(enum verb verb)
{
    static const uint8_t modes[] = {
        [VERB_SET] = STORE_SET,         [VERB_ADD] = STORE_ADD,
        [VERB_REPLACE] = STORE_REPLACE, [VERB_APPEND] = STORE_APPEND,
        [VERB_PREPEND] = STORE_PREPEND, [VERB_CAS] = STORE_CAS,
    };

    return (enum store_mode)modes[verb];
}

static enum reply reply_of(enum store_status status)
{
    static const uint8_t replies[] = {
        [STORE_OK] = REPLY_STORED,
        [STORE_NOT_STORED] = REPLY_NOT_STORED,
        [STORE_EXISTS] = REPLY_EXISTS,
        [STORE_NOT_FOUND] = REPLY_NOT_FOUND,
        [STORE_TOO_LARGE] = REPLY_TOO_LARGE,
        [STORE_NO_MEMORY] = REPLY_NO_MEMORY_STORE,
        [STORE_NON_NUMERIC] = REPLY_NON_NUMERIC,
    };

    return (enum reply)replies[status];
}

void upload_log_cas_failure(const struct store_key *key, uint64_t got)
{
    struct item *it = store_hold(key, NULL);
    uint64_t expected = 0;

    if (it != NULL) {
        expected = item_cas(it);
        store_release(it);
    }
    log_print(2, "CAS:  failure: expected %" PRIu64 ", got %" PRIu64 "\n",
              expected, got);
}

void upload_count_cas(struct command *cmd, enum store_status status,
                      unsigned slab_class)
{
    if (status == STORE_OK) {
        COUNT(cmd->counters, cas_hits);
        lookup_count_class(cmd, slab_class, CLASS_CAS_HITS);
    } else if (status == STORE_EXISTS) {
        COUNT(cmd->counters, cas_badval);
        lookup_count_class(cmd, slab_class, CLASS_CAS_BADVAL);
    } else if (status == STORE_NOT_FOUND) {
        COUNT(cmd->counters, cas_misses);
    }
}

/* Counts a store, `cas`: that compared; stores refused for want of room count
 * as that alone. */
static inline void count_store(struct command *cmd, bool cas,
                               enum store_status status, unsigned slab_class)
{
    if (UNLIKELY(status == STORE_TOO_LARGE)) {
        COUNT(cmd->counters, store_too_large);
        return;
    }
    if (UNLIKELY(status == STORE_NO_MEMORY)) {
        COUNT(cmd->counters, store_no_memory);
        return;
    }
    COUNT(cmd->counters, cmd_set);
    lookup_count_class(cmd, slab_class, CLASS_CMD_SET);
    if (cas) {
        upload_count_cas(cmd, status, slab_class);
    }
}

static void count_set_prefix(const char *key, size_t nkey)
{
    if (UNLIKELY(prefix_enabled())) {
        prefix_count(key, nkey, settings.prefix_delimiter, PREFIX_SET);
    }
}

static struct store_attrs attrs_of(const struct request *req)
{
    return (struct store_attrs){
        .flags = req->flags,
        .exptime = req->exptime == 0 ? 0 : store_exptime(req->exptime),
    };
}

/* A whole value without its line end: stored nowhere, but an item too large
 * is refused for that first. */
static enum reply refuse_bad_chunk(struct command *cmd,
                                   const struct request *req,
                                   const struct store_key *key)
{
    struct store_attrs attrs = attrs_of(req);
    struct item *it;
    enum store_status status = store_reserve(
        key, &attrs, mode_of((enum verb)req->verb), req->nbytes, &it);

    if (status == STORE_OK) {
        count_store(cmd, false, STORE_OK, it->slab_class);
        store_cancel(it);
        return REPLY_BAD_CHUNK;
    }
    count_store(cmd, false, status, 0);
    return reply_of(status);
}

/* What comes after a value that does not end so may be the rest of it: a
 * command that somebody put into a value must not run. */
static inline bool is_line_end(const char *p)
{
    return p[0] == '\r' && p[1] == '\n';
}

/* The value is at hand as a whole. */
static void store_whole(struct command *cmd, int fd, const struct request *req,
                        const char *data)
{
    struct store_key key = lookup_key(req);
    struct store_attrs attrs = attrs_of(req);
    uint64_t cas = req->number;
    size_t n = req->nbytes;
    enum store_status status;

    if (UNLIKELY(!is_line_end(data + n))) {
        reply_fixed(cmd, fd, req->noreply, refuse_bad_chunk(cmd, req, &key));
        return;
    }
    mutation_tell_lookup(fd, &key);
    status =
        store_set(&key, &attrs, mode_of((enum verb)req->verb), data, n, &cas);
    if (watch_wanted(WATCH_MUTATIONS)) {
        mutation_tell(
            &key, &(struct mutation){
                      fd, mode_of((enum verb)req->verb), status, attrs.exptime,
                      store_class_of(key.len, attrs.flags, n), req->nbytes});
    }
    count_store(cmd, req->verb == VERB_CAS, status,
                store_class_of(key.len, attrs.flags, n));
    if (UNLIKELY(status == STORE_EXISTS && log_wanted(2))) {
        upload_log_cas_failure(&key, req->number);
    }
    reply_fixed(cmd, fd, req->noreply, reply_of(status));
}

/* Begins an upload: into an item, or to be swallowed. */
static void upload_begin(struct command *cmd, int fd, const struct request *req,
                         struct upload *upload)
{
    struct store_key key = lookup_key(req);
    struct store_attrs attrs = attrs_of(req);
    enum store_status status;

    *upload = (struct upload){.nbytes = req->nbytes,
                              .ntail = sizeof(upload->tail),
                              .verb = req->verb,
                              .noreply = req->noreply,
                              .cas = req->number,
                              .hv = key.hv};
    status = store_reserve(&key, &attrs, mode_of((enum verb)req->verb),
                           req->nbytes, &upload->item);
    if (status != STORE_OK) {
        upload->item = NULL;
        upload->answer = (uint8_t)reply_of(status);
        count_store(cmd, false, status, 0);
        if (watch_wanted(WATCH_MUTATIONS)) {
            mutation_tell(&key, &(struct mutation){
                                    fd, mode_of((enum verb)req->verb), status,
                                    attrs.exptime, 0, req->nbytes});
        }
    }
}

/* ---- ms -------------------------------------------------------------- */

static struct store_key meta_key(const struct meta *m)
{
    return store_key(m->key, m->nkey);
}

static void count_meta(struct command *cmd, const struct meta *m,
                       enum store_status status, unsigned slab_class)
{
    count_store(cmd, upload_meta_compares(m), status, slab_class);
    if (UNLIKELY(status == STORE_EXISTS && log_wanted(2))) {
        struct store_key key = meta_key(m);

        upload_log_cas_failure(&key, m->cas);
    }
}

static void store_whole_meta(struct command *cmd, int fd, const struct meta *m,
                             const char *data, size_t n)
{
    struct store_key key = meta_key(m);
    struct store_terms terms = upload_meta_terms(m);
    struct store_stored stored;
    enum store_status status;
    struct item *it;

    if (LIKELY(is_line_end(data + n))) {
        mutation_tell_lookup(fd, &key);
        status = store_set_on(&key, &terms, data, n, &stored);
        mutation_tell_on(fd, &key, &terms, status, n);
        count_meta(cmd, m, status,
                   store_class_of(key.len, terms.attrs.flags, n));
        upload_meta_answer(cmd, fd, m, status, n, &stored);
        return;
    }
    status = store_reserve_on(&key, &terms, n, &it);
    if (status != STORE_OK) {
        count_store(cmd, false, status, 0);
        upload_meta_answer(cmd, fd, m, status, n, NULL);
        return;
    }
    count_store(cmd, false, STORE_OK, it->slab_class);
    store_cancel(it);
    reply_fixed(cmd, fd, false, REPLY_BAD_CHUNK);
}

static void upload_begin_meta(struct command *cmd, int fd, const struct meta *m,
                              size_t n, struct upload *upload)
{
    struct store_key key = meta_key(m);
    struct store_terms terms = upload_meta_terms(m);
    enum store_status status;

    *upload = (struct upload){.nbytes = n,
                              .ntail = sizeof(upload->tail),
                              .verb = VERB_META_SET,
                              .noreply = meta_has(m, 'q'),
                              .hv = key.hv,
                              .meta = upload_meta_keep(m)};
    if (upload->meta == NULL) {
        COUNT(cmd->counters, malloc_fails);
        upload->answer = REPLY_NO_MEMORY_STORE;
        return;
    }
    status = store_reserve_on(&key, &terms, n, &upload->item);
    if (status != STORE_OK) {
        upload->item = NULL;
        upload->answer = (uint8_t)reply_of(status);
        count_store(cmd, false, status, 0);
        mutation_tell_on(fd, &key, &terms, status, n);
    }
}

/* q hides one error only: that memory ran out while the value came. */
static bool hides(const struct upload *upload)
{
    return upload->noreply && (upload->verb != VERB_META_SET ||
                               upload->answer == REPLY_NO_MEMORY_READ);
}

/* Links the filled item, takes it, and answers. */
static void upload_commit_meta(struct command *cmd, int fd,
                               struct upload *upload)
{
    const struct meta *m = &upload->meta->meta;
    struct item *it = upload->item;
    struct store_key key = {m->key, m->nkey, upload->hv};
    struct store_terms terms = upload_meta_terms(m);
    unsigned slab_class = it->slab_class;
    struct store_stored stored;
    size_t n = it->nbytes;
    enum store_status status;

    mutation_tell_lookup(fd, &key);
    status = store_commit_on(it, &key, &terms, &stored);
    mutation_tell_on(fd, &key, &terms, status, n);
    upload->item = NULL;
    count_meta(cmd, m, status, slab_class);
    upload_meta_answer(cmd, fd, m, status, upload->nbytes, &stored);
}

/* ---- all of them ------------------------------------------------------ */

/* A value that is swallowed, or has come. */
static enum command_result run_refused(struct command *cmd, int fd,
                                       const struct request *req,
                                       const struct upload_input *in,
                                       size_t *used, struct upload *upload)
{
    size_t whole = (size_t)req->nbytes + 2;

    if (in->avail >= whole) {
        *used = whole;
        reply_fixed(cmd, fd, req->noreply, (enum reply)req->refusal);
        return is_line_end(in->data + req->nbytes) ? COMMAND_DONE
                                                   : COMMAND_HANG_UP;
    }
    *upload = (struct upload){.nbytes = req->nbytes,
                              .ntail = sizeof(upload->tail),
                              .verb = VERB_ERROR,
                              .answer = req->refusal,
                              .noreply = req->noreply};
    *used = upload_feed(upload, in->data, in->avail);
    return COMMAND_UPLOAD;
}

static void show_lookup(const struct store_key *key, struct command *cmd)
{
    if (UNLIKELY(log_wanted(3))) {
        lookup_show(cmd, key);
    }
}

static enum command_result run_meta(struct command *cmd, int fd,
                                    const struct request *req,
                                    const struct upload_input *in, size_t *used,
                                    struct upload *upload)
{
    size_t n = req->nbytes;
    struct request refused = *req;
    struct store_key key;
    struct meta m;

    refused.refusal = (uint8_t)upload_meta_parse(req, &m);
    if (refused.refusal != REPLY_NONE) {
        return run_refused(cmd, fd, &refused, in, used, upload);
    }
    key = meta_key(&m);
    show_lookup(&key, cmd);
    if (LIKELY(in->avail >= n + 2)) {
        *used = n + 2;
        store_whole_meta(cmd, fd, &m, in->data, n);
        return LIKELY(is_line_end(in->data + n)) ? COMMAND_DONE
                                                 : COMMAND_HANG_UP;
    }
    upload_begin_meta(cmd, fd, &m, n, upload);
    *used = upload_feed(upload, in->data, in->avail);
    return COMMAND_UPLOAD;
}

enum command_result upload_run(struct command *cmd, int fd,
                               const struct request *req,
                               const struct upload_input *in, size_t *used,
                               struct upload *upload)
{
    size_t whole = (size_t)req->nbytes + 2;
    struct store_key key;

    if (UNLIKELY(req->verb == VERB_ERROR)) {
        return run_refused(cmd, fd, req, in, used, upload);
    }
    if (req->verb == VERB_META_SET) {
        return run_meta(cmd, fd, req, in, used, upload);
    }
    count_set_prefix(req->key, req->nkey);
    key = lookup_key(req);
    show_lookup(&key, cmd);
    if (LIKELY(in->avail >= whole)) {
        *used = whole;
        store_whole(cmd, fd, req, in->data);
        return LIKELY(is_line_end(in->data + req->nbytes)) ? COMMAND_DONE
                                                           : COMMAND_HANG_UP;
    }
    upload_begin(cmd, fd, req, upload);
    *used = upload_feed(upload, in->data, in->avail);
    return COMMAND_UPLOAD;
}

/* ---- uploads --------------------------------------------------------- */

struct iovec upload_room(struct upload *upload)
{
    struct iovec room;
    size_t tail;

    if (upload->got >= upload->nbytes) {
        tail = upload->got - upload->nbytes;
        return (struct iovec){upload->tail + tail, sizeof(upload->tail) - tail};
    }
    if (upload->item == NULL) {
        return (struct iovec){NULL, 0};
    }
    room = store_room(upload->item, upload->got);
    if (room.iov_len == 0) {
        store_cancel(upload->item);
        upload->item = NULL;
        upload->answer = REPLY_NO_MEMORY_READ;
    }
    return room;
}

void upload_filled(struct upload *upload, size_t n)
{
    upload->got += n;
}

size_t upload_feed(struct upload *upload, const char *p, size_t n)
{
    size_t missing = upload->nbytes + upload->ntail - upload->got;
    size_t left = n < missing ? n : missing;
    size_t taken = left;

    while (left > 0) {
        struct iovec room = upload_room(upload);
        bool keep = room.iov_base != NULL; /* else it is swallowed */
        size_t most = keep ? room.iov_len : upload->nbytes - upload->got;
        size_t piece = most < left ? most : left;

        if (keep) {
            memcpy(room.iov_base, p, piece);
        }
        upload->got += piece;
        p += piece;
        left -= piece;
    }
    return taken;
}

/* Links the filled item; takes it. */
static enum reply upload_commit(struct command *cmd, int fd,
                                struct upload *upload)
{
    struct item *it = upload->item;
    unsigned slab_class = it->slab_class;
    char copy[KEY_MAX_LENGTH]; /* the item may be gone before its key is */
    struct store_key key = {copy, it->nkey, upload->hv};
    uint64_t cas = upload->cas;
    struct mutation m = {.fd = fd,
                         .mode = mode_of((enum verb)upload->verb),
                         .exptime = it->exptime,
                         .slab_class = slab_class,
                         .nbytes = it->nbytes};
    enum store_status status;

    memcpy(copy, item_key(it), it->nkey);
    mutation_tell_lookup(fd, &key);
    status = store_commit(it, &key, mode_of((enum verb)upload->verb), &cas);
    if (watch_wanted(WATCH_MUTATIONS)) {
        m.status = status;
        mutation_tell(&key, &m);
    }
    count_store(cmd, upload->verb == VERB_CAS, status, slab_class);
    if (UNLIKELY(status == STORE_EXISTS && log_wanted(2))) {
        upload_log_cas_failure(&key, upload->cas);
    }
    return reply_of(status);
}

/* Takes the item. */
static void upload_end_item(struct command *cmd, int fd, struct upload *upload)
{
    if (!is_line_end(upload->tail)) {
        count_store(cmd, false, STORE_OK, upload->item->slab_class);
        store_cancel(upload->item);
        upload->item = NULL;
        upload->answer = REPLY_BAD_CHUNK;
    } else if (upload->meta != NULL) {
        upload_commit_meta(cmd, fd, upload);
        return;
    } else {
        upload->answer = (uint8_t)upload_commit(cmd, fd, upload);
        upload->item = NULL;
    }
    reply_fixed(cmd, fd, hides(upload), (enum reply)upload->answer);
}

enum command_result command_upload_end(struct command *cmd, int fd,
                                       struct upload *upload)
{
    if (out_space(cmd->out) < OUT_SMALL_REPLY) {
        return COMMAND_FULL;
    }
    if (upload->binary) {
        return upload_binary_end(cmd, fd, upload);
    }
    if (upload->item != NULL) {
        upload_end_item(cmd, fd, upload);
    } else {
        reply_fixed(cmd, fd, hides(upload), (enum reply)upload->answer);
    }
    free(upload->meta);
    upload->meta = NULL;
    return is_line_end(upload->tail) ? COMMAND_DONE : COMMAND_HANG_UP;
}

void upload_abandon(struct upload *upload)
{
    if (upload->item != NULL) {
        store_cancel(upload->item);
        upload->item = NULL;
    }
    free(upload->meta);
    upload->meta = NULL;
}
