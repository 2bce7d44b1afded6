/* SPDX-License-Identifier: MIT */
/*
 * Matrix products
 *
 * A stack of products a[m][k] @ b[k][n] is cut into a grid of tiles that depends on the shapes
 * alone, spread over threads, each tile one single-threaded call of BLAS, or of our own kernel: for
 * small products, for integers and bool, and for extents that BLAS cannot count. Where results are
 * few and k is long, k is cut too, and the parts are added pairwise.
 *
 * Transposed and strided operands go as they lie, by BLAS's transposition and leading dimension;
 * what BLAS cannot express, or is of another dtype, is packed first. Any thread; a step is const
 * while it runs.
 *
 * What follows a product is a pass of its own. Done behind each tile, a bias and a maximum would
 * take 15 to 25 % less of the whole at k = 64 (f64, 512 x 512 to 8192 x 2048), nothing at k = 1024.
 */
#include "compute/linalg/blas.h"

#include <cblas.h>
#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "compute/linalg/blas_threads.h"
#include "compute/space.h"
#include "compute/step_base.h"

#define SMALL 8192 /* m * n * k up to which our kernel beats the call of BLAS */
/*
 * Each call of BLAS packs both operands of its tile anew, and reads what it packed of the left one
 * again and again: the nearest cache should hold that. So rows are cut, and columns only where they
 * are many. Of OpenBLAS with two threads, f64 1024: 1.00 in two bands of 512 rows, 0.93 in two of
 * 512 columns, 0.95 in four of 256 rows.
 */
#define TILE_COLUMN 4096 /* bytes of a tile's rows, one item of each */
#define TILE_COLUMNS 4096
#define TILE_LEAST 64
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

/* The matrices of an operand: bytes from one element to the next along each dimension. */
struct matrix {
        int64_t row, column, offset;
};

struct matmul {
        struct step step;
        enum td_dtype dtype;
        int64_t size; /* of an item */
        int64_t m, n, k;
        bool is_merged;     /* a stack times one matrix: all rows of the stack are rows of a */
        struct space stack; /* operands a and b, one product at each index */
        struct matrix a, b;
        kernel_matmul *kernel;           /* NULL: BLAS */
        struct step *packs[2];           /* to dense C order; NULL: as it lies */
        uint64_t pack_at[2], partial_at; /* in scratch */
        int64_t tile_m, tile_n, tile_k;
        int64_t n_tiles_m, n_tiles_n, n_parts; /* of one product */
        int64_t n_grouped;                     /* products that go together */
};

/* One run of a step, shared by its threads. */
struct pass {
        const struct matmul *s;
        const struct run *run;
        const char *a, *b;
        char *c;
        char *partial; /* [part][products, m, n], if there is more than one part */
        atomic_bool is_stopped;
};

/* A tile of one product: c = a @ b, extents of the tile. */
struct tile {
        const char *a, *b;
        char *c;
        int64_t m, n, k;
};

/* ---- calling BLAS ---- */

static const float one_c[2] = { 1, 0 };
static const double one_z[2] = { 1, 0 };
static const double zero[2] = { 0, 0 }; /* of either precision */

/* As BLAS in row-major order sees a matrix: transposed or not, and items from one row to the next.
 * false: it cannot. */
static bool matrix_layout(const struct matrix *x, int64_t rows, int64_t columns, int64_t size,
                          CBLAS_TRANSPOSE *transp, int64_t *ldp)
{
        if ((columns == 1 || x->column == size) &&
            (rows == 1 || (x->row % size == 0 && x->row >= columns * size))) {
                *transp = CblasNoTrans;
                *ldp = rows == 1 ? columns : x->row / size;
        } else if ((rows == 1 || x->row == size) &&
                   (columns == 1 || (x->column % size == 0 && x->column >= rows * size))) {
                *transp = CblasTrans;
                *ldp = columns == 1 ? rows : x->column / size;
        } else {
                return false;
        }
        return *ldp <= INT32_MAX;
}

static bool vector_fits(int64_t stride, int64_t size)
{
        return stride > 0 && stride % size == 0 && stride / size <= INT32_MAX;
}

/* of a vector along k; one element has any stride */
static int increment(const struct matmul *s, int64_t stride)
{
        return s->k == 1 ? 1 : (int)(stride / s->size);
}

