/* layer: compute */
/* SPDX-License-Identifier: MIT */
/*
 * Regions behind products
 *
 * Where one is planned and where not; that its bits are those of the oracle, which computes every
 * node by itself on one thread; that it can be stopped; whose memory it takes.
 */
#include "compute/plan/plan.h"

#include <stdatomic.h>

#include "plan_kit.h"

enum { A, B, BIAS, OTHER, INPUTS };

/* ---- operands ---- */

struct operands {
        struct desc descs[INPUTS];
        void *bytes[INPUTS];
};

/* How the last two axes lie: in C order, transposed, every second item. */
enum lie { LIE_C, LIE_F, LIE_SLICED, N_LIES };

static struct desc lie(struct td_type type, enum lie how)
{
        const unsigned d = type.ndim - 1U;
        struct desc desc;

        if (how == LIE_F && d > 0) {
                int64_t rows = type.shape[d - 1], row;

                type.shape[d - 1] = type.shape[d];
                type.shape[d] = rows;
                desc_init_c(&desc, &type);
                type.shape[d] = type.shape[d - 1];
                type.shape[d - 1] = rows;
                row = desc.strides[d - 1];
                desc.strides[d - 1] = desc.strides[d];
                desc.strides[d] = row;
        } else if (how == LIE_SLICED) {
                type.shape[d] *= 2;
                desc_init_c(&desc, &type);
                type.shape[d] /= 2;
                desc.strides[d] *= 2;
        } else {
                desc_init_c(&desc, &type);
        }
        desc.type = type;
        return desc;
}

static void fill(struct operands *o, unsigned i)
{
        const unsigned dtype = o->descs[i].type.dtype;
        const size_t n = 2 * (size_t)desc_n_bytes(&o->descs[i]);

        o->bytes[i] = kit_alloc(n);
        if (dtype == TD_FLOAT32 || dtype == TD_COMPLEX64)
                for (size_t k = 0; k < n / sizeof(float); k++)
                        ((float *)o->bytes[i])[k] = (float)below(4001) / 64 - 31;
        else if (dtype == TD_FLOAT64 || dtype == TD_COMPLEX128)
                for (size_t k = 0; k < n / sizeof(double); k++)
                        ((double *)o->bytes[i])[k] = (double)below(4001) / 64 - 31;
        else
                memset(o->bytes[i], 1, n);
}

/* a: [m, k], or [stack, m, k] if there is a stack; b: [k, n]; a bias for each column, and another
 * operand of the product's shape. */
static void operands_init(struct operands *o, unsigned dtype, int stack, int m, int n, int k)
{
        o->descs[A] = dense(stack ? type_of(dtype, 3, stack, m, k) : type_of(dtype, 2, m, k));
        o->descs[B] = dense(type_of(dtype, 2, k, n));
        o->descs[BIAS] = dense(type_of(dtype, 1, n));
        o->descs[OTHER] = dense(stack ? type_of(dtype, 3, stack, m, n) : type_of(dtype, 2, m, n));
}

static void operands_fill(struct operands *o)
{
        for (unsigned i = 0; i < INPUTS; i++)
                fill(o, i);
}

static void operands_free(struct operands *o)
{
        for (unsigned i = 0; i < INPUTS; i++)
                free(o->bytes[i]);
}

/* ---- programs ---- */

/* max(x @ y + bias, its half) */
static uint32_t layer(struct blk *b, uint32_t x, uint32_t y)
{
        uint32_t v = blk_two(b, TD_OP_ADD, blk_two(b, TD_OP_MATMUL, x, y), BIAS);
        const struct td_attrs half = attrs_dtype(attrs_value(attrs_shape(0), 0.5), TD_FLOAT64);

        return blk_two(b, TD_OP_MAXIMUM, v,
                       blk_two(b, TD_OP_MULTIPLY, v, blk_with(b, TD_OP_FULL, half, 0)));
}

enum form {
        FORM_LAYER,
        FORM_TWICE,             /* the product is read twice, and two results are stored */
        FORM_RESIDUAL,          /* and an operand of the product's shape */
        FORM_NARROW,            /* of another dtype */
        FORM_TWO,               /* two products: one of them goes on */
        N_TOGETHER,             /* so far the product has no memory */
        FORM_NONE = N_TOGETHER, /* there is nothing behind */
        FORM_KEPT,              /* the product is an output, too */
        FORM_SUM,               /* a reduction reads it */
        FORM_SHARED,            /* a reduction and a region read it */
        FORM_SEEN,              /* through a view */
        FORM_TRIANGLE,
        N_FORMS,
};

