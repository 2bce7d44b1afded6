/* SPDX-License-Identifier: MIT */
/*
 * Which nodes are computed together
 *
 * Element-wise nodes are gathered into regions: one pass over one space that stores one or more
 * results, or ends in a reduction. A value inside of a region has no memory. A value is stored if
 * anything but regions over the same space reads it, or if several regions read it and computing it
 * again costs more than loading it; it is then stored by the first region that computes with it,
 * where that is possible, so that storing costs no pass of its own.
 *
 * A region is run where the last of its nodes stands in the block. So a value may only be stored by
 * a region that stands before everything else that reads it.
 */
#pragma once

#include "compute/region/expr.h"
#include "compute/plan/graph.h"

enum {
        FUSE_NONE = UINT32_MAX,
        FUSE_READERS_MAX = 6, /* regions that read one value, as far as they are kept apart */
};

struct fuse_group {
        uint32_t last;      /* node where the region is run */
        uint32_t n_nodes;   /* inside, counted as often as they are computed again */
        uint32_t n_pending; /* values that nodes inside read from outside, at most */
        uint32_t reduction; /* node that the region ends in, instead of storing; or FUSE_NONE */
        uint32_t n_stored;
        uint32_t stored[EXPR_RESULTS_MAX]; /* values, last one first */
        const struct td_type *type;        /* of everything inside but single elements */
};

struct fuse_value {
        uint32_t stored_by; /* group, or FUSE_NONE: not stored by a region */
        bool is_inline;     /* computed wherever it is read */
        bool must_store;
        uint8_t n_readers;
        uint32_t readers[FUSE_READERS_MAX]; /* groups that compute with it */
        uint32_t first_read; /* where anything else reads it: a node; UINT32_MAX: behind all */
        uint32_t cost;       /* of computing it from what is in memory, for 1000 elements */
};

struct fuse {
        const struct graph *graph;
        struct fuse_value *values;
        struct fuse_group *groups;
        uint32_t n_groups;
        uint32_t *group_at; /* of a node: the group that is run there, or FUSE_NONE */
};

/* ends: values that are needed when the block ends. 0 or -ENOMEM. */
int fuse_init(struct fuse *fuse, const struct graph *graph, const bool *ends);
void fuse_deinit(struct fuse *fuse);

/* Has nobody but regions use for a constant? */
bool fuse_is_idle(const struct fuse *fuse, uint32_t node);
/* Is the node left to regions? */
bool fuse_takes(const struct graph *graph, const struct td_node *node);
/* The node whose result is one value everywhere, which regions take as a constant; or NULL. */
const struct td_node *fuse_constant(const struct fuse *fuse, uint32_t value);
/* Does a group that reads the value compute it itself? */
bool fuse_is_inside(const struct fuse *fuse, uint32_t group, uint32_t value);
