# SPDX-License-Identifier: MIT
"""Donated inputs: their memory becomes an output's, or nothing happens to it."""

import mmap
import os
import struct

import numpy
import pytest

import tensord
from raw import Raw, Refused, eventually

MIB = 1 << 20
N = MIB  # of float64: 8 MiB
SEGMENTS = {}  # by handle
CHAIN = [["sqrt", [0], {}], ["add", [1, 1], {}], ["negative", [2], {}]]


@pytest.fixture
def raw(daemon):
    with Raw(daemon.path) as raw:
        yield raw


def fill(raw, value=4.0, handle=None, n=N):
    """A handle of n equal numbers, whose descriptor nobody was sent."""
    handle = handle or raw.handle()
    made = raw.run([["full", [], {"shape": [n], "dtype": "float64", "value": value}]],
                   outputs=[{"value": 0, "handle": handle}])[0]
    SEGMENTS[handle] = made["segment"]
    return handle


def donated(handle, **keys):
    return {"handle": handle, "donate": True, **keys}


def total(raw, handle):
    nodes = [["astype", [0], {"dtype": "float64"}], ["sum", [1], {}]]
    return struct.unpack("d", raw.run(nodes, inputs=[{"handle": handle}])[0]["data"])[0]


def live(raw):
    return raw.call("stat")["memory"]["live"]


def run(raw, inputs, nodes=CHAIN, value=None, **output):
    output.setdefault("handle", raw.handle())
    value = len(inputs) + len(nodes) - 1 if value is None else value
    made = raw.run(nodes, inputs=inputs, outputs=[{"value": value, **output}])[0]
    SEGMENTS[output["handle"]] = made.get("segment")
    return output["handle"]


def test_memory_becomes_the_outputs(raw):
    before = live(raw)
    x = fill(raw)
    where = SEGMENTS[x]
    y = run(raw, [donated(x)])
    assert SEGMENTS[y] == where and total(raw, y) == -4.0 * N
    assert raw.refusal("map", handle=x).code == "not_found"
    assert N * 8 <= live(raw) - before < N * 8 * 9 // 8 + MIB


