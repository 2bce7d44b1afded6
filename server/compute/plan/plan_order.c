/* SPDX-License-Identifier: MIT */
/*
 * How values lie
 *
 * Each value of a block is given the order of axes that NumPy would give it: a view has the strides
 * that it has, what is computed element by element, reduced, scanned, sorted or put together keeps
 * the order of its operands, everything else is in C order. This is decided before it is known what
 * is stored at all, so results do not depend on what is computed together.
 *
 * Loops carry in C order.
 */
#include <errno.h>

#include "compute/plan/graph.h"
#include "compute/reduce/reduce_base.h"
#include "tensor/view.h"

static void keep(struct desc *result, const struct td_type *type, unsigned n,
                 const struct desc *args)
{
        uint8_t order[TD_NDIM_MAX];

        desc_keep_order(order, type, n, args);
        desc_init_ordered(result, type, order);
}

/* The axes that are left lie as they did. */
static void keep_reduced(struct desc *result, const struct td_type *type, const struct desc *arg,
                         const struct td_attrs *attrs)
{
        const uint32_t reduced = reduced_axes(attrs, arg->type.ndim);
        struct desc left = { .type = *type };
        unsigned n = 0;

        if (type->ndim == arg->type.ndim) {
                keep(result, type, 1, arg);
                return;
        }
        for (unsigned d = 0; d < arg->type.ndim; d++)
                if (!(reduced >> d & 1))
                        left.strides[n++] = arg->strides[d];
        keep(result, type, 1, &left);
}

static void lie_as_view(struct desc *result, const struct td_node *node,
                        const struct td_type *type, const struct desc *of)
{
        switch (node->op) {
        case TD_OP_PERMUTE_DIMS:
                view_permute(result, of, &node->attrs);
                break;
        case TD_OP_SLICE:
                view_slice(result, of, &node->attrs);
                break;
        case TD_OP_BROADCAST_TO:
                view_broadcast(result, of, type);
                break;
        default:
                if (view_reshape(result, of, type) == VIEW_E_COPY)
                        desc_init_c(result, type);
        }
}

/* Of a node with one result whose shape is known. */
static void lie(struct desc *result, const struct td_node *node, const struct td_type *type,
                const struct desc *args)
{
        if (td_op_is_view(node->op)) {
                lie_as_view(result, node, type, args);
                return;
        }
        if (td_category(td_op_info(node->op)->rule)) {
                keep(result, type, node->n_args, args);
                return;
        }
        switch (td_op_info(node->op)->rule) {
        case TD_RULE_WHERE:
        case TD_RULE_ASTYPE:
        case TD_RULE_CONCAT:
                keep(result, type, node->n_args, args);
                break;
        case TD_RULE_ASSIGN:
        case TD_RULE_PUT:
        case TD_RULE_SCAN:
                keep(result, type, 1, args);
                break;
        case TD_RULE_SORT:
                if (node->op == TD_OP_SORT)
                        keep(result, type, 1, args);
                else
                        desc_init_c(result, type);
                break;
        case TD_RULE_ARG_EXTREMUM:
                desc_init_c(result, type);
                break;
        default:
                if (td_rule_is_reduction(td_op_info(node->op)->rule))
                        keep_reduced(result, type, args, &node->attrs);
                else
                        desc_init_c(result, type);
        }
}

int graph_order(struct graph *graph, const struct place *places)
{
        const struct td_block *block = graph->block;
        _cleanup_(freep) struct desc *args = reallocarray(NULL, TD_ARGS_MAX, sizeof(*args));

        graph->descs = calloc((size_t)graph->n_values + 1, sizeof(*graph->descs));
        if (!args || !graph->descs)
                return -ENOMEM;
        for (uint32_t i = 0; i < block->n_inputs; i++)
                graph->descs[i] = places[i].desc;
        for (uint32_t at = 0; at < block->n_nodes; at++) {
                const struct td_node *node = &block->nodes[at];
                const uint32_t first = graph->first[at];
                const uint64_t n_results = td_node_n_results(node);

                if (graph_is_idle(graph, at))
                        continue;
                if (n_results != 1 || node->loop || !td_type_is_known(&graph->types[first])) {
                        for (uint32_t k = 0; k < n_results; k++)
                                desc_init_c(&graph->descs[first + k], &graph->types[first + k]);
                        continue;
                }
                for (uint32_t i = 0; i < node->n_args; i++)
                        args[i] = graph->descs[graph_arg(graph, node, i)];
                lie(&graph->descs[first], node, &graph->types[first], args);
                if (td_type_n_elements(&graph->types[first]) == 0)
                        desc_init_c(&graph->descs[first], &graph->types[first]);
        }
        return 0;
}
