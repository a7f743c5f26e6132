#include "command_meta.h"

#include <string.h>

#include "base/clock.h"
#include "lookup.h"
#include "mutation.h"
#include "proto/meta.h"
#include "proto/text.h"
#include "reply.h"
#include "store_meta.h"
#include "value.h"

/* The room a hit may need: its line, a value that is copied, a line end. */
#define HIT_ROOM (META_REPLY_MAX + VALUE_COPY_MAX + 2)

_Static_assert(HIT_ROOM < OUT_BYTES, "one copied value fits an empty buffer");
_Static_assert(META_REPLY_MAX <= OUT_SMALL_REPLY, "replies without a value");

static struct store_key key_of(const struct request *req, const struct meta *m)
{
    if (m->key == req->key && req->hv != 0) {
        return (struct store_key){m->key, m->nkey, req->hv};
    }
    return store_key(m->key, m->nkey);
}

/* ---- T and N, in the order given ------------------------------------- */

/* The expiries that flags ask for. */
struct ends {
    uint32_t touched; /* T */
    uint32_t made;    /* N */
    bool is_made;     /* N had an effect */
};

static struct ends ends_of(const struct meta *m)
{
    return (struct ends){
        .touched = meta_has(m, 'T') ? store_exptime(m->ttl) : 0,
        .made = meta_has(m, 'N') ? store_exptime(m->vivify) : 0,
    };
}

/* The expiry once the flag of this letter was obeyed, `now` before. */
static uint32_t end_after(char letter, const struct ends *ends, uint32_t now)
{
    if (letter == 'T') {
        return ends->touched;
    }
    return letter == 'N' && ends->is_made ? ends->made : now;
}

/* Of an item that comes to be. */
static uint32_t end_when_made(const struct meta *m, struct ends ends)
{
    uint32_t end = 0;

    ends.is_made = true;
    for (unsigned i = 0; i < m->n; i++) {
        end = end_after(m->order[i], &ends, end);
    }
    return end;
}

/* ---- replies ---------------------------------------------------------- */

static char *put_code(char *p, const char *code)
{
    memcpy(p, code, 2);
    return p + 2;
}

/* `VA <length>` */
static char *put_value_code(char *p, size_t n)
{
    memcpy(p, "VA ", 3);
    return util_format_u64(p + 3, n);
}

static char *put_line_end(char *p)
{
    memcpy(p, "\r\n", 2);
    return p + 2;
}

static char *put_time_left(char *p, uint32_t exptime)
{
    if (exptime == 0) {
        memcpy(p, " t-1", 4);
        return p + 4;
    }
    return meta_put_number(p, 't', (uint32_t)(exptime - clock_seconds()));
}

/* The tokens that every reply has. */
static char *put_sent_tokens(char *p, const struct meta *m)
{
    for (unsigned i = 0; i < m->n; i++) {
        if (m->order[i] == 'k') {
            p = meta_put_sent_key(p, m);
        } else if (m->order[i] == 'O') {
            p = meta_put_text(p, 'O', m->opaque, m->nopaque);
        }
    }
    return p;
}

/* A reply that says no more than the request did. */
static void answer(struct command *cmd, const struct meta *m, const char *code)
{
    char *p = put_code(out_tail(cmd->out), code);

    out_wrote(cmd->out, put_line_end(put_sent_tokens(p, m)));
}

/* ---- mg --------------------------------------------------------------- */

static struct store_fetch fetch_of(const struct meta *m,
                                   const struct ends *ends)
{
    struct store_fetch fetch = {
        .vivify = meta_has(m, 'N'),
        .touch = meta_has(m, 'T'),
        .recache = meta_has(m, 'R'),
        .threshold = meta_has(m, 'R') ? store_exptime(m->recache) : 0,
        .exptime = ends->touched,
    };

    if (fetch.vivify) {
        fetch.vivify_exptime = end_when_made(m, *ends);
        fetch.vivify_cas = m->new_cas;
    }
    for (unsigned i = 0; fetch.recache && m->order[i] != 'R'; i++) {
        fetch.recache_touched |= m->order[i] == 'T';
    }
    return fetch;
}

