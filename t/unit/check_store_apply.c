/* Unit tests of the store's side of replication: versions, floors, barriers. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/version.h"
#include "store.h"

#define START_MS UINT64_C(1800000000000)
#define V(n)     (version_at_ms(START_MS) + ((uint64_t)(n) << 8))

/* What the observer saw. */
static struct store_change seen[64];
static int seen_n;
static int removed_n;
static uint64_t floor_version;

static uint64_t on_change(void *ctx, const struct store_change *change)
{
    (void)ctx;
    seen[seen_n % 64] = *change;
    seen_n++;
    if (change->version != 0) {
        version_observe(change->version);
        return change->version;
    }
    return version_next();
}

static void on_removed(void *ctx, const char *key, size_t nkey,
                       uint64_t version)
{
    (void)ctx;
    ck_assert_ptr_nonnull(key);
    ck_assert_uint_gt(nkey, 0);
    ck_assert_uint_gt(version, 0);
    removed_n++;
}

static uint64_t on_floor(void *ctx, const char *key, size_t nkey)
{
    (void)ctx;
    (void)key;
    (void)nkey;
    return floor_version;
}

static const struct store_observer observer = {
    .change = on_change, .removed = on_removed, .floor = on_floor};

static void setup(void)
{
    struct store_config config = store_config_default();

    hash_init();
    clock_freeze(START_MS);
    version_init(VERSION_HYBRID, 1);
    seen_n = removed_n = 0;
    floor_version = 0;
    ck_assert(store_init(&config));
    store_observe(&observer);
}

static struct store_key key_of(const char *name)
{
    return store_key(name, strlen(name));
}

static enum store_applied apply(const char *name, const char *value,
                                uint64_t version)
{
    struct store_key key = key_of(name);
    struct store_incoming in = {
        .attrs = {.flags = 9}, .version = version, .source = 2};

    return store_apply(&key, &in, value, strlen(value));
}

static struct store_incoming incoming(uint64_t version)
{
    return (struct store_incoming){.version = version, .source = 2};
}

static void put(const char *name, const char *value)
{
    struct store_key key = key_of(name);
    struct store_attrs attrs = {0};

    ck_assert_int_eq(
        store_set(&key, &attrs, STORE_SET, value, strlen(value), NULL),
        STORE_OK);
}

static bool holds(const char *name, const char *value)
{
    struct store_key key = key_of(name);
    struct item *it = store_hold(&key, NULL);
    bool same;

    if (it == NULL) {
        return value == NULL;
    }
    same = value != NULL && item_value_equals(it, value, strlen(value));
    store_release(it);
    return same;
}

static uint64_t cas_of(const char *name)
{
    struct store_key key = key_of(name);
    struct item *it = store_hold(&key, NULL);
    uint64_t cas;

    ck_assert_ptr_nonnull(it);
    cas = item_cas(it);
    store_release(it);
    return cas;
}

START_TEST(the_newer_version_wins_whatever_the_order)
{
    ck_assert_int_eq(apply("k", "new", V(5)), STORE_APPLIED);
    ck_assert_int_eq(apply("k", "old", V(4)), STORE_STALE);
    ck_assert(holds("k", "new"));
    ck_assert_int_eq(apply("k", "newer", V(6)), STORE_APPLIED);
    ck_assert(holds("k", "newer"));
    ck_assert_uint_eq(cas_of("k"), V(6));
}
END_TEST

START_TEST(equal_versions_decide_by_state)
{
    ck_assert_int_eq(apply("k", "bbb", V(5)), STORE_APPLIED);
    ck_assert_int_eq(apply("k", "bbb", V(5)), STORE_APPLIED_SAME);
    ck_assert_int_eq(apply("k", "aaa", V(5)), STORE_STALE);
    ck_assert_int_eq(apply("k", "ccc", V(5)), STORE_APPLIED);
    ck_assert_int_eq(apply("k", "z", V(5)), STORE_STALE);
    ck_assert(holds("k", "ccc"));
}
END_TEST

START_TEST(equal_values_decide_by_cas_and_marks)
{
    struct store_key key = key_of("k");
    struct store_incoming in = incoming(V(5));

    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED);
    in.bits = ITEM_STALE;
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED);
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED_SAME);
    in.bits = 0;
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_STALE);
    in.cas = V(5) + 1;
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED);
    in.cas = V(4);
    in.bits = ITEM_STALE;
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_STALE);
    ck_assert_uint_eq(cas_of("k"), V(5) + 1);
}
END_TEST

