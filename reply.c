#include "reply.h"

#include <string.h>

#include "base/log.h"
#include "proto/text.h"

void reply_echo(int fd, bool noreply, const char *text, size_t n)
{
    if (UNLIKELY(log_wanted(2))) {
        log_print(2, ">%d %s%.*s\n", fd, noreply ? "NOREPLY " : "", (int)n,
                  text);
    }
}

/* Answers with a fixed reply, which -vv does not show. */
void reply_silently(struct command *cmd, bool noreply, enum reply reply)
{
    size_t n;
    const char *text = text_reply(reply, &n);

    if (!noreply) {
        out_bytes(cmd->out, text, n);
    }
}

void reply_fixed(struct command *cmd, int fd, bool noreply, enum reply reply)
{
    size_t n;
    const char *text = text_reply(reply, &n);

    if (n > 0) {
        reply_echo(fd, noreply, text, n - 2);
    }
    reply_silently(cmd, noreply, reply);
}

/* Answers with a line of its own, given without line end. */
void reply_text(struct command *cmd, int fd, bool noreply, const char *text)
{
    size_t n = strlen(text);

    reply_echo(fd, noreply, text, n);
    if (!noreply) {
        out_bytes(cmd->out, text, n);
        out_bytes(cmd->out, "\r\n", 2);
    }
}
