# SPDX-License-Identifier: MIT
"""Programs on the wire: definitions and plans that are kept, cancel, deadlines."""
import struct
import time

import pytest

from raw import Refused, immediate

ADD = [["add", [0, 1], {}]]
# a minute of work, cut into turns of a few hundred microseconds
LONG = [["loop", [0], {"steps": 200_000, "captures": 0, "results": [2],
                       "body": [["exp", [1], {}]]}]]
LONG_SHAPE = {"shape": [100_000], "dtype": "float64"}


def double(output):
    return struct.unpack("d", output["data"])[0]


def plans(raw):
    return raw.call("stat")["plans"]


def send_long(raw, **keys):
    nodes = [["zeros", [], LONG_SHAPE], *LONG]
    return raw.send("run", inputs=[], nodes=nodes, outputs=[{"value": 1, "handle": raw.handle()}],
                    **keys)


def errors(raw, *msgids):
    """The error codes that these requests are answered with, whatever the order."""
    codes = {}
    while len(codes) < len(msgids):
        kind, msgid, error, _ = raw.receive()
        assert kind == 1 and msgid in msgids and msgid not in codes
        codes[msgid] = error["code"] if error else None
    return [codes[msgid] for msgid in msgids]


# ---- plans that are kept ----

def test_same_program_is_planned_once(daemon):
    with daemon.raw() as raw:
        before = plans(raw)
        for x in range(10):
            [output] = raw.run(ADD, [immediate([x]), immediate([1.0])])
            assert double(output) == x + 1
        after = plans(raw)
    assert after["misses"] - before["misses"] <= 1
    assert after["hits"] - before["hits"] >= 9
    assert after["bytes"] > 0


def test_other_shapes_and_outputs_are_other_plans(daemon):
    with daemon.raw() as raw:
        nodes = [["multiply", [0, 1], {}], ["add", [0, 1], {}]]
        for _ in range(3):
            for n in 1, 2, 3:
                data = [5.0] * n
                for dtype in "float64", "int64":
                    values = [int(x) for x in data] if dtype == "int64" else data
                    inputs = [immediate(values, dtype)] * 2
                    for value, wanted in (2, 25), (3, 10):
                        [output] = raw.run(nodes, inputs, [{"value": value}])
                        code = {"float64": "d", "int64": "q"}[dtype]
                        assert output["dtype"] == dtype and output["shape"] == [n]
                        assert struct.unpack(f"{n}{code}", output["data"]) == (wanted,) * n


def test_other_layouts_are_other_plans(daemon):
    with daemon.raw() as raw:
        handle = raw.put([1, 2, 3, 4, 5, 6], shape=[2, 3])
        view = {"shape": [2], "strides": [24], "offset": 16}
        for _ in range(2):
            for offset in 0, 8, 16:
                view["offset"] = offset
                [output] = raw.run([["negative", [0], {}]], [{"handle": handle, "view": view}])
                first = 1 + offset // 8
                assert struct.unpack("2d", output["data"]) == (-first, -first - 3)


# ---- definitions ----

def define_add(raw, number=1, shape=(2,)):
    types = [{"dtype": "float64", "shape": list(shape)}] * 2
    return raw.call("define", definition=number, inputs=types, nodes=ADD, outputs=[{"value": 2}])


def test_define_and_call(daemon):
    with daemon.raw() as raw:
        assert define_add(raw) is None
        for x in range(3):
            inputs = [immediate([x, x]), immediate([1.0, 2.0])]
            result = raw.call("call", definition=1, inputs=inputs, outputs=[{}])
            assert struct.unpack("2d", result["outputs"][0]["data"]) == (x + 1, x + 2)
        handle = raw.handle()
        raw.call("call", definition=1, inputs=inputs, outputs=[{"handle": handle, "name": "sum"}])
        assert raw.call("open", name="sum", handle=raw.handle())["shape"] == [2]
        view = {"shape": [2], "strides": [-8], "offset": 8}
        result = raw.call("call", definition=1, outputs=[{}],
                          inputs=[{"handle": handle, "view": view}, {"name": "sum"}])
        assert struct.unpack("2d", result["outputs"][0]["data"]) == (7, 7)


