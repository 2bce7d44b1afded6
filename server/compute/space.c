/* SPDX-License-Identifier: MIT */
/*
 * Iteration spaces
 *
 * A range of a space is a list of runs along its last dimension; loading walks them like an
 * odometer, so it may begin and end anywhere.
 */
#include "compute/space.h"

#include <assert.h>
#include <string.h>

size_t space_n_bytes(const struct space *space)
{
        return offsetof(struct space, strides) + space->n_operands * sizeof(space->strides[0]);
}

void space_push(struct space *space, int64_t extent, const int64_t *strides)
{
        assert(space->ndim < TD_NDIM_MAX || extent == 1);
        space->n *= extent;
        if (extent == 1)
                return;
        space->shape[space->ndim] = extent;
        for (unsigned i = 0; i < space->n_operands; i++)
                space->strides[i][space->ndim] = strides[i];
        space->ndim++;
}

static bool can_merge(const struct space *space, unsigned slow, unsigned fast)
{
        for (unsigned i = 0; i < space->n_operands; i++)
                if (space->strides[i][slow] != space->strides[i][fast] * space->shape[fast])
                        return false;
        return true;
}

void space_fold(struct space *space)
{
        unsigned n = 0;

        if (space->n == 0) {
                space->ndim = 0;
                return;
        }
        for (unsigned d = 0; d < space->ndim; d++) {
                if (n > 0 && can_merge(space, n - 1, d))
                        space->shape[n - 1] *= space->shape[d];
                else
                        space->shape[n++] = space->shape[d];
                for (unsigned i = 0; i < space->n_operands; i++)
                        space->strides[i][n - 1] = space->strides[i][d];
        }
        space->ndim = n;
}

void space_init(struct space *space, unsigned ndim, const int64_t *shape, unsigned n_operands,
                const struct desc *operands)
{
        uint8_t order[TD_NDIM_MAX];

        for (unsigned d = 0; d < ndim; d++)
                order[d] = (uint8_t)d;
        space_init_ordered(space, ndim, shape, order, n_operands, operands);
}

void space_init_ordered(struct space *space, unsigned ndim, const int64_t *shape,
                        const uint8_t *order, unsigned n_operands, const struct desc *operands)
{
        space->ndim = 0;
        space->n_operands = n_operands;
        space->n = 1;
        assert(n_operands <= SPACE_OPERANDS_MAX);
        for (unsigned k = 0; k < ndim; k++) {
                const unsigned d = order[k];
                int64_t strides[SPACE_OPERANDS_MAX];

                for (unsigned i = 0; i < n_operands; i++) {
                        const struct td_type *type = &operands[i].type;
                        unsigned lead = ndim - type->ndim;

                        assert(type->ndim <= ndim);
                        strides[i] = 0;
                        if (d < lead || type->shape[d - lead] == 1)
                                continue;
                        assert(type->shape[d - lead] == shape[d]);
                        strides[i] = operands[i].strides[d - lead];
                }
                space_push(space, shape[d], strides);
        }
        space_fold(space);
}

bool space_is_dense(const struct space *space, unsigned operand, int64_t item_size)
{
        for (unsigned d = space->ndim; d-- > 0;) {
                if (space->strides[operand][d] != item_size)
                        return false;
                item_size *= space->shape[d];
        }
        return true;
}

bool space_is_scalar(const struct space *space, unsigned operand)
{
        for (unsigned d = 0; d < space->ndim; d++)
                if (space->strides[operand][d] != 0)
                        return false;
        return true;
}

ptrdiff_t space_offset(const struct space *space, unsigned operand, int64_t index)
{
        ptrdiff_t offset = 0;

        for (unsigned d = space->ndim; d-- > 0;) {
                if (d == 0)
                        return offset + index * space->strides[operand][0];
                offset += index % space->shape[d] * space->strides[operand][d];
                index /= space->shape[d];
        }
        return 0;
}

void walk_init(struct walk *walk, const struct space *space, unsigned operand, const char *base,
               int64_t index)
{
        walk->space = space;
        walk->operand = operand;
        walk->p = base;
        for (unsigned d = space->ndim; d-- > 0;) {
                walk->at[d] = d ? index % space->shape[d] : index;
                index /= space->shape[d];
                walk->p += walk->at[d] * space->strides[operand][d];
        }
}

/* The last dimension is behind its end: back to its begin, and on in the next slower one. */
void walk_carry(struct walk *walk)
{
        const struct space *space = walk->space;
        const int64_t *strides = space->strides[walk->operand];

        for (unsigned d = space->ndim - 1; d > 0; d--) {
                if (walk->at[d] < space->shape[d])
                        return;
                walk->p += strides[d - 1] - walk->at[d] * strides[d];
                walk->at[d] = 0;
                walk->at[d - 1]++;
        }
}

/* After how many elements the operand begins again: dimensions along which it stands still are
 * outside all others. */
static int64_t period_of(const struct space *space, unsigned operand)
{
        int64_t period = space->n;

        for (unsigned d = 0; d < space->ndim && space->strides[operand][d] == 0; d++)
                period /= space->shape[d];
        return period;
}

static void load_runs(const struct space *space, unsigned operand, kernel_load *load,
                      size_t item_size, const void *base, int64_t index, size_t n, char *out)
{
        const unsigned last = space->ndim - 1;
        struct walk walk;

        walk_init(&walk, space, operand, base, index);
        while (n > 0) {
                int64_t left = space->shape[last] - walk.at[last],
                        stride = space->strides[operand][last];
                size_t run = (int64_t)n < left ? n : (size_t)left;

                load(run, out, walk.p, stride);
                n -= run;
                out += run * item_size;
                walk.p += (int64_t)run * stride;
                walk.at[last] += (int64_t)run;
                walk_carry(&walk);
        }
}

void space_load(const struct space *space, unsigned operand, kernel_load *load, size_t item_size,
                const void *base, int64_t index, size_t n, void *out)
{
        const size_t period = (size_t)period_of(space, operand);
        char *o = out;

        if (space->ndim == 0) {
                assert(n == 1);
                load(1, out, base, 0);
                return;
        }
        load_runs(space, operand, load, item_size, base, index, n < period ? n : period, o);
        for (size_t done = period, more; done < n; done += more) {
                more = done < n - done ? done : n - done;
                memcpy(o + done * item_size, o, more * item_size);
        }
}
