/*
 * Fuzzes one link of replication against a small store. The input is the peer.
 * Its first byte says how far the two have come, the second how the bytes are
 * cut and whether output is blocked now and then; the rest is what the peer
 * says. What the link says has to be batches that can be read, and to end.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/version.h"
#include "rep/frame.h"
#include "rep/link.h"

#define START_MS UINT64_C(1800000000000)
#define RUN      0x1111
#define PEER_RUN 0x2222

enum {
    ITEM_MAX = 128 * 1024,
    LARGE = 70000,        /* goes in parts */
    PENDING = 512 * 1024, /* what the link said and is not read yet */
    OUTPUT = 256 * MIB,   /* more than any input can ask for */
    BODY = FRAME_BODY_MAX - 1
};

/* How far the two have come, beside who dialled. */
enum state {
    FIRST,        /* not a word is said */
    FIRST_SECRET, /* the same, with a secret */
    LINKED,       /* hellos are said; then bytes */
    BODIES,       /* the same; then a length of 16 bits and a body, and so on */
    TWICE,        /* the same; in the midst the link breaks and comes again */
    LEGACY,       /* its first command is said; then bytes */
    STATES
};

static struct {
    struct rep_floor *floors;
    struct rep_log *log;
    struct rep_runs *runs;
    struct rep_sweep sweep;
    struct rep_hints *hints; /* once for all */
    struct rep_auth_secret *secret;
    struct rep_link_env env;
    struct rep_link *link;
    enum state state;
    bool dialled, linked, scanning, behind, announced, blocks;
    uint64_t lost;
    size_t cut;
    uint64_t ns;
    unsigned steps;

    uint8_t said[PENDING]; /* by the link */
    size_t nsaid, total;
    bool batches; /* it has said its line */
    struct frame_stream parts;
} w;

/* ---- what rep/core would do --------------------------------------------- */

static void begin(bool legacy)
{
    if (!legacy && !w.dialled) {
        rep_link_hello(w.link);
    }
    if (!rep_link_begin(w.link, legacy, 0)) {
        rep_link_close(w.link);
        return;
    }
    w.linked = w.scanning = true;
    if (!legacy) {
        rep_link_catch_up(w.link);
    } else if (!w.dialled) {
        rep_link_scan(w.link, 0);
    }
}

static void on_hello(const struct rep_event *ev)
{
    if (w.linked) {
        rep_link_close(w.link); /* was legacy, and is upgraded */
    } else if (ev->run == RUN || ev->skew > REP_CORE_SKEW_MAX_MS) {
        if (w.dialled) {
            rep_link_close(w.link);
        } else {
            rep_link_refuse(w.link, ev->run == RUN ? WIRE_SELF : WIRE_CLOCK);
        }
    } else {
        begin(false);
    }
}

static void on_scan_done(void)
{
    if (w.behind) {
        w.behind = false;
        rep_link_scan(w.link, w.lost);
        return;
    }
    w.scanning = false;
    if (!w.announced) {
        w.announced = true;
        rep_link_announce(w.link);
    }
}

static void on_overrun(uint64_t version)
{
    if (w.scanning) {
        w.lost = w.behind && w.lost < version ? w.lost : version;
        w.behind = true;
        return;
    }
    w.scanning = true;
    rep_link_scan(w.link, version);
}

static void on_event(void *ctx, const struct rep_event *ev)
{
    (void)ctx;
    if (ev->kind == REP_EV_HELLO) {
        on_hello(ev);
    } else if (ev->kind == REP_EV_LEGACY && !w.linked) {
        begin(true);
    } else if (ev->kind == REP_EV_NONSENSE) {
        rep_link_close(w.link);
    } else if (ev->kind == REP_EV_SCAN_DONE && w.scanning) {
        on_scan_done();
    } else if (ev->kind == REP_EV_OVERRUN) {
        on_overrun(ev->version);
    } else if (ev->kind == REP_EV_COPY_RECEIVED && w.state == LEGACY &&
               w.dialled) {
        rep_link_scan(w.link, 0);
    }
}