def test_what_a_call_brings_is_what_was_defined(daemon):
    with daemon.raw() as raw:
        define_add(raw)
        x = immediate([1.0, 2.0])

        def refusal(inputs, outputs=({},), definition=1):
            return raw.refusal("call", definition=definition, inputs=inputs, outputs=outputs)

        assert refusal([x]).code == "bad_arguments"
        assert refusal([x, x], [{}, {}]).code == "bad_arguments"
        wrong = refusal([x, immediate([1.0])])
        assert wrong.code == "shape_mismatch"
        assert "input 1 is float64 of shape (1,)" in wrong.message
        wrong = refusal([x, immediate([1, 2], "int64")])
        assert wrong.code == "dtype_mismatch" and "int64" in wrong.message
        assert refusal([x, x], definition=2).code == "not_found"
        assert refusal([x, x], [{"value": 0}]).code == "bad_arguments"
        assert refusal([x, x], definition=0).code == "bad_arguments"
        assert define_add(raw, 2) is None


def test_definitions_are_checked_when_made(daemon):
    with daemon.raw() as raw:
        types = [{"dtype": "float64", "shape": [2]}, {"dtype": "float64", "shape": [3]}]
        wrong = raw.refusal("define", definition=1, inputs=types, nodes=ADD,
                            outputs=[{"value": 2}])
        assert wrong.code == "shape_mismatch" and wrong.data == {"node": 0}
        assert "(2,)" in wrong.message and "(3,)" in wrong.message
        wrong = raw.refusal("define", definition=1, inputs=types, nodes=[], outputs=[{"value": 2}])
        assert wrong.code == "bad_program"
        wrong = raw.refusal("define", definition=1, inputs=types, nodes=[],
                            outputs=[{"value": 0, "handle": 3}])
        assert wrong.code == "bad_arguments"
        define_add(raw)
        assert raw.refusal("define", definition=1, inputs=types, nodes=[],
                           outputs=[{"value": 0}]).code == "handle_taken"


def test_definitions_end(daemon):
    x = immediate([1.0, 2.0])
    with daemon.raw() as raw, daemon.raw() as other:
        define_add(raw)
        raw.notify("undefine", definitions=[1, 77])
        assert raw.refusal("call", definition=1, inputs=[x, x], outputs=[{}]).code == "not_found"
        define_add(raw)
        assert other.refusal("call", definition=1, inputs=[x, x], outputs=[{}]).code == "not_found"
        # undefined behind a call that waits: the call has what it needs
        handle = raw.handle()
        raw.send("run", inputs=[], nodes=[["ones", [], {"shape": [600, 600], "dtype": "float64"}],
                                          ["matmul", [0, 0], {}],
                                          ["slice", [1], {"start": [0, 0], "shape": [1, 2],
                                                          "step": [1, 1]}],
                                          ["reshape", [2], {"shape": [2]}]],
                 outputs=[{"value": 3, "handle": handle}])
        call = raw.send("call", definition=1, inputs=[{"handle": handle}, x], outputs=[{}])
        raw.notify("undefine", definitions=[1])
        raw.receive()
        result = raw.wait(call)
        assert struct.unpack("2d", result["outputs"][0]["data"]) == (601, 602)


def test_a_flood_of_definitions_is_bounded(daemon):
    with daemon.raw() as raw, daemon.raw() as other:
        for first in range(1, 1025, 64):
            for number in range(first, first + 64):
                raw.send("define", definition=number, inputs=[], nodes=[], outputs=[])
            for _ in range(64):
                assert raw.receive()[2] is None
        flood = raw.refusal("define", definition=5000, inputs=[], nodes=[], outputs=[])
        assert flood.code == "too_many"
        raw.call("undefine", definitions=[17])
        define_add(raw, 17)
        # and by what they take: a program of 4000 nodes takes 3 MB
        nodes = [["negative", [i], {}] for i in range(4000)]
        types = [{"dtype": "float64", "shape": []}]
        refused = None
        for number in range(1, 40):
            try:
                other.call("define", definition=number, inputs=types, nodes=nodes,
                           outputs=[{"value": number}])
            except Refused as error:
                refused = error
                break
        assert refused.code == "too_many" and number > 4


# ---- cancel ----

def test_cancel_a_running_job(daemon):
    with daemon.raw() as raw:
        run = send_long(raw)
        started = time.monotonic()
        cancel = raw.send("cancel", msgid=run)
        answers = {}
        while len(answers) < 2:
            _, msgid, error, result = raw.receive()
            answers[msgid] = (error["code"] if error else None, result)
        assert answers[cancel] == (None, True)
        assert answers[run] == ("cancelled", None)
        assert time.monotonic() - started < 5
        assert raw.call("ping") == "pong"


