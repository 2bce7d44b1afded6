/* SPDX-License-Identifier: MIT */
/*
 * Pending
 *
 * A run that is sent now, and whose answer is waited for later, once. It is made before it is sent,
 * so that whoever has it loses nothing where he is interrupted in between. The client stays open
 * until then; an answer that nobody waited for is cancelled and waited for when this object goes.
 */
#include "_native.h"

static PyTypeObject *pending_type;

struct native_pending {
        PyObject_HEAD
        td_pending *pending;          /* NULL before it is sent, and once it was waited for */
        struct native_client *client; /* owned reference */
        size_t n;
        td_tensor *tensors[TD_OUTPUTS_MAX];
};

/* Pending(client) */
static PyObject *pending_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
        struct native_pending *self;
        PyObject *client;

        (void)kwargs;
        if (!PyArg_ParseTuple(args, "O!", native_client_type, &client))
                return NULL;
        self = PyObject_New(struct native_pending, type);
        if (!self)
                return NULL;
        self->pending = NULL;
        self->client = (struct native_client *)client;
        Py_INCREF(client);
        return (PyObject *)self;
}

/* submit(builder, outputs) */
static PyObject *pending_submit(PyObject *object, PyObject *args)
{
        struct native_pending *self = (struct native_pending *)object;
        td_output outputs[TD_OUTPUTS_MAX];
        PyObject *builder, *rows;
        td_pending *pending;
        td_client *client;
        td_error error;
        int r;

        if (!PyArg_ParseTuple(args, "O!O", native_builder_type, &builder, &rows))
                return NULL;
        if (self->pending) {
                PyErr_SetString(PyExc_RuntimeError, "it is under way already");
                return NULL;
        }
        if (!native_outputs(rows, outputs, &self->n) ||
            !(client = native_client_enter(self->client)))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_submit(client, ((struct native_builder *)builder)->builder, outputs, self->n,
                      self->tensors, &pending, &error);
        Py_END_ALLOW_THREADS
        if (r) {
                native_client_leave(self->client);
                return native_raise(&error);
        }
        self->pending = pending;
        Py_RETURN_NONE;
}

static PyObject *pending_get_is_under_way(PyObject *object, void *unused)
{
        (void)unused;
        return PyBool_FromLong(((struct native_pending *)object)->pending != NULL);
}

/* wait(list): the tensors are put into the list; nothing is where it is not under way */
static PyObject *pending_wait(PyObject *object, PyObject *kept)
{
        struct native_pending *self = (struct native_pending *)object;
        td_pending *pending = self->pending;
        PyObject *tensors;
        td_error error;
        int r;

        if (!pending)
                Py_RETURN_NONE;
        self->pending = NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_wait(pending, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self->client);
        if (r)
                return native_raise(&error);
        tensors = native_wrap_outputs(self->client, self->tensors, self->n, kept);
        if (!tensors)
                return NULL;
        Py_DECREF(tensors);
        Py_RETURN_NONE;
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
        { "submit", pending_submit, METH_VARARGS, NULL },
        { "wait", pending_wait, METH_O, NULL },
        { NULL, NULL, 0, NULL },
};

static PyGetSetDef pending_getset[] = {
        { "is_under_way", pending_get_is_under_way, NULL, NULL, NULL },
        { NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot pending_slots[] = {
        { Py_tp_new, pending_new },
        { Py_tp_dealloc, pending_dealloc },
        { Py_tp_methods, pending_methods },
        { Py_tp_getset, pending_getset },
        { 0, NULL },
};

static PyType_Spec pending_spec = {
        .name = "tensord._native.Pending",
        .basicsize = sizeof(struct native_pending),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = pending_slots,
};

bool native_pending_add(PyObject *module)
{
        return native_add_type(module, &pending_spec, &pending_type);
}
