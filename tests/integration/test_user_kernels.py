# SPDX-License-Identifier: MIT
"""User kernels: loaded, listed, called, and every way in which one can misbehave."""

import os
import shutil
import subprocess

import kit
import numpy
import pytest

import tensord


@pytest.fixture(scope="module")
def kernel_dir(tmp_path_factory):
    """heat1d and the kernels that misbehave, in one directory."""
    directory = tmp_path_factory.mktemp("kernels")
    return kit.copy_kernels(directory, kit.BUILD / "kernels", kit.BUILD / "tests" / "kernels")


@pytest.fixture(scope="module")
def daemon(make_daemon, kernel_dir):
    return make_daemon("--kernel-dir", str(kernel_dir))


def test_listed_with_version_and_file(client, kernel_dir):
    rows = {row["name"]: row for row in client.ops()}
    heat = rows["user.heat1d"]
    assert (heat["version"], heat["signature"]) == ("1.0", "(n),(),()->(n)")
    assert heat["file"] == str(kernel_dir.resolve() / "heat1d.so")
    assert heat["min_args"] == heat["max_args"] == 3 and not heat["isolated"]
    assert rows["user.crash"]["isolated"]
    assert "add" in rows


def test_wrong_abi_is_left_out_and_logged(daemon, client):
    with pytest.raises(tensord.UnknownOp, match="wrong_abi"):
        client.kernel("wrong_abi")
    assert "another version of tensord/kernel.h" in daemon.read_log()


def by_numpy(u, r, steps):
    u = u.copy()
    for _ in range(steps):
        u[1:-1] = u[1:-1] + r * (u[:-2] - 2 * u[1:-1] + u[2:])
    return u


def step_matrix(n, r):
    step = numpy.eye(n)
    for i in range(1, n - 1):
        step[i, i - 1 : i + 2] += [r, -2 * r, r]
    return step


def by_matrix(u, r, steps):
    return numpy.linalg.matrix_power(step_matrix(len(u), r), steps) @ u


def test_heat1d(client):
    heat1d = client.kernel("heat1d")
    u = numpy.random.default_rng(1).random(1_000_000)
    got = numpy.asarray(heat1d(client.put(u), 0.25, 7))
    assert numpy.array_equal(got, by_numpy(u, 0.25, 7))
    small = u[:200]
    numpy.testing.assert_allclose(heat1d(small, 0.25, 50), by_matrix(small, 0.25, 50), rtol=1e-12)
    for n in range(0, 5):
        assert numpy.array_equal(heat1d(u[:n], 0.25, 3), by_numpy(u[:n], 0.25, 3))


@pytest.mark.parametrize("n", [3, 200, 20_000])
def test_heat1d_as_programs_do_it(client, n):
    """The same rod by slices in a loop, bit for bit; a short one also by products with a matrix."""
    heat1d, r, steps = client.kernel("heat1d"), 0.25, 30
    u = client.put(numpy.random.default_rng(4).random(n))
    cooled = numpy.asarray(heat1d(u, r, steps))

    def by_slices(i, u):
        return tensord.assign(u, slice(1, -1), u[1:-1] + r * (u[:-2] - 2 * u[1:-1] + u[2:]))

    p = tensord.Program()
    assert numpy.array_equal(client.run(p, p.loop(steps, by_slices, p.input(u))), cooled)
    if n <= 200:
        matrix = client.put(step_matrix(n, r))
        p = tensord.Program()
        dense = client.run(p, p.loop(steps, lambda i, u: matrix @ u, p.input(u)))
        numpy.testing.assert_allclose(dense, cooled, rtol=1e-12)


def test_arguments_may_lie_anyhow(client):
    heat1d = client.kernel("heat1d")
    u = numpy.random.default_rng(2).random(5000)
    expected = by_numpy(u[::-2], 0.1, 4)
    assert numpy.array_equal(heat1d(client.put(u)[::-2], 0.1, 4), expected)


def test_in_a_program(client):
    heat1d = client.kernel("heat1d")
    u = numpy.random.default_rng(3).random(1000)
    p = tensord.Program()
    warm = p.loop(10, lambda i, x: heat1d(x, 0.25, 2) * 1.0, p.input(u))
    assert numpy.array_equal(client.run(p, warm + 1.0), by_numpy(u, 0.25, 20) + 1.0)


