/* SPDX-License-Identifier: MIT */
/*
 * Which nodes are computed together
 *
 * Nodes are visited from the last to the first, so that all readers of a value have been placed
 * before it is decided what becomes of it: part of the regions that read it, part of one of them
 * which also stores it, or the only node so far of a region of its own.
 */
#include "compute/plan/fuse.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "compute/create/create.h"
#include "compute/reduce/reduce.h"

/*
 * Nanoseconds for 1000 elements: what may be spent on computing a value once more, instead of
 * storing and loading it. Storing and loading a float64 costs about 2400 in memory and 300 in
 * cache; the first operand that must be loaded instead is what would be loaded anyway.
 */
#define AGAIN_MAX 1600
#define LOAD_COST 400

bool fuse_takes(const struct graph *graph, const struct td_node *node)
{
        (void)graph;
        return !node->loop && expr_can(node->op);
}

bool fuse_is_inside(const struct fuse *fuse, uint32_t group, uint32_t value)
{
        return fuse->values[value].is_inline || fuse->values[value].stored_by == group;
}

const struct td_node *fuse_constant(const struct fuse *fuse, uint32_t value)
{
        uint32_t maker = fuse->graph->maker[value];
        const struct td_node *nodes = fuse->graph->block->nodes;

        if (maker == GRAPH_INPUT || fuse->graph->is_plain || !create_is_constant(nodes[maker].op))
                return NULL;
        return &nodes[maker];
}

bool fuse_is_idle(const struct fuse *fuse, uint32_t node)
{
        uint32_t value = fuse->graph->first[node];

        return create_is_constant(fuse->graph->block->nodes[node].op) &&
               fuse_constant(fuse, value) && !fuse->values[value].must_store;
}

static bool is_single(const struct td_type *type)
{
        return td_type_n_elements(type) == 1;
}

static bool is_same_shape(const struct td_type *a, const struct td_type *b)
{
        return a->ndim == b->ndim && memcmp(a->shape, b->shape, a->ndim * sizeof(a->shape[0])) == 0;
}

/* The node whose result the value is, if regions compute it. */
static const struct td_node *taken_node(const struct graph *graph, uint32_t value)
{
        uint32_t maker = graph->maker[value];

        if (maker == GRAPH_INPUT || !fuse_takes(graph, &graph->block->nodes[maker]))
                return NULL;
        return &graph->block->nodes[maker];
}

/* ---- what it would cost to compute a value again ---- */

static void count_costs(struct fuse *fuse)
{
        const struct graph *graph = fuse->graph;

        for (uint32_t v = 0; v < graph->n_values; v++) {
                const struct td_node *node = taken_node(graph, v);
                uint64_t cost;

                fuse->values[v].cost = 0;
                if (!node)
                        continue;
                cost = expr_cost(node->op, graph->types[v].dtype);
                for (uint32_t i = 0; i < node->n_args; i++) {
                        uint32_t arg = graph_arg(graph, node, i);

                        cost += fuse->values[arg].cost;
                        if (i > 0 && is_same_shape(&graph->types[arg], &graph->types[v]))
                                cost += LOAD_COST;
                }
                fuse->values[v].cost = cost < UINT32_MAX / 4 ? (uint32_t)cost : UINT32_MAX / 4;
        }
}

/* ---- who reads ---- */

/* A group reads the value: from memory, or by computing it, as is decided when its node comes. */
static void note_read(struct fuse *fuse, uint32_t value, uint32_t group)
{
        const struct td_type *type = &fuse->graph->types[value];
        struct fuse_value *v = &fuse->values[value];
        struct fuse_group *g = &fuse->groups[group];

        if (fuse_constant(fuse, value))
                return;
        for (unsigned i = 0; i < v->n_readers; i++)
                if (v->readers[i] == group)
                        return;
        g->n_pending++;
        if (v->n_readers < FUSE_READERS_MAX) {
                v->readers[v->n_readers++] = group;
                if (is_same_shape(type, g->type) || is_single(type))
                        return;
                v->n_readers--;
        }
        v->must_store = true;
        if (g->last < v->first_read)
                v->first_read = g->last;
}

static void note_outside(struct fuse *fuse, uint32_t node)
{
        const struct td_node *n = &fuse->graph->block->nodes[node];

        for (uint32_t i = 0; i < n->n_args; i++) {
                struct fuse_value *v = &fuse->values[graph_arg(fuse->graph, n, i)];

                v->must_store = true;
                if (node < v->first_read)
                        v->first_read = node;
        }
}

/* ---- what becomes of a value ---- */

static bool has_room(const struct fuse_group *g, const struct td_node *node)
{
        return g->n_nodes < EXPR_NODES_MAX && g->n_pending - 1 + node->n_args <= EXPR_LEAVES_MAX;
}

/* The group computes the value. */
static void join(struct fuse *fuse, uint32_t group, const struct td_node *node)
{
        fuse->groups[group].n_nodes++;
        fuse->groups[group].n_pending--;
        for (uint32_t i = 0; i < node->n_args; i++)
                note_read(fuse, graph_arg(fuse->graph, node, i), group);
}

