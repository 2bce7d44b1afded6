/* SPDX-License-Identifier: MIT */
/*
 * run, call
 *
 * A program is planned against the descriptors of its inputs, a long one on a worker, unless that
 * was done before (service/plans); memory for
 * outputs and scratch is reserved, inputs are pinned; then it is computed, at once if it is tiny
 * and nothing has to be reserved, else on a worker. Back on the loop thread its outputs are sealed,
 * all names committed in one step, and only then does anybody hear of them.
 *
 * Reserving may have to wait for memory; handle_run() is then entered again and goes on where it
 * stopped.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "compute/plan.h"
#include "compute/user_kernel.h"
#include "service/core.h"
#include "service/describe.h"
#include "service/dispatch.h"

#define ALIGNMENT 64
#define SCRATCH_MAX (64 * 1024) /* more comes from the pool */

/*
 * A request of more memory is planned on a worker: about 60 nodes, a quarter of a millisecond. (One
 * of TD_VALUES_MAX nodes takes 15.)
 */
#define PLAN_AT_ONCE_BYTES (32 * 1024)

#define DESCS_INSIDE 4

/* Memory of one output, or the scratch: a part of run_state.small, or a segment of its own. */
struct area {
        uint64_t n_bytes;
        struct segment *segment; /* owned; NULL: small, or nothing reserved yet */
        bool is_ready;           /* the segment is allocated */
        bool is_pinned;
        bool is_small;
        void *data; /* what is computed into */
};

struct run_state {
        struct desc *descs;  /* of the inputs; until there is a plan */
        bool descs_are_ours; /* allocated by themselves */
        struct plan *fresh;  /* just made; owned */
        struct planned *planned;
        const struct plan *plan; /* that one's */
        struct area *areas;      /* one per output, the last is scratch */
        uint32_t n_areas;
        uint32_t n_reserved;
        const void **inputs;
        void **outputs;
        uint8_t *small;     /* owned: aligned copies of inline inputs, and the small areas */
        uint32_t n_pinned;  /* inputs whose segments are pinned */
        bool is_allocating; /* a segment must be allocated first */
        uint64_t n_scratch; /* counted in service->n_scratch */
};

struct run_state *run_state_free(struct run_state *run)
{
        if (!run)
                return NULL;
        for (uint32_t i = 0; i < run->n_areas; i++) {
                if (run->areas[i].is_pinned)
                        segment_unpin(run->areas[i].segment);
                segment_unref(run->areas[i].segment);
        }
        plan_free(run->fresh);
        planned_unref(run->planned);
        if (run->descs_are_ours)
                free(run->descs);
        free(run->small);
        free(run);
        return NULL;
}

/*
 * The arrays lie behind the struct, those of pointers first; descriptors too if they are few, for
 * they are large and soon of no use.
 */
static struct run_state *run_state_new(uint32_t n_inputs, uint32_t n_outputs)
{
        size_t n_pointers = (size_t)n_inputs + n_outputs, n_areas = (size_t)n_outputs + 1;
        size_t n_descs = n_inputs <= DESCS_INSIDE ? n_inputs : 0;
        struct run_state *run = calloc(1, sizeof(*run) + n_pointers * sizeof(void *) +
                                                  n_areas * sizeof(struct area) +
                                                  n_descs * sizeof(struct desc));

        if (!run)
                return NULL;
        run->inputs = (const void **)(run + 1);
        run->outputs = (void **)(run + 1) + n_inputs;
        run->areas = (struct area *)(run->outputs + n_outputs);
        run->n_areas = n_outputs + 1;
        run->descs = (struct desc *)(run->areas + n_areas);
        if (n_inputs <= DESCS_INSIDE)
                return run;
        run->descs_are_ours = true;
        run->descs = calloc(n_inputs, sizeof(*run->descs));
        if (!run->descs)
                return run_state_free(run);
        return run;
}

/* ---- inputs and plan ---- */

static int refuse_input(struct failure *failure, enum td_error_code code, uint32_t i,
                        const char *what)
{
        failure_set(failure, code, "run: input %u: %s", i, what);
        return -1;
}

