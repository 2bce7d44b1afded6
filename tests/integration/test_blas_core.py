# SPDX-License-Identifier: MIT
"""Where OpenBLAS falls back to kernels that are too old, the daemon starts anew with better ones,
and everywhere with threads that do not spin for long.

An OpenBLAS that does not know its processor is played by a preloaded library: it names the oldest
core as long as none is forced. All else is real: self-tests in children, the cache, the re-exec.
"""

import os
import re
import subprocess
import time
from pathlib import Path

import numpy
import pytest

import kit
import raw
import tensord

SHIM = r"""
#include <dlfcn.h>
#include <stdlib.h>

char *openblas_get_corename(void)
{
        char *(*real)(void) = (char *(*)(void))dlsym(RTLD_NEXT, "openblas_get_corename");

        return getenv("OPENBLAS_CORETYPE") ? real() : "Prescott";
}
"""


@pytest.fixture
def forgetful(tmp_path):
    """An environment in which OpenBLAS does not know the processor."""
    if "avx2" not in open("/proc/cpuinfo").read():
        pytest.skip("this processor deserves no better core than the oldest")
    if os.environ.get("TENSORD_SANITIZED"):
        pytest.skip("the sanitizer's run-time wants to be loaded first")
    (tmp_path / "shim.c").write_text(SHIM)
    compile = ["cc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", "shim.so", "shim.c"]
    subprocess.run(compile, cwd=tmp_path, check=True)
    environment = os.environ | {
        "LD_PRELOAD": str(tmp_path / "shim.so"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    environment.pop("OPENBLAS_CORETYPE", None)
    return environment


def answers(path):
    try:
        with raw.Raw(path) as connection:
            connection.call("ping")
        return True
    except OSError:
        return False


def core_of_daemon(directory, environment):
    """Start a daemon, return the core that it says it runs, and its log."""
    path = str(directory / "socket")
    with open(directory / "log", "wb") as log:
        command = [kit.DAEMON, "--socket", path]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=log, env=environment
        )
    try:
        kit.wait_until(
            lambda: answers(path) or process.poll() is not None, "an answer", kit.READY_S
        )
        with raw.Raw(path) as connection:
            return connection.call("stat")["blas"]["core"], (directory / "log").read_text()
    finally:
        process.terminate()
        assert process.wait(kit.END_S) == 0


def test_starts_anew_with_a_better_core(tmp_path, forgetful):
    core, log = core_of_daemon(tmp_path, forgetful)
    assert core not in ("Prescott", "Nehalem", "Sandybridge")
    assert re.search(rf"BLAS core {core}\b", log), log
    remembered = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert any(core.lower() in path.read_text().lower() for path in remembered)
    assert core_of_daemon(tmp_path, forgetful)[0] == core


def test_what_the_user_forces_stands(tmp_path, forgetful):
    assert core_of_daemon(tmp_path, forgetful | {"OPENBLAS_CORETYPE": "Nehalem"})[0] == "Nehalem"


def is_asleep(pid):
    """Does no thread run, or want to?"""
    stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rpartition(") ")[2][0] != "R" for stat in stats)


@pytest.mark.skipif(os.cpu_count() < 2, reason="OpenBLAS has threads of its own on two cores")
@pytest.mark.parametrize("cycles", [None, "21"])
def test_its_threads_sleep_soon(make_own_daemon, cycles):
    """Left to themselves they look for work for 2**28 cycles, and take a core for it."""
    daemon = make_own_daemon(env={"OPENBLAS_THREAD_TIMEOUT": cycles} if cycles else None)
    environment = Path(f"/proc/{daemon.pid}/environ").read_text().split("\0")
    assert f"OPENBLAS_THREAD_TIMEOUT={cycles or 22}" in environment  # the user's word stands
    awake_s = []
    with daemon.connect() as client:
        matrix = client.put(numpy.eye(1024) + 0.1)
        for _ in range(10):
            tensord.linalg.cholesky(matrix)  # runs at once: it may fail
            began = time.monotonic()
            kit.wait_until(lambda: is_asleep(daemon.pid), "sleep")
            awake_s.append(time.monotonic() - began)
    assert min(awake_s) < 0.04, awake_s
