/* SPDX-License-Identifier: MIT */
/*
 * Regions of a plan
 *
 * A group of nodes becomes an expression: from what it stores back to what lies in memory, each
 * value once. Its leaves are the step's arguments.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "compute/create/create.h"
#include "compute/plan/fuse.h"
#include "compute/plan/plan_code.h"
#include "compute/reduce/reduce.h"
#include "compute/region/region.h"

enum { KNOWN_MAX = EXPR_NODES_MAX + EXPR_LEAVES_MAX };

struct writer {
        const struct fuse *fuse;
        uint32_t group;
        const struct place *places;
        int32_t node; /* to be blamed for all, or -1: each for itself */
        struct expr expr;
        uint32_t leaves[EXPR_LEAVES_MAX]; /* values */
        uint32_t values[KNOWN_MAX];
        uint8_t written[KNOWN_MAX]; /* as */
        unsigned n_known;
};

/* At most EXPR_NODES_MAX deep. */
static uint8_t write_value(struct writer *w, uint32_t value)
{
        const struct graph *graph = w->fuse->graph;
        const struct td_node *constant = fuse_constant(w->fuse, value);
        uint8_t args[EXPR_ARGS_MAX], written;

        for (unsigned i = 0; i < w->n_known; i++)
                if (w->values[i] == value)
                        return w->written[i];
        if (constant) {
                enum td_dtype dtype = graph->types[value].dtype;
                union td_scalar scalar = create_constant(constant->op, &constant->attrs, dtype);

                return expr_constant(&w->expr, dtype, &scalar);
        }
        if (fuse_is_inside(w->fuse, w->group, value)) {
                uint32_t maker = graph->maker[value];
                const struct td_node *node = &graph->block->nodes[maker];

                assert(node->n_args <= EXPR_ARGS_MAX);
                for (uint32_t i = 0; i < node->n_args; i++)
                        args[i] = write_value(w, graph_arg(graph, node, i));
                written = expr_apply(&w->expr, node->op, w->node < 0 ? (int32_t)maker : w->node,
                                     graph->types[value].dtype, node->n_args, args);
        } else {
                w->leaves[w->expr.n_leaves] = value;
                written = expr_leaf(&w->expr, &w->places[value].desc);
        }
        assert(w->n_known < KNOWN_MAX);
        w->values[w->n_known] = value;
        w->written[w->n_known++] = written;
        return written;
}

static int add_handover(struct builder *builder, uint32_t from, uint32_t to)
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
                (struct handover){ .time = builder->time, .from = from, .to = to };
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
        return region_may_replace(instr->step, arg, result);
}

static int hand_over(struct builder *builder, const struct writer *w, const struct instr *instr)
{
        bool is_given[EXPR_LEAVES_MAX] = { false };

        for (uint32_t k = 0; k < instr->n_results; k++)
                for (uint32_t i = 0; i < instr->n_args; i++) {
                        int r;

                        if (is_given[i] || !may_hand_over(builder, w, instr, i, k))
                                continue;
                        is_given[i] = true;
                        r = add_handover(builder, instr->args[i], instr->results[k]);
                        if (r < 0)
                                return r;
                        break;
                }
        return 0;
}

static int make_results(struct builder *builder, const struct writer *w, uint32_t n,
                        const uint32_t *values, uint32_t *slots, struct desc *descs,
                        struct place *places)
{
        for (uint32_t k = 0; k < n; k++) {
                int r;

                desc_init_c(&descs[k], &w->fuse->graph->types[values[k]]);
                r = slot_new(builder, SLOT_SCRATCH, 0, (uint64_t)desc_n_bytes(&descs[k]),
                             &slots[k]);
                if (r < 0)
                        return r;
                places[values[k]] = (struct place){ .slot = slots[k], .desc = descs[k] };
        }
        return 0;
}

/* The step and its results' places; without a step if there are no elements. */
static int build_stores(struct builder *builder, struct writer *w, struct instr *instr,
                        struct place *places)
{
        const struct fuse_group *g = &w->fuse->groups[w->group];
        struct desc descs[EXPR_RESULTS_MAX];
        uint32_t slots[EXPR_RESULTS_MAX];
        int r;

        for (uint32_t k = 0; k < g->n_stored; k++)
                expr_result(&w->expr, write_value(w, g->stored[k]));
        r = make_results(builder, w, g->n_stored, g->stored, slots, descs, places);
        if (r < 0 || td_type_n_elements(g->type) == 0)
                return r;
        r = instr_init(instr, instr->op, w->expr.n_leaves, g->n_stored);
        if (r < 0)
                return r;
        memcpy(instr->results, slots, g->n_stored * sizeof(slots[0]));
        return region_new(&instr->step, &w->expr, descs, builder->options.tile);
}

static int build_reduction(struct builder *builder, struct writer *w, struct instr *instr,
                           struct place *places)
{
        const struct graph *graph = w->fuse->graph;
        const struct fuse_group *g = &w->fuse->groups[w->group];
        const struct td_node *node = &graph->block->nodes[g->reduction];
        uint8_t value = write_value(w, graph_arg(graph, node, 0));
        uint32_t result = graph->first[g->reduction], slot;
        struct desc desc;
        int r;

        r = make_results(builder, w, 1, &result, &slot, &desc, places);
        if (r < 0 || desc_n_elements(&desc) == 0)
                return r;
        r = instr_init(instr, instr->op, w->expr.n_leaves, 1);
        if (r < 0)
                return r;
        instr->results[0] = slot;
        return reduce_new_of(&instr->step, node->op, &node->attrs, &w->expr, value, g->type, &desc);
}

int region_build(struct builder *builder, struct code *code, const struct fuse *fuse,
                 uint32_t group, struct place *places)
{
        const struct fuse_group *g = &fuse->groups[group];
        _cleanup_(
                instr_deinit) struct instr instr = { .op = fuse->graph->block->nodes[g->last].op };
        struct writer w;
        int r;

        w.fuse = fuse;
        w.group = group;
        w.places = places;
        w.node = builder->node == (int32_t)g->last && code == &builder->plan->code ? -1
                                                                                   : builder->node;
        w.n_known = 0;
        expr_init(&w.expr);
        builder->time++;
        r = g->reduction == FUSE_NONE ? build_stores(builder, &w, &instr, places)
                                      : build_reduction(builder, &w, &instr, places);
        if (r < 0 || !instr.step)
                return r;
        for (uint32_t i = 0; i < w.expr.n_leaves; i++) {
                instr.args[i] = places[w.leaves[i]].slot;
                slot_touch(builder, instr.args[i]);
        }
        r = hand_over(builder, &w, &instr);
        if (r < 0)
                return r;
        return code_append_step(builder, code, &instr);
}
