# SPDX-License-Identifier: MIT
"""Other users, for tests of a daemon that several share. Takes root, to be somebody else."""
import contextlib
import os
import traceback

import pytest

from raw import Raw

ALICE, BOB = 64001, 64002

takes_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users, which takes root")


@contextlib.contextmanager
def effective_uid(uid):
    """For this thread's system calls; back to root afterwards. 0: as it is."""
    if uid:
        os.seteuid(uid)
    try:
        yield
    finally:
        if uid:
            os.seteuid(0)


def connect_as(uid, path, **keys):
    """SO_PEERCRED is the effective uid at connect()"""
    with effective_uid(uid):
        return Raw(path, **keys)


def become(uid):
    """For good."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def open_to_all(daemon):
    """The daemon, once other users may go through its directory; its socket has mode 0666."""
    os.chmod(daemon.directory, 0o755)
    return daemon


def as_user(uid, function):
    """Run function() in a child that is that user for good; what it raises there fails here."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            become(uid)
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
            for row in raw.call("list", owner=user["uid"], lost=True)["tensors"]:
                raw.call("delete", name=row["name"], owner=user["uid"])
