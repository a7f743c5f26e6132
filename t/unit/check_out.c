/* Unit tests of out: copied bytes and references, sent in any cuts. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "proto/out.h"

static struct out out;
static char sent[4 * OUT_BYTES];
static size_t sent_len;
static int dones;

static void start(void)
{
    ck_assert(out_init(&out));
    sent_len = 0;
    dones = 0;
}

static void stop(void)
{
    out_fini(&out);
}

static void done(void *owner)
{
    ck_assert_ptr_eq(owner, &dones);
    dones++;
}

/* Takes up to `n` bytes of the vectors, as a socket would. */
static size_t take(const struct iovec *iov, unsigned entries, size_t n)
{
    size_t taken = 0;

    for (unsigned i = 0; i < entries && taken < n; i++) {
        size_t piece = iov[i].iov_len < n - taken ? iov[i].iov_len : n - taken;

        memcpy(sent + sent_len, iov[i].iov_base, piece);
        sent_len += piece;
        taken += piece;
    }
    return taken;
}

static void send_in_cuts(size_t cut)
{
    const struct iovec *iov;

    while (!out_is_empty(&out)) {
        unsigned n = out_vectors(&out, &iov);

        ck_assert_uint_le(n, OUT_SEND_MAX);
        out_sent(&out, take(iov, n, cut));
    }
}

START_TEST(bytes_are_one_piece)
{
    const struct iovec *iov;

    ck_assert(out_is_empty(&out));
    out_bytes(&out, "hello ", 6);
    out_bytes(&out, "world", 5);
    memcpy(out_tail(&out), "!", 1);
    out_wrote(&out, out_tail(&out) + 1);
    ck_assert_uint_eq(out_space(&out), OUT_BYTES - 12);
    ck_assert_uint_eq(out_vectors(&out, &iov), 1);
    ck_assert_mem_eq(iov[0].iov_base, "hello world!", 12);
    out_sent(&out, 12);
    ck_assert(out_is_empty(&out));
    ck_assert_uint_eq(out_space(&out), OUT_BYTES);
}
END_TEST

START_TEST(order_is_kept_in_any_cut)
{
    static const char expected[] = "header 1 LARGE tail, LARGE 2 end";

    for (size_t cut = 1; cut <= sizeof(expected); cut++) {
        sent_len = 0;
        dones = 0;
        out_bytes(&out, "header 1 ", 9);
        out_ref(&out, "LARGE", 5, &dones, done);
        out_bytes(&out, " tail, ", 7);
        out_ref(&out, "LAR", 3, NULL, NULL);
        out_ref(&out, "GE", 2, &dones, done);
        out_bytes(&out, " 2 ", 3);
        out_bytes(&out, "end", 3);
        send_in_cuts(cut);
        ck_assert_uint_eq(sent_len, sizeof(expected) - 1);
        ck_assert_mem_eq(sent, expected, sent_len);
        ck_assert_int_eq(dones, 2);
    }
}
END_TEST

START_TEST(a_reference_is_held_until_its_last_byte)
{
    const struct iovec *iov;

    out_bytes(&out, "a", 1);
    out_ref(&out, "bcd", 3, &dones, done);
    ck_assert_uint_eq(out_vectors(&out, &iov), 2);
    out_sent(&out, 3);
    ck_assert_int_eq(dones, 0);
    ck_assert(!out_is_empty(&out));
    out_sent(&out, 1);
    ck_assert_int_eq(dones, 1);
    ck_assert(out_is_empty(&out));
}
END_TEST

START_TEST(references_are_limited)
{
    static const char value[OUT_REF_MAX / 2];
    unsigned n = 0;

    ck_assert(out_can_ref(&out, 1));
    out_ref(&out, value, sizeof(value), &dones, done);
    ck_assert(out_can_ref(&out, 1));
    out_ref(&out, value, sizeof(value), &dones, done);
    ck_assert(!out_can_ref(&out, 1));
    out_discard(&out);
    ck_assert_int_eq(dones, 2);
    while (out_can_ref(&out, 1)) {
        out_bytes(&out, "h", 1);
        out_ref(&out, "v", 1, &dones, done);
        n++;
    }
    ck_assert_uint_gt(n, OUT_VECTORS / 2 - 3);
    ck_assert_uint_le(n, OUT_VECTORS / 2);
    send_in_cuts(SIZE_MAX / 2);
    ck_assert_int_eq(dones, (int)n + 2);
    ck_assert(out_can_ref(&out, 1));
}
END_TEST

