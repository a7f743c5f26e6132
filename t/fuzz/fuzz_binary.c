/* Binary packets and datagram frames: a packet cut anywhere is none, nothing
 * points outside, a value is stored, swallowed or the end of it all. */
#include <stdlib.h>
#include <string.h>

#include "proto/binary.h"
#include "proto/udp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* Field by field: padding may differ. */
static bool same(const struct binary_request *a, const struct binary_request *b)
{
    return a->verb == b->verb && a->tag.opcode == b->tag.opcode &&
           a->tag.quiet == b->tag.quiet && a->tag.opaque == b->tag.opaque &&
           a->with_key == b->with_key && a->misframed == b->misframed &&
           a->misshapen == b->misshapen && a->surplus == b->surplus &&
           a->refusal == b->refusal && a->nkey == b->nkey &&
           a->nbytes == b->nbytes && a->flags == b->flags &&
           a->exptime == b->exptime && a->cas == b->cas &&
           a->delta == b->delta && a->initial == b->initial && a->key == b->key;
}

static void check_packet(const char *p, size_t n,
                         const struct binary_request *req)
{
    struct binary_request again;
    size_t used = 0;
    size_t body = (size_t)(unsigned char)p[8] << 24 |
                  (size_t)(unsigned char)p[9] << 16 |
                  (size_t)(unsigned char)p[10] << 8 | (unsigned char)p[11];

    for (size_t cut = 0; cut < n; cut++) {
        demand(binary_parse(p, cut, &again, &used) != BINARY_PARSED);
    }
    demand(binary_parse(p, n, &again, &used) == BINARY_PARSED && used == n);
    demand(same(&again, req));
    demand(n >= BINARY_HEADER && n <= BINARY_PACKET_MAX);
    demand((unsigned char)p[0] == BINARY_REQUEST);
    if (req->misframed || req->misshapen) {
        demand(req->refusal != BINARY_OK && !binary_is_keyed(req));
        return;
    }
    demand(req->nkey <= KEY_MAX_LENGTH);
    demand(req->nkey == 0 || req->key + req->nkey == p + n);
    demand(n - BINARY_HEADER + req->nbytes == body || req->surplus);
    demand(req->nbytes == 0 || binary_has_value(req) ||
           req->verb == BINARY_UNKNOWN);
    demand(!binary_is_keyed(req) || req->nkey > 0);
}

/* What was parsed, told back as the header of a reply. */
static void check_reply(const struct binary_request *req)
{
    const struct binary_reply reply = {.code = req->refusal,
                                       .nkey = req->nkey,
                                       .nbytes = req->nbytes / 2,
                                       .cas = req->cas};
    char buf[BINARY_HEADER];

    demand(binary_reply_header(buf, &req->tag, &reply) == buf + sizeof(buf));
    demand((unsigned char)buf[0] == BINARY_RESPONSE);
    demand(memcmp(buf + 12, &req->tag.opaque, 4) == 0);
}

static void check_frame(const char *p, size_t n)
{
    char buf[UDP_FRAME];
    uint16_t id = 0, again = 0;

    if (!udp_parse(p, n, &id)) {
        return;
    }
    demand(n > UDP_FRAME);
    demand(udp_format(buf, id, 0, 1) == buf + sizeof(buf));
    demand(memcmp(buf, p, 2) == 0 && !udp_parse(buf, sizeof(buf), &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    struct binary_request req;
    size_t used;

    check_frame(p, size);
    while (binary_parse(p, size, &req, &used) == BINARY_PARSED) {
        demand(used > 0 && used <= size);
        check_packet(p, used, &req);
        check_reply(&req);
        p += used;
        size -= used;
        if (!req.misframed && !req.misshapen) {
            size_t skip = req.nbytes < size ? req.nbytes : size;

            p += skip;
            size -= skip;
        }
    }
    return 0;
}
