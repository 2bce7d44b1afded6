/* layer: compute */
/* SPDX-License-Identifier: MIT */
/*
 * Random programs: the same bits, however they are computed
 *
 * The oracle computes every node by itself, seven elements at a time, on one thread. Against it
 * stand fused plans, with other tiles and on several threads. Inputs have all layouts; shapes
 * broadcast; reductions, scans, views, generators and values that are read often stand in between.
 */
#include "compute/plan/plan.h"

#include "plan_kit.h"

enum { PROGRAMS = 400, NODES = 24, ROWS = 41, COLUMNS = 83, LARGE_ROWS = 150, LARGE_COLUMNS = 600 };

/* ---- inputs ---- */

enum { INPUTS = 9 };

struct input {
        struct desc desc;
        char *bytes;
};

static void write_item(char *p, unsigned dtype)
{
        static const double odd[] = { 0.0, -0.0, 1e300, -1e-310, INFINITY, NAN };
        double value = below(40) ? (double)below(4001) / 64 - 31 : odd[below(6)];
        int64_t integer = (int64_t)below(2001) - 1000;
        float narrow = (float)value;

        switch (dtype) {
        case TD_BOOL:
                *(uint8_t *)p = (uint8_t)(below(2) ? below(255) : 0);
                break;
        case TD_INT64:
                memcpy(p, &integer, sizeof(integer));
                break;
        case TD_FLOAT32:
                memcpy(p, &narrow, sizeof(narrow));
                break;
        default:
                memcpy(p, &value, sizeof(value));
                break;
        }
}

/* C, Fortran, every second one, or backwards */
static void input_init(struct input *input, struct td_type type, unsigned layout)
{
        struct td_type whole = type;
        int64_t n;

        for (unsigned d = 0; layout == 2 && d < type.ndim; d++)
                whole.shape[d] *= 2;
        (layout == 1 ? desc_init_f : desc_init_c)(&input->desc, &whole);
        n = desc_n_elements(&input->desc);
        input->bytes = kit_alloc((uint64_t)desc_n_bytes(&input->desc));
        for (int64_t i = 0; i < n; i++)
                write_item(input->bytes + i * td_dtype_size(type.dtype), type.dtype);
        input->desc.type = type;
        for (unsigned d = 0; d < type.ndim; d++) {
                if (layout == 2)
                        input->desc.strides[d] *= 2;
                if (layout == 3) {
                        input->desc.offset += input->desc.strides[d] * (type.shape[d] - 1);
                        input->desc.strides[d] *= -1;
                }
        }
}

static void inputs_init(struct input *inputs, int rows, int columns)
{
        static const unsigned dtypes[] = { TD_FLOAT64, TD_FLOAT64, TD_FLOAT64, TD_FLOAT32, TD_INT64,
                                           TD_BOOL,    TD_FLOAT64, TD_FLOAT64, TD_FLOAT64 };

        for (unsigned i = 0; i < INPUTS; i++) {
                struct td_type type = type_of(dtypes[i], 2, rows, columns);

                if (i == 6)
                        type = type_of(TD_FLOAT64, 1, columns);
                if (i == 7)
                        type = type_of(TD_FLOAT64, 2, rows, 1);
                if (i == 8)
                        type = type_of(TD_FLOAT64, 0);
                input_init(&inputs[i], type, below(4));
        }
}

/* ---- programs ---- */

struct values {
        uint32_t n;
        uint32_t at[INPUTS + 4 * NODES];
        struct td_type types[INPUTS + 4 * NODES]; /* by value */
};

static uint32_t pick(const struct values *v)
{
        return v->at[v->n - 1 - below(below(2) ? v->n : (v->n < 5 ? v->n : 5))];
}

/* A node, if inference takes it, and if it is no larger than the inputs. */
static void try_node(struct blk *b, struct values *v, enum td_op op, struct td_attrs attrs,
                     uint32_t n, const uint32_t *args)
{
        struct td_type types[3], results[4];
        uint32_t value;

        for (uint32_t i = 0; i < n; i++)
                types[i] = v->types[args[i]];
        if (td_infer(op, &attrs, n, types, results, NULL) ||
            td_type_n_elements(&results[0]) > LARGE_ROWS * LARGE_COLUMNS)
                return;
        value = blk_with(b, op, attrs, n, args[0], args[1], args[2]);
        v->types[value] = results[0];
        v->at[v->n++] = value;
}

