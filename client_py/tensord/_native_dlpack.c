/* SPDX-License-Identifier: MIT */
/*
 * Lending by the DLPack protocol
 *
 * A capsule tells a place in memory, and what lies there, to any other array library. It holds a
 * buffer of the array that it is made of, which keeps the memory where it is until the borrower is
 * done; an array that can be written is not sealed meanwhile.
 *
 * Two layouts: the one of version 1, which can say that the memory is read-only, and the one before
 * it. Both are fixed by the protocol for all time, so they stand here and need no header of others.
 *
 * A borrower gives back on any thread, with or without the GIL. Once Python is gone there is
 * nothing left to give back to.
 */
#include <stdlib.h>

#include "_native.h"

enum {
        DLPACK_CPU = 1,
        DLPACK_MAJOR = 1,
        DLPACK_MINOR = 0,
};

struct dl_tensor {
        void *data;
        int32_t device_kind, device_number;
        int32_t ndim;
        uint8_t kind, bits;
        uint16_t lanes;
        int64_t *shape, *strides; /* strides in elements */
        uint64_t byte_offset;
};

struct dl_old {
        struct dl_tensor tensor;
        void *context;
        void (*deleter)(struct dl_old *self);
};

struct dl_versioned {
        uint32_t major, minor;
        void *context;
        void (*deleter)(struct dl_versioned *self);
        uint64_t flags;
        struct dl_tensor tensor;
};

/* What is lent. The borrower sees one of the two layouts, at the beginning. */
struct loan {
        union {
                struct dl_old old;
                struct dl_versioned versioned;
        } as;
        Py_buffer view;
        int64_t shape[TD_NDIM_MAX], strides[TD_NDIM_MAX];
};

static const char *const capsule_names[] = { "dltensor", "dltensor_versioned" };

static void loan_end(struct loan *loan)
{
        PyGILState_STATE state;

        if (!Py_IsInitialized())
                return;
        state = PyGILState_Ensure();
        PyBuffer_Release(&loan->view);
        PyGILState_Release(state);
        free(loan);
}

static void old_end(struct dl_old *self)
{
        if (self)
                loan_end(self->context);
}

static void versioned_end(struct dl_versioned *self)
{
        if (self)
                loan_end(self->context);
}

/* A capsule that nobody took: a borrower renames it. */
static void capsule_end(PyObject *capsule)
{
        for (size_t i = 0; i < 2; i++)
                if (PyCapsule_IsValid(capsule, capsule_names[i])) {
                        struct loan *loan = PyCapsule_GetPointer(capsule, capsule_names[i]);

                        loan_end(loan);
                        return;
                }
}

static bool describe(struct loan *loan, struct dl_tensor *tensor, int kind)
{
        const Py_buffer *view = &loan->view;

        if (view->ndim > TD_NDIM_MAX)
                return false;
        for (int i = 0; i < view->ndim; i++) {
                loan->shape[i] = view->shape[i];
                /* Of an axis that nobody walks along, numpy may say anything. */
                if (view->shape[i] > 1 && view->strides[i] % view->itemsize != 0)
                        return false;
                loan->strides[i] = view->strides[i] / view->itemsize;
        }
        *tensor = (struct dl_tensor){
                .data = view->buf,
                .device_kind = DLPACK_CPU,
                .ndim = view->ndim,
                .kind = (uint8_t)kind,
                .bits = (uint8_t)(view->itemsize * 8),
                .lanes = 1,
                .shape = loan->shape,
                .strides = loan->strides,
        };
        return true;
}

static bool loan_fill(struct loan *loan, int kind, bool is_versioned, uint64_t flags)
{
        if (!is_versioned) {
                loan->as.old.context = loan;
                loan->as.old.deleter = old_end;
                return describe(loan, &loan->as.old.tensor, kind);
        }
        loan->as.versioned.major = DLPACK_MAJOR;
        loan->as.versioned.minor = DLPACK_MINOR;
        loan->as.versioned.context = loan;
        loan->as.versioned.deleter = versioned_end;
        loan->as.versioned.flags = flags;
        return describe(loan, &loan->as.versioned.tensor, kind);
}

/* lend(array, kind of dtype, is_versioned, flags) -> capsule */
PyObject *native_lend(PyObject *module, PyObject *args)
{
        struct loan *loan;
        PyObject *array, *capsule;
        int kind, is_versioned;
        unsigned long long flags;

        (void)module;
        if (!PyArg_ParseTuple(args, "OipK", &array, &kind, &is_versioned, &flags))
                return NULL;
        loan = calloc(1, sizeof(*loan));
        if (!loan)
                return PyErr_NoMemory();
        if (PyObject_GetBuffer(array, &loan->view, PyBUF_STRIDES)) {
                free(loan);
                return NULL;
        }
        if (!loan_fill(loan, kind, is_versioned, flags)) {
                loan_end(loan);
                PyErr_SetString(PyExc_BufferError, "DLPack counts strides in whole elements");
                return NULL;
        }
        capsule = PyCapsule_New(loan, capsule_names[is_versioned], capsule_end);
        if (!capsule)
                loan_end(loan);
        return capsule;
}
