/* Unit tests of rep/auth: the handshake and the batches. */
#include <check.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rep/auth.h"

/* ---- two nodes ---------------------------------------------------------- */

#define SECRET "correct horse battery staple"

static struct rep_auth_secret *ours, *other;

/* What one end says. */
struct end {
    uint8_t nonce[REP_AUTH_NONCE];
    uint8_t hello[REP_AUTH_HELLO_MAX + 1];
    size_t n;
};

static struct end dialler, acceptor;

static void end_init(struct end *e, const char *hello)
{
    ck_assert(rep_auth_draw_nonce(e->nonce));
    e->n = strlen(hello);
    memcpy(e->hello, hello, e->n);
}

static void setup(void)
{
    ours = rep_auth_secret_new(SECRET, strlen(SECRET));
    other = rep_auth_secret_new(SECRET "r", strlen(SECRET) + 1);
    ck_assert_ptr_nonnull(ours);
    ck_assert_ptr_nonnull(other);
    end_init(&dialler, "repcached3 1 run=17\r\n");
    end_init(&acceptor, "repcached3 1 run=18 slot=2\r\n");
}

static void teardown(void)
{
    rep_auth_secret_free(ours);
    rep_auth_secret_free(other);
}

static enum rep_auth_status say(struct rep_auth *a, const struct end *e)
{
    struct rep_auth_event ev = {REP_AUTH_OURS, NULL, e->hello, e->n};
    const uint8_t *send;
    enum rep_auth_status s = rep_auth_step(a, &ev, &send);

    ck_assert_ptr_null(send);
    return s;
}

static enum rep_auth_status hear(struct rep_auth *a, const struct end *e,
                                 const uint8_t **send)
{
    struct rep_auth_event ev = {REP_AUTH_THEIRS, e->nonce, e->hello, e->n};

    return rep_auth_step(a, &ev, send);
}

static enum rep_auth_status prove(struct rep_auth *a, const uint8_t *proof,
                                  size_t n, const uint8_t **send)
{
    struct rep_auth_event ev = {REP_AUTH_PROVES, NULL, proof, n};

    return rep_auth_step(a, &ev, send);
}

/* A dialler that heard `a` after saying `d`; *proof is its own. */
static struct rep_auth *dial(struct rep_auth_secret *secret,
                             const struct end *d, const struct end *a,
                             const uint8_t **proof)
{
    struct rep_auth *auth = rep_auth_new(secret, REP_AUTH_DIALLER, d->nonce);

    ck_assert_ptr_nonnull(auth);
    ck_assert_int_eq(say(auth, d), REP_AUTH_WAIT);
    ck_assert_int_eq(hear(auth, a, proof), REP_AUTH_WAIT);
    ck_assert_ptr_nonnull(*proof);
    return auth;
}

/* An acceptor that heard `d` and said `a`. */
static struct rep_auth *answer(struct rep_auth_secret *secret,
                               const struct end *d, const struct end *a)
{
    struct rep_auth *auth = rep_auth_new(secret, REP_AUTH_ACCEPTOR, a->nonce);
    const uint8_t *send;

    ck_assert_ptr_nonnull(auth);
    ck_assert_int_eq(hear(auth, d, &send), REP_AUTH_WAIT);
    ck_assert_ptr_null(send);
    ck_assert_int_eq(say(auth, a), REP_AUTH_WAIT);
    return auth;
}

/* Both ends of a proven link, [0] the dialler's. */
static void pair(struct rep_auth_link *links[2])
{
    const uint8_t *pd, *pa, *none;
    struct rep_auth *d = dial(ours, &dialler, &acceptor, &pd);
    struct rep_auth *a = answer(ours, &dialler, &acceptor);

    ck_assert_int_eq(prove(a, pd, REP_AUTH_PROOF, &pa), REP_AUTH_PROVEN);
    ck_assert_ptr_nonnull(pa);
    ck_assert_int_eq(prove(d, pa, REP_AUTH_PROOF, &none), REP_AUTH_PROVEN);
    ck_assert_ptr_null(none);
    links[0] = rep_auth_link_new(d);
    links[1] = rep_auth_link_new(a);
    ck_assert_ptr_nonnull(links[0]);
    ck_assert_ptr_nonnull(links[1]);
    rep_auth_free(d);
    rep_auth_free(a);
}

