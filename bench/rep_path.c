/*
 * rep_path - what replication costs per operation, without a network.
 *
 *   rep_path [items]
 *
 * Stores items of 100 bytes with no reader and with one (the difference is
 * the log's share of a set), then reads the log, formats live states, and
 * scans. Prints nanoseconds per operation, thread CPU time. What receiving
 * costs is rep_apply's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/log.h"
#include "rep/scan.h"
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
            rep_out_clear(&out);
        }
    } while (status == REP_SCAN_MORE);
    report("scan and format, an item", spent, scan.items);
    free(buf);
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
    store_fini();
    rep_log_free(rlog);
    rep_floor_free(floors);
    return EXIT_SUCCESS;
}
