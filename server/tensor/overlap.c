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

/* The numbers start + i * step for i below n; step is 0 where n is 1. */
struct progression {
        int64_t start;
        int64_t step;
        int64_t n;
};

struct box {
        struct progression axes[TD_NDIM_MAX];
};

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
static bool view_box(struct box *box, const struct desc *whole, const struct desc *view)
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

bool overlap_is_possible(const struct desc *whole, const struct desc *a, const struct desc *b)
{
        struct progression bytes_a, bytes_b;
        struct box box_a, box_b;

        if (desc_n_elements(a) == 0 || desc_n_elements(b) == 0)
                return false;
        bytes_a = view_bytes(a);
        bytes_b = view_bytes(b);
        if (progressions_are_apart(&bytes_a, &bytes_b))
                return false;
        if (!view_box(&box_a, whole, a) || !view_box(&box_b, whole, b))
                return true;
        for (unsigned i = 0; i < whole->type.ndim; i++)
                if (progressions_are_apart(&box_a.axes[i], &box_b.axes[i]))
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

bool overlap_is_covered(const struct desc *whole, const struct desc *view, const struct desc *part)
{
        struct box of, box;

        if (desc_n_elements(part) == 0)
                return true;
        if (desc_n_elements(view) == 0 || !view_box(&of, whole, view))
                return false;
        if (!view_box(&box, whole, part)) /* some of all axes, for what is known */
                for (unsigned i = 0; i < whole->type.ndim; i++)
                        box.axes[i] = (struct progression){ .step = whole->type.shape[i] > 1,
                                                            .n = whole->type.shape[i] };
        for (unsigned i = 0; i < whole->type.ndim; i++)
                if (!progression_is_within(&box.axes[i], &of.axes[i]))
                        return false;
        return true;
}
