/* SPDX-License-Identifier: MIT */
/*
 * Inputs
 *
 * Which elements of a tensor a request speaks of. Loop thread.
 */
#pragma once

#include "service/call.h"

/*
 * The descriptor of the i-th input, which refers to the tensor, or of a view of it, inside of its
 * bytes. 0, or -1 and the call's failure is set.
 */
int input_desc(struct call *call, uint32_t i, const struct tensor *tensor, struct desc *desc);
