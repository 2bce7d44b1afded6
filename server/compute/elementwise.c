/* SPDX-License-Identifier: MIT */
/*
 * Element-wise steps
 *
 * The result is dense, so it is walked in ranges of its elements. Where an operand lies contiguous
 * in such a range and has the dtype computed in, the kernel reads it in place; one that stands
 * still is a scalar; all others are loaded into a register of TILE elements first. Operands that
 * run across the result's rows are walked in boxes instead, so that each cache line is used while
 * it is near.
 *
 * Any thread. A step is const while it runs; registers are on the stack.
 */
#include "compute/elementwise.h"

#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "compute/space.h"
#include "compute/step_base.h"

#define TILE 512          /* elements at a time: four registers are a third of the L1 cache */
#define CHUNK (32 * TILE) /* elements that a thread takes at a time */
#define ROW_MIN 256       /* rows at least this long are walked one by one */
#define BOX_ROWS 32
#define BOX_COLUMNS 32
#define REGISTER 1024         /* elements of a register: a tile or a box */
#define BOX_LEAST 8           /* extents below are not worth it */
#define BOX_MIN_ELEMENTS 4096 /* below, all is in the L1 cache anyway */

static_assert(TILE <= REGISTER && BOX_ROWS * BOX_COLUMNS <= REGISTER,
              "tile and box fit into a register");
static_assert(TILE % KERNEL_LANES == 0 && CHUNK % TILE == 0, "only the last tile is partial");

struct operand {
        kernel_load *load;  /* to the dtype computed in */
        size_t item_size;   /* in memory */
        size_t loaded_size; /* of the dtype computed in */
        int64_t offset;
        bool is_same; /* needs no conversion */
        bool is_dense;
        bool is_scalar;
};

struct elementwise {
        struct step step;
        struct space space;
        unsigned n_args;
        bool is_padded;
        bool is_rows; /* walked row by row */
        bool needs_load;
        size_t result_size;
        enum td_op op;
        kernel_unary *unary; /* NULL: what is loaded is the result */
        kernel_binary *const *binary;
        kernel_where *where;
        unsigned box_dim; /* the dimension that boxes extend along, beside the last */
        bool is_boxed;
        struct operand operands[SPACE_OPERANDS_MAX];
};

union registers {
        _Alignas(64) char bytes[SPACE_OPERANDS_MAX + 1][REGISTER * sizeof(int64_t)];
};

/* what a kernel is called with */
struct source {
        const char *at;
        bool is_scalar;
};

/* One run of a step, shared by its threads. */
struct pass {
        const struct elementwise *e;
        const struct run *run;
        const char *x[SPACE_OPERANDS_MAX];
        char *out;
        atomic_uint refused;
        atomic_bool is_stopped;
};

static unsigned call(const struct elementwise *e, size_t n, void *out, const struct source *x)
{
        if (e->unary)
                return e->unary(n, out, x[0].at);
        if (e->where) {
                e->where(n, out, x[0].at, x[1].at, x[2].at);
                return 0;
        }
        return e->binary[x[0].is_scalar   ? KERNEL_SV
                         : x[1].is_scalar ? KERNEL_VS
                                          : KERNEL_VV](n, out, x[0].at, x[1].at);
}

/* The last few elements of a padded kernel, moved to registers whose rest repeats the first of
 * them. */
static unsigned call_tail(const struct elementwise *e, size_t n, char *out, const struct source *x)
{
        _Alignas(64) char tails[SPACE_OPERANDS_MAX][KERNEL_LANES * sizeof(int64_t)];
        _Alignas(64) char result[KERNEL_LANES * sizeof(int64_t)];
        struct source sources[SPACE_OPERANDS_MAX] = { 0 };
        unsigned refused;

        for (unsigned i = 0; i < e->n_args; i++) {
                size_t size = e->operands[i].loaded_size;

                sources[i] = x[i];
                if (x[i].is_scalar)
                        continue;
                memcpy(tails[i], x[i].at, n * size);
                for (size_t j = n; j < KERNEL_LANES; j++)
                        memcpy(tails[i] + j * size, tails[i], size);
                sources[i].at = tails[i];
        }
        refused = call(e, KERNEL_LANES, result, sources);
        memcpy(out, result, n * e->result_size);
        return refused;
}

static unsigned compute(const struct elementwise *e, size_t n, char *out, const struct source *x)
{
        struct source rest[SPACE_OPERANDS_MAX] = { 0 };
        size_t whole = n & ~(size_t)(KERNEL_LANES - 1);
        unsigned refused;

        if (!e->is_padded || whole == n)
                return call(e, n, out, x);
        refused = whole > 0 ? call(e, whole, out, x) : 0;
        for (unsigned i = 0; i < e->n_args; i++) {
                rest[i] = x[i];
                if (!x[i].is_scalar)
                        rest[i].at += whole * e->operands[i].loaded_size;
        }
        return refused | call_tail(e, n - whole, out + whole * e->result_size, rest);
}

