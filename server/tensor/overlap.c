/* SPDX-License-Identifier: MIT */
/*
 * Overlap
 *
 * Most views are boxes: along each axis of the whole they take an arithmetic progression of
 * indices. Two boxes share nothing if their progressions along one axis do not: these lie apart, or
 * differ by what is no multiple of the greatest common divisor of their steps. Other views
 * (diagonals, reshapes across axes) are compared in the same way as progressions of bytes.
 */
#include "tensor/overlap.h"

#include <assert.h>

static int64_t gcd(int64_t a, int64_t b)
{
        while (b) {
                int64_t rest = a % b;

                a = b;
                b = rest;
        }
        return a;
}

static int64_t progression_last(const struct progression *p)
{
        return p->start + (p->n - 1) * p->step;
}

static bool progressions_are_apart(const struct progression *a, const struct progression *b)
{
        int64_t step = gcd(a->step, b->step);

        if (progression_last(a) < b->start || progression_last(b) < a->start)
                return true;
        return step > 0 && (b->start - a->start) % step != 0;
}

static bool progression_is_within(const struct progression *part, const struct progression *of)
{
        if (part->start < of->start || progression_last(part) > progression_last(of))
                return false;
        if (of->step == 0)
                return true;
        return (part->start - of->start) % of->step == 0 && part->step % of->step == 0;
}

/* ---- views ---- */

/* Byte of the element that lies lowest. */
static int64_t view_lowest(const struct desc *view)
{
        int64_t at = view->offset;

        for (unsigned i = 0; i < view->type.ndim; i++)
                if (view->type.shape[i] > 1 && view->strides[i] < 0)
                        at += (view->type.shape[i] - 1) * view->strides[i];
        return at;
}

static int64_t view_step(const struct desc *view, unsigned axis)
{
        if (view->type.shape[axis] == 1)
                return 0;
        return view->strides[axis] < 0 ? -view->strides[axis] : view->strides[axis];
}

/* All its bytes' first ones lie in this progression. */
static struct progression view_bytes(const struct desc *view)
{
        struct progression p = { .start = view_lowest(view), .n = 1 };
        int64_t reach = 0;

        for (unsigned i = 0; i < view->type.ndim; i++) {
                p.step = gcd(p.step, view_step(view, i));
                reach += (view->type.shape[i] - 1) * view_step(view, i);
        }
        if (p.step > 0)
                p.n += reach / p.step;
        return p;
}

/* The axis of the whole along which steps of so many bytes go: the one of the largest stride that
 * is not above them. -1: none. */
static int axis_of_step(const struct desc *whole, int64_t step)
{
        int axis = -1;

        for (int i = 0; i < whole->type.ndim; i++)
                if (whole->type.shape[i] > 1 && whole->strides[i] <= step &&
                    (axis < 0 || whole->strides[i] > whole->strides[axis]))
                        axis = i;
        return axis;
}

/* false: it is none. */
static bool view_box(struct overlap *box, const struct desc *whole, const struct desc *view)
{
        int64_t rest = view_lowest(view);
        uint8_t order[TD_NDIM_MAX]; /* the slowest first */

        desc_keep_order(order, &whole->type, 1, whole);
        for (unsigned i = 0; i < whole->type.ndim; i++) {
                struct progression *p = &box->axes[order[i]];

                *p = (struct progression){ .n = 1 };
                if (whole->type.shape[order[i]] == 1)
                        continue;
                p->start = rest / whole->strides[order[i]];
                rest %= whole->strides[order[i]];
        }
        for (unsigned i = 0; i < view->type.ndim; i++) {
                int64_t step = view_step(view, i);
                struct progression *p;
                int axis;

                if (step == 0)
                        continue;
                axis = axis_of_step(whole, step);
                if (axis < 0 || step % whole->strides[axis])
                        return false;
                p = &box->axes[axis];
                if (p->n > 1)
                        return false;
                p->step = step / whole->strides[axis];
                p->n = view->type.shape[i];
                if (progression_last(p) >= whole->type.shape[axis])
                        return false;
        }
        return true;
}

/* ---- questions ---- */

void overlap_init(struct overlap *overlap, const struct desc *whole, const struct desc *view)
{
        overlap->ndim = whole->type.ndim;
        overlap->is_empty = desc_n_elements(view) == 0;
        if (overlap->is_empty)
                return;
        overlap->bytes = view_bytes(view);
        overlap->is_box = view_box(overlap, whole, view);
        /* Otherwise it is some of all, for what is known. */
        for (unsigned i = 0; i < whole->type.ndim && !overlap->is_box; i++)
                overlap->axes[i] = (struct progression){ .step = whole->type.shape[i] > 1,
                                                         .n = whole->type.shape[i] };
}

bool overlap_is_possible(const struct overlap *a, const struct overlap *b)
{
        if (a->is_empty || b->is_empty || progressions_are_apart(&a->bytes, &b->bytes))
                return false;
        if (!a->is_box || !b->is_box)
                return true;
        for (unsigned i = 0; i < a->ndim; i++)
                if (progressions_are_apart(&a->axes[i], &b->axes[i]))
                        return false;
        return true;
}

bool overlap_is_covered(const struct overlap *view, const struct overlap *part)
{
        if (part->is_empty)
                return true;
        if (view->is_empty || !view->is_box)
                return false;
        for (unsigned i = 0; i < part->ndim; i++)
                if (!progression_is_within(&part->axes[i], &view->axes[i]))
                        return false;
        return true;
}

/* The axis of the smallest step that is above `above` bytes, -1: none. */
static int next_axis(const struct desc *view, int64_t above)
{
        int axis = -1;

        for (unsigned i = 0; i < view->type.ndim; i++)
                if (view_step(view, i) > above &&
                    (axis < 0 || view_step(view, i) < view_step(view, (unsigned)axis)))
                        axis = (int)i;
        return axis;
}

/* Each axis steps over all that those of smaller steps reach. */
bool overlap_is_distinct(const struct desc *view)
{
        int64_t reach = 0, step = 0;
        unsigned n_axes = 0;
        int axis;

        if (desc_n_elements(view) == 0)
                return true;
        for (unsigned i = 0; i < view->type.ndim; i++)
                n_axes += view->type.shape[i] > 1;
        for (; (axis = next_axis(view, step)) >= 0; n_axes--) {
                step = view_step(view, (unsigned)axis);
                if (step <= reach)
                        return false;
                reach += (view->type.shape[axis] - 1) * step;
        }
        return n_axes == 0; /* none has the step of another, or 0 */
}
