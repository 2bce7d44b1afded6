# SPDX-License-Identifier: MIT
"""Who may do what: every class of tensor, every user, every method by every way to speak of a
tensor.

A tensor is made by its owner, then one of three tries one thing: another connection of its owner,
a stranger, or root, which administers. What is refused must be refused with the right code and
change nothing; what is allowed must show just the values. A method of methods.def without cells
here fails the row.
"""

import contextlib
import os

import hostile
import kit
import numpy
from hostile import NOBODY, OTHER
from things import CLASSES, METHODS, VALUE, opened

NAME = "access"
CHECKS = ("each is answered as PROTOCOL.md says, what is refused changes nothing, what is allowed "
          "shows just the values")
QUICK = FULL = {"cells": None}
NEEDS_ROOT = True
LIMIT_S = (120, 300)

ABSENT = {"not_found"}
OWNER, STRANGER, ROOT = "owner", "stranger", "root"
UIDS = {OWNER: NOBODY, STRANGER: OTHER, ROOT: 0}


# ---- ways to speak of it ----


def refs(thing):
    """{way: keys}"""
    found = {"id": {"id": thing.id}, "handle": {"handle": thing.handle}}
    if thing.name:
        found["name"] = {"name": thing.name}
        found["owner"] = {"name": thing.name, "owner": NOBODY}
    return found


def is_visible(thing, who, way):
    """May it be read by that?"""
    if way == "handle":
        return False  # of another connection
    if thing.state == "unsealed" and way != "id":
        return False
    if who == OWNER:
        return True
    return bool(thing.shared) and way != "name"


def reading(thing, who, way):
    """Codes of what only reads."""
    if not is_visible(thing, who, way):
        return ABSENT
    return {"not_sealed"} if thing.state == "unsealed" else {"ok"}


def others(thing, who, way, owners):
    """Codes of what only its owner may do, and what the owner gets."""
    if not is_visible(thing, who, way):
        return ABSENT
    if thing.state == "unsealed":
        return {"not_sealed"}
    return owners if who == OWNER else {"not_owner"}


# ---- cells: each yields (what, function, codes, whether nothing may have changed) ----


def total(raw, ref, **keys):
    [out] = raw.run([["max", [0], {}]], [{**ref, **keys}])
    assert numpy.frombuffer(out["data"])[0] == VALUE, "what was read is not what it holds"


def look(raw, ref, should_map):
    made = opened(raw, ref, map=should_map)
    if should_map and not made["fds"]:  # small, and another's
        assert numpy.frombuffer(made["data"])[-1] == VALUE
    elif should_map:
        fd = raw.fds.pop()
        with kit.mapped(fd, made) as data:
            assert numpy.frombuffer(bytes(data))[-1] == VALUE
        os.close(fd)


def cells_open(thing, who, way, ref):
    if way == "handle":
        return
    for should_map in False, True:
        codes = reading(thing, who, way)
        yield "open", lambda raw, m=should_map: look(raw, ref, m), codes, True


def cells_map(thing, who, way, ref):
    if way == "handle":
        for keys in {}, {"writable": True}:
            yield "map", lambda raw, keys=keys: raw.call("map", **ref, **keys), ABSENT, True
        return
    codes = others(thing, who, way, {"sealed" if thing.state == "sealed" else "not_mutable"})
    yield ("map writable", lambda raw: raw.call("map", handle=opened(raw, ref)["handle"],
                                                writable=True), codes, True)


def cells_seal(thing, who, way, ref):
    codes = {"not_found", "not_creator", "bad_arguments", "sealed"}
    yield "seal", lambda raw: raw.call("seal", **ref), codes, True


def cells_names(thing, who, way, ref):
    for method in "name", "replace":
        def give(raw, method=method):
            handle = ref["handle"] if way == "handle" else opened(raw, ref)["handle"]
            raw.call(method, handle=handle, name="stolen")
        has_effect = who == OWNER and is_visible(thing, who, way) and thing.state != "unsealed"
        codes = others(thing, who, way, {"ok", "name_taken", "bad_arguments"})
        yield method, give, codes, not has_effect


def cells_delete(thing, who, way, ref):
    if way not in ("name", "owner"):
        return
    codes = others(thing, who, way, {"ok"})
    if who == ROOT and way == "owner" and thing.state != "unsealed":
        codes = {"ok"}  # it administers
    if thing.state == "unsealed" and (who == OWNER or who == ROOT and way == "owner"):
        codes = {"name_taken"}  # reserved, to writers
    yield "delete", lambda raw: raw.call("delete", **ref), codes, "ok" not in codes


