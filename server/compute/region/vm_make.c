/* SPDX-License-Identifier: MIT */
/*
 * Making a tile machine
 *
 * Values of the expression are visited in order. What a result does not need leaves nothing behind.
 * Instructions are written to three lists (once, on one element, on the tile), and get registers by
 * a scan from the last instruction to the first: a register is given out where its value is last
 * read, and given back where it is written. A result of an operation may lie where one of its
 * operands lay, if their elements have the same size.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "compute/region/vm_instr.h"

#define REGISTER_BYTES 2048
#define TILE_BYTES (24 * 1024) /* of all registers of boxes: half of an L1 cache */
#define TILE_MIN 256
#define TILE_UNIT 64
#define ASKED_MIN_BYTES (1 << 20)
#define ASKED_MOST (16 * VM_LINE) /* of a leaf at a time; a core waits for no more lines */

static_assert(VM_BOX_ROWS * 8 <= TILE_MIN, "a box is at least 8 columns wide");

/* How often a value changes. */
enum motion { ONCE, PER_TILE, PER_ELEMENT };

struct maker {
        const struct expr *expr;
        const struct vm_layout *layout;
        struct vm vm;
        struct vm_leaf leaves[EXPR_LEAVES_MAX];
        struct vm_instr lists[3][VM_VALUES_MAX];
        unsigned n[3];
        unsigned n_values;
        bool is_needed[EXPR_VALUES_MAX];
        uint8_t motion[VM_VALUES_MAX];
        uint8_t sizes[VM_VALUES_MAX];
        uint16_t where[EXPR_VALUES_MAX];  /* a value's place in vm_thread.at; 0xffff: not made */
        uint16_t spread[EXPR_VALUES_MAX]; /* that of it, spread over a tile */
        uint16_t loaded[EXPR_VALUES_MAX]; /* that of a leaf, loaded */
        struct vm_register constants[EXPR_VALUES_MAX];
        union td_scalar constant_values[EXPR_VALUES_MAX];
        struct vm_register registers[VM_VALUES_MAX];
};

enum { NOWHERE = UINT16_MAX };

static uint16_t place_new(struct maker *m, enum motion motion, size_t size)
{
        assert(m->n_values < VM_VALUES_MAX);
        m->motion[m->n_values] = (uint8_t)motion;
        m->sizes[m->n_values] = (uint8_t)size;
        return (uint16_t)m->n_values++;
}

static struct vm_instr *emit(struct maker *m, enum motion motion, enum vm_form form, uint16_t out)
{
        struct vm_instr *i = &m->lists[motion][m->n[motion]++];

        *i = (struct vm_instr){ .form = (uint8_t)form, .out = out, .out_size = m->sizes[out] };
        return i;
}

static void add_arg(struct maker *m, struct vm_instr *i, uint16_t place, enum motion of)
{
        if (of == PER_ELEMENT && m->motion[place] != PER_ELEMENT)
                i->scalars |= (uint8_t)(1u << i->n_args);
        i->sizes[i->n_args] = m->sizes[place];
        i->args[i->n_args++] = place;
}

static kernel_load *load_of(enum td_dtype from, enum td_dtype to)
{
        return kernels_get()->load[from][to];
}

/* ---- leaves ---- */

static enum motion leaf_motion(const struct maker *m, unsigned leaf)
{
        const struct space *s = m->layout->space;
        const int64_t *strides = s->strides[leaf];

        if (m->leaves[leaf].is_fixed)
                return ONCE;
        if (m->layout->walk == VM_ROWS && s->ndim > 0 && strides[s->ndim - 1] == 0)
                return PER_TILE;
        if (m->layout->walk == VM_BOXES && strides[m->layout->row_dim] == 0 &&
            strides[m->layout->column_dim] == 0)
                return PER_TILE;
        return PER_ELEMENT;
}

/* Is what a tile reads of the leaf contiguous? */
static bool is_in_place(const struct maker *m, unsigned leaf)
{
        const struct space *s = m->layout->space;

        if (m->layout->walk == VM_BOXES || m->leaves[leaf].is_index)
                return false;
        if (m->leaves[leaf].is_dense)
                return true;
        return m->layout->walk == VM_ROWS &&
               s->strides[leaf][s->ndim - 1] == m->leaves[leaf].item_size;
}

