/* SPDX-License-Identifier: MIT */
/*
 * Builder
 *
 * A td_builder, and the tensors that are its inputs. A refusal is raised by the call that met it.
 * One thread at a time: the Python code makes a builder for one request and shows it to nobody.
 */
#include "_native.h"

#include "tensord/attrs.h"

#include <string.h>

PyTypeObject *native_builder_type;

static PyObject *builder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
        struct native_builder *self;

        if (PyTuple_Size(args) || (kwargs && PyDict_Size(kwargs))) {
                PyErr_SetString(PyExc_TypeError, "Builder takes no arguments");
                return NULL;
        }
        self = PyObject_New(struct native_builder, type);
        if (!self)
                return NULL;
        self->tell = NULL;
        self->builder = td_builder_new();
        self->tensors = PyList_New(0);
        if (self->builder && self->tensors)
                return (PyObject *)self;
        Py_DECREF(self);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
}

static void builder_dealloc(PyObject *object)
{
        struct native_builder *self = (struct native_builder *)object;
        PyTypeObject *type = Py_TYPE(object);

        td_builder_free(self->builder);
        Py_XDECREF(self->tensors);
        Py_XDECREF(self->tell);
        PyObject_Free(object);
        Py_DECREF(type);
}

/* What a builder function returned: a value's number, or -1 for a refusal. */
static PyObject *builder_value(struct native_builder *self, int value)
{
        td_error error;

        if (value >= 0)
                return PyLong_FromLong(value);
        if (td_builder_check(self->builder, &error))
                return native_raise(&error);
        return native_raise_code(TD_E_INTERNAL, "the builder refused without a reason");
}

static struct native_tensor *to_tensor(PyObject *object)
{
        if (Py_TYPE(object) == native_tensor_type)
                return (struct native_tensor *)object;
        PyErr_SetString(PyExc_TypeError, "not a native tensor");
        return NULL;
}

static PyObject *builder_input(PyObject *object, PyObject *tensor_object)
{
        struct native_builder *self = (struct native_builder *)object;
        struct native_tensor *tensor = to_tensor(tensor_object);

        if (!tensor || PyList_Append(self->tensors, tensor_object))
                return NULL;
        return builder_value(self, td_builder_input(self->builder, tensor->tensor));
}

/* parameter(dtype, shape) */
static PyObject *builder_parameter(PyObject *object, PyObject *const *args, Py_ssize_t n_args)
{
        struct native_builder *self = (struct native_builder *)object;
        struct td_type type;

        if (n_args != 2) {
                PyErr_SetString(PyExc_TypeError, "parameter(dtype, shape)");
                return NULL;
        }
        if (!native_type(args[0], args[1], &type))
                return NULL;
        return builder_value(self, td_builder_parameter(self->builder, &type));
}

/* input_view(tensor, shape, strides, offset) */
static PyObject *builder_input_view(PyObject *object, PyObject *args)
{
        struct native_builder *self = (struct native_builder *)object;
        PyObject *tensor_object, *shape, *strides_object;
        int64_t strides[TD_NDIM_MAX];
        struct native_tensor *tensor;
        struct td_type view;
        long long offset;

        if (!PyArg_ParseTuple(args, "OOOL", &tensor_object, &shape, &strides_object, &offset) ||
            !(tensor = to_tensor(tensor_object)) ||
            !native_view(tensor->tensor, shape, strides_object, &view, strides))
                return NULL;
        if (PyList_Append(self->tensors, tensor_object))
                return NULL;
        return builder_value(
                self, td_builder_input_view(self->builder, tensor->tensor, &view, strides, offset));
}

static const struct {
        enum td_kind kind;
        int size;
} dtypes[] = {
#define TD_DTYPE(sym, name, kind, ctype, size, npy) { TD_KIND_##kind, size },
#include "tensord/dtypes.def"
#undef TD_DTYPE
};

