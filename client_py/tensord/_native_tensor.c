/* SPDX-License-Identifier: MIT */
/*
 * Tensor and Mapping
 *
 * A Mapping exports its memory by the buffer protocol; whoever shows that memory (a
 * numpy.ndarray, as its base) owns a reference to the Mapping, so that the memory stays as long
 * as it is seen. Mappings know no client and no tensor: those may go before.
 */
#include "_native.h"

#include <string.h>

PyTypeObject *native_tensor_type;
PyTypeObject *native_mapping_type;

/* ---- Mapping ---- */

static void mapping_dealloc(PyObject *object)
{
        struct native_mapping *self = (struct native_mapping *)object;
        PyTypeObject *type = Py_TYPE(object);

        Py_BEGIN_ALLOW_THREADS
        td_mapping_free(self->mapping);
        Py_END_ALLOW_THREADS
        PyObject_Free(object);
        Py_DECREF(type);
}

static int mapping_getbuffer(PyObject *object, Py_buffer *view, int flags)
{
        struct native_mapping *self = (struct native_mapping *)object;

        return PyBuffer_FillInfo(view, object, td_mapping_data(self->mapping),
                                 (Py_ssize_t)td_mapping_n_bytes(self->mapping), !self->is_writable,
                                 flags);
}

/* The tensor was sealed: from now on the buffer is exported read-only. */
static PyObject *mapping_freeze(PyObject *object, PyObject *unused)
{
        (void)unused;
        ((struct native_mapping *)object)->is_writable = false;
        Py_RETURN_NONE;
}

static PyMethodDef mapping_methods[] = {
        { "freeze", mapping_freeze, METH_NOARGS, NULL },
        { NULL, NULL, 0, NULL },
};

static PyType_Slot mapping_slots[] = {
        { Py_tp_dealloc, mapping_dealloc },
        { Py_bf_getbuffer, mapping_getbuffer },
        { Py_tp_methods, mapping_methods },
        { 0, NULL },
};

static PyType_Spec mapping_spec = {
        .name = "tensord._native.Mapping",
        .basicsize = sizeof(struct native_mapping),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = mapping_slots,
};

/* ---- Tensor ---- */

PyObject *native_tensor_wrap(struct native_client *client, td_tensor *tensor)
{
        /* Interrupted, but the answer was there before. */
        struct native_tensor *self = PyErr_Occurred() ? NULL
                                                      : PyObject_New(struct native_tensor,
                                                                     native_tensor_type);

        if (!self) {
                td_tensor_free(tensor);
                return NULL;
        }
        self->tensor = tensor;
        Py_INCREF((PyObject *)client);
        self->client = client;
        return (PyObject *)self;
}

static void tensor_dealloc(PyObject *object)
{
        struct native_tensor *self = (struct native_tensor *)object;
        PyTypeObject *type = Py_TYPE(object);

        Py_BEGIN_ALLOW_THREADS
        td_tensor_free(self->tensor);
        Py_END_ALLOW_THREADS
        Py_DECREF((PyObject *)self->client);
        PyObject_Free(object);
        Py_DECREF(type);
}

/* map(mode, share) */
static PyObject *tensor_map(PyObject *object, PyObject *args)
{
        struct native_tensor *self = (struct native_tensor *)object;
        struct native_mapping *result;
        td_mapping *mapping = NULL;
        td_error error;
        int mode, share, r;

        if (!PyArg_ParseTuple(args, "ip", &mode, &share) || !native_client_enter(self->client))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_map(self->tensor, (enum td_map_mode)mode, share, &mapping, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self->client);
        if (r)
                return native_raise(&error);
        result = PyObject_New(struct native_mapping, native_mapping_type);
        if (!result) {
                td_mapping_free(mapping);
                return NULL;
        }
        result->mapping = mapping;
        result->is_writable = mode != TD_MAP_READ;
        return (PyObject *)result;
}