static void our_hello(void *ctx, struct wire_hello *out)
{
    (void)ctx;
    *out = (struct wire_hello){.dialect = WIRE_DIALECT,
                               .run = RUN,
                               .slot = version_slot(),
                               .item_size_max = ITEM_MAX,
                               .clock_ms = clock_ms()};
}

/* ---- the store ---------------------------------------------------------- */

static void set(const char *name, size_t n)
{
    static const char value[LARGE];
    struct store_key key = store_key(name, strlen(name));
    struct store_attrs attrs = {0, 0};

    (void)!store_set(&key, &attrs, STORE_SET, value, n, NULL);
}

static void start(void)
{
    static const char secret[] = "a secret of the two";
    struct store_config config = store_config_default();

    clock_freeze(START_MS);
    version_init(VERSION_HYBRID, 3);
    config.memory_limit = 4 * MIB;
    config.item_size_max = ITEM_MAX;
    assert(store_init(&config));
    w.floors = rep_floor_new(1);
    w.log = rep_log_new(REP_LOG_BYTES_MIN, w.floors);
    w.runs = rep_runs_new(w.log, 1);
    store_observe(rep_log_observer(w.log));
    rep_sweep_init(&w.sweep);
    w.sweep.floors = 2;
    if (w.hints == NULL) {
        w.hints = rep_hints_new(REP_HINTS_RATE);
    }
    if (w.state == FIRST_SECRET) {
        w.secret = rep_auth_secret_new(secret, sizeof(secret) - 1);
    }
    w.env = (struct rep_link_env){.floors = w.floors,
                                  .sweep = &w.sweep,
                                  .log = w.log,
                                  .runs = w.runs,
                                  .hints = w.hints,
                                  .secret = w.secret,
                                  .run = RUN,
                                  .hops_max = 3,
                                  .hello = our_hello,
                                  .event = on_event};
    set("a", 1);
    set("key", 100);
    set("large", LARGE);
}

static void stop(void)
{
    rep_link_free(w.link);
    w.link = NULL;
    store_observe(NULL);
    rep_auth_secret_free(w.secret);
    w.secret = NULL;
    rep_sweep_fini(&w.sweep);
    rep_runs_free(w.runs);
    rep_log_free(w.log);
    rep_floor_free(w.floors);
    store_fini();
}

/* ---- what the link says ------------------------------------------------- */

static void drop_said(size_t n)
{
    w.nsaid -= n;
    memmove(w.said, w.said + n, w.nsaid);
}

/* Every message of ours is one that we would understand. */
static void read_batches(void)
{
    struct frame_batch batch;
    struct frame_msg msg;
    enum frame_status status;
    size_t at = 0;

    while (at < w.nsaid &&
           frame_batch(w.said + at, w.nsaid - at, false, &batch) == FRAME_OK) {
        while ((status = frame_next(&batch.body, &w.parts, &msg)) == FRAME_OK) {
        }
        assert(status == FRAME_END);
        at += batch.used;
    }
    drop_said(at);
}

static void read_said(void)
{
    const uint8_t *end;

    if (w.state == FIRST || w.state == FIRST_SECRET || w.state == LEGACY) {
        w.nsaid = 0;
        return;
    }
    end = w.batches ? NULL : memchr(w.said, '\n', w.nsaid);
    if (end != NULL) {
        w.batches = true;
        drop_said((size_t)(end + 1 - w.said));
    }
    if (w.batches) {
        read_batches();
    }
}

/* Sends once; false: there is nothing. */
static bool send_once(void)
{
    struct iovec iov[4];
    unsigned n = rep_link_out(w.link, iov, 4, w.ns += 1000000);
    size_t part;

    if (n == 0) {
        return false;
    }
    part = iov[0].iov_len;
    part = part < PENDING - w.nsaid ? part : PENDING - w.nsaid;
    assert(part > 0);
    memcpy(w.said + w.nsaid, iov[0].iov_base, part);
    w.nsaid += part;
    w.total += part;
    assert(w.total < OUTPUT);
    rep_link_sent(w.link, part);
    read_said();
    return true;
}

