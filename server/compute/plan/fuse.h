/* SPDX-License-Identifier: MIT */
/*
 * Which nodes are computed together
 *
 * Element-wise nodes are gathered into regions: one pass over one space that stores one or more
 * results, ends in a reduction, or both. A value inside of a region has no memory. A value is
 * stored if anything but regions reads it, or if it is read more than once and computing it again
 * costs more than loading it; it is then stored by the first region that computes with it, where
 * that is possible, so that storing costs no pass of its own.
 *
 * A view between two nodes of a region is no border: what is behind it is computed as it is seen
 * through it, from leaves seen through it. Constants and generators are computed wherever they are
 * read.
 *
 * A product that one region alone reads may go through it tile by tile: then it is computed where
 * the region is run, unless its operands would be kept for that and take more memory than it does.
 *
 * A region is run where the last of its nodes stands in the block. So a value may only be stored by
 * a region that stands before everything else that reads it, views of it included.
 */
#pragma once

#include "compute/region/expr.h"
#include "compute/plan/graph.h"

enum {
        FUSE_NONE = UINT32_MAX,
        FUSE_READERS_MAX = 6, /* regions that read one value, as far as they are kept apart */
};

/* What a value is seen through: a view of it, and what that is seen through. */
struct fuse_view {
        uint32_t node;
        uint32_t next; /* or FUSE_NONE */
};

struct fuse_reader {
        uint32_t group;
        uint32_t view; /* or FUSE_NONE: as it is */
};

struct fuse_group {
        uint32_t last;      /* node where the region is run */
        uint32_t n_nodes;   /* inside, counted as often as they are computed again, and constants */
        uint32_t n_pending; /* leaves: values that nodes inside read from outside, and indices */
        uint32_t reduction; /* node that the region ends in, beside storing: a reduction or a scan;
                               or FUSE_NONE */
        uint32_t product; /* node that nobody else reads, whose tiles may go through the region on
                             the way: see epilogue.h; or FUSE_NONE */
        uint32_t n_stored;
        uint32_t stored[EXPR_RESULTS_MAX]; /* values, last one first */
        const struct td_type *type;        /* of everything inside but single elements */
};

struct fuse_value {
        uint32_t stored_by; /* group, or FUSE_NONE: not stored by a region */
        bool is_inline;     /* computed wherever it is read; a view: looked through */
        bool must_store;
        bool is_flat; /* leaves lie in C order, if it is inline too: any reshape is a view */
        uint8_t n_readers;
        struct fuse_reader readers[FUSE_READERS_MAX]; /* groups that compute with it */
        uint32_t first_view; /* of a view that is looked through: its first one in fuse.views */
        uint32_t first_read; /* where anything else reads it: a node; UINT32_MAX: behind all */
        uint32_t cost;       /* of computing it from what is in memory, for 1000 elements */
};

struct fuse {
        const struct graph *graph;
        struct fuse_value *values;
        struct fuse_group *groups;
        struct fuse_view *views;
        uint32_t n_groups, n_views;
        uint32_t *group_at; /* of a node: the group that is run there, or FUSE_NONE */
};

/* ends: values that are needed when the block ends. graph_order() has run. 0 or -ENOMEM. */
int fuse_init(struct fuse *fuse, const struct graph *graph, const bool *ends);
void fuse_deinit(struct fuse *fuse);

/* Has nobody but regions use for a constant, a generator or a view? */
bool fuse_is_idle(const struct fuse *fuse, uint32_t node);
/* Is the node left to regions? */
bool fuse_takes(const struct graph *graph, const struct td_node *node);
/* The node whose result is one value everywhere, which regions take as a constant; or NULL. */
const struct td_node *fuse_constant(const struct fuse *fuse, uint32_t value);
/* The node whose result regions compute from its indices; or NULL. */
const struct td_node *fuse_generator(const struct fuse *fuse, uint32_t value);
/* Does a group that reads the value through the view compute it itself? */
bool fuse_is_inside(const struct fuse *fuse, uint32_t group, uint32_t value, uint32_t view);
/* Is the node computed together with the group that reads it? */
bool fuse_is_product(const struct fuse *fuse, uint32_t node);
/* What is behind a node that is a view, seen through the given one, is seen through; FUSE_NONE: as
 * it is. */
uint32_t fuse_view_of(const struct fuse *fuse, uint32_t node, uint32_t view);
