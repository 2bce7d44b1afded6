# SPDX-License-Identifier: MIT
"""The Nth call that asks the system for something fails, once, or from then on."""
import collections
import random
import threading

import faults
import kit
import scenarios

NAME = "faults"
CHECKS = ("a typed error, a closed connection or none; what was refused is not there; afterwards "
          "all works; bytes of files = charges; descriptors and mappings as at first")
QUICK = {"stories": 4, "faults": None}
FULL = {"stories": len(scenarios.STORIES) + 2, "faults": None}
LIMIT_S = (200, 3600)
SANITIZED = False

OPTIONS = ("--memory", "16M", "--threads", "2")
WAIT_S = 10  # longer than any answer takes
LASTS_S = 0.5
TRIES = 100
LEAK = 8 * kit.MIB
MOST_PROBLEMS = 20


def connect(daemon, raw, ledger):
    """Three more clients come; who is not let in is let in later, or told to go."""
    others = []
    yield
    others += [daemon.raw(timeout=WAIT_S) for _ in range(3)]
    pings = [(other, other.send("ping")) for other in others]
    assert raw.call("ping") == "pong"
    yield
    for other, msgid in pings:
        try:
            assert other.wait(msgid) == "pong"
        except TimeoutError:
            raise
        except OSError:
            pass
        other.close()


def alone(daemon, raw, ledger):
    """The only client leaves, and another comes."""
    n_fds = len(daemon.fds())
    raw.close()
    kit.eventually(lambda: len(daemon.fds()) < n_fds, what="nobody is connected")
    yield
    with daemon.raw(timeout=WAIT_S) as other:
        assert other.call("ping") == "pong"


STORIES = {**scenarios.STORIES, "connect": connect, "alone": alone}
QUICK_STORIES = ("connect", "reclaim", "lease")
# What a disk may do to what is spilled; the quick tier has some of it (test_spill_faults: all).
DISK = ("open", "fallocate", "unlink", "rename", "write", "read", "sync")
DISK_STEP = 5
# Too long to be told once for each call: for the places alone that no other made fail.
MANY = {"many": scenarios.many}


def has_checked(ledger, raw):
    """Or not yet: what is to come back from a file takes memory, for which another has to go."""
    try:
        ledger.check(raw)
    except kit.Refused as error:
        if error.code != "memory_limit":
            raise
        return False
    return True


