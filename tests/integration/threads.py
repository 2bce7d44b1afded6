# SPDX-License-Identifier: MIT
"""Threads of a test: whatever happens, they are over afterwards."""

import contextlib
import threading

from sanitized import SLOWER


@contextlib.contextmanager
def in_thread(work, *args):
    """Work that goes on beside a block; what it raised is raised behind it."""
    problems = []

    def run():
        try:
            work(*args)
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(60 * SLOWER)
        assert not thread.is_alive()
    if problems:
        raise problems[0]


def in_threads(n, work):
    """Call work(i) in n threads that begin at once; what one raised is raised."""
    begin = threading.Barrier(n)

    def run(i):
        begin.wait()
        work(i)

    with contextlib.ExitStack() as threads:
        for i in range(n):
            threads.enter_context(in_thread(run, i))
