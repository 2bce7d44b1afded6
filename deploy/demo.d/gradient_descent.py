# SPDX-License-Identifier: MIT
"""Linear regression by 2000 steps of gradient descent, as one request."""
import sys

import numpy
import tensord

X = numpy.array([[1.0, 0], [1, 1], [1, 2], [1, 3], [1, 4]])
y = numpy.array([1.0, 3, 5, 7, 9])
RATE, N_STEPS = 0.05, 2000

program = tensord.Program()
x_value, y_value = program.input(X), program.input(y)


def step(i, theta):
    theta = theta - RATE * (2 / 5) * (x_value.T @ (x_value @ theta - y_value))
    program.watch(theta)
    return theta


fitted, watched = program.loop(N_STEPS, step, numpy.zeros(2), at=[1, 2, N_STEPS])
before = tensord.stat()["requests"]
theta, steps = map(numpy.asarray, tensord.run(program, fitted, watched))
n_requests = tensord.stat()["requests"] - before - 1

print(f"   {N_STEPS} steps, {n_requests} request")
print(f"fitted: y = {theta[1]:.4f}*x + {theta[0]:.4f}")
print("target: y = 2*x + 1")
for ours, wanted in zip(steps, ((0.5, 1.4), (0.67, 1.86), (1, 2))):
    if not numpy.all(abs(ours - wanted) < 1e-12):
        sys.exit(f"gradient descent: {ours}, {wanted} wanted")
if n_requests != 1 or not numpy.array_equal(theta, steps[2]):
    sys.exit(f"gradient descent: {n_requests} requests, {theta} in the end, {steps[2]} watched")
print("Linear regression (gradient descent): OK")
