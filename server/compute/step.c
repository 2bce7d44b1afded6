/* SPDX-License-Identifier: MIT */
/*
 * Steps
 *
 * Which family an operation belongs to. Families know nothing of one another, except that products
 * and linear algebra pack operands by copy steps, reductions copy planes, and regions go on behind
 * products.
 */
#include "compute/step.h"

#include <string.h>

#include "compute/linalg/blas.h"
#include "compute/copy/copy.h"
#include "compute/create/create.h"
#include "compute/reduce/cumulative.h"
#include "compute/copy/gather.h"
#include "compute/linalg/lapack.h"
#include "compute/create/random.h"
#include "compute/reduce/reduce.h"
#include "compute/region/region.h"
#include "compute/sort/search.h"
#include "compute/reduce/segment_sum.h"
#include "compute/sort/select.h"
#include "compute/sort/sort.h"
#include "compute/step_base.h"
#include "compute/sort/unique.h"
#include "tensord/infer_elementwise.h"
#include "tensord/infer_linalg.h"
#include "tensord/infer_reduce.h"

int step_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs, uint32_t n_args,
             const struct desc *args, uint32_t n_results, const struct desc *results)
{
        const enum td_rule rule = td_op_info(op)->rule;

        assert(n_results == (uint32_t)td_op_info(op)->n_results);
        if (td_category(rule))
                return region_new_one(stepp, op, n_args, args, results);
        if (td_rule_is_reduction(rule))
                return reduce_new(stepp, op, attrs, args, results);
        if (td_rule_is_lapack(rule))
                return lapack_new(stepp, op, attrs, n_args, args, results);
        switch (rule) {
        case TD_RULE_WHERE:
                return region_new_one(stepp, op, n_args, args, results);
        case TD_RULE_ASTYPE:
                return region_new_copy(stepp, args, results);
        case TD_RULE_CONCAT:
                return concat_new(stepp, attrs, n_args, args, results);
        case TD_RULE_TAKE:
        case TD_RULE_TAKE_ALONG_AXIS:
                return take_new(stepp, op, attrs, n_args, args, results);
        case TD_RULE_ASSIGN:
                return assign_new(stepp, attrs, args, results);
        case TD_RULE_PUT:
                return put_new(stepp, attrs, n_args, args, results);
        case TD_RULE_TRIANGLE:
                return triangle_new(stepp, op, attrs, args, results);
        case TD_RULE_SCAN:
                return cumulative_new(stepp, op, attrs, args, results);
        case TD_RULE_SEGMENT_SUM:
                return segment_sum_new(stepp, args, results);
        case TD_RULE_SORT:
        case TD_RULE_TOPK:
                return sort_new(stepp, op, attrs, args, results);
        case TD_RULE_SEARCHSORTED:
        case TD_RULE_ISIN:
                return search_new(stepp, op, attrs, args, results);
        case TD_RULE_UNIQUE:
                return unique_new(stepp, op, args, results);
        case TD_RULE_NONZERO:
        case TD_RULE_MASK:
                return select_new(stepp, op, args, results);
        case TD_RULE_CREATION:
        case TD_RULE_ARANGE:
        case TD_RULE_EYE:
        case TD_RULE_LINSPACE:
                return create_new(stepp, op, attrs, results);
        case TD_RULE_RANDOM:
        case TD_RULE_RANDOM_INTEGERS:
                return random_new(stepp, op, attrs, results);
        case TD_RULE_RANDOM_PERMUTATION:
                return permutation_new(stepp, attrs, results);
        case TD_RULE_MATMUL:
                return matmul_new(stepp, args, results);
        default:
                assert(!"views and loops are not steps");
                __builtin_unreachable();
        }
}

struct step *step_free(struct step *step)
{
        return step ? step->class->free(step) : NULL;
}

int step_new_copy(struct step **stepp, const struct desc *arg, const struct desc *result)
{
        if (arg->type.dtype == result->type.dtype)
                return copy_new(stepp, arg, result);
        return region_new_copy(stepp, arg, result);
}

uint64_t step_n_scratch(const struct step *step)
{
        return step->n_scratch;
}

uint64_t step_cost_ns(const struct step *step)
{
        return step->cost_ns;
}

int step_run(const struct step *step, const struct run *run, const void *const *args,
             void *const *results, void *scratch, struct td_refusal *refusal)
{
        return step->class->run(step, run, args, results, scratch, refusal);
}

bool step_is_counted(const struct step *step)
{
        return step->finish != NULL;
}

int64_t step_count(const struct step *step, const void *scratch)
{
        int64_t count;

        memcpy(&count, scratch, sizeof(count));
        return count < 0 ? 0 : count > step->count_max ? step->count_max : count;
}

int step_finish(const struct step *step, const struct run *run, const void *const *args,
                void *const *results, const void *scratch, int64_t count)
{
        assert(count >= 0 && count <= step->count_max);
        return step->finish(step, run, args, results, scratch, count);
}
