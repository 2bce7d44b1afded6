/* SPDX-License-Identifier: MIT */
/*
 * Noting operations
 *
 * What is done for nearly every operation on arrays - ask the inference, make node, values and
 * arrays - without running any Python. Ordinary are operands that are arrays of one client, or
 * numbers; values that are not being traced and tensors that are not mutable; an operation that
 * cannot fail on its data, with a shape that does not depend on them; and less pending than may be.
 *
 * Everything else goes to the Python functions of struct lazy_package, which can do all of it; what
 * the rules are is written there, and here only when they do not matter. Operators of Array find
 * the methods of the same name of the class `operators`.
 */
#include "_native_lazy.h"

#include <string.h>

#include "tensord/infer_client.h"

struct lazy_package lazy;

/* ---- the package ---- */

static bool take(PyObject *dict, const char *name, PyObject **objectp)
{
        PyObject *object = PyDict_GetItemString(dict, name);

        if (!object) {
                PyErr_Format(PyExc_KeyError, "%s", name);
                return false;
        }
        Py_INCREF(object); /* for good: the module's objects are process-wide */
        *objectp = object;
        return true;
}

static bool take_type(PyObject *dict, const char *name, PyTypeObject **typep)
{
        return take(dict, name, (PyObject **)typep);
}

PyObject *lazy_set_package(PyObject *module, PyObject *dict)
{
        PyObject *weak, *most;
        Py_ssize_t n_weak;
        char *bytes;

        (void)module;
        if (!take_type(dict, "Node", &lazy.node) || !take_type(dict, "Value", &lazy.value) ||
            !take_type(dict, "Array", &lazy.array) || !take_type(dict, "Tensor", &lazy.tensor) ||
            !take_type(dict, "Scalar", &lazy.scalar) || !take(dict, "numbers", &lazy.numbers) ||
            !take(dict, "operators", &lazy.operators) || !take(dict, "compute", &lazy.compute) ||
            !take(dict, "operand_for", &lazy.operand_for) || !take(dict, "weak", &weak) ||
            !take(dict, "pending_max", &most))
                return NULL;
        lazy.n_pending_max = PyLong_AsLong(most);
        if (PyErr_Occurred() || PyBytes_AsStringAndSize(weak, &bytes, &n_weak))
                return NULL;
        if (n_weak != LAZY_N_KINDS * TD_N_DTYPES) {
                PyErr_SetString(PyExc_ValueError, "weak");
                return NULL;
        }
        lazy.weak = (const unsigned char *)bytes;
        Py_RETURN_NONE;
}

/* ---- operands ---- */

/* The operation and what it is of; what is in it is released by operation_deinit(). */
struct operation {
        PyObject *client; /* NULL: none is known */
        PyObject *operands[TD_ARGS_MAX];
        struct td_type types[TD_ARGS_MAX];
        PyObject *shapes[TD_ARGS_MAX]; /* owned: an operand may get another one; NULL: () */
        uint32_t n;
        long cost;
};

static void operation_deinit(struct operation *operation)
{
        for (uint32_t i = 0; i < operation->n; i++) {
                Py_DECREF(operation->operands[i]);
                Py_XDECREF(operation->shapes[i]);
        }
        Py_XDECREF(operation->client);
}

/* dtype and shape: what is no shape of known extents is not ordinary. */
static enum lazy_answer read_type(int dtype, PyObject *shape, struct td_type *typep)
{
        Py_ssize_t n = shape && PyTuple_Check(shape) ? PyTuple_Size(shape) : -1;

        if (n < 0 || n > TD_NDIM_MAX || dtype < 0 || dtype >= TD_N_DTYPES)
                return LAZY_OTHER;
        typep->dtype = (uint8_t)dtype;
        typep->ndim = (uint8_t)n;
        for (Py_ssize_t i = 0; i < n; i++) {
                PyObject *extent = PyTuple_GetItem(shape, i);

                if (!PyLong_CheckExact(extent))
                        return LAZY_OTHER;
                typep->shape[i] = PyLong_AsLongLong(extent);
                if (typep->shape[i] < 0) {
                        PyErr_Clear();
                        return LAZY_OTHER;
                }
        }
        return td_check_type(typep, NULL) ? LAZY_OTHER : LAZY_ORDINARY;
}

