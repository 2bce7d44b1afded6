# SPDX-License-Identifier: MIT
"""k-means on the handwritten digits of scikit-learn: ours, in one request, beside theirs.

Both begin with the same centres and end with the same clusters. scikit-learn reads the shared
memory itself: numpy.asarray() of an array does not copy.
"""

import numpy
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

import tensord as td

K, MAX_TURNS = 10, 300
digits = load_digits()
X = td.asarray(digits.data)  # (1797, 64): the one copy
X_squared = td.sum(X * X, axis=1)[:, None]


def distances(centres):
    """(n, k), squared"""
    return X_squared - 2 * X @ centres.T + td.sum(centres * centres, axis=1)


def turn(state):
    centres, _ = state
    nearest = td.argmin(distances(centres), axis=1)
    sizes = td.segment_sum(td.ones(X.shape[0]), nearest, K)
    return td.segment_sum(X, nearest, K) / sizes[:, None], centres


def has_moved(state):
    return td.any(state[0] != state[1])


start = X[:: X.shape[0] // K][:K]
centres, _ = td.while_loop(has_moved, turn, turn((start, start)), max_steps=MAX_TURNS)
labels = td.argmin(distances(centres), axis=1)

theirs = KMeans(K, init=numpy.asarray(start), n_init=1, tol=0, max_iter=MAX_TURNS)
theirs.fit(numpy.asarray(X))

n_agree = int(td.count_nonzero(labels == theirs.labels_))
purity = sum(
    numpy.bincount(digits.target[numpy.asarray(labels) == k]).max() for k in range(K)
) / len(digits.target)
print(f"{n_agree} of {X.shape[0]} images are in the same cluster as scikit-learn's")
print(f"{purity:.0%} are of the digit that is most frequent in their cluster")
