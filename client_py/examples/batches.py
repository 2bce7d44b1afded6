# SPDX-License-Identifier: MIT
"""Workers that fill one batch, as a DataLoader's do: each its rows, in place, at the same time.

The batch goes to the workers by reference. Each leases its own rows to write; the consumer
computes on the batch where it lies, and no element is sent or copied on the way.
"""

import multiprocessing

import numpy

import tensord as td

N_WORKERS, N_ROWS, N_COLUMNS, N_BATCHES = 4, 32, 1000, 5


def load(batch, worker, number):
    """Rows that nobody else writes."""
    n = N_ROWS // N_WORKERS
    rows = slice(worker * n, (worker + 1) * n)
    random = numpy.random.default_rng([number, worker])
    with batch[rows].write() as a:
        random.standard_normal(out=a)
        a += number


def main():
    batch = td.put(numpy.zeros((N_ROWS, N_COLUMNS)), mutable=True)
    context = multiprocessing.get_context("spawn")
    with context.Pool(N_WORKERS) as pool:
        for number in range(N_BATCHES):
            pool.starmap(load, [(batch, worker, number) for worker in range(N_WORKERS)])
            mean, spread = batch.mean(), batch.std()
            print(f"batch {number}: mean {float(mean):.2f}, deviation {float(spread):.2f}")


if __name__ == "__main__":
    main()
