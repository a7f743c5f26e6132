/*
 * rep_path - what replication costs per operation, without a network.
 *
 *   rep_path [items]
 *
 * Stores items of 100 bytes with no reader and with one (the difference is
 * the log's share of a set), then reads the log, writes live states as messages
 * and as lines of 2.x, and scans. Prints nanoseconds per operation, thread CPU
 * time. What receiving costs is rep_apply's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/log.h"
#include "rep/out.h"
#include "rep/say.h"
#include "rep/scan.h"
#include "rep/text_out.h"
#include "store.h"

enum { VALUE = 100, KEY = 16, OUT = 256 * 1024 };

static struct rep_floor *floors;
static struct rep_log *rlog;
static struct rep_log_batch batch;

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
        (void)fprintf(stderr, "rep_path: %s failed\n", what);
        exit(EXIT_FAILURE);
    }
}

static void start(size_t memory, bool observed)
{
    struct store_config config = store_config_default();

    config.memory_limit = memory;
    must(store_init(&config), "store_init");
    store_observe(observed ? rep_log_observer(rlog) : NULL);
}

static size_t make_key(char *key, size_t i)
{
    (void)snprintf(key, 32, "key-%012zu", i);
    return KEY;
}

static double set_all(size_t items)
{
    static const char value[VALUE];
    struct store_attrs attrs = {0, 0};
    char key[32];
    double spent = now_ns();

    for (size_t i = 0; i < items; i++) {
        struct store_key k = store_key(key, make_key(key, i));

        must(store_set(&k, &attrs, STORE_SET, value, VALUE, NULL) == STORE_OK,
             "store_set");
    }
    return now_ns() - spent;
}

/* The observer alone, as a set calls it. */
static double change_all(size_t n)
{
    const struct store_observer *ob = rep_log_observer(rlog);
    struct store_key key = store_key("key-000000000001", KEY);
    struct store_change change = {.op = STORE_OP_ITEM, .key = &key};
    double spent = now_ns();

    for (size_t i = 0; i < n; i++) {
        (void)ob->change(ob->ctx, &change);
    }
    return now_ns() - spent;
}

/* The buffer is full: as if it had been sent. */
static void send_all(struct rep_out *out)
{
    rep_out_close(out);
    rep_out_clear(out);
}

static void say_batch(struct rep_say *say)
{
    for (unsigned i = 0; i < batch.n; i++) {
        rep_say_ahead(&batch, i);
        while (rep_say_entry(say, &batch.entry[i]) == REP_SAID_FULL) {
            send_all(say->out);
        }
    }
    send_all(say->out);
}

static void text_batch(struct rep_text_out *text)
{
    for (unsigned i = 0; i < batch.n; i++) {
        while (!rep_text_entry(text, &batch.entry[i])) {
            rep_text_clear(text);
        }
    }
    rep_text_clear(text);
}

static void run_live(struct rep_say *say, int reader, uint64_t pos)
{
    struct rep_text_out text;
    char *buf = malloc(OUT);
    double read = 0, frames = 0, lines = 0, t;
    size_t entries = 0;

    must(buf != NULL, "malloc");
    rep_log_turn(rlog);
    rep_text_init(&text, buf, OUT);
    for (;;) {
        t = now_ns();
        if (rep_log_read(rlog, reader, pos, &batch) != REP_LOG_OK) {
            break;
        }
        read += now_ns() - t;
        entries += batch.n;
        t = now_ns();
        say_batch(say);
        frames += now_ns() - t;
        t = now_ns();
        text_batch(&text);
        lines += now_ns() - t;
        pos = batch.next;
        rep_log_ack(rlog, reader, pos);
    }
    report("log read, an entry", read, entries);
    report("live message, an entry", frames, entries);
    report("line of 2.x, the same entry", lines, entries);
    free(buf);
}

static bool scan_item(void *ctx, struct item *it)
{
    return rep_say_item(ctx, it) == REP_SAID;
}

static bool scan_floor(void *ctx, uint64_t hash, uint64_t version)
{
    return rep_say_floor(ctx, hash, version, 0);
}

static void run_scan(struct rep_say *say)
{
    const struct rep_scan_calls calls = {
        .item = scan_item, .expired = scan_item, .floor = scan_floor};
    const struct rep_scan_plan plan = {.before = REP_SCAN_NONE};
    struct rep_scan scan;
    enum rep_scan_status status;
    double spent = now_ns();

    say->items = 0;
    rep_scan_begin(&scan, &plan);
    do {
        status = rep_scan_step(&scan, floors, &calls, say);
        send_all(say->out);
    } while (status == REP_SCAN_MORE);
    report("scan and message, an item", now_ns() - spent, say->items);
}

static void run_sending(int reader, uint64_t pos)
{
    uint8_t *buf = malloc(OUT);
    struct rep_out out;
    struct rep_say say = {
        .out = &out, .floors = floors, .log = rlog, .item_size_max = MIB};

    must(buf != NULL, "malloc");
    rep_out_init(&out, buf, OUT, NULL);
    run_live(&say, reader, pos);
    run_scan(&say);
    rep_out_fini(&out);
    free(buf);
}

int main(int argc, char **argv)
{
    size_t items = argc > 1 ? strtoul(argv[1], NULL, 10) : 500000;
    size_t memory = items * 256 + 256 * MIB;
    uint64_t pos;
    int reader;

    must(items > 0, "reading the number of items");
    clock_init();
    hash_init();
    version_init(VERSION_HYBRID, 1);
    floors = rep_floor_new(MIB);
    rlog = rep_log_new(items * 32 + MIB, floors);
    must(floors != NULL && rlog != NULL, "memory");

    start(memory, false);
    (void)set_all(items); /* touches the memory */
    report("set, no observer", set_all(items), items);
    store_fini();
    start(memory, true);
    (void)set_all(items);
    report("set, observer, nobody linked", set_all(items), items);
    report("change, nobody linked", change_all(items), items);
    reader = rep_log_open(rlog, &pos);
    must(reader >= 0, "rep_log_open");
    report("set, logged", set_all(items), items);
    run_sending(reader, pos);
    report("change, logged", change_all(items), items);
    store_fini();
    rep_log_free(rlog);
    rep_floor_free(floors);
    return EXIT_SUCCESS;
}
