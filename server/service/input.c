/* SPDX-License-Identifier: MIT */
#include "service/input.h"

#include <string.h>

static int refuse_input(struct call *call, enum td_error_code code, uint32_t i, const char *what)
{
        failure_set(&call->failure, code, "%s: input %u: %s", method_name(call->request->method), i,
                    what);
        return -1;
}

int input_desc(struct call *call, uint32_t i, const struct tensor *tensor, struct desc *desc)
{
        const struct request_input *input = &call->request->inputs[i];
        int64_t size;

        if (tensor->state == TENSOR_UNSEALED)
                return refuse_input(call, TD_E_NOT_SEALED, i,
                                    "the tensor is still being written by its creator");
        *desc = tensor->desc;
        if (!input->has_view)
                return 0;

        desc->type = input->type;
        desc->type.dtype = tensor->desc.type.dtype;
        memcpy(desc->strides, input->strides, sizeof(desc->strides));
        desc->offset = input->offset;
        size = td_dtype_size(desc->type.dtype);
        if (td_type_n_elements(&desc->type) > 0) {
                for (unsigned axis = 0; axis < desc->type.ndim; axis++)
                        if (desc->strides[axis] % size)
                                return refuse_input(call, TD_E_BAD_VIEW, i,
                                                    "a stride is not a multiple of the item size");
                if (desc->offset % size)
                        return refuse_input(call, TD_E_BAD_VIEW, i,
                                            "the offset is not a multiple of the item size");
        }
        if (desc_check(desc, tensor_n_bytes(tensor))) {
                failure_set(&call->failure, TD_E_BAD_VIEW,
                            "%s: input %u: shape %s with its strides and offset %lld reaches "
                            "outside of the tensor's %llu bytes",
                            method_name(call->request->method), i, td_type_text(&desc->type).s,
                            (long long)desc->offset, (unsigned long long)tensor_n_bytes(tensor));
                return -1;
        }
        return 0;
}
