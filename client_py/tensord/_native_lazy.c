/* SPDX-License-Identifier: MIT */
/*
 * Fields of lazy objects
 *
 * The types that the header tells of: members, the collector's walk over the references, and of an
 * array, what stands for it in a program. A Python class is derived from each; it adds fields only
 * for what no operation in C asks for.
 */
#include "_native_lazy.h"

#include <structmember.h>

/* ---- references ---- */

/* What every type here begins with. */
struct slots {
        PyObject_HEAD
        PyObject *of[];
};

enum { NODE_SLOTS = 8, VALUE_SLOTS = 3, ARRAY_SLOTS = 7, TENSOR_SLOTS = 5, SCALAR_SLOTS = 1 };

#define SLOTS_END(n) (offsetof(struct slots, of) + (n) * sizeof(PyObject *))
static_assert(offsetof(struct lazy_node, serial) == SLOTS_END(NODE_SLOTS), "references first");
static_assert(offsetof(struct lazy_value, serial) == SLOTS_END(VALUE_SLOTS), "likewise");
static_assert(offsetof(struct lazy_array, dtype) == SLOTS_END(ARRAY_SLOTS), "likewise");
static_assert(offsetof(struct lazy_tensor, dtype) == SLOTS_END(TENSOR_SLOTS), "likewise");
static_assert(offsetof(struct lazy_scalar, dtype) == SLOTS_END(SCALAR_SLOTS), "likewise");

static int visit_slots(PyObject *object, size_t n, visitproc visit, void *arg)
{
        struct slots *slots = (struct slots *)object;

        Py_VISIT(Py_TYPE(object));
        for (size_t i = 0; i < n; i++)
                Py_VISIT(slots->of[i]);
        return 0;
}

static int clear_slots(PyObject *object, size_t n)
{
        struct slots *slots = (struct slots *)object;

        for (size_t i = 0; i < n; i++)
                Py_CLEAR(slots->of[i]);
        return 0;
}

static void free_slots(PyObject *object, size_t n)
{
        PyTypeObject *type = Py_TYPE(object);

        PyObject_GC_UnTrack(object);
        clear_slots(object, n);
        PyObject_GC_Del(object);
        Py_DECREF(type);
}

void *lazy_new(PyTypeObject *type)
{
        return PyType_GenericAlloc(type, 0);
}

/* ---- Node ---- */

static int node_traverse(PyObject *object, visitproc visit, void *arg)
{
        return visit_slots(object, NODE_SLOTS, visit, arg);
}

static int node_clear(PyObject *object)
{
        return clear_slots(object, NODE_SLOTS);
}

static void node_dealloc(PyObject *object)
{
        free_slots(object, NODE_SLOTS);
}

long long lazy_serial(void)
{
        static long long serial; /* under the GIL */

        return serial++;
}

static PyObject *node_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
        struct lazy_node *self = lazy_new(type);

        (void)args;
        (void)kwargs;
        if (self)
                self->serial = lazy_serial();
        return (PyObject *)self;
}

static PyMemberDef node_members[] = {
        { "op", T_OBJECT, offsetof(struct lazy_node, op), 0, NULL },
        { "args", T_OBJECT, offsetof(struct lazy_node, args), 0, NULL },
        { "attrs", T_OBJECT, offsetof(struct lazy_node, attrs), 0, NULL },
        { "block", T_OBJECT, offsetof(struct lazy_node, block), 0, NULL },
        { "loop", T_OBJECT, offsetof(struct lazy_node, loop), 0, NULL },
        { "results", T_OBJECT, offsetof(struct lazy_node, results), 0, NULL },
        { "run", T_OBJECT, offsetof(struct lazy_node, run), 0, NULL },
        { "place", T_OBJECT, offsetof(struct lazy_node, place), 0, NULL },
        { "serial", T_LONGLONG, offsetof(struct lazy_node, serial), READONLY, NULL },
        { NULL, 0, 0, 0, NULL },
};

static PyType_Slot node_slots[] = {
        { Py_tp_new, node_new },           { Py_tp_dealloc, node_dealloc },
        { Py_tp_traverse, node_traverse }, { Py_tp_clear, node_clear },
        { Py_tp_members, node_members },   { 0, NULL },
};

static PyType_Spec node_spec = {
        .name = "tensord._native.Node",
        .basicsize = sizeof(struct lazy_node),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = node_slots,
};

/* ---- Value ---- */

static int value_traverse(PyObject *object, visitproc visit, void *arg)
{
        return visit_slots(object, VALUE_SLOTS, visit, arg);
}

static int value_clear(PyObject *object)
{
        return clear_slots(object, VALUE_SLOTS);
}

static void value_dealloc(PyObject *object)
{
        free_slots(object, VALUE_SLOTS);
}

static PyObject *value_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
        struct lazy_value *self = lazy_new(type);

        (void)args;
        (void)kwargs;
        if (self)
                self->serial = -1;
        return (PyObject *)self;
}

