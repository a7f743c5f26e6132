/* Unit tests of slabs. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "items.h"
#include "slabs.h"

static const struct slabs_config defaults = {
    .limit = 64 * MIB, .chunk_min = 48, .chunk_max = 512 * KIB, .factor = 1.25};

static void start(const struct slabs_config *config)
{
    ck_assert(slabs_init(config));
}

START_TEST(default_table_has_61_classes_up_to_chunk_max)
{
    start(&defaults);
    ck_assert_uint_eq(slabs_last_class(), 61);
    ck_assert_uint_eq(slabs_chunk_size(1), 80);
    ck_assert_uint_eq(slabs_chunk_size(61), 512 * KIB);
    for (unsigned i = 2; i <= 61; i++) {
        ck_assert_uint_gt(slabs_chunk_size(i), slabs_chunk_size(i - 1));
        ck_assert_uint_eq(slabs_chunk_size(i) % 8, 0);
    }
    ck_assert_uint_eq(slabs_chunk_size(0), 0);
    ck_assert_uint_eq(slabs_chunk_size(62), 0);
    slabs_fini();
}
END_TEST

START_TEST(every_size_gets_the_least_class_that_holds_it)
{
    start(&defaults);
    for (size_t size = 1; size <= 512 * KIB; size += size < 5000 ? 1 : 97) {
        unsigned c = slabs_class(size);

        ck_assert_uint_ge(slabs_chunk_size(c), size);
        ck_assert(c == 1 || slabs_chunk_size(c - 1) < size);
    }
    ck_assert_uint_eq(slabs_class(512 * KIB), 61);
    ck_assert_uint_eq(slabs_class(512 * KIB + 1), 0);
    slabs_fini();
}
END_TEST

START_TEST(tables_of_odd_options_still_rise)
{
    static const struct slabs_config odd[] = {
        {64 * MIB, 1, 512 * KIB, 1.0001, false},
        {64 * MIB, 1, MIB, 100, false},
        {64 * MIB, 4096, 16 * KIB, 1.25, false},
        {64 * MIB, 600000, 512 * KIB, 1.25, false},
    };

    for (size_t k = 0; k < sizeof(odd) / sizeof(odd[0]); k++) {
        start(&odd[k]);
        ck_assert_uint_le(slabs_last_class(), SLABS_CLASS_MAX);
        for (unsigned i = 2; i <= slabs_last_class(); i++) {
            ck_assert_uint_gt(slabs_chunk_size(i), slabs_chunk_size(i - 1));
        }
        ck_assert_uint_eq(slabs_chunk_size(slabs_last_class()),
                          odd[k].chunk_max);
        slabs_fini();
    }
}
END_TEST

START_TEST(chunks_do_not_overlap_and_none_is_ref_zero)
{
    size_t n = 0, size;
    char *p, *first = NULL;

    start(&defaults);
    size = slabs_chunk_size(5);
    while (n < 2 * SLABS_PAGE / size) {
        p = slabs_alloc(5);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_ne(slabs_ref(p), 0);
        ck_assert_ptr_eq(slabs_ptr(slabs_ref(p)), p);
        memset(p, (int)(n % 251), size);
        first = first == NULL ? p : first;
        n++;
    }
    ck_assert_ptr_nonnull(first);
    for (size_t i = 0; i < SLABS_PAGE / size; i++) {
        ck_assert_int_eq(first[i * size], (char)(i % 251));
        ck_assert_int_eq(first[i * size + size - 1], (char)(i % 251));
    }
    slabs_fini();
}
END_TEST

START_TEST(limit_holds_except_for_a_first_page)
{
    struct slabs_config config = defaults;
    size_t got = 0;

    config.limit = 2 * MIB;
    start(&config);
    while (slabs_alloc(61) != NULL) {
        got++;
    }
    ck_assert_uint_eq(got, 4); /* two pages of two chunks */
    ck_assert_ptr_nonnull(slabs_alloc(1));
    ck_assert_uint_eq(slabs_malloced(), 3 * MIB);
    slabs_fini();
}
END_TEST

START_TEST(freed_chunks_are_given_again)
{
    struct slabs_stats st;
    void *a, *b;

    start(&defaults);
    a = slabs_alloc(3);
    b = slabs_alloc(3);
    slabs_free(a, 3);
    slabs_free(b, 3);
    slabs_stats(3, &st);
    ck_assert_uint_eq(st.used, 0);
    ck_assert_uint_eq(st.pages, 1);
    ck_assert_uint_eq(st.free, st.chunks_per_page);
    ck_assert_ptr_eq(slabs_alloc(3), b);
    ck_assert_ptr_eq(slabs_alloc(3), a);
    slabs_fini();
}
END_TEST

START_TEST(a_raised_limit_gives_more_pages)
{
    struct slabs_config config = defaults;

    config.limit = MIB;
    start(&config);
    while (slabs_alloc(61) != NULL) {
    }
    ck_assert(slabs_set_limit(3 * MIB));
    ck_assert_uint_eq(slabs_limit(), 3 * MIB);
    ck_assert_ptr_nonnull(slabs_alloc(61));
    slabs_fini();
}
END_TEST

START_TEST(preallocation_gives_each_class_a_page_or_refuses)
{
    struct slabs_config config = defaults;
    struct slabs_stats st;

    config.preallocate = true;
    start(&config);
    for (unsigned i = 1; i <= slabs_last_class(); i++) {
        slabs_stats(i, &st);
        ck_assert_uint_eq(st.pages, 1);
    }
    ck_assert_uint_eq(slabs_pool_pages(), 64 - 61);
    ck_assert(!slabs_set_limit(128 * MIB));
    slabs_fini();
    config.limit = 32 * MIB;
    ck_assert(!slabs_init(&config));
    slabs_fini();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("slabs");
    TCase *t = tcase_create("slabs");
    SRunner *r = srunner_create(s);
    int failed;

    suite_add_tcase(s, t);
    tcase_add_test(t, default_table_has_61_classes_up_to_chunk_max);
    tcase_add_test(t, every_size_gets_the_least_class_that_holds_it);
    tcase_add_test(t, tables_of_odd_options_still_rise);
    tcase_add_test(t, chunks_do_not_overlap_and_none_is_ref_zero);
    tcase_add_test(t, limit_holds_except_for_a_first_page);
    tcase_add_test(t, freed_chunks_are_given_again);
    tcase_add_test(t, a_raised_limit_gives_more_pages);
    tcase_add_test(t, preallocation_gives_each_class_a_page_or_refuses);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
