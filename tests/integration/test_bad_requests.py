# SPDX-License-Identifier: MIT
"""Well-formed messages that ask for something wrong.

Each gets an error response with its code and a sentence that names what was given and what is
wanted; the connection goes on, and the daemon is as it was: same names, same bytes.
"""
import array
import math
import os
import time

import msgpack
import pytest

from raw import Raw, Refused, immediate

F64_3 = immediate([1, 2, 3])
F64_4 = immediate([1, 2, 3, 4])
F64_2x3 = immediate(range(6), shape=[2, 3])
F64_4x5 = immediate(range(20), shape=[4, 5])
BOOL_3 = immediate([0, 1, 1], "bool")
INT_3 = immediate([1, 2, 3], "int64")


@pytest.fixture(scope="module")
def daemon(make_daemon):
    daemon = make_daemon()
    with Raw(daemon.path) as raw:
        raw.put([1, 2, 3, 4, 5, 6], shape=[2, 3], name="small")
        raw.run([["ones", [], {"shape": [1000, 100], "dtype": "float64"}]],
                outputs=[{"value": 0, "name": "large"}])
    return daemon


def figures(path):
    """what a refused request must leave alone"""
    with Raw(path) as raw:
        stat = raw.call("stat")
        names = [(row["name"], row["id"]) for row in raw.call("list")["tensors"]]
        return names, stat["memory"], stat["tensors"], stat["names"], stat["jobs"]


def settles(look, wanted):
    """Wait until the daemon looks so again: it learns a moment later that a connection ended."""
    deadline = time.monotonic() + 10
    while (found := look()) != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    assert found == wanted


@pytest.fixture
def raw(daemon):
    """A connection; what its test does must change nothing."""
    before = figures(daemon.path)
    with Raw(daemon.path) as raw:
        yield raw
        assert raw.call("ping") == "pong"
    settles(lambda: figures(daemon.path), before)


@pytest.fixture
def writer(daemon):
    """A connection whose test makes and drops a tensor: its memory may stay, idle."""
    def look():
        names, memory, *counts = figures(daemon.path)
        return names, memory["used"] - memory["idle"] - memory["parked"], counts

    before = look()
    with Raw(daemon.path) as raw:
        yield raw
    settles(look, before)


def program(nodes, *inputs, outputs=None):
    value = len(inputs) + len(nodes) - 1
    return {"inputs": list(inputs), "nodes": nodes, "outputs": outputs or [{"value": value}]}


def create(dtype="float64", shape=(4,), **keys):
    return {"handle": 99, "dtype": dtype, "shape": list(shape), **keys}


def put(dtype="float64", shape=(3,), data=bytes(24), **keys):
    return {"handle": 99, "dtype": dtype, "shape": list(shape), "data": data, **keys}


def viewed(shape, strides, offset):
    """the small tensor, 48 bytes, seen otherwise"""
    view = {"shape": shape, "strides": strides, "offset": offset}
    return program([["negative", [0], {}]], {"name": "small", "view": view})


def loop(body, results, carried=1, **keys):
    attributes = {"steps": 3, "captures": 0, "body": body, "results": results, **keys}
    return program([["loop", list(range(carried)), attributes]], *[F64_3] * carried)


def matmul(left, right):
    return program([["matmul", [0, 1], {}]], left, right)


