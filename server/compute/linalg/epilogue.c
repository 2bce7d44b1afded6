/* SPDX-License-Identifier: MIT */
/*
 * Epilogues
 *
 * A leaf's base is put where the whole product would have to begin, so that a tile's elements were
 * where they are: a region needs not know that it is given a tile. Any thread; a step is const
 * while it runs.
 */
#include "compute/linalg/epilogue.h"

#include <string.h>

#include "base/error.h"
#include "compute/linalg/blas.h"
#include "compute/region/region.h"
#include "compute/region/stream.h"
#include "compute/step_base.h"

#define DEPTH_MAX 128 /* k above which computing takes so long that writing does not count */

struct epilogue {
        struct step step;
        struct step *product, *region;
        unsigned n_leaves;
        uint32_t products; /* mask of leaves */
        int64_t n_columns; /* of the product */
        int64_t pitch, size;
};

/* One run of a step, shared by its threads. */
struct pass {
        const struct epilogue *e;
        const void *const *args;
        void *const *results;
};

bool epilogue_is_worth(const struct td_type *a, const struct td_type *b,
                       const struct td_type *product)
{
        return a->shape[a->ndim - 1] <= DEPTH_MAX && td_type_n_bytes(product) >= STREAM_MIN_BYTES &&
               matmul_pitch_of(a, b, product) > 0;
}

void epilogue_leaf(struct desc *leaf, const struct td_type *product, int64_t pitch)
{
        unsigned d = product->ndim;

        assert(d > 1);
        *leaf = (struct desc){ .type = *product };
        leaf->strides[--d] = td_dtype_size(product->dtype);
        for (; d-- > 0; pitch *= product->shape[d])
                leaf->strides[d] = pitch;
}

static void read_tile(void *ctx, const struct matmul_tile *tile)
{
        const struct pass *pass = ctx;
        const struct epilogue *e = pass->e;
        const struct region_rows rows = { .index = tile->index,
                                          .n_rows = tile->n_rows,
                                          .n_columns = tile->n_columns,
                                          .apart = e->n_columns };
        const int64_t row = tile->index / e->n_columns, column = tile->index % e->n_columns;
        const uintptr_t begin = (uintptr_t)tile->items -
                                (uintptr_t)(row * e->pitch + column * e->size);
        const void *leaves[EXPR_LEAVES_MAX];

        for (unsigned i = 0; i < e->n_leaves; i++)
                leaves[i] = e->products >> i & 1 ? (const void *)begin : pass->args[i];
        region_run_rows(e->region, leaves, pass->results, &rows);
}

static int epilogue_run(const struct step *step, const struct run *run, const void *const *args,
                        void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct epilogue *e = (const struct epilogue *)step;
        struct pass pass = { .e = e, .args = args, .results = results };
        const struct matmul_reader reader = { .read = read_tile, .ctx = &pass };

        return matmul_run_read(e->product, run, args + e->n_leaves, scratch, &reader, refusal);
}

static struct step *epilogue_free(struct step *step)
{
        struct epilogue *e = (struct epilogue *)step;

        step_free(e->product);
        step_free(e->region);
        free(e);
        return NULL;
}

static const struct step_class epilogue_class = { "epilogue", epilogue_run, epilogue_free };

bool epilogue_may_replace(const struct step *step, unsigned arg, unsigned result)
{
        const struct epilogue *e = (const struct epilogue *)step;

        return step->class == &epilogue_class && arg < e->n_leaves && !(e->products >> arg & 1) &&
               region_may_replace(e->region, arg, result);
}

int epilogue_new(struct step **stepp, struct step **productp, const struct td_type *type,
                 struct step **regionp, unsigned n_leaves, uint32_t products)
{
        struct epilogue *e = calloc(1, sizeof(*e));

        if (!e)
                return error_origin(-ENOMEM);
        *e = (struct epilogue){
                .step = { .class = &epilogue_class,
                          .n_scratch = step_n_scratch(*productp),
                          .cost_ns = step_cost_ns(*productp) + step_cost_ns(*regionp) },
                .product = steal_ptr(productp),
                .region = steal_ptr(regionp),
                .n_leaves = n_leaves,
                .products = products,
                .n_columns = type->shape[type->ndim - 1],
                .size = td_dtype_size(type->dtype),
        };
        e->pitch = matmul_pitch(e->product);
        *stepp = &e->step;
        return 0;
}
