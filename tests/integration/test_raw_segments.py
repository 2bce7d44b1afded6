# SPDX-License-Identifier: MIT
"""Who may hold, write, shrink and reuse a segment: several processes or connections each, and the
kernel's own answers. Descriptors stand for other processes where the kernel sees no difference."""
import mmap
import os
import signal
import struct
import time

import numpy
import pytest

from raw import Raw, eventually, mapped
from users import as_user, takes_root

MIB = 1 << 20
NOBODY = 65534


@pytest.fixture(scope="module")
def daemon(make_daemon):
    return make_daemon("--memory", "256M")


def create(raw, n_bytes=MIB, handle=1, fill=None, **keys):
    """Create bools, fill them, seal; the description. Descriptors stay in raw.fds."""
    made = raw.call("create", handle=handle, dtype="bool", shape=[n_bytes], **keys)
    if fill is not None:
        with mapped(raw.fds[-1], made, writable=True) as data:
            data[:] = bytes([fill]) * n_bytes
        raw.call("seal", handle=handle)
    return made


def memory(raw):
    return raw.call("stat")["memory"]


# ---- reuse ----

def test_a_segment_that_is_still_mapped_is_not_reused(daemon):
    """The connection ended, its process did not unmap: values stay, others get other memory."""
    with Raw(daemon.path) as raw:
        made = create(raw, fill=1)
        fd = os.dup(raw.fds[0])
    with Raw(daemon.path) as raw:
        with mapped(fd, made) as data:
            os.close(fd)
            eventually(lambda: memory(raw)["held"] >= MIB, what="held")
            other = create(raw, fill=0)
            assert other["segment"] != made["segment"]
            assert bytes(data) == b"\1" * MIB
        eventually(lambda: memory(raw)["held"] == 0, what="given back")


def test_a_segment_that_a_forked_child_maps_is_not_reused(daemon):
    """The parent did all it owes; the child, of which the daemon knows nothing, still looks."""
    begin, end = os.pipe(), os.pipe()
    with Raw(daemon.path) as raw:
        made = create(raw, fill=1)
        with mapped(raw.fds[0], made) as data:
            child = os.fork()
            if child == 0:
                # no descriptor but its mapping
                os.closerange(3, begin[1])
                os.closerange(begin[1] + 1, end[0])
                os.write(begin[1], b".")
                os.read(end[0], 1)
                os._exit(0 if bytes(data) == b"\1" * MIB else 1)
            os.read(begin[0], 1)
        raw.close_fds()
        raw.call("release", handles=[1])
        raw.call("unmap", segments=[made["segment"]])
        assert memory(raw)["held"] >= MIB
        other = create(raw, fill=0, handle=2)
        assert other["segment"] != made["segment"]
        os.write(end[1], b".")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        eventually(lambda: memory(raw)["held"] == 0, what="given back")
        for fd in (*begin, *end):
            os.close(fd)


def test_a_lie_about_unmapping_is_no_use(daemon):
    with Raw(daemon.path) as raw:
        made = create(raw, fill=1)
        with mapped(raw.fds[0], made) as data:
            raw.close_fds()
            raw.call("release", handles=[1])
            raw.call("unmap", segments=[made["segment"]])
            with Raw(daemon.path) as other:
                assert create(other, fill=0)["segment"] != made["segment"]
            assert bytes(data) == b"\1" * MIB


def test_a_parked_segment_comes_back_warm_to_its_connection_only(daemon):
    with Raw(daemon.path) as raw, Raw(daemon.path) as other:
        made = create(raw, fill=1)
        raw.call("release", handles=[1])
        eventually(lambda: memory(raw)["parked"] >= MIB, what="parked")
        assert create(other, fill=0)["segment"] != made["segment"]
        again = create(raw, handle=2)
        assert again["segment"] == made["segment"]
        assert again["fds"] == [] if "fds" in again else True
        assert len(raw.fds) == 1


def test_a_segment_that_nobody_maps_is_reused(daemon):
    with Raw(daemon.path) as raw:
        eventually(lambda: memory(raw)["held"] == 0, what="what earlier tests held")
        made = create(raw, 3 * MIB, fill=1)
        raw.close_fds()
        raw.call("release", handles=[1])
        raw.call("unmap", segments=[made["segment"]])
        assert memory(raw)["held"] == 0
        with Raw(daemon.path) as other:
            again = create(other, 3 * MIB)
            assert again["segment"] == made["segment"]
            assert len(other.fds) == 1


