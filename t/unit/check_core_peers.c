/* The decisions of replication with several peers, as scripts of events with
 * the actions they bring: whose place is whose, who is refused in which words,
 * and what one of ours may look like when its hello is late. */
#include "t/unit/core_script.h"

/* Two peers, linked on connections 1 and 2 that we dialled, copies done. */
static void begin_mesh(uint64_t run)
{
    begin(run, 2);
    EXPECT(EV(.kind = REP_EV_START), "dial loud; dial peer1 loud");
    EXPECT(CONNECTED(1, .peer = 0), "hello 1");
    EXPECT(CONNECTED(2, .peer = 1), "hello 2");
    EXPECT(HELLO(1, 10, ), "'copying'; link 1; catch up 1");
    EXPECT(HELLO(2, 20, ), "'copying'; link 2; catch up 2");
    EXPECT(ON(SCAN_DONE, 1, ), "announce 1");
    EXPECT(ON(SCAN_DONE, 2, ), "announce 2");
    EXPECT(ON(COPY_RECEIVED, 1, ), "'start'");
    EXPECT(ON(COPY_RECEIVED, 2, ), "'start'; serve");
    ck_assert_int_eq(rep_core_status(core), REP_LINKED);
}

/* One peer, linked on connection 1 that it dialled. */
static void begin_pair(uint64_t run, uint64_t peer_run)
{
    begin(run, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(ACCEPTED(1, EXACT(0)), "");
    EXPECT(HELLO(1, peer_run, EXACT(0)),
           "hello 1; 'accept'; link 1; catch up 1; undial");
    EXPECT(ON(SCAN_DONE, 1, ), "announce 1");
    EXPECT(ON(COPY_RECEIVED, 1, ), "serve");
}

/* ---- several ---------------------------------------------------------- */

START_TEST(serves_when_every_answering_peer_has_copied)
{
    begin_mesh(5);
    ck_assert_uint_eq(rep_core_peer_conn(core, 0), 1);
    ck_assert_uint_eq(rep_core_peer_conn(core, 1), 2);
    EXPECT(ON(CLOSED, 2, ), "'close'; listening");
    ck_assert_int_eq(rep_core_status(core), REP_DIALING);
    ck_assert_int_eq(rep_core_peer_status(core, 0), REP_LINKED);
    ck_assert_int_eq(rep_core_peer_status(core, 1), REP_DIALING);
    ck_assert_int_eq(rep_core_conn_status(core, 1), REP_LINKED);
    ck_assert_int_eq(rep_core_conn_status(core, 2), REP_LISTENING);
}
END_TEST

START_TEST(peer_that_is_not_there_is_not_waited_for)
{
    begin(5, 2);
    EXPECT(EV(.kind = REP_EV_START), "dial loud; dial peer1 loud");
    EXPECT(EV(.kind = REP_EV_DIAL_FAILED, .peer = 1, .cause = REP_REFUSED),
           "listening");
    EXPECT(CONNECTED(1, ), "hello 1");
    EXPECT(HELLO(1, 10, ), "'copying'; link 1; catch up 1");
    ck_assert_int_eq(rep_core_status(core), REP_DIALING);
    EXPECT(ON(COPY_RECEIVED, 1, ), "'start'; serve");
}
END_TEST

START_TEST(silent_peer_is_waited_for_though_another_has_copied)
{
    const char *seen;

    begin(5, 2);
    EXPECT(EV(.kind = REP_EV_START), "dial loud; dial peer1 loud");
    EXPECT(CONNECTED(1, ), "hello 1");
    EXPECT(HELLO(1, 10, ), "'copying'; link 1; catch up 1");
    EXPECT(ON(COPY_RECEIVED, 1, ), "'start'");
    EXPECT(EV(.kind = REP_EV_DIAL_FAILED, .peer = 1, .cause = REP_SILENT), "");
    for (int i = 0; i < 19; i++) {
        seen = pass(TIMEOUT / 10);
        ck_assert_ptr_null(strstr(seen, "serve"));
        EXPECT(ON(HEARD, 1, ), "");
    }
    ck_assert_ptr_nonnull(strstr(pass(TIMEOUT / 10), "serve"));
}
END_TEST

START_TEST(other_run_of_a_peer_asks_for_its_place_alone)
{
    begin_mesh(5);
    EXPECT(ACCEPTED(3, EXACT(0)), "");
    EXPECT(HELLO(3, 11, EXACT(0)), "beat 1");
    EXPECT(ON(HEARD, 2, ), "");
    EXPECT(ON(HEARD, 1, ), "'already'; close 3 busy");
    EXPECT(ACCEPTED(4, EXACT(0)), "");
    EXPECT(HELLO(4, 12, EXACT(0)), "beat 1");
    ck_assert_str_eq(pass(1000), "'close'; listening; hello 4; 'accept'; "
                                 "link 4; catch up 4; close 1");
    ck_assert_uint_eq(rep_core_peer_conn(core, 0), 4);
    ck_assert_uint_eq(rep_core_peer_conn(core, 1), 2);
}
END_TEST

START_TEST(run_that_goes_on_from_another_ends_its_link)
{
    begin_mesh(5);
    EXPECT(ACCEPTED(3, EXACT(0)), "");
    EXPECT(HELLO(3, 11, .was = 10, EXACT(0)),
           "'close'; listening; close 1; hello 3; 'accept'; link 3; "
           "catch up 3");
    ck_assert_uint_eq(rep_core_peer_conn(core, 0), 3);
    /* From elsewhere anybody could say so. */
    EXPECT(EV(.kind = REP_EV_ACCEPTED, .conn = 4, .addr = 78, EXACT(0)), "");
    EXPECT(HELLO(4, 12, .was = 11, EXACT(0)), "beat 3");
    /* Nor does it end any other. */
    EXPECT(ACCEPTED(5, EXACT(1)), "");
    EXPECT(HELLO(5, 21, .was = 19, EXACT(1)), "beat 2");
}
END_TEST

START_TEST(two_who_wait_ask_for_two_places)
{
    begin_mesh(5);
    EXPECT(ACCEPTED(3, EXACT(0)), "");
    EXPECT(ACCEPTED(4, EXACT(1)), "");
    EXPECT(HELLO(3, 11, EXACT(0)), "beat 1");
    EXPECT(HELLO(4, 21, EXACT(1)), "beat 2");
    EXPECT(ON(HEARD, 2, ), "'already'; close 4 busy");
    ck_assert_str_eq(pass(1000), "'close'; listening; hello 3; 'accept'; "
                                 "link 3; catch up 3; close 1");
}
END_TEST

START_TEST(free_place_goes_to_whose_it_is)
{
    begin_mesh(5);
    EXPECT(ACCEPTED(3, EXACT(0)), "");
    EXPECT(ACCEPTED(4, EXACT(1)), "");
    EXPECT(HELLO(3, 11, EXACT(0)), "beat 1");
    EXPECT(HELLO(4, 21, EXACT(1)), "beat 2");
    EXPECT(ON(CLOSED, 2, ),
           "'close'; listening; hello 4; 'accept'; link 4; catch up 4");
}
END_TEST

START_TEST(broken_copy_is_waited_for_again)
{
    const char *seen;

    begin(5, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(CONNECTED(1, ), "hello 1");
    EXPECT(HELLO(1, 10, ), "'copying'; link 1; catch up 1");
    for (int i = 0; i < 30; i++) {
        (void)pass(TIMEOUT / 10);
        EXPECT(ON(HEARD, 1, ), "");
    }
    EXPECT(ON(CLOSED, 1, ), "'close'; listening");
    ck_assert_str_eq(pass(REP_CORE_DIAL_MIN_MS), "dial loud");
    EXPECT(EV(.kind = REP_EV_DIAL_FAILED, .cause = REP_SILENT), "");
    seen = pass(2 * TIMEOUT - 2 * REP_CORE_DIAL_MIN_MS);
    ck_assert_ptr_null(strstr(seen, "serve"));
    ck_assert_ptr_nonnull(strstr(pass(2 * REP_CORE_DIAL_MIN_MS), "serve"));
}
END_TEST

START_TEST(stranger_is_refused_in_words)
{
    begin_pair(5, 9);
    EXPECT(ACCEPTED(2, ), "");
    EXPECT(HELLO(2, 30, ), "'already'; close 2 stranger");
    begin_mesh(5);
    EXPECT(ACCEPTED(3, ), "");
    EXPECT(HELLO(3, 30, ), "'already'; close 3 stranger");
}
END_TEST

/* Who is not taken moves nobody from a slot, and cuts no link by that. */
START_TEST(stranger_of_our_slot_is_refused_all_the_same)
{
    begin_pair(5, 9);
    EXPECT(ACCEPTED(2, ), "");
    EXPECT(EV(.kind = REP_EV_HELLO, .conn = 2, .run = 3, .slot = 1),
           "'already'; close 2 stranger");
}
END_TEST

START_TEST(stranger_has_a_place_while_a_peer_is_away)
{
    begin_mesh(5);
    EXPECT(ON(CLOSED, 2, ), "'close'; listening");
    EXPECT(ACCEPTED(3, ), "");
    EXPECT(HELLO(3, 30, ), "hello 3; 'accept'; link 3; catch up 3");
    ck_assert_int_eq(rep_core_status(core), REP_DIALING);
    EXPECT(ACCEPTED(4, EXACT(1)), "");
    EXPECT(HELLO(4, 21, EXACT(1)),
           "'close'; listening; close 3; hello 4; 'accept'; link 4; "
           "catch up 4");
}
END_TEST

START_TEST(many_who_wait_are_bounded)
{
    begin(5, 0);
    EXPECT(EV(.kind = REP_EV_START), "listening; serve");
    EXPECT(ACCEPTED(1, ), "");
    EXPECT(HELLO(1, 9, ), "hello 1; 'accept'; link 1; catch up 1");
    for (uint32_t i = 10; i < 18; i++) {
        EXPECT(ACCEPTED(i, ), "");
        EXPECT(HELLO(i, i, ), "beat 1");
    }
    EXPECT(ACCEPTED(18, ), "");
    EXPECT(HELLO(18, 18, ), "'already'; close 18 busy");
}
END_TEST

/* ---- who is who ------------------------------------------------------- */

START_TEST(peer_by_its_port_displaces_one_by_its_address)
{
    begin(5, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(ACCEPTED(1, NEAR(0)), "");
    EXPECT(HELLO(1, 30, NEAR(0)),
           "hello 1; 'accept'; link 1; catch up 1; undial");
    EXPECT(ACCEPTED(2, NEAR(0)), "");
    EXPECT(HELLO(2, 9, EXACT(0)),
           "'close'; listening; close 1; hello 2; 'accept'; link 2; "
           "catch up 2");
    EXPECT(ACCEPTED(3, NEAR(0)), "");
    EXPECT(HELLO(3, 30, NEAR(0)), "beat 2");
    EXPECT(ON(HEARD, 2, ), "'already'; close 3 busy");
}
END_TEST

/* Peers behind one address, whose hellos name no port: the dial tells. */
START_TEST(dial_tells_which_of_several_it_is)
{
    begin(5, 2);
    EXPECT(EV(.kind = REP_EV_START), "dial loud; dial peer1 loud");
    EXPECT(ACCEPTED(3, ONE_OF), "");
    EXPECT(HELLO(3, 20, ONE_OF), "hello 3; 'accept'; link 3; catch up 3");
    EXPECT(ON(SCAN_DONE, 3, ), "announce 3");
    EXPECT(ON(COPY_RECEIVED, 3, ), "");
    ck_assert_uint_eq(rep_core_peer_conn(core, 1), 0);
    EXPECT(CONNECTED(1, .peer = 0), "hello 1");
    EXPECT(HELLO(1, 10, ), "'copying'; link 1; catch up 1");
    EXPECT(CONNECTED(2, .peer = 1), "hello 2");
    /* 5 < 20: what we dialled stays. */
    EXPECT(HELLO(2, 20, ), "close 3; 'copying'; link 2; catch up 2");
    ck_assert_uint_eq(rep_core_peer_conn(core, 1), 2);
}
END_TEST

START_TEST(dial_names_the_link_that_stays)
{
    begin(50, 2);
    EXPECT(EV(.kind = REP_EV_START), "dial loud; dial peer1 loud");
    EXPECT(ACCEPTED(3, ONE_OF), "");
    EXPECT(HELLO(3, 20, ONE_OF), "hello 3; 'accept'; link 3; catch up 3");
    EXPECT(ON(COPY_RECEIVED, 3, ), "");
    EXPECT(CONNECTED(2, .peer = 1), "hello 2");
    EXPECT(HELLO(2, 20, ), "close 2");
    ck_assert_uint_eq(rep_core_peer_conn(core, 1), 3);
    EXPECT(EV(.kind = REP_EV_DIAL_FAILED, .cause = REP_REFUSED), "serve");
}
END_TEST

/* It came from an address that nobody named, and the dial met the same run. */
START_TEST(peer_known_by_a_dial_is_no_stranger)
{
    begin(50, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(ACCEPTED(1, ), "");
    EXPECT(HELLO(1, 20, ), "hello 1; 'accept'; link 1; catch up 1");
    EXPECT(CONNECTED(2, ), "hello 2");
    EXPECT(HELLO(2, 20, ), "close 2");
    EXPECT(ACCEPTED(3, ), "");
    EXPECT(HELLO(3, 30, ), "'already'; close 3 stranger");
    /* Its next connection is its own, too, and the newer. */
    EXPECT(ACCEPTED(4, ), "");
    EXPECT(HELLO(4, 20, ), "close 1; hello 4; 'accept'; link 4; catch up 4");
    EXPECT(ACCEPTED(5, ), "");
    EXPECT(HELLO(5, 30, ), "'already'; close 5 stranger");
    EXPECT(ON(CLOSED, 4, ), "'close'; listening");
    /* A stranger that was quicker gives way to that run, whence it comes. */
    EXPECT(ACCEPTED(6, ), "");
    EXPECT(HELLO(6, 30, ), "hello 6; 'accept'; link 6; catch up 6");
    EXPECT(ACCEPTED(7, ), "");
    EXPECT(HELLO(7, 20, ),
           "'close'; listening; close 6; hello 7; 'accept'; link 7; "
           "catch up 7");
}
END_TEST

START_TEST(same_run_that_comes_again_is_still_the_peer)
{
    begin_pair(5, 9);
    EXPECT(ACCEPTED(2, ), "");
    EXPECT(HELLO(2, 9, ), "close 1; hello 2; 'accept'; link 2; catch up 2");
    EXPECT(ACCEPTED(3, ), "");
    EXPECT(HELLO(3, 30, ), "'already'; close 3 stranger");
}
END_TEST

START_TEST(two_names_of_one_node_have_one_link)
{
    begin(5, 2);
    EXPECT(EV(.kind = REP_EV_START), "dial loud; dial peer1 loud");
    EXPECT(CONNECTED(1, .peer = 0), "hello 1");
    EXPECT(HELLO(1, 10, ), "'copying'; link 1; catch up 1");
    EXPECT(CONNECTED(2, .peer = 1), "hello 2");
    EXPECT(HELLO(2, 10, ), "close 1; 'copying'; link 2; catch up 2");
    EXPECT(ON(SCAN_DONE, 2, ), "announce 2");
    EXPECT(ON(COPY_RECEIVED, 2, ), "'start'; serve");
    ck_assert_int_eq(rep_core_status(core), REP_LINKED);
    for (int i = 0; i < 20; i++) {
        ck_assert_ptr_null(strstr(pass(TIMEOUT / 10), "dial"));
        EXPECT(ON(HEARD, 2, ), "");
    }
    EXPECT(ON(CLOSED, 2, ), "'close'; listening");
    ck_assert_ptr_nonnull(strstr(pass(100), "dial"));
}
END_TEST

/* One command line for all nodes names each node to itself, too. */
START_TEST(own_name_among_the_peers_is_nobody)
{
    begin(5, 2);
    EXPECT(EV(.kind = REP_EV_START), "dial loud; dial peer1 loud");
    EXPECT(CONNECTED(1, .peer = 0), "hello 1");
    EXPECT(ON(CLOSED, 1, .refusal = REP_REFUSAL_SELF), "listening");
    ck_assert(rep_core_peer_is_self(core, 0));
    EXPECT(CONNECTED(2, .peer = 1), "hello 2");
    EXPECT(HELLO(2, 10, ), "'copying'; link 2; catch up 2");
    EXPECT(ON(SCAN_DONE, 2, ), "announce 2");
    EXPECT(ON(COPY_RECEIVED, 2, ), "'start'; serve");
    ck_assert_int_eq(rep_core_status(core), REP_LINKED);
    EXPECT(ACCEPTED(3, ), "");
    EXPECT(HELLO(3, 30, ), "'already'; close 3 stranger");
}
END_TEST

/* ---- options ---------------------------------------------------------- */

START_TEST(early_server_serves_at_once)
{
    begin_with(
        (struct rep_core_config){.run = 5, .peers = 1, .serve_early = true});
    EXPECT(EV(.kind = REP_EV_START), "serve; dial loud");
    EXPECT(CONNECTED(1, ), "hello 1");
    EXPECT(HELLO(1, 9, ), "'copying'; link 1; catch up 1");
    EXPECT(ON(COPY_RECEIVED, 1, ), "'start'");
}
END_TEST

START_TEST(no_legacy_believes_neither_silence_nor_commands)
{
    begin_with(
        (struct rep_core_config){.run = 5, .peers = 1, .no_legacy = true});
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(ACCEPTED(1, .trusted = true), "");
    EXPECT(ON(LEGACY, 1, ), "close 1");
    EXPECT(ACCEPTED(2, .trusted = true), "");
    ck_assert_str_eq(pass(REP_CORE_UNPROVEN_MS), "close 2");
    EXPECT(CONNECTED(3, ), "hello 3");
    EXPECT(ON(LEGACY, 3, ), "close 3; listening");
}
END_TEST

/* ---- a hello that is late --------------------------------------------- */

/* One of ours dialled, and its hello took more than a second: it looks like a
 * silent repcached 2.x. What it is sent begins with our hello, so that it never
 * takes the legacy copy for one of its own dialect, and stores nothing of it
 * as writes of its own. */
START_TEST(silence_is_answered_with_hello_first)
{
    begin(5, 0);
    EXPECT(EV(.kind = REP_EV_START), "listening; serve");
    EXPECT(ACCEPTED(1, .trusted = true), "");
    ck_assert_str_eq(pass(REP_CORE_SILENT_MS),
                     "hello 1; 'accept'; link 1 legacy; scan 1 from 0");
    EXPECT(HELLO(1, 9, ), "'close'; listening; close 1");
    /* The next time its silence is waited out. */
    EXPECT(ACCEPTED(2, .trusted = true), "");
    ck_assert_str_eq(pass(REP_CORE_SILENT_MS), "");
    EXPECT(HELLO(2, 9, ), "hello 2; 'accept'; link 2; catch up 2");
}
END_TEST

/* The same from the other side: a hello came first, whatever follows it. */
START_TEST(late_one_links_by_the_hello_and_dials_again)
{
    begin(9, 1);
    EXPECT(EV(.kind = REP_EV_START), "dial loud");
    EXPECT(CONNECTED(1, ), "hello 1");
    EXPECT(HELLO(1, 5, ), "'copying'; link 1; catch up 1");
    EXPECT(ON(CLOSED, 1, ), "'close'; listening"); /* legacy lines: wrong */
    ck_assert_str_eq(pass(REP_CORE_DIAL_MIN_MS), "dial loud");
    EXPECT(CONNECTED(2, ), "hello 2");
    EXPECT(HELLO(2, 5, ), "'copying'; link 2; catch up 2");
    EXPECT(ON(COPY_RECEIVED, 2, ), "'start'; serve");
}
END_TEST

/* One who says at once that it is 2.x is not told more than it understands. */
START_TEST(legacy_command_is_not_answered_with_hello)
{
    begin(5, 0);
    EXPECT(EV(.kind = REP_EV_START), "listening; serve");
    EXPECT(ACCEPTED(1, .trusted = true), "");
    EXPECT(ON(LEGACY, 1, ), "'accept'; link 1 legacy; scan 1 from 0");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("core_peers");
    TCase *script = tcase_create("scripts");

    tcase_add_checked_fixture(script, NULL, finish);
    tcase_add_test(script, serves_when_every_answering_peer_has_copied);
    tcase_add_test(script, peer_that_is_not_there_is_not_waited_for);
    tcase_add_test(script, silent_peer_is_waited_for_though_another_has_copied);
    tcase_add_test(script, other_run_of_a_peer_asks_for_its_place_alone);
    tcase_add_test(script, two_who_wait_ask_for_two_places);
    tcase_add_test(script, run_that_goes_on_from_another_ends_its_link);
    tcase_add_test(script, free_place_goes_to_whose_it_is);
    tcase_add_test(script, broken_copy_is_waited_for_again);
    tcase_add_test(script, stranger_is_refused_in_words);
    tcase_add_test(script, stranger_of_our_slot_is_refused_all_the_same);
    tcase_add_test(script, stranger_has_a_place_while_a_peer_is_away);
    tcase_add_test(script, many_who_wait_are_bounded);
    tcase_add_test(script, peer_by_its_port_displaces_one_by_its_address);
    tcase_add_test(script, dial_tells_which_of_several_it_is);
    tcase_add_test(script, dial_names_the_link_that_stays);
    tcase_add_test(script, peer_known_by_a_dial_is_no_stranger);
    tcase_add_test(script, same_run_that_comes_again_is_still_the_peer);
    tcase_add_test(script, two_names_of_one_node_have_one_link);
    tcase_add_test(script, own_name_among_the_peers_is_nobody);
    tcase_add_test(script, early_server_serves_at_once);
    tcase_add_test(script, no_legacy_believes_neither_silence_nor_commands);
    tcase_add_test(script, silence_is_answered_with_hello_first);
    tcase_add_test(script, late_one_links_by_the_hello_and_dials_again);
    tcase_add_test(script, legacy_command_is_not_answered_with_hello);
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
