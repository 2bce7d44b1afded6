# SPDX-License-Identifier: MIT
"""What a program is refused with: the node's index, its operation, dtypes and shapes; of a run and
of a definition alike, and within loops the place in their bodies. And what becomes of jobs whose
client went away."""

import pytest

from raw import Raw, eventually, immediate

A = immediate([1.0, 2, 3])
B = immediate([1, 2, 3, 4], "int64")
M = immediate([0.0] * 4, shape=[2, 2])
TRUE = immediate([True], "bool", [])
FIRST = ["negative", [0], {}]


def loop(body, results, captures=0):
    return {"steps": 2, "captures": captures, "body": body, "results": results}


def turns(body, results):
    return {"max_steps": 2, "captures": 0, "body": body, "results": results}


# nodes, inputs, code, node, words
CHECKED = {
    "shapes": ([["negative", [0], {}], ["add", [2, 1], {}]], [A, B], "shape_mismatch", 1,
               ["add", "(3,)", "(4,)"]),
    "dtypes": ([["bitwise_and", [0, 1], {}]], [A, A], "unsupported_dtype", 0,
               ["bitwise_and", "float64"]),
    "axis": ([FIRST, ["sum", [0], {"axes": [3]}]], [A], "bad_axis", 1, ["sum", "axis 3"]),
    "operation": ([FIRST, ["nonsense", [1], {}]], [A], "unknown_op", 1, ["node 1", "nonsense"]),
    "arguments": ([FIRST, ["add", [0], {}]], [A], "bad_program", 1, ["add", "2", "1"]),
    "value": ([FIRST, ["abs", [9], {}]], [A], "bad_program", 1, ["abs", "value 9"]),
    "key": ([FIRST, ["abs", [0], {"zzz": 1}]], [A], "bad_program", 1, ["abs", "zzz"]),
    "attribute": ([FIRST, ["astype", [0], {}]], [A], "bad_program", 1, ["astype", "dtype"]),
    "body": ([FIRST, ["loop", [1, 0], loop([["abs", [2], {}], ["add", [3, 0], {}]], [4], 1)]],
             [A, B], "shape_mismatch", 1,
             ["loop: node 1 of its body: add: ", "(3,)", "(4,)"]),
    "operation in a body": ([FIRST, ["loop", [0], loop([["nonsense", [1], {}]], [2])]], [A],
                            "unknown_op", 1,
                            [": node 1 (loop): node 0 of its body: ", "nonsense"]),
    "key in a body in a body": ([FIRST, ["loop", [0], loop([
        ["abs", [1], {}], ["loop", [1], loop([["abs", [1], {"zzz": 1}]], [2])]], [3])]], [A],
        "bad_program", 1,
        [": node 1 (loop): node 1 of its body (loop): node 0 of its body (abs): ", "zzz"]),
    "no body in a body": ([FIRST, ["loop", [0], loop([["loop", [1], loop(7, [2])]], [2])]], [A],
                          "bad_program", 1,
                          [": node 1 (loop): node 0 of its body (loop): body is an array"]),
    "kernel in a body": ([FIRST, ["loop", [0], loop([["user.none", [1], {}]], [2])]], [A],
                         "unknown_op", 1, ["loop: node 0 of its body: ", '"none"']),
    "body in a body": ([FIRST, ["loop", [0], loop([
        ["abs", [1], {}], ["loop", [1], loop([["bitwise_and", [1, 1], {}]], [2])]], [3])]], [A],
        "unsupported_dtype", 1,
        ["loop: node 1 of its body: loop: node 0 of its body: bitwise_and: ", "float64"]),
    "carried": ([FIRST, ["loop", [0], loop([["sum", [1], {}]], [2])]], [A], "loop_shape", 1,
                ["loop", "float64", "(3,)", "()"]),
    "counted in a body": ([FIRST, ["loop", [0], loop([["nonzero", [1], {}]], [1])]], [A],
                          "bad_program", 1, ["nonzero", "loop"]),
}
ON_DATA = {
    "step": ([FIRST, ["inv", [0], {}]], [M], "singular", 1, ["inv", "2 x 2"]),
    "in a body": ([FIRST, ["loop", [0], loop([["abs", [1], {}], ["inv", [2], {}]], [3])]], [M],
                  "singular", 1, ["loop: node 1 of its body: inv: ", "2 x 2"]),
    "in a while": ([FIRST, ["while", [1, 0], turns(
        [["abs", [2], {}], ["inv", [3], {}]], [1, 4])]], [M, TRUE],
        "singular", 1, ["while: node 1 of its body: inv: ", "2 x 2"]),
    "in a while in a loop": ([FIRST, ["loop", [1, 0], loop(
        [["abs", [2], {}], ["while", [1, 3], turns([["take", [2, 2], {"axes": [0]}]], [1, 3])]],
        [4, 5])]], [B, TRUE], "index_out_of_range", 1,
        ["loop: node 1 of its body: while: node 0 of its body: take: index 4", "extent 4"]),
    "in a region": ([["negative", [1], {}], ["pow", [1, 2], {}], ["add", [3, 0], {}]], [B, B],
                    "bad_value", 1, ["pow"]),
}


