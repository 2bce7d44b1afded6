# SPDX-License-Identifier: MIT
"""Other users, for tests of a daemon that several share. Takes root, to be somebody else."""
import contextlib
import os
import traceback

from raw import Raw

ALICE, BOB = 64001, 64002


@contextlib.contextmanager
def effective_uid(uid):
    """For this thread's system calls; back to root afterwards."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def connect_as(uid, path):
    """SO_PEERCRED is the effective uid at connect()"""
    with effective_uid(uid):
        return Raw(path)


def open_to_all(daemon):
    """The daemon, whose socket has mode 0666, and the way there."""
    os.chmod(daemon.directory, 0o755)
    return daemon


def as_user(uid, function):
    """Run function() in a child that is that user for good; what it raises there fails here."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def delete_all(daemon):
    """The daemon's own user deletes the names of whoever has some."""
    with Raw(daemon.path) as raw:
        for user in raw.call("stat")["users"]:
            for row in raw.call("list", owner=user["uid"])["tensors"]:
                raw.call("delete", name=row["name"], owner=user["uid"])
