/* SPDX-License-Identifier: MIT */
/*
 * Loops written by hand: what the machine can do where someone takes the trouble
 *
 *   chain N THREADS        sqrt(a * a + b * b) * c - a / 2 of N float64, into warm memory;
 *                          element i of a, b and c is 1, 2 and 3 + (i % 1024) * 1e-3
 *   read BYTES THREADS     sum up that many bytes of float64
 *   copy BYTES THREADS     from one warm buffer to another, by the threads
 *   memcpy BYTES           the same by one memcpy()
 */
#include <math.h>
#include <stdint.h>

#include "team.h"

#define LANES 64

static double *a, *b, *c, *out;
static long n_elements;
static double sums[TEAM_MAX][8]; /* a cache line each */

static void forget(void)
{
        free(a);
        free(b);
        free(c);
        free(out);
        a = b = c = out = NULL;
}

/* Page-aligned, written once so that it is warm. */
static double *make(long n, double first)
{
        double *array = aligned_alloc(4096, ((size_t)n * sizeof(double) + 4095) & ~(size_t)4095);

        for (long i = 0; array && i < n; i++)
                array[i] = first + (double)(i & 1023) * 1e-3;
        return array;
}

/* The slice of a thread; whole lanes but for the last one. */
static long slice(int thread, int n_threads, long *endp)
{
        long step = (n_elements / n_threads + LANES - 1) / LANES * LANES;
        long start = step * thread < n_elements ? step * thread : n_elements;

        *endp = thread == n_threads - 1 || start + step > n_elements ? n_elements : start + step;
        return start;
}

static void chain_body(int thread, int n_threads)
{
        const double *restrict x = a, *restrict y = b, *restrict z = c;
        double *restrict to = out;
        long end, start = slice(thread, n_threads, &end);

        for (long i = start; i < end; i++)
                to[i] = sqrt(x[i] * x[i] + y[i] * y[i]) * z[i] - x[i] / 2;
}

static void read_body(int thread, int n_threads)
{
        double lanes[LANES] = { 0 };
        long end, start = slice(thread, n_threads, &end), i = start;

        for (; i + LANES <= end; i += LANES)
                for (int k = 0; k < LANES; k++)
                        lanes[k] += a[i + k];
        for (; i < end; i++)
                lanes[0] += a[i];
        for (int k = 1; k < LANES; k++)
                lanes[0] += lanes[k];
        sums[thread][0] = lanes[0];
}

static void copy_body(int thread, int n_threads)
{
        long end, start = slice(thread, n_threads, &end);

        memcpy(out + start, a + start, (size_t)(end - start) * sizeof(double));
}

static bool prepare(long n, int n_arrays, int n_threads)
{
        n_elements = n;
        if (n < 1 || !team_start(n_threads))
                return serve_no("that size or number of threads does not go");
        out = make(n, 0);
        a = make(n, 1);
        if (n_arrays > 1) {
                b = make(n, 2);
                c = make(n, 3);
        }
        if (!out || !a || (n_arrays > 1 && (!b || !c)))
                return serve_no("no memory");
        return serve_ok("threads=%d", n_threads);
}

static bool chain_prepare(char **arguments)
{
        return prepare(strtol(arguments[0], NULL, 10), 3, atoi(arguments[1]));
}

static bool bytes_prepare(char **arguments)
{
        return prepare(strtol(arguments[0], NULL, 10) / 8, 1, atoi(arguments[1]));
}

static bool memcpy_prepare(char **arguments)
{
        return prepare(strtol(arguments[0], NULL, 10) / 8, 1, 1);
}

static const char *run(void (*body)(int, int), double *seconds, long n)
{
        team_run(body);
        for (long i = 0; i < n; i++) {
                double start = serve_now();

                team_run(body);
                seconds[i] = serve_now() - start;
        }
        return NULL;
}

static const char *chain_time(double *seconds, long n)
{
        return run(chain_body, seconds, n);
}

static const char *read_time(double *seconds, long n)
{
        double sum = 0;
        const char *problem = run(read_body, seconds, n);

        for (int i = 0; i < team.n; i++)
                sum += sums[i][0];
        return sum > 0 ? problem : "the sum is wrong";
}

static const char *copy_time(double *seconds, long n)
{
        return run(copy_body, seconds, n);
}

static const void *chain_result(size_t *n_bytesp)
{
        team_run(chain_body);
        *n_bytesp = (size_t)n_elements * sizeof(*out);
        return out;
}

int main(void)
{
        static const struct serve_work works[] = {
                { "chain", 2, chain_prepare, chain_time, forget, chain_result },
                { "read", 2, bytes_prepare, read_time, forget, NULL },
                { "copy", 2, bytes_prepare, copy_time, forget, NULL },
                { "memcpy", 1, memcpy_prepare, copy_time, forget, NULL },
                { 0 },
        };

        return serve(works);
}
