#include "command.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/product.h"
#include "command_admin.h"
#include "command_meta.h"
#include "dump.h"
#include "lookup.h"
#include "mover.h"
#include "prefix.h"
#include "proto/text.h"
#include "reply.h"
#include "settings.h"
#include "stats.h"
#include "store_stats.h"
#include "upload.h"
#include "value.h"
#include "watch.h"
#include "watching.h"

enum {
    BATCH = 16,  /* keys of a multiget whose cache misses overlap */
    END_MAX = 8, /* room for END and the line end of a value */
    MEMLIMIT_MIN = 8,
    MEMLIMIT_MAX = 1000000000, /* MiB; more was meant as bytes */
    VERBOSITY_MAX = 2,
};

/* The room one key of a get may need. */
#define VALUE_ROOM (TEXT_VALUE_HEADER_MAX + VALUE_COPY_MAX + END_MAX)

_Static_assert(VALUE_ROOM < OUT_BYTES, "one copied value fits an empty buffer");

/* -vv line of a request. */
static void echo_request(int fd, struct request *req)
{
    size_t n = req->line_len;

    /* Stock prints all but the last two bytes, whatever they are. */
    if (n > 0 && req->line[n] != '\r') {
        n--;
    }
    req->echoed = true;
    log_print(2, "<%d %.*s\n", fd, (int)n, req->line);
}

/* ---- get, gets, gat, gats -------------------------------------------- */

void command_prepare(struct request *req)
{
    if (req->nkey > 0) {
        req->hv = hash_key(req->key, req->nkey);
        store_prefetch_stripe(req->hv);
    }
}

enum get_result {
    GET_DONE,
    GET_FULL,      /* send first, then the same key again */
    GET_NO_MEMORY, /* not even then */
};

static inline bool wants_cas(const struct request *req)
{
    return req->verb == VERB_GETS || req->verb == VERB_GATS;
}

static inline bool wants_touch(const struct request *req)
{
    return req->verb == VERB_GAT || req->verb == VERB_GATS;
}

static inline struct item *get_hold(const struct request *req,
                                    const struct store_key *key,
                                    enum store_miss *why)
{
    if (wants_touch(req)) {
        return store_touch_hold(key, store_exptime(req->exptime), why);
    }
    return store_hold(key, why);
}

static inline char *put_header(struct out *out, const struct request *req,
                               const struct store_key *key,
                               const struct item *it)
{
    uint64_t cas = wants_cas(req) ? item_cas(it) : 0;

    return text_value_header(out_tail(out), key->ptr, key->len, item_flags(it),
                             it->nbytes, wants_cas(req) ? &cas : NULL);
}

/* Sends a held item by reference and ends the hold. The header is written
 * first, under the hold, and taken back when there is no room for the rest:
 * making that room may allocate, so it comes after the hold. */
static enum get_result get_large(struct command *cmd, const struct request *req,
                                 const struct store_key *key, struct item *it)
{
    struct out *out = cmd->out;
    struct value value = value_of(it);
    enum hits_to place = value_place(it);
    char *end;

    if (!store_ref(it)) {
        store_release(it);
        value_count_miss(cmd, wants_touch(req));
        return GET_DONE;
    }
    end = put_header(out, req, key, it);
    store_hit(it);
    store_release(it);
    if (!out_can_ref(out, value.pieces)) {
        store_unref(it);
        return out_is_empty(out) ? GET_NO_MEMORY : GET_FULL;
    }
    value_count_hit(cmd, wants_touch(req), it->slab_class, place);
    out_wrote(out, end);
    value_ref(out, &value, it);
    out_bytes(out, "\r\n", 2);
    return GET_DONE;
}

static inline void get_small(struct command *cmd, const struct request *req,
                             const struct store_key *key, struct item *it)
{
    char *end = put_header(cmd->out, req, key, it);
    size_t n = it->nbytes;

    memcpy(end, item_data(it), n);
    memcpy(end + n, "\r\n", 2);
    out_wrote(cmd->out, end + n + 2);
    value_count_hit(cmd, wants_touch(req), it->slab_class, value_place(it));
    store_hit(it);
    store_release(it);
}

