/* layer: tensor */
/* SPDX-License-Identifier: MIT */
/*
 * View arithmetic
 *
 * Three kinds of input, by the first byte. wide: types and descriptors of any numbers; what
 * td_check_type() and desc_check() say is held against __int128, in both directions; views of what
 * passed stay inside of the same bytes. small: a dense tensor of at most 625 elements and two views
 * of it, made by chains of view operations or of any strides; what the views' elements are is held
 * against the operations' definitions, and what overlap says against the sets of elements: it never
 * denies a shared one, and is exact for slices of the same steps. dense: what a descriptor is said
 * to be (C, F, dense, in some order) against the places of its elements.
 */
#include <string.h>

#include "fuzz.h"
#include "tensor/desc.h"
#include "tensor/overlap.h"
#include "tensor/view.h"

enum { SMALL_NDIM = 4, SMALL_EXTENT = 5, SMALL_MAX = 625 };

typedef __int128 wide;

/* ---- wide numbers ---- */

/* Larger sums are as far outside of any run of bytes. */
static const wide FAR = (wide)1 << 100;

static wide at_most(wide value, wide most)
{
        return value > most ? most : value;
}

static void wide_desc(struct draw *draw, struct desc *desc)
{
        *desc = (struct desc){ .type = { .dtype = (uint8_t)draw_below(draw, TD_N_DTYPES),
                                         .ndim = (uint8_t)draw_below(draw, TD_NDIM_MAX + 1) } };
        for (unsigned i = 0; i < desc->type.ndim; i++) {
                desc->type.shape[i] = draw_wide(draw);
                desc->strides[i] = draw_wide(draw);
        }
        desc->offset = draw_wide(draw);
}

static void check_type(const struct td_type *type, bool *is_goodp)
{
        struct td_refusal refusal;
        bool is_good = true, is_empty = false;
        wide span = td_dtype_size(type->dtype);
        int r = td_check_type(type, &refusal);

        for (unsigned i = 0; i < type->ndim; i++) {
                is_good = is_good && type->shape[i] >= 0;
                is_empty = is_empty || type->shape[i] == 0;
                if (type->shape[i] > 0)
                        span = at_most(span * type->shape[i], (wide)INT64_MAX + 1);
        }
        is_good = is_good && span <= INT64_MAX;
        must(is_good == (r == TD_OK), "td_check_type says %d of %s", r, td_type_text(type).s);
        must(is_good || strlen(refusal.message) > 0);
        if (is_good) {
                must(td_type_n_bytes(type) == (is_empty ? 0 : (int64_t)span));
                must(td_type_n_elements(type) * td_dtype_size(type->dtype) ==
                     td_type_n_bytes(type));
        }
        *is_goodp = is_good;
}

/* Does every element lie in [0, n_bytes)? */
static bool is_inside(const struct desc *desc, uint64_t n_bytes)
{
        wide low = desc->offset, high = (wide)desc->offset + td_dtype_size(desc->type.dtype);

        for (unsigned i = 0; i < desc->type.ndim; i++) {
                wide reach = ((wide)desc->type.shape[i] - 1) * desc->strides[i];

                if (desc->type.shape[i] == 0)
                        return true;
                if (reach > 0)
                        high = at_most(high + at_most(reach, FAR), FAR);
                else
                        low = -at_most(at_most(-reach, FAR) - low, FAR);
        }
        return low >= 0 && high <= (wide)n_bytes;
}

/* Attributes of one of the four view operations, which may not fit. */
static enum td_op draw_view_op(struct draw *draw, const struct td_type *of, bool is_wide,
                               struct td_attrs *attrs)
{
        static const enum td_op ops[] = { TD_OP_SLICE, TD_OP_PERMUTE_DIMS, TD_OP_BROADCAST_TO,
                                          TD_OP_RESHAPE };
        enum td_op op = ops[draw_below(draw, 4)];
        unsigned ndim = of->ndim;

