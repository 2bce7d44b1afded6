# SPDX-License-Identifier: MIT
"""What one user shows to others: they read it and no more, and what they read stays as it is."""
import array
import errno
import fcntl
import mmap
import os
import socket
import struct

import msgpack
import pytest

from raw import Raw, eventually
from users import ALICE, BOB, as_user, connect_as, takes_root

pytestmark = takes_root

N = 1000  # float64, in a segment of 8 KiB of data


@pytest.fixture
def daemon(open_daemon):
    return open_daemon


@pytest.fixture
def alice(daemon):
    with connect_as(ALICE, daemon.path) as raw:
        yield raw


@pytest.fixture
def bob(daemon):
    with connect_as(BOB, daemon.path) as raw:
        yield raw


def total(raw, **ref):
    return struct.unpack("d", raw.run([["sum", [0], {}]], [ref])[0]["data"])[0]


def create(raw, name, value=1.0, n=N, keeps=False):
    """A tensor of n times the value, written in place: its description; keeps: and a descriptor
    that it can still be written by."""
    handle = raw.handle()
    made = raw.call("create", handle=handle, dtype="float64", shape=[n], name=name)
    fd = raw.fds.popleft()
    os.pwrite(fd, struct.pack("d", value) * n, made["offset"])
    if not keeps:
        os.close(fd)
        fd = None
    raw.call("seal", handle=handle)
    return made | {"handle": handle}, fd


def open_mapped(raw, owner, name="x"):
    """Its description, and a private descriptor of its memory."""
    handle = raw.handle()
    opened = raw.call("open", name=name, owner=owner, handle=handle, map=True)
    assert len(raw.fds) == 1 and opened["fds"] == [[opened["segment"], opened["n_bytes"], False]]
    return opened | {"handle": handle}, raw.fds.popleft()


def first(fd, described):
    return struct.unpack("d", os.pread(fd, 8, described["offset"]))[0]


# ---- what others see ----


def test_what_is_shared_is_read_by_name_and_id(alice, bob):
    for name, made in (("small", alice.put([1, 2, 3], name="small")), ("large", None)):
        if name == "large":
            alice.run([["ones", [], {"shape": [N], "dtype": "float64"}]],
                      outputs=[{"value": 0, "name": name}])
        expected = {"small": 6, "large": N}[name]
        shared = alice.call("share", name=name)
        assert shared["shared"] is True and "owner" not in shared
        handle = bob.handle()
        theirs = bob.call("open", name=name, owner=ALICE, handle=handle)
        assert (theirs["owner"], theirs["shared"], theirs["name"]) == (ALICE, True, name)
        assert theirs["state"] == "sealed" and theirs.get("writable", False) is False
        assert total(bob, name=name, owner=ALICE) == total(bob, id=shared["id"]) == expected
        assert total(bob, handle=handle) == expected
        assert set(bob.call("stat", name=name, owner=ALICE)) == {"tensor", "segment_bytes"}
        assert alice.call("stat", name=name)["references"] == 2
        if name == "large":
            mapped, fd = open_mapped(bob, ALICE, name)
            assert first(fd, mapped) == 1
            os.close(fd)
    assert [row["name"] for row in bob.call("list", owner=ALICE)["tensors"]] == ["large", "small"]
    assert bob.call("list")["tensors"] == []
    # results of what others own are one's own
    bob.run([["negative", [0], {}]], [{"name": "large", "owner": ALICE}],
            [{"value": 1, "name": "mine"}])
    assert "owner" not in bob.call("stat", name="mine")["tensor"]


def test_who_reads_a_small_one_makes_its_owner_pay_nothing(alice, bob):
    """its segment is made for its owner, and then it is everybody's"""
    small = alice.put([1, 2, 3], name="small", handle=alice.handle())
    shared = alice.call("share", name="small")
    before = alice.call("stat")["users"][0]["bytes"]
    handle = bob.handle()
    for asked in ({"name": "small", "owner": ALICE}, {"id": shared["id"]}):
        read = bob.call("open", handle=handle, map=True, **asked)
        assert (read["fds"], struct.unpack("3d", read["data"])) == ([], (1, 2, 3))
        assert "segment" not in read
        assert bob.call("map", handle=handle)["data"] == read["data"]
        bob.call("release", handles=[handle])
    assert bob.call("wait", name="small", owner=ALICE, wait_ms=0, handle=handle,
                    map=True)["data"] == read["data"]
    assert alice.call("stat")["users"][0]["bytes"] == before
    alice.call("map", handle=small)
    os.close(alice.fds.popleft())
    assert alice.call("stat")["users"][0]["bytes"] > before
    mapped, fd = open_mapped(bob, ALICE, "small")
    assert "data" not in mapped and first(fd, mapped) == 1
    os.close(fd)


