/* SPDX-License-Identifier: MIT */
/*
 * Definitions
 *
 * A program that a connection had checked once, to be called with other inputs of the same dtypes
 * and shapes. Numbered by its client, known to its connection alone, and ended with it; calls under
 * way keep theirs.
 *
 * Loop thread only.
 */
#pragma once

#include "base/quota.h"
#include "base/table.h"
#include "wire/request.h"

struct definition {
        uint32_t n_refs;
        uint64_t number;
        struct nodes *nodes;       /* owned reference */
        struct td_program program; /* outputs lie behind the struct */
        struct td_type *types;     /* of the inputs; behind the struct */
        size_t n_bytes;            /* of all that it takes */
        struct charge charge;
        UT_hash_handle hh;
};

struct definitions {
        struct definition *by_number;
        size_t n_bytes;
};

struct definition *definition_find(struct definitions *definitions, uint64_t number);
/* From a request that is one; the number is free. CHARGE_E_* or -ENOMEM. */
int definition_new(struct definitions *definitions, struct user *user, struct request *request);
/* The connection forgets it. */
void definition_drop(struct definitions *definitions, struct definition *definition);
void definitions_clear(struct definitions *definitions);
struct definition *definition_unref(struct definition *definition);