        *attrs = (struct td_attrs){ .set = td_op_info(op)->attrs };
        if (op == TD_OP_BROADCAST_TO || op == TD_OP_RESHAPE)
                ndim = draw_below(draw, (is_wide ? TD_NDIM_MAX : SMALL_NDIM) + 1);
        attrs->n_start = attrs->n_step = attrs->n_shape = attrs->n_axes = (uint8_t)ndim;
        for (unsigned i = 0; i < ndim; i++) {
                int64_t extent = i < of->ndim ? of->shape[i] : 1;

                attrs->axes[i] = (int16_t)(draw_below(draw, 2 * ndim + 1) - ndim);
                if (is_wide) {
                        attrs->start[i] = draw_wide(draw);
                        attrs->step[i] = draw_wide(draw);
                        attrs->shape[i] = draw_bool(draw) ? extent : draw_wide(draw);
                        continue;
                }
                attrs->start[i] = draw_below(draw, SMALL_EXTENT);
                attrs->step[i] = (int64_t)draw_below(draw, 7) - 3;
                attrs->shape[i] = (int64_t)draw_below(draw, SMALL_EXTENT + 2) - 1;
                if (draw_below(draw, 3) == 0)
                        attrs->shape[i] = extent;
        }
        return op;
}

/* false: inference refuses it, or a reshape needs a copy. */
static bool apply_view_op(enum td_op op, const struct td_attrs *attrs, const struct desc *of,
                          struct desc *view)
{
        struct td_refusal refusal;
        struct td_type type;

        if (td_infer(op, attrs, 1, &of->type, &type, &refusal))
                return false;
        if (op == TD_OP_SLICE)
                view_slice(view, of, attrs);
        else if (op == TD_OP_PERMUTE_DIMS)
                view_permute(view, of, attrs);
        else if (op == TD_OP_BROADCAST_TO)
                view_broadcast(view, of, &type);
        else if (view_reshape(view, of, &type))
                return false;
        must(td_type_same(&view->type, &type), "%s is not %s", td_type_text(&view->type).s,
             td_type_text(&type).s);
        return true;
}

static void try_wide(struct draw *draw)
{
        struct desc desc, view;
        struct td_attrs attrs;
        uint64_t n_bytes = (uint64_t)draw_wide(draw);
        bool is_good;

        wide_desc(draw, &desc);
        if (draw_bool(draw) && td_check_type(&desc.type, NULL) == TD_OK)
                desc_init_c(&desc, &desc.type);
        check_type(&desc.type, &is_good);
        if (!is_good)
                return;
        must((desc_check(&desc, n_bytes) == 0) == is_inside(&desc, n_bytes));
        if (desc_check(&desc, n_bytes))
                return;
        for (unsigned i = 0; i < 3; i++) {
                enum td_op op = draw_view_op(draw, &desc.type, true, &attrs);

                if (!apply_view_op(op, &attrs, &desc, &view))
                        continue;
                must(desc_check(&view, n_bytes) == 0 && is_inside(&view, n_bytes),
                     "%s reaches outside", td_op_name(op));
                desc = view;
        }
}

/* ---- small views, element by element ---- */

/* The index of the n-th element in C order. */
static void unravel(const struct td_type *type, int64_t n, int64_t *index)
{
        for (unsigned i = type->ndim; i-- > 0;) {
                index[i] = n % type->shape[i];
                n /= type->shape[i];
        }
}

static int64_t place(const struct desc *desc, const int64_t *index)
{
        int64_t at = desc->offset;

        for (unsigned i = 0; i < desc->type.ndim; i++)
                at += desc->type.shape[i] > 1 ? index[i] * desc->strides[i] : 0;
        return at;
}

static int64_t place_of(const struct desc *desc, int64_t n)
{
        int64_t index[TD_NDIM_MAX] = { 0 };

        unravel(&desc->type, n, index);
        return place(desc, index);
}

/* Where the operation's definition takes an element from. */
static int64_t source_of(enum td_op op, const struct td_attrs *attrs, const struct desc *of,
                         const struct desc *view, int64_t n)
{
        int64_t index[TD_NDIM_MAX] = { 0 }, from[TD_NDIM_MAX] = { 0 };

        if (op == TD_OP_RESHAPE)
                return place_of(of, n);
        unravel(&view->type, n, index);
        for (unsigned i = 0; i < of->type.ndim; i++) {
                unsigned lead = (unsigned)view->type.ndim - of->type.ndim;
                int axis = attrs->axes[i] < 0 ? attrs->axes[i] + of->type.ndim : attrs->axes[i];

                if (op == TD_OP_SLICE)
                        from[i] = attrs->start[i] + index[i] * attrs->step[i];
                else if (op == TD_OP_PERMUTE_DIMS)
                        from[axis] = index[i];
                else
                        from[i] = of->type.shape[i] == 1 ? 0 : index[i + lead];
        }
        return place(of, from);
}

