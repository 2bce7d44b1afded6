# SPDX-License-Identifier: MIT
"""What a fused program takes at most: its inputs and outputs, and next to nothing beside them.

The daemon says what was charged, scratch included; the kernel says what the process touched, what
comes from malloc included.
"""

import os

import numpy

import tensord

MIB = 1 << 20
SHAPE = (12_500, 1000)  # of float64: 100 MB
N_BYTES = SHAPE[0] * SHAPE[1] * 8
BEYOND = 8 * MIB


def chain(x):
    return tensord.sqrt(x * x + 1) * 3 - x / 2


def softmax(x):
    e = tensord.exp(x - tensord.max(x, axis=1, keepdims=True))
    return e / tensord.sum(e, axis=1, keepdims=True)


def standardise(x):
    return (x - tensord.mean(x, axis=0)) / tensord.std(x, axis=0)


def reversed_rows(x):
    """Not fused: what is indexed lies in memory."""
    return tensord.take(x * 2, numpy.arange(SHAPE[0])[::-1], axis=0)


def test_constants_in_a_body_take_no_memory(own_daemon):
    """One that is like a value of the body belongs to it, where it is computed with."""
    with own_daemon.connect() as client:
        x = client.run(p := tensord.Program(), p.op("ones", shape=(MIB,), dtype="float64"))
        peaks = []
        for turn in (lambda i, u: u + 1, lambda i, u: u + tensord.ones_like(u)):
            p = tensord.Program()
            result = client.run(p, p.loop(3, turn, p.input(x)))
            assert float(result[-1]) == 4
            del result
            peaks.append(client.stat()["memory_peak"])
        assert peaks[0] > 2 * MIB * 8 and peaks[1] < peaks[0] + MIB


def test_fused_programs_take_no_temporary(own_daemon):
    at_rest = own_daemon.status("VmRSS")  # what is in RAM
    with own_daemon.connect() as client:
        p = tensord.Program()
        noise = p.op("random_uniform", shape=SHAPE, dtype="float64", seed=1, stream=0)
        x = client.run(p, noise, names="x")

        def beyond(expression):
            """The most bytes so far beyond input and output: charged, and touched."""
            p = tensord.Program()
            client.run(p, expression(p.input(x)), names="y")
            n_bytes = sum(client.stat(name)["segment_bytes"] for name in "xy")
            assert 2 * N_BYTES <= n_bytes < 2.25 * N_BYTES + MIB
            client.delete("y")  # the next one lies in its memory
            most = client.stat()["memory_peak"], own_daemon.status("VmHWM") - at_rest
            return [figure - n_bytes for figure in most]

        for expression in (chain, softmax, standardise):
            charged, mapped = beyond(expression)
            assert 0 <= charged <= BEYOND, expression
            if "TENSORD_SANITIZED" not in os.environ:  # whose shadow would be counted, too
                assert mapped <= BEYOND, expression
        charged, mapped = beyond(reversed_rows)  # a temporary is seen
        assert min(charged, mapped) > 0.9 * N_BYTES