static enum get_result get_one(struct command *cmd, int fd,
                               const struct request *req,
                               const struct store_key *key)
{
    enum get_result result = GET_DONE;
    bool watched = watch_wanted(WATCH_FETCHERS);
    struct watch_item seen;
    enum store_miss why;
    struct item *it;

    /* A touch must not be done twice, so what may need a flush comes first. */
    if (out_space(cmd->out) < VALUE_ROOM ||
        (wants_touch(req) && out_has_refs(cmd->out))) {
        return GET_FULL;
    }
    it = get_hold(req, key, &why);
    if (UNLIKELY(watched)) {
        seen = lookup_seen(fd, key, it);
    }
    if (it == NULL) {
        value_count_miss(cmd, wants_touch(req));
    } else if (LIKELY(value_is_small(it))) {
        get_small(cmd, req, key, it);
    } else {
        result = get_large(cmd, req, key, it);
    }
    if (result != GET_DONE) {
        return result;
    }
    lookup_count(cmd, key, why);
    if (UNLIKELY(watched)) {
        watch_item_get(&seen, (enum watch_got)why);
    }
    if (UNLIKELY(prefix_enabled())) {
        prefix_count(key->ptr, key->len, settings.prefix_delimiter,
                     it == NULL ? PREFIX_GET : PREFIX_HIT);
    }
    if (UNLIKELY(log_wanted(2)) && it != NULL) {
        log_print(2, ">%d sending key %.*s\n", fd, (int)key->len, key->ptr);
    }
    return GET_DONE;
}

/* The answer to a key above 250 bytes: all that is unsent goes, and the error
 * comes with one line end too many, as stock has it. */
static void refuse_long_key(struct command *cmd, int fd, struct request *req,
                            bool first)
{
    out_discard(cmd->out);
    reply_fixed(cmd, fd, req->noreply && first, REPLY_BAD_FORMAT);
    out_bytes(cmd->out, "\r\n", 2);
    req->verb = VERB_ERROR; /* the rest of the line is not looked at */
    req->rest = req->end;
}

/* Up to BATCH keys from req->rest, hashed, their memory on its way. */
static unsigned gather_keys(struct request *req, struct store_key *keys)
{
    struct request ahead = *req;
    unsigned n = 0;

    while (n < BATCH && text_next_key(&ahead, &keys[n].ptr, &keys[n].len)) {
        struct store_key *key = &keys[n++];

        if (key->ptr == req->key && req->hv != 0) {
            key->hv = req->hv;
        } else if (key->len <= KEY_MAX_LENGTH) {
            key->hv = hash_key(key->ptr, key->len);
            store_prefetch_stripe(key->hv);
        } else {
            key->hv = 0;
        }
    }
    if (n == 1) {
        return n; /* nothing to overlap with */
    }
    for (unsigned i = 0; i < n; i++) {
        store_prefetch_bucket(keys[i].hv);
    }
    for (unsigned i = 0; i < n; i++) {
        store_prefetch_item(keys[i].hv);
    }
    return n;
}

static enum command_result get_end(struct command *cmd, int fd,
                                   const struct request *req)
{
    if (req->more) {
        return COMMAND_DONE;
    }
    if (out_space(cmd->out) < END_MAX) {
        return COMMAND_FULL;
    }
    out_bytes(cmd->out, "END\r\n", 5);
    reply_echo(fd, false, "END", 3);
    return COMMAND_DONE;
}

static enum command_result run_get(struct command *cmd, int fd,
                                   struct request *req)
{
    struct store_key keys[BATCH];
    unsigned n;

    while ((n = gather_keys(req, keys)) > 0) {
        for (unsigned i = 0; i < n; i++) {
            enum get_result result;

            if (UNLIKELY(keys[i].len > KEY_MAX_LENGTH)) {
                refuse_long_key(cmd, fd, req, keys[i].ptr == req->key);
                return COMMAND_DONE;
            }
            result = get_one(cmd, fd, req, &keys[i]);
            if (UNLIKELY(result != GET_DONE)) {
                req->rest = keys[i].ptr;
            }
            if (UNLIKELY(result == GET_FULL)) {
                return COMMAND_FULL;
            }
            if (UNLIKELY(result == GET_NO_MEMORY)) {
                req->rest = req->end;
                req->verb = VERB_ERROR;
                reply_fixed(cmd, fd, false, REPLY_NO_MEMORY_GET);
                return COMMAND_DONE;
            }
            req->rest = keys[i].ptr + keys[i].len;
        }
    }
    return get_end(cmd, fd, req);
}

/* ---- the other data commands ----------------------------------------- */

static void answer_number(struct command *cmd, bool noreply, uint64_t number)
{
    char *end;

    if (!noreply) {
        end = util_format_u64(out_tail(cmd->out), number);
        memcpy(end, "\r\n", 2);
        out_wrote(cmd->out, end + 2);
    }
}

