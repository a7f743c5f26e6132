#include "proto/udp.h"

#include "base/bytes.h"

bool udp_parse(const char *p, size_t n, uint16_t *id)
{
    const uint8_t *frame = (const uint8_t *)p;

    /* Sequence number and the last two bytes are of no interest. */
    if (n <= UDP_FRAME || get_u16(frame + 4) != 1) {
        return false;
    }
    *id = get_u16(frame);
    return true;
}

char *udp_format(char *buf, uint16_t id, uint16_t seq, uint16_t count)
{
    uint8_t *p = (uint8_t *)buf;

    p = wr_u16(p, id);
    p = wr_u16(p, seq);
    p = wr_u16(p, count);
    return (char *)wr_u16(p, 0);
}
