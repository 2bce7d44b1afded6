/* SPDX-License-Identifier: MIT */
/*
 * Epilogues
 *
 * A product and the region that reads it, computed together: each tile of the product goes through
 * the region on the thread that computed it, while it is in the nearest caches. The product has no
 * memory. Its bits, and the region's, are those of two steps.
 */
#pragma once

#include "compute/step.h"

/*
 * Can such a product be read tile by tile, and is it worth while? Of the time of two steps, on two
 * threads, with a bias and a maximum behind it: f64 100000 x 64 0.80 at k = 64, 0.95 at k = 256;
 * 8192 x 2048 0.84 at k = 64; 3600 x 3600 at k = 32 0.83, f32 0.77. Where both stay in the caches,
 * 1.0.
 */
bool epilogue_is_worth(const struct td_type *a, const struct td_type *b,
                       const struct td_type *product);

/* How the product lies in a region's leaf: rows pitch bytes apart; see matmul_pitch(). */
void epilogue_leaf(struct desc *leaf, const struct td_type *product, int64_t pitch);

/*
 * product: a step of matmul that has a pitch, with a result of that type. region: a step of
 * region.h that goes by rows, with n_leaves leaves, of which those in the mask are the product and
 * lie as epilogue_leaf() says. The step's arguments are the region's, the product's being anything,
 * and behind them the two of matmul. Takes both steps if it succeeds. 0 or -ENOMEM.
 */
int epilogue_new(struct step **stepp, struct step **productp, const struct td_type *type,
                 struct step **regionp, unsigned n_leaves, uint32_t products);
/* As region_may_replace(). */
bool epilogue_may_replace(const struct step *step, unsigned arg, unsigned result);
