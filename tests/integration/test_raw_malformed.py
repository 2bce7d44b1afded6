# SPDX-License-Identifier: MIT
"""Bytes that are no message: told so, then the connection ends; the daemon serves on."""
import random

import msgpack
import pytest

from raw import Raw, eventually

PING = msgpack.packb([0, 1, "ping", []])


@pytest.fixture(scope="module")
def daemon(make_daemon):
    return make_daemon()


def memory(path):
    """bytes in use, tensors, names, connections but ours"""
    with Raw(path) as raw:
        stat = raw.call("stat")
        used = [stat["memory"][key] for key in ("live", "held", "parked", "heap", "scratch")]
        return used, stat["tensors"], stat["names"], stat["connections"] - 1


@pytest.fixture
def path(daemon):
    """The socket; after the test the daemon must be as it was."""
    before = eventually(lambda: (m := memory(daemon.path))[3] == 0 and m)
    yield daemon.path
    eventually(lambda: memory(daemon.path) == before, what="the daemon as it was")


def nested(depth):
    return b"\x91" * depth + b"\xc0"


MALFORMED = {
    "array bomb": b"\xdd\xff\xff\xff\xff",
    "map bomb": b"\xdf\xff\xff\xff\xff",
    "string bomb": b"\xdb\xff\xff\xff\xff",
    "bytes bomb": b"\xc6\xff\xff\xff\xff",
    "bomb as parameter": b"\x94\x00\x01\xa4ping\xdd\xff\xff\xff\xff",
    "bombs in total": b"\x94\x00\x01\xa4ping" + b"\xdd\x00\x0f\x00\x00" * 3,
    "depth bomb": nested(100),
    "one too deep": nested(17),
    "a million deep": nested(1_000_000),
    "message over the limit": b"\x94\x00\x01\xa4ping\x91\xc6\x00\x10\x00\x00" + bytes(1 << 20),
    "never used byte": b"\xc1",
    "ext": b"\x94\x00\x01\xa4ping\x91\xd4\x05\x00",
    "timestamp": b"\x94\x00\x01\xa4ping\x91\xd6\xff\x00\x00\x00\x00",
    "an integer": b"\x05",
    "nil": b"\xc0",
    "a map": msgpack.packb({"method": "ping"}),
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "empty array": b"\x90",
    "three elements": msgpack.packb([0, 1, "ping"]),
    "five elements": msgpack.packb([0, 1, "ping", [], 5]),
    "a response": msgpack.packb([1, 1, None, "pong"]),
    "type 3": msgpack.packb([3, 1, "ping", []]),
    "type -1": msgpack.packb([-1, 1, "ping", []]),
    "negative msgid": msgpack.packb([0, -1, "ping", []]),
    "msgid beyond 32 bits": msgpack.packb([0, 1 << 32, "ping", []]),
    "fraction as msgid": msgpack.packb([0, 1.5, "ping", []]),
    "method by number": msgpack.packb([0, 1, 7, []]),
    "method as bytes": msgpack.packb([0, 1, b"ping", []]),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_bytes_end_the_connection(path, name):
    with Raw(path) as raw:
        assert raw.call("ping") == "pong"
        try:
            raw.send_bytes(MALFORMED[name])
        except ConnectionError:
            pass  # the daemon need not read to the end
        errors, has_ended = raw.farewell()
        assert has_ended
        assert [code for code, _ in errors] == ["malformed"]
        assert len(errors[0][1]) > 10


def test_requests_before_the_malformed_one_are_answered(path):
    with Raw(path) as raw:
        raw.send_bytes(PING + PING + b"\xc1")
        assert [raw.receive()[3] for _ in range(2)] == ["pong", "pong"]
        errors, has_ended = raw.farewell()
        assert has_ended and [code for code, _ in errors] == ["malformed"]


def test_byte_by_byte(path):
    with Raw(path) as raw:
        for byte in PING * 3:
            raw.send_bytes(bytes([byte]))
        assert [raw.receive()[3] for _ in range(3)] == ["pong"] * 3


def test_the_largest_message_is_a_message(path):
    # a put with 1 MiB of data: read as a whole, and refused for what it asks
    head = (b"\x94\x00\x07\xa3put\x91\x84\xa6handle\x01\xa5dtype\xa5uint8"
            b"\xa5shape\x91\x08\xa4data\xc6")
    n = (1 << 20) - len(head) - 4
    with Raw(path) as raw:
        raw.send_bytes(head + n.to_bytes(4, "big") + bytes(n) + PING)
        kind, msgid, error, _ = raw.receive()
        assert (kind, msgid, error["code"]) == (1, 7, "bad_arguments"), error
        assert raw.receive() == [1, 1, None, "pong"]


@pytest.mark.parametrize("method, key", [("release", "handles"), ("unmap", "segments"),
                                         ("unlease", "leases"), ("undefine", "definitions"),
                                         ("lend", "handles")])
def test_a_message_gives_back_4096(path, method, key):
    with Raw(path) as raw:
        if method != "lend":
            assert raw.call(method, **{key: [1 << 60] * 4096}) is None
        error = raw.refusal(method, **{key: [1 << 60] * 4097})
        assert error.code == "bad_arguments" and "4097" in error.message


def test_dense_messages(path):
    """a message of too many values is refused by its number, and decoded no further"""
    with Raw(path) as raw:
        error = raw.refusal("release", handles=[1] * 1_040_000)
        assert error.code == "too_many" and "131072 values" in error.message
        assert raw.call("ping") == "pong"


def test_a_head_cut_off_by_the_bound(path):
    """The last byte that a message may have begins a value that cannot end."""
    n_bytes = (1 << 20) - 7
    with Raw(path) as raw:
        raw.send_bytes(b"\x92\xc6" + n_bytes.to_bytes(4, "big") + bytes(n_bytes) + b"\xd9")
        errors, has_ended = raw.farewell()
    assert [code for code, _ in errors] == ["malformed"] and has_ended


def test_only_release_and_unmap_are_notifications(path):
    with Raw(path) as raw:
        raw.notify("release", handles=[1, 2, 3])
        raw.notify("unmap", segments=[1, 2, 3])
        assert raw.call("ping") == "pong"
        raw.notify("put", dtype="int64", shape=[], data=bytes(8), name="by notification")
        code, message = next(m for m in iter(raw.receive, None) if m[:2] == [2, "error"])[2]
        assert code == "bad_arguments" and "put" in message


def test_random_bytes(path):
    chance = random.Random(20_241_122)
    for _ in range(300):
        with Raw(path) as raw:
            raw.send_bytes(chance.randbytes(chance.randrange(1, 200)))
            raw.socket.shutdown(1)
            assert raw.farewell()[1]
    with Raw(path) as raw:
        assert raw.call("ping") == "pong"


def some_requests():
    """valid requests of every kind, none of which leaves anything behind"""
    program = {
        "inputs": [{"dtype": "float64", "shape": [2, 2], "data": bytes(32)},
                   {"name": "x", "view": {"shape": [1], "strides": [8], "offset": 0}}],
        "nodes": [["matmul", [0, 0], {}], ["sum", [2], {"axes": [0, -1], "keepdims": True}],
                  ["loop", [0], {"steps": 9, "captures": 0, "body": [["negative", [1], {}]],
                                 "results": [2], "watch": [1], "every": 3}]],
        "outputs": [{"value": 3}, {"value": 2, "handle": 9, "map": True}],
    }
    return [msgpack.packb([0, 1, method, [params]]) for method, params in [
        ("hello", {"version": 1, "client": "c"}), ("run", program), ("stat", {"name": "x"}),
        ("list", {"prefix": "a", "after": "b", "limit": 10}), ("ops", {}),
        ("create", {"handle": 3, "dtype": "float64", "shape": [3, 4], "order": "F"}),
        ("put", {"handle": 4, "dtype": "int64", "shape": [2], "data": bytes(16)}),
        ("open", {"name": "x", "handle": 5, "map": True}), ("seal", {"handle": 3}),
        ("map", {"handle": 3, "writable": True}), ("release", {"handles": [1, 2]}),
        ("unmap", {"segments": [1, 2]}), ("delete", {"name": "x", "op_id": bytes(16)}),
    ]]


def test_damaged_requests(path):
    """Every reply is a message, and every connection can be left: 3000 requests with bytes changed,
    dropped or doubled."""
    chance = random.Random(1)
    requests = some_requests()
    n_errors = 0
    for _ in range(150):
        with Raw(path) as raw:
            try:
                for _ in range(20):
                    damaged = bytearray(chance.choice(requests))
                    for _ in range(chance.randrange(1, 4)):
                        where = chance.randrange(len(damaged))
                        kind = chance.randrange(3)
                        if kind == 0:
                            damaged[where] = chance.randrange(256)
                        elif kind == 1:
                            del damaged[where]
                        else:
                            damaged[where:where] = damaged[where:where + 4]
                    raw.send_bytes(bytes(damaged))
                raw.socket.shutdown(1)
            except ConnectionError:
                pass
            while (message := raw.receive()) is not None:
                assert message[0] in (1, 2)
                n_errors += message[0] == 2 or message[2] is not None
    assert n_errors > 100
    with Raw(path) as raw:
        assert raw.call("ping") == "pong"
        for row in raw.call("list")["tensors"]:
            raw.call("delete", name=row["name"])
