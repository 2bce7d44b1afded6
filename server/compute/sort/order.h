/* SPDX-License-Identifier: MIT */
/*
 * Order
 *
 * Elements of any dtype as keys: unsigned integers that compare as the elements do, equal where
 * they are. -0.0 is 0.0, and all NaN are one key behind all others, in both directions. Complex
 * numbers are in the order of their real parts, where these are equal of their imaginary ones; NaN
 * is each that has one in either.
 */
#pragma once

#include "compute/space.h"

struct order {
        kernel_load *load; /* to uint64_t */
        /* What one of 64 bits cannot tell: the same of a minor key, which counts where keys are
         * equal; else NULL. */
        kernel_load *load_minor;
        /* Back again, stride bytes apart: 0.0 for either zero, one NaN for all. NULL of complex
         * dtypes: too many elements have one key. */
        void (*store)(size_t n, char *out, ptrdiff_t stride, const uint64_t *keys);
        uint64_t nan; /* key of NaN; 0: the dtype has none */
        uint64_t zero;
        size_t item_size;
};

/* Of complex dtypes there is no descending order. */
const struct order *order_of(unsigned dtype, bool is_descending);

/* Elements of an operand, in the order of its space, as keys. */
struct source {
        const struct order *order;
        const struct space *space; /* of one operand */
        const char *base;
};

static inline void source_load(const struct source *source, int64_t index, size_t n, uint64_t *keys)
{
        if (n > 0)
                space_load(source->space, 0, source->order->load, sizeof(*keys), source->base,
                           index, n, keys);
}

/*
 * Elements that are one to their keys, and yet differ: zeros and NaN. Put those of the source, in
 * its order, where sorted keys say that they belong; at most as many as there are, from the first
 * on, for n_zeros of zeros.
 */
struct order_restore {
        char *zeros, *nans; /* where the first of each is to be; stride apart */
        int64_t n_zeros, n_nans;
        ptrdiff_t stride;
};
void order_restore(const struct source *source, const struct order_restore *to);
