/* SPDX-License-Identifier: MIT */
/*
 * Plans
 *
 * A program, checked against the descriptors of its inputs and made ready to run: layouts chosen,
 * kernels picked, memory of intermediates laid out by lifetime. A plan owns copies of what it
 * needs; program and descriptors may go.
 *
 * Planning and running are apart: plan_new() on the loop thread touches no data, plan_run() on a
 * worker touches nothing but the plan (const) and the memory it is given. The same plan may run
 * many times, and on several threads at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/workers.h"
#include "tensor/desc.h"

struct plan;

/* Where a run may spread out, and how it learns that it should end. */
struct run {
        struct workers *workers; /* NULL: on the calling thread alone */
        bool (*should_stop)(
                void *ctx); /* asked between tiles and steps, from any thread; NULL: never */
        /*
         * The file that memory of the run lies in, for another process to map: a descriptor that
         * the caller closes, and the offset in it. false: in none. NULL: never. Any thread.
         */
        bool (*locate)(void *ctx, const void *at, bool is_writable, int *fdp, uint64_t *offsetp);
        void *ctx;
        _Atomic uint64_t *n_done; /* steps that were run, of plan_n_steps(); NULL: not counted */
};

enum {
        PLAN_E_REFUSED = 1, /* the refusal says why */
        PLAN_E_STOPPED,     /* should_stop() said so */
        PLAN_E_COUNTED,     /* the outputs of unknown shape are still to be written */
};

/* How programs are computed; what they compute does not depend on it. For tests and diagnosis. */
struct plan_options {
        unsigned tile; /* elements computed at a time, at most; 0: as many as are fast */
        bool is_plain; /* every node by itself: nothing is fused, folded or left out */
};

/* For all plans made from now on; no other thread may be making one. */
void plan_set_options(const struct plan_options *options);

/*
 * inputs: one descriptor per program input, already checked against the bytes that stand behind it.
 * 0, PLAN_E_REFUSED, or -ENOMEM.
 */
int plan_new(struct plan **planp, const struct td_program *program, const struct desc *inputs,
             struct td_refusal *refusal);
struct plan *plan_free(struct plan *plan);
DEFINE_CLEANUP(struct plan, plan_free)

/*
 * The same, but the memory of inputs for which takes is true may become an output's: it is as long
 * as the descriptor says, and looked at by nobody else. takes may be NULL.
 */
int plan_new_taking(struct plan **planp, const struct td_program *program,
                    const struct desc *inputs, const bool *takes, struct td_refusal *refusal);

/*
 * The input whose memory the output lies in: outputs[i] is then inputs[that], or -1. It is written
 * by what is computed last, which can neither fail nor be stopped, and is estimated at 2 s at most:
 * where plan_run() does not return 0, it is as it was.
 */
int32_t plan_taken(const struct plan *plan, uint32_t i);

uint32_t plan_n_outputs(const struct plan *plan);
/*
 * Dense, in the order of axes that NumPy would choose, offset 0. An extent may be TD_UNKNOWN: see
 * plan_n_counts().
 */
const struct desc *plan_output(const struct plan *plan, uint32_t i);
/*
 * Bytes of intermediates; what plan_run() needs as scratch, 64-byte aligned. Includes what steps
 * need for themselves.
 */
uint64_t plan_n_scratch(const struct plan *plan);
/*
 * Estimated time on one thread, in ns, loop trips counted; UINT64_MAX for what must go to a worker
 * (LAPACK above 16 x 16).
 */
uint64_t plan_cost_ns(const struct plan *plan);
/* Of plan_run(): those of loops in each turn, of a while in as many as it may make. Saturating. */
uint64_t plan_n_steps(const struct plan *plan);

/*
 * inputs[i] is the byte that the descriptor's offset counts from; outputs[i] has room for the bytes
 * of plan_output(i); outputs overlap neither each other nor inputs, but for those taken. 0,
 * PLAN_E_REFUSED (an operation failed on its data: singular, ...), PLAN_E_STOPPED, or a negative
 * errno.
 */
int plan_run(const struct plan *plan, const struct run *run, const void *const *inputs,
             void *const *outputs, void *scratch, struct td_refusal *refusal);

/*
 * Outputs whose shape depends on data. If there are counts, outputs[i] of unknown shape is NULL for
 * plan_run(), which ends with PLAN_E_COUNTED instead of 0. The counts then say how large these
 * outputs are, and plan_finish() writes them. It wants the same bytes in inputs, outputs and
 * scratch as plan_run() left; they may have moved.
 */
uint32_t plan_n_counts(const struct plan *plan);
/* counts has room for plan_n_counts(). */
void plan_counts(const struct plan *plan, const void *scratch, int64_t *counts);
/* plan_output() with the extents that were counted, if there are such; these are in C order. */
void plan_counted_output(const struct plan *plan, uint32_t i, const int64_t *counts,
                         struct desc *desc);
int plan_finish(const struct plan *plan, const struct run *run, const void *const *inputs,
                void *const *outputs, void *scratch, const int64_t *counts);
