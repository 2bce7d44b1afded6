/* SPDX-License-Identifier: MIT */
/*
 * Running the tile machine
 *
 * A tile is two things: where each leaf's elements begin, and a list of calls. The list is walked
 * once per tile; what it costs is a few nanoseconds per call.
 */
#include "compute/region/vm.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "compute/region/vm_instr.h"

/* ---- calls ---- */

/*
 * Dividing by a power of two is multiplying by its reciprocal, which is exact; so are the bits. 0
 * if it is none, or its reciprocal is not a normal number.
 */
static double reciprocal(const struct vm_instr *i, const char *divisor)
{
        double value;
        float narrow;
        int exponent;

        if (i->out_size == sizeof(double)) {
                memcpy(&value, divisor, sizeof(value));
        } else {
                memcpy(&narrow, divisor, sizeof(narrow));
                value = (double)narrow;
        }
        if (!isnormal(value) || fabs(frexp(value, &exponent)) != 0.5)
                return 0;
        value = 1 / value;
        if (i->out_size == sizeof(double) ? !isnormal(value) : !isnormal((float)value))
                return 0;
        return value;
}

static __attribute__((noinline)) unsigned divide(const struct vm_instr *i, size_t n, char *out,
                                                 char *const *x)
{
        double by = reciprocal(i, x[1]);
        float narrow = (float)by;

        if (by == 0)
                return i->binary(n, out, x[0], x[1]);
        if (i->out_size == sizeof(double))
                return i->multiply(n, out, x[0], &by);
        return i->multiply(n, out, x[0], &narrow);
}

static unsigned call(const struct vm_instr *i, size_t n, char *out, char *const *x)
{
        switch (i->form) {
        case VM_UNARY:
                return i->unary(n, out, x[0]);
        case VM_DIVIDE:
                return divide(i, n, out, x);
        case VM_BINARY:
                return i->binary(n, out, x[0], x[1]);
        default:
                i->where(n, out, x[0], x[1], x[2]);
                return 0;
        }
}

/*
 * The last few elements of a padded kernel, moved to where there is room behind them, which repeats
 * the first of them.
 */
static unsigned call_tail(const struct vm_instr *i, size_t n, char *out, char *const *x)
{
        _Alignas(64) char tails[EXPR_ARGS_MAX][KERNEL_LANES * sizeof(union td_scalar)];
        _Alignas(64) char result[KERNEL_LANES * sizeof(union td_scalar)];
        char *sources[EXPR_ARGS_MAX];
        unsigned refused;

        for (unsigned k = 0; k < i->n_args; k++) {
                size_t size = i->sizes[k];

                sources[k] = x[k];
                if (i->scalars & 1u << k)
                        continue;
                memcpy(tails[k], x[k], n * size);
                for (size_t j = n; j < KERNEL_LANES; j++)
                        memcpy(tails[k] + j * size, tails[k], size);
                sources[k] = tails[k];
        }
        refused = call(i, KERNEL_LANES, result, sources);
        memcpy(out, result, n * i->out_size);
        return refused;
}

static __attribute__((noinline)) unsigned call_padded(const struct vm_instr *i, size_t n, char *out,
                                                      char *const *x)
{
        size_t whole = n & ~(size_t)(KERNEL_LANES - 1);
        unsigned refused = whole > 0 ? call(i, whole, out, x) : 0;
        char *rest[EXPR_ARGS_MAX];

        for (unsigned k = 0; k < i->n_args; k++)
                rest[k] = i->scalars & 1u << k ? x[k] : x[k] + whole * i->sizes[k];
        return refused | call_tail(i, n - whole, out + whole * i->out_size, rest);
}

