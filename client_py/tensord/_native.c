/* SPDX-License-Identifier: MIT */
/*
 * The module
 *
 * Tables (dtypes, operations, errors) as Python objects, conversions that the types share, and
 * the one way from a td_error to an exception: a callable that the package sets makes it, so that
 * the classes are written in Python.
 *
 * The module's objects are process-wide: one interpreter.
 */
#include "_native_lazy.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static PyObject *error_factory; /* callable(code name, message, node or None) -> exception */

PyObject *native_raise(const td_error *error)
{
        const char *name = td_error_name(error->code);
        PyObject *exception;

        if (PyErr_Occurred()) /* what interrupted it */
                return NULL;
        if (!error_factory) {
                PyErr_Format(PyExc_RuntimeError, "%s: %s", name ? name : "error", error->message);
                return NULL;
        }
        if (error->node >= 0)
                exception = PyObject_CallFunction(error_factory, "ssi", name, error->message,
                                                  (int)error->node);
        else
                exception =
                        PyObject_CallFunction(error_factory, "ssO", name, error->message, Py_None);
        if (exception)
                PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        Py_XDECREF(exception);
        return NULL;
}

PyObject *native_raise_code(int code, const char *format, ...)
{
        td_error error = { .code = code, .node = -1 };
        va_list args;

        va_start(args, format);
        vsnprintf(error.message, sizeof(error.message), format, args);
        va_end(args);
        return native_raise(&error);
}

bool native_int64(PyObject *object, int code, const char *what, int64_t *valuep)
{
        PyObject *index = PyNumber_Index(object);
        long long value;
        int overflow;

        if (!index)
                return false;
        value = PyLong_AsLongLongAndOverflow(index, &overflow);
        Py_DECREF(index);
        if (overflow) {
                native_raise_code(code, "%s does not fit 64 bits", what);
                return false;
        }
        if (value == -1 && PyErr_Occurred())
                return false;
        *valuep = value;
        return true;
}

bool native_int64s(PyObject *object, int code, const char *what, int64_t *values, size_t max,
                   size_t *np)
{
        Py_ssize_t n = PySequence_Size(object);

        if (n < 0)
                return false;
        if ((size_t)n > max) {
                native_raise_code(code, "%s: %zd entries are more than the limit of %zu", what, n,
                                  max);
                return false;
        }
        for (Py_ssize_t i = 0; i < n; i++) {
                PyObject *item = PySequence_GetItem(object, i);
                bool ok = item && native_int64(item, code, what, &values[i]);

                Py_XDECREF(item);
                if (!ok)
                        return false;
        }
        *np = (size_t)n;
        return true;
}

bool native_view(const td_tensor *tensor, PyObject *shape, PyObject *strides_object,
                 struct td_type *view, int64_t *strides)
{
        size_t n, n_strides;

        if (!native_int64s(shape, TD_E_RANK_LIMIT, "shape", view->shape, TD_NDIM_MAX, &n) ||
            !native_int64s(strides_object, TD_E_BAD_VIEW, "strides", strides, TD_NDIM_MAX,
                           &n_strides))
                return false;
        if (n != n_strides) {
                native_raise_code(TD_E_BAD_VIEW, "a view of %zu extents has %zu strides", n,
                                  n_strides);
                return false;
        }
        view->dtype = td_tensor_type(tensor)->dtype;
        view->ndim = (uint8_t)n;
        return true;
}

bool native_type(PyObject *dtype, PyObject *shape, struct td_type *typep)
{
        struct td_type type = { .ndim = 0 };
        Py_ssize_t ndim = PySequence_Size(shape);
        long number = PyLong_AsLong(dtype);
        size_t n;

        if (ndim < 0 || (number == -1 && PyErr_Occurred()))
                return false;
        if (number < 0 || number >= TD_N_DTYPES) {
                native_raise_code(TD_E_UNSUPPORTED_DTYPE, "no dtype has number %ld", number);
                return false;
        }
        if (ndim > TD_NDIM_MAX) {
                native_raise_code(TD_E_RANK_LIMIT, "%zd dimensions are more than the limit of %d",
                                  ndim, TD_NDIM_MAX);
                return false;
        }
        if (!native_int64s(shape, TD_E_BAD_SHAPE, "an extent", type.shape, TD_NDIM_MAX, &n))
                return false;
        type.dtype = (uint8_t)number;
        type.ndim = (uint8_t)n;
        *typep = type;
        return true;
}

bool native_name(PyObject *object, const char **namep)
{
        const char *name;
        Py_ssize_t n;

        if (object == Py_None) {
                *namep = NULL;
                return true;
        }
        if (!PyUnicode_Check(object)) {
                PyErr_SetString(PyExc_TypeError, "a name is a str");
                return false;
        }
        name = PyUnicode_AsUTF8AndSize(object, &n);
        if (!name) {
                PyErr_Clear();
                native_raise_code(TD_E_BAD_NAME,
                                  "the name has code points that UTF-8 does not encode");
                return false;
        }
        if (strlen(name) != (size_t)n) {
                native_raise_code(TD_E_BAD_NAME, "the name has a NUL in it");
                return false;
        }
        *namep = name;
        return true;
}

PyObject *native_int64_tuple(const int64_t *values, size_t n)
{
        PyObject *tuple = PyTuple_New((Py_ssize_t)n);

        for (size_t i = 0; tuple && i < n; i++) {
                PyObject *item = PyLong_FromLongLong(values[i]);

                if (!item) {
                        Py_DECREF(tuple);
                        return NULL;
                }
                PyTuple_SetItem(tuple, (Py_ssize_t)i, item);
        }
        return tuple;
}

