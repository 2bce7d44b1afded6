# SPDX-License-Identifier: MIT
"""What the rows share: daemons that are killed, what was acknowledged, and what must be conserved.

A row's daemon lies in the row's own directory and keeps its segments in the row's own directory of
/dev/shm, so that every byte there is this daemon's. `Ledger` knows what each name may mean,
`Bounds` what a daemon had when it was at rest, `Prober` how fast a good client was served.
"""
import contextlib
import json
import mmap
import os
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path
from socket import SO_PEERCRED, SOL_SOCKET

import numpy

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE.parent), str(HERE.parent / "integration")]

from integration import kit as daemons  # noqa: E402
from raw import Raw, Refused, eventually, immediate, mapped  # noqa: E402, F401
from sanitized import SHADOW, SLOWER  # noqa: E402, F401

BUILD, TOP = daemons.BUILD, daemons.TOP
MIB = 1 << 20
sys.path.insert(0, str(BUILD / "python"))

SERVED_S = 0.1 * SLOWER  # within which a good client is served, always


class CannotRun(Exception):
    """The row cannot be run here, for the reason given: a failure in CI, told elsewhere."""


class NotReached(Exception):
    """A story did not come to what it is about."""


class Report:
    """What a row says of itself.

    Attributes
    ----------
    asked : dict
        Counts that it must reach; None until `found()` says how many there are.
    done : dict
    is_full : bool
    directory : Path
        Its own.
    """

    def __init__(self, counts, is_full, directory):
        self.asked = dict(counts)
        self.done = {what: 0 for what in counts}
        self.is_full, self.directory = is_full, directory
        self.notes, self.daemons, self.recoveries_ms = [], [], []

    def found(self, what, count):
        """All that there are of something are so many (or so many more, said again)."""
        self.asked[what] = (self.asked[what] or 0) + count

    def did(self, what, count=1):
        assert what in self.asked, what
        self.done[what] += count

    def say(self, text):
        """A line below the row's."""
        self.notes.append(text)

    def daemon(self, *options, kind=None, **keys):
        """Start a daemon of the row's own (of a class of its own); ended with the row, at last."""
        daemon = (kind or Daemon)(self, len(self.daemons), *options, **keys)
        self.daemons.append(daemon)
        daemon.start()
        return daemon

    def end(self):
        for daemon in self.daemons:
            daemon.destroy()
        if self.recoveries_ms:
            self.say(f"starts: {len(self.recoveries_ms)}, until the first answer "
                     f"{statistics.median(self.recoveries_ms):.1f} ms median, "
                     f"{max(self.recoveries_ms):.1f} ms worst")


class Daemon(daemons.Daemon):
    """A daemon in the row's directories."""

    def __init__(self, report, number, *options, env=None):
        self.report = report
        directory = report.directory / f"d{number}"
        directory.mkdir()
        shm = report.directory / "shm" / f"d{number}"
        if "--shm-directory" not in options:
            shm.mkdir()
            options = ("--shm-directory", str(shm.resolve()), *options)
        if "--busy-poll-us" not in options:
            options = ("--busy-poll-us", "0", *options)
        super().__init__(directory, *options, env=env)
        self.spill_directory = None
        for option, value in zip(options, options[1:]):
            if option == "--spill-dir":
                self.spill_directory = Path(value)

    def start(self):
        began = time.monotonic()
        super().start()
        self.report.recoveries_ms.append((time.monotonic() - began) * 1e3)

    def stat(self):
        with self.raw() as raw:
            return raw.call("stat")

    def resident(self):
        """Bytes of its memory, without those of files."""
        return self.status("RssAnon")

    def objects(self):
        """{name: os.stat_result} of its objects but for the lock, at one moment."""
        while True:
            try:
                return {name: (self.shm_directory / name).stat() for name in self.shm()
                        if not name.endswith(".lock")}
            except FileNotFoundError:
                continue  # one went in between

    def spilled(self):
        """The files that it spilled tensors to, finished or not: {name: os.stat_result}"""
        if not self.spill_directory:
            return {}
        while True:
            try:
                return {path.name: path.stat() for path in self.spill_directory.iterdir()
                        if not path.name.startswith(".tensord")}
            except FileNotFoundError:
                continue  # one went in between

    def bounds(self, is_warm=False):
        """What it has now, at rest, to compare with later."""
        return Bounds(self, is_warm)


