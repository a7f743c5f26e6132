/* The decisions of replication, in virtual time: scripts of events with the
 * actions they bring. */
#include <string.h>

#include "t/unit/core_script.h"

#define SKEW_BIG (25LL * 3600 * 1000)

/* A listener with a link on connection 1, copies done. */
static void begin_linked_listener(uint64_t run, uint64_t peer_run)
{
    begin(run, 0);
    EXPECT(EV(.kind = REP_EV_START), "listening; serve");
    EXPECT(ACCEPTED(1, ), "");
    EXPECT(HELLO(1, peer_run, ), "hello 1; 'accept'; link 1; catch up 1");
    EXPECT(ON(SCAN_DONE, 1, ), "announce 1");
    EXPECT(ON(COPY_RECEIVED, 1, ), "");
    ck_assert_int_eq(rep_core_status(core), REP_LINKED);
}

START_TEST(listener_serves_at_once)
{
    begin(5, 0);
    EXPECT(EV(.kind = REP_EV_START), "listening; serve");
    ck_assert_int_eq(rep_core_status(core), REP_LISTENING);
}
END_TEST

START_TEST(dialler_serves_when_the_copy_is_there)
{
    begin(5, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(CONNECTED(1, ), "hello 1");
    EXPECT(HELLO(1, 9, ), "'copying'; link 1; catch up 1");
    ck_assert_int_eq(rep_core_status(core), REP_COPYING);
    EXPECT(ON(SCAN_DONE, 1, ), "announce 1");
    EXPECT(ON(COPY_RECEIVED, 1, ), "'start'; serve");
    ck_assert_int_eq(rep_core_status(core), REP_LINKED);
}
END_TEST

START_TEST(refused_dialler_serves_at_once_and_dials_on)
{
    begin(5, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(EV(.kind = REP_EV_DIAL_FAILED, .cause = REP_REFUSED),
           "listening; serve");
    for (int i = 0; i < 50; i++) {
        uint64_t wait = timer - now;

        ck_assert_uint_le(wait, REP_CORE_DIAL_MAX_MS);
        ck_assert_uint_ge(wait, REP_CORE_DIAL_MIN_MS / 2);
        ck_assert_str_eq(pass(wait), "dial");
        EXPECT(EV(.kind = REP_EV_DIAL_FAILED, .cause = REP_REFUSED), "");
    }
    ck_assert_int_eq(rep_core_status(core), REP_DIALING);
    (void)pass(REP_CORE_DIAL_MAX_MS);
    EXPECT(CONNECTED(1, ), "hello 1");
    EXPECT(HELLO(1, 9, ), "'connect'; 'copying'; link 1; catch up 1");
}
END_TEST

START_TEST(unknown_name_counts_as_absent)
{
    begin(5, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(EV(.kind = REP_EV_DIAL_FAILED, .cause = REP_UNKNOWN_HOST),
           "listening; serve");
}
END_TEST

START_TEST(silent_peer_is_waited_for_twice_the_timeout)
{
    uint64_t start;

    begin(5, 1);
    start = now;
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(EV(.kind = REP_EV_DIAL_FAILED, .cause = REP_SILENT), "listening");
    while (strstr(pass(100), "serve") == NULL) {
        ck_assert_uint_le(now, start + 2 * TIMEOUT + 100);
        (void)step((struct rep_event){.kind = REP_EV_DIAL_FAILED,
                                      .cause = REP_SILENT});
    }
    ck_assert_uint_ge(now, start + 2 * TIMEOUT);
}
END_TEST

/* As one that wants a secret of us. */
START_TEST(peer_that_closes_each_link_is_waited_for_no_longer)
{
    bool serves = false;
    uint64_t start;

    begin(5, 1);
    start = now;
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(EV(.kind = REP_EV_DIAL_FAILED, .cause = REP_SILENT), "listening");
    for (uint32_t i = 1; !serves; i++) {
        ck_assert_uint_le(now, start + 2 * TIMEOUT + 100);
        (void)step((struct rep_event)ACCEPTED(i, EXACT(0)));
        (void)step((struct rep_event)HELLO(i, 9, EXACT(0)));
        (void)pass(100);
        serves = strstr(step((struct rep_event)ON(CLOSED, i, )), "serve");
    }
    ck_assert_uint_ge(now, start + 2 * TIMEOUT);
}
END_TEST

START_TEST(silent_acceptor_is_closed_and_dialled_again)
{
    begin(5, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(CONNECTED(1, ), "hello 1");
    ck_assert_str_eq(pass(TIMEOUT), "close 1; listening");
    ck_assert_str_eq(pass(REP_CORE_DIAL_MIN_MS), "dial next");
}
END_TEST

START_TEST(lost_link_is_dialled_again_at_once)
{
    begin(5, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(CONNECTED(1, ), "hello 1");
    EXPECT(HELLO(1, 9, ), "'copying'; link 1; catch up 1");
    EXPECT(ON(COPY_RECEIVED, 1, ), "'start'; serve");
    EXPECT(ON(CLOSED, 1, ), "'close'; listening");
    ck_assert_str_eq(pass(REP_CORE_DIAL_MIN_MS), "dial loud");
    EXPECT(CONNECTED(2, ), "hello 2");
    EXPECT(HELLO(2, 10, ), "'copying'; link 2; catch up 2");
}
END_TEST

START_TEST(link_lost_while_copying_keeps_the_port_closed)
{
    begin(5, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(CONNECTED(1, ), "hello 1");
    EXPECT(HELLO(1, 9, ), "'copying'; link 1; catch up 1");
    EXPECT(ON(CLOSED, 1, ), "'close'; listening");
    ck_assert_str_eq(pass(REP_CORE_DIAL_MIN_MS), "dial loud");
    EXPECT(CONNECTED(2, ), "hello 2");
    EXPECT(HELLO(2, 9, ), "'copying'; link 2; catch up 2");
    EXPECT(ON(COPY_RECEIVED, 2, ), "'start'; serve");
}
END_TEST

START_TEST(peer_gone_while_copying_opens_the_port)
{
    begin(5, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(CONNECTED(1, ), "hello 1");
    EXPECT(HELLO(1, 9, ), "'copying'; link 1; catch up 1");
    EXPECT(ON(CLOSED, 1, ), "'close'; listening");
    ck_assert_str_eq(pass(REP_CORE_DIAL_MIN_MS), "dial loud");
    EXPECT(EV(.kind = REP_EV_DIAL_FAILED, .cause = REP_REFUSED), "serve");
}
END_TEST

/* Both dial at once; 1 is what we dialled, 2 what the peer did. */
START_TEST(lower_run_id_keeps_what_it_dialled)
{
    for (int theirs_first = 0; theirs_first < 2; theirs_first++) {
        begin(5, 1);
        EXPECT(EV(.kind = REP_EV_START), "dial loud");
        EXPECT(CONNECTED(1, ), "hello 1");
        EXPECT(ACCEPTED(2, EXACT(0), .trusted = true), "");
        if (theirs_first) {
            EXPECT(HELLO(2, 9, ), "hello 2; 'accept'; link 2; catch up 2");
            EXPECT(HELLO(1, 9, ), "close 2; 'copying'; link 1; catch up 1");
        } else {
            EXPECT(HELLO(1, 9, ), "'copying'; link 1; catch up 1");
            EXPECT(HELLO(2, 9, ), "hello 2; close 2");
        }
        EXPECT(ON(CLOSED, 2, ), "");
        EXPECT(ON(COPY_RECEIVED, 1, ), "'start'; serve");
    }
}
END_TEST

START_TEST(higher_run_id_keeps_what_the_other_dialled)
{
    for (int theirs_first = 0; theirs_first < 2; theirs_first++) {
        begin(9, 1);
        EXPECT(EV(.kind = REP_EV_START), "dial loud");
        EXPECT(CONNECTED(1, ), "hello 1");
        EXPECT(ACCEPTED(2, EXACT(0), .trusted = true), "");
        if (theirs_first) {
            EXPECT(HELLO(2, 5, ), "hello 2; 'accept'; link 2; catch up 2");
            EXPECT(HELLO(1, 5, ), "close 1");
        } else {
            EXPECT(HELLO(1, 5, ), "'copying'; link 1; catch up 1");
            EXPECT(HELLO(2, 5, ),
                   "close 1; hello 2; 'accept'; link 2; catch up 2");
        }
        EXPECT(ON(COPY_RECEIVED, 2, ), "serve");
        ck_assert_str_eq(pass(TIMEOUT / 4), "beat 2");
    }
}
END_TEST

START_TEST(completed_hello_cancels_a_dial_under_way)
{
    begin(5, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(ACCEPTED(2, EXACT(0), .trusted = true), "");
    EXPECT(HELLO(2, 9, EXACT(0)),
           "hello 2; 'accept'; link 2; catch up 2; undial");
}
END_TEST

START_TEST(same_dialler_keeps_the_newer)
{
    begin_linked_listener(5, 9);
    EXPECT(ACCEPTED(2, ), "");
    EXPECT(HELLO(2, 9, ), "close 1; hello 2; 'accept'; link 2; catch up 2");
}
END_TEST

START_TEST(own_run_id_is_recognised)
{
    begin(5, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(CONNECTED(1, ), "hello 1");
    EXPECT(ACCEPTED(2, ), "");
    EXPECT(HELLO(2, 5, ), "close 2 self");
    EXPECT(ON(CLOSED, 1, .refusal = REP_REFUSAL_SELF), "listening; serve");
    ck_assert_str_eq(pass(REP_CORE_SELF_MS - 1), "");
}
END_TEST

START_TEST(second_peer_is_turned_away_by_a_living_one)
{
    begin_linked_listener(5, 9);
    EXPECT(ACCEPTED(2, ), "");
    EXPECT(HELLO(2, 10, ), "beat 1");
    EXPECT(ON(HEARD, 1, ), "'already'; close 2 busy");
}
END_TEST

START_TEST(second_peer_takes_the_place_of_a_dead_one)
{
    begin_linked_listener(5, 9);
    EXPECT(ACCEPTED(2, ), "");
    EXPECT(HELLO(2, 10, ), "beat 1");
    ck_assert_str_eq(pass(1000), "'close'; listening; hello 2; 'accept'; "
                                 "link 2; catch up 2; close 1");
}
END_TEST

START_TEST(configured_peer_displaces_another)
{
    begin(5, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(ACCEPTED(2, ), "");
    EXPECT(HELLO(2, 10, ), "hello 2; 'accept'; link 2; catch up 2");
    EXPECT(CONNECTED(1, ), "hello 1");
    EXPECT(HELLO(1, 9, ),
           "'close'; listening; close 2; 'copying'; link 1; catch up 1");
}
END_TEST

START_TEST(silent_link_is_cut_after_the_timeout)
{
    const char *seen;

    begin_linked_listener(5, 9);
    seen = pass(TIMEOUT - 1);
    ck_assert_ptr_null(strstr(seen, "close"));
    ck_assert_ptr_nonnull(strstr(seen, "beat 1"));
    ck_assert_ptr_nonnull(strstr(pass(1), "'close'; listening; close 1"));
}
END_TEST

START_TEST(woken_process_reads_before_it_judges)
{
    begin_linked_listener(5, 9);
    now += 60000; /* stopped, with its timer long due */
    EXPECT(EV(.kind = REP_EV_TICK), "beat 1");
    EXPECT(ON(HEARD, 1, ), "");
    ck_assert_ptr_null(strstr(pass(TIMEOUT - 1), "close"));
    ck_assert_ptr_nonnull(strstr(pass(1), "close 1"));
}
END_TEST

START_TEST(early_timer_is_set_again)
{
    uint64_t due;

    begin(5, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(EV(.kind = REP_EV_DIAL_FAILED, .cause = REP_REFUSED),
           "listening; serve");
    due = timer;
    now = due - 1;
    timer = 0;
    EXPECT(EV(.kind = REP_EV_TICK), "");
    ck_assert_uint_eq(timer, due);
    ck_assert_str_eq(pass(1), "dial");
}
END_TEST

START_TEST(stranger_is_cut_off)
{
    begin(5, 0);
    (void)step((struct rep_event){.kind = REP_EV_START});
    EXPECT(ACCEPTED(1, ), "");
    EXPECT(ON(NONSENSE, 1, ), "close 1");
    EXPECT(ACCEPTED(2, ), "");
    EXPECT(ON(LEGACY, 2, ), "close 2");
    EXPECT(ACCEPTED(3, ), "");
    ck_assert_str_eq(pass(REP_CORE_UNPROVEN_MS - 1), "");
    ck_assert_str_eq(pass(1), "close 3");
}
END_TEST

START_TEST(strangers_never_fill_the_places)
{
    char closed[32];

    begin(5, 0);
    (void)step((struct rep_event){.kind = REP_EV_START});
    for (unsigned i = 1; i <= 1000; i++) {
        closed[0] = '\0';
        if (i > REP_CORE_UNPROVEN) {
            (void)snprintf(closed, sizeof(closed), "close %u",
                           i - REP_CORE_UNPROVEN);
        }
        EXPECT(ACCEPTED(i, ), closed);
        now++;
    }
    EXPECT(ACCEPTED(2000, ONE_OF, .trusted = true), "");
    EXPECT(HELLO(2000, 9, ), "hello 2000; 'accept'; link 2000; catch up 2000");
}
END_TEST

START_TEST(trusted_silence_is_legacy)
{
    begin(5, 0);
    (void)step((struct rep_event){.kind = REP_EV_START});
    EXPECT(ACCEPTED(1, .trusted = true), "");
    ck_assert_str_eq(pass(REP_CORE_SILENT_MS - 1), "");
    ck_assert_str_eq(pass(1),
                     "hello 1; 'accept'; link 1 legacy; scan 1 from 0");
    EXPECT(ON(SCAN_DONE, 1, ), "announce 1");
    ck_assert_int_eq(rep_core_status(core), REP_LINKED);
    ck_assert_str_eq(pass(10 * TIMEOUT), ""); /* no beats, no judgement */
}
END_TEST

START_TEST(one_who_said_hello_is_never_legacy)
{
    begin_linked_listener(5, 9);
    EXPECT(ON(CLOSED, 1, ), "'close'; listening");
    EXPECT(ACCEPTED(2, .trusted = true), "");
    ck_assert_str_eq(pass(REP_CORE_UNPROVEN_MS), "close 2");
}
END_TEST

START_TEST(silent_link_gives_way_to_a_hello)
{
    begin(5, 0);
    (void)step((struct rep_event){.kind = REP_EV_START});
    EXPECT(ACCEPTED(1, .trusted = true), "");
    ck_assert_str_eq(pass(1000),
                     "hello 1; 'accept'; link 1 legacy; scan 1 from 0");
    EXPECT(ACCEPTED(2, ), "");
    EXPECT(HELLO(2, 9, ), "'close'; listening; close 1; hello 2; 'accept'; "
                          "link 2; catch up 2");
}
END_TEST

START_TEST(legacy_peer_that_spoke_keeps_its_place)
{
    begin(5, 0);
    (void)step((struct rep_event){.kind = REP_EV_START});
    EXPECT(ACCEPTED(1, .trusted = true), "");
    EXPECT(ON(LEGACY, 1, ), "'accept'; link 1 legacy; scan 1 from 0");
    EXPECT(ACCEPTED(2, ), "");
    EXPECT(HELLO(2, 9, ), "'already'; close 2 busy");
}
END_TEST

START_TEST(hello_on_a_legacy_link_closes_it)
{
    begin(5, 0);
    (void)step((struct rep_event){.kind = REP_EV_START});
    EXPECT(ACCEPTED(1, .trusted = true), "");
    (void)pass(1000);
    EXPECT(HELLO(1, 9, ), "'close'; listening; close 1");
}
END_TEST

START_TEST(dialled_legacy_peer_copies_first)
{
    begin(5, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(CONNECTED(1, ), "hello 1");
    EXPECT(ON(LEGACY, 1, ), "'copying'; link 1 legacy");
    EXPECT(ON(COPY_RECEIVED, 1, ), "'start'; scan 1 from 0; serve");
    EXPECT(ON(SCAN_DONE, 1, ), "announce 1");
}
END_TEST

START_TEST(overrun_is_scanned)
{
    begin_linked_listener(5, 9);
    EXPECT(EV(.kind = REP_EV_OVERRUN, .conn = 1, .version = 70),
           "scan 1 from 70");
    EXPECT(EV(.kind = REP_EV_OVERRUN, .conn = 1, .version = 95), "");
    EXPECT(EV(.kind = REP_EV_OVERRUN, .conn = 1, .version = 90), "");
    EXPECT(ON(SCAN_DONE, 1, ), "scan 1 from 90");
    EXPECT(ON(SCAN_DONE, 1, ), "");
    EXPECT(ON(SCAN_DONE, 1, ), "");
}
END_TEST

START_TEST(overrun_delays_the_announcement)
{
    begin(5, 0);
    (void)step((struct rep_event){.kind = REP_EV_START});
    EXPECT(ACCEPTED(1, ), "");
    EXPECT(HELLO(1, 9, ), "hello 1; 'accept'; link 1; catch up 1");
    EXPECT(EV(.kind = REP_EV_OVERRUN, .conn = 1, .version = UINT64_MAX), "");
    EXPECT(ON(SCAN_DONE, 1, ), "scan 1 from 18446744073709551615");
    EXPECT(ON(SCAN_DONE, 1, ), "announce 1");
}
END_TEST

START_TEST(greater_run_leaves_a_common_slot)
{
    begin(9, 0);
    (void)step((struct rep_event){.kind = REP_EV_START});
    EXPECT(ACCEPTED(1, ), "");
    EXPECT(EV(.kind = REP_EV_HELLO, .conn = 1, .run = 5, .slot = 1),
           "slot; hello 1; 'accept'; link 1; catch up 1");
    begin(5, 0);
    (void)step((struct rep_event){.kind = REP_EV_START});
    EXPECT(ACCEPTED(1, ), "");
    EXPECT(EV(.kind = REP_EV_HELLO, .conn = 1, .run = 9, .slot = 1),
           "hello 1; 'accept'; link 1; catch up 1");
}
END_TEST

/* A third peer that knew the old slot is met again, and compares. */
START_TEST(who_moves_parts_from_the_others)
{
    begin(9, 2);
    (void)step((struct rep_event){.kind = REP_EV_START});
    (void)step((struct rep_event){
        .kind = REP_EV_ACCEPTED, .conn = 1, .addr = 1, .configured = true});
    EXPECT(HELLO(1, 3, EXACT(0)),
           "hello 1; 'accept'; link 1; catch up 1; undial");
    (void)step((struct rep_event){.kind = REP_EV_ACCEPTED,
                                  .conn = 2,
                                  .addr = 2,
                                  .peer = 1,
                                  .configured = true});
    EXPECT(EV(.kind = REP_EV_HELLO, .conn = 2, .run = 5, .slot = 1, EXACT(1)),
           "'close'; listening; close 1; slot; hello 2; 'accept'; link 2; "
           "catch up 2; undial peer1");
}
END_TEST

static bool tells_slot(unsigned slot)
{
    uint64_t slots[REP_CORE_SLOTS];

    rep_core_slots(core, slots);
    return (slots[slot / 64] >> slot % 64 & 1) != 0;
}

START_TEST(who_is_alone_leaves_a_slot_in_use_elsewhere)
{
    begin(5, 0);
    (void)step((struct rep_event){.kind = REP_EV_START});
    EXPECT(ACCEPTED(1, ), "");
    EXPECT(EV(.kind = REP_EV_HELLO, .conn = 1, .run = 9, .slot = 200,
              .slots = {1U << 1, 0, 0, UINT64_C(1) << 8}),
           "slot; hello 1; 'accept'; link 1; catch up 1");
    ck_assert(!tells_slot(1));
    ck_assert(tells_slot(200));
}
END_TEST

/* All are in use, they say: any will do that those have not who say so. */
START_TEST(no_slot_is_free_elsewhere)
{
    begin(5, 0);
    (void)step((struct rep_event){.kind = REP_EV_START});
    EXPECT(ACCEPTED(1, ), "");
    EXPECT(EV(.kind = REP_EV_HELLO, .conn = 1, .run = 9, .slot = 200,
              .slots = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}),
           "slot; hello 1; 'accept'; link 1; catch up 1");
    ck_assert(tells_slot(200));
}
END_TEST

START_TEST(who_is_linked_stays_in_its_slot_until_they_meet)
{
    begin(5, 2);
    (void)step((struct rep_event){.kind = REP_EV_START});
    (void)step((struct rep_event){
        .kind = REP_EV_ACCEPTED, .conn = 1, .addr = 1, .configured = true});
    EXPECT(HELLO(1, 3, EXACT(0)),
           "hello 1; 'accept'; link 1; catch up 1; undial");
    (void)step((struct rep_event){.kind = REP_EV_ACCEPTED,
                                  .conn = 2,
                                  .addr = 2,
                                  .peer = 1,
                                  .configured = true});
    EXPECT(EV(.kind = REP_EV_HELLO, .conn = 2, .run = 9, .slot = 7,
              .slots = {1U << 1}, EXACT(1)),
           "hello 2; 'accept'; link 2; catch up 2; undial peer1");
    ck_assert(tells_slot(1) && tells_slot(7));
}
END_TEST

START_TEST(clock_far_ahead_is_refused)
{
    begin(5, 0);
    (void)step((struct rep_event){.kind = REP_EV_START});
    EXPECT(ACCEPTED(1, ), "");
    EXPECT(EV(.kind = REP_EV_HELLO, .conn = 1, .run = 9, .skew = SKEW_BIG),
           "close 1 clock");
}
END_TEST

START_TEST(stop_drains_then_ends)
{
    begin_linked_listener(5, 9);
    EXPECT(ACCEPTED(2, ), "");
    EXPECT(EV(.kind = REP_EV_STOP), "drain 1; close 2");
    EXPECT(ACCEPTED(3, ), "close 3");
    EXPECT(ON(DRAINED, 1, ), "close 1; end");
}
END_TEST

START_TEST(stop_is_bounded)
{
    begin_linked_listener(5, 9);
    EXPECT(EV(.kind = REP_EV_STOP), "drain 1");
    ck_assert_str_eq(pass(REP_CORE_DRAIN_MS), "beat 1; close 1; end");
    begin(5, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(EV(.kind = REP_EV_STOP), "undial; end");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("core");
    TCase *script = tcase_create("scripts");

    tcase_add_checked_fixture(script, NULL, finish);
    tcase_add_test(script, listener_serves_at_once);
    tcase_add_test(script, dialler_serves_when_the_copy_is_there);
    tcase_add_test(script, refused_dialler_serves_at_once_and_dials_on);
    tcase_add_test(script, unknown_name_counts_as_absent);
    tcase_add_test(script, silent_peer_is_waited_for_twice_the_timeout);
    tcase_add_test(script, peer_that_closes_each_link_is_waited_for_no_longer);
    tcase_add_test(script, silent_acceptor_is_closed_and_dialled_again);
    tcase_add_test(script, lost_link_is_dialled_again_at_once);
    tcase_add_test(script, link_lost_while_copying_keeps_the_port_closed);
    tcase_add_test(script, peer_gone_while_copying_opens_the_port);
    tcase_add_test(script, lower_run_id_keeps_what_it_dialled);
    tcase_add_test(script, higher_run_id_keeps_what_the_other_dialled);
    tcase_add_test(script, completed_hello_cancels_a_dial_under_way);
    tcase_add_test(script, same_dialler_keeps_the_newer);
    tcase_add_test(script, own_run_id_is_recognised);
    tcase_add_test(script, second_peer_is_turned_away_by_a_living_one);
    tcase_add_test(script, second_peer_takes_the_place_of_a_dead_one);
    tcase_add_test(script, configured_peer_displaces_another);
    tcase_add_test(script, silent_link_is_cut_after_the_timeout);
    tcase_add_test(script, woken_process_reads_before_it_judges);
    tcase_add_test(script, early_timer_is_set_again);
    tcase_add_test(script, stranger_is_cut_off);
    tcase_add_test(script, strangers_never_fill_the_places);
    tcase_add_test(script, trusted_silence_is_legacy);
    tcase_add_test(script, one_who_said_hello_is_never_legacy);
    tcase_add_test(script, silent_link_gives_way_to_a_hello);
    tcase_add_test(script, legacy_peer_that_spoke_keeps_its_place);
    tcase_add_test(script, hello_on_a_legacy_link_closes_it);
    tcase_add_test(script, dialled_legacy_peer_copies_first);
    tcase_add_test(script, overrun_is_scanned);
    tcase_add_test(script, overrun_delays_the_announcement);
    tcase_add_test(script, greater_run_leaves_a_common_slot);
    tcase_add_test(script, who_moves_parts_from_the_others);
    tcase_add_test(script, who_is_alone_leaves_a_slot_in_use_elsewhere);
    tcase_add_test(script, no_slot_is_free_elsewhere);
    tcase_add_test(script, who_is_linked_stays_in_its_slot_until_they_meet);
    tcase_add_test(script, clock_far_ahead_is_refused);
    tcase_add_test(script, stop_drains_then_ends);
    tcase_add_test(script, stop_is_bounded);
    suite_add_tcase(s, script);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(suite());
    int failed;

    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