static void run_arith(struct command *cmd, int fd, const struct request *req)
{
    struct store_key key = lookup_key(req);
    bool incr = req->verb == VERB_INCR;
    struct store_found found;
    uint64_t result;
    enum store_status status =
        store_arith(&key, incr, req->number, &result, NULL, &found);

    lookup_count(cmd, &key, found.why);
    lookup_tell(fd, &key, &found);
    switch (status) {
    case STORE_OK:
        lookup_count_arith(cmd, incr, true, found.slab_class);
        answer_number(cmd, req->noreply, result);
        break;
    case STORE_NOT_FOUND:
        lookup_count_arith(cmd, incr, false, 0);
        reply_silently(cmd, req->noreply, REPLY_NOT_FOUND);
        break;
    case STORE_NON_NUMERIC:
        reply_fixed(cmd, fd, req->noreply, REPLY_NON_NUMERIC);
        break;
    case STORE_NOT_STORED:
    case STORE_EXISTS:
    case STORE_TOO_LARGE:
    case STORE_NO_MEMORY:
        reply_fixed(cmd, fd, req->noreply, REPLY_NO_MEMORY);
        break;
    }
}

static void run_delete(struct command *cmd, int fd, const struct request *req)
{
    struct store_key key = lookup_key(req);
    struct store_found found;
    enum store_status status = store_delete(&key, 0, &found);

    lookup_count(cmd, &key, found.why);
    lookup_tell(fd, &key, &found);
    if (UNLIKELY(prefix_enabled())) {
        prefix_count(key.ptr, key.len, settings.prefix_delimiter,
                     PREFIX_DELETE);
    }
    if (status == STORE_OK) {
        COUNT(cmd->counters, delete_hits);
        lookup_tell_deleted(fd, &key, &found, "delete");
        lookup_count_class(cmd, found.slab_class, CLASS_DELETE_HITS);
        reply_silently(cmd, req->noreply, REPLY_DELETED);
    } else {
        COUNT(cmd->counters, delete_misses);
        reply_silently(cmd, req->noreply, REPLY_NOT_FOUND);
    }
}

static void run_touch(struct command *cmd, int fd, const struct request *req)
{
    struct store_key key = lookup_key(req);
    enum store_miss why;
    struct item *it = store_touch_hold(&key, store_exptime(req->exptime), &why);
    struct store_found found = lookup_found(why, it);

    COUNT(cmd->counters, cmd_touch);
    if (it != NULL) {
        COUNT(cmd->counters, touch_hits);
        lookup_count_class(cmd, it->slab_class, CLASS_TOUCH_HITS);
        store_hit(it);
        store_release(it);
    } else {
        COUNT(cmd->counters, touch_misses);
    }
    lookup_count(cmd, &key, why);
    lookup_tell(fd, &key, &found);
    reply_silently(cmd, req->noreply,
                   it != NULL ? REPLY_TOUCHED : REPLY_NOT_FOUND);
}

/* ---- administration -------------------------------------------------- */

static void run_flush_all(struct command *cmd, int fd,
                          const struct request *req)
{
    COUNT(cmd->counters, cmd_flush);
    if (!settings.flush_enabled) {
        reply_text(cmd, fd, req->noreply, "CLIENT_ERROR flush_all not allowed");
        return;
    }
    if (req->refusal != REPLY_NONE) {
        reply_fixed(cmd, fd, req->noreply, (enum reply)req->refusal);
        return;
    }
    /* A delay takes effect one second early: `flush_all 1` acts at once. */
    store_flush(req->exptime > 0 ? store_exptime(req->exptime) - 1 : 0);
    reply_fixed(cmd, fd, req->noreply, REPLY_OK);
}

static void run_verbosity(struct command *cmd, int fd,
                          const struct request *req)
{
    int level = req->number > VERBOSITY_MAX ? VERBOSITY_MAX : (int)req->number;

    atomic_store_explicit(&log_verbosity, level, memory_order_relaxed);
    reply_fixed(cmd, fd, req->noreply, REPLY_OK);
}

static void run_cache_memlimit(struct command *cmd, int fd,
                               const struct request *req)
{
    const char *text = "OK";

    if (req->number < MEMLIMIT_MIN) {
        text = "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m";
    } else if (req->number > MEMLIMIT_MAX) {
        text = "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes";
    } else if (!store_set_limit((size_t)req->number * MIB)) {
        text = "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust";
    } else {
        mover_retune(); /* what is above it goes */
        log_print(1, "maxbytes adjusted to %" PRIu64 "m\n", req->number);
    }
    reply_text(cmd, fd, req->noreply, text);
}

static void run_refresh_certs(struct command *cmd, int fd)
{
    char why[OUT_SMALL_REPLY - 2];

    reply_text(cmd, fd, false,
               cmd->host->refresh_certs(why, sizeof(why)) ? "OK" : why);
}

/* The one word of the arguments, or "" when there is none. */
static bool single_word(const struct request *req, const char **word, size_t *n)
{
    struct request args = *req;
    const char *second;
    size_t second_len;

    *word = "";
    *n = 0;
    return !text_next_key(&args, word, n) ||
           !text_next_key(&args, &second, &second_len);
}

