#include "t/unit/applying.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct rep_floor *floors;
struct rep_log *rlog;
struct rep_apply *ap;
struct rep_apply_config config;
struct rep_sweep sweep;
struct rep_log_batch batch;
static uint64_t pos;

/* ---- what the receiver says ---- */

static char said[4096]; /* all calls since the last look, "want k 17; " each */
unsigned refuse;        /* answers and controls from this one on fail; 0 none */

static bool say(const char *what, const char *key, unsigned nkey, uint64_t n)
{
    size_t len = strlen(said);

    (void)snprintf(said + len, sizeof(said) - len, "%s %.*s %llu; ", what,
                   (int)nkey, key, U(n));
    return refuse == 0 || --refuse != 0;
}

static bool on_control(void *ctx, const struct frame_msg *msg)
{
    ck_assert_ptr_eq(ctx, &said);
    if (msg->type == FRAME_ACK) {
        rep_log_ack(rlog, config.reader, msg->position);
    }
    return msg->key != NULL
               ? say("control", msg->key, msg->nkey, msg->type)
               : say("control", "-", 1, msg->type * 1000 + msg->position);
}

static bool on_want(void *ctx, const char *key, uint8_t nkey, uint64_t version,
                    uint8_t hops)
{
    (void)hops;
    ck_assert_ptr_eq(ctx, &said);
    return say("want", key, nkey, version);
}

static bool on_gone(void *ctx, const char *key, uint8_t nkey, uint64_t version)
{
    ck_assert_ptr_eq(ctx, &said);
    return say("gone", key, nkey, version);
}

static const struct rep_apply_calls calls = {
    .ctx = &said, .control = on_control, .want = on_want, .gone = on_gone};

void hush(void)
{
    said[0] = '\0';
}

const char *heard(void)
{
    static char text[sizeof(said)];

    memcpy(text, said, sizeof(text));
    hush();
    return text;
}

/* "want k 17; " */
const char *saying(const char *what, const char *key, uint64_t n)
{
    static char text[256];

    (void)snprintf(text, sizeof(text), "%s %s %llu; ", what, key, U(n));
    return text;
}

/* ---- set-up ---- */

uint8_t body[FRAME_BATCH_MAX];
struct frame_out out;
struct frame_stream sender;

static void start(size_t floor_bytes)
{
    struct store_config store = store_config_default();

    clock_freeze(START_MS);
    version_init(VERSION_HYBRID, SLOT);
    hash_init();
    store.item_size_max = ITEM_MAX;
    ck_assert(store_init(&store));
    floors = rep_floor_new(floor_bytes);
    rlog = rep_log_new(MIB, floors);
    store_observe(rep_log_observer(rlog));
    rep_sweep_init(&sweep);
    config = (struct rep_apply_config){
        .floors = floors, .sweep = &sweep, .log = rlog, .fd = 7};
    config.reader = rep_log_open(rlog, &pos);
    ap = rep_apply_new(&config, &calls);
    hush();
    refuse = 0;
    sender = (struct frame_stream){0};
    frame_begin(&out, body, sizeof(body), &sender);
}

void setup(void)
{
    start(MIB);
}

/* Few floors, so that some are dropped: see miss(). */
void setup_small(void)
{
    start(4096);
}

void teardown(void)
{
    rep_apply_free(ap);
    store_observe(NULL);
    rep_sweep_fini(&sweep);
    rep_log_free(rlog);
    rep_floor_free(floors);
    store_fini();
}

/* ---- bodies ---- */

void put(const struct frame_msg *msg)
{
    ck_assert(frame_put(&out, msg));
}

enum rep_apply_status feed_bytes(const uint8_t *p, size_t n)
{
    struct rd r = {p, p + n, false};

    return rep_apply_body(ap, &r);
}

/* Ends the batch and feeds its body. */
enum rep_apply_status feed(void)
{
    size_t n = frame_end(&out);

    frame_begin(&out, body, sizeof(body), &sender);
    ck_assert_uint_gt(n, FRAME_HEAD);
    return feed_bytes(body + FRAME_HEAD, n - FRAME_HEAD);
}

enum rep_apply_status feed_one(const struct frame_msg *msg)
{
    put(msg);
    return feed();
}

struct frame_msg item_msg(const char *key, const char *value, uint64_t version)
{
    return (struct frame_msg){.type = FRAME_ITEM,
                              .nkey = (uint8_t)strlen(key),
                              .key = key,
                              .flags = 5,
                              .nbytes = (uint32_t)strlen(value),
                              .bytes = (const uint8_t *)value,
                              .version = version};
}

