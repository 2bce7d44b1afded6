/* SPDX-License-Identifier: MIT */
/*
 * Results whose shape depends on data
 *
 * The step that yields one is run in two halves. In the first it counts, and keeps what it found in
 * its scratch; the caller of the plan then finds memory of the right size, and the second half
 * writes it. Between the two the plan's scratch stays as it is, and so does what the step looks at.
 */
#include "compute/plan/plan_code.h"

#include <assert.h>
#include <errno.h>

int counted_add(struct builder *builder)
{
        struct plan *plan = builder->plan;
        const struct instr *instr = &plan->code.instrs[plan->code.n_instrs - 1];
        uint32_t *counted = reallocarray(plan->counted, (size_t)plan->n_counted + 1,
                                         sizeof(*counted));

        if (!counted)
                return -ENOMEM;
        assert(step_is_counted(instr->step) && instr->scratch != SLOT_NONE);
        plan->counted = counted;
        for (uint32_t i = 0; i < instr->n_results; i++) {
                struct slot *slot = &plan->slots[instr->results[i]];

                if (slot->kind == SLOT_COUNTED)
                        slot->offset = plan->n_counted;
        }
        for (uint32_t i = 0; i < instr->n_args; i++)
                plan->slots[instr->args[i]].end = TIME_FINISH;
        plan->slots[instr->scratch].end = TIME_FINISH;
        counted[plan->n_counted++] = plan->code.n_instrs - 1;
        return 0;
}

void counted_output(struct builder *builder, const struct place *place, uint32_t output)
{
        struct plan *plan = builder->plan;
        struct slot *slot = &plan->slots[place->slot];

        plan->output_counts[output] = (uint32_t)slot->offset;
        if (slot->index == SLOT_NONE)
                slot->index = output;
        else
                plan->output_twins[output] = slot->index;
}

/* ---- questions ---- */

uint32_t plan_n_counts(const struct plan *plan)
{
        return plan->n_counted;
}

void plan_counts(const struct plan *plan, const void *scratch, int64_t *counts)
{
        for (uint32_t i = 0; i < plan->n_counted; i++) {
                const struct instr *instr = &plan->code.instrs[plan->counted[i]];

                counts[i] = step_count(instr->step,
                                       (const char *)scratch + plan->slots[instr->scratch].offset);
        }
}

void plan_counted_output(const struct plan *plan, uint32_t i, const int64_t *counts,
                         struct desc *desc)
{
        struct td_type type = plan->outputs[i].type;

        if (td_type_is_known(&type)) {
                *desc = plan->outputs[i];
                return;
        }
        for (unsigned d = 0; d < type.ndim; d++)
                if (type.shape[d] == TD_UNKNOWN)
                        type.shape[d] = counts[plan->output_counts[i]];
        desc_init_c(desc, &type);
}
