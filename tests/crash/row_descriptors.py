# SPDX-License-Identifier: MIT
"""Every trick with a descriptor that the daemon handed out, by who got it and by who it was passed
on to.

One for reading lets nobody write, resize, reopen, rename or change the rights of a segment, nor
make the daemon wait for it; one for writing lets its user write, and nothing beyond.
"""

import ctypes
import errno
import fcntl
import os
import socket

import hostile
from hostile import NOBODY, OTHER, Child
from things import CLASSES, opened

NAME = "descriptors"
CHECKS = "no descriptor lets anybody write, see or keep more than it was handed out for"
QUICK = FULL = {"tricks": None}
NEEDS_ROOT = True
LIMIT_S = (120, 300)

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
LIBC.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
LIBC.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
READ, WRITE, SHARED, PRIVATE = 1, 2, 1, 2
F_ADD_SEALS = 1033
AT_FDCWD, AT_SYMLINK_FOLLOW = -100, 0x400


def checked(result):
    """A system call of libc's, as an exception."""
    if result in (-1, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "")
    return result


def map_then_protect(fd):
    address = checked(LIBC.mmap(None, 8192, READ, SHARED, fd, 0))
    try:
        checked(LIBC.mprotect(address, 8192, READ | WRITE))
        ctypes.memset(address + 4096, 1, 8)
    finally:
        LIBC.munmap(address, 8192)


def map_writable(fd):
    address = checked(LIBC.mmap(None, 8192, READ | WRITE, SHARED, fd, 0))
    ctypes.memset(address + 4096, 1, 8)
    LIBC.munmap(address, 8192)


def map_privately(fd):
    """Writing into one's own copy is nobody else's business."""
    address = checked(LIBC.mmap(None, 8192, READ | WRITE, PRIVATE, fd, 0))
    ctypes.memset(address + 4096, 1, 8)
    LIBC.munmap(address, 8192)


def through_proc(flags):
    def reopen(fd):
        os.close(os.open(f"/proc/self/fd/{fd}", flags))
    reopen.__name__ = f"reopen {flags:#o}"
    return reopen


def by_path(function):
    def trick(fd):
        function(os.readlink(f"/proc/self/fd/{fd}"))
    trick.__name__ = function.__name__
    return trick


def open_path(path):
    os.close(os.open(path, os.O_RDONLY))


def open_path_writable(path):
    os.close(os.open(path, os.O_RDWR))


def unlink(path):
    os.unlink(path)


def rename(path):
    os.rename(path, path + ".mine")


def link(path):
    os.link(path, path + ".mine")


def link_descriptor(fd):
    name = f"/proc/self/fd/{fd}"
    checked(LIBC.linkat(AT_FDCWD, name.encode(), AT_FDCWD, f"{os.readlink(name)}.mine".encode(),
                        AT_SYMLINK_FOLLOW))


def lease_descriptor(fd):
    """A lease on the file would make the daemon's own opens wait."""
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)


def seal_descriptor(fd):
    fcntl.fcntl(fd, F_ADD_SEALS, 8)


def write_direct(fd):
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_RDWR)
    os.pwrite(fd, b"\1", 4096)


TRICKS = [
    lambda fd: os.pwrite(fd, b"\1", 4096), write_direct, map_writable, map_then_protect,
    lambda fd: os.ftruncate(fd, 0), lambda fd: os.ftruncate(fd, 1 << 20),
    lambda fd: checked(LIBC.fallocate(fd, 3, 4096, 4096)),
    lambda fd: checked(LIBC.fallocate(fd, 0, 0, 1 << 20)),
    lambda fd: os.posix_fallocate(fd, 0, 1 << 20),
    lambda fd: os.copy_file_range(os.open("/etc/passwd", os.O_RDONLY), fd, 8, 0, 4096),
]
# Of a descriptor that may be written by, too.
TRICKS_WITH_FILE = [
    through_proc(os.O_RDWR), through_proc(os.O_WRONLY), through_proc(os.O_RDONLY),
    through_proc(os.O_RDWR | os.O_TRUNC), by_path(open_path), by_path(open_path_writable),
    by_path(unlink), by_path(rename), by_path(link), link_descriptor,
    lambda fd: os.fchmod(fd, 0o666), lambda fd: os.fchown(fd, os.getuid(), -1),
    lambda fd: os.utime(fd), lambda fd: os.setxattr(fd, "user.x", b"1"), lease_descriptor,
    seal_descriptor,
]
REFUSALS = {errno.EACCES, errno.EPERM, errno.EBADF, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOENT,
            errno.ETXTBSY, errno.EROFS}


