/* SPDX-License-Identifier: MIT */
/*
 * OpenBLAS called directly, with its own threading, into warm memory
 *
 *   gemm DTYPE N            c = a @ b, N x N; DTYPE float64 or float32
 *   gemm_at_b DTYPE N       c = a.T @ b
 *   gemm_batch DTYPE N K    K products of N x N, one call after the other
 *
 * Both operands are the same, element i being (i * 7919 % 1021) / 1021 - 0.5.
 * Core and number of threads are those of OPENBLAS_CORETYPE and OPENBLAS_NUM_THREADS; the answer to
 * prepare says which they are.
 */
#include <cblas.h>
#include <stdint.h>

#include "serve.h"

static void *a, *b, *c;
static bool is_double;
static int size, n_products;
static CBLAS_TRANSPOSE trans;

static void forget(void)
{
        free(a);
        free(b);
        free(c);
        a = b = c = NULL;
}

static size_t n_items(void)
{
        return (size_t)size * (size_t)size;
}

static void *make(void)
{
        size_t n = n_items() * (size_t)n_products;
        void *matrix = aligned_alloc(4096, (n * 8 + 4095) & ~(size_t)4095);

        for (size_t i = 0; matrix && i < n; i++) {
                double value = (double)(i * 7919 % 1021) / 1021 - 0.5;

                if (is_double)
                        ((double *)matrix)[i] = value;
                else
                        ((float *)matrix)[i] = (float)value;
        }
        return matrix;
}

static void multiply(void)
{
        for (size_t i = 0; i < (size_t)n_products; i++) {
                size_t at = i * n_items();

                if (is_double)
                        cblas_dgemm(CblasRowMajor, trans, CblasNoTrans, size, size, size, 1.0,
                                    (double *)a + at, size, (double *)b + at, size, 0.0,
                                    (double *)c + at, size);
                else
                        cblas_sgemm(CblasRowMajor, trans, CblasNoTrans, size, size, size, 1.0F,
                                    (float *)a + at, size, (float *)b + at, size, 0.0F,
                                    (float *)c + at, size);
        }
}

static bool prepare(char **arguments, CBLAS_TRANSPOSE wanted, int n)
{
        is_double = strcmp(arguments[0], "float32") != 0;
        size = atoi(arguments[1]);
        trans = wanted;
        n_products = n;
        if (size < 1 || size > 32768 || n < 1 || n > 4096)
                return serve_no("that size does not go");
        a = make();
        b = make();
        c = make();
        if (!a || !b || !c)
                return serve_no("no memory");
        multiply();
        return serve_ok("core=%s threads=%d", openblas_get_corename(), openblas_get_num_threads());
}

static bool gemm_prepare(char **arguments)
{
        return prepare(arguments, CblasNoTrans, 1);
}

static bool gemm_at_b_prepare(char **arguments)
{
        return prepare(arguments, CblasTrans, 1);
}

static bool gemm_batch_prepare(char **arguments)
{
        return prepare(arguments, CblasNoTrans, atoi(arguments[2]));
}

static const char *gemm_time(double *seconds, long n)
{
        for (long i = 0; i < n; i++) {
                double start = serve_now();

                multiply();
                seconds[i] = serve_now() - start;
        }
        return NULL;
}

static const void *gemm_result(size_t *n_bytesp)
{
        multiply();
        *n_bytesp = n_items() * (size_t)n_products * (is_double ? 8 : 4);
        return c;
}

int main(void)
{
        static const struct serve_work works[] = {
                { "gemm", 2, gemm_prepare, gemm_time, forget, gemm_result },
                { "gemm_at_b", 2, gemm_at_b_prepare, gemm_time, forget, gemm_result },
                { "gemm_batch", 3, gemm_batch_prepare, gemm_time, forget, gemm_result },
                { 0 },
        };

        return serve(works);
}
