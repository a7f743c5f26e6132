/* Unit tests of watch. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "counters.h"
#include "watch.h"

enum { ROOM = 4096 };

#define NOW 1700000000U

static unsigned woken; /* times; of any watcher */

static void wake(void *ctx)
{
    (void)ctx;
    woken++;
}

static struct watcher *add(unsigned streams, size_t bytes)
{
    struct watcher *w = NULL;

    ck_assert_int_eq(watch_add(streams, bytes, wake, NULL, &w), WATCH_OK);
    return w;
}

/* All that a watcher has to read, as a string. */
static const char *text_of(struct watcher *w)
{
    static char text[8 * ROOM];
    size_t len = 0, n;

    while ((n = watch_read(w, text + len, 7)) > 0) {
        len += n;
        ck_assert_uint_lt(len, sizeof(text) - 7);
    }
    text[len] = '\0';
    return text;
}

/* The same without ts= and gid= at the start of its one line. */
static const char *body_of(struct watcher *w)
{
    const char *p = text_of(w);

    ck_assert_ptr_nonnull(strstr(p, " type="));
    return strstr(p, " type=") + 1;
}

static const struct watch_item item = {"a key", 5, 3, 100, 27};

static void set_up(void)
{
    clock_freeze(NOW * 1000ULL + 45);
    ck_assert(watch_init());
    woken = 0;
}

START_TEST(nothing_is_wanted_until_somebody_watches)
{
    struct watcher *w;

    ck_assert(!watch_wanted(WATCH_FETCHERS));
    w = add(WATCH_FETCHERS, ROOM);
    ck_assert_uint_eq(watch_count(), 1);
    ck_assert(watch_wanted(WATCH_FETCHERS));
    ck_assert(!watch_wanted(WATCH_MUTATIONS));
    watch_remove(w);
    ck_assert(!watch_wanted(WATCH_FETCHERS));
    ck_assert_uint_eq(watch_count(), 0);
}
END_TEST

START_TEST(lines_are_worded_as_stock_words_them)
{
    struct watcher *w = add(~0U, ROOM);
    const struct watch_evicted gone = {.key = "k",
                                       .nkey = 1,
                                       .slab_class = 2,
                                       .nbytes = 9,
                                       .exptime = NOW + 60,
                                       .accessed = NOW - 5,
                                       .fetched = true};

    watch_item_get(&item, WATCH_FOUND);
    ck_assert_str_eq(body_of(w), "type=item_get key=a%20key status=found "
                                 "clsid=3 cfd=27 size=100\n");
    watch_item_get(&item, WATCH_EXPIRED);
    ck_assert_ptr_nonnull(strstr(body_of(w), " status=expired "));
    watch_item_store(&item, "stored", "set", NOW + 30);
    ck_assert_str_eq(body_of(w), "type=item_store key=a%20key status=stored "
                                 "cmd=set ttl=30 clsid=3 cfd=27 size=100\n");
    watch_item_store(&item, "stored", "set", NOW - 1);
    ck_assert_ptr_nonnull(strstr(body_of(w), " ttl=4294967295 "));
    watch_item_deleted(&item, "delete");
    ck_assert_str_eq(body_of(w), "type=deleted key=a%20key cmd=delete clsid=3 "
                                 "size=100\n");
    watch_eviction(&gone);
    ck_assert_str_eq(body_of(w), "type=eviction key=k fetch=yes ttl=60 la=5 "
                                 "clsid=2 size=9\n");
    watch_event(WATCH_SYSEVENTS, "type=slab_move src=%d", 4);
    ck_assert_str_eq(body_of(w), "type=slab_move src=4\n");
    watch_remove(w);
}
END_TEST

START_TEST(a_line_begins_with_time_and_a_rising_number)
{
    struct watcher *w = add(WATCH_SYSEVENTS, ROOM);
    const char *p;
    unsigned long long first;

    watch_event(WATCH_SYSEVENTS, "type=x");
    p = text_of(w);
    ck_assert_msg(strncmp(p, "ts=1700000000.45000 gid=", 24) == 0, "%s", p);
    first = strtoull(p + 24, NULL, 10);
    watch_event(WATCH_SYSEVENTS, "type=x");
    ck_assert_uint_gt(strtoull(text_of(w) + 24, NULL, 10), first);
    watch_remove(w);
}
END_TEST

START_TEST(each_hears_its_streams_alone)
{
    struct watcher *gets = add(WATCH_FETCHERS, ROOM);
    struct watcher *stores = add(WATCH_MUTATIONS, ROOM);

    watch_item_get(&item, WATCH_NOT_FOUND);
    ck_assert_str_eq(text_of(stores), "");
    ck_assert_ptr_nonnull(strstr(text_of(gets), "type=item_get"));
    watch_remove(gets);
    watch_item_store(&item, "stored", "set", 0);
    ck_assert_ptr_nonnull(strstr(text_of(stores), "type=item_store"));
    watch_remove(stores);
}
END_TEST

START_TEST(a_buffer_keeps_events_until_it_is_flushed)
{
    struct watcher *w = add(WATCH_FETCHERS, ROOM);

    watch_thread_begin(ROOM);
    watch_item_get(&item, WATCH_FOUND);
    watch_item_get(&item, WATCH_FOUND);
    ck_assert_str_eq(text_of(w), "");
    ck_assert_uint_eq(woken, 0);
    watch_flush();
    ck_assert_uint_eq(woken, 1);
    ck_assert_ptr_nonnull(strstr(body_of(w), "\nts="));
    watch_flush();
    ck_assert_uint_eq(woken, 1);
    watch_thread_end();
    watch_remove(w);
}
END_TEST