static void turn(void)
{
    unsigned idle = 0;

    rep_link_work(w.link);
    (void)rep_sweep_step(&w.sweep);
    w.steps++;
    if (w.blocks && w.steps % 8 != 0) {
        return; /* the peer does not read */
    }
    while (idle < 100 && !rep_link_is_closed(w.link)) {
        idle = send_once() ? 0 : idle + 1;
        if (rep_link_all_written(w.link)) {
            break;
        }
    }
    assert(idle < 100);
    if (rep_link_is_closed(w.link)) {
        (void)send_once(); /* the last words */
    }
    rep_runs_move(w.runs);
    if (w.steps % 4 == 0) {
        set("key", w.steps % 100);
        rep_link_beat(w.link);
    }
}

/* ---- what the peer says ------------------------------------------------- */

/* Unless it has ended; what the sweep makes wait is bounded. */
static bool reads(void)
{
    while (!rep_link_reads(w.link) && rep_sweep_pending(&w.sweep)) {
        turn();
    }
    return rep_link_reads(w.link);
}

static void hear(const void *p, size_t n)
{
    const char *from = p;

    while (n > 0 && reads()) {
        struct iovec room = rep_link_room(w.link);
        size_t part = room.iov_len < w.cut ? room.iov_len : w.cut;

        assert(room.iov_len > 0);
        part = part < n ? part : n;
        memcpy(room.iov_base, from, part);
        rep_link_got(w.link, part, w.ns += 1000);
        turn();
        from += part;
        n -= part;
    }
}

/* Bodies of any length up to what the wire allows. */
static void hear_bodies(const uint8_t *p, size_t n)
{
    static uint8_t batch[FRAME_HEAD + FRAME_BODY_MAX];

    while (n > 2) {
        size_t len = (size_t)get_u16(p) % BODY + 1;

        p += 2;
        n -= 2;
        len = len < n ? len : n;
        (void)wr_u32(batch, (uint32_t)len);
        memcpy(batch + FRAME_HEAD, p, len);
        hear(batch, FRAME_HEAD + len);
        p += len;
        n -= len;
    }
}

static void connect_peer(void)
{
    const struct wire_hello hello = {.dialect = WIRE_DIALECT,
                                     .run = PEER_RUN,
                                     .slot = 9,
                                     .item_size_max = ITEM_MAX,
                                     .clock_ms = START_MS};
    char line[WIRE_LINE_ROOM];

    rep_link_free(w.link);
    w.linked = w.scanning = w.behind = w.announced = w.batches = false;
    w.nsaid = 0;
    w.parts = (struct frame_stream){0};
    w.link = rep_link_new(&w.env, 1, w.dialled, 7, 42);
    assert(w.link != NULL);
    if (w.dialled) {
        rep_link_hello(w.link);
        turn();
    }
    if (w.state == LINKED || w.state == BODIES || w.state == TWICE) {
        hear(line, (size_t)(wire_format_hello(line, &hello) - line));
        assert(w.linked);
    } else if (w.state == LEGACY) {
        hear("delete x\r\n", 10);
        assert(w.linked);
    }
}

static void run(const uint8_t *p, size_t n)
{
    size_t half = n / 2;

    connect_peer();
    if (w.state == BODIES) {
        hear_bodies(p, n);
    } else if (w.state == TWICE) {
        hear_bodies(p, half);
        rep_link_fail(w.link, NULL);
        connect_peer();
        hear_bodies(p + half, n - half);
    } else {
        hear(p, n);
    }
    w.blocks = false;
    turn();
    if (rep_link_is_closed(w.link)) {
        return;
    }
    rep_link_drain(w.link);
    turn();
    rep_link_drained(w.link, 0);
    rep_link_close(w.link);
    turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t cuts[] = {SIZE_MAX, 1, 7, 1000};
    static bool hashed;

    if (size < 2) {
        return 0;
    }
    if (!hashed) {
        hash_init();
        hashed = true;
    }
    w.state = (enum state)(data[0] / 2 % STATES);
    w.dialled = data[0] % 2 == 1;
    w.cut = cuts[data[1] % 4];
    w.blocks = (data[1] & 4) != 0;
    w.steps = 0;
    w.total = 0;
    start();
    run(data + 2, size - 2);
    stop();
    return 0;
}
