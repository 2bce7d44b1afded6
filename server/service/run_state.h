/* SPDX-License-Identifier: MIT */
/*
 * What a run holds while it is under way; see handle_run.c
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "compute/plan/plan.h"
#include "service/core.h"

/* Memory of one output, or the scratch: a part of run_state.small, or a segment of its own. */
struct area {
        uint64_t n_bytes;
        struct segment *segment; /* owned; NULL: small, or nothing reserved yet */
        bool is_ready;           /* the segment is allocated */
        bool is_pinned;
        bool is_small;
        void *data; /* what is computed into */
        struct tensor *tensor; /* owned: made before, so that nothing fails behind; usually NULL */
};

struct run_state {
        struct desc *descs;  /* of the inputs; until there is a plan */
        bool descs_are_ours; /* allocated by themselves */
        bool *takes;         /* by input: its memory may be taken */
        struct plan *fresh;  /* just made; owned */
        struct planned *planned;
        const struct plan *plan; /* that one's */
        struct area *areas;      /* one per output, the last is scratch */
        uint32_t n_areas;
        uint32_t n_reserved;
        const void **inputs;
        struct segment **segments; /* that inputs are pinned in: owned, NULL where there is none */
        void **outputs;
        struct prepaid prepaid; /* for what the outputs will be */
        struct charge grants;  /* of those that are to be mapped */
        uint8_t *small;     /* owned: aligned copies of inline inputs, and the small areas */
        uint64_t touch_ns;  /* what it may take to map the inputs' pages */
        uint32_t n_pinned;  /* inputs whose segments are pinned */
        bool is_allocating; /* a segment must be allocated first */
        uint64_t n_scratch; /* counted in service->n_scratch */
        bool is_over;       /* taken inputs were written over */
        bool has_written;   /* results went into mutable tensors */
        bool is_sized;      /* outputs that depend on data were counted */
        int64_t *counts;    /* owned: of a plan whose outputs depend on data, once it counted */
        _Atomic uint64_t n_done; /* steps of the plan, while it is computed */
};

/* Of an output whose shape depends on data: not before it was counted. */
static inline bool run_knows_output(const struct call *call, uint32_t i)
{
        return td_type_is_known(&plan_output(call->run->plan, i)->type);
}

/* Of one whose shape depends on data: once it was counted. */
static inline void run_output_desc(const struct run_state *run, uint32_t i, struct desc *desc)
{
        if (run->counts)
                plan_counted_output(run->plan, i, run->counts, desc);
        else
                *desc = *plan_output(run->plan, i);
}

/* Its bytes lie in the daemon's heap, and will go along in messages. i may be the scratch. */
bool run_is_small(const struct call *call, uint32_t i);
/* The input whose memory the output lies in, -1: its own. */
int32_t run_taken(const struct call *call, uint32_t i);
/* Copies of the inline inputs, and room for what is small. 0, STORE_E_QUOTA or -ENOMEM. */
int run_reserve_small(struct call *call);
/*
 * What the outputs need to become tensors, but for their segments: those themselves, what is small,
 * records of names, and that some are mapped. 0, a store outcome or a negative errno.
 */
int run_charge(struct call *call);
/* Memory for those areas that have a size and none yet. 0, a store outcome or a negative errno. */
int run_reserve(struct call *call);
/* Who waits for memory waits without: what is not in use yet is given back. */
void run_give_back(struct call *call);
/* 0, a store outcome or a negative errno; then none is pinned. */
int run_pin_inputs(struct call *call);
void run_unpin_inputs(struct call *call);
/* Any thread: areas are allocated and pinned. 0, a store outcome or a negative errno. */
int run_prepare(struct run_state *run);
/* Any thread. Which input lost its pages while it was computed on, -1: none. */
int64_t run_find_poisoned(const struct call *call);
/* Any thread. In which segment of inputs, outputs and scratch does a byte lie? NULL: in none. */
const struct segment *run_find_segment(const struct call *call, const char *at);
/* The call ends well: its outputs are described, those without a tensor by their bytes. */
void run_answer(struct call *call, struct tensor **tensors);
