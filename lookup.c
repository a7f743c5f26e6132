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

    log_print(3, "> %s %.*s%s\n", there ? "FOUND KEY" : "NOT FOUND",
              (int)key->len, key->ptr, suffixes[why]);
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
