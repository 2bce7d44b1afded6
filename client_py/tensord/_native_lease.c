/* SPDX-License-Identifier: MIT */
/*
 * Lease
 *
 * What the Python class Lease derives from: a lease that may be held, and the end of its block. An
 * interrupt may come at each line of Python, also at the first of an __exit__, and whoever keeps
 * the traceback would keep the lease; so that is here, and the lease has ended behind it whatever
 * happens.
 *
 * It is one entry's from its beginning on, until it is left or given up: another thread, or a
 * handler, that enters the same object meanwhile is refused, and changes nothing.
 */
#include "_native.h"

#include <assert.h>
#include <structmember.h>

static PyTypeObject *lease_type;

struct native_lease {
        PyObject_HEAD
        td_lease *lease;              /* NULL where it is not held */
        struct native_client *client; /* owned reference, while it is */
        PyObject *entry;              /* whose it is; NULL: nobody's */
        PyObject *array;              /* what it shows; NULL: nothing */
        char is_writing;              /* it is held to write, or about to be */
};

static int end(struct native_lease *self, td_error *error)
{
        struct native_client *client = self->client;
        td_lease *lease = self->lease;
        int r;

        self->lease = NULL;
        self->client = NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_lease_end(lease, error);
        Py_END_ALLOW_THREADS
        Py_XDECREF((PyObject *)client);
        return r;
}

/* enter(entry): any object that is that entry's alone */
static PyObject *lease_enter(PyObject *object, PyObject *entry)
{
        struct native_lease *self = (struct native_lease *)object;

        if (self->entry)
                return native_raise_code(TD_E_BAD_ARGUMENTS, "the lease is held already");
        Py_INCREF(entry);
        self->entry = entry;
        Py_RETURN_NONE;
}

/* It is nobody's, as its end came to. */
static int leave(struct native_lease *self, td_error *error)
{
        int r = end(self, error);

        self->is_writing = 0;
        Py_CLEAR(self->entry);
        return r;
}

/* give_up(entry): it ends, if it is that entry's */
static PyObject *lease_give_up(PyObject *object, PyObject *entry)
{
        struct native_lease *self = (struct native_lease *)object;
        td_error error;

        if (self->entry != entry)
                Py_RETURN_NONE;
        Py_CLEAR(self->array);
        if (leave(self, &error))
                return native_raise(&error);
        if (PyErr_Occurred()) /* interrupted, but it has ended */
                return NULL;
        Py_RETURN_NONE;
}

/* begin(tensor, shape, strides, offset, write, torn, wait_ms): of that view */
static PyObject *lease_begin(PyObject *object, PyObject *args)
{
        struct native_lease *self = (struct native_lease *)object;
        PyObject *tensor_object, *shape, *strides_object;
        int64_t strides[TD_NDIM_MAX];
        struct native_tensor *tensor;
        long long offset, wait_ms;
        td_lease *lease = NULL;
        struct td_type view;
        td_error error;
        int write, torn, r;

        if (!PyArg_ParseTuple(args, "O!OOLppL", native_tensor_type, &tensor_object, &shape,
                              &strides_object, &offset, &write, &torn, &wait_ms))
                return NULL;
        tensor = (struct native_tensor *)tensor_object;
        if (!native_view(tensor->tensor, shape, strides_object, &view, strides) ||
            !native_client_enter(tensor->client))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_lease_begin(tensor->tensor, &view, strides, offset, write, torn, wait_ms, &lease,
                           &error);
        Py_END_ALLOW_THREADS
        native_client_leave(tensor->client);
        if (!r && PyErr_Occurred()) { /* interrupted, but it was granted before */
                td_lease_end(lease, NULL);
                return NULL;
        }
        if (r)
                return native_raise(&error);
        assert(!self->lease); /* who entered it begins one at a time */
        self->lease = lease;
        self->client = tensor->client;
        Py_INCREF((PyObject *)self->client);
        Py_RETURN_NONE;
}

/* Twice does no harm. */
static PyObject *lease_end(PyObject *object, PyObject *unused)
{
        td_error error;

        (void)unused;
        if (end((struct native_lease *)object, &error))
                return native_raise(&error);
        if (PyErr_Occurred()) /* interrupted, but it has ended */
                return NULL;
        Py_RETURN_NONE;
}

static bool freeze(PyObject *array)
{
        PyObject *flags = PyObject_GetAttrString(array, "flags");
        bool is_frozen = flags && !PyObject_SetAttrString(flags, "writeable", Py_False);

        Py_XDECREF(flags);
        return is_frozen;
}

/* Of its failures, that of what was pending is raised, and else that of the end. */
static PyObject *lease_exit(PyObject *object, PyObject *exception)
{
        struct native_lease *self = (struct native_lease *)object;
        PyObject *type, *value, *traceback, *done, *array = self->array;
        td_error error;
        int r;

        (void)exception;
        if (!self->lease || !array)
                return native_raise_code(TD_E_BAD_ARGUMENTS, "the lease is not held");
        self->array = NULL;
        done = freeze(array) ? PyObject_CallMethod(object, "_finish", NULL) : NULL;
        Py_DECREF(array);
        Py_XDECREF(done);
        PyErr_Fetch(&type, &value, &traceback);
        r = leave(self, &error);
        if (!done) {
                PyErr_Restore(type, value, traceback);
                return NULL;
        }
        if (r)
                return native_raise(&error);
        if (PyErr_Occurred()) /* likewise */
                return NULL;
        Py_RETURN_NONE;
}

static void lease_dealloc(PyObject *object)
{
        struct native_lease *self = (struct native_lease *)object;
        PyTypeObject *type = Py_TYPE(object);
        freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
        PyObject *type_of, *value, *traceback;

        PyErr_Fetch(&type_of, &value, &traceback); /* waiting may look for signals */
        end(self, NULL);
        PyErr_Restore(type_of, value, traceback);
        Py_XDECREF(self->array);
        Py_XDECREF(self->entry);
        release(object);
        Py_DECREF(type);
}

static PyMethodDef lease_methods[] = {
        { "_enter", lease_enter, METH_O, NULL },
        { "_give_up", lease_give_up, METH_O, NULL },
        { "_begin", lease_begin, METH_VARARGS, NULL },
        { "_end", lease_end, METH_NOARGS, NULL },
        { "__exit__", lease_exit, METH_VARARGS,
          "Leave the block: what is pending and reads it is computed, and the lease ends." },
        { NULL, NULL, 0, NULL },
};

static PyMemberDef lease_members[] = {
        { "_array", T_OBJECT, offsetof(struct native_lease, array), 0, NULL },
        { "_is_writing", T_BOOL, offsetof(struct native_lease, is_writing), 0, NULL },
        { NULL, 0, 0, 0, NULL },
};

static PyType_Slot lease_slots[] = {
        { Py_tp_dealloc, lease_dealloc },
        { Py_tp_methods, lease_methods },
        { Py_tp_members, lease_members },
        { 0, NULL },
};

static PyType_Spec lease_spec = {
        .name = "tensord._native.Lease",
        .basicsize = sizeof(struct native_lease),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = lease_slots,
};

bool native_lease_add(PyObject *module)
{
        return native_add_type(module, &lease_spec, &lease_type);
}