def test_cancel_lapack_when_it_returns(daemon):
    """It cannot be interrupted: the cancelled job ends when LAPACK does, without a result."""
    with daemon.raw() as raw, daemon.raw() as other:
        run = raw.send("run", inputs=[], nodes=[["ones", [], {"shape": [900, 900],
                                                              "dtype": "float64"}],
                                                ["svdvals", [0], {}]],
                       outputs=[{"value": 1, "handle": raw.handle()}])
        while not other.call("stat")["jobs"]:
            pass
        cancel = raw.send("cancel", msgid=run)
        answers = {}
        while len(answers) < 2:
            _, msgid, error, result = raw.receive()
            answers[msgid] = (error["code"] if error else None, result)
        assert answers == {cancel: (None, True), run: ("cancelled", None)}
        assert raw.call("ping") == "pong"


def test_cancel_by_handle_takes_those_that_wait_along(daemon):
    with daemon.raw() as raw:
        run = send_long(raw)
        waiting = raw.send("run", inputs=[{"handle": 1}], nodes=[["sum", [0], {}]],
                           outputs=[{"value": 1}])
        raw.notify("cancel", handle=1)
        assert errors(raw, run, waiting) == ["cancelled", "cancelled"]
        # the handle is free again
        assert raw.put([1.0], handle=1) == 1


def test_cancel_one_that_waits(daemon):
    with daemon.raw() as raw:
        run = send_long(raw)
        waiting = raw.send("run", inputs=[{"handle": 1}], nodes=[["sum", [0], {}]],
                           outputs=[{"value": 1}])
        cancel = raw.send("cancel", msgid=waiting)
        assert errors(raw, waiting, cancel) == ["cancelled", None]
        raw.notify("cancel", msgid=run)
        assert errors(raw, run) == ["cancelled"]


def test_cancel_what_is_not_there(daemon):
    with daemon.raw() as raw, daemon.raw() as other:
        assert raw.call("cancel", msgid=12345) is False
        assert raw.call("cancel", handle=12345) is False
        assert raw.refusal("cancel").code == "bad_arguments"
        assert raw.refusal("cancel", msgid=-1).code == "bad_arguments"
        # of another connection: not there
        run = send_long(raw, deadline_ms=300)
        assert other.call("cancel", msgid=run) is False
        assert other.call("cancel", handle=1) is False
        assert errors(raw, run) == ["deadline_exceeded"]


def test_a_cancelled_name_stays_free(daemon):
    with daemon.raw() as raw:
        nodes = [["zeros", [], LONG_SHAPE], *LONG]
        run = raw.send("run", inputs=[], nodes=nodes, outputs=[{"value": 1, "name": "never"}])
        raw.notify("cancel", msgid=run)
        assert errors(raw, run) == ["cancelled"]
        assert raw.refusal("open", name="never", handle=9).code == "not_found"
        raw.put([1.0], name="never")


# ---- deadlines ----

def test_deadline_of_a_running_job(daemon):
    with daemon.raw() as raw:
        started = time.monotonic()
        run = send_long(raw, deadline_ms=200)
        with pytest.raises(Refused) as refused:
            raw.wait(run)
        assert refused.value.code == "deadline_exceeded" and "200 ms" in refused.value.message
        assert 0.19 <= time.monotonic() - started < 5


def test_deadline_counts_waiting(daemon):
    with daemon.raw() as raw:
        run = send_long(raw)
        waiting = raw.send("run", inputs=[{"handle": 1}], nodes=[["sum", [0], {}]],
                           outputs=[{"value": 1}], deadline_ms=100)
        with pytest.raises(Refused) as refused:
            raw.wait(waiting)
        assert refused.value.code == "deadline_exceeded"
        raw.notify("cancel", msgid=run)
        assert errors(raw, run) == ["cancelled"]


def time_of(raw, op, matrix, **keys):
    """Seconds until a decomposition was answered, and the error's code or None."""
    started = time.monotonic()
    run = raw.send("run", inputs=[matrix], nodes=[[op, [0], {}]],
                   outputs=[{"value": 1, "handle": 900}], **keys)
    [code] = errors(raw, run)
    if code is None:
        raw.call("release", handles=[900])
    return time.monotonic() - started, code


