/* Unit tests of rep/frame: the vectors, every truncation, every bound. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rep/frame.h"

#define MESSAGES 32   /* of a vector at most */
#define BYTES    2048 /* of a vector at most */

static const char *const names[FRAME_HINTS + 1] = {
    [FRAME_ITEM] = "ITEM",
    [FRAME_ITEM_BEGIN] = "ITEM_BEGIN",
    [FRAME_ITEM_PART] = "ITEM_PART",
    [FRAME_ITEM_CANCEL] = "ITEM_CANCEL",
    [FRAME_DELETE] = "DELETE",
    [FRAME_FLOOR] = "FLOOR",
    [FRAME_TOUCH] = "TOUCH",
    [FRAME_BARRIER] = "BARRIER",
    [FRAME_FLUSH_AT] = "FLUSH_AT",
    [FRAME_OFFER] = "OFFER",
    [FRAME_WANT] = "WANT",
    [FRAME_GONE] = "GONE",
    [FRAME_MISSED] = "MISSED",
    [FRAME_POSITION] = "POSITION",
    [FRAME_ACK] = "ACK",
    [FRAME_SCAN_POINT] = "SCAN_POINT",
    [FRAME_SCAN_ACK] = "SCAN_ACK",
    [FRAME_COPY_END] = "COPY_END",
    [FRAME_PING] = "PING",
    [FRAME_PONG] = "PONG",
    [FRAME_BUSY] = "BUSY",
    [FRAME_ERROR] = "ERROR",
    [FRAME_BYE] = "BYE",
    [FRAME_RESUME] = "RESUME",
    [FRAME_HINTS] = "HINTS",
};

/* ---- vectors ------------------------------------------------------------ */

enum kind { VECTOR_BATCH, VECTOR_SKIP, VECTOR_REFUSE };

struct vector {
    enum kind kind;
    char name[64];
    unsigned nmsgs;
    struct frame_msg msgs[MESSAGES];
    char keys[MESSAGES][256];
    uint8_t values[MESSAGES][256];
    size_t nbytes;
    uint8_t bytes[BYTES];
};

static FILE *open_in_tree(const char *path)
{
    const char *srcdir = getenv("srcdir");
    char full[512];
    FILE *f;

    (void)snprintf(full, sizeof(full), "%s/%s", srcdir == NULL ? "." : srcdir,
                   path);
    f = fopen(full, "r");
    ck_assert_msg(f != NULL, "%s cannot be read", full);
    return f;
}

/* %xx is one byte; returns the count. */
static unsigned unescape(const char *text, uint8_t *out)
{
    unsigned n = 0;

    for (; *text != '\0'; text++) {
        char hex[3] = "";

        ck_assert_uint_lt(n, 255);
        if (*text != '%') {
            out[n++] = (uint8_t)*text;
            continue;
        }
        ck_assert(text[1] != '\0' && text[2] != '\0');
        memcpy(hex, text + 1, 2);
        out[n++] = (uint8_t)strtoul(hex, NULL, 16);
        text += 2;
    }
    return n;
}

/* True when `field` is `name`=...; *value is what follows. */
static bool is_field(const char *field, const char *name, const char **value)
{
    size_t n = strlen(name);

    *value = field + n + 1;
    return strncmp(field, name, n) == 0 && field[n] == '=';
}

