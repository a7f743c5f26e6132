/* Unit tests of rep/link, v3: wrong bytes, last words, draining. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "t/unit/linking.h"

/* Some tests run with pieces of these sizes. */
static const size_t cuts[] = {1, 7, SIZE_MAX};

enum { CUTS = sizeof(cuts) / sizeof(cuts[0]) };

START_TEST(a_wrong_byte_closes_with_an_error)
{
    static const struct {
        uint8_t bytes[8];
        size_t n;
    } wrong[] = {
        {{0, 0, 0, 0}, 4},                    /* an empty batch */
        {{0, 1, 0, 1}, 4},                    /* a body over 64 KiB */
        {{0, 0, 0, 1, 0x7f}, 5},              /* an unknown message */
        {{0, 0, 0, 2, 0x0e, 0}, 6},           /* cut off */
        {{0, 0, 0, 1, FRAME_ITEM_CANCEL}, 5}, /* nothing to cancel */
    };

    cut = cuts[_i % CUTS];
    link_up();
    feed(wrong[_i / CUTS].bytes, wrong[_i / CUTS].n);
    ck_ended(FRAME_ERROR_MALFORMED);
    ck_assert_str_eq(told(), "closed; ");
    ck_assert_str_ne(error_text(), "");
}
END_TEST

START_TEST(what_came_before_a_wrong_byte_stays)
{
    static const uint8_t wrong[] = {0, 0, 0, 1, 0x7f};
    const struct frame_msg item = item_msg("k", "1", V(1));

    link_up();
    send_one(&item);
    feed(wrong, sizeof(wrong));
    ck_assert_str_eq(get("k"), "1");
}
END_TEST

START_TEST(messages_of_later_versions_are_skipped)
{
    static const uint8_t later[] = {0, 0, 0, 5, 0x90, 0, 2, 'x', 'y'};

    link_up();
    feed(later, sizeof(later));
    ck_assert(figures().linked);
    send_number(FRAME_POSITION, 3);
    ck_heard("ack 3; ");
}
END_TEST

START_TEST(a_wrong_tag_closes_with_an_error)
{
    const struct frame_msg item = item_msg("k", "1", V(1));

    use_secrets("a secret that both know", "a secret that both know");
    cut = cuts[_i];
    link_up();
    spoil = true;
    send_one(&item);
    ck_ended(FRAME_ERROR_TAG);
    ck_assert_str_eq(get("k"), "none");
}
END_TEST

START_TEST(last_words_do_not_cut_a_batch_in_two)
{
    static const uint8_t wrong[] = {0, 0, 0, 0};
    struct iovec iov;
    size_t before;

    link_up();
    (void)set("k", "1");
    window = 10;
    (void)heard();
    before = unheard();
    feed(wrong, sizeof(wrong));
    ck_assert(rep_link_is_closed(lnk));
    window = SIZE_MAX;
    ck_assert_uint_eq(rep_link_out(lnk, &iov, 1, 1), 0);
    ck_assert_uint_eq(unheard(), before);
}
END_TEST

START_TEST(what_the_peer_says_last_is_told)
{
    static const struct {
        enum frame_type type;
        uint64_t code;
    } ends[] = {{FRAME_BYE, 0},   {FRAME_BUSY, 0},  {FRAME_ERROR, 1},
                {FRAME_ERROR, 2}, {FRAME_ERROR, 3}, {FRAME_ERROR, 6},
                {FRAME_ERROR, 7}, {FRAME_ERROR, 99}};
    const struct frame_msg item = item_msg("k", "1", V(1));
    const struct frame_msg end = number_msg(ends[_i].type, ends[_i].code);

    link_up();
    say(&end);
    say(&item);
    send_batch();
    ck_ended(-1); /* nobody answers */
    ck_assert_str_eq(told(), "closed; ");
    ck_assert_int_eq(strlen(error_text()) > 0, ends[_i].type != FRAME_BYE);
    ck_assert_str_eq(get("k"), "none"); /* nothing after it is used */
}
END_TEST

START_TEST(a_link_that_is_closed_says_bye)
{
    link_up();
    rep_link_close(lnk);
    ck_ended(0);
    ck_assert_str_eq(told(), "");
    connect_as(false);
    greet();
    (void)heard();
    rep_link_close(lnk);
    ck_ended(0);
}
END_TEST

