/*
 * talk - a connection without a socket, for tests: bytes go in, answers come
 * out, against the real store and a frozen clock.
 *
 * Layer:     tests; includes layers 0-4.
 * Threads:   one.
 * Ownership: what talk() gives is valid until the next talk().
 */
#ifndef T_UNIT_TALK_H
#define T_UNIT_TALK_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/version.h"
#include "command.h"
#include "counters.h"
#include "prefix.h"
#include "proto/text.h"
#include "settings.h"
#include "store.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define NOW_MS 1800000000000ULL

static struct out out;
static struct command cmd;
static struct command_host host;
static int stopped;   /* 1: shutdown, 2: graceful */
static char *answers; /* what was sent, terminated */
static size_t answered;

static inline void on_shutdown(bool graceful)
{
    stopped = graceful ? 2 : 1;
}

static inline bool yes(void)
{
    return true;
}

static inline uint64_t gauge(enum command_gauge which)
{
    return (uint64_t)which + 100;
}

static inline void start_with(const struct store_config *config)
{
    hash_init();
    clock_freeze(NOW_MS);
    version_init(VERSION_COUNTING, 0);
    ck_assert(store_init(config));
    ck_assert(out_init(&out));
    stopped = 0;
    host = (struct command_host){.shutdown = on_shutdown,
                                 .accepting = yes,
                                 .gauge = gauge,
                                 .libevent_version = "2.1.12-stable"};
    cmd = (struct command){
        .out = &out, .counters = counters_new(), .host = &host};
    counters_reset();
    answers = NULL;
    answered = 0;
}

static inline void start(void)
{
    struct store_config config = store_config_default();

    start_with(&config);
}

static inline void stop(void)
{
    free(answers);
    out_fini(&out);
    store_fini();
    prefix_enable(false);
    prefix_clear();
}

static inline void collect(const char *p, size_t n)
{
    answers = realloc(answers, answered + n + 1);
    ck_assert_ptr_nonnull(answers);
    memcpy(answers + answered, p, n);
    answered += n;
    answers[answered] = '\0';
}

static inline void flush(void)
{
    const struct iovec *iov;

    while (!out_is_empty(&out)) {
        unsigned n = out_vectors(&out, &iov);
        size_t sent = 0;

        for (unsigned i = 0; i < n; i++) {
            collect(iov[i].iov_base, iov[i].iov_len);
            sent += iov[i].iov_len;
        }
        out_sent(&out, sent);
    }
}

struct session {
    char *buf;
    size_t len;
    bool uploading, closed;
    struct upload upload;
};

/* Runs one request, or goes on with an upload. false: bytes are missing. */
static inline bool session_step(struct session *s)
{
    struct request req;
    enum command_result result;
    size_t used = 0, line = 0;

    if (s->uploading) {
        used = upload_feed(&s->upload, s->buf, s->len);
        if (upload_complete(&s->upload)) {
            do {
                flush();
                result = command_upload_end(&cmd, 9, &s->upload);
            } while (result == COMMAND_FULL);
            s->uploading = false;
            s->closed = result == COMMAND_HANG_UP;
        }
    } else if (s->len > 0 &&
               text_parse(s->buf, s->len, &req, &line) == TEXT_OK) {
        command_prepare(&req);
        do {
            result = command_run(&cmd, 9, &req, s->buf + line, s->len - line,
                                 &used, &s->upload);
            if (result == COMMAND_FULL) {
                flush();
            }
        } while (result == COMMAND_FULL);
        s->uploading = result == COMMAND_UPLOAD;
        s->closed = result >= COMMAND_CLOSE;
    }
    memmove(s->buf, s->buf + line + used, s->len - line - used);
    s->len -= line + used;
    return line + used > 0 && !s->closed;
}

/* Sends `n` bytes in pieces of `cut` and gives all answers, terminated. */
static inline const char *talk_cut(const char *in, size_t n, size_t cut)
{
    static struct session s;

    s = (struct session){.buf = malloc(n)};
    ck_assert_ptr_nonnull(s.buf);
    answered = 0;
    collect("", 0);
    for (size_t at = 0; at < n && !s.closed; at += cut) {
        size_t piece = n - at < cut ? n - at : cut;

        memcpy(s.buf + s.len, in + at, piece);
        s.len += piece;
        while (session_step(&s)) {
        }
    }
    if (s.uploading) {
        upload_abandon(&s.upload);
    }
    flush();
    if (s.closed) {
        collect("<closed>", 8);
    }
    free(s.buf);
    return answers;
}

static inline const char *talk(const char *in)
{
    return talk_cut(in, strlen(in), SIZE_MAX / 2);
}

static inline uint64_t stat_value(const char *which, const char *name)
{
    char line[128];
    const char *p;

    (void)snprintf(line, sizeof(line), "STAT %s ", name);
    p = strstr(talk(which), line);
    ck_assert_msg(p != NULL, "no row %s", name);
    return strtoull(p + strlen(line), NULL, 10);
}

#endif