/* immediate(dtype, array) */
static PyObject *builder_immediate(PyObject *object, PyObject *args)
{
        struct native_builder *self = (struct native_builder *)object;
        PyObject *dtype, *array, *result = NULL;
        int64_t strides[TD_NDIM_MAX];
        struct td_type type;
        Py_buffer view;

        if (!PyArg_ParseTuple(args, "OO", &dtype, &array) ||
            PyObject_GetBuffer(array, &view, PyBUF_STRIDED_RO))
                return NULL;
        if (native_buffer_type(&view, dtype, &type, strides)) {
                if (view.itemsize != dtypes[type.dtype].size)
                        result = native_raise_code(TD_E_BAD_PROGRAM,
                                                   "items of %zd bytes are not of the dtype",
                                                   view.itemsize);
                else
                        result = builder_value(
                                self, td_builder_array(self->builder, &type, view.buf, strides));
        }
        PyBuffer_Release(&view);
        return result;
}

/* An integer of that many bytes, in two's complement; out of range raises OverflowError. */
static bool integer_of(PyObject *number, unsigned dtype, union td_scalar *scalarp)
{
        const int n_bits = 8 * dtypes[dtype].size;
        bool fits;

        if (dtypes[dtype].kind == TD_KIND_UINT) {
                scalarp->u = PyLong_AsUnsignedLongLong(number);
                if (scalarp->u == UINT64_MAX && PyErr_Occurred())
                        return false;
                fits = n_bits == 64 || scalarp->u >> n_bits == 0;
        } else {
                scalarp->i = PyLong_AsLongLong(number);
                if (scalarp->i == -1 && PyErr_Occurred())
                        return false;
                fits = n_bits == 64 || (scalarp->i >= -(INT64_C(1) << (n_bits - 1)) &&
                                        scalarp->i < INT64_C(1) << (n_bits - 1));
        }
        if (!fits)
                PyErr_Format(PyExc_OverflowError, "%R does not fit %s", number,
                             td_dtype_name((int)dtype));
        return fits;
}

bool native_scalar(PyObject *number, long dtype, union td_scalar *scalarp)
{
        double parts[2] = { 0, 0 };
        int truth;

        if (dtype < 0 || dtype >= TD_N_DTYPES) {
                native_raise_code(TD_E_UNSUPPORTED_DTYPE, "no dtype has number %ld", dtype);
                return false;
        }
        switch (dtypes[dtype].kind) {
        case TD_KIND_BOOL:
                truth = PyObject_IsTrue(number);
                scalarp->b = truth > 0;
                return truth >= 0;
        case TD_KIND_INT:
        case TD_KIND_UINT:
                return integer_of(number, (unsigned)dtype, scalarp);
        case TD_KIND_COMPLEX:
                parts[0] = PyComplex_RealAsDouble(number);
                parts[1] = PyComplex_ImagAsDouble(number);
                break;
        case TD_KIND_FLOAT:
                parts[0] = PyFloat_AsDouble(number);
                break;
        }
        if (PyErr_Occurred())
                return false;
        switch (dtype) {
        case TD_FLOAT32:
                scalarp->f = (float)parts[0];
                break;
        case TD_FLOAT64:
                scalarp->d = parts[0];
                break;
        case TD_COMPLEX64:
                scalarp->c[0] = (float)parts[0];
                scalarp->c[1] = (float)parts[1];
                break;
        default:
                memcpy(scalarp->z, parts, sizeof(parts));
        }
        return true;
}

/* scalar(dtype, number): a 0-d immediate */
static PyObject *builder_scalar(PyObject *object, PyObject *const *args, Py_ssize_t n_args)
{
        struct native_builder *self = (struct native_builder *)object;
        struct td_type type = { .ndim = 0 };
        union td_scalar scalar = { .i = 0 };
        long dtype;

        if (n_args != 2) {
                PyErr_SetString(PyExc_TypeError, "scalar(dtype, number)");
                return NULL;
        }
        dtype = PyLong_AsLong(args[0]);
        if ((dtype == -1 && PyErr_Occurred()) || !native_scalar(args[1], dtype, &scalar))
                return NULL;
        type.dtype = (uint8_t)dtype;
        return builder_value(self, td_builder_immediate(self->builder, &type, &scalar));
}

/* ---- attributes ---- */

