/* SPDX-License-Identifier: MIT */
/*
 * Philox4x32-10
 *
 * The counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
 * as 1, 2, 3" (SC 2011): a bijection of 128-bit counters under a 64-bit key. Four words come of
 * each block; block i of a stream depends on key, stream and i alone, so any thread may make it.
 *
 * A counter is, from its lowest word on: 64 bits of the block's number, 48 bits of the stream, 16
 * bits of the attempt (0, but for what was rejected).
 */
#pragma once

#include <stdint.h>

#define PHILOX_STREAM_BITS 48
#define PHILOX_BLOCKS 128 /* made at once */

struct philox {
        uint32_t key[2];
        uint32_t high[2]; /* words 2 and 3 of the counter, attempt 0 */
};

/* Words of many blocks: w[j][i] is word j of block i. */
struct philox_words {
        _Alignas(64) uint32_t w[4][PHILOX_BLOCKS];
};

static inline struct philox philox_of(uint64_t seed, uint64_t stream)
{
        return (struct philox){ .key = { (uint32_t)seed, (uint32_t)(seed >> 32) },
                                .high = { (uint32_t)stream, (uint32_t)(stream >> 32) } };
}

static inline __attribute__((always_inline)) void philox_block(uint32_t c[4], const uint32_t key[2])
{
        uint32_t k0 = key[0], k1 = key[1];

#pragma GCC unroll 10
        for (int round = 0; round < 10; round++) {
                uint64_t a = UINT64_C(0xD2511F53) * c[0], b = UINT64_C(0xCD9E8D57) * c[2];

                c[0] = (uint32_t)(b >> 32) ^ c[1] ^ k0;
                c[1] = (uint32_t)b;
                c[2] = (uint32_t)(a >> 32) ^ c[3] ^ k1;
                c[3] = (uint32_t)a;
                k0 += 0x9E3779B9;
                k1 += 0xBB67AE85;
        }
}

/* PHILOX_BLOCKS blocks, from that one on. */
void philox_words(const struct philox *philox, uint64_t block, struct philox_words *words);
