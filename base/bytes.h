/*
 * bytes - loads and stores of big-endian integers, and a reading cursor with
 * a sticky error.
 *
 * Layer:   0.
 * Threads: pure functions.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A cursor over received bytes. A short read sets `bad`, which is never
 * cleared; check once at the end with rd_done(). */
struct rd {
    const uint8_t *p, *end;
    bool bad;
};

/* The next bytes as a big-endian number; 0 once bad. */
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);

/* The next `n` bytes, borrowed from the buffer; NULL once bad. */
const uint8_t *rd_bytes(struct rd *r, size_t n);

/* Not bad, and nothing left over. */
bool rd_done(const struct rd *r);

/* The big-endian number at `p`, which the caller knows to be there. */
static inline uint16_t get_u16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return be16toh(v);
}

static inline uint32_t get_u32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return be32toh(v);
}

static inline uint64_t get_u64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return be64toh(v);
}

/* Store big-endian at `p` and return the end. */
static inline uint8_t *wr_u16(uint8_t *p, uint16_t v)
{
    v = htobe16(v);
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}

static inline uint8_t *wr_u32(uint8_t *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}

static inline uint8_t *wr_u64(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}

#endif