static enum lazy_answer add_tensor(struct operation *operation, const struct lazy_tensor *tensor)
{
        if (tensor->is_mutable)
                return LAZY_OTHER;
        Py_XINCREF(tensor->shape);
        operation->shapes[operation->n] = tensor->shape;
        return read_type(tensor->dtype, tensor->shape, &operation->types[operation->n]);
}

static enum lazy_answer add_value(struct operation *operation, const struct lazy_value *value)
{
        const struct lazy_node *node = (const struct lazy_node *)value->node;

        if (!lazy_has(value->node) || lazy_has(node->block))
                return LAZY_OTHER;
        Py_XINCREF(value->shape);
        operation->shapes[operation->n] = value->shape;
        operation->cost += value->cost;
        return read_type(value->dtype, value->shape, &operation->types[operation->n]);
}

/* What stands for an argument in the program; takes it over. */
static enum lazy_answer add_operand(struct operation *operation, PyObject *operand)
{
        enum lazy_answer answer = LAZY_OTHER;

        if (Py_TYPE(operand) == lazy.tensor) {
                answer = add_tensor(operation, (struct lazy_tensor *)operand);
        } else if (Py_TYPE(operand) == lazy.value) {
                answer = add_value(operation, (struct lazy_value *)operand);
        } else if (Py_TYPE(operand) == lazy.scalar) {
                struct td_type *type = &operation->types[operation->n];

                type->dtype = (uint8_t)((struct lazy_scalar *)operand)->dtype;
                type->ndim = 0;
                answer = LAZY_ORDINARY;
        }
        operation->operands[operation->n++] = operand; /* released by operation_deinit() */
        return answer;
}

static enum lazy_answer add_array(struct operation *operation, struct lazy_array *array)
{
        PyObject *operand;

        if (lazy_has(array->client) && operation->client != array->client) {
                if (operation->client)
                        return LAZY_OTHER;
                operation->client = array->client;
                Py_INCREF(operation->client);
        }
        operand = lazy_operand(array);
        return operand ? add_operand(operation, operand) : LAZY_FAILED;
}

static enum lazy_answer add_argument(struct operation *operation, PyObject *argument)
{
        if (operation->n == TD_ARGS_MAX)
                return LAZY_OTHER;
        if (Py_TYPE(argument) == lazy.array)
                return add_array(operation, (struct lazy_array *)argument);
        if (Py_TYPE(argument) != lazy.scalar)
                return LAZY_OTHER;
        Py_INCREF(argument);
        return add_operand(operation, argument);
}

/* ---- numbers ---- */

static int kind_of(PyObject *number)
{
        if (PyFloat_CheckExact(number))
                return LAZY_FLOAT;
        if (PyLong_CheckExact(number))
                return LAZY_INT;
        if (PyBool_Check(number))
                return LAZY_BOOL;
        return PyComplex_CheckExact(number) ? LAZY_COMPLEX : -1;
}

/* Do all dtypes of integers have it? */
static bool is_small(PyObject *integer)
{
        int overflow;
        long value = PyLong_AsLongAndOverflow(integer, &overflow);

        return !overflow && value >= 0 && value <= INT8_MAX;
}

