/* SPDX-License-Identifier: MIT */
/*
 * Steps that permute at random
 *
 * The numbers from 0 on in the order of a random key of 64 bits each, equal keys in the order of
 * the numbers: one order, however it is found. Found it is by distributing keys over buckets of
 * equal ranges, chunk by chunk, and sorting each bucket; keys are made twice rather than kept. Any
 * thread.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "compute/create/random.h"
#include "compute/create/random_core.h"
#include "compute/step_base.h"
#include "compute/tally.h"

#define CHUNKS_MAX 32
#define CHUNK_LEAST 32768 /* elements */
#define BUCKET 2048       /* elements in the mean, where BITS_MAX allows it */
#define BITS_MAX 12
#define RUN 16 /* elements that insertion sorts */

static_assert(CHUNK_LEAST % (2 * PHILOX_BLOCKS) == 0, "chunks begin with a tile of blocks");

struct entry {
        uint64_t key;
        int64_t index;
};

struct permutation {
        struct step step;
        struct philox philox;
        int64_t n;
        int64_t n_chunks, chunk; /* chunk: elements of one */
        unsigned bits;           /* there are 2^bits buckets */
        uint64_t entries_at;     /* in the scratch */
};

struct pass {
        const struct permutation *p;
        const struct run *run;
        int64_t *counts; /* [bucket][chunk]; then where its next entry goes */
        struct entry *entries;
        int64_t *out;
        bool is_placing;
        atomic_bool is_stopped;
};

/* Count a chunk's keys by buckets, or place them there. */
static void scan_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        const struct permutation *p = pass->p;
        int64_t index = (int64_t)chunk * p->chunk, end = chunk_end(index, p->chunk, p->n);
        struct philox_words words;

        while (index < end && !run_must_end(pass->run, &pass->is_stopped)) {
                int64_t n = end - index < 2 * PHILOX_BLOCKS ? end - index : 2 * PHILOX_BLOCKS;

                philox_words(&p->philox, (uint64_t)index / 2, &words);
                for (int64_t i = 0; i < n; i++, index++) {
                        unsigned j = i % 2 ? 2 : 0;
                        uint64_t key = words.w[j][i / 2] | (uint64_t)words.w[j + 1][i / 2] << 32;
                        uint64_t bucket = p->bits ? key >> (64 - p->bits) : 0;
                        int64_t *count = &pass->counts[bucket * (uint64_t)p->n_chunks + chunk];

                        if (pass->is_placing)
                                pass->entries[*count] = (struct entry){ key, index };
                        ++*count;
                }
        }
}

static bool is_before(const struct entry *a, const struct entry *b)
{
        return a->key != b->key ? a->key < b->key : a->index < b->index;
}

static void swap(struct entry *a, struct entry *b)
{
        struct entry c = *a;

        *a = *b;
        *b = c;
}

/* Quicksort; the keys are random, so that any pivot will do. */
static void sort(struct entry *e, int64_t n)
{
        while (n > RUN) {
                const struct entry pivot = e[n / 2];
                int64_t i = -1, j = n;

                for (;;) {
                        do
                                i++;
                        while (is_before(&e[i], &pivot));
                        do
                                j--;
                        while (is_before(&pivot, &e[j]));
                        if (i >= j)
                                break;
                        swap(&e[i], &e[j]);
                }
                j++;
                if (j < n - j) { /* the smaller part by recursion */
                        sort(e, j);
                        e += j;
                        n -= j;
                } else {
                        sort(e + j, n - j);
                        n = j;
                }
        }
        for (int64_t i = 1; i < n; i++) {
                const struct entry x = e[i];
                int64_t j = i;

                for (; j > 0 && is_before(&x, &e[j - 1]); j--)
                        e[j] = e[j - 1];
                e[j] = x;
        }
}

/* After placing, a count is where the next chunk's entries begin. */
static void finish_bucket(void *ctx, uint64_t bucket)
{
        struct pass *pass = ctx;
        const struct permutation *p = pass->p;
        const int64_t *ends = pass->counts + p->n_chunks - 1;
        int64_t begin = bucket ? ends[(int64_t)(bucket - 1) * p->n_chunks] : 0;
        int64_t end = ends[(int64_t)bucket * p->n_chunks];

        if (run_must_end(pass->run, &pass->is_stopped))
                return;
        sort(pass->entries + begin, end - begin);
        for (int64_t i = begin; i < end; i++)
                pass->out[i] = pass->entries[i].index;
}

static int permutation_run(const struct step *step, const struct run *run, const void *const *args,
                           void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct permutation *p = (const struct permutation *)step;
        struct pass pass = { .p = p, .run = run, .counts = scratch, .out = results[0] };
        const uint64_t n_counts = (uint64_t)p->n_chunks << p->bits;
        struct workers *workers = p->n < CHUNK_LEAST ? NULL : run_workers(run);

        (void)args;
        (void)refusal;
        pass.entries = (struct entry *)(void *)((char *)scratch + p->entries_at);
        memset(pass.counts, 0, n_counts * sizeof(*pass.counts));
        workers_for(workers, (uint64_t)p->n_chunks, scan_chunk, &pass);
        if (pass.is_stopped)
                return PLAN_E_STOPPED;
        tally_sum(pass.counts, n_counts);
        pass.is_placing = true;
        workers_for(workers, (uint64_t)p->n_chunks, scan_chunk, &pass);
        if (pass.is_stopped)
                return PLAN_E_STOPPED;
        workers_for(workers, UINT64_C(1) << p->bits, finish_bucket, &pass);
        return pass.is_stopped ? PLAN_E_STOPPED : 0;
}

static struct step *permutation_free(struct step *step)
{
        free(step);
        return NULL;
}

static const struct step_class permutation_class = { "permutation", permutation_run,
                                                     permutation_free };

int permutation_new(struct step **stepp, const struct td_attrs *attrs, const struct desc *result)
{
        struct permutation *p = calloc(1, sizeof(*p));

        if (!p)
                return error_origin(-ENOMEM);
        assert(desc_is_c(result) && result->offset == 0);
        p->step.class = &permutation_class;
        p->philox = random_philox(attrs);
        p->n = desc_n_elements(result);
        while (p->bits < BITS_MAX && p->n >> p->bits > BUCKET)
                p->bits++;
        p->chunk = div_up(div_up(p->n, CHUNKS_MAX), CHUNK_LEAST) * CHUNK_LEAST;
        p->n_chunks = p->n ? div_up(p->n, p->chunk) : 1;
        p->entries_at = align_64(((uint64_t)p->n_chunks << p->bits) * sizeof(int64_t));
        p->step.n_scratch = align_64(p->entries_at + (uint64_t)p->n * sizeof(struct entry));
        p->step.cost_ns = 1000 + (uint64_t)p->n * 60;
        *stepp = &p->step;
        return 0;
}
