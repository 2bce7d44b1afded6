/* SPDX-License-Identifier: MIT */
/*
 * Spaces of indexing
 *
 * Before they are merged, dimensions are those of the result of take (or of what put writes): the
 * arrays' own, at the place where inference puts them, between those of x that are not indexed.
 */
#include "compute/copy/gather_space.h"

#include <assert.h>
#include <string.h>

/* ---- preparing ---- */

static void push(struct gather_space *s, int64_t extent, int64_t from, int64_t to,
                 const int64_t *indices)
{
        s->n *= extent;
        if (extent == 1)
                return;
        s->shape[s->ndim] = extent;
        s->from[s->ndim] = from;
        s->to[s->ndim] = to;
        for (unsigned i = 0; i < s->n_indices; i++)
                s->indices[i].strides[s->ndim] = indices ? indices[i] : 0;
        s->ndim++;
}

static bool can_merge(const struct gather_space *s, unsigned slow, unsigned fast)
{
        const int64_t n = s->shape[fast];

        for (unsigned i = 0; i < s->n_indices; i++)
                if (s->indices[i].strides[slow] != s->indices[i].strides[fast] * n)
                        return false;
        return s->from[slow] == s->from[fast] * n && s->to[slow] == s->to[fast] * n;
}

static void fold(struct gather_space *s)
{
        unsigned n = 0;

        for (unsigned d = 0; d < s->ndim; d++) {
                if (n > 0 && can_merge(s, n - 1, d))
                        s->shape[n - 1] *= s->shape[d];
                else
                        s->shape[n++] = s->shape[d];
                s->from[n - 1] = s->from[d];
                s->to[n - 1] = s->to[d];
                for (unsigned i = 0; i < s->n_indices; i++)
                        s->indices[i].strides[n - 1] = s->indices[i].strides[d];
        }
        s->ndim = n;
}

static void begin(struct gather_space *s, const struct td_attrs *attrs, const struct desc *x,
                  uint32_t n_indices, const struct desc *indices)
{
        *s = (struct gather_space){ .n = 1, .n_indices = n_indices };
        for (uint32_t i = 0; i < n_indices; i++) {
                struct gather_index *index = &s->indices[i];

                index->axis = attrs->axes[i] < 0 ? attrs->axes[i] + x->type.ndim : attrs->axes[i];
                index->dtype = indices[i].type.dtype;
                index->offset = indices[i].offset;
                index->extent = x->type.shape[index->axis];
                index->item = x->strides[index->axis];
                s->is_of_nothing |= index->extent == 0;
        }
}

/* How an operand that broadcasts to ndim dimensions moves along one of them. */
static int64_t stride_along(const struct desc *desc, unsigned ndim, unsigned d)
{
        unsigned lead = ndim - desc->type.ndim;

        return d < lead || desc->type.shape[d - lead] == 1 ? 0 : desc->strides[d - lead];
}

/*
 * Dimensions of x indexed by arrays; other is the result of take or the value of put. is_put: x is
 * what is written.
 */
static void init_indexed(struct gather_space *s, const struct desc *x, const struct desc *other,
                         const struct desc *indices, bool is_put)
{
        struct td_type joint = { .dtype = 0 }, types[TD_NDIM_MAX];
        uint32_t mask = 0;
        unsigned at = (unsigned)s->indices[0].axis, d = 0, ndim;

        for (unsigned i = 0; i < s->n_indices; i++) {
                types[i] = indices[i].type;
                mask |= 1u << s->indices[i].axis;
                if ((unsigned)s->indices[i].axis != (unsigned)s->indices[0].axis + i)
                        at = 0;
        }
        td_broadcast_shapes(s->n_indices, types, &joint);
        ndim = x->type.ndim - s->n_indices + joint.ndim;
        for (unsigned axis = 0, left = at; d < ndim;) {
                int64_t strides[TD_NDIM_MAX], along;

                for (; left == 0 && d < at + joint.ndim; d++) { /* the arrays' own */
                        for (unsigned i = 0; i < s->n_indices; i++)
                                strides[i] = stride_along(&indices[i], joint.ndim, d - at);
                        along = stride_along(other, ndim, d);
                        push(s, joint.shape[d - at], is_put ? along : 0, is_put ? 0 : along,
                             strides);
                }
                while (axis < x->type.ndim && mask >> axis & 1)
                        axis++;
                if (axis == x->type.ndim)
                        continue;
                along = stride_along(other, ndim, d++);
                if (x->type.shape[axis] == 0)
                        s->is_of_nothing = true; /* and yet indices are looked at */
                else
                        push(s, x->type.shape[axis], is_put ? along : x->strides[axis],
                             is_put ? x->strides[axis] : along, NULL);
                axis++;
                left -= left > 0;
        }
}

void gather_space_init(struct gather_space *space, enum td_op op, const struct td_attrs *attrs,
                       const struct desc *x, const struct desc *result, uint32_t n_indices,
                       const struct desc *indices)
{
        begin(space, attrs, x, n_indices, indices);
        space->from_offset = x->offset;
        space->to_offset = result->offset;
        if (op == TD_OP_TAKE) {
                init_indexed(space, x, result, indices, false);
        } else {
                const unsigned ndim = result->type.ndim, axis = (unsigned)space->indices[0].axis;

                for (unsigned d = 0; d < ndim; d++) {
                        int64_t stride = stride_along(indices, ndim, d);

                        push(space, result->type.shape[d], d == axis ? 0 : stride_along(x, ndim, d),
                             result->strides[d], &stride);
                }
        }
        fold(space);
}

