# SPDX-License-Identifier: MIT
"""A shared memory file system of 64 MiB that is really full, and four users who want all of it."""
import ctypes
import errno
import mmap
import os
import random
import subprocess
import threading

import hostile
import kit

NAME = "enospc"
CHECKS = ("no room is an error with figures and changes nothing; all values are whole; bytes of "
          "files = charges; when there is room again, all works")
QUICK = {"users": 4, "requests": 2000, "fillings": 20}
FULL = {"users": 4, "requests": 40_000, "fillings": 200}
NEEDS_ROOT = True
LIMIT_S = (120, 1800)

N_BYTES = 64 * kit.MIB
UIDS = (0, 1001, 1002, 65534)
SIZES = (100, 4000, 20_000, kit.MIB, 3 * kit.MIB, 9 * kit.MIB)
FULL_CODES = ("shm_full", "memory_limit", "quota_exceeded")
CLONE_NEWNS = 0x20000
PAGE = mmap.PAGESIZE


def mount(directory):
    """A tmpfs that this process and its children see, alone; it goes with them."""
    directory.mkdir()
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        raise kit.CannotRun(f"no mounts of its own: {os.strerror(ctypes.get_errno())}")
    for words in (["--make-rprivate", "/"],
                  ["-t", "tmpfs", "-o", f"size={N_BYTES}", "tmpfs", str(directory)]):
        done = subprocess.run(["mount", *words], stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise kit.CannotRun(f"a tmpfs cannot be mounted: {done.stderr.strip()}")


class User(threading.Thread):
    """Stores, computes, reads back and deletes, for so many requests."""

    def __init__(self, raw, seed, n_requests):
        super().__init__()
        self.raw, self.chance, self.n_requests = raw, random.Random(seed), n_requests
        self.ledger = kit.Ledger()
        self.n_done = self.n_refused = 0
        self.problem = None

    def run(self):
        try:
            while self.n_done < self.n_requests:
                self.step()
                self.n_done += 1
        except BaseException as problem:
            self.problem = problem

    def step(self):
        raw, chance = self.raw, self.chance
        name = f"n{chance.randrange(8)}"
        value, size = chance.randrange(1, 256), chance.choice(SIZES)
        kind = chance.randrange(6)
        old = self.ledger.allowed.get(name, [None])[0]
        try:
            if kind == 0 and old is not None:
                with self.ledger.writing(**{name: None}):
                    raw.call("delete", name=name)
            elif kind == 1:
                assert kit.load(raw, name) == old
            elif kind == 2:
                with self.ledger.writing(**{name: bytes([value]) * size}):
                    raw.run([["full", [], {"shape": [size], "dtype": "uint8", "value": value}]],
                            outputs=[{"value": 0, "name": name, "replace": True}])
            else:
                with self.ledger.writing(**{name: bytes([value]) * size}):
                    kit.store(raw, name, bytes([value]) * size)
        except kit.Refused as error:
            assert error.code in FULL_CODES, error
            assert {"asked", "used", "limit"} <= set(error.data), error.data
            self.n_refused += 1


def grab(directory, file):
    """Somebody else takes all that is left, to the last page."""
    while left := os.statvfs(directory).f_bavail:
        try:
            os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), left * PAGE)
        except OSError as error:
            assert error.errno == errno.ENOSPC, error  # the daemon was there before it


def store_all(raw, ledger, names, size):
    """Until one is refused; those that were not."""
    for i, name in enumerate(names):
        try:
            with ledger.writing(**{name: bytes([7]) * size}):
                kit.store(raw, name, bytes([7]) * size)
        except kit.Refused as error:
            assert error.code in FULL_CODES, error
            return names[:i]
    raise AssertionError(f"{len(names)} of {size} bytes found room")


def fill(directory, raw, ledger, chance):
    """No page is left, of the file system or of what is idle: what needs none goes on."""
    made = []
    with open(directory / "of somebody else", "wb") as file:
        for size in 5 * kit.MIB, kit.MIB, 20_000:
            grab(directory, file)
            made += store_all(raw, ledger, [f"{size} {i}" for i in range(N_BYTES // size + 1)],
                              size)
        (three,) = raw.run([["add", [0, 1], {}]], [kit.immediate([1.0]), kit.immediate([2.0])])
        assert three["data"] == kit.immediate([3.0])["data"]
        handle = raw.put([1.0])
        raw.notify("release", handles=[handle])
        os.unlink(file.name)
    for name in made:
        with ledger.writing(**{name: None}):
            raw.call("delete", name=name)
    size = chance.choice(SIZES)
    with ledger.writing(x=bytes([8]) * size):
        kit.store(raw, "x", bytes([8]) * size)


def run(counts, seed, report):
    directory = report.directory / "shm" / "small"
    mount(directory)
    daemon = hostile.open_to_all(report, "--shm-directory", str(directory.resolve()),
                                 "--memory", "1G")
    bounds = daemon.bounds()
    users = []
    for i, uid in enumerate(UIDS):
        n = counts["requests"] // len(UIDS) + (i < counts["requests"] % len(UIDS))
        users.append(User(hostile.connect_as(uid, daemon.path), f"{seed} {i}", n))
    for user in users:
        user.start()
    for user in users:
        user.join()
        if user.problem:
            raise user.problem
        user.ledger.check(user.raw)
        report.did("users")
        report.did("requests", user.n_done)
    refused = [user.n_refused for user in users]
    report.say(f"refused for want of room: {refused}, of {[user.n_done for user in users]}")
    assert all(refused), refused
    kit.check_conserved(daemon)
    for user in users[1:]:
        for name, (value,) in user.ledger.allowed.items():
            if value is not None:
                user.raw.call("delete", name=name)
        user.raw.close()
    first, chance = users[0], random.Random(seed)
    for _ in range(counts["fillings"]):
        fill(directory, first.raw, first.ledger, chance)
        report.did("fillings")
    kit.check_conserved(daemon)
    # what was acknowledged while it was full is there after a kill
    first.raw.close()
    daemon.restart9()
    with daemon.raw() as raw:
        first.ledger.check(raw)
    daemon.delete_all()
    kit.check_conserved(daemon)
    daemon.first_fds = bounds.first["descriptors"]
    daemon.finish()
