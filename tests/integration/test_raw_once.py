# SPDX-License-Identifier: MIT
"""Handles named before they exist, requests in order, and named writes that are done once however
often they are sent."""
import os
import struct

import pytest

from raw import Raw, Refused, immediate

F64_3 = immediate([1, 2, 3])


@pytest.fixture(scope="module")
def daemon(make_daemon):
    return make_daemon()


@pytest.fixture
def path(daemon):
    yield daemon.path
    daemon.delete_all()


@pytest.fixture
def raw(path):
    with Raw(path) as raw:
        yield raw


def put(value, **keys):
    return {"dtype": "float64", "shape": [], "data": struct.pack("d", value), **keys}


def value_of(raw, **ref):
    total = raw.run([["sum", [0], {}]], [ref])[0]
    return struct.unpack("d", total["data"])[0]


def slow(value_handle, result_handle, n_steps=300):
    """a job of about a second on a matrix that a handle names"""
    steps = {"steps": n_steps, "captures": 1,
             "body": [["matmul", [0, 2], {}], ["minimum", [3, 0], {}]], "results": [4]}
    return {"inputs": [{"handle": value_handle}], "nodes": [["loop", [0, 0], steps]],
            "outputs": [{"value": 1, "handle": result_handle}]}


def matrix(raw, handle, n=400):
    raw.call("run", inputs=[], nodes=[["ones", [], {"shape": [n, n], "dtype": "float64"}]],
             outputs=[{"value": 0, "handle": handle}])


# ---- handles and order ----

def test_a_result_is_named_before_it_exists(raw):
    """Nobody waits for an answer; all of them come, and releases right behind disturb nothing."""
    matrix(raw, 1)
    job = raw.send("run", **slow(1, 2))
    summed = raw.send("run", inputs=[{"handle": 2}], nodes=[["sum", [0], {}]],
                      outputs=[{"value": 1}])
    raw.notify("release", handles=[1, 2])
    described = raw.send("stat", handle=2)
    answers = {}
    while len(answers) < 3:
        message = raw.receive()
        answers[message[1]] = message
    assert answers[job][2] is None
    assert struct.unpack("d", answers[summed][3]["outputs"][0]["data"]) == (400.0 * 400,)
    assert answers[described][2]["code"] == "not_found"


def test_failure_is_inherited(raw):
    """What names the result of a job that fails, fails alike; what does not is served."""
    matrix(raw, 1)
    first = raw.send("run", inputs=[{"handle": 1}], nodes=[["solve", [0, 0], {}]],
                     outputs=[{"value": 1, "handle": 2}])
    second = raw.send("run", inputs=[{"handle": 2}], nodes=[["sum", [0], {}]],
                      outputs=[{"value": 1, "handle": 3}])
    third = raw.send("name", handle=3, name="never")
    codes = {}
    while len(codes) < 3:
        message = raw.receive()
        codes[message[1]] = message[2]["code"]
    assert codes[first] == codes[second] == "singular"
    assert codes[third] == "singular"
    assert raw.refusal("open", name="never", handle=9).code == "not_found"
    # the handles are free
    raw.put([1], handle=2)
    raw.put([1], handle=3)


def test_a_ping_is_not_kept_waiting(raw):
    matrix(raw, 1)
    job = raw.send("run", **slow(1, 2))
    ping = raw.send("ping")
    assert raw.receive() == [1, ping, None, "pong"]
    assert raw.receive()[:3] == [1, job, None]


def test_a_name_means_its_last_committed_value(raw, path):
    raw.put([1], name="x")
    with Raw(path) as writer:
        writer.call("create", handle=1, dtype="float64", shape=[1], name="x", replace=True)
        assert value_of(raw, name="x") == 1
        assert raw.refusal("put", **put(3, name="x", replace=True)).code == "name_taken"
        assert raw.refusal("delete", name="x").code == "name_taken"
        writer.call("seal", handle=1)
        assert value_of(raw, name="x") == 0


def test_replace_leaves_the_old_value_to_those_who_hold_it(raw):
    raw.put([1], name="x")
    raw.call("open", name="x", handle=1)
    raw.put([2], handle=2)
    assert raw.refusal("name", handle=2, name="x").code == "name_taken"
    raw.call("replace", handle=2, name="x")
    assert (value_of(raw, handle=1), value_of(raw, name="x")) == (1, 2)
    raw.call("delete", name="x")
    assert (value_of(raw, handle=1), value_of(raw, handle=2)) == (1, 2)


