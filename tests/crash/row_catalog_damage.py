# SPDX-License-Identifier: MIT
"""A catalog of 256 KiB with one byte changed, or cut."""
import subprocess

import kit

NAME = "catalog_damage"
CHECKS = ("the store refuses and has changed nothing, or starts with all names and values; cut: "
          "it refuses")
QUICK = {"bytes changed": 1000, "cuts": 1000}
FULL = {"bytes changed": 256 * 1024, "cuts": 256 * 1024}
LIMIT_S = (120, 3600)
N_BYTES = 256 * 1024


def damage(report, *words):
    """(starts, how many were refused), as tests/crash/catalog_damage.c counts them."""
    directory = report.directory / "shm" / words[0]
    directory.mkdir()
    done = subprocess.run([kit.program("catalog_damage"), directory, *map(str, words)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for path in directory.iterdir():
        path.unlink()
    return map(int, done.stdout.split())


def run(counts, seed, report):
    for kind, what in ("flips", "bytes changed"), ("cuts", "cuts"):
        # 0: each byte once
        wanted = 0 if counts[what] == N_BYTES else counts[what]
        n_done, n_refused = damage(report, kind, wanted, seed)
        report.did(what, n_done)
        report.say(f"{what}: {n_refused} of {n_done} refused, the others say all that they said")