/* Returns how many outputs there are. */
static uint32_t put_down(struct blk *b, enum form form, uint32_t *outputs)
{
        const struct td_attrs none = { .set = 0 };
        uint32_t v;

        blk_init(b, INPUTS);
        if (form == FORM_LAYER) {
                outputs[0] = layer(b, A, B);
                return 1;
        }
        v = blk_two(b, TD_OP_MATMUL, A, B);
        outputs[0] = v;
        switch (form) {
        case FORM_TWICE:
                v = blk_two(b, TD_OP_ADD, v, BIAS);
                outputs[0] = v;
                outputs[1] = blk_two(b, TD_OP_MULTIPLY, v, blk_one(b, TD_OP_SQUARE, v));
                return 2;
        case FORM_RESIDUAL:
                outputs[0] = blk_two(b, TD_OP_SUBTRACT, OTHER, v);
                return 1;
        case FORM_NARROW:
                v = blk_two(b, TD_OP_LESS, blk_one(b, TD_OP_ABS, v), blk_one(b, TD_OP_ABS, OTHER));
                outputs[0] = blk_with(b, TD_OP_ASTYPE, attrs_dtype(none, TD_INT16), 1, v);
                return 1;
        case FORM_TWO:
                v = blk_two(b, TD_OP_ADD, v, BIAS);
                outputs[0] = blk_two(b, TD_OP_ADD, v,
                                     blk_two(b, TD_OP_MATMUL, blk_one(b, TD_OP_NEGATIVE, A), B));
                return 1;
        case FORM_KEPT:
                outputs[1] = blk_two(b, TD_OP_ADD, v, BIAS);
                return 2;
        case FORM_SUM:
                outputs[0] = blk_with(b, TD_OP_SUM, none, 1, blk_two(b, TD_OP_ADD, v, BIAS));
                return 1;
        case FORM_SHARED:
                outputs[0] = blk_two(b, TD_OP_SUBTRACT, v, blk_with(b, TD_OP_SUM, none, 1, v));
                return 1;
        case FORM_SEEN:
                v = blk_with(b, TD_OP_PERMUTE_DIMS, attrs_axes(2, 1, 0), 1, v);
                outputs[0] = blk_one(b, TD_OP_NEGATIVE, v);
                return 1;
        case FORM_TRIANGLE:
                outputs[0] = blk_with(b, TD_OP_TRIL, none, 1, v);
                return 1;
        default:
                return 1;
        }
}

/* ---- where it is planned ---- */

static void plan(struct kit *kit, enum form form, const struct desc *descs, bool is_plain)
{
        const struct plan_options options = { .is_plain = is_plain };
        uint32_t outputs[KIT_OUTPUTS], n_outputs;
        struct blk b;

        plan_set_options(&options);
        n_outputs = put_down(&b, form, outputs);
        ck_assert_msg(kit_plan(kit, &b, descs, n_outputs, outputs) == 0, "form %u: %s", form,
                      kit->refusal.message);
}

/* Steps, and whether the product has memory of its own beyond the outputs. */
START_TEST(planned_where_it_should_be)
{
        static const uint64_t n_steps[N_FORMS] = {
                [FORM_LAYER] = 1,  [FORM_TWICE] = 1, [FORM_RESIDUAL] = 1, [FORM_NARROW] = 1,
                [FORM_TWO] = 3,    [FORM_NONE] = 1,  [FORM_KEPT] = 2,     [FORM_SUM] = 2,
                [FORM_SHARED] = 3, [FORM_SEEN] = 2,  [FORM_TRIANGLE] = 2,
        };
        enum { M = 40000, N = 60, K = 50 };

        for (enum form form = 0; form < N_FORMS; form++) {
                struct operands o;
                struct kit kit;

                operands_init(&o, TD_FLOAT64, 0, M, N, K);
                plan(&kit, form, o.descs, false);
                ck_assert_msg(plan_n_steps(kit.plan) == n_steps[form], "form %u: %lu steps", form,
                              (unsigned long)plan_n_steps(kit.plan));
                if (form < FORM_TWO)
                        ck_assert_uint_eq(plan_n_scratch(kit.plan), 0);
                kit_deinit(&kit);
                plan(&kit, form, o.descs, true);
                ck_assert_uint_ge(plan_n_steps(kit.plan), form == FORM_NONE ? 1 : 2);
                kit_deinit(&kit);
        }
}
END_TEST