START_TEST(a_full_buffer_is_flushed_but_not_for_an_eviction)
{
    struct counters_sum before, after;
    struct watcher *w = add(~0U, ROOM);
    const struct watch_evicted gone = {.key = "k", .nkey = 1};

    counters_sum(&before);
    watch_thread_begin(150); /* room for one line */
    watch_item_get(&item, WATCH_FOUND);
    watch_item_get(&item, WATCH_FOUND);
    ck_assert_ptr_nonnull(strstr(text_of(w), "type=item_get"));
    watch_eviction(&gone);
    watch_flush();
    ck_assert_ptr_null(strstr(text_of(w), "type=eviction"));
    counters_sum(&after);
    ck_assert_uint_eq(after.log_worker_dropped - before.log_worker_dropped, 1);
    ck_assert_uint_eq(after.log_worker_written - before.log_worker_written, 2);
    watch_thread_end();
    watch_remove(w);
}
END_TEST

START_TEST(who_does_not_read_misses_lines_and_hears_how_many)
{
    struct counters_sum before, after;
    struct watcher *w = add(WATCH_SYSEVENTS, 300);
    unsigned long sent;
    const char *p;

    counters_sum(&before);
    for (int i = 0; i < 100; i++) {
        watch_event(WATCH_SYSEVENTS, "type=number%d", i);
    }
    counters_sum(&after);
    sent = after.log_watcher_sent - before.log_watcher_sent;
    ck_assert_uint_gt(sent, 0);
    ck_assert_uint_eq(after.log_watcher_skipped - before.log_watcher_skipped,
                      100 - sent);
    p = text_of(w);
    ck_assert_ptr_null(strstr(p, "skipped"));
    ck_assert_uint_le(strlen(p), 300);
    watch_event(WATCH_SYSEVENTS, "type=last");
    p = text_of(w);
    ck_assert_int_eq(strncmp(p, "skipped=", 8), 0);
    ck_assert_uint_eq(strtoul(p + 8, NULL, 10), 100 - sent);
    ck_assert_ptr_nonnull(strstr(p, "\nts="));
    ck_assert_ptr_nonnull(strstr(p, " type=last\n"));
    watch_event(WATCH_SYSEVENTS, "type=next");
    ck_assert_ptr_null(strstr(text_of(w), "skipped"));
    watch_remove(w);
}
END_TEST

START_TEST(a_buffer_too_small_for_any_line_drops_all)
{
    struct watcher *none = add(WATCH_SYSEVENTS, 0);
    struct watcher *all = add(WATCH_SYSEVENTS, ROOM);

    watch_thread_begin(1);
    watch_event(WATCH_SYSEVENTS, "type=x");
    watch_thread_end();
    watch_event(WATCH_SYSEVENTS, "type=y");
    ck_assert_str_eq(text_of(none), "");
    ck_assert_str_eq(body_of(all), "type=y\n");
    watch_remove(none);
    watch_remove(all);
}
END_TEST

START_TEST(twenty_may_watch)
{
    struct watcher *all[WATCHERS_MAX], *more;

    for (int i = 0; i < WATCHERS_MAX; i++) {
        all[i] = add(WATCH_FETCHERS, 10);
    }
    ck_assert_int_eq(watch_add(WATCH_FETCHERS, 10, wake, NULL, &more),
                     WATCH_TOO_MANY);
    for (int i = 0; i < WATCHERS_MAX; i++) {
        watch_remove(all[i]);
    }
    ck_assert_uint_eq(watch_count(), 0);
}
END_TEST

START_TEST(the_longest_key_fits_a_line)
{
    struct watcher *w = add(WATCH_MUTATIONS, ROOM);
    struct watch_item it = item;
    char key[KEY_MAX_LENGTH];
    const char *p;

    memset(key, '\xff', sizeof(key));
    it.key = key;
    it.nkey = sizeof(key);
    watch_item_store(&it, "not_stored", "prepend", NOW - 1);
    p = body_of(w);
    ck_assert_ptr_nonnull(strstr(p, "%FF status=not_stored cmd=prepend "));
    ck_assert_str_eq(p + strlen(p) - 10, " size=100\n");
    watch_remove(w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("watch");
    TCase *tc = tcase_create("watch");
    SRunner *sr;
    int failed;

    tcase_add_checked_fixture(tc, set_up, NULL);
    tcase_add_test(tc, nothing_is_wanted_until_somebody_watches);
    tcase_add_test(tc, lines_are_worded_as_stock_words_them);
    tcase_add_test(tc, a_line_begins_with_time_and_a_rising_number);
    tcase_add_test(tc, each_hears_its_streams_alone);
    tcase_add_test(tc, a_buffer_keeps_events_until_it_is_flushed);
    tcase_add_test(tc, a_full_buffer_is_flushed_but_not_for_an_eviction);
    tcase_add_test(tc, who_does_not_read_misses_lines_and_hears_how_many);
    tcase_add_test(tc, a_buffer_too_small_for_any_line_drops_all);
    tcase_add_test(tc, twenty_may_watch);
    tcase_add_test(tc, the_longest_key_fits_a_line);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
