# SPDX-License-Identifier: MIT
"""Several processes and threads: what they share, and what survives of it."""

import inspect
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading

import numpy
import pytest

import kit
import tensord
from sanitized import starts_threads_in_a_fork

# ---- processes ----


def inode_of(array):
    """The inode of the shared memory object that the array lies in, from this process's maps."""
    for line in open("/proc/self/maps"):
        fields = line.split()
        first, last = (int(end, 16) for end in fields[0].split("-"))
        if first <= array.ctypes.data < last:
            assert "/dev/shm/" in line
            return int(fields[4])
    raise AssertionError("nothing is mapped there")


def test_another_process_sees_the_same_pages(client, daemon):
    array = numpy.arange(200_000.0)
    client.put(array, "x")
    code = f"""
import tensord
{inspect.getsource(inode_of)}
x = tensord.get("x")
print(float(x.sum()).hex(), x.flags.writeable, inode_of(x))
"""
    total, writeable, inode = daemon.python(code).split()
    assert (float.fromhex(total), writeable) == (array.sum(), "False")
    assert inode_of(client.get("x")) == int(inode)  # one file


def test_hand_over_between_processes(client, daemon):
    daemon.python("""
import numpy, tensord
with tensord.create((300, 400), "float32", "made/here") as t:
    t.array[:] = numpy.arange(400, dtype="float32")
""")
    got = client.get("made/here")
    assert got.shape == (300, 400) and (got == numpy.arange(400)).all()
    daemon.python('import tensord; tensord.put(tensord.open("made/here")[:, 5] * 2, "made/there")')
    assert client.get("made/there").tolist() == [10.0] * 300


def test_a_dead_creators_name_is_free(client, daemon):
    code = """
import os, signal, tensord
t = tensord.create((100_000,), "float64", "x")
t.array[:] = 1
print("made", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    process = daemon.python(code, check=False)
    assert process.returncode == -signal.SIGKILL and process.stdout == "made\n"
    with daemon.connect() as other:
        with pytest.raises(tensord.NotFound):
            other.open("x")

    def is_free():
        try:
            client.put([1.0], "x")
            return True
        except tensord.NameTaken:
            return False

    kit.wait_until(is_free, "the name is free again")


# ---- fork ----

FORK = """
import os, sys, warnings, numpy, tensord
warnings.filterwarnings("ignore", ".* is multi-threaded, use of fork")  # from Python 3.12 on
client = tensord.connect()
x = numpy.arange(100_000.0)
client.put(x, "x")
shared, private, tensor = client.get("x"), client.get("x", mode="cow"), client.put(x) * 2
small = client.put([1.0]) + 1
made = client.create((1000,), "float64", "unsealed")
made.array[:] = 1
result = numpy.asarray(tensor)
pid = os.fork()
if pid == 0:
    failed = []
    def check(truth, what):
        if not truth:
            failed.append(what)
    check((shared == x).all() and (result == 2 * x).all() and (private == x).all(), "arrays")
    private[0] = 5
    for use in (client.ping, lambda: client.get("x"), lambda: float((tensor + 1)[0]),
                lambda: client.put(x), lambda: float(small + 1)):
        try:
            use()
            check(False, "not closed")
        except tensord.Closed as problem:
            check("fork" in str(problem), str(problem))
    del tensor, small, made
    with tensord.connect() as own:
        check((own.get("x") == x).all(), "own client")
    client.close()
    del client
    check((shared == x).all() and (result == 2 * x).all(), "arrays after close")
    print(failed, flush=True)
    sys.exit(len(failed))
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert private[0] == 0
client.ping()                                   # the child took nothing away
assert (numpy.asarray(tensor) == 2 * x).all() and (small + 1).tolist() == [3.0]
made.seal()
assert client.get("unsealed").sum() == 1000
sys.exit(status)
"""


@starts_threads_in_a_fork
def test_fork(client, daemon):
    process = daemon.python(FORK, check=False)
    assert (process.returncode, process.stdout) == (0, "[]\n"), process.stderr
    assert process.stderr == ""


@starts_threads_in_a_fork
def test_default_client_in_a_fork(client, daemon):
    code = """
import os, sys, tensord
tensord.put([1.0, 2.0], "x")
pid = os.fork()
total = tensord.open("x").sum()
assert float(total) == 3
if pid == 0:
    sys.exit()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    daemon.python(code)


FORK_WHILE_WAITING = """
import os, sys, threading, numpy, tensord
client = tensord.connect()
a = client.put(numpy.eye(200) / 2)
p = tensord.Program()
value = p.loop(400, lambda i, u: a @ u, a)
results, statuses = [], []
thread = threading.Thread(target=lambda: results.append(client.run(p, value)))
kept = numpy.asarray(a)
thread.start()
while not statuses or thread.is_alive():
    pid = os.fork()
    if pid == 0:
        assert kept[0, 0] == 0.5
        try:
            client.ping()
            sys.exit(2)
        except tensord.Closed:
            pass
        del a, value, p, client
        with tensord.connect() as own:
            own.ping()
        sys.exit(0)
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
thread.join()
assert results[0].shape == (200, 200)
sys.exit(max(statuses))
"""


