/* SPDX-License-Identifier: MIT */
/*
 * Builder
 *
 * A td_builder, and the tensors that are its inputs. A refusal is raised by the call that met it.
 * One thread at a time: the Python code makes a builder for one request and shows it to nobody.
 */
#include "_native.h"

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

/* input_view(tensor, shape, strides, offset) */
static PyObject *builder_input_view(PyObject *object, PyObject *args)
{
        struct native_builder *self = (struct native_builder *)object;
        PyObject *tensor_object, *shape, *strides_object;
        struct td_type view = { .ndim = 0 };
        int64_t strides[TD_NDIM_MAX];
        struct native_tensor *tensor;
        long long offset;
        size_t n, n_strides;

        if (!PyArg_ParseTuple(args, "OOOL", &tensor_object, &shape, &strides_object, &offset) ||
            !(tensor = to_tensor(tensor_object)) ||
            !native_int64s(shape, TD_E_RANK_LIMIT, "shape", view.shape, TD_NDIM_MAX, &n) ||
            !native_int64s(strides_object, TD_E_BAD_VIEW, "strides", strides, TD_NDIM_MAX,
                           &n_strides))
                return NULL;
        if (n != n_strides)
                return native_raise_code(TD_E_BAD_VIEW, "a view of %zu extents has %zu strides", n,
                                         n_strides);
        if (PyList_Append(self->tensors, tensor_object))
                return NULL;
        view.dtype = td_tensor_type(tensor->tensor)->dtype;
        view.ndim = (uint8_t)n;
        return builder_value(
                self, td_builder_input_view(self->builder, tensor->tensor, &view, strides, offset));
}

/* Of a type whose extents are small enough to be immediate; INT64_MAX for all others. */
static int64_t immediate_n_bytes(const struct td_type *type)
{
        static const int sizes[] = {
#define TD_DTYPE(sym, name, kind, ctype, size, npy) size,
#include "tensord/dtypes.def"
#undef TD_DTYPE
        };
        int64_t n = sizes[type->dtype];

        for (unsigned i = 0; i < type->ndim; i++)
                if (type->shape[i] < 0 || __builtin_mul_overflow(n, type->shape[i], &n))
                        return INT64_MAX;
        return n;
}

/* immediate(dtype, shape, buffer in C order) */
static PyObject *builder_immediate(PyObject *object, PyObject *args)
{
        struct native_builder *self = (struct native_builder *)object;
        PyObject *dtype, *shape, *buffer, *result;
        struct td_type type;
        Py_buffer view;

        if (!PyArg_ParseTuple(args, "OOO", &dtype, &shape, &buffer) ||
            !native_type(dtype, shape, &type) ||
            PyObject_GetBuffer(buffer, &view, PyBUF_C_CONTIGUOUS))
                return NULL;
        if (view.len != immediate_n_bytes(&type))
                result = native_raise_code(TD_E_BAD_PROGRAM,
                                           "%zd bytes do not fill the immediate's shape", view.len);
        else
                result = builder_value(self, td_builder_immediate(self->builder, &type, view.buf));
        PyBuffer_Release(&view);
        return result;
}

static bool scalar_of(PyObject *number, long dtype, union td_scalar *scalarp)
{
        int truth;

        switch (dtype) {
        case TD_BOOL:
                truth = PyObject_IsTrue(number);
                scalarp->b = truth > 0;
                return truth >= 0;
        case TD_INT64:
                scalarp->i = PyLong_AsLongLong(number);
                return scalarp->i != -1 || !PyErr_Occurred();
        case TD_FLOAT32:
                scalarp->f = (float)PyFloat_AsDouble(number);
                return !PyErr_Occurred();
        case TD_FLOAT64:
                scalarp->d = PyFloat_AsDouble(number);
                return !PyErr_Occurred();
        default:
                native_raise_code(TD_E_UNSUPPORTED_DTYPE, "no dtype has number %ld", dtype);
                return false;
        }
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
        if ((dtype == -1 && PyErr_Occurred()) || !scalar_of(args[1], dtype, &scalar))
                return NULL;
        type.dtype = (uint8_t)dtype;
        return builder_value(self, td_builder_immediate(self->builder, &type, &scalar));
}

/* ---- attributes ---- */