static enum command_result run_shutdown(struct command *cmd, int fd,
                                        const struct request *req)
{
    static const char graceful[] = "graceful";
    const char *word;
    size_t n;
    bool single = single_word(req, &word, &n);

    if (!settings.shutdown_command) {
        reply_text(cmd, fd, req->noreply, "SERVER_ERROR: shutdown not enabled");
        return COMMAND_DONE;
    }
    if (n == 0) {
        cmd->host->shutdown(false);
        return COMMAND_CLOSE;
    }
    if (single && n < sizeof(graceful) && memcmp(word, graceful, n) == 0) {
        cmd->host->shutdown(true);
        return COMMAND_CLOSE;
    }
    reply_text(cmd, fd, req->noreply, "CLIENT_ERROR invalid shutdown mode");
    return COMMAND_DONE;
}

/* Those that answer, and that is all. */
static void (*const plain[])(struct command *cmd, int fd,
                             const struct request *req) = {
    [VERB_INCR] = run_arith,
    [VERB_DECR] = run_arith,
    [VERB_DELETE] = run_delete,
    [VERB_TOUCH] = run_touch,
    [VERB_FLUSH_ALL] = run_flush_all,
    [VERB_VERBOSITY] = run_verbosity,
    [VERB_CACHE_MEMLIMIT] = run_cache_memlimit,
    [VERB_SLABS] = admin_slabs,
    [VERB_LRU] = admin_lru,
    [VERB_EXTSTORE] = admin_extstore,
};

/* Requests without data and without a list of keys. */
static enum command_result run_simple(struct command *cmd, int fd,
                                      struct request *req)
{
    switch ((enum verb)req->verb) {
    case VERB_INCR:
    case VERB_DECR:
    case VERB_DELETE:
    case VERB_TOUCH:
    case VERB_FLUSH_ALL:
    case VERB_VERBOSITY:
    case VERB_CACHE_MEMLIMIT:
    case VERB_SLABS:
    case VERB_LRU:
    case VERB_EXTSTORE:
        plain[req->verb](cmd, fd, req);
        break;
    case VERB_VERSION:
        reply_text(cmd, fd, false, "VERSION " PRODUCT_BASE_VERSION);
        break;
    case VERB_NOOP:
        reply_text(cmd, fd, false, "MN");
        break;
    case VERB_REFRESH_CERTS:
        run_refresh_certs(cmd, fd);
        break;
    case VERB_STATS:
        return stats_run(cmd, fd, req);
    case VERB_LRU_CRAWLER:
        if (dump_is_meant(req)) {
            return dump_run(cmd, fd, req);
        }
        admin_lru_crawler(cmd, fd, req);
        break;
    case VERB_WATCH:
        return watching_run(cmd, fd, req);
    case VERB_SHUTDOWN:
        return run_shutdown(cmd, fd, req);
    case VERB_QUIT:
        return COMMAND_CLOSE;
    case VERB_DROP:
        return COMMAND_DROP;
    case VERB_ERROR:
    case VERB_GET:
    case VERB_GETS:
    case VERB_GAT:
    case VERB_GATS:
    case VERB_SET:
    case VERB_ADD:
    case VERB_REPLACE:
    case VERB_APPEND:
    case VERB_PREPEND:
    case VERB_CAS:
    case VERB_META_GET:
    case VERB_META_SET:
    case VERB_META_DELETE:
    case VERB_META_ARITH:
    case VERB_META_DEBUG:
        reply_fixed(cmd, fd, req->noreply, (enum reply)req->refusal);
        break;
    }
    return UNLIKELY(req->hang_up) ? COMMAND_HANG_UP : COMMAND_DONE;
}

/* Seven arguments: a struct of them would be written for every request. */
/* NOLINTNEXTLINE(readability-function-size) */
enum command_result command_run(struct command *cmd, int fd,
                                struct request *req, const char *data,
                                size_t avail, size_t *used,
                                struct upload *upload)
{
    *used = 0;
    if (UNLIKELY(out_space(cmd->out) < OUT_SMALL_REPLY)) {
        return COMMAND_FULL;
    }
    if (UNLIKELY(log_wanted(2)) && !req->echoed) {
        echo_request(fd, req);
    }
    if (req->verb >= VERB_GET && req->verb <= VERB_GATS) {
        return run_get(cmd, fd, req);
    }
    if (req->has_data) {
        return upload_run(cmd, fd, req, &(struct upload_input){data, avail},
                          used, upload);
    }
    if (req->verb >= VERB_META_GET && req->verb <= VERB_META_DEBUG) {
        return command_meta_run(cmd, fd, req);
    }
    return run_simple(cmd, fd, req);
}
