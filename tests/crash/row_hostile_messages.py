# SPDX-License-Identifier: MIT
"""Messages that no honest client sends, to a live socket: hand-written ones, golden frames and what
a real client said, each changed as values (still MessagePack) or as bytes.

Every request that is a message is answered once, also if it is wrong; what is none ends its
connection and nothing else. Meanwhile a good client is served, and when all is deleted again the
daemon has little more memory of its own than before.
"""

import contextlib
import os
import random
import select
import socket
import threading

import hostile
import kit
import msgpack
from kit import Raw

NAME = "hostile_messages"
CHECKS = ("each request is answered once, each connection can be left, private memory grows by "
          "less than 8 MiB beside the plans that are remembered, a good client is served")
QUICK = {"hand-written": None, "mutated": 10_000}
FULL = {"hand-written": None, "mutated": 500_000}
LIMIT_S = (120, 3600)

BATCH = 8
DEPTH_MAX = 16  # of a message
PATIENCE_S = 0.3  # then a request is cancelled
ANSWER_S = 30  # then it was forgotten
CONNECT_S = 30
GROWTH = 8 * kit.MIB * kit.SHADOW
WARM = 2000

HEADS = [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff",
         b"\xc6\xff\xff\xff\xff", b"\xdc\xff\xff", b"\xde\xff\xff", b"\xc9\x7f\xff\xff\xff\x01",
         b"\xc1", b"\xd4\x05\x00", b"\xc7\xff\x00", b"\x91" * 17 + b"\xc0", b"\x81" * 40]
NUMBERS = [0, 1, -1, 2, 3, 7, 15, 16, 17, 63, 64, 65, 127, 255, 256, 4095, 4096, 4097, 65535, 65536,
           1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, 1 << 61, (1 << 63) - 1,
           1 << 63, (1 << 64) - 1, -(1 << 31), -(1 << 63), -8]
OTHERS = [None, True, False, 0.5, float("nan"), float("inf"), -1e300, "", b"", "x" * 300, "\0",
          "\x7f", b"\0" * 16, b"\xff" * 16, [], {}, [[]], {"handle": 1}, [0] * 17, [1] * 100,
          "float64", "bool", "complex128", "int8", "C", "F", bytes(4096), bytes(4097)]


# ---- what is sent when nothing is wrong ----


def golden(directory):
    """Requests among the golden frames, as values."""
    frames = []
    for path in sorted(directory.glob("*.hex")):
        if path.name.startswith(("request-", "notification-", "refused-")):
            text = " ".join(line.split("#")[0] for line in path.read_text().splitlines())
            frames.append(msgpack.unpackb(bytes.fromhex(text), strict_map_key=False))
    assert len(frames) > 30
    return frames


class Recorder:
    """A socket between a client and the daemon that keeps what the client said."""

    def __init__(self, daemon):
        self.path = f"{daemon.socket}.recorder"
        self.daemon, self.said = daemon, bytearray()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.listener.settimeout(CONNECT_S)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            client, _ = self.listener.accept()
        except TimeoutError:
            return  # the client failed, and says why
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.daemon.socket)
        with client, server:
            while True:
                for end in select.select([client, server], [], [])[0]:
                    data, fds, _, _ = socket.recv_fds(end, 1 << 16, 32)
                    if not data:
                        return
                    if end is client:
                        self.said += data
                        server.sendall(data)
                        continue
                    # descriptors go with the first byte, and come in front of it
                    with contextlib.suppress(BrokenPipeError):
                        client.sendall(data[socket.send_fds(client, [data], fds):])
                    for fd in fds:
                        os.close(fd)

    def messages(self):
        self.thread.join()
        self.listener.close()
        os.unlink(self.path)
        unpacker = msgpack.Unpacker(strict_map_key=False)
        unpacker.feed(bytes(self.said))
        return list(unpacker)


SESSION = """
import sys, numpy, tensord
with tensord.connect(sys.argv[1]) as client:
    a = client.put(numpy.arange(12.0).reshape(3, 4), "a", replace=True)
    b = client.put(numpy.arange(20000.0), "b", replace=True)
    print(((a * 2 + 1).sum(axis=0) / 3)[1:], (b[::2] @ b[1::2]), numpy.asarray(b)[:3])
    print(b[b > 19990.0], client.list(), client.stat())
    numpy.asarray((b.reshape(100, 200) @ b.reshape(200, 100)).T)
    m = client.put(numpy.ones((100, 100)), "m", mutable=True)
    m[2:5] = 7.0
    with m.write() as array:
        array[0] = 3
    client.delete("a")
    client.delete("b")
    client.delete("m")
"""