static bool read_number(PyObject *object, struct td_number *numberp)
{
        if (PyFloat_Check(object)) {
                *numberp = (struct td_number){ .kind = TD_KIND_FLOAT,
                                               .d = PyFloat_AsDouble(object) };
                return true;
        }
        if (PyComplex_Check(object)) {
                *numberp = (struct td_number){ .kind = TD_KIND_COMPLEX };
                numberp->z[0] = PyComplex_RealAsDouble(object);
                numberp->z[1] = PyComplex_ImagAsDouble(object);
                return true;
        }
        if (PyLong_Check(object)) {
                unsigned long long big = PyLong_AsUnsignedLongLong(object);

                if (!PyErr_Occurred() && big > INT64_MAX) {
                        *numberp = (struct td_number){ .kind = TD_KIND_UINT, .u = big };
                        return true;
                }
                PyErr_Clear();
        }
        *numberp = (struct td_number){ .kind = TD_KIND_INT };
        return native_int64(object, TD_E_BAD_PROGRAM, "a number", &numberp->i);
}

static bool read_range(PyObject *object, struct td_number range[3])
{
        for (Py_ssize_t i = 0; i < 3; i++) {
                PyObject *item = PySequence_GetItem(object, i);
                bool ok = item && read_number(item, &range[i]);

                Py_XDECREF(item);
                if (!ok)
                        return false;
        }
        return true;
}

static bool read_axes(PyObject *object, const char *what, int16_t *values, uint8_t *np)
{
        int64_t axes[TD_NDIM_MAX];
        size_t n;

        if (!native_int64s(object, TD_E_BAD_AXIS, what, axes, TD_NDIM_MAX, &n))
                return false;
        for (size_t i = 0; i < n; i++) {
                if (axes[i] < INT16_MIN || axes[i] > INT16_MAX) {
                        native_raise_code(TD_E_BAD_AXIS, "axis %lld is out of range",
                                          (long long)axes[i]);
                        return false;
                }
                values[i] = (int16_t)axes[i];
        }
        *np = (uint8_t)n;
        return true;
}

static bool read_extents(PyObject *object, int code, const char *what, int64_t *values, uint8_t *np)
{
        size_t n;

        if (!native_int64s(object, code, what, values, TD_NDIM_MAX, &n))
                return false;
        *np = (uint8_t)n;
        return true;
}

static bool read_dtype(PyObject *object, uint8_t *dtypep)
{
        long dtype = PyLong_AsLong(object);

        if (dtype == -1 && PyErr_Occurred())
                return false;
        if (dtype < 0 || dtype >= TD_N_DTYPES) {
                native_raise_code(TD_E_UNSUPPORTED_DTYPE, "no dtype has number %ld", dtype);
                return false;
        }
        *dtypep = (uint8_t)dtype;
        return true;
}

static bool read_bool(PyObject *object, bool *valuep)
{
        int truth = PyObject_IsTrue(object);

        *valuep = truth > 0;
        return truth >= 0;
}

static bool read_double(PyObject *object, double *valuep)
{
        *valuep = PyFloat_AsDouble(object);
        return !PyErr_Occurred();
}

static bool read_attr(PyObject *key, PyObject *value, struct td_attrs *attrs)
{
        Py_ssize_t n_name;
        const char *name = PyUnicode_AsUTF8AndSize(key, &n_name);
        int bit = name ? td_attr_find(name, (size_t)n_name) : -1;
        const struct td_attr_info *info;
        uint8_t *count;
        void *field;

        if (bit < 0) {
                if (name)
                        native_raise_code(TD_E_BAD_PROGRAM, "there is no attribute %s", name);
                return false;
        }
        info = td_attr_info((unsigned)bit);
        field = td_attr_field(attrs, (unsigned)bit);
        count = td_attr_count(attrs, (unsigned)bit);
        attrs->set |= 1u << (unsigned)bit;
        switch (info->form) {
        case TD_FORM_DTYPE:
                return read_dtype(value, field);
        case TD_FORM_EXTENTS:
                return read_extents(value,
                                    bit == TD_ATTR_BIT_SHAPE ? TD_E_RANK_LIMIT : TD_E_BAD_PROGRAM,
                                    name, field, count);
        case TD_FORM_AXES:
                return read_axes(value, name, field, count);
        case TD_FORM_BOOL:
                return read_bool(value, field);
        case TD_FORM_INT:
                return native_int64(value, TD_E_BAD_PROGRAM, name, field);
        case TD_FORM_FLOAT:
                return read_double(value, field);
        case TD_FORM_NUMBER:
                return read_number(value, field);
        case TD_FORM_RANGE:
                return read_range(value, field);
        }
        return false;
}

