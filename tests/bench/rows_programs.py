# SPDX-License-Identifier: MIT
"""Programs of several operations: how long they take, and how much memory beyond their operands."""
from kit import BUILD, Cannot, program, python
from rows_compute import ours, theirs

MIB = 1 << 20
KMEANS_EXTRA = 781_250 * (16 + 1) * 8 / MIB  # an array of points x centres, and the labels
LOGISTIC_BYTES = 2 * 125_000 * 100 * 8  # read once for each of the two products
ROD_STEPS = 20


def measure(bench):
    with bench.scope():
        address = bench.daemon().address
        for name, beyond in (("softmax", 8), ("standardise", 8), ("distance", 8),
                             ("distance_product", 8)):
            expression(bench, address, name, 3)
            memory(bench, address, name, beyond)
        expression(bench, address, "dense_layer", None)
        memory(bench, address, "dense_layer", 8)
        expression(bench, address, "kmeans", 2.5)
        memory(bench, address, "kmeans", KMEANS_EXTRA)
        expression(bench, address, "logistic", 1.3, bandwidth=lambda: bench.helper(
            program("loops")).prepare("read", LOGISTIC_BYTES, bench.n_threads))
        memory(bench, address, "logistic", 8)
        for name in ("take", "concat", "transpose"):
            expression(bench, address, name, None, tolerance=0)
        node(bench, address, 64, 100_000)
    names = ["heat1d_1M/sliced", "heat1d_1M/numpy", "heat1d_sliced_1M/numpy", "heat1d_2K/dense"]
    if any(map(bench.wants, names)):
        with bench.measuring(names):
            rods(bench)


def expression(bench, address, name, asked, tolerance=1e-7, **peers):
    peers = {"numpy": theirs(bench, "program", name), **peers}
    bench.compare(name, "ms", ours(bench, "program", address, name), peers, turns=2, rounds=5,
                  asked={"numpy": asked} if asked else None, tolerance=tolerance)


def memory(bench, address, name, most):
    """Beyond inputs and outputs."""
    row = f"{name}_memory/limit"
    if bench.wants(row):
        with bench.measuring(row):
            helper = bench.helper(python("ours.py")).prepare("beyond", address, name)
            n_bytes = float(helper.description.partition("=")[2])
            bench.row(row, "MiB", n_bytes / MIB, most)


def node(bench, address, n, n_steps):
    """A turn of a loop whose body is one operation."""
    bench.compare(f"node_{n}", "us", ours(bench, "node", address, n, n_steps), {}, turns=2,
                  convert=("lower", lambda seconds: seconds / n_steps * 1e6), limits={"limit": 0.5})


def rods(bench):
    """ours: the kernel. Where results are rounded alike they must be equal."""
    directory = BUILD / "kernels"
    if not directory.is_dir():
        raise Cannot(f"{directory} was not built")
    address = bench.daemon("--kernel-dir", str(directory)).address

    def rod(form, n):
        return ours(bench, "rod", address, form, n, ROD_STEPS)

    n = 1_000_000
    bench.compare("heat1d_1M", "ms", rod("kernel", n),
                  {"sliced": rod("sliced", n), "numpy": theirs(bench, "rod", n, ROD_STEPS)},
                  turns=2, rounds=5, tolerance=0)
    bench.compare("heat1d_sliced_1M", "ms", rod("sliced", n),
                  {"numpy": theirs(bench, "rod", n, ROD_STEPS)}, turns=2, rounds=5, tolerance=0)
    bench.compare("heat1d_2K", "ms", rod("kernel", 2000), {"dense": rod("dense", 2000)},
                  turns=5, rounds=5, tolerance=1e-14)
