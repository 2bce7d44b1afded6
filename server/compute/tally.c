/* SPDX-License-Identifier: MIT */
#include "compute/tally.h"

#include "compute/step_base.h"

int64_t tally_sum(int64_t *counts, uint64_t n)
{
        int64_t sum = 0;

        for (uint64_t i = 0; i < n; i++) {
                int64_t count = counts[i];

                counts[i] = sum;
                sum += count;
        }
        return sum;
}

uint64_t tally_n_bytes(int64_t n_chunks)
{
        return align_64(sizeof(struct tally) + ((uint64_t)n_chunks + 1) * sizeof(int64_t));
}

void tally_close(struct tally *tally, int64_t n_chunks)
{
        tally->total = tally_sum(tally->starts, (uint64_t)n_chunks);
        tally->starts[n_chunks] = tally->total;
}

struct tally_part tally_part(const struct tally *tally, uint64_t chunk, int64_t max)
{
        struct tally_part part = { tally->starts[chunk], tally->starts[chunk + 1] };

        part.end = part.end < 0 ? 0 : part.end > max ? max : part.end;
        part.begin = part.begin < 0 ? 0 : part.begin > part.end ? part.end : part.begin;
        return part;
}