static void describe_leaves(struct maker *m)
{
        const struct space *s = m->layout->space;

        for (unsigned i = 0; i < m->expr->n_leaves; i++) {
                struct vm_leaf *leaf = &m->leaves[i];

                leaf->offset = m->expr->leaves[i].offset;
                leaf->item_size = td_dtype_size(m->expr->leaves[i].type.dtype);
                leaf->is_index = expr_is_index(m->expr, i);
                leaf->is_dense = !leaf->is_index && space_is_dense(s, i, leaf->item_size);
                leaf->is_fixed = s->n > 1 && space_is_scalar(s, i);
                leaf->is_used = false;
                place_new(m, leaf_motion(m, i), (size_t)leaf->item_size);
        }
}

static void load_leaf(struct maker *m, unsigned leaf, kernel_load *load, uint16_t out)
{
        struct vm_instr *i = emit(m, PER_ELEMENT, VM_LOAD, out);

        i->load = load;
        add_arg(m, i, (uint16_t)leaf, PER_ELEMENT);
        m->vm.cost += m->leaves[leaf].is_dense ? 200 : 1000;
}

/* Addresses from VM_NOWHERE on are the elements. */
static void load_index(size_t n, void *out, const void *in, ptrdiff_t stride)
{
        const int64_t first = (int64_t)((uintptr_t)in - VM_NOWHERE);
        int64_t *o = out;

        for (size_t i = 0; i < n; i++)
                o[i] = first + (int64_t)i * stride;
}

static void make_index(struct maker *m, uint8_t v)
{
        const uint8_t leaf = m->expr->values[v].args[0];
        const enum motion motion = m->motion[leaf];
        struct vm_instr *i;

        m->where[v] = place_new(m, motion, sizeof(int64_t));
        m->leaves[leaf].is_used = true;
        if (motion == PER_ELEMENT) {
                load_leaf(m, leaf, load_index, m->where[v]);
                return;
        }
        i = emit(m, motion, VM_CAST, m->where[v]);
        i->load = load_index;
        add_arg(m, i, leaf, motion);
}

/* ---- values ---- */

/* A leaf in memory, read there or loaded by whoever wants it. */
static bool is_in_memory(const struct maker *m, const struct expr_value *value)
{
        return value->kind == EXPR_LEAF && !m->leaves[value->args[0]].is_index;
}

static void mark_needed(struct maker *m)
{
        const struct expr *e = m->expr;

        memset(m->is_needed, 0, sizeof(m->is_needed));
        for (unsigned i = 0; i < e->n_results; i++)
                m->is_needed[e->results[i]] = true;
        for (unsigned v = e->n_values; v-- > 0;)
                for (unsigned k = 0; m->is_needed[v] && k < e->values[v].n_args; k++)
                        m->is_needed[e->values[v].args[k]] = true;
}

/* The value where a tile of it lies contiguous: loaded, if it is a leaf that does not. */
static uint16_t as_vector(struct maker *m, uint8_t v)
{
        const struct expr_value *value = &m->expr->values[v];

        if (!is_in_memory(m, value) || is_in_place(m, value->args[0]))
                return m->where[v];
        if (m->loaded[v] == NOWHERE) {
                m->loaded[v] = place_new(m, PER_ELEMENT, m->sizes[m->where[v]]);
                load_leaf(m, value->args[0], load_of(value->dtype, value->dtype), m->loaded[v]);
        }
        return m->loaded[v];
}

/* The same of a value that stands still: spread over a tile, once for all if it never moves. */
static uint16_t as_spread(struct maker *m, uint8_t v)
{
        enum td_dtype dtype = m->expr->values[v].dtype;
        enum motion motion = m->motion[m->where[v]];
        struct vm_instr *i;

        if (motion == PER_ELEMENT)
                return as_vector(m, v);
        if (m->spread[v] != NOWHERE)
                return m->spread[v];
        m->spread[v] = place_new(m, PER_ELEMENT, m->sizes[m->where[v]]);
        i = emit(m, motion == ONCE ? ONCE : PER_ELEMENT, VM_SPREAD, m->spread[v]);
        i->load = load_of(dtype, dtype);
        add_arg(m, i, m->where[v], PER_ELEMENT);
        return m->spread[v];
}

