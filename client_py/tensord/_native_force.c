/* SPDX-License-Identifier: MIT */
/*
 * Small requests
 *
 * One operation on what exists, most often waited for by somebody who looks at the result of a
 * small computation: its request is made and run here, without a plan. It says of itself where it
 * does not know its way: loops, user kernels, operations of several results, tensors that are
 * mutable, large enough to be given away, or another client's. Those are for the module `_force`,
 * which also marks nodes, before, and hands out results, after.
 */
#include "_native_lazy.h"

#include "tensord/infer_client.h"

/* An operand as a value of the builder; OTHER for what is not for here. */
static enum lazy_answer add_input(td_builder *builder, PyObject *client, PyObject *operand,
                                  int64_t n_bytes_max, int *valuep)
{
        const struct lazy_tensor *tensor = (struct lazy_tensor *)operand;
        const td_tensor *handle;
        int64_t strides[TD_NDIM_MAX];
        struct td_type view;

        if (tensor->is_mutable || tensor->client != client || !lazy_has(tensor->handle) ||
            Py_TYPE(tensor->handle) != native_tensor_type)
                return LAZY_OTHER;
        handle = ((struct native_tensor *)tensor->handle)->tensor;
        if (td_type_n_bytes(td_tensor_type(handle)) >= n_bytes_max)
                return LAZY_OTHER;
        if (!lazy_has(tensor->strides)) {
                *valuep = td_builder_input(builder, handle);
        } else {
                if (!native_view(handle, tensor->shape, tensor->strides, &view, strides))
                        return LAZY_FAILED;
                *valuep = td_builder_input_view(builder, handle, &view, strides, tensor->offset);
        }
        return LAZY_ORDINARY;
}

static enum lazy_answer add_operand(td_builder *builder, PyObject *client, PyObject *operand,
                                    int64_t n_bytes_max, int *valuep)
{
        if (PyObject_TypeCheck(operand, lazy.value) &&
            !lazy_has(((struct lazy_value *)operand)->node))
                operand = ((struct lazy_value *)operand)->leaf;
        if (operand && Py_TYPE(operand) == lazy.tensor)
                return add_input(builder, client, operand, n_bytes_max, valuep);
        if (operand && Py_TYPE(operand) == lazy.scalar) {
                const struct lazy_scalar *scalar = (struct lazy_scalar *)operand;
                struct td_type type = { .dtype = (uint8_t)scalar->dtype };
                union td_scalar number = { .i = 0 };

                if (!native_scalar(scalar->value, scalar->dtype, &number))
                        return LAZY_FAILED;
                *valuep = td_builder_immediate(builder, &type, &number);
                return LAZY_ORDINARY;
        }
        return LAZY_OTHER;
}

/* The operation with all that it needs. */
static enum lazy_answer build(td_builder *builder, PyObject *client, const struct lazy_node *node,
                              int64_t n_bytes_max)
{
        Py_ssize_t n = node->args ? PyTuple_Size(node->args) : -1;
        struct td_attrs attrs = { .set = 0 };
        int values[TD_ARGS_MAX], op;
        td_error error;

        op = lazy_op_number(node->op);
        if (op < 0 || n < 0 || n > TD_ARGS_MAX || td_op_info((enum td_op)op)->n_results != 1 ||
            lazy_has(node->loop) || lazy_has(node->block) ||
            (lazy_has(node->attrs) && !PyDict_Check(node->attrs)))
                return LAZY_OTHER;
        if (lazy_has(node->attrs) && !native_attrs(node->attrs, &attrs))
                return LAZY_FAILED;
        for (Py_ssize_t i = 0; i < n; i++) {
                PyObject *operand = PyTuple_GetItem(node->args, i);
                enum lazy_answer answer;
                Py_ssize_t before = 0;

                while (before < i && PyTuple_GetItem(node->args, before) != operand)
                        before++;
                values[i] = before < i ? values[before] : -1;
                answer = before < i
                                 ? LAZY_ORDINARY
                                 : add_operand(builder, client, operand, n_bytes_max, &values[i]);
                if (answer != LAZY_ORDINARY)
                        return answer;
        }
        td_builder_op(builder, (enum td_op)op, &attrs, values, (size_t)n, NULL);
        if (td_builder_check(builder, &error) == TD_OK)
                return LAZY_ORDINARY;
        native_raise(&error);
        return LAZY_FAILED;
}

/* A Tensor of all of what is in the daemon; takes it over. */
static PyObject *wrap(PyObject *client, struct native_client *native, td_tensor *handle)
{
        const struct td_type *type = td_tensor_type(handle);
        struct lazy_tensor *tensor = lazy_new(lazy.tensor);

        if (!tensor) {
                td_tensor_free(handle);
                return NULL;
        }
        tensor->dtype = type->dtype;
        tensor->is_mutable = td_tensor_is_mutable(handle);
        tensor->shape = native_int64_tuple(type->shape, type->ndim);
        tensor->handle = native_tensor_wrap(native, handle);
        if (!tensor->shape || !tensor->handle) {
                Py_DECREF((PyObject *)tensor);
                return NULL;
        }
        Py_INCREF(client);
        tensor->client = client;
        return (PyObject *)tensor;
}

static PyObject *run(PyObject *client, const td_builder *builder)
{
        PyObject *native_object = PyObject_GetAttrString(client, "_native"), *result = NULL;
        struct native_client *native = (struct native_client *)native_object;
        td_output output = { .value = -1 };
        td_tensor *tensor = NULL;
        td_client *entered;
        td_error error;
        int r;

        for (int i = 0; td_builder_type(builder, i); i++)
                output.value = i; /* the last is the operation's */
        if (native_object && Py_TYPE(native_object) == native_client_type &&
            (entered = native_client_enter(native))) {
                Py_BEGIN_ALLOW_THREADS
                r = td_run(entered, builder, &output, 1, &tensor, &error);
                Py_END_ALLOW_THREADS
                native_client_leave(native);
                result = r ? native_raise(&error) : wrap(client, native, tensor);
        }
        Py_XDECREF(native_object);
        return result;
}

PyObject *lazy_run_one(PyObject *module, PyObject *const *args, Py_ssize_t n_args)
{
        enum lazy_answer answer = LAZY_OTHER;
        PyObject *result = NULL;
        td_builder *builder;
        int64_t n_bytes_max;
        PyObject *node;

        (void)module;
        if (n_args != 3 || !lazy.value || !PyObject_TypeCheck(args[1], lazy.value)) {
                PyErr_SetString(PyExc_TypeError, "run_one(client, value, bytes)");
                return NULL;
        }
        n_bytes_max = PyLong_AsLongLong(args[2]);
        if (n_bytes_max == -1 && PyErr_Occurred())
                return NULL;
        node = ((struct lazy_value *)args[1])->node;
        if (!lazy_has(node))
                Py_RETURN_NONE;
        builder = td_builder_new();
        if (!builder)
                return PyErr_NoMemory();
        Py_INCREF(node);
        answer = build(builder, args[0], (struct lazy_node *)node, n_bytes_max);
        if (answer == LAZY_ORDINARY)
                result = run(args[0], builder);
        Py_DECREF(node);
        td_builder_free(builder);
        if (answer == LAZY_OTHER)
                Py_RETURN_NONE;
        return result;
}