static void call_gemm(const struct matmul *s, const struct tile *t)
{
        CBLAS_TRANSPOSE trans_a = CblasNoTrans, trans_b = CblasNoTrans;
        int64_t lda = 0, ldb = 0;
        bool fits = matrix_layout(&s->a, s->m, s->k, s->size, &trans_a, &lda) &&
                    matrix_layout(&s->b, s->k, s->n, s->size, &trans_b, &ldb);

        assert(fits);
        (void)fits;
        switch (s->dtype) {
        case TD_FLOAT32:
                cblas_sgemm(CblasRowMajor, trans_a, trans_b, (int)t->m, (int)t->n, (int)t->k, 1,
                            (const float *)t->a, (int)lda, (const float *)t->b, (int)ldb, 0,
                            (float *)t->c, (int)s->n);
                break;
        case TD_FLOAT64:
                cblas_dgemm(CblasRowMajor, trans_a, trans_b, (int)t->m, (int)t->n, (int)t->k, 1,
                            (const double *)t->a, (int)lda, (const double *)t->b, (int)ldb, 0,
                            (double *)t->c, (int)s->n);
                break;
        case TD_COMPLEX64:
                cblas_cgemm(CblasRowMajor, trans_a, trans_b, (int)t->m, (int)t->n, (int)t->k, one_c,
                            t->a, (int)lda, t->b, (int)ldb, zero, t->c, (int)s->n);
                break;
        default:
                cblas_zgemm(CblasRowMajor, trans_a, trans_b, (int)t->m, (int)t->n, (int)t->k, one_z,
                            t->a, (int)lda, t->b, (int)ldb, zero, t->c, (int)s->n);
                break;
        }
}

/* y = x @ vector for a matrix of the tile's rows and columns, transposed on top of how it lies if
 * asked */
static void call_gemv(const struct matmul *s, const struct matrix *matrix, const struct tile *t,
                      bool is_transposed)
{
        const char *x = is_transposed ? t->b : t->a, *vector = is_transposed ? t->a : t->b;
        int64_t rows = is_transposed ? t->k : t->m, columns = is_transposed ? t->n : t->k, ld = 0;
        int inc = increment(s, is_transposed ? s->a.column : s->b.row);
        CBLAS_TRANSPOSE trans = CblasNoTrans;
        CBLAS_ORDER order;
        bool fits = matrix_layout(matrix, is_transposed ? s->k : s->m, is_transposed ? s->n : s->k,
                                  s->size, &trans, &ld);

        assert(fits);
        (void)fits;
        /* a matrix that lies transposed is one of the other order */
        order = trans == CblasNoTrans ? CblasRowMajor : CblasColMajor;
        trans = is_transposed ? CblasTrans : CblasNoTrans;
        switch (s->dtype) {
        case TD_FLOAT32:
                cblas_sgemv(order, trans, (int)rows, (int)columns, 1, (const float *)x, (int)ld,
                            (const float *)vector, inc, 0, (float *)t->c, 1);
                break;
        case TD_FLOAT64:
                cblas_dgemv(order, trans, (int)rows, (int)columns, 1, (const double *)x, (int)ld,
                            (const double *)vector, inc, 0, (double *)t->c, 1);
                break;
        case TD_COMPLEX64:
                cblas_cgemv(order, trans, (int)rows, (int)columns, one_c, x, (int)ld, vector, inc,
                            zero, t->c, 1);
                break;
        default:
                cblas_zgemv(order, trans, (int)rows, (int)columns, one_z, x, (int)ld, vector, inc,
                            zero, t->c, 1);
                break;
        }
}

static void call_dot(const struct matmul *s, const struct tile *t)
{
        int inc_a = increment(s, s->a.column), inc_b = increment(s, s->b.row);

        switch (s->dtype) {
        case TD_FLOAT32:
                *(float *)t->c = cblas_sdot((int)t->k, (const float *)t->a, inc_a,
                                            (const float *)t->b, inc_b);
                break;
        case TD_FLOAT64:
                *(double *)t->c = cblas_ddot((int)t->k, (const double *)t->a, inc_a,
                                             (const double *)t->b, inc_b);
                break;
        case TD_COMPLEX64:
                cblas_cdotu_sub((int)t->k, t->a, inc_a, t->b, inc_b, t->c);
                break;
        default:
                cblas_zdotu_sub((int)t->k, t->a, inc_a, t->b, inc_b, t->c);
                break;
        }
}

