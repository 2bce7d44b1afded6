/* layer: compute */
/* SPDX-License-Identifier: MIT */
/*
 * Random programs
 *
 * Each is planned and run, and computed again by an interpreter in which every value has memory of
 * its own. So buffers that are shared too early, swapped wrongly or left unwritten show. Values are
 * 4 x 4 of int64, views of such, steps' numbers, and stacks of both.
 */
#include "compute/plan/plan.h"

#include "plan_kit.h"

enum { ELEMENTS = 16, STEPS = 5, VALUES = 96, LOOPS = 64, PROGRAMS = 3000 };

/* ---- programs ---- */

/* values of a block that are 4 x 4 */
struct scope {
        uint32_t n;
        uint32_t values[VALUES];
};

struct random_loop {
        struct td_loop loop;
        struct blk body;
        uint32_t results[3], watch[2];
        int64_t at[STEPS];
};

static struct random_loop loops[LOOPS];
static unsigned n_loops;

static uint32_t pick(const struct scope *scope)
{
        return scope
                ->values[scope->n - 1 - below(below(2) ? scope->n : (scope->n < 4 ? scope->n : 4))];
}

static void add(struct scope *scope, uint32_t value)
{
        ck_assert_uint_lt(scope->n, VALUES);
        scope->values[scope->n++] = value;
}

static void random_block(struct blk *b, struct scope *scope, unsigned depth);

static void random_loop(struct blk *b, struct scope *scope, unsigned depth)
{
        struct random_loop *l = &loops[n_loops++];
        uint32_t args[5], n_captures = below(3), n_carried = 1 + below(3), first;
        struct td_loop *loop = &l->loop;
        struct scope inside = { 0 };

        *loop = (struct td_loop){
                .n_steps = below(STEPS + 1),
                .n_captures = n_captures,
                .n_results = n_carried,
                .results = l->results,
                .n_watch = below(3),
                .watch = l->watch,
                .at = l->at,
        };
        loop->every = below(2) * (1 + below(3));
        for (int64_t step = 1; step <= loop->n_steps && !loop->every; step++)
                if (below(2))
                        l->at[loop->n_at++] = step;
        for (uint32_t i = 0; i < 5; i++)
                args[i] = pick(scope);
        blk_init(&l->body, n_captures + 1 + n_carried);
        for (uint32_t i = 0; i < l->body.n_inputs; i++)
                if (i != n_captures)
                        add(&inside, i);
        add(&inside, blk_with(&l->body, TD_OP_BROADCAST_TO, attrs_shape(2, 4, 4), 1, n_captures));
        random_block(&l->body, &inside, depth + 1);
        loop->body = blk_block(&l->body);
        for (uint32_t i = 0; i < n_carried; i++)
                l->results[i] = pick(&inside);
        for (uint32_t i = 0; i < loop->n_watch; i++)
                l->watch[i] = below(4) ? pick(&inside) : n_captures;
        first = blk_loop(b, loop, n_captures + n_carried, args[0], args[1], args[2], args[3],
                         args[4]);
        for (uint32_t i = 0; i < n_carried; i++)
                add(scope, first + i);
}

static void random_node(struct blk *b, struct scope *scope)
{
        static const enum td_op two[] = { TD_OP_ADD, TD_OP_SUBTRACT, TD_OP_MULTIPLY,
                                          TD_OP_MAXIMUM };
        struct td_attrs turned = attrs_slice(3, 4, -1);
        uint32_t v;

        switch (below(8)) {
        case 0:
                add(scope, blk_with(b, TD_OP_PERMUTE_DIMS, attrs_axes(2, 1, 0), 1, pick(scope)));
                break;
        case 1:
                turned.n_start = turned.n_shape = turned.n_step = 2;
                turned.shape[1] = 4;
                turned.step[1] = 1;
                add(scope, blk_with(b, TD_OP_SLICE, turned, 1, pick(scope)));
                break;
        case 2: /* exchange rows; the last reshape copies */
                v = blk_with(b, TD_OP_RESHAPE, attrs_shape(3, 2, 2, 4), 1, pick(scope));
                v = blk_with(b, TD_OP_PERMUTE_DIMS, attrs_axes(3, 1, 0, 2), 1, v);
                add(scope, blk_with(b, TD_OP_RESHAPE, attrs_shape(2, 4, -1), 1, v));
                break;
        case 3: add(scope, blk_one(b, TD_OP_NEGATIVE, pick(scope))); break;
        default: add(scope, blk_two(b, two[below(4)], pick(scope), pick(scope))); break;
        }
}

