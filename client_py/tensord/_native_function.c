/* SPDX-License-Identifier: MIT */
/*
 * Function
 *
 * A td_function, made by Client.define(). It holds its client; the count of the calls under way
 * is the client's.
 */
#include "_native.h"

static PyTypeObject *function_type;

struct native_function {
        PyObject_HEAD
        td_function *function;
        struct native_client *client; /* owned reference */
};

/* Client.define(builder, values) -> Function */
PyObject *native_define(PyObject *object, PyObject *const *args, Py_ssize_t n_args)
{
        struct native_client *client_object = (struct native_client *)object;
        td_function *function = NULL;
        int values[TD_OUTPUTS_MAX];
        struct native_function *self;
        const td_builder *builder;
        td_client *client;
        td_error error;
        size_t n;
        int r;

        if (n_args != 2 || Py_TYPE(args[0]) != native_builder_type || !PyTuple_Check(args[1])) {
                PyErr_SetString(PyExc_TypeError, "define(builder, values)");
                return NULL;
        }
        if (!native_values(args[1], values, TD_OUTPUTS_MAX, &n))
                return NULL;
        builder = ((struct native_builder *)args[0])->builder;
        client = native_client_enter(client_object);
        if (!client)
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_define(client, builder, values, n, &function, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(client_object);
        if (r)
                return native_raise(&error);
        self = PyObject_New(struct native_function, function_type);
        if (!self) {
                td_function_free(function);
                return NULL;
        }
        self->function = function;
        self->client = client_object;
        Py_INCREF(object);
        return (PyObject *)self;
}

static void function_dealloc(PyObject *object)
{
        struct native_function *self = (struct native_function *)object;
        PyTypeObject *type = Py_TYPE(object);

        Py_BEGIN_ALLOW_THREADS
        td_function_free(self->function);
        Py_END_ALLOW_THREADS
        Py_DECREF(self->client);
        PyObject_Free(object);
        Py_DECREF(type);
}

/* call(builder of the arguments, outputs) -> tensors; an output's number is not looked at */
static PyObject *function_call(PyObject *object, PyObject *const *args, Py_ssize_t n_args)
{
        struct native_function *self = (struct native_function *)object;
        td_tensor *tensors[TD_OUTPUTS_MAX] = { NULL };
        td_output outputs[TD_OUTPUTS_MAX];
        const td_builder *arguments;
        td_error error;
        size_t n;
        int r;

        if (n_args != 2 || Py_TYPE(args[0]) != native_builder_type) {
                PyErr_SetString(PyExc_TypeError, "call(builder, outputs)");
                return NULL;
        }
        arguments = ((struct native_builder *)args[0])->builder;
        if (!native_outputs(args[1], outputs, &n) || !native_client_enter(self->client))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_function_call(self->function, arguments, outputs, n, tensors, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self->client);
        if (r)
                return native_raise(&error);
        return native_wrap_outputs(self->client, tensors, n, NULL);
}

static PyMethodDef function_methods[] = {
        { "call", (PyCFunction)(void (*)(void))function_call, METH_FASTCALL, NULL },
        { NULL, NULL, 0, NULL },
};

static PyType_Slot function_slots[] = {
        { Py_tp_dealloc, function_dealloc },
        { Py_tp_methods, function_methods },
        { 0, NULL },
};

static PyType_Spec function_spec = {
        .name = "tensord._native.Function",
        .basicsize = sizeof(struct native_function),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = function_slots,
};

bool native_function_add(PyObject *module)
{
        return native_add_type(module, &function_spec, &function_type);
}