/* A hit, its item held. */
struct hit {
    struct item *it;
    const struct meta *m;
    struct store_fetched fetched;
    struct ends ends;
};

static char *put_item_token(char *p, char letter, const struct item *it)
{
    switch (letter) {
    case 'c':
        return meta_put_number(p, 'c', item_cas(it));
    case 'f':
        return meta_put_number(p, 'f', item_flags(it));
    case 'h':
        return meta_put_number(p, 'h', (it->bits & ITEM_FETCHED) != 0);
    case 'k':
        return meta_put_key(p, item_key(it), it->nkey,
                            (it->bits & ITEM_B64KEY) != 0);
    case 'l':
        return meta_put_number(
            p, 'l',
            (uint32_t)(clock_seconds() -
                       atomic_load_explicit(&it->accessed,
                                            memory_order_relaxed)));
    case 's':
        return meta_put_number(p, 's', it->nbytes);
    default:
        return p;
    }
}

static char *put_mark(char *p, bool set, char mark)
{
    if (set) {
        *p++ = ' ';
        *p++ = mark;
    }
    return p;
}

static char *put_hit_tokens(char *p, const struct hit *hit)
{
    const struct meta *m = hit->m;
    uint32_t exptime = hit->fetched.exptime;

    for (unsigned i = 0; i < m->n; i++) {
        char letter = m->order[i];

        exptime = end_after(letter, &hit->ends, exptime);
        if (letter == 't') {
            p = put_time_left(p, exptime);
        } else if (letter == 'O') {
            p = meta_put_text(p, 'O', m->opaque, m->nopaque);
        } else {
            p = put_item_token(p, letter, hit->it);
        }
    }
    p = put_mark(p, hit->fetched.sent, 'Z');
    p = put_mark(p, hit->fetched.stale, 'X');
    return put_mark(p, hit->fetched.won, 'W');
}

/* The line of a hit, and its end. */
static char *put_hit(char *p, const struct hit *hit, bool with_value)
{
    p = with_value ? put_value_code(p, hit->it->nbytes) : put_code(p, "HD");
    return put_line_end(put_hit_tokens(p, hit));
}

static void warm(const struct hit *hit)
{
    if (!meta_has(hit->m, 'u')) {
        store_hit(hit->it);
    }
}

/* Copies what there is to say, and ends the hold. */
static void answer_hit(struct command *cmd, const struct hit *hit,
                       bool with_value)
{
    struct item *it = hit->it;
    char *p = put_hit(out_tail(cmd->out), hit, with_value);

    if (with_value) {
        memcpy(p, item_data(it), it->nbytes);
        p = put_line_end(p + it->nbytes);
    }
    out_wrote(cmd->out, p);
    value_count_hit(cmd, meta_has(hit->m, 'T'), it->slab_class,
                    value_place(it));
    warm(hit);
    store_release(it);
}

/* The same with a value that is sent from where it lies. The line is written
 * under the hold, and taken back when there is no room for the rest. */
static enum command_result answer_large(struct command *cmd, int fd,
                                        const struct hit *hit)
{
    struct item *it = hit->it;
    struct value value = value_of(it);
    enum hits_to place = value_place(it);
    char *end;

    if (!store_ref(it)) {
        store_release(it);
        reply_fixed(cmd, fd, false, REPLY_REFS_OVERFLOW);
        return COMMAND_DONE;
    }
    end = put_hit(out_tail(cmd->out), hit, true);
    warm(hit);
    store_release(it);
    if (!out_can_ref(cmd->out, value.pieces)) {
        store_unref(it);
        /* What changed the item was begun without references. */
        if (out_has_refs(cmd->out)) {
            return COMMAND_FULL;
        }
        reply_fixed(cmd, fd, false, REPLY_NO_MEMORY_GET);
        return COMMAND_DONE;
    }
    value_count_hit(cmd, meta_has(hit->m, 'T'), it->slab_class, place);
    out_wrote(cmd->out, end);
    value_ref(cmd->out, &value, it);
    out_bytes(cmd->out, "\r\n", 2);
    return COMMAND_DONE;
}