def test_a_chain_peaks_at_its_inputs(make_own_daemon):
    daemon = make_own_daemon("--memory", str(N * 8 * 3 // 2))
    with Raw(daemon.path) as raw:
        x = fill(raw)
        refused = raw.refusal("run", inputs=[{"handle": x}], nodes=CHAIN,
                              outputs=[{"value": 3, "handle": 77}])
        assert refused.code == "memory_limit"
        for _ in range(5):
            x = run(raw, [donated(x)], [["square", [0], {}], ["sqrt", [1], {}]])
        assert total(raw, x) == 4.0 * N


@pytest.mark.parametrize("ending", ["refused", "memory", "bad"])
def test_a_failed_job_leaves_it_as_it_was(make_own_daemon, ending):
    daemon = make_own_daemon("--memory", str(N * 8 * 3))
    with Raw(daemon.path) as raw:
        x = fill(raw)
        if ending == "refused":  # in the last pass of all
            nodes = [["astype", [0], {"dtype": "int64"}], ["negative", [1], {}],
                     ["pow", [1, 2], {}]]
            code = "bad_value"
        elif ending == "memory":
            nodes = [["negative", [0], {}], ["sum", [1], {}],
                     ["zeros", [], {"shape": [N * 4], "dtype": "float64"}],
                     ["add", [3, 2], {}]]
            code = "memory_limit"
        else:
            nodes = [["matmul", [0, 7], {}]]
            code = "bad_program"
        refused = raw.refusal("run", inputs=[donated(x)], nodes=nodes,
                              outputs=[{"value": len(nodes), "handle": 99}])
        assert refused.code == code
        assert total(raw, x) == 4.0 * N
        assert raw.call("open", id=raw.call("stat", handle=x)["tensor"]["id"], handle=98)


@pytest.mark.parametrize("what", ["small", "small and mapped", "not taken"])
def test_a_small_output_without_memory_leaves_it(make_own_daemon, what):
    daemon = make_own_daemon("--memory", str(N * 8 * 2))
    with Raw(daemon.path) as raw:
        x = fill(raw)
        room = raw.put([0.0] * 512)
        fillers, n_bytes = [], N * 8
        while n_bytes >= 8:
            handle = raw.handle()
            try:
                raw.run([["zeros", [], {"shape": [n_bytes], "dtype": "bool"}]],
                        outputs=[{"value": 0, "handle": handle}])
                fillers.append(handle)
            except Refused as refused:
                assert refused.code == "memory_limit"
                n_bytes //= 2
        if what == "small and mapped":  # there is room for its bytes, not for a segment
            raw.notify("release", handles=[room])
        nodes = [["full", [], {"shape": [512], "dtype": "float64", "value": 1.0}],
                 ["sum" if what == "not taken" else "negative", [0], {}]]
        first = {} if what == "not taken" else {"handle": 997}
        refused = raw.refusal("run", inputs=[donated(x)], nodes=nodes, outputs=[
            {"value": 2, **first}, {"value": 1, "handle": 998, "map": what.endswith("mapped")}])
        assert refused.code == "memory_limit"
        raw.notify("release", handles=fillers)
        assert total(raw, x) == 4.0 * N
        y = raw.handle()  # and with memory it is taken
        made = raw.run(nodes, inputs=[donated(x)], outputs=[
            {"value": 2, **first}, {"value": 1, "handle": y, "map": what.endswith("mapped")}])
        assert total(raw, y) == 512.0
        if first:
            assert made[0]["segment"] == SEGMENTS[x] and total(raw, 997) == -4.0 * N
        assert raw.refusal("map", handle=x).code == "not_found"


def test_whoever_names_it_behind_waits(raw):
    x = fill(raw)
    made = raw.call("stat", handle=x)["tensor"]
    y = raw.handle()
    loop = {"steps": 20, "captures": 0, "results": [2],
            "body": [["sqrt", [1], {}]]}
    first = raw.send("run", inputs=[donated(x)],
                     nodes=[["sum", [0], {}], ["loop", [0], loop], ["multiply", [0, 1], {}],
                            ["add", [3, 2], {}]],
                     outputs=[{"value": 4, "handle": y}])
    second = raw.send("run", inputs=[{"handle": x}], nodes=[["sum", [0], {}]],
                      outputs=[{"value": 1}])
    third = raw.send("open", id=made["id"], handle=raw.handle())
    answers = {}
    while len(answers) < 3:
        message = raw.receive()
        answers[message[1]] = message[2]
        if message[1] == first:
            assert message[3]["outputs"][0]["segment"] == SEGMENTS[x]
    assert answers[first] is None
    assert answers[second]["code"] == "not_found" and "donated" in answers[second]["message"]
    assert answers[third]["code"] == "not_found"
    assert total(raw, y) == pytest.approx((16.0 * N + 1) * N, rel=1e-6)


def test_one_that_another_job_reads_is_only_released(raw):
    x = fill(raw)
    where = SEGMENTS[x]
    slow = {"steps": 50, "captures": 1, "results": [3],
            "body": [["sum", [0], {}], ["add", [3, 2], {}]]}
    first = raw.send("run", inputs=[{"handle": x}, {"dtype": "float64", "shape": [],
                                                   "data": bytes(8)}],
                     nodes=[["loop", [0, 1], slow]], outputs=[{"value": 2}])
    slow["results"] = [4]
    second = raw.send("run", inputs=[{"handle": x}, {"dtype": "float64", "shape": [],
                                                    "data": bytes(8)}],
                      nodes=[["loop", [0, 1], slow]], outputs=[{"value": 2}])
    y = raw.handle()
    third = raw.send("run", inputs=[donated(x)], nodes=CHAIN, outputs=[{"value": 3, "handle": y}])
    answers = {}
    while len(answers) < 3:
        message = raw.receive()
        answers[message[1]] = message[2:]
    assert answers[third][0] is None and answers[first][0] is None and answers[second][0] is None
    sums = struct.unpack("d", answers[second][1]["outputs"][0]["data"])[0]
    assert sums == 50 * 4.0 * N
    assert total(raw, y) == -4.0 * N and raw.refusal("map", handle=x).code == "not_found"
    assert answers[third][1]["outputs"][0]["segment"] != where


def test_what_is_not_its_alone_is_only_released(raw, daemon):
    x = fill(raw)
    where = SEGMENTS[x]
    y = run(raw, [donated(x), donated(x)], [["add", [0, 1], {}]])  # twice in one request
    assert SEGMENTS[y] != where and total(raw, y) == 8.0 * N
    assert raw.refusal("map", handle=x).code == "not_found"

    x = fill(raw)
    where = SEGMENTS[x]
    half = {"shape": [N // 2], "strides": [16], "offset": 8}  # its base is another input
    y = run(raw, [donated(x), {"handle": x, "view": half}],
            [["sum", [1], {}], ["subtract", [0, 2], {}]])
    assert SEGMENTS[y] != where and total(raw, y) == (4.0 - 2.0 * N) * N

    x = fill(raw)
    its_id = raw.call("stat", handle=x)["tensor"]["id"]
    y = run(raw, [donated(x), {"id": its_id}], [["add", [0, 1], {}]])  # by its id, too
    assert SEGMENTS[y] != SEGMENTS[x] and total(raw, y) == 8.0 * N

    x = fill(raw)
    other = raw.handle()
    raw.call("open", id=raw.call("stat", handle=x)["tensor"]["id"], handle=other)
    y = run(raw, [donated(x)])  # under another handle
    assert SEGMENTS[y] != SEGMENTS[x]
    assert total(raw, other) == 4.0 * N and total(raw, y) == -4.0 * N

    x = fill(raw)
    raw.call("name", handle=x, name="kept", op_id=bytes(16))
    y = run(raw, [donated(x)])  # one that has a name keeps it
    reopened = raw.handle()
    raw.call("open", name="kept", handle=reopened)
    assert total(raw, reopened) == 4.0 * N and total(raw, y) == -4.0 * N
    raw.call("delete", name="kept")

    with Raw(daemon.path) as second:  # somebody else maps it
        second.call("ping")  # who says nothing for 2 s is closed
        x = fill(raw)
        its_id = raw.call("stat", handle=x)["tensor"]["id"]
        mapped = second.call("open", id=its_id, handle=1, map=True)
        fd = second.fds.pop()
        second.call("release", handles=[1])
        y = run(raw, [donated(x)])
        assert SEGMENTS[y] != SEGMENTS[x]
        with mmap.mmap(fd, mapped["n_bytes"], access=mmap.ACCESS_READ) as memory:
            assert struct.unpack_from("d", memory, mapped["offset"])[0] == 4.0


def test_parts_and_other_sizes_are_only_released(raw):
    for view, nodes in [
        ({"shape": [N // 2], "strides": [8], "offset": 0}, CHAIN),
        ({"shape": [N], "strides": [0], "offset": 0}, CHAIN),
        ({"shape": [N], "strides": [-8], "offset": (N - 1) * 8}, CHAIN),
        (None, [["astype", [0], {"dtype": "float32"}]]),
        (None, [["sum", [0], {}]]),
        (None, [["concat", [0, 0], {"axes": [0]}]]),
        (None, [["cumulative_sum", [0], {"axes": [0]}]]),
    ]:
        x = fill(raw)
        keys = {"view": view} if view else {}
        y = run(raw, [donated(x, **keys)], nodes)
        z = run(raw, [{"handle": fill(raw), **keys}], nodes)
        assert total(raw, y) == total(raw, z)
        assert raw.refusal("map", handle=x).code == "not_found"


def test_with_a_name_the_result_has_memory_of_its_own(raw):
    x = fill(raw)
    run(raw, [donated(x)], name="result", replace=True)
    assert raw.refusal("map", handle=x).code == "not_found"
    raw.call("delete", name="result")


def test_small_ones_end_too(raw):
    x = raw.put([1.0, 4.0])
    y = run(raw, [donated(x)])
    assert raw.call("map", handle=y)["nbytes"] == 16
    assert raw.refusal("map", handle=x).code == "not_found"


@pytest.mark.parametrize("keys, word", [
    ({"name": "kept", "donate": True}, "handle"),
    ({"id": bytes(16), "donate": True}, "handle"),
    ({"dtype": "float64", "shape": [], "data": bytes(8), "donate": True}, "input 0"),
    ({"donate": True}, "input 0"),
    ({"handle": 1, "donate": 1}, "donate"),
    ({"handle": 1, "donate": None}, "donate"),
])
def test_only_a_handle_is_given_away(raw, keys, word):
    refused = raw.refusal("run", inputs=[keys], nodes=[], outputs=[{"value": 0}])
    assert refused.code == "bad_arguments" and word in refused.message


def test_a_cancelled_job_leaves_it(raw):
    x = fill(raw)
    forever = {"max_steps": 1 << 40, "captures": 0, "results": [1],
               "body": [["logical_not", [1], {}], ["logical_not", [2], {}]]}
    forever["results"] = [3]
    job = raw.send("run", inputs=[donated(x), {"dtype": "bool", "shape": [], "data": b"\1"}],
                   nodes=[["while", [1], forever], ["add", [0, 3], {}]],
                   outputs=[{"value": 4, "handle": 50}])
    assert eventually(lambda: raw_cancel(raw, job), what="it runs")
    while (message := raw.receive())[1] != job:
        pass
    assert message[2]["code"] == "cancelled"
    assert total(raw, x) == 4.0 * N


def raw_cancel(raw, job):
    raw.notify("cancel", msgid=job)
    return True


def test_a_connection_that_ends_meanwhile_harms_nobody(daemon):
    with Raw(daemon.path) as other:
        before = live(other)
        with Raw(daemon.path) as raw:
            for x in [fill(raw) for _ in range(3)]:
                raw.send("run", inputs=[donated(x)], nodes=CHAIN,
                         outputs=[{"value": 3, "handle": raw.handle()}])
        eventually(lambda: live(other) == before, what="its memory is given back")


# ---- from Python ----


@pytest.fixture
def client(daemon):
    with daemon.connect() as client:
        yield client


def program(client, t, donate=None):
    p = tensord.Program()
    return client.run(p, numpy_chain(p.input(t)), donate=[t] if donate is None else donate)


def numpy_chain(x):
    return -(x * x + 1)


def test_a_donated_tensor_is_gone(client):
    t = client.put(numpy.arange(float(N)))
    where = client.stat()["memory"]["live"]
    view = t[1:]
    result = program(client, t)
    assert client.stat()["memory"]["live"] == where  # one of them is there, not two
    for use in (lambda: float((t + 1)[0]), lambda: numpy.asarray(t),
                lambda: float(tensord.sum(view)),
                lambda: t.id):
        with pytest.raises(tensord.TensorGone):
            use()
    array = numpy.asarray(result)
    numpy.testing.assert_array_equal(array, numpy_chain(numpy.arange(float(N))))
    again = program(client, result)  # its memory is shown by an array
    numpy.testing.assert_array_equal(array, numpy_chain(numpy.arange(float(N))))
    numpy.testing.assert_array_equal(numpy.asarray(again), numpy_chain(array))


def test_small_ones_are_gone_too(client):
    t = client.put([1.0, 2.0])
    local = tensord.eval(t + 1)  # its bytes are here alone
    assert program(client, t).tolist() == [-2.0, -5.0]
    assert program(client, local).tolist() == [-5.0, -10.0]
    for gone in (t, local):
        with pytest.raises(tensord.TensorGone):
            tensord.eval(gone + 1)
        with pytest.raises(tensord.TensorGone):
            numpy.asarray(gone)


def test_what_failed_gave_nothing_away(client):
    t = client.put(numpy.arange(N))
    p = tensord.Program()
    with pytest.raises(tensord.ValueRefused):
        client.run(p, (p.input(t) + 1) ** p.input(numpy.full(N, -1)), donate=[t])
    assert int(t[-1]) == N - 1
    with pytest.raises(tensord.ArgumentError):
        program(client, t, donate=[client.put([1.0])])
    with pytest.raises(tensord.ArgumentError):
        program(client, t, donate=[p.input(t)])
    for part in (t[:5], t[:], t.reshape((2, N // 2))):  # all of t would be given away
        with pytest.raises(tensord.ArgumentError, match="view"):
            program(client, part)
    assert int(t[5]) == 5


def test_control_c_loses_nothing_that_was_given_away(daemon):
    """A pass over memory that was given away is not stopped; what it made is there all the same."""
    program = """
import os, signal, threading, numpy, tensord
client, other = tensord.connect(), tensord.connect()
pid = os.getpid()
a = numpy.linspace(0, 1, 1 << 20)

def compute(x):
    for _ in range(6):
        x = tensord.sin(x) + tensord.cos(x)
    return x

def interrupt():
    while not other.stat()["jobs"] and not done.is_set():
        pass
    if not done.is_set():
        os.kill(pid, signal.SIGINT)

expected = numpy.asarray(compute(client.put(a)))
n = 0
for _ in range(6):
    y = compute(client.put(a))
    done = threading.Event()
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        tensord.eval(y)
    except KeyboardInterrupt:
        n += 1
    done.set()
    thread.join()
    assert numpy.array_equal(y, expected)
assert n
client.close()
other.close()
"""
    daemon.python(program)


def test_a_child_keeps_what_was_mapped_before_the_fork(client):
    t = client.put(numpy.ones(N))
    array = numpy.asarray(t)
    ours, theirs = os.pipe()
    back, answer = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(ours, 1)
        os.write(answer, b"y" if (array == 1).all() else b"n")
        os._exit(0)
    del array
    program(client, t)
    os.write(theirs, b"!")
    assert os.read(back, 1) == b"y"
    os.waitpid(child, 0)
    for fd in (ours, theirs, back, answer):
        os.close(fd)


@pytest.mark.parametrize("is_view", [False, True])
def test_what_an_array_shows_stays(client, is_view):
    t = client.put(numpy.ones(N))
    array = numpy.asarray(t[1:] if is_view else t)
    results = [program(client, t)]
    del t
    for _ in range(4):
        results.append(program(client, results[-1], donate=[]))
        assert (array == 1.0).all()
    before = client.stat()["memory"]["live"]
    del array
    client.ping()
    assert client.stat()["memory"]["live"] < before