START_TEST(a_connection_that_broke_says_nothing)
{
    link_up();
    disconnect();
    ck_ended(-1);
    ck_assert_str_eq(told(), "closed; ");
    ck_assert_str_eq(error_text(), "");
}
END_TEST

START_TEST(a_link_is_drained_when_the_peer_has_processed_all)
{
    uint64_t v;

    link_up();
    v = set("k", "1");
    rep_link_drain(lnk);
    ck_assert(figures().draining);
    rep_link_drained(lnk, 0);
    ck_assert_str_eq(told(), "");
    ck_heard("item k=1@%llu; position %llu; ", U(v), U(head()));
    rep_link_drained(lnk, 0);
    ck_assert_str_eq(told(), "");
    send_number(FRAME_ACK, heard_position);
    rep_link_drained(lnk, 100); /* the kernel's are acknowledgements */
    rep_link_drained(lnk, 0);
    ck_assert_str_eq(told(), "drained; ");
    rep_link_close(lnk);
    ck_ended(0);
}
END_TEST

START_TEST(a_link_is_drained_when_its_copy_is_acknowledged)
{
    (void)set("k", "1");
    link_from(false, 0);
    rep_link_drain(lnk);
    (void)told();
    (void)heard();
    rep_link_drained(lnk, 0);
    ck_assert_str_eq(told(), "scan done; ");
    send_number(FRAME_SCAN_ACK, heard_cursor);
    settle();
    rep_link_drained(lnk, 0);
    ck_assert_str_eq(told(), "drained; ");
}
END_TEST

START_TEST(an_idle_link_sleeps_until_there_is_a_change)
{
    link_up();
    ck_assert(rep_link_all_written(lnk));
    ck_assert(rep_link_sleep(lnk));
    (void)set("k", "1");
    ck_assert(!rep_link_sleep(lnk));
    settle();
    ck_assert(rep_link_sleep(lnk));
    ck_assert(figures().caught_up);
}
END_TEST

/* Its turn has passed when it is linked because another one ended. */
START_TEST(a_link_that_has_just_begun_does_not_sleep)
{
    works = false;
    connect_as(false);
    hold();
    say_hello();
    if (_i == 1) {
        send_number(FRAME_RESUME, 0);
    }
    let_go();
    ck_assert(figures().linked);
    ck_assert(!rep_link_sleep(lnk));
    pump();
    ck_assert(rep_link_reads(lnk));
    ck_assert_uint_gt(strlen(heard_line()), 1);
    settle();
    ck_assert(rep_link_sleep(lnk));
}
END_TEST

START_TEST(a_legacy_link_that_has_just_begun_does_not_sleep)
{
    works = false;
    connect_as(true);
    ck_assert_uint_gt(strlen(heard_line()), 1);
    say_line("marugoto_end");
    ck_assert(figures().legacy);
    ck_assert(!rep_link_sleep(lnk));
    pump();
    ck_assert(figures().received);
    ck_assert(rep_link_reads(lnk));
    ck_assert(rep_link_sleep(lnk));
}
END_TEST

static void add_ends(Suite *s)
{
    TCase *t = tcase_create("ends");

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, a_wrong_byte_closes_with_an_error, 0, 5 * CUTS);
    tcase_add_test(t, what_came_before_a_wrong_byte_stays);
    tcase_add_test(t, messages_of_later_versions_are_skipped);
    tcase_add_loop_test(t, a_wrong_tag_closes_with_an_error, 0, CUTS);
    tcase_add_test(t, last_words_do_not_cut_a_batch_in_two);
    tcase_add_loop_test(t, what_the_peer_says_last_is_told, 0, 8);
    tcase_add_test(t, a_link_that_is_closed_says_bye);
    tcase_add_test(t, a_connection_that_broke_says_nothing);
    tcase_add_test(t, a_link_is_drained_when_the_peer_has_processed_all);
    tcase_add_test(t, a_link_is_drained_when_its_copy_is_acknowledged);
    tcase_add_test(t, an_idle_link_sleeps_until_there_is_a_change);
    tcase_add_loop_test(t, a_link_that_has_just_begun_does_not_sleep, 0, 2);
    tcase_add_test(t, a_legacy_link_that_has_just_begun_does_not_sleep);
}

int main(void)
{
    Suite *s = suite_create("link_end");
    SRunner *r;
    int failed;

    add_ends(s);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
