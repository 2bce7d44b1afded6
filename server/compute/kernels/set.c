/* SPDX-License-Identifier: MIT */
/* A set of kernels: all families of one instruction set. */
#include "compute/kernels/set.h"

KERNELS_FILL(kernels);

KERNELS_FILL(kernels)
{
        kernels->isa = KERNELS_ISA;
#define KERNEL_FAMILY(family) KERNELS_NAME(family, KERNELS_SET)(kernels);
#include "compute/kernels/families.def"
#undef KERNEL_FAMILY
}
