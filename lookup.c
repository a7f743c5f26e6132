#include "lookup.h"

void lookup_log(const struct store_key *key, enum store_miss why)
{
    static const char *const suffixes[] = {
        [STORE_HIT] = "",
        [STORE_ABSENT] = "",
        [STORE_EXPIRED] = " -removed by expire",
        [STORE_FLUSHED] = " -removed by flush",
    };
    bool there = why != STORE_ABSENT;
    char shown[KEY_MAX_LENGTH];

    /* One given in base64 may hold line ends. */
    for (size_t i = 0; i < key->len; i++) {
        shown[i] = key->ptr[i];
        if (shown[i] == '\n' || shown[i] == '\r') {
            shown[i] = '?';
        }
    }
    log_print(3, "> %s %.*s%s\n", there ? "FOUND KEY" : "NOT FOUND",
              (int)key->len, shown, suffixes[why]);
}

void lookup_show(struct command *cmd, const struct store_key *key)
{
    enum store_miss why;
    struct item *it = store_hold(key, &why);

    if (it != NULL) {
        store_release(it);
    }
    lookup_count(cmd, key, why);
}

void lookup_count_arith(struct command *cmd, bool incr, bool hit,
                        unsigned slab_class)
{
    struct counters *c = cmd->counters;

    if (hit) {
        counter_add(incr ? &c->incr_hits : &c->decr_hits, 1);
        lookup_count_class(cmd, slab_class,
                           incr ? CLASS_INCR_HITS : CLASS_DECR_HITS);
    } else {
        counter_add(incr ? &c->incr_misses : &c->decr_misses, 1);
    }
}

_Static_assert((int)WATCH_FOUND == (int)STORE_HIT &&
                   (int)WATCH_NOT_FOUND == (int)STORE_ABSENT &&
                   (int)WATCH_EXPIRED == (int)STORE_EXPIRED &&
                   (int)WATCH_FLUSHED == (int)STORE_FLUSHED,
               "the same outcomes in the same order");

static struct watch_item item_of(int fd, const struct store_key *key,
                                 const struct store_found *found)
{
    return (struct watch_item){.key = key->ptr,
                               .nkey = key->len,
                               .slab_class = found->slab_class,
                               .nbytes = found->nbytes,
                               .fd = fd};
}

void lookup_tell_found(int fd, const struct store_key *key,
                       const struct store_found *found)
{
    struct watch_item it = item_of(fd, key, found);

    watch_item_get(&it, (enum watch_got)found->why);
}

void lookup_tell_removed(int fd, const struct store_key *key,
                         const struct store_found *found, const char *by)
{
    struct watch_item it = item_of(fd, key, found);

    watch_item_deleted(&it, by);
}

void lookup_tell_of(int fd, const struct store_key *key)
{
    enum store_miss why;
    struct item *it = store_hold(key, &why);
    struct watch_item seen = lookup_seen(fd, key, it);

    if (it != NULL) {
        store_release(it);
    }
    watch_item_get(&seen, (enum watch_got)why);
}
