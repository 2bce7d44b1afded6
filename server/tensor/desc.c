/* SPDX-License-Identifier: MIT */
/*
 * Descriptors
 *
 * desc_check() is where strides and offsets of strangers become trusted. It sums how far the
 * elements reach below and above the first one, in 64 bits without sign: what overflows lies
 * outside of any run of bytes. A descriptor without elements touches nothing: its strides and
 * offset are not looked at.
 */
#include "tensor/desc.h"

#include <assert.h>
#include <string.h>

#include "tensord/order.h"

void desc_init_c(struct desc *desc, const struct td_type *type)
{
        int64_t stride = td_dtype_size(type->dtype);

        *desc = (struct desc){ .type = *type };
        for (unsigned i = type->ndim; i-- > 0;) {
                desc->strides[i] = stride;
                stride *= type->shape[i] > 0 ? type->shape[i] : 1;
        }
}

void desc_init_f(struct desc *desc, const struct td_type *type)
{
        int64_t stride = td_dtype_size(type->dtype);

        *desc = (struct desc){ .type = *type };
        for (unsigned i = 0; i < type->ndim; i++) {
                desc->strides[i] = stride;
                stride *= type->shape[i] > 0 ? type->shape[i] : 1;
        }
}

void desc_init_ordered(struct desc *desc, const struct td_type *type, const uint8_t *order)
{
        int64_t stride = td_dtype_size(type->dtype);

        *desc = (struct desc){ .type = *type };
        for (unsigned i = type->ndim; i-- > 0;) {
                desc->strides[order[i]] = stride;
                stride *= type->shape[order[i]] > 0 ? type->shape[order[i]] : 1;
        }
}

void desc_keep_order(uint8_t *order, const struct td_type *type, unsigned n,
                     const struct desc *operands)
{
        int64_t rows[TD_ARGS_MAX][TD_NDIM_MAX];
        const int64_t *strides[TD_ARGS_MAX];

        assert(n <= TD_ARGS_MAX);
        for (unsigned i = 0; i < n; i++) {
                const struct td_type *own = &operands[i].type;
                const unsigned lead = (unsigned)type->ndim - own->ndim;

                assert(own->ndim <= type->ndim);
                for (unsigned d = 0; d < type->ndim; d++)
                        rows[i][d] = d < lead || own->shape[d - lead] == 1
                                             ? 0
                                             : operands[i].strides[d - lead];
                strides[i] = rows[i];
        }
        td_keep_order(order, type->ndim, n, strides);
}

static bool strides_are_dense(const struct desc *desc, const struct desc *dense)
{
        if (desc_n_elements(desc) == 0)
                return true;
        for (unsigned i = 0; i < desc->type.ndim; i++)
                if (desc->type.shape[i] > 1 && desc->strides[i] != dense->strides[i])
                        return false;
        return true;
}

bool desc_is_c(const struct desc *desc)
{
        struct desc dense;

        desc_init_c(&dense, &desc->type);
        return strides_are_dense(desc, &dense);
}

bool desc_is_f(const struct desc *desc)
{
        struct desc dense;

        desc_init_f(&dense, &desc->type);
        return strides_are_dense(desc, &dense);
}

bool desc_is_dense(const struct desc *desc)
{
        struct desc dense;
        uint8_t order[TD_NDIM_MAX];

        desc_keep_order(order, &desc->type, 1, desc);
        desc_init_ordered(&dense, &desc->type, order);
        return strides_are_dense(desc, &dense);
}

bool desc_is_same(const struct desc *a, const struct desc *b)
{
        return td_type_same(&a->type, &b->type) && a->offset == b->offset &&
               memcmp(a->strides, b->strides, a->type.ndim * sizeof(a->strides[0])) == 0;
}

bool desc_is_alike(const struct desc *a, const struct desc *b)
{
        return strides_are_dense(a, b);
}

int64_t desc_n_elements(const struct desc *desc)
{
        return td_type_n_elements(&desc->type);
}

int64_t desc_n_bytes(const struct desc *desc)
{
        return td_type_n_bytes(&desc->type);
}

int desc_check(const struct desc *desc, uint64_t n_bytes)
{
        uint64_t below = 0, above = (uint64_t)td_dtype_size(desc->type.dtype);

        if (desc_n_elements(desc) == 0)
                return 0;
        for (unsigned i = 0; i < desc->type.ndim; i++) {
                uint64_t extent = (uint64_t)desc->type.shape[i],
                         stride = (uint64_t)desc->strides[i];
                uint64_t *sidep = desc->strides[i] < 0 ? &below : &above, reach;

                if (__builtin_mul_overflow(extent - 1, desc->strides[i] < 0 ? -stride : stride,
                                           &reach) ||
                    __builtin_add_overflow(*sidep, reach, sidep))
                        return DESC_E_BOUNDS;
        }
        if (desc->offset < 0 || (uint64_t)desc->offset < below)
                return DESC_E_BOUNDS;
        if ((uint64_t)desc->offset > n_bytes || above > n_bytes - (uint64_t)desc->offset)
                return DESC_E_BOUNDS;
        return 0;
}
