/* SPDX-License-Identifier: MIT */
/*
 * Client
 *
 * A td_client with a count of the calls under way: close() may come from another thread in the
 * midst of one, then the last call to leave closes. The count is kept under the GIL.
 */
#include "_native.h"

#include <unistd.h>

PyTypeObject *native_client_type;

td_client *native_client_enter(struct native_client *self)
{
        if (self->is_closed || !self->client) {
                native_raise_code(TD_E_CLOSED, "the client was closed");
                return NULL;
        }
        self->n_calls++;
        return self->client;
}

static void client_shut(struct native_client *self)
{
        td_client *client = self->client;

        if (!client || self->n_calls)
                return;
        self->client = NULL;
        Py_BEGIN_ALLOW_THREADS
        td_close(client);
        Py_END_ALLOW_THREADS
}

void native_client_leave(struct native_client *self)
{
        self->n_calls--;
        if (self->is_closed)
                client_shut(self);
}

/*
 * A call that was stopped (Stop); or Ctrl-C, on the one thread on which Python handles signals: the
 * exception stays set, for whoever waited.
 */
static bool is_interrupted(void *ctx)
{
        PyGILState_STATE state;
        bool is;

        (void)ctx;
        if (native_is_stopped())
                return true;
        if (gettid() != getpid())
                return false;
        state = PyGILState_Ensure();
        is = PyErr_CheckSignals() != 0;
        PyGILState_Release(state);
        return is;
}

static PyObject *client_connect(PyObject *module, PyObject *args)
{
        PyObject *address_object, *daemon_object, *name_object;
        td_options options = { .busy_poll_us = -1 };
        struct native_client *self;
        td_client *client = NULL;
        td_error error;
        long long memory_wait_ms;
        int no_start, r;

        (void)module;
        if (!PyArg_ParseTuple(args, "OOpiiOL", &address_object, &daemon_object, &no_start,
                              &options.busy_poll_us, &options.timeout_ms, &name_object,
                              &memory_wait_ms))
                return NULL;
        options.memory_wait_ms = memory_wait_ms;
        options.no_start = no_start;
        if (!native_name(address_object, &options.address) ||
            !native_name(daemon_object, &options.daemon_path) ||
            !native_name(name_object, &options.client_name))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_connect(&client, &options, &error);
        if (r == TD_OK) /* where there is no thread to be had, it does without */
                td_attend(client, NULL);
        Py_END_ALLOW_THREADS
        if (r)
                return native_raise(&error);
        self = PyObject_New(struct native_client, native_client_type);
        if (!self) {
                td_close(client);
                return NULL;
        }
        td_set_interrupt(client, is_interrupted, NULL);
        self->client = client;
        self->n_calls = 0;
        self->is_closed = false;
        return (PyObject *)self;
}

static void client_dealloc(PyObject *object)
{
        PyTypeObject *type = Py_TYPE(object);

        client_shut((struct native_client *)object);
        PyObject_Free(object);
        Py_DECREF(type);
}

static PyObject *client_close(PyObject *object, PyObject *unused)
{
        struct native_client *self = (struct native_client *)object;

        (void)unused;
        self->is_closed = true;
        client_shut(self);
        Py_RETURN_NONE;
}

static PyObject *client_ping(PyObject *object, PyObject *unused)
{
        struct native_client *self = (struct native_client *)object;
        td_client *client = native_client_enter(self);
        td_error error;
        int r;

        (void)unused;
        if (!client)
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_ping(client, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self);
        if (r)
                return native_raise(&error);
        Py_RETURN_NONE;
}

bool native_buffer_type(const Py_buffer *view, PyObject *dtype, struct td_type *typep,
                        int64_t *strides)
{
        PyObject *shape;
        bool ok;

        if (view->ndim > TD_NDIM_MAX) {
                native_raise_code(TD_E_RANK_LIMIT, "%d dimensions are more than the limit of %d",
                                  view->ndim, TD_NDIM_MAX);
                return false;
        }
        static_assert(sizeof(Py_ssize_t) == sizeof(int64_t), "extents of a buffer are 64-bit");
        shape = native_int64_tuple((const int64_t *)view->shape, (size_t)view->ndim);
        ok = shape && native_type(dtype, shape, typep);
        Py_XDECREF(shape);
        for (int i = 0; ok && i < view->ndim; i++)
                strides[i] = view->strides[i];
        return ok;
}

