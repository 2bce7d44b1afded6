# SPDX-License-Identifier: MIT
"""Memory that is freed and handed out again, while others still look at what it was.

Clients of several users create, fill, seal and let go of tensors, each filled with a number of its
own that tells the user. Some lie about having unmapped, some fork, some go away in the middle; they
pass descriptors on to a museum, a process that maps what it is given and forks, too. Now and
then the daemon is killed. New memory holds nothing, or what its own user wrote; what anybody holds
never changes, though liars write into what they gave back.
"""

import contextlib
import mmap
import os
import random
import select
import socket
import struct
import time

import hostile
import kit
import numpy
from hostile import Child

NAME = "reuse"
CHECKS = ("no array changes under who holds it, new memory holds nothing of another user, bytes of "
          "files = charges in the end")
QUICK = {"turnovers": 2000, "daemons killed": 4}
FULL = {"turnovers": 100_000, "daemons killed": 20}
NEEDS_ROOT = True
LIMIT_S = (120, 1800)

USERS = (hostile.NOBODY, hostile.NOBODY, hostile.OTHER, 0)
WORDS = (1000, 1000, 1000, 4000, 30_000)
MANY_WORDS = 300_000
N_NAMES, N_LIES, N_EXHIBITS = 4, 6, 120
EVIL = 0xEE << 32  # with the user: written into what was given back


class Mapped:
    """An array of one number over a descriptor, which is not needed any more."""

    def __init__(self, fd, begin, n_words, word, writable=False):
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        self.memory = mmap.mmap(fd, begin + 8 * n_words, access=access)
        self.words = numpy.frombuffer(self.memory, "uint64", n_words, begin)
        self.word = word

    def check(self, what):
        assert (self.words == self.word).all(), (
            f"{what}: {self.words[self.words != self.word][:3]} in the place of {self.word:#x}")

    def close(self):
        del self.words
        self.memory.close()


class Churner:
    """A client of one user, for so many turnovers."""

    def __init__(self, daemon, user, number, n, chance, museum):
        self.daemon, self.user, self.n, self.chance = daemon, user, n, chance
        self.tag, self.number, self.museum = user + 1, number, museum
        self.serial, self.lies, self.children = 0, [], []
        self.raw = self.other = None
        self.named = {}
        self.connect()

    def connect(self):
        """Again and again, while the daemon is being killed and started."""
        for raw in self.raw, self.other:
            if raw:
                raw.close()
        end = time.monotonic() + 30
        while True:
            try:
                self.raw, self.other = self.daemon.raw(), self.daemon.raw()
                self.other.call("ping")
                self.raw.call("ping")
                return
            except OSError:
                assert time.monotonic() < end, "no daemon"
                time.sleep(0.005)

    def run(self, child):
        while self.serial < self.n:
            try:
                self.turn()
            except (OSError, IndexError):
                self.connect()  # it was killed
                continue
            if self.serial % 50 == 0:
                child.tell()
        for lie in self.lies:
            lie.check("at the end") if lie.word else None
            lie.close()
        for pid in self.children:
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "a child saw a change"

    def turn(self):
        """One tensor's life."""
        raw, handle = self.raw, self.raw.handle()
        n_words = self.chance.choice(WORDS) if self.chance.random() < 0.98 else MANY_WORDS
        word = self.tag << 40 | self.number << 32 | self.serial + 1
        made = raw.call("create", handle=handle, dtype="uint64", shape=[n_words])
        made["handle"] = handle
        fd = hostile.writable_fd(raw, made)
        mine = Mapped(fd, made["offset"], n_words, word, writable=True)
        tags = mine.words[mine.words != 0] >> 40
        assert (tags == self.tag).all(), (
            f"user {self.user} was given {[hex(t) for t in numpy.unique(tags)[:4]]}")
        mine.words[:] = word
        raw.call("seal", handle=handle)
        self.serial += 1
        self.let_go(raw, handle, made, fd, mine)

    def let_go(self, raw, handle, made, fd, mine):
        kind = self.chance.randrange(100)
        segment = made["segment"]
        if kind < 4:
            self.show(fd, made, mine)
        elif kind < 8 and len(self.lies) < N_LIES:
            self.lies.append(mine)
            os.close(fd)
            raw.notify("unmap", segments=[segment])
            raw.notify("release", handles=[handle])
            return
        elif kind < 16:
            self.look_from_elsewhere(made)
        elif kind < 22:
            self.name(raw, handle, mine)
        elif kind < 23:
            self.fork(mine)
        mine.check("before it is released")
        mine.close()
        os.close(fd)
        if kind < 80:
            raw.notify("unmap", segments=[segment])
        raw.notify("release", handles=[handle])
        if kind == 99:
            self.connect()
        self.keep_lying()

    def keep_lying(self):
        """Write into what was given back, or look whether it changed."""
        if not self.lies:
            return
        lie = self.chance.choice(self.lies)
        if self.chance.random() < 0.5:
            lie.words[self.chance.randrange(len(lie.words))] = self.tag << 40 | EVIL
            lie.word = None
        elif lie.word:
            lie.check("after a lie")
        elif self.chance.random() < 0.2:
            self.lies.remove(lie)
            lie.words[:] = self.tag << 40 | EVIL
            lie.close()

    def show(self, fd, made, mine):
        """Pass the descriptor on to the museum."""
        text = struct.pack("QQQ", made["offset"], len(mine.words), mine.word)
        with contextlib.suppress(BlockingIOError):
            socket.send_fds(self.museum, [text], [fd], socket.MSG_DONTWAIT)

    def look_from_elsewhere(self, made):
        """Another connection maps it by its id."""
        handle = self.other.handle()
        opened = self.other.call("open", id=made["id"], handle=handle, map=True)
        fd = kit.take(self.other, opened)
        if fd is not None:
            seen = Mapped(fd, opened["offset"], made["shape"][0],
                          self.tag << 40 | self.number << 32 | self.serial)
            seen.check("elsewhere")
            seen.close()
            os.close(fd)
        self.other.notify("unmap", segments=[made["segment"]])
        self.other.notify("release", handles=[handle])

    def name(self, raw, handle, mine):
        """Name it, and look at what had that name; it may have outlived a daemon."""
        name = f"{self.number} {self.chance.randrange(N_NAMES)}"
        if name in self.named:
            self.look_at_name(name)
        # from now on, or what it was
        self.named.setdefault(name, [None]).append(mine.word)
        raw.call("replace", handle=handle, name=name)
        self.named[name] = [mine.word]

    def look_at_name(self, name):
        """It means one of what it may, or nothing, if that is among them."""
        handle = self.other.handle()
        try:
            opened = self.other.call("open", name=name, handle=handle, map=True)
        except kit.Refused as error:
            assert error.code == "not_found" and None in self.named[name], error
            return
        fd = kit.take(self.other, opened)
        if fd is not None:
            seen = Mapped(fd, opened["offset"], opened["shape"][0], None)
            assert seen.words[0] in self.named[name] and (seen.words == seen.words[0]).all()
            seen.close()
            os.close(fd)
        self.other.notify("unmap", segments=[opened["segment"]])
        self.other.notify("release", handles=[handle])

    def fork(self, mine):
        """A child that holds nothing but the mapping, for a while."""
        for pid in list(self.children):
            pid, status = os.waitpid(pid, os.WNOHANG)
            if pid:
                assert os.waitstatus_to_exitcode(status) == 0, "a child saw a change"
                self.children.remove(pid)
        if len(self.children) >= 3:
            return
        pid = os.fork()
        if pid:
            self.children.append(pid)
            return
        status = 1
        try:
            os.closerange(3, 4096)
            for _ in range(20):
                mine.check("in a child")
                time.sleep(0.01)
            status = 0
        finally:
            os._exit(status)