/* A call by number brings what was defined, in any layout. */
static int check_defined(struct call *call, uint32_t i, const struct td_type *type)
{
        const struct td_type *wanted;

        if (!call->definition)
                return 0;
        wanted = &call->definition->types[i];
        if (td_type_same(type, wanted))
                return 0;
        failure_set(&call->failure,
                    type->dtype == wanted->dtype ? TD_E_SHAPE_MISMATCH : TD_E_DTYPE_MISMATCH,
                    "call: input %u is %s of shape %s, but was defined as %s of shape %s", i,
                    td_dtype_name(type->dtype), td_type_text(type).s, td_dtype_name(wanted->dtype),
                    td_type_text(wanted).s);
        return -1;
}

/* The descriptor of a tensor, or of a view of it, as the request says. */
static int input_desc(struct call *call, uint32_t i, struct desc *desc)
{
        const struct request_input *input = &call->request->inputs[i];
        const struct tensor *tensor = call->pins[i].tensor;
        int64_t size;

        if (tensor->state != TENSOR_SEALED)
                return refuse_input(&call->failure, TD_E_NOT_SEALED, i,
                                    "the tensor is still being written by its creator");
        *desc = tensor->desc;
        if (!input->has_view)
                return 0;

        desc->type = input->type;
        desc->type.dtype = tensor->desc.type.dtype;
        memcpy(desc->strides, input->strides, sizeof(desc->strides));
        desc->offset = input->offset;
        size = td_dtype_size(desc->type.dtype);
        if (td_type_n_elements(&desc->type) > 0) {
                for (unsigned axis = 0; axis < desc->type.ndim; axis++)
                        if (desc->strides[axis] % size)
                                return refuse_input(&call->failure, TD_E_BAD_VIEW, i,
                                                    "a stride is not a multiple of the item size");
                if (desc->offset % size)
                        return refuse_input(&call->failure, TD_E_BAD_VIEW, i,
                                            "the offset is not a multiple of the item size");
        }
        if (desc_check(desc, tensor->n_bytes)) {
                failure_set(&call->failure, TD_E_BAD_VIEW,
                            "run: input %u: shape %s with its strides and offset %lld reaches "
                            "outside of the tensor's %llu bytes",
                            i, td_type_text(&desc->type).s, (long long)desc->offset,
                            (unsigned long long)tensor->n_bytes);
                return -1;
        }
        return 0;
}

/* 0, or -1 and the call's failure is set. */
static int run_open(struct call *call)
{
        const struct request *request = call->request;

        call->run = run_state_new(request->n_inputs, call->n_results);
        if (!call->run) {
                failure_set(&call->failure, TD_E_INTERNAL, "the daemon has no memory");
                return -1;
        }
        for (uint32_t i = 0; i < request->n_inputs; i++) {
                struct desc *desc = &call->run->descs[i];

                if (request->inputs[i].ref.kind == REF_NONE)
                        desc_init_c(desc, &request->inputs[i].type);
                else if (input_desc(call, i, desc))
                        return -1;
                if (check_defined(call, i, &desc->type))
                        return -1;
        }
        return 0;
}

/* Any thread. Sets the call's failure if there is no plan. */
static void run_plan(struct call *call)
{
        struct td_program *program = &call->request->program;
        struct td_refusal refusal;
        int r;

        if (user_kernels_resolve(call->service->config.user_kernels, &program->block, &refusal))
                r = PLAN_E_REFUSED;
        else
                r = plan_new(&call->run->fresh, program, call->run->descs, &refusal);
        if (r == PLAN_E_REFUSED)
                failure_from_refusal(&call->failure, &refusal);
        else if (r)
                failure_set(&call->failure, TD_E_INTERNAL, "the daemon failed: %s", strerror(-r));
}

static void run_take_plan(struct run_state *run, struct planned *planned)
{
        run->planned = planned;
        run->plan = planned->plan;
        if (run->descs_are_ours)
                free(run->descs);
        run->descs_are_ours = false;
        run->descs = NULL;
}