/*
 * Only binary kernels take scalars, and at most one of them. All others are spread over a register.
 */
static void spread_scalars(const struct elementwise *e, size_t n, struct source *x,
                           union registers *registers)
{
        bool may_stay = e->binary && !(x[0].is_scalar && x[1].is_scalar);

        for (unsigned i = 0; i < e->n_args; i++) {
                const struct operand *o = &e->operands[i];

                if (!x[i].is_scalar || (may_stay && o->is_same))
                        continue;
                o->load(may_stay ? 1 : n, registers->bytes[i], x[i].at, 0);
                x[i].at = registers->bytes[i];
                x[i].is_scalar = may_stay;
        }
}

/* Elements [index, index + n) of one operand; n is at most TILE unless the operand needs no load.
 */
static struct source fetch(const struct pass *pass, unsigned i, int64_t index, size_t n, char *out)
{
        const struct elementwise *e = pass->e;
        const struct operand *o = &e->operands[i];
        const char *p = pass->x[i];
        unsigned last = e->space.ndim - 1;

        if (o->is_scalar)
                return (struct source){ p, true };
        if (o->is_dense) {
                p += index * (int64_t)o->item_size;
        } else if (e->is_rows) {
                int64_t stride = e->space.strides[i][last];

                p += space_offset(&e->space, i, index);
                if (stride == 0)
                        return (struct source){ p, true };
                if (stride != (int64_t)o->item_size || !o->is_same) {
                        o->load(n, out, p, stride);
                        p = out;
                }
                return (struct source){ p, false };
        } else {
                space_load(&e->space, i, o->load, o->loaded_size, p, index, n, out);
                return (struct source){ out, false };
        }
        if (o->is_same)
                return (struct source){ p, false };
        o->load(n, out, p, (ptrdiff_t)o->item_size);
        return (struct source){ out, false };
}

static unsigned run_range(const struct pass *pass, int64_t index, int64_t end)
{
        const struct elementwise *e = pass->e;
        union registers registers;
        unsigned refused = 0;

        if (!e->unary && !e->binary && !e->where) {
                space_load(&e->space, 0, e->operands[0].load, e->result_size, pass->x[0], index,
                           (size_t)(end - index), pass->out + index * (int64_t)e->result_size);
                return 0;
        }
        while (index < end) {
                struct source x[SPACE_OPERANDS_MAX] = { 0 };
                int64_t n = end - index;

                if (e->is_rows && e->space.ndim > 1) {
                        int64_t row = e->space.shape[e->space.ndim - 1];
                        int64_t left = row - index % row;

                        n = n < left ? n : left;
                }
                if (e->needs_load && n > TILE)
                        n = TILE;
                for (unsigned i = 0; i < e->n_args; i++)
                        x[i] = fetch(pass, i, index, (size_t)n, registers.bytes[i]);
                spread_scalars(e, (size_t)n, x, &registers);
                refused |= compute(e, (size_t)n, pass->out + index * (int64_t)e->result_size, x);
                index += n;
        }
        return refused;
}

static bool pass_must_end(struct pass *pass)
{
        if (atomic_load_explicit(&pass->is_stopped, memory_order_relaxed) ||
            atomic_load_explicit(&pass->refused, memory_order_relaxed))
                return true;
        if (!run_should_stop(pass->run))
                return false;
        atomic_store_explicit(&pass->is_stopped, true, memory_order_relaxed);
        return true;
}

static void run_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        int64_t begin = (int64_t)chunk * CHUNK, end = begin + CHUNK;

        if (pass_must_end(pass))
                return;
        if (end > pass->e->space.n)
                end = pass->e->space.n;
        if (run_range(pass, begin, end))
                atomic_store_explicit(&pass->refused, 1, memory_order_relaxed);
}

/* ---- boxes ---- */

/* Rows and columns of a box, and where it begins. */
struct box {
        int64_t n_rows;
        int64_t n_columns;
        int64_t offsets[SPACE_OPERANDS_MAX]; /* bytes */
        int64_t out;                         /* element */
        int64_t out_row;                     /* elements from one row to the next */
};

