#include "t/unit/linking.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ADDR = 42,
    FD = 7,
    TEXT = 256 * 1024,
    LINE = 2 * WIRE_HELLO_MAX,
    ITEM_MAX = 2 * 1024 * 1024
};

struct rep_floor *floors;
struct rep_log *rlog;
struct rep_runs *runs;
struct rep_sweep sweep;
struct rep_link_env env;
struct rep_link *lnk;

size_t cut, window;
bool decide, answers, spoil, works;
unsigned signs_of_life;

static uint32_t conn;    /* of `lnk` */
static bool link_dials;  /* it dialled */
static uint64_t mono_ns; /* a clock that always moves */

/* ---- what rep/core would do --------------------------------------------- */

static char events[4096];
static struct rep_event hello_event;
static enum rep_refusal refusal;
static bool scanning, behind, announced;
static uint64_t lost;

static void note(const char *what)
{
    size_t n = strlen(events);

    ck_assert_uint_lt(n + strlen(what) + 3, sizeof(events));
    (void)snprintf(events + n, sizeof(events) - n, "%s; ", what);
}

static void begin(bool legacy)
{
    if (!decide) {
        return;
    }
    if (!legacy && !link_dials) {
        rep_link_hello(lnk);
    }
    if (!rep_link_begin(lnk, legacy, 0)) {
        note("cannot begin");
        rep_link_close(lnk);
        return;
    }
    scanning = !legacy || !link_dials;
    if (!legacy) {
        rep_link_catch_up(lnk);
    } else if (scanning) {
        rep_link_scan(lnk, 0);
    }
}

/* A legacy peer that we dialled is sent ours when its own has come. */
static void on_received(void)
{
    if (decide && figures().legacy) {
        scanning = true;
        rep_link_scan(lnk, 0);
    }
}

static void on_scan_done(void)
{
    if (!decide || !scanning) {
        return;
    }
    if (behind) {
        behind = false;
        rep_link_scan(lnk, lost);
        return;
    }
    scanning = false;
    if (!announced) {
        announced = true;
        rep_link_announce(lnk);
    }
}

static void on_overrun(uint64_t version)
{
    if (!decide) {
        return;
    }
    if (scanning) {
        lost = behind && lost < version ? lost : version;
        behind = true;
        return;
    }
    scanning = true;
    rep_link_scan(lnk, version);
}

static void on_event(void *ctx, const struct rep_event *ev)
{
    ck_assert_ptr_eq(ctx, &env);
    ck_assert_uint_eq(ev->conn, conn);
    if (ev->kind == REP_EV_HELLO) {
        note("hello");
        hello_event = *ev;
        begin(false);
    } else if (ev->kind == REP_EV_LEGACY) {
        note("legacy");
        if (!figures().linked) {
            begin(true);
        }
    } else if (ev->kind == REP_EV_NONSENSE) {
        note("nonsense");
        rep_link_close(lnk);
    } else if (ev->kind == REP_EV_CLOSED) {
        note("closed");
        refusal = ev->refusal;
    } else if (ev->kind == REP_EV_SCAN_DONE) {
        note("scan done");
        on_scan_done();
    } else if (ev->kind == REP_EV_COPY_RECEIVED) {
        note("received");
        on_received();
    } else if (ev->kind == REP_EV_OVERRUN) {
        note("overrun");
        on_overrun(ev->version);
    } else if (ev->kind == REP_EV_DRAINED) {
        note("drained");
    } else {
        ck_assert_int_eq(ev->kind, REP_EV_HEARD);
        signs_of_life++;
    }
}

static void our_hello(void *ctx, struct wire_hello *out)
{
    ck_assert_ptr_eq(ctx, &env);
    *out = (struct wire_hello){.dialect = WIRE_DIALECT,
                               .run = RUN,
                               .slot = version_slot(),
                               .item_size_max = ITEM_MAX,
                               .clock_ms = clock_ms(),
                               .port = 11212};
    wire_slot_use(out, out->slot);
}

const char *told(void)
{
    static char text[sizeof(events)];

    memcpy(text, events, sizeof(text));
    events[0] = '\0';
    return text;
}

