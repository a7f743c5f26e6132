#include "mutation.h"

#include "store_stats.h"

static const char *cmd_word(enum store_mode mode)
{
    static const char *const words[] = {
        [STORE_SET] = "set",         [STORE_ADD] = "add",
        [STORE_REPLACE] = "replace", [STORE_APPEND] = "append",
        [STORE_PREPEND] = "prepend", [STORE_CAS] = "cas",
    };

    return words[mode];
}

static const char *status_word(enum store_status status)
{
    static const char *const words[] = {
        [STORE_OK] = "stored",
        [STORE_NOT_STORED] = "not_stored",
        [STORE_EXISTS] = "exists",
        [STORE_NOT_FOUND] = "not_found",
        [STORE_TOO_LARGE] = "too_large",
        [STORE_NO_MEMORY] = "no_memory",
        [STORE_NON_NUMERIC] = "not_stored",
    };

    return words[status];
}

/* What is stored is more than was sent, or has the time of what it replaced, as
 * a stale value does. */
static bool is_of_another(enum store_mode mode)
{
    return mode == STORE_APPEND || mode == STORE_PREPEND || mode == STORE_CAS;
}

void mutation_tell(const struct store_key *key, const struct mutation *m)
{
    struct watch_item told = {.key = key->ptr,
                              .nkey = key->len,
                              .slab_class = m->slab_class,
                              .nbytes = m->nbytes,
                              .fd = m->fd};
    uint32_t exptime = m->exptime;

    if (m->status == STORE_OK && is_of_another(m->mode)) {
        struct item *it = store_hold(key, NULL);

        if (it != NULL) {
            told = lookup_seen(m->fd, key, it);
            exptime = it->exptime;
            store_release(it);
        }
    }
    watch_item_store(&told, status_word(m->status), cmd_word(m->mode), exptime);
}

/* A set or replace that compares is one whatever it is called. */
static enum store_mode mode_on(const struct store_terms *terms)
{
    bool replaces = terms->mode == STORE_SET || terms->mode == STORE_REPLACE;

    return terms->compare && replaces ? STORE_CAS : terms->mode;
}

/* The class of a value that found room, or might have. */
static unsigned class_of(const struct store_key *key, enum store_status status,
                         uint32_t flags, size_t n)
{
    return status == STORE_TOO_LARGE || status == STORE_NO_MEMORY
               ? 0
               : store_class_of(key->len, flags, n);
}

void mutation_tell_terms(int fd, const struct store_key *key,
                         const struct store_terms *terms,
                         enum store_status status, size_t n)
{
    const struct mutation m = {.fd = fd,
                               .mode = mode_on(terms),
                               .status = status,
                               .exptime = terms->attrs.exptime,
                               .slab_class =
                                   class_of(key, status, terms->attrs.flags, n),
                               .nbytes = (uint32_t)n};

    mutation_tell(key, &m);
}

void mutation_tell_number(int fd, const struct store_key *key, uint64_t number,
                          uint32_t exptime)
{
    static const struct store_found absent = {.why = STORE_ABSENT};
    char digits[UTIL_U64_DIGITS];
    size_t n = (size_t)(util_format_u64(digits, number) - digits);
    const struct store_terms terms = {.attrs = {.exptime = exptime},
                                      .mode = STORE_ADD};

    lookup_tell(fd, key, &absent);
    mutation_tell_on(fd, key, &terms, STORE_OK, n);
}