static void set_number(struct frame_msg *msg, const char *field)
{
    const char *value;
    const char *eq = strchr(field, '=');
    uint64_t n;
    char *end;

    ck_assert_msg(eq != NULL, "%s is no field", field);
    n = strtoull(eq + 1, &end, 0);
    ck_assert_msg(*end == '\0' && end > eq + 1, "%s: not a number", field);
#define FIELD(name)                                                            \
    if (is_field(field, #name, &value)) {                                      \
        msg->name = (__typeof__(msg->name))n;                                  \
        ck_assert_uint_eq(msg->name, n);                                       \
        return;                                                                \
    }
    FIELD(bits)
    FIELD(hops)
    FIELD(flags)
    FIELD(exptime)
    FIELD(nbytes)
    FIELD(version)
    FIELD(cas)
    FIELD(hash)
    FIELD(at_ms)
    FIELD(position)
    FIELD(cursor)
    FIELD(clock_ms)
    FIELD(echo_ms)
    FIELD(cell)
    FIELD(cells)
    FIELD(code)
#undef FIELD
    ck_abort_msg("%s: unknown field", field);
}

static void add_message(struct vector *v, char *line)
{
    struct frame_msg *msg = &v->msgs[v->nmsgs];
    char *save = NULL;
    const char *word = strtok_r(line, " ", &save);
    const char *value;

    ck_assert_uint_lt(v->nmsgs, MESSAGES);
    *msg = (struct frame_msg){0};
    for (unsigned t = 0; t <= FRAME_HINTS; t++) {
        if (names[t] != NULL && strcmp(names[t], word) == 0) {
            msg->type = (uint8_t)t;
        }
    }
    ck_assert_msg(msg->type != 0, "%s: unknown message", word);
    while ((word = strtok_r(NULL, " ", &save)) != NULL) {
        if (is_field(word, "key", &value)) {
            msg->key = v->keys[v->nmsgs];
            msg->nkey = (uint8_t)unescape(value, (uint8_t *)v->keys[v->nmsgs]);
        } else if (is_field(word, "bytes", &value)) {
            msg->bytes = v->values[v->nmsgs];
            msg->nbytes = unescape(value, v->values[v->nmsgs]);
        } else {
            set_number(msg, word);
        }
    }
    v->nmsgs++;
}

static void add_hex(struct vector *v, const char *p)
{
    char *end;

    for (;; p = end) {
        unsigned long byte = strtoul(p, &end, 16);

        if (end == p) {
            break;
        }
        ck_assert(byte <= 255 && v->nbytes < BYTES);
        v->bytes[v->nbytes++] = (uint8_t)byte;
    }
    ck_assert_msg(*p == '\0', "%s: not hexadecimal", v->name);
}

static bool begins(const char *line, const char *word, const char **rest)
{
    *rest = line + strlen(word);
    return strncmp(line, word, strlen(word)) == 0;
}

static void add_line(struct vector *v, char *line)
{
    const char *rest;

    if (begins(line, "hex ", &rest)) {
        add_hex(v, rest);
    } else if (begins(line, "batch ", &rest) || begins(line, "skip ", &rest) ||
               begins(line, "refuse ", &rest)) {
        v->kind = line[0] == 'b'   ? VECTOR_BATCH
                  : line[0] == 's' ? VECTOR_SKIP
                                   : VECTOR_REFUSE;
        size_t n = strlen(rest);

        ck_assert_uint_lt(n, sizeof(v->name));
        memcpy(v->name, rest, n + 1);
    } else {
        add_message(v, line);
    }
}

/* The next vector of the file; false at its end. */
static bool next_vector(FILE *f, struct vector *v)
{
    char line[2048];

    *v = (struct vector){0};
    while (fgets(line, sizeof(line), f) != NULL) {
        ck_assert_ptr_nonnull(strchr(line, '\n'));
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' && v->name[0] != '\0') {
            break;
        }
        if (line[0] != '#' && line[0] != '\0') {
            add_line(v, line);
        }
    }
    ck_assert(v->name[0] == '\0' || v->nbytes > 0);
    return v->name[0] != '\0';
}

/* Calls `check` with each vector of a kind; at least `least` there are. */
static void each_vector(enum kind kind, unsigned least,
                        void (*check)(struct vector *v))
{
    static struct vector v;
    FILE *f = open_in_tree("t/unit/vectors/frames.txt");
    unsigned n = 0;

    while (next_vector(f, &v)) {
        if (v.kind == kind) {
            check(&v);
            n++;
        }
    }
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_uint_ge(n, least);
}

/* ---- messages ----------------------------------------------------------- */

static void ck_same(const char *name, const struct frame_msg *a,
                    const struct frame_msg *b)
{
    ck_assert_msg(a->type == b->type, "%s: %u, not %u", name, a->type, b->type);
    ck_assert_msg(a->bits == b->bits && a->hops == b->hops &&
                      a->flags == b->flags && a->exptime == b->exptime &&
                      a->version == b->version && a->cas == b->cas &&
                      a->echo_ms == b->echo_ms,
                  "%s: %s differs", name, names[a->type]);
    ck_assert_msg(a->nkey == b->nkey && a->nbytes == b->nbytes,
                  "%s: a length of %s differs", name, names[a->type]);
    ck_assert_msg(a->nkey == 0 || memcmp(a->key, b->key, a->nkey) == 0,
                  "%s: a key differs", name);
    ck_assert_msg((a->bytes == NULL) == (b->bytes == NULL) &&
                      (a->bytes == NULL || a->nbytes == 0 ||
                       memcmp(a->bytes, b->bytes, a->nbytes) == 0),
                  "%s: the bytes of %s differ", name, names[a->type]);
}

