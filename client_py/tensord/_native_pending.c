/* SPDX-License-Identifier: MIT */
/*
 * Pending
 *
 * A run that was sent, and whose answer is waited for later, once. The client stays open until
 * then; an answer that nobody waited for is cancelled and waited for when this object goes.
 */
#include "_native.h"

static PyTypeObject *pending_type;

struct native_pending {
        PyObject_HEAD
        td_pending *pending;          /* NULL once it was waited for */
        struct native_client *client; /* owned reference */
        size_t n;
        td_tensor *tensors[TD_OUTPUTS_MAX];
};

/* submit(builder, outputs) -> Pending */
PyObject *native_submit(PyObject *object, PyObject *const *args, Py_ssize_t n_args)
{
        struct native_client *client_object = (struct native_client *)object;
        td_output outputs[TD_OUTPUTS_MAX];
        struct native_pending *self;
        const td_builder *builder;
        td_client *client;
        td_error error;
        int r;

        if (n_args != 2 || Py_TYPE(args[0]) != native_builder_type) {
                PyErr_SetString(PyExc_TypeError, "submit(builder, outputs)");
                return NULL;
        }
        self = PyObject_New(struct native_pending, pending_type);
        if (!self)
                return NULL;
        self->pending = NULL;
        self->client = client_object;
        Py_INCREF(object);
        builder = ((struct native_builder *)args[0])->builder;
        if (!native_outputs(args[1], outputs, &self->n) ||
            !(client = native_client_enter(client_object))) {
                Py_DECREF(self);
                return NULL;
        }
        Py_BEGIN_ALLOW_THREADS
        r = td_submit(client, builder, outputs, self->n, self->tensors, &self->pending, &error);
        Py_END_ALLOW_THREADS
        if (!r)
                return (PyObject *)self;
        self->pending = NULL;
        native_client_leave(client_object);
        Py_DECREF(self);
        return native_raise(&error);
}

/* wait(list) -> tensors, which are put into the list, too */
static PyObject *pending_wait(PyObject *object, PyObject *kept)
{
        struct native_pending *self = (struct native_pending *)object;
        td_pending *pending = self->pending;
        td_error error;
        int r;

        if (!pending) {
                PyErr_SetString(PyExc_RuntimeError, "it was waited for already");
                return NULL;
        }
        self->pending = NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_wait(pending, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self->client);
        if (r)
                return native_raise(&error);
        return native_wrap_outputs(self->client, self->tensors, self->n, kept);
}

static void pending_dealloc(PyObject *object)
{
        struct native_pending *self = (struct native_pending *)object;
        PyTypeObject *type = Py_TYPE(object);

        if (self->pending) {
                PyObject *type_of, *value, *traceback;
                int r;

                PyErr_Fetch(&type_of, &value, &traceback); /* waiting may look for signals */
                Py_BEGIN_ALLOW_THREADS
                td_cancel(self->pending);
                r = td_wait(self->pending, NULL);
                Py_END_ALLOW_THREADS
                for (size_t i = 0; !r && i < self->n; i++)
                        td_tensor_free(self->tensors[i]);
                native_client_leave(self->client);
                PyErr_Restore(type_of, value, traceback);
        }
        Py_DECREF((PyObject *)self->client);
        PyObject_Free(object);
        Py_DECREF(type);
}

static PyMethodDef pending_methods[] = {
        { "wait", pending_wait, METH_O, NULL },
        { NULL, NULL, 0, NULL },
};

static PyType_Slot pending_slots[] = {
        { Py_tp_dealloc, pending_dealloc },
        { Py_tp_methods, pending_methods },
        { 0, NULL },
};

static PyType_Spec pending_spec = {
        .name = "tensord._native.Pending",
        .basicsize = sizeof(struct native_pending),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = pending_slots,
};

bool native_pending_add(PyObject *module)
{
        return native_add_type(module, &pending_spec, &pending_type);
}
