# SPDX-License-Identifier: MIT
"""Matrix products and linear algebra."""
from kit import program, python
from rows_compute import ours, theirs

SIZES = {256: 30, 512: 12, 1024: 6, 2048: 2, 4096: 1}  # turns at a time
LAPACK = ("cholesky", "solve", "qr", "eigh", "svd")


def measure(bench):
    with bench.scope():
        address = bench.daemon().address
        for dtype in ("float64", "float32"):
            for n, turns in SIZES.items():
                name = f"matmul_f{dtype[-2:]}_{n}"
                least = {256: 0.75, 512: 0.9}.get(n, 0.97)
                product(bench, address, name, ("matmul", dtype, n), "gemm", 2 * n**3, turns, least)
        product(bench, address, "matmul_at_b", ("matmul_at_b", "float64", 1024), "gemm_at_b",
                2 * 1024**3, 6, 0.97)
        product(bench, address, "matmul_batched_128", ("matmul_batch", "float64", 128, 64),
                "gemm_batch", 64 * 2 * 128**3, 10, 0.97)
        tall(bench, address, "float32", 133333, 60, 8)
        integers(bench, address)
        for work in LAPACK:
            lapack(bench, address, work, 1024)
        if any(bench.wants(f"{work}_1024_beside/openblas_1thread") for work in LAPACK):
            bench.helper(python("ours.py")).prepare("load", address, 2048)
            for work in LAPACK:
                lapack_beside(bench, address, work, 1024)


def product(bench, address, name, words, direct, n_operations, turns, least):
    verb, *rest = words
    same_core = {"OPENBLAS_CORETYPE": bench.core}
    same = same_core | {"OPENBLAS_NUM_THREADS": str(bench.n_threads)}
    peers = {
        "openblas": lambda: bench.helper(program("gemm"), **same).prepare(direct, *rest),
        "numpy": theirs(bench, verb, *rest, **same_core),
        "numpy_default": theirs(bench, verb, *rest),
    }
    bench.compare(name, "GF/s", ours(bench, verb, address, *rest), peers, turns=turns,
                  rounds=7 if n_operations < 1e11 else 3, asked={"openblas": least},
                  convert=("higher", lambda seconds: n_operations / seconds / 1e9),
                  tolerance=1e-13 if "float64" in words else 1e-5)


def tall(bench, address, dtype, *extents):
    """Rows that are no multiples of a cache line; it is the writing that takes the time."""
    words = "matmul_tall", dtype, *extents
    bench.compare("matmul_tall_60", "ms", ours(bench, "matmul_tall", address, *words[1:]),
                  {"numpy": theirs(bench, *words, OPENBLAS_CORETYPE=bench.core)}, turns=10,
                  rounds=5, asked={"numpy": 1}, tolerance=1e-5)


def integers(bench, address):
    bench.compare("matmul_i64_512", "ms", ours(bench, "matmul_integers", address, 512),
                  {"numpy": theirs(bench, "matmul_integers", 512)}, turns=2, rounds=5,
                  asked={"numpy": 20}, tolerance=0)


def lapack(bench, address, work, n):
    same_core = {"OPENBLAS_CORETYPE": bench.core}
    same = same_core | {"OPENBLAS_NUM_THREADS": str(bench.n_threads)}
    peers = {
        "openblas": lambda: bench.helper(program("lapack"), **same).prepare(work, n),
        "numpy": theirs(bench, "linalg", work, n, **same_core),
        "numpy_default": theirs(bench, "linalg", work, n),
    }
    bench.compare(f"{work}_{n}", "ms", ours(bench, "linalg", address, work, n), peers, turns=2,
                  rounds=5, asked={"openblas": 0.95}, tolerance=1e-10)


def lapack_beside(bench, address, work, n):
    """Another client's products take one thread all the while; the peer gets the other one, too."""
    alone = {"OPENBLAS_CORETYPE": bench.core, "OPENBLAS_NUM_THREADS": "1"}
    peers = {
        "openblas_1thread": lambda: bench.helper(program("lapack"), **alone).prepare(work, n),
        "numpy": theirs(bench, "linalg", work, n, **alone),
    }
    bench.compare(f"{work}_{n}_beside", "ms", ours(bench, "linalg", address, work, n), peers,
                  turns=2, rounds=5, asked={"openblas_1thread": 0.9}, tolerance=1e-10)