START_TEST(a_cas_that_is_not_shown_counts)
{
    struct store_key key = key_of("k");
    struct store_incoming in = incoming(V(5));

    items_init(false);
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED);
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED_SAME);
    in.cas = V(4);
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_STALE);
    items_init(true);
    ck_assert_uint_eq(cas_of("k"), V(5));
}
END_TEST

START_TEST(a_local_write_beats_everything_received)
{
    ck_assert_int_eq(apply("k", "theirs", V(1000000)), STORE_APPLIED);
    put("k", "ours");
    ck_assert_uint_gt(cas_of("k"), V(1000000));
    ck_assert_int_eq(apply("k", "late", V(999999)), STORE_STALE);
    ck_assert(holds("k", "ours"));
}
END_TEST

START_TEST(floors_refuse_older_states)
{
    struct store_key key = key_of("k");

    floor_version = V(5);
    ck_assert_int_eq(apply("k", "old", V(4)), STORE_STALE);
    ck_assert_int_eq(apply("k", "same", V(5)), STORE_APPLIED);
    /* The floor of the version held says nothing of it. */
    ck_assert_int_eq(store_apply_floor(&key, V(5), 2), STORE_APPLIED_SAME);
    ck_assert_int_eq(store_apply_floor(&key, V(4), 2), STORE_STALE);
    ck_assert_int_eq(store_apply_floor(&key, V(6), 2), STORE_APPLIED);
    ck_assert(holds("k", NULL));
}
END_TEST

START_TEST(a_barrier_kills_older_and_spares_newer)
{
    ck_assert_int_eq(apply("old", "v", V(1)), STORE_APPLIED);
    ck_assert_int_eq(apply("new", "v", V(9)), STORE_APPLIED);
    ck_assert(store_apply_barrier(V(5), 2));
    ck_assert(!store_apply_barrier(V(5), 2));
    ck_assert(!store_apply_barrier(V(3), 2));
    ck_assert(holds("old", NULL));
    ck_assert(holds("new", "v"));
    ck_assert_int_eq(apply("late", "v", V(4)), STORE_STALE);
    ck_assert_uint_eq(store_barrier(), V(5));
}
END_TEST

START_TEST(a_delayed_flush_spares_what_comes_at_its_second)
{
    uint64_t version;
    uint32_t at;

    put("k", "v");
    store_apply_flush_at(V(100), clock_seconds() + 5, 2);
    ck_assert(store_flush_pending(&version, &at));
    ck_assert_uint_eq(version, V(100));
    clock_freeze(START_MS + 4999);
    put("just_before", "v");
    clock_freeze(START_MS + 5000);
    put("just_after", "v");
    store_tick();
    ck_assert(holds("k", NULL));
    ck_assert(holds("just_before", NULL));
    ck_assert(holds("just_after", "v"));
}
END_TEST

/* One side replaces a delayed flush while the other cannot hear of it, carries
 * the old one out, and hears of the new one then. */
START_TEST(a_delayed_flush_survives_the_one_it_replaced)
{
    uint64_t version, pending;
    uint32_t at, now = clock_seconds();

    store_flush(now + 1);
    clock_freeze((now + 1) * UINT64_C(1000));
    store_tick();
    ck_assert(store_flush_register(&version, &at));
    ck_assert(version < store_barrier());
    ck_assert(store_barrier_is_delayed(store_barrier()));
    store_apply_flush_at(version + 1, now + 9, 2);
    ck_assert(store_flush_pending(&pending, &at));
    ck_assert_uint_eq(at, now + 9);
    /* The barrier of another one leaves it alone, an immediate flush not. */
    (void)store_apply_barrier(version_at_ms((now + 3) * UINT64_C(1000)) - 1, 2);
    ck_assert(store_flush_pending(&pending, &at));
    (void)store_apply_barrier(version_at_ms((now + 2) * UINT64_C(1000)) + 1, 2);
    ck_assert(!store_flush_pending(&pending, &at));
}
END_TEST

