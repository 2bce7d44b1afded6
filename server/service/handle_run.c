/* SPDX-License-Identifier: MIT */
/*
 * run, call, snapshot
 *
 * A program is planned against the descriptors of its inputs, a long one on a worker, unless that
 * was done before (service/plans); memory for
 * outputs and scratch is reserved, inputs are pinned; then it is computed, at once if it is tiny
 * and nothing has to be reserved, else as a job. Back on the loop thread its outputs are sealed,
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
#include "compute/copy/copy.h"
#include "compute/plan/plan.h"
#include "compute/user/user_kernel.h"
#include "service/core.h"
#include "service/describe.h"
#include "service/dispatch.h"
#include "service/claims.h"
#include "service/donate.h"
#include "service/input.h"
#include "service/run_state.h"

/*
 * A request of more memory is planned on a worker: about 60 nodes, a quarter of a millisecond. (One
 * of TD_VALUES_MAX nodes takes 15.)
 */
#define PLAN_AT_ONCE_BYTES (32 * 1024)
#define PLAN_NS 8 /* a byte of it */

#define FRESH_BYTE_NS 1     /* to reserve and first touch it */
#define COPY_BYTES_PER_NS 4 /* into a mutable tensor */

#define PAGE_BYTES 4096
#define FAULT_NS 500             /* to map a page, or */
#define AROUND_BYTES (64 * 1024) /* so many bytes around it */

#define DESCS_INSIDE 4

struct run_state *run_state_free(struct run_state *run)
{
        if (!run)
                return NULL;
        for (uint32_t i = 0; i < run->n_areas; i++) {
                if (run->areas[i].is_pinned)
                        segment_unpin(run->areas[i].segment);
                segment_unref(run->areas[i].segment);
                tensor_unref(run->areas[i].tensor);
        }
        prepaid_give_back(&run->prepaid);
        charge_drop(&run->prepaid.tensors);
        charge_drop(&run->grants);
        plan_free(run->fresh);
        planned_unref(run->planned);
        if (run->descs_are_ours)
                free(run->descs);
        free(run->counts);
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
        size_t n_pointers = 2 * (size_t)n_inputs + n_outputs, n_areas = (size_t)n_outputs + 1;
        size_t n_descs = n_inputs <= DESCS_INSIDE ? n_inputs : 0;
        struct run_state *run = calloc(1, sizeof(*run) + n_pointers * sizeof(void *) +
                                                  n_areas * sizeof(struct area) +
                                                  n_descs * sizeof(struct desc) + n_inputs);

        if (!run)
                return NULL;
        run->inputs = (const void **)(run + 1);
        run->outputs = (void **)(run + 1) + n_inputs;
        run->segments = (struct segment **)(run->outputs + n_outputs);
        run->areas = (struct area *)(run->segments + n_inputs);
        run->n_areas = n_outputs + 1;
        run->descs = (struct desc *)(run->areas + n_areas);
        run->takes = (bool *)(run->descs + n_descs);
        if (n_inputs <= DESCS_INSIDE)
                return run;
        run->descs_are_ours = true;
        run->descs = calloc(n_inputs, sizeof(*run->descs));
        if (!run->descs)
                return run_state_free(run);
        return run;
}

/* ---- inputs and plan ---- */

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

static void immediate_desc(const struct request_input *input, struct desc *desc)
{
        if (input->has_order)
                desc_init_ordered(desc, &input->type, input->order);
        else
                desc_init_c(desc, &input->type);
}

