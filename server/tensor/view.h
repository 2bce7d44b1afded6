/* SPDX-License-Identifier: MIT */
/*
 * Views
 *
 * The descriptor of a view from the descriptor that it looks at. The arguments were checked by
 * inference.
 */
#pragma once

#include "tensor/desc.h"

enum { VIEW_E_COPY = 1 };

void view_permute(struct desc *view, const struct desc *of, const struct td_attrs *attrs);
void view_slice(struct desc *view, const struct desc *of, const struct td_attrs *attrs);
void view_broadcast(struct desc *view, const struct desc *of, const struct td_type *to);
/* VIEW_E_COPY if no strides express it (then the elements must be copied to C order first). */
int view_reshape(struct desc *view, const struct desc *of, const struct td_type *to);
