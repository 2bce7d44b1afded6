# SPDX-License-Identifier: MIT
"""Messages for the target `request`, made systematically: one of each method with all that
it takes, then each with every value in it left out, or replaced by values of other kinds.
"""
import copy

import msgpack

ID, NAME = b"0123456789abcdef", "name"
F2 = {"dtype": "float64", "shape": [2]}
NOW = {**F2, "data": bytes(16), "order": "F"}
VIEW = {"shape": [2, 1], "strides": [8, -8], "offset": 16}
ONCE = {"op_id": ID, "retry_ms": 5}
JOB = {"deadline_ms": 5, "threads": 2, "progress_ms": 50, "wait_ms": 9}
ATTRS = {"start": [0, 1], "shape": [2, -1], "step": [1, -1], "axes": [0, -1], "range": [0, 1.5,
            [1, 2]],
         "dtype": "int8", "keepdims": True, "upper": False, "value": 2**64 - 1, "k": -3, "rcond": 1,
         "correction": 0.5, "include_initial": True, "descending": True, "right": False,
         "endpoint": True, "full_matrices": False, "seed": 7, "stream": 1}
LOOP = {"steps": 3, "captures": 1, "body": [["add", [0, 2], {}]], "results": [3], "watch": [3],
            "every": 2}
AT = {"steps": 3, "captures": 1, "body": [], "results": [2], "watch": [2], "at": [1, 3]}
WHILE = {"max_steps": 3, "captures": 0, "body": [["less", [1, 1], {}]], "results": [2]}
NODES = [["sum", [0], ATTRS], ["loop", [0, 0], LOOP], ["loop", [0, 0], AT], ["while", [0], WHILE],
         ["user.it", [0], {}]]
INPUTS = [{"handle": 1, "view": VIEW, "donate": True}, {"name": NAME}, {"id": ID}, NOW,
          {**NOW, "order": [0]}]
OUTPUTS = [{"value": 1, "handle": 3, "map": True}, {"value": 2, "name": NAME, "replace": True,
            "evictable": True}]
INTO = [{"value": 1, "into": 1, "evictable": False}]