def recorded(daemon):
    """What libtensord and the Python package say in a short session."""
    recorder = Recorder(daemon)
    daemon.python(SESSION, recorder.path)
    messages = recorder.messages()
    assert len(messages) > 15, messages
    return messages


def handmade():
    """One of each method that golden frames may miss, and programs worth breaking."""
    x = {"dtype": "float64", "shape": [3], "data": bytes(24)}
    i = {"dtype": "int64", "shape": [3], "data": bytes(24)}
    big = [["arange", [], {"range": [0, 50000, 1], "dtype": "float64"}]]
    programs = [
        ([x, i], [["take", [0, 1], {"axes": [0]}]], [{"value": 2}]),
        ([x], [["loop", [0], {"steps": 3, "captures": 0, "body": [["negative", [1], {}]],
                              "results": [2], "watch": [1], "every": 1}]], [{"value": 1}]),
        ([x], [["slice", [0], {"start": [0], "step": [1], "shape": [2]}],
               ["broadcast_to", [1], {"shape": [4, 2]}], ["sort", [2], {"axes": [1]}]],
         [{"value": 3}]),
        ([], big + [["reshape", [0], {"shape": [100, 500]}], ["sum", [1], {"axes": [0]}]],
         [{"value": 1, "handle": 77}, {"value": 2, "name": "sum", "replace": True}]),
        ([x], [["nonzero", [0], {}]], [{"value": 1}]),
        ([{"name": "base", "view": {"shape": [2], "strides": [8], "offset": 8}}],
         [["exp", [0], {}]], [{"value": 1, "handle": 78, "map": True}]),
    ]
    keys = ("inputs", "nodes", "outputs")
    requests = [("run", dict(zip(keys, program))) for program in programs]
    requests += [
        ("create", {"handle": 3, "dtype": "float64", "shape": [3, 400], "order": [1, 0]}),
        ("create", {"handle": 4, "dtype": "int8", "shape": [10], "name": "n", "mutable": True}),
        ("seal", {"handle": 3}), ("map", {"handle": 3, "writable": True}),
        ("lease", {"name": "base", "lease": 1, "writable": True, "wait_ms": 10}),
        ("unlease", {"leases": [1, 2]}), ("cancel", {"msgid": 5}), ("cancel", {"request": 1}),
        ("unmap", {"segments": [1, 2]}),
        ("define", {"definition": 1, "inputs": [{"dtype": "int8", "shape": [3]}],
                    "nodes": [["negative", [0], {}]], "outputs": [{"value": 1}]}),
        ("call", {"definition": 1, "inputs": [{"dtype": "int8", "shape": [3], "data": b"123"}],
                  "outputs": [{}]}),
        ("undefine", {"definitions": [1]}), ("infer", {"name": "k", "inputs": []}),
        ("list", {"prefix": "a", "after": "b", "limit": 10}), ("stat", {"name": "base"}),
    ]
    return [[0, 1, method, [params]] for method, params in requests]


# ---- what is made of it ----


def nodes_of(tree, found, path=()):
    """Where each value of a tree is."""
    found.append(path)
    if isinstance(tree, dict):
        for key, value in tree.items():
            nodes_of(value, found, (*path, key))
    elif isinstance(tree, list):
        for n, value in enumerate(tree):
            nodes_of(value, found, (*path, n))
    return found


def copy(tree):
    if isinstance(tree, dict):
        return {key: copy(value) for key, value in tree.items()}
    return [copy(value) for value in tree] if isinstance(tree, list) else tree


def depth(tree):
    if isinstance(tree, dict):
        tree = list(tree.values())
    return 1 + max(map(depth, tree), default=0) if isinstance(tree, list) else 0


