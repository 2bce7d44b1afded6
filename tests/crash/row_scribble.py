# SPDX-License-Identifier: MIT
"""Writers that scribble over memory while the daemon computes on it, index arrays included.

Processes with writable mappings of sealed, unsealed and mutable tensors write wild numbers into
them all the time. Jobs read those as indices, labels, masks, pivots, sort keys and values. Whatever
a job yields is made of what it was given: the tables that are indexed hold marked numbers, and a
result that holds another was read from somewhere else. A neighbour's results stay the same.
"""

import contextlib
import os
import random
import struct
import time

import hostile
import kit
import numpy
from hostile import Child

NAME = "scribble"
CHECKS = ("what a job yields comes from its operands, no other memory is read or written, the "
          "daemon lives, others' results have the same bits")
QUICK = {"seconds": 15}
FULL = {"seconds": 600}
LIMIT_S = (120, 1800)

N = 60_000  # elements of what is scribbled over
TABLE = 500  # rows of what is indexed
MARK = 0x7E00_0000_0000_0000  # of what tables hold
WILD = [0, 1, -1, TABLE - 1, TABLE, -TABLE, -TABLE - 1, 1 << 31, -(1 << 31), (1 << 63) - 1,
        -(1 << 63), 1 << 40, 0x7FF8 << 48, 255, 256]

# what is scribbled over: name -> dtype
TARGETS = {"i64": "int64", "i32": "int32", "u8": "uint8", "f64": "float64", "mask": "bool",
           "m64": "int64", "mf64": "float64"}
# inputs by name, nodes, whether the result must consist of marked numbers (or be 0)
TAKEN = True
JOBS = [
    (["table", "i64"], [["take", [0, 1], {"axes": [0]}]], TAKEN),
    (["table", "i32"], [["take", [0, 1], {"axes": [0]}]], TAKEN),
    (["table", "m64"], [["take", [0, 1], {"axes": [0]}]], TAKEN),
    (["table", "i64", "m64"], [["take", [0, 1, 2], {"axes": [0, 1]}]], TAKEN),
    (["long", "i64"], [["take_along_axis", [0, 1], {"axes": [0]}]], TAKEN),
    (["table", "i64"], [["slice", [0], {"start": [0, 0], "step": [1, 1], "shape": [1, 8]}],
                        ["put", [0, 2, 1], {"axes": [0]}]], TAKEN),
    (["long", "long", "i32"], [["put", [0, 1, 2], {"axes": [0]}]], TAKEN),
    (["long", "mask"], [["mask", [0, 1], {}]], TAKEN),
    (["mask", "long"], [["where", [0, 1, 1], {}]], TAKEN),
    (["i64"], [["sort", [0], {"axes": [0]}]], None),
    (["f64"], [["sort", [0], {"axes": [0]}], ["cumulative_sum", [1], {"axes": [0]}]], None),
    (["i64"], [["argsort", [0], {"axes": [0]}]], range(N)),
    (["mf64"], [["argsort", [0], {"axes": [0]}]], range(N)),
    (["mf64"], [["topk", [0], {"axes": [0], "k": 100}]], None),
    (["mask"], [["nonzero", [0], {}]], range(N)),
    (["u8"], [["nonzero", [0], {}]], range(N)),
    (["m64"], [["unique_values", [0], {}]], None),
    (["f64"], [["unique_all", [0], {}]], None),
    (["i64"], [["unique_inverse", [0], {}]], None),
    (["f64", "mf64"], [["searchsorted", [0, 1], {}]], range(N + 1)),
    (["m64", "i64"], [["isin", [0, 1], {}]], None),
    (["f64", "i64"], [["segment_sum", [0, 1], {"k": TABLE}]], None),
    (["f64"], [["reshape", [0], {"shape": [100, 600]}], ["permute_dims", [1], {"axes": [1, 0]}],
               ["matmul", [1, 2], {}], ["argmax", [3], {"axes": [0]}]], range(100)),
    (["square", "pivots", "f64"], [["slice", [2], {"start": [0], "step": [1], "shape": [100]}],
                                   ["lu_solve", [0, 1, 3], {}]], None),
    (["mask", "long"], [["astype", [0], {"dtype": "float64"}], ["sum", [2], {}]], None),
]


def scribble(child, maps, seed):
    """For ever: wild numbers anywhere."""
    os.nice(10)
    generator = numpy.random.default_rng(seed)
    arrays = [numpy.frombuffer(data, dtype="int64") for data in maps]
    wild = numpy.array(WILD)
    while True:
        for array in arrays:
            at = generator.integers(0, len(array), 64)
            array[at] = generator.choice(wild, 64)
            array[generator.integers(0, len(array))] = generator.integers(-TABLE, TABLE)
            begin = generator.integers(0, len(array))
            # long runs of good indices, so that a check of them has something to pass
            array[begin:begin + 3000] = generator.integers(0, 100)