static void make_cast(struct maker *m, uint8_t v)
{
        const struct expr_value *value = &m->expr->values[v];
        const struct expr_value *from = &m->expr->values[value->args[0]];
        enum motion motion = m->motion[m->where[value->args[0]]];
        uint16_t out = place_new(m, motion, (size_t)td_dtype_size(value->dtype));
        kernel_load *kernel = load_of(from->dtype, value->dtype);
        struct vm_instr *i;

        m->where[v] = out;
        if (is_in_memory(m, from) && motion == PER_ELEMENT) {
                load_leaf(m, from->args[0], kernel, out);
                return;
        }
        i = emit(m, motion, VM_CAST, out);
        i->load = kernel;
        add_arg(m, i, m->where[value->args[0]], motion);
        m->vm.cost += motion == PER_ELEMENT ? 300 : 0;
}

static void make_binary(struct maker *m, const struct expr_value *value, enum motion motion,
                        uint16_t out)
{
        enum td_dtype dtype = m->expr->values[value->args[0]].dtype;
        enum td_dtype dtype2 = m->expr->values[value->args[1]].dtype;
        uint16_t a = m->where[value->args[0]], b = m->where[value->args[1]];
        enum kernel_form form = KERNEL_VV;
        struct vm_instr *i;

        if (motion == PER_ELEMENT) {
                if (m->motion[a] != PER_ELEMENT)
                        form = KERNEL_SV;
                else
                        a = as_vector(m, value->args[0]);
                if (m->motion[b] != PER_ELEMENT)
                        form = KERNEL_VS;
                else
                        b = as_vector(m, value->args[1]);
        }
        i = emit(m, motion, VM_BINARY, out);
        i->binary = kernel_of_two(value->op, dtype, dtype2)[form];
        if (value->op == TD_OP_DIVIDE && form == KERNEL_VS &&
            (dtype == TD_FLOAT64 || dtype == TD_FLOAT32)) {
                i->form = VM_DIVIDE;
                i->multiply = kernels_get()->binary[TD_OP_MULTIPLY][dtype][form];
        }
        add_arg(m, i, a, motion);
        add_arg(m, i, b, motion);
        assert(i->binary);
}

static void make_apply(struct maker *m, uint8_t v)
{
        const struct expr_value *value = &m->expr->values[v];
        const struct kernels *kernels = kernels_get();
        enum td_dtype computed = m->expr->values[value->args[value->n_args - 1]].dtype;
        enum motion motion = ONCE;
        uint16_t places[EXPR_ARGS_MAX], out;
        struct vm_instr *i;

        for (unsigned k = 0; k < value->n_args; k++)
                if (m->motion[m->where[value->args[k]]] > motion)
                        motion = m->motion[m->where[value->args[k]]];
        out = place_new(m, motion, (size_t)td_dtype_size(value->dtype));
        m->where[v] = out;
        if (value->n_args == 2) {
                make_binary(m, value, motion, out);
        } else {
                for (unsigned k = 0; k < value->n_args; k++)
                        places[k] = motion == PER_ELEMENT ? as_spread(m, value->args[k])
                                                          : m->where[value->args[k]];
                i = emit(m, motion, value->n_args == 1 ? VM_UNARY : VM_WHERE, out);
                if (value->n_args == 1)
                        i->unary = kernels->unary[value->op][computed];
                else
                        i->where = kernel_of_three(value->op, computed);
                assert(i->unary);
                for (unsigned k = 0; k < value->n_args; k++)
                        add_arg(m, i, places[k], motion);
        }
        i = &m->lists[motion][m->n[motion] - 1];
        i->op = value->op;
        i->node = value->node;
        i->is_padded = kernel_is_padded(value->op, computed);
        if (motion == PER_ELEMENT)
                m->vm.cost += expr_cost(value->op, computed);
}

static void make_constant(struct maker *m, uint8_t v)
{
        const struct expr_value *value = &m->expr->values[v];
        unsigned n = m->vm.n_constants++;

        m->where[v] = place_new(m, ONCE, (size_t)td_dtype_size(value->dtype));
        m->constant_values[n] = value->constant;
        m->constants[n] = (struct vm_register){ .value = m->where[v], .offset = n };
}