def test_several_named_outputs_are_one_step(raw):
    raw.put([1], name="b")
    nodes = [["negative", [0], {}], ["sqrt", [0], {}]]
    outputs = [{"value": 1, "name": "a"}, {"value": 2, "name": "b"}]
    assert raw.refusal("run", inputs=[F64_3], nodes=nodes, outputs=outputs).code == "name_taken"
    assert raw.refusal("open", name="a", handle=1).code == "not_found"
    outputs[1]["name"] = "a"
    error = raw.refusal("run", inputs=[F64_3], nodes=nodes, outputs=outputs)
    assert error.code in ("name_taken", "bad_arguments")
    assert raw.refusal("open", name="a", handle=1).code == "not_found"
    # a job that fails commits nothing
    nodes = [["negative", [0], {}], ["pow", [1, 1], {}]]
    integers = immediate([1, 2], "int64")
    outputs = [{"value": 1, "name": "c"}, {"value": 2, "name": "d"}]
    assert raw.refusal("run", inputs=[integers], nodes=nodes, outputs=outputs).code == "bad_value"
    assert [row["name"] for row in raw.call("list")["tensors"]] == ["b"]


def test_list_by_pages(raw):
    names = [f"x{i:04d}" for i in range(1200)]
    for i, name in enumerate(names):
        raw.put([i], name=name)
    raw.put([1], name="other")
    first = raw.call("list", prefix="x")
    assert [row["name"] for row in first["tensors"]] == names[:1000] and first["more"] is True
    second = raw.call("list", prefix="x", after=names[999])
    assert [row["name"] for row in second["tensors"]] == names[1000:] and second["more"] is False
    two = raw.call("list", prefix="x", after="x0500", limit=2)
    assert [row["name"] for row in two["tensors"]] == ["x0501", "x0502"] and two["more"] is True
    assert all("data" not in row for row in first["tensors"])


# ---- once ----

def test_a_put_sent_again_is_not_done_again(path):
    once = {"op_id": os.urandom(16)}
    with Raw(path) as raw:
        first = raw.call("put", **put(1, name="x", **once))
    with Raw(path) as raw:
        again = raw.call("put", **put(1, name="x", **once, retry_ms=100))
        assert again["id"] == first["id"]
        # without the id it would be another write
        assert raw.refusal("put", **put(1, name="x")).code == "name_taken"
        assert raw.refusal("put", **put(1, name="x", op_id=os.urandom(16))).code == "name_taken"


def test_a_delete_sent_again_finds_it_done(path):
    once = {"op_id": os.urandom(16)}
    with Raw(path) as raw:
        raw.put([1], name="x")
        raw.call("delete", name="x", **once)
    with Raw(path) as raw:
        assert raw.call("delete", name="x", **once, retry_ms=10) is None
        # a new value of that name is not hit by the old order
        raw.put([2], name="x")
        assert raw.call("delete", name="x", **once, retry_ms=20) is None
        assert value_of(raw, name="x") == 2


def test_a_run_sent_again_while_it_runs_joins(path):
    once = {"op_id": os.urandom(16)}
    with Raw(path) as first, Raw(path) as second:
        matrix(first, 1)
        request = slow(1, 2)
        request["inputs"] = [{"name": "m"}]
        request["outputs"] = [{"value": 1, "name": "result"}]
        first.call("name", handle=1, name="m")
        sent = first.send("run", **request, **once)
        again = second.call("run", **request, **once, retry_ms=5)
        done = first.wait(sent)
        assert again["outputs"][0]["id"] == done["outputs"][0]["id"]


def test_a_create_sent_again_after_its_seal(path):
    once = {"op_id": os.urandom(16)}
    with Raw(path) as raw:
        made = raw.call("create", handle=1, dtype="float64", shape=[1000], name="x", **once)
        raw.call("seal", handle=1)
    with Raw(path) as raw:
        again = raw.call("create", handle=1, dtype="float64", shape=[1000], name="x", **once,
                         retry_ms=50)
        assert again["state"] == "sealed" and again["id"] == made["id"]
        assert raw.call("stat", handle=1)["tensor"]["id"] == made["id"]


def test_a_create_sent_again_before_its_seal_is_done(path):
    """its connection took the tensor along: nothing took effect, and it is done now"""
    once = {"op_id": os.urandom(16)}
    with Raw(path) as raw:
        raw.call("create", handle=1, dtype="float64", shape=[1000], name="x", **once)
    with Raw(path) as raw:
        while True:
            try:
                again = raw.call("create", handle=1, dtype="float64", shape=[1000], name="x",
                                 **once, retry_ms=50)
                break
            except Refused as error:  # a moment later the daemon knows that the other has gone
                assert error.code == "name_taken"
        assert again["state"] == "unsealed" and again["writable"]


def test_an_outcome_too_old_is_unknown(raw):
    error = raw.refusal("put", **put(1, name="x", op_id=os.urandom(16), retry_ms=60_001))
    assert error.code == "outcome_unknown"
    raw.call("put", **put(1, name="x", op_id=os.urandom(16), retry_ms=60_000))
