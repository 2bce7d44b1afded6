/* SPDX-License-Identifier: MIT */
/* The place of an extremum; results from accumulators. */
#include "compute/kernels/fold_set.h"

/* ---- the place of an extremum ---- */

#define FIND(T, ...)                                                                               \
        static size_t find_##T(size_t n, const void *x, const void *value)                         \
        {                                                                                          \
                const at_##T *xs = x;                                                              \
                const type_##T v = *(const at_##T *)value;                                         \
                size_t i = 0;                                                                      \
                                                                                                   \
                for (; i + 64 <= n; i += 64) {                                                     \
                        flag_##T any = 0;                                                          \
                                                                                                   \
                        for (size_t j = 0; j < 64; j++) {                                          \
                                const type_##T e = READ_##T(xs[i + j]);                            \
                                                                                                   \
                                any |= (e == v) | ((e != e) & (v != v));                           \
                        }                                                                          \
                        if (any)                                                                   \
                                break;                                                             \
                }                                                                                  \
                for (; i < n; i++) {                                                               \
                        const type_##T e = READ_##T(xs[i]);                                        \
                                                                                                   \
                        if ((e == v) | ((e != e) & (v != v)))                                      \
                                break;                                                             \
                }                                                                                  \
                return i;                                                                          \
        }
BOOLS(FIND, )
REALS(FIND, )

#define BETTER(T, which, sign)                                                                     \
        static void better_##which##_##T(size_t n, void *best, int64_t *indices, const void *row,  \
                                         int64_t index)                                            \
        {                                                                                          \
                const at_##T *xs = row;                                                            \
                at_##T *bests = best;                                                              \
                                                                                                   \
                NO_ALIAS for (size_t c = 0; c < n; c++)                                            \
                {                                                                                  \
                        const type_##T e = READ_##T(xs[c]), b = bests[c];                          \
                        const bool is_better = (e sign b) | ((e != e) & (b == b));                 \
                                                                                                   \
                        bests[c] = is_better ? e : b;                                              \
                        indices[c] = is_better ? index : indices[c];                               \
                }                                                                                  \
        }
BOOLS(BETTER, MAX, >)
REALS(BETTER, MAX, >)
BOOLS(BETTER, MIN, <)
REALS(BETTER, MIN, <)

/* ---- results ---- */

#define FINISH(A, R)                                                                               \
        static void finish_##R(size_t n, void *out, const void *values, double divisor,            \
                               bool is_root)                                                       \
        {                                                                                          \
                const at_##A *xs = values;                                                         \
                at_##R *o = out;                                                                   \
                                                                                                   \
                if (is_root)                                                                       \
                        NO_ALIAS for (size_t i = 0; i < n; i++)                                    \
                                o[i] = (type_##R)__builtin_sqrt(__real__(xs[i] / divisor));        \
                else                                                                               \
                        NO_ALIAS for (size_t i = 0; i < n; i++)                                    \
                                o[i] = (type_##R)(xs[i] / divisor);                                \
        }
FINISH(FLOAT64, FLOAT32)
FINISH(FLOAT64, FLOAT64)
FINISH(COMPLEX128, COMPLEX64)
FINISH(COMPLEX128, COMPLEX128)

#define ENTER_FIND(T, ...)                                                                         \
        kernels->find[TD_##T] = find_##T;                                                          \
        kernels->better[0][TD_##T] = better_MAX_##T;                                               \
        kernels->better[1][TD_##T] = better_MIN_##T;
#define ENTER_FINISH(T, ...) kernels->finish[TD_##T] = finish_##T;

KERNELS_FILL(fold_find)
{
        BOOLS(ENTER_FIND, )
        REALS(ENTER_FIND, )
        FLOATS(ENTER_FINISH, )
        COMPLEXES(ENTER_FINISH, )
}
