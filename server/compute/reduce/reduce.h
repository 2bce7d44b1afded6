/* SPDX-License-Identifier: MIT */
/*
 * Reductions
 *
 * sum, prod, mean, max, min, var, std, any, all, count_nonzero, argmax, argmin over any set of
 * axes. The order in which elements meet depends on the reduced extent and the dtype alone: not on
 * layout, threads, on which axes they lie, or on whether they come from memory or from an
 * expression.
 */
#pragma once

#include "compute/region/expr.h"
#include "compute/step.h"

int reduce_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
               const struct desc *arg, const struct desc *result);

/* Can other values be stored on the way, where an expression ends in it? */
bool reduce_can_store(enum td_op op);
/*
 * The same of a value of an expression, over the shape that its leaves broadcast to; the step's
 * arguments are the leaves, its results the reduced one, then the stored ones, dense. The
 * expression gets its results, and perhaps a conversion, here.
 */
struct reduce_of {
        struct expr *expr;
        uint8_t value;
        unsigned n_stored;
        const uint8_t *stored;
        const struct desc *place; /* all that is stored lies like that, but for its dtype */
        const struct td_type *shape;
};

int reduce_new_of(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
                  const struct reduce_of *of, const struct desc *result);
/* May a stored result lie in the very memory of an argument that is not used any more? */
bool reduce_may_replace(const struct step *step, unsigned arg, unsigned result);
