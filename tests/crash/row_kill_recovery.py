# SPDX-License-Identifier: MIT
"""kill -9 at the system calls of recovery, with one catalog that holds every kind of record."""
import mmap
import os
import random
import subprocess
import time

import kit

NAME = "kill_recovery"
CHECKS = ("all names, outcomes of operations and the lost name are as before, strays are removed, "
          "or held where mapped; bytes of files = charges")
QUICK = {"points (every 7th)": None}
FULL = {"points": None}
LIMIT_S = (60, 1800)
SANITIZED = False

LARGE = 20_000
STRAY = 8192
# Outcomes are remembered for 60 s: a catalog is made anew in time.
OUTCOME_S = 40


def write_catalog(daemon):
    """Every kind of record, those of operations among them; (ledger, [(method, keys, result)])."""
    chance, ledger, outcomes = random.Random(5), kit.Ledger(), []

    def data(name, n_bytes):
        ledger.wrote(**{name: chance.randbytes(n_bytes)})
        return ledger.allowed[name][0]

    def once(raw, method, **keys):
        keys["op_id"] = os.urandom(16)
        result = raw.call(method, **keys)
        outcomes.append((method, keys, result and result.get("id")))

    with daemon.raw() as raw:
        kit.create(raw, "segment", data("segment", LARGE))
        once(raw, "put", name="small", dtype="uint8", shape=[100], data=data("small", 100))
        kit.store(raw, "empty", data("empty", 0))
        kit.create(raw, "mutable", data("mutable", LARGE), mutable=True)
        once(raw, "run", inputs=[], outputs=[{"value": 0, "name": "a"}, {"value": 0, "name": "b"}],
             nodes=[["full", [], {"shape": [LARGE], "dtype": "uint8", "value": 7}]])
        outcomes[-1] = outcomes[-1][:2] + (None,)  # its result is not a description
        ledger.wrote(a=bytes([7]) * LARGE, b=bytes([7]) * LARGE)
        # gone before the catalog is written anew: an OUTCOME stays of it
        kit.store(raw, "gone", b"1")
        once(raw, "delete", name="gone")
        catalog = daemon.shm_directory / f"{daemon.prefix}.catalog"
        first = catalog.stat().st_ino
        while catalog.stat().st_ino == first:
            kit.store(raw, "replaced", data("replaced", 4000))
        kit.store(raw, "deleted", b"1")
        once(raw, "delete", name="deleted")
        kit.store(raw, "replaced", data("replaced", LARGE))
        before = set(daemon.objects())
        kit.create(raw, "lost", bytes(LARGE))
        (lost,) = set(daemon.objects()) - before
    daemon.kill9()
    os.unlink(daemon.shm_directory / lost)
    with open(catalog, "r+b") as file:  # what was staged and never published
        file.seek(2048)
        tail = int.from_bytes(file.read(8), "little") >> 16
        file.seek(tail)
        file.write(chance.randbytes(200))
    return ledger, outcomes


def add_strays(daemon, chance):
    """Segments that nobody names, one of them mapped, and half of a new catalog; the mapping."""
    for name in (f"{os.getuid()}.{chance.randbytes(16).hex()}" for _ in range(3)):
        path = daemon.shm_directory / f"{daemon.prefix}.{name}"
        with open(path, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            os.posix_fallocate(file.fileno(), 0, STRAY)
    with open(path, "r+b") as file:
        mapping = mmap.mmap(file.fileno(), STRAY)
    begun = f"{daemon.prefix}.new.{chance.randbytes(16).hex()}"
    (daemon.shm_directory / begun).write_bytes(bytes(5000))
    return mapping


def check(daemon, ledger, outcomes, mapping):
    with daemon.raw() as raw:
        ledger.check(raw, lost=1)
        assert raw.refusal("open", name="lost", handle=raw.handle()).code == "lost"
        [row] = raw.call("list", prefix="lost", lost=True)["tensors"]
        assert (row["name"], row["lost"], row["nbytes"]) == ("lost", "memory_missing", LARGE)
        for method, keys, id_ in outcomes:
            again = raw.call(method, **keys, retry_ms=1)
            assert id_ is None or again["id"] == id_, (method, again)
        ledger.check(raw, lost=1)
    memory = kit.check_conserved(daemon)["memory"]
    assert memory["held"] == STRAY and memory["idle"] == 0, memory
    assert not any(".new." in name for name in daemon.objects())
    # what the mapping holds is given back once it is gone
    mapping.close()
    kit.eventually(lambda: daemon.stat()["memory"]["held"] == 0, what="held memory is given back")


def start_killed(daemon, at):
    """Start it under the killer; the killer's words."""
    with open(daemon.log, "ab") as log:
        words = subprocess.run(
            [kit.program("killer"), "start", str(at), str(daemon.shm_directory), *daemon.command()],
            stdout=subprocess.PIPE, stderr=log, text=True, timeout=60, check=True).stdout.split()
    assert words and words[0] in ("killed", "past"), words
    return words


def run(counts, seed, report):
    (what,) = counts
    step = 1 if report.is_full else 7
    chance = random.Random(seed)
    daemon = report.daemon()
    ledger, outcomes = write_catalog(daemon)
    mapping = add_strays(daemon, chance)
    n_stops = int(start_killed(daemon, 0)[1])
    daemon.start()
    check(daemon, ledger, outcomes, mapping)
    points = range(1 + chance.randrange(step), n_stops + 1, step)
    report.found(what, len(points))
    calls, n_behind = set(), 0
    made = time.monotonic()
    for at in points:
        if time.monotonic() - made > OUTCOME_S:
            daemon.delete_all()
            ledger, outcomes = write_catalog(daemon)
            made = time.monotonic()
        else:
            daemon.kill9()
        mapping = add_strays(daemon, chance)
        words = start_killed(daemon, at)
        if words[0] == "killed":
            calls.add(words[2])
        n_behind += words[0] == "past"
        daemon.start()
        try:
            check(daemon, ledger, outcomes, mapping)
        except AssertionError as problem:
            raise AssertionError(f"killed at {at} of {n_stops}: {words}") from problem
        report.did(what)
    report.say(f"{n_stops} stops, {len(calls)} different system calls; "
               f"{n_behind} kills behind the last stop")
    daemon.delete_all()
    daemon.finish()
