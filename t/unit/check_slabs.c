/* Unit tests of slabs. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

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
        if (slabs_chunk_size(i) > 4 * KIB) { /* they fill their page */
            ck_assert_uint_lt(MIB % slabs_chunk_size(i),
                              8 * (MIB / slabs_chunk_size(i)));
        }
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

START_TEST(classes_may_be_written_down)
{
    static const uint32_t sizes[] = {8, 100, 200, 304, 524287};
    struct slabs_config config = defaults;

    config.sizes = sizes;
    config.sizes_n = 5;
    start(&config);
    /* The first holds no item; the last comes to the largest chunk. */
    ck_assert_uint_eq(slabs_last_class(), 4);
    ck_assert_uint_eq(slabs_chunk_size(1), 104);
    ck_assert_uint_eq(slabs_chunk_size(2), 200);
    ck_assert_uint_eq(slabs_chunk_size(3), 304);
    ck_assert_uint_eq(slabs_chunk_size(4), 512 * KIB);
    ck_assert_uint_eq(slabs_class(201), 3);
    slabs_fini();
}
END_TEST

START_TEST(tables_of_odd_options_still_rise)
{
    static const struct slabs_config odd[] = {
        {.limit = 64 * MIB,
         .chunk_min = 1,
         .chunk_max = 512 * KIB,
         .factor = 1.0001},
        {.limit = 64 * MIB, .chunk_min = 1, .chunk_max = MIB, .factor = 100},
        {.limit = 64 * MIB,
         .chunk_min = 4096,
         .chunk_max = 16 * KIB,
         .factor = 1.25},
        {.limit = 64 * MIB,
         .chunk_min = 600000,
         .chunk_max = 512 * KIB,
         .factor = 1.25},
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

/* A file that nobody else sees, in a config. */
static struct slabs_config backed(void)
{
    struct slabs_config config = defaults;

    config.backed = true;
    config.fd = memfd_create("pages", MFD_CLOEXEC);
    ck_assert_int_ge(config.fd, 0);
    return config;
}

/* What slabs_adopt needs to know of the pages. */
struct kept {
    uint8_t owner[64];
    size_t pages;
    uint64_t fresh[SLABS_CLASS_MAX + 1];
};

static void keep(struct kept *k)
{
    k->pages = slabs_pages();
    for (size_t i = 0; i < k->pages; i++) {
        k->owner[i] = (uint8_t)slabs_page_class(i);
    }
    for (unsigned i = 1; i <= slabs_last_class(); i++) {
        k->fresh[i] = slabs_fresh(i);
    }
}

START_TEST(pages_in_a_file_are_found_again)
{
    struct slabs_config config = backed();
    uint64_t ref[3], huge;
    struct slabs_stats st;
    struct kept k;

    start(&config);
    for (int i = 0; i < 3; i++) {
        char *p = slabs_alloc(4);

        ref[i] = slabs_ref(p);
        memcpy(p, "here", sizeof("here"));
    }
    huge = slabs_ref(slabs_alloc(61));
    keep(&k);
    slabs_fini();

    start(&config);
    ck_assert(slabs_adopt(k.owner, k.pages, k.fresh));
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_eq(slabs_chunk_at(ref[i]), slabs_ptr(ref[i]));
        ck_assert_str_eq(slabs_chunk_at(ref[i]), "here");
    }
    slabs_stats(4, &st);
    ck_assert_uint_eq(st.pages, 1);
    ck_assert_uint_eq(st.used, 3);
    ck_assert_uint_eq(slabs_malloced(), 2 * MIB);
    ck_assert_ptr_eq(slabs_chunk_at(huge), slabs_ptr(huge));
    ck_assert_ptr_eq(slabs_alloc(4),
                     (char *)slabs_ptr(ref[2]) + slabs_chunk_size(4));
    ck_assert(!slabs_set_limit(128 * MIB));
    slabs_fini();
    (void)close(config.fd);
}
END_TEST

START_TEST(refs_that_name_no_chunk_are_told)
{
    struct slabs_config config = backed();
    uint64_t ref, last;
    struct kept k;

    start(&config);
    ref = slabs_ref(slabs_alloc(4));
    keep(&k);
    last = ref + SLABS_PAGE / 8 / slabs_chunk_size(4) * slabs_chunk_size(4);
    slabs_fini();
    start(&config);
    ck_assert(slabs_adopt(k.owner, k.pages, k.fresh));
    ck_assert_ptr_null(slabs_chunk_at(0));
    ck_assert_ptr_null(slabs_chunk_at(ref - 1));
    ck_assert_ptr_null(slabs_chunk_at(ref + 1));
    ck_assert_ptr_null(slabs_chunk_at(ref + slabs_chunk_size(4) / 8));
    ck_assert_ptr_null(slabs_chunk_at(last));
    ck_assert_ptr_null(slabs_chunk_at(ref + SLABS_PAGE / 8));
    ck_assert_ptr_null(slabs_chunk_at(UINT64_MAX));
    ck_assert_ptr_null(slabs_chunk_at(UINT64_MAX / 8));
    slabs_fini();
    (void)close(config.fd);
}
END_TEST

START_TEST(pages_that_make_no_sense_are_refused)
{
    struct slabs_config config = backed();
    struct kept good, k;

    start(&config);
    ck_assert_ptr_nonnull(slabs_alloc(4));
    ck_assert_ptr_nonnull(slabs_alloc(5));
    keep(&good);
    slabs_fini();
    for (int i = 0; i < 6; i++) {
        k = good;
        if (i == 0) {
            k.owner[0] = 0;
        } else if (i == 1) {
            k.owner[1] = 62;
        } else if (i == 2) {
            k.fresh[4] = k.fresh[5]; /* in a page of another class */
        } else if (i == 3) {
            k.fresh[4]++;
        } else if (i == 4) {
            k.fresh[4] = UINT64_MAX;
        } else {
            k.pages = SIZE_MAX;
        }
        start(&config);
        ck_assert_msg(!slabs_adopt(k.owner, k.pages, k.fresh), "%d", i);
        slabs_fini();
    }
    (void)close(config.fd);
}
END_TEST

START_TEST(a_full_disk_is_a_full_cache)
{
    struct slabs_config config = backed();
    struct rlimit before, limit;

    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 2 * MIB;
    (void)signal(SIGXFSZ, SIG_IGN);
    start(&config);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_ptr_nonnull(slabs_alloc(61));
    ck_assert_ptr_nonnull(slabs_alloc(60));
    ck_assert_ptr_null(slabs_alloc(59));
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_ptr_nonnull(slabs_alloc(59));
    slabs_fini();
    (void)close(config.fd);
}
END_TEST

START_TEST(a_file_has_to_be_as_large_as_stock_demands)
{
    struct slabs_config config = backed();

    config.limit = 39 * MIB;
    start(&config);
    slabs_fini();
    config.limit = 38 * MIB;
    ck_assert(!slabs_init(&config));
    (void)close(config.fd);
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
    tcase_add_test(t, classes_may_be_written_down);
    tcase_add_test(t, tables_of_odd_options_still_rise);
    tcase_add_test(t, chunks_do_not_overlap_and_none_is_ref_zero);
    tcase_add_test(t, limit_holds_except_for_a_first_page);
    tcase_add_test(t, freed_chunks_are_given_again);
    tcase_add_test(t, a_raised_limit_gives_more_pages);
    tcase_add_test(t, preallocation_gives_each_class_a_page_or_refuses);
    tcase_add_test(t, pages_in_a_file_are_found_again);
    tcase_add_test(t, refs_that_name_no_chunk_are_told);
    tcase_add_test(t, pages_that_make_no_sense_are_refused);
    tcase_add_test(t, a_full_disk_is_a_full_cache);
    tcase_add_test(t, a_file_has_to_be_as_large_as_stock_demands);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