class Scribblers:
    """Tensors of one user, each with processes that write all over it."""

    def __init__(self, daemon, chance, stack):
        self.raw = hostile.connect_as(hostile.AS_USER, daemon.path, timeout=60)
        stack.enter_context(contextlib.closing(self.raw))
        self.chance, self.codes, self.n = chance, {}, 0
        self.inputs, maps = {}, []
        for name, dtype in TARGETS.items():
            made, fd = hostile.create(self.raw, bytes(N * numpy.dtype(dtype).itemsize), dtype, [N],
                                      keep=True, mutable=name.startswith("m") and name != "mask")
            maps.append(stack.enter_context(kit.mapped(fd, made, writable=True)))
            os.close(fd)
            self.inputs[name] = made["handle"]
        marked = MARK + numpy.arange(N)
        self.put("long", marked, "int64", [N])
        self.put("table", marked[:TABLE * 8], "int64", [TABLE, 8])
        square = numpy.random.default_rng(1).standard_normal((100, 100)) + 100 * numpy.eye(100)
        self.put("square", square, "float64", [100, 100])
        made, fd = hostile.create(self.raw, bytes(100 * 8), "int64", [100], keep=True)
        maps.append(stack.enter_context(kit.mapped(fd, made, writable=True)))
        os.close(fd)
        self.inputs["pivots"] = made["handle"]
        for k in range(2):
            stack.enter_context(Child(lambda child, k=k: scribble(child, maps, 7 * k + 1)))

    def put(self, name, values, dtype, shape):
        made = hostile.create(self.raw, values.astype(dtype).tobytes(), dtype, shape)
        self.inputs[name] = made["handle"]

    def step(self):
        """One job, and what it yields."""
        names, nodes, expected = self.chance.choice(JOBS)
        handle = self.raw.handle()
        n_values = {"topk": 2, "unique_inverse": 2, "unique_all": 4}.get(nodes[-1][0], 1)
        value = len(names) + len(nodes) - 1 + self.chance.randrange(n_values)
        try:
            [made] = self.raw.run(nodes, [{"handle": self.inputs[name]} for name in names],
                                  [{"value": value, "handle": handle, "map": True}])
        except kit.Refused as error:
            code = error.code
            assert code in ("index_out_of_range", "bad_value", "singular"), (error, names, nodes)
        else:
            code = "ok"
            if expected is not None:
                self.look(made, expected)
            if self.raw.fds:
                os.close(self.raw.fds.pop())
            if "segment" in made:
                self.raw.notify("unmap", segments=[made["segment"]])
            self.raw.notify("release", handles=[handle])
        self.codes[code] = self.codes.get(code, 0) + 1
        self.n += 1

    def into(self):
        """A job that writes into what is scribbled over: nothing beside it is written."""
        handles = [{"handle": self.inputs[name]} for name in ("m64", "i64")]
        self.raw.call("run", inputs=handles,
                      nodes=[["add", [0, 1], {}]], outputs=[{"value": 2, "into": 0}])
        self.n += 1

    def look(self, made, expected):
        """The result consists of numbers of the table, or of the range."""
        if "data" in made:
            values = numpy.frombuffer(made["data"], made["dtype"])
        elif made["nbytes"] == 0:
            return
        else:
            with kit.mapped(self.raw.fds[-1], made) as data:
                values = numpy.frombuffer(bytes(data), made["dtype"])
        low, high = (MARK, MARK + N - 1) if expected is TAKEN else (expected[0], expected[-1])
        assert ((values >= low) & (values <= high)).all(), (made, values.min(), values.max())

    def check_tables(self):
        """What nobody scribbled over is as it was."""
        for name in "long", "table":
            [total] = self.raw.run([["min", [0], {}]], [{"handle": self.inputs[name]}])
            assert struct.unpack("q", total["data"])[0] == MARK, name


def run(counts, seed, report):
    chance = random.Random(seed)
    daemon = hostile.open_to_all(report, "--memory", "512M", "--threads", "2")
    bounds = daemon.bounds(is_warm=True)
    with kit.Prober(daemon, report), hostile.neighbour(daemon, report), \
            contextlib.ExitStack() as stack:
        scribblers = Scribblers(daemon, chance, stack)
        began = time.monotonic()
        while (seconds := time.monotonic() - began) < counts["seconds"]:
            for _ in range(50):
                scribblers.step()
                scribblers.into()
            scribblers.check_tables()
        report.did("seconds", int(seconds))
    report.say(f"{scribblers.n} jobs; of those that index {scribblers.codes}")
    assert scribblers.codes["ok"] > 100 / kit.SLOWER and scribblers.codes["index_out_of_range"] > 0
    hostile.at_rest(daemon)
    bounds.check()
    daemon.finish()
