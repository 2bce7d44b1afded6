/* SPDX-License-Identifier: MIT */
/*
 * What is reduced
 *
 * An expression over a shape some of whose axes are reduced, delivered in the order in which folds
 * want it: results are numbered in the order in which they lie, the elements of one result in C
 * order of the reduced axes. Either by rows, some elements of one result or all of several, or by
 * columns, one element each of many neighbouring results. Which of the two suits the way in which
 * memory lies is decided once.
 *
 * Nothing is copied that lies in memory as it is wanted. The expression's other results are stored
 * on the way. A feed is const once it is made; each thread has a
 * mouth of its own, on its stack.
 */
#pragma once

#include "compute/reduce/band.h"
#include "compute/region/vm.h"

enum {
        FEED_ROWS = 8 * KERNEL_LANES, /* delivered at a time by columns, at most */
        FEED_COLUMNS = 512,           /* neighbouring results at a time, at most */
};

struct feed {
        struct vm *vm; /* NULL: there are no elements */
        int64_t n_results;
        int64_t n_over;  /* elements of one result */
        unsigned n_kept; /* dimensions of the machine's space that are kept, the first ones */
        size_t item_size;
        int64_t most;   /* elements at a time by rows */
        int64_t width;  /* columns at a time, at most; 0: by rows */
        bool is_short;  /* by rows, of several results at a time: those of most elements */
        bool is_direct; /* columns are pointers to rows in memory, of a leaf */
        unsigned leaf;
        unsigned n_stored;
        unsigned out; /* leaf without elements that tells where in the results an element belongs */
        bool is_streamed;
        bool is_banded; /* rows are read by bands, of that leaf */
        struct bands bands;
        struct space over;
};

struct mouth {
        const struct feed *feed;
        char *const *stored; /* memory of what is stored; NULL: nothing is, this time */
        int64_t result, index, n_columns; /* by columns: what comes next */
        struct walk walk;
        struct band band; /* of band_result */
        int64_t band_result;
        char *band_memory;
        struct vm_thread vm;
};

enum feed_way {
        FEED_AS_IT_LIES,
        FEED_BY_ROWS,
        FEED_BY_COLUMNS, /* if some axis is kept, and some reduced one has more than one element */
};

/* How an expression is fed. */
struct feed_of {
        const struct td_type *shape;
        uint32_t reduced;          /* bit i: axis i is */
        const struct desc *result; /* dense, with an axis for each that is kept, or for all */
        const struct desc *stored; /* all but the expression's first result lie like that, dense */
        enum feed_way way;
};

/*
 * The expression's first result; if there are others, it gets one leaf more for them. 0 or -ENOMEM.
 */
int feed_init(struct feed *feed, struct expr *expr, const struct feed_of *of);
/* May what is stored lie in the very memory of a leaf, if all is delivered once? Results are
 * numbered as the expression's, from 1 on. */
bool feed_may_replace(const struct feed *feed, unsigned leaf, unsigned result);
void feed_deinit(struct feed *feed);
/* Nanoseconds for all of it. */
uint64_t feed_cost_ns(const struct feed *feed);

/*
 * These return 0, or the mark of the first operation that refused its values. band: BAND_BYTES of
 * memory, if the feed is banded.
 */
unsigned mouth_begin(struct mouth *mouth, const struct feed *feed, const void *const *leaves,
                     char *const *stored, char *band);
void mouth_end(const struct mouth *mouth);
/* Elements from the given one of a result on, or of following results too; n <= feed->most. */
unsigned mouth_rows(struct mouth *mouth, int64_t result, int64_t index, int64_t n, const char **xp);
/*
 * Begin with the element of that index of n_columns neighbouring results, which do not leave the
 * last kept dimension; then up to n <= FEED_ROWS rows of them at a time, *np at least one.
 */
void mouth_columns_begin(struct mouth *mouth, int64_t result, int64_t n_columns, int64_t index);
unsigned mouth_columns(struct mouth *mouth, int64_t n, const char **rows, int64_t *np);

/* Extent of the last kept dimension. */
static inline int64_t feed_columns(const struct feed *feed)
{
        return feed->n_kept > 0 ? feed->vm->space->shape[feed->n_kept - 1] : 1;
}
