/* SPDX-License-Identifier: MIT */
/*
 * Inference
 *
 * What an operation yields, asked when a program is written: a builder with a parameter for each
 * operand and this one operation, thrown away.
 */
#include "_native.h"

PyObject *native_type_tuple(const struct td_type *type)
{
        PyObject *shape = PyTuple_New(type->ndim);

        for (Py_ssize_t i = 0; shape && i < type->ndim; i++) {
                PyObject *extent = Py_None;

                if (type->shape[i] >= 0)
                        extent = PyLong_FromLongLong(type->shape[i]);
                else
                        Py_INCREF(extent);
                if (extent)
                        PyTuple_SetItem(shape, i, extent);
                else
                        Py_CLEAR(shape);
        }
        return shape ? Py_BuildValue("iN", (int)type->dtype, shape) : NULL;
}

/* The results that begin with that value. */
static PyObject *types_from(const td_builder *builder, int value)
{
        PyObject *list = PyList_New(0);
        const struct td_type *type;

        while (list && (type = td_builder_type(builder, value++))) {
                PyObject *item = native_type_tuple(type);

                if (!item || PyList_Append(list, item))
                        Py_CLEAR(list);
                Py_XDECREF(item);
        }
        return list;
}

/* One parameter for each operand: an object with attributes `_number` and `shape`. */
static bool add_operands(td_builder *builder, PyObject *operands, int *values, size_t *np)
{
        Py_ssize_t n = PyTuple_Size(operands);

        if (n < 0)
                return false;
        if (n > TD_ARGS_MAX) {
                native_raise_code(TD_E_BAD_PROGRAM, "%zd values are more than the limit of %d", n,
                                  TD_ARGS_MAX);
                return false;
        }
        for (Py_ssize_t i = 0; i < n; i++) {
                PyObject *operand = PyTuple_GetItem(operands, i);
                PyObject *dtype = PyObject_GetAttrString(operand, "_number");
                PyObject *shape = PyObject_GetAttrString(operand, "shape");
                struct td_type type;
                bool ok = dtype && shape && native_type(dtype, shape, &type);

                Py_XDECREF(dtype);
                Py_XDECREF(shape);
                if (!ok)
                        return false;
                values[i] = td_builder_parameter(builder, &type);
        }
        *np = (size_t)n;
        return true;
}

PyObject *native_infer(PyObject *module, PyObject *const *args, Py_ssize_t n_args)
{
        struct td_attrs attrs = { .set = 0 };
        int values[TD_ARGS_MAX], first;
        td_builder *builder;
        PyObject *result = NULL;
        td_error error;
        size_t n_values;
        long op;

        (void)module;
        if (n_args != 3) {
                PyErr_SetString(PyExc_TypeError, "infer(number, operands, attributes)");
                return NULL;
        }
        op = PyLong_AsLong(args[0]);
        if ((op == -1 && PyErr_Occurred()) || !native_attrs(args[2], &attrs))
                return NULL;
        builder = td_builder_new();
        if (!builder)
                return PyErr_NoMemory();
        if (add_operands(builder, args[1], values, &n_values)) {
                first = td_builder_op(builder, (enum td_op)op, &attrs, values, n_values, NULL);
                if (first >= 0) {
                        result = types_from(builder, first);
                } else {
                        td_builder_check(builder, &error);
                        error.node = -1; /* of this trial */
                        native_raise(&error);
                }
        }
        td_builder_free(builder);
        return result;
}
