/*
 * core_script - scripts for rep/core: events in, the actions they bring as one
 * line of text, in virtual time.
 *
 * Layer:     tests; includes rep/core.
 * Threads:   one.
 * Ownership: what step() and pass() give is valid until the next call.
 */
#ifndef T_UNIT_CORE_SCRIPT_H
#define T_UNIT_CORE_SCRIPT_H

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rep/core.h"

#define TIMEOUT 5000

static struct rep_core *core;
static uint64_t now;   /* ms */
static uint64_t timer; /* asked for by the core; 0 none yet */
static char said[2048];

static const char *const line_names[] = {
    [REP_LINE_ACCEPT] = "accept",   [REP_LINE_CONNECT] = "connect",
    [REP_LINE_COPYING] = "copying", [REP_LINE_START] = "start",
    [REP_LINE_CLOSE] = "close",     [REP_LINE_ALREADY] = "already",
};

static const char *const refusals[] = {
    [REP_REFUSAL_NONE] = "",
    [REP_REFUSAL_BUSY] = " busy",
    [REP_REFUSAL_STRANGER] = " stranger",
    [REP_REFUSAL_SELF] = " self",
    [REP_REFUSAL_CLOCK] = " clock",
};

static inline void PRINTF(1, 2) add(const char *format, ...)
{
    size_t used = strlen(said);
    va_list args;

    if (used > 0) {
        used += (size_t)snprintf(said + used, sizeof(said) - used, "; ");
    }
    va_start(args, format);
    (void)vsnprintf(said + used, sizeof(said) - used, format, args);
    va_end(args);
}

/* The first is called nothing: most scripts have no other. */
static inline const char *peer_name(unsigned peer)
{
    static const char *const names[] = {"", " peer1", " peer2", " peer3"};

    return names[peer];
}

static inline void describe(const struct rep_action *a)
{
    switch (a->kind) {
    case REP_DO_LISTENING:
        add("listening");
        return;
    case REP_DO_DIAL:
        add("dial%s%s%s", peer_name(a->peer), a->loud ? " loud" : "",
            a->next ? " next" : "");
        return;
    case REP_DO_UNDIAL:
        add("undial%s", peer_name(a->peer));
        return;
    case REP_DO_CLOSE:
        add("close %u%s", a->conn, refusals[a->refusal]);
        return;
    case REP_DO_HELLO:
        add("hello %u", a->conn);
        return;
    case REP_DO_SLOT:
        add("slot");
        return;
    case REP_DO_LINK:
        add("link %u%s", a->conn, a->legacy ? " legacy" : "");
        return;
    case REP_DO_CATCH_UP:
        add("catch up %u", a->conn);
        return;
    case REP_DO_SCAN:
        add("scan %u from %llu", a->conn, (unsigned long long)a->version);
        return;
    case REP_DO_ANNOUNCE:
        add("announce %u", a->conn);
        return;
    case REP_DO_BEAT:
        add("beat %u", a->conn);
        return;
    case REP_DO_SERVE:
        add("serve");
        return;
    case REP_DO_PRINT:
        add("'%s'", line_names[a->line]);
        return;
    case REP_DO_TIMER:
        timer = a->at;
        return;
    case REP_DO_DRAIN:
        add("drain %u", a->conn);
        return;
    case REP_DO_END:
        add("end");
        return;
    }
}

static inline const char *step(struct rep_event ev)
{
    size_t n = 0;
    const struct rep_action *a = rep_core_step(core, &ev, now, &n);

    said[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        describe(&a[i]);
    }
    return said;
}

#define EXPECT(event, ...)                                                     \
    ck_assert_str_eq(step((struct rep_event)event), __VA_ARGS__)
#define EV(...)                                                                \
    {                                                                          \
        __VA_ARGS__                                                            \
    }

/* Lets `ms` pass, waking the core whenever it asked to be. */
static inline const char *pass(uint64_t ms)
{
    static char all[2 * sizeof(said)];
    uint64_t end = now + ms;

    all[0] = '\0';
    while (timer != 0 && timer <= end) {
        now = timer > now ? timer : now;
        timer = 0;
        (void)step((struct rep_event){.kind = REP_EV_TICK});
        if (said[0] != '\0') {
            size_t used = strlen(all);
            int n = snprintf(all + used, sizeof(all) - used, "%s%s",
                             used != 0 ? "; " : "", said);

            ck_assert_int_lt(n, (int)(sizeof(all) - used));
        }
    }
    now = end;
    return all;
}

static inline void begin_with(struct rep_core_config config)
{
    config.seed = 7;
    config.timeout = TIMEOUT;
    config.slot = 1;
    rep_core_free(core);
    core = rep_core_new(&config);
    ck_assert_ptr_nonnull(core);
    now = 1000;
    timer = 0;
}

static inline void begin(uint64_t run, unsigned peers)
{
    begin_with((struct rep_core_config){.run = run, .peers = peers});
}

static inline void finish(void)
{
    rep_core_free(core);
    core = NULL;
}

#define ACCEPTED(c, ...)                                                       \
    EV(.kind = REP_EV_ACCEPTED, .conn = (c), .addr = 77, __VA_ARGS__)
#define CONNECTED(c, ...)                                                      \
    EV(.kind = REP_EV_CONNECTED, .conn = (c), .addr = 77, __VA_ARGS__)
#define HELLO(c, r, ...)                                                       \
    EV(.kind = REP_EV_HELLO, .conn = (c), .run = (r), .slot = 9, __VA_ARGS__)
#define ON(k, c, ...) EV(.kind = REP_EV_##k, .conn = (c), __VA_ARGS__)

/* A peer by address and port, by its address alone; one of several. */
#define EXACT(p) .configured = true, .exact = true, .peer = (p)
#define NEAR(p)  .configured = true, .peer = (p)
#define ONE_OF   .configured = true, .peer = REP_CORE_NO_PEER

#endif