def test_what_is_not_shared_is_not_there(alice, bob):
    alice.put([1], name="private")
    alice.put([1], name="shown")
    alice.call("share", name="shown")
    identity = alice.call("stat", name="private")["tensor"]["id"]
    for keys in ({"owner": ALICE, "name": "private"}, {"id": identity}):
        absent = dict(keys, name="nothing") if "name" in keys else {"id": bytes(16)}
        for method, more in (("open", {"handle": 99}), ("stat", {}), ("delete", {})):
            if method == "delete" and "id" in keys:
                continue
            refused = bob.refusal(method, **keys, **more)
            other = bob.refusal(method, **absent, **more)
            assert refused.code == other.code == "not_found"
            assert len(refused.message) - len(other.message) in (0, len("private") - len("nothing"))
        for run in (keys, absent):
            assert bob.refusal("run", inputs=[run], nodes=[["sum", [0], {}]],
                               outputs=[{"value": 1}]).code == "not_found"
    assert bob.refusal("stat", handle=1).code == "not_found"  # a handle is of one connection
    assert [row["name"] for row in bob.call("list", owner=ALICE)["tensors"]] == ["shown"]
    assert bob.refusal("open", handle=1, id=identity, owner=ALICE).code == "bad_arguments"
    assert bob.refusal("open", handle=1, name="shown", owner=2**32 - 1).code == "bad_arguments"
    assert bob.call("list", owner=4711) == {"tensors": [], "more": False}


def test_a_page_of_what_is_shared_passes_over_what_is_not(alice, bob):
    for i in range(30):
        alice.put([i], name=f"{i:02}")
        if i % 3 == 0:
            alice.call("share", name=f"{i:02}")
    names, after = [], {}
    while True:
        page = bob.call("list", owner=ALICE, limit=4, **after)
        names += [row["name"] for row in page["tensors"]]
        if not page["more"]:
            break
        after = {"after": names[-1]}
    assert names == [f"{i:02}" for i in range(0, 30, 3)]


def test_who_has_it_keeps_it_when_it_is_hidden_replaced_or_deleted(alice, bob):
    for name, end in (
        ("hidden", lambda: alice.call("share", name="hidden", shared=False)),
        ("replaced", lambda: alice.put([7], name="replaced", replace=True)),
        ("deleted", lambda: alice.call("delete", name="deleted")),
    ):
        create(alice, name, 2.0)
        shared = alice.call("share", name=name)
        opened, fd = open_mapped(bob, ALICE, name)
        handle = opened["handle"]
        end()
        for ref in ({"name": name, "owner": ALICE}, {"id": shared["id"]}):
            assert bob.refusal("open", handle=bob.handle(), **ref).code == "not_found"
        assert total(bob, handle=handle) == 2 * N and first(fd, opened) == 2
        described = bob.call("stat", handle=handle)["tensor"]
        assert described["owner"] == ALICE
        assert "name" not in described and "shared" not in described
        os.close(fd)


def test_what_it_is_called_later_is_not_told(alice, bob):
    alice.put([1], name="x")
    alice.call("share", name="x")
    bob.call("open", name="x", owner=ALICE, handle=1)
    alice.call("open", name="x", handle=9)
    alice.call("delete", name="x")
    assert alice.call("name", handle=9, name="secret")["name"] == "secret"
    assert "name" not in bob.call("stat", handle=1)["tensor"]
    assert bob.refusal("open", handle=2, name="secret", owner=ALICE).code == "not_found"


# ---- what others must not do ----


