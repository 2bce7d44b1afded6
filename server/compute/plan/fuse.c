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
#include "compute/create/generate.h"
#include "compute/linalg/epilogue.h"
#include "compute/reduce/cumulative.h"
#include "compute/reduce/reduce.h"

/*
 * Nanoseconds for 1000 elements: what may be spent on computing a value once more, instead of
 * storing and loading it. Storing and loading a float64 costs about 2400 in memory and 300 in
 * cache; the first operand that must be loaded instead is what would be loaded anyway.
 */
#define AGAIN_MAX 1600
#define LOAD_COST 400

/* Nodes between a product and the region that reads it which are looked at. */
#define NEAR 256

static bool is_triangle(const struct td_node *node)
{
        return node->op == TD_OP_TRIL || node->op == TD_OP_TRIU;
}

bool fuse_takes(const struct graph *graph, const struct td_node *node)
{
        return !node->loop && (expr_can(node->op) || (is_triangle(node) && !graph->is_plain));
}

bool fuse_is_inside(const struct fuse *fuse, uint32_t group, uint32_t value, uint32_t view)
{
        const struct fuse_value *v = &fuse->values[value];

        return v->is_inline || (v->stored_by == group && view == FUSE_NONE);
}

/* The node whose result the value is; NULL: an input, or nothing is fused. */
static const struct td_node *made_by(const struct fuse *fuse, uint32_t value)
{
        uint32_t maker = fuse->graph->maker[value];

        if (maker == GRAPH_INPUT || fuse->graph->is_plain)
                return NULL;
        return &fuse->graph->block->nodes[maker];
}

const struct td_node *fuse_constant(const struct fuse *fuse, uint32_t value)
{
        const struct td_node *node = made_by(fuse, value);

        return node && create_is_constant(node->op) ? node : NULL;
}

const struct td_node *fuse_generator(const struct fuse *fuse, uint32_t value)
{
        const struct td_node *node = made_by(fuse, value);

        return node && generate_can(node->op, fuse->graph->types[value].dtype) ? node : NULL;
}

