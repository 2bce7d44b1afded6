/* SPDX-License-Identifier: MIT */
/*
 * Steps of user kernels
 *
 * Arguments that are not dense in C order are copied into the scratch first, so that kernels need
 * not know strides; behind the copies lies what the kernel asked for. Then run() is called here, or
 * in a process of its own (user_child.c).
 *
 * Any thread; a step is const while it runs.
 */
#include "compute/user/user_step.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "compute/step_base.h"
#include "compute/user/user_child.h"

#define COST_NS 1000000 /* unknown: never on the loop thread */

struct argument {
        struct td_type type;
        int64_t offset;
        struct step *pack; /* NULL: dense already */
        uint64_t at;       /* of the copy in the scratch */
        uint64_t pack_at;  /* of the copying step's own scratch */
};

struct user_step {
        struct step step;
        const struct user_kernel *kernel;
        struct argument args[TD_KERNEL_ARRAYS_MAX];
        struct td_type results[TD_KERNEL_ARRAYS_MAX];
        uint64_t scratch_at; /* the kernel's part of the scratch */
        uint64_t n_scratch;
};

/* The call of a kernel in the daemon. */
struct host {
        struct td_kernel_call call;
        const struct run *run;
};

static void host_parallel_for(const struct td_kernel_call *call, uint64_t n,
                              void (*fn)(void *ctx, uint64_t i), void *ctx)
{
        const struct host *host = container_of(call, const struct host, call);

        workers_for(run_workers(host->run), n, fn, ctx);
}

static bool host_should_stop(const struct td_kernel_call *call)
{
        return run_should_stop(container_of(call, const struct host, call)->run);
}

static int pack_arguments(const struct user_step *user, const struct run *run,
                          const void *const *args, char *scratch, struct td_kernel_array *arrays,
                          struct td_refusal *refusal)
{
        for (uint32_t i = 0; i < user->kernel->op.n_args; i++) {
                const struct argument *argument = &user->args[i];
                void *copy = scratch + argument->at;
                int r;

                arrays[i].type = argument->type;
                arrays[i].data = (char *)(uintptr_t)args[i] + argument->offset;
                if (!argument->pack)
                        continue;
                r = step_run(argument->pack, run, &args[i], &copy, scratch + argument->pack_at,
                             refusal);
                if (r)
                        return r;
                arrays[i].data = copy;
        }
        return 0;
}

static int user_run(const struct step *step, const struct run *run, const void *const *args,
                    void *const *results, void *scratch, struct td_refusal *refusal)
{
        const struct user_step *user = (const struct user_step *)step;
        const struct td_user_op *op = &user->kernel->op;
        struct td_kernel_array arrays[TD_KERNEL_ARRAYS_MAX];
        char message[USER_MESSAGE] = "";
        struct host host = { .run = run };
        int r;

        r = pack_arguments(user, run, args, scratch, arrays, refusal);
        if (r)
                return r;
        for (uint32_t i = 0; i < op->n_results; i++)
                arrays[op->n_args + i] = (struct td_kernel_array){ .type = user->results[i],
                                                                   .data = results[i] };
        host.call = (struct td_kernel_call){ .struct_size = sizeof(host.call),
                                             .n_args = op->n_args,
                                             .n_results = op->n_results,
                                             .args = arrays,
                                             .results = arrays + op->n_args,
                                             .scratch = (char *)scratch + user->scratch_at,
                                             .n_scratch = user->n_scratch,
                                             .message = message,
                                             .n_message = sizeof(message),
                                             .parallel_for = host_parallel_for,
                                             .should_stop = host_should_stop };
        if (user->kernel->kernel->flags & TD_KERNEL_ISOLATE)
                r = user_child_run(user->kernel, run, &host.call);
        else
                r = user->kernel->kernel->run(&host.call);
        if (run_should_stop(run))
                return PLAN_E_STOPPED;
        if (r < 0 && user->kernel->kernel->flags & TD_KERNEL_ISOLATE)
                return r;
        if (r) {
                user_message_tidy(message);
                td_refuse(refusal, TD_E_KERNEL_FAILED, "user.%s: %s", op->name,
                          *message ? message : "run failed");
                return PLAN_E_REFUSED;
        }
        return 0;
}

static struct step *user_free(struct step *step)
{
        struct user_step *user = (struct user_step *)step;

        for (uint32_t i = 0; i < user->kernel->op.n_args; i++)
                step_free(user->args[i].pack);
        free(user);
        return NULL;
}

static const struct step_class user_class = { "user", user_run, user_free };

/* The scratch grows by n bytes; returns where they begin. */
static uint64_t take_scratch(struct user_step *user, uint64_t n_bytes)
{
        uint64_t at = user->step.n_scratch;

        user->step.n_scratch = align_64(at + n_bytes);
        return at;
}

static int prepare_argument(struct user_step *user, struct argument *argument,
                            const struct desc *arg)
{
        struct desc dense;
        int r;

        argument->type = arg->type;
        argument->offset = arg->offset;
        if (desc_is_c(arg))
                return 0;
        desc_init_c(&dense, &arg->type);
        r = step_new_copy(&argument->pack, arg, &dense);
        if (r < 0)
                return r;
        argument->at = take_scratch(user, (uint64_t)desc_n_bytes(&dense));
        argument->pack_at = take_scratch(user, step_n_scratch(argument->pack));
        return 0;
}

int user_step_new(struct step **stepp, const struct td_user_op *op, const struct desc *args,
                  const struct desc *results)
{
        _cleanup_(step_freep) struct step *step = NULL;
        struct user_step *user = calloc(1, sizeof(*user));
        struct td_type types[TD_KERNEL_ARRAYS_MAX], inferred[TD_KERNEL_ARRAYS_MAX];

        if (!user)
                return error_origin(-ENOMEM);
        step = &user->step;
        step->class = &user_class;
        step->cost_ns = COST_NS;
        user->kernel = container_of(op, const struct user_kernel, op);
        for (uint32_t i = 0; i < op->n_args; i++) {
                int r = prepare_argument(user, &user->args[i], &args[i]);

                if (r < 0)
                        return r;
                types[i] = args[i].type;
        }
        for (uint32_t i = 0; i < op->n_results; i++)
                user->results[i] = results[i].type;
        if (user_kernel_infer(user->kernel, types, inferred, &user->n_scratch, NULL))
                return error_origin(-EPROTO); /* what it said a moment ago, it takes back */
        if (user->n_scratch > INT64_MAX)
                return error_origin(-ENOMEM);
        user->scratch_at = take_scratch(user, user->n_scratch);
        *stepp = steal_ptr(&step);
        return 0;
}
