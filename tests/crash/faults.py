# SPDX-License-Identifier: MIT
"""A daemon whose calls fail when they are told to: the other side of preload_faults.c."""
import errno
import mmap
import struct
import subprocess
from pathlib import Path

import kit

# Kinds of calls, as in preload_faults.c, and what they fail with.
KINDS = {
    "malloc": (1, [errno.ENOMEM]),
    "mmap": (2, [errno.ENOMEM]),
    "open": (3, [errno.EMFILE, errno.ENFILE, errno.ENOMEM]),
    "fallocate": (4, [errno.ENOSPC, errno.ENOMEM, errno.EIO]),
    "ftruncate": (5, [errno.EIO]),
    "accept": (6, [errno.EMFILE, errno.ENFILE, errno.ECONNABORTED, errno.ENOBUFS]),
    "recvmsg": (7, [errno.ENOMEM, errno.ECONNRESET]),
    "sendmsg": (8, [errno.ENOMEM, errno.EPIPE, errno.ENOBUFS, errno.ETOOMANYREFS]),
    "unlink": (9, [errno.EIO, errno.EACCES]),
    "epoll": (10, [errno.ENOSPC, errno.ENOMEM]),
    "thread": (11, [errno.EAGAIN]),
    "rename": (12, [errno.ENOSPC, errno.EIO]),
    "pwrite": (13, [errno.ENOSPC, errno.EIO]),
    "write": (14, [errno.ENOSPC, errno.EIO]),
    "read": (15, [errno.EIO]),
    "sync": (16, [errno.EIO, errno.ENOSPC]),
}
NAMES = {number: name for name, (number, _) in KINDS.items()}

# kind, is_lasting, errno, lost sites, whether only the program's own calls, nth, place, count
HEAD = struct.Struct("<IIIHHQQQ")
SITE = struct.Struct("<QII")  # address, kind, how often it failed
N_SITES = 1024


class FaultyDaemon(kit.Daemon):
    """A daemon with the preloaded library and the file that commands it."""

    def __init__(self, report, number, *options):
        super().__init__(report, number, *options)
        control = self.directory / "faults"
        control.write_bytes(bytes(HEAD.size + N_SITES * SITE.size))
        with open(control, "r+b") as file:
            self.control = mmap.mmap(file.fileno(), 0)
        self.extra_env = {"LD_PRELOAD": str(kit.program("preload_faults.so")),
                          "TENSORD_FAULTS": str(control)}
        self.seen, self.failed = set(), set()  # (kind, file, offset)
        self.here, self.maps = [], []

    def start(self):
        super().start()
        self._maps()

    def arm(self, kind, nth, is_lasting, code, site=None, is_own=False):
        """From now on; nth 0: only look; site: only calls from there count."""
        self.control[HEAD.size:] = bytes(N_SITES * SITE.size)
        number, _ = KINDS[kind]
        # the kind last: it is what the daemon looks at first
        HEAD.pack_into(self.control, 0, 0, is_lasting, code, 0, is_own, nth,
                       self._address(site) if site else 0, 0)
        self.control[0:4] = number.to_bytes(4, "little")

    def lift(self):
        """No more failures."""
        self.control[0:4] = bytes(4)

    def disarm(self):
        """Whether one failed; notes where the calls of that kind were."""
        self.lift()
        _, _, _, lost, _, nth, _, count = HEAD.unpack_from(self.control)
        assert not lost
        self._note_sites()
        return 0 < nth <= count

    def _note_sites(self):
        self.here = []
        maps = None
        for at in range(HEAD.size, len(self.control), SITE.size):
            address, kind, n_failed = SITE.unpack_from(self.control, at)
            if not address:
                continue
            maps = maps or self._maps()
            site = (NAMES[kind], *_place(maps, address))
            self.seen.add(site)
            if n_failed:
                self.failed.add(site)
                self.here.append(site)

    def _address(self, site):
        _, wanted, at = site
        for first, last, offset, path in self.maps:
            if path == wanted and offset <= at < offset + last - first:
                return first + at - offset
        raise AssertionError(f"{site} is not there")

    def _maps(self):
        """[(first, last, offset, path)] of what is executable; as it was last seen."""
        try:
            text = Path(f"/proc/{self.pid}/maps").read_text()
        except OSError:
            text = ""
        found = []
        for line in text.splitlines():
            area, access, offset, _, _, *path = line.split(maxsplit=5)
            if "x" in access and path:
                first, last = (int(word, 16) for word in area.split("-"))
                found.append((first, last, int(offset, 16), path[0]))
        self.maps = found or self.maps
        return self.maps


def _place(maps, address):
    for first, last, offset, path in maps:
        if first <= address < last:
            return path, address - first + offset
    return "?", address


def describe(site):
    """Where in the source that is, if it is ours."""
    kind, path, offset = site
    text = subprocess.run(["addr2line", "-f", "-s", "-e", path, hex(offset - 1)],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=False).stdout.split()
    return f"{kind} in {Path(path).name} {hex(offset)} {' '.join(text)}"
