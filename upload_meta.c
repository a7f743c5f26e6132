#include "upload_meta.h"

#include <stdlib.h>
#include <string.h>

#include "reply.h"

static bool take_mode(const struct meta *m, enum store_mode *mode)
{
    switch (meta_has(m, 'M') ? m->mode : 'S') {
    case 'S':
        *mode = STORE_SET;
        return true;
    case 'E':
        *mode = STORE_ADD;
        return true;
    case 'R':
        *mode = STORE_REPLACE;
        return true;
    case 'A':
        *mode = STORE_APPEND;
        return true;
    case 'P':
        *mode = STORE_PREPEND;
        return true;
    default:
        return false;
    }
}

enum reply upload_meta_parse(const struct request *req, struct meta *m)
{
    enum reply wrong = meta_parse(req->rest, req->end, 1, m);
    enum store_mode mode;

    if (wrong == REPLY_NONE && !take_mode(m, &mode)) {
        wrong = REPLY_BAD_MS_MODE;
    }
    return wrong;
}

struct store_terms upload_meta_terms(const struct meta *m)
{
    struct store_terms terms = {
        .attrs = {.flags = m->flags,
                  .exptime = meta_has(m, 'T') ? store_exptime(m->ttl) : 0},
        .compare = meta_has(m, 'C'),
        .older = meta_has(m, 'I'),
        .b64key = meta_has(m, 'b'),
        .vivify = meta_has(m, 'N'),
        .cas = m->cas,
        .new_cas = m->new_cas,
    };

    (void)take_mode(m, &terms.mode);
    if (terms.vivify) {
        terms.vivify_exptime = store_exptime(m->vivify);
    }
    return terms;
}

bool upload_meta_compares(const struct meta *m)
{
    enum store_mode mode;

    return meta_has(m, 'C') && take_mode(m, &mode) &&
           (mode == STORE_SET || mode == STORE_REPLACE);
}

struct upload_meta *upload_meta_keep(const struct meta *m)
{
    struct upload_meta *kept = malloc(sizeof(*kept));

    if (kept == NULL) {
        return NULL;
    }
    kept->meta = *m;
    memcpy(kept->key, m->key, m->nkey);
    kept->meta.key = kept->key;
    if (m->nopaque > 0) {
        memcpy(kept->opaque, m->opaque, m->nopaque);
    }
    kept->meta.opaque = kept->opaque;
    return kept;
}

static char *put_tokens(char *p, const struct meta *m,
                        const struct store_stored *stored)
{
    for (unsigned i = 0; i < m->n; i++) {
        switch (m->order[i]) {
        case 'c':
            p = meta_put_number(p, 'c', stored->cas);
            break;
        case 'k':
            p = meta_put_sent_key(p, m);
            break;
        case 'O':
            p = meta_put_text(p, 'O', m->opaque, m->nopaque);
            break;
        case 's':
            p = meta_put_number(p, 's', stored->nbytes);
            break;
        default:
            break;
        }
    }
    return p;
}

void upload_meta_answer(struct command *cmd, int fd, const struct meta *m,
                        enum store_status status, size_t n,
                        const struct store_stored *stored)
{
    static const char *const codes[] = {
        [STORE_OK] = "HD",
        [STORE_NOT_STORED] = "NS",
        [STORE_EXISTS] = "EX",
        [STORE_NOT_FOUND] = "NF",
    };
    struct store_stored refused = {.nbytes = n};
    char *p = out_tail(cmd->out);

    if (status == STORE_TOO_LARGE || status == STORE_NO_MEMORY) {
        reply_fixed(cmd, fd, false,
                    status == STORE_TOO_LARGE ? REPLY_TOO_LARGE
                                              : REPLY_NO_MEMORY_STORE);
        return;
    }
    if (status == STORE_OK && meta_has(m, 'q')) {
        return;
    }
    memcpy(p, codes[status], 2);
    p = put_tokens(p + 2, m, status == STORE_OK ? stored : &refused);
    memcpy(p, "\r\n", 2);
    out_wrote(cmd->out, p + 2);
}
