/* SPDX-License-Identifier: MIT */
/*
 * Bits, and the logic of bool
 *
 * Shifts are defined for every count: what is shifted by a negative one, or by the width and more,
 * loses all its bits.
 */
#include "compute/kernels/set.h"

#define WIDTH (8 * sizeof(type))
#define IS_WITHIN(count) ((wide)(count) < WIDTH)
#define WITHIN(count) ((wide)(count) & (WIDTH - 1))

#define LOGIC(BINARY, op, ...)                                                                     \
        BOOLS(BINARY, LOGICAL_##op, SAME, __VA_ARGS__)                                             \
        BOOLS(BINARY, BITWISE_##op, SAME, __VA_ARGS__)                                             \
        INTEGERS(BINARY, BITWISE_##op, SAME, __VA_ARGS__)

#define KERNELS(UNARY, BINARY)                                                                     \
        LOGIC(BINARY, AND, a &b)                                                                   \
        LOGIC(BINARY, OR, a | b)                                                                   \
        LOGIC(BINARY, XOR, a ^ b)                                                                  \
        BOOLS(UNARY, LOGICAL_NOT, SAME, a ^ 1)                                                     \
        BOOLS(UNARY, BITWISE_INVERT, SAME, a ^ 1)                                                  \
        INTEGERS(UNARY, BITWISE_INVERT, SAME, ~a)                                                  \
        INTEGERS(BINARY, BITWISE_LEFT_SHIFT, SAME, IS_WITHIN(b) ? (wide)a << WITHIN(b) : 0)        \
        SIGNED(BINARY, BITWISE_RIGHT_SHIFT, SAME, a >> (IS_WITHIN(b) ? WITHIN(b) : WIDTH - 1))     \
        UNSIGNED(BINARY, BITWISE_RIGHT_SHIFT, SAME, IS_WITHIN(b) ? (wide)a >> WITHIN(b) : 0)

KERNELS(KERNEL_UNARY, KERNEL_BINARY)

KERNELS_FILL(bits)
{
        KERNELS(ENTER_UNARY, ENTER_BINARY)
}
