/* SPDX-License-Identifier: MIT */
#include "bad.h"

BAD_KERNEL("wrong_abi", TD_KERNEL_ABI + 1, 0, NULL, bad_double)
