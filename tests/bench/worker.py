# SPDX-License-Identifier: MIT
"""Serving measurements from Python, line by line, as serve.h says."""
import gc
import sys
import time


def serve(works):
    """works: name -> function(*words) that prepares, and yields what is to be timed, or that and a
    text that describes it. What is to be timed takes nothing, or does its own timing: a function
    named `seconds` returns the seconds of one turn.
    """
    current = None
    for line in sys.stdin:
        try:
            verb, *words = line.split()
            if verb == "prepare":
                current = None
                gc.collect()
                made = works[words[0]](*words[1:])
                current, text = made if isinstance(made, tuple) else (made, "ready")
                answer = f"ok {text}"
            elif verb == "time" and current:
                answer = " ".join(["ok", *(f"{s:.9g}" for s in measure(current, int(words[0])))])
            else:
                answer = "no prepare WORK ARGUMENT... or time N"
        except Exception as problem:
            answer = f"no {type(problem).__name__}: {' '.join(str(problem).split())}"
        print(answer, flush=True)


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


def blas_core():
    """Core and threads of the OpenBLAS of this process."""
    import ctypes
    import glob

    import numpy

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
