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
 * Where k is short a product costs as much to write down as to compute. Its tiles are small then,
 * and may go on to a reader from a buffer on the stack of the thread that computed them, so that
 * the product has no memory at all (epilogue.c).
 */
#include "compute/linalg/blas.h"

#include <cblas.h>
#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "base/workers.h"
#include "compute/linalg/blas_step.h"
#include "compute/linalg/blas_threads.h"
#include "compute/region/stream.h"
#include "compute/region/vm.h"

#define SMALL 8192 /* m * n * k up to which our kernel beats the call of BLAS */

/*
 * Of a tile of few results and a long k our kernel computes so much of k at a time: what it reads
 * again for each result is in the caches then, and a run can be stopped in between. In one piece
 * int8 16 x 2^24 x 16 took 11.6 s, 2 s of them without looking up; so 5.2 s and 0.7 ms. int32
 * 15 x 2^22 x 15, whose columns are too few for vectors, 12.7 s; so 0.6.
 */
#define SLICE_DEPTH 4096
#define SLICE_RESULTS 512

/* One run of a step, shared by its threads. */
struct pass {
        const struct matmul *s;
        const struct run *run;
        const char *a, *b;
        char *c;
        char *partial; /* [part][products, m, n], if there is more than one part */
        const struct matmul_reader *reader; /* instead of c, or NULL */
        atomic_bool is_stopped;
};

/* A tile of one product: c = a @ b, extents of the tile. */
struct tile {
        const char *a, *b;
        char *c;
        int64_t m, n, k;
        int64_t c_row; /* elements from one row of c to the next */
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
                            (float *)t->c, (int)t->c_row);
                break;
        case TD_FLOAT64:
                cblas_dgemm(CblasRowMajor, trans_a, trans_b, (int)t->m, (int)t->n, (int)t->k, 1,
                            (const double *)t->a, (int)lda, (const double *)t->b, (int)ldb, 0,
                            (double *)t->c, (int)t->c_row);
                break;
        case TD_COMPLEX64:
                cblas_cgemm(CblasRowMajor, trans_a, trans_b, (int)t->m, (int)t->n, (int)t->k, one_c,
                            t->a, (int)lda, t->b, (int)ldb, zero, t->c, (int)t->c_row);
                break;
        default:
                cblas_zgemm(CblasRowMajor, trans_a, trans_b, (int)t->m, (int)t->n, (int)t->k, one_z,
                            t->a, (int)lda, t->b, (int)ldb, zero, t->c, (int)t->c_row);
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
                        .c_row = t->c_row * s->size,
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

/* A reader computes with a region's machine, on the same stack: a worker's, for what is so large
 * takes too long for the loop thread. */
static_assert(MATMUL_BUFFER + sizeof(struct vm_thread) <= WORKER_STACK / 2,
              "half of a worker's stack is left to BLAS and to what runs the step");

/* index: of the tile's first element in the result */
static __attribute__((noinline)) void run_and_read(const struct pass *pass, struct tile *tile,
                                                   int64_t index)
{
        _Alignas(64) char buffer[MATMUL_BUFFER];
        const struct matmul_tile read = {
                .items = buffer, .index = index, .n_rows = tile->m, .n_columns = tile->n
        };

        tile->c = buffer;
        tile->c_row = pass->s->tile_n;
        multiply(pass->s, tile);
        pass->reader->read(pass->reader->ctx, &read);
}

/* Integers wrap, so their sums may be cut anywhere. Those of floats are cut only where BLAS cannot
 * count what there is. */
static bool wants_slices(const struct matmul *s, const struct tile *t)
{
        return s->kernel && t->m * t->n <= SLICE_RESULTS && t->k > SLICE_DEPTH &&
               (td_dtype_kind(s->dtype) < TD_KIND_FLOAT || t->k > SMALL);
}

static __attribute__((noinline)) void run_slices(struct pass *pass, const struct tile *tile)
{
        const struct matmul *s = pass->s;
        kernel_binary *add = kernels_get()->binary[TD_OP_ADD][s->dtype][KERNEL_VV];
        _Alignas(64) char buffer[SLICE_RESULTS * 16];
        struct tile slice = *tile;

        for (int64_t q = 0; q < tile->k; q += SLICE_DEPTH) {
                if (q > 0 && run_must_end(pass->run, &pass->is_stopped))
                        return;
                slice.k = tile->k - q < SLICE_DEPTH ? tile->k - q : SLICE_DEPTH;
                multiply(s, &slice);
                for (int64_t i = 0; q > 0 && i < tile->m; i++) {
                        char *sum = tile->c + i * tile->c_row * s->size;

                        add((size_t)tile->n, sum, sum, buffer + i * tile->n * s->size);
                }
                slice.a += SLICE_DEPTH * s->a.column;
                slice.b += SLICE_DEPTH * s->b.row;
                slice.c = buffer;
                slice.c_row = tile->n;
        }
}

/* One tile of the grid of one product. */
static void run_tile(struct pass *pass, int64_t product, int64_t index)
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
                .c_row = s->n,
        };

        if (pass->reader) {
                run_and_read(pass, &tile, at_c);
                return;
        }
        if (s->n_parts > 1)
                tile.c = pass->partial + (part * s->stack.n * s->m * s->n + at_c) * s->size;
        else
                tile.c = pass->c + at_c * s->size;
        if (wants_slices(s, &tile))
                run_slices(pass, &tile);
        else
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

