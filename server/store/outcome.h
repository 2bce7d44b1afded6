/* SPDX-License-Identifier: MIT */
/*
 * Outcomes
 *
 * What became of named writes that carried an operation id, so that a client whose connection broke
 * may ask again. An outcome is kept for TD_OUTCOME_MS, and as long as a name has the value that the
 * operation gave it.
 *
 * Loop thread only. Times are CLOCK_BOOTTIME, which goes on while daemons come and go.
 */
#pragma once

#include "store/store.h"

struct outcome {
        struct {
                uint8_t op_id[16];
                uint64_t uid;
        } key;
        uint8_t tensor_id[16]; /* what it committed first; zeros: it deleted, or that is gone */
        uint64_t time_ms;
        uint32_t n_names; /* that still have the value */
        struct list link; /* young ones, oldest first; else by itself */
        struct charge charge;
        UT_hash_handle hh;
};

/* Its own memory, with its share of the table. */
#define OUTCOME_BYTES (sizeof(struct outcome) + 64)

struct outcomes {
        struct outcome *by_op;
        struct list young;
        uint64_t n_outcomes;
};

void outcomes_init(struct outcomes *outcomes);
/* Forgets all; no name may have one. */
void outcomes_deinit(struct outcomes *outcomes);

/* Remember; one of the same id is overwritten. tensor_id NULL: it deleted. -ENOMEM. */
int outcomes_put(struct outcomes *outcomes, uid_t uid, const struct op_id *op_id,
                 const uint8_t tensor_id[16], uint64_t time_ms, struct outcome **outcomep);
struct outcome *outcomes_find(struct outcomes *outcomes, uid_t uid, const struct op_id *op_id,
                              uint64_t now_ms);
/* Forget what is too old and of no name's value. */
void outcomes_sweep(struct outcomes *outcomes, uint64_t now_ms);

/* What it tells did not happen after all. */
void outcome_cancel(struct outcomes *outcomes, struct outcome *outcome);

/* Count it on its user, if it is not yet. */
void outcome_charge(struct outcome *outcome, struct user *user);

struct outcome *outcome_hold(struct outcome *outcome);
struct outcome *outcome_release(struct outcomes *outcomes, struct outcome *outcome);
