/* Unit tests of rep/log: floors that came by hash. The log and the floors are
 * small. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/log.h"

static struct rep_floor *floors;
static struct rep_log *rlog;
static struct rep_log_batch batch;

static void setup(void)
{
    clock_freeze(1800000000000ULL);
    version_init(VERSION_HYBRID, 3);
    hash_init();
    floors = rep_floor_new(0); /* a line of four a cell */
    rlog = rep_log_new(REP_LOG_BYTES_MIN, floors);
    ck_assert_ptr_nonnull(rlog);
}

static void teardown(void)
{
    rep_log_free(rlog);
    rep_floor_free(floors);
}

static uint64_t set(const char *name)
{
    const struct store_observer *ob = rep_log_observer(rlog);
    struct store_key key = store_key(name, strlen(name));
    struct store_change change = {.op = STORE_OP_ITEM, .key = &key};

    return ob->change(ob->ctx, &change);
}

static uint64_t hash_of(const struct rep_log_entry *e)
{
    uint64_t hash;

    ck_assert_uint_eq(e->nkey, sizeof(hash));
    memcpy(&hash, e->key, sizeof(hash));
    return hash;
}

START_TEST(a_floor_by_hash_is_appended_when_it_is_news)
{
    const uint64_t hash = hash_key_agreed("gone", 4);
    uint64_t pos, v = set("a");
    int a = rep_log_open(rlog, &pos);
    int b = rep_log_open(rlog, &pos);

    /* Without relay it is raised only. */
    ck_assert(rep_log_raise_floor(rlog, a, hash, v, 1));
    ck_assert_uint_eq(rep_log_head(rlog), pos);
    ck_assert_uint_eq(rep_floor_get(floors, hash), v);
    rep_log_set_relay(rlog, true);
    ck_assert(!rep_log_raise_floor(rlog, a, hash, v, 1));
    ck_assert_uint_eq(rep_log_head(rlog), pos);
    /* Twice: one entry. Not to where it came from. */
    ck_assert(rep_log_raise_floor(rlog, a, hash, v + 1, 2));
    ck_assert(rep_log_raise_floor(rlog, a, hash, v + 2, 3));
    ck_assert_uint_eq(rep_floor_get(floors, hash), v + 2);
    ck_assert_int_eq(rep_log_read(rlog, a, pos, &batch), REP_LOG_OK);
    ck_assert_uint_eq(batch.n, 0);
    ck_assert_int_eq(rep_log_read(rlog, b, pos, &batch), REP_LOG_OK);
    ck_assert_uint_eq(batch.n, 1);
    ck_assert_int_eq(batch.entry[0].op, REP_LOG_OP_FLOOR);
    ck_assert_uint_eq(hash_of(&batch.entry[0]), hash);
    ck_assert_uint_eq(batch.entry[0].version, v + 2);
    ck_assert_uint_eq(batch.entry[0].hops, 2);
    ck_assert_uint_eq(batch.entry[0].source, (unsigned)a + 1);
}
END_TEST

/* A key of the same bytes is another matter. */
START_TEST(a_floor_by_hash_is_no_key)
{
    uint64_t hash, pos;
    int a = rep_log_open(rlog, &pos);
    int b = rep_log_open(rlog, &pos);

    memcpy(&hash, "8 bytes!", 8);
    rep_log_set_relay(rlog, true);
    (void)set("8 bytes!");
    ck_assert(rep_log_raise_floor(rlog, a, hash, version_last(), 1));
    (void)set("8 bytes!");
    ck_assert_int_eq(rep_log_read(rlog, b, pos, &batch), REP_LOG_OK);
    ck_assert_uint_eq(batch.n, 2);
    ck_assert_int_eq(batch.entry[0].op, REP_LOG_OP_FLOOR);
    ck_assert_int_eq(batch.entry[1].op, STORE_OP_ITEM);
}
END_TEST

/* Lost, or let go by the table at once: it is told of all the same. */
START_TEST(a_floor_by_hash_that_is_lost_is_known_as_lost)
{
    uint64_t pos, lost, v = set("a");
    bool touched;
    int a = rep_log_open(rlog, &pos);
    int b = rep_log_open(rlog, &pos);
    unsigned cell = rep_floor_cell(floors, 1);

    rep_log_set_relay(rlog, true);
    (void)set("b");
    rep_log_ack(rlog, b, rep_log_head(rlog));
    ck_assert_uint_gt(rep_log_raise_low(rlog, b), v);
    for (uint64_t i = 0; i < 5; i++) {
        ck_assert(rep_log_raise_floor(rlog, a, i, v - 9 + i, 1));
    }
    ck_assert_uint_eq(rep_log_low(rlog, b), v - 9);
    ck_assert_uint_eq(rep_floor_missed(floors, b, cell), v - 9);
    ck_assert_uint_eq(rep_floor_missed(floors, a, cell), v - 9);
    pos = rep_log_head(rlog);
    while (rep_log_oldest(rlog) < pos) {
        (void)set("other");
    }
    ck_assert(rep_log_take_lost(rlog, b, &lost, &touched));
    ck_assert_uint_eq(lost, v - 9);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("log floor");
    TCase *t = tcase_create("log floor");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_floor_by_hash_is_appended_when_it_is_news);
    tcase_add_test(t, a_floor_by_hash_is_no_key);
    tcase_add_test(t, a_floor_by_hash_that_is_lost_is_known_as_lost);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
