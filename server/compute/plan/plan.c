/* SPDX-License-Identifier: MIT */
/*
 * Plans
 *
 * Inference, then code for what the outputs need, then memory. A node that yields an output writes
 * it where it belongs; only an output that is an input, a part of another value, or listed twice is
 * copied at the end.
 */
#include "compute/plan/plan.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "compute/plan/plan_code.h"

static struct plan_options options;

void plan_set_options(const struct plan_options *to)
{
        options = *to;
}

struct plan *plan_free(struct plan *plan)
{
        if (!plan)
                return NULL;
        code_deinit(&plan->code);
        free(plan->outputs);
        free(plan->output_counts);
        free(plan->taken);
        free(plan->counted);
        free(plan->slots);
        free(plan);
        return NULL;
}

uint32_t plan_n_outputs(const struct plan *plan)
{
        return plan->n_outputs;
}

const struct desc *plan_output(const struct plan *plan, uint32_t i)
{
        assert(i < plan->n_outputs);
        return &plan->outputs[i];
}

uint64_t plan_n_scratch(const struct plan *plan)
{
        return plan->n_scratch;
}

uint64_t plan_cost_ns(const struct plan *plan)
{
        return plan->cost_ns;
}

uint64_t plan_n_steps(const struct plan *plan)
{
        return code_n_steps(&plan->code);
}

/* Types of all values, the caller's to free. 0, PLAN_E_REFUSED or -ENOMEM. */
static int infer_types(const struct td_program *program, const struct desc *inputs,
                       struct td_type **typesp, struct td_refusal *refusal)
{
        _cleanup_(freep) struct td_type *types = NULL;
        uint64_t n;

        if (td_program_n_values(program, &n, refusal))
                return PLAN_E_REFUSED;
        types = reallocarray(NULL, n + 1, sizeof(*types));
        if (!types)
                return -ENOMEM;
        for (uint32_t i = 0; i < program->block.n_inputs; i++)
                types[i] = inputs[i].type;
        if (td_infer_program(program, types, types, refusal))
                return PLAN_E_REFUSED;
        *typesp = steal_ptr(&types);
        return 0;
}

/* Strides that no element follows may be anything; steps get tame ones. */
static void tame_strides(struct desc *desc)
{
        if (desc_n_elements(desc) == 0) {
                desc_init_c(desc, &desc->type);
                return;
        }
        for (unsigned i = 0; i < desc->type.ndim; i++)
                if (desc->type.shape[i] == 1)
                        desc->strides[i] = 0;
}

/* Let the outputs' values be written where they belong, or copied there. */
static int build_outputs(struct builder *builder, const struct td_program *program,
                         const struct place *places)
{
        struct plan *plan = builder->plan;

        plan->outputs = calloc((size_t)program->n_outputs + 1, sizeof(*plan->outputs));
        if (!plan->outputs)
                return -ENOMEM;
        plan->n_outputs = program->n_outputs;
        plan->output_counts = reallocarray(NULL, 2 * ((size_t)program->n_outputs + 1),
                                           sizeof(*plan->output_counts));
        if (!plan->output_counts)
                return -ENOMEM;
        plan->taken = reallocarray(NULL, (size_t)program->n_outputs + 1, sizeof(*plan->taken));
        if (!plan->taken)
                return -ENOMEM;
        memset(plan->taken, 0xff, program->n_outputs * sizeof(*plan->taken));
        plan->output_twins = plan->output_counts + program->n_outputs;
        memset(plan->output_counts, 0xff, 2 * program->n_outputs * sizeof(*plan->output_counts));
        for (uint32_t i = 0; i < program->n_outputs; i++) {
                const struct place *place = &places[program->outputs[i]];
                struct place to;
                uint8_t order[TD_NDIM_MAX];
                int r;

                desc_keep_order(order, &place->desc.type, 1, &place->desc);
                desc_init_ordered(&plan->outputs[i], &place->desc.type, order);
                if (plan->slots[place->slot].kind == SLOT_COUNTED) {
                        counted_output(builder, place, i);
                        continue;
                }
                if (place_fills(builder, place)) {
                        plan->slots[place->slot].kind = SLOT_OUTPUT;
                        plan->slots[place->slot].index = i;
                        continue;
                }
                to.desc = plan->outputs[i];
                builder->time++;
                r = slot_new(builder, SLOT_OUTPUT, i, 0, &to.slot);
                if (r < 0)
                        return r;
                r = code_copy_to(builder, &plan->code, TD_OP_RESHAPE, place, &to);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int build_program(struct builder *builder, const struct td_program *program,
                         const struct desc *inputs, const struct td_type *types)
{
        uint64_t n_values = td_block_n_values(&program->block);
        struct typed_block typed = { .block = &program->block,
                                     .types = types,
                                     .nested = types + n_values };
        _cleanup_(freep) struct place *places = reallocarray(NULL, n_values + 1, sizeof(*places));
        _cleanup_(freep) bool *live = calloc(n_values + 1, sizeof(*live));
        int r;

        if (!places || !live)
                return -ENOMEM;
        for (uint32_t i = 0; i < program->block.n_inputs; i++) {
                uint64_t n_bytes = 0; /* that may be given away */

                places[i].desc = inputs[i];
                tame_strides(&places[i].desc);
                if (builder->takes && builder->takes[i])
                        n_bytes = (uint64_t)desc_n_bytes(&inputs[i]);
                r = slot_new(builder, SLOT_INPUT, i, n_bytes, &places[i].slot);
                if (r < 0)
                        return r;
        }
        for (uint32_t i = 0; i < program->n_outputs; i++)
                live[program->outputs[i]] = true;
        r = code_build(builder, &builder->plan->code, &typed, places, live);
        if (r < 0)
                return r;
        return build_outputs(builder, program, places);
}

static void builder_deinit(struct builder *builder)
{
        free(builder->handovers);
}

int plan_new(struct plan **planp, const struct td_program *program, const struct desc *inputs,
             struct td_refusal *refusal)
{
        return plan_new_taking(planp, program, inputs, NULL, refusal);
}

int32_t plan_taken(const struct plan *plan, uint32_t i)
{
        assert(i < plan->n_outputs);
        return plan->taken[i];
}

int plan_new_taking(struct plan **planp, const struct td_program *program,
                    const struct desc *inputs, const bool *takes, struct td_refusal *refusal)
{
        _cleanup_(plan_freep) struct plan *plan = NULL;
        _cleanup_(freep) struct td_type *types = NULL;
        _cleanup_(builder_deinit) struct builder builder = { .node = -1,
                                                                   .options = options,
                                                                   .takes = takes };
        int r;

        r = infer_types(program, inputs, &types, refusal);
        if (r)
                return r;
        builder.plan = plan = calloc(1, sizeof(*plan));
        if (!plan)
                return -ENOMEM;
        r = build_program(&builder, program, inputs, types);
        if (r < 0)
                return r;
        r = plan_lay_out(&builder);
        if (r == -EOVERFLOW) {
                td_refuse(refusal, TD_E_MEMORY_LIMIT,
                          "the intermediates of the program have more bytes than can be addressed");
                return PLAN_E_REFUSED;
        }
        if (r < 0)
                return r;
        plan->cost_ns = code_cost_ns(&plan->code);
        *planp = steal_ptr(&plan);
        return 0;
}
