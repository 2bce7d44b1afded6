/* SPDX-License-Identifier: MIT */
/*
 * Steps that make random numbers
 *
 * A chunk is a number of Philox blocks, and so of elements; it is made apart from all others. Whole
 * numbers of a range are drawn by multiplication (Lemire, "Fast random integer generation in an
 * interval", 2019): a word that would favour some is rejected, and the next attempt at the same
 * block takes its place, so that no element's draw depends on another's. Any thread.
 */
#include "compute/create/random.h"

#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "compute/create/random_core.h"
#include "compute/step_base.h"

#define CHUNK_BLOCKS (32 * PHILOX_BLOCKS)
#define ATTEMPT_SHIFT (PHILOX_STREAM_BITS - 32)

struct random {
        struct step step;
        enum td_op op;
        enum td_dtype dtype;
        struct philox philox;
        int64_t n;
        unsigned n_block;   /* elements of a block */
        uint64_t start, by; /* of random_integers, modulo 2^64 */
        uint64_t n_values;  /* how many there are; 0: 2^64 */
        size_t size;
};

struct pass {
        const struct random *r;
        const struct run *run;
        char *out;
        atomic_bool is_stopped;
};

struct philox random_philox(const struct td_attrs *attrs)
{
        uint64_t stream = attrs->set & TD_ATTR_STREAM ? (uint64_t)attrs->stream : 0;

        return philox_of((uint64_t)attrs->seed, stream);
}

/* ---- integers ---- */

/* The block again, as it comes out at that attempt. */
static void draw_again(const struct random *r, uint64_t block, uint32_t attempt, uint32_t *words)
{
        words[0] = (uint32_t)block;
        words[1] = (uint32_t)(block >> 32);
        words[2] = r->philox.high[0];
        words[3] = r->philox.high[1] | attempt << ATTEMPT_SHIFT;
        philox_block(words, r->philox.key);
}

/* Word j of a block as one of n_values <= 2^32. */
static uint64_t choose_32(const struct random *r, uint64_t block, unsigned j, uint32_t word)
{
        const uint64_t n = r->n_values;
        uint64_t m = word * n;
        uint32_t again[4];

        if ((uint32_t)m < n) {
                const uint64_t least = ((UINT64_C(1) << 32) - n) % n;

                for (uint32_t k = 1; (uint32_t)m < least && k < 1u << 16; k++) {
                        draw_again(r, block, k, again);
                        m = again[j] * n;
                }
        }
        return m >> 32;
}

static uint64_t choose_64(const struct random *r, uint64_t block, unsigned j, uint64_t word)
{
        const uint64_t n = r->n_values;
        unsigned __int128 m = (unsigned __int128)word * n;
        uint32_t again[4];

        if (n == 0)
                return word;
        if ((uint64_t)m < n) {
                const uint64_t least = -n % n;

                for (uint32_t k = 1; (uint64_t)m < least && k < 1u << 16; k++) {
                        draw_again(r, block, k, again);
                        word = again[2 * j] | (uint64_t)again[2 * j + 1] << 32;
                        m = (unsigned __int128)word * n;
                }
        }
        return (uint64_t)(m >> 64);
}

static void integers(const struct random *r, uint64_t block, const struct philox_words *words,
                     uint64_t *out)
{
        for (unsigned i = 0; i < PHILOX_BLOCKS; i++)
                for (unsigned j = 0; j < r->n_block; j++) {
                        uint64_t x;

                        if (r->n_block == 4)
                                x = choose_32(r, block + i, j, words->w[j][i]);
                        else
                                x = choose_64(r, block + i, j,
                                              words->w[2 * j][i] | (uint64_t)words->w[2 * j + 1][i]
                                                                           << 32);
                        out[r->n_block * i + j] = r->start + x * r->by;
                }
}

#define NARROW(type)                                                                               \
        for (size_t i = 0; i < n; i++) {                                                           \
                type x = (type)from[i];                                                            \
                memcpy(out + i * sizeof(x), &x, sizeof(x));                                        \
        }                                                                                          \
        break

