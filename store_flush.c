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

static void set_pending(uint64_t version, uint32_t at)
{
    lock_take(&store.flush_lock, LOCK_QUEUE);
    store.pending_version = version;
    atomic_store_explicit(&store.pending_at, at, memory_order_relaxed);
    lock_drop(&store.flush_lock, LOCK_QUEUE);
}

uint64_t store_barrier(void)
{
    return atomic_load_explicit(&store.barrier, memory_order_relaxed);
}

bool store_flush_pending(uint64_t *version, uint32_t *at)
{
    lock_take(&store.flush_lock, LOCK_QUEUE);
    *version = store.pending_version;
    *at = atomic_load_explicit(&store.pending_at, memory_order_relaxed);
    lock_drop(&store.flush_lock, LOCK_QUEUE);
    return *at != 0;
}

void store_flush(uint32_t at)
{
    bool later = at > clock_seconds();
    uint64_t version;

    /* The register is set before the change is recorded: whoever reads the
     * record finds the state it speaks of, or a newer one. */
    version = version_next();
    set_pending(version, later ? at : 0);
    if (!later) {
        raise_barrier(version);
        atomic_store_explicit(&store.flushed, clock_seconds(),
                              memory_order_relaxed);
    }
    if (store.observer != NULL) {
        (void)store_record_locked(STORE_OP_FLUSH, NULL, version, 0);
    }
}

/* The barrier of a delayed flush lies just below its second, the same on every
 * node; a counting clock has no seconds and draws one. */
static uint64_t barrier_at(uint32_t at)
{
    return version_is_hybrid() ? version_at_ms((uint64_t)at * 1000) - 1
                               : version_next();
}

void store_tick(void)
{
    uint32_t at = atomic_load_explicit(&store.pending_at, memory_order_relaxed);
    uint64_t version;

    if (at == 0 || at > clock_seconds() ||
        !store_flush_pending(&version, &at)) {
        return;
    }
    set_pending(version, 0);
    raise_barrier(barrier_at(at));
    atomic_store_explicit(&store.flushed, at, memory_order_relaxed);
}

uint32_t store_flush_time(void)
{
    uint32_t at = atomic_load_explicit(&store.pending_at, memory_order_relaxed);

    return at != 0 ? at
                   : atomic_load_explicit(&store.flushed, memory_order_relaxed);
}

bool store_apply_barrier(uint64_t version, uint32_t source)
{
    if (version <= store_barrier()) {
        return false;
    }
    version_observe(version);
    raise_barrier(version);
    atomic_store_explicit(&store.flushed, clock_seconds(),
                          memory_order_relaxed);
    lock_take(&store.flush_lock, LOCK_QUEUE);
    if (store.pending_version < version) {
        atomic_store_explicit(&store.pending_at, 0, memory_order_relaxed);
    }
    lock_drop(&store.flush_lock, LOCK_QUEUE);
    (void)store_record_locked(STORE_OP_FLUSH, NULL, version, source);
    return true;
}

void store_apply_flush_at(uint64_t version, uint32_t at, uint32_t source)
{
    bool newer;

    version_observe(version);
    lock_take(&store.flush_lock, LOCK_QUEUE);
    newer = version > store.pending_version && version > store_barrier();
    if (newer) {
        store.pending_version = version;
        atomic_store_explicit(&store.pending_at, at, memory_order_relaxed);
    }
    lock_drop(&store.flush_lock, LOCK_QUEUE);
    if (newer) {
        (void)store_record_locked(STORE_OP_FLUSH, NULL, version, source);
    }
}
