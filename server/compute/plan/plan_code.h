/* SPDX-License-Identifier: MIT */
/*
 * The inside of a plan
 *
 * Memory is named by slots: pointers in a table that a run fills. A value is a place: a slot and a
 * descriptor, so views cost nothing, and many values may share a slot. A code is a list of
 * instructions over slots: prepared steps, and loops that have a code of their own. One table
 * serves all codes of a plan, so a loop's body reaches what it captures as it is.
 *
 * Time counts instructions in the order in which they are written down, bodies of loops included. A
 * slot with memory of its own lives from the time that it is first written to the time that it is
 * last looked at; what a loop uses from outside lives to the loop's end. Slots whose lives do not
 * touch may share bytes of the scratch.
 *
 * A plan is built on one thread, and not written after plan_new() returned.
 */
#pragma once

#include "compute/step.h"

enum {
        SLOT_NONE = UINT32_MAX,
};

enum slot_kind {
        SLOT_INPUT,   /* memory of program input number index */
        SLOT_OUTPUT,  /* memory of program output number index */
        SLOT_SCRATCH, /* offset bytes into the scratch */
        SLOT_MOVING,  /* wherever a loop points it in this turn */
        SLOT_SHARED,  /* the memory of slot number index */
        SLOT_COUNTED, /* memory of program output number index, or of none (SLOT_NONE); there only
                         when the plan is finished */
};

struct slot {
        enum slot_kind kind;
        uint32_t index;
        uint64_t offset; /* of a counted one: number of its count */
        uint64_t n_bytes;
        uint64_t start; /* time */
        uint64_t end;
};

struct place {
        uint32_t slot;
        struct desc desc;
};

struct instr {
        struct step *step; /* NULL: a loop */
        struct loop *loop;
        enum td_op op;
        int32_t node; /* index in its block, to be blamed */
        uint32_t n_args;
        uint32_t n_results;
        uint32_t *args;    /* slots; the instruction's own memory, results included */
        uint32_t *results; /* at most TD_RESULTS_MAX */
        uint32_t scratch;  /* slot, or SLOT_NONE */
        bool is_final;     /* it writes over an input: not stopped once it has begun */
};

struct code {
        struct instr *instrs;
        uint32_t n_instrs;
        uint32_t n_allocated;
};

/*
 * The body reads what is carried through one slot and writes what the next turn carries through
 * another; after each turn the two are swapped. The loop's result lies in first after an even
 * number of turns, else in second; that of a while is copied to first then.
 */
struct carried {
        uint64_t n_bytes;
        uint32_t read, written; /* moving slots */
        uint32_t first, second; /* where they point at first; first holds the initial value */
};

struct watch {
        struct instr copy; /* of one state into one row; its result is the slot of the stack */
        uint64_t row_bytes;
};

struct loop {
        bool is_while;
        int64_t n_steps;          /* of a while at most so many */
        uint32_t condition;       /* of a while: slot, */
        int64_t condition_offset; /* and where the bool lies in it */
        uint32_t n_turns;         /* of a while: slot of the number of turns made */
        uint32_t index;           /* slot of the step's number, or SLOT_NONE */
        struct code body;
        uint32_t n_carried;
        struct carried *carried;
        uint32_t n_watch;
        struct watch *watch;
        int64_t every; /* as in struct td_loop */
        uint32_t n_at;
        int64_t *at;
};

struct plan {
        struct slot *slots;
        uint32_t n_slots;
        uint32_t n_slots_allocated;
        struct code code;
        uint32_t n_outputs;
        struct desc *outputs;
        uint32_t *output_counts; /* by output: number of its count, or SLOT_NONE */
        uint32_t *output_twins;  /* by output: an earlier one with the same bytes, or SLOT_NONE;
                                    the same piece of memory */
        int32_t *taken;              /* by output: the input whose memory it lies in, or -1 */
        uint32_t n_counted;
        uint32_t *counted; /* instructions of the outermost code */
        uint64_t n_scratch;
        uint64_t frame_offset; /* of the table in the scratch, if it is too long for the stack */
        uint64_t cost_ns;
};

/* Tables up to this length lie on the stack of plan_run(). */
enum { FRAME_SLOTS = 128 };

/* At that time, one slot is looked at for the last time, if so, and another may lie in its memory.
 */
