/* SPDX-License-Identifier: MIT */
/*
 * OpenBLAS called directly, with its own threading, into warm memory
 *
 *   gemm DTYPE N   c = a @ b, N x N; DTYPE float64 or float32
 *
 * Core and number of threads are those of OPENBLAS_CORETYPE and OPENBLAS_NUM_THREADS; the answer to
 * prepare says which they are.
 */
#include <cblas.h>
#include <stdint.h>

#include "serve.h"

static void *a, *b, *c;
static bool is_double;
static int size;

static void forget(void)
{
        free(a);
        free(b);
        free(c);
        a = b = c = NULL;
}

static void *make(void)
{
        size_t n = (size_t)size * (size_t)size;
        void *matrix = aligned_alloc(4096, (n * 8 + 4095) & ~(size_t)4095);

        for (size_t i = 0; matrix && i < n; i++) {
                double value = (double)(i * 7919 % 1024) / 1024 - 0.5;

                if (is_double)
                        ((double *)matrix)[i] = value;
                else
                        ((float *)matrix)[i] = (float)value;
        }
        return matrix;
}

static void multiply(void)
{
        if (is_double)
                cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, size, size, size, 1.0, a,
                            size, b, size, 0.0, c, size);
        else
                cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, size, size, size, 1.0F, a,
                            size, b, size, 0.0F, c, size);
}

static bool gemm_prepare(char **arguments)
{
        is_double = strcmp(arguments[0], "float32") != 0;
        size = atoi(arguments[1]);
        if (size < 1 || size > 32768)
                return serve_no("that size does not go");
        a = make();
        b = make();
        c = make();
        if (!a || !b || !c)
                return serve_no("no memory");
        multiply();
        return serve_ok("core=%s threads=%d", openblas_get_corename(), openblas_get_num_threads());
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

int main(void)
{
        static const struct serve_work works[] = {
                { "gemm", 2, gemm_prepare, gemm_time, forget },
                { NULL, 0, NULL, NULL, NULL },
        };

        return serve(works);
}