static void answer_miss(struct command *cmd, int fd, const struct hit *miss)
{
    value_count_miss(cmd, false);
    if (miss->fetched.no_memory) {
        reply_fixed(cmd, fd, false, REPLY_NO_MEMORY);
    } else if (!meta_has(miss->m, 'q')) {
        answer(cmd, miss->m, "EN");
    }
}

/* Looks the key up and does what comes with it: most look-ups change nothing,
 * and may be done again. False: they do, and output has to be sent first. */
static bool fetch(struct command *cmd, const struct store_key *key,
                  struct hit *hit)
{
    struct store_fetch fetch = fetch_of(hit->m, &hit->ends);
    enum store_miss why;
    struct item *it = store_hold(key, &why);
    bool changes = it != NULL ? store_fetch_changes(it, &fetch) : fetch.vivify;

    if (LIKELY(!changes)) {
        hit->it = it;
        hit->fetched = it != NULL ? store_fetch_seen(it)
                                  : (struct store_fetched){.why = why};
        return true;
    }
    if (it != NULL) {
        store_release(it);
    }
    if (meta_has(hit->m, 'v') && out_has_refs(cmd->out)) {
        return false;
    }
    hit->it = store_fetch_hold(key, &fetch, &hit->fetched);
    hit->ends.is_made = hit->fetched.made;
    if (it == NULL && hit->fetched.why == STORE_ABSENT) {
        hit->fetched.why = why; /* this look-up removed what was dead */
    }
    return true;
}

static enum command_result run_get(struct command *cmd, int fd,
                                   const struct request *req,
                                   const struct meta *m)
{
    struct store_key key = key_of(req, m);
    struct hit hit = {.m = m, .ends = ends_of(m)};
    enum command_result result = COMMAND_DONE;
    struct store_found found;
    bool with_value;

    if (out_space(cmd->out) < HIT_ROOM || !fetch(cmd, &key, &hit)) {
        return COMMAND_FULL;
    }
    found = lookup_found(hit.fetched.why, hit.fetched.made ? NULL : hit.it);
    if (hit.it == NULL) {
        answer_miss(cmd, fd, &hit);
    } else {
        with_value = meta_has(m, 'v') &&
                     !(meta_has(m, 'C') && m->cas == item_cas(hit.it));
        if (LIKELY(!with_value || value_is_small(hit.it))) {
            answer_hit(cmd, &hit, with_value);
        } else {
            result = answer_large(cmd, fd, &hit);
        }
    }
    if (result == COMMAND_DONE) {
        lookup_count(cmd, &key, hit.fetched.why);
        lookup_tell(fd, &key, &found);
    }
    return result;
}

/* ---- md --------------------------------------------------------------- */

static void count_delete(struct command *cmd, enum store_status status,
                         const struct store_mark *mark, unsigned slab_class)
{
    if (status == STORE_NOT_FOUND || status == STORE_EXISTS) {
        COUNT(cmd->counters, delete_misses);
    } else if (status == STORE_OK && !mark->stale && !mark->empty) {
        COUNT(cmd->counters, delete_hits);
        lookup_count_class(cmd, slab_class, CLASS_DELETE_HITS);
    }
}