START_TEST(every_change_is_seen_once_with_its_source)
{
    struct store_key key = key_of("k");

    put("k", "v");
    ck_assert_int_eq(apply("k", "w", V(1000)), STORE_APPLIED);
    ck_assert_int_eq(store_delete(&key, 0, NULL), STORE_OK);
    ck_assert_int_eq(store_delete(&key, 0, NULL), STORE_NOT_FOUND);
    store_flush(0);
    ck_assert_int_eq(seen_n, 5);
    ck_assert_int_eq(seen[0].op, STORE_OP_ITEM);
    ck_assert_uint_eq(seen[0].source, 0);
    ck_assert_int_eq(seen[1].op, STORE_OP_ITEM);
    ck_assert_uint_eq(seen[1].source, 2);
    ck_assert_uint_eq(seen[1].version, V(1000));
    ck_assert_int_eq(seen[2].op, STORE_OP_DELETE);
    ck_assert_uint_ne(seen[1].place, 0);
    ck_assert_uint_eq(seen[1].place, seen[0].place); /* written over */
    ck_assert_uint_eq(seen[2].place, 0);
    ck_assert_int_eq(seen[3].op, STORE_OP_DELETE);
    ck_assert_int_eq(seen[4].op, STORE_OP_FLUSH);
}
END_TEST

START_TEST(stale_states_are_not_recorded)
{
    ck_assert_int_eq(apply("k", "v", V(5)), STORE_APPLIED);
    seen_n = 0;
    ck_assert_int_eq(apply("k", "u", V(4)), STORE_STALE);
    ck_assert_int_eq(apply("k", "v", V(5)), STORE_APPLIED_SAME);
    ck_assert_int_eq(seen_n, 0);
}
END_TEST

static void touch(const char *name, uint32_t exptime)
{
    struct store_key key = key_of(name);
    struct item *it = store_touch_hold(&key, exptime, NULL);

    ck_assert_ptr_nonnull(it);
    ck_assert_uint_eq(it->exptime, exptime);
    store_release(it);
}

START_TEST(a_longer_touch_keeps_version_and_cas)
{
    uint64_t cas;

    put("k", "v");
    touch("k", clock_seconds() + 100);
    cas = cas_of("k");
    seen_n = 0;
    touch("k", clock_seconds() + 200);
    ck_assert_int_eq(seen_n, 1);
    ck_assert_int_eq(seen[0].op, STORE_OP_TOUCH);
    ck_assert_uint_eq(cas_of("k"), cas);
    touch("k", clock_seconds() + 200);
    ck_assert_int_eq(seen_n, 1);
}
END_TEST

START_TEST(a_shorter_touch_draws_a_version_and_keeps_the_cas)
{
    /* Lengths around the class limits: with and without room for a cas. */
    char value[120];

    for (size_t n = 0; n < sizeof(value); n++) {
        struct store_key key = key_of("k");
        struct store_attrs attrs = {.flags = (uint32_t)n};
        struct item *it;
        uint64_t cas;

        memset(value, 'a' + (int)(n % 26), sizeof(value));
        ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, value, n, &cas),
                         STORE_OK);
        touch("k", clock_seconds() + 50);
        it = store_hold(&key, NULL);
        ck_assert_ptr_nonnull(it);
        ck_assert_uint_gt(it->version, cas);
        ck_assert_uint_eq(item_cas(it), cas);
        ck_assert_uint_eq(item_flags(it), n);
        ck_assert(item_value_equals(it, value, n));
        store_release(it);
    }
}
END_TEST

/* With room for a cas it no longer fits one chunk. */
START_TEST(a_shorter_touch_keeps_a_value_as_long_as_a_chunk)
{
    size_t n = store_config_default().chunk_max - sizeof(struct item) - 1;
    struct store_key key = key_of("k");
    struct store_attrs attrs = {.exptime = store_exptime(100)};
    char *value = malloc(n);
    struct item *it;

    ck_assert_ptr_nonnull(value);
    memset(value, 'x', n);
    ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, value, n, NULL),
                     STORE_OK);
    it = store_touch_hold(&key, store_exptime(50), NULL);
    ck_assert_ptr_nonnull(it);
    ck_assert(item_is_chained(it));
    ck_assert(item_value_equals(it, value, n));
    ck_assert_uint_eq(item_chunk_first(it)->used, n);
    store_release(it);
    free(value);
}
END_TEST