def changed(chance, old, corpus):
    """A value in the place of another."""
    kind = chance.randrange(8)
    if kind == 0 and isinstance(old, list):
        return old * chance.choice([0, 2, 3, 70])
    if kind == 1 and isinstance(old, dict) and old:
        gone = chance.choice(list(old))
        return {key: value for key, value in old.items() if key != gone}
    if kind == 2 and isinstance(old, dict):
        return {**old, chance.choice(["name", "handle", "view", "donate", "into", "zzz", "map"]):
                chance.choice(NUMBERS + OTHERS)}
    if kind == 3 and isinstance(old, int):
        return old + chance.choice([-1, 1, 1 << 32])
    if kind == 4 and isinstance(old, (str, bytes)):
        return old[:chance.randrange(len(old) + 1)] + old[:2]
    if kind == 5:
        other = chance.choice(corpus)
        for step in chance.choice(nodes_of(other, [])):
            other = other[step]
        return copy(other)
    return chance.choice(NUMBERS if kind < 7 and isinstance(old, int) else OTHERS)


def wrong_params(chance, request, corpus):
    """A request of a known shape whose parameters are wrong in up to three places."""
    method, params = (request[2:] if request[0] == 0 else request[1:])[:2]
    params = copy(params)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
        path = chance.choice(nodes_of(params, []))
        if not path:
            params = [copy(changed(chance, params[0] if params else None, corpus))]
            continue
        at = params
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = copy(changed(chance, at[path[-1]], corpus))
        if not isinstance(params, list):
            params = [params]
    if chance.random() < 0.05:
        method = chance.choice(corpus)[-2]
    return method, params


def damaged(chance, request, corpus):
    """Bytes that were a message."""
    data = bytearray(msgpack.packb(request))
    for _ in range(chance.choice([1, 1, 2, 5])):
        at = chance.randrange(len(data))
        kind = chance.randrange(6)
        if kind == 0:
            data[at] = chance.randrange(256)
        elif kind == 1:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 2 and len(data) > 2:
            del data[at:at + chance.randrange(1, 5)]
        elif kind == 3:
            data[at:at] = data[at:at + chance.randrange(1, 20)]
        elif kind == 4:
            data[at:at + 1] = chance.choice(HEADS)
        else:
            data[at:] = msgpack.packb(chance.choice(corpus))[at:]
        if not data:
            data = bytearray(b"\xc1")
    return bytes(data)


class Sender:
    """Batches, each on a connection of its own: requests with wrong values, then damaged bytes."""

    def __init__(self, daemon, chance, corpus):
        self.daemon, self.chance, self.corpus = daemon, chance, corpus
        self.n_sent = self.n_refused = self.n_answered = self.n_cancelled = self.n_closed = 0

    def _collect(self, raw, wanted, seconds):
        """Take answers until all wanted are there, or nothing came for so long."""
        raw.socket.settimeout(seconds)
        try:
            while wanted:
                message = raw.receive()
                assert message is not None, f"closed; no answer to {wanted}"
                if message[0] == 2:
                    assert message[1] != "error" or message[2][0] == "bad_arguments", message
                    continue
                assert message[1] in wanted, f"answered twice, or never asked: {message}"
                del wanted[message[1]]
                self.n_answered += 1
                self.n_refused += message[2] is not None
                raw.close_fds()
        except TimeoutError:
            pass

    def batch(self):
        chance, packs, wanted = self.chance, [], {}
        for msgid in range(1, BATCH):
            method, params = wrong_params(chance, chance.choice(self.corpus), self.corpus)
            if not isinstance(method, str) or depth(params) >= DEPTH_MAX:
                continue
            try:
                packs.append(msgpack.packb([0, msgid, method, params]))
            except (ValueError, OverflowError, msgpack.exceptions.PackException):
                continue
            wanted[msgid] = method
        with Raw(self.daemon.path) as raw:
            raw.send_bytes(b"".join(packs))
            self._collect(raw, wanted, PATIENCE_S)
            if wanted:
                self.n_cancelled += len(wanted)
                for msgid in wanted:
                    raw.notify("cancel", msgid=msgid)
                self._collect(raw, wanted, ANSWER_S)
                assert not wanted, f"never answered, not even when cancelled: {wanted}"
            try:
                raw.send_bytes(damaged(chance, chance.choice(self.corpus), self.corpus))
                raw.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it was closed before all of it was there
            raw.socket.settimeout(ANSWER_S)
            errors, has_ended = raw.farewell()
            assert has_ended, "a connection that said nonsense and then nothing stays open"
            self.n_closed += bool(errors)
        self.n_sent += len(packs) + 1

    def send(self, n):
        while self.n_sent < n:
            self.batch()


