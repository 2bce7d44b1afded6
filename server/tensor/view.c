/* SPDX-License-Identifier: MIT */
/*
 * Views
 *
 * Strides of trusted descriptors are multiplied only along axes that have more than one element:
 * there they reach no further than the bytes that the descriptor was checked against, so nothing
 * overflows. A view without elements gets dense strides and keeps its offset.
 */
#include "tensor/view.h"

#include <assert.h>
#include <string.h>

/* true if the view has no elements, and is then complete */
static bool view_is_empty(struct desc *view, const struct desc *of, const struct td_type *type)
{
        if (td_type_n_elements(type) > 0)
                return false;
        desc_init_c(view, type);
        view->offset = of->offset;
        return true;
}

void view_permute(struct desc *view, const struct desc *of, const struct td_attrs *attrs)
{
        struct desc v = *of;

        assert(attrs->n_axes == of->type.ndim);
        for (unsigned i = 0; i < of->type.ndim; i++) {
                int axis = attrs->axes[i] < 0 ? attrs->axes[i] + of->type.ndim : attrs->axes[i];

                assert(axis >= 0 && axis < of->type.ndim);
                v.type.shape[i] = of->type.shape[axis];
                v.strides[i] = of->strides[axis];
        }
        *view = v;
}

void view_slice(struct desc *view, const struct desc *of, const struct td_attrs *attrs)
{
        struct desc v = *of;

        assert(attrs->n_start == of->type.ndim && attrs->n_shape == of->type.ndim);
        memcpy(v.type.shape, attrs->shape, of->type.ndim * sizeof(v.type.shape[0]));
        if (view_is_empty(view, of, &v.type))
                return;
        for (unsigned i = 0; i < of->type.ndim; i++) {
                assert(attrs->start[i] >= 0 && attrs->start[i] < of->type.shape[i]);
                if (of->type.shape[i] > 1)
                        v.offset += attrs->start[i] * of->strides[i];
                if (v.type.shape[i] > 1)
                        v.strides[i] = attrs->step[i] * of->strides[i];
        }
        *view = v;
}

void view_broadcast(struct desc *view, const struct desc *of, const struct td_type *to)
{
        struct desc v = { .type = *to, .offset = of->offset };
        unsigned lead = (unsigned)to->ndim - of->type.ndim;

        assert(to->ndim >= of->type.ndim && to->dtype == of->type.dtype);
        if (view_is_empty(view, of, to))
                return;
        for (unsigned i = lead; i < to->ndim; i++) {
                assert(of->type.shape[i - lead] == to->shape[i] || of->type.shape[i - lead] == 1);
                if (of->type.shape[i - lead] > 1)
                        v.strides[i] = of->strides[i - lead];
        }
        *view = v;
}

/*
 * Strides exist if the old axes, those of extent 1 left out, and the new ones fall into groups of
 * equal products, and the old axes of each group lie behind one another as in C order. A group's
 * new strides then follow from that of its last old axis.
 */
int view_reshape(struct desc *view, const struct desc *of, const struct td_type *to)
{
        struct desc v = { .type = *to, .offset = of->offset };
        int64_t shape[TD_NDIM_MAX], strides[TD_NDIM_MAX];
        unsigned n = 0, i = 0, k = 0;

        assert(td_type_n_elements(&of->type) == td_type_n_elements(to) &&
               of->type.dtype == to->dtype);
        if (view_is_empty(view, of, to))
                return 0;
        for (unsigned axis = 0; axis < of->type.ndim; axis++) {
                if (of->type.shape[axis] == 1)
                        continue;
                shape[n] = of->type.shape[axis];
                strides[n++] = of->strides[axis];
        }
        while (i < n) {
                unsigned old_end = i + 1, new_end = k + 1;
                int64_t n_old = shape[i], n_new = to->shape[k], stride;

                while (n_old != n_new) {
                        if (n_old < n_new)
                                n_old *= shape[old_end++];
                        else
                                n_new *= to->shape[new_end++];
                }
                for (unsigned axis = i; axis + 1 < old_end; axis++) {
                        if (__builtin_mul_overflow(shape[axis + 1], strides[axis + 1], &stride) ||
                            strides[axis] != stride)
                                return VIEW_E_COPY;
                }
                stride = strides[old_end - 1];
                for (unsigned axis = new_end; axis-- > k;) {
                        v.strides[axis] = stride;
                        /* what overflows belongs to extents of 1 in front, which never move */
                        (void)__builtin_mul_overflow(stride, to->shape[axis], &stride);
                }
                i = old_end;
                k = new_end;
        }
        for (; k < to->ndim; k++) /* extents of 1 that no group took */
                v.strides[k] = td_dtype_size(to->dtype);
        *view = v;
        return 0;
}