START_TEST(an_equal_state_takes_the_later_expiry)
{
    struct store_key key = key_of("k");
    struct store_incoming in = {.version = V(5), .source = 2};
    struct item *it;

    in.attrs.exptime = clock_seconds() + 100;
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED);
    in.attrs.exptime = clock_seconds() + 102;
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED_SAME);
    it = store_hold(&key, NULL);
    ck_assert_uint_eq(it->exptime, clock_seconds() + 100);
    store_release(it);
    in.attrs.exptime = clock_seconds() + 200;
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED_SAME);
    it = store_hold(&key, NULL);
    ck_assert_uint_eq(it->exptime, clock_seconds() + 200);
    store_release(it);
}
END_TEST

START_TEST(what_cannot_be_stored_becomes_a_floor)
{
    struct store_key key = key_of("k");
    struct store_incoming in = {.version = V(5), .source = 2};
    char *value = calloc(1, 2 * MIB);

    ck_assert_ptr_nonnull(value);
    put("other", "v");
    ck_assert_int_eq(apply("k", "small", V(4)), STORE_APPLIED);
    ck_assert_int_eq(store_apply(&key, &in, value, 2 * MIB), STORE_UNSTORABLE);
    ck_assert(holds("k", NULL));
    ck_assert_int_eq(seen[seen_n - 1].op, STORE_OP_DELETE);
    ck_assert_uint_eq(seen[seen_n - 1].version, V(5));
    free(value);
}
END_TEST

START_TEST(a_legacy_value_wins_unless_it_is_ours_come_back)
{
    struct store_key key = key_of("k");
    struct store_incoming in = {.source = 2, .local = true};
    uint64_t cas;

    put("k", "v");
    cas = cas_of("k");
    in.version = (uint32_t)cas;
    in.attrs.exptime = clock_seconds() + 77;
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED_SAME);
    ck_assert_uint_eq(cas_of("k"), cas);
    in.version = 3;
    ck_assert_int_eq(store_apply(&key, &in, "w", 1), STORE_APPLIED);
    ck_assert(holds("k", "w"));
    ck_assert_uint_gt(cas_of("k"), cas);
}
END_TEST

START_TEST(a_visible_cas_travels_beside_the_version)
{
    struct store_key key = key_of("k");
    struct store_incoming in = {.version = V(5), .cas = 4711, .source = 2};

    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED);
    ck_assert_uint_eq(cas_of("k"), 4711);
    in.version = V(6);
    in.cas = 0;
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED);
    ck_assert_uint_eq(cas_of("k"), V(6));
}
END_TEST

START_TEST(expiry_is_told_as_a_removal)
{
    put("k", "v");
    touch("k", clock_seconds() + 5);
    clock_freeze(START_MS + 6000);
    ck_assert(holds("k", NULL));
    ck_assert_int_eq(removed_n, 1);
}
END_TEST

/* ---- what peers need beside whole items ---- */

static uint32_t expiry_of(const char *name)
{
    struct store_key key = key_of(name);
    struct item *it = store_hold(&key, NULL);
    uint32_t exptime;

    ck_assert_ptr_nonnull(it);
    exptime = it->exptime;
    store_release(it);
    return exptime;
}

START_TEST(a_later_expiry_is_recorded_with_its_source)
{
    struct store_key key = key_of("k");
    struct store_incoming in = incoming(V(5));

    in.attrs.exptime = clock_seconds() + 50;
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED);
    seen_n = 0;
    in.attrs.exptime += 2;
    ck_assert_int_eq(store_apply_touch(&key, &in), STORE_APPLIED_SAME);
    ck_assert_int_eq(seen_n, 0);
    in.attrs.exptime += 1;
    ck_assert_int_eq(store_apply_touch(&key, &in), STORE_APPLIED);
    ck_assert_uint_eq(expiry_of("k"), clock_seconds() + 53);
    in.attrs.exptime = 0;
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED_SAME);
    ck_assert_uint_eq(expiry_of("k"), 0);
    in.attrs.exptime = clock_seconds() + 500; /* never is later */
    ck_assert_int_eq(store_apply_touch(&key, &in), STORE_APPLIED_SAME);
    ck_assert_int_eq(seen_n, 2);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(seen[i].op, STORE_OP_TOUCH);
        ck_assert_uint_eq(seen[i].source, 2);
        ck_assert_uint_eq(seen[i].version, V(5));
    }
}
END_TEST

