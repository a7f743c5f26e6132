/* Unit tests of rep/fresh, by way of the log and rep/say: what a change stored
 * is sent without looking it up, and says the same. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/fresh.h"
#include "rep/say.h"
#include "store_meta.h"

#define START_MS UINT64_C(1800000000000)
#define NOW      1800000000U
#define ROOM     (256 * KIB)

enum { LOG = 64 * 1024, KEYS = 20, CHANGES = 20000 };

static struct rep_floor *floors;
static struct rep_log *rlog;
static struct rep_log_batch batch;
static struct rep_out out;
static struct rep_say say;
static uint8_t buf[ROOM], looked_up[ROOM];
static char value[1024];
static uint64_t pos;
static int reader;

static void setup(void)
{
    struct store_config config = store_config_default();

    clock_freeze(START_MS);
    version_init(VERSION_HYBRID, 3);
    hash_init();
    ck_assert(store_init(&config));
    floors = rep_floor_new(MIB);
    rlog = rep_log_new(LOG, floors);
    store_observe(rep_log_observer(rlog));
    reader = rep_log_open(rlog, &pos);
    ck_assert_int_ge(reader, 0);
    rep_out_init(&out, buf, ROOM, NULL);
    say = (struct rep_say){.out = &out,
                           .floors = floors,
                           .log = rlog,
                           .item_size_max = MIB,
                           .hops_max = 2,
                           .credit = 1000};
    memset(value, 'v', sizeof(value));
}

static void teardown(void)
{
    rep_out_fini(&out);
    store_observe(NULL);
    rep_log_free(rlog);
    rep_floor_free(floors);
    store_fini();
}

static struct store_key key_of(const char *name)
{
    return store_key(name, strlen(name));
}

static void set(const char *name, size_t n, uint32_t flags, uint32_t exptime)
{
    struct store_key key = key_of(name);
    struct store_attrs attrs = {flags, exptime};

    ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, value, n, NULL),
                     STORE_OK);
}

/* Reads what is new in the log. */
static void read_log(void)
{
    ck_assert_int_eq(rep_log_read(rlog, reader, pos, &batch), REP_LOG_OK);
    pos = batch.next;
}

static bool is_fresh(unsigned i)
{
    size_t n = 0;

    return rep_log_fresh(rlog, &batch.entry[i], &n) != NULL;
}

/* Says the batch; returns the bytes in `buf`. */
static size_t say_all(void)
{
    size_t n;

    for (unsigned i = 0; i < batch.n; i++) {
        rep_say_ahead(&batch, i);
        ck_assert_int_eq(rep_say_entry(&say, &batch.entry[i]), REP_SAID);
    }
    rep_out_close(&out);
    n = out.len;
    rep_out_clear(&out);
    return n;
}

/* The only message of the batch. */
static struct frame_msg only(void)
{
    struct frame_stream parts = {0};
    struct frame_batch b;
    struct frame_msg msg;
    size_t n = say_all();

    ck_assert_int_eq(frame_batch(buf, n, false, &b), FRAME_OK);
    ck_assert_uint_eq(b.used, n);
    ck_assert_int_eq(frame_next(&b.body, &parts, &msg), FRAME_OK);
    ck_assert_ptr_eq(b.body.p, b.body.end);
    return msg;
}

/* ---- one change ------------------------------------------------------------
 */

START_TEST(a_new_value_is_sent_as_it_was)
{
    struct frame_msg msg;

    set("key", 3, 77, NOW + 100);
    rep_log_turn(rlog);
    read_log();
    set("key", 5, 0, 0);
    ck_assert(is_fresh(0));
    msg = only();
    ck_assert_int_eq(msg.type, FRAME_ITEM);
    ck_assert_mem_eq(msg.key, "key", 3);
    ck_assert_uint_eq(msg.version, batch.entry[0].version);
    ck_assert_uint_eq(msg.nbytes, 3);
    ck_assert_mem_eq(msg.bytes, "vvv", 3);
    ck_assert_uint_eq(msg.flags, 77);
    ck_assert_uint_eq(msg.exptime, NOW + 100);
    ck_assert_uint_eq(say.items, 1);
}
END_TEST