static void random_block(struct blk *b, struct scope *scope, unsigned depth)
{
        uint32_t n = below(10);

        for (uint32_t i = 0; i < n; i++) {
                if (depth < TD_LOOP_DEPTH_MAX && n_loops < LOOPS && below(6) == 0)
                        random_loop(b, scope, depth);
                else
                        random_node(b, scope);
        }
}

/* ---- the interpreter ---- */

struct value {
        struct td_type type; /* of the value, or of a row of a stack */
        int64_t n_rows;      /* -1: not a stack */
        int64_t at[STEPS * ELEMENTS];
};

static void unravel(const struct td_type *type, int64_t n, int64_t *index)
{
        for (unsigned i = type->ndim; i-- > 0;) {
                index[i] = n % type->shape[i];
                n /= type->shape[i];
        }
}

static int64_t ravel(const struct td_type *type, const int64_t *index)
{
        int64_t n = 0;

        for (unsigned i = 0; i < type->ndim; i++)
                n = n * type->shape[i] + index[i];
        return n;
}

static int64_t two(enum td_op op, int64_t x, int64_t y)
{
        switch (op) {
        case TD_OP_ADD: return (int64_t)((uint64_t)x + (uint64_t)y);
        case TD_OP_SUBTRACT: return (int64_t)((uint64_t)x - (uint64_t)y);
        case TD_OP_MULTIPLY: return (int64_t)((uint64_t)x * (uint64_t)y);
        default: return x > y ? x : y;
        }
}

static void interpret_node(const struct td_node *node, const struct value *values,
                           struct value *result)
{
        const struct value *x = &values[node->args[0]];
        int64_t to[TD_NDIM_MAX] = { 0 }, from[TD_NDIM_MAX] = { 0 };

        for (int64_t e = 0; e < td_type_n_elements(&result->type); e++) {
                unravel(&result->type, e, to);
                switch (node->op) {
                case TD_OP_PERMUTE_DIMS:
                        for (unsigned i = 0; i < result->type.ndim; i++)
                                from[node->attrs.axes[i]] = to[i];
                        result->at[e] = x->at[ravel(&x->type, from)];
                        break;
                case TD_OP_SLICE:
                        for (unsigned i = 0; i < result->type.ndim; i++)
                                from[i] = node->attrs.start[i] + to[i] * node->attrs.step[i];
                        result->at[e] = x->at[ravel(&x->type, from)];
                        break;
                case TD_OP_RESHAPE: result->at[e] = x->at[e]; break;
                case TD_OP_BROADCAST_TO: result->at[e] = x->at[0]; break;
                case TD_OP_NEGATIVE: result->at[e] = two(TD_OP_SUBTRACT, 0, x->at[e]); break;
                default:
                        result->at[e] = two(node->op, x->at[e], values[node->args[1]].at[e]);
                        break;
                }
        }
}

static void interpret_block(const struct td_block *block, struct value *values);

static void interpret_loop(const struct td_node *node, const struct value *values,
                           struct value *results)
{
        static const struct td_type number = { .dtype = TD_INT64 };
        const struct td_loop *loop = node->loop;
        struct value *body = calloc(td_block_n_values(&loop->body), sizeof(*body)), carried[3];
        uint32_t at = 0;

        for (uint32_t i = 0; i < loop->n_captures; i++)
                body[i] = values[node->args[i]];
        for (uint32_t i = 0; i < loop->n_results; i++)
                carried[i] = values[node->args[loop->n_captures + i]];
        for (uint32_t i = 0; i < loop->n_watch; i++)
                results[loop->n_results + i].n_rows = 0;
        for (int64_t k = 0; k < loop->n_steps; k++) {
                bool is_watched = loop->every ? (k + 1) % loop->every == 0
                                              : at < loop->n_at && loop->at[at] == k + 1;

                body[loop->n_captures] = (struct value){ .type = number,
                                                         .n_rows = -1,
                                                         .at = { k } };
                memcpy(&body[loop->n_captures + 1], carried, loop->n_results * sizeof(carried[0]));
                interpret_block(&loop->body, body);
                for (uint32_t i = 0; i < loop->n_results; i++)
                        carried[i] = body[loop->results[i]];
                for (uint32_t i = 0; is_watched && i < loop->n_watch; i++) {
                        struct value *stack = &results[loop->n_results + i];
                        const struct value *row = &body[loop->watch[i]];
                        int64_t n = td_type_n_elements(&row->type);

                        memcpy(stack->at + n * stack->n_rows++, row->at,
                               (size_t)n * sizeof(int64_t));
                        stack->type = row->type;
                }
                at += is_watched;
        }
        memcpy(results, carried, loop->n_results * sizeof(carried[0]));
        free(body);
}

