/* SPDX-License-Identifier: MIT */
/*
 * Copying arrays
 *
 * From any strides to dense memory. Axes are put into the order of the destination, neighbours that
 * lie together in both are merged; what is left is copied in runs, and, where the source runs
 * across the destination (a transpose), in squares that fit the cache.
 */
#include "client.h"

#include <string.h>

#include "tensord/infer_client.h"
#include "tensord/order.h"

#define SQUARE 32

struct axes {
        unsigned n;
        int64_t extent[TD_NDIM_MAX];
        int64_t stride[TD_NDIM_MAX]; /* of the source, innermost last */
};

void dense_strides(const struct td_type *type, char order, int64_t strides[TD_NDIM_MAX])
{
        int64_t stride = td_dtype_size(type->dtype);

        for (unsigned i = 0; i < type->ndim; i++) {
                unsigned axis = order == 'F' ? i : type->ndim - 1U - i;

                strides[axis] = stride;
                stride *= type->shape[axis] > 0 ? type->shape[axis] : 1;
        }
}

void axes_in_order(uint8_t *axes, const struct td_type *type, char order, const int64_t *strides)
{
        int64_t moves[TD_NDIM_MAX];
        const int64_t *rows[1] = { moves };

        for (unsigned d = 0; d < type->ndim; d++) {
                axes[d] = (uint8_t)(order == 'F' ? type->ndim - 1U - d : d);
                moves[d] = strides && type->shape[d] != 1 ? strides[d] : 0;
        }
        if (order == 'K')
                td_keep_order(axes, type->ndim, 1, rows);
}

static struct axes axes_of(const struct td_type *type, const uint8_t *order, const int64_t *strides)
{
        struct axes axes = { .n = 0 };

        for (unsigned i = 0; i < type->ndim; i++) {
                unsigned axis = order[i];
                int64_t extent = type->shape[axis], stride = strides[axis];

                if (extent == 1)
                        continue;
                if (axes.n > 0 && axes.stride[axes.n - 1] == extent * stride) {
                        axes.extent[axes.n - 1] *= extent;
                        axes.stride[axes.n - 1] = stride;
                } else {
                        axes.extent[axes.n] = extent;
                        axes.stride[axes.n++] = stride;
                }
        }
        return axes;
}

/* n elements, stride apart, to a dense run */
static void copy_run(uint8_t *to, const uint8_t *from, int64_t n, int64_t stride, int64_t size)
{
        if (stride == size) {
                memcpy(to, from, (size_t)(n * size));
        } else if (size == 8) {
                for (int64_t i = 0; i < n; i++)
                        memcpy(to + i * 8, from + i * stride, 8);
        } else if (size == 4) {
                for (int64_t i = 0; i < n; i++)
                        memcpy(to + i * 4, from + i * stride, 4);
        } else {
                for (int64_t i = 0; i < n; i++)
                        memcpy(to + i * size, from + i * stride, (size_t)size);
        }
}

/* The two innermost axes. */
static void copy_plane(uint8_t *to, const uint8_t *from, const int64_t *extent,
                       const int64_t *stride, int64_t size)
{
        int64_t rows = extent[0], columns = extent[1];
        int64_t across = stride[0] < 0 ? -stride[0] : stride[0],
                along = stride[1] < 0 ? -stride[1] : stride[1];

        if (along <= across) {
                for (int64_t i = 0; i < rows; i++)
                        copy_run(to + i * columns * size, from + i * stride[0], columns, stride[1],
                                 size);
                return;
        }
        for (int64_t j = 0; j < columns; j += SQUARE) {
                int64_t width = columns - j < SQUARE ? columns - j : SQUARE;

                for (int64_t i = 0; i < rows; i++)
                        copy_run(to + (i * columns + j) * size,
                                 from + i * stride[0] + j * stride[1], width, stride[1], size);
        }
}

static uint8_t *copy_axes(uint8_t *to, const uint8_t *from, const struct axes *axes, unsigned axis,
                          int64_t size)
{
        unsigned n_left = axes->n - axis;

        if (n_left == 0) {
                memcpy(to, from, (size_t)size);
                return to + size;
        }
        if (n_left == 1) {
                copy_run(to, from, axes->extent[axis], axes->stride[axis], size);
                return to + axes->extent[axis] * size;
        }
        if (n_left == 2) {
                copy_plane(to, from, axes->extent + axis, axes->stride + axis, size);
                return to + axes->extent[axis] * axes->extent[axis + 1] * size;
        }
        for (int64_t i = 0; i < axes->extent[axis]; i++)
                to = copy_axes(to, from + i * axes->stride[axis], axes, axis + 1, size);
        return to;
}

void copy_ordered(void *to, const struct td_type *type, const uint8_t *order, const void *from,
                  const int64_t *strides)
{
        int64_t dense[TD_NDIM_MAX];
        struct axes axes;

        if (td_type_n_elements(type) == 0)
                return;
        if (!strides) {
                dense_strides(type, 'C', dense);
                strides = dense;
        }
        axes = axes_of(type, order, strides);
        copy_axes(to, from, &axes, 0, td_dtype_size(type->dtype));
}

void copy_array(void *to, const struct td_type *type, char order, const void *from,
                const int64_t *strides)
{
        uint8_t axes[TD_NDIM_MAX];

        axes_in_order(axes, type, order, strides);
        copy_ordered(to, type, axes, from, strides);
}