START_TEST(before_and_after_its_turn_it_is_looked_up)
{
    set("key", 3, 0, 0);
    read_log();
    ck_assert(!is_fresh(0));
    rep_log_turn(rlog);
    set("key", 5, 0, 0);
    read_log();
    ck_assert(!is_fresh(0));
    ck_assert_uint_eq(only().nbytes, 5);
    rep_log_turn(rlog);
    rep_log_turn(rlog);
    ck_assert(!is_fresh(0));
    ck_assert_uint_eq(only().nbytes, 5);
}
END_TEST

START_TEST(of_a_key_changed_often_the_last_value_is_sent)
{
    for (size_t n = 1; n <= 10; n++) {
        set("key", n, 0, 0);
    }
    rep_log_turn(rlog);
    read_log();
    ck_assert_uint_eq(batch.n, 1);
    ck_assert(is_fresh(0));
    ck_assert_uint_eq(only().nbytes, 10);
}
END_TEST

START_TEST(a_removal_after_it_is_sent_instead)
{
    struct store_key key = key_of("key");

    set("key", 3, 0, 0);
    ck_assert_int_eq(store_delete(&key, 0, NULL), STORE_OK);
    rep_log_turn(rlog);
    read_log();
    ck_assert_uint_eq(batch.n, 1);
    ck_assert_int_eq(only().type, FRAME_DELETE);
}
END_TEST

START_TEST(a_resent_entry_is_merged_into_it)
{
    struct store_key key = key_of("key");

    set("key", 3, 0, 0);
    rep_log_resend(rlog, reader, &key, version_next(), 0);
    set("key", 4, 0, 0);
    rep_log_turn(rlog);
    read_log();
    ck_assert_uint_eq(batch.n, 1);
    ck_assert_uint_eq(only().nbytes, 4);
}
END_TEST

START_TEST(large_values_are_looked_up)
{
    set("key", REP_FRESH_VALUE, 0, 0);
    set("large", REP_FRESH_VALUE + 1, 0, 0);
    rep_log_turn(rlog);
    read_log();
    ck_assert(is_fresh(0));
    ck_assert(!is_fresh(1));
}
END_TEST

START_TEST(a_chosen_cas_is_looked_up)
{
    struct store_key key = key_of("key");
    const struct store_terms terms = {.mode = STORE_SET, .new_cas = 1234};
    struct store_stored stored;

    ck_assert_int_eq(store_set_on(&key, &terms, "v", 1, &stored), STORE_OK);
    rep_log_turn(rlog);
    read_log();
    ck_assert(!is_fresh(0));
    ck_assert_uint_eq(only().cas, 1234);
}
END_TEST

START_TEST(what_is_too_large_there_is_a_floor)
{
    set("key", 200, 0, 0);
    say.item_size_max = 200;
    rep_log_turn(rlog);
    read_log();
    ck_assert_int_eq(only().type, FRAME_DELETE);
}
END_TEST

START_TEST(what_the_peer_missed_is_offered)
{
    static uint64_t missed[1];

    set("key", 3, 0, 0);
    rep_log_turn(rlog);
    read_log();
    missed[0] = batch.entry[0].version;
    say.missed = missed;
    say.cells = 1;
    ck_assert_int_eq(only().type, FRAME_OFFER);
}
END_TEST

START_TEST(without_room_it_is_looked_up)
{
    char name[16];
    unsigned fresh = 0;

    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof(name), "key-%u", i);
        set(name, 300, 0, 0);
    }
    rep_log_turn(rlog);
    read_log();
    ck_assert_uint_eq(batch.n, 40);
    for (unsigned i = 0; i < batch.n; i++) {
        fresh += is_fresh(i);
    }
    ck_assert_uint_gt(fresh, 0);
    ck_assert_uint_lt(fresh, 40);
    ck_assert_uint_gt(say_all(), 40 * 300);
    set("key-1", 100, 0, 0);
    rep_log_turn(rlog);
    read_log();
    ck_assert(is_fresh(0));
}
END_TEST

