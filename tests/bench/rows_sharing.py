# SPDX-License-Identifier: MIT
"""Handing arrays from process to process."""
from kit import program, python

SIZES = {"1K": 1 << 10, "1M": 1 << 20, "256M": 1 << 28, "1G": 1 << 30}
PIPE_MAX = 1 << 28
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}


def measure(bench):
    with bench.scope():
        address = bench.daemon().address
        for size in ("1K", "1M", "1G") if bench.is_quick else SIZES:
            with bench.measuring(f"reopen_{size}, open_{size}"):
                openings(bench, address, size)
    with bench.scope():
        put(bench, bench.daemon().address, "put_16M_warm", "put", 16 << 20)
    with bench.scope():
        put(bench, bench.daemon().address, "put_256M_warm", "put", 256 << 20,
            asked={"memcpy_warm": 0.85})
    with bench.scope():
        put(bench, bench.daemon().address, "put_256M_cold", "put_cold", 256 << 20)


class Fresh:
    """A helper that is started anew for every turn."""

    def __init__(self, start):
        self.start = start
        self.description = ""

    def time(self, n):
        seconds = []
        for _ in range(n):
            helper = self.start()
            seconds += helper.time(1)
            helper.close()
        return seconds


def openings(bench, address, size):
    """reopen: in a process that opened it before; open: in one that did not."""
    n_bytes = SIZES[size]
    works = [f"{verb}_{size}" for verb in ("reopen", "open")]
    if not any(bench.wants(f"{work}/{peer}") for work in works
               for peer in ("sharedmemory", "pipe", "limit")):
        return
    for name, length in ("other", 8192), (size, n_bytes):
        bench.helper(python("ours.py"), **ONE_THREAD).prepare("store", address, name, length)
    blocks = [bench.helper(python("theirs.py"), **ONE_THREAD).prepare("block", length).description
              for length in (n_bytes, 8192)]

    def get():
        return bench.helper(python("ours.py"), **ONE_THREAD).prepare("get", address, size, "other")

    def attach():
        return bench.helper(python("theirs.py"), **ONE_THREAD).prepare("attach", *blocks)

    pipe = {}
    if n_bytes <= PIPE_MAX:
        pipe["pipe"] = lambda: bench.helper(python("theirs.py")).prepare("pipe", n_bytes)
    bench.compare(works[0], "us", get, {"sharedmemory": attach, **pipe},
                  turns=3 if size == "256M" else 50,
                  limits={"limit": 20} if size == "1G" else None)
    bench.compare(works[1], "us", lambda: Fresh(get),
                  {"sharedmemory": lambda: Fresh(attach), **pipe}, turns=1,
                  limits={"limit": 100} if size == "1G" else None)


def put(bench, address, work, verb, n_bytes, asked=None):
    bench.compare(
        work, "GB/s",
        lambda: bench.helper(python("ours.py"), **ONE_THREAD).prepare(verb, address, n_bytes),
        {"memcpy_warm": lambda: bench.helper(program("loops")).prepare("memcpy", n_bytes),
         "sharedmemory": lambda: bench.helper(python("theirs.py"),
                                              **ONE_THREAD).prepare("share", n_bytes)},
        turns=1 if verb == "put_cold" else 5, rounds=5, asked=asked,
        convert=("higher", lambda seconds: n_bytes / seconds / 1e9))
