# SPDX-License-Identifier: MIT
"""Chains, reductions, functions, sorting and loops."""
import os

from kit import program, python

SIDE = 4096  # of the matrix that is reduced: 128 MiB of float64


def measure(bench):
    with bench.scope():
        address = bench.daemon().address
        for size, n in ("10M", 10_000_000), ("100K", 100_000):
            chain(bench, address, size, n)
        for op in "sum", "mean", "max":
            for axis in "all", "axis0", "axis1":
                for dtype in "float64", "float32":
                    reduction(bench, address, op, axis, dtype)
        for op in "var", "argmax", "cumulative_sum":
            reduction(bench, address, op, "all", "float64")
        reduction(bench, address, "any", "all", "bool")
        exp(bench, address)
        for name in ("exp", "log", "sin", "tanh", "pow"):
            for dtype in ("float64", "float32"):
                function(bench, address, name, dtype)
        for op in "sort", "argsort", "unique":
            for dtype in "float64", "int64":
                sorting(bench, address, op, dtype)
        loop(bench, address, "gradient_2000", "gradient", 2000, {"limit": 6.0})  # 3 us a step
        loop(bench, address, "heat_300", "heat", 300)


def ours(bench, *words):
    return lambda: bench.helper(python("ours.py")).prepare(*words)


def theirs(bench, *words, **env):
    return lambda: bench.helper(python("theirs.py"), **env).prepare(*words)


def chain(bench, address, size, n):
    threads = bench.n_threads

    def handwritten(n_threads):
        return lambda: bench.helper(program("loops")).prepare("chain", n, n_threads)

    peers = {"handwritten": handwritten(threads),
             "numexpr": theirs(bench, "chain_numexpr", n, threads),
             "numpy": theirs(bench, "chain", n),
             "numpy_out": theirs(bench, "chain_out", n)}
    asked = {"handwritten": 0.8, "numexpr": 2.5, "numpy": 8}
    if n < 1_000_000:
        peers["handwritten_1thread"] = handwritten(1)
        asked = {"handwritten_1thread": 0.6, "numpy": 4}
    bench.compare(f"chain_{size}", "ms", ours(bench, "chain", address, n), peers,
                  turns=3 if n > 1_000_000 else 30, asked=asked, tolerance=1e-14)


def reduction(bench, address, op, axis, dtype):
    """bandwidth: by hand, the same bytes read by as many threads."""
    n_bytes = SIDE * SIDE * {"float64": 8, "float32": 4, "bool": 1}[dtype]
    peers = {"numpy": theirs(bench, "reduce", op, axis, dtype, SIDE)}
    if op != "cumulative_sum":
        peers["bandwidth"] = lambda: bench.helper(program("loops")).prepare(
            "read", n_bytes, bench.n_threads)
    bench.compare(
        f"{op}_{axis}_{'bool' if dtype == 'bool' else 'f' + dtype[-2:]}", "ms",
        ours(bench, "reduce", address, op, axis, dtype, SIDE), peers, turns=3,
        asked={"numpy": 1.8, **({"bandwidth": 0.8} if (op, axis) == ("sum", "all") else {})},
        tolerance=1e-4 if dtype == "float32" else 1e-11)


def exp(bench, address):
    """bandwidth: by hand, the same bytes read and written by as many threads."""
    bench.compare(
        "exp", "ms", ours(bench, "exp", address, SIDE),
        {"numpy": theirs(bench, "exp", SIDE),
         "bandwidth": lambda: bench.helper(program("loops")).prepare(
             "copy", SIDE * SIDE * 8, bench.n_threads)},
        turns=3, tolerance=1e-14)


def function(bench, address, name, dtype):
    bench.compare(f"{name}_f{dtype[-2:]}_10M", "ms",
                  ours(bench, "function", address, name, dtype, 10_000_000),
                  {"numpy": theirs(bench, "function", name, dtype, 10_000_000),
                   "numpy_out": theirs(bench, "function_out", name, dtype, 10_000_000)},
                  turns=3, asked={"numpy": 1.7}, tolerance=1e-6 if dtype == "float32" else 1e-14)


def sorting(bench, address, op, dtype):
    """numpy sorts as stably, kind="stable"; its unique has no choice of kind. numpy2: the same by
    the Python that $NUMPY2_PYTHON names.
    """
    words = "sorting", op, dtype, 10_000_000
    peers = {"numpy": theirs(bench, *words)}
    other = os.environ.get("NUMPY2_PYTHON")
    if other:
        peers["numpy2"] = lambda: bench.helper([other, *python("theirs.py")[1:]]).prepare(*words)
    bench.compare(f"{op}_10M_{dtype[0]}64", "ms",
                  ours(bench, "sorting", address, *words[1:]), peers, turns=1, rounds=5,
                  asked={"numpy": 1.7}, tolerance=0)


def loop(bench, address, work, verb, n_steps, limits=None):
    bench.compare(work, "ms", ours(bench, verb, address, n_steps),
                  {"numpy": theirs(bench, verb, n_steps)}, turns=10, limits=limits,
                  tolerance=1e-9)
