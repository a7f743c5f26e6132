/*
 * rep_path - what replication costs per operation, without a network.
 *
 *   rep_path [items]
 *
 * Stores items of 100 bytes with no reader and with one (the difference is
 * the log's share of a set), then reads the log, formats live states, scans,
 * and applies the scan to a fresh store. Prints nanoseconds per operation,
 * thread CPU time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/apply.h"
#include "rep/log.h"
#include "rep/scan.h"
#include "store.h"

enum { VALUE = 100, KEY = 16, OUT = 256 * 1024 };

static struct rep_floor *floors;
static struct rep_log *rlog;
static struct rep_log_batch batch;
static char *stream; /* the whole scan */
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

static void keep(struct rep_out *out)
{
    char *grown;

    if (stream_room - stream_n < out->len) {
        stream_room = stream_room * 2 + OUT;
        grown = realloc(stream, stream_room);
        must(grown != NULL, "realloc");
        stream = grown;
    }
    memcpy(stream + stream_n, out->buf, out->len);
    stream_n += out->len;
    rep_out_clear(out);
}

static void run_live(const struct rep_peer *peer, uint64_t pos)
{
    char *buf = malloc(OUT);
    struct rep_out out;
    double read = 0, format = 0, t;
    size_t entries = 0;

    must(buf != NULL, "malloc");
    rep_out_init(&out, buf, OUT);
    for (;;) {
        unsigned i = 0;

        t = now_ns();
        if (rep_log_read(rlog, peer->reader, pos, &batch) != REP_LOG_OK) {
            break;
        }
        read += now_ns() - t;
        entries += batch.n;
        t = now_ns();
        while (!rep_scan_live(peer, &batch, &i, &out)) {
            rep_out_clear(&out);
        }
        rep_out_clear(&out);
        format += now_ns() - t;
        pos = batch.next;
        rep_log_ack(rlog, peer->reader, pos);
    }
    report("log read, an entry", read, entries);
    report("live format, an entry", format, entries);
    free(buf);
}

static void run_scan(const struct rep_peer *peer)
{
    char *buf = malloc(OUT);
    struct rep_scan scan;
    struct rep_out out;
    double spent = 0, t;
    enum rep_scan_status status;

    must(buf != NULL, "malloc");
    rep_out_init(&out, buf, OUT);
    rep_scan_begin(&scan, 0, false);
    do {
        t = now_ns();
        status = rep_scan_step(&scan, peer, &out);
        spent += now_ns() - t;
        if (status == REP_SCAN_DONE || OUT - out.len < REP_SCAN_ROOM) {
            keep(&out);
        }
    } while (status == REP_SCAN_MORE);
    report("scan and format, an item", spent, scan.items);
    free(buf);
}

static void run_apply(int reader, const char *what)
{
    struct rep_apply_config config = {
        .dialect = WIRE_OURS, .reader = reader, .floors = floors, .log = rlog};
    struct rep_apply *ap = rep_apply_new(&config);
    struct rep_apply_stats st;
    struct wire_msg msg;
    size_t at = 0, used;
    double spent = now_ns();

    must(ap != NULL, "rep_apply_new");
    while (at < stream_n) {
        size_t n = stream_n - at < 65536 ? stream_n - at : 65536;

        must(rep_apply_feed(ap, stream + at, n, &used, &msg) != REP_APPLY_BAD,
             "rep_apply_feed");
        at += used;
    }
    spent = now_ns() - spent;
    rep_apply_stats(ap, &st);
    report(what, spent, st.items);
    must(st.stale == 0 && st.unstorable == 0, "apply");
    rep_apply_free(ap);
}

static void run_parse(void)
{
    struct wire_msg msg;
    size_t at = 0, used = 0, n = 0;
    double spent = now_ns();

    while (at < stream_n) {
        must(wire_parse(WIRE_OURS, stream + at, stream_n - at, &msg, &used) ==
                 WIRE_OK,
             "wire_parse");
        at += used + (msg.has_data ? msg.nbytes + 2 : 0);
        n++;
    }
    report("parse alone, a line", now_ns() - spent, n);
}

int main(int argc, char **argv)
{
    size_t items = argc > 1 ? strtoul(argv[1], NULL, 10) : 500000;
    size_t memory = items * 256 + 256 * MIB;
    struct rep_peer peer = {.dialect = WIRE_OURS, .item_size_max = MIB};
    uint64_t pos;

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
    peer.reader = rep_log_open(rlog, &pos);
    peer.floors = floors;
    peer.log = rlog;
    report("set, logged", set_all(items), items);
    run_live(&peer, pos);
    report("change, logged", change_all(items), items);
    run_scan(&peer);
    run_parse();
    store_fini();
    start(memory, true);
    run_apply(peer.reader, "parse and apply, a new item");
    run_apply(peer.reader, "parse and apply, the same again");
    store_fini();
    free(stream);
    rep_log_free(rlog);
    rep_floor_free(floors);
    return EXIT_SUCCESS;
}