/* ---- any changes ------------------------------------------------------- */

/* Out of the generator of POSIX: the same in each run. */
static unsigned draw(unsigned n)
{
    return (unsigned)random() % n;
}

static void change_on(const struct store_key *key)
{
    const struct store_terms terms = {
        .attrs = {draw(2) * 9, draw(2) * (NOW + 50)},
        .mode = draw(2) ? STORE_SET : STORE_APPEND,
        .vivify = draw(2),
        .b64key = draw(2),
        .new_cas = draw(4) == 0 ? 1 + draw(1000) : 0,
    };
    struct store_stored stored;

    (void)!store_set_on(key, &terms, value, draw(40), &stored);
}

static void sum_on(const struct store_key *key)
{
    const struct store_attrs attrs = {draw(2) * 5, draw(2) * (NOW + 60)};
    uint64_t sum;

    if (draw(3) == 0) {
        (void)!store_set(key, &attrs, STORE_SET, "99", 2, NULL);
    }
    (void)!store_arith(key, draw(2), draw(30), &sum, NULL, NULL);
}

static void mark_on(const struct store_key *key)
{
    const struct store_fetch fetch = {
        .vivify = draw(2),
        .touch = draw(2),
        .exptime = NOW + 10 + draw(100),
        .vivify_exptime = NOW + 30,
    };
    struct store_fetched fetched;
    struct item *it = store_fetch_hold(key, &fetch, &fetched);

    if (it != NULL) {
        store_release(it);
    }
}

static void change_somehow(void)
{
    char name[16];
    struct store_key key;
    int n = snprintf(name, sizeof(name), "key-%u", draw(KEYS));

    key = store_key(name, (size_t)n);
    switch (draw(6)) {
    case 0:
        set(name, draw(700), draw(3), draw(2) * (NOW + 90));
        break;
    case 1:
        change_on(&key);
        break;
    case 2:
        sum_on(&key);
        break;
    case 3:
        mark_on(&key);
        break;
    case 4:
        (void)!store_delete(&key, 0, NULL);
        break;
    default:
        set(name, draw(60), 0, 0);
        break;
    }
}

/* Of changes that nothing followed both ways say the same bytes. */
START_TEST(what_is_looked_up_says_the_same)
{
    unsigned fresh = 0;
    size_t n;

    srandom(7);
    for (unsigned i = 0; i < CHANGES; i++) {
        uint64_t head = rep_log_head(rlog);

        change_somehow();
        if (rep_log_head(rlog) == head) {
            continue;
        }
        rep_log_turn(rlog);
        read_log();
        rep_log_ack(rlog, reader, pos);
        n = say_all();
        memcpy(looked_up, buf, n);
        for (unsigned k = 0; k < batch.n; k++) {
            fresh += is_fresh(k);
            batch.entry[k].fresh = 0;
        }
        ck_assert_uint_eq(say_all(), n);
        ck_assert_mem_eq(buf, looked_up, n);
    }
    ck_assert_uint_gt(fresh, CHANGES / 4);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fresh");
    TCase *t = tcase_create("fresh");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_new_value_is_sent_as_it_was);
    tcase_add_test(t, before_and_after_its_turn_it_is_looked_up);
    tcase_add_test(t, of_a_key_changed_often_the_last_value_is_sent);
    tcase_add_test(t, a_removal_after_it_is_sent_instead);
    tcase_add_test(t, a_resent_entry_is_merged_into_it);
    tcase_add_test(t, large_values_are_looked_up);
    tcase_add_test(t, a_chosen_cas_is_looked_up);
    tcase_add_test(t, what_is_too_large_there_is_a_floor);
    tcase_add_test(t, what_the_peer_missed_is_offered);
    tcase_add_test(t, without_room_it_is_looked_up);
    tcase_add_test(t, what_is_looked_up_says_the_same);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
