/* SPDX-License-Identifier: MIT */
/*
 * Inference, beside libtensord
 *
 * infer.h brings inline functions for the names of dtypes, operations and errors; libtensord
 * exports functions of the same names, which answer NULL where there is none. Here the inline ones
 * go by other names, so that a file can see both. For the clients: C and Python.
 */
#pragma once

#define td_error_name td_error_name_inline
#define td_dtype_name td_dtype_name_inline
#define td_op_name td_op_name_inline
#include "tensord/infer.h"
#undef td_error_name
#undef td_dtype_name
#undef td_op_name