# ---- hand-written ----


def sayings():
    """Bytes and conversations that somebody thought of, each sent on a connection of its own."""
    ping = msgpack.packb([0, 1, "ping", []])
    call = b"\x94\x00\x01\xa4ping"
    yield from HEADS
    for head in HEADS:
        yield ping + head
        yield call + b"\x91" + head
        yield call + b"\x91\x81\xa1x" + head
    for n in range(1, len(ping)):
        yield ping[:n]
    for byte in range(256):
        if byte not in range(0x90, 0xa0):  # arrays that may go on
            yield bytes([byte])
    yield b"GET / HTTP/1.1\r\n\r\n"
    yield b"\x91" * 1_000_000
    yield b"\x94\x00\x01\xa4ping\x91\xc6\x00\x10\x00\x00" + bytes(1 << 20)
    for message in ([0, 1, "ping"], [0, 1, "ping", [], 1], [1, 1, None, 1], [3, 1, "ping", []],
                    [0, -1, "ping", []], [0, 1 << 32, "ping", []], [0, 1, 7, []], [2, "ping", []],
                    [2, "zzz", []], [2, "put", [{}]], [0, 1, "", []], [0, 1, "\0", []],
                    [0, 1, "ping", {}], [0, 1, "ping", [1, 2]], [0, 1, "ping", [[]]],
                    [0, 1, "stat", [{1: 2}]], [0, 1, "x" * 10000, []]):
        yield msgpack.packb(message)
    deep = {"shape": [], "dtype": "bool"}
    for method in ("run", "put", "create", "open", "list", "lease", "define", "hello"):
        for params in ([], [{}], [[]], [None], [deep], [{"handle": -1}], [{"handle": 0}],
                       [{"name": ""}], [{"name": "x" * 256}], [{"name": "\ud800"}],
                       [{"inputs": [{}] * 5000}], [{"nodes": [["add", [0, 0], {}]] * 5000}]):
            yield msgpack.packb([0, 1, method, params], unicode_errors="surrogatepass")


def say(path, data):
    with Raw(path) as raw:
        try:
            raw.send_bytes(data)
            raw.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        assert raw.farewell()[1], f"the connection stays open after {data[:40]!r}"


# ---- the row ----


def prepare(daemon):
    with daemon.raw() as raw:
        raw.put([1.0, 2.0, 3.0], name="base", replace=True)


def run(counts, seed, report):
    chance = random.Random(seed)
    daemon = report.daemon("--memory", "64M")
    bounds = daemon.bounds(is_warm=True)
    prepare(daemon)
    corpus = golden(kit.TOP / "tests/golden") + recorded(daemon) + handmade()
    said = list(sayings())
    assert len(said) > 400
    report.found("hand-written", len(said))
    sender = Sender(daemon, chance, corpus)
    sender.send(WARM)
    hostile.at_rest(daemon)
    before, plans_before = daemon.resident(), daemon.stat()["plans"]["bytes"]
    sender.n_sent = 0
    with kit.Prober(daemon, report):
        for data in said:
            say(daemon.path, data)
            report.did("hand-written")
        n_done = 0
        while n_done < counts["mutated"]:
            prepare(daemon)
            sender.send(min(n_done + 1000, counts["mutated"]))
            report.did("mutated", sender.n_sent - n_done)
            n_done = sender.n_sent
    hostile.at_rest(daemon)
    bounds.check()
    plans = daemon.stat()["plans"]["bytes"] - plans_before
    growth = daemon.resident() - before - plans
    report.say(f"{len(corpus)} messages to begin with; {sender.n_answered} answers, "
               f"{sender.n_refused} of them refusals, {sender.n_cancelled} cancelled, "
               f"{sender.n_closed} connections closed by the daemon")
    report.say(f"private resident memory grew by {growth / kit.MIB:.2f} MiB, and by "
               f"{plans / kit.MIB:.2f} MiB of plans, of which it remembers 32 MiB at most")
    assert growth < GROWTH, f"grew by {growth} bytes"
    assert sender.n_refused > sender.n_sent // 3 and sender.n_closed > sender.n_sent // 20
    daemon.finish()
