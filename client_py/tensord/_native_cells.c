/* SPDX-License-Identifier: MIT */
/*
 * Cells
 *
 * What an array holds, replaced; and an entry of a table, dropped. Between any two lines of Python
 * another thread, a signal handler or a finalizer may replace it, too; so what is compared and what
 * is set here, is within one call, and nobody's write is lost.
 */
#include "_native_lazy.h"

/* sys.getrefcount(): the limited API has no promise on how to read it. 0: it cannot be told. */
static Py_ssize_t count_references(PyObject *object)
{
        PyObject *function = PySys_GetObject("getrefcount"), *number;
        Py_ssize_t count;

        number = function ? PyObject_CallFunctionObjArgs(function, object, NULL) : NULL;
        count = number ? PyLong_AsSsize_t(number) : 0;
        Py_XDECREF(number);
        PyErr_Clear();
        return count;
}

static Py_ssize_t alone; /* what is counted where there is one reference */

bool lazy_count_alone(void)
{
        PyObject *list = PyList_New(0);

        if (!list)
                return false;
        alone = count_references(list);
        Py_DECREF(list);
        return true;
}

/* Is there no more than one reference to it? Nothing else runs in between. */
static bool is_alone(PyObject *object)
{
        return alone && count_references(object) == alone;
}

/* Put an object where another was; that one goes when everything is in its place. */
static PyObject *put(PyObject **placep, PyObject *object)
{
        PyObject *old = *placep;

        Py_INCREF(object);
        *placep = object;
        return old;
}

PyObject *lazy_array_is_last(PyObject *object, PyObject *unused)
{
        const struct lazy_array *view = (struct lazy_array *)object;

        (void)unused;
        return PyBool_FromLong(lazy_has(view->base) && is_alone(view->base));
}

PyObject *lazy_array_detach(PyObject *object, PyObject *args)
{
        struct lazy_array *view = (struct lazy_array *)object;
        PyObject *of, *value, *lies, *operand, *base, *seen, *old_value, *old_lies;
        int is_fixed;

        if (!PyArg_ParseTuple(args, "OOOp", &of, &value, &lies, &is_fixed))
                return NULL;
        base = view->base;
        if (!lazy_has(base))
                Py_RETURN_FALSE;
        Py_INCREF(base);
        operand = lazy_operand((struct lazy_array *)base);
        Py_XDECREF(operand); /* the base has it */
        Py_DECREF(base);
        if (!operand)
                return NULL;
        /* What went in between may have had a finalizer, and this assigned to the view. */
        if (operand != of || view->base != base || !is_alone(base))
                Py_RETURN_FALSE;
        seen = view->seen;
        view->base = view->seen = NULL;
        old_value = put(&view->value, value);
        old_lies = put(&view->lies, lies);
        view->is_fixed = (char)is_fixed;
        Py_XDECREF(old_value);
        Py_XDECREF(old_lies);
        Py_XDECREF(seen);
        Py_DECREF(base);
        Py_RETURN_TRUE;
}

PyObject *lazy_array_store(PyObject *object, PyObject *args)
{
        struct lazy_array *cell = (struct lazy_array *)object, *array;
        PyObject *array_object, *value, *client, *old_value, *old_client;
        long long n_stores;

        if (!PyArg_ParseTuple(args, "O!LOO", lazy.array, &array_object, &n_stores, &value, &client))
                return NULL;
        array = (struct lazy_array *)array_object;
        if (cell->n_stores != n_stores || lazy_has(cell->base) ||
            (array != cell && array->base != object))
                Py_RETURN_FALSE;
        cell->n_stores++;
        old_value = put(&cell->value, value);
        old_client = put(&cell->client, client);
        Py_XDECREF(old_value);
        Py_XDECREF(old_client);
        Py_RETURN_TRUE;
}

PyObject *lazy_drop_if_empty(PyObject *module, PyObject *args)
{
        PyObject *table, *key, *dict;

        (void)module;
        if (!PyArg_ParseTuple(args, "O!O", &PyDict_Type, &table, &key))
                return NULL;
        dict = PyDict_GetItemWithError(table, key);
        if (!dict && PyErr_Occurred())
                return NULL;
        if (dict && PyDict_Check(dict) && !PyDict_Size(dict) && PyDict_DelItem(table, key))
                return NULL;
        Py_RETURN_NONE;
}

PyObject *lazy_array_settle(PyObject *object, PyObject *args)
{
        struct lazy_array *array = (struct lazy_array *)object;
        PyObject *value, *tensor, *seen, *settled, *old = NULL;

        if (!PyArg_ParseTuple(args, "OO", &value, &tensor))
                return NULL;
        seen = array->seen;
        if (!lazy_has(array->base)) {
                if (array->value == value)
                        old = put(&array->value, tensor);
        } else if (lazy_has(seen) && PyTuple_GetItem(seen, 1) == value) {
                Py_INCREF(seen); /* a tuple may be collected for, and finalizers look, or assign */
                settled = PyTuple_Pack(2, PyTuple_GetItem(seen, 0), tensor);
                if (settled && array->seen == seen)
                        old = put(&array->seen, settled);
                Py_XDECREF(settled);
                Py_DECREF(seen);
                if (!settled)
                        return NULL;
        }
        Py_XDECREF(old);
        Py_RETURN_NONE;
}
