# SPDX-License-Identifier: MIT
"""The wheel that tests/wheel/run built ($TENSORD_WHEEL), and what it installs.

That it is whole, belongs to no place of the machine that built it, and works with nothing beside
it: the first call starts the daemon that it carries.
"""

import base64
import contextlib
import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy
import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "integration"))

import kit  # noqa: E402

WHEEL = Path(os.environ["TENSORD_WHEEL"])
INFO = "-".join(WHEEL.name.split("-")[:2]) + ".dist-info/"
SCRIPTS = INFO.replace(".dist-info", ".data") + "scripts/"
PACKAGE = kit.PACKAGES / "tensord"
BINARIES = {"_native.abi3.so", "lib/libtensord.so.0", "bin/tensord"}
TENSORCTL = Path(sys.prefix) / "bin" / "tensorctl"


@pytest.fixture(scope="module")
def wheel():
    with zipfile.ZipFile(WHEEL) as file:
        yield file


def version_of_tree():
    text = (TOP / "CMakeLists.txt").read_text()
    return re.search(r"^project\(\w+ VERSION (\S+)", text, re.MULTILINE)[1]


# ---- what it is ----


def test_tag(wheel):
    tag = f"cp311-abi3-linux_{platform.machine()}"
    assert WHEEL.name == f"tensord-{version_of_tree()}-{tag}.whl"
    lines = wheel.read(INFO + "WHEEL").decode().splitlines()
    assert f"Tag: {tag}" in lines and "Root-Is-Purelib: false" in lines


def test_metadata():
    metadata = importlib.metadata.metadata("tensord")
    assert metadata["Version"] == version_of_tree()
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_all("Requires-Dist") == ["numpy>=1.24"]
    assert "pip install ./client_py" in metadata.get_payload()


def test_contents(wheel):
    here = TOP / "client_py" / "tensord"
    patterns = "*.py", "*.pyi", "py.typed"
    paths = [path for pattern in patterns for path in here.rglob(pattern)]
    sources = {str(path.relative_to(here)): path.read_bytes() for path in paths}
    assert {"__init__.py", "_client.py", "_native.pyi", "py.typed"} <= sources.keys()
    found = {name.removeprefix("tensord/") for name in wheel.namelist()
             if name.startswith("tensord/")}
    assert {name for name in found if not name.endswith((".py", ".pyi", "py.typed"))} == BINARIES
    for name, source in sources.items():
        assert wheel.read(f"tensord/{name}") == source, name
    beside = {name for name in wheel.namelist() if not name.startswith("tensord/")}
    assert beside == {SCRIPTS + "tensorctl", INFO + "licenses/LICENSE", INFO + "METADATA",
                      INFO + "WHEEL", INFO + "RECORD"}
    assert wheel.read(INFO + "licenses/LICENSE") == (TOP / "LICENSE").read_bytes()


def test_record(wheel):
    rows = [line.rsplit(",", 2) for line in wheel.read(INFO + "RECORD").decode().splitlines()]
    assert sorted(name for name, _, _ in rows) == sorted(wheel.namelist())
    for name, digest, size in rows:
        if name == INFO + "RECORD":
            assert (digest, size) == ("", "")
            continue
        content = wheel.read(name)
        digest_now = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
        assert (digest, size) == (f"sha256={digest_now.decode()}", str(len(content))), name


def test_programs_are_executable(wheel):
    for name in ("tensord/bin/tensord", SCRIPTS + "tensorctl"):
        assert wheel.getinfo(name).external_attr >> 16 & 0o111 == 0o111, name
    assert os.access(PACKAGE / "bin" / "tensord", os.X_OK) and os.access(TENSORCTL, os.X_OK)


@pytest.mark.parametrize("path", [*(PACKAGE / name for name in sorted(BINARIES)), TENSORCTL],
                         ids=lambda path: path.name)
def test_belongs_to_no_place(path):
    """Libraries are named, not placed, and sought relative to the package alone."""
    dynamic = subprocess.run(["readelf", "-dW", path], check=True, text=True, capture_output=True)
    rows = re.findall(r"\((NEEDED|RPATH|RUNPATH)\).*\[(.*)\]", dynamic.stdout)
    assert any(tag == "NEEDED" for tag, _ in rows)
    for tag, value in rows:
        if tag == "NEEDED":
            assert "/" not in value
        else:
            assert value == "$ORIGIN/lib"
    sections = subprocess.run(["readelf", "-SW", path], check=True, text=True, capture_output=True)
    assert ".debug_info" not in sections.stdout


# ---- what it does ----

TELL = """
import os, tensord as td
client = td.default_client()
stat = client.stat()
maps = open("/proc/self/maps").read()
libraries = {line.split()[-1] for line in maps.splitlines() if "libtensord" in line}
exe = os.readlink(f"/proc/{stat['pid']}/exe")
print(stat["pid"], exe, stat["kernels"], td.__file__, *libraries)
"""