/* Elements from either end or from the middle, in either direction; perhaps none. */
static struct td_attrs random_slice(const struct td_type *of)
{
        struct td_attrs attrs = { .set = TD_ATTR_START | TD_ATTR_SHAPE | TD_ATTR_STEP,
                                  .n_start = of->ndim,
                                  .n_shape = of->ndim,
                                  .n_step = of->ndim };

        for (unsigned d = 0; d < of->ndim; d++) {
                int64_t extent = of->shape[d], step = below(4) ? 1 : 1 + below(2);
                int64_t n = extent - (extent > 1 && below(2)), start;

                attrs.shape[d] = below(8) ? (n + step - 1) / step : below((uint32_t)n + 1);
                start = attrs.shape[d] > 0 ? extent - 1 - (attrs.shape[d] - 1) * step : 0;
                attrs.start[d] = below(2) ? start : 0;
                attrs.step[d] = step;
                if (below(3) == 0 && attrs.shape[d] > 0) {
                        attrs.start[d] += (attrs.shape[d] - 1) * step;
                        attrs.step[d] = -step;
                }
        }
        return attrs;
}

/* Flat, one more extent of 1, one less, or two extents swapped (which is no transpose). */
static struct td_attrs random_reshape(const struct td_type *of)
{
        struct td_attrs attrs = attrs_shape(1, (int)td_type_n_elements(of));
        unsigned at = below(of->ndim + 1u);

        switch (below(4)) {
        case 0:
                return attrs;
        case 1:
                attrs.n_shape = 0;
                for (unsigned d = 0; d < of->ndim; d++)
                        if (of->shape[d] != 1)
                                attrs.shape[attrs.n_shape++] = of->shape[d];
                return attrs;
        case 2:
                attrs.n_shape = of->ndim;
                for (unsigned d = 0; d < of->ndim; d++)
                        attrs.shape[of->ndim - 1 - d] = of->shape[d];
                return attrs;
        default:
                attrs.n_shape = (uint8_t)(of->ndim + 1);
                for (unsigned d = 0, k = 0; d <= of->ndim; d++)
                        attrs.shape[d] = d == at ? 1 : of->shape[k++];
                return attrs;
        }
}

static void random_view(struct blk *b, struct values *v, const uint32_t *args)
{
        const struct td_type *of = &v->types[args[0]], *to = &v->types[args[1]];
        struct td_attrs attrs = { .set = TD_ATTR_AXES, .n_axes = of->ndim };

        switch (below(5)) {
        case 0:
        case 1:
                try_node(b, v, TD_OP_SLICE, random_slice(of), 1, args);
                return;
        case 2:
                try_node(b, v, TD_OP_RESHAPE, random_reshape(of), 1, args);
                return;
        case 3:
                attrs = (struct td_attrs){ .set = TD_ATTR_SHAPE, .n_shape = to->ndim };
                memcpy(attrs.shape, to->shape, sizeof(attrs.shape));
                try_node(b, v, TD_OP_BROADCAST_TO, attrs, 1, args);
                return;
        default:
                for (unsigned d = 0; d < of->ndim; d++)
                        attrs.axes[d] = (int16_t)(of->ndim - 1 - (int)d);
                try_node(b, v, TD_OP_PERMUTE_DIMS, attrs, 1, args);
                return;
        }
}

/* As long or as wide as some value, so that it goes with others. */
static void random_generator(struct blk *b, struct values *v, const uint32_t *args)
{
        static const unsigned dtypes[] = { TD_INT64, TD_FLOAT32, TD_FLOAT64, TD_INT8 };
        const struct td_type *like = &v->types[args[0]];
        const int64_t n = like->ndim > 0 ? like->shape[like->ndim - 1] : 3;
        unsigned dtype = dtypes[below(4)];
        struct td_attrs attrs = { .set = 0 };

        switch (below(5)) {
        case 0:
                attrs = attrs_range_i((int)below(9) - 4, 0, below(2) ? 1 : -3);
                attrs.range[1].i = attrs.range[0].i + n * attrs.range[2].i;
                try_node(b, v, TD_OP_ARANGE, attrs_dtype(attrs, dtype), 0, args);
                return;
        case 1:
                attrs = attrs_range_d(below(9) / 4.0 - 1, 0, 0.1);
                attrs.range[1].d = attrs.range[0].d + ((double)n - 0.5) * 0.1;
                try_node(b, v, TD_OP_ARANGE, attrs_dtype(attrs, dtype), 0, args);
                return;
        case 2:
                attrs = attrs_range_d(below(9) / 4.0 - 1, 3.3, 0);
                attrs.range[2] = (struct td_number){ .kind = TD_KIND_INT, .i = n };
                attrs.set |= TD_ATTR_ENDPOINT;
                attrs.endpoint = below(2);
                try_node(b, v, TD_OP_LINSPACE,
                         attrs_dtype(attrs, below(2) ? TD_FLOAT32 : TD_FLOAT64), 0, args);
                return;
        case 3:
                attrs = attrs_shape(2, like->ndim > 1 ? (int)like->shape[0] : 5, (int)n);
                attrs.set |= TD_ATTR_K;
                attrs.k = (int64_t)below(7) - 3;
                try_node(b, v, TD_OP_EYE, attrs_dtype(attrs, dtype), 0, args);
                return;
        default:
                attrs.set = TD_ATTR_K;
                attrs.k = (int64_t)below(7) - 3;
                try_node(b, v, below(2) ? TD_OP_TRIL : TD_OP_TRIU, attrs, 1, args);
                return;
        }
}