@starts_threads_in_a_fork
def test_fork_while_another_thread_waits(client, daemon):
    """Whatever that thread holds at that moment, the child is not stuck on it."""
    process = daemon.python(FORK_WHILE_WAITING, check=False)
    assert process.returncode == 0, process.stderr


# ---- threads ----


def test_threads_share_a_client(client):
    problems = []

    def work(seed):
        try:
            random = numpy.random.default_rng(seed)
            for i in range(30):
                n = 10 if i % 2 else 3000
                array = random.standard_normal(n)
                name = f"{seed}/{i}"
                tensor = client.put(array, name)
                assert (numpy.asarray(tensor * 2 + array) == array * 2 + array).all()
                assert (client.get(name) == array).all()
                client.delete(name)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert client.list() == []


def test_other_threads_run_while_one_waits(client):
    """Meanwhile this thread counts, which it could not if the other held the GIL."""
    a = client.put(numpy.random.default_rng(0).standard_normal((300, 300)) / 20)
    p = tensord.Program()
    value = p.loop(300, lambda i, u: a @ u, a)
    entered, done, results = threading.Event(), threading.Event(), []

    def work():
        entered.set()
        results.append(client.run(p, value))
        done.set()

    thread = threading.Thread(target=work)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # only who waits gives the GIL away
    try:
        thread.start()
        entered.wait()
        count = 0
        while not done.is_set():
            count += 1
            if count % 1000 == 0:
                client.ping()  # and the same client answers others
    finally:
        sys.setswitchinterval(interval)
    thread.join()
    assert count >= 1000
    assert results[0].shape == (300, 300)


def test_close_while_another_thread_waits(daemon):
    client = daemon.connect()
    a = client.put(numpy.random.default_rng(0).standard_normal((200, 200)) / 20)
    p = tensord.Program()
    value = p.loop(200, lambda i, u: a @ u, a)
    entered, outcome = threading.Event(), []

    def work():
        entered.set()
        try:
            outcome.append(client.run(p, value).shape)
        except tensord.TensordError as problem:
            outcome.append(problem)

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait()
    client.close()
    thread.join()
    assert len(outcome) == 1
    with pytest.raises(tensord.Closed):
        client.ping()


# ---- survival ----


@pytest.mark.kill
def test_daemon_killed_and_started_again(own_daemon):
    daemon = own_daemon
    random = numpy.random.default_rng(5)
    arrays = {
        "small": random.standard_normal(5),
        "large": random.standard_normal((700, 300)),
        "fortran": numpy.asfortranarray(random.standard_normal((70, 300))),
        "whole": random.integers(0, 9, 5000),
        "truth": random.random(5000) > 0.5,
        "single": random.standard_normal(3000).astype("float32"),
        "scalar": numpy.array(2.5),
        "nothing": numpy.zeros((0, 4)),
        "größe": random.standard_normal(4000),
    }
    client = daemon.connect(timeout_ms=300)
    for name, array in arrays.items():
        client.put(array, name)
    mapped = {name: client.get(name) for name in arrays}
    unnamed = client.put(arrays["large"])
    of_unnamed = numpy.asarray(unnamed)
    unsealed = client.create((1000,), "float64", "half")
    unsealed.array[:] = 7
    client.delete("single")
    rows = client.list()

    daemon.kill9()
    for name, array in arrays.items():  # while there is no daemon
        assert (
            mapped[name].tobytes() == numpy.ascontiguousarray(array).tobytes() or name == "fortran"
        )
    assert (mapped["fortran"] == arrays["fortran"]).all()
    assert (of_unnamed == arrays["large"]).all()
    with pytest.raises(ConnectionError):
        client.ping()

    daemon.start()
    assert client.list() == rows
    for name, array in arrays.items():
        if name == "single":
            with pytest.raises(tensord.NotFound):
                client.get(name)
            continue
        again = client.get(name)
        assert (again.dtype, again.shape, again.strides) == (
            mapped[name].dtype,
            mapped[name].shape,
            mapped[name].strides,
        )
        assert again.tobytes(order="A") == mapped[name].tobytes(order="A")
        assert (mapped[name] == array).all()
    assert (client.open("large") @ client.open("large").T).shape == (700, 700)
    with pytest.raises(tensord.TensorGone, match="name what must survive"):
        numpy.asarray(unnamed + 1)
    assert (of_unnamed == arrays["large"]).all()
    with pytest.raises(tensord.NotFound):
        client.get("half")
    unsealed.seal()  # what was written is here: it is written once more
    assert (client.get("half") == 7).all()
    assert (unsealed.array == 7).all() and not unsealed.array.flags.writeable
    client.close()
    del unnamed, unsealed


@pytest.mark.kill
def test_again_and_again(own_daemon):
    client = own_daemon.connect()
    for turn in range(4):
        client.put(numpy.full(2000, turn), f"turn/{turn}")
        own_daemon.restart9()
        assert [int(client.get(row.name)[0]) for row in client.list()] == list(range(turn + 1))
    client.close()


# ---- limits ----