/* ---- operations ---- */

bool native_values(PyObject *tuple, int *values, size_t max, size_t *np)
{
        Py_ssize_t n = PyTuple_Size(tuple);

        if (n < 0)
                return false;
        if ((size_t)n > max) {
                native_raise_code(TD_E_BAD_PROGRAM, "%zd values are more than the limit of %zu", n,
                                  max);
                return false;
        }
        for (Py_ssize_t i = 0; i < n; i++) {
                values[i] = (int)PyLong_AsLong(PyTuple_GetItem(tuple, i));
                if (values[i] == -1 && PyErr_Occurred())
                        return false;
        }
        *np = (size_t)n;
        return true;
}

static PyObject *values_tuple(const int *values, size_t n)
{
        PyObject *tuple = PyTuple_New((Py_ssize_t)n);

        for (size_t i = 0; tuple && i < n; i++) {
                PyObject *item = PyLong_FromLong(values[i]);

                if (item)
                        PyTuple_SetItem(tuple, (Py_ssize_t)i, item);
                else
                        Py_CLEAR(tuple);
        }
        return tuple;
}

bool native_attrs(PyObject *object, struct td_attrs *attrs)
{
        PyObject *key, *value;
        Py_ssize_t at = 0;

        if (object == Py_None)
                return true;
        if (!PyDict_Check(object)) {
                PyErr_SetString(PyExc_TypeError, "attributes are a dict");
                return false;
        }
        while (PyDict_Next(object, &at, &key, &value))
                if (!read_attr(key, value, attrs))
                        return false;
        return true;
}

/*
 * op(number, values, attributes or None, number of results) -> value, or tuple of values if there
 * are several
 */
static PyObject *builder_op(PyObject *object, PyObject *const *args, Py_ssize_t n_args)
{
        struct native_builder *self = (struct native_builder *)object;
        int values[TD_ARGS_MAX], results[TD_RESULTS_MAX];
        struct td_attrs attrs = { .set = 0 };
        long op, n_results;
        size_t n_values;
        int r;

        if (n_args != 4) {
                PyErr_SetString(PyExc_TypeError, "op(number, values, attributes, n_results)");
                return NULL;
        }
        op = PyLong_AsLong(args[0]);
        n_results = PyLong_AsLong(args[3]);
        if (PyErr_Occurred() || !native_values(args[1], values, TD_ARGS_MAX, &n_values) ||
            !native_attrs(args[2], &attrs))
                return NULL;
        r = td_builder_op(self->builder, (enum td_op)op, &attrs, values, n_values, results);
        if (r < 0 || n_results == 1)
                return builder_value(self, r < 0 ? r : results[0]);
        return values_tuple(results, (size_t)n_results);
}

/* ((dtype, shape), ...) */
static bool read_types(PyObject *tuple, struct td_type *types, size_t max, size_t *np)
{
        Py_ssize_t n = PyTuple_Size(tuple);

        if (n < 0 || (size_t)n > max)
                return false;
        for (Py_ssize_t i = 0; i < n; i++) {
                PyObject *dtype, *shape;
                size_t ndim;

                if (!PyArg_ParseTuple(PyTuple_GetItem(tuple, i), "OO", &dtype, &shape) ||
                    !read_dtype(dtype, &types[i].dtype) ||
                    !native_int64s(shape, TD_E_RANK_LIMIT, "shape", types[i].shape, TD_NDIM_MAX,
                                   &ndim))
                        return false;
                types[i].ndim = (uint8_t)ndim;
        }
        *np = (size_t)n;
        return true;
}

