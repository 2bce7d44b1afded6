/* SPDX-License-Identifier: MIT */
/*
 * What a block computes
 *
 * The first passes over a block: which values say the same as an earlier one (the same operation of
 * the same operands with the same attributes), and which are needed at all. Everybody behind these
 * passes reads arguments through graph_arg(), so that a value that says the same as another leaves
 * nothing behind.
 */
#pragma once

#include "base/cleanup.h"
#include "compute/plan/plan_code.h"

struct graph {
        const struct td_block *block;
        const struct td_type *types;
        bool is_plain; /* no passes: every value is computed by itself */
        uint32_t n_values;
        uint32_t *same;  /* of a value: the first one that says the same */
        uint32_t *first; /* of a node: its first result */
        uint32_t *maker; /* of a value: its node, or GRAPH_INPUT */
        const bool *live;
        struct desc *descs; /* how values lie, of those that live; see graph_order() */
};

enum { GRAPH_INPUT = UINT32_MAX };

/* live is filled from the values marked in it, and kept. 0 or -ENOMEM. */
int graph_init(struct graph *graph, const struct typed_block *typed, bool is_plain, bool *live);
/* places: of the block's inputs. 0 or -ENOMEM. */
int graph_order(struct graph *graph, const struct place *places);
void graph_deinit(struct graph *graph);

/* The value that an argument stands for. */
static inline uint32_t graph_arg(const struct graph *graph, const struct td_node *node, uint32_t i)
{
        return graph->same[node->args[i]];
}

/* Nobody needs the node, or an earlier one says the same. */
bool graph_is_idle(const struct graph *graph, uint32_t node);
