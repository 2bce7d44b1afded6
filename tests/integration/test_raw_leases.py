# SPDX-License-Identifier: MIT
"""Mutable tensors on the wire: who may read and write which part, when, and what is left of who did
not finish."""
import contextlib
import os
import struct

import numpy
import pytest

from raw import eventually, immediate, mapped

ROWS, COLUMNS = 8, 4
ROW = 8 * COLUMNS


def view(shape, strides, offset=0):
    return {"shape": shape, "strides": strides, "offset": offset}


def rows(first, last):
    return view([last - first, COLUMNS], [ROW, 8], first * ROW)


def columns(first, last):
    return view([ROWS, last - first], [ROW, 8], first * 8)


ALL = rows(0, ROWS)


@pytest.fixture
def name(daemon):
    """A mutable tensor of ROWS x COLUMNS: 0, 1, 2, ..."""
    with daemon.raw() as raw:
        make(raw, "m")
    yield "m"
    with daemon.raw() as raw:
        raw.call("delete", name="m")


def make(raw, name, handle=1):
    made = raw.call("create", handle=handle, dtype="float64", shape=[ROWS, COLUMNS], mutable=True,
                    name=name)
    with mapped(raw.fds[-1], made, writable=True) as data:
        data[:] = numpy.arange(ROWS * COLUMNS, dtype=float).tobytes()
    sealed = raw.call("seal", handle=handle)
    assert sealed["state"] == "mutable" and sealed["version"] == 0 and sealed["torn"] is False
    return made


def lease(raw, name, number, write=False, **keys):
    return raw.call("lease", name=name, lease=number, writable=write, **keys)


def refusal(raw, name, number, write=False, **keys):
    return raw.refusal("lease", name=name, lease=number, writable=write, **keys)


def values(raw, name, **keys):
    """what a program reads"""
    [output] = raw.call("run", inputs=[{"name": name}], nodes=[], outputs=[{"value": 0}],
                        **keys)["outputs"]
    return numpy.frombuffer(output["data"]).reshape(output["shape"])


def send_fill(raw, name, number, into=None, **keys):
    """Fill that part with a number, in the daemon."""
    into = into or ALL
    return raw.send("run", inputs=[{"name": name, "view": into}],
                    nodes=[["full", [], {"shape": into["shape"], "dtype": "float64",
                                         "value": number}]],
                    outputs=[{"value": 1, "into": 0}], **keys)


def fill(raw, *args, **keys):
    return raw.wait(send_fill(raw, *args, **keys))


# ---- leases ----

def test_many_read_or_one_writes(daemon, name):
    with daemon.raw() as a, daemon.raw() as b, daemon.raw() as c:
        lease(a, name, 1)
        lease(b, name, 1)
        error = refusal(c, name, 1, write=True)
        assert error.code == "lease_conflict"
        a.call("unlease", leases=[1])
        assert refusal(c, name, 1, write=True).code == "lease_conflict"
        b.call("unlease", leases=[1])
        lease(c, name, 1, write=True)
        for other in a, b:
            assert refusal(other, name, 1).code == "lease_conflict"
            assert refusal(other, name, 1, write=True).code == "lease_conflict"


def test_a_conflict_names_holder_and_region(daemon, name):
    with daemon.raw() as a, daemon.raw() as b:
        a.call("hello", version=1, client="the writer")
        lease(a, name, 77, write=True, view=rows(2, 5))
        message = refusal(b, name, 1, view=rows(4, 6)).message
        for part in "the writer", "writes", "lease 77", "(3, 4)", "offset 64", "(32, 8)":
            assert part in message, message