def cells_lease(thing, who, way, ref):
    for writable in False, True:
        codes = others(thing, who, way, {"ok" if thing.state == "mutable" else "not_mutable"})
        if way == "owner":
            codes = {"bad_arguments"}  # nobody leases what is another's, so there is no such key

        def lease(raw, writable=writable):
            raw.call("lease", lease=1, writable=writable, **ref)
            raw.call("unlease", leases=[1])
        yield "lease", lease, codes, True


def cells_stat(thing, who, way, ref):
    codes = reading(thing, who, way)
    if thing.state == "unsealed" and "not_sealed" in codes:
        codes = {"ok", "not_sealed"}
    if who == ROOT and way == "owner" and thing.state != "unsealed":
        codes = {"ok"}
    yield "stat", lambda raw: raw.call("stat", **ref), codes, True


def cells_run(thing, who, way, ref):
    yield "run", lambda raw: total(raw, ref), reading(thing, who, way), True

    def write(raw):
        raw.call("run", inputs=[ref], nodes=[["negative", [0], {}]],
                 outputs=[{"value": 1, "into": 0}])
    codes = others(thing, who, way, {"ok" if thing.state == "mutable" else "not_mutable"})
    yield "run into", write, codes, "ok" not in codes

    def donate(raw):
        handle = ref["handle"] if way == "handle" else opened(raw, ref)["handle"]
        raw.run([["negative", [0], {}]], [{"handle": handle, "donate": True}],
                [{"value": 1, "handle": raw.handle()}])
    yield "run donate", donate, reading(thing, who, way), True


def cells_call(thing, who, way, ref):
    def call(raw):
        raw.call("define", definition=1, inputs=[{"dtype": "float64", "shape": [thing.n]}],
                 nodes=[["max", [0], {}]], outputs=[{"value": 1}])
        [out] = raw.call("call", definition=1, inputs=[ref], outputs=[{}])["outputs"]
        assert numpy.frombuffer(out["data"])[0] == VALUE
    yield "define, call", call, reading(thing, who, way), True


def cells_share(thing, who, way, ref):
    if way != "name":
        return
    if thing.state == "unsealed" or who != OWNER:
        codes = ABSENT
    else:
        codes = {"mutable" if thing.state == "mutable" else "ok"}
    for shared in True, False:
        if not shared and thing.state == "mutable":
            codes = codes | {"ok"}
        yield ("share", lambda raw, s=shared: raw.call("share", name=thing.name, shared=s), codes,
               "ok" not in codes or thing.state == "mutable")


def cells_snapshot(thing, who, way, ref):
    def copy(raw):
        handle = raw.handle()
        raw.call("snapshot", result=handle, **ref)
        total(raw, {"handle": handle})
    yield "snapshot", copy, reading(thing, who, way), True


def cells_lend(thing, who, way, ref):
    def lend(raw):
        handle = ref["handle"] if way == "handle" else opened(raw, ref)["handle"]
        raw.call("lend", handles=[handle])
    yield "lend", lend, others(thing, who, way, {"ok"}), True


def cells_wait(thing, who, way, ref):
    if way not in ("name", "owner"):
        return
    codes = {"ok"} if is_visible(thing, who, way) else {"deadline_exceeded"}

    def wait(raw):
        handle = raw.handle()
        raw.call("wait", wait_ms=0, handle=handle, **ref)
        total(raw, {"handle": handle})
    yield "wait", wait, codes, True


def cells_holders(thing, who, way, ref):
    codes = others(thing, who, way, {"ok"})
    if thing.state == "unsealed" and "not_sealed" in codes:
        codes = {"ok", "not_sealed"}
    if who == ROOT and (way == "owner" or codes == {"not_owner"}) and thing.state != "unsealed":
        codes = {"ok"}
    yield "holders", lambda raw: raw.call("holders", **ref), codes, True


def cells_same_name(thing, who, way, ref):
    """A name of one's own that is called as the owner's: no matter."""
    if way != "name":
        return
    data = {"dtype": "float64", "shape": [1], "data": bytes(8)}
    taken = {"name_taken"} if who == OWNER else {"ok"}

    def put(raw):
        raw.call("put", name=thing.name, **data)
        raw.call("delete", name=thing.name)

    def create(raw):
        handle = raw.handle()
        raw.call("create", name=thing.name, handle=handle, dtype="int8", shape=[5000])
        raw.close_fds()
        raw.call("seal", handle=handle)
        raw.call("delete", name=thing.name)
    yield "put", put, taken, True
    yield "create", create, taken, True