static void small_whole(struct draw *draw, struct desc *whole)
{
        static const uint8_t dtypes[] = { TD_FLOAT64, TD_UINT8, TD_COMPLEX128 };
        struct td_type type = { .dtype = dtypes[draw_below(draw, 3)],
                                .ndim = (uint8_t)draw_below(draw, SMALL_NDIM + 1) };
        uint8_t order[TD_NDIM_MAX];

        for (unsigned i = 0; i < type.ndim; i++) {
                type.shape[i] = 1 + draw_below(draw, SMALL_EXTENT);
                order[i] = (uint8_t)i;
        }
        for (unsigned i = type.ndim; i-- > 1;) {
                unsigned k = draw_below(draw, i + 1);
                uint8_t axis = order[i];

                order[i] = order[k];
                order[k] = axis;
        }
        desc_init_ordered(whole, &type, order);
}

/* A chain of operations, each held against its definition. */
static void small_chain(struct draw *draw, const struct desc *whole, struct desc *view)
{
        unsigned n_ops = draw_below(draw, 4);

        *view = *whole;
        for (unsigned i = 0; i < n_ops; i++) {
                struct desc of = *view;
                struct td_attrs attrs;
                enum td_op op = draw_view_op(draw, &of.type, false, &attrs);

                if (!apply_view_op(op, &attrs, &of, view)) {
                        *view = of;
                        continue;
                }
                must(is_inside(view, (uint64_t)desc_n_bytes(whole)), "%s", td_op_name(op));
                if (desc_n_elements(view) > SMALL_MAX) {
                        *view = of;
                        continue;
                }
                for (int64_t n = 0; n < desc_n_elements(view); n++)
                        must(place_of(view, n) == source_of(op, &attrs, &of, view, n),
                             "%s, element %" PRId64, td_op_name(op), n);
        }
}

/* Of any strides that stay inside; false: it does not. */
static bool small_strided(struct draw *draw, const struct desc *whole, struct desc *view)
{
        int64_t size = td_dtype_size(whole->type.dtype);

        *view = (struct desc){ .type = { .dtype = whole->type.dtype,
                                         .ndim = (uint8_t)draw_below(draw, SMALL_NDIM + 1) } };
        for (unsigned i = 0; i < view->type.ndim; i++) {
                view->type.shape[i] = draw_below(draw, SMALL_EXTENT + 1);
                view->strides[i] = size * ((int64_t)draw_byte(draw) - 128);
        }
        view->offset = size * (draw_byte(draw) + 4 * (int64_t)draw_byte(draw));
        return desc_check(view, (uint64_t)desc_n_bytes(whole)) == 0;
}

/* Start, step and end along each axis: what slices yield. */
static void small_slice(struct draw *draw, const struct desc *whole, const int64_t *steps,
                        struct desc *view)
{
        *view = *whole;
        for (unsigned i = 0; i < whole->type.ndim; i++) {
                unsigned extent = (unsigned)whole->type.shape[i], start = draw_below(draw, extent);
                unsigned step = steps ? (unsigned)steps[i] : 1 + draw_below(draw, SMALL_EXTENT);

                view->type.shape[i] = 1 + draw_below(draw, (extent - 1 - start) / step + 1);
                view->offset += start * whole->strides[i];
                view->strides[i] = step * whole->strides[i];
        }
}

/* How often the view has each element of the whole. */
static void count_elements(const struct desc *whole, const struct desc *view, unsigned *counts)
{
        int64_t size = td_dtype_size(whole->type.dtype);

        memset(counts, 0, (size_t)desc_n_elements(whole) * sizeof(*counts));
        for (int64_t n = 0; n < desc_n_elements(view); n++) {
                int64_t at = place_of(view, n);

                must(at >= 0 && at % size == 0 && at < desc_n_bytes(whole));
                counts[at / size]++;
        }
}

/* steps: of slices; NULL: any view. */
static bool small_view(struct draw *draw, const struct desc *whole, const int64_t *steps,
                       struct desc *view)
{
        switch (steps ? 3 : draw_below(draw, 3)) {
        case 0:
                small_chain(draw, whole, view);
                return true;
        case 1:
                return small_strided(draw, whole, view);
        default:
                small_slice(draw, whole, steps, view);
                return true;
        }
}