/* (serial of the node, index) or, of what never had a node, its address */
static PyObject *value_get_key(PyObject *object, void *unused)
{
        struct lazy_value *self = (struct lazy_value *)object;

        (void)unused;
        if (self->serial < 0)
                return PyLong_FromVoidPtr(object);
        return Py_BuildValue("Li", self->serial, self->index);
}

static PyGetSetDef value_getset[] = {
        { "key", value_get_key, NULL, "What tells it apart from other operands of a program.",
          NULL },
        { NULL, NULL, NULL, NULL, NULL },
};

static PyMemberDef value_members[] = {
        { "node", T_OBJECT, offsetof(struct lazy_value, node), 0, NULL },
        { "shape", T_OBJECT, offsetof(struct lazy_value, shape), READONLY, NULL },
        { "_shape", T_OBJECT, offsetof(struct lazy_value, shape), 0, NULL },
        { "leaf", T_OBJECT, offsetof(struct lazy_value, leaf), 0, NULL },
        { "serial", T_LONGLONG, offsetof(struct lazy_value, serial), 0, NULL },
        { "index", T_INT, offsetof(struct lazy_value, index), 0, NULL },
        { "_number", T_INT, offsetof(struct lazy_value, dtype), 0, NULL },
        { "cost", T_LONG, offsetof(struct lazy_value, cost), 0, NULL },
        { "was_live", T_BOOL, offsetof(struct lazy_value, was_live), 0, NULL },
        { NULL, 0, 0, 0, NULL },
};

static PyType_Slot value_slots[] = {
        { Py_tp_new, value_new },
        { Py_tp_dealloc, value_dealloc },
        { Py_tp_traverse, value_traverse },
        { Py_tp_clear, value_clear },
        { Py_tp_members, value_members },
        { Py_tp_getset, value_getset },
        { 0, NULL },
};

static PyType_Spec value_spec = {
        .name = "tensord._native.Value",
        .basicsize = sizeof(struct lazy_value),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = value_slots,
};

/* ---- Array ---- */

static int array_traverse(PyObject *object, visitproc visit, void *arg)
{
        return visit_slots(object, ARRAY_SLOTS, visit, arg);
}

static int array_clear(PyObject *object)
{
        return clear_slots(object, ARRAY_SLOTS);
}

static void array_dealloc(PyObject *object)
{
        free_slots(object, ARRAY_SLOTS);
}

PyObject *lazy_operand(struct lazy_array *array)
{
        PyObject *operand = array->value;

        if (lazy_has(array->base))
                return PyObject_CallMethod((PyObject *)array, "_operand_of_view", NULL);
        if (operand && PyObject_TypeCheck(operand, lazy.value)) {
                struct lazy_value *value = (struct lazy_value *)operand;

                if (!lazy_has(value->node) && lazy_has(value->leaf)) { /* it was computed */
                        array->value = value->leaf;
                        Py_INCREF(array->value);
                        Py_DECREF(operand);
                        operand = array->value;
                }
        }
        if (!operand)
                operand = Py_None;
        Py_INCREF(operand);
        return operand;
}

static PyObject *array_operand(PyObject *object, PyObject *unused)
{
        (void)unused;
        return lazy_operand((struct lazy_array *)object);
}

static PyMethodDef array_methods[] = {
        { "_operand", array_operand, METH_NOARGS, "What stands for it in a program." },
        { "_is_last", lazy_array_is_last, METH_NOARGS, NULL },
        { "_detach", lazy_array_detach, METH_VARARGS, NULL },
        { "_store", lazy_array_store, METH_VARARGS, NULL },
        { "_settle", lazy_array_settle, METH_VARARGS, NULL },
        { NULL, NULL, 0, NULL },
};

static PyGetSetDef array_getset[] = {
        { "__array_struct__", lazy_array_struct, NULL,
          "Its memory as numpy takes it fastest: a capsule over a PyArrayInterface.", NULL },
        { NULL, NULL, NULL, NULL, NULL },
};

static PyMemberDef array_members[] = {
        { "_client", T_OBJECT, offsetof(struct lazy_array, client), 0, NULL },
        { "shape", T_OBJECT, offsetof(struct lazy_array, shape), READONLY, NULL },
        { "_shape", T_OBJECT, offsetof(struct lazy_array, shape), 0, NULL },
        { "_value", T_OBJECT, offsetof(struct lazy_array, value), 0, NULL },
        { "_base", T_OBJECT, offsetof(struct lazy_array, base), 0, NULL },
        { "_steps", T_OBJECT, offsetof(struct lazy_array, steps), 0, NULL },
        { "_seen", T_OBJECT, offsetof(struct lazy_array, seen), 0, NULL },
        { "_lies", T_OBJECT, offsetof(struct lazy_array, lies), 0, NULL },
        { "_number", T_INT, offsetof(struct lazy_array, dtype), 0, NULL },
        { "_n_stores", T_LONGLONG, offsetof(struct lazy_array, n_stores), READONLY, NULL },
        { "_is_fixed", T_BOOL, offsetof(struct lazy_array, is_fixed), 0, NULL },
        { NULL, 0, 0, 0, NULL },
};

