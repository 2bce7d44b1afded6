# SPDX-License-Identifier: MIT
"""Small requests, as another revision of tensord carries them out: what was built since may cost
them so much and no more."""
from kit import program, python

ASKED = 1 / 1.1
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
WORKS = {  # turns, and what ours.py does; client.c does the first
    "roundtrip_c": (2000, None),
    "roundtrip_python": (2000, ["roundtrip"]),
    "put_1K": (2000, ["put", 1 << 10]),
    "put_1M": (500, ["put", 1 << 20]),
    "put_16M_warm": (20, ["put", 16 << 20]),
    "lease": (2000, ["lease"]),
}


def measure(bench):
    if not bench.before:
        return
    with bench.scope():
        address, old = bench.daemon().address, bench.daemon(build=bench.before).address

        def earlier(words):
            if words is None:
                return bench.helper(program("client", bench.before)).prepare("roundtrip", old)
            return bench.helper(python("ours.py"), **ONE_THREAD,
                                PYTHONPATH=str(bench.before / "python")).prepare(words[0], old,
                                                                                 *words[1:])

        def now(words):
            if words is None:
                return bench.helper(program("client")).prepare("roundtrip", address)
            return bench.helper(python("ours.py"), **ONE_THREAD).prepare(words[0], address,
                                                                         *words[1:])

        for work, (turns, words) in WORKS.items():
            bench.compare(work, "us", lambda words=words: now(words),
                          {"before": lambda words=words: earlier(words)}, turns=turns, rounds=15,
                          asked={"before": ASKED})
