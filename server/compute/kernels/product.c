/* SPDX-License-Identifier: MIT */
/*
 * Matrix products
 *
 * What BLAS does not do: integers, bool, and products too small to be worth its call.
 */
#include "compute/kernels/set.h"

#define PRODUCT_ROWS 4    /* of c at a time, KERNEL_LANES columns wide */
#define PRODUCT_DEPTH 256 /* of k at a time: what is read of b then stays in the L1 cache */

#define MULTIPLY_ADD_INT64(T, c, a, b)                                                             \
        ((vec_INT64)((vec_UINT64)(c) + (vec_UINT64)(a) * (vec_UINT64)(b)))
#define MULTIPLY_ADD_FLOAT32(T, c, a, b) ((c) + (a) * (b))
#define MULTIPLY_ADD_FLOAT64(T, c, a, b) ((c) + (a) * (b))
#define SCALAR_MULTIPLY_ADD_INT64(c, a, b)                                                         \
        ((int64_t)((uint64_t)(c) + (uint64_t)(a) * (uint64_t)(b)))
#define SCALAR_MULTIPLY_ADD_FLOAT32(c, a, b) ((c) + (a) * (b))
#define SCALAR_MULTIPLY_ADD_FLOAT64(c, a, b) ((c) + (a) * (b))

