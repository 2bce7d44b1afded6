# SPDX-License-Identifier: MIT
"""Small requests, as another revision of tensord carries them out: what was built since may cost
them so much and no more."""
import statistics

from kit import BUILD, program, python

ASKED = 1 / 1.1
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
WORKS = {  # turns, and what ours.py does; client.c does the first
    "roundtrip_c": (2000, None),
    "call_python": (2000, ["call"]),
    "put_1K": (2000, ["put", 1 << 10]),
    "put_1M": (500, ["put", 1 << 20]),
    "put_16M_warm": (20, ["put", 16 << 20]),
    "lease": (2000, ["lease"]),  # told alone
}


PAIRS = 5  # of daemons: how fast memory is depends on where its pages happen to lie


def prepare(bench, build, words):
    """A helper of that build that does the work, beside a daemon of its own."""
    address = bench.daemon(build=build).address
    if words is None:
        return bench.helper(program("client", build)).prepare("roundtrip", address)
    return bench.helper(python("ours.py"), **ONE_THREAD,
                        PYTHONPATH=str(build / "python")).prepare(words[0], address, *words[1:])


def measure(bench):
    if not bench.before:
        return
    n_pairs, rounds = (1, 3) if bench.is_quick else (PAIRS, 5)
    for work, (turns, words) in WORKS.items():
        name = f"{work}/before"
        if not bench.wants(name):
            continue
        with bench.measuring([name]):
            now, before = [], []
            for _ in range(n_pairs):
                with bench.scope():
                    seconds, others = bench.take_turns(
                        work, prepare(bench, BUILD, words),
                        {"before": prepare(bench, bench.before, words)}, turns, rounds)
                now += seconds
                before += others.get("before", [])
            if before:
                bench.row(name, "us", statistics.median(now) * 1e6,
                          statistics.median(before) * 1e6,
                          asked=None if work == "lease" else ASKED)
