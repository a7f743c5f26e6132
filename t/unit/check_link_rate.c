/* Unit tests of rep/link: the rate of copies. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rep/pace.h"
#include "rep/rate.h"
#include "t/unit/linking.h"

enum {
    RATE = 1000 * 1000, /* bytes a second */
    ITEMS = 100,        /* of VALUE bytes: half a second's worth */
    VALUE = 5000,
    PIECE = 64 * 1024 + 64, /* a batch, of parts written at once */
    SLICE = 16 * 1024,      /* of whole items, and one more */
    LIVE = 2000             /* bytes of all that is not the copy */
};

static struct rep_rate rate;

static void setup_rate(void)
{
    setup();
    rate = (struct rep_rate){.bytes_s = RATE};
    env.copy_rate = &rate;
}

static void teardown_rate(void)
{
    env.copy_rate = NULL;
    teardown();
}

static void set_all(void)
{
    char name[16];

    for (unsigned i = 0; i < ITEMS; i++) {
        (void)snprintf(name, sizeof(name), "key-%u", i);
        (void)set_large(name, VALUE);
    }
}

static uint64_t sent(void)
{
    return figures().bytes_sent;
}

/* Lets time pass until nothing is held back; returns the milliseconds, in which
 * no more was sent than the rate allows. */
static unsigned pass_all(void)
{
    unsigned ms = 0;

    while (figures().held) {
        ck_assert_uint_lt(ms, 100000);
        pass_ms(2);
        ms += 2;
        (void)heard();
        ck_assert_uint_le(sent(), (uint64_t)ms * RATE / 1000 + PIECE + LIVE);
    }
    return ms;
}

START_TEST(a_copy_takes_its_time)
{
    unsigned ms;

    set_all();
    link_from(false, 0);
    (void)heard();
    ck_assert(figures().held);
    ck_assert_uint_le(sent(), SLICE + VALUE + LIVE);
    ck_assert(rep_link_all_written(lnk)); /* nothing to do now */
    ms = pass_all();
    ck_assert_uint_ge(ms, (ITEMS * VALUE - PIECE) / (RATE / 1000));
    ck_assert_uint_le(ms, ITEMS * VALUE / (RATE / 1000) + 100);
    ck_assert_uint_ge(heard_value, ITEMS * VALUE);
    ck_assert_uint_eq(count(FRAME_COPY_END), 1);
}
END_TEST

START_TEST(changes_do_not_wait_for_it)
{
    set_all();
    link_from(false, 0);
    (void)heard();
    (void)set("live", "1");
    ck_assert_ptr_nonnull(strstr(heard(), "item live=1@"));
    ck_assert(figures().held);
    (void)pass_all();
}
END_TEST

START_TEST(parts_of_a_large_value_count)
{
    unsigned ms;

    (void)set_large("large", 1000000);
    link_from(false, 0);
    (void)heard();
    ck_assert(figures().held);
    ms = pass_all();
    ck_assert_uint_ge(ms, 900);
    ck_assert_uint_le(ms, 1200);
    ck_assert_uint_eq(heard_value, 1000000);
}
END_TEST

START_TEST(a_large_value_that_changes_does_not)
{
    link_up();
    (void)set_large("large", 1000000);
    (void)heard();
    ck_assert(!figures().held);
    ck_assert_uint_eq(heard_value, 1000000);
}
END_TEST

START_TEST(a_copy_for_a_2x_takes_its_time)
{
    unsigned ms;

    set_all();
    connect_as(false);
    ck_assert(rep_link_begin(lnk, true, 0));
    rep_link_scan(lnk, 0);
    (void)heard_text();
    ck_assert(figures().held);
    ck_assert(rep_link_all_written(lnk));
    for (ms = 0; figures().held; ms += 2) {
        ck_assert_uint_lt(ms, 100000);
        pass_ms(2);
        (void)heard_text();
    }
    ck_assert_uint_ge(ms, 300);
    ck_assert_uint_le(ms, 700);
    ck_assert_uint_ge(sent(), ITEMS * VALUE);
}
END_TEST

/* What changed meanwhile lets the rest of a large value hurry. */
START_TEST(a_large_value_that_changes_waits_for_one_of_the_copy_only)
{
    for (unsigned i = 0; i < 5; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "large-%u", i);
        (void)set_large(name, 1000000);
    }
    link_from(false, 0);
    (void)heard();
    ck_assert(figures().held);
    for (unsigned i = 0; i < 20; i++) { /* more than may wait */
        char name[16];

        (void)snprintf(name, sizeof(name), "live-%u", i);
        (void)set_large(name, 100000);
    }
    (void)set("small", "1");
    ck_assert_ptr_nonnull(strstr(heard(), "item small=1@"));
    ck_assert(figures().held);
    ck_assert_uint_ge(heard_value, 1000000 + 20 * 100000);
    ck_assert_uint_le(heard_value, 1000000 + 20 * 100000 + PIECE + LIVE);
    for (unsigned ms = 0; figures().held; ms++) {
        ck_assert_uint_lt(ms, 20000);
        pass_ms(1);
        (void)heard();
    }
    ck_assert_uint_eq(count(FRAME_COPY_END), 1);
}
END_TEST