def parked(path, n_segments):
    """a connection that parks so many segments of 16 MiB, and their ids"""
    raw = Raw(path)
    ids = []
    eventually(lambda: memory(raw)["held"] == 0, what="what earlier tests held")
    for i in range(n_segments):
        ids.append(create(raw, 16 * MIB, handle=i + 1, fill=0)["segment"])
    raw.close_fds()
    raw.call("release", handles=list(range(1, n_segments + 1)))
    return raw, ids


def test_parked_memory_is_asked_back_and_given(daemon):
    """A client that was told to trim unmaps; who waited for that memory gets it."""
    first, ids = parked(daemon.path, 3)
    with first, Raw(daemon.path) as other:
        before = memory(other)
        assert before["parked"] >= 48 * MIB
        waiting = other.send("create", handle=1, dtype="bool", shape=[208 * MIB])
        message = first.receive()
        assert message[:2] == [2, "trim"] and set(message[2]) <= set(ids)
        first.notify("unmap", segments=message[2])
        assert other.wait(waiting)["nbytes"] == 208 * MIB
        assert memory(first)["parked"] < before["parked"]


def test_parked_memory_that_nobody_gives_back_is_no_reason_to_wait_for_ever(daemon):
    """An answer comes in any case, and the daemon goes on."""
    first, _ = parked(daemon.path, 3)
    with first, Raw(daemon.path) as other:
        started = time.monotonic()
        error = other.refusal("create", handle=1, dtype="bool", shape=[240 * MIB])
        assert error.code == "memory_limit"
        assert time.monotonic() - started < 10
        assert other.call("ping") == "pong"


def test_who_was_busy_when_it_was_asked_is_asked_again(daemon):
    """It computed for longer than the daemon waits, and wants the memory itself then."""
    busy, ids = parked(daemon.path, 3)
    with busy, Raw(daemon.path) as other:
        assert other.refusal("create", handle=1, dtype="bool",
                             shape=[208 * MIB]).code == "memory_limit"
        waiting = busy.send("create", handle=9, dtype="bool", shape=[208 * MIB])
        asked = []
        while (message := busy.receive())[0] == 2:  # read only now
            assert message[1] == "trim" and set(message[2]) <= set(ids)
            if not asked:
                busy.notify("unmap", segments=ids)
            asked += message[2]
        assert message[1] == waiting and message[2] is None, message
        assert message[3]["nbytes"] == 208 * MIB
        busy.close_fds()


# ---- descriptors ----

def test_a_descriptor_is_sent_once_until_unmapped(daemon):
    with Raw(daemon.path) as writer, Raw(daemon.path) as raw:
        create(writer, fill=1, name="once")
        opened = raw.call("open", name="once", handle=1, map=True)
        assert len(raw.fds) == 1
        raw.call("open", name="once", handle=2, map=True)
        raw.call("map", handle=1)
        assert len(raw.fds) == 1
        raw.call("unmap", segments=[opened["segment"]])
        again = raw.call("map", handle=1)
        assert len(raw.fds) == 2 and again["segment"] == opened["segment"]
        inodes = {os.fstat(fd).st_ino for fd in raw.fds}
        assert len(inodes) == 1
        raw.call("delete", name="once")


def test_a_writer_gets_a_descriptor_to_write(daemon):
    with Raw(daemon.path) as raw:
        made = create(raw)
        assert made["state"] == "unsealed" and made["writable"] is True
        assert made["fds"] == [[made["segment"], made["n_bytes"], True]]
        with mapped(raw.fds[0], made, writable=True) as data:
            data[:4] = b"\1\1\1\1"


