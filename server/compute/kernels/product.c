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
        kernels->matmul[TD_INT64] = matmul_INT64;
        kernels->matmul[TD_FLOAT32] = matmul_FLOAT32;
        kernels->matmul[TD_FLOAT64] = matmul_FLOAT64;
}
