/* Unit tests of base/hash. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { KEYS = 4096, STRIPES = 64 };

/* Published values of XXH3 (64 bits, seed 0): nodes of any build must agree. */
START_TEST(agreed_hash_is_xxh3_without_seed)
{
    ck_assert_uint_eq(hash_key_agreed("", 0), 0x2d06800538d394c2ULL);
    ck_assert_uint_eq(hash_key_agreed("a", 1), 0xe6c632b61e964e1fULL);
    ck_assert_uint_eq(hash_key_agreed("abc", 3), 0x78af5f94892f3950ULL);
}
END_TEST

START_TEST(agreed_hash_ignores_the_seed)
{
    uint64_t before = hash_key_agreed("key", 3);

    hash_init();
    ck_assert_uint_eq(hash_key_agreed("key", 3), before);
}
END_TEST

START_TEST(same_key_hashes_the_same_until_the_seed_changes)
{
    uint64_t first;

    hash_init();
    first = hash_key("key", 3);
    ck_assert_uint_eq(hash_key("key", 3), first);
    hash_init();
    ck_assert_uint_ne(hash_key("key", 3), first);
}
END_TEST

START_TEST(length_and_every_byte_count)
{
    char key[250];
    uint64_t whole;

    memset(key, 'k', sizeof(key));
    hash_init();
    whole = hash_key(key, sizeof(key));
    ck_assert_uint_ne(hash_key(key, sizeof(key) - 1), whole);
    for (size_t i = 0; i < sizeof(key); i++) {
        key[i] = 'x';
        ck_assert_uint_ne(hash_key(key, sizeof(key)), whole);
        key[i] = 'k';
    }
    ck_assert_uint_eq(hash_key(key, sizeof(key)), whole);
}
END_TEST

START_TEST(top_bits_spread_evenly)
{
    unsigned counts[STRIPES] = {0};
    char key[32];

    hash_init();
    for (int i = 0; i < KEYS; i++) {
        int n = snprintf(key, sizeof(key), "key%d", i);

        counts[hash_key(key, (size_t)n) / (UINT64_MAX / STRIPES + 1)]++;
    }
    for (int i = 0; i < STRIPES; i++) {
        /* 64 expected, deviation 8: six deviations are chance no more. */
        ck_assert_uint_ge(counts[i], 16);
        ck_assert_uint_le(counts[i], 112);
    }
}
END_TEST

START_TEST(random_does_not_repeat)
{
    uint64_t a = hash_random();

    ck_assert_uint_ne(hash_random(), a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hash");
    TCase *tc = tcase_create("hash");
    SRunner *sr;
    int failed;

    tcase_add_test(tc, agreed_hash_is_xxh3_without_seed);
    tcase_add_test(tc, agreed_hash_ignores_the_seed);
    tcase_add_test(tc, same_key_hashes_the_same_until_the_seed_changes);
    tcase_add_test(tc, length_and_every_byte_count);
    tcase_add_test(tc, top_bits_spread_evenly);
    tcase_add_test(tc, random_does_not_repeat);
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
