/* The text parser: whole input and input cut anywhere give the same requests,
 * nothing points outside the line, and no value is left to be read as lines. */
#include <stdlib.h>
#include <string.h>

#include "proto/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* Adds up the keys, so that the same keys in the same order are equal. */
static uint64_t sum_keys(struct request *req, uint64_t sum)
{
    const char *key;
    size_t n;

    while (text_next_key(req, &key, &n)) {
        demand(n > 0 && key + n <= req->end);
        for (size_t i = 0; i < n; i++) {
            sum = sum * 31 + (unsigned char)key[i];
        }
        sum = sum * 31 + ' ';
    }
    return sum;
}

/* A get line run in two pieces has the keys of the whole line. */
static void check_pieces(const char *p, size_t n, size_t cut, uint64_t whole)
{
    struct request req;
    size_t used, more;
    bool last;
    uint64_t sum;

    if (text_parse_get_head(p, cut, &req, &used) != TEXT_OK ||
        cut - used > KEY_MAX_LENGTH || req.end - p > (ptrdiff_t)cut) {
        return;
    }
    if (used == cut && p[used - 1] != ' ') {
        return; /* an over-long key was cut: the command refuses the line */
    }
    sum = sum_keys(&req, 0);
    demand(text_parse_more_keys(p + used, n - used, &req, &more, &last) ==
           TEXT_OK);
    demand(last && used + more == n);
    demand(sum_keys(&req, sum) == whole);
}

/* Field by field: padding may differ. */
static bool same(const struct request *a, const struct request *b)
{
    return a->verb == b->verb && a->refusal == b->refusal &&
           a->noreply == b->noreply && a->has_data == b->has_data &&
           a->hang_up == b->hang_up && a->nkey == b->nkey &&
           a->exptime == b->exptime && a->flags == b->flags &&
           a->nbytes == b->nbytes && a->number == b->number &&
           a->key == b->key && a->rest == b->rest && a->end == b->end &&
           a->line_len == b->line_len;
}

/* Whether the line's verb is one that a value follows. */
static bool brings_value(const struct request *req)
{
    static const char *const verbs[] = {"set",     "add", "replace", "append",
                                        "prepend", "cas", "ms"};

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        size_t n = strlen(verbs[i]);

        if (req->line_len >= n && memcmp(req->line, verbs[i], n) == 0 &&
            (req->line_len == n || req->line[n] == ' ')) {
            return true;
        }
    }
    return false;
}

/* A value is stored or swallowed, or its line is the last. */
static void check_value(const struct request *req, size_t used)
{
    if (used >= 4) { /* shorter lines are refused unread */
        demand(brings_value(req) == (req->has_data || req->hang_up));
    }
    demand(!req->hang_up || (req->verb == VERB_ERROR && !req->has_data));
    demand((unsigned char)req->line[0] != 0x80);
}

static void check_line(const char *p, size_t n, const struct request *req)
{
    struct request again = {0};
    size_t used = 0;

    for (size_t cut = 0; cut < n; cut++) {
        demand(text_parse(p, cut, &again, &used) != TEXT_OK);
    }
    demand(text_parse(p, n, &again, &used) == TEXT_OK && used == n);
    demand(same(&again, req));
    demand(req->line == p && req->line_len < n);
    demand(req->nkey == 0 || req->key + req->nkey <= p + req->line_len);
    if (req->verb == VERB_GET || req->verb == VERB_GETS) {
        uint64_t whole = sum_keys(&again, 0);

        for (size_t cut = 5; cut + 2 < n; cut++) {
            check_pieces(p, n, cut, whole);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    struct request req;
    size_t used;

    while (text_parse(p, size, &req, &used) == TEXT_OK) {
        demand(used > 0 && used <= size && req.verb <= VERB_DROP);
        check_line(p, used, &req);
        check_value(&req, used);
        p += used;
        size -= used;
        if (req.has_data) {
            size_t skip = (size_t)req.nbytes + 2;

            skip = skip < size ? skip : size;
            p += skip;
            size -= skip;
        }
    }
    return 0;
}
