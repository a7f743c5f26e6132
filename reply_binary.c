#include "reply_binary.h"

#include <string.h>

#include "base/log.h"

enum { ROW = 4 }; /* bytes a line shows */

static void echo_rows(int fd, char way, const char *space, const char *header)
{
    const unsigned char *p = (const unsigned char *)header;

    for (int i = 0; i < BINARY_HEADER; i += ROW) {
        log_print(2, "%c%d%s 0x%02x 0x%02x 0x%02x 0x%02x\n", way, fd, space,
                  p[i], p[i + 1], p[i + 2], p[i + 3]);
    }
}

void reply_binary_echo_request(int fd, const char *header)
{
    log_print(2, "<%d Read binary protocol data:\n", fd);
    echo_rows(fd, '<', "   ", header);
}

void reply_binary_echo(int fd, const char *header)
{
    if (UNLIKELY(log_wanted(2))) {
        log_print(2, ">%d Writing bin response:\n", fd);
        echo_rows(fd, '>', "  ", header);
    }
}

static void say(struct command *cmd, int fd, const struct binary_tag *tag,
                const struct binary_reply *reply, const void *value)
{
    char *start = out_tail(cmd->out);
    char *end = binary_reply_header(start, tag, reply);
    uint32_t n = reply->nbytes;

    if (n > 0) {
        memcpy(end, value, n);
    }
    out_wrote(cmd->out, end + n);
    reply_binary_echo(fd, start);
}

void reply_binary_value(struct command *cmd, int fd,
                        const struct binary_tag *tag, uint64_t cas,
                        const void *value, uint32_t n)
{
    const struct binary_reply reply = {.nbytes = n, .cas = cas};

    say(cmd, fd, tag, &reply, value);
}

void reply_binary_more(struct command *cmd, int fd,
                       const struct binary_tag *tag, const void *value,
                       uint32_t n)
{
    const struct binary_reply reply = {.code = BINARY_AUTH_MORE, .nbytes = n};

    say(cmd, fd, tag, &reply, value);
}

void reply_binary_done(struct command *cmd, int fd,
                       const struct binary_tag *tag, uint64_t cas)
{
    if (!tag->quiet) {
        reply_binary_value(cmd, fd, tag, cas, NULL, 0);
    }
}

void reply_binary_error(struct command *cmd, int fd,
                        const struct binary_tag *tag, enum binary_code code,
                        const char *text)
{
    const char *why = text != NULL ? text : binary_text(code);
    size_t n = strlen(why);
    const struct binary_reply reply = {.code = (uint16_t)code,
                                       .nbytes = (uint32_t)n};
    char *start = out_tail(cmd->out);
    char *end = binary_reply_header(start, tag, &reply);

    log_print(2, ">%d Writing an error: %s\n", fd, why);
    memcpy(end, why, n);
    out_wrote(cmd->out, end + n);
    reply_binary_echo(fd, start);
}
