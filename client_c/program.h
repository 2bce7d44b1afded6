/* SPDX-License-Identifier: MIT */
/*
 * Programs, built value by value
 *
 * A builder holds a program whose types are inferred as it grows; the first refusal is kept and
 * ends it. While a loop's body is built, the blocks around it wait on a stack.
 */
#pragma once

#include "client.h"
#include "infer.h"

struct builder_input {
        td_tensor *tensor; /* borrowed; NULL: an immediate */
        bool has_view;
        bool donate;
        struct view view; /* type: of the value in any case */
        uint8_t order[TD_NDIM_MAX]; /* of an immediate's axes */
        uint8_t *data;
        size_t n_data;
};

/* A block that is being built. */
struct builder_block {
        struct builder_block *outer;
        struct td_block block;
        uint32_t n_nodes_allocated;
        struct td_type *types; /* of its values */
        uint32_t n_values;
        uint32_t n_values_allocated;
        struct td_loop *loop; /* whose body it is; NULL: the outermost */
        uint32_t *args;       /* of that loop's node, in the outer block */
        uint32_t n_args;
};

struct td_builder {
        struct builder_input *inputs;
        uint32_t n_inputs_allocated;
        struct builder_block top;
        struct builder_block *current;
        uint32_t n_all; /* values of all blocks */
        bool has_deadline;
        int64_t deadline_ms;
        unsigned n_threads;
        unsigned progress_ms; /* 0: nobody wants to know */
        bool (*tell)(void *ctx, uint64_t n_done, uint64_t n_steps);
        void *tell_ctx;
        struct td_refusal refusal;
};