static void run_delete(struct command *cmd, int fd, const struct request *req,
                       const struct meta *m)
{
    static const char *const codes[] = {
        [STORE_OK] = "HD",
        [STORE_NOT_STORED] = "NS",
        [STORE_EXISTS] = "EX",
        [STORE_NOT_FOUND] = "NF",
    };
    struct store_key key = key_of(req, m);
    struct store_mark mark = {
        .compare = meta_has(m, 'C'),
        .stale = meta_has(m, 'I'),
        .empty = meta_has(m, 'x'),
        .touch = meta_has(m, 'T'),
        .exptime = store_exptime(m->ttl),
        .flags = m->flags,
        .cas = m->cas,
        .new_cas = m->new_cas,
    };
    struct store_found found;
    enum store_status status = store_mark(&key, &mark, &found);

    lookup_count(cmd, &key, found.why);
    lookup_tell(fd, &key, &found);
    if (status == STORE_OK && !mark.stale && !mark.empty) {
        lookup_tell_deleted(fd, &key, &found, "md");
    }
    count_delete(cmd, status, &mark, found.slab_class);
    if (status == STORE_NO_MEMORY) {
        reply_fixed(cmd, fd, false, REPLY_NO_MEMORY);
    } else if (status != STORE_OK || !meta_has(m, 'q')) {
        answer(cmd, m, codes[status]);
    }
}

/* ---- ma --------------------------------------------------------------- */

static bool take_arith_mode(const struct meta *m, bool *incr)
{
    *incr = !meta_has(m, 'M') || m->mode == 'I' || m->mode == '+';
    return *incr || m->mode == 'D' || m->mode == '-';
}

static void answer_number(struct command *cmd, const struct meta *m,
                          const struct store_result *result,
                          const struct ends *ends)
{
    char digits[UTIL_U64_DIGITS];
    size_t n = (size_t)(util_format_u64(digits, result->number) - digits);
    bool with_value = meta_has(m, 'v');
    uint32_t exptime = result->exptime;
    char *p = out_tail(cmd->out);

    p = with_value ? put_value_code(p, n) : put_code(p, "HD");
    for (unsigned i = 0; i < m->n; i++) {
        char letter = m->order[i];

        exptime = end_after(letter, ends, exptime);
        if (letter == 'c') {
            p = meta_put_number(p, 'c', result->cas);
        } else if (letter == 't') {
            p = put_time_left(p, exptime);
        } else if (letter == 'k') {
            p = meta_put_sent_key(p, m);
        } else if (letter == 'O') {
            p = meta_put_text(p, 'O', m->opaque, m->nopaque);
        }
    }
    p = put_line_end(p);
    if (with_value) {
        memcpy(p, digits, n);
        p = put_line_end(p + n);
    }
    out_wrote(cmd->out, p);
}

static struct store_sum sum_of(const struct meta *m, const struct ends *ends,
                               bool incr)
{
    struct store_sum sum = {
        .incr = incr,
        .touch = meta_has(m, 'T'),
        .vivify = meta_has(m, 'N'),
        .exptime = ends->touched,
        .delta = m->delta,
        .initial = m->initial,
        .cas = m->cas,
        .new_cas = m->new_cas,
    };

    if (sum.vivify) {
        sum.vivify_exptime = end_when_made(m, *ends);
    }
    return sum;
}

static void run_arith(struct command *cmd, int fd, const struct request *req,
                      const struct meta *m)
{
    struct store_key key = key_of(req, m);
    struct ends ends = ends_of(m);
    struct store_result result;
    struct store_found found;
    struct store_sum sum;
    enum store_status status;
    bool incr;

    if (!take_arith_mode(m, &incr)) {
        reply_fixed(cmd, fd, false, REPLY_BAD_MA_MODE);
        return;
    }
    sum = sum_of(m, &ends, incr);
    status = store_sum(&key, &sum, &result, &found);
    lookup_count(cmd, &key, found.why);
    lookup_tell(fd, &key, &found);
    switch (status) {
    case STORE_OK:
        if (result.made) {
            mutation_tell_number(fd, &key, sum.initial, sum.vivify_exptime);
        } else {
            lookup_count_arith(cmd, incr, true, found.slab_class);
        }
        if (!meta_has(m, 'q')) {
            ends.is_made = result.made;
            answer_number(cmd, m, &result, &ends);
        }
        break;
    case STORE_NOT_FOUND:
        lookup_count_arith(cmd, incr, false, 0);
        answer(cmd, m, "NF");
        break;
    case STORE_EXISTS:
        answer(cmd, m, "EX");
        break;
    case STORE_NON_NUMERIC:
        reply_fixed(cmd, fd, false, REPLY_NON_NUMERIC);
        break;
    case STORE_NOT_STORED:
    case STORE_TOO_LARGE:
    case STORE_NO_MEMORY:
        reply_fixed(cmd, fd, false,
                    result.made ? REPLY_NO_MEMORY_ITEM : REPLY_NO_MEMORY);
        break;
    }
}