/* At full speed, too, and while the socket takes little. */
START_TEST(large_values_of_a_copy_let_changes_pass)
{
    rate.bytes_s = 0;
    for (unsigned i = 0; i < 30; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "large-%u", i);
        (void)set_large(name, 500000);
    }
    link_from(false, 0);
    window = 200000;
    (void)heard();
    for (unsigned i = 0; i < 20; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "live-%u", i);
        (void)set_large(name, 100000);
    }
    (void)set("small", "1");
    window = 3000000 + 2 * PIECE; /* one of the copy, and those that wait */
    ck_assert_ptr_nonnull(strstr(heard(), "item small=1@"));
    window = SIZE_MAX;
    (void)heard();
    ck_assert_uint_eq(count(FRAME_COPY_END), 1);
}
END_TEST

START_TEST(those_who_share_it_get_their_parts)
{
    struct rep_rate r = {.bytes_s = 1000};
    uint64_t due[2] = {0, 0};

    ck_assert(rep_rate_allows(&r, due[0], 5));
    rep_rate_pay(&r, &due[0], 5, 1);
    ck_assert_uint_eq(due[0], 1000000);
    ck_assert(!rep_rate_allows(&r, due[0], 999999));
    ck_assert(rep_rate_allows(&r, due[0], 1000000));
    r.sharers = 2;
    rep_rate_pay(&r, &due[1], 5, 1);
    ck_assert_uint_eq(due[1], 2000000);
    rep_rate_pay(&r, &due[1], 5, 1);
    ck_assert_uint_eq(due[1], 4000000);
    r.bytes_s = 0;
    ck_assert(rep_rate_allows(&r, due[1], 0));
    ck_assert(rep_rate_allows(NULL, due[1], 0));
}
END_TEST

START_TEST(who_comes_a_little_late_has_lost_nothing)
{
    struct rep_rate r = {.bytes_s = 1000000};
    uint64_t due = 1000000;

    rep_rate_pay(&r, &due, due + REP_RATE_LATE_NS, 1000);
    ck_assert_uint_eq(due, 2000000);
    rep_rate_pay(&r, &due, due + REP_RATE_LATE_NS + 1, 1000);
    ck_assert_uint_eq(due, 2000000 + REP_RATE_LATE_NS + 1 + 1000000);
}
END_TEST

START_TEST(slices_are_of_a_millisecond)
{
    struct rep_rate r = {.bytes_s = 1000000};

    ck_assert_uint_eq(rep_rate_slice(&r), REP_RATE_SLICE);
    r.bytes_s = 1024 * 100000;
    ck_assert_uint_eq(rep_rate_slice(&r), 100000);
    r.sharers = 2;
    ck_assert_uint_eq(rep_rate_slice(&r), 50000);
    r.bytes_s = 0;
    ck_assert_uint_eq(rep_rate_slice(&r), UINT64_MAX);
    ck_assert_uint_eq(rep_rate_slice(NULL), UINT64_MAX);
}
END_TEST

/* A turn over two links at `now`; nanoseconds of the pause, 0 for none. */
static uint64_t paused(struct rep_pace *p, uint64_t pos, uint64_t items,
                       uint64_t held_until, uint64_t now)
{
    struct rep_link_figures idle = {.pos = 7};
    struct rep_link_figures f = {.pos = pos,
                                 .items_sent = items,
                                 .held = held_until != 0,
                                 .held_until = held_until};

    rep_pace_begin(p);
    rep_pace_add(p, &idle);
    rep_pace_add(p, &f);
    return rep_pace_end(p, now) ? p->pause : 0;
}

START_TEST(turns_are_paced_while_something_comes)
{
    struct rep_pace p = {0};

    ck_assert_uint_eq(paused(&p, 5, 5, 0, 1000000), REP_PACE_NS);
    ck_assert_uint_eq(paused(&p, 6, 133, 0, 2000000), REP_PACE_NS);
    ck_assert_uint_eq(paused(&p, 7, 262, 0, 3000000), 2 * REP_PACE_NS);
    ck_assert_uint_eq(paused(&p, 7, 262, 0, 4000000), 0);
    /* A turn that was not the last changes nothing. */
    rep_pace_begin(&p);
    ck_assert_uint_eq(paused(&p, 8, 390, 0, 5000000), REP_PACE_NS);
}
END_TEST

START_TEST(a_held_copy_gets_its_turn_when_it_may_go_on)
{
    struct rep_pace p = {0};
    uint64_t now = 1000000000;

    ck_assert_uint_eq(paused(&p, 5, 5, now + 900000, now), REP_PACE_NS);
    ck_assert_uint_eq(paused(&p, 5, 5, now + 900000, now), 900000);
    ck_assert_uint_eq(paused(&p, 5, 5, now + 1, now), REP_PACE_NS);
    ck_assert_uint_eq(paused(&p, 5, 5, now + 1000000000, now),
                      REP_PACE_HELD_NS);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("link_rate");
    TCase *t = tcase_create("link_rate");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup_rate, teardown_rate);
    tcase_add_test(t, a_copy_takes_its_time);
    tcase_add_test(t, changes_do_not_wait_for_it);
    tcase_add_test(t, parts_of_a_large_value_count);
    tcase_add_test(t, a_large_value_that_changes_does_not);
    tcase_add_test(t, a_copy_for_a_2x_takes_its_time);
    tcase_add_test(t,
                   a_large_value_that_changes_waits_for_one_of_the_copy_only);
    tcase_add_test(t, large_values_of_a_copy_let_changes_pass);
    tcase_add_test(t, those_who_share_it_get_their_parts);
    tcase_add_test(t, who_comes_a_little_late_has_lost_nothing);
    tcase_add_test(t, slices_are_of_a_millisecond);
    tcase_add_test(t, turns_are_paced_while_something_comes);
    tcase_add_test(t, a_held_copy_gets_its_turn_when_it_may_go_on);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
