#include "prefix.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/lock.h"

enum { BUCKETS = 4096 };

struct prefix {
    struct prefix *next;
    uint64_t counts[PREFIX_EVENTS]; /* gets are misses and hits together */
    size_t len;
    char text[];
};

/* Longest line of a dump beside the prefix itself. */
#define LINE_MAX_REST                                                          \
    (sizeof("PREFIX  get  hit  set  del \r\n") + 4 * UTIL_U64_DIGITS)

atomic_bool prefix_on;

static struct lock lock; /* QUEUE: guards the rest */
static struct prefix *buckets[BUCKETS];
static unsigned used;    /* prefixes */
static size_t used_text; /* bytes of all of them */

void prefix_enable(bool on)
{
    atomic_store_explicit(&prefix_on, on, memory_order_relaxed);
}

static struct prefix *find_or_add_locked(const char *text, size_t len)
{
    struct prefix **bucket = &buckets[hash_key(text, len) % BUCKETS];
    struct prefix *p;

    lock_assert(LOCK_QUEUE);
    for (p = *bucket; p != NULL; p = p->next) {
        if (p->len == len && memcmp(p->text, text, len) == 0) {
            return p;
        }
    }
    if (used == PREFIX_MAX) {
        return NULL;
    }
    p = calloc(1, sizeof(*p) + len);
    if (p == NULL) {
        return NULL;
    }
    p->len = len;
    memcpy(p->text, text, len);
    p->next = *bucket;
    *bucket = p;
    used++;
    used_text += len;
    return p;
}

void prefix_count(const char *key, size_t nkey, char delimiter,
                  enum prefix_event event)
{
    const char *end = memchr(key, delimiter, nkey);
    struct prefix *p;

    if (end == NULL) {
        return;
    }
    lock_take(&lock, LOCK_QUEUE);
    p = find_or_add_locked(key, (size_t)(end - key));
    if (p != NULL) {
        p->counts[event]++;
    }
    lock_drop(&lock, LOCK_QUEUE);
}

void prefix_clear(void)
{
    struct prefix *p, *next;

    lock_take(&lock, LOCK_QUEUE);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (p = buckets[i]; p != NULL; p = next) {
            next = p->next;
            free(p);
        }
        buckets[i] = NULL;
    }
    used = 0;
    used_text = 0;
    lock_drop(&lock, LOCK_QUEUE);
}

static char *put(char *at, const char *text, size_t n)
{
    memcpy(at, text, n);
    return at + n;
}

static char *put_line(char *at, const struct prefix *p)
{
    at = put(at, "PREFIX ", 7);
    at = put(at, p->text, p->len);
    at = put(at, " get ", 5);
    at = util_format_u64(at, p->counts[PREFIX_GET] + p->counts[PREFIX_HIT]);
    at = put(at, " hit ", 5);
    at = util_format_u64(at, p->counts[PREFIX_HIT]);
    at = put(at, " set ", 5);
    at = util_format_u64(at, p->counts[PREFIX_SET]);
    at = put(at, " del ", 5);
    at = util_format_u64(at, p->counts[PREFIX_DELETE]);
    return put(at, "\r\n", 2);
}

char *prefix_dump(size_t *len)
{
    char *text, *at;

    lock_take(&lock, LOCK_QUEUE);
    text = malloc(used * LINE_MAX_REST + used_text + sizeof("END\r\n"));
    if (text != NULL) {
        at = text;
        for (size_t i = 0; i < BUCKETS; i++) {
            for (const struct prefix *p = buckets[i]; p != NULL; p = p->next) {
                at = put_line(at, p);
            }
        }
        at = put(at, "END\r\n", 5);
        *len = (size_t)(at - text);
    }
    lock_drop(&lock, LOCK_QUEUE);
    return text;
}
