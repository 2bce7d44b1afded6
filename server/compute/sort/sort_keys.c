/* SPDX-License-Identifier: MIT */
/*
 * Sorting keys
 *
 * Two passes of a radix sort over the highest bits in which the keys differ, enough of them to tell
 * most keys apart; then insertion puts right what is left. Where that would take long, since many
 * keys agree in these bits and not in lower ones, the radix sort goes over all bits instead. Every
 * part is stable, so it may follow any other.
 *
 * Keys that change meanwhile (a user kernel may map scratch) lead to a wrong order, never outside.
 */
#include "compute/sort/sort_keys.h"

#include <stdbool.h>
#include <string.h>

enum {
        FEW = 24,       /* keys: insertion alone */
        DIGIT_MAX = 11, /* bits: a table of counters then is 8 KiB */
        SPARE_BITS = 7, /* beyond those that number the keys: so few agree */
        MOVES = 3,      /* of insertion, per key */
};

#define ALWAYS static inline __attribute__((always_inline))

/* How keys are cut into digits. */
struct digits {
        uint64_t low; /* the smallest key */
        unsigned shift;
        unsigned bits;
};

/* false if it takes too long: what was done so far is no harm. */
ALWAYS bool insertion(struct keys a, size_t n, size_t n_moves, bool has_indices)
{
        for (size_t i = 1; i < n; i++) {
                uint64_t key = a.keys[i];
                uint32_t index = has_indices ? a.indices[i] : 0;
                size_t k = i;

                if (a.keys[i - 1] <= key)
                        continue;
                for (; k > 0 && a.keys[k - 1] > key; k--) {
                        a.keys[k] = a.keys[k - 1];
                        if (has_indices)
                                a.indices[k] = a.indices[k - 1];
                }
                a.keys[k] = key;
                if (has_indices)
                        a.indices[k] = index;
                if (i - k > n_moves)
                        return false;
                n_moves -= i - k;
        }
        return true;
}

ALWAYS size_t digit_of(const struct digits *digits, uint64_t key)
{
        return (size_t)((key - digits->low) >> digits->shift) & (((size_t)1 << digits->bits) - 1);
}

/* counts: of each digit; become where the next key of it goes. */
ALWAYS void scatter(struct keys to, struct keys from, size_t n, const struct digits *digits,
                    uint32_t *counts, bool has_indices)
{
        uint32_t sum = 0;

        for (size_t d = 0; d < (size_t)1 << digits->bits; d++) {
                uint32_t count = counts[d];

                counts[d] = sum;
                sum += count;
        }
        for (size_t i = 0; i < n; i++) {
                uint64_t key = from.keys[i];
                uint32_t at = counts[digit_of(digits, key)]++;

                if (at >= n)
                        continue;
                to.keys[at] = key;
                if (has_indices)
                        to.indices[at] = from.indices[i];
        }
}

/* All of the bits, from the lowest digit to the highest. */
ALWAYS struct keys sort_all_bits(struct keys from, struct keys room, size_t n, uint64_t low,
                                 unsigned n_bits, bool has_indices)
{
        uint32_t counts[1 << DIGIT_MAX];

        for (unsigned shift = 0; shift < n_bits; shift += DIGIT_MAX) {
                struct digits digits = { low, shift, DIGIT_MAX };
                struct keys swap = from;

                memset(counts, 0, sizeof(counts));
                for (size_t i = 0; i < n; i++)
                        counts[digit_of(&digits, from.keys[i])]++;
                if (counts[digit_of(&digits, from.keys[0])] == n)
                        continue;
                scatter(room, from, n, &digits, counts, has_indices);
                from = room;
                room = swap;
        }
        return from;
}

ALWAYS struct keys sort_high_bits(struct keys from, struct keys room, size_t n, uint64_t low,
                                  unsigned n_bits, bool has_indices)
{
        unsigned n_wanted = 64 - (unsigned)__builtin_clzll(n) + SPARE_BITS, n_digit;
        uint32_t counts[2][1 << DIGIT_MAX];
        struct digits digits = { .low = low };

        if (n_wanted > 2 * DIGIT_MAX)
                n_wanted = 2 * DIGIT_MAX;
        if (n_bits < n_wanted)
                n_wanted = n_bits;
        n_digit = n_bits <= DIGIT_MAX && n >= (size_t)1 << (n_bits / 2) ? n_bits
                                                                        : (n_wanted + 1) / 2;
        digits.bits = n_digit;
        digits.shift = n_bits > 2 * n_digit ? n_bits - 2 * n_digit : 0;
        memset(counts[0], 0, sizeof(counts[0][0]) << n_digit);
        memset(counts[1], 0, sizeof(counts[0][0]) << n_digit);
        for (size_t i = 0; i < n; i++) {
                uint64_t bits = (from.keys[i] - low) >> digits.shift;

                counts[0][bits & ((1U << n_digit) - 1)]++;
                counts[1][bits >> n_digit & ((1U << n_digit) - 1)]++;
        }
        scatter(room, from, n, &digits, counts[0], has_indices);
        if (n_digit == n_bits)
                return room;
        digits.shift += n_digit;
        scatter(from, room, n, &digits, counts[1], has_indices);
        if (n_bits <= 2 * n_digit || insertion(from, n, MOVES * n, has_indices))
                return from;
        return sort_all_bits(from, room, n, low, n_bits, has_indices);
}

ALWAYS struct keys sort_either(struct keys from, struct keys room, size_t n, bool has_indices)
{
        uint64_t low = UINT64_MAX, high = 0;

        if (n <= FEW) {
                insertion(from, n, SIZE_MAX, has_indices);
                return from;
        }
        for (size_t i = 0; i < n; i++) {
                low = from.keys[i] < low ? from.keys[i] : low;
                high = from.keys[i] > high ? from.keys[i] : high;
        }
        if (low == high)
                return from;
        return sort_high_bits(from, room, n, low, 64 - (unsigned)__builtin_clzll(high - low),
                              has_indices);
}

struct keys sort_keys(struct keys from, struct keys room, size_t n)
{
        return from.indices ? sort_either(from, room, n, true) : sort_either(from, room, n, false);
}