static void interpret_block(const struct td_block *block, struct value *values)
{
        uint64_t n = block->n_inputs;

        for (uint32_t i = 0; i < block->n_nodes; i++) {
                const struct td_node *node = &block->nodes[i];

                if (node->loop) {
                        interpret_loop(node, values, values + n);
                } else {
                        struct td_type args[3] = { { 0 } };

                        for (uint32_t k = 0; k < node->n_args; k++)
                                args[k] = values[node->args[k]].type;
                        values[n].n_rows = -1;
                        ck_assert_int_eq(td_infer(node->op, &node->attrs, node->n_args, args,
                                                  &values[n].type, NULL),
                                         0);
                        interpret_node(node, values, &values[n]);
                }
                n += td_node_n_results(node);
        }
}

/* ---- the comparison ---- */

/* Element e of an output, in C order. */
static int64_t element(const struct kit *kit, uint32_t i, int64_t e)
{
        const struct desc *desc = plan_output(kit->plan, i);
        const char *at = kit->outputs[i];

        for (unsigned d = desc->type.ndim; d-- > 0; e /= desc->type.shape[d])
                at += e % desc->type.shape[d] * desc->strides[d];
        return *(const int64_t *)(const void *)at;
}

static void compare(const struct kit *kit, uint32_t i, const struct value *value)
{
        const struct desc *desc = plan_output(kit->plan, i);
        int64_t n = desc_n_elements(desc);

        if (value->n_rows == 0)
                ck_assert_int_eq(n, 0);
        else
                ck_assert_int_eq(n, td_type_n_elements(&value->type) *
                                            (value->n_rows < 0 ? 1 : value->n_rows));
        for (int64_t e = 0; e < n; e++)
                ck_assert_int_eq(element(kit, i, e), value->at[e]);
}

START_TEST(programs_compute_what_they_say)
{
        static struct blk b;
        static struct value values[VALUES * 4];
        static int64_t memory[2][ELEMENTS];
        struct td_type type = type_of(TD_INT64, 2, 4, 4);
        struct desc descs[] = { dense(type), dense(type) };
        const void *inputs[] = { memory[0], memory[1] };
        unsigned n_with_loops = 0;

        desc_init_f(&descs[1], &type);
        for (int round = 0; round < PROGRAMS; round++) {
                struct scope scope = { 0 };
                uint32_t outputs[KIT_OUTPUTS], n_outputs;
                struct td_block block;
                struct kit kit;

                n_loops = 0;
                blk_init(&b, 2);
                memset(values, 0, sizeof(values));
                for (uint32_t i = 0; i < 2; i++) {
                        values[i].type = type;
                        values[i].n_rows = -1;
                        for (int e = 0; e < ELEMENTS; e++)
                                values[i].at[e] = memory[i][i ? e % 4 * 4 + e / 4 : e] =
                                        (int64_t)below(19) - 9;
                        add(&scope, i);
                }
                while (b.n_nodes == 0)
                        random_block(&b, &scope, 0);
                n_outputs = 1 + below(KIT_OUTPUTS);
                for (uint32_t i = 0; i < n_outputs; i++)
                        outputs[i] = below(2) ? pick(&scope) : below(b.n_values);
                block = blk_block(&b);
                interpret_block(&block, values);
                kit_do(&kit, &b, descs, inputs, n_outputs, outputs);
                for (uint32_t i = 0; i < n_outputs; i++)
                        compare(&kit, i, &values[outputs[i]]);
                kit_deinit(&kit);
                n_with_loops += n_loops > 0;
        }
        ck_assert_uint_gt(n_with_loops, PROGRAMS / 4);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("plan_random");
        TCase *tcase = tcase_create("plan_random");
        SRunner *runner;
        int n_failed;

        tcase_set_timeout(tcase, 60);
        tcase_add_test(tcase, programs_compute_what_they_say);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
