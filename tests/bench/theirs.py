# SPDX-License-Identifier: MIT
"""The peers that are Python: numpy, numexpr, SharedMemory, pickle through a Pipe."""
import math
import multiprocessing
import time
from multiprocessing import resource_tracker, shared_memory

import numpy

import worker
from programs import PROGRAMS, links_chained

HEAT = numpy.array([[1, 0, 0, 0, 0], [.25, .5, .25, 0, 0], [0, .25, .5, .25, 0],
                    [0, 0, .25, .5, .25], [0, 0, 0, 0, 1]])


def random(*shape, dtype="float64", seed=1):
    return numpy.random.default_rng(seed).random(shape, dtype) + 0.5


# ---- handing over ----

def attach(name, other):
    """An existing block as an array, its first element read; another one was attached before."""
    def seconds(name=name):
        begin = time.perf_counter()
        block = shared_memory.SharedMemory(name=name)
        array = numpy.ndarray((block.size // 8,), "float64", block.buf)
        first = array[0]
        end = time.perf_counter()
        del array
        block.close()
        # What only attaches must not have the tracker unlink it in the end.
        resource_tracker.unregister(block._name, "shared_memory")
        assert first == 1
        return end - begin
    seconds(other)
    return seconds


class Block:
    """A block for others to attach, unlinked in the end."""

    def __init__(self, n_bytes):
        self.memory = shared_memory.SharedMemory(create=True, size=n_bytes)
        numpy.ndarray((n_bytes // 8,), "float64", self.memory.buf)[:] = 1.0

    def __call__(self):
        pass

    __name__ = "block"

    def close(self):
        self.memory.close()
        self.memory.unlink()


def block(n_bytes):
    made = Block(int(n_bytes))
    return made, made.memory.name


def share(n_bytes):
    """A new block each time, as a hand-over takes; it is closed and unlinked untimed."""
    array = random(int(n_bytes) // 8)

    def seconds():
        begin = time.perf_counter()
        memory = shared_memory.SharedMemory(create=True, size=array.nbytes)
        copy = numpy.ndarray(array.shape, array.dtype, memory.buf)
        copy[:] = array
        end = time.perf_counter()
        del copy
        memory.close()
        memory.unlink()
        return end - begin
    return seconds


def _send(connection, n_bytes):
    array = random(n_bytes // 8)
    try:
        while connection.recv():
            connection.send(array)
    except EOFError:
        pass


class Pipe:
    """An array from another process, pickled through a Pipe, asked for and received."""

    __name__ = "pipe"

    def __init__(self, n_bytes):
        self.connection, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=_send, args=(theirs, int(n_bytes)),
                                               daemon=True)
        self.process.start()
        theirs.close()
        self()

    def __call__(self):
        self.connection.send(True)
        return self.connection.recv()[0]

    def close(self):
        self.connection.send(False)
        self.process.join()


# ---- computing ----

def factors(dtype, *shape):
    """Two factors of a product; equal, but no copies of each other. As gemm.c makes them."""
    i = numpy.arange(math.prod(shape))
    x = (i * 7919 % 1021 / 1021 - 0.5).astype(dtype).reshape(shape)
    return x, x.copy()


def integers(n, seed):
    return numpy.random.default_rng(seed).integers(-99, 99, (n, n))


def system(n):
    """A matrix that every routine takes, and a right side. As lapack.c makes them."""
    i = numpy.arange(n)
    low, high = numpy.minimum(i, i[:, None]), numpy.maximum(i, i[:, None])
    matrix = (low * 7919 + high * 104729) % 1024 / 1024 - 0.5 + n * numpy.eye(n)
    return matrix, i.astype(float)


def decomposed(work, matrix, results):
    """What is unique of a decomposition, once its factors were multiplied to see that it is one."""
    if work == "cholesky":
        unique, product = abs(results), results @ results.T
    elif work == "qr":
        q, r = results
        unique, product = abs(r), q @ r
    elif work == "eigh":
        unique, vectors = results
        product = vectors * unique @ vectors.T
    elif work == "svd":
        u, unique, vt = results
        product = u * unique @ vt
    else:
        return results
    assert abs(product - matrix).max() < 1e-12 * abs(matrix).max() * len(matrix), "no factors"
    return unique


def matmul_at_b(dtype, n):
    a, b = factors(dtype, int(n), int(n))
    return lambda: a.T @ b


def matmul_batch(dtype, n, n_products):
    a, b = factors(dtype, int(n_products), int(n), int(n))
    return lambda: a @ b


def matmul_tall(dtype, m, n, k):
    a, b = factors(dtype, int(m), int(k))[0], factors(dtype, int(k), int(n))[0]
    return lambda: a @ b


def matmul_integers(n):
    a, b = integers(int(n), 1), integers(int(n), 2)
    return lambda: a @ b


def linalg(work, n):
    a, b = system(int(n))
    function = getattr(numpy.linalg, work)

    def compute():
        if work == "solve":
            return function(a, b)
        return function(a, full_matrices=False) if work == "svd" else function(a)
    compute.result = lambda: decomposed(work, a, compute())
    return compute


def matmul(dtype, n):
    a, b = factors(dtype, int(n), int(n))
    return lambda: a @ b, worker.blas_core()


def links(n):
    """As loops.c makes them."""
    return [first + (numpy.arange(n) & 1023) * 1e-3 for first in (1, 2, 3)]


def chain(n):
    a, b, c = links(int(n))
    return lambda: links_chained(numpy, a, b, c)


def chain_out(n):
    a, b, c = links(int(n))
    x, y = numpy.empty_like(a), numpy.empty_like(a)

    def compute():
        numpy.multiply(a, a, out=x)
        numpy.multiply(b, b, out=y)
        numpy.add(x, y, out=x)
        numpy.sqrt(x, out=x)
        numpy.multiply(x, c, out=x)
        numpy.divide(a, 2, out=y)
        numpy.subtract(x, y, out=x)
        return x
    return compute


def chain_numexpr(n, threads):
    import numexpr

    numexpr.set_num_threads(int(threads))
    a, b, c = links(int(n))
    return (lambda: numexpr.evaluate("sqrt(a * a + b * b) * c - a / 2", {"a": a, "b": b, "c": c}),
            f"threads={threads}")


def reducible(n, dtype):
    """A matrix; of bool, one that must be read to its end before anything is found. Written, for
    zeros that nobody wrote are one page."""
    return numpy.full((n, n), False) if dtype == "bool" else random(n, n, dtype=dtype)


def reduce(op, axis, dtype, n):
    x = reducible(int(n), dtype)
    function = getattr(numpy, {"cumulative_sum": "cumsum"}.get(op, op))
    given = {} if axis == "all" else {"axis": int(axis[4:])}
    return lambda: function(x, **given)


def exp(n):
    x = random(int(n), int(n))
    return lambda: numpy.exp(x)


def of_function(name, dtype, n):
    """Operands of a mathematical function, from all over its domain."""
    low, high = {"exp": (-20, 20), "sin": (-20, 20), "tanh": (-3, 3)}.get(name, (0.01, 10))
    uniform = numpy.random.default_rng(1).uniform
    return [uniform(low, high, n).astype(dtype) for _ in range(2 if name == "pow" else 1)]


def function(name, dtype, n):
    operands = of_function(name, dtype, int(n))
    compute = getattr(numpy, "power" if name == "pow" else name)
    return lambda: compute(*operands)


def function_out(name, dtype, n):
    operands = of_function(name, dtype, int(n))
    compute, out = getattr(numpy, "power" if name == "pow" else name), numpy.empty(int(n), dtype)
    return lambda: compute(*operands, out=out)


def unsorted(dtype, n):
    """Normal numbers; integers of all 64 bits."""
    generator = numpy.random.default_rng(1)
    if dtype == "int64":
        limits = numpy.iinfo(dtype)
        return generator.integers(limits.min, limits.max, n, dtype, endpoint=True)
    return generator.standard_normal(n).astype(dtype)


def sorting(op, dtype, n):
    x = unsorted(dtype, int(n))
    return (lambda: numpy.unique(x)) if op == "unique" else (
        lambda: getattr(numpy, op)(x, kind="stable"))


def program(name):
    expression, operands = PROGRAMS[name]
    inputs = operands()
    return lambda: expression(numpy, *inputs)


def gradient(steps):
    x = numpy.array([[1.0, 0], [1, 1], [1, 2], [1, 3], [1, 4]])
    y = numpy.array([1.0, 3, 5, 7, 9])

    def compute():
        theta = numpy.zeros(2)
        for _ in range(int(steps)):
            theta -= 0.05 * (2 / 5) * x.T @ (x @ theta - y)
        return theta
    assert abs(compute() - [1, 2]).max() < 1e-9
    return compute


CONDUCTION = 0.25


def cold_rod(n):
    return numpy.random.default_rng(1).random(n)


def rod_matrix(n):
    """A step of the rod as a product; the ends stay as they are."""
    step = numpy.eye(n)
    for i in range(1, n - 1):
        step[i, i - 1:i + 2] += [CONDUCTION, -2 * CONDUCTION, CONDUCTION]
    return step


def rod(n, steps):
    first = cold_rod(int(n))

    def compute():
        u = first.copy()
        for _ in range(int(steps)):
            u[1:-1] = u[1:-1] + CONDUCTION * (u[:-2] - 2 * u[1:-1] + u[2:])
        return u
    return compute


def heat(steps):
    def compute():
        u = numpy.array([0.0, 0, 0, 0, 100])
        for _ in range(int(steps)):
            u = HEAT @ u
        return u
    return compute


if __name__ == "__main__":
    worker.serve({
        "attach": attach, "block": block, "share": share, "pipe": Pipe,
        "matmul": matmul, "matmul_at_b": matmul_at_b, "matmul_batch": matmul_batch,
        "matmul_integers": matmul_integers, "matmul_tall": matmul_tall, "linalg": linalg,
        "chain": chain, "chain_out": chain_out, "chain_numexpr": chain_numexpr,
        "reduce": reduce, "exp": exp, "function": function,
        "function_out": function_out, "sorting": sorting, "program": program,
        "gradient": gradient, "rod": rod, "heat": heat,
    })
