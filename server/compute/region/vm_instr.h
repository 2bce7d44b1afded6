/* SPDX-License-Identifier: MIT */
/*
 * Instructions of the tile machine: what vm_new() writes and vm.c runs.
 */
#pragma once

#include "compute/region/vm.h"

#define VM_LINE 64 /* bytes that memory is read by */

enum vm_form {
        VM_LOAD,   /* of a leaf that does not lie contiguous, converted */
        VM_CAST,   /* of what lies contiguous, or of one element */
        VM_SPREAD, /* one element over the tile */
        VM_UNARY,
        VM_BINARY,
        VM_DIVIDE, /* a binary one, of floats by one float, perhaps a power of two */
        VM_WHERE,
};

struct vm_instr {
        uint8_t form;
        uint8_t n_args;
        bool is_padded;
        uint8_t out_size; /* bytes of an element */
        uint8_t sizes[EXPR_ARGS_MAX];
        uint8_t scalars;              /* mask of arguments that are one element */
        uint16_t out;                 /* where in vm_thread.at */
        uint16_t args[EXPR_ARGS_MAX]; /* of VM_LOAD: the leaf */
        uint16_t op;
        int32_t node;
        union {
                kernel_load *load;
                kernel_unary *unary;
                kernel_binary *binary;
                kernel_where *where;
        };
        kernel_binary *multiply; /* of VM_DIVIDE */
};