@pytest.fixture
def raw(daemon):
    with Raw(daemon.path) as raw:
        yield raw


def check(refused, code, node, words):
    assert (refused.code, refused.data) == (code, {"node": node})
    assert all(word in refused.message for word in words), refused.message


def outputs(nodes, inputs):
    return [{"value": len(inputs) + len(nodes) - 1}]


@pytest.mark.parametrize("name", [*CHECKED, *ON_DATA])
def test_of_a_run(raw, name):
    nodes, inputs, *wanted = {**CHECKED, **ON_DATA}[name]
    check(raw.refusal("run", inputs=inputs, nodes=nodes, outputs=outputs(nodes, inputs)), *wanted)


@pytest.mark.parametrize("name", CHECKED)
def test_of_a_definition(raw, name):
    nodes, inputs, *wanted = CHECKED[name]
    types = [{"dtype": x["dtype"], "shape": x["shape"]} for x in inputs]
    check(raw.refusal("define", definition=1, inputs=types, nodes=nodes,
                      outputs=outputs(nodes, inputs)), *wanted)
    assert raw.refusal("call", definition=1, inputs=inputs, outputs=[{}]).code == "not_found"


@pytest.mark.parametrize("name", ON_DATA)
def test_of_a_call(raw, name):
    nodes, inputs, *wanted = ON_DATA[name]
    types = [{"dtype": x["dtype"], "shape": x["shape"]} for x in inputs]
    raw.call("define", definition=1, inputs=types, nodes=nodes, outputs=outputs(nodes, inputs))
    check(raw.refusal("call", definition=1, inputs=inputs, outputs=[{}]), *wanted)


def test_who_goes_away_ends_jobs_that_name_nothing(daemon):
    n = 100_000
    turns = {"steps": 200_000, "captures": 0, "results": [2], "body": [["exp", [1], {}]]}  # minutes
    zeros = ["zeros", [], {"shape": [n], "dtype": "float64"}]
    with Raw(daemon.path) as other:
        before = other.call("stat")
        with Raw(daemon.path) as raw:
            raw.send("run", inputs=[], nodes=[zeros, ["loop", [0], turns]],
                     outputs=[{"value": 1, "handle": 1}])
            raw.send("run", inputs=[], nodes=[zeros, ["loop", [0], {**turns, "steps": 50}]],
                     outputs=[{"value": 1, "name": "finished", "replace": True}])
            assert raw.call("ping") == "pong"  # both were read
        eventually(lambda: other.call("stat")["jobs"] == 0, 20, "no job is left")
        assert other.call("open", name="finished", handle=1)["shape"] == [n]
        other.call("release", handles=[1])
        other.call("delete", name="finished")
        eventually(lambda: other.call("stat")["memory"]["live"] == before["memory"]["live"],
                   what="nothing is left")
