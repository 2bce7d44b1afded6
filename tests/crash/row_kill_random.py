# SPDX-License-Identifier: MIT
"""kill -9 at random moments under eight clients."""
import random
import threading

import kit

NAME = "kill_random"
CHECKS = "each name has the value acknowledged last or one under way; bytes of files = charges"
QUICK = {"kills": 100}
FULL = {"kills": 2000}
LIMIT_S = (120, 1800)

N_CLIENTS = 8
SIZES = (0, 8, 100, 4096, 4097, 20_000)


class Client(threading.Thread):
    """Puts, creates, replaces, deletes and computes names of its own, until the daemon dies."""

    def __init__(self, daemon, ledger, number, seed):
        super().__init__()
        self.daemon, self.ledger, self.number = daemon, ledger, number
        self.chance = random.Random(f"{seed} {number}")
        self.problem = None

    def run(self):
        try:
            with self.daemon.raw() as raw:
                while True:
                    self.step(raw)
        except TimeoutError as problem:
            self.problem = problem
        except OSError:
            pass  # the daemon is gone
        except Exception as problem:
            self.problem = problem

    def step(self, raw):
        name = f"{self.number} {self.chance.randrange(3)}"
        kind = self.chance.randrange(6)
        is_there = self.ledger.allowed.get(name, [None])[-1] is not None
        if kind == 0 and is_there:
            self.ledger.sent(name, None)
            raw.call("delete", name=name)
        elif kind == 1:
            value = self.chance.randrange(256)
            self.ledger.sent(name, bytes([value]) * 20_000)
            raw.run([["full", [], {"shape": [20_000], "dtype": "uint8", "value": value}]],
                    outputs=[{"value": 0, "name": name, "replace": True}])
        elif kind == 2:
            # never sealed: it must never be seen
            handle = raw.handle()
            made = raw.call("create", handle=handle, dtype="uint8", shape=[10_000])
            kit.write(raw, made, b"unsealed")
            kit.forget(raw, made, handle)
            return
        else:
            data = kit.some_bytes(self.chance, self.chance.choice(SIZES))
            self.ledger.sent(name, data)
            kit.store(raw, name, data)
        self.ledger.acknowledged(name)


def run(counts, seed, report):
    chance, ledger = random.Random(seed), kit.Ledger()
    daemon = report.daemon()
    n_acknowledged = 0
    for cycle in range(counts["kills"]):
        clients = [Client(daemon, ledger, number, f"{seed} {cycle}") for number in range(N_CLIENTS)]
        for client in clients:
            client.start()
        # so many round trips of our own among theirs, and then the kill
        with daemon.raw() as raw:
            for _ in range(chance.randrange(1, 60)):
                raw.call("ping")
        daemon.kill9()
        for client in clients:
            client.join()
            if client.problem:
                raise client.problem
        daemon.start()
        with daemon.raw() as raw:
            ledger.check(raw)
        kit.check_conserved(daemon)
        n_acknowledged += sum(len(values) for values in ledger.allowed.values())
        report.did("kills")
    daemon.finish()