@pytest.mark.parametrize("op", ["svdvals", "eigvalsh"])
def test_deadline_of_lapack(daemon, op):
    """What is being decomposed goes on until it returns; what is still to come is not begun."""
    n, n_long = 160, 20_000
    with daemon.raw() as raw:
        for handle, shape in (1, [4 * n, 4 * n]), (2, [n, n]):
            noise = {"shape": shape, "dtype": "float64", "seed": 1, "stream": 0}
            raw.run([["random_normal", [], noise]], outputs=[{"value": 0, "handle": handle}])
        before = raw.call("stat")
        large = {"handle": 1}
        alone = min(time_of(raw, op, large)[0] for _ in range(3))  # the first one warms up
        _, code = time_of(raw, op, large, deadline_ms=max(1, int(alone * 100)))
        assert code == "deadline_exceeded"

        def stack(n_matrices):  # of one matrix over and over
            view = {"shape": [n_matrices, n, n], "strides": [0, n * 8, 8], "offset": 0}
            return {"handle": 2, "view": view}

        several = time_of(raw, op, stack(20))[0]
        late, code = time_of(raw, op, stack(n_long), deadline_ms=100)
        assert code == "deadline_exceeded" and 0.1 <= late < several * n_long / 20 / 4

        after = raw.call("stat")
        assert after["jobs"] == before["jobs"]
        assert after["memory"]["live"] == before["memory"]["live"]
        assert time_of(raw, op, large)[1] is None  # the handle is free


def test_deadlines_that_are_no_trouble(daemon):
    with daemon.raw() as raw:
        program = {"inputs": [immediate([1.0])] * 2, "nodes": ADD, "outputs": [{"value": 2}]}
        for deadline in 1, 1000, 2**63, 2**64 - 1:
            raw.call("run", deadline_ms=deadline, **program)
        assert raw.refusal("run", deadline_ms=0, **program).code == "deadline_exceeded"
        assert raw.refusal("run", deadline_ms=-1, **program).code == "bad_arguments"
        assert raw.refusal("run", deadline_ms=1.5, **program).code == "bad_arguments"
        assert raw.refusal("ping", deadline_ms=1).code == "bad_arguments"


# ---- while ----

def while_node(**keys):
    attrs = {"max_steps": 10, "captures": 0, "body": [["less", [2, 1], {}]], "results": [3, 2]}
    return [["while", [0, 1], {**attrs, **keys}]]


def test_while_on_the_wire(daemon):
    # its body: the step's number (0), the condition (1), the state (2)
    body = [["add", [2, 0], {}], ["full", [], {"shape": [], "dtype": "int64", "value": 12}],
            ["less", [3, 4], {}]]
    inputs = [immediate([True], "bool", []), immediate([1], "int64", [])]
    with daemon.raw() as raw:
        outputs = raw.run(while_node(body=body, results=[5, 3]), inputs,
                          [{"value": 2}, {"value": 3}, {"value": 4}])
        condition, state, turns = (output["data"] for output in outputs)
        assert condition == b"\0"
        assert (struct.unpack("q", state), struct.unpack("q", turns)) == ((16,), (6,))
        # any byte but zero is true
        [output] = raw.run(while_node(body=[], results=[1, 2], max_steps=2**62),
                           [{"dtype": "bool", "shape": [], "data": b"\x05"}, inputs[1]],
                           [{"value": 4}])
        assert struct.unpack("q", output["data"]) == (2**62,)


def test_while_refused(daemon):
    yes, x = immediate([True], "bool", []), immediate([1.0], shape=[])
    with daemon.raw() as raw:
        def refusal(inputs, **keys):
            error = raw.refusal("run", inputs=inputs, nodes=while_node(**keys),
                                outputs=[{"value": 2}])
            assert error.data == {"node": 0}
            return error

        fine = {"body": [], "results": [1, 2]}
        for key in "steps", "watch", "every", "at", "shape":
            assert refusal([yes, x], **fine, **{key: 1}).code == "bad_program"
        assert refusal([x, x], **fine).code == "loop_shape"
        assert refusal([immediate([True], "bool"), x], **fine).code == "loop_shape"
        assert refusal([yes, x], body=[], results=[2, 1]).code == "loop_shape"
        assert refusal([yes, x], body=[], results=[1]).code == "bad_program"
        assert refusal([yes, x], body=[], results=[1, 7]).code == "bad_program"
        assert refusal([yes, x], body=[], results=[], captures=2).code == "bad_program"
        for bad in -1, 2**63, 1.5, None:
            assert refusal([yes, x], **fine | {"max_steps": bad}).code == "bad_program"


def test_endless_while_is_cancelled(daemon):
    with daemon.raw() as raw:
        run = raw.send("run", inputs=[immediate([True], "bool", []), immediate([1.0], shape=[])],
                       nodes=while_node(max_steps=2**63 - 1, body=[["sqrt", [2], {}]],
                                        results=[1, 3]),
                       outputs=[{"value": 3}])
        assert raw.call("cancel", msgid=12345) is False
        raw.notify("cancel", msgid=run)
        assert errors(raw, run) == ["cancelled"]
