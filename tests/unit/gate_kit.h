/* SPDX-License-Identifier: MIT */
/*
 * A work that tells when it has begun, and ends when it is let.
 */
#pragma once

#include <semaphore.h>

#include "base/workers.h"

struct gate {
        struct work work;
        sem_t entered, open;
};

static inline void gate_run(struct work *work)
{
        struct gate *gate = container_of(work, struct gate, work);

        sem_post(&gate->entered);
        sem_wait(&gate->open);
}

static inline void gate_done(struct work *work)
{
        (void)work;
}

static inline void gate_init(struct gate *gate, bool is_open)
{
        sem_init(&gate->entered, 0, 0);
        sem_init(&gate->open, 0, is_open);
        work_init(&gate->work, gate_run, gate_done);
}
