# SPDX-License-Identifier: MIT
"""Tensors of every class, of one owner, for rows about who may do what."""

import contextlib
import os
import re

import hostile
import kit
import numpy
from hostile import NOBODY

METHODS = set(re.findall(r'^TD_METHOD\(\w+, "(\w+)"',
                         (kit.TOP / "include/tensord/methods.def").read_text(), re.MULTILINE))
SMALL, LARGE = 100, 2000  # float64
VALUE = 3.25
OWNER = NOBODY


class Thing:
    """A tensor of the owner's, of one class."""

    n_made = 0

    def __init__(self, raw, n, has_name=True, state="sealed", shared=False, kind=None):
        Thing.n_made += 2
        self.raw, self.n, self.state, self.shared = raw, n, state, shared
        self.name = f"thing {Thing.n_made}" if has_name else None
        self.handle = 1_000_000 + Thing.n_made
        self.data = numpy.full(n, VALUE).tobytes()
        keys = {"name": self.name} if has_name and kind != "snapshot" else {}
        if n == SMALL and state == "sealed":
            made = raw.call("put", handle=self.handle, dtype="float64", shape=[n], data=self.data,
                            **keys)
        else:
            made = raw.call("create", handle=self.handle, dtype="float64", shape=[n],
                            mutable=state == "mutable", **keys)
            self.fd = hostile.writable_fd(raw, {**made, "handle": self.handle})
            with kit.mapped(self.fd, made, writable=True) as data:
                data[:] = self.data
            os.close(self.fd)
            if state != "unsealed":
                made = raw.call("seal", handle=self.handle)
        if kind == "lent":
            raw.call("lend", handles=[self.handle])
        if kind == "snapshot":
            made = raw.call("snapshot", handle=self.handle, result=self.handle + 1,
                            **{"as": self.name})
            raw.call("release", handles=[self.handle])
            self.handle, self.state = self.handle + 1, "sealed"
        if shared:
            made = raw.call("share", name=self.name)
        if shared is None:  # not any more
            raw.call("share", name=self.name)
            made = raw.call("share", name=self.name, shared=False)
        self.id, self.segment = made["id"], made.get("segment", 0)

    def check(self):
        """It is what it was."""
        raw = self.raw
        stat = raw.call("stat", handle=self.handle)
        assert stat["tensor"]["state"] == self.state and stat.get("leases", 0) == 0, stat
        assert stat["tensor"].get("name") == (None if self.state == "unsealed" else self.name)
        assert stat["tensor"].get("shared", False) is bool(self.shared), stat
        if self.state == "unsealed":
            raw.call("seal", handle=self.handle)
        [low, high] = raw.run([["min", [0], {}], ["max", [0], {}]], [{"handle": self.handle}],
                              [{"value": 1}, {"value": 2}])
        assert low["data"] == high["data"] == self.data[:8]

    def end(self):
        self.raw.notify("release", handles=[self.handle])
        if self.segment:
            self.raw.notify("unmap", segments=[self.segment])
        if self.name:
            with contextlib.suppress(kit.Refused):
                self.raw.call("delete", name=self.name)


CLASSES = {
    "small": lambda raw: Thing(raw, SMALL),
    "large": lambda raw: Thing(raw, LARGE),
    "anonymous small": lambda raw: Thing(raw, SMALL, has_name=False),
    "anonymous large": lambda raw: Thing(raw, LARGE, has_name=False),
    "unsealed": lambda raw: Thing(raw, LARGE, state="unsealed"),
    "unsealed anonymous": lambda raw: Thing(raw, LARGE, has_name=False, state="unsealed"),
    "mutable": lambda raw: Thing(raw, LARGE, state="mutable"),
    "mutable anonymous": lambda raw: Thing(raw, LARGE, has_name=False, state="mutable"),
    "shared small": lambda raw: Thing(raw, SMALL, shared=True),
    "shared large": lambda raw: Thing(raw, LARGE, shared=True),
    "shared no more": lambda raw: Thing(raw, LARGE, shared=None),
    "snapshot": lambda raw: Thing(raw, LARGE, state="mutable", kind="snapshot"),
    "shared snapshot": lambda raw: Thing(raw, LARGE, state="mutable", kind="snapshot",
                                         shared=True),
    "lent": lambda raw: Thing(raw, LARGE, has_name=False, kind="lent"),
    "lent small": lambda raw: Thing(raw, SMALL, has_name=False, kind="lent"),
}



def opened(raw, ref, **keys):
    """Its description, and the handle that it was opened under."""
    handle = raw.handle()
    return raw.call("open", handle=handle, **ref, **keys) | {"handle": handle}