const struct rep_event *last_hello(void)
{
    return &hello_event;
}

enum rep_refusal last_refusal(void)
{
    return refusal;
}

struct rep_link_figures figures(void)
{
    struct rep_link_figures f;

    rep_link_figures(lnk, &f);
    return f;
}

const char *error_text(void)
{
    const char *error = figures().error;

    return error != NULL ? error : "";
}

/* ---- the peer's state --------------------------------------------------- */

struct wire_hello peer_hello;

static struct rep_auth_secret *secrets[2]; /* ours, the peer's */
static struct {
    struct rep_auth *auth;
    struct rep_auth_link *sealed;
    const uint8_t *proof; /* its own, once there is one */
    char heard[LINE];     /* the link's hello, with its end */
    size_t nheard;
    bool open; /* a batch is being written */
    uint8_t batch[FRAME_BATCH_MAX];
    struct frame_out out;
    struct frame_stream said, hears; /* each direction's */
} peer;

static uint8_t *got; /* what the link said */
static size_t got_n, got_room, got_at;
static char text[TEXT];
static size_t text_n;
static unsigned counts[256];
static struct frame_msg last;

uint64_t heard_position, heard_cursor, heard_ping, heard_resume;
size_t heard_value;
struct point points[POINTS];

static void reset_peer(void)
{
    rep_auth_link_free(peer.sealed);
    rep_auth_free(peer.auth);
    memset(&peer, 0, sizeof(peer));
    got_n = got_at = 0;
    forget();
    last.type = 0;
}

void forget(void)
{
    text_n = 0;
    text[0] = '\0';
    memset(counts, 0, sizeof(counts));
    heard_value = 0;
}

/* ---- fixtures ----------------------------------------------------------- */

static void start(size_t floor_bytes, size_t log_bytes)
{
    struct store_config store = store_config_default();

    clock_freeze(START_MS);
    version_init(VERSION_HYBRID, 3);
    hash_init();
    store.item_size_max = ITEM_MAX;
    ck_assert(store_init(&store));
    floors = rep_floor_new(floor_bytes);
    rlog = rep_log_new(log_bytes, floors);
    runs = rep_runs_new(rlog, 1);
    store_observe(rep_log_observer(rlog));
    rep_sweep_init(&sweep);
    env = (struct rep_link_env){.floors = floors,
                                .sweep = &sweep,
                                .log = rlog,
                                .runs = runs,
                                .run = RUN,
                                .hops_max = 2,
                                .hello = our_hello,
                                .event = on_event,
                                .ctx = &env};
    peer_hello = (struct wire_hello){.dialect = WIRE_DIALECT,
                                     .run = PEER_RUN,
                                     .slot = PEER_SLOT,
                                     .item_size_max = ITEM_MAX,
                                     .clock_ms = START_MS,
                                     .port = 12345};
    cut = window = SIZE_MAX;
    decide = works = true;
}

void setup(void)
{
    start(MIB, MIB);
}

void setup_small(void)
{
    start(4096, REP_LOG_BYTES_MIN);
}

void teardown(void)
{
    rep_link_free(lnk);
    reset_peer();
    free(got);
    rep_auth_secret_free(secrets[0]);
    rep_auth_secret_free(secrets[1]);
    store_observe(NULL);
    rep_sweep_fini(&sweep);
    rep_runs_free(runs);
    rep_log_free(rlog);
    rep_floor_free(floors);
    store_fini();
}

void use_secrets(const char *ours, const char *theirs)
{
    const char *text_of[2] = {ours, theirs};

    for (int i = 0; i < 2; i++) {
        rep_auth_secret_free(secrets[i]);
        secrets[i] = text_of[i] != NULL
                         ? rep_auth_secret_new(text_of[i], strlen(text_of[i]))
                         : NULL;
    }
    env.secret = secrets[0];
}

/* ---- the connection ----------------------------------------------------- */

void connect_as(bool dialled)
{
    rep_link_free(lnk);
    reset_peer();
    (void)told();
    refusal = REP_REFUSAL_NONE;
    scanning = behind = announced = false;
    link_dials = dialled;
    lnk = rep_link_new(&env, ++conn, dialled, FD, ADDR);
    ck_assert_ptr_nonnull(lnk);
    if (dialled) {
        rep_link_hello(lnk);
    }
}

