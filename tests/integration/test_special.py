# SPDX-License-Identifier: MIT
"""Special values of what is not element-wise; the tables are ops_*_special.py."""

import numpy
import ops_movement_special
import ops_sorting_special
import ops_statistical_special
import pytest

import tensord

ALONG = ops_statistical_special.ALONG + ops_sorting_special.ALONG
WHOLE = ops_sorting_special.WHOLE + ops_movement_special.WHOLE


@pytest.fixture(scope="module")
def client(daemon):
    with daemon.connect() as client:
        yield client


def function(name):
    found = tensord
    for part in name.split("."):
        found = getattr(found, part)
    return found


def parts(x):
    return (x.real, x.imag) if x.dtype.kind == "c" else (x,)


def agree(got, wanted, context):
    """Dtype, shape and values, zeros with their signs; a sum may be half a unit off."""
    got = numpy.asarray(got)
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape), context
    if wanted.dtype.kind not in "fc":
        numpy.testing.assert_array_equal(got, wanted, context)
        return
    for g, w in zip(parts(got), parts(wanted)):
        numpy.testing.assert_allclose(g, w, 2 * numpy.finfo(w.dtype).eps, 0, err_msg=context)
        zero = w == 0
        numpy.testing.assert_array_equal(numpy.signbit(g[zero]), numpy.signbit(w[zero]), context)


def stand(line, answer, across):
    """(lines, what is wanted of them, axis): one, or many beside or below one another."""
    n = 37
    if across is None:
        return line, answer, 0
    lines = numpy.repeat(line[None], n, axis=0)
    wanted = numpy.repeat(answer[None], n, axis=0)
    if not across:
        return lines, wanted, 1
    return numpy.ascontiguousarray(lines.T), wanted.T, 0


@pytest.mark.parametrize("across", [None, False, True], ids=["one", "rows", "columns"])
@pytest.mark.parametrize("name, dtype, line, keywords, to, answer", ALONG)
def test_along(client, name, dtype, line, keywords, to, answer, across):
    is_refused = isinstance(answer, type)
    wanted = numpy.array(0 if is_refused else answer, to)
    lines, wanted, axis = stand(numpy.array(line, dtype), wanted, across)
    x = client.put(lines)
    if is_refused:
        with pytest.raises(answer):
            function(name)(x, axis=axis, **keywords)
        return
    got = function(name)(x, axis=axis, **keywords)
    agree(got, wanted, f"{name}({lines.tolist()}, axis={axis}, {keywords})")


def array(dtype, elements, shape=None):
    made = numpy.array(elements, dtype)
    return made if shape is None else made.reshape(shape)


def operand(client, of):
    if isinstance(of, list):
        return [operand(client, one) for one in of]
    return client.put(array(*of)) if isinstance(of, tuple) else of


@pytest.mark.parametrize("name, operands, keywords, answer", WHOLE)
def test_whole(client, name, operands, keywords, answer):
    given = [operand(client, of) for of in operands]
    if not any(isinstance(of, (tuple, list)) for of in operands):
        keywords = {**keywords, "client": client}
    if isinstance(answer, type):
        with pytest.raises(answer):
            function(name)(*given, **keywords)
        return
    got = function(name)(*given, **keywords)
    got = got if isinstance(got, tuple) else (got,)
    assert len(got) == len(answer)
    for one, wanted in zip(got, answer):
        agree(one, array(*wanted), f"{name}({operands}, {keywords})")
