/* SPDX-License-Identifier: MIT */
/*
 * Planning and running in tests
 *
 * Scratch and outputs are heap blocks of exactly the size asked for, filled with rubbish, so that a
 * sanitizer sees a step that goes too far and a comparison sees one that does not go far enough.
 */
#pragma once

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/workers.h"
#include "compute/plan/plan.h"
#include "loops.h"
#include "program_kit.h"
#include "random_kit.h"

enum { KIT_OUTPUTS = 16 };

struct kit {
        struct plan *plan;
        struct td_refusal refusal;
        struct run run;
        void *outputs[KIT_OUTPUTS];
};

/* Chance: from 0 to n - 1. */
static inline uint32_t below(uint32_t n)
{
        return (uint32_t)((kit_random() >> 11) % n);
}

static inline struct desc dense(struct td_type type)
{
        struct desc desc;

        desc_init_c(&desc, &type);
        return desc;
}

static inline void kit_deinit(struct kit *kit)
{
        for (int i = 0; i < KIT_OUTPUTS; i++)
                free(kit->outputs[i]);
        plan_free(kit->plan);
        *kit = (struct kit){ .plan = NULL };
}

/* takes: inputs that are given away, or NULL. */
static inline int kit_plan_taking(struct kit *kit, struct blk *b, const struct desc *inputs,
                                  const bool *takes, uint32_t n_outputs, uint32_t *outputs)
{
        struct td_program program = { .block = blk_block(b),
                                      .n_outputs = n_outputs,
                                      .outputs = outputs };

        ck_assert_uint_le(n_outputs, KIT_OUTPUTS);
        *kit = (struct kit){ .plan = NULL };
        return plan_new_taking(&kit->plan, &program, inputs, takes, &kit->refusal);
}

static inline int kit_plan(struct kit *kit, struct blk *b, const struct desc *inputs,
                           uint32_t n_outputs, uint32_t *outputs)
{
        return kit_plan_taking(kit, b, inputs, NULL, n_outputs, outputs);
}

static inline void *kit_alloc(uint64_t n_bytes)
{
        void *p = NULL;

        ck_assert_int_eq(posix_memalign(&p, 64, n_bytes ? n_bytes : 1), 0);
        memset(p, 0xa5, n_bytes ? n_bytes : 1);
        return p;
}

/* What lies in an input's memory is copied out of it. */
static inline int kit_run(struct kit *kit, const void *const *inputs)
{
        void *scratch = kit_alloc(plan_n_scratch(kit->plan)), *outputs[KIT_OUTPUTS];
        const uint32_t n = plan_n_outputs(kit->plan);
        int r;

        for (uint32_t i = 0; i < n; i++) {
                const int32_t taken = plan_taken(kit->plan, i);

                free(kit->outputs[i]);
                kit->outputs[i] = kit_alloc((uint64_t)desc_n_bytes(plan_output(kit->plan, i)));
                outputs[i] = taken < 0 ? kit->outputs[i] : (void *)inputs[taken];
        }
        r = plan_run(kit->plan, &kit->run, inputs, outputs, scratch, &kit->refusal);
        for (uint32_t i = 0; i < n; i++)
                if (outputs[i] != kit->outputs[i])
                        memcpy(kit->outputs[i], outputs[i],
                               (size_t)desc_n_bytes(plan_output(kit->plan, i)));
        free(scratch);
        return r;
}

struct kit_job {
        struct work work;
        struct kit *kit;
        const void *const *inputs;
        int r;
};

static inline void kit_job_run(struct work *work)
{
        struct kit_job *job = container_of(work, struct kit_job, work);

        job->r = kit_run(job->kit, job->inputs);
}

static inline void kit_job_done(struct work *work)
{
        (void)work;
}

/* For workers that are drained. */
static inline void kit_no_wake(void *ctx)
{
        (void)ctx;
}

/* As the daemon does: by one of these workers, with the help of the others. NULL: here. */
static inline int kit_run_on(struct kit *kit, const void *const *inputs, struct workers *workers)
{
        struct kit_job job = { .kit = kit, .inputs = inputs };

        kit->run.workers = workers;
        if (!workers)
                return kit_run(kit, inputs);
        work_init(&job.work, kit_job_run, kit_job_done);
        workers_submit(workers, &job.work);
        workers_drain(workers);
        return job.r;
}

/* Plan and run what must work. */
static inline void kit_do(struct kit *kit, struct blk *b, const struct desc *descs,
                          const void *const *inputs, uint32_t n_outputs, uint32_t *outputs)
{
        int r = kit_plan(kit, b, descs, n_outputs, outputs);

        ck_assert_msg(r == 0, "%s", kit->refusal.message);
        r = kit_run(kit, inputs);
        ck_assert_msg(r == 0, "%d %s", r, kit->refusal.message);
}

static inline void ck_doubles(const void *got, uint32_t n, const double *expected)
{
        for (uint32_t i = 0; i < n; i++)
                ck_assert_double_eq(((const double *)got)[i], expected[i]);
}

static inline void ck_ints(const void *got, uint32_t n, const int64_t *expected)
{
        for (uint32_t i = 0; i < n; i++)
                ck_assert_int_eq(((const int64_t *)got)[i], expected[i]);
}

#define DOUBLES(...) \
        (const double[]) \
        { \
                __VA_ARGS__ \
        }
#define INTS(...) \
        (const int64_t[]) \
        { \
                __VA_ARGS__ \
        }