static PyObject *element_of(const void *at, unsigned dtype)
{
        static const size_t sizes[] = {
#define TD_DTYPE(sym, name, kind, ctype, size, npy) size,
#include "tensord/dtypes.def"
#undef TD_DTYPE
        };
        union td_scalar scalar;

        memcpy(&scalar, at, sizes[dtype]);
        switch (dtype) {
        case TD_BOOL:
                return PyBool_FromLong(scalar.b);
        case TD_INT8:
                return PyLong_FromLong(scalar.i8);
        case TD_INT16:
                return PyLong_FromLong(scalar.i16);
        case TD_INT32:
                return PyLong_FromLong(scalar.i32);
        case TD_INT64:
                return PyLong_FromLongLong(scalar.i);
        case TD_UINT8:
                return PyLong_FromLong(scalar.u8);
        case TD_UINT16:
                return PyLong_FromLong(scalar.u16);
        case TD_UINT32:
                return PyLong_FromUnsignedLongLong(scalar.u32);
        case TD_UINT64:
                return PyLong_FromUnsignedLongLong(scalar.u);
        case TD_FLOAT32:
                return PyFloat_FromDouble((double)scalar.f);
        case TD_FLOAT64:
                return PyFloat_FromDouble(scalar.d);
        case TD_COMPLEX64:
                return PyComplex_FromDoubles((double)scalar.c[0], (double)scalar.c[1]);
        case TD_COMPLEX128:
                return PyComplex_FromDoubles(scalar.z[0], scalar.z[1]);
        }
        PyErr_SetString(PyExc_SystemError, "a dtype without elements");
        return NULL;
}

/* item(offset): the element there, as a number; the caller says that there is one */
static PyObject *tensor_item(PyObject *object, PyObject *offset_object)
{
        struct native_tensor *self = (struct native_tensor *)object;
        long long offset = PyLong_AsLongLong(offset_object);
        td_mapping *mapping = NULL;
        PyObject *element;
        td_error error;
        int r;

        if ((offset == -1 && PyErr_Occurred()) || !native_client_enter(self->client))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_map(self->tensor, TD_MAP_READ, false, &mapping, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self->client);
        if (r)
                return native_raise(&error);
        element = element_of((const char *)td_mapping_data(mapping) + offset,
                             td_tensor_type(self->tensor)->dtype);
        td_mapping_free(mapping);
        return element;
}

static PyObject *ask(PyObject *object, int (*request)(td_tensor *, td_error *))
{
        struct native_tensor *self = (struct native_tensor *)object;
        td_error error;
        int r;

        if (!native_client_enter(self->client))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = request(self->tensor, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self->client);
        if (r)
                return native_raise(&error);
        Py_RETURN_NONE;
}

static PyObject *tensor_seal(PyObject *object, PyObject *unused)
{
        (void)unused;
        return ask(object, td_seal);
}

static PyObject *tensor_lend(PyObject *object, PyObject *unused)
{
        (void)unused;
        return ask(object, td_lend);
}

/* set_name(name, how) */
static PyObject *tensor_set_name(PyObject *object, PyObject *args)
{
        struct native_tensor *self = (struct native_tensor *)object;
        PyObject *name_object;
        const char *name = NULL;
        td_error error;
        unsigned how;
        int r;

        if (!PyArg_ParseTuple(args, "UI", &name_object, &how) ||
            !native_name(name_object, &name) || !native_client_enter(self->client))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_name(self->tensor, name, how, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self->client);
        if (r)
                return native_raise(&error);
        Py_RETURN_NONE;
}

/* share(is_shared) */
static PyObject *tensor_share(PyObject *object, PyObject *args)
{
        struct native_tensor *self = (struct native_tensor *)object;
        int is_shared, r;
        td_error error;

        if (!PyArg_ParseTuple(args, "p", &is_shared) || !native_client_enter(self->client))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_share(self->tensor, is_shared, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self->client);
        if (r)
                return native_raise(&error);
        Py_RETURN_NONE;
}

/* snapshot(name or None, how, wait_ms) */
static PyObject *tensor_snapshot(PyObject *object, PyObject *args)
{
        struct native_tensor *self = (struct native_tensor *)object;
        td_tensor *snapshot = NULL;
        PyObject *name_object;
        const char *name;
        long long wait_ms;
        td_error error;
        unsigned how;
        int r;

        if (!PyArg_ParseTuple(args, "OIL", &name_object, &how, &wait_ms) ||
            !native_name(name_object, &name) || !native_client_enter(self->client))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_snapshot(self->tensor, name, how, wait_ms, &snapshot, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self->client);
        return r ? native_raise(&error) : native_tensor_wrap(self->client, snapshot);
}

static PyObject *tensor_get_is_shared(PyObject *object, void *unused)
{
        (void)unused;
        return PyBool_FromLong(td_tensor_is_shared(((struct native_tensor *)object)->tensor));
}

