# SPDX-License-Identifier: MIT
"""The Nth call that asks the system for something fails while the daemon starts."""
import random
import threading

import faults
import kit

NAME = "faults_start"
CHECKS = ("it comes up with all that was named, or ends with a status and a word in its log; the "
          "next start has all; no signal, no hang")
QUICK = {"starts (every 7th)": None}
FULL = {"starts": None}
LIMIT_S = (120, 1800)
SANITIZED = False

LASTS_S = 0.5
STATUS_MAX = 78  # of sysexits.h, the last that the daemon knows


def try_start(daemon, kind, nth, is_lasting, code):
    """Start it so; (whether a call failed, whether it came up)."""
    daemon.arm(kind, nth, is_lasting, code, is_own=True)
    n_said = len(daemon.read_log())
    # it may be up, and yet answer nobody while that lasts
    lift = threading.Timer(LASTS_S, daemon.lift)
    lift.start()
    try:
        daemon.start()
        came_up = True
    except AssertionError:
        status = daemon.process.poll()
        assert status is not None, "it neither answers nor ends"
        assert 0 < status <= STATUS_MAX, f"it ended with {status}"
        assert len(daemon.read_log()) > n_said, "it ended without a word"
        came_up = False
    finally:
        lift.cancel()
        lift.join()
    return daemon.disarm(), came_up


def run(counts, seed, report):
    (what,) = counts
    step = 1 if report.is_full else 7
    chance, ledger = random.Random(seed), kit.Ledger()
    daemon = report.daemon(kind=faults.FaultyDaemon)
    with daemon.raw() as raw:
        for name, n_bytes in ("small", 100), ("large", 20_000), ("empty", 0):
            data = kit.some_bytes(chance, n_bytes)
            with ledger.writing(**{name: data}):
                kit.store(raw, name, data)
        data = kit.some_bytes(chance, 10_000)
        kit.create(raw, "mutable", data, mutable=True)
        ledger.wrote(mutable=data)
    daemon.kill9()
    n_up = 0
    for kind, (_, codes) in faults.KINDS.items():
        for is_lasting in False, True:
            nth, has_failed = 1 + chance.randrange(step), True
            while True:
                try:
                    has_failed, came_up = try_start(daemon, kind, nth, is_lasting,
                                                    chance.choice(codes))
                    if not came_up:
                        daemon.start()
                    with daemon.raw() as raw:
                        ledger.check(raw)
                    kit.check_conserved(daemon)
                except AssertionError as problem:
                    sites = "; ".join(map(faults.describe, daemon.here))
                    raise AssertionError(f"{kind} {nth}{' on' * is_lasting}: {sites}") from problem
                daemon.kill9()
                if not has_failed:
                    break
                report.found(what, 1)
                report.did(what)
                n_up += came_up
                nth += step
    report.say(f"{n_up} came up all the same")
    daemon.start()
    daemon.finish()