def test_only_its_owner_writes_names_leases_shares_and_deletes(alice, bob):
    create(alice, "x")
    alice.call("share", name="x")
    bob.call("open", name="x", owner=ALICE, handle=1)
    for method, keys in (
        ("name", {"handle": 1, "name": "y"}),
        ("replace", {"handle": 1, "name": "y"}),
        ("map", {"handle": 1, "writable": True}),
        ("lease", {"handle": 1, "lease": 1, "writable": True}),
        ("lease", {"handle": 1, "lease": 1}),
        ("delete", {"name": "x", "owner": ALICE}),
        ("run", {"inputs": [{"handle": 1}], "nodes": [["negative", [0], {}]],
                 "outputs": [{"value": 1, "into": 0}]}),
    ):
        assert bob.refusal(method, **keys).code == "not_owner", method
    assert bob.refusal("share", name="x").code == "not_found"  # of his own he has none
    assert bob.refusal("seal", handle=1).code == "sealed"
    assert bob.refusal("share", name="x", owner=ALICE).code == "bad_arguments"
    assert bob.refusal("put", name="x", owner=ALICE, dtype="bool", shape=[1],
                       data=b"\1").code == "bad_arguments"
    # donating is releasing: nothing of it is written over
    assert bob.run([["negative", [0], {}]], [{"handle": 1, "donate": True}],
                   [{"value": 1, "handle": 2}])[0]["nbytes"] == 8 * N
    assert total(alice, name="x") == N
    assert bob.refusal("stat", handle=1).code == "not_found"


def test_a_descriptor_of_anothers_cannot_be_made_to_write(daemon, alice):
    create(alice, "x")
    alice.call("share", name="x")

    def bob():
        with Raw(daemon.path) as raw:
            opened, fd = open_mapped(raw, ALICE)
            for attempt in (
                lambda: os.open(f"/proc/self/fd/{fd}", os.O_RDWR),
                lambda: os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_TRUNC),
                lambda: os.pwrite(fd, b"x", 0),
                lambda: os.ftruncate(fd, 0),
                lambda: os.fchmod(fd, 0o666),
                lambda: mmap.mmap(fd, opened["n_bytes"], mmap.MAP_SHARED,
                                  mmap.PROT_READ | mmap.PROT_WRITE),
                lambda: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK),
            ):
                with pytest.raises(OSError) as raised:
                    attempt()
                assert raised.value.errno in (errno.EACCES, errno.EPERM, errno.EBADF, errno.EINVAL)
            for name in os.listdir("/dev/shm"):
                if name.startswith("tensord.") and os.stat(f"/dev/shm/{name}").st_uid == 0:
                    with pytest.raises(PermissionError):
                        open(f"/dev/shm/{name}", "rb").close()
            assert first(fd, opened) == 1

    as_user(BOB, bob)
    assert total(alice, name="x") == N


def test_a_mutable_one_is_not_shared(alice):
    alice.call("create", handle=1, dtype="float64", shape=[N], name="x", mutable=True)
    alice.call("seal", handle=1)
    refused = alice.refusal("share", name="x")
    assert refused.code == "mutable" and "snapshot" in refused.message


# ---- nobody writes it any more ----


def segments(raw):
    return raw.call("stat")["users"][0]["bytes"]


def test_what_nobody_can_write_is_shared_without_a_copy(alice, bob):
    made, _ = create(alice, "x")
    before = segments(alice)
    shared = alice.call("share", name="x")
    assert shared["segment"] == made["segment"] and segments(alice) == before
    opened, fd = open_mapped(bob, ALICE)
    assert opened["segment"] == made["segment"]
    os.close(fd)
    # and again, without a question
    alice.call("share", name="x", shared=False)
    assert alice.call("share", name="x")["segment"] == made["segment"]


def by_descriptor(fd, _):
    return lambda: os.pwrite(fd, struct.pack("d", 666.0) * N, 4096), lambda: os.close(fd)


def by_mapping(fd, n_bytes):
    memory = mmap.mmap(fd, n_bytes)
    os.close(fd)

    def write():
        memory[4096 : 4096 + 8 * N] = struct.pack("d", 666.0) * N

    return write, memory.close


def by_child(fd, _):
    ends = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ends[0][1])
        while os.read(ends[0][0], 1):
            os.pwrite(fd, struct.pack("d", 666.0) * N, 4096)
            os.write(ends[1][1], b"!")
        os._exit(0)
    os.close(fd)

    def write():
        os.write(ends[0][1], b"!")
        assert os.read(ends[1][0], 1) == b"!"

    def end():
        for pair in ends:
            for i in pair:
                os.close(i)
        os.waitpid(pid, 0)

    return write, end


