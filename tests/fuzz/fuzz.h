/* SPDX-License-Identifier: MIT */
/*
 * What every fuzz target has
 *
 * A target is one function of the engine's signature, see run. It decodes the bytes that it is
 * given into whatever its module takes, and says with must() what has to hold: a wrong answer stops
 * the process as a crash does. Numbers drawn from bytes that have ended are 0, so every prefix of
 * an input is an input.
 */
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

/* Also where asserts are compiled out. */
#define must(condition, ...)                                                                       \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        fprintf(stderr, "%s:%d: must hold: %s\n", __FILE__, __LINE__, #condition); \
                        fprintf(stderr, "  " __VA_ARGS__);                                         \
                        fputc('\n', stderr);                                                       \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

struct draw {
        const uint8_t *at;
        size_t n_left;
};

static inline uint8_t draw_byte(struct draw *draw)
{
        if (draw->n_left == 0)
                return 0;
        draw->n_left--;
        return *draw->at++;
}

/* From 0 to n - 1, n at most 256. */
static inline unsigned draw_below(struct draw *draw, unsigned n)
{
        return draw_byte(draw) % n;
}

static inline bool draw_bool(struct draw *draw)
{
        return draw_byte(draw) & 1;
}

static inline uint64_t draw_u64(struct draw *draw)
{
        uint64_t value = 0;

        for (int i = 0; i < 8; i++)
                value = value << 8 | draw_byte(draw);
        return value;
}

/* Small, near a power of two of either sign, or anything. */
static inline int64_t draw_wide(struct draw *draw)
{
        unsigned how = draw_byte(draw);
        uint64_t power = UINT64_C(1) << (how >> 2);

        switch (how & 3) {
        case 0:
                return (int64_t)draw_byte(draw) - 64;
        case 1:
                return (int64_t)(power + draw_byte(draw) - 128);
        case 2:
                return (int64_t)(0 - power + draw_byte(draw) - 128);
        default:
                return (int64_t)draw_u64(draw);
        }
}