/* An estimate: pages may not be mapped here yet; of dense ones the kernel maps many at a time. */
static uint64_t touch_ns(const struct desc *desc)
{
        uint64_t n = (uint64_t)desc_n_elements(desc), span = 0;

        if (n == 0)
                return 0;
        if (desc_is_dense(desc))
                return (uint64_t)desc_n_bytes(desc) / AROUND_BYTES * FAULT_NS;
        for (unsigned i = 0; i < desc->type.ndim; i++)
                if (desc->type.shape[i] > 1)
                        span += (uint64_t)(desc->type.shape[i] - 1) *
                                (uint64_t)llabs(desc->strides[i]);
        return (n < span / PAGE_BYTES ? n : span / PAGE_BYTES) * FAULT_NS;
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
                        immediate_desc(&request->inputs[i], desc);
                else if (input_desc(call, i, call->pins[i].tensor, desc))
                        return -1;
                else if (!call->pins[i].tensor->heap)
                        call->run->touch_ns += touch_ns(desc);
                if (check_defined(call, i, &desc->type))
                        return -1;
        }
        if (!call->client)
                return 0;
        donate_take(call);
        for (uint32_t i = 0; i < request->n_inputs; i++)
                call->run->takes[i] = call->pins[i].is_taken &&
                                      (uint64_t)desc_n_bytes(&call->run->descs[i]) ==
                                              tensor_n_bytes(call->pins[i].tensor);
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
                r = plan_new_taking(&call->run->fresh, program, call->run->descs, call->run->takes,
                                    &refusal);
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

        plan_key_init(&key, call->request->nodes, &call->request->program, call->run->descs,
                      call->run->takes);
        planned = plans_find(&call->service->plans, &key);
        if (planned)
                run_take_plan(call->run, planned);
        return planned;
}