static void unpair(struct rep_auth_link *links[2])
{
    rep_auth_link_free(links[0]);
    rep_auth_link_free(links[1]);
}

/* What an acceptor with `secret` says to a dialler's proof. */
static enum rep_auth_status judge(struct rep_auth_secret *secret,
                                  const struct end *d, const struct end *a,
                                  const uint8_t *proof)
{
    struct rep_auth *auth = answer(secret, d, a);
    const uint8_t *send;
    enum rep_auth_status s = prove(auth, proof, REP_AUTH_PROOF, &send);

    ck_assert_int_eq(s == REP_AUTH_PROVEN, send != NULL);
    rep_auth_free(auth);
    return s;
}

/* ---- the handshake ------------------------------------------------------ */

START_TEST(who_has_the_secret_is_believed)
{
    struct rep_auth_link *links[2];

    pair(links);
    unpair(links);
}
END_TEST

START_TEST(another_secret_is_refused_and_learns_nothing)
{
    const uint8_t *proof;
    struct rep_auth *d = dial(other, &dialler, &acceptor, &proof);

    ck_assert_int_eq(judge(ours, &dialler, &acceptor, proof), REP_AUTH_WRONG);
    rep_auth_free(d);
}
END_TEST

START_TEST(a_false_acceptor_is_refused)
{
    const uint8_t *proof, *send;
    struct rep_auth *d = dial(other, &dialler, &acceptor, &proof);
    struct rep_auth *a = answer(other, &dialler, &acceptor);
    struct rep_auth *honest = dial(ours, &dialler, &acceptor, &send);

    ck_assert_int_eq(prove(a, proof, REP_AUTH_PROOF, &proof), REP_AUTH_PROVEN);
    ck_assert_int_eq(prove(honest, proof, REP_AUTH_PROOF, &send),
                     REP_AUTH_WRONG);
    ck_assert_ptr_null(send);
    rep_auth_free(d);
    rep_auth_free(a);
    rep_auth_free(honest);
}
END_TEST

START_TEST(a_proof_sent_back_is_wrong)
{
    const uint8_t *proof, *send;
    struct rep_auth *d = dial(ours, &dialler, &acceptor, &proof);

    ck_assert_int_eq(prove(d, proof, REP_AUTH_PROOF, &send), REP_AUTH_WRONG);
    rep_auth_free(d);
}
END_TEST

START_TEST(a_proof_of_the_other_role_is_wrong)
{
    const uint8_t *pd, *pa, *send;
    struct rep_auth *d = dial(ours, &dialler, &acceptor, &pd);
    struct rep_auth *a = answer(ours, &dialler, &acceptor);
    struct rep_auth *again = answer(ours, &dialler, &acceptor);
    struct rep_auth *turned = answer(ours, &acceptor, &dialler);

    ck_assert_int_eq(prove(a, pd, REP_AUTH_PROOF, &pa), REP_AUTH_PROVEN);
    ck_assert_int_eq(prove(again, pa, REP_AUTH_PROOF, &send), REP_AUTH_WRONG);
    ck_assert_int_eq(prove(turned, pd, REP_AUTH_PROOF, &send), REP_AUTH_WRONG);
    rep_auth_free(d);
    rep_auth_free(a);
    rep_auth_free(again);
    rep_auth_free(turned);
}
END_TEST

START_TEST(a_recorded_proof_is_wrong_the_next_time)
{
    const uint8_t *proof;
    struct rep_auth *d = dial(ours, &dialler, &acceptor, &proof);
    struct end next = acceptor;

    ck_assert_int_eq(judge(ours, &dialler, &acceptor, proof), REP_AUTH_PROVEN);
    ck_assert(rep_auth_draw_nonce(next.nonce));
    ck_assert_int_eq(judge(ours, &dialler, &next, proof), REP_AUTH_WRONG);
    rep_auth_free(d);
}
END_TEST

START_TEST(nonces_differ)
{
    static const uint8_t zero[REP_AUTH_NONCE];

    ck_assert_mem_ne(dialler.nonce, acceptor.nonce, REP_AUTH_NONCE);
    ck_assert_mem_ne(dialler.nonce, zero, REP_AUTH_NONCE);
}
END_TEST

