# SPDX-License-Identifier: MIT
"""What README.md says runs as it stands there."""

import os
import re
import subprocess
import sys

import kit


def blocks(language):
    text = (kit.TOP / "README.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run(command, daemon):
    environment = os.environ | {
        "TENSORD_SOCKET": str(daemon.socket),
        "PYTHONPATH": str(kit.BUILD / "python"),
    }
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, (command, result.stderr)


def test_python_block(daemon):
    (block,) = blocks("python")
    run([sys.executable, "-c", block], daemon)


def test_tensorctl_block(own_daemon):
    (block,) = [b for b in blocks("sh") if "tensorctl" in b]
    for line in block.splitlines():
        program, *arguments = line.split()
        assert program.startswith("build/")
        run([kit.BUILD / program.removeprefix("build/"), *arguments], own_daemon)