/* One that was made before? */
static bool run_find_plan(struct call *call)
{
        struct plan_key key;
        struct planned *planned;

        plan_key_init(&key, call->request->nodes, &call->request->program, call->run->descs);
        planned = plans_find(&call->service->plans, &key);
        if (planned)
                run_take_plan(call->run, planned);
        return planned;
}

static void run_keep_plan(struct call *call)
{
        struct plan_key key;
        struct planned *planned;

        plan_key_init(&key, call->request->nodes, &call->request->program, call->run->descs);
        planned = plans_add(&call->service->plans, &key, call->request->nodes,
                            steal_ptr(&call->run->fresh));
        if (planned)
                run_take_plan(call->run, planned);
        else
                failure_set(&call->failure, TD_E_INTERNAL, "the daemon has no memory");
}

static void run_plan_work(struct work *work)
{
        run_plan(container_of(work, struct call, work));
}

/* What is asked of each output, now that its size is known. */
static int run_check_outputs(struct call *call)
{
        uint32_t n_map = 0;

        for (uint32_t i = 0; i < call->n_results; i++) {
                const struct request_output *output = &call->request->outputs[i];
                uint64_t n_bytes = (uint64_t)desc_n_bytes(plan_output(call->run->plan, i));

                call->run->areas[i].n_bytes = n_bytes;
                if (!output->handle && !output->name && n_bytes > TD_INLINE_MAX) {
                        failure_set(&call->failure, TD_E_TOO_LARGE_INLINE,
                                    "run: output %u has %llu bytes, at most %d travel in a "
                                    "message; give it a handle",
                                    i, (unsigned long long)n_bytes, TD_INLINE_MAX);
                        return -1;
                }
                if (output->map && !output->handle) {
                        failure_set(&call->failure, TD_E_BAD_ARGUMENTS,
                                    "run: output %u: map wants a handle", i);
                        return -1;
                }
                n_map += output->map;
        }
        if (n_map > TD_FDS_MAX) {
                failure_set(&call->failure, TD_E_BAD_ARGUMENTS,
                            "run: %u outputs to be mapped, at most %d a request", n_map,
                            TD_FDS_MAX);
                return -1;
        }
        call->run->areas[call->n_results].n_bytes = plan_n_scratch(call->run->plan);
        return 0;
}

/* ---- memory ---- */

