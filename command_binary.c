#include "command_binary.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/product.h"
#include "lookup.h"
#include "mutation.h"
#include "prefix.h"
#include "reply_binary.h"
#include "settings.h"
#include "stats_binary.h"
#include "store_meta.h"
#include "upload_binary.h"
#include "value.h"
#include "watch.h"

enum { FLAGS_SIZE = 4 };

/* The room one retrieval may need. */
#define VALUE_ROOM                                                             \
    (BINARY_HEADER + FLAGS_SIZE + KEY_MAX_LENGTH + VALUE_COPY_MAX)

_Static_assert(VALUE_ROOM < OUT_BYTES, "one copied value fits an empty buffer");

void command_binary_prepare(struct binary_request *req)
{
    if (binary_is_keyed(req)) {
        req->hv = hash_key(req->key, req->nkey);
        store_prefetch_stripe(req->hv);
    }
}

/* ---- get, touch, and get and touch ------------------------------------ */

static struct item *get_hold(const struct binary_request *req,
                             const struct store_key *key, enum store_miss *why)
{
    return req->verb == BINARY_GET
               ? store_hold(key, why)
               : store_touch_hold(key, store_exptime(req->exptime), why);
}

/* Writes all but the value; returns the end. */
static char *put_header(const struct command *cmd,
                        const struct binary_request *req, const struct item *it)
{
    const struct binary_reply reply = {
        .nextras = FLAGS_SIZE,
        .nkey = req->with_key ? req->nkey : 0,
        .nbytes = req->verb != BINARY_TOUCH ? it->nbytes : 0,
        .cas = item_cas(it)};
    char *p = binary_reply_header(out_tail(cmd->out), &req->tag, &reply);

    p = binary_u32(p, item_flags(it));
    if (req->with_key) {
        memcpy(p, req->key, req->nkey);
        p += req->nkey;
    }
    return p;
}

static void get_small(struct command *cmd, const struct binary_request *req,
                      struct item *it)
{
    char *end = put_header(cmd, req, it);
    size_t n = req->verb != BINARY_TOUCH ? it->nbytes : 0;

    if (n > 0) {
        memcpy(end, item_data(it), n);
    }
    out_wrote(cmd->out, end + n);
    value_count_hit(cmd, req->verb != BINARY_GET, it->slab_class,
                    value_place(it));
    store_hit(it);
    store_release(it);
}

enum get_result {
    GET_HIT,
    GET_MISS,
    GET_FULL,      /* send first, then the same request again */
    GET_NO_MEMORY, /* not even then */
};

/* Sends a held item by reference and ends the hold; as get_large of text. */
static enum get_result get_large(struct command *cmd,
                                 const struct binary_request *req,
                                 struct item *it)
{
    struct out *out = cmd->out;
    struct value value = value_of(it);
    enum hits_to place = value_place(it);
    unsigned slab_class = it->slab_class;
    char *end;

    if (!store_ref(it)) {
        store_release(it);
        return GET_MISS;
    }
    end = put_header(cmd, req, it);
    store_hit(it);
    store_release(it);
    if (!out_can_ref(out, value.pieces)) {
        store_unref(it);
        return out_is_empty(out) ? GET_NO_MEMORY : GET_FULL;
    }
    value_count_hit(cmd, req->verb != BINARY_GET, slab_class, place);
    out_wrote(out, end);
    value_ref(out, &value, it);
    return GET_HIT;
}

/* A miss: nothing of a quiet retrieval, the key of one that wants it. */
static void answer_miss(struct command *cmd, int fd,
                        const struct binary_request *req)
{
    const struct binary_reply reply = {.code = BINARY_NOT_FOUND,
                                       .nkey = req->nkey};
    char *start = out_tail(cmd->out);
    char *end;

    if (req->tag.quiet) {
        return;
    }
    if (!req->with_key) {
        reply_binary_error(cmd, fd, &req->tag, BINARY_NOT_FOUND, NULL);
        return;
    }
    end = binary_reply_header(start, &req->tag, &reply);
    memcpy(end, req->key, req->nkey);
    out_wrote(cmd->out, end + req->nkey);
    reply_binary_echo(fd, start);
}