static void box_run(struct pass *pass, const struct box *box)
{
        const struct elementwise *e = pass->e;
        const size_t n = (size_t)(box->n_rows * box->n_columns);
        const size_t row_bytes = (size_t)box->n_columns * e->result_size;
        char *out = pass->out + box->out * (int64_t)e->result_size;
        const int64_t out_stride = box->out_row * (int64_t)e->result_size;
        struct source x[SPACE_OPERANDS_MAX] = { 0 };
        union registers registers;
        unsigned last = e->space.ndim - 1;
        bool is_copy = !e->unary && !e->binary && !e->where;

        for (unsigned i = 0; i < e->n_args; i++) {
                const struct operand *o = &e->operands[i];
                const char *p = pass->x[i] + box->offsets[i];
                char *to = is_copy ? out : registers.bytes[i];
                int64_t to_stride = is_copy ? out_stride : box->n_columns * (int64_t)o->loaded_size;

                x[i] = (struct source){ registers.bytes[i], false };
                for (int64_t row = 0; row < box->n_rows; row++)
                        o->load((size_t)box->n_columns, to + row * to_stride,
                                p + row * e->space.strides[i][e->box_dim],
                                e->space.strides[i][last]);
        }
        if (is_copy)
                return;
        if (compute(e, n, registers.bytes[SPACE_OPERANDS_MAX], x))
                atomic_store_explicit(&pass->refused, 1, memory_order_relaxed);
        for (int64_t row = 0; row < box->n_rows; row++)
                memcpy(out + row * out_stride,
                       registers.bytes[SPACE_OPERANDS_MAX] + (size_t)row * row_bytes, row_bytes);
}

/* A chunk is one band of boxes: BOX_ROWS rows along box_dim, all columns, one index of every other
 * dimension. */
static void run_band(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        const struct elementwise *e = pass->e;
        const struct space *s = &e->space;
        const unsigned last = s->ndim - 1;
        const int64_t n_bands = div_up(s->shape[e->box_dim], BOX_ROWS);
        int64_t first = (int64_t)chunk % n_bands * BOX_ROWS, rest = (int64_t)chunk / n_bands,
                size = 1;
        struct box box = { .n_rows = s->shape[e->box_dim] - first };

        if (pass_must_end(pass))
                return;
        if (box.n_rows > BOX_ROWS)
                box.n_rows = BOX_ROWS;
        for (unsigned d = s->ndim; d-- > 0; size *= s->shape[d]) {
                int64_t at = 0;

                if (d == e->box_dim) {
                        at = first;
                        box.out_row = size;
                } else if (d != last) {
                        at = rest % s->shape[d];
                        rest /= s->shape[d];
                }
                box.out += at * size;
                for (unsigned i = 0; i < e->n_args; i++)
                        box.offsets[i] += at * s->strides[i][d];
        }
        for (int64_t column = 0; column < s->shape[last]; column += BOX_COLUMNS) {
                box.n_columns = s->shape[last] - column < BOX_COLUMNS ? s->shape[last] - column
                                                                      : BOX_COLUMNS;
                box_run(pass, &box);
                box.out += box.n_columns;
                for (unsigned i = 0; i < e->n_args; i++)
                        box.offsets[i] += box.n_columns * s->strides[i][last];
        }
}

/* ---- the step ---- */

static int elementwise_run(const struct step *step, const struct run *run, const void *const *args,
                           void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct elementwise *e = (const struct elementwise *)step;
        struct pass pass = { .e = e, .run = run, .out = results[0] };
        const int64_t n = e->space.n;
        struct workers *workers = run_workers(run);

        (void)scratch;
        if (n == 0)
                return 0;
        for (unsigned i = 0; i < e->n_args; i++)
                pass.x[i] = (const char *)args[i] + e->operands[i].offset;
        if ((uint64_t)n * e->result_size < SPREAD_BYTES / 2)
                workers = NULL;

        if (e->is_boxed) {
                int64_t extent = e->space.shape[e->box_dim];
                int64_t n_bands = n / extent / e->space.shape[e->space.ndim - 1] *
                                  div_up(extent, BOX_ROWS);

                workers_for(workers, (uint64_t)n_bands, run_band, &pass);
        } else if (n <= CHUNK) {
                pass.refused = run_range(&pass, 0, n);
        } else {
                workers_for(workers, (uint64_t)div_up(n, CHUNK), run_chunk, &pass);
        }
        if (pass.refused) {
                td_refuse(refusal, TD_E_BAD_VALUE,
                          "%s: integers to negative integer powers have no integer result",
                          td_op_name(e->op));
                return PLAN_E_REFUSED;
        }
        return pass.is_stopped ? PLAN_E_STOPPED : 0;
}

static struct step *elementwise_free(struct step *step)
{
        free(step);
        return NULL;
}

static const struct step_class elementwise_class = { "elementwise", elementwise_run,
                                                     elementwise_free };

/* Whether an operand runs across the rows of the result, and along which dimension it runs instead.
 */
