# SPDX-License-Identifier: MIT
"""What the daemon may cost at most."""
import collections
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

from kit import Cannot, python

RESIDENT_MB = 40
SMALL_TENSOR_BYTES = 1024
RECOVER_MS = 250
LONG = {"recover_spilled_10000"}  # a minute, to write the files
SPILLED_ELEMENTS = 8192  # 64 KiB each, the least that moves to a file
# Waiting for requests and carrying them, and the heap that grows with every tensor: not the
# catalog's doing, and of varying number.
NOT_COUNTED = {"epoll_wait", "epoll_pwait", "epoll_pwait2", "recvmsg", "sendmsg",
               "restart_syscall", "brk", "total"}


def measure(bench):
    for name, function in (("resident_memory", resident_memory), ("idle_cpu", idle_cpu),
                           ("small_tensor_bytes", small_tensor_bytes),
                           ("catalog_append_syscalls", catalog_append_syscalls),
                           ("recover_10000", recover_10000),
                           ("recover_spilled_10000", recover_spilled_10000)):
        if bench.wants(f"{name}/limit") and not (bench.is_quick and name in LONG):
            with bench.measuring(f"{name}/limit"):
                function(bench, f"{name}/limit")


def ask(bench, *words):
    return bench.helper(python("ours.py"), OPENBLAS_NUM_THREADS="1").prepare(*words)


def resident_memory(bench, name):
    """After a first client, before any data."""
    daemon = bench.daemon()
    ask(bench, "facts", daemon.address)
    bench.row(name, "MB", daemon.status("VmRSS") / 1e6, RESIDENT_MB)


def idle_cpu(bench, name):
    """Of all threads, as the scheduler counts it, with a client that is connected and silent."""
    daemon = bench.daemon()
    ask(bench, "facts", daemon.address)
    time.sleep(1)
    seconds = 3 if bench.is_quick else 10
    before = daemon.cpu_seconds()
    time.sleep(seconds)
    bench.row(name, "us/s", (daemon.cpu_seconds() - before) / seconds * 1e6, 0,
              note=f"observed={seconds}s")


def small_tensor_bytes(bench, name):
    """Growth of the daemon's resident memory, the catalog in it, per named tensor of 8 bytes."""
    daemon, n, data = bench.daemon(), 10000 if bench.is_quick else 50000, 8
    ask(bench, "fill", daemon.address, "first-", 100, 1)
    before = daemon.status("VmRSS")
    ask(bench, "fill", daemon.address, "small-", n, 1)
    bench.row(name, "bytes", (daemon.status("VmRSS") - before) / n - data, SMALL_TENSOR_BYTES,
              note=f"tensors={n}")


def recover_10000(bench, name):
    """From start to READY, by the notification that systemd would get, after a kill -9."""
    measure_recovery(bench, name, bench.daemon(), 1024)


def recover_spilled_10000(bench, name):
    """The same, where all but 512 of them lie in files."""
    with tempfile.TemporaryDirectory(prefix="tensord-bench-spill-") as directory:
        daemon = bench.daemon("--memory", "48M", "--spill-dir", directory, "--spill-limit", "1G")
        measure_recovery(bench, name, daemon, SPILLED_ELEMENTS)


def measure_recovery(bench, name, daemon, n_elements):
    ask(bench, "fill", daemon.address, "large-", 10000, n_elements)
    seconds = []
    for _ in range(3 if bench.is_quick else 7):
        daemon.kill()
        seconds.append(daemon.start())
    client = ask(bench, "facts", daemon.address)
    client.prepare("get", daemon.address, "large-009999", "large-000000")
    client.time(1)
    empty = bench.daemon()
    others = []
    for _ in seconds:
        empty.kill()
        others.append(empty.start())
    bench.row(name, "ms", statistics.median(seconds) * 1e3, RECOVER_MS,
              note=f"start_without_tensors={statistics.median(others) * 1e3:.0f}ms")


def system_calls(daemon, helper):
    """Calls that the daemon makes in one turn of the helper, by name."""
    report = daemon.directory / "strace"
    strace = subprocess.Popen(["strace", "-f", "-c", "-U", "calls,name", "-o", report, "-p",
                               str(daemon.pid)], stderr=subprocess.PIPE, text=True)
    try:
        if "attached" not in strace.stderr.readline():
            raise Cannot("strace may not look at the daemon")
        helper.time(1)
    finally:
        strace.send_signal(signal.SIGINT)
        strace.communicate()
    calls = collections.Counter()
    for line in report.read_text().splitlines():
        count, _, call = line.strip().partition(" ")
        if count.isdigit() and call.strip() not in NOT_COUNTED:
            calls[call.strip()] = int(count)
    return calls


def catalog_append_syscalls(bench, name):
    """System calls of a put with a name beyond those of a put without, counted by strace."""
    if not shutil.which("strace"):
        raise Cannot("there is no strace")
    daemon, n = bench.daemon(), 2000
    with_name = ask(bench, "small_puts", daemon.address, n, "named-")
    without = ask(bench, "small_puts", daemon.address, n, "-")
    for helper in (with_name, without):
        helper.time(1)
    more = system_calls(daemon, with_name)
    more.subtract(system_calls(daemon, without))
    more = {call: count for call, count in more.items() if count > 0}
    bench.row(name, "calls", sum(more.values()) / n, 0,
              note=" ".join(f"{call}={count}" for call, count in more.items()) or f"appends={n}")