static void note_get(struct command *cmd, const struct store_key *key,
                     enum store_miss why, bool hit)
{
    lookup_count(cmd, key, why);
    if (UNLIKELY(prefix_enabled())) {
        prefix_count(key->ptr, key->len, settings.prefix_delimiter,
                     hit ? PREFIX_HIT : PREFIX_GET);
    }
}

/* A hit is shown without its cas, as stock has it. */
static void echo_hit(int fd, const char *start)
{
    enum { CAS_AT = BINARY_HEADER - sizeof(uint64_t) };
    char header[BINARY_HEADER] = {0};

    if (UNLIKELY(log_wanted(2))) {
        memcpy(header, start, CAS_AT);
        reply_binary_echo(fd, header);
    }
}

static enum get_result
get_one(struct command *cmd, const struct binary_request *req, struct item *it)
{
    if (it == NULL) {
        return GET_MISS;
    }
    if (LIKELY(req->verb == BINARY_TOUCH || value_is_small(it))) {
        get_small(cmd, req, it);
        return GET_HIT;
    }
    return get_large(cmd, req, it);
}

static enum command_result run_get(struct command *cmd, int fd,
                                   const struct binary_request *req)
{
    bool touch = req->verb != BINARY_GET;
    struct store_key key = lookup_binary_key(req);
    char *start = out_tail(cmd->out);
    bool watched = watch_wanted(WATCH_FETCHERS);
    struct watch_item seen;
    enum get_result result;
    enum store_miss why;
    struct item *it;

    /* A touch must not be done twice, so what may need a flush comes first. */
    if (out_space(cmd->out) < VALUE_ROOM || (touch && out_has_refs(cmd->out))) {
        return COMMAND_FULL;
    }
    it = get_hold(req, &key, &why);
    if (UNLIKELY(watched)) {
        seen = lookup_seen(fd, &key, it);
    }
    result = get_one(cmd, req, it);
    if (UNLIKELY(result == GET_FULL)) {
        return COMMAND_FULL;
    }
    note_get(cmd, &key, why, result != GET_MISS);
    if (UNLIKELY(watched)) {
        watch_item_get(&seen, (enum watch_got)why);
    }
    if (LIKELY(result == GET_HIT)) {
        echo_hit(fd, start);
    } else if (result == GET_MISS) {
        value_count_miss(cmd, touch);
        answer_miss(cmd, fd, req);
    } else {
        reply_binary_error(cmd, fd, &req->tag, BINARY_NO_MEMORY, NULL);
    }
    return COMMAND_DONE;
}

/* ---- incr, decr, delete ------------------------------------------------ */

static struct store_sum sum_of(const struct binary_request *req)
{
    struct store_sum sum = {
        .incr = req->verb == BINARY_INCR,
        .vivify = req->exptime != BINARY_NO_CREATE,
        .delta = req->delta,
        .initial = req->initial,
        .cas = req->cas,
    };

    if (sum.vivify && req->exptime != 0) {
        sum.vivify_exptime = store_exptime(req->exptime);
    }
    return sum;
}

static void count_arith(struct command *cmd, bool incr,
                        const struct store_result *result,
                        const struct store_found *found,
                        enum store_status status)
{
    if (status == STORE_NOT_FOUND) {
        lookup_count_arith(cmd, incr, false, 0);
    } else if (status == STORE_OK && !result->made) {
        lookup_count_arith(cmd, incr, true, found->slab_class);
    }
}

/* As if the number had been added. */
static void note_made(int fd, const struct store_key *key,
                      const struct store_sum *sum)
{
    if (UNLIKELY(log_wanted(3))) {
        lookup_log(key, STORE_ABSENT);
    }
    mutation_tell_number(fd, key, sum->initial, sum->vivify_exptime);
}