static size_t align(uint64_t n_bytes)
{
        return (n_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static bool is_immediate(const struct call *call, uint32_t i)
{
        return call->request->inputs[i].ref.kind == REF_NONE;
}

/*
 * One piece of memory for all that is small: aligned copies of the inline inputs, which lie
 * anywhere in the message, then the small areas. 0 or -ENOMEM.
 */
static int run_reserve_small(struct call *call)
{
        const struct request_input *inputs = call->request->inputs;
        struct run_state *run = call->run;
        size_t n = ALIGNMENT;
        uint8_t *next;

        for (uint32_t i = 0; i < call->request->n_inputs; i++)
                if (is_immediate(call, i))
                        n += align((uint64_t)td_type_n_bytes(&inputs[i].type));
        for (uint32_t i = 0; i < run->n_areas; i++) {
                struct area *area = &run->areas[i];

                area->is_small = area->n_bytes <=
                                 (i == call->n_results ? SCRATCH_MAX : TD_INLINE_MAX);
                n += area->is_small ? align(area->n_bytes) : 0;
        }
        run->small = malloc(n);
        if (!run->small)
                return -ENOMEM;
        call_count_bytes(call, n);

        next = run->small + (-(uintptr_t)run->small & (ALIGNMENT - 1));
        for (uint32_t i = 0; i < call->request->n_inputs; i++) {
                if (!is_immediate(call, i))
                        continue;
                n = (size_t)td_type_n_bytes(&inputs[i].type);
                run->inputs[i] = memcpy(next, inputs[i].data, n);
                next += align(n);
        }
        for (uint32_t i = 0; i < run->n_areas; i++) {
                if (!run->areas[i].is_small)
                        continue;
                run->areas[i].data = next;
                next += align(run->areas[i].n_bytes);
        }
        return 0;
}

/* 0, a store outcome or a negative errno. */
static int area_reserve(struct call *call, struct area *area, bool is_scratch)
{
        struct run_state *run = call->run;
        int r;

        if (area->is_small)
                return 0;
        r = store_reserve(call->service->store, call->user,
                          call->client && !is_scratch ? &call->client->holder : NULL, area->n_bytes,
                          &area->segment, &area->is_ready);
        if (r) {
                area->segment = NULL;
                return r;
        }
        if (!area->is_ready)
                run->is_allocating = true;
        return 0;
}

/* Where a tensor's bytes are, in the daemon's memory; NULL for no bytes. */
static int input_pin(struct run_state *run, const struct tensor *tensor, uint32_t i)
{
        int r;

        if (tensor->n_bytes == 0)
                return 0;
        if (tensor->heap) {
                run->inputs[i] = tensor->heap;
                return 0;
        }
        r = segment_pin(tensor->segment);
        if (r)
                return r;
        run->inputs[i] = segment_data(tensor->segment);
        return 0;
}

static bool is_pinned_input(const struct call *call, uint32_t i)
{
        const struct tensor *tensor = call->pins[i].tensor;

        return !is_immediate(call, i) && tensor->n_bytes > 0 && !tensor->heap;
}

static void run_unpin_inputs(struct call *call)
{
        for (uint32_t i = 0; i < call->run->n_pinned; i++)
                if (is_pinned_input(call, i))
                        segment_unpin(call->pins[i].tensor->segment);
        call->run->n_pinned = 0;
}

static int run_pin_inputs(struct call *call)
{
        struct run_state *run = call->run;

        for (; run->n_pinned < call->request->n_inputs; run->n_pinned++) {
                uint32_t i = run->n_pinned;
                int r;

                if (is_immediate(call, i))
                        continue;
                r = input_pin(run, call->pins[i].tensor, i);
                if (r) {
                        run_unpin_inputs(call);
                        return r;
                }
        }
        return 0;
}

/* ---- computing ---- */

static bool should_stop(void *ctx)
{
        struct call *call = ctx;

        if (atomic_load_explicit(&call->stop, memory_order_relaxed))
                return true;
        for (uint32_t i = 0; i < call->run->n_pinned; i++)
                if (is_pinned_input(call, i) && segment_is_poisoned(call->pins[i].tensor->segment))
                        return true;
        return false;
}

/* In which segment of inputs, outputs and scratch does a byte lie? NULL: in none. */
static const struct segment *find_segment(const struct call *call, const char *at)
{
        for (uint32_t i = 0; i < call->run->n_pinned; i++) {
                const struct tensor *tensor = call->pins[i].tensor;

                if (is_pinned_input(call, i) &&
                    (size_t)(at - (char *)segment_data(tensor->segment)) < tensor->n_bytes)
                        return tensor->segment;
        }
        for (uint32_t i = 0; i < call->run->n_areas; i++) {
                const struct area *area = &call->run->areas[i];

                if (area->segment && (size_t)(at - (char *)area->data) < area->n_bytes)
                        return area->segment;
        }
        return NULL;
}

/* For user kernels in processes of their own. Any thread. */
static bool locate(void *ctx, const void *at, bool is_writable, int *fdp, uint64_t *offsetp)
{
        const struct segment *segment = find_segment(ctx, at);
        int fd = segment ? segment_open(segment, is_writable) : -1;

        if (fd < 0)
                return false;
        *fdp = fd;
        *offsetp = (uint64_t)((const char *)at - (char *)segment_data(segment)) + TD_HEADER_BYTES;
        return true;
}

/* Any thread. 0, a store outcome, or a negative errno. */
static int areas_prepare(struct run_state *run)
{
        for (uint32_t i = 0; i < run->n_areas; i++) {
                struct area *area = &run->areas[i];
                int r;

                if (!area->segment)
                        continue;
                if (!area->is_ready) {
                        r = segment_allocate(area->segment);
                        if (r)
                                return r;
                        area->is_ready = true;
                }
                r = segment_pin(area->segment);
                if (r)
                        return r;
                area->is_pinned = true;
                area->data = segment_data(area->segment);
        }
        for (uint32_t i = 0; i + 1 < run->n_areas; i++)
                run->outputs[i] = run->areas[i].data;
        return 0;
}

/* On a worker, or on the loop thread for a tiny one. */
static void run_compute(struct call *call, struct workers *workers)
{
        struct run_state *state = call->run;
        struct run run = { .workers = workers,
                           .should_stop = should_stop,
                           .locate = locate,
                           .ctx = call };
        struct td_refusal refusal;
        int r;

        call->result = areas_prepare(state);
        if (call->result)
                return;
        r = plan_run(state->plan, &run, state->inputs, state->outputs,
                     state->areas[state->n_areas - 1].data, &refusal);
        if (r == PLAN_E_REFUSED)
                failure_from_refusal(&call->failure, &refusal);
        else if (r == PLAN_E_STOPPED)
                call_set_stopped(call, atomic_load(&call->stop));
        else if (r)
                call->result = r;
}

static void run_work(struct work *work)
{
        struct call *call = container_of(work, struct call, work);

        run_compute(call, call->service->workers);
}

/* ---- the end ---- */

/* Which input lost its pages while it was computed on, -1: none. */
static int64_t find_poisoned(const struct call *call)
{
        for (uint32_t i = 0; i < call->run->n_pinned; i++)
                if (is_pinned_input(call, i) && segment_is_poisoned(call->pins[i].tensor->segment))
                        return i;
        return -1;
}

/* Outputs with a handle or name become tensors, sealed. 0, a store outcome or a negative errno. */
static int run_make_tensors(struct call *call, struct tensor **tensors)
{
        for (uint32_t i = 0; i < call->n_results; i++) {
                const struct request_output *output = &call->request->outputs[i];
                struct area *area = &call->run->areas[i];
                const struct desc *desc = plan_output(call->run->plan, i);
                int r;

                if (!output->handle && !output->name)
                        continue;
                if (area->is_pinned)
                        segment_unpin(area->segment);
                area->is_pinned = false;
                r = tensor_new(&tensors[i], call->service->store, call->user, desc,
                               steal_ptr(&area->segment), area->is_small ? area->data : NULL, NULL);
                if (!r && tensors[i]->segment)
                        r = tensor_seal(tensors[i]);
                if (!r && output->map)
                        r = describe_promote(call, tensors[i]);
                if (r)
                        return r;
        }
        return 0;
}

static int run_commit(struct call *call, struct tensor **tensors)
{
        struct op_id op_id = call_op_id(call);
        struct commit commits[TD_OUTPUTS_MAX];
        uint32_t n = 0;
        int r;

        for (uint32_t i = 0; i < call->n_results; i++)
                if (call->reservations[i])
                        commits[n++] = (struct commit){ .reservation = call->reservations[i],
                                                        .tensor = tensors[i] };
        if (n == 0)
                return 0;
        r = store_commit(call->service->store, commits, n, &op_id);
        if (!r)
                memset(call->reservations, 0, call->n_results * sizeof(*call->reservations));
        return r;
}

/* An output whose bytes are all that there is of it. */
static void describe_inline(struct reply *reply, const struct desc *desc, const void *data)
{
        struct tensor value = { .state = TENSOR_SEALED,
                                .desc = *desc,
                                .n_bytes = (uint64_t)desc_n_bytes(desc),
                                .heap = (void *)data };

        describe(reply, &value, DESCRIBE_DATA, false, false);
}

static void run_answer(struct call *call, struct tensor **tensors)
{
        _cleanup_(reply_freep) struct reply *reply = call_begin_reply(call);

        if (reply) {
                for (uint32_t i = 0; i < call->n_results; i++) {
                        int r = call->request->outputs[i].map
                                        ? describe_grant(call, reply, tensors[i], false)
                                        : 0;

                        if (r) {
                                call_fail_store(call, r, "tensor", 0);
                                return;
                        }
                }
                reply_map(reply, 2);
                reply_key(reply, "outputs");
                reply_array(reply, call->n_results);
                for (uint32_t i = 0; i < call->n_results; i++) {
                        if (tensors[i])
                                describe(reply, tensors[i],
                                         call->request->outputs[i].map ? DESCRIBE_MAP
                                                                       : DESCRIBE_DATA,
                                         false, false);
                        else
                                describe_inline(reply, plan_output(call->run->plan, i),
                                                call->run->areas[i].data);
                }
                reply_key(reply, "fds");
                describe_fds(reply);
        }
        call_done(call, steal_ptr(&reply));
}

static void run_succeed(struct call *call)
{
        struct tensor *tensors[TD_OUTPUTS_MAX] = { NULL };
        uint32_t n_results = call->n_results;
        uint64_t n_bytes = 0;
        int r;

        for (uint32_t i = 0; i < n_results; i++)
                n_bytes += call->run->areas[i].n_bytes;
        r = run_make_tensors(call, tensors);
        if (!r)
                r = run_commit(call, tensors);
        if (!r)
                for (uint32_t i = 0; i < call->n_results; i++)
                        if (tensors[i])
                                call_set_result(call, i, tensors[i]);
        if (r) {
                failure_from_store(&call->failure, r, call->service->store, "an output", n_bytes);
                call_fail(call);
        } else {
                run_answer(call, tensors);
        }
        for (uint32_t i = 0; i < n_results; i++)
                tensor_unref(tensors[i]);
}

static void run_finish(struct call *call)
{
        int64_t poisoned = find_poisoned(call);
        uint64_t n_bytes = 0;

        call->service->n_scratch -= call->run->n_scratch;
        call->run->n_scratch = 0;
        run_unpin_inputs(call);
        if (poisoned >= 0) {
                call_refuse(
                        call, TD_E_POISONED,
                        "run: input %lld was truncated or resized by a process that could write it",
                        (long long)poisoned);
                return;
        }
        if (call->result) {
                for (uint32_t i = 0; i < call->run->n_areas; i++)
                        n_bytes += call->run->areas[i].n_bytes;
                failure_from_store(&call->failure, call->result, call->service->store,
                                   "an input or output", n_bytes);
        }
        if (call->failure.code)
                call_fail(call);
        else
                run_succeed(call);
}

/* ---- the way there ---- */

static void run_begin(struct call *call)
{
        struct run_state *run = call->run;
        uint64_t n_bytes = 0;
        int r;

        if (!run->small && run_reserve_small(call)) {
                call_refuse(call, TD_E_INTERNAL, "the daemon has no memory");
                return;
        }
        for (; run->n_reserved < run->n_areas; run->n_reserved++) {
                r = area_reserve(call, &run->areas[run->n_reserved],
                                 run->n_reserved == call->n_results);
                if (r) {
                        for (uint32_t i = 0; i < run->n_areas; i++)
                                n_bytes += run->areas[i].n_bytes;
                        call_fail_store(call, r, "an output", n_bytes);
                        return;
                }
        }
        r = run_pin_inputs(call);
        if (r) {
                call_fail_store(call, r, "an input", 0);
                return;
        }
        run->n_scratch = run->areas[run->n_areas - 1].n_bytes;
        call->service->n_scratch += run->n_scratch;
        if (!run->is_allocating && plan_cost_ns(run->plan) < TINY_NS) {
                run_compute(call, NULL);
                run_finish(call);
        } else {
                service_submit(call->service, call, run_work, run_finish);
        }
}

static void run_planned(struct call *call)
{
        if (atomic_load(&call->stop))
                call_set_stopped(call, atomic_load(&call->stop));
        else if (!call->failure.code && !call->run->plan)
                run_keep_plan(call);
        if (call->failure.code || run_check_outputs(call))
                call_fail(call);
        else
                run_begin(call);
}

void handle_run(struct call *call)
{
        if (call->run) {
                run_begin(call);
                return;
        }
        if (run_open(call)) {
                call_fail(call);
        } else if (run_find_plan(call)) {
                run_planned(call);
        } else if (call->request->n_bytes > PLAN_AT_ONCE_BYTES) {
                service_submit(call->service, call, run_plan_work, run_planned);
        } else {
                run_plan(call);
                run_planned(call);
        }
}