void disconnect(void)
{
    rep_link_fail(lnk, NULL);
}

void pass_ms(unsigned ms)
{
    mono_ns += ms * UINT64_C(1000000);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static struct {
    bool on;
    size_t n;
    uint8_t p[256 * 1024];
} held;

void hold(void)
{
    held.on = true;
    held.n = 0;
}

void let_go(void)
{
    held.on = false;
    feed(held.p, held.n);
}

void feed(const void *p, size_t n)
{
    const char *from = p;

    if (held.on) {
        ck_assert_uint_le(n, sizeof(held.p) - held.n);
        memcpy(held.p + held.n, p, n);
        held.n += n;
        return;
    }
    while (n > 0 && rep_link_reads(lnk)) {
        struct iovec room = rep_link_room(lnk);
        size_t part = smaller(smaller(cut, room.iov_len), n);

        ck_assert_uint_gt(room.iov_len, 0);
        memcpy(room.iov_base, from, part);
        rep_link_got(lnk, part, mono_ns += 1000);
        if (works) {
            rep_link_work(lnk);
        }
        from += part;
        n -= part;
    }
}

static void keep(const void *p, size_t n)
{
    if (got_n + n > got_room) {
        got_room = (got_n + n) * 2;
        got = realloc(got, got_room);
        ck_assert_ptr_nonnull(got);
    }
    memcpy(got + got_n, p, n);
    got_n += n;
}

/* Until nothing is left, or the window is used up. */
static void send_all(void)
{
    bool more = true;

    for (unsigned idle = 0; more && window > 0; idle++) {
        struct iovec iov[4];
        unsigned n = rep_link_out(lnk, iov, 4, mono_ns += 1000);
        size_t part = n > 0 ? smaller(smaller(cut, window), iov[0].iov_len) : 0;

        ck_assert_msg(idle < 100, "it has output, and gives none");
        if (n > 0) {
            ck_assert_uint_gt(part, 0);
            keep(iov[0].iov_base, part);
            window -= window < SIZE_MAX ? part : 0;
            rep_link_sent(lnk, part);
            idle = 0;
        }
        more = !rep_link_all_written(lnk);
    }
}

/* The edge looks again when something was read from the log. */
void pump(void)
{
    uint64_t pos;

    rep_link_work(lnk);
    do {
        pos = figures().pos;
        send_all();
    } while (figures().pos != pos && window > 0);
}

/* ---- first words -------------------------------------------------------- */

static void peer_step(enum rep_auth_kind kind, const uint8_t *nonce,
                      const void *bytes, size_t n)
{
    const struct rep_auth_event ev = {kind, nonce, bytes, n};
    const uint8_t *proof = NULL;
    enum rep_auth_status status = rep_auth_step(peer.auth, &ev, &proof);

    if (proof != NULL) {
        peer.proof = proof;
    }
    if (status == REP_AUTH_PROVEN) {
        peer.sealed = rep_auth_link_new(peer.auth);
    }
}

/* The peer takes note of what it heard. */
static void peer_hears(void)
{
    struct wire_hello theirs;

    if (peer.auth != NULL && peer.nheard > 0 &&
        wire_parse_hello(peer.heard, peer.nheard - 2, &theirs)) {
        peer_step(REP_AUTH_THEIRS, theirs.has_nonce ? theirs.nonce : NULL,
                  peer.heard, peer.nheard);
    }
}

void say_hello(void)
{
    char line[WIRE_LINE_ROOM];
    size_t n;

    peer_hello.has_nonce = secrets[1] != NULL;
    if (secrets[1] != NULL) {
        ck_assert(rep_auth_draw_nonce(peer_hello.nonce));
        peer.auth = rep_auth_new(
            secrets[1], link_dials ? REP_AUTH_ACCEPTOR : REP_AUTH_DIALLER,
            peer_hello.nonce);
        peer_hears(); /* an acceptor has heard already */
    }
    n = (size_t)(wire_format_hello(line, &peer_hello) - line);
    if (peer.auth != NULL) {
        peer_step(REP_AUTH_OURS, NULL, line, n);
    }
    feed(line, n);
}

void say_line(const char *line)
{
    char whole[2 * LINE];

    feed(whole, (size_t)snprintf(whole, sizeof(whole), "%s\r\n", line));
}

void say_proof(bool right)
{
    uint8_t proof[REP_AUTH_PROOF] = {1, 2, 3};

    if (right) {
        ck_assert_ptr_nonnull(peer.proof);
        memcpy(proof, peer.proof, sizeof(proof));
    }
    feed(proof, sizeof(proof));
}

const char *heard_line(void)
{
    static char line[LINE];
    const uint8_t *end;

    pump();
    if (got_at == got_n) {
        return "";
    }
    end = memchr(got + got_at, '\n', got_n - got_at);
    if (end == NULL || end == got + got_at || end[-1] != '\r') {
        return "?";
    }
    peer.nheard = (size_t)(end + 1 - (got + got_at));
    ck_assert_uint_le(peer.nheard, LINE);
    memcpy(peer.heard, got + got_at, peer.nheard);
    memcpy(line, peer.heard, peer.nheard - 2);
    line[peer.nheard - 2] = '\0';
    got_at += peer.nheard;
    if (!link_dials) {
        peer_hears(); /* a dialler has said its own already */
    }
    return line;
}

bool heard_proof(void)
{
    pump();
    if (got_n - got_at < REP_AUTH_PROOF || peer.auth == NULL) {
        return false;
    }
    peer_step(REP_AUTH_PROVES, NULL, got + got_at, REP_AUTH_PROOF);
    got_at += REP_AUTH_PROOF;
    return peer.sealed != NULL;
}

const char *heard_text(void)
{
    const char *all;

    pump();
    keep("", 1);
    all = (const char *)got + got_at;
    got_at = got_n;
    return all;
}

size_t unheard(void)
{
    pump();
    return got_n - got_at;
}

void greet(void)
{
    if (link_dials) {
        ck_assert_uint_gt(strlen(heard_line()), 1);
        say_hello();
        if (secrets[1] != NULL) {
            ck_assert(heard_proof());
            say_proof(true);
        }
    } else {
        say_hello();
        ck_assert_uint_gt(strlen(heard_line()), 1);
        if (secrets[1] != NULL) {
            say_proof(true);
            ck_assert(heard_proof());
        }
    }
    ck_assert(figures().linked);
}

void link_from(bool dialled, uint64_t resume)
{
    connect_as(dialled);
    greet();
    send_number(FRAME_RESUME, resume);
}

void link_up(void)
{
    link_from(false, 0);
    send_number(FRAME_COPY_END, 0);
    settle();
    ck_assert(figures().announced && figures().received);
    (void)told();
}

void settle(void)
{
    bool before = answers;

    answers = true;
    (void)heard();
    answers = before;
    forget();
}

/* ---- batches, to the link ----------------------------------------------- */

void send_batch(void)
{
    size_t n = peer.open ? frame_end(&peer.out) : 0;

    peer.open = false;
    if (n == 0) {
        return;
    }
    if (peer.sealed != NULL) {
        ck_assert(rep_auth_seal(peer.sealed, peer.batch, n, peer.batch + n));
        peer.batch[n] ^= spoil ? 1 : 0;
        n += FRAME_TAG;
    }
    spoil = false;
    feed(peer.batch, n);
}

static void open_batch(void)
{
    if (!peer.open) {
        frame_begin(&peer.out, peer.batch, sizeof(peer.batch), &peer.said);
        peer.open = true;
    }
}

void say(const struct frame_msg *msg)
{
    open_batch();
    if (!frame_put(&peer.out, msg)) {
        send_batch();
        open_batch();
        ck_assert(frame_put(&peer.out, msg));
    }
}

void send_one(const struct frame_msg *msg)
{
    say(msg);
    send_batch();
}

struct frame_msg item_msg(const char *key, const char *value, uint64_t version)
{
    return (struct frame_msg){.type = FRAME_ITEM,
                              .nkey = (uint8_t)strlen(key),
                              .key = key,
                              .nbytes = (uint32_t)strlen(value),
                              .bytes = (const uint8_t *)value,
                              .version = version};
}

struct frame_msg key_msg(enum frame_type type, const char *key,
                         uint64_t version)
{
    return (struct frame_msg){.type = (uint8_t)type,
                              .nkey = (uint8_t)strlen(key),
                              .key = key,
                              .version = version};
}

struct frame_msg number_msg(enum frame_type type, uint64_t n)
{
    struct frame_msg msg = {.type = (uint8_t)type, .position = n};

    if (type == FRAME_BARRIER) {
        msg.version = n;
    } else if (type == FRAME_ERROR) {
        msg.code = (uint16_t)n;
    }
    return msg;
}

void send_number(enum frame_type type, uint64_t n)
{
    struct frame_msg msg = number_msg(type, n);

    send_one(&msg);
}

void send_key(enum frame_type type, const char *key, uint64_t version)
{
    struct frame_msg msg = key_msg(type, key, version);

    send_one(&msg);
}

void send_missed(unsigned cell, uint64_t version)
{
    struct frame_msg msg = {.type = FRAME_MISSED,
                            .cell = (uint16_t)cell,
                            .cells = 1,
                            .version = version};

    send_one(&msg);
}

/* ---- batches, from the link --------------------------------------------- */

static const char *const names[] = {
    [FRAME_ITEM] = "item",        [FRAME_ITEM_BEGIN] = "begin",
    [FRAME_ITEM_PART] = "part",   [FRAME_ITEM_CANCEL] = "cancel",
    [FRAME_DELETE] = "delete",    [FRAME_FLOOR] = "floor",
    [FRAME_TOUCH] = "touch",      [FRAME_BARRIER] = "barrier",
    [FRAME_FLUSH_AT] = "flush",   [FRAME_OFFER] = "offer",
    [FRAME_WANT] = "want",        [FRAME_GONE] = "gone",
    [FRAME_MISSED] = "missed",    [FRAME_POSITION] = "position",
    [FRAME_ACK] = "ack",          [FRAME_SCAN_POINT] = "scan",
    [FRAME_SCAN_ACK] = "scanned", [FRAME_COPY_END] = "end",
    [FRAME_PING] = "ping",        [FRAME_PONG] = "pong",
    [FRAME_BUSY] = "busy",        [FRAME_ERROR] = "error",
    [FRAME_BYE] = "bye",          [FRAME_RESUME] = "resume",
    [FRAME_HINTS] = "hints",
};

/* The number that tells most of a message without a key. */
static uint64_t number_of(const struct frame_msg *msg)
{
    switch (msg->type) {
    case FRAME_ITEM_PART:
    case FRAME_HINTS:
        return msg->nbytes;
    case FRAME_FLOOR:
    case FRAME_BARRIER:
    case FRAME_FLUSH_AT:
    case FRAME_MISSED:
    case FRAME_SCAN_POINT: /* the threshold: a cursor means nothing */
        return msg->version;
    case FRAME_ERROR:
        return msg->code;
    case FRAME_PONG:
        return msg->echo_ms;
    default:
        return msg->position;
    }
}

static void write_down(const struct frame_msg *msg)
{
    char *p = text + text_n;
    size_t room = sizeof(text) - text_n;

    if (room < 1024) {
        return;
    }
    if (msg->type == FRAME_ITEM && msg->nbytes < 100) {
        p += snprintf(p, room, "item %.*s=%.*s@%llu; ", msg->nkey, msg->key,
                      (int)msg->nbytes, (const char *)msg->bytes,
                      U(msg->version));
    } else if (msg->type == FRAME_ITEM || msg->type == FRAME_ITEM_BEGIN) {
        p += snprintf(p, room, "%s %.*s %u@%llu; ", names[msg->type], msg->nkey,
                      msg->key, msg->nbytes, U(msg->version));
    } else if (msg->type == FRAME_TOUCH) {
        p += snprintf(p, room, "touch %.*s %u@%llu; ", msg->nkey, msg->key,
                      msg->exptime, U(msg->version));
    } else if (msg->key != NULL) {
        p += snprintf(p, room, "%s %.*s@%llu; ", names[msg->type], msg->nkey,
                      msg->key, U(msg->version));
    } else if (msg->type == FRAME_COPY_END || msg->type == FRAME_BYE ||
               msg->type == FRAME_BUSY) {
        p += snprintf(p, room, "%s; ", names[msg->type]);
    } else {
        p +=
            snprintf(p, room, "%s %llu; ", names[msg->type], U(number_of(msg)));
    }
    text_n = (size_t)(p - text);
}

static void answer(const struct frame_msg *msg)
{
    struct frame_msg reply = number_msg(FRAME_ACK, msg->position);

    if (msg->type == FRAME_SCAN_POINT) {
        reply = number_msg(FRAME_SCAN_ACK, msg->cursor);
    } else if (msg->type == FRAME_PING) {
        reply = number_msg(FRAME_PONG,
                           clock_ms() + (peer_hello.clock_ms - START_MS));
        reply.echo_ms = msg->clock_ms;
    } else if (msg->type != FRAME_POSITION) {
        return;
    }
    say(&reply);
}

static void take(const struct frame_msg *msg)
{
    counts[msg->type]++;
    last = *msg;
    if (msg->type == FRAME_POSITION) {
        heard_position = msg->position;
    } else if (msg->type == FRAME_SCAN_POINT) {
        heard_cursor = msg->cursor;
        if (counts[msg->type] <= POINTS) {
            points[counts[msg->type] - 1] = (struct point){
                .cursor = msg->cursor,
                .items = counts[FRAME_ITEM],
                .floors = counts[FRAME_FLOOR] + counts[FRAME_DELETE]};
        }
    } else if (msg->type == FRAME_PING) {
        heard_ping = msg->clock_ms;
    } else if (msg->type == FRAME_RESUME) {
        heard_resume = msg->position;
    } else if (msg->type == FRAME_ITEM || msg->type == FRAME_ITEM_PART) {
        heard_value += msg->nbytes;
    }
    write_down(msg);
    if (answers) {
        answer(msg);
    }
}

/* Whether there is a batch. */
static bool take_batch(void)
{
    const uint8_t *p = got + got_at;
    struct frame_batch batch;
    enum frame_status status =
        got_n > got_at
            ? frame_batch(p, got_n - got_at, peer.sealed != NULL, &batch)
            : FRAME_MORE;
    struct frame_msg msg;

    ck_assert_int_ne(status, FRAME_BAD);
    if (status == FRAME_MORE) {
        return false;
    }
    ck_assert(peer.sealed == NULL ||
              rep_auth_open(peer.sealed, p, batch.used - FRAME_TAG, batch.tag));
    got_at += batch.used;
    while ((status = frame_next(&batch.body, &peer.hears, &msg)) == FRAME_OK) {
        take(&msg);
    }
    ck_assert_int_eq(status, FRAME_END);
    return true;
}

const char *heard(void)
{
    static char copy[TEXT];
    bool answered;

    do {
        pump();
        while (take_batch()) {
        }
        answered = peer.open;
        send_batch();
    } while (answered);
    memcpy(copy, text, text_n + 1);
    text_n = 0;
    text[0] = '\0';
    return copy;
}

unsigned count(enum frame_type type)
{
    (void)heard();
    return counts[type];
}

void ck_heard(const char *format, ...)
{
    static char want[TEXT];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(want, sizeof(want), format, ap);
    va_end(ap);
    ck_assert_str_eq(heard(), want);
}

void ck_ended(int code)
{
    (void)heard();
    ck_assert(rep_link_is_closed(lnk));
    ck_assert_uint_eq(got_at, got_n); /* no half of a batch */
    if (code > 0) {
        ck_assert_int_eq(last.type, FRAME_ERROR);
        ck_assert_int_eq(last.code, code);
    } else {
        ck_assert_int_ne(last.type, FRAME_ERROR);
        ck_assert_int_eq(last.type == FRAME_BYE, code == 0);
    }
}
