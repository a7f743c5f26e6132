#include "repmemory.h"

#include "base/log.h"
#include "base/version.h"
#include "settings.h"
#include "store_restart.h"

void repmemory_free(const struct rep_keep *memory)
{
    rep_runs_free(memory->runs);
    rep_log_free(memory->log);
    rep_floor_free(memory->floors);
}

static bool make_empty(struct rep_keep *out, unsigned peers)
{
    *out = (struct rep_keep){.floors = rep_floor_new(settings.rep_floors)};
    if (out->floors != NULL) {
        out->log = rep_log_new(settings.rep_log, out->floors);
    }
    if (out->log != NULL) {
        out->runs = rep_runs_new(out->log, peers);
    }
    if (out->runs == NULL) {
        repmemory_free(out);
        return false;
    }
    return true;
}

bool repmemory_new(struct rep_keep *out, unsigned peers)
{
    size_t n;
    const void *kept = store_kept(&n);

    if (!make_empty(out, peers)) {
        return false;
    }
    if (kept == NULL || rep_keep_load(out, kept, n)) {
        return true;
    }
    log_print(0, "[restart] failed to restore what replication knew\n");
    repmemory_free(out);
    if (!make_empty(out, peers)) {
        return false;
    }
    /* Anything may have been removed: peers will offer what they hold. */
    for (unsigned i = 0; i < REP_FLOOR_SHARDS; i++) {
        rep_floor_raise_past(out->floors, i, version_last());
    }
    return true;
}
