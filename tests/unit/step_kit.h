/* SPDX-License-Identifier: MIT */
/*
 * What the tests of steps share: arrays in odd layouts, and steps run on any number of threads.
 */
#pragma once

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/workers.h"
#include "compute/step.h"
#include "loops.h"
#include "random_kit.h"
#include "tensord/infer.h"

enum layout {
        LAYOUT_C,
        LAYOUT_F,
        LAYOUT_SLICED,
        LAYOUT_NEGATIVE,
        LAYOUT_STILL,
        LAYOUT_UNALIGNED,
        N_LAYOUTS
};

struct array {
        struct desc desc;
        char *bytes; /* what the descriptor's offset counts from */
};

static inline struct td_type type_of(unsigned dtype, unsigned ndim, const int64_t *shape)
{
        struct td_type type = { .dtype = (uint8_t)dtype, .ndim = (uint8_t)ndim };

        for (unsigned d = 0; d < ndim; d++)
                type.shape[d] = shape[d];
        return type;
}

#define SHAPE(...)                                                                                 \
        (sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (int64_t[])                        \
        {                                                                                          \
                __VA_ARGS__                                                                        \
        }
#define SCALAR 0, NULL

/* Of a complex number the real part; the imaginary part is 0. */
static inline void item_write(char *p, unsigned dtype, double value)
{
        union td_scalar x = { 0 };

        switch (dtype) {
#define KIT_WRITE(sym, field, type)                                                                \
        case TD_##sym:                                                                             \
                x.field = (type)value;                                                             \
                break;
                KIT_WRITE(INT8, i8, int8_t)
                KIT_WRITE(INT16, i16, int16_t)
                KIT_WRITE(INT32, i32, int32_t)
                KIT_WRITE(INT64, i, int64_t)
                KIT_WRITE(UINT8, u8, uint8_t)
                KIT_WRITE(UINT16, u16, uint16_t)
                KIT_WRITE(UINT32, u32, uint32_t)
                KIT_WRITE(UINT64, u, uint64_t)
                KIT_WRITE(FLOAT32, f, float)
                KIT_WRITE(FLOAT64, d, double)
                KIT_WRITE(COMPLEX64, c[0], float)
                KIT_WRITE(COMPLEX128, z[0], double)
#undef KIT_WRITE
        default:
                x.b = value != 0;
                break;
        }
        memcpy(p, &x, (size_t)td_dtype_size(dtype));
}

/* Zeros; extents of 0 get a byte, so that there is an address. */
static inline struct array array_new(unsigned dtype, enum layout layout, unsigned ndim,
                                     const int64_t *shape)
{
        struct td_type type = type_of(dtype, ndim, shape), whole = type;
        struct array a;

        if (layout == LAYOUT_SLICED)
                for (unsigned d = 0; d < ndim; d++)
                        whole.shape[d] = 2 * shape[d] + 1;
        if (layout == LAYOUT_STILL && ndim > 0 && shape[0] > 0)
                whole.shape[0] = 1;
        (layout == LAYOUT_F ? desc_init_f : desc_init_c)(&a.desc, &whole);
        a.bytes = calloc(1, (size_t)desc_n_bytes(&a.desc) + 64);
        ck_assert_ptr_nonnull(a.bytes);
        a.desc.type = type;
        for (unsigned d = 0; d < ndim; d++) {
                if (layout == LAYOUT_SLICED) {
                        a.desc.offset += a.desc.strides[d];
                        a.desc.strides[d] *= 2;
                } else if (layout == LAYOUT_NEGATIVE && shape[d] > 0) {
                        a.desc.offset += a.desc.strides[d] * (shape[d] - 1);
                        a.desc.strides[d] *= -1;
                } else if (layout == LAYOUT_STILL && d == 0) {
                        a.desc.strides[d] = 0;
                }
        }
        if (layout == LAYOUT_UNALIGNED)
                a.desc.offset += 3;
        return a;
}

static inline void array_free(struct array *a)
{
        free(a->bytes);
        a->bytes = NULL;
}

/* The element of that index in C order. */
static inline char *array_at(const struct array *a, int64_t index)
{
        char *p = a->bytes + a->desc.offset;

        for (unsigned d = a->desc.type.ndim; d-- > 0;) {
                p += index % a->desc.type.shape[d] * a->desc.strides[d];
                index /= a->desc.type.shape[d];
        }
        return p;
}

static inline double scalar_get(union td_scalar x, unsigned dtype)
{
        switch (dtype) {
        case TD_INT8:
                return x.i8;
        case TD_INT16:
                return x.i16;
        case TD_INT32:
                return x.i32;
        case TD_INT64:
                return (double)x.i;
        case TD_UINT8:
                return x.u8;
        case TD_UINT16:
                return x.u16;
        case TD_UINT32:
                return x.u32;
        case TD_UINT64:
                return (double)x.u;
        case TD_FLOAT32:
                return x.f;
        case TD_FLOAT64:
                return x.d;
        case TD_COMPLEX64:
                return x.c[0];
        case TD_COMPLEX128:
                return x.z[0];
        default:
                return x.b != 0;
        }
}

/* Of a complex number the real part. */
static inline double array_get(const struct array *a, int64_t index)
{
        union td_scalar x = { 0 };

        memcpy(&x, array_at(a, index), (size_t)td_dtype_size(a->desc.type.dtype));
        return scalar_get(x, a->desc.type.dtype);
}

/* Of an integer or bool; a uint64 as the int64 of the same bits. */
static inline int64_t array_get_int(const struct array *a, int64_t index)
{
        union td_scalar x = { 0 };

        EXPECT(td_dtype_kind(a->desc.type.dtype) <= TD_KIND_UINT, "not an integer");
        if (a->desc.type.dtype != TD_INT64 && a->desc.type.dtype != TD_UINT64)
                return (int64_t)array_get(a, index);
        memcpy(&x, array_at(a, index), sizeof(x.i));
        return x.i;
}

/* Small values of every sign, as far as the dtype has them; a bool that is set may be any byte but
 * 0. */
static inline void array_fill(struct array *a)
{
        int64_t n = desc_n_elements(&a->desc);

        for (int64_t i = 0; i < n; i++) {
                uint64_t r = kit_random();
                double value = (double)(r % 4001) / 64 - 31;

                if (td_dtype_kind(a->desc.type.dtype) == TD_KIND_UINT)
                        value += 31;
                if (a->desc.type.dtype == TD_BOOL)
                        *(uint8_t *)array_at(a, i) = (uint8_t)(r & 1 ? 1 + r % 255 : 0);
                else
                        item_write(array_at(a, i), a->desc.type.dtype, value);
        }
}

static inline struct array array_random(unsigned dtype, enum layout layout, unsigned ndim,
                                        const int64_t *shape)
{
        struct array a = array_new(dtype, layout, ndim, shape);

        array_fill(&a);
        return a;
}

static inline struct array array_of(unsigned dtype, unsigned n, const double *values)
{
        struct array a = array_new(dtype, LAYOUT_C, 1, (int64_t[]){ n });

        for (unsigned i = 0; i < n; i++)
                item_write(a.bytes + i * (unsigned)td_dtype_size(dtype), dtype, values[i]);
        return a;
}

/* ---- running ---- */

struct kit_work {
        struct work work;
        const struct step *step;
        struct run run;
        const void *args[4];
        void *results[4];
        void *scratch;
        struct td_refusal *refusal;
        int r;
        bool is_done;
};

static inline void kit_work_run(struct work *work)
{
        struct kit_work *k = container_of(work, struct kit_work, work);

        k->r = step_run(k->step, &k->run, k->args, k->results, k->scratch, k->refusal);
}

static inline void kit_work_done(struct work *work)
{
        container_of(work, struct kit_work, work)->is_done = true;
}

static inline void kit_wake(void *ctx)
{
        (void)ctx;
}

static inline void kit_run_on(struct kit_work *k, unsigned n_threads)
{
        _cleanup_(workers_freep) struct workers *workers = NULL;

        if (n_threads == 0) {
                kit_work_run(&k->work);
                return;
        }
        ck_assert_int_eq(workers_new(&workers, n_threads, kit_wake, NULL), 0);
        k->run.workers = workers;
        work_init(&k->work, kit_work_run, kit_work_done);
        workers_submit(workers, &k->work);
        workers = workers_free(workers); /* waits, and reaps */
        ck_assert(k->is_done);
}

/* Infer, prepare, run; results are made here, filled with bytes that no step may leave. 0 or what
 * step_run() said. */
static inline int kit_run(enum td_op op, const struct td_attrs *attrs, unsigned n_args,
                          const struct array *args, struct array *results, unsigned n_threads,
                          struct td_refusal *refusal)
{
        _cleanup_(step_freep) struct step *step = NULL;
        static const struct td_attrs none;
        struct kit_work k = { .refusal = refusal };
        struct td_type types[4], result_types[4];
        struct desc descs[4], result_descs[4];
        unsigned n_results = (unsigned)td_op_info(op)->n_results;

        attrs = attrs ? attrs : &none;
        for (unsigned i = 0; i < n_args; i++) {
                types[i] = args[i].desc.type;
                descs[i] = args[i].desc;
                k.args[i] = args[i].bytes;
        }
        ck_assert_int_eq(td_infer(op, attrs, n_args, types, result_types, refusal), TD_OK);
        for (unsigned i = 0; i < n_results; i++) {
                results[i] = array_new(result_types[i].dtype, LAYOUT_C, result_types[i].ndim,
                                       result_types[i].shape);
                memset(results[i].bytes, 0xee, (size_t)desc_n_bytes(&results[i].desc) + 64);
                result_descs[i] = results[i].desc;
                k.results[i] = results[i].bytes;
        }
        ck_assert_int_eq(step_new(&step, op, attrs, n_args, descs, n_results, result_descs), 0);
        ck_assert_uint_gt(step_cost_ns(step), 0);
        k.step = step;
        k.scratch = aligned_alloc(64, (step_n_scratch(step) + 127) / 64 * 64);
        memset(k.scratch, 0xdd, step_n_scratch(step));
        kit_run_on(&k, n_threads);
        free(k.scratch);
        for (unsigned i = 0; i < n_results; i++) /* nothing was written behind a result */
                for (unsigned j = 0; j < 64; j++)
                        EXPECT((uint8_t)results[i].bytes[desc_n_bytes(&results[i].desc) + j] ==
                                       0xee,
                               "overrun");
        return k.r;
}

static inline struct array kit_one(enum td_op op, const struct td_attrs *attrs, unsigned n_args,
                                   const struct array *args, unsigned n_threads)
{
        struct td_refusal refusal = { 0 };
        struct array result;
        int r = kit_run(op, attrs, n_args, args, &result, n_threads, &refusal);

        ck_assert_msg(r == 0, "%s: %d: %s", td_op_name(op), r, refusal.message);
        return result;
}

static inline int kit_main(Suite *suite)
{
        SRunner *runner = srunner_create(suite);
        int n_failed;

        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