static void make_values(struct maker *m)
{
        for (unsigned v = 0; v < m->expr->n_values; v++) {
                m->where[v] = m->spread[v] = m->loaded[v] = NOWHERE;
                if (!m->is_needed[v])
                        continue;
                switch (m->expr->values[v].kind) {
                case EXPR_LEAF:
                        if (m->leaves[m->expr->values[v].args[0]].is_index) {
                                make_index(m, (uint8_t)v);
                                break;
                        }
                        m->where[v] = m->expr->values[v].args[0];
                        m->leaves[m->where[v]].is_used = true;
                        break;
                case EXPR_CONSTANT:
                        make_constant(m, (uint8_t)v);
                        break;
                case EXPR_CAST:
                        make_cast(m, (uint8_t)v);
                        break;
                default:
                        make_apply(m, (uint8_t)v);
                        break;
                }
        }
}

/* ---- results ---- */

/* Is the place written by an instruction of the tile that no other result claims? */
static bool is_own(const struct maker *m, uint16_t place, unsigned n_results)
{
        for (unsigned i = 0; i < n_results; i++)
                if (m->vm.results[i] == place)
                        return false;
        return true;
}

/*
 * A result that is stored is written by the last instruction that makes it; a leaf, what stands
 * still, and what is stored twice, by an instruction of its own.
 */
static void store_result(struct maker *m, unsigned k)
{
        uint8_t v = m->expr->results[k];
        const struct expr_value *value = &m->expr->values[v];
        uint16_t place = m->where[v];
        kernel_load *load = load_of(value->dtype, value->dtype);
        struct vm_instr *i;

        if (m->motion[place] == PER_ELEMENT && is_in_memory(m, value)) {
                m->vm.results[k] = place_new(m, PER_ELEMENT, m->sizes[place]);
                load_leaf(m, value->args[0], load, m->vm.results[k]);
        } else if (m->motion[place] == PER_ELEMENT && is_own(m, place, k)) {
                m->vm.results[k] = place;
        } else {
                m->vm.results[k] = place_new(m, PER_ELEMENT, m->sizes[place]);
                i = emit(m, PER_ELEMENT, m->motion[place] == PER_ELEMENT ? VM_CAST : VM_SPREAD,
                         m->vm.results[k]);
                i->load = load;
                add_arg(m, i, place, PER_ELEMENT);
                m->vm.cost += 100;
        }
}

static void make_results(struct maker *m)
{
        for (unsigned k = 0; k < m->expr->n_results; k++) {
                uint8_t v = m->expr->results[k];

                m->vm.result_sizes[k] = (uint8_t)td_dtype_size(m->expr->values[v].dtype);
                if (m->layout->is_stored)
                        store_result(m, k);
                else
                        m->vm.results[k] = as_spread(m, v);
        }
}

/* ---- registers ---- */

/* Slots of equal size; one is taken by a place from where it is written to where it is last read.
 */
struct slots {
        uint16_t of[VM_VALUES_MAX]; /* slot of a place, or NOWHERE */
        uint16_t free[VM_VALUES_MAX];
        unsigned n_free, n;
};

static void slot_take(struct slots *slots, uint16_t place)
{
        if (slots->of[place] == NOWHERE)
                slots->of[place] = slots->n_free ? slots->free[--slots->n_free]
                                                 : (uint16_t)slots->n++;
}

static bool is_result(const struct maker *m, uint16_t place)
{
        return !is_own(m, place, m->expr->n_results);
}

/* Does the place want a register of a tile? */
static bool wants_slot(const struct maker *m, uint16_t place)
{
        return place >= m->expr->n_leaves && m->motion[place] == PER_ELEMENT &&
               !(m->layout->is_stored && is_result(m, place));
}

/* From the last instruction to the first: what is read takes a slot, what is written gives it back.
 */