static PyType_Slot array_slots[] = {
        { Py_tp_dealloc, array_dealloc },
        { Py_tp_traverse, array_traverse },
        { Py_tp_clear, array_clear },
        { Py_tp_members, array_members },
        { Py_tp_methods, array_methods },
        { Py_tp_getset, array_getset },
        { Py_tp_richcompare, lazy_compare },
        { Py_nb_add, lazy_nb_add },
        { Py_nb_subtract, lazy_nb_subtract },
        { Py_nb_multiply, lazy_nb_multiply },
        { Py_nb_true_divide, lazy_nb_divide },
        { Py_nb_floor_divide, lazy_nb_floor_divide },
        { Py_nb_remainder, lazy_nb_remainder },
        { Py_nb_matrix_multiply, lazy_nb_matmul },
        { Py_nb_negative, lazy_nb_negative },
        { Py_nb_absolute, lazy_nb_absolute },
        { 0, NULL },
};

static PyType_Spec array_spec = {
        .name = "tensord._native.Array",
        .basicsize = sizeof(struct lazy_array),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = array_slots,
};

/* ---- Tensor ---- */

static int tensor_traverse(PyObject *object, visitproc visit, void *arg)
{
        return visit_slots(object, TENSOR_SLOTS, visit, arg);
}

static int tensor_clear(PyObject *object)
{
        return clear_slots(object, TENSOR_SLOTS);
}

static void tensor_dealloc(PyObject *object)
{
        free_slots(object, TENSOR_SLOTS);
}

static PyMemberDef tensor_members[] = {
        { "client", T_OBJECT, offsetof(struct lazy_tensor, client), 0, NULL },
        { "_handle", T_OBJECT, offsetof(struct lazy_tensor, handle), 0, NULL },
        { "shape", T_OBJECT, offsetof(struct lazy_tensor, shape), 0, NULL },
        { "_strides", T_OBJECT, offsetof(struct lazy_tensor, strides), 0, NULL },
        { "_shown", T_OBJECT, offsetof(struct lazy_tensor, shown), 0, NULL },
        { "_number", T_INT, offsetof(struct lazy_tensor, dtype), 0, NULL },
        { "_offset", T_LONGLONG, offsetof(struct lazy_tensor, offset), 0, NULL },
        { "is_mutable", T_BOOL, offsetof(struct lazy_tensor, is_mutable), 0, NULL },
        { NULL, 0, 0, 0, NULL },
};

static PyType_Slot tensor_slots[] = {
        { Py_tp_dealloc, tensor_dealloc },
        { Py_tp_traverse, tensor_traverse },
        { Py_tp_clear, tensor_clear },
        { Py_tp_members, tensor_members },
        { 0, NULL },
};

static PyType_Spec tensor_spec = {
        .name = "tensord._native.Strided",
        .basicsize = sizeof(struct lazy_tensor),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = tensor_slots,
};

/* ---- Scalar ---- */

static int scalar_traverse(PyObject *object, visitproc visit, void *arg)
{
        return visit_slots(object, SCALAR_SLOTS, visit, arg);
}

static int scalar_clear(PyObject *object)
{
        return clear_slots(object, SCALAR_SLOTS);
}

static void scalar_dealloc(PyObject *object)
{
        free_slots(object, SCALAR_SLOTS);
}

static PyMemberDef scalar_members[] = {
        { "value", T_OBJECT, offsetof(struct lazy_scalar, value), 0, NULL },
        { "_number", T_INT, offsetof(struct lazy_scalar, dtype), 0, NULL },
        { NULL, 0, 0, 0, NULL },
};

static PyType_Slot scalar_slots[] = {
        { Py_tp_dealloc, scalar_dealloc },
        { Py_tp_traverse, scalar_traverse },
        { Py_tp_clear, scalar_clear },
        { Py_tp_members, scalar_members },
        { 0, NULL },
};

static PyType_Spec scalar_spec = {
        .name = "tensord._native.Scalar",
        .basicsize = sizeof(struct lazy_scalar),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = scalar_slots,
};

bool lazy_add(PyObject *module)
{
        static PyTypeObject *node, *value, *array, *tensor, *scalar;

        return native_add_type(module, &node_spec, &node) &&
               native_add_type(module, &value_spec, &value) &&
               native_add_type(module, &array_spec, &array) &&
               native_add_type(module, &tensor_spec, &tensor) &&
               native_add_type(module, &scalar_spec, &scalar) && lazy_count_alone();
}