@contextlib.contextmanager
def own_place():
    """Nothing but the package: a fresh place for a private daemon, which is ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="td-") as directory:
        env = {"XDG_RUNTIME_DIR": directory, "HOME": directory, "PATH": "/nowhere"}
        env |= {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}
        socket = f"{directory}/tensord/socket"
        try:
            yield env, socket
        finally:
            end_daemon(socket)
        prefix = kit.shm_prefix(socket)
        assert [name for name in os.listdir("/dev/shm") if name.startswith(prefix)] == []


def end_daemon(socket):
    """Without its names, if there is one; and wait until it is gone."""
    import tensord

    try:
        client = tensord.connect(socket)
    except tensord.NoDaemon:
        return
    with client:
        for row in client.list():
            client.delete(row.name)
        pid = client.stat()["pid"]
        pidfd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        kit.wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the daemon ended", 30)
    finally:
        os.close(pidfd)


def python(code, env, *args):
    """From elsewhere and isolated (-I): what is imported was installed."""
    done = subprocess.run([sys.executable, "-I", "-c", code, *args], env=env, cwd="/", text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_just_works():
    """With no service, no variable, and no tensord on PATH."""
    with own_place() as (env, socket):
        pid, exe, kernels, module, *libraries = python(TELL, env).split()
        assert Path(exe) == (PACKAGE / "bin" / "tensord").resolve()
        assert Path(module).resolve() == (PACKAGE / "__init__.py").resolve()
        assert [Path(path) for path in libraries] == [(PACKAGE / "lib/libtensord.so.0").resolve()]
        again = python(TELL, env).split()
        assert again[0] == pid and again[2] == kernels
        computed = python("import numpy, tensord as td\n"
                          "x = td.put(numpy.arange(6.0).reshape(2, 3))\n"
                          "print(numpy.asarray(x @ x.T + 1).tolist())", env)
        assert computed == "[[6.0, 15.0], [15.0, 51.0]]\n"
        done = subprocess.run([TENSORCTL, "ping"], env=env, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr


def test_it_computes_as_the_build_does():
    """The kernels for this processor are in it."""
    with own_place() as (env, _):
        expected = python(TELL, env | {"TENSORD_DAEMON": str(kit.BUILD / "bin/tensord")}).split()
    assert Path(expected[1]) == (kit.BUILD / "bin/tensord").resolve()
    with own_place() as (env, _):
        assert python(TELL, env).split()[2] == expected[2]


def test_two_processes_share_a_tensor():
    writer = ("import tensord as td\n"
              "with td.open('shared').write() as a: a[1] = 7.0")
    reader = ("import subprocess, sys, numpy, tensord as td\n"
              "t = td.put(numpy.zeros(100_000), 'shared', mutable=True)\n"
              "a = td.get('shared')\n"
              "assert a[1] == 0\n"
              "subprocess.run([sys.executable, '-I', '-c', sys.argv[1]], check=True)\n"
              "print(a[1])")
    with own_place() as (env, _):
        assert python(reader, env, writer) == "7.0\n"


def test_versions():
    import tensord

    version = version_of_tree()
    assert tensord.__version__ == version
    for program, name in ((PACKAGE / "bin" / "tensord", "tensord"), (TENSORCTL, "tensorctl")):
        said = subprocess.run([program, "--version"], check=True, text=True, capture_output=True)
        assert said.stdout == f"{name} {version}\n"
    assert int(numpy.__version__.split(".")[0]) >= 2


# ---- how it is made ----


def test_compiled_anew(tmp_path):
    """What pip does where no build directory is named, up to the compiler."""
    for command in (
        ["cmake", "-G", "Ninja", "-S", TOP / "client_py" / "packaging", "-B", tmp_path,
         f"-DPython_EXECUTABLE={sys.executable}", f"-DSKBUILD_SCRIPTS_DIR={tmp_path}",
         "-DTENSORD_SYSTEMD=OFF"],
        ["ninja", "-C", tmp_path, "-t", "commands", "wheel"],
    ):
        done = subprocess.run(command, text=True, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    outputs = set(re.findall(r" -o (\S+)", done.stdout))
    version = version_of_tree()
    assert {"python/tensord/_native.abi3.so", f"lib/libtensord.so.{version}", "bin/tensord",
            "bin/tensorctl"} <= outputs
    assert not [path for path in outputs if "tests/" in path or "deploy/" in path]
    assert f"-ffile-prefix-map={TOP}/=" in done.stdout
    assert "libsystemd" not in done.stdout  # what was said reaches the tree's own configuration


def refusal(code, *args, cwd="/"):
    """What a build that must fail says, in one line."""
    done = subprocess.run([sys.executable, *code, *map(str, args)], cwd=cwd, text=True,
                          capture_output=True, timeout=120, check=False)
    assert done.returncode != 0
    return " ".join((done.stdout + done.stderr).split())


PIP_WHEEL = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w"]


def test_a_part_of_a_clone_is_refused(tmp_path):
    """client_py alone, as a source distribution would hold it."""
    copy = shutil.copytree(TOP / "client_py", tmp_path / "client_py")
    said = refusal(PIP_WHEEL, tmp_path / "out", copy)
    assert "tensord is built from a whole clone: beside client_py there must be server, " \
        f"client_c and include, which are not in {tmp_path}." in said


def test_no_source_distribution(tmp_path):
    code = "import sys, scikit_build_core.build as backend; backend.build_sdist(sys.argv[1])"
    said = refusal(["-c", code], tmp_path, cwd=TOP / "client_py")
    assert "would lack the daemon" in said and "pip wheel ./client_py" in said
    assert os.listdir(tmp_path) == []


def test_what_is_no_build_directory_is_refused(tmp_path):
    said = refusal(PIP_WHEEL, tmp_path / "out", TOP / "client_py", "--config-settings",
                 f"cmake.define.TENSORD_BUILD={tmp_path}")
    assert f"{tmp_path} is no build directory" in said