static void run_keep_plan(struct call *call)
{
        struct planned *planned;
        struct plan_key key;

        plan_key_init(&key, call->request->nodes, &call->request->program, call->run->descs,
                      call->run->takes);
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

/* What is written into a tensor has just its dtype, and the shape of the view. */
static int check_into(struct call *call, uint32_t i, const struct td_type *type)
{
        const uint32_t into = call->request->outputs[i].into;
        const struct td_type *wanted;

        if (call->pins[into].tensor->user != call->user) {
                failure_set(&call->failure, TD_E_NOT_OWNER,
                            "run: output %u goes into input %u, which is uid %u's", i, into,
                            (unsigned)call->pins[into].tensor->user->uid);
                return -1;
        }
        if (!call->pins[into].claim) {
                failure_set(&call->failure, TD_E_NOT_MUTABLE,
                            "run: output %u goes into input %u, which is sealed", i, into);
                return -1;
        }
        wanted = &call->pins[into].claim->lease.region.type;
        if (td_type_same(type, wanted))
                return 0;
        failure_set(&call->failure,
                    type->dtype == wanted->dtype ? TD_E_SHAPE_MISMATCH : TD_E_DTYPE_MISMATCH,
                    "run: output %u is %s of shape %s, input %u that it goes into is %s of shape "
                    "%s",
                    i, td_dtype_name(type->dtype), td_type_text(type).s, into,
                    td_dtype_name(wanted->dtype), td_type_text(wanted).s);
        return -1;
}

/* Its size is known now. 0, or -1 and the call's failure is set. */
static int output_size(struct call *call, uint32_t i)
{
        const struct request_output *output = &call->request->outputs[i];
        struct area *area = &call->run->areas[i];
        struct desc desc;

        run_output_desc(call->run, i, &desc);
        area->n_bytes = (uint64_t)desc_n_bytes(&desc);
        if (output->has_into)
                return check_into(call, i, &desc.type);
        if (output->handle || output->name || area->n_bytes <= TD_INLINE_MAX)
                return 0;
        failure_set(&call->failure, TD_E_TOO_LARGE_INLINE,
                    "run: output %u has %llu bytes, at most %d travel in a message; give it a "
                    "handle",
                    i, (unsigned long long)area->n_bytes, TD_INLINE_MAX);
        return -1;
}

/* What is asked of each output; of those that depend on data the size is still unknown, and 0. */
static int run_check_outputs(struct call *call)
{
        uint32_t n_map = 0;

        for (uint32_t i = 0; i < call->n_results; i++) {
                const struct request_output *output = &call->request->outputs[i];

                if (run_knows_output(call, i) && output_size(call, i))
                        return -1;
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

/* ---- computing ---- */

static bool should_stop(void *ctx)
{
        struct call *call = ctx;

        return atomic_load_explicit(&call->stop, memory_order_relaxed) ||
               run_find_poisoned(call) >= 0;
}

/* For user kernels in processes of their own. Any thread. */
static bool locate(void *ctx, const void *at, bool is_writable, int *fdp, uint64_t *offsetp)
{
        const struct segment *segment = run_find_segment(ctx, at);
        int fd = segment ? segment_open(segment, is_writable) : -1;

        if (fd < 0)
                return false;
        *fdp = fd;
        *offsetp = (uint64_t)((const char *)at - (char *)segment_data(segment)) + TD_HEADER_BYTES;
        return true;
}

/* The first half of a plan whose outputs depend on data is done. */
static int run_count(struct run_state *run)
{
        run->counts = calloc(plan_n_counts(run->plan), sizeof(*run->counts));
        if (!run->counts)
                return -ENOMEM;
        plan_counts(run->plan, run->areas[run->n_areas - 1].data, run->counts);
        return 0;
}

/*
 * Results go into mutable tensors when all are there, and nothing stops them then: such a tensor
 * has either its old values or the new ones. Where the daemon is killed meanwhile, the ledger
 * knows.
 */
static void run_write_into(const struct call *call, struct workers *workers)
{
        const struct run run = { .workers = workers };
        const struct run_state *state = call->run;

        for (uint32_t i = 0; i < call->n_results; i++) {
                const struct request_output *output = &call->request->outputs[i];
                struct desc from;
                struct copy copy;

                if (!output->has_into || state->areas[i].n_bytes == 0)
                        continue;
                run_output_desc(state, i, &from);
                lease_touch(&call->pins[output->into].claim->lease);
                copy_init(&copy, &from, &call->pins[output->into].claim->lease.region);
                copy_run(&copy, &run, state->areas[i].data, (void *)state->inputs[output->into]);
        }
}

/* On a worker, or on the loop thread, without workers. */
static void run_compute(struct call *call, struct workers *workers)
{
        struct run_state *state = call->run;
        struct run run = { .workers = workers,
                           .should_stop = should_stop,
                           .locate = locate,
                           .ctx = call,
                           .n_done = call->request->progress_ms ? &state->n_done : NULL };
        struct td_refusal refusal;
        void *scratch;
        int r;

        call->result = run_prepare(state);
        if (call->result)
                return;
        scratch = state->areas[state->n_areas - 1].data;
        if (state->counts)
                r = plan_finish(state->plan, &run, state->inputs, state->outputs, scratch,
                                state->counts);
        else
                r = plan_run(state->plan, &run, state->inputs, state->outputs, scratch, &refusal);
        state->is_over = r == 0;
        if (r == 0 && run_find_poisoned(call) < 0) {
                run_write_into(call, workers);
                state->has_written = true;
        }
        if (r == PLAN_E_COUNTED)
                r = run_count(state);
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

        run_compute(call, call->is_kept ? NULL : call->service->workers);
}

/* ---- the end ---- */

/* Outputs with a handle or name become tensors, sealed. 0, a store outcome or a negative errno. */
static int run_make_tensors(struct call *call, struct tensor **tensors)
{
        for (uint32_t i = 0; i < call->n_results; i++) {
                const struct request_output *output = &call->request->outputs[i];
                struct area *area = &call->run->areas[i];
                struct desc desc;
                int r;

                if (!output->handle && !output->name)
                        continue;
                run_output_desc(call->run, i, &desc);
                if (area->is_pinned)
                        segment_unpin(area->segment);
                area->is_pinned = false;
                if (area->tensor) {
                        tensors[i] = steal_ptr(&area->tensor);
                        if (area->n_bytes > 0)
                                memcpy(tensors[i]->heap, area->data, area->n_bytes);
                        continue;
                }
                r = tensor_new_prepaid(&tensors[i], call->service->store, call->user, &desc,
                                       steal_ptr(&area->segment),
                                       area->is_small ? area->data : NULL, NULL,
                                       &call->run->prepaid);
                if (!r && tensors[i]->segment)
                        r = tensor_seal(tensors[i]);
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
                        commits[n++] = (struct commit){
                                .reservation = call->reservations[i],
                                .tensor = tensors[i],
                                .is_evictable = call->request->outputs[i].evictable,
                        };
        if (n == 0)
                return 0;
        prepaid_spend_records(&call->run->prepaid);
        r = store_commit_now(call->service->store, commits, n, &op_id);
        if (!r)
                memset(call->reservations, 0, call->n_results * sizeof(*call->reservations));
        return r;
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
        for (uint32_t i = 0; i < n_results && !r; i++)
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

/* One half or all of it is done, or it failed: what was held for computing is given back. */
static void run_let_go(struct call *call)
{
        call->service->n_scratch -= call->run->n_scratch;
        call->run->n_scratch = 0;
        run_unpin_inputs(call);
}

/* Whatever is found now: the values are others, and all of them. */
static void run_tell_written(struct call *call)
{
        for (uint32_t i = 0; i < call->n_results && call->run->has_written; i++)
                if (call->request->outputs[i].has_into)
                        lease_written(&call->pins[call->request->outputs[i].into].claim->lease);
}

static void run_begin(struct call *call);

/* The first half counted: outputs of unknown size have one now. 0, or -1 and the failure is set. */
static int run_size(struct call *call)
{
        struct run_state *run = call->run;

        for (uint32_t i = 0; i < call->n_results; i++) {
                if (run_knows_output(call, i))
                        continue;
                if (output_size(call, i))
                        return -1;
                run->areas[i].is_small = run_is_small(call, i);
        }
        run->n_reserved = 0;
        run->is_sized = true;
        call->starved_ms = 0;
        return 0;
}

static void run_finish(struct call *call)
{
        int64_t poisoned = run_find_poisoned(call);
        uint64_t n_bytes = 0;

        run_let_go(call);
        run_tell_written(call);
        if (poisoned >= 0) {
                call_refuse(
                        call, TD_E_POISONED,
                        "run: input %lld was truncated or resized by a process that could write it",
                        (long long)poisoned);
                return;
        }
        /* One that was withdrawn says so already. */
        if (call->result && !call->failure.code) {
                for (uint32_t i = 0; i < call->run->n_areas; i++)
                        n_bytes += call->run->areas[i].n_bytes;
                failure_from_store(&call->failure, call->result, call->service->store,
                                   "an input or output", n_bytes);
        }
        if (call->failure.code)
                call_fail(call);
        else if (!call->run->counts || call->run->is_sized)
                run_succeed(call);
        else if (run_size(call))
                call_fail(call);
        else
                run_begin(call);
}

/* ---- the way there ---- */

/*
 * An estimate, with the memory that is to be reserved first, pages that are to be mapped, and what
 * is copied into mutable tensors.
 */
static uint64_t run_cost_ns(const struct call *call)
{
        const struct run_state *run = call->run;
        uint64_t cost = plan_cost_ns(run->plan), more = run->touch_ns;

        for (uint32_t i = 0; i < run->n_areas; i++) {
                const struct area *area = &run->areas[i];

                if (area->segment && !area->is_ready)
                        more += area->n_bytes * FRESH_BYTE_NS;
                if (i < call->n_results && call->request->outputs[i].has_into)
                        more += area->n_bytes / COPY_BYTES_PER_NS;
        }
        return __builtin_add_overflow(cost, more, &cost) ? UINT64_MAX : cost;
}

/* Of a plan whose outputs depend on data this is entered twice, to count and to write them. */
static void run_begin(struct call *call)
{
        struct run_state *run = call->run;
        uint64_t n_bytes = 0;
        int r;

        r = run->small ? 0 : run_reserve_small(call);
        if (!r)
                r = run_charge(call);
        if (!r)
                r = run_reserve(call);
        if (r) {
                for (uint32_t i = 0; i < run->n_areas; i++)
                        n_bytes += run->areas[i].n_bytes;
                run_give_back(call);
                call_fail_store(call, r, "an output", n_bytes);
                return;
        }
        r = run_pin_inputs(call);
        if (r) {
                call_fail_store(call, r, "an input", 0);
                return;
        }
        run->n_scratch = run->areas[run->n_areas - 1].n_bytes;
        call->service->n_scratch += run->n_scratch;
        if (!run->is_allocating && run_cost_ns(call) < TINY_NS) {
                run_compute(call, NULL);
                run_finish(call);
        } else {
                service_submit(call->service, call, run_cost_ns(call), run_work, run_finish);
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
                service_submit(call->service, call, PLAN_NS * call->request->n_bytes, run_plan_work,
                               run_planned);
        } else {
                run_plan(call);
                run_planned(call);
        }
}