static uint64_t n_steps_of(const struct operands *o)
{
        struct kit kit;
        uint64_t n;

        plan(&kit, FORM_RESIDUAL, o->descs, false);
        n = plan_n_steps(kit.plan);
        kit_deinit(&kit);
        return n;
}

START_TEST(not_where_it_does_not_pay)
{
        static const struct {
                unsigned dtype;
                int stack, m, n, k;
                uint64_t n_steps;
        } rows[] = {
                { TD_FLOAT64, 0, 40000, 60, 50, 1 },
                { TD_FLOAT32, 0, 80000, 60, 50, 1 },
                { TD_COMPLEX64, 0, 40000, 60, 50, 1 },
                { TD_COMPLEX128, 0, 20000, 60, 50, 1 },
                { TD_FLOAT64, 0, 1500, 1600, 64, 1 },
                { TD_FLOAT64, 0, 40000, 60, 128, 1 },
                { TD_FLOAT64, 100, 400, 60, 50, 1 },
                { TD_FLOAT32, 0, 40000, 60, 50, 2 },  /* it stays in the caches */
                { TD_FLOAT64, 0, 40000, 60, 129, 2 }, /* computing takes longest */
                { TD_FLOAT64, 0, 1500, 1600, 65, 2 }, /* large tiles */
                { TD_FLOAT64, 0, 3000000, 1, 50, 2 }, /* a vector */
                { TD_INT64, 0, 40000, 60, 50, 2 },
                { TD_FLOAT64, 0, 40000, 60, 0, 2 },
        };

        for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
                struct operands o;

                operands_init(&o, rows[i].dtype, rows[i].stack, rows[i].m, rows[i].n, rows[i].k);
                ck_assert_msg(n_steps_of(&o) == rows[i].n_steps, "row %u", i);
        }
}
END_TEST

/* An operand that runs across the product's rows is walked in boxes, which is done apart. */
START_TEST(not_where_the_region_walks_otherwise)
{
        struct operands o;

        operands_init(&o, TD_FLOAT64, 0, 1500, 1600, 40);
        ck_assert_uint_eq(n_steps_of(&o), 1);
        o.descs[OTHER] = lie(o.descs[OTHER].type, LIE_F);
        ck_assert_uint_eq(n_steps_of(&o), 2);
}
END_TEST

/* ---- the same bits ---- */

static int run_on(struct kit *kit, const struct operands *o, struct workers *workers)
{
        const void *inputs[INPUTS] = { o->bytes[A], o->bytes[B], o->bytes[BIAS], o->bytes[OTHER] };

        return kit_run_on(kit, inputs, workers);
}

static void run_form(struct kit *kit, enum form form, const struct operands *o,
                     const struct plan_options *options, struct workers *workers)
{
        uint32_t outputs[KIT_OUTPUTS], n_outputs;
        struct blk b;

        plan_set_options(options);
        n_outputs = put_down(&b, form, outputs);
        ck_assert_int_eq(kit_plan(kit, &b, o->descs, n_outputs, outputs), 0);
        ck_assert_int_eq(run_on(kit, o, workers), 0);
}

/* Just larger than the caches. */
static void random_operands(struct operands *o)
{
        static const unsigned dtypes[] = { TD_FLOAT32, TD_FLOAT64, TD_COMPLEX64, TD_COMPLEX128 };
        static const int depths[] = { 2, 3, 17, 48, 64, 100 };
        const unsigned dtype = dtypes[below(4)];
        const int size = (int)td_dtype_size(dtype), k = depths[below(6)];
        const int n = 2 + (int)below(below(2) ? 100 : 1500);
        const int m = (16 << 20) / size / n + 1 + (int)below(50), stack = below(3) ? 0 : 7;

        operands_init(o, dtype, stack, stack ? m / stack + 1 : m, n, k);
        o->descs[A] = lie(o->descs[A].type, (enum lie)below(N_LIES));
        o->descs[B] = lie(o->descs[B].type, (enum lie)below(N_LIES));
        if (below(2))
                o->descs[OTHER] = lie(o->descs[OTHER].type, LIE_SLICED);
        operands_fill(o);
}

