# SPDX-License-Identifier: MIT
"""Linear regression by 2000 steps of gradient descent, written as for numpy.

The loop of Python's is sent a few hundred operations at a time, and never waits until the end;
with `fori_loop` all of it is one request. Both yield the same bits.
"""

import tensord as np

X = np.asarray([[1.0, 0], [1, 1], [1, 2], [1, 3], [1, 4]])
y = np.asarray([1.0, 3, 5, 7, 9])
RATE, N_STEPS = 0.05, 2000


def step(i, theta):
    return theta - RATE * (2 / 5) * (X.T @ (X @ theta - y))


theta = np.zeros(2)
for i in range(N_STEPS):
    theta = step(i, theta)

at_once = np.fori_loop(0, N_STEPS, step, np.zeros(2))

print(f"fitted: y = {float(theta[1]):.4f}*x + {float(theta[0]):.4f}")
print("the same in one request:", bool(np.all(theta == at_once)))
