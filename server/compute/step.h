/* SPDX-License-Identifier: MIT */
/*
 * Steps
 *
 * One operation, prepared for operands of known layout: every operation of ops.def but views and
 * loops. Preparing picks the kernel and folds the iteration space, so that running a prepared step
 * on small operands costs well under a microsecond.
 *
 * Operands are strided in any way (0 and negative strides too). Results are dense, in C order or,
 * of those operations that plan_order.c names, in any order of axes, and overlap no operand.
 * Inference has run: dtypes and shapes go together, and a step only asserts that. An argument whose
 * dtype is not the one computed in is converted on load (add of int64 and float64 takes both as
 * they are).
 */
#pragma once

#include "compute/plan/plan.h"

struct step;

/* descriptors are copied. 0 or -ENOMEM. */
int step_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs, uint32_t n_args,
             const struct desc *args, uint32_t n_results, const struct desc *results);
struct step *step_free(struct step *step);
DEFINE_CLEANUP(struct step, step_free)

/* Dense copy of a strided operand, in C order: what reshape and program outputs need. */
int step_new_copy(struct step **stepp, const struct desc *arg, const struct desc *result);

uint64_t step_n_scratch(const struct step *step); /* bytes, 64-byte aligned */
uint64_t
step_cost_ns(const struct step *step); /* one thread; UINT64_MAX: never on the loop thread */

/* args[i] and results[i] are the bytes that the descriptors' offsets count from. As plan_run(). */
int step_run(const struct step *step, const struct run *run, const void *const *args,
             void *const *results, void *scratch, struct td_refusal *refusal);

/*
 * A counted step has results whose shape depends on data. step_run() gets NULL for these, writes
 * the others, and leaves behind what it found in its scratch; step_count() is how many there are,
 * for the unknown extent. step_finish() then writes them, but for those that are NULL: from its
 * scratch, or from args for as long as the count lasts, so that nothing is overrun if bytes of args
 * changed in between. 0 or PLAN_E_STOPPED.
 */
bool step_is_counted(const struct step *step);
int64_t step_count(const struct step *step, const void *scratch);
int step_finish(const struct step *step, const struct run *run, const void *const *args,
                void *const *results, const void *scratch, int64_t count);