static void compare(const struct kit *want, const struct kit *got, enum form form)
{
        for (uint32_t i = 0; i < plan_n_outputs(want->plan); i++)
                ck_assert_msg(memcmp(want->outputs[i], got->outputs[i],
                                     (size_t)desc_n_bytes(plan_output(want->plan, i))) == 0,
                              "form %u, output %u", form, i);
}

START_TEST(the_bits_are_the_same)
{
        static const struct plan_options oracle = { .tile = 7, .is_plain = true };
        static const struct plan_options options[] = { { .tile = 0 }, { .tile = 33 } };
        static const unsigned n_threads[] = { 1, 2, 7 };
        struct workers *workers[ARRAY_SIZE(n_threads)];
        unsigned n_together = 0;

        for (unsigned i = 0; i < ARRAY_SIZE(n_threads); i++)
                ck_assert_int_eq(workers_new(&workers[i], n_threads[i], kit_no_wake, NULL), 0);
        kit_random_state += (uint64_t)_i << 20;
        for (unsigned turn = 0; turn < 6; turn++) {
                struct operands o;
                struct kit want, got;
                enum form form;

                random_operands(&o);
                form = (enum form)below(o.descs[A].type.ndim > 2 ? FORM_SEEN : N_FORMS);
                if (td_dtype_is_complex(o.descs[A].type.dtype) && form == FORM_LAYER)
                        form = FORM_TWICE; /* complex numbers have no maximum */
                run_form(&want, form, &o, &oracle, NULL);
                for (unsigned i = 0; i < ARRAY_SIZE(n_threads); i++) {
                        run_form(&got, form, &o, &options[below(2)], workers[i]);
                        compare(&want, &got, form);
                        n_together += form < N_TOGETHER &&
                                      plan_n_steps(got.plan) == (form == FORM_TWO ? 3 : 1);
                        kit_deinit(&got);
                }
                kit_deinit(&want);
                operands_free(&o);
        }
        ck_assert_uint_gt(n_together, 0);
        for (unsigned i = 0; i < ARRAY_SIZE(n_threads); i++)
                workers_free(workers[i]);
}
END_TEST

/* ---- stopping ---- */

static bool stop_after(void *ctx)
{
        return atomic_fetch_sub((_Atomic int *)ctx, 1) <= 0;
}

START_TEST(it_stops_between_tiles)
{
        _Atomic int patience;
        struct workers *workers;
        struct operands o;
        struct kit kit;

        ck_assert_int_eq(workers_new(&workers, 2, kit_no_wake, NULL), 0);
        operands_init(&o, TD_FLOAT64, 0, 40000, 60, 50);
        operands_fill(&o);
        plan(&kit, FORM_LAYER, o.descs, false);
        ck_assert_uint_eq(plan_n_steps(kit.plan), 1);
        kit.run = (struct run){ .should_stop = stop_after, .ctx = (void *)&patience };
        for (int t = 0; t < 2; t++) {
                atomic_store(&patience, 10);
                ck_assert_int_eq(run_on(&kit, &o, t ? workers : NULL), PLAN_E_STOPPED);
                ck_assert_int_gt(atomic_load(&patience), -5);
                atomic_store(&patience, 1 << 20);
                ck_assert_int_eq(run_on(&kit, &o, t ? workers : NULL), 0);
                ck_assert_int_lt(atomic_load(&patience), (1 << 20) - 40);
        }
        kit_deinit(&kit);
        operands_free(&o);
        workers_free(workers);
}
END_TEST

/* ---- memory ---- */

