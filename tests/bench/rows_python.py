# SPDX-License-Identifier: MIT
"""What writing in Python costs, beside the C client and beside programs written by hand."""
from kit import program
from rows_compute import ours

NODE_US, SHOW_US = 1.5, 1.0
TINY, CHAIN = 1 / 2.5, 0.95


def measure(bench):
    with bench.scope():
        address = bench.daemon().address
        for work, name, limits in (("py_node", "note", {"limit": NODE_US}),
                                   ("py_asarray", "show", {"limit": SHOW_US})):
            bench.compare(work, "us", ours(bench, name, address), {}, turns=20, limits=limits)
        bench.compare("py_element", "us", ours(bench, "element", address),
                      {"roundtrip_c": c(bench, address)}, turns=20)
        bench.compare("py_tiny", "us", ours(bench, "tiny", address),
                      {"roundtrip_c": c(bench, address)}, turns=2000, rounds=15,
                      asked={"roundtrip_c": TINY})
        for size, n, turns in ("10M", 10_000_000, 3), ("100K", 100_000, 30):
            bench.compare(f"py_chain_{size}", "ms", ours(bench, "chain_source", address, n),
                          {"program": ours(bench, "chain", address, n)}, turns=turns, rounds=15,
                          asked={"program": CHAIN}, tolerance=0)


def c(bench, address):
    return lambda: bench.helper(program("client")).prepare("roundtrip", address)
