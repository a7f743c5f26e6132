/* Unit tests of rep/auth: the file of the secret, and memory. Every allocation,
 * libcrypto's too, passes by here: it may fail, and what is freed must not hold
 * a secret. */
#include <check.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rep/auth.h"

/* ---- memory ------------------------------------------------------------ */

#define HEAD 16 /* bytes before each allocation: its size */

static const uint8_t *watched; /* 16 bytes that nobody may leave behind */
static unsigned left_behind;
static long fail_in = -1; /* allocations until one fails; -1 none */
static long live;

static bool fails(void)
{
    return fail_in >= 0 && fail_in-- == 0;
}

static void *hook_malloc(size_t n, const char *file, int line)
{
    uint8_t *p;

    (void)file;
    (void)line;
    if (fails() || (p = malloc(HEAD + n)) == NULL) {
        return NULL;
    }
    memcpy(p, &n, sizeof(n));
    live++;
    return p + HEAD;
}

static void hook_free(void *v, const char *file, int line)
{
    uint8_t *p = v;
    size_t n;

    (void)file;
    (void)line;
    if (p == NULL) {
        return;
    }
    memcpy(&n, p - HEAD, sizeof(n));
    if (watched != NULL && memmem(p, n, watched, 16) != NULL) {
        left_behind++;
    }
    live--;
    free(p - HEAD);
}

static void *hook_realloc(void *v, size_t n, const char *file, int line)
{
    void *p = hook_malloc(n, file, line);
    size_t old;

    if (v != NULL && p != NULL) {
        memcpy(&old, (uint8_t *)v - HEAD, sizeof(old));
        memcpy(p, v, old < n ? old : n);
        hook_free(v, file, line);
    }
    return p;
}

/* ---- a whole life ------------------------------------------------------- */

/* What two ends say; the first dials. */
static const uint8_t nonces[2][REP_AUTH_NONCE] = {"dialler", "acceptor"};
static const char hellos[2][3] = {"d\n", "a\n"};

static enum rep_auth_status step(struct rep_auth *auth, enum rep_auth_kind kind,
                                 unsigned from, const uint8_t *proof,
                                 const uint8_t **send)
{
    struct rep_auth_event ev = {kind, nonces[from], hellos[from], 2};

    if (kind == REP_AUTH_PROVES) {
        ev.bytes = proof;
        ev.n = REP_AUTH_PROOF;
    }
    return rep_auth_step(auth, &ev, send);
}

static bool shake_hands(struct rep_auth *d, struct rep_auth *a)
{
    const uint8_t *pd, *pa, *none;

    return step(d, REP_AUTH_OURS, 0, NULL, &none) == REP_AUTH_WAIT &&
           step(a, REP_AUTH_THEIRS, 0, NULL, &none) == REP_AUTH_WAIT &&
           step(a, REP_AUTH_OURS, 1, NULL, &none) == REP_AUTH_WAIT &&
           step(d, REP_AUTH_THEIRS, 1, NULL, &pd) == REP_AUTH_WAIT &&
           step(a, REP_AUTH_PROVES, 0, pd, &pa) == REP_AUTH_PROVEN &&
           step(d, REP_AUTH_PROVES, 1, pa, &none) == REP_AUTH_PROVEN;
}

/* One batch each way. */
static bool talk(struct rep_auth *d, struct rep_auth *a)
{
    struct rep_auth_link *ld = rep_auth_link_new(d);
    struct rep_auth_link *la = rep_auth_link_new(a);
    uint8_t tag[REP_AUTH_TAG];
    bool ok = ld != NULL && la != NULL && rep_auth_seal(ld, "b", 1, tag) &&
              rep_auth_open(la, "b", 1, tag) &&
              rep_auth_seal(la, "c", 1, tag) && rep_auth_open(ld, "c", 1, tag);

    rep_auth_link_free(ld);
    rep_auth_link_free(la);
    return ok;
}

/* Whether the two secrets are the same: links two nodes that hold them. */
static bool agree(struct rep_auth_secret *one, struct rep_auth_secret *two)
{
    struct rep_auth *d = rep_auth_new(one, REP_AUTH_DIALLER, nonces[0]);
    struct rep_auth *a = rep_auth_new(two, REP_AUTH_ACCEPTOR, nonces[1]);
    bool ok = d != NULL && a != NULL && shake_hands(d, a) && talk(d, a);

    rep_auth_free(d);
    rep_auth_free(a);
    return ok;
}

/* ---- files -------------------------------------------------------------- */

static char path[64];