def by_message(fd, _):
    left, right = socket.socketpair()
    left.sendmsg([b"!"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    os.close(fd)

    def write():
        _, (message,), _, _ = right.recvmsg(1, socket.CMSG_SPACE(4))
        received = array.array("i", message[2])[0]
        os.pwrite(received, struct.pack("d", 666.0) * N, 4096)
        os.close(received)

    return write, lambda: (left.close(), right.close())


@pytest.mark.parametrize("way", [by_descriptor, by_mapping, by_child, by_message])
def test_what_its_owner_can_still_write_is_copied_first(daemon, alice, bob, way):
    made, fd = create(alice, "x", keeps=True)
    write, end = way(fd, made["n_bytes"])
    try:
        shared = alice.call("share", name="x")
        assert shared["segment"] != made["segment"]
        opened, theirs = open_mapped(bob, ALICE)
        assert opened["segment"] == shared["segment"]
        # the first one is still its owner's, and charged to her
        assert segments(alice) >= 2 * made["n_bytes"] and segments(bob) == 0
        alice.notify("unmap", segments=[made["segment"]])
        assert alice.call("stat")["memory"]["held"] == made["n_bytes"]
        write()
        assert first(theirs, opened) == 1
        assert total(bob, handle=opened["handle"]) == total(alice, name="x") == N
    finally:
        end()
    eventually(lambda: alice.call("stat")["memory"]["held"] == 0, what="let go")
    os.close(theirs)


def test_what_was_asked_for_by_a_connection_that_ended_is_not_shared(daemon, alice, bob):
    """the kernel was not asked yet, for that is work, which was withdrawn"""
    with connect_as(ALICE, daemon.path) as ended:
        _, fd = create(ended, "x", n=300 * N, keeps=True)
        ended.send_bytes(msgpack.packb([0, 99, "share", [{"name": "x"}]]) + b"\xc1")
        assert ended.farewell()[1]
    assert bob.refusal("open", name="x", owner=ALICE, handle=1).code == "not_found"
    assert bob.call("list", owner=ALICE)["tensors"] == []
    assert "shared" not in alice.call("stat", name="x")["tensor"]
    os.close(fd)


def test_a_descriptor_for_writing_that_was_still_to_come(alice, bob):
    """create, seal and share in one breath: the descriptor is opened when the answer goes out"""
    alice.socket.setblocking(True)
    sent = [
        alice.send("create", handle=1, dtype="float64", shape=[N], name="x"),
        alice.send("seal", handle=1),
        alice.send("share", name="x"),
    ]
    made, _, shared = (alice.wait(msgid) for msgid in sent)
    fd = alice.fds.popleft()
    opened, theirs = open_mapped(bob, ALICE)
    before = first(theirs, opened)
    try:
        os.pwrite(fd, struct.pack("d", 666.0), made["offset"])
    except OSError as error:
        assert error.errno == errno.EBADF and shared["segment"] == made["segment"]
    assert first(theirs, opened) == before
    os.close(fd)
    os.close(theirs)


def test_a_job_goes_on_where_it_began_when_what_it_reads_is_moved(daemon, alice, bob):
    n = 800 * 800
    made, fd = create(alice, "x", n=n, keeps=True)
    view = {"shape": [800, 800], "strides": [6400, 8], "offset": 0}
    job = alice.send("run", inputs=[{"handle": made["handle"], "view": view}],
                     nodes=[["matmul", [0, 0], {}], ["matmul", [1, 0], {}], ["sum", [2], {}]],
                     outputs=[{"value": 3}])
    with connect_as(ALICE, daemon.path) as other:
        shared = other.call("share", name="x")
    assert shared["segment"] != made["segment"]
    result = struct.unpack("d", alice.wait(job)["outputs"][0]["data"])[0]
    assert result == 800.0**4
    assert total(bob, name="x", owner=ALICE) == n
    os.close(fd)


def test_each_of_several_is_answered_when_it_is_so(alice, bob):
    _, fd = create(alice, "x", n=2000 * N, keeps=True)
    msgids = [500, 501, 502]
    alice.send_bytes(b"".join(msgpack.packb([0, i, "share", [{"name": "x"}]]) for i in msgids))
    segments = set()
    while msgids:
        message = alice.receive()
        if message[0] == 1:
            msgids.remove(message[1])
            assert message[2] is None and message[3]["shared"] is True
            segments.add(message[3]["segment"])
    assert len(segments) == 1  # one copy is what others see
    opened, theirs = open_mapped(bob, ALICE)
    assert {opened["segment"]} == segments
    for i in (fd, theirs):
        os.close(i)


def test_the_last_word_counts_while_a_copy_is_made(alice, bob):
    made, fd = create(alice, "x", n=4 << 20, keeps=True)
    for _ in range(5):
        shared = alice.send("share", name="x")
        hidden = alice.send("share", name="x", shared=False)
        answers = {}
        while len(answers) < 2:
            message = alice.receive()
            assert message[2] is None
            answers[message[1]] = message[3]
        assert set(answers) == {shared, hidden}
        assert "shared" not in answers[hidden]
        assert bob.refusal("open", name="x", owner=ALICE, handle=1).code == "not_found"
        assert bob.call("list", owner=ALICE)["tensors"] == []
    deleted = [alice.send("share", name="x"), alice.send("delete", name="x")]
    codes = set()
    for _ in deleted:
        message = alice.receive()
        codes.add(message[2] and message[2]["code"])
    assert codes == {None, "not_found"} or codes == {None}
    assert bob.refusal("open", name="x", owner=ALICE, handle=1).code == "not_found"
    os.close(fd)


def test_who_goes_in_the_middle_shares_nothing_or_all(daemon, bob):
    for i in range(4):
        with connect_as(ALICE, daemon.path) as raw:
            _, fd = create(raw, "x", n=4 << 20, keeps=True)
            raw.send("share", name="x")
        with connect_as(ALICE, daemon.path) as raw:
            eventually(lambda: raw.call("stat")["jobs"] == 0, what="the job's end")
            is_shared = raw.call("stat", name="x")["tensor"].get("shared", False)
            assert bool(bob.call("list", owner=ALICE)["tensors"]) is is_shared
            raw.call("delete", name="x")
        os.close(fd)


# ---- memory ----


def test_memory_that_another_user_maps_is_not_used_again(alice, bob):
    made, _ = create(alice, "x")
    alice.call("share", name="x")
    opened, fd = open_mapped(bob, ALICE)
    alice.call("delete", name="x")
    alice.call("release", handles=[made["handle"]])
    alice.call("unmap", segments=[made["segment"]])
    bob.call("release", handles=[opened["handle"]])
    bob.call("unmap", segments=[opened["segment"]])  # not true
    for _ in range(20):
        again = alice.call("create", handle=alice.handle(), dtype="float64", shape=[N])
        os.close(alice.fds.popleft())
        assert again["segment"] != made["segment"]
    assert first(fd, opened) == 1
    os.close(fd)


def test_memory_that_only_another_user_maps_is_not_parked_with_that_one(alice, bob):
    alice.run([["ones", [], {"shape": [N], "dtype": "float64"}]],
              outputs=[{"value": 0, "name": "x"}])
    alice.call("share", name="x")
    opened, fd = open_mapped(bob, ALICE)
    os.close(fd)
    bob.call("release", handles=[opened["handle"]])
    alice.call("delete", name="x")
    assert alice.call("stat")["memory"]["parked"] > 0  # but asked back
    message = bob.receive()
    assert message == [2, "trim", [opened["segment"]]]
    bob.call("unmap", segments=[opened["segment"]])
    assert alice.call("stat")["memory"]["parked"] == 0
    made = alice.call("create", handle=77, dtype="float64", shape=[N])
    assert made["segment"] == opened["segment"]


# ---- administrators ----


def test_the_daemons_user_lists_and_deletes_but_neither_reads_nor_writes(daemon, alice, bob):
    alice.put([1], name="private")
    alice.put([1], name="shown")
    alice.call("share", name="shown")
    with Raw(daemon.path) as root:
        rows = root.call("list", owner=ALICE)["tensors"]
        assert [(row["name"], row.get("shared", False)) for row in rows] == [
            ("private", False), ("shown", True)]
        assert root.call("stat", name="private", owner=ALICE)["references"] == 1
        assert root.refusal("open", name="private", owner=ALICE, handle=1).code == "not_found"
        assert root.refusal("delete", name="shown", owner=ALICE,
                            op_id=bytes(16)).code == "bad_arguments"
        root.call("delete", name="private", owner=ALICE)
        assert root.refusal("delete", name="private", owner=ALICE).code == "not_found"
    assert alice.refusal("open", name="private", handle=9).code == "not_found"
    assert bob.refusal("delete", name="shown", owner=ALICE).code == "not_owner"


@pytest.mark.kill
def test_lost_names_are_their_owners_and_administrators(daemon):
    with connect_as(ALICE, daemon.path) as alice:
        for name in ("private", "shown"):
            create(alice, name)
        alice.call("share", name="shown")
    daemon.lose_segments()
    os.chmod(daemon.path, 0o666)
    with connect_as(BOB, daemon.path) as bob:
        assert bob.call("list", owner=ALICE, lost=True) == {"tensors": [], "more": False}
        assert bob.call("list", lost=True) == {"tensors": [], "more": False, "lost": 0}
        assert bob.refusal("delete", name="shown", owner=ALICE).code == "not_found"
    with Raw(daemon.path) as root:
        assert root.call("list", owner=4711)["lost"] == 0
        users = {row["uid"]: row["lost"] for row in root.call("stat")["users"]}
        assert users[ALICE] == 2
        rows = root.call("list", owner=ALICE, lost=True)["tensors"]
        assert [(row["name"], row["lost"]) for row in rows] == [
            ("private", "memory_missing"), ("shown", "memory_missing")]
        root.call("delete", name="private", owner=ALICE)
        assert root.call("list", owner=ALICE)["lost"] == 1
    with connect_as(ALICE, daemon.path) as alice:
        assert [row["name"] for row in alice.call("list", lost=True)["tensors"]] == ["shown"]
        alice.call("delete", name="shown")
        assert alice.call("stat")["users"][0]["records"] == 0


def test_operation_ids_are_of_one_user(alice, bob):
    op_id = bytes(range(16))
    alice.put([1], name="x", op_id=op_id)
    bob.put([2, 3], name="x", op_id=op_id)
    alice.call("share", name="x")
    assert alice.call("put", dtype="float64", shape=[1], data=bytes(8), name="x",
                      op_id=op_id)["shape"] == [1]
    assert bob.call("put", dtype="float64", shape=[1], data=bytes(8), name="x",
                    op_id=op_id)["shape"] == [2]
    assert total(alice, name="x") == 1


# ---- later daemons ----


@pytest.mark.kill
def test_what_was_shared_still_is_when_the_daemon_was_killed(daemon):
    op_id = b"0123456789abcdef"
    with connect_as(ALICE, daemon.path) as alice, connect_as(BOB, daemon.path) as bob:
        alice.put([1, 2], name="small", op_id=op_id)
        create(alice, "whole", 2.0)
        _, fd = create(alice, "copied", 3.0, keeps=True)
        create(alice, "hidden")
        create(alice, "private")
        for name in ("small", "whole", "copied", "hidden"):
            alice.call("share", name=name)
        alice.call("share", name="hidden", shared=False)
        os.pwrite(fd, bytes(8 * N), 4096)
        opened, theirs = open_mapped(bob, ALICE, "whole")
    daemon.restart9()
    os.chmod(daemon.path, 0o666)
    with connect_as(ALICE, daemon.path) as alice, connect_as(BOB, daemon.path) as bob:
        names = [row["name"] for row in bob.call("list", owner=ALICE)["tensors"]]
        assert names == ["copied", "small", "whole"]
        sums = [total(bob, name=name, owner=ALICE) for name in names]
        assert sums == [3.0 * N, 3.0, 2.0 * N]
        assert first(theirs, opened) == 2
        # the operation that gave it its value is still known by its id
        assert alice.call("put", dtype="float64", shape=[1], data=bytes(8), name="small",
                          op_id=op_id)["shape"] == [2]
        alice.call("share", name="hidden")
        assert total(bob, name="hidden", owner=ALICE) == N
        assert bob.refusal("open", name="private", owner=ALICE, handle=9).code == "not_found"
    os.close(fd)
    os.close(theirs)


def test_a_group_may_connect_and_others_may_not(make_own_daemon):
    daemon = make_own_daemon("--socket-mode", "0660")
    os.chmod(daemon.directory, 0o755)
    os.chown(daemon.path, 0, BOB)

    def connects():
        Raw(daemon.path).call("ping")

    def fails():
        with pytest.raises(PermissionError):
            Raw(daemon.path)

    as_user(BOB, connects)
    as_user(ALICE, fails)
