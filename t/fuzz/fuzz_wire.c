/* Fuzzes the lines of the replication link: the commands of 2.x, and the
 * hello. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "rep/wire.h"

/* What was understood is written again and must be understood as the same. */
static void check_rep(const struct wire_msg *msg)
{
    struct wire_item item = {msg->key,     msg->nkey,   msg->flags,
                             msg->exptime, msg->nbytes, msg->cas};
    char buf[WIRE_LINE_ROOM];
    size_t n = (size_t)(wire_format_rep(buf, &item) - buf);
    struct wire_msg again;
    size_t used;

    assert(n <= sizeof(buf));
    assert(wire_parse(buf, n, &again, &used) == WIRE_OK);
    assert(used == n && again.op == WIRE_REP && again.nkey == msg->nkey &&
           again.flags == msg->flags && again.exptime == msg->exptime &&
           again.nbytes == msg->nbytes && again.cas == msg->cas);
}

static void check_hello(const struct wire_msg *msg)
{
    struct wire_hello said, again;
    char buf[WIRE_LINE_ROOM];
    size_t n;

    if (!wire_parse_hello(msg->line, msg->line_len, &said)) {
        return;
    }
    if (said.refused != WIRE_WELCOME) {
        enum wire_refusal why = (enum wire_refusal)said.refused;

        n = (size_t)(wire_format_refusal(buf, why) - buf);
        assert(wire_parse_hello(buf, n - 2, &again));
        assert(again.refused == said.refused && wire_refusal_text(why) != NULL);
        return;
    }
    n = (size_t)(wire_format_hello(buf, &said) - buf);
    assert(n < WIRE_HELLO_MAX && wire_sniff_hello(buf, n) == WIRE_OK);
    assert(wire_parse_hello(buf, n - 2, &again));
    assert(again.run == said.run && again.slot == said.slot &&
           again.clock_ms == said.clock_ms && again.port == said.port &&
           again.copying == said.copying && again.refused == WIRE_WELCOME &&
           again.has_nonce == said.has_nonce &&
           memcmp(again.nonce, said.nonce, WIRE_NONCE) == 0 &&
           memcmp(again.slots, said.slots, sizeof(said.slots)) == 0);
}

static void run(const char *p, size_t n)
{
    struct wire_msg msg;
    size_t used = 0;

    while (wire_parse(p, n, &msg, &used) == WIRE_OK) {
        assert(used > 0 && used <= n && used <= WIRE_LINE_MAX);
        assert(msg.nbytes <= WIRE_VALUE_MAX);
        if (msg.op == WIRE_REP) {
            check_rep(&msg);
        } else if (msg.op == WIRE_HELLO) {
            check_hello(&msg);
        }
        p += used;
        n -= used;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run((const char *)data, size);
    (void)!wire_sniff_hello((const char *)data, size);
    return 0;
}