/* The messages of a body, compared with those of `want`, if given. */
static enum frame_status read_body(struct rd *body, const struct vector *want)
{
    struct frame_stream stream = {0};
    enum frame_status status;
    struct frame_msg msg;
    unsigned i = 0;

    for (;; i++) {
        status = frame_next(body, &stream, &msg);
        if (status != FRAME_OK) {
            break;
        }
        ck_assert(want == NULL || i < want->nmsgs);
        if (want != NULL) {
            ck_same(want->name, &want->msgs[i], &msg);
        }
    }
    ck_assert(want == NULL || i == want->nmsgs);
    ck_assert_int_eq(frame_next(body, &stream, &msg), status);
    return status;
}

/* One batch, in memory of exactly its size, so that a sanitizer sees the first
 * byte beyond. */
static enum frame_status read_all(const uint8_t *p, size_t n,
                                  const struct vector *want)
{
    uint8_t *copy = malloc(n);
    struct frame_batch batch;
    enum frame_status status;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, p, n);
    status = frame_batch(copy, n, false, &batch);
    if (status == FRAME_OK) {
        ck_assert_uint_eq(batch.used, n);
        status = read_body(&batch.body, want);
    }
    free(copy);
    return status;
}

static uint8_t buf[FRAME_BATCH_MAX];

static void check_reads(struct vector *v)
{
    ck_assert_msg(read_all(v->bytes, v->nbytes, v) == FRAME_END,
                  "%s is refused", v->name);
}

static void check_writes(struct vector *v)
{
    struct frame_stream stream = {0};
    struct frame_out out;
    size_t size = 0;

    frame_begin(&out, buf, sizeof(buf), &stream);
    for (unsigned i = 0; i < v->nmsgs; i++) {
        ck_assert_msg(frame_put(&out, &v->msgs[i]), "%s: no room", v->name);
        size += frame_size(&v->msgs[i]);
    }
    ck_assert_uint_eq(frame_end(&out), v->nbytes);
    ck_assert_uint_eq(size + FRAME_HEAD, v->nbytes);
    ck_assert_msg(memcmp(buf, v->bytes, v->nbytes) == 0, "%s: written so not",
                  v->name);
}

/* Without its last bytes a batch is not there yet; a batch that claims to end
 * there is broken, unless a message ends there. */
static void check_truncations(struct vector *v)
{
    size_t ends[MESSAGES] = {FRAME_HEAD};
    unsigned at = 0;
    struct frame_batch batch;

    for (unsigned i = 0; i + 1 < v->nmsgs; i++) {
        ends[i + 1] = ends[i] + frame_size(&v->msgs[i]);
    }
    for (size_t n = 0; n < v->nbytes; n++) {
        bool whole = false;

        (void)wr_u32(v->bytes, (uint32_t)(v->nbytes - FRAME_HEAD));
        ck_assert_int_eq(frame_batch(v->bytes, n, false, &batch), FRAME_MORE);
        if (n <= FRAME_HEAD) {
            continue;
        }
        if (at + 1 < v->nmsgs && n == ends[at + 1]) {
            whole = true;
            at++;
        }
        (void)wr_u32(v->bytes, (uint32_t)(n - FRAME_HEAD));
        ck_assert_msg(read_all(v->bytes, n, NULL) ==
                          (whole ? FRAME_END : FRAME_BAD),
                      "%s cut at %zu", v->name, n);
    }
}

static void check_refuses(struct vector *v)
{
    ck_assert_msg(read_all(v->bytes, v->nbytes, NULL) == FRAME_BAD,
                  "%s is taken", v->name);
}

static bool seen[FRAME_HINTS + 1];

static void check_seen(struct vector *v)
{
    for (unsigned i = 0; i < v->nmsgs; i++) {
        seen[v->msgs[i].type] = true;
    }
}

START_TEST(vectors_are_read)
{
    each_vector(VECTOR_BATCH, 25, check_reads);
    each_vector(VECTOR_SKIP, 1, check_reads);
}
END_TEST

START_TEST(vectors_are_written)
{
    each_vector(VECTOR_BATCH, 25, check_writes);
}
END_TEST

START_TEST(vectors_cut_short_are_waited_for_or_refused)
{
    each_vector(VECTOR_BATCH, 25, check_truncations);
}
END_TEST