static void assign_slots(const struct maker *m, struct slots *slots)
{
        memset(slots->of, 0xff, m->n_values * sizeof(slots->of[0]));
        slots->n = slots->n_free = 0;
        for (unsigned k = 0; k < m->n[ONCE]; k++) /* these keep theirs */
                if (wants_slot(m, m->lists[ONCE][k].out))
                        slot_take(slots, m->lists[ONCE][k].out);
        for (unsigned k = 0; !m->layout->is_stored && k < m->expr->n_results; k++)
                if (wants_slot(m, m->vm.results[k]))
                        slot_take(slots, m->vm.results[k]);
        for (unsigned k = m->n[PER_ELEMENT]; k-- > 0;) {
                const struct vm_instr *i = &m->lists[PER_ELEMENT][k];
                bool is_free = wants_slot(m, i->out), may_share = i->form != VM_LOAD;

                if (is_free)
                        slot_take(slots, i->out);
                for (unsigned j = 0; j < i->n_args; j++)
                        may_share &= i->sizes[j] == i->out_size;
                if (is_free && may_share)
                        slots->free[slots->n_free++] = slots->of[i->out];
                for (unsigned j = 0; j < i->n_args; j++)
                        if (i->form != VM_LOAD && wants_slot(m, i->args[j]))
                                slot_take(slots, i->args[j]);
                if (is_free && !may_share)
                        slots->free[slots->n_free++] = slots->of[i->out];
        }
}

/*
 * Elements of a tile. Measured: what is small runs best, as long as a call does enough; sqrt(a * a
 * + b * b) * c - a / 2 of 10 M float64 takes 1.0 with tiles of 256, 1.15 of 512, 1.4 of 1024, 1.5
 * of 2048. Boxes want room for both their sides.
 */
static size_t choose_tile(const struct vm_layout *layout, unsigned n, size_t size, size_t most)
{
        const size_t boxed = TILE_BYTES / ((n + 1) * size) / TILE_UNIT * TILE_UNIT;
        size_t tile = n == 0 ? VM_WHOLE : REGISTER_BYTES / size;

        if (layout->walk == VM_BOXES)
                tile = boxed < VM_BOX_ROWS * VM_BOX_ROWS ? boxed : VM_BOX_ROWS * VM_BOX_ROWS;
        if (tile < TILE_MIN)
                tile = TILE_MIN;
        while (tile * n * size > most)
                tile /= 2;
        if (layout->tile_max > 0 && layout->tile_max < tile && layout->walk != VM_BOXES)
                tile = layout->tile_max;
        return tile;
}

/* Memory of a thread: single elements first, then slots. */
static void lay_out(struct maker *m)
{
        struct slots slots;
        size_t n_bytes = 0, size = 1, padded;

        assign_slots(m, &slots);
        for (uint16_t p = 0; p < m->n_values; p++)
                if (slots.of[p] != NOWHERE && m->sizes[p] > size)
                        size = m->sizes[p];
        for (unsigned motion = ONCE; motion <= PER_TILE; motion++)
                for (unsigned k = 0; k < m->n[motion]; k++) {
                        uint16_t out = m->lists[motion][k].out;

                        if (m->motion[out] == PER_ELEMENT)
                                continue; /* spread */
                        m->registers[m->vm.n_registers++] =
                                (struct vm_register){ .value = out, .offset = (uint32_t)n_bytes };
                        n_bytes += sizeof(union td_scalar);
                }
        n_bytes = (n_bytes + 63) & ~(size_t)63;
        m->vm.tile = choose_tile(m->layout, slots.n, size, VM_MEMORY - 64 * slots.n - n_bytes);
        padded = (m->vm.tile * size + 63) & ~(size_t)63;
        for (uint16_t p = 0; p < m->n_values; p++)
                if (slots.of[p] != NOWHERE)
                        m->registers[m->vm.n_registers++] = (struct vm_register){
                                .value = p, .offset = (uint32_t)(n_bytes + slots.of[p] * padded)
                        };
}

/* ---- what is asked for in time ---- */

/* Does the leaf follow itself from tile to tile? */
static bool is_read_through(const struct maker *m, unsigned leaf)
{
        return m->leaves[leaf].is_used && m->motion[leaf] == PER_ELEMENT && is_in_place(m, leaf);
}

