/* SPDX-License-Identifier: MIT */
/*
 * Sorting one long line, on all threads
 *
 * Keys are cut into buckets by splitters taken from a sample, each bucket then sorted alone. The
 * result is the one that stable sorting has, so neither threads nor splitters show in it.
 */
#pragma once

#include "compute/sort/order.h"
#include "compute/sort/sort_keys.h"
#include "compute/step.h"

/* Longer lines are refused by inference. */
#define SORT_MAX UINT32_MAX

struct sorted {
        uint64_t *keys;
        uint32_t *indices; /* in the order of the source; NULL if not wanted */
        uint64_t *room;    /* for as many keys, free again when all are sorted */
        uint64_t *minor;   /* of sort_parts(): what is in order where keys are equal, or NULL */
};

/* Bytes of scratch, 64-byte aligned. */
uint64_t sort_line_n_scratch(int64_t n, bool has_indices);
/* Where in the scratch the sorted keys will be. */
struct sorted sort_line_at(int64_t n, bool has_indices, void *scratch);
/* 0 or PLAN_E_STOPPED. */
int sort_line(const struct source *source, bool has_indices, const struct run *run, void *scratch);