/* Refused after any bit of `p` was turned, believed once it is back. */
static void each_bit_counts(uint8_t *p, size_t n, const uint8_t *proof)
{
    for (size_t bit = 0; bit < 8 * n; bit++) {
        p[bit / 8] ^= (uint8_t)(1U << bit % 8);
        ck_assert_int_eq(judge(ours, &dialler, &acceptor, proof),
                         REP_AUTH_WRONG);
        p[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    ck_assert_int_eq(judge(ours, &dialler, &acceptor, proof), REP_AUTH_PROVEN);
}

START_TEST(one_turned_bit_anywhere_is_wrong)
{
    uint8_t copy[REP_AUTH_PROOF];
    const uint8_t *proof;
    struct rep_auth *d = dial(ours, &dialler, &acceptor, &proof);

    memcpy(copy, proof, sizeof(copy));
    each_bit_counts(copy, sizeof(copy), copy);
    each_bit_counts(dialler.nonce, REP_AUTH_NONCE, proof);
    each_bit_counts(acceptor.nonce, REP_AUTH_NONCE, proof);
    each_bit_counts(dialler.hello, dialler.n, proof);
    each_bit_counts(acceptor.hello, acceptor.n, proof);
    rep_auth_free(d);
}
END_TEST

START_TEST(bytes_moved_from_one_hello_to_the_other_are_wrong)
{
    struct end d = dialler, a = acceptor;
    const uint8_t *proof;
    struct rep_auth *auth = dial(ours, &dialler, &acceptor, &proof);

    /* The two hellos, one after the other, stay the same bytes. */
    a.hello[0] = d.hello[--d.n];
    memcpy(a.hello + 1, acceptor.hello, acceptor.n);
    a.n = acceptor.n + 1;
    ck_assert_int_eq(judge(ours, &d, &a, proof), REP_AUTH_WRONG);
    rep_auth_free(auth);
}
END_TEST

START_TEST(a_proof_has_its_length)
{
    static const size_t lengths[] = {0, 1, 31, 33, 64};

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint8_t longer[64] = {0};
        const uint8_t *proof, *send;
        struct rep_auth *d = dial(ours, &dialler, &acceptor, &proof);
        struct rep_auth *a = answer(ours, &dialler, &acceptor);

        memcpy(longer, proof, REP_AUTH_PROOF);
        ck_assert_int_eq(prove(a, longer, lengths[i], &send), REP_AUTH_WRONG);
        ck_assert_ptr_null(send);
        rep_auth_free(d);
        rep_auth_free(a);
    }
}
END_TEST

/* What an acceptor says to a hello. */
static enum rep_auth_status greet(const struct end *e, const uint8_t *nonce)
{
    struct rep_auth *a = rep_auth_new(ours, REP_AUTH_ACCEPTOR, acceptor.nonce);
    struct rep_auth_event ev = {REP_AUTH_THEIRS, nonce, e->hello, e->n};
    const uint8_t *send;
    enum rep_auth_status s = rep_auth_step(a, &ev, &send);

    ck_assert_ptr_null(send);
    rep_auth_free(a);
    return s;
}

START_TEST(hellos_are_bounded)
{
    struct rep_auth *d;

    memset(dialler.hello, 'h', sizeof(dialler.hello));
    dialler.n = REP_AUTH_HELLO_MAX;
    ck_assert_int_eq(greet(&dialler, dialler.nonce), REP_AUTH_WAIT);
    dialler.n++;
    ck_assert_int_eq(greet(&dialler, dialler.nonce), REP_AUTH_HELLO);
    d = rep_auth_new(ours, REP_AUTH_DIALLER, dialler.nonce);
    ck_assert_int_eq(say(d, &dialler), REP_AUTH_HELLO);
    dialler.n = 0;
    ck_assert_int_eq(greet(&dialler, dialler.nonce), REP_AUTH_HELLO);
    rep_auth_free(d);
}
END_TEST

START_TEST(a_hello_without_a_nonce_or_with_ours_is_refused)
{
    ck_assert_int_eq(greet(&dialler, NULL), REP_AUTH_NO_NONCE);
    ck_assert_int_eq(greet(&dialler, acceptor.nonce), REP_AUTH_OUR_NONCE);
}
END_TEST

/* Feeds `events`, base 3, four of them, with what is right for each kind. */
static enum rep_auth_status feed(enum rep_auth_role role, unsigned events,
                                 const uint8_t *proof, bool right[4])
{
    const struct end *mine = role == REP_AUTH_DIALLER ? &dialler : &acceptor;
    const struct end *peer = role == REP_AUTH_DIALLER ? &acceptor : &dialler;
    struct rep_auth *a = rep_auth_new(ours, role, mine->nonce);
    enum rep_auth_status s = REP_AUTH_WAIT;

    for (unsigned i = 0; i < 4; i++, events /= 3) {
        struct rep_auth_event ev = {.kind = events % 3};
        const struct end *e = ev.kind == REP_AUTH_OURS ? mine : peer;
        const uint8_t *send;
        bool failed = s > REP_AUTH_PROVEN;

        ev.nonce = peer->nonce;
        ev.bytes = ev.kind == REP_AUTH_PROVES ? proof : e->hello;
        ev.n = ev.kind == REP_AUTH_PROVES ? REP_AUTH_PROOF : e->n;
        s = rep_auth_step(a, &ev, &send);
        right[i] = s <= REP_AUTH_PROVEN;
        ck_assert(!failed || !right[i]); /* it stays where it failed */
        ck_assert(right[i] || send == NULL);
    }
    rep_auth_free(a);
    return s;
}

START_TEST(events_out_of_order_fail_for_good)
{
    static const unsigned due[2][3] = {
        {REP_AUTH_OURS, REP_AUTH_THEIRS, REP_AUTH_PROVES},
        {REP_AUTH_THEIRS, REP_AUTH_OURS, REP_AUTH_PROVES}};
    const uint8_t *pd, *pa;
    struct rep_auth *d = dial(ours, &dialler, &acceptor, &pd);
    struct rep_auth *a = answer(ours, &dialler, &acceptor);

    ck_assert_int_eq(prove(a, pd, REP_AUTH_PROOF, &pa), REP_AUTH_PROVEN);
    for (unsigned role = 0; role < 2; role++) {
        for (unsigned events = 0; events < 81; events++) {
            bool right[4], in_order = true;
            unsigned left = events;

            ck_assert_int_eq(feed(role, events, role == 0 ? pa : pd, right),
                             REP_AUTH_ORDER);
            for (unsigned i = 0; i < 3; i++, left /= 3) {
                in_order = in_order && left % 3 == due[role][i];
                ck_assert_int_eq(right[i], in_order);
            }
            ck_assert(!right[3]);
        }
    }
    rep_auth_free(d);
    rep_auth_free(a);
}
END_TEST

START_TEST(every_status_has_words)
{
    for (enum rep_auth_status s = REP_AUTH_WAIT; s <= REP_AUTH_CRYPTO; s++) {
        ck_assert_str_ne(rep_auth_text(s), "");
    }
}
END_TEST

/* ---- batches ------------------------------------------------------------ */

START_TEST(batches_in_order_are_right_both_ways)
{
    struct rep_auth_link *links[2];
    uint8_t batch[300], tag[REP_AUTH_TAG], last[REP_AUTH_TAG] = {0};

    pair(links);
    memset(batch, 'b', sizeof(batch));
    for (unsigned i = 0; i < 100; i++) {
        unsigned from = i / 3 % 2;

        ck_assert(rep_auth_seal(links[from], batch, 3 * i, tag));
        ck_assert(rep_auth_open(links[1 - from], batch, 3 * i, tag));
        ck_assert_mem_ne(tag, last, sizeof(tag));
        memcpy(last, tag, sizeof(tag));
    }
    unpair(links);
}
END_TEST

/* Sends four batches alike and delivers them as `order` says; whether each
 * was right. */
static void deliver(const char *order, const char *right)
{
    struct rep_auth_link *links[2];
    uint8_t tags[4][REP_AUTH_TAG];

    pair(links);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert(rep_auth_seal(links[0], "batch", 5, tags[i]));
    }
    for (; *order != '\0'; order++, right++) {
        ck_assert_int_eq(
            rep_auth_open(links[1], "batch", 5, tags[*order - '0']),
            *right == 'y');
    }
    unpair(links);
}

