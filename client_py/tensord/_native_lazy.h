/* SPDX-License-Identifier: MIT */
/*
 * What lazy arrays are made of
 *
 * The fields of the Python classes Node, Value, Array, Tensor and Scalar. Each of these derives
 * from a type here, which only holds fields, so that operations can be noted without running any
 * Python (_native_compute.c); whatever else the classes do is written in Python.
 *
 * Each begins with references. None is NULL until somebody writes it: see lazy_has().
 */
#pragma once

#include "_native.h"

struct lazy_node {
        PyObject_HEAD
        PyObject *op, *args, *attrs, *block, *loop, *results, *run, *place;
        long long serial;
};

struct lazy_value {
        PyObject_HEAD
        PyObject *node, *shape, *leaf;
        long long serial; /* of its node, when it had one; -1: it never had */
        int index;        /* among the node's results */
        int dtype;
        long cost;
        char was_live;
};

struct lazy_array {
        PyObject_HEAD
        PyObject *client, *shape, *value, *base, *steps, *seen, *lies;
        int dtype;
        long long n_stores; /* how often another value was assigned */
        char is_fixed;
};

struct lazy_tensor {
        PyObject_HEAD
        PyObject *client, *handle, *shape, *strides, *shown;
        int dtype;
        long long offset;
        char is_mutable;
};

struct lazy_scalar {
        PyObject_HEAD
        PyObject *value;
        int dtype;
};

/* Numbers of Python's. */
enum { LAZY_BOOL, LAZY_INT, LAZY_FLOAT, LAZY_COMPLEX, LAZY_N_KINDS };

/* What the package handed over with lazy_set_package(); NULL before. */
extern struct lazy_package {
        PyTypeObject *node, *value, *array, *tensor, *scalar; /* the classes */
        PyObject *numbers;                                    /* dict: operation -> (number, ...) */
        PyObject *operators;       /* class: its operators do what is not ordinary */
        PyObject *compute;         /* (op, args, attrs, client): any operation */
        PyObject *operand_for;     /* (op, number, dtype): what stands for it beside that dtype */
        const unsigned char *weak; /* [kind of number][dtype]: dtype that a number takes beside it;
                                      for an integer, if it has the number */
        long n_pending_max;        /* most that may be pending for a value */
} lazy;

/* Is it there, and not None? */
static inline bool lazy_has(const PyObject *object)
{
        return object && object != Py_None;
}

/* ORDINARY: it is done; OTHER: it is not for C; FAILED: an exception is set. */
enum lazy_answer { LAZY_FAILED = -1, LAZY_OTHER, LAZY_ORDINARY };

/* A new object of one of the classes, without __init__. */
void *lazy_new(PyTypeObject *type);
/* The next node's number: above those of the nodes that there are. */
long long lazy_serial(void);
/* What stands for an array in a program: its `_operand()`. */
PyObject *lazy_operand(struct lazy_array *array);

bool lazy_add(PyObject *module);

/* ---- _native_compute.c ---- */

/* set_package(dict): what struct lazy_package has, by name */
PyObject *lazy_set_package(PyObject *module, PyObject *dict);
/* The number of an operation that has neither a body nor a kernel of its user's; -1: other. */
int lazy_op_number(PyObject *name);
/* compute(op, operands, attributes or None, client or None) */
PyObject *lazy_compute(PyObject *module, PyObject *const *args, Py_ssize_t n_args);

PyObject *lazy_compare(PyObject *left, PyObject *right, int how);
PyObject *lazy_nb_add(PyObject *left, PyObject *right);
PyObject *lazy_nb_subtract(PyObject *left, PyObject *right);
PyObject *lazy_nb_multiply(PyObject *left, PyObject *right);
PyObject *lazy_nb_divide(PyObject *left, PyObject *right);
PyObject *lazy_nb_floor_divide(PyObject *left, PyObject *right);
PyObject *lazy_nb_remainder(PyObject *left, PyObject *right);
PyObject *lazy_nb_matmul(PyObject *left, PyObject *right);
PyObject *lazy_nb_negative(PyObject *object);
PyObject *lazy_nb_absolute(PyObject *object);

/* ---- _native_cells.c ---- */

/* Array._is_last(): is it a view to whose base nothing else refers? */
PyObject *lazy_array_is_last(PyObject *object, PyObject *unused);
/*
 * Array._detach(of, value, lies, is_fixed): have a view be an array of its own, of that value, if
 * it is the last, and its base still holds `of`. False: it was not.
 */
PyObject *lazy_array_detach(PyObject *object, PyObject *args);
/*
 * Array._store(array, n_stores, value, client): have it hold another value, which was assigned to
 * the array, itself or a view of it, when so often it had been before. False: somebody was faster.
 */
PyObject *lazy_array_store(PyObject *object, PyObject *args);
/* Array._settle(value, tensor): where it holds, or sees, that value, the tensor stands for it. */
PyObject *lazy_array_settle(PyObject *object, PyObject *args);
/* drop_if_empty(table, key): delete an entry whose value is an empty dict. */
PyObject *lazy_drop_if_empty(PyObject *module, PyObject *args);
/* Find out what is counted for an object to which there is one reference; false: no memory. */
bool lazy_count_alone(void);

/* ---- _native_force.c ---- */

/* run_one(client, value, bytes) -> Tensor; None: it takes a plan, or an operand of so many bytes */
PyObject *lazy_run_one(PyObject *module, PyObject *const *args, Py_ssize_t n_args);

/* ---- _native_show.c ---- */

/* Array.__array_struct__ */
PyObject *lazy_array_struct(PyObject *object, void *unused);