def test_refusals(client):
    heat1d = client.kernel("heat1d")
    with pytest.raises(tensord.KernelError, match="user.heat1d: refused: a float64 rod"):
        heat1d(numpy.arange(3), 0.25, 1)
    with pytest.raises(tensord.ShapeError, match=r"shape \(2, 2\) of argument 0 .*\(n\),\(\)"):
        heat1d(numpy.ones((2, 2)), 0.25, 1)
    with pytest.raises(tensord.ArgumentError, match="takes 3 arguments, not 1"):
        heat1d(numpy.ones(3))
    with pytest.raises(tensord.KernelError, match="user.heat1d: -1 steps are less than none"):
        heat1d(numpy.ones(3), 0.25, -1)


def test_infer_that_fails(client):
    with pytest.raises(tensord.KernelError, match="infer_fails: refused: extent 3 is never right"):
        client.kernel("infer_fails")(numpy.ones(3))


def test_run_that_fails(client):
    with pytest.raises(tensord.KernelError, match=r"user.run_fails: no \? luck today"):
        client.kernel("run_fails")(numpy.ones(3))


@pytest.mark.parametrize("n", [3, 100_000])
def test_a_crash_is_an_error_and_the_daemon_lives(daemon, client, n):
    crash = client.kernel("crash")
    x = numpy.ones(n)
    assert numpy.array_equal(crash(x), 2 * x)
    x[0] = -1
    ended = "user.crash: its process (was ended by signal 11|exited)"
    with pytest.raises(tensord.KernelError, match=ended):
        crash(x)
    assert numpy.array_equal(crash(client.put(numpy.ones(n))), 2 * numpy.ones(n))


def test_the_process_inherits_no_socket_and_no_lock(client):
    n_sockets, n_files, _ = numpy.asarray(client.kernel("descriptors")(numpy.ones(3)))
    assert n_sockets == 1, "its own end of a pair"
    assert n_files <= 1, "the arrays that it was handed"


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        found = file.read().split()
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            found += file.read().split()
    return set(map(int, found))


def has_ended(pid):
    """Gone, or waiting for whoever inherited it to notice."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def run_endless(raw):
    """Ask for an endless kernel; nobody waits for the answer."""
    x = numpy.ones(3)
    raw.send(
        "run",
        inputs=[{"dtype": "float64", "shape": [3], "data": x.tobytes()}],
        nodes=[["user.endless", [0], {}]],
        outputs=[{"value": 1}],
    )


def test_a_client_that_goes_away_ends_an_endless_kernel(daemon):
    with daemon.raw() as raw:
        run_endless(raw)
        kit.wait_until(lambda: children(daemon.pid), "the kernel's process starts")
    kit.wait_until(lambda: not children(daemon.pid), "the kernel's process is killed")


def test_a_daemon_that_is_killed_takes_the_process_along(make_own_daemon, kernel_dir):
    own = make_own_daemon("--kernel-dir", str(kernel_dir))
    with own.raw() as raw:
        run_endless(raw)
        kit.wait_until(lambda: children(own.pid), "the kernel's process starts")
        (child,) = children(own.pid)
        own.kill9()
        kit.wait_until(lambda: has_ended(child), "the process dies too")
    own.start()


def test_directory_that_others_may_write(tmp_path):
    tmp_path.chmod(0o777)
    result = subprocess.run(
        [kit.DAEMON, "--socket", tmp_path / "s", "--kernel-dir", tmp_path],
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 78
    assert "others may write to it" in result.stderr


def test_file_that_others_may_write_is_left_out(make_own_daemon, kernel_dir, tmp_path):
    tmp_path.chmod(0o755)
    shutil.copy(kernel_dir / "heat1d.so", tmp_path)
    (tmp_path / "heat1d.so").chmod(0o777)
    own = make_own_daemon("--kernel-dir", str(tmp_path))
    with own.connect() as client:
        assert not [row for row in client.ops() if row["name"].startswith("user.h")]
