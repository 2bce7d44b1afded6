# SPDX-License-Identifier: MIT
"""One process of a hand-off: producer or consumer of a large array, by one of four ways.

    hand_off.py producer|consumer WAY N_BYTES PLACE

WAY is pipe, npy, sharedmemory or tensord; PLACE the pipes' descriptors, the file, or the name. The
director (sharing.py) writes a line to stdin for each step; the answer is a line of JSON.
"""
import json
import os
import sys
import time
from multiprocessing import resource_tracker, shared_memory
from multiprocessing.connection import Connection

import numpy

role, way, n_bytes, place = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
n = n_bytes // 8


def say(**what):
    print(json.dumps(what), flush=True)


def wait():
    if not sys.stdin.readline():
        sys.exit("hand-off: the director has gone")


def give(array):
    """Hand the array over; returns what must be kept."""
    if way == "pipe":
        for fd in place.split(","):
            Connection(int(fd)).send(array)
        return None
    if way == "npy":
        return numpy.save(place, array)
    if way == "sharedmemory":
        block = shared_memory.SharedMemory(place, create=True, size=n_bytes)
        numpy.ndarray(array.shape, array.dtype, block.buf)[:] = array
        return block
    import tensord
    return tensord.put(array, place)


def take():
    """The array, and what must be kept while it is used."""
    if way == "pipe":
        return Connection(int(place)).recv(), None
    if way == "npy":
        return numpy.load(place), None
    if way == "sharedmemory":
        block = shared_memory.SharedMemory(place)
        # else this process would delete the other's block when it ends
        resource_tracker.unregister(block._name, "shared_memory")
        return numpy.ndarray((n,), "float64", block.buf), block
    import tensord
    return tensord.get(place), None


def produce():
    array = numpy.arange(n, dtype="float64")
    array += 0.5
    say(total=array.sum())
    wait()
    started = time.monotonic()
    kept = give(array)
    try:
        say(started=started, seconds=time.monotonic() - started)
        wait()
        del array  # the source is no longer wanted
        say()
        wait()
    finally:
        if way == "sharedmemory":
            kept.close()
            kept.unlink()


def consume():
    if way == "tensord":
        import tensord
        tensord.stat()  # connected before it counts, as the other ways' channels are
    say()
    wait()
    started = time.monotonic()
    array, kept = take()
    taken = time.monotonic() - started
    total = array.sum()
    say(seconds=taken, total=total, done=time.monotonic())
    wait()
    del array
    if kept:
        kept.close()


if way == "tensord" and role == "producer":
    import tensord
    tensord.stat()
say(pid=os.getpid())
wait()
produce() if role == "producer" else consume()
