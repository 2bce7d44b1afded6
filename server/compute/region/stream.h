/* SPDX-License-Identifier: MIT */
/*
 * Writing past the caches
 *
 * For results that are larger than them: a line is neither read before it is written nor kept. Any
 * thread; what a thread wrote is there for others after its stream_end().
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define STREAM_MIN_BYTES (16 << 20)

#ifdef __SSE2__
/* Whole lines are written without being read first, and do not displace what is in the caches. */
static inline void stream(char *out, const char *x, size_t n_bytes)
{
        size_t n = ((uintptr_t)out | (uintptr_t)x) % sizeof(__m128i) ? 0 : n_bytes & ~(size_t)63;

        for (size_t i = 0; i < n; i += 64) {
                const __m128i *from = (const __m128i *)(const void *)(x + i);
                __m128i *to = (__m128i *)(void *)(out + i);
                __m128i a = from[0], b = from[1], c = from[2], d = from[3];

                _mm_stream_si128(to, a);
                _mm_stream_si128(to + 1, b);
                _mm_stream_si128(to + 2, c);
                _mm_stream_si128(to + 3, d);
        }
        memcpy(out + n, x + n, n_bytes - n);
}

static inline void stream_end(void)
{
        _mm_sfence();
}
#else
static inline void stream(char *out, const char *x, size_t n_bytes)
{
        memcpy(out, x, n_bytes);
}

static inline void stream_end(void)
{
}
#endif