class Museum:
    """What users passed on; in the row's own process."""

    def __init__(self, chance):
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.setblocking(False)
        self.chance, self.exhibits, self.n = chance, [], 0

    def collect(self):
        while True:
            try:
                text, fds, _, _ = socket.recv_fds(self.ours, 64, 1)
            except BlockingIOError:
                break
            [fd] = fds
            self.exhibits.append(Mapped(fd, *struct.unpack("QQQ", text)))
            os.close(fd)
            self.n += 1
        while len(self.exhibits) > N_EXHIBITS:
            gone = self.exhibits.pop(self.chance.randrange(len(self.exhibits)))
            gone.check("in the museum")
            gone.close()

    def check(self):
        for exhibit in self.exhibits:
            exhibit.check("in the museum")

    def close(self):
        self.check()
        for exhibit in self.exhibits:
            exhibit.close()
        self.ours.close()
        self.theirs.close()


def run(counts, seed, report):
    chance = random.Random(seed)
    daemon = hostile.open_to_all(report, "--memory", "256M")
    bounds = daemon.bounds(is_warm=True)
    museum = Museum(chance)
    n_each = -(-counts["turnovers"] // len(USERS))
    n_batches = len(USERS) * (n_each // 50)
    with contextlib.ExitStack() as stack:
        children = {}
        for number, user in enumerate(USERS):
            child = stack.enter_context(Child(
                lambda child, number=number, user=user: Churner(
                    daemon, user, number, n_each, random.Random(f"{seed} {number}"),
                    museum.theirs).run(child), user))
            children[child.told] = child
        n_told, next_kill = 0, 1
        while children:
            for fd in select.select(list(children), [], [], 0.02)[0]:
                told = os.read(fd, 4096)
                n_told += len(told)
                if not told:
                    child = children.pop(fd)
                    assert child.wait() == 0, "a client saw what it should not"
                    report.did("turnovers", n_each)
            museum.collect()
            if chance.random() < 0.1:
                museum.check()
            if n_told >= next_kill * n_batches // (counts["daemons killed"] + 1) and \
                    report.done["daemons killed"] < counts["daemons killed"]:
                daemon.restart9()
                next_kill += 1
                report.did("daemons killed")
                museum.check()
    with daemon.raw() as raw:
        memory = raw.call("stat")["memory"]
        report.say(f"the museum was shown {museum.n}; {memory['held']} bytes held at the end")
    assert museum.n > counts["turnovers"] // 100
    museum.close()
    for user in sorted(set(USERS) - {0}):
        with hostile.effective_uid(user):
            daemon.delete_all()
    hostile.at_rest(daemon)
    bounds.check()
    daemon.finish()
