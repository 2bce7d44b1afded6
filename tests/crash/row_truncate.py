# SPDX-License-Identifier: MIT
"""Writers that truncate, punch or grow a segment while the daemon computes on it.

Whoever was handed memory to write keeps a descriptor that no one can take back. It is used here, at
a random moment of a job that reads the tensor, writes into it, or was given its memory for a
result. The attacker gets a result or `poisoned`; the daemon lives; its neighbour computes on.
"""

import contextlib
import ctypes
import os
import random
import time

import hostile
import kit
import numpy

NAME = "truncate"
CHECKS = ("the daemon lives, answers poisoned or the right result, others' results have the same "
          "bits, and bytes of files = charges when the attacker is gone")
QUICK = {"tricks": 100}
FULL = {"tricks": 1000}
SANITIZED = "thread"  # the others take SIGBUS
LIMIT_S = (120, 1800)

THREADS = (1, 2, 4)
KEEP_SIZE, PUNCH_HOLE = 1, 2
FALLOCATE = ctypes.CDLL(None, use_errno=True).fallocate
FALLOCATE.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]

# ---- what is done to the file ----


def cut(fd, size, chance):
    os.ftruncate(fd, chance.choice([0, 1, 4096, 4097, chance.randrange(size), size - 1]))


def punch(fd, size, chance):
    begin = chance.randrange(size // 4096) * 4096
    n_bytes = chance.choice([4096, size - begin])
    assert FALLOCATE(fd, PUNCH_HOLE | KEEP_SIZE, begin, n_bytes) == 0


def grow(fd, size, chance):
    os.ftruncate(fd, size + chance.choice([1, 4096, size]))


def cut_and_restore(fd, size, chance):
    os.ftruncate(fd, chance.randrange(size))
    os.ftruncate(fd, size)


def flutter(fd, size, chance):
    for _ in range(20):
        os.ftruncate(fd, chance.randrange(2 * size))


TRICKS = [cut, cut, punch, grow, cut_and_restore, flutter]

# ---- jobs: (dtype, n of each input), the program, codes that may come beside poisoned ----

F, I, B = ("float64", 400_000), ("int64", 200_000), ("bool", 400_000)
SQUARE = ("float64", 640_000)
TO_SQUARE = ["reshape", [0], {"shape": [800, 800]}]
JOBS = {
    "chain": ([F], [["loop", [0], {"steps": 8, "captures": 0, "results": [3], "body": [
        ["multiply", [1, 1], {}], ["sqrt", [2], {}]]}]], ()),
    "sum": ([F], [["reshape", [0], {"shape": [1000, 400]}], ["sum", [1], {"axes": [0]}]], ()),
    "scan": ([F], [["cumulative_sum", [0], {"axes": [0]}]], ()),
    "sort": ([F], [["sort", [0], {"axes": [0]}]], ()),
    "argsort": ([I], [["argsort", [0], {"axes": [0]}]], ()),
    "unique": ([I], [["unique_values", [0], {}]], ()),
    "product": ([SQUARE], [TO_SQUARE, ["matmul", [1, 1], {}]], ()),
    "transpose": ([SQUARE], [TO_SQUARE, ["permute_dims", [1], {"axes": [1, 0]}],
                             ["add", [1, 2], {}]], ()),
    "solve": ([("float64", 90_000)], [["reshape", [0], {"shape": [300, 300]}],
                                      ["solve", [1, 1], {}]], ("singular",)),
    "take": ([F, I], [["take", [0, 1], {"axes": [0]}]], ("index_out_of_range",)),
    "mask": ([F, B], [["mask", [0, 1], {}]], ()),
    "nonzero": ([B], [["nonzero", [0], {}]], ()),
    "search": ([F, F], [["sort", [0], {"axes": [0]}], ["searchsorted", [2, 1], {}]], ()),
    "cast": ([I], [["astype", [0], {"dtype": "complex128"}]], ()),
}


def some(dtype, n, chance):
    generator = numpy.random.default_rng(chance.randrange(1 << 30))
    if dtype == "float64":
        return generator.standard_normal(n).tobytes()
    return generator.integers(0, 2 if dtype == "bool" else 1000, n, dtype=dtype).tobytes()


class Attacker:
    """A connection with writable descriptors of what it had the daemon keep."""

    def __init__(self, daemon, chance):
        self.chance = chance
        self.raw = hostile.connect_as(hostile.AS_USER, daemon.path, timeout=60)
        self.codes, self.fds = {}, []

    def close(self):
        self.raw.close()
        while self.fds:
            os.close(self.fds.pop())

    def inputs(self, kinds, **keys):
        """[(description, fd)]; the bytes are in self.data"""
        self.data = [some(dtype, n, self.chance) for dtype, n in kinds]
        made = [hostile.create(self.raw, data, dtype, [n], keep=True, **keys)
                for (dtype, n), data in zip(kinds, self.data)]
        self.fds += [fd for _, fd in made]
        return made

    def during(self, msgid, targets, trick, allowed):
        """The trick, at some moment after the request went out; then its answer."""
        time.sleep(self.chance.choice([0, 0, 0.0002, 0.001, 0.003, 0.01]) * self.chance.random())
        fd, size = self.chance.choice(targets)
        trick(fd, size, self.chance)
        try:
            self.raw.wait(msgid)
            code = "ok"
        except kit.Refused as error:
            code = error.code
        assert code in ("ok", "poisoned", *allowed), f"{trick.__name__}: {code}"
        self.codes[code] = self.codes.get(code, 0) + 1
        return code

    def send(self, job, handles):
        """(msgid, handle of the result)"""
        result, nodes = self.raw.handle(), JOBS[job][1]
        return self.raw.send("run", inputs=[{"handle": handle} for handle in handles], nodes=nodes,
                             outputs=[{"value": len(handles) + len(nodes) - 1,
                                       "handle": result}]), result

    def reads(self, job, trick):
        """A job that reads sealed tensors. If it says that it is done, it was not disturbed."""
        kinds, _, allowed = JOBS[job]
        made = self.inputs(kinds)
        msgid, result = self.send(job, [one["handle"] for one, _ in made])
        code = self.during(msgid, [(fd, one["n_bytes"]) for one, fd in made], trick, allowed)
        if code != "ok" or trick not in (cut, grow) or job == "solve":
            return  # other tricks change values, and LAPACK's last bits may differ
        again = [hostile.create(self.raw, data, dtype, [n])["handle"]
                 for (dtype, n), data in zip(kinds, self.data)]
        msgid, expected = self.send(job, again)
        self.raw.wait(msgid)
        [same] = self.raw.run([["equal", [0, 1], {}], ["all", [2], {}]],
                              [{"handle": result}, {"handle": expected}])
        assert same["data"] == b"\1", "done, but of other values"

    def writes(self, _, trick):
        """A job that writes into a mutable tensor, from one that is truncated or not."""
        made = self.inputs([F, F], mutable=True)
        msgid = self.raw.send("run", inputs=[{"handle": one["handle"]} for one, _ in made],
                              nodes=[["exp", [0], {}]], outputs=[{"value": 2, "into": 1}])
        self.during(msgid, [(fd, one["n_bytes"]) for one, fd in made], trick, ())

    def lends(self, _, trick):
        """A job whose result lies in memory that this client gave back, and can write still."""
        [(made, fd)] = self.inputs([F])
        self.raw.call("release", handles=[made["handle"]])
        msgid = self.raw.send("run", inputs=[], nodes=[
            ["random_normal", [], {"shape": [F[1]], "dtype": "float64", "seed": 1}]],
            outputs=[{"value": 0, "handle": self.raw.handle()}])
        self.during(msgid, [(fd, made["n_bytes"])], trick, ())

    def donates(self, _, trick):
        """A job that may write its result over its input."""
        [(made, fd)] = self.inputs([F])
        msgid = self.raw.send("run", inputs=[{"handle": made["handle"], "donate": True}],
                              nodes=[["exp", [0], {}]],
                              outputs=[{"value": 1, "handle": self.raw.handle()}])
        self.during(msgid, [(fd, made["n_bytes"])], trick, ())

    def seals(self, _, trick):
        """What was resized before it is sealed is refused then."""
        handle = self.raw.handle()
        made = self.raw.call("create", handle=handle, dtype="float64", shape=[F[1]])
        fd = self.raw.fds.pop()
        self.fds.append(fd)
        with kit.mapped(fd, made, writable=True) as data:
            data[:8] = bytes(8)
        trick(fd, made["n_bytes"], self.chance)
        is_whole = os.fstat(fd).st_size == made["n_bytes"]
        try:
            self.raw.call("seal", handle=handle)
            code = "ok"
        except kit.Refused as error:
            code = error.code
        assert code in ("ok", "poisoned") and (code == "poisoned" or is_whole), (code, is_whole)


WAYS = [Attacker.reads] * 6 + [Attacker.writes, Attacker.lends, Attacker.donates, Attacker.seals]


def attack(daemon, chance, job):
    """One connection, one trick; what it got."""
    attacker = Attacker(daemon, chance)
    way, trick = chance.choice(WAYS), chance.choice(TRICKS)
    with contextlib.closing(attacker):
        try:
            way(attacker, job, trick)
        except Exception as problem:
            raise AssertionError(f"{way.__name__} {job}, {trick.__name__}") from problem
    return attacker.codes


def run(counts, seed, report):
    chance = random.Random(seed)
    codes = {}
    for i, n_threads in enumerate(THREADS):
        n = counts["tricks"] * (i + 1) // len(THREADS) - counts["tricks"] * i // len(THREADS)
        daemon = hostile.open_to_all(report, "--memory", "512M", "--threads", str(n_threads))
        bounds = daemon.bounds(is_warm=True)
        with kit.Prober(daemon, report), hostile.neighbour(daemon, report):
            for k in range(n):
                for code, count in attack(daemon, chance, list(JOBS)[k % len(JOBS)]).items():
                    codes[code] = codes.get(code, 0) + count
                report.did("tricks")
        hostile.at_rest(daemon)
        bounds.check()
        daemon.finish()
    report.say(f"answers: {codes}")
    assert codes.get("poisoned", 0) > counts["tricks"] // 10, codes
