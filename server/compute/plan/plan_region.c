/* SPDX-License-Identifier: MIT */
/*
 * Regions of a plan
 *
 * A group of nodes becomes an expression: from what it stores back to what lies in memory, each
 * value once. Its leaves are the step's arguments.
 *
 * Where a region goes on behind a product, the product is a leaf without memory, and the step has
 * the product's arguments behind its own. If it turns out that one of the two can't do that, they
 * become two steps, where the region stands.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "compute/create/create.h"
#include "compute/create/generate.h"
#include "compute/linalg/blas.h"
#include "compute/linalg/epilogue.h"
#include "compute/plan/fuse.h"
#include "compute/plan/plan_code.h"
#include "compute/reduce/cumulative.h"
#include "compute/reduce/reduce.h"
#include "compute/region/region.h"
#include "tensor/view.h"

enum { KNOWN_MAX = EXPR_NODES_MAX + EXPR_LEAVES_MAX };

struct writer {
        const struct fuse *fuse;
        uint32_t group;
        const struct place *places;
        struct expr expr;
        uint32_t leaves[EXPR_LEAVES_MAX]; /* values; of an index FUSE_NONE */
        struct known {
                uint32_t value, view;
                uint8_t written; /* as */
        } known[KNOWN_MAX];
        unsigned n_known;
        struct instr *product; /* that the region goes on behind, or NULL */
};

/* ---- views ---- */

/* Of two dtypes one shape. */
static struct td_type shaped(enum td_dtype dtype, const struct td_type *shape)
{
        struct td_type type = *shape;

        type.dtype = (uint8_t)dtype;
        return type;
}

/* From what broadcasts to the view's operand. */
static void look_through_one(const struct graph *graph, uint32_t at, struct desc *desc)
{
        const struct td_node *node = &graph->block->nodes[at];
        const enum td_dtype dtype = desc->type.dtype;
        const struct td_type from = shaped(dtype, &graph->types[graph_arg(graph, node, 0)]);
        const struct td_type type = shaped(dtype, &graph->types[graph->first[at]]);
        int r = 0;

        view_broadcast(desc, desc, &from);
        switch (node->op) {
        case TD_OP_PERMUTE_DIMS:
                view_permute(desc, desc, &node->attrs);
                break;
        case TD_OP_SLICE:
                view_slice(desc, desc, &node->attrs);
                break;
        case TD_OP_BROADCAST_TO:
                view_broadcast(desc, desc, &type);
                break;
        default:
                r = view_reshape(desc, desc, &type);
                break;
        }
        assert(r == 0);
        (void)r;
}

static struct desc look_through(const struct writer *w, uint32_t view, const struct desc *leaf)
{
        const struct fuse_view *views = w->fuse->views;
        struct desc desc = *leaf;

        for (; view != FUSE_NONE; view = views[view].next)
                look_through_one(w->fuse->graph, views[view].node, &desc);
        return desc;
}

/* ---- values ---- */

static uint8_t write_leaf(struct writer *w, uint32_t value, uint32_t view)
{
        const struct desc desc = look_through(w, view, &w->places[value].desc);

        if (w->expr.n_leaves < EXPR_LEAVES_MAX)
                w->leaves[w->expr.n_leaves] = value;
        return expr_leaf(&w->expr, &desc);
}

static void write_indices(struct writer *w, const struct td_node *node, const struct td_type *type,
                          uint32_t view, uint8_t *indices)
{
        for (unsigned i = 0; i < generate_n_indices(node->op); i++) {
                struct desc desc;

                generate_index(node->op, type, i, &desc);
                desc = look_through(w, view, &desc);
                if (w->expr.n_leaves < EXPR_LEAVES_MAX)
                        w->leaves[w->expr.n_leaves] = FUSE_NONE;
                indices[i] = expr_index(&w->expr, &desc);
        }
}

static uint8_t write_value(struct writer *w, uint32_t value, uint32_t view);

static uint8_t write_node(struct writer *w, uint32_t value, uint32_t view)
{
        const struct graph *graph = w->fuse->graph;
        const uint32_t maker = graph->maker[value];
        const struct td_node *node = &graph->block->nodes[maker];
        const struct td_type *type = &graph->types[value];
        uint8_t args[EXPR_ARGS_MAX], indices[GENERATE_INDICES_MAX];

        assert(node->n_args <= EXPR_ARGS_MAX);
        for (uint32_t i = 0; i < node->n_args; i++)
                args[i] = write_value(w, graph_arg(graph, node, i), view);
        if (node->op == TD_OP_TRIL || node->op == TD_OP_TRIU) {
                write_indices(w, node, type, view, indices);
                return generate_triangle(&w->expr, node->op, &node->attrs, type, indices, args[0]);
        }
        return expr_apply(&w->expr, node->op, (int32_t)maker, type->dtype, node->n_args, args);
}