START_TEST(a_touch_revives_what_has_expired)
{
    struct store_key key = key_of("k");
    struct store_incoming in = incoming(V(5));

    in.attrs.exptime = clock_seconds() - 1;
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED);
    in.attrs.exptime = clock_seconds() + 10;
    ck_assert_int_eq(store_apply_touch(&key, &in), STORE_APPLIED);
    ck_assert(holds("k", "v"));
}
END_TEST

/* Both functions, beside nothing, older, equal, newer, a floor, a barrier. */
START_TEST(what_is_held_decides_about_versions)
{
    enum store_applied (*ask[])(const struct store_key *,
                                const struct store_incoming *) = {
        store_apply_touch, store_weigh};

    for (int i = 0; i < 2; i++) {
        struct store_key key = key_of("k"), none = key_of("none");
        struct store_incoming in = incoming(V(50 * (i + 1)));
        struct store_incoming older = incoming(in.version - 256);
        struct store_incoming newer = incoming(in.version + 256);

        ck_assert_int_eq(ask[i](&key, &in), STORE_WANTED);
        ck_assert_int_eq(apply("k", "v", in.version), STORE_APPLIED);
        ck_assert_int_eq(ask[i](&key, &older), STORE_STALE);
        ck_assert_int_eq(ask[i](&key, &in), STORE_APPLIED_SAME);
        ck_assert_int_eq(ask[i](&key, &newer), STORE_WANTED);
        floor_version = in.version + 1;
        ck_assert_int_eq(ask[i](&none, &in), STORE_STALE);
        ck_assert_int_eq(ask[i](&none, &newer), STORE_WANTED);
        floor_version = 0;
        ck_assert(store_apply_barrier(in.version + 2, 0));
        ck_assert_int_eq(ask[i](&none, &in), STORE_STALE);
        ck_assert_int_eq(ask[i](&none, &newer), STORE_WANTED);
        ck_assert(holds("none", NULL));
        ck_assert_int_eq(store_apply_floor(&key, newer.version, 0),
                         STORE_APPLIED);
    }
}
END_TEST

static bool was_missed(void *ctx, const struct store_key *key, uint64_t version)
{
    ck_assert_ptr_nonnull(key->ptr);
    return version <= *(const uint64_t *)ctx;
}

START_TEST(what_was_missed_is_not_taken_unless_something_is_held)
{
    struct store_key key = key_of("k"), other = key_of("other");
    struct store_incoming in = incoming(V(5));
    uint64_t missed = V(5);

    in.missed = was_missed;
    in.missed_ctx = &missed;
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_MISSED);
    ck_assert_int_eq(store_apply_touch(&key, &in), STORE_MISSED);
    ck_assert_int_eq(store_weigh(&key, &in), STORE_MISSED);
    ck_assert(holds("k", NULL));
    ck_assert_int_eq(seen_n, 0);
    floor_version = V(4);
    ck_assert_int_eq(store_weigh(&key, &in), STORE_WANTED);
    floor_version = 0;
    ck_assert_int_eq(apply("other", "v", V(4)), STORE_APPLIED);
    ck_assert_int_eq(store_apply(&other, &in, "w", 1), STORE_APPLIED);
    ck_assert(holds("other", "w"));
    in.version = V(6);
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED);
}
END_TEST

/* Only a live item of our own that the peer did not know of. */
START_TEST(a_lost_change_is_told)
{
    struct store_key key = key_of("k");
    struct store_incoming in = incoming(V(100));
    uint64_t ours;

    put("k", "ours");
    ours = cas_of("k");
    in.unacked = ours + 1;
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED);
    put("k", "ours");
    ours = cas_of("k");
    in.unacked = ours;
    in.version = ours + 256;
    ck_assert_int_eq(store_apply(&key, &in, "v", 1), STORE_APPLIED_OVER);
    in.version += 256;
    ck_assert_int_eq(store_apply(&key, &in, "w", 1), STORE_APPLIED_OVER);
    in.version = (in.version | 0xff) - 1; /* not of our slot */
    ck_assert_int_eq(store_apply(&key, &in, "x", 1), STORE_APPLIED_OVER);
    in.version += 256;
    ck_assert_int_eq(store_apply(&key, &in, "y", 1), STORE_APPLIED);
    put("k", "ours");
    in.unacked = cas_of("k");
    store_flush(0);
    in.version = version_last() + 256;
    ck_assert_int_eq(store_apply(&key, &in, "z", 1), STORE_APPLIED);
    in.unacked = 0;
    put("k", "ours");
    in.version = version_last() + 256;
    ck_assert_int_eq(store_apply(&key, &in, "z", 1), STORE_APPLIED);
}
END_TEST