START_TEST(a_batch_dropped_repeated_or_moved_ends_the_link)
{
    deliver("0123", "yyyy");
    deliver("1", "n");
    deliver("0231", "ynnn");
    deliver("00123", "ynnnn");
    deliver("10", "nn");
    deliver("0133", "yynn");
}
END_TEST

START_TEST(one_turned_bit_ends_the_link)
{
    uint8_t bytes[40 + REP_AUTH_TAG];
    struct rep_auth_link *links[2];

    memset(bytes, 'b', sizeof(bytes));
    for (unsigned bit = 0; bit < 8 * sizeof(bytes); bit++) {
        pair(links);
        ck_assert(rep_auth_seal(links[1], bytes, 40, bytes + 40));
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        ck_assert(!rep_auth_open(links[0], bytes, 40, bytes + 40));
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        ck_assert(!rep_auth_open(links[0], bytes, 40, bytes + 40));
        unpair(links);
    }
}
END_TEST

START_TEST(a_length_that_moved_is_wrong)
{
    uint8_t tag[REP_AUTH_TAG];
    struct rep_auth_link *links[2];

    pair(links);
    ck_assert(rep_auth_seal(links[0], "batch", 5, tag));
    ck_assert(!rep_auth_open(links[1], "batch", 4, tag));
    unpair(links);
}
END_TEST