static void try_small(struct draw *draw)
{
        static unsigned counts_a[SMALL_MAX], counts_b[SMALL_MAX];
        int64_t steps[SMALL_NDIM];
        bool have_steps = draw_bool(draw), are_blocks = true;
        bool is_shared = false, is_covered = true, is_distinct = true;
        struct desc whole, a, b;
        struct overlap overlap_a, overlap_b;

        small_whole(draw, &whole);
        for (unsigned i = 0; i < SMALL_NDIM; i++) {
                steps[i] = 1 + (have_steps ? draw_below(draw, 3) : 0);
                are_blocks = are_blocks && steps[i] == 1;
        }
        if (!small_view(draw, &whole, have_steps ? steps : NULL, &a) ||
            !small_view(draw, &whole, have_steps ? steps : NULL, &b))
                return;
        count_elements(&whole, &a, counts_a);
        count_elements(&whole, &b, counts_b);
        for (int64_t i = 0; i < desc_n_elements(&whole); i++) {
                is_shared = is_shared || (counts_a[i] && counts_b[i]);
                is_covered = is_covered && (counts_a[i] || !counts_b[i]);
                is_distinct = is_distinct && counts_a[i] <= 1;
        }

        overlap_init(&overlap_a, &whole, &a);
        overlap_init(&overlap_b, &whole, &b);
        must(!is_shared || overlap_is_possible(&overlap_a, &overlap_b), "a shared element");
        must(overlap_is_possible(&overlap_a, &overlap_b) ==
             overlap_is_possible(&overlap_b, &overlap_a));
        must(is_covered || !overlap_is_covered(&overlap_a, &overlap_b), "part is not covered");
        must(is_distinct || !overlap_is_distinct(&a), "an element is there twice");
        if (have_steps) {
                must(is_shared == overlap_is_possible(&overlap_a, &overlap_b));
                must(overlap_is_distinct(&a));
        }
        if (have_steps && are_blocks)
                must(is_covered == overlap_is_covered(&overlap_a, &overlap_b));
}

/* ---- what a descriptor is said to be ---- */

/* Do its elements lie behind one another, in the order in which the axes are walked? */
static bool lies_in_order(const struct desc *desc, const uint8_t *order)
{
        int64_t size = td_dtype_size(desc->type.dtype), n = desc_n_elements(desc);
        struct td_type walked = { .dtype = desc->type.dtype, .ndim = desc->type.ndim };

        for (unsigned i = 0; i < desc->type.ndim; i++)
                walked.shape[i] = desc->type.shape[order[i]];
        for (int64_t e = 0; e < n; e++) {
                int64_t index[TD_NDIM_MAX] = { 0 }, own[TD_NDIM_MAX] = { 0 };

                unravel(&walked, e, index);
                for (unsigned i = 0; i < desc->type.ndim; i++)
                        own[order[i]] = index[i];
                if (place(desc, own) != desc->offset + e * size)
                        return false;
        }
        return true;
}

static void try_dense(struct draw *draw)
{
        uint8_t order[TD_NDIM_MAX] = { 0 }, forward[TD_NDIM_MAX], backward[TD_NDIM_MAX];
        struct desc whole, view;
        uint32_t seen = 0;

        small_whole(draw, &whole);
        must(desc_is_dense(&whole) && desc_check(&whole, (uint64_t)desc_n_bytes(&whole)) == 0);
        if (desc_n_bytes(&whole) > 1)
                must(desc_check(&whole, (uint64_t)desc_n_bytes(&whole) - 1) == DESC_E_BOUNDS);
        if (!small_view(draw, &whole, NULL, &view))
                return;
        for (unsigned i = 0; i < view.type.ndim; i++) {
                forward[i] = (uint8_t)i;
                backward[i] = (uint8_t)(view.type.ndim - 1 - i);
        }
        must(desc_is_c(&view) == lies_in_order(&view, forward));
        must(desc_is_f(&view) == lies_in_order(&view, backward));
        desc_keep_order(order, &view.type, 1, &view);
        for (unsigned i = 0; i < view.type.ndim; i++)
                seen |= 1u << order[i];
        must(seen == (1u << view.type.ndim) - 1, "not an order of axes");
        must(desc_is_dense(&view) == lies_in_order(&view, order));
        must(desc_is_alike(&view, &view));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
        struct draw draw = { bytes, n_bytes };

        switch (draw_below(&draw, 3)) {
        case 0:
                try_wide(&draw);
                break;
        case 1:
                try_small(&draw);
                break;
        default:
                try_dense(&draw);
                break;
        }
        return 0;
}