/* The same way for values of all sizes, new and over what is there. */
START_TEST(bits_and_cas_of_an_item_are_kept)
{
    static const size_t sizes[] = {1, 3000, 300000, 600000};
    struct store_key key = key_of("k");
    struct store_incoming in = incoming(V(1));
    char *value = calloc(1, 600000);

    ck_assert_ptr_nonnull(value);
    for (unsigned i = 0; i < 12; i++) {
        size_t n = sizes[i % 4], filled = 0;
        struct item *it;

        in.version = V(i + 1);
        in.cas = 4711 + i;
        in.bits = i % 2 == 0 ? ITEM_STALE | ITEM_B64KEY : ITEM_TOKEN_SENT;
        if (i < 8) {
            ck_assert_int_eq(store_apply(&key, &in, value, n), STORE_APPLIED);
        } else {
            ck_assert_int_eq(store_apply_reserve(&key, &in, n, &it), STORE_OK);
            while (filled < n) {
                struct iovec room = store_room(it, filled);

                memset(room.iov_base, 0, room.iov_len);
                filled += room.iov_len;
            }
            ck_assert_int_eq(store_apply_item(it, &key, &in), STORE_APPLIED);
        }
        it = store_hold(&key, NULL);
        ck_assert_ptr_nonnull(it);
        ck_assert_uint_eq(it->bits & (ITEM_STALE | ITEM_B64KEY |
                                      ITEM_TOKEN_SENT | ITEM_TOUCHED),
                          in.bits);
        ck_assert_uint_eq(item_cas(it), in.cas);
        ck_assert(item_value_equals(it, value, n));
        store_release(it);
    }
    free(value);
}
END_TEST

START_TEST(a_flush_before_all_versions_kills_nothing)
{
    put("k", "v");
    store_apply_flush_at(V(100), 1, 2);
    store_tick();
    ck_assert(holds("k", "v"));
    put("l", "v");
    ck_assert(holds("l", "v"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store_apply");
    TCase *t = tcase_create("apply");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, store_fini);
    suite_add_tcase(s, t);
    tcase_add_test(t, the_newer_version_wins_whatever_the_order);
    tcase_add_test(t, equal_versions_decide_by_state);
    tcase_add_test(t, equal_values_decide_by_cas_and_marks);
    tcase_add_test(t, a_cas_that_is_not_shown_counts);
    tcase_add_test(t, a_local_write_beats_everything_received);
    tcase_add_test(t, floors_refuse_older_states);
    tcase_add_test(t, a_barrier_kills_older_and_spares_newer);
    tcase_add_test(t, a_delayed_flush_spares_what_comes_at_its_second);
    tcase_add_test(t, every_change_is_seen_once_with_its_source);
    tcase_add_test(t, stale_states_are_not_recorded);
    tcase_add_test(t, a_longer_touch_keeps_version_and_cas);
    tcase_add_test(t, a_shorter_touch_draws_a_version_and_keeps_the_cas);
    tcase_add_test(t, a_shorter_touch_keeps_a_value_as_long_as_a_chunk);
    tcase_add_test(t, an_equal_state_takes_the_later_expiry);
    tcase_add_test(t, what_cannot_be_stored_becomes_a_floor);
    tcase_add_test(t, a_legacy_value_wins_unless_it_is_ours_come_back);
    tcase_add_test(t, a_visible_cas_travels_beside_the_version);
    tcase_add_test(t, expiry_is_told_as_a_removal);
    tcase_add_test(t, a_delayed_flush_survives_the_one_it_replaced);
    tcase_add_test(t, a_later_expiry_is_recorded_with_its_source);
    tcase_add_test(t, a_touch_revives_what_has_expired);
    tcase_add_test(t, what_is_held_decides_about_versions);
    tcase_add_test(t, what_was_missed_is_not_taken_unless_something_is_held);
    tcase_add_test(t, a_lost_change_is_told);
    tcase_add_test(t, bits_and_cas_of_an_item_are_kept);
    tcase_add_test(t, a_flush_before_all_versions_kills_nothing);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