@pytest.mark.parametrize("one, other, conflict", [
    (rows(0, 4), rows(4, 8), False),
    (rows(0, 5), rows(4, 8), True),
    (columns(0, 2), columns(2, 4), False),
    (columns(0, 3), columns(2, 4), True),
    (rows(0, 2), columns(0, 1), True),
    (view([4, COLUMNS], [2 * ROW, 8]), view([4, COLUMNS], [2 * ROW, 8], ROW), False),
    (view([4, COLUMNS], [2 * ROW, 8]), view([3, COLUMNS], [3 * ROW, 8], ROW), True),
    (view([ROWS, COLUMNS], [-ROW, 8], 7 * ROW), rows(0, 1), True),
    (view([0, COLUMNS], [ROW, 8]), ALL, False),
])
def test_regions(daemon, name, one, other, conflict):
    with daemon.raw() as a, daemon.raw() as b:
        lease(a, name, 1, write=True, view=one)
        if conflict:
            assert refusal(b, name, 1, write=True, view=other).code == "lease_conflict"
        else:
            lease(b, name, 1, write=True, view=other)


def test_writes_in_place_are_seen(daemon, name):
    with daemon.raw() as a, daemon.raw() as b:
        made = lease(a, name, 1, write=True, view=rows(1, 2))
        assert made["state"] == "mutable" and made["writable"] is True
        with mapped(a.fds[-1], made, writable=True) as data:
            data[ROW:ROW + 8] = struct.pack("d", -1.0)
        a.call("unlease", leases=[1])
        assert values(b, name)[1, 0] == -1.0
        assert b.call("stat", name=name)["tensor"]["version"] == 1
        read = lease(b, name, 1)
        assert read["writable"] is False
        with mapped(b.fds[-1], read) as data:
            assert struct.unpack("d", data[ROW:ROW + 8]) == (-1.0,)


def test_a_descriptor_to_write_only_under_a_lease(daemon, name):
    with daemon.raw() as raw:
        raw.call("open", name=name, handle=1, map=True)
        assert raw.refusal("map", handle=1, writable=True).code == "not_mutable"
        lease(raw, name, 5, write=True)
        raw.call("map", handle=1, writable=True)
        raw.call("unlease", leases=[5])
        assert raw.refusal("map", handle=1, writable=True).code == "not_mutable"


def test_only_mutable_tensors_are_leased(daemon):
    with daemon.raw() as raw:
        handle = raw.put([1.0])
        for write in False, True:
            error = raw.refusal("lease", handle=handle, lease=1, writable=write)
            assert error.code == "not_mutable"
        raw.call("create", handle=99, dtype="float64", shape=[3], mutable=True)
        assert raw.refusal("lease", handle=99, lease=1).code == "not_sealed"
        assert raw.refusal("lease", name="nobody", lease=1).code == "not_found"


@pytest.mark.parametrize("bad, code", [
    (view([ROWS + 1, COLUMNS], [ROW, 8]), "bad_view"),
    (view([2], [-8]), "bad_view"),
    (view([2], [4]), "bad_view"),
    (view([2], [1 << 62]), "bad_view"),
])
def test_bad_regions(daemon, name, bad, code):
    with daemon.raw() as raw:
        assert refusal(raw, name, 1, view=bad).code == code
        assert raw.refusal("run", inputs=[{"name": name, "view": bad}],
                           nodes=[["negative", [0], {}]], outputs=[{"value": 1}]).code == code


def test_numbers_and_limits(daemon, name):
    with daemon.raw() as raw:
        lease(raw, name, 7)
        assert refusal(raw, name, 7).code == "handle_taken"
        raw.call("unlease", leases=[7, 8, 9])
        for number in range(1, 129):
            lease(raw, name, number)
        assert refusal(raw, name, 200).code == "too_many"
        with contextlib.ExitStack() as stack:
            others = [stack.enter_context(daemon.raw()) for _ in range(3)]
            for other in others:
                for number in range(1, 129):
                    lease(other, name, number)
            with daemon.raw() as last:
                assert refusal(last, name, 1).code == "too_many"
        raw.call("unlease", leases=list(range(1, 129)))
        lease(raw, name, 1, write=True, wait_ms=5000)


# ---- waiting ----

