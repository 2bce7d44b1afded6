/* SPDX-License-Identifier: MIT */
/*
 * Steps whose results depend on data, run in two halves on threads of their own: the first counts,
 * the second writes what was counted.
 */
#pragma once

#include "step_kit.h"

/* What both halves get; scratch and count pass from one to the other. */
struct halves {
        struct work work;
        struct step *step;
        struct run run;
        const void *args[2];
        void *results[4];
        char *scratch;
        int64_t count;
        bool is_second;
        int r;
};

static inline void halves_work(struct work *work)
{
        struct halves *h = container_of(work, struct halves, work);

        if (h->is_second)
                h->r = step_finish(h->step, &h->run, h->args, h->results, h->scratch, h->count);
        else
                h->r = step_run(h->step, &h->run, h->args, h->results, h->scratch, NULL);
}

static inline void halves_done(struct work *work)
{
        (void)work;
}

/* One of them on n_threads; r: what it answered. */
static inline void halves_half(struct halves *h, unsigned n_threads)
{
        struct workers *workers;

        ck_assert_int_eq(workers_new(&workers, n_threads, kit_wake, NULL), 0);
        h->run.workers = workers;
        work_init(&h->work, halves_work, halves_done);
        workers_submit(workers, &h->work);
        workers_free(workers);
}
