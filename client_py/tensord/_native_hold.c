/* SPDX-License-Identifier: MIT */
/*
 * Hold
 *
 * A lock, held for a block. From Python 3.14 on an interrupt may come between a lock's own
 * __enter__ and the block, and nobody would ever let go of it. This object holds it from within one
 * call, and lets go of it when the block is left, or when the object goes, as it does then.
 */
#include "_native.h"

static PyTypeObject *hold_type;

struct native_hold {
        PyObject_HEAD
        PyObject *lock;
        bool is_held;
};

/* Hold(lock): of anything with acquire() and release() that are written in C */
static PyObject *hold_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
        struct native_hold *self;
        PyObject *lock;

        (void)kwargs;
        if (!PyArg_ParseTuple(args, "O", &lock))
                return NULL;
        self = PyObject_New(struct native_hold, type);
        if (!self)
                return NULL;
        self->lock = lock;
        Py_INCREF(lock);
        self->is_held = false;
        return (PyObject *)self;
}

static PyObject *hold_enter(PyObject *object, PyObject *unused)
{
        struct native_hold *self = (struct native_hold *)object;
        PyObject *done;

        (void)unused;
        if (self->is_held) {
                PyErr_SetString(PyExc_RuntimeError, "it is held already");
                return NULL;
        }
        done = PyObject_CallMethod(self->lock, "acquire", NULL);
        if (!done)
                return NULL;
        self->is_held = true;
        Py_DECREF(done);
        Py_RETURN_NONE;
}

static bool let_go(struct native_hold *self)
{
        PyObject *done;

        if (!self->is_held)
                return true;
        self->is_held = false;
        done = PyObject_CallMethod(self->lock, "release", NULL);
        Py_XDECREF(done);
        return done != NULL;
}

static PyObject *hold_exit(PyObject *object, PyObject *exception)
{
        (void)exception;
        if (!let_go((struct native_hold *)object))
                return NULL;
        Py_RETURN_NONE;
}

static void hold_dealloc(PyObject *object)
{
        struct native_hold *self = (struct native_hold *)object;
        PyTypeObject *type = Py_TYPE(object);
        PyObject *type_of, *value, *traceback;

        PyErr_Fetch(&type_of, &value, &traceback);
        if (!let_go(self))
                PyErr_WriteUnraisable(self->lock);
        PyErr_Restore(type_of, value, traceback);
        Py_DECREF(self->lock);
        PyObject_Free(object);
        Py_DECREF(type);
}

static PyMethodDef hold_methods[] = {
        { "__enter__", hold_enter, METH_NOARGS, NULL },
        { "__exit__", hold_exit, METH_VARARGS, NULL },
        { NULL, NULL, 0, NULL },
};

static PyType_Slot hold_slots[] = {
        { Py_tp_new, hold_new },
        { Py_tp_dealloc, hold_dealloc },
        { Py_tp_methods, hold_methods },
        { 0, NULL },
};

static PyType_Spec hold_spec = {
        .name = "tensord._native.Hold",
        .basicsize = sizeof(struct native_hold),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = hold_slots,
};

bool native_hold_add(PyObject *module)
{
        return native_add_type(module, &hold_spec, &hold_type);
}