/* From a view on to what it looks at. */
static void pass_views(const struct fuse *fuse, uint32_t *value, uint32_t *view)
{
        const struct graph *graph = fuse->graph;

        while (fuse->values[*value].is_inline) {
                const uint32_t maker = graph->maker[*value];

                if (!td_op_is_view(graph->block->nodes[maker].op))
                        return;
                *view = fuse_view_of(fuse, maker, *view);
                *value = graph_arg(graph, &graph->block->nodes[maker], 0);
        }
}

/* At most EXPR_NODES_MAX deep. */
static uint8_t write_value(struct writer *w, uint32_t value, uint32_t view)
{
        uint8_t written, indices[GENERATE_INDICES_MAX];
        const struct td_node *constant, *generator;
        const struct td_type *type;

        pass_views(w->fuse, &value, &view);
        type = &w->fuse->graph->types[value];
        constant = fuse_constant(w->fuse, value);
        generator = fuse_generator(w->fuse, value);
        if (constant) {
                union td_scalar scalar = create_constant(constant->op, &constant->attrs,
                                                         type->dtype);

                return expr_constant(&w->expr, type->dtype, &scalar);
        }
        for (unsigned i = 0; i < w->n_known; i++)
                if (w->known[i].value == value && w->known[i].view == view)
                        return w->known[i].written;
        if (generator) {
                write_indices(w, generator, type, view, indices);
                written = generate_write(&w->expr, generator->op, &generator->attrs, type, indices);
        } else if (fuse_is_inside(w->fuse, w->group, value, view)) {
                written = write_node(w, value, view);
        } else {
                written = write_leaf(w, value, view);
        }
        if (w->n_known < KNOWN_MAX) /* those that are not are written again */
                w->known[w->n_known++] = (struct known){ value, view, written };
        return written;
}

/* ---- memory ---- */

/* Arguments behind the leaves. */
static uint32_t n_behind(const struct writer *w)
{
        return w->product ? w->product->n_args : 0;
}

static int add_handover(struct builder *builder, uint32_t from, uint32_t to, bool may_fail)
{
        if (builder->n_handovers == builder->n_handovers_allocated) {
                uint32_t n = builder->n_handovers ? 2 * builder->n_handovers : 16;
                struct handover *handovers = reallocarray(builder->handovers, n,
                                                          sizeof(*handovers));

                if (!handovers)
                        return -ENOMEM;
                builder->handovers = handovers;
                builder->n_handovers_allocated = n;
        }
        builder->handovers[builder->n_handovers++] =
                (struct handover){ .time = builder->time,
                                   .from = from,
                                   .to = to,
                                   .may_fail = may_fail };
        return 0;
}

/* The argument's memory may become the result's: it takes all of a slot that nothing else reads. */
static bool may_hand_over(const struct builder *builder, const struct writer *w,
                          const struct instr *instr, uint32_t arg, uint32_t result)
{
        const struct slot *slots = builder->plan->slots;

        if (slots[instr->args[arg]].n_bytes != slots[instr->results[result]].n_bytes ||
            w->expr.leaves[arg].offset != 0)
                return false;
        for (uint32_t i = 0; i < instr->n_args; i++)
                if (i != arg && instr->args[i] == instr->args[arg])
                        return false;
        return region_may_replace(instr->step, arg, result) ||
               epilogue_may_replace(instr->step, arg, result) ||
               reduce_may_replace(instr->step, arg, result);
}

/*
 * One input and one intermediate for each result: the input's memory is taken at the very end only,
 * and if it is, the intermediate's is not.
 */
static int hand_over(struct builder *builder, const struct writer *w, const struct instr *instr)
{
        const uint32_t n_leaves = instr->n_args - n_behind(w);
        bool is_given[EXPR_LEAVES_MAX] = { false };

        for (uint32_t k = 0; k < instr->n_results; k++) {
                bool has_giver[2] = { false };

                for (int wants_input = 1; wants_input >= 0; wants_input--)
                        for (uint32_t i = 0; i < n_leaves && !has_giver[wants_input]; i++) {
                                bool is_input =
                                        builder->plan->slots[instr->args[i]].kind == SLOT_INPUT;

                                if (is_input != wants_input || is_given[i] ||
                                    !may_hand_over(builder, w, instr, i, k))
                                        continue;
                                is_given[i] = has_giver[wants_input] = true;
                                if (add_handover(builder, instr->args[i], instr->results[k],
                                                 expr_may_fail(&w->expr)) < 0)
                                        return -ENOMEM;
                        }
        }
        return 0;
}

