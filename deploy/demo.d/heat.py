# SPDX-License-Identifier: MIT
"""Heat in a rod of 5 nodes, its ends held: 300 steps as one request, four of them watched."""
import sys

import numpy
import tensord

R = 0.25
STEPS = [1, 10, 50, 300]
STEP_10 = [0, 16.26434326171875, 37.61138916015625, 66.21551513671875, 100]

A = numpy.eye(5)
for i in range(1, 4):
    A[i, i - 1:i + 2] = R, 1 - 2 * R, R

program = tensord.Program()
a = program.input(A)


def step(i, u):
    u = a @ u
    program.watch(u)
    return u


last, rod = program.loop(STEPS[-1], step, numpy.array([0.0, 0, 0, 0, 100]), at=STEPS)
last, rod = map(numpy.asarray, tensord.run(program, last, rod))

print("step    u(rod)")
for k, u in zip(STEPS, rod):
    print(f"{k:4d}   [{', '.join(f'{node:.2f}' for node in u)}]")
if rod[1].tolist() != STEP_10:
    sys.exit(f"heat: step 10 is {rod[1].tolist()}, {STEP_10} wanted exactly")
if not numpy.array_equal(last, rod[3]) or numpy.any(abs(last - [0, 25, 50, 75, 100]) > 0.005):
    sys.exit(f"heat: step 300 is {last.tolist()}")
print("Heat equation 1D: OK")