static bool read_number(PyObject *object, struct td_number *numberp)
{
        if (PyFloat_Check(object)) {
                numberp->is_float = true;
                numberp->d = PyFloat_AsDouble(object);
                return true;
        }
        numberp->is_float = false;
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

static bool read_axes(PyObject *object, struct td_attrs *attrs)
{
        int64_t axes[TD_NDIM_MAX];
        size_t n;

        if (!native_int64s(object, TD_E_BAD_AXIS, "axes", axes, TD_NDIM_MAX, &n))
                return false;
        for (size_t i = 0; i < n; i++) {
                if (axes[i] < INT16_MIN || axes[i] > INT16_MAX) {
                        native_raise_code(TD_E_BAD_AXIS, "axis %lld is out of range",
                                          (long long)axes[i]);
                        return false;
                }
                attrs->axes[i] = (int16_t)axes[i];
        }
        attrs->n_axes = (uint8_t)n;
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

static bool read_dtype(PyObject *object, struct td_attrs *attrs)
{
        long dtype = PyLong_AsLong(object);

        if (dtype == -1 && PyErr_Occurred())
                return false;
        if (dtype < 0 || dtype >= TD_N_DTYPES) {
                native_raise_code(TD_E_UNSUPPORTED_DTYPE, "no dtype has number %ld", dtype);
                return false;
        }
        attrs->dtype = (uint8_t)dtype;
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
        const char *name = PyUnicode_AsUTF8AndSize(key, NULL);
        uint32_t attr = 0;
        bool ok = false;

        if (!name)
                return false;
        if (!strcmp(name, "dtype"))
                attr = TD_ATTR_DTYPE, ok = read_dtype(value, attrs);
        else if (!strcmp(name, "shape"))
                attr = TD_ATTR_SHAPE,
                ok = read_extents(value, TD_E_RANK_LIMIT, "shape", attrs->shape, &attrs->n_shape);
        else if (!strcmp(name, "axes"))
                attr = TD_ATTR_AXES, ok = read_axes(value, attrs);
        else if (!strcmp(name, "keepdims"))
                attr = TD_ATTR_KEEPDIMS, ok = read_bool(value, &attrs->keepdims);
        else if (!strcmp(name, "start"))
                attr = TD_ATTR_START,
                ok = read_extents(value, TD_E_BAD_PROGRAM, "start", attrs->start, &attrs->n_start);
        else if (!strcmp(name, "step"))
                attr = TD_ATTR_STEP,
                ok = read_extents(value, TD_E_BAD_PROGRAM, "step", attrs->step, &attrs->n_step);
        else if (!strcmp(name, "value"))
                attr = TD_ATTR_VALUE, ok = read_number(value, &attrs->value);
        else if (!strcmp(name, "range"))
                attr = TD_ATTR_RANGE, ok = read_range(value, attrs->range);
        else if (!strcmp(name, "k"))
                attr = TD_ATTR_K, ok = native_int64(value, TD_E_BAD_PROGRAM, "k", &attrs->k);
        else if (!strcmp(name, "rcond"))
                attr = TD_ATTR_RCOND, ok = read_double(value, &attrs->rcond);
        else if (!strcmp(name, "upper"))
                attr = TD_ATTR_UPPER, ok = read_bool(value, &attrs->upper);
        else
                native_raise_code(TD_E_BAD_PROGRAM, "there is no attribute %s", name);
        attrs->set |= attr;
        return ok;
}

/* ---- operations ---- */

/* A tuple of value numbers. */
static bool read_values(PyObject *tuple, int *values, size_t max, size_t *np)
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

/*
 * op(number, values, attributes or None, number of results) -> value, or tuple of values if there
 * are several
 */
static PyObject *builder_op(PyObject *object, PyObject *const *args, Py_ssize_t n_args)
{
        struct native_builder *self = (struct native_builder *)object;
        int values[TD_ARGS_MAX], results[TD_RESULTS_MAX];
        struct td_attrs attrs = { .set = 0 };
        PyObject *key, *value;
        Py_ssize_t at = 0;
        long op, n_results;
        size_t n_values;
        int r;

        if (n_args != 4) {
                PyErr_SetString(PyExc_TypeError, "op(number, values, attributes, n_results)");
                return NULL;
        }
        op = PyLong_AsLong(args[0]);
        n_results = PyLong_AsLong(args[3]);
        if (PyErr_Occurred() || !read_values(args[1], values, TD_ARGS_MAX, &n_values))
                return NULL;
        if (args[2] != Py_None && !PyDict_Check(args[2])) {
                PyErr_SetString(PyExc_TypeError, "attributes are a dict");
                return NULL;
        }
        while (args[2] != Py_None && PyDict_Next(args[2], &at, &key, &value))
                if (!read_attr(key, value, &attrs))
                        return NULL;
        r = td_builder_op(self->builder, (enum td_op)op, &attrs, values, n_values, results);
        if (r < 0 || n_results == 1)
                return builder_value(self, r < 0 ? r : results[0]);
        return values_tuple(results, (size_t)n_results);
}

/* loop_begin(steps, captures, carried) -> values of the body */
static PyObject *builder_loop_begin(PyObject *object, PyObject *args)
{
        int captures[TD_ARGS_MAX], carried[TD_ARGS_MAX], body[2 * TD_ARGS_MAX + 1];
        struct native_builder *self = (struct native_builder *)object;
        PyObject *captures_object, *carried_object;
        size_t n_captures, n_carried;
        long long n_steps;
        int n;

        if (!PyArg_ParseTuple(args, "LO!O!", &n_steps, &PyTuple_Type, &captures_object,
                              &PyTuple_Type, &carried_object) ||
            !read_values(captures_object, captures, TD_ARGS_MAX, &n_captures) ||
            !read_values(carried_object, carried, TD_ARGS_MAX, &n_carried))
                return NULL;
        n = td_builder_loop_begin(self->builder, n_steps, captures, n_captures, carried, n_carried,
                                  body);
        if (n < 0)
                return builder_value(self, n);
        return values_tuple(body, (size_t)n);
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
            !read_values(results_object, results, TD_RESULTS_MAX, &n_results) ||
            !read_values(watch_object, watch, TD_RESULTS_MAX, &n_watch))
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
        return Py_BuildValue("iN", (int)type->dtype, native_int64_tuple(type->shape, type->ndim));
}

static PyMethodDef builder_methods[] = {
        { "input", builder_input, METH_O, NULL },
        { "input_view", builder_input_view, METH_VARARGS, NULL },
        { "immediate", builder_immediate, METH_VARARGS, NULL },
        { "scalar", (PyCFunction)(void (*)(void))builder_scalar, METH_FASTCALL, NULL },
        { "op", (PyCFunction)(void (*)(void))builder_op, METH_FASTCALL, NULL },
        { "loop_begin", builder_loop_begin, METH_VARARGS, NULL },
        { "loop_end", builder_loop_end, METH_VARARGS, NULL },
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