/* The low bytes of each: the value, whatever its sign. */
static void narrow(size_t n, char *out, const uint64_t *from, size_t size)
{
        switch (size) {
        case 1:
                NARROW(uint8_t);
        case 2:
                NARROW(uint16_t);
        case 4:
                NARROW(uint32_t);
        default:
                memcpy(out, from, n * size);
        }
}

/* ---- running ---- */

union made {
        double d[2 * PHILOX_BLOCKS];
        float f[4 * PHILOX_BLOCKS];
        uint64_t u[4 * PHILOX_BLOCKS];
};

/* n elements from the first of a block on. */
static void write_blocks(const struct random *r, uint64_t block, size_t n, char *out)
{
        struct philox_words words;
        union made made;

        philox_words(&r->philox, block, &words);
        if (r->op == TD_OP_RANDOM_INTEGERS) {
                integers(r, block, &words, made.u);
                narrow(n, out, made.u, r->size);
                return;
        }
        if (r->n_block == 4) {
                random_uniforms_32(&words, made.f);
        } else if (r->op == TD_OP_RANDOM_UNIFORM) {
                random_uniforms(&words, made.d);
        } else {
                random_normals(&words, made.d);
                for (size_t i = 0; r->dtype == TD_FLOAT32 && i < n; i++) {
                        float x = (float)made.d[i];

                        memcpy(out + i * sizeof(x), &x, sizeof(x));
                }
                if (r->dtype == TD_FLOAT32)
                        return;
        }
        memcpy(out, &made, n * r->size);
}

static void write_chunk(void *ctx, uint64_t chunk)
{
        struct pass *pass = ctx;
        const struct random *r = pass->r;
        const int64_t n_tile = (int64_t)r->n_block * PHILOX_BLOCKS;
        int64_t index = (int64_t)chunk * CHUNK_BLOCKS * r->n_block;
        int64_t end = index + CHUNK_BLOCKS * (int64_t)r->n_block;

        if (atomic_load_explicit(&pass->is_stopped, memory_order_relaxed))
                return;
        if (run_should_stop(pass->run)) {
                atomic_store_explicit(&pass->is_stopped, true, memory_order_relaxed);
                return;
        }
        end = end < r->n ? end : r->n;
        for (; index < end; index += n_tile)
                write_blocks(r, (uint64_t)index / r->n_block,
                             (size_t)(end - index < n_tile ? end - index : n_tile),
                             pass->out + index * (int64_t)r->size);
}

static int random_run(const struct step *step, const struct run *run, const void *const *args,
                      void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct random *r = (const struct random *)step;
        struct pass pass = { .r = r, .run = run, .out = results[0] };

        (void)args;
        (void)scratch;
        (void)refusal;
        workers_for(r->n < 16384 ? NULL : run_workers(run),
                    (uint64_t)div_up(r->n, CHUNK_BLOCKS * (int64_t)r->n_block), write_chunk, &pass);
        return pass.is_stopped ? PLAN_E_STOPPED : 0;
}

static struct step *random_free(struct step *step)
{
        free(step);
        return NULL;
}

static const struct step_class random_class = { "random", random_run, random_free };

int random_new(struct step **stepp, enum td_op op, const struct td_attrs *attrs,
               const struct desc *result)
{
        struct random *r = calloc(1, sizeof(*r));

        if (!r)
                return error_origin(-ENOMEM);
        assert(desc_is_c(result) && result->offset == 0);
        r->step.class = &random_class;
        r->op = op;
        r->dtype = result->type.dtype;
        r->size = (size_t)td_dtype_size(r->dtype);
        r->philox = random_philox(attrs);
        r->n = desc_n_elements(result);
        r->n_block = op == TD_OP_RANDOM_UNIFORM && r->dtype == TD_FLOAT32 ? 4 : 2;
        if (op == TD_OP_RANDOM_INTEGERS) {
                r->start = attrs->range[0].u;
                r->by = attrs->range[2].u;
                td_count_integers(attrs->range, &r->n_values);
                r->n_block = r->n_values && r->n_values <= UINT64_C(1) << 32 ? 4 : 2;
        }
        r->step.cost_ns = 1000 + (uint64_t)r->n * (op == TD_OP_RANDOM_NORMAL ? 8 : 4);
        *stepp = &r->step;
        return 0;
}
