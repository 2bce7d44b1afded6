/* SPDX-License-Identifier: MIT */
/*
 * Steps that copy
 *
 * Each is a list of copies, from an argument each, into parts of the one result: done one after the
 * other, since a later one may write over an earlier one.
 */
#include "compute/copy/copy.h"

#include <string.h>

#include "base/error.h"
#include "compute/step_base.h"
#include "tensor/view.h"

struct part {
        struct copy copy;
        bool is_whole; /* of the argument as it is: nothing to do where that lies there already */
};

struct copies {
        struct step step;
        uint32_t n_parts; /* part i takes argument i */
        struct part parts[];
};

static int copies_run(const struct step *step, const struct run *run, const void *const *args,
                      void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct copies *c = (const struct copies *)step;

        (void)scratch;
        (void)refusal;
        for (uint32_t i = 0; i < c->n_parts; i++) {
                const struct part *part = &c->parts[i];
                int r;

                if (part->is_whole && args[i] == results[0])
                        continue;
                r = copy_run(&part->copy, run, args[i], results[0]);
                if (r)
                        return r;
        }
        return 0;
}

static struct step *copies_free(struct step *step)
{
        free(step);
        return NULL;
}

static const struct step_class copies_class = { "copy", copies_run, copies_free };

static struct copies *allocate(uint32_t n_parts)
{
        struct copies *c = calloc(1, sizeof(*c) + n_parts * sizeof(c->parts[0]));

        if (!c)
                return NULL;
        c->step.class = &copies_class;
        c->step.cost_ns = 50;
        c->n_parts = n_parts;
        return c;
}

static void add(struct copies *c, uint32_t i, const struct desc *from, const struct desc *to)
{
        copy_init(&c->parts[i].copy, from, to);
        c->step.cost_ns += copy_cost_ns(&c->parts[i].copy);
}

int copy_new(struct step **stepp, const struct desc *arg, const struct desc *result)
{
        struct copies *c = allocate(1);

        if (!c)
                return error_origin(-ENOMEM);
        add(c, 0, arg, result);
        *stepp = &c->step;
        return 0;
}

int concat_new(struct step **stepp, const struct td_attrs *attrs, uint32_t n_args,
               const struct desc *args, const struct desc *result)
{
        struct copies *c = allocate(n_args);
        const int axis = attrs->axes[0] < 0 ? attrs->axes[0] + result->type.ndim : attrs->axes[0];
        struct desc part = *result;

        if (!c)
                return error_origin(-ENOMEM);
        for (uint32_t i = 0; i < n_args; i++) {
                part.type.shape[axis] = args[i].type.shape[axis];
                add(c, i, &args[i], &part);
                part.offset += part.type.shape[axis] * part.strides[axis];
        }
        *stepp = &c->step;
        return 0;
}

int assign_new(struct step **stepp, const struct td_attrs *attrs, const struct desc *args,
               const struct desc *result)
{
        struct copies *c = allocate(2);
        struct desc region;

        if (!c)
                return error_origin(-ENOMEM);
        add(c, 0, &args[0], result);
        c->parts[0].is_whole = args[0].offset == 0 && desc_is_alike(&args[0], result);
        view_slice(&region, result, attrs);
        add(c, 1, &args[1], &region);
        *stepp = &c->step;
        return 0;
}
