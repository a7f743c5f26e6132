#include "base/clock.h"
#include "base/version.h"
#include "store_internal.h"

static void raise_barrier(uint64_t version)
{
    unsigned long long seen = store_barrier();

    /* Release: who sees the barrier sees what was written before the flush. */
    while (seen < version && !atomic_compare_exchange_weak_explicit(
                                 &store.barrier, &seen, version,
                                 memory_order_release, memory_order_relaxed)) {
    }
}

/* The register of flushes: the newest flush_all, and the second it is for (0:
 * it was made at once). Two nodes that were never linked may have drawn one
 * version: then the later second, on both. False: it holds a newer one, or
 * this. */
static bool set_register(uint64_t version, uint32_t at)
{
    bool newer;

    lock_take(&store.flush_lock, LOCK_QUEUE);
    newer = version > store.flush_version ||
            (version == store.flush_version && at > store.flush_at);
    if (newer) {
        store.flush_version = version;
        store.flush_at = at;
        atomic_store_explicit(&store.pending_at, at, memory_order_relaxed);
    }
    lock_drop(&store.flush_lock, LOCK_QUEUE);
    return newer;
}

bool store_flush_register(uint64_t *version, uint32_t *at)
{
    lock_take(&store.flush_lock, LOCK_QUEUE);
    *version = store.flush_version;
    *at = store.flush_at;
    lock_drop(&store.flush_lock, LOCK_QUEUE);
    return *version != 0;
}

uint64_t store_barrier(void)
{
    return atomic_load_explicit(&store.barrier, memory_order_relaxed);
}

bool store_flush_pending(uint64_t *version, uint32_t *at)
{
    lock_take(&store.flush_lock, LOCK_QUEUE);
    *version = store.flush_version;
    *at = atomic_load_explicit(&store.pending_at, memory_order_relaxed);
    lock_drop(&store.flush_lock, LOCK_QUEUE);
    return *at != 0;
}

/* The last second of which nothing is left, as stock tells it. */
static void tell_flushed(void)
{
    atomic_store_explicit(&store.flushed, clock_seconds() - 1,
                          memory_order_relaxed);
}

void store_flush(uint32_t at)
{
    bool later = at > clock_seconds();
    uint64_t version;

    /* The register is set before the change is recorded: whoever reads the
     * record finds the state it speaks of, or a newer one. */
    version = version_next();
    (void)set_register(version, later ? at : 0);
    if (!later) {
        raise_barrier(version);
        tell_flushed();
    }
    if (store.observer != NULL) {
        (void)store_record_locked(STORE_OP_FLUSH, NULL, NULL, version, 0);
    }
}

/* The barrier of a delayed flush lies just below its second, the same on every
 * node; a counting clock has no seconds and draws one. */
static uint64_t barrier_at(uint32_t at)
{
    uint64_t first = version_at_ms((uint64_t)at * 1000);

    if (!version_is_hybrid()) {
        return version_next();
    }
    /* A peer may say a second that is before all versions. */
    return first > 1 ? first - 1 : 1;
}

/* A drawn version looks like one once in four thousand million. */
bool store_barrier_is_delayed(uint64_t version)
{
    uint64_t ms = version_ms(version + 1);

    return version_is_hybrid() && ms % 1000 == 0 &&
           version_at_ms(ms) == version + 1;
}

/* Takes the pending flush out, to be carried out, unless it was replaced. */
static bool take_pending(uint32_t at)
{
    bool taken;

    lock_take(&store.flush_lock, LOCK_QUEUE);
    taken = atomic_load_explicit(&store.pending_at, memory_order_relaxed) == at;
    if (taken) {
        atomic_store_explicit(&store.pending_at, 0, memory_order_relaxed);
    }
    lock_drop(&store.flush_lock, LOCK_QUEUE);
    return taken;
}

void store_tick(void)
{
    uint32_t at = atomic_load_explicit(&store.pending_at, memory_order_relaxed);
    uint64_t version;

    if (at == 0 || at > clock_seconds() || !take_pending(at)) {
        return;
    }
    version = barrier_at(at);
    raise_barrier(version);
    atomic_store_explicit(&store.flushed, at, memory_order_relaxed);
    /* A peer whose clock is behind need not wait for its own. */
    if (store.observer != NULL && version_is_hybrid()) {
        (void)store_record_locked(STORE_OP_FLUSH, NULL, NULL, version, 0);
    }
}

uint32_t store_flush_time(void)
{
    uint32_t at = atomic_load_explicit(&store.pending_at, memory_order_relaxed);

    return at != 0 ? at
                   : atomic_load_explicit(&store.flushed, memory_order_relaxed);
}

bool store_apply_barrier(uint64_t version, uint32_t source)
{
    bool risen = version > store_barrier();
    bool cleared =
        !store_barrier_is_delayed(version) && set_register(version, 0);

    if (!risen && !cleared) {
        return false;
    }
    version_observe(version);
    raise_barrier(version);
    if (risen) {
        tell_flushed();
    }
    (void)store_record_locked(STORE_OP_FLUSH, NULL, NULL, version, source);
    return risen;
}

void store_apply_flush_at(uint64_t version, uint32_t at, uint32_t source)
{
    version_observe(version);
    if (set_register(version, at)) {
        (void)store_record_locked(STORE_OP_FLUSH, NULL, NULL, version, source);
    }
}
