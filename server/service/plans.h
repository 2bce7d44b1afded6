/* SPDX-License-Identifier: MIT */
/*
 * Plans that were made before
 *
 * A program that comes again with inputs that lie alike needs no second plan. A plan is found by
 * the node list (the very one: the wire decodes equal bytes once), the outputs that are wanted and
 * the descriptors of the inputs. Plans are immutable and counted: a job holds on to its own, the
 * cache to those that were used last, within a bound.
 *
 * Loop thread only, but for the plan itself.
 */
#pragma once

#include "base/list.h"
#include "base/table.h"
#include "compute/plan/plan.h"
#include "wire/nodes.h"

/* A bound on an estimate: a plan takes about as much as the program that it is made from. */
#define PLANS_BYTES (32 * 1024 * 1024)
/* Programs of more inputs than fit into this are planned each time. */
#define PLAN_KEY_MAX 4096

struct planned {
        uint32_t n_refs;
        struct plan *plan;
        struct plans *plans; /* NULL: not in the cache */
        struct nodes
                *nodes; /* owned reference, of one in the cache: so its address stays its own */
        struct list link;
        size_t n_bytes;
        uint8_t *key;
        UT_hash_handle hh;
};

struct plans {
        struct planned *by_key;
        struct list used; /* least recently first */
        size_t n_bytes;
        uint64_t n_hits;
        uint64_t n_misses;
};

struct plan_key {
        size_t n; /* 0: it cannot be cached */
        uint8_t bytes[PLAN_KEY_MAX];
};

void plans_init(struct plans *plans);
void plans_deinit(struct plans *plans);
void plan_key_init(struct plan_key *key, const struct nodes *nodes,
                   const struct td_program *program, const struct desc *inputs, const bool *takes);
/* A reference, or NULL. */
struct planned *plans_find(struct plans *plans, const struct plan_key *key);
/*
 * Takes the plan over and remembers it, if it can be cached. A reference; NULL for no memory, and
 * the plan is freed.
 */
struct planned *plans_add(struct plans *plans, const struct plan_key *key, struct nodes *nodes,
                          struct plan *plan);
struct planned *planned_unref(struct planned *planned);
