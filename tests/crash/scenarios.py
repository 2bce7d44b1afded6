# SPDX-License-Identifier: MIT
"""Short stories of a daemon, for the rows that kill it, or starve it, anywhere in them.

Each is a generator ``story(daemon, raw, ledger)``: what comes before its only ``yield`` is
preparation, what comes behind it is what the row interferes with. All that a client may count on is
told to the ledger. A story that did not come to what it is about raises `kit.NotReached`.
"""
import os
import time

import kit

LARGE = 20_000  # in a segment of its own
SIZE = 4000  # of what lies in the catalog
MANY = 340  # a table of 32 lists grows when one of them has 10
MIB = 1 << 20


def pattern(number, n_bytes):
    return bytes([number % 251 + 1]) * n_bytes


def full(number, n_bytes):
    """A node that computes `pattern`."""
    return ["full", [], {"shape": [n_bytes], "dtype": "uint8", "value": number % 251 + 1}]


def put(daemon, raw, ledger):
    yield
    with ledger.writing(x=pattern(1, SIZE)):
        kit.store(raw, "x", pattern(1, SIZE))
    with ledger.writing(y=b""):
        kit.store(raw, "y", b"", op_id=os.urandom(16))


def create(daemon, raw, ledger):
    """Never sealed: it is never there."""
    yield
    with ledger.writing():
        kit.create(raw, "unsealed", pattern(1, LARGE), seal=False)
    with ledger.writing():
        kit.create(raw, "unsealed too", pattern(1, 2 * MIB), seal=False)


def seal(daemon, raw, ledger):
    handle = raw.handle()
    made = raw.call("create", handle=handle, dtype="uint8", shape=[LARGE], name="x",
                    op_id=os.urandom(16))
    kit.write(raw, made, pattern(1, LARGE))
    yield
    with ledger.writing(x=pattern(1, LARGE)):
        raw.call("seal", handle=handle)


def run(daemon, raw, ledger):
    """Three names at once: all or none."""
    yield
    with ledger.writing(a=pattern(1, LARGE), b=pattern(2, 3 * MIB), c=pattern(3, 8)):
        raw.run([full(1, LARGE), full(2, 3 * MIB), full(3, 8)],
                outputs=[{"value": i, "name": name} for i, name in enumerate("abc")])


def in_place(daemon, raw, ledger):
    """A mutable tensor written by a program."""
    kit.create(raw, "m", pattern(1, MIB), mutable=True)
    ledger.wrote(m=pattern(1, MIB))
    yield
    with ledger.writing(m=kit.Mixture(pattern(1, MIB), pattern(2, MIB))):
        raw.run([full(2, MIB)], [{"name": "m"}], [{"value": 1, "into": 0}])
        ledger.wrote(m=pattern(2, MIB))


def name(daemon, raw, ledger):
    """What a program left unnamed is named."""
    handle = raw.handle()
    raw.run([full(1, LARGE)], outputs=[{"value": 0, "handle": handle}])
    raw.put([1.0], handle=raw.handle())
    yield
    with ledger.writing(x=pattern(1, LARGE)):
        raw.call("name", handle=handle, name="x", op_id=os.urandom(16))


def replace(daemon, raw, ledger):
    """A name gets another value, large for small and small for large."""
    with ledger.writing(x=pattern(1, LARGE), y=pattern(1, SIZE)):
        kit.store(raw, "x", pattern(1, LARGE))
        kit.store(raw, "y", pattern(1, SIZE))
    handle = raw.handle()
    raw.run([full(2, LARGE)], outputs=[{"value": 0, "handle": handle}])
    yield
    with ledger.writing(x=pattern(2, LARGE)):
        raw.call("replace", handle=handle, name="x")
    with ledger.writing(x=pattern(3, SIZE)):
        kit.store(raw, "x", pattern(3, SIZE))
    with ledger.writing(y=pattern(4, 2 * MIB)):
        kit.store(raw, "y", pattern(4, 2 * MIB))


def delete(daemon, raw, ledger):
    sizes = {"x": LARGE, "y": SIZE, "z": 2 * MIB}
    for name_, size in sizes.items():
        with ledger.writing(**{name_: pattern(1, size)}):
            kit.store(raw, name_, pattern(1, size))
    yield
    for name_ in sizes:
        with ledger.writing(**{name_: None}):
            raw.call("delete", name=name_, op_id=os.urandom(16))