START_TEST(a_batch_sent_back_or_from_another_link_is_wrong)
{
    uint8_t tag[REP_AUTH_TAG];
    struct rep_auth_link *links[2], *next[2];

    pair(links);
    ck_assert(rep_auth_draw_nonce(dialler.nonce));
    pair(next);
    ck_assert(rep_auth_seal(links[0], "batch", 5, tag));
    ck_assert(!rep_auth_open(links[0], "batch", 5, tag));
    ck_assert(!rep_auth_open(next[1], "batch", 5, tag));
    ck_assert(rep_auth_open(links[1], "batch", 5, tag));
    unpair(links);
    unpair(next);
}
END_TEST

/* HMAC-SHA256 of `p`. */
static void hmac(const uint8_t *key, size_t nkey, const uint8_t *p, size_t n,
                 uint8_t *out)
{
    ck_assert_ptr_nonnull(HMAC(EVP_sha256(), key, (int)nkey, p, n, out, NULL));
}

/* ---- vectors ------------------------------------------------------------ */

static FILE *vectors;

/* Reads the next `name hex` line to `buf` (4096 bytes). */
static bool next_line(char *name, uint8_t *buf, size_t *n)
{
    char line[8300], hex[8200];

    while (fgets(line, sizeof(line), vectors) != NULL) {
        size_t digits;

        hex[0] = '\0';
        if (line[0] == '#' || sscanf(line, "%31s %8199s", name, hex) < 1) {
            continue;
        }
        digits = strlen(hex);
        ck_assert_uint_eq(digits % 2, 0);
        *n = digits / 2;
        for (size_t i = 0; i < *n; i++) {
            unsigned byte;

            ck_assert_int_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
            buf[i] = (uint8_t)byte;
        }
        return true;
    }
    return false;
}

/* The next line has to be `name`; returns its length. */
static size_t want_line(const char *name, uint8_t *buf)
{
    char got[32];
    size_t n;

    ck_assert_msg(next_line(got, buf, &n), "%s is missing", name);
    ck_assert_str_eq(got, name);
    return n;
}

static void want_bytes(const char *name, const uint8_t *have, size_t n)
{
    uint8_t buf[4096];

    ck_assert_uint_eq(want_line(name, buf), n);
    ck_assert_mem_eq(buf, have, n);
}

/* Everything up to the keys of the case that `secret` begins; the links. */
static void play_handshake(struct rep_auth_secret *secret, uint8_t keys[2][32],
                           struct rep_auth_link *links[2])
{
    const uint8_t *pd, *pa, *none;
    uint8_t buf[4096];
    struct rep_auth *d, *a;

    ck_assert_uint_eq(want_line("nonce_dialler", dialler.nonce), 32);
    ck_assert_uint_eq(want_line("nonce_acceptor", acceptor.nonce), 32);
    dialler.n = want_line("hello_dialler", buf);
    ck_assert_uint_le(dialler.n, REP_AUTH_HELLO_MAX);
    memcpy(dialler.hello, buf, dialler.n);
    acceptor.n = want_line("hello_acceptor", buf);
    ck_assert_uint_le(acceptor.n, REP_AUTH_HELLO_MAX);
    memcpy(acceptor.hello, buf, acceptor.n);
    d = dial(secret, &dialler, &acceptor, &pd);
    a = answer(secret, &dialler, &acceptor);
    want_bytes("proof_dialler", pd, REP_AUTH_PROOF);
    ck_assert_int_eq(prove(a, pd, REP_AUTH_PROOF, &pa), REP_AUTH_PROVEN);
    want_bytes("proof_acceptor", pa, REP_AUTH_PROOF);
    ck_assert_int_eq(prove(d, pa, REP_AUTH_PROOF, &none), REP_AUTH_PROVEN);
    links[0] = rep_auth_link_new(d);
    links[1] = rep_auth_link_new(a);
    ck_assert_uint_eq(want_line("key_dialler", keys[0]), 32);
    ck_assert_uint_eq(want_line("key_acceptor", keys[1]), 32);
    rep_auth_free(d);
    rep_auth_free(a);
}

