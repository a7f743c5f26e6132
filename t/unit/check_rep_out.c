/* Unit tests of rep/out: batches in a buffer, tags, a value in parts. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/out.h"

#define ROOM (256 * KIB)

enum { VALUE = 300001 };

static struct rep_out out;
static uint8_t buf[ROOM];
static uint8_t received[VALUE + 1];
static size_t n_received;
static unsigned seen[256]; /* messages by type */
static unsigned batches;

static void setup(void)
{
    struct store_config config = store_config_default();

    clock_freeze(1800000000000);
    version_init(VERSION_HYBRID, 3);
    hash_init();
    ck_assert(store_init(&config));
    rep_out_init(&out, buf, ROOM, NULL);
}

static void teardown(void)
{
    rep_out_fini(&out);
    store_fini();
}

/* A value that repeats only after 251 bytes, chained or in one piece. */
static struct item *hold_large(size_t n)
{
    static uint8_t value[VALUE];
    struct store_key key = store_key("k", 1);
    struct store_attrs attrs = {0, 0};
    struct item *it;

    for (size_t i = 0; i < n; i++) {
        value[i] = (uint8_t)(i % 251);
    }
    ck_assert_int_eq(store_set(&key, &attrs, STORE_SET, value, n, NULL),
                     STORE_OK);
    it = store_hold(&key, NULL);
    ck_assert_ptr_nonnull(it);
    return it;
}

static struct frame_msg begin_msg(const struct item *it)
{
    return (struct frame_msg){.type = FRAME_ITEM_BEGIN,
                              .nkey = 1,
                              .key = "k",
                              .version = it->version,
                              .nbytes = it->nbytes};
}

static bool put_delete(void)
{
    const struct frame_msg msg = {
        .type = FRAME_DELETE, .nkey = 1, .key = "k", .version = 5};

    return rep_out_put(&out, &msg);
}

/* Starts the large value of `n` bytes. */
static bool begin_large(size_t n)
{
    struct item *it = hold_large(n);
    const struct frame_msg msg = begin_msg(it);
    bool done = rep_out_begin_large(&out, &msg, it);

    store_release(it);
    return done;
}

static void take(const struct frame_msg *msg)
{
    seen[msg->type]++;
    if (msg->type == FRAME_ITEM_PART) {
        ck_assert_uint_le(n_received + msg->nbytes, VALUE);
        memcpy(received + n_received, msg->bytes, msg->nbytes);
        n_received += msg->nbytes;
    }
}

/* Takes what is in the buffer, as the peer does. */
static void receive(struct frame_stream *parts, struct rep_auth_link *auth)
{
    struct frame_batch batch;
    struct frame_msg msg;

    rep_out_close(&out);
    for (size_t at = 0; at < out.len; at += batch.used) {
        const uint8_t *p = buf + at;

        ck_assert_int_eq(frame_batch(p, out.len - at, auth != NULL, &batch),
                         FRAME_OK);
        ck_assert(auth == NULL ||
                  rep_auth_open(auth, p, batch.used - FRAME_TAG, batch.tag));
        batches++;
        while (frame_next(&batch.body, parts, &msg) == FRAME_OK) {
            take(&msg);
        }
        ck_assert(rd_done(&batch.body));
    }
    rep_out_clear(&out);
}

/* ---- batches ------------------------------------------------------------ */

START_TEST(nothing_put_is_nothing_sent)
{
    rep_out_close(&out);
    ck_assert_uint_eq(out.len, 0);
    rep_out_close(&out);
    ck_assert_uint_eq(out.len, 0);
    ck_assert(!out.failed);
}
END_TEST