def lease(daemon, raw, ledger):
    """Half of a mutable tensor is written in place under a lease."""
    old, new = pattern(1, MIB), pattern(2, MIB // 2) + pattern(1, MIB // 2)
    kit.create(raw, "m", old, mutable=True)
    ledger.wrote(m=old)
    view = {"shape": [MIB // 2], "strides": [1], "offset": 0}
    yield
    with ledger.writing(m=kit.Mixture(old, new)):
        leased = raw.call("lease", name="m", lease=1, view=view, writable=True)
        kit.write(raw, leased, new[:MIB // 2])
        raw.call("unlease", leases=[1])
        ledger.wrote(m=new)
    raw.call("lease", name="m", lease=2)


def reclaim(daemon, raw, ledger):
    """Clients go and leave things behind; what is idle is given back for what is wanted."""
    limit = raw.call("stat")["memory"]["limit"]
    with ledger.writing(x=pattern(1, LARGE)):
        kit.store(raw, "x", pattern(1, LARGE))
    for i in range(3):  # freed segments, kept warm
        handle = raw.handle()
        raw.run([full(i, 200_000)], outputs=[{"value": 0, "handle": handle}])
        raw.notify("release", handles=[handle])
    other = daemon.raw()
    for size in LARGE, 2 * MIB:
        kit.create(other, f"unsealed {size}", pattern(1, size), seal=False)
        parked = other.handle()
        made = other.call("create", handle=parked, dtype="uint8", shape=[size])
        os.close(kit.take(other, made))
        other.notify("release", handles=[parked])
    assert other.call("ping") == "pong"
    yield
    other.close()
    kit.eventually(lambda: raw.call("stat")["connections"] == 1, what="the other client is gone")
    handle = raw.handle()
    with ledger.writing():
        before = raw.call("stat")["memory"]["idle"]
        made = raw.call("create", handle=handle, dtype="uint8", shape=[limit - 2 * MIB])
        os.close(kit.take(raw, made))
        if raw.call("stat")["memory"]["idle"] >= before:
            raise kit.NotReached("nothing idle was given back")
        kit.forget(raw, made, handle)


def evict(daemon, raw, ledger):
    """What is evictable goes for what is wanted, one after the other; what is not stays."""
    values = {"a": pattern(1, 3 * MIB), "b": pattern(2, 3 * MIB), "k": pattern(3, LARGE)}
    for name_, value in values.items():
        raw.run([full(value[0] - 1, len(value))],
                outputs=[{"value": 0, "name": name_, "evictable": name_ != "k"}])
    ledger.wrote(**values)
    stat = raw.call("stat")
    limit, before = stat["memory"]["limit"], stat["evictions"]
    yield
    made = []
    for name_, size in ("a", limit * 5 // 8), ("b", 3 * MIB):
        handle = raw.handle()
        ledger.sent(**{name_: None})  # it goes, even where what it goes for is refused
        made.append((raw.call("create", handle=handle, dtype="uint8", shape=[size]), handle))
        ledger.acknowledged(**{name_: None})
        os.close(kit.take(raw, made[-1][0]))
    if raw.call("stat")["evictions"] != before + 2:
        raise kit.NotReached("not both were evicted, or more than these")
    for created, handle in made:
        kit.forget(raw, created, handle)


def grow(daemon, raw, ledger):
    """More is named at once than the catalog has room for: it grows where it lies."""
    catalog = daemon.shm_directory / f"{daemon.prefix}.catalog"

    def look():
        """(inode, size, bytes left)"""
        with open(catalog, "rb") as file:
            stat = os.fstat(file.fileno())
            file.seek(2048)
            tail = int.from_bytes(file.read(8), "little") >> 16
        return stat.st_ino, stat.st_size, stat.st_size - tail

    def fill():
        """Until what one program can name is more than is left."""
        while look()[2] > 50 * SIZE:
            with ledger.writing(x=pattern(1, SIZE)):
                kit.store(raw, "x", pattern(1, SIZE))

    fill()
    yield
    for attempt in range(5):  # a worker may be making it anew, beside
        fill()
        inode, size, left = look()
        if left > 50 * SIZE:
            continue  # it was made anew in between
        values = {f"{attempt} {i}": pattern(i, SIZE) for i in range(left // SIZE + 2)}
        with ledger.writing(**values):
            raw.run([full(i, SIZE) for i in range(len(values))],
                    outputs=[{"value": i, "name": name_} for i, name_ in enumerate(values)])
        now = look()
        if now[0] == inode and now[1] > size:
            return
    raise kit.NotReached("the catalog did not grow where it lies")


def many(daemon, raw, ledger):
    """More of everything than fits into a table as it is made: each grows."""
    yield
    for i in range(MANY):
        handle = raw.handle()
        value = pattern(i, 8)
        with ledger.writing(**{f"n{i}": value}):
            kit.store(raw, f"n{i}", value, op_id=os.urandom(16), handle=handle)
        try:  # what came of it is kept
            raw.call("put", dtype="uint8", shape=[8], data=value, name=f"n{i}",
                     op_id=os.urandom(16))
        except kit.Refused as error:
            if error.code != "name_taken":
                raise
        made = raw.call("create", handle=raw.handle(), dtype="uint8", shape=[SIZE + 100])
        os.close(kit.take(raw, made))


def compaction(daemon, raw, ledger):
    """Values replaced until the catalog is written anew."""
    catalog = daemon.shm_directory / f"{daemon.prefix}.catalog"

    def put_until_new(share=1, wait_s=1):
        """As many as fill it, or so much of it, as large as it is then; and a worker makes it."""
        first, i = catalog.stat().st_ino, 0
        while i < share * (catalog.stat().st_size // SIZE + 10):
            value, once = pattern(i, SIZE), {"op_id": os.urandom(16)} if i % 8 == 0 else {}
            i += 1
            with ledger.writing(x=value):
                kit.store(raw, "x", value, **once)
            if catalog.stat().st_ino != first:
                return True
        deadline = time.monotonic() + wait_s
        while (is_old := catalog.stat().st_ino == first) and time.monotonic() < deadline:
            time.sleep(0.001)
        return not is_old

    with ledger.writing(kept=pattern(7, SIZE), segment=pattern(8, LARGE)):
        kit.store(raw, "kept", pattern(7, SIZE))
        kit.store(raw, "segment", pattern(8, LARGE))
    assert put_until_new()
    put_until_new(0.5, 0)
    yield
    if not put_until_new():
        raise kit.NotReached("the catalog is as it was")


def shutdown(daemon, raw, ledger):
    """Told to end, with clients and a job under way."""
    with ledger.writing(x=pattern(1, LARGE), y=pattern(2, SIZE)):
        kit.store(raw, "x", pattern(1, LARGE))
        kit.store(raw, "y", pattern(2, SIZE))
    kit.create(raw, "unsealed", pattern(1, LARGE), seal=False)
    yield
    daemon.process.terminate()
    while raw.receive() is not None:
        pass
    daemon.process.wait(20)


def spill(daemon, raw, ledger):
    """Named tensors move to files and back; one is replaced there, one deleted."""
    names = [f"s{i}" for i in range(6)]

    def store(name_, number):
        with ledger.writing(**{name_: pattern(number, 3 * MIB)}):
            kit.store(raw, name_, pattern(number, 3 * MIB))

    for i, name_ in enumerate(names[:5]):
        store(name_, i)
    yield
    store(names[5], 5)  # there is room for five
    spilled = [row["name"] for row in raw.call("list")["tensors"] if row.get("spilled")]
    if not spilled:
        raise kit.NotReached("nothing was spilled")
    for name_ in names[:2]:
        with ledger.writing():
            if kit.load(raw, name_) != pattern(int(name_[1:]), 3 * MIB):
                raise AssertionError(f"{name_} is another")
    spilled = [row["name"] for row in raw.call("list")["tensors"] if row.get("spilled")]
    with ledger.writing(**{spilled[0]: None}):
        raw.call("delete", name=spilled[0])
    store(names[0], 7)
    store("more", 8)


STORIES = {story.__name__: story for story in (
    create, put, seal, run, in_place, name, replace, delete, lease, reclaim, evict, grow,
    compaction, spill, shutdown)}
