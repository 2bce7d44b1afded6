/* SPDX-License-Identifier: MIT */
/*
 * Passes
 *
 * One run of a step that computes by a tile machine, as its threads see it: whether it should end,
 * and what was refused.
 */
#pragma once

#include <stdatomic.h>

#include "compute/region/vm.h"
#include "compute/step_base.h"

struct pass_base {
        const struct run *run;
        const void *const *leaves;
        atomic_uint mark; /* of the first operation that refused, 0: none */
        atomic_bool is_stopped;
};

static inline bool pass_must_end(struct pass_base *pass)
{
        return run_must_end(pass->run, &pass->is_stopped);
}

/* The first operation is blamed, whichever thread comes to it first. */
static inline void pass_refuse(struct pass_base *pass, unsigned mark)
{
        unsigned before = atomic_load(&pass->mark);

        while ((before == 0 || mark < before) &&
               !atomic_compare_exchange_weak(&pass->mark, &before, mark))
                ;
}

static inline bool pass_is_well(struct pass_base *pass)
{
        return !atomic_load(&pass->mark) && !atomic_load(&pass->is_stopped);
}

/* What a step returns that is not well. */
static inline int pass_outcome(struct pass_base *pass, const struct vm *vm,
                               struct td_refusal *refusal)
{
        if (!atomic_load(&pass->mark))
                return PLAN_E_STOPPED;
        vm_refuse(vm, atomic_load(&pass->mark), refusal);
        return PLAN_E_REFUSED;
}