def test_a_wait_ends_when_the_lease_does(daemon, name):
    with daemon.raw() as a, daemon.raw() as b:
        lease(a, name, 1, write=True)
        waiting = b.send("lease", name=name, lease=1, wait_ms=60_000)
        a.call("unlease", leases=[1])
        assert b.wait(waiting)["state"] == "mutable"


def test_a_wait_ends_with_the_connection_of_the_holder(daemon, name):
    with daemon.raw() as b:
        with daemon.raw() as a:
            lease(a, name, 1)
            waiting = b.send("lease", name=name, lease=1, writable=True, wait_ms=60_000)
        assert b.wait(waiting)["state"] == "mutable"


def test_a_wait_has_a_bound(daemon, name):
    with daemon.raw() as a, daemon.raw() as b:
        lease(a, name, 1, write=True)
        error = refusal(b, name, 1, wait_ms=50)
        assert error.code == "lease_conflict" and "50 ms" in error.message
        with pytest.raises(Exception, match="lease_conflict"):
            fill(b, name, 1.0, wait_ms=50)
        waiting = b.send("lease", name=name, lease=2, wait_ms=60_000)
        b.notify("cancel", msgid=waiting)
        with pytest.raises(Exception, match="cancelled"):
            b.wait(waiting)
        a.call("unlease", leases=[1])
        lease(b, name, 2, write=True)


def test_what_is_done_at_once_joins_nothing_that_waits(daemon, name):
    """else deletes beyond all bounds could wait there"""
    with daemon.raw() as a, daemon.raw() as b:
        lease(a, name, 1, write=True)
        b.send("snapshot", name=name, **{"as": "slow"}, op_id=b"x" * 16, wait_ms=60_000)
        error = b.refusal("delete", name="slow", op_id=b"x" * 16)
        assert error.code == "bad_arguments" and "op_id" in error.message


def test_a_wait_for_a_request_has_a_bound(daemon, name):
    """it came before, and what it waits for may never come"""
    with daemon.raw() as a, daemon.raw() as b, daemon.raw() as c:
        a.send("wait", name="never", wait_ms=1 << 62, handle=1)
        a.send("run", inputs=[{"name": name}, {"handle": 1}], nodes=[["add", [0, 1], {}]],
               outputs=[{"value": 2, "into": 0}])
        eventually(lambda: b.call("stat", name=name)["leases"] == 1, what="a claims it")
        for refused in (
            b.refusal("run", inputs=[{"name": name}], nodes=[["sum", [0], {}]],
                      outputs=[{"value": 1}], wait_ms=50),
            refusal(b, name, 1, write=True, wait_ms=50),
        ):
            assert refused.code == "lease_conflict" and "50 ms" in refused.message
            assert "a request of connection" in refused.message
        waiting = b.send("run", inputs=[{"name": name}], nodes=[["sum", [0], {}]],
                         outputs=[{"value": 1}], wait_ms=60_000)
        c.put([1.0] * COLUMNS, name="never")
        assert b.wait(waiting)["outputs"][0]["dtype"] == "float64"
        c.call("delete", name="never")


def test_who_waits_to_write_is_not_overtaken_by_readers(daemon, name):
    with daemon.raw() as a, daemon.raw() as b, daemon.raw() as c:
        lease(a, name, 1)
        waiting = b.send("lease", name=name, lease=1, writable=True, wait_ms=60_000)
        eventually(lambda: c.call("stat", name=name)["leases"] == 2, what="b waits")
        assert refusal(c, name, 1).code == "lease_conflict"
        a.call("unlease", leases=[1])
        b.wait(waiting)


def test_two_that_wait_for_each_other_end(daemon, name):
    with daemon.raw() as a, daemon.raw() as b:
        lease(a, name, 1, write=True, view=rows(0, 4))
        lease(b, name, 1, write=True, view=rows(4, 8))
        first = a.send("lease", name=name, lease=2, writable=True, view=rows(4, 8), wait_ms=100)
        second = b.send("lease", name=name, lease=2, writable=True, view=rows(0, 4), wait_ms=60_000)
        with pytest.raises(Exception, match="lease_conflict"):
            a.wait(first)
        a.call("unlease", leases=[1])
        b.wait(second)