static void multiply(const struct matmul *s, const struct tile *t)
{
        if (s->kernel) {
                const struct kernel_product product = {
                        .m = t->m,
                        .n = t->n,
                        .k = t->k,
                        .a = t->a,
                        .b = t->b,
                        .c = t->c,
                        .a_row = s->a.row,
                        .a_col = s->a.column,
                        .b_row = s->b.row,
                        .b_col = s->b.column,
                        .c_row = s->n * s->size,
                };

                s->kernel(&product);
        } else if (s->m == 1 && s->n == 1) {
                call_dot(s, t);
        } else if (s->n == 1) {
                call_gemv(s, &s->a, t, false);
        } else if (s->m == 1) {
                call_gemv(s, &s->b, t, true);
        } else {
                call_gemm(s, t);
        }
}

/* ---- running ---- */

/* One tile of the grid of one product. */
static void run_tile(const struct pass *pass, int64_t product, int64_t index)
{
        const struct matmul *s = pass->s;
        int64_t part = index % s->n_parts, at_n = index / s->n_parts % s->n_tiles_n * s->tile_n;
        int64_t at_m = index / s->n_parts / s->n_tiles_n * s->tile_m, at_k = part * s->tile_k;
        int64_t at_c = (product * s->m + at_m) * s->n + at_n;
        struct tile tile = {
                .m = s->m - at_m < s->tile_m ? s->m - at_m : s->tile_m,
                .n = s->n - at_n < s->tile_n ? s->n - at_n : s->tile_n,
                .k = s->k - at_k < s->tile_k ? s->k - at_k : s->tile_k,
                .a = pass->a + space_offset(&s->stack, 0, product) + at_m * s->a.row +
                     at_k * s->a.column,
                .b = pass->b + space_offset(&s->stack, 1, product) + at_k * s->b.row +
                     at_n * s->b.column,
        };

        if (s->n_parts > 1)
                tile.c = pass->partial + (part * s->stack.n * s->m * s->n + at_c) * s->size;
        else
                tile.c = pass->c + at_c * s->size;
        multiply(s, &tile);
}

static void run_item(void *ctx, uint64_t item)
{
        struct pass *pass = ctx;
        const struct matmul *s = pass->s;
        int64_t n_tiles = s->n_tiles_m * s->n_tiles_n * s->n_parts;
        int64_t product = (int64_t)item / n_tiles * s->n_grouped, end = product + s->n_grouped;

        if (run_must_end(pass->run, &pass->is_stopped))
                return;
        for (; product < end && product < s->stack.n; product++)
                run_tile(pass, product, (int64_t)item % n_tiles);
}

/* Parts are added pairwise, in place; the sum of all is the first. */
static void add_parts(const struct pass *pass)
{
        const struct matmul *s = pass->s;
        kernel_binary *add = kernels_get()->binary[TD_OP_ADD][s->dtype][KERNEL_VV];
        int64_t n = s->stack.n * s->m * s->n;

        for (int64_t step = 1; step < s->n_parts; step *= 2)
                for (int64_t i = 0; i + step < s->n_parts; i += 2 * step) {
                        char *sum = pass->partial + i * n * s->size;

                        add((size_t)n, sum, sum, sum + step * n * s->size);
                }
        memcpy(pass->c, pass->partial, (size_t)(n * s->size));
}

static int matmul_run(const struct step *step, const struct run *run, const void *const *args,
                      void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct matmul *s = (const struct matmul *)step;
        struct pass pass = {
                .s = s, .run = run, .c = results[0], .partial = (char *)scratch + s->partial_at
        };
        const char *operands[2];
        struct workers *workers = run_workers(run);
        int64_t n_items = div_up(s->stack.n, s->n_grouped) * s->n_tiles_m * s->n_tiles_n *
                          s->n_parts;

        if (s->k == 0 || s->stack.n * s->m * s->n == 0) {
                memset(pass.c, 0, (size_t)(s->stack.n * s->m * s->n * s->size));
                return 0;
        }
        for (unsigned i = 0; i < 2; i++) {
                operands[i] = args[i];
                if (s->packs[i]) {
                        void *packed = (char *)scratch + s->pack_at[i];
                        int r = step_run(s->packs[i], run, &args[i], &packed, NULL, refusal);

                        if (r)
                                return r;
                        operands[i] = packed;
                }
        }
        pass.a = operands[0] + s->a.offset;
        pass.b = operands[1] + s->b.offset;
        blas_enter(1);
        workers_for(workers, (uint64_t)n_items, run_item, &pass);
        blas_leave();
        if (pass.is_stopped)
                return PLAN_E_STOPPED;
        if (s->n_parts > 1)
                add_parts(&pass);
        return 0;
}