START_TEST(vectors_of_broken_batches_are_refused)
{
    each_vector(VECTOR_REFUSE, 35, check_refuses);
}
END_TEST

START_TEST(vectors_and_document_name_every_message)
{
    FILE *f = open_in_tree("doc/replication-protocol.md");
    bool told[FRAME_HINTS + 1] = {false};
    char line[512], name[32];
    unsigned type;

    each_vector(VECTOR_BATCH, 25, check_seen);
    while (fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line, "| `%31[A-Z_]` | 0x%x |", name, &type) == 2) {
            ck_assert_msg(type <= FRAME_HINTS && names[type] != NULL &&
                              strcmp(names[type], name) == 0,
                          "%s is not 0x%02x", name, type);
            told[type] = true;
        }
    }
    ck_assert_int_eq(fclose(f), 0);
    for (unsigned t = 0; t <= FRAME_HINTS; t++) {
        ck_assert_msg(told[t] == (names[t] != NULL), "document: 0x%02x", t);
        ck_assert_msg(seen[t] == (names[t] != NULL), "vectors: 0x%02x", t);
    }
}
END_TEST

/* ---- batches ------------------------------------------------------------ */

START_TEST(batch_of_the_greatest_length_is_taken)
{
    struct frame_batch batch;

    (void)wr_u32(buf, (uint32_t)FRAME_BODY_MAX);
    ck_assert_int_eq(
        frame_batch(buf, FRAME_HEAD + FRAME_BODY_MAX, false, &batch), FRAME_OK);
    ck_assert_uint_eq(batch.used, FRAME_HEAD + FRAME_BODY_MAX);
    ck_assert_uint_eq((size_t)(batch.body.end - batch.body.p), FRAME_BODY_MAX);
}
END_TEST

START_TEST(batch_of_a_wrong_length_is_refused_by_its_head)
{
    struct frame_batch batch;

    (void)wr_u32(buf, (uint32_t)FRAME_BODY_MAX + 1);
    ck_assert_int_eq(frame_batch(buf, 3, false, &batch), FRAME_MORE);
    ck_assert_int_eq(frame_batch(buf, FRAME_HEAD, false, &batch), FRAME_BAD);
    (void)wr_u32(buf, 0);
    ck_assert_int_eq(frame_batch(buf, FRAME_HEAD, true, &batch), FRAME_BAD);
}
END_TEST

START_TEST(batch_with_tag_ends_after_it)
{
    struct frame_batch batch;

    (void)wr_u32(buf, 5);
    for (size_t n = 0; n < FRAME_HEAD + 5 + FRAME_TAG; n++) {
        ck_assert_int_eq(frame_batch(buf, n, true, &batch), FRAME_MORE);
    }
    ck_assert_int_eq(frame_batch(buf, sizeof(buf), true, &batch), FRAME_OK);
    ck_assert_uint_eq(batch.used, FRAME_HEAD + 5 + FRAME_TAG);
    ck_assert_ptr_eq(batch.tag, buf + FRAME_HEAD + 5);
    ck_assert_ptr_eq(batch.body.end, batch.tag);
    ck_assert_int_eq(frame_batch(buf, sizeof(buf), false, &batch), FRAME_OK);
    ck_assert_ptr_null(batch.tag);
}
END_TEST

START_TEST(value_goes_on_in_the_next_batch)
{
    struct frame_stream writer = {0}, reader = {0};
    struct frame_msg begin = {.type = FRAME_ITEM_BEGIN,
                              .nkey = 1,
                              .key = "k",
                              .version = 1,
                              .nbytes = 6};
    struct frame_msg part = {
        .type = FRAME_ITEM_PART, .nbytes = 3, .bytes = (const uint8_t *)"abc"};
    struct frame_batch batch;
    struct frame_msg msg;
    struct frame_out out;
    size_t n;

    for (unsigned i = 0; i < 2; i++) {
        frame_begin(&out, buf, sizeof(buf), &writer);
        ck_assert(i > 0 || frame_put(&out, &begin));
        ck_assert(frame_put(&out, &part));
        n = frame_end(&out);
        ck_assert_int_eq(frame_batch(buf, n, false, &batch), FRAME_OK);
        while (frame_next(&batch.body, &reader, &msg) == FRAME_OK) {
        }
        ck_assert(rd_done(&batch.body));
        ck_assert_uint_eq(reader.left, i == 0 ? 3 : 0);
        ck_assert_uint_eq(writer.left, reader.left);
    }
}
END_TEST