static int make_results(struct builder *builder, const struct writer *w, uint32_t n,
                        const uint32_t *values, uint32_t *slots, struct desc *descs,
                        struct place *places)
{
        for (uint32_t k = 0; k < n; k++) {
                int r;

                descs[k] = w->fuse->graph->descs[values[k]];
                r = slot_new(builder, SLOT_SCRATCH, 0, (uint64_t)desc_n_bytes(&descs[k]),
                             &slots[k]);
                if (r < 0)
                        return r;
                places[values[k]] = (struct place){ .slot = slots[k], .desc = descs[k] };
        }
        return 0;
}

/* tril or triu of what lies in memory, and nothing else? */
static const struct td_node *lone_triangle(const struct writer *w)
{
        const struct graph *graph = w->fuse->graph;
        const struct fuse_group *g = &w->fuse->groups[w->group];
        const struct td_node *node = &graph->block->nodes[graph->maker[g->stored[0]]];

        return g->n_stored == 1 && g->n_nodes == GENERATE_NODES &&
                               (node->op == TD_OP_TRIL || node->op == TD_OP_TRIU)
                       ? node
                       : NULL;
}

static void write_stores(struct writer *w)
{
        const struct fuse_group *g = &w->fuse->groups[w->group];

        w->n_known = 0;
        expr_init(&w->expr);
        for (uint32_t k = 0; k < g->n_stored; k++)
                expr_result(&w->expr, write_value(w, g->stored[k], FUSE_NONE));
}

/* Leaves that are the product. */
static uint32_t find_product(const struct writer *w)
{
        const struct graph *graph = w->fuse->graph;
        const uint32_t node = w->fuse->groups[w->group].product;
        uint32_t mask = 0;

        for (uint32_t i = 0; w->product && i < w->expr.n_leaves; i++)
                if (w->leaves[i] == graph->first[node])
                        mask |= UINT32_C(1) << i;
        return mask;
}

/* The region's step becomes one that computes the product, too. */
static int go_on(struct writer *w, struct instr *instr)
{
        const struct graph *graph = w->fuse->graph;
        const uint32_t value = graph->first[w->fuse->groups[w->group].product];
        _cleanup_(step_freep) struct step *region = steal_ptr(&instr->step);

        memcpy(instr->args + w->expr.n_leaves, w->product->args,
               n_behind(w) * sizeof(instr->args[0]));
        return epilogue_new(&instr->step, &w->product->step, &graph->types[value], &region,
                            w->expr.n_leaves, find_product(w));
}

/* The step and its results' places; without a step if there are no elements. */
static int build_stores(struct builder *builder, struct writer *w, struct instr *instr,
                        struct place *places)
{
        const struct fuse_group *g = &w->fuse->groups[w->group];
        const struct td_node *triangle = lone_triangle(w);
        struct desc descs[EXPR_RESULTS_MAX];
        uint32_t slots[EXPR_RESULTS_MAX];
        int r;

        write_stores(w);
        r = make_results(builder, w, g->n_stored, g->stored, slots, descs, places);
        if (r < 0 || td_type_n_elements(g->type) == 0)
                return r;
        r = instr_init(instr, instr->op,
                       triangle ? 1 : w->expr.n_leaves + n_behind(w), g->n_stored);
        if (r < 0)
                return r;
        memcpy(instr->results, slots, g->n_stored * sizeof(slots[0]));
        if (triangle)
                return step_new(&instr->step, triangle->op, &triangle->attrs, 1,
                                &w->expr.leaves[0], 1, descs);
        r = region_new(&instr->step, &w->expr, descs, builder->options.tile);
        return r < 0 || !w->product ? r : go_on(w, instr);
}

static int build_reduction(struct builder *builder, struct writer *w, struct instr *instr,
                           struct place *places)
{
        const struct graph *graph = w->fuse->graph;
        const struct fuse_group *g = &w->fuse->groups[w->group];
        const struct td_node *node = &graph->block->nodes[g->reduction];
        uint32_t values[1 + EXPR_RESULTS_MAX] = { graph->first[g->reduction] };
        uint32_t slots[1 + EXPR_RESULTS_MAX];
        struct desc descs[1 + EXPR_RESULTS_MAX];
        uint8_t stored[EXPR_RESULTS_MAX];
        struct reduce_of of = {
                .expr = &w->expr,
                .value = write_value(w, graph_arg(graph, node, 0), FUSE_NONE),
                .n_stored = g->n_stored,
                .stored = stored,
                .place = &descs[1],
                .shape = g->type,
        };
        int r;