/* Not worth it where all of it stays in a core's own caches. */
static void choose_asked(struct maker *m)
{
        uint64_t n_bytes = 0;
        size_t widest = 0, step;

        for (unsigned i = 0; i < m->expr->n_leaves && m->vm.n_asked < VM_ASKED_MAX; i++) {
                const size_t size = (size_t)m->leaves[i].item_size;

                if (!is_read_through(m, i))
                        continue;
                n_bytes += (uint64_t)m->layout->space->n * size;
                widest = size > widest ? size : widest;
                m->vm.asked[m->vm.n_asked++] = (struct vm_asked){
                        .leaf = (uint16_t)i,
                        .ahead = (uint32_t)(2 * m->vm.tile * size),
                };
        }
        if (n_bytes < ASKED_MIN_BYTES || m->n[PER_ELEMENT] == 0) {
                m->vm.n_asked = 0;
                return;
        }
        step = (m->vm.tile * widest / m->n[PER_ELEMENT] + VM_LINE - 1) / VM_LINE * VM_LINE;
        m->vm.ask_step = step < ASKED_MOST ? step : ASKED_MOST;
}

/* ---- the machine ---- */

static void *put(char **atp, const void *from, size_t n_bytes)
{
        void *to = *atp;

        if (n_bytes)
                memcpy(to, from, n_bytes);
        *atp += (n_bytes + 15) & ~(size_t)15;
        return to;
}

/* One piece of memory: the machine, then its lists. */
static struct vm *publish(struct maker *m)
{
        const size_t n_space = space_n_bytes(m->layout->space);
        const unsigned n_instrs = m->n[ONCE] + m->n[PER_TILE] + m->n[PER_ELEMENT];
        const unsigned n_leaves = m->expr->n_leaves;
        size_t n_bytes = sizeof(struct vm) + n_space + n_leaves * sizeof(struct vm_leaf) +
                         n_instrs * sizeof(struct vm_instr) +
                         m->vm.n_registers * sizeof(struct vm_register) +
                         m->vm.n_constants * (sizeof(struct vm_register) + sizeof(union td_scalar));
        struct vm *vm = malloc(n_bytes + 8 * 16);
        char *at = (char *)vm + ((sizeof(struct vm) + 15) & ~(size_t)15), *instrs;

        if (!vm)
                return NULL;
        m->vm.space = put(&at, m->layout->space, n_space);
        m->vm.constant_values = put(&at, m->constant_values,
                                    m->vm.n_constants * sizeof(union td_scalar));
        m->vm.constants = put(&at, m->constants, m->vm.n_constants * sizeof(struct vm_register));
        m->vm.registers = put(&at, m->registers, m->vm.n_registers * sizeof(struct vm_register));
        m->vm.leaves = put(&at, m->leaves, n_leaves * sizeof(struct vm_leaf));
        instrs = at;
        for (unsigned motion = ONCE; motion <= PER_ELEMENT; motion++) {
                memcpy(at, m->lists[motion], m->n[motion] * sizeof(struct vm_instr));
                at += m->n[motion] * sizeof(struct vm_instr);
        }
        m->vm.instrs = (const struct vm_instr *)(const void *)instrs;
        *vm = m->vm;
        return vm;
}

int vm_new(struct vm **vmp, const struct expr *expr, const struct vm_layout *layout)
{
        struct maker m;

        if (expr->is_overfull)
                return error_origin(-EOVERFLOW);
        assert(layout->space->n_operands == expr->n_leaves && layout->space->n > 0);
        m.expr = expr;
        m.layout = layout;
        m.n_values = 0;
        memset(m.n, 0, sizeof(m.n));
        m.vm = (struct vm){ .walk = layout->walk,
                            .row_dim = layout->row_dim,
                            .column_dim = layout->column_dim,
                            .n_leaves = expr->n_leaves,
                            .n_results = expr->n_results,
                            .is_stored = layout->is_stored };
        describe_leaves(&m);
        mark_needed(&m);
        make_values(&m);
        make_results(&m);
        lay_out(&m);
        choose_asked(&m);
        m.vm.n_once = m.n[ONCE];
        m.vm.n_scalar = m.n[PER_TILE];
        m.vm.n_vector = m.n[PER_ELEMENT];
        for (unsigned i = 0; i < expr->n_leaves; i++)
                m.vm.is_moving |= layout->walk == VM_ROWS && m.leaves[i].is_used &&
                                  !m.leaves[i].is_dense && !m.leaves[i].is_fixed;
        *vmp = publish(&m);
        return *vmp ? 0 : error_origin(-ENOMEM);
}

struct vm *vm_free(struct vm *vm)
{
        free(vm);
        return NULL;
}