def spilling(report):
    """Options of a daemon that spills, to a directory of its own, on however full a disk."""
    directory = report.directory / f"spill{len(report.daemons)}"
    return "--spill-dir", str(directory), "--spill-limit", "1G"


# ---- conservation ----

PLACES = ("live", "idle", "parked", "held", "catalog")


def unbalanced(daemon):
    """What is not conserved, as text; empty if all is."""
    stat, objects, files = daemon.stat(), daemon.objects(), daemon.spilled()
    again = daemon.stat()
    if stat["memory"] != again["memory"]:
        return "it moves"
    memory, wrong = stat["memory"], []
    in_files = sum(memory[place] for place in PLACES)
    size = sum(one.st_size for one in objects.values())
    reserved = sum(one.st_blocks * 512 for one in objects.values())
    charged = sum(row["bytes"] for row in stat["users"])
    if not size == reserved == in_files:
        wrong.append(f"files {size}, reserved {reserved}, said to be in files {in_files}")
    if memory["used"] != in_files + memory["heap"] + memory["scratch"]:
        wrong.append(f"used is not the sum of its parts: {memory}")
    spilled = sum(one.st_size for one in files.values())
    if not spilled == memory["spilled"] == sum(row["spilled"] for row in stat["users"]):
        wrong.append(f"files {sorted(files)} of {spilled}, said to be spilled {memory['spilled']}")
    if charged != memory["used"]:
        wrong.append(f"charged to users {charged}, used {memory['used']}")
    if sum(row["tensors"] for row in stat["users"]) != stat["tensors"]:
        wrong.append(f"tensors {stat['tensors']}, of users {stat['users']}")
    return "; ".join(wrong)


def check_conserved(daemon, seconds=10):
    """Bytes of files = their places = charges, as soon as it is at rest; `stat` of nothing."""
    deadline = time.monotonic() + seconds
    while (wrong := unbalanced(daemon)):
        assert time.monotonic() < deadline, wrong
    return daemon.stat()


class Bounds:
    """Descriptors, mappings and connections of a daemon at rest.

    is_warm: idle segments may stay mapped, so only such mappings count whose file is gone.
    """

    def __init__(self, daemon, is_warm=False):
        self.daemon, self.is_warm = daemon, is_warm
        self.first = None
        self.first = self._look()

    def _look(self):
        with self.daemon.raw() as raw:
            raw.call("ping")
            return {"descriptors": self.daemon.fds(), "mapped": self._mapped(),
                    "connections": raw.call("stat")["connections"]}

    def _mapped(self):
        """What it maps of its files, without segments that exist: idle ones stay warm."""
        found, ours = [], str(self.daemon.shm_directory / self.daemon.prefix)
        for line in Path(f"/proc/{self.daemon.pid}/maps").read_text().splitlines():
            _, slash, path = line.partition("/")
            if path.endswith(" (deleted)") or path.endswith(".catalog"):
                if (slash + path).startswith(ours):
                    found.append(path.rpartition("/")[2])
        return sorted(found)

    def wrong(self):
        now = self._look()
        return "; ".join(f"{what}: {self.first[what]} before, {now[what]} now"
                         for what in self.first if self.first[what] != now[what])

    def check(self, seconds=10):
        """Clients are gone: it has what it had, and no tensor is leased."""
        deadline = time.monotonic() + seconds
        while (wrong := self.wrong()):
            assert time.monotonic() < deadline, wrong
        check_conserved(self.daemon, seconds)
        with self.daemon.raw() as raw:
            for row in raw.call("list")["tensors"]:
                if row["state"] == "mutable":
                    assert raw.call("stat", name=row["name"])["leases"] == 0, row


# ---- values ----

def take(raw, result):
    """The descriptor that came with the result, or None; the caller closes it."""
    fds = [raw.fds.popleft() for _ in result.get("fds", ())]
    assert len(fds) <= 1, result
    return fds[0] if fds else None


def create(raw, name, data, seal=True, **keys):
    """Create, write and seal; its description. Nothing stays mapped, open or referred to."""
    handle = raw.handle()
    made = raw.call("create", handle=handle, dtype="uint8", shape=[len(data)], name=name,
                    replace=True, **keys)
    write(raw, made, data)
    if seal:
        made = raw.call("seal", handle=handle)
        forget(raw, made, handle)
    return made