/* A number beside a dtype, as an operand; LAZY_OTHER for what is no number. */
static enum lazy_answer add_number(struct operation *operation, enum td_op op, PyObject *number,
                                   int like)
{
        int kind = kind_of(number);
        struct lazy_scalar *scalar;
        PyObject *operand;
        unsigned dtype;

        if (kind < 0)
                return LAZY_OTHER;
        dtype = lazy.weak[kind * TD_N_DTYPES + like];
        if (kind == LAZY_INT && td_dtype_is_integer(dtype) && !is_small(number)) {
                operand = PyObject_CallFunction(lazy.operand_for, "sOi", td_op_info(op)->name,
                                                number, like);
                return operand ? add_operand(operation, operand) : LAZY_FAILED;
        }
        scalar = lazy_new(lazy.scalar);
        if (!scalar)
                return LAZY_FAILED;
        Py_INCREF(number);
        scalar->value = number;
        scalar->dtype = (int)dtype;
        return add_operand(operation, (PyObject *)scalar);
}

/* ---- node, values, arrays ---- */

static struct lazy_node *node_of(const struct operation *operation, PyObject *op, PyObject *attrs)
{
        struct lazy_node *node = lazy_new(lazy.node);

        if (!node)
                return NULL;
        node->serial = lazy_serial();
        Py_INCREF(op);
        node->op = op;
        if (attrs != Py_None) {
                Py_INCREF(attrs);
                node->attrs = attrs;
        }
        node->args = PyTuple_New((Py_ssize_t)operation->n);
        for (uint32_t i = 0; node->args && i < operation->n; i++) {
                Py_INCREF(operation->operands[i]);
                PyTuple_SetItem(node->args, (Py_ssize_t)i, operation->operands[i]);
        }
        if (!node->args)
                Py_CLEAR(node);
        return node;
}

/* The shape of a result, most often that of an operand. */
static PyObject *shape_of(const struct operation *operation, const struct td_type *type)
{
        for (uint32_t i = 0; i < operation->n; i++) {
                const struct td_type *of = &operation->types[i];

                if (operation->shapes[i] && of->ndim == type->ndim &&
                    memcmp(of->shape, type->shape, of->ndim * sizeof(of->shape[0])) == 0) {
                        Py_INCREF(operation->shapes[i]);
                        return operation->shapes[i];
                }
        }
        return native_int64_tuple(type->shape, type->ndim);
}

/* An array of a new value, which is the node's. */
static PyObject *array_of(const struct operation *operation, struct lazy_node *node, int index,
                          const struct td_type *type)
{
        struct lazy_value *value = lazy_new(lazy.value);
        struct lazy_array *array = value ? lazy_new(lazy.array) : NULL;

        if (!array) {
                Py_XDECREF((PyObject *)value);
                return NULL;
        }
        array->value = (PyObject *)value;
        array->dtype = value->dtype = type->dtype;
        value->serial = node->serial;
        value->index = index;
        value->cost = operation->cost;
        Py_INCREF((PyObject *)node);
        value->node = (PyObject *)node;
        value->shape = array->shape = shape_of(operation, type);
        if (!value->shape) {
                Py_DECREF(array);
                return NULL;
        }
        Py_INCREF(array->shape);
        if (operation->client) {
                Py_INCREF(operation->client);
                array->client = operation->client;
        }
        return (PyObject *)array;
}

/* A tuple of arrays, which the node knows weakly by their values. */
static PyObject *arrays_of(const struct operation *operation, struct lazy_node *node, int n,
                           const struct td_type *types)
{
        PyObject *arrays = PyTuple_New(n);

        node->results = PyList_New(0);
        for (int i = 0; arrays && node->results && i < n; i++) {
                PyObject *array = array_of(operation, node, i, &types[i]);
                PyObject *ref = array ? PyWeakref_NewRef(((struct lazy_array *)array)->value, NULL)
                                      : NULL;

                if (array)
                        PyTuple_SetItem(arrays, i, array);
                if (!ref || PyList_Append(node->results, ref))
                        Py_CLEAR(arrays);
                Py_XDECREF(ref);
        }
        if (!node->results)
                Py_CLEAR(arrays);
        return arrays;
}

/* ---- computing ---- */