/* DELETE, TOUCH, OFFER, GONE, WANT */
struct frame_msg key_msg(enum frame_type type, const char *key,
                         uint64_t version)
{
    return (struct frame_msg){.type = (uint8_t)type,
                              .nkey = (uint8_t)strlen(key),
                              .key = key,
                              .version = version};
}

struct frame_msg floor_msg(const char *key, uint64_t version)
{
    return (struct frame_msg){.type = FRAME_FLOOR,
                              .hash = hash_key_agreed(key, strlen(key)),
                              .version = version};
}

struct frame_msg number_msg(enum frame_type type, uint64_t n)
{
    return (struct frame_msg){.type = (uint8_t)type, .position = n};
}

enum rep_apply_status feed_item(const char *key, const char *value,
                                uint64_t version)
{
    struct frame_msg msg = item_msg(key, value, version);

    return feed_one(&msg);
}

enum rep_apply_status feed_key(enum frame_type type, const char *key,
                               uint64_t version)
{
    struct frame_msg msg = key_msg(type, key, version);

    return feed_one(&msg);
}

enum rep_apply_status feed_touch(const char *key, uint32_t exptime,
                                 uint64_t version)
{
    struct frame_msg msg = key_msg(FRAME_TOUCH, key, version);

    msg.exptime = exptime;
    return feed_one(&msg);
}

/* ---- the store ---- */

uint64_t set(const char *name, const char *value)
{
    struct store_key key = store_key(name, strlen(name));
    struct store_attrs attrs = {7, 0};
    uint64_t cas = 0;

    ck_assert_int_eq(
        store_set(&key, &attrs, STORE_SET, value, strlen(value), &cas),
        STORE_OK);
    return cas;
}

void delete_key(const char *name)
{
    struct store_key key = store_key(name, strlen(name));

    (void)!store_delete(&key, 0, NULL);
}

/* "value flags exptime version" of a key, or "none". */
const char *get(const char *name)
{
    static char text[256];
    struct store_key key = store_key(name, strlen(name));
    struct item *it = store_hold(&key, NULL);

    if (it == NULL) {
        return "none";
    }
    ck_assert_uint_lt(it->nbytes, 100);
    (void)snprintf(text, sizeof(text), "%.*s %u %u %llu", (int)it->nbytes,
                   item_data(it), item_flags(it), it->exptime, U(it->version));
    store_release(it);
    return text;
}

const char *state(const char *value, unsigned flags, uint32_t exptime,
                  uint64_t version)
{
    static char text[256];

    (void)snprintf(text, sizeof(text), "%s %u %u %llu", value, flags, exptime,
                   U(version));
    return text;
}

uint64_t floor_of(const char *name)
{
    return rep_floor_get(floors, hash_key_agreed(name, strlen(name)));
}

unsigned item_bits_of(const char *name)
{
    struct store_key key = store_key(name, strlen(name));
    struct item *it = store_hold(&key, NULL);
    unsigned bits;

    ck_assert_ptr_nonnull(it);
    bits =
        it->bits & (ITEM_B64KEY | ITEM_STALE | ITEM_TOKEN_SENT | ITEM_TOUCHED);
    store_release(it);
    return bits;
}

uint64_t item_cas_of(const char *name)
{
    struct store_key key = store_key(name, strlen(name));
    struct item *it = store_hold(&key, NULL);
    uint64_t cas;

    ck_assert_ptr_nonnull(it);
    cas = item_cas(it);
    store_release(it);
    return cas;
}

/* Takes what is in the log for the peer since the last call. */
unsigned to_peer(void)
{
    enum rep_log_status s = rep_log_read(rlog, config.reader, pos, &batch);

    pos = batch.next;
    return s == REP_LOG_OK ? batch.n : 0;
}

void ack_all(void)
{
    rep_log_ack(rlog, config.reader, rep_log_head(rlog));
}

struct rep_apply_stats stats(void)
{
    struct rep_apply_stats st;

    rep_apply_stats(ap, &st);
    return st;
}

/* What P missed in the cell of a key becomes `version`: the floor of another
 * key of the cell is dropped. */
void miss(const char *name, uint64_t version)
{
    unsigned cell = rep_floor_cell(floors, hash_key_agreed(name, strlen(name)));

    for (unsigned i = 0; i < 1000000; i++) {
        uint64_t hash = hash_key_agreed((const char *)&i, sizeof(i));

        if (rep_floor_cell(floors, hash) == cell) {
            (void)rep_floor_raise(floors, hash, version);
        }
        if (rep_floor_missed(floors, config.reader, cell) == version) {
            return;
        }
    }
    ck_abort_msg("nothing was missed");
}