/* user(name, values, types of the results) -> tuple of values */
static PyObject *builder_user(PyObject *object, PyObject *args)
{
        struct native_builder *self = (struct native_builder *)object;
        int values[TD_ARGS_MAX], results[TD_RESULTS_MAX];
        struct td_type types[TD_RESULTS_MAX];
        PyObject *values_object, *types_object;
        size_t n_values, n_results;
        const char *name;
        int r;

        if (!PyArg_ParseTuple(args, "sO!O!", &name, &PyTuple_Type, &values_object, &PyTuple_Type,
                              &types_object) ||
            !native_values(values_object, values, TD_ARGS_MAX, &n_values))
                return NULL;
        if (!read_types(types_object, types, TD_RESULTS_MAX, &n_results))
                return PyErr_Occurred() ? NULL
                                        : native_raise_code(TD_E_BAD_PROGRAM, "too many results");
        r = td_builder_user(self->builder, name, values, n_values, types, n_results, results);
        return r < 0 ? builder_value(self, r) : values_tuple(results, n_results);
}

typedef int begin_fn(td_builder *, int64_t, const int *, size_t, const int *, size_t, int *);

static PyObject *begin_body(PyObject *object, PyObject *args, begin_fn *begin)
{
        int captures[TD_ARGS_MAX], carried[TD_ARGS_MAX], body[2 * TD_ARGS_MAX + 1];
        struct native_builder *self = (struct native_builder *)object;
        PyObject *captures_object, *carried_object;
        size_t n_captures, n_carried;
        long long n_steps;
        int n;

        if (!PyArg_ParseTuple(args, "LO!O!", &n_steps, &PyTuple_Type, &captures_object,
                              &PyTuple_Type, &carried_object) ||
            !native_values(captures_object, captures, TD_ARGS_MAX, &n_captures) ||
            !native_values(carried_object, carried, TD_ARGS_MAX, &n_carried))
                return NULL;
        n = begin(self->builder, n_steps, captures, n_captures, carried, n_carried, body);
        if (n < 0)
                return builder_value(self, n);
        return values_tuple(body, (size_t)n);
}

/* loop_begin(steps, captures, carried) -> values of the body */
static PyObject *builder_loop_begin(PyObject *object, PyObject *args)
{
        return begin_body(object, args, td_builder_loop_begin);
}

/* while_begin(max_steps, captures, carried) -> values of the body */
static PyObject *builder_while_begin(PyObject *object, PyObject *args)
{
        return begin_body(object, args, td_builder_while_begin);
}

/* while_end(results) -> values of the enclosing block */
static PyObject *builder_while_end(PyObject *object, PyObject *results_object)
{
        struct native_builder *self = (struct native_builder *)object;
        int results[TD_RESULTS_MAX], values[TD_RESULTS_MAX + 1], r;
        size_t n_results;

        if (!PyTuple_Check(results_object)) {
                PyErr_SetString(PyExc_TypeError, "while_end(results)");
                return NULL;
        }
        if (!native_values(results_object, results, TD_RESULTS_MAX, &n_results))
                return NULL;
        r = td_builder_while_end(self->builder, results, n_results, values);
        return r < 0 ? builder_value(self, r) : values_tuple(values, n_results + 1);
}

/* loop_end(results, watch, every, at) -> values of the enclosing block */
static PyObject *builder_loop_end(PyObject *object, PyObject *args)
{
        struct native_builder *self = (struct native_builder *)object;
        int results[TD_RESULTS_MAX], watch[TD_RESULTS_MAX], values[2 * TD_RESULTS_MAX];
        PyObject *results_object, *watch_object, *at_object, *tuple = NULL;
        size_t n_results, n_watch, n_at;
        Py_ssize_t n_entries;
        long long every;
        int64_t *at;
        int r;

        if (!PyArg_ParseTuple(args, "O!O!LO!", &PyTuple_Type, &results_object, &PyTuple_Type,
                              &watch_object, &every, &PyTuple_Type, &at_object) ||
            !native_values(results_object, results, TD_RESULTS_MAX, &n_results) ||
            !native_values(watch_object, watch, TD_RESULTS_MAX, &n_watch))
                return NULL;
        n_entries = PyTuple_Size(at_object);
        at = PyMem_Malloc((size_t)n_entries * sizeof(*at) + 1);
        if (!at)
                return PyErr_NoMemory();
        if (native_int64s(at_object, TD_E_BAD_PROGRAM, "at", at, (size_t)n_entries, &n_at)) {
                r = td_builder_loop_end(self->builder, results, n_results, watch, n_watch, every,
                                        at, n_at, values);
                tuple = r < 0 ? builder_value(self, r) : values_tuple(values, n_results + n_watch);
        }
        PyMem_Free(at);
        return tuple;
}

