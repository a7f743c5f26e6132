#include "bytes.h"

#include <endian.h>
#include <string.h>

const uint8_t *rd_bytes(struct rd *r, size_t n)
{
    const uint8_t *p = r->p;

    if (r->bad || (size_t)(r->end - p) < n) {
        r->bad = true;
        return NULL;
    }
    r->p += n;
    return p;
}

uint8_t rd_u8(struct rd *r)
{
    const uint8_t *p = rd_bytes(r, 1);

    return p == NULL ? 0 : *p;
}

uint16_t rd_u16(struct rd *r)
{
    const uint8_t *p = rd_bytes(r, 2);
    uint16_t v = 0;

    if (p != NULL) {
        memcpy(&v, p, sizeof(v));
    }
    return be16toh(v);
}

uint32_t rd_u32(struct rd *r)
{
    const uint8_t *p = rd_bytes(r, 4);
    uint32_t v = 0;

    if (p != NULL) {
        memcpy(&v, p, sizeof(v));
    }
    return be32toh(v);
}

uint64_t rd_u64(struct rd *r)
{
    const uint8_t *p = rd_bytes(r, 8);
    uint64_t v = 0;

    if (p != NULL) {
        memcpy(&v, p, sizeof(v));
    }
    return be64toh(v);
}

bool rd_done(const struct rd *r)
{
    return !r->bad && r->p == r->end;
}

uint8_t *wr_u16(uint8_t *p, uint16_t v)
{
    v = htobe16(v);
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}

uint8_t *wr_u32(uint8_t *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}

uint8_t *wr_u64(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}
