# SPDX-License-Identifier: MIT
"""A daemon that may have 64 descriptors, 10,000 connects, and clients that never read theirs."""
import errno
import resource
import select
import socket
import time

import kit

NAME = "nofile"
CHECKS = ("a good client is served within 100 ms throughout; who does not read descriptors is sent "
          "no more, and closed; afterwards new clients come in")
QUICK = {"connects": 10_000, "clients that never read": 8}
FULL = {"connects": 10_000, "clients that never read": 60}
LIMIT_S = (120, 600)

NOFILE = 64
AT_ONCE = 300  # connections that are kept open
N_ASKED = 64  # descriptors that each asks for


class Daemon(kit.Daemon):
    """One of few descriptors."""

    def command(self):
        return ["/usr/bin/prlimit", f"--nofile={NOFILE}:{NOFILE}", *super().command()]


def connect(path):
    """A connection that nobody waits for, or None: the queue is full."""
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        one.connect(path)
        return one
    except BlockingIOError as error:
        assert error.errno == errno.EAGAIN
        one.close()
        return None


def storm(daemon, report, n_connects):
    """So many connections, the oldest closed for the next ones."""
    path, open_ones, n_waiting, most = daemon.path, [], 0, 0
    for i in range(n_connects):
        one = connect(path)
        if one:
            open_ones.append(one)
        else:
            n_waiting += 1
        if len(open_ones) > AT_ONCE or not one:
            for old in open_ones[:AT_ONCE // 2]:
                old.close()
            del open_ones[:AT_ONCE // 2]
        if i % 100 == 0:
            most = max(most, len(daemon.fds()))
        report.did("connects")
    for one in open_ones:
        one.close()
    report.say(f"{n_connects - n_waiting} connections, {n_waiting} found the queue full; at most "
               f"{most} descriptors of {NOFILE}")
    assert most <= NOFILE


def do_not_read(daemon, report, n_clients):
    """Each asks for more descriptors than may wait unread, and reads nothing."""
    began, others = time.monotonic(), []
    for i in range(n_clients):
        raw = daemon.raw()
        others.append(raw)
        for handle in range(1, N_ASKED + 1):
            raw.send("create", handle=handle, dtype="uint8", shape=[5000])
    n_sent = 0
    for raw in others:
        kit.eventually(lambda: has_ended(raw), 30, "the daemon closes who does not read")
        # what was sent before that is still there
        while raw.receive() is not None:
            pass
        n_sent += len(raw.fds)
        raw.close()
        report.did("clients that never read")
    # all of them are one user, who gets a part of what the daemon has
    assert 0 < n_sent <= NOFILE // 2, n_sent
    report.say(f"clients that never read: closed after {time.monotonic() - began:.1f} s")


def has_ended(raw):
    """Did the other side close? Nothing is read."""
    poll = select.poll()
    poll.register(raw.socket, select.POLLRDHUP)
    return poll.poll(0)


def run(counts, seed, report):
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    daemon = report.daemon(kind=Daemon)
    bounds = daemon.bounds()
    with kit.Prober(daemon, report):
        storm(daemon, report, counts["connects"])
    bounds.check(30)
    with kit.Prober(daemon, report):
        n_left = counts["clients that never read"]
        while n_left:
            n = min(n_left, 20)
            do_not_read(daemon, report, n)
            n_left -= n
    bounds.check(30)
    daemon.finish()
