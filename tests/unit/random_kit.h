/* SPDX-License-Identifier: MIT */
/*
 * Chance in tests: Marsaglia's xorshift, the same numbers each time.
 */
#pragma once

#include <stdint.h>

static uint64_t kit_random_state = 0x9e3779b97f4a7c15;

static inline uint64_t kit_random(void)
{
        kit_random_state ^= kit_random_state << 13;
        kit_random_state ^= kit_random_state >> 7;
        kit_random_state ^= kit_random_state << 17;
        return kit_random_state;
}