static void run_arith(struct command *cmd, int fd,
                      const struct binary_request *req)
{
    struct store_key key = lookup_binary_key(req);
    struct store_sum sum = sum_of(req);
    struct store_found found;
    struct store_result result;
    enum store_status status = store_sum(&key, &sum, &result, &found);
    char digits[sizeof(uint64_t)];

    lookup_count(cmd, &key, found.why);
    lookup_tell(fd, &key, &found);
    if (status == STORE_OK && result.made) {
        note_made(fd, &key, &sum);
    }
    count_arith(cmd, sum.incr, &result, &found, status);
    switch (status) {
    case STORE_OK:
        if (!req->tag.quiet) {
            (void)binary_u64(digits, result.number);
            reply_binary_value(cmd, fd, &req->tag, result.cas, digits,
                               sizeof(digits));
        }
        break;
    case STORE_NOT_FOUND:
        reply_binary_error(cmd, fd, &req->tag, BINARY_NOT_FOUND, NULL);
        break;
    case STORE_EXISTS:
        reply_binary_error(cmd, fd, &req->tag, BINARY_EXISTS, NULL);
        break;
    case STORE_NON_NUMERIC:
        reply_binary_error(cmd, fd, &req->tag, BINARY_NON_NUMERIC, NULL);
        break;
    case STORE_NOT_STORED:
    case STORE_TOO_LARGE:
    case STORE_NO_MEMORY:
        reply_binary_error(cmd, fd, &req->tag, BINARY_NO_MEMORY,
                           result.made ? "Out of memory allocating new item"
                                       : "Out of memory incrementing value");
        break;
    }
}

static void run_delete(struct command *cmd, int fd,
                       const struct binary_request *req)
{
    struct store_key key = lookup_binary_key(req);
    struct store_found found;
    enum store_status status = store_delete(&key, req->cas, &found);

    lookup_count(cmd, &key, found.why);
    lookup_tell(fd, &key, &found);
    if (UNLIKELY(prefix_enabled())) {
        prefix_count(key.ptr, key.len, settings.prefix_delimiter,
                     PREFIX_DELETE);
    }
    if (status == STORE_OK) {
        COUNT(cmd->counters, delete_hits);
        lookup_count_class(cmd, found.slab_class, CLASS_DELETE_HITS);
        reply_binary_done(cmd, fd, &req->tag, 0);
    } else if (status == STORE_EXISTS) {
        reply_binary_error(cmd, fd, &req->tag, BINARY_EXISTS, NULL);
    } else {
        COUNT(cmd->counters, delete_misses);
        reply_binary_error(cmd, fd, &req->tag, BINARY_NOT_FOUND, NULL);
    }
}

/* ---- requests without a key -------------------------------------------- */

static void run_flush(struct command *cmd, int fd,
                      const struct binary_request *req)
{
    if (!settings.flush_enabled) {
        reply_binary_error(cmd, fd, &req->tag, BINARY_AUTH_ERROR, NULL);
        return;
    }
    COUNT(cmd->counters, cmd_flush);
    /* As flush_all: a delay takes effect one second early. */
    store_flush(req->exptime > 0 ? store_exptime(req->exptime) - 1 : 0);
    reply_binary_done(cmd, fd, &req->tag, 0);
}

static enum command_result run_quit(struct command *cmd, int fd,
                                    const struct binary_request *req)
{
    reply_binary_done(cmd, fd, &req->tag, 0);
    return COMMAND_CLOSE;
}

/* ---- the protocol -------------------------------------------------------- */