@takes_root
def test_another_user_with_the_descriptor_can_only_read(daemon):
    with Raw(daemon.path) as writer, Raw(daemon.path) as raw:
        create(writer, fill=1, name="read-only")
        opened = raw.call("open", name="read-only", handle=1, map=True)
        fd = raw.fds[0]
        path = daemon.shm_directory / next(
            name for name in daemon.shm()
            if (daemon.shm_directory / name).stat().st_ino == os.fstat(fd).st_ino)

        def attempts():
            with mapped(fd, opened) as data:
                assert data[0] == 1
            for attempt in (lambda: os.open(f"/proc/self/fd/{fd}", os.O_RDWR),
                            lambda: os.open(path, os.O_RDONLY),
                            lambda: mmap.mmap(fd, opened["n_bytes"], access=mmap.ACCESS_WRITE),
                            lambda: os.ftruncate(fd, 0),
                            lambda: os.fchmod(fd, 0o666),
                            lambda: os.unlink(path)):
                with pytest.raises(OSError):
                    attempt()

        as_user(NOBODY, attempts)
        raw.call("delete", name="read-only")


def test_more_mapped_outputs_than_a_reply_carries(daemon):
    with Raw(daemon.path) as raw:
        nodes = [["ones", [], {"shape": [1000], "dtype": "float64"}]]
        for n, is_served in ((16, True), (17, False)):
            outputs = [{"value": 0, "handle": 100 * n + i, "map": True} for i in range(n)]
            request = {"inputs": [], "nodes": nodes, "outputs": outputs}
            if is_served:
                assert len(raw.call("run", **request)["fds"]) == n == len(raw.fds)
            else:
                error = raw.refusal("run", **request)
                assert error.code == "bad_arguments"
                assert "17" in error.message and "16" in error.message


def test_small_tensors_get_a_segment_when_one_is_wanted(daemon):
    with Raw(daemon.path) as raw:
        raw.put([1.5, 2.5], name="small")
        plain = raw.call("open", name="small", handle=1)
        assert struct.unpack("2d", plain["data"]) == (1.5, 2.5)
        first = raw.call("open", name="small", handle=2, map=True)
        second = raw.call("open", name="small", handle=3, map=True)
        assert first["segment"] == second["segment"] and len(raw.fds) == 1
        with mapped(raw.fds[0], first) as data:
            assert struct.unpack("2d", data) == (1.5, 2.5)
        raw.call("delete", name="small")


def test_no_elements_no_segment(daemon):
    with Raw(daemon.path) as raw:
        made = raw.call("create", handle=1, dtype="float64", shape=[0, 5], name="empty")
        assert "segment" not in made and not raw.fds
        raw.call("seal", handle=1)
        opened = raw.call("open", name="empty", handle=2, map=True)
        assert opened["shape"] == [0, 5] and opened["nbytes"] == 0 and not raw.fds
        raw.call("delete", name="empty")


def test_a_segment_is_an_npy_file(daemon):
    """The daemon's own user reads it with numpy alone."""
    with Raw(daemon.path) as raw:
        made = raw.call("create", handle=1, dtype="float64", shape=[100, 200], order="F")
        with mapped(raw.fds[0], made, writable=True) as data:
            data[:] = numpy.arange(20000.0).tobytes()
        raw.call("seal", handle=1)
        inode = os.fstat(raw.fds[0]).st_ino
        path = next(path for name in daemon.shm()
                    if (path := daemon.shm_directory / name).stat().st_ino == inode)
        array = numpy.load(path, mmap_mode="r")
        assert array.dtype == "float64" and array.shape == (100, 200)
        assert numpy.array_equal(array, numpy.arange(20000.0).reshape(200, 100).T)


# ---- writers that shrink, grow, or vanish ----

@pytest.mark.parametrize("change", [-4096, 4096])
def test_a_resized_segment_is_not_sealed(daemon, change):
    with Raw(daemon.path) as raw:
        made = create(raw, name="resized")
        os.ftruncate(raw.fds[0], os.fstat(raw.fds[0]).st_size + change)
        assert raw.refusal("seal", handle=1).code == "poisoned"
        assert raw.refusal("open", name="resized", handle=2).code == "not_found"
        raw.close_fds()
    with Raw(daemon.path) as raw:
        # the name is free again, the segment is never seen again
        again = create(raw, name="resized", fill=1)
        assert again["segment"] != made["segment"]
        raw.call("delete", name="resized")