/* ---- me --------------------------------------------------------------- */

static char *put_word(char *p, const char *word)
{
    size_t n = strlen(word);

    memcpy(p, word, n);
    return p + n;
}

static char *put_field(char *p, const char *name, uint64_t v)
{
    return util_format_u64(put_word(p, name), v);
}

static char *put_debug_key(char *p, const struct item *it)
{
    bool encode = (it->bits & ITEM_B64KEY) != 0 ||
                  meta_key_is_binary(item_key(it), it->nkey);

    if (encode) {
        return meta_encode(p, item_key(it), it->nkey);
    }
    memcpy(p, item_key(it), it->nkey);
    return p + it->nkey;
}

static char *put_debug(char *p, const struct item *it)
{
    uint32_t now = clock_seconds();
    uint32_t accessed =
        atomic_load_explicit(&it->accessed, memory_order_relaxed);

    p = put_debug_key(put_word(p, "ME "), it);
    /* Seconds since its end, so to speak: a live item has none. */
    if (it->exptime == 0) {
        p = put_word(p, " exp=-1");
    } else {
        p = put_field(p, " exp=-", (uint32_t)(it->exptime - now));
    }
    p = put_field(p, " la=", (uint32_t)(now - accessed));
    p = put_field(p, " cas=", item_cas(it));
    p = put_word(p, " fetch=");
    p = put_word(p, (it->bits & ITEM_FETCHED) != 0 ? "yes" : "no");
    p = put_field(p, " cls=", it->slab_class);
    p = put_field(p, " size=", item_total_size(it));
    return put_line_end(p);
}

static void run_debug(struct command *cmd, int fd, const struct request *req)
{
    struct meta m;
    struct store_key key;
    struct store_found found;
    enum store_miss why;
    struct item *it;
    enum reply wrong = meta_parse_debug(req->rest, req->end, &m);

    if (wrong != REPLY_NONE) {
        reply_fixed(cmd, fd, false, wrong);
        return;
    }
    COUNT(cmd->counters, cmd_meta);
    key = key_of(req, &m);
    it = store_hold(&key, &why);
    found = lookup_found(why, it);
    if (it != NULL) {
        out_wrote(cmd->out, put_debug(out_tail(cmd->out), it));
        store_release(it);
    } else {
        reply_text(cmd, fd, false, "EN");
    }
    lookup_count(cmd, &key, why);
    lookup_tell(fd, &key, &found);
}

/* ---- all of them ------------------------------------------------------ */

/* ma has one text for whatever is wrong with its flags. */
static enum reply wording(const struct request *req, const struct meta *m,
                          enum reply wrong)
{
    return req->verb == VERB_META_ARITH && !m->malformed ? REPLY_BAD_MA_FLAG
                                                         : wrong;
}

enum command_result command_meta_run(struct command *cmd, int fd,
                                     const struct request *req)
{
    struct meta m;
    enum reply wrong;

    if (req->verb == VERB_META_DEBUG) {
        run_debug(cmd, fd, req);
        return COMMAND_DONE;
    }
    wrong = meta_parse(req->rest, req->end, 0, &m);
    if (UNLIKELY(wrong != REPLY_NONE)) {
        reply_fixed(cmd, fd, false, wording(req, &m, wrong));
        return COMMAND_DONE;
    }
    if (LIKELY(req->verb == VERB_META_GET)) {
        return run_get(cmd, fd, req, &m);
    }
    if (req->verb == VERB_META_DELETE) {
        run_delete(cmd, fd, req, &m);
    } else {
        run_arith(cmd, fd, req, &m);
    }
    return COMMAND_DONE;
}
