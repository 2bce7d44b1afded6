# SPDX-License-Identifier: MIT
"""tensord, as a Python user asks for things. Every work's first word is the daemon's address."""
import itertools
import threading
import time

import numpy
import tensord

import worker
from programs import PROGRAMS, links_chained
from theirs import (CONDUCTION, HEAT, cold_rod, decomposed, factors, integers, links, of_function,
                    random, reducible, rod_matrix, system, unsorted)

clients = {}


def connect(address):
    """The client of this process: one, however many works it measures."""
    if address not in clients:
        clients[address] = tensord.connect(address)
    return clients[address]


# ---- latency and sharing ----

def roundtrip(address):
    x = connect(address).put(numpy.array([1.0]))
    return lambda: tensord.eval(x + 1.0)


def call(address):
    """A program that the daemon knows, of one element."""
    client = connect(address)
    program = tensord.Program()
    function = client.define(program, program.parameter((1,)) + 1.0)
    x = client.put(numpy.array([1.0]))
    return lambda: function(x)


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


def lease(address):
    """Lease a tensor to write to it, and give it back."""
    client = connect(address)
    tensor = client.put(numpy.zeros(1 << 16), mutable=True)

    def compute():
        with tensor.write():
            pass
    return compute


def lookup(address, prefix, n):
    """Open one name after the other, of n that there are, in no order."""
    client = connect(address)
    # as many strings, whatever n: where they lie is no matter of the daemon's
    order = numpy.resize(numpy.random.default_rng(1).permutation(int(n)), 10_000)
    names = itertools.cycle([f"{prefix}{i:06}" for i in order])
    return lambda: client.open(next(names))


# ---- what Python takes ----

def per_call(function, n=2000):
    """Seconds that a call takes, of many."""
    begin = time.perf_counter()
    for _ in range(n):
        function()
    return (time.perf_counter() - begin) / n


def note(address):
    """Note an operation, and forget it."""
    x, y = (connect(address).put(numpy.ones((3, 3))) for _ in range(2))

    def seconds():
        return per_call(lambda: x + y)
    return seconds


def tiny(address):
    """One operation on one element, and its value."""
    x = connect(address).put(numpy.array([1.0]))
    assert float(x + 1.0) == 2
    return lambda: float(x + 1.0)


def show(address):
    """A resident array as one of numpy's: what it takes beyond numpy.frombuffer."""
    x, memory = connect(address).put(numpy.ones(1000)), bytes(8000)
    numpy.asarray(x)

    def seconds():
        return (per_call(lambda: numpy.asarray(x))
                - per_call(lambda: numpy.frombuffer(memory)))
    return seconds


def element(address):
    """An element of a resident array, as a number."""
    x = connect(address).put(numpy.ones((30, 30)))

    def seconds():
        return per_call(lambda: float(x[3, 4]))
    return seconds


def chain_source(address, n):
    """numpy's source of the chain, with tensord for numpy."""
    a, b, c = map(connect(address).put, links(int(n)))
    return warm(lambda: links_chained(tensord, a, b, c))


# ---- computing ----

def matmul(address, dtype, n):
    a, b = map(connect(address).put, factors(dtype, int(n), int(n)))
    return warm(lambda: a @ b)


def matmul_at_b(address, dtype, n):
    a, b = map(connect(address).put, factors(dtype, int(n), int(n)))
    return warm(lambda: a.T @ b)


def matmul_batch(address, dtype, n, n_products):
    a, b = map(connect(address).put, factors(dtype, int(n_products), int(n), int(n)))
    return warm(lambda: a @ b)


def matmul_tall(address, dtype, m, n, k):
    client = connect(address)
    a = client.put(factors(dtype, int(m), int(k))[0])
    b = client.put(factors(dtype, int(k), int(n))[0])
    return warm(lambda: a @ b)


def matmul_integers(address, n):
    client = connect(address)
    a, b = (client.put(integers(int(n), seed)) for seed in (1, 2))
    return warm(lambda: a @ b)


def linalg(address, work, n):
    a, b = map(connect(address).put, system(int(n)))
    function = getattr(tensord.linalg, work)

    def compute():
        if work == "solve":
            return function(a, b)
        return function(a, full_matrices=False) if work == "svd" else function(a)

    def result():
        results = compute()
        if isinstance(results, tuple):
            results = tuple(map(numpy.asarray, results))
        return decomposed(work, numpy.asarray(a), results)
    compute.result = result
    return warm(compute)


