/* SPDX-License-Identifier: MIT */
/*
 * Tallies
 *
 * Chunks of a whole are looked at by many threads, and each says how many it found; their sums, in
 * the order of chunks, say where what each found begins in what all found.
 *
 * A counted step keeps one at the head of its scratch, so that its total is where step_count()
 * reads. What lies there is not trusted for bounds.
 */
#pragma once

#include <stdint.h>

struct tally {
        int64_t total;
        int64_t starts[]; /* of each chunk: its count until the tally is closed, then the sum of
                             those before it; the total behind the last */
};

/* Chunk's part of what was found: from begin on, before end. */
struct tally_part {
        int64_t begin, end;
};

/* Each becomes the sum of those before it. Returns that of all. */
int64_t tally_sum(int64_t *counts, uint64_t n);

uint64_t tally_n_bytes(int64_t n_chunks); /* of scratch, 64-byte aligned */
/* All chunks have their counts. */
void tally_close(struct tally *tally, int64_t n_chunks);
/* Within 0 and max, whatever the tally says. */
struct tally_part tally_part(const struct tally *tally, uint64_t chunk, int64_t max);
