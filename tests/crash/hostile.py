# SPDX-License-Identifier: MIT
"""What the rows about hostile, slow and dying clients share: processes made to be killed, users,
and figures of a daemon."""

import contextlib
import os
import select
import signal
import sys
import time
import traceback

from kit import Raw, mapped
from users import become, connect_as, effective_uid  # noqa: F401

NOBODY, OTHER = 65534, 65533  # uids that own nothing here
AS_USER = NOBODY if os.geteuid() == 0 else 0  # another user, where that can be


# ---- processes ----


class Child:
    """A forked process that runs function(child), a client of its own; killed at the latest at the
    end of the block.

    The function says `child.tell()` where it got to, and waits for its end in `child.rest()`.
    """

    def __init__(self, function, uid=None):
        self.told, tell = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid:
            os.close(tell)
            self.status = None
            return
        status = 1
        try:
            os.close(self.told)
            self.told = tell
            if uid:
                become(uid)
            status = 0 if function(self) in (None, True) else 2
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def tell(self, text=b"."):
        """In the child."""
        os.write(self.told, text)

    def rest(self):
        """In the child: until it is killed."""
        while True:
            signal.pause()

    def wait_told(self, seconds=30):
        """What the child told next; b'' if it ended."""
        assert select.select([self.told], [], [], seconds)[0], "the child does not get there"
        return os.read(self.told, 4096)

    def kill(self, number=signal.SIGKILL):
        if self.status is None:
            os.kill(self.pid, number)

    def wait(self):
        """Its exit status, negative for a signal."""
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def stop(self):
        """SIGSTOP, and until it is stopped, or has ended just before."""
        self.kill(signal.SIGSTOP)
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self.status = os.waitstatus_to_exitcode(status)

    def end(self):
        """Kill it; its exit status."""
        self.kill()
        self.wait()
        if self.told >= 0:
            os.close(self.told)
            self.told = -1
        return self.status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


# ---- figures ----


def n_mappings(pid):
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        return sum(1 for _ in maps)


def slope(points):
    """Least squares: the rise of y for one x."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def at_rest(daemon, seconds=60):
    """Delete every name, and wait until no connection but ours and no job is there."""
    daemon.delete_all()
    end = time.monotonic() + seconds
    with daemon.raw() as raw:
        while True:
            stat = raw.call("stat")
            if (stat["connections"], stat["jobs"]) == (1, 0):
                return
            assert time.monotonic() < end, (
                f"not at rest after {seconds} s: {stat['connections']} connections, "
                f"{stat['jobs']} jobs")
            time.sleep(0.01)


def open_to_all(report, *options):
    """A daemon that every user may connect to."""
    daemon = report.daemon("--socket-mode", "0666", *options)
    for directory in report.directory, daemon.directory, daemon.shm_directory.parent, \
            daemon.shm_directory:
        os.chmod(directory, 0o755)
    return daemon


# ---- tensors ----


def writable_fd(raw, made):
    """Of what was just created; parked memory comes without one, so it is asked for again."""
    if not made["fds"]:
        raw.call("unmap", segments=[made["segment"]])
        made = raw.call("map", handle=made["handle"], writable=True)
    return raw.fds.pop()


def create(raw, data, dtype="bool", shape=None, keep=False, handle=None, **keys):
    """Create, write, seal; the description with its handle, and, with keep, a writable fd."""
    handle = handle or raw.handle()
    shape = [len(data)] if shape is None else shape
    made = {**raw.call("create", handle=handle, dtype=dtype, shape=shape, **keys), "handle": handle}
    fd = writable_fd(raw, made)
    with mapped(fd, made, writable=True) as view:
        view[:] = data
    raw.call("seal", handle=handle)
    if keep:
        return made, fd
    os.close(fd)
    return made


# ---- an honest neighbour ----

NEIGHBOUR = {
    "sum": [["multiply", [0, 0], {}], ["sum", [1], {}]],
    "product": [["reshape", [0], {"shape": [400, 500]}], ["permute_dims", [1], {"axes": [1, 0]}],
                ["matmul", [1, 2], {}], ["sum", [3], {"axes": [0]}]],
    "sort": [["sort", [0], {"axes": [0]}], ["slice", [1], {"start": [0], "step": [999],
                                                           "shape": [200]}]],
    "chain": [["exp", [0], {}], ["add", [1, 0], {}], ["max", [2], {}]],
}


def _neighbour(child, path):
    """The same programs over the same tensor, whose results must have the same bits each time."""
    with Raw(path, timeout=60) as raw:
        raw.run([["random_normal", [], {"shape": [200_000], "dtype": "float64", "seed": 1}]],
                outputs=[{"value": 0, "name": "neighbour"}])
        first, n = {}, 0
        while not select.select([child.stopped], [], [], 0)[0]:
            for name, nodes in NEIGHBOUR.items():
                [result] = raw.run(nodes, [{"name": "neighbour"}])
                assert first.setdefault(name, result["data"]) == result["data"], name
                n += 1
                if n == len(NEIGHBOUR):
                    child.tell()
        raw.call("delete", name="neighbour")
        child.tell(str(n).encode())


@contextlib.contextmanager
def neighbour(daemon, report):
    """An honest client in a process of its own that computes all the while, and looks at what it
    gets."""
    stopped, stop = os.pipe()

    def client(child):
        os.close(stop)
        child.stopped = stopped
        _neighbour(child, daemon.path)

    with Child(client) as child:
        os.close(stopped)
        assert child.wait_told() == b"."
        yield
        os.close(stop)
        n = child.wait_told(60)
        assert n and child.wait() == 0, "the neighbour got a wrong result, or none"
        report.say(f"neighbour: {int(n)} programs, all with the same bits as at first")