static void write_file(const void *p, size_t n, mode_t mode)
{
    FILE *f;

    (void)unlink(path);
    f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(p, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
}

static void setup(void)
{
    int fd;

    (void)snprintf(path, sizeof(path), "/tmp/check_auth.XXXXXX");
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
}

static void teardown(void)
{
    (void)unlink(path);
}

/* The file is refused, and the reason contains `words`. */
static void refused(const char *words)
{
    char why[REP_AUTH_WHY] = "";

    ck_assert_ptr_null(rep_auth_secret_load(path, why));
    ck_assert_msg(strstr(why, words) != NULL, "%s, not %s", why, words);
    ck_assert_ptr_nonnull(strstr(why, "rep_secret_file"));
    ck_assert_ptr_null(strchr(why, '\n'));
}

/* The file is taken as these bytes. */
static void taken_as(const void *p, size_t n)
{
    char why[REP_AUTH_WHY] = "";
    struct rep_auth_secret *same = rep_auth_secret_new(p, n);
    struct rep_auth_secret *secret = rep_auth_secret_load(path, why);

    ck_assert_msg(secret != NULL, "%s", why);
    ck_assert(agree(secret, same));
    rep_auth_secret_free(secret);
    rep_auth_secret_free(same);
}

START_TEST(a_file_is_taken_less_one_newline)
{
    write_file("0123456789abcdef", 16, 0600);
    taken_as("0123456789abcdef", 16);
    write_file("0123456789abcdef\n", 17, 0400);
    taken_as("0123456789abcdef", 16);
    write_file("0123456789\0abcdef\r\n", 19, 0600);
    taken_as("0123456789\0abcdef\r", 18);
}
END_TEST

START_TEST(a_secret_has_16_to_4096_bytes)
{
    uint8_t bytes[REP_AUTH_SECRET_MAX + 2];

    memset(bytes, 's', sizeof(bytes));
    write_file(bytes, REP_AUTH_SECRET_MAX, 0600);
    taken_as(bytes, REP_AUTH_SECRET_MAX);
    write_file(bytes, REP_AUTH_SECRET_MAX + 1, 0600);
    refused("at most 4096 bytes");
    write_file(bytes, REP_AUTH_SECRET_MAX + 2, 0600);
    refused("at most 4096 bytes");
    bytes[REP_AUTH_SECRET_MAX] = '\n';
    write_file(bytes, REP_AUTH_SECRET_MAX + 1, 0600);
    taken_as(bytes, REP_AUTH_SECRET_MAX);
    write_file(bytes, REP_AUTH_SECRET_MAX + 2, 0600);
    refused("at least 16 bytes, got 1:");
    write_file("", 0, 0600);
    refused("at least 16 bytes, got 0");
    write_file("0123456789abcde\n", 16, 0600);
    refused("at least 16 bytes, got 15");
}
END_TEST

/* While one is changed: the first is proven, either is accepted. */
START_TEST(a_file_may_hold_two_secrets)
{
    uint8_t bytes[2 * REP_AUTH_SECRET_MAX + 3];
    char why[REP_AUTH_WHY];
    struct rep_auth_secret *one = rep_auth_secret_new("0123456789abcdef", 16);
    struct rep_auth_secret *two = rep_auth_secret_new("fedcba9876543210", 16);
    struct rep_auth_secret *other = rep_auth_secret_new("0123456789abcdeF", 16);
    struct rep_auth_secret *both;

    write_file("0123456789abcdef\nfedcba9876543210\n", 34, 0600);
    both = rep_auth_secret_load(path, why);
    ck_assert_ptr_nonnull(both);
    ck_assert_uint_eq(rep_auth_secret_count(both), 2);
    ck_assert(agree(both, both));
    ck_assert(agree(one, both));
    ck_assert(agree(two, both));
    ck_assert(agree(both, one));
    ck_assert(!agree(both, two)); /* it proves the first */
    ck_assert(!agree(other, both));
    ck_assert(!agree(both, other));
    /* Handshakes that come later follow it; `two` is taken. */
    rep_auth_secret_become(both, two);
    ck_assert_uint_eq(rep_auth_secret_count(both), 1);
    ck_assert(!agree(one, both));
    ck_assert(agree(both, both));
    rep_auth_secret_free(one);
    rep_auth_secret_free(both);
    rep_auth_secret_free(other);
    memset(bytes, 's', sizeof(bytes));
    bytes[REP_AUTH_SECRET_MAX] = bytes[2 * REP_AUTH_SECRET_MAX + 1] = '\n';
    write_file(bytes, sizeof(bytes) - 1, 0600);
    taken_as(bytes, REP_AUTH_SECRET_MAX);
    write_file(bytes, sizeof(bytes), 0600);
    refused("at least 16 bytes, got 1:");
    write_file("0123456789abcdef\n\n", 18, 0600);
    refused("at least 16 bytes, got 0:");
    write_file("0123456789abcdef\nfedcba9876543210\n0123456789abcdef", 50,
               0600);
    refused("at most 2 lines");
}
END_TEST

START_TEST(a_file_others_can_reach_is_refused)
{
    for (mode_t bit = 01; bit <= 040; bit <<= 1) {
        write_file("0123456789abcdef", 16, 0600 | bit);
        refused("chmod 600 /tmp/check_auth.");
    }
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    ck_assert_int_eq(unlink(path), 0);
    refused("No such file");
    ck_assert_int_eq(mkdir(path, 0700), 0);
    refused("regular file");
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    refused("regular file");
}
END_TEST

/* ---- memory that is missing, and memory that tells ---------------------- */

/* From the file to the batches; false when anything failed. */
static bool whole_life(void)
{
    char why[REP_AUTH_WHY];
    struct rep_auth_secret *secret = rep_auth_secret_load(path, why);
    uint8_t nonce[REP_AUTH_NONCE];
    bool ok =
        secret != NULL && agree(secret, secret) && rep_auth_draw_nonce(nonce);

    rep_auth_secret_free(secret);
    return ok;
}

START_TEST(any_allocation_may_fail)
{
    long before, n = 0, failures = 0;
    bool reached = true;

    write_file("0123456789abcdef", 16, 0600);
    ck_assert(whole_life()); /* what libcrypto allocates only once */
    before = live;
    for (; n < 1000 && reached; n++) {
        bool ok;

        fail_in = n;
        ok = whole_life();
        reached = fail_in < 0;
        fail_in = -1;
        ck_assert(ok || reached);
        failures += !ok; /* libcrypto can do without a few */
        ck_assert_int_eq(live, before);
        ck_assert_uint_eq(ERR_peek_error(), 0);
    }
    ck_assert(!reached);
    ck_assert_int_gt(failures, 10);
}
END_TEST

START_TEST(a_link_that_could_not_seal_stays_closed)
{
    struct rep_auth_secret *secret =
        rep_auth_secret_new("0123456789abcdef", 16);
    struct rep_auth *d = rep_auth_new(secret, REP_AUTH_DIALLER, nonces[0]);
    struct rep_auth *a = rep_auth_new(secret, REP_AUTH_ACCEPTOR, nonces[1]);
    struct rep_auth_link *link;
    uint8_t tag[REP_AUTH_TAG];

    ck_assert(shake_hands(d, a));
    link = rep_auth_link_new(d);
    ck_assert(rep_auth_seal(link, "b", 1, tag));
    fail_in = 0;
    ck_assert(!rep_auth_seal(link, "b", 1, tag));
    fail_in = -1;
    ck_assert(!rep_auth_seal(link, "b", 1, tag));
    rep_auth_link_free(link);
    rep_auth_free(d);
    rep_auth_free(a);
    rep_auth_secret_free(secret);
}
END_TEST

/* What rep/auth.h says is hashed for the dialler. */
static size_t write_talk(uint8_t *p, const char *label)
{
    const uint8_t *start = p;

    memcpy(p, label, 16);
    p[16] = 'D';
    memcpy(p + 17, nonces, sizeof(nonces));
    p += 17 + sizeof(nonces);
    for (unsigned i = 0; i < 2; i++) {
        *p++ = 0;
        *p++ = 2;
        memcpy(p, hellos[i], 2);
        p += 2;
    }
    return (size_t)(p - start);
}

/* How often `what` was in what a whole life freed. */
static unsigned leaves_behind(const uint8_t *what)
{
    watched = what;
    left_behind = 0;
    ck_assert(whole_life());
    watched = NULL;
    return left_behind;
}

START_TEST(nothing_secret_is_left_in_freed_memory)
{
    static const char *const labels[] = {"repcached3 proof",
                                         "repcached3 batch"};
    static const uint8_t secret[] = "0123456789abcdef";

    write_file(secret, 16, 0600);
    ck_assert_uint_eq(leaves_behind(secret), 0);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t bytes[200], mac[REP_AUTH_PROOF];
        size_t n = write_talk(bytes, labels[i]);

        ck_assert_ptr_nonnull(
            HMAC(EVP_sha256(), secret, 16, bytes, n, mac, NULL));
        ck_assert_uint_eq(leaves_behind(mac), 0);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("auth_memory");
    TCase *t = tcase_create("memory");
    SRunner *r = srunner_create(s);
    int failed;

    /* Before libcrypto allocates anything, or it keeps its own. */
    if (CRYPTO_set_mem_functions(hook_malloc, hook_realloc, hook_free) != 1) {
        return EXIT_FAILURE;
    }
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_file_is_taken_less_one_newline);
    tcase_add_test(t, a_secret_has_16_to_4096_bytes);
    tcase_add_test(t, a_file_may_hold_two_secrets);
    tcase_add_test(t, a_file_others_can_reach_is_refused);
    tcase_add_test(t, what_is_no_file_is_refused);
    tcase_add_test(t, any_allocation_may_fail);
    tcase_add_test(t, a_link_that_could_not_seal_stays_closed);
    tcase_add_test(t, nothing_secret_is_left_in_freed_memory);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