def write(raw, made, data):
    """Into the memory whose descriptor came with this result."""
    fd = take(raw, made)
    try:
        with mmap.mmap(fd, made["n_bytes"]) as memory:
            memory[made["offset"]:made["offset"] + len(data)] = data
    finally:
        os.close(fd)


def forget(raw, description, handle):
    """No mapping is kept, so nothing is parked for this connection."""
    if "segment" in description:
        raw.notify("unmap", segments=[description["segment"]])
    raw.notify("release", handles=[handle])


def store(raw, name, data, **keys):
    """Name these bytes: inline where they are few, else created, written and sealed."""
    if len(data) > 4096:
        return create(raw, name, data, **keys)
    return raw.call("put", dtype="uint8", shape=[len(data)], data=data, name=name, replace=True,
                    **keys)


def load(raw, name):
    """The bytes that the name means, or None."""
    handle = raw.handle()
    try:
        opened = raw.call("open", name=name, handle=handle, map=True)
    except Refused as error:
        if error.code != "not_found":
            raise
        return None
    fd = take(raw, opened)
    try:
        if fd is None:
            return opened["data"] if opened["nbytes"] else b""
        with mmap.mmap(fd, opened["n_bytes"], access=mmap.ACCESS_READ) as memory:
            return memory[opened["offset"]:opened["offset"] + opened["nbytes"]]
    finally:
        if fd is not None:
            os.close(fd)
        forget(raw, opened, handle)


class Mixture:
    """What was being written in place: every byte is of one value or of the other."""

    def __init__(self, old, new):
        self.old, self.new = old, new

    def __eq__(self, found):
        if found is None or len(found) != len(self.old):
            return False
        found, old, new = (numpy.frombuffer(value, "uint8")
                           for value in (found, self.old, self.new))
        return bool(((found == old) | (found == new)).all())


class Ledger:
    """What was acknowledged, and what is under way: for each name the values that it may have.

    None stands for a name that means nothing. What was sent together becomes true together.
    """

    def __init__(self):
        self.allowed = {}  # name -> [last acknowledged value, values sent since]
        self.together = []  # {name: value}, under way

    def sent(self, **values):
        for name, value in values.items():
            self.allowed.setdefault(name, [None]).append(value)
        self.together.append(values)

    def acknowledged(self, **values):
        self.together.remove(values)
        for name, value in values.items():
            self.allowed[name] = [value]

    def wrote(self, **values):
        """Without question."""
        for name, value in values.items():
            self.allowed[name] = [value]

    @contextlib.contextmanager
    def writing(self, **values):
        """Sent by what is within, acknowledged if that ends well, never done if it is refused."""
        before = {name: list(self.allowed.get(name, [None])) for name in values}
        self.sent(**values)
        try:
            yield
        except Refused:
            self.together.remove(values)
            self.allowed.update(before)
            raise
        self.together.remove(values)
        for name, value in values.items():
            if not isinstance(value, Mixture):
                self.allowed[name] = [value]

    def check(self, raw, lost=0):
        """Each name has one of its values, bit for bit; it is the only one from now on."""
        stat = raw.call("stat")
        assert stat["lost"] == lost, stat
        found = {name: load(raw, name) for name in self.allowed}
        for name, values in self.allowed.items():
            assert any(value == found[name] for value in values), (
                f"{name!r} is {brief(found[name])}, not {' or '.join(map(brief, values))}")
        for values in self.together:
            changed = {name: value for name, value in values.items()
                       if value != self.allowed[name][0]}
            done = {name for name, value in changed.items() if value == found[name]}
            assert not done or len(done) == len(changed), f"only {done} of {set(changed)}"
        self.allowed = {name: [value] for name, value in found.items()}
        self.together = []
        there, after = [], {}
        while True:
            page = raw.call("list", **after)
            there += [row["name"] for row in page["tensors"]]
            if not page["more"]:
                break
            after = {"after": there[-1]}
        assert set(there) == {name for name, value in found.items() if value is not None}, there


def brief(value):
    if isinstance(value, Mixture):
        return f"a mixture of {brief(value.old)} and {brief(value.new)}"
    return "absent" if value is None else f"{len(value)} bytes {value[:16].hex()}"


