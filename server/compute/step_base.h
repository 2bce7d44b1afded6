/* SPDX-License-Identifier: MIT */
/*
 * What every step begins with
 *
 * A family of operations (region.c, reduce.c, ...) embeds a struct step as its first member
 * and gives it a class. A step is made on the loop thread and const from then on: any number of
 * threads may run it at once, each with its own memory.
 */
#pragma once

#include "compute/step.h"

#include <assert.h>
#include <stdatomic.h>

struct step_class {
        const char *name;
        int (*run)(const struct step *step, const struct run *run, const void *const *args,
                   void *const *results, void *scratch, struct td_refusal *refusal);
        struct step *(*free)(struct step *step);
};

struct step {
        const struct step_class *class;
        uint64_t n_scratch;
        uint64_t cost_ns;
        /* of a counted step, else NULL; see step_finish() */
        int (*finish)(const struct step *step, const struct run *run, const void *const *args,
                      void *const *results, const void *scratch, int64_t count);
        int64_t count_max;
};

/* Work below this many bytes read and written stays on the calling thread. */
#define SPREAD_BYTES (128 * 1024)

static inline bool run_should_stop(const struct run *run)
{
        return run && run->should_stop && run->should_stop(run->ctx);
}

/* The same for the threads of a run: what one of them was told, all know. */
static inline bool run_must_end(const struct run *run, atomic_bool *is_stopped)
{
        if (atomic_load_explicit(is_stopped, memory_order_relaxed))
                return true;
        if (!run_should_stop(run))
                return false;
        atomic_store_explicit(is_stopped, true, memory_order_relaxed);
        return true;
}

static inline struct workers *run_workers(const struct run *run)
{
        return run ? run->workers : NULL;
}

static inline uint64_t align_64(uint64_t n)
{
        return (n + 63) & ~UINT64_C(63);
}

/* Where what begins there ends, with at most n_most elements of n. */
static inline int64_t chunk_end(int64_t begin, int64_t n_most, int64_t n)
{
        return n - begin < n_most ? n : begin + n_most;
}

static inline int64_t div_up(int64_t n, int64_t by)
{
        return n / by + (n % by != 0);
}