/* c - a @ b into the memory of what is given away; the product's operands are read to the end. */
static void take(unsigned c, int m, int n, int k, int32_t wanted)
{
        static const struct plan_options oracle = { .is_plain = true }, fast = { .tile = 0 };
        const bool takes[INPUTS] = { [A] = c == A, [OTHER] = c == OTHER };
        uint32_t v;
        struct td_program program = { .n_outputs = 1, .outputs = &v };
        struct td_refusal refusal;
        struct plan *plan = NULL;
        struct operands o;
        struct kit want;
        const void *inputs[INPUTS];
        void *scratch, *out;
        size_t n_bytes;
        struct blk b;

        operands_init(&o, TD_FLOAT64, 0, m, n, k);
        operands_fill(&o);
        n_bytes = (size_t)desc_n_bytes(&o.descs[OTHER]);
        for (unsigned i = 0; i < INPUTS; i++)
                inputs[i] = o.bytes[i];
        blk_init(&b, INPUTS);
        v = blk_two(&b, TD_OP_SUBTRACT, c, blk_two(&b, TD_OP_MATMUL, A, B));
        plan_set_options(&oracle);
        kit_do(&want, &b, o.descs, inputs, 1, &v);

        plan_set_options(&fast);
        program.block = blk_block(&b);
        ck_assert_int_eq(plan_new_taking(&plan, &program, o.descs, takes, &refusal), 0);
        ck_assert_uint_eq(plan_n_steps(plan), 1);
        ck_assert_int_eq(plan_taken(plan, 0), wanted);
        scratch = kit_alloc(plan_n_scratch(plan));
        out = wanted < 0 ? kit_alloc(n_bytes) : o.bytes[wanted];
        ck_assert_int_eq(plan_run(plan, NULL, inputs, &out, scratch, &refusal), 0);
        ck_assert_mem_eq(out, want.outputs[0], n_bytes);
        if (wanted < 0)
                free(out);
        free(scratch);
        plan_free(plan);
        kit_deinit(&want);
        operands_free(&o);
}

START_TEST(takes_memory_of_nobody_who_is_read)
{
        take(OTHER, 40000, 60, 50, OTHER);
        take(A, 40000, 60, 60, -1);
}
END_TEST

/* Too long to go without being stopped: the product does, and what is given away is taken behind
 * it. */
START_TEST(a_long_product_stays_apart_from_what_is_taken)
{
        const bool takes[INPUTS] = { [OTHER] = true };
        uint32_t v;
        struct td_program program = { .n_outputs = 1, .outputs = &v };
        struct td_refusal refusal;
        struct operands o;
        struct blk b;

        for (int i = 0; i < 2; i++) {
                struct plan *plan = NULL;

                operands_init(&o, TD_FLOAT64, 0, 1 << 22, 128, 128);
                blk_init(&b, INPUTS);
                v = blk_two(&b, TD_OP_ADD, OTHER, blk_two(&b, TD_OP_MATMUL, A, B));
                program.block = blk_block(&b);
                plan_set_options(&(struct plan_options){ .tile = 0 });
                ck_assert_int_eq(
                        plan_new_taking(&plan, &program, o.descs, i ? takes : NULL, &refusal), 0);
                ck_assert_int_eq(plan_taken(plan, 0), i ? OTHER : -1);
                ck_assert_uint_eq(plan_n_steps(plan), i ? 2 : 1);
                plan_free(plan);
        }
}
END_TEST

enum { TALL = 1 << 19, TALL_N = 8 };

/* Six products of what is made for each of them, and what reads them at the end: none is put off
 * till there. */
static uint64_t scratch_of_six(unsigned dtype, int k)
{
        uint32_t outputs[6];
        struct operands o;
        struct kit kit;
        struct blk b;
        uint64_t n;

        operands_init(&o, dtype, 0, TALL, TALL_N, k);
        blk_init(&b, INPUTS);
        for (unsigned i = 0; i < 6; i++) {
                const struct td_attrs value = attrs_value(attrs_shape(0), i + 2);
                uint32_t v = blk_with(&b, TD_OP_FULL, attrs_dtype(value, dtype), 0);

                outputs[i] = blk_two(&b, TD_OP_MATMUL, blk_two(&b, TD_OP_MULTIPLY, A, v), B);
        }
        for (unsigned i = 0; i < 6; i++)
                outputs[i] = blk_two(&b, TD_OP_ADD, outputs[i], BIAS);
        plan_set_options(&(struct plan_options){ .tile = 0 });
        ck_assert_int_eq(kit_plan(&kit, &b, o.descs, 6, outputs), 0);
        n = plan_n_scratch(kit.plan);
        kit_deinit(&kit);
        return n;
}