bool fuse_is_idle(const struct fuse *fuse, uint32_t node)
{
        uint32_t value = fuse->graph->first[node];

        if (fuse->values[value].must_store)
                return false;
        return fuse_constant(fuse, value) || fuse_generator(fuse, value) ||
               (td_op_is_view(fuse->graph->block->nodes[node].op) && fuse->values[value].is_inline);
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

static uint32_t cost_of(const struct fuse *fuse, uint32_t value)
{
        const struct graph *graph = fuse->graph;
        const struct td_node *node = taken_node(graph, value);
        uint64_t cost;

        if (fuse_generator(fuse, value))
                return GENERATE_COST;
        if (!node) {
                node = made_by(fuse, value);
                return node && td_op_is_view(node->op)
                               ? fuse->values[graph_arg(graph, node, 0)].cost
                               : 0;
        }
        cost = is_triangle(node) ? GENERATE_COST : expr_cost(node->op, graph->types[value].dtype);
        for (uint32_t i = 0; i < node->n_args; i++) {
                uint32_t arg = graph_arg(graph, node, i);

                cost += fuse->values[arg].cost;
                if (i > 0 && is_same_shape(&graph->types[arg], &graph->types[value]))
                        cost += LOAD_COST;
        }
        return cost < UINT32_MAX / 4 ? (uint32_t)cost : UINT32_MAX / 4;
}

/* Do they differ by extents of 1 alone? */
static bool is_same_but_ones(const struct td_type *a, const struct td_type *b)
{
        unsigned i = 0, k = 0;

        for (;; i++, k++) {
                while (i < a->ndim && a->shape[i] == 1)
                        i++;
                while (k < b->ndim && b->shape[k] == 1)
                        k++;
                if (i == a->ndim || k == b->ndim)
                        return i == a->ndim && k == b->ndim;
                if (a->shape[i] != b->shape[k])
                        return false;
        }
}

/* Views, but for reshapes, are not. */
static bool is_flat(const struct fuse *fuse, uint32_t value)
{
        const struct graph *graph = fuse->graph;
        const struct td_node *node = made_by(fuse, value);

        if (!node)
                return graph->maker[value] == GRAPH_INPUT && desc_is_c(&graph->descs[value]);
        if (node->op == TD_OP_RESHAPE)
                return fuse->values[graph_arg(graph, node, 0)].is_flat;
        if (td_op_is_view(node->op) || node->loop || node->op == TD_OP_EYE || is_triangle(node))
                return false;
        for (uint32_t i = 0; taken_node(graph, value) && i < node->n_args; i++) {
                uint32_t arg = graph_arg(graph, node, i);

                if (is_single(&graph->types[arg]) || fuse_constant(fuse, arg))
                        continue;
                if (!fuse->values[arg].is_flat ||
                    !is_same_shape(&graph->types[arg], &graph->types[value]))
                        return false;
        }
        return desc_is_c(&graph->descs[value]);
}

/* ---- who reads ---- */

static void must_store(struct fuse_value *v, uint32_t first_read)
{
        v->must_store = true;
        if (first_read < v->first_read)
                v->first_read = first_read;
}

static bool is_view(const struct fuse *fuse, uint32_t value)
{
        const struct td_node *node = made_by(fuse, value);

        return node && td_op_is_view(node->op);
}

/* Would the group compute the value more often than it has elements? */
static bool is_stretched(const struct fuse *fuse, uint32_t value, struct fuse_reader reader)
{
        const struct graph *graph = fuse->graph;
        const struct td_type *type = &graph->types[value], *group = fuse->groups[reader.group].type;
        const struct td_type *seen = group;

        if (reader.view != FUSE_NONE) {
                const struct td_node *node = &graph->block->nodes[fuse->views[reader.view].node];

                seen = &graph->types[graph_arg(graph, node, 0)];
        }
        return !is_same_shape(type, seen) || td_type_n_elements(type) < td_type_n_elements(group);
}

/* What it takes of a group to read a value or to compute a node. */
struct room {
        uint32_t n_nodes, n_leaves;
};

static struct room room_to_read(const struct fuse *fuse, uint32_t value)
{
        if (fuse_constant(fuse, value))
                return (struct room){ .n_nodes = 1 };
        if (fuse_generator(fuse, value))
                return (struct room){ GENERATE_NODES, GENERATE_INDICES_MAX };
        return (struct room){ .n_leaves = 1 };
}

static void take_room(struct fuse_group *g, struct room room)
{
        g->n_nodes += room.n_nodes;
        g->n_pending += room.n_leaves;
}

/* A group reads the value: from memory, or by computing it, as is decided when its node comes. */
static void note_read(struct fuse *fuse, uint32_t value, struct fuse_reader reader)
{
        const struct td_type *type = &fuse->graph->types[value];
        struct fuse_value *v = &fuse->values[value];
        struct fuse_group *g = &fuse->groups[reader.group];

        if (fuse_constant(fuse, value) || fuse_generator(fuse, value)) {
                take_room(g, room_to_read(fuse, value));
                return;
        }
        for (unsigned i = 0; i < v->n_readers; i++)
                if (v->readers[i].group == reader.group && v->readers[i].view == reader.view)
                        return;
        take_room(g, room_to_read(fuse, value));
        if (v->n_readers < FUSE_READERS_MAX &&
            (is_single(type) || is_view(fuse, value) || !is_stretched(fuse, value, reader))) {
                v->readers[v->n_readers++] = reader;
                return;
        }
        must_store(v, g->last);
}

static void note_outside(struct fuse *fuse, uint32_t node)
{
        const struct td_node *n = &fuse->graph->block->nodes[node];

        for (uint32_t i = 0; i < n->n_args; i++)
                must_store(&fuse->values[graph_arg(fuse->graph, n, i)], node);
}

/* ---- what becomes of a value ---- */

/* Without its operands. */
static struct room room_alone(const struct td_node *node)
{
        return is_triangle(node) ? (struct room){ GENERATE_NODES, GENERATE_INDICES_MAX }
                                 : (struct room){ .n_nodes = 1 };
}

static struct room room_to_compute(const struct fuse *fuse, const struct td_node *node)
{
        struct room room = room_alone(node);

        for (uint32_t i = 0; i < node->n_args; i++) {
                struct room arg = room_to_read(fuse, graph_arg(fuse->graph, node, i));

                room.n_nodes += arg.n_nodes;
                room.n_leaves += arg.n_leaves;
        }
        return room;
}

/* Could a group do that so many times, each time instead of reading one value? */
static bool has_room(const struct fuse_group *g, struct room room, uint32_t n_times)
{
        return g->n_nodes + n_times * room.n_nodes <= EXPR_NODES_MAX &&
               g->n_pending + n_times * room.n_leaves <= EXPR_LEAVES_MAX + n_times;
}

/* Could all readers of the value, instead of reading it? */
static bool have_room(const struct fuse *fuse, const struct fuse_value *v, struct room room)
{
        for (unsigned i = 0; i < v->n_readers; i++) {
                uint32_t n_times = 0;

                for (unsigned k = 0; k < v->n_readers; k++)
                        n_times += v->readers[k].group == v->readers[i].group;
                if (!has_room(&fuse->groups[v->readers[i].group], room, n_times))
                        return false;
        }
        return true;
}

/* The group computes the value. */
static void join(struct fuse *fuse, struct fuse_reader reader, const struct td_node *node)
{
        struct fuse_group *g = &fuse->groups[reader.group];

        take_room(g, room_alone(node));
        g->n_pending--;
        for (uint32_t i = 0; i < node->n_args; i++)
                note_read(fuse, graph_arg(fuse->graph, node, i), reader);
}

static bool sees_all(const struct fuse *fuse, struct fuse_reader reader)
{
        for (uint32_t i = reader.view; i != FUSE_NONE; i = fuse->views[i].next)
                if (fuse->graph->block->nodes[fuse->views[i].node].op == TD_OP_SLICE)
                        return false;
        return td_type_n_elements(fuse->groups[reader.group].type) > 0;
}

/* Would elements not be computed that ought to be refused? */
static bool hides_refusals(const struct fuse *fuse, uint32_t value, const struct td_node *node)
{
        const struct fuse_value *v = &fuse->values[value];

        if (!expr_can(node->op) || !expr_op_may_fail(node->op, fuse->graph->types[value].dtype))
                return false;
        for (unsigned i = 0; i < v->n_readers; i++)
                if (!sees_all(fuse, v->readers[i]))
                        return true;
        return false;
}

static bool may_compute_again(const struct fuse *fuse, uint32_t value, const struct td_node *node)
{
        const struct fuse_value *v = &fuse->values[value];

        if (v->must_store || v->n_readers == 0 || hides_refusals(fuse, value, node))
                return false;
        if (v->n_readers > 1 && v->cost > AGAIN_MAX && !is_single(&fuse->graph->types[value]))
                return false;
        return have_room(fuse, v, room_to_compute(fuse, node));
}

/* What a region stores lies in one order of axes. */
static bool is_stored_alike(const struct fuse *fuse, const struct fuse_group *g, uint32_t value)
{
        const struct desc *descs = fuse->graph->descs;
        uint8_t orders[2][TD_NDIM_MAX];

        if (g->n_stored == 0)
                return true;
        desc_keep_order(orders[0], g->type, 1, &descs[value]);
        desc_keep_order(orders[1], g->type, 1, &descs[g->stored[0]]);
        return memcmp(orders[0], orders[1], g->type->ndim) == 0;
}

/* A reduction has one result more than it stores. */
static bool may_store(const struct fuse *fuse, const struct fuse_group *g)
{
        return g->n_stored < EXPR_RESULTS_MAX - 1 &&
               reduce_can_store(fuse->graph->block->nodes[g->reduction].op);
}

/* The first group that computes with the value, if it may store it too; else FUSE_NONE. */
static uint32_t find_keeper(struct fuse *fuse, uint32_t value, const struct td_node *node)
{
        struct fuse_value *v = &fuse->values[value];
        uint32_t keeper = FUSE_NONE;
        const struct fuse_group *g;

        for (unsigned i = 0; i < v->n_readers; i++) {
                const struct fuse_reader *r = &v->readers[i];

                if (r->view != FUSE_NONE)
                        must_store(v, fuse->groups[r->group].last); /* seen in memory */
                else if (keeper == FUSE_NONE ||
                         fuse->groups[r->group].last < fuse->groups[keeper].last)
                        keeper = r->group;
        }
        if (keeper == FUSE_NONE || fuse->graph->is_plain)
                return FUSE_NONE;
        g = &fuse->groups[keeper];
        if ((g->reduction != FUSE_NONE && !may_store(fuse, g)) || g->last >= v->first_read ||
            g->n_stored == EXPR_RESULTS_MAX || !has_room(g, room_to_compute(fuse, node), 1) ||
            !is_same_shape(&fuse->graph->types[value], g->type) ||
            !is_stored_alike(fuse, g, value))
                return FUSE_NONE;
        return keeper;
}

static uint32_t group_new(struct fuse *fuse, uint32_t node, uint32_t value)
{
        uint32_t group = fuse->n_groups++;

        fuse->groups[group] = (struct fuse_group){ .last = node,
                                                   .n_pending = 1,
                                                   .reduction = FUSE_NONE,
                                                   .product = FUSE_NONE,
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
        join(fuse, (struct fuse_reader){ group, FUSE_NONE }, n);
}

/* Its operand is computed on the way, or read from memory. */
static void place_reduction(struct fuse *fuse, uint32_t node)
{
        uint32_t arg = graph_arg(fuse->graph, &fuse->graph->block->nodes[node], 0);
        uint32_t group = group_new(fuse, node, arg);

        fuse->groups[group].reduction = node;
        fuse->groups[group].n_pending = 1; /* where what it stores belongs */
        note_read(fuse, arg, (struct fuse_reader){ group, FUSE_NONE });
}

/* A reduction, or a scan that does not compute twice what is better stored. */
static bool is_reduction(const struct fuse *fuse, uint32_t node)
{
        const struct td_node *n = &fuse->graph->block->nodes[node];
        uint32_t arg;

        if (fuse->graph->is_plain)
                return false;
        if (td_op_info(n->op)->rule != TD_RULE_SCAN)
                return td_rule_is_reduction(td_op_info(n->op)->rule);
        arg = graph_arg(fuse->graph, n, 0);
        return fuse->values[arg].cost <= AGAIN_MAX ||
               !cumulative_reads_twice(&n->attrs, &fuse->graph->types[arg]);
}

/* ---- views ---- */

uint32_t fuse_view_of(const struct fuse *fuse, uint32_t node, uint32_t view)
{
        uint32_t i = fuse->values[fuse->graph->first[node]].first_view;

        while (i < fuse->n_views && fuse->views[i].node == node && fuse->views[i].next != view)
                i++;
        assert(i < fuse->n_views && fuse->views[i].node == node);
        return i;
}

static bool may_look_through(const struct fuse *fuse, uint32_t node)
{
        const struct graph *graph = fuse->graph;
        const struct td_node *n = &graph->block->nodes[node];
        uint32_t value = graph->first[node], arg;

        if (!td_op_is_view(n->op) || graph->is_plain || fuse->values[value].must_store)
                return false;
        arg = graph_arg(graph, n, 0);
        if (!have_room(fuse, &fuse->values[value], room_to_read(fuse, arg)))
                return false;
        return n->op != TD_OP_RESHAPE || fuse->values[arg].is_flat ||
               is_same_but_ones(&graph->types[arg], &graph->types[value]);
}

/* Regions read what is behind the view instead. */
static void look_through(struct fuse *fuse, uint32_t node)
{
        const struct td_node *n = &fuse->graph->block->nodes[node];
        struct fuse_value *v = &fuse->values[fuse->graph->first[node]];

        v->is_inline = true;
        v->first_view = fuse->n_views;
        for (unsigned i = 0; i < v->n_readers; i++) {
                const struct fuse_reader *r = &v->readers[i];
                uint32_t view = v->first_view;

                while (view < fuse->n_views && fuse->views[view].next != r->view)
                        view++;
                if (view == fuse->n_views)
                        fuse->views[fuse->n_views++] = (struct fuse_view){ node, r->view };
                fuse->groups[r->group].n_pending--;
                note_read(fuse, graph_arg(fuse->graph, n, 0),
                          (struct fuse_reader){ r->group, view });
        }
}

/* ---- products ---- */

bool fuse_is_product(const struct fuse *fuse, uint32_t node)
{
        const struct fuse_value *v = &fuse->values[fuse->graph->first[node]];

        return v->n_readers == 1 && fuse->groups[v->readers[0].group].product == node;
}

/* What lies in memory where a value is read. */
static uint32_t behind_views(const struct fuse *fuse, uint32_t value)
{
        const struct td_node *node;

        while ((node = made_by(fuse, value)) && td_op_is_view(node->op)) {
                uint32_t arg = graph_arg(fuse->graph, node, 0);

                if (node->op == TD_OP_RESHAPE && !fuse->values[arg].is_flat)
                        break;
                value = arg;
        }
        return value;
}

/* Has the value memory until that node is run, whoever else reads it? */
static bool lives_until(const struct fuse *fuse, uint32_t value, uint32_t last)
{
        const struct fuse_value *v = &fuse->values[value];

        if (fuse->graph->maker[value] == GRAPH_INPUT || (v->must_store && v->first_read >= last))
                return true;
        for (unsigned i = 0; i < v->n_readers; i++)
                if (fuse->groups[v->readers[i].group].last >= last)
                        return true;
        return false;
}

/* May anything between two nodes want memory? */
static bool is_apart(const struct fuse *fuse, uint32_t first, uint32_t last)
{
        const struct graph *graph = fuse->graph;

        if (last - first > NEAR)
                return true;
        for (uint32_t i = first + 1; i < last; i++)
                if (!graph_is_idle(graph, i) &&
                    (fuse->group_at[i] != FUSE_NONE ||
                     !(fuse_takes(graph, &graph->block->nodes[i]) || fuse_is_idle(fuse, i) ||
                       fuse_is_product(fuse, i))))
                        return true;
        return false;
}

/*
 * Does a product that is computed only where it is read keep more memory than it saves? Its
 * operands live until then.
 */
static bool waits_dearly(const struct fuse *fuse, uint32_t node, uint32_t last)
{
        const struct graph *graph = fuse->graph;
        const struct td_node *n = &graph->block->nodes[node];
        double n_kept = 0;

        for (uint32_t i = 0; i < 2; i++) {
                uint32_t value = behind_views(fuse, graph_arg(graph, n, i));

                if (!lives_until(fuse, value, last))
                        n_kept += (double)td_type_n_bytes(&graph->types[value]);
        }
        return n_kept > (double)td_type_n_bytes(&graph->types[graph->first[node]]) &&
               is_apart(fuse, node, last);
}

/* All who read its result have been placed. */
static void place_product(struct fuse *fuse, uint32_t node)
{
        const struct graph *graph = fuse->graph;
        const struct td_node *n = &graph->block->nodes[node];
        const struct td_type *type = &graph->types[graph->first[node]];
        const struct fuse_value *v = &fuse->values[graph->first[node]];
        struct fuse_group *g;

        if (n->op != TD_OP_MATMUL || graph->is_plain || v->must_store || v->n_readers != 1 ||
            v->readers[0].view != FUSE_NONE)
                return;
        g = &fuse->groups[v->readers[0].group];
        if (g->product == FUSE_NONE && g->reduction == FUSE_NONE && is_same_shape(type, g->type) &&
            epilogue_is_worth(&graph->types[graph_arg(graph, n, 0)],
                              &graph->types[graph_arg(graph, n, 1)], type) &&
            !waits_dearly(fuse, node, g->last))
                g->product = node;
}

/* ---- all of them ---- */

static void init_values(struct fuse *fuse, const bool *ends)
{
        const struct graph *graph = fuse->graph;

        for (uint32_t v = 0; v < graph->n_values; v++) {
                fuse->values[v] = (struct fuse_value){ .stored_by = FUSE_NONE,
                                                       .must_store = graph->is_plain,
                                                       .first_read = UINT32_MAX };
                fuse->values[v].is_flat = is_flat(fuse, v);
                fuse->values[v].cost = cost_of(fuse, v);
        }
        for (uint32_t v = 0; v < graph->n_values; v++)
                if (ends[v])
                        fuse->values[graph->same[v]].must_store = true;
}

static uint32_t count_views(const struct td_block *block)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < block->n_nodes; i++)
                n += td_op_is_view(block->nodes[i].op);
        return n;
}