/* put(array, dtype, order, name, how) */
static PyObject *client_put(PyObject *object, PyObject *args)
{
        struct native_client *self = (struct native_client *)object;
        PyObject *array, *dtype, *name_object;
        int64_t strides[TD_NDIM_MAX];
        td_tensor *tensor = NULL;
        struct td_type type;
        td_client *client;
        const char *name;
        Py_buffer view;
        td_error error;
        unsigned how;
        int order, r;

        if (!PyArg_ParseTuple(args, "OOCOI", &array, &dtype, &order, &name_object, &how) ||
            !native_name(name_object, &name) || PyObject_GetBuffer(array, &view, PyBUF_STRIDED_RO))
                return NULL;
        if (!native_buffer_type(&view, dtype, &type, strides) ||
            !(client = native_client_enter(self))) {
                PyBuffer_Release(&view);
                return NULL;
        }
        Py_BEGIN_ALLOW_THREADS
        r = td_put(client, view.buf, &type, strides, (char)order, name, how, &tensor, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self);
        PyBuffer_Release(&view);
        return r ? native_raise(&error) : native_tensor_wrap(self, tensor);
}

/* create(dtype, shape, order, name, how, is_mutable) */
static PyObject *client_create(PyObject *object, PyObject *args)
{
        struct native_client *self = (struct native_client *)object;
        PyObject *dtype, *shape, *name_object;
        td_tensor *tensor = NULL;
        struct td_type type;
        td_client *client;
        const char *name;
        td_error error;
        unsigned how;
        int order, is_mutable, r;

        if (!PyArg_ParseTuple(args, "OOCOIp", &dtype, &shape, &order, &name_object, &how,
                              &is_mutable) ||
            !native_name(name_object, &name) || !native_type(dtype, shape, &type) ||
            !(client = native_client_enter(self)))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = (is_mutable ? td_create_mutable : td_create)(client, &type, (char)order, name, how,
                                                         &tensor, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self);
        return r ? native_raise(&error) : native_tensor_wrap(self, tensor);
}

/* A name that must be there; false: an exception is set. */
static bool wanted_name(PyObject *object, const char **namep)
{
        if (!native_name(object, namep))
                return false;
        if (!*namep)
                PyErr_SetString(PyExc_TypeError, "a name is a str");
        return *namep != NULL;
}

/* The client, to be left again, and a name for it; NULL and an exception. */
static td_client *enter_with_name(struct native_client *self, PyObject *object, const char **namep)
{
        return wanted_name(object, namep) ? native_client_enter(self) : NULL;
}

/* open(name, owner, map): owner -1: one's own */
static PyObject *client_open(PyObject *object, PyObject *args)
{
        struct native_client *self = (struct native_client *)object;
        td_tensor *tensor = NULL;
        const char *name = NULL;
        PyObject *name_object;
        td_client *client;
        long long owner;
        td_error error;
        int map, r;

        if (!PyArg_ParseTuple(args, "OLp", &name_object, &owner, &map) ||
            !(client = enter_with_name(self, name_object, &name)))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_open_of(client, owner, name, map, &tensor, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self);
        return r ? native_raise(&error) : native_tensor_wrap(self, tensor);
}

/* wait(name, owner, milliseconds): -1: for ever */
static PyObject *client_wait(PyObject *object, PyObject *args)
{
        struct native_client *self = (struct native_client *)object;
        long long owner, wait_ms;
        td_tensor *tensor = NULL;
        const char *name = NULL;
        PyObject *name_object;
        td_client *client;
        td_error error;
        int r;

        if (!PyArg_ParseTuple(args, "OLL", &name_object, &owner, &wait_ms) ||
            !(client = enter_with_name(self, name_object, &name)))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_await(client, owner, name, wait_ms, false, &tensor, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self);
        return r ? native_raise(&error) : native_tensor_wrap(self, tensor);
}

static PyObject *client_open_id(PyObject *object, PyObject *id_object)
{
        struct native_client *self = (struct native_client *)object;
        td_tensor *tensor = NULL;
        td_client *client;
        td_error error;
        char *id;
        Py_ssize_t n;
        int r;

        if (PyBytes_AsStringAndSize(id_object, &id, &n))
                return NULL;
        if (n != 16)
                return native_raise_code(TD_E_BAD_ARGUMENTS, "an id has 16 bytes, this has %zd", n);
        client = native_client_enter(self);
        if (!client)
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_open_id(client, (const uint8_t *)id, &tensor, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self);
        return r ? native_raise(&error) : native_tensor_wrap(self, tensor);
}

