/* layer: compute */
/* SPDX-License-Identifier: MIT */
/*
 * Regions behind products, by chance
 *
 * Products of whatever lies in whatever way, and what is computed from them, in bodies of loops
 * too, with inputs given away: the bits are those of the oracle, which computes every node by
 * itself on one thread.
 */
#include "compute/plan/plan.h"

#include "compute/plan/plan_code.h"
#include "plan_kit.h"

enum { A, B, C, D, INPUTS };
enum { TURNS = 3 };

/* ---- operands ---- */

struct operand {
        struct desc desc;
        void *bytes;
        size_t n_bytes;
};

/* In C order, or forwards, backwards, every second item, or one item for all, along each axis; the
 * last two axes may change places. */
static struct desc lie(const struct td_type *type, bool is_plain, int64_t *n_itemsp)
{
        struct desc desc = { .type = *type };
        const unsigned n = type->ndim, swapped = !is_plain && n > 1 && below(3) == 0;
        int64_t stride = td_dtype_size(type->dtype), n_items = 1;

        for (unsigned i = n; i-- > 0;) {
                const unsigned d = swapped && i + 2 >= n ? 2 * n - 3 - i : i;
                const unsigned how = is_plain ? 0 : below(6);
                const int64_t extent = type->shape[d];

                desc.strides[d] = how == 1 ? 0 : how == 2 ? 2 * stride : stride;
                if (how == 3 && extent > 0) {
                        desc.offset += (extent - 1) * stride;
                        desc.strides[d] = -stride;
                }
                n_items *= how == 1 ? 1 : how == 2 ? 2 * extent : extent;
                stride *= how == 1 ? 1 : how == 2 ? 2 * extent : extent;
        }
        *n_itemsp = n_items;
        return desc;
}

static void fill(struct operand *o)
{
        const unsigned dtype = o->desc.type.dtype;

        if (dtype == TD_FLOAT32 || dtype == TD_COMPLEX64)
                for (size_t k = 0; k < o->n_bytes / sizeof(float); k++)
                        ((float *)o->bytes)[k] = (float)below(4001) / 2048 - 1;
        else
                for (size_t k = 0; k < o->n_bytes / sizeof(double); k++)
                        ((double *)o->bytes)[k] = (double)below(4001) / 2048 - 1;
}

static void operand_init(struct operand *o, struct td_type type, bool is_plain)
{
        int64_t n_items;

        o->desc = lie(&type, is_plain || below(3) == 0, &n_items);
        o->n_bytes = (size_t)(n_items * td_dtype_size(type.dtype));
        o->bytes = kit_alloc(o->n_bytes);
        ck_assert_int_eq(desc_check(&o->desc, o->n_bytes), 0);
        fill(o);
}

/* ---- programs ---- */

struct extents {
        unsigned dtype;
        int stack, m, n, k; /* stack 0: none */
};

enum form { FORM_ALONE, FORM_CARRIES_A, FORM_CARRIES_C, N_FORMS };

/* Just larger than the caches. */
static struct extents random_extents(enum form form)
{
        static const unsigned dtypes[] = { TD_FLOAT32, TD_FLOAT64, TD_COMPLEX64, TD_COMPLEX128 };
        static const int depths[] = { 0, 1, 2, 17, 48, 64, 100 };
        struct extents e = { .dtype = dtypes[below(4)], .stack = below(2) ? 0 : 2 + (int)below(9) };

        e.n = 2 + (int)below(form != FORM_CARRIES_A && below(3) == 0 ? 1500 : 100);
        e.k = form == FORM_CARRIES_A ? e.n : depths[below(7)];
        e.m = (16 << 20) / (int)td_dtype_size(e.dtype) / e.n / (e.stack ? e.stack : 1) + 1 +
              (int)below(50);
        return e;
}

static struct td_type whole(const struct extents *e)
{
        return e->stack ? type_of(e->dtype, 3, e->stack, e->m, e->n)
                        : type_of(e->dtype, 2, e->m, e->n);
}

/* What broadcasts to the product's shape. */
static struct td_type random_bias(const struct extents *e)
{
        switch (below(5)) {
        case 0:
                return type_of(e->dtype, 1, e->n);
        case 1:
                return type_of(e->dtype, 2, e->m, 1);
        case 2:
                return type_of(e->dtype, 0);
        case 3:
                return e->stack ? type_of(e->dtype, 3, e->stack, 1, e->n)
                                : type_of(e->dtype, 2, 1, e->n);
        default:
                return whole(e);
        }
}

