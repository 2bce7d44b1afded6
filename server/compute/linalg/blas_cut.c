/* SPDX-License-Identifier: MIT */
/*
 * How products are cut
 *
 * Into rows first, then columns, then k, only as far as caches, threads and stopping want it. What
 * is cut depends on the shapes alone. Pure arithmetic.
 */
#include "compute/linalg/blas_step.h"

#include "compute/region/stream.h"

/*
 * Each call of BLAS packs both operands of its tile anew, and reads what it packed of the left one
 * again and again: the nearest cache should hold that. So rows are cut, and columns only where they
 * are many. Of OpenBLAS with two threads, f64 1024: 1.00 in two bands of 512 rows, 0.93 in two of
 * 512 columns, 0.95 in four of 256 rows.
 */
#define TILE_COLUMN 4096 /* bytes of a tile's rows, one item of each */
#define TILE_COLUMNS 4096
#define TILE_LEAST 64
#define SHALLOW 64          /* k up to which tiles of large results go by a buffer: */
#define SHALLOW_ROW 2048    /* bytes of their rows, at most */
#define TILE_WORK (1 << 21) /* m * n * k that is worth a tile of its own */
/* m * n * k of a tile at most, as far as its sides allow, so that a run can be stopped: of our
 * kernels, and of BLAS. */
#define KERNEL_WORK 0x1p26
#define BLAS_WORK 0x1p34
#define CALL_WORK (1 << 19) /* m * n * k that is worth a call of BLAS */
#define STACK_WANTED 8      /* fewer products, and one that is a single tile makes two */
#define PARTS_WANTED 8      /* fewer tiles, and a long k is cut */
#define PARTS_FEW 64        /* where results are at most so many for each index of k */
#define DEPTH_MIN 2048      /* of such a cut */
#define ITEM_WORK 65536     /* m * n * k that a thread takes at a time, at least */

/* Of products with a vector: */
#define VECTOR_ITEM 65536 /* elements of the matrix that are worth an item, */
#define VECTOR_SIDE 512   /* which is no narrower, for the matrix may lie either way */
#define VECTOR_PARTS 64
#define PARTIAL_MOST (1 << 22) /* results of all parts of a product */

bool matmul_is_large(const struct matmul *s)
{
        return (double)s->stack.n * (double)s->m * (double)s->n * (double)s->size >=
               STREAM_MIN_BYTES;
}

bool matmul_is_shallow(const struct matmul *s)
{
        return !s->kernel && s->k <= SHALLOW && matmul_is_large(s);
}

static int64_t round_up(int64_t n, int64_t to)
{
        return div_up(n, to) * to;
}

static int64_t least_of(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

/* An even part of n, at most so much; of an even number of parts, as cores are. */
static int64_t part_of(int64_t n, int64_t most)
{
        return n <= most ? n : round_up(div_up(n, 2 * div_up(n, 2 * most)), 16);
}

static int64_t count_tiles(const struct matmul *s)
{
        return div_up(s->m, s->tile_m) * div_up(s->n, s->tile_n) * s->stack.n;
}

static void cut_depth(struct matmul *s, int64_t n_parts)
{
        if (n_parts > 1)
                s->tile_k = round_up(div_up(s->k, n_parts), 64);
}

static void cut_matrix(struct matmul *s)
{
        const int64_t worth = div_up(CALL_WORK, s->n * s->k);
        const double work = (double)s->m * (double)s->n * (double)s->k;
        const double most = s->kernel ? KERNEL_WORK : BLAS_WORK;
        int64_t rows = TILE_COLUMN / s->size, *longer, n_tiles;

        s->tile_n = part_of(s->n, matmul_is_shallow(s) ? SHALLOW_ROW / s->size : TILE_COLUMNS);
        rows = rows > worth ? rows : worth;
        if (matmul_is_shallow(s))
                rows = least_of(rows, MATMUL_BUFFER / (s->tile_n * s->size) / 16 * 16);
        s->tile_m = part_of(s->m, rows);
        longer = s->tile_m >= s->tile_n ? &s->tile_m : &s->tile_n;
        if (count_tiles(s) == s->stack.n && s->stack.n < STACK_WANTED &&
            *longer > TILE_LEAST && work > 2.0 * TILE_WORK)
                *longer = round_up(div_up(*longer, 2), 16);
        while ((double)s->tile_m * (double)s->tile_n * (double)s->k > most) {
                longer = s->tile_m >= s->tile_n ? &s->tile_m : &s->tile_n;
                if (*longer < (s->kernel ? 16 : 2 * TILE_LEAST))
                        break;
                *longer = round_up(div_up(*longer, 2), 8);
        }
        n_tiles = count_tiles(s);
        if (n_tiles < PARTS_WANTED && s->m * s->n / PARTS_FEW <= s->k && work > 2.0 * CALL_WORK)
                cut_depth(s, least_of(PARTS_WANTED / n_tiles, s->k / DEPTH_MIN));
}

static void cut_vector(struct matmul *s)
{
        const int64_t depth = div_up(VECTOR_ITEM, s->m > s->n ? s->m : s->n);
        const int64_t most = least_of(VECTOR_PARTS, PARTIAL_MOST / (s->m * s->n));
        int64_t n_results;

        cut_depth(s, least_of(most / s->stack.n,
                              s->k / (depth > VECTOR_SIDE ? depth : VECTOR_SIDE)));
        n_results = round_up(div_up(VECTOR_ITEM, s->tile_k), VECTOR_SIDE);
        s->tile_m = least_of(s->m, n_results);
        s->tile_n = least_of(s->n, n_results);
}

void matmul_cut(struct matmul *s)
{
        s->tile_m = s->m;
        s->tile_n = s->n;
        s->tile_k = s->k;
        s->n_grouped = 1;
        if (s->m == 0 || s->n == 0 || s->k == 0 || s->stack.n == 0)
                return;
        if (s->m == 1 || s->n == 1)
                cut_vector(s);
        else
                cut_matrix(s);
        s->n_tiles_m = div_up(s->m, s->tile_m);
        s->n_tiles_n = div_up(s->n, s->tile_n);
        s->n_parts = div_up(s->k, s->tile_k);
        if (s->n_tiles_m * s->n_tiles_n * s->n_parts == 1)
                s->n_grouped = 1 + (int64_t)(ITEM_WORK /
                                             ((double)s->m * (double)s->n * (double)s->k + 1));
}
