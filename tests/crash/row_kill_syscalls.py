# SPDX-License-Identifier: MIT
"""kill -9 at the system calls of short stories: before and behind each one, of every thread."""
import random
import subprocess

import kit
import scenarios

NAME = "kill_syscalls"
CHECKS = ("each name has the value acknowledged last or the one under way, what was sent together "
          "all or none of it; bytes of files = charges")
QUICK = {"points (every 7th)": None}
FULL = {"points": None}
LIMIT_S = (120, 3600)
SANITIZED = False  # what is killed cannot report

# The stories of what is given back need a daemon that is soon full.
OPTIONS = ("--memory", "16M", "--threads", "2")


def live(daemon, story, at):
    """Tell the story up to its stop of that number. (ledger, killer's words, whether it ended)"""
    ledger = kit.Ledger()
    with daemon.raw() as raw:
        telling = story(daemon, raw, ledger)
        next(telling)
        with kit.helper(kit.program("killer"), "attach", daemon.pid, at, stdout=subprocess.PIPE,
                        text=True) as killer:
            assert killer.stdout.readline() == "ready\n"
            try:
                next(telling, None)
                has_ended = True
            except TimeoutError:
                raise
            except OSError:
                has_ended = False
            if has_ended:
                killer.terminate()
            words = killer.stdout.readline().split()
            telling.close()
    assert words, "the killer ended"
    assert has_ended or words[0] == "killed", words
    return ledger, words


def recover(daemon, ledger):
    """Start it again and check; twice, for what the first start wrote. Then forget all."""
    daemon.kill9()
    daemon.start()
    with daemon.raw() as raw:
        ledger.check(raw)
    kit.check_conserved(daemon)
    daemon.delete_all()
    memory = kit.check_conserved(daemon)["memory"]
    assert memory["live"] == memory["held"] == 0, memory


def run(counts, seed, report):
    (what,) = counts
    step = 1 if report.is_full else 7
    chance = random.Random(seed)
    daemon = report.daemon(*OPTIONS, *kit.spilling(report))
    calls, n_behind = set(), 0
    for name, story in scenarios.STORIES.items():
        ledger, words = live(daemon, story, 0)
        assert words[0] in ("alive", "ended"), words
        recover(daemon, ledger)
        n_stops = int(words[1])
        points = range(1 + chance.randrange(step), n_stops + 1, step)
        report.found(what, len(points))
        for at in points:
            ledger, words = live(daemon, story, at)
            if words[0] == "killed":
                calls.add(words[2])
            else:
                n_behind += 1
            try:
                recover(daemon, ledger)
            except AssertionError as problem:
                raise AssertionError(f"{name}, killed at {at} of {n_stops}: {words}") from problem
            report.did(what)
        report.say(f"{name}: {len(points)} of {n_stops} stops")
    report.say(f"{len(calls)} different system calls; {n_behind} kills behind the last stop")
    daemon.finish()
