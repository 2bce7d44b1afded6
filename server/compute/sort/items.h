/* SPDX-License-Identifier: MIT */
/*
 * Items
 *
 * Loading elements of any dtype as what sorting and selecting want: whether they are 0, or just as
 * they are.
 */
#pragma once

#include "compute/kernels/kernels.h"

/* 1 for each element that is not 0, else 0; NaN is not. */
kernel_load *items_nonzero(unsigned dtype);
/* The same bytes; a bool becomes 0 or 1. */
kernel_load *items_copy(unsigned dtype);
