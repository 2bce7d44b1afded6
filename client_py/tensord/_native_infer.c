/* SPDX-License-Identifier: MIT */
/*
 * Inference
 *
 * What an operation yields, asked when a program is written.
 */
#include "_native.h"

#include <stdio.h>

#include "tensord/infer_client.h"

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

/* An object with attributes `_number` and `shape`, the shape known. */
static bool read_operand(PyObject *operand, struct td_type *typep)
{
        PyObject *dtype = PyObject_GetAttrString(operand, "_number");
        PyObject *shape = PyObject_GetAttrString(operand, "shape");
        struct td_refusal refusal;
        bool ok = dtype && shape && native_type(dtype, shape, typep);

        if (ok && td_check_type_of("input", typep, &refusal)) {
                native_refuse(&refusal);
                ok = false;
        }
        Py_XDECREF(dtype);
        Py_XDECREF(shape);
        return ok;
}

static PyObject *types_list(const struct td_type *types, int n)
{
        PyObject *list = PyList_New(n);

        for (int i = 0; list && i < n; i++) {
                PyObject *item = native_type_tuple(&types[i]);

                if (item)
                        PyList_SetItem(list, i, item);
                else
                        Py_CLEAR(list);
        }
        return list;
}

PyObject *native_refuse(const struct td_refusal *refusal)
{
        td_error error = { .code = refusal->code, .node = -1 };

        snprintf(error.message, sizeof(error.message), "%s", refusal->message);
        return native_raise(&error);
}

PyObject *native_infer(PyObject *module, PyObject *const *args, Py_ssize_t n_args)
{
        struct td_type types[TD_ARGS_MAX], results[TD_RESULTS_MAX];
        struct td_attrs attrs = { .set = 0 };
        struct td_refusal refusal;
        Py_ssize_t n;
        long op;

        (void)module;
        if (n_args != 3 || !PyTuple_Check(args[1])) {
                PyErr_SetString(PyExc_TypeError, "infer(number, operands, attributes)");
                return NULL;
        }
        op = PyLong_AsLong(args[0]);
        if ((op == -1 && PyErr_Occurred()) || !native_attrs(args[2], &attrs))
                return NULL;
        n = PyTuple_Size(args[1]);
        if (n > TD_ARGS_MAX)
                return native_raise_code(TD_E_BAD_PROGRAM,
                                         "%zd values are more than the limit of %d", n,
                                         TD_ARGS_MAX);
        for (Py_ssize_t i = 0; i < n; i++)
                if (!read_operand(PyTuple_GetItem(args[1], i), &types[i]))
                        return NULL;
        if (op < 0 || op >= TD_N_OPS || td_op_has_body((enum td_op)op) || op == TD_OP_USER)
                return native_raise_code(TD_E_BAD_PROGRAM,
                                         "operation %ld with %zd arguments is not to be had", op,
                                         n);
        if (td_infer((enum td_op)op, &attrs, (uint32_t)n, types, results, &refusal))
                return native_refuse(&refusal);
        return types_list(results, td_op_info((enum td_op)op)->n_results);
}