/* None: one's own */
static PyObject *tensor_get_owner(PyObject *object, void *unused)
{
        int64_t owner = td_tensor_owner(((struct native_tensor *)object)->tensor);

        (void)unused;
        if (owner < 0)
                Py_RETURN_NONE;
        return PyLong_FromLongLong(owner);
}

static PyObject *tensor_get_dtype(PyObject *object, void *unused)
{
        (void)unused;
        return PyLong_FromLong(td_tensor_type(((struct native_tensor *)object)->tensor)->dtype);
}

static PyObject *tensor_get_shape(PyObject *object, void *unused)
{
        const struct td_type *type = td_tensor_type(((struct native_tensor *)object)->tensor);

        (void)unused;
        return native_int64_tuple(type->shape, type->ndim);
}

static PyObject *tensor_get_strides(PyObject *object, void *unused)
{
        const td_tensor *tensor = ((struct native_tensor *)object)->tensor;

        (void)unused;
        return native_int64_tuple(td_tensor_strides(tensor), td_tensor_type(tensor)->ndim);
}

static PyObject *tensor_get_id(PyObject *object, void *unused)
{
        const uint8_t *id = td_tensor_id(((struct native_tensor *)object)->tensor);

        (void)unused;
        if (!id)
                return native_raise_code(TD_E_GONE, "the tensor is not in the daemon, or gone");
        return PyBytes_FromStringAndSize((const char *)id, 16);
}

static PyObject *tensor_get_name(PyObject *object, void *unused)
{
        const char *name = td_tensor_name(((struct native_tensor *)object)->tensor);

        (void)unused;
        if (!name)
                Py_RETURN_NONE;
        return PyUnicode_FromString(name);
}

static PyObject *tensor_get_is_sealed(PyObject *object, void *unused)
{
        (void)unused;
        return PyBool_FromLong(td_tensor_is_sealed(((struct native_tensor *)object)->tensor));
}

static PyObject *tensor_get_is_mutable(PyObject *object, void *unused)
{
        (void)unused;
        return PyBool_FromLong(td_tensor_is_mutable(((struct native_tensor *)object)->tensor));
}

static PyObject *tensor_get_is_evictable(PyObject *object, void *unused)
{
        (void)unused;
        return PyBool_FromLong(td_tensor_is_evictable(((struct native_tensor *)object)->tensor));
}

static PyMethodDef tensor_methods[] = {
        { "map", tensor_map, METH_VARARGS, NULL },
        { "item", tensor_item, METH_O, NULL },
        { "seal", tensor_seal, METH_NOARGS, NULL },
        { "set_name", tensor_set_name, METH_VARARGS, NULL },
        { "share", tensor_share, METH_VARARGS, NULL },
        { "snapshot", tensor_snapshot, METH_VARARGS, NULL },
        { "lend", tensor_lend, METH_NOARGS, NULL },
        { NULL, NULL, 0, NULL },
};

static PyGetSetDef tensor_getset[] = {
        { "dtype", tensor_get_dtype, NULL, NULL, NULL },
        { "shape", tensor_get_shape, NULL, NULL, NULL },
        { "strides", tensor_get_strides, NULL, NULL, NULL },
        { "id", tensor_get_id, NULL, NULL, NULL },
        { "name", tensor_get_name, NULL, NULL, NULL },
        { "is_sealed", tensor_get_is_sealed, NULL, NULL, NULL },
        { "is_mutable", tensor_get_is_mutable, NULL, NULL, NULL },
        { "is_evictable", tensor_get_is_evictable, NULL, NULL, NULL },
        { "is_shared", tensor_get_is_shared, NULL, NULL, NULL },
        { "owner", tensor_get_owner, NULL, NULL, NULL },
        { NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot tensor_slots[] = {
        { Py_tp_dealloc, tensor_dealloc },
        { Py_tp_methods, tensor_methods },
        { Py_tp_getset, tensor_getset },
        { 0, NULL },
};

static PyType_Spec tensor_spec = {
        .name = "tensord._native.Tensor",
        .basicsize = sizeof(struct native_tensor),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = tensor_slots,
};

bool native_tensor_add(PyObject *module)
{
        return native_add_type(module, &tensor_spec, &native_tensor_type) &&
               native_add_type(module, &mapping_spec, &native_mapping_type);
}