static void echo_request(int fd, struct binary_request *req)
{
    int n = req->nkey;

    if (req->echoed) {
        return;
    }
    req->echoed = true;
    reply_binary_echo_request(fd, req->start);
    if (req->misframed || req->misshapen) {
        return;
    }
    if (req->verb == BINARY_GET) {
        log_print(2, "<%d GET %.*s\n", fd, n, req->key);
    } else if (req->verb == BINARY_GAT || req->verb == BINARY_TOUCH) {
        log_print(2, "<%d TOUCH %.*s\n", fd, n, req->key);
    } else if (req->verb == BINARY_DELETE) {
        log_print(2, "Deleting %.*s\n", n, req->key);
    } else if (req->verb == BINARY_STAT) {
        log_print(2, "<%d STATS %.*s\n", fd, n, req->key);
    } else if (req->verb == BINARY_INCR || req->verb == BINARY_DECR) {
        log_print(2, "incr %.*s %" PRIu64 ", %" PRIu64 ", %" PRId32 "\n", n,
                  req->key, req->delta, req->initial, (int32_t)req->exptime);
    }
}

/* Runs a request that is well formed. */
static enum command_result dispatch(struct command *cmd, int fd,
                                    const struct binary_request *req)
{
    switch ((enum binary_verb)req->verb) {
    case BINARY_GET:
    case BINARY_GAT:
    case BINARY_TOUCH:
        return run_get(cmd, fd, req);
    case BINARY_DELETE:
        run_delete(cmd, fd, req);
        break;
    case BINARY_INCR:
    case BINARY_DECR:
        run_arith(cmd, fd, req);
        break;
    case BINARY_FLUSH:
        run_flush(cmd, fd, req);
        break;
    case BINARY_NOOP:
        reply_binary_done(cmd, fd, &req->tag, 0);
        break;
    case BINARY_VERSION:
        reply_binary_value(cmd, fd, &req->tag, 0, PRODUCT_BASE_VERSION,
                           sizeof(PRODUCT_BASE_VERSION) - 1);
        break;
    case BINARY_STAT:
        return stats_binary_run(cmd, fd, req);
    case BINARY_QUIT:
        return run_quit(cmd, fd, req);
    case BINARY_UNKNOWN:
    case BINARY_SET:
    case BINARY_ADD:
    case BINARY_REPLACE:
    case BINARY_APPEND:
    case BINARY_PREPEND:
        break; /* those come with a value: upload_binary.c */
    }
    return COMMAND_DONE;
}

static enum command_result refuse(struct command *cmd, int fd,
                                  const struct binary_request *req)
{
    reply_binary_error(cmd, fd, &req->tag, (enum binary_code)req->refusal,
                       NULL);
    if (req->misshapen) {
        log_print(1, "Protocol error (opcode %02x), close connection %d\n",
                  req->tag.opcode, fd);
    }
    return COMMAND_HANG_UP;
}

/* Seven arguments, as command_run. */
/* NOLINTNEXTLINE(readability-function-size) */
enum command_result command_binary_run(struct command *cmd, int fd,
                                       struct binary_request *req,
                                       const char *data, size_t avail,
                                       size_t *used, struct upload *upload)
{
    enum command_result result;

    *used = 0;
    if (UNLIKELY(out_space(cmd->out) < OUT_SMALL_REPLY)) {
        return COMMAND_FULL;
    }
    if (UNLIKELY(log_wanted(2))) {
        echo_request(fd, req);
    }
    /* Who is asked for a name and a password has to have given them here,
     * between the two: a frame that cannot be is refused before, what the
     * frame holds is not looked at until then. */
    if (UNLIKELY(req->misframed || req->misshapen)) {
        return refuse(cmd, fd, req);
    }
    if (binary_has_value(req) || UNLIKELY(req->verb == BINARY_UNKNOWN)) {
        return upload_binary_run(
            cmd, fd, req, &(struct upload_input){data, avail}, used, upload);
    }
    result = dispatch(cmd, fd, req);
    /* Bytes that belong to nothing: whoever put them there must not have them
     * run. */
    return UNLIKELY(req->surplus && result == COMMAND_DONE) ? COMMAND_HANG_UP
                                                            : result;
}
