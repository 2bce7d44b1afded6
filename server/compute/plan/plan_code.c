/* SPDX-License-Identifier: MIT */
/*
 * Code of a block
 *
 * Nodes are visited once, in order; those whose results nobody needs leave nothing behind. Views
 * become places, everything else becomes a prepared step with slots of its own for its results.
 * Loops are in plan_loop.c.
 */
#include "compute/plan/plan_code.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "compute/plan/fuse.h"
#include "compute/plan/graph.h"
#include "compute/user/user_step.h"
#include "tensor/view.h"

/* ---- slots ---- */

int slot_new(struct builder *builder, enum slot_kind kind, uint32_t index, uint64_t n_bytes,
             uint32_t *slotp)
{
        struct plan *plan = builder->plan;

        if (plan->n_slots == plan->n_slots_allocated) {
                uint32_t n = plan->n_slots ? 2 * plan->n_slots : 16;
                struct slot *slots = reallocarray(plan->slots, n, sizeof(*slots));

                if (!slots)
                        return -ENOMEM;
                plan->slots = slots;
                plan->n_slots_allocated = n;
        }
        plan->slots[plan->n_slots] = (struct slot){
                .kind = kind,
                .index = index,
                .n_bytes = n_bytes,
                .start = builder->time,
                .end = builder->time,
        };
        *slotp = plan->n_slots++;
        return 0;
}

void slot_touch(struct builder *builder, uint32_t slot)
{
        struct slot *s = &builder->plan->slots[slot];

        if (s->end < builder->time)
                s->end = builder->time;
}

bool place_fills(const struct builder *builder, const struct place *place)
{
        const struct slot *slot = &builder->plan->slots[place->slot];

        return slot->kind == SLOT_SCRATCH && place->desc.offset == 0 &&
               (uint64_t)desc_n_bytes(&place->desc) == slot->n_bytes &&
               desc_is_dense(&place->desc);
}

/* ---- instructions ---- */

int instr_init(struct instr *instr, enum td_op op, uint32_t n_args, uint32_t n_results)
{
        uint32_t *slots = reallocarray(NULL, (size_t)n_args + n_results + 1, sizeof(*slots));

        if (!slots)
                return -ENOMEM;
        *instr = (struct instr){ .op = op,
                                 .n_args = n_args,
                                 .n_results = n_results,
                                 .args = slots,
                                 .results = slots + n_args,
                                 .scratch = SLOT_NONE };
        return 0;
}

void instr_deinit(struct instr *instr)
{
        step_free(instr->step);
        loop_free(instr->loop);
        free(instr->args);
        *instr = (struct instr){ .step = NULL };
}

int code_append(struct code *code, struct instr *instr)
{
        if (code->n_instrs == code->n_allocated) {
                uint32_t n = code->n_instrs ? 2 * code->n_instrs : 4;
                struct instr *instrs = reallocarray(code->instrs, n, sizeof(*instrs));

                if (!instrs)
                        return -ENOMEM;
                code->instrs = instrs;
                code->n_allocated = n;
        }
        code->instrs[code->n_instrs++] = *instr;
        *instr = (struct instr){ .step = NULL };
        return 0;
}