# ---- torn ----

def test_a_writer_that_vanishes_leaves_its_region_torn(daemon, name):
    with daemon.raw() as b:
        with daemon.raw() as a:
            lease(a, name, 1, write=True, view=rows(2, 4))
            lease(a, name, 2, view=rows(5, 6))
        b.call("open", name=name, handle=5)
        lease(b, name, 1, wait_ms=5000, view=rows(4, 8))
        error = refusal(b, name, 2, wait_ms=5000)
        assert error.code == "torn" and "(2, 4)" in error.message
        with pytest.raises(Exception, match="torn"):
            values(b, name)
        assert b.call("stat", name=name)["tensor"]["torn"] is True
        lease(b, name, 3, torn=True)
        b.call("unlease", leases=[1, 3])

        fill(b, name, 5.0, into=rows(2, 3))
        assert refusal(b, name, 2).code == "torn"
        fill(b, name, 6.0, into=rows(1, 4))
        assert b.call("stat", name=name)["tensor"]["torn"] is False
        assert values(b, name)[2, 0] == 6.0


@pytest.mark.sigbus
def test_what_was_written_counts_though_it_was_cut_meanwhile(daemon, name):
    """whoever had its descriptor took its pages away; that is found while they are written"""
    with daemon.raw() as a:
        lease(a, name, 1, write=True)
        a.call("unlease", leases=[1])
        with daemon.raw() as b:
            lease(b, name, 1, write=True)
            b.close_fds()
        eventually(lambda: a.call("stat", name=name)["tensor"]["torn"], what="torn")
        before = a.call("stat", name=name)["tensor"]["version"]
        os.ftruncate(a.fds[0], 4096)
        with pytest.raises(Exception, match="poisoned"):
            fill(a, name, 2.0)
        after = a.call("stat", name=name)["tensor"]
        assert after["version"] == before + 1 and after["torn"] is False


def test_many_torn_regions(daemon, name):
    for row in range(0, ROWS):
        for column in 0, 2:
            with daemon.raw() as a:
                lease(a, name, 1, write=True, wait_ms=5000,
                      view=view([1], [8], row * ROW + 8 * column))
    with daemon.raw() as b:
        lease(b, name, 1, write=True, wait_ms=5000)
        b.call("unlease", leases=[1])
        lease(b, name, 1)


# ---- programs ----

def test_a_program_writes_into_a_part(daemon, name):
    expected = numpy.arange(ROWS * COLUMNS, dtype=float).reshape(ROWS, COLUMNS)
    with daemon.raw() as raw:
        fill(raw, name, 9.0, into=columns(1, 3))
        expected[:, 1:3] = 9
        assert (values(raw, name) == expected).all()
        backwards = view([ROWS, COLUMNS], [-ROW, -8], ROWS * ROW - 8)
        [out] = raw.call("run", inputs=[{"name": name}, {"name": name, "view": backwards}],
                         nodes=[["add", [0, 0], {}]],
                         outputs=[{"value": 2, "into": 1}])["outputs"]
        expected[::-1, ::-1] = 2 * expected.copy()
        assert (values(raw, name) == expected).all()
        assert out["version"] == 2


def test_overlapping_in_and_out_are_as_if_copied(daemon, name):
    with daemon.raw() as raw:
        raw.call("run", inputs=[{"name": name, "view": rows(0, 7)},
                                {"name": name, "view": rows(1, 8)}],
                 nodes=[["negative", [0], {}]], outputs=[{"value": 2, "into": 1}])
        expected = numpy.arange(ROWS * COLUMNS, dtype=float).reshape(ROWS, COLUMNS)
        expected[1:] = -expected[:-1].copy()
        assert (values(raw, name) == expected).all()


