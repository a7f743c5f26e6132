#include "stats_binary.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "prefix.h"
#include "reply_binary.h"
#include "settings.h"
#include "stats.h"

/* Packets, one after the other. */
struct packets {
    const struct binary_tag *tag;
    struct buffer bytes;
    bool failed; /* something else had no memory */
};

static void add(struct packets *t, const char *name, const char *value,
                size_t n)
{
    const struct binary_reply reply = {.nkey = (uint16_t)strlen(name),
                                       .nbytes = (uint32_t)n};
    char *p = buffer_grow(&t->bytes, BINARY_HEADER);

    if (p != NULL) {
        (void)binary_reply_header(p, t->tag, &reply);
        buffer_append(&t->bytes, name, reply.nkey);
        buffer_append(&t->bytes, value, n);
    }
}

static void add_row(void *ctx, const char *name, const char *value)
{
    add(ctx, name, value, strlen(value));
}

/* Ends the answer and sends it; takes what it holds. */
static void finish(struct command *cmd, int fd, struct packets *t)
{
    add(t, "", NULL, 0);
    if (t->failed || t->bytes.failed) {
        buffer_free(&t->bytes);
        reply_binary_error(cmd, fd, t->tag, BINARY_NO_MEMORY,
                           "Out of memory generating stats");
        return;
    }
    out_malloced(cmd->out, t->bytes.p, t->bytes.len);
}

static bool begins(const struct binary_request *req, const char *with)
{
    size_t n = strlen(with);

    return req->nkey >= n && memcmp(req->key, with, n) == 0;
}

static bool is(const struct binary_request *req, const char *name)
{
    return req->nkey == strlen(name) && begins(req, name);
}

/* False: no such request. */
static bool run_detail(const struct binary_request *req, struct packets *t)
{
    char *text;
    size_t n;

    if (!settings.dump_enabled) {
        return false;
    }
    if (begins(req, "detail on")) {
        prefix_enable(true);
    } else if (begins(req, "detail off")) {
        prefix_enable(false);
    } else if (begins(req, "detail dump")) {
        text = prefix_dump(&n);
        t->failed = text == NULL;
        if (text != NULL) {
            add(t, "detailed", text, n);
            free(text);
        }
    } else {
        return false;
    }
    return true;
}

static bool find_group(const struct command_host *host,
                       const struct binary_request *req,
                       enum stats_group *group)
{
    static const struct {
        const char *name;
        enum stats_group group;
    } rows[] = {
        {"", STATS_GENERAL},
        {"items", STATS_ITEMS},
        {"slabs", STATS_SLABS},
        {"sizes", STATS_SIZES},
        {"replication", STATS_REPLICATION},
    };

    if (begins(req, "settings")) {
        *group = STATS_SETTINGS;
        return true;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (is(req, rows[i].name)) {
            *group = rows[i].group;
            return *group != STATS_REPLICATION ||
                   host->stats_replication != NULL;
        }
    }
    return false;
}

enum command_result stats_binary_run(struct command *cmd, int fd,
                                     const struct binary_request *req)
{
    struct packets t = {.tag = &req->tag};
    enum stats_group group;
    bool known = true;

    if (!out_can_ref(cmd->out, 1)) {
        return COMMAND_FULL;
    }
    if (begins(req, "reset")) {
        stats_clear();
    } else if (begins(req, "detail")) {
        known = run_detail(req, &t);
    } else if (find_group(cmd->host, req, &group)) {
        t.failed = !stats_rows(cmd->host, group, add_row, &t);
    } else {
        known = false;
    }
    if (known) {
        finish(cmd, fd, &t);
    } else {
        reply_binary_error(cmd, fd, &req->tag, BINARY_NOT_FOUND, NULL);
    }
    return COMMAND_DONE;
}
