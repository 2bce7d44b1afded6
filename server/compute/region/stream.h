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
/*
 * Whole lines are written without being read first, and do not displace what is in the caches. A
 * line that is written in part is written the usual way, for another call may write the rest: half
 * past the caches and half into them is several times slower than either.
 */
static inline void stream(char *out, const char *x, size_t n_bytes)
{
        size_t head = -(uintptr_t)out % 64, n;

        head = head < n_bytes ? head : n_bytes;
        memcpy(out, x, head);
        out += head;
        x += head;
        n_bytes -= head;
        n = n_bytes & ~(size_t)63;
        for (size_t i = 0; i < n; i += 64) {
                const __m128i *from = (const __m128i *)(const void *)(x + i);
                __m128i *to = (__m128i *)(void *)(out + i);
                __m128i a = _mm_loadu_si128(from), b = _mm_loadu_si128(from + 1);
                __m128i c = _mm_loadu_si128(from + 2), d = _mm_loadu_si128(from + 3);

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
