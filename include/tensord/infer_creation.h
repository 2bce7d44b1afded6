/* SPDX-License-Identifier: MIT */
/*
 * Inference of what is created: linspace, and random numbers
 *
 * Included by infer_op.h, behind the rules of shapes.
 */
#pragma once

static inline int td_refuse_dtype(const struct td_call *call, unsigned dtype)
{
        return td_refuse(call->refusal, TD_E_UNSUPPORTED_DTYPE, "%s: is not defined for %s",
                         call->name, td_dtype_name(dtype));
}

/* An integer, whichever form it has. */
static inline __int128 td_number_integer(const struct td_number *number)
{
        return number->kind == TD_KIND_UINT ? (__int128)number->u : (__int128)number->i;
}

static inline bool td_number_is_integer(const struct td_number *number)
{
        return number->kind == TD_KIND_INT || number->kind == TD_KIND_UINT;
}

/* Of integers; the step is not 0. */
static inline bool td_range_is_empty(const struct td_number *range)
{
        const __int128 start = td_number_integer(&range[0]), stop = td_number_integer(&range[1]);

        return td_number_integer(&range[2]) > 0 ? start >= stop : start <= stop;
}

/*
 * How many integers there are from range[0] on, range[2] apart, before range[1]: *np modulo 2^64.
 * false if there are more than 2^64. The step is not 0.
 */
static inline bool td_count_integers(const struct td_number *range, uint64_t *np)
{
        const __int128 start = td_number_integer(&range[0]), stop = td_number_integer(&range[1]);
        const __int128 step = td_number_integer(&range[2]);
        __int128 n = 0;

        if (!td_range_is_empty(range))
                n = step > 0 ? (stop - start - 1) / step + 1 : (start - stop - 1) / -step + 1;
        *np = (uint64_t)n;
        return n <= (__int128)UINT64_MAX + 1;
}

/* range: start, stop, number */
static inline int td_infer_linspace(const struct td_call *call, struct td_type *result)
{
        const struct td_number *range = call->attrs->range;
        const unsigned dtype = call->attrs->dtype;

        if (!td_dtype_is_float(dtype) && !td_dtype_is_complex(dtype))
                return td_refuse_dtype(call, dtype);
        if (!td_dtype_is_complex(dtype) &&
            (range[0].kind == TD_KIND_COMPLEX || range[1].kind == TD_KIND_COMPLEX))
                return td_refuse(call->refusal, TD_E_DTYPE_MISMATCH,
                                 "%s: complex bounds do not go with %s", call->name,
                                 td_dtype_name(dtype));
        if (range[2].kind != TD_KIND_INT || range[2].i < 0)
                return td_refuse(call->refusal, TD_E_BAD_VALUE,
                                 "%s: the number of elements, last in range, is %g", call->name,
                                 td_number_double(&range[2]));
        *result = (struct td_type){ .dtype = (uint8_t)dtype, .ndim = 1, .shape = { range[2].i } };
        return TD_OK;
}

static inline int td_check_stream(const struct td_call *call)
{
        if (call->attrs->set & TD_ATTR_STREAM &&
            (call->attrs->stream < 0 || call->attrs->stream >> 48))
                return td_refuse(call->refusal, TD_E_BAD_VALUE,
                                 "%s: stream %" PRId64 " is not from 0 to 2**48 - 1", call->name,
                                 call->attrs->stream);
        return TD_OK;
}

static inline int td_infer_random(const struct td_call *call, struct td_type *result)
{
        int r;

        if (!td_dtype_is_float(call->attrs->dtype))
                return td_refuse_dtype(call, call->attrs->dtype);
        r = td_check_stream(call);
        return r ? r : td_infer_shape(call, call->attrs->dtype, result);
}

/* Does the integer fit the integer dtype? */
static inline bool td_integer_fits(__int128 value, unsigned dtype)
{
        const unsigned n_bits = 8 * (unsigned)td_dtype_size(dtype);

        if (td_dtype_kind(dtype) == TD_KIND_UINT)
                return value >= 0 && value >> n_bits == 0;
        return value >= -((__int128)1 << (n_bits - 1)) && value < (__int128)1 << (n_bits - 1);
}

static inline int td_infer_random_integers(const struct td_call *call, struct td_type *result)
{
        const struct td_number *range = call->attrs->range;
        const unsigned dtype = call->attrs->dtype;
        __int128 last;
        uint64_t n;
        int r;

        if (!td_dtype_is_integer(dtype))
                return td_refuse_dtype(call, dtype);
        for (unsigned i = 0; i < 3; i++)
                if (!td_number_is_integer(&range[i]))
                        return td_refuse(call->refusal, TD_E_BAD_VALUE,
                                         "%s: start, stop and step are integers", call->name);
        if (td_number_integer(&range[2]) == 0)
                return td_refuse(call->refusal, TD_E_BAD_VALUE, "%s: the step is 0", call->name);
        if (td_range_is_empty(range) || !td_count_integers(range, &n))
                return td_refuse(call->refusal, TD_E_BAD_VALUE,
                                 "%s: there is no integer to choose from %g to %g", call->name,
                                 td_number_double(&range[0]), td_number_double(&range[1]));
        last = td_number_integer(&range[0]) +
               (((__int128)n - 1) & UINT64_MAX) * td_number_integer(&range[2]);
        if (!td_integer_fits(td_number_integer(&range[0]), dtype) || !td_integer_fits(last, dtype))
                return td_refuse(call->refusal, TD_E_BAD_VALUE,
                                 "%s: integers from %g to %g do not fit %s", call->name,
                                 td_number_double(&range[0]), td_number_double(&range[1]),
                                 td_dtype_name(dtype));
        r = td_check_stream(call);
        return r ? r : td_infer_shape(call, dtype, result);
}

static inline int td_infer_random_permutation(const struct td_call *call, struct td_type *result)
{
        if (call->attrs->n_shape != 1)
                return td_refuse(call->refusal, TD_E_BAD_SHAPE,
                                 "%s: shape %s has not one dimension", call->name,
                                 td_shape_text(call->attrs->n_shape, call->attrs->shape).s);
        if (call->attrs->shape[0] > INT64_MAX / 64)
                return td_refuse(call->refusal, TD_E_BAD_SHAPE, "%s: %" PRId64 " are too many",
                                 call->name, call->attrs->shape[0]);
        *result = (struct td_type){ .dtype = TD_INT64, .ndim = 1 };
        result->shape[0] = call->attrs->shape[0];
        return td_check_stream(call);
}
