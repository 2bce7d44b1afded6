/* SPDX-License-Identifier: MIT */
/*
 * Stop
 *
 * Ends the waits of one call from another thread: stop.call(f, args, keywords) calls f on this
 * thread; once stop.set() was called anywhere, whatever of the call waits for a run, a lease or a
 * name ends (td_set_interrupt()), and raises Cancelled.
 *
 * `current` is the calling thread's own; the flag alone is met by others.
 */
#include "_native.h"

#include <stdatomic.h>

struct native_stop {
        PyObject_HEAD
        atomic_bool is_set;
};

static PyTypeObject *stop_type;

/* Kept by the call that set it. A thread has it from its beginning on: what is allocated at first
 * use can fail, and glibc's locks about it are not seen by the thread sanitizer. */
static _Thread_local struct native_stop *current __attribute__((tls_model("initial-exec")));

bool native_is_stopped(void)
{
        return current && atomic_load_explicit(&current->is_set, memory_order_relaxed);
}

static PyObject *stop_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
        struct native_stop *self;

        (void)args;
        (void)keywords;
        self = PyObject_New(struct native_stop, type);
        if (self)
                atomic_init(&self->is_set, false);
        return (PyObject *)self;
}

static void stop_dealloc(PyObject *object)
{
        PyTypeObject *type = Py_TYPE(object);

        PyObject_Free(object);
        Py_DECREF(type);
}

static PyObject *stop_set(PyObject *object, PyObject *unused)
{
        struct native_stop *self = (struct native_stop *)object;

        (void)unused;
        atomic_store_explicit(&self->is_set, true, memory_order_relaxed);
        Py_RETURN_NONE;
}

/* call(function, args, keywords) */
static PyObject *stop_call(PyObject *object, PyObject *args)
{
        struct native_stop *self = (struct native_stop *)object, *previous = current;
        PyObject *function, *arguments, *keywords, *result;

        if (!PyArg_ParseTuple(args, "OO!O!", &function, &PyTuple_Type, &arguments, &PyDict_Type,
                              &keywords))
                return NULL;
        if (atomic_load_explicit(&self->is_set, memory_order_relaxed))
                return native_raise_code(TD_E_CANCELLED, "cancelled before it began");
        current = self;
        result = PyObject_Call(function, arguments, keywords);
        current = previous;
        return result;
}

static PyMethodDef stop_methods[] = {
        { "set", stop_set, METH_NOARGS, NULL },
        { "call", stop_call, METH_VARARGS, NULL },
        { NULL, NULL, 0, NULL },
};

static PyType_Slot stop_slots[] = {
        { Py_tp_new, stop_new },
        { Py_tp_dealloc, stop_dealloc },
        { Py_tp_methods, stop_methods },
        { 0, NULL },
};

static PyType_Spec stop_spec = {
        .name = "tensord._native.Stop",
        .basicsize = sizeof(struct native_stop),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = stop_slots,
};

bool native_stop_add(PyObject *module)
{
        return native_add_type(module, &stop_spec, &stop_type);
}
