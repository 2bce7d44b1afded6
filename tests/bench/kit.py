# SPDX-License-Identifier: MIT
"""What the bench stands on: helper processes that take turns, a private daemon, rows."""
import contextlib
import fnmatch
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent
TOP = BENCH.parents[1]
BUILD = Path(os.environ.get("TENSORD_BUILD") or TOP / "build").absolute()
PYTHON = os.environ.get("PYTHON") or "/usr/bin/python3"
START_SECONDS = 60
ANSWER_SECONDS = 240
# Threads of OpenBLAS and numexpr look for work some time after a call; the next one is to find
# the cores free. OpenBLAS does for 2**28 cycles, 136 ms of a 2 GHz machine, where it is not told to
# stop sooner.
SETTLE_SECONDS = 0.05
BLAS_TIMEOUT = {"OPENBLAS_THREAD_TIMEOUT": "25"}


class Cannot(Exception):
    """Why something was not measured."""


class Wrong(Cannot):
    """A result is not the peer's."""


def percentile(seconds, percent):
    if percent == 50:
        return statistics.median(seconds)
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class Helper:
    """A process that answers lines as serve.h and worker.py say."""

    def __init__(self, command, env=None):
        clean = {k: v for k, v in os.environ.items()
                 if not k.startswith(("OPENBLAS_", "OMP_", "NUMEXPR_", "TENSORD_", "PYTHON"))}
        clean |= {"PYTHONPATH": str(BUILD / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
        clean |= BLAS_TIMEOUT
        self.process = subprocess.Popen(command, env=clean | (env or {}), text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.description = ""

    def ask(self, *words):
        """The words of the answer."""
        with _alarm(ANSWER_SECONDS, f"no answer to {' '.join(map(str, words))}"):
            try:
                print(*words, file=self.process.stdin)
                answer = self.process.stdout.readline().split()
            except BrokenPipeError:
                answer = []
        if not answer:
            raise Cannot(f"{Path(self.process.args[-1]).name} ended: status {self.process.wait(5)}")
        if answer[0] != "ok":
            raise Cannot(" ".join(answer[1:]))
        return answer[1:]

    def prepare(self, *words):
        """Make ready to time; returns the helper."""
        self.description = " ".join(self.ask("prepare", *words))
        return self

    def time(self, n=1):
        """Seconds of each of n turns."""
        return [float(word) for word in self.ask("time", n)]

    def save(self, path):
        """Write the result to a file; False if the work has none."""
        return self.ask("save", path) != ["0"]

    def compare(self, path, tolerance):
        """Raises Wrong if the result is not what another helper saved."""
        try:
            self.ask("compare", path, tolerance)
        except Cannot as problem:
            raise Wrong(str(problem)) from None

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@contextlib.contextmanager
def _alarm(seconds, what):
    def ring(*_):
        raise Cannot(f"{what} within {seconds} s")

    old = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


def program(name, build=BUILD):
    path = build / "bench" / name
    if not path.exists():
        raise Cannot(f"{path} was not built")
    return [str(path)]


def python(name):
    return [PYTHON, str(BENCH / name)]


def shm_prefix(path):
    """As include/tensord/prefix.h derives it."""
    hash_ = 0xcbf29ce484222325
    for byte in f"{os.getuid()}:{path}".encode():
        hash_ = (hash_ ^ byte) * 0x100000001b3 % 2**64
    return f"tensord.{hash_:016x}"


class Daemon:
    """A daemon of our own on a private socket; close() leaves nothing behind."""

    def __init__(self, *options, build=BUILD):
        self.binary = build / "bin" / "tensord"
        self.directory = Path(tempfile.mkdtemp(prefix="tensord-bench-")).resolve()
        self.address = str(self.directory / "socket")
        self.options = options
        self.process = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self):
        """Seconds from start to READY."""
        if not self.binary.exists():
            raise Cannot(f"{self.binary} was not built")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = self.directory / "notify"
        path.unlink(missing_ok=True)
        notify.bind(str(path))
        notify.settimeout(1)
        log = open(self.directory / "log", "ab")
        with notify, log:
            begin = time.perf_counter()
            self.process = subprocess.Popen(
                [self.binary, "--socket", self.address, *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=os.environ | {"NOTIFY_SOCKET": str(path)})
            while True:
                try:
                    if b"READY=1" in notify.recv(4096):
                        return time.perf_counter() - begin
                except TimeoutError:
                    pass
                if self.process.poll() is not None:
                    raise Cannot(f"the daemon ended: {(self.directory / 'log').read_text()}")
                if time.perf_counter() - begin > START_SECONDS:
                    raise Cannot(f"the daemon was not ready in {START_SECONDS} s")

    @property
    def pid(self):
        return self.process.pid

    def status(self, key):
        """A figure of /proc/PID/status, in bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
        raise Cannot(f"no {key} in /proc")

    def cpu_seconds(self):
        tasks = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) * 1e-9

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        for path in Path("/dev/shm").glob(shm_prefix(self.address) + "*"):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)


class Bench:
    """Rows, and how they come about."""

    def __init__(self, only, is_quick, before=None):
        self.only = only
        self.is_quick = is_quick
        self.before = before
        self.rows = []
        self.left_out = []
        self.n_wrong = 0  # of those left out
        self.core = ""  # of the daemon's BLAS
        self.n_threads = 1  # of the daemon
        self._scope = None

    def wants(self, name):
        return not self.only or fnmatch.fnmatch(name, self.only) or self.only in name

    @contextlib.contextmanager
    def scope(self):
        """Helpers and daemons that are made within end with it."""
        outer, self._scope = self._scope, contextlib.ExitStack()
        try:
            with self._scope:
                yield
        finally:
            self._scope = outer

    def daemon(self, *options, build=BUILD):
        daemon = Daemon(*options, build=build)
        self._scope.callback(daemon.close)
        return daemon

    def helper(self, command, **env):
        helper = Helper(command, env)
        self._scope.callback(helper.close)
        return helper

    @contextlib.contextmanager
    def measuring(self, names):
        """What cannot be measured within is left out, and said."""
        try:
            with self.scope():
                yield
        except (Cannot, OSError) as problem:
            self.leave_out(names, problem)

    def leave_out(self, names, problem):
        is_wrong = isinstance(problem, Wrong)
        for name in [names] if isinstance(names, str) else names:
            self.left_out.append((name, str(problem)))
            self.n_wrong += is_wrong
            print(f"{name:34} {'WRONG' if is_wrong else 'not measured'}: {problem}", flush=True)

    def row(self, name, unit, ours, peer, better="lower", asked=None, note=""):
        """asked: the ratio that is wanted; limits want 1."""
        higher, lower = (ours, peer) if better == "higher" else (peer, ours)
        ratio = higher / lower if lower else 1.0  # nothing where at most something is asked for
        self.rows.append({"name": name, "unit": unit, "ours": ours, "peer": peer,
                          "better": better, "ratio": ratio})
        if asked is None and name.endswith("/limit"):
            asked = 1
        wanted = "" if asked is None else f"{asked:g}" + (" missed" if ratio < asked else "")
        print(f"{name:34} {figure(ours):>9} {figure(peer):>9} {unit:6} {ratio:9.3g}  {wanted:12} "
              f"{note if '=' in note else ''}".rstrip(), flush=True)

    def take_turns(self, work, ours, peers, turns, rounds):
        """All seconds of ours and of each peer, who take turns; a peer that fails drops out."""
        names = {peer: f"{work}/{peer}" for peer in peers}
        sides = {"": ours, **peers}
        seconds = {side: [] for side in sides}
        for _ in range(rounds):
            for side, helper in list(sides.items()):
                try:
                    seconds[side] += helper.time(turns)
                except Cannot as problem:
                    if not side:
                        raise
                    self.leave_out(names[side], problem)
                    del sides[side], seconds[side]
                time.sleep(SETTLE_SECONDS)
        return seconds.pop(""), seconds

    def prepared(self, work, peers):
        """Those of the peers (name -> function that prepares one) that could be prepared."""
        ready = {}
        for peer, prepare in peers.items():
            try:
                ready[peer] = prepare()
            except (Cannot, OSError) as problem:
                self.leave_out(f"{work}/{peer}", problem)
        return ready

    def agreeing(self, work, ours, peers, tolerance):
        """Those of the peers whose results are ours, or who have none."""
        agreeing = {}
        with tempfile.TemporaryDirectory(prefix="tensord-bench-") as directory:
            path = f"{directory}/result"
            for peer, helper in peers.items():
                try:
                    if helper.save(path):
                        ours.compare(path, tolerance)
                    agreeing[peer] = helper
                except Cannot as problem:
                    self.leave_out(f"{work}/{peer}", problem)
        return agreeing

    def compare(self, work, unit, ours, peers, turns=5, rounds=7, asked=None, convert=None,
                percents=(50,), limits=None, tolerance=None):
        """Rows of one work; a peer with another result fails its row.

        ours, peers: functions that prepare a helper. convert: (what is better, a function from
        seconds to what the row tells); seconds in us, ms or s if absent. percents: of the
        seconds; 50 is the median, others make rows with a suffix. limits: peers that are figures.
        tolerance: of results, in units of the largest element; where there are none it is None.
        """
        limits = limits or {}
        suffixes = {percent: "" if percent == 50 else f"_p{percent}" for percent in percents}
        wanted = [peer for peer in [*peers, *limits]
                  if any(self.wants(f"{work}{suffix}/{peer}") for suffix in suffixes.values())]
        if not wanted:
            return
        better, function = convert or ("lower", {"us": 1e6, "ms": 1e3, "s": 1}[unit].__mul__)
        with self.measuring([f"{work}/{peer}" for peer in wanted]):
            helper = ours()
            ready = self.prepared(work, {k: v for k, v in peers.items() if k in wanted})
            if tolerance is not None:
                ready = self.agreeing(work, helper, ready, tolerance)
            if self.is_quick:
                turns, rounds = max(1, turns // 2), max(1, rounds // 3)
            seconds, others = self.take_turns(work, helper, ready, turns, rounds)
            for percent, suffix in suffixes.items():
                mine = function(percentile(seconds, percent))
                values = {peer: function(percentile(others[peer], percent)) for peer in others}
                values |= {peer: limits[peer] for peer in limits if peer in wanted and not suffix}
                for peer, value in values.items():
                    if self.wants(f"{work}{suffix}/{peer}"):
                        self.row(f"{work}{suffix}/{peer}", unit, mine, value, better,
                                 None if suffix else (asked or {}).get(peer),
                                 ready[peer].description if peer in ready else "")


def figure(x):
    return f"{x:.0f}" if abs(x) >= 1000 or x == int(x) else f"{x:.4g}"