void code_deinit(struct code *code)
{
        for (uint32_t i = 0; i < code->n_instrs; i++)
                instr_deinit(&code->instrs[i]);
        free(code->instrs);
        *code = (struct code){ .instrs = NULL };
}

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
        uint64_t sum;

        return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t multiply_saturating(uint64_t a, uint64_t b)
{
        uint64_t product;

        return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t loop_cost_ns(const struct loop *loop)
{
        const uint64_t turn_ns = 5;
        int64_t n_watched = loop->every > 0 ? loop->n_steps / loop->every : loop->n_at;
        uint64_t turn = add_saturating(code_cost_ns(&loop->body), turn_ns);
        uint64_t cost = multiply_saturating((uint64_t)loop->n_steps, turn);

        if (loop->is_while)
                return UINT64_MAX; /* always on a worker: nobody knows */
        for (uint32_t i = 0; i < loop->n_watch; i++)
                cost = add_saturating(cost,
                                      multiply_saturating((uint64_t)n_watched,
                                                          step_cost_ns(loop->watch[i].copy.step)));
        return cost;
}

uint64_t code_cost_ns(const struct code *code)
{
        uint64_t cost = 0;

        for (uint32_t i = 0; i < code->n_instrs; i++) {
                const struct instr *instr = &code->instrs[i];

                cost = add_saturating(cost, instr->loop ? loop_cost_ns(instr->loop)
                                                        : step_cost_ns(instr->step));
        }
        return cost;
}

uint64_t code_n_steps(const struct code *code)
{
        uint64_t n_steps = 0;

        for (uint32_t i = 0; i < code->n_instrs; i++) {
                const struct loop *loop = code->instrs[i].loop;

                n_steps = add_saturating(n_steps,
                                         loop ? multiply_saturating((uint64_t)loop->n_steps,
                                                                    code_n_steps(&loop->body))
                                              : 1);
        }
        return n_steps;
}

int code_append_step(struct builder *builder, struct code *code, struct instr *instr)
{
        uint64_t n_scratch = step_n_scratch(instr->step);
        int r;

        instr->node = builder->node;
        if (n_scratch) {
                r = slot_new(builder, SLOT_SCRATCH, 0, n_scratch, &instr->scratch);
                if (r < 0)
                        return r;
        }
        return code_append(code, instr);
}

int code_copy_to(struct builder *builder, struct code *code, enum td_op op,
                 const struct place *from, const struct place *to)
{
        _cleanup_(instr_deinit) struct instr instr = { .op = op };
        int r;

        if (desc_n_elements(&to->desc) == 0)
                return 0;
        slot_touch(builder, from->slot);
        r = instr_init(&instr, op, 1, 1);
        if (r < 0)
                return r;
        instr.args[0] = from->slot;
        instr.results[0] = to->slot;
        r = step_new_copy(&instr.step, &from->desc, &to->desc);
        if (r < 0)
                return r;
        return code_append_step(builder, code, &instr);
}

int code_copy(struct builder *builder, struct code *code, enum td_op op, const struct place *from,
              struct place *top)
{
        struct place to;
        int r;

        builder->time++;
        desc_init_c(&to.desc, &from->desc.type);
        r = slot_new(builder, SLOT_SCRATCH, 0, (uint64_t)desc_n_bytes(&to.desc), &to.slot);
        if (r < 0)
                return r;
        r = code_copy_to(builder, code, op, from, &to);
        if (r < 0)
                return r;
        *top = to;
        return 0;
}

/* ---- nodes ---- */

int step_build(struct builder *builder, const struct graph *graph, uint32_t node_at,
               struct place *places, struct instr *instr)
{
        const struct td_node *node = &graph->block->nodes[node_at];
        const struct td_type *types = graph->types + graph->first[node_at];
        const uint32_t n_results = (uint32_t)td_node_n_results(node);
        struct place *results = places + graph->first[node_at];
        _cleanup_(freep) struct desc *descs = NULL;
        struct desc *args;
        bool is_empty = true;
        int r;

        descs = reallocarray(NULL, (size_t)n_results + node->n_args, sizeof(*descs));
        if (!descs)
                return -ENOMEM;
        args = descs + n_results;
        r = instr_init(instr, node->op, node->n_args, n_results);
        if (r < 0)
                return r;
        builder->time++;
        for (uint32_t i = 0; i < n_results; i++) {
                descs[i] = graph->descs[graph->first[node_at] + i];
                r = td_type_is_known(&types[i])
                            ? slot_new(builder, SLOT_SCRATCH, 0, (uint64_t)desc_n_bytes(&descs[i]),
                                       &instr->results[i])
                            : slot_new(builder, SLOT_COUNTED, SLOT_NONE, 0, &instr->results[i]);
                if (r < 0)
                        return r;
                results[i] = (struct place){ .slot = instr->results[i], .desc = descs[i] };
                is_empty = is_empty && desc_n_elements(&descs[i]) == 0;
        }
        if (is_empty && !td_op_is_counted(node->op) && node->op != TD_OP_TAKE &&
            node->op != TD_OP_PUT)
                return 0; /* indices into nothing are looked at */
        for (uint32_t i = 0; i < instr->n_args; i++) {
                const struct place *place = &places[graph_arg(graph, node, i)];

                instr->args[i] = place->slot;
                args[i] = place->desc;
                slot_touch(builder, instr->args[i]);
        }
        if (node->op == TD_OP_USER)
                return user_step_new(&instr->step, node->user, args, descs);
        return step_new(&instr->step, node->op, &node->attrs, instr->n_args, args, n_results,
                        descs);
}

static int append_node(struct builder *builder, struct code *code, const struct graph *graph,
                       uint32_t at, struct place *places)
{
        _cleanup_(instr_deinit) struct instr instr = { .step = NULL };
        int r = step_build(builder, graph, at, places, &instr);

        if (r < 0 || !instr.step)
                return r;
        r = code_append_step(builder, code, &instr);
        return r < 0 || !td_op_is_counted(graph->block->nodes[at].op) ? r : counted_add(builder);
}

static int build_view(struct builder *builder, struct code *code, const struct td_node *node,
                      const struct place *of, const struct td_type *type, struct place *result)
{
        struct place copy;
        int r;

        result->slot = of->slot;
        switch (node->op) {
        case TD_OP_PERMUTE_DIMS:
                view_permute(&result->desc, &of->desc, &node->attrs);
                return 0;
        case TD_OP_SLICE:
                view_slice(&result->desc, &of->desc, &node->attrs);
                return 0;
        case TD_OP_BROADCAST_TO:
                view_broadcast(&result->desc, &of->desc, type);
                return 0;
        default:
                assert(node->op == TD_OP_RESHAPE);
                if (view_reshape(&result->desc, &of->desc, type) != VIEW_E_COPY)
                        return 0;
                r = code_copy(builder, code, node->op, of, &copy);
                if (r < 0)
                        return r;
                result->slot = copy.slot;
                r = view_reshape(&result->desc, &copy.desc, type);
                assert(r == 0);
                return r;
        }
}

/* ---- blocks ---- */

uint64_t block_n_nested(const struct td_block *block)
{
        uint64_t n = 0;

        for (uint32_t i = 0; i < block->n_nodes; i++) {
                const struct td_loop *loop = block->nodes[i].loop;

                if (loop)
                        n += td_block_n_values(&loop->body) + block_n_nested(&loop->body);
        }
        return n;
}

static int build_loop(struct builder *builder, struct code *code, const struct graph *graph,
                      const struct td_node *node, const struct place *places,
                      const struct td_type *nested, const bool *is_live, struct place *results)
{
        _cleanup_(freep) struct place *args = calloc((size_t)node->n_args + 1, sizeof(*args));

        if (!args)
                return -ENOMEM;
        for (uint32_t i = 0; i < node->n_args; i++)
                args[i] = places[graph_arg(graph, node, i)];
        return loop_build(builder, code, node, args, nested, is_live, results);
}

static int build_node(struct builder *builder, struct code *code, const struct fuse *fuse,
                      uint32_t at, const struct td_type *nested, struct place *places)
{
        const struct graph *graph = fuse->graph;
        const struct td_node *node = &graph->block->nodes[at];
        uint32_t value = graph->first[at];

        if (graph_is_idle(graph, at))
                return 0;
        if (fuse->group_at[at] != FUSE_NONE)
                return region_build(builder, code, fuse, fuse->group_at[at], places);
        if (fuse_takes(graph, node))
                return 0; /* a part of others */
        if (fuse_is_idle(fuse, at) || fuse_is_product(fuse, at))
                return 0;
        if (node->loop)
                return build_loop(builder, code, graph, node, places, nested, graph->live + value,
                                  places + value);
        if (td_op_is_view(node->op))
                return build_view(builder, code, node, &places[graph_arg(graph, node, 0)],
                                  &graph->types[value], &places[value]);
        return append_node(builder, code, graph, at, places);
}

static int build_nodes(struct builder *builder, struct code *code, const struct fuse *fuse,
                       const struct td_type *nested, struct place *places)
{
        const struct graph *graph = fuse->graph;
        const struct td_block *block = graph->block;
        const int32_t outer_node = builder->node;

        for (uint32_t i = 0; i < block->n_nodes; i++) {
                const struct td_loop *loop = block->nodes[i].loop;
                int r;

                builder->node = (int32_t)i;
                r = build_node(builder, code, fuse, i, nested, places);
                if (r < 0)
                        return r;
                if (loop)
                        nested += td_block_n_values(&loop->body) + block_n_nested(&loop->body);
        }
        builder->node = outer_node;
        for (uint32_t v = 0; v < graph->n_values; v++)
                if (graph->same[v] != v)
                        places[v] = places[graph->same[v]];
        return 0;
}

int code_build(struct builder *builder, struct code *code, const struct typed_block *typed,
               struct place *places, bool *live)
{
        _cleanup_(freep) bool *ends = malloc(td_block_n_values(typed->block) + 1);
        _cleanup_(graph_deinit) struct graph graph = { .same = NULL };
        _cleanup_(fuse_deinit) struct fuse fuse = { .values = NULL };
        int r;

        if (!ends)
                return -ENOMEM;
        memcpy(ends, live, td_block_n_values(typed->block));
        r = graph_init(&graph, typed, builder->options.is_plain, live);
        if (r < 0)
                return r;
        r = graph_order(&graph, places);
        if (r < 0)
                return r;
        r = fuse_init(&fuse, &graph, ends);
        if (r < 0)
                return r;
        return build_nodes(builder, code, &fuse, typed->nested, places);
}