START_TEST(messages_share_a_batch)
{
    struct frame_stream parts = {0};

    ck_assert(put_delete());
    ck_assert(put_delete());
    ck_assert_uint_eq(out.len, 0); /* not to be sent before it is closed */
    receive(&parts, NULL);
    ck_assert_uint_eq(batches, 1);
    ck_assert_uint_eq(seen[FRAME_DELETE], 2);
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(a_full_buffer_takes_no_more_until_it_is_cleared)
{
    struct frame_stream parts = {0};
    unsigned n = 0;

    while (put_delete()) {
        ck_assert_uint_lt(++n, ROOM);
    }
    ck_assert_uint_le(out.len, ROOM);
    receive(&parts, NULL);
    ck_assert_uint_eq(seen[FRAME_DELETE], n);
    ck_assert_uint_ge(batches, ROOM / FRAME_BATCH_MAX);
    /* All but the reserves is used. */
    ck_assert_uint_ge(n * 12, ROOM - (batches + 1) * 6 * KIB);
    ck_assert(put_delete());
}
END_TEST

START_TEST(the_room_may_be_less_for_a_while)
{
    struct frame_stream parts = {0};
    unsigned n = 0;

    out.room = ROOM / 2;
    while (put_delete()) {
        n++;
    }
    rep_out_close(&out);
    ck_assert_uint_le(out.len, ROOM / 2);
    out.room = ROOM;
    ck_assert(put_delete());
    receive(&parts, NULL);
    ck_assert_uint_eq(seen[FRAME_DELETE], n + 1);
}
END_TEST

START_TEST(control_messages_find_room_in_a_full_batch)
{
    const struct frame_msg pong = {.type = FRAME_PONG, .clock_ms = 1};

    while (put_delete()) {
    }
    /* The last batch is closed: none is left that could take it. */
    ck_assert(!rep_out_put(&out, &pong));
    rep_out_close(&out);
    rep_out_clear(&out);
    out.room = REP_OUT_ROOM;
    ck_assert(put_delete());
    while (frame_room(&out.frame) >= 12) {
        ck_assert(put_delete());
    }
    ck_assert(rep_out_put(&out, &pong));
}
END_TEST

START_TEST(the_bytes_of_an_item_are_the_callers_to_write)
{
    const struct frame_msg item = {.type = FRAME_ITEM,
                                   .nkey = 1,
                                   .key = "k",
                                   .version = 5,
                                   .nbytes = FRAME_WHOLE_MAX};
    struct frame_stream parts = {0};
    unsigned n = 0;
    uint8_t *p;

    while ((p = rep_out_put_head(&out, &item)) != NULL) {
        memset(p, 'x', FRAME_WHOLE_MAX);
        ck_assert_uint_lt(++n, 5);
    }
    ck_assert_uint_eq(n, 4);
    receive(&parts, NULL);
    ck_assert_uint_eq(seen[FRAME_ITEM], 4);
}
END_TEST

/* ---- tags --------------------------------------------------------------- */

static struct rep_auth_link *ends[2];

/* Two ends of a proven link. */
static void prove(void)
{
    static const uint8_t nonces[2][REP_AUTH_NONCE] = {{1}, {2}};
    struct rep_auth_secret *secret =
        rep_auth_secret_new("sixteen bytes ok", 16);
    struct rep_auth *auth[2];
    const uint8_t *proof[2] = {NULL, NULL};
    const uint8_t *none;

    for (int i = 0; i < 2; i++) {
        auth[i] = rep_auth_new(
            secret, i == 0 ? REP_AUTH_DIALLER : REP_AUTH_ACCEPTOR, nonces[i]);
    }
    for (int i = 0; i < 2; i++) {
        const char *hello[2] = {"d", "a"};
        struct rep_auth_event said = {REP_AUTH_OURS, NULL, hello[i], 1};
        struct rep_auth_event heard = {REP_AUTH_THEIRS, nonces[1 - i],
                                       hello[1 - i], 1};
        const struct rep_auth_event *first = i == 0 ? &said : &heard;
        const struct rep_auth_event *second = i == 0 ? &heard : &said;

        ck_assert_int_eq(rep_auth_step(auth[i], first, &none), REP_AUTH_WAIT);
        ck_assert_int_eq(rep_auth_step(auth[i], second, &proof[i]),
                         REP_AUTH_WAIT);
    }
    for (int i = 1; i >= 0; i--) {
        struct rep_auth_event proves = {REP_AUTH_PROVES, NULL, proof[1 - i],
                                        REP_AUTH_PROOF};

        ck_assert_int_eq(
            rep_auth_step(auth[i], &proves, i == 1 ? &proof[1] : &none),
            REP_AUTH_PROVEN);
        ends[i] = rep_auth_link_new(auth[i]);
        ck_assert_ptr_nonnull(ends[i]);
    }
    rep_auth_free(auth[0]);
    rep_auth_free(auth[1]);
    rep_auth_secret_free(secret);
}

START_TEST(every_batch_is_signed)
{
    struct frame_stream parts = {0};

    prove();
    rep_out_init(&out, buf, ROOM, ends[0]);
    for (int round = 0; round < 3; round++) {
        while (put_delete()) {
        }
        receive(&parts, ends[1]); /* opens each of them, in order */
        ck_assert(!out.failed);
    }
    ck_assert_uint_ge(batches, 12);
    rep_auth_link_free(ends[0]);
    rep_auth_link_free(ends[1]);
}
END_TEST

/* ---- a large value ------------------------------------------------------ */

START_TEST(a_large_value_is_what_it_was)
{
    static const size_t sizes[] = {1, 16384, 16385, FRAME_WHOLE_MAX + 1, VALUE};
    size_t n = sizes[_i];
    struct frame_stream parts = {0};
    unsigned wrong = 0;
    int rounds = 0;

    ck_assert(begin_large(n));
    while (out.large != NULL) {
        rep_out_parts(&out);
        receive(&parts, NULL);
        ck_assert_int_lt(++rounds, 100);
    }
    ck_assert_uint_eq(n_received, n);
    ck_assert_uint_eq(parts.left, 0);
    for (size_t i = 0; i < n; i++) {
        wrong += received[i] != i % 251 ? 1U : 0U;
    }
    ck_assert_uint_eq(wrong, 0);
}
END_TEST

START_TEST(others_go_between_its_parts)
{
    struct frame_stream parts = {0};
    int rounds = 0;

    ck_assert(begin_large(VALUE));
    while (out.large != NULL) {
        ck_assert(put_delete());
        rep_out_parts(&out);
        receive(&parts, NULL);
        ck_assert_int_lt(++rounds, 100);
    }
    ck_assert_uint_eq(n_received, VALUE);
    ck_assert_uint_ge(seen[FRAME_DELETE], 2);
}
END_TEST

START_TEST(a_value_keeps_its_item_until_it_is_written)
{
    struct store_key key = store_key("k", 1);
    struct frame_stream parts = {0};

    ck_assert(begin_large(VALUE));
    ck_assert_int_eq(store_delete(&key, 0, NULL), STORE_OK);
    while (out.large != NULL) {
        rep_out_parts(&out);
        receive(&parts, NULL);
    }
    ck_assert_uint_eq(n_received, VALUE);
    ck_assert_uint_eq(received[VALUE - 1], (VALUE - 1) % 251);
}
END_TEST

START_TEST(a_buffer_that_is_full_begins_no_value)
{
    struct frame_stream parts = {0};

    while (put_delete()) {
    }
    ck_assert(!begin_large(VALUE));
    ck_assert_ptr_null(out.large);
    receive(&parts, NULL);
    ck_assert_uint_eq(seen[FRAME_ITEM_BEGIN], 0);
    ck_assert(begin_large(VALUE));
}
END_TEST

START_TEST(an_end_lets_the_value_go)
{
    ck_assert(begin_large(VALUE));
    ck_assert_ptr_nonnull(out.large);
    rep_out_fini(&out);
    ck_assert_ptr_null(out.large);
    rep_out_fini(&out);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rep_out");
    TCase *t = tcase_create("rep_out");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, nothing_put_is_nothing_sent);
    tcase_add_test(t, messages_share_a_batch);
    tcase_add_test(t, a_full_buffer_takes_no_more_until_it_is_cleared);
    tcase_add_test(t, the_room_may_be_less_for_a_while);
    tcase_add_test(t, control_messages_find_room_in_a_full_batch);
    tcase_add_test(t, the_bytes_of_an_item_are_the_callers_to_write);
    tcase_add_test(t, every_batch_is_signed);
    tcase_add_loop_test(t, a_large_value_is_what_it_was, 0, 5);
    tcase_add_test(t, others_go_between_its_parts);
    tcase_add_test(t, a_value_keeps_its_item_until_it_is_written);
    tcase_add_test(t, a_buffer_that_is_full_begins_no_value);
    tcase_add_test(t, an_end_lets_the_value_go);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
