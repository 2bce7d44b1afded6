# SPDX-License-Identifier: MIT
"""Works of several operations, written once for both sides: xp is tensord or numpy.

PROGRAMS: name -> (expression(xp, *inputs), operands() -> its inputs). Matrices of 100 MB.
"""
import numpy

RATE = 0.1  # of a step of logistic regression


def links_chained(xp, a, b, c):
    return xp.sqrt(a * a + b * b) * c - a / 2


def softmax(xp, x):
    e = xp.exp(x - xp.max(x, axis=1, keepdims=True))
    return e / xp.sum(e, axis=1, keepdims=True)


def standardise(xp, x):
    return (x - xp.mean(x, axis=0)) / xp.std(x, axis=0)


def distance(xp, x):
    difference = x[:, None, :] - x[None, :, :]
    return xp.sqrt(xp.sum(difference * difference, axis=-1))


def distance_product(xp, x):
    squares = xp.sum(x * x, axis=1)
    return xp.sqrt(xp.maximum(squares[:, None] + squares[None, :] - 2 * (x @ x.T), 0))


def dense_layer(xp, x, weights, bias):
    return xp.maximum(x @ weights + bias, 0)


def logistic(xp, x, y, weights):
    error = 1 / (1 + xp.exp(-(x @ weights))) - y
    return weights - RATE / y.size * (x.T @ error)


def kmeans(xp, x, centres):
    """A step of Lloyd's algorithm: the mean of what is nearest to each centre."""
    labels = xp.argmin(xp.sum(centres * centres, axis=1) - 2 * (x @ centres.T), axis=1)
    if xp is numpy:  # has no sums of segments; of the usual ways around it, the fastest here
        belongs = numpy.zeros((len(x), len(centres)))
        belongs[numpy.arange(len(x)), labels] = 1
        sums, counts = belongs.T @ x, belongs.sum(axis=0)
    else:
        k = centres.shape[0]
        ones = xp.Program().op("ones", shape=x.shape[:1], dtype="float64")
        sums, counts = xp.segment_sum(x, labels, k), xp.segment_sum(ones, labels, k)
    return sums / counts[:, None]


def concat(xp, x, y):
    return (numpy.concatenate if xp is numpy else xp.concat)((x, y))


def take(xp, x, rows):
    return xp.take(x, rows, axis=0)


def transpose(xp, x):
    """Written out, for a transposed view alone costs nothing on either side."""
    return xp.reshape(x.T, (-1,))


def normal(*shape):
    return numpy.random.default_rng(1).standard_normal(shape)


def classes(n, d):
    x = normal(n, d)
    return x, (x[:, 0] > 0).astype(float), numpy.zeros(d)


def points(n, d, k):
    x = normal(n, d)
    return x, x[:k].copy()


def halves(n, d):
    x = normal(n, d)
    return x[:n // 2], x[n // 2:]


def shuffled(n, d):
    return normal(n, d), numpy.random.default_rng(2).permutation(n)


PROGRAMS = {
    "softmax": (softmax, lambda: [normal(12_500, 1000)]),
    "standardise": (standardise, lambda: [normal(125_000, 100)]),
    "distance": (distance, lambda: [normal(3600, 32)]),
    "distance_product": (distance_product, lambda: [normal(3600, 32)]),
    "dense_layer": (dense_layer, lambda: [normal(200_000, 64), normal(64, 64), normal(64)]),
    "logistic": (logistic, lambda: classes(125_000, 100)),
    "kmeans": (kmeans, lambda: points(781_250, 16, 16)),
    "concat": (concat, lambda: halves(12_500, 1000)),
    "take": (take, lambda: shuffled(12_500, 1000)),
    "transpose": (transpose, lambda: [normal(3536, 3536)]),
}
