# SPDX-License-Identifier: MIT
"""The examples of client_py run, in processes of their own, and say what they should."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys

import kit
import numpy
import pytest

pytestmark = pytest.mark.plain

EXAMPLES = kit.TOP / "client_py" / "examples"


def run(daemon, name, *args):
    """What an example prints."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, args)]
    result = subprocess.run(command, env=daemon.env, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


def needs(*modules):
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(missing != [], reason=f"not installed: {', '.join(missing)}")


@pytest.fixture(autouse=True)
def names_go(client):
    """What an example leaves under a name is deleted."""


def test_examples_are_short():
    paths = [path for path in EXAMPLES.iterdir() if path.suffix in (".c", ".py")]
    assert len(paths) >= 7 and all(len(p.read_text().splitlines()) < 80 for p in paths)
    tested = (kit.TOP / "tests/integration/test_python_examples.py").read_text()
    assert [p.name for p in paths if f'"{p.stem}' not in tested] == []


def test_gradient_descent(daemon):
    assert run(daemon, "gradient_descent").splitlines() == [
        "fitted: y = 2.0000*x + 1.0000",
        "the same in one request: True",
    ]


def test_heat(daemon):
    lines = run(daemon, "heat").splitlines()
    assert lines[1:3] == [
        "   1   [0.00, 0.00, 0.00, 25.00, 100.00]",
        "  10   [0.00, 16.26, 37.61, 66.22, 100.00]",
    ]
    assert lines[4] == " 300   [0.00, 25.00, 50.00, 75.00, 100.00]"


@needs("sklearn")
def test_kmeans(daemon):
    output = run(daemon, "kmeans_digits")
    assert output.startswith("1797 of 1797 images")
    assert int(re.search(r"(\d+)% are of the digit", output)[1]) > 60


def mandelbrot(centre, radius, n):
    """How long points stay, as plain numpy has it."""
    axis = numpy.linspace(-1, 1, n) * radius
    c = centre + axis + 1j * axis[:, None]
    z, count = c * 0, numpy.zeros((n, n), int)
    for _ in range(200):
        is_near = z.real**2 + z.imag**2 < 4
        z = numpy.where(is_near, z * z + c, z)
        count += is_near
    return count


def test_mandelbrot(daemon, tmp_path):
    assert len(run(daemon, "mandelbrot", tmp_path, 50).splitlines()) == 5
    for number in range(5):
        header, pixels = (tmp_path / f"mandelbrot_{number}.pgm").read_bytes().split(b" 255\n", 1)
        assert header == b"P5 50 50" and len(pixels) == 2500
        expected = mandelbrot(-0.743643887 + 0.131825904j, 1.5 * 0.2**number, 50)
        near = numpy.frombuffer(pixels, "uint8").reshape(50, 50) == expected * 255 // 200
        assert near.mean() > 0.97  # a last bit of z tells on the border


def test_batches(daemon):
    lines = run(daemon, "batches").splitlines()
    assert len(lines) == 5
    for number, line in enumerate(lines):
        mean, spread = map(float, re.findall(r"-?\d+\.\d+", line))
        assert abs(mean - number) < 0.03 and abs(spread - 1) < 0.03


LIBRARY = kit.BUILD / "lib" / "libtensord.so"
takes_plain_library = pytest.mark.skipif(
    "TENSORD_SANITIZED" in os.environ or not LIBRARY.exists(),
    reason="a sanitized library wants a sanitized program, an installed package has no headers",
)


@pytest.fixture
def producer(daemon, tmp_path):
    """producer.c, built against the library under test, as a process of its own."""
    binary = tmp_path / "producer"
    command = [shutil.which("cc"), "-O2", "-Wall", "-Werror", f"-I{kit.TOP}/include",
               str(EXAMPLES / "producer.c"), str(LIBRARY), f"-Wl,-rpath,{LIBRARY.parent}", "-lm"]
    subprocess.run([*command, "-o", str(binary)], check=True)
    processes = []

    def start(n_steps):
        processes.append(subprocess.Popen([str(binary), str(n_steps)], env=daemon.env))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


@takes_plain_library
def test_producer(client, producer):
    """What a process in C leaves is what the same steps of numpy's leave."""
    assert producer(500).wait(60) == 0
    was = numpy.zeros(200)
    was[1:-1] = numpy.exp(-0.01 * (numpy.arange(1.0, 199) - 50) ** 2)
    now = was.copy()
    for _ in range(500):
        next_ = now.copy()
        next_[1:-1] = 2 * now[1:-1] - was[1:-1] + 0.25 * numpy.diff(now, 2)
        was, now = now, next_
    string = client.open("string")
    numpy.testing.assert_allclose(string[1], now, atol=1e-12)
    assert float(string[2, 0]) == 500


@takes_plain_library
@needs("matplotlib")
def test_plot(daemon, producer, tmp_path):
    process = producer(20_000)
    output = run(daemon, "plot", tmp_path / "string.png", 20_000)
    assert process.wait(60) == 0
    assert output.endswith("the last at step 20000\n")
    png = (tmp_path / "string.png").read_bytes()
    assert png.startswith(b"\x89PNG\r\n\x1a\n") and len(png) > 5000