def test_results_go_only_where_they_fit(daemon, name):
    with daemon.raw() as raw:
        sealed = raw.put([1.0] * 4)

        def error(inputs, nodes=(("negative", [0], {}),), outputs=None):
            outputs = outputs or [{"value": len(inputs), "into": len(inputs) - 1}]
            return raw.refusal("run", inputs=inputs, nodes=list(nodes), outputs=outputs).code

        whole = {"name": name}
        assert error([{"handle": sealed}]) == "not_mutable"
        assert error([immediate([1.0] * 4), whole]) == "shape_mismatch"
        assert error([whole], [["astype", [0], {"dtype": "float32"}]]) == "dtype_mismatch"
        assert error([whole], outputs=[{"value": 1, "into": 1}]) == "bad_arguments"
        assert error([whole], outputs=[{"value": 1, "into": 0, "handle": 7}]) == "bad_arguments"
        assert error([whole], outputs=[{"value": 1, "into": 0},
                                       {"value": 1, "into": 0}]) == "bad_arguments"
        assert error([whole], outputs=[{"value": 1, "into": 0},
                                       {"value": 1, "name": "x"}]) == "bad_arguments"
        assert error([immediate([1.0])], outputs=[{"value": 1, "into": 0}]) == "bad_arguments"
        twice = {"name": name, "view": view([2, 4], [0, 8])}
        assert error([twice]) == "bad_view"
        assert (values(raw, name) == numpy.arange(32.0).reshape(8, 4)).all()


def test_a_program_that_fails_writes_nothing(daemon, name):
    with daemon.raw() as raw:
        with pytest.raises(Exception, match="index_out_of_range"):
            raw.call("run", inputs=[{"name": name}, immediate([9], "int64")],
                     nodes=[["multiply", [0, 0], {}], ["take", [2, 1], {"axes": [0]}]],
                     outputs=[{"value": 2, "into": 0}, {"value": 3}])
        assert (values(raw, name) == numpy.arange(32.0).reshape(8, 4)).all()
        assert raw.call("stat", name=name)["tensor"]["version"] == 0


def test_programs_respect_leases_of_others_and_of_their_own(daemon, name):
    with daemon.raw() as a, daemon.raw() as b:
        lease(a, name, 1, write=True, view=rows(0, 4))
        for raw in a, b:
            with pytest.raises(Exception, match="lease_conflict"):
                values(raw, name)
            with pytest.raises(Exception, match="lease_conflict"):
                fill(raw, name, 1.0, into=rows(3, 5))
            fill(raw, name, 1.0, into=rows(4, 8))
        a.call("unlease", leases=[1])
        lease(a, name, 1)
        values(b, name)
        with pytest.raises(Exception, match="lease_conflict"):
            fill(b, name, 1.0)


def test_requests_act_in_the_order_of_their_arrival(daemon, name):
    """Each writes what the next one reads; all are sent before the first is answered."""
    n = 200
    with daemon.raw() as raw:
        fill(raw, name, 1.0)
        sent = [raw.send("run", inputs=[{"name": name}], nodes=[["add", [0, 0], {}]],
                         outputs=[{"value": 1, "into": 0}]) for _ in range(n)]
        answers = {}
        last = raw.send("lease", name=name, lease=1)
        while last not in answers:
            _, msgid, error, result = raw.receive()
            assert error is None
            answers[msgid] = result
        assert set(sent) <= set(answers)
        raw.call("unlease", leases=[1])
        assert (values(raw, name) == 2.0 ** n).all()


def test_reading_what_a_slow_request_writes_waits_for_it(daemon, name):
    long = [["loop", [0], {"steps": 20_000, "captures": 0, "results": [2],
                           "body": [["exp", [1], {}]]}],
            ["zeros", [], {"shape": [ROWS, COLUMNS], "dtype": "float64"}]]
    with daemon.raw() as a, daemon.raw() as b:
        a.send("run", inputs=[{"name": name}], nodes=long,
               outputs=[{"value": 1}, {"value": 2, "into": 0}])
        eventually(lambda: b.call("stat", name=name)["leases"] == 1, what="a computes")
        assert (values(b, name) == 0).all()


