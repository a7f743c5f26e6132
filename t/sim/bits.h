/*
 * bits - walking the bits of a word, which say what places are in use.
 *
 * Layer:   tests.
 * Threads: any; pure.
 */
#ifndef T_SIM_BITS_H
#define T_SIM_BITS_H

#include <stdint.h>

/* The lowest bit that is set, from `from` on; -1: none. */
static inline int sim_next_bit(uint64_t bits, int from)
{
    bits = from > 63 ? 0 : bits >> from;
    return bits == 0 ? -1 : from + __builtin_ctzll(bits);
}

static inline int sim_first_bit(uint64_t bits)
{
    return sim_next_bit(bits, 0);
}

#endif
