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
        if kind == 0 and self.ledger.allowed.get(name, [None]) != [None]:
            with self.ledger.writing(**{name: None}):
                raw.call("delete", name=name)
        elif kind == 1:
            value = self.chance.randrange(256)
            both = {name: bytes([value]) * 20_000, f"{self.number} too": bytes([value]) * 10}
            with self.ledger.writing(**both):
                raw.run([["full", [], {"shape": [len(data)], "dtype": "uint8", "value": value}]
                         for data in both.values()],
                        outputs=[{"value": i, "name": name, "replace": True}
                                 for i, name in enumerate(both)])
        elif kind == 2:
            # never sealed: it must never be seen
            handle = raw.handle()
            made = raw.call("create", handle=handle, dtype="uint8", shape=[10_000])
            kit.write(raw, made, b"unsealed")
            kit.forget(raw, made, handle)
        else:
            data = kit.some_bytes(self.chance, self.chance.choice(SIZES))
            with self.ledger.writing(**{name: data}):
                kit.store(raw, name, data)


def run(counts, seed, report):
    chance, ledger = random.Random(seed), kit.Ledger()
    daemon = report.daemon()
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
        report.did("kills")
    daemon.finish()
