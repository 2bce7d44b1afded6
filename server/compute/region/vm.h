/* SPDX-License-Identifier: MIT */
/*
 * The tile machine
 *
 * An expression, made ready to be computed tile by tile along the space that its leaves span. A
 * tile is up to vm->tile elements that follow one another in the order of the space, or a box of
 * rows and columns of two of its dimensions. Kernels only ever see contiguous or scalar operands: a
 * leaf that lies contiguous in every tile is read in place, one that stands still is a scalar, any
 * other is loaded into a register. So is the result of every operation, unless it is stored. An
 * index is walked as if it lay in memory from VM_NOWHERE on, with elements of one byte; loading it
 * takes the addresses for the elements.
 *
 * Where leaves are larger than the caches, the lines of the tile after the next are asked for, some
 * before each instruction: so memory is busy while a processor computes.
 *
 * What depends on nothing that moves is computed once per thread, what stands still within a tile
 * on one element. An element's bits depend neither on its place in a tile nor on the tile.
 *
 * A machine is const once it is made. Each thread computes with a struct vm_thread of its own,
 * which belongs on its stack.
 */
#pragma once

#include "base/cleanup.h"
#include "compute/region/expr.h"
#include "compute/space.h"

enum vm_walk {
        VM_RANGES, /* tiles may begin and end anywhere */
        VM_ROWS,   /* tiles lie within one row: the space's last dimension */
        VM_BOXES,  /* tiles are boxes */
};

enum {
        VM_MEMORY = 64 * 1024,
        VM_VALUES_MAX = EXPR_LEAVES_MAX + 2 * EXPR_VALUES_MAX + 2 * EXPR_RESULTS_MAX,
        VM_WHOLE = 32 * 512, /* tile of a machine without registers */
        VM_ASKED_MAX = 8,
};

/* Far from both ends of what a pointer can be. */
#define VM_NOWHERE ((uintptr_t)1 << 62)

struct vm;
struct vm_instr;

struct vm_thread {
        const struct vm *vm;
        int64_t index;  /* of the tile's first element, in the order of the space */
        int64_t n_rows; /* of a box */
        int64_t n_columns;
        const char *bases[EXPR_LEAVES_MAX];
        char *at[VM_VALUES_MAX]; /* where values lie; leaves first */
        _Alignas(64) char memory[VM_MEMORY];
};

struct vm_leaf {
        int64_t offset;
        int64_t item_size;
        bool is_index; /* lies nowhere */
        bool is_dense; /* in the order of the space */
        bool is_fixed; /* one element for the whole space */
        bool is_used;
};

struct vm_register {
        uint16_t value;
        uint32_t offset;
};

/* A leaf that is read from one end to the other, and whose lines are asked for in time. */
struct vm_asked {
        uint16_t leaf;
        uint32_t ahead; /* bytes of two tiles */
};

struct vm {
        const struct space *space; /* operands are the leaves */
        enum vm_walk walk;
        unsigned row_dim, column_dim; /* of boxes */
        unsigned n_leaves, n_constants, n_registers, n_results;
        unsigned n_once, n_scalar, n_vector; /* instructions: once per thread, on one element per
                                                tile, on the tile */
        bool is_moving; /* some leaf needs to know where in the space a tile begins */
        bool is_stored; /* results are written where vm_range() is told */
        size_t tile;    /* elements at a time, at most */
        uint64_t cost;  /* nanoseconds for 1000 elements */
        unsigned n_asked;
        size_t ask_step; /* bytes of each, before an instruction; whole lines */
        struct vm_asked asked[VM_ASKED_MAX];
        const struct vm_leaf *leaves;
        const struct vm_instr *instrs;
        const struct vm_register *registers;
        const struct vm_register *constants;
        const union td_scalar *constant_values;
        uint16_t results[EXPR_RESULTS_MAX];
        uint8_t result_sizes[EXPR_RESULTS_MAX];
};

/*
 * space: as space_init() or space_push() made it, with the expression's leaves as operands, folded
 * or not, its dimensions in the order in which it is to be walked. is_stored: results go to memory
 * that each tile is told; else they stay in registers, or in place, where the next tile overwrites
 * them. tile_max: an upper bound for tiles, 0 for none. 0 or -ENOMEM.
 */
struct vm_layout {
        const struct space *space;
        enum vm_walk walk;
        unsigned row_dim, column_dim;
        bool is_stored;
        size_t tile_max;
};

int vm_new(struct vm **vmp, const struct expr *expr, const struct vm_layout *layout);
struct vm *vm_free(struct vm *vm);
DEFINE_CLEANUP(struct vm, vm_free)

/*
 * Each of these returns 0, or the mark of the first operation that refused its values.
 *
 * vm_begin: leaves[i] is the byte that the leaf's descriptor's offset counts from; of an index,
 * anything.
 * vm_range: elements [index, index + n), n <= vm->tile; VM_ROWS: within one row.
 * vm_box: n_rows * n_columns <= vm->tile elements; at: the first one's place, one index per
 * dimension of the space.
 * outs: one address per result if the machine stores, else NULL. A result may lie where a leaf
 * does, if the leaf is dense and has elements of the same size, and vm_may_replace() says so.
 */
unsigned vm_begin(struct vm_thread *thread, const struct vm *vm, const void *const *leaves);
unsigned vm_range(struct vm_thread *thread, int64_t index, size_t n, char *const *outs);
unsigned vm_box(struct vm_thread *thread, const int64_t *at, int64_t n_rows, int64_t n_columns,
                char *const *outs);

/* A result of the last tile, contiguous; row after row for a box. */
static inline const char *vm_result(const struct vm_thread *thread, unsigned i)
{
        return thread->at[thread->vm->results[i]];
}

/* Which operation refused, in words: PLAN_E_REFUSED's refusal, its node included. */
void vm_refuse(const struct vm *vm, unsigned mark, struct td_refusal *refusal);

/*
 * May a result lie in the very memory of a leaf, if it is stored by the machine, or by the caller
 * before the next tile?
 */
bool vm_may_replace(const struct vm *vm, unsigned leaf, unsigned result);

/* How many elements of a box: rows to go with, and columns. */
#define VM_BOX_ROWS 32
int64_t vm_box_columns(const struct vm *vm);