/* ---- writing ------------------------------------------------------------ */

START_TEST(empty_batch_is_not_sent)
{
    struct frame_stream stream = {0};
    struct frame_out out;

    frame_begin(&out, buf, sizeof(buf), &stream);
    ck_assert_uint_eq(frame_end(&out), 0);
}
END_TEST

START_TEST(reserve_is_for_control_messages)
{
    static uint8_t value[FRAME_WHOLE_MAX];
    struct frame_stream stream = {0};
    struct frame_msg ack = {.type = FRAME_ACK, .position = 1};
    struct frame_msg end = {.type = FRAME_COPY_END};
    char key[KEY_MAX_LENGTH] = "";
    struct frame_msg item = {.type = FRAME_ITEM,
                             .bits = FRAME_HAS_CAS,
                             .nkey = KEY_MAX_LENGTH,
                             .key = key,
                             .version = 1,
                             .nbytes = FRAME_WHOLE_MAX,
                             .bytes = value};
    struct frame_msg want = {
        .type = FRAME_WANT, .nkey = KEY_MAX_LENGTH, .key = key, .version = 1};
    struct frame_out out;
    unsigned wants = 0;
    size_t room;

    frame_begin(&out, buf, sizeof(buf), &stream);
    ck_assert_uint_eq(frame_room_control(&out), FRAME_BODY_MAX);
    ck_assert(frame_put(&out, &item));
    while (frame_room(&out) > 0) {
        ck_assert(frame_put(&out, &end));
    }
    ck_assert(!frame_put(&out, &end));
    ck_assert_uint_eq(frame_room_control(&out), FRAME_RESERVED);
    while (frame_put(&out, &want)) {
        wants++;
    }
    ck_assert_uint_eq(wants, FRAME_RESERVED / frame_size(&want));
    ck_assert_uint_ge(wants, 15);
    room = frame_room_control(&out);
    while (frame_put(&out, &ack)) {
        room -= frame_size(&ack);
    }
    ck_assert_uint_eq(frame_room_control(&out), room);
    ck_assert_uint_lt(room, frame_size(&ack));
    ck_assert_int_eq(read_all(buf, frame_end(&out), NULL), FRAME_END);
}
END_TEST

START_TEST(small_buffer_keeps_room_for_the_tag)
{
    struct frame_stream stream = {0};
    struct frame_msg end = {.type = FRAME_COPY_END};
    struct frame_out out;

    frame_begin(&out, buf, FRAME_HEAD + FRAME_RESERVED + 1 + FRAME_TAG,
                &stream);
    ck_assert_uint_eq(frame_room(&out), 1);
    ck_assert(frame_put(&out, &end));
    ck_assert(!frame_put(&out, &end));
    ck_assert_uint_eq(frame_end(&out), FRAME_HEAD + 1);
}
END_TEST

START_TEST(value_may_be_filled_in_place)
{
    struct frame_stream stream = {0};
    struct frame_msg item = {.type = FRAME_ITEM,
                             .nkey = 1,
                             .key = "k",
                             .version = 1,
                             .nbytes = 3,
                             .bytes = (const uint8_t *)"xyz"};
    uint8_t want[64];
    struct frame_out out;
    uint8_t *value;
    size_t n;

    frame_begin(&out, buf, sizeof(buf), &stream);
    ck_assert(frame_put(&out, &item));
    n = frame_end(&out);
    memcpy(want, buf, n);
    memset(buf, 0, n);
    frame_begin(&out, buf, sizeof(buf), &stream);
    item.bytes = NULL;
    value = frame_put_head(&out, &item);
    ck_assert_ptr_nonnull(value);
    memcpy(value, "xyz", 3);
    ck_assert_uint_eq(frame_end(&out), n);
    ck_assert(memcmp(buf, want, n) == 0);
    item.nbytes = FRAME_BODY_MAX;
    frame_begin(&out, buf, sizeof(buf), &stream);
    ck_assert_ptr_null(frame_put_head(&out, &item));
    ck_assert_uint_eq(frame_end(&out), 0);
}
END_TEST