def some_bytes(chance, n_bytes):
    return chance.randbytes(n_bytes) if n_bytes else b""


# ---- a good client ----

class Prober:
    """A good client in a process of its own, asking all the time while something bad goes on.

    The rule: an answer that took longer than `SERVED_S` is asked for twice more at once; the probe
    is a miss if the median of the three is over it. One stall of the machine is none, a daemon that
    serves badly for as long as three requests is. What its loop or this client was ready to run and
    had no processor does not count, less what the daemon itself ran meanwhile: others had it. A
    miss for that reason alone is told as such.
    `end()` fails on any other.
    """

    def __init__(self, daemon, report, pause_s=0.005):
        self.report = report
        self.process = subprocess.Popen(
            [sys.executable, __file__, "probe", daemon.socket, str(pause_s)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "begun\n"

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
            self.process.wait()
        else:
            self.end()

    def end(self):
        output, _ = self.process.communicate("end\n", timeout=30)
        assert self.process.returncode == 0, f"the good client failed: {output}"
        self.found = found = json.loads(output)
        self.report.say(f"good client: {found['n']} requests, p50 {found['p50_ms']:.2f} ms, "
                        f"p99 {found['p99_ms']:.2f} ms, worst {found['worst_ms']:.1f} ms, "
                        f"{found['n_slow']} over {SERVED_S * 1e3:.0f} ms, {found['misses']} misses"
                        + (f", {found['starved']} for want of a processor"
                           if found["starved"] else ""))
        assert found["misses"] == 0 and found["n"] > 0, found
        return found


def probe(socket, pause_s):
    """The prober's process: until something comes by its stdin, or that ends."""
    import select

    took, n_slow, misses, n_starved, seed = [], 0, 0, 0, 0

    def without_processor():
        return waited_s(daemon) + waited_s("self") - ran_s(daemon)

    def ask(raw):
        """Seconds that it took, less those for which others had the processors."""
        nonlocal seed
        seed += 1
        waited, began = without_processor(), time.monotonic()
        name = f"probe {os.getpid()}"
        kind = seed % 3
        if kind == 0:
            assert raw.call("ping") == "pong"
        elif kind == 1:
            raw.put([float(seed)], name=name, replace=True)
            assert raw.call("open", name=name, handle=seed)["data"] == _double(seed)
            raw.call("delete", name=name)
            raw.notify("release", handles=[seed])
        else:
            (sum_,) = raw.run([["add", [0, 1], {}]],
                              [immediate([seed]), immediate([1.0])])
            assert sum_["data"] == _double(seed + 1)
        took.append(time.monotonic() - began)
        return took[-1] - max(0, without_processor() - waited)

    with Raw(socket) as raw:
        credentials = raw.socket.getsockopt(SOL_SOCKET, SO_PEERCRED, struct.calcsize("3i"))
        daemon, _, _ = struct.unpack("3i", credentials)
        ask(raw)
        print("begun", flush=True)
        while not select.select([sys.stdin], [], [], pause_s)[0]:
            own = [ask(raw)]
            if took[-1] > SERVED_S:
                n_slow += 1
                own += [ask(raw), ask(raw)]
                is_miss = statistics.median(own) > SERVED_S
                misses += is_miss
                n_starved += not is_miss and statistics.median(took[-3:]) > SERVED_S
    took.sort()
    print(json.dumps({"n": len(took), "p50_ms": took[len(took) // 2] * 1e3,
                      "p99_ms": took[len(took) * 99 // 100] * 1e3, "worst_ms": took[-1] * 1e3,
                      "n_slow": n_slow, "misses": misses, "starved": n_starved}))


def waited_s(pid):
    """Seconds that the first thread of a process was ready to run and had no processor."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def ran_s(pid):
    """Seconds that the threads of a process ran."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _double(value):
    return struct.pack("d", value)


# ---- programs ----

def program(name):
    """A program of tests/crash that the build made."""
    path = BUILD / "crash" / name
    assert path.exists(), f"{path} is not built"
    return path


@contextlib.contextmanager
def helper(*command, **options):
    """A process that is killed at the end, if it is still there."""
    process = subprocess.Popen([str(word) for word in command], **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()


if __name__ == "__main__":
    assert sys.argv[1] == "probe"
    probe(sys.argv[2], float(sys.argv[3]))
