/* Datagrams, through udp, command and a store. The input is datagrams, each
 * behind two bytes of its length and one that says whether a frame is put in
 * front of it; what comes back is whole replies to those that asked, and a
 * question behind them is answered. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "proto/udp.h"
#include "serving.h"
#include "settings.h"
#include "store.h"
#include "udp.h"

enum { HEADER = 3, INPUT_MAX = 65536, ID_END = 0xfffe, ROOM = 65536 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct settings first;
static bool asked[65536];
static unsigned next_seq, count; /* of the reply that is coming */
static unsigned id_now;
static bool ended;

static void init(void)
{
    static bool done;

    if (!done) {
        serving_init();
        first = settings;
        done = true;
    }
}

static void store(const char *name, size_t n)
{
    struct store_key key = store_key(name, strlen(name));
    struct store_attrs attrs = {0, 0};
    char *value = calloc(1, n);
    uint64_t cas = 0;

    demand(value != NULL);
    demand(store_set(&key, &attrs, STORE_SET, value, n, &cas) == STORE_OK);
    free(value);
}

static unsigned u16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

/* A datagram of a reply, or the frame alone that quit is answered with. */
static void check(const uint8_t *p, size_t n)
{
    demand(n >= UDP_FRAME && n <= UDP_DATAGRAM_MAX);
    demand(asked[u16(p)] && u16(p + 6) == 0);
    if (n == UDP_FRAME) {
        demand(count == 0 && u16(p + 2) == 0 && u16(p + 4) == 0);
        return;
    }
    if (count == 0) {
        demand(u16(p + 2) == 0 && u16(p + 4) > 0);
        id_now = u16(p);
        next_seq = 0;
        count = u16(p + 4);
    }
    demand(u16(p) == id_now && u16(p + 2) == next_seq && u16(p + 4) == count);
    next_seq++;
    demand(next_seq == count || n == UDP_DATAGRAM_MAX);
    count = next_seq == count ? 0 : count;
    if (u16(p) == ID_END) {
        demand(n == UDP_FRAME + 4 && memcmp(p + UDP_FRAME, "MN\r\n", 4) == 0);
        ended = true;
    }
}

static bool take(void)
{
    uint8_t buf[ROOM];
    ssize_t n = recv(serving.client, buf, sizeof(buf), 0);

    if (n >= 0) {
        check(buf, (size_t)n);
    }
    return n >= 0;
}

/* One datagram, with a frame of its own with `framed`. */
static void ask(const uint8_t *p, size_t n, bool framed, uint16_t id)
{
    char datagram[ROOM];
    size_t len = 0;

    if (framed) {
        len = (size_t)(udp_format(datagram, id, 0, 1) - datagram);
    }
    n = n < sizeof(datagram) - len ? n : sizeof(datagram) - len;
    memcpy(datagram + len, p, n);
    if (len + n >= 2) {
        asked[u16((const uint8_t *)datagram)] = true;
    }
    demand(send(serving.client, datagram, len + n, 0) == (ssize_t)(len + n));
    serving_settle(take);
    demand(count == 0);
}

static void ask_all(const uint8_t *p, size_t n)
{
    for (uint16_t id = 1; n >= HEADER; id++) {
        size_t len = u16(p);
        bool framed = (p[2] & 1) != 0;

        p += HEADER;
        n -= HEADER;
        len = len < n ? len : n;
        if (framed || len < 2 || u16(p) != ID_END) {
            ask(p, len, framed, id);
        }
        p += len;
        n -= len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX) {
        return 0;
    }
    init();
    settings = first;
    memset(asked, 0, sizeof(asked));
    ended = false;
    count = 0;
    atomic_store(&log_verbosity, 0);
    serving_begin(SOCK_DGRAM, false);
    store("k", 1);
    store("big", 5000);
    store("huge", 200000);
    udp_open(serving.set, serving.server);
    ask_all(data, size);
    ask((const uint8_t *)"mn\r\n", 4, true, ID_END);
    demand(ended);
    udp_close_all(serving.set);
    demand(close(serving.client) == 0);
    serving_end();
    return 0;
}
