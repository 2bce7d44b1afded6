# SPDX-License-Identifier: MIT
"""Follow the simulation of producer.c, another process, and draw how it went.

    python plot.py FILE.png N_STEPS
"""

import sys
import time

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as pyplot  # noqa: E402

import tensord as td  # noqa: E402

path, n_steps = sys.argv[1], int(sys.argv[2])
string = td.wait("string", timeout=60)  # as soon as there is one
seen = {}
while max(seen, default=0) < n_steps:
    with string.read(timeout=5) as a:  # nobody writes it meanwhile; not a copy
        seen[int(a[2, 0])] = a[1].copy()
    time.sleep(0.002)  # a look is enough for a picture

figure, axes = pyplot.subplots()
for number in sorted(seen)[:: max(len(seen) // 8, 1)]:
    axes.plot(seen[number], label=f"step {number}")
axes.set(xlabel="node", ylabel="displacement", title="A string, computed by another process")
axes.legend()
figure.savefig(path)
print(f"{len(seen)} looks at a running simulation, the last at step {max(seen)}")