static PyObject *client_delete(PyObject *object, PyObject *name_object)
{
        struct native_client *self = (struct native_client *)object;
        const char *name = NULL;
        td_client *client;
        td_error error;
        int r;

        client = enter_with_name(self, name_object, &name);
        if (!client)
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_delete(client, name, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self);
        if (r)
                return native_raise(&error);
        Py_RETURN_NONE;
}

/* [(name, dtype, shape, n_bytes, id, lost), ...]; of what is lost id is None, else lost */
static PyObject *list_rows(const td_list *list)
{
        PyObject *rows = PyList_New(0);

        for (size_t i = 0; rows && i < td_list_size(list); i++) {
                const td_list_row *row = td_list_at(list, i);
                PyObject *shape = native_int64_tuple(row->type.shape, row->type.ndim);
                PyObject *item = shape ? Py_BuildValue("siNKy#z", row->name, (int)row->type.dtype,
                                                       shape, (unsigned long long)row->n_bytes,
                                                       (const char *)row->id, (Py_ssize_t)16,
                                                       row->lost)
                                       : NULL;

                if (!item || PyList_Append(rows, item))
                        Py_CLEAR(rows);
                Py_XDECREF(item);
        }
        return rows;
}

/* list(prefix, owner) */
static PyObject *client_list(PyObject *object, PyObject *args)
{
        struct native_client *self = (struct native_client *)object;
        PyObject *prefix_object, *rows;
        const char *prefix;
        td_list *list = NULL;
        td_client *client;
        long long owner;
        td_error error;
        int r;

        if (!PyArg_ParseTuple(args, "OL", &prefix_object, &owner) ||
            !native_name(prefix_object, &prefix) || !(client = native_client_enter(self)))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_list_with_lost(client, owner, prefix, &list, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self);
        if (r)
                return native_raise(&error);
        rows = list_rows(list);
        td_list_free(list);
        return rows;
}

/* call(method, params as MessagePack or None) -> MessagePack */
static PyObject *client_call(PyObject *object, PyObject *args)
{
        struct native_client *self = (struct native_client *)object;
        const char *method, *params;
        Py_ssize_t n_params;
        void *result = NULL;
        size_t n_result = 0;
        td_client *client;
        PyObject *bytes;
        td_error error;
        int r;

        if (!PyArg_ParseTuple(args, "sz#", &method, &params, &n_params) ||
            !(client = native_client_enter(self)))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_call(client, method, params, (size_t)n_params, &result, &n_result, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self);
        if (r)
                return native_raise(&error);
        bytes = PyBytes_FromStringAndSize(result, (Py_ssize_t)n_result);
        td_free(result);
        return bytes;
}

static bool read_output(PyObject *item, td_output *outputp)
{
        PyObject *name;
        int map, into = -1;
        unsigned how;

        *outputp = (td_output){ .value = -1 };
        if (PyLong_Check(item)) {
                outputp->value = (int)PyLong_AsLong(item);
                return outputp->value >= 0 || !PyErr_Occurred();
        }
        if (!PyArg_ParseTuple(item, "iOIp|i", &outputp->value, &name, &how, &map, &into) ||
            !native_name(name, &outputp->name))
                return false;
        outputp->replace = how & TD_REPLACE;
        outputp->evictable = how & TD_EVICTABLE;
        outputp->map = map;
        outputp->has_into = into >= 0;
        outputp->into = into;
        return true;
}

bool native_outputs(PyObject *tuple, td_output *outputs, size_t *np)
{
        Py_ssize_t n = PyTuple_Size(tuple);

        if (n < 0)
                return false;
        if (n > TD_OUTPUTS_MAX) {
                native_raise_code(TD_E_BAD_PROGRAM, "%zd outputs are more than the limit of %d", n,
                                  TD_OUTPUTS_MAX);
                return false;
        }
        for (Py_ssize_t i = 0; i < n; i++)
                if (!read_output(PyTuple_GetItem(tuple, i), &outputs[i]))
                        return false;
        *np = (size_t)n;
        return true;
}