static void load(const struct vm_thread *t, const struct vm_instr *i, size_t n, char *out)
{
        const struct vm *vm = t->vm;
        const struct space *s = vm->space;
        unsigned leaf = i->args[0];
        const char *p = t->at[leaf];

        if (vm->leaves[leaf].is_dense && vm->walk != VM_BOXES) {
                i->load(n, out, p, vm->leaves[leaf].item_size);
        } else if (vm->walk == VM_ROWS) {
                i->load(n, out, p, s->ndim > 0 ? s->strides[leaf][s->ndim - 1] : 0);
        } else if (vm->walk == VM_RANGES) {
                space_load(s, leaf, i->load, i->out_size, t->bases[leaf], t->index, n, out);
        } else {
                const int64_t row = s->strides[leaf][vm->row_dim],
                              column = s->strides[leaf][vm->column_dim];
                const size_t row_bytes = (size_t)t->n_columns * i->out_size;

                for (int64_t k = 0; k < t->n_rows; k++, out += row_bytes, p += row)
                        i->load((size_t)t->n_columns, out, p, column);
        }
}

/*
 * Some lines of the tile after the next: sqrt(a * a + b * b) * c - a / 2 of 10 M float64 takes 1.0,
 * and 1.2 where none, or all at once, are asked for. Inlined, or GCC takes it for a function that
 * does nothing.
 */
static inline __attribute__((always_inline)) void ask(const struct vm_thread *t, unsigned instr)
{
        const struct vm *vm = t->vm;

        for (size_t line = instr * vm->ask_step; line < (instr + 1) * vm->ask_step; line += VM_LINE)
                for (unsigned i = 0; i < vm->n_asked; i++)
                        __builtin_prefetch(t->at[vm->asked[i].leaf] + vm->asked[i].ahead + line);
}

static inline __attribute__((always_inline)) unsigned
run_instrs(const struct vm_thread *t, unsigned first, unsigned n_instrs, size_t n, bool asks)
{
        char *const *at = t->at;

        for (unsigned k = first; k < first + n_instrs; k++) {
                const struct vm_instr *i = &t->vm->instrs[k];
                char *out = at[i->out];
                char *x[EXPR_ARGS_MAX];
                unsigned refused = 0;

                if (asks)
                        ask(t, k - first);
                if (i->form == VM_LOAD) {
                        load(t, i, n, out);
                        continue;
                }
                x[0] = at[i->args[0]];
                if (i->form == VM_CAST) {
                        i->load(n, out, x[0], i->sizes[0]);
                        continue;
                }
                if (i->form == VM_SPREAD) {
                        i->load(n, out, x[0], 0);
                        continue;
                }
                x[1] = at[i->args[1]];
                x[2] = at[i->args[2]];
                refused = i->is_padded && n % KERNEL_LANES ? call_padded(i, n, out, x)
                                                           : call(i, n, out, x);
                if (refused)
                        return k + 1;
        }
        return 0;
}

static unsigned run(const struct vm_thread *t, unsigned first, unsigned n_instrs, size_t n)
{
        return run_instrs(t, first, n_instrs, n, false);
}

static unsigned run_asking(const struct vm_thread *t, unsigned first, unsigned n_instrs, size_t n)
{
        return run_instrs(t, first, n_instrs, n, true);
}

/* ---- tiles ---- */

/* Instructions that are run once: on one element, but for those that spread it over a tile. */
static unsigned run_once(const struct vm_thread *t)
{
        const struct vm *vm = t->vm;

        for (unsigned k = 0; k < vm->n_once; k++) {
                unsigned mark = run(t, k, 1, vm->instrs[k].form == VM_SPREAD ? vm->tile : 1);

                if (mark)
                        return mark;
        }
        return 0;
}

unsigned vm_begin(struct vm_thread *t, const struct vm *vm, const void *const *leaves)
{
        t->vm = vm;
        for (unsigned i = 0; i < vm->n_leaves; i++) {
                const char *base = vm->leaves[i].is_index ? (const char *)VM_NOWHERE : leaves[i];

                t->bases[i] = base + vm->leaves[i].offset;
                t->at[i] = (char *)(uintptr_t)t->bases[i];
        }
        for (unsigned i = 0; i < vm->n_constants; i++)
                t->at[vm->constants[i].value] =
                        (char *)(uintptr_t)&vm->constant_values[vm->constants[i].offset];
        for (unsigned i = 0; i < vm->n_registers; i++)
                t->at[vm->registers[i].value] = t->memory + vm->registers[i].offset;
        return vm->n_once ? run_once(t) : 0;
}

