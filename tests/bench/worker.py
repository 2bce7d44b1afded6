# SPDX-License-Identifier: MIT
"""Serving measurements from Python, line by line, as serve.h says; and comparing results:

    compare PATH TOLERANCE   the result with what `save` of another helper wrote
"""
import gc
import os
import sys
import time

import numpy


def serve(works):
    """works: name -> function(*words) that prepares, and yields what is to be timed, or that and a
    text that describes it. What is to be timed takes nothing, or does its own timing: a function
    named `seconds` returns the seconds of one turn. Its result is what it returns, or what its
    attribute `result`, a function, does; its `close`, if it has one, is called in the end.
    """
    current = None
    for line in sys.stdin:
        try:
            verb, *words = line.split()
            if verb == "prepare":
                forget(current)
                current = None
                gc.collect()
                made = works[words[0]](*words[1:])
                current, text = made if isinstance(made, tuple) else (made, "ready")
                answer = f"ok {text}"
            elif verb == "time" and current:
                answer = " ".join(["ok", *(f"{s:.9g}" for s in measure(current, int(words[0])))])
            elif verb == "save" and current:
                answer = f"ok {save(current, words[0])}"
            elif verb == "compare" and current:
                compare(current, words[0], float(words[1]))
                answer = "ok same"
            else:
                answer = "no prepare WORK ARGUMENT..., time N, save PATH or compare PATH TOLERANCE"
        except Exception as problem:
            answer = f"no {type(problem).__name__}: {' '.join(str(problem).split())}"
        print(answer, flush=True)
    forget(current)


def forget(work):
    if hasattr(work, "close"):
        work.close()


def measure(function, n):
    if function.__name__ == "seconds":
        return [function() for _ in range(n)]
    seconds, clock = [0.0] * n, time.perf_counter
    gc.disable()
    for i in range(n):
        begin = clock()
        function()
        seconds[i] = clock() - begin
    gc.enable()
    return seconds


# ---- results ----

def arrays_of(function):
    result = getattr(function, "result", function)()
    return [numpy.asarray(x) for x in (result if isinstance(result, tuple) else (result,))]


def save(function, path):
    with open(path, "wb") as file:
        return sum(file.write(numpy.ascontiguousarray(x)) for x in arrays_of(function))


def compare(function, path, tolerance):
    """The largest difference, in units of the largest element, must not exceed the tolerance."""
    at, n_bytes = 0, os.path.getsize(path)
    for number, ours in enumerate(arrays_of(function)):
        if at + ours.nbytes > n_bytes:
            raise AssertionError(f"result {number} is of another size than the peer's")
        theirs = numpy.fromfile(path, ours.dtype, ours.size, offset=at).reshape(ours.shape)
        at += ours.nbytes
        if numpy.array_equal(ours, theirs):
            continue
        ours, theirs = ours.astype(float), theirs.astype(float)
        scale = abs(theirs).max()
        if not abs(ours - theirs).max() <= tolerance * scale:
            raise AssertionError(f"result {number} differs from the peer's by "
                                 f"{abs(ours - theirs).max() / scale:.2g} of the largest element")
    if at != n_bytes:
        raise AssertionError(f"results have {at} bytes, the peer's {n_bytes}")


def blas_core():
    """Core and threads of the OpenBLAS of this process."""
    import ctypes
    import glob

    numpy.dot(numpy.ones((2, 2)), numpy.ones((2, 2)))
    with open("/proc/self/maps") as maps:
        paths = {line.split()[-1] for line in maps if "blas" in line and ".so" in line}
    for path in sorted(paths) or glob.glob("libopenblas.so.0"):
        library = ctypes.CDLL(path)
        for suffix in ("", "64_"):
            name = f"openblas_get_corename{suffix}"
            if hasattr(library, name):
                corename = getattr(library, name)
                corename.restype = ctypes.c_char_p
                threads = getattr(library, f"openblas_get_num_threads{suffix}")()
                return f"core={corename().decode()} threads={threads}"
    return "core=unknown"
