/* SPDX-License-Identifier: MIT */
/*
 * Sorting elements of one key or of two
 *
 * sort_line() for any dtype that has an order: where its elements have a minor key, those of equal
 * keys are in the order of that.
 */
#pragma once

#include "compute/sort/sort_line.h"

/* Bytes of scratch, 64-byte aligned. */
uint64_t sort_parts_n_scratch(const struct order *order, int64_t n, bool has_indices);
/* Where in the scratch the sorted keys will be, and with them the minor ones. */
struct sorted sort_parts_at(const struct order *order, int64_t n, bool has_indices, void *scratch);
/* 0 or PLAN_E_STOPPED. */
int sort_parts(const struct source *source, bool has_indices, const struct run *run, void *scratch);
