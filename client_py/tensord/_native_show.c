/* SPDX-License-Identifier: MIT */
/*
 * Arrays as numpy takes them
 *
 * `__array_struct__`, numpy's oldest and shortest way to the memory of others: a capsule over a
 * struct that numpy's documentation fixes. The struct holds the mapping, and the ndarray the
 * capsule, so that memory stays as long as it is seen, whatever becomes of the array.
 */
#include "_native_lazy.h"

#include "tensord/infer_client.h"

/* numpy's PyArrayInterface */
struct interface {
        int two;
        int ndim;
        char kind;
        int item_size;
        int flags;
        Py_ssize_t *shape;
        Py_ssize_t *strides;
        void *data;
        PyObject *description;
};

#define KEPT_MAX 32768 /* bytes: well below what _force.py gives away */

enum { ALIGNED = 0x100, NOT_SWAPPED = 0x200 };

struct shown {
        struct interface interface;
        td_mapping *mapping;
        struct td_type type;
        int64_t strides[TD_NDIM_MAX];
};

static void shown_free(struct shown *shown)
{
        td_mapping_free(shown->mapping);
        PyMem_Free(shown);
}

static void capsule_free(PyObject *capsule)
{
        shown_free(PyCapsule_GetPointer(capsule, NULL));
}

static bool read_layout(const struct lazy_tensor *tensor, const td_tensor *handle,
                        struct shown *shown)
{
        const int64_t *strides = td_tensor_strides(handle);

        if (lazy_has(tensor->strides))
                return native_view(handle, tensor->shape, tensor->strides, &shown->type,
                                   shown->strides);
        shown->type = *td_tensor_type(handle);
        for (unsigned i = 0; i < shown->type.ndim; i++)
                shown->strides[i] = strides[i];
        return true;
}

static bool map(const struct native_tensor *tensor, bool share, td_mapping **mappingp)
{
        td_error error;
        int r;

        if (!native_client_enter(tensor->client))
                return false;
        Py_BEGIN_ALLOW_THREADS
        r = td_map(tensor->tensor, TD_MAP_READ, share, mappingp, &error);
        Py_END_ALLOW_THREADS
        native_client_leave(tensor->client);
        if (r)
                native_raise(&error);
        return !r;
}

static void describe(struct shown *shown, int64_t offset)
{
        static const struct {
                char kind;
                int size;
        } rows[] = {
#define TD_DTYPE(sym, name, kind, ctype, size, npy) { npy[1], size },
#include "tensord/dtypes.def"
#undef TD_DTYPE
        };

        static_assert(sizeof(Py_ssize_t) == sizeof(int64_t), "numpy's extents are 64-bit");
        shown->interface = (struct interface){
                .two = 2,
                .ndim = shown->type.ndim,
                .kind = rows[shown->type.dtype].kind,
                .item_size = rows[shown->type.dtype].size,
                .flags = ALIGNED | NOT_SWAPPED,
                .shape = (Py_ssize_t *)shown->type.shape,
                .strides = (Py_ssize_t *)shown->strides,
                .data = (char *)td_mapping_data(shown->mapping) + offset,
        };
}

/* The capsule for a tensor; of a named one, the memory that others see. */
static PyObject *capsule_of(const struct lazy_tensor *tensor)
{
        const struct native_tensor *native = (struct native_tensor *)tensor->handle;
        struct shown *shown;
        PyObject *capsule;
        bool share;

        if (Py_TYPE(tensor->handle) != native_tensor_type) {
                PyErr_SetString(PyExc_TypeError, "a tensor without a handle");
                return NULL;
        }
        shown = PyMem_Malloc(sizeof(*shown));
        if (!shown)
                return PyErr_NoMemory();
        share = !lazy_has(tensor->strides) && td_tensor_name(native->tensor);
        shown->mapping = NULL;
        if (!read_layout(tensor, native->tensor, shown) || !map(native, share, &shown->mapping)) {
                shown_free(shown);
                return NULL;
        }
        describe(shown, tensor->offset);
        capsule = PyCapsule_New(&shown->interface, NULL, capsule_free);
        if (!capsule)
                shown_free(shown);
        return capsule;
}

/*
 * The same, kept with the tensor where its memory neither changes nor is ever given away: what is
 * mapped is not.
 */
static PyObject *kept_capsule(struct lazy_tensor *tensor)
{
        PyObject *capsule;

        if (lazy_has(tensor->shown)) {
                Py_INCREF(tensor->shown);
                return tensor->shown;
        }
        capsule = capsule_of(tensor);
        if (capsule && !lazy_has(tensor->shown)) { /* another thread may have been faster */
                const td_tensor *handle = ((struct native_tensor *)tensor->handle)->tensor;

                if (!tensor->is_mutable && td_tensor_is_sealed(handle) &&
                    td_type_n_bytes(td_tensor_type(handle)) <= KEPT_MAX) {
                        Py_INCREF(capsule);
                        tensor->shown = capsule;
                }
        }
        return capsule;
}

/* The tensor that is shown. Of a view it is not asked what it is in a program: that may be more. */
static PyObject *tensor_to_show(struct lazy_array *array)
{
        PyObject *operand;

        if (!lazy_has(array->base)) {
                operand = lazy_operand(array);
                if (!operand || Py_TYPE(operand) == lazy.tensor)
                        return operand;
                Py_DECREF(operand);
        }
        return PyObject_CallMethod((PyObject *)array, "_tensor_to_show", NULL);
}

PyObject *lazy_array_struct(PyObject *object, void *unused)
{
        PyObject *tensor = tensor_to_show((struct lazy_array *)object), *capsule = NULL;

        (void)unused;
        if (tensor && Py_TYPE(tensor) == lazy.tensor)
                capsule = kept_capsule((struct lazy_tensor *)tensor);
        else if (tensor)
                PyErr_SetString(PyExc_TypeError, "no tensor");
        Py_XDECREF(tensor);
        return capsule;
}