        for (uint32_t k = 0; k < g->n_stored; k++) {
                stored[k] = write_value(w, g->stored[k], FUSE_NONE);
                values[1 + k] = g->stored[k];
        }
        r = make_results(builder, w, 1 + g->n_stored, values, slots, descs, places);
        if (r < 0 || desc_n_elements(&descs[0]) == 0)
                return r;
        r = instr_init(instr, instr->op, w->expr.n_leaves, 1 + g->n_stored);
        if (r < 0)
                return r;
        memcpy(instr->results, slots, (1 + g->n_stored) * sizeof(slots[0]));
        if (td_op_info(node->op)->rule == TD_RULE_SCAN)
                return cumulative_new_of(&instr->step, node->op, &node->attrs, of.expr, of.value,
                                         of.shape, &descs[0]);
        return reduce_new_of(&instr->step, node->op, &node->attrs, &of, &descs[0]);
}

/* An index wants no memory: its slot has none. Nor does a product that goes on at once. */
static int find_args(struct builder *builder, const struct writer *w, struct instr *instr,
                     const struct place *places)
{
        const uint32_t products = find_product(w);
        uint32_t nowhere = SLOT_NONE;

        for (uint32_t i = 0; i < instr->n_args; i++) {
                if (i >= w->expr.n_leaves || (w->leaves[i] != FUSE_NONE && !(products >> i & 1))) {
                        if (i < w->expr.n_leaves)
                                instr->args[i] = places[w->leaves[i]].slot;
                        slot_touch(builder, instr->args[i]);
                        continue;
                }
                if (nowhere == SLOT_NONE) {
                        int r = slot_new(builder, SLOT_SCRATCH, 0, 0, &nowhere);

                        if (r < 0)
                                return r;
                }
                instr->args[i] = nowhere;
        }
        return 0;
}

/* ---- products ---- */

/*
 * May the region go on behind its product? Then the product has no memory, and lies in rows as its
 * tiles do. Else its step is appended.
 */
static int begin_product(struct builder *builder, struct code *code, struct writer *w,
                         struct place *places, struct instr *product)
{
        const struct graph *graph = w->fuse->graph;
        const struct fuse_group *g = &w->fuse->groups[w->group];
        const uint32_t value = graph->first[g->product];
        const int32_t reader = builder->node;
        int64_t pitch;
        int r = step_build(builder, graph, g->product, places, product);

        if (r < 0 || !product->step)
                return r;
        pitch = matmul_pitch(product->step);
        if (pitch && !lone_triangle(w) &&
            (!builder->takes || step_cost_ns(product->step) <= UNSTOPPED_NS_MAX)) {
                struct desc *desc = &places[value].desc;

                epilogue_leaf(desc, &graph->types[value], pitch);
                write_stores(w);
                if (region_goes_by_rows(&w->expr, &graph->descs[g->stored[0]])) {
                        builder->plan->slots[product->results[0]].n_bytes = 0;
                        w->product = product;
                        return 0;
                }
                *desc = graph->descs[value];
        }
        builder->node = (int32_t)g->product; /* to be blamed, and not who reads it */
        r = code_append_step(builder, code, product);
        builder->node = reader;
        return r;
}

int region_build(struct builder *builder, struct code *code, const struct fuse *fuse,
                 uint32_t group, struct place *places)
{
        const struct fuse_group *g = &fuse->groups[group];
        _cleanup_(
                instr_deinit) struct instr instr = { .op = fuse->graph->block->nodes[g->last].op };
        _cleanup_(instr_deinit) struct instr product = { .step = NULL };
        struct writer w;
        int r;

        w.fuse = fuse;
        w.group = group;
        w.places = places;
        w.n_known = 0;
        w.product = NULL;
        expr_init(&w.expr);
        if (g->product != FUSE_NONE) {
                r = begin_product(builder, code, &w, places, &product);
                if (r < 0)
                        return r;
        }
        builder->time++;
        r = g->reduction == FUSE_NONE ? build_stores(builder, &w, &instr, places)
                                      : build_reduction(builder, &w, &instr, places);
        if (r < 0 || !instr.step)
                return r;
        r = find_args(builder, &w, &instr, places);
        if (r < 0)
                return r;
        r = hand_over(builder, &w, &instr);
        if (r < 0)
                return r;
        return code_append_step(builder, code, &instr);
}