START_TEST(a_value_in_very_many_pieces_is_sent)
{
    enum { PIECES = 3000 };

    out_bytes(&out, "head", 4);
    ck_assert(out_can_ref(&out, PIECES));
    for (int i = 1; i < PIECES; i++) {
        out_ref(&out, "xy", 2, NULL, NULL);
    }
    out_ref(&out, "xy", 2, &dones, done);
    out_bytes(&out, "\r\n", 2);
    send_in_cuts(SIZE_MAX / 2);
    ck_assert_uint_eq(sent_len, 6 + 2 * PIECES);
    ck_assert_mem_eq(sent + sent_len - 4, "xy\r\n", 4);
    ck_assert_int_eq(dones, 1);
}
END_TEST

START_TEST(discard_drops_everything)
{
    out_bytes(&out, "a", 1);
    out_ref(&out, "b", 1, &dones, done);
    out_discard(&out);
    ck_assert(out_is_empty(&out));
    ck_assert_int_eq(dones, 1);
    out_bytes(&out, "c", 1);
    send_in_cuts(1);
    ck_assert_uint_eq(sent_len, 1);
    ck_assert_mem_eq(sent, "c", 1);
}
END_TEST

START_TEST(malloced_bytes_are_copied_or_kept)
{
    char *small = malloc(5);
    char *large = malloc(2 * OUT_BYTES);

    memcpy(small, "small", 5);
    memset(large, 'L', 2 * OUT_BYTES);
    out_malloced(&out, small, 5);
    out_malloced(&out, large, 2 * OUT_BYTES);
    send_in_cuts(1000);
    ck_assert_uint_eq(sent_len, 5 + 2 * OUT_BYTES);
    ck_assert_mem_eq(sent, "smallLLL", 8);
}
END_TEST

START_TEST(unsent_output_moves_out_of_the_way)
{
    const struct iovec *iov;
    struct out_pending *pending;
    unsigned n;
    size_t taken;

    out_bytes(&out, "first ", 6);
    out_ref(&out, "second", 6, &dones, done);
    out_bytes(&out, " third", 6);
    n = out_vectors(&out, &iov);
    out_sent(&out, take(iov, n, 3));
    pending = out_move(&out);
    ck_assert_ptr_nonnull(pending);
    ck_assert(out_is_empty(&out));
    memset(out.buf, '#', OUT_BYTES); /* the worker goes on using it */
    ck_assert_uint_eq(out_pending_bytes(pending), 15);
    ck_assert_int_eq(dones, 0);
    do {
        n = out_pending_vectors(pending, &iov);
        taken = take(iov, n, 4);
    } while (!out_pending_sent(pending, taken));
    ck_assert_uint_eq(out_pending_bytes(pending), 0);
    out_pending_free(pending);
    ck_assert_int_eq(dones, 1);
    ck_assert_uint_eq(sent_len, 18);
    ck_assert_mem_eq(sent, "first second third", 18);
}
END_TEST

START_TEST(abandoned_output_drops_its_references_once)
{
    struct out_pending *pending;

    out_ref(&out, "abc", 3, &dones, done);
    out_ref(&out, "def", 3, &dones, done);
    pending = out_move(&out);
    ck_assert_ptr_nonnull(pending);
    ck_assert(!out_pending_sent(pending, 4));
    ck_assert_int_eq(dones, 1);
    out_pending_free(pending);
    ck_assert_int_eq(dones, 2);
    out_pending_free(NULL);
    out_ref(&out, "x", 1, &dones, done);
    out_fini(&out);
    ck_assert_int_eq(dones, 3);
    ck_assert(out_init(&out));
}
END_TEST

static Suite *out_suite(void)
{
    Suite *suite = suite_create("out");
    TCase *tc = tcase_create("a worker's buffer");

    tcase_add_checked_fixture(tc, start, stop);
    tcase_add_test(tc, bytes_are_one_piece);
    tcase_add_test(tc, order_is_kept_in_any_cut);
    tcase_add_test(tc, a_reference_is_held_until_its_last_byte);
    tcase_add_test(tc, references_are_limited);
    tcase_add_test(tc, a_value_in_very_many_pieces_is_sent);
    tcase_add_test(tc, discard_drops_everything);
    tcase_add_test(tc, malloced_bytes_are_copied_or_kept);
    tcase_add_test(tc, unsent_output_moves_out_of_the_way);
    tcase_add_test(tc, abandoned_output_drops_its_references_once);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(out_suite());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
