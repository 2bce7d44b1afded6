# SPDX-License-Identifier: MIT
"""Heat in a rod of 5 nodes, its ends held at 0 and 100 degrees, written as for numpy."""

import tensord as np

R = 0.25
A = np.eye(5)
for i in range(1, 4):
    A[i, i - 1 : i + 2] = [R, 1 - 2 * R, R]

u = np.zeros(5)
u[-1] = 100
print("step    u(rod)")
for step in range(1, 301):
    u = A @ u
    if step in (1, 10, 50, 300):  # here a value is needed: what is pending is sent
        print(f"{step:4d}   [{', '.join(f'{float(node):.2f}' for node in u)}]")
