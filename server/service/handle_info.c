/* SPDX-License-Identifier: MIT */
/*
 * hello ping ops infer stat
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "compute/user/user_kernel.h"
#include "service/core.h"
#include "service/describe.h"
#include "service/dispatch.h"
#include "wire/utf8.h"

static void write_str(struct reply *reply, const char *key, const char *value)
{
        reply_key(reply, key);
        reply_str(reply, value);
}

static void write_limits(struct reply *reply)
{
        static const struct {
                const char *key;
                uint64_t value;
        } limits[] = {
                { "message", TD_MESSAGE_MAX }, { "inline", TD_INLINE_MAX },
                { "ndim", TD_NDIM_MAX },       { "name", TD_NAME_MAX },
                { "handles", TD_HANDLES_MAX }, { "outputs", TD_OUTPUTS_MAX },
                { "values", TD_VALUES_MAX },
        };

        reply_key(reply, "limits");
        reply_map(reply, ARRAY_SIZE(limits));
        for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
                reply_key_uint(reply, limits[i].key, limits[i].value);
}

void handle_hello(struct call *call)
{
        struct service *service = call->service;
        struct reply *reply;

        if (call->request->version != TD_PROTOCOL_VERSION) {
                call_refuse(call, TD_E_VERSION,
                            "the client speaks version %lld of the protocol, the daemon version %d",
                            (long long)call->request->version, TD_PROTOCOL_VERSION);
                return;
        }
        if (call->request->client)
                utf8_printable(call->client->name, sizeof(call->client->name),
                               call->request->client, strlen(call->request->client));
        reply = call_begin_reply(call);
        if (reply) {
                reply_map(reply, 7);
                reply_key_uint(reply, "version", TD_PROTOCOL_VERSION);
                write_str(reply, "daemon", "tensord " TENSORD_VERSION);
                reply_key_uint(reply, "uid", call->user->uid);
                reply_key(reply, "epoch");
                reply_bin(reply, service->epoch, sizeof(service->epoch));
                reply_key_uint(reply, "busy_poll_us", service->config.busy_poll_us);
                write_limits(reply);
                reply_key(reply, "dtypes");
                reply_array(reply, TD_N_DTYPES);
                for (unsigned i = 0; i < TD_N_DTYPES; i++)
                        reply_str(reply, td_dtype_info(i)->name);
        }
        call_done(call, reply);
}

void handle_ping(struct call *call)
{
        struct reply *reply = call_begin_reply(call);

        if (reply)
                reply_str(reply, "pong");
        call_done(call, reply);
}

static void write_user_kernel(struct reply *reply, const struct user_kernel *kernel)
{
        char name[USER_KERNEL_NAME_MAX + sizeof("user.")];

        snprintf(name, sizeof(name), "user.%s", kernel->op.name);
        reply_map(reply, 10);
        write_str(reply, "name", name);
        reply_key_uint(reply, "min_args", kernel->op.n_args);
        reply_key_uint(reply, "max_args", kernel->op.n_args);
        reply_key_uint(reply, "results", kernel->op.n_results);
        reply_key(reply, "may_fail");
        reply_bool(reply, true);
        write_str(reply, "doc", kernel->kernel->doc);
        write_str(reply, "version", kernel->kernel->version);
        write_str(reply, "file", kernel->path);
        write_str(reply, "signature", kernel->kernel->signature);
        reply_key(reply, "isolated");
        reply_bool(reply, kernel->kernel->flags & TD_KERNEL_ISOLATE);
}

void handle_ops(struct call *call)
{
        const struct user_kernels *kernels = call->service->config.user_kernels;
        struct reply *reply = call_begin_reply(call);

        if (reply) {
                reply_array(reply, TD_N_OPS + (kernels ? kernels->n : 0));
                for (uint32_t i = 0; kernels && i < kernels->n; i++)
                        write_user_kernel(reply, kernels->kernels[i]);
                for (unsigned i = 0; i < TD_N_OPS; i++) {
                        const struct td_op_info *op = td_op_info(i);

                        reply_map(reply, 6);
                        write_str(reply, "name", op->name);
                        reply_key_uint(reply, "min_args", op->min_args);
                        reply_key_uint(reply, "max_args", op->max_args);
                        reply_key(reply, "results");
                        reply_int(reply, op->n_results);
                        reply_key(reply, "may_fail");
                        reply_bool(reply, op->may_fail);
                        write_str(reply, "doc", op->doc);
                }
        }
        call_done(call, reply);
}

void handle_infer(struct call *call)
{
        const struct request *request = call->request;
        const struct user_kernel *kernel = user_kernels_find(call->service->config.user_kernels,
                                                             request->name);
        struct td_type args[TD_ARGS_MAX], results[TD_KERNEL_ARRAYS_MAX];
        struct td_refusal refusal;
        struct reply *reply;
        uint64_t n_scratch;

        if (!kernel || request->n_inputs != kernel->op.n_args) {
                call_refuse(call, kernel ? TD_E_BAD_ARGUMENTS : TD_E_UNKNOWN_OP,
                            kernel ? "infer: user.%s takes %u arguments, not %u"
                                   : "infer: there is no user kernel \"%s\"",
                            request->name, kernel ? kernel->op.n_args : 0, request->n_inputs);
                return;
        }
        for (uint32_t i = 0; i < request->n_inputs; i++)
                args[i] = request->inputs[i].type;
        if (user_kernel_infer(kernel, args, results, &n_scratch, &refusal)) {
                call_refuse(call, refusal.code, "%s", refusal.message);
                return;
        }
        reply = call_begin_reply(call);
        if (reply) {
                reply_array(reply, kernel->op.n_results);
                for (uint32_t i = 0; i < kernel->op.n_results; i++) {
                        reply_map(reply, 2);
                        write_str(reply, "dtype", td_dtype_name(results[i].dtype));
                        reply_key(reply, "shape");
                        reply_array(reply, results[i].ndim);
                        for (unsigned d = 0; d < results[i].ndim; d++)
                                reply_int(reply, results[i].shape[d]);
                }
        }
        call_done(call, reply);
}

static void write_memory(struct reply *reply, const struct store_figures *figures,
                         uint64_t n_scratch)
{
        reply_key(reply, "memory");
        reply_map(reply, 11);
        reply_key_uint(reply, "limit", figures->limit);
        reply_key_uint(reply, "used", figures->used);
        reply_key_uint(reply, "live", figures->live);
        reply_key_uint(reply, "idle", figures->idle);
        reply_key_uint(reply, "parked", figures->parked);
        reply_key_uint(reply, "held", figures->held);
        reply_key_uint(reply, "catalog", figures->catalog);
        reply_key_uint(reply, "heap", figures->heap);
        reply_key_uint(reply, "evictable", figures->evictable);
        reply_key_uint(reply, "scratch", n_scratch);
        reply_key_uint(reply, "spilled", figures->spilled);
}

static void write_user(struct reply *reply, const struct user *user)
{
        reply_map(reply, 4 + N_RESOURCES + 1);
        reply_key_uint(reply, "uid", user->uid);
        for (int i = 0; i < N_RESOURCES; i++)
                reply_key_uint(reply, resource_name(i), user->used[i]);
        reply_key_uint(reply, "names", user->n_names);
        reply_key_uint(reply, "lost", user->n_lost);
        reply_key_uint(reply, "worker_ms", user->works.n_ns / 1000000);
        reply_key(reply, "limits");
        reply_map(reply, N_RESOURCES);
        for (int i = 0; i < N_RESOURCES; i++)
                reply_key_uint(reply, resource_name(i), user_limit(user, i));
}

/* Every user to the daemon's own uid and to root, else the asking one. */
static void write_users(struct reply *reply, struct call *call)
{
        struct users *users = store_users(call->service->store);
        bool is_admin = call_is_administrators(call);
        struct user *user, *next;

        reply_key(reply, "users");
        reply_array(reply, is_admin ? HASH_COUNT(users->by_uid) : 1);
        HASH_ITER (hh, users->by_uid, user, next)
                if (is_admin || user == call->user)
                        write_user(reply, user);
}