static struct step *matmul_free(struct step *step)
{
        struct matmul *s = (struct matmul *)step;

        step_free(s->packs[0]);
        step_free(s->packs[1]);
        free(s);
        return NULL;
}

static const struct step_class matmul_class = { "matmul", matmul_run, matmul_free };

/* ---- preparing ---- */

/* All rows of a stack, as one dimension; false if no stride expresses it. */
static bool merge_rows(const struct desc *desc, int64_t *stridep)
{
        struct space rows = { .n_operands = 1, .n = 1 };

        for (unsigned d = 0; d + 1 < desc->type.ndim; d++)
                space_push(&rows, desc->type.shape[d], &desc->strides[d]);
        space_fold(&rows);
        *stridep = rows.ndim > 0 ? rows.strides[0][0] : 0;
        return rows.ndim < 2;
}

static struct matrix matrix_of(const struct desc *desc, bool is_first)
{
        unsigned n = desc->type.ndim;
        struct matrix x = { .offset = desc->offset };

        if (n == 1 && is_first)
                x.column = desc->strides[0];
        else if (n == 1)
                x.row = desc->strides[0];
        if (n > 1) {
                x.row = desc->strides[n - 2];
                x.column = desc->strides[n - 1];
        }
        return x;
}

/* What the choice between our kernel and BLAS rests on: shapes alone, so that bits do not depend on
 * layout. */
static bool wants_kernel(const struct matmul *s)
{
        const int64_t small = td_dtype_is_complex(s->dtype) ? SMALL / 64 : SMALL;

        if (td_dtype_kind(s->dtype) < TD_KIND_FLOAT || s->m > INT32_MAX || s->n > INT32_MAX ||
            s->k > INT32_MAX)
                return true;
        return s->m <= small && s->n <= small && s->k <= small && s->m * s->n <= small &&
               s->m * s->n * s->k <= small;
}

static bool must_pack(const struct matmul *s, const struct desc *desc, bool is_first)
{
        struct matrix x = matrix_of(desc, is_first);
        CBLAS_TRANSPOSE trans;
        int64_t ld;

        if (desc->type.dtype != s->dtype)
                return true;
        if (is_first && s->is_merged && !merge_rows(desc, &x.row))
                return true;
        if (s->kernel) /* it reads b by rows, again and again */
                return !is_first && s->n > 1 && x.column != s->size && s->m * s->n > 64;
        if (desc->offset % s->size)
                return true;
        for (unsigned d = 0; d + 2 < desc->type.ndim; d++)
                if (desc->strides[d] % s->size)
                        return true;
        if (is_first && s->m == 1)
                return !vector_fits(x.column, s->size) && s->k > 1;
        if (!is_first && s->n == 1)
                return !vector_fits(x.row, s->size) && s->k > 1;
        return is_first ? !matrix_layout(&x, s->m, s->k, s->size, &trans, &ld)
                        : !matrix_layout(&x, s->k, s->n, s->size, &trans, &ld);
}

/* A pack step for operand i, if it needs one; desc becomes that of what will be read. */
static int prepare_pack(struct matmul *s, unsigned i, struct desc *desc)
{
        struct desc from = *desc, to;

        if (!must_pack(s, desc, i == 0))
                return 0;
        for (unsigned d = 0; d + 2 < from.type.ndim; d++)
                if (from.strides[d] == 0 && from.type.shape[d] > 0 && !s->is_merged)
                        from.type.shape[d] = 1; /* once, not for each product */
        to = from;
        to.type.dtype = s->dtype;
        desc_init_c(&to, &to.type);
        s->pack_at[i] = s->step.n_scratch;
        s->step.n_scratch += align_64((uint64_t)desc_n_bytes(&to));
        *desc = to;
        return step_new_copy(&s->packs[i], &from, &to);
}