/* At least one of a and b has the stack; what is carried has the result's shape, and so may have
 * what is given away. */
static void random_operands(struct operand *o, const struct extents *e, enum form form)
{
        const unsigned stacked = e->stack ? 1 + below(3) : 0;
        const bool is_a = stacked & 1 || (e->stack && form == FORM_CARRIES_A);
        const bool is_given = below(4) > 0;

        operand_init(&o[A],
                     is_a ? type_of(e->dtype, 3, e->stack, e->m, e->k)
                          : type_of(e->dtype, 2, e->m, e->k),
                     false);
        operand_init(&o[B],
                     stacked & 2 ? type_of(e->dtype, 3, e->stack, e->k, e->n)
                                 : type_of(e->dtype, 2, e->k, e->n),
                     false);
        operand_init(&o[C], is_given || form == FORM_CARRIES_C ? whole(e) : random_bias(e),
                     is_given);
        operand_init(&o[D], random_bias(e), false);
}

/* Some elementwise function of the product and two others. */
static uint32_t behind(struct blk *b, unsigned dtype, uint32_t product, uint32_t c, uint32_t d)
{
        static const enum td_op ops[] = { TD_OP_ADD, TD_OP_SUBTRACT, TD_OP_MULTIPLY, TD_OP_MAXIMUM,
                                          TD_OP_MINIMUM };
        const uint32_t n = td_dtype_is_complex(dtype) ? 3 : 5;
        uint32_t v = below(2) ? blk_two(b, ops[below(n)], product, c)
                              : blk_two(b, ops[below(n)], c, product);

        v = blk_two(b, ops[below(n)], d, v);
        return below(2) ? v : blk_two(b, ops[below(n)], product, v);
}

/* body and loop live as long as the program. Returns the output. */
static uint32_t put_down(struct blk *b, struct blk *body, struct td_loop *loop, uint32_t *resultp,
                         unsigned dtype, enum form form)
{
        blk_init(b, INPUTS);
        if (form == FORM_ALONE)
                return behind(b, dtype, blk_two(b, TD_OP_MATMUL, A, B), C, D);
        blk_init(body, INPUTS + 1); /* three captures, the step's number, what is carried */
        if (form == FORM_CARRIES_A)
                *resultp = behind(body, dtype, blk_two(body, TD_OP_MATMUL, 4, 0), 1, 2);
        else
                *resultp = behind(body, dtype, blk_two(body, TD_OP_MATMUL, 0, 1), 4, 2);
        *loop = (struct td_loop){
                .n_steps = TURNS,
                .n_captures = 3,
                .body = blk_block(body),
                .n_results = 1,
                .results = resultp,
        };
        return form == FORM_CARRIES_A ? blk_loop(b, loop, 4, B, C, D, A)
                                      : blk_loop(b, loop, 4, A, B, D, C);
}

/* ---- the same bits ---- */

struct tally {
        unsigned n_together[N_FORMS]; /* the product had no memory */
        unsigned n_taken;
};

/* On copies of the inputs: what is given away is written over. */
static int run_on_copies(struct kit *kit, const struct operand *o, struct workers *workers)
{
        void *copies[INPUTS];
        int r;

        for (unsigned i = 0; i < INPUTS; i++) {
                copies[i] = kit_alloc(o[i].n_bytes);
                memcpy(copies[i], o[i].bytes, o[i].n_bytes);
        }
        r = kit_run_on(kit, (const void *const *)copies, workers);
        for (unsigned i = 0; i < INPUTS; i++)
                free(copies[i]);
        return r;
}