static unsigned run_tile(struct vm_thread *t, size_t n, char *const *outs)
{
        const struct vm *vm = t->vm;

        assert(n <= vm->tile);
        if (vm->is_stored)
                for (unsigned i = 0; i < vm->n_results; i++)
                        t->at[vm->results[i]] = outs[i];
        if (vm->n_scalar) {
                unsigned mark = run(t, vm->n_once, vm->n_scalar, 1);

                if (mark)
                        return mark;
        }
        if (vm->n_asked > 0)
                return run_asking(t, vm->n_once + vm->n_scalar, vm->n_vector, n);
        return run(t, vm->n_once + vm->n_scalar, vm->n_vector, n);
}

/* Where the leaves that are not dense begin, in a tile that begins there. */
static void point(struct vm_thread *t, const int64_t *at)
{
        const struct vm *vm = t->vm;
        const struct space *s = vm->space;

        for (unsigned i = 0; i < vm->n_leaves; i++) {
                ptrdiff_t offset = 0;

                if (vm->leaves[i].is_fixed)
                        continue;
                for (unsigned d = 0; d < s->ndim; d++)
                        offset += at[d] * s->strides[i][d];
                t->at[i] = (char *)(uintptr_t)t->bases[i] + offset;
        }
}

unsigned vm_range(struct vm_thread *t, int64_t index, size_t n, char *const *outs)
{
        const struct vm *vm = t->vm;
        const struct space *s = vm->space;

        assert(vm->walk != VM_ROWS || s->ndim < 2 ||
               index % s->shape[s->ndim - 1] + (int64_t)n <= s->shape[s->ndim - 1]);
        t->index = index;
        if (vm->is_moving) {
                int64_t at[TD_NDIM_MAX], rest = index;

                for (unsigned d = s->ndim; d-- > 0;) {
                        at[d] = d ? rest % s->shape[d] : rest;
                        rest /= s->shape[d];
                }
                point(t, at);
        } else {
                for (unsigned i = 0; i < vm->n_leaves; i++)
                        if (vm->leaves[i].is_dense)
                                t->at[i] = (char *)(uintptr_t)t->bases[i] +
                                           index * vm->leaves[i].item_size;
        }
        return run_tile(t, n, outs);
}

unsigned vm_box(struct vm_thread *t, const int64_t *at, int64_t n_rows, int64_t n_columns,
                char *const *outs)
{
        assert(t->vm->walk == VM_BOXES);
        t->n_rows = n_rows;
        t->n_columns = n_columns;
        point(t, at);
        return run_tile(t, (size_t)(n_rows * n_columns), outs);
}

/* ---- questions ---- */

void vm_refuse(const struct vm *vm, unsigned mark, struct td_refusal *refusal)
{
        const struct vm_instr *instr = &vm->instrs[mark - 1];

        td_refuse(refusal, TD_E_BAD_VALUE,
                  "%s: integers to negative integer powers have no integer result",
                  td_op_name(instr->op));
        if (refusal)
                refusal->node = instr->node;
}

bool vm_may_replace(const struct vm *vm, unsigned leaf, unsigned result)
{
        const unsigned first = vm->n_once + vm->n_scalar;
        bool is_written = false;

        if (vm->walk == VM_BOXES || !vm->leaves[leaf].is_dense ||
            vm->leaves[leaf].item_size != vm->result_sizes[result])
                return false;
        for (unsigned k = 0; k < vm->n_results; k++)
                if (vm->results[k] == leaf)
                        return false;
        for (unsigned k = first; vm->is_stored && k < first + vm->n_vector; k++) {
                const struct vm_instr *i = &vm->instrs[k];

                for (unsigned j = 0; j < i->n_args; j++)
                        if (is_written && i->args[j] == leaf)
                                return false;
                is_written |= i->out == vm->results[result];
        }
        return true;
}

int64_t vm_box_columns(const struct vm *vm)
{
        return (int64_t)vm->tile / VM_BOX_ROWS;
}