static void stat_daemon(struct call *call)
{
        struct service *service = call->service;
        struct reply *reply = call_begin_reply(call);
        struct store_figures figures;

        if (reply) {
                store_figures(service->store, &figures);
                reply_map(reply, 19);
                write_str(reply, "version", TENSORD_VERSION);
                reply_key_uint(reply, "pid", (uint64_t)getpid());
                reply_key_uint(reply, "uptime_ms", clock_now_ms() - service->started_ms);
                write_memory(reply, &figures, service->n_scratch);
                reply_key_uint(reply, "memory_peak", figures.peak);
                reply_key_uint(reply, "tensors", figures.n_tensors);
                reply_key_uint(reply, "names", figures.n_names);
                reply_key_uint(reply, "lost", figures.n_lost);
                reply_key_uint(reply, "evictions", figures.n_evicted);
                reply_key_uint(reply, "connections", service->n_clients);
                reply_key_uint(reply, "jobs", service->n_jobs);
                reply_key_uint(reply, "requests", service->n_requests);
                reply_key_uint(reply, "threads", service->config.n_threads);
                reply_key(reply, "plans");
                reply_map(reply, 3);
                reply_key_uint(reply, "hits", service->plans.n_hits);
                reply_key_uint(reply, "misses", service->plans.n_misses);
                reply_key_uint(reply, "bytes", service->plans.n_bytes + service->nodes.n_bytes);
                reply_key(reply, "blas");
                reply_map(reply, 3);
                write_str(reply, "library", "OpenBLAS");
                write_str(reply, "core", service->config.blas_core);
                write_str(reply, "cpu", service->config.cpu);
                write_str(reply, "kernels", service->config.kernels);
                write_str(reply, "huge_pages", figures.huge_pages);
                reply_key_uint(reply, "shm_free", figures.shm_free);
                write_users(reply, call);
        }
        call_done(call, reply);
}

void handle_stat(struct call *call)
{
        const struct user *viewer;
        struct tensor *tensor;
        struct reply *reply;
        bool is_own;

        if (call->n_pins == 0) {
                stat_daemon(call);
                return;
        }
        tensor = call->pins[0].tensor;
        viewer = call_viewer(call, tensor);
        is_own = tensor->user == viewer;
        reply = call_begin_reply(call);
        if (reply) {
                reply_map(reply, is_own ? 4 : 2);
                reply_key(reply, "tensor");
                describe(reply, viewer, tensor, DESCRIBE_BRIEF, false, false);
                if (is_own) {
                        /* by name or id the call itself holds one more */
                        reply_key_uint(reply, "references",
                                       tensor->n_refs - (call->pins[0].wait.promise ? 0 : 1));
                        reply_key_uint(reply, "leases",
                                       tensor->mutable ? tensor->mutable->n_leases : 0);
                }
                reply_key_uint(reply, "segment_bytes",
                               tensor->segment ? segment_map_bytes(tensor->segment) : 0);
        }
        call_done(call, reply);
}