struct handover {
        uint64_t time;
        uint32_t from, to;
        bool may_fail; /* what writes the one */
};

/* How long a pass over a donated input may run, estimated for one thread: it can't be stopped. */
#define UNSTOPPED_NS_MAX UINT64_C(2000000000)

/* When the plan is finished; what a counted step needs then lives until then. */
#define TIME_FINISH UINT64_MAX

/* What plan_new() builds with. */
struct builder {
        struct plan *plan;
        uint64_t time;
        int32_t node; /* index in its block of the node at hand, -1 behind the outermost ones */
        struct plan_options options;
        const bool *takes; /* by input: may its memory become an output's? NULL: none */
        struct handover *handovers; /* in order of time */
        uint32_t n_handovers;
        uint32_t n_handovers_allocated;
};

struct fuse;
struct graph;

/* A block whose values' types are known. */
struct typed_block {
        const struct td_block *block;
        const struct td_type *types;  /* of its values */
        const struct td_type *nested; /* of the bodies inside, as td_infer_block() wrote them */
};

int slot_new(struct builder *builder, enum slot_kind kind, uint32_t index, uint64_t n_bytes,
             uint32_t *slotp);
/* The slot is looked at now. */
void slot_touch(struct builder *builder, uint32_t slot);
/*
 * Does the place take all of a slot with memory of the plan's own, densely in any order of axes?
 * Then the memory may be another one.
 */
bool place_fills(const struct builder *builder, const struct place *place);

/* Append a copy of a place into a slot of its own, dense and in C order. 0 or -ENOMEM. */
int code_copy(struct builder *builder, struct code *code, enum td_op op, const struct place *from,
              struct place *top);
/* The same into a place that is there, at the time that it is. */
int code_copy_to(struct builder *builder, struct code *code, enum td_op op,
                 const struct place *from, const struct place *to);
/* Room for the slots of its arguments and results; no step, no scratch. 0 or -ENOMEM. */
int instr_init(struct instr *instr, enum td_op op, uint32_t n_args, uint32_t n_results);
void instr_deinit(struct instr *instr);
/* Append an instruction whose step is there, with scratch as the step wants it. */
int code_append_step(struct builder *builder, struct code *code, struct instr *instr);
/* Takes what the instruction owns, or leaves it to the caller. */
int code_append(struct code *code, struct instr *instr);
void code_deinit(struct code *code);
/* Time on one thread, saturating. */
uint64_t code_cost_ns(const struct code *code);
/* Steps, those of loops in each turn; saturating. */
uint64_t code_n_steps(const struct code *code);

/*
 * Append code for the nodes of a block that live values need. places has one entry per value; those
 * of inputs are given, the others are written for values that live. live is filled from the values
 * marked in it.
 */
int code_build(struct builder *builder, struct code *code, const struct typed_block *typed,
               struct place *places, bool *live);
/*
 * args and results: places of the node's arguments and results; is_live: per result. nested: types
 * of the body and what is inside.
 */
int loop_build(struct builder *builder, struct code *code, const struct td_node *node,
               const struct place *args, const struct td_type *nested, const bool *is_live,
               struct place *results);
struct loop *loop_free(struct loop *loop);
DEFINE_CLEANUP(struct loop, loop_free)

/*
 * The step of a node that is neither view nor loop, and slots for its results, written to places;
 * not appended. No step: there are no elements.
 */
int step_build(struct builder *builder, const struct graph *graph, uint32_t node,
               struct place *places, struct instr *instr);
/* Append the step of a region, a group of fuse.h, and that of its product, if that is apart. */
int region_build(struct builder *builder, struct code *code, const struct fuse *fuse,
                 uint32_t group, struct place *places);

/* How many types stand behind a block's own. */
uint64_t block_n_nested(const struct td_block *block);

/*
 * The last instruction of the plan's code, if it is counted: its results are written when the plan
 * is finished, and what it needs lives until then. 0 or -ENOMEM.
 */
int counted_add(struct builder *builder);
/* The place is of unknown shape: it becomes the output of that number, or a copy of an earlier one.
 */
void counted_output(struct builder *builder, const struct place *place, uint32_t output);

/* Offsets of slots in the scratch by first fit over their lives. 0, -ENOMEM or -EOVERFLOW. */
int plan_lay_out(struct builder *builder);