# method, parameters, code, words that the message must hold
REQUESTS = {
    # methods and their keys
    "unknown method": ("frobnicate", {}, "unknown_method", ["frobnicate"]),
    "unknown key": ("open", {"name": "small", "handle": 1, "mpa": True}, "bad_arguments",
                    ["open", "mpa"]),
    "missing key": ("open", {"name": "small"}, "bad_arguments", ["open", "handle"]),
    "missing ref": ("open", {"handle": 1}, "bad_arguments", ["open", "name", "id"]),
    "two refs": ("stat", {"name": "small", "handle": 1}, "bad_arguments", ["stat", "handle"]),
    "wrong type": ("open", {"name": 5, "handle": 1}, "bad_arguments", ["name", "str", "integer"]),
    "handle 0": ("open", {"name": "small", "handle": 0}, "bad_arguments", ["handle", "0"]),
    "handle too large": ("open", {"name": "small", "handle": -1}, "bad_arguments", ["handle"]),
    "short id": ("open", {"id": b"short", "handle": 1}, "bad_arguments", ["id", "5", "16"]),
    "list limit": ("list", {"limit": 1001}, "bad_arguments", ["limit", "1001", "1000"]),
    "bad order": ("create", create(order="K"), "bad_arguments", ["order", "C", "F"]),
    "short op_id": ("put", put(op_id=b"1"), "bad_arguments", ["op_id", "1", "16"]),
    "retry without op_id": ("put", put(retry_ms=5), "bad_arguments", ["retry_ms", "op_id"]),
    "version": ("hello", {"version": 99}, "version_mismatch", ["99", "1"]),
    # what is not there
    "unknown name": ("open", {"name": "absent", "handle": 1}, "not_found", ["absent"]),
    "unknown id": ("open", {"id": bytes(16), "handle": 1}, "not_found", []),
    "unknown handle": ("map", {"handle": 12345}, "not_found", ["12345"]),
    "delete unknown": ("delete", {"name": "absent"}, "not_found", ["absent"]),
    "stat unknown": ("stat", {"name": "absent"}, "not_found", ["absent"]),
    "seal unknown": ("seal", {"handle": 12345}, "not_found", ["12345"]),
    "run unknown": ("run", program([["negative", [0], {}]], {"name": "absent"}), "not_found",
                    ["absent"]),
    # names
    "name taken by put": ("put", put(name="small"), "name_taken", ["small"]),
    "name taken by create": ("create", create(name="large"), "name_taken", ["large"]),
    "name taken by run": ("run", program([["negative", [0], {}]], F64_3,
                                         outputs=[{"value": 1, "name": "small"}]),
                          "name_taken", ["small"]),
    "empty name": ("put", put(name=""), "bad_name", ["0", "255"]),
    "long name": ("put", put(name="n" * 256), "bad_name", ["256", "255"]),
    "newline in name": ("put", put(name="a\nb"), "bad_name", ["control"]),
    "NUL in name": ("put", put(name="a\0b"), "bad_name", ["control"]),
    "DEL in name": ("put", put(name="a\x7fb"), "bad_name", ["control"]),
    "C1 in name": ("put", put(name="a\x85b"), "bad_name", ["control"]),
    # dtypes and shapes
    "unknown dtype": ("create", create("float16"), "unsupported_dtype", ["float16", "float64"]),
    "rank": ("create", create(shape=[1] * 17), "rank_limit", ["17", "16"]),
    "negative extent": ("create", create(shape=[2, -3]), "bad_shape", ["-3"]),
    "overflow": ("create", create(shape=[2**40, 2**40]), "bad_shape", [str(2**40)]),
    "overflow by the item": ("create", create(shape=[2**61]), "bad_shape", [str(2**61)]),
    "overflow beside 0": ("create", create(shape=[2**40, 2**40, 0]), "bad_shape", [str(2**40)]),
    "extent beyond int64": ("create", create(shape=[2**63]), "bad_arguments", [str(2**63)]),
    "fraction as extent": ("create", create(shape=[2.5]), "bad_arguments", ["float"]),
    "bool as extent": ("create", create(shape=[True]), "bad_arguments", ["bool"]),
    # bytes in messages
    "too few bytes": ("put", put(data=bytes(23)), "bad_arguments", ["23", "24", "(3,)"]),
    "too many bytes": ("put", put(data=bytes(25)), "bad_arguments", ["25", "24"]),
    "large put": ("put", put(shape=[513], data=bytes(4104)), "too_large_inline", ["4104", "4096"]),
    "large inline output": ("run", program([["ones", [], {"shape": [513], "dtype": "float64"}]]),
                            "too_large_inline", ["4104", "4096"]),
    # programs
    "unknown op": ("run", program([["frobnicate", [0], {}]], F64_3), "unknown_op", ["frobnicate"]),
    "too few arguments": ("run", program([["add", [0], {}]], F64_3), "bad_program",
                          ["add", "2", "1"]),
    "too many arguments": ("run", program([["sqrt", [0, 0], {}]], F64_3), "bad_program",
                           ["sqrt", "1", "2"]),
    "value of later": ("run", program([["add", [0, 2], {}], ["sqrt", [0], {}]], F64_3),
                       "bad_program", ["add", "2"]),
    "value of nowhere": ("run", program([["sqrt", [4000], {}]], F64_3), "bad_program", ["4000"]),
    "output of nowhere": ("run", program([], F64_3, outputs=[{"value": 7}]), "bad_program", ["7"]),
    "unknown attribute": ("run", program([["sum", [0], {"axis": [0]}]], F64_3), "bad_program",
                          ["sum", "axis"]),
    "attribute of another": ("run", program([["add", [0, 0], {"axes": [0]}]], F64_3),
                             "bad_program", ["add", "axes"]),
    "missing attribute": ("run", program([["zeros", [], {"dtype": "int64"}]]), "bad_program",
                          ["zeros", "shape"]),
    "65 outputs": ("run", program([], F64_3, outputs=[{"value": 0}] * 65), "bad_arguments",
                   ["65", "64"]),
    "4097 values": ("run", program([["negative", [0], {}]] * 4097, F64_3), "bad_program", ["4096"]),
    "map of nothing kept": ("run", program([], F64_3, outputs=[{"value": 0, "map": True}]),
                            "bad_arguments", ["map", "handle"]),
    "shapes of add": ("run", program([["add", [0, 1], {}]], F64_3, F64_4), "shape_mismatch",
                      ["add", "(3,)", "(4,)"]),
    "shapes of where": ("run", program([["where", [0, 1, 2], {}]], BOOL_3, F64_3, F64_4),
                        "shape_mismatch", ["where", "(3,)", "(4,)"]),
    "shapes of matmul": ("run", matmul(F64_2x3, F64_4x5), "shape_mismatch",
                         ["matmul", "(2, 3)", "(4, 5)"]),
    "matmul of scalars": ("run", matmul(immediate([1], shape=[]), F64_3), "shape_mismatch",
                          ["matmul", "()", "(3,)"]),
    "stacks of matmul": ("run", matmul(immediate(range(8), shape=[2, 2, 2]),
                                       immediate(range(12), shape=[3, 2, 2])),
                         "shape_mismatch", ["matmul", "(2, 2, 2)", "(3, 2, 2)"]),
    "shapes of solve": ("run", program([["solve", [0, 1], {}]], immediate([1] * 4, shape=[2, 2]),
                                       F64_3), "shape_mismatch", ["solve", "(2, 2)", "(3,)"]),
    "solve of a rectangle": ("run", program([["solve", [0, 1], {}]], F64_2x3, F64_3),
                             "shape_mismatch", ["solve", "(2, 3)", "square"]),
    "shapes of lstsq": ("run", program([["lstsq", [0, 1], {}]], F64_4x5, F64_3,
                                       outputs=[{"value": 2}]),
                        "shape_mismatch", ["lstsq", "(4, 5)", "(3,)"]),
    "cholesky of a rectangle": ("run", program([["cholesky", [0], {}]], F64_2x3),
                                "shape_mismatch", ["cholesky", "(2, 3)"]),
    "reshape": ("run", program([["reshape", [0], {"shape": [2, 2]}]], F64_3), "shape_mismatch",
                ["reshape", "(3,)", "(2, 2)"]),
    "broadcast_to": ("run", program([["broadcast_to", [0], {"shape": [2, 2]}]], F64_3),
                     "shape_mismatch", ["broadcast_to", "(3,)", "(2, 2)"]),
    "overflow within": ("run", program([["zeros", [], {"shape": [2**32, 2**32],
                                                       "dtype": "float64"}]]),
                        "bad_shape", ["zeros", str(2**32)]),
    "negative within": ("run", program([["ones", [], {"shape": [-1], "dtype": "int64"}]]),
                        "bad_shape", ["ones", "-1"]),
    "rank within": ("run", program([["reshape", [0], {"shape": [1] * 16 + [3]}]], F64_3),
                    "rank_limit", ["17", "16"]),
    "dtype of where": ("run", program([["where", [0, 0, 0], {}]], F64_3), "unsupported_dtype",
                       ["where", "float64", "bool"]),
    "dtype of subtract": ("run", program([["subtract", [0, 0], {}]], BOOL_3),
                          "unsupported_dtype", ["subtract", "bool"]),
    "dtype of arange": ("run", program([["arange", [], {"range": [0, 1.5, 0.5],
                                                        "dtype": "int64"}]]),
                        "dtype_mismatch", ["arange", "int64"]),
    "axis": ("run", program([["sum", [0], {"axes": [1]}]], F64_3), "bad_axis", ["sum", "1"]),
    "axis twice": ("run", program([["sum", [0], {"axes": [0, -2]}]], F64_2x3), "bad_axis",
                   ["sum", "twice"]),
    "permutation": ("run", program([["permute_dims", [0], {"axes": [0]}]], F64_2x3), "bad_axis",
                    ["permute_dims", "(2, 3)"]),
    "max of nothing": ("run", program([["max", [0], {}]], immediate([], shape=[0])), "bad_value",
                       ["max", "(0,)"]),
    "slice beyond": ("run", program([["slice", [0], {"start": [1], "shape": [3], "step": [1]}]],
                                    F64_3), "bad_view", ["slice", "(3,)"]),
    "slice before": ("run", program([["slice", [0], {"start": [1], "shape": [3], "step": [-1]}]],
                                    F64_3), "bad_view", ["slice", "(3,)"]),
    # views of inputs
    "view behind the end": ("run", viewed([7], [8], 0), "bad_view", []),
    "view before the start": ("run", viewed([2], [-8], 0), "bad_view", []),
    "view by offset": ("run", viewed([6], [8], 8), "bad_view", []),
    "view by negative offset": ("run", viewed([1], [8], -8), "bad_view", []),
    "view that overflows": ("run", viewed([2, 2], [2**62, 2**62], 0), "bad_view", []),
    "view of stride 0, too long": ("run", viewed([2**40, 2**40], [0, 0], 0), "bad_shape", []),
    "view with too few strides": ("run", viewed([2, 3], [8], 0), "bad_view", ["1", "(2, 3)"]),
    # loops
    "loop's shape": ("run", loop([["sum", [1], {}]], [2]), "loop_shape", ["(3,)", "()"]),
    "loop's dtype": ("run", loop([["astype", [1], {"dtype": "float32"}]], [2]), "loop_shape",
                     ["float64", "float32"]),
    "loop's results": ("run", loop([], [1, 1]), "bad_program", ["loop", "2", "1"]),
    "loop's body": ("run", loop([["negative", [5], {}]], [1]), "bad_program", ["5"]),
    "negative steps": ("run", loop([], [1], steps=-1), "bad_program", ["steps", "-1"]),
    "watch every 0": ("run", loop([], [1], watch=[1], every=0), "bad_program", ["every", "0"]),
    "watch step 0": ("run", loop([], [1], watch=[1], at=[0, 1]), "bad_program", ["at", "0"]),
    "watch backwards": ("run", loop([], [1], watch=[1], at=[2, 1]), "bad_program", []),
    "watch beyond": ("run", loop([], [1], watch=[1], at=[4]), "bad_program", ["4", "3"]),
    # data
    "singular": ("run", program([["solve", [0, 1], {}]], immediate([1, 2, 2, 4], shape=[2, 2]),
                                immediate([1, 2])), "singular", ["solve"]),
    "not positive definite": ("run", program([["cholesky", [0], {}]],
                                             immediate([1, 2, 2, 1], shape=[2, 2])),
                              "singular", ["cholesky"]),
    "not converging": ("run", program([["lstsq", [0, 1], {}]],
                                      immediate([1, math.nan, 2, 3], shape=[2, 2]),
                                      immediate([1, 2]), outputs=[{"value": 2}]),
                       "not_converged", ["lstsq"]),
    "negative power": ("run", program([["pow", [0, 1], {}]], INT_3,
                                      immediate([1, -1, 1], "int64")), "bad_value", ["pow"]),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_wrong_request_is_refused(raw, name):
    method, params, code, words = REQUESTS[name]
    error = raw.refusal(method, **params)
    assert error.code == code, error
    for word in words:
        assert word in error.message, error


PARAMS = {
    "two maps": [{}, {}],
    "no map": [5],
    "an integer key": [{5: 1}],
    "a key twice": None,
    "no array": {},
}


@pytest.mark.parametrize("name", PARAMS)
def test_params_are_an_array_of_one_map(raw, name):
    if name == "a key twice":
        head = msgpack.packb([0, 7, "stat"])[1:]
        pair = msgpack.packb("name") + msgpack.packb("small")
        raw.send_bytes(b"\x94" + head + b"\x91\x82" + pair + pair)
    else:
        raw.send_bytes(msgpack.packb([0, 7, "stat", PARAMS[name]]))
    with pytest.raises(Refused) as refusal:
        raw.wait(7)
    assert refusal.value.code == "bad_arguments"


def test_name_of_bytes_that_are_not_utf8(raw):
    name = b"\xa3a\xffb"
    raw.send_bytes(b"\x94\x00\x07" + msgpack.packb("open") + b"\x91\x82"
                   + msgpack.packb("handle") + b"\x01" + msgpack.packb("name") + name)
    with pytest.raises(Refused) as refusal:
        raw.wait(7)
    assert refusal.value.code == "bad_name"


def test_handle_in_use(raw):
    raw.call("open", name="small", handle=5)
    assert raw.refusal("open", name="large", handle=5).code == "handle_taken"
    assert raw.refusal("put", **put(handle=5)).code == "handle_taken"
    assert raw.call("stat", handle=5)["tensor"]["name"] == "small"


def test_seal_and_write_belong_to_the_creator(daemon, writer):
    raw = writer
    made = raw.call("create", handle=1, dtype="float64", shape=[1000], name="unfinished")
    with Raw(daemon.path) as other:
        assert other.refusal("seal", id=made["id"]).code == "not_creator"
        assert other.refusal("seal", name="unfinished").code == "not_found"
        assert other.refusal("open", name="unfinished", handle=1).code == "not_found"
        assert other.refusal("put", **put(name="unfinished")).code == "name_taken"
        assert other.refusal("create", **create(name="unfinished")).code == "name_taken"
    used = program([["negative", [0], {}]], {"handle": 1}, outputs=[{"value": 1, "handle": 2}])
    assert raw.refusal("run", **used).code == "not_sealed"
    raw.call("seal", handle=1)
    assert raw.refusal("seal", handle=1).code == "sealed"
    assert raw.refusal("map", handle=1, writable=True).code == "sealed"
    raw.call("delete", name="unfinished")


def test_write_to_sealed(raw):
    raw.call("open", name="large", handle=1)
    assert raw.refusal("map", handle=1, writable=True).code == "sealed"
    raw.call("open", name="small", handle=2)
    assert raw.refusal("map", handle=2, writable=True).code == "sealed"


def test_descriptors_of_sealed_tensors_are_read_only(raw):
    opened = raw.call("open", name="large", handle=1, map=True)
    fd = raw.fds[0]
    assert opened["fds"] == [[opened["segment"], opened["n_bytes"], False]]
    assert os.fstat(fd).st_mode & 0o777 == 0o600
    with pytest.raises(OSError):
        os.write(fd, b"x")
    with pytest.raises(OSError):
        os.ftruncate(fd, 0)


def test_handles_are_bounded(raw):
    limit = raw.call("hello", version=1)["limits"]["handles"]
    item = {"dtype": "int64", "shape": [], "data": bytes(8)}
    pack = msgpack.Packer().pack
    sent = b"".join(pack([0, i, "put", [{**item, "handle": i}]]) for i in range(1, limit + 2))
    chunk = 1 << 14
    answers = []
    for start in range(0, len(sent), chunk):
        # read while sending: the daemon does not read from one who does not read
        raw.send_bytes(sent[start:start + chunk])
        complete = sent[:start + chunk].count(b"\xa3put") - 1
        while len(answers) < complete:
            answers.append(raw.receive())
    while len(answers) < limit + 1:
        answers.append(raw.receive())
    assert all(answer[2] is None for answer in answers[:limit])
    assert answers[limit][2]["code"] == "too_many"
    for first in range(1, limit + 1, 4096):
        raw.call("release", handles=list(range(first, first + 4096)))
    raw.call("put", handle=limit + 1, **item)


def test_requests_that_wait_are_bounded(raw):
    limit = 1024
    raw.put(array.array("d", range(16)), shape=[4, 4], handle=1)
    slow = {"steps": 3_000_000, "captures": 0, "body": [["matmul", [1, 1], {}],
                                                       ["minimum", [2, 1], {}]], "results": [3]}
    raw.send("run", **program([["loop", [0], slow]], {"handle": 1},
                              outputs=[{"value": 1, "handle": 2}]))
    waiting = [raw.send("stat", handle=2) for _ in range(limit + 8)]
    refused = [raw.receive() for _ in range(8)]
    assert {message[1] for message in refused} == set(waiting[limit:])
    assert all(message[2]["code"] == "too_many" for message in refused)
    # the answers to the others come, in order, when the job is done or cancelled: leave, and it is