def warm(function):
    """What computes the function's results: called three times, or twice if that takes long, and
    from then on in memory that it had.
    """
    def compute():
        results = function()
        tensord.eval(*results if isinstance(results, tuple) else (results,))
        return results
    if hasattr(function, "result"):
        compute.result = function.result
    begin = time.perf_counter()
    for i in range(3):
        if i < 2 or time.perf_counter() - begin < 1:
            compute()
    return compute


def chain(address, n):
    client = connect(address)
    tensors = list(map(client.put, links(int(n))))

    def compute():
        program = tensord.Program()
        a, b, c = map(program.input, tensors)
        return client.run(program, links_chained(tensord, a, b, c))
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


def program(address, name):
    client = connect(address)
    expression, operands = PROGRAMS[name]
    tensors = list(map(client.put, operands()))

    def compute():
        request = tensord.Program()
        return client.run(request, expression(tensord, *map(request.input, tensors)))
    return warm(compute)


def beyond(address, name):
    """Bytes that the daemon takes for a program beyond its inputs and outputs, at most, by its own
    figures; they are asked for while it computes.
    """
    compute, watching = program(address, name), tensord.connect(address)
    most, n_seen = 0, 0
    while n_seen < 3:
        running = threading.Thread(target=compute)
        running.start()
        while running.is_alive():
            stat = watching.stat()
            n_seen += stat["jobs"] > 0
            most = max(most, stat["memory"]["scratch"])
        running.join()
    watching.close()
    return lambda: None, f"bytes={most}"


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


def node(address, n, steps):
    """Steps of a loop whose body is one operation on n elements."""
    client = connect(address)
    x = client.put(numpy.arange(float(n)))

    def compute():
        request = tensord.Program()
        last = request.loop(int(steps), lambda i, total: total + x, numpy.zeros(int(n)))
        return numpy.asarray(client.run(request, last))
    assert (warm(compute)() == int(steps) * numpy.arange(float(n))).all()
    return compute


def rod(address, form, n, steps):
    """A rod that cools: by the user kernel, by slices within a loop, by products with a matrix."""
    client, n, steps = connect(address), int(n), int(steps)
    u = client.put(cold_rod(n))
    if form == "kernel":
        kernel = client.kernel("heat1d")
        return warm(lambda: kernel(u, CONDUCTION, steps))
    matrix = client.put(rod_matrix(n)) if form == "dense" else None

    def step(i, u):
        if form == "dense":
            return matrix @ u
        inner = u[1:-1] + CONDUCTION * (u[:-2] - 2 * u[1:-1] + u[2:])
        return tensord.assign(u, slice(1, -1), inner)

    def compute():
        request = tensord.Program()
        return client.run(request, request.loop(steps, step, u))
    return warm(compute)


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


class Load:
    """Matrix products on one of the daemon's threads, until it is forgotten."""

    __name__ = "load"

    def __init__(self, address, n):
        self.client = tensord.connect(address)
        self.factor = self.client.put(random(int(n), int(n)))
        self.is_over = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        request = tensord.Program()
        product = request.input(self.factor) @ request.input(self.factor)
        while not self.is_over:
            self.client.run(request, product, threads=1)

    def __call__(self):
        pass

    def close(self):
        self.is_over = True
        self.thread.join()
        self.client.close()


def facts(address):
    """Not timed: what the header tells of the daemon."""
    stat = connect(address).stat()
    blas = stat["blas"]
    return lambda: None, (f"core={blas['core']} threads={stat['threads']} "
                          f"kernels={stat['kernels']} huge_pages={stat['huge_pages']}")


if __name__ == "__main__":
    worker.serve({
        "roundtrip": roundtrip, "call": call, "store": store, "get": get, "put": put,
        "put_cold": put_cold,
        "lease": lease, "lookup": lookup, "note": note, "tiny": tiny, "show": show,
        "element": element, "chain_source": chain_source,
        "matmul": matmul, "matmul_at_b": matmul_at_b, "matmul_batch": matmul_batch,
        "matmul_integers": matmul_integers, "matmul_tall": matmul_tall, "linalg": linalg,
        "chain": chain, "reduce": reduce, "exp": exp,
        "function": function, "sorting": sorting, "program": program, "beyond": beyond,
        "gradient": gradient, "node": node, "rod": rod, "heat": heat, "load": Load, "fill": fill,
        "small_puts": small_puts, "facts": facts,
    })