static bool find_box(const struct space *space, unsigned *dimp)
{
        unsigned last = space->ndim - 1;

        if (space->ndim < 2 || space->n < BOX_MIN_ELEMENTS || space->shape[last] < BOX_LEAST)
                return false;
        for (unsigned i = 0; i < space->n_operands; i++) {
                int64_t least = llabs(space->strides[i][last]);
                bool is_found = false;

                if (least < 64)
                        continue;
                for (unsigned d = 0; d < last; d++) {
                        int64_t stride = llabs(space->strides[i][d]);

                        if (stride == 0 || stride >= least || space->shape[d] < BOX_LEAST)
                                continue;
                        least = stride;
                        *dimp = d;
                        is_found = true;
                }
                if (is_found)
                        return true;
        }
        return false;
}

/* Nanoseconds for 1000 elements in cache, by measurement with the AVX2 kernels. */
static uint64_t cost_of(enum td_op op, enum td_dtype dtype)
{
        switch (op) {
        case TD_OP_EXP:
        case TD_OP_LOG:
                return 2500;
        case TD_OP_POW:
                return dtype == TD_INT64 ? 20000 : 8000;
        case TD_OP_DIVIDE:
        case TD_OP_SQRT:
                return 1200;
        default:
                return 400;
        }
}

static void prepare_operands(struct elementwise *e, const struct desc *args,
                             const enum td_dtype *dtypes)
{
        const struct kernels *kernels = kernels_get();
        int64_t row = e->space.ndim > 0 ? e->space.shape[e->space.ndim - 1] : 1;
        uint64_t loads = 0;

        e->is_rows = e->space.ndim < 2 || row >= ROW_MIN;
        for (unsigned i = 0; i < e->n_args; i++) {
                struct operand *o = &e->operands[i];

                o->load = kernels->load[args[i].type.dtype][dtypes[i]];
                o->item_size = (size_t)td_dtype_size(args[i].type.dtype);
                o->loaded_size = (size_t)td_dtype_size(dtypes[i]);
                o->offset = args[i].offset;
                o->is_same = args[i].type.dtype == dtypes[i];
                o->is_dense = space_is_dense(&e->space, i, (int64_t)o->item_size);
                o->is_scalar = e->space.n > 1 && space_is_scalar(&e->space, i);
                if (!o->is_same || !(o->is_dense || (o->is_scalar && e->binary)))
                        e->needs_load = true;
                loads += o->is_dense ? 200 : 1000;
        }
        if (e->binary && e->operands[0].is_scalar && e->operands[1].is_scalar)
                e->needs_load = true;
        e->is_boxed = find_box(&e->space, &e->box_dim);
        e->step.cost_ns += 50 + (uint64_t)e->space.n * loads / 1000;
}

static struct elementwise *allocate(unsigned n_args, const struct desc *args,
                                    const struct desc *result)
{
        struct elementwise *e = calloc(1, sizeof(*e));

        if (!e)
                return NULL;
        assert(desc_is_c(result) && result->offset == 0);
        e->step.class = &elementwise_class;
        e->n_args = n_args;
        e->result_size = (size_t)td_dtype_size(result->type.dtype);
        space_init(&e->space, result->type.ndim, result->type.shape, n_args, args);
        return e;
}

int elementwise_new(struct step **stepp, enum td_op op, unsigned n_args, const struct desc *args,
                    const struct desc *result)
{
        const struct kernels *kernels = kernels_get();
        enum td_dtype dtype = result->type.dtype, dtypes[SPACE_OPERANDS_MAX];
        struct elementwise *e = allocate(n_args, args, result);

        if (!e)
                return error_origin(-ENOMEM);
        if (td_op_info(op)->rule == TD_RULE_COMPARE)
                dtype = td_promote(args[0].type.dtype, args[1].type.dtype);
        for (unsigned i = 0; i < n_args; i++)
                dtypes[i] = dtype;
        if (op == TD_OP_WHERE) {
                dtypes[0] = TD_BOOL;
                e->where = kernels->where[dtype];
        } else if (n_args == 1) {
                e->unary = kernels->unary[op][dtype];
        } else {
                e->binary = kernels->binary[op][dtype];
        }
        assert(e->where || e->unary || (e->binary && e->binary[KERNEL_VV]));
        e->op = op;
        e->is_padded = kernel_is_padded(op, dtype);
        e->step.cost_ns = (uint64_t)e->space.n * cost_of(op, dtype) / 1000;
        prepare_operands(e, args, dtypes);
        *stepp = &e->step;
        return 0;
}

int elementwise_new_copy(struct step **stepp, const struct desc *arg, const struct desc *result)
{
        enum td_dtype dtype = result->type.dtype;
        struct elementwise *e = allocate(1, arg, result);

        if (!e)
                return error_origin(-ENOMEM);
        e->op = TD_OP_ASTYPE;
        prepare_operands(e, arg, &dtype);
        *stepp = &e->step;
        return 0;
}