/* One batch, as the `i`-th of both directions. */
static void play_batch(struct rep_auth_link *links[2], uint8_t i,
                       uint8_t keys[2][32], const uint8_t *batch, size_t n)
{
    static const char *const names[] = {"tag_dialler", "tag_acceptor"};
    uint8_t tag[REP_AUTH_TAG], mac[32], with_seq[8 + 4096] = {0};

    with_seq[7] = i;
    memcpy(with_seq + 8, batch, n);
    for (unsigned from = 0; from < 2; from++) {
        ck_assert(rep_auth_seal(links[from], batch, n, tag));
        want_bytes(names[from], tag, sizeof(tag));
        ck_assert(rep_auth_open(links[1 - from], batch, n, tag));
        hmac(keys[from], 32, with_seq, 8 + n, mac);
        ck_assert_mem_eq(mac, tag, sizeof(tag));
    }
}

START_TEST(the_vectors_hold)
{
    const char *srcdir = getenv("srcdir");
    char file[4096], name[32] = "";
    uint8_t buf[4096], keys[2][32] = {{0}}, count = 0;
    struct rep_auth_link *links[2] = {NULL, NULL};
    unsigned cases = 0, batches = 0;
    size_t n = 0;

    (void)snprintf(file, sizeof(file), "%s/t/unit/vectors/auth.txt",
                   srcdir == NULL ? "." : srcdir);
    vectors = fopen(file, "r");
    ck_assert_msg(vectors != NULL, "cannot read %s", file);
    while (next_line(name, buf, &n)) {
        if (strcmp(name, "secret") == 0) {
            struct rep_auth_secret *secret = rep_auth_secret_new(buf, n);

            unpair(links);
            play_handshake(secret, keys, links);
            rep_auth_secret_free(secret);
            count = 0;
            cases++;
        } else {
            ck_assert_str_eq(name, "batch");
            play_batch(links, count++, keys, buf, n);
            batches++;
        }
    }
    ck_assert_uint_ge(cases, 2);
    ck_assert_uint_ge(batches, 4);
    unpair(links);
    ck_assert_int_eq(fclose(vectors), 0);
}
END_TEST

static void add_handshake(Suite *s)
{
    TCase *t = tcase_create("handshake");

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_vectors_hold);
    tcase_add_test(t, who_has_the_secret_is_believed);
    tcase_add_test(t, another_secret_is_refused_and_learns_nothing);
    tcase_add_test(t, a_false_acceptor_is_refused);
    tcase_add_test(t, a_proof_sent_back_is_wrong);
    tcase_add_test(t, a_proof_of_the_other_role_is_wrong);
    tcase_add_test(t, a_recorded_proof_is_wrong_the_next_time);
    tcase_add_test(t, nonces_differ);
    tcase_add_test(t, one_turned_bit_anywhere_is_wrong);
    tcase_add_test(t, bytes_moved_from_one_hello_to_the_other_are_wrong);
    tcase_add_test(t, a_proof_has_its_length);
    tcase_add_test(t, hellos_are_bounded);
    tcase_add_test(t, a_hello_without_a_nonce_or_with_ours_is_refused);
    tcase_add_test(t, events_out_of_order_fail_for_good);
    tcase_add_test(t, every_status_has_words);
}

static void add_batches(Suite *s)
{
    TCase *t = tcase_create("batches");

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, batches_in_order_are_right_both_ways);
    tcase_add_test(t, a_batch_dropped_repeated_or_moved_ends_the_link);
    tcase_add_test(t, one_turned_bit_ends_the_link);
    tcase_add_test(t, a_length_that_moved_is_wrong);
    tcase_add_test(t, a_batch_sent_back_or_from_another_link_is_wrong);
}

int main(void)
{
    Suite *s = suite_create("auth");
    SRunner *r = srunner_create(s);
    int failed;

    add_handshake(s);
    add_batches(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