static void run_program(struct workers *const *workers, enum form form, struct tally *tally)
{
        static const struct plan_options ways[] = {
                { .tile = 7, .is_plain = true }, { .tile = 0 }, { .tile = 33 }, { .tile = 0 }
        };
        const struct extents e = random_extents(form);
        struct operand o[INPUTS];
        struct desc descs[INPUTS];
        struct td_loop loop;
        struct blk b, body;
        struct kit kits[2];
        uint32_t result, output;
        bool takes[INPUTS];

        random_operands(o, &e, form);
        for (unsigned i = 0; i < INPUTS; i++) {
                descs[i] = o[i].desc;
                takes[i] = desc_is_dense(&descs[i]);
        }
        output = put_down(&b, &body, &loop, &result, e.dtype, form);
        for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
                struct kit *kit = &kits[i > 0];

                plan_set_options(&ways[i]);
                ck_assert_int_eq(kit_plan_taking(kit, &b, descs, i > 1 ? takes : NULL, 1, &output),
                                 0);
                ck_assert_int_eq(run_on_copies(kit, o, i > 0 ? workers[i - 1] : NULL), 0);
                if (i == 0)
                        continue;
                ck_assert_msg(memcmp(kits[0].outputs[0], kit->outputs[0],
                                     (size_t)desc_n_bytes(plan_output(kit->plan, 0))) == 0,
                              "form %u, way %u: dtype %u, %d x (%d, %d) @ (%d, %d)", form, i,
                              e.dtype, e.stack, e.m, e.k, e.k, e.n);
                /* a loop has one step to begin with, too */
                tally->n_together[form] += plan_n_steps(kit->plan) <
                                           (form == FORM_ALONE ? 2 : 2 * TURNS);
                tally->n_taken += plan_taken(kit->plan, 0) >= 0;
                kit_deinit(kit);
        }
        kit_deinit(&kits[0]);
        for (unsigned i = 0; i < INPUTS; i++)
                free(o[i].bytes);
}

START_TEST(the_bits_are_the_same)
{
        static const unsigned n_threads[] = { 1, 2, 7 };
        struct workers *workers[ARRAY_SIZE(n_threads)];
        struct tally tally = { .n_taken = 0 };

        for (unsigned i = 0; i < ARRAY_SIZE(n_threads); i++)
                ck_assert_int_eq(workers_new(&workers[i], n_threads[i], kit_no_wake, NULL), 0);
        kit_random_state += (uint64_t)_i << 20;
        for (unsigned turn = 0; turn < 9; turn++)
                run_program(workers, (enum form)(turn % N_FORMS), &tally);
        for (unsigned form = 0; form < N_FORMS; form++)
                ck_assert_msg(tally.n_together[form] > 0, "form %u", form);
        ck_assert_uint_gt(tally.n_taken, 0);
        for (unsigned i = 0; i < ARRAY_SIZE(n_threads); i++)
                workers_free(workers[i]);
}
END_TEST

/* ---- who is blamed ---- */

/* A product that stays apart, as what reads it walks otherwise, is still a node of its own. */
START_TEST(a_product_apart_is_blamed_itself)
{
        struct desc descs[] = { dense(type_of(TD_FLOAT64, 2, 1500, 40)),
                                dense(type_of(TD_FLOAT64, 2, 40, 1600)),
                                dense(type_of(TD_FLOAT64, 2, 1500, 1600)) };
        struct kit kit;
        struct blk b;
        uint32_t v;

        desc_init_f(&descs[2], &descs[2].type);
        blk_init(&b, 3);
        v = blk_two(&b, TD_OP_MATMUL, 0, 1);
        v = blk_two(&b, TD_OP_SUBTRACT, blk_one(&b, TD_OP_NEGATIVE, 2), v);
        plan_set_options(&(struct plan_options){ .tile = 0 });
        ck_assert_int_eq(kit_plan(&kit, &b, descs, 1, &v), 0);
        ck_assert_uint_eq(kit.plan->code.n_instrs, 2);
        ck_assert_int_eq(kit.plan->code.instrs[0].op, TD_OP_MATMUL);
        ck_assert_int_eq(kit.plan->code.instrs[0].node, 0);
        ck_assert_int_eq(kit.plan->code.instrs[1].op, TD_OP_SUBTRACT);
        ck_assert_int_eq(kit.plan->code.instrs[1].node, 2);
        kit_deinit(&kit);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("epilogue_random");
        TCase *tcase = tcase_create("epilogue_random");
        SRunner *runner;
        int n_failed;

        tcase_set_timeout(tcase, 120);
        tcase_add_loop_test(tcase, the_bits_are_the_same, 0, KIT_SLOW ? 1 : 4);
        tcase_add_test(tcase, a_product_apart_is_blamed_itself);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
