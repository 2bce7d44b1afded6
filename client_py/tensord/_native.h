/* SPDX-License-Identifier: MIT */
/*
 * The native part of the Python package
 *
 * Eight types over libtensord's public API - Client, Tensor, Mapping, Lease, Builder, Function,
 * Pending, Stop - and Hold, without any policy: arguments are positional, dtypes and operations are
 * numbers, shapes are tuples. The Python files beside it make it pleasant. What every operation on
 * arrays goes through is here, too: _native_lazy.h.
 *
 * The limited API only, so one build serves every Python from 3.11 on; numpy is met through the
 * buffer protocol and its array interface alone. The GIL protects the objects; it is released
 * around every call that may wait for the daemon.
 */
#pragma once

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "tensord/tensord.h"

struct native_client {
        PyObject_HEAD
        td_client *client; /* NULL once it is closed and no call uses it any more */
        unsigned n_calls;  /* calls under way, on any thread */
        bool is_closed;
};

struct native_tensor {
        PyObject_HEAD
        td_tensor *tensor;
        struct native_client *client; /* owned reference */
};

struct native_mapping {
        PyObject_HEAD
        td_mapping *mapping;
        bool is_writable;
};

struct native_builder {
        PyObject_HEAD
        td_builder *builder;
        PyObject *tensors; /* list: the inputs, alive until the builder is gone */
        PyObject *tell;    /* callable, told of progress; NULL: none */
};

extern PyTypeObject *native_client_type;
extern PyTypeObject *native_tensor_type;
extern PyTypeObject *native_mapping_type;
extern PyTypeObject *native_builder_type;

/* Set the exception for an error; NULL, to be returned. */
PyObject *native_raise(const td_error *error);
PyObject *native_raise_code(int code, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/*
 * A Python int as int64; false with the exception of that code (of Python's own for what is no
 * integer).
 */
bool native_int64(PyObject *object, int code, const char *what, int64_t *valuep);
/* A sequence of ints; at most max of them. */
bool native_int64s(PyObject *object, int code, const char *what, int64_t *values, size_t max,
                   size_t *np);
/* dtype number and shape. */
bool native_type(PyObject *dtype, PyObject *shape, struct td_type *typep);
/* What a buffer says of its elements' places, for the dtype that the caller knows it has. */
bool native_buffer_type(const Py_buffer *view, PyObject *dtype, struct td_type *typep,
                        int64_t *strides);
/* A view of the tensor: shape and strides. */
bool native_view(const td_tensor *tensor, PyObject *shape, PyObject *strides_object,
                 struct td_type *view, int64_t *strides);
/* str or None; *namep lives as long as the object. */
bool native_name(PyObject *object, const char **namep);
PyObject *native_int64_tuple(const int64_t *values, size_t n);

/*
 * Between the two the client stays open, whatever other threads do. NULL with an exception if it
 * is closed.
 */
td_client *native_client_enter(struct native_client *self);
void native_client_leave(struct native_client *self);

/* Did another thread stop the call that this one is in? Needs no GIL. */
bool native_is_stopped(void);

/* A tuple of value numbers. */
bool native_values(PyObject *tuple, int *values, size_t max, size_t *np);
/*
 * A tuple of at most TD_OUTPUTS_MAX outputs, each a value's number, or (number, name or None,
 * how, map), or (number, None, 0, False, the input that it goes into); how is of enum td_how.
 */
bool native_outputs(PyObject *tuple, td_output *outputs, size_t *np);
/*
 * A tuple of Tensor, None for NULL; takes the tensors over, all or none. Where an exception is set,
 * of what interrupted it, that stays, and they go - but into the list `kept`, if it is not NULL.
 */
PyObject *native_wrap_outputs(struct native_client *client, td_tensor **tensors, size_t n,
                              PyObject *kept);

/* Client.define */
PyObject *native_define(PyObject *object, PyObject *const *args, Py_ssize_t n_args);

/* A number as one of that dtype; false with an exception. */
bool native_scalar(PyObject *number, long dtype, union td_scalar *scalarp);
/* A dict, or None for no attributes. */
bool native_attrs(PyObject *object, struct td_attrs *attrs);
/* (dtype, shape); an extent that depends on data is None. */
PyObject *native_type_tuple(const struct td_type *type);
/* Set the exception for what the inference refuses; NULL. */
struct td_refusal;
PyObject *native_refuse(const struct td_refusal *refusal);
/* infer(number of the operation, operands, attributes or None) -> [(dtype, shape), ...] */
PyObject *native_infer(PyObject *module, PyObject *const *args, Py_ssize_t n_args);

/* lend(array, kind of dtype, is_versioned, flags) -> a DLPack capsule */
PyObject *native_lend(PyObject *module, PyObject *args);

/* Takes tensor over. */
PyObject *native_tensor_wrap(struct native_client *client, td_tensor *tensor);

/* Add a type to the module. false with an exception. */
bool native_add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **typep);
bool native_client_add(PyObject *module);
bool native_tensor_add(PyObject *module);
bool native_builder_add(PyObject *module);
bool native_function_add(PyObject *module);
bool native_lease_add(PyObject *module);
bool native_pending_add(PyObject *module);
bool native_hold_add(PyObject *module);
bool native_stop_add(PyObject *module);