class Faults:
    """One row's run."""

    def __init__(self, report, seed):
        self.report, self.chance = report, random.Random(seed)
        self.outcomes, self.problems = collections.Counter(), []
        self.seen = collections.defaultdict(set)  # place -> names of stories
        self.failed = set()
        self.begin()

    def begin(self):
        """A daemon that was never told to fail."""
        self.daemon = self.report.daemon(*OPTIONS, *kit.spilling(self.report),
                                         kind=faults.FaultyDaemon)
        self.bounds = self.daemon.bounds()
        self.rss = self.daemon.resident()

    def end(self):
        """It did not grow."""
        grown = self.daemon.resident() - self.rss
        self.report.say(f"resident memory grew by {grown / kit.MIB:.1f} MiB")
        assert grown < LEAK, grown
        self.daemon.finish()

    def live(self, story, kind, nth, is_lasting, site):
        """The story with that fault; whether one failed."""
        daemon, ledger = self.daemon, kit.Ledger()
        code = self.chance.choice(faults.KINDS[kind][1])
        with daemon.raw(timeout=WAIT_S) as raw:
            assert raw.call("ping") == "pong"  # what it takes to let it in is not the story's
            telling = story(daemon, raw, ledger)
            next(telling)
            daemon.arm(kind, nth, is_lasting, code, site)
            # what the daemon tries again until it goes well, goes well in time
            lift = threading.Timer(LASTS_S, daemon.lift)
            lift.start()
            try:
                next(telling, None)
                outcome = "went on"
            except kit.Refused as error:
                outcome = error.code
            except kit.NotReached:
                outcome = "went on otherwise"
            except TimeoutError:
                outcome = "no answer"
            except OSError:
                outcome = "closed"
            finally:
                lift.cancel()
                lift.join()
                has_failed = daemon.disarm()
            self.outcomes[outcome] += has_failed
            assert outcome != "no answer" and (has_failed or outcome == "went on"), outcome
            next(telling, None)
            telling.close()
        self.check(ledger, story is scenarios.shutdown)
        return has_failed

    def check(self, ledger, may_end):
        daemon = self.daemon
        if may_end and daemon.process.poll() is not None:
            assert daemon.process.returncode >= 0, daemon.process.returncode
            daemon.start()
            self.bounds, self.rss = daemon.bounds(), daemon.resident()
        assert daemon.is_alive(), f"the daemon ended: {daemon.process.poll()}"
        # a job that names what it computes goes on without its client
        kit.eventually(lambda: daemon.stat()["jobs"] == 0, what="no job is left")
        with daemon.raw(timeout=WAIT_S) as raw:
            kit.eventually(lambda: has_checked(ledger, raw), what="the disk is tried again")
        self.bounds.check()
        daemon.delete_all()
        # what could not be removed is tried again
        kit.eventually(lambda: daemon.stat()["memory"]["held"] == 0, what="held memory is free")
        kit.eventually(lambda: daemon.stat()["memory"]["spilled"] == 0, what="no file counts")
        stat = kit.check_conserved(daemon)
        assert stat["memory"]["live"] == 0 and stat["lost"] == 0, stat

    def point(self, name, kind, nth, is_lasting, site=None):
        """`live`, and what goes wrong is kept; with a new daemon, then."""
        try:
            return self.live((STORIES | MANY)[name], kind, nth, is_lasting, site)
        except Exception as problem:
            daemon = self.daemon
            sites = "; ".join(map(faults.describe, daemon.here))
            self.problems.append(f"{name}, {kind} {nth}{' on' * is_lasting}: "
                                 f"{type(problem).__name__} {problem}, "
                                 f"status {daemon.process.poll()}\n    at {sites}")
            daemon.destroy()
            if len(self.problems) > MOST_PROBLEMS:
                raise AssertionError("\n".join(self.problems)) from problem
            self.begin()
            return True
        finally:
            self.failed |= self.daemon.failed
            for place in self.daemon.seen:
                self.seen[place].add(name)
            self.daemon.seen.clear()

    def points(self, name, kind):
        """Every call of the kind, once and lasting; how many failed."""
        n_failed = 0
        self.point(name, kind, 0, False)  # where it goes anyway
        for is_lasting in False, True:
            nth = 1
            while self.point(name, kind, nth, is_lasting):
                nth += 1
            n_failed += nth - 1
        return n_failed

    def some_points(self, name, kind):
        """Each so-manieth call, once, and all of them; how many failed."""
        n_failed, nth = self.point(name, kind, 1, True), 1
        while self.point(name, kind, nth, False):
            n_failed, nth = n_failed + 1, nth + DISK_STEP
        return n_failed

    def missed(self):
        return sorted(set(self.seen) - self.failed)

    def reach_all(self):
        """What was missed, and what is come to meanwhile."""
        tried = set()
        while left := set(self.missed()) - tried:
            place = min(left)
            tried.add(place)
            self.reach(place)

    def reach(self, place):
        """A place that is come to now and then, if a table grows above all. Whether it failed."""
        for attempt in range(TRIES):
            names = sorted(self.seen[place])
            if attempt % (TRIES // 2) == 0:  # some are come to at the beginning only
                self.daemon.destroy()
                self.begin()
                names = list(MANY) + names
            for name in names:
                if self.point(name, place[0], 1, False, place):
                    return True
        return False


def run(counts, seed, report):
    row = Faults(report, seed)
    for name in STORIES if report.is_full else QUICK_STORIES:
        for kind in faults.KINDS:
            n_failed = row.points(name, kind)
            report.found("faults", n_failed)
            report.did("faults", n_failed)
        report.did("stories")
    if not report.is_full:
        n_failed = sum(row.some_points("spill", kind) for kind in DISK)
        report.found("faults", n_failed)
        report.did("faults", n_failed)
        report.did("stories")
    row.reach_all()
    row.end()
    report.say(", ".join(f"{outcome} {n}" for outcome, n in sorted(row.outcomes.items())))
    report.say(f"{len(row.failed)} of {len(row.seen)} places that were reached failed")
    assert not row.problems, "\n".join(row.problems)
    assert not row.missed(), list(map(faults.describe, row.missed()))