static bool may_compute_again(const struct fuse *fuse, uint32_t value, const struct td_node *node)
{
        const struct fuse_value *v = &fuse->values[value];

        if (v->must_store || v->n_readers == 0)
                return false;
        if (v->n_readers > 1 && v->cost > AGAIN_MAX && !is_single(&fuse->graph->types[value]))
                return false;
        for (unsigned i = 0; i < v->n_readers; i++)
                if (!has_room(&fuse->groups[v->readers[i]], node))
                        return false;
        return true;
}

/* The first group that computes with the value, if it may store it too; else FUSE_NONE. */
static uint32_t find_keeper(const struct fuse *fuse, uint32_t value, const struct td_node *node)
{
        const struct fuse_value *v = &fuse->values[value];
        uint32_t keeper = FUSE_NONE;
        const struct fuse_group *g;

        for (unsigned i = 0; i < v->n_readers; i++)
                if (keeper == FUSE_NONE ||
                    fuse->groups[v->readers[i]].last < fuse->groups[keeper].last)
                        keeper = v->readers[i];
        if (keeper == FUSE_NONE || fuse->graph->is_plain)
                return FUSE_NONE;
        g = &fuse->groups[keeper];
        if (g->reduction != FUSE_NONE || g->last >= v->first_read ||
            g->n_stored == EXPR_RESULTS_MAX || !has_room(g, node) ||
            !is_same_shape(&fuse->graph->types[value], g->type))
                return FUSE_NONE;
        return keeper;
}

static uint32_t group_new(struct fuse *fuse, uint32_t node, uint32_t value)
{
        uint32_t group = fuse->n_groups++;

        fuse->groups[group] = (struct fuse_group){ .last = node,
                                                   .n_pending = 1,
                                                   .reduction = FUSE_NONE,
                                                   .type = &fuse->graph->types[value] };
        fuse->group_at[node] = group;
        return group;
}

static void place_value(struct fuse *fuse, uint32_t node)
{
        const struct td_node *n = &fuse->graph->block->nodes[node];
        uint32_t value = fuse->graph->first[node], group;
        struct fuse_value *v = &fuse->values[value];

        if (may_compute_again(fuse, value, n)) {
                v->is_inline = true;
                for (unsigned i = 0; i < v->n_readers; i++)
                        join(fuse, v->readers[i], n);
                return;
        }
        group = find_keeper(fuse, value, n);
        if (group == FUSE_NONE)
                group = group_new(fuse, node, value);
        v->stored_by = group;
        fuse->groups[group].stored[fuse->groups[group].n_stored++] = value;
        join(fuse, group, n);
}

/* Its operand is computed on the way, or read from memory. */
static void place_reduction(struct fuse *fuse, uint32_t node)
{
        uint32_t arg = graph_arg(fuse->graph, &fuse->graph->block->nodes[node], 0);
        uint32_t group = group_new(fuse, node, arg);

        fuse->groups[group].reduction = node;
        fuse->groups[group].n_pending = 0;
        note_read(fuse, arg, group);
}

static bool is_reduction(const struct fuse *fuse, uint32_t node)
{
        return reduce_can(fuse->graph->block->nodes[node].op) && !fuse->graph->is_plain;
}

/* ---- all of them ---- */

int fuse_init(struct fuse *fuse, const struct graph *graph, const bool *ends)
{
        const uint32_t n_nodes = graph->block->n_nodes;

        *fuse = (struct fuse){ .graph = graph };
        fuse->values = reallocarray(NULL, (size_t)graph->n_values + 1, sizeof(*fuse->values));
        fuse->groups = reallocarray(NULL, (size_t)n_nodes + 1, sizeof(*fuse->groups));
        fuse->group_at = reallocarray(NULL, (size_t)n_nodes + 1, sizeof(*fuse->group_at));
        if (!fuse->values || !fuse->groups || !fuse->group_at) {
                fuse_deinit(fuse);
                return -ENOMEM;
        }
        for (uint32_t v = 0; v < graph->n_values; v++) {
                fuse->values[v].stored_by = FUSE_NONE;
                fuse->values[v].is_inline = false;
                fuse->values[v].must_store = graph->is_plain;
                fuse->values[v].n_readers = 0;
                fuse->values[v].first_read = UINT32_MAX;
        }
        for (uint32_t v = 0; v < graph->n_values; v++)
                if (ends[v])
                        fuse->values[graph->same[v]].must_store = true;
        count_costs(fuse);
        for (uint32_t i = n_nodes; i-- > 0;) {
                fuse->group_at[i] = FUSE_NONE;
                if (graph_is_idle(graph, i))
                        continue;
                if (fuse_takes(graph, &graph->block->nodes[i]))
                        place_value(fuse, i);
                else if (is_reduction(fuse, i))
                        place_reduction(fuse, i);
                else
                        note_outside(fuse, i);
        }
        return 0;
}

void fuse_deinit(struct fuse *fuse)
{
        free(fuse->values);
        free(fuse->groups);
        free(fuse->group_at);
        *fuse = (struct fuse){ .graph = NULL };
}
