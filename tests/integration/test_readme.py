# SPDX-License-Identifier: MIT
"""What README.md says runs as it stands there."""

import os
import re
import subprocess
import sys

import kit
import pytest

pytestmark = pytest.mark.plain


def blocks(language, path="README.md"):
    text = (kit.TOP / path).read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run(command, daemon):
    environment = os.environ | {
        "TENSORD_SOCKET": str(daemon.socket),
        "PYTHONPATH": str(kit.PACKAGES),
    }
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, (command, result.stderr)


def test_python_block(daemon):
    (block,) = blocks("python")
    run([sys.executable, "-c", block], daemon)


@pytest.mark.parametrize("page", ["README.md", "COMING_FROM.md"])
def test_blocks_of_the_python_package(own_daemon, page):
    """One after the other, as one reads them."""
    found = blocks("python", f"client_py/{page}")
    assert len(found) > 5
    run([sys.executable, "-c", "\n".join(found)], own_daemon)


def test_tensorctl_block(own_daemon):
    (block,) = [b for b in blocks("sh") if "tensorctl" in b]
    for line in block.splitlines():
        program, *arguments = line.split()
        assert program.startswith("build/")
        run([kit.BUILD / program.removeprefix("build/"), *arguments], own_daemon)


def test_user_kernel_block(tmp_path, make_own_daemon):
    (source,) = blocks("c")
    (block,) = [b for b in blocks("sh") if "--kernel-dir" in b]
    make, build, start = block.splitlines()
    assert len(source.splitlines()) + len(block.splitlines()) < 40
    (tmp_path / "clip01.c").write_text(source)
    (tmp_path / "include").symlink_to(kit.TOP / "include")
    for command in (make, build):
        subprocess.run(command.split(), cwd=tmp_path, check=True)
    option, directory = start.split()[1:]
    own = make_own_daemon(option, str(tmp_path / directory))
    with own.connect() as client:
        clipped = client.kernel("clip01")([-1.0, 0.5, 2.0])
        assert clipped.tolist() == [0.0, 0.5, 1.0]