/* limit(deadline in ms or -1, threads or 0) */
static PyObject *builder_limit(PyObject *object, PyObject *args)
{
        struct native_builder *self = (struct native_builder *)object;
        long long deadline_ms;
        unsigned n_threads;

        if (!PyArg_ParseTuple(args, "LI", &deadline_ms, &n_threads))
                return NULL;
        td_builder_set_deadline(self->builder, deadline_ms);
        td_builder_set_threads(self->builder, n_threads);
        Py_RETURN_NONE;
}

/* What it raises ends the run, and is raised by it. */
static bool tell(void *ctx, uint64_t n_done, uint64_t n_steps)
{
        PyGILState_STATE state = PyGILState_Ensure();
        PyObject *result = PyObject_CallFunction(ctx, "KK", (unsigned long long)n_done,
                                                 (unsigned long long)n_steps);
        bool goes_on = result;

        Py_XDECREF(result);
        PyGILState_Release(state);
        return goes_on;
}

/* progress(callable of the steps that ended and all steps, how often in ms) */
static PyObject *builder_progress(PyObject *object, PyObject *args)
{
        struct native_builder *self = (struct native_builder *)object;
        PyObject *callable;
        unsigned every_ms;

        if (!PyArg_ParseTuple(args, "OI", &callable, &every_ms))
                return NULL;
        Py_INCREF(callable);
        Py_XDECREF(self->tell);
        self->tell = callable;
        td_builder_set_progress(self->builder, every_ms, tell, callable);
        Py_RETURN_NONE;
}

/* donate(input) */
static PyObject *builder_donate(PyObject *object, PyObject *input)
{
        struct native_builder *self = (struct native_builder *)object;
        long number = PyLong_AsLong(input);

        if (number == -1 && PyErr_Occurred())
                return NULL;
        td_builder_donate(self->builder, (int)number);
        Py_RETURN_NONE;
}

/* type(value) -> (dtype, shape) */
static PyObject *builder_type(PyObject *object, PyObject *value_object)
{
        struct native_builder *self = (struct native_builder *)object;
        long value = PyLong_AsLong(value_object);
        const struct td_type *type;

        if (value == -1 && PyErr_Occurred())
                return NULL;
        type = td_builder_type(self->builder, (int)value);
        if (!type)
                return native_raise_code(TD_E_BAD_PROGRAM, "there is no value %ld", value);
        return native_type_tuple(type);
}

static PyMethodDef builder_methods[] = {
        { "input", builder_input, METH_O, NULL },
        { "parameter", (PyCFunction)(void (*)(void))builder_parameter, METH_FASTCALL, NULL },
        { "input_view", builder_input_view, METH_VARARGS, NULL },
        { "immediate", builder_immediate, METH_VARARGS, NULL },
        { "scalar", (PyCFunction)(void (*)(void))builder_scalar, METH_FASTCALL, NULL },
        { "op", (PyCFunction)(void (*)(void))builder_op, METH_FASTCALL, NULL },
        { "user", builder_user, METH_VARARGS, NULL },
        { "loop_begin", builder_loop_begin, METH_VARARGS, NULL },
        { "loop_end", builder_loop_end, METH_VARARGS, NULL },
        { "while_begin", builder_while_begin, METH_VARARGS, NULL },
        { "while_end", builder_while_end, METH_O, NULL },
        { "limit", builder_limit, METH_VARARGS, NULL },
        { "progress", builder_progress, METH_VARARGS, NULL },
        { "donate", builder_donate, METH_O, NULL },
        { "type", builder_type, METH_O, NULL },
        { NULL, NULL, 0, NULL },
};

static PyType_Slot builder_slots[] = {
        { Py_tp_new, builder_new },
        { Py_tp_dealloc, builder_dealloc },
        { Py_tp_methods, builder_methods },
        { 0, NULL },
};

static PyType_Spec builder_spec = {
        .name = "tensord._native.Builder",
        .basicsize = sizeof(struct native_builder),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = builder_slots,
};

bool native_builder_add(PyObject *module)
{
        return native_add_type(module, &builder_spec, &native_builder_type);
}
