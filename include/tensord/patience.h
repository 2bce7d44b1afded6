/* SPDX-License-Identifier: MIT */
/*
 * Patience
 *
 * Both sides poll for a moment before they sleep, since a wake-up costs more than a small request.
 * Where that is in vain the other side is slow, or shares our core and waits for it. One time says
 * little: it had to wake up, or paused between two bursts. After some in a row so many messages are
 * slept for before it is tried again, and twice as many each time that it is in vain again.
 */
#pragma once

#include <stdbool.h>

#define TD_PATIENCE_VAIN 4 /* times in a row */
#define TD_PATIENCE_REST 8 /* messages */
/* Of 16 us each where both sides share a core: polling 50 us is 5 % of these. */
#define TD_PATIENCE_REST_MAX 64

/* All 0 at first. */
struct td_patience {
        unsigned n_vain; /* times in a row */
        unsigned n_rest; /* messages still to be slept for */
        unsigned n_last; /* how many it were the last time */
};

static inline bool td_patience_may_poll(const struct td_patience *patience)
{
        return patience->n_rest == 0;
}

/* A message came, or was slept for, while it may not poll. */
static inline void td_patience_rest(struct td_patience *patience)
{
        patience->n_rest -= patience->n_rest > 0;
}

/* It polled. */
static inline void td_patience_polled(struct td_patience *patience, bool is_in_vain)
{
        if (!is_in_vain) {
                *patience = (struct td_patience){ 0 };
                return;
        }
        if (++patience->n_vain < TD_PATIENCE_VAIN)
                return;
        patience->n_last = patience->n_last ? 2 * patience->n_last : TD_PATIENCE_REST;
        if (patience->n_last > TD_PATIENCE_REST_MAX)
                patience->n_last = TD_PATIENCE_REST_MAX;
        patience->n_rest = patience->n_last;
}