static void random_node(struct blk *b, struct values *v)
{
        static const enum td_op two[] = { TD_OP_ADD,    TD_OP_SUBTRACT, TD_OP_MULTIPLY,
                                          TD_OP_DIVIDE, TD_OP_MAXIMUM,  TD_OP_MINIMUM,
                                          TD_OP_LESS,   TD_OP_EQUAL,    TD_OP_GREATER_EQUAL };
        static const enum td_op one[] = { TD_OP_NEGATIVE, TD_OP_ABS, TD_OP_SQRT, TD_OP_EXP,
                                          TD_OP_LOG };
        static const enum td_op fold[] = { TD_OP_SUM, TD_OP_MEAN, TD_OP_MAX,
                                           TD_OP_MIN, TD_OP_VAR,  TD_OP_ARGMAX };
        static const unsigned dtypes[] = { TD_BOOL, TD_INT64, TD_FLOAT32, TD_FLOAT64 };
        uint32_t args[3] = { pick(v), pick(v), pick(v) };
        struct td_attrs attrs = { .set = 0 };

        switch (below(16)) {
        case 0:
        case 12:
        case 13:
                random_view(b, v, args);
                break;
        case 14:
                random_generator(b, v, args);
                break;
        case 1:
                attrs = attrs_axes(1, (int)below(2));
                attrs.set |= TD_ATTR_KEEPDIMS | (below(4) ? 0 : TD_ATTR_AXES);
                attrs.keepdims = below(2);
                try_node(b, v, fold[below(6)], attrs, 1, args);
                break;
        case 2:
                try_node(b, v, TD_OP_WHERE, attrs, 3, args);
                break;
        case 15:
                attrs = attrs_axes(1, (int)below(2));
                attrs.set |= TD_ATTR_INCLUDE_INITIAL;
                attrs.include_initial = below(4) == 0;
                try_node(b, v, below(4) ? TD_OP_CUMULATIVE_SUM : TD_OP_CUMULATIVE_PROD, attrs, 1,
                         args);
                break;
        case 3:
                attrs = attrs_dtype(attrs, dtypes[below(4)]);
                try_node(b, v, TD_OP_ASTYPE, attrs, 1, args);
                break;
        case 4:
                attrs = attrs_value(attrs_dtype(attrs_shape(1, 1), dtypes[below(4)]),
                                    (double)below(9) - 4);
                try_node(b, v, TD_OP_FULL, attrs, 0, args);
                break;
        case 5:
        case 6:
                try_node(b, v, one[below(5)], attrs, 1, args);
                break;
        default:
                try_node(b, v, two[below(9)], attrs, 2, args);
                break;
        }
}

/* ---- running ---- */

struct way {
        struct plan_options options;
        unsigned n_threads;
};

static void run_way(struct kit *kit, const struct way *way, struct blk *b, const struct desc *descs,
                    const void *const *inputs, uint32_t n_outputs, uint32_t *outputs,
                    struct workers *workers)
{
        int r;

        plan_set_options(&way->options);
        ck_assert_int_eq(kit_plan(kit, b, descs, n_outputs, outputs), 0);
        r = kit_run_on(kit, inputs, way->n_threads > 1 ? workers : NULL);
        ck_assert_msg(r == 0, "%s", kit->refusal.message);
}