/* Cannot it fail on its data, and is all of it said by its attributes? */
static bool op_is_ordinary(enum td_op op)
{
        static const char may_fail[] = {
#define TD_OP(sym, name, rule, min_args, max_args, results, attrs, may_fail, doc) may_fail,
#include "tensord/ops.def"
#undef TD_OP
        };

        return !may_fail[op] && !td_op_is_counted(op) && !td_op_has_body(op) && op != TD_OP_USER;
}

/* Note an operation whose operands are there: *resultp is an array, or a tuple of them. */
static enum lazy_answer note(const struct operation *operation, PyObject *name, enum td_op op,
                             PyObject *attrs_object, PyObject **resultp)
{
        struct td_attrs attrs = { .set = 0 };
        struct td_type types[TD_RESULTS_MAX];
        struct td_refusal refusal;
        struct lazy_node *node;
        int n_results;

        if (operation->cost > lazy.n_pending_max)
                return LAZY_OTHER;
        if (!native_attrs(attrs_object, &attrs))
                return LAZY_FAILED;
        if (td_infer(op, &attrs, operation->n, operation->types, types, &refusal)) {
                native_refuse(&refusal);
                return LAZY_FAILED;
        }
        node = node_of(operation, name, attrs_object);
        if (!node)
                return LAZY_FAILED;
        n_results = td_op_info(op)->n_results;
        *resultp = n_results == 1 ? array_of(operation, node, 0, types)
                                  : arrays_of(operation, node, n_results, types);
        Py_DECREF(node);
        return *resultp ? LAZY_ORDINARY : LAZY_FAILED;
}

int lazy_op_number(PyObject *name)
{
        PyObject *number = name ? PyDict_GetItem(lazy.numbers, name) : NULL;
        long op = number ? PyLong_AsLong(PyTuple_GetItem(number, 0)) : -1;

        return op < 0 || td_op_has_body((enum td_op)op) || op == TD_OP_USER ? -1 : (int)op;
}

PyObject *lazy_compute(PyObject *module, PyObject *const *args, Py_ssize_t n_args)
{
        PyObject *attrs = n_args > 2 ? args[2] : Py_None, *client = n_args > 3 ? args[3] : Py_None;
        struct operation operation = { .cost = 1 };
        PyObject *result = NULL;
        enum lazy_answer answer;
        int op;

        (void)module;
        if (n_args < 2 || n_args > 4) {
                PyErr_SetString(PyExc_TypeError, "compute(op, operands, attributes, client)");
                return NULL;
        }
        op = lazy_op_number(args[0]);
        answer = op >= 0 && op_is_ordinary((enum td_op)op) && PyTuple_CheckExact(args[1])
                         ? LAZY_ORDINARY
                         : LAZY_OTHER;
        if (client != Py_None) {
                Py_INCREF(client);
                operation.client = client;
        }
        for (Py_ssize_t i = 0; answer == LAZY_ORDINARY && i < PyTuple_Size(args[1]); i++)
                answer = add_argument(&operation, PyTuple_GetItem(args[1], i));
        if (answer == LAZY_ORDINARY && (attrs == Py_None || PyDict_CheckExact(attrs)))
                answer = note(&operation, args[0], (enum td_op)op, attrs, &result);
        else if (answer == LAZY_ORDINARY)
                answer = LAZY_OTHER;
        operation_deinit(&operation);
        if (answer == LAZY_OTHER)
                return PyObject_CallFunctionObjArgs(lazy.compute, args[0], args[1], attrs, client,
                                                    NULL);
        return result;
}

/* ---- operators ---- */

static PyObject *op_name(enum td_op op)
{
        static PyObject *names[TD_N_OPS];

        if (!names[op])
                names[op] = PyUnicode_InternFromString(td_op_info(op)->name);
        return names[op];
}

/* The method of that name of the first, or the one of what stands on the right of the second. */
static PyObject *call_method(const char *method, const char *reflected, PyObject *left,
                             PyObject *right)
{
        bool is_left = PyObject_TypeCheck(left, lazy.array);

        return PyObject_CallMethod(lazy.operators, is_left ? method : reflected, "OO",
                                   is_left ? left : right, is_left ? right : left);
}

