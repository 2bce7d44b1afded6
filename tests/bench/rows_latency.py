# SPDX-License-Identifier: MIT
"""Round trips, pipelining, and pings while the daemon is busy."""
from kit import Cannot, percentile, program, python

LIMIT_US = 1000
FLOODED_LIMIT_MS = 5
CREATE_BYTES = 8 << 30
FEW_NAMES, MANY_NAMES = 10, 100_000


def measure(bench):
    with bench.scope():
        address = bench.daemon().address
        roundtrips(bench, address)
        for n_clients in (1, 8):
            pipelined(bench, address, n_clients)
        ping_under_load(bench, address)
        # The loop thread computes the first itself; the second is a job for workers.
        for work, n in ("small_op_under_flood", 1), ("medium_op_under_flood", 65_536):
            flooded(bench, address, work, n)
    lookup(bench)


def lookup(bench):
    """A name among many, beside a name among few."""
    work, few = f"lookup_{MANY_NAMES}", f"of_{FEW_NAMES}"
    if not bench.wants(f"{work}/{few}"):
        return
    with bench.scope():
        addresses = {n: bench.daemon().address for n in (FEW_NAMES, MANY_NAMES)}

        def prepared(n):
            bench.helper(python("ours.py")).prepare("fill", addresses[n], "name-", n, 1)
            return bench.helper(python("ours.py")).prepare("lookup", addresses[n], "name-", n)

        bench.compare(work, "us", lambda: prepared(MANY_NAMES),
                      {few: lambda: prepared(FEW_NAMES)}, turns=1000, rounds=15, asked={few: 1})


def flooded(bench, address, work, n_elements):
    """x + 1, while another client keeps large jobs under way."""
    names = {50: f"{work}/limit", 99: f"{work}_p99/limit"}
    if not any(map(bench.wants, names.values())):
        return
    with bench.measuring(names.values()):
        helper = bench.helper(program("client")).prepare("flooded", address, n_elements)
        seconds = helper.time(3000 if bench.is_quick else 15_000)
        for percent, name in names.items():
            if bench.wants(name):
                bench.row(name, "ms", percentile(seconds, percent) * 1e3, FLOODED_LIMIT_MS,
                          note=f"operations={len(seconds)}")


def roundtrips(bench, address):
    peers = {f"echo_{mode}": lambda mode=mode: bench.helper(program("echo")).prepare("echo", mode)
             for mode in ("blocking", "polling")}
    ours = {
        "roundtrip_c": lambda: bench.helper(program("client")).prepare("roundtrip", address),
        "roundtrip_python": lambda: bench.helper(python("ours.py")).prepare("roundtrip", address),
    }
    asked = {"roundtrip_c": 1 / 2, "roundtrip_python": 1 / 4}
    for work in ours:
        bench.compare(work, "us", ours[work], peers, turns=2000, percents=(50, 99),
                      asked={"echo_polling": asked[work]})


def pipelined(bench, address, n_clients):
    n = 40000 // n_clients
    bench.compare(
        f"pipelined_{n_clients}", "op/s",
        lambda: bench.helper(program("client")).prepare("pipelined", address, n_clients, n),
        {"echo_polling": lambda: bench.helper(program("echo")).prepare("rate", "polling",
                                                                       n_clients, n)},
        turns=1, rounds=5, convert=("higher", lambda seconds: n_clients * n / seconds))


def ping_under_load(bench, address):
    """The slower of the two loads is the row without a load's name."""
    names = [f"ping_under_load{load}{suffix}/limit"
             for load in ("_matmul", "_create", "") for suffix in ("", "_p99")]
    if not any(map(bench.wants, names)):
        return
    figures = {}
    for load, size in ("matmul", 4096), ("create", CREATE_BYTES):
        with bench.measuring([name for name in names if load in name]):
            helper = bench.helper(program("client")).prepare("ping", address, load, size)
            seconds = []
            for _ in range(1 if bench.is_quick else 3):
                seconds += [second for second in helper.time(50000) if second >= 0]
            if not seconds:
                raise Cannot(f"the {load} was over before a ping came back")
            note = f"pings={len(seconds)}"
            for percent, suffix in (50, ""), (99, "_p99"):
                figures[load, suffix] = percentile(seconds, percent) * 1e6, note
    for name in filter(bench.wants, names):
        suffix = "_p99" if "_p99" in name else ""
        rows = [row for (load, end), row in figures.items()
                if end == suffix and (load in name or name.startswith(f"ping_under_load{suffix}/"))]
        if rows:
            bench.row(name, "us", max(rows)[0], LIMIT_US, note=max(rows)[1])