@pytest.mark.sigbus
def test_a_segment_truncated_in_mid_job(daemon):
    """The job fails with a typed error; daemon and other clients go on."""
    n = 1500
    with Raw(daemon.path) as raw, Raw(daemon.path) as other:
        raw.socket.settimeout(60)
        other.put([1, 2, 3], name="innocent")
        made = raw.call("create", handle=1, dtype="float64", shape=[n, n])
        with mapped(raw.fds[0], made, writable=True) as data:
            data[:] = numpy.full(n * n, 0.001).tobytes()
        raw.call("seal", handle=1)
        steps = {"steps": 200, "captures": 1, "body": [["matmul", [0, 2], {}]], "results": [3]}
        job = raw.send("run", inputs=[{"handle": 1}], nodes=[["loop", [0, 0], steps]],
                       outputs=[{"value": 1, "handle": 2}])
        eventually(lambda: other.call("stat")["jobs"] > 0, what="the job")
        os.ftruncate(raw.fds[0], 4096)
        answer = raw.receive()
        assert answer[:2] == [1, job] and answer[2]["code"] == "poisoned", answer
        assert raw.refusal("run", inputs=[{"handle": 1}], nodes=[["sum", [0], {}]],
                           outputs=[{"value": 1}]).code == "poisoned"
        total = other.run([["sum", [0], {}]], [{"name": "innocent"}])[0]
        assert struct.unpack("d", total["data"]) == (6.0,)
        other.call("delete", name="innocent")


@pytest.mark.sigbus
def test_truncated_before_a_job(daemon):
    """also by elementwise kernels and reductions, on all threads"""
    with Raw(daemon.path) as raw:
        create(raw, 8 * MIB, fill=1)
        os.ftruncate(raw.fds[0], 4096 + 5 * MIB)
        for nodes in ([["sum", [0], {}]], [["equal", [0, 0], {}], ["max", [1], {}]],
                      [["astype", [0], {"dtype": "float64"}], ["mean", [1], {}]]):
            error = raw.refusal("run", inputs=[{"handle": 1}], nodes=nodes,
                                outputs=[{"value": len(nodes)}])
            assert error.code == "poisoned"
        assert raw.call("ping") == "pong"


def test_an_unsealed_tensor_ends_with_its_connection(daemon):
    with Raw(daemon.path) as other:
        before = memory(other)
        with Raw(daemon.path) as raw:
            create(raw, 8 * MIB, name="unfinished")
            assert memory(other)["live"] >= before["live"] + 8 * MIB
            assert other.refusal("put", dtype="bool", shape=[], data=b"\0",
                                 name="unfinished").code == "name_taken"
        eventually(lambda: memory(other)["live"] == before["live"], what="the unsealed tensor")
        other.put([1], name="unfinished")
        other.call("delete", name="unfinished")


def test_an_id_is_for_other_connections_and_ends_with_the_last(daemon):
    with Raw(daemon.path) as other:
        with Raw(daemon.path) as raw:
            made = create(raw, fill=1)
            taken = other.call("open", id=made["id"], handle=5, map=True)
            assert taken["segment"] == made["segment"]
        with mapped(other.fds[0], taken) as data:
            assert bytes(data[:8]) == b"\1" * 8
        with Raw(daemon.path) as third:
            eventually(lambda: memory(third)["live"] >= MIB)
            third.call("open", id=made["id"], handle=1)
            third.call("release", handles=[1])
            other.call("release", handles=[5])
            assert third.refusal("open", id=made["id"], handle=1).code in ("not_found", "gone")


@pytest.mark.kill
def test_a_killed_client_leaves_nothing(daemon):
    with Raw(daemon.path) as other:
        before = memory(other)
        ready = os.pipe()
        pid = os.fork()
        if pid == 0:
            raw = Raw(daemon.path)
            create(raw, 4 * MIB, handle=1, fill=1)
            create(raw, 4 * MIB, handle=2, name="reserved")
            raw.send_bytes(b"\x94\x00")  # half a message, too
            os.write(ready[1], b".")
            signal.pause()
        os.read(ready[0], 1)
        assert memory(other)["live"] >= before["live"] + 8 * MIB
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        eventually(lambda: memory(other)["live"] <= before["live"], what="what the client held")
        eventually(lambda: memory(other)["held"] <= before["held"], what="what the client mapped")
        for fd in ready:
            os.close(fd)