ONE = view([1], [8])
BIG = [3 << 20]  # elements of a tensor that is not there at once


@contextlib.contextmanager
def gated_by(daemon):
    """(name, open): a run that reads a tensor of that name waits until open() is called."""
    with daemon.raw() as raw:
        make(raw, "gate")
        lease(raw, "gate", 1, write=True)
        yield "gate", lambda: raw.call("unlease", leases=[1])
        raw.call("delete", name="gate")


def send_new(raw, handle, name):
    """A mutable tensor, in memory that no earlier one left."""
    return [raw.send("create", handle=handle, dtype="float64", shape=BIG, mutable=True, name=name),
            raw.send("seal", handle=handle)]


@contextlib.contextmanager
def together(raw):
    """What is sent arrives in one piece: nothing that a worker does is done in between."""
    pieces, raw.send_bytes = [], lambda data: pieces.append(data)
    try:
        yield
    finally:
        del raw.send_bytes
    raw.send_bytes(b"".join(pieces))


def send_gated(raw, gate, handle):
    """Its result is promised until the gate is opened."""
    return raw.send("run", inputs=[{"name": gate[0], "view": ONE}], nodes=[["negative", [0], {}]],
                    outputs=[{"value": 1, "handle": handle}], wait_ms=60_000)


def test_a_written_input_that_is_read_too_must_be_whole(daemon, name):
    with daemon.raw() as raw:
        with daemon.raw() as other:
            lease(other, name, 1, write=True)
        eventually(lambda: raw.call("stat", name=name)["tensor"]["torn"], what="torn")
        for keys in ({"nodes": [["add", [0, 0], {}]], "outputs": [{"value": 1, "into": 0}]},
                     {"nodes": [], "outputs": [{"value": 0, "into": 0}]}):
            assert raw.refusal("run", inputs=[{"name": name}], **keys).code == "torn"
        fill(raw, name, 1.0)
        assert (values(raw, name) == 1).all()