/* Bits agree; the sign and payload of a NaN, which IEEE 754 leaves open, may differ. */
static bool is_same(unsigned dtype, size_t n, const void *a, const void *b)
{
        const double *da = a, *db = b;
        const float *fa = a, *fb = b;

        if (memcmp(a, b, n) == 0)
                return true;
        if (dtype == TD_FLOAT64)
                for (size_t i = 0; i < n / sizeof(*da); i++)
                        if (memcmp(&da[i], &db[i], sizeof(*da)) && !(isnan(da[i]) && isnan(db[i])))
                                return false;
        if (dtype == TD_FLOAT32)
                for (size_t i = 0; i < n / sizeof(*fa); i++)
                        if (memcmp(&fa[i], &fb[i], sizeof(*fa)) && !(isnan(fa[i]) && isnan(fb[i])))
                                return false;
        return td_dtype_is_float(dtype);
}

static void compare(const struct kit *want, const struct kit *got, unsigned way)
{
        for (uint32_t i = 0; i < plan_n_outputs(want->plan); i++) {
                const struct desc *a = plan_output(want->plan, i), *b = plan_output(got->plan, i);
                size_t n = (size_t)desc_n_bytes(a);

                ck_assert(td_type_same(&a->type, &b->type));
                ck_assert_mem_eq(a->strides, b->strides, a->type.ndim * sizeof(a->strides[0]));
                if (n && !is_same(a->type.dtype, n, want->outputs[i], got->outputs[i]))
                        ck_abort_msg("output %u differs, way %u", i, way);
        }
}

static void run_program(struct workers *const *workers, const struct input *given, bool is_large)
{
        static const struct way ways[] = {
                { { .tile = 7, .is_plain = true }, 1 },
                { { .tile = 0 }, 1 },
                { { .tile = 7 }, 1 },
                { { .tile = 100 }, 2 },
                { { .tile = 0 }, 7 },
        };
        static struct blk b;
        static struct values v;
        struct desc descs[INPUTS];
        const void *inputs[INPUTS];
        uint32_t outputs[KIT_OUTPUTS], n_outputs = 1 + below(4);
        struct kit kits[ARRAY_SIZE(ways)];

        blk_init(&b, INPUTS);
        v.n = 0;
        for (uint32_t i = 0; i < INPUTS; i++) {
                descs[i] = given[i].desc;
                inputs[i] = given[i].bytes;
                v.types[i] = descs[i].type;
                v.at[v.n++] = i;
        }
        for (unsigned i = 0, n = 2 + below(is_large ? NODES / 2 : NODES); i < n; i++)
                random_node(&b, &v);
        for (uint32_t i = 0; i < n_outputs; i++)
                outputs[i] = pick(&v);
        for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
                run_way(&kits[i], &ways[i], &b, descs, inputs, n_outputs, outputs,
                        workers[ways[i].n_threads == 7]);
                if (i > 0)
                        compare(&kits[0], &kits[i], i);
        }
        for (unsigned i = 0; i < ARRAY_SIZE(ways); i++)
                kit_deinit(&kits[i]);
}

static void run_programs(unsigned n, int rows, int columns, bool is_large)
{
        struct workers *workers[2];
        struct input inputs[INPUTS];

        ck_assert_int_eq(workers_new(&workers[0], 2, kit_no_wake, NULL), 0);
        ck_assert_int_eq(workers_new(&workers[1], 7, kit_no_wake, NULL), 0);
        for (unsigned i = 0; i < n; i++) {
                if (i % 16 == 0)
                        inputs_init(inputs, rows, columns);
                run_program(workers, inputs, is_large);
                for (unsigned k = 0; (i % 16 == 15 || i == n - 1) && k < INPUTS; k++)
                        free(inputs[k].bytes);
        }
        workers_free(workers[0]);
        workers_free(workers[1]);
}

START_TEST(small_programs)
{
        run_programs(PROGRAMS, ROWS, COLUMNS, false);
}
END_TEST

START_TEST(square_programs)
{
        run_programs(PROGRAMS, 70, 70, false);
}
END_TEST

START_TEST(large_programs)
{
        run_programs(PROGRAMS / 10, LARGE_ROWS, LARGE_COLUMNS, true);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("fuse_random");
        TCase *tcase = tcase_create("fuse_random");
        SRunner *runner;
        int n_failed;

        tcase_set_timeout(tcase, 120);
        tcase_add_test(tcase, small_programs);
        tcase_add_test(tcase, square_programs);
        tcase_add_test(tcase, large_programs);
        suite_add_tcase(suite, tcase);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