/* Tensors that find no object are given back. */
PyObject *native_wrap_outputs(struct native_client *client, td_tensor **tensors, size_t n,
                              PyObject *kept)
{
        PyObject *type, *value, *traceback, *tuple;

        PyErr_Fetch(&type, &value, &traceback); /* interrupted, but the answer was there before */
        tuple = type && !kept ? NULL : PyTuple_New((Py_ssize_t)n);
        for (size_t i = 0; i < n; i++) {
                PyObject *item = NULL;

                if (!tuple) {
                        td_tensor_free(tensors[i]);
                        continue;
                }
                if (tensors[i])
                        item = native_tensor_wrap(client, tensors[i]);
                else
                        Py_INCREF(item = Py_None);
                if (item)
                        PyTuple_SetItem(tuple, (Py_ssize_t)i, item);
                else
                        Py_CLEAR(tuple);
        }
        if (tuple && kept && PyList_SetSlice(kept, 0, 0, tuple))
                Py_CLEAR(tuple);
        if (type) {
                Py_CLEAR(tuple);
                PyErr_Restore(type, value, traceback);
        }
        return tuple;
}

/* run(builder, outputs[, list]) -> tensors, which are put into the list, too */
static PyObject *client_run(PyObject *object, PyObject *const *args, Py_ssize_t n_args)
{
        struct native_client *self = (struct native_client *)object;
        td_tensor *tensors[TD_OUTPUTS_MAX] = { NULL };
        td_output outputs[TD_OUTPUTS_MAX];
        const td_builder *builder;
        td_client *client;
        td_error error;
        size_t n;
        int r;

        if (n_args < 2 || n_args > 3 || Py_TYPE(args[0]) != native_builder_type) {
                PyErr_SetString(PyExc_TypeError, "run(builder, outputs[, list])");
                return NULL;
        }
        builder = ((struct native_builder *)args[0])->builder;
        if (!native_outputs(args[1], outputs, &n))
                return NULL;
        client = native_client_enter(self);
        if (!client)
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        r = td_run(client, builder, outputs, n, tensors, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(self);
        if (r)
                return native_raise(&error);
        return native_wrap_outputs(self, tensors, n, n_args > 2 ? args[2] : NULL);
}

static PyObject *client_get_address(PyObject *object, void *unused)
{
        struct native_client *self = (struct native_client *)object;

        (void)unused;
        if (!self->client)
                Py_RETURN_NONE;
        return PyUnicode_DecodeFSDefault(td_address(self->client));
}

static PyObject *client_get_is_closed(PyObject *object, void *unused)
{
        (void)unused;
        return PyBool_FromLong(((struct native_client *)object)->is_closed);
}

static PyMethodDef client_methods[] = {
        { "close", client_close, METH_NOARGS, NULL },
        { "ping", client_ping, METH_NOARGS, NULL },
        { "put", client_put, METH_VARARGS, NULL },
        { "create", client_create, METH_VARARGS, NULL },
        { "open", client_open, METH_VARARGS, NULL },
        { "wait", client_wait, METH_VARARGS, NULL },
        { "open_id", client_open_id, METH_O, NULL },
        { "delete", client_delete, METH_O, NULL },
        { "list", client_list, METH_VARARGS, NULL },
        { "call", client_call, METH_VARARGS, NULL },
        { "define", (PyCFunction)(void (*)(void))native_define, METH_FASTCALL, NULL },
        { "run", (PyCFunction)(void (*)(void))client_run, METH_FASTCALL, NULL },
        { NULL, NULL, 0, NULL },
};

static PyGetSetDef client_getset[] = {
        { "address", client_get_address, NULL, NULL, NULL },
        { "is_closed", client_get_is_closed, NULL, NULL, NULL },
        { NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot client_slots[] = {
        { Py_tp_dealloc, client_dealloc },
        { Py_tp_methods, client_methods },
        { Py_tp_getset, client_getset },
        { 0, NULL },
};

static PyType_Spec client_spec = {
        .name = "tensord._native.Client",
        .basicsize = sizeof(struct native_client),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = client_slots,
};

static PyMethodDef connect_methods[] = {
        { "connect", client_connect, METH_VARARGS, NULL },
        { NULL, NULL, 0, NULL },
};

bool native_client_add(PyObject *module)
{
        return native_add_type(module, &client_spec, &native_client_type) &&
               PyModule_AddFunctions(module, connect_methods) == 0;
}