def test_a_result_of_unknown_shape_beside(daemon, name):
    with daemon.raw() as raw:
        for k, n in enumerate((5, 0, 2000)):
            row = immediate([float(i % 2) for i in range(n)]) if n <= 512 else None
            inputs = [{"name": name}, *([row] if row else [])]
            nodes = [["nonzero", [1], {}], ["add", [0, 0], {}]]
            if not row:
                nodes.insert(0, ["ones", [], {"shape": [n], "dtype": "float64"}])
            counted, _ = raw.call(
                "run", inputs=inputs, nodes=nodes,
                outputs=[{"value": 2, "handle": 70 + k, "map": bool(k)},
                         {"value": 3, "into": 0}])["outputs"]
            assert counted["shape"] == [1, n // 2 if row else n]
        assert (values(raw, name).ravel() == 8 * numpy.arange(32)).all()


def test_requests_do_not_wait_in_a_circle(own_daemon):
    """One claims what it knows when it arrives, and the rest behind a promise."""
    daemon, name = own_daemon, "m"
    with gated_by(daemon) as gate, daemon.raw() as raw:
        make(raw, name)
        check_circle(daemon, name, gate)
        raw.call("delete", name=name)


def check_circle(daemon, name, gate):
    with daemon.raw() as a, daemon.raw() as b:
        with together(a):
            sent = send_new(a, 2, "b")
            gated = send_gated(a, gate, 3)
            first = a.send("run", inputs=[{"name": name, "view": ONE}, {"handle": 2, "view": ONE},
                                          {"handle": 3}],
                           nodes=[["add", [1, 2], {}]], outputs=[{"value": 3, "into": 0}])
        for msgid in sent:
            a.wait(msgid)
        second = b.send("run", inputs=[{"name": name, "view": ONE}, {"name": "b", "view": ONE}],
                        nodes=[["negative", [0], {}]], outputs=[{"value": 2, "into": 1}])
        eventually(lambda: a.call("stat", name="b")["leases"] == 1, what="b has come")
        gate[1]()
        a.wait(gated)
        with pytest.raises(Exception, match="lease_conflict.*by now"):
            a.wait(first)
        b.wait(second)
        a.call("delete", name="b")


def test_a_request_that_got_its_lease_is_waited_for(daemon, name):
    work = [["full", [], {"shape": [1 << 20], "dtype": "float64", "value": 0.5}],
            ["loop", [1], {"steps": 60, "captures": 0, "results": [2],
                           "body": [["sin", [1], {}]]}],
            ["sum", [2], {}], ["ones", [], {"shape": [1], "dtype": "float64"}]]
    with daemon.raw() as a, daemon.raw() as b, daemon.raw() as c:
        lease(a, name, 1, write=True)
        long = b.send("run", inputs=[{"name": name, "view": ONE}], nodes=work,
                      outputs=[{"value": 3}, {"value": 4, "into": 0}], wait_ms=60_000)
        eventually(lambda: c.call("stat", name=name)["leases"] == 2, what="it waits")
        a.call("unlease", leases=[1])
        assert values(c, name)[0, 0] == 1
        b.wait(long)


def test_what_is_in_use_when_it_becomes_known_is_refused(own_daemon):
    with gated_by(own_daemon) as gate, own_daemon.raw() as a, own_daemon.raw() as b:
        with together(a):
            sent = send_new(a, 2, "b")
            gated = send_gated(a, gate, 3)
            late = a.send("run", inputs=[{"handle": 2, "view": ONE}, {"handle": 3}],
                          nodes=[["add", [0, 1], {}]], outputs=[{"value": 2}], wait_ms=60_000)
        for msgid in sent:
            a.wait(msgid)
        lease(b, "b", 1, write=True)
        assert b.refusal("run", inputs=[{"name": "b", "view": ONE}], nodes=[],
                         outputs=[{"value": 0}], wait_ms=20).code == "lease_conflict"
        gate[1]()
        a.wait(gated)
        with pytest.raises(Exception, match="lease_conflict.*by now"):
            a.wait(late)
        b.call("delete", name="b")


def test_a_consumer_does_not_wait_behind_its_producer(own_daemon):
    """The producer claims when the gate opens; what waits for its result has claimed before."""
    with gated_by(own_daemon) as gate, own_daemon.raw() as a:
        with together(a):
            sent = send_new(a, 2, "u")
            gated = send_gated(a, gate, 3)
            producer = a.send("run", inputs=[{"handle": 2, "view": ONE}, {"handle": 3}],
                              nodes=[["add", [0, 1], {}]], outputs=[{"value": 2, "handle": 4}])
        for msgid in sent:
            a.wait(msgid)
        consumer = a.send("run", inputs=[{"name": "u", "view": ONE}, {"handle": 4}],
                          nodes=[["negative", [1], {}]], outputs=[{"value": 2, "into": 0}])
        gate[1]()
        a.wait(gated)
        for msgid in producer, consumer:
            with pytest.raises(Exception, match="lease_conflict"):
                a.wait(msgid)
        a.call("delete", name="u")


@pytest.mark.parametrize("n", [64, 65])
def test_readers_of_many_parts_keep_their_places(daemon, name, n):
    many = [{"name": name, "view": view([], [], 8 * (i % 32))} for i in range(n)]
    request = {"inputs": many, "nodes": [["add", [1, 1], {}]], "outputs": [{"value": n}]}
    with daemon.raw() as a, daemon.raw() as b, daemon.raw() as c, daemon.raw() as d:
        lease(a, name, 1, write=True)
        readers = [(raw, raw.send("run", **request, wait_ms=60_000)) for raw in (b, c)]
        count = n if n <= 64 else 1
        eventually(lambda: a.call("stat", name=name)["leases"] == 1 + 2 * count, what="they wait")
        writer = send_fill(d, name, 9.0, wait_ms=60_000)
        eventually(lambda: a.call("stat", name=name)["leases"] == 2 + 2 * count, what="d waits")
        a.call("unlease", leases=[1])
        for raw, msgid in readers:
            [output] = raw.wait(msgid)["outputs"]
            assert struct.unpack("d", output["data"]) == (2.0,)
        d.wait(writer)


def test_nobody_waits_for_a_lease_whose_connection_ended(daemon, name):
    with daemon.raw() as a:
        lease(a, name, 1, write=True)
        with daemon.raw() as b:
            b.send("run", inputs=[{"name": name}], nodes=[["sum", [0], {}]],
                   outputs=[{"value": 1, "name": "never"}], wait_ms=1 << 62)
            eventually(lambda: a.call("stat", name=name)["leases"] == 2, what="b waits")
        eventually(lambda: a.call("stat", name=name)["leases"] == 1, what="b is forgotten")
        a.put([1.0], name="never")
        a.call("delete", name="never")


def test_many_parts_are_claimed_as_one(daemon, name):
    with daemon.raw() as a, daemon.raw() as b:
        inputs = [{"name": name, "view": view([], [], 8 * (i % 16))} for i in range(100)]
        last = view([], [], 8 * 31)
        for n, code in (20, None), (100, "lease_conflict"):
            request = {"inputs": inputs[:n], "nodes": [["add", [0, 1], {}]],
                       "outputs": [{"value": n}]}
            lease(a, name, 1, write=True, view=last)
            if code:
                assert b.refusal("run", **request).code == code
            else:
                b.call("run", **request)
            a.call("unlease", leases=[1])
            b.call("run", **request)
        b.call("run", inputs=[*inputs, {"name": name, "view": last}],
               nodes=[["add", [0, 99], {}]], outputs=[{"value": 101, "into": 100}])


# ---- life ----

def test_a_mutable_tensor_survives_the_daemon(make_own_daemon):
    daemon = make_own_daemon()
    with daemon.raw() as raw:
        make(raw, "kept")
        fill(raw, "kept", 3.0, into=rows(0, 1))
        raw.close_fds()
    daemon.restart9()
    with daemon.raw() as raw:
        assert raw.call("stat", name="kept")["tensor"]["state"] == "mutable"
        assert values(raw, "kept")[0, 0] == 3.0 and values(raw, "kept")[1, 0] == 4.0
        fill(raw, "kept", 4.0)
        raw.call("delete", name="kept")


def test_a_deleted_name_under_a_lease(daemon):
    with daemon.raw() as raw:
        made = make(raw, "brief")
        lease(raw, "brief", 1, write=True)
        raw.call("delete", name="brief")
        raw.call("release", handles=[1])
        with mapped(raw.fds[0], made, writable=True) as data:
            data[:8] = struct.pack("d", 1.0)
        raw.call("unlease", leases=[1])
        assert raw.refusal("lease", name="brief", lease=1).code == "not_found"


def test_a_resized_segment_is_found_when_a_write_ends(daemon):
    with daemon.raw() as raw:
        made = make(raw, "resized")
        lease(raw, "resized", 1, write=True)
        os.ftruncate(raw.fds[0], made["n_bytes"] + 4096)
        assert raw.refusal("unlease", leases=[1]).code == "poisoned"
        with pytest.raises(Exception, match="poisoned"):
            values(raw, "resized")
        raw.call("delete", name="resized")


def test_no_elements(daemon):
    with daemon.raw() as raw:
        raw.call("create", handle=1, dtype="float64", shape=[0, 3], mutable=True)
        assert raw.call("seal", handle=1)["state"] == "mutable"
        raw.call("lease", handle=1, lease=1, writable=True)
        raw.call("lease", handle=1, lease=2, writable=True)
        raw.call("unlease", leases=[1, 2])