METHODS = [
    ("hello", {"version": 1, "client": "me"}), ("ping", {}), ("ops", {}),
    ("create", {"handle": 1, **F2, "order": [0], "name": NAME, "replace": True, "mutable": True,
            "evictable": False, "wait_ms": 5, **ONCE}),
    ("seal", {"handle": 1}), ("seal", {"name": NAME}), ("seal", {"id": ID}),
    ("put", {**NOW, "handle": 1, "name": NAME, "replace": False, "evictable": True,
            "wait_ms": 5, **ONCE}),
    ("open", {"handle": 1, "name": NAME, "owner": 5, "map": True}), ("open", {"handle": 1,
            "id": ID}),
    ("map", {"handle": 1, "writable": True}), ("unmap", {"segments": [1, 2**64 - 1]}),
    ("release", {"handles": [1]}), ("name", {"handle": 1, "name": NAME, "evictable": True, **ONCE}),
    ("replace", {"handle": 1, "name": NAME, "evictable": True, **ONCE}),
    ("delete", {"name": NAME, "owner": 5, **ONCE}),
    ("share", {"name": NAME, "shared": False}),
    ("snapshot", {"handle": 1, "result": 2, "as": NAME, "replace": True, "map": True,
            "evictable": True, "wait_ms": 5, **ONCE}),
    ("snapshot", {"name": NAME, "owner": 5, "result": 2}),
    ("lend", {"handles": [1]}), ("holders", {"handle": 1, "after": 5, "limit": 3}),
    ("wait", {"name": NAME, "owner": 5, "wait_ms": 9, "handle": 1, "map": True}),
    ("wait", {"name": NAME, "wait_ms": 0, "map": True}),
    ("lease", {"handle": 1, "lease": 2, "view": VIEW, "writable": True, "torn": True, "wait_ms": 5,
               "nonce": ID, "again": True}),
    ("lease", {"name": NAME, "lease": 2, "nonce": ID}), ("lease", {"id": ID, "lease": 2,
            "again": True}),
    ("unlease", {"leases": [1]}), ("list", {"prefix": "a", "after": "b", "limit": 5, "owner": 7}),
    ("list", {"prefix": "", "after": "", "lost": True}), ("stat", {"handle": 1}), ("stat", {}),
    ("run", {"inputs": INPUTS, "nodes": NODES, "outputs": OUTPUTS, **ONCE, **JOB}),
    ("run", {"inputs": INPUTS[1:], "nodes": NODES, "outputs": INTO}),
    ("run", {"inputs": INPUTS, "nodes": [], "outputs": INTO + OUTPUTS}),
    ("run", {"inputs": INPUTS, "nodes": [], "outputs": INTO + [{"value": 0,
            "into": i} for i in (0, 1, 3)]}),
    ("define", {"definition": 1, "inputs": [F2], "nodes": NODES, "outputs": [{"value": 1}]}),
    ("call", {"definition": 1, "inputs": INPUTS[1:], "outputs": [{"handle": 9}, {}], **ONCE,
            **JOB}),
    ("undefine", {"definitions": [1]}), ("cancel", {"msgid": 3}), ("cancel", {"handle": 3}),
    ("cancel", {"request": 3}),
    ("infer", {"name": NAME, "inputs": [F2, F2]}), ("nothing", {}),
]
VALUES = [None, True, -1, 0, 17, 2**31, 2**63, 2**64 - 1, -2**63, 1.5, "", "x" * 300, "\x01", "F",
            b"", b"1",
          [], [0] * 3, [1] * 17, [[1, 2], [1], 1.5], [None], [[[1, 1], 1], 1], {}, {"x": 1},
            {"shape": [2]},
          [2**63], [-1], [2**62, 2**62], ["a"], [{}]]


def paths(value, at=()):
    """of every value inside"""
    yield at
    pairs = value.items() if isinstance(value, dict) else enumerate(value) \
        if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from paths(inner, (*at, key))


def changed(message):
    for at in list(paths(message))[1:]:
        for value in [*VALUES, KeyError]:
            copied = copy.deepcopy(message)
            holder = copied
            for key in at[:-1]:
                holder = holder[key]
            if value is KeyError:
                del holder[at[-1]]
            else:
                holder[at[-1]] = value
            yield copied


def messages():
    """bytes of each message, and of what it is changed to"""
    found = set()
    for method, params in METHODS:
        whole = [0, 7, method, [params]]
        deep = {**LOOP, "body": [["loop", [0, 2], {**LOOP, "body": [["loop", [0, 2], {
            **LOOP, "body": [["loop", [0, 2], LOOP]]}]]}]]}
        others = [whole, [2, method, [params]], [0, 7, method, []], [0, 7, method, [params,
            params]],
                  [0, 7, method, [{**params, "extra": 1}]], [0, 7, method, [{**params, 5: 1}]],
                  [0, 7, method, [{**params, "nodes": [["loop", [0, 0], deep]]}]],
                  [0, 7, method, [{**params, "nodes": [[b"x", [], {}], 5]}]]]
        for message in [*others, *changed(whole)]:
            found.add(msgpack.packb(message, use_bin_type=True, unicode_errors="surrogateescape"))
        # the first key once more, and text that is none
        packed = msgpack.packb(whole)
        for key, value in list(params.items())[:3]:
            pair = msgpack.packb(key) + msgpack.packb(value)
            head = bytes([0x80 + len(params)])
            if head + msgpack.packb(next(iter(params))) in packed and len(params) < 15:
                found.add(packed.replace(head, bytes([0x81 + len(params)]) + pair, 1))
            found.add(packed.replace(msgpack.packb(NAME), b"\xa4n\xff\xfee"))
    return sorted(found, key=lambda data: (len(data), data))