def try_tricks(fd, tricks):
    """Those that were not refused."""
    done = []
    for number, trick in enumerate(tricks):
        try:
            trick(fd)
            done.append(f"{trick.__name__} ({number})")
        except OSError as error:
            if error.errno not in REFUSALS:
                done.append(f"{trick.__name__} ({number}): {error}")
    map_privately(fd)
    return done


def descriptors(daemon, owner):
    """(what, fd, thing, whether it may be written by, uids that get it)"""
    for class_name in CLASSES:
        thing = CLASSES[class_name](owner)
        if thing.state == "unsealed":
            fd = hostile.writable_fd(owner, {"fds": [], "segment": thing.segment,
                                             "handle": thing.handle})
            yield class_name, fd, thing, True, [NOBODY]
        else:
            with hostile.connect_as(NOBODY, daemon.path) as raw:
                opened(raw, {"id": thing.id}, map=True)
                yield class_name, raw.fds.pop(), thing, False, [NOBODY, OTHER]
        if thing.shared:
            with hostile.connect_as(OTHER, daemon.path) as raw:
                opened(raw, {"name": thing.name, "owner": NOBODY}, map=True)
                yield f"{class_name} of another", raw.fds.pop(), thing, False, [OTHER, NOBODY]
        if thing.state == "mutable":
            owner.call("lease", id=thing.id, lease=1, writable=True)
            owner.call("unmap", segments=[thing.segment])
            owner.call("map", handle=thing.handle, writable=True)
            fd = owner.fds.pop()
            owner.call("unlease", leases=[1])
            yield f"{class_name} under a lease", fd, thing, True, [NOBODY]
        thing.check()
        thing.end()


def passed_on(daemon, fd, uid, tricks):
    """The tricks of a process of that user, which was sent the descriptor; what was not refused."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def user(child):
        [got] = socket.recv_fds(theirs, 16, 1)[1]
        child.tell(", ".join(try_tricks(got, tricks)).encode() or b"none")

    with Child(user, uid) as child, ours, theirs:
        socket.send_fds(ours, [b"."], [fd])
        told = child.wait_told().decode()
        assert child.wait() == 0, told
    return "" if told == "none" else told


def tricks(daemon, report):
    wrong = []
    with hostile.connect_as(NOBODY, daemon.path) as owner:
        for what, fd, thing, is_writable, uids in descriptors(daemon, owner):
            wanted = TRICKS_WITH_FILE if is_writable else TRICKS + TRICKS_WITH_FILE
            before = os.fstat(fd)
            for uid in uids:
                done = passed_on(daemon, fd, uid, wanted)
                if done:
                    wrong.append(f"{what}, uid {uid}: {done}")
                report.found("tricks", len(wanted))
                report.did("tricks", len(wanted))
            after = os.fstat(fd)
            if (before.st_mode, before.st_uid, before.st_size, before.st_nlink) != (
                    after.st_mode, after.st_uid, after.st_size, after.st_nlink):
                wrong.append(f"{what}: {before} became {after}")
            os.close(fd)
    assert not wrong, "\n".join(wrong)


def run(counts, seed, report):
    daemon = hostile.open_to_all(report, "--memory", "256M")
    os.chmod(daemon.shm_directory, 0o1777)  # as /dev/shm is
    bounds = daemon.bounds(is_warm=True)
    tricks(daemon, report)
    hostile.at_rest(daemon)
    bounds.check()
    daemon.finish()