void gather_space_init_put(struct gather_space *space, const struct td_attrs *attrs,
                           const struct desc *value, const struct desc *result, uint32_t n_indices,
                           const struct desc *indices)
{
        begin(space, attrs, result, n_indices, indices);
        space->from_offset = value->offset;
        space->to_offset = result->offset;
        init_indexed(space, result, value, indices, true);
        fold(space);
}

int64_t gather_space_take_row(struct gather_space *space, int64_t *fromp, int64_t *top)
{
        int64_t n = 1;
        bool is_row = space->ndim > 0 && space->n > 0;

        *fromp = *top = 0;
        for (unsigned i = 0; i < space->n_indices && is_row; i++)
                is_row = space->indices[i].strides[space->ndim - 1] == 0;
        if (is_row) {
                space->ndim--;
                n = space->shape[space->ndim];
                *fromp = space->from[space->ndim];
                *top = space->to[space->ndim];
                space->n /= n;
        }
        if (space->ndim == 0) {
                space->shape[0] = space->n;
                space->from[0] = space->to[0] = 0;
                for (unsigned i = 0; i < space->n_indices; i++)
                        space->indices[i].strides[0] = 0;
                space->ndim = 1;
        }
        return n;
}

/* ---- running ---- */

#define LOAD(type)                                                                                 \
        for (int64_t i = 0; i < n; i++, p += stride) {                                             \
                type x;                                                                            \
                memcpy(&x, p, sizeof(x));                                                          \
                values[i] = (int64_t)x;                                                            \
        }                                                                                          \
        break

/* The copy that is checked and used. */
static void load(unsigned dtype, int64_t n, int64_t *values, const char *p, int64_t stride)
{
        switch (dtype) {
        case TD_INT8:
                LOAD(int8_t);
        case TD_INT16:
                LOAD(int16_t);
        case TD_INT32:
                LOAD(int32_t);
        case TD_INT64:
                LOAD(int64_t);
        case TD_UINT8:
                LOAD(uint8_t);
        case TD_UINT16:
                LOAD(uint16_t);
        case TD_UINT32:
                LOAD(uint32_t);
        default:
                assert(dtype == TD_UINT64);
                LOAD(uint64_t);
        }
}

/*
 * Values were counted from the front, so one that is negative still was negative before. The first
 * that is out of range is noted; all that are become 0.
 */
static void note_misfits(const struct gather_index *index, int64_t n, int64_t *values, int64_t at,
                         struct gather_misfit *misfit)
{
        const bool is_unsigned = index->dtype == TD_UINT64;

        for (int64_t i = 0; i < n; i++) {
                if (values[i] >= 0 && values[i] < index->extent)
                        continue;
                if (at + i < misfit->point)
                        *misfit = (struct gather_misfit){
                                .point = at + i,
                                .value = values[i] -
                                         (values[i] < 0 && !is_unsigned ? index->extent : 0),
                                .is_unsigned = is_unsigned,
                                .axis = index->axis,
                                .extent = index->extent,
                        };
                values[i] = 0;
        }
}

static void add_offsets(const struct gather_index *index, int64_t n, int64_t *values, int64_t at,
                        int64_t *offsets, struct gather_misfit *misfit)
{
        const int64_t from_end = index->dtype == TD_UINT64 ? 0 : index->extent;
        const uint64_t extent = (uint64_t)index->extent;
        uint64_t misfits = 0;

        for (int64_t i = 0; i < n; i++) {
                values[i] += from_end & values[i] >> 63;
                misfits |= (uint64_t)values[i] >= extent;
        }
        if (misfits)
                note_misfits(index, n, values, at, misfit);
        for (int64_t i = 0; i < n; i++)
                offsets[i] += values[i] * index->item;
}

void gather_tile_load(struct gather_tile *tile, const struct gather_space *space,
                      const void *const *indices, int64_t at, int64_t end,
                      struct gather_misfit *misfit)
{
        const unsigned last = space->ndim - 1;
        int64_t index_at[TD_NDIM_MAX], rest = at, values[GATHER_TILE];

        for (unsigned i = 0; i < space->n_indices; i++)
                index_at[i] = space->indices[i].offset;
        tile->from = space->from_offset;
        tile->to = space->to_offset;
        tile->from_step = space->from[last];
        tile->to_step = space->to[last];
        tile->n = end - at < GATHER_TILE ? end - at : GATHER_TILE;
        for (unsigned d = space->ndim; d-- > 0; rest /= space->shape[d]) {
                int64_t along = d ? rest % space->shape[d] : rest;

                if (d == last && tile->n > space->shape[d] - along)
                        tile->n = space->shape[d] - along;
                tile->from += along * space->from[d];
                tile->to += along * space->to[d];
                for (unsigned i = 0; i < space->n_indices; i++)
                        index_at[i] += along * space->indices[i].strides[d];
        }
        memset(tile->offsets, 0, (size_t)tile->n * sizeof(tile->offsets[0]));
        for (unsigned i = 0; i < space->n_indices; i++) {
                const struct gather_index *index = &space->indices[i];

                load(index->dtype, tile->n, values, (const char *)indices[i] + index_at[i],
                     index->strides[last]);
                add_offsets(index, tile->n, values, at, tile->offsets, misfit);
        }
}

void gather_refuse(const struct gather_misfit *misfit, const char *name, struct td_refusal *refusal)
{
        char value[24];

        if (misfit->is_unsigned)
                snprintf(value, sizeof(value), "%" PRIu64, (uint64_t)misfit->value);
        else
                snprintf(value, sizeof(value), "%" PRId64, misfit->value);
        td_refuse(refusal, TD_E_OUT_OF_RANGE,
                  "%s: index %s is out of range for axis %d with extent %" PRId64, name, value,
                  misfit->axis, misfit->extent);
}