bool native_add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **typep)
{
        PyTypeObject *type = (PyTypeObject *)PyType_FromSpec(spec);

        if (!type)
                return false;
        *typep = type;
        return PyModule_AddType(module, type) == 0;
}

static PyObject *module_set_error_factory(PyObject *module, PyObject *callable)
{
        PyObject *previous = error_factory;

        (void)module;
        Py_INCREF(callable);
        error_factory = callable;
        Py_XDECREF(previous);
        Py_RETURN_NONE;
}

/* Steals item. */
static bool append(PyObject *list, PyObject *item)
{
        int r = item ? PyList_Append(list, item) : -1;

        Py_XDECREF(item);
        return r == 0;
}

/* (name, number, item size, .npy descriptor) */
static bool fill_dtypes(PyObject *list)
{
        static const struct {
                const char *name;
                int size;
                const char *npy;
        } rows[] = {
#define TD_DTYPE(sym, name, kind, ctype, size, npy) { name, size, npy },
#include "tensord/dtypes.def"
#undef TD_DTYPE
        };

        for (int i = 0; i < TD_N_DTYPES; i++)
                if (!append(list,
                            Py_BuildValue("siis", rows[i].name, i, rows[i].size, rows[i].npy)))
                        return false;
        return true;
}

/* (name, number, results, may it fail on data, sentence) */
static bool fill_ops(PyObject *list)
{
        static const struct {
                const char *name;
                int n_results;
                int may_fail;
                const char *doc;
        } rows[] = {
#define TD_OP(sym, name, rule, min_args, max_args, results, attrs, may_fail, doc)                  \
        { name, results, may_fail, doc },
#include "tensord/ops.def"
#undef TD_OP
        };

        for (int i = 0; i < TD_N_OPS; i++)
                if (!append(list,
                            Py_BuildValue("siiis", rows[i].name, i, rows[i].n_results,
                                          rows[i].may_fail, rows[i].doc)))
                        return false;
        return true;
}

/* (name, number, exception, sentence) */
static bool fill_errors(PyObject *list)
{
        static const struct {
                int number;
                const char *name;
                const char *exception;
                const char *doc;
        } rows[] = {
#define TD_ERROR(sym, number, name, exception, doc) { number, name, #exception, doc },
#include "tensord/errors.def"
#undef TD_ERROR
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                if (!append(list, Py_BuildValue("siss", rows[i].name, rows[i].number,
                                                rows[i].exception, rows[i].doc)))
                        return false;
        return true;
}

static bool add_table(PyObject *module, const char *name, bool (*fill)(PyObject *list))
{
        PyObject *list = PyList_New(0);
        PyObject *tuple = list && fill(list) ? PyList_AsTuple(list) : NULL;
        int r = tuple ? PyModule_AddObjectRef(module, name, tuple) : -1;

        Py_XDECREF(list);
        Py_XDECREF(tuple);
        return r == 0;
}

static PyMethodDef module_methods[] = {
        { "set_error_factory", module_set_error_factory, METH_O,
          "The callable that makes exceptions." },
        { "infer", (PyCFunction)(void (*)(void))native_infer, METH_FASTCALL,
          "What an operation yields, as [(dtype, shape), ...]." },
        { "lend", native_lend, METH_VARARGS, "A DLPack capsule over an array's memory." },
        { "compute", (PyCFunction)(void (*)(void))lazy_compute, METH_FASTCALL,
          "The results of an operation, pending." },
        { "run_one", (PyCFunction)(void (*)(void))lazy_run_one, METH_FASTCALL,
          "The tensor that a value of one operation is; None: not without a plan." },
        { "drop_if_empty", lazy_drop_if_empty, METH_VARARGS,
          "Delete an entry of a table whose value is an empty dict." },
        { "set_package", lazy_set_package, METH_O, "Classes and functions, by name." },
        { NULL, NULL, 0, NULL },
};

static struct PyModuleDef module_def = {
        PyModuleDef_HEAD_INIT,
        .m_name = "tensord._native",
        .m_doc = "libtensord for the tensord package; not for direct use.",
        .m_size = -1,
        .m_methods = module_methods,
};

PyMODINIT_FUNC PyInit__native(void);
PyMODINIT_FUNC PyInit__native(void)
{
        PyObject *module = PyModule_Create(&module_def);

        if (!module)
                return NULL;
        if (!native_client_add(module) || !native_tensor_add(module) ||
            !native_builder_add(module) || !native_function_add(module) ||
            !native_lease_add(module) || !native_pending_add(module) || !native_hold_add(module) ||
            !native_stop_add(module) || !lazy_add(module) ||
            !add_table(module, "DTYPES", fill_dtypes) ||
            !add_table(module, "OPS", fill_ops) || !add_table(module, "ERRORS", fill_errors) ||
            PyModule_AddStringConstant(module, "VERSION", td_version()) ||
            PyModule_AddIntConstant(module, "NDIM_MAX", TD_NDIM_MAX) ||
            PyModule_AddIntConstant(module, "ARGS_MAX", TD_ARGS_MAX) ||
            PyModule_AddIntConstant(module, "INLINE_MAX", TD_INLINE_MAX) ||
            PyModule_AddIntConstant(module, "VALUES_MAX", TD_VALUES_MAX) ||
            PyModule_AddIntConstant(module, "MESSAGE_MAX", TD_MESSAGE_MAX) ||
            PyModule_AddIntConstant(module, "OUTPUTS_MAX", TD_OUTPUTS_MAX) ||
            PyModule_AddIntConstant(module, "MAP_READ", TD_MAP_READ) ||
            PyModule_AddIntConstant(module, "MAP_COW", TD_MAP_COW) ||
            PyModule_AddIntConstant(module, "MAP_WRITE", TD_MAP_WRITE)) {
                Py_DECREF(module);
                return NULL;
        }
        return module;
}