int fuse_init(struct fuse *fuse, const struct graph *graph, const bool *ends)
{
        const uint32_t n_nodes = graph->block->n_nodes;
        const size_t n_views = (size_t)count_views(graph->block) * FUSE_READERS_MAX;

        *fuse = (struct fuse){ .graph = graph };
        fuse->values = reallocarray(NULL, (size_t)graph->n_values + 1, sizeof(*fuse->values));
        fuse->groups = reallocarray(NULL, (size_t)n_nodes + 1, sizeof(*fuse->groups));
        fuse->group_at = reallocarray(NULL, (size_t)n_nodes + 1, sizeof(*fuse->group_at));
        fuse->views = reallocarray(NULL, n_views + 1, sizeof(*fuse->views));
        if (!fuse->values || !fuse->groups || !fuse->group_at || !fuse->views) {
                fuse_deinit(fuse);
                return -ENOMEM;
        }
        init_values(fuse, ends);
        for (uint32_t i = n_nodes; i-- > 0;) {
                fuse->group_at[i] = FUSE_NONE;
                if (graph_is_idle(graph, i))
                        continue;
                if (fuse_takes(graph, &graph->block->nodes[i]))
                        place_value(fuse, i);
                else if (is_reduction(fuse, i))
                        place_reduction(fuse, i);
                else if (may_look_through(fuse, i))
                        look_through(fuse, i);
                else {
                        place_product(fuse, i);
                        note_outside(fuse, i);
                }
        }
        return 0;
}

void fuse_deinit(struct fuse *fuse)
{
        free(fuse->values);
        free(fuse->groups);
        free(fuse->group_at);
        free(fuse->views);
        *fuse = (struct fuse){ .graph = NULL };
}
