# SPDX-License-Identifier: MIT
"""A client of tensord made of a socket and a MessagePack library. It checks nothing that it sends.

For the tests of bad input: what no honest client would send, is sent from here.
"""
import array
import collections
import contextlib
import itertools
import mmap
import os
import socket
import time

import msgpack
from sanitized import SLOWER

# by kernel: struct msghdr may carry this many descriptors
FDS_MAX = 253


class Refused(Exception):
    """An error response."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code, self.message, self.data = error["code"], error["message"], error.get("data")


class Raw:
    """One connection. Requests are answered in order here: one at a time, unless sent by hand."""

    def __init__(self, path, timeout=20 * SLOWER):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(os.fspath(path))
        self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
        self.messages = collections.deque()
        self.fds = collections.deque()
        self.msgids = itertools.count(1)
        self.handles = itertools.count(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()
        self.close_fds()

    def close_fds(self):
        """Those that came with results and were not taken."""
        while self.fds:
            os.close(self.fds.popleft())

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send(self, method, *params, **keys):
        """Send one request, wait for nothing; its msgid."""
        msgid = next(self.msgids)
        params = list(params) or ([keys] if keys else [])
        self.send_bytes(msgpack.packb([0, msgid, method, params]))
        return msgid

    def notify(self, method, **keys):
        self.send_bytes(msgpack.packb([2, method, [keys] if keys else []]))

    def receive(self):
        """The next message of any kind, or None at the end of the connection."""
        while not self.messages:
            try:
                data, ancillary, flags, _ = self.socket.recvmsg(
                    1 << 16, socket.CMSG_SPACE(4 * FDS_MAX))
            except ConnectionResetError:
                return None
            if not data:
                return None
            assert not flags & socket.MSG_CTRUNC
            for level, kind, payload in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds = array.array("i")
                    fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
                    self.fds.extend(fds)
            self.unpacker.feed(data)
            self.messages.extend(self.unpacker)
        return self.messages.popleft()

    def wait(self, msgid):
        """The result of that request; raises Refused. Other responses must not come before it."""
        while True:
            message = self.receive()
            if message is None:
                raise ConnectionError("the daemon closed the connection")
            if message[0] == 2:
                if message[1] == "error":
                    raise ConnectionError(f"the daemon says {message[2]}")
                continue
            assert message[:2] == [1, msgid], message
            if message[2] is not None:
                raise Refused(message[2])
            return message[3]

    def call(self, method, *params, **keys):
        return self.wait(self.send(method, *params, **keys))

    def refusal(self, method, *params, **keys):
        """The error that the request must get."""
        try:
            result = self.call(method, *params, **keys)
        except Refused as error:
            return error
        raise AssertionError(f"{method} was not refused: {result}")

    def farewell(self):
        """(notified errors, whether the connection then ended): what a broken conversation gets."""
        errors = []
        try:
            while (message := self.receive()) is not None:
                if message[:2] == [2, "error"]:
                    errors.append(message[2])
        except TimeoutError:
            return errors, False
        return errors, True

    # ---- shorthands ----

    def handle(self):
        return next(self.handles)

    def put(self, values, dtype="float64", shape=None, **keys):
        """Put a small tensor of the numbers given; its handle (None if only a name was wanted)."""
        code = {"float64": "d", "float32": "f", "int64": "q", "bool": "B"}[dtype]
        data = array.array(code, values).tobytes()
        shape = [len(values)] if shape is None else shape
        if "name" not in keys:
            keys.setdefault("handle", self.handle())
        self.call("put", dtype=dtype, shape=shape, data=data, **keys)
        return keys.get("handle")

    def run(self, nodes, inputs=(), outputs=None):
        """Run a program; the outputs' descriptions. By default the last value is the output."""
        if outputs is None:
            outputs = [{"value": len(inputs) + len(nodes) - 1}]
        return self.call("run", inputs=list(inputs), nodes=nodes, outputs=outputs)["outputs"]


def immediate(values, dtype="float64", shape=None):
    """An input whose bytes travel in the message."""
    code = {"float64": "d", "float32": "f", "int64": "q", "bool": "B"}[dtype]
    shape = [len(values)] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data": array.array(code, values).tobytes()}


@contextlib.contextmanager
def mapped(fd, made, writable=False):
    """The bytes of a tensor that was described so, in this process."""
    access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
    with mmap.mmap(fd, made["n_bytes"], access=access) as memory:
        with memoryview(memory) as view:
            with view[made["offset"]:made["offset"] + made["nbytes"]] as data:
                yield data


def leave_endless(raw, name):
    """Ask for a loop without end whose result has a name, and leave before the answer."""
    attrs = {"max_steps": 2**63 - 1, "captures": 0, "body": [["sqrt", [2], {}]], "results": [1, 3]}
    raw.send("run", inputs=[immediate([True], "bool", []), immediate([1.0], shape=[])],
             nodes=[["while", [0, 1], attrs]], outputs=[{"value": 3, "name": name}])
    raw.call("ping")
    raw.close()


def eventually(condition, seconds=10, what="condition"):
    """Wait until condition() is true; its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.01)
    return value
