/* SPDX-License-Identifier: MIT */
/*
 * Programs, built value by value
 *
 * A builder holds a program whose types are inferred as it grows; the first refusal is kept and
 * ends it. While a loop's body is built, the blocks around it wait on a stack. A function is what
 * is left of a builder once it is defined: nodes, types of inputs and of results.
 */
#pragma once

#include "client.h"
#include "tensord/infer_client.h"

struct builder_input {
        td_tensor *tensor; /* borrowed; NULL: an immediate or a parameter */
        bool is_parameter;
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

/* TD_OK, or what was refused; a parameter, which stands for nothing yet, is refused too. */
int builder_check_bound(const td_builder *builder, td_error *error);

struct td_function {
        td_client *client;
        struct definition definition;

        /* under the client's lock */
        uint64_t number;
        uint32_t epoch; /* the connection that knows the number; 0: none */
};

/* ---- function.c ---- */

/* Make it known to the present connection. */
int function_define(td_function *function, td_error *error);

/* ---- run.c ---- */

/*
 * Run what was checked: the builder's program, or a function with the builder's inputs (NULL:
 * none).
 */
int run_program(td_client *client, const td_builder *builder, td_function *function,
                const td_output *outputs, size_t n_outputs, td_tensor **tensors, td_error *error);
/* The first half of the same: td_wait() is the second. */
int submit_program(td_client *client, const td_builder *builder, td_function *function,
                   const td_output *outputs, size_t n_outputs, td_tensor **tensors,
                   td_pending **pendingp, td_error *error);