static PyObject *binary(enum td_op op, const char *method, const char *reflected, PyObject *left,
                        PyObject *right)
{
        bool has_left = Py_TYPE(left) == lazy.array, has_right = Py_TYPE(right) == lazy.array;
        struct operation operation = { .cost = 1 };
        enum lazy_answer answer = has_left || has_right ? LAZY_ORDINARY : LAZY_OTHER;
        PyObject *result = NULL;

        if (answer == LAZY_ORDINARY)
                answer = has_left ? add_argument(&operation, left)
                                  : add_number(&operation, op, left,
                                               ((struct lazy_array *)right)->dtype);
        if (answer == LAZY_ORDINARY)
                answer = has_right ? add_argument(&operation, right)
                                   : add_number(&operation, op, right,
                                                ((struct lazy_array *)left)->dtype);
        if (answer == LAZY_ORDINARY)
                answer = op_is_ordinary(op) ? note(&operation, op_name(op), op, Py_None, &result)
                                            : LAZY_OTHER;
        operation_deinit(&operation);
        return answer == LAZY_OTHER ? call_method(method, reflected, left, right) : result;
}

static PyObject *unary(enum td_op op, const char *method, PyObject *object)
{
        struct operation operation = { .cost = 1 };
        PyObject *result = NULL;
        enum lazy_answer answer;

        answer = add_argument(&operation, object);
        if (answer == LAZY_ORDINARY)
                answer = note(&operation, op_name(op), op, Py_None, &result);
        operation_deinit(&operation);
        return answer == LAZY_OTHER ? PyObject_CallMethod(lazy.operators, method, "O", object)
                                    : result;
}

PyObject *lazy_compare(PyObject *left, PyObject *right, int how)
{
        static const struct {
                enum td_op op;
                const char *method;
        } rows[] = {
                [Py_LT] = { TD_OP_LESS, "__lt__" },    [Py_LE] = { TD_OP_LESS_EQUAL, "__le__" },
                [Py_EQ] = { TD_OP_EQUAL, "__eq__" },   [Py_NE] = { TD_OP_NOT_EQUAL, "__ne__" },
                [Py_GT] = { TD_OP_GREATER, "__gt__" }, [Py_GE] = { TD_OP_GREATER_EQUAL, "__ge__" },
        };

        return binary(rows[how].op, rows[how].method, NULL, left, right);
}

PyObject *lazy_nb_add(PyObject *left, PyObject *right)
{
        return binary(TD_OP_ADD, "__add__", "__radd__", left, right);
}

PyObject *lazy_nb_subtract(PyObject *left, PyObject *right)
{
        return binary(TD_OP_SUBTRACT, "__sub__", "__rsub__", left, right);
}

PyObject *lazy_nb_multiply(PyObject *left, PyObject *right)
{
        return binary(TD_OP_MULTIPLY, "__mul__", "__rmul__", left, right);
}

PyObject *lazy_nb_divide(PyObject *left, PyObject *right)
{
        return binary(TD_OP_DIVIDE, "__truediv__", "__rtruediv__", left, right);
}

PyObject *lazy_nb_floor_divide(PyObject *left, PyObject *right)
{
        return binary(TD_OP_FLOOR_DIVIDE, "__floordiv__", "__rfloordiv__", left, right);
}

PyObject *lazy_nb_remainder(PyObject *left, PyObject *right)
{
        return binary(TD_OP_REMAINDER, "__mod__", "__rmod__", left, right);
}

PyObject *lazy_nb_matmul(PyObject *left, PyObject *right)
{
        return binary(TD_OP_MATMUL, "__matmul__", "__rmatmul__", left, right);
}

PyObject *lazy_nb_negative(PyObject *object)
{
        return unary(TD_OP_NEGATIVE, "__neg__", object);
}

PyObject *lazy_nb_absolute(PyObject *object)
{
        return unary(TD_OP_ABS, "__abs__", object);
}
