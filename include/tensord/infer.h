/* SPDX-License-Identifier: MIT */
/*
 * Inference
 *
 * What dtype and shape an operation yields, or why it is refused. Pure functions over plain structs: no
 * allocation, no state, static inline. The daemon trusts only its own run of them; a client runs the same
 * code to raise on the right line.
 *
 * A function returns TD_OK, or an error code with a sentence in the refusal that names the operation and what it
 * was given.
 */
#pragma once

#include "tensord/program.h"

struct td_refusal {
        enum td_error_code code;
        int32_t node; /* index in the outermost block, -1 if no node is to blame */
        char message[480];
};
