# SPDX-License-Identifier: MIT
"""tensord, as a Python user asks for things. Every work's first word is the daemon's address."""
import time

import numpy
import tensord

import worker
from theirs import HEAT, integers, of_function, random, reducible, system, unsorted

clients = {}


def connect(address):
    """The client of this process: one, however many works it measures."""
    if address not in clients:
        clients[address] = tensord.connect(address)
    return clients[address]


# ---- latency and sharing ----

def roundtrip(address):
    x = connect(address).put(numpy.array([1.0]))
    return lambda: x + 1.0


def store(address, name, n_bytes):
    """Keep that many bytes of ones under a name."""
    connect(address).put(numpy.ones(int(n_bytes) // 8), name, replace=True)
    return lambda: None


def get(address, name, other):
    """Open a named tensor as an array, read its first element; another one was opened before."""
    client = connect(address)
    assert client.get(other)[0] == 1
    return lambda: client.get(name)[0]


def put(address, n_bytes):
    """Put the same name again and again, as a producer does."""
    client, array = connect(address), random(int(n_bytes) // 8)

    def compute():
        client.put(array, "bench-put", replace=True)
    for _ in range(4):
        compute()
    return compute


def put_cold(address, n_bytes):
    """Put one more and keep them all: never into memory that was used before."""
    client, array, kept = connect(address), random(int(n_bytes) // 8), []
    return lambda: kept.append(client.put(array))


# ---- computing ----

def matmul(address, dtype, n):
    client = connect(address)
    a, b = (client.put(random(int(n), int(n), dtype=dtype, seed=seed)) for seed in (1, 2))
    return warm(lambda: a @ b)


def matmul_at_b(address, dtype, n):
    client = connect(address)
    a, b = (client.put(random(int(n), int(n), dtype=dtype, seed=seed)) for seed in (1, 2))
    return warm(lambda: a.T @ b)


def matmul_batch(address, dtype, n, n_products):
    client = connect(address)
    shape = int(n_products), int(n), int(n)
    a, b = (client.put(random(*shape, dtype=dtype, seed=seed)) for seed in (1, 2))
    return warm(lambda: a @ b)


def matmul_integers(address, n):
    client = connect(address)
    a, b = (client.put(integers(int(n), seed)) for seed in (1, 2))
    return warm(lambda: a @ b)


def linalg(address, work, n):
    a, b = map(connect(address).put, system(int(n)))
    function = getattr(tensord.linalg, work)
    if work == "solve":
        return warm(lambda: function(a, b))
    if work == "svd":
        return warm(lambda: function(a, full_matrices=False))
    return warm(lambda: function(a))


def warm(function):
    for _ in range(3):
        function()
    return function


def chain(address, n):
    client = connect(address)
    tensors = [client.put(random(int(n), seed=seed)) for seed in (1, 2, 3)]

    def compute():
        program = tensord.Program()
        a, b, c = map(program.input, tensors)
        return client.run(program, tensord.sqrt(a * a + b * b) * c - a / 2)
    return warm(compute)


def reduce(address, op, axis, dtype, n):
    x = connect(address).put(reducible(int(n), dtype))
    function, given = getattr(tensord, op), {} if axis == "all" else {"axis": int(axis[4:])}
    if op == "cumulative_sum":
        x = x.reshape(-1)
    return warm(lambda: function(x, **given))


def exp(address, n):
    x = connect(address).put(random(int(n), int(n)))
    return warm(lambda: tensord.exp(x))


def function(address, name, dtype, n):
    """A mathematical function of values all over its domain, or of two such arrays."""
    client = connect(address)
    operands = [client.put(x) for x in of_function(name, dtype, int(n))]
    return warm(lambda: getattr(tensord, name)(*operands))


def sorting(address, op, dtype, n):
    x = connect(address).put(unsorted(dtype, int(n)))
    name = "unique_values" if op == "unique" else op
    return warm(lambda: getattr(tensord, name)(x))


def gradient(address, steps):
    client = connect(address)
    x = client.put(numpy.array([[1.0, 0], [1, 1], [1, 2], [1, 3], [1, 4]]))
    y = client.put(numpy.array([1.0, 3, 5, 7, 9]))

    def compute():
        program = tensord.Program()
        a, b = program.input(x), program.input(y)
        theta = program.loop(int(steps), lambda i, t: t - 0.05 * (2 / 5) * (a.T @ (a @ t - b)),
                             numpy.zeros(2))
        return numpy.asarray(client.run(program, theta))
    assert abs(warm(compute)() - [1, 2]).max() < 1e-9
    return compute


def heat(address, steps):
    client = connect(address)
    matrix = client.put(HEAT)

    def compute():
        program = tensord.Program()
        a = program.input(matrix)
        u = program.loop(int(steps), lambda i, u: a @ u, numpy.array([0.0, 0, 0, 0, 100]))
        return numpy.asarray(client.run(program, u))
    return warm(compute)


# ---- limits ----

def fill(address, prefix, count, n_elements):
    """Put that many tensors, a name each; then `time` does nothing."""
    client, array = connect(address), numpy.ones(int(n_elements))
    for i in range(int(count)):
        client.put(array, f"{prefix}{i:06}")
    return lambda: None


def small_puts(address, count, prefix):
    """A turn: that many puts of one element, with names (new in each turn), or without ('-')."""
    client, array, turns = connect(address), numpy.ones(1), []

    def seconds():
        begin = time.perf_counter()
        for i in range(int(count)):
            client.put(array, None if prefix == "-" else f"{prefix}{len(turns)}-{i:06}")
        turns.append(0)
        return time.perf_counter() - begin
    return seconds


def facts(address):
    """Not timed: what the header tells of the daemon."""
    stat = connect(address).stat()
    blas = stat["blas"]
    return lambda: None, (f"core={blas['core']} threads={stat['threads']} "
                          f"kernels={stat['kernels']} huge_pages={stat['huge_pages']}")


if __name__ == "__main__":
    worker.serve({
        "roundtrip": roundtrip, "store": store, "get": get, "put": put, "put_cold": put_cold,
        "matmul": matmul, "matmul_at_b": matmul_at_b, "matmul_batch": matmul_batch,
        "matmul_integers": matmul_integers, "linalg": linalg,
        "chain": chain, "reduce": reduce, "exp": exp,
        "function": function, "sorting": sorting, "gradient": gradient, "heat": heat, "fill": fill,
        "small_puts": small_puts, "facts": facts,
    })