/* Something that is sorted stands between a product and who reads it. */
static uint64_t scratch_behind_sort(unsigned dtype, int k)
{
        struct operands o;
        struct kit kit;
        struct blk b;
        uint32_t p, v;
        uint64_t n;

        operands_init(&o, dtype, 0, TALL, TALL_N, k);
        o.descs[OTHER] = dense(type_of(dtype, 2, TALL, 128));
        blk_init(&b, INPUTS);
        p = blk_two(&b, TD_OP_MATMUL, blk_two(&b, TD_OP_MULTIPLY, A, A), B);
        v = blk_with(&b, TD_OP_SORT, attrs_axes(1, 1), 1, OTHER);
        v = blk_with(&b, TD_OP_SUM, attrs_axes(1, 1), 1, v);
        v = blk_with(&b, TD_OP_RESHAPE, attrs_shape(2, TALL, 1), 1, v);
        v = blk_two(&b, TD_OP_ADD, p, v);
        plan_set_options(&(struct plan_options){ .tile = 0 });
        ck_assert_int_eq(kit_plan(&kit, &b, o.descs, 1, &v), 0);
        n = plan_n_scratch(kit.plan);
        kit_deinit(&kit);
        return n;
}

START_TEST(operands_are_not_kept_for_it)
{
        static const unsigned dtypes[] = { TD_FLOAT64, TD_INT64 };

        for (unsigned i = 0; i < ARRAY_SIZE(dtypes); i++) {
                const uint64_t most = (uint64_t)TALL * (128 + 2 * TALL_N) * 8;

                ck_assert_uint_le(scratch_of_six(dtypes[i], 128), most);
                ck_assert_uint_le(scratch_behind_sort(dtypes[i], 128), most);
        }
}
END_TEST

/* Layer upon layer: each reads what the one before wrote, which nobody may overwrite meanwhile.
 * Widths differ, or rows would be overwritten just when they were read. */
START_TEST(layers)
{
        enum { M = 40000, N = 60, K = 56, LAYERS = 5 };
        static const struct plan_options ways[] = { { .is_plain = true }, { .tile = 0 } };
        struct operands o;
        struct kit kits[2];
        struct blk b;
        uint32_t v = A;

        operands_init(&o, TD_FLOAT64, 0, M, N, K);
        o.descs[BIAS] = dense(type_of(TD_FLOAT64, 1, 1));
        o.descs[OTHER] = dense(type_of(TD_FLOAT64, 2, N, K));
        operands_fill(&o);
        for (size_t i = 0; i < N * K; i++) {
                ((double *)o.bytes[B])[i] /= 256;
                ((double *)o.bytes[OTHER])[i] /= 256;
        }
        blk_init(&b, INPUTS);
        for (int i = 0; i < LAYERS; i++)
                v = layer(&b, v, i % 2 ? OTHER : B);
        for (int i = 0; i < 2; i++) {
                plan_set_options(&ways[i]);
                ck_assert_int_eq(kit_plan(&kits[i], &b, o.descs, 1, &v), 0);
                ck_assert_int_eq(run_on(&kits[i], &o, NULL), 0);
        }
        ck_assert_uint_eq(plan_n_steps(kits[1].plan), LAYERS);
        ck_assert_uint_le(plan_n_scratch(kits[1].plan), 2 * M * N * sizeof(double));
        compare(&kits[0], &kits[1], FORM_LAYER);
        kit_deinit(&kits[0]);
        kit_deinit(&kits[1]);
        operands_free(&o);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("epilogue");
        TCase *tcase = tcase_create("epilogue");
        SRunner *runner;
        int n_failed;

        tcase_set_timeout(tcase, 120);
        tcase_add_test(tcase, planned_where_it_should_be);
        tcase_add_test(tcase, not_where_it_does_not_pay);
        tcase_add_test(tcase, not_where_the_region_walks_otherwise);
        tcase_add_loop_test(tcase, the_bits_are_the_same, 0, KIT_SLOW ? 1 : 4);
        tcase_add_test(tcase, it_stops_between_tiles);
        tcase_add_test(tcase, takes_memory_of_nobody_who_is_read);
        tcase_add_test(tcase, a_long_product_stays_apart_from_what_is_taken);
        tcase_add_test(tcase, operands_are_not_kept_for_it);
        tcase_add_test(tcase, layers);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