/* Adds a[rows][depth] @ b[depth][KERNEL_LANES] to c; b's rows are contiguous. */
#define KERNEL_PRODUCT_TILE(T, rows)                                                               \
        static void product_tile_##T##_##rows(const struct kernel_product *p, const char *a,       \
                                              const char *b, char *c, int64_t depth)               \
        {                                                                                          \
                vec_##T sums[rows][VECTORS(sizeof(type_##T))];                                     \
                                                                                                   \
                for (int i = 0; i < rows; i++)                                                     \
                        memcpy(sums[i], c + i * p->c_row, sizeof(sums[i]));                        \
                for (int64_t q = 0; q < depth; q++, a += p->a_col, b += p->b_row)                  \
                        for (int i = 0; i < rows; i++) {                                           \
                                const vec_##T x = SPLAT(T, *(const at_##T *)(a + i * p->a_row));   \
                                                                                                   \
                                for (size_t j = 0; j < VECTORS(sizeof(type_##T)); j++)             \
                                        sums[i][j] = MULTIPLY_ADD_##T(T, sums[i][j], x,            \
                                                                      ((const vec_##T *)b)[j]);    \
                        }                                                                          \
                for (int i = 0; i < rows; i++)                                                     \
                        memcpy(c + i * p->c_row, sums[i], sizeof(sums[i]));                        \
        }
#define KERNEL_PRODUCT(T)                                                                          \
        KERNEL_PRODUCT_TILE(T, 1)                                                                  \
        KERNEL_PRODUCT_TILE(T, 4)                                                                  \
        KERNEL_PRODUCT_LOOPS(T)
#define KERNEL_PRODUCT_LOOPS(T)                                                                    \
        /* columns from first on, one element after the other */                                   \
        static void product_columns_##T(const struct kernel_product *p, int64_t first)             \
        {                                                                                          \
                for (int64_t i = 0; i < p->m; i++)                                                 \
                        for (int64_t j = first; j < p->n; j++) {                                   \
                                const char *a = p->a + i * p->a_row, *b = p->b + j * p->b_col;     \
                                type_##T sum = 0;                                                  \
                                                                                                   \
                                for (int64_t q = 0; q < p->k; q++, a += p->a_col, b += p->b_row)   \
                                        sum = SCALAR_MULTIPLY_ADD_##T(sum, *(const at_##T *)a,     \
                                                                      *(const at_##T *)b);         \
                                ((at_##T *)(p->c + i * p->c_row))[j] = sum;                        \
                        }                                                                          \
        }                                                                                          \
        static void matmul_##T(const struct kernel_product *p)                                     \
        {                                                                                          \
                const int64_t columns = p->b_col == sizeof(type_##T) ? p->n - p->n % KERNEL_LANES  \
                                                                     : 0;                          \
                                                                                                   \
                for (int64_t i = 0; columns && i < p->m; i++)                                      \
                        memset(p->c + i * p->c_row, 0, (size_t)columns * sizeof(type_##T));        \
                for (int64_t q = 0; columns && q < p->k; q += PRODUCT_DEPTH) {                     \
                        const int64_t depth = p->k - q < PRODUCT_DEPTH ? p->k - q : PRODUCT_DEPTH; \
                                                                                                   \
                        for (int64_t j = 0; j < columns; j += KERNEL_LANES) {                      \
                                const char *a = p->a + q * p->a_col,                               \
                                           *b = p->b + q * p->b_row + j * p->b_col;                \
                                char *c = p->c + j * (int64_t)sizeof(type_##T);                    \
                                int64_t i = 0;                                                     \
                                                                                                   \
                                for (; i + PRODUCT_ROWS <= p->m; i += PRODUCT_ROWS)                \
                                        product_tile_##T##_4(p, a + i * p->a_row, b,               \
                                                             c + i * p->c_row, depth);             \
                                for (; i < p->m; i++)                                              \
                                        product_tile_##T##_1(p, a + i * p->a_row, b,               \
                                                             c + i * p->c_row, depth);             \
                        }                                                                          \
                }                                                                                  \
                product_columns_##T(p, columns);                                                   \
        }
KERNEL_PRODUCT(INT64)
KERNEL_PRODUCT(FLOAT32)
KERNEL_PRODUCT(FLOAT64)

/* ---- integers of up to 32 bits: what wraps in 32 bits wraps in fewer ---- */

typedef uint32_t wide_lanes __attribute__((vector_size(4 * KERNEL_LANES), aligned(1), may_alias));
#define LANES_OF(T, bytes)                                                                         \
        typedef type_##T lanes_##T                                                                 \
                __attribute__((vector_size(bytes * KERNEL_LANES), aligned(1), may_alias));
LANES_OF(INT8, 1)
LANES_OF(INT16, 2)
LANES_OF(INT32, 4)

#define NARROW_PRODUCT_TILE(T, rows)                                                               \
        static void product_tile_##T##_##rows(const struct kernel_product *p, const char *a,       \
                                              const char *b, char *c, int64_t depth)               \
        {                                                                                          \
                wide_lanes sums[rows];                                                             \
                                                                                                   \
                for (int i = 0; i < rows; i++)                                                     \
                        sums[i] = __builtin_convertvector(*(const lanes_##T *)(c + i * p->c_row),  \
                                                          wide_lanes);                             \
                for (int64_t q = 0; q < depth; q++, a += p->a_col, b += p->b_row) {                \
                        const wide_lanes y = __builtin_convertvector(*(const lanes_##T *)b,        \
                                                                     wide_lanes);                  \
                                                                                                   \
                        for (int i = 0; i < rows; i++)                                             \
                                sums[i] += y * (uint32_t) * (const at_##T *)(a + i * p->a_row);    \
                }                                                                                  \
                for (int i = 0; i < rows; i++)                                                     \
                        *(lanes_##T *)(c + i * p->c_row) = __builtin_convertvector(sums[i],        \
                                                                                   lanes_##T);     \
        }
#define SCALAR_MULTIPLY_ADD_INT8(c, a, b) ((int8_t)((uint32_t)(c) + (uint32_t)(a) * (uint32_t)(b)))
#define SCALAR_MULTIPLY_ADD_INT16(c, a, b)                                                         \
        ((int16_t)((uint32_t)(c) + (uint32_t)(a) * (uint32_t)(b)))
#define SCALAR_MULTIPLY_ADD_INT32(c, a, b)                                                         \
        ((int32_t)((uint32_t)(c) + (uint32_t)(a) * (uint32_t)(b)))
#define NARROW_PRODUCT(T)                                                                          \
        NARROW_PRODUCT_TILE(T, 1)                                                                  \
        NARROW_PRODUCT_TILE(T, 4)                                                                  \
        KERNEL_PRODUCT_LOOPS(T)
NARROW_PRODUCT(INT8)
NARROW_PRODUCT(INT16)
NARROW_PRODUCT(INT32)

/* ---- complex: tiny ones, and those that BLAS cannot count ---- */

#define COMPLEX_PRODUCT(T, R)                                                                      \
        static void matmul_##T(const struct kernel_product *p)                                     \
        {                                                                                          \
                for (int64_t i = 0; i < p->m; i++)                                                 \
                        for (int64_t j = 0; j < p->n; j++) {                                       \
                                const char *a = p->a + i * p->a_row, *b = p->b + j * p->b_col;     \
                                at_##R *c = (at_##R *)(p->c + i * p->c_row) + 2 * j;               \
                                type_##R re = 0, im = 0;                                           \
                                                                                                   \
                                for (int64_t q = 0; q < p->k; q++, a += p->a_col, b += p->b_row) { \
                                        const at_##R *x = (const at_##R *)a;                       \
                                        const at_##R *y = (const at_##R *)b;                       \
                                                                                                   \
                                        re += x[0] * y[0] - x[1] * y[1];                           \
                                        im += x[0] * y[1] + x[1] * y[0];                           \
                                }                                                                  \
                                c[0] = re;                                                         \
                                c[1] = im;                                                         \
                        }                                                                          \
        }
COMPLEX_PRODUCT(COMPLEX64, FLOAT32)
COMPLEX_PRODUCT(COMPLEX128, FLOAT64)

/* or over k of a and b: rows of b where a holds */
static void matmul_BOOL(const struct kernel_product *p)
{
        for (int64_t i = 0; i < p->m; i++) {
                uint8_t *c = (uint8_t *)p->c + i * p->c_row;

                memset(c, 0, (size_t)p->n);
                for (int64_t q = 0; q < p->k; q++) {
                        const char *b = p->b + q * p->b_row;

                        if (p->a[i * p->a_row + q * p->a_col] == 0)
                                continue;
                        if (p->b_col == 1)
                                for (int64_t j = 0; j < p->n; j++)
                                        c[j] |= (uint8_t)(b[j] != 0);
                        else
                                for (int64_t j = 0; j < p->n; j++)
                                        c[j] |= (uint8_t)(b[j * p->b_col] != 0);
                }
        }
}

KERNELS_FILL(product)
{
        kernels->matmul[TD_BOOL] = matmul_BOOL;
        /* two's complement: of the same bits, signed or not, the product has the same */
        kernels->matmul[TD_INT8] = kernels->matmul[TD_UINT8] = matmul_INT8;
        kernels->matmul[TD_INT16] = kernels->matmul[TD_UINT16] = matmul_INT16;
        kernels->matmul[TD_INT32] = kernels->matmul[TD_UINT32] = matmul_INT32;
        kernels->matmul[TD_INT64] = kernels->matmul[TD_UINT64] = matmul_INT64;
        kernels->matmul[TD_FLOAT32] = matmul_FLOAT32;
        kernels->matmul[TD_FLOAT64] = matmul_FLOAT64;
        kernels->matmul[TD_COMPLEX64] = matmul_COMPLEX64;
        kernels->matmul[TD_COMPLEX128] = matmul_COMPLEX128;
}