def cells_numbers(thing, who, way, ref):
    """Numbers of the owner's connection mean nothing on another."""
    if way != "handle":
        return
    for method, keys in (("release", {"handles": [thing.handle]}),
                         ("unmap", {"segments": [thing.segment]}), ("unlease", {"leases": [1]}),
                         ("undefine", {"definitions": [1]}), ("cancel", {"msgid": 1}),
                         ("cancel", {"handle": thing.handle}), ("cancel", {"request": 1})):
        yield method, lambda raw, m=method, k=keys: raw.call(m, **k), {"ok"}, True


def cells_list(thing, who, way, ref):
    """Names show where they may be read, to who may administer, and nowhere else."""
    if way not in ("name", "owner"):
        return

    def see(raw):
        keys = {"owner": NOBODY} if way == "owner" else {}
        rows = [row for row in raw.call("list", **keys)["tensors"] if row["name"] == thing.name]
        should = is_visible(thing, who, way) or (
            who == ROOT and way == "owner" and thing.state != "unsealed")
        assert len(rows) == should, (rows, should)
        assert all(row["id"] == thing.id for row in rows)
    yield "list", see, {"ok"}, True


def cells_neutral(thing, who, way, ref):
    """What speaks of no tensor."""
    if way != "id":
        return
    for method, keys, codes in (("ping", {}, {"ok"}), ("hello", {"version": 1}, {"ok"}),
                                ("ops", {}, {"ok"}),
                                ("infer", {"name": "k", "inputs": []}, {"unknown_op"})):
        yield method, lambda raw, m=method, k=keys: raw.call(m, **k), codes, True


# The methods that a function's cells are about; every method must be here.
CELLS = {
    cells_open: {"open"}, cells_map: {"map"}, cells_seal: {"seal"},
    cells_names: {"name", "replace"}, cells_delete: {"delete"}, cells_lease: {"lease"},
    cells_stat: {"stat"}, cells_run: {"run"}, cells_call: {"define", "call"},
    cells_same_name: {"put", "create"}, cells_list: {"list"},
    cells_numbers: {"release", "unmap", "unlease", "undefine", "cancel"},
    cells_neutral: {"ping", "hello", "ops", "infer"}, cells_share: {"share"},
    cells_snapshot: {"snapshot"}, cells_lend: {"lend"}, cells_wait: {"wait"},
    cells_holders: {"holders"},
}


def matrix(daemon, report):
    missing = METHODS - set().union(*CELLS.values())
    assert not missing, f"methods that row_access.py says nothing of: {missing}"
    wrong = []
    with hostile.connect_as(NOBODY, daemon.path) as owner:
        for class_name, make in CLASSES.items():
            for who, uid in UIDS.items():
                for make_cells in CELLS:
                    wrong += fill(daemon, report, owner, make, who, uid, make_cells, class_name)
    assert not wrong, f"{len(wrong)} cells are wrong:\n" + "\n".join(wrong[:60])


def fill(daemon, report, owner, make, who, uid, make_cells, class_name):
    """All cells of some methods for one class and user; those that are wrong, as text."""
    wrong, sample = [], make(owner)
    places = [(way, i) for way, ref in refs(sample).items()
              for i, _ in enumerate(make_cells(sample, who, way, ref))]
    sample.end()
    for way, i in places:
        thing = make(owner)
        what, function, codes, is_same = list(make_cells(thing, who, way, refs(thing)[way]))[i]
        with hostile.connect_as(uid, daemon.path) as raw:
            code = "ok"
            try:
                function(raw)
            except kit.Refused as error:
                code = error.code
            except AssertionError as error:
                code = f"ok, but {error}"
            if code not in codes:
                wrong.append(f"{class_name}, {who} by {way}: {what}: {code}, not {codes}")
        try:
            if is_same:
                thing.check()
        except (kit.Refused, AssertionError) as error:
            wrong.append(f"{class_name}, {who} by {way}: {what}: {code}, then it changed: {error}")
        thing.end()
        for uid_left in NOBODY, OTHER, 0:
            with hostile.effective_uid(uid_left), contextlib.suppress(kit.Refused), \
                    daemon.raw() as raw:
                raw.call("delete", name="stolen")
        report.found("cells", 1)
        report.did("cells")
    return wrong


def run(counts, seed, report):
    daemon = hostile.open_to_all(report, "--memory", "256M")
    bounds = daemon.bounds(is_warm=True)
    matrix(daemon, report)
    hostile.at_rest(daemon)
    bounds.check()
    daemon.finish()