/* operands: as args lie, or packed into the scratch */
static int pack(const struct matmul *s, const struct run *run, const void *const *args,
                const char **operands, void *scratch, struct td_refusal *refusal)
{
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
        return 0;
}

static int run_pass(struct pass *pass, const void *const *args, void *scratch,
                    struct td_refusal *refusal)
{
        const struct matmul *s = pass->s;
        const int64_t n_items = div_up(s->stack.n, s->n_grouped) * s->n_tiles_m * s->n_tiles_n *
                                s->n_parts;
        const char *operands[2];
        int r = pack(s, pass->run, args, operands, scratch, refusal);

        if (r)
                return r;
        pass->a = operands[0] + s->a.offset;
        pass->b = operands[1] + s->b.offset;
        blas_enter(1);
        workers_for(run_workers(pass->run), (uint64_t)n_items, run_item, pass);
        blas_leave();
        return pass->is_stopped ? PLAN_E_STOPPED : 0;
}

static int64_t pitch_of(const struct matmul *s)
{
        if (s->kernel || s->m < 2 || s->n < 2 || s->k == 0 || s->n_parts > 1 ||
            !matmul_is_large(s) || s->tile_m * s->tile_n * s->size > MATMUL_BUFFER)
                return 0;
        return s->tile_n * s->size;
}

int64_t matmul_pitch(const struct step *step)
{
        return pitch_of((const struct matmul *)step);
}

/* A reader that writes the result past the caches. */
static void write_tile(void *ctx, const struct matmul_tile *tile)
{
        const struct pass *pass = ctx;
        const int64_t size = pass->s->size, n = pass->s->n;
        const bool is_one = tile->n_columns == n; /* whole rows lie one behind the other */
        const int64_t n_pieces = is_one ? 1 : tile->n_rows;
        const int64_t length = is_one ? tile->n_rows * n : tile->n_columns;

        for (int64_t i = 0; i < n_pieces; i++)
                stream(pass->c + (tile->index + i * n) * size,
                       tile->items + i * pass->s->tile_n * size, (size_t)(length * size));
        stream_end();
}

static int matmul_run(const struct step *step, const struct run *run, const void *const *args,
                      void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct matmul *s = (const struct matmul *)step;
        struct pass pass = {
                .s = s, .run = run, .c = results[0], .partial = (char *)scratch + s->partial_at
        };
        const struct matmul_reader writer = { .read = write_tile, .ctx = &pass };
        int r;

        if (matmul_is_shallow(s) && matmul_pitch(step))
                pass.reader = &writer;
        if (s->k == 0 || s->stack.n * s->m * s->n == 0) {
                memset(pass.c, 0, (size_t)(s->stack.n * s->m * s->n * s->size));
                return 0;
        }
        r = run_pass(&pass, args, scratch, refusal);
        if (r == 0 && s->n_parts > 1)
                add_parts(&pass);
        return r;
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

int matmul_run_read(const struct step *step, const struct run *run, const void *const *args,
                    void *scratch, const struct matmul_reader *reader, struct td_refusal *refusal)
{
        struct pass pass = { .s = (const struct matmul *)step, .run = run, .reader = reader };

        assert(matmul_pitch(step) > 0);
        return run_pass(&pass, args, scratch, refusal);
}

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

/* What the shapes alone say. */
static void shape(struct matmul *s, const struct td_type *a, const struct td_type *b,
                  const struct td_type *result)
{
        s->dtype = result->dtype;
        s->size = td_dtype_size(s->dtype);
        s->m = a->ndim == 1 ? 1 : a->shape[a->ndim - 2];
        s->k = a->shape[a->ndim - 1];
        s->n = b->ndim == 1 ? 1 : b->shape[b->ndim - 1];
        assert((b->ndim == 1 ? b->shape[0] : b->shape[b->ndim - 2]) == s->k);
        if (wants_kernel(s)) {
                s->kernel = kernels_get()->matmul[s->dtype];
        } else if (a->ndim > 2 && b->ndim <= 2 && s->k > 0) {
                s->is_merged = true;
                s->m = td_type_n_elements(a) / s->k;
        }
}

int64_t matmul_pitch_of(const struct td_type *a, const struct td_type *b,
                        const struct td_type *result)
{
        struct matmul s = { .kernel = NULL };

        shape(&s, a, b, result);
        if (s.m < 2 || s.n < 2)
                return 0;
        s.stack.n = td_type_n_elements(result) / s.m / s.n;
        matmul_cut(&s);
        return pitch_of(&s);
}

int matmul_new(struct step **stepp, const struct desc *args, const struct desc *result)
{
        _cleanup_(step_freep) struct step *step = NULL;
        struct desc operands[2] = { args[0], args[1] };
        struct matmul *s = calloc(1, sizeof(*s));

        if (!s)
                return error_origin(-ENOMEM);
        step = &s->step;
        step->class = &matmul_class;
        assert(desc_is_c(result) && result->offset == 0);
        shape(s, &args[0].type, &args[1].type, &result->type);
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
        matmul_cut(s);
        if (s->n_parts > 1) {
                s->partial_at = step->n_scratch;
                step->n_scratch += align_64(
                        (uint64_t)(s->n_parts * s->stack.n * s->m * s->n * s->size));
        }
        estimate(s);
        *stepp = steal_ptr(&step);
        return 0;
}
