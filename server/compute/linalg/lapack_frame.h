/* SPDX-License-Identifier: MIT */
/*
 * What every routine of linear algebra stands on
 *
 * A routine says what one matrix of a stack needs to work with, and computes one: from operands of
 * any layout into results that are dense in C order. The frame walks the stack, spreads it over
 * threads, converts operands of another dtype, and tells which matrix a refusal is about.
 *
 * LAPACK's column-major order sees a C-ordered matrix transposed. Most routines work on that
 * transpose, in the result itself where they can; the others pack by columns.
 */
#pragma once

#include <complex.h>
#include <string.h>

#include "compute/linalg/lapack.h"
#include "compute/space.h"
#include "compute/step_base.h"

enum { LAPACK_ARGS = 3, LAPACK_RESULTS = 4, LAPACK_AREAS = 12 };

/* The matrices of an operand: bytes from one element to the next along each dimension. */
struct lapack_operand {
        struct step *convert; /* the whole operand to the dtype computed in; NULL: as it lies */
        uint64_t convert_at;  /* in scratch */
        struct desc desc;     /* of what is read */
        unsigned n_core;      /* trailing dimensions that belong to one problem */
};

struct lapack_call;

struct lapack_routine {
        const char *name;
        void (*prepare)(struct lapack *s); /* reserves what one matrix needs */
        int (*one)(const struct lapack_call *call);
};

struct lapack {
        struct step step;
        const struct lapack_routine *routine;
        enum td_op op;
        enum td_dtype dtype; /* computed in: float32, float64, complex64 or complex128 */
        enum td_dtype taken; /* what operands are converted to */
        enum td_dtype result_dtype;
        double rcond;    /* of lstsq */
        unsigned letter; /* of that dtype: 0 to 3 for s, d, c, z */
        int64_t size;    /* of an item */
        bool is_upper;
        bool is_full;           /* full_matrices */
        bool is_beyond;         /* LAPACK cannot count the extents or what it needs to work */
        int m, n, least, n_rhs; /* of the matrix, the smaller of the two, and of the right side */
        struct td_type lead;    /* shape of the stack */
        struct space stack;
        int64_t n_products;
        unsigned n_args, n_results;
        struct lapack_operand args[LAPACK_ARGS];
        int64_t result_bytes[LAPACK_RESULTS]; /* of one problem */
        int64_t n_lanes;                      /* problems that may be worked on at once */
        uint64_t lane_bytes, lanes_at;        /* in scratch */
        uint64_t at[LAPACK_AREAS];            /* a routine's areas in its lane */
        int n_work, n_rwork, n_iwork;         /* as LAPACK asked */
};

/* One problem, on one thread. */
struct lapack_call {
        const struct lapack *s;
        const struct run *run; /* to be asked within long problems; PLAN_E_STOPPED then */
        const char *args[LAPACK_ARGS];
        char *results[LAPACK_RESULTS];
        char *lane;
        int64_t index;
        struct td_refusal *refusal;
};

/* Room in a lane; where it begins. */
uint64_t lapack_reserve(struct lapack *s, int64_t n, int64_t item_size);
/* Take an answer to a query for work; *np becomes at least 1. */
void lapack_take_query(struct lapack *s, const void *work, int *np);

static inline void *lapack_area(const struct lapack_call *call, unsigned i)
{
        return call->lane + call->s->at[i];
}

/* Refuse the matrix: "op: the 3 x 3 matrix (1,) of the stack " and what is wrong with it. Returns
 * PLAN_E_REFUSED. */
__attribute__((format(printf, 3, 4))) int
lapack_refuse(const struct lapack_call *call, enum td_error_code code, const char *format, ...);
/* For what iterates: refuse a matrix (rows x columns, dense) with NaN or infinite elements. */
int lapack_check_finite(const struct lapack_call *call, const void *x, int64_t n);

/* One matrix of operand i, dense in C order, or (transposed) in column-major order. */
void lapack_pack_rows(const struct lapack_call *call, unsigned i, void *out);
void lapack_pack_columns(const struct lapack_call *call, unsigned i, void *out);
/* One triangle of a square matrix, dense in C order; the other is zero, whatever was there. */
void lapack_pack_triangle(const struct lapack_call *call, unsigned i, void *out, bool is_upper);
/* The same matrix, to be read: as it lies if it is dense in C order, else packed into room. */
const void *lapack_rows(const struct lapack_call *call, unsigned i, void *room);
/* out[rows][columns] from in, in which one row follows the other in_row items on, a column one
 * in_column items. */
void lapack_copy(int64_t size, int64_t rows, int64_t columns, void *out, int64_t out_row,
                 const void *in, int64_t in_row, int64_t in_column);
/* An n x n matrix in place; complex ones conjugated on the way if asked. */
void lapack_transpose_square(enum td_dtype dtype, int64_t n, void *x, bool is_conjugated);
void lapack_set_identity(const struct lapack *s, int64_t n, void *out);
/* Zero below (or above) the diagonal of a dense matrix of rows x columns. */
void lapack_clear_triangle(int64_t size, int64_t rows, int64_t columns, void *x, bool is_lower);

static inline double complex lapack_item(const struct lapack *s, const void *x, int64_t i)
{
        switch (s->dtype) {
        case TD_FLOAT32:
                return ((const float *)x)[i];
        case TD_FLOAT64:
                return ((const double *)x)[i];
        case TD_COMPLEX64:
                return ((const float complex *)x)[i];
        default:
                return ((const double complex *)x)[i];
        }
}

static inline void lapack_set_item(enum td_dtype dtype, void *x, int64_t i, double complex value)
{
        switch (dtype) {
        case TD_FLOAT32:
                ((float *)x)[i] = (float)creal(value);
                break;
        case TD_FLOAT64:
                ((double *)x)[i] = creal(value);
                break;
        case TD_COMPLEX64:
                ((float complex *)x)[i] = (float complex)value;
                break;
        default:
                ((double complex *)x)[i] = value;
                break;
        }
}

/* Declares a routine of LAPACK for the four dtypes, and a table of them by letter. Items are void,
 * so that one call serves all. */
#define LAPACK_FOUR(name, ...)                                                                     \
        void s##name##_(__VA_ARGS__);                                                              \
        void d##name##_(__VA_ARGS__);                                                              \
        void c##name##_(__VA_ARGS__);                                                              \
        void z##name##_(__VA_ARGS__);                                                              \
        static void (*const name[4])(__VA_ARGS__) = { s##name##_, d##name##_, c##name##_,          \
                                                      z##name##_ }

extern const struct lapack_routine lapack_cholesky, lapack_qr, lapack_lu;
extern const struct lapack_routine lapack_solve, lapack_lu_solve, lapack_inv, lapack_det,
        lapack_slogdet;
extern const struct lapack_routine lapack_svd, lapack_svdvals, lapack_lstsq, lapack_lstsq_complex;
extern const struct lapack_routine lapack_eigh, lapack_eigvalsh, lapack_eig, lapack_eigvals;