def test_memory_limit(make_own_daemon):
    daemon = make_own_daemon("--memory", "64M")
    with daemon.connect() as client:
        client.put(numpy.zeros(1_000_000), "kept")
        used = client.stat()["memory"]["used"]
        for ask in (
            lambda: client.put(numpy.zeros(16_000_000), "x"),
            lambda: client.create((16_000_000,), name="x"),
            lambda: numpy.asarray(tensord.zeros((16_000_000,), client=client)),
        ):
            with pytest.raises(MemoryError) as caught:
                ask()
            assert isinstance(caught.value, tensord.OutOfMemory)
            assert caught.value.code == "memory_limit"
            assert str(64 << 20) in str(caught.value).replace(",", "")
        assert client.stat()["memory"]["used"] == used
        assert [row.name for row in client.list()] == ["kept"]
        assert client.get("kept").sum() == 0


# ---- leaving ----


def test_exit_with_everything_alive(client, daemon):
    """Clients, tensors and arrays that are there when the interpreter ends, in threads too."""
    code = """
import threading, numpy, tensord
client = tensord.connect()
x = numpy.arange(100_000.0)
keep = [client.put(x, "x", replace=True), client.get("x"), client.get("x", "cow"),
        client.create((1000,)), tensord.put([1.0]), tensord.default_client()]
work = lambda: [client.ping() for _ in range(100)]
threading.Thread(target=work, daemon=True).start()
class Late:
    def __del__(self, keep=keep):
        keep[1].sum()
keep[1].sum() # for which numpy imports something, once
late = Late()
late.cycle = late
"""
    process = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "ignore", "-c", code],
        env=daemon.env,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, "")


def test_nothing_is_left_open(daemon):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with daemon.connect() as client:
            client.put(numpy.zeros(5000), "x", replace=True)
            x = client.get("x")
            numpy.asarray(client.open("x") + 1)
        assert x.sum() == 0
    assert len(os.listdir("/proc/self/fd")) == before
    daemon.delete_all()


# ---- a private daemon ----

ARRIVE = """
import os, sys, tensord
print("ready", flush=True)
sys.stdin.readline()
client = tensord.connect()
client.put([float(sys.argv[1])], "from/" + sys.argv[1])
print(client.stat()["pid"], client.address, flush=True)
sys.stdin.readline()
print(len(client.list("from/")))
"""


def test_private_daemon():
    """Several processes come at once and find none: one daemon is started, and serves them all."""
    with tempfile.TemporaryDirectory(prefix="td-") as directory:
        env = {**os.environ, "XDG_RUNTIME_DIR": directory, "PYTHONPATH": str(kit.PACKAGES)}
        env.pop("TENSORD_SOCKET", None)
        command = [sys.executable, "-c", ARRIVE]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": env}
        processes = [subprocess.Popen([*command, str(i)], **pipes) for i in range(4)]
        pids = set()
        try:
            assert [process.stdout.readline() for process in processes] == ["ready\n"] * 4
            for process in processes:
                process.stdin.write("go\n")
                process.stdin.flush()
            answers = [process.stdout.readline().split() for process in processes]
            pids = {int(pid) for pid, _ in answers}
            assert len(pids) == 1
            assert {address for _, address in answers} == {f"{directory}/tensord/socket"}
            assert [process.communicate("go\n")[0] for process in processes] == ["4\n"] * 4
            assert [process.returncode for process in processes] == [0] * 4
            with tensord.connect(f"{directory}/tensord/socket") as client:
                for row in client.list():
                    client.delete(row.name)
        finally:
            for process in processes:
                process.kill()
            for pid in pids:
                end(pid)
        prefix = kit.shm_prefix(f"{directory}/tensord/socket")
        assert [name for name in os.listdir("/dev/shm") if name.startswith(prefix)] == []


def test_a_daemon_that_lacks_a_library_says_so(tmp_path, monkeypatch):
    """What a wheel meets on a machine without the libraries that it was built with."""
    monkeypatch.delenv("TENSORD_SOCKET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    binary = kit.DAEMON.read_bytes()
    assert b"\0libuv.so.1\0" in binary
    broken = tmp_path / "tensord-broken"
    broken.write_bytes(binary.replace(b"\0libuv.so.1\0", b"\0libuv.so.z\0"))
    broken.chmod(0o755)
    with pytest.raises(tensord.NoDaemon, match=r"ended: .*libuv\.so\.z: cannot open shared"):
        tensord.connect(daemon=broken)


def end(pid):
    """SIGTERM for a process that is not our child, and wait until it is gone."""
    pidfd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        gone = select.poll()
        gone.register(pidfd, select.POLLIN)
        assert gone.poll(30_000), "the private daemon did not end"
    finally:
        os.close(pidfd)


def test_an_explicit_address_starts_no_daemon(tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORD_SOCKET", str(tmp_path / "none"))
    with pytest.raises(tensord.NoDaemon, match=str(tmp_path)):
        tensord.connect(timeout_ms=100)
    monkeypatch.delenv("TENSORD_SOCKET")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(tensord.NoDaemon):
        tensord.connect(start=False, timeout_ms=100)
    assert not (tmp_path / "tensord" / "socket").exists()
