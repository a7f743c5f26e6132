/*
 * rep_apply - what applying a received item costs, without a network.
 *
 *   rep_apply [items]
 *
 * Batches of ITEMs with values of 100 bytes, as a full copy brings them, are
 * applied to an empty store that has room for them, again (nothing changes),
 * and with newer versions. Prints nanoseconds per item, CPU time of the thread.
 * The first row of applying includes the kernel giving the memory; the second
 * has it already.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/apply.h"

enum { VALUE = 100, KEY = 16 };

static struct rep_floor *floors;
static struct rep_log *rlog;
static int reader;
static uint8_t *stream; /* the batches, one behind the other */
static size_t stream_n, stream_room;

static double now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void report(const char *what, double ns, size_t n)
{
    (void)printf("%-34s %8.1f ns  %7.2f M/s\n", what, ns / (double)n,
                 (double)n * 1e3 / ns);
}

static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "rep_apply: %s failed\n", what);
        exit(EXIT_FAILURE);
    }
}

static void start(size_t memory)
{
    struct store_config config = store_config_default();

    config.memory_limit = memory;
    must(store_init(&config), "store_init");
    store_observe(rep_log_observer(rlog));
}

/* Room for another batch behind those there are. */
static uint8_t *batch_room(void)
{
    uint8_t *grown;

    if (stream_room - stream_n < FRAME_BATCH_MAX) {
        stream_room = stream_room * 2 + MIB;
        grown = realloc(stream, stream_room);
        must(grown != NULL, "realloc");
        stream = grown;
    }
    return stream + stream_n;
}

/* Batches of `items` items whose versions begin with `version`. */
static void make_stream(size_t items, uint64_t version)
{
    static const uint8_t value[VALUE];
    struct frame_stream parts = {0};
    struct frame_out out;
    char key[32];
    struct frame_msg msg = {.type = FRAME_ITEM,
                            .nkey = KEY,
                            .key = key,
                            .bytes = value,
                            .nbytes = VALUE};

    stream_n = 0;
    frame_begin(&out, batch_room(), FRAME_BATCH_MAX, &parts);
    for (size_t i = 0; i < items; i++) {
        (void)snprintf(key, sizeof(key), "key-%012zu", i);
        msg.version = version + (i << VERSION_SLOT_BITS);
        if (!frame_put(&out, &msg)) {
            stream_n += frame_end(&out);
            frame_begin(&out, batch_room(), FRAME_BATCH_MAX, &parts);
            must(frame_put(&out, &msg), "frame_put");
        }
    }
    stream_n += frame_end(&out);
}

static struct rd next_body(size_t *at)
{
    struct frame_batch batch;

    must(frame_batch(stream + *at, stream_n - *at, false, &batch) == FRAME_OK,
         "frame_batch");
    *at += batch.used;
    return batch.body;
}

static void run_parse(void)
{
    struct frame_stream parts = {0};
    struct frame_msg msg;
    size_t n = 0;
    double spent = now_ns();

    for (size_t at = 0; at < stream_n;) {
        struct rd body = next_body(&at);

        while (frame_next(&body, &parts, &msg) == FRAME_OK) {
            n++;
        }
    }
    report("parse alone", now_ns() - spent, n);
}

static bool on_control(void *ctx, const struct frame_msg *msg)
{
    (void)ctx;
    (void)msg;
    return true;
}

static bool on_answer(void *ctx, const char *key, uint8_t nkey,
                      uint64_t version)
{
    (void)ctx;
    (void)key;
    (void)nkey;
    (void)version;
    return true;
}

static void run_apply(const char *what)
{
    const struct rep_apply_calls calls = {
        .control = on_control, .want = on_answer, .gone = on_answer};
    struct rep_apply_config config = {
        .reader = reader, .floors = floors, .log = rlog};
    struct rep_apply *ap = rep_apply_new(&config, &calls);
    struct rep_apply_stats st;
    double spent = now_ns();

    must(ap != NULL, "rep_apply_new");
    for (size_t at = 0; at < stream_n;) {
        struct rd body = next_body(&at);

        must(rep_apply_body(ap, &body) == REP_APPLY_OK, "rep_apply_body");
    }
    spent = now_ns() - spent;
    rep_apply_stats(ap, &st);
    report(what, spent, st.items);
    must(st.stale == 0 && st.unstorable == 0, "apply");
    rep_apply_free(ap);
}

/* Takes the pages of the memory, and gives the items back. */
static void warm_up(size_t items)
{
    char key[32];

    for (size_t i = 0; i < items; i++) {
        struct store_key k;

        (void)snprintf(key, sizeof(key), "key-%012zu", i);
        k = store_key(key, KEY);
        must(store_delete(&k, 0, NULL) == STORE_OK, "store_delete");
    }
}

int main(int argc, char **argv)
{
    size_t items = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    size_t memory = items * 256 + 256 * MIB;
    uint64_t pos;

    must(items > 0, "reading the number of items");
    clock_init();
    hash_init();
    version_init(VERSION_HYBRID, 1);
    floors = rep_floor_new(rep_floor_default_bytes(memory));
    rlog = rep_log_new(MIB, floors);
    must(floors != NULL && rlog != NULL, "memory");
    start(memory);
    reader = rep_log_open(rlog, &pos);

    make_stream(items, version_at_ms(clock_ms()) + 9);
    run_parse();
    run_apply("apply, a new item");
    run_apply("apply, the same again");
    warm_up(items);
    make_stream(items, version_at_ms(clock_ms() + 10000) + 9);
    run_apply("apply, a new item, warm memory");
    make_stream(items, version_at_ms(clock_ms() + 20000) + 9);
    run_apply("apply, a newer version");
    store_fini();
    free(stream);
    rep_log_free(rlog);
    rep_floor_free(floors);
    return EXIT_SUCCESS;
}