START_TEST(hints_have_a_bound)
{
    static uint8_t payload[FRAME_HINTS_MAX];
    struct frame_stream stream = {0};
    struct frame_msg hints = {
        .type = FRAME_HINTS, .nbytes = sizeof(payload), .bytes = payload};
    struct frame_msg msg;
    struct frame_batch batch;
    struct frame_out out;
    size_t n;

    payload[sizeof(payload) - 1] = 77;
    frame_begin(&out, buf, sizeof(buf), &stream);
    ck_assert(frame_put(&out, &hints));
    n = frame_end(&out);
    ck_assert_int_eq(frame_batch(buf, n, false, &batch), FRAME_OK);
    ck_assert_int_eq(frame_next(&batch.body, &stream, &msg), FRAME_OK);
    ck_assert_uint_eq(msg.nbytes, sizeof(payload));
    ck_assert(memcmp(msg.bytes, payload, sizeof(payload)) == 0);
    /* One more byte of them. */
    (void)wr_u32(buf, (uint32_t)(n - FRAME_HEAD + 1));
    (void)wr_u16(buf + FRAME_HEAD + 1, (uint16_t)(sizeof(payload) + 1));
    ck_assert_int_eq(read_all(buf, n + 1, NULL), FRAME_BAD);
}
END_TEST

/* Keys go in words: no length may lose, or write beyond, a byte. */
START_TEST(keys_of_every_length_are_written_whole)
{
    char key[KEY_MAX_LENGTH];
    struct frame_stream stream = {0};
    struct frame_out out;

    for (unsigned i = 0; i < sizeof(key); i++) {
        key[i] = (char)i;
    }
    for (unsigned n = 1; n <= KEY_MAX_LENGTH; n++) {
        struct frame_msg msg = {
            .type = FRAME_DELETE, .nkey = (uint8_t)n, .key = key, .version = 1};

        memset(buf, 0xee, FRAME_HEAD + 11 + KEY_MAX_LENGTH + 8);
        frame_begin(&out, buf, sizeof(buf), &stream);
        ck_assert(frame_put(&out, &msg));
        ck_assert_uint_eq(frame_end(&out), FRAME_HEAD + 11 + n);
        ck_assert(memcmp(buf + FRAME_HEAD + 11, key, n) == 0);
        ck_assert_uint_eq(buf[FRAME_HEAD + 11 + n], 0xee);
    }
}
END_TEST

/* What our own code got wrong never reaches the wire. */
static void put_wrong(struct frame_msg msg)
{
    struct frame_stream stream = {0};
    struct frame_out out;

    frame_begin(&out, buf, sizeof(buf), &stream);
    (void)!frame_put(&out, &msg);
}

START_TEST(wrong_version_is_not_written)
{
    put_wrong((struct frame_msg){.type = FRAME_BARRIER});
}
END_TEST

START_TEST(part_without_begin_is_not_written)
{
    put_wrong((struct frame_msg){
        .type = FRAME_ITEM_PART, .nbytes = 1, .bytes = (const uint8_t *)"x"});
}
END_TEST

static TCase *vector_cases(void)
{
    TCase *tc = tcase_create("vectors");

    tcase_add_test(tc, vectors_are_read);
    tcase_add_test(tc, vectors_are_written);
    tcase_add_test(tc, vectors_cut_short_are_waited_for_or_refused);
    tcase_add_test(tc, vectors_of_broken_batches_are_refused);
    tcase_add_test(tc, vectors_and_document_name_every_message);
    return tc;
}

static TCase *batch_cases(void)
{
    TCase *tc = tcase_create("batches");

    tcase_add_test(tc, batch_of_the_greatest_length_is_taken);
    tcase_add_test(tc, batch_of_a_wrong_length_is_refused_by_its_head);
    tcase_add_test(tc, batch_with_tag_ends_after_it);
    tcase_add_test(tc, value_goes_on_in_the_next_batch);
    tcase_add_test(tc, empty_batch_is_not_sent);
    tcase_add_test(tc, reserve_is_for_control_messages);
    tcase_add_test(tc, small_buffer_keeps_room_for_the_tag);
    tcase_add_test(tc, value_may_be_filled_in_place);
    tcase_add_test(tc, hints_have_a_bound);
    tcase_add_test(tc, keys_of_every_length_are_written_whole);
    tcase_add_test_raise_signal(tc, wrong_version_is_not_written, SIGABRT);
    tcase_add_test_raise_signal(tc, part_without_begin_is_not_written, SIGABRT);
    return tc;
}

int main(void)
{
    Suite *s = suite_create("frame");
    SRunner *sr;
    int failed;

    suite_add_tcase(s, vector_cases());
    suite_add_tcase(s, batch_cases());
    sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