static void prepare_stack(struct matmul *s, const struct desc *operands, const struct desc *result)
{
        unsigned ndim_a = operands[0].type.ndim, ndim_b = operands[1].type.ndim;
        unsigned n_core = (ndim_a > 1 ? 1U : 0U) + (ndim_b > 1 ? 1U : 0U);
        struct desc stacks[2] = { operands[0], operands[1] };

        s->stack = (struct space){ .n_operands = 2, .n = 1 };
        if (s->is_merged)
                return;
        stacks[0].type.ndim = (uint8_t)(ndim_a > 2 ? ndim_a - 2 : 0);
        stacks[1].type.ndim = (uint8_t)(ndim_b > 2 ? ndim_b - 2 : 0);
        space_init(&s->stack, result->type.ndim - n_core, result->type.shape, 2, stacks);
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
        const int64_t rows = TILE_COLUMN / s->size, worth = div_up(CALL_WORK, s->n * s->k);
        const double work = (double)s->m * (double)s->n * (double)s->k;
        const double most = s->kernel ? KERNEL_WORK : BLAS_WORK;
        int64_t *longer, n_tiles;

        s->tile_m = part_of(s->m, rows > worth ? rows : worth);
        s->tile_n = part_of(s->n, TILE_COLUMNS);
        longer = s->tile_m >= s->tile_n ? &s->tile_m : &s->tile_n;
        if (count_tiles(s) == s->stack.n && s->stack.n < STACK_WANTED && *longer > TILE_LEAST &&
            work > 2.0 * TILE_WORK)
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

/* A function of m, n, k, the size of an item and the number of products alone. */
static void cut(struct matmul *s)
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

static void estimate(struct matmul *s)
{
        double work = (double)s->stack.n * (double)s->m * (double)s->n * (double)s->k;
        double per_ns = 16;

        if (s->dtype == TD_BOOL)
                per_ns = 4;
        else if (td_dtype_is_integer(s->dtype))
                per_ns = s->size == 8 ? 2 : 1;
        else if (s->kernel || s->m == 1 || s->n == 1)
                per_ns = 1;
        if (td_dtype_is_complex(s->dtype))
                per_ns /= 4;

        s->step.cost_ns = 100 + (uint64_t)(work / per_ns < 1e18 ? work / per_ns : 1e18);
        for (unsigned i = 0; i < 2; i++)
                if (s->packs[i])
                        s->step.cost_ns += step_cost_ns(s->packs[i]);
}

int matmul_new(struct step **stepp, const struct desc *args, const struct desc *result)
{
        _cleanup_(step_freep) struct step *step = NULL;
        struct desc operands[2] = { args[0], args[1] };
        const struct td_type *a = &args[0].type, *b = &args[1].type;
        struct matmul *s = calloc(1, sizeof(*s));

        if (!s)
                return error_origin(-ENOMEM);
        step = &s->step;
        step->class = &matmul_class;
        assert(desc_is_c(result) && result->offset == 0);
        s->dtype = result->type.dtype;
        s->size = td_dtype_size(s->dtype);
        s->m = a->ndim == 1 ? 1 : a->shape[a->ndim - 2];
        s->k = a->shape[a->ndim - 1];
        s->n = b->ndim == 1 ? 1 : b->shape[b->ndim - 1];
        assert((b->ndim == 1 ? b->shape[0] : b->shape[b->ndim - 2]) == s->k);
        if (wants_kernel(s)) {
                s->kernel = kernels_get()->matmul[s->dtype];
        } else if (a->ndim > 2 && b->ndim <= 2 && s->k > 0) {
                s->is_merged = true;
                s->m = desc_n_elements(&args[0]) / s->k;
        }
        for (unsigned i = 0; i < 2; i++) {
                int r = prepare_pack(s, i, &operands[i]);

                if (r)
                        return r;
        }
        s->a = matrix_of(&operands[0], true);
        s->b = matrix_of(&operands[1], false);
        if (s->is_merged)
                merge_rows(&operands[0], &s->a.row);
        prepare_stack(s, operands, result);
        cut(s);
        if (s->n_parts > 1) {
                s->partial_at = step->n_scratch;
                step->n_scratch += align_64(
                        (uint64_t)(s->n_parts * s->stack.n * s->m * s->n * s->size));
        }
        estimate(s);
        *stepp = steal_ptr(&step);
        return 0;
}
